/* probe.c - a machine of one page, in real mode */
#include "hwvirt-sandbox/kvm/probe.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

enum { PAGE = 4096, CODE = 0x1000, PORT = 0xf4, CR4_OSFXSR = 1 << 9 };

static const struct {
	int number;
	const char *name;
} needed[] = {
	{ KVM_CAP_USER_MEMORY, "user memory" },
	{ KVM_CAP_IRQCHIP, "an interrupt controller" },
	{ KVM_CAP_IRQFD, "irqfd" },
	{ KVM_CAP_IOEVENTFD, "ioeventfd" },
	{ KVM_CAP_IMMEDIATE_EXIT, "immediate exit" },
	{ KVM_CAP_EXT_CPUID, "CPUID" },
	{ KVM_CAP_SET_TSS_ADDR, "the address of the TSS" },
};

static int check(int kvm_fd, struct err *e)
{
	int version = ioctl(kvm_fd, KVM_GET_API_VERSION, 0);

	if (version != KVM_API_VERSION)
		return err_set(e, ENOSYS, "/dev/kvm: version %d of its interface, %d is wanted", version, KVM_API_VERSION);
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, needed[i].number) <= 0)
			return err_set(e, ENOSYS, "/dev/kvm: without %s", needed[i].name);
	}
	return 0;
}

int kvm_open(struct err *e)
{
	auto_fd int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int r;

	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return err_set(e, EACCES, "/dev/kvm: no permission (is the user in the group kvm?)");
	if (fd < 0 && (errno == ENODEV || errno == ENXIO))
		return err_set(e, ENOENT, "/dev/kvm: no driver behind it (virtualisation switched off?)");
	if (fd < 0)
		return err_errno(e, "/dev/kvm");
	r = check(fd, e);
	return r < 0 ? r : take_fd(&fd);
}

/* popcnt %ax of 0x00ff, through an SSE register and back by memory; the sum goes to the port. */
static const uint8_t code[] = {
	0xb8, 0xff, 0x00,             /* mov $0xff, %ax */
	0xf3, 0x0f, 0xb8, 0xc0,       /* popcnt %ax, %ax */
	0xa2, 0x00, 0x18,             /* mov %al, 0x1800 */
	0x0f, 0x10, 0x06, 0x00, 0x18, /* movups 0x1800, %xmm0 */
	0x0f, 0x11, 0x06, 0x10, 0x18, /* movups %xmm0, 0x1810 */
	0xa0, 0x10, 0x18,             /* mov 0x1810, %al */
	0xe6, PORT,                   /* out %al, $PORT */
	0xf4,                         /* hlt */
};

static int fill(struct kvm_probe_machine *m, int kvm_fd, struct err *e)
{
	struct kvm_userspace_memory_region region = { .guest_phys_addr = CODE, .memory_size = PAGE };
	int run_size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	m->vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (m->vm_fd < 0)
		return err_errno(e, "making a virtual machine");
	m->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->page == MAP_FAILED)
		return err_errno(e, "memory for it");
	memcpy(m->page, code, sizeof(code));
	region.userspace_addr = (uintptr_t)m->page;
	if (ioctl(m->vm_fd, KVM_SET_TSS_ADDR, 0xfffbd000ul) < 0 || ioctl(m->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return err_errno(e, "giving it memory");
	m->cpu_fd = ioctl(m->vm_fd, KVM_CREATE_VCPU, 0);
	if (m->cpu_fd < 0 || run_size < (int)sizeof(struct kvm_run))
		return err_errno(e, "making its processor");
	m->run_size = (size_t)run_size;
	m->run = mmap(NULL, m->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, m->cpu_fd, 0);
	return m->run == MAP_FAILED ? err_errno(e, "mapping its processor") : 0;
}

static int set_state(const struct kvm_probe_machine *m, struct err *e)
{
	struct kvm_regs regs = { .rip = CODE, .rflags = 2 };
	struct kvm_sregs sregs;

	if (ioctl(m->cpu_fd, KVM_GET_SREGS, &sregs) < 0)
		return err_errno(e, "reading its registers");
	sregs.cs.base = sregs.cs.selector = 0;
	sregs.cr4 |= CR4_OSFXSR;
	if (ioctl(m->cpu_fd, KVM_SET_SREGS, &sregs) < 0 || ioctl(m->cpu_fd, KVM_SET_REGS, &regs) < 0)
		return err_errno(e, "setting its registers");
	return 0;
}

static void say(struct kvm_probe *out, enum kvm_verdict v, const char *why)
{
	out->verdict = v;
	snprintf(out->why, sizeof(out->why), "%s", why);
}

static void judge(const struct kvm_probe_machine *m, struct kvm_probe *out)
{
	const uint8_t *sent = (const uint8_t *)m->run + m->run->io.data_offset;

	if (m->run->exit_reason == KVM_EXIT_INTERNAL_ERROR) {
		say(out, KVM_NO_HARDWARE,
		    "/dev/kvm: KVM without hardware virtualization: it can't run what every program needs (POPCNT, SSE)");
	} else if (m->run->exit_reason != KVM_EXIT_IO || m->run->io.port != PORT || *sent != 8) {
		char why[sizeof(out->why)];

		snprintf(why, sizeof(why), "/dev/kvm: a machine of ten instructions went wrong (exit %u)", m->run->exit_reason);
		say(out, KVM_FAILED, why);
	} else {
		say(out, KVM_USABLE, "");
	}
}

void kvm_probe_release(struct kvm_probe_machine *m)
{
	if (m->run != MAP_FAILED)
		munmap(m->run, m->run_size);
	close_fd(&m->cpu_fd);
	close_fd(&m->vm_fd);
	if (m->page != MAP_FAILED)
		munmap(m->page, PAGE);
}

static int run(const struct kvm_probe_machine *m, struct err *e)
{
	int r;

	do {
		r = ioctl(m->cpu_fd, KVM_RUN, 0);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? err_errno(e, "running it") : 0;
}

void kvm_probe_run(int kvm_fd, struct kvm_probe *out, struct kvm_probe_machine *left)
{
	struct err e;

	*left = (struct kvm_probe_machine){ .vm_fd = -EBADF, .cpu_fd = -EBADF, .page = MAP_FAILED, .run = MAP_FAILED };
	if (fill(left, kvm_fd, &e) < 0 || set_state(left, &e) < 0 || run(left, &e) < 0) {
		err_in(&e, "/dev/kvm");
		say(out, KVM_FAILED, e.text);
	} else {
		judge(left, out);
	}
}

void kvm_probe(struct kvm_probe *out)
{
	struct kvm_probe_machine left;
	struct err e;
	auto_fd int fd = kvm_open(&e);

	if (fd >= 0) {
		kvm_probe_run(fd, out, &left);
		kvm_probe_release(&left);
		return;
	}
	say(out, fd == -EACCES ? KVM_FORBIDDEN : fd == -ENOENT ? KVM_MISSING : fd == -ENOSYS ? KVM_TOO_OLD : KVM_FAILED, e.text);
}
