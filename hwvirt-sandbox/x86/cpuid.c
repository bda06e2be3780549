/* cpuid.c - pure: from KVM's answer to ours
 *
 * Leaves by Intel's and AMD's manuals: 1 features, 4 and 0x8000001d caches, 0xa performance counters, 0xb and 0x1f topology,
 * 0x80000001 AMD's features, 0x80000008 number of cores, 0x8000000a AMD's virtualisation, 0x8000001e AMD's topology, 0x80000022
 * AMD's counters.
 */
#include "hwvirt-sandbox/x86/cpuid.h"

#include <linux/kvm.h>
#include <string.h>

enum { LEVEL_THREAD = 1, LEVEL_CORE = 2 };
#define F1_ECX_VMX          (1u << 5)
#define F1_ECX_PDCM         (1u << 15)
#define F1_ECX_TSC_DEADLINE (1u << 24)
#define F1_ECX_HYPERVISOR   (1u << 31)
#define F1_EDX_HTT          (1u << 28)
#define AMD_ECX_SVM         (1u << 2)
#define AMD_ECX_COUNTERS    (1u << 23 | 1u << 24 | 1u << 28)

/* Bits that tell n apart. */
static uint32_t bits_for(uint32_t n)
{
	uint32_t bits = 0;

	while (1u << bits < n)
		bits++;
	return bits;
}

static void clear(struct kvm_cpuid_entry2 *e)
{
	e->eax = e->ebx = e->ecx = e->edx = 0;
}

static void features(struct kvm_cpuid_entry2 *e, const struct cpuid_topology *t)
{
	e->ebx = (e->ebx & 0xffff) | t->n_cpus << 16 | t->apic_id << 24;
	e->ecx &= ~(F1_ECX_VMX | F1_ECX_PDCM | F1_ECX_TSC_DEADLINE);
	e->ecx |= F1_ECX_HYPERVISOR | (t->tsc_deadline ? F1_ECX_TSC_DEADLINE : 0);
	e->edx = t->n_cpus > 1 ? e->edx | F1_EDX_HTT : e->edx & ~F1_EDX_HTT;
}

/* A cache: those of the first two levels belong to a core, the third to all. Intel counts the cores here, too. */
static void cache(struct kvm_cpuid_entry2 *e, const struct cpuid_topology *t)
{
	uint32_t type = e->eax & 0x1f, level = e->eax >> 5 & 7, all = (1u << bits_for(t->n_cpus)) - 1;

	if (type == 0)
		return;
	e->eax &= 0x3fff;
	if (level > 2)
		e->eax |= all << 14;
	if (e->function == 4)
		e->eax |= all << 26;
}

static void amd_cores(struct kvm_cpuid_entry2 *e, const struct cpuid_topology *t)
{
	e->ecx = (e->ecx & ~0xf0ffu) | (t->n_cpus - 1) | bits_for(t->n_cpus) << 12;
}

static void amd_place(struct kvm_cpuid_entry2 *e, const struct cpuid_topology *t)
{
	clear(e);
	e->eax = e->ebx = t->apic_id;
}

static void change(struct kvm_cpuid_entry2 *e, const struct cpuid_topology *t)
{
	switch (e->function) {
	case 1:
		features(e, t);
		return;
	case 4:
	case 0x8000001d:
		cache(e, t);
		return;
	case 0xa:
	case 0x8000000a:
	case 0x80000022:
		clear(e);
		return;
	case 0x80000001:
		e->ecx &= ~(AMD_ECX_SVM | AMD_ECX_COUNTERS);
		return;
	case 0x80000008:
		amd_cores(e, t);
		return;
	case 0x8000001e:
		amd_place(e, t);
		return;
	}
}

static void add_levels(struct kvm_cpuid2 *c, uint32_t function, const struct cpuid_topology *t)
{
	struct kvm_cpuid_entry2 level[3] = {
		{ .index = 0, .eax = 0, .ebx = 1, .ecx = LEVEL_THREAD << 8 },
		{ .index = 1, .eax = bits_for(t->n_cpus), .ebx = t->n_cpus, .ecx = 1 | LEVEL_CORE << 8 },
		{ .index = 2, .ecx = 2 },
	};

	for (unsigned i = 0; i < 3 && c->nent < CPUID_ENTRIES_MAX; i++) {
		level[i].function = function;
		level[i].flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		level[i].edx = t->apic_id;
		c->entries[c->nent++] = level[i];
	}
}

void cpuid_filter(struct kvm_cpuid2 *c, const struct cpuid_topology *t)
{
	bool levels = false, more_levels = false;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < c->nent; i++) {
		struct kvm_cpuid_entry2 *e = &c->entries[i];

		levels |= e->function == 0xb;
		more_levels |= e->function == 0x1f;
		if (e->function == 0xb || e->function == 0x1f)
			continue;
		change(e, t);
		c->entries[kept++] = *e;
	}
	c->nent = kept;
	if (levels)
		add_levels(c, 0xb, t);
	if (more_levels)
		add_levels(c, 0x1f, t);
}
