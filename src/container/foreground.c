/* The foreground: a process of ours runs, we stand between it and our caller.
 *
 * Signals arrive by signalfd and are passed on by pidfd; the end of the process is the pidfd's readability. With a terminal, bytes
 * are copied between our standard streams and the master, and our own terminal is raw while that lasts.
 *
 * Neither direction waits for the other: a program that writes before it reads must not be stuck because we wait for it to read. So
 * each has a buffer, the master does not block, and our output is written when it has room. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/retry.h"
#include "base/self.h"
#include "base/sys.h"
#include "container/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441 /* <asm-generic/ioctls.h>; not in every libc */
#endif

/* Bytes on their way. A pipe that is ready for output takes as many without blocking. */
struct bytes {
	char *v; /* PIPE_BUF of them, borrowed */
	size_t at, end;
};

struct foreground {
	pid_t pid;
	int pidfd, master, signals; /* borrowed */
	int peer;                   /* the master's other end: held, so that a program may close all of its own and open it again */
	const struct notify *notify;
	bool reap_all, input_open, output_open, ended;
	char last; /* byte of the input */
	struct bytes input, output;
	bool raw;
	struct termios before;
};

void copy_window_size(int master)
{
	struct winsize ws;

	/* A terminal that does not know its size says 0. */
	if (master >= 0 && ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) == 0 && (ws.ws_row || ws.ws_col))
		(void)ioctl(master, TIOCSWINSZ, &ws);
}

static void make_raw(struct foreground *f)
{
	struct termios raw;

	if (f->master < 0 || tcgetattr(STDIN_FILENO, &f->before) < 0)
		return;
	raw = f->before;
	cfmakeraw(&raw);
	/* The container's pty does not translate line ends; our terminal has to go on doing it. */
	raw.c_oflag |= OPOST;
	f->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

static void restore_terminal(const struct foreground *f)
{
	if (f->raw)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &f->before);
}

static void reap_orphans(const struct foreground *f)
{
	siginfo_t info;

	/* Not the process itself: its status is still wanted. */
	while (f->reap_all) {
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0 || info.si_pid == f->pid)
			return;
		(void)waitpid(info.si_pid, NULL, WNOHANG);
	}
}

static bool is_empty(const struct bytes *b)
{
	return b->at == b->end;
}

static bool fill(struct bytes *b, int fd)
{
	ssize_t n = RETRY(read(fd, b->v, PIPE_BUF));

	b->at = 0;
	b->end = n > 0 ? (size_t)n : 0;
	errno = n == 0 ? EIO : errno; /* as a terminal without another end says it */
	return n > 0;
}

/* false: fd takes no more, ever. */
static bool empty_into(struct bytes *b, int fd)
{
	ssize_t n = RETRY(write(fd, b->v + b->at, b->end - b->at));

	if (n < 0)
		return errno == EAGAIN;
	b->at += (size_t)n;
	return true;
}

/* The terminal has no end; what its line discipline takes for one is typed. In the middle of a line that only hands over what there
 * is of it, so twice. */
static void type_end(struct foreground *f)
{
	struct termios t;
	char end = '\x04';

	if (tcgetattr(f->master, &t) == 0)
		end = (char)t.c_cc[VEOF];
	f->input_open = false;
	f->input.at = 0;
	f->input.v[f->input.end++] = end;
	if (f->last != '\n')
		f->input.v[f->input.end++] = end;
}

static void read_input(struct foreground *f)
{
	if (fill(&f->input, STDIN_FILENO))
		f->last = f->input.v[f->input.end - 1];
	else
		type_end(f);
}

static void hang_up(struct foreground *f)
{
	f->master = -1;
	f->input_open = false;
	f->input.at = f->input.end;
}

/* Output that nobody takes is thrown away: the program must not hang on it. */
static void drop_output(struct foreground *f)
{
	f->output_open = false;
	f->output.at = f->output.end;
}

static void read_output(struct foreground *f)
{
	if (!fill(&f->output, f->master) && errno != EAGAIN)
		hang_up(f);
	if (!f->output_open)
		drop_output(f);
}

/* Asked now: the end may have come with the signal, or between two looks. */
static bool is_over(const struct foreground *f)
{
	return poll(&(struct pollfd){ .fd = f->pidfd, .events = POLLIN }, 1, 0) > 0;
}

static void on_signal(struct foreground *f)
{
	struct signalfd_siginfo info;

	if (RETRY(read(f->signals, &info, sizeof(info))) != (ssize_t)sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGCHLD:
		reap_orphans(f);
		break;
	case SIGWINCH:
		copy_window_size(f->master);
		break;
	case SIGURG: /* Go programs use it for themselves */
	case SIGPIPE:
		break;
	default:
		(void)sys_pidfd_send_signal(f->pidfd, (int)info.ssi_signo);
		/* Nobody else is left to take it: somebody wants us to end, not to wait for the reader of our output. */
		if (is_over(f))
			drop_output(f);
	}
}

enum { P_PROCESS, P_SIGNALS, P_MASTER, P_STDIN, P_STDOUT, P_NOTIFY, P_COUNT };

static void add(struct pollfd *p, int fd, bool in, bool out)
{
	/* Without anything to wait for not at all: a hang-up is always reported. */
	p->fd = in || out ? fd : -1;
	p->events = (short)((in ? POLLIN : 0) | (out ? POLLOUT : 0));
	p->revents = 0;
}

/* What the process wrote is there when it has ended: nothing more is waited for. */
static bool is_complete(const struct foreground *f, const struct pollfd p[P_COUNT])
{
	return f->ended && is_empty(&f->output) && !(p[P_MASTER].revents & POLLIN);
}

static int wait_for_any(const struct foreground *f, struct pollfd p[P_COUNT])
{
	add(&p[P_PROCESS], f->pidfd, !f->ended, false);
	add(&p[P_SIGNALS], f->signals, true, false);
	add(&p[P_MASTER], f->master, is_empty(&f->output), !f->ended && !is_empty(&f->input));
	add(&p[P_STDIN], STDIN_FILENO, !f->ended && f->input_open && is_empty(&f->input), false);
	add(&p[P_NOTIFY], f->notify->from, f->notify->from >= 0, false);
	add(&p[P_STDOUT], STDOUT_FILENO, false, !is_empty(&f->output));
	return poll(p, P_COUNT, f->ended && is_empty(&f->output) ? 0 : -1);
}

static void copy_ready(struct foreground *f, const struct pollfd p[P_COUNT])
{
	if ((p[P_MASTER].revents & POLLOUT) && !empty_into(&f->input, f->master))
		hang_up(f);
	if (p[P_MASTER].revents && is_empty(&f->output) && f->master >= 0)
		read_output(f);
	if (p[P_STDIN].revents && f->master >= 0)
		read_input(f);
	if (p[P_STDOUT].revents && !empty_into(&f->output, STDOUT_FILENO))
		drop_output(f);
}

static int loop(struct foreground *f, struct err *e)
{
	struct pollfd p[P_COUNT] = { 0 };

	/* With a terminal the end is seen before the last output: it is looked for once more. */
	for (;;) {
		if (f->master < 0 && is_complete(f, p))
			return proc_wait(f->pid, e);
		int n = wait_for_any(f, p);

		if (n < 0 && errno != EINTR)
			return err_errno(e, "poll");
		if (n < 0)
			continue;
		if (is_complete(f, p))
			return proc_wait(f->pid, e);
		if (p[P_SIGNALS].revents)
			on_signal(f);
		if (p[P_NOTIFY].revents)
			(void)notify_pass(f->notify);
		copy_ready(f, p);
		f->ended |= p[P_PROCESS].revents != 0;
	}
}

static sigset_t forwarded_signals(void)
{
	sigset_t all;

	/* Not sigfillset(): the C library would keep its own real-time signals, which are 34 and up to others. */
	memset(&all, 0xff, sizeof(all));
	/* What says that we ourselves are broken is not the container's business. */
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGABRT);
	return all;
}

int hold_signals(struct err *e)
{
	const sigset_t all = forwarded_signals();

	return sigprocmask(SIG_BLOCK, &all, NULL) < 0 ? err_errno(e, "sigprocmask") : 0;
}

/* Job control concerns us where we use a terminal: in the background we stop, as any program does that reads from it. */
static void set_up_terminal(struct foreground *f)
{
	sigset_t job;

	if (f->master < 0)
		return;
	sigemptyset(&job);
	sigaddset(&job, SIGTTIN);
	sigaddset(&job, SIGTTOU);
	(void)sigprocmask(SIG_UNBLOCK, &job, NULL);
	(void)fcntl(f->master, F_SETFL, O_RDWR | O_NONBLOCK);
	f->peer = ioctl(f->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	make_raw(f);
	copy_window_size(f->master);
}

int wait_foreground(pid_t pid, int pidfd, int master, bool reap_all, const struct notify *notify, struct err *e)
{
	char input[PIPE_BUF], output[PIPE_BUF];
	struct foreground f = {
		.pid = pid,
		.pidfd = pidfd,
		.master = master,
		.peer = -1,
		.reap_all = reap_all,
		.notify = notify,
		.input_open = master >= 0,
		.output_open = true,
		.input.v = input,
		.output.v = output,
		.last = '\n',
	};
	const sigset_t all = forwarded_signals();

	self_tidy();
	auto_fd int signals = signalfd(-1, &all, SFD_CLOEXEC);
	if (signals < 0)
		return err_errno(e, "signalfd");
	f.signals = signals;
	set_up_terminal(&f);
	reap_orphans(&f);
	int status = loop(&f, e);

	close_fd(&f.peer);
	restore_terminal(&f);
	return status;
}
