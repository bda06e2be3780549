/* vsock.c - packets, and who may send the next one
 *
 * All work is done in work(), whatever called it: packets of the guest are taken until there are none, then the guest's buffers are
 * filled with what is to be said: refusals, then each connection in turn, its own packets before its data. Both are bounded by the
 * length of a queue; when more is left, again_fd calls once more. A guest that gives no buffers stops only itself: its packets are
 * no longer taken when too many refusals wait.
 */
#include "hwvirt-sandbox/virtio/vsock.h"

#include "base/cleanup.h"
#include "hwvirt-sandbox/virtio/vsock_conn.h"

#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum { RX, TX, EVENT };
/* The guest fills the first queue with buffers of a page when it starts: 128 KiB are enough on the way. */
enum { QUEUE = 256, RECEIVE = 32, EVENTS = 16, PACKET_MAX = 128 << 10, HEADER = sizeof(struct vsock_header), OUR_PORTS = 1 << 30 };

static struct virtio_vsock *self(struct virtio_device *d)
{
	return (struct virtio_vsock *)d;
}

static struct vsock_conn *find(const struct virtio_vsock *v, uint32_t host_port, uint32_t guest_port)
{
	for (unsigned i = 0; i < VSOCK_CONNS_MAX; i++) {
		struct vsock_conn *c = &v->conns[i];

		if (c->state != VSOCK_FREE && c->host_port == host_port && c->guest_port == guest_port)
			return c;
	}
	return NULL;
}

static struct vsock_conn *vacant(const struct virtio_vsock *v)
{
	for (unsigned i = 0; i < VSOCK_CONNS_MAX; i++) {
		if (v->conns[i].state == VSOCK_FREE)
			return &v->conns[i];
	}
	return NULL;
}

static void close_all(struct virtio_vsock *v)
{
	for (unsigned i = 0; i < VSOCK_CONNS_MAX; i++) {
		if (v->conns[i].state != VSOCK_FREE)
			vsock_conn_close(&v->conns[i]);
	}
	v->n_refusals = 0;
}

static void fail(struct virtio_vsock *v, const struct err *e)
{
	close_all(v);
	virtio_fail(&v->device, e);
}

/* ---- packets of the guest ---- */

/* There is room for one: receive() takes no packet otherwise. */
static void refuse(struct virtio_vsock *v, const struct vsock_header *h)
{
	if (h->op == VSOCK_RST)
		return;
	v->refusals[v->n_refusals++] = (struct vsock_refusal){
		.cid = h->dst_cid,
		.host_port = h->dst_port,
		.guest_port = h->src_port,
		.type = h->type,
	};
}

static void accept_request(struct virtio_vsock *v, const struct vsock_header *h)
{
	struct vsock_conn *c = vacant(v);
	int fd = c && v->listener ? v->listener(v->listener_arg, h->dst_port) : -ECONNREFUSED;

	if (fd < 0 || vsock_conn_open(c, v->device.poll_fd, fd, h->dst_port, h->src_port) < 0) {
		refuse(v, h);
		return;
	}
	c->guest_buf = h->buf_alloc;
	c->guest_fwd = h->fwd_cnt;
	c->pending = 1u << VSOCK_RESPONSE;
}

/* A packet of a connection that is open. */
static void advance(struct vsock_conn *c, const struct vsock_header *h, const struct virtq_chain *chain)
{
	switch (h->op) {
	case VSOCK_RW:
		vsock_conn_receive(c, chain, HEADER, h->len);
		return;
	case VSOCK_SHUTDOWN:
		vsock_conn_shutdown(c, h->flags);
		return;
	case VSOCK_CREDIT_REQUEST:
		c->pending |= 1u << VSOCK_CREDIT_UPDATE;
		return;
	case VSOCK_CREDIT_UPDATE:
		return;
	default:
		vsock_conn_reset(c);
	}
}

static void dispatch(struct vsock_conn *c, const struct vsock_header *h, const struct virtq_chain *chain)
{
	if (h->op == VSOCK_RST) {
		vsock_conn_close(c);
		return;
	}
	if (c->state == VSOCK_CLOSING)
		return;
	c->guest_buf = h->buf_alloc;
	c->guest_fwd = h->fwd_cnt;
	if (c->state == VSOCK_OPEN)
		advance(c, h, chain);
	else if (h->op == VSOCK_RESPONSE)
		c->state = VSOCK_OPEN;
	else
		vsock_conn_reset(c);
}

/* A packet that is not one, or from somebody else, is passed over. */
static void handle(struct virtio_vsock *v, const struct virtq_chain *chain)
{
	struct vsock_header h;
	struct vsock_conn *c;

	if (!virtq_chain_read(chain, 0, &h, sizeof(h)) || h.src_cid != v->guest_cid)
		return;
	if (h.dst_cid != VSOCK_HOST_CID || h.type != VSOCK_STREAM) {
		refuse(v, &h);
		return;
	}
	c = find(v, h.dst_port, h.src_port);
	if (c && h.len > chain->out_len - HEADER)
		vsock_conn_reset(c);
	else if (c)
		dispatch(c, &h, chain);
	else if (h.op == VSOCK_REQUEST)
		accept_request(v, &h);
	else
		refuse(v, &h);
}

/* True: there may be more. */
static bool receive(struct virtio_vsock *v)
{
	struct virtq *q = &v->device.queues[TX];
	struct err e;

	for (unsigned n = 0; n < QUEUE && v->n_refusals < VSOCK_REFUSALS_MAX; n++) {
		int r = virtq_pop(q, PACKET_MAX, &v->tx, &e);

		if (r < 0)
			fail(v, &e);
		if (r <= 0)
			return false;
		handle(v, &v->tx);
		virtq_push(q, &v->tx, 0);
	}
	return v->n_refusals < VSOCK_REFUSALS_MAX;
}

/* ---- packets to the guest ---- */

static void put_packet(struct virtio_vsock *v, const struct vsock_header *h)
{
	if (virtq_chain_write(&v->rx, 0, h, sizeof(*h)))
		virtq_push(&v->device.queues[RX], &v->rx, sizeof(*h) + h->len);
	v->have_rx = false;
}

static void put_conn_packet(struct virtio_vsock *v, struct vsock_conn *c, enum vsock_op op, uint32_t len)
{
	struct vsock_header h = {
		.src_cid = VSOCK_HOST_CID,
		.dst_cid = v->guest_cid,
		.src_port = c->host_port,
		.dst_port = c->guest_port,
		.len = len,
		.type = VSOCK_STREAM,
		.op = (uint16_t)op,
		.flags = op == VSOCK_SHUTDOWN ? vsock_conn_shut_flags(c) : 0,
		.buf_alloc = VSOCK_BUFFER,
		.fwd_cnt = c->forwarded,
	};

	c->told = c->forwarded;
	c->pending &= ~(1u << op | 1u << VSOCK_CREDIT_UPDATE);
	put_packet(v, &h);
	if (op == VSOCK_RST)
		vsock_conn_close(c);
}

static void put_refusal(struct virtio_vsock *v)
{
	const struct vsock_refusal *r = &v->refusals[--v->n_refusals];
	struct vsock_header h = {
		.src_cid = r->cid,
		.dst_cid = v->guest_cid,
		.src_port = r->host_port,
		.dst_port = r->guest_port,
		.type = r->type,
		.op = VSOCK_RST,
	};

	put_packet(v, &h);
}

/* The next packet of a connection; false if it has none. */
static bool put_next(struct virtio_vsock *v, struct vsock_conn *c)
{
	static const enum vsock_op order[] = { VSOCK_REQUEST, VSOCK_RESPONSE, VSOCK_RST, VSOCK_SHUTDOWN, VSOCK_CREDIT_UPDATE };
	uint32_t len;

	if (c->state == VSOCK_FREE)
		return false;
	len = c->pending ? 0 : vsock_conn_send(c, &v->rx, HEADER);
	if (len) {
		put_conn_packet(v, c, VSOCK_RW, len);
		return true;
	}
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (c->pending & 1u << order[i]) {
			put_conn_packet(v, c, order[i], 0);
			return true;
		}
	}
	return false;
}

static bool fill(struct virtio_vsock *v)
{
	if (v->n_refusals) {
		put_refusal(v);
		return true;
	}
	for (unsigned i = 0; i < VSOCK_CONNS_MAX; i++) {
		unsigned at = (v->turn + i) % VSOCK_CONNS_MAX;

		if (put_next(v, &v->conns[at])) {
			v->turn = at + 1;
			return true;
		}
	}
	return false;
}

static bool take_buffer(struct virtio_vsock *v)
{
	struct err e;
	int r = v->have_rx ? 1 : virtq_pop(&v->device.queues[RX], PACKET_MAX, &v->rx, &e);

	if (r > 0 && v->rx.in_len < HEADER)
		r = err_set(&e, EPROTO, "a buffer of %zu bytes has no room for a header", v->rx.in_len);
	if (r < 0)
		fail(v, &e);
	v->have_rx = r > 0;
	return r > 0;
}

/* True: there may be more to send, and buffers for it. */
static bool transmit(struct virtio_vsock *v)
{
	for (unsigned n = 0; n < QUEUE; n++) {
		if (!take_buffer(v) || !fill(v))
			return false;
	}
	return true;
}

static void send_event(struct virtio_vsock *v)
{
	const uint32_t transport_reset = 0;
	struct virtq *q = &v->device.queues[EVENT];
	struct err e;
	int r = v->reset_event ? virtq_pop(q, PACKET_MAX, &v->tx, &e) : 0;

	if (r < 0)
		fail(v, &e);
	if (r <= 0)
		return;
	virtq_push(q, &v->tx,
		   virtq_chain_write(&v->tx, 0, &transport_reset, sizeof(transport_reset)) ? sizeof(transport_reset) : 0);
	v->reset_event = false;
}

/* ---- the device ---- */

static void call_again(struct virtio_vsock *v)
{
	uint64_t one = 1;
	ssize_t n = write(v->again_fd, &one, sizeof(one));

	(void)n; /* a counter that is full is readable too */
}

static bool usable(const struct virtio_vsock *v)
{
	return v->device.active && !v->device.needs_reset && v->device.queues[RX].ready && v->device.queues[TX].ready;
}

static void work(struct virtio_vsock *v)
{
	bool full, more;

	if (!usable(v))
		return;
	more = receive(v);
	full = v->n_refusals == VSOCK_REFUSALS_MAX;
	if (usable(v))
		more |= transmit(v);
	for (unsigned i = 0; i < VSOCK_CONNS_MAX; i++)
		vsock_conn_arm(&v->conns[i]);
	if (more || (full && v->n_refusals < VSOCK_REFUSALS_MAX))
		call_again(v);
	for (unsigned i = RX; i <= EVENT; i++)
		virtio_signal(&v->device, &v->device.queues[i]);
}

static bool kick(struct virtio_device *d, unsigned i)
{
	if (i == EVENT)
		send_event(self(d));
	work(self(d));
	return false;
}

static void ready(struct virtio_device *d)
{
	struct virtio_vsock *v = self(d);
	struct epoll_event events[EVENTS];
	int n = epoll_wait(d->poll_fd, events, EVENTS, 0);

	for (int i = 0; i < n; i++) {
		struct vsock_conn *c = events[i].data.ptr;
		uint64_t count;

		if (c)
			vsock_conn_event(c, events[i].events);
		else if (read(v->again_fd, &count, sizeof(count)) < 0)
			continue;
	}
	work(v);
}

static void reset(struct virtio_device *d)
{
	struct virtio_vsock *v = self(d);

	close_all(v);
	v->have_rx = v->reset_event = false;
}

static void config_read(struct virtio_device *d, uint8_t *out)
{
	memcpy(out, &self(d)->guest_cid, sizeof(uint64_t));
}

static const struct virtio_ops ops = {
	.name = "vsock",
	.id = VIRTIO_ID_VSOCK,
	.n_queues = 3,
	.queue_max = { RECEIVE, QUEUE, QUEUE },
	.config_len = sizeof(uint64_t),
	.config_read = config_read,
	.kick = kick,
	.reset = reset,
	.ready = ready,
};

static int init(struct virtio_vsock *v, struct err *e)
{
	struct epoll_event event = { .events = EPOLLIN };

	v->device.poll_fd = epoll_create1(EPOLL_CLOEXEC);
	v->again_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->device.poll_fd < 0 || v->again_fd < 0 || epoll_ctl(v->device.poll_fd, EPOLL_CTL_ADD, v->again_fd, &event) < 0)
		return err_errno(e, "vsock");
	v->conns = calloc(VSOCK_CONNS_MAX, sizeof(*v->conns));
	if (!v->conns)
		abort();
	for (unsigned i = 0; i < VSOCK_CONNS_MAX; i++)
		v->conns[i].fd = -EBADF;
	return 0;
}

int virtio_vsock_init(struct virtio_vsock *v, const struct guest_mem *mem, uint64_t guest_cid, vsock_listener *listener, void *arg,
		      struct err *e)
{
	int r;

	if (guest_cid <= VSOCK_HOST_CID || guest_cid >= UINT32_MAX)
		return err_set(e, EINVAL, "vsock: %" PRIu64 " is no context id of a guest", guest_cid);
	*v = (struct virtio_vsock){ .device = { .ops = &ops, .mem = mem, .poll_fd = -EBADF },
				    .guest_cid = guest_cid,
				    .listener = listener,
				    .listener_arg = arg,
				    .next_port = OUR_PORTS,
				    .again_fd = -EBADF };
	r = init(v, e);
	if (r < 0)
		virtio_vsock_release(v);
	return r;
}

void virtio_vsock_release(struct virtio_vsock *v)
{
	if (v->conns)
		close_all(v);
	free(v->conns);
	v->conns = NULL;
	close_fd(&v->again_fd);
	close_fd(&v->device.poll_fd);
}

int virtio_vsock_connect(struct virtio_vsock *v, uint32_t port, int fd, struct err *e)
{
	struct vsock_conn *c = vacant(v);
	int r;

	if (!usable(v) || !c) {
		close(fd);
		return c ? err_set(e, ENOTCONN, "vsock port %u: the guest has no driver", port)
			 : err_set(e, ENOSPC, "vsock port %u: more than %d connections", port, VSOCK_CONNS_MAX);
	}
	do
		v->next_port = v->next_port < OUR_PORTS ? OUR_PORTS : v->next_port + 1;
	while (find(v, v->next_port, port));
	r = vsock_conn_open(c, v->device.poll_fd, fd, v->next_port, port);
	if (r < 0)
		return err_set(e, -r, "vsock port %u: polling its socket: %s", port, strerror(-r));
	c->state = VSOCK_CONNECTING;
	c->pending = 1u << VSOCK_REQUEST;
	work(v);
	return 0;
}

void virtio_vsock_transport_reset(struct virtio_vsock *v)
{
	close_all(v);
	if (!v->device.active)
		return;
	v->reset_event = true;
	send_event(v);
	work(v);
}

unsigned virtio_vsock_count(const struct virtio_vsock *v)
{
	unsigned n = 0;

	for (unsigned i = 0; i < VSOCK_CONNS_MAX; i++)
		n += v->conns[i].state != VSOCK_FREE;
	return n;
}
