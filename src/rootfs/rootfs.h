/* rootfs.h - the container's file system: mounts, devices, console, masks, root
 *
 * rootfs_plan_build() turns the spec into a list of typed operations without touching anything; three steps carry it out:
 *   rootfs_open_sources()  in the runtime, in the host's mount namespace: clones what is to be bound (and the rootfs itself) into
 *                          detached mounts, with all attributes and id mappings set. A missing source fails here, before anything
 *                          exists.
 *   rootfs_mount()         in init, in the new namespaces: attaches the root, then every operation in the order of the config.
 *   rootfs_enter()         in init, after the createContainer hooks: pivot_root (or move + chroot), read-only root, masked and
 *                          read-only paths, propagation, mount attributes that had to wait.
 * Everything below the root is resolved by base/path.h. procfs for our own use is a private handle (base/proc_fs.h).
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/sys.h"
#include "host/host.h"
#include "oci/spec.h"

enum mount_kind {
	MOUNT_BIND,       /* clone of a host path                                                                     */
	MOUNT_FS,         /* new instance of a file system                                                             */
	MOUNT_CGROUP_V1,  /* tmpfs with one bind of the container's own cgroup per hierarchy (see struct cgroup_view)  */
	MOUNT_CGROUP_V2,  /* new cgroup2; when that is refused, a bind of the container's own cgroup                   */
};

struct fs_param { const char *key, *value; /* NULL: a flag */ };

struct mount_op {
	enum mount_kind kind;
	uint32_t index;          /* in mounts of the config, */
	const char *destination; /* and its destination there, for messages: mount_err_in() */
	const char *dest;        /* cleaned, absolute within the root */
	const char *source; /* BIND: absolute host path; FS: the fs's source */
	const char *fstype;
	struct fs_param *params;
	size_t n_params;
	uint64_t attr_set, attr_clr;         /* SYS_MOUNT_ATTR_*, this mount only */
	uint64_t rec_attr_set, rec_attr_clr; /* the same, recursively             */
	unsigned long propagation[4];        /* MS_SHARED etc., | MS_REC; applied in order after mounting */
	size_t n_propagation;
	bool recursive;     /* rbind                                     */
	bool sb_readonly;   /* "ro" of a new instance: the superblock too */
	bool copy_up;       /* tmpcopyup                                 */
	bool copy_symlink, src_nofollow, dest_nofollow;
	bool idmap, idmap_recursive;
	struct oci_id_map_list uid_map, gid_map; /* of idmap; empty: the container's user namespace */
	bool mode_from_target; /* tmpfs without mode=: take the mode of the directory it covers */
	bool late_readonly;    /* read-only only in rootfs_enter(): tmpfs and /dev, which others still write to */
	bool remount;          /* no new mount: attributes of the one at dest change                             */
	const char *label;     /* SELinux label to set on the root after mounting (mqueue), or NULL              */
};

struct device_op {
	const char *where, *path; /* path within the root        */
	mode_t type;              /* S_IFCHR, S_IFBLK, S_IFIFO   */
	unsigned major, minor;
	mode_t mode;              /* permission bits             */
	uint32_t uid, gid;        /* container ids               */
	bool is_default;          /* keep whatever is there      */
};

/* The container's own cgroup directories, for mounts of type cgroup; filled by plan/ from the cgroup plan. */
struct cgroup_view {
	enum cgroup_mode mode;
	struct cgroup_view_dir {
		const char *name; /* directory name below /sys/fs/cgroup: "memory", "cpu,cpuacct", "unified" */
		const char *path; /* host path of the container's cgroup                                      */
	} *v;
	size_t n;
	struct { const char *name, *target; } links[8]; /* "cpu" -> "cpu,cpuacct" */
	size_t n_links;
};

struct rootfs_plan {
	const char *root;      /* absolute host path                              */
	bool readonly, no_pivot, new_mount_ns;
	bool user_ns;          /* inside a user namespace: bind devices, no mknod */
	bool net_ns, cgroup_ns; /* created with the container (not joined): sysfs and cgroup2 may be mounted */
	unsigned long propagation; /* MS_* for the root, 0: private. Slave takes effect when the root is cloned, shared and
				    * unbindable after the pivot.                  */
	struct mount_op *mounts;
	size_t n_mounts;
	struct device_op *devices; /* defaults first, then linux.devices          */
	size_t n_devices;
	bool setup_dev;        /* default devices and links are ours to make: /dev is not the host's */
	const char **masked, **readonly_paths;
	size_t n_masked, n_readonly;
	bool terminal;
	const char *mount_label;   /* as "context=" of new instances, or NULL */
	const char *label_context; /* the word: "context", "fscontext", "defcontext", "rootcontext" */
	struct oci_id_map_list uid_map, gid_map; /* of the container's user namespace */
	struct cgroup_view cgroup;
	const char *cgroup2_mount; /* the host's, to be bound where there is no cgroup namespace; else NULL */
};

/* What rootfs_open_sources() opened. Inherited by init across fork. rootfs_mount() consumes everything but what rootfs_enter() needs;
 * rootfs_enter() consumes the rest. A descriptor is -1 where there is none. */
struct rootfs_sources {
	int root;      /* detached clone of the rootfs, or with no new mount namespace an O_PATH descriptor of it */
	int *mounts;   /* n_mounts: the detached clone of a bind; after rootfs_mount() that of a late_readonly mount */
	int *userns;   /* n_mounts: for id-mapped new instances (binds are mapped already)                         */
	const char **links; /* n_mounts: what a copy-symlink source points to, NULL: it is no link                 */
	int *cgroups;  /* cgroup.n                                                                                 */
	int *devices;  /* n_devices: in a user namespace, clones of host nodes                                      */
	int sysfs;     /* clone of the host's /sys, where a new sysfs may be refused                               */
	int procfs;    /* one that init has made already and nothing but itself has seen; becomes /proc if it fits   */
	int null;      /* clone of the host's null device, for masked files; verified                               */
	struct fd_pile done; /* since rootfs_mount(): what is of no more use                                        */
	bool keep;     /* rootfs_add() only: mounts[] holds what was attached, so that it can be undone             */
	size_t *made_below, n_tried; /* the same: how much of each destination was there before; how many were tried */
};

/* Where the user namespaces of id-mapped mounts come from. */
struct rootfs_userns {
	int fd; /* the container's, when it is joined by path (borrowed); -1: made from the plan's maps when needed */
	/* ns_make_userns(), which this layer cannot see: a descriptor of a namespace with these maps. */
	int (*make)(const struct oci_id_map_list *uid, const struct oci_id_map_list *gid, struct err *e);
};

struct rootfs_options { bool no_pivot; };

/* Pure. bundle: absolute path of the bundle, root.path is relative to it. EINVAL: unknown or contradictory option, a destination
 * that must not be covered (below /proc), a mount without a mount namespace...; the text names mounts[i] or linux.... */
must_check int rootfs_plan_build(const struct oci_spec *spec, const char *bundle, const struct rootfs_options *o,
				 const struct host *h, struct arena *a, struct rootfs_plan *out, struct err *e);

/* The words of mounts[].options this build understands, NULL-terminated, sorted: for `features`; from the parser's table. */
const char *const *rootfs_option_words(void);

/* Runtime side, in the host's mount namespace, with CAP_SYS_ADMIN there. A runtime without it (rootless) leaves the call to init, which
 * makes it in its new user and mount namespace right before rootfs_mount(). Arrays in *a. ENOENT etc. name the mount and its source. */
must_check int rootfs_open_sources(const struct rootfs_plan *p, const struct rootfs_userns *u, struct arena *a,
				   struct rootfs_sources *out, struct err *e);

/* Closes what is still open; more than once, or before anything was opened (all zero), does no harm. */
void rootfs_close_sources(const struct rootfs_plan *p, struct rootfs_sources *s);

/* Init side, in the new namespaces (the cgroup namespace too). Attaches the root and carries out all mounts, devices and links.
 * Returns an O_PATH descriptor of the new root. */
must_check int rootfs_mount(const struct rootfs_plan *p, struct rootfs_sources *s, struct err *e);

/* ---- mounts of a container that lives (live.c) ---- */

/* Is every mount of the plan one that can be added, and removed again? EINVAL: one is not. Pure. */
must_check int rootfs_check_live(const struct rootfs_plan *p, struct err *e);

/* Runtime side: as rootfs_open_sources(), the mounts only. */
must_check int rootfs_open_live(const struct rootfs_plan *p, const struct rootfs_userns *u, struct arena *a,
				struct rootfs_sources *out, struct err *e);

struct live_mount { const char *path; uint64_t id; }; /* where it is, without links; the kernel's number of it */

/* In the container's namespaces and root. proc (borrowed): a procfs. Carries out all mounts of the plan; out has room for as many. On
 * failure none is left, nor a mount point made for it; rootfs_undo_live() does the same later. */
must_check int rootfs_add_live(const struct rootfs_plan *p, struct rootfs_sources *s, int proc, struct arena *a,
			       struct live_mount *out, struct err *e);
void rootfs_undo_live(const struct rootfs_plan *p, struct rootfs_sources *s, int proc);

/* In the container's namespaces and root: removes one; one that is gone is only warned of. EBUSY: it is in use, or something else is mounted there. */
must_check int rootfs_remove_live(const struct live_mount *m, struct err *e);

/* Init side: opens a terminal of the container's own devpts, binds it on /dev/console (when there is a /dev), chowns the slave to
 * uid, sets the window size (0,0: leave). root (borrowed) is rootfs_mount()'s. *master and *slave receive descriptors, pty_name
 * e.g. "/dev/pts/0". Also used by exec, with the container's root and bind_console = false. Where the container has no devpts, the
 * terminal comes from a devpts instance of its own that is mounted nowhere (needs CAP_SYS_ADMIN): it works, but ttyname(3) finds
 * no name for it inside. */
must_check int console_open(int root, uint32_t uid, uint16_t rows, uint16_t cols, bool bind_console, int *master, int *slave,
			    char pty_name[32], struct err *e);

/* Init side: makes `root` (borrowed) the root directory, then late read-only mounts, masks, read-only paths and root, propagation. */
must_check int rootfs_enter(const struct rootfs_plan *p, struct rootfs_sources *s, int root, struct err *e);

/* Prints the plan, one operation a line, for `drupe plan` and golden tests. */
struct strbuf;
void rootfs_plan_print(const struct rootfs_plan *p, struct strbuf *out);
