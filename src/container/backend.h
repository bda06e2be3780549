/* backend.h - how a container is isolated: by the kernel it shares with us, or by a virtual machine
 *
 * Which of the two is decided once, when it is created, and stored (oci_state.backend). What the commands do differently stands in this
 * table and nowhere else.
 */
#pragma once
#include "container/internal.h"
#include "init/init.h"
#include "plan/vm_plan.h"

struct backend {
	const char *name; /* as stored */
	/* The plan of what this host does for the container. */
	int (*plan)(const struct oci_spec *spec, const struct plan_options *o, const struct host *h, struct arena *a, struct plan *out,
		    struct err *e);
	/* Forks the process that is the container's to the outside, up to its waiting for GO (init/init.h); sets chan, pid and pidfd of
	 * k. place: as of init_fork(). in->cgroup_fd is -1 afterwards where it is still to join. */
	int (*launch)(struct created *k, struct init *in, int place, struct arena *a, struct err *e);
};

extern const struct backend backend_os, backend_vm; /* backend_os.c, backend_vm.c */

/* A process more in a container in a virtual machine: forks the one that stands for it, up to its sending CONSOLE or READY as a joiner does
 * (init/init.h). *chan and *pid as of init_fork(). Of *o user and cgroups are looked up in the guest. */
must_check int vm_exec_fork(const struct container *c, const struct oci_process *p, const struct exec_options *o, struct arena *a,
			    struct chan *chan, pid_t *pid, int *pidfd, struct err *e);

/* Asks the supervisor of a virtual machine: *q becomes the answer (container/control.h). */
struct control_packet;
must_check int vm_ask(const struct container *c, struct control_packet *q, struct err *e);

/* Has the guest's limits changed. */
must_check int vm_update_guest(const struct container *c, const struct vm_update *u, struct err *e);

/* Of a config, when it is created. */
const struct backend *backend_for(const struct oci_spec *spec, bool vm_asked);
/* Of a container that is there. */
const struct backend *backend_of(const struct oci_state *s);

/* ENOTSUP unless the container has this host's kernel: for commands that reach into it. */
must_check int backend_check_os(const struct container *c, const char *command, struct err *e);

/* The path of a helper program where it is installed; NULL: it is not. */
const char *find_helper(const char *name, struct arena *a);
