/* Entering namespaces that exist already.
 *
 * setns(2) of a pid or time namespace concerns children only, joining a user namespace cannot be undone, and what the host owns
 * must be joined before a user namespace takes the privilege away. A short-lived process, the stage, does these things and then
 * clones init as its sibling (CLONE_PARENT), so that init is the runtime's child in every case. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/sys.h"
#include "init/init.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SPECIAL (SYS_CLONE_NEWUSER | SYS_CLONE_NEWPID | SYS_CLONE_NEWTIME)

bool stage_needed(const struct ns_plan *p)
{
	uint32_t joined = 0;

	for (size_t i = 0; i < p->n_join; i++)
		joined |= p->join[i].flag;
	return (joined & SPECIAL) || (p->create & SYS_CLONE_NEWTIME) || (joined && (p->create & SYS_CLONE_NEWUSER));
}

uint64_t init_clone_flags(const struct ns_plan *p)
{
	return p->create & ~(SYS_CLONE_NEWCGROUP | SYS_CLONE_NEWTIME);
}

/* -1: the stage did it already. */
static int join_one(const struct ns_join *j, int fd, struct err *e)
{
	if (fd >= 0 && sys_setns(fd, (int)j->flag) < 0)
		return err_errno(e, "%s: join %s", j->where, j->path);
	return 0;
}

/* First everything that our present privilege can join, then the user namespace, then what only its root may join. */
static int join_all(const struct ns_plan *p, int *fds, struct err *e)
{
	const struct ns_join *user = NULL;
	bool later[OCI_NS_COUNT] = { 0 };
	int r;

	for (size_t i = 0; i < p->n_join; i++) {
		if (p->join[i].flag == SYS_CLONE_NEWUSER) {
			user = &p->join[i];
			continue;
		}
		r = join_one(&p->join[i], fds[i], e);
		later[i] = r == -EPERM;
		if (r < 0 && r != -EPERM)
			return r;
	}
	if (user && join_one(user, fds[user - p->join], e) < 0)
		return -e->code;
	for (size_t i = 0; i < p->n_join; i++)
		if (later[i] && join_one(&p->join[i], fds[i], e) < 0)
			return -e->code;
	for (size_t i = 0; i < p->n_join; i++)
		close_fd(&fds[i]);
	return 0;
}

int stage_join(struct init *in, struct err *e)
{
	return in->plan->ns.n_join ? join_all(&in->plan->ns, in->ns_fds, e) : 0;
}

static int create_time_ns(const struct ns_plan *p, struct err *e)
{
	if (!(p->create & SYS_CLONE_NEWTIME))
		return 0;
	if (sys_unshare(SYS_CLONE_NEWTIME) < 0)
		return err_errno(e, "linux.namespaces: unshare the time namespace");
	if (p->time_offsets && file_write_pseudo(AT_FDCWD, "/proc/self/timens_offsets", p->time_offsets, e) < 0)
		return err_in(e, "linux.timeOffsets");
	return 0;
}

static int run_stage(struct init *in, struct err *e)
{
	const struct ns_plan *p = &in->plan->ns;
	int pidfd = -1;

	/* A namespace we join holds strangers: they must not trace us or look through our descriptors. Only an unprivileged runtime
	 * needs init dumpable, to open its uid_map; what strangers could do with that is what they can do anyway. */
	if ((geteuid() == 0 || !p->uid_map.n) && prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_errno(e, "prctl");
	int r = stage_join(in, e);

	if (r < 0)
		return r;
	r = create_time_ns(p, e);
	if (r < 0)
		return r;
	pid_t pid = proc_fork(init_clone_flags(p) | SYS_CLONE_PARENT, &pidfd, in->cgroup_fd, e);

	if (pid < 0)
		return pid;
	if (pid == 0) {
		for (size_t i = 0; i < OCI_NS_COUNT; i++)
			in->ns_fds[i] = -1;
		init_run(in);
	}
	int32_t number = pid;

	return chan_send(&in->chan, MSG_STAGE, &number, sizeof(number), pidfd, e);
}

void stage_run(struct init *in)
{
	struct err e;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (run_stage(in, &e) < 0) {
		chan_send_error(&in->chan, &e);
		_exit(1);
	}
	_exit(0);
}
