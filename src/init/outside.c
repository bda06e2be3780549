/* What the runtime does for init, and for a process that joins: it opens what lies outside, forks, and does what only the outside
 * may. The processes forked here never return: they become stage_run(), init_run() or joiner_run(). */
#include "base/cleanup.h"
#include "base/proc.h"
#include "base/sys.h"
#include "init/init.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A container with a user namespace gets mounts whose flags it cannot clear. */
int init_open_sources(const struct plan *p, const struct rootfs_userns *u, struct arena *a, struct rootfs_sources *out,
		      struct err *e)
{
	struct ns_view view = NS_VIEW_NONE;
	struct err left;
	int r = p->ns.user_ns && p->rootfs.new_mount_ns ? ns_view_enter(&view, e) : 0;

	if (r < 0)
		return r;
	r = rootfs_open_sources(&p->rootfs, u, a, out, e);
	if (ns_view_leave(&view, &left) >= 0)
		return r;
	*e = left;
	return -left.code;
}

/* The stage tells which process is init, and ends. */
static int await_stage(struct chan *chan, pid_t stage, pid_t *pid, int *pidfd, struct err *e)
{
	int32_t number = 0;
	struct err ignored;
	int r = chan_expect(chan, MSG_STAGE, &number, sizeof(number), pidfd, e);

	(void)!proc_wait(stage, r < 0 ? &ignored : e);
	if (r < 0)
		return r;
	if (number <= 0 || *pidfd < 0)
		return err_set(e, EPROTO, "stage sent no process");
	*pid = number;
	return 0;
}

int init_fork(struct init *in, int place, struct chan *chan, pid_t *init, int *init_pidfd, struct err *e)
{
	const struct plan *p = in->plan;
	/* Devices are moved to where init is, so it must have joined. */
	bool stage = stage_needed(&p->ns) || (p->net.n_devices && p->ns.n_join);
	struct chan ours, theirs;
	int pidfd = -1, r = chan_pair(&ours, &theirs, e);

	if (r < 0)
		return r;
	in->cgroup_fd = cgroup_birth(&p->cgroup, place);
	in->joins = !stage && place >= 0 && cgroup_joins_itself(&p->cgroup.ref);
	pid_t pid = proc_fork(stage ? 0 : init_clone_flags(&p->ns), &pidfd, stage ? -1 : in->cgroup_fd, e);

	if (pid == 0) {
		chan_close(&ours);
		in->chan = theirs;
		if (stage)
			stage_run(in);
		init_run(in);
	}
	chan_close(&theirs);
	*chan = ours;
	if (pid < 0)
		return pid;
	if (!stage) {
		*init = pid;
		*init_pidfd = pidfd;
		return 0;
	}
	close_fd(&pidfd);
	return await_stage(chan, pid, init, init_pidfd, e);
}

int init_prepare(const struct plan *p, const struct init *in, pid_t pid, struct err *e)
{
	int r = 0;

	if (p->ns.uid_map.n)
		r = ns_write_maps(&p->ns, pid, e);
	if (r == 0 && !in->joins)
		r = cgroup_join(&p->cgroup.ref, NULL, pid, in->cgroup_fd >= 0, e);
	if (r == 0)
		r = resctrl_join(&p->resctrl.ref, pid, e);
	if (r == 0 && p->net.n_devices)
		r = net_move_devices(&p->net, pid, e);
	return r;
}

int init_rank(const struct plan *p, pid_t pid, struct err *e)
{
	return p->has_process ? sec_apply_rank(&p->sec, pid, e) : 0;
}

int init_limit(const struct plan *p, pid_t pid, struct err *e)
{
	return p->has_process ? sec_apply_limits(&p->sec, pid, e) : 0;
}

int joiner_namespaces(int proc_dir, uint32_t *out, struct err *e)
{
	static const struct {
		const char *name;
		uint32_t flag;
	} ns[] = {
		{ "user", SYS_CLONE_NEWUSER },     { "mnt", SYS_CLONE_NEWNS },    { "pid", SYS_CLONE_NEWPID },
		{ "net", SYS_CLONE_NEWNET },       { "uts", SYS_CLONE_NEWUTS },   { "ipc", SYS_CLONE_NEWIPC },
		{ "cgroup", SYS_CLONE_NEWCGROUP }, { "time", SYS_CLONE_NEWTIME },
	};
	char mine[64], theirs[64], path[32];

	*out = 0;
	for (size_t i = 0; i < sizeof(ns) / sizeof(ns[0]); i++) {
		snprintf(path, sizeof(path), "/proc/self/ns/%s", ns[i].name);
		ssize_t m = readlink(path, mine, sizeof(mine));
		ssize_t t = readlinkat(proc_dir, path + strlen("/proc/self/"), theirs, sizeof(theirs));

		if (m < 0 && errno == ENOENT) /* the kernel has no such namespace */
			continue;
		if (m < 0 || t < 0)
			return err_errno(e, "%s namespace of the container", ns[i].name);
		if (m != t || memcmp(mine, theirs, (size_t)m) != 0)
			*out |= ns[i].flag;
	}
	return 0;
}

/* On cgroup2 it is born in the container's cgroup. One that the container has divided takes no processes itself any more: then
 * where its init is. */
static pid_t fork_joiner(const struct joiner_place *at, int *cgroup_fd, struct err *e)
{
	pid_t pid = proc_fork(0, NULL, *cgroup_fd, e);

	if ((pid != -EBUSY && pid != -EOPNOTSUPP) || *cgroup_fd < 0)
		return pid;
	int fd = cgroup_open_of(at->cgroup, at->proc_dir, e);

	if (fd < 0)
		return fd;
	close_fd(cgroup_fd);
	*cgroup_fd = fd;
	return proc_fork(0, NULL, fd, e);
}

/* What has to be done to the stage; its child inherits it. v1 and hybrid hierarchies, and a named sub-cgroup, are joined. */
static int place_joiner(const struct joiner *j, const struct joiner_place *at, bool born, pid_t stage, struct err *e)
{
	int r = 0;

	if (j->plan->sec.affinity_initial)
		r = sec_set_affinity_of(stage, j->plan->sec.affinity_initial, e);
	if (r == 0 && !born)
		r = cgroup_join(at->cgroup, at->subs, stage, false, e);
	return r < 0 ? r : resctrl_join(at->resctrl, stage, e);
}

int joiner_fork(struct joiner *j, const struct joiner_place *at, struct chan *chan, pid_t *pid, int *pidfd, struct err *e)
{
	struct chan ours, theirs;
	struct err ignored;
	/* execCPUAffinity names CPUs for the time before the cgroup. */
	auto_fd int cgroup = at->subs || j->plan->sec.affinity_initial ? -1 : cgroup_open(at->cgroup, &ignored);
	int32_t number = 0;
	int r = chan_pair(&ours, &theirs, e);

	if (r < 0)
		return r;
	pid_t stage = fork_joiner(at, &cgroup, e);

	if (stage == 0) {
		chan_close(&ours);
		j->entry.chan = theirs;
		joiner_run(j);
	}
	chan_close(&theirs);
	*chan = ours;
	if (stage < 0)
		return stage;
	r = place_joiner(j, at, cgroup >= 0, stage, e);
	if (r == 0)
		r = chan_send(chan, MSG_GO, NULL, 0, -1, e);
	if (r < 0)
		chan_close(chan); /* the stage ends at once */
	int got = r < 0 ? r : chan_expect(chan, MSG_STAGE, &number, sizeof(number), pidfd, e);

	(void)!proc_wait(stage, &ignored);
	*pid = number;
	/* To the process proper: until now it was silent, so that nothing of it could come before the stage's last word. */
	return got < 0 ? got : chan_send(chan, MSG_GO, NULL, 0, -1, e);
}
