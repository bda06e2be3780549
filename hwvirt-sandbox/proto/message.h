/* message.h - what host and agent say to each other, and when
 *
 *   host                                   agent
 *   HELLO version, time, entropy   -->
 *                                  <--     HELLO version, features
 *   CREATE the plan                -->
 *                                  <--     OK pid; the streams of process 0 are connected
 *   START                          -->
 *                                  <--     OK: its program runs; ERROR: why not
 *   EXEC, SIGNAL, WINSIZE, PS, STATS, UPDATE, PAUSE, RESUME: any time after the answer to CREATE
 *                                  <--     EXIT process, status; OOM; LOG: unasked
 *   SHUTDOWN                       -->     OK, and the guest ends
 *
 * Every request has an id of its own and one answer with that id: OK, ERROR or its own type. What comes unasked has id 0. Requests may
 * overlap, in any number up to SESSION_PENDING_MAX. Processes have numbers: CREATE and each EXEC take the next, from 0, also when they fail.
 * Each that CREATE or EXEC has answered with OK has one EXIT.
 * Standard streams are connections of their own, made by the agent: the first frame is STREAM, then bytes as they are. An end of file is a
 * half-close.
 */
#pragma once
#include "cgroups/cgroup_stats.h"
#include "hwvirt-sandbox/proto/frame.h"
#include "hwvirt-sandbox/proto/guest_plan.h"

enum { PROTO_VERSION = 1 };
enum { PROTO_TO_AGENT_MAX = 4 << 20, PROTO_TO_HOST_MAX = 1 << 20 }; /* bytes of a message */
enum { SESSION_PENDING_MAX = 64, SESSION_PROCS_MAX = 256 };

enum proto_type {
	PROTO_HELLO = 1, PROTO_CREATE, PROTO_START, PROTO_EXEC, PROTO_SIGNAL, PROTO_WINSIZE, PROTO_PS, PROTO_STATS, PROTO_UPDATE,
	PROTO_PAUSE, PROTO_RESUME, PROTO_SHUTDOWN, PROTO_REQUEST_END,
	PROTO_OK = 32, PROTO_ERROR, PROTO_EXIT, PROTO_OOM, PROTO_LOG,
	PROTO_STREAM = 64,
};

/* Which standard streams a process has a connection for; of the others it has /dev/null. With a terminal all three are one. */
enum { STREAM_STDIN = 1, STREAM_STDOUT = 2, STREAM_STDERR = 4, STREAM_TERMINAL = 8 };

struct msg_hello { uint32_t version; uint64_t features; uint64_t now_ns; const void *entropy; size_t n_entropy; };
struct msg_create { uint32_t streams; struct plan plan; };
/* user: as user_resolve() takes it, to be looked up where the process will be; NULL: the plan has it. cgroups: as of cgroup_join(). */
struct msg_exec { uint32_t proc, streams; struct exec_plan plan; const char *user; char *const *cgroups; };
struct msg_signal { uint32_t proc, sig; bool all; }; /* all: of the whole container, and proc means nothing */
struct msg_winsize { uint32_t proc; uint16_t rows, cols; };
struct msg_ok { uint32_t pid; };
struct msg_exit { uint32_t proc, status; }; /* 0-255, 128 + signal */
struct msg_log { uint32_t level; const char *text; };
struct msg_proc { uint32_t pid, ppid, uid; const char *name; };
struct msg_ps { struct msg_proc *v; size_t n; };
struct msg_stream { uint32_t proc, stream; };

void codec_hello(struct codec *c, struct msg_hello *m);
void codec_create(struct codec *c, struct msg_create *m);
void codec_exec(struct codec *c, struct msg_exec *m);
void codec_signal(struct codec *c, struct msg_signal *m);
void codec_winsize(struct codec *c, struct msg_winsize *m);
void codec_ok(struct codec *c, struct msg_ok *m);
void codec_error(struct codec *c, struct err *m);
void codec_exit(struct codec *c, struct msg_exit *m);
void codec_log(struct codec *c, struct msg_log *m);
void codec_ps(struct codec *c, struct msg_ps *m);
void codec_stream(struct codec *c, struct msg_stream *m);

/* Decodes a whole message: `what` is the name for errors. */
#define message_decode(m, a, codec_fn, out, e)                                          \
	({                                                                              \
		struct codec c_ = codec_decoder((m)->data, (m)->len, (a));              \
		codec_fn(&c_, (out));                                                   \
		codec_end(&c_, proto_name((m)->type), (e));                             \
	})

const char *proto_name(unsigned type); /* "create"; "unknown message" */

/* One side's view of the conversation: says what may come now. Both sides have one. */
enum session_state { SESSION_NEW, SESSION_READY, SESSION_CREATED };
struct session {
	bool agent;
	enum session_state state;
	struct { uint32_t id; uint16_t type; } pending[SESSION_PENDING_MAX];
	size_t n_pending;
	uint32_t next_id, next_proc;
	uint32_t procs[SESSION_PROCS_MAX]; /* numbers of those that live */
	size_t n_procs;
};

/* The host is about to send a request, and gets its id. EBUSY: too many are under way; EPROTO: not now. */
must_check int session_ask(struct session *s, enum proto_type type, uint32_t *id, struct err *e);

/* A message has come. EPROTO: the other side may not say this now. For an answer, *asked receives the type of the request (else 0). */
must_check int session_receive(struct session *s, const struct message *m, enum proto_type *asked, struct err *e);

/* The agent answers. ok: and not with an ERROR. */
void session_answer(struct session *s, uint32_t id, bool ok);

/* A process more, of CREATE or EXEC: its number must be the next. EBUSY: there are too many. */
must_check int session_proc_add(struct session *s, uint32_t proc, struct err *e);
/* It has ended, or has not begun: EPROTO when there is no such process. */
must_check int session_proc_remove(struct session *s, uint32_t proc, struct err *e);
