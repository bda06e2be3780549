#include "base/str.h"
#include "tap.h"

#include <errno.h>
#include <limits.h>
#include <time.h>

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

static void numbers_of_a_line_are_read_until_something_else(void)
{
	uint64_t v[4];
	const char *end;

	expect(scan_numbers("8:0 Read 17\n", ":", v, 4, &end) == 2 && v[0] == 8 && v[1] == 0);
	expect_str(end, " Read 17\n");
	expect(scan_numbers(" 1\t2  3\n4", "", v, 4, &end) == 3 && v[2] == 3);
	expect_str(end, "\n4");
	expect(scan_numbers("1 2 3", "", v, 2, &end) == 2 && v[1] == 2);
	expect_str(end, " 3");
	expect(scan_numbers("99999999999999999999999", "", v, 4, NULL) == 1 && v[0] == UINT64_MAX);
	expect(scan_numbers("-1", "", v, 4, &end) == 0 && scan_numbers("", ":", v, 4, NULL) == 0);
	expect_str(end, "-1");
}

static void strbuf_grows_and_stays_terminated(void)
{
	auto_arena struct arena a = { 0 };
	struct strbuf b = STRBUF(&a);

	expect_str(strbuf_str(&b), "");
	strbuf_add(&b, NULL, 0);
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

static void formats_are_those_of_printf(void)
{
	auto_arena struct arena a = { 0 };
	char wide[600];

	memset(wide, 'x', sizeof(wide) - 1);
	wide[sizeof(wide) - 1] = '\0';
	expect_str(arena_printf(&a, "%s", ""), "");
	expect_str(arena_printf(&a, "%s=%s%s;%c%%", "a", "", "b", 'c'), "a=b;c%");
	expect_str(arena_printf(&a, "%d %d %d %u %u", 0, INT_MIN, INT_MAX, 0u, UINT_MAX), "0 -2147483648 2147483647 0 4294967295");
	expect_str(arena_printf(&a, "%ld %lu %zu", LONG_MIN, ULONG_MAX, SIZE_MAX),
		   "-9223372036854775808 18446744073709551615 18446744073709551615");
	expect_str(arena_printf(&a, "%s %04o %.2s|%5d|%lld", "x", 8u, "abc", -7, -1LL), "x 0010 ab|   -7|-1");
	expect_str(arena_printf(&a, "%02d:%04u-%09ld.%01d|%03d", 7, 12345u, 1234L, 0, -4), "07:12345-000001234.0|-04");
	expect_str(arena_printf(&a, "%02d:%04zu%0d", 70, (size_t)1, 3), "70:00013");
	expect(strlen(arena_printf(&a, "%s,%s", wide, wide)) == 2 * 599 + 1);
}

static void appending_formats_is_the_same_at_any_length(void)
{
	for (int before = 0; before < 300; before++) {
		auto_arena struct arena a = { 0 };
		struct strbuf b = STRBUF(&a);

		for (int i = 0; i < before; i++)
			strbuf_puts(&b, "x");
		strbuf_printf(&b, "%s %d", "word", 17);
		strbuf_printf(&b, "%s%03d", "", 5);
		expect(b.len == (size_t)before + 10);
		expect_str(b.text + before, "word 17005");
	}
}

static void arenas_give_zeroes_again_and_again(void)
{
	for (int round = 0; round < 3; round++) {
		auto_arena struct arena a = { 0 };

		for (int i = 0; i < 100; i++) {
			char *p = arena_alloc(&a, 1000);

			for (int at = 0; at < 1000; at++)
				expect(!p[at]);
			memset(p, 0xff, 1000);
		}
	}
}

static void a_name_resembles_another_with_one_mistake(void)
{
	expect(str_resembles("maskedpaths", "maskedPaths") && str_resembles("UID", "uid"));
	expect(str_resembles("argz", "args") && str_resembles("arg", "args") == false && str_resembles("argss", "args"));
	expect(str_resembles("noNewPriviliges", "noNewPrivileges") && str_resembles("hostnmae", "hostname"));
	expect(str_resembles("xhostname", "hostname") && str_resembles("ostname", "hostname"));
	expect(!str_resembles("gid", "uid") && !str_resembles("", "uid") && !str_resembles("u", ""));
	expect(!str_resembles("hsotnmae", "hostname") && !str_resembles("domainname", "hostname"));
	expect(!str_resembles("hoXXname", "hostname") && !str_resembles("hostnameXX", "hostname"));
}

static bool is_as_libc_says(const struct timespec *t)
{
	char want[64], got[TIME_TEXT_SIZE];
	struct tm tm;

	gmtime_r(&t->tv_sec, &tm);
	strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S.000000007Z", &tm);
	text_time(got, t);
	return strcmp(got, want) == 0;
}

/* Each day from 1970 to 2401, at another time. */
static void times_are_those_of_the_calendar(void)
{
	struct timespec t = { .tv_nsec = 7 };
	int day = 0;

	while (day < 157500 && is_as_libc_says(&t)) {
		t.tv_sec += 86400 + 1;
		day++;
	}
	expect(day == 157500);
}

TAP_MAIN(CASE(times_are_those_of_the_calendar), CASE(numbers_are_whole_decimal_texts),
	 CASE(numbers_keep_64_bits_and_refuse_the_65th), CASE(numbers_of_a_line_are_read_until_something_else),
	 CASE(strbuf_grows_and_stays_terminated), CASE(null_equals_only_null), CASE(a_name_resembles_another_with_one_mistake),
	 CASE(formats_are_those_of_printf), CASE(appending_formats_is_the_same_at_any_length),
	 CASE(arenas_give_zeroes_again_and_again))
