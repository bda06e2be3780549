/* Manual pages, in the man(7) macros. */
#include "cli/generate.h"

#include <ctype.h>
#include <string.h>

static void add_text(struct strbuf *out, const char *text)
{
	bool line_start = true;

	for (const char *p = text; *p; p++) {
		if (line_start && (*p == '.' || *p == '\''))
			strbuf_puts(out, "\\&");
		if (*p == '\\')
			strbuf_puts(out, "\\e");
		else if (*p == '-')
			strbuf_puts(out, "\\-");
		else
			strbuf_add(out, p, 1);
		line_start = *p == '\n';
	}
}

static void add_section(struct strbuf *out, const char *name)
{
	strbuf_printf(out, ".SH %s\n", name);
}

static void add_paragraph(struct strbuf *out, const char *text)
{
	strbuf_puts(out, ".PP\n");
	add_text(out, text);
	strbuf_puts(out, "\n");
}

/* .TP, a line in bold with words in italics, a text. */
static void add_item(struct strbuf *out, const char *bold, const char *italic, const char *text)
{
	strbuf_puts(out, ".TP\n\\fB");
	add_text(out, bold);
	strbuf_puts(out, "\\fR");
	if (italic) {
		strbuf_puts(out, " \\fI");
		add_text(out, italic);
		strbuf_puts(out, "\\fR");
	}
	strbuf_puts(out, "\n");
	add_text(out, text);
	strbuf_puts(out, "\n");
}

static void add_options(struct strbuf *out, const struct opt_table *t)
{
	auto_arena struct arena a = { 0 };

	for (size_t i = 0; i < t->n; i++) {
		const struct opt *o = &t->v[i];
		struct strbuf names = STRBUF(&a);

		if (!o->help)
			continue;
		for (const char *c = o->letters; c && *c; c++)
			strbuf_printf(&names, "-%c, ", *c);
		strbuf_printf(&names, "--%s", o->name);
		add_item(out, strbuf_str(&names), o->arg, o->help);
	}
}

static void add_header(struct strbuf *out, const char *name, const char *brief)
{
	auto_arena struct arena a = { 0 };
	char *upper = arena_strdup(&a, name);

	for (char *p = upper; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	strbuf_printf(out, ".TH %s 1 \"\" \"drupe " DRUPE_VERSION "\" \"User Commands\"\n", upper);
	add_section(out, "NAME");
	add_text(out, name);
	strbuf_puts(out, " \\- ");
	add_text(out, brief);
	strbuf_puts(out, "\n");
}

static void add_synopsis(struct strbuf *out, const char *flags, const char *operands)
{
	add_section(out, "SYNOPSIS");
	strbuf_puts(out, "\\fBdrupe\\fR [\\fIglobal flags\\fR] ");
	strbuf_puts(out, flags);
	if (*operands)
		strbuf_puts(out, " \\fI");
	add_text(out, operands);
	strbuf_puts(out, *operands ? "\\fR\n" : "\n");
}

static void add_exit_status(struct strbuf *out, const struct command *cmd)
{
	add_section(out, "EXIT STATUS");
	if (str_eq(cmd->name, "run") || str_eq(cmd->name, "exec"))
		add_item(out, "0 to 255", NULL, "That of the program, 128 + number when a signal ended it; 0 with --detach.");
	else
		add_item(out, "0", NULL, "It was done.");
	add_item(out, cmd->fail_status ? "255" : "1", NULL, "It was not done. The reason is one line on standard error.");
}

static void man_of_command(const struct command *cmd, struct strbuf *out)
{
	auto_arena struct arena a = { 0 };

	add_header(out, arena_printf(&a, "drupe-%s", cmd->name), cmd->brief);
	add_synopsis(out, arena_printf(&a, "\\fB%s\\fR%s", cmd->name, cmd->opts ? " [\\fIflags\\fR]" : ""), cmd->operands);
	add_section(out, "DESCRIPTION");
	add_text(out, cmd->help);
	strbuf_puts(out, "\n");
	if (cmd->man)
		add_paragraph(out, cmd->man);
	if (cmd->opts) {
		add_section(out, "OPTIONS");
		add_options(out, cmd->opts);
	}
	add_exit_status(out, cmd);
	add_section(out, "EXAMPLE");
	strbuf_puts(out, ".nf\n.B drupe ");
	add_text(out, cmd->example);
	strbuf_puts(out, "\n.fi\n");
	add_section(out, "SEE ALSO");
	strbuf_puts(out, ".BR drupe (1)\n");
}

static void add_commands(struct strbuf *out)
{
	for (const struct command *const *c = cli_commands; *c; c++) {
		strbuf_printf(out, ".TP\n.BR drupe\\-%s (1)\n", (*c)->name);
		add_text(out, (*c)->brief);
		strbuf_puts(out, "\n");
	}
}

static void man_of_program(struct strbuf *out)
{
	add_header(out, "drupe", "run OCI containers");
	add_synopsis(out, "\\fICOMMAND\\fR [\\fIflags\\fR]", "[arguments]");
	add_section(out, "DESCRIPTION");
	add_text(out, "drupe takes an OCI bundle, a root file system and a config.json, and runs the process in it, isolated by "
		      "the means of "
		      "the Linux kernel. Container engines call it as they call any OCI runtime.");
	add_paragraph(
		out,
		"What a configuration asks for and this host cannot do is refused, and nothing is left behind; drupe-check(1) and "
		"drupe-plan(1) say so beforehand.");
	add_paragraph(out, "Flags are accepted as --flag value, --flag=value, and with one dash; the last of several wins.");
	add_section(out, "GLOBAL FLAGS");
	add_options(out, &cli_globals);
	add_section(out, "COMMANDS");
	add_commands(out);
	add_section(out, "ENVIRONMENT");
	add_item(out, "XDG_RUNTIME_DIR", NULL, "Where the state directory of a user other than root is.");
	add_item(out, "LISTEN_FDS, LISTEN_PID", NULL, "Descriptors that the program of the container gets (socket activation).");
	add_item(out, "NOTIFY_SOCKET", NULL,
		 "The program of the container gets a socket of its own (sd_notify), and what it says of its state is passed on to "
		 "this "
		 "one. start and run --detach return when it has said READY=1.");
	add_item(out, "NO_COLOR", NULL, "When set and not empty, tables on a terminal have no colours.");
	add_section(out, "FILES");
	add_item(out, "/run/drupe", NULL, "State of the containers, without --root.");
	add_section(out, "EXIT STATUS");
	add_text(out, "0, or 1 when something failed; run and exec return the status of the program, and exec 255 when there was "
		      "none.\n");
	add_section(out, "EXAMPLE");
	strbuf_puts(out, ".nf\n.B drupe spec \\-\\-bundle /srv/web\n.B drupe run \\-\\-bundle /srv/web web\n.fi\n");
}

void generate_man(const struct command *cmd, struct strbuf *out)
{
	if (cmd)
		man_of_command(cmd, out);
	else
		man_of_program(out);
}
