/* hooks.h - running the hooks of a config (runtime-spec "POSIX-platform Hooks") */
#pragma once
#include "plan/plan.h"

struct hook_context {
	const char *state;  /* state document, one line of JSON; the hook finds it on its standard input */
	const char *cwd;    /* working directory; NULL: as it is */
	char *const *default_env; /* used when the hook has no env; NULL: an empty environment */
	const struct sec_plan *sec; /* of the container's process, for programs of the container: they get no more than it; or NULL */
	int proc_fd;                /* for sec, as of sec_apply_final() */
};

/* Runs the hooks in order, each to its end. The first that fails (non-zero status, signal, not executable, longer than its timeout,
 * after which it and its process group are killed) ends the run with its error. */
must_check int hooks_run(const struct hook_ops *ops, const struct hook_context *ctx, struct err *e);

/* Runs all of them; failures are warnings (poststop). Where cwd is gone by then, they run in "/". */
void hooks_run_all(const struct hook_ops *ops, const struct hook_context *ctx);
