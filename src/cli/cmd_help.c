/* help, version: text made from the tables. A screen is 80 columns by 24 lines. */
#include "cli/cli.h"
#include "commit.h"
#include "oci/features.h"

#include <errno.h>
#include <string.h>

static void add_command_help(const struct command *cmd, struct strbuf *out)
{
	strbuf_printf(out, "Usage: drupe %s%s%s%s\n%s\n\n", cmd->name, cmd->opts ? " [flags]" : "", *cmd->operands ? " " : "",
		      cmd->operands, cmd->help);
	if (cmd->opts) {
		opt_help(cmd->opts, out);
		strbuf_puts(out, "\n");
	}
	strbuf_printf(out, "Example: drupe %s\n", cmd->example);
}

/* Commands in two columns. */
static void add_program_help(struct strbuf *out)
{
	const struct command *shown[32];
	size_t n = 0;

	for (size_t i = 0; cli_commands[i] && n < sizeof(shown) / sizeof(shown[0]); i++)
		if (!cli_commands[i]->unlisted)
			shown[n++] = cli_commands[i];
	strbuf_puts(out, "Usage: drupe [global flags] COMMAND [flags] [arguments]\n"
			 "Runs OCI containers. `drupe COMMAND --help` explains a command.\n\n");
	for (size_t half = (n + 1) / 2, i = 0; i < half; i++) {
		const struct command *left = shown[i], *right = i + half < n ? shown[i + half] : NULL;

		strbuf_printf(out, "  %-11s%-*s", left->name, right ? 27 : 0, left->brief);
		if (right)
			strbuf_printf(out, "  %-11s%s", right->name, right->brief);
		strbuf_puts(out, "\n");
	}
	strbuf_puts(out, "\n");
	opt_help(&cli_globals, out);
}

int cli_print_help(struct cli *c, const struct command *cmd, struct err *e)
{
	struct strbuf out = STRBUF(c->arena);

	if (cmd)
		add_command_help(cmd, &out);
	else
		add_program_help(&out);
	return cli_print(c, &out, e);
}

/* Callers take every line that has the word "version" in it for the first. */
int cli_print_version(struct cli *c, struct err *e)
{
	struct strbuf out = STRBUF(c->arena);

	strbuf_printf(&out, "drupe version %s\ncommit: %s\nspec: %s\n", DRUPE_VERSION, DRUPE_COMMIT, OCI_VERSION_MAX);
	return cli_print(c, &out, e);
}

static int run_help(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e)
{
	const struct command *cmd = rest->n ? cli_find(rest->args[0]) : NULL;

	(void)opts;
	if (rest->n && !cmd)
		return err_set(e, EINVAL, "unknown command \"%.60s\" (see drupe --help)", rest->args[0]);
	return cli_print_help(c, cmd, e);
}

const struct command cmd_help = {
	.name = "help",
	.operands = "[COMMAND]",
	.brief = "explain a command",
	.help = "Prints what a command does, or the list of commands.",
	.example = "help exec",
	.max = 1,
	.no_root = true,
	.unlisted = true,
	.run = run_help,
};

static int run_version(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e)
{
	(void)opts;
	(void)rest;
	return cli_print_version(c, e);
}

const struct command cmd_version = {
	.name = "version",
	.operands = "",
	.brief = "print the version",
	.help = "Prints version, commit and the OCI specification this build implements.",
	.example = "version",
	.no_root = true,
	.unlisted = true,
	.run = run_version,
};
