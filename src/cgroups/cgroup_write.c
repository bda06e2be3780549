/* Writes limits in the order of the plan.
 *
 * The kernel checks some values against each other at each write (quota and burst, memory and memory+swap), so whether one or the
 * other has to come first depends on what is there already. Rather than look, a refused one is repeated after its successor.
 * The descriptor of the last file is kept, because devices.allow gets a dozen lines in a row.
 */
#include "base/cleanup.h"
#include "base/log.h"
#include "base/retry.h"
#include "base/str.h"
#include "cgroups/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#ifndef ENOTSUPP
#define ENOTSUPP 524 /* of the kernel's own, seen for memory.kmem.limit_in_bytes */
#endif

struct writer {
	const struct cgroup_plan *plan;
	const bool *skip;
	struct arena *arena;
	const struct cgroup_dir *dir; /* of fd */
	const char *file;
	int fd;
};

const char *cg_file(struct arena *a, const char *dir, const char *file)
{
	return arena_printf(a, "%s/%s", dir, file);
}

/* Opens a file for writing, or leaves it open. A cpuset hierarchy mounted the old way has its files without "cpuset.". */
static int open_file(struct writer *w, const struct cgroup_dir *dir, const char *file)
{
	if (w->fd >= 0 && w->dir == dir && str_eq(w->file, file))
		return 0;
	close_fd(&w->fd);
	w->dir = dir;
	w->file = file;
	w->fd = openat(AT_FDCWD, cg_file(w->arena, dir->path, file), O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (w->fd < 0 && errno == ENOENT && !dir->v2 && str_starts(file, "cpuset."))
		w->fd = openat(AT_FDCWD, cg_file(w->arena, dir->path, strchr(file, '.') + 1), O_WRONLY | O_CLOEXEC | O_NOCTTY);
	return w->fd < 0 ? -1 : 0;
}

static int put_text(struct writer *w, const struct cgroup_dir *dir, const char *file, const char *text)
{
	if (open_file(w, dir, file) < 0)
		return -1;
	return RETRY(write(w->fd, text, strlen(text))) < 0 ? -1 : 0;
}

static int describe(const struct cgroup_write *w, int code, struct err *e)
{
	const char *hint = "";

	if (code == EBUSY && str_starts(w->file, "memory."))
		hint = " (more is in use already)";
	if (code == ENOENT && str_starts(w->file, "hugetlb."))
		hint = " (the kernel has no pages of this size)";
	if (code == EINVAL && str_starts(w->file, "cpu.rt_"))
		hint = " (the parent cgroup must have real-time runtime to share)";
	errno = code;
	return err_errno(e, "%s: writing \"%.100s\" to %.250s/%.100s%s", w->where, w->text, w->dir->path, w->file, hint);
}

/* checkBeforeUpdate: lowering the limit below what is in use would get something killed. */
static int check_usage(struct writer *w, const struct cgroup_write *cw, struct err *e)
{
	auto_fd int fd = openat(AT_FDCWD, cg_file(w->arena, cw->dir->path, "memory.current"), O_RDONLY | O_CLOEXEC);
	char text[32];
	uint64_t used, limit;
	ssize_t n = fd < 0 ? -1 : RETRY(read(fd, text, sizeof(text) - 1));

	if (n < 0)
		return err_errno(e, "%s: %s/memory.current", cw->where, cw->dir->path);
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (parse_u64(cw->text, &limit, e) < 0) /* "max" */
		return 0;
	if (parse_u64(text, &used, e) < 0)
		return err_in(e, "%s: %s/memory.current", cw->where, cw->dir->path);
	return used > limit ? describe(cw, EBUSY, e) : 0;
}

static bool is_absent(int code)
{
	return code == ENOENT || code == EOPNOTSUPP || code == ENOTSUPP;
}

static int write_one(struct writer *w, const struct cgroup_write *cw, struct err *e)
{
	if (cw->check_usage && check_usage(w, cw, e) < 0)
		return -e->code;
	if (put_text(w, cw->dir, cw->file, cw->text) == 0)
		return 0;
	if (is_absent(errno) && cw->alt_file && put_text(w, cw->dir, cw->alt_file, cw->alt_text) == 0)
		return 0;
	if (cw->may_be_missing && is_absent(errno))
		return 0;
	if (cw->may_be_refused && (errno == EPERM || errno == EACCES)) {
		log_debug("%s: \"%s\" to %s: %s", cw->where, cw->text, cw->file, strerror(errno));
		return 0;
	}
	return describe(cw, errno, e);
}

/* Writes number i, possibly after those that have to come first. Returns how many are done with it. */
static int write_from(struct writer *w, size_t i, struct err *e)
{
	const struct cgroup_write *cw = &w->plan->writes[i];
	struct err later;

	if (write_one(w, cw, e) == 0)
		return 1;
	if (e->code != EINVAL || !cw->next_first || i + 1 == w->plan->n_writes || cw[1].dir != cw->dir)
		return -e->code;
	int n = write_from(w, i + 1, &later); /* as deep as the longest chain of such: period, quota, burst */

	if (n < 0)
		return -e->code;
	return write_one(w, cw, e) < 0 ? -e->code : n + 1;
}

int cgroup_guard(const struct cgroup_plan *p, struct err *e)
{
	for (size_t i = 0; p->device_prog && i < p->ref.n_dirs; i++) {
		const struct cgroup_dir *d = &p->ref.dirs[i];

		if (!d->v2)
			continue;
		auto_fd int fd = openat(AT_FDCWD, d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT && p->ref.optional)
			continue;
		if (fd < 0)
			return err_errno(e, "%s", d->path);
		if (cg_device_attach(fd, p->device_prog, p->device_prog_len, e) == 0)
			continue;
		if (!p->devices_may_be_refused)
			return err_in(e, "linux.resources.devices: %s", d->path);
		log_debug("linux.resources.devices: %s: %s", d->path, e->text);
	}
	return 0;
}

int cg_write_all(const struct cgroup_plan *p, const bool *skip, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct writer w = { .plan = p, .skip = skip, .arena = &a, .fd = -1 };
	int n, r = 0;

	for (size_t i = 0; r == 0 && i < p->n_writes; i += (size_t)n) {
		n = 1;
		if (skip[p->writes[i].dir - p->ref.dirs])
			continue;
		n = write_from(&w, i, e);
		if (n < 0)
			r = n;
	}
	close_fd(&w.fd);
	return r;
}
