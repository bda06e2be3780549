/* enter.c - the root becomes "/", and is sealed
 *
 * The root is a mount somewhere below the namespace's "/", or on it (mount.c). pivot_root(".", ".") swaps the two and stacks the
 * old root on top, where it is detached. Without pivot_root (the host's root is an initramfs) it is moved onto "/" and entered by
 * chroot, after the host's procfs and sysfs were taken away: a full procfs that is still mounted somewhere lets a nested user
 * namespace mount another one without the masks. Then everything that had to wait for the last mount: read-only tmpfs, read-only
 * paths, masks, read-only root, propagation.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mountinfo.h"
#include "base/path.h"
#include "base/str.h"
#include "rootfs/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- masks ---- */

/* Things to put over paths; each is attached the first time and cloned from where it is attached later (a detached mount cannot
 * be cloned before Linux 6.15). */
struct cover {
	int fd; /* owned */
	bool attached;
};

static int put_cover(struct cover *c, int target, struct fd_pile *done, struct err *e)
{
	if (!c->attached) {
		c->attached = true;
		return tree_attach(c->fd, target, e);
	}
	auto_fd int copy = tree_clone_fd(c->fd, false, e);

	if (copy < 0 || tree_attach(copy, target, e) < 0)
		return -e->code;
	fd_pile_put(done, &copy);
	return 0;
}

static int empty_dir(struct fd_pile *done, struct err *e)
{
	static const struct fs_param params[] = { { "nr_blocks", "1" }, { "nr_inodes", "1" }, { "mode", "755" } };
	const unsigned attrs = SYS_MOUNT_ATTR_RDONLY | SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV | SYS_MOUNT_ATTR_NOEXEC;

	return tree_new("tmpfs", "tmpfs", params, 3, attrs, done, e);
}

/* What is put over paths. */
struct covers {
	struct cover file, dir;
	struct fd_pile *done;
};

static int cover_target(struct covers *c, int target, const char *path, struct err *e)
{
	struct stat st;

	if (fstat(target, &st) < 0)
		return err_errno(e, "%s", path);
	if (!S_ISDIR(st.st_mode))
		return put_cover(&c->file, target, c->done, e);
	if (c->dir.fd < 0)
		c->dir.fd = empty_dir(c->done, e);
	return c->dir.fd < 0 ? c->dir.fd : put_cover(&c->dir, target, c->done, e);
}

static int mask_one(const char *path, int root, struct covers *c, struct err *e)
{
	auto_fd int target = path_find_in(root, path, O_PATH);

	if (target == -ENOENT || target == -ENOTDIR)
		return 0;
	if (target < 0)
		return err_errno(e, "%s", path);
	if (cover_target(c, target, path, e) < 0)
		return -e->code;
	fd_pile_put(c->done, &target);
	return 0;
}

static int mask_paths(const struct rootfs_plan *p, struct rootfs_sources *s, int root, struct err *e)
{
	struct covers c = { .file.fd = take_fd(&s->null), .dir.fd = -1, .done = &s->done };
	int r = 0;

	for (size_t i = 0; i < p->n_masked && r >= 0; i++) {
		r = mask_one(p->masked[i], root, &c, e);
		if (r < 0)
			(void)err_in(e, "linux.maskedPaths (%s)", p->masked[i]);
	}
	fd_pile_put(&s->done, &c.dir.fd);
	fd_pile_put(&s->done, &c.file.fd);
	return r;
}

/* ---- read-only ---- */

static int make_readonly(const char *path, int root, struct fd_pile *done, struct err *e)
{
	auto_fd int target = path_find_in(root, path, O_PATH);

	if (target == -ENOENT || target == -ENOTDIR)
		return 0;
	if (target < 0)
		return err_errno(e, "%s", path);
	/* A clone has the flags (nosuid...) of the mount it is from. What is mounted below stays as the config made it. */
	auto_fd int clone = tree_clone_fd(target, true, e);

	if (clone < 0 || tree_set_attr(clone, SYS_MOUNT_ATTR_RDONLY, 0, false, e) < 0 || tree_attach(clone, target, e) < 0)
		return -e->code;
	fd_pile_put(done, &clone);
	fd_pile_put(done, &target);
	return 0;
}

static int seal(const struct rootfs_plan *p, struct rootfs_sources *s, int root, struct err *e)
{
	for (size_t i = 0; i < p->n_mounts; i++)
		if (p->mounts[i].late_readonly && tree_set_attr(s->mounts[i], SYS_MOUNT_ATTR_RDONLY, 0, false, e) < 0)
			return mount_err_in(&p->mounts[i], e);
	for (size_t i = 0; i < p->n_readonly; i++)
		if (make_readonly(p->readonly_paths[i], root, &s->done, e) < 0)
			return err_in(e, "linux.readonlyPaths (%s)", p->readonly_paths[i]);
	if (mask_paths(p, s, root, e) < 0)
		return -e->code;
	if (p->readonly && tree_set_attr(root, SYS_MOUNT_ATTR_RDONLY, 0, false, e) < 0)
		return err_in(e, "root.readonly");
	if (p->propagation & (MS_SHARED | MS_UNBINDABLE) && tree_set_propagation(root, p->propagation, e) < 0)
		return err_in(e, "linux.rootfsPropagation");
	return 0;
}

/* ---- entering ---- */

static int enter_by_pivot(int root, struct err *e)
{
	if (fchdir(root) < 0)
		return err_errno(e, "new root");
	if (sys_pivot_root(".", ".") < 0)
		return err_errno(e, "pivot_root");
	if (umount2(".", MNT_DETACH) < 0)
		return err_errno(e, "cannot detach the old root");
	return chdir("/") < 0 ? err_errno(e, "new root") : 0;
}

static int enter_by_chroot(int root, bool is_mount, struct err *e)
{
	/* ELOOP: it is there already. */
	if (is_mount && sys_move_mount(root, "", AT_FDCWD, "/", SYS_MOVE_MOUNT_F_EMPTY) < 0 && errno != ELOOP)
		return tree_errno(e, "cannot move the new root to /");
	if (fchdir(root) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return err_errno(e, "chroot");
	return 0;
}

struct mount {
	struct mount_line line;
	bool covered; /* by us: what is stacked below it is hidden too */
};

static size_t parse_mounts(char *text, struct arena *a, struct mount **out)
{
	size_t n = 1, used = 0;
	char *save = NULL;

	for (const char *c = text; *c; c++)
		n += *c == '\n';
	*out = arena_alloc(a, n * sizeof(**out));
	for (char *line = strtok_r(text, "\n", &save); line && used < n; line = strtok_r(NULL, "\n", &save))
		used += mountinfo_parse(line, &(*out)[used].line);
	return used;
}

/* Is mount i the root's, or below it? The depth is bounded by the number of mounts. */
static bool is_inside(const struct mount *v, size_t n, size_t i, unsigned root_id)
{
	unsigned id = v[i].line.id;

	for (size_t depth = 0; depth <= n; depth++) {
		size_t k = 0;

		if (id == root_id)
			return true;
		while (k < n && v[k].line.id != id)
			k++;
		if (k == n || v[k].line.parent == id)
			return false;
		id = v[k].line.parent;
	}
	return false;
}

/* A mount that came from outside a user namespace cannot be unmounted in it, only covered. */
static int take_away(struct mount *m, struct err *e)
{
	if (umount2(m->line.point, MNT_DETACH) == 0 || errno == ENOENT)
		return 0;
	if (errno != EINVAL && errno != EPERM)
		return err_errno(e, "%s", m->line.point);
	auto_fd int cover = empty_dir(NULL, e);

	if (cover < 0)
		return cover;
	m->covered = sys_move_mount(cover, "", AT_FDCWD, m->line.point, SYS_MOVE_MOUNT_F_EMPTY) == 0;
	return m->covered || errno == ENOTDIR ? 0 : tree_errno(e, "%s", m->line.point);
}

/* Of mounts stacked on one point the last is taken away first; once that one is covered, to unmount would be to uncover it. */
static bool hidden_already(const struct mount *v, size_t n, size_t i)
{
	for (size_t k = i + 1; k < n; k++)
		if (v[k].covered && str_eq(v[k].line.point, v[i].line.point))
			return true;
	return false;
}

/* Absolute names still mean the host's tree here. Later mounts hide earlier ones and go first. */
static int drop_host_proc(int root, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct mount *v;
	char name[48], *text, *id;
	uint64_t root_id;

	if (file_read_pseudo(AT_FDCWD, "/proc/self/mountinfo", 64u << 20, &a, &text, e) < 0)
		return -e->code;
	size_t n = parse_mounts(text, &a, &v);

	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", root);
	if (file_read_pseudo(AT_FDCWD, name, 4096, &a, &text, e) < 0)
		return -e->code;
	id = strstr(text, "mnt_id:");
	if (!id || scan_numbers(id + strlen("mnt_id:"), "", &root_id, 1, NULL) != 1)
		return err_set(e, EINVAL, "%s: no mnt_id", name);
	for (size_t i = n; i-- > 0;) {
		if ((!str_eq(v[i].line.type, "proc") && !str_eq(v[i].line.type, "sysfs")) || is_inside(v, n, i, root_id))
			continue;
		if (!hidden_already(v, n, i) && take_away(&v[i], e) < 0)
			return -e->code;
	}
	return 0;
}

int rootfs_enter(const struct rootfs_plan *p, struct rootfs_sources *s, int root, struct err *e)
{
	int r;

	if (p->new_mount_ns && !p->no_pivot)
		r = enter_by_pivot(root, e);
	else if (p->new_mount_ns && drop_host_proc(root, e) < 0)
		r = err_in(e, "cannot take the host's /proc and /sys away");
	else
		r = enter_by_chroot(root, p->new_mount_ns, e);
	if (r >= 0)
		r = seal(p, s, root, e);
	rootfs_close_sources(p, s);
	return r;
}
