/* probe.h - can this machine run guests?
 *
 * That /dev/kvm can be opened does not say so: where KVM has no virtualisation by the processor it emulates, and gives up at the first
 * instruction that it does not know. So a machine of one page runs a few of those that every kernel and C library needs. That takes
 * some milliseconds; the answer holds until the next boot, and callers that ask often keep it that long.
 */
#pragma once
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum kvm_verdict {
	KVM_USABLE,
	KVM_MISSING,     /* there is no /dev/kvm, or no driver behind it */
	KVM_FORBIDDEN,   /* we may not open it */
	KVM_TOO_OLD,     /* an interface is missing */
	KVM_NO_HARDWARE, /* it emulates */
	KVM_FAILED,      /* it ought to work and does not */
};

/* What ran, and is still there: KVM waits for others when a machine goes. */
struct kvm_probe_machine {
	int vm_fd, cpu_fd;
	uint8_t *page;
	struct kvm_run *run;
	size_t run_size;
};

struct kvm_probe {
	enum kvm_verdict verdict;
	char why[ERR_TEXT_MAX]; /* a line for people; empty when usable */
};

/* Opens /dev/kvm and checks the version and what we need of it. Returns the descriptor. *e names the cause, its code is ENOENT
 * (KVM_MISSING), EACCES (KVM_FORBIDDEN) or ENOSYS (KVM_TOO_OLD). */
must_check int kvm_open(struct err *e);

void kvm_probe(struct kvm_probe *out);

/* The same on an open /dev/kvm; *left is to be given to kvm_probe_release(), when it is no longer waited for. */
void kvm_probe_run(int kvm_fd, struct kvm_probe *out, struct kvm_probe_machine *left);
void kvm_probe_release(struct kvm_probe_machine *m);
