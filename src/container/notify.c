/* sd_notify: what the program in a container says about its readiness, to the service manager outside.
 *
 * A caller with NOTIFY_SOCKET gets a container with a socket of its own: a directory of the state directory, bound read-only at
 * /run/notify, with NOTIFY_SOCKET in the environment of the program. `start` and `run --detach` return when the program has said
 * READY=1 (or has ended), after that and the pid of its init were passed on; a `run` in the foreground passes on what may be, until
 * the end. The program is not trusted: only what says something about itself is passed on, never numbers of processes or
 * descriptors. A config that gives NOTIFY_SOCKET to the program knows of another way, and is left alone. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/retry.h"
#include "base/str.h"
#include "container/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define INSIDE             "/run/notify"
#define SOCKET             "notify.sock"
#define MESSAGE_MAX        4096
#define BARRIER_TIMEOUT_MS 30000

static const char *outside(void)
{
	const char *name = getenv("NOTIFY_SOCKET");

	return name && *name ? name : NULL;
}

static bool can_have_it(const struct oci_spec *spec)
{
	bool own_mounts = false;

	for (size_t i = 0; i < spec->linux_->namespaces.n; i++) {
		const struct oci_namespace *ns = &spec->linux_->namespaces.v[i];

		own_mounts |= ns->type == OCI_NS_MOUNT && !ns->path;
	}
	for (size_t i = 0; spec->process && i < spec->process->env.n; i++)
		if (str_starts(spec->process->env.v[i], "NOTIFY_SOCKET="))
			return false;
	return own_mounts && spec->process;
}

static const char *source(const struct runtime *rt, const char *id, struct arena *a)
{
	char here[4096];

	if (rt->root[0] == '/' || !getcwd(here, sizeof(here)))
		return arena_printf(a, "%s/%s/notify", rt->root, id);
	return arena_printf(a, "%s/%s/%s/notify", here, rt->root, id);
}

bool notify_plan(const struct runtime *rt, const char *id, struct arena *a, const struct oci_spec **spec)
{
	static const char *words[] = { "bind", "ro", "nosuid", "nodev", "noexec", NULL };

	if (!outside() || !can_have_it(*spec))
		return false;
	struct oci_spec *s = arena_new(a, struct oci_spec);
	struct oci_process *p = arena_new(a, struct oci_process);
	size_t n = (*spec)->mounts.n, env = (*spec)->process->env.n;

	*s = **spec;
	*p = *s->process;
	s->process = p;
	s->mounts.v = arena_alloc(a, (n + 1) * sizeof(*s->mounts.v));
	p->env.v = arena_alloc(a, (env + 2) * sizeof(*p->env.v));
	for (size_t i = 0; i < n; i++)
		s->mounts.v[i] = (*spec)->mounts.v[i];
	for (size_t i = 0; i < env; i++)
		p->env.v[i] = (*spec)->process->env.v[i];
	s->mounts.v[s->mounts.n++] =
		(struct oci_mount){ .destination = INSIDE, .source = source(rt, id, a), .options = { words, 5 } };
	p->env.v[p->env.n++] = "NOTIFY_SOCKET=" INSIDE "/" SOCKET;
	*spec = s;
	return true;
}

int notify_make(const struct container *c, struct err *e)
{
	if (mkdirat(c->dir_fd, "notify", 0755) < 0)
		return err_errno(e, "NOTIFY_SOCKET: state directory of container \"%s\"", c->id);
	return 0;
}

static int connect_outside(const char *name, struct err *e)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(name);

	if (len >= sizeof(addr.sun_path) || (name[0] != '/' && name[0] != '@'))
		return err_set(e, EINVAL, "NOTIFY_SOCKET=%.120s: not the name of a socket", name);
	memcpy(addr.sun_path, name, len);
	if (name[0] == '@')
		addr.sun_path[0] = '\0';
	auto_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '/'));

	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, size) < 0)
		return err_errno(e, "NOTIFY_SOCKET=%s", name);
	return take_fd(&fd);
}

/* Anew for each start: it may be another process than the one that created the container. */
static int listen_inside(const struct container *c, struct err *e)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	auto_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/notify/" SOCKET, c->dir_fd);
	(void)unlinkat(c->dir_fd, "notify/" SOCKET, 0);
	/* Whoever the program is. */
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || fchmodat(c->dir_fd, "notify/" SOCKET, 0666, 0) < 0)
		return err_errno(e, "NOTIFY_SOCKET: socket of container \"%s\"", c->id);
	return take_fd(&fd);
}

int notify_open(const struct container *c, struct notify *out, struct err *e)
{
	*out = NOTIFY_NONE;
	if (!outside() || faccessat(c->dir_fd, "notify", F_OK, 0) < 0)
		return 0;
	auto_fd int to = connect_outside(outside(), e);
	auto_fd int from = to < 0 ? -1 : listen_inside(c, e);

	if (from < 0)
		return -e->code;
	*out = (struct notify){ take_fd(&from), take_fd(&to) };
	return 0;
}

void notify_close(struct notify *n)
{
	close_fd(&n->from);
	close_fd(&n->to);
}

/* A service manager that is not there any more, or is stuck, is no reason to fail. */
static void tell(const struct notify *n, const char *text, size_t len)
{
	(void)send(n->to, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static bool may_pass(const char *line)
{
	static const char *const allowed[] = {
		"READY=1", "STATUS=", "RELOADING=1", "STOPPING=1", "MONOTONIC_USEC=", "WATCHDOG=1", "EXTEND_TIMEOUT_USEC=",
		"ERRNO=",  NULL
	};

	for (size_t i = 0; allowed[i]; i++)
		if (str_starts(line, allowed[i]))
			return true;
	return false;
}

bool notify_pass(const struct notify *n)
{
	auto_arena struct arena a = { 0 };
	struct strbuf passed = STRBUF(&a);
	char text[MESSAGE_MAX + 1];
	bool ready = false;
	ssize_t len = RETRY(recv(n->from, text, sizeof(text) - 1, MSG_DONTWAIT));

	if (len <= 0)
		return false;
	text[len] = '\0';
	for (char *line = text, *end; line < text + len; line = end + 1) {
		end = line + strcspn(line, "\n");
		*end = '\0';
		ready |= str_eq(line, "READY=1");
		if (may_pass(line))
			strbuf_printf(&passed, "%s\n", line);
	}
	if (passed.len)
		tell(n, passed.text, passed.len);
	return ready;
}

/* Returns when the service manager has read all that was sent: it closes the descriptor that comes with the last. */
static void await_reading(const struct notify *n)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} ctl = { 0 };
	char text[] = "BARRIER=1";
	struct iovec iov = { text, strlen(text) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.buf, .msg_controllen = sizeof(ctl.buf) };
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &ends[1], sizeof(int));
	bool sent = sendmsg(n->to, &m, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;

	close(ends[1]);
	struct pollfd p = { .fd = ends[0] };

	if (sent)
		(void)RETRY(poll(&p, 1, BARRIER_TIMEOUT_MS));
	close(ends[0]);
}

int notify_await_ready(const struct notify *n, pid_t pid, int pidfd, struct err *e)
{
	struct pollfd p[] = { { .fd = n->from, .events = POLLIN }, { .fd = pidfd, .events = POLLIN } };
	bool ready = false;
	char text[32];

	if (n->from < 0)
		return 0;
	while (!ready) {
		if (RETRY(poll(p, 2, -1)) < 0)
			return err_errno(e, "poll");
		ready = p[0].revents && notify_pass(n);
		if (!ready && !p[0].revents && p[1].revents)
			return 0; /* it has ended, which others will tell */
	}
	tell(n, text, (size_t)snprintf(text, sizeof(text), "MAINPID=%d", (int)pid));
	await_reading(n);
	return 0;
}
