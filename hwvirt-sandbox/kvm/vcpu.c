/* vcpu.c - the loop around KVM_RUN, and how it is interrupted
 *
 * A request to pause or stop is made under the lock: it sets immediate_exit in each processor's shared page and sends its thread a
 * signal. Whether the thread is in the guest, about to enter it, or outside with an access of the guest, its next KVM_RUN ends with
 * EINTR; by then the access is complete in the registers. Only there does it look at the request, and it clears immediate_exit
 * under the same lock, so no request is lost and none is seen twice.
 */
#include "hwvirt-sandbox/kvm/vcpu.h"

#include "base/cleanup.h"

#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

static int open_cpu(struct vcpu *c, const struct kvm_vm *vm, size_t run_size, struct err *e)
{
	auto_fd int fd = ioctl(vm->vm_fd, KVM_CREATE_VCPU, (unsigned long)c->id);
	void *run;

	if (fd < 0)
		return err_errno(e, "processor %u: making it", c->id);
	run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (run == MAP_FAILED)
		return err_errno(e, "processor %u: mapping its page", c->id);
	c->run = run;
	c->fd = take_fd(&fd);
	return 0;
}

int vcpu_set_init(struct vcpu_set *s, const struct kvm_vm *vm, unsigned n, const struct bus *pio, const struct bus *mmio,
		  struct err *e)
{
	int size = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	*s = (struct vcpu_set){ .pio = pio, .mmio = mmio, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
	if (n == 0 || n > VCPUS_MAX)
		return err_set(e, EINVAL, "%u processors: 1 to %d are possible", n, VCPUS_MAX);
	if (size < (int)sizeof(struct kvm_run))
		return err_set(e, EINVAL, "processors: KVM's page for them has %d bytes", size);
	s->run_size = (size_t)size;
	for (s->n = 0; s->n < n; s->n++) {
		struct vcpu *c = &s->cpus[s->n];
		int r;

		*c = (struct vcpu){ .set = s, .id = s->n, .fd = -EBADF };
		r = open_cpu(c, vm, s->run_size, e);
		if (r < 0) {
			vcpu_set_release(s);
			return r;
		}
	}
	return 0;
}

/* The caller holds the lock. */
static void kick_all(struct vcpu_set *s, enum vcpu_request why)
{
	s->request = why;
	for (unsigned i = 0; i < s->n_threads; i++) {
		__atomic_store_n(&s->cpus[i].run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		pthread_kill(s->cpus[i].thread, SIGUSR1);
	}
	pthread_cond_broadcast(&s->changed);
}

void vcpu_set_end(struct vcpu_set *s, enum vm_cause cause, int status, const char *why)
{
	pthread_mutex_lock(&s->lock);
	if (s->end.cause == VM_NOT_ENDED) {
		s->end = (struct vm_end){ .cause = cause, .status = status };
		snprintf(s->end.why, sizeof(s->end.why), "%s", why);
		kick_all(s, VCPUS_STOP);
	}
	pthread_mutex_unlock(&s->lock);
}

/* What KVM_RUN was interrupted for: waits while paused. False: stop. */
static bool heed(struct vcpu *c)
{
	struct vcpu_set *s = c->set;
	bool go_on;

	pthread_mutex_lock(&s->lock);
	__atomic_store_n(&c->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	s->n_parked++;
	pthread_cond_broadcast(&s->changed);
	while (s->request == VCPUS_PAUSE)
		pthread_cond_wait(&s->changed, &s->lock);
	s->n_parked--;
	go_on = s->request == VCPUS_RUN;
	pthread_mutex_unlock(&s->lock);
	return go_on;
}

static void do_io(const struct vcpu *c)
{
	const struct bus *pio = c->set->pio;
	unsigned width = c->run->io.size;
	uint8_t *at = (uint8_t *)c->run + c->run->io.data_offset;

	for (uint32_t i = 0; i < c->run->io.count; i++, at += width) {
		uint64_t v = 0;

		if (c->run->io.direction == KVM_EXIT_IO_OUT) {
			memcpy(&v, at, width);
			bus_write(pio, c->run->io.port, width, v);
		} else {
			v = bus_read(pio, c->run->io.port, width);
			memcpy(at, &v, width);
		}
	}
}

static void do_mmio(const struct vcpu *c)
{
	const struct bus *mmio = c->set->mmio;
	unsigned width = c->run->mmio.len <= 8 ? c->run->mmio.len : 8;
	uint64_t v = 0;

	if (c->run->mmio.is_write) {
		memcpy(&v, c->run->mmio.data, width);
		bus_write(mmio, c->run->mmio.phys_addr, width, v);
	} else {
		v = bus_read(mmio, c->run->mmio.phys_addr, width);
		memcpy(c->run->mmio.data, &v, width);
	}
}

static void broken(const struct vcpu *c, const char *what, unsigned long long detail)
{
	struct kvm_regs regs = { .rip = 0 };
	char why[sizeof(c->set->end.why)];

	if (ioctl(c->fd, KVM_GET_REGS, &regs) < 0)
		regs.rip = 0;
	snprintf(why, sizeof(why), "processor %u: %s (%llu) at 0x%llx", c->id, what, detail, (unsigned long long)regs.rip);
	vcpu_set_end(c->set, VM_BROKEN, 0, why);
}

static bool give_up(const struct vcpu *c, int error)
{
	broken(c, "KVM_RUN failed", (unsigned long long)error);
	return false;
}

/* What instruction KVM could not emulate, where it says so. */
static void internal_error(const struct vcpu *c)
{
	char what[80] = "internal error of KVM";
	size_t n = strlen(what);

	if (c->run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION && c->run->internal.ndata >= 4 &&
	    (c->run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) {
		n += (size_t)snprintf(what + n, sizeof(what) - n, ", instruction");
		for (unsigned i = 0; i < c->run->emulation_failure.insn_size && i < sizeof(c->run->emulation_failure.insn_bytes);
		     i++)
			n += (size_t)snprintf(what + n, sizeof(what) - n, " %02x", c->run->emulation_failure.insn_bytes[i]);
	}
	broken(c, what, c->run->internal.suberror);
}

/* After KVM_RUN returned for the guest's sake. */
static void leave(const struct vcpu *c)
{
	switch (c->run->exit_reason) {
	case KVM_EXIT_IO:
		do_io(c);
		return;
	case KVM_EXIT_MMIO:
		do_mmio(c);
		return;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		return;
	case KVM_EXIT_SHUTDOWN:
		vcpu_set_end(c->set, VM_TRIPLE_FAULT, 0, "triple fault");
		return;
	case KVM_EXIT_INTERNAL_ERROR:
		internal_error(c);
		return;
	case KVM_EXIT_FAIL_ENTRY:
		broken(c, "the processor refused to enter the guest", c->run->fail_entry.hardware_entry_failure_reason);
		return;
	default:
		broken(c, "unexpected exit", c->run->exit_reason);
	}
}

static void *run(void *arg)
{
	struct vcpu *c = arg;
	struct vcpu_set *s = c->set;
	bool go_on = true;
	char name[16];

	snprintf(name, sizeof(name), "vcpu %u", c->id);
	prctl(PR_SET_NAME, name);
	while (go_on) {
		if (ioctl(c->fd, KVM_RUN, 0) == 0)
			leave(c);
		else if (errno == EINTR)
			go_on = heed(c);
		else if (errno != EAGAIN)
			go_on = give_up(c, errno);
	}
	pthread_mutex_lock(&s->lock);
	s->n_left++;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void ignore(int sig)
{
	(void)sig;
}

/* The lock is held, so a processor that ends the machine at once finds all threads known. */
static int start_threads(struct vcpu_set *s)
{
	for (; s->n_threads < s->n; s->n_threads++) {
		struct vcpu *c = &s->cpus[s->n_threads];
		int r = pthread_create(&c->thread, NULL, run, c);

		if (r)
			return r;
	}
	return 0;
}

int vcpu_set_start(struct vcpu_set *s, struct err *e)
{
	struct sigaction sa = { .sa_handler = ignore };
	struct vm_end end;
	int r;

	if (sigaction(SIGUSR1, &sa, NULL) < 0)
		return err_errno(e, "processors: sigaction");
	pthread_mutex_lock(&s->lock);
	r = start_threads(s);
	pthread_mutex_unlock(&s->lock);
	if (r == 0)
		return 0;
	vcpu_set_end(s, VM_BROKEN, 0, "a thread could not be made");
	vcpu_set_wait(s, &end);
	return err_set(e, r, "processors: making a thread: %s", strerror(r));
}

/* The guest's watchdogs are to forgive the time that passes. A guest that does not use KVM's clock has none to tell. */
static void tell_clock(const struct vcpu *c)
{
	int r = ioctl(c->fd, KVM_KVMCLOCK_CTRL, 0);

	(void)r;
}

int vcpu_set_pause(struct vcpu_set *s, struct err *e)
{
	bool paused;

	pthread_mutex_lock(&s->lock);
	if (s->request == VCPUS_RUN)
		kick_all(s, VCPUS_PAUSE);
	while (s->request == VCPUS_PAUSE && s->n_parked < s->n_threads)
		pthread_cond_wait(&s->changed, &s->lock);
	paused = s->request == VCPUS_PAUSE;
	for (unsigned i = 0; paused && i < s->n_threads; i++)
		tell_clock(&s->cpus[i]);
	pthread_mutex_unlock(&s->lock);
	return paused ? 0 : err_set(e, ESRCH, "the virtual machine has ended, or was resumed");
}

void vcpu_set_resume(struct vcpu_set *s)
{
	pthread_mutex_lock(&s->lock);
	if (s->request == VCPUS_PAUSE)
		s->request = VCPUS_RUN;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

void vcpu_set_wait(struct vcpu_set *s, struct vm_end *out)
{
	pthread_mutex_lock(&s->lock);
	while (s->n_left < s->n_threads)
		pthread_cond_wait(&s->changed, &s->lock);
	*out = s->end;
	pthread_mutex_unlock(&s->lock);
	while (s->n_threads)
		pthread_join(s->cpus[--s->n_threads].thread, NULL);
	s->n_left = 0;
}

void vcpu_set_release(struct vcpu_set *s)
{
	while (s->n) {
		struct vcpu *c = &s->cpus[--s->n];

		munmap(c->run, s->run_size);
		close_fd(&c->fd);
	}
}
