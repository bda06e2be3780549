/* What the runtime does for init, and for a process that joins: it opens what lies outside, forks, and does what only the outside
 * may. The processes forked here never return: they become stage_run() or init_run(). */
#include "base/cleanup.h"
#include "base/proc.h"
#include "base/self.h"
#include "base/str.h"
#include "base/sys.h"
#include "init/init.h"

#include <errno.h>
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

	/* In a pid namespace that begins with it, nobody of the container can look at it before it has left the file itself. */
	in->leaves = !stage && (p->ns.create & SYS_CLONE_NEWPID);
	int pidfd = -1, r = in->leaves ? 0 : self_leave(true, e);

	if (r == 0)
		r = chan_pair(&ours, &theirs, e);
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

/* 1: the process of proc_dir is in another namespace of that type than we are. */
static int is_elsewhere(int proc_dir, int type, struct err *e)
{
	char mine[64], theirs[64], path[32];

	text_format(path, sizeof(path), "/proc/self/ns/%s", ns_proc_name(type));
	ssize_t m = readlink(path, mine, sizeof(mine));
	ssize_t t = readlinkat(proc_dir, path + strlen("/proc/self/"), theirs, sizeof(theirs));

	if (m < 0 && errno == ENOENT) /* the kernel has no such namespace */
		return 0;
	if (m < 0 || t < 0)
		return err_errno(e, "%s namespace of the container", ns_proc_name(type));
	return m != t || memcmp(mine, theirs, (size_t)m) != 0;
}

int joiner_namespaces(int proc_dir, uint32_t created, uint32_t *out, struct err *e)
{
	*out = created & ~SYS_CLONE_NEWUSER;
	for (int type = 0; type < OCI_NS_COUNT; type++) {
		int r = *out & ns_flag(type) ? 0 : is_elsewhere(proc_dir, type, e);

		if (r < 0)
			return r;
		*out |= r ? ns_flag(type) : 0;
	}
	return 0;
}
