#include "base/codec.h"

#include <errno.h>
#include <string.h>

struct codec codec_encoder(struct strbuf *out)
{
	return (struct codec){ .out = out };
}

struct codec codec_decoder(const void *data, size_t len, struct arena *a)
{
	return (struct codec){ .in = data, .left = len, .budget = CODEC_BUDGET, .arena = a };
}

void codec_check(struct codec *c, bool ok)
{
	c->bad |= !ok;
}

/* The next n bytes, or NULL. */
static const unsigned char *take(struct codec *c, size_t n)
{
	const unsigned char *p = c->in;

	codec_check(c, n <= c->left);
	if (c->bad)
		return NULL;
	c->in += n;
	c->left -= n;
	return p;
}

static void *allot(struct codec *c, size_t n, size_t size)
{
	codec_check(c, size == 0 || n <= c->budget / size);
	if (c->bad)
		return NULL;
	c->budget -= n * size;
	return arena_alloc(c->arena, n * size + !n);
}

static uint64_t number(struct codec *c, uint64_t v, size_t bytes)
{
	unsigned char b[8];

	if (c->out) {
		for (size_t i = 0; i < bytes; i++)
			b[i] = (unsigned char)(v >> 8 * i);
		strbuf_add(c->out, (const char *)b, bytes);
		return v;
	}
	const unsigned char *p = take(c, bytes);

	v = 0;
	for (size_t i = 0; p && i < bytes; i++)
		v |= (uint64_t)p[i] << 8 * i;
	return v;
}

/* What is encoded may be constant, so nothing is stored then, not even the same value. */
void codec_u64(struct codec *c, uint64_t *v)
{
	uint64_t n = number(c, *v, 8);

	if (!c->out)
		*v = n;
}

void codec_u32(struct codec *c, uint32_t *v)
{
	uint64_t n = number(c, *v, 4);

	if (!c->out)
		*v = (uint32_t)n;
}

void codec_u16(struct codec *c, uint16_t *v)
{
	uint64_t n = number(c, *v, 2);

	if (!c->out)
		*v = (uint16_t)n;
}

void codec_i64(struct codec *c, int64_t *v)
{
	uint64_t n = number(c, (uint64_t)*v, 8);

	if (!c->out)
		*v = (int64_t)n;
}

void codec_int(struct codec *c, int *v)
{
	uint64_t n = number(c, (uint32_t)*v, 4);

	if (!c->out)
		*v = (int)(uint32_t)n;
}

void codec_bool(struct codec *c, bool *v)
{
	uint64_t n = number(c, *v, 1);

	codec_check(c, n <= 1);
	if (!c->out)
		*v = n == 1;
}

void codec_choice(struct codec *c, void *v, unsigned end)
{
	uint32_t n;

	memcpy(&n, v, sizeof(n));
	codec_u32(c, &n);
	codec_check(c, n < end);
	n = c->bad ? 0 : n;
	if (!c->out)
		memcpy(v, &n, sizeof(n));
}

/* How many: never more than there are bytes left, since nothing takes less than one. */
static size_t count(struct codec *c, size_t n)
{
	n = number(c, n, 4);
	codec_check(c, c->out || n <= c->left);
	return c->bad ? 0 : n;
}

/* Before something that may be absent. */
static bool present(struct codec *c, bool is)
{
	codec_bool(c, &is);
	return is && !c->bad;
}

void codec_text(struct codec *c, const char **s)
{
	codec_check(c, !c->out || *s);
	if (c->out && c->bad)
		return;
	size_t n = count(c, c->out ? strlen(*s) : 0);

	if (c->out) {
		strbuf_add(c->out, *s, n);
		return;
	}
	const unsigned char *p = take(c, n);
	char *copy = allot(c, n + 1, 1);

	codec_check(c, p && !memchr(p, 0, n));
	if (copy && !c->bad)
		memcpy(copy, p, n);
	*s = copy ? copy : "";
}

void codec_str(struct codec *c, const char **s)
{
	if (present(c, *s))
		codec_text(c, s);
	else if (!c->out)
		*s = NULL;
}

void codec_bytes(struct codec *c, const void **p, size_t *n, size_t unit)
{
	if (c->out) {
		strbuf_add(c->out, *p, count(c, *n) * unit);
		return;
	}
	*n = count(c, 0);
	codec_check(c, *n <= c->left / unit);
	const unsigned char *bytes = take(c, c->bad ? 0 : *n * unit);
	void *copy = *n ? allot(c, *n, unit) : NULL;

	if (copy && bytes)
		memcpy(copy, bytes, *n * unit);
	*p = copy;
	*n = copy ? *n : 0;
}

void codec_list(struct codec *c, void *v, size_t *n, size_t size, void (*one)(struct codec *c, void *element))
{
	unsigned char *list;
	size_t len = count(c, *n);

	memcpy(&list, v, sizeof(list));
	if (!c->out) {
		list = allot(c, len, size);
		len = list ? len : 0;
		memcpy(v, &list, sizeof(list));
		*n = len;
	}
	for (size_t i = 0; i < len; i++)
		one(c, list + i * size);
}

void codec_argv(struct codec *c, char *const **v)
{
	size_t n = 0;

	while (c->out && (*v)[n])
		n++;
	n = count(c, n);
	const char **list = c->out ? (const char **)*v : allot(c, n + 1, sizeof(*list));

	for (size_t i = 0; list && i < n; i++)
		codec_text(c, &list[i]);
	if (!c->out)
		*v = (char *const *)list;
}

void codec_strv(struct codec *c, char *const **v)
{
	if (present(c, *v))
		codec_argv(c, v);
	else if (!c->out)
		*v = NULL;
}

void codec_optional(struct codec *c, void *v, size_t size, void (*one)(struct codec *c, void *element))
{
	void *p;

	memcpy(&p, v, sizeof(p));
	bool is = present(c, p);

	if (!c->out) {
		p = is ? allot(c, 1, size) : NULL;
		memcpy(v, &p, sizeof(p));
	}
	if (is && p)
		one(c, p);
}

int codec_end(const struct codec *c, const char *what, struct err *e)
{
	if (c->bad)
		return err_set(e, EPROTO, "%s: malformed", what);
	if (!c->out && c->left)
		return err_set(e, EPROTO, "%s: %zu bytes too long", what, c->left);
	return 0;
}
