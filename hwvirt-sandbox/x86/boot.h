/* boot.h - a kernel into a guest's memory, with everything that it is told at its start */
#pragma once
#include "hwvirt-sandbox/x86/image.h"

struct boot_source {
	int kernel_fd;       /* borrowed */
	int initrd_fd;       /* borrowed; -EBADF: none */
	const char *cmdline; /* complete */
	unsigned n_cpus;
};

/* How the first processor begins. */
struct boot_entry {
	enum image_kind kind;
	uint64_t ip;
	uint64_t info; /* address of the start info or zero page */
};

/* ENOEXEC, E2BIG: see image.h. */
must_check int boot_load(const struct guest_mem *mem, const struct boot_source *s, struct boot_entry *out, struct err *e);

/* The parts of memory that the kernel may use: at most 3, sorted. */
struct boot_range {
	uint64_t base, len;
};
unsigned boot_memory_map(const struct guest_mem *mem, struct boot_range out[3]);

/* Where an initrd of `size` bytes lies, page-aligned, as high as it may be below 4 GiB; 0: nowhere. */
uint64_t boot_initrd_place(const struct guest_mem *mem, const struct image *k, uint64_t size);
