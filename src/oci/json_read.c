/* Theory of operation: check_text() first settles what yajl is lax about (overlong UTF-8, lone surrogates), then yajl's event
 * parser runs over the whole text at once and its callbacks hang one node per value under the innermost open container. Nothing
 * recurses; open[] is the stack. Numbers arrive as digits, so 64-bit values stay exact. Repeated names are looked for when an
 * object closes, by sorting when it is large, so that a hostile object costs n log n. yajl_tree is never used (it leaks and loses
 * numbers).
 */
#include "oci/json.h"

#include "oci/utf8.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#define FEW_MEMBERS 16 /* up to here comparing each with each beats sorting */

struct builder {
	struct arena *arena;
	const char *text;
	yajl_handle yajl;
	struct err *e;
	const char *line_end; /* the newline that ends line, or the end of the text */
	const char *end;
	uint32_t line;
	uint32_t values;
	unsigned depth;
	bool failed;                       /* *e is set */
	bool has_nul;                      /* there is an escaped NUL somewhere (yajl refuses raw ones) */
	struct json *open[JSON_DEPTH_MAX]; /* containers being filled */
	struct json *last[JSON_DEPTH_MAX]; /* their latest child */
	const char *key;                   /* member name waiting for a value */
	struct json *root;
};

#define ONES UINT64_C(0x0101010101010101)
#define TOPS (ONES << 7)

/* Eight bytes at once, in whatever order the machine has them. */
static uint64_t load8(const void *s)
{
	uint64_t w;

	memcpy(&w, s, sizeof(w));
	return w;
}

/* Not 0 when one of the eight bytes is c; needs no order, and short runs are the rule here, where memchr() takes long to begin. */
static uint64_t has_byte(uint64_t w, unsigned char c)
{
	uint64_t x = w ^ ONES * c;

	return (x - ONES) & ~x & TOPS;
}

static const char *find_newline(const char *s, const char *end)
{
	while (end - s >= 8 && !has_byte(load8(s), '\n'))
		s += 8;
	while (s < end && *s != '\n')
		s++;
	return s;
}

static void count_lines_to(struct builder *b, const char *here)
{
	while (b->line_end < here) {
		b->line++;
		b->line_end = find_newline(b->line_end + 1, b->end);
	}
}

/* Up to the token being delivered. */
static void count_lines(struct builder *b)
{
	size_t here = yajl_get_bytes_consumed(b->yajl);

	if (here <= (size_t)(b->end - b->text))
		count_lines_to(b, b->text + here);
}

/* ---- faults found by callbacks ---- */

__attribute__((cold)) static void add_step(char *path, size_t size, const struct json *parent, const struct json *v)
{
	size_t n = strlen(path);

	if (v->key)
		snprintf(path + n, size - n, "%s%.100s", n ? "." : "", v->key);
	else
		snprintf(path + n, size - n, "[%u]", parent->len - 1);
}

/* Stops the parse. v is a child of the innermost open container; NULL: the fault is where the parser stands, in that container. */
__attribute__((cold)) static int fault(struct builder *b, const struct json *v, int code, const char *why)
{
	char path[256] = "";

	for (unsigned i = 1; i < b->depth; i++)
		add_step(path, sizeof(path), b->open[i - 1], b->open[i]);
	if (b->depth && v)
		add_step(path, sizeof(path), b->open[b->depth - 1], v);
	for (char *p = path; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	err_set(b->e, code, "line %u: %s%s%s", v ? v->line : b->line, path, path[0] || (v && b->depth) ? ": " : "", why);
	b->failed = true;
	return 0;
}

/* ---- building the tree ---- */

static struct json *add(struct builder *b, enum json_type type)
{
	count_lines(b);
	if (b->values++ == JSON_VALUES_MAX) {
		fault(b, NULL, E2BIG, "the document has too many values");
		return NULL;
	}
	struct json *v = arena_new(b->arena, struct json);

	v->type = (uint8_t)type;
	v->line = b->line;
	if (b->depth == 0) {
		b->root = v;
		return v;
	}
	struct json *parent = b->open[b->depth - 1];
	struct json *prev = b->last[b->depth - 1];

	v->key = b->key;
	b->key = NULL;
	if (prev)
		prev->next = v;
	else
		parent->child = v;
	b->last[b->depth - 1] = v;
	parent->len++;
	return v;
}

static int on_null(void *ctx)
{
	return add(ctx, JSON_NULL) != NULL;
}

static int on_bool(void *ctx, int truth)
{
	struct json *v = add(ctx, JSON_BOOL);

	if (v)
		v->truth = truth;
	return v != NULL;
}

static int on_number(void *ctx, const char *s, size_t len)
{
	struct builder *b = ctx;
	struct json *v = add(b, JSON_NUMBER);

	if (!v)
		return 0;
	v->text = arena_strndup(b->arena, s, len);
	v->len = (uint32_t)len;
	return 1;
}

static int on_string(void *ctx, const unsigned char *s, size_t len)
{
	struct builder *b = ctx;
	struct json *v = add(b, JSON_STRING);

	if (!v)
		return 0;
	if (b->has_nul && memchr(s, '\0', len))
		return fault(b, v, EINVAL, "string contains a NUL character");
	v->text = arena_strndup(b->arena, (const char *)s, len);
	v->len = (uint32_t)len;
	return 1;
}

static int on_key(void *ctx, const unsigned char *s, size_t len)
{
	struct builder *b = ctx;

	if (b->has_nul && memchr(s, '\0', len)) {
		count_lines(b);
		return fault(b, NULL, EINVAL, "member name contains a NUL character");
	}
	b->key = arena_strndup(b->arena, (const char *)s, len);
	return 1;
}

static int open_container(struct builder *b, enum json_type type)
{
	if (b->depth == JSON_DEPTH_MAX) {
		count_lines(b);
		return fault(b, NULL, EINVAL, "nested too deeply");
	}
	struct json *v = add(b, type);

	if (!v)
		return 0;
	b->open[b->depth] = v;
	b->last[b->depth] = NULL;
	b->depth++;
	return 1;
}

static int on_map(void *ctx)
{
	return open_container(ctx, JSON_OBJECT);
}

static int on_array(void *ctx)
{
	return open_container(ctx, JSON_ARRAY);
}

static int on_array_end(void *ctx)
{
	((struct builder *)ctx)->depth--;
	return 1;
}

/* ---- repeated names ---- */

static const struct json *repeated_of_few(const struct json *object)
{
	for (const struct json *m = object->child; m; m = m->next)
		for (const struct json *o = object->child; o != m; o = o->next)
			if (!strcmp(o->key, m->key))
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

static int on_map_end(void *ctx)
{
	struct builder *b = ctx;
	const struct json *object = b->open[b->depth - 1];
	const struct json *twice = object->len <= FEW_MEMBERS ? repeated_of_few(object) : repeated_of_many(b->arena, object);

	if (twice)
		return fault(b, twice, EINVAL, "member name is repeated");
	b->depth--;
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_bool,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_map,
	.yajl_map_key = on_key,
	.yajl_end_map = on_map_end,
	.yajl_start_array = on_array,
	.yajl_end_array = on_array_end,
};

/* ---- what yajl does not check ---- */

/* The code unit of the \uXXXX escape at s, -1 when there is none. */
static int escaped_unit(const unsigned char *s, size_t left)
{
	int unit = 0;

	if (left < 6 || s[0] != '\\' || s[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		if (!isxdigit(s[i]))
			return -1;
		unit = unit << 4 | (s[i] <= '9' ? s[i] - '0' : (s[i] | 32) - 'a' + 10);
	}
	return unit;
}

/* Bytes of the escape at s; 0 when it is half of a surrogate pair. Escapes that are no JSON are left to yajl. */
static size_t check_escape(struct builder *b, const unsigned char *s, size_t left)
{
	int unit = escaped_unit(s, left);

	b->has_nul |= unit == 0;
	if (unit < 0xD800 || unit > 0xDFFF)
		return left < 2 ? 1 : 2;
	int second = escaped_unit(s + 6, left - 6);

	return unit < 0xDC00 && second >= 0xDC00 && second <= 0xDFFF ? 12 : 0;
}

/* Whether the eight bytes are ASCII without a backslash. */
static bool plain8(uint64_t w)
{
	return !((w & TOPS) | has_byte(w, '\\'));
}

static int check_text(struct builder *b)
{
	const unsigned char *s = (const unsigned char *)b->text, *end = (const unsigned char *)b->end;

	while (s < end) {
		if (end - s >= 8 && plain8(load8(s))) {
			s += 8;
			continue;
		}
		size_t n = *s == '\\' ? check_escape(b, s, (size_t)(end - s)) : utf8_char(s, (size_t)(end - s));

		if (!n) {
			count_lines_to(b, (const char *)s);
			return err_set(b->e, EINVAL, "line %u: %s", b->line,
				       *s == '\\' ? "an escape is half of a surrogate pair" : "text is not UTF-8");
		}
		s += n;
	}
	return 0;
}

/* ---- */

/* yajl's own words, first line, without their class. */
static int malformed(struct builder *b)
{
	unsigned char *text = yajl_get_error(b->yajl, 0, NULL, 0);
	const char *why = text ? strstr((const char *)text, ": ") : NULL;
	int r = why ? err_set(b->e, EINVAL, "line %u: malformed JSON: %.*s", b->line, (int)strcspn(why + 2, "\n"), why + 2)
		    : err_set(b->e, EINVAL, "line %u: malformed JSON", b->line);

	if (text)
		yajl_free_error(b->yajl, text);
	return r;
}

static int run(struct builder *b, const char *text, size_t len)
{
	yajl_status st = yajl_parse(b->yajl, (const unsigned char *)text, len);

	if (st == yajl_status_ok) {
		/* all is consumed; from here on yajl counts from 0 again */
		count_lines_to(b, b->end);
		st = yajl_complete_parse(b->yajl);
	} else {
		count_lines(b);
	}
	if (st == yajl_status_ok)
		return 0;
	return b->failed ? -b->e->code : malformed(b);
}

int json_parse(struct arena *a, const char *text, size_t len, const struct json **out, struct err *e)
{
	struct builder b = { .arena = a, .text = text, .end = text + len, .e = e, .line = 1 };

	if (len > JSON_TEXT_MAX)
		return err_set(e, E2BIG, "JSON text is %zu bytes, the limit is %u", len, JSON_TEXT_MAX);
	b.line_end = find_newline(text, b.end);
	int r = check_text(&b);

	if (r < 0)
		return r;
	b.yajl = yajl_alloc(&callbacks, NULL, &b);
	if (!b.yajl)
		return err_set(e, ENOMEM, "out of memory");
	r = run(&b, text, len);
	yajl_free(b.yajl);
	if (r == 0)
		*out = b.root;
	return r;
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
