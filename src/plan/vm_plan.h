/* vm_plan.h - a container in a virtual machine of its own: what the host does for it, what the guest is told, what is refused
 *
 * One config becomes two. The host's is that of the supervisor and the machine it runs: a cgroup with room for both, the hooks of the
 * host, no namespaces and no mounts. The guest's has the same container with the paths and facts of the guest. Both are planned by
 * plan_build(), so that a thing means the same in either.
 */
#pragma once
#include "plan/plan.h"

enum vm_isolation { VM_ISOLATION_OS, VM_ISOLATION_VM };

#define VM_CPUS_MAX       64
#define VM_MEMORY_DEFAULT (256ull << 20) /* bytes, where no limit is given */
#define VM_MEMORY_MIN     (64ull << 20)
#define VM_GUEST_OVERHEAD (48ull << 20)  /* of the guest's kernel, beyond the container's limit */
#define VM_HOST_OVERHEAD  (16ull << 20)  /* of the processes that serve it */
#define VM_SHARE          "/run/share"   /* in the guest: the root of what the host shares */

/* A directory or file of the host that the guest sees, below VM_SHARE by the name. */
struct vm_share {
	const char *name;   /* "rootfs", "m/0" */
	const char *source; /* absolute */
	const char *where;  /* in the config */
	bool recursive, readonly;
};

struct vm_plan {
	unsigned cpus;
	uint64_t memory; /* of the guest, bytes, whole MiB */
	const char *kernel;      /* a file of the host; NULL: drupe's own */
	const char *kernel_args; /* further words of its command line; NULL: none */
	const struct vm_share *shares; /* the first is the root file system */
	size_t n_shares;
	const struct oci_spec *host, *guest;
};

/* How this container is to be isolated: asked: by the command line. */
enum vm_isolation vm_isolation_of(const struct oci_spec *spec, bool asked);

/* bundle: absolute. cpus_online: of the host. ENOTSUP: the config has something that VM mode can't honour; EINVAL: a size that makes no
 * sense. */
must_check int vm_plan_build(const struct oci_spec *spec, const char *bundle, unsigned cpus_online, struct arena *a, struct vm_plan *out,
			     struct err *e);

/* An update as the machine's parts: what the host's cgroup is told, and the guest's, with what that one has. */
struct vm_update { const struct oci_resources *host, *guest, *guest_old; };

/* old, after: the container's limits so far, and then. EINVAL: more than the machine has; ENOTSUP as of vm_plan_build(). */
must_check int vm_update_build(const struct vm_plan *p, const struct oci_resources *old, const struct oci_resources *update,
			       const struct oci_resources *after, struct arena *a, struct vm_update *out, struct err *e);

/* The guest's plan: of everything that the agent does. */
must_check int vm_plan_guest(const struct vm_plan *p, const char *id, struct arena *a, struct plan *out, struct err *e);

/* The facts of the guest, for its plan. */
void vm_guest_host(struct host *out);
