/* rng.c - random bytes from the host's generator
 *
 * A request is answered at once with at most BYTES_MAX bytes, however long it is: the driver asks again. One kick answers at most
 * as many requests as the queue has entries, so a guest that keeps adding cannot hold the thread.
 */
#include "hwvirt-sandbox/virtio/rng.h"

#include "base/cleanup.h"

#include <sys/random.h>

enum { BYTES_MAX = 4096, REQUEST_MAX = 1 << 20, QUEUE = 64 };

static void answer(struct virtq *q, struct virtq_chain *c)
{
	uint8_t bytes[BYTES_MAX];
	size_t n = c->in_len < sizeof(bytes) ? c->in_len : sizeof(bytes);
	ssize_t got = getrandom(bytes, n, 0);

	if (got < 0 || !virtq_chain_write(c, 0, bytes, (size_t)got))
		got = 0;
	virtq_push(q, c, (size_t)got);
}

static bool kick(struct virtio_device *d, unsigned i)
{
	struct virtio_rng *r = (struct virtio_rng *)d;
	struct virtq *q = &d->queues[i];
	struct err e;

	for (unsigned n = 0; n < QUEUE; n++) {
		int got = virtq_pop(q, REQUEST_MAX, &r->chain, &e);

		if (got < 0)
			virtio_fail(d, &e);
		if (got <= 0) {
			virtio_signal(d, q);
			return false;
		}
		answer(q, &r->chain);
	}
	virtio_signal(d, q);
	return true;
}

static const struct virtio_ops ops = {
	.name = "rng",
	.id = VIRTIO_ID_RNG,
	.n_queues = 1,
	.queue_max = { QUEUE },
	.kick = kick,
};

void virtio_rng_init(struct virtio_rng *r, const struct guest_mem *mem)
{
	*r = (struct virtio_rng){ .device = { .ops = &ops, .mem = mem } };
}
