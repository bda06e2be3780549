/* start, pause, resume: one container, no flags */
#include "cli/cli.h"

static int run_start(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e)
{
	(void)opts;
	return cli_done(container_start(&c->rt, rest->args[0], e));
}

static int run_pause(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e)
{
	(void)opts;
	return cli_done(container_pause(&c->rt, rest->args[0], true, e));
}

static int run_resume(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e)
{
	(void)opts;
	return cli_done(container_pause(&c->rt, rest->args[0], false, e));
}

const struct command cmd_start = {
	.name = "start",
	.operands = "CONTAINER",
	.brief = "run its program",
	.help = "Runs the program of a container that `create` has made.",
	.example = "start web",
	.min = 1,
	.max = 1,
	.run = run_start,
};

const struct command cmd_pause = {
	.name = "pause",
	.operands = "CONTAINER",
	.brief = "freeze its processes",
	.help = "Freezes every process of a container until `resume`.",
	.example = "pause web",
	.min = 1,
	.max = 1,
	.run = run_pause,
};

const struct command cmd_resume = {
	.name = "resume",
	.operands = "CONTAINER",
	.brief = "let them go on",
	.help = "Lets the processes of a paused container go on.",
	.example = "resume web",
	.min = 1,
	.max = 1,
	.run = run_resume,
};
