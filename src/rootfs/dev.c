/* dev.c - device nodes and the links that programs expect in /dev
 *
 * The image is not trusted: its /dev may be a link, and so may anything in it. Each node is made in a parent directory that was
 * resolved inside the root and is held by a descriptor; the node itself is looked at without following links. What the image has
 * already is kept for the defaults, and must be the very device for what the config lists.
 */
#include "base/cleanup.h"
#include "base/log.h"
#include "base/path.h"
#include "base/str.h"
#include "rootfs/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static bool is_device(const struct stat *st, const struct device_op *d)
{
	if ((st->st_mode & S_IFMT) != d->type)
		return false;
	return d->type == S_IFIFO || st->st_rdev == makedev(d->major, d->minor);
}

/* Opens what is at dir/name and tells whether it is the device. Returns a descriptor (O_PATH), -ENOENT when there is nothing. */
static int open_node(int dir, const char *name, const struct device_op *d, bool *same, struct err *e)
{
	auto_fd int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "%s", d->path);
	*same = is_device(&st, d);
	return take_fd(&fd);
}

static int make_node(int dir, const char *name, const struct device_op *d, struct err *e)
{
	bool same;

	if (mknodat(dir, name, d->type | d->mode, makedev(d->major, d->minor)) < 0)
		return err_errno(e, "cannot make the device");
	if (!d->uid && !d->gid)
		return 0;
	auto_fd int fd = open_node(dir, name, d, &same, e);

	if (fd < 0)
		return fd;
	if (!same)
		return err_set(e, EEXIST, "%s was replaced while it was made", d->path);
	if (fchownat(fd, "", d->uid, d->gid, AT_EMPTY_PATH) < 0)
		return err_errno(e, "cannot change the owner");
	return 0;
}

/* Puts the host's node on an empty file. */
static int bind_node(int root, int dir, const char *name, int clone, struct err *e)
{
	auto_fd int made = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	auto_fd int target = made < 0 ? -1 : openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (target < 0)
		return err_errno(e, "cannot make the mount point");
	if (proc_check_target(root, target, clone, e) < 0)
		return -e->code;
	return tree_attach(clone, target, e);
}

static int apply_one(const struct rootfs_plan *p, struct rootfs_sources *s, size_t i, int root, struct err *e)
{
	auto_arena struct arena a = { 0 };
	const struct device_op *d = &p->devices[i];
	auto_fd int clone = take_fd(&s->devices[i]);
	const char *name;
	bool same;

	if (p->user_ns && d->type != S_IFIFO && clone < 0)
		return 0; /* a default that the host lacks too: rootfs_open_sources() has said so */
	auto_fd int dir = path_parent_in(root, d->path, 0755, &a, &name, e);

	if (dir < 0)
		return dir;
	auto_fd int there = open_node(dir, name, d, &same, e);

	if (there >= 0)
		return same || d->is_default ? 0 : err_set(e, EEXIST, "there is something else at that path");
	if (there != -ENOENT)
		return there;
	return clone >= 0 ? bind_node(root, dir, name, clone, e) : make_node(dir, name, d, e);
}

static const struct {
	const char *target, *path;
} links[] = {
	{ "/proc/self/fd", "/dev/fd" },       { "/proc/self/fd/0", "/dev/stdin" }, { "/proc/self/fd/1", "/dev/stdout" },
	{ "/proc/self/fd/2", "/dev/stderr" }, { "pts/ptmx", "/dev/ptmx" },
};

/* /dev/core is for those who have a /proc/kcore. */
static bool has_kcore(int root)
{
	struct err ignored;
	auto_fd int fd = path_open_in(root, "/proc/kcore", O_PATH | O_NOFOLLOW, &ignored);

	return fd >= 0;
}

static int link_one(int root, const char *target, const char *path, struct err *e)
{
	auto_arena struct arena a = { 0 };
	const char *name;
	auto_fd int dir = path_parent_in(root, path, 0755, &a, &name, e);

	if (dir < 0)
		return dir;
	if (symlinkat(target, dir, name) < 0 && errno != EEXIST)
		return err_errno(e, "%s", path);
	return 0;
}

/* An image on a read-only file system that has no mount on /dev has what it has. */
static int forgive_read_only(int r, const struct err *e)
{
	if (r != -EROFS)
		return r;
	log_debug("%s", e->text);
	return 0;
}

int dev_apply(const struct rootfs_plan *p, struct rootfs_sources *s, int root, struct err *e)
{
	if (!p->setup_dev)
		return 0;
	for (size_t i = 0; i < p->n_devices; i++) {
		int r = apply_one(p, s, i, root, e);

		if (p->devices[i].is_default)
			r = forgive_read_only(r, e);
		if (r < 0)
			return err_in(e, "%s", p->devices[i].where);
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (forgive_read_only(link_one(root, links[i].target, links[i].path, e), e) < 0)
			return -e->code;
	if (has_kcore(root) && forgive_read_only(link_one(root, "/proc/kcore", "/dev/core", e), e) < 0)
		return -e->code;
	return 0;
}
