/* Theory of operation: each value is preceded by what its place asks for (comma, line break, indentation, key), which lead()
 * decides from fresh[] alone; the depth is bounded because only our own code opens brackets, never input.
 */
#include "oci/json_write.h"

#include "oci/eight.h"
#include "oci/utf8.h"

#include <assert.h>
#include <string.h>

static void end_at(struct strbuf *out, char *end)
{
	*end = '\0';
	out->len = (size_t)(end - out->text);
}

/* Bytes of a line break with what indents the next line. */
static size_t line_break(const struct json_writer *w)
{
	return w->indent ? 1 + w->depth * w->indent : 0;
}

static char *put_line_break(char *to, size_t n)
{
	if (n)
		*to++ = '\n';
	for (; n > 1; n--)
		*to++ = ' ';
	return to;
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

static void put_mixed_string(struct strbuf *out, const char *text, size_t left)
{
	const unsigned char *s = (const unsigned char *)text;

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

/* Puts a string with its quotes at `to`, where there is room for it if it is plain and for `more` behind it. Returns where that is.
 */
static char *put_string(struct strbuf *out, char *to, const char *text, size_t len, size_t more)
{
	if (!copy_plain(to + 1, text, len)) {
		end_at(out, to);
		put_mixed_string(out, text, len);
		return strbuf_room(out, more);
	}
	to[0] = to[len + 1] = '"';
	return to + len + 2;
}

/* As strbuf_room(), and mostly there is room. */
static inline char *room(struct strbuf *out, size_t len)
{
	return out->len + len < out->room ? out->text + out->len : strbuf_room(out, len);
}

/* Puts everything that stands before a value. Returns where that is put, with room for `more` bytes. */
static char *lead(struct json_writer *w, const char *key, size_t more)
{
	size_t len = key ? strlen(key) : 0, break_len = w->depth ? line_break(w) : 0;
	char *to = room(w->out, break_len + len + 5 + more); /* comma, quotes, colon, space */

	if (w->depth) {
		if (!w->fresh[w->depth])
			*to++ = ',';
		w->fresh[w->depth] = false;
		to = put_line_break(to, break_len);
	}
	if (key) {
		to = put_string(w->out, to, key, len, 2 + more);
		*to++ = ':';
		if (w->indent)
			*to++ = ' ';
	}
	return to;
}

void json_begin(struct json_writer *w, struct strbuf *out, unsigned indent)
{
	*w = (struct json_writer){ .out = out, .indent = indent };
}

void json_open(struct json_writer *w, const char *key, char bracket)
{
	assert(w->depth < JSON_WRITE_DEPTH);
	char *to = lead(w, key, 1);

	*to++ = bracket;
	end_at(w->out, to);
	w->fresh[++w->depth] = true;
}

void json_close(struct json_writer *w, char bracket)
{
	bool empty = w->fresh[w->depth--];
	size_t break_len = empty ? 0 : line_break(w);
	char *to = put_line_break(strbuf_room(w->out, break_len + 1), break_len);

	*to++ = bracket;
	end_at(w->out, to);
}

void json_str(struct json_writer *w, const char *key, const char *value)
{
	if (!value) {
		json_raw(w, key, "null");
		return;
	}
	size_t len = strlen(value);
	char *to = lead(w, key, len + 2);

	end_at(w->out, put_string(w->out, to, value, len, 0));
}

void json_u64(struct json_writer *w, const char *key, uint64_t value)
{
	end_at(w->out, lead(w, key, 0));
	strbuf_number(w->out, value, false);
}

void json_i64(struct json_writer *w, const char *key, int64_t value)
{
	end_at(w->out, lead(w, key, 0));
	strbuf_number(w->out, (uint64_t)value, value < 0);
}

void json_bool(struct json_writer *w, const char *key, bool value)
{
	json_raw(w, key, value ? "true" : "false");
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
	end_at(w->out, lead(w, key, 0));
	strbuf_puts(w->out, json);
}
