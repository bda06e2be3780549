/* Texts that are nearly JSON, made without chance: each sample is cut, and each of its places changed to every character that means
 * something in JSON. What json_parse() says of them is held against yajl. */
#include "base/str.h"
#include "json_oracle.h"
#include "tap.h"

#include <stdint.h>

static const char *const samples[] = {
	"{\"a\": [1, -2.5e+10, 0, true, false, null, \"x\"], \"b\": {\"c\": {}, \"d\": []}}",
	" \t\r\n[ [ ] , { } ,\"\", -0 , 0.0E-0 ]\n ",
	"[\"plain text of some length, 12345678\", \"\\\"\\\\\\/\\b\\f\\n\\r\\t\", \"\\u0041\\u00E9\\u20ac\\ud83d\\ude00\"]",
	"[\"\xC3\xA9\", \"1234567\xE2\x82\xAC\", \"\xF0\x9F\x98\x80\", \"\x7f\", \"\xEF\xBF\xBF\"]",
	"{\"args\":[\"/bin/true\"],\"limit\":9223372036854775807,\"swap\":-1,\"terminal\":false}",
	"123456789012345678901234567890",
	"\"\\u12\"",
	"[1.]",
	"{\"a\":1,\"a\":2}",
};
static const char meaningful[] = "{}[]:,\"\\/ \t\n\r\v\f\x01\x1f\x7f"
				 "0123456789+-.eEtrufalsnbxX'#\x80\xBF\xC2\xE0\xED\xF4\xFF";

static void check(const char *text, size_t len)
{
	const char *why = json_oracle_objects(text, len);

	if (why)
		printf("# %.*s\n", (int)len, text);
	expect_str(why ? why : "", "");
}

static void both_read_the_samples_alike(void)
{
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
		check(samples[i], strlen(samples[i]));
}

static void both_say_the_same_of_what_is_cut_off(void)
{
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
		for (size_t len = 0; len < strlen(samples[i]); len++)
			check(samples[i], len);
}

/* Overwrites, inserts and removes at each place. */
static void change(const char *sample)
{
	size_t len = strlen(sample);
	char text[512];

	for (size_t at = 0; at < len; at++) {
		memcpy(text, sample, at);
		memcpy(text + at, sample + at + 1, len - at - 1);
		check(text, len - 1);
		for (size_t c = 0; c < sizeof(meaningful); c++) {
			memcpy(text, sample, len + 1);
			text[at] = meaningful[c];
			check(text, len);
			memcpy(text + at + 1, sample + at, len - at);
			check(text, len + 1);
		}
	}
}

static void both_say_the_same_of_what_is_changed(void)
{
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
		change(samples[i]);
}

/* All texts of a few characters that mean something. */
static void both_say_the_same_of_every_short_text(void)
{
	static const char few[] = "[]{},:\"\\01-.eu n ";
	char text[4];
	size_t n = sizeof(few) - 1;

	for (size_t i = 0; i < n * n * n * n; i++) {
		size_t rest = i;

		for (size_t at = 0; at < sizeof(text); at++, rest /= n)
			text[at] = few[rest % n];
		check(text, sizeof(text));
	}
}

TAP_MAIN(CASE(both_read_the_samples_alike), CASE(both_say_the_same_of_what_is_cut_off), CASE(both_say_the_same_of_what_is_changed),
	 CASE(both_say_the_same_of_every_short_text))
