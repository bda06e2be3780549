#include "base/str.h"
#include "oci/decode.h"
#include "oci/encode.h"
#include "tap.h"

#include <errno.h>

/* clang-format off */
struct leaf { const char *name; uint32_t count; };
struct leaf_list { struct leaf *v; size_t n; };
struct keyed { const char *key; struct opt_u64 n; };
struct keyed_list { struct keyed *v; size_t n; };
struct thing {
	const char *str, *path, *full;
	bool flag, completed;
	int64_t i64; uint64_t u64; uint32_t u32; int32_t i32;
	struct opt_i64 oi64; struct opt_u64 ou64, ou32, ou16;
	int color;
	struct strs strs, words, paths;
	struct u32s u32s;
	const struct leaf *leaf;
	struct leaf_list leaves;
	struct pairs map;
	struct keyed_list keyed;
};

const char *const oci_colors[] = { "red", "green", NULL };
static const struct names colors = { oci_colors, 2 };

static int check_leaf(void *object, struct checker *c)
{
	const struct leaf *l = object;
	int r = 0;

	if (l->count == 13)
		r |= check_fail(c, "count", -1, "%u is unlucky", l->count);
	if (l->name && !strcmp(l->name, "bad"))
		r |= check_fail(c, NULL, -1, "is bad");
	return r;
}

static int check_leaves(void *list, struct checker *c)
{
	const struct any_list *l = list;

	return l->n == 3 ? check_fail(c, NULL, 1, "in the middle") : 0;
}

static int check_thing(void *object, struct checker *c)
{
	struct thing *t = object;

	t->completed = true;
	return t->u64 == 99 && check_has(c, "strs") ? check_fail(c, "strs", 1, "second of strs") : 0;
}

SHAPE_LIST(leaf, check_leaf, check_leaves,
	F_STR(struct leaf, name, "name", 0),
	F_U32(struct leaf, count, "count", REQUIRED));
SHAPE(keyed, NULL, F_OU64(struct keyed, n, "n"));
SHAPE(thing, check_thing,
	F_STR(struct thing, str, "str", EMPTY_NONE),
	F_STR(struct thing, path, "path", ABSOLUTE),
	F_STR(struct thing, full, "full", NONEMPTY),
	F_BOOL(struct thing, flag, "flag", 0),
	F_I64(struct thing, i64, "i64", 0),
	F_U64(struct thing, u64, "u64", 0),
	F_U32(struct thing, u32, "u32", 0),
	F_I32(struct thing, i32, "i32", 0),
	F_OI64(struct thing, oi64, "oi64"),
	F_OU64(struct thing, ou64, "ou64"),
	F_OU32(struct thing, ou32, "ou32"),
	F_OU16(struct thing, ou16, "ou16"),
	F_ENUM(struct thing, color, "color", 0, &colors),
	F_STRS(struct thing, strs, "strs", 0),
	F_WORDS(struct thing, words, "words", NONEMPTY, &colors),
	F_STRS(struct thing, paths, "paths", ABSOLUTE),
	F_U32S(struct thing, u32s, "u32s"),
	F_OBJ(struct thing, leaf, "leaf", 0, leaf),
	F_OBJS(struct thing, leaves, "leaves", 0, leaf),
	F_MAP(struct thing, map, "map", NONEMPTY),
	F_OBJMAP(struct thing, keyed, "keyed", keyed));
/* clang-format on */

/* Decodes one line of JSON; the error text, "" when there is none. */
static const char *read_thing(struct arena *a, const char *text, struct thing *t)
{
	const struct json *tree;
	struct err e = { 0 };

	*t = (struct thing){ 0 };
	if (json_parse(a, text, strlen(text), &tree, &e) < 0 || decode(a, &shape_thing, tree, t, &e) < 0)
		return arena_strdup(a, e.text);
	return "";
}

struct text_case {
	const char *text, *error;
};

static void run_cases(const struct text_case *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		auto_arena struct arena a = { 0 };
		struct thing t;

		expect_str(read_thing(&a, c[i].text, &t), c[i].error);
	}
}

#define RUN(...)                                                                                                                   \
	do {                                                                                                                       \
		static const struct text_case cases[] = { __VA_ARGS__ };                                                           \
		run_cases(cases, sizeof(cases) / sizeof(cases[0]));                                                                \
	} while (0)

static void every_kind_is_stored(void)
{
	auto_arena struct arena a = { 0 };
	struct thing t;
	static const char text[] =
		"{\"str\":\"s\",\"path\":\"/"
		"p\",\"full\":\"f\",\"flag\":true,\"i64\":-9223372036854775808,\"u64\":18446744073709551615,"
		"\"u32\":4294967295,\"i32\":-2147483648,\"oi64\":-1,\"ou64\":0,\"ou32\":4294967295,\"ou16\":65535,\"color\":"
		"\"green\","
		"\"strs\":[\"a\",\"\"],\"words\":[\"red\"],\"paths\":[\"/a\"],\"u32s\":[1,2],\"leaf\":{\"name\":\"n\",\"count\":1},"
		"\"leaves\":[{\"count\":2},{\"count\":3}],\"map\":{\"k\":\"v\"},\"keyed\":{\"first\":{\"n\":5},\"second\":{}}}";

	expect_str(read_thing(&a, text, &t), "");
	expect(t.flag && t.completed && t.i64 == INT64_MIN && t.u64 == UINT64_MAX && t.u32 == UINT32_MAX && t.i32 == INT32_MIN);
	expect(t.oi64.set && t.oi64.value == -1 && t.ou64.set && t.ou64.value == 0 && t.ou32.value == UINT32_MAX);
	expect(t.ou16.value == UINT16_MAX && t.color == 1);
	expect(t.strs.n == 2 && t.strs.v[2] == NULL && t.words.n == 1 && t.paths.n == 1 && t.u32s.n == 2 && t.u32s.v[1] == 2);
	expect(t.leaf && t.leaf->count == 1 && t.leaves.n == 2 && t.leaves.v[1].count == 3);
	expect(t.map.n == 1 && t.keyed.n == 2 && t.keyed.v[0].n.value == 5 && !t.keyed.v[1].n.set);
	expect_str(t.keyed.v[1].key, "second");

	struct strbuf b = STRBUF(&a);
	struct json_writer w;

	json_begin(&w, &b, 0);
	encode(&w, NULL, &shape_thing, &t);
	expect_str(strbuf_str(&b), text);
}

static void nothing_is_stored_for_absent_and_null_members(void)
{
	auto_arena struct arena a = { 0 };
	struct thing t;

	expect_str(read_thing(&a,
			      "{\"str\": null, \"flag\": null, \"oi64\": null, \"color\": null, \"strs\": null, \"leaf\": null, "
			      "\"leaves\": "
			      "null, \"map\": null, \"keyed\": null, \"unknown\": {\"x\": [null]}}",
			      &t),
		   "");
	expect(!t.str && !t.oi64.set && !t.strs.v && !t.leaf && !t.leaves.v && !t.map.v && !t.keyed.v);
	expect_str(read_thing(&a, "{\"map\": {\"a\": null, \"b\": \"c\"}, \"keyed\": {\"x\": null, \"y\": {}}, \"strs\": []}", &t),
		   "");
	expect(t.map.n == 1 && t.keyed.n == 1 && t.strs.v && t.strs.n == 0 && t.strs.v[0] == NULL);
	expect_str(t.map.v[0].name, "b");
	expect_str(t.keyed.v[0].key, "y");
}

static void go_programs_write_unset_strings_as_empty(void)
{
	auto_arena struct arena a = { 0 };
	struct thing t;

	expect_str(read_thing(&a, "{\"str\": \"\", \"color\": \"\"}", &t), "");
	expect(!t.str && t.color == 0);
	RUN({ "{\"full\": \"\"}", "line 1: full: must not be empty" },
	    { "{\"path\": \"\"}", "line 1: path: \"\" is not an absolute path" });
}

static void numbers_are_integers_in_range(void)
{
	RUN({ "{\"u64\": 18446744073709551616}", "line 1: u64: 18446744073709551616 is out of range, 0 to 18446744073709551615" },
	    { "{\"u64\": -1}", "line 1: u64: -1 is out of range, 0 to 18446744073709551615" }, { "{\"u64\": -0}", "" },
	    { "{\"i64\": 9223372036854775808}",
	      "line 1: i64: 9223372036854775808 is out of range, -9223372036854775808 to 9223372036854775807" },
	    { "{\"i64\": -9223372036854775809}",
	      "line 1: i64: -9223372036854775809 is out of range, -9223372036854775808 to 9223372036854775807" },
	    { "{\"i64\": 9223372036854775807, \"u64\": 9223372036854775808}", "" },
	    { "{\"u32\": 4294967296}", "line 1: u32: 4294967296 is out of range, 0 to 4294967295" },
	    { "{\"ou32\": 4294967296}", "line 1: ou32: 4294967296 is out of range, 0 to 4294967295" },
	    { "{\"ou16\": 65536}", "line 1: ou16: 65536 is out of range, 0 to 65535" },
	    { "{\"i32\": -2147483649}", "line 1: i32: -2147483649 is out of range, -2147483648 to 2147483647" },
	    { "{\"u64\": 1.0}", "line 1: u64: 1.0 is not an integer" }, { "{\"u64\": 1e3}", "line 1: u64: 1e3 is not an integer" },
	    { "{\"oi64\": -1E2}", "line 1: oi64: -1E2 is not an integer" },
	    { "{\"u64\": 99999999999999999999999999999999999999999999999}",
	      "line 1: u64: 9999999999999999999999999999999999999999 is out of range, 0 to 18446744073709551615" },
	    { "{\"u32s\": [1, -1]}", "line 1: u32s[1]: -1 is out of range, 0 to 4294967295" });
}

static void a_wrong_type_is_named_with_path_and_line(void)
{
	RUN({ "{\"flag\": \"true\"}", "line 1: flag: expected boolean, got string" },
	    { "{\n\"leaves\": [{\"count\": 1},\n{\"count\": \"many\"}]}", "line 3: leaves[1].count: expected number, got string" },
	    { "{\"keyed\": {\"x\": 1}}", "line 1: keyed.x: expected object, got number" },
	    { "{\"strs\": [\"a\", null]}", "line 1: strs[1]: expected string, got null" },
	    { "{\"map\": {\"a.b\": {}}}", "line 1: map.a.b: expected string, got object" },
	    { "{\"map\": {\"\": \"x\"}}", "line 1: map: a name must not be empty" },
	    { "{\"leaf\": []}", "line 1: leaf: expected object, got array" },
	    { "[]", "line 1: document: expected object, got array" },
	    { "{\"leaf\": {}}", "line 1: leaf: member \"count\" is required" },
	    { "{\"leaf\": {\"count\": null}}", "line 1: leaf: member \"count\" is required" });
}

static void words_must_be_known(void)
{
	RUN({ "{\"color\": \"blue\"}", "line 1: color: unknown value \"blue\"" },
	    { "{\"color\": \"RED\"}", "line 1: color: unknown value \"RED\"" },
	    { "{\"words\": [\"red\", \"\"]}", "line 1: words[1]: unknown value \"\"" },
	    { "{\"words\": []}", "line 1: words: must not be empty" },
	    { "{\"paths\": [\"/a\", \"b\"]}", "line 1: paths[1]: \"b\" is not an absolute path" },
	    { "{\"path\": \"a/b\"}", "line 1: path: \"a/b\" is not an absolute path" });
}

static void checks_point_into_the_document(void)
{
	RUN({ "{\"leaf\": {\n\"count\": 13}}", "line 2: leaf.count: 13 is unlucky" },
	    { "{\"leaf\": {\"count\": 1, \"name\": \"bad\"}}", "line 1: leaf: is bad" },
	    { "{\"leaves\": [{\"count\": 1},\n{\"count\": 2}, {\"count\": 3}]}", "line 2: leaves[1]: in the middle" },
	    { "{\"u64\": 99, \"strs\": [\"a\",\n\"b\"]}", "line 2: strs[1]: second of strs" },
	    { "{\"u64\": 99, \"strs\": null}", "" });
}

static void a_message_is_one_line_whatever_the_input(void)
{
	RUN({ "{\"color\": \"a\\nb\\u001b[31m\\u007f\"}", "line 1: color: unknown value \"a?b?[31m?\"" },
	    { "{\"map\": {\"x\\ny\": 1}}", "line 1: map.x?y: expected string, got number" });
}

static const char *problems(struct arena *a, const char *text, struct problems *p)
{
	const struct json *tree;
	struct thing t = { 0 };
	struct err e = { 0 };
	struct strbuf b = STRBUF(a);

	expect(json_parse(a, text, strlen(text), &tree, &e) == 0);
	expect((decode_all(a, &shape_thing, tree, &t, p, &e) < 0) == (p->n > 0));
	for (size_t i = 0; i < p->n; i++)
		strbuf_printf(&b, "%s\n", p->v[i]);
	if (p->n)
		expect_str(e.text, p->v[0]);
	return strbuf_str(&b);
}

static void all_problems_are_listed_in_order(void)
{
	auto_arena struct arena a = { 0 };
	struct problems p;

	expect_str(problems(&a, "{}", &p), "");
	expect_str(problems(&a,
			    "{\"u32\": true,\n\"strs\": [1, \"a\", 2],\n\"leaves\": [{\"count\": 13, \"name\": \"bad\"}, {}, 7, "
			    "{\"count\": "
			    "\"x\"}],\n\"map\": {\"a\": 1, \"b\": 2},\n\"words\": [\"x\", \"red\", \"y\"],\n\"u32s\": [-1, \"z\"]}",
			    &p),
		   "line 1: u32: expected number, got boolean\n"
		   "line 2: strs[0]: expected string, got number\n"
		   "line 2: strs[2]: expected string, got number\n"
		   "line 3: leaves[0].count: 13 is unlucky\n"
		   "line 3: leaves[0]: is bad\n"
		   "line 3: leaves[1]: member \"count\" is required\n"
		   "line 3: leaves[2]: expected object, got number\n"
		   "line 3: leaves[3].count: expected number, got string\n"
		   "line 4: map.a: expected string, got number\n"
		   "line 4: map.b: expected string, got number\n"
		   "line 5: words[0]: unknown value \"x\"\n"
		   "line 5: words[2]: unknown value \"y\"\n"
		   "line 6: u32s[0]: -1 is out of range, 0 to 4294967295\n"
		   "line 6: u32s[1]: expected number, got string\n");
}

static void the_list_of_problems_is_bounded(void)
{
	auto_arena struct arena a = { 0 };
	struct strbuf b = STRBUF(&a);
	struct problems p;

	strbuf_puts(&b, "{\"strs\": [0");
	for (int i = 0; i < 5000; i++)
		strbuf_puts(&b, ",1");
	strbuf_puts(&b, "]}");
	problems(&a, strbuf_str(&b), &p);
	expect(p.n == PROBLEMS_MAX + 1);
	expect_str(p.v[PROBLEMS_MAX - 1], "line 1: strs[999]: expected string, got number");
	expect_str(p.v[PROBLEMS_MAX], "further problems are not listed");
}

static void members_that_may_be_misspelt_are_told_beside_the_problems(void)
{
	auto_arena struct arena a = { 0 };
	struct strbuf many = STRBUF(&a);
	struct problems p;

	expect_str(problems(&a, "{\"leaves\": [{\"count\": 1,\n\"nmae\": \"x\"}], \"Flag\": 1, \"else\": 2, \"FULL\": null}", &p),
		   "");
	expect(p.n_hints == 2);
	expect_str(p.hints[0], "line 2: leaves[0].nmae: an unknown member is ignored; is \"name\" meant?");
	expect_str(p.hints[1], "line 2: Flag: an unknown member is ignored; is \"flag\" meant?");
	expect_str(problems(&a, "{\"leaf\": {\"cuont\": 1}}", &p), "line 1: leaf: member \"count\" is required\n");
	expect(p.n_hints == 1);
	strbuf_puts(&many, "{\"leaves\": [");
	for (int i = 0; i <= PROBLEMS_MAX; i++)
		strbuf_puts(&many, "{\"count\": 1, \"nam\": 1, \"name1\": 1},");
	strbuf_puts(&many, "{\"count\": 1}]}");
	expect_str(problems(&a, strbuf_str(&many), &p), "");
	expect(p.n_hints == PROBLEMS_MAX);
}

TAP_MAIN(CASE(every_kind_is_stored), CASE(nothing_is_stored_for_absent_and_null_members),
	 CASE(go_programs_write_unset_strings_as_empty), CASE(numbers_are_integers_in_range),
	 CASE(a_wrong_type_is_named_with_path_and_line), CASE(words_must_be_known), CASE(checks_point_into_the_document),
	 CASE(a_message_is_one_line_whatever_the_input), CASE(all_problems_are_listed_in_order),
	 CASE(the_list_of_problems_is_bounded), CASE(members_that_may_be_misspelt_are_told_beside_the_problems))
