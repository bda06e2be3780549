/* Whose a cgroup is.
 *
 * A path says little: a container may have ended long ago, and another one may have the same linux.cgroupsPath, or systemd unit, by
 * now; or the creator was killed between storing its intent and finding that the path was taken. The kernel gives each directory of
 * a hierarchy a number of its own that it does not use again. It is stored before the first process gets into the cgroup; so what
 * has another number is not ours, and what has no number stored holds nothing of ours.
 *
 * While one is being made nothing is in it that would show it to be in use, and while one is being removed it must not become
 * another's between our look at its number and our next step: so whoever does that has a lock on the directory, which ends with
 * the process.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "cgroups/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define HOLD_MS 100 /* who makes a cgroup finds out at once whether it is free */

int cgroup_identify(struct cgroup_ref *r, struct arena *a, struct err *e)
{
	struct cgroup_dir *dirs = arena_alloc(a, (r->n_dirs + 1) * sizeof(*dirs));
	struct stat st;

	for (size_t i = 0; i < r->n_dirs; i++) {
		dirs[i] = r->dirs[i];
		if (stat(dirs[i].path, &st) == 0)
			dirs[i].ino = st.st_ino;
		else if (errno != ENOENT && !r->optional)
			return err_errno(e, "cgroup %s", dirs[i].path);
	}
	r->dirs = dirs;
	r->identified = true;
	return 0;
}

/* 1: it is not there. */
static int lock_dir(const char *path, int *claim, struct err *e)
{
	auto_fd int fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 1 : err_errno(e, "cgroup %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? err_set(e, EBUSY, "cgroup %s is just being made, or removed, by another process", path)
			       : err_errno(e, "cgroup %s: lock", path);
	close_fd(claim);
	*claim = take_fd(&fd);
	return 0;
}

int cg_claim(const char *path, int *claim, mode_t *mode, struct err *e)
{
	struct stat locked, there = { 0 };
	int r = lock_dir(path, claim, e);

	if (r != 0)
		return r;
	if (fstat(*claim, &locked) < 0 || (stat(path, &there) < 0 && errno != ENOENT)) {
		r = err_errno(e, "cgroup %s", path);
	} else {
		*mode = locked.st_mode;
		r = there.st_ino != locked.st_ino;
	}
	if (r != 0) /* or a second try would meet our own lock */
		close_fd(claim);
	return r;
}

/* Then it does not matter which directory is locked: one that is not ours has another number, whoever made it meanwhile. */
static bool all_noted(const struct cgroup_ref *r)
{
	bool noted = r->identified;

	for (size_t i = 0; noted && i < r->n_dirs; i++)
		noted = r->dirs[i].ino != 0;
	return noted;
}

bool cg_hold(const struct cgroup_ref *r, int *claim)
{
	int64_t until = 0; /* unless one has to wait */
	bool noted = all_noted(r);

	for (;;) {
		int result = 1;
		struct err why;
		mode_t mode;

		for (size_t i = 0; result == 1 && i < r->n_dirs; i++)
			result = noted ? lock_dir(r->dirs[i].path, claim, &why) : cg_claim(r->dirs[i].path, claim, &mode, &why);
		if (result != -EBUSY)
			return true;
		if (!until)
			until = clock_ms() + HOLD_MS;
		else if (clock_ms() >= until)
			return false;
		cg_nap(1);
	}
}

int cg_own_part(const struct cgroup_ref *r, struct arena *a, struct cgroup_ref *out, struct err *e)
{
	struct cgroup_dir *dirs = arena_alloc(a, (r->n_dirs + 1) * sizeof(*dirs));
	struct stat st;
	size_t n = 0;

	*out = *r;
	if (!r->identified)
		return 0;
	for (size_t i = 0; i < r->n_dirs; i++) {
		const struct cgroup_dir *d = &r->dirs[i];

		if (!d->ino)
			continue;
		if (stat(d->path, &st) == 0) {
			if (st.st_ino == d->ino)
				dirs[n++] = *d;
		} else if (errno != ENOENT) {
			return err_errno(e, "cgroup %s", d->path);
		}
	}
	out->dirs = dirs;
	out->n_dirs = n;
	return 0;
}

int cg_is_populated(const struct cgroup_dir *d, bool *out, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct cg_pids members = { .arena = &a };
	auto_fd int fd = openat(AT_FDCWD, d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, "cgroup %s", d->path);
	if (cg_pids_below(&members, d->path, e) < 0)
		return -e->code;
	/* Those of other pid namespaces are not listed. */
	*out = members.n || cg_flat_key(fd, "cgroup.events", "populated") == 1;
	return 0;
}
