/* mounts add, mounts remove */
#include "base/fd.h"
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>

#define MOUNTS_MAX (4u << 20) /* bytes of the file */

static int run_mounts(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e)
{
	const char *verb = rest->args[0], *file = rest->args[2];
	const struct oci_mount_list *list = NULL;
	bool add = str_eq(verb, "add");
	char *text;

	(void)opts;
	if (!add && !str_eq(verb, "remove"))
		return err_set(e, EINVAL, "mounts: expected add or remove, got \"%.60s\" (see drupe mounts --help)", verb);
	ssize_t n = file_read(AT_FDCWD, file, MOUNTS_MAX, false, c->arena, &text, e);

	if (n < 0)
		return (int)n;
	if (oci_mounts_parse(c->arena, text, (size_t)n, &list, e) < 0)
		return err_in(e, "%s", file);
	return cli_done((add ? container_mounts_add : container_mounts_remove)(&c->rt, rest->args[1], list, e));
}

const struct command cmd_mounts = {
	.name = "mounts",
	.operands = "add|remove CONTAINER FILE",
	.brief = "add or remove mounts",
	.help = "Adds mounts to a running container, all of them or none, or removes some that\nwere added so. FILE is a JSON "
		"array "
		"like \"mounts\" of config.json.",
	.man = "Sources and options mean what they mean in config.json. A mount is removed by its destination, when it is still "
	       "the one "
	       "that was added and nothing uses it. Its mount point stays. Mounts on /, cgroup mounts and remounts cannot be "
	       "added.",
	.example = "mounts add web /srv/data-mount.json",
	.min = 3,
	.max = 3,
	.enters = true,
	.run = run_mounts,
};
