/* The `linux` object, except for resources and seccomp. */
#include "oci/shapes.h"
#include "oci/spec.h"

#include <errno.h>
#include <string.h>

/* ---- namespaces ---- */

static int check_namespaces(void *list, struct checker *c)
{
	const struct any_list *l = list;
	const struct oci_namespace *v = l->v;
	unsigned seen = 0;
	int r = 0;

	for (size_t i = 0; i < l->n; i++) {
		unsigned bit = 1u << v[i].type;

		if (seen & bit)
			r |= check_fail(c, NULL, (long)i, "namespace \"%s\" is listed twice", oci_ns_names[v[i].type]);
		seen |= bit;
	}
	return r;
}

static int check_time_offset(void *object, struct checker *c)
{
	const struct oci_time_offset *t = object;

	if (strcmp(t->clock, "monotonic") != 0 && strcmp(t->clock, "boottime") != 0)
		return check_fail(c, NULL, -1, "unknown clock, monotonic and boottime have offsets");
	if (t->nanosecs >= 1000000000)
		return check_fail(c, "nanosecs", -1, "%u is out of range, 0 to 999999999", t->nanosecs);
	return 0;
}

/* ---- devices ---- */

/* The bits of a device number are 12 and 20 on Linux; more would be cut off silently. */
static int check_device_number(struct checker *c, const char *member, const struct opt_i64 *n, int64_t max)
{
	if (!n->set)
		return check_fail(c, NULL, -1, "member \"%s\" is required for types c, b and u", member);
	if (n->value < 0 || n->value > max)
		return check_fail(c, member, -1, "%lld is out of range, 0 to %lld", (long long)n->value, (long long)max);
	return 0;
}

static int check_device(void *object, struct checker *c)
{
	struct oci_device *d = object;
	int r = 0;

	d->file_mode.value &= 07777; /* some callers send the whole st_mode */
	if (!d->type[0] || d->type[1] || !strchr("cbup", d->type[0]))
		return check_fail(c, "type", -1, "\"%.40s\" is none of c, b, u, p", d->type);
	if (d->type[0] != 'p')
		r = check_device_number(c, "major", &d->major, 0xFFF) | check_device_number(c, "minor", &d->minor, 0xFFFFF);
	if (d->uid.set && d->uid.value == UINT32_MAX)
		r |= check_fail(c, "uid", -1, "%u is not an id", UINT32_MAX);
	if (d->gid.set && d->gid.value == UINT32_MAX)
		r |= check_fail(c, "gid", -1, "%u is not an id", UINT32_MAX);
	return r;
}

/* ---- intelRdt ---- */

static int check_intel_rdt(void *object, struct checker *c)
{
	const struct oci_intel_rdt *t = object;
	const char *id = t->clos_id;
	int r = 0;

	/* closID becomes a directory name below resctrl; "/" is resctrl itself */
	if (id && strcmp(id, "/") != 0 && (strchr(id, '/') || !strcmp(id, ".") || !strcmp(id, "..")))
		r |= check_fail(c, "closID", -1, "\"%.80s\" is neither one file name nor \"/\"", id);
	if (t->l3_cache_schema && strchr(t->l3_cache_schema, '\n'))
		r |= check_fail(c, "l3CacheSchema", -1, "must be one line");
	if (t->mem_bw_schema && (strncmp(t->mem_bw_schema, "MB:", 3) != 0 || strchr(t->mem_bw_schema, '\n')))
		r |= check_fail(c, "memBwSchema", -1, "must be one line that begins with MB:");
	for (size_t i = 0; i < t->schemata.n; i++)
		if (strchr(t->schemata.v[i], '\n'))
			r |= check_fail(c, "schemata", (long)i, "must be one line");
	return r;
}

/* ---- memoryPolicy ---- */

static bool has_word(const struct strs *words, const char *word)
{
	for (size_t i = 0; i < words->n; i++)
		if (!strcmp(words->v[i], word))
			return true;
	return false;
}

/* What the kernel would answer EINVAL to, set_mempolicy(2). */
static int check_mpol_flags(const struct oci_mem_policy *p, struct checker *c)
{
	bool fixed = has_word(&p->flags, "MPOL_F_STATIC_NODES"), relative = has_word(&p->flags, "MPOL_F_RELATIVE_NODES");
	int r = 0;

	if (fixed && relative)
		r |= check_fail(c, "flags", -1, "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other");
	if ((fixed || relative) && !p->nodes)
		r |= check_fail(c, "flags", -1, "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES need nodes");
	if (has_word(&p->flags, "MPOL_F_NUMA_BALANCING") && p->mode != OCI_MPOL_BIND && p->mode != OCI_MPOL_PREFERRED_MANY)
		r |= check_fail(c, "flags", -1, "MPOL_F_NUMA_BALANCING is for MPOL_BIND and MPOL_PREFERRED_MANY only");
	return r;
}

static int check_mem_policy(void *object, struct checker *c)
{
	const struct oci_mem_policy *p = object;
	bool without = p->mode == OCI_MPOL_DEFAULT || p->mode == OCI_MPOL_LOCAL;
	int r = check_mpol_flags(p, c);

	if (without && p->nodes)
		r |= check_fail(c, "nodes", -1, "%s takes no nodes", oci_mpol_names[p->mode]);
	if (!without && !p->nodes && p->mode != OCI_MPOL_PREFERRED) /* preferred without nodes is local */
		r |= check_fail(c, NULL, -1, "%s needs nodes", oci_mpol_names[p->mode]);
	if (p->nodes && p->nodes[strspn(p->nodes, "0123456789,- ")])
		r |= check_fail(c, "nodes", -1, "\"%.80s\" is not a list of nodes like 0-3,7", p->nodes);
	return r;
}

/* ---- all of it ---- */

static const struct oci_resources no_resources;

static int check_linux(void *object, struct checker *c)
{
	struct oci_linux *l = object;

	(void)c;
	if (!l->resources)
		l->resources = &no_resources;
	return 0;
}

/* ---- tables ---- */
/* clang-format off */

NAMES(ns_names, [OCI_NS_MOUNT] = "mount", [OCI_NS_PID] = "pid", [OCI_NS_NETWORK] = "network", [OCI_NS_UTS] = "uts",
      [OCI_NS_IPC] = "ipc", [OCI_NS_USER] = "user", [OCI_NS_CGROUP] = "cgroup", [OCI_NS_TIME] = "time");
NAMES(propagation_names, [OCI_PROP_UNSET] = "", [OCI_PROP_PRIVATE] = "private", [OCI_PROP_SHARED] = "shared",
      [OCI_PROP_SLAVE] = "slave", [OCI_PROP_UNBINDABLE] = "unbindable", [OCI_PROP_RPRIVATE] = "rprivate",
      [OCI_PROP_RSHARED] = "rshared", [OCI_PROP_RSLAVE] = "rslave", [OCI_PROP_RUNBINDABLE] = "runbindable");
NAMES(mpol_names, [OCI_MPOL_DEFAULT] = "MPOL_DEFAULT", [OCI_MPOL_PREFERRED] = "MPOL_PREFERRED", [OCI_MPOL_BIND] = "MPOL_BIND",
      [OCI_MPOL_INTERLEAVE] = "MPOL_INTERLEAVE", [OCI_MPOL_LOCAL] = "MPOL_LOCAL",
      [OCI_MPOL_PREFERRED_MANY] = "MPOL_PREFERRED_MANY", [OCI_MPOL_WEIGHTED_INTERLEAVE] = "MPOL_WEIGHTED_INTERLEAVE");
NAMES(mpol_flag_names, "MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES");

static const char *const domain_words[] = { "LINUX", "LINUX32" };
static const struct names domain_names = { domain_words, 2 };

SHAPE_LIST(oci_namespace, NULL, check_namespaces,
	F_ENUM(struct oci_namespace, type, "type", REQUIRED, &ns_names),
	F_STR(struct oci_namespace, path, "path", EMPTY_NONE | ABSOLUTE));

SHAPE(oci_time_offset, check_time_offset,
	F_I64(struct oci_time_offset, secs, "secs", 0),
	F_U32(struct oci_time_offset, nanosecs, "nanosecs", 0));

/* A path may be relative: to /dev. */
SHAPE(oci_device, check_device,
	F_STR(struct oci_device, type, "type", REQUIRED),
	F_STR(struct oci_device, path, "path", REQUIRED | NONEMPTY),
	F_OI64(struct oci_device, major, "major"),
	F_OI64(struct oci_device, minor, "minor"),
	F_OU32(struct oci_device, file_mode, "fileMode"),
	F_OU32(struct oci_device, uid, "uid"),
	F_OU32(struct oci_device, gid, "gid"));

SHAPE(oci_net_device, NULL,
	F_STR(struct oci_net_device, name, "name", EMPTY_NONE));

SHAPE(oci_intel_rdt, check_intel_rdt,
	F_STR(struct oci_intel_rdt, clos_id, "closID", EMPTY_NONE),
	F_STR(struct oci_intel_rdt, l3_cache_schema, "l3CacheSchema", EMPTY_NONE),
	F_STR(struct oci_intel_rdt, mem_bw_schema, "memBwSchema", EMPTY_NONE),
	F_STRS(struct oci_intel_rdt, schemata, "schemata", 0),
	F_BOOL(struct oci_intel_rdt, enable_monitoring, "enableMonitoring", 0));

SHAPE(oci_personality, NULL,
	F_ENUM(struct oci_personality, domain, "domain", REQUIRED, &domain_names),
	F_STRS(struct oci_personality, flags, "flags", 0));

SHAPE(oci_mem_policy, check_mem_policy,
	F_ENUM(struct oci_mem_policy, mode, "mode", REQUIRED, &mpol_names),
	F_STR(struct oci_mem_policy, nodes, "nodes", EMPTY_NONE),
	F_WORDS(struct oci_mem_policy, flags, "flags", 0, &mpol_flag_names));

SHARED_SHAPE(oci_linux, check_linux,
	F_OBJS(struct oci_linux, namespaces, "namespaces", 0, oci_namespace),
	F_OBJS(struct oci_linux, uid_mappings, "uidMappings", 0, oci_id_map),
	F_OBJS(struct oci_linux, gid_mappings, "gidMappings", 0, oci_id_map),
	F_OBJS(struct oci_linux, devices, "devices", 0, oci_device),
	F_OBJMAP(struct oci_linux, net_devices, "netDevices", oci_net_device),
	F_OBJMAP(struct oci_linux, time_offsets, "timeOffsets", oci_time_offset),
	F_MAP(struct oci_linux, sysctl, "sysctl", NONEMPTY),
	F_STRS(struct oci_linux, masked_paths, "maskedPaths", ABSOLUTE),
	F_STRS(struct oci_linux, readonly_paths, "readonlyPaths", ABSOLUTE),
	F_STR(struct oci_linux, cgroups_path, "cgroupsPath", EMPTY_NONE),
	F_STR(struct oci_linux, mount_label, "mountLabel", EMPTY_NONE),
	F_ENUM(struct oci_linux, rootfs_propagation, "rootfsPropagation", 0, &propagation_names),
	F_OBJ(struct oci_linux, resources, "resources", 0, oci_resources),
	F_OBJ(struct oci_linux, seccomp, "seccomp", 0, oci_seccomp),
	F_OBJ(struct oci_linux, intel_rdt, "intelRdt", 0, oci_intel_rdt),
	F_OBJ(struct oci_linux, personality, "personality", 0, oci_personality),
	F_OBJ(struct oci_linux, memory_policy, "memoryPolicy", 0, oci_mem_policy));

/* clang-format on */
