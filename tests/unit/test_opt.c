/* The option parser: style, values, errors, help. */
#include "cli/opt.h"
#include "tap.h"

#include <errno.h>

static const char *const formats[] = { "table", "json", NULL };

struct sample {
	bool detach, all;
	struct opt_flag tty;
	const char *bundle, *format, *user;
	unsigned fds;
	struct opt_list env;
	int64_t interval;
};

OPT_TABLE(table, struct sample, OPT_BOOL(struct sample, detach, "detach", "d", "do not wait"),
	  OPT_BOOL(struct sample, all, "all", "a", "every one"), OPT_FLAG(struct sample, tty, "tty", "t", "a terminal"),
	  OPT_STR(struct sample, bundle, "bundle", "b", "DIR", "directory"),
	  OPT_CHOICE(struct sample, format, "format", NULL, "FMT", "table or json", formats),
	  OPT_STR(struct sample, user, "user", "uU", "UID", "user"),
	  OPT_U32(struct sample, fds, "preserve-fds", NULL, "N", "descriptors"),
	  OPT_LIST(struct sample, env, "env", "e", "NAME=VALUE", "variable"),
	  OPT_DURATION(struct sample, interval, "interval", NULL, "TIME", NULL));

static struct arena arena;
static struct sample s;
static struct opt_rest rest;
static struct err e;

/* Splits at blanks. '' is an empty argument. */
static int parse_as(const char *line, bool in_order)
{
	static char copy[512];
	char *argv[32], *save = NULL;
	int argc = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = strcmp(w, "''") ? w : w + 2;
	arena_release(&arena);
	memset(&s, 0, sizeof(s));
	memset(&rest, 0, sizeof(rest));
	memset(&e, 0, sizeof(e));
	return opt_parse(&table, argc, argv, in_order, &arena, &s, &rest, &e);
}

static int parse(const char *line)
{
	return parse_as(line, false);
}

static void expect_error(const char *line, const char *text)
{
	if (parse(line) != -EINVAL) {
		printf("# accepted: %s\n", line);
		tap_failed = true;
		return;
	}
	expect_str(e.text, text);
}

static void value_follows_or_is_joined_with_one_dash_or_two(void)
{
	static const char *const lines[] = { "--bundle /b id", "--bundle=/b id", "-bundle /b id",  "-bundle=/b id", "-b /b id",
					     "-b=/b id",       "-b/b id",        "id --bundle /b", "id -b /b" };

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		expect(parse(lines[i]) == 0);
		expect_str(s.bundle ? s.bundle : "NULL", "/b");
		expect(rest.n == 1);
		expect_str(rest.args[0], "id");
		expect(!rest.args[1]);
	}
}

static void booleans_take_a_value_only_by_equals(void)
{
	expect(parse("--detach id") == 0 && s.detach && rest.n == 1);
	expect(parse("--detach=true") == 0 && s.detach);
	expect(parse("--detach=1") == 0 && s.detach);
	expect(parse("--detach=T") == 0 && s.detach);
	expect(parse("--detach --detach=false") == 0 && !s.detach);
	expect(parse("-d=0") == 0 && !s.detach);
	expect(parse("--detach false") == 0 && s.detach && rest.n == 1);
	expect_error("--detach=maybe", "--detach: expected true or false, got \"maybe\"");
	expect_error("--detach=", "--detach: expected true or false, got \"\"");
}

static void a_flag_tells_whether_it_was_given(void)
{
	expect(parse("id") == 0 && !s.tty.set);
	expect(parse("--tty=false") == 0 && s.tty.set && !s.tty.value);
	expect(parse("-t") == 0 && s.tty.set && s.tty.value);
}

static void the_last_of_repeated_flags_wins(void)
{
	expect(parse("--bundle /a --bundle=/b -b /c") == 0);
	expect_str(s.bundle, "/c");
}

static void lists_grow_in_order(void)
{
	expect(parse("id") == 0 && !s.env.v && s.env.n == 0);
	expect(parse("-e A=1 --env=B=2=3 -eC= -e=D --env ''") == 0);
	expect(s.env.n == 5);
	expect_str(s.env.v[0], "A=1");
	expect_str(s.env.v[1], "B=2=3");
	expect_str(s.env.v[2], "C=");
	expect_str(s.env.v[3], "D");
	expect_str(s.env.v[4], "");
	expect(!s.env.v[5]);
}

static void a_list_may_be_long(void)
{
	static char flag[] = "--env", value[] = "value";
	char *argv[600];

	for (size_t i = 0; i < 600; i++)
		argv[i] = i % 2 ? value : flag;
	memset(&s, 0, sizeof(s));
	expect(opt_parse(&table, 600, argv, false, &arena, &s, &rest, &e) == 0);
	expect(s.env.n == 300 && !s.env.v[300]);
	expect_str(s.env.v[299], "value");
}

static void letters_may_be_bundled(void)
{
	expect(parse("-dta id") == 0 && s.detach && s.tty.value && s.all && rest.n == 1);
	expect(parse("-dtu 1000 id") == 0 && s.detach && rest.n == 1);
	expect_str(s.user, "1000");
	expect(parse("-tu1000:5 id") == 0);
	expect_str(s.user, "1000:5");
	expect(parse("-U 7") == 0);
	expect_str(s.user, "7");
	expect_error("-dx", "unknown flag: -dx");
}

static void a_value_may_look_like_a_flag(void)
{
	expect(parse("--bundle --detach id") == 0 && !s.detach);
	expect_str(s.bundle, "--detach");
	expect(parse("--user -1") == 0);
	expect_str(s.user, "-1");
}

static void an_empty_value_is_a_value(void)
{
	expect(parse("--bundle= id") == 0);
	expect_str(s.bundle, "");
	expect(parse("--bundle '' id") == 0 && rest.n == 1);
	expect_str(s.bundle, "");
}

static void flags_stop_at_double_dash(void)
{
	expect(parse("-d -- --bundle /b") == 0 && s.detach && !s.bundle && rest.n == 2);
	expect_str(rest.args[0], "--bundle");
	expect(parse("- id") == 0 && rest.n == 2);
	expect_str(rest.args[0], "-");
}

static void in_order_flags_stop_at_the_first_operand(void)
{
	expect(parse_as("-d id sh -t --help -- x", true) == 0);
	expect(s.detach && !s.tty.set && !rest.help && rest.n == 6);
	expect_str(rest.args[0], "id");
	expect_str(rest.args[2], "-t");
	expect_str(rest.args[4], "--");
}

static void unknown_flags_are_refused(void)
{
	expect_error("--nope", "unknown flag: --nope");
	expect_error("--nope=1", "unknown flag: --nope=1");
	expect_error("-nope", "unknown flag: -nope");
}

static void prefixes_of_names_are_unknown(void)
{
	expect_error("--bund /b", "unknown flag: --bund");
	expect_error("--bundles /b", "unknown flag: --bundles");
	expect_error("--=x", "unknown flag: --=x");
	expect_error("-=x", "unknown flag: -=x");
	expect_error("---detach", "unknown flag: ---detach");
}

static void a_missing_value_says_what_callers_look_for(void)
{
	expect_error("id --bundle", "flag needs an argument: --bundle");
	expect_error("-b", "flag needs an argument: --bundle");
	expect_error("-du", "flag needs an argument: --user");
	expect_error("-env", "flag needs an argument: --env");
}

static void numbers_are_strict(void)
{
	static const char *const bad[] = { "--preserve-fds=-1", "--preserve-fds=x", "--preserve-fds=", "--preserve-fds=+3",
					   "--preserve-fds=0x3" };

	expect(parse("--preserve-fds 3") == 0 && s.fds == 3);
	expect(parse("--preserve-fds=4294967295") == 0 && s.fds == 4294967295u);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		expect(parse(bad[i]) < 0);
		expect(str_starts(e.text, "--preserve-fds: "));
	}
	expect(parse("--preserve-fds 4294967296") < 0);
}

static void choices_are_named_in_the_error(void)
{
	expect(parse("--format json") == 0);
	expect_str(s.format, "json");
	expect_error("--format xml", "--format: expected one of table, json, got \"xml\"");
}

static void durations_are_written_as_in_go(void)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
		{ "5s", 5000 }, { "1m30s", 90000 }, { "250ms", 250 }, { "2h", 7200000 }, { "0", 0 }, { "1h1m1s1ms", 3661001 }
	};
	static const char *const bad[] = { "", "5", "s", "5x", "5s3", "-5s", "1.5s", "5 s" };
	int64_t ms = -1;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		expect(opt_duration(good[i].text, &ms, &e) == 0);
		expect(ms == good[i].ms);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect(opt_duration(bad[i], &ms, &e) == -EINVAL);
	expect(opt_duration("99999999999999999999s", &ms, &e) == -ERANGE);
	expect(opt_duration("9223372036854775807h", &ms, &e) == -ERANGE);
	expect(parse("--interval 1m30s") == 0 && s.interval == 90000);
}

static void help_wins_over_what_follows_only(void)
{
	expect(parse("--help --nope") == 0 && rest.help);
	expect(parse("id -h") == 0 && rest.help);
	expect_error("--nope --help", "unknown flag: --nope");
}

static void help_text_is_made_from_the_table(void)
{
	struct strbuf out = STRBUF(&arena);

	opt_help(&table, &out);
	expect(strstr(strbuf_str(&out), "  -d, --detach          do not wait\n") != NULL);
	expect(strstr(strbuf_str(&out), "  -e, --env NAME=VALUE  variable\n") != NULL);
	expect(strstr(strbuf_str(&out), "      --preserve-fds N  descriptors\n") != NULL);
	expect(!strstr(strbuf_str(&out), "interval"));
}

TAP_MAIN(CASE(value_follows_or_is_joined_with_one_dash_or_two), CASE(booleans_take_a_value_only_by_equals),
	 CASE(a_flag_tells_whether_it_was_given), CASE(the_last_of_repeated_flags_wins), CASE(lists_grow_in_order),
	 CASE(a_list_may_be_long), CASE(letters_may_be_bundled), CASE(a_value_may_look_like_a_flag),
	 CASE(an_empty_value_is_a_value), CASE(flags_stop_at_double_dash), CASE(in_order_flags_stop_at_the_first_operand),
	 CASE(unknown_flags_are_refused), CASE(prefixes_of_names_are_unknown), CASE(a_missing_value_says_what_callers_look_for),
	 CASE(numbers_are_strict), CASE(choices_are_named_in_the_error), CASE(durations_are_written_as_in_go),
	 CASE(help_wins_over_what_follows_only), CASE(help_text_is_made_from_the_table))
