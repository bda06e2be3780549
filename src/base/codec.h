/* codec.h - values to bytes and back, by one description for both directions
 *
 * A function that passes the members of a struct to codec_*() is its encoder and its decoder: encoding reads them, decoding sets them.
 * The bytes come from somebody hostile: lengths are checked against what is there, memory for what is decoded comes out of a fixed
 * budget, and after the first mistake all is zero and empty, so that only the end needs a check (codec_end()). Numbers are
 * little-endian.
 */
#pragma once
#include "base/str.h"

#include <sys/types.h>

#define CODEC_BUDGET (16u << 20) /* bytes of memory that a message may become */

struct codec {
	struct strbuf *out;      /* encoding; NULL: decoding */
	const unsigned char *in;
	size_t left, budget;
	struct arena *arena;     /* of what is decoded */
	bool bad;
};

struct codec codec_encoder(struct strbuf *out);
struct codec codec_decoder(const void *data, size_t len, struct arena *a);

void codec_u64(struct codec *c, uint64_t *v);
void codec_u32(struct codec *c, uint32_t *v);
void codec_u16(struct codec *c, uint16_t *v);
void codec_i64(struct codec *c, int64_t *v);
void codec_int(struct codec *c, int *v);
void codec_bool(struct codec *c, bool *v);

/* An enum, or another number that must be below `end`. */
void codec_choice(struct codec *c, void *v, unsigned end); /* v: an enum or unsigned of 4 bytes */

/* Texts without a NUL in them. codec_str() takes NULL, too; for codec_text() that is a mistake. */
void codec_str(struct codec *c, const char **s);
void codec_text(struct codec *c, const char **s);

/* n units of `unit` bytes, copied as they are. *p: a pointer to them; NULL when there are none. */
void codec_bytes(struct codec *c, const void **p, size_t *n, size_t unit);

/* A list: v is the address of a pointer to *n elements of `size` bytes. */
void codec_list(struct codec *c, void *v, size_t *n, size_t size, void (*one)(struct codec *c, void *element));

/* NULL-terminated lists of texts. codec_argv() takes no NULL for the list. */
void codec_strv(struct codec *c, char *const **v);
void codec_argv(struct codec *c, char *const **v);

/* A pointer to one struct of `size` bytes, or NULL. v: the address of the pointer. */
void codec_optional(struct codec *c, void *v, size_t size, void (*one)(struct codec *c, void *element));

/* Marks a mistake that only the caller can see. */
void codec_check(struct codec *c, bool ok);

/* Decoding: EPROTO unless everything was right and everything was used. */
must_check int codec_end(const struct codec *c, const char *what, struct err *e);
