#include "oci/json.h"
#include "oci/json_write.h"
#include "tap.h"

#include <errno.h>

/* ["..."] with s as the writer puts it, without the brackets. */
static const char *written(struct arena *a, const char *s)
{
	struct strbuf b = STRBUF(a);
	struct json_writer w;

	json_begin(&w, &b, 0);
	json_str(&w, NULL, s);
	return strbuf_str(&b);
}

static void strings_are_escaped_but_slashes_are_not(void)
{
	auto_arena struct arena a = { 0 };

	expect_str(written(&a, ""), "\"\"");
	expect_str(written(&a, "/a/b"), "\"/a/b\"");
	expect_str(written(&a, "say \"hi\" \\ \b\f\n\r\t\x01\x1f\x7f"),
		   "\"say \\\"hi\\\" \\\\ \\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"");
	expect_str(written(&a, "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"), "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"");
	expect_str(written(&a, NULL), "null");
}

static void bytes_that_are_not_utf8_become_the_replacement_character(void)
{
	auto_arena struct arena a = { 0 };

	expect_str(written(&a, "a\xFF"
			       "b"),
		   "\"a\xEF\xBF\xBD"
		   "b\"");
	expect_str(written(&a, "\xC0\xAF"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
	expect_str(written(&a, "\xED\xA0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
	expect_str(written(&a, "x\xE2\x82"), "\"x\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

static void any_string_of_bytes_parses_back(void)
{
	for (unsigned first = 1; first < 256; first++) {
		auto_arena struct arena a = { 0 };

		for (unsigned second = 1; second < 256; second++) {
			const struct json *tree;
			struct err e;
			char s[3] = { (char)first, (char)second, '\0' };
			const char *text = written(&a, s);
			int r = json_parse(&a, text, strlen(text), &tree, &e);

			expect(r == 0);
			if (r == 0 && first < 0x80 && second < 0x80)
				expect_str(tree->text, s);
		}
	}
}

static void write_sample(struct json_writer *w)
{
	static const char *const words[] = { "one", "two", NULL }, *const none[] = { NULL };

	json_open(w, NULL, '{');
	json_str(w, "s", "x");
	json_u64(w, "u", UINT64_MAX);
	json_i64(w, "i", INT64_MIN);
	json_bool(w, "yes", true);
	json_null(w, "nothing");
	json_open(w, "empty", '{');
	json_close(w, '}');
	json_strs(w, "words", words);
	json_strs(w, "none", none);
	json_open(w, "list", '[');
	json_open(w, NULL, '{');
	json_bool(w, "no", false);
	json_close(w, '}');
	json_u64(w, NULL, 7);
	json_close(w, ']');
	json_close(w, '}');
}

static void without_indent_all_is_on_one_line(void)
{
	auto_arena struct arena a = { 0 };
	struct strbuf b = STRBUF(&a);
	struct json_writer w;

	json_begin(&w, &b, 0);
	write_sample(&w);
	expect_str(strbuf_str(&b),
		   "{\"s\":\"x\",\"u\":18446744073709551615,\"i\":-9223372036854775808,\"yes\":true,\"nothing\":null,"
		   "\"empty\":{},\"words\":[\"one\",\"two\"],\"none\":[],\"list\":[{\"no\":false},7]}");
}

static void with_indent_each_member_has_its_line(void)
{
	auto_arena struct arena a = { 0 };
	struct strbuf b = STRBUF(&a);
	struct json_writer w;

	json_begin(&w, &b, 2);
	write_sample(&w);
	expect_str(strbuf_str(&b),
		   "{\n  \"s\": \"x\",\n  \"u\": 18446744073709551615,\n  \"i\": -9223372036854775808,\n  \"yes\": true,\n"
		   "  \"nothing\": null,\n  \"empty\": {},\n  \"words\": [\n    \"one\",\n    \"two\"\n  ],\n  \"none\": [],\n"
		   "  \"list\": [\n    {\n      \"no\": false\n    },\n    7\n  ]\n}");
}

static void the_deepest_nesting_works(void)
{
	auto_arena struct arena a = { 0 };
	struct strbuf b = STRBUF(&a);
	struct json_writer w;
	const struct json *tree;
	struct err e;

	json_begin(&w, &b, 1);
	for (int i = 0; i < JSON_WRITE_DEPTH; i++)
		json_open(&w, NULL, '[');
	for (int i = 0; i < JSON_WRITE_DEPTH; i++)
		json_close(&w, ']');
	expect(json_parse(&a, strbuf_str(&b), b.len, &tree, &e) == 0);
}

TAP_MAIN(CASE(strings_are_escaped_but_slashes_are_not), CASE(bytes_that_are_not_utf8_become_the_replacement_character),
	 CASE(any_string_of_bytes_parses_back), CASE(without_indent_all_is_on_one_line), CASE(with_indent_each_member_has_its_line),
	 CASE(the_deepest_nesting_works))
