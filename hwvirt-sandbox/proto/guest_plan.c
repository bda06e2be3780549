/* Every function here is both directions: see codec.h. The order of the members is the format. */
#include "hwvirt-sandbox/proto/guest_plan.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static void pair(struct codec *c, void *element)
{
	struct pair *p = element;

	codec_text(c, &p->name);
	codec_text(c, &p->value);
}

static void pairs(struct codec *c, struct pairs *p)
{
	codec_list(c, &p->v, &p->n, sizeof(*p->v), pair);
}

static void id_map(struct codec *c, void *element)
{
	struct oci_id_map *m = element;

	codec_u32(c, &m->container_id);
	codec_u32(c, &m->host_id);
	codec_u32(c, &m->size);
}

static void id_maps(struct codec *c, struct oci_id_map_list *l)
{
	codec_list(c, &l->v, &l->n, sizeof(*l->v), id_map);
}

static void text(struct codec *c, void *element)
{
	codec_text(c, element);
}

static void ns_plan(struct codec *c, struct ns_plan *p)
{
	codec_u32(c, &p->create);
	codec_u32(c, &p->set);
	id_maps(c, &p->uid_map);
	id_maps(c, &p->gid_map);
	id_maps(c, &p->container_uid_map);
	id_maps(c, &p->container_gid_map);
	codec_bool(c, &p->user_ns);
	codec_bool(c, &p->deny_setgroups);
	codec_str(c, &p->time_offsets);
	codec_str(c, &p->hostname);
	codec_str(c, &p->domainname);
	pairs(c, &p->sysctl);
}

/* ---- cgroup ---- */

static void cgroup_dir(struct codec *c, void *element)
{
	struct cgroup_dir *d = element;

	codec_text(c, &d->controllers);
	codec_text(c, &d->mount);
	codec_text(c, &d->path);
	codec_bool(c, &d->v2);
}

static void cgroup_ref(struct codec *c, struct cgroup_ref *r)
{
	struct cgroup_dir *dirs = (struct cgroup_dir *)r->dirs;

	codec_choice(c, &r->manager, CGROUP_MANAGER_DISABLED + 1);
	codec_check(c, r->manager != CGROUP_MANAGER_SYSTEMD);
	codec_choice(c, &r->mode, CGROUP_MODE_V2 + 1);
	codec_text(c, &r->path);
	codec_list(c, &dirs, &r->n_dirs, sizeof(*dirs), cgroup_dir);
	codec_bool(c, &r->optional);
	r->dirs = dirs;
}

/* The directories follow: write_dirs(). */
static void cgroup_write(struct codec *c, void *element)
{
	struct cgroup_write *w = element;

	codec_text(c, &w->file);
	codec_text(c, &w->text);
	codec_text(c, &w->where);
	codec_str(c, &w->alt_file);
	codec_str(c, &w->alt_text);
	codec_check(c, !w->alt_file == !w->alt_text);
	codec_bool(c, &w->may_be_missing);
	codec_bool(c, &w->may_be_refused);
	codec_bool(c, &w->next_first);
	codec_bool(c, &w->check_usage);
}

static void write_dirs(struct codec *c, struct cgroup_write *w, size_t n, const struct cgroup_ref *r)
{
	for (size_t i = 0; i < n && !c->bad; i++) {
		uint32_t number = c->out ? (uint32_t)(w[i].dir - r->dirs) : 0;

		codec_u32(c, &number);
		codec_check(c, number < r->n_dirs);
		if (!c->out)
			w[i].dir = c->bad ? NULL : &r->dirs[number];
	}
}

void codec_cgroup_plan(struct codec *c, struct cgroup_plan *p)
{
	struct cgroup_write *writes = (struct cgroup_write *)p->writes;

	cgroup_ref(c, &p->ref);
	codec_list(c, &writes, &p->n_writes, sizeof(*writes), cgroup_write);
	write_dirs(c, writes, p->n_writes, &p->ref);
	p->writes = writes;
	codec_str(c, &p->controllers);
	codec_bytes(c, &p->device_prog, &p->device_prog_len, 8); /* struct bpf_insn */
	codec_bool(c, &p->devices_may_be_refused);
	codec_bool(c, &p->no_birth);
	codec_bool(c, &p->delegated);
	codec_u32(c, &p->owner);
	/* Nothing to look at where a write has no directory. */
	p->n_writes = c->bad ? 0 : p->n_writes;
}

/* ---- rootfs ---- */

static void fs_param(struct codec *c, void *element)
{
	struct fs_param *p = element;

	codec_text(c, &p->key);
	codec_str(c, &p->value);
}

static void word(struct codec *c, unsigned long *v)
{
	uint64_t n = *v;

	codec_u64(c, &n);
	if (!c->out)
		*v = n;
}

static void mount_flags(struct codec *c, struct mount_op *m)
{
	bool *const flags[] = { &m->recursive,        &m->sb_readonly,   &m->copy_up, &m->copy_symlink,
				&m->src_nofollow,     &m->dest_nofollow, &m->idmap,   &m->idmap_recursive,
				&m->mode_from_target, &m->late_readonly, &m->remount };

	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		codec_bool(c, flags[i]);
}

static void mount_op(struct codec *c, void *element)
{
	struct mount_op *m = element;
	uint32_t n = (uint32_t)m->n_propagation;

	codec_choice(c, &m->kind, MOUNT_CGROUP_V2 + 1);
	codec_u32(c, &m->index);
	codec_text(c, &m->destination);
	codec_text(c, &m->dest);
	codec_str(c, &m->source);
	codec_str(c, &m->fstype);
	codec_check(c, m->remount || m->kind != MOUNT_BIND || m->source);
	codec_check(c, m->remount || m->kind != MOUNT_FS || m->fstype);
	codec_list(c, &m->params, &m->n_params, sizeof(*m->params), fs_param);
	codec_u64(c, &m->attr_set);
	codec_u64(c, &m->attr_clr);
	codec_u64(c, &m->rec_attr_set);
	codec_u64(c, &m->rec_attr_clr);
	codec_u32(c, &n);
	codec_check(c, n <= sizeof(m->propagation) / sizeof(*m->propagation));
	n = c->bad ? 0 : n;
	for (uint32_t i = 0; i < n; i++)
		word(c, &m->propagation[i]);
	if (!c->out)
		m->n_propagation = n;
	mount_flags(c, m);
	id_maps(c, &m->uid_map);
	id_maps(c, &m->gid_map);
	codec_str(c, &m->label);
}

static void device_op(struct codec *c, void *element)
{
	struct device_op *d = element;

	codec_text(c, &d->where);
	codec_text(c, &d->path);
	codec_u32(c, &d->type);
	codec_check(c, d->type == S_IFCHR || d->type == S_IFBLK || d->type == S_IFIFO);
	codec_u32(c, &d->major);
	codec_u32(c, &d->minor);
	codec_u32(c, &d->mode);
	codec_check(c, !(d->mode & ~07777u));
	codec_u32(c, &d->uid);
	codec_u32(c, &d->gid);
	codec_bool(c, &d->is_default);
}

static void view_dir(struct codec *c, void *element)
{
	struct cgroup_view_dir *d = element;

	codec_text(c, &d->name);
	codec_text(c, &d->path);
}

static void cgroup_view(struct codec *c, struct cgroup_view *v)
{
	uint32_t n = (uint32_t)v->n_links;

	codec_choice(c, &v->mode, CGROUP_MODE_V2 + 1);
	codec_list(c, &v->v, &v->n, sizeof(*v->v), view_dir);
	codec_u32(c, &n);
	codec_check(c, n <= sizeof(v->links) / sizeof(*v->links));
	v->n_links = c->bad ? 0 : n;
	for (size_t i = 0; i < v->n_links; i++) {
		codec_text(c, &v->links[i].name);
		codec_text(c, &v->links[i].target);
	}
}

static void rootfs_plan(struct codec *c, struct rootfs_plan *p)
{
	bool *const flags[] = { &p->readonly, &p->no_pivot,  &p->new_mount_ns, &p->user_ns,
				&p->net_ns,   &p->cgroup_ns, &p->setup_dev,    &p->terminal };

	codec_text(c, &p->root);
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		codec_bool(c, flags[i]);
	word(c, &p->propagation);
	codec_list(c, &p->mounts, &p->n_mounts, sizeof(*p->mounts), mount_op);
	codec_list(c, &p->devices, &p->n_devices, sizeof(*p->devices), device_op);
	codec_list(c, &p->masked, &p->n_masked, sizeof(*p->masked), text);
	codec_list(c, &p->readonly_paths, &p->n_readonly, sizeof(*p->readonly_paths), text);
	codec_str(c, &p->mount_label);
	codec_str(c, &p->label_context);
	id_maps(c, &p->uid_map);
	id_maps(c, &p->gid_map);
	cgroup_view(c, &p->cgroup);
	codec_str(c, &p->cgroup2_mount);
}

/* ---- process ---- */

static void caps(struct codec *c, struct sec_caps *v)
{
	codec_u64(c, &v->bounding);
	codec_u64(c, &v->permitted);
	codec_u64(c, &v->effective);
	codec_u64(c, &v->inheritable);
	codec_u64(c, &v->ambient);
}

static void rlimit(struct codec *c, void *element)
{
	struct sec_rlimit *l = element;

	codec_int(c, &l->resource);
	codec_text(c, &l->name);
	codec_u64(c, &l->soft);
	codec_u64(c, &l->hard);
}

static void sched(struct codec *c, void *element)
{
	struct sec_sched *s = element;

	codec_u32(c, &s->policy);
	codec_u64(c, &s->flags);
	codec_int(c, &s->nice);
	codec_u32(c, &s->priority);
	codec_u64(c, &s->runtime_ns);
	codec_u64(c, &s->deadline_ns);
	codec_u64(c, &s->period_ns);
}

static void filter(struct codec *c, void *element)
{
	struct sec_filter *f = element;
	size_t n = f->n;

	codec_bytes(c, &f->insns, &n, 8); /* struct sock_filter */
	codec_check(c, n > 0 && n <= 4096);
	if (!c->out)
		f->n = (unsigned short)n;
	codec_u32(c, &f->flags);
}

static void sec_numbers(struct codec *c, struct sec_plan *p)
{
	codec_bool(c, &p->no_new_privs);
	codec_bool(c, &p->oom_score_set);
	codec_int(c, &p->oom_score_adj);
	codec_bool(c, &p->ioprio_set);
	codec_int(c, &p->ioprio);
	codec_bool(c, &p->mempolicy_set);
	codec_int(c, &p->mempolicy_mode);
	for (size_t i = 0; i < sizeof(p->nodes) / sizeof(*p->nodes); i++)
		word(c, &p->nodes[i]);
	codec_bool(c, &p->personality_set);
	word(c, &p->personality);
	codec_bool(c, &p->new_keyring);
}

static void sec_plan(struct codec *c, struct sec_plan *p)
{
	const void *groups = p->groups;

	codec_u32(c, &p->uid);
	codec_u32(c, &p->gid);
	codec_bytes(c, &groups, &p->n_groups, sizeof(*p->groups));
	p->groups = groups;
	codec_bool(c, &p->set_groups);
	codec_u32(c, &p->umask);
	caps(c, &p->caps);
	codec_list(c, &p->rlimits, &p->n_rlimits, sizeof(*p->rlimits), rlimit);
	codec_optional(c, &p->sched, sizeof(*p->sched), sched);
	sec_numbers(c, p);
	codec_str(c, &p->apparmor);
	codec_str(c, &p->selinux);
	codec_str(c, &p->keyring_name);
	codec_check(c, !p->new_keyring || p->keyring_name);
	codec_optional(c, &p->filter, sizeof(*p->filter), filter);
	codec_str(c, &p->affinity_initial);
	codec_str(c, &p->affinity_final);
}

static void proc_plan(struct codec *c, struct proc_plan *p)
{
	codec_argv(c, &p->argv);
	codec_check(c, c->bad || p->argv[0]);
	codec_argv(c, &p->envp);
	codec_text(c, &p->cwd);
	codec_bool(c, &p->set_home);
	codec_bool(c, &p->terminal);
	codec_u16(c, &p->rows);
	codec_u16(c, &p->cols);
	codec_u64(c, &p->ignored_signals);
}

static void hook_op(struct codec *c, void *element)
{
	struct hook_op *h = element;

	codec_text(c, &h->path);
	codec_text(c, &h->where);
	codec_argv(c, &h->argv);
	codec_check(c, c->bad || h->argv[0]);
	codec_strv(c, &h->envp);
	codec_i64(c, &h->timeout_ms);
}

static void hooks(struct codec *c, struct hook_ops *h)
{
	struct hook_op *v = (struct hook_op *)h->v;

	codec_list(c, &v, &h->n, sizeof(*v), hook_op);
	h->v = v;
}

void codec_plan(struct codec *c, struct plan *p)
{
	codec_text(c, &p->id);
	codec_text(c, &p->bundle);
	codec_text(c, &p->oci_version);
	pairs(c, &p->annotations);
	codec_bool(c, &p->has_process);
	codec_bool(c, &p->own_pid_ns);
	ns_plan(c, &p->ns);
	codec_cgroup_plan(c, &p->cgroup);
	rootfs_plan(c, &p->rootfs);
	codec_bool(c, &p->net.loopback);
	hooks(c, &p->hooks.start_container);
	if (!p->has_process || c->bad)
		return;
	sec_plan(c, &p->sec);
	proc_plan(c, &p->proc);
}

void codec_exec_plan(struct codec *c, struct exec_plan *p)
{
	sec_plan(c, &p->sec);
	proc_plan(c, &p->proc);
}

/* ---- what cannot be sent ---- */

static int check_process(const struct sec_plan *sec, const struct proc_plan *proc, struct err *e)
{
	if (sec->filter && sec->filter->notify)
		return err_set(e, ENOTSUP, "linux.seccomp: a listener cannot follow into a virtual machine");
	if (proc->keep_fds)
		return err_set(e, ENOTSUP, "descriptors cannot be passed into a virtual machine");
	return 0;
}

int guest_plan_check(const struct plan *p, struct err *e)
{
	if (p->ns.n_join)
		return err_set(e, ENOTSUP, "%s: a virtual machine cannot join a namespace of the host", p->ns.join[0].where);
	if (p->net.n_devices)
		return err_set(e, ENOTSUP, "linux.netDevices: devices of the host cannot be moved into a virtual machine");
	if (p->resctrl.ref.mount)
		return err_set(e, ENOTSUP, "linux.intelRdt: not in a virtual machine");
	if (p->cgroup.unit || p->cgroup.ref.scope)
		return err_set(e, ENOTSUP, "no systemd in a virtual machine");
	return check_process(&p->sec, &p->proc, e);
}

int guest_exec_check(const struct exec_plan *p, struct err *e)
{
	return check_process(&p->sec, &p->proc, e);
}
