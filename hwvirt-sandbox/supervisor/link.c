/* One question at a time: link_ask() turns the loop until the answer is there, so all else goes on meanwhile. An agent that does
 * not answer in time, or takes no questions, is lost. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "hwvirt-sandbox/supervisor/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

void link_lose(struct supervisor *s, const struct err *why)
{
	if (!s->lost)
		s->why = *why;
	s->lost = true;
	close_fd(&s->control);
}

struct proc *link_proc(struct supervisor *s, uint32_t number)
{
	for (size_t i = 0; i < SESSION_PROCS_MAX; i++)
		if (s->procs[i].used && s->procs[i].number == number)
			return &s->procs[i];
	return NULL;
}

/* ---- what comes ---- */

static int take_exit(struct supervisor *s, const struct message *m, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct msg_exit x = { 0 };
	int r = message_decode(m, &a, codec_exit, &x, e);

	if (r == 0 && x.status > 255)
		r = err_set(e, EPROTO, "the agent tells an exit status of %u", x.status);
	if (r == 0)
		r = session_proc_remove(&s->session, x.proc, e);
	struct proc *p = r == 0 ? link_proc(s, x.proc) : NULL;

	if (p) {
		p->exited = true;
		p->status = (int)x.status;
		p->until = clock_ms() + LAST_WORDS_MS;
	}
	return r;
}

/* A text is the guest's: only what can be printed is passed on. */
static void clean(char *text)
{
	for (char *c = text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

/* Whoever keeps the log must not keep all that a guest may say. */
static bool too_much(struct supervisor *s)
{
	if (s->logged < LOGS_MAX && ++s->logged == LOGS_MAX)
		log_warn("the guest logs too much: no more of that is passed on");
	return s->logged == LOGS_MAX;
}

static int take_log(struct supervisor *s, const struct message *m, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct msg_log l = { 0 };
	int r = message_decode(m, &a, codec_log, &l, e);

	if (r < 0 || too_much(s))
		return r;
	char *text = arena_strndup(&a, l.text, strnlen(l.text, 500));

	clean(text);
	log_put(l.level <= LOG_LEVEL_WARNING ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, "guest: %s", text);
	return 0;
}

static void take_answer(struct supervisor *s, const struct message *m)
{
	if (!s->asking || m->id != s->asked_id)
		return;
	s->answer = *m;
	s->answer.data = memcpy(arena_alloc(s->answer_arena, m->len + 1), m->data, m->len);
	s->answered = m->type;
}

static int take(struct supervisor *s, const struct message *m, struct err *e)
{
	enum proto_type asked;
	int r = session_receive(&s->session, m, &asked, e);

	if (r < 0)
		return r;
	if (asked) {
		take_answer(s, m);
		return 0;
	}
	if (m->type == PROTO_EXIT)
		return take_exit(s, m, e);
	if (m->type == PROTO_OOM)
		serve_oom(s);
	return m->type == PROTO_LOG ? take_log(s, m, e) : 0;
}

void link_hear(struct supervisor *s)
{
	struct message m;
	struct err e;
	ssize_t n = frame_read(&s->reader, s->control, &e);
	int r = n < 0 && n != -EAGAIN ? (int)n : n == 0 ? err_set(&e, EPIPE, "the agent in the virtual machine is gone") : 0;

	while (r == 0 && s->control >= 0) {
		r = frame_next(&s->reader, &m, &e);
		if (r <= 0)
			break;
		r = take(s, &m, &e);
	}
	if (r < 0)
		link_lose(s, &e);
}

/* ---- questions ---- */

static int is_lost(const struct supervisor *s, struct err *e)
{
	return err_set(e, s->why.code, "%s", s->why.text);
}

static int wait_for_answer(struct supervisor *s, int64_t until, struct err *e)
{
	int r = 0;

	while (r >= 0 && !s->answered && !s->lost && clock_ms() < until)
		r = loop_turn(s, 0, (int)(until - clock_ms()) + 1, e);
	if (r < 0)
		return r;
	if (s->lost)
		return is_lost(s, e);
	return s->answered ? 0 : err_set(e, ETIMEDOUT, "the agent in the virtual machine does not answer");
}

static int refused(const struct message *answer, struct arena *a, struct err *e)
{
	struct err why = { 0 };
	int r = message_decode(answer, a, codec_error, &why, e);

	if (r < 0)
		return r;
	clean(why.text);
	*e = why;
	return e->code > 0 ? -e->code : err_set(e, EPROTO, "the agent refuses without a reason");
}

static int ask_within(struct supervisor *s, int limit_ms, enum proto_type type, const struct strbuf *payload, struct arena *a,
		      struct message *answer, struct err *e)
{
	if (s->asking)
		return err_set(e, EBUSY, "%s: another request is under way", proto_name(type));
	if (s->lost)
		return is_lost(s, e);
	if (payload->len > PROTO_TO_AGENT_MAX)
		return err_set(e, E2BIG, "%s: %zu bytes are more than the guest's agent takes", proto_name(type), payload->len);
	int r = session_ask(&s->session, type, &s->asked_id, e);

	if (r < 0)
		return r;
	r = frame_put(&s->writer, (uint16_t)type, s->asked_id, payload->text, payload->len, e);
	if (r < 0) {
		link_lose(s, e);
		return r;
	}
	s->asking = true;
	s->answered = 0;
	s->answer_arena = a;
	r = wait_for_answer(s, clock_ms() + limit_ms, e);
	s->asking = false;
	if (r < 0)
		link_lose(s, e);
	else
		*answer = s->answer;
	return r == 0 && s->answered == PROTO_ERROR ? refused(&s->answer, a, e) : r;
}

int link_ask(struct supervisor *s, enum proto_type type, const struct strbuf *payload, struct arena *a, struct message *answer,
	     struct err *e)
{
	return ask_within(s, s->answer_ms, type, payload, a, answer, e);
}

int link_plain(struct supervisor *s, enum proto_type type, struct err *e)
{
	auto_arena struct arena a = { 0 };
	const struct strbuf none = STRBUF(&a);
	struct message m;

	return link_ask(s, type, &none, &a, &m, e);
}

int link_hello(struct supervisor *s, struct err *e)
{
	auto_arena struct arena a = { 0 };
	unsigned char seed[64];
	struct timespec now;
	struct msg_hello m = { .version = PROTO_VERSION, .entropy = seed, .n_entropy = sizeof(seed) }, in = { 0 };
	struct strbuf b = STRBUF(&a);
	struct codec c = codec_encoder(&b);
	struct message answer;

	if (getrandom(seed, sizeof(seed), 0) != sizeof(seed))
		return err_errno(e, "getrandom");
	clock_gettime(CLOCK_REALTIME, &now);
	m.now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	codec_hello(&c, &m);
	int r = link_ask(s, PROTO_HELLO, &b, &a, &answer, e);

	if (r == 0)
		r = message_decode(&answer, &a, codec_hello, &in, e);
	if (r == 0 && in.version != PROTO_VERSION)
		r = err_set(e, EPROTO, "the agent speaks version %u, we %d", in.version, PROTO_VERSION);
	return r;
}

/* Adds *p, which is to be the process of this request. */
static int ask_about_proc(struct supervisor *s, enum proto_type type, const struct strbuf *payload, struct proc *p, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct message answer;
	struct proc *at = NULL;
	struct err ignored;

	for (size_t i = 0; i < SESSION_PROCS_MAX && !at; i++)
		at = s->procs[i].used ? NULL : &s->procs[i];
	int r = at ? session_proc_add(&s->session, p->number, e) : err_set(e, EBUSY, "too many processes");

	if (r < 0)
		return r;
	*at = *p;
	at->used = true;
	r = link_ask(s, type, payload, &a, &answer, e);
	if (r == 0)
		return 0;
	*p = *at;
	at->used = false;
	(void)!session_proc_remove(&s->session, p->number, &ignored);
	return r;
}

int link_create(struct supervisor *s, const struct plan *plan, struct proc *streams, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct strbuf b = STRBUF(&a);
	struct codec c = codec_encoder(&b);
	struct msg_create m = { .streams = streams->streams, .plan = *plan };

	codec_create(&c, &m);
	int r = codec_end(&c, "create", e);

	streams->number = s->session.next_proc;
	return r < 0 ? r : ask_about_proc(s, PROTO_CREATE, &b, streams, e);
}

int link_signal(struct supervisor *s, uint32_t proc, int sig, bool all, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct strbuf b = STRBUF(&a);
	struct codec c = codec_encoder(&b);
	struct msg_signal m = { .proc = proc, .sig = (uint32_t)sig, .all = all };
	struct message answer;

	int limit_ms = proc == 0 && sig == SIGTERM && TERM_MS < s->answer_ms ? TERM_MS : s->answer_ms;

	codec_signal(&c, &m);
	return ask_within(s, limit_ms, PROTO_SIGNAL, &b, &a, &answer, e);
}

int link_winsize(struct supervisor *s, uint32_t proc, uint16_t rows, uint16_t cols, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct strbuf b = STRBUF(&a);
	struct codec c = codec_encoder(&b);
	struct msg_winsize m = { .proc = proc, .rows = rows, .cols = cols };
	struct message answer;

	codec_winsize(&c, &m);
	return link_ask(s, PROTO_WINSIZE, &b, &a, &answer, e);
}

int link_exec(struct supervisor *s, const struct msg_exec *asked, struct proc *p, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct strbuf b = STRBUF(&a);
	struct codec c = codec_encoder(&b);
	struct msg_exec m = *asked;

	m.proc = s->session.next_proc;
	m.streams = p->streams;
	codec_exec(&c, &m);
	int r = codec_end(&c, "exec", e);

	p->number = m.proc;
	return r < 0 ? r : ask_about_proc(s, PROTO_EXEC, &b, p, e);
}
