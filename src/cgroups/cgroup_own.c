/* Whose a cgroup is.
 *
 * A path says little: a container may have ended long ago, and another one may have the same linux.cgroupsPath, or systemd unit, by
 * now; or the creator was killed between storing its intent and finding that the path was taken. The kernel gives each directory of
 * a hierarchy a number of its own that it does not use again. It is stored before the first process gets into the cgroup; so what
 * has another number is not ours, and what has no number stored holds nothing of ours.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "cgroups/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

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
	auto_fd int fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, "cgroup %s", d->path);
	if (cg_pids_below(&members, d->path, e) < 0)
		return -e->code;
	/* Those of other pid namespaces are not listed. */
	*out = members.n || cg_flat_key(fd, "cgroup.events", "populated") == 1;
	return 0;
}
