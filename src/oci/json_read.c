/* Theory of operation: one pass over the text. value() reads a scalar or opens a container, next() goes on to where the following
 * value begins and closes what ends in between; document() alternates the two. Nothing recurses: open[] is the stack, and one node
 * per value hangs under the innermost open container. Numbers stay digits, so 64-bit values are exact. Raw newlines can stand
 * between tokens only, so they are counted there. Repeated names are looked for when an object closes, by sorting when it is large,
 * so that a hostile object costs n log n. What is not RFC 8259 is refused where it stands; a string is checked while its end is
 * looked for.
 */
#include "oci/json.h"

#include "oci/eight.h"
#include "oci/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FEW_MEMBERS 32   /* up to here comparing each with each beats sorting */
#define SPARE       16   /* nodes that are allocated together */
#define ROOM        1024 /* bytes for strings that are allocated together; */
#define ROOM_MIN    32   /* what is left of it when the next are */

struct reader {
	struct arena *nodes, *texts;
	struct err *e;
	const char *s, *end; /* what is left to read */
	uint32_t line;       /* of s */
	uint32_t values;
	unsigned depth;
	bool has_nul;                      /* the latest string has an escaped NUL (a raw one is refused) */
	struct json *open[JSON_DEPTH_MAX]; /* containers being filled */
	struct json *last[JSON_DEPTH_MAX]; /* their latest child */
	const char *key;                   /* member name waiting for a value */
	struct json *root;
	struct json *spare; /* nodes not used yet */
	unsigned spare_n;
	char *room, *room_end; /* where short strings are copied to */
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

static const char *skip_blanks(const char *s, const char *end)
{
	for (; end - s >= 8; s += 8) {
		uint64_t other = load8(s) ^ ONES * ' ';

		if (other)
			return s + __builtin_ctzll(other) / 8;
	}
	while (s < end && *s == ' ')
		s++;
	return s;
}

/* The next character that is no space; 0 at the end of the text, and for a NUL, which nobody expects either. */
static char peek(struct reader *r)
{
	while (r->s < r->end) {
		char c = *r->s;

		if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
			return c;
		r->line += c == '\n';
		r->s = skip_blanks(r->s + 1, r->end);
	}
	return '\0';
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

/* Where the string at s ends: at its quote or, when that is missing, with the text. */
static const char *string_end(const char *s, const char *end)
{
	for (s = skip_plain(s, end); s < end && *s != '"'; s = skip_plain(s, end))
		s += *s == '\\' && end - s > 1 ? 2 : 1;
	return s;
}

/* Reads what is not plain in a string, up to its closing quote; out has room for as many bytes as are read, decoded they are fewer.
 * Returns where the string ends. */
static char *mixed_string(struct reader *r, char *out)
{
	for (;;) {
		const char *from = r->s;
		size_t n;

		r->s = skip_plain(from, r->end);
		memcpy(out, from, (size_t)(r->s - from));
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
		memcpy(out, r->s, n);
		out += n;
		r->s += n;
	}
}

/* Reads a string that is not plain, or does not fit into the room: a place of its own in the arena. */
static int long_string(struct reader *r, const char **text, uint32_t *len)
{
	char *copy = arena_alloc(r->texts, (size_t)(string_end(r->s, r->end) - r->s) + 1), *last = mixed_string(r, copy);

	if (!last)
		return -EINVAL;
	*text = copy;
	*len = (uint32_t)(last - copy);
	r->s++;
	return 0;
}

static void more_room(struct reader *r)
{
	size_t left = (size_t)(r->end - r->s) + ROOM_MIN, size = left < ROOM ? left : ROOM;

	r->room = arena_alloc(r->texts, size);
	r->room_end = r->room + size;
}

/* Reads the string whose opening quote is next: copied and looked through at the same time, eight bytes each. */
static int string(struct reader *r, const char **text, uint32_t *len)
{
	const char *s = ++r->s;

	if (r->room_end - r->room < ROOM_MIN)
		more_room(r);
	for (char *out = r->room; r->end - s >= 8 && r->room_end - out > 8; s += 8, out += 8) {
		uint64_t special = find_special(load8(s));

		memcpy(out, s, 8);
		if (!special)
			continue;
		unsigned n = (unsigned)__builtin_ctzll(special) / 8;

		if (s[n] != '"')
			break;
		out[n] = '\0';
		*text = r->room;
		*len = (uint32_t)(s + n - r->s);
		r->room = out + n + 1;
		r->s = s + n + 1;
		return 0;
	}
	return long_string(r, text, len);
}

static const char *skip_digits(const char *s, const char *end)
{
	while (s < end && *s >= '0' && *s <= '9')
		s++;
	return s;
}

/* The end of the number at s; NULL when it is none. */
static const char *number_end(const char *s, const char *end)
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

static struct json *add(struct reader *r, enum json_type type)
{
	if (r->values++ == JSON_VALUES_MAX) {
		fault(r, NULL, E2BIG, "the document has too many values");
		return NULL;
	}
	if (!r->spare_n) {
		r->spare = arena_alloc(r->nodes, SPARE * sizeof(*r->spare));
		r->spare_n = SPARE;
	}
	struct json *v = r->spare++;

	r->spare_n--;
	v->type = (uint8_t)type;
	v->line = r->line;
	if (r->depth == 0) {
		r->root = v;
		return v;
	}
	struct json *parent = r->open[r->depth - 1];
	struct json *prev = r->last[r->depth - 1];

	v->key = r->key;
	r->key = NULL;
	if (prev)
		prev->next = v;
	else
		parent->child = v;
	r->last[r->depth - 1] = v;
	parent->len++;
	return v;
}

static int open_container(struct reader *r, enum json_type type)
{
	if (r->depth == JSON_DEPTH_MAX)
		return fault(r, NULL, EINVAL, "nested too deeply");
	struct json *v = add(r, type);

	if (!v)
		return -E2BIG;
	r->open[r->depth] = v;
	r->last[r->depth] = NULL;
	r->depth++;
	r->s++;
	return 0;
}

static int add_string(struct reader *r)
{
	struct json *v = add(r, JSON_STRING);

	if (!v)
		return -E2BIG;
	if (string(r, &v->text, &v->len) < 0)
		return -EINVAL;
	return r->has_nul ? fault(r, v, EINVAL, "string contains a NUL character") : 0;
}

static int add_number(struct reader *r)
{
	const char *end = number_end(r->s, r->end);

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
		return add_string(r);
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
	uint32_t len;

	if (peek(r) != '"')
		return malformed(r, "expected a member name");
	if (string(r, &r->key, &len) < 0)
		return -EINVAL;
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
	const struct json *v = r->open[r->depth - 1], *twice = NULL;

	if (v->type == JSON_OBJECT)
		twice = v->len <= FEW_MEMBERS ? repeated_of_few(v) : repeated_of_many(r->nodes, v);
	if (twice)
		return fault(r, twice, EINVAL, "member name is repeated");
	r->depth--;
	r->s++;
	return 0;
}

/* ---- */

/* Goes on to where the next value begins, closing containers that end: 1; 0 when there is none. */
static int next(struct reader *r)
{
	while (r->depth) {
		const struct json *in = r->open[r->depth - 1];
		bool object = in->type == JSON_OBJECT;
		char c = peek(r);

		if (c == (object ? '}' : ']')) {
			int closed = close_container(r);

			if (closed < 0)
				return closed;
			continue;
		}
		if (in->len && c != ',')
			return malformed(r, object ? "expected a comma or }" : "expected a comma or ]");
		r->s += in->len != 0;
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
	struct reader reader = { .nodes = nodes, .texts = texts, .s = text, .end = text + len, .e = e, .line = 1 };

	if (len > JSON_TEXT_MAX)
		return err_set(e, E2BIG, "JSON text is %zu bytes, the limit is %u", len, JSON_TEXT_MAX);
	int r = document(&reader);

	if (r == 0)
		*out = reader.root;
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
