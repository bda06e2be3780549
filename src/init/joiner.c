/* A process that enters a running container: exec.
 *
 * The joiner (enter.c) is in the container's cgroup first: from
 * inside the cgroup namespace, a process outside it cannot be the parent of one in it where cgroup2 is mounted with nsdelegate.
 * Confinement is the same as for init: sec_apply_process() and exec_program(). */
#include "base/cleanup.h"
#include "base/proc_fs.h"
#include "base/sys.h"
#include "init/init.h"

#include <string.h>

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
	r = chan_send(&j->entry.chan, MSG_CONSOLE, name, strlen(name), master, e);
	return r < 0 ? r : take_terminal(take_fd(&slave), e);
}

static int prepare(struct joiner *j, struct arena *a, const char **program, int *proc_fd, struct err *e)
{
	const struct exec_plan *p = j->plan;
	int r = 0;

	if (needs_procfs(&p->sec)) {
		*proc_fd = proc_fs_open(false, NULL, e);
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

static int run_process(void *arg, struct err *e)
{
	struct joiner *j = arg;
	struct arena a = { 0 };
	const char *program = NULL;
	int proc_fd = -1;
	int r = prepare(j, &a, &program, &proc_fd, e);

	if (r < 0)
		return r;
	/* Before READY: it reads a file of the container's. */
	char *const *envp = complete_env(&j->plan->proc, j->plan->sec.uid, &a);

	r = chan_send(&j->entry.chan, MSG_READY, NULL, 0, -1, e);
	if (r == 0)
		r = chan_expect(&j->entry.chan, MSG_START, NULL, 0, NULL, e);
	if (r < 0)
		return r;
	return exec_program(&j->entry.chan, &j->plan->sec, &j->plan->proc, program, envp, proc_fd, e);
}

int joiner_fork(struct joiner *j, struct chan *chan, pid_t *pid, int *pidfd, struct err *e)
{
	const struct errand errand = {
		.name = "drupe:exec",
		.dies_with_runtime = true,
		.first = 3 + j->plan->proc.keep_fds,
		.run = run_process,
		.arg = j,
	};

	j->entry.cpus = j->plan->sec.affinity_initial;
	return entry_fork(&j->entry, &errand, chan, pid, pidfd, e);
}
