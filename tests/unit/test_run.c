#include "base/proc.h"
#include "base/run.h"
#include "base/str.h"
#include "tap.h"
#include "temp.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

static char says[64];

/* Runs a shell script with its output captured. */
static int sh(const char *script, const char *input, int64_t timeout_ms, struct err *e)
{
	char *const argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };
	char *const envp[] = { (char *)"PATH=/usr/bin:/bin", (char *)"A=b c", NULL };
	const struct run r = { .path = "/bin/sh",
			       .argv = argv,
			       .envp = envp,
			       .cwd = "/usr",
			       .input = input,
			       .timeout_ms = timeout_ms,
			       .says = says,
			       .says_room = sizeof(says) };

	strcpy(says, "stale");
	return run_program(&r, e);
}

static void exit_status_is_as_a_shell_shows_it(void)
{
	struct err e;

	expect(sh("exit 0", NULL, -1, &e) == 0);
	expect_str(says, "");
	expect(sh("exit 255", NULL, -1, &e) == 255);
	expect(sh("kill -9 $$", NULL, -1, &e) == 137);
}

static void both_outputs_are_captured_up_to_the_room(void)
{
	struct err e;

	expect(sh("echo out; echo err >&2", NULL, -1, &e) == 0);
	expect_str(says, "out\nerr\n");
	expect(sh("printf %0200d 7", NULL, -1, &e) == 0);
	expect(strlen(says) == sizeof(says) - 1);
}

static void input_is_there_as_a_whole_and_then_ends(void)
{
	struct err e;

	expect(sh("cat; cat", "one\ntwo", -1, &e) == 0);
	expect_str(says, "one\ntwo");
	expect(sh("cat; echo end", NULL, -1, &e) == 0);
	expect_str(says, "end\n");
	expect(sh("exec 0<&-; exit 3", "unread", -1, &e) == 3);
}

static void environment_and_directory_are_what_was_given(void)
{
	struct err e;
	char *const argv[] = { (char *)"env", NULL };

	expect(setenv("DRUPE_TEST_LEAK", "1", 1) == 0);
	expect(sh("echo $A $DRUPE_TEST_LEAK; pwd", NULL, -1, &e) == 0);
	expect_str(says, "b c\n/usr\n");
	expect(run_program(&(struct run){ .path = "/usr/bin/env", .argv = argv, .timeout_ms = -1, .says = says, .says_room = 64 },
			   &e) == 0);
	expect_str(says, "");
	unsetenv("DRUPE_TEST_LEAK");
}

static void it_has_a_group_of_its_own_and_default_signals(void)
{
	struct err e;
	char want[32];

	signal(SIGTERM, SIG_IGN);
	expect(sh("kill -TERM $$; exit 1", NULL, -1, &e) == 128 + SIGTERM);
	signal(SIGTERM, SIG_DFL);
	expect(sh("set -- $(cat /proc/$$/stat); [ $5 = $$ ]; echo $?", NULL, -1, &e) == 0);
	expect_str(says, "0\n");
	snprintf(want, sizeof(want), "%d\n", getpid());
	expect(sh("echo $PPID", NULL, -1, &e) == 0);
	expect_str(says, want);
}

static void no_descriptor_of_ours_reaches_it(void)
{
	struct err e;

	expect(dup2(1, 57) == 57);
	expect(sh("[ -e /proc/$$/fd/57 ]", NULL, -1, &e) == 1);
	close(57);
}

static void what_cannot_be_executed_says_why(void)
{
	char path[128];
	char *const argv[] = { (char *)"x", NULL };
	struct run r = { .path = "/no/such/program", .argv = argv, .timeout_ms = -1 };
	struct err e;

	expect(run_program(&r, &e) == -ENOENT);
	expect_str(e.text, "execute: No such file or directory");
	r.path = "/etc";
	expect(run_program(&r, &e) == -EACCES);
	expect_str(e.text, "execute: Permission denied");
	(void)temp_dir();
	snprintf(path, sizeof(path), "%s/fifo", temp_path);
	expect(mkfifo(path, 0755) == 0);
	r.path = path;
	alarm(60);
	expect(run_program(&r, &e) == -EACCES);
	alarm(0);
	r.path = "/bin/true";
	r.cwd = "/no/such";
	expect(run_program(&r, &e) == -ENOENT);
	expect_str(e.text, "chdir /no/such: No such file or directory");
}

static void the_deadline_kills_the_whole_group(void)
{
	struct err e;
	char script[256], path[128];

	(void)temp_dir();
	snprintf(path, sizeof(path), "%s/locked", temp_path);
	snprintf(script, sizeof(script), "echo before; exec 9>%s; flock 9; sleep 1000 & wait", path);
	expect(sh(script, NULL, 1500, &e) == -ETIMEDOUT);
	expect_str(e.text, "killed after its timeout of 1500 ms");
	expect_str(says, "before\n");
	/* The child of the shell held the lock too: it is free as soon as the last of them is gone. */
	snprintf(script, sizeof(script), "flock %s true", path);
	alarm(60);
	expect(sh(script, NULL, -1, &e) == 0);
	alarm(0);
}

static void failure(int status, const char *output, const char *want)
{
	struct err e;

	expect(run_failed(status, output, "prog", EPERM, &e) == -EPERM && e.code == EPERM);
	expect_str(e.text, want);
}

static void a_failure_is_told_in_its_own_words_on_one_line(void)
{
	failure(1, "prog: not\n\tallowed\n\n", "not allowed");
	failure(1, "program: no\n", "program: no");
	failure(1, "a\033[1mb\r\n", "a [1mb");
	failure(2, "", "exit status 2");
	failure(2, " \n", "exit status 2");
	failure(2, NULL, "exit status 2");
	failure(139, "", "ended by signal 11");
	failure(139, "last words", "last words");
}

static void endless_words_are_cut(void)
{
	char text[2000];
	struct err e;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	(void)run_failed(1, text, "prog", EIO, &e);
	expect(strlen(e.text) > 400 && strlen(e.text) < ERR_TEXT_MAX);
}

TAP_MAIN(CASE(exit_status_is_as_a_shell_shows_it), CASE(both_outputs_are_captured_up_to_the_room),
	 CASE(input_is_there_as_a_whole_and_then_ends), CASE(environment_and_directory_are_what_was_given),
	 CASE(it_has_a_group_of_its_own_and_default_signals), CASE(no_descriptor_of_ours_reaches_it),
	 CASE(what_cannot_be_executed_says_why), CASE(the_deadline_kills_the_whole_group),
	 CASE(a_failure_is_told_in_its_own_words_on_one_line), CASE(endless_words_are_cut))
