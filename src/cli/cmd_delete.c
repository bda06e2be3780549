/* delete */
#include "cli/cli.h"

struct delete_flags {
	bool force, regex;
};

OPT_TABLE(delete_table, struct delete_flags,
	  OPT_BOOL(struct delete_flags, force, "force", "f", "kill it first; no error when there is none"),
	  OPT_BOOL(struct delete_flags, regex, "regex", "r", "CONTAINER is an extended regular expression"));

static int delete_one(struct cli *c, const char *id, void *ctx, struct err *e)
{
	return container_delete(&c->rt, id, ((const struct delete_flags *)ctx)->force, e);
}

static int run_delete(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e)
{
	return cli_each(c, ((const struct delete_flags *)opts)->regex, rest->args[0], delete_one, opts, e);
}

const struct command cmd_delete = {
	.name = "delete",
	.operands = "CONTAINER",
	.brief = "remove a container",
	.help = "Removes a container that has stopped or was never started.",
	.example = "delete --force web",
	.opts = &delete_table,
	.min = 1,
	.max = 1,
	.run = run_delete,
};
