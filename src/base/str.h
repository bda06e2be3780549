/* str.h - growing text, and numbers from text */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

/* A text that grows in an arena. Always NUL-terminated once something was added; `text` may be taken as a string of that arena. */
struct strbuf {
	struct arena *arena;
	char *text; /* NULL while empty */
	size_t len, room;
};

#define STRBUF(a) ((struct strbuf){ .arena = (a) })

void strbuf_add(struct strbuf *b, const char *s, size_t len);
void strbuf_puts(struct strbuf *b, const char *s);
void strbuf_printf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void strbuf_number(struct strbuf *b, uint64_t n, bool negative); /* negative: n is that number in two's complement */

/* Where len bytes, and a NUL after them, may be written; whoever does adds what it wrote to b->len. */
char *strbuf_room(struct strbuf *b, size_t len);

/* The text so far, "" when empty; lives in the arena. */
const char *strbuf_str(const struct strbuf *b);

/* vsnprintf(), quicker with what formats mostly consist of. */
int text_vformat(char *out, size_t room, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));
int text_format(char *out, size_t room, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* A point in time (CLOCK_REALTIME, not before 1970; NULL: now) as of RFC 3339, in UTC, with nanoseconds. libc's functions bring time zones
 * along. */
#define TIME_TEXT_SIZE 40
struct timespec;
void text_time(char out[static TIME_TEXT_SIZE], const struct timespec *t);

/* printf() into the arena. */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_strdup(struct arena *a, const char *s);

bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
bool str_eq(const char *a, const char *b); /* NULL equals only NULL */

/* Whether one may be the other misspelt: but for case the same or, from four letters on, with one letter wrong, missing or too many, or
 * two exchanged. */
bool str_resembles(const char *a, const char *b);

/* The whole of s must be one decimal number (no sign for u32/u64, no space, no base prefix) in range.
 * EINVAL: not a number; ERANGE: too large. *e names the text, not its meaning: wrap with err_in(). */
must_check int parse_u32(const char *s, uint32_t *out, struct err *e);
must_check int parse_u64(const char *s, uint64_t *out, struct err *e);
must_check int parse_i64(const char *s, int64_t *out, struct err *e);

/* Reads up to n decimal numbers out of s, with blanks or bytes of `between` before each; numbers too large are the largest. Returns how
 * many there were; *end (may be NULL) is behind the last. */
size_t scan_numbers(const char *s, const char *between, uint64_t *v, size_t n, const char **end);
