/* check: every problem of a bundle, one a line
 *
 * First what the document says by itself, all at once; when that is in order, the first thing that this host cannot do. A member
 * that no table knows is ignored, as the specification asks of a runtime; here it is told when it may be a known one misspelt.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "cli/cli.h"
#include "plan/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct check_flags {
	const char *config;
};

OPT_TABLE(check_table, struct check_flags,
	  OPT_STR(struct check_flags, config, "config", "f", "FILE", "configuration instead of the bundle's"));

static int open_bundle(const char *name, struct err *e)
{
	int fd = openat(AT_FDCWD, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_errno(e, "bundle %s", name) : fd;
}

/* plan_build() touches nothing, so it does not notice that there is no root. */
static int check_root(const struct oci_spec *spec, int bundle, struct err *e)
{
	struct stat st;

	if (!spec->root)
		return 0;
	if (fstatat(bundle, spec->root->path, &st, 0) < 0)
		return err_errno(e, "root.path: %s", spec->root->path);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "root.path: %s: not a directory", spec->root->path);
	return 0;
}

static int check_host(struct cli *c, const struct oci_spec *spec, int bundle, struct err *e)
{
	struct plan_options o = { .id = "check", .cgroup = c->rt.cgroup };
	struct plan plan, guest;
	int r;

	if ((r = path_of_fd(bundle, c->arena, &o.bundle, e)) < 0 || (r = check_root(spec, bundle, e)) < 0)
		return r;
	return cli_plan(c, spec, &o, &plan, &guest, e);
}

static void list(struct strbuf *out, const char *name, const char *const *texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		strbuf_printf(out, "%s: %s\n", name, texts[i]);
}

static int run_check(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e)
{
	const char *config = ((const struct check_flags *)opts)->config;
	const char *name = config ? config : "config.json";
	auto_fd int bundle = open_bundle(rest->n ? rest->args[0] : ".", e);
	struct strbuf out = STRBUF(c->arena);
	struct oci_problems problems = { 0 };
	const struct oci_spec *spec = NULL;
	struct err why;
	char *text;

	if (bundle < 0)
		return bundle;
	ssize_t len = file_read(bundle, name, JSON_TEXT_MAX, false, c->arena, &text, e);

	if (len < 0)
		return (int)len;
	int bad = oci_spec_check(c->arena, text, (size_t)len, &spec, &problems, &why);

	list(&out, name, problems.v, problems.n);
	list(&out, name, problems.hints, problems.n_hints);
	if (!problems.n && (bad < 0 || check_host(c, spec, bundle, &why) < 0))
		strbuf_printf(&out, "%s: %s\n", name, why.text);
	int r = cli_print(c, &out, e);

	return r < 0 ? r : out.len > 0;
}

const struct command cmd_check = {
	.name = "check",
	.operands = "[BUNDLE]",
	.brief = "print a bundle's problems",
	.help = "Prints every problem of a bundle's configuration, one a line, and the members\nthat are ignored but may be "
		"misspelt. Exit status 1 when there is one.",
	.example = "check /srv/web",
	.opts = &check_table,
	.max = 1,
	.no_root = true,
	.run = run_check,
};
