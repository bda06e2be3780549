#include "hwvirt-sandbox/agent/agent.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/retry.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

enum { OUT_MAX = 4 << 20, FLUSH_MS = 2000, KILL_MS = 5000 };
enum { AT_CONTROL, AT_SIGNALS, AT_OOM, AT_REST, POLL_MAX = AT_REST + SESSION_PROCS_MAX + 2 * RELAY_MAX };

struct poll_set {
	struct pollfd v[POLL_MAX];
	nfds_t n;
};

/* ---- what is said ---- */

int agent_send(struct agent *a, uint32_t id, enum proto_type type, const struct strbuf *payload, struct err *e)
{
	int r = frame_put(&a->writer, (uint16_t)type, id, payload->text, payload->len, e);

	if (r == 0 && id)
		session_answer(&a->session, id, type != PROTO_ERROR);
	return r;
}

int agent_answer(struct agent *a, uint32_t id, pid_t pid, struct err *e)
{
	auto_arena struct arena arena = { 0 };
	struct strbuf b = STRBUF(&arena);
	struct codec c = codec_encoder(&b);
	struct msg_ok m = { .pid = (uint32_t)pid };

	codec_ok(&c, &m);
	return agent_send(a, id, PROTO_OK, &b, e);
}

int agent_refuse(struct agent *a, uint32_t id, const struct err *why, struct err *e)
{
	auto_arena struct arena arena = { 0 };
	struct strbuf b = STRBUF(&arena);
	struct codec c = codec_encoder(&b);
	struct err m = *why;

	codec_error(&c, &m);
	return agent_send(a, id, PROTO_ERROR, &b, e);
}

/* A record that finds no room is lost. */
static void put_log(void *ctx, enum log_level level, const char *text)
{
	auto_arena struct arena arena = { 0 };
	struct agent *a = ctx;
	struct strbuf b = STRBUF(&arena);
	struct codec c = codec_encoder(&b);
	struct msg_log m = { (uint32_t)level, text };
	struct err ignored;

	codec_log(&c, &m);
	(void)!agent_send(a, 0, PROTO_LOG, &b, &ignored);
}

/* ---- processes ---- */

/* It is gone. told: an OK was said of it, so that an EXIT follows. */
static int release(struct agent *a, struct agent_proc *p, bool told, struct err *e)
{
	auto_arena struct arena arena = { 0 };
	struct strbuf b = STRBUF(&arena);
	struct codec c = codec_encoder(&b);
	struct msg_exit m = { p->number, (uint32_t)p->status };
	int r = session_proc_remove(&a->session, p->number, e);

	chan_close(&p->chan);
	*p = (struct agent_proc){ .step = STEP_FREE, .chan = { -1 }, .at = -1 };
	if (r < 0 || !told)
		return r;
	codec_exit(&c, &m);
	return agent_send(a, 0, PROTO_EXIT, &b, e);
}

/* The worker has given up, and taken back what it did. */
static int give_up(struct agent *a, struct agent_proc *p, const struct err *why, struct err *e)
{
	bool told = p->first && p->step >= STEP_CREATED;
	int r = p->request ? agent_refuse(a, p->request, why, e) : 0;

	if (!told)
		streams_close(&a->relays, p->number);
	p->status = 1;
	return r < 0 ? r : release(a, p, told, e);
}

static int created(struct agent *a, struct agent_proc *p, struct err *e)
{
	struct err why;

	if (!p->first) {
		p->step = STEP_STARTING;
		return chan_send(&p->chan, MSG_START, NULL, 0, -1, e);
	}
	p->step = STEP_CREATED;
	a->has_container = true;
	if (cgroup_oom_open(&a->plan.cgroup.ref, &a->oom, &why) < 0)
		log_debug("%s", why.text);
	int r = agent_answer(a, p->request, p->pid, e);

	p->request = 0;
	return r;
}

static int running(struct agent *a, struct agent_proc *p, struct err *e)
{
	int r = agent_answer(a, p->request, p->pid, e);

	p->step = STEP_RUNNING;
	p->request = 0;
	chan_close(&p->chan);
	return r;
}

/* Takes the next message of the worker. */
static int hear(struct agent *a, struct agent_proc *p, int *console, struct err *e)
{
	int32_t pid = 0;
	int r;

	switch (p->step) {
	case STEP_STAGE:
		r = chan_expect(&p->chan, MSG_STAGE, &pid, sizeof(pid), NULL, e);
		if (r < 0)
			return r;
		p->pid = pid;
		p->step = p->terminal ? STEP_CONSOLE : STEP_READY;
		return 0;
	case STEP_CONSOLE:
		r = chan_expect(&p->chan, MSG_CONSOLE, NULL, 0, console, e);
		if (r < 0)
			return r;
		p->step = STEP_READY;
		return streams_terminal(a->transport, &a->relays, p->number, take_fd(console), e);
	case STEP_READY:
		return chan_expect(&p->chan, MSG_READY, NULL, 0, NULL, e);
	default:
		return chan_expect(&p->chan, MSG_EXEC, NULL, 0, NULL, e);
	}
}

/* One message of the worker, if there is one: 1, else 0. Failure ends the agent. */
static int step(struct agent *a, struct agent_proc *p, struct err *e)
{
	enum proc_step before = p->step;
	struct err why;
	auto_fd int console = -1;
	int r = hear(a, p, &console, &why);

	if (r == -EAGAIN)
		return 0;
	/* Killed before it was started: its end is known when it is reaped. */
	if (r < 0 && before == STEP_CREATED) {
		chan_close(&p->chan);
		return 1;
	}
	if (r < 0)
		return give_up(a, p, &why, e) < 0 ? -e->code : 1;
	r = 0;
	if (before == STEP_READY)
		r = created(a, p, e);
	else if (before == STEP_STARTING)
		r = running(a, p, e);
	return r < 0 ? r : 1;
}

static int step_all(struct agent *a, struct err *e)
{
	for (size_t i = 0; i < SESSION_PROCS_MAX; i++) {
		int r = 1;

		while (r > 0 && a->procs[i].step != STEP_FREE && a->procs[i].chan.fd >= 0)
			r = step(a, &a->procs[i], e);
		if (r < 0)
			return r;
	}
	return 0;
}

static void note_exit(struct agent *a, pid_t pid, int status)
{
	for (size_t i = 0; i < SESSION_PROCS_MAX; i++) {
		struct agent_proc *p = &a->procs[i];

		if (p->step == STEP_FREE || p->pid != pid)
			continue;
		p->exited = true;
		p->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}

static int tell_oom(struct agent *a, struct err *e)
{
	const struct strbuf none = { 0 };

	return cgroup_oom_check(&a->oom) ? agent_send(a, 0, PROTO_OOM, &none, e) : 0;
}

/* What has ended is ours to reap, be it a worker, a process or an orphan. A process is ours only once its worker has ended, so all
 * that the worker said is there to be heard first, its number included. */
static int reap(struct agent *a, struct err *e)
{
	int status, r;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		r = step_all(a, e);
		if (r < 0)
			return r;
		note_exit(a, pid, status);
	}
	for (size_t i = 0; i < SESSION_PROCS_MAX; i++) {
		struct agent_proc *p = &a->procs[i];

		if (p->step == STEP_FREE || !p->exited || p->chan.fd >= 0)
			continue;
		/* The end may be what the out-of-memory killer did. */
		r = tell_oom(a, e);
		if (r == 0)
			r = release(a, p, true, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- the loop ---- */

static void watch(struct poll_set *s, int fd, short events)
{
	s->v[s->n++] = (struct pollfd){ .fd = fd, .events = events };
}

static void watch_all(struct agent *a, struct poll_set *s)
{
	s->n = 0;
	watch(s, a->control, (short)(POLLIN | (frame_waiting(&a->writer) ? POLLOUT : 0)));
	watch(s, a->signals, POLLIN);
	watch(s, a->oom.fd, POLLIN);
	for (size_t i = 0; i < SESSION_PROCS_MAX; i++) {
		struct agent_proc *p = &a->procs[i];

		p->at = p->step != STEP_FREE && p->chan.fd >= 0 ? (int)s->n : -1;
		if (p->at >= 0)
			watch(s, p->chan.fd, POLLIN);
	}
	s->n = relays_watch(&a->relays, s->v, s->n);
}

static int serve_control(struct agent *a, struct err *e)
{
	ssize_t n = frame_read(&a->reader, a->control, e);
	struct message m;
	int r = 0;

	if (n == -EAGAIN)
		return 0;
	if (n < 0)
		return (int)n;
	while (!a->ending && (r = frame_next(&a->reader, &m, e)) > 0) {
		enum proto_type asked;

		r = session_receive(&a->session, &m, &asked, e);
		if (r == 0)
			r = request_serve(a, &m, e);
		if (r < 0)
			return r;
	}
	if (r < 0 || n > 0 || a->ending)
		return r;
	return err_set(e, EPIPE, "the host is gone");
}

static int serve_signals(struct agent *a, struct err *e)
{
	struct signalfd_siginfo info;

	while (RETRY(read(a->signals, &info, sizeof(info))) > 0)
		;
	return reap(a, e);
}

static int turn(struct agent *a, struct poll_set *s, struct err *e)
{
	int r = frame_flush(&a->writer, a->control, e);

	if (r < 0)
		return r;
	watch_all(a, s);
	if (RETRY(poll(s->v, s->n, -1)) < 0)
		return err_errno(e, "poll");
	r = s->v[AT_CONTROL].revents & ~POLLOUT ? serve_control(a, e) : 0;
	for (size_t i = 0; r >= 0 && i < SESSION_PROCS_MAX; i++)
		if (a->procs[i].at >= 0 && a->procs[i].step != STEP_FREE && a->procs[i].chan.fd >= 0 &&
		    s->v[a->procs[i].at].revents)
			r = step(a, &a->procs[i], e);
	relays_step(&a->relays, s->v);
	if (r >= 0 && s->v[AT_OOM].revents)
		r = tell_oom(a, e);
	/* Always: a process may have been waiting for the end of its worker's channel. */
	return r < 0 ? r : serve_signals(a, e);
}

/* The last words, as far as the host listens. */
static void say_goodbye(struct agent *a)
{
	int64_t until = clock_ms() + FLUSH_MS;
	struct err ignored;

	while (frame_flush(&a->writer, a->control, &ignored) > 0 && clock_ms() < until) {
		struct pollfd p = { .fd = a->control, .events = POLLOUT };

		(void)poll(&p, 1, 100);
	}
}

static int open_signals(struct agent *a, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_errno(e, "sigprocmask");
	a->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return a->signals < 0 ? err_errno(e, "signalfd") : 0;
}

static int open_control(struct agent *a, struct err *e)
{
	a->control = transport_dial(a->transport, e);
	if (a->control < 0)
		return a->control;
	return fcntl(a->control, F_SETFL, O_NONBLOCK) < 0 ? err_errno(e, "fcntl") : 0;
}

static struct agent *agent_new(const struct transport *t, bool machine)
{
	struct agent *a = calloc(1, sizeof(*a));

	if (!a)
		abort();
	a->transport = t;
	a->machine = machine;
	a->session.agent = true;
	a->control = a->signals = a->oom.fd = -1;
	frame_reader_init(&a->reader, PROTO_TO_AGENT_MAX);
	frame_writer_init(&a->writer, OUT_MAX);
	relays_init(&a->relays);
	for (size_t i = 0; i < SESSION_PROCS_MAX; i++)
		a->procs[i].chan.fd = -1;
	return a;
}

/* Nothing of the container outlives the agent. */
static void agent_free(struct agent *a)
{
	struct err ignored;

	for (size_t i = 0; i < SESSION_PROCS_MAX; i++)
		chan_close(&a->procs[i].chan);
	if (a->has_container)
		(void)!cgroup_remove(&a->plan.cgroup.ref, KILL_MS, &ignored);
	for (size_t i = 0; i < RELAY_MAX; i++)
		if (relay_used(&a->relays.v[i]))
			relay_close(&a->relays.v[i]);
	if (a->oom.fd >= 0)
		cgroup_oom_close(&a->oom);
	close_fd(&a->control);
	close_fd(&a->signals);
	frame_reader_release(&a->reader);
	frame_writer_release(&a->writer);
	arena_release(&a->arena);
	free(a);
}

int agent_run(const struct transport *t, bool machine, struct err *e)
{
	struct agent *a = agent_new(t, machine);
	struct poll_set set;
	int r = open_signals(a, e);

	if (r == 0)
		r = open_control(a, e);
	struct log_sink before = log_set_sink((struct log_sink){ .put = put_log, .ctx = a, .max = LOG_LEVEL_INFO });

	while (r >= 0 && !a->ending)
		r = turn(a, &set, e);
	log_set_sink(before);
	if (a->control >= 0)
		say_goodbye(a);
	agent_free(a);
	return r < 0 ? r : 0;
}
