/* cgroup_mount.c - /sys/fs/cgroup as the container sees it
 *
 * v1 and hybrid: a tmpfs with a bind of the container's own directory per hierarchy, and links for the merged names. A real cgroup1
 * mount would show the same (its root is the cgroup namespace's) but makes the kernel walk every cgroup of the host.
 * v2: a cgroup2 mount, or the container's own directory where that is refused. There is one cgroup2 superblock on a host, and
 * mounting it from the first cgroup namespace sets its options for everybody: those that are given, and those that are not are
 * taken away (nsdelegate, memory_recursiveprot). Without a cgroup namespace what the host has mounted already is bound instead.
 */
#include "base/cleanup.h"
#include "base/str.h"
#include "rootfs/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* The container's own directory in the v2 hierarchy. */
static const char *own_v2_dir(const struct cgroup_view *view)
{
	for (size_t i = 0; i < view->n; i++)
		if (view->mode == CGROUP_MODE_V2 || str_eq(view->v[i].name, "unified"))
			return view->v[i].path;
	return NULL;
}

/* The old root is still where absolute names lead: rootfs_enter() comes later. */
static int bind_dir(const char *path, const struct mount_op *op, struct err *e)
{
	auto_fd int fd = sys_open_tree(AT_FDCWD, path, SYS_OPEN_TREE_CLONE | O_CLOEXEC);

	if (fd < 0)
		return tree_errno(e, "%s", path);
	if (tree_apply_attrs(fd, op, e) < 0)
		return -e->code;
	return take_fd(&fd);
}

static int mount_cgroup2(const struct rootfs_plan *p, const struct mount_op *op, struct fd_pile *done, struct err *e)
{
	const char *own = own_v2_dir(&p->cgroup);

	if (p->cgroup2_mount)
		return bind_dir(p->user_ns && own ? own : p->cgroup2_mount, op, e);
	int fd = tree_new("cgroup2", "cgroup", op->params, p->cgroup_ns ? op->n_params : 0, op_new_attrs(op), done, e);

	/* Without a directory of its own, *e says why cgroup2 was refused. */
	return own && (fd == -EPERM || fd == -EBUSY) ? bind_dir(own, op, e) : fd;
}

int cgroup_mount_new(const struct rootfs_plan *p, const struct mount_op *op, struct fd_pile *done, struct err *e)
{
	if (op->kind == MOUNT_CGROUP_V1) {
		static const struct fs_param mode = { "mode", "755" };

		return tree_new("tmpfs", "cgroup", &mode, 1, op_new_attrs(op) & ~(unsigned)SYS_MOUNT_ATTR_RDONLY, done, e);
	}
	return mount_cgroup2(p, op, done, e);
}

static int add_hierarchy(const struct mount_op *op, int tmpfs, const char *name, int *clone, struct err *e)
{
	auto_fd int fd = take_fd(clone);

	if (fd < 0)
		return err_set(e, EBUSY, "%s: cgroups can be mounted once only", name);
	if (mkdirat(tmpfs, name, 0755) < 0)
		return err_errno(e, "%s", name);
	auto_fd int dir = openat(tmpfs, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir < 0)
		return err_errno(e, "%s", name);
	if (tree_apply_attrs(fd, op, e) < 0 || tree_attach(fd, dir, e) < 0)
		return err_in(e, "%s", name);
	return 0;
}

int cgroup_mount_fill(const struct rootfs_plan *p, struct rootfs_sources *s, const struct mount_op *op, int tmpfs_fd, struct err *e)
{
	const struct cgroup_view *view = &p->cgroup;

	for (size_t i = 0; i < view->n; i++)
		if (add_hierarchy(op, tmpfs_fd, view->v[i].name, &s->cgroups[i], e) < 0)
			return -e->code;
	for (size_t i = 0; i < view->n_links; i++)
		if (symlinkat(view->links[i].target, tmpfs_fd, view->links[i].name) < 0 && errno != EEXIST)
			return err_errno(e, "%s", view->links[i].name);
	return tree_set_attr(tmpfs_fd, op_new_attrs(op) & SYS_MOUNT_ATTR_RDONLY, 0, false, e);
}
