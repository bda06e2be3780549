/* sources.c - what is taken from the host, opened by the runtime
 *
 * Every bind source, and the rootfs, is cloned into a detached mount in the host's mount namespace while the container does not
 * exist yet: with the runtime's own rights, so that directories which the container's root may not read can still be bound, and
 * so that a missing source leaves nothing to clean up. Attributes, id mappings and propagation are set on the clone. init inherits
 * the descriptors and only attaches them.
 *
 * Propagation: a clone belongs to the peer group of the mount it comes from. Unless the container asked for shared mounts by
 * rootfsPropagation too, it is taken out of it at once: made private, or, when it has propagation words, first a slave, so that
 * nothing the container mounts can appear on the host.
 */
#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "rootfs/internal.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static int clone_path(const char *path, bool recursive, bool nofollow, struct err *e)
{
	unsigned flags = SYS_OPEN_TREE_CLONE | O_CLOEXEC;

	flags |= (recursive ? SYS_AT_RECURSIVE : 0) | (nofollow ? AT_SYMLINK_NOFOLLOW : 0);
	int fd = sys_open_tree(AT_FDCWD, path, flags);

	if (fd < 0 && errno == EPERM)
		return err_set(
			e, EPERM,
			"%s: mounting takes CAP_SYS_ADMIN: be root, or give the container a user namespace (drupe spec --rootless)",
			path);
	if (fd < 0 && errno == EINVAL)
		return err_set(e, EINVAL, "%s: the mount is unbindable, or has mounts below it that must not be revealed", path);
	return fd < 0 ? tree_errno(e, "%s", path) : fd;
}

/* May the clone stay a peer of the host's mount? Only when both the mount and the root say shared, and never from a user namespace,
 * whose root is not the host's. */
static bool stays_peer(const struct rootfs_plan *p, const struct mount_op *op)
{
	if (p->user_ns || !(p->propagation & MS_SHARED) || !op->n_propagation)
		return false;
	return op->propagation[0] == (MS_SHARED | MS_REC) || (op->propagation[0] == MS_SHARED && !op->recursive);
}

static int set_propagation(const struct rootfs_plan *p, const struct mount_op *op, int fd, struct err *e)
{
	if (!op->n_propagation)
		return tree_set_propagation(fd, MS_PRIVATE | MS_REC, e);
	/* What becomes private anyway need not be a slave first. */
	bool private = op->n_propagation == 1 && op->propagation[0] == (MS_PRIVATE | MS_REC);

	if (!private && !stays_peer(p, op) && tree_set_propagation(fd, MS_SLAVE | MS_REC, e) < 0)
		return -e->code;
	for (size_t i = 0; i < op->n_propagation; i++)
		if (tree_set_propagation(fd, op->propagation[i], e) < 0)
			return -e->code;
	return 0;
}

/* The user namespace that maps the ids of this mount. */
static int open_userns(const struct rootfs_plan *p, const struct rootfs_userns *u, const struct mount_op *op, struct err *e)
{
	if (op->uid_map.n)
		return u->make(&op->uid_map, &op->gid_map, e);
	if (u->fd < 0)
		return u->make(&p->uid_map, &p->gid_map, e);
	int fd = fcntl(u->fd, F_DUPFD_CLOEXEC, 3);

	return fd < 0 ? err_errno(e, "user namespace") : fd;
}

/* Only a procfs may be /proc. */
static int check_source(const struct mount_op *op, int fd, struct err *e)
{
	struct stat st;

	if (!str_eq(op->dest, "/proc"))
		return 0;
	if (tree_magic(fd) != SYS_PROC_SUPER_MAGIC || fstat(fd, &st) < 0 || st.st_ino != 1)
		return err_set(e, EINVAL, "only a procfs may be mounted on /proc, and %s is none", op->source);
	return 0;
}

static int open_bind(const struct rootfs_plan *p, const struct rootfs_userns *u, const struct mount_op *op, struct err *e)
{
	auto_fd int fd = clone_path(op->source, op->recursive, op->src_nofollow, e);

	if (fd < 0)
		return fd;
	if (check_source(op, fd, e) < 0)
		return -e->code;
	if (op->idmap) {
		auto_fd int userns = open_userns(p, u, op, e);

		if (userns < 0 || tree_set_idmap(fd, userns, op->idmap_recursive, e) < 0)
			return -e->code;
	}
	if (tree_apply_attrs(fd, op, e) < 0 || set_propagation(p, op, fd, e) < 0)
		return -e->code;
	return take_fd(&fd);
}

/* copy-symlink: a source that is a link is not mounted but made anew. */
static int read_link(const struct mount_op *op, struct arena *a, const char **out, struct err *e)
{
	char target[4097];
	ssize_t n = readlink(op->source, target, sizeof(target) - 1);

	*out = NULL;
	if (n < 0 && errno == EINVAL)
		return 0;
	if (n < 0)
		return err_errno(e, "%s", op->source);
	*out = arena_strndup(a, target, (size_t)n);
	return 0;
}

/* The host's node for a device that cannot be made here; it must be the one that was asked for. */
static int open_device(const struct device_op *d, unsigned attrs, struct err *e)
{
	auto_fd int fd = clone_path(d->path, false, false, e);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_errno(e, "%s", d->path);
	if ((st.st_mode & S_IFMT) != d->type || st.st_rdev != makedev(d->major, d->minor))
		return err_set(e, EINVAL, "the host's %s is not the device %u:%u", d->path, d->major, d->minor);
	if (tree_seclude(fd, SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NOEXEC | attrs, e) < 0)
		return -e->code;
	return take_fd(&fd);
}

/* Read-only: reading and writing a device are not the mount's business, but its mode and owner are, and this inode is the host's.
 */
static int open_null(struct err *e)
{
	static const struct device_op null = { .path = "/dev/null", .type = S_IFCHR, .major = 1, .minor = 3 };

	return open_device(&null, SYS_MOUNT_ATTR_RDONLY, e);
}

static int open_sysfs(struct err *e)
{
	auto_fd int fd = clone_path("/sys", true, true, e);

	if (fd < 0 || tree_set_propagation(fd, MS_PRIVATE | MS_REC, e) < 0 ||
	    tree_set_attr(fd, SYS_MOUNT_ATTR_RDONLY, 0, true, e) < 0)
		return -e->code;
	return take_fd(&fd);
}

static int open_root(const struct rootfs_plan *p, struct err *e)
{
	unsigned long propagation = (p->propagation & MS_SLAVE ? MS_SLAVE : MS_PRIVATE) | MS_REC;
	auto_fd int fd =
		p->new_mount_ns ? clone_path(p->root, true, false, e) : openat(AT_FDCWD, p->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return p->new_mount_ns ? fd : err_errno(e, "%s", p->root);
	if (fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "%s: not a directory", p->root);
	if (!p->new_mount_ns)
		return take_fd(&fd);
	if (tree_set_propagation(fd, propagation, e) < 0)
		return -e->code;
	return take_fd(&fd);
}

int open_mount(const struct rootfs_plan *p, const struct rootfs_userns *u, size_t i, struct arena *a, struct rootfs_sources *s,
	       struct err *e)
{
	const struct mount_op *op = &p->mounts[i];

	if (op->remount)
		return 0;
	if (op->kind == MOUNT_FS && op->idmap)
		return s->userns[i] = open_userns(p, u, op, e);
	if (op->kind == MOUNT_FS && str_eq(op->fstype, "sysfs") && p->user_ns && !p->net_ns && s->sysfs < 0)
		return s->sysfs = open_sysfs(e);
	if (op->kind != MOUNT_BIND)
		return 0;
	if (op->copy_symlink && read_link(op, a, &s->links[i], e) < 0)
		return -e->code;
	if (!s->links[i])
		s->mounts[i] = open_bind(p, u, op, e);
	return s->mounts[i] < 0 && !s->links[i] ? -e->code : 0;
}

static bool mounts_cgroup_v1(const struct rootfs_plan *p)
{
	for (size_t i = 0; i < p->n_mounts; i++)
		if (p->mounts[i].kind == MOUNT_CGROUP_V1)
			return true;
	return false;
}

static int open_cgroups(const struct rootfs_plan *p, struct rootfs_sources *s, struct err *e)
{
	for (size_t i = 0; i < p->cgroup.n && mounts_cgroup_v1(p); i++) {
		s->cgroups[i] = clone_path(p->cgroup.v[i].path, false, true, e);
		if (s->cgroups[i] < 0 || tree_set_propagation(s->cgroups[i], MS_PRIVATE, e) < 0)
			return err_in(e, "cgroup");
	}
	return 0;
}

static int open_devices(const struct rootfs_plan *p, struct rootfs_sources *s, struct err *e)
{
	for (size_t i = 0; i < p->n_devices && p->user_ns; i++) {
		const struct device_op *d = &p->devices[i];

		if (d->type == S_IFIFO)
			continue;
		s->devices[i] = open_device(d, 0, e);
		if (s->devices[i] < 0 && !d->is_default)
			return err_in(e, "%s", d->where);
		if (s->devices[i] < 0)
			log_warn("no default device: %s", e->text);
	}
	return 0;
}

static int open_all(const struct rootfs_plan *p, const struct rootfs_userns *u, struct arena *a, struct rootfs_sources *s,
		    struct err *e)
{
	s->root = open_root(p, e);
	if (s->root < 0)
		return err_in(e, "root.path");
	for (size_t i = 0; i < p->n_mounts; i++)
		if (open_mount(p, u, i, a, s, e) < 0)
			return mount_err_in(&p->mounts[i], e);
	if (open_cgroups(p, s, e) < 0 || open_devices(p, s, e) < 0)
		return -e->code;
	if (p->n_masked) {
		s->null = open_null(e);
		if (s->null < 0)
			return err_in(e, "linux.maskedPaths");
	}
	return 0;
}

static int *no_fds(struct arena *a, size_t n)
{
	int *v = arena_alloc(a, (n + 1) * sizeof(*v));

	for (size_t i = 0; i < n; i++)
		v[i] = -1;
	return v;
}

void sources_init(const struct rootfs_plan *p, struct arena *a, struct rootfs_sources *s)
{
	*s = (struct rootfs_sources){
		.root = -1,
		.sysfs = -1,
		.procfs = -1,
		.null = -1,
		.mounts = no_fds(a, p->n_mounts),
		.userns = no_fds(a, p->n_mounts),
		.links = arena_alloc(a, (p->n_mounts + 1) * sizeof(*s->links)),
		.cgroups = no_fds(a, p->cgroup.n),
		.devices = no_fds(a, p->n_devices),
	};
}

int rootfs_open_sources(const struct rootfs_plan *p, const struct rootfs_userns *u, struct arena *a, struct rootfs_sources *out,
			struct err *e)
{
	struct rootfs_sources s;

	sources_init(p, a, &s);
	if (open_all(p, u, a, &s, e) < 0) {
		rootfs_close_sources(p, &s);
		return -e->code;
	}
	*out = s;
	return 0;
}

void rootfs_close_sources(const struct rootfs_plan *p, struct rootfs_sources *s)
{
	if (!s->mounts)
		return;
	struct fd_pile *done = &s->done;

	if (!done->limit)
		done->limit = INT_MAX; /* nothing more is opened here */
	fd_pile_put(done, &s->root);
	fd_pile_put(done, &s->sysfs);
	fd_pile_put(done, &s->null);
	for (size_t i = 0; i < p->n_mounts; i++) {
		fd_pile_put(done, &s->mounts[i]);
		fd_pile_put(done, &s->userns[i]);
	}
	for (size_t i = 0; i < p->cgroup.n; i++)
		fd_pile_put(done, &s->cgroups[i]);
	for (size_t i = 0; i < p->n_devices; i++)
		fd_pile_put(done, &s->devices[i]);
	fd_pile_close(done);
}
