/* frame.h - messages between the host and a guest's agent, as bytes of a stream
 *
 * A message is one or more frames: a head of 12 bytes (length of the payload, type, flags, id; little-endian) and at most 64 KiB. All
 * frames of a message but the last have FRAME_MORE, and they follow each other directly. This layer knows no types. Whoever writes
 * the bytes is hostile: a message has a longest length, and memory is taken only for what has come.
 */
#pragma once
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { FRAME_HEAD = 12, FRAME_PAYLOAD_MAX = 65536, FRAME_MORE = 1 };

struct message {
	uint16_t type;
	uint32_t id;
	const void *data; /* until the next call for its reader */
	size_t len;
};

struct frame_bytes { unsigned char *v; size_t len, room; };

struct frame_reader {
	size_t max;             /* bytes of a message's payload */
	struct frame_bytes raw; /* not looked at yet from `at` on */
	size_t at;
	struct frame_bytes whole; /* of the message that is being put together */
	bool open, given;         /* whole is a beginning; it was handed out */
	uint16_t type;
	uint32_t id;
};

void frame_reader_init(struct frame_reader *r, size_t max);
void frame_reader_release(struct frame_reader *r);

/* One recv(2) from fd, a socket, that does not block, whatever its other holder does to it. Returns its result: 0 is end of file,
 * -EAGAIN that nothing is there. */
must_check ssize_t frame_read(struct frame_reader *r, int fd, struct err *e);
/* The same for bytes at hand. */
void frame_feed(struct frame_reader *r, const void *data, size_t len);

/* 1 a whole message, 0 more bytes are needed, -EPROTO: no frame is made like that. */
must_check int frame_next(struct frame_reader *r, struct message *out, struct err *e);
/* true when bytes of an unfinished message are there: the end of the stream is a mistake then. */
bool frame_torn(const struct frame_reader *r);

struct frame_writer {
	size_t max; /* bytes that may wait */
	struct frame_bytes bytes;
	size_t at;
};

void frame_writer_init(struct frame_writer *w, size_t max);
void frame_writer_release(struct frame_writer *w);

/* Adds a message. ENOBUFS: the other side does not read what is waiting. */
must_check int frame_put(struct frame_writer *w, uint16_t type, uint32_t id, const void *data, size_t len, struct err *e);
/* Writes what fd takes without blocking. Returns 1 when something still waits, else 0. */
must_check int frame_flush(struct frame_writer *w, int fd, struct err *e);
bool frame_waiting(const struct frame_writer *w);
