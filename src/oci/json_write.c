/* Theory of operation: each value is preceded by what its place asks for (comma, line break, indentation, key), which lead()
 * decides from fresh[] alone; the depth is bounded because only our own code opens brackets, never input.
 */
#include "oci/json_write.h"

#include "oci/eight.h"
#include "oci/utf8.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

static void new_line(struct json_writer *w)
{
	if (!w->indent)
		return;
	strbuf_puts(w->out, "\n");
	for (unsigned i = 0; i < w->depth * w->indent; i++)
		strbuf_puts(w->out, " ");
}

/* Writes the character at s, which is not plain; returns its bytes. */
static size_t put_special(struct strbuf *out, const unsigned char *s, size_t left)
{
	static const char letters[] = {
		['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't', ['"'] = '"', ['\\'] = '\\'
	};
	size_t n = utf8_char(s, left);

	if (n == 0) {
		strbuf_puts(out, "\xEF\xBF\xBD");
		return 1;
	}
	if (*s < sizeof(letters) && letters[*s])
		strbuf_add(out, (const char[]){ '\\', letters[*s] }, 2);
	else if (*s < 0x20)
		strbuf_printf(out, "\\u%04x", *s);
	else
		strbuf_add(out, (const char *)s, n);
	return n;
}

static void put_string(struct strbuf *out, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t left = strlen(text);

	strbuf_add(out, "\"", 1);
	while (left) {
		size_t n = (size_t)(skip_plain((const char *)s, (const char *)s + left) - (const char *)s);

		if (n)
			strbuf_add(out, (const char *)s, n);
		else
			n = put_special(out, s, left);
		s += n;
		left -= n;
	}
	strbuf_add(out, "\"", 1);
}

/* Everything that stands before a value. */
static void lead(struct json_writer *w, const char *key)
{
	if (w->depth) {
		if (!w->fresh[w->depth])
			strbuf_add(w->out, ",", 1);
		w->fresh[w->depth] = false;
		new_line(w);
	}
	if (key) {
		put_string(w->out, key);
		strbuf_puts(w->out, w->indent ? ": " : ":");
	}
}

void json_begin(struct json_writer *w, struct strbuf *out, unsigned indent)
{
	*w = (struct json_writer){ .out = out, .indent = indent };
}

void json_open(struct json_writer *w, const char *key, char bracket)
{
	assert(w->depth < JSON_WRITE_DEPTH);
	lead(w, key);
	strbuf_add(w->out, &bracket, 1);
	w->fresh[++w->depth] = true;
}

void json_close(struct json_writer *w, char bracket)
{
	bool empty = w->fresh[w->depth--];

	if (!empty)
		new_line(w);
	strbuf_add(w->out, &bracket, 1);
}

void json_str(struct json_writer *w, const char *key, const char *value)
{
	lead(w, key);
	if (value)
		put_string(w->out, value);
	else
		strbuf_puts(w->out, "null");
}

void json_u64(struct json_writer *w, const char *key, uint64_t value)
{
	lead(w, key);
	strbuf_printf(w->out, "%" PRIu64, value);
}

void json_i64(struct json_writer *w, const char *key, int64_t value)
{
	lead(w, key);
	strbuf_printf(w->out, "%" PRId64, value);
}

void json_bool(struct json_writer *w, const char *key, bool value)
{
	lead(w, key);
	strbuf_puts(w->out, value ? "true" : "false");
}

void json_null(struct json_writer *w, const char *key)
{
	json_str(w, key, NULL);
}

void json_strs(struct json_writer *w, const char *key, const char *const *values)
{
	json_open(w, key, '[');
	for (; *values; values++)
		json_str(w, NULL, *values);
	json_close(w, ']');
}

void json_raw(struct json_writer *w, const char *key, const char *json)
{
	lead(w, key);
	strbuf_puts(w->out, json);
}
