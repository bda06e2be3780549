/* create, run */
#include "cli/cli.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

/* clang-format off */
#define CREATE_OPTS                                                                                                            \
	OPT_STR(struct run_options, create.bundle, "bundle", "b", "DIR", "directory of config.json (.)"),                      \
	OPT_STR(struct run_options, create.config, "config", "f", "FILE", "configuration instead of the bundle's"),            \
	OPT_STR(struct run_options, create.pid_file, "pid-file", "p", "FILE", "write the pid of the container's init"),        \
	OPT_STR(struct run_options, create.console_socket, "console-socket", "c", "SOCK", "send the terminal's master there"), \
	OPT_STR(struct run_options, create.pidfd_socket, "pidfd-socket", NULL, "SOCK", "send a pidfd of init there"),          \
	OPT_BOOL(struct run_options, create.no_pivot, "no-pivot", NULL, "move and chroot instead of pivot_root"),              \
	OPT_BOOL(struct run_options, create.no_new_keyring, "no-new-keyring", NULL, "keep the caller's session keyring"),      \
	OPT_BOOL(struct run_options, create.record_exit, "record-exit", NULL, "keep the exit status for `wait`"),              \
	OPT_BOOL(struct run_options, create.vm, "vm", NULL, "in a virtual machine of its own"),                                \
	OPT_U32(struct run_options, create.preserve_fds, "preserve-fds", NULL, "N", "pass descriptors 3 to 2+N on")
/* clang-format on */

OPT_TABLE(create_table, struct run_options, CREATE_OPTS, OPT_BOOL(struct run_options, no_subreaper, "no-subreaper", NULL, NULL));

OPT_TABLE(run_table, struct run_options, CREATE_OPTS,
	  OPT_BOOL(struct run_options, detach, "detach", "d", "do not wait for the container to end"),
	  OPT_BOOL(struct run_options, keep, "keep", NULL, "do not delete the container when it ends"),
	  OPT_BOOL(struct run_options, no_subreaper, "no-subreaper", NULL, "do not adopt orphaned processes"));

static unsigned keep_fds(const void *opts)
{
	return ((const struct run_options *)opts)->create.preserve_fds;
}

static int run_create(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e)
{
	struct run_options *o = opts;

	o->create.vm |= c->vm;
	return cli_done(container_create(&c->rt, rest->args[0], &o->create, e));
}

/* The name of a container that was given none: the bundle's, with our pid. */
static const char *name_after(const char *bundle, struct arena *a)
{
	size_t end = strlen(bundle), len = 0;

	while (end && bundle[end - 1] == '/')
		end--;
	while (len < end && len < 100 && bundle[end - len - 1] != '/')
		len++;
	if (!len || bundle[end - len] == '.')
		return arena_printf(a, "bundle-%d", (int)getpid());
	char *name = arena_printf(a, "%.*s-%d", (int)len, bundle + end - len, (int)getpid());

	for (char *p = name; *p; p++)
		if (!isascii(*p) || (!isalnum(*p) && !strchr("_+.-", *p)))
			*p = '_';
	return name;
}

/* No container has a slash in its name: `run DIR/` is short for --bundle and any name. */
static int run_run(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e)
{
	struct run_options *o = opts;
	const char *id = rest->args[0];

	o->create.vm |= c->vm;
	if (!o->create.bundle && strchr(id, '/')) {
		o->create.bundle = id;
		id = name_after(id, c->arena);
	}
	int status = 0, r = container_run(&c->rt, id, o, &status, e);

	return r < 0 ? r : status;
}

const struct command cmd_create = {
	.name = "create",
	.operands = "CONTAINER",
	.brief = "make a container",
	.help = "Makes a container from a bundle; `start` then runs its program.",
	.example = "create --bundle /srv/web --pid-file /run/web.pid web",
	.opts = &create_table,
	.min = 1,
	.max = 1,
	.creates = true,
	.enters = true,
	.keep_fds = keep_fds,
	.run = run_create,
};

const struct command cmd_run = {
	.name = "run",
	.operands = "CONTAINER|DIR/",
	.brief = "create, start and wait",
	.help = "Makes a container, runs its program and returns the program's exit status\n(128 + number when a signal ended "
		"it).\n"
		"DIR/ is a bundle; the name is then made up.",
	.example = "run --bundle /srv/web web",
	.opts = &run_table,
	.min = 1,
	.max = 1,
	.creates = true,
	.enters = true,
	.keep_fds = keep_fds,
	.run = run_run,
};
