/* mmio.c - the register file and the status machine
 *
 * The driver climbs ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK; each write may only add bits, 0 resets. What a step allows is
 * checked at each write, so that a queue cannot change once the device works with it (the class of CVE-2026-5747): at DRIVER_OK the
 * layouts are turned into pointers, and from then on nobody looks at them.
 */
#include "hwvirt-sandbox/virtio/mmio.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define MAGIC  0x74726976u /* "virt" */
#define VENDOR 0x50555244u /* "DRUP" */

static void interrupt(void *transport, enum virtio_irq why)
{
	struct virtio_mmio *m = transport;

	atomic_fetch_or(&m->interrupt_status, (uint32_t)why);
	if (m->irq)
		m->irq(m->irq_arg);
}

void virtio_mmio_init(struct virtio_mmio *m, struct virtio_device *d, void (*irq)(void *arg), void *irq_arg)
{
	*m = (struct virtio_mmio){ .device = d, .irq = irq, .irq_arg = irq_arg };
	d->interrupt = interrupt;
	d->transport = m;
}

static uint64_t offered(const struct virtio_mmio *m)
{
	return m->device->ops->features | VIRTIO_F_COMMON;
}

static bool queue_exists(const struct virtio_mmio *m)
{
	return m->queue_sel < m->device->ops->n_queues;
}

static bool setting_up(const struct virtio_mmio *m)
{
	return (m->status & VIRTIO_FEATURES_OK) && !(m->status & VIRTIO_DRIVER_OK);
}

static void reset(struct virtio_mmio *m)
{
	struct virtio_device *d = m->device;

	if (d->active && d->ops->reset)
		d->ops->reset(d);
	d->active = false;
	d->needs_reset = false;
	d->features = 0;
	memset(d->queues, 0, sizeof(d->queues));
	m->status = m->device_sel = m->driver_sel = m->queue_sel = 0;
	m->driver_features = 0;
	memset(m->layout, 0, sizeof(m->layout));
	memset(m->queue_ready, 0, sizeof(m->queue_ready));
	atomic_store(&m->interrupt_status, 0);
}

static int start_queues(struct virtio_mmio *m, struct err *e)
{
	struct virtio_device *d = m->device;

	for (unsigned i = 0; i < d->ops->n_queues; i++) {
		int r;

		if (!m->queue_ready[i])
			continue;
		if (m->layout[i].size > d->ops->queue_max[i])
			return err_set(e, EINVAL, "queue %u: size %u is more than %u", i, m->layout[i].size, d->ops->queue_max[i]);
		r = virtq_start(&d->queues[i], d->mem, &m->layout[i], d->features & VIRTIO_F_EVENT_IDX,
				d->features & VIRTIO_F_INDIRECT_DESC, e);
		if (r < 0)
			return err_in(e, "queue %u", i);
	}
	return 0;
}

static void activate(struct virtio_mmio *m)
{
	struct virtio_device *d = m->device;
	struct err e;

	d->features = m->driver_features;
	if (start_queues(m, &e) < 0) {
		virtio_fail(d, &e);
		return;
	}
	d->active = true;
	if (d->ops->activate && d->ops->activate(d, &e) < 0)
		virtio_fail(d, &e);
}

/* Features are agreed upon when they are among those offered and the driver is no older than virtio 1. */
static bool acceptable(const struct virtio_mmio *m)
{
	return !(m->driver_features & ~offered(m)) && (m->driver_features & VIRTIO_F_VERSION_1);
}

static void write_status(struct virtio_mmio *m, uint32_t v)
{
	uint32_t added =
		v & ~m->status & (VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK | VIRTIO_FAILED);

	if (v == 0) {
		reset(m);
		return;
	}
	if ((added & VIRTIO_FEATURES_OK) && (!(m->status & VIRTIO_DRIVER) || !acceptable(m)))
		added &= ~(uint32_t)VIRTIO_FEATURES_OK;
	if ((added & VIRTIO_DRIVER_OK) && !(m->status & VIRTIO_FEATURES_OK))
		added &= ~(uint32_t)VIRTIO_DRIVER_OK;
	m->status |= added;
	if (added & VIRTIO_DRIVER_OK)
		activate(m);
}

static uint64_t read_config(struct virtio_mmio *m, uint64_t offset, unsigned width)
{
	const struct virtio_ops *ops = m->device->ops;
	uint8_t config[256] = { 0 };
	uint64_t v = 0;

	if (!ops->config_read || ops->config_len > sizeof(config) || offset > ops->config_len || width > ops->config_len - offset)
		return 0;
	ops->config_read(m->device, config);
	memcpy(&v, config + offset, width);
	return v;
}

static void write_config(struct virtio_mmio *m, uint64_t offset, unsigned width, uint64_t value)
{
	const struct virtio_ops *ops = m->device->ops;

	if (ops->config_write && offset <= ops->config_len && width <= ops->config_len - offset)
		ops->config_write(m->device, offset, (const uint8_t *)&value, width);
}

/* A process that serves the queues raises the line past these registers, so its reason is always there. A driver finds out from its
 * rings. */
static uint32_t interrupt_status(const struct virtio_mmio *m)
{
	return atomic_load(&m->interrupt_status) | (m->device->remote ? VIRTIO_IRQ_QUEUE : 0);
}

static uint32_t half(uint64_t v, uint32_t sel)
{
	return sel > 1 ? 0 : (uint32_t)(v >> (32 * sel));
}

static uint32_t read_register(struct virtio_mmio *m, uint64_t offset)
{
	switch (offset) {
	case VIRTIO_MMIO_MAGIC:
		return MAGIC;
	case VIRTIO_MMIO_VERSION:
		return 2;
	case VIRTIO_MMIO_DEVICE_ID:
		return m->device->ops->id;
	case VIRTIO_MMIO_VENDOR_ID:
		return VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return half(offered(m), m->device_sel);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return queue_exists(m) ? m->device->ops->queue_max[m->queue_sel] : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return queue_exists(m) && m->queue_ready[m->queue_sel];
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return interrupt_status(m);
	case VIRTIO_MMIO_STATUS:
		return m->status | (m->device->needs_reset ? VIRTIO_NEEDS_RESET : 0);
	case VIRTIO_MMIO_SHM_LEN:
	case VIRTIO_MMIO_SHM_LEN + 4:
	case VIRTIO_MMIO_SHM_BASE:
	case VIRTIO_MMIO_SHM_BASE + 4:
		return ~0u; /* there is no shared memory region */
	default:
		return 0;
	}
}

static void set_half(uint64_t *v, bool high, uint32_t value)
{
	*v = high ? (*v & 0xffffffffull) | (uint64_t)value << 32 : (*v & ~0xffffffffull) | value;
}

static void write_queue(struct virtio_mmio *m, uint64_t offset, uint32_t v)
{
	struct virtq_layout *l = &m->layout[m->queue_sel];

	switch (offset) {
	case VIRTIO_MMIO_QUEUE_NUM:
		l->size = v;
		return;
	case VIRTIO_MMIO_QUEUE_READY:
		m->queue_ready[m->queue_sel] = v & 1;
		return;
	case VIRTIO_MMIO_QUEUE_DESC:
	case VIRTIO_MMIO_QUEUE_DESC + 4:
		set_half(&l->desc, offset & 4, v);
		return;
	case VIRTIO_MMIO_QUEUE_DRIVER:
	case VIRTIO_MMIO_QUEUE_DRIVER + 4:
		set_half(&l->avail, offset & 4, v);
		return;
	case VIRTIO_MMIO_QUEUE_DEVICE:
	case VIRTIO_MMIO_QUEUE_DEVICE + 4:
		set_half(&l->used, offset & 4, v);
		return;
	}
}

bool virtio_mmio_kick(struct virtio_mmio *m, uint32_t queue)
{
	struct virtio_device *d = m->device;

	return queue < d->ops->n_queues && d->active && d->queues[queue].ready && !d->needs_reset && d->ops->kick(d, queue);
}

/* A driver that never stops adding requests gets this many turns for one notification. */
enum { TURNS_MAX = 16 };

static void notify(struct virtio_mmio *m, uint32_t i)
{
	for (int turn = 0; turn < TURNS_MAX && virtio_mmio_kick(m, i); turn++)
		;
}

static void write_driver_features(struct virtio_mmio *m, uint32_t v)
{
	if (m->driver_sel < 2 && (m->status & VIRTIO_DRIVER) && !(m->status & VIRTIO_FEATURES_OK))
		set_half(&m->driver_features, m->driver_sel, v);
}

static void write_register(struct virtio_mmio *m, uint64_t offset, uint32_t v)
{
	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		m->device_sel = v;
		return;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		write_driver_features(m, v);
		return;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		m->driver_sel = v;
		return;
	case VIRTIO_MMIO_QUEUE_SEL:
		m->queue_sel = v;
		return;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		notify(m, v);
		return;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		atomic_fetch_and(&m->interrupt_status, ~v);
		return;
	case VIRTIO_MMIO_STATUS:
		write_status(m, v);
		return;
	default:
		if (queue_exists(m) && setting_up(m))
			write_queue(m, offset, v);
	}
}

uint64_t virtio_mmio_read(struct virtio_mmio *m, uint64_t offset, unsigned width)
{
	if (offset >= VIRTIO_MMIO_CONFIG)
		return width <= 8 ? read_config(m, offset - VIRTIO_MMIO_CONFIG, width) : 0;
	return width == 4 ? read_register(m, offset) : 0;
}

void virtio_mmio_write(struct virtio_mmio *m, uint64_t offset, unsigned width, uint64_t value)
{
	if (offset >= VIRTIO_MMIO_CONFIG && width <= 8)
		write_config(m, offset - VIRTIO_MMIO_CONFIG, width, value);
	else if (width == 4)
		write_register(m, offset, (uint32_t)value);
}
