/* driver.h - the guest's side of a device, for tests: queues of N entries, each with its rings and its buffers at fixed places */
#pragma once
#include "hwvirt-sandbox/virtio/mmio.h"
#include "tap.h"

#include <poll.h>
#include <unistd.h>

enum { DRIVER_MEM = 4 << 20, DRIVER_N = 16, DRIVER_QUEUE = 0x80000, DRIVER_BUF = 0x4000 };
enum { D_NEXT = 1, D_WRITE = 2 };

struct driver {
	struct guest_mem mem;
	struct virtio_mmio m;
	_Atomic unsigned irqs;
	uint16_t seen[VIRTIO_QUEUES_MAX]; /* of the used ring */
	uint16_t offered[VIRTIO_QUEUES_MAX];
};

static inline uint64_t driver_desc(unsigned q)
{
	return (uint64_t)DRIVER_QUEUE * q;
}

static inline uint64_t driver_avail(unsigned q)
{
	return driver_desc(q) + 0x1000;
}

static inline uint64_t driver_used(unsigned q)
{
	return driver_desc(q) + 0x2000;
}

/* The buffer that belongs to entry i of a queue. */
static inline uint64_t driver_buf(unsigned q, unsigned i)
{
	return driver_desc(q) + 0x4000 + (uint64_t)DRIVER_BUF * i;
}

static inline void driver_irq(void *arg)
{
	((struct driver *)arg)->irqs++;
}

static inline void driver_wr(struct driver *d, uint64_t reg, uint32_t v)
{
	virtio_mmio_write(&d->m, reg, 4, v);
}

static inline void driver_queue(struct driver *d, unsigned q)
{
	driver_wr(d, VIRTIO_MMIO_QUEUE_SEL, q);
	driver_wr(d, VIRTIO_MMIO_QUEUE_NUM, DRIVER_N);
	driver_wr(d, VIRTIO_MMIO_QUEUE_DESC, (uint32_t)driver_desc(q));
	driver_wr(d, VIRTIO_MMIO_QUEUE_DRIVER, (uint32_t)driver_avail(q));
	driver_wr(d, VIRTIO_MMIO_QUEUE_DEVICE, (uint32_t)driver_used(q));
	driver_wr(d, VIRTIO_MMIO_QUEUE_READY, 1);
}

/* Resets the device, agrees upon its features, sets up all queues. */
static inline void driver_start(struct driver *d, struct virtio_device *dev, uint32_t features)
{
	static const uint8_t zero[0x3000];

	driver_wr(d, VIRTIO_MMIO_STATUS, 0);
	driver_wr(d, VIRTIO_MMIO_STATUS, 3);
	driver_wr(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	driver_wr(d, VIRTIO_MMIO_DRIVER_FEATURES, features);
	driver_wr(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	driver_wr(d, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	driver_wr(d, VIRTIO_MMIO_STATUS, 11);
	for (unsigned q = 0; q < dev->ops->n_queues; q++) {
		expect(guest_write(&d->mem, driver_desc(q), zero, sizeof(zero)));
		driver_queue(d, q);
		d->seen[q] = d->offered[q] = 0;
	}
	driver_wr(d, VIRTIO_MMIO_STATUS, 15);
}

static inline uint32_t driver_status(struct driver *d)
{
	return (uint32_t)virtio_mmio_read(&d->m, VIRTIO_MMIO_STATUS, 4);
}

static inline void driver_put(struct driver *d, uint64_t at, const void *p, size_t n)
{
	expect(guest_write(&d->mem, at, p, n));
}

static inline void driver_get(struct driver *d, uint64_t at, void *p, size_t n)
{
	expect(guest_read(&d->mem, at, p, n));
}

static inline void driver_describe(struct driver *d, unsigned q, unsigned i, struct virtq_desc desc)
{
	driver_put(d, driver_desc(q) + i * sizeof(desc), &desc, sizeof(desc));
}

static inline void driver_offer(struct driver *d, unsigned q, uint16_t head)
{
	uint16_t idx = (uint16_t)(d->offered[q] + 1);

	driver_put(d, driver_avail(q) + 4 + 2 * (uint64_t)(d->offered[q] % DRIVER_N), &head, 2);
	driver_put(d, driver_avail(q) + 2, &idx, 2);
	d->offered[q] = idx;
}

static inline void driver_notify(struct driver *d, unsigned q)
{
	driver_wr(d, VIRTIO_MMIO_QUEUE_NOTIFY, q);
}

/* The next request that was given back: true, its head and how much was written. */
static inline bool driver_done(struct driver *d, unsigned q, uint32_t *head, uint32_t *len)
{
	uint16_t idx;
	uint32_t entry[2];

	driver_get(d, driver_used(q) + 2, &idx, 2);
	if (idx == d->seen[q])
		return false;
	driver_get(d, driver_used(q) + 4 + 8 * (uint64_t)(d->seen[q] % DRIVER_N), entry, sizeof(entry));
	d->seen[q]++;
	*head = entry[0];
	*len = entry[1];
	return true;
}

/* Lets the device work on what comes from outside, until there is nothing, or it says so all the time. */
static inline void driver_settle(struct virtio_device *dev)
{
	struct pollfd p = { .fd = dev->poll_fd, .events = POLLIN };
	unsigned turns = 0;

	while (poll(&p, 1, 0) > 0 && turns++ < 1000)
		dev->ops->ready(dev);
	expect(turns < 1000);
}
