/* update: other limits for a container that lives.
 *
 * config.json in the state directory stays what the container was created from. The resources it has since its last update are
 * beside it, in resources.json; the next update starts from those. */
#include "base/cleanup.h"
#include "base/log.h"
#include "container/internal.h"

#include <errno.h>

static int limit(struct container *c, const struct oci_resources *update, struct arena *a, struct err *e)
{
	const struct oci_resources *old;
	struct cgroup_plan plan;
	struct cgroup_ref ref;
	struct host h;
	int r = store_load_resources(c, a, &old, e);

	if (r == 0)
		r = host_probe(a, &h, e);
	if (r < 0)
		return r;
	cgroup_from_state(c->state, a, &ref);
	r = cgroup_update_plan(&ref, old, update, &h, a, &plan, e);
	if (r == 0)
		r = cgroup_update(&plan, e);
	return r < 0 ? r : store_save_resources(c, cgroup_resources_merge(old, update, a), e);
}

/* The class first: it is easily put back. */
static int apply(struct container *c, const struct oci_resources *update, const char *schemata, struct arena *a, struct err *e)
{
	struct resctrl_ref class;
	const char *before = NULL, *ignored;
	struct err why;

	resctrl_from_state(c->state, &class);
	if (schemata && resctrl_update(&class, schemata, a, &before, e) < 0)
		return -e->code;
	int r = limit(c, update, a, e);

	if (r < 0 && schemata && resctrl_update(&class, before, a, &ignored, &why) < 0)
		log_warn("%s", why.text);
	return r;
}

int container_update(const struct runtime *rt, const char *id, const struct oci_resources *update, const char *schemata,
		     struct err *e)
{
	auto_arena struct arena a = { 0 };
	auto_container struct container c = CONTAINER_EMPTY;
	int r = store_open(rt, id, true, true, &a, &c, e);

	if (r < 0)
		return r;
	enum container_status status = container_status(&c);

	if (status == CONTAINER_STOPPED || status == CONTAINER_CREATING)
		return err_set(e, ESRCH, "cannot update: container \"%s\": container not running (it is %s)", id,
			       container_status_name(status));
	return apply(&c, update, schemata, &a, e);
}
