/* resctrl.h - linux.intelRdt: the container's class of cache and memory bandwidth, and its monitoring group
 *
 * resctrl_plan_build() decides, from spec and host facts only: which class (a directory of the resctrl file system) the container
 * is in, what it is to allow, whether it may be made. The other functions act. The groups are known afterwards by their struct
 * resctrl_ref alone, which is stored in the container's state.
 * Kernel document: filesystems/resctrl.rst (before 6.16 arch/x86/resctrl.rst).
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "host/host.h"
#include "oci/spec.h"

#include <stdbool.h>
#include <sys/types.h>

/* Everything needed to find a container's groups again. */
struct resctrl_ref {
	const char *mount;     /* "/sys/fs/resctrl"; NULL: the config has no intelRdt, nothing of resctrl is touched */
	const char *group;     /* the class: "/sys/fs/resctrl/web"; the mount itself is the root class              */
	const char *mon_group; /* "/sys/fs/resctrl/web/mon_groups/ID"; NULL: no monitoring                          */
	bool owns_group, owns_mon_group; /* made for this container alone: go with it                               */
};

/* One line of "schemata". */
struct resctrl_line { const char *text, *where; }; /* where: JSON path it comes from */

struct resctrl_plan {
	struct resctrl_ref ref; /* without owns_*: what is there already is not known to a plan */
	const char *where;      /* JSON path of what names the class                         */
	bool own_class;         /* named by the container's id: goes with it, if it was made for it */
	bool must_exist;        /* nothing says what it is to allow */
	const struct resctrl_line *lines; /* in order: l3CacheSchema, memBwSchema, schemata */
	size_t n_lines;
};

/* Pure. ENOTSUP: no resctrl is mounted. EINVAL with the JSON path: a class by that name cannot be. */
must_check int resctrl_plan_build(const struct oci_spec *spec, const char *id, const struct host *h, struct arena *a,
				  struct resctrl_plan *out, struct err *e);

/* Looks what of the plan is there already, and makes *out the ref to be stored before resctrl_create(). ENOENT: the class must exist
 * and does not; EEXIST: the monitoring group does. */
must_check int resctrl_claim(const struct resctrl_plan *p, struct resctrl_ref *out, struct err *e);

/* Makes the class and writes its schemata, or compares those of one that exists (EINVAL: they differ); makes the monitoring group.
 * owns_* of *out say what was made here, named class or not. On failure, what was made is removed again. */
must_check int resctrl_create(const struct resctrl_plan *p, struct resctrl_ref *out, struct err *e);

/* Changes the class of a container, when it is its alone: lines of schemata, each with its newline; others stay. *before: what it was,
 * to be written back the same way. EPERM: it is not. */
must_check int resctrl_update(const struct resctrl_ref *r, const char *lines, struct arena *a, const char **before, struct err *e);

/* Puts pid, which has one thread, into the class and the monitoring group; what it forks is born there. */
must_check int resctrl_join(const struct resctrl_ref *r, pid_t pid, struct err *e);

/* Tells the numbers of all threads of a container that lives. */
struct resctrl_threads {
	int (*list)(void *ctx, struct arena *a, pid_t **out, size_t *n, struct err *e);
	void *ctx;
};
/* Puts all threads of a container that lives into its class. EBUSY: it makes new ones faster than that. */
must_check int resctrl_join_all(const struct resctrl_ref *r, const struct resctrl_threads *threads, struct err *e);

/* true when any process is in the class. */
bool resctrl_in_use(const struct resctrl_ref *r);

/* What the class allows and has used. Members are NULL and 0 where the processor has no such thing. */
struct resctrl_stats {
	const char *l3_mask;
	uint64_t l3_min_bits, l3_classes;
	const char *l3_root, *l3; /* lines of "schemata": of the root class, of the container's */
	uint64_t mb_gran, mb_linear, mb_min, mb_classes;
	const char *mb_root, *mb;
	struct resctrl_traffic { uint64_t total, local; } *traffic; /* bytes, a node each */
	size_t n_traffic;
	uint64_t *occupancy; /* bytes of the cache, a node each */
	size_t n_occupancy;
};
void resctrl_stats_read(const struct resctrl_ref *r, struct arena *a, struct resctrl_stats *out);

/* Removes the groups it owns. No error when there are none. */
must_check int resctrl_remove(const struct resctrl_ref *r, struct err *e);

/* Pure. true when the text of a schemata file has every value that the line `want` asks for; the file may write numbers otherwise, and
 * name more domains in another order. gran: bandwidth values of the file are multiples of it, by rounding up; 0, 1: exact. */
bool resctrl_schemata_have(const char *file, const char *want, unsigned gran);

struct strbuf;
/* One decision a line. */
void resctrl_plan_print(const struct resctrl_plan *p, struct strbuf *out);
