/* New limits for a cgroup that is in use.
 *
 * An update names some settings; the others stay. Two descriptions come out of old and update: the resources the container has from
 * then on (merged), and what is to be written: the update, completed by what the kernel's files want together with it (quota and
 * period, memory and swap) from the old. The writes themselves are planned by the table that serves create, for the directories
 * that the container's state names.
 *
 * Devices: an update's list replaces the old one. cgroup2 swaps the filter in one step. v1 gets the differences between the two
 * reduced lists, what is added first, so that a device in both is never denied meanwhile.
 *
 * When a write fails, what was there before is written back.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "cgroups/cgroup_systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* ---- merging ---- */

#define TAKE_OPT(out, old, new, m) ((out)->m = (new)->m.set ? (new)->m : (old)->m)
#define TAKE_PTR(out, old, new, m) ((out)->m = (new)->m ? (new)->m : (old)->m)

static const struct oci_cpu *merge_cpu(const struct oci_cpu *old, const struct oci_cpu *new_, struct arena *a)
{
	struct oci_cpu *out = arena_new(a, struct oci_cpu);

	if (!old || !new_)
		return old ? old : new_;
	TAKE_PTR(out, old, new_, cpus);
	TAKE_PTR(out, old, new_, mems);
	TAKE_OPT(out, old, new_, shares);
	TAKE_OPT(out, old, new_, period);
	TAKE_OPT(out, old, new_, realtime_period);
	TAKE_OPT(out, old, new_, burst);
	TAKE_OPT(out, old, new_, quota);
	TAKE_OPT(out, old, new_, realtime_runtime);
	TAKE_OPT(out, old, new_, idle);
	/* 0 says "not set" there. */
	if (!out->shares.value)
		out->shares = old->shares;
	if (!out->period.value)
		out->period = old->period;
	return out;
}

static struct opt_i64 newer_bytes(struct opt_i64 old, struct opt_i64 new_)
{
	return new_.set && new_.value ? new_ : old;
}

static const struct oci_memory *merge_memory(const struct oci_memory *old, const struct oci_memory *new_, struct arena *a)
{
	struct oci_memory *out = arena_new(a, struct oci_memory);

	if (!old || !new_)
		return old ? old : new_;
	out->limit = newer_bytes(old->limit, new_->limit);
	out->reservation = newer_bytes(old->reservation, new_->reservation);
	out->swap = newer_bytes(old->swap, new_->swap);
	out->kernel = newer_bytes(old->kernel, new_->kernel);
	out->kernel_tcp = newer_bytes(old->kernel_tcp, new_->kernel_tcp);
	/* Unlimited memory with limited swap cannot be: who lifts the one lifts the other. */
	if (new_->limit.set && new_->limit.value == -1 && !(new_->swap.set && new_->swap.value))
		out->swap = new_->limit;
	TAKE_OPT(out, old, new_, swappiness);
	out->disable_oom_killer = old->disable_oom_killer || new_->disable_oom_killer;
	out->use_hierarchy = old->use_hierarchy || new_->use_hierarchy;
	out->check_before_update = new_->check_before_update;
	return out;
}

/* Lists of what is known by a key: the new ones take the place of the old ones with the same key, or are added. */
#define MERGE_LIST(type, same)                                                                                                     \
	static struct type##_list merge_##type(struct type##_list old, struct type##_list new_, struct arena *a)                   \
	{                                                                                                                          \
		struct type##_list out = { .v = arena_alloc(a, (old.n + new_.n + 1) * sizeof(*out.v)), .n = old.n };               \
                                                                                                                                   \
		if (old.n)                                                                                                         \
			memcpy(out.v, old.v, old.n * sizeof(*out.v));                                                              \
		for (size_t i = 0; i < new_.n; i++) {                                                                              \
			size_t at = 0;                                                                                             \
                                                                                                                                   \
			while (at < out.n && !same(&out.v[at], &new_.v[i]))                                                        \
				at++;                                                                                              \
			out.v[at] = new_.v[i];                                                                                     \
			out.n += at == out.n;                                                                                      \
		}                                                                                                                  \
		return out.n ? out : new_;                                                                                         \
	}
#define SAME_DEVICE(x, y) ((x)->major == (y)->major && (x)->minor == (y)->minor)
#define SAME_NAME(x, y)   str_eq((x)->name, (y)->name)
#define SAME_SIZE(x, y)   str_eq((x)->page_size, (y)->page_size)
#define SAME_RDMA(x, y)   str_eq((x)->device, (y)->device)
MERGE_LIST(oci_throttle, SAME_DEVICE)
MERGE_LIST(oci_blk_weight, SAME_DEVICE)
MERGE_LIST(oci_if_prio, SAME_NAME)
MERGE_LIST(oci_hugepage, SAME_SIZE)
MERGE_LIST(oci_rdma, SAME_RDMA)

static struct pairs merge_pairs(struct pairs old, struct pairs new_, struct arena *a)
{
	struct pairs out = { .v = arena_alloc(a, (old.n + new_.n + 1) * sizeof(*out.v)), .n = old.n };

	if (old.n)
		memcpy(out.v, old.v, old.n * sizeof(*out.v));
	for (size_t i = 0; i < new_.n; i++) {
		size_t at = 0;

		while (at < out.n && !SAME_NAME(&out.v[at], &new_.v[i]))
			at++;
		out.v[at] = new_.v[i];
		out.n += at == out.n;
	}
	return out.n ? out : new_;
}

static const struct oci_block_io *merge_io(const struct oci_block_io *old, const struct oci_block_io *new_, struct arena *a)
{
	struct oci_block_io *out = arena_new(a, struct oci_block_io);

	if (!old || !new_)
		return old ? old : new_;
	TAKE_OPT(out, old, new_, weight);
	TAKE_OPT(out, old, new_, leaf_weight);
	out->weight_device = merge_oci_blk_weight(old->weight_device, new_->weight_device, a);
	out->read_bps = merge_oci_throttle(old->read_bps, new_->read_bps, a);
	out->write_bps = merge_oci_throttle(old->write_bps, new_->write_bps, a);
	out->read_iops = merge_oci_throttle(old->read_iops, new_->read_iops, a);
	out->write_iops = merge_oci_throttle(old->write_iops, new_->write_iops, a);
	return out;
}

static const struct oci_network *merge_network(const struct oci_network *old, const struct oci_network *new_, struct arena *a)
{
	struct oci_network *out = arena_new(a, struct oci_network);

	if (!old || !new_)
		return old ? old : new_;
	TAKE_OPT(out, old, new_, class_id);
	out->priorities = merge_oci_if_prio(old->priorities, new_->priorities, a);
	return out;
}

const struct oci_resources *cgroup_resources_merge(const struct oci_resources *old, const struct oci_resources *update,
						   struct arena *a)
{
	struct oci_resources *out = arena_new(a, struct oci_resources);

	out->devices = update->devices.n ? update->devices : old->devices;
	out->memory = merge_memory(old->memory, update->memory, a);
	out->cpu = merge_cpu(old->cpu, update->cpu, a);
	out->pids = update->pids && update->pids->limit.set ? update->pids : old->pids;
	out->block_io = merge_io(old->block_io, update->block_io, a);
	out->network = merge_network(old->network, update->network, a);
	out->hugepage_limits = merge_oci_hugepage(old->hugepage_limits, update->hugepage_limits, a);
	out->rdma = merge_oci_rdma(old->rdma, update->rdma, a);
	out->unified = merge_pairs(old->unified, update->unified, a);
	return out;
}

/* ---- what is to be written ---- */

static bool wants_bytes(struct opt_i64 v)
{
	return v.set && v.value;
}

/* cpu.max of v2 has quota and period in one line, and burst is checked against the quota. */
static const struct oci_cpu *complete_cpu(const struct oci_cpu *update, const struct oci_cpu *merged, struct arena *a)
{
	if (!update || (!update->quota.set && !(update->period.set && update->period.value)))
		return update;
	struct oci_cpu *out = arena_new(a, struct oci_cpu);

	*out = *update;
	out->quota = merged->quota;
	out->period = merged->period;
	return out;
}

/* The limit of swap counts from the one of memory. */
static const struct oci_memory *complete_memory(const struct oci_memory *update, const struct oci_memory *merged, struct arena *a)
{
	if (!update || (!wants_bytes(update->limit) && !wants_bytes(update->swap)))
		return update;
	struct oci_memory *out = arena_new(a, struct oci_memory);

	*out = *update;
	if (merged->swap.value > 0)
		out->limit = merged->limit;
	out->swap = merged->swap;
	return out;
}

/* ---- devices on v1 ---- */

static void add_device_write(struct cg_builder *b, const struct cgroup_dir *dir, const struct cg_dev_rule *r, bool allow)
{
	cg_add_write(b, &(struct cgroup_write){ .dir = dir,
						.file = allow ? "devices.allow" : "devices.deny",
						.text = cg_device_text(b->arena, r),
						.where = "linux.resources.devices",
						.may_be_refused = r->ours && allow });
}

static int by_device(const void *x, const void *y)
{
	const struct cg_dev_rule *a = x, *b = y;

	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	if (a->major != b->major)
		return a->major < b->major ? -1 : 1;
	return a->minor < b->minor ? -1 : a->minor > b->minor;
}

/* What x has and y has not. In both, no device is there twice. */
static void add_differences(struct cg_builder *b, const struct cgroup_dir *dir, const struct cg_dev_rules *x,
			    const struct cg_dev_rules *y, bool allow)
{
	struct cg_dev_rule *sorted = arena_alloc(b->arena, (y->n + 1) * sizeof(*sorted));

	if (y->n)
		memcpy(sorted, y->v, y->n * sizeof(*sorted));
	qsort(sorted, y->n, sizeof(*sorted), by_device);
	for (size_t i = 0; i < x->n; i++) {
		struct cg_dev_rule r = x->v[i];
		const struct cg_dev_rule *other = bsearch(&r, sorted, y->n, sizeof(*sorted), by_device);

		if (other)
			r.access &= (uint8_t)~other->access;
		if (r.access)
			add_device_write(b, dir, &r, allow);
	}
}

static int update_devices_v1(struct cg_builder *b, const struct cgroup_dir *dir, const struct cg_dev_rules *old,
			     const struct cg_dev_rules *new_, struct err *e)
{
	struct cg_dev_rules x, y;
	bool was, is;

	if (cg_device_exceptions(old, b->arena, &was, &x, e) < 0 || cg_device_exceptions(new_, b->arena, &is, &y, e) < 0)
		return -e->code;
	if (was != is)
		return cg_plan_devices_v1(b, dir, new_, false, e);
	/* An exception to "deny" allows. */
	add_differences(b, dir, &y, &x, !is);
	add_differences(b, dir, &x, &y, is);
	return 0;
}

static int plan_devices(struct cg_builder *b, const struct oci_resources *old, const struct oci_resources *update,
			struct cgroup_plan *p, struct err *e)
{
	const struct cgroup_dir *dir = cg_find_v1(b, "devices");
	struct cg_dev_rules before, after;

	if (!update->devices.n)
		return 0;
	if (cg_device_rules(&old->devices, b->arena, &before, e) < 0 || cg_device_rules(&update->devices, b->arena, &after, e) < 0)
		return -e->code;
	if (dir)
		return update_devices_v1(b, dir, &before, &after, e);
	if (!cg_find_v2(b))
		return err_set(e, ENOTSUP, "linux.resources.devices: the container has no cgroup that could filter them");
	/* "Everything is allowed" has no rules, but a filter that is there must go: one that allows does as well. */
	if (before.n || after.n)
		p->device_prog = cg_device_program(&after, b->arena, &p->device_prog_len);
	return 0;
}

int cgroup_update_plan(const struct cgroup_ref *r, const struct oci_resources *old, const struct oci_resources *update,
		       const struct host *h, struct arena *a, struct cgroup_plan *out, struct err *e)
{
	const struct oci_resources *merged = cgroup_resources_merge(old, update, a);
	struct oci_resources wanted = *update;
	struct cgroup_plan p = { .ref = *r, .controllers = "" };
	struct host here = *h;
	struct cg_builder b = { .res = &wanted, .host = &here, .arena = a, .dirs = r->dirs, .n_dirs = r->n_dirs };

	if (!r->n_dirs) { /* as at create */
		here.v2_controllers = "";
		here.cgroup_mode = CGROUP_MODE_NONE;
	} else {
		here.cgroup_mode = r->mode;
	}
	wanted.cpu = complete_cpu(update->cpu, merged->cpu, a);
	wanted.memory = complete_memory(update->memory, merged->memory, a);
	if (plan_devices(&b, old, update, &p, e) < 0)
		return -e->code;
	size_t first = b.n;

	if (cg_plan_resources(&b, e) < 0 || cg_plan_unified(&b, e) < 0)
		return -e->code;
	if (cg_plan_unit_update(r, &wanted, a, &p.unit, e) < 0)
		return -e->code;
	p.devices_may_be_refused = h->euid != 0 || !h->initial_userns;
	p.controllers = cg_needed_controllers(&b, first);
	p.writes = b.writes;
	p.n_writes = b.n;
	*out = p;
	return 0;
}

/* ---- acting ---- */

/* What a file of one value says now; NULL for the others: lists by device are not undone. */
static const char *value_now(const struct cgroup_write *w, struct arena *a)
{
	struct err ignored;
	char *text;

	if (str_starts(w->file, "devices.") ||
	    file_read_pseudo(AT_FDCWD, cg_file(a, w->dir->path, w->file), 255, a, &text, &ignored) <= 0)
		return NULL;
	size_t len = strcspn(text, "\n");

	if (!len || (text[len] && text[len + 1]) || strchr(text, ':'))
		return NULL;
	text[len] = '\0';
	return text;
}

/* Twice, because of values that depend on each other. */
static void restore(const struct cgroup_plan *p, const char *const *before, struct arena *a)
{
	struct err why = { 0 };

	for (int pass = 0; pass < 2; pass++)
		for (size_t i = p->n_writes; i-- > 0;)
			if (before[i] &&
			    file_write_pseudo(AT_FDCWD, cg_file(a, p->writes[i].dir->path, p->writes[i].file), before[i], &why) <
				    0 &&
			    pass)
				log_warn("restoring \"%s\": %s", before[i], why.text);
}

static int write_and_guard(const struct cgroup_plan *p, const bool *skip, struct err *e)
{
	int r = cgroup_guard(p, e);

	return r < 0 ? r : cg_write_all(p, skip, e);
}

int cgroup_update(const struct cgroup_plan *p, const struct cgroup_then *then, struct err *e)
{
	auto_arena struct arena a = { 0 };
	const char **before = arena_alloc(&a, (p->n_writes + 1) * sizeof(*before));
	const bool *skip = arena_alloc(&a, p->ref.n_dirs + 1);

	for (size_t i = 0; i < p->ref.n_dirs; i++)
		if (p->ref.dirs[i].v2 && cg_enable_controllers(p, &p->ref.dirs[i], &a, e) < 0)
			return -e->code;
	for (size_t i = 0; i < p->n_writes; i++)
		before[i] = value_now(&p->writes[i], &a);
	int r = write_and_guard(p, skip, e);

	/* systemd writes what it is told, in steps of its own and with a device filter of its own: once more, then. */
	if (r == 0 && p->unit)
		r = cg_unit_update(p, e) < 0 ? -e->code : write_and_guard(p, skip, e);
	if (r == 0 && then)
		r = then->act(then->ctx, e);
	if (r < 0)
		restore(p, before, &a);
	return r;
}
