/* vm.h - a virtual machine: memory, interrupt controllers, events */
#pragma once
#include "hwvirt-sandbox/guest_mem.h"

struct kvm_vm {
	int kvm_fd; /* borrowed */
	int vm_fd;  /* owned */
};

#define KVM_VM_NONE ((struct kvm_vm){ .kvm_fd = -EBADF, .vm_fd = -EBADF })

/* A machine with mem as its memory, which must outlive it, two PICs, an IOAPIC and, when pit is set, a PIT, all in the kernel. */
must_check int kvm_vm_create(int kvm_fd, const struct guest_mem *mem, bool pit, struct kvm_vm *out, struct err *e);
void kvm_vm_release(struct kvm_vm *vm);

/* From now on a 4-byte write of `value` to the address gpa makes event_fd (borrowed) readable and does not leave the kernel. */
must_check int kvm_vm_ioeventfd(const struct kvm_vm *vm, uint64_t gpa, uint32_t value, int event_fd, struct err *e);

/* From now on each write to event_fd (borrowed) is an edge on interrupt line gsi. */
must_check int kvm_vm_irqfd(const struct kvm_vm *vm, uint32_t gsi, int event_fd, struct err *e);
