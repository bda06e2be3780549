/* test_supervisor.c - the supervisor's side of the link against agents, guests and machines that lie, flood, or say nothing: each
 * ends with the virtual machine given up, by one line, or with what it said refused */
#include "hostile_agent.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "container/control.h"
#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>

static struct world w;
static struct err e;

/* Descriptors we have open: none may be left behind. */
static unsigned descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static unsigned before;

static void begin(void)
{
	before = descriptors();
	world_open(&w);
	agent_connects(&w);
}

static void greet(void)
{
	begin();
	agent_says_hello(&w, PROTO_VERSION);
	expect(link_hello(w.s, &e) == 0);
}

/* A container with process 0; p has its streams. */
static void create_with(struct proc *p)
{
	const struct plan plan = small_plan();

	greet();
	agent_says_ok(&w);
	expect(link_create(w.s, &plan, p, &e) == 0);
}

static struct proc no_streams(void)
{
	return (struct proc){ .fd = { -1, -1, -1 }, .terminal = -1 };
}

static void create(void)
{
	struct proc p = no_streams();

	create_with(&p);
}

static bool is_one_line(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (s[i] < ' ' || s[i] > '~')
			return false;
	return n > 0 && n < sizeof(e.text);
}

static void end(void)
{
	world_close(&w);
	expect(descriptors() == before);
}

/* Given up, and whoever asks is told why, at once. */
static void end_lost(const char *what)
{
	turns(&w, 3);
	if (!w.s->lost || !is_one_line(w.s->why.text) || link_plain(w.s, PROTO_PAUSE, &e) >= 0)
		printf("# %s: lost %d: %s\n", what, w.s->lost, w.s->why.text);
	expect(w.s->lost && is_one_line(w.s->why.text));
	expect(link_plain(w.s, PROTO_PAUSE, &e) < 0 && is_one_line(e.text));
	end();
}

static void a_right_agent_is_got_on_with(void)
{
	const struct plan plan = small_plan();
	const struct msg_exec exec = { .plan = { plan.sec, plan.proc } };
	struct proc p = no_streams();

	create();
	agent_says_ok(&w);
	expect(link_plain(w.s, PROTO_START, &e) == 0);
	agent_says_ok(&w);
	expect(link_exec(w.s, &exec, &p, &e) == 0 && p.number == 1 && link_proc(w.s, 1));
	agent_says_exit(&w, 1, 7);
	agent_says(&w, PROTO_OOM, 0, NULL, 0);
	agent_says_exit(&w, 0, 137);
	turns(&w, 3);
	expect(!link_proc(w.s, 1) && link_proc(w.s, 0)->exited && link_proc(w.s, 0)->status == 137 && !w.s->lost);
	end();
}

/* ---- frames ---- */

static void frames_that_are_none_lose_the_machine(void)
{
	static const unsigned char heads[][FRAME_HEAD] = {
		{ 0xff, 0xff, 0xff, 0xff, PROTO_LOG },    /* 4 GiB */
		{ 1, 0, 1, 0, PROTO_LOG },                /* 64 KiB and a byte */
		{ 0, 0, 0, 0, PROTO_LOG, 0, FRAME_MORE }, /* more, of nothing */
		{ 0, 0, 0, 0, PROTO_LOG, 0, 0xff, 0xff }, /* flags that are none */
		{ 0, 0, 0, 0, 0 },                        /* type 0 */
		{ 0, 0, 0, 0, 255, 255 },                 /* a far type */
	};

	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
		greet();
		expect(write(w.agent, heads[i], FRAME_HEAD) == FRAME_HEAD);
		end_lost("head");
	}
}

/* What can be said, but not now, not so, or not by an agent. */
static void messages_out_of_place_lose_the_machine(void)
{
	static const struct {
		const char *what;
		uint16_t type;
		uint32_t id;
		const char *data;
		size_t len;
	} cases[] = {
		{ "an answer that nobody waits for", PROTO_OK, 77, "\1\0\0", 4 },
		{ "an answer with the last id", PROTO_OK, 2, "\1\0\0", 4 },
		{ "OK unasked", PROTO_OK, 0, "\1\0\0", 4 },
		{ "ERROR unasked", PROTO_ERROR, 0, "", 0 },
		{ "a request", PROTO_HELLO, 0, "", 0 },
		{ "CREATE", PROTO_CREATE, 0, "", 0 },
		{ "SHUTDOWN", PROTO_SHUTDOWN, 0, "", 0 },
		{ "STREAM on the control connection", PROTO_STREAM, 0, "\0\0\0\0\2\0\0", 8 },
		{ "EXIT with an id", PROTO_EXIT, 9, "\0\0\0\0\1\0\0", 8 },
		{ "EXIT of nobody", PROTO_EXIT, 0, "\1\0\0\0\1\0\0", 8 },
		{ "EXIT of process 2^32 - 1", PROTO_EXIT, 0, "\xff\xff\xff\xff\1\0\0", 8 },
		{ "EXIT with status 256", PROTO_EXIT, 0, "\0\0\0\0\0\1\0", 8 },
		{ "EXIT that is short", PROTO_EXIT, 0, "\0\0\0\0\1\0\0", 7 },
		{ "EXIT that is long", PROTO_EXIT, 0, "\0\0\0\0\1\0\0\0", 9 },
		{ "LOG without a text", PROTO_LOG, 0, "\1\0\0", 4 },
		{ "LOG of a text that is not there", PROTO_LOG, 0, "\1\0\0\0\xff\xff\xff\xff", 8 },
		{ "LOG with a NUL", PROTO_LOG, 0, "\1\0\0\0\3\0\0\0a\0b", 11 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		create();
		agent_says(&w, cases[i].type, cases[i].id, cases[i].data, cases[i].len);
		end_lost(cases[i].what);
	}
}

static void an_end_is_told_once(void)
{
	create();
	agent_says_exit(&w, 0, 1);
	turns(&w, 1);
	expect(!w.s->lost);
	agent_says_exit(&w, 0, 1);
	end_lost("exit twice");
}

static void wrong_answers_lose_the_machine_and_the_question(void)
{
	static const struct {
		uint16_t type;
		const char *data;
		size_t len;
	} cases[] = {
		{ PROTO_PS, "\0\0\0", 4 }, { PROTO_STATS, "", 0 }, { PROTO_HELLO, "", 0 },
		{ PROTO_EXIT, "", 0 },     { PROTO_START, "", 0 }, { PROTO_LOG, "\1\0\0\0\0\0\0", 8 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		create();
		agent_answers(&w, cases[i].type, cases[i].data, cases[i].len);
		expect(link_plain(w.s, PROTO_START, &e) == -EPROTO && is_one_line(e.text));
		end_lost("answer");
	}
}

static void an_error_that_is_none_is_a_mistake(void)
{
	static const char *const payloads[] = { "\0\0\0\0\1\0\0\0x", "\0\x10\0\0\1\0\0\0x", "\xff\xff\xff\xff\1\0\0\0x",
						"\1\0\0\0\2\0\0\0x" };

	for (size_t i = 0; i < sizeof(payloads) / sizeof(*payloads); i++) {
		create();
		agent_answers(&w, PROTO_ERROR, payloads[i], 9);
		expect(link_plain(w.s, PROTO_START, &e) == -EPROTO && is_one_line(e.text));
		end();
	}
}

static void another_version_is_refused(void)
{
	begin();
	agent_says_hello(&w, PROTO_VERSION + 1);
	expect(link_hello(w.s, &e) == -EPROTO && is_one_line(e.text));
	end();
}

/* What an agent gives as a reason is printed by commands, on terminals too. */
static void a_reason_is_passed_on_as_one_line_that_can_be_printed(void)
{
	static const char payload[] = "\2\0\0\0\26\0\0\0no\33[2J\nlevel=error \xc3\xa9\x7f";

	create();
	agent_answers(&w, PROTO_ERROR, payload, sizeof(payload) - 1);
	expect(link_plain(w.s, PROTO_START, &e) == -ENOENT);
	expect_str(e.text, "no?[2J?level=error ???");
	expect(!w.s->lost);
	end();
}

/* ---- too little, too much ---- */

static void silence_has_a_limit(void)
{
	create();
	w.s->answer_ms = 20;
	expect(link_plain(w.s, PROTO_START, &e) == -ETIMEDOUT && is_one_line(e.text));
	end_lost("silence");
}

static void an_agent_that_goes_while_it_is_asked_is_lost(void)
{
	create();
	agent_says(&w, PROTO_LOG, 0, "\1\0\0\0\0\0\0", 8);
	expect(write(w.agent, "\4\0\0\0", 4) == 4); /* and a torn frame */
	close(w.agent);
	w.agent = -1;
	expect(link_plain(w.s, PROTO_START, &e) == -EPIPE);
	end_lost("gone");
}

static void a_machine_that_ends_is_told_with_its_last_words(void)
{
	static const char *const words[] = { "a\nb", "panic" };

	for (size_t i = 0; i < 2; i++) {
		create();
		machine_says(&w, words[i], NULL, 0);
		turns(&w, 2);
		expect(w.s->lost && strstr(w.s->why.text, i ? "panic" : "for no reason"));
		end_lost("machine");
	}
}

/* They are more than a turn takes, and the machine's end is there in the same turn. */
static void last_words_are_the_last(void)
{
	static const char last[] = "end Kernel panic";
	char line[64];
	int ends[2];

	create();
	must(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
	w.s->machine.console = ends[0];
	for (int i = 0; i < 100; i++) {
		memset(line, 'a' + i % 26, sizeof(line));
		expect(write(ends[1], line, sizeof(line)) == sizeof(line));
	}
	expect(write(ends[1], last, sizeof(last) - 1) == sizeof(last) - 1);
	close(ends[1]);
	machine_says(&w, "reset", NULL, 0);
	turns(&w, 1);
	expect(w.s->lost);
	loop_hear_console(w.s);
	expect(w.s->n_tail == CONSOLE_TAIL && memcmp(w.s->tail + CONSOLE_TAIL - strlen(last), last, strlen(last)) == 0);
	expect(w.s->machine.console < 0);
	end();
}

static unsigned n_records;

static void count_record(void *ctx, enum log_level level, const char *text)
{
	(void)ctx;
	(void)level;
	expect(is_one_line(text));
	n_records++;
}

static void a_log_is_passed_on_up_to_a_limit(void)
{
	static const char payload[] = "\1\0\0\0\4\0\0\0a\nb\33";

	create();
	struct log_sink old = log_set_sink((struct log_sink){ .put = count_record, .max = LOG_LEVEL_DEBUG });

	for (unsigned i = 0; i < 20 * LOGS_MAX; i++) {
		agent_says(&w, PROTO_LOG, 0, payload, sizeof(payload) - 1);
		turns(&w, 1);
	}
	log_set_sink(old);
	expect(n_records == LOGS_MAX && !w.s->lost);
	end();
}

/* Bytes that come one at a time cost a turn each, and nobody waits for them. */
static void a_slow_drip_is_a_message_in_the_end(void)
{
	static const unsigned char frame[] = { 8, 0, 0, 0, PROTO_EXIT, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0 };

	create();
	for (size_t i = 0; i < sizeof(frame); i++) {
		expect(!link_proc(w.s, 0)->exited);
		expect(write(w.agent, frame + i, 1) == 1);
		turns(&w, 1);
	}
	expect(link_proc(w.s, 0)->exited && link_proc(w.s, 0)->status == 3);
	end();
}

/* A message of more frames than one may have. */
static void a_message_without_end_is_cut(void)
{
	static unsigned char frame[FRAME_HEAD + FRAME_PAYLOAD_MAX] = { 0, 0, 1, 0, PROTO_LOG, 0, FRAME_MORE };
	size_t sent = 0;

	create();
	while (!w.s->lost && sent < 4 * (size_t)PROTO_TO_HOST_MAX) {
		ssize_t n = write(w.agent, frame + sent % sizeof(frame), sizeof(frame) - sent % sizeof(frame));

		sent += n > 0 ? (size_t)n : 0;
		turns(&w, 1);
		expect(w.s->reader.raw.room + w.s->reader.whole.room <= 4 * (size_t)PROTO_TO_HOST_MAX);
	}
	end_lost("endless");
}

/* It foresees the ids, answers, and never reads what it is asked. */
static void an_agent_that_does_not_listen_is_given_up(void)
{
	auto_arena struct arena a = { 0 };
	struct strbuf big = STRBUF(&a);
	struct message m;
	int r = 0;

	create();
	for (size_t i = 0; i < 16384; i++)
		strbuf_add(&big, (const char[64]){ 0 }, 64);
	for (unsigned i = 0; i < 64 && r == 0; i++) {
		agent_says_ok(&w);
		r = link_ask(w.s, PROTO_UPDATE, &big, &a, &m, &e);
	}
	expect(r == -ENOBUFS);
	end_lost("deaf");
}

static void what_the_agent_would_not_take_is_not_sent(void)
{
	auto_arena struct arena a = { 0 };
	struct strbuf big = STRBUF(&a);
	struct message m;

	create();
	for (size_t i = 0; i <= PROTO_TO_AGENT_MAX / 1024; i++)
		strbuf_add(&big, (const char[1024]){ 0 }, 1024);
	expect(link_ask(w.s, PROTO_EXEC, &big, &a, &m, &e) == -E2BIG && !w.s->lost);
	agent_says_ok(&w);
	expect(link_plain(w.s, PROTO_START, &e) == 0);
	end();
}

/* ---- commands ---- */

static int client(void)
{
	int ends[2];

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	w.s->clients[0] = (struct client){ .fd = ends[1] };
	return ends[0];
}

/* Asks as `drupe ps` does; the answer is in *q. */
static void ask_ps(int fd, struct control_packet *q)
{
	int none[CONTROL_FDS_MAX];

	*q = (struct control_packet){ .type = CONTROL_PS };
	expect(control_send(fd, q, NULL, 0, &e) == 0);
	serve_client(w.s, &w.s->clients[0]); /* not by a turn: it would hear the answer before it asks */
	expect(control_receive(fd, q, none, &e) == 1);
}

static void a_list_of_processes_is_cut_and_printable(void)
{
	enum { N = 2500, ONE = 12 + 4 + 15 };
	static unsigned char payload[4 + N * ONE];
	static struct control_packet q;

	memcpy(payload, &(uint32_t){ N }, 4);
	for (size_t i = 0; i < N; i++) {
		unsigned char *p = payload + 4 + i * ONE;

		memset(p, 0xff, 12);
		memcpy(p + 12, "\17\0\0\0\33]0;x\7\n\nabcde\xff\xfe", 4 + 15);
	}
	create();
	int fd = client();

	agent_answers(&w, PROTO_PS, payload, sizeof(payload));
	ask_ps(fd, &q);
	expect(q.type == CONTROL_OK && q.len <= CONTROL_DATA_MAX && q.len > CONTROL_DATA_MAX / 2);
	size_t good = 0;

	while (good < q.len && (q.data[good] == '\n' || (q.data[good] >= ' ' && q.data[good] <= '~')))
		good++;
	expect(good == q.len);
	close(fd);
	end();
}

/* A few bytes say that there are many. */
static void a_list_that_is_not_there_is_refused(void)
{
	static struct control_packet q;

	for (uint32_t n = 1; n; n = n == UINT32_MAX ? 0 : n < (1u << 30) ? n * 1024 : UINT32_MAX) {
		create();
		int fd = client();

		agent_answers(&w, PROTO_PS, &n, sizeof(n));
		ask_ps(fd, &q);
		expect(q.type == CONTROL_ERROR && q.len == sizeof(struct err));
		close(fd);
		end();
	}
}

static int plan_file(void)
{
	auto_arena struct arena a = { 0 };
	struct strbuf b = STRBUF(&a);
	struct codec c = codec_encoder(&b);
	const struct plan plan = small_plan();
	struct msg_exec exec = { .plan = { plan.sec, plan.proc } };
	int fd = memfd_create("plan", MFD_CLOEXEC);

	codec_exec(&c, &exec);
	must(codec_end(&c, "exec", &e) == 0 && fd_write_all(fd, b.text, b.len, &e) == 0);
	return fd;
}

/* The agent tells the end of a process before it has said that it began. */
static void an_end_before_the_answer_is_an_end(void)
{
	static struct control_packet q;
	int none[CONTROL_FDS_MAX];

	for (int ok = 0; ok < 2; ok++) {
		create();
		int fd = client(), plan = plan_file();

		q = (struct control_packet){ .type = CONTROL_EXEC };
		expect(control_send(fd, &q, &plan, 1, &e) == 0);
		agent_says_exit(&w, 1, 5);
		if (ok)
			agent_says_ok(&w);
		else
			agent_answers(&w, PROTO_ERROR, "\2\0\0\0\1\0\0\0x", 9);
		serve_client(w.s, &w.s->clients[0]);
		turns(&w, 2);
		expect(control_receive(fd, &q, none, &e) == 1 && q.type == (ok ? CONTROL_OK : CONTROL_ERROR));
		expect(!ok || (control_receive(fd, &q, none, &e) == 1 && q.type == CONTROL_EXIT && q.a == 5));
		expect(!link_proc(w.s, 1) && !w.s->lost);
		close(fd);
		close(plan);
		end();
	}
}

/* Its question, and what became of it. */
static struct control_packet ask_client(int fd, uint32_t type, int32_t number)
{
	static struct control_packet q;
	int none[CONTROL_FDS_MAX];

	q = (struct control_packet){ .type = type, .a = number };
	expect(control_send(fd, &q, NULL, 0, &e) == 0);
	serve_client(w.s, &w.s->clients[0]);
	expect(control_receive(fd, &q, none, &e) == 1);
	return q;
}

static int32_t code_of(const struct control_packet *q)
{
	struct err why;

	memcpy(&why, q->data, sizeof(why));
	return q->type == CONTROL_ERROR && is_one_line(why.text) ? why.code : 0;
}

static void memory_that_ran_out_is_told_to_who_listens(void)
{
	enum { MANY = 500 };
	static struct control_packet q;
	int none[CONTROL_FDS_MAX];

	create();
	int fd = client();

	agent_says(&w, PROTO_OOM, 0, NULL, 0);
	turns(&w, 1);
	expect(ask_client(fd, CONTROL_EVENTS, 0).type == CONTROL_OK);
	agent_says(&w, PROTO_OOM, 0, NULL, 0);
	turns(&w, 1);
	expect(control_receive(fd, &q, none, &e) == 1 && q.type == CONTROL_OOM);
	/* Nobody reads that. */
	for (int i = 0; i < MANY; i++)
		agent_says(&w, PROTO_OOM, 0, NULL, 0);
	turns(&w, 3);
	expect(!w.s->lost && w.s->clients[0].listens);
	expect(control_receive(fd, &q, none, &e) == 1 && q.type == CONTROL_OOM);
	close(fd);
	turns(&w, 1);
	expect(w.s->clients[0].fd < 0 && !w.s->clients[0].listens);
	end();
}

static void a_machine_that_takes_no_term_is_ended_by_it(void)
{
	create();
	int fd = client();

	w.s->answer_ms = 1;
	expect(ask_client(fd, CONTROL_SIGNAL, SIGTERM).type == CONTROL_OK && w.s->lost);
	struct control_packet q = ask_client(fd, CONTROL_STATS, 0);

	expect(code_of(&q) == ENOLINK);
	close(fd);
	end();
	create();
	fd = client();
	w.s->answer_ms = 1;
	q = ask_client(fd, CONTROL_SIGNAL, SIGUSR1);
	expect(code_of(&q) == ENOLINK && w.s->lost);
	close(fd);
	end();
}

static void figures_are_what_was_understood(void)
{
	auto_arena struct arena a = { 0 };
	struct strbuf b = STRBUF(&a);
	struct codec c = codec_encoder(&b);
	struct cgroup_stats in = { .pids_current = 7 }, out = { 0 };

	codec_stats(&c, &in);
	create();
	int fd = client();

	agent_answers(&w, PROTO_STATS, b.text, b.len);
	struct control_packet q = ask_client(fd, CONTROL_STATS, 0);

	c = codec_decoder(q.data, q.len, &a);
	codec_stats(&c, &out);
	expect(q.type == CONTROL_OK && codec_end(&c, "stats", &e) == 0 && out.pids_current == 7);
	agent_answers(&w, PROTO_STATS, b.text, b.len - 1);
	q = ask_client(fd, CONTROL_STATS, 0);
	expect(code_of(&q) == EPROTO);
	q = ask_client(fd, CONTROL_UPDATE, 0);
	expect(code_of(&q) == EPROTO);
	close(fd);
	end();
}

/* ---- streams ---- */

static void stream_head(unsigned char head[STREAM_HEAD], uint32_t proc, uint32_t stream)
{
	const uint32_t m[5] = { 8, PROTO_STREAM, 0, proc, stream };

	memcpy(head, m, STREAM_HEAD);
}

static bool is_closed(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET;
}

/* A container whose standard output is a pipe: its reading end. */
static int create_with_pipe(void)
{
	struct proc p = no_streams();
	int ends[2];

	must(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
	p.fd[1] = ends[1];
	p.streams = STREAM_STDOUT;
	create_with(&p);
	before -= 2; /* the pipe, which was there before what is counted */
	return ends[0];
}

static void a_connection_that_is_nobodys_is_closed(void)
{
	static const uint32_t heads[][2] = { { 1, STREAM_STDOUT },
					     { UINT32_MAX, STREAM_STDOUT },
					     { 0, STREAM_STDIN },
					     { 0, STREAM_STDERR },
					     { 0, STREAM_TERMINAL },
					     { 0, 0 },
					     { 0, 3 },
					     { 0, UINT32_MAX } };
	unsigned char head[STREAM_HEAD];
	int out = create_with_pipe();

	for (size_t i = 0; i <= sizeof(heads) / sizeof(*heads); i++) {
		int fd = guest_connects(&w);

		if (i < sizeof(heads) / sizeof(*heads))
			stream_head(head, heads[i][0], heads[i][1]);
		else
			memset(head, 0xff, sizeof(head));
		expect(write(fd, head, sizeof(head)) == sizeof(head));
		turns(&w, 3);
		expect(is_closed(fd));
		close(fd);
	}
	expect(!w.s->lost);
	close(out);
	end();
}

static void a_stream_is_taken_once(void)
{
	unsigned char head[STREAM_HEAD];
	int out = create_with_pipe(), fd[2];
	char text[8] = "";

	stream_head(head, 0, STREAM_STDOUT);
	for (int i = 0; i < 2; i++) {
		fd[i] = guest_connects(&w);
		expect(write(fd[i], head, sizeof(head)) == sizeof(head) && write(fd[i], i ? "no" : "yes", 3) == 3);
		turns(&w, 4);
	}
	expect(read(out, text, sizeof(text)) == 3);
	expect_str(text, "yes");
	expect(!is_closed(fd[0]) && is_closed(fd[1]));
	close(fd[0]);
	close(fd[1]);
	close(out);
	end();
}

/* A busy guest may take its time between a connection and what it says, and make many others meanwhile. */
static void a_slow_stream_keeps_its_place(void)
{
	int out = create_with_pipe(), slow = guest_connects(&w);
	unsigned char head[STREAM_HEAD];
	char c = 0;

	turns(&w, 1);
	for (size_t i = 0; i < (size_t)2 * UNNAMED_MAX; i++) {
		int other = guest_connects(&w);

		turns(&w, 1);
		close(other);
		turns(&w, 1);
	}
	stream_head(head, 0, STREAM_STDOUT);
	expect(send(slow, head, sizeof(head), MSG_NOSIGNAL) == sizeof(head) && send(slow, "x", 1, MSG_NOSIGNAL) == 1);
	turns(&w, 4);
	expect(read(out, &c, 1) == 1 && c == 'x');
	close(slow);
	close(out);
	end();
}

/* A process that has ended before its output's connection was looked at: all of it is known at once. */
static void an_end_waits_for_the_output_that_came_before_it(void)
{
	static struct control_packet q;
	int none[CONTROL_FDS_MAX], fds[2], out[2];
	unsigned char head[STREAM_HEAD];
	char c = 0;

	create();
	must(pipe2(out, O_CLOEXEC | O_NONBLOCK) == 0);
	int fd = client(), conn = guest_connects(&w);

	q = (struct control_packet){ .type = CONTROL_EXEC, .a = STREAM_STDOUT };
	fds[0] = plan_file();
	fds[1] = out[1];
	expect(control_send(fd, &q, fds, 2, &e) == 0);
	close(out[1]);
	agent_says_ok(&w);
	agent_says_exit(&w, 1, 5);
	stream_head(head, 1, STREAM_STDOUT);
	expect(write(conn, head, sizeof(head)) == sizeof(head) && write(conn, "x", 1) == 1);
	close(conn);
	serve_client(w.s, &w.s->clients[0]);
	for (int i = 0; i < 10 && link_proc(w.s, 1); i++)
		turns(&w, 1);
	expect(read(out[0], &c, 1) == 1 && c == 'x');
	expect(control_receive(fd, &q, none, &e) == 1 && q.type == CONTROL_OK);
	expect(control_receive(fd, &q, none, &e) == 1 && q.type == CONTROL_EXIT && q.a == 5);
	close(fd);
	close(fds[0]);
	close(out[0]);
	end();
}

/* Connections that never say whose they are take a few places, and keep nobody else out. */
static void silent_connections_have_few_places(void)
{
	int fds[UNNAMED_MAX + 32], out = create_with_pipe();
	unsigned char head[STREAM_HEAD];
	unsigned open = 0;
	char c = 0;

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		fds[i] = guest_connects(&w);
		turns(&w, 1);
	}
	stream_head(head, 0, STREAM_STDOUT);
	int fd = guest_connects(&w);

	expect(write(fd, head, sizeof(head)) == sizeof(head) && write(fd, "x", 1) == 1);
	turns(&w, 4);
	close(fd);
	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		open += !is_closed(fds[i]);
		close(fds[i]);
	}
	expect(open == UNNAMED_MAX - 1);
	expect(read(out, &c, 1) == 1 && c == 'x');
	close(out);
	agent_says_ok(&w);
	expect(link_plain(w.s, PROTO_START, &e) == 0);
	end();
}

/* Output that nobody reads stops whoever writes it, and nothing else. */
static void a_flood_of_output_waits_in_the_guest(void)
{
	static char bytes[65536];
	unsigned char head[STREAM_HEAD];
	int out = create_with_pipe(), fd = guest_connects(&w);
	size_t sent = 0, idle = 0;

	stream_head(head, 0, STREAM_STDOUT);
	expect(write(fd, head, sizeof(head)) == sizeof(head));
	while (idle < 10) {
		ssize_t n = write(fd, bytes, sizeof(bytes));

		sent += n > 0 ? (size_t)n : 0;
		idle = n > 0 ? 0 : idle + 1;
		turns(&w, 1);
	}
	expect(sent < 2 << 20);
	agent_says_ok(&w);
	expect(link_plain(w.s, PROTO_START, &e) == 0);
	expect(streams_left(w.s, 0) == 1);
	while (read(out, bytes, sizeof(bytes)) > 0)
		turns(&w, 1);
	expect(write(fd, bytes, sizeof(bytes)) > 0);
	close(fd);
	close(out);
	end();
}

/* ---- the machine's process ---- */

static void descriptors_that_are_no_connection_are_dropped(void)
{
	create();
	unsigned there = descriptors();
	int fds[3] = { memfd_create("x", MFD_CLOEXEC), open("/dev/zero", O_RDWR | O_CLOEXEC),
		       socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) };
	int ends[2];

	must(pipe2(ends, O_CLOEXEC) == 0);
	for (int i = 0; i < 3; i++)
		machine_says(&w, "c", &fds[i], 1);
	machine_says(&w, "c", &ends[0], 1);
	machine_says(&w, "c", fds, 2);
	machine_says(&w, "c", fds, 3);
	turns(&w, 10);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	close(ends[0]);
	close(ends[1]);
	expect(descriptors() == there && !w.s->lost);
	agent_says_ok(&w);
	expect(link_plain(w.s, PROTO_START, &e) == 0);
	end();
}

/* It has a copy of each connection, and so can have it block. */
static void a_connection_that_blocks_blocks_nobody(void)
{
	unsigned char head[STREAM_HEAD];
	int ends[2], out = create_with_pipe();
	struct frame_reader *r = &w.s->reader;

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	machine_says(&w, "c", &ends[1], 1);
	stream_head(head, 0, STREAM_STDOUT);
	expect(write(ends[0], head, 5) == 5);
	turns(&w, 1);
	expect(fcntl(w.s->control, F_SETFL, 0) == 0);
	expect(frame_read(r, w.s->control, &e) == -EAGAIN);
	for (size_t i = 0; i < UNNAMED_MAX; i++)
		if (w.s->unnamed[i].fd >= 0) {
			streams_name(w.s, &w.s->unnamed[i]);
			streams_name(w.s, &w.s->unnamed[i]);
		}
	expect(write(ends[0], head + 5, sizeof(head) - 5) == sizeof(head) - 5);
	turns(&w, 1);
	expect(fcntl(ends[1], F_SETFL, 0) == 0);
	for (size_t i = 0; i < RELAY_MAX; i++)
		if (relay_used(&w.s->relays.v[i]))
			relay_step(&w.s->relays.v[i]);
	expect(streams_left(w.s, 0) == 2);
	close(ends[0]);
	close(ends[1]);
	close(out);
	end();
}

TAP_MAIN(CASE(a_right_agent_is_got_on_with), CASE(frames_that_are_none_lose_the_machine),
	 CASE(messages_out_of_place_lose_the_machine), CASE(an_end_is_told_once),
	 CASE(wrong_answers_lose_the_machine_and_the_question), CASE(an_error_that_is_none_is_a_mistake),
	 CASE(another_version_is_refused), CASE(a_reason_is_passed_on_as_one_line_that_can_be_printed), CASE(silence_has_a_limit),
	 CASE(an_agent_that_goes_while_it_is_asked_is_lost), CASE(a_machine_that_ends_is_told_with_its_last_words),
	 CASE(last_words_are_the_last), CASE(a_log_is_passed_on_up_to_a_limit), CASE(a_slow_drip_is_a_message_in_the_end),
	 CASE(a_message_without_end_is_cut), CASE(an_agent_that_does_not_listen_is_given_up),
	 CASE(what_the_agent_would_not_take_is_not_sent), CASE(a_list_of_processes_is_cut_and_printable),
	 CASE(a_list_that_is_not_there_is_refused), CASE(an_end_before_the_answer_is_an_end),
	 CASE(memory_that_ran_out_is_told_to_who_listens), CASE(a_machine_that_takes_no_term_is_ended_by_it),
	 CASE(figures_are_what_was_understood), CASE(a_connection_that_is_nobodys_is_closed), CASE(a_stream_is_taken_once),
	 CASE(a_slow_stream_keeps_its_place), CASE(an_end_waits_for_the_output_that_came_before_it),
	 CASE(silent_connections_have_few_places), CASE(a_flood_of_output_waits_in_the_guest),
	 CASE(descriptors_that_are_no_connection_are_dropped), CASE(a_connection_that_blocks_blocks_nobody))
