#include "hwvirt-sandbox/relay.h"
#include "base/cleanup.h"
#include "base/retry.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { SIZE = 16384 };

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int relay_add(struct relays *all, uint32_t proc, uint32_t stream, int from_fd, int to_fd, bool to_socket, struct err *e)
{
	auto_fd int from = from_fd, to = to_fd;
	struct relay *r = NULL;

	for (size_t i = 0; i < RELAY_MAX && !r; i++)
		r = relay_used(&all->v[i]) ? NULL : &all->v[i];
	if (!r)
		return err_set(e, EBUSY, "too many streams at once");
	if (set_nonblocking(from) < 0 || set_nonblocking(to) < 0)
		return err_errno(e, "fcntl");
	*r = (struct relay){
		.proc = proc, .stream = stream, .from = take_fd(&from), .to = take_fd(&to), .to_socket = to_socket, .at = -1
	};
	r->buf = malloc(SIZE);
	if (!r->buf)
		abort();
	return 0;
}

void relay_close(struct relay *r)
{
	if (r->to_socket)
		(void)shutdown(r->to, SHUT_WR);
	close_fd(&r->from);
	close_fd(&r->to);
	free(r->buf);
	*r = (struct relay){ .from = -1, .to = -1, .at = -1 };
}

/* false: that side has ended. */
static bool fill(struct relay *r)
{
	ssize_t n = RETRY(r->to_socket ? read(r->from, r->buf, SIZE) : recv(r->from, r->buf, SIZE, MSG_DONTWAIT));

	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	r->off = 0;
	r->len = (size_t)n;
	return true;
}

static bool drain(struct relay *r)
{
	const unsigned char *at = r->buf + r->off;
	ssize_t n = RETRY(r->to_socket ? send(r->to, at, r->len, MSG_DONTWAIT | MSG_NOSIGNAL) : write(r->to, at, r->len));

	if (n < 0)
		return errno == EAGAIN;
	r->off += (size_t)n;
	r->len -= (size_t)n;
	return true;
}

/* Nobody reads any more what goes to this side. */
static bool deaf(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLHUP));
}

void relay_step(struct relay *r)
{
	bool on = r->len || fill(r);

	if (on && r->len)
		on = drain(r);
	if (!on || deaf(r->to))
		relay_close(r);
}

void relays_init(struct relays *all)
{
	for (size_t i = 0; i < RELAY_MAX; i++)
		all->v[i] = (struct relay){ .from = -1, .to = -1, .at = -1 };
}

size_t relays_watch(struct relays *all, struct pollfd *v0, size_t n)
{
	for (size_t i = 0; i < RELAY_MAX; i++) {
		struct relay *r = &all->v[i];

		r->at = relay_used(r) ? (int)n : -1;
		if (r->at < 0)
			continue;
		/* A hang-up would be told again and again while there is no room for more. */
		v0[n++] = (struct pollfd){ .fd = r->len ? -1 : r->from, .events = POLLIN };
		v0[n++] = (struct pollfd){ .fd = r->to, .events = r->len ? POLLOUT : 0 };
	}
	return n;
}

void relays_step(struct relays *all, const struct pollfd *v0)
{
	for (size_t i = 0; i < RELAY_MAX; i++) {
		struct relay *r = &all->v[i];

		if (relay_used(r) && r->at >= 0 && (v0[r->at].revents || v0[r->at + 1].revents))
			relay_step(r);
	}
}
