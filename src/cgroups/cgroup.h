/* cgroup.h - the container's cgroup: place, limits, members, end
 *
 * cgroup_plan_build() decides, from spec and host facts only: in which hierarchies which directory is made, and which file gets
 * which text, in order. The other functions act. A cgroup is known afterwards by its struct cgroup_ref alone, which is stored in
 * the container's state.
 * Kernel documents: admin-guide/cgroup-v1/, admin-guide/cgroup-v2.rst.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "host/host.h"
#include "oci/spec.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum cgroup_manager { CGROUP_MANAGER_FS, CGROUP_MANAGER_SYSTEMD, CGROUP_MANAGER_DISABLED };

/* One directory of the container's cgroup. */
struct cgroup_dir {
	const char *controllers; /* "memory", "cpu,cpuacct", "name=systemd"; "" for cgroup2 */
	const char *mount;       /* "/sys/fs/cgroup/memory"                                  */
	const char *path;        /* absolute: mount + path of the cgroup                     */
	bool v2;
	uint64_t ino; /* of the directory: no other has that number while the machine runs; 0: not known */
};

/* Everything needed to find a container's cgroup again. */
struct cgroup_ref {
	enum cgroup_manager manager;
	enum cgroup_mode mode;
	const char *path;        /* within the hierarchies: "/drupe-ID"; "" when there is none */
	const char *scope;       /* systemd unit, or NULL                                      */
	const struct cgroup_dir *dirs; /* that of cgroup2, if there is one, first */
	size_t n_dirs;
	/* Nothing was asked for and we may lack the permission (rootless): directories that cannot be made or joined are left out.
	 * Not part of the stored state: whoever reads a ref from there sets it anew from euid and options before cgroup_join(). */
	bool optional;
	/* From the stored state: a directory with another ino than ours is somebody else's, and left alone. One whose ino is not
	 * known may be, because the creator died before it could note it: it is removed if nothing is in it. */
	bool identified;
	const char *helper; /* the program that talks to systemd; NULL: where it is installed. Not part of the stored state either */
};

/* One property of a systemd unit. */
struct cgroup_property {
	const char *name, *type; /* type: as D-Bus spells it, "t" */
	const char *words;       /* its value: words of printable ASCII, separated by blanks; "" for an empty list */
	bool at_start;           /* cannot be changed later */
};

/* The systemd unit whose cgroup the container's is. */
struct cgroup_unit {
	const char *name, *slice;
	bool is_slice, user; /* user: of the user's own manager */
	const struct cgroup_property *properties;
	size_t n;
};

/* One file to write. */
struct cgroup_write {
	const struct cgroup_dir *dir;
	const char *file, *text;
	const char *where;               /* JSON path it comes from: "linux.resources.memory.limit" */
	const char *alt_file, *alt_text; /* written instead where `file` does not exist or has no effect; NULL: none */
	bool may_be_missing;  /* no such file means nothing to limit (e.g. swap limit "0" without swap accounting) */
	bool may_be_refused;  /* EPERM, EACCES: the kernel allows us no more than this anyway (devices)           */
	bool next_first;      /* EINVAL: the next one has to be written before this one (quota and period)        */
	bool check_usage;     /* refuse (EBUSY) when memory.current is above the value                            */
};

struct cgroup_plan {
	struct cgroup_ref ref;
	const struct cgroup_write *writes;
	size_t n_writes;
	const struct cgroup_unit *unit; /* NULL: not made by systemd */
	const char *controllers; /* v2: to be enabled for it, "cpu io memory pids"; those no write needs are a wish only */
	const void *device_prog; /* v2: eBPF instructions of the device filter, NULL none                             */
	size_t device_prog_len;  /* instructions                                                                      */
	bool guard_first; /* cgroup_guard() is wanted before init begins: that is to make a device which may not be, or to use one */
	bool devices_may_be_refused; /* not root of the first user namespace: the kernel keeps devices from us by itself */
	bool no_birth;  /* v2: no process may be born in it, as with pids.limit 0, but one may join: cgroup_join() in place of cgroup_open() */
	bool delegated; /* v2: the container may make cgroups below its own, so that one is given to `owner` */
	uid_t owner;
};

struct cgroup_options {
	enum cgroup_manager manager;
	bool ignore_permission; /* --rootless: EPERM, EACCES, EROFS on cgroups are not errors when no limits were asked for */
};

/* Pure. EINVAL/ENOTSUP with the JSON path for resources that cannot be honoured here.
 *
 * Place: linux.cgroupsPath, absolute or relative, is a path below the root of each hierarchy's mount, so the same path is always
 * the same cgroup. Without it: "/drupe-ID", at the top, so that no parent is made and removed each time; for those who
 * are not root on cgroup v2, drupe-ID beside their own cgroup. A path that is
 * "/" or climbs above it with ".." is refused.
 * With CGROUP_MANAGER_SYSTEMD, linux.cgroupsPath is "slice:prefix:name" and the place is a systemd unit's: cgroup_unit_name.c.
 * Devices: see cgroup_devices.c. CGROUP_MANAGER_DISABLED makes no cgroup, hence no device filter; limits are then an error. */
must_check int cgroup_plan_build(const struct oci_spec *spec, const char *id, const struct cgroup_options *o, const struct host *h,
				 struct arena *a, struct cgroup_plan *out, struct err *e);

/* Makes the directories (parents too, controllers enabled on the way) and applies the limits. Refuses one that exists and has
 * processes or is frozen, or that another process is just making (EBUSY). On failure, what was made is removed again.
 * *claim receives a descriptor, -1 when there is no cgroup: while it is open nobody else takes it. To be closed when the first
 * process is in it. */
must_check int cgroup_create(const struct cgroup_plan *p, int *claim, struct err *e);

/* Puts the device filter of cgroup2 in force, in place of any other; the rules of v1 cgroup_create() has written. For nothing of the
 * container's own may run before, but the kernel takes its time to check it: the first process of ours may be in the cgroup already. */
must_check int cgroup_guard(const struct cgroup_plan *p, struct err *e);

/* Notes which directories they are, right after cgroup_create(). Those that could not be made have none. */
must_check int cgroup_identify(struct cgroup_ref *r, struct arena *a, struct err *e);

/* To be called before cgroup_create(): has systemd make the plan's unit. *holder receives a child process that keeps it there until
 * the container's first one has joined, which must not be by CLONE_INTO_CGROUP: the holder counts for pids.limit. 0 when the plan
 * has no unit or that needs no holder. On failure nothing is left. */
must_check int cgroup_hold(const struct cgroup_plan *p, pid_t *holder, struct err *e);
/* Ends and reaps the holder, if there is one, and sets it to 0. */
void cgroup_let_go(pid_t *holder);

/* What a process can be born by in the plan's cgroup, with CLONE_INTO_CGROUP: dir_fd, which is a descriptor of it; or -1. */
int cgroup_birth(const struct cgroup_plan *p, int dir_fd);

/* A descriptor of the directory of cgroup2 for CLONE_INTO_CGROUP. -ENOENT without *e being an error when there is none to offer
 * (v1, disabled, a unit of a user's systemd): use cgroup_join() then. */
int cgroup_open(const struct cgroup_ref *r, struct err *e);

/* The same for where a process of the container is, which may be a cgroup below: proc_dir is its /proc/PID. ENOENT: it is elsewhere. */
must_check int cgroup_open_of(const struct cgroup_ref *r, int proc_dir, struct err *e);

/* true where a process that is to be in it had better call cgroup_join() for itself: v1 hierarchies. */
bool cgroup_joins_itself(const struct cgroup_ref *r);

/* Puts pid into every directory of the ref; born: but into that of cgroup2, in which it is by CLONE_INTO_CGROUP. subs: paths below the
 * container's cgroup for exec --cgroup, NULL-terminated, or NULL. "PATH" is for every hierarchy that has it, and one at least must;
 * "cpu,memory:PATH" for those v1 hierarchies, which must have it. pid 0: the caller itself, which
 * must have one thread only and then joins v1 hierarchies without the kernel's global lock; forty times as fast. */
must_check int cgroup_join(const struct cgroup_ref *r, const char *const *subs, pid_t pid, bool born, struct err *e);

/* All processes in the cgroup and those below it, sorted, without repeats. */
must_check int cgroup_procs(const struct cgroup_ref *r, struct arena *a, pid_t **out, size_t *n, struct err *e);

/* Sends sig to every process in it; SIGKILL by cgroup.kill or freeze + kill + thaw until empty (ETIMEDOUT after 10 s), which ends
 * frozen ones, too. The caller itself is left out where processes are signalled one by one. */
must_check int cgroup_signal(const struct cgroup_ref *r, int sig, struct err *e);

/* Kills what is left in it and removes all directories (children first). No error when there is none. timeout_ms bounds the wait
 * for processes to end (ETIMEDOUT, EBUSY). Parents that cgroup_create() made go with the last cgroup in them, those that were there
 * before stay. */
must_check int cgroup_remove(const struct cgroup_ref *r, int timeout_ms, struct err *e);

/* true when the freezer says frozen (or freezing). */
must_check int cgroup_frozen(const struct cgroup_ref *r, bool *out, struct err *e);
/* Freezes or thaws and waits for it. ETIMEDOUT, and thawed again, when it cannot be frozen in time. ENOTSUP without a freezer. What is not
 * there any more counts as thawed. */
must_check int cgroup_freeze(const struct cgroup_ref *r, bool frozen, int timeout_ms, struct err *e);

/* The resources a container has after an update: what the update names, and for the rest the old. Lists by device, name or size are
 * merged entry by entry, the list of device rules is replaced. Pure. */
const struct oci_resources *cgroup_resources_merge(const struct oci_resources *old, const struct oci_resources *update, struct arena *a);

/* Plans what an update writes into the cgroup of a ref: only what it names and what the kernel wants together with that. old: what
 * the container has now. Pure; errors as of cgroup_plan_build(). */
must_check int cgroup_update_plan(const struct cgroup_ref *r, const struct oci_resources *old, const struct oci_resources *update,
				  const struct host *h, struct arena *a, struct cgroup_plan *out, struct err *e);

/* What must succeed after the writes, else they are taken back. */
struct cgroup_then { int (*act)(void *ctx, struct err *e); void *ctx; };

/* Carries it out, and then `then` (NULL: nothing). EBUSY: a limit below what is in use (on v2 only with memory.checkBeforeUpdate). On failure
 * single values are as before; devices and lists by device are as far as it got. */
must_check int cgroup_update(const struct cgroup_plan *p, const struct cgroup_then *then, struct err *e);

struct strbuf;
/* One decision a line. */
void cgroup_plan_print(const struct cgroup_plan *p, struct strbuf *out);
