/* Refuses first; then sizes; then the two configs. A value that says how large the machine is comes from the first of: vm.hwConfig,
 * our annotations, krun's, kata's, the container's limits, the default. Nothing that names a file of the host is taken from
 * annotations. */
#include "plan/vm_plan.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define MIB (1ull << 20)

static const char *annotation(const struct oci_spec *spec, const char *name)
{
	for (size_t i = 0; i < spec->annotations.n; i++)
		if (str_eq(spec->annotations.v[i].name, name))
			return spec->annotations.v[i].value;
	return NULL;
}

enum vm_isolation vm_isolation_of(const struct oci_spec *spec, bool asked)
{
	return asked || spec->vm || str_eq(annotation(spec, "org.drupe.isolation"), "vm") ? VM_ISOLATION_VM : VM_ISOLATION_OS;
}

/* ---- what can't be honoured ---- */

static int refuse(struct err *e, const char *what, const char *why)
{
	return err_set(e, ENOTSUP, "%s: %s", what, why);
}

static int check_hardware(const struct oci_vm *vm, struct err *e)
{
	const struct oci_vm_hw *hw = vm->hw_config;

	if (vm->hypervisor)
		return refuse(e, "vm.hypervisor", "drupe has its own");
	if (vm->image)
		return refuse(e, "vm.image", "the root file system is root.path");
	if (vm->kernel && vm->kernel->initrd)
		return refuse(e, "vm.kernel.initrd", "the guest's first file system is drupe's own");
	if (hw && (hw->device_tree || hw->dtdevs.n || hw->iomems.n || hw->irqs.n))
		return refuse(e, "vm.hwConfig", "devices of the host cannot be passed to a virtual machine");
	return 0;
}

/* A virtual machine has no network yet: a container that expects its host's, or another's, would be a different one. */
static int check_namespaces(const struct oci_namespace_list *l, struct err *e)
{
	bool mount = false, network = false;

	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i].path)
			return err_set(e, ENOTSUP, "linux.namespaces[%zu]: a virtual machine cannot join the %s namespace %s", i,
				       oci_ns_names[l->v[i].type], l->v[i].path);
		mount |= l->v[i].type == OCI_NS_MOUNT;
		network |= l->v[i].type == OCI_NS_NETWORK;
	}
	if (!network)
		return refuse(e, "linux.namespaces",
			      "a virtual machine has no network: the container needs a network namespace of its own");
	return mount ? 0 : refuse(e, "linux.namespaces", "in a virtual machine the container needs a mount namespace of its own");
}

static int check_resources(const struct oci_resources *r, struct err *e)
{
	if (r->rdma.n)
		return refuse(e, "linux.resources.rdma", "not in a virtual machine");
	return r->network ? refuse(e, "linux.resources.network", "not in a virtual machine") : 0;
}

static int check_linux(const struct oci_linux *l, struct err *e)
{
	if (l->net_devices.n)
		return refuse(e, "linux.netDevices", "devices of the host cannot be moved into a virtual machine");
	if (l->intel_rdt)
		return refuse(e, "linux.intelRdt", "not in a virtual machine");
	if (l->seccomp && l->seccomp->listener_path)
		return refuse(e, "linux.seccomp.listenerPath", "a listener cannot follow into a virtual machine");
	if (check_resources(l->resources, e) < 0)
		return -e->code;
	for (size_t i = 0; i < l->devices.n; i++)
		if (str_eq(l->devices.v[i].type, "b"))
			return err_set(e, ENOTSUP,
				       "linux.devices[%zu] (%s): a block device of the host cannot be passed to a virtual machine",
				       i, l->devices.v[i].path);
	return check_namespaces(&l->namespaces, e);
}

/* What such a word of a mount's options asks for is not there: why, else NULL. */
static const char *cannot_be(const char *option)
{
	size_t name = strcspn(option, "=");

	if ((name == 5 && strncmp(option, "idmap", name) == 0) || (name == 6 && strncmp(option, "ridmap", name) == 0))
		return "ids cannot be mapped in a virtual machine";
	/* A source is what is there when the machine begins. */
	if (str_eq(option, "src-nofollow") || str_eq(option, "copy-symlink"))
		return "a link cannot be passed to a virtual machine as such";
	return NULL;
}

static int check_mount(const struct oci_mount *m, size_t i, struct err *e)
{
	const char *why = m->uid_mappings.n ? cannot_be("idmap") : NULL;

	for (size_t o = 0; !why && o < m->options.n; o++)
		why = cannot_be(m->options.v[o]);
	return why ? err_set(e, ENOTSUP, "mounts[%zu] (%s): %s", i, m->destination, why) : 0;
}

static int check(const struct oci_spec *spec, struct err *e)
{
	int r = spec->vm ? check_hardware(spec->vm, e) : 0;

	for (size_t i = 0; r == 0 && i < spec->mounts.n; i++)
		r = check_mount(&spec->mounts.v[i], i, e);
	return r < 0 ? r : check_linux(spec->linux_, e);
}

/* ---- sizes ---- */

/* The first of the annotations that is there: 1, else 0. */
static int number(const struct oci_spec *spec, const char *const *names, uint64_t *out, struct err *e)
{
	for (; *names; names++) {
		const char *text = annotation(spec, *names);

		if (!text)
			continue;
		if (parse_u64(text, out, e) < 0 || *out == 0)
			return err_set(e, EINVAL, "annotation %s: \"%.40s\" is not a number above 0", *names, text);
		return 1;
	}
	return 0;
}

static uint64_t cpus_of_limits(const struct oci_cpu *c)
{
	if (!c || !c->quota.set || c->quota.value <= 0)
		return 1;
	uint64_t quota = (uint64_t)c->quota.value, period = c->period.set && c->period.value ? c->period.value : 100000;

	return quota / period + (quota % period != 0);
}

static int choose_cpus(const struct oci_spec *spec, unsigned cpus_online, unsigned *out, struct err *e)
{
	static const char *const names[] = { "org.drupe.vm.vcpus", "krun.cpus", "io.katacontainers.config.hypervisor.default_vcpus",
					     NULL };
	const struct oci_vm_hw *hw = spec->vm ? spec->vm->hw_config : NULL;
	uint64_t n = hw && hw->vcpus.set ? hw->vcpus.value : 0, online = cpus_online ? cpus_online : 1;
	int given = n > 0 ? 1 : number(spec, names, &n, e);

	if (given < 0)
		return given;
	if (given && n > VM_CPUS_MAX)
		return err_set(e, EINVAL, "%llu processors are more than a virtual machine can have (%d)", (unsigned long long)n,
			       VM_CPUS_MAX);
	if (!given)
		n = cpus_of_limits(spec->linux_->resources->cpu);
	if (!given && n > online)
		n = online;
	*out = n > VM_CPUS_MAX ? VM_CPUS_MAX : (unsigned)n;
	return 0;
}

static int64_t limit_of(const struct oci_spec *spec)
{
	const struct oci_memory *m = spec->linux_->resources->memory;

	return m && m->limit.set && m->limit.value > 0 ? m->limit.value : 0;
}

static int choose_memory(const struct oci_spec *spec, uint64_t *out, struct err *e)
{
	static const char *const names[] = { "org.drupe.vm.memory-mib", "krun.ram_mib",
					     "io.katacontainers.config.hypervisor.default_memory", NULL };
	const struct oci_vm_hw *hw = spec->vm ? spec->vm->hw_config : NULL;
	uint64_t size = hw && hw->memory.set ? hw->memory.value : 0, max = 1ull << 40;
	int given = size > 0 ? 1 : number(spec, names, &size, e);

	if (given < 0)
		return given;
	if (given && !(hw && hw->memory.set && hw->memory.value))
		size = size > max / MIB ? max + 1 : size * MIB;
	if (!given)
		size = limit_of(spec) ? (uint64_t)limit_of(spec) + VM_GUEST_OVERHEAD : VM_MEMORY_DEFAULT;
	size = (size + MIB - 1) & ~(MIB - 1);
	if (size < VM_MEMORY_MIN && given)
		return err_set(e, EINVAL, "%llu MiB of memory are too little for a virtual machine (%llu)",
			       (unsigned long long)(size / MIB), VM_MEMORY_MIN / MIB);
	if (size > max)
		return err_set(e, EINVAL, "%llu MiB of memory are too much for a virtual machine",
			       (unsigned long long)(size / MIB));
	*out = size < VM_MEMORY_MIN ? VM_MEMORY_MIN : size;
	return 0;
}

/* ---- the host's config ---- */

/* Of devices the machine needs /dev/kvm, and what every container has. */
static const struct oci_device_rule host_devices[] = {
	{ .allow = false, .access = "rwm" },
	{ .allow = true, .type = "c", .access = "rw", .major = { 10, true }, .minor = { 232, true } },
};

static const struct oci_resources *host_resources(const struct oci_spec *spec, uint64_t memory, struct arena *a)
{
	const struct oci_resources *from = spec->linux_->resources;
	struct oci_resources *to = arena_new(a, struct oci_resources);
	struct oci_memory *m = arena_new(a, struct oci_memory);

	m->limit = (struct opt_i64){ (int64_t)(memory + VM_HOST_OVERHEAD), true };
	*to = (struct oci_resources){
		.devices = { (struct oci_device_rule *)host_devices, sizeof(host_devices) / sizeof(*host_devices) },
		.memory = limit_of(spec) ? m : NULL,
		.cpu = from->cpu,
		.block_io = from->block_io,
	};
	return to;
}

/* createContainer hooks run on the host, too: after the others that run while the container is made. */
static const struct oci_hooks *host_hooks(const struct oci_hooks *from, struct arena *a)
{
	struct oci_hooks *to = arena_new(a, struct oci_hooks);
	const struct oci_hook_list *r = &from->create_runtime, *c = &from->create_container;
	struct oci_hook_list all = { arena_alloc(a, (r->n + c->n + 1) * sizeof(*all.v)), r->n + c->n };

	for (size_t i = 0; i < all.n; i++)
		all.v[i] = i < r->n ? r->v[i] : c->v[i - r->n];
	*to = *from;
	to->create_runtime = all;
	to->create_container = to->start_container = (struct oci_hook_list){ 0 };
	return to;
}

/* What the supervisor is as a process: nothing of it is the container's but whether it has a terminal. */
static const struct oci_process *host_process(const struct oci_process *from, struct arena *a)
{
	struct oci_process *to = arena_new(a, struct oci_process);

	if (!from)
		return NULL;
	*to = (struct oci_process){
		.terminal = from->terminal,
		.console_size = from->console_size,
		.cwd = "/",
		.args = from->args,
		.user = arena_new(a, struct oci_user),
		.oom_score_adj = from->oom_score_adj,
	};
	return to;
}

static const struct oci_spec *host_spec(const struct oci_spec *spec, uint64_t memory, struct arena *a)
{
	struct oci_spec *to = arena_new(a, struct oci_spec);
	struct oci_linux *l = arena_new(a, struct oci_linux);
	struct oci_root *root = arena_new(a, struct oci_root);

	if (spec->root)
		root->path = spec->root->path;
	l->cgroups_path = spec->linux_->cgroups_path;
	l->resources = host_resources(spec, memory, a);
	*to = (struct oci_spec){
		.oci_version = spec->oci_version,
		.root = root,
		.process = host_process(spec->process, a),
		.hooks = host_hooks(spec->hooks, a),
		.linux_ = l,
		.annotations = spec->annotations,
	};
	return to;
}

/* ---- the guest's config ---- */

static bool is_bind(const struct oci_mount *m)
{
	bool bind = str_eq(m->type, "bind") || str_eq(m->type, "rbind"), remount = false;

	for (size_t i = 0; i < m->options.n; i++) {
		bind |= str_eq(m->options.v[i], "bind") || str_eq(m->options.v[i], "rbind");
		remount |= str_eq(m->options.v[i], "remount");
	}
	return bind && !remount;
}

static bool has_option(const struct oci_mount *m, const char *word)
{
	for (size_t i = 0; i < m->options.n; i++)
		if (str_eq(m->options.v[i], word))
			return true;
	return false;
}

/* Bind mounts come from the share. That the host's mounts are read-only holds on the host's side already. */
static void share_mounts(const struct oci_spec *spec, const char *bundle, struct arena *a, struct vm_plan *p,
			 struct oci_spec *guest)
{
	struct vm_share *shares = arena_alloc(a, (spec->mounts.n + 1) * sizeof(*shares));

	shares[0] = (struct vm_share){
		.name = "rootfs", .where = "root.path", .source = path_join(a, bundle, spec->root->path), .recursive = true
	};
	p->n_shares = 1;
	guest->mounts.v = arena_alloc(a, (spec->mounts.n + 1) * sizeof(*guest->mounts.v));
	for (size_t i = 0; i < spec->mounts.n; i++) {
		struct oci_mount *m = &guest->mounts.v[i];

		*m = spec->mounts.v[i];
		/* Without a source it is the guest's plan that is wrong. */
		if (!is_bind(m) || !m->source || !*m->source)
			continue;
		struct vm_share *s = &shares[p->n_shares];

		s->name = arena_printf(a, "m/%zu", p->n_shares++);
		s->where = arena_printf(a, "mounts[%zu] (%s)", i, m->destination);
		s->source = path_join(a, bundle, m->source);
		s->recursive = has_option(m, "rbind") || str_eq(m->type, "rbind");
		s->readonly = has_option(m, "ro");
		m->source = arena_printf(a, VM_SHARE "/%s", s->name);
	}
	p->shares = shares;
}

/* CPUs and io are limited on the host; there is no swap in the guest. */
static const struct oci_resources *guest_resources(const struct oci_resources *from, struct arena *a)
{
	struct oci_resources *to = arena_new(a, struct oci_resources);
	struct oci_memory *m = arena_new(a, struct oci_memory);

	*to = *from;
	to->cpu = NULL;
	to->block_io = NULL;
	if (!from->memory)
		return to;
	*m = *from->memory;
	m->swap.set = m->swappiness.set = m->kernel.set = m->kernel_tcp.set = false;
	to->memory = m;
	return to;
}

static void guest_spec(const struct oci_spec *spec, const char *bundle, struct arena *a, struct vm_plan *p)
{
	struct oci_spec *to = arena_new(a, struct oci_spec);
	struct oci_linux *l = arena_new(a, struct oci_linux);
	struct oci_root *root = arena_new(a, struct oci_root);
	struct oci_hooks *hooks = arena_new(a, struct oci_hooks);

	*to = *spec;
	*l = *spec->linux_;
	l->cgroups_path = "/container";
	l->resources = guest_resources(l->resources, a);
	l->memory_policy = NULL; /* the guest has one node */
	*root = (struct oci_root){ .path = VM_SHARE "/rootfs", .readonly = spec->root->readonly };
	hooks->start_container = spec->hooks->start_container;
	to->vm = NULL;
	to->linux_ = l;
	to->root = root;
	to->hooks = hooks;
	share_mounts(spec, bundle, a, p, to);
	p->guest = to;
}

static const char *join_words(const struct strs *words, struct arena *a)
{
	struct strbuf out = STRBUF(a);

	for (size_t i = 0; i < words->n; i++)
		strbuf_printf(&out, "%s%s", i ? " " : "", words->v[i]);
	return words->n ? strbuf_str(&out) : NULL;
}

int vm_plan_build(const struct oci_spec *spec, const char *bundle, unsigned cpus_online, struct arena *a, struct vm_plan *out,
		  struct err *e)
{
	const struct oci_vm_kernel *kernel = spec->vm ? spec->vm->kernel : NULL;
	struct vm_plan p = { .kernel = kernel ? kernel->path : NULL,
			     .kernel_args = kernel ? join_words(&kernel->parameters, a) : NULL };
	int r = spec->root && spec->root->path && *spec->root->path ? check(spec, e) : err_set(e, EINVAL, "root.path: missing");

	if (r == 0)
		r = choose_cpus(spec, cpus_online, &p.cpus, e);
	if (r == 0)
		r = choose_memory(spec, &p.memory, e);
	if (r < 0)
		return r;
	p.host = host_spec(spec, p.memory, a);
	guest_spec(spec, bundle, a, &p);
	*out = p;
	return 0;
}

void vm_guest_host(struct host *out)
{
	static const struct host_hierarchy cgroup2[] = { { "/sys/fs/cgroup", "", "/", true } };

	host_whole(out);
	out->cgroup_mode = CGROUP_MODE_V2;
	out->hier = cgroup2;
	out->n_hier = 1;
	out->v2_controllers = "cpuset cpu memory pids"; /* of hwvirt-sandbox/kernel/fragment */
	out->ignored_signals = PROC_SIGNAL(SIGPIPE);    /* by the agent */
}

int vm_plan_guest(const struct vm_plan *p, const char *id, struct arena *a, struct plan *out, struct err *e)
{
	const struct plan_options o = { .id = id, .bundle = VM_SHARE };
	struct host guest;

	vm_guest_host(&guest);
	return plan_build(p->guest, &o, &guest, a, out, e);
}

/* ---- update ---- */

static bool changes_time(const struct oci_cpu *c)
{
	return c && (c->quota.set || (c->period.set && c->period.value));
}

/* A limit that is there already may stay, whatever the sizes were chosen by. */
static int check_room(const struct vm_plan *p, const struct oci_resources *old, const struct oci_resources *update, struct err *e)
{
	int64_t room = (int64_t)(p->memory - VM_GUEST_OVERHEAD);

	if (old->memory && old->memory->limit.set && old->memory->limit.value > room)
		room = old->memory->limit.value;
	if (!update->memory || !update->memory->limit.set || update->memory->limit.value <= room)
		return 0;
	return err_set(
		e, EINVAL,
		"linux.resources.memory.limit: %lld bytes are more than the virtual machine has for its container (%lld, of %llu)",
		(long long)update->memory->limit.value, (long long)room, (unsigned long long)p->memory);
}

int vm_update_build(const struct vm_plan *p, const struct oci_resources *old, const struct oci_resources *update,
		    const struct oci_resources *after, struct arena *a, struct vm_update *out, struct err *e)
{
	uint64_t cpus = cpus_of_limits(after->cpu);
	struct oci_resources *host = arena_new(a, struct oci_resources);

	if (check_resources(update, e) < 0 || check_room(p, old, update, e) < 0)
		return -e->code;
	if (changes_time(update->cpu) && cpus > p->cpus)
		return err_set(e, EINVAL,
			       "linux.resources.cpu: the time of %llu processors is more than the virtual machine has (%u)",
			       (unsigned long long)cpus, p->cpus);
	*host = (struct oci_resources){ .cpu = update->cpu, .block_io = update->block_io };
	*out = (struct vm_update){ host, guest_resources(update, a), guest_resources(old, a) };
	return 0;
}
