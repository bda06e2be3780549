/* kill, pause, delete: signals to a container and its end. */
#include "base/cleanup.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/sys.h"
#include "container/backend.h"
#include "container/control.h"
#include "init/hooks.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define END_TIMEOUT_MS 10000 /* how long killed processes may take to be gone */

static int not_running(const char *id, struct err *e)
{
	return err_set(e, ESRCH, "container \"%s\": container not running", id);
}

static bool is_frozen(const struct cgroup_ref *ref)
{
	struct err ignored;
	bool frozen = false;

	return cgroup_frozen(ref, &frozen, &ignored) == 0 && frozen;
}

/* ENOLINK: its supervisor is to be signalled, which passes it on if it can. */
static int signal_guest(const struct container *c, int sig, bool all, struct err *e)
{
	struct control_packet q = { .type = CONTROL_SIGNAL, .a = sig, .b = all };
	int r = vm_ask(c, &q, e);

	return r == -ESRCH ? not_running(c->id, e) : r;
}

int container_kill(const struct runtime *rt, const char *id, int sig, bool all, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct fd_pile later = FD_PILE_FEW;
	auto_container struct container c = CONTAINER_CLOSED(&later);
	struct cgroup_ref ref;
	int r = store_open(rt, id, false, true, &a, &c, e);

	if (r < 0)
		return r;
	bool created = !str_eq(c.state->status, "creating");

	if (c.creating)
		return err_set(e, EBUSY, "container \"%s\" is being created", id);
	cgroup_from_state(c.state, &a, &ref);
	/* Without a pid namespace the end of init is not the end of the others. In the cgroup of a virtual machine are our own
	 * processes, which end with it. */
	bool vm = backend_of(c.state) == &backend_vm;
	bool everyone = !c.state->own_pid_ns && (sig == SIGKILL || (all && !vm)) && ref.n_dirs;
	auto_fd int init = created ? open_init(c.state, e) : not_running(id, e);

	if (init < 0 && init != -ESRCH)
		return init;
	r = vm && init >= 0 && sig > 0 && sig != SIGKILL ? signal_guest(&c, sig, all, e) : -ENOLINK;
	if (r != -ENOLINK)
		return r;
	bool paused = init >= 0 && sig == SIGKILL && is_frozen(&ref);

	if (everyone) {
		r = cgroup_signal(&ref, sig, e);
		if (r < 0 || init < 0)
			return r;
	}
	if (init < 0)
		return all ? 0 : not_running(id, e);
	if (sys_pidfd_send_signal(init, sig) < 0 && !(errno == ESRCH && everyone))
		return errno == ESRCH ? not_running(id, e) : err_errno(e, "signal %d to container \"%s\"", sig, id);
	/* The v1 freezer holds even the killed. */
	return paused ? cgroup_freeze(&ref, false, END_TIMEOUT_MS, e) : 0;
}

/* By the guest's freezer; the mark is for container_status(). */
static int pause_guest(const struct container *c, bool pause, struct err *e)
{
	struct control_packet q = { .type = pause ? CONTROL_PAUSE : CONTROL_RESUME };
	int r = vm_ask(c, &q, e);

	return r < 0 ? r : store_mark_paused(c, pause, e);
}

int container_pause(const struct runtime *rt, const char *id, bool pause, struct err *e)
{
	auto_arena struct arena a = { 0 };
	auto_container struct container c = CONTAINER_EMPTY;
	struct cgroup_ref ref;
	int r = store_open(rt, id, true, true, &a, &c, e);

	if (r < 0)
		return r;
	enum container_status status = container_status(&c);

	if (pause && status != CONTAINER_RUNNING && status != CONTAINER_CREATED)
		return err_set(e, EINVAL, "container \"%s\": container not running (it is %s)", id, container_status_name(status));
	if (!pause && status != CONTAINER_PAUSED)
		return err_set(e, EINVAL, "container \"%s\": container not paused", id);
	if (backend_of(c.state) == &backend_vm)
		return pause_guest(&c, pause, e);
	cgroup_from_state(c.state, &a, &ref);
	if (!ref.n_dirs)
		return err_set(e, ENOTSUP, "container \"%s\" has no cgroup: it cannot be paused", id);
	return cgroup_freeze(&ref, pause, END_TIMEOUT_MS, e);
}

static void run_poststop(const struct oci_state *s, const struct oci_spec *spec)
{
	auto_arena struct arena a = { 0 };
	struct strbuf text = STRBUF(&a);
	struct hook_plan hooks;

	if (!spec || !s || !spec->hooks->poststop.n)
		return;
	plan_hooks(spec, &a, &hooks);
	oci_state_for_hook(s->oci_version, s->id, "stopped", 0, s->bundle, &s->annotations, &text);
	hooks_run_all(&hooks.poststop, &(struct hook_context){ .state = strbuf_str(&text), .cwd = s->bundle });
}

static bool any_cgroup(const struct cgroup_ref *ref)
{
	for (size_t i = 0; i < ref->n_dirs; i++)
		if (access(ref->dirs[i].path, F_OK) == 0)
			return true;
	return false;
}

/* Where the cgroup of a container is whose state is unreadable: where its config (NULL: unreadable, too) puts it, else the default
 * of its id. A cgroup stays until delete, so one that is not there means that this was the wrong place to look, and who may still
 * live is unknown. */
static int guess_cgroup(const struct runtime *rt, const char *id, const struct oci_spec *config, struct arena *a,
			struct cgroup_ref *ref, struct err *e)
{
	static const struct oci_resources no_resources;
	static const struct oci_hooks no_hooks;
	const struct oci_linux linux_ = { .resources = &no_resources,
					  .cgroups_path = config ? config->linux_->cgroups_path : NULL };
	const struct oci_spec spec = { .oci_version = "1.0.0", .linux_ = &linux_, .hooks = &no_hooks };
	struct cgroup_plan plan = { 0 };
	struct host h;
	int r = host_probe(a, HOST_CGROUPS | HOST_OWN_CGROUP, &h, e);

	if (r == 0)
		r = cgroup_plan_build(&spec, id, &rt->cgroup, &h, a, &plan, e);
	if (r < 0)
		return r;
	if (!any_cgroup(&plan.ref))
		return err_set(e, ENOENT,
			       "its state is damaged and there is no cgroup \"%s\": nothing tells which processes are left; "
			       "when none is, remove %s/%s",
			       plan.ref.path ? plan.ref.path : "", rt->root, id);
	*ref = plan.ref;
	return 0;
}

/* A process killed a moment ago is waited for: nobody may find it alive when its container is gone. */
static int await_end(const struct oci_state *s, int init, struct err *e)
{
	int r = proc_wait_fd(init, END_TIMEOUT_MS, e);

	if (r == 0)
		return err_set(e, ETIMEDOUT, "process %d does not end", s->pid);
	return r < 0 ? r : 0;
}

static int end_init(const struct container *c, const struct oci_state *s, const struct cgroup_ref *ref, struct err *e)
{
	auto_fd int init = s && !c->ended ? open_init(s, e) : -ESRCH;

	if (init < 0 && init != -ESRCH)
		return init;
	if (init >= 0)
		(void)sys_pidfd_send_signal(init, SIGKILL);
	/* With it end all in its pid namespace, so that nobody has to look again and again whether the cgroup is empty. The v1
	 * freezer holds even the killed, until cgroup_remove() lets them go. */
	bool alone = init >= 0 && s->own_pid_ns && !is_frozen(ref);
	int r = alone ? await_end(s, init, e) : 0;

	if (r == 0)
		r = cgroup_remove(ref, END_TIMEOUT_MS, e);
	return r < 0 || init < 0 || alone ? r : await_end(s, init, e);
}

/* What the plan of this config would have made. One that cannot be planned any more has nothing left: resctrl is not mounted. */
static void guess_groups(const char *id, const struct oci_spec *config, struct arena *a, struct resctrl_ref *ref)
{
	struct resctrl_plan plan;
	struct host h;
	struct err ignored;

	if (!config->linux_->intel_rdt || host_probe(a, HOST_RESCTRL, &h, &ignored) < 0 ||
	    resctrl_plan_build(config, id, &h, a, &plan, &ignored) < 0)
		return;
	*ref = plan.ref;
	ref->owns_group = plan.own_class;
	ref->owns_mon_group = ref->mon_group != NULL;
}

static int end_groups(const struct container *c, const struct oci_state *s, const struct oci_spec *config, struct arena *a,
		      struct err *e)
{
	struct resctrl_ref ref = { 0 };

	if (s)
		resctrl_from_state(s, &ref);
	else if (c->damaged && config)
		guess_groups(c->id, config, a, &ref);
	return resctrl_remove(&ref, e);
}

int destroy(const struct runtime *rt, struct container *c, const struct oci_state *s, const struct oci_spec *spec, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct cgroup_ref ref = { 0 };
	int r = 0;

	/* Without any state nothing was made: it is stored before everything else. */
	if (s)
		cgroup_from_state(s, &a, &ref);
	else if (c->damaged)
		r = guess_cgroup(rt, c->id, spec, &a, &ref, e);
	if (r == 0)
		r = end_init(c, s, &ref, e);
	if (r == 0)
		r = end_groups(c, s, spec, &a, e);
	if (r < 0)
		return err_in(e, "container \"%s\"", c->id);
	run_poststop(s, spec);
	return store_remove(c, e);
}

static int check_deletable(struct container *c, struct err *e)
{
	enum container_status status = container_status(c);

	/* Of one whose creator was killed, init may live. */
	c->ended = status == CONTAINER_STOPPED && c->state && !str_eq(c->state->status, "creating");
	/* "created" is deleted without force: callers rely on it (runc, crun), though runtime-spec would refuse. */
	if (status == CONTAINER_STOPPED || status == CONTAINER_CREATED || status == CONTAINER_CREATING)
		return 0;
	return err_set(e, EBUSY, "cannot delete container %s that is not stopped: %s", c->id, container_status_name(status));
}

int container_delete(const struct runtime *rt, const char *id, bool force, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct fd_pile later = FD_PILE_FEW;
	auto_container struct container c = CONTAINER_CLOSED(&later);
	const struct oci_spec *spec = NULL;
	struct err ignored;
	int r = store_open(rt, id, true, false, &a, &c, e);

	if (r == -ENOENT && force)
		return 0;
	if (r == 0 && !force)
		r = check_deletable(&c, e);
	if (r < 0)
		return r;
	if (!c.state && !force)
		return err_set(e, EINVAL, "state of container \"%s\" is missing or damaged: use delete --force", id);
	if (!(c.state && c.state->plain) && store_load_config(&c, &a, &spec, &ignored) < 0) {
		log_debug("%s", ignored.text);
		spec = NULL;
	}
	return destroy(rt, &c, c.state, spec, e);
}
