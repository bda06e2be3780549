/* fs.c - the registers of the file system device
 *
 * Starting and stopping wait for the server's answer, so that after a reset nobody touches the queues. A server that does not
 * answer in time counts as gone: its channel is closed, which ends it as soon as it looks.
 */
#include "hwvirt-sandbox/virtio/fs.h"

#include "base/cleanup.h"
#include "hwvirt-sandbox/virtio/fs_channel.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>

/* A queue must be longer than a request of 1 MiB has pages: Linux counts entries even where tables are indirect. */
enum { QUEUE = 512, ANSWER_SECONDS = 30 };

struct config {
	char tag[VIRTIO_FS_TAG_MAX];
	uint32_t n_requests;
} __attribute__((packed));

static struct virtio_fs *self(struct virtio_device *d)
{
	return (struct virtio_fs *)d;
}

static void config_read(struct virtio_device *d, uint8_t *out)
{
	struct config c = { .n_requests = d->ops->n_queues - 1 };

	memcpy(c.tag, self(d)->tag, sizeof(c.tag));
	memcpy(out, &c, sizeof(c));
}

/* Closing it takes it out of poll_fd, unless the server has inherited it. */
static void drop_server(struct virtio_fs *f)
{
	if (f->channel_fd < 0)
		return;
	shutdown(f->channel_fd, SHUT_RDWR);
	epoll_ctl(f->device.poll_fd, EPOLL_CTL_DEL, f->channel_fd, NULL);
	close_fd(&f->channel_fd);
}

/* Says something, and waits for the answer; what a queue of the last session had to say is passed over. */
static int converse(struct virtio_fs *f, struct fs_message *m, struct err *e)
{
	uint32_t kind = m->kind;
	ssize_t n = -1;

	if (f->channel_fd < 0)
		return err_set(e, EIO, "the file server has ended");
	if (send(f->channel_fd, m, sizeof(*m), MSG_NOSIGNAL) == sizeof(*m)) {
		do
			n = recv(f->channel_fd, m, sizeof(*m), 0);
		while ((n < 0 && errno == EINTR) || (n == sizeof(*m) && m->kind == FS_BROKEN));
	}
	if (n != sizeof(*m) || m->kind != kind) {
		drop_server(f);
		return err_set(e, EIO, "the file server does not answer");
	}
	m->text[sizeof(m->text) - 1] = '\0';
	return m->result < 0 ? err_set(e, -m->result, "file server: %s", m->text) : 0;
}

static int activate(struct virtio_device *d, struct err *e)
{
	struct fs_message m = { .kind = FS_START, .features = d->features };

	for (unsigned i = 0; i < d->ops->n_queues; i++) {
		if (d->queues[i].ready)
			m.layout[i] = d->queues[i].layout;
	}
	return converse(self(d), &m, e);
}

static void reset(struct virtio_device *d)
{
	struct fs_message m = { .kind = FS_STOP };
	struct err e;

	(void)converse(self(d), &m, &e); /* a server that can't be stopped is gone, which the next start says */
}

static bool kick(struct virtio_device *d, unsigned i)
{
	uint64_t one = 1;
	ssize_t n = write(self(d)->remote.kick_fd[i], &one, sizeof(one));

	(void)n; /* a counter that is full wakes too */
	return false;
}

static void ready(struct virtio_device *d)
{
	struct virtio_fs *f = self(d);
	struct fs_message m;
	struct err e;
	ssize_t n = f->channel_fd < 0 ? 0 : recv(f->channel_fd, &m, sizeof(m), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != sizeof(m) || m.kind != FS_BROKEN) {
		drop_server(f);
		err_set(&e, EIO, "the file server has ended");
	} else {
		m.text[sizeof(m.text) - 1] = '\0';
		err_set(&e, EPROTO, "%s", m.text);
	}
	if (d->active)
		virtio_fail(d, &e);
}

static const struct virtio_ops ops = {
	.name = "fs",
	.id = VIRTIO_ID_FS,
	.config_len = sizeof(struct config),
	.config_read = config_read,
	.activate = activate,
	.kick = kick,
	.reset = reset,
	.ready = ready,
};

static int new_events(struct virtio_fs *f, struct err *e)
{
	for (unsigned i = 0; i < f->ops.n_queues; i++) {
		f->remote.kick_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (f->remote.kick_fd[i] < 0)
			return err_errno(e, "eventfd");
	}
	f->remote.call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return f->remote.call_fd < 0 ? err_errno(e, "eventfd") : 0;
}

static int new_channel(struct virtio_fs *f, int *peer_fd, struct err *e)
{
	const struct timeval limit = { .tv_sec = ANSWER_SECONDS };
	struct epoll_event event = { .events = EPOLLIN };
	int pair[2];

	f->device.poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (f->device.poll_fd < 0)
		return err_errno(e, "epoll");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, "socketpair");
	f->channel_fd = pair[0];
	*peer_fd = pair[1];
	if (setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return err_errno(e, "channel: its time limit");
	return epoll_ctl(f->device.poll_fd, EPOLL_CTL_ADD, pair[0], &event) < 0 ? err_errno(e, "epoll") : 0;
}

static int init(struct virtio_fs *f, unsigned n_requests, struct virtio_fs_peer *peer, struct err *e)
{
	int r;

	f->ops.n_queues = n_requests + 1;
	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++) {
		f->ops.queue_max[i] = QUEUE;
		f->remote.kick_fd[i] = -EBADF;
	}
	r = new_events(f, e);
	if (r >= 0)
		r = new_channel(f, &peer->channel_fd, e);
	peer->remote = f->remote;
	peer->n_queues = f->ops.n_queues;
	return r;
}

int virtio_fs_init(struct virtio_fs *f, const struct guest_mem *mem, const char *tag, unsigned n_requests,
		   struct virtio_fs_peer *peer, struct err *e)
{
	size_t len = strlen(tag);
	int r;

	if (len == 0 || len > sizeof(f->tag))
		return err_set(e, EINVAL, "share: tag \"%s\" has not 1 to %d bytes", tag, VIRTIO_FS_TAG_MAX);
	if (n_requests == 0 || n_requests > VIRTIO_FS_QUEUES_MAX)
		return err_set(e, EINVAL, "share %s: %u queues are not 1 to %d", tag, n_requests, VIRTIO_FS_QUEUES_MAX);
	*f = (struct virtio_fs){ .device = { .ops = &f->ops, .mem = mem, .poll_fd = -EBADF, .remote = &f->remote },
				 .ops = ops,
				 .remote = { .call_fd = -EBADF },
				 .channel_fd = -EBADF };
	*peer = (struct virtio_fs_peer){ .channel_fd = -EBADF };
	memcpy(f->tag, tag, len);
	r = init(f, n_requests, peer, e);
	if (r < 0) {
		close_fd(&peer->channel_fd);
		virtio_fs_release(f);
		return err_in(e, "share %s", tag);
	}
	return 0;
}

void virtio_fs_release(struct virtio_fs *f)
{
	drop_server(f);
	close_fd(&f->device.poll_fd);
	close_fd(&f->remote.call_fd);
	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++)
		close_fd(&f->remote.kick_fd[i]);
}
