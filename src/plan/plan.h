/* plan.h - every decision about a container, made before anything is done
 *
 * plan_build() turns spec, host facts and options into values that contain no policy any more; the runtime and init carry them out.
 * It has no effects, so `drupe plan` can print it and golden tests can compare it. init/ reads the plan and never the spec.
 */
#pragma once
#include "cgroups/cgroup.h"
#include "cgroups/resctrl.h"
#include "host/host.h"
#include "namespaces/ns.h"
#include "net/net.h"
#include "oci/spec.h"
#include "rootfs/rootfs.h"
#include "security/security.h"

struct plan_options {
	const char *id;
	const char *bundle; /* absolute */
	bool no_pivot, no_new_keyring;
	struct cgroup_options cgroup;
	unsigned preserve_fds;     /* descriptors 3 .. 2+n go to the program, after LISTEN_FDS                */
	unsigned listen_fds;       /* socket activation: descriptors 3 .. 2+n, LISTEN_FDS/LISTEN_PID are set   */
	const char *net_helper;    /* absolute path of the program that moves network devices, or NULL         */
};

/* What is executed. */
struct proc_plan {
	char *const *argv; /* NULL-terminated */
	char *const *envp; /* NULL-terminated; HOME may be missing: init fills it from the container's passwd file */
	const char *cwd;
	bool set_home;
	bool terminal;
	uint16_t rows, cols; /* 0: unknown */
	uint64_t ignored_signals; /* of our caller, and ours: the program gets the default action (bit 0 is signal 1) */
	unsigned keep_fds; /* descriptors 3 .. 2+n stay open in the program */
};

/* One hook, ready to run. */
struct hook_op {
	const char *path, *where; /* where: "hooks.prestart[0]" */
	char *const *argv;        /* NULL-terminated; {path, NULL} when args is empty */
	char *const *envp;        /* NULL-terminated; NULL: absent in the config */
	int64_t timeout_ms;       /* -1: none */
};
struct hook_ops { const struct hook_op *v; size_t n; };
struct hook_plan { struct hook_ops prestart, create_runtime, create_container, start_container, poststart, poststop; };

struct plan {
	const char *id, *bundle;
	const char *oci_version;
	struct pairs annotations;
	bool has_process, own_pid_ns;
	struct ns_plan ns;
	struct cgroup_plan cgroup;
	struct resctrl_plan resctrl;
	struct rootfs_plan rootfs;
	struct net_plan net;
	struct sec_plan sec;
	struct proc_plan proc;
	struct hook_plan hooks;
};

must_check int plan_build(const struct oci_spec *spec, const struct plan_options *o, const struct host *h, struct arena *a,
			  struct plan *out, struct err *e);

/* Does the runtime have hooks to run between init's mounts and its entering the root? */
static inline bool plan_has_runtime_hooks(const struct plan *p)
{
	return p->hooks.prestart.n || p->hooks.create_runtime.n;
}

/* What is left of the plan when the container is created: what its start needs, with everything it points to in *a. The rest is empty,
 * proc.envp too, which init has completed. */
const struct plan *plan_of_start(const struct plan *p, struct arena *a);

/* The strings of a list that ends with NULL, and the list. */
char **plan_copy_list(char *const *list, struct arena *a);

/* The plan of one more process in a container that was created from `spec`. */
struct exec_plan { struct sec_plan sec; struct proc_plan proc; };
must_check int plan_exec(const struct oci_spec *spec, const struct oci_process *process, const struct plan_options *o,
			 const struct host *h, struct arena *a, struct exec_plan *out, struct err *e);

/* The hooks of a spec alone (delete runs poststop). */
void plan_hooks(const struct oci_spec *spec, struct arena *a, struct hook_plan *out);

/* The state document of runtime-spec "State" for a hook, one line: status is "creating", "created", ...; pid as the hook sees it. */
const char *plan_hook_state(const struct plan *p, const char *status, int pid, struct arena *a);

/* The whole plan as text, a section per subsystem. */
void plan_print(const struct plan *p, struct strbuf *out);
