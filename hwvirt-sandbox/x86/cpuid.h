/* cpuid.h - what a guest's processor says about itself */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct kvm_cpuid2;

enum { CPUID_ENTRIES_MAX = 256 };

struct cpuid_topology {
	uint32_t apic_id, n_cpus; /* one package of n_cpus cores, one thread each */
	bool tsc_deadline;        /* KVM has that timer */
};

/* Turns what KVM supports (KVM_GET_SUPPORTED_CPUID) into what the processor of that APIC id says: its place among the others, no
 * virtualisation of its own, no performance counters, and that there is a hypervisor. c has room for CPUID_ENTRIES_MAX entries. */
void cpuid_filter(struct kvm_cpuid2 *c, const struct cpuid_topology *t);
