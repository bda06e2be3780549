/* A process that enters a running container: exec.
 *
 * The joiner enters all namespaces at once by the container's pidfd (the kernel takes the user namespace first, with our present
 * privilege for the others), then clones the process proper as the runtime's child. It is in the container's cgroup already: from
 * inside the cgroup namespace, a process outside it cannot be the parent of one in it where cgroup2 is mounted with nsdelegate.
 * Confinement is the same as for init: sec_apply_process() and exec_program(). */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/proc_fs.h"
#include "base/sys.h"
#include "init/init.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

static int open_terminal(struct joiner *j, struct err *e)
{
	const struct exec_plan *p = j->plan;
	char name[32] = "";
	int m = -1, s = -1;
	auto_fd int root = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = console_open(root, p->sec.uid, p->proc.rows, p->proc.cols, false, &m, &s, name, e);

	if (r < 0)
		return err_in(e, "terminal");
	auto_fd int master = m, slave = s;
	r = chan_send(&j->chan, MSG_CONSOLE, name, strlen(name), master, e);
	return r < 0 ? r : take_terminal(take_fd(&slave), e);
}

static int prepare(struct joiner *j, struct arena *a, const char **program, int *proc_fd, struct err *e)
{
	const struct exec_plan *p = j->plan;
	int r = 0;

	if (setsid() < 0)
		return err_errno(e, "setsid");
	if (j->ns_flags & SYS_CLONE_NEWUSER)
		r = become_namespace_root(e);
	if (r == 0 && prctl(PR_SET_DUMPABLE, 0) < 0)
		r = err_errno(e, "prctl");
	if (r == 0 && needs_procfs(&p->sec)) {
		*proc_fd = proc_fs_open(false, e);
		r = *proc_fd < 0 ? *proc_fd : 0;
	}
	if (r == 0 && p->proc.terminal)
		r = open_terminal(j, e);
	if (r == 0)
		r = settle_on_cpus(&p->sec, e);
	if (r == 0)
		r = sec_apply_process(&p->sec, e);
	if (r == 0)
		r = own_stdio(p->sec.uid, e);
	if (r == 0)
		r = enter_cwd(p->proc.cwd, &p->sec, e);
	return r ? r : find_program(&p->proc, a, program, e);
}

static int run_process(struct joiner *j, struct err *e)
{
	struct arena a = { 0 };
	const char *program = NULL;
	int proc_fd = -1;
	int r = chan_expect(&j->chan, MSG_GO, NULL, 0, NULL, e);

	if (r == 0)
		r = prepare(j, &a, &program, &proc_fd, e);
	if (r < 0)
		return r;
	/* Before READY: it reads a file of the container's. */
	char *const *envp = complete_env(&j->plan->proc, j->plan->sec.uid, &a);
	const int keep[] = { j->chan.fd, proc_fd };

	r = fd_close_others(3 + j->plan->proc.keep_fds, keep, 2, e);
	if (r == 0)
		r = chan_send(&j->chan, MSG_READY, NULL, 0, -1, e);
	if (r == 0)
		r = chan_expect(&j->chan, MSG_START, NULL, 0, NULL, e);
	if (r < 0)
		return r;
	return exec_program(&j->chan, &j->plan->sec, &j->plan->proc, program, envp, proc_fd, e);
}

static int enter(struct joiner *j, struct err *e)
{
	int r = chan_expect(&j->chan, MSG_GO, NULL, 0, NULL, e);

	if (r < 0)
		return r;
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_errno(e, "prctl");
	/* Nothing of the host's goes in with us, the state directory least of all: with CAP_SYS_PTRACE the container could reach
	 * it. */
	const int keep[] = { j->chan.fd, j->pidfd, j->root_fd };

	r = fd_close_others(3 + j->plan->proc.keep_fds, keep, 3, e);
	if (r < 0)
		return r;
	if (j->ns_flags && sys_setns(j->pidfd, (int)j->ns_flags) < 0)
		return err_errno(e, "enter the container's namespaces");
	if (j->root_fd >= 0 && (fchdir(j->root_fd) < 0 || chroot(".") < 0))
		return err_errno(e, "enter the container's root");
	close_fd(&j->root_fd);
	close_fd(&j->pidfd);
	return 0;
}

static int run_joiner(struct joiner *j, struct err *e)
{
	int pidfd = -1, r = enter(j, e);

	if (r < 0)
		return r;
	pid_t pid = proc_fork(SYS_CLONE_PARENT, &pidfd, -1, e);

	if (pid < 0)
		return pid;
	if (pid == 0) {
		struct err why;

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)prctl(PR_SET_NAME, "drupe:exec");
		if (run_process(j, &why) < 0)
			chan_send_error(&j->chan, &why);
		leave();
	}
	int32_t number = pid;

	return chan_send(&j->chan, MSG_STAGE, &number, sizeof(number), pidfd, e);
}

void joiner_run(struct joiner *j)
{
	struct err e;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	chan_log_to(&j->chan);
	if (run_joiner(j, &e) < 0) {
		chan_send_error(&j->chan, &e);
		_exit(1);
	}
	_exit(0);
}
