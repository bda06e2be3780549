/* A process that enters a running container to change its mounts.
 *
 * It enters as the joiner does, but executes nothing. New instances of file systems belong to the namespaces it is in (procfs shows
 * the pid namespace, sysfs the network), so it is a child of the one that entered. Where the runtime dies, end of file takes the
 * place of the acknowledgement, and what was added goes again: so it must outlive the runtime. No signal is asked for, and it has a
 * session of its own, for what is sent to the runtime's process group (Ctrl-C) is not for it. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "init/init.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static int report(struct mounter *m, const struct live_mount *l, struct err *e)
{
	struct mount_report r = { .id = l->id };
	size_t len = strlen(l->path);

	if (len > sizeof(r.path))
		return err_set(e, ENAMETOOLONG, "%.100s...: the path is too long", l->path);
	memcpy(r.path, l->path, len);
	return chan_send(&m->entry.chan, MSG_ROOTFS, &r, sizeof(r.id) + len, -1, e);
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
		r = chan_expect(&m->entry.chan, MSG_ACK, NULL, 0, NULL, e);
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
			r = chan_send(&m->entry.chan, MSG_ROOTFS, NULL, 0, -1, e);
	}
	return r;
}

static int work(void *arg, struct err *e)
{
	struct mounter *m = arg;

	return m->plan ? add(m, e) : take_away(m, e);
}

int mounter_fork(struct mounter *m, struct chan *chan, pid_t *pid, int *pidfd, struct err *e)
{
	auto_arena struct arena a = { 0 };
	size_t n = m->plan ? m->plan->n_mounts : 0, used = 0;
	int *keep = arena_alloc(&a, (2 * n + 2) * sizeof(*keep));

	keep[used++] = m->proc;
	keep[used++] = m->plan ? m->sources->sysfs : -1;
	for (size_t i = 0; i < n; i++) {
		keep[used++] = m->sources->mounts[i];
		keep[used++] = m->sources->userns[i];
	}
	const struct errand errand = { .name = "drupe:mounts", .first = 3, .keep = keep, .n_keep = used, .run = work, .arg = m };

	return entry_fork(&m->entry, &errand, chan, pid, pidfd, e);
}
