/* linux.resources.unified: the caller's own words for cgroup2 files.
 *
 * They are written after everything else, so they win. Only files of controllers that are there are taken: those of the core
 * (cgroup.procs, cgroup.type, cgroup.subtree_control, ...) are how a container is held together, and the runtime's business.
 */
#include "base/str.h"
#include "cgroups/cgroup_internal.h"

#include <errno.h>
#include <string.h>

static int check_unified(const struct cg_builder *b, const char *file, const struct cgroup_dir *dir, struct err *e)
{
	size_t len = strcspn(file, ".");

	if (b->host->cgroup_mode == CGROUP_MODE_V1 || !dir)
		return err_set(e, ENOTSUP, "there is no cgroup v2 here");
	if (strchr(file, '/') || !len || !file[len])
		return err_set(e, EINVAL, "is not the name of a cgroup file");
	if (str_starts(file, "cgroup."))
		return err_set(e, EINVAL, "belongs to the runtime");
	char *controller = arena_strndup(b->arena, file, len);

	if (!cg_list_has(b->host->v2_controllers, controller))
		return err_set(e, ENOTSUP, "the cgroup controller \"%.60s\" is not available on cgroup v2", controller);
	return 0;
}

/* The kernel takes a line at a time. */
static int add_unified(struct cg_builder *b, const struct pair *p, struct err *e)
{
	const char *where = arena_printf(b->arena, "linux.resources.unified[\"%.100s\"]", p->name);
	const struct cgroup_dir *dir = cg_find_v2(b);

	if (check_unified(b, p->name, dir, e) < 0)
		return err_in(e, "%s", where);
	const char *line = p->value;

	do {
		size_t len = strcspn(line, "\n");

		if (len || line == p->value)
			cg_add_write(b, &(struct cgroup_write){ .dir = dir,
								.file = p->name,
								.where = where,
								.text = arena_strndup(b->arena, line, len) });
		line += len;
	} while (*line++);
	return 0;
}

int cg_plan_unified(struct cg_builder *b, struct err *e)
{
	for (size_t i = 0; i < b->res->unified.n; i++)
		if (add_unified(b, &b->res->unified.v[i], e) < 0)
			return -e->code;
	return 0;
}
