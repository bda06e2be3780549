#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "hwvirt-sandbox/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FREEZE_MS = 2000 };

/* Carries out one request. 0: it is answered with OK; 1: it has been, or will be; -EPROTO: the host broke the rules; else: refused.
 */
typedef int handler(struct agent *a, const struct message *m, struct arena *arena, struct err *e);

static struct agent_proc *find_proc(struct agent *a, uint32_t number)
{
	for (size_t i = 0; i < SESSION_PROCS_MAX; i++)
		if (a->procs[i].step != STEP_FREE && a->procs[i].number == number)
			return &a->procs[i];
	return NULL;
}

static struct agent_proc *first_proc(struct agent *a)
{
	for (size_t i = 0; i < SESSION_PROCS_MAX; i++)
		if (a->procs[i].step != STEP_FREE && a->procs[i].first)
			return &a->procs[i];
	return NULL;
}

static int hello(struct agent *a, const struct message *m, struct arena *arena, struct err *e)
{
	struct msg_hello in = { 0 }, out = { .version = PROTO_VERSION };
	struct strbuf b = STRBUF(arena);
	struct codec c = codec_encoder(&b);
	int r = message_decode(m, arena, codec_hello, &in, e);

	if (r < 0)
		return r;
	if (in.version != PROTO_VERSION)
		return err_set(e, EPROTO, "the host speaks version %u, the agent %d", in.version, PROTO_VERSION);
	if (a->machine)
		machine_set_time(in.now_ns);
	if (a->machine && in.n_entropy)
		machine_add_entropy(in.entropy, in.n_entropy);
	codec_hello(&c, &out);
	r = agent_send(a, m->id, PROTO_HELLO, &b, e);
	return r < 0 ? r : 1;
}

/* A worker for a process with these streams. */
static int launch(struct agent *a, const struct worker_job *job, uint32_t number, uint32_t streams, uint32_t id, struct err *e)
{
	struct agent_proc *p = NULL;
	int child[3];
	int r = session_proc_add(&a->session, number, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < SESSION_PROCS_MAX && !p; i++)
		p = a->procs[i].step == STEP_FREE ? &a->procs[i] : NULL;
	*p = (struct agent_proc){ .number = number, .request = id, .chan = { -1 }, .first = job->plan, .at = -1 };
	p->terminal = job->plan ? job->plan->proc.terminal : job->exec->plan.proc.terminal;
	r = streams_open(a->transport, &a->relays, number, streams & ~(uint32_t)STREAM_TERMINAL, child, e);
	if (r == 0)
		r = worker_start(job, child, &p->chan, e);
	for (int i = 0; i < 3; i++)
		close_fd(&child[i]);
	if (r >= 0) {
		p->worker = r;
		p->step = STEP_STAGE;
		return 1;
	}
	struct err ignored;

	(void)!session_proc_remove(&a->session, number, &ignored);
	streams_close(&a->relays, number);
	return r;
}

static int create(struct agent *a, const struct message *m, struct arena *arena, struct err *e)
{
	struct msg_create *in = arena_new(arena, struct msg_create);

	arena_release(&a->arena); /* of one that failed */
	int r = message_decode(m, &a->arena, codec_create, in, e);

	if (r < 0)
		return r;
	a->plan = in->plan;
	return launch(a, &(struct worker_job){ .plan = &a->plan }, a->session.next_proc, in->streams, m->id, e);
}

/* What is born in a frozen cgroup, or waits in it, would answer only when it is thawed. */
static int check_thawed(struct agent *a, const char *what, struct err *e)
{
	bool frozen = false;
	struct err ignored;

	if (cgroup_frozen(&a->plan.cgroup.ref, &frozen, &ignored) == 0 && frozen)
		return err_set(e, EBUSY, "cannot %s a paused container", what);
	return 0;
}

static int start(struct agent *a, const struct message *m, struct arena *arena, struct err *e)
{
	struct agent_proc *p = first_proc(a);

	(void)arena;
	if (m->len)
		return err_set(e, EPROTO, "start: malformed");
	if (!p || p->exited || p->chan.fd < 0)
		return err_set(e, p && p->step == STEP_RUNNING ? EINVAL : ESRCH,
			       p && p->step == STEP_RUNNING ? "the container runs already" : "the container has ended");
	if (p->step != STEP_CREATED)
		return err_set(e, EINVAL, "the container is being started");
	int r = check_thawed(a, "start", e);

	if (r == 0)
		r = chan_send(&p->chan, MSG_START, NULL, 0, -1, e);
	if (r < 0)
		return r;
	p->step = STEP_STARTING;
	p->request = m->id;
	return 1;
}

static int exec(struct agent *a, const struct message *m, struct arena *arena, struct err *e)
{
	struct msg_exec *in = arena_new(arena, struct msg_exec);
	const struct agent_proc *first = first_proc(a);
	int r = message_decode(m, arena, codec_exec, in, e);

	if (r < 0)
		return r;
	if (in->proc != a->session.next_proc)
		return err_set(e, EPROTO, "exec: process %u is not the next", in->proc);
	r = !first || first->exited || first->pid <= 0 ? err_set(e, ESRCH, "container not running") : check_thawed(a, "exec in", e);
	if (r < 0) {
		a->session.next_proc++;
		return r;
	}
	const struct worker_job job = { .exec = in,
					.cgroup = &a->plan.cgroup.ref,
					.init = first->pid,
					.no_pivot = a->plan.rootfs.no_pivot,
					.created = a->plan.ns.create };

	return launch(a, &job, in->proc, in->streams, m->id, e);
}

static int send_signal(struct agent *a, const struct message *m, struct arena *arena, struct err *e)
{
	struct msg_signal in = { 0 };
	int r = message_decode(m, arena, codec_signal, &in, e);

	if (r < 0)
		return r;
	if (in.all)
		return cgroup_signal(&a->plan.cgroup.ref, (int)in.sig, e);
	const struct agent_proc *p = find_proc(a, in.proc);

	if (!p || p->exited || p->pid <= 0)
		return err_set(e, ESRCH, "process %u does not run", in.proc);
	return kill(p->pid, (int)in.sig) < 0 ? err_errno(e, "kill") : 0;
}

static int winsize(struct agent *a, const struct message *m, struct arena *arena, struct err *e)
{
	struct msg_winsize in = { 0 };
	int r = message_decode(m, arena, codec_winsize, &in, e);

	return r < 0 ? r : streams_resize(&a->relays, in.proc, in.rows, in.cols, e);
}

static uint32_t field(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? (uint32_t)strtoul(at + strlen(key), NULL, 10) : 0;
}

/* false: it has ended meanwhile. */
static bool describe(pid_t pid, struct arena *arena, struct msg_proc *out)
{
	char path[32], *text;
	struct err ignored;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (file_read_value(AT_FDCWD, path, 8192, arena, &text, &ignored) < 0 || !str_starts(text, "Name:\t"))
		return false;
	*out = (struct msg_proc){ .pid = (uint32_t)pid, .ppid = field(text, "\nPPid:\t"), .uid = field(text, "\nUid:\t") };
	out->name = arena_strndup(arena, text + 6, strcspn(text + 6, "\n"));
	return true;
}

static int ps(struct agent *a, const struct message *m, struct arena *arena, struct err *e)
{
	struct strbuf b = STRBUF(arena);
	struct codec c = codec_encoder(&b);
	struct msg_ps out = { 0 };
	pid_t *pids;
	size_t n;
	int r = m->len ? err_set(e, EPROTO, "ps: malformed") : cgroup_procs(&a->plan.cgroup.ref, arena, &pids, &n, e);

	if (r < 0)
		return r;
	out.v = arena_alloc(arena, (n + 1) * sizeof(*out.v));
	for (size_t i = 0; i < n; i++)
		out.n += describe(pids[i], arena, &out.v[out.n]);
	codec_ps(&c, &out);
	if (b.len > PROTO_TO_HOST_MAX)
		return err_set(e, E2BIG, "%zu processes are too many for a message", n);
	r = agent_send(a, m->id, PROTO_PS, &b, e);
	return r < 0 ? r : 1;
}

static int stats(struct agent *a, const struct message *m, struct arena *arena, struct err *e)
{
	struct strbuf b = STRBUF(arena);
	struct codec c = codec_encoder(&b);
	struct cgroup_stats out = { 0 };
	int r = m->len ? err_set(e, EPROTO, "stats: malformed") : cgroup_stats_read(&a->plan.cgroup.ref, arena, &out, e);

	if (r < 0)
		return r;
	codec_stats(&c, &out);
	r = agent_send(a, m->id, PROTO_STATS, &b, e);
	return r < 0 ? r : 1;
}

static int update(struct agent *a, const struct message *m, struct arena *arena, struct err *e)
{
	struct cgroup_plan in = { 0 };
	int r = message_decode(m, arena, codec_cgroup_plan, &in, e);

	(void)a;
	return r < 0 ? r : cgroup_update(&in, NULL, e);
}

static int freeze(struct agent *a, const struct message *m, struct arena *arena, struct err *e)
{
	(void)arena;
	if (m->len)
		return err_set(e, EPROTO, "%s: malformed", proto_name(m->type));
	return cgroup_freeze(&a->plan.cgroup.ref, m->type == PROTO_PAUSE, FREEZE_MS, e);
}

static int shut_down(struct agent *a, const struct message *m, struct arena *arena, struct err *e)
{
	(void)arena;
	if (m->len)
		return err_set(e, EPROTO, "shutdown: malformed");
	a->ending = true;
	return 0;
}

static handler *const handlers[] = {
	[PROTO_HELLO] = hello,        [PROTO_CREATE] = create,   [PROTO_START] = start,   [PROTO_EXEC] = exec,
	[PROTO_SIGNAL] = send_signal, [PROTO_WINSIZE] = winsize, [PROTO_PS] = ps,         [PROTO_STATS] = stats,
	[PROTO_UPDATE] = update,      [PROTO_PAUSE] = freeze,    [PROTO_RESUME] = freeze, [PROTO_SHUTDOWN] = shut_down,
};

int request_serve(struct agent *a, const struct message *m, struct err *e)
{
	auto_arena struct arena arena = { 0 };
	struct err why;
	int r = handlers[m->type](a, m, &arena, &why);

	if (r == 0)
		return agent_answer(a, m->id, 0, e);
	if (r > 0)
		return 0;
	if (r != -EPROTO && r != -ENOBUFS)
		return agent_refuse(a, m->id, &why, e);
	*e = why;
	return r;
}
