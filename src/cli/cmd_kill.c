/* kill */
#include "cli/cli.h"

#include <signal.h>

struct kill_flags {
	bool all, regex;
	int sig;
};

OPT_TABLE(kill_table, struct kill_flags,
	  OPT_BOOL(struct kill_flags, all, "all", "a", "every process, when it has no own pid namespace"),
	  OPT_BOOL(struct kill_flags, regex, "regex", "r", "CONTAINER is an extended regular expression"));

static int kill_one(struct cli *c, const char *id, void *ctx, struct err *e)
{
	const struct kill_flags *f = ctx;

	return container_kill(&c->rt, id, f->sig, f->all, e);
}

static int run_kill(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e)
{
	struct kill_flags *f = opts;

	f->sig = SIGTERM;
	if (rest->n > 1) {
		int r = signal_parse(rest->args[1], &f->sig, e);

		if (r < 0)
			return r;
	}
	return cli_each(c, f->regex, rest->args[0], kill_one, f, e);
}

const struct command cmd_kill = {
	.name = "kill",
	.operands = "CONTAINER [SIGNAL]",
	.brief = "send a signal",
	.help = "Sends a signal (TERM) to a container's init. A signal is a number or a name:\n9, KILL, SIGKILL, RTMIN+3.",
	.example = "kill web KILL",
	.opts = &kill_table,
	.min = 1,
	.max = 2,
	.only_looks = true,
	.run = run_kill,
};
