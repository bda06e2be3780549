/* vm.c - the ioctls of a virtual machine */
#include "hwvirt-sandbox/kvm/vm.h"

#include "base/cleanup.h"

#include <linux/kvm.h>
#include <sys/ioctl.h>

/* Three pages and one that Intel's processors need for themselves; below the last 256 KiB, where firmware would be. */
#define TSS_ADDR      0xfffbd000ul
#define IDENTITY_ADDR 0xfffbc000ull

static int add_memory(int vm_fd, uint32_t slot, uint64_t gpa, uint64_t size, const uint8_t *at, struct err *e)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)at,
	};

	return ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? err_errno(e, "giving it memory") : 0;
}

static int add_all_memory(int vm_fd, const struct guest_mem *mem, struct err *e)
{
	int r = add_memory(vm_fd, 0, 0, mem->low_size, mem->base, e);

	if (r < 0 || mem->high_size == 0)
		return r;
	return add_memory(vm_fd, 1, GUEST_HIGH, mem->high_size, mem->base + mem->low_size, e);
}

static int add_chips(int vm_fd, bool pit, struct err *e)
{
	struct kvm_pit_config config = { .flags = KVM_PIT_SPEAKER_DUMMY };
	uint64_t identity = IDENTITY_ADDR;

	if (ioctl(vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0 || ioctl(vm_fd, KVM_SET_TSS_ADDR, TSS_ADDR) < 0)
		return err_errno(e, "setting KVM's own addresses");
	if (ioctl(vm_fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return err_errno(e, "making its interrupt controllers");
	if (pit && ioctl(vm_fd, KVM_CREATE_PIT2, &config) < 0)
		return err_errno(e, "making its timer");
	return 0;
}

int kvm_vm_create(int kvm_fd, const struct guest_mem *mem, bool pit, struct kvm_vm *out, struct err *e)
{
	auto_fd int fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	int r;

	if (fd < 0)
		return err_errno(e, "virtual machine: making it");
	r = add_chips(fd, pit, e);
	if (r >= 0)
		r = add_all_memory(fd, mem, e);
	if (r < 0)
		return err_in(e, "virtual machine");
	*out = (struct kvm_vm){ .kvm_fd = kvm_fd, .vm_fd = take_fd(&fd) };
	return 0;
}

void kvm_vm_release(struct kvm_vm *vm)
{
	close_fd(&vm->vm_fd);
	*vm = KVM_VM_NONE;
}

int kvm_vm_ioeventfd(const struct kvm_vm *vm, uint64_t gpa, uint32_t value, int event_fd, struct err *e)
{
	struct kvm_ioeventfd io = {
		.datamatch = value,
		.addr = gpa,
		.len = sizeof(value),
		.fd = event_fd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};

	return ioctl(vm->vm_fd, KVM_IOEVENTFD, &io) < 0 ? err_errno(e, "virtual machine: an event for a write") : 0;
}

int kvm_vm_irqfd(const struct kvm_vm *vm, uint32_t gsi, int event_fd, struct err *e)
{
	struct kvm_irqfd irq = { .fd = (uint32_t)event_fd, .gsi = gsi };

	return ioctl(vm->vm_fd, KVM_IRQFD, &irq) < 0 ? err_errno(e, "virtual machine: interrupt line %u", gsi) : 0;
}
