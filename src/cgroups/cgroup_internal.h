/* cgroup_internal.h - what the files of cgroups/ share; nobody else includes it (but their unit tests) */
#pragma once
#include "cgroups/cgroup.h"

#include <stddef.h>

/* ---- plan: texts collected while it is made ---- */
struct cg_builder {
	const struct oci_resources *res;
	const struct host *host;
	struct arena *arena;
	const struct cgroup_dir *dirs;
	size_t n_dirs;
	struct cgroup_write *writes;
	size_t n, room;
};

void cg_add_write(struct cg_builder *b, const struct cgroup_write *w);

/* true when the list ("cpu,cpuacct", or "cpu io" of cgroup2) has the word. */
bool cg_list_has(const char *list, const char *word);

/* The directory whose v1 hierarchy has the controller, or NULL. */
const struct cgroup_dir *cg_find_v1(const struct cg_builder *b, const char *controller);
/* The cgroup2 directory, or NULL. */
const struct cgroup_dir *cg_find_v2(const struct cg_builder *b);

/* Adds the writes of linux.resources but the devices' and the unified ones. */
must_check int cg_plan_resources(struct cg_builder *b, struct err *e);
/* Adds those of linux.resources.unified. */
must_check int cg_plan_unified(struct cg_builder *b, struct err *e);

/* The controllers whose files the writes from number `first` on need on cgroup2. */
const char *cg_needed_controllers(const struct cg_builder *b, size_t first);

/* ---- conversions from the units of v1 to those of v2 (pure) ---- */
uint64_t cg_weight_of_shares(uint64_t shares);   /* cpu.shares -> cpu.weight; 0 stays 0 ("not set") */
uint64_t cg_weight_of_blkio(uint64_t weight);    /* 10..1000 -> 1..10000                            */

/* ---- devices ---- */
enum { CG_DEV_MKNOD = 1, CG_DEV_READ = 2, CG_DEV_WRITE = 4, CG_DEV_ALL = 7 }; /* BPF_DEVCG_ACC_* */

/* One checked rule. type: 'b' or 'c', or 'a' only for "every access to every device". */
struct cg_dev_rule {
	bool allow, ours; /* ours: one of the defaults, not from the config */
	char type;
	uint8_t access;
	int64_t major, minor; /* -1: any */
	size_t index;         /* in linux.resources.devices */
};

struct cg_dev_rules {
	struct cg_dev_rule *v;
	size_t n;
};

/* The rules that are to hold, in order: deny all, the config's, the defaults. n == 0: everything is allowed, nothing to do. */
must_check int cg_device_rules(const struct oci_device_rule_list *list, struct arena *a, struct cg_dev_rules *out, struct err *e);

/* Adds the writes for the v1 controller. ENOTSUP where it cannot express the rules. */
must_check int cg_plan_devices_v1(struct cg_builder *b, const struct cgroup_dir *dir, const struct cg_dev_rules *rules,
				  bool may_be_refused, struct err *e);

/* The rules as v1 has them: a default and exceptions to it. ENOTSUP as above. */
must_check int cg_device_exceptions(const struct cg_dev_rules *rules, struct arena *a, bool *by_default, struct cg_dev_rules *out,
				    struct err *e);
/* The same, but an exception of which a part is taken out stays whole. */
void cg_devices_left(const struct cg_dev_rules *rules, struct arena *a, struct cg_dev_rules *out);
/* "c 1:3 rwm" */
const char *cg_device_text(struct arena *a, const struct cg_dev_rule *r);

/* Assembles the eBPF program; *n receives the number of instructions. */
const void *cg_device_program(const struct cg_dev_rules *given, struct arena *a, size_t *n);

/* Loads the program and makes it the only one of the cgroup2 directory. */
must_check int cg_device_attach(int dir_fd, const void *prog, size_t n, struct err *e);

/* ---- delegation ---- */

/* true when the container is to own its cgroup; *out is the host's number of its user. */
bool cg_plan_owner(const struct oci_spec *spec, const struct host *h, struct arena *a, uid_t *out);

/* Gives the directory, and the files in it that the kernel allows to be given, to owner. */
must_check int cg_give_away(const struct cgroup_dir *d, uid_t owner, struct err *e);

/* ---- acting ---- */

/* Enables the plan's controllers in all parents of a cgroup2 directory; one that a write needs must be there. */
must_check int cg_enable_controllers(const struct cgroup_plan *p, const struct cgroup_dir *d, struct arena *a, struct err *e);

/* Writes the plan's texts. skip[i]: directory i of the plan could not be made and need not be. */
must_check int cg_write_all(const struct cgroup_plan *p, const bool *skip, struct err *e);

/* Goes through a directory and all below it by descriptors, so that neither depth nor length of a path matters. enter is called on
 * arrival, leave (may be NULL) once all below is done, for every directory but the top one. A negative result of either ends the
 * walk. What vanishes on the way is passed over; a top directory that does not exist is no error. */
struct cg_visitor {
	int (*enter)(void *ctx, int dir_fd, struct err *e);
	int (*leave)(void *ctx, int parent_fd, const char *name, struct err *e);
	void *ctx;
};
must_check int cg_walk(const char *top, const struct cg_visitor *v, struct err *e);

/* A growing list of pids. */
struct cg_pids {
	struct arena *arena;
	pid_t *v;
	size_t n, room;
};

/* Adds the members of one directory. Those of other pid namespaces (shown as 0) are left out. */
must_check int cg_pids_read(struct cg_pids *p, int dir_fd, struct err *e);
/* Adds the members of the directory and all below. */
must_check int cg_pids_below(struct cg_pids *p, const char *top, struct err *e);

/* true when pid is a member of that very directory. */
bool cg_has_member(const char *path, pid_t pid);

/* The value of a "KEY NUMBER" line of a flat-keyed file such as cgroup.events; -1: no such file or key. */
long cg_flat_key(int dir_fd, const char *file, const char *key);

/* Waits until cgroup.events of a cgroup2 directory shows `key value`. 1 it does, 0 timed out, -errno. */
must_check int cg_wait_event(const char *path, const char *key, long value, int64_t deadline_ms, struct err *e);

/* The directory with the v1 freezer, or the cgroup2 one, or NULL. */
const struct cgroup_dir *cg_freezer(const struct cgroup_ref *r);
/* Thaws every v1 freezer at and below the directory: a container may have frozen a part of itself. */
must_check int cg_thaw_below(const char *top, struct err *e);

/* Removes the parents of path that cg_make_dir() made and that are empty, up to the mount. */
void cg_remove_parents(const char *mount, const char *path);

/* Locks the directory: nobody else may take or remove it while it looks unused. *claim, which may be open already, receives the
 * descriptor that holds the lock, *mode the directory's. 1: the directory is not there, or another by now. EBUSY: another one has
 * the lock. */
must_check int cg_claim(const char *path, int *claim, mode_t *mode, struct err *e);

/* The same for a cgroup that is to end; waits a moment for who has just looked at it. False: somebody keeps the lock, who may be
 * making a cgroup of that path for another container. It is no reason not to end what is surely ours. */
bool cg_hold(const struct cgroup_ref *r, int *claim);

/* Removes a directory and the empty ones below it. 0 it is gone, 1 there are processes left. */
must_check int cg_remove_dir(const char *path, struct err *e);

/* The directories of an identified ref that are still the container's; all of another ref. */
must_check int cg_own_part(const struct cgroup_ref *r, struct arena *a, struct cgroup_ref *out, struct err *e);

/* true when there are processes in the directory or below. */
must_check int cg_is_populated(const struct cgroup_dir *d, bool *out, struct err *e);

/* "DIR/FILE" of a cgroup directory in the arena. */
const char *cg_file(struct arena *a, const char *dir, const char *file);

/* Sleeps for a moment where the kernel offers nothing to wait for. */
void cg_nap(int ms);
