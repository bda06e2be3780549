#include "base/str.h"
#include "tap.h"

#include <errno.h>

static void numbers_are_whole_decimal_texts(void)
{
	static const char *const bad[] = { "", " 1", "1 ", "+1", "-1", "0x10", "1e3", "1.0", "12a", "\xd9\xa1" };
	uint32_t n = 7;
	struct err e;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect(parse_u32(bad[i], &n, &e) == -EINVAL);
	expect(n == 7);
	expect(parse_u32("4294967295", &n, &e) == 0 && n == UINT32_MAX);
	expect(parse_u32("4294967296", &n, &e) == -ERANGE);
	expect(parse_u32("007", &n, &e) == 0 && n == 7);
}

static void numbers_keep_64_bits_and_refuse_the_65th(void)
{
	uint64_t u = 0;
	int64_t i = 0;
	struct err e;

	expect(parse_u64("18446744073709551615", &u, &e) == 0 && u == UINT64_MAX);
	expect(parse_u64("18446744073709551616", &u, &e) == -ERANGE);
	expect(parse_u64("99999999999999999999999", &u, &e) == -ERANGE);
	expect(parse_i64("-9223372036854775808", &i, &e) == 0 && i == INT64_MIN);
	expect(parse_i64("-9223372036854775809", &i, &e) == -ERANGE);
	expect(parse_i64("9223372036854775807", &i, &e) == 0 && i == INT64_MAX);
	expect(parse_i64("9223372036854775808", &i, &e) == -ERANGE);
	expect(parse_i64("--1", &i, &e) == -EINVAL);
}

static void strbuf_grows_and_stays_terminated(void)
{
	auto_arena struct arena a = { 0 };
	struct strbuf b = STRBUF(&a);

	expect_str(strbuf_str(&b), "");
	for (int i = 0; i < 1000; i++)
		strbuf_printf(&b, "%d,", i);
	expect(b.len == strlen(b.text));
	expect(b.len == 10 * 2 + 90 * 3 + 900 * 4);
	expect(str_starts(b.text, "0,1,2,") && str_ends(b.text, "998,999,"));
}

static void null_equals_only_null(void)
{
	expect(str_eq(NULL, NULL));
	expect(!str_eq(NULL, "") && !str_eq("", NULL));
	expect(str_eq("a", "a") && !str_eq("a", "b"));
}

TAP_MAIN(CASE(numbers_are_whole_decimal_texts), CASE(numbers_keep_64_bits_and_refuse_the_65th),
	 CASE(strbuf_grows_and_stays_terminated), CASE(null_equals_only_null))
