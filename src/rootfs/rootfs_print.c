/* rootfs_print.c - the plan as text, one operation a line; golden tests compare it */
#include "base/str.h"
#include "rootfs/internal.h"

#include <sys/stat.h>

static void print_attrs(struct strbuf *out, const char *prefix, uint64_t set, uint64_t clr)
{
	static const struct {
		uint64_t bit;
		const char *on, *off;
	} names[] = {
		{ SYS_MOUNT_ATTR_RDONLY, "ro", "rw" },
		{ SYS_MOUNT_ATTR_NOSUID, "nosuid", "suid" },
		{ SYS_MOUNT_ATTR_NODEV, "nodev", "dev" },
		{ SYS_MOUNT_ATTR_NOEXEC, "noexec", "exec" },
		{ SYS_MOUNT_ATTR_NODIRATIME, "nodiratime", "diratime" },
		{ SYS_MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow", "symfollow" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (set & names[i].bit)
			strbuf_printf(out, " %s%s", prefix, names[i].on);
		if (clr & names[i].bit)
			strbuf_printf(out, " %s%s", prefix, names[i].off);
	}
	if (clr & SYS_MOUNT_ATTR_ATIME)
		strbuf_printf(out, " %s%s", prefix,
			      set & SYS_MOUNT_ATTR_NOATIME       ? "noatime"
			      : set & SYS_MOUNT_ATTR_STRICTATIME ? "strictatime"
								 : "relatime");
}

static const char *propagation_name(unsigned long flags)
{
	switch (flags & ~(unsigned long)MS_REC) {
	case MS_SHARED:
		return flags & MS_REC ? "rshared" : "shared";
	case MS_SLAVE:
		return flags & MS_REC ? "rslave" : "slave";
	case MS_UNBINDABLE:
		return flags & MS_REC ? "runbindable" : "unbindable";
	default:
		return flags & MS_REC ? "rprivate" : "private";
	}
}

static void print_switches(struct strbuf *out, const struct mount_op *op)
{
	const struct {
		bool on;
		const char *name;
	} switches[] = {
		{ op->late_readonly, "late-ro" },           { op->sb_readonly, "sb-ro" },
		{ op->mode_from_target, "mode-of-target" }, { op->copy_up, "tmpcopyup" },
		{ op->copy_symlink, "copy-symlink" },       { op->src_nofollow, "src-nofollow" },
		{ op->dest_nofollow, "dest-nofollow" },     { op->idmap && !op->idmap_recursive, "idmap" },
		{ op->idmap_recursive, "ridmap" },
	};

	for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++)
		if (switches[i].on)
			strbuf_printf(out, " %s", switches[i].name);
}

static void print_ids(struct strbuf *out, const char *name, const struct oci_id_map_list *map)
{
	for (size_t i = 0; i < map->n; i++)
		strbuf_printf(out, "%s%u-%u-%u", i ? "#" : name, map->v[i].container_id, map->v[i].host_id, map->v[i].size);
}

static void print_mount(struct strbuf *out, const struct mount_op *op)
{
	static const char *const kinds[] = { "bind", "fs", "cgroup-v1", "cgroup-v2" };

	strbuf_printf(out, "%s %s", op->remount ? "remount" : op->recursive ? "rbind" : kinds[op->kind], op->dest);
	if (op->kind == MOUNT_FS && !op->remount)
		strbuf_printf(out, " type=%s", op->fstype);
	if (op->source && !op->remount)
		strbuf_printf(out, " source=%s", op->source);
	print_attrs(out, "", op->attr_set, op->attr_clr);
	print_attrs(out, "r", op->rec_attr_set, op->rec_attr_clr);
	for (size_t i = 0; i < op->n_propagation; i++)
		strbuf_printf(out, " %s", propagation_name(op->propagation[i]));
	print_switches(out, op);
	print_ids(out, " uids=", &op->uid_map);
	print_ids(out, " gids=", &op->gid_map);
	for (size_t i = 0; i < op->n_params; i++)
		strbuf_printf(out, op->params[i].value ? " -o %s=%s" : " -o %s", op->params[i].key, op->params[i].value);
	if (op->label)
		strbuf_printf(out, " label=%s", op->label);
	strbuf_puts(out, "\n");
}

static void print_device(struct strbuf *out, const struct device_op *d, bool bind)
{
	const char *type = d->type == S_IFBLK ? "b" : d->type == S_IFIFO ? "p" : "c";

	strbuf_printf(out, "%s %s %s", bind && d->type != S_IFIFO ? "bind-device" : "device", d->path, type);
	if (d->type != S_IFIFO)
		strbuf_printf(out, " %u:%u", d->major, d->minor);
	strbuf_printf(out, " mode=%04o uid=%u gid=%u%s\n", (unsigned)d->mode, d->uid, d->gid, d->is_default ? " default" : "");
}

void rootfs_plan_print(const struct rootfs_plan *p, struct strbuf *out)
{
	strbuf_printf(out, "root %s%s%s", p->root, p->readonly ? " readonly" : "",
		      !p->new_mount_ns ? " chroot"
		      : p->no_pivot    ? " no-pivot"
				       : "");
	if (p->propagation)
		strbuf_printf(out, " %s", propagation_name(p->propagation));
	strbuf_puts(out, "\n");
	for (size_t i = 0; i < p->n_mounts; i++)
		print_mount(out, &p->mounts[i]);
	for (size_t i = 0; i < p->cgroup.n; i++)
		strbuf_printf(out, "cgroup-view %s %s\n", p->cgroup.v[i].name, p->cgroup.v[i].path);
	for (size_t i = 0; i < p->cgroup.n_links; i++)
		strbuf_printf(out, "cgroup-link %s %s\n", p->cgroup.links[i].name, p->cgroup.links[i].target);
	for (size_t i = 0; i < p->n_devices; i++)
		print_device(out, &p->devices[i], p->user_ns);
	if (p->setup_dev)
		strbuf_puts(out, "dev-links\n");
	for (size_t i = 0; i < p->n_readonly; i++)
		strbuf_printf(out, "readonly %s\n", p->readonly_paths[i]);
	for (size_t i = 0; i < p->n_masked; i++)
		strbuf_printf(out, "mask %s\n", p->masked[i]);
}
