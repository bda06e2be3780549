/* image.h - kernel images: what is in them, and into memory with it
 *
 * An image may be anything: each number in it is checked before it is used, and what lies outside the file or the guest's memory is
 * an error (ENOEXEC: not an image that we can start; E2BIG: too large for the memory).
 */
#pragma once
#include "hwvirt-sandbox/guest_mem.h"

enum image_kind {
	IMAGE_PVH,    /* begins in 32-bit mode with a start info */
	IMAGE_LINUX64 /* begins in 64-bit mode with a zero page */
};

enum { SETUP_HEADER_AT = 0x1f1, SETUP_HEADER_MAX = 0x290 - SETUP_HEADER_AT };

struct image {
	enum image_kind kind;
	uint64_t entry;
	uint64_t end;          /* first address past what it needs */
	uint64_t initrd_max;   /* no byte of an initrd may lie beyond this address */
	uint32_t cmdline_max;  /* bytes, without the NUL */
	size_t header_len;     /* of a bzImage: its setup header, to be handed back in the zero page; else 0 */
	uint8_t header[SETUP_HEADER_MAX];
};

/* Loads the regular file fd, an ELF or a bzImage for x86-64. */
must_check int image_load(const struct guest_mem *mem, int fd, struct image *out, struct err *e);

/* The two, for image_load() alone; size is the file's. */
must_check int image_load_elf(const struct guest_mem *mem, int fd, uint64_t size, struct image *out, struct err *e);
must_check int image_load_bzimage(const struct guest_mem *mem, int fd, uint64_t size, struct image *out, struct err *e);

/* Reads len bytes of the file at offset, which all must be there. */
must_check int image_read(int fd, uint64_t size, uint64_t offset, void *to, size_t len, struct err *e);

/* The same into the guest's memory. E2BIG: not in memory, or below X86_KERNEL_MIN. */
must_check int image_read_guest(const struct guest_mem *mem, int fd, uint64_t size, uint64_t offset, uint64_t gpa, uint64_t len,
				struct err *e);
