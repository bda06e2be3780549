#include "base/chan.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/retry.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

struct wire {
	uint32_t type;
	uint32_t len;
	unsigned char data[MSG_DATA_MAX];
};

union passed_fd {
	struct cmsghdr align;
	char buf[CMSG_SPACE(sizeof(int))];
};

int chan_pair(struct chan *a, struct chan *b, struct err *e)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0)
		return err_errno(e, "socketpair");
	a->fd = fd[0];
	b->fd = fd[1];
	return 0;
}

void chan_close(struct chan *c)
{
	close_fd(&c->fd);
}

static ssize_t send_with_fd(int sock, struct iovec *iov, int fd)
{
	union passed_fd ctl = { 0 };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 1, .msg_control = ctl.buf, .msg_controllen = sizeof(ctl.buf) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	return RETRY(sendmsg(sock, &m, MSG_NOSIGNAL));
}

static int next(struct chan *c, struct wire *w, int *fd, struct err *e);

/* The peer has closed its end. What it said before is still there; its own error, if any, is the reason. Does not block. */
static int last_words(struct chan *c, struct err *e)
{
	struct wire w;
	int fd = -1, r;

	while ((r = next(c, &w, &fd, e)) > 0)
		close_fd(&fd);
	return r;
}

int chan_send(struct chan *c, enum msg_type t, const void *data, size_t len, int fd, struct err *e)
{
	struct wire w; /* what is not sent need not be zero */

	w.type = t;
	w.len = (uint32_t)len;
	if (len > sizeof(w.data))
		return err_set(e, EMSGSIZE, "message %d of %zu bytes", t, len);
	if (len)
		memcpy(w.data, data, len);
	struct iovec iov = { &w, offsetof(struct wire, data) + len };
	/* SIGPIPE is ignored by every process that holds a channel. */
	ssize_t n = fd >= 0 ? send_with_fd(c->fd, &iov, fd) : RETRY(write(c->fd, iov.iov_base, iov.iov_len));

	if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
		int r = last_words(c, e);

		return r < 0 ? r : err_set(e, EPIPE, "send message %d: %s", t, strerror(EPIPE));
	}
	return n < 0 ? err_errno(e, "send message %d", t) : 0;
}

int chan_blame(struct chan *c, struct err *e)
{
	struct pollfd p = { .fd = c->fd };
	struct err words;

	if (poll(&p, 1, 0) > 0 && (p.revents & POLLHUP) && last_words(c, &words) < 0)
		*e = words;
	return -e->code;
}

/* Receives one packet into w; returns its length, 0 at end of file. *fd: a passed descriptor or -1. */
static ssize_t receive(struct chan *c, struct wire *w, int *fd, struct err *e)
{
	union passed_fd ctl;
	struct iovec iov = { w, sizeof(*w) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.buf, .msg_controllen = sizeof(ctl.buf) };
	ssize_t n;

	do { /* ECONNRESET, once: the peer died with our message unread; what it said before is still there */
		n = RETRY(recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC));
	} while (n < 0 && errno == ECONNRESET);
	if (n < 0)
		return err_errno(e, "receive a message");
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	*fd = -1;
	if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS && h->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(h), sizeof(*fd));
	if (n > 0 && ((size_t)n < offsetof(struct wire, data) || w->len != (size_t)n - offsetof(struct wire, data)))
		return err_set(e, EPROTO, "torn message");
	return n;
}

static int peer_error(const struct wire *w, struct err *e)
{
	if (w->len != sizeof(*e))
		return err_set(e, EPROTO, "torn error message");
	memcpy(e, w->data, sizeof(*e));
	e->text[ERR_TEXT_MAX - 1] = '\0';
	return e->code > 0 ? -e->code : err_set(e, EPROTO, "peer sent an empty error");
}

static void pass_log(const struct wire *w)
{
	if (w->len > 1 && w->data[0] <= LOG_LEVEL_DEBUG)
		log_put((enum log_level)w->data[0], "%.*s", (int)w->len - 1, (const char *)w->data + 1);
}

/* Receives the next message that is neither a log record nor an error. Returns 1, or 0 at end of file. */
static int next(struct chan *c, struct wire *w, int *fd, struct err *e)
{
	for (;;) {
		ssize_t n = receive(c, w, fd, e);

		if (n <= 0)
			return (int)n;
		if (w->type != MSG_LOG && w->type != MSG_ERROR)
			return 1;
		close_fd(fd);
		if (w->type == MSG_ERROR)
			return peer_error(w, e);
		pass_log(w);
	}
}

static int take_payload(const struct wire *w, void *data, size_t cap, size_t *len, struct err *e)
{
	if (w->len > cap)
		return err_set(e, EMSGSIZE, "message %u of %u bytes", w->type, w->len);
	if (w->len)
		memcpy(data, w->data, w->len);
	*len = w->len;
	return 1;
}

int chan_expect_or_eof(struct chan *c, enum msg_type t, void *data, size_t cap, size_t *len, int *fd, struct err *e)
{
	struct wire w;
	auto_fd int got = -1;
	int r = next(c, &w, &got, e);

	if (r <= 0)
		return r;
	if (w.type != t)
		return err_set(e, EPROTO, "expected message %d, got %u", t, w.type);
	r = take_payload(&w, data, cap, len, e);
	if (r > 0 && fd)
		*fd = take_fd(&got);
	return r;
}

static int peer_ended(enum msg_type t, struct err *e)
{
	return err_set(e, EPIPE, "the process at the other end died before message %d", t);
}

int chan_expect(struct chan *c, enum msg_type t, void *data, size_t cap, int *fd, struct err *e)
{
	size_t len = 0;
	int r = chan_expect_or_eof(c, t, data, cap, &len, fd, e);

	if (r == 0)
		return peer_ended(t, e);
	return r < 0 ? r : (int)len;
}

int chan_expect_either(struct chan *c, enum msg_type t, enum msg_type other, struct err *e)
{
	struct wire w;
	auto_fd int got = -1;
	int r = next(c, &w, &got, e);

	if (r <= 0)
		return r < 0 ? r : peer_ended(t, e);
	if (w.type != t && w.type != other)
		return err_set(e, EPROTO, "expected message %d or %d, got %u", t, other, w.type);
	return (int)w.type;
}

void chan_send_error(struct chan *c, const struct err *report)
{
	struct err ignored;

	(void)!chan_send(c, MSG_ERROR, report, sizeof(*report), -1, &ignored);
}

static void send_record(void *ctx, enum log_level level, const char *text)
{
	struct chan *c = ctx;
	unsigned char data[1024];
	struct err ignored;
	int n = snprintf((char *)data + 1, sizeof(data) - 1, "%s", text);

	data[0] = (unsigned char)level;
	if (n > (int)sizeof(data) - 2)
		n = (int)sizeof(data) - 2;
	(void)!chan_send(c, MSG_LOG, data, (size_t)n + 1, -1, &ignored);
}

void chan_log_to(struct chan *c)
{
	struct log_sink before = log_set_sink((struct log_sink){ 0 });

	log_set_sink((struct log_sink){ .put = send_record, .ctx = c, .max = before.max });
}
