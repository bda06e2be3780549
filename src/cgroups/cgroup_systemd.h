/* cgroup_systemd.h - what the files of the systemd driver share; for cgroups/ and its unit tests only
 *
 * Plan (pure): cgroup_unit_name.c says which unit and where, cgroup_unit_props.c with which properties, cgroup_unit_text.c reads
 * properties from annotations. Action: cgroup_systemd.c, by the helper program libexec/drupe/systemd.
 */
#pragma once
#include "cgroups/cgroup_internal.h"

/* Properties while they are collected. */
struct cg_props {
	struct arena *arena;
	struct cgroup_property *v;
	size_t n, room;
};

/* Adds a property; one of the same name that is there already is replaced. words: see struct cgroup_property. */
void cg_prop_set(struct cg_props *p, bool at_start, const char *name, const char *type, const char *words);

/* Adds a word to words: bytes that are not printable ASCII, blanks and backslashes as "\xHH", an empty one as "\e". */
void cg_add_word(struct strbuf *words, const char *word);

/* Which unit, in which slice, of which manager, and where its cgroup will be. EINVAL: names that systemd would not take. */
must_check int cg_plan_unit(const struct oci_spec *spec, const char *id, const struct host *h, struct arena *a,
			    struct cgroup_unit *out, const char **path, struct err *e);

/* "/a.slice/a-b.slice" of "a-b.slice"; "" of "-.slice". */
const char *cg_slice_path(struct arena *a, const char *slice);

/* All properties: those of the unit's kind, of linux.resources (which must have been found valid) and of annotations. */
must_check int cg_plan_properties(const struct oci_spec *spec, const char *id, const struct host *h, struct arena *a,
				  struct cgroup_unit *unit, struct err *e);

/* For cgroup_update(): the properties that an update changes; *out is NULL where there is nothing to tell systemd. */
must_check int cg_plan_unit_update(const struct cgroup_ref *ref, const struct oci_resources *update, struct arena *a,
				   const struct cgroup_unit **out, struct err *e);

/* One "org.systemd.property.NAME" annotation, text in the format of GVariant: booleans, numbers, strings, arrays of strings.
 * "XxxSec" becomes "XxxUSec" in microseconds. */
must_check int cg_prop_parse(struct cg_props *p, const char *name, const char *text, struct err *e);

/* ---- acting ---- */

/* true for a unit of the manager of a user. */
bool cg_unit_is_users(const struct cgroup_ref *r);

/* Moves the process into the unit's cgroup, or that named sub below it (NULL: none), by systemd's hand. */
must_check int cg_unit_attach(const struct cgroup_ref *r, const char *sub, pid_t pid, struct err *e);

/* The number that systemd gave this run of the unit, from an attribute of its directory; NULL: it left none. */
const char *cg_unit_invocation(const struct cgroup_ref *r, struct arena *a);

/* Ends the unit and makes systemd forget it; not one that was started later under the same name, where its invocation is known. No
 * error when there is none. */
must_check int cg_unit_stop(const struct cgroup_ref *r, const char *invocation, struct err *e);

/* Gives systemd the plan's values for a unit that runs, so that a reload of it does not bring back old ones. Nothing without unit.
 */
must_check int cg_unit_update(const struct cgroup_plan *p, struct err *e);
