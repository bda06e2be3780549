/* supervisor.h - the process that is a container in a virtual machine, as the host sees it
 *
 *   drupe create/run --(chan, init/init.h)--> supervisor --> machine (KVM, devices) --> file server
 *                                                 |              |
 *                                                 +--(vsock)-- agent in the guest (proto/message.h)
 *
 * It takes the place of init: it holds the same conversation with the runtime, signals sent to it reach the container's program, its exit
 * status is that program's. It trusts the runtime and the config; machine and agent are hostile: what they say is checked, waited for
 * with a limit, and kept in bounds. One thread, one loop over poll(2).
 */
#pragma once
#include "base/chan.h"
#include "hwvirt-sandbox/relay.h"
#include "plan/vm_plan.h"

enum { AGENT_PORT = 1024, BOOT_MS = 120000, ANSWER_MS = 60000, TERM_MS = 15000, END_MS = 10000, LAST_WORDS_MS = 3000, STATUS_LOST = 255, LOGS_MAX = 200 };
enum { CONFIG_MAX = 16 << 20, AGENT_MAX = 16 << 20 }; /* bytes of files */

/* ---- share.c ---- */
/* In a mount namespace of our own: the shares of the plan below one directory, `share` of parent_fd. Returns that directory. */
must_check int share_open(const struct vm_plan *p, int parent_fd, struct err *e);

/* ---- machine.c: the process that has the virtual machine ---- */
struct machine_config {
	const struct vm_plan *plan;
	int kernel_fd, initrd_fd; /* borrowed */
	const char *cmdline;
};
struct machine {
	pid_t pid;
	int pidfd, channel, console; /* owned; console: what the guest's kernel says */
};
must_check int machine_start(const struct machine_config *c, struct machine *out, struct err *e);

/* What it says: 1 and a connection of the guest's in *conn, 0 nothing, -EPIPE: it has ended, and why. */
must_check int machine_hear(struct machine *m, int *conn, struct err *e);
/* Ends it, when it has not ended yet. */
void machine_end(struct machine *m);

/* ---- link.c: the conversation with the agent ---- */
struct supervisor;
struct proc {
	bool used, exited;
	uint32_t number, streams; /* streams: that are still to be connected */
	int status;
	int64_t until; /* exited: its output is waited for */
	int fd[3], terminal; /* of the streams; owned until they are connected, -1: none */
};

enum { CLIENTS_MAX = 64 };
/* Each client can have a process begun whose three streams are just being connected. */
enum { CONSOLE_TAIL = 1024, UNNAMED_MAX = 3 * CLIENTS_MAX, STREAM_HEAD = FRAME_HEAD + 8 };
struct client { int fd; uint32_t proc; bool listens; }; /* proc: the one that it has executed, 0: none; listens: to events */
struct unnamed { int fd; unsigned number; size_t n; unsigned char head[STREAM_HEAD]; }; /* a connection that has not yet said whose it is */

struct supervisor {
	const char *id;
	const struct plan *guest;
	struct arena arena; /* lives as long as it */
	struct chan chan;   /* to the runtime; -1: it has gone on without us */
	int dir_fd, listen_fd, control_listen, signals, stderr_fd;
	bool asking;        /* one question at a time: others wait */
	int answer_ms;      /* how long for an answer */
	unsigned logged;    /* messages of the agent's log, at most LOGS_MAX */
	struct machine machine;
	struct session session;
	struct frame_reader reader;
	struct frame_writer writer;
	int control; /* to the agent; -1: it has not called yet */
	struct relays relays;
	struct proc procs[SESSION_PROCS_MAX];
	struct unnamed unnamed[UNNAMED_MAX];
	unsigned connections; /* so far: what numbers them */
	struct client clients[CLIENTS_MAX];
	struct message answer; /* to the question; data of arena of who asked */
	struct arena *answer_arena;
	enum proto_type answered; /* 0: not yet */
	uint32_t asked_id;
	bool lost; /* machine or agent: why says how */
	struct err why;
	char tail[CONSOLE_TAIL + 1]; /* the last the kernel said */
	size_t n_tail;
};

/* Asks and waits for the answer, which lives in *a. An ERROR is a failure. */
must_check int link_ask(struct supervisor *s, enum proto_type type, const struct strbuf *payload, struct arena *a,
			struct message *answer, struct err *e);
must_check int link_hello(struct supervisor *s, struct err *e);
/* CREATE: its process is procs[0], with the streams that *p names. */
must_check int link_create(struct supervisor *s, const struct plan *plan, struct proc *streams, struct err *e);
must_check int link_plain(struct supervisor *s, enum proto_type type, struct err *e);
/* Where TERM for the container has no answer, the machine is lost: it ends. */
must_check int link_signal(struct supervisor *s, uint32_t proc, int sig, bool all, struct err *e);
must_check int link_winsize(struct supervisor *s, uint32_t proc, uint16_t rows, uint16_t cols, struct err *e);
/* EXEC: *p becomes its process, with the streams that it names. */
must_check int link_exec(struct supervisor *s, const struct msg_exec *asked, struct proc *p, struct err *e);
/* Bytes have come on the control connection. */
void link_hear(struct supervisor *s);
struct proc *link_proc(struct supervisor *s, uint32_t number);
/* Machine or agent can't be used any more; the first reason counts. */
void link_lose(struct supervisor *s, const struct err *why);

/* ---- streams.c: the standard streams of the guest's processes ---- */
/* A connection of the guest's, which it owns from now on: the agent's, or a stream. */
void streams_take(struct supervisor *s, int conn);
/* One that may now say whose it is. */
void streams_name(struct supervisor *s, struct unnamed *u);
/* The null device takes the places of 0, 1 and 2. connect: what they were, if not the null device already, is to be connected. */
must_check int streams_of_ours(struct proc *p, bool connect, struct err *e);
/* A terminal of the host in place of the guest's: the master for our caller, the other end in p->terminal, raw, controlling us,
 * with the size of the plan. */
must_check int streams_console(struct proc *p, const struct proc_plan *of, int *master, struct err *e);
/* The container's output that has not been written yet: 0 none, 1 the reader is slow, 2 it is still to come. */
int streams_left(struct supervisor *s, uint32_t proc);

/* ---- serve.c: control.sock ---- */
void serve_accept(struct supervisor *s);
void serve_client(struct supervisor *s, struct client *c);
/* The container has run out of memory: tells those who listen. */
void serve_oom(struct supervisor *s);
/* Tells the ends of what exec has added, as soon as the output is out. true: it still waits for some. */
bool serve_exits(struct supervisor *s);

/* ---- exec.c ---- */
/* The process that stands for one of the guest's, which exec has added: `drupe exec` sees it as that. Returns the exit status of both. */
int exec_proxy(char **argv);
/* The container's config, as two (plan/vm_plan.h). */
must_check int load_config(int dir_fd, const char *bundle, struct arena *a, struct vm_plan *out, struct err *e);
/* A descriptor that our caller has let through exec(2); -1: it is none. */
int inherited_fd(const char *text);
/* Blocks the signals that are passed on: a signalfd. */
must_check int forwarded_signals(struct err *e);

/* ---- loop.c ---- */
/* Nothing is there yet: no connections, no processes, descriptors -1. */
void supervisor_init(struct supervisor *s);
enum { LOOP_CHAN = 1, LOOP_LISTEN = 2 };
/* One turn, at most timeout_ms: returns which of chan and listen_fd, as far as they are in `wait`, have something to read. */
must_check int loop_turn(struct supervisor *s, int wait, int timeout_ms, struct err *e);
/* All that the kernel has said so far, of which a turn takes a part; with a limit, for one that does not stop. */
void loop_hear_console(struct supervisor *s);
