/* Signalling and ending all processes of a cgroup, and the cgroup itself.
 *
 * cgroup.kill (Linux 5.14) ends everything in a cgroup2 directory and below at once, frozen or not; its end is polled for in
 * cgroup.events. What is not in there - v1 without cgroup2, older kernels, processes that were moved - is frozen, so that
 * nothing can fork while it is listed, killed one by one, thawed (a frozen process of v1 does not die), and waited for by pidfd;
 * again until none is left or time is up. Whatever happens, nothing is left frozen by us.
 *
 * A pid from a list may be another process by the time it is used. So pidfds are opened first and the list is read again: what is
 * listed after its pidfd was opened is a member, or that pidfd's process is dead and the signal goes nowhere.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/sys.h"
#include "cgroups/cgroup_systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#define KILL_MS   10000 /* cgroup_signal(SIGKILL) gives up after this time */
#define FREEZE_MS 500   /* a freezer that takes longer is done without     */
#define ROUND_MS  200   /* after this time it is looked who came in since  */
#define BATCH     256   /* descriptors at a time                           */

/* The pidfds of some members. */
struct batch {
	struct pollfd v[BATCH];
	size_t n;
};

static void close_batch(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		close_fd(&b->v[i].fd);
	b->n = 0;
}
#define auto_batch __attribute__((cleanup(close_batch)))

static bool is_listed(const pid_t *v, size_t n, pid_t pid)
{
	size_t lo = 0;

	while (lo < n) {
		size_t mid = lo + (n - lo) / 2;

		if (v[mid] == pid)
			return true;
		if (v[mid] < pid)
			lo = mid + 1;
		else
			n = mid;
	}
	return false;
}

/* All members but ourselves. */
static int list_others(const struct cgroup_ref *r, struct arena *a, pid_t **out, size_t *n, struct err *e)
{
	size_t kept = 0;
	pid_t *v = NULL;
	int res = cgroup_procs(r, a, &v, n, e);

	if (res < 0)
		return res;
	for (size_t i = 0; i < *n; i++)
		if (v[i] != getpid())
			v[kept++] = v[i];
	*out = v;
	*n = kept;
	return 0;
}

/* Signals up to BATCH of the listed processes; their pidfds stay in *b. */
static int signal_batch(const struct cgroup_ref *r, const pid_t *v, size_t n, int sig, struct batch *b, struct err *e)
{
	auto_arena struct arena a = { 0 };
	pid_t *again = NULL, pids[BATCH] = { 0 };
	size_t n_again = 0;

	for (size_t i = 0; i < n; i++) {
		int fd = sys_pidfd_open(v[i]);

		if (fd < 0 && errno != ESRCH && errno != EINVAL) /* EINVAL: a thread that changed its leader */
			return err_errno(e, "process %d", (int)v[i]);
		if (fd < 0)
			continue;
		pids[b->n] = v[i];
		b->v[b->n++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	}
	if (list_others(r, &a, &again, &n_again, e) < 0)
		return -e->code;
	for (size_t i = 0; i < b->n; i++)
		if (is_listed(again, n_again, pids[i]) && sys_pidfd_send_signal(b->v[i].fd, sig) < 0 && errno != ESRCH)
			return err_errno(e, "signalling process %d", (int)pids[i]);
	return 0;
}

/* *last keeps the pidfds of the last batch. */
static int signal_listed(const struct cgroup_ref *r, const pid_t *v, size_t n, int sig, struct batch *last, struct err *e)
{
	for (size_t i = 0; i < n; i += BATCH) {
		close_batch(last);
		if (signal_batch(r, v + i, n - i < BATCH ? n - i : BATCH, sig, last, e) < 0)
			return -e->code;
	}
	return 0;
}

/* Waits until all of them have ended, or the time is up: the caller looks again anyway. */
static void wait_batch(struct batch *b, int64_t deadline)
{
	for (size_t i = 0; i < b->n; i++) {
		int64_t left;

		while ((left = deadline - clock_ms()) > 0 && poll(&b->v[i], 1, left > 60000 ? 60000 : (int)left) <= 0)
			;
	}
}

static const struct cgroup_dir *find_v2(const struct cgroup_ref *r)
{
	for (size_t i = 0; i < r->n_dirs; i++)
		if (r->dirs[i].v2)
			return &r->dirs[i];
	return NULL;
}

static int64_t round_end(int64_t deadline)
{
	int64_t end = clock_ms() + ROUND_MS;

	return end < deadline ? end : deadline;
}

/* True when the kernel has ended everything in the cgroup2 directory. Not if that would end us. */
static bool kill_v2(const struct cgroup_ref *r, int64_t deadline)
{
	int64_t until = round_end(deadline);

	const struct cgroup_dir *d = find_v2(r);
	auto_arena struct arena a = { 0 };
	struct err why;

	if (!d || cg_has_member(d->path, getpid()) ||
	    file_write_pseudo(AT_FDCWD, cg_file(&a, d->path, "cgroup.kill"), "1", &why) < 0)
		return false;
	/* Those that the v1 freezer holds die only when it lets them. */
	const struct cgroup_dir *freezer = cg_freezer(r);

	if (freezer && !freezer->v2 && cg_thaw_below(freezer->path, &why) < 0)
		log_debug("thawing: %s", why.text);
	return cg_wait_event(d->path, "populated", 0, until, &why) > 0;
}

/* One round of freeze, kill, thaw, wait. */
static int kill_round(const struct cgroup_ref *r, int64_t deadline, struct err *e)
{
	const struct cgroup_dir *freezer = cg_freezer(r);
	auto_arena struct arena a = { 0 };
	auto_batch struct batch last = { .n = 0 };
	pid_t *v = NULL;
	size_t n = 0;
	struct err why;

	if (freezer && cgroup_freeze(r, true, FREEZE_MS, &why) < 0)
		log_debug("killing without the freezer: %s", why.text);
	int res = list_others(r, &a, &v, &n, e); /* complete when frozen */

	if (res == 0)
		res = signal_listed(r, v, n, SIGKILL, &last, e);
	if (freezer && (freezer->v2 ? cgroup_freeze(r, false, FREEZE_MS, &why) : cg_thaw_below(freezer->path, &why)) < 0)
		log_debug("thawing: %s", why.text);
	if (res == 0)
		wait_batch(&last, round_end(deadline));
	return res;
}

/* Until no process is listed any more: one may come in (exec) while the others are being killed. */
static int kill_all(const struct cgroup_ref *r, int64_t deadline, struct err *e)
{
	for (;;) {
		auto_arena struct arena a = { 0 };
		pid_t *v = NULL;
		size_t n = 0;

		(void)kill_v2(r, deadline);
		if (list_others(r, &a, &v, &n, e) < 0)
			return -e->code;
		if (n == 0)
			return 0;
		if (clock_ms() >= deadline)
			return err_set(e, ETIMEDOUT, "cgroup %s: %zu processes do not end, %d is one", r->path, n, (int)v[0]);
		if (kill_round(r, deadline, e) < 0)
			return -e->code;
	}
}

int cgroup_signal(const struct cgroup_ref *r, int sig, struct err *e)
{
	auto_arena struct arena a = { 0 };
	auto_batch struct batch last = { .n = 0 };
	auto_fd int claim = -1;
	struct cgroup_ref own;
	pid_t *v = NULL;
	size_t n = 0;

	if (!r->n_dirs)
		return err_set(e, ENOTSUP, "the container has no cgroup, so its processes are not known");
	(void)cg_hold(r, &claim);
	if (cg_own_part(r, &a, &own, e) < 0)
		return -e->code;
	if (sig == SIGKILL)
		return kill_all(&own, clock_ms() + KILL_MS, e);
	if (list_others(&own, &a, &v, &n, e) < 0)
		return -e->code;
	return signal_listed(&own, v, n, sig, &last, e);
}

/* ---- the end ---- */

static int enter_nothing(void *ctx, int dir_fd, struct err *e)
{
	(void)ctx;
	(void)dir_fd;
	(void)e;
	return 0;
}

/* What is busy is seen when its parent is to go. */
static int leave_remove(void *ctx, int parent_fd, const char *name, struct err *e)
{
	(void)ctx;
	if (unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT && errno != EBUSY && errno != ENOTEMPTY)
		return err_errno(e, "removing cgroup %s", name);
	return 0;
}

int cg_remove_dir(const char *path, struct err *e)
{
	static const struct cg_visitor children_first = { .enter = enter_nothing, .leave = leave_remove };

	for (int try = 0; try < 2; try++) {
		if (rmdir(path) == 0 || errno == ENOENT)
			return 0;
		if (errno != EBUSY && errno != ENOTEMPTY)
			return err_errno(e, "removing cgroup %s", path);
		if (try == 0 && cg_walk(path, &children_first, e) < 0)
			return -e->code;
	}
	return 1;
}

/* Backwards: by the first one the whole is claimed, so while it is there nobody makes others. */
static int remove_all(const struct cgroup_ref *r, const struct cgroup_dir **busy, struct err *e)
{
	*busy = NULL;
	for (size_t i = r->n_dirs; i-- > 0;) {
		struct err why;
		int left = cg_remove_dir(r->dirs[i].path, &why);

		if (left < 0 && !(r->optional && (left == -EACCES || left == -EPERM || left == -EROFS))) {
			*e = why;
			return left;
		}
		if (left > 0)
			*busy = &r->dirs[i];
	}
	return 0;
}

/* Ends the unit whose cgroup it is. Its processes are ended by us, as systemd would wait for them to end by themselves. */
static int end_unit(const struct cgroup_ref *r, int64_t deadline, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct err why;

	if (!r->scope || !r->n_dirs)
		return 0;
	/* Once it is empty systemd ends a scope, and another one may have its name. */
	const char *invocation = cg_unit_invocation(r, &a);

	if (kill_all(r, deadline, e) < 0)
		return -e->code;
	if (cg_unit_stop(r, invocation, &why) < 0)
		log_warn("cgroup %s: %s", r->path, why.text);
	return 0;
}

/* What a creator that was killed may have made and not noted; nothing of it is in there. */
static void remove_unnoted(const struct cgroup_ref *r, int64_t deadline)
{
	struct err why;

	for (size_t i = r->identified ? r->n_dirs : 0; i-- > 0;) {
		struct cgroup_ref one = {
			.scope = r->scope, .path = r->path, .dirs = &r->dirs[i], .n_dirs = 1, .helper = r->helper
		};
		bool populated = true;

		if (r->dirs[i].ino || cg_is_populated(&r->dirs[i], &populated, &why) < 0 || populated)
			continue;
		if (end_unit(&one, deadline, &why) < 0)
			log_debug("%s", why.text);
		(void)rmdir(r->dirs[i].path);
	}
}

int cgroup_remove(const struct cgroup_ref *r, int timeout_ms, struct err *e)
{
	auto_arena struct arena a = { 0 };
	int64_t deadline = clock_ms() + timeout_ms;
	const struct cgroup_dir *busy;
	auto_fd int claim = -1;
	struct cgroup_ref own;

	if (cg_hold(r, &claim))
		remove_unnoted(r, deadline);
	if (cg_own_part(r, &a, &own, e) < 0 || end_unit(&own, deadline, e) < 0)
		return -e->code;
	for (int round = 0;; round++) {
		/* The path of a unit that was ended may be another unit's at once. */
		if ((round || r->scope) && cg_own_part(r, &a, &own, e) < 0)
			return -e->code;
		if (remove_all(&own, &busy, e) < 0)
			return -e->code;
		if (!busy)
			break;
		if (round && clock_ms() >= deadline)
			return err_set(e, EBUSY, "cgroup %s cannot be removed: it has processes", busy->path);
		if (kill_all(&own, deadline, e) < 0)
			return -e->code;
		if (round) /* none is listed, but the last ones are not quite gone; nothing tells when */
			cg_nap(1);
	}
	for (size_t i = 0; i < r->n_dirs; i++)
		cg_remove_parents(r->dirs[i].mount, r->dirs[i].path);
	return 0;
}
