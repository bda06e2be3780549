/* init.h - the code that runs inside, up to the execution of the container's program
 *
 * The runtime forks; the child calls stage_run() or init_run() and never returns. From then on the two talk over a channel
 * (base/chan.h) and nothing else:
 *
 *   runtime                                          init
 *   clone3 (stage: setns, clone3 CLONE_PARENT)  -->
 *            <-- STAGE (only with a stage)
 *   maps, cgroup, net devices              GO   -->  ids, cgroup namespace, loopback, names, mounts, console
 *            <-- CONSOLE (terminal)
 *            <-- ROOTFS (only with hooks of the runtime)
 *   prestart, createRuntime        HOOKS_DONE   -->  createContainer hooks, root, working directory, sysctl
 *   (meanwhile: device filter, oom_score_adj)
 *            <-- READY
 *   limits
 *   create: state, pid file               ACK   -->  waits on start.sock; the rest goes over the connection made there
 *                                       START   -->  startContainer hooks, last confinement (security/order.md)
 *            <-- NOTIFY_FD, ACK --> (seccomp listener)
 *            <-- EXEC
 *            EOF: the program runs. ERROR: it does not.
 *
 * Until ACK or START the child dies with the runtime (parent-death signal, and end of file on the channel).
 * init/ reads the plan; it never sees the spec, JSON, the state directory or the command line.
 */
#pragma once
#include "base/chan.h"
#include "init/hooks.h"
#include "plan/plan.h"

struct init {
	const struct plan *plan;
	struct arena *arena;   /* of the plan: a waiting init gives it back in its memory; unused where listen_fd is -1 */
	struct chan chan;      /* to the runtime; owned in the child */
	int listen_fd;         /* start.sock, listening: create. -1: run, the runtime starts us over chan */
	int cgroup_fd;         /* in which init is born (CLONE_INTO_CGROUP); -1 none */
	bool joins;            /* its other cgroups itself, after GO */
	bool leaves;           /* the program's file itself: nobody else is where it is born */
	struct rootfs_sources sources;
	int ns_fds[OCI_NS_COUNT]; /* of plan->ns.join[] */
};

/* true when a process between runtime and init is needed: to join a pid or user namespace, to create a time namespace with
 * offsets, or to join others before a user namespace is created. */
bool stage_needed(const struct ns_plan *p);

/* The flags for clone3() of init: what is created, but not what init unshares later. */
uint64_t init_clone_flags(const struct ns_plan *p);

/* Joins what is in ns_fds, and closes them. */
must_check int stage_join(struct init *in, struct err *e);

/* In a child of the runtime. Neither returns. */
_Noreturn void stage_run(struct init *in);
_Noreturn void init_run(struct init *in);

/* ---- the runtime's side (outside.c) ---- */

/* rootfs_open_sources() for the plan of a whole container. */
must_check int init_open_sources(const struct plan *p, const struct rootfs_userns *u, struct arena *a, struct rootfs_sources *out,
				 struct err *e);

/* Forks init, by a stage where one is needed. place: a descriptor of its cgroup (borrowed), in which it is born where
 * the kernel can do that, or which it joins; else, or with -1, init_prepare() moves it there. *chan is to be closed also on failure, and
 * *pid, once it is set, to be ended. */
must_check int init_fork(struct init *in, int place, struct chan *chan, pid_t *pid, int *pidfd, struct err *e);

/* What only the runtime may do to init: before GO; at any time before READY, how soon it is killed for want of memory; and after READY
 * its limits, which must not hinder what it has to do before. */
must_check int init_prepare(const struct plan *p, const struct init *in, pid_t pid, struct err *e);
must_check int init_rank(const struct plan *p, pid_t pid, struct err *e);
must_check int init_limit(const struct plan *p, pid_t pid, struct err *e);

/* ---- into an existing container ---- */

/* Where to. All borrowed. */
struct entry {
	struct chan chan;  /* to the runtime; in the process that runs the errand */
	int pidfd;         /* of the container's init */
	int proc_dir;      /* /proc/PID of the same */
	uint32_t ns_flags; /* namespaces that differ from ours: joiner_namespaces() */
	int root_fd;       /* >= 0: chroot there (the container has no mount namespace, or was created with --no-pivot) */
	const struct cgroup_ref *cgroup; /* to be joined, by birth where the kernel can do that */
	const char *const *subs;         /* as of cgroup_join() */
	const struct resctrl_ref *resctrl; /* NULL none */
	const char *cpus; /* for the time before the cgroup; NULL all that we have */
};

/* What is done there. */
struct errand {
	const char *name; /* of the process */
	bool dies_with_runtime;
	unsigned first;  /* the lowest descriptor that is closed on the way */
	const int *keep; /* those from there on that are not, -1 allowed, besides those of the entry */
	size_t n_keep;
	int (*run)(void *arg, struct err *e); /* in a session of its own, as root of the user namespace; an error is sent to the runtime */
	void *arg;
};

/* Sends a process in, and returns when it is there and has begun. *chan and *pid as of init_fork(). */
must_check int entry_fork(struct entry *in, const struct errand *what, struct chan *chan, pid_t *pid, int *pidfd, struct err *e);

/* The namespaces in which the process of a /proc/PID, a container's init, is and we are not. created: those that were made for the
 * container. They are not ours, and are not looked at; were we its own process, joining them again would change nothing. But a user
 * namespace of one's own the kernel refuses. */
must_check int joiner_namespaces(int proc_dir, uint32_t created, uint32_t *out, struct err *e);

/* A process more. */
struct joiner {
	const struct exec_plan *plan;
	struct entry entry; /* but cpus, which are the plan's */
};

/* entry_fork() of a process that sends CONSOLE, where it has a terminal, and READY, awaits START, confines itself and executes. */
must_check int joiner_fork(struct joiner *j, struct chan *chan, pid_t *pid, int *pidfd, struct err *e);

/* A process that changes the mounts: adds those of the plan, or removes those of the list. */
struct mounter {
	const struct rootfs_plan *plan;  /* NULL: remove */
	struct rootfs_sources *sources;
	const struct live_mount *remove;
	size_t n_remove;
	struct entry entry;
	int proc; /* the host's procfs */
};

#define MOUNT_REPORT_PATH_MAX (MSG_DATA_MAX - 8)
struct mount_report { uint64_t id; char path[MOUNT_REPORT_PATH_MAX]; }; /* as long as the path is */

/* entry_fork() of a process that sends a ROOTFS with a struct mount_report for each mount that was added, or an empty one for each
 * that was removed. What was added is undone unless an ACK follows. */
must_check int mounter_fork(struct mounter *m, struct chan *chan, pid_t *pid, int *pidfd, struct err *e);

/* ---- parts shared by init and joiner (exec_program.c) ---- */

/* Points 0, 1 and 2 to the terminal's slave (consumed), as controlling terminal of the new session. */
must_check int take_terminal(int slave, struct err *e);

/* Changes to cwd and verifies that it lies below the root (CVE-2024-21626 is the class). Where we as root are refused (a file system
 * that trusts nobody's root), it is tried as the process's user. */
must_check int enter_cwd(const char *cwd, const struct sec_plan *sec, struct err *e);

/* Gives the standard streams that are no terminal and not the null device to uid. */
must_check int own_stdio(uint32_t uid, struct err *e);

/* The program to execute: argv[0] itself or found in PATH of envp. Texts as callers match them: "exec: "x": executable file not
 * found in $PATH", "stat /x: no such file or directory", "exec: "/x": permission denied". */
must_check int find_program(const struct proc_plan *p, struct arena *a, const char **out, struct err *e);

/* envp with HOME filled in from the passwd file of the root we are in. */
char *const *complete_env(const struct proc_plan *p, uint32_t uid, struct arena *a);

/* true when a step needs a private procfs: a label is to be set. */
static inline bool needs_procfs(const struct sec_plan *sec)
{
	return sec->apparmor || sec->selinux;
}

/* Once in the container's cgroup: the CPUs that `final` of execCPUAffinity names, else, unless `initial` is given, all that the cgroup
 * allows, whatever our caller is limited to. */
must_check int settle_on_cpus(const struct sec_plan *sec, struct err *e);

/* The end of a process that could not become the program. */
_Noreturn void leave(void);

/* Makes us root of a user namespace we just entered: until then our ids are the host's, or unmapped. */
must_check int become_namespace_root(struct err *e);

/* Last confinement, EXEC, execve. proc_fd (borrowed): a private procfs, -1 unless needs_procfs(). Returns only on failure. */
must_check int exec_program(struct chan *c, const struct sec_plan *sec, const struct proc_plan *proc, const char *path,
			    char *const *envp, int proc_fd, struct err *e);

/* For whom it told EXEC, when its end of the channel is closed: 0 the program was executed. EPIPE: the process was killed before;
 * ECANCELED: it was not let, and could not tell. */
must_check int executed_or_why(pid_t pid, struct err *e);
