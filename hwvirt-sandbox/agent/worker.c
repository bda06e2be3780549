/* The part of the runtime that makes a container or a process in it: container/create.c and exec.c without a state directory. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/sys.h"
#include "hwvirt-sandbox/agent/agent.h"
#include "init/init.h"
#include "init/users.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

struct worker {
	const struct worker_job *job;
	struct chan agent, init;
	pid_t pid; /* of the process proper */
	int pidfd;
	bool cgroup_made;
};

static int pass_console(struct worker *w, struct err *e)
{
	char name[33] = "";
	int console = -1;
	int n = chan_expect(&w->init, MSG_CONSOLE, name, sizeof(name) - 1, &console, e);
	auto_fd int master = console;

	return n < 0 ? n : chan_send(&w->agent, MSG_CONSOLE, NULL, 0, master, e);
}

/* One that is killed before it was started has ended as any other: the agent reaps it, and knows how it ended. */
static int await_start(struct worker *w, struct err *e)
{
	struct pollfd p[] = { { .fd = w->agent.fd, .events = POLLIN }, { .fd = w->init.fd } };

	while (poll(p, 2, -1) < 0)
		if (errno != EINTR)
			return err_errno(e, "poll");
	if (!p[0].revents)
		_exit(0);
	return chan_expect(&w->agent, MSG_START, NULL, 0, NULL, e);
}

/* Either the channel ends since the program was executed, or it says why not; but a seccomp profile can forbid both. */
static int await_exec(struct worker *w, struct err *e)
{
	size_t len;
	int r = chan_expect(&w->init, MSG_EXEC, NULL, 0, NULL, e);

	if (r == 0)
		r = chan_expect_or_eof(&w->init, MSG_EXEC, NULL, 0, &len, NULL, e);
	return r < 0 ? r : executed_or_why(w->pid, e);
}

/* From the fork on it is the same for both. The limits must not hinder what the process has to do before; NULL: none. */
static int converse(struct worker *w, const struct proc_plan *proc, const struct sec_plan *limits, struct err *e)
{
	int32_t number = w->pid;
	int r = chan_send(&w->agent, MSG_STAGE, &number, sizeof(number), -1, e);

	if (r == 0 && proc->terminal)
		r = pass_console(w, e);
	if (r == 0)
		r = chan_expect(&w->init, MSG_READY, NULL, 0, NULL, e);
	if (r == 0 && limits)
		r = sec_apply_rank(limits, w->pid, e);
	if (r == 0 && limits)
		r = sec_apply_limits(limits, w->pid, e);
	if (r == 0)
		r = chan_send(&w->agent, MSG_READY, NULL, 0, -1, e);
	if (r == 0)
		r = await_start(w, e);
	if (r == 0)
		r = chan_send(&w->init, MSG_START, NULL, 0, -1, e);
	if (r == 0)
		r = await_exec(w, e);
	return r < 0 ? r : chan_send(&w->agent, MSG_EXEC, NULL, 0, -1, e);
}

static int create(struct worker *w, struct err *e)
{
	auto_arena struct arena a = { 0 };
	const struct plan *p = w->job->plan;
	struct rootfs_userns userns = { .fd = -1, .make = ns_make_userns };
	struct init in = { .plan = p, .chan = { -1 }, .listen_fd = -1, .cgroup_fd = -1, .sources = { .root = -1 } };

	for (size_t i = 0; i < OCI_NS_COUNT; i++)
		in.ns_fds[i] = -1;
	auto_fd int claim = -1;
	int r = cgroup_create(&p->cgroup, &claim, e);

	if (r < 0)
		return r;
	w->cgroup_made = true;
	r = init_open_sources(p, &userns, &a, &in.sources, e);
	if (r == 0)
		r = init_fork(&in, claim, &w->init, &w->pid, &w->pidfd, e);
	rootfs_close_sources(&p->rootfs, &in.sources);
	if (r == 0)
		r = init_prepare(p, &in, w->pid, e);
	close_fd(&claim); /* init is in its cgroup */
	if (r == 0)
		r = cgroup_guard(&p->cgroup, e);
	if (r == 0)
		r = chan_send(&w->init, MSG_GO, NULL, 0, -1, e);
	return r < 0 ? r : converse(w, &p->proc, p->has_process ? &p->sec : NULL, e);
}

static int exec(struct worker *w, struct err *e)
{
	const struct msg_exec *m = w->job->exec;
	struct exec_plan plan = m->plan;
	struct joiner j = { .plan = &plan, .entry = { .cgroup = w->job->cgroup, .subs = (const char *const *)m->cgroups } };
	char path[32];
	/* The agent has not reaped it, so the number is still its own. */
	auto_fd int init = sys_pidfd_open(w->job->init);

	if (init < 0)
		return err_errno(e, "container not running");
	(void)snprintf(path, sizeof(path), "/proc/%d", w->job->init);
	auto_fd int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_fd int root = openat(dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0 || root < 0)
		return err_errno(e, "container not running");
	int r = m->user ? user_resolve(root, m->user, &plan.sec.uid, &plan.sec.gid, e) : 0;

	if (r < 0)
		return err_in(e, "--user %s", m->user);
	r = joiner_namespaces(dir, w->job->created, &j.entry.ns_flags, e);

	if (r < 0)
		return r;
	j.entry.pidfd = init;
	j.entry.proc_dir = dir;
	j.entry.root_fd = w->job->no_pivot || !(j.entry.ns_flags & SYS_CLONE_NEWNS) ? root : -1;
	r = joiner_fork(&j, &w->init, &w->pid, &w->pidfd, e);
	return r < 0 ? r : converse(w, &j.plan->proc, &j.plan->sec, e);
}

static void abandon(struct worker *w)
{
	struct err ignored;

	chan_close(&w->init);
	if (w->pid > 0) {
		(void)sys_pidfd_send_signal(w->pidfd, SIGKILL);
		(void)!proc_wait(w->pid, &ignored);
	}
	if (w->cgroup_made)
		(void)!cgroup_remove(&w->job->plan->cgroup.ref, 5000, &ignored);
}

static _Noreturn void run(struct worker *w, const int child[3])
{
	struct err e;
	const int keep[] = { w->agent.fd };
	int r = 0;

	proc_reset_signals(0);
	chan_log_to(&w->agent);
	for (int i = 0; i < 3 && r == 0; i++)
		if (dup2(child[i], i) < 0)
			r = err_errno(&e, "dup2");
	if (r == 0)
		r = fd_close_others(3, keep, 1, &e);
	if (r == 0)
		r = w->job->plan ? create(w, &e) : exec(w, &e);
	if (r < 0) {
		abandon(w);
		chan_send_error(&w->agent, &e);
	}
	_exit(r < 0);
}

pid_t worker_start(const struct worker_job *job, const int child[3], struct chan *chan, struct err *e)
{
	struct worker w = { .job = job, .agent = { -1 }, .init = { -1 }, .pidfd = -1 };
	struct chan ours;
	int r = chan_pair(&ours, &w.agent, e);

	if (r < 0)
		return r;
	pid_t pid = proc_fork(0, NULL, -1, e);

	if (pid == 0) {
		chan_close(&ours);
		run(&w, child);
	}
	chan_close(&w.agent);
	if (pid < 0 || fcntl(ours.fd, F_SETFL, O_NONBLOCK) < 0) {
		chan_close(&ours);
		return pid < 0 ? pid : err_errno(e, "fcntl");
	}
	*chan = ours;
	return pid;
}
