#include "base/str.h"

#include <ctype.h>
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

/* ---- formatting ---- */

static char *put_digits(char *end, uint64_t n, bool negative)
{
	n = negative ? -n : n;
	do
		*--end = (char)('0' + n % 10);
	while (n /= 10);
	if (negative)
		*--end = '-';
	return end;
}

/* The text for one conversion, whose letter is at *fmt, perhaps in digits[]; NULL for what format_plain() does not know. */
static const char *plain_argument(const char **fmt, va_list *ap, char digits[static 24], size_t *len)
{
	char *end = digits + 24, *s = end - 1;
	bool wide = **fmt == 'l' || **fmt == 'z';
	int64_t n;

	*fmt += wide;
	if (**fmt == 'u') {
		s = put_digits(end, wide ? va_arg(*ap, unsigned long) : va_arg(*ap, unsigned), false);
	} else if (**fmt == 'd') {
		n = wide ? va_arg(*ap, long) : va_arg(*ap, int);
		s = put_digits(end, (uint64_t)n, n < 0);
	} else if (**fmt == 's' && !wide) {
		const char *text = va_arg(*ap, const char *);

		*len = text ? strlen(text) : 0;
		return text;
	} else if (**fmt == 'c' && !wide) {
		*s = (char)va_arg(*ap, int);
	} else {
		return NULL;
	}
	*len = (size_t)(end - s);
	return s;
}

/* What nearly all formats here consist of: text, %s, %c, %u, %d and the wide forms, where libc takes a thousand instructions.
 * Returns the length; -1 when there is anything else in it, or not enough room. */
static int format_plain(char *out, size_t room, const char *fmt, va_list *ap)
{
	char digits[24];
	size_t n = 0;

	while (*fmt) {
		const char *s = fmt;
		size_t len = 0;

		if (*fmt == '%') {
			fmt++;
			s = plain_argument(&fmt, ap, digits, &len);
			if (!s)
				return -1;
			fmt++;
		} else {
			while (*fmt && *fmt != '%')
				fmt++;
			len = (size_t)(fmt - s);
		}
		if (len >= room - n)
			return -1;
		memcpy(out + n, s, len);
		n += len;
	}
	out[n] = '\0';
	return (int)n;
}

/* noinline: as below. */
__attribute__((format(printf, 3, 0), noinline)) int text_vformat(char *out, size_t room, const char *fmt, va_list ap)
{
	va_list again;

	va_copy(again, ap);
	int len = room ? format_plain(out, room, fmt, &again) : -1;

	va_end(again);
	return len >= 0 ? len : vsnprintf(out, room, fmt, ap);
}

int text_format(char *out, size_t room, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int len = text_vformat(out, room, fmt, ap);

	va_end(ap);
	return len;
}

/* noinline: gcc 12 with sanitizers sees a null format where it inlines this. */
__attribute__((format(printf, 2, 0), noinline)) static void add_formatted(struct strbuf *b, const char *fmt, va_list ap)
{
	va_list again;

	reserve(b, 1);
	va_copy(again, ap);
	int len = text_vformat(b->text + b->len, b->room - b->len, fmt, again);

	va_end(again);
	if (len >= 0 && b->room - b->len <= (size_t)len) {
		reserve(b, (size_t)len);
		vsnprintf(b->text + b->len, (size_t)len + 1, fmt, ap);
	}
	b->len += len < 0 ? 0 : (size_t)len;
	b->text[b->len] = '\0';
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
	char text[256]; /* most fit, and take no more of the arena than they are long */
	struct strbuf b = STRBUF(a);
	va_list ap;

	va_start(ap, fmt);
	int len = format_plain(text, sizeof(text), fmt, &ap);

	va_end(ap);
	if (len >= 0)
		return arena_strndup(a, text, (size_t)len);
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

static bool same_letter(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* One mistake leaves, between what is the same at the beginning and at the end, a letter on either side, or two exchanged. */
bool str_resembles(const char *a, const char *b)
{
	size_t a_end = strlen(a), b_end = strlen(b), at = 0;
	bool enough = a_end >= 4 && b_end >= 4;

	while (at < a_end && at < b_end && same_letter(a[at], b[at]))
		at++;
	while (a_end > at && b_end > at && same_letter(a[a_end - 1], b[b_end - 1])) {
		a_end--;
		b_end--;
	}
	if (a_end == at && b_end == at)
		return true;
	if (a_end == at + 2 && b_end == at + 2)
		return enough && same_letter(a[at], b[at + 1]) && same_letter(a[at + 1], b[at]);
	return enough && a_end <= at + 1 && b_end <= at + 1;
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
	uint64_t n = 0;
	int r = parse_u64(s + negative, &n, e);

	if (r < 0)
		return r;
	if (n > (uint64_t)INT64_MAX + negative)
		return err_set(e, ERANGE, "%s is too large", s);
	*out = negative ? (int64_t)(0 - n) : (int64_t)n;
	return 0;
}
