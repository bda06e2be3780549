/* test_ere.c - expressions, held against the C library's, and what is refused */
#include "cli/ere.h"
#include "tap.h"

#include <errno.h>
#include <regex.h>
#include <stdint.h>
#include <stdlib.h>

static struct err e;

static void parts_of_expressions_match_what_they_mean(void)
{
	static const struct {
		const char *pattern, *text;
		int matches;
	} cases[] = {
		{ "", "x", 1 },
		{ "b", "abc", 1 },
		{ "^b", "abc", 0 },
		{ "^abc$", "abc", 1 },
		{ "^a|c$", "xc", 1 },
		{ "^(a|b)+$", "abba", 1 },
		{ "^(a|b)+$", "abca", 0 },
		{ "^a{2,3}$", "aaaa", 0 },
		{ "^a{2,3}$", "aaa", 1 },
		{ "^a{2,}$", "a", 0 },
		{ "^a{2}{2}$", "aaaa", 1 },
		{ "^(a?){3}$", "aa", 1 },
		{ "^((a*)*)*$", "aaaaaaaaaaaaaaaaaaaaaaaab", 0 },
		{ "^web-[0-9]+$", "web-12", 1 },
		{ "^[^0-9]+$", "web-12", 0 },
		{ "[]x]", "]", 1 },
		{ "[^]x]", "]x", 0 },
		{ "^[a-]$", "-", 1 },
		{ "^[[:upper:][:digit:]_]+$", "A_1", 1 },
		{ "^[[:upper:]]+$", "Aa", 0 },
		{ "^a\\.b$", "a.b", 1 },
		{ "^a\\.b$", "axb", 0 },
		{ "^\\w+\\W\\d$", "ab-1", 1 },
		{ "\\bdb\\b", "my-db-1", 1 },
		{ "\\bdb\\b", "mydb-1", 0 },
		{ "\\<d.*y\\>", "my-db-my", 1 },
		{ "\\Bb", "db", 1 },
		{ "a||b", "x", 1 },
		{ "^()$", "", 1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (ere_match(cases[i].pattern, cases[i].text, &e) != cases[i].matches) {
			printf("# %s on %s\n", cases[i].pattern, cases[i].text);
			tap_failed = true;
		}
}

/* Each of them takes hours when nothing limits it. */
static void repetitions_of_repetitions_come_to_an_end(void)
{
	static const char *const cases[] = { "a******************************",
					     "((((((((((((((((((((((((a*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*" };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		expect(ere_match(cases[i], "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", &e) == -EINVAL);
		expect(strstr(e.text, "too many repetitions of repetitions"));
	}
	expect(ere_match("(ab*c+){3,}((x|y){2}z?)*", "abccabcabbbcxyzxx", &e) == 1);
}

static void what_is_no_expression_is_refused_whatever_the_text(void)
{
	static const char *const cases[][2] = {
		{ "(", "Missing ')'" },
		{ "(a|(b)", "Missing ')'" },
		{ "[a", "Missing ']'" },
		{ "[]", "Missing ']'" },
		{ "a\\", "Trailing backslash" },
		{ "*a", "Repetition not preceded by valid expression" },
		{ "a|+", "Repetition not preceded by valid expression" },
		{ "({2})", "Repetition not preceded by valid expression" },
		{ "a{", "Missing '}'" },
		{ "a{1", "Missing '}'" },
		{ "a{1,2", "Missing '}'" },
		{ "a{x}", "Invalid contents of {}" },
		{ "a{,2}", "Invalid contents of {}" },
		{ "a{3,2}", "Invalid contents of {}" },
		{ "a{256}", "Invalid contents of {}" },
		{ "a{1,99999999999}", "Invalid contents of {}" },
		{ "[b-a]", "Invalid character range" },
		{ "[a-c-e]", "Invalid character range" },
		{ "[[:wide:]]", "Unknown character class name" },
		{ "[[:alpha]", "Unknown character class name" },
		{ "[[.a.]]", "Unknown collating element" },
		{ "[a-[=b=]]", "Unknown collating element" },
		{ "(a)\\1", "Invalid back reference" },
		{ "\\q", "Invalid regexp" },
		{ "((((((((((((((((((((((((((((((((((", "Too many parentheses in each other" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char want[200];

		snprintf(want, sizeof(want), "regular expression \"%s\": %s", cases[i][0], cases[i][1]);
		expect(ere_match(cases[i][0], "", &e) == -EINVAL);
		expect_str(e.text, want);
		expect(ere_match(cases[i][0], "aaab", &e) == -EINVAL);
	}
}

static void a_text_that_is_too_long_is_refused(void)
{
	char text[ERE_TEXT_MAX + 2];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	expect(ere_match("a", text, &e) == -ENAMETOOLONG);
	expect(ere_match("^((a{255})*a?)*$", text + 1, &e) == 1);
}

static uint32_t random_number(void)
{
	static uint32_t state = 1;

	state = state * 1664525u + 1013904223u;
	return state >> 16;
}

/* An expression of up to 8 parts. */
#define PATTERN_SIZE 128
static void make(char out[PATTERN_SIZE])
{
	static const char *const parts[] = { "a",    "b",    "-",    "(",     ")",           "(",   ")",   "|",
					     "*",    "+",    "?",    "^",     "$",           ".",   "{2}", "{0,1}",
					     "{1,}", "[ab]", "[^a]", "[a-b]", "[[:alpha:]]", "\\.", "a*",  "(a|b)" };
	unsigned n = 1 + random_number() % 8;

	for (size_t len = 0; n > 0; n--)
		len += (size_t)snprintf(out + len, PATTERN_SIZE - len, "%s",
					parts[random_number() % (sizeof(parts) / sizeof(parts[0]))]);
}

#ifdef __GLIBC__
static bool is_oracle_for(const char *pattern)
{
	(void)pattern;
	return true;
}
#else
/* musl's takes "^$|" for "^$", "(^)?a" for "^a" and "^*a", too. */
static bool is_oracle_for(const char *pattern)
{
	size_t start = *pattern == '^', end = strcspn(pattern, "|$");

	return !strchr(pattern + start, '^') && (!pattern[end] || !pattern[end + 1]) && !strpbrk(pattern, "?{") &&
	       !(start && strspn(pattern + 1, "*+"));
}
#endif

/* Where both take an expression, both match the same. The C library's is quicker to refuse or to accept here and there. */
static void the_c_library_says_the_same(void)
{
	static const char *const texts[] = {
		"", "a", "b", "-", "ab", "ba", "aa", "a-", "aab", "abab", "a.b", "bbb", "-ab-", "aaaa"
	};
	unsigned compared = 0, matched = 0;

	for (int i = 0; i < 20000; i++) {
		char pattern[PATTERN_SIZE];
		regex_t re;

		make(pattern);
		if (!is_oracle_for(pattern) || regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0)
			continue;
		for (size_t t = 0; t < sizeof(texts) / sizeof(texts[0]); t++) {
			int got = ere_match(pattern, texts[t], &e), want = regexec(&re, texts[t], 0, NULL, 0) == 0;

			compared += got >= 0;
			matched += got > 0;
			if (got >= 0 && got != want) {
				printf("# \"%s\" on \"%s\": %d\n", pattern, texts[t], got);
				tap_failed = true;
			}
		}
		regfree(&re);
	}
	printf("# %u compared, %u of them matches\n", compared, matched);
	expect(compared > 10000 && matched > 1000);
}

TAP_MAIN(CASE(repetitions_of_repetitions_come_to_an_end), CASE(parts_of_expressions_match_what_they_mean),
	 CASE(what_is_no_expression_is_refused_whatever_the_text), CASE(a_text_that_is_too_long_is_refused),
	 CASE(the_c_library_says_the_same))
