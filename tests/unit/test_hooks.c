#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "init/hooks.h"
#include "tap.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* String constants as argv and envp take them. */
#define W(text)    ((char *)(uintptr_t)(text))
#define SH(script) ((char *const[]){ W("sh"), W("-c"), W(script), NULL })

static int run_one(const char *path, char *const *argv, char *const *env, int64_t timeout_ms, const char *state, struct err *e)
{
	const struct hook_op op = {
		.path = path, .where = "hooks.prestart[0]", .argv = argv, .envp = env, .timeout_ms = timeout_ms
	};
	const struct hook_ops ops = { &op, 1 };

	return hooks_run(&ops, &(struct hook_context){ .state = state, .cwd = "/tmp" }, e);
}

static void state_is_on_standard_input(void)
{
	struct err e;

	expect(run_one("/bin/sh", SH("read -r line; [ \"$line\" = '{\"id\":\"x\"}' ]"), NULL, -1, "{\"id\":\"x\"}", &e) == 0);
}

static void failure_names_the_hook_and_its_status(void)
{
	struct err e;

	expect(run_one("/bin/sh", SH("exit 7"), NULL, -1, "{}", &e) == -ECANCELED);
	expect_str(e.text, "hooks.prestart[0]: exit status 7");
	expect(run_one("/bin/sh", SH("kill -TERM $$"), NULL, -1, "{}", &e) == -ECANCELED);
	expect_str(e.text, "hooks.prestart[0]: ended by signal 15");
	expect(run_one("/no/such/hook", SH(""), NULL, -1, "{}", &e) == -ENOENT);
	expect_str(e.text, "hooks.prestart[0]: execute: No such file or directory");
}

static void timeout_kills_the_whole_group(void)
{
	struct err e;
	int64_t before = clock_ms();

	expect(run_one("/bin/sh", SH("sleep 60 & echo $! >/tmp/drupe-hook-$PPID; wait"), NULL, 200, "{}", &e) == -ETIMEDOUT);
	expect(clock_ms() - before < 40000);
	char cmd[256];

	/* The grandchild was killed as well: soon it is gone, or a zombie that its new parent has yet to reap. */
	snprintf(cmd, sizeof(cmd),
		 "p=$(cat /tmp/drupe-hook-%d); rm /tmp/drupe-hook-%d; for i in $(seq 500); do "
		 "grep -qs '^State:.[SR]' /proc/$p/status || exit 0; sleep 0.02; done; exit 1",
		 getpid(), getpid());
	expect(system(cmd) == 0);
}

static void large_state_and_deaf_hook_do_not_block(void)
{
	size_t size = 1u << 20;
	char *state = malloc(size + 1);
	struct err e;

	memset(state, 'x', size);
	state[size] = '\0';
	expect(run_one("/bin/sh", SH("exec 0<&-; exit 0"), NULL, 10000, state, &e) == 0);
	free(state);
}

static void environment_is_exactly_the_hooks(void)
{
	struct err e;

	expect(setenv("DRUPE_TEST_LEAK", "1", 1) == 0);
	expect(run_one("/bin/sh", SH("[ -z \"$DRUPE_TEST_LEAK\" ] && [ -z \"$HOME\" ]"), NULL, -1, "{}", &e) == 0);
	expect(run_one("/bin/sh", SH("[ \"$A\" = b ]"), (char *const[]){ W("A=b"), NULL }, -1, "{}", &e) == 0);
}

static int warnings;

static void count_warning(void *ctx, enum log_level level, const char *text)
{
	(void)ctx;
	(void)text;
	warnings += level == LOG_LEVEL_WARNING;
}

static void poststop_goes_on_after_a_failure(void)
{
	char *const ok[] = { W("sh"), W("-c"), W("touch /tmp/drupe-hook-ran"), NULL };
	const struct hook_op v[] = {
		{ .path = "/bin/false",
		  .where = "hooks.poststop[0]",
		  .argv = (char *const[]){ W("false"), NULL },
		  .timeout_ms = -1 },
		{ .path = "/bin/sh",
		  .where = "hooks.poststop[1]",
		  .argv = ok,
		  .envp = (char *const[]){ W("PATH=/bin:/usr/bin"), NULL },
		  .timeout_ms = -1 },
	};

	(void)log_set_sink((struct log_sink){ .put = count_warning, .max = LOG_LEVEL_WARNING });
	/* the bundle may be gone by then */
	hooks_run_all(&(struct hook_ops){ v, 2 }, &(struct hook_context){ .state = "{}", .cwd = "/no/such/bundle" });
	expect(warnings == 1);
	expect(unlink("/tmp/drupe-hook-ran") == 0);
}

static void descriptors_do_not_reach_a_hook(void)
{
	struct err e;

	expect(dup2(1, 57) == 57);
	expect(run_one("/bin/sh", SH("[ ! -e /proc/self/fd/57 ]"), NULL, -1, "{}", &e) == 0);
	close(57);
}

TAP_MAIN(CASE(state_is_on_standard_input), CASE(failure_names_the_hook_and_its_status), CASE(timeout_kills_the_whole_group),
	 CASE(large_state_and_deaf_hook_do_not_block), CASE(environment_is_exactly_the_hooks),
	 CASE(poststop_goes_on_after_a_failure), CASE(descriptors_do_not_reach_a_hook))
