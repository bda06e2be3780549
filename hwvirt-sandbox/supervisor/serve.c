/* The questions of other commands (container/control.h), one at a time, and the ends of the processes that exec has added. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/retry.h"
#include "container/control.h"
#include "hwvirt-sandbox/supervisor/supervisor.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

void serve_accept(struct supervisor *s)
{
	auto_fd int fd = RETRY(accept4(s->control_listen, NULL, NULL, SOCK_CLOEXEC));

	for (size_t i = 0; fd >= 0 && i < CLIENTS_MAX; i++)
		if (s->clients[i].fd < 0) {
			s->clients[i] = (struct client){ .fd = take_fd(&fd) };
			return;
		}
}

static void answer(const struct client *c, int r, int32_t a, const char *text, const struct err *why)
{
	static struct control_packet p; /* one thread */
	struct err ignored;

	p = (struct control_packet){ .type = r < 0 ? CONTROL_ERROR : CONTROL_OK, .a = a };
	if (r < 0) {
		p.len = sizeof(*why);
		memcpy(p.data, why, sizeof(*why));
	} else if (text) {
		p.len = (uint32_t)strnlen(text, CONTROL_DATA_MAX);
		memcpy(p.data, text, p.len);
	}
	(void)!control_send(c->fd, &p, NULL, 0, &ignored);
}

/* A process of whose command nobody waits any more ends with it, as a process on the host would be killed with it. */
static void drop(struct supervisor *s, struct client *c)
{
	struct proc *p = c->proc ? link_proc(s, c->proc) : NULL;
	struct err ignored;

	close_fd(&c->fd);
	if (p && !p->exited)
		(void)!link_signal(s, c->proc, SIGKILL, false, &ignored);
	c->proc = 0;
}

/* ---- exec ---- */

static int read_plan(int fd, struct arena *a, struct exec_plan *out, struct err *e)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "exec: no plan");
	if (st.st_size <= 0 || st.st_size > PROTO_TO_AGENT_MAX)
		return err_set(e, E2BIG, "exec: a plan of %lld bytes", (long long)st.st_size);
	size_t len = (size_t)st.st_size;
	char *data = arena_alloc(a, len);

	if (RETRY(pread(fd, data, len, 0)) != st.st_size)
		return err_errno(e, "exec: plan");
	struct codec c = codec_decoder(data, len, a);

	codec_exec_plan(&c, out);
	return codec_end(&c, "exec", e);
}

static void take_streams(struct proc *p, int *fds)
{
	int next = 1;

	p->terminal = p->streams == STREAM_TERMINAL ? take_fd(&fds[next]) : -1;
	for (int i = 0; i < 3; i++)
		p->fd[i] = p->streams & 1u << i ? take_fd(&fds[next++]) : -1;
}

static void exec(struct supervisor *s, struct client *c, const struct control_packet *q, int *fds)
{
	auto_arena struct arena a = { 0 };
	struct proc p = { .streams = (uint32_t)q->a & 15 };
	struct exec_plan plan = { 0 };
	struct err e;
	int r = c->proc ? err_set(&e, EBUSY, "exec: one process a connection") : read_plan(fds[0], &a, &plan, &e);

	if (r < 0) {
		answer(c, r, 0, NULL, &e);
		return;
	}
	take_streams(&p, fds);
	r = link_exec(s, &plan, &p, &e);
	if (r == 0)
		c->proc = p.number;
	for (int i = 0; r < 0 && i < 3; i++)
		close_fd(&p.fd[i]);
	if (r < 0)
		close_fd(&p.terminal);
	answer(c, r, 0, NULL, &e);
}

/* ---- the rest ---- */

static void ask_ps(struct supervisor *s, struct client *c)
{
	auto_arena struct arena a = { 0 };
	struct strbuf text = STRBUF(&a);
	struct message m;
	struct msg_ps ps = { 0 };
	struct err e;
	int r = link_ask(s, PROTO_PS, &STRBUF(&a), &a, &m, &e);

	if (r == 0)
		r = message_decode(&m, &a, codec_ps, &ps, &e);
	strbuf_puts(&text, "    PID    PPID     UID CMD\n");
	for (size_t i = 0; r == 0 && i < ps.n && text.len < CONTROL_DATA_MAX - 64; i++)
		strbuf_printf(&text, "%7u %7u %7u %.15s\n", ps.v[i].pid, ps.v[i].ppid, ps.v[i].uid, ps.v[i].name);
	for (size_t i = 0; i < text.len; i++)
		if (text.text[i] != '\n' && (text.text[i] < ' ' || text.text[i] > '~'))
			text.text[i] = '?';
	answer(c, r, 0, strbuf_str(&text), &e);
}

static void winsize(struct supervisor *s, const struct client *c, const struct control_packet *q)
{
	struct err e;
	int r = link_winsize(s, c->proc, (uint16_t)q->a, (uint16_t)q->b, &e);

	answer(c, r, 0, NULL, &e);
}

void serve_client(struct supervisor *s, struct client *c)
{
	static struct control_packet q; /* one thread, one question at a time */
	int fds[CONTROL_FDS_MAX];
	struct err e;
	int r = control_receive(c->fd, &q, fds, &e);

	if (r <= 0) {
		drop(s, c);
		return;
	}
	if (q.type == CONTROL_EXEC) {
		exec(s, c, &q, fds);
	} else if (q.type == CONTROL_SIGNAL) {
		r = link_signal(s, c->proc, q.a, q.b, &e);
		answer(c, r, 0, NULL, &e);
	} else if (q.type == CONTROL_WINSIZE) {
		winsize(s, c, &q);
	} else if (q.type == CONTROL_PS) {
		ask_ps(s, c);
	} else if (q.type == CONTROL_PAUSE || q.type == CONTROL_RESUME) {
		r = link_plain(s, q.type == CONTROL_PAUSE ? PROTO_PAUSE : PROTO_RESUME, &e);
		answer(c, r, 0, NULL, &e);
	} else {
		r = err_set(&e, EPROTO, "control.sock: a question of type %u", q.type);
		answer(c, r, 0, NULL, &e);
	}
	for (int i = 0; i < CONTROL_FDS_MAX; i++)
		close_fd(&fds[i]);
}

static void tell_exit(struct supervisor *s, const struct proc *p)
{
	const struct control_packet q = { .type = CONTROL_EXIT, .a = p->status };
	struct err ignored;

	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (s->clients[i].fd >= 0 && s->clients[i].proc == p->number) {
			(void)!control_send(s->clients[i].fd, &q, NULL, 0, &ignored);
			close_fd(&s->clients[i].fd);
			s->clients[i].proc = 0;
		}
}

bool serve_exits(struct supervisor *s)
{
	bool waiting = false;

	for (size_t i = 0; i < SESSION_PROCS_MAX; i++) {
		struct proc *p = &s->procs[i];

		if (!p->used || !p->exited || p->number == 0)
			continue;
		int left = streams_left(s, p->number);

		if (left == 1 || (left == 2 && clock_ms() < p->until)) {
			waiting = true;
			continue;
		}
		tell_exit(s, p);
		for (int f = 0; f < 3; f++)
			close_fd(&p->fd[f]);
		close_fd(&p->terminal);
		p->used = false;
	}
	return waiting;
}
