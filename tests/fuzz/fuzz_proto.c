/* fuzz_proto.c - arbitrary bytes as what the other side sends: to an agent when the first byte is even, to a host when it is odd
 *
 * Every request of the agent's peer is answered at once, so that the conversation can go on; the host asks for everything that it
 * may. */
#include "hwvirt-sandbox/proto/message.h"

static union payload {
	struct msg_hello hello;
	struct msg_create create;
	struct msg_exec exec;
	struct msg_signal signal;
	struct msg_winsize winsize;
	struct msg_ok ok;
	struct msg_exit exit;
	struct msg_log log;
	struct msg_ps ps;
	struct cgroup_stats stats;
	struct msg_stream stream;
	struct cgroup_plan update;
	struct err error;
} payload;

/* Requests without a payload may still have bytes. */
static int decode_payload(const struct message *m, bool agent, struct arena *a, struct err *e)
{
	struct codec c = codec_decoder(m->data, m->len, a);

	payload = (union payload){ 0 };
	switch (m->type) {
	case PROTO_HELLO:
		codec_hello(&c, &payload.hello);
		break;
	case PROTO_CREATE:
		codec_create(&c, &payload.create);
		break;
	case PROTO_EXEC:
		codec_exec(&c, &payload.exec);
		break;
	case PROTO_SIGNAL:
		codec_signal(&c, &payload.signal);
		break;
	case PROTO_WINSIZE:
		codec_winsize(&c, &payload.winsize);
		break;
	case PROTO_UPDATE:
		codec_cgroup_plan(&c, &payload.update);
		break;
	case PROTO_OK:
		codec_ok(&c, &payload.ok);
		break;
	case PROTO_ERROR:
		codec_error(&c, &payload.error);
		break;
	case PROTO_EXIT:
		codec_exit(&c, &payload.exit);
		break;
	case PROTO_LOG:
		codec_log(&c, &payload.log);
		break;
	case PROTO_PS:
		if (!agent)
			codec_ps(&c, &payload.ps);
		break;
	case PROTO_STATS:
		if (!agent)
			codec_stats(&c, &payload.stats);
		break;
	case PROTO_STREAM:
		codec_stream(&c, &payload.stream);
		break;
	default:
		break;
	}
	return codec_end(&c, proto_name(m->type), e);
}

/* What was decoded is encoded again: it must be complete, and the same bytes. */
static void check_create(const struct message *m, struct arena *a)
{
	struct strbuf b = STRBUF(a);
	struct codec c = codec_encoder(&b);
	struct err e;

	codec_create(&c, &payload.create);
	if (codec_end(&c, "create", &e) < 0 || b.len != m->len)
		__builtin_trap();
}

static int receive(struct session *s, const struct message *m, struct err *e)
{
	auto_arena struct arena a = { 0 };
	enum proto_type asked;
	int r = session_receive(s, m, &asked, e);

	if (r < 0)
		return r;
	r = decode_payload(m, s->agent, &a, e);
	if (r == 0 && m->type == PROTO_CREATE)
		check_create(m, &a);
	if (s->agent)
		session_answer(s, m->id, r == 0);
	if (r == 0 && m->type == PROTO_EXIT)
		r = session_proc_remove(s, payload.exit.proc, e);
	return r;
}

static void ask_all(struct session *s)
{
	struct err e;
	uint32_t id;

	for (enum proto_type t = PROTO_HELLO; t < PROTO_REQUEST_END; t++)
		if (session_ask(s, t, &id, &e) == 0 && (t == PROTO_CREATE || t == PROTO_EXEC))
			(void)!session_proc_add(s, s->next_proc, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct session s = { .agent = size && !(data[0] & 1) };
	struct frame_reader r;
	struct message m;
	struct err e;
	int got = 1;

	if (!size)
		return 0;
	frame_reader_init(&r, PROTO_TO_AGENT_MAX);
	frame_feed(&r, data + 1, size - 1);
	while (got > 0) {
		if (!s.agent)
			ask_all(&s);
		got = frame_next(&r, &m, &e);
		if (got > 0 && receive(&s, &m, &e) < 0)
			break;
	}
	frame_reader_release(&r);
	return 0;
}
