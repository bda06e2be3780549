/* console.c - from the transmit queue to a descriptor, through a ring for what it does not take */
#include "hwvirt-sandbox/virtio/console.h"

#include "base/cleanup.h"
#include "hwvirt-sandbox/iov.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#define F_EMERGENCY_WRITE (1ull << 2)

enum { RX, TX };
enum { QUEUE = 64, REQUEST_MAX = 64 << 10, SEGMENTS = 64, EMERGENCY_WRITE = 8 };

static struct virtio_console *self(struct virtio_device *d)
{
	return (struct virtio_console *)d;
}

/* How many bytes the descriptor took. */
static size_t put(struct virtio_console *c, const struct iovec *v, size_t n)
{
	ssize_t done = n && c->out_fd >= 0 ? writev(c->out_fd, v, (int)n) : 0;

	if (done < 0 && errno != EAGAIN && errno != EINTR) {
		epoll_ctl(c->device.poll_fd, EPOLL_CTL_DEL, c->out_fd, NULL);
		c->out_fd = -EBADF;
		c->len = 0;
	}
	return done < 0 ? 0 : (size_t)done;
}

/* Keeps the bytes from offset on, as far as there is room; none once some were dropped, until that is told. */
static void keep(struct virtio_console *c, const struct iovec *v, size_t n, size_t offset, size_t len)
{
	size_t room = c->out_fd < 0 || c->dropped ? 0 : CONSOLE_BUFFER - c->len, part = len < room ? len : room;
	size_t end = (c->start + c->len) % CONSOLE_BUFFER, first = CONSOLE_BUFFER - end < part ? CONSOLE_BUFFER - end : part;

	iov_read(v, n, offset, c->buffer + end, first);
	iov_read(v, n, offset + first, c->buffer, part - first);
	c->len += (uint32_t)part;
	c->dropped += len - part;
}

static void print(struct virtio_console *c, const struct iovec *v, size_t n, size_t len)
{
	struct iovec part[SEGMENTS];
	size_t done = c->len ? 0 : put(c, part, iov_window(v, n, 0, len, part, SEGMENTS));

	if (done < len)
		keep(c, v, n, done, len - done);
}

/* Takes its place in the ring as soon as there is room for it. */
static void tell_dropped(struct virtio_console *c)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "\r\n[console: %" PRIu64 " bytes dropped]\r\n", c->dropped);
	struct iovec v = { text, (size_t)n };

	if (c->dropped == 0 || CONSOLE_BUFFER - c->len < sizeof(text))
		return;
	c->dropped = 0;
	keep(c, &v, 1, 0, v.iov_len);
}

static void flush(struct virtio_console *c)
{
	uint32_t first = CONSOLE_BUFFER - c->start < c->len ? CONSOLE_BUFFER - c->start : c->len;
	struct iovec v[2] = { { c->buffer + c->start, first }, { c->buffer, c->len - first } };
	size_t done = c->len ? put(c, v, 2) : 0;

	c->start = (uint32_t)((c->start + done) % CONSOLE_BUFFER);
	c->len -= c->len < done ? c->len : (uint32_t)done;
	tell_dropped(c);
}

/* Waits for the descriptor once, if something is kept. */
static void arm(struct virtio_console *c)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLONESHOT };

	if (c->armed || c->len == 0 || c->out_fd < 0)
		return;
	c->armed = epoll_ctl(c->device.poll_fd, EPOLL_CTL_MOD, c->out_fd, &event) == 0;
}

static bool kick(struct virtio_device *d, unsigned i)
{
	struct virtio_console *c = self(d);
	struct virtq *q = &d->queues[i];
	int got = 1;
	struct err e;

	if (i != TX)
		return false;
	for (unsigned n = 0; n < QUEUE && got > 0; n++) {
		got = virtq_pop(q, REQUEST_MAX, &c->chain, &e);
		if (got > 0) {
			print(c, c->chain.segments, c->chain.n_out, c->chain.out_len);
			virtq_push(q, &c->chain, 0);
		}
	}
	if (got < 0)
		virtio_fail(d, &e);
	arm(c);
	virtio_signal(d, q);
	return got > 0;
}

static void ready(struct virtio_device *d)
{
	struct virtio_console *c = self(d);
	struct epoll_event event;

	if (epoll_wait(d->poll_fd, &event, 1, 0) <= 0)
		return;
	c->armed = false;
	flush(c);
	arm(c);
}

/* A character of a kernel that has no queues yet, or no longer. */
static void config_write(struct virtio_device *d, size_t offset, const uint8_t *data, size_t len)
{
	struct iovec v = { (void *)data, 1 };

	if (offset != EMERGENCY_WRITE || len == 0)
		return;
	print(self(d), &v, 1, 1);
	arm(self(d));
}

/* Columns, rows and number of ports mean nothing without their features. */
static void config_read(struct virtio_device *d, uint8_t *out)
{
	(void)d;
	memset(out, 0, EMERGENCY_WRITE + 4);
}

static const struct virtio_ops ops = {
	.name = "console",
	.id = VIRTIO_ID_CONSOLE,
	.features = F_EMERGENCY_WRITE,
	.n_queues = 2,
	.queue_max = { QUEUE, QUEUE },
	.config_len = EMERGENCY_WRITE + 4,
	.config_read = config_read,
	.config_write = config_write,
	.kick = kick,
	.ready = ready,
};

/* epoll knows no regular files, which are always ready. */
static int watch(struct virtio_console *c, struct err *e)
{
	struct epoll_event event = { .events = EPOLLONESHOT };
	struct stat st;
	int flags = fcntl(c->out_fd, F_GETFL);

	if (flags < 0 || fstat(c->out_fd, &st) < 0)
		return err_errno(e, "console: descriptor %d", c->out_fd);
	if (!S_ISREG(st.st_mode) && !(flags & O_NONBLOCK))
		return err_set(e, EINVAL, "console: descriptor %d is not non-blocking", c->out_fd);
	c->device.poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->device.poll_fd < 0)
		return err_errno(e, "console: epoll");
	if (epoll_ctl(c->device.poll_fd, EPOLL_CTL_ADD, c->out_fd, &event) < 0 && errno != EPERM)
		return err_errno(e, "console: polling descriptor %d", c->out_fd);
	return 0;
}

int virtio_console_init(struct virtio_console *c, const struct guest_mem *mem, int out_fd, struct err *e)
{
	int r;

	*c = (struct virtio_console){ .device = { .ops = &ops, .mem = mem, .poll_fd = -EBADF }, .out_fd = out_fd };
	r = watch(c, e);
	if (r < 0) {
		close_fd(&c->device.poll_fd);
		return r;
	}
	c->buffer = malloc(CONSOLE_BUFFER);
	if (!c->buffer)
		abort();
	return 0;
}

void virtio_console_release(struct virtio_console *c)
{
	free(c->buffer);
	c->buffer = NULL;
	close_fd(&c->device.poll_fd);
}
