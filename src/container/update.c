/* update: other limits for a container that lives.
 *
 * config.json in the state directory stays what the container was created from. The resources it has since its last update are
 * beside it, in resources.json; the next update starts from those. */
#include "base/cleanup.h"
#include "base/log.h"
#include "container/backend.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct guest_update {
	const struct container *c;
	struct vm_update parts;
};

static int update_guest(void *ctx, struct err *e)
{
	const struct guest_update *u = ctx;

	return vm_update_guest(u->c, &u->parts, e);
}

static int divide(const struct container *c, const struct oci_resources *old, const struct oci_resources *update,
		  const struct oci_resources *after, struct arena *a, struct vm_update *out, struct err *e)
{
	const struct oci_spec *spec;
	struct vm_plan vm;
	int r = store_load_config(c, a, &spec, e);

	if (r == 0)
		r = vm_plan_build(spec, c->state->bundle, (unsigned)sysconf(_SC_NPROCESSORS_ONLN), a, &vm, e);
	return r < 0 ? r : vm_update_build(&vm, old, update, after, a, out, e);
}

/* In a virtual machine, part of it is the guest's: all of both, or nothing. */
static int limit(struct container *c, const struct oci_resources *update, struct arena *a, struct err *e)
{
	const bool vm = backend_of(c->state) == &backend_vm;
	struct guest_update guest = { .c = c };
	const struct cgroup_then then = { update_guest, &guest };
	const struct oci_resources *old, *after;
	struct cgroup_plan plan;
	struct cgroup_ref ref;
	struct host h;
	int r = store_load_resources(c, a, &old, e);

	if (r == 0)
		r = host_probe(a, HOST_CGROUPS | HOST_OWN_CGROUP, &h, e);
	if (r < 0)
		return r;
	after = cgroup_resources_merge(old, update, a);
	if (vm && divide(c, old, update, after, a, &guest.parts, e) < 0)
		return -e->code;
	cgroup_from_state(c->state, a, &ref);
	r = cgroup_update_plan(&ref, old, vm ? guest.parts.host : update, &h, a, &plan, e);
	if (r == 0)
		r = cgroup_update(&plan, vm ? &then : NULL, e);
	return r < 0 ? r : store_save_resources(c, after, e);
}

/* ---- classes of resctrl ---- */

struct thread_source {
	struct cgroup_ref cgroup;
	pid_t init;
};

static void add_thread(struct arena *a, pid_t **v, size_t *n, size_t *room, pid_t thread)
{
	if (*n == *room) {
		pid_t *more = arena_alloc(a, 2 * *room * sizeof(*more));

		memcpy(more, *v, *n * sizeof(*more));
		*v = more;
		*room *= 2;
	}
	(*v)[(*n)++] = thread;
}

/* A process that ended meanwhile has none. */
static int list_threads(void *ctx, struct arena *a, pid_t **out, size_t *n, struct err *e)
{
	const struct thread_source *s = ctx;
	pid_t init = s->init, *pids = &init, *v;
	size_t n_pids = 1, room = 64;

	if (s->cgroup.n_dirs && cgroup_procs(&s->cgroup, a, &pids, &n_pids, e) < 0)
		return -e->code;
	v = arena_alloc(a, room * sizeof(*v));
	*n = 0;
	for (size_t i = 0; i < n_pids; i++) {
		DIR *dir = opendir(arena_printf(a, "/proc/%d/task", (int)pids[i]));

		for (struct dirent *d; dir && (d = readdir(dir));)
			if (*d->d_name != '.')
				add_thread(a, &v, n, &room, (pid_t)strtol(d->d_name, NULL, 10));
		if (dir)
			closedir(dir);
	}
	*out = v;
	return 0;
}

static int save_class(struct container *c, const struct resctrl_ref *class, struct arena *a, struct err *e)
{
	struct oci_state s = *c->state;

	state_from_resctrl(class, a, &s);
	return store_save(c, &s, e);
}

static void unmake_class(struct container *c, const struct resctrl_ref *class, struct arena *a)
{
	struct resctrl_ref none = { 0 };
	struct err why;

	if (resctrl_remove(class, &why) < 0 || save_class(c, &none, a, &why) < 0)
		log_warn("%s", why.text);
}

/* For a container that has none: one by its id, and all of it gets in. What is to be made is stored first, as at create. */
static int make_class(struct container *c, const char *lines, struct arena *a, struct resctrl_ref *out, struct err *e)
{
	static const struct oci_intel_rdt by_id;
	struct oci_linux linux_ = { .intel_rdt = &by_id };
	const struct oci_spec spec = { .linux_ = &linux_ };
	struct thread_source source = { .init = c->state->pid };
	struct resctrl_ref claimed, made = { 0 };
	struct resctrl_plan plan;
	const char *before;
	struct host h;

	cgroup_from_state(c->state, a, &source.cgroup);
	if (host_probe(a, HOST_CGROUPS | HOST_RESCTRL, &h, e) < 0 || resctrl_plan_build(&spec, c->id, &h, a, &plan, e) < 0 ||
	    resctrl_claim(&plan, &claimed, e) < 0 || save_class(c, &claimed, a, e) < 0)
		return -e->code;
	int r = resctrl_create(&plan, &made, e);

	if (r == 0)
		r = resctrl_update(&made, lines, a, &before, e);
	if (r == 0)
		r = resctrl_join_all(&made, &(struct resctrl_threads){ list_threads, &source }, e);
	if (r == 0)
		r = save_class(c, &made, a, e);
	if (r < 0)
		unmake_class(c, &made, a);
	else
		*out = made;
	return r;
}

/* *before: what the class had; NULL: it was made. */
static int change_class(struct container *c, const char *lines, struct arena *a, struct resctrl_ref *class, const char **before,
			struct err *e)
{
	*before = NULL;
	resctrl_from_state(c->state, class);
	return class->mount ? resctrl_update(class, lines, a, before, e) : make_class(c, lines, a, class, e);
}

/* The class first: it is easily put back. */
static int apply(struct container *c, const struct oci_resources *update, const char *schemata, struct arena *a, struct err *e)
{
	struct resctrl_ref class;
	const char *before = NULL, *ignored;
	struct err why;

	if (schemata && change_class(c, schemata, a, &class, &before, e) < 0)
		return -e->code;
	int r = limit(c, update, a, e);

	if (r < 0 && schemata && !before)
		unmake_class(c, &class, a);
	else if (r < 0 && schemata && resctrl_update(&class, before, a, &ignored, &why) < 0)
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
	if (schemata && backend_of(c.state) == &backend_vm)
		return err_set(e, ENOTSUP, "linux.intelRdt: not in a virtual machine");
	return apply(&c, update, schemata, &a, e);
}
