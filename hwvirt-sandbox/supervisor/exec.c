/* vmm exec ID BUNDLE CHAN DIR PROCESS KEYRING USER CGROUP...: descriptors of the channel to `drupe exec`, of the state directory,
 * of the process as JSON; "1" for no new keyring; "=" and a user by its name in the guest, else ""; cgroups below the container's.
 *
 * To `drupe exec`, and to whoever signals it, it is the process that is added: it holds a joiner's conversation (init/init.h), and
 * ends as the guest's process does. That one's plan and streams go to the supervisor, over a connection that lives as long as the
 * process. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/retry.h"
#include "base/str.h"
#include "base/sys.h"
#include "container/control.h"
#include "hwvirt-sandbox/supervisor/jail.h"
#include "hwvirt-sandbox/supervisor/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <termios.h>

enum { PROCESS_MAX = 4 << 20, STATUS_KILLED = 128 + SIGKILL };

struct proxy {
	const char *id, *bundle;
	struct arena arena;
	struct chan chan;
	int dir_fd, process_fd, plan_fd, signals, control;
	bool no_new_keyring;
	struct proc proc;
	struct msg_exec request; /* its plan, and what the guest has to know besides */
};

int inherited_fd(const char *text)
{
	struct err ignored;
	int64_t n = -1;

	if (parse_i64(text, &n, &ignored) < 0 || n < 3 || fcntl((int)n, F_SETFD, FD_CLOEXEC) < 0)
		return -1;
	return (int)n;
}

int forwarded_signals(struct err *e)
{
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, SIGCHLD);
	sigdelset(&set, SIGSEGV);
	sigdelset(&set, SIGBUS);
	sigdelset(&set, SIGILL);
	sigdelset(&set, SIGFPE);
	(void)signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_errno(e, "sigprocmask");
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);

	return fd < 0 ? err_errno(e, "signalfd") : fd;
}

int load_config(int dir_fd, const char *bundle, struct arena *a, struct vm_plan *out, struct err *e)
{
	const struct oci_spec *spec = NULL;
	char *text;
	ssize_t n = file_read(dir_fd, "config.json", CONFIG_MAX, true, a, &text, e);
	int r = n < 0 ? (int)n : oci_spec_parse(a, text, (size_t)n, &spec, e);

	return r < 0 ? r : vm_plan_build(spec, bundle, (unsigned)sysconf(_SC_NPROCESSORS_ONLN), a, out, e);
}

static int make_plan(struct proxy *x, struct err *e)
{
	const struct plan_options o = { .id = x->id, .bundle = VM_SHARE, .no_new_keyring = x->no_new_keyring };
	const struct oci_process *process = NULL;
	struct vm_plan vm = { 0 };
	struct host guest;
	char *text = NULL, name[32];

	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", x->process_fd);
	ssize_t n = file_read(AT_FDCWD, name, PROCESS_MAX, false, &x->arena, &text, e);
	int r = n < 0 ? (int)n : oci_process_parse(&x->arena, text, (size_t)n, &process, e);

	if (r == 0)
		r = load_config(x->dir_fd, x->bundle, &x->arena, &vm, e);
	if (r != 0)
		return r;
	vm_guest_host(&guest);
	r = plan_exec(vm.guest, process, &o, &guest, &x->arena, &x->request.plan, e);
	return r < 0 ? r : guest_exec_check(&x->request.plan, e);
}

/* ---- before the start ---- */

static int open_streams(struct proxy *x, struct err *e)
{
	bool terminal = x->request.plan.proc.terminal;
	int m = -1, r = setsid() < 0 ? err_errno(e, "setsid") : streams_of_ours(&x->proc, !terminal, e);

	if (r < 0 || !terminal)
		return r;
	r = streams_console(&x->proc, &x->request.plan.proc, &m, e);
	auto_fd int master = m;

	return r < 0 ? r : chan_send(&x->chan, MSG_CONSOLE, NULL, 0, master, e);
}

/* What is called from there on. */
/* clang-format off */
static const char *const exec_calls[] = {
	"read", "write", "close", "poll", "ppoll", "sendmsg", "recvmsg", "setsockopt",
	"munmap", "mremap", "madvise", "brk", "futex",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "restart_syscall", "clock_gettime", "exit", "exit_group", NULL
};
static const struct jail_call exec_rules[] = {
	{ "ioctl", 1, UINT32_MAX, TIOCGWINSZ }, JAIL_PRCTL(PR_SET_PDEATHSIG), JAIL_MEMORY, { 0 }
};
/* clang-format on */
const struct jail exec_jail = { .calls = exec_calls, .rules = exec_rules };

/* All that is opened is open: what is left is the conversation. */
static int enter_jail(struct proxy *x, struct err *e)
{
	x->plan_fd = sys_memfd_create("plan", SYS_MFD_CLOEXEC);
	if (x->plan_fd < 0)
		return err_errno(e, "memfd_create");
	x->control = control_connect(x->dir_fd, e);
	if (x->control < 0)
		return x->control;
	close_fd(&x->dir_fd);
	close_fd(&x->process_fd);
	return jail_process(&exec_jail, x->chan.fd, e);
}

/* The plan, as a file that the supervisor reads. */
static int write_plan(struct proxy *x, struct err *e)
{
	struct strbuf b = STRBUF(&x->arena);
	struct codec c = codec_encoder(&b);
	struct winsize size;

	if (x->proc.terminal >= 0 && ioctl(x->proc.terminal, TIOCGWINSZ, &size) == 0) {
		x->request.plan.proc.rows = size.ws_row;
		x->request.plan.proc.cols = size.ws_col;
	}
	x->request.streams = x->proc.streams;
	codec_exec(&c, &x->request);
	int r = codec_end(&c, "exec", e);

	return r < 0 ? r : fd_write_all(x->plan_fd, b.text, b.len, e);
}

static int ask(struct proxy *x, struct err *e)
{
	static struct control_packet q;
	int fds[CONTROL_FDS_MAX];
	unsigned n = 1;
	int r = write_plan(x, e);

	if (r < 0)
		return r;
	q = (struct control_packet){ .type = CONTROL_EXEC, .a = (int32_t)x->proc.streams };
	fds[0] = x->plan_fd;
	if (x->proc.terminal >= 0)
		fds[n++] = x->proc.terminal;
	for (int i = 0; i < 3; i++)
		if (x->proc.streams & 1u << i)
			fds[n++] = x->proc.fd[i];
	r = control_ask(x->control, &q, fds, n, e);
	close_fd(&x->plan_fd);
	for (int i = 0; i < 3; i++)
		close_fd(&x->proc.fd[i]);
	return r;
}

static int begin(struct proxy *x, struct err *e)
{
	int r = chan_expect(&x->chan, MSG_GO, NULL, 0, NULL, e);

	if (r == 0)
		r = make_plan(x, e);
	if (r == 0)
		r = open_streams(x, e);
	if (r == 0)
		r = enter_jail(x, e);
	if (r == 0)
		r = chan_send(&x->chan, MSG_READY, NULL, 0, -1, e);
	if (r == 0)
		r = chan_expect(&x->chan, MSG_START, NULL, 0, NULL, e);
	if (r == 0 && prctl(PR_SET_PDEATHSIG, 0) < 0)
		r = err_errno(e, "prctl");
	if (r == 0)
		r = ask(x, e);
	return r < 0 ? r : chan_send(&x->chan, MSG_EXEC, NULL, 0, -1, e);
}

/* ---- while it runs ---- */

static void pass_signal(struct proxy *x)
{
	static struct control_packet q;
	struct signalfd_siginfo info;
	struct winsize size;
	struct err ignored;

	if (RETRY(read(x->signals, &info, sizeof(info))) != sizeof(info))
		return;
	q = (struct control_packet){ .type = CONTROL_SIGNAL, .a = (int32_t)info.ssi_signo };
	if (info.ssi_signo == SIGWINCH && x->proc.terminal >= 0 && ioctl(x->proc.terminal, TIOCGWINSZ, &size) == 0)
		q = (struct control_packet){ .type = CONTROL_WINSIZE, .a = size.ws_row, .b = size.ws_col };
	(void)!control_send(x->control, &q, NULL, 0, &ignored);
}

/* The answers to what was passed on are of no use; EXIT is the end, and so is that of the supervisor. */
static int wait_for_end(struct proxy *x)
{
	static struct control_packet q;
	int fds[CONTROL_FDS_MAX];
	struct err ignored;
	struct pollfd p[] = { { .fd = x->control, .events = POLLIN }, { .fd = x->signals, .events = POLLIN } };

	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return STATUS_KILLED;
		if (p[0].revents && control_receive(x->control, &q, fds, &ignored) <= 0)
			return STATUS_KILLED; /* with its supervisor */
		if (p[0].revents && q.type == CONTROL_EXIT)
			return q.a & 255;
		if (p[1].revents)
			pass_signal(x);
	}
}

int exec_proxy(char **argv)
{
	static struct proxy x;
	struct err e;

	x = (struct proxy){
		.id = argv[0],
		.bundle = argv[1],
		.chan = { inherited_fd(argv[2]) },
		.dir_fd = inherited_fd(argv[3]),
		.process_fd = inherited_fd(argv[4]),
		.no_new_keyring = str_eq(argv[5], "1"),
		.request = { .user = *argv[6] ? argv[6] + 1 : NULL, .cgroups = argv[7] ? argv + 7 : NULL },
		.control = -1,
		.plan_fd = -1,
		.proc = { .fd = { -1, -1, -1 }, .terminal = -1 },
	};
	(void)prctl(PR_SET_NAME, "drupe-vm-exec");
	chan_log_to(&x.chan);
	int r = prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? err_errno(&e, "prctl") : (x.signals = forwarded_signals(&e));

	if (r >= 0)
		r = begin(&x, &e);
	if (r < 0) {
		chan_send_error(&x.chan, &e);
		return STATUS_LOST;
	}
	chan_close(&x.chan);
	return wait_for_end(&x);
}
