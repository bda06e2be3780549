#include "hwvirt-sandbox/proto/frame.h"
#include "base/retry.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { READ_SIZE = 65536 };

static void reserve(struct frame_bytes *b, size_t more)
{
	size_t room = b->room ? b->room : 4096;

	if (b->room - b->len >= more)
		return;
	while (room - b->len < more)
		room *= 2;
	b->v = realloc(b->v, room);
	if (!b->v)
		abort();
	b->room = room;
}

static void append(struct frame_bytes *b, const void *data, size_t len)
{
	reserve(b, len);
	if (len)
		memcpy(b->v + b->len, data, len);
	b->len += len;
}

static void release(struct frame_bytes *b)
{
	free(b->v);
	*b = (struct frame_bytes){ 0 };
}

/* Drops what was used; a buffer that was large once does not stay so. */
static void consume(struct frame_bytes *b, size_t *at)
{
	if (!*at)
		return;
	b->len -= *at;
	memmove(b->v, b->v + *at, b->len);
	*at = 0;
	if (!b->len && b->room > 4 * (size_t)FRAME_PAYLOAD_MAX)
		release(b);
}

void frame_reader_init(struct frame_reader *r, size_t max)
{
	*r = (struct frame_reader){ .max = max };
}

void frame_reader_release(struct frame_reader *r)
{
	release(&r->raw);
	release(&r->whole);
}

void frame_feed(struct frame_reader *r, const void *data, size_t len)
{
	consume(&r->raw, &r->at);
	append(&r->raw, data, len);
}

ssize_t frame_read(struct frame_reader *r, int fd, struct err *e)
{
	consume(&r->raw, &r->at);
	reserve(&r->raw, READ_SIZE);
	ssize_t n = RETRY(recv(fd, r->raw.v + r->raw.len, READ_SIZE, MSG_DONTWAIT));

	if (n < 0)
		return err_errno(e, "read");
	r->raw.len += (size_t)n;
	return n;
}

static uint32_t get32(const unsigned char *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put32(unsigned char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> 8 * i);
}

/* Does a frame with this head go on with what has come before? */
static int check_head(const struct frame_reader *r, uint32_t len, uint16_t type, uint16_t flags, uint32_t id, struct err *e)
{
	if (len > FRAME_PAYLOAD_MAX)
		return err_set(e, EPROTO, "a frame of %u bytes", len);
	if (flags & ~FRAME_MORE)
		return err_set(e, EPROTO, "a frame with flags %#x", flags);
	if (r->open && (type != r->type || id != r->id))
		return err_set(e, EPROTO, "a frame of another message within message %u", r->type);
	/* Else frames without end would be one message. */
	if ((flags & FRAME_MORE) && !len)
		return err_set(e, EPROTO, "an empty frame that is not the last");
	if (len > r->max - r->whole.len)
		return err_set(e, EPROTO, "message %u is longer than %zu bytes", type, r->max);
	return 0;
}

/* Takes one frame. 1: it was the last of its message; 0: it is not all there; 2: more frames follow. */
static int take_frame(struct frame_reader *r, struct err *e)
{
	size_t left = r->raw.len - r->at;

	if (left < FRAME_HEAD)
		return 0;
	const unsigned char *p = r->raw.v + r->at;
	uint32_t len = get32(p), id = get32(p + 8);
	uint16_t type = (uint16_t)get32(p + 4), flags = (uint16_t)(get32(p + 4) >> 16);
	int bad = check_head(r, len, type, flags, id, e);

	if (bad < 0)
		return bad;
	if (left - FRAME_HEAD < len)
		return 0;
	append(&r->whole, p + FRAME_HEAD, len);
	r->at += FRAME_HEAD + len;
	r->type = type;
	r->id = id;
	r->open = flags & FRAME_MORE;
	return r->open ? 2 : 1;
}

int frame_next(struct frame_reader *r, struct message *out, struct err *e)
{
	int n;

	if (r->given)
		consume(&r->whole, &(size_t){ r->whole.len });
	r->given = false;
	do {
		n = take_frame(r, e);
	} while (n == 2);
	if (n <= 0)
		return n;
	r->given = true;
	*out = (struct message){ .type = r->type, .id = r->id, .data = "", .len = r->whole.len };
	if (out->len)
		out->data = r->whole.v;
	return 1;
}

bool frame_torn(const struct frame_reader *r)
{
	return r->open || r->raw.len != r->at;
}

void frame_writer_init(struct frame_writer *w, size_t max)
{
	*w = (struct frame_writer){ .max = max };
}

void frame_writer_release(struct frame_writer *w)
{
	release(&w->bytes);
}

int frame_put(struct frame_writer *w, uint16_t type, uint32_t id, const void *data, size_t len, struct err *e)
{
	unsigned char head[FRAME_HEAD];
	const unsigned char *p = len ? data : head;

	consume(&w->bytes, &w->at);
	if (len > w->max || w->bytes.len > w->max - len)
		return err_set(e, ENOBUFS, "message %u of %zu bytes: %zu bytes wait already", type, len, w->bytes.len);
	do {
		size_t n = len < FRAME_PAYLOAD_MAX ? len : FRAME_PAYLOAD_MAX;

		put32(head, (uint32_t)n);
		put32(head + 4, type | (n < len ? (uint32_t)FRAME_MORE << 16 : 0));
		put32(head + 8, id);
		append(&w->bytes, head, sizeof(head));
		append(&w->bytes, p, n);
		p += n;
		len -= n;
	} while (len);
	return 0;
}

int frame_flush(struct frame_writer *w, int fd, struct err *e)
{
	while (frame_waiting(w)) {
		ssize_t n = RETRY(send(fd, w->bytes.v + w->at, w->bytes.len - w->at, MSG_DONTWAIT | MSG_NOSIGNAL));

		if (n < 0 && errno == EAGAIN)
			return 1;
		if (n < 0)
			return err_errno(e, "write");
		w->at += (size_t)n;
	}
	consume(&w->bytes, &w->at);
	return 0;
}

bool frame_waiting(const struct frame_writer *w)
{
	return w->bytes.len != w->at;
}
