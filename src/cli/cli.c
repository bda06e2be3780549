/* From the command line to a command and from its result to an exit status.
 *
 * Order matters: usage errors come first and cost nothing; then every descriptor that is not meant for the container is marked
 * close-on-exec; then a command that enters a container gets ready to leave the program's file, or starts a sealed copy of it,
 * which passes here again; only then is anything touched.
 */
#include "cli/cli.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/self.h"
#include "cli/log_file.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEEP_FDS_MAX (1u << 20) /* the kernel's usual ceiling for RLIMIT_NOFILE */

const struct command *const cli_commands[] = { &cmd_create, &cmd_start,  &cmd_run,      &cmd_state,      &cmd_wait,    &cmd_kill,
					       &cmd_delete, &cmd_exec,   &cmd_list,     &cmd_ps,         &cmd_pause,   &cmd_resume,
					       &cmd_update, &cmd_mounts, &cmd_events,   &cmd_checkpoint, &cmd_restore, &cmd_spec,
					       &cmd_check,  &cmd_plan,   &cmd_features, &cmd_version,    &cmd_help,    NULL };

static const char *const log_formats[] = { "text", "json", NULL };
static const char *const log_levels[] = { "error", "warning", "warn", "info", "debug", "trace", NULL };
static const char *const managers[] = { "cgroupfs", "systemd", "disabled", NULL };
static const char *const tristate[] = { "auto", "true", "false", NULL };

static const struct opt globals_opts[] = {
	OPT_STR(struct globals, root, "root", NULL, "DIR", "state directory (/run/drupe)"),
	OPT_STR(struct globals, log, "log", NULL, "FILE", "append diagnostics to a file, too"),
	OPT_CHOICE(struct globals, log_format, "log-format", NULL, "FMT", "text or json", log_formats),
	OPT_CHOICE(struct globals, log_level, "log-level", NULL, "LEVEL", "error, warning, info or debug", log_levels),
	OPT_BOOL(struct globals, debug, "debug", NULL, "same as --log-level debug"),
	OPT_FLAG(struct globals, systemd_cgroup, "systemd-cgroup", NULL, "make cgroups by systemd"),
	OPT_CHOICE(struct globals, cgroup_manager, "cgroup-manager", NULL, "NAME", "cgroupfs, systemd or disabled", managers),
	OPT_CHOICE(struct globals, rootless, "rootless", NULL, "WHEN", "auto, true or false: cgroups may be denied", tristate),
	OPT_STR(struct globals, ignored, "criu", NULL, "PATH", NULL),
	OPT_BOOL(struct globals, version, "version", "vV", "print the version"),
};
const struct opt_table cli_globals = { globals_opts, sizeof(globals_opts) / sizeof(globals_opts[0]), sizeof(struct globals) };

const struct command *cli_find(const char *name)
{
	for (const struct command *const *c = cli_commands; *c; c++)
		if (!strcmp((*c)->name, name))
			return *c;
	return NULL;
}

int cli_print(const struct cli *c, const struct strbuf *text, struct err *e)
{
	if (c->stdout_closed)
		return err_set(e, EBADF, "standard output is closed");
	if (fd_write_all(STDOUT_FILENO, strbuf_str(text), text->len, e) < 0)
		return err_in(e, "standard output");
	return 0;
}

struct cli_screen cli_screen(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	struct winsize size;

	/* Not isatty(), which is the same, but says nothing of the size. */
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		return (struct cli_screen){ 0 };
	return (struct cli_screen){ .color = !(no_color && *no_color) && term && *term && strcmp(term, "dumb") != 0,
				    .columns = size.ws_col };
}

/* podman wants exactly one object in a JSON log, hence no warnings there unless asked for. */
static enum log_level wanted_level(const struct globals *g)
{
	static const enum log_level levels[] = { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_WARNING,
						 LOG_LEVEL_INFO,  LOG_LEVEL_DEBUG,   LOG_LEVEL_DEBUG };

	if (g->debug)
		return LOG_LEVEL_DEBUG;
	for (size_t i = 0; g->log_level && log_levels[i]; i++)
		if (!strcmp(log_levels[i], g->log_level))
			return levels[i];
	return str_eq(g->log_format, "json") ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING;
}

/* Root in a user namespace, as rootless podman has it, cannot write /run; a real root's XDG_RUNTIME_DIR is some session's. */
static bool is_rootless(void)
{
	return proc_euid() != 0 || (!str_eq(getenv("USER"), "root") && !proc_in_initial_userns());
}

/* The sticky bit keeps clean-up of XDG_RUNTIME_DIR away from containers that live longer than a few hours. */
static int make_sticky(const char *dir, struct err *e)
{
	if (mkdir(dir, 01700) < 0 && errno != EEXIST)
		return err_errno(e, "%s", dir);
	if (chmod(dir, 01700) < 0)
		return err_errno(e, "%s", dir);
	return 0;
}

static int find_root(struct cli *c, const struct command *cmd, struct err *e)
{
	if (c->g.root && !*c->g.root)
		return err_set(e, EINVAL, "--root: the name is empty");
	c->rt.root = c->g.root ? c->g.root : "/run/drupe";
	if (c->g.root || !is_rootless())
		return 0;
	const char *xdg = getenv("XDG_RUNTIME_DIR");

	if (xdg && *xdg)
		c->rt.root = arena_printf(c->arena, "%s/drupe", xdg);
	else if (proc_euid() != 0 && !cmd->no_root)
		return err_set(e, ENOENT, "no state directory: neither --root nor XDG_RUNTIME_DIR is set");
	return xdg && *xdg && cmd->creates ? make_sticky(c->rt.root, e) : 0;
}

static void choose_cgroups(struct cli *c)
{
	const char *name = c->g.cgroup_manager;
	struct cgroup_options *o = &c->rt.cgroup;

	if (str_eq(name, "disabled"))
		o->manager = CGROUP_MANAGER_DISABLED;
	else if (str_eq(name, "systemd") || c->g.systemd_cgroup.value)
		o->manager = CGROUP_MANAGER_SYSTEMD;
	else
		o->manager = CGROUP_MANAGER_FS;
	o->ignore_permission = str_eq(c->g.rootless, "true"); /* the plan knows who else is */
}

/* Socket activation passes descriptors of its own before those of --preserve-fds. */
static unsigned listen_fds(void)
{
	const char *text = getenv("LISTEN_FDS");
	uint32_t n = 0;
	struct err ignored;

	if (!text || parse_u32(text, &n, &ignored) < 0 || n > KEEP_FDS_MAX)
		return 0;
	return n;
}

/* What a command needs that makes files or processes: no signal blocked, limits on file sizes as errors, a known umask, no stray
 * descriptors but those that the container is to get. */
static int prepare(const struct command *cmd, char **argv, const void *opts, struct err *e)
{
	unsigned keep = cmd->keep_fds ? cmd->keep_fds(opts) : 0;

	if (cmd->only_looks)
		return 0;
	if (!proc_by_descriptor()) {
		proc_reset_signals(0);
		(void)signal(SIGXFSZ, SIG_IGN);
	}
	umask(022);
	if (keep > KEEP_FDS_MAX)
		return err_set(e, EINVAL, "--preserve-fds %u: there cannot be so many", keep);
	unsigned lowest = 3 + keep + (cmd->keep_fds ? listen_fds() : 0);
	int r = fd_cloexec_from(lowest, e);

	if (r == 0 && cmd->enters && self_prepare(argv, (int)lowest, e) < 0)
		return err_in(e, "leaving the file of the program");
	return r;
}

static int check_operands(const struct command *cmd, const struct opt_rest *rest, struct err *e)
{
	if (rest->n >= cmd->min && rest->n <= cmd->max)
		return 0;
	return err_set(e, EINVAL, "usage: drupe %s%s%s%s: %s (see drupe %s --help)", cmd->name, cmd->opts ? " [flags]" : "",
		       *cmd->operands ? " " : "", cmd->operands,
		       rest->n < cmd->min ? "an argument is missing" : "too many arguments", cmd->name);
}

static int run_command(struct cli *c, const struct command *cmd, char **argv, const struct opt_rest *words, struct err *e)
{
	void *opts = arena_alloc(c->arena, cmd->opts ? cmd->opts->size : 1);
	static const struct opt_table none;
	struct opt_rest rest;
	int r = opt_parse(cmd->opts ? cmd->opts : &none, (int)words->n - 1, words->args + 1, cmd->in_order, c->arena, opts, &rest,
			  e);

	if (r < 0)
		return err_in(e, "%s", cmd->name);
	if (rest.help)
		return cli_print_help(c, cmd, e);
	if ((r = check_operands(cmd, &rest, e)) < 0 || (r = prepare(cmd, argv, opts, e)) < 0)
		return r;
	if ((r = find_root(c, cmd, e)) < 0)
		return r;
	choose_cgroups(c);
	c->rt.debug = wanted_level(&c->g) == LOG_LEVEL_DEBUG;
	return cmd->run(c, opts, &rest, e);
}

static bool called_as(const char *argv0, const char *name)
{
	const char *slash = argv0 ? strrchr(argv0, '/') : NULL;

	return str_eq(slash ? slash + 1 : argv0, name);
}

/* *cmd is set as soon as it is known, since it decides the exit status of failures. */
static int dispatch(struct cli *c, int argc, char **argv, struct log_file *log, const struct command **cmd, struct err *e)
{
	struct opt_rest words;
	int r = opt_parse(&cli_globals, argc > 0 ? argc - 1 : 0, argv + 1, true, c->arena, &c->g, &words, e);

	if (r < 0)
		return r;
	if (words.n)
		*cmd = cli_find(words.args[0]);
	if ((r = log_file_open(c->g.log, str_eq(c->g.log_format, "json"), log, e)) < 0)
		return r;
	log_set_sink(log_file_sink(log, wanted_level(&c->g)));
	if (words.help)
		return cli_print_help(c, NULL, e);
	if (c->g.version)
		return cli_print_version(c, e);
	c->vm = called_as(argv[0], "drupe-vm");
	if (!words.n)
		return err_set(e, EINVAL, "a command is missing (see drupe --help)");
	if (!*cmd)
		return err_set(e, EINVAL, "unknown command \"%.60s\" (see drupe --help)", words.args[0]);
	return run_command(c, *cmd, argv, &words, e);
}

int cli_main(int argc, char **argv, bool stdout_closed)
{
	auto_arena struct arena a = { 0 };
	struct cli c = { .arena = &a, .stdout_closed = stdout_closed };
	struct log_file log = LOG_FILE_NONE;
	struct log_sink before = log_set_sink(log_file_sink(&log, LOG_LEVEL_WARNING));
	const struct command *cmd = NULL;
	struct err e;
	int status = dispatch(&c, argc, argv, &log, &cmd, &e);

	if (status < 0) {
		log_error("%s", e.text);
		status = cmd && cmd->fail_status ? cmd->fail_status : 1;
	}
	log_set_sink(before);
	log_file_close(&log);
	return status;
}
