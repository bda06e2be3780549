/* image.c - reading an image file, straight into the guest's memory */
#include "hwvirt-sandbox/x86/image.h"

#include "hwvirt-sandbox/x86/layout.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int image_read(int fd, uint64_t size, uint64_t offset, void *to, size_t len, struct err *e)
{
	uint8_t *at = to;

	if (offset > size || len > size - offset)
		return err_set(e, ENOEXEC, "%zu bytes at %" PRIu64 " are not in the file", len, offset);
	while (len) {
		ssize_t n = pread(fd, at, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, "reading");
		if (n == 0)
			return err_set(e, ENOEXEC, "the file became shorter");
		at += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int image_read_guest(const struct guest_mem *mem, int fd, uint64_t size, uint64_t offset, uint64_t gpa, uint64_t len, struct err *e)
{
	uint8_t *to = guest_range(mem, gpa, len);

	if (len == 0)
		return 0;
	if (!to || gpa < X86_KERNEL_MIN)
		return err_set(e, E2BIG, "%" PRIu64 " bytes for 0x%" PRIx64 ": the guest has no memory there", len, gpa);
	return image_read(fd, size, offset, to, len, e);
}

int image_load(const struct guest_mem *mem, int fd, struct image *out, struct err *e)
{
	uint8_t magic[4];
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return err_errno(e, "kernel");
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "kernel: not a regular file");
	r = image_read(fd, (uint64_t)st.st_size, 0, magic, sizeof(magic), e);
	if (r >= 0)
		r = memcmp(magic, "\177ELF", sizeof(magic)) ? image_load_bzimage(mem, fd, (uint64_t)st.st_size, out, e)
							    : image_load_elf(mem, fd, (uint64_t)st.st_size, out, e);
	return r < 0 ? err_in(e, "kernel") : 0;
}
