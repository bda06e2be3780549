/* Getting processes into a cgroup.
 *
 * cgroup2, also that of a hybrid: CLONE_INTO_CGROUP costs nothing, so cgroup_open() exists. v1 has no such thing: the pid is
 * written to a file of every hierarchy. Whoever writes to cgroup.procs waits until no process of the machine is just forking or
 * ending (milliseconds); a process with one thread that writes itself ("0") to "tasks" does not, hence cgroup_joins_itself().
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/retry.h"
#include "base/str.h"
#include "cgroups/cgroup_systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

static bool bears(const struct cgroup_ref *r)
{
	/* Who is not root may not move processes from one part of the tree to another; systemd may. */
	return r->n_dirs && r->dirs[0].v2 && !(r->scope && cg_unit_is_users(r));
}

static bool is_cgroup2(int fd)
{
	struct statfs st;

	return fstatfs(fd, &st) == 0 && st.f_type == CGROUP2_SUPER_MAGIC;
}

int cgroup_birth(const struct cgroup_plan *p, int dir_fd)
{
	if (p->no_birth || !bears(&p->ref))
		return -1;
	/* Where that of cgroup2 was left out, the first is one of v1. */
	return p->ref.optional && p->ref.n_dirs > 1 && !is_cgroup2(dir_fd) ? -1 : dir_fd;
}

bool cgroup_joins_itself(const struct cgroup_ref *r)
{
	return r->mode == CGROUP_MODE_V1 || r->mode == CGROUP_MODE_HYBRID;
}

int cgroup_open(const struct cgroup_ref *r, struct err *e)
{
	if (!bears(r))
		return err_set(e, ENOENT, "there is no cgroup to start a process in");
	int fd = openat(AT_FDCWD, r->dirs[0].path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_errno(e, "cgroup %s", r->dirs[0].path) : fd;
}

int cgroup_open_of(const struct cgroup_ref *r, int proc_dir, struct err *e)
{
	auto_arena struct arena a = { 0 };
	size_t len = strlen(r->path);
	char *text;

	if (file_read_pseudo(proc_dir, "cgroup", 65535, &a, &text, e) < 0)
		return -e->code;
	char *line = str_starts(text, "0::") ? text : strstr(text, "\n0::");

	if (!line || !r->n_dirs)
		return err_set(e, ENOENT, "the container's process has no cgroup");
	char *path = strchr(line, '/');

	path[strcspn(path, "\n")] = '\0';
	if (strncmp(path, r->path, len) != 0 || path[len] != '/' || strstr(path, "/.."))
		return err_set(e, ENOENT, "the container's process is in cgroup %.200s, outside the container's", path);
	int fd = openat(AT_FDCWD, arena_printf(&a, "%s%s", r->dirs[0].mount, path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_errno(e, "cgroup %.200s", path) : fd;
}

static int explain_join(const char *path, const char *file, int code, struct err *e)
{
	const char *hint = "";

	if (code == EBUSY)
		hint = " (it has cgroups below it with controllers enabled, so it may not have processes)";
	else if (code == EOPNOTSUPP)
		hint = " (it is, or is below, a threaded cgroup)";
	else if (code == ENOSPC)
		hint = " (its cpuset has no CPUs or no memory nodes)";
	errno = code;
	return err_errno(e, "joining cgroup %s: %s%s", path, file, hint);
}

static int join_dir(const struct cgroup_dir *d, const char *path, pid_t pid, struct err *e)
{
	auto_arena struct arena a = { 0 };
	const char *name = pid == 0 && !d->v2 ? "tasks" : "cgroup.procs";
	auto_fd int fd = openat(AT_FDCWD, cg_file(&a, path, name), O_WRONLY | O_CLOEXEC);
	const char *text = arena_printf(&a, "%d", (int)pid);

	if (fd < 0 || RETRY(write(fd, text, strlen(text))) < 0)
		return explain_join(path, name, errno, e);
	return 0;
}

static bool may_be_without(const struct cgroup_ref *r, int code)
{
	return r->optional && (code == ENOENT || code == EACCES || code == EPERM || code == EROFS);
}

static int join_own(const struct cgroup_ref *r, pid_t pid, bool born, struct err *e)
{
	if (!born && r->mode == CGROUP_MODE_V2 && r->n_dirs && cg_has_member(r->dirs[0].path, pid ? pid : getpid()))
		return 0;
	for (size_t i = 0; i < r->n_dirs; i++) {
		if (born && r->dirs[i].v2)
			continue;
		if (join_dir(&r->dirs[i], r->dirs[i].path, pid, e) < 0 && !may_be_without(r, e->code))
			return -e->code;
	}
	return 0;
}

/* "cpu,memory:in/here": where the path begins; a colon behind a slash is part of the path. *controllers: what is before it, or
 * NULL. */
static const char *split_sub(struct arena *a, const char *sub, const char **controllers)
{
	size_t colon = strcspn(sub, ":/");

	*controllers = sub[colon] == ':' ? arena_strndup(a, sub, colon) : NULL;
	return path_clean(a, *controllers ? sub + colon + 1 : sub);
}

static const char *path_below(struct arena *a, const struct cgroup_dir *d, const char *below)
{
	return arena_printf(a, "%s%s%s", d->path, *below == '/' ? "" : "/", below);
}

/* A path without controllers is for every hierarchy that has it. */
static int choose_anywhere(const struct cgroup_ref *r, const char *sub, const char *below, struct arena *a, const char **paths,
			   struct err *e)
{
	bool found = false;

	for (size_t i = 0; i < r->n_dirs; i++) {
		const char *path = path_below(a, &r->dirs[i], below);

		if (access(path, F_OK) < 0)
			continue;
		paths[i] = path;
		found = true;
	}
	return found ? 0 : err_set(e, ENOENT, "the container has no cgroup \"%.200s\"", sub);
}

/* One with controllers is for theirs, and each must be one that the container has. */
static int choose_named(const struct cgroup_ref *r, const char *controllers, const char *below, struct arena *a, const char **paths,
			struct err *e)
{
	for (const char *p = controllers;;) {
		size_t len = strcspn(p, ","), i = 0;
		const char *name = arena_strndup(a, p, len);

		while (i < r->n_dirs && (r->dirs[i].v2 || !cg_list_has(r->dirs[i].controllers, name)))
			i++;
		if (i == r->n_dirs)
			return err_set(e, EINVAL, "the container has no cgroup v1 hierarchy of controller \"%.80s\"", name);
		paths[i] = path_below(a, &r->dirs[i], below);
		if (access(paths[i], F_OK) < 0)
			return err_errno(e, "cgroup \"%.200s\" of controller %.80s", below, name);
		if (!p[len])
			return 0;
		p += len + 1;
	}
}

/* A hierarchy that nothing is said of gets the process into the container's cgroup itself. */
static int join_subs(const struct cgroup_ref *r, const char *const *subs, pid_t pid, struct err *e)
{
	auto_arena struct arena a = { 0 };
	const char **paths = arena_alloc(&a, (r->n_dirs + 1) * sizeof(*paths)), *controllers;

	for (size_t i = 0; i < r->n_dirs; i++)
		paths[i] = r->dirs[i].path;
	for (; *subs; subs++) {
		const char *below = split_sub(&a, *subs, &controllers);

		if ((controllers ? choose_named(r, controllers, below, &a, paths, e)
				 : choose_anywhere(r, *subs, below, &a, paths, e)) < 0)
			return -e->code;
	}
	for (size_t i = 0; i < r->n_dirs; i++)
		if (join_dir(&r->dirs[i], paths[i], pid, e) < 0 && !may_be_without(r, e->code))
			return -e->code;
	return 0;
}

static bool has_dotdot(const char *path)
{
	for (; *path; path += strcspn(path, "/"), path += *path == '/')
		if (strncmp(path, "..", 2) == 0 && (path[2] == '/' || !path[2]))
			return true;
	return false;
}

static int check_subs(const char *const *subs, struct err *e)
{
	for (; *subs; subs++)
		if (has_dotdot(*subs) || has_dotdot(*subs + strcspn(*subs, ":") + ((*subs)[strcspn(*subs, ":")] == ':')))
			return err_set(e, EINVAL, "cgroup \"%.200s\" must be below the container's own", *subs);
	return 0;
}

int cgroup_join(const struct cgroup_ref *r, const char *const *subs, pid_t pid, bool born, struct err *e)
{
	auto_arena struct arena a = { 0 };
	bool own = !subs || !*subs;
	const char *controllers;

	if (!own && check_subs(subs, e) < 0)
		return -e->code;
	int res = own ? join_own(r, pid, born, e) : join_subs(r, subs, pid, e);

	/* On cgroup2, where there is one path. */
	if ((res == -EACCES || res == -EPERM) && r->scope && cg_unit_is_users(r))
		return cg_unit_attach(r, own ? NULL : split_sub(&a, subs[0], &controllers), pid, e);
	return res;
}
