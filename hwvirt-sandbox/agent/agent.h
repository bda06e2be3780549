/* agent.h - process 1 of a guest: makes the container that the host describes, and serves the host's requests
 *
 * One thread, one loop over poll(2) that never blocks. What may block is done by workers: a process each for CREATE and EXEC, which
 * speaks with init (init/init.h) as the runtime does on a host, and tells the agent over a channel:
 *
 *   agent                                   worker
 *                              <--  STAGE  pid of the process proper
 *                              <--  CONSOLE  its terminal (only with one)
 *                              <--  READY
 *   START (EXEC: at once)      -->
 *                              <--  EXEC: the program runs; ERROR, at any time: it does not. The worker ends.
 *
 * The agent trusts the host with the guest, but not with its own memory; a host that breaks the rules, or is gone, ends the guest.
 * Nothing is written into the container's files but what the plan asks for.
 */
#pragma once
#include "base/chan.h"
#include "cgroups/cgroup_stats.h"
#include "hwvirt-sandbox/proto/message.h"
#include "hwvirt-sandbox/relay.h"

/* ---- transport.c: how the host is reached ---- */
struct transport {
	const char *path;   /* unix socket, where there is no virtual machine; NULL: vsock */
	unsigned port;      /* of the host, over vsock */
};
/* A connection, blocking, close-on-exec. */
must_check int transport_dial(const struct transport *t, struct err *e);

/* ---- streams.c: the standard streams of a process ---- */
/* Connects the streams and makes pipes. child[] receives what the process gets as 0, 1 and 2 (the null device for the others). */
must_check int streams_open(const struct transport *t, struct relays *all, uint32_t proc, uint32_t streams, int child[3], struct err *e);
/* The terminal's master, which it owns from now on. */
must_check int streams_terminal(const struct transport *t, struct relays *all, uint32_t proc, int master, struct err *e);
/* Ends what a process has that never ran. */
void streams_close(struct relays *all, uint32_t proc);
must_check int streams_resize(const struct relays *all, uint32_t proc, uint16_t rows, uint16_t cols, struct err *e);

/* ---- worker.c ---- */
struct worker_job {
	const struct plan *plan;      /* CREATE */
	const struct msg_exec *exec;  /* EXEC */
	const struct cgroup_ref *cgroup;
	pid_t init;                   /* EXEC: the container's */
	bool no_pivot;                /* as of its rootfs_plan */
	uint32_t created;             /* as of its ns_plan */
};
/* Forks a worker; child[] are its standard streams, borrowed. *chan leads to it and does not block. */
must_check pid_t worker_start(const struct worker_job *job, const int child[3], struct chan *chan, struct err *e);

/* ---- machine.c: process 1 of a real guest ---- */
/* Mounts what a guest needs: a root that can be left, proc, sys, dev, cgroup2, and the share with this tag. */
must_check int machine_set_up(const char *share_tag, struct err *e);
/* Time and entropy from the host. */
void machine_set_time(uint64_t now_ns);
void machine_add_entropy(const void *data, size_t len);

/* ---- agent.c, requests.c ---- */
enum proc_step {
	STEP_FREE,
	STEP_STAGE, STEP_CONSOLE, STEP_READY, /* what the worker says next */
	STEP_CREATED,                         /* the container's: waits for START */
	STEP_STARTING,                        /* EXEC is next */
	STEP_RUNNING,
};
struct agent_proc {
	enum proc_step step;
	uint32_t number, request; /* request: to be answered, 0: none */
	pid_t worker, pid;        /* 0: not known yet */
	struct chan chan;         /* to the worker */
	bool first, terminal, exited;
	int status, at;
};
struct agent {
	const struct transport *transport;
	struct session session;
	struct frame_reader reader;
	struct frame_writer writer;
	int control, signals;
	bool machine, ending;
	struct arena arena; /* of the plan */
	struct plan plan;   /* of the container, once has_container */
	bool has_container;
	struct cgroup_oom oom;
	struct agent_proc procs[SESSION_PROCS_MAX];
	struct relays relays;
};

/* Carries out a request that the session has let pass, and answers it, or will. Failure ends the agent: the host broke the rules. */
must_check int request_serve(struct agent *a, const struct message *m, struct err *e);

/* Answers. ENOBUFS: the host does not read. */
must_check int agent_answer(struct agent *a, uint32_t id, pid_t pid, struct err *e);
must_check int agent_refuse(struct agent *a, uint32_t id, const struct err *why, struct err *e);
must_check int agent_send(struct agent *a, uint32_t id, enum proto_type type, const struct strbuf *payload, struct err *e);

/* Until the host says SHUTDOWN: then 0. Else what ended it. machine: time and entropy are ours to set. */
must_check int agent_run(const struct transport *t, bool machine, struct err *e);
