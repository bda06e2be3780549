/* Which devices a container may use: from OCI rules to rules that hold.
 *
 * The start is always "nothing", also when linux.resources.devices is empty: a list that forgets its deny-all must not open every
 * disk. Then come the defaults - mknod of anything, use of the harmless devices that every container has - and then the config's
 * rules in their order, the last match winning for each of read, write and mknod by itself. A rule for all devices and all access
 * makes what was before it void; the defaults follow the last one that denies. So callers' usual "deny all, allow these" gets the
 * defaults added, an explicit later denial of a default device is honoured, and a final "allow all" is just that.
 *
 * Rules are read strictly: type a, b or c; access a non-empty set of r, w, m; numbers below 2^32-1, or -1 for any. Type "a" with
 * anything else less than all means both b and c - the v1 kernel file would take it for "everything".
 *
 * cgroup v2 checks by an eBPF program (cgroup_bpf.c) exactly as described. The v1 controller knows a default and exceptions to it,
 * each for a type, a number or any, and cannot have exceptions to exceptions; so the rules are reduced to such a list
 * (cgroup_exceptions.c), and what cannot be expressed is refused.
 */
#include "base/str.h"
#include "cgroups/cgroup_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define WHERE "linux.resources.devices"

/* clang-format off */
static const struct cg_dev_rule defaults[] = {
	{ true, true, 'c', CG_DEV_MKNOD, -1, -1, 0 },
	{ true, true, 'b', CG_DEV_MKNOD, -1, -1, 0 },
	{ true, true, 'c', CG_DEV_ALL, 1, 3, 0 },     /* null    */
	{ true, true, 'c', CG_DEV_ALL, 1, 5, 0 },     /* zero    */
	{ true, true, 'c', CG_DEV_ALL, 1, 7, 0 },     /* full    */
	{ true, true, 'c', CG_DEV_ALL, 1, 8, 0 },     /* random  */
	{ true, true, 'c', CG_DEV_ALL, 1, 9, 0 },     /* urandom */
	{ true, true, 'c', CG_DEV_ALL, 5, 0, 0 },     /* tty     */
	{ true, true, 'c', CG_DEV_ALL, 5, 2, 0 },     /* ptmx    */
	{ true, true, 'c', CG_DEV_ALL, 136, -1, 0 },  /* pts     */
	{ true, true, 'c', CG_DEV_ALL, 10, 200, 0 },  /* net/tun */
};
/* clang-format on */
#define N_DEFAULTS (sizeof(defaults) / sizeof(defaults[0]))

static int read_access(const struct oci_device_rule *r, uint8_t *out, struct err *e)
{
	uint8_t access = 0;

	if (!r->access && r->allow)
		return err_set(e, EINVAL, "access is missing");
	for (const char *c = r->access ? r->access : "rwm"; *c; c++) {
		uint8_t bit = *c == 'r' ? CG_DEV_READ : *c == 'w' ? CG_DEV_WRITE : *c == 'm' ? CG_DEV_MKNOD : 0;

		if (!bit || (access & bit))
			return err_set(e, EINVAL, "access \"%.20s\" is not a set of r, w, m", r->access);
		access |= bit;
	}
	if (!access)
		return err_set(e, EINVAL, "access is empty");
	*out = access;
	return 0;
}

static int read_number(struct opt_i64 v, const char *name, int64_t *out, struct err *e)
{
	*out = v.set ? v.value : -1;
	if (*out < -1 || *out >= UINT32_MAX) /* the v1 controller takes 2^32-1 for "any" */
		return err_set(e, EINVAL, "%s %" PRId64 " is neither a device number nor -1", name, *out);
	return 0;
}

static int read_rule(const struct oci_device_rule *r, struct cg_dev_rule *out, struct err *e)
{
	const char *type = r->type ? r->type : "a";

	if (strlen(type) != 1 || !strchr("abc", *type))
		return err_set(e, EINVAL, "type \"%.20s\" is not a, b or c", type);
	out->type = *type;
	out->allow = r->allow;
	if (read_access(r, &out->access, e) < 0 || read_number(r->major, "major", &out->major, e) < 0)
		return -e->code;
	return read_number(r->minor, "minor", &out->minor, e);
}

static bool is_reset(const struct cg_dev_rule *r)
{
	return r->type == 'a' && r->access == CG_DEV_ALL && r->major == -1 && r->minor == -1;
}

static void add_defaults(struct cg_dev_rules *out)
{
	memcpy(out->v + out->n, defaults, sizeof(defaults));
	out->n += N_DEFAULTS;
}

static void add_rule(struct cg_dev_rules *out, const struct cg_dev_rule *r)
{
	if (is_reset(r)) {
		out->v[0] = *r;
		out->n = 1;
		if (!r->allow)
			add_defaults(out);
		return;
	}
	for (const char *type = r->type == 'a' ? "bc" : (char[]){ r->type, '\0' }; *type; type++) {
		out->v[out->n] = *r;
		out->v[out->n++].type = *type;
	}
}

int cg_device_rules(const struct oci_device_rule_list *list, struct arena *a, struct cg_dev_rules *out, struct err *e)
{
	struct cg_dev_rules rules = { .v = arena_alloc(a, (1 + N_DEFAULTS + 2 * list->n) * sizeof(*rules.v)) };

	add_rule(&rules, &(struct cg_dev_rule){ .ours = true, .type = 'a', .access = CG_DEV_ALL, .major = -1, .minor = -1 });
	for (size_t i = 0; i < list->n; i++) {
		struct cg_dev_rule r = { .index = i };

		if (read_rule(&list->v[i], &r, e) < 0)
			return err_in(e, WHERE "[%zu]", i);
		add_rule(&rules, &r);
	}
	if (rules.n == 1 && rules.v[0].allow)
		rules.n = 0;
	*out = rules;
	return 0;
}

/* ---- the v1 controller ---- */

static const char *number_text(struct arena *a, int64_t n)
{
	return n == -1 ? "*" : arena_printf(a, "%" PRId64, n);
}

const char *cg_device_text(struct arena *a, const struct cg_dev_rule *r)
{
	return arena_printf(a, "%c %s:%s %s%s%s", r->type, number_text(a, r->major), number_text(a, r->minor),
			    r->access & CG_DEV_READ ? "r" : "", r->access & CG_DEV_WRITE ? "w" : "",
			    r->access & CG_DEV_MKNOD ? "m" : "");
}

int cg_plan_devices_v1(struct cg_builder *b, const struct cgroup_dir *dir, const struct cg_dev_rules *rules, bool may_be_refused,
		       struct err *e)
{
	struct cg_dev_rules x = { 0 };
	bool by_default = false;

	if (cg_device_exceptions(rules, b->arena, &by_default, &x, e) < 0)
		return -e->code;
	/* Inside a container everything is what that one may use: "allow all" is then refused, and nobody has less. */
	cg_add_write(b, &(struct cgroup_write){ .dir = dir,
						.file = by_default ? "devices.allow" : "devices.deny",
						.text = "a",
						.where = WHERE,
						.may_be_refused = may_be_refused || by_default });
	for (size_t i = 0; i < x.n; i++) {
		const struct cg_dev_rule *r = &x.v[i];

		cg_add_write(b, &(struct cgroup_write){ .dir = dir,
							.file = by_default ? "devices.deny" : "devices.allow",
							.text = cg_device_text(b->arena, r),
							.where = r->ours ? WHERE " (default)"
									 : arena_printf(b->arena, WHERE "[%zu]", r->index),
							.may_be_refused = may_be_refused || (r->ours && r->allow) });
	}
	return 0;
}
