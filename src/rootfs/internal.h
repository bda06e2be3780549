/* internal.h - what the files of rootfs/ share among themselves */
#pragma once
#include "base/fd.h"
#include "base/sys.h"
#include "rootfs/rootfs.h"

/* ---- options.c ---- */

/* Is there a word that makes a bind mount of it? */
bool options_is_bind(const struct strs *words);

/* Carries the effect of all words into *op, whose kind and fstype are set already. container_uid, container_gid: the maps that
 * "idmap=" entries with '@' are relative to. */
must_check int options_parse(const struct strs *words, const struct rootfs_plan *p, struct arena *a, struct mount_op *op,
			     struct err *e);

/* Appends a parameter for fsconfig(2). */
void option_add_param(struct mount_op *op, struct arena *a, const char *key, const char *value);
const struct fs_param *option_find_param(const struct mount_op *op, const char *key);

/* The attributes of a new file system: there is nothing below it, so that recursive words are ordinary ones that come later. */
static inline unsigned op_new_attrs(const struct mount_op *op)
{
	return (unsigned)((op->attr_set & ~op->rec_attr_clr) | op->rec_attr_set);
}

/* ---- rootfs_plan.c ---- */

/* err_in() of a mount: "mounts[3] (/proc)". */
int mount_err_in(const struct mount_op *op, struct err *e) __attribute__((cold));

/* ---- mount.c ---- */

#define PLAIN_MAX 4

/* The tree so far, and what is known of it, so that each mount does not ask the kernel again. */
struct mounts {
	struct fd_pile *done;      /* borrowed; NULL: nothing waits */
	int root;                  /* owned; -1 */
	struct sys_statx at;       /* where root is */
	bool has_proc;             /* nobody else is there, and a procfs is mounted on /proc: no other place can be that */
	uint64_t plain[PLAIN_MAX]; /* ids of mounts that are no procfs; 0: none */
	size_t n_plain;
	const char *empty; /* destination of the last tmpfs, in which the next one's mount point may be missing; a guess; may be NULL */
};

/* A new root: nothing is known any more. Consumes fd, also on failure. */
must_check int mounts_set_root(struct mounts *m, int fd, struct err *e);

/* Carries out one operation. m->root may become another: what is mounted on it. */
must_check int mount_one(const struct rootfs_plan *p, struct rootfs_sources *s, size_t i, struct mounts *m, struct err *e);

/* ---- sources.c ---- */

/* No descriptor yet, and room for all. */
void sources_init(const struct rootfs_plan *p, struct arena *a, struct rootfs_sources *s);
must_check int open_mount(const struct rootfs_plan *p, const struct rootfs_userns *u, size_t i, struct arena *a,
			  struct rootfs_sources *s, struct err *e);

/* ---- tree.c: thin layers over the mount system calls ---- */

/* err_errno() that knows ENOSYS: the mount API of Linux 5.14 is missing. */
int tree_errno(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

/* Sets and clears attributes of the mount that fd is the root of. */
must_check int tree_set_attr(int fd, uint64_t set, uint64_t clr, bool recursive, struct err *e);

/* Sets and clears what the operation asks for: first its own mount, then recursively. Flags that are locked because the mount comes
 * from a more privileged namespace are kept, unless the user asked to clear them. */
must_check int tree_apply_attrs(int fd, const struct mount_op *op, struct err *e);

/* MS_SHARED, MS_PRIVATE, MS_SLAVE or MS_UNBINDABLE, | MS_REC. */
must_check int tree_set_propagation(int fd, unsigned long flags, struct err *e);
/* Makes the mount private and sets attributes, in one call. */
must_check int tree_seclude(int fd, uint64_t attrs, struct err *e);
must_check int tree_set_idmap(int fd, int userns_fd, bool recursive, struct err *e);

/* A detached clone of the mount that the descriptor is in, from there on. */
must_check int tree_clone_fd(int fd, bool recursive, struct err *e);

/* Attaches the detached mount at the place that target (O_PATH) is. */
must_check int tree_attach(int mount_fd, int target_fd, struct err *e);

/* A new instance of a file system, detached. params may be NULL with n == 0; source may be NULL. The kernel's own words about a
 * refused parameter are part of the text. done: where its context goes, may be NULL. */
must_check int tree_new(const char *fstype, const char *source, const struct fs_param *params, size_t n, unsigned attrs,
			struct fd_pile *done, struct err *e);

/* The file system magic of what fd is on; 0 when that cannot be told. */
long tree_magic(int fd);

/* ---- proc_check.c ---- */

/* Rules that need no look at the file system: what may be mounted on and below /proc. Pure. */
must_check int proc_check_plan(const struct mount_op *op, struct err *e);

/* May `mount_fd` (a detached mount, -1: unknown) be attached at target_fd? Looks at what the target really is. Returns 1 when that is
 * outside of any procfs. */
must_check int proc_check_target(int root, int target_fd, int mount_fd, struct err *e);

/* proc, sysfs and whatever goes on /proc and /sys: the mount point must be a real directory, reached by no symbolic link. */
bool proc_needs_plain_dir(const struct mount_op *op);
must_check int proc_open_plain_dir(int root, const char *dest, struct err *e);

/* ---- others ---- */
must_check int copyup(int from_dir_fd, int to_dir_fd, struct err *e);

/* The detached tmpfs with the container's hierarchies (v1), or cgroup2 or the container's own directory in it (v2). */
must_check int cgroup_mount_new(const struct rootfs_plan *p, const struct mount_op *op, struct fd_pile *done, struct err *e);

/* v1: fills the attached tmpfs; consumes s->cgroups. */
must_check int cgroup_mount_fill(const struct rootfs_plan *p, struct rootfs_sources *s, const struct mount_op *op, int tmpfs_fd,
				 struct err *e);
must_check int dev_apply(const struct rootfs_plan *p, struct rootfs_sources *s, int root, struct err *e);
