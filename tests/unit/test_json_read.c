#include "base/str.h"
#include "oci/json.h"
#include "tap.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

/* Parses text; returns the error text, "" when there is none. */
static const char *fault_of(struct arena *a, const char *text, size_t len)
{
	const struct json *tree = NULL;
	struct err e;
	int r = json_parse(a, text, len, &tree, &e);

	expect((r < 0) == !tree);
	return r < 0 ? arena_strdup(a, e.text) : "";
}

struct text_case {
	const char *text, *error;
};

static void run_cases(const struct text_case *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		auto_arena struct arena a = { 0 };

		expect_str(fault_of(&a, c[i].text, strlen(c[i].text)), c[i].error);
	}
}

#define RUN(...)                                                                                                                   \
	do {                                                                                                                       \
		static const struct text_case cases[] = { __VA_ARGS__ };                                                           \
		run_cases(cases, sizeof(cases) / sizeof(cases[0]));                                                                \
	} while (0)

static void a_document_is_one_value_and_nothing_else(void)
{
	RUN({ "{}", "" }, { "[1]", "" }, { "12", "" }, { " null \n", "" }, { "\"x\"", "" },
	    { "", "line 1: malformed JSON: the text ends too early" },
	    { " \n\n", "line 3: malformed JSON: the text ends too early" },
	    { "{} {}", "line 1: malformed JSON: something follows the value" },
	    { "1 \"x", "line 1: malformed JSON: something follows the value" },
	    { "{}\n\n,", "line 3: malformed JSON: something follows the value" },
	    { "[1", "line 1: malformed JSON: the text ends too early" },
	    { "\xEF\xBB\xBF{}", "line 1: malformed JSON: expected a value" });
}

static void only_rfc_8259_is_accepted(void)
{
	static const char *const wrong[] = {
		"{'a': 1}",    "{a: 1}",        "[1,]",        "{\"a\": 1,}", "[,1]",
		"[1 2]",       "{\"a\" 1}",     "/* */ {}",    "// x\n{}",    "# x\n{}",
		"NaN",         "Infinity",      "-Infinity",   "[01]",        "[+1]",
		"[.5]",        "[5.]",          "[1e]",        "[0x10]",      "[-]",
		"[--1]",       "True",          "nul",         "[\"\t\"]",    "[\"\n\"]",
		"[\"\\x41\"]", "[\"\\u12G4\"]", "[\"\\u12\"]", "[\"\\",       "[\"abc",
		"{\"a\":1]",   "[1}",           "}",           "]",           ":",
		"{1: 2}",      "{null: 2}",     "{]",          "\"\\ud8",     "[1]x",
		"{\"a\":}",    "{\"a\"}",       "{,}",         "[\"\\'\"]",   "\x7f",
		"\x01",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		auto_arena struct arena a = { 0 };
		const char *error = fault_of(&a, wrong[i], strlen(wrong[i]));

		if (!strstr(error, "malformed JSON"))
			printf("# %s: \"%s\"\n", wrong[i], error);
		expect(strstr(error, "malformed JSON") != NULL);
	}
}

static void text_must_be_well_formed_utf8(void)
{
	RUN({ "[\"\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\"]", "" }, { "[\n\"\xC3\"]", "line 2: text is not UTF-8" },
	    { "[\"\x80\"]", "line 1: text is not UTF-8" }, { "[\"\xC0\xAF\"]", "line 1: text is not UTF-8" },
	    { "[\"\xE0\x80\xAF\"]", "line 1: text is not UTF-8" }, { "[\"\xED\xA0\x80\"]", "line 1: text is not UTF-8" },
	    { "[\"\xF4\x90\x80\x80\"]", "line 1: text is not UTF-8" }, { "[\"\xF5\x80\x80\x80\"]", "line 1: text is not UTF-8" },
	    { "[\"\xFF\"]", "line 1: text is not UTF-8" }, { "\"12345678\xE2\x82", "line 1: text is not UTF-8" },
	    { "{\"a\xFE\": 1}", "line 1: text is not UTF-8" }, { "[\"\xEF\xBF\xBF\xED\x9F\xBF\"]", "" });
}

static void escapes_are_decoded(void)
{
	auto_arena struct arena a = { 0 };
	const struct json *tree;
	struct err e;
	static const char text[] = "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"]";

	expect(json_parse(&a, text, sizeof(text) - 1, &tree, &e) == 0);
	expect_str(tree->child->text, "\"\\/\b\f\n\r\tA\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
}

static void half_a_surrogate_pair_is_refused(void)
{
	static const char half[] = "line 1: an escape is half of a surrogate pair";

	RUN({ "[\"\\ud800\"]", half }, { "[\"\\udc00\"]", half }, { "[\"\\udbff x\"]", half }, { "[\"\\ud800\\u0041\"]", half },
	    { "[\"\\ud800\\ud800\"]", half }, { "{\"\\uDFFF\": 1}", half }, { "[\"\\\\ud800\"]", "" },
	    { "[\"\\\\\\ud800\"]", half }, { "[\"\\uD7FF\\uE000\"]", "" });
}

static void nul_is_refused_wherever_it_stands(void)
{
	auto_arena struct arena a = { 0 };

	RUN({ "{\"a\": [\"x\", \"y\\u0000z\"]}", "line 1: a[1]: string contains a NUL character" },
	    { "{\"a\": {\n\"b\\u0000\": 1}}", "line 2: a: member name contains a NUL character" },
	    { "{\"\\u0000\": 1}", "line 1: member name contains a NUL character" });
	expect_str(fault_of(&a, "[\"a\0b\"]", 7), "line 1: malformed JSON: control character in a string");
	expect_str(fault_of(&a, "{}\0", 3), "line 1: malformed JSON: something follows the value");
}

static void a_repeated_member_is_refused_with_its_path(void)
{
	RUN({ "{\"a\": 1,\n \"a\": 2}", "line 2: a: member name is repeated" },
	    { "{\"x\": [{}, {\"y\": {\"a\": 1, \"b\": 2, \"a\": null}}]}", "line 1: x[1].y.a: member name is repeated" },
	    { "{\"a\": 1, \"\\u0061\": 2}", "line 1: a: member name is repeated" }, { "{\"a\": {\"a\": {\"a\": 1}}}", "" },
	    { "{\"\": 1, \"\": 2}", "line 1: : member name is repeated" },
	    { "{\"a\\n\": 1, \"a\\n\": 2}", "line 1: a?: member name is repeated" });
}

/* An object of n members m0, m1...; the name of the last is taken from `last` when that is not NULL. */
static const char *big_object(struct arena *a, int n, const char *last)
{
	struct strbuf b = STRBUF(a);

	strbuf_puts(&b, "{");
	for (int i = 0; i < n - 1; i++)
		strbuf_printf(&b, "\"m%d\": %d,\n", i, i);
	if (last)
		strbuf_printf(&b, "\"%s\": 0}", last);
	else
		strbuf_printf(&b, "\"m%d\": 0}", n - 1);
	return strbuf_str(&b);
}

static void repeated_members_are_found_in_objects_of_any_size(void)
{
	static const int sizes[] = { 2, 3, 15, 16, 17, 18, 100, 5000 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		auto_arena struct arena a = { 0 };
		const char *good = big_object(&a, sizes[i], NULL), *bad = big_object(&a, sizes[i], "m0");

		expect_str(fault_of(&a, good, strlen(good)), "");
		expect_str(fault_of(&a, bad, strlen(bad)), arena_printf(&a, "line %d: m0: member name is repeated", sizes[i]));
	}
}

static void a_huge_object_takes_no_quadratic_time(void)
{
	auto_arena struct arena a = { 0 };
	const char *text = big_object(&a, 200000, NULL);
	clock_t from = clock();

	expect_str(fault_of(&a, text, strlen(text)), "");
	expect((clock() - from) / CLOCKS_PER_SEC < 5); /* 0.1 s here; quadratic would be minutes */
}

static const char *nested(struct arena *a, int depth)
{
	struct strbuf b = STRBUF(a);

	for (int i = 0; i < depth; i++)
		strbuf_puts(&b, "[");
	for (int i = 0; i < depth; i++)
		strbuf_puts(&b, "]");
	return strbuf_str(&b);
}

static void nesting_has_a_limit(void)
{
	auto_arena struct arena a = { 0 };
	const char *deepest = nested(&a, JSON_DEPTH_MAX), *more = nested(&a, JSON_DEPTH_MAX + 1), *much = nested(&a, 20000);

	expect_str(fault_of(&a, deepest, strlen(deepest)), "");
	expect(strstr(fault_of(&a, more, strlen(more)), "nested too deeply") != NULL);
	expect(strstr(fault_of(&a, much, strlen(much)), "nested too deeply") != NULL);
}

static void size_has_a_limit(void)
{
	auto_arena struct arena a = { 0 };
	const struct json *tree;
	struct err e;
	size_t len = JSON_TEXT_MAX + 1;
	char *text = malloc(len);

	memset(text, ' ', len);
	text[0] = '1';
	expect(json_parse(&a, text, len - 1, &tree, &e) == 0);
	expect(json_parse(&a, text, len, &tree, &e) == -E2BIG);
	expect_str(e.text, "JSON text is 16777217 bytes, the limit is 16777216");
	free(text);
}

static void the_number_of_values_has_a_limit(void)
{
	auto_arena struct arena a = { 0 };
	const struct json *tree;
	struct err e;
	size_t elements = JSON_VALUES_MAX - 1; /* the array is a value too */
	char *text = malloc(2 * elements + 4);

	text[0] = '[';
	for (size_t i = 0; i <= elements; i++)
		memcpy(text + 1 + 2 * i, "1,", 2);
	text[2 * elements] = ']';
	expect(json_parse(&a, text, 2 * elements + 1, &tree, &e) == 0);
	expect(tree->len == elements);
	memcpy(text + 2 * elements, ",1]", 3);
	expect(json_parse(&a, text, 2 * elements + 3, &tree, &e) == -E2BIG);
	expect_str(e.text, "line 1: the document has too many values");
	free(text);
}

static void lines_are_those_of_the_source(void)
{
	auto_arena struct arena a = { 0 };
	const struct json *tree;
	struct err e;
	static const char text[] = "\n{\n  \"a\": 1, \"b\": [\n\n2,\n3 ] ,\n\"c\":\n{}\n}";

	expect(json_parse(&a, text, sizeof(text) - 1, &tree, &e) == 0);
	expect(tree->line == 2);
	expect(json_member(tree, "a")->line == 3);
	expect(json_member(tree, "b")->line == 3);
	expect(json_member(tree, "b")->child->line == 5);
	expect(json_member(tree, "b")->child->next->line == 6);
	expect(json_member(tree, "c")->line == 8);
	expect(json_member(tree, "d") == NULL);
}

/* However they are apart, and whatever is between and behind them. */
static void strings_of_a_list_have_their_lines(void)
{
	static const struct {
		const char *between;
		uint32_t lines;
	} lists[] = { { ",", 0 },           { ",\n", 1 },          { ",\n\t  ", 1 },        { ", ", 0 },
		      { " ,", 0 },          { "\n,", 1 },          { ",\r\n", 1 },          { ",\n\n", 2 },
		      { ",\n\t \n \n", 3 }, { "\n , \n 7,\n", 3 }, { ",\n[],\n {},\n", 3 }, { ",\n                    ", 1 } };

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		auto_arena struct arena a = { 0 };
		struct strbuf text = STRBUF(&a);
		const struct json *tree = NULL, *v;
		struct err e;
		uint32_t found = 0;

		strbuf_printf(&text, "[\"a\"%s\"b\"%s\"c\\u0021\"%s\"d\"]", lists[i].between, lists[i].between, lists[i].between);
		expect(json_parse(&a, text.text, text.len, &tree, &e) == 0);
		for (v = tree ? tree->child : NULL; v; v = v->next) {
			if (v->type != JSON_STRING)
				continue;
			expect(v->line == 1 + lists[i].lines * found && v->text[0] == "abcd"[found] && !v->key);
			found++;
		}
		expect(found == 4);
	}
}

static void what_follows_a_string_of_a_list_is_checked(void)
{
	RUN({ "[\"a\",]", "line 1: malformed JSON: expected a value" },
	    { "[\"a\",\n]", "line 2: malformed JSON: expected a value" },
	    { "[\"a\",\n", "line 2: malformed JSON: the text ends too early" },
	    { "[\"a\",", "line 1: malformed JSON: the text ends too early" },
	    { "[\"a\",\n\"b", "line 2: malformed JSON: the text ends too early" },
	    { "[\"a\",\n\"b\"\n\"c\"]", "line 3: malformed JSON: expected a comma or ]" },
	    { "[\"a\",\n,\"b\"]", "line 2: malformed JSON: expected a value" },
	    { "{\"k\": \"a\",\n\"b\"}", "line 2: malformed JSON: expected a colon" },
	    { "\"a\",\n\"b\"", "line 1: malformed JSON: something follows the value" });
}

static void numbers_are_kept_as_written(void)
{
	auto_arena struct arena a = { 0 };
	const struct json *tree;
	struct err e;
	static const char text[] = "[18446744073709551616, -0, 1.50, 1e400, -9223372036854775809]";

	expect(json_parse(&a, text, sizeof(text) - 1, &tree, &e) == 0);
	const struct json *n = tree->child;

	expect_str(n->text, "18446744073709551616");
	expect_str(n->next->text, "-0");
	expect_str(n->next->next->text, "1.50");
	expect_str(n->next->next->next->text, "1e400");
	expect_str(n->next->next->next->next->text, "-9223372036854775809");
}

static void the_source_text_is_not_needed_afterwards(void)
{
	auto_arena struct arena a = { 0 };
	const struct json *tree;
	struct err e;
	char text[] = "{\"key\": [\"value\", 42]}";

	expect(json_parse(&a, text, sizeof(text) - 1, &tree, &e) == 0);
	memset(text, 'x', sizeof(text));
	expect_str(tree->child->key, "key");
	expect_str(tree->child->child->text, "value");
	expect_str(tree->child->child->next->text, "42");
}

TAP_MAIN(CASE(a_document_is_one_value_and_nothing_else), CASE(only_rfc_8259_is_accepted), CASE(text_must_be_well_formed_utf8),
	 CASE(escapes_are_decoded), CASE(half_a_surrogate_pair_is_refused), CASE(nul_is_refused_wherever_it_stands),
	 CASE(a_repeated_member_is_refused_with_its_path), CASE(repeated_members_are_found_in_objects_of_any_size),
	 CASE(a_huge_object_takes_no_quadratic_time), CASE(nesting_has_a_limit), CASE(size_has_a_limit),
	 CASE(the_number_of_values_has_a_limit), CASE(lines_are_those_of_the_source), CASE(strings_of_a_list_have_their_lines),
	 CASE(what_follows_a_string_of_a_list_is_checked), CASE(numbers_are_kept_as_written),
	 CASE(the_source_text_is_not_needed_afterwards))
