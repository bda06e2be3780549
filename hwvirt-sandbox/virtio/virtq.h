/* virtq.h - a split virtqueue, seen from the device (virtio 1.2, 2.7)
 *
 * Everything in the rings is the guest's and may be wrong or change under us. A chain of descriptors is copied out once, checked, and
 * turned into two lists of segments, of which each lies in guest memory as a whole. What breaks a rule of the specification that we
 * rely on breaks the queue: it gives nothing more, and the device asks for a reset. Nothing a guest writes makes us fault, loop for
 * longer than the queue has entries, or hand out a descriptor twice.
 */
#pragma once
#include "hwvirt-sandbox/guest_mem.h"

#include <sys/uio.h>

#define VIRTQ_SIZE_MAX     1024 /* entries; a power of two */
#define VIRTQ_SEGMENTS_MAX 1024 /* of one chain, both directions */

struct virtq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

/* Where the driver put the parts of a queue, as it told the transport. */
struct virtq_layout {
	uint32_t size; /* entries */
	uint64_t desc, avail, used;
};

struct virtq {
	const struct guest_mem *mem; /* borrowed */
	struct virtq_layout layout;
	struct virtq_desc *desc;     /* guest memory, like the next two */
	uint16_t *avail;             /* flags, idx, ring[size], used_event */
	uint16_t *used;              /* flags, idx, ring[size] of {u32 id, u32 len}, avail_event */
	uint16_t size;
	uint16_t next_avail, next_used;
	uint16_t signalled; /* next_used when virtq_must_signal() was asked last */
	bool event_idx, indirect; /* features agreed upon */
	bool ready, broken;
	uint64_t in_flight[VIRTQ_SIZE_MAX / 64]; /* heads given out and not yet put back */
};

/* One request: first what the device reads, then what it writes. */
struct virtq_chain {
	uint16_t head;
	uint16_t n_out, n_in; /* segments */
	size_t out_len, in_len;
	struct iovec segments[VIRTQ_SEGMENTS_MAX]; /* n_out to read from, then n_in to write to */
};

/* Starts using a queue. EINVAL: size no power of two up to VIRTQ_SIZE_MAX, a part that is not aligned or not in memory. */
must_check int virtq_start(struct virtq *q, const struct guest_mem *mem, const struct virtq_layout *l, bool event_idx, bool indirect,
			   struct err *e);

/* Takes the next request. 1: *c is filled. 0: there is none now, and the driver will tell when there is. -EPROTO: the queue is broken
 * (q->broken), *e says by what. A chain longer than max_bytes (of either direction) is such a break. */
must_check int virtq_pop(struct virtq *q, size_t max_bytes, struct virtq_chain *c, struct err *e);

/* Gives a request back, of which `written` bytes were written (not more than c->in_len). */
void virtq_push(struct virtq *q, const struct virtq_chain *c, size_t written);

/* true when the driver wants an interrupt for what was pushed since the last call. */
must_check bool virtq_must_signal(struct virtq *q);

/* Copies out of what the device reads, from `offset` on; false, and nothing was copied, unless there are len bytes. */
must_check bool virtq_chain_read(const struct virtq_chain *c, size_t offset, void *to, size_t len);

/* The same into what the device writes. */
must_check bool virtq_chain_write(const struct virtq_chain *c, size_t offset, const void *from, size_t len);
