/* create: from a bundle to a container that waits to be started.
 *
 * The intent (cgroup path, bundle) is stored before anything exists, so that `delete --force` finds its way after a crash at any
 * step; init dies with us until the state says "created". On failure everything is undone here. */
#include "base/cleanup.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/self.h"
#include "base/str.h"
#include "base/sys.h"
#include "container/backend.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *now_text(struct arena *a)
{
	char text[TIME_TEXT_SIZE];

	text_time(text, NULL);
	return arena_strdup(a, text);
}

/* A cgroup file system may be mounted in a container that is in no cgroup of ours. */
static bool wants_cgroups(const struct runtime *rt, const struct oci_spec *spec)
{
	bool wanted = rt->cgroup.manager != CGROUP_MANAGER_DISABLED;

	for (size_t i = 0; !wanted && i < spec->mounts.n; i++)
		wanted = str_starts(spec->mounts.v[i].type ? spec->mounts.v[i].type : "", "cgroup");
	return wanted;
}

bool wants_lsm(const struct oci_process *p)
{
	return (p->apparmor_profile && *p->apparmor_profile) || (p->selinux_label && *p->selinux_label);
}

/* What this container makes us want to know of the host. */
static unsigned wants(const struct runtime *rt, const struct oci_spec *spec)
{
	unsigned what = 0;

	if (wants_cgroups(rt, spec))
		what |= HOST_CGROUPS;
	if (rt->cgroup.manager == CGROUP_MANAGER_SYSTEMD)
		what |= HOST_OWN_CGROUP;
	if (spec->linux_->intel_rdt)
		what |= HOST_RESCTRL;
	if ((spec->process && wants_lsm(spec->process)) || spec->linux_->mount_label)
		what |= HOST_LSM;
	return what;
}

static int make_plan(const struct runtime *rt, const char *id, const struct create_options *o, const struct backend *backend,
		     const struct oci_spec *spec, const char *bundle, struct arena *a, const struct plan **out, struct err *e)
{
	struct plan_options po = {
		.id = id,
		.bundle = bundle,
		.no_pivot = o->no_pivot,
		.no_new_keyring = o->no_new_keyring,
		.cgroup = rt->cgroup,
		.preserve_fds = o->preserve_fds,
		.listen_fds = count_listen_fds(),
		.net_helper = spec->linux_->net_devices.n ? find_helper("net", a) : NULL,
	};
	struct host *h = arena_new(a, struct host);
	struct plan *p = arena_new(a, struct plan);
	int r = check_preserved(po.preserve_fds + po.listen_fds, e);

	if (r == 0)
		r = host_probe(a, wants(rt, spec), h, e);
	if (r == 0)
		r = backend->plan(spec, &po, h, a, p, e);
	*out = p;
	return r;
}

static int check_terminal(const struct oci_spec *spec, const struct create_options *o, bool keep_console, struct err *e)
{
	bool terminal = spec->process && spec->process->terminal;

	if (terminal && !o->console_socket && !keep_console)
		return err_set(e, EINVAL, "process.terminal is true: a --console-socket is needed when the runtime does not stay");
	if (!terminal && o->console_socket)
		return err_set(e, EINVAL, "--console-socket is given but process.terminal is false");
	return 0;
}

/* Then start and delete need not read all of the config for nothing. */
static bool is_plain(const struct oci_spec *spec)
{
	const struct oci_hooks *h = spec->hooks;
	const struct oci_seccomp *s = spec->linux_->seccomp;

	return spec->process && !h->start_container.n && !h->poststart.n && !h->poststop.n && !(s && s->listener_path);
}

static struct oci_state *initial_state(const struct created *k, const struct resctrl_ref *groups, struct arena *a)
{
	const struct plan *p = k->plan;
	struct oci_state *s = arena_new(a, struct oci_state);

	*s = (struct oci_state){
		.version = OCI_STATE_VERSION,
		.oci_version = p->oci_version,
		.id = p->id,
		.bundle = p->bundle,
		.rootfs = p->rootfs.root ? p->rootfs.root : "",
		.backend = k->backend->name,
		.status = "creating",
		.created = now_text(a),
		.boot_id = store_outlives_boot(&k->c) ? read_boot_id(a) : NULL,
		.own_pid_ns = p->own_pid_ns,
		.terminal = p->proc.terminal,
		.no_pivot = p->rootfs.no_pivot,
		.no_new_keyring = !p->sec.new_keyring,
		.plain = is_plain(k->spec),
		.annotations = p->annotations,
	};
	state_from_cgroup(&p->cgroup.ref, a, s);
	state_from_resctrl(groups, a, s);
	return s;
}

static int pass_console(struct created *k, const struct create_options *o, struct err *e)
{
	char name[33] = "";
	int n = chan_expect(&k->chan, MSG_CONSOLE, name, sizeof(name) - 1, &k->console, e);

	if (n < 0)
		return n;
	/* Now, so that the first program sees the right size at once. */
	if (!o->console_socket) {
		copy_window_size(k->console);
		return 0;
	}
	int r = send_fd_to_socket(o->console_socket, "--console-socket", n ? name : " ", k->console, e);

	close_fd(&k->console);
	return r;
}

static int run_runtime_hooks(struct created *k, struct arena *a, struct err *e)
{
	const struct hook_plan *h = &k->plan->hooks;
	struct hook_context ctx = { .cwd = k->plan->bundle };

	if (!plan_has_runtime_hooks(k->plan))
		return 0;
	int r = chan_expect(&k->chan, MSG_ROOTFS, NULL, 0, NULL, e);

	if (r < 0)
		return r;
	ctx.state = plan_hook_state(k->plan, "creating", k->pid, a);
	r = hooks_run(&h->prestart, &ctx, e);
	if (r == 0)
		r = hooks_run(&h->create_runtime, &ctx, e);
	return r < 0 ? r : chan_send(&k->chan, MSG_HOOKS_DONE, NULL, 0, -1, e);
}

static int record_created(struct created *k, const struct create_options *o, struct err *e)
{
	int r;

	k->state->pid = k->pid;
	/* run goes on at once. Only a startContainer hook could look in between. */
	k->state->status = k->to_start && !k->plan->hooks.start_container.n ? "running" : "created";
	r = store_save(&k->c, k->state, e);
	if (r == 0 && o->record_exit)
		r = store_pin(&k->c, k->pidfd, e);
	if (r == 0 && o->pidfd_socket)
		r = send_fd_to_socket(o->pidfd_socket, "--pidfd-socket", "standard", k->pidfd, e);
	if (r == 0 && o->pid_file)
		r = write_pid_file(o->pid_file, k->pid, e);
	if (r == 0)
		k->pid_file = o->pid_file;
	return r;
}

/* Without a cgroup, the process is the only thing by which delete can find what a killed creator left. */
static int record_pid(struct created *k, struct err *e)
{
	if (k->state->cgroup_dirs.n)
		return 0;
	int r = proc_start_time(NULL, k->pid, &k->state->start_time, NULL, e);

	k->state->pid = k->pid;
	return r < 0 ? r : store_save(&k->c, k->state, e);
}

/* Before anything gets into the cgroup it is on record which one it is: what delete finds at its path may be another's. */
static int record_cgroup(struct created *k, struct arena *a, struct err *e)
{
	struct cgroup_ref ref = k->plan->cgroup.ref;
	int r = cgroup_identify(&ref, a, e);

	if (r < 0 || !ref.n_dirs)
		return r;
	state_from_cgroup(&ref, a, k->state);
	return store_save(&k->c, k->state, e);
}

/* A class that the config names is others', too: it stays when the container goes. */
static int make_groups(struct created *k, struct arena *a, struct err *e)
{
	int r = resctrl_create(&k->plan->resctrl, &k->resctrl, e);
	struct resctrl_ref kept = k->resctrl;

	if (r < 0)
		return r;
	kept.owns_group &= k->plan->resctrl.own_class;
	state_from_resctrl(&kept, a, k->state);
	return 0;
}

/* What only has to be before the container's own programs: init is at work, and we have time. */
static int meanwhile(struct created *k, struct err *e)
{
	int r = k->plan->cgroup.guard_first ? 0 : cgroup_guard(&k->plan->cgroup, e);

	self_tidy();
	if (r == 0)
		r = init_rank(k->plan, k->pid, e);
	return r < 0 ? r : proc_start_time(NULL, k->pid, &k->state->start_time, NULL, e);
}

/* The conversation with init, see init/init.h. */
static int bring_up(struct created *k, const struct create_options *o, const struct init *in, struct arena *a, struct err *e)
{
	int r = init_prepare(k->plan, in, k->pid, e);

	cgroup_let_go(&k->holder);
	close_fd(&k->claim);
	if (r < 0)
		return chan_blame(&k->chan, e);
	r = record_pid(k, e);
	if (r == 0)
		r = chan_send(&k->chan, MSG_GO, NULL, 0, -1, e);
	if (r == 0)
		r = meanwhile(k, e);
	if (r == 0 && k->plan->proc.terminal)
		r = pass_console(k, o, e);
	if (r == 0)
		r = run_runtime_hooks(k, a, e);
	if (r == 0)
		r = chan_expect(&k->chan, MSG_READY, NULL, 0, NULL, e);
	if (r == 0)
		r = init_limit(k->plan, k->pid, e);
	return r < 0 ? r : record_created(k, o, e);
}

/* The kernel does not say which kind of namespace it does not have. */
static int explain_launch(const struct created *k, struct arena *a, struct err *e)
{
	struct ns_plan ignored;
	struct host h;
	struct err why;

	if (e->code == EINVAL && host_probe(a, HOST_NAMESPACES, &h, &why) == 0 && ns_plan_build(k->spec, &h, a, &ignored, &why) < 0)
		*e = why;
	return -e->code;
}

static int build(struct created *k, const struct create_options *o, bool to_start, struct arena *a, struct err *e)
{
	struct init in = {
		.plan = k->plan, .arena = a, .chan = { -1 }, .listen_fd = -1, .cgroup_fd = -1, .sources = { .root = -1 }
	};

	for (size_t i = 0; i < OCI_NS_COUNT; i++)
		in.ns_fds[i] = -1;
	int r = cgroup_hold(&k->plan->cgroup, &k->holder, e);

	if (r == 0)
		r = cgroup_create(&k->plan->cgroup, &k->claim, e);
	if (r < 0)
		return r;
	k->cgroup_made = true;
	if (k->plan->cgroup.guard_first)
		r = cgroup_guard(&k->plan->cgroup, e);
	if (r == 0)
		r = record_cgroup(k, a, e);
	if (r == 0)
		r = make_groups(k, a, e);
	if (r == 0 && !to_start)
		r = in.listen_fd = store_listen(&k->c, e);
	if (r >= 0)
		r = k->backend->launch(k, &in, k->holder ? -1 : k->claim, a, e);
	close_fd(&in.listen_fd);
	for (size_t i = 0; i < OCI_NS_COUNT; i++)
		close_fd(&in.ns_fds[i]);
	return r < 0 ? explain_launch(k, a, e) : bring_up(k, o, &in, a, e);
}

/* Init, when there is one, is our child: end it and reap it, so that its end is complete before its cgroup goes. */
static void reap_init(struct created *k)
{
	struct err ignored;

	chan_close(&k->chan);
	if (k->pid <= 0)
		return;
	(void)sys_pidfd_send_signal(k->pidfd, SIGKILL);
	(void)!proc_wait(k->pid, &ignored);
}

void created_close(struct created *k)
{
	chan_close(&k->chan);
	close_fd(&k->pidfd);
	close_fd(&k->console);
	close_fd(&k->claim);
	container_close(&k->c);
}

void created_abandon(const struct runtime *rt, struct created *k)
{
	auto_arena struct arena a = { 0 };
	struct err why;

	cgroup_let_go(&k->holder);
	reap_init(k);
	close_fd(&k->claim); /* destroy() has its own */
	/* What is there is another's then, and must not be ended with us. */
	if (!k->cgroup_made)
		k->state->cgroup_dirs.n = 0;
	/* A named class that was made just now goes, unless another container came into it. */
	if (k->resctrl.owns_group && !k->plan->resctrl.own_class)
		k->resctrl.owns_group = !resctrl_in_use(&k->resctrl);
	state_from_resctrl(&k->resctrl, &a, k->state);
	if (destroy(rt, &k->c, k->state, k->spec, &why) < 0)
		log_warn("clean up: %s", why.text);
	k->state->resctrl = NULL; /* it was of this function's arena */
	if (k->pid_file)
		(void)unlink(k->pid_file);
}

/* Init goes on without us; it closes the channel when our death no longer is its own. */
static int release_init(struct created *k, struct err *e)
{
	size_t len;
	int r = chan_send(&k->chan, MSG_ACK, NULL, 0, -1, e);

	return r < 0 ? r : chan_expect_or_eof(&k->chan, MSG_READY, NULL, 0, &len, NULL, e);
}

int create_container(const struct runtime *rt, const char *id, const struct create_options *o, bool to_start, bool keep_console,
		     struct arena *a, struct created *out, struct err *e)
{
	const char *text = NULL, *bundle = NULL;
	struct resctrl_ref groups;
	struct created k = CREATED_EMPTY;
	bool notify = false;
	int r = container_check_id(id, e);

	if (r == 0)
		r = bundle_load(o->bundle, o->config, a, &k.spec, &text, &bundle, e);
	if (r == 0)
		r = check_terminal(k.spec, o, keep_console, e);
	if (r != 0)
		return r;
	k.backend = backend_for(k.spec, o->vm);
	notify = k.backend == &backend_os && notify_plan(rt, id, a, &k.spec);
	r = make_plan(rt, id, o, k.backend, k.spec, bundle, a, &k.plan, e);
	if (r == 0)
		r = resctrl_claim(&k.plan->resctrl, &groups, e);
	if (r == 0)
		r = store_create(rt, id, &k.c, e);
	if (r != 0)
		return r;
	k.to_start = to_start;
	k.state = initial_state(&k, &groups, a);
	k.c.text = arena_new(a, struct oci_state_text);
	k.c.text->text.arena = a;
	r = store_save(&k.c, k.state, e);
	if (r == 0)
		r = store_save_config(&k.c, text, e);
	if (r == 0 && notify)
		r = notify_make(&k.c, e);
	if (r == 0)
		r = build(&k, o, to_start, a, e);
	if (r < 0) {
		created_abandon(rt, &k);
		created_close(&k);
		return r;
	}
	*out = k;
	return 0;
}

int container_create(const struct runtime *rt, const char *id, const struct create_options *o, struct err *e)
{
	auto_arena struct arena a = { 0 };
	auto_created struct created k = CREATED_EMPTY;
	int r = create_container(rt, id, o, false, false, &a, &k, e);

	if (r < 0)
		return r;
	r = release_init(&k, e);
	if (r < 0)
		created_abandon(rt, &k);
	return r;
}
