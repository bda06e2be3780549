/* bzimage.c - a bzImage with the 64-bit entry (Documentation/x86/boot.rst of Linux: protocol 2.12 and later)
 *
 * Its real-mode part is not run: only the header in it is read. What follows is loaded where the kernel prefers to be, so that it
 * need not move itself.
 */
#include "hwvirt-sandbox/x86/image.h"
#include "hwvirt-sandbox/x86/layout.h"

#include <asm/bootparam.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

enum { SECTOR = 512, VERSION_MIN = 0x20c, ENTRY64 = 0x200, BOOT_FLAG = 0xaa55, MAGIC = 0x53726448 };

static int check(const struct setup_header *h, struct err *e)
{
	if (h->boot_flag != BOOT_FLAG || h->header != MAGIC)
		return err_set(e, ENOEXEC, "neither an ELF file nor a bzImage");
	if (h->version < VERSION_MIN)
		return err_set(e, ENOEXEC, "a bzImage of protocol %u.%02u, 2.12 is needed", h->version >> 8, h->version & 0xff);
	if (!(h->loadflags & LOADED_HIGH) || !(h->xloadflags & XLF_KERNEL_64))
		return err_set(e, ENOEXEC, "a bzImage without a 64-bit entry");
	return 0;
}

/* The header says in its jump instruction where it ends. */
static size_t header_len(const struct setup_header *h)
{
	size_t len = 0x202 + (size_t)(h->jump >> 8) - SETUP_HEADER_AT;

	return len < sizeof(*h) ? len : sizeof(*h);
}

static int load(const struct guest_mem *mem, int fd, uint64_t size, const struct setup_header *h, struct err *e)
{
	uint64_t from = ((uint64_t)(h->setup_sects ? h->setup_sects : 4) + 1) * SECTOR;

	if (from >= size || size - from <= ENTRY64)
		return err_set(e, ENOEXEC, "a bzImage that ends before its kernel begins");
	if (size - from > h->init_size || h->pref_address < X86_KERNEL_MIN || !guest_range(mem, h->pref_address, h->init_size))
		return err_set(e, E2BIG, "it needs %u bytes at 0x%" PRIx64 ": the guest has no memory there", h->init_size,
			       (uint64_t)h->pref_address);
	return image_read_guest(mem, fd, size, from, h->pref_address, size - from, e);
}

int image_load_bzimage(const struct guest_mem *mem, int fd, uint64_t size, struct image *out, struct err *e)
{
	struct setup_header h;
	int r = image_read(fd, size, SETUP_HEADER_AT, &h, sizeof(h), e);

	if (r >= 0)
		r = check(&h, e);
	if (r >= 0)
		r = load(mem, fd, size, &h, e);
	if (r < 0)
		return r;
	*out = (struct image){
		.kind = IMAGE_LINUX64,
		.entry = h.pref_address + ENTRY64,
		.end = h.pref_address + h.init_size,
		.initrd_max = h.initrd_addr_max,
		.cmdline_max = h.cmdline_size < X86_CMDLINE_MAX - 1 ? h.cmdline_size : X86_CMDLINE_MAX - 1,
		.header_len = header_len(&h),
	};
	memcpy(out->header, &h, out->header_len);
	return 0;
}
