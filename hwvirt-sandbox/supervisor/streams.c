/* Each stream is a connection that the agent makes, and that first says whose it is (proto/message.h). The workload could make one
 * as well; it gains nothing but to speak for its own guest: each stream is taken once. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/retry.h"
#include "hwvirt-sandbox/supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

/* ---- connections ---- */

static void drop(struct unnamed *u)
{
	close_fd(&u->fd);
	u->n = 0;
}

static bool is_stream_socket(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

/* The workload may make connections that say nothing: they must not keep the agent's out, so the oldest gives way when all are
 * taken. */
static struct unnamed *place(struct supervisor *s)
{
	struct unnamed *oldest = &s->unnamed[0];

	for (size_t i = 0; i < UNNAMED_MAX; i++) {
		struct unnamed *u = &s->unnamed[i];

		if (u->fd < 0)
			return u;
		if (s->connections - u->number > s->connections - oldest->number)
			oldest = u;
	}
	return oldest;
}

void streams_take(struct supervisor *s, int conn)
{
	auto_fd int fd = conn;

	if (!is_stream_socket(fd))
		return;
	if (s->control < 0 && !s->lost) {
		s->control = take_fd(&fd);
		return;
	}
	struct unnamed *u = place(s);

	drop(u);
	u->fd = take_fd(&fd);
	u->number = s->connections++;
}

static int parse_head(const unsigned char *head, struct msg_stream *out)
{
	auto_arena struct arena a = { 0 };
	struct frame_reader r;
	struct message m;
	struct err ignored;

	frame_reader_init(&r, STREAM_HEAD);
	frame_feed(&r, head, STREAM_HEAD);
	int got = frame_next(&r, &m, &ignored);

	got = got == 1 && m.type == PROTO_STREAM ? message_decode(&m, &a, codec_stream, out, &ignored) : -EPROTO;
	frame_reader_release(&r);
	return got;
}

/* Both directions of a terminal, each with descriptors of its own. */
static int connect_terminal(struct supervisor *s, struct proc *p, int conn, struct err *e)
{
	auto_fd int one = conn, two = fcntl(conn, F_DUPFD_CLOEXEC, 3), tty = fcntl(p->terminal, F_DUPFD_CLOEXEC, 3),
		    tty2 = fcntl(p->terminal, F_DUPFD_CLOEXEC, 3);

	if (two < 0 || tty < 0 || tty2 < 0)
		return err_errno(e, "dup");
	int r = relay_add(&s->relays, p->number, STREAM_TERMINAL, take_fd(&one), take_fd(&tty), false, e);

	return r < 0 ? r : relay_add(&s->relays, p->number, STREAM_TERMINAL, take_fd(&tty2), take_fd(&two), true, e);
}

static int connect_one(struct supervisor *s, struct proc *p, uint32_t stream, int conn, struct err *e)
{
	if (stream == STREAM_TERMINAL)
		return connect_terminal(s, p, conn, e);
	if (stream == STREAM_STDIN)
		return relay_add(&s->relays, p->number, stream, take_fd(&p->fd[0]), conn, true, e);
	return relay_add(&s->relays, p->number, stream, conn, take_fd(&p->fd[stream == STREAM_STDOUT ? 1 : 2]), false, e);
}

void streams_name(struct supervisor *s, struct unnamed *u)
{
	struct msg_stream m = { 0 };
	struct err ignored;
	ssize_t n = RETRY(recv(u->fd, u->head + u->n, STREAM_HEAD - u->n, MSG_DONTWAIT));

	if (n < 0 && errno == EAGAIN)
		return;
	u->n += n > 0 ? (size_t)n : 0;
	if (n > 0 && u->n < STREAM_HEAD)
		return;
	struct proc *p = n > 0 && parse_head(u->head, &m) == 0 ? link_proc(s, m.proc) : NULL;

	if (p && (p->streams & m.stream) && !(m.stream & (m.stream - 1))) {
		p->streams &= ~m.stream;
		(void)!connect_one(s, p, m.stream, take_fd(&u->fd), &ignored);
	}
	drop(u);
}

/* ---- ours ---- */

/* Our caller's descriptor must not become non-blocking for others who have it, so it is opened anew where that is another
 * description of the same thing: pipes and terminals, not files, whose position would be lost. */
static int own_description(int fd, int flags)
{
	struct stat st;
	char path[32];

	if (fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		int own = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

		if (own >= 0)
			return own;
	}
	return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

int streams_of_ours(struct proc *p, bool connect, struct err *e)
{
	auto_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return err_errno(e, "/dev/null");
	for (int i = 0; i < 3; i++) {
		if (connect && !fd_is_null_device(i)) {
			p->fd[i] = own_description(i, i ? O_WRONLY : O_RDONLY);
			if (p->fd[i] < 0)
				return err_errno(e, "standard stream %d", i);
			p->streams |= 1u << i;
		}
		if (dup2(null, i) < 0)
			return err_errno(e, "/dev/null");
	}
	return 0;
}

/* What is typed goes through as it is: the guest's terminal makes of it what terminals do. */
static int make_raw(int fd, struct err *e)
{
	struct termios t;

	if (tcgetattr(fd, &t) < 0)
		return err_errno(e, "terminal");
	t.c_iflag &= (tcflag_t) ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	t.c_oflag &= (tcflag_t)~OPOST;
	t.c_lflag &= (tcflag_t) ~(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	t.c_cflag = (t.c_cflag & (tcflag_t) ~(CSIZE | PARENB)) | CS8;
	return tcsetattr(fd, TCSANOW, &t) < 0 ? err_errno(e, "terminal") : 0;
}

int streams_console(struct proc *p, const struct proc_plan *of, int *master, struct err *e)
{
	const struct winsize size = { .ws_row = of->rows, .ws_col = of->cols };
	char name[64];
	auto_fd int m = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (m < 0 || unlockpt(m) < 0 || ptsname_r(m, name, sizeof(name)) != 0)
		return err_errno(e, "terminal");
	auto_fd int s = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (s < 0)
		return err_errno(e, "%s", name);
	int r = make_raw(s, e);

	if (r < 0)
		return r;
	if (ioctl(s, TIOCSWINSZ, &size) < 0)
		return err_errno(e, "%s: TIOCSWINSZ", name);
	/* So that its size and its end are told to us by SIGWINCH and SIGHUP. */
	if (ioctl(s, TIOCSCTTY, 0) < 0)
		return err_errno(e, "%s: TIOCSCTTY", name);
	p->terminal = take_fd(&s);
	p->streams = STREAM_TERMINAL;
	*master = take_fd(&m);
	return 0;
}

int streams_left(struct supervisor *s, uint32_t proc)
{
	const struct proc *p = link_proc(s, proc);
	/* Its connection was made before it began, but what the agent says comes by another way, and may be heard first. */
	int left = p && (p->streams & (STREAM_STDOUT | STREAM_STDERR | STREAM_TERMINAL)) && !s->lost ? 2 : 0;

	for (size_t i = 0; i < RELAY_MAX; i++) {
		const struct relay *r = &s->relays.v[i];

		if (!relay_used(r) || r->proc != proc || r->to_socket)
			continue;
		if (r->len)
			return 1;
		left = 2;
	}
	return left;
}
