/* fuzz_devices.c - requests of arbitrary shape and content for the devices that parse them: the first byte chooses vsock, console
 * or balloon, then steps: chains on any queue, packets of the socket device that are nearly right, and what the host does meanwhile
 */
#include "hwvirt-sandbox/virtio/balloon.h"
#include "hwvirt-sandbox/virtio/console.h"
#include "hwvirt-sandbox/virtio/mmio.h"
#include "hwvirt-sandbox/virtio/vsock_conn.h"
#include "input.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MEM = 1 << 20, N = 8, QUEUE = 0x3000, DATA = 0x40000, HOSTS = 4, CID = 3 };

struct machine {
	struct guest_mem mem;
	struct virtio_mmio m;
	struct virtio_device *d;
	union {
		struct virtio_vsock vsock;
		struct virtio_console console;
		struct virtio_balloon balloon;
	};
	int hosts[HOSTS], out_fd;
	unsigned n_hosts;
	uint16_t offered[VIRTIO_QUEUES_MAX];
};

static uint32_t word(struct input *in)
{
	uint32_t a = byte(in), b = byte(in);

	return a | b << 8;
}

static void wr(struct machine *v, uint64_t reg, uint64_t value)
{
	virtio_mmio_write(&v->m, reg, 4, value);
}

static int listener(void *arg, uint32_t port)
{
	struct machine *v = arg;
	int pair[2];

	if (port == 3 || v->n_hosts == HOSTS || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -ECONNREFUSED;
	v->hosts[v->n_hosts++] = pair[0];
	return pair[1];
}

static void make(struct machine *v, unsigned kind)
{
	struct err e;

	memset(v, 0, sizeof(*v));
	v->out_fd = open("/dev/null", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (guest_mem_create(MEM, &v->mem, &e) < 0)
		abort();
	if (kind == 0 && virtio_vsock_init(&v->vsock, &v->mem, CID, listener, v, &e) < 0)
		abort();
	if (kind == 1 && virtio_console_init(&v->console, &v->mem, v->out_fd, &e) < 0)
		abort();
	if (kind == 2)
		virtio_balloon_init(&v->balloon, &v->mem);
	v->d = kind == 0 ? &v->vsock.device : kind == 1 ? &v->console.device : &v->balloon.device;
	virtio_mmio_init(&v->m, v->d, NULL, NULL);
}

static void drive(struct machine *v)
{
	static const uint8_t zero[QUEUE * 5];

	wr(v, VIRTIO_MMIO_STATUS, 0);
	wr(v, VIRTIO_MMIO_STATUS, 3);
	wr(v, VIRTIO_MMIO_DRIVER_FEATURES, v->d->ops->features);
	wr(v, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	wr(v, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	wr(v, VIRTIO_MMIO_STATUS, 11);
	if (!guest_write(&v->mem, 0, zero, sizeof(zero)))
		abort();
	memset(v->offered, 0, sizeof(v->offered));
	for (unsigned q = 0; q < v->d->ops->n_queues; q++) {
		wr(v, VIRTIO_MMIO_QUEUE_SEL, q);
		wr(v, VIRTIO_MMIO_QUEUE_NUM, N);
		wr(v, VIRTIO_MMIO_QUEUE_DESC, q * QUEUE);
		wr(v, VIRTIO_MMIO_QUEUE_DRIVER, q * QUEUE + 0x1000);
		wr(v, VIRTIO_MMIO_QUEUE_DEVICE, q * QUEUE + 0x2000);
		wr(v, VIRTIO_MMIO_QUEUE_READY, 1);
	}
	wr(v, VIRTIO_MMIO_STATUS, 15);
}

/* Offers the chain that begins at entry `head`, and notifies. */
static void offer(struct machine *v, unsigned q, uint16_t head)
{
	uint16_t idx = (uint16_t)(v->offered[q] + 1);

	if (!guest_write(&v->mem, q * QUEUE + 0x1004 + 2 * (v->offered[q] % N), &head, 2) ||
	    !guest_write(&v->mem, q * QUEUE + 0x1002, &idx, 2))
		abort();
	v->offered[q] = idx;
	wr(v, VIRTIO_MMIO_QUEUE_NOTIFY, q);
}

static void describe(struct machine *v, unsigned q, unsigned i, struct virtq_desc d)
{
	if (!guest_write(&v->mem, q * QUEUE + i * sizeof(d), &d, sizeof(d)))
		abort();
}

/* Up to 3 parts: what is to be read has bytes of the input in it. */
static void chain(struct machine *v, struct input *in)
{
	unsigned q = byte(in) % v->d->ops->n_queues, head = v->offered[q] % N, parts = byte(in) % 4 + 1;

	for (unsigned i = 0; i < parts; i++) {
		struct virtq_desc d = { .addr = DATA + (uint64_t)byte(in) * 1024,
					.flags = byte(in) % 4,
					.next = (uint16_t)((head + i + 1) % N) };
		uint8_t bytes[256];
		size_t n;

		d.len = word(in);
		n = d.len < sizeof(bytes) ? d.len : sizeof(bytes);
		for (size_t at = 0; at < n && !(d.flags & 2); at++)
			bytes[at] = byte(in);
		if (!(d.flags & 2) && !guest_write(&v->mem, d.addr, bytes, n))
			abort();
		if (i + 1 == parts)
			d.flags &= (uint16_t)~1;
		describe(v, q, (head + i) % N, d);
	}
	offer(v, q, (uint16_t)head);
}

/* A packet with sensible ports; its counts and its length are the input's. */
static void packet(struct machine *v, struct input *in)
{
	uint8_t ports = byte(in);
	struct vsock_header h = { .src_cid = CID,
				  .dst_cid = VSOCK_HOST_CID,
				  .src_port = ports % 4,
				  .dst_port = ports & 0x80 ? (1u << 30) + 1 + ports / 4 % 4 : ports / 4 % 4,
				  .type = VSOCK_STREAM,
				  .op = byte(in) % 9,
				  .flags = byte(in),
				  .len = word(in),
				  .buf_alloc = word(in),
				  .fwd_cnt = word(in) };
	unsigned head = v->offered[1] % N;

	if (!guest_write(&v->mem, DATA, &h, sizeof(h)))
		abort();
	describe(v, 1, head, (struct virtq_desc){ DATA, (uint32_t)sizeof(h) + h.len - (ports >> 6 & 1), 0, 0 });
	offer(v, 1, (uint16_t)head);
}

/* One of the host's ends reads, writes, is shut or closed; or the host connects. */
static void host(struct machine *v, uint8_t what)
{
	static char bytes[8192];
	unsigned i = what % HOSTS;
	struct err e;
	ssize_t n = 0;

	if (what / HOSTS % 8 == 0 && v->n_hosts < HOSTS) {
		int fd = listener(v, 0);

		if (virtio_vsock_connect(&v->vsock, what / 32, fd, &e) < 0)
			return;
	}
	if (i >= v->n_hosts || v->hosts[i] < 0)
		return;
	if (what / HOSTS % 8 == 1)
		n = send(v->hosts[i], bytes, what * 20u, MSG_DONTWAIT | MSG_NOSIGNAL);
	else if (what / HOSTS % 8 == 2)
		n = recv(v->hosts[i], bytes, sizeof(bytes), MSG_DONTWAIT);
	else if (what / HOSTS % 8 == 3)
		shutdown(v->hosts[i], what / 32 % 3);
	else if (what / HOSTS % 8 == 4)
		v->hosts[i] = (close(v->hosts[i]), -1);
	(void)n;
}

/* What a poll loop would do; one that spins is a mistake. */
static void settle(struct machine *v)
{
	struct pollfd p = { .fd = v->d->poll_fd, .events = POLLIN };

	for (unsigned turns = 0; v->d->ops->ready && poll(&p, 1, 0) > 0; turns++) {
		if (turns > 10000)
			abort();
		v->d->ops->ready(v->d);
	}
}

static void step(struct machine *v, struct input *in, bool vsock)
{
	uint8_t what = byte(in);

	if (what < 64)
		chain(v, in);
	else if (what < 160 && vsock)
		packet(v, in);
	else if (what < 200 && vsock)
		host(v, byte(in));
	else if (what < 240)
		virtio_mmio_write(&v->m, VIRTIO_MMIO_CONFIG + byte(in) % 64, 1u << what % 4, word(in));
	else if (what < 250)
		drive(v);
	else if (vsock)
		virtio_vsock_transport_reset(&v->vsock);
	settle(v);
}

static void unmake(struct machine *v, unsigned kind)
{
	wr(v, VIRTIO_MMIO_STATUS, 0);
	if (kind == 0 && virtio_vsock_count(&v->vsock) != 0)
		abort();
	if (kind == 0)
		virtio_vsock_release(&v->vsock);
	if (kind == 1)
		virtio_console_release(&v->console);
	for (unsigned i = 0; i < v->n_hosts; i++) {
		if (v->hosts[i] >= 0)
			close(v->hosts[i]);
	}
	close(v->out_fd);
	guest_mem_release(&v->mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	unsigned kind = byte(&in) % 3;
	struct machine *v = malloc(sizeof(*v));

	if (!v)
		abort();
	make(v, kind);
	drive(v);
	while (in.len)
		step(v, &in, kind == 0);
	unmake(v, kind);
	free(v);
	return 0;
}
