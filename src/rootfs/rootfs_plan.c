/* rootfs_plan.c - spec -> list of operations
 *
 * Pure: reads the spec and the facts about the host, touches nothing. What only the kernel can tell (does a source exist, is it a
 * directory, what does a link in the image point to) is left to the steps that carry the plan out; everything else is decided, and
 * refused, here.
 */
#include "base/log.h"
#include "base/path.h"
#include "base/str.h"
#include "rootfs/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static const struct oci_namespace *find_ns(const struct oci_spec *spec, int type)
{
	for (size_t i = 0; i < spec->linux_->namespaces.n; i++)
		if (spec->linux_->namespaces.v[i].type == type)
			return &spec->linux_->namespaces.v[i];
	return NULL;
}

static bool creates_ns(const struct oci_spec *spec, int type)
{
	const struct oci_namespace *ns = find_ns(spec, type);

	return ns && !ns->path;
}

/* ---- one mount ---- */

static int decide_kind(const struct oci_mount *m, const struct host *h, struct mount_op *op, struct err *e)
{
	const char *type = m->type ? m->type : "";

	op->fstype = type;
	if (options_is_bind(&m->options)) {
		op->kind = MOUNT_BIND;
		op->fstype = NULL;
		return 0;
	}
	if (!*type || str_eq(type, "bind") || str_eq(type, "rbind") || str_eq(type, "none"))
		return err_set(e, EINVAL, "type \"%s\" without the option bind or rbind", type);
	op->kind = MOUNT_FS;
	if (!str_eq(type, "cgroup") && !str_eq(type, "cgroup2"))
		return 0;
	if (h->cgroup_mode == CGROUP_MODE_NONE)
		return err_set(e, ENOTSUP, "the host has no cgroup file system");
	op->kind = h->cgroup_mode == CGROUP_MODE_V2 || str_eq(type, "cgroup2") ? MOUNT_CGROUP_V2 : MOUNT_CGROUP_V1;
	op->fstype = op->kind == MOUNT_CGROUP_V2 ? "cgroup2" : "tmpfs";
	return 0;
}

static int decide_source(const struct oci_mount *m, const char *bundle, struct arena *a, struct mount_op *op, struct err *e)
{
	if (op->kind != MOUNT_BIND || op->remount) {
		op->source = m->source;
		return 0;
	}
	if (!m->source || !*m->source)
		return err_set(e, EINVAL, "a bind mount needs a source");
	op->source = path_join(a, bundle, m->source);
	return 0;
}

/* Who maps which ids: own mappings, or those of the container's user namespace. */
static int decide_idmap(const struct oci_mount *m, const struct oci_spec *spec, struct mount_op *op, struct err *e)
{
	if (m->uid_mappings.n) {
		op->idmap = true;
		op->uid_map = m->uid_mappings;
		op->gid_map = m->gid_mappings;
	}
	if (!op->idmap)
		return 0;
	if (!op->uid_map.n != !op->gid_map.n)
		return err_set(e, EINVAL, "idmap needs both uids= and gids=");
	if (op->kind != MOUNT_BIND && op->kind != MOUNT_FS)
		return err_set(e, EINVAL, "ids of a cgroup mount cannot be mapped");
	if (!op->uid_map.n && !find_ns(spec, OCI_NS_USER))
		return err_set(e, EINVAL, "idmap without mappings, and the container has no user namespace");
	return 0;
}

static bool is_mapped(const struct oci_id_map_list *map, const char *id)
{
	struct err ignored;
	uint32_t n;

	if (parse_u32(id, &n, &ignored) < 0)
		return true; /* the kernel will tell */
	for (size_t i = 0; i < map->n; i++)
		if (n >= map->v[i].container_id && n - map->v[i].container_id < map->v[i].size)
			return true;
	return false;
}

/* gid=5 is in every devpts entry; in a user namespace that lacks the group it would fail, and nothing is lost without it. */
static void drop_unmapped_gid(const struct rootfs_plan *p, struct mount_op *op)
{
	size_t n = 0;

	if (!p->gid_map.n || !str_eq(op->fstype, "devpts"))
		return;
	for (size_t i = 0; i < op->n_params; i++)
		if (!str_eq(op->params[i].key, "gid") || !op->params[i].value || is_mapped(&p->gid_map, op->params[i].value))
			op->params[n++] = op->params[i];
	op->n_params = n;
}

static void decide_label(const struct rootfs_plan *p, struct arena *a, struct mount_op *op)
{
	if (!p->mount_label || op->kind != MOUNT_FS || str_eq(op->fstype, "proc") || str_eq(op->fstype, "sysfs"))
		return;
	if (str_eq(op->fstype, "mqueue"))
		op->label = p->mount_label; /* takes no context= */
	else if (!option_find_param(op, p->label_context))
		option_add_param(op, a, p->label_context, p->mount_label);
}

/* File systems of which the kernel has one instance only: a mount with "ro" would make it read-only for the host, too. */
static bool is_the_hosts(const char *fstype)
{
	static const char *const names[] = {
		"binfmt_misc", "configfs", "debugfs",    "devtmpfs",  "efivarfs", "fusectl",
		"pstore",      "resctrl",  "securityfs", "selinuxfs", "smackfs",  "tracefs",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_eq(fstype, names[i]))
			return true;
	return false;
}

/* What only some file systems know. */
static int decide_fs(const struct rootfs_plan *p, struct arena *a, struct mount_op *op, struct err *e)
{
	bool tmpfs = op->kind == MOUNT_FS && str_eq(op->fstype, "tmpfs");
	bool ro = op->kind == MOUNT_FS && !op->remount && (op_new_attrs(op) & SYS_MOUNT_ATTR_RDONLY);

	if (op->copy_up && !tmpfs)
		return err_set(e, EINVAL, "tmpcopyup is for tmpfs only");
	if ((op->copy_symlink || op->src_nofollow) && op->kind != MOUNT_BIND)
		return err_set(e, EINVAL, "copy-symlink and src-nofollow are for bind mounts only");
	if (op->copy_symlink && proc_needs_plain_dir(op))
		return err_set(e, EINVAL, "copy-symlink is not possible there: the mount point must be a directory");
	if (op->remount && op->n_params)
		return err_set(e, EINVAL, "a remount cannot change the option \"%s\" of the file system", op->params[0].key);
	op->mode_from_target = tmpfs && !op->remount && !option_find_param(op, "mode");
	op->late_readonly = ro && (tmpfs || str_eq(op->dest, "/dev"));
	if (op->late_readonly) {
		op->attr_set &= ~(uint64_t)SYS_MOUNT_ATTR_RDONLY;
		op->rec_attr_set &= ~(uint64_t)SYS_MOUNT_ATTR_RDONLY;
	}
	op->sb_readonly &= ro && !op->late_readonly && !is_the_hosts(op->fstype);
	drop_unmapped_gid(p, op);
	decide_label(p, a, op);
	return 0;
}

int mount_err_in(const struct mount_op *op, struct err *e)
{
	return err_in(e, "mounts[%u] (%s)", op->index, op->destination);
}

static int plan_mount(const struct oci_spec *spec, const struct oci_mount *m, const char *bundle, const struct host *h,
		      struct arena *a, const struct rootfs_plan *p, struct mount_op *op, struct err *e)
{
	if (decide_kind(m, h, op, e) < 0 || options_parse(&m->options, p, a, op, e) < 0)
		return -e->code;
	if (decide_source(m, bundle, a, op, e) < 0 || decide_idmap(m, spec, op, e) < 0 || decide_fs(p, a, op, e) < 0)
		return -e->code;
	return proc_check_plan(op, e);
}

static int plan_mounts(const struct oci_spec *spec, const char *bundle, const struct host *h, struct arena *a,
		       struct rootfs_plan *p, struct err *e)
{
	if (!p->new_mount_ns && spec->mounts.n)
		return err_set(e, EINVAL, "mounts: the container has no mount namespace of its own");
	p->mounts = arena_alloc(a, (spec->mounts.n + 1) * sizeof(*p->mounts));
	for (size_t i = 0; i < spec->mounts.n; i++) {
		const struct oci_mount *m = &spec->mounts.v[i];
		struct mount_op *op = &p->mounts[i];

		op->index = (uint32_t)i;
		op->destination = m->destination;
		op->dest = path_clean(a, m->destination);
		if (m->destination[0] != '/')
			log_warn("mounts[%zu] (%s): the destination is not absolute, %s is meant", i, m->destination, op->dest);
		if (plan_mount(spec, m, bundle, h, a, p, op, e) < 0)
			return mount_err_in(op, e);
		if (str_eq(op->dest, "/dev") && !op->remount && (op->kind == MOUNT_BIND || str_eq(op->fstype, "devtmpfs")))
			p->setup_dev = false;
	}
	p->n_mounts = spec->mounts.n;
	return 0;
}

/* ---- devices ---- */

static const struct {
	const char *path;
	unsigned major, minor;
} defaults[] = {
	{ "/dev/null", 1, 3 },   { "/dev/zero", 1, 5 },    { "/dev/full", 1, 7 },
	{ "/dev/random", 1, 8 }, { "/dev/urandom", 1, 9 }, { "/dev/tty", 5, 0 },
};
#define N_DEFAULTS (sizeof(defaults) / sizeof(defaults[0]))

/* The spec allows c, b, u and p; u is another name for c. */
static mode_t device_type(const struct oci_device *d)
{
	return d->type[0] == 'b' ? S_IFBLK : d->type[0] == 'p' ? S_IFIFO : S_IFCHR;
}

static int plan_device(const struct oci_device *d, struct arena *a, struct device_op *op, struct err *e)
{
	op->path = path_clean(a, path_join(a, "/dev", d->path));
	if (str_eq(op->path, "/"))
		return err_set(e, EINVAL, "the path names no file");
	op->type = device_type(d);
	op->major = op->type == S_IFIFO ? 0 : (unsigned)d->major.value;
	op->minor = op->type == S_IFIFO ? 0 : (unsigned)d->minor.value;
	if ((d->uid.set && d->uid.value >= UINT32_MAX) || (d->gid.set && d->gid.value >= UINT32_MAX))
		return err_set(e, EINVAL, "uid or gid is out of range");
	op->mode = d->file_mode.set ? (mode_t)(d->file_mode.value & 07777) : 0666;
	op->uid = (uint32_t)d->uid.value;
	op->gid = (uint32_t)d->gid.value;
	return 0;
}

static bool lists_device(const struct device_op *ops, size_t n, const char *path)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(ops[i].path, path))
			return true;
	return false;
}

/* Defaults first, except those that the config gives in its own way. */
static void merge_devices(struct rootfs_plan *p, const struct device_op *own, size_t n_own, bool use_defaults, struct arena *a)
{
	p->devices = arena_alloc(a, (n_own + N_DEFAULTS + 1) * sizeof(*p->devices));
	for (size_t i = 0; use_defaults && i < N_DEFAULTS; i++)
		if (!lists_device(own, n_own, defaults[i].path))
			p->devices[p->n_devices++] = (struct device_op){
				.where = defaults[i].path,
				.path = defaults[i].path,
				.type = S_IFCHR,
				.major = defaults[i].major,
				.minor = defaults[i].minor,
				.mode = 0666,
				.is_default = true,
			};
	if (n_own)
		memcpy(p->devices + p->n_devices, own, n_own * sizeof(*own));
	p->n_devices += n_own;
}

static int plan_devices(const struct oci_spec *spec, struct arena *a, struct rootfs_plan *p, struct err *e)
{
	const struct oci_device_list *list = &spec->linux_->devices;
	struct device_op *own = arena_alloc(a, (list->n + 1) * sizeof(*own));
	bool binds_possible = p->new_mount_ns || !p->user_ns;

	for (size_t i = 0; i < list->n; i++) {
		own[i].where = arena_printf(a, "linux.devices[%zu] (%s)", i, list->v[i].path);
		if (plan_device(&list->v[i], a, &own[i], e) < 0)
			return err_in(e, "%s", own[i].where);
		if (!binds_possible && own[i].type != S_IFIFO)
			return err_set(e, EINVAL, "%s: a user namespace without a mount namespace cannot have devices",
				       own[i].where);
	}
	if (p->setup_dev)
		merge_devices(p, own, list->n, binds_possible, a);
	return 0;
}

/* ---- paths, propagation, label ---- */

/* Finds path, or the free slot for it, in an open-addressed table with at least one free slot. */
static const char **path_slot(const char **table, size_t size, const char *path)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (const char *p = path; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	for (size_t at = hash & (size - 1);; at = (at + 1) & (size - 1))
		if (!table[at] || str_eq(table[at], path))
			return &table[at];
}

static int plan_paths(const struct strs *list, const char *name, const struct rootfs_plan *p, struct arena *a, const char ***out,
		      size_t *n, struct err *e)
{
	size_t size = 16;

	if (list->n && !p->new_mount_ns)
		return err_set(e, EINVAL, "%s: the container has no mount namespace of its own", name);
	while (size < 2 * list->n)
		size *= 2;
	const char **known = arena_alloc(a, size * sizeof(*known));

	*out = arena_alloc(a, (list->n + 1) * sizeof(**out));
	for (size_t i = 0; i < list->n; i++) {
		const char *path = path_clean(a, list->v[i]), **slot;

		if (list->v[i][0] != '/' || str_eq(path, "/"))
			return err_set(e, EINVAL, "%s[%zu]: \"%s\" is not an absolute path below /", name, i, list->v[i]);
		slot = path_slot(known, size, path);
		if (!*slot)
			(*out)[(*n)++] = *slot = path;
	}
	return 0;
}

static int plan_propagation(int word, struct rootfs_plan *p, struct err *e)
{
	static const unsigned long flags[] = {
		[OCI_PROP_UNSET] = 0,
		[OCI_PROP_PRIVATE] = MS_PRIVATE,
		[OCI_PROP_SHARED] = MS_SHARED,
		[OCI_PROP_SLAVE] = MS_SLAVE,
		[OCI_PROP_UNBINDABLE] = MS_UNBINDABLE,
		[OCI_PROP_RPRIVATE] = MS_PRIVATE | MS_REC,
		[OCI_PROP_RSHARED] = MS_SHARED | MS_REC,
		[OCI_PROP_RSLAVE] = MS_SLAVE | MS_REC,
		[OCI_PROP_RUNBINDABLE] = MS_UNBINDABLE | MS_REC,
	};

	p->propagation = flags[word];
	if (word == OCI_PROP_UNSET)
		return 0;
	if (!p->new_mount_ns)
		return err_set(e, EINVAL, "linux.rootfsPropagation: the container has no mount namespace of its own");
	if (p->no_pivot && (p->propagation & MS_PRIVATE))
		return err_set(e, EINVAL, "linux.rootfsPropagation: private is not possible without pivot_root");
	return 0;
}

static int plan_label(const struct oci_spec *spec, const struct host *h, struct rootfs_plan *p, struct err *e)
{
	static const char *const words[] = { "context", "fscontext", "defcontext", "rootcontext" };
	const char *asked = "context";

	if (!spec->linux_->mount_label || !*spec->linux_->mount_label)
		return 0;
	if (!h->selinux)
		return err_set(e, EINVAL, "linux.mountLabel: SELinux is not active on this host");
	for (size_t i = 0; i < spec->annotations.n; i++)
		if (str_eq(spec->annotations.v[i].name, "run.oci.mount_context_type"))
			asked = spec->annotations.v[i].value;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_eq(words[i], asked)) {
			p->mount_label = spec->linux_->mount_label;
			p->label_context = words[i];
			return 0;
		}
	return err_set(e, EINVAL, "annotation run.oci.mount_context_type: \"%s\" is no kind of context", asked);
}

static int plan_root(const struct oci_spec *spec, const char *bundle, struct arena *a, struct rootfs_plan *p, struct err *e)
{
	if (!spec->root || !spec->root->path || !*spec->root->path)
		return err_set(e, EINVAL, "root.path: missing");
	p->root = path_join(a, bundle, spec->root->path);
	p->readonly = spec->root->readonly;
	if (p->readonly && !p->new_mount_ns)
		return err_set(e, EINVAL, "root.readonly: the container has no mount namespace of its own");
	return 0;
}

int rootfs_plan_build(const struct oci_spec *spec, const char *bundle, const struct rootfs_options *o, const struct host *h,
		      struct arena *a, struct rootfs_plan *out, struct err *e)
{
	const struct oci_linux *l = spec->linux_;
	struct rootfs_plan p = {
		.no_pivot = o->no_pivot,
		.new_mount_ns = creates_ns(spec, OCI_NS_MOUNT),
		.user_ns = find_ns(spec, OCI_NS_USER) || !h->initial_userns,
		.net_ns = creates_ns(spec, OCI_NS_NETWORK),
		.cgroup_ns = creates_ns(spec, OCI_NS_CGROUP),
		.setup_dev = true,
		.terminal = spec->process && spec->process->terminal,
		.uid_map = l->uid_mappings,
		.gid_map = l->gid_mappings,
	};

	for (size_t i = 0; i < h->n_hier; i++)
		if (h->hier[i].v2 && !find_ns(spec, OCI_NS_CGROUP))
			p.cgroup2_mount = h->hier[i].mount;
	if (plan_root(spec, bundle, a, &p, e) < 0 || plan_propagation(l->rootfs_propagation, &p, e) < 0)
		return -e->code;
	if (plan_label(spec, h, &p, e) < 0 || plan_mounts(spec, bundle, h, a, &p, e) < 0 || plan_devices(spec, a, &p, e) < 0)
		return -e->code;
	if (plan_paths(&l->masked_paths, "linux.maskedPaths", &p, a, &p.masked, &p.n_masked, e) < 0)
		return -e->code;
	if (plan_paths(&l->readonly_paths, "linux.readonlyPaths", &p, a, &p.readonly_paths, &p.n_readonly, e) < 0)
		return -e->code;
	*out = p;
	return 0;
}
