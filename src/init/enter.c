/* A process that enters a running container, for an errand there: exec's joiner, the mounter.
 *
 * Two processes, since a pid namespace is that of children only. The first joins the container's cgroup, closes and leaves all that
 * is the host's, and enters all namespaces at once by the container's pidfd (the kernel takes the user namespace first, with our
 * present privilege for the others). Nobody in the container's pid namespace sees it. Its child runs the errand there, and is the
 * runtime's own (CLONE_PARENT).
 *
 * While the first one works the runtime stands still, and lends it its memory: one copy of it less. So what it writes, the runtime
 * reads; that the memory becomes undumpable, too, holds for both. What everybody in the container sees, the second, never has any
 * but a copy. setns(2) of a time namespace wants memory of one's own; and where a user namespace is entered, those who own it may
 * trace the first as soon as it is there, and must not find the runtime's memory. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/self.h"
#include "base/sys.h"
#include "init/init.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

/* What becomes of the first process. Both can write and read it. */
struct outcome {
	pid_t pid; /* of the second; 0: the first died; -1: why */
	struct err why;
};

struct first {
	struct entry *in;
	const struct errand *what;
	bool born; /* in the container's cgroup */
	struct outcome *out;
};

/* A change of ids may have made us dumpable. */
static int hide(struct err *e)
{
	return prctl(PR_SET_DUMPABLE, 0) < 0 ? err_errno(e, "prctl") : 0;
}

/* Nothing of the host's goes in with us, the state directory least of all: with CAP_SYS_PTRACE the container could reach it. */
static int close_rest(const struct entry *in, const struct errand *what, struct err *e)
{
	auto_arena struct arena a = { 0 };
	int *keep = arena_alloc(&a, (what->n_keep + 3) * sizeof(*keep));

	keep[0] = in->chan.fd;
	keep[1] = in->pidfd;
	keep[2] = in->root_fd;
	for (size_t i = 0; i < what->n_keep; i++)
		keep[3 + i] = what->keep[i];
	return fd_close_others(what->first, keep, what->n_keep + 3, e);
}

/* The CPUs for the time before the cgroup come before it. */
static int join(const struct entry *in, bool born, struct err *e)
{
	int r = in->cpus ? sec_set_affinity(in->cpus, e) : 0;

	if (r == 0)
		r = cgroup_join(in->cgroup, in->subs, 0, born, e);
	return r < 0 || !in->resctrl ? r : resctrl_join(in->resctrl, 0, e);
}

static int enter_namespaces(const struct entry *in, struct err *e)
{
	/* This process's own; the variables may be the runtime's. */
	auto_fd int pidfd = in->pidfd, root = in->root_fd;

	if (in->ns_flags && sys_setns(pidfd, (int)in->ns_flags) < 0)
		return err_errno(e, "enter the container's namespaces");
	if (root >= 0 && (fchdir(root) < 0 || chroot(".") < 0))
		return err_errno(e, "enter the container's root");
	return in->ns_flags & SYS_CLONE_NEWUSER ? hide(e) : 0;
}

static int enter(const struct first *f, struct err *e)
{
	int r = hide(e);

	if (r == 0)
		r = join(f->in, f->born, e);
	if (r == 0)
		r = close_rest(f->in, f->what, e);
	return r < 0 ? r : enter_namespaces(f->in, e);
}

static int prepare(const struct entry *in, const struct errand *what, struct err *e)
{
	if (what->dies_with_runtime)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, what->name);
	if (setsid() < 0)
		return err_errno(e, "setsid");
	if (!(in->ns_flags & SYS_CLONE_NEWUSER))
		return 0;
	int r = become_namespace_root(e);

	return r < 0 ? r : hide(e);
}

static _Noreturn void run_errand(struct entry *in, const struct errand *what)
{
	struct err e;

	chan_log_to(&in->chan);
	if (prepare(in, what, &e) < 0 || what->run(what->arg, &e) < 0)
		chan_send_error(&in->chan, &e);
	leave();
}

static int run_first(void *arg)
{
	const struct first *f = arg;

	if (f->what->dies_with_runtime)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* What is typed at the terminal is for the runtime: it could not be told that this one has stopped. */
	(void)setsid();
	pid_t pid = enter(f, &f->out->why) < 0 ? -1 : proc_fork(SYS_CLONE_PARENT, NULL, -1, &f->out->why);

	if (pid == 0)
		run_errand(f->in, f->what);
	f->out->pid = pid < 0 ? -1 : pid;
	return pid < 0;
}

/* On cgroup2 it is born in the container's cgroup. One that the container has divided takes no processes itself any more: then
 * where its init is. */
static pid_t fork_first(struct first *f, uint64_t flags, struct err *e)
{
	const struct entry *in = f->in;
	struct err ignored;
	auto_fd int cgroup = in->subs || in->cpus ? -1 : cgroup_open(in->cgroup, &ignored);

	f->born = cgroup >= 0;
	pid_t pid = proc_vfork(flags, cgroup, run_first, f, e);

	if ((pid != -EBUSY && pid != -EOPNOTSUPP) || cgroup < 0)
		return pid;
	auto_fd int below = cgroup_open_of(in->cgroup, in->proc_dir, e);
	return below < 0 ? below : proc_vfork(flags, below, run_first, f, e);
}

static pid_t await_second(struct first *f, uint64_t flags, struct err *e)
{
	struct err ignored;
	pid_t pid = fork_first(f, flags, e);

	if (pid < 0)
		return pid;
	(void)!proc_wait(pid, &ignored);
	if (f->out->pid > 0)
		return f->out->pid;
	if (f->out->pid == 0)
		return err_set(e, EPIPE, "the process that enters the container was killed");
	*e = f->out->why;
	return -e->code;
}

/* The same memory for a first process that has its own. */
static pid_t fork_apart(struct first *f, struct err *e)
{
	struct outcome *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		return err_errno(e, "mmap");
	f->out = shared;
	pid_t pid = await_second(f, 0, e);

	munmap(shared, sizeof(*shared));
	return pid;
}

int entry_fork(struct entry *in, const struct errand *what, struct chan *chan, pid_t *pid, int *pidfd, struct err *e)
{
	struct outcome out = { 0 };
	struct first f = { .in = in, .what = what, .out = &out };
	int r = self_leave(true, e);

	if (r == 0)
		r = chan_pair(chan, &in->chan, e);

	if (r < 0)
		return r;
	pid_t second =
		in->ns_flags & (SYS_CLONE_NEWUSER | SYS_CLONE_NEWTIME) ? fork_apart(&f, e) : await_second(&f, SYS_CLONE_VM, e);

	chan_close(&in->chan);
	if (second < 0)
		return second;
	*pid = second;
	/* It stays this process until we wait for it. */
	*pidfd = sys_pidfd_open(second);
	return *pidfd < 0 ? err_errno(e, "pidfd_open %d", (int)second) : 0;
}
