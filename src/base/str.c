#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void grow(struct strbuf *b, size_t want)
{
	size_t room = b->room ? b->room * 2 : 128;

	while (room < want)
		room *= 2;
	char *text = arena_alloc(b->arena, room);

	if (b->len)
		memcpy(text, b->text, b->len);
	b->text = text;
	b->room = room;
}

static inline void reserve(struct strbuf *b, size_t more)
{
	size_t want = b->len + more + 1;

	if (want > b->room)
		grow(b, want);
}

char *strbuf_room(struct strbuf *b, size_t len)
{
	reserve(b, len);
	return b->text + b->len;
}

void strbuf_add(struct strbuf *b, const char *s, size_t len)
{
	reserve(b, len);
	if (len) /* no bytes may have no address */
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

void strbuf_number(struct strbuf *b, uint64_t n, bool negative)
{
	char digits[24], *end = digits + sizeof(digits), *s = put_digits(end, n, negative);

	strbuf_add(b, s, (size_t)(end - s));
}

/* The text for one conversion, whose letter is at *fmt, perhaps in digits[]; NULL for what format_plain() does not know. */
static const char *plain_argument(const char **fmt, va_list *ap, char digits[static 24], size_t *len)
{
	char *end = digits + 24, *s = end - 1;
	int width = **fmt == '0' && (*fmt)[1] >= '1' && (*fmt)[1] <= '9' ? (*fmt)[1] - '0' : 0;

	*fmt += width ? 2 : 0;
	bool wide = **fmt == 'l' || **fmt == 'z';
	int64_t n;

	*fmt += wide;
	if (**fmt == 'u') {
		s = put_digits(end, wide ? va_arg(*ap, unsigned long) : va_arg(*ap, unsigned), false);
	} else if (**fmt == 'd') {
		n = wide ? va_arg(*ap, long) : va_arg(*ap, int);
		s = put_digits(end, (uint64_t)n, n < 0);
		if (n < 0 && width)
			return NULL;
	} else if (**fmt == 's' && !wide && !width) {
		const char *text = va_arg(*ap, const char *);

		*len = text ? strlen(text) : 0;
		return text;
	} else if (**fmt == 'c' && !wide && !width) {
		*s = (char)va_arg(*ap, int);
	} else {
		return NULL;
	}
	while (end - s < width)
		*--s = '0';
	*len = (size_t)(end - s);
	return s;
}

/* What nearly all formats here consist of: text, %s, %c, %u, %d, their wide forms and those like %02d, where libc takes a thousand
 * instructions. Returns the length; -1 when there is anything else in it, or not enough room. */
static int format_plain(char *out, size_t room, const char *fmt, va_list *ap)
{
	char digits[24];
	size_t n = 0;

	for (; *fmt; fmt++) {
		size_t len = 1;

		if (*fmt != '%') {
			out[n] = *fmt;
		} else {
			fmt++;
			const char *s = plain_argument(&fmt, ap, digits, &len);

			if (!s || len >= room - n)
				return -1;
			memcpy(out + n, s, len);
		}
		n += len;
		if (n == room)
			return -1;
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

void text_time(char out[static TIME_TEXT_SIZE], const struct timespec *t)
{
	enum { YEAR = 365, FOUR_YEARS = 4 * YEAR + 1, CENTURY = 25 * FOUR_YEARS - 1, ERA = 4 * CENTURY + 1 };
	struct timespec now;

	if (!t) {
		clock_gettime(CLOCK_REALTIME, &now);
		t = &now;
	}
	const unsigned second = (unsigned)(t->tv_sec % 86400);
	/* Years that begin on the first of March have their leap day at the end; day 0 is in the year 0, a multiple of 400. */
	const uint64_t days = (uint64_t)t->tv_sec / 86400 + 719468;
	unsigned day = (unsigned)(days % ERA);
	unsigned year = (day - day / (FOUR_YEARS - 1) + day / CENTURY - day / (ERA - 1)) / YEAR;

	day -= YEAR * year + year / 4 - year / 100;
	/* Five months in a row have 153 days, from March as from August on. */
	unsigned month = (5 * day + 2) / 153;

	day -= (153 * month + 2) / 5;
	year += (unsigned)(days / ERA) * 400 + (month >= 10);
	month = month < 10 ? month + 3 : month - 9;
	(void)text_format(out, TIME_TEXT_SIZE, "%u-%02u-%02uT%02u:%02u:%02u.%09luZ", year, month, day + 1, second / 3600,
			  second / 60 % 60, second % 60, (unsigned long)t->tv_nsec);
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
	for (; *prefix; s++, prefix++) /* most differ at once */
		if (*s != *prefix)
			return false;
	return true;
}

bool str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && strcmp(s + n - m, suffix) == 0;
}

bool str_eq(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	return a[0] == b[0] && strcmp(a, b) == 0; /* most differ at once */
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

size_t scan_numbers(const char *s, const char *between, uint64_t *v, size_t n, const char **end)
{
	size_t found = 0;

	for (; found < n; found++) {
		const char *at = s;

		while (*at && (*at == ' ' || *at == '\t' || strchr(between, *at)))
			at++;
		if (*at < '0' || *at > '9')
			break;
		v[found] = strtoull(at, (char **)&s, 10);
	}
	if (end)
		*end = s;
	return found;
}
