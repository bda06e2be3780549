/* vsock_conn.c - between a socket and a guest's stream
 *
 * The socket's events are asked for one at a time (EPOLLONESHOT): one that came is remembered in can_read and not asked for again
 * before reading has failed with EAGAIN. So a guest without room, or without buffers, does not make the poll loop spin.
 */
#include "hwvirt-sandbox/virtio/vsock_conn.h"

#include "base/cleanup.h"
#include "hwvirt-sandbox/iov.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { SEGMENTS = 64 };

static uint32_t buffered(const struct vsock_conn *c)
{
	return c->received - c->forwarded;
}

int vsock_conn_open(struct vsock_conn *c, int epoll_fd, int fd, uint32_t host_port, uint32_t guest_port)
{
	struct epoll_event event = { .events = EPOLLONESHOT, .data.ptr = c };

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	*c = (struct vsock_conn){
		.state = VSOCK_OPEN,
		.host_port = host_port,
		.guest_port = guest_port,
		.fd = fd,
		.epoll_fd = epoll_fd,
		.armed = EPOLLHUP,
	};
	return 0;
}

/* Out of the poll set first: another process may hold the same socket. */
static void close_socket(struct vsock_conn *c)
{
	if (c->fd >= 0)
		epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
	close_fd(&c->fd);
	free(c->buffer);
	c->buffer = NULL;
}

void vsock_conn_close(struct vsock_conn *c)
{
	close_socket(c);
	*c = (struct vsock_conn){ .fd = -EBADF };
}

void vsock_conn_reset(struct vsock_conn *c)
{
	close_socket(c);
	c->state = VSOCK_CLOSING;
	c->pending = 1u << VSOCK_RST;
}

/* Sends segments to the socket. Returns how many bytes it took, none when it is full; -errno: it is broken. */
static ssize_t transmit(const struct vsock_conn *c, struct iovec *v, size_t n)
{
	struct msghdr m = { .msg_iov = v, .msg_iovlen = n };
	ssize_t done = n ? sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;

	if (done >= 0)
		return done;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

/* Appends what the socket did not take: len bytes, for which there is room. */
static void keep(struct vsock_conn *c, const struct virtq_chain *chain, size_t offset, uint32_t len, uint32_t at)
{
	uint32_t start = at % VSOCK_BUFFER, first = VSOCK_BUFFER - start < len ? VSOCK_BUFFER - start : len;

	if (!c->buffer)
		c->buffer = malloc(VSOCK_BUFFER);
	if (!c->buffer)
		abort();
	iov_read(chain->segments, chain->n_out, offset, c->buffer + start, first);
	iov_read(chain->segments, chain->n_out, offset + first, c->buffer, len - first);
}

/* The guest hears of room when it thinks that less than half is left. */
static void tell_credit(struct vsock_conn *c)
{
	if (c->told != c->forwarded && c->received - c->told > VSOCK_BUFFER / 2)
		c->pending |= 1u << VSOCK_CREDIT_UPDATE;
}

void vsock_conn_receive(struct vsock_conn *c, const struct virtq_chain *chain, size_t offset, uint32_t len)
{
	uint32_t at = c->received;
	struct iovec v[SEGMENTS];
	ssize_t done = 0;

	if ((c->guest_shut & VSOCK_SHUT_SEND) || len > VSOCK_BUFFER - buffered(c)) {
		vsock_conn_reset(c);
		return;
	}
	if (buffered(c) == 0)
		done = transmit(c, v, iov_window(chain->segments, chain->n_out, offset, len, v, SEGMENTS));
	if (done < 0) {
		vsock_conn_reset(c);
		return;
	}
	c->received += len;
	c->forwarded += (uint32_t)done;
	if (buffered(c))
		keep(c, chain, offset + (size_t)done, len - (uint32_t)done, at + (uint32_t)done);
	tell_credit(c);
}

/* When the socket has everything: what the guest has shut is shut there. */
static void settle(struct vsock_conn *c)
{
	if (buffered(c) == 0) {
		free(c->buffer);
		c->buffer = NULL;
		if (c->guest_shut & VSOCK_SHUT_SEND)
			shutdown(c->fd, SHUT_WR);
	}
	if ((c->guest_shut == VSOCK_SHUT_BOTH && buffered(c) == 0) || (c->hup && (c->guest_shut & VSOCK_SHUT_RCV)))
		vsock_conn_reset(c);
}

static void flush(struct vsock_conn *c)
{
	uint32_t start = c->forwarded % VSOCK_BUFFER, len = buffered(c);
	uint32_t first = VSOCK_BUFFER - start < len ? VSOCK_BUFFER - start : len;
	struct iovec v[2] = { { c->buffer + start, first }, { c->buffer, len - first } };
	ssize_t done = transmit(c, v, 2);

	if (done < 0) {
		vsock_conn_reset(c);
		return;
	}
	c->forwarded += (uint32_t)done;
	tell_credit(c);
	settle(c);
}

void vsock_conn_shutdown(struct vsock_conn *c, uint32_t flags)
{
	c->guest_shut |= flags & VSOCK_SHUT_BOTH;
	if (flags & VSOCK_SHUT_RCV)
		shutdown(c->fd, SHUT_RD);
	settle(c);
}

void vsock_conn_event(struct vsock_conn *c, uint32_t events)
{
	c->armed = 0;
	if (c->fd < 0)
		return;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		c->can_read = true;
	if (events & (EPOLLHUP | EPOLLERR)) {
		c->hup = true;
		if (c->eof)
			c->pending |= 1u << VSOCK_SHUTDOWN;
	}
	if (c->state == VSOCK_CONNECTING && c->hup)
		vsock_conn_reset(c);
	else if (buffered(c))
		flush(c);
	else
		settle(c);
}

/* EPOLLHUP needs no asking for, but it comes only while something is armed. */
void vsock_conn_arm(struct vsock_conn *c)
{
	uint32_t want = c->hup ? 0 : EPOLLHUP;
	struct epoll_event event = { .data.ptr = c };

	if (c->fd < 0)
		return;
	if (c->state == VSOCK_OPEN && !c->can_read && !c->eof && !(c->guest_shut & VSOCK_SHUT_RCV))
		want |= EPOLLIN;
	if (buffered(c) && !c->hup)
		want |= EPOLLOUT;
	if (!(want & ~c->armed))
		return;
	c->armed = want;
	event.events = want | EPOLLONESHOT;
	epoll_ctl(c->epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

/* The counts are the guest's to say: what is no sensible room is none. */
static uint32_t room(const struct vsock_conn *c)
{
	uint32_t under_way = c->sent - c->guest_fwd;

	return under_way < c->guest_buf ? c->guest_buf - under_way : 0;
}

uint32_t vsock_conn_send(struct vsock_conn *c, const struct virtq_chain *chain, size_t offset)
{
	struct iovec v[SEGMENTS];
	struct msghdr m = { .msg_iov = v };
	ssize_t n;

	if (c->state != VSOCK_OPEN || !c->can_read || c->eof || (c->guest_shut & VSOCK_SHUT_RCV) || room(c) == 0)
		return 0;
	m.msg_iovlen = iov_window(chain->segments + chain->n_out, chain->n_in, offset, room(c), v, SEGMENTS);
	if (m.msg_iovlen == 0)
		return 0;
	n = recvmsg(c->fd, &m, MSG_DONTWAIT);
	if (n > 0) {
		c->sent += (uint32_t)n;
		return (uint32_t)n;
	}
	c->can_read = false;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	c->eof = true;
	c->pending |= 1u << VSOCK_SHUTDOWN;
	return 0;
}

uint32_t vsock_conn_shut_flags(const struct vsock_conn *c)
{
	return (c->eof ? VSOCK_SHUT_SEND : 0) | (c->hup ? VSOCK_SHUT_RCV : 0);
}
