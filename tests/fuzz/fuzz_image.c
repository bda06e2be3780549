/* fuzz_image.c - a kernel image made of arbitrary bytes, into a guest of 4 MiB */
#include "base/cleanup.h"
#include "base/sys.h"
#include "hwvirt-sandbox/x86/boot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_fd int fd = sys_memfd_create("image", SYS_MFD_CLOEXEC);
	struct boot_source s = { .kernel_fd = fd, .initrd_fd = fd, .cmdline = "x", .n_cpus = 2 };
	struct boot_entry entry;
	struct guest_mem mem;
	struct err e;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size || guest_mem_create(4 << 20, &mem, &e) < 0)
		return 0;
	if (boot_load(&mem, &s, &entry, &e) == 0 && (entry.ip < (1 << 20) || !guest_range(&mem, entry.ip, 1)))
		abort(); /* would begin outside what was loaded */
	guest_mem_release(&mem);
	return 0;
}
