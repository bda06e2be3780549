/* live.c - mounts that come and go while the container runs
 *
 * A mount is planned, opened and attached by the code that makes a container's first ones. What is added here: its identity is
 * remembered, so that only it, and not what the container has put there since, is ever removed; and all of several are added, or
 * none.
 */
#include "base/cleanup.h"
#include "base/log.h"
#include "base/path.h"
#include "base/str.h"
#include "rootfs/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int check_live(const struct mount_op *op, struct err *e)
{
	if (str_eq(op->dest, "/"))
		return err_set(e, EINVAL, "the processes that run keep the root they have");
	if (op->remount || op->copy_symlink)
		return err_set(e, EINVAL, "this is no mount that could be removed again");
	if (op->kind == MOUNT_CGROUP_V1 || op->kind == MOUNT_CGROUP_V2)
		return err_set(e, EINVAL, "a cgroup mount cannot be added later");
	return 0;
}

int rootfs_check_live(const struct rootfs_plan *p, struct err *e)
{
	for (size_t i = 0; i < p->n_mounts; i++)
		if (check_live(&p->mounts[i], e) < 0)
			return mount_err_in(&p->mounts[i], e);
	return 0;
}

int rootfs_open_live(const struct rootfs_plan *p, const struct rootfs_userns *u, struct arena *a, struct rootfs_sources *out,
		     struct err *e)
{
	struct rootfs_sources s;

	sources_init(p, a, &s);
	for (size_t i = 0; i < p->n_mounts; i++)
		if (open_mount(p, u, i, a, &s, e) < 0) {
			rootfs_close_sources(p, &s);
			return mount_err_in(&p->mounts[i], e);
		}
	*out = s;
	return 0;
}

/* 0 when fd is not the root of a mount. */
static uint64_t mount_id(int fd)
{
	struct sys_statx x;

	if (sys_statx(fd, "", AT_EMPTY_PATH, SYS_STATX_MNT_ID_EVER, &x) < 0 || !(x.attributes & SYS_STATX_ATTR_MOUNT_ROOT))
		return 0;
	return x.mnt_id;
}

static int identify(int mount_fd, int proc, struct arena *a, struct live_mount *out, struct err *e)
{
	char link[32], path[4096];

	snprintf(link, sizeof(link), "self/fd/%d", mount_fd);
	ssize_t n = readlinkat(proc, link, path, sizeof(path));

	if (n < 0)
		return err_errno(e, "the mount's place");
	out->id = mount_id(mount_fd);
	if (n == (ssize_t)sizeof(path) || path[0] != '/' || !out->id)
		return err_set(e, EINVAL, "the mount's place cannot be told");
	out->path = arena_strndup(a, path, (size_t)n);
	return 0;
}

/* How much of a clean path is there, in bytes. */
static size_t existing(int root, const char *path)
{
	auto_arena struct arena a = { 0 };
	size_t len = strlen(path);
	struct err ignored;

	for (;;) {
		auto_fd int fd = path_open_in(root, arena_strndup(&a, path, len), O_PATH, &ignored);

		if (fd >= 0 || len <= 1)
			return len;
		while (len > 1 && path[len - 1] != '/')
			len--;
		len -= len > 1;
	}
}

/* Removes what was made below the first `keep` bytes of a clean path, as far as it is empty. */
static void remove_made(int root, const char *path, size_t keep)
{
	auto_arena struct arena a = { 0 };
	char *name = arena_strdup(&a, path);
	struct err ignored;
	struct stat st;

	for (size_t len = strlen(name); len > keep; len = strlen(name)) {
		char *slash = strrchr(name, '/');

		*slash = '\0';
		auto_fd int dir = path_open_in(root, *name ? name : "/", O_PATH | O_DIRECTORY, &ignored);
		if (dir < 0 || fstatat(dir, slash + 1, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return;
		if (!S_ISDIR(st.st_mode) && (!S_ISREG(st.st_mode) || st.st_size))
			return;
		if (unlinkat(dir, slash + 1, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) < 0)
			return;
	}
}

static void unmount_fd(int proc, int mount_fd)
{
	char link[32];

	snprintf(link, sizeof(link), "self/fd/%d", mount_fd);
	if (fchdir(proc) == 0)
		(void)umount2(link, MNT_DETACH);
	(void)!chdir("/");
}

static int add_one(const struct rootfs_plan *p, struct rootfs_sources *s, size_t i, struct mounts *m, int proc, struct arena *a,
		   struct live_mount *out, struct err *e)
{
	const struct mount_op *op = &p->mounts[i];
	int r = mount_one(p, s, i, m, e);

	if (r == 0)
		r = identify(s->mounts[i], proc, a, out, e);
	if (r == 0 && op->late_readonly)
		r = tree_set_attr(s->mounts[i], SYS_MOUNT_ATTR_RDONLY, 0, false, e);
	return r;
}

int rootfs_add_live(const struct rootfs_plan *p, struct rootfs_sources *s, int proc, struct arena *a, struct live_mount *out,
		    struct err *e)
{
	struct mounts m = { .root = -1 };
	int r = 0, root = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return err_errno(e, "root of the container");
	if (mounts_set_root(&m, root, e) < 0) {
		close_fd(&m.root);
		return -e->code;
	}
	s->keep = true;
	s->made_below = arena_alloc(a, (p->n_mounts + 1) * sizeof(*s->made_below));
	for (size_t i = 0; i < p->n_mounts && r == 0; i++) {
		s->made_below[i] = existing(m.root, p->mounts[i].dest);
		s->n_tried = i + 1;
		r = add_one(p, s, i, &m, proc, a, &out[i], e);
		if (r < 0)
			mount_err_in(&p->mounts[i], e);
	}
	close_fd(&m.root);
	if (r < 0)
		rootfs_undo_live(p, s, proc);
	return r;
}

/* In reverse: a later one may be mounted on an earlier. One that was not attached is gone with its descriptor. */
void rootfs_undo_live(const struct rootfs_plan *p, struct rootfs_sources *s, int proc)
{
	auto_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = s->n_tried; i-- > 0;) {
		if (s->mounts[i] >= 0)
			unmount_fd(proc, s->mounts[i]);
		close_fd(&s->mounts[i]);
		if (root >= 0)
			remove_made(root, p->mounts[i].dest, s->made_below[i]);
	}
	s->n_tried = 0;
}

/* By the name in its directory: a descriptor of the mount would itself keep it busy. A name that is a mount point stays what it is,
 * so nothing else can be put in its place between the two looks by anybody who may not mount himself. */
int rootfs_remove_live(const struct live_mount *m, struct err *e)
{
	auto_arena struct arena a = { 0 };
	const char *slash = strrchr(m->path, '/'), *name = slash + 1;
	auto_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return err_errno(e, "root of the container");
	auto_fd int dir = path_open_in(root, arena_strndup(&a, m->path, (size_t)(slash - m->path) + 1), O_PATH | O_DIRECTORY, e);

	if (dir < 0 && dir != -ENOENT && dir != -ENOTDIR)
		return dir;
	int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	uint64_t id = fd < 0 ? 0 : mount_id(fd);

	close_fd(&fd);
	if (!id) {
		log_warn("%s: the mount is gone already", m->path);
		return 0;
	}
	if (id != m->id)
		return err_set(e, EBUSY, "%s: something else is mounted there", m->path);
	if (fchdir(dir) < 0 || umount2(name, UMOUNT_NOFOLLOW) < 0)
		return err_errno(e, "%s", m->path);
	(void)!chdir("/");
	return 0;
}
