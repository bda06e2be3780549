/* boot.c - the structures of the two ways to start: PVH and Linux's 64-bit protocol */
#include "hwvirt-sandbox/x86/boot.h"

#include "hwvirt-sandbox/x86/layout.h"
#include "hwvirt-sandbox/x86/mptable.h"

#include <asm/bootparam.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

enum { RAM = 1, RANGES = 3 };

struct initrd {
	uint64_t at, size;
};

unsigned boot_memory_map(const struct guest_mem *mem, struct boot_range out[RANGES])
{
	unsigned n = 0;

	out[n++] = (struct boot_range){ 0, mem->low_size < X86_LOW_END ? mem->low_size : X86_LOW_END };
	if (mem->low_size > X86_KERNEL_MIN)
		out[n++] = (struct boot_range){ X86_KERNEL_MIN, mem->low_size - X86_KERNEL_MIN };
	if (mem->high_size)
		out[n++] = (struct boot_range){ GUEST_HIGH, mem->high_size };
	return n;
}

uint64_t boot_initrd_place(const struct guest_mem *mem, const struct image *k, uint64_t size)
{
	uint64_t top = mem->low_size, at;

	if (k->initrd_max < top)
		top = k->initrd_max + 1;
	if (size == 0 || size > top)
		return 0;
	at = (top - size) & ~(GUEST_MEM_PAGE - 1);
	return at >= k->end && at >= X86_KERNEL_MIN ? at : 0;
}

static int load_initrd(const struct guest_mem *mem, int fd, const struct image *k, struct initrd *out, struct err *e)
{
	struct stat st;
	int r;

	*out = (struct initrd){ 0 };
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return err_errno(e, "initrd");
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "initrd: not a regular file");
	out->size = (uint64_t)st.st_size;
	out->at = boot_initrd_place(mem, k, out->size);
	if (out->size && !out->at)
		return err_set(e, E2BIG, "initrd: no memory for %" PRIu64 " bytes beside the kernel", out->size);
	r = image_read_guest(mem, fd, out->size, 0, out->at, out->size, e);
	return r < 0 ? err_in(e, "initrd") : 0;
}

/* For what layout.h has a place: only a guest of less than 1 MiB has none. */
static int put(const struct guest_mem *mem, uint64_t gpa, const void *what, size_t len, struct err *e)
{
	return guest_write(mem, gpa, what, len) ? 0 : err_set(e, E2BIG, "the guest has too little memory to start a kernel");
}

static int put_cmdline(const struct guest_mem *mem, const char *cmdline, const struct image *k, struct err *e)
{
	size_t len = strlen(cmdline);

	if (len > k->cmdline_max)
		return err_set(e, E2BIG, "command line: %zu bytes, this kernel takes %u", len, k->cmdline_max);
	return put(mem, X86_CMDLINE, cmdline, len + 1, e);
}

/* ---- PVH: the interface is Xen's (xen/include/public/arch-x86/hvm/start_info.h) ---- */
struct start_info {
	uint32_t magic, version, flags, n_modules;
	uint64_t modules, cmdline, rsdp, memmap;
	uint32_t n_memmap, reserved;
};

struct start_module {
	uint64_t at, size, cmdline, reserved;
};

struct start_memmap {
	uint64_t at, size;
	uint32_t type, reserved;
};

struct start_page {
	struct start_info info;
	uint8_t pad[0x40 - sizeof(struct start_info)];
	struct start_module module;
	uint8_t pad2[0x80 - 0x40 - sizeof(struct start_module)];
	struct start_memmap memmap[RANGES];
};

static int put_start_info(const struct guest_mem *mem, const struct initrd *i, struct err *e)
{
	struct boot_range ranges[RANGES];
	struct start_page p = {
		.info = {
			.magic = 0x336ec578,
			.version = 1,
			.n_modules = i->size ? 1 : 0,
			.modules = i->size ? X86_START_INFO + offsetof(struct start_page, module) : 0,
			.cmdline = X86_CMDLINE,
			.memmap = X86_START_INFO + offsetof(struct start_page, memmap),
			.n_memmap = boot_memory_map(mem, ranges),
		},
		.module = { .at = i->at, .size = i->size },
	};

	for (unsigned n = 0; n < p.info.n_memmap; n++)
		p.memmap[n] = (struct start_memmap){ .at = ranges[n].base, .size = ranges[n].len, .type = RAM };
	return put(mem, X86_START_INFO, &p, sizeof(p), e);
}

/* ---- Linux's 64-bit protocol ---- */
static void fill_header(struct setup_header *h, const struct image *k, const char *cmdline, const struct initrd *i)
{
	*h = (struct setup_header){ .boot_flag = 0xaa55, .header = 0x53726448, .version = 0x20f, .loadflags = LOADED_HIGH };
	memcpy(h, k->header, k->header_len);
	h->type_of_loader = 0xff;
	h->cmd_line_ptr = X86_CMDLINE;
	h->cmdline_size = (uint32_t)strlen(cmdline);
	h->ramdisk_image = (uint32_t)i->at;
	h->ramdisk_size = (uint32_t)i->size;
	h->setup_data = 0;
}

static int put_zero_page(const struct guest_mem *mem, const struct image *k, const char *cmdline, const struct initrd *i,
			 struct err *e)
{
	struct boot_range ranges[RANGES];
	struct boot_params p = { .e820_entries = (uint8_t)boot_memory_map(mem, ranges) };

	for (unsigned n = 0; n < p.e820_entries; n++)
		p.e820_table[n] = (struct boot_e820_entry){ .addr = ranges[n].base, .size = ranges[n].len, .type = RAM };
	fill_header(&p.hdr, k, cmdline, i);
	return put(mem, X86_ZERO_PAGE, &p, sizeof(p), e);
}

/* Flat segments, and the first 4 GiB where they are, in pages of 2 MiB. */
static int put_tables(const struct guest_mem *mem, struct err *e)
{
	enum { PRESENT_WRITE = 3, LARGE = 0x80, TABLE = 4096, ENTRIES = 512, GIB = 4 };
	static const uint64_t gdt[] = { 0, 0, 0x00af9b000000ffffull, 0x00cf93000000ffffull };
	uint64_t page[ENTRIES] = { X86_PAGE_TABLES + TABLE + PRESENT_WRITE };
	int r = put(mem, X86_GDT, gdt, sizeof(gdt), e);

	if (r >= 0)
		r = put(mem, X86_PAGE_TABLES, page, sizeof(page), e);
	for (uint64_t i = 0; i < GIB; i++)
		page[i] = X86_PAGE_TABLES + (2 + i) * TABLE + PRESENT_WRITE;
	if (r >= 0)
		r = put(mem, X86_PAGE_TABLES + TABLE, page, sizeof(page), e);
	for (uint64_t i = 0; r >= 0 && i < GIB; i++) {
		for (uint64_t n = 0; n < ENTRIES; n++)
			page[n] = (i * ENTRIES + n) << 21 | LARGE | PRESENT_WRITE;
		r = put(mem, X86_PAGE_TABLES + (2 + i) * TABLE, page, sizeof(page), e);
	}
	return r;
}

static int put_linux64(const struct guest_mem *mem, const struct image *k, const char *cmdline, const struct initrd *i,
		       struct err *e)
{
	int r = put_zero_page(mem, k, cmdline, i, e);

	return r < 0 ? r : put_tables(mem, e);
}

/* What a kernel uses while it starts, beside itself: the first memory, and the last, where it puts its table of pages, a 64th of
 * all, and what it allocates early. */
static void populate(const struct guest_mem *mem, const struct image *k)
{
	const uint64_t early = 4 << 20, size = mem->low_size + mem->high_size, top = size / 64 + early;
	uint64_t end = mem->high_size ? GUEST_HIGH + mem->high_size : mem->low_size;

	if (k->end < early) /* no Linux */
		return;
	guest_populate(mem, 0, early);
	if (top < (mem->high_size ? mem->high_size : mem->low_size))
		guest_populate(mem, end - top, top);
}

int boot_load(const struct guest_mem *mem, const struct boot_source *s, struct boot_entry *out, struct err *e)
{
	struct initrd initrd;
	struct image k;
	int r = image_load(mem, s->kernel_fd, &k, e);

	if (r >= 0)
		populate(mem, &k);
	if (r >= 0)
		r = load_initrd(mem, s->initrd_fd, &k, &initrd, e);
	if (r >= 0)
		r = put_cmdline(mem, s->cmdline, &k, e);
	if (r >= 0)
		r = mptable_write(mem, s->n_cpus, e);
	if (r >= 0)
		r = k.kind == IMAGE_PVH ? put_start_info(mem, &initrd, e) : put_linux64(mem, &k, s->cmdline, &initrd, e);
	if (r < 0)
		return r;
	*out = (struct boot_entry){ .kind = k.kind, .ip = k.entry, .info = k.kind == IMAGE_PVH ? X86_START_INFO : X86_ZERO_PAGE };
	return 0;
}
