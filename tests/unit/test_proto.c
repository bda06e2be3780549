/* test_proto.c - frames, codecs and the conversation between host and agent, with sides that are right, wrong and hostile */
#include "hwvirt-sandbox/initramfs.h"
#include "hwvirt-sandbox/proto/message.h"
#include "tap.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct err e;

static void put(struct frame_writer *w, unsigned type, uint32_t id, const void *data, size_t len)
{
	expect(frame_put(w, (uint16_t)type, id, data, len, &e) == 0);
}

/* Moves all that waits in w to r, `step` bytes at a time. */
static void carry(struct frame_writer *w, struct frame_reader *r, size_t step)
{
	while (frame_waiting(w)) {
		size_t n = w->bytes.len - w->at < step ? w->bytes.len - w->at : step;

		frame_feed(r, w->bytes.v + w->at, n);
		w->at += n;
	}
}

static void messages_come_as_they_were_sent(void)
{
	struct frame_writer w;
	struct frame_reader r;
	struct message m;
	char *big = malloc(200000);

	memset(big, 'x', 200000);
	for (size_t step = 1; step < 300000; step = step * 7 + 1) {
		frame_writer_init(&w, 1 << 20);
		frame_reader_init(&r, 200000);
		put(&w, 1, 7, NULL, 0);
		put(&w, 2, 8, big, 200000);
		put(&w, 3, 0, "abc", 3);
		carry(&w, &r, step);
		expect(frame_next(&r, &m, &e) == 1 && m.type == 1 && m.id == 7 && m.len == 0 && m.data);
		expect(frame_next(&r, &m, &e) == 1 && m.type == 2 && m.len == 200000 && memcmp(m.data, big, m.len) == 0);
		expect(frame_next(&r, &m, &e) == 1 && m.type == 3 && m.len == 3 && memcmp(m.data, "abc", 3) == 0);
		expect(frame_next(&r, &m, &e) == 0 && !frame_torn(&r));
		frame_writer_release(&w);
		frame_reader_release(&r);
	}
	free(big);
}

/* One frame of its own making: -1, 0, 1 as frame_next() says. */
static int one_frame(struct frame_reader *r, uint32_t len, uint16_t type, uint16_t flags, uint32_t id, size_t payload)
{
	unsigned char b[FRAME_HEAD + 16] = { 0 };
	struct message m;

	memcpy(b, &len, 4);
	memcpy(b + 4, &type, 2);
	memcpy(b + 6, &flags, 2);
	memcpy(b + 8, &id, 4);
	frame_feed(r, b, FRAME_HEAD + payload);
	return frame_next(r, &m, &e);
}

static void frames_that_nobody_makes_are_refused(void)
{
	const struct {
		uint32_t len;
		uint16_t flags;
		const char *text;
	} bad[] = {
		{ FRAME_PAYLOAD_MAX + 1, 0, "a frame of 65537 bytes" },
		{ UINT32_MAX, 0, "a frame of 4294967295 bytes" },
		{ 4, 2, "a frame with flags 0x2" },
		{ 0, FRAME_MORE, "an empty frame that is not the last" },
		{ 33, 0, "message 5 is longer than 32 bytes" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct frame_reader r;

		frame_reader_init(&r, 32);
		expect(one_frame(&r, bad[i].len, 5, bad[i].flags, 1, 0) == -EPROTO);
		expect_str(e.text, bad[i].text);
		frame_reader_release(&r);
	}
}

static void a_message_is_not_mixed_with_another(void)
{
	struct frame_reader r;

	frame_reader_init(&r, 32);
	expect(one_frame(&r, 4, 5, FRAME_MORE, 1, 4) == 0);
	expect(frame_torn(&r));
	expect(one_frame(&r, 4, 6, 0, 1, 4) == -EPROTO);
	expect_str(e.text, "a frame of another message within message 5");
	frame_reader_release(&r);
	frame_reader_init(&r, 32);
	for (int i = 0; i < 2; i++)
		expect(one_frame(&r, 16, 5, FRAME_MORE, 1, 16) == 0);
	expect(one_frame(&r, 16, 5, FRAME_MORE, 1, 16) == -EPROTO);
	expect_str(e.text, "message 5 is longer than 32 bytes");
	frame_reader_release(&r);
}

static void a_reader_that_does_not_read_is_no_reason_to_grow(void)
{
	struct frame_writer w;
	char data[1000] = { 0 };
	int n = 0;

	frame_writer_init(&w, 10000);
	while (frame_put(&w, 1, 1, data, sizeof(data), &e) == 0)
		n++;
	expect(n == 9 && e.code == ENOBUFS);
	frame_writer_release(&w);
}

static void flushing_goes_on_where_it_stopped(void)
{
	int fd[2];
	struct frame_writer w;
	struct frame_reader r;
	struct message m;
	char *big = calloc(1, 1 << 20);

	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) == 0);
	frame_writer_init(&w, 2 << 20);
	frame_reader_init(&r, 1 << 20);
	put(&w, 9, 1, big, 1 << 20);
	expect(frame_flush(&w, fd[0], &e) == 1);
	while (frame_next(&r, &m, &e) == 0) {
		expect(frame_read(&r, fd[1], &e) > 0);
		expect(frame_flush(&w, fd[0], &e) >= 0);
	}
	expect(m.len == 1 << 20 && !frame_waiting(&w));
	expect(frame_read(&r, fd[1], &e) == -EAGAIN);
	close(fd[0]);
	expect(frame_read(&r, fd[1], &e) == 0);
	close(fd[1]);
	frame_writer_release(&w);
	frame_reader_release(&r);
	free(big);
}

/* ---- codec ---- */

static void numbers_and_texts_round_trip(void)
{
	auto_arena struct arena a = { 0 };
	struct strbuf b = STRBUF(&a);
	struct codec c = codec_encoder(&b);
	struct msg_log in = { 3, "text" }, out;
	struct err back, error = { .code = ENOENT, .text = "no such thing" };

	codec_log(&c, &in);
	struct message m = { .type = PROTO_LOG, .data = b.text, .len = b.len };

	expect(message_decode(&m, &a, codec_log, &out, &e) == 0 && out.level == 3);
	expect_str(out.text, "text");
	b = STRBUF(&a);
	c = codec_encoder(&b);
	codec_error(&c, &error);
	m = (struct message){ .type = PROTO_ERROR, .data = b.text, .len = b.len };
	expect(message_decode(&m, &a, codec_error, &back, &e) == 0 && back.code == ENOENT);
	expect_str(back.text, "no such thing");
	m.len++;
	b.text = realloc(NULL, m.len);
	memcpy(b.text, m.data, m.len - 1);
	m.data = b.text;
	expect(message_decode(&m, &a, codec_error, &back, &e) == -EPROTO);
	expect_str(e.text, "error: 1 bytes too long");
	free(b.text);
}

static int decode_ps(const void *data, size_t len)
{
	auto_arena struct arena a = { 0 };
	struct msg_ps ps = { 0 };
	struct message m = { .type = PROTO_PS, .data = data, .len = len };

	return message_decode(&m, &a, codec_ps, &ps, &e);
}

static void lengths_that_are_not_there_are_refused(void)
{
	static const unsigned char many[64] = { 0xff, 0xff, 0xff, 0xff },
				   nul[] = { 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0 };

	expect(decode_ps(many, sizeof(many)) == -EPROTO);
	expect_str(e.text, "ps: malformed");
	expect(decode_ps("\1\0\0\0", 4) == -EPROTO);
	expect(decode_ps(nul, sizeof(nul)) == -EPROTO); /* a text with a NUL in it */
	expect(decode_ps("\0\0\0\0", 4) == 0);
	expect(decode_ps("", 0) == -EPROTO);
}

static void one_byte(struct codec *c, void *element)
{
	codec_bool(c, element);
}

static void memory_for_a_message_has_a_limit(void)
{
	auto_arena struct arena a = { 0 };
	size_t len = 1 << 20, n = 0;
	unsigned char *data = calloc(1, len);
	struct {
		bool b;
		char room[4000];
	} *v = NULL;
	struct codec c = codec_decoder(data, len, &a);

	memcpy(data, "\0\0\x0f\0", 4);
	codec_list(&c, &v, &n, sizeof(*v), one_byte);
	expect(codec_end(&c, "list", &e) == -EPROTO && n == 0 && !v);
	free(data);
}

/* What a guest says whose averages are other texts of four bytes than a kernel writes. */
static int decode_average(const char *text)
{
	auto_arena struct arena a = { 0 };
	struct strbuf b = STRBUF(&a);
	struct codec c = codec_encoder(&b);
	struct cgroup_stats s = { .cpu.psi = { true, { "1.25", "0.00", "0.00", 1 }, { "0.00", "0.00", "0.00", 2 } } };

	codec_stats(&c, &s);
	char *at = memmem(b.text, b.len, "1.25", 4);

	expect(!c.bad && at);
	memcpy(at, text, 4);
	c = codec_decoder(b.text, b.len, &a);
	s = (struct cgroup_stats){ 0 };
	codec_stats(&c, &s);
	int r = codec_end(&c, "stats", &e);

	if (r == 0)
		expect_str(s.cpu.psi.some.avg10, text);
	return r;
}

/* They are printed as they are. */
static void averages_are_numbers(void)
{
	static const char *const wrong[] = { "0,\"a", "}}}}", "00.1", "1.2.", ".123", "123.", "1e05", "-1.0", " 1.0" };

	expect(decode_average("9.75") == 0 && decode_average("10.5") == 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		expect(decode_average(wrong[i]) == -EPROTO);
}

/* ---- conversation ---- */

static int receive(struct session *s, unsigned type, uint32_t id)
{
	struct message m = { .type = (uint16_t)type, .id = id };
	enum proto_type asked;

	return session_receive(s, &m, &asked, &e);
}

static void the_agent_holds_the_host_to_the_order(void)
{
	struct session s = { .agent = true };

	expect(receive(&s, PROTO_CREATE, 1) == -EPROTO);
	expect_str(e.text, "create: not now");
	expect(receive(&s, PROTO_HELLO, 0) == -EPROTO);
	expect(receive(&s, PROTO_HELLO, 1) == 0);
	expect(receive(&s, PROTO_HELLO, 2) == -EPROTO);
	expect_str(e.text, "hello: under way already");
	session_answer(&s, 1, true);
	expect(receive(&s, PROTO_HELLO, 2) == -EPROTO);
	expect(receive(&s, PROTO_START, 2) == -EPROTO);
	expect(receive(&s, PROTO_CREATE, 2) == 0);
	expect(receive(&s, PROTO_CREATE, 3) == -EPROTO);
	expect(receive(&s, PROTO_SIGNAL, 3) == -EPROTO);
	session_answer(&s, 2, false);
	expect(receive(&s, PROTO_CREATE, 2) == 0); /* a failed one may be tried again */
	session_answer(&s, 2, true);
	expect(receive(&s, PROTO_CREATE, 9) == -EPROTO);
	expect(receive(&s, PROTO_START, 3) == 0 && receive(&s, PROTO_EXEC, 4) == 0);
	expect(receive(&s, PROTO_PS, 4) == -EPROTO); /* an id that is taken */
	for (unsigned t = 0; t < 100; t++)           /* what only an agent says, and what nobody does */
		if (t == 0 || t >= PROTO_REQUEST_END)
			expect(receive(&s, t, 50) == -EPROTO);
	for (uint32_t i = 0; i < SESSION_PENDING_MAX - 2; i++)
		expect(receive(&s, PROTO_PS, 100 + i) == 0);
	expect(receive(&s, PROTO_PS, 99) == -EBUSY);
}

static void the_host_holds_the_agent_to_what_was_asked(void)
{
	struct session s = { 0 };
	struct message m = { .type = PROTO_HELLO };
	enum proto_type asked;
	uint32_t id = 0, other = 0;

	expect(session_ask(&s, PROTO_CREATE, &id, &e) == -EPROTO);
	expect(session_ask(&s, PROTO_HELLO, &id, &e) == 0 && id);
	expect(receive(&s, PROTO_OK, id) == -EPROTO);
	expect_str(e.text, "ok: no answer to hello");
	expect(receive(&s, PROTO_HELLO, id + 1) == -EPROTO);
	expect(receive(&s, PROTO_EXIT, 0) == -EPROTO);
	expect(receive(&s, PROTO_LOG, 0) == 0);
	m.id = id;
	expect(session_receive(&s, &m, &asked, &e) == 0 && asked == PROTO_HELLO);
	expect(receive(&s, PROTO_HELLO, id) == -EPROTO); /* twice */
	expect(session_ask(&s, PROTO_CREATE, &id, &e) == 0);
	expect(receive(&s, PROTO_OK, id) == 0);
	expect(session_ask(&s, PROTO_PS, &id, &e) == 0 && session_ask(&s, PROTO_START, &other, &e) == 0 && id != other);
	expect(receive(&s, PROTO_PS, other) == -EPROTO);
	expect(receive(&s, PROTO_ERROR, other) == 0);
	expect(receive(&s, PROTO_PS, id) == 0);
	for (unsigned t = PROTO_HELLO; t < PROTO_REQUEST_END; t++)
		expect(receive(&s, t, 0) == -EPROTO);
	for (int i = 0; i < SESSION_PENDING_MAX; i++)
		expect(session_ask(&s, PROTO_PS, &id, &e) == 0);
	expect(session_ask(&s, PROTO_PS, &id, &e) == -EBUSY);
}

static void processes_end_once_and_in_any_order(void)
{
	struct session s = { 0 };

	expect(session_proc_add(&s, 1, &e) == -EPROTO);
	for (uint32_t round = 0; round < 5; round++) {
		for (uint32_t i = 0; i < SESSION_PROCS_MAX; i++)
			expect(session_proc_add(&s, round * SESSION_PROCS_MAX + i, &e) == 0);
		expect(session_proc_add(&s, (round + 1) * SESSION_PROCS_MAX, &e) == -EBUSY);
		for (uint32_t i = 0; i < SESSION_PROCS_MAX; i++)
			expect(session_proc_remove(&s, round * SESSION_PROCS_MAX + (i * 7) % SESSION_PROCS_MAX, &e) == 0);
		expect(session_proc_remove(&s, round * SESSION_PROCS_MAX, &e) == -EPROTO);
	}
}

/* ---- initramfs ---- */

static unsigned long hex(const unsigned char *head, int field)
{
	char digits[9] = { 0 };

	memcpy(digits, head + 6 + 8 * field, 8);
	return strtoul(digits, NULL, 16);
}

static void the_archive_has_the_agent_and_a_console(void)
{
	struct {
		Elf64_Ehdr h;
		char rest[101];
	} agent = { 0 };
	const char *names[] = { "dev", "dev/console", "init", "TRAILER!!!" };
	unsigned char *data;
	size_t len, at = 0;
	void *out = NULL;

	memcpy(agent.h.e_ident, ELFMAG "\2", 5);
	agent.rest[100] = 'z';
	expect(initramfs_build(&agent, sizeof(agent), &out, &len, &e) == 0);
	data = out;
	for (int i = 0; i < 4; i++) {
		size_t size = hex(data + at, 6), name = hex(data + at, 11);

		expect(memcmp(data + at, "070701", 6) == 0);
		expect_str((const char *)data + at + 110, names[i]);
		expect(name == strlen(names[i]) + 1);
		size_t content = (at + 110 + name + 3) / 4 * 4;

		if (i == 1)
			expect(hex(data + at, 1) == 0020600 && hex(data + at, 9) == 5 && hex(data + at, 10) == 1);
		if (i == 2)
			expect(hex(data + at, 1) == 0100755 && size == sizeof(agent) && memcmp(data + content, &agent, size) == 0);
		at = (content + size + 3) / 4 * 4;
	}
	expect(at == len);
	free(out);
}

static void what_is_no_static_program_is_no_agent(void)
{
	struct {
		Elf64_Ehdr h;
		Elf64_Phdr p;
	} agent = { .h = { .e_phnum = 1, .e_phentsize = sizeof(Elf64_Phdr), .e_phoff = sizeof(Elf64_Ehdr) },
		    .p = { .p_type = PT_INTERP } };
	size_t len;
	void *out;

	expect(initramfs_build("#!/bin/sh", 9, &out, &len, &e) == -EINVAL);
	expect(initramfs_build(&agent, sizeof(agent), &out, &len, &e) == -EINVAL);
	expect_str(e.text, "the agent is no ELF program");
	memcpy(agent.h.e_ident, ELFMAG "\2", 5);
	expect(initramfs_build(&agent, sizeof(agent), &out, &len, &e) == -EINVAL);
	expect_str(e.text, "the agent is not linked statically");
	agent.h.e_phnum = 2;
	agent.p.p_type = PT_LOAD;
	expect(initramfs_build(&agent, sizeof(agent), &out, &len, &e) == -EINVAL);
	agent.h.e_phoff = UINT64_MAX;
	expect(initramfs_build(&agent, sizeof(agent), &out, &len, &e) == -EINVAL);
}

TAP_MAIN(CASE(messages_come_as_they_were_sent), CASE(frames_that_nobody_makes_are_refused),
	 CASE(a_message_is_not_mixed_with_another), CASE(a_reader_that_does_not_read_is_no_reason_to_grow),
	 CASE(flushing_goes_on_where_it_stopped), CASE(numbers_and_texts_round_trip), CASE(lengths_that_are_not_there_are_refused),
	 CASE(memory_for_a_message_has_a_limit), CASE(averages_are_numbers), CASE(the_agent_holds_the_host_to_the_order),
	 CASE(the_host_holds_the_agent_to_what_was_asked), CASE(processes_end_once_and_in_any_order),
	 CASE(the_archive_has_the_agent_and_a_console), CASE(what_is_no_static_program_is_no_agent))
