/* A process that enters a running container to change its mounts.
 *
 * It enters as the joiner does, but executes nothing. New instances of file systems belong to the namespaces it is in (procfs shows
 * the pid namespace, sysfs the network), so it is a child of the one that entered. Where the runtime dies, end of file takes the
 * place of the acknowledgement, and what was added goes again: so it must outlive the runtime. No signal is asked for, and it has a
 * session of its own, for what is sent to the runtime's process group (Ctrl-C) is not for it. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/sys.h"
#include "init/init.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

static int report(struct mounter *m, const struct live_mount *l, struct err *e)
{
	struct mount_report r = { .id = l->id };
	size_t len = strlen(l->path);

	if (len > sizeof(r.path))
		return err_set(e, ENAMETOOLONG, "%.100s...: the path is too long", l->path);
	memcpy(r.path, l->path, len);
	return chan_send(&m->chan, MSG_ROOTFS, &r, sizeof(r.id) + len, -1, e);
}

static int add(struct mounter *m, struct err *e)
{
	auto_arena struct arena a = { 0 };
	size_t n = m->plan->n_mounts;
	struct live_mount *added = arena_alloc(&a, (n + 1) * sizeof(*added));

	umask(0);
	int r = rootfs_add_live(m->plan, m->sources, m->proc, &a, added, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n && r == 0; i++)
		r = report(m, &added[i], e);
	if (r == 0)
		r = chan_expect(&m->chan, MSG_ACK, NULL, 0, NULL, e);
	if (r < 0)
		rootfs_undo_live(m->plan, m->sources, m->proc);
	return r;
}

static int take_away(struct mounter *m, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < m->n_remove && r == 0; i++) {
		r = rootfs_remove_live(&m->remove[i], e);
		if (r == 0)
			r = chan_send(&m->chan, MSG_ROOTFS, NULL, 0, -1, e);
	}
	return r;
}

static int close_rest(struct mounter *m, struct err *e)
{
	auto_arena struct arena a = { 0 };
	size_t n = m->plan ? m->plan->n_mounts : 0, used = 5;
	int *keep = arena_alloc(&a, (2 * n + used) * sizeof(*keep));

	keep[0] = m->chan.fd;
	keep[1] = m->pidfd;
	keep[2] = m->root_fd;
	keep[3] = m->proc;
	keep[4] = m->plan ? m->sources->sysfs : -1;
	for (size_t i = 0; i < n; i++) {
		keep[used++] = m->sources->mounts[i];
		keep[used++] = m->sources->userns[i];
	}
	return fd_close_others(3, keep, used, e);
}

static int enter(struct mounter *m, struct err *e)
{
	int r = setsid() < 0 ? err_errno(e, "setsid") : chan_expect(&m->chan, MSG_GO, NULL, 0, NULL, e);

	if (r == 0 && prctl(PR_SET_DUMPABLE, 0) < 0)
		r = err_errno(e, "prctl");
	if (r == 0)
		r = close_rest(m, e);
	if (r < 0)
		return r;
	if (m->ns_flags && sys_setns(m->pidfd, (int)m->ns_flags) < 0)
		return err_errno(e, "enter the container's namespaces");
	if (m->root_fd >= 0 && (fchdir(m->root_fd) < 0 || chroot(".") < 0))
		return err_errno(e, "enter the container's root");
	close_fd(&m->root_fd);
	close_fd(&m->pidfd);
	return 0;
}

static int work(struct mounter *m, struct err *e)
{
	int r = chan_expect(&m->chan, MSG_GO, NULL, 0, NULL, e);

	if (r == 0 && (m->ns_flags & SYS_CLONE_NEWUSER))
		r = become_namespace_root(e);
	/* A change of ids may have made it dumpable again. */
	if (r == 0 && prctl(PR_SET_DUMPABLE, 0) < 0)
		r = err_errno(e, "prctl");
	if (r < 0)
		return r;
	return m->plan ? add(m, e) : take_away(m, e);
}

static int run(struct mounter *m, struct err *e)
{
	int pidfd = -1, r = enter(m, e);

	if (r < 0)
		return r;
	pid_t pid = proc_fork(SYS_CLONE_PARENT, &pidfd, -1, e);

	if (pid < 0)
		return pid;
	if (pid == 0) {
		struct err why;

		(void)prctl(PR_SET_NAME, "drupe:mounts");
		if (work(m, &why) < 0)
			chan_send_error(&m->chan, &why);
		leave();
	}
	int32_t number = pid;

	return chan_send(&m->chan, MSG_STAGE, &number, sizeof(number), pidfd, e);
}

void mounter_run(struct mounter *m)
{
	struct err e;

	chan_log_to(&m->chan);
	if (run(m, &e) < 0) {
		chan_send_error(&m->chan, &e);
		_exit(1);
	}
	_exit(0);
}
