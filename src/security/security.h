/* security.h - what a process may do: identity, capabilities, limits, labels, seccomp
 *
 * sec_plan_build() is pure apart from compiling the seccomp profile. The sec_apply_*() steps run in the process that becomes the
 * container's program; their order, and why, is in security/order.md. run and exec use the same steps.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "host/host.h"
#include "oci/spec.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sec_caps {
	uint64_t bounding, permitted, effective, inheritable, ambient;
	unsigned last; /* the kernel's highest; 0: not known */
};

struct sec_rlimit { int resource; const char *name; uint64_t soft, hard; };

struct sec_sched { /* struct sched_attr of sched_setattr(2) */
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

struct sec_filter { /* compiled seccomp program */
	const void *insns; /* struct sock_filter[n] */
	unsigned short n;
	unsigned flags;    /* SECCOMP_FILTER_FLAG_* */
	bool notify;       /* has a NOTIFY action: loading yields a listener descriptor */
	const char *listener_path, *listener_metadata;
};

struct sec_plan {
	uint32_t uid, gid;
	const uint32_t *groups;
	size_t n_groups;
	bool set_groups; /* false: rootless and no groups were asked for. Then those of the caller are dropped where the kernel lets
			  * us, and kept where setgroups(2) is denied in this user namespace */
	mode_t umask;
	struct sec_caps caps;
	bool no_new_privs;
	const struct sec_rlimit *rlimits;
	size_t n_rlimits;
	bool oom_score_set;
	int oom_score_adj;
	const struct sec_sched *sched; /* NULL: inherit */
	bool ioprio_set;
	int ioprio; /* class << 13 | data */
	bool mempolicy_set;
	int mempolicy_mode;       /* with MPOL_F_* flags */
	unsigned long nodes[16];  /* bit mask, 1024 nodes */
	bool personality_set;
	unsigned long personality;
	const char *apparmor, *selinux; /* labels for exec; NULL: none */
	bool new_keyring;
	const char *keyring_name; /* "_ses.ID" */
	const struct sec_filter *filter; /* NULL: none */
	const char *affinity_initial, *affinity_final; /* exec only; cpu lists; NULL */
};

struct sec_options {
	const char *container_id;
	bool new_keyring;
	bool exec; /* execCPUAffinity applies to exec only */
	bool user_ns; /* the container has a user namespace of its own: capability bounding is not the host's */
};

/* Builds the plan of one process. l holds seccomp, personality and memoryPolicy (seccomp for exec too). Unknown or ungrantable
 * capabilities are warned of and dropped. EINVAL: unknown rlimit, duplicate rlimit, bad affinity list, seccomp profile that
 * cannot be honoured, a label for an LSM that is not active...; the text begins with the JSON path. */
must_check int sec_plan_build(const struct oci_process *p, const struct oci_linux *l, const struct sec_options *o,
			      const struct host *h, struct arena *a, struct sec_plan *out, struct err *e);

/* What sec_apply_final() and sec_apply_hook() need of it, with everything it points to in *a. The rest is empty. */
struct sec_plan sec_plan_final(const struct sec_plan *p, struct arena *a);

/* The seccomp profile compiled to BPF, with everything it points to in *a (or *s). *out = NULL for a disabled profile.
 * EINVAL: what the profile asks cannot be honoured, by anyone or by this kernel; E2BIG: more than 4096 instructions. */
must_check int seccomp_compile(const struct oci_seccomp *s, struct arena *a, const struct sec_filter **out, struct err *e);

/* ---- steps ---- */

/* Runtime side, for a process (pid as seen here) that does not run its program yet: oom_score_adj, at any time before; and resource
 * limits by prlimit(2) (a process in a user namespace may not raise its own), when it has nothing large left to do. */
must_check int sec_apply_rank(const struct sec_plan *p, pid_t pid, struct err *e);
must_check int sec_apply_limits(const struct sec_plan *p, pid_t pid, struct err *e);

/* Inside, early, still privileged: scheduler, I/O priority, memory policy, personality, session keyring. The I/O priority goes to the
 * process group, so the caller must have left the runtime's. */
must_check int sec_apply_process(const struct sec_plan *p, struct err *e);

/* Inside, last: umask, bounding set, groups, ids, capabilities, no_new_privs, label, filter. On return only execve(2) may follow.
 * proc_fd is a private procfs (base/proc_fs.h) of the caller's own pid namespace; unused, so any value, when there is no label.
 * EACCES: a filter without no_new_privs needs CAP_SYS_ADMIN. The listener descriptor is close-on-exec and not closed here, for
 * close(2) may be what the filter forbids; on_listener may be NULL when the filter has no NOTIFY.
 * on_listener(ctx, fd) is called right after a filter with NOTIFY was loaded, to hand the listener to the runtime; it may use
 * write(2) and read(2) only, and its failure is the step's failure. */
must_check int sec_apply_final(const struct sec_plan *p, int proc_fd, int (*on_listener)(void *ctx, int fd, struct err *e), void *ctx,
			       struct err *e);

/* The same for a program that is no process of the container's but as confined, a hook: nobody listens for it, so the calls that a
 * filter would notify of fail with ENOSYS. */
must_check int sec_apply_hook(const struct sec_plan *p, int proc_fd, struct err *e);

/* Limits the calling process to the CPUs of a list ("0-3,8"), up to CPU 8191. EINVAL: bad list, or none of them is usable. */
must_check int sec_set_affinity(const char *list, struct err *e);

/* Lets the calling process run on every CPU its cpuset allows: for init, after it joined its cgroup. */
must_check int sec_reset_affinity(struct err *e);

/* ---- tables, for `features`, exec --cap and messages ---- */
/* Number of a capability by name ("CAP_CHOWN", "chown", any case), -1 unknown. */
int cap_from_name(const char *name);
/* "CAP_CHOWN", NULL beyond the known. */
const char *cap_name(unsigned number);

/* Parses "0-3,7" into bits of mask (CPUs or nodes; whole words, cleared first). Spaces around an element and empty elements are
 * allowed. EINVAL: malformed or no member at all; ERANGE: a number >= bits. */
must_check int cpu_list_parse(const char *list, unsigned long *mask, size_t bits, struct err *e);

/* The plan as text: one line per decision, in a fixed order. */
struct strbuf;
void sec_plan_print(const struct sec_plan *p, struct strbuf *out);
