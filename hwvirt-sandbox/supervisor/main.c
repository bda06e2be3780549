/* vmm supervise ID BUNDLE CHAN DIR LISTEN: descriptors of the channel to the runtime, of the container's state directory, and of
 * start.sock (-1 for run). vmm exec ...: see exec.c. Started by container/backend_vm.c. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/retry.h"
#include "base/self.h"
#include "base/str.h"
#include "base/sys.h"
#include "container/control.h"
#include "hwvirt-sandbox/initramfs.h"
#include "hwvirt-sandbox/supervisor/jail.h"
#include "hwvirt-sandbox/supervisor/supervisor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

struct inputs {
	const char *bundle;
	struct vm_plan vm;
	struct plan guest;
};

/* ---- what is to be made ---- */

static int load(struct supervisor *s, struct inputs *in, struct err *e)
{
	int r = load_config(s->dir_fd, in->bundle, &s->arena, &in->vm, e);

	if (r == 0)
		r = vm_plan_guest(&in->vm, s->id, &s->arena, &in->guest, e);
	if (r == 0)
		r = guest_plan_check(&in->guest, e);
	return r;
}

/* ---- the machine ---- */

/* Beside this program. */
static const char *installed(const char *name, struct arena *a)
{
	const char *self = self_path(a), *slash = self ? strrchr(self, '/') : NULL;

	return slash ? arena_printf(a, "%.*s/%s", (int)(slash - self), self, name) : name;
}

static int open_initrd(struct arena *a, struct err *e)
{
	auto_fd int fd = sys_memfd_create("initramfs", SYS_MFD_CLOEXEC);
	auto_free void *archive = NULL;
	size_t len;
	char *agent;
	ssize_t n = file_read(AT_FDCWD, installed("agent", a), AGENT_MAX, false, a, &agent, e);

	if (fd < 0)
		return err_errno(e, "memfd_create");
	int r = n < 0 ? (int)n : initramfs_build(agent, (size_t)n, &archive, &len, e);

	if (r == 0)
		r = fd_write_all(fd, archive, len, e);
	return r < 0 ? r : take_fd(&fd);
}

static int open_kernel(const struct vm_plan *p, struct arena *a, struct err *e)
{
	const char *ours = getenv("DRUPE_GUEST_KERNEL");
	const char *path = p->kernel ? p->kernel : ours && *ours ? ours : installed("vmlinux", a);
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? err_errno(e, "guest kernel %s", path) : fd;
}

static int start_machine(struct supervisor *s, const struct vm_plan *p, struct err *e)
{
	auto_arena struct arena a = { 0 };
	auto_fd int kernel = open_kernel(p, &a, e), initrd = kernel < 0 ? -1 : open_initrd(&a, e);

	if (kernel < 0 || initrd < 0)
		return -e->code;
	const struct machine_config c = {
		.plan = p,
		.kernel_fd = kernel,
		.initrd_fd = initrd,
		.cmdline = arena_printf(&a, "console=hvc0%s%s -- --vsock %d --share share", p->kernel_args ? " " : "",
					p->kernel_args ? p->kernel_args : "", AGENT_PORT),
	};

	int r = machine_start(&c, &s->machine, e);

	/* From here on nothing is opened any more, and the guest is listened to. */
	return r < 0 ? r : jail_process(&supervisor_jail, s->chan.fd, e);
}

/* What the kernel said last, on one line, when the agent never called. */
static int explain(struct supervisor *s, struct err *e)
{
	struct err why = *e;

	loop_hear_console(s);
	size_t from = s->n_tail > 200 ? s->n_tail - 200 : 0;
	char text[201] = "";

	for (size_t i = from; i < s->n_tail; i++)
		text[i - from] = (char)(s->tail[i] >= ' ' && s->tail[i] <= '~' ? s->tail[i] : ' ');
	return s->n_tail ? err_set(e, why.code, "%.250s; the guest's last words: %s", why.text, text) : -e->code;
}

static int boot(struct supervisor *s, const struct vm_plan *p, struct err *e)
{
	int64_t until = clock_ms() + BOOT_MS;
	int r = start_machine(s, p, e);

	while (r >= 0 && s->control < 0 && !s->lost && clock_ms() < until)
		r = loop_turn(s, 0, 1000, e);
	if (r < 0)
		return r;
	if (s->lost)
		*e = s->why;
	else if (s->control < 0)
		(void)err_set(e, ETIMEDOUT, "the virtual machine did not come up within %d s", BOOT_MS / 1000);
	else
		return link_hello(s, e);
	return explain(s, e);
}

/* ---- the conversation with the runtime, in init's place ---- */

static int pass_console(struct supervisor *s, const struct proc_plan *of, struct proc *p, struct err *e)
{
	int m = -1, r = streams_console(p, of, &m, e);
	auto_fd int master = m;

	return r < 0 ? r : chan_send(&s->chan, MSG_CONSOLE, NULL, 0, master, e);
}

static int run_hooks(struct supervisor *s, const struct vm_plan *p, struct err *e)
{
	const struct oci_hooks *h = p->host->hooks;

	if (!h->prestart.n && !h->create_runtime.n)
		return 0;
	int r = chan_send(&s->chan, MSG_ROOTFS, NULL, 0, -1, e);

	return r < 0 ? r : chan_expect(&s->chan, MSG_HOOKS_DONE, NULL, 0, NULL, e);
}

static int create(struct supervisor *s, const struct inputs *in, struct err *e)
{
	struct proc p = { .fd = { -1, -1, -1 }, .terminal = -1 };
	bool terminal = in->guest.has_process && in->guest.proc.terminal;
	int r = chan_expect(&s->chan, MSG_GO, NULL, 0, NULL, e);

	if (r == 0 && setsid() < 0)
		r = err_errno(e, "setsid");
	if (r == 0)
		r = streams_of_ours(&p, !terminal, e);
	if (r == 0 && terminal)
		r = pass_console(s, &in->guest.proc, &p, e);
	if (r == 0)
		r = s->control_listen = control_listen(s->dir_fd, e);
	if (r >= 0)
		r = boot(s, &in->vm, e);
	if (r == 0)
		r = run_hooks(s, &in->vm, e);
	if (r == 0)
		r = link_create(s, &in->guest, &p, e);
	return r < 0 ? r : chan_send(&s->chan, MSG_READY, NULL, 0, -1, e);
}

/* START over the channel, or ACK, after which it comes over a connection to start.sock. 1: started; 0: the container has ended
 * before. */
static int await_start(struct supervisor *s, struct err *e)
{
	const struct proc *p = link_proc(s, 0);
	int what = LOOP_CHAN;

	while (!p->exited && !s->lost) {
		size_t len;
		struct err ignored;
		int r = loop_turn(s, what, -1, e);

		if (r < 0)
			return r;
		if (r & LOOP_CHAN && what == LOOP_CHAN) {
			r = chan_expect_either(&s->chan, MSG_START, MSG_ACK, e);
			if (r < 0 || prctl(PR_SET_PDEATHSIG, 0) < 0)
				return r < 0 ? r : err_errno(e, "prctl");
			if (r == MSG_START)
				return 1;
			chan_close(&s->chan);
			what = LOOP_LISTEN;
		} else if (r & LOOP_LISTEN) {
			s->chan.fd = RETRY(accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC));
			if (s->chan.fd >= 0 && chan_expect_or_eof(&s->chan, MSG_START, NULL, 0, &len, NULL, &ignored) > 0)
				return 1;
			chan_close(&s->chan);
		}
	}
	return 0;
}

/* As of a program that was executed: EXEC and then the end of the channel. */
static int start(struct supervisor *s, struct err *e)
{
	struct proc *p = link_proc(s, 0);
	struct winsize size;
	struct err ignored;

	close_fd(&s->listen_fd);
	if (p->terminal >= 0 && ioctl(p->terminal, TIOCGWINSZ, &size) == 0)
		(void)!link_winsize(s, 0, size.ws_row, size.ws_col, &ignored);
	int r = link_plain(s, PROTO_START, e);

	if (r == 0)
		r = chan_send(&s->chan, MSG_EXEC, NULL, 0, -1, e);
	if (r == 0)
		chan_close(&s->chan);
	return r;
}

/* ---- the end ---- */

/* What it has written is still on its way. Who reads it may be slow; that the guest has no more to say is waited for with a limit.
 */
static int drain(struct supervisor *s, struct err *e)
{
	int64_t until = clock_ms() + END_MS;
	int left, r = 0;

	while (r >= 0 && (left = streams_left(s, 0)) && (left == 1 || (!s->lost && clock_ms() < until)))
		r = loop_turn(s, 0, left == 1 ? -1 : 1000, e);
	return r < 0 ? r : 0;
}

/* The guest goes down by itself, so that what it has not written yet is. */
static void shut_down(struct supervisor *s)
{
	int64_t until = clock_ms() + END_MS;
	struct err ignored;
	int r = s->control >= 0 ? link_plain(s, PROTO_SHUTDOWN, &ignored) : -1;

	while (r >= 0 && s->machine.channel >= 0 && clock_ms() < until)
		r = loop_turn(s, 0, 1000, &ignored);
	machine_end(&s->machine);
}

static int live(struct supervisor *s, struct err *e)
{
	struct proc *p = link_proc(s, 0);
	int r = await_start(s, e);

	if (r > 0)
		r = start(s, e);
	while (r >= 0 && !p->exited && !s->lost)
		r = loop_turn(s, 0, -1, e);
	if (r < 0)
		return r;
	if (!p->exited) {
		*e = s->why;
		return explain(s, e);
	}
	r = drain(s, e);
	return r < 0 ? r : p->status;
}

/* ---- start-up ---- */

static void put_log(void *ctx, enum log_level level, const char *text)
{
	(void)ctx;
	(void)level;
	(void)text; /* nobody listens once the runtime is gone */
}

static int supervise(char **argv)
{
	static struct supervisor s;
	struct inputs in = { .bundle = argv[1] };
	struct err e;

	supervisor_init(&s);
	s.id = argv[0];
	s.chan.fd = inherited_fd(argv[2]);
	s.dir_fd = inherited_fd(argv[3]);
	s.listen_fd = inherited_fd(argv[4]);
	s.guest = &in.guest;
	(void)prctl(PR_SET_NAME, "drupe-vm");
	int r = prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? err_errno(&e, "prctl") : (s.signals = forwarded_signals(&e));

	s.stderr_fd = fcntl(2, F_DUPFD_CLOEXEC, 3);
	chan_log_to(&s.chan);
	if (r >= 0)
		r = load(&s, &in, &e);
	if (r == 0)
		r = create(&s, &in, &e);
	log_set_sink((struct log_sink){ .put = put_log });
	if (r == 0)
		r = live(&s, &e);
	if (r < 0 && s.chan.fd >= 0)
		chan_send_error(&s.chan, &e);
	else if (r < 0)
		(void)dprintf(s.stderr_fd, "drupe: %s\n", e.text);
	shut_down(&s);
	return r < 0 ? STATUS_LOST : r;
}

int main(int argc, char **argv)
{
	if (argc == 7 && str_eq(argv[1], "supervise"))
		return supervise(argv + 2);
	if (argc >= 9 && str_eq(argv[1], "exec"))
		return exec_proxy(argv + 2);
	(void)dprintf(2, "this program is run by drupe\n");
	return 2;
}
