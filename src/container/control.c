#include "container/control.h"
#include "base/cleanup.h"
#include "base/retry.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

enum { SEND_S = 1, ANSWER_S = 90 }; /* a question may wait for others, and for the guest */

/* The address goes through a descriptor, so the length of the state directory's path never matters. */
static struct sockaddr_un address(int dir_fd)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d/control.sock", dir_fd);
	return un;
}

int control_listen(int dir_fd, struct err *e)
{
	const struct sockaddr_un un = address(dir_fd);
	auto_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&un, sizeof(un)) < 0 || listen(fd, 64) < 0)
		return err_errno(e, "control.sock");
	return take_fd(&fd);
}

int control_connect(int dir_fd, struct err *e)
{
	const struct sockaddr_un un = address(dir_fd);
	auto_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0 || RETRY(connect(fd, (const struct sockaddr *)&un, sizeof(un))) < 0)
		return err_set(e, ENOLINK, "the supervisor of the virtual machine: %s", strerror(errno));
	return take_fd(&fd);
}

union passed {
	struct cmsghdr head;
	char room[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
};

int control_send(int fd, const struct control_packet *p, const int *fds, unsigned n_fds, struct err *e)
{
	const struct timeval limit = { .tv_sec = SEND_S };
	union passed control = { 0 };
	struct iovec v = { (void *)p, offsetof(struct control_packet, data) + p->len };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	if (n_fds) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, n_fds * sizeof(int));
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return RETRY(sendmsg(fd, &m, MSG_NOSIGNAL)) < 0 ? err_errno(e, "control.sock: send") : 0;
}

static void take_fds(const union passed *control, struct msghdr *m, int *fds)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(m);
	size_t n = c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;

	for (size_t i = 0; i < n && i < CONTROL_FDS_MAX; i++)
		memcpy(&fds[i], CMSG_DATA(&control->head) + i * sizeof(int), sizeof(int));
}

int control_receive(int fd, struct control_packet *p, int *fds, struct err *e)
{
	union passed control = { 0 };
	struct iovec v = { p, sizeof(*p) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control.room) };
	const size_t head = offsetof(struct control_packet, data);

	for (int i = 0; i < CONTROL_FDS_MAX; i++)
		fds[i] = -1;
	ssize_t n = RETRY(recvmsg(fd, &m, MSG_CMSG_CLOEXEC));

	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return 0;
	if (n < 0)
		return err_errno(e, "control.sock: receive");
	take_fds(&control, &m, fds);
	if ((size_t)n >= head && p->len <= CONTROL_DATA_MAX && (size_t)n == head + p->len && !(m.msg_flags & MSG_CTRUNC))
		return 1;
	for (int i = 0; i < CONTROL_FDS_MAX; i++)
		close_fd(&fds[i]);
	return err_set(e, EPROTO, "control.sock: a malformed packet");
}

int control_ask(int fd, struct control_packet *p, const int *fds, unsigned n_fds, struct err *e)
{
	const struct timeval limit = { .tv_sec = ANSWER_S };
	int passed[CONTROL_FDS_MAX] = { -1, -1, -1, -1 };
	struct err why;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	int r = control_send(fd, p, fds, n_fds, e);

	if (r == 0)
		r = control_receive(fd, p, passed, e);
	if (r <= 0)
		return err_set(e, ENOLINK, "the supervisor of the virtual machine %s", r < 0 ? "does not answer" : "has ended");
	for (int i = 0; i < CONTROL_FDS_MAX; i++)
		close_fd(&passed[i]);
	if (p->type == CONTROL_OK)
		return 0;
	if (p->type != CONTROL_ERROR || p->len != sizeof(why))
		return err_set(e, EPROTO, "control.sock: an answer of type %u", p->type);
	memcpy(&why, p->data, sizeof(why));
	why.text[sizeof(why.text) - 1] = '\0';
	*e = why;
	return why.code > 0 ? -why.code : err_set(e, EPROTO, "control.sock: an error without a code");
}
