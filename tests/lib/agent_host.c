/* agent_host.c - the host of a guest's agent, without a virtual machine: the agent runs as process 1 of namespaces, over a unix
 * socket
 *
 *   agent_host AGENT BUNDLE SOCKET <script        answers on stdout, a line each
 *
 * Commands, a line each: hello, create STREAMS, start, exec STREAMS WORD..., signal PROC SIG, signal-all SIG, winsize PROC ROWS
 * COLS, ps, stats, pause, resume, pids-limit N, shutdown: wait for the answer. write PROC STREAM TEXT, close PROC STREAM, read PROC
 * STREAM (up to its end), expect PROC STREAM TEXT (up to that). wait PROC: its exit. raw HEX: as it is, on the control connection.
 * lost: close that. end: how the agent ended. STREAMS are bits: 1 stdin, 2 stdout, 4 stderr, 8 terminal. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/sys.h"
#include "hwvirt-sandbox/proto/message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { LIMIT_MS = 60000, STREAMS_MAX = 64 };

struct stream {
	uint32_t proc, which;
	int fd;
	bool ended;
	struct strbuf text;
};

struct side {
	struct session session;
	struct frame_reader reader;
	struct frame_writer writer;
	int listener, control;
	pid_t agent;
	struct arena arena;
	struct plan plan;
	const struct oci_spec *spec;
	struct stream streams[STREAMS_MAX];
	size_t n_streams;
	int exits[SESSION_PROCS_MAX]; /* 1 + status */
	struct message answer;        /* the last; in arena */
	bool answered, gone;
};

static _Noreturn __attribute__((format(printf, 1, 2))) void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("agent_host: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	_exit(1);
}

static void must(int r, const struct err *e)
{
	if (r < 0)
		die("%s", e->text);
}

/* ---- the agent ---- */

static _Noreturn void become_agent(const char *program, const char *socket_path)
{
	const char *const argv[] = { program, "--unix", socket_path, NULL };

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("proc", "/proc", "proc", 0, NULL) < 0)
		die("mount: %s", strerror(errno));
	execv(program, (char *const *)argv);
	die("%s: %s", program, strerror(errno));
}

static void open_agent(struct side *h, const char *program, const char *name)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct err e;

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", name);
	h->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(h->listener, (struct sockaddr *)&un, sizeof(un)) < 0 || listen(h->listener, 64) < 0)
		die("listen: %s", strerror(errno));
	h->agent = proc_fork(SYS_CLONE_NEWPID | SYS_CLONE_NEWNS | SYS_CLONE_NEWNET, NULL, -1, &e);
	must(h->agent, &e);
	if (h->agent == 0)
		become_agent(program, un.sun_path);
	h->control = accept4(h->listener, NULL, NULL, SOCK_CLOEXEC);
	h->session = (struct session){ 0 };
	frame_reader_init(&h->reader, PROTO_TO_HOST_MAX);
	frame_writer_init(&h->writer, 8 << 20);
}

/* ---- what comes ---- */

static void take_stream(struct side *h)
{
	auto_arena struct arena a = { 0 };
	struct frame_reader r;
	struct message m;
	struct msg_stream s = { 0 };
	struct err e;
	int fd = accept4(h->listener, NULL, NULL, SOCK_CLOEXEC), got;
	unsigned char b[FRAME_HEAD + 8]; /* exactly, since what follows is the stream's */

	frame_reader_init(&r, sizeof(b));
	for (size_t n = 0; n < sizeof(b); n++)
		if (read(fd, b + n, 1) != 1)
			die("a stream that does not say whose it is");
	frame_feed(&r, b, sizeof(b));
	got = frame_next(&r, &m, &e);
	must(got, &e);
	if (got != 1 || m.type != PROTO_STREAM)
		die("a stream that begins with %s", proto_name(m.type));
	must(message_decode(&m, &a, codec_stream, &s, &e), &e);
	frame_reader_release(&r);
	if (h->n_streams == STREAMS_MAX)
		die("too many streams");
	h->streams[h->n_streams++] = (struct stream){ .proc = s.proc, .which = s.stream, .fd = fd, .text = STRBUF(&h->arena) };
}

static void take_bytes(struct stream *s)
{
	char b[65536];
	ssize_t n = read(s->fd, b, sizeof(b));

	s->ended = n <= 0;
	if (n > 0)
		strbuf_add(&s->text, b, (size_t)n);
}

static void take_unasked(struct side *h, const struct message *m)
{
	auto_arena struct arena a = { 0 };
	struct msg_exit x = { 0 };
	struct msg_log l = { 0 };
	struct err e;

	if (m->type == PROTO_EXIT) {
		must(message_decode(m, &a, codec_exit, &x, &e), &e);
		must(session_proc_remove(&h->session, x.proc, &e), &e);
		h->exits[x.proc] = 1 + (int)x.status;
	} else if (m->type == PROTO_LOG) {
		must(message_decode(m, &a, codec_log, &l, &e), &e);
		printf("log %s\n", l.text);
	} else {
		printf("%s\n", proto_name(m->type));
	}
}

static void take_messages(struct side *h)
{
	struct err e;
	struct message m;
	ssize_t n = frame_read(&h->reader, h->control, &e);
	enum proto_type asked;

	h->gone = n <= 0 && n != -EAGAIN;
	while (frame_next(&h->reader, &m, &e) > 0) {
		must(session_receive(&h->session, &m, &asked, &e), &e);
		if (!asked) {
			take_unasked(h, &m);
			continue;
		}
		h->answer = m;
		h->answer.data = memcpy(arena_alloc(&h->arena, m.len + 1), m.data, m.len);
		h->answered = true;
	}
}

/* One turn of the loop, until something has come. */
static void pump(struct side *h)
{
	struct pollfd p[2 + STREAMS_MAX] = { { .fd = h->gone ? -1 : h->control, .events = POLLIN },
					     { .fd = h->listener, .events = POLLIN } };
	size_t n = h->n_streams;
	struct err e;

	for (size_t i = 0; i < n; i++)
		p[2 + i] = (struct pollfd){ .fd = h->streams[i].ended ? -1 : h->streams[i].fd, .events = POLLIN };
	if (poll(p, 2 + n, LIMIT_MS) <= 0)
		die("nothing comes");
	if (p[0].revents)
		take_messages(h);
	if (p[1].revents)
		take_stream(h);
	for (size_t i = 0; i < n; i++)
		if (p[2 + i].revents)
			take_bytes(&h->streams[i]);
	if (frame_waiting(&h->writer))
		must(frame_flush(&h->writer, h->control, &e), &e);
}

/* ---- commands ---- */

static void ask(struct side *h, enum proto_type type, const struct strbuf *payload)
{
	uint32_t id = 0;
	struct err e, why = { 0 };
	struct msg_ok ok = { 0 };

	h->answered = false;
	must(session_ask(&h->session, type, &id, &e), &e);
	must(frame_put(&h->writer, (uint16_t)type, id, payload->text, payload->len, &e), &e);
	if (frame_flush(&h->writer, h->control, &e) < 0)
		die("%s", e.text);
	while (!h->answered && !h->gone)
		pump(h);
	if (!h->answered) {
		printf("%s: no answer\n", proto_name(type));
	} else if (h->answer.type == PROTO_ERROR) {
		must(message_decode(&h->answer, &h->arena, codec_error, &why, &e), &e);
		printf("%s: error: %s\n", proto_name(type), why.text);
	} else if (h->answer.type == PROTO_OK) {
		must(message_decode(&h->answer, &h->arena, codec_ok, &ok, &e), &e);
		printf("%s: ok%s\n", proto_name(type), ok.pid ? ", a process" : "");
	} else {
		printf("%s: answered\n", proto_name(type));
	}
}

static void ask_about_proc(struct side *h, enum proto_type type, const struct strbuf *payload)
{
	uint32_t number = h->session.next_proc;
	struct err e;

	must(session_proc_add(&h->session, number, &e), &e);
	ask(h, type, payload);
	if (h->answered && h->answer.type == PROTO_ERROR)
		must(session_proc_remove(&h->session, number, &e), &e);
}

static void do_hello(struct side *h)
{
	struct strbuf b = STRBUF(&h->arena);
	struct codec c = codec_encoder(&b);
	struct msg_hello m = { .version = PROTO_VERSION };

	codec_hello(&c, &m);
	ask(h, PROTO_HELLO, &b);
}

static struct stream *find_stream(struct side *h, uint32_t proc, uint32_t which)
{
	for (;;) {
		for (size_t i = 0; i < h->n_streams; i++)
			if (h->streams[i].proc == proc && h->streams[i].which == which)
				return &h->streams[i];
		pump(h);
	}
}

static uint32_t word_number(char **rest)
{
	char *word = strsep(rest, " ");

	return word ? (uint32_t)strtoul(word, NULL, 0) : 0;
}

static void load(struct side *h, const char *bundle)
{
	const struct plan_options o = { .id = "guest", .bundle = bundle };
	auto_fd int dir = open(bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct host facts;
	struct err e;
	char *config;

	must((int)file_read(dir, "config.json", 1u << 20, true, &h->arena, &config, &e), &e);
	must(oci_spec_parse(&h->arena, config, strlen(config), &h->spec, &e), &e);
	must(host_probe(&h->arena, HOST_ALL, &facts, &e), &e);
	must(plan_build(h->spec, &o, &facts, &h->arena, &h->plan, &e), &e);
	must(guest_plan_check(&h->plan, &e), &e);
}

static void do_create(struct side *h, char *rest)
{
	struct strbuf b = STRBUF(&h->arena);
	struct codec c = codec_encoder(&b);
	struct msg_create m = { .streams = word_number(&rest), .plan = h->plan };
	struct err e;

	codec_create(&c, &m);
	must(codec_end(&c, "create", &e), &e);
	ask_about_proc(h, PROTO_CREATE, &b);
}

static void do_exec(struct side *h, char *rest)
{
	struct strbuf b = STRBUF(&h->arena);
	struct codec c = codec_encoder(&b);
	struct msg_exec m = { .proc = h->session.next_proc, .streams = word_number(&rest), .plan = { h->plan.sec, h->plan.proc } };
	char *argv[32] = { NULL };
	struct err e;

	for (size_t i = 0; i < 31 && rest; i++)
		argv[i] = strsep(&rest, " ");
	m.plan.proc.argv = argv;
	m.plan.proc.terminal = m.streams == STREAM_TERMINAL;
	codec_exec(&c, &m);
	must(codec_end(&c, "exec", &e), &e);
	ask_about_proc(h, PROTO_EXEC, &b);
}

static void do_signal(struct side *h, char *rest, bool all)
{
	struct strbuf b = STRBUF(&h->arena);
	struct codec c = codec_encoder(&b);
	struct msg_signal m = { .all = all };

	m.proc = all ? 0 : word_number(&rest);
	m.sig = word_number(&rest);
	codec_signal(&c, &m);
	ask(h, PROTO_SIGNAL, &b);
}

static void do_winsize(struct side *h, char *rest)
{
	struct strbuf b = STRBUF(&h->arena);
	struct codec c = codec_encoder(&b);
	struct msg_winsize m = { .proc = word_number(&rest) };

	m.rows = (uint16_t)word_number(&rest);
	m.cols = (uint16_t)word_number(&rest);
	codec_winsize(&c, &m);
	ask(h, PROTO_WINSIZE, &b);
}

static void do_ps(struct side *h)
{
	struct msg_ps ps = { 0 };
	struct err e;

	ask(h, PROTO_PS, &STRBUF(&h->arena));
	if (!h->answered || h->answer.type != PROTO_PS)
		return;
	must(message_decode(&h->answer, &h->arena, codec_ps, &ps, &e), &e);
	for (size_t i = 0; i < ps.n; i++)
		printf("ps %s uid %u\n", ps.v[i].name, ps.v[i].uid);
}

static void do_stats(struct side *h)
{
	struct cgroup_stats s = { 0 };
	struct err e;

	ask(h, PROTO_STATS, &STRBUF(&h->arena));
	if (!h->answered || h->answer.type != PROTO_STATS)
		return;
	must(message_decode(&h->answer, &h->arena, codec_stats, &s, &e), &e);
	printf("stats pids %llu limit %llu\n", (unsigned long long)s.pids_current, (unsigned long long)s.pids_limit);
}

static void do_pids_limit(struct side *h, char *rest)
{
	struct strbuf b = STRBUF(&h->arena);
	struct codec c = codec_encoder(&b);
	struct oci_resources update = *h->spec->linux_->resources;
	struct oci_pids pids = { .limit = { .set = true, .value = word_number(&rest) } };
	struct cgroup_plan plan;
	struct host facts;
	struct err e;

	update = (struct oci_resources){ .pids = &pids };
	must(host_probe(&h->arena, HOST_ALL, &facts, &e), &e);
	must(cgroup_update_plan(&h->plan.cgroup.ref, h->spec->linux_->resources, &update, &facts, &h->arena, &plan, &e), &e);
	codec_cgroup_plan(&c, &plan);
	must(codec_end(&c, "update", &e), &e);
	ask(h, PROTO_UPDATE, &b);
}

static void do_read(struct side *h, char *rest, bool to_end)
{
	uint32_t proc = word_number(&rest), which = word_number(&rest);
	struct stream *s = find_stream(h, proc, which);

	while (to_end ? !s->ended : !strstr(strbuf_str(&s->text), rest))
		pump(h);
	printf("stream %u %u: %s\n", proc, which, to_end ? strbuf_str(&s->text) : rest);
}

static void do_write(struct side *h, char *rest)
{
	uint32_t proc = word_number(&rest), which = word_number(&rest);
	const struct stream *s = find_stream(h, proc, which);
	struct err e;

	must(fd_write_all(s->fd, rest, strlen(rest), &e), &e);
	must(fd_write_all(s->fd, "\n", 1, &e), &e);
}

static void do_close(struct side *h, char *rest)
{
	uint32_t proc = word_number(&rest), which = word_number(&rest);

	(void)shutdown(find_stream(h, proc, which)->fd, SHUT_WR);
}

static void do_wait(struct side *h, char *rest)
{
	uint32_t proc = word_number(&rest);

	while (!h->exits[proc] && !h->gone)
		pump(h);
	printf("exit %u %d\n", proc, h->exits[proc] - 1);
}

static void do_raw(struct side *h, const char *hex)
{
	unsigned char b[512];
	unsigned byte;
	size_t n = 0;
	struct err e;

	for (; n < sizeof(b) && sscanf(hex + 2 * n, "%2x", &byte) == 1; n++)
		b[n] = (unsigned char)byte;
	must(fd_write_all(h->control, b, n, &e), &e);
}

/* Whatever it still says is of no interest. */
static void do_end(struct side *h)
{
	struct pollfd p = { .fd = h->control, .events = POLLIN };
	char b[4096];
	int status;

	while (poll(&p, 1, LIMIT_MS) > 0 && read(h->control, b, sizeof(b)) > 0)
		;
	if (waitpid(h->agent, &status, 0) < 0)
		die("waitpid: %s", strerror(errno));
	if (WIFSIGNALED(status))
		printf("ended by signal %d\n", WTERMSIG(status));
	else
		printf("ended with %d\n", WEXITSTATUS(status));
}

static void run(struct side *h, char *line)
{
	static const struct {
		const char *name;
		enum proto_type type;
	} plain[] = {
		{ "start", PROTO_START },
		{ "pause", PROTO_PAUSE },
		{ "resume", PROTO_RESUME },
		{ "shutdown", PROTO_SHUTDOWN },
	};
	char *rest = line, *name = strsep(&rest, " ");

	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++)
		if (str_eq(name, plain[i].name)) {
			ask(h, plain[i].type, &STRBUF(&h->arena));
			return;
		}
	if (str_eq(name, "hello"))
		do_hello(h);
	else if (str_eq(name, "create"))
		do_create(h, rest);
	else if (str_eq(name, "exec"))
		do_exec(h, rest);
	else if (str_eq(name, "signal") || str_eq(name, "signal-all"))
		do_signal(h, rest, str_eq(name, "signal-all"));
	else if (str_eq(name, "winsize"))
		do_winsize(h, rest);
	else if (str_eq(name, "ps"))
		do_ps(h);
	else if (str_eq(name, "stats"))
		do_stats(h);
	else if (str_eq(name, "pids-limit"))
		do_pids_limit(h, rest);
	else if (str_eq(name, "read") || str_eq(name, "expect"))
		do_read(h, rest, str_eq(name, "read"));
	else if (str_eq(name, "write"))
		do_write(h, rest);
	else if (str_eq(name, "close"))
		do_close(h, rest);
	else if (str_eq(name, "wait"))
		do_wait(h, rest);
	else if (str_eq(name, "raw"))
		do_raw(h, rest);
	else if (str_eq(name, "lost"))
		(void)shutdown(h->control, SHUT_RDWR);
	else if (str_eq(name, "end"))
		do_end(h);
	else
		die("%s: no such command", name);
}

int main(int argc, char **argv)
{
	struct side *h = calloc(1, sizeof(*h));
	auto_free char *line = NULL;
	size_t room = 0;
	ssize_t n;

	if (argc != 4 || !h)
		die("usage: agent_host AGENT BUNDLE SOCKET");
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	open_agent(h, argv[1], argv[3]);
	load(h, argv[2]);
	while ((n = getline(&line, &room, stdin)) > 0) {
		line[n - (line[n - 1] == '\n')] = '\0';
		run(h, line);
	}
	/* One that a test did not end goes with its namespace. */
	(void)kill(h->agent, SIGKILL);
	frame_reader_release(&h->reader);
	frame_writer_release(&h->writer);
	arena_release(&h->arena);
	free(h);
	return 0;
}
