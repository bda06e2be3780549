/* mount.c - init's side: attaching the root and everything below it
 *
 * The clone of the rootfs is mounted where the rootfs is, since hooks look for the container's mounts there and add to them. Where
 * a user namespace is refused the way there, it is stacked on "/" of the new mount namespace, which takes no path. Until
 * rootfs_enter(), absolute names still lead into the host's tree; we enter the container by names resolved from the root
 * descriptor only. Targets are resolved from that descriptor once, checked, and used.
 */
#include "base/cleanup.h"
#include "base/path.h"
#include "base/proc_fs.h"
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
	bool plain;   /* neither the root nor in a procfs: we have made it while a procfs was on /proc */
};

static bool is_directory(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static int open_nofollow(int root, const struct mount_op *op, int source, struct target *t, struct err *e)
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
	if (source < 0 || is_directory(source)) {
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

static bool is_just_below(const char *dir, const char *dest)
{
	size_t len = dir ? strlen(dir) : 0;

	return len && strncmp(dest, dir, len) == 0 && dest[len] == '/' && dest[len + 1] && !strchr(dest + len + 1, '/');
}

/* A directory that is probably missing is made without a look. False: it is not as simple as that. */
static bool make_target(const struct mounts *m, const char *dest, struct target *t)
{
	struct err ignored;
	auto_fd int dir = path_open_in(m->root, m->empty, O_PATH | O_DIRECTORY, &ignored);
	int fd = dir < 0 ? dir : path_make_child(dir, dest + strlen(m->empty) + 1, 0755, &ignored);

	if (fd < 0)
		return false;
	/* No directory can be made in a procfs. */
	*t = (struct target){ .fd = fd, .plain = m->has_proc };
	fd_pile_put(m->done, &dir);
	return true;
}

/* Opens the place to mount on; a missing one is made after the image of what comes there: source, or -1 for a directory. On success
 * t->fd is the caller's to close. */
static int open_target(const struct mounts *m, const struct mount_op *op, int source, struct target *t, struct err *e)
{
	int root = m->root;

	*t = (struct target){ .fd = -1, .existed = true };
	if (proc_needs_plain_dir(op))
		t->fd = proc_open_plain_dir(root, op->dest, e);
	else if (op->dest_nofollow && !str_eq(op->dest, "/"))
		return open_nofollow(root, op, source, t, e);
	else if (source < 0 && is_just_below(m->empty, op->dest) && make_target(m, op->dest, t))
		return 0;
	else
		t->fd = path_open_in(root, op->dest, O_PATH, e);
	if (t->fd == -ENOENT) {
		t->existed = false;
		t->fd = source < 0 || is_directory(source) ? path_mkdir_in(root, op->dest, 0755, e)
							   : path_touch_in(root, op->dest, e);
	}
	return t->fd < 0 ? t->fd : 0;
}

/* ---- attaching ---- */

static int look_at(int fd, struct sys_statx *out, struct err *e)
{
	return sys_statx(fd, "", AT_EMPTY_PATH, SYS_STATX_INO | SYS_STATX_MNT_ID, out) < 0 ? err_errno(e, "statx") : 0;
}

int mounts_set_root(struct mounts *m, int fd, struct err *e)
{
	close_fd(&m->root);
	*m = (struct mounts){ .done = m->done, .root = fd };
	return look_at(fd, &m->at, e);
}

static bool is_plain(const struct mounts *m, uint64_t id)
{
	for (size_t i = 0; i < PLAIN_MAX; i++)
		if (m->plain[i] == id)
			return true;
	return false;
}

static int check_target(struct mounts *m, const struct sys_statx *at, int target_fd, int mount_fd, struct err *e)
{
	if (m->has_proc && is_plain(m, at->mnt_id))
		return 0;
	/* While a procfs is on /proc, what is in none is not /proc either. */
	bool plain = m->has_proc && tree_magic(target_fd) != SYS_PROC_SUPER_MAGIC;
	int r = plain ? 1 : proc_check_target(m->root, target_fd, mount_fd, e);

	if (r > 0)
		m->plain[m->n_plain++ % PLAIN_MAX] = at->mnt_id;
	return r;
}

/* Attaches; what is mounted on the root becomes the root. */
static int attach(struct mounts *m, int mount_fd, const struct target *t, struct err *e)
{
	struct sys_statx at;
	int target_fd = t->fd;

	if (t->plain)
		return tree_attach(mount_fd, target_fd, e);
	if (look_at(target_fd, &at, e) < 0 || check_target(m, &at, target_fd, mount_fd, e) < 0 ||
	    tree_attach(mount_fd, target_fd, e) < 0)
		return -e->code;
	if (at.mnt_id != m->at.mnt_id || at.ino != m->at.ino)
		return 0;
	int top = fcntl(mount_fd, F_DUPFD_CLOEXEC, 3);

	return top < 0 ? err_errno(e, "new root") : mounts_set_root(m, top, e);
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

static int make_with_params(const struct rootfs_plan *p, const struct mount_op *op, const char *mode, bool all,
			    struct fd_pile *done, struct err *e)
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
	return tree_new(op->fstype, op->source, v, n, op_new_attrs(op), done, e);
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

/* Is the procfs that is there just what is asked for? */
static bool fits_procfs(const struct rootfs_sources *s, const struct mount_op *op)
{
	return s->procfs >= 0 && str_eq(op->fstype, "proc") && str_eq(op->source, PROC_FS_SOURCE) && !op->n_params &&
	       !op->sb_readonly && op_new_attrs(op) == PROC_FS_ATTRS;
}

static int make_fs(const struct rootfs_plan *p, struct rootfs_sources *s, const struct mount_op *op, const struct target *t,
		   struct fd_pile *done, struct err *e)
{
	if (fits_procfs(s, op))
		return take_fd(&s->procfs);
	char mode[16];
	struct stat st;
	bool copy_mode = op->mode_from_target && t->existed;

	if (copy_mode && fstat(t->fd, &st) < 0)
		return err_errno(e, "%s", op->dest);
	if (copy_mode)
		snprintf(mode, sizeof(mode), "%o", (unsigned)st.st_mode & 07777);
	int fd = make_with_params(p, op, copy_mode ? mode : NULL, true, done, e);

	if (fd == -EINVAL && str_eq(op->fstype, "devpts") && p->user_ns)
		fd = make_with_params(p, op, NULL, false, done, e);
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

static int mount_fs(const struct rootfs_plan *p, struct rootfs_sources *s, size_t i, struct mounts *m, struct err *e)
{
	const struct mount_op *op = &p->mounts[i];
	struct target t;

	if (open_target(m, op, -1, &t, e) < 0)
		return -e->code;
	auto_fd int target = t.fd;
	auto_fd int userns = take_fd(&s->userns[i]);
	auto_fd int fd = op->kind == MOUNT_FS ? make_fs(p, s, op, &t, m->done, e) : cgroup_mount_new(p, op, m->done, e);

	if (fd < 0)
		return fd;
	/* Before anything is copied from there: a link in the image may lead into a procfs. */
	if (op->copy_up && proc_check_target(m->root, target, fd, e) < 0)
		return -e->code;
	if (prepare_fs(op, userns, &t, fd, e) < 0 || attach(m, fd, &t, e) < 0)
		return -e->code;
	/* By no link, and only a procfs can be there; in a container that runs already, not for long. */
	m->has_proc |= !s->keep && str_eq(op->dest, "/proc");
	if (str_eq(op->fstype, "tmpfs"))
		m->empty = op->dest;
	if (op->kind == MOUNT_CGROUP_V1 && cgroup_mount_fill(p, s, op, fd, e) < 0)
		return -e->code;
	int r = 0;

	for (size_t k = 0; k < op->n_propagation && r == 0; k++)
		r = tree_set_propagation(fd, op->propagation[k], e);
	if (op->late_readonly || s->keep)
		s->mounts[i] = take_fd(&fd);
	fd_pile_put(m->done, &fd);
	fd_pile_put(m->done, &target);
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

static int mount_bind(struct rootfs_sources *s, size_t i, const struct mount_op *op, struct mounts *m, struct err *e)
{
	auto_fd int fd = take_fd(&s->mounts[i]);
	struct target t;

	if (s->links[i])
		return copy_link(m->root, op, s->links[i], e);
	if (open_target(m, op, fd, &t, e) < 0)
		return -e->code;
	auto_fd int target = t.fd;

	if (attach(m, fd, &t, e) < 0)
		return -e->code;
	if (s->keep)
		s->mounts[i] = take_fd(&fd);
	fd_pile_put(m->done, &fd);
	fd_pile_put(m->done, &target);
	return 0;
}

static int remount(const struct mount_op *op, int root, struct err *e)
{
	auto_fd int fd = path_open_in(root, op->dest, O_PATH, e);

	return fd < 0 ? fd : tree_apply_attrs(fd, op, e);
}

int mount_one(const struct rootfs_plan *p, struct rootfs_sources *s, size_t i, struct mounts *m, struct err *e)
{
	const struct mount_op *op = &p->mounts[i];

	if (op->remount)
		return remount(op, m->root, e);
	return op->kind == MOUNT_BIND ? mount_bind(s, i, op, m, e) : mount_fs(p, s, i, m, e);
}

/* ---- all of it ---- */

static int attach_root(const struct rootfs_plan *p, struct rootfs_sources *s, struct err *e)
{
	auto_fd int root = take_fd(&s->root);

	if (!p->new_mount_ns) {
		/* Joined by path, it may have other mounts there than the runtime's has. */
		auto_fd int here = openat(AT_FDCWD, p->root, O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (here < 0 && errno != EACCES)
			return err_errno(e, "%s", p->root);
		return here < 0 ? take_fd(&root) : take_fd(&here);
	}
	/* mount_setattr(2) would do, but has to be told a mount; this is the namespace's root whatever it is. */
	if (mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0)
		return err_errno(e, "cannot make the mount namespace private");
	auto_fd int place = openat(AT_FDCWD, p->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = place < 0 ? sys_move_mount(root, "", AT_FDCWD, "/", SYS_MOVE_MOUNT_F_EMPTY)
			  : sys_move_mount(root, "", place, "", SYS_MOVE_MOUNT_F_EMPTY | SYS_MOVE_MOUNT_T_EMPTY);

	if (r < 0)
		return tree_errno(e, "cannot attach the root");
	return take_fd(&root);
}

static int mount_each(const struct rootfs_plan *p, struct rootfs_sources *s, struct mounts *m, struct err *e)
{
	int root = attach_root(p, s, e);

	if (root < 0 || mounts_set_root(m, root, e) < 0)
		return err_in(e, "root.path");
	for (size_t i = 0; i < p->n_mounts; i++)
		if (mount_one(p, s, i, m, e) < 0)
			return mount_err_in(&p->mounts[i], e);
	return dev_apply(p, s, m->root, e);
}

static int mount_all(const struct rootfs_plan *p, struct rootfs_sources *s, struct err *e)
{
	struct mounts m = { .done = &s->done, .root = -1 };
	int r = mount_each(p, s, &m, e);

	if (r < 0)
		close_fd(&m.root);
	return r < 0 ? r : m.root;
}

int rootfs_mount(const struct rootfs_plan *p, struct rootfs_sources *s, struct err *e)
{
	mode_t before = umask(0);

	fd_pile_init(&s->done);
	int root = mount_all(p, s, e);

	umask(before);
	close_fd(&s->sysfs);
	close_fd(&s->procfs);
	return root;
}
