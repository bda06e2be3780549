/* ns_plan.c - which namespaces there are, and what is set in them
 *
 * A field that changes the contents of a namespace (a host name, a clock, a sysctl) is accepted only when the container has a
 * namespace of that kind to itself, created or joined by path; otherwise it would silently change the host. What is joined
 * cannot be looked at here, so `set` tells ns_open() which of the joined ones must not turn out to be the runtime's own.
 */
#include "base/str.h"
#include "namespaces/ns_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define NAME_MAX_UTS 64 /* __NEW_UTS_LEN of the kernel */

static const struct {
	uint32_t flag;
	const char *name, *proc;
} kinds[OCI_NS_COUNT] = {
	[OCI_NS_MOUNT] = { SYS_CLONE_NEWNS, "mount", "mnt" },
	[OCI_NS_PID] = { SYS_CLONE_NEWPID, "pid", "pid" },
	[OCI_NS_NETWORK] = { SYS_CLONE_NEWNET, "network", "net" },
	[OCI_NS_UTS] = { SYS_CLONE_NEWUTS, "uts", "uts" },
	[OCI_NS_IPC] = { SYS_CLONE_NEWIPC, "ipc", "ipc" },
	[OCI_NS_USER] = { SYS_CLONE_NEWUSER, "user", "user" },
	[OCI_NS_CGROUP] = { SYS_CLONE_NEWCGROUP, "cgroup", "cgroup" },
	[OCI_NS_TIME] = { SYS_CLONE_NEWTIME, "time", "time" },
};

uint32_t ns_flag(int type)
{
	return kinds[type].flag;
}

const char *ns_name(int type)
{
	return kinds[type].name;
}

const char *ns_proc_name(int type)
{
	return kinds[type].proc;
}

uint32_t ns_plan_own(const struct ns_plan *p)
{
	uint32_t own = p->create;

	for (size_t i = 0; i < p->n_join; i++)
		own |= p->join[i].flag;
	return own;
}

static bool is_created(const struct oci_namespace *ns)
{
	return !ns->path || !*ns->path;
}

uint32_t ns_created(const struct oci_spec *spec)
{
	const struct oci_namespace_list *list = &spec->linux_->namespaces;
	uint32_t flags = 0;

	for (size_t i = 0; i < list->n; i++)
		flags |= is_created(&list->v[i]) ? ns_flag(list->v[i].type) : 0;
	return flags;
}

static int plan_namespace(const struct oci_namespace *ns, size_t index, const struct host *h, struct arena *a, struct ns_plan *p,
			  struct err *e)
{
	uint32_t flag = ns_flag(ns->type);

	if (ns_plan_own(p) & flag)
		return err_set(e, EINVAL, "linux.namespaces[%zu]: namespace %s is listed twice", index, ns_name(ns->type));
	if (!(h->ns_supported & flag))
		return err_set(e, EINVAL, "linux.namespaces[%zu]: this kernel has no %s namespaces", index, ns_name(ns->type));
	if (is_created(ns)) {
		p->create |= flag;
		return 0;
	}
	if (*ns->path != '/')
		return err_set(e, EINVAL, "linux.namespaces[%zu].path: %s: must be absolute", index, ns->path);
	p->join[p->n_join++] = (struct ns_join){
		.type = ns->type, .flag = flag, .path = ns->path, .where = arena_printf(a, "linux.namespaces[%zu]", index)
	};
	return 0;
}

static int plan_namespaces(const struct oci_spec *spec, const struct host *h, struct arena *a, struct ns_plan *p, struct err *e)
{
	const struct oci_namespace_list *list = &spec->linux_->namespaces;

	for (size_t i = 0; i < list->n; i++) {
		int r = plan_namespace(&list->v[i], i, h, a, p, e);

		if (r < 0)
			return r;
	}
	p->user_ns = ns_plan_own(p) & SYS_CLONE_NEWUSER;
	return 0;
}

/* hostname, domainname: an empty one counts as absent. */
static int plan_name(const char *field, const char *value, struct ns_plan *p, const char **out, struct err *e)
{
	if (!value || !*value)
		return 0;
	if (!(ns_plan_own(p) & SYS_CLONE_NEWUTS))
		return err_set(e, EINVAL, "%s: needs a uts namespace; without one it would rename the host", field);
	if (strlen(value) > NAME_MAX_UTS)
		return err_set(e, EINVAL, "%s: is %zu bytes long, at most %d are possible", field, strlen(value), NAME_MAX_UTS);
	p->set |= SYS_CLONE_NEWUTS;
	*out = value;
	return 0;
}

static int plan_time(const struct oci_spec *spec, struct arena *a, struct ns_plan *p, struct err *e)
{
	const struct oci_time_offset_list *list = &spec->linux_->time_offsets;
	struct strbuf text = STRBUF(a);

	if (list->n == 0)
		return 0;
	if (!(p->create & SYS_CLONE_NEWTIME))
		return err_set(e, EINVAL, "linux.timeOffsets: %s",
			       ns_plan_own(p) & SYS_CLONE_NEWTIME
				       ? "the clocks of a time namespace joined by path are fixed already"
				       : "needs a time namespace");
	for (size_t i = 0; i < list->n; i++) {
		const struct oci_time_offset *o = &list->v[i];

		if (!str_eq(o->clock, "monotonic") && !str_eq(o->clock, "boottime"))
			return err_set(e, EINVAL, "linux.timeOffsets.%s: the clocks are monotonic and boottime", o->clock);
		if (o->nanosecs >= 1000000000)
			return err_set(e, EINVAL, "linux.timeOffsets.%s.nanosecs: %" PRIu32 " is not below 1000000000", o->clock,
				       o->nanosecs);
		strbuf_printf(&text, "%s %" PRId64 " %" PRIu32 "\n", o->clock, o->secs, o->nanosecs);
	}
	p->time_offsets = strbuf_str(&text);
	return 0;
}

int ns_plan_build(const struct oci_spec *spec, const struct host *h, struct arena *a, struct ns_plan *out, struct err *e)
{
	struct ns_plan p = { 0 };
	int r;

	if ((r = plan_namespaces(spec, h, a, &p, e)) < 0 || (r = plan_name("hostname", spec->hostname, &p, &p.hostname, e)) < 0 ||
	    (r = plan_name("domainname", spec->domainname, &p, &p.domainname, e)) < 0 || (r = plan_time(spec, a, &p, e)) < 0 ||
	    (r = ns_plan_maps(spec, h, a, &p, e)) < 0 || (r = ns_plan_sysctl(spec, a, &p, e)) < 0)
		return r;
	*out = p;
	return 0;
}

static void print_map(const char *name, const struct oci_id_map_list *map, struct strbuf *out)
{
	for (size_t i = 0; i < map->n; i++)
		strbuf_printf(out, "%s: %" PRIu32 " %" PRIu32 " %" PRIu32 "\n", name, map->v[i].container_id, map->v[i].host_id,
			      map->v[i].size);
}

/* The lines of timens_offsets, each with its own label. */
static void print_offsets(const char *text, struct strbuf *out)
{
	while (*text) {
		size_t len = strcspn(text, "\n") + 1;

		strbuf_puts(out, "time offset: ");
		strbuf_add(out, text, len);
		text += len;
	}
}

static void print_maps(const struct ns_plan *p, struct strbuf *out)
{
	if (p->map_by_helper)
		strbuf_puts(out, "maps: written by newuidmap and newgidmap\n");
	print_map(p->uid_map.n ? "uid map" : "uid map of the joined namespace", &p->container_uid_map, out);
	print_map(p->gid_map.n ? "gid map" : "gid map of the joined namespace", &p->container_gid_map, out);
	if (p->deny_setgroups)
		strbuf_puts(out, "setgroups: deny\n");
}

void ns_plan_print(const struct ns_plan *p, struct strbuf *out)
{
	for (int type = 0; type < OCI_NS_COUNT; type++)
		if (p->create & ns_flag(type))
			strbuf_printf(out, "create: %s\n", ns_name(type));
	for (size_t i = 0; i < p->n_join; i++)
		strbuf_printf(out, "join: %s %s\n", ns_name(p->join[i].type), p->join[i].path);
	print_maps(p, out);
	if (p->time_offsets)
		print_offsets(p->time_offsets, out);
	if (p->hostname)
		strbuf_printf(out, "hostname: %s\n", p->hostname);
	if (p->domainname)
		strbuf_printf(out, "domainname: %s\n", p->domainname);
	for (size_t i = 0; i < p->sysctl.n; i++)
		strbuf_printf(out, "sysctl: %s = %s\n", p->sysctl.v[i].name, p->sysctl.v[i].value);
}
