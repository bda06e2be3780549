/* Builds the plan of a container: each subsystem decides its part; what two of them need to know is handed over here, so that
 * siblings never look at each other. */
#include "plan/plan.h"
#include "base/str.h"
#include "oci/state.h"

#include <errno.h>
#include <string.h>

static bool has_ns(const struct ns_plan *p, int type)
{
	if (p->create & ns_flag(type))
		return true;
	for (size_t i = 0; i < p->n_join; i++)
		if (p->join[i].type == type)
			return true;
	return false;
}

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* "cpu,cpuacct" is reached by both names too, as on the host. */
static void add_links(struct cgroup_view *v, const char *name, struct arena *a)
{
	size_t max = sizeof(v->links) / sizeof(v->links[0]);

	if (!strchr(name, ','))
		return;
	for (const char *p = name; *p && v->n_links < max;) {
		size_t len = strcspn(p, ",");

		v->links[v->n_links].name = arena_strndup(a, p, len);
		v->links[v->n_links++].target = name;
		p += len + (p[len] == ',');
	}
}

static void view_cgroups(const struct cgroup_ref *r, struct arena *a, struct cgroup_view *v)
{
	v->mode = r->mode;
	v->v = arena_alloc(a, r->n_dirs * sizeof(*v->v));
	v->n = r->n_dirs;
	for (size_t i = 0; i < r->n_dirs; i++) {
		v->v[i].name = last_component(r->dirs[i].mount);
		v->v[i].path = r->dirs[i].path;
		add_links(v, v->v[i].name, a);
	}
}

/* Finds the slot of the variable that `entry` sets, in an open-addressed table of indices into out (+1; 0 is free). */
static uint32_t *env_slot(uint32_t *table, size_t size, char *const *out, const char *entry)
{
	size_t len = strcspn(entry, "=") + 1;
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i + 1 < len; i++)
		hash = (hash ^ (unsigned char)entry[i]) * 16777619u;
	for (size_t at = hash & (size - 1);; at = (at + 1) & (size - 1))
		if (!table[at] || strncmp(out[table[at] - 1], entry, len) == 0)
			return &table[at];
}

/* The environment with LISTEN_* added and only the last of each name kept, in linear time. */
static char *const *build_env(const struct strs *env, unsigned listen_fds, struct arena *a)
{
	char **out = arena_alloc(a, (env->n + 3) * sizeof(*out));
	size_t n = 0, size = 16;

	while (size < 2 * env->n)
		size *= 2;
	uint32_t *table = arena_alloc(a, size * sizeof(*table));

	for (size_t i = 0; i < env->n; i++) {
		uint32_t *slot = env_slot(table, size, out, env->v[i]);

		if (!*slot)
			*slot = (uint32_t)++n;
		out[*slot - 1] = arena_strdup(a, env->v[i]);
	}
	if (listen_fds) {
		out[n++] = arena_printf(a, "LISTEN_FDS=%u", listen_fds);
		out[n++] = arena_strdup(a, "LISTEN_PID=1");
	}
	return out;
}

static bool home_missing(char *const *env)
{
	for (; *env; env++)
		if (str_starts(*env, "HOME=") && (*env)[5])
			return false;
	return true;
}

static uint16_t clip16(uint64_t n)
{
	return n > UINT16_MAX ? UINT16_MAX : (uint16_t)n;
}

static void build_proc(const struct oci_process *p, const struct plan_options *o, const struct host *h, struct arena *a,
		       struct proc_plan *out)
{
	out->argv = (char *const *)p->args.v;
	out->envp = build_env(&p->env, o->listen_fds, a);
	out->cwd = p->cwd;
	out->set_home = home_missing(out->envp);
	out->terminal = p->terminal;
	if (p->terminal && p->console_size) {
		out->rows = clip16(p->console_size->height);
		out->cols = clip16(p->console_size->width);
	}
	out->ignored_signals = h->ignored_signals;
	out->keep_fds = o->preserve_fds + o->listen_fds;
}

static char **copy_n(const char *const *v, size_t n, struct arena *a)
{
	char **out = arena_alloc(a, (n + 1) * sizeof(*out));

	for (size_t i = 0; i < n; i++)
		out[i] = arena_strdup(a, v[i]);
	return out;
}

static char **copy_strs(const struct strs *s, struct arena *a)
{
	return copy_n(s->v, s->n, a);
}

char **plan_copy_list(char *const *list, struct arena *a)
{
	size_t n = 0;

	while (list[n])
		n++;
	return copy_n((const char *const *)list, n, a);
}

static struct hook_ops build_hooks(const struct oci_hook_list *l, const char *kind, struct arena *a)
{
	struct hook_op *v = arena_alloc(a, (l->n + 1) * sizeof(*v));

	for (size_t i = 0; i < l->n; i++) {
		const struct oci_hook *h = &l->v[i];

		v[i].path = h->path;
		v[i].where = arena_printf(a, "hooks.%s[%zu] (%s)", kind, i, h->path);
		v[i].argv = copy_strs(h->args.n ? &h->args : &(struct strs){ (const char **)&h->path, 1 }, a);
		v[i].envp = h->env_set ? copy_strs(&h->env, a) : NULL;
		v[i].timeout_ms = !h->timeout.set ? -1 : h->timeout.value < INT64_MAX / 1000 ? h->timeout.value * 1000 : INT64_MAX;
	}
	return (struct hook_ops){ v, l->n };
}

void plan_hooks(const struct oci_spec *spec, struct arena *a, struct hook_plan *out)
{
	const struct oci_hooks *h = spec->hooks;

	out->prestart = build_hooks(&h->prestart, "prestart", a);
	out->create_runtime = build_hooks(&h->create_runtime, "createRuntime", a);
	out->create_container = build_hooks(&h->create_container, "createContainer", a);
	out->start_container = build_hooks(&h->start_container, "startContainer", a);
	out->poststart = build_hooks(&h->poststart, "poststart", a);
	out->poststop = build_hooks(&h->poststop, "poststop", a);
}

const char *plan_hook_state(const struct plan *p, const char *status, int pid, struct arena *a)
{
	struct strbuf out = STRBUF(a);

	oci_state_for_hook(p->oci_version, p->id, status, pid, p->bundle, &p->annotations, &out);
	return strbuf_str(&out);
}

static struct hook_ops copy_hooks(const struct hook_ops *ops, struct arena *a)
{
	struct hook_op *v = arena_alloc(a, (ops->n + 1) * sizeof(*v));

	for (size_t i = 0; i < ops->n; i++) {
		const struct hook_op *op = &ops->v[i];

		v[i] = (struct hook_op){ .path = arena_strdup(a, op->path),
					 .where = arena_strdup(a, op->where),
					 .argv = plan_copy_list(op->argv, a),
					 .envp = op->envp ? plan_copy_list(op->envp, a) : NULL,
					 .timeout_ms = op->timeout_ms };
	}
	return (struct hook_ops){ v, ops->n };
}

static struct pairs copy_pairs(const struct pairs *p, struct arena *a)
{
	struct pair *v = arena_alloc(a, (p->n + 1) * sizeof(*v));

	for (size_t i = 0; i < p->n; i++)
		v[i] = (struct pair){ arena_strdup(a, p->v[i].name), arena_strdup(a, p->v[i].value) };
	return (struct pairs){ v, p->n };
}

/* Of the container as such only hooks are told. */
const struct plan *plan_of_start(const struct plan *p, struct arena *a)
{
	struct plan *out = arena_new(a, struct plan);

	if (!p->has_process) /* nothing to start */
		return out;
	out->has_process = true;
	out->sec = sec_plan_final(&p->sec, a);
	out->proc = (struct proc_plan){ .argv = plan_copy_list(p->proc.argv, a),
					.ignored_signals = p->proc.ignored_signals,
					.keep_fds = p->proc.keep_fds };
	out->hooks.start_container = copy_hooks(&p->hooks.start_container, a);
	if (!p->hooks.start_container.n)
		return out;
	out->id = arena_strdup(a, p->id);
	out->bundle = arena_strdup(a, p->bundle);
	out->oci_version = arena_strdup(a, p->oci_version);
	out->annotations = copy_pairs(&p->annotations, a);
	return out;
}

static int build_process(const struct oci_spec *spec, const struct oci_process *p, const struct plan_options *o, bool exec,
			 bool user_ns, const struct host *h, struct arena *a, struct sec_plan *sec, struct proc_plan *proc,
			 struct err *e)
{
	struct sec_options so = {
		.container_id = o->id,
		.new_keyring = !o->no_new_keyring,
		.exec = exec,
		.user_ns = user_ns,
	};
	int r = sec_plan_build(p, spec->linux_, &so, h, a, sec, e);

	if (r < 0)
		return r;
	build_proc(p, o, h, a, proc);
	return 0;
}

static int build_places(const struct oci_spec *spec, const struct plan_options *o, const struct host *h, struct arena *a,
			struct plan *out, struct err *e)
{
	struct rootfs_options ro = { .no_pivot = o->no_pivot };
	int r = ns_plan_build(spec, h, a, &out->ns, e);

	if (r < 0)
		return r;
	r = cgroup_plan_build(spec, o->id, &o->cgroup, h, a, &out->cgroup, e);
	if (r < 0)
		return r;
	r = resctrl_plan_build(spec, o->id, h, a, &out->resctrl, e);
	if (r < 0)
		return r;
	r = rootfs_plan_build(spec, o->bundle, &ro, h, a, &out->rootfs, e);
	if (r < 0)
		return r;
	view_cgroups(&out->cgroup.ref, a, &out->rootfs.cgroup);
	r = net_plan_build(spec, h, a, &out->net, e);
	if (o->net_helper)
		out->net.helper = o->net_helper;
	return r;
}

/* The file systems that open no device. */
static bool is_virtual(const char *fstype)
{
	static const char *const names[] = { "proc", "sysfs", "tmpfs", "devpts", "mqueue", "overlay", "cgroup", "cgroup2" };
	bool known = false;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		known |= str_eq(fstype, names[i]);
	return known;
}

/* Init opens devices that the config names before it is ready: by mounting them, or in programs that it runs. */
static bool uses_devices(const struct plan *p)
{
	bool uses = p->hooks.create_container.n;

	for (size_t i = 0; i < p->rootfs.n_mounts; i++)
		uses |= p->rootfs.mounts[i].kind == MOUNT_FS && !is_virtual(p->rootfs.mounts[i].fstype);
	return uses;
}

/* A container in a virtual machine has two plans (vm_plan.h), neither of them made from this spec as it is. */
static int refuse_vm(const struct oci_spec *spec, struct err *e)
{
	if (spec->vm)
		return err_set(e, EINVAL, "vm: this is not a plan for a virtual machine");
	return 0;
}

int plan_build(const struct oci_spec *spec, const struct plan_options *o, const struct host *h, struct arena *a, struct plan *out,
	       struct err *e)
{
	*out = (struct plan){
		.id = o->id,
		.bundle = o->bundle,
		.oci_version = spec->oci_version,
		.annotations = spec->annotations,
		.has_process = spec->process != NULL,
	};
	int r = refuse_vm(spec, e);

	if (r < 0 || (r = build_places(spec, o, h, a, out, e)) < 0)
		return r;
	out->own_pid_ns = has_ns(&out->ns, OCI_NS_PID);
	plan_hooks(spec, a, &out->hooks);
	out->cgroup.guard_first |= uses_devices(out);
	if (!spec->process)
		return 0;
	return build_process(spec, spec->process, o, false, has_ns(&out->ns, OCI_NS_USER), h, a, &out->sec, &out->proc, e);
}

int plan_exec(const struct oci_spec *spec, const struct oci_process *process, const struct plan_options *o, const struct host *h,
	      struct arena *a, struct exec_plan *out, struct err *e)
{
	bool user_ns = false;

	for (size_t i = 0; i < spec->linux_->namespaces.n; i++)
		user_ns |= spec->linux_->namespaces.v[i].type == OCI_NS_USER;
	*out = (struct exec_plan){ 0 };
	return build_process(spec, process, o, true, user_ns, h, a, &out->sec, &out->proc, e);
}
