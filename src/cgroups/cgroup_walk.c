/* Going through cgroup directories and their members.
 *
 * Who has write access inside a container may nest cgroups deeper than a path or a table of descriptors can be. So the walk holds
 * one descriptor, goes down by name and up by "..", which is safe because cgroup directories never move to another parent.
 */
#include "base/cleanup.h"
#include "base/retry.h"
#include "base/str.h"
#include "cgroups/cgroup_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* A directory on the way: its subdirectories as listed on arrival, and how far we are. */
struct level {
	struct level *up;
	const char *name; /* in the one above */
	const char **subs;
	size_t n, room, i;
};

static int open_dir(int at, const char *name)
{
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static void add_sub(struct level *l, const char *name, struct arena *a)
{
	if (l->n == l->room) {
		size_t room = l->room ? 2 * l->room : 16;
		const char **v = arena_alloc(a, room * sizeof(*v));

		if (l->n)
			memcpy(v, l->subs, l->n * sizeof(*v));
		l->subs = v;
		l->room = room;
	}
	l->subs[l->n++] = arena_strdup(a, name);
}

/* A cgroup that is removed while it is listed has no subdirectories. */
static int list_subs(int dir_fd, struct level *l, struct arena *a, struct err *e)
{
	auto_fd int copy = open_dir(dir_fd, ".");

	if (copy < 0)
		return errno == ENOENT ? 0 : err_errno(e, "listing a cgroup");
	DIR *stream = fdopendir(copy);

	if (!stream)
		return err_errno(e, "listing a cgroup");
	(void)take_fd(&copy);
	for (struct dirent *d = readdir(stream); d; d = readdir(stream))
		if (d->d_type == DT_DIR && !str_eq(d->d_name, ".") && !str_eq(d->d_name, ".."))
			add_sub(l, d->d_name, a);
	(void)closedir(stream);
	return 0;
}

/* Goes into the next subdirectory, or passes it over when it is gone. */
static int descend(int *dir, struct level **at, const struct cg_visitor *v, struct arena *a, struct err *e)
{
	const char *name = (*at)->subs[(*at)->i];
	auto_fd int child = open_dir(*dir, name);

	if (child < 0 && errno != ENOENT)
		return err_errno(e, "cgroup %s", name);
	if (child < 0) {
		(*at)->i++;
		return 0;
	}
	struct level *below = arena_new(a, struct level);

	*below = (struct level){ .up = *at, .name = name };
	if (v->enter(v->ctx, child, e) < 0 || list_subs(child, below, a, e) < 0)
		return -e->code;
	close_fd(dir);
	*dir = take_fd(&child);
	*at = below;
	return 0;
}

static int ascend(int *dir, struct level **at, const struct cg_visitor *v, struct err *e)
{
	auto_fd int parent = open_dir(*dir, "..");

	if (parent < 0)
		return err_errno(e, "leaving cgroup %s", (*at)->name);
	if (v->leave && v->leave(v->ctx, parent, (*at)->name, e) < 0)
		return -e->code;
	close_fd(dir);
	*dir = take_fd(&parent);
	*at = (*at)->up;
	(*at)->i++;
	return 0;
}

int cg_walk(const char *top, const struct cg_visitor *v, struct err *e)
{
	auto_arena struct arena a = { 0 };
	auto_fd int dir = openat(AT_FDCWD, top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct level first = { 0 }, *at = &first;

	if (dir < 0)
		return errno == ENOENT ? 0 : err_errno(e, "cgroup %s", top);
	if (v->enter(v->ctx, dir, e) < 0 || list_subs(dir, at, &a, e) < 0)
		return err_in(e, "%s", top);
	while (at->i < at->n || at->up) {
		int r = at->i < at->n ? descend(&dir, &at, v, &a, e) : ascend(&dir, &at, v, e);

		if (r < 0)
			return err_in(e, "%s", top);
	}
	return 0;
}

/* ---- members ---- */

static void add_pid(struct cg_pids *p, pid_t pid)
{
	if (p->n == p->room) {
		size_t room = p->room ? 2 * p->room : 64;
		pid_t *v = arena_alloc(p->arena, room * sizeof(*v));

		if (p->n)
			memcpy(v, p->v, p->n * sizeof(*v));
		p->v = v;
		p->room = room;
	}
	p->v[p->n++] = pid;
}

/* Takes the numbers from a piece of text; *pid carries one that goes on in the next piece. */
static void parse_pids(struct cg_pids *p, const char *text, size_t len, pid_t *pid)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] >= '0' && text[i] <= '9') {
			*pid = *pid * 10 + (text[i] - '0');
		} else {
			if (*pid > 0)
				add_pid(p, *pid);
			*pid = 0;
		}
	}
}

int cg_pids_read(struct cg_pids *p, int dir_fd, struct err *e)
{
	auto_fd int fd = openat(dir_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	char text[4096];
	pid_t pid = 0;
	ssize_t n = -1;

	while (fd >= 0 && (n = RETRY(read(fd, text, sizeof(text)))) > 0)
		parse_pids(p, text, (size_t)n, &pid);
	/* ENODEV: removed meanwhile. EOPNOTSUPP: a threaded cgroup, whose processes are listed above it. */
	if (n < 0 && errno != ENOENT && errno != ENODEV && errno != EOPNOTSUPP)
		return err_errno(e, "cgroup.procs");
	return 0;
}

bool cg_has_member(const char *path, pid_t pid)
{
	auto_arena struct arena a = { 0 };
	struct cg_pids members = { .arena = &a };
	auto_fd int fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err ignored;

	if (fd < 0 || cg_pids_read(&members, fd, &ignored) < 0)
		return false;
	for (size_t i = 0; i < members.n; i++)
		if (members.v[i] == pid)
			return true;
	return false;
}

static int enter_read(void *ctx, int dir_fd, struct err *e)
{
	return cg_pids_read(ctx, dir_fd, e);
}

int cg_pids_below(struct cg_pids *p, const char *top, struct err *e)
{
	return cg_walk(top, &(struct cg_visitor){ .enter = enter_read, .ctx = p }, e);
}

static int compare_pids(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

int cgroup_procs(const struct cgroup_ref *r, struct arena *a, pid_t **out, size_t *n, struct err *e)
{
	struct cg_pids p = { .arena = a };
	struct cgroup_ref own;
	size_t kept = 0;

	if (cg_own_part(r, a, &own, e) < 0)
		return -e->code;
	for (size_t i = 0; i < own.n_dirs; i++)
		if (cg_pids_below(&p, own.dirs[i].path, e) < 0)
			return -e->code;
	if (p.n)
		qsort(p.v, p.n, sizeof(*p.v), compare_pids);
	for (size_t i = 0; i < p.n; i++)
		if (!kept || p.v[kept - 1] != p.v[i])
			p.v[kept++] = p.v[i];
	*out = p.v;
	*n = kept;
	return 0;
}
