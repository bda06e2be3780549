#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reserve(struct strbuf *b, size_t more)
{
	size_t want = b->len + more + 1;

	if (want <= b->room)
		return;
	size_t room = b->room ? b->room * 2 : 128;

	while (room < want)
		room *= 2;
	char *text = arena_alloc(b->arena, room);

	if (b->len)
		memcpy(text, b->text, b->len);
	b->text = text;
	b->room = room;
}

void strbuf_add(struct strbuf *b, const char *s, size_t len)
{
	reserve(b, len);
	memcpy(b->text + b->len, s, len);
	b->len += len;
	b->text[b->len] = '\0';
}

void strbuf_puts(struct strbuf *b, const char *s)
{
	strbuf_add(b, s, strlen(s));
}

/* noinline: gcc 12 with sanitizers sees a null format where it inlines this. */
__attribute__((format(printf, 2, 0), noinline)) static void add_formatted(struct strbuf *b, const char *fmt, va_list ap)
{
	va_list again;

	va_copy(again, ap);
	char probe[1];
	int len = vsnprintf(probe, sizeof(probe), fmt, again);
	va_end(again);
	if (len < 0)
		return;
	reserve(b, (size_t)len);
	vsnprintf(b->text + b->len, (size_t)len + 1, fmt, ap);
	b->len += (size_t)len;
}

void strbuf_printf(struct strbuf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_formatted(b, fmt, ap);
	va_end(ap);
}

const char *strbuf_str(const struct strbuf *b)
{
	return b->text ? b->text : "";
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	struct strbuf b = STRBUF(a);
	va_list ap;

	va_start(ap, fmt);
	add_formatted(&b, fmt, ap);
	va_end(ap);
	return b.text;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && strcmp(s + n - m, suffix) == 0;
}

bool str_eq(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

int parse_u64(const char *s, uint64_t *out, struct err *e)
{
	uint64_t n = 0;

	if (!*s || s[strspn(s, "0123456789")])
		return err_set(e, EINVAL, "\"%.40s\" is not a number", s);
	for (; *s; s++) {
		unsigned digit = (unsigned)(*s - '0');

		if (n > (UINT64_MAX - digit) / 10)
			return err_set(e, ERANGE, "number is too large");
		n = n * 10 + digit;
	}
	*out = n;
	return 0;
}

int parse_u32(const char *s, uint32_t *out, struct err *e)
{
	uint64_t n;
	int r = parse_u64(s, &n, e);

	if (r < 0)
		return r;
	if (n > UINT32_MAX)
		return err_set(e, ERANGE, "%s is too large", s);
	*out = (uint32_t)n;
	return 0;
}

int parse_i64(const char *s, int64_t *out, struct err *e)
{
	bool negative = *s == '-';
	uint64_t n;
	int r = parse_u64(s + negative, &n, e);

	if (r < 0)
		return r;
	if (n > (uint64_t)INT64_MAX + negative)
		return err_set(e, ERANGE, "%s is too large", s);
	*out = negative ? (int64_t)(0 - n) : (int64_t)n;
	return 0;
}
