#include "hwvirt-sandbox/proto/message.h"

#include <errno.h>
#include <string.h>

enum from { HOST = 1, AGENT = 2 };

/* clang-format off */
static const struct rule {
	const char *name;
	unsigned from;            /* who may begin with it, HOST: a request */
	enum session_state first; /* not before */
	enum session_state last;  /* nor after  */
	enum proto_type answer;   /* other than OK and ERROR; 0: OK */
} rules[] = {
	[PROTO_HELLO]    = { "hello",    HOST,  SESSION_NEW,     SESSION_NEW,     PROTO_HELLO },
	[PROTO_CREATE]   = { "create",   HOST,  SESSION_READY,   SESSION_READY,   0 },
	[PROTO_START]    = { "start",    HOST,  SESSION_CREATED, SESSION_CREATED, 0 },
	[PROTO_EXEC]     = { "exec",     HOST,  SESSION_CREATED, SESSION_CREATED, 0 },
	[PROTO_SIGNAL]   = { "signal",   HOST,  SESSION_CREATED, SESSION_CREATED, 0 },
	[PROTO_WINSIZE]  = { "winsize",  HOST,  SESSION_CREATED, SESSION_CREATED, 0 },
	[PROTO_PS]       = { "ps",       HOST,  SESSION_CREATED, SESSION_CREATED, PROTO_PS },
	[PROTO_STATS]    = { "stats",    HOST,  SESSION_CREATED, SESSION_CREATED, PROTO_STATS },
	[PROTO_UPDATE]   = { "update",   HOST,  SESSION_CREATED, SESSION_CREATED, 0 },
	[PROTO_PAUSE]    = { "pause",    HOST,  SESSION_CREATED, SESSION_CREATED, 0 },
	[PROTO_RESUME]   = { "resume",   HOST,  SESSION_CREATED, SESSION_CREATED, 0 },
	[PROTO_SHUTDOWN] = { "shutdown", HOST,  SESSION_READY,   SESSION_CREATED, 0 },
	[PROTO_OK]       = { "ok",       0,     SESSION_NEW,     SESSION_CREATED, 0 },
	[PROTO_ERROR]    = { "error",    0,     SESSION_NEW,     SESSION_CREATED, 0 },
	[PROTO_EXIT]     = { "exit",     AGENT, SESSION_READY,   SESSION_CREATED, 0 },
	[PROTO_OOM]      = { "oom",      AGENT, SESSION_CREATED, SESSION_CREATED, 0 },
	[PROTO_LOG]      = { "log",      AGENT, SESSION_NEW,     SESSION_CREATED, 0 },
	[PROTO_STREAM]   = { "stream",   0,     SESSION_NEW,     SESSION_NEW,     0 },
};
/* clang-format on */

static const struct rule *rule_of(unsigned type)
{
	return type < sizeof(rules) / sizeof(*rules) && rules[type].name ? &rules[type] : NULL;
}

const char *proto_name(unsigned type)
{
	const struct rule *r = rule_of(type);

	return r ? r->name : "unknown message";
}

/* ---- payloads ---- */

void codec_hello(struct codec *c, struct msg_hello *m)
{
	codec_u32(c, &m->version);
	codec_u64(c, &m->features);
	codec_u64(c, &m->now_ns);
	codec_bytes(c, &m->entropy, &m->n_entropy, 1);
	codec_check(c, m->n_entropy <= 64);
}

static void streams(struct codec *c, uint32_t *v, bool terminal)
{
	codec_u32(c, v);
	codec_check(c, terminal ? *v == STREAM_TERMINAL : !(*v & ~(uint32_t)(STREAM_STDIN | STREAM_STDOUT | STREAM_STDERR)));
}

void codec_create(struct codec *c, struct msg_create *m)
{
	codec_plan(c, &m->plan);
	streams(c, &m->streams, m->plan.has_process && m->plan.proc.terminal);
	codec_check(c, m->plan.has_process);
}

void codec_exec(struct codec *c, struct msg_exec *m)
{
	codec_u32(c, &m->proc);
	codec_exec_plan(c, &m->plan);
	streams(c, &m->streams, m->plan.proc.terminal);
	codec_str(c, &m->user);
	codec_strv(c, &m->cgroups);
}

void codec_signal(struct codec *c, struct msg_signal *m)
{
	codec_u32(c, &m->proc);
	codec_u32(c, &m->sig);
	codec_check(c, m->sig > 0 && m->sig <= 64);
	codec_bool(c, &m->all);
}

void codec_winsize(struct codec *c, struct msg_winsize *m)
{
	codec_u32(c, &m->proc);
	codec_u16(c, &m->rows);
	codec_u16(c, &m->cols);
}

void codec_ok(struct codec *c, struct msg_ok *m)
{
	codec_u32(c, &m->pid);
}

void codec_error(struct codec *c, struct err *m)
{
	const char *text = m->text;

	codec_int(c, &m->code);
	codec_check(c, m->code > 0 && m->code < 4096);
	codec_text(c, &text);
	if (c->out)
		return;
	size_t n = c->bad ? 0 : strnlen(text, sizeof(m->text) - 1);

	memcpy(m->text, text, n);
	m->text[n] = '\0';
}

void codec_exit(struct codec *c, struct msg_exit *m)
{
	codec_u32(c, &m->proc);
	codec_u32(c, &m->status);
	codec_check(c, m->status <= 255);
}

void codec_log(struct codec *c, struct msg_log *m)
{
	codec_u32(c, &m->level);
	codec_text(c, &m->text);
}

static void proc(struct codec *c, void *element)
{
	struct msg_proc *p = element;

	codec_u32(c, &p->pid);
	codec_u32(c, &p->ppid);
	codec_u32(c, &p->uid);
	codec_text(c, &p->name);
}

void codec_ps(struct codec *c, struct msg_ps *m)
{
	codec_list(c, &m->v, &m->n, sizeof(*m->v), proc);
}

void codec_stream(struct codec *c, struct msg_stream *m)
{
	codec_u32(c, &m->proc);
	codec_u32(c, &m->stream);
	codec_check(c, m->stream == STREAM_STDIN || m->stream == STREAM_STDOUT || m->stream == STREAM_STDERR ||
			       m->stream == STREAM_TERMINAL);
}

/* ---- the conversation ---- */

static int check_time(const struct session *s, unsigned type, const struct rule *r, struct err *e)
{
	if (s->state < r->first || s->state > r->last)
		return err_set(e, EPROTO, "%s: not now", proto_name(type));
	return 0;
}

/* Where id is in pending; n_pending when it is not. */
static size_t find(const struct session *s, uint32_t id)
{
	size_t i = 0;

	while (i < s->n_pending && s->pending[i].id != id)
		i++;
	return i;
}

static int add(struct session *s, uint32_t id, unsigned type, struct err *e)
{
	if (s->n_pending == SESSION_PENDING_MAX)
		return err_set(e, EBUSY, "%s: too many requests at once", proto_name(type));
	s->pending[s->n_pending].id = id;
	s->pending[s->n_pending++].type = (uint16_t)type;
	return 0;
}

static void answered(struct session *s, size_t at, bool ok)
{
	if (ok && s->pending[at].type == PROTO_HELLO)
		s->state = SESSION_READY;
	if (ok && s->pending[at].type == PROTO_CREATE)
		s->state = SESSION_CREATED;
	s->pending[at] = s->pending[--s->n_pending];
}

/* One at a time of those that change the state. */
static int check_single(const struct session *s, unsigned type, struct err *e)
{
	if (type != PROTO_HELLO && type != PROTO_CREATE)
		return 0;
	for (size_t i = 0; i < s->n_pending; i++)
		if (s->pending[i].type == type)
			return err_set(e, EPROTO, "%s: under way already", proto_name(type));
	return 0;
}

static int request(struct session *s, uint32_t id, unsigned type, const struct rule *r, struct err *e)
{
	int bad = check_time(s, type, r, e);

	if (bad == 0)
		bad = check_single(s, type, e);
	return bad < 0 ? bad : add(s, id, type, e);
}

int session_ask(struct session *s, enum proto_type type, uint32_t *id, struct err *e)
{
	uint32_t next = s->next_id + 1;

	/* After four billion: 0 is no id, and one that is still under way is taken. */
	while (!next || find(s, next) < s->n_pending)
		next++;
	int r = request(s, next, type, &rules[type], e);

	if (r < 0)
		return r;
	*id = s->next_id = next;
	return 0;
}

static int receive_answer(struct session *s, const struct message *m, enum proto_type *asked, struct err *e)
{
	size_t at = find(s, m->id);

	if (at == s->n_pending)
		return err_set(e, EPROTO, "%s: an answer that nobody waits for", proto_name(m->type));
	enum proto_type type = s->pending[at].type;
	enum proto_type want = rules[type].answer ? rules[type].answer : PROTO_OK;

	if (m->type != PROTO_ERROR && m->type != want)
		return err_set(e, EPROTO, "%s: no answer to %s", proto_name(m->type), proto_name(type));
	answered(s, at, m->type != PROTO_ERROR);
	*asked = type;
	return 0;
}

static int receive_unasked(const struct session *s, const struct message *m, const struct rule *r, struct err *e)
{
	if (!(r->from & AGENT))
		return err_set(e, EPROTO, "%s: without a request", r->name);
	return check_time(s, m->type, r, e);
}

int session_receive(struct session *s, const struct message *m, enum proto_type *asked, struct err *e)
{
	const struct rule *r = rule_of(m->type);

	*asked = 0;
	if (!r)
		return err_set(e, EPROTO, "message %u is not known", m->type);
	if (!s->agent)
		return m->id ? receive_answer(s, m, asked, e) : receive_unasked(s, m, r, e);
	if (!(r->from & HOST) || !m->id || find(s, m->id) < s->n_pending)
		return err_set(e, EPROTO, "%s: not a request, or without an id of its own", r->name);
	return request(s, m->id, m->type, r, e);
}

void session_answer(struct session *s, uint32_t id, bool ok)
{
	size_t at = find(s, id);

	if (at < s->n_pending)
		answered(s, at, ok);
}

int session_proc_add(struct session *s, uint32_t proc, struct err *e)
{
	if (proc != s->next_proc)
		return err_set(e, EPROTO, "process %u: its number is not the next", proc);
	if (s->n_procs == SESSION_PROCS_MAX)
		return err_set(e, EBUSY, "too many processes at once");
	s->procs[s->n_procs++] = proc;
	s->next_proc++;
	return 0;
}

int session_proc_remove(struct session *s, uint32_t proc, struct err *e)
{
	for (size_t i = 0; i < s->n_procs; i++)
		if (s->procs[i] == proc) {
			s->procs[i] = s->procs[--s->n_procs];
			return 0;
		}
	return err_set(e, EPROTO, "process %u: no such process", proc);
}
