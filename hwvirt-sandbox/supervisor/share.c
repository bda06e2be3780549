/* The root of the share is a small file system of our own, read-only once all is in its place, so that the guest finds nothing but
 * what the config names. Device nodes and set-user-id bits of what is shared mean nothing on this side. */
#include "base/cleanup.h"
#include "base/sys.h"
#include "hwvirt-sandbox/supervisor/supervisor.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

/* In the mount namespace that we are in now, at the place `share` below parent_fd. */
static int attach_root(int parent_fd, struct err *e)
{
	auto_fd int fs = sys_fsopen("tmpfs", SYS_FSOPEN_CLOEXEC);

	if (fs < 0 || sys_fsconfig(fs, SYS_FSCONFIG_STRING, "mode", "755", 0) < 0 ||
	    sys_fsconfig(fs, SYS_FSCONFIG_CREATE, NULL, NULL, 0) < 0)
		return err_errno(e, "the root of the share");
	auto_fd int root = sys_fsmount(fs, SYS_FSMOUNT_CLOEXEC, SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV);

	if (root < 0 || sys_move_mount(root, "", parent_fd, "share", SYS_MOVE_MOUNT_F_EMPTY) < 0)
		return err_errno(e, "the root of the share");
	return take_fd(&root);
}

static int make_place(int root, const char *name, bool directory, struct err *e)
{
	int r = directory ? mkdirat(root, name, 0755) : mknodat(root, name, S_IFREG | 0644, 0);

	return r < 0 ? err_errno(e, "share %s", name) : 0;
}

static int add(int root, const struct vm_share *s, bool root_fs, struct err *e)
{
	const struct sys_mount_attr attr = { .attr_set = SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV |
							 (s->readonly ? SYS_MOUNT_ATTR_RDONLY : 0) };
	unsigned recursive = s->recursive ? SYS_AT_RECURSIVE : 0;
	auto_fd int tree = sys_open_tree(AT_FDCWD, s->source, SYS_OPEN_TREE_CLONE | O_CLOEXEC | recursive);
	struct stat st;

	if (tree < 0 || fstat(tree, &st) < 0)
		return err_errno(e, "%s: %s", s->where, s->source);
	if (root_fs && !S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "%s: %s: Not a directory", s->where, s->source);
	if (sys_mount_setattr(tree, "", AT_EMPTY_PATH | recursive, &attr) < 0)
		return err_errno(e, "%s: %s: mount_setattr", s->where, s->source);
	int r = make_place(root, s->name, S_ISDIR(st.st_mode), e);

	if (r < 0)
		return r;
	if (sys_move_mount(tree, "", root, s->name, SYS_MOVE_MOUNT_F_EMPTY) < 0)
		return err_errno(e, "share %s", s->source);
	return 0;
}

int share_open(const struct vm_plan *p, int parent_fd, struct err *e)
{
	const struct sys_mount_attr readonly = { .attr_set = SYS_MOUNT_ATTR_RDONLY };

	if (mkdirat(parent_fd, "share", 0755) < 0)
		return err_errno(e, "the root of the share");
	auto_fd int root = attach_root(parent_fd, e);

	if (root < 0)
		return root;
	int r = p->n_shares > 1 ? make_place(root, "m", true, e) : 0;

	for (size_t i = 0; r == 0 && i < p->n_shares; i++)
		r = add(root, &p->shares[i], i == 0, e);
	if (r == 0 && sys_mount_setattr(root, "", AT_EMPTY_PATH, &readonly) < 0)
		r = err_errno(e, "the root of the share");
	if (r < 0)
		return r;
	int dir = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return dir < 0 ? err_errno(e, "the root of the share") : dir;
}
