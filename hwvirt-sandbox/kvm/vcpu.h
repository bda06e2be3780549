/* vcpu.h - the processors of a virtual machine, each a thread
 *
 * A set of them runs, pauses and ends together. The first that gives a reason ends the machine: a reset, a triple fault, an error of
 * KVM's, or whoever calls vcpu_set_end().
 */
#pragma once
#include "hwvirt-sandbox/bus.h"
#include "hwvirt-sandbox/kvm/vm.h"

#include <pthread.h>

struct kvm_run;

enum { VCPUS_MAX = 64 };

enum vm_cause {
	VM_NOT_ENDED,
	VM_STOPPED,      /* by our own side */
	VM_STATUS,       /* the guest gave an exit status */
	VM_RESET,        /* the guest asked for a reset */
	VM_TRIPLE_FAULT, /* so does a Linux that reboots by reboot=t, or panics */
	VM_BROKEN,       /* KVM can't go on; why says where */
};

struct vm_end {
	enum vm_cause cause;
	int status; /* of VM_STATUS */
	char why[160];
};

struct vcpu {
	struct vcpu_set *set;
	int fd; /* owned */
	unsigned id;
	struct kvm_run *run;
	pthread_t thread;
};

enum vcpu_request { VCPUS_RUN, VCPUS_PAUSE, VCPUS_STOP };

struct vcpu_set {
	const struct bus *pio, *mmio; /* borrowed */
	size_t run_size;
	unsigned n, n_threads;
	struct vcpu cpus[VCPUS_MAX];

	pthread_mutex_t lock; /* of what follows, and of immediate_exit in each cpus[].run */
	pthread_cond_t changed;
	enum vcpu_request request;
	unsigned n_parked, n_left; /* threads that wait, that have ended */
	struct vm_end end;
};

/* Makes n processors; the set must stay where it is. pio and mmio answer what the guest accesses. */
must_check int vcpu_set_init(struct vcpu_set *s, const struct kvm_vm *vm, unsigned n, const struct bus *pio, const struct bus *mmio,
			     struct err *e);

/* Lets them run; the first one begins where its registers say, the others when it starts them. SIGUSR1 becomes ours. */
must_check int vcpu_set_start(struct vcpu_set *s, struct err *e);

/* Returns when none runs, each with its last access complete. ESRCH when the machine has ended. */
must_check int vcpu_set_pause(struct vcpu_set *s, struct err *e);
void vcpu_set_resume(struct vcpu_set *s);

/* Ends the machine; any thread may, also one of the processors. The first reason counts. */
void vcpu_set_end(struct vcpu_set *s, enum vm_cause cause, int status, const char *why);

/* Waits until the machine has ended and its threads with it; says why. */
void vcpu_set_wait(struct vcpu_set *s, struct vm_end *out);

/* After vcpu_set_wait(), or when it was never started. */
void vcpu_set_release(struct vcpu_set *s);
