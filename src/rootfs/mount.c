/* mount.c - init's side: attaching the root and everything below it
 *
 * The clone of the rootfs is mounted where the rootfs is, since hooks look for the container's mounts there and add to them. Where
 * a user namespace is refused the way there, it is stacked on "/" of the new mount namespace, which takes no path. Until
 * rootfs_enter(), absolute names still lead into the host's tree; we enter the container by names resolved from the root
 * descriptor only. Targets are resolved from that descriptor once, checked, and used.
 */
#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "rootfs/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

/* What a mount is to be put on. */
struct target {
	int fd;       /* O_PATH, owned */
	bool existed; /* it was there before we came */
};

static int open_nofollow(int root, const struct mount_op *op, bool is_dir, struct target *t, struct err *e)
{
	auto_arena struct arena a = { 0 };
	const char *name;
	auto_fd int dir = path_parent_in(root, op->dest, 0755, &a, &name, e);

	if (dir < 0)
		return dir;
	t->fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	t->existed = t->fd >= 0;
	if (t->existed)
		return 0;
	if (errno != ENOENT)
		return err_errno(e, "%s", op->dest);
	if (is_dir) {
		if (mkdirat(dir, name, 0755) < 0)
			return err_errno(e, "%s", op->dest);
	} else {
		auto_fd int made = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

		if (made < 0)
			return err_errno(e, "%s", op->dest);
	}
	t->fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return t->fd < 0 ? err_errno(e, "%s", op->dest) : 0;
}

/* Opens the place to mount on, made when missing. On success t->fd is the caller's to close. */
static int open_target(int root, const struct mount_op *op, bool is_dir, struct target *t, struct err *e)
{
	*t = (struct target){ .fd = -1, .existed = true };
	if (proc_needs_plain_dir(op))
		t->fd = proc_open_plain_dir(root, op->dest, e);
	else if (op->dest_nofollow && !str_eq(op->dest, "/"))
		return open_nofollow(root, op, is_dir, t, e);
	else
		t->fd = path_open_in(root, op->dest, O_PATH, e);
	if (t->fd == -ENOENT) {
		t->existed = false;
		t->fd = is_dir ? path_mkdir_in(root, op->dest, 0755, e) : path_touch_in(root, op->dest, e);
	}
	return t->fd < 0 ? t->fd : 0;
}

/* Is fd the same place, in the same mount, as root? */
static bool is_root(int root, int fd)
{
	struct mount_id_statx a, b;

	if (syscall(SYS_statx, root, "", AT_EMPTY_PATH, STATX_INO_MNT_ID, &a) < 0 ||
	    syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_INO_MNT_ID, &b) < 0)
		return false;
	return a.mnt_id == b.mnt_id && a.ino == b.ino;
}

/* Attaches; what is mounted on the root becomes the root. */
static int attach(int *root, int mount_fd, int target_fd, struct err *e)
{
	bool on_root = is_root(*root, target_fd);

	if (proc_check_target(*root, target_fd, mount_fd, e) < 0 || tree_attach(mount_fd, target_fd, e) < 0)
		return -e->code;
	if (!on_root)
		return 0;
	int top = fcntl(mount_fd, F_DUPFD_CLOEXEC, 3);

	if (top < 0)
		return err_errno(e, "new root");
	close_fd(root);
	*root = top;
	return 0;
}

/* ---- new instances ---- */

static int set_label(int mount_fd, const char *label, struct err *e)
{
	auto_fd int dir = openat(mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0 || fsetxattr(dir, "security.selinux", label, strlen(label), 0) < 0)
		return err_errno(e, "cannot set the SELinux label");
	return 0;
}

static bool skip_param(const struct rootfs_plan *p, const struct mount_op *op, const struct fs_param *param)
{
	/* A joined user namespace: which groups it maps is not in the plan. */
	return p->user_ns && !p->gid_map.n && str_eq(op->fstype, "devpts") && str_eq(param->key, "gid");
}

static int make_with_params(const struct rootfs_plan *p, const struct mount_op *op, const char *mode, bool all, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct fs_param *v = arena_alloc(&a, (op->n_params + 2) * sizeof(*v));
	size_t n = 0;

	for (size_t i = 0; i < op->n_params; i++)
		if (all || !skip_param(p, op, &op->params[i]))
			v[n++] = op->params[i];
	if (mode)
		v[n++] = (struct fs_param){ "mode", mode };
	if (op->sb_readonly)
		v[n++] = (struct fs_param){ "ro", NULL };
	return tree_new(op->fstype, op->source, v, n, op_new_attrs(op), e);
}

/* A file system that the kernel refuses in a user namespace may have a substitute, or at least an explanation. */
static int make_refused(const struct rootfs_plan *p, struct rootfs_sources *s, const struct mount_op *op, struct err *e)
{
	if (str_eq(op->fstype, "sysfs") && s->sysfs >= 0) {
		auto_fd int fd = take_fd(&s->sysfs);

		return tree_apply_attrs(fd, op, e) < 0 ? -e->code : take_fd(&fd);
	}
	if (str_eq(op->fstype, "proc") && p->user_ns)
		return err_set(e, EPERM,
			       "the kernel refuses a procfs in this user namespace: either the container has no pid "
			       "namespace of its own, or parts of the /proc we see are covered");
	return -e->code;
}

static int make_fs(const struct rootfs_plan *p, struct rootfs_sources *s, const struct mount_op *op, const struct target *t,
		   struct err *e)
{
	char mode[16];
	struct stat st;
	bool copy_mode = op->mode_from_target && t->existed;

	if (copy_mode && fstat(t->fd, &st) < 0)
		return err_errno(e, "%s", op->dest);
	if (copy_mode)
		snprintf(mode, sizeof(mode), "%o", (unsigned)st.st_mode & 07777);
	int fd = make_with_params(p, op, copy_mode ? mode : NULL, true, e);

	if (fd == -EINVAL && str_eq(op->fstype, "devpts") && p->user_ns)
		fd = make_with_params(p, op, NULL, false, e);
	return fd == -EPERM ? make_refused(p, s, op, e) : fd;
}

/* What happens to a new instance before anybody sees it. */
static int prepare_fs(const struct mount_op *op, int userns, const struct target *t, int fd, struct err *e)
{
	if (op->copy_up && t->existed && copyup(t->fd, fd, e) < 0)
		return err_in(e, "tmpcopyup");
	if (userns >= 0 && tree_set_idmap(fd, userns, op->idmap_recursive, e) < 0)
		return -e->code;
	return op->label ? set_label(fd, op->label, e) : 0;
}

static int mount_fs(const struct rootfs_plan *p, struct rootfs_sources *s, size_t i, int *root, struct err *e)
{
	const struct mount_op *op = &p->mounts[i];
	struct target t;

	if (open_target(*root, op, true, &t, e) < 0)
		return -e->code;
	auto_fd int target = t.fd;
	auto_fd int userns = take_fd(&s->userns[i]);
	auto_fd int fd = op->kind == MOUNT_FS ? make_fs(p, s, op, &t, e) : cgroup_mount_new(p, op, e);

	if (fd < 0)
		return fd;
	/* Before anything is copied from there: a link in the image may lead into a procfs. */
	if (op->copy_up && proc_check_target(*root, target, fd, e) < 0)
		return -e->code;
	if (prepare_fs(op, userns, &t, fd, e) < 0 || attach(root, fd, target, e) < 0)
		return -e->code;
	if (op->kind == MOUNT_CGROUP_V1 && cgroup_mount_fill(p, s, op, fd, e) < 0)
		return -e->code;
	int r = 0;

	for (size_t k = 0; k < op->n_propagation && r == 0; k++)
		r = tree_set_propagation(fd, op->propagation[k], e);
	if (op->late_readonly || s->keep)
		s->mounts[i] = take_fd(&fd);
	return r;
}

/* ---- binds ---- */

static int copy_link(int root, const struct mount_op *op, const char *link, struct err *e)
{
	auto_arena struct arena a = { 0 };
	char now[4097];
	const char *name;
	auto_fd int dir = path_parent_in(root, op->dest, 0755, &a, &name, e);

	if (dir < 0)
		return dir;
	if (symlinkat(link, dir, name) == 0)
		return 0;
	if (errno != EEXIST)
		return err_errno(e, "%s", op->dest);
	ssize_t n = readlinkat(dir, name, now, sizeof(now) - 1);

	if (n >= 0 && (size_t)n == strlen(link) && memcmp(now, link, (size_t)n) == 0)
		return 0;
	return err_set(e, EEXIST, "%s exists and is not a link to %s", op->dest, link);
}

static int mount_bind(struct rootfs_sources *s, size_t i, const struct mount_op *op, int *root, struct err *e)
{
	auto_fd int fd = take_fd(&s->mounts[i]);
	struct target t;
	struct stat st;

	if (s->links[i])
		return copy_link(*root, op, s->links[i], e);
	if (fstat(fd, &st) < 0)
		return err_errno(e, "%s", op->source);
	if (open_target(*root, op, S_ISDIR(st.st_mode), &t, e) < 0)
		return -e->code;
	auto_fd int target = t.fd;

	if (attach(root, fd, target, e) < 0)
		return -e->code;
	if (s->keep)
		s->mounts[i] = take_fd(&fd);
	return 0;
}

static int remount(const struct mount_op *op, int root, struct err *e)
{
	auto_fd int fd = path_open_in(root, op->dest, O_PATH, e);

	return fd < 0 ? fd : tree_apply_attrs(fd, op, e);
}

int mount_one(const struct rootfs_plan *p, struct rootfs_sources *s, size_t i, int *root, struct err *e)
{
	const struct mount_op *op = &p->mounts[i];

	if (op->remount)
		return remount(op, *root, e);
	return op->kind == MOUNT_BIND ? mount_bind(s, i, op, root, e) : mount_fs(p, s, i, root, e);
}

/* ---- all of it ---- */

static int attach_root(const struct rootfs_plan *p, struct rootfs_sources *s, struct err *e)
{
	auto_fd int root = take_fd(&s->root);

	if (!p->new_mount_ns) {
		/* Joined by path, it may have other mounts there than the runtime's has. */
		auto_fd int here = open(p->root, O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (here < 0 && errno != EACCES)
			return err_errno(e, "%s", p->root);
		return here < 0 ? take_fd(&root) : take_fd(&here);
	}
	/* mount_setattr(2) would do, but has to be told a mount; this is the namespace's root whatever it is. */
	if (mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0)
		return err_errno(e, "cannot make the mount namespace private");
	auto_fd int place = open(p->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = place < 0 ? sys_move_mount(root, "", AT_FDCWD, "/", SYS_MOVE_MOUNT_F_EMPTY)
			  : sys_move_mount(root, "", place, "", SYS_MOVE_MOUNT_F_EMPTY | SYS_MOVE_MOUNT_T_EMPTY);

	if (r < 0)
		return tree_errno(e, "cannot attach the root");
	return take_fd(&root);
}

static int mount_all(const struct rootfs_plan *p, struct rootfs_sources *s, struct err *e)
{
	auto_fd int root = attach_root(p, s, e);

	if (root < 0)
		return err_in(e, "root.path");
	for (size_t i = 0; i < p->n_mounts; i++)
		if (mount_one(p, s, i, &root, e) < 0)
			return err_in(e, "%s", p->mounts[i].where);
	if (dev_apply(p, s, root, e) < 0)
		return -e->code;
	return take_fd(&root);
}

int rootfs_mount(const struct rootfs_plan *p, struct rootfs_sources *s, struct err *e)
{
	mode_t before = umask(0);
	int root = mount_all(p, s, e);

	umask(before);
	close_fd(&s->sysfs);
	return root;
}
