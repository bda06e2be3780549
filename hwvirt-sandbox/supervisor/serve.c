/* The questions of other commands (container/control.h), one at a time, and the ends of the processes that exec has added. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/retry.h"
#include "container/control.h"
#include "hwvirt-sandbox/supervisor/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
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

/* data: of len bytes, goes with an OK. That the machine is lost is ENOLINK, whatever it was lost by. */
static void answer(const struct supervisor *s, const struct client *c, int r, const void *data, size_t len, struct err *why)
{
	static struct control_packet p; /* one thread */
	struct err ignored;

	p = (struct control_packet){ .type = r < 0 ? CONTROL_ERROR : CONTROL_OK };
	p.len = (uint32_t)(r < 0 ? sizeof(*why) : len);
	if (r < 0 && s->lost)
		why->code = ENOLINK;
	if (p.len)
		memcpy(p.data, r < 0 ? (const void *)why : data, p.len);
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
	c->listens = false;
}

/* A file that came with a question: its length. */
static ssize_t read_passed(int fd, const char *what, struct arena *a, char **out, struct err *e)
{
	struct stat st;

	if (fd < 0)
		return err_set(e, EPROTO, "%s: no file came with it", what);
	if (fstat(fd, &st) < 0)
		return err_errno(e, "%s: file", what);
	if (st.st_size <= 0 || st.st_size > PROTO_TO_AGENT_MAX)
		return err_set(e, E2BIG, "%s: a file of %lld bytes", what, (long long)st.st_size);
	*out = arena_alloc(a, (size_t)st.st_size + 1);
	if (RETRY(pread(fd, *out, (size_t)st.st_size, 0)) != st.st_size)
		return err_errno(e, "%s: file", what);
	return st.st_size;
}

/* ---- exec ---- */

static int read_plan(int fd, struct arena *a, struct msg_exec *out, struct err *e)
{
	char *data = NULL;
	ssize_t n = read_passed(fd, "exec", a, &data, e);
	struct codec c = codec_decoder(data, n < 0 ? 0 : (size_t)n, a);

	if (n < 0)
		return (int)n;
	codec_exec(&c, out);
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
	struct msg_exec plan = { 0 };
	struct err e;
	int r = c->proc ? err_set(&e, EBUSY, "exec: one process a connection") : read_plan(fds[0], &a, &plan, &e);

	if (r < 0) {
		answer(s, c, r, NULL, 0, &e);
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
	answer(s, c, r, NULL, 0, &e);
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
	answer(s, c, r, text.text, text.len, &e);
}

/* The guest's bytes are not passed on: what they say is. */
static void ask_stats(struct supervisor *s, struct client *c)
{
	auto_arena struct arena a = { 0 };
	struct strbuf bytes = STRBUF(&a);
	struct codec out = codec_encoder(&bytes);
	struct cgroup_stats stats = { 0 };
	struct message m;
	struct err e;
	int r = link_ask(s, PROTO_STATS, &STRBUF(&a), &a, &m, &e);

	if (r == 0)
		r = message_decode(&m, &a, codec_stats, &stats, &e);
	if (r == 0)
		codec_stats(&out, &stats);
	if (r == 0 && bytes.len > CONTROL_DATA_MAX)
		r = err_set(&e, E2BIG, "the guest's figures are %zu bytes", bytes.len);
	answer(s, c, r, bytes.text, bytes.len, &e);
}

static int read_resources(int fd, struct arena *a, const struct oci_resources **out, struct err *e)
{
	char *text = NULL;
	ssize_t n = read_passed(fd, "update", a, &text, e);

	return n < 0 ? (int)n : oci_resources_parse(a, text, (size_t)n, out, e);
}

static void update(struct supervisor *s, struct client *c, const int *fds)
{
	auto_arena struct arena a = { 0 };
	struct strbuf bytes = STRBUF(&a);
	struct codec out = codec_encoder(&bytes);
	const struct oci_resources *wanted = NULL, *old = NULL;
	struct cgroup_plan plan = { 0 };
	struct host guest;
	struct message m;
	struct err e;
	int r = read_resources(fds[0], &a, &wanted, &e);

	if (r == 0)
		r = read_resources(fds[1], &a, &old, &e);
	vm_guest_host(&guest);
	if (r == 0)
		r = cgroup_update_plan(&s->guest->cgroup.ref, old, wanted, &guest, &a, &plan, &e);
	if (r == 0) {
		codec_cgroup_plan(&out, &plan);
		r = codec_end(&out, "update", &e);
	}
	if (r == 0 && (plan.n_writes || plan.device_prog))
		r = link_ask(s, PROTO_UPDATE, &bytes, &a, &m, &e);
	answer(s, c, r, NULL, 0, &e);
}

/* Who has not read the last one yet will not miss this one: the guest must not hold us up. */
void serve_oom(struct supervisor *s)
{
	const struct control_packet q = { .type = CONTROL_OOM };

	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (s->clients[i].listens)
			(void)!send(s->clients[i].fd, &q, offsetof(struct control_packet, data), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void winsize(struct supervisor *s, const struct client *c, const struct control_packet *q)
{
	struct err e;
	int r = link_winsize(s, c->proc, (uint16_t)q->a, (uint16_t)q->b, &e);

	answer(s, c, r, NULL, 0, &e);
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
		/* Who wanted its end has got that. */
		answer(s, c, r < 0 && s->lost && c->proc == 0 && q.a == SIGTERM ? 0 : r, NULL, 0, &e);
	} else if (q.type == CONTROL_WINSIZE) {
		winsize(s, c, &q);
	} else if (q.type == CONTROL_PS) {
		ask_ps(s, c);
	} else if (q.type == CONTROL_PAUSE || q.type == CONTROL_RESUME) {
		r = link_plain(s, q.type == CONTROL_PAUSE ? PROTO_PAUSE : PROTO_RESUME, &e);
		answer(s, c, r, NULL, 0, &e);
	} else if (q.type == CONTROL_STATS) {
		ask_stats(s, c);
	} else if (q.type == CONTROL_UPDATE) {
		update(s, c, fds);
	} else if (q.type == CONTROL_EVENTS) {
		c->listens = true;
		answer(s, c, 0, NULL, 0, &e);
	} else {
		r = err_set(&e, EPROTO, "control.sock: a question of type %u", q.type);
		answer(s, c, r, NULL, 0, &e);
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
