#include "base/cleanup.h"
#include "base/fd.h"
#include "hwvirt-sandbox/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

/* A connection that has said whose it is. */
static int connect_stream(const struct transport *t, uint32_t proc, uint32_t stream, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct strbuf b = STRBUF(&a);
	struct codec c = codec_encoder(&b);
	struct msg_stream m = { proc, stream };
	struct frame_writer w;

	codec_stream(&c, &m);
	frame_writer_init(&w, FRAME_PAYLOAD_MAX);
	int r = frame_put(&w, PROTO_STREAM, 0, b.text, b.len, e);
	auto_fd int fd = r < 0 ? r : transport_dial(t, e);

	if (fd >= 0)
		r = fd_write_all(fd, w.bytes.v, w.bytes.len, e);
	else
		r = fd;
	frame_writer_release(&w);
	return r < 0 ? r : take_fd(&fd);
}

static int open_one(const struct transport *t, struct relays *all, uint32_t proc, int number, int *child, struct err *e)
{
	uint32_t stream = 1u << number;
	bool in = stream == STREAM_STDIN;
	int ends[2];
	auto_fd int fd = connect_stream(t, proc, stream, e);

	if (fd < 0)
		return fd;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_errno(e, "pipe");
	*child = ends[in ? 0 : 1];
	return in ? relay_add(all, proc, stream, take_fd(&fd), ends[1], false, e)
		  : relay_add(all, proc, stream, ends[0], take_fd(&fd), true, e);
}

int streams_open(const struct transport *t, struct relays *all, uint32_t proc, uint32_t streams, int child[3], struct err *e)
{
	int r = 0;

	for (int i = 0; i < 3; i++)
		child[i] = -1;
	for (int i = 0; i < 3 && r == 0; i++) {
		if (streams & 1u << i) {
			r = open_one(t, all, proc, i, &child[i], e);
			continue;
		}
		child[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (child[i] < 0)
			r = err_errno(e, "/dev/null");
	}
	return r;
}

int streams_terminal(const struct transport *t, struct relays *all, uint32_t proc, int master_fd, struct err *e)
{
	auto_fd int master = master_fd;
	auto_fd int conn = connect_stream(t, proc, STREAM_TERMINAL, e);

	if (conn < 0)
		return conn;
	auto_fd int master2 = fcntl(master, F_DUPFD_CLOEXEC, 0), conn2 = fcntl(conn, F_DUPFD_CLOEXEC, 0);

	if (master2 < 0 || conn2 < 0)
		return err_errno(e, "dup");
	int r = relay_add(all, proc, STREAM_TERMINAL, take_fd(&master), take_fd(&conn), true, e);

	return r < 0 ? r : relay_add(all, proc, STREAM_TERMINAL, take_fd(&conn2), take_fd(&master2), false, e);
}

void streams_close(struct relays *all, uint32_t proc)
{
	for (size_t i = 0; i < RELAY_MAX; i++)
		if (relay_used(&all->v[i]) && all->v[i].proc == proc)
			relay_close(&all->v[i]);
}

int streams_resize(const struct relays *all, uint32_t proc, uint16_t rows, uint16_t cols, struct err *e)
{
	const struct winsize size = { .ws_row = rows, .ws_col = cols };

	for (size_t i = 0; i < RELAY_MAX; i++) {
		const struct relay *r = &all->v[i];

		if (!relay_used(r) || r->proc != proc || r->stream != STREAM_TERMINAL)
			continue;
		if (ioctl(r->to_socket ? r->from : r->to, TIOCSWINSZ, &size) < 0)
			return err_errno(e, "TIOCSWINSZ");
		return 0;
	}
	return err_set(e, ENOTTY, "process %u has no terminal", proc);
}
