/* The lines that the systemd helper reads. */
#include "base/str.h"
#include "helpers/systemd_job.h"
#include "tap.h"

#include <errno.h>

static int parse(const char *text, struct arena *a, struct job *out, struct err *e)
{
	return job_parse(arena_strdup(a, text), a, out, e);
}

static void a_job_is_read_line_by_line(void)
{
	struct arena a = { 0 };
	struct job j;
	struct err e;

	expect(parse("start drupe-c1.scope\nmanager user\npid 42\nexpect /a\\x20b\nproperty MemoryMax t 5\n"
		     "property DeviceAllow a(ss)\nproperty Description s two\\x20words \\e\n",
		     &a, &j, &e) == 0);
	expect(j.verb == JOB_START && j.user && j.pid == 42 && j.n == 3);
	expect_str(j.unit, "drupe-c1.scope");
	expect_str(j.expect, "/a b");
	expect_str(j.properties[0].type, "t");
	expect(j.properties[1].n == 0);
	expect(j.properties[2].n == 2);
	expect_str(j.properties[2].words[0], "two words");
	expect_str(j.properties[2].words[1], "");
	arena_release(&a);
}

static void every_verb_is_known(void)
{
	struct arena a = { 0 };
	struct job j;
	struct err e;

	expect(parse("stop u\n", &a, &j, &e) == 0 && j.verb == JOB_STOP && !j.user);
	expect(parse("set u\nmanager system\n", &a, &j, &e) == 0 && j.verb == JOB_SET && !j.user);
	expect(parse("attach u\npid 7\nbelow /sub\n", &a, &j, &e) == 0 && j.verb == JOB_ATTACH);
	expect_str(j.below, "/sub");
	expect(parse("stop u\ninvocation 0123456789abcdef0123456789abcdef\n", &a, &j, &e) == 0);
	expect_str(j.invocation, "0123456789abcdef0123456789abcdef");
	expect(parse("stop u\ninvocation 0123456789abcdef0123456789abcde/\n", &a, &j, &e) == -EINVAL);
	arena_release(&a);
}

static void properties_know_which_systemd_has_them(void)
{
	struct arena a = { 0 };
	struct job j;
	struct err e;

	expect(parse("set u\nproperty AllowedCPUs ay 03\nproperty CPUWeight t 0\nproperty CPUWeight t 100\nproperty TasksMax t 1\n",
		     &a, &j, &e) == 0);
	expect(j.properties[0].since == 244 && j.properties[1].since == 252 && !j.properties[2].since && !j.properties[3].since);
	arena_release(&a);
}

static void what_is_not_understood_is_refused(void)
{
	static const struct {
		const char *text, *error;
	} bad[] = {
		{ "", "job: is empty" },
		{ "start u", "job: the last line has no end" },
		{ "start \n", "job: start: no unit" },
		{ "restart u\n", "job: \"restart\" is nothing that can be done" },
		{ "start u\nmanager root\n", "job: unknown line \"manager\"" },
		{ "start u\ncolour red\n", "job: unknown line \"colour\"" },
		{ "attach u\n", "job: attach: no pid" },
		{ "start u\nproperty X\n", "job: a property needs a name and a type" },
		{ "start u\nproperty X s a  b\n", "job: property X: two blanks in a row" },
		{ "start u\nproperty X s \\x4\n", "job: unknown escape in \"\\x4\"" },
		{ "start u\nproperty X s \\x00\n", "job: unknown escape in \"\\x00\"" },
		{ "start u\nproperty X s \\n\n", "job: unknown escape in \"\\n\"" },
	};
	struct arena a = { 0 };
	struct job j;
	struct err e;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		expect(parse(bad[i].text, &a, &j, &e) == -EINVAL);
		expect_str(e.text, bad[i].error);
	}
	expect(parse("start u\npid 5x\n", &a, &j, &e) == -EINVAL);
	arena_release(&a);
}

TAP_MAIN(CASE(a_job_is_read_line_by_line), CASE(every_verb_is_known), CASE(properties_know_which_systemd_has_them),
	 CASE(what_is_not_understood_is_refused))
