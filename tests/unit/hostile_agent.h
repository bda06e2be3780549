/* hostile_agent.h - a supervisor whose machine and agent are ours, for tests: what they will say is written before it is asked for,
 * so nothing here waits for another process */
#pragma once
#include "hwvirt-sandbox/supervisor/supervisor.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct world {
	struct supervisor *s;
	int machine; /* the other end of the machine's channel */
	int agent;   /* the guest's end of the control connection; -1: it is closed */
	uint32_t id; /* of the request that was answered last */
};

static inline void must(bool good)
{
	if (!good)
		abort();
}

/* What the machine's process sends: a packet, with descriptors. */
static inline void machine_says(const struct world *w, const char *text, const int *fds, size_t n)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(8 * sizeof(int))];
	} control = { 0 };
	struct iovec v = { (void *)text, strlen(text) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	if (n) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		control.head =
			(struct cmsghdr){ .cmsg_len = CMSG_LEN(n * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.head), fds, n * sizeof(int));
	}
	must(sendmsg(w->machine, &m, MSG_NOSIGNAL) >= 0);
}

static inline void turns(struct world *w, unsigned n)
{
	struct err ignored;

	while (n--)
		(void)!loop_turn(w->s, 0, 0, &ignored);
}

/* The guest connects: its end, for the supervisor to know of at its next turn. */
static inline int guest_connects(const struct world *w)
{
	int ends[2];

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	machine_says(w, "c", &ends[1], 1);
	close(ends[1]);
	return ends[0];
}

/* A frame of the agent's; more than fits at once is lost. */
static inline void agent_says(const struct world *w, uint16_t type, uint32_t id, const void *data, size_t len)
{
	struct frame_writer f;
	struct err ignored;

	frame_writer_init(&f, 64 << 20);
	must(frame_put(&f, type, id, data, len, &ignored) == 0);
	(void)!frame_flush(&f, w->agent, &ignored);
	frame_writer_release(&f);
}

/* The answer to the next request. */
static inline void agent_answers(struct world *w, uint16_t type, const void *data, size_t len)
{
	agent_says(w, type, ++w->id, data, len);
}

static inline void agent_says_hello(struct world *w, uint32_t version)
{
	auto_arena struct arena a = { 0 };
	struct strbuf b = STRBUF(&a);
	struct codec c = codec_encoder(&b);
	struct msg_hello m = { .version = version };

	codec_hello(&c, &m);
	agent_answers(w, PROTO_HELLO, b.text, b.len);
}

static inline void agent_says_ok(struct world *w)
{
	agent_answers(w, PROTO_OK, (const char[4]){ 1 }, 4);
}

static inline void agent_says_exit(const struct world *w, uint32_t proc, uint32_t status)
{
	const uint32_t exit[2] = { proc, status };

	agent_says(w, PROTO_EXIT, 0, exit, sizeof(exit));
}

/* The least there is to create and to execute. */
static inline struct plan small_plan(void)
{
	static char program[] = "/p", *const argv[] = { program, NULL }, *const none[] = { NULL };

	return (struct plan){ .id = "c",
			      .bundle = "/",
			      .oci_version = "1",
			      .has_process = true,
			      .cgroup = { .ref = { .path = "" } },
			      .rootfs = { .root = "/" },
			      .proc = { .argv = argv, .envp = none, .cwd = "/" } };
}

static inline void world_open(struct world *w)
{
	int ends[2];

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	*w = (struct world){ .s = malloc(sizeof(*w->s)), .machine = ends[1], .agent = -1 };
	must(w->s);
	supervisor_init(w->s);
	w->s->machine.channel = ends[0];
}

static inline void agent_connects(struct world *w)
{
	w->agent = guest_connects(w);
	turns(w, 1);
	must(w->s->control >= 0);
}

static inline void close_if(int fd)
{
	if (fd >= 0)
		close(fd);
}

static inline void world_close(struct world *w)
{
	struct supervisor *s = w->s;

	for (size_t i = 0; i < RELAY_MAX; i++)
		if (relay_used(&s->relays.v[i]))
			relay_close(&s->relays.v[i]);
	for (size_t i = 0; i < UNNAMED_MAX; i++)
		close_if(s->unnamed[i].fd);
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		close_if(s->clients[i].fd);
	for (size_t i = 0; i < SESSION_PROCS_MAX; i++)
		for (int k = 0; k < 4 && s->procs[i].used; k++)
			close_if(k < 3 ? s->procs[i].fd[k] : s->procs[i].terminal);
	close_if(s->control);
	close_if(w->agent);
	close_if(w->machine);
	machine_end(&s->machine);
	frame_reader_release(&s->reader);
	frame_writer_release(&s->writer);
	free(s);
}
