/* Hooks are run by base/run.c; what is theirs alone is the environment when the config gives none, what counts as failure, and the
 * confinement of those that are programs of the container: its image is not trusted, so they are as confined as its process. */
#include "init/hooks.h"
#include "base/log.h"
#include "base/run.h"

#include <errno.h>
#include <unistd.h>

static int confine(const void *how, struct err *e)
{
	const struct hook_context *ctx = how;

	return sec_apply_hook(ctx->sec, ctx->proc_fd, e);
}

static int run_hook(const struct hook_op *op, const struct hook_context *ctx, struct err *e)
{
	int status = run_program(&(struct run){ .path = op->path,
						.argv = op->argv,
						.envp = op->envp ? op->envp : ctx->default_env,
						.cwd = ctx->cwd,
						.input = ctx->state,
						.timeout_ms = op->timeout_ms,
						.confine = ctx->sec ? confine : NULL,
						.how = ctx },
				 e);

	return status > 0 ? run_failed(status, NULL, op->path, ECANCELED, e) : status;
}

int hooks_run(const struct hook_ops *ops, const struct hook_context *ctx, struct err *e)
{
	for (size_t i = 0; i < ops->n; i++)
		if (run_hook(&ops->v[i], ctx, e) < 0)
			return err_in(e, "%s", ops->v[i].where);
	return 0;
}

void hooks_run_all(const struct hook_ops *ops, const struct hook_context *ctx)
{
	struct hook_context there = *ctx;
	struct err e;

	if (there.cwd && access(there.cwd, X_OK) < 0)
		there.cwd = "/";
	for (size_t i = 0; i < ops->n; i++)
		if (run_hook(&ops->v[i], &there, &e) < 0)
			log_warn("%s: %s", ops->v[i].where, e.text);
}
