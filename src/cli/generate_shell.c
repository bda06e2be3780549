/* Completions for bash, zsh and fish. Names of containers come from `drupe list --quiet`, with the --root of the command line. */
#include "cli/generate.h"

#include <string.h>

static const struct opt_table no_opts;

static const struct opt_table *opts_of(const struct command *cmd)
{
	return !cmd ? &cli_globals : cmd->opts ? cmd->opts : &no_opts;
}

static void add_words(struct strbuf *out, const char *const *words)
{
	for (size_t i = 0; words[i]; i++)
		strbuf_printf(out, "%s%s", i ? " " : "", words[i]);
}

static void add_commands(struct strbuf *out)
{
	for (const struct command *const *c = cli_commands; *c; c++)
		strbuf_printf(out, "%s%s", c == cli_commands ? "" : " ", (*c)->name);
}

/* ---- bash ---- */

static const char *const bash_kinds[] = {
	[COMPLETES_NOTHING] = "nothing",     [COMPLETES_FILE] = "file",       [COMPLETES_DIR] = "dir",
	[COMPLETES_CONTAINER] = "container", [COMPLETES_COMMAND] = "command", [COMPLETES_SIGNAL] = "signal",
	[COMPLETES_WORDS] = "words",
};

static void bash_kind(enum completes what, const char *words, struct strbuf *out)
{
	strbuf_printf(out, " kind='%s'", bash_kinds[what]);
	if (what == COMPLETES_WORDS)
		strbuf_printf(out, " words='%s'", words);
	strbuf_puts(out, " ;;\n");
}

static void bash_values(const struct command *cmd, struct strbuf *out)
{
	auto_arena struct arena a = { 0 };
	const struct opt_table *t = opts_of(cmd);
	const char *name = cmd ? cmd->name : "", *words = NULL;

	for (size_t i = 0; i < t->n; i++) {
		const struct opt *o = &t->v[i];

		if (!opt_takes_value(o))
			continue;
		strbuf_printf(out, "    %s:--%s | %s:-%s", name, o->name, name, o->name);
		for (const char *c = o->letters; c && *c; c++)
			strbuf_printf(out, " | %s:-%c", name, *c);
		strbuf_puts(out, ")");
		enum completes what = opt_completes(o, &a, &words);

		bash_kind(what, words, out);
	}
}

static void bash_flags(const struct command *cmd, struct strbuf *out)
{
	const struct opt_table *t = opts_of(cmd);

	strbuf_printf(out, "    %s) flags='--help", cmd ? cmd->name : "''");
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].help)
			strbuf_printf(out, " --%s", t->v[i].name);
	strbuf_puts(out, "' ;;\n");
}

static void bash_operands(const struct command *cmd, struct strbuf *out)
{
	auto_arena struct arena a = { 0 };
	const char *const *labels = operand_labels(cmd, &a), *words = NULL;

	for (size_t i = 0; labels[i]; i++) {
		enum completes what = what_completes(labels[i], &a, &words);

		strbuf_printf(out, "    %s:%zu%s)", cmd->name, i,
			      cmd->max == OPERANDS_ANY && !cmd->in_order && !labels[i + 1] ? "*" : "");
		bash_kind(what, words, out);
	}
}

void generate_bash(struct strbuf *out)
{
	strbuf_puts(out, "# bash completion for drupe; made by its build from the tables of its flags\n\n"
			 "# _drupe_value COMMAND:FLAG: sets kind and words to what its value is; status 1: it takes none.\n"
			 "_drupe_value() {\n    case $1 in\n");
	bash_values(NULL, out);
	for (const struct command *const *c = cli_commands; *c; c++)
		bash_values(*c, out);
	strbuf_puts(out, "    *) return 1 ;;\n    esac\n}\n\n_drupe_flags() {\n    case $1 in\n");
	bash_flags(NULL, out);
	for (const struct command *const *c = cli_commands; *c; c++)
		bash_flags(*c, out);
	strbuf_puts(out, "    esac\n}\n\n# _drupe_operand COMMAND:NUMBER, from 0\n_drupe_operand() {\n    case $1 in\n");
	for (const struct command *const *c = cli_commands; *c; c++)
		bash_operands(*c, out);
	strbuf_puts(out, "    exec:* | ps:*) kind=default ;;\n    *) kind=nothing ;;\n    esac\n}\n\n");
	strbuf_puts(
		out,
		"_drupe() {\n"
		"    local cur=${COMP_WORDS[COMP_CWORD]} command='' flag='' kind='' words='' flags='' i=1 operands=0 word root=()\n"
		"    # bash makes three words of --flag=value.\n"
		"    [ \"$cur\" != = ] || cur=''\n"
		"    while [ \"$i\" -lt \"$COMP_CWORD\" ]; do\n"
		"        word=${COMP_WORDS[i]}\n"
		"        i=$((i + 1))\n"
		"        case $word in\n"
		"        -?*)\n"
		"            flag=$word\n"
		"            [ \"${COMP_WORDS[i]-}\" != = ] || i=$((i + 1))\n"
		"            if _drupe_value \"$command:$flag\"; then\n"
		"                [ \"$i\" -lt \"$COMP_CWORD\" ] || break\n"
		"                [ \"$flag\" != --root ] || root=(--root \"${COMP_WORDS[i]}\")\n"
		"                i=$((i + 1))\n"
		"            fi\n"
		"            kind=''\n"
		"            ;;\n"
		"        *)\n"
		"            if [ -z \"$command\" ]; then command=$word; else operands=$((operands + 1)); fi\n"
		"            ;;\n"
		"        esac\n"
		"    done\n"
		"    if [ -z \"$kind\" ]; then\n"
		"        if [[ $cur == -* ]]; then\n"
		"            _drupe_flags \"$command\"\n"
		"            kind=words words=$flags\n"
		"        elif [ -z \"$command\" ]; then\n"
		"            kind='command'\n"
		"        else\n"
		"            _drupe_operand \"$command:$operands\"\n"
		"        fi\n"
		"    fi\n"
		"    case $kind in\n"
		"    command) words='");
	add_commands(out);
	strbuf_puts(out, "' ;;\n    signal) words='");
	add_words(out, signal_names);
	strbuf_puts(out,
		    "' ;;\n"
		    "    container) words=$(\"${COMP_WORDS[0]}\" \"${root[@]}\" list --quiet 2>/dev/null) ;;\n"
		    "    esac\n"
		    "    local IFS=$' \\t\\n'\n"
		    "    case $kind in\n"
		    "    file | default) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
		    "    dir) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- \"$cur\") ;;\n"
		    "    nothing) COMPREPLY=() ;;\n"
		    "    *) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\") ;;\n"
		    "    esac\n"
		    "}\n"
		    "complete -F _drupe drupe\n");
}

/* ---- zsh ---- */

/* Within '...[TEXT]:...' of _arguments. */
static void zsh_text(const char *text, struct strbuf *out)
{
	for (const char *p = text; *p; p++) {
		if (*p == '\'')
			strbuf_puts(out, "'\\''");
		else if (strchr("[]:\\", *p))
			strbuf_printf(out, "\\%c", *p);
		else
			strbuf_add(out, p, 1);
	}
}

static void zsh_action(enum completes what, const char *words, struct strbuf *out)
{
	static const char *const actions[] = {
		[COMPLETES_NOTHING] = " ",
		[COMPLETES_FILE] = "_files",
		[COMPLETES_DIR] = "_files -/",
		[COMPLETES_CONTAINER] = "_drupe_containers",
		[COMPLETES_COMMAND] = "_drupe_commands",
		[COMPLETES_SIGNAL] = "_drupe_signals",
	};

	if (what == COMPLETES_WORDS)
		strbuf_printf(out, "(%s)", words);
	else
		strbuf_puts(out, actions[what]);
}

static void zsh_option(const struct opt *o, const char *dashes, const char *name, size_t len, struct strbuf *out)
{
	auto_arena struct arena a = { 0 };
	const char *words = NULL;

	strbuf_printf(out, "        '%s%s%.*s", o->kind == OPT_KIND_LIST ? "*" : "", dashes, (int)len, name);
	strbuf_puts(out, opt_takes_value(o) ? (len > 1 ? "=[" : "+[") : "[");
	zsh_text(o->help, out);
	strbuf_puts(out, "]");
	if (opt_takes_value(o)) {
		enum completes what = opt_completes(o, &a, &words);

		strbuf_puts(out, ":");
		zsh_text(o->arg, out);
		strbuf_puts(out, ":");
		zsh_action(what, words, out);
	}
	strbuf_puts(out, "' \\\n");
}

static void zsh_options(const struct opt_table *t, struct strbuf *out)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct opt *o = &t->v[i];

		if (!o->help)
			continue;
		zsh_option(o, "--", o->name, strlen(o->name), out);
		for (const char *c = o->letters; c && *c; c++)
			zsh_option(o, "-", c, 1, out);
	}
}

static void zsh_command(const struct command *cmd, struct strbuf *out)
{
	auto_arena struct arena a = { 0 };
	const char *const *labels = operand_labels(cmd, &a), *words = NULL;

	strbuf_printf(out, "    %s)\n        _arguments -s%s \\\n", cmd->name, cmd->in_order ? " -A '-*'" : "");
	zsh_options(opts_of(cmd), out);
	for (size_t i = 0; labels[i]; i++) {
		enum completes what = what_completes(labels[i], &a, &words);

		strbuf_puts(out, "        '");
		strbuf_puts(out, cmd->max == OPERANDS_ANY && !cmd->in_order && !labels[i + 1] ? "*:" : ":");
		zsh_text(labels[i], out);
		strbuf_puts(out, ":");
		zsh_action(what, words, out);
		strbuf_puts(out, "' \\\n");
	}
	if (cmd->in_order)
		strbuf_puts(out, "        '*::argument:_normal' \\\n");
	strbuf_puts(out, "        '--help[explain it]'\n        ;;\n");
}

void generate_zsh(struct strbuf *out)
{
	strbuf_puts(out, "#compdef drupe\n# zsh completion for drupe; made by its build from the tables of its flags\n\n"
			 "_drupe_containers() {\n"
			 "    local -a root ids\n"
			 "    [[ -z ${opt_args[--root]-} ]] || root=(--root ${(Q)opt_args[--root]})\n"
			 "    ids=(${(f)\"$(drupe $root list --quiet 2>/dev/null)\"})\n"
			 "    compadd -a ids\n"
			 "}\n\n_drupe_signals() {\n    compadd ");
	add_words(out, signal_names);
	strbuf_puts(out, "\n}\n\n_drupe_commands() {\n    local -a commands\n    commands=(\n");
	for (const struct command *const *c = cli_commands; *c; c++) {
		strbuf_printf(out, "        '%s:", (*c)->name);
		zsh_text((*c)->brief, out);
		strbuf_puts(out, "'\n");
	}
	strbuf_puts(out, "    )\n    _describe command commands\n}\n\n_drupe_arguments() {\n    case $words[1] in\n");
	for (const struct command *const *c = cli_commands; *c; c++)
		zsh_command(*c, out);
	strbuf_puts(out, "    esac\n}\n\n_drupe() {\n    local curcontext=$curcontext state line\n    typeset -A opt_args\n"
			 "    _arguments -s -A '-*' \\\n");
	zsh_options(&cli_globals, out);
	strbuf_puts(out, "        '--help[explain it]' \\\n        ':command:_drupe_commands' \\\n"
			 "        '*::argument:_drupe_arguments'\n}\n\n_drupe \"$@\"\n");
}

/* ---- fish ---- */

static void fish_quoted(const char *text, struct strbuf *out)
{
	strbuf_puts(out, "'");
	for (const char *p = text; *p; p++)
		strbuf_printf(out, *p == '\'' || *p == '\\' ? "\\%c" : "%c", *p);
	strbuf_puts(out, "'");
}

static void fish_value(enum completes what, const char *words, struct strbuf *out)
{
	static const char *const values[] = {
		[COMPLETES_NOTHING] = " -x",
		[COMPLETES_FILE] = " -r -F",
		[COMPLETES_DIR] = " -x -a '(__fish_complete_directories)'",
		[COMPLETES_CONTAINER] = " -x -a '(__drupe_containers)'",
		[COMPLETES_COMMAND] = " -x",
		[COMPLETES_SIGNAL] = " -x",
	};

	if (what == COMPLETES_WORDS)
		strbuf_printf(out, " -x -a '%s'", words);
	else
		strbuf_puts(out, values[what]);
}

static void fish_options(const struct command *cmd, struct strbuf *out)
{
	auto_arena struct arena a = { 0 };
	const struct opt_table *t = opts_of(cmd);

	for (size_t i = 0; i < t->n; i++) {
		const struct opt *o = &t->v[i];
		const char *words = NULL;

		if (!o->help)
			continue;
		strbuf_printf(out, "complete -c drupe -n '__drupe_in %s' -l %s", cmd ? cmd->name : "", o->name);
		for (const char *c = o->letters; c && *c; c++)
			strbuf_printf(out, " -s %c", *c);
		if (opt_takes_value(o)) {
			enum completes what = opt_completes(o, &a, &words);

			fish_value(what, words, out);
		}
		strbuf_puts(out, " -d ");
		fish_quoted(o->help, out);
		strbuf_puts(out, "\n");
	}
}

static void fish_operands(const struct command *cmd, struct strbuf *out)
{
	auto_arena struct arena a = { 0 };
	const char *const *labels = operand_labels(cmd, &a);

	for (size_t i = 0; labels[i]; i++) {
		const char *words = NULL;
		enum completes what = what_completes(labels[i], &a, &words);

		if (what == COMPLETES_NOTHING)
			continue;
		/* Commands with several operands have no flags with values, which would be counted. */
		if (labels[1])
			strbuf_printf(out, "complete -c drupe -n '__drupe_at %s %zu'", cmd->name, i);
		else
			strbuf_printf(out, "complete -c drupe -n '__drupe_in %s'", cmd->name);
		if (what == COMPLETES_FILE)
			strbuf_puts(out, " -F");
		else if (what == COMPLETES_SIGNAL || what == COMPLETES_COMMAND) {
			strbuf_puts(out, " -f -a '");
			if (what == COMPLETES_SIGNAL)
				add_words(out, signal_names);
			else
				add_commands(out);
			strbuf_puts(out, "'");
		} else {
			fish_value(what, words, out);
		}
		strbuf_puts(out, "\n");
	}
}

void generate_fish(struct strbuf *out)
{
	strbuf_puts(out, "# fish completion for drupe; made by its build from the tables of its flags\n\n"
			 "# Without an argument: no command yet.\n"
			 "function __drupe_in\n    set -l names ");
	add_commands(out);
	strbuf_puts(out, "\n    for word in (commandline -opc)\n"
			 "        if contains -- $word $names\n"
			 "            test (count $argv) -gt 0 -a \"$word\" = \"$argv[1]\"\n"
			 "            return\n"
			 "        end\n"
			 "    end\n"
			 "    test (count $argv) -eq 0\n"
			 "end\n\n"
			 "# COMMAND N: behind that many operands of it.\n"
			 "function __drupe_at\n"
			 "    set -l n -1\n"
			 "    for word in (commandline -opc)\n"
			 "        if test $n -ge 0\n"
			 "            string match -q -- '-*' $word; or set n (math $n + 1)\n"
			 "        else if test \"$word\" = \"$argv[1]\"\n"
			 "            set n 0\n"
			 "        end\n"
			 "    end\n"
			 "    test $n -eq $argv[2]\n"
			 "end\n\n"
			 "function __drupe_containers\n    drupe list --quiet 2>/dev/null\nend\n\n"
			 "complete -c drupe -f\n"
			 "complete -c drupe -l help -s h -d 'explain it'\n");
	fish_options(NULL, out);
	for (const struct command *const *c = cli_commands; *c; c++) {
		strbuf_printf(out, "complete -c drupe -n __drupe_in -a %s -d ", (*c)->name);
		fish_quoted((*c)->brief, out);
		strbuf_puts(out, "\n");
	}
	for (const struct command *const *c = cli_commands; *c; c++) {
		fish_options(*c, out);
		fish_operands(*c, out);
	}
}
