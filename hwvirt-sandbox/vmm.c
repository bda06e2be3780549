/* vmm.c - the parts put together
 *
 * System calls while a guest runs: of a processor's thread ioctl (KVM_RUN; KVM_GET_REGS when it breaks), write of eventfds, poll
 * and write of the serial port's descriptor, futex, rt_sigreturn, exit, and those of devices' functions that registers call; of the
 * device thread epoll_wait, read and write of eventfds, futex, exit, and those of devices.
 */
#include "hwvirt-sandbox/vmm.h"

#include "base/cleanup.h"
#include "hwvirt-sandbox/serial.h"
#include "hwvirt-sandbox/virtio/mmio.h"
#include "hwvirt-sandbox/x86/cmdline.h"
#include "hwvirt-sandbox/x86/cpu.h"
#include "hwvirt-sandbox/x86/layout.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

enum { EXIT_PORT = VMM_EXIT_PORT, I8042_COMMAND = 0x64, I8042_RESET = 0xfe };

/* A device in its place. */
struct slot {
	pthread_mutex_t lock; /* of mmio and the device behind it */
	struct virtio_mmio mmio;
	int irq_fd;
	int kick_fd[VIRTIO_QUEUES_MAX];
};

struct vmm {
	struct vmm_config config;
	struct guest_mem mem;
	struct kvm_vm vm;
	struct vcpu_set cpus;
	struct bus pio, mmio;
	struct serial serial;
	int serial_irq_fd;
	unsigned n_slots;
	struct slot slots[X86_MMIO_SLOTS];
	int epoll_fd, stop_fd;
	pthread_t loop;
	bool started;
};

static int new_event(int *out, struct err *e)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return err_errno(e, "eventfd");
	*out = fd;
	return 0;
}

/* Its counter can't overflow: who waits for it is served before. */
static void signal_event(int fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));

	(void)n;
}

static void drain_event(int fd)
{
	uint64_t count;
	ssize_t n = read(fd, &count, sizeof(count));

	(void)n;
}

/* ---- ports ---- */
static void write_exit(void *arg, uint64_t offset, unsigned width, uint64_t value)
{
	struct vmm *v = arg;

	(void)offset;
	if (width == 1)
		vcpu_set_end(&v->cpus, VM_STATUS, (int)value, "exit status");
}

static void write_i8042(void *arg, uint64_t offset, unsigned width, uint64_t value)
{
	struct vmm *v = arg;

	(void)offset;
	if (width == 1 && value == I8042_RESET)
		vcpu_set_end(&v->cpus, VM_RESET, 0, "reset");
}

static void serial_irq(void *arg)
{
	signal_event(((struct vmm *)arg)->serial_irq_fd);
}

static int add_serial(struct vmm *v, struct err *e)
{
	struct bus_range r = {
		.base = SERIAL_PORT, .len = SERIAL_PORTS, .read = serial_read, .write = serial_write, .arg = &v->serial
	};
	int got = new_event(&v->serial_irq_fd, e);

	serial_init(&v->serial, v->config.serial_fd, serial_irq, v);
	if (got >= 0)
		got = kvm_vm_irqfd(&v->vm, SERIAL_IRQ, v->serial_irq_fd, e);
	return got < 0 ? got : bus_add(&v->pio, &r, e);
}

static int add_ports(struct vmm *v, struct err *e)
{
	struct bus_range i8042 = { .base = I8042_COMMAND, .len = 1, .write = write_i8042, .arg = v };
	struct bus_range exit = { .base = EXIT_PORT, .len = 1, .write = write_exit, .arg = v };
	int r = bus_add(&v->pio, &i8042, e);

	if (r >= 0 && v->config.exit_port)
		r = bus_add(&v->pio, &exit, e);
	if (r >= 0 && v->config.serial_fd >= 0)
		r = add_serial(v, e);
	return r;
}

/* ---- devices ---- */
static uint64_t slot_read(void *arg, uint64_t offset, unsigned width)
{
	struct slot *s = arg;
	uint64_t v;

	pthread_mutex_lock(&s->lock);
	v = virtio_mmio_read(&s->mmio, offset, width);
	pthread_mutex_unlock(&s->lock);
	return v;
}

static void slot_write(void *arg, uint64_t offset, unsigned width, uint64_t value)
{
	struct slot *s = arg;

	pthread_mutex_lock(&s->lock);
	virtio_mmio_write(&s->mmio, offset, width, value);
	pthread_mutex_unlock(&s->lock);
}

static void slot_irq(void *arg)
{
	signal_event(((struct slot *)arg)->irq_fd);
}

static int watch(const struct vmm *v, int fd, uint64_t data, struct err *e)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = data };

	return epoll_ctl(v->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? err_errno(e, "epoll") : 0;
}

/* What the loop knows a descriptor by: a slot, and which of its queues or other events. */
enum { EVENT_POLL = 0xfe, EVENT_CALL = 0xff };
#define TAG_STOP UINT64_MAX

static uint64_t tag(unsigned slot, unsigned event)
{
	return (uint64_t)slot << 8 | event;
}

static int notify_by(struct vmm *v, unsigned slot, unsigned queue, int event_fd, struct err *e)
{
	return kvm_vm_ioeventfd(&v->vm, X86_MMIO_BASE + slot * X86_MMIO_SIZE + VIRTIO_MMIO_QUEUE_NOTIFY, queue, event_fd, e);
}

static int add_queue(struct vmm *v, struct slot *s, unsigned slot, unsigned queue, struct err *e)
{
	int r = new_event(&s->kick_fd[queue], e);

	if (r >= 0)
		r = notify_by(v, slot, queue, s->kick_fd[queue], e);
	return r < 0 ? r : watch(v, s->kick_fd[queue], tag(slot, queue), e);
}

static int add_queues(struct vmm *v, struct slot *s, unsigned slot, const struct virtio_device *d, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; r >= 0 && i < d->ops->n_queues; i++)
		r = d->remote ? notify_by(v, slot, i, d->remote->kick_fd[i], e) : add_queue(v, s, slot, i, e);
	if (r >= 0 && d->remote)
		r = watch(v, d->remote->call_fd, tag(slot, EVENT_CALL), e);
	if (r >= 0 && d->ops->ready)
		r = watch(v, d->poll_fd, tag(slot, EVENT_POLL), e);
	return r;
}

static int wire(struct vmm *v, struct slot *s, unsigned slot, struct virtio_device *d, struct err *e)
{
	struct bus_range range = { .base = X86_MMIO_BASE + slot * X86_MMIO_SIZE, .len = VIRTIO_MMIO_SIZE, .arg = s };
	int r = new_event(&s->irq_fd, e);

	range.read = slot_read;
	range.write = slot_write;
	if (r >= 0)
		r = kvm_vm_irqfd(&v->vm, X86_MMIO_IRQ + slot, s->irq_fd, e);
	if (r >= 0)
		r = add_queues(v, s, slot, d, e);
	return r < 0 ? r : bus_add(&v->mmio, &range, e);
}

/* Counted from the beginning: what fails half way ends the machine, and vmm_free() takes it down. */
int vmm_add(struct vmm *v, struct virtio_device *d, struct err *e)
{
	unsigned slot = v->n_slots;
	struct slot *s = &v->slots[slot];
	int r;

	if (slot == X86_MMIO_SLOTS)
		return err_set(e, ENOSPC, "device %s: more than %d devices", d->ops->name, X86_MMIO_SLOTS);
	*s = (struct slot){ .lock = PTHREAD_MUTEX_INITIALIZER, .irq_fd = -EBADF };
	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++)
		s->kick_fd[i] = -EBADF;
	v->n_slots++;
	virtio_mmio_init(&s->mmio, d, slot_irq, s);
	r = wire(v, s, slot, d, e);
	return r < 0 ? err_in(e, "device %s", d->ops->name) : 0;
}

/* ---- the device thread ---- */
/* True: there is more to do, when the others had their turn. */
static bool turn(struct slot *s, unsigned event)
{
	struct virtio_device *d = s->mmio.device;

	if (event < VIRTIO_QUEUES_MAX)
		return virtio_mmio_kick(&s->mmio, event);
	if (event == EVENT_POLL)
		d->ops->ready(d);
	else
		d->interrupt(d->transport, VIRTIO_IRQ_QUEUE);
	return false;
}

static void serve(struct vmm *v, uint64_t data)
{
	struct slot *s = &v->slots[data >> 8];
	unsigned event = data & 0xff;
	bool more;

	if (event < VIRTIO_QUEUES_MAX)
		drain_event(s->kick_fd[event]);
	else if (event == EVENT_CALL)
		drain_event(s->mmio.device->remote->call_fd);
	pthread_mutex_lock(&s->lock);
	more = turn(s, event);
	pthread_mutex_unlock(&s->lock);
	if (more)
		signal_event(s->kick_fd[event]);
}

static void *loop(void *arg)
{
	struct vmm *v = arg;
	struct epoll_event events[16];

	prctl(PR_SET_NAME, "devices");
	for (;;) {
		int n = epoll_wait(v->epoll_fd, events, sizeof(events) / sizeof(events[0]), -1);

		if (n < 0 && errno != EINTR)
			vcpu_set_end(&v->cpus, VM_BROKEN, 0, "the device thread can't wait");
		for (int i = 0; i < n; i++) {
			if (events[i].data.u64 == TAG_STOP)
				return NULL;
			serve(v, events[i].data.u64);
		}
		if (n < 0 && errno != EINTR)
			return NULL;
	}
}

static int start_loop(struct vmm *v, struct err *e)
{
	int r = pthread_create(&v->loop, NULL, loop, v);

	return r ? err_set(e, r, "device thread: %s", strerror(r)) : 0;
}

static void stop_loop(struct vmm *v)
{
	signal_event(v->stop_fd);
	pthread_join(v->loop, NULL);
}

/* ---- the machine ---- */
static int make(struct vmm *v, struct err *e)
{
	const struct vmm_config *c = &v->config;
	int r = guest_mem_create(c->mem_size, &v->mem, e);

	if (r >= 0)
		r = kvm_vm_create(c->kvm_fd, &v->mem, c->pit, &v->vm, e);
	if (r >= 0)
		r = vcpu_set_init(&v->cpus, &v->vm, c->n_cpus, &v->pio, &v->mmio, e);
	if (r < 0)
		return r;
	v->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (v->epoll_fd < 0)
		return err_errno(e, "epoll");
	r = new_event(&v->stop_fd, e);
	if (r >= 0)
		r = watch(v, v->stop_fd, TAG_STOP, e);
	return r < 0 ? r : add_ports(v, e);
}

int vmm_new(const struct vmm_config *c, struct vmm **out, struct err *e)
{
	struct vmm *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return err_set(e, ENOMEM, "virtual machine: out of memory");
	v->config = *c;
	v->mem = GUEST_MEM_NONE;
	v->vm = KVM_VM_NONE;
	v->serial_irq_fd = v->epoll_fd = v->stop_fd = -EBADF;
	r = make(v, e);
	if (r < 0) {
		vmm_free(v);
		return r;
	}
	*out = v;
	return 0;
}

const struct guest_mem *vmm_memory(const struct vmm *v)
{
	return &v->mem;
}

static int load(struct vmm *v, struct err *e)
{
	const struct vmm_config *c = &v->config;
	char cmdline[X86_CMDLINE_MAX];
	struct cmdline_plan plan = { .more = c->cmdline, .n_devices = v->n_slots, .serial = c->serial_fd >= 0 };
	struct boot_source source = {
		.kernel_fd = c->kernel_fd, .initrd_fd = c->initrd_fd, .cmdline = cmdline, .n_cpus = c->n_cpus
	};
	struct boot_entry entry;
	int r = cmdline_write(&plan, cmdline, sizeof(cmdline), e);

	if (r >= 0)
		r = boot_load(&v->mem, &source, &entry, e);
	return r < 0 ? r : cpu_setup(&v->vm, &v->cpus, &entry, e);
}

int vmm_start(struct vmm *v, struct err *e)
{
	int r = load(v, e);

	if (r >= 0)
		r = start_loop(v, e);
	if (r < 0)
		return r;
	r = vcpu_set_start(&v->cpus, e);
	if (r < 0)
		stop_loop(v);
	v->started = r >= 0;
	return r;
}

int vmm_pause(struct vmm *v, struct err *e)
{
	return vcpu_set_pause(&v->cpus, e);
}

void vmm_resume(struct vmm *v)
{
	vcpu_set_resume(&v->cpus);
}

void vmm_stop(struct vmm *v)
{
	vcpu_set_end(&v->cpus, VM_STOPPED, 0, "stopped");
}

static void reset_devices(struct vmm *v)
{
	for (unsigned i = 0; i < v->n_slots; i++)
		slot_write(&v->slots[i], VIRTIO_MMIO_STATUS, 4, 0);
}

void vmm_wait(struct vmm *v, struct vm_end *out)
{
	vcpu_set_wait(&v->cpus, out);
	if (!v->started)
		return;
	v->started = false;
	stop_loop(v);
	reset_devices(v);
	if (v->config.serial_fd >= 0)
		serial_flush(&v->serial);
}

static void release_slots(struct vmm *v)
{
	for (unsigned i = 0; i < v->n_slots; i++) {
		close_fd(&v->slots[i].irq_fd);
		for (unsigned q = 0; q < VIRTIO_QUEUES_MAX; q++)
			close_fd(&v->slots[i].kick_fd[q]);
	}
}

void vmm_free(struct vmm *v)
{
	struct vm_end end;

	if (!v)
		return;
	if (v->started) {
		vmm_stop(v);
		vmm_wait(v, &end);
	}
	vcpu_set_release(&v->cpus);
	kvm_vm_release(&v->vm);
	release_slots(v);
	close_fd(&v->serial_irq_fd);
	close_fd(&v->stop_fd);
	close_fd(&v->epoll_fd);
	guest_mem_release(&v->mem);
	free(v);
}
