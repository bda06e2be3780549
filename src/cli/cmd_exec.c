/* exec: everything behind the container id belongs to the program */
#include "cli/cli.h"

#include <errno.h>

struct exec_flags {
	struct exec_options o;
	struct opt_list env, caps, gids, cgroups;
	struct opt_flag tty;
	bool no_subreaper; /* accepted: there is nothing to adopt */
};

OPT_TABLE(exec_table, struct exec_flags,
	  OPT_STR(struct exec_flags, o.process_file, "process", "p", "FILE", "JSON `process` object to run"),
	  OPT_BOOL(struct exec_flags, o.detach, "detach", "d", "do not wait for the program"),
	  OPT_FLAG(struct exec_flags, tty, "tty", "t", "give it a terminal"),
	  OPT_STR(struct exec_flags, o.cwd, "cwd", NULL, "DIR", "working directory"),
	  OPT_LIST(struct exec_flags, env, "env", "e", "NAME=VALUE", "add to the environment; repeatable"),
	  OPT_STR(struct exec_flags, o.user, "user", "u", "UID[:GID]", "user, or a name the container knows"),
	  OPT_LIST(struct exec_flags, gids, "additional-gids", "g", "GID", "supplementary group; repeatable"),
	  OPT_LIST(struct exec_flags, caps, "cap", "c", "CAP", "capability to add; repeatable"),
	  OPT_BOOL(struct exec_flags, o.no_new_privs, "no-new-privs", NULL, "never gain privileges by execve"),
	  OPT_STR(struct exec_flags, o.apparmor, "apparmor", NULL, "PROFILE", "AppArmor profile"),
	  OPT_STR(struct exec_flags, o.process_label, "process-label", NULL, "LABEL", "SELinux label"),
	  OPT_LIST(struct exec_flags, cgroups, "cgroup", NULL, "[CTRL,..:]PATH", "cgroup below the container's; repeatable"),
	  OPT_STR(struct exec_flags, o.pid_file, "pid-file", NULL, "FILE", "write the pid of the program"),
	  OPT_STR(struct exec_flags, o.console_socket, "console-socket", NULL, "SOCK", "send the terminal's master there"),
	  OPT_STR(struct exec_flags, o.pidfd_socket, "pidfd-socket", NULL, "SOCK", "send a pidfd of the program there"),
	  OPT_U32(struct exec_flags, o.preserve_fds, "preserve-fds", NULL, "N", "pass descriptors 3 to 2+N on"),
	  OPT_BOOL(struct exec_flags, o.ignore_paused, "ignore-paused", NULL, "do not refuse a paused container"),
	  OPT_BOOL(struct exec_flags, no_subreaper, "no-subreaper", NULL, NULL));

static unsigned keep_fds(const void *opts)
{
	return ((const struct exec_flags *)opts)->o.preserve_fds;
}

/* The values of all --additional-gids, each of which may itself be "10,20". */
static const char *join(struct arena *a, const struct opt_list *l)
{
	struct strbuf b = STRBUF(a);

	for (size_t i = 0; i < l->n; i++)
		strbuf_printf(&b, "%s%s", i ? "," : "", l->v[i]);
	return l->n ? strbuf_str(&b) : NULL;
}

static int run_exec(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e)
{
	struct exec_flags *f = opts;
	int status = 0;

	if (f->o.process_file && rest->n > 1)
		return err_set(e, EINVAL, "exec: a command and --process exclude each other");
	if (!f->o.process_file && rest->n < 2)
		return err_set(e, EINVAL, "exec: a command or --process is missing (see drupe exec --help)");
	f->o.args = f->o.process_file ? NULL : rest->args + 1;
	f->o.env = f->env.v;
	f->o.caps = (const char *const *)f->caps.v;
	f->o.cgroups = (const char *const *)f->cgroups.v;
	f->o.additional_gids = join(c->arena, &f->gids);
	f->o.tty = f->tty.value;
	f->o.tty_set = f->tty.set;
	int r = container_exec(&c->rt, rest->args[0], &f->o, &status, e);

	return r < 0 ? r : status;
}

const struct command cmd_exec = {
	.name = "exec",
	.operands = "CONTAINER [COMMAND [ARGUMENT...]]",
	.brief = "run another program in it",
	.help = "Runs a program in a running container and returns its exit status.",
	.example = "exec -t --env TERM=$TERM web sh",
	.opts = &exec_table,
	.min = 1,
	.max = OPERANDS_ANY,
	.in_order = true,
	.enters = true,
	.fail_status = 255,
	.keep_fds = keep_fds,
	.run = run_exec,
};
