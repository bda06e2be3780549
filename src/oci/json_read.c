/* Theory of operation: one pass over the text. value() reads a scalar or opens a container, next() goes on to where the following
 * value begins and closes what ends in between; document() alternates the two. Nothing recurses: open[] is the stack, and one node
 * per value hangs under the innermost open container. Numbers stay digits, so 64-bit values are exact. Raw newlines can stand
 * between tokens only, so they are counted there. Repeated names are looked for when an object closes, by sorting when it is large,
 * so that a hostile object costs n log n. What is not RFC 8259 is refused where it stands; a string is checked while its end is
 * looked for. What is read is a copy that is ours: strings stay where they are in it, decoded in place and ended by a NUL. Zeros
 * follow the copy, so that sixteen bytes can be loaded anywhere, and its end is found as what nobody expects there.
 */
#include "oci/json.h"

#include "oci/sixteen.h"
#include "oci/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FEW_MEMBERS 32 /* up to here comparing each with each beats sorting */
#define SPARE       16 /* nodes that are allocated together */
#define ZEROS       16 /* bytes after the copy of the text */

_Static_assert(JSON_VALUES_MAX % SPARE == 0, "more_nodes() looks at the limit");

struct reader {
	struct arena *nodes, *texts;
	struct err *e;
	char *s, *end;   /* what is left to read */
	uint32_t line;   /* of s */
	uint32_t values; /* that there are nodes for */
	unsigned depth;
	bool has_nul;                      /* the latest string has an escaped NUL (a raw one is refused) */
	struct json *in;                   /* the innermost container, or outside */
	struct json **tail;                /* where its next child is linked */
	struct json outside;               /* has the document as its only child */
	struct json *open[JSON_DEPTH_MAX]; /* containers being filled */
	const char *key;                   /* member name waiting for a value */
	struct json *spare, *spare_end;    /* nodes not used yet */
};

/* ---- faults ---- */

__attribute__((cold)) static void add_step(char *path, size_t size, const struct json *parent, const struct json *v)
{
	size_t n = strlen(path);

	if (v->key)
		snprintf(path + n, size - n, "%s%.100s", n ? "." : "", v->key);
	else
		snprintf(path + n, size - n, "[%u]", parent->len - 1);
}

/* v is a child of the innermost open container; NULL: the fault is where the reader stands, in that container. */
__attribute__((cold)) static int fault(struct reader *r, const struct json *v, int code, const char *why)
{
	char path[256] = "";

	for (unsigned i = 1; i < r->depth; i++)
		add_step(path, sizeof(path), r->open[i - 1], r->open[i]);
	if (r->depth && v)
		add_step(path, sizeof(path), r->open[r->depth - 1], v);
	for (char *p = path; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return err_set(r->e, code, "line %u: %s%s%s", v ? v->line : r->line, path, path[0] || (v && r->depth) ? ": " : "", why);
}

__attribute__((cold)) static int malformed(struct reader *r, const char *why)
{
	return err_set(r->e, EINVAL, "line %u: malformed JSON: %s", r->line, r->s < r->end ? why : "the text ends too early");
}

/* ---- tokens ---- */

/* Blanks end at the zeros at the latest. Mostly they are a newline and what indents the next line. */
static char peek_beyond_blanks(struct reader *r)
{
	char *s = r->s, c;

	while ((c = *s) == '\n' || c == ' ' || c == '\t' || c == '\r') {
		sixteen_t v = sixteen_at(++s);

		r->line += c == '\n';
		s += __builtin_ctz(~sixteen_either(v, ' ', '\t'));
	}
	r->s = s;
	return c;
}

/* The next character that is no space; 0 at the end of the text, and for a NUL, which nobody expects either. */
static inline char peek(struct reader *r)
{
	char c = *r->s;

	if ((unsigned char)c > ' ')
		return c;
	if (c == ' ' && (unsigned char)r->s[1] > ' ') /* behind a colon */
		return *++r->s;
	return peek_beyond_blanks(r);
}

/* The code unit of the \uXXXX escape at s, -1 when there is none. */
static int escaped_unit(const char *s, const char *end)
{
	int unit = 0;

	if (end - s < 6 || s[0] != '\\' || s[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		int c = s[i] | 32;

		if (!(s[i] >= '0' && s[i] <= '9') && !(c >= 'a' && c <= 'f'))
			return -1;
		unit = unit << 4 | (s[i] <= '9' ? s[i] - '0' : c - 'a' + 10);
	}
	return unit;
}

static char *put_utf8(char *out, unsigned c)
{
	if (c < 0x80) {
		*out++ = (char)c;
		return out;
	}
	if (c < 0x800) {
		*out++ = (char)(0xC0 | c >> 6);
	} else if (c < 0x10000) {
		*out++ = (char)(0xE0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3F));
	} else {
		*out++ = (char)(0xF0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3F));
		*out++ = (char)(0x80 | (c >> 6 & 0x3F));
	}
	*out++ = (char)(0x80 | (c & 0x3F));
	return out;
}

/* Decodes the \u escape, or the pair of them, at the reader's place to *out. */
static int unicode_escape(struct reader *r, char **out)
{
	int unit = escaped_unit(r->s, r->end), second;

	if (unit < 0)
		return malformed(r, "\\u without four hexadecimal digits");
	r->s += 6;
	r->has_nul |= unit == 0;
	if (unit < 0xD800 || unit > 0xDFFF) {
		*out = put_utf8(*out, (unsigned)unit);
		return 0;
	}
	second = escaped_unit(r->s, r->end);
	if (unit >= 0xDC00 || second < 0xDC00 || second > 0xDFFF)
		return err_set(r->e, EINVAL, "line %u: an escape is half of a surrogate pair", r->line);
	r->s += 6;
	*out = put_utf8(*out, 0x10000 + ((unsigned)(unit - 0xD800) << 10 | (unsigned)(second - 0xDC00)));
	return 0;
}

static int escape(struct reader *r, char **out)
{
	static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	const char *letter = r->end - r->s >= 2 && r->s[1] ? strchr(letters, r->s[1]) : NULL;

	if (!letter)
		return unicode_escape(r, out);
	*(*out)++ = meant[letter - letters];
	r->s += 2;
	return 0;
}

/* Reads what is not plain in a string, up to its closing quote, and moves it to out, where it began: decoded it is not longer.
 * Returns where it ends there. */
static char *mixed_string(struct reader *r, char *out)
{
	for (;;) {
		char *from = r->s;
		size_t n;

		r->s += skip_plain(from, r->end) - from;
		memmove(out, from, (size_t)(r->s - from));
		out += r->s - from;
		if (r->s < r->end && *r->s == '"')
			return out;
		if (r->s == r->end || (unsigned char)*r->s < 0x20) {
			malformed(r, "control character in a string");
			return NULL;
		}
		if (*r->s == '\\') {
			if (escape(r, &out) < 0)
				return NULL;
			continue;
		}
		n = utf8_char((const unsigned char *)r->s, (size_t)(r->end - r->s));
		if (!n) {
			err_set(r->e, EINVAL, "line %u: text is not UTF-8", r->line);
			return NULL;
		}
		memmove(out, r->s, n);
		out += n;
		r->s += n;
	}
}

/* Reads the string whose opening quote is next, and ends it by a NUL. Returns where it ends, NULL when it is none. A quote is
 * followed by what ends the loop: the zeros at the latest. */
static inline char *string(struct reader *r)
{
	char *start = ++r->s, *end = start;
	unsigned special;

	while (!(special = sixteen_special(sixteen_at(end))))
		end += 16;
	end += __builtin_ctz(special);
	if (*end == '"')
		r->s = end;
	else
		end = mixed_string(r, start);
	if (!end)
		return NULL;
	*end = '\0';
	r->s++;
	return end;
}

static char *skip_digits(char *s, const char *end)
{
	while (s < end && *s >= '0' && *s <= '9')
		s++;
	return s;
}

/* The end of the number at s; NULL when it is none. */
static char *number_end(char *s, const char *end)
{
	const char *from = s += s < end && *s == '-';

	s = s < end && *s == '0' ? s + 1 : skip_digits(s, end);
	if (s == from)
		return NULL;
	if (s < end && *s == '.') {
		from = ++s;
		s = skip_digits(s, end);
		if (s == from)
			return NULL;
	}
	if (s == end || (*s | 32) != 'e')
		return s;
	s++;
	from = s += s < end && (*s == '+' || *s == '-');
	s = skip_digits(s, end);
	return s == from ? NULL : s;
}

/* ---- building the tree ---- */

/* Nodes for the next values, when those before are used up. */
static int more_nodes(struct reader *r)
{
	if (r->values == JSON_VALUES_MAX)
		return fault(r, NULL, E2BIG, "the document has too many values");
	r->values += SPARE;
	r->spare = arena_alloc(r->nodes, SPARE * sizeof(*r->spare));
	r->spare_end = r->spare + SPARE;
	return 0;
}

static inline struct json *add(struct reader *r, enum json_type type)
{
	if (r->spare == r->spare_end && more_nodes(r) < 0)
		return NULL;
	struct json *v = r->spare++;

	v->type = (uint8_t)type;
	v->line = r->line;
	v->key = r->key;
	r->key = NULL;
	r->in->len++;
	*r->tail = v;
	r->tail = &v->next;
	return v;
}

static int open_container(struct reader *r, enum json_type type)
{
	if (r->depth == JSON_DEPTH_MAX)
		return fault(r, NULL, EINVAL, "nested too deeply");
	struct json *v = add(r, type);

	if (!v)
		return -E2BIG;
	r->open[r->depth++] = v;
	r->in = v;
	r->tail = &v->child;
	r->s++;
	return 0;
}

static int add_string(struct reader *r)
{
	struct json *v = add(r, JSON_STRING);

	if (!v)
		return -E2BIG;
	v->text = r->s + 1;
	char *end = string(r);

	if (!end)
		return -EINVAL;
	v->len = (uint32_t)(end - v->text);
	return r->has_nul ? fault(r, v, EINVAL, "string contains a NUL character") : 0;
}

/* Whether a comma and a string follow, as lists are written; then the reader goes on to the string. Other blanks are for next(). */
static inline bool next_is_string(struct reader *r)
{
	char *s = r->s;
	uint32_t lines = 0;

	if (*s != ',')
		return false;
	if (*++s == '\n') {
		lines = 1;
		s += 1 + __builtin_ctz(~sixteen_either(sixteen_at(s + 1), ' ', '\t'));
	}
	if (*s != '"')
		return false;
	r->line += lines;
	r->s = s;
	return true;
}

/* A string, and in an array those that follow it. */
static int add_strings(struct reader *r)
{
	int got;

	do
		got = add_string(r);
	while (got == 0 && r->in->type == JSON_ARRAY && next_is_string(r));
	return got;
}

static int add_number(struct reader *r)
{
	char *end = number_end(r->s, r->end);

	if (!end)
		return malformed(r, "not a number");
	struct json *v = add(r, JSON_NUMBER);

	if (!v)
		return -E2BIG;
	v->len = (uint32_t)(end - r->s);
	v->text = arena_strndup(r->texts, r->s, v->len);
	r->s = end;
	return 0;
}

static int add_word(struct reader *r, const char *word, enum json_type type)
{
	size_t len = strlen(word);

	if ((size_t)(r->end - r->s) < len || memcmp(r->s, word, len) != 0)
		return malformed(r, "expected a value");
	struct json *v = add(r, type);

	if (!v)
		return -E2BIG;
	v->truth = word[0] == 't';
	r->s += len;
	return 0;
}

/* Reads a scalar, or the beginning of a container. */
static int value(struct reader *r)
{
	char c = peek(r);

	switch (c) {
	case '"':
		return add_strings(r);
	case '{':
		return open_container(r, JSON_OBJECT);
	case '[':
		return open_container(r, JSON_ARRAY);
	case 't':
		return add_word(r, "true", JSON_BOOL);
	case 'f':
		return add_word(r, "false", JSON_BOOL);
	case 'n':
		return add_word(r, "null", JSON_NULL);
	default:
		return c == '-' || (c >= '0' && c <= '9') ? add_number(r) : malformed(r, "expected a value");
	}
}

/* Reads a member's name and its colon. */
static int name(struct reader *r)
{
	if (peek(r) != '"')
		return malformed(r, "expected a member name");
	const char *key = r->s + 1;

	if (!string(r))
		return -EINVAL;
	r->key = key;
	if (r->has_nul)
		return fault(r, NULL, EINVAL, "member name contains a NUL character");
	if (peek(r) != ':')
		return malformed(r, "expected a colon");
	r->s++;
	return 0;
}

/* ---- repeated names ---- */

static const struct json *repeated_of_few(const struct json *object)
{
	for (const struct json *m = object->child; m; m = m->next)
		for (const struct json *o = object->child; o != m; o = o->next)
			if (o->key[0] == m->key[0] && !strcmp(o->key, m->key))
				return m;
	return NULL;
}

static int by_key(const void *x, const void *y)
{
	return strcmp((*(const struct json *const *)x)->key, (*(const struct json *const *)y)->key);
}

static const struct json *repeated_of_many(struct arena *a, const struct json *object)
{
	const struct json **sorted = arena_alloc(a, object->len * sizeof(*sorted));
	size_t n = 0;

	for (const struct json *m = object->child; m; m = m->next)
		sorted[n++] = m;
	qsort(sorted, n, sizeof(*sorted), by_key);
	for (size_t i = 1; i < n; i++)
		if (!by_key(&sorted[i - 1], &sorted[i]))
			return sorted[i]->line > sorted[i - 1]->line ? sorted[i] : sorted[i - 1];
	return NULL;
}

static int close_container(struct reader *r)
{
	struct json *v = r->in;
	const struct json *twice = NULL;

	if (v->type == JSON_OBJECT)
		twice = v->len <= FEW_MEMBERS ? repeated_of_few(v) : repeated_of_many(r->nodes, v);
	if (twice)
		return fault(r, twice, EINVAL, "member name is repeated");
	r->depth--;
	r->in = r->depth ? r->open[r->depth - 1] : &r->outside;
	r->tail = &v->next;
	r->s++;
	return 0;
}

/* ---- */

/* Goes on to where the next value begins, closing containers that end: 1; 0 when there is none. */
static int next(struct reader *r)
{
	while (r->depth) {
		bool object = r->in->type == JSON_OBJECT;
		char c = peek(r);

		if (c == (object ? '}' : ']')) {
			int closed = close_container(r);

			if (closed < 0)
				return closed;
			continue;
		}
		if (r->in->len && c != ',')
			return malformed(r, object ? "expected a comma or }" : "expected a comma or ]");
		r->s += r->in->len != 0;
		return object && name(r) < 0 ? -EINVAL : 1;
	}
	return 0;
}

static int document(struct reader *r)
{
	int more;

	do {
		int got = value(r);

		if (got < 0)
			return got;
		more = next(r);
	} while (more > 0);
	if (more < 0)
		return more;
	peek(r);
	return r->s < r->end ? malformed(r, "something follows the value") : 0;
}

int json_parse_apart(struct arena *nodes, struct arena *texts, const char *text, size_t len, const struct json **out, struct err *e)
{
	struct reader reader = { .nodes = nodes, .texts = texts, .e = e, .line = 1 };

	if (len > JSON_TEXT_MAX)
		return err_set(e, E2BIG, "JSON text is %zu bytes, the limit is %u", len, JSON_TEXT_MAX);
	reader.in = &reader.outside;
	reader.tail = &reader.outside.child;
	reader.s = arena_alloc(texts, len + ZEROS);
	reader.end = reader.s + len;
	memcpy(reader.s, text, len);
	int r = document(&reader);

	if (r == 0)
		*out = reader.outside.child;
	return r;
}

int json_parse(struct arena *a, const char *text, size_t len, const struct json **out, struct err *e)
{
	return json_parse_apart(a, a, text, len, out, e);
}

const struct json *json_member(const struct json *object, const char *name)
{
	for (const struct json *m = object->child; m; m = m->next)
		if (m->key && !strcmp(m->key, name))
			return m;
	return NULL;
}

const char *json_type_name(enum json_type t)
{
	static const char *const names[] = {
		[JSON_NULL] = "null",     [JSON_BOOL] = "boolean", [JSON_NUMBER] = "number",
		[JSON_STRING] = "string", [JSON_ARRAY] = "array",  [JSON_OBJECT] = "object",
	};
	return names[t];
}
