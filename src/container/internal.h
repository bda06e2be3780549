/* internal.h - what the files of container/ share */
#pragma once
#include "base/chan.h"
#include "container/store.h"
#include "plan/plan.h"

const char *read_boot_id(struct arena *a);

/* Does the process ask for a label of a security module? */
bool wants_lsm(const struct oci_process *p);

/* The status as it is now, from a container opened by store_open(). */
enum container_status container_status(const struct container *c);

/* The same for who wants init as well: *init becomes what open_init() gives, when it was looked at. */
enum container_status container_status_and_init(const struct container *c, int *init);

/* Between the cgroup module's reference and the stored form. */
void state_from_cgroup(const struct cgroup_ref *r, struct arena *a, struct oci_state *s);
void cgroup_from_state(const struct oci_state *s, struct arena *a, struct cgroup_ref *r);

void state_from_resctrl(const struct resctrl_ref *r, struct arena *a, struct oci_state *s);
void resctrl_from_state(const struct oci_state *s, struct resctrl_ref *r);

/* A pidfd of the container's init. ESRCH: "container not running". */
must_check int open_init(const struct oci_state *s, struct err *e);

/* /proc/PID of the container's init, to be opened while a pidfd of it is held. */
must_check int open_proc_dir(const struct oci_state *s, struct err *e);

/* Sends fd over the unix stream socket at path with the given payload: one sendmsg, one descriptor (console-socket and
 * pidfd-socket protocol). The path may be longer than sun_path. what names the option in errors. */
must_check int send_fd_to_socket(const char *path, const char *what, const char *payload, int fd, struct err *e);

/* The process that waits behind a channel is told to start; listeners of its seccomp filter are passed on. Returns 0 when the
 * program runs. init is its pidfd (borrowed). */
struct start_request {
	struct chan *chan;
	int init;
	pid_t pid;
	const struct oci_spec *spec; /* NULL: of a plain container, as everywhere below */
	const char *id, *bundle, *status; /* status as the seccomp agent shall see it */
	bool *executes; /* set to true once only the execution itself can fail; may be NULL */
};
must_check int request_start(const struct start_request *q, struct err *e);

/* Decimal pid without newline, atomically (callers parse it with Atoi). */
must_check int write_pid_file(const char *path, pid_t pid, struct err *e);

/* Descriptors 3 .. 2+n are open. */
must_check int check_preserved(unsigned n, struct err *e);
/* How many descriptors socket activation passed us (LISTEN_FDS, when LISTEN_PID is ours or absent). */
unsigned count_listen_fds(void);

struct backend; /* backend.h */

/* A container that was created by this process and waits to be started, or runs. */
struct created {
	struct container c;
	struct chan chan;      /* to init; unset after ACK */
	pid_t pid;             /* our child */
	int pidfd, console;    /* console: terminal master kept for the foreground, -1 */
	bool to_start;         /* run, not create */
	bool cgroup_made;      /* the cgroup is ours to remove */
	int claim;             /* on the cgroup until init is in it; -1: none */
	pid_t holder;          /* keeps the cgroup there until init is in it; 0: it needs none */
	struct resctrl_ref resctrl; /* once its groups are there; owns_*: made by this process */
	const struct backend *backend;
	const struct oci_spec *spec;
	const struct plan *plan;
	struct oci_state *state;
	const char *pid_file; /* written for it, and gone with it if it does not start; NULL: none */
};
#define CREATED_EMPTY ((struct created){ .c = CONTAINER_EMPTY, .chan = { -1 }, .pidfd = -1, .console = -1, .claim = -1 })

/* Everything of create up to, not including, ACK or START. to_start: the caller will START over the channel (run), otherwise
 * init listens on start.sock. keep_console: do not need a --console-socket. On failure nothing is left. */
must_check int create_container(const struct runtime *rt, const char *id, const struct create_options *o, bool to_start,
				bool keep_console, struct arena *a, struct created *out, struct err *e);
void created_close(struct created *k);
/* Ends and removes one that could not be started, with all that was made for it. */
void created_abandon(const struct runtime *rt, struct created *k);
#define auto_created __attribute__((cleanup(created_close)))

/* Ends and removes a container whose lock we hold: kills init and everything in its cgroup, removes the cgroup and the groups of
 * resctrl that are its own, runs the poststop hooks, removes the directory. s and spec may be NULL: a damaged state makes it look for the cgroup that spec names, else for the
 * default one of the id, and fail when there is none. */
must_check int destroy(const struct runtime *rt, struct container *c, const struct oci_state *s, const struct oci_spec *spec,
		       struct err *e);

/* After the program began: state "running", poststart hooks. A failing hook is an error; the caller destroys the container. */
must_check int after_start(struct container *c, const struct oci_spec *spec, struct err *e);

/* Stores how the container ended, for a later wait. Takes the lock for that. */
void record_exit(struct container *c, int status);

/* ---- notify.c: sd_notify ---- */
struct notify { int from, to; }; /* sockets to the program and to the service manager; -1: nobody listens */
#define NOTIFY_NONE ((struct notify){ -1, -1 })

/* When our caller has NOTIFY_SOCKET, *spec becomes one with a socket for the program; true: notify_make() is to make its place. */
bool notify_plan(const struct runtime *rt, const char *id, struct arena *a, const struct oci_spec **spec);
must_check int notify_make(const struct container *c, struct err *e);

/* Before the start: listens to the program, where there is a place and our caller listens to us. Else *out is NOTIFY_NONE. */
must_check int notify_open(const struct container *c, struct notify *out, struct err *e);
void notify_close(struct notify *n);
#define auto_notify __attribute__((cleanup(notify_close)))

/* Passes one message on, as far as it may be; true: it says READY=1. */
bool notify_pass(const struct notify *n);

/* Until the program is ready, which is told with its pid, or has ended. At once for NOTIFY_NONE. */
must_check int notify_await_ready(const struct notify *n, pid_t pid, int pidfd, struct err *e);

/* Blocks all signals that wait_foreground() passes on. From then on they wait for it, and nothing but SIGKILL keeps us from cleaning
 * up; to be called before the process is started. */
must_check int hold_signals(struct err *e);

/* Gives a terminal the size of ours, when we have one. */
void copy_window_size(int master);

/* Waits for a foreground process (our child): forwards signals and, with a terminal (master >= 0), input, output and window size.
 * Returns its exit status, 128 + signal. reap_all: we adopt orphans of the container and reap them. notify: messages to pass on, or
 * NOTIFY_NONE. */
must_check int wait_foreground(pid_t pid, int pidfd, int master, bool reap_all, const struct notify *notify, struct err *e);
