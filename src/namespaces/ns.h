/* ns.h - which namespaces are created and joined, and their contents that are set from outside
 *
 * ns_plan_build() is pure. The order of joining and creating lives in init/ (one place); this module verifies what is joined,
 * writes id maps and time offsets, and names things.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/sys.h"
#include "host/host.h"
#include "oci/spec.h"

struct ns_join {
	int type;          /* enum oci_ns                       */
	uint32_t flag;     /* SYS_CLONE_NEW*                    */
	const char *path;  /* as configured                     */
	const char *where; /* "linux.namespaces[2]"             */
};

struct ns_plan {
	uint32_t create; /* SYS_CLONE_NEW* of namespaces to create */
	struct ns_join join[OCI_NS_COUNT];
	size_t n_join;
	uint32_t set;                            /* SYS_CLONE_NEW* of namespaces whose contents the plan changes (names, sysctls) */
	struct oci_id_map_list uid_map, gid_map; /* to write; empty when the user namespace is joined or none is used             */
	/* The ids of the container as the runtime's namespace numbers them, for file ownership. Empty: the same ids when user_ns is
	 * false, unknown when it is true (joined, and the config does not say). */
	struct oci_id_map_list container_uid_map, container_gid_map;
	bool user_ns; /* the container has a user namespace of its own, created or joined */
	bool deny_setgroups;
	bool map_by_helper;       /* newuidmap, newgidmap: we lack the capability    */
	const char *time_offsets; /* text for timens_offsets, or NULL                 */
	const char *hostname, *domainname;
	struct pairs sysctl; /* names with slashes, checked to belong to own namespaces */
};

uint32_t ns_flag(int type);         /* enum oci_ns -> SYS_CLONE_NEW* */
const char *ns_name(int type);      /* "network"; the spec's word     */
const char *ns_proc_name(int type); /* "net"; the name in /proc/PID/ns */

/* EINVAL: a field that needs a namespace the container shares with the host, mappings missing or contradictory, a sysctl that is
 * not namespaced... */
must_check int ns_plan_build(const struct oci_spec *spec, const struct host *h, struct arena *a, struct ns_plan *out,
			     struct err *e);

/* Of those, `create` alone. */
uint32_t ns_created(const struct oci_spec *spec);

/* Opens every namespace to be joined and verifies it: not blocking, nsfs, of the declared type. fds[i] belongs to join[i], the rest
 * is -1; they are the caller's to close. A namespace that is the runtime's own is fine, unless it is a user namespace (the kernel
 * refuses to join that again) or the plan sets something in it (sysctls, names), which would then be the host's. */
must_check int ns_open(const struct ns_plan *p, int fds[OCI_NS_COUNT], struct err *e);

/* Runtime side: writes uid_map, gid_map (and setgroups) of pid, by helper programs where the plan says so. Does nothing when the
 * plan has no maps. pid is a child that was not yet waited for; without privilege it must be dumpable (its /proc files are root's
 * otherwise). EPERM: what a helper refused, in its own words. ETIMEDOUT: a helper took longer than 10 s. */
must_check int ns_write_maps(const struct ns_plan *p, pid_t pid, struct err *e);

/* A user namespace with these maps, for id-mapped mounts; a descriptor of it. No process stays. */
must_check int ns_make_userns(const struct oci_id_map_list *uid, const struct oci_id_map_list *gid, struct err *e);

/* Between these two calls the runtime is in a copy of its mount namespace in which every flag is locked, as for a container with
 * a user namespace: what is opened there keeps the locks. It shows the same mounts under the same names; the working directory is its
 * root. Needs CAP_SYS_ADMIN, one thread. Leaving must not fail unnoticed: the process would stay there. */
struct ns_view { int ns, root, cwd; };
#define NS_VIEW_NONE ((struct ns_view){ -1, -1, -1 })
must_check int ns_view_enter(struct ns_view *v, struct err *e);
must_check int ns_view_leave(struct ns_view *v, struct err *e);

/* Init side: hostname and domainname. */
must_check int ns_set_names(const struct ns_plan *p, struct err *e);

/* Init side: writes the sysctls through a private procfs (full). *procfs becomes that, the caller's to close, if it is fresh. */
must_check int ns_set_sysctl(const struct ns_plan *p, int *procfs, struct err *e);

struct strbuf;
void ns_plan_print(const struct ns_plan *p, struct strbuf *out);
