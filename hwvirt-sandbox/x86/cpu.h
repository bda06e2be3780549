/* cpu.h - a processor's registers at its start */
#pragma once
#include "hwvirt-sandbox/kvm/vcpu.h"
#include "hwvirt-sandbox/x86/boot.h"

/* CPUID, model-specific registers and FPU of all of the set; the first begins at the entry, the others wait to be started. */
must_check int cpu_setup(const struct kvm_vm *vm, const struct vcpu_set *s, const struct boot_entry *entry, struct err *e);
