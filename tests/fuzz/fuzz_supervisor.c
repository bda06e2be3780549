/* fuzz_supervisor.c - a hostile agent, guest and machine of arbitrary bytes against the supervisor, while the host asks: steps of
 * what is said on the control connection, of connections, of packets of the machine's process, and of questions
 *
 * Whatever is said, a question that fails and a machine that is given up have one line to say, and memory has its limits.
 */
#include "../unit/hostile_agent.h"
#include "base/cleanup.h"
#include "container/control.h"
#include "input.h"

#include <signal.h>

static size_t bytes(struct input *in, const uint8_t **at)
{
	size_t low = byte(in), want = low | (byte(in) & 3u) << 8, n = want < in->len ? want : in->len;

	*at = in->at;
	in->at += n;
	in->len -= n;
	return n;
}

static void must_be_a_line(const struct err *e)
{
	size_t n = strnlen(e->text, sizeof(e->text));

	must(e->code > 0 && n > 0 && n < sizeof(e->text));
	for (size_t i = 0; i < n; i++)
		must(e->text[i] >= ' ' && e->text[i] <= '~');
}

/* ---- what the guest does ---- */

static void say_frame(struct world *w, struct input *in)
{
	static const uint16_t types[] = { PROTO_OK,  PROTO_ERROR, PROTO_EXIT, PROTO_OOM,
					  PROTO_LOG, PROTO_HELLO, PROTO_PS,   PROTO_STATS };
	uint8_t what = byte(in), id = byte(in);
	uint16_t type = what < 224 ? types[what % 8] : what;
	const uint8_t *payload;
	size_t len = bytes(in, &payload);

	if (id < 128)
		agent_answers(w, type, payload, len);
	else
		agent_says(w, type, id == 128 ? 0 : id, payload, len);
}

static void say_bytes(struct world *w, struct input *in)
{
	const uint8_t *at;
	size_t len = bytes(in, &at);

	(void)!write(w->agent, at, len);
}

/* A stream's connection, with a head that is nearly right, and data. */
static void connect_stream(struct world *w, struct input *in)
{
	uint8_t what = byte(in);
	const uint32_t head[5] = { 8, what & 128 ? byte(in) : PROTO_STREAM, 0, what & 3, what >> 2 & 15 };
	const uint8_t *data;
	size_t len = bytes(in, &data);
	int fd = guest_connects(w);

	must(write(fd, head, what & 64 ? 7 : sizeof(head)) > 0);
	(void)!write(fd, data, len);
	turns(w, 3);
	close(fd);
}

static void machine_does(struct world *w, struct input *in)
{
	char text[1024] = "";
	const uint8_t *at;
	size_t len = bytes(in, &at);
	int fds[3] = { 0, 1, 2 };

	memcpy(text, at, len);
	machine_says(w, text[0] ? text : "c", fds, byte(in) % 4);
}

/* ---- what the host does ---- */

static void ask(struct world *w, enum proto_type type)
{
	auto_arena struct arena a = { 0 };
	struct cgroup_stats stats = { 0 };
	struct msg_ps ps = { 0 };
	struct message m;
	struct err e;
	int r = link_ask(w->s, type, &STRBUF(&a), &a, &m, &e);

	if (r == 0 && m.type == PROTO_STATS)
		r = message_decode(&m, &a, codec_stats, &stats, &e);
	else if (r == 0 && m.type == PROTO_PS)
		r = message_decode(&m, &a, codec_ps, &ps, &e);
	if (r < 0)
		must_be_a_line(&e);
}

static void command(struct world *w, uint32_t type)
{
	static struct control_packet q;
	int none[CONTROL_FDS_MAX], ends[2];
	struct err e;

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	w->s->clients[0] = (struct client){ .fd = ends[1] };
	q = (struct control_packet){ .type = type, .a = SIGTERM };
	must(control_send(ends[0], &q, NULL, 0, &e) == 0);
	serve_client(w->s, &w->s->clients[0]);
	must(control_receive(ends[0], &q, none, &e) == 1 && (q.type == CONTROL_OK || q.type == CONTROL_ERROR));
	if (q.type == CONTROL_ERROR) {
		memcpy(&e, q.data, sizeof(e));
		must_be_a_line(&e);
	}
	close(ends[0]);
	if (w->s->clients[0].fd >= 0)
		close(w->s->clients[0].fd);
	w->s->clients[0].fd = -1;
}

static void execute(struct world *w)
{
	const struct plan plan = small_plan();
	const struct msg_exec exec = { .plan = { plan.sec, plan.proc } };
	struct proc p = { .fd = { -1, open("/dev/null", O_WRONLY | O_CLOEXEC), -1 }, .terminal = -1, .streams = STREAM_STDOUT };
	struct err e;

	if (link_exec(w->s, &exec, &p, &e) == 0)
		return;
	must_be_a_line(&e);
	close_if(p.fd[1]);
}

static void host_does(struct world *w, uint8_t what)
{
	static const enum proto_type asked[] = { PROTO_HELLO, PROTO_START, PROTO_PAUSE, PROTO_STATS, PROTO_PS, PROTO_SHUTDOWN };

	if (what < 96)
		ask(w, asked[what % 6]);
	else if (what < 160)
		execute(w);
	else if (what < 224)
		command(w, CONTROL_SIGNAL + what % 8);
	else
		turns(w, what % 4 + 1);
}

static void step(struct world *w, struct input *in)
{
	uint8_t what = byte(in);

	if (what < 96)
		say_frame(w, in);
	else if (what < 112)
		say_bytes(w, in);
	else if (what < 144)
		connect_stream(w, in);
	else if (what < 152)
		machine_does(w, in);
	else
		host_does(w, byte(in));
	must(w->s->reader.raw.room + w->s->reader.whole.room < 8 * (size_t)PROTO_TO_HOST_MAX);
	if (w->s->lost)
		must_be_a_line(&w->s->why);
}

/* As far as a right agent would have come. */
static void begin(struct world *w, unsigned how_far)
{
	const struct plan plan = small_plan();
	struct proc p = { .fd = { -1, -1, -1 }, .terminal = -1 };
	struct err e;

	world_open(w);
	agent_connects(w);
	if (how_far > 0) {
		agent_says_hello(w, PROTO_VERSION);
		must(link_hello(w->s, &e) == 0);
	}
	if (how_far > 1) {
		agent_says_ok(w);
		must(link_create(w->s, &plan, &p, &e) == 0);
	}
	w->s->answer_ms = 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct world w;

	begin(&w, byte(&in) % 4);
	while (in.len && !w.s->lost)
		step(&w, &in);
	turns(&w, 3);
	world_close(&w);
	return 0;
}
