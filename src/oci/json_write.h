/* json_write.h - JSON text, member by member
 *
 * A writer keeps track of nesting and commas. indent 0 writes one line; otherwise that many spaces a level. Slashes are not escaped;
 * control characters, quotes and backslashes are; bytes that are not UTF-8 are written as U+FFFD so that the result always parses.
 */
#pragma once
#include "base/str.h"

#define JSON_WRITE_DEPTH 32 /* levels of nesting; exceeding it is a programming error */

struct json_writer {
	struct strbuf *out;
	unsigned indent, depth;
	bool fresh[JSON_WRITE_DEPTH + 1]; /* nothing was written at this level yet */
};

void json_begin(struct json_writer *w, struct strbuf *out, unsigned indent);
void json_open(struct json_writer *w, const char *key, char bracket);  /* '{' or '['; key NULL inside arrays and at the top */
void json_close(struct json_writer *w, char bracket);                  /* '}' or ']' */
void json_str(struct json_writer *w, const char *key, const char *value); /* value NULL: writes null */
void json_u64(struct json_writer *w, const char *key, uint64_t value);
void json_i64(struct json_writer *w, const char *key, int64_t value);
void json_bool(struct json_writer *w, const char *key, bool value);
void json_null(struct json_writer *w, const char *key);
void json_strs(struct json_writer *w, const char *key, const char *const *values); /* NULL-terminated */

/* A value that is JSON text already. */
void json_raw(struct json_writer *w, const char *key, const char *json);
