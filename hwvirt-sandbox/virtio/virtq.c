/* virtq.c - reading the rings of a guest that may be hostile
 *
 * An index of the driver is loaded once, with acquire; ours is stored with release after what it covers. A descriptor is copied
 * before any of its fields is looked at. The walk ends after as many descriptors as its table has entries, so a loop ends too.
 * in_flight keeps a head from being given out twice, which would have two workers write one request's answer.
 */
#include "hwvirt-sandbox/virtio/virtq.h"

#include "hwvirt-sandbox/iov.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };
enum { AVAIL_NO_INTERRUPT = 1 };
enum { IDX = 1, RING = 2 }; /* positions in avail and used, counted in uint16_t */

static uint16_t load(const uint16_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void store(uint16_t *p, uint16_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

/* An entry of the used ring is 4 uint16_t. */
static uint16_t *avail_event(const struct virtq *q)
{
	return q->used + RING + 4 * (size_t)q->size;
}

static const uint16_t *used_event(const struct virtq *q)
{
	return q->avail + RING + q->size;
}

int virtq_start(struct virtq *q, const struct guest_mem *mem, const struct virtq_layout *l, bool event_idx, bool indirect,
		struct err *e)
{
	uint64_t n = l->size;

	if (n == 0 || n > VIRTQ_SIZE_MAX || (n & (n - 1)))
		return err_set(e, EINVAL, "queue size %" PRIu64 " is not a power of two up to %d", n, VIRTQ_SIZE_MAX);
	if (l->desc % 16 || l->avail % 2 || l->used % 4)
		return err_set(e, EINVAL, "a queue's part is not aligned");
	*q = (struct virtq){
		.mem = mem,
		.layout = *l,
		.desc = (struct virtq_desc *)guest_range(mem, l->desc, n * sizeof(struct virtq_desc)),
		.avail = (uint16_t *)guest_range(mem, l->avail, 6 + 2 * n),
		.used = (uint16_t *)guest_range(mem, l->used, 6 + 8 * n),
		.size = (uint16_t)n,
		.event_idx = event_idx,
		.indirect = indirect,
	};
	if (!q->desc || !q->avail || !q->used)
		return err_set(e, EINVAL, "a queue's part is not in memory");
	q->ready = true;
	return 0;
}

static int broken(struct virtq *q, struct err *e, const char *why)
{
	q->broken = true;
	return err_set(e, EPROTO, "queue: %s", why);
}

static bool in_flight(const struct virtq *q, uint16_t head)
{
	return q->in_flight[head / 64] >> (head % 64) & 1;
}

/* The table a walk is in: the queue's own, or an indirect one in guest memory. */
struct table {
	const struct virtq_desc *entries;
	uint32_t n, seen;
	bool indirect;
};

static const char *enter_indirect(const struct virtq *q, const struct virtq_desc *d, struct table *t)
{
	if (!q->indirect || t->indirect)
		return "an indirect descriptor where none may be";
	if (d->flags & DESC_NEXT)
		return "an indirect descriptor with a successor";
	if (d->len == 0 || d->len % sizeof(*d) || d->len / sizeof(*d) > VIRTQ_SEGMENTS_MAX)
		return "an indirect table of a bad size";
	*t = (struct table){ .n = d->len / (uint32_t)sizeof(*d), .indirect = true };
	t->entries = (const struct virtq_desc *)guest_range(q->mem, d->addr, d->len);
	return t->entries ? NULL : "an indirect table that is not in memory";
}

static const char *add_segment(const struct virtq *q, const struct virtq_desc *d, size_t max_bytes, struct virtq_chain *c)
{
	bool in = d->flags & DESC_WRITE;
	size_t *len = in ? &c->in_len : &c->out_len;
	uint8_t *at = guest_range(q->mem, d->addr, d->len);

	if (!in && c->n_in)
		return "a readable descriptor after a writable one";
	if (d->len == 0)
		return NULL;
	if (!at)
		return "a buffer that is not in memory";
	if (d->len > max_bytes - *len)
		return "a request that is too long";
	if (c->n_out + c->n_in == VIRTQ_SEGMENTS_MAX)
		return "a request of too many parts";
	c->segments[c->n_out + c->n_in] = (struct iovec){ .iov_base = at, .iov_len = d->len };
	*len += d->len;
	if (in)
		c->n_in++;
	else
		c->n_out++;
	return NULL;
}

/* The compiler is told that what lies there changes, so that it cannot look again instead of keeping what it has. */
static void copy_once(struct virtq_desc *to, const struct virtq_desc *from)
{
	memcpy(to, from, sizeof(*to));
	__asm__ volatile("" : : : "memory");
}

/* NULL, or what is wrong. */
static const char *walk(const struct virtq *q, uint16_t head, size_t max_bytes, struct virtq_chain *c)
{
	struct table t = { .entries = q->desc, .n = q->size };
	uint32_t at = head;
	const char *wrong;

	for (;;) {
		struct virtq_desc d;

		if (at >= t.n)
			return "a descriptor number past the table's end";
		if (t.seen++ == t.n)
			return "descriptors in a circle";
		copy_once(&d, &t.entries[at]);
		if (d.flags & DESC_INDIRECT) {
			wrong = enter_indirect(q, &d, &t);
			at = 0;
			if (wrong)
				return wrong;
			continue;
		}
		wrong = add_segment(q, &d, max_bytes, c);
		if (wrong || !(d.flags & DESC_NEXT))
			return wrong;
		at = d.next;
	}
}

/* How many requests wait. When none does, the driver is asked to tell, and looked at once more: it may have missed our asking. */
static uint16_t waiting(struct virtq *q)
{
	uint16_t n = (uint16_t)(load(&q->avail[IDX]) - q->next_avail);

	if (n || !q->event_idx)
		return n;
	store(avail_event(q), q->next_avail);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return (uint16_t)(load(&q->avail[IDX]) - q->next_avail);
}

int virtq_pop(struct virtq *q, size_t max_bytes, struct virtq_chain *c, struct err *e)
{
	uint16_t n, head;
	const char *wrong;

	if (!q->ready || q->broken)
		return err_set(e, EPROTO, "queue: %s", q->ready ? "broken" : "not in use");
	n = waiting(q);
	if (n == 0)
		return 0;
	if (n > q->size)
		return broken(q, e, "more requests than it has entries");
	head = load(&q->avail[RING + (q->next_avail & (q->size - 1))]);
	if (head >= q->size)
		return broken(q, e, "a descriptor number past the table's end");
	if (in_flight(q, head))
		return broken(q, e, "a request that is already being worked on");
	c->head = head;
	c->n_out = c->n_in = 0;
	c->out_len = c->in_len = 0;
	wrong = walk(q, head, max_bytes, c);
	if (wrong)
		return broken(q, e, wrong);
	q->in_flight[head / 64] |= 1ull << (head % 64);
	q->next_avail++;
	return 1;
}

void virtq_push(struct virtq *q, const struct virtq_chain *c, size_t written)
{
	uint32_t entry[2] = { c->head, (uint32_t)(written < c->in_len ? written : c->in_len) };
	uint16_t *at = q->used + RING + 4 * (size_t)(q->next_used & (q->size - 1));

	if (!in_flight(q, c->head))
		return;
	q->in_flight[c->head / 64] &= ~(1ull << (c->head % 64));
	memcpy(at, entry, sizeof(entry));
	store(&q->used[IDX], ++q->next_used);
}

bool virtq_must_signal(struct virtq *q)
{
	uint16_t before = q->signalled;

	if (!q->ready || before == q->next_used)
		return false;
	q->signalled = q->next_used;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!q->event_idx)
		return !(load(&q->avail[0]) & AVAIL_NO_INTERRUPT);
	/* virtio 1.2, 2.7.10: the driver's index lies among those just used. */
	return (uint16_t)(q->next_used - load(used_event(q)) - 1) < (uint16_t)(q->next_used - before);
}

bool virtq_chain_read(const struct virtq_chain *c, size_t offset, void *to, size_t len)
{
	if (offset > c->out_len || len > c->out_len - offset)
		return false;
	iov_read(c->segments, c->n_out, offset, to, len);
	return true;
}

bool virtq_chain_write(const struct virtq_chain *c, size_t offset, const void *from, size_t len)
{
	if (offset > c->in_len || len > c->in_len - offset)
		return false;
	iov_write(c->segments + c->n_out, c->n_in, offset, from, len);
	return true;
}
