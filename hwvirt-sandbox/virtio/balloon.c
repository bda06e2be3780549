/* balloon.c - pages that the guest does not need
 *
 * Queues: 0 into the balloon, 1 out of it, and one of free pages. The specification gives the last the number 4; Linux counts only
 * the queues it uses, so that for it, without statistics and hints, it is 2. We offer neither, so all from 2 on can only be that
 * one.
 */
#include "hwvirt-sandbox/virtio/balloon.h"

#include <string.h>

#define F_DEFLATE_ON_OOM (1ull << 2)
#define F_PAGE_REPORTING (1ull << 5)

enum { INFLATE, DEFLATE, REPORTING };
enum { QUEUE = 128, PAGES_MAX = 1024, PAGE_SHIFT = 12 };

/* As it lies in the configuration space; what follows belongs to features that are not offered. */
struct config {
	uint32_t target, actual, unused[2];
};

static struct virtio_balloon *self(struct virtio_device *d)
{
	return (struct virtio_balloon *)d;
}

/* Page numbers: neighbours in ascending order go back together. */
static void inflate(const struct virtio_balloon *b)
{
	const struct guest_mem *mem = b->device.mem;
	uint64_t start = 0, n = 0;
	uint32_t pages[PAGES_MAX];
	size_t count = b->chain.out_len / sizeof(pages[0]);

	if (!virtq_chain_read(&b->chain, 0, pages, count * sizeof(pages[0])))
		return;
	for (size_t i = 0; i < count; i++) {
		if (n && pages[i] == start + n) {
			n++;
			continue;
		}
		guest_discard(mem, guest_range(mem, start << PAGE_SHIFT, n << PAGE_SHIFT), n << PAGE_SHIFT);
		start = pages[i];
		n = 1;
	}
	guest_discard(mem, guest_range(mem, start << PAGE_SHIFT, n << PAGE_SHIFT), n << PAGE_SHIFT);
}

static void report(const struct virtio_balloon *b)
{
	for (size_t i = 0; i < b->chain.n_in; i++) {
		const struct iovec *v = &b->chain.segments[b->chain.n_out + i];

		guest_discard(b->device.mem, v->iov_base, v->iov_len);
	}
}

static uint64_t request_max(const struct virtio_device *d, unsigned queue)
{
	return queue >= REPORTING ? d->mem->low_size + d->mem->high_size : PAGES_MAX * sizeof(uint32_t);
}

static bool kick(struct virtio_device *d, unsigned i)
{
	struct virtio_balloon *b = self(d);
	struct virtq *q = &d->queues[i];
	int got = 1;
	struct err e;

	for (unsigned n = 0; n < QUEUE && got > 0; n++) {
		got = virtq_pop(q, request_max(d, i), &b->chain, &e);
		if (got > 0) {
			if (i == INFLATE)
				inflate(b);
			else if (i >= REPORTING && (d->features & F_PAGE_REPORTING))
				report(b);
			virtq_push(q, &b->chain, 0);
		}
	}
	if (got < 0)
		virtio_fail(d, &e);
	virtio_signal(d, q);
	return got > 0;
}

static void config_read(struct virtio_device *d, uint8_t *out)
{
	struct config c = { .target = self(d)->target, .actual = self(d)->actual };

	memcpy(out, &c, sizeof(c));
}

static void config_write(struct virtio_device *d, size_t offset, const uint8_t *data, size_t len)
{
	if (offset == offsetof(struct config, actual) && len == sizeof(uint32_t))
		memcpy(&self(d)->actual, data, len);
}

static void reset(struct virtio_device *d)
{
	self(d)->actual = 0;
}

static const struct virtio_ops ops = {
	.name = "balloon",
	.id = VIRTIO_ID_BALLOON,
	.features = F_DEFLATE_ON_OOM | F_PAGE_REPORTING,
	.n_queues = 5,
	.queue_max = { QUEUE, QUEUE, QUEUE, QUEUE, QUEUE },
	.config_len = sizeof(struct config),
	.config_read = config_read,
	.config_write = config_write,
	.kick = kick,
	.reset = reset,
};

void virtio_balloon_init(struct virtio_balloon *b, const struct guest_mem *mem)
{
	*b = (struct virtio_balloon){ .device = { .ops = &ops, .mem = mem } };
}

void virtio_balloon_set(struct virtio_balloon *b, uint32_t pages)
{
	struct virtio_device *d = &b->device;

	b->target = pages;
	if (d->active && d->interrupt)
		d->interrupt(d->transport, VIRTIO_IRQ_CONFIG);
}
