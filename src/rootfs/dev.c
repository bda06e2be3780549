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

/* Of nodes the kernel refuses to make, it does not say who forbids them. */
static int not_made(struct err *e)
{
	if (errno != EPERM)
		return err_errno(e, "cannot make the device");
	return err_set(e, EPERM, "cannot make the device: linux.resources.devices denies it (m), or CAP_MKNOD is missing");
}

static int make_node(int dir, const char *name, const struct device_op *d, struct err *e)
{
	bool same = false;

	if (mknodat(dir, name, d->type | d->mode, makedev(d->major, d->minor)) < 0)
		return not_made(e);
	if (!d->uid && !d->gid)
		return 0;
	auto_fd int fd = open_node(dir, name, d, &same, e);

	if (fd < 0)
		return fd;
	if (!same)
		return err_set(e, EBUSY, "%s was replaced while it was made", d->path);
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

/* The directory that the last node was made in: mostly the next one comes into the same. */
struct parent {
	int root, fd; /* fd: owned */
	char path[256];
};

/* Opens the directory of path, made when missing, into *p; *name is the rest. */
static int enter_parent(struct parent *p, const char *path, const char **name, struct err *e)
{
	auto_arena struct arena a = { 0 };
	const char *slash = strrchr(path, '/'), *last;
	size_t len = slash ? (size_t)(slash - path) : 0;

	if (p->fd >= 0 && len && len < sizeof(p->path) && strncmp(p->path, path, len) == 0 && !p->path[len] && slash[1]) {
		*name = slash + 1;
		return 0;
	}
	close_fd(&p->fd);
	p->fd = path_parent_in(p->root, path, 0755, &a, &last, e);
	if (p->fd < 0)
		return p->fd;
	*name = path + strlen(path) - strlen(last);
	memset(p->path, 0, sizeof(p->path));
	if (len < sizeof(p->path))
		memcpy(p->path, path, len);
	return 0;
}

static int check_node(int dir, const char *name, const struct device_op *d, struct err *e)
{
	bool same = false;
	auto_fd int there = open_node(dir, name, d, &same, e);

	if (there < 0)
		return there;
	return same || d->is_default ? 0 : err_set(e, EEXIST, "there is something else at that path");
}

static int apply_one(const struct rootfs_plan *p, struct rootfs_sources *s, size_t i, struct parent *parent, struct err *e)
{
	const struct device_op *d = &p->devices[i];
	auto_fd int clone = take_fd(&s->devices[i]);
	const char *name;

	if (p->user_ns && d->type != S_IFIFO && clone < 0)
		return 0; /* a default that the host lacks too: rootfs_open_sources() has said so */
	int r = enter_parent(parent, d->path, &name, e);

	if (r < 0)
		return r;
	r = clone >= 0 ? bind_node(parent->root, parent->fd, name, clone, e) : make_node(parent->fd, name, d, e);
	return r == -EEXIST ? check_node(parent->fd, name, d, e) : r;
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
	auto_fd int fd = path_find_in(root, "/proc/kcore", O_PATH | O_NOFOLLOW);

	return fd >= 0;
}

static int link_one(struct parent *parent, const char *target, const char *path, struct err *e)
{
	const char *name;
	int r = enter_parent(parent, path, &name, e);

	if (r == 0 && symlinkat(target, parent->fd, name) < 0 && errno != EEXIST)
		return err_errno(e, "%s", path);
	return r;
}

/* An image on a read-only file system that has no mount on /dev has what it has. */
static int forgive_read_only(int r, const struct err *e)
{
	if (r != -EROFS)
		return r;
	log_debug("%s", e->text);
	return 0;
}

static int apply_all(const struct rootfs_plan *p, struct rootfs_sources *s, struct parent *parent, struct err *e)
{
	for (size_t i = 0; i < p->n_devices; i++) {
		int r = apply_one(p, s, i, parent, e);

		if (p->devices[i].is_default)
			r = forgive_read_only(r, e);
		if (r < 0)
			return err_in(e, "%s", p->devices[i].where);
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (forgive_read_only(link_one(parent, links[i].target, links[i].path, e), e) < 0)
			return -e->code;
	if (has_kcore(parent->root) && forgive_read_only(link_one(parent, "/proc/kcore", "/dev/core", e), e) < 0)
		return -e->code;
	return 0;
}

int dev_apply(const struct rootfs_plan *p, struct rootfs_sources *s, int root, struct err *e)
{
	struct parent parent = { .root = root, .fd = -1 };
	int r = p->setup_dev ? apply_all(p, s, &parent, e) : 0;

	close_fd(&parent.fd);
	return r;
}
