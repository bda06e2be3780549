/* Both readings are written down in one simple notation, which is then compared: a letter for the type, with the length and bytes
 * of what has text. */
#include "json_oracle.h"

#include "base/str.h"
#include "oci/json.h"

#include <string.h>
#include <yajl/yajl_parse.h>

static int note(void *b, char type, const void *text, size_t len)
{
	strbuf_printf(b, "%c%zu:", type, len);
	strbuf_add(b, text, len);
	return 1;
}

static int on_null(void *b)
{
	return note(b, 'n', "", 0);
}

static int on_bool(void *b, int truth)
{
	return note(b, truth ? 't' : 'f', "", 0);
}

static int on_number(void *b, const char *s, size_t len)
{
	return note(b, '#', s, len);
}

static int on_string(void *b, const unsigned char *s, size_t len)
{
	return note(b, '"', s, len);
}

static int on_key(void *b, const unsigned char *s, size_t len)
{
	return note(b, 'k', s, len);
}

static int on_map(void *b)
{
	return note(b, '{', "", 0);
}

static int on_array(void *b)
{
	return note(b, '[', "", 0);
}

static int on_end(void *b)
{
	return note(b, ']', "", 0);
}

/* Whether yajl takes the text for JSON; if so, what it read. */
static bool by_yajl(const char *text, size_t len, struct strbuf *out)
{
	static const yajl_callbacks callbacks = {
		.yajl_null = on_null,
		.yajl_boolean = on_bool,
		.yajl_number = on_number,
		.yajl_string = on_string,
		.yajl_start_map = on_map,
		.yajl_map_key = on_key,
		.yajl_end_map = on_end,
		.yajl_start_array = on_array,
		.yajl_end_array = on_end,
	};
	yajl_handle h = yajl_alloc(&callbacks, NULL, out);
	bool ok = yajl_parse(h, (const unsigned char *)text, len) == yajl_status_ok && yajl_complete_parse(h) == yajl_status_ok;

	yajl_free(h);
	return ok;
}

/* Recursion is bounded by JSON_DEPTH_MAX. */
static void write_tree(const struct json *v, struct strbuf *out)
{
	static const char letters[] = { [JSON_NULL] = 'n',   [JSON_BOOL] = 'f',  [JSON_NUMBER] = '#',
					[JSON_STRING] = '"', [JSON_ARRAY] = '[', [JSON_OBJECT] = '{' };
	uint32_t children = 0;

	if (v->key)
		note(out, 'k', v->key, strlen(v->key));
	char letter = letters[v->type];

	if (v->truth)
		letter = 't';
	note(out, letter, v->text ? v->text : "", v->text ? v->len : 0);
	for (const struct json *c = v->child; c; c = c->next, children++)
		write_tree(c, out);
	if (v->type < JSON_ARRAY)
		return;
	if (v->len != children)
		strbuf_puts(out, "(wrong number of children)");
	on_end(out);
}

/* yajl takes vertical tab and form feed for spaces, and passes over a token that is cut off after the value. */
static bool yajl_is_lax(const char *text, size_t len, const char *why)
{
	return memchr(text, '\v', len) || memchr(text, '\f', len) || strstr(why, "something follows the value");
}

const char *json_oracle_objects(const char *text, size_t len)
{
	auto_arena struct arena a = { 0 };
	struct strbuf theirs = STRBUF(&a), ours = STRBUF(&a);
	const struct json *tree = NULL;
	struct err e;
	bool accepted = json_parse(&a, text, len, &tree, &e) == 0, by_oracle = by_yajl(text, len, &theirs);

	if (!accepted && by_oracle && strstr(e.text, "malformed JSON") && !yajl_is_lax(text, len, e.text))
		return "json_parse() refuses as malformed what yajl accepts";
	if (!accepted)
		return NULL;
	if (!by_oracle)
		return "json_parse() accepts what yajl refuses";
	write_tree(tree, &ours);
	return strcmp(strbuf_str(&ours), strbuf_str(&theirs)) ? "json_parse() reads something else than yajl" : NULL;
}
