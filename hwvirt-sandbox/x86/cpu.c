/* cpu.c - registers by the two ways to start: flat 32-bit without paging, or flat 64-bit with the page tables of boot.c */
#include "hwvirt-sandbox/x86/cpu.h"

#include "base/arena.h"
#include "hwvirt-sandbox/x86/cpuid.h"
#include "hwvirt-sandbox/x86/layout.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

enum { CR0_PE = 1, CR0_ET = 16, CR0_NE = 32, CR4_PAE = 32, EFER_LME = 0x100, EFER_LMA = 0x400, RFLAGS = 2 };
#define CR0_PG 0x80000000u

#define MSR_MISC_ENABLE  0x1a0
#define MSR_MTRR_DEFAULT 0x2ff
enum { FAST_STRINGS = 1, MTRR_ON_WRITE_BACK = 0x806 };

static int set_cpuid(const struct kvm_vm *vm, const struct vcpu *c, const struct cpuid_topology *t, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct kvm_cpuid2 *id = arena_alloc(&a, sizeof(*id) + CPUID_ENTRIES_MAX * sizeof(id->entries[0]));

	id->nent = CPUID_ENTRIES_MAX;
	if (ioctl(vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, id) < 0)
		return err_errno(e, "CPUID: what KVM supports");
	cpuid_filter(id, t);
	return ioctl(c->fd, KVM_SET_CPUID2, id) < 0 ? err_errno(e, "CPUID") : 0;
}

static int set_msrs(const struct vcpu *c, struct err *e)
{
	static const struct kvm_msr_entry wanted[] = {
		{ .index = MSR_MISC_ENABLE, .data = FAST_STRINGS },
		{ .index = MSR_MTRR_DEFAULT, .data = MTRR_ON_WRITE_BACK },
	};
	enum { N = sizeof(wanted) / sizeof(wanted[0]) };
	auto_arena struct arena a = { 0 };
	struct kvm_msrs *m = arena_alloc(&a, sizeof(*m) + sizeof(wanted));
	int n;

	m->nmsrs = N;
	memcpy(m->entries, wanted, sizeof(wanted));
	n = ioctl(c->fd, KVM_SET_MSRS, m);
	if (n < 0)
		return err_errno(e, "model-specific registers");
	return n < N ? err_set(e, EINVAL, "model-specific register 0x%x: KVM does not take it", wanted[n].index) : 0;
}

static int set_fpu(const struct vcpu *c, struct err *e)
{
	struct kvm_fpu fpu = { .fcw = 0x37f, .mxcsr = 0x1f80 };

	return ioctl(c->fd, KVM_SET_FPU, &fpu) < 0 ? err_errno(e, "FPU") : 0;
}

static void flat_segments(struct kvm_sregs *s, bool long_mode)
{
	struct kvm_segment seg = { .limit = UINT32_MAX, .selector = X86_CODE, .type = 11, .present = 1, .s = 1, .g = 1 };

	s->cs = seg;
	s->cs.l = long_mode;
	s->cs.db = !long_mode;
	seg.selector = X86_DATA;
	seg.type = 3;
	seg.db = 1;
	s->ds = s->es = s->fs = s->gs = s->ss = seg;
	s->tr = (struct kvm_segment){ .limit = 0x67, .type = 11, .present = 1 };
}

static void long_mode(struct kvm_sregs *s)
{
	s->cr3 = X86_PAGE_TABLES;
	s->cr4 = CR4_PAE;
	s->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
	s->efer = EFER_LME | EFER_LMA;
	s->gdt.base = X86_GDT;
	s->gdt.limit = 4 * 8 - 1;
}

static int set_entry(const struct vcpu *c, const struct boot_entry *entry, struct err *e)
{
	struct kvm_regs regs = { .rip = entry->ip, .rflags = RFLAGS };
	struct kvm_sregs sregs;

	if (ioctl(c->fd, KVM_GET_SREGS, &sregs) < 0)
		return err_errno(e, "reading its registers");
	flat_segments(&sregs, entry->kind == IMAGE_LINUX64);
	if (entry->kind == IMAGE_LINUX64) {
		long_mode(&sregs);
		regs.rsi = entry->info;
		regs.rsp = X86_STACK;
	} else {
		sregs.cr0 = CR0_PE | CR0_ET;
		regs.rbx = entry->info;
	}
	if (ioctl(c->fd, KVM_SET_SREGS, &sregs) < 0 || ioctl(c->fd, KVM_SET_REGS, &regs) < 0)
		return err_errno(e, "setting its registers");
	return 0;
}

static int setup_one(const struct kvm_vm *vm, const struct vcpu *c, const struct cpuid_topology *t, struct err *e)
{
	int r = set_cpuid(vm, c, t, e);

	if (r >= 0)
		r = set_msrs(c, e);
	return r < 0 ? r : set_fpu(c, e);
}

int cpu_setup(const struct kvm_vm *vm, const struct vcpu_set *s, const struct boot_entry *entry, struct err *e)
{
	struct cpuid_topology t = { .n_cpus = s->n };

	t.tsc_deadline = ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	for (unsigned i = 0; i < s->n; i++) {
		int r;

		t.apic_id = i;
		r = setup_one(vm, &s->cpus[i], &t, e);
		if (r >= 0 && i == 0)
			r = set_entry(&s->cpus[i], entry, e);
		if (r < 0)
			return err_in(e, "processor %u", i);
	}
	return 0;
}
