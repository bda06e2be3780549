/* generate bash|zsh|fish: writes a completion to standard output
 * generate man DIR PAGE...: writes the manual pages, which must be these, into DIR */
#include "cli/generate.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *const signal_names[] = { "ABRT", "ALRM", "BUS",  "CHLD", "CONT",   "FPE",   "HUP",  "ILL",  "INT",  "IO",   "KILL",
				     "PIPE", "PROF", "PWR",  "QUIT", "SEGV",   "STOP",  "SYS",  "TERM", "TRAP", "TSTP", "TTIN",
				     "TTOU", "URG",  "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", NULL };

bool opt_takes_value(const struct opt *o)
{
	return o->kind != OPT_KIND_BOOL && o->kind != OPT_KIND_FLAG;
}

/* "add|remove" to "add remove"; only words in lower case are to be typed as they are. */
static const char *alternatives(const char *label, struct arena *a)
{
	char *words = arena_strdup(a, label);

	if (label[strspn(label, "abcdefghijklmnopqrstuvwxyz01|")] || !strchr(label, '|'))
		return NULL;
	for (char *p = words; *p; p++)
		if (*p == '|')
			*p = ' ';
	return words;
}

enum completes what_completes(const char *label, struct arena *a, const char **words)
{
	static const struct {
		const char *label;
		enum completes what;
	} known[] = {
		{ "FILE", COMPLETES_FILE },       { "SOCK", COMPLETES_FILE },          { "DIR", COMPLETES_DIR },
		{ "BUNDLE", COMPLETES_DIR },      { "CONTAINER|DIR/", COMPLETES_DIR }, { "CONTAINER", COMPLETES_CONTAINER },
		{ "COMMAND", COMPLETES_COMMAND }, { "SIGNAL", COMPLETES_SIGNAL },
	};

	for (size_t i = 0; label && i < sizeof(known) / sizeof(known[0]); i++)
		if (str_eq(known[i].label, label))
			return known[i].what;
	*words = label ? alternatives(label, a) : NULL;
	return *words ? COMPLETES_WORDS : COMPLETES_NOTHING;
}

enum completes opt_completes(const struct opt *o, struct arena *a, const char **words)
{
	struct strbuf list = STRBUF(a);

	if (o->kind != OPT_KIND_CHOICE)
		return what_completes(o->arg, a, words);
	for (size_t i = 0; o->choices[i]; i++)
		strbuf_printf(&list, "%s%s", i ? " " : "", o->choices[i]);
	*words = strbuf_str(&list);
	return COMPLETES_WORDS;
}

const char *const *operand_labels(const struct command *cmd, struct arena *a)
{
	const char **v = arena_alloc(a, 8 * sizeof(*v));
	size_t n = 0;

	/* Behind the first everything belongs to another program. */
	for (const char *p = cmd->operands; *p && n < 7 && !(cmd->in_order && n); n++) {
		p += strspn(p, " [");
		size_t len = strcspn(p, " ].");

		v[n] = arena_strndup(a, p, len);
		p += len;
		p += strspn(p, " [].");
	}
	return v;
}

static int write_page(int dir, const char *name, const struct command *cmd, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct strbuf text = STRBUF(&a);

	generate_man(cmd, &text);
	return file_write_atomic(dir, name, 0644, text.text, text.len, e);
}

/* What the build will install is listed there, since it has to know beforehand: the list must be all of it. */
static int write_pages(const char *where, char **names, int n, struct err *e)
{
	int dir = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC), expected = 1, r = 0;
	char name[64];

	if (dir < 0)
		return err_errno(e, "%s", where);
	for (const struct command *const *c = cli_commands; *c; c++)
		expected++;
	if (n != expected)
		return err_set(e, EINVAL, "there are %d pages, the build expects %d", expected, n);
	for (int i = 0; i < n && r == 0; i++) {
		const struct command *cmd = NULL;

		for (const struct command *const *c = cli_commands; *c && !cmd; c++) {
			snprintf(name, sizeof(name), "drupe-%s.1", (*c)->name);
			cmd = str_eq(name, names[i]) ? *c : NULL;
		}
		if (!cmd && !str_eq(names[i], "drupe.1"))
			return err_set(e, EINVAL, "%s: there is no such command", names[i]);
		r = write_page(dir, names[i], cmd, e);
	}
	close(dir);
	return r;
}

static int write_script(const char *shell, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct strbuf out = STRBUF(&a);

	if (str_eq(shell, "bash"))
		generate_bash(&out);
	else if (str_eq(shell, "zsh"))
		generate_zsh(&out);
	else if (str_eq(shell, "fish"))
		generate_fish(&out);
	else
		return err_set(e, EINVAL, "%s: unknown shell", shell);
	return fd_write_all(STDOUT_FILENO, out.text, out.len, e);
}

int main(int argc, char **argv)
{
	struct err e;
	int r;

	if (argc > 3 && str_eq(argv[1], "man"))
		r = write_pages(argv[2], argv + 3, argc - 3, &e);
	else if (argc == 2)
		r = write_script(argv[1], &e);
	else
		r = err_set(&e, EINVAL, "usage: generate bash|zsh|fish, generate man DIR PAGE...");
	if (r < 0)
		fprintf(stderr, "generate: %s\n", e.text);
	return r < 0;
}
