/* The sequence inside, readable from top to bottom: set_up() before the container counts as created, begin() when it is started. */
#include "init/init.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/proc_fs.h"
#include "base/retry.h"
#include "base/self.h"
#include "base/str.h"
#include "base/sys.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

struct inside {
	struct arena arena;
	int proc_fd; /* private procfs, -1 unless it is needed */
	const char *program;
	char *const *envp;
};

int become_namespace_root(struct err *e)
{
	/* Raw calls: one thread, and no need for libc's broadcast. An id 0 that is not mapped leaves us as we are. */
	if (syscall(SYS_setresgid, 0, 0, 0) < 0 && errno != EINVAL)
		return err_errno(e, "setresgid in the user namespace");
	if (syscall(SYS_setresuid, 0, 0, 0) < 0 && errno != EINVAL)
		return err_errno(e, "setresuid in the user namespace");
	return 0;
}

static bool in_user_ns(const struct ns_plan *p)
{
	bool joined = false;

	for (size_t i = 0; i < p->n_join; i++)
		joined |= p->join[i].flag == SYS_CLONE_NEWUSER;
	return joined || (p->create & SYS_CLONE_NEWUSER);
}

/* Identity, session, and the namespaces whose content is ours to set. */
static int set_up_namespaces(const struct plan *p, int *procfs, struct err *e)
{
	int r = 0;

	if (setsid() < 0)
		return err_errno(e, "setsid");
	if (in_user_ns(&p->ns))
		r = become_namespace_root(e);
	/* After the ids: a change of ids makes a process dumpable by rule of /proc/sys/fs/suid_dumpable. */
	if (r == 0 && prctl(PR_SET_DUMPABLE, 0) < 0)
		r = err_errno(e, "prctl");
	/* The change of ids has cleared it. */
	if (r == 0 && in_user_ns(&p->ns) && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		r = err_errno(e, "prctl");
	if (r == 0 && (p->ns.create & SYS_CLONE_NEWCGROUP) && sys_unshare(SYS_CLONE_NEWCGROUP) < 0)
		r = err_errno(e, "linux.namespaces: unshare the cgroup namespace");
	if (r == 0 && p->net.loopback)
		r = net_loopback_up(e);
	if (r == 0)
		r = ns_set_names(&p->ns, e);
	/* Before the mounts: the kernel gives a full procfs only while no mask covers the host's. */
	if (r == 0 && p->ns.sysctl.n)
		r = ns_set_sysctl(&p->ns, procfs, e);
	return r;
}

static int set_up_console(struct init *in, int root, struct err *e)
{
	const struct plan *p = in->plan;
	char name[32] = "";
	int m = -1, s = -1;
	int r = console_open(root, p->sec.uid, p->proc.rows, p->proc.cols, p->rootfs.new_mount_ns, &m, &s, name, e);

	if (r < 0)
		return err_in(e, "terminal");
	auto_fd int master = m, slave = s;
	r = chan_send(&in->chan, MSG_CONSOLE, name, strlen(name), master, e);
	if (r < 0)
		return r;
	return take_terminal(take_fd(&slave), e);
}

static int run_hooks(const struct init *in, const struct hook_ops *ops, const char *status, struct hook_context ctx,
		     struct inside *me, struct err *e)
{
	if (!ops->n)
		return 0;
	ctx.state = plan_hook_state(in->plan, status, getpid(), &me->arena);
	return hooks_run(ops, &ctx, e);
}

static int set_up_root(struct init *in, struct inside *me, struct err *e)
{
	const struct plan *p = in->plan;
	auto_fd int root = rootfs_mount(&p->rootfs, &in->sources, e);

	if (root < 0)
		return root;
	int r = 0;

	if (p->has_process && !str_eq(p->proc.cwd, "/")) {
		struct err ignored; /* chdir tells, if it matters */
		auto_fd int cwd = path_mkdir_in(root, p->proc.cwd, 0755, &ignored);

		(void)cwd;
	}
	if (p->has_process && p->proc.terminal)
		r = set_up_console(in, root, e);
	if (r == 0 && plan_has_runtime_hooks(p))
		r = chan_send(&in->chan, MSG_ROOTFS, NULL, 0, -1, e);
	if (r == 0 && plan_has_runtime_hooks(p))
		r = chan_expect(&in->chan, MSG_HOOKS_DONE, NULL, 0, NULL, e);
	if (r == 0)
		r = run_hooks(in, &p->hooks.create_container, "creating", (struct hook_context){ .cwd = p->bundle }, me, e);
	if (r == 0)
		r = rootfs_enter(&p->rootfs, &in->sources, root, e);
	return r;
}

static int set_up_process(const struct plan *p, struct inside *me, struct err *e)
{
	if (!p->has_process)
		return 0;
	int r = settle_on_cpus(&p->sec, e);

	if (r == 0)
		r = sec_apply_process(&p->sec, e);
	if (r == 0)
		r = own_stdio(p->sec.uid, e);
	if (r == 0)
		r = enter_cwd(p->proc.cwd, &p->sec, e);
	if (r == 0)
		r = find_program(&p->proc, &me->arena, &me->program, e);
	if (r == 0)
		me->envp = complete_env(&p->proc, p->sec.uid, &me->arena);
	return r;
}

static int set_up(struct init *in, struct inside *me, struct err *e)
{
	const struct plan *p = in->plan;
	int r = chan_expect(&in->chan, MSG_GO, NULL, 0, NULL, e);

	if (r == 0 && in->joins)
		r = cgroup_join(&p->cgroup.ref, NULL, 0, in->cgroup_fd >= 0, e);
	if (r == 0)
		r = stage_join(in, e); /* nothing left to join when a stage did it */
	if (r < 0)
		return r;
	r = set_up_namespaces(p, &in->sources.procfs, e);
	if (r < 0)
		return r;
	if (p->has_process && needs_procfs(&p->sec)) {
		me->proc_fd = proc_fs_open(false, NULL, e);
		if (me->proc_fd < 0)
			return me->proc_fd;
	}
	r = set_up_root(in, me, e);
	if (r < 0)
		return r;
	return set_up_process(p, me, e);
}

/* Waits for somebody who connects to start.sock and says START; a connection that ends without a word does not count. */
static int await_start(struct init *in, struct err *e)
{
	auto_fd int listener = in->listen_fd;

	for (;;) {
		int conn = RETRY(accept4(listener, NULL, NULL, SOCK_CLOEXEC));

		if (conn < 0)
			return err_errno(e, "accept on start.sock");
		in->chan.fd = conn;
		size_t len;
		struct err ignored;

		if (chan_expect_or_eof(&in->chan, MSG_START, NULL, 0, &len, NULL, &ignored) > 0)
			return 0;
		chan_close(&in->chan);
	}
}

/* Everything that was only needed up to here goes: the config, most of the plan. */
static void keep_what_start_needs(struct init *in, struct inside *me)
{
	struct arena kept = { 0 };

	in->plan = plan_of_start(in->plan, &kept);
	if (in->plan->has_process) {
		me->program = arena_strdup(&kept, me->program);
		me->envp = plan_copy_list(me->envp, &kept);
	}
	arena_release(&me->arena);
	arena_release(in->arena);
	me->arena = kept;
}

/* Tells that all is ready and waits until we are started; until then we die with the runtime. */
static int wait_for_start(struct init *in, struct inside *me, struct err *e)
{
	const int keep[] = { in->chan.fd, in->listen_fd, me->proc_fd };
	int r = fd_close_others(3 + in->plan->proc.keep_fds, keep, 3, e);

	if (r < 0)
		return r;
	r = chan_send(&in->chan, MSG_READY, NULL, 0, -1, e);
	if (r < 0)
		return r;
	r = chan_expect_either(&in->chan, MSG_START, MSG_ACK, e);
	if (r != MSG_ACK)
		return r < 0 ? r : 0;
	if (prctl(PR_SET_PDEATHSIG, 0) < 0)
		return err_errno(e, "prctl");
	chan_close(&in->chan);
	keep_what_start_needs(in, me);
	self_wait_small(in->listen_fd);
	return await_start(in, e);
}

static int begin(struct init *in, struct inside *me, struct err *e)
{
	const struct plan *p = in->plan;
	const struct hook_context ctx = { .default_env = me->envp, .sec = &p->sec, .proc_fd = me->proc_fd };
	int r = run_hooks(in, &p->hooks.start_container, "created", ctx, me, e);

	if (r < 0)
		return r;
	return exec_program(&in->chan, &p->sec, &p->proc, me->program, me->envp, me->proc_fd, e);
}

void init_run(struct init *in)
{
	struct inside me = { .proc_fd = -1 };
	struct err e;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, "drupe:init");
	chan_log_to(&in->chan);
	int r = in->leaves ? self_leave(false, &e) : 0;

	self_tidy();
	if (r == 0)
		r = set_up(in, &me, &e);

	if (r == 0)
		r = wait_for_start(in, &me, &e);
	if (r == 0)
		r = begin(in, &me, &e);
	if (r < 0)
		chan_send_error(&in->chan, &e);
	leave();
}
