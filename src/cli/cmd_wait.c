/* wait */
#include "cli/cli.h"

static int run_wait(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e)
{
	struct strbuf out = STRBUF(c->arena);
	int status = 0, r = container_wait(&c->rt, rest->args[0], &status, e);

	(void)opts;
	if (r < 0)
		return r;
	strbuf_printf(&out, "%d\n", status);
	return cli_print(c, &out, e);
}

const struct command cmd_wait = {
	.name = "wait",
	.operands = "CONTAINER",
	.brief = "print its exit status",
	.help = "Waits for a container to end and prints its exit status (128 + number when a\nsignal ended it); also afterwards, "
		"if it was created with --record-exit or was\nrun with --keep.",
	.man = "The exit status of a process is kept for its parent, and the parent of a container's init is whoever called "
	       "create. "
	       "What others can learn depends on the kernel: before the parent has collected the status, everybody who may trace "
	       "the "
	       "process; afterwards who held a pidfd of it (Linux 6.15), which --record-exit makes the state directory do. Where "
	       "nothing is known, wait says so and fails.",
	.example = "wait web",
	.min = 1,
	.max = 1,
	.run = run_wait,
};
