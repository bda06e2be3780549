#include "base/cleanup.h"
#include "base/retry.h"
#include "hwvirt-sandbox/supervisor/jail.h"
#include "hwvirt-sandbox/supervisor/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <termios.h>

enum {
	AT_MACHINE,
	AT_CONSOLE,
	AT_CONTROL,
	AT_SIGNALS,
	AT_CHAN,
	AT_LISTEN,
	AT_ACCEPT,
	AT_UNNAMED,
	AT_CLIENT = AT_UNNAMED + UNNAMED_MAX,
	AT_REST = AT_CLIENT + CLIENTS_MAX
};
enum { OUT_MAX = 8 << 20, CONSOLE_READS_MAX = 128 }; /* twice what a pipe holds */
struct turn {
	struct pollfd v[AT_REST + 2 * RELAY_MAX];
};

/* What this directory's files call once the machine runs: streams, frames, control.sock, the end of the machine. Supervisors of
 * others are processes of the same user: none gets at another. */
/* clang-format off */
static const char *const supervisor_calls[] = {
	"read", "readv", "pread64", "write", "writev", "close", "dup", "fstat", "newfstatat", "lseek", "poll", "ppoll",
	"accept4", "sendmsg", "recvmsg", "sendto", "recvfrom", "shutdown", "getsockopt", "setsockopt",
	"pidfd_send_signal", "wait4", "getpid", "getrandom", "clock_gettime",
	"munmap", "mremap", "madvise", "brk", "futex",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "restart_syscall", "exit", "exit_group", NULL
};
static const struct jail_call supervisor_rules[] = {
	{ "ioctl", 1, UINT32_MAX, TIOCGWINSZ }, JAIL_PRCTL(PR_SET_PDEATHSIG), JAIL_FCNTL, JAIL_MEMORY, { 0 }
};
/* clang-format on */
const struct jail supervisor_jail = { .calls = supervisor_calls, .rules = supervisor_rules };

void supervisor_init(struct supervisor *s)
{
	*s = (struct supervisor){
		.chan = { -1 }, .dir_fd = -1, .listen_fd = -1, .signals = -1, .stderr_fd = -1, .answer_ms = ANSWER_MS
	};
	s->control = s->control_listen = s->machine.channel = s->machine.console = s->machine.pidfd = -1;
	for (size_t i = 0; i < UNNAMED_MAX; i++)
		s->unnamed[i].fd = -1;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		s->clients[i].fd = -1;
	relays_init(&s->relays);
	frame_reader_init(&s->reader, PROTO_TO_HOST_MAX);
	frame_writer_init(&s->writer, OUT_MAX);
}

/* The last words of a kernel that panics are worth keeping; the rest is not. False: it says no more for now. */
static bool hear_console(struct supervisor *s)
{
	char b[CONSOLE_TAIL];
	ssize_t n = RETRY(read(s->machine.console, b, sizeof(b)));

	if (n == 0)
		close_fd(&s->machine.console);
	if (n <= 0)
		return false;
	size_t keep = CONSOLE_TAIL - (size_t)n;

	if (s->n_tail > keep) {
		memmove(s->tail, s->tail + s->n_tail - keep, keep);
		s->n_tail = keep;
	}
	memcpy(s->tail + s->n_tail, b, (size_t)n);
	s->n_tail += (size_t)n;
	return true;
}

void loop_hear_console(struct supervisor *s)
{
	for (int i = 0; i < CONSOLE_READS_MAX && s->machine.console >= 0 && hear_console(s); i++)
		;
}

static void hear_machine(struct supervisor *s)
{
	struct err e;
	int conn = -1, r = machine_hear(&s->machine, &conn, &e);

	if (r > 0)
		streams_take(s, conn);
	if (r < 0) {
		close_fd(&s->machine.channel);
		link_lose(s, &e);
	}
}

/* Whoever signals the container signals us. */
static void hear_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;
	struct proc *p = link_proc(s, 0);
	struct err ignored;

	if (RETRY(read(s->signals, &info, sizeof(info))) != sizeof(info) || !p || p->exited)
		return;
	struct winsize w;

	if (info.ssi_signo == SIGWINCH && p->terminal >= 0 && ioctl(p->terminal, TIOCGWINSZ, &w) == 0)
		(void)!link_winsize(s, 0, w.ws_row, w.ws_col, &ignored);
	else
		(void)!link_signal(s, 0, (int)info.ssi_signo, false, &ignored);
}

static nfds_t watch(struct supervisor *s, struct turn *t, int wait)
{
	const bool created = link_proc(s, 0) && !s->asking;

	t->v[AT_MACHINE] = (struct pollfd){ .fd = s->machine.channel, .events = POLLIN };
	t->v[AT_CONSOLE] = (struct pollfd){ .fd = s->machine.console, .events = POLLIN };
	t->v[AT_CONTROL] =
		(struct pollfd){ .fd = s->control, .events = (short)(POLLIN | (frame_waiting(&s->writer) ? POLLOUT : 0)) };
	t->v[AT_SIGNALS] = (struct pollfd){ .fd = created ? s->signals : -1, .events = POLLIN };
	t->v[AT_CHAN] = (struct pollfd){ .fd = wait & LOOP_CHAN ? s->chan.fd : -1, .events = POLLIN };
	t->v[AT_LISTEN] = (struct pollfd){ .fd = wait & LOOP_LISTEN ? s->listen_fd : -1, .events = POLLIN };
	for (size_t i = 0; i < UNNAMED_MAX; i++)
		t->v[AT_UNNAMED + i] = (struct pollfd){ .fd = s->unnamed[i].fd, .events = POLLIN };
	t->v[AT_ACCEPT] = (struct pollfd){ .fd = created ? s->control_listen : -1, .events = POLLIN };
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		t->v[AT_CLIENT + i] = (struct pollfd){ .fd = created ? s->clients[i].fd : -1, .events = POLLIN };
	return relays_watch(&s->relays, t->v, AT_REST);
}

/* False: the agent was lost by it, which whoever turns the loop waits for. */
static bool flush(struct supervisor *s)
{
	struct err e;

	if (s->control < 0 || !frame_waiting(&s->writer) || frame_flush(&s->writer, s->control, &e) >= 0)
		return true;
	link_lose(s, &e);
	return false;
}

int loop_turn(struct supervisor *s, int wait, int timeout_ms, struct err *e)
{
	struct turn t;

	if (!flush(s))
		return 0;
	/* An end that is to be told waits for output that may never end. */
	if (!s->asking && serve_exits(s) && (timeout_ms < 0 || timeout_ms > 100))
		timeout_ms = 100;
	nfds_t n = watch(s, &t, wait);
	int r = poll(t.v, n, timeout_ms);

	if (r < 0)
		return errno == EINTR ? 0 : err_errno(e, "poll");
	if (r == 0)
		return 0;
	relays_step(&s->relays, t.v);
	for (size_t i = 0; i < UNNAMED_MAX; i++)
		if (t.v[AT_UNNAMED + i].revents)
			streams_name(s, &s->unnamed[i]);
	if (t.v[AT_CONSOLE].revents)
		(void)hear_console(s);
	if (t.v[AT_CONTROL].revents & ~POLLOUT)
		link_hear(s);
	if (t.v[AT_MACHINE].revents)
		hear_machine(s);
	if (t.v[AT_SIGNALS].revents)
		hear_signals(s);
	if (t.v[AT_ACCEPT].revents)
		serve_accept(s);
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (t.v[AT_CLIENT + i].revents && s->clients[i].fd == t.v[AT_CLIENT + i].fd)
			serve_client(s, &s->clients[i]);
	return (t.v[AT_CHAN].revents ? LOOP_CHAN : 0) | (t.v[AT_LISTEN].revents ? LOOP_LISTEN : 0);
}
