/* host.h - facts about the kernel and the machine, probed once, faked in tests
 *
 * Plans are made from the spec and these facts only, so "what would we do on cgroup v1, without AppArmor, in a user namespace?"
 * is a unit test.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum cgroup_mode {
	CGROUP_MODE_NONE,   /* no cgroup file system at /sys/fs/cgroup */
	CGROUP_MODE_V1,     /* tmpfs with one directory per hierarchy  */
	CGROUP_MODE_HYBRID, /* v1 plus cgroup2 at .../unified          */
	CGROUP_MODE_V2,     /* cgroup2 at /sys/fs/cgroup               */
};

/* One mounted cgroup hierarchy. */
struct host_hierarchy {
	const char *mount;       /* "/sys/fs/cgroup/cpu,cpuacct"                                            */
	const char *controllers; /* "cpu,cpuacct"; "name=systemd"; "" for cgroup2                             */
	const char *own;         /* the caller's own cgroup in it, as /proc/self/cgroup says: "/user.slice"  */
	bool v2;
};

struct host {
	uid_t euid;
	bool initial_userns;    /* false in any but the host's first user namespace            */
	uint64_t caps_bounding; /* capabilities we may grant: our own bounding set, bit = number */
	uint64_t caps_permitted;
	uint64_t ignored_signals; /* by this process, as its caller left them and as it has set them; bit 0 is signal 1   */
	unsigned cap_last;      /* highest capability number the kernel knows                   */
	bool apparmor, selinux; /* the LSM is active                                             */
	uint64_t ns_supported;  /* SYS_CLONE_NEW* bits with a file in /proc/self/ns              */
	enum cgroup_mode cgroup_mode;
	const struct host_hierarchy *hier;
	size_t n_hier;
	const char *resctrl;        /* where the resctrl file system is mounted, NULL: nowhere; "/sys/fs/resctrl"          */
	const char *v2_controllers; /* cgroup.controllers at the root of the v2 mount: "cpu io memory"; "" when none */
};

/* What somebody may want to know, as each costs system calls of every container. */
enum {
	HOST_CGROUPS = 1 << 0,    /* cgroup_mode, hier, v2_controllers; where they were not asked for, their file
				     system may even hang */
	HOST_OWN_CGROUP = 1 << 1, /* hier[].own, elsewhere "/" on v2 for root, who gets a path of its own */
	HOST_NAMESPACES = 1 << 2, /* ns_supported, else all */
	HOST_RESCTRL = 1 << 3,
	HOST_LSM = 1 << 4,        /* apparmor, selinux */
	HOST_ALL = (1 << 5) - 1,
};

/* Looks at the running system: for what is asked (HOST_*), and for what is not listed there. The rest is false, 0 or "", the mode
 * CGROUP_MODE_NONE. Strings live in *a. */
must_check int host_probe(struct arena *a, unsigned what, struct host *out, struct err *e);

/* A host of which nothing is kept from us: root in the first user namespace, every capability (41) and namespace, no LSM, no cgroups. */
void host_whole(struct host *out);

/* For tests: a host as root with every capability (41), no LSM, all namespaces, and the given cgroup mode: for V1 and HYBRID the
 * hierarchies cpu, cpuacct, cpuset, memory, devices, freezer, blkio, pids, name=systemd. */
void host_fake(struct host *out, enum cgroup_mode mode);
