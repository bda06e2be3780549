/* linux.resources as file writes.
 *
 * One table, in the order of writing: each row names a JSON member, the controller and file it goes to in v1 and in v2, and a
 * function that makes the text. Whether a value goes to v1 or v2 depends on where its controller is, so a hybrid machine needs no
 * code of its own. A value that is asked for and has no place is an error with its JSON path; one that says "no limit" needs none.
 *
 * linux.resources.unified is cgroup_unified.c's. 0 is "not set" for memory, shares, period and weights, as callers of every runtime
 * expect; pids.limit 0 is a limit.
 */
#include "base/str.h"
#include "cgroups/cgroup_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* The sections, none of them NULL, and which one of a list is wanted in which version. */
struct conv {
	const struct oci_memory *memory;
	const struct oci_cpu *cpu;
	const struct oci_pids *pids;
	const struct oci_block_io *io;
	const struct oci_network *network;
	const struct oci_resources *res;
	struct arena *arena;
	size_t i;
	bool v2;
};

/* What a row's function decides: the text and, where they differ from the row, files. */
struct cell {
	const char *file, *text, *alt_file, *alt_text;
	bool unlimited; /* asks for no limit: no controller, no problem */
	bool may_be_missing, next_first, check_usage;
};

struct side {
	const char *controller, *file; /* file NULL: there is no such thing in this version */
};

struct setting {
	const char *where; /* below linux.resources */
	struct side v1, v2;
	size_t (*count)(const struct conv *c); /* of a list; NULL: a single value */
	/* 1 asked for, 0 not, negative: cannot be. */
	int (*fill)(const struct conv *c, struct cell *out, struct err *e);
	bool ignored_on_v2; /* without file in v2: not an error */
};

static int put_u64(const struct conv *c, struct cell *out, uint64_t value)
{
	out->text = arena_printf(c->arena, "%" PRIu64, value);
	return 1;
}

/* -1 is "no limit", spelled as the version wants it. 0 is "not set". */
static int put_bytes(const struct conv *c, struct cell *out, struct opt_i64 value, struct err *e)
{
	if (!value.set || value.value == 0)
		return 0;
	if (value.value < -1)
		return err_set(e, EINVAL, "%" PRId64 " is neither a size nor -1", value.value);
	if (value.value == -1) {
		out->unlimited = true;
		out->text = c->v2 ? "max" : "-1";
		return 1;
	}
	return put_u64(c, out, (uint64_t)value.value);
}

/* ---- cpu ---- */
static int fill_shares(const struct conv *c, struct cell *out, struct err *e)
{
	uint64_t shares = c->cpu->shares.set ? c->cpu->shares.value : 0;

	(void)e;
	if (!shares)
		return 0;
	return put_u64(c, out, c->v2 ? cg_weight_of_shares(shares) : shares);
}

/* cpu.idle = 1 makes the weight read-only, so "off" comes before it and "on" after it. */
static int put_idle(const struct conv *c, struct cell *out, int64_t wanted, struct err *e)
{
	struct opt_i64 idle = c->cpu->idle;

	if (!idle.set)
		return 0;
	if (idle.value != 0 && idle.value != 1)
		return err_set(e, EINVAL, "%" PRId64 " is neither 0 nor 1", idle.value);
	out->unlimited = out->may_be_missing = idle.value == 0;
	return idle.value == wanted ? put_u64(c, out, (uint64_t)wanted) : 0;
}

static int fill_idle_off(const struct conv *c, struct cell *out, struct err *e)
{
	return put_idle(c, out, 0, e);
}

static int fill_idle_on(const struct conv *c, struct cell *out, struct err *e)
{
	return put_idle(c, out, 1, e);
}

static int fill_period(const struct conv *c, struct cell *out, struct err *e)
{
	struct opt_u64 period = c->cpu->period;

	(void)e;
	if (!period.set || !period.value)
		return 0;
	out->next_first = true;
	if (!c->v2)
		return put_u64(c, out, period.value);
	if (c->cpu->quota.set) /* goes together with it */
		return 0;
	out->text = arena_printf(c->arena, "max %" PRIu64, period.value);
	return 1;
}

/* The kernel compares quota with burst, and in v1 with the period, at each write: hence next_first. */
static int fill_quota(const struct conv *c, struct cell *out, struct err *e)
{
	struct opt_i64 quota = c->cpu->quota;
	struct opt_u64 period = c->cpu->period;

	(void)e;
	if (!quota.set)
		return 0;
	out->next_first = true;
	out->unlimited = quota.value <= 0;
	const char *text = quota.value > 0 ? arena_printf(c->arena, "%" PRId64, quota.value) : c->v2 ? "max" : "-1";

	out->text = c->v2 && period.set && period.value ? arena_printf(c->arena, "%s %" PRIu64, text, period.value) : text;
	return 1;
}

static int fill_burst(const struct conv *c, struct cell *out, struct err *e)
{
	struct opt_u64 burst = c->cpu->burst;
	struct opt_i64 quota = c->cpu->quota;

	if (!burst.set)
		return 0;
	if (quota.set && quota.value > 0 && burst.value > (uint64_t)quota.value)
		return err_set(e, EINVAL, "%" PRIu64 " is more than the quota of %" PRId64, burst.value, quota.value);
	out->unlimited = out->may_be_missing = burst.value == 0;
	return put_u64(c, out, burst.value);
}

static int fill_rt_period(const struct conv *c, struct cell *out, struct err *e)
{
	(void)e;
	if (!c->cpu->realtime_period.set || !c->cpu->realtime_period.value)
		return 0;
	out->next_first = true;
	return put_u64(c, out, c->cpu->realtime_period.value);
}

static int fill_rt_runtime(const struct conv *c, struct cell *out, struct err *e)
{
	struct opt_i64 runtime = c->cpu->realtime_runtime;

	(void)e;
	if (!runtime.set || runtime.value == 0)
		return 0;
	out->unlimited = runtime.value < 0;
	out->text = arena_printf(c->arena, "%" PRId64, runtime.value);
	return 1;
}

static int fill_cpus(const struct conv *c, struct cell *out, struct err *e)
{
	(void)e;
	out->text = c->cpu->cpus;
	return out->text && *out->text;
}

static int fill_mems(const struct conv *c, struct cell *out, struct err *e)
{
	(void)e;
	out->text = c->cpu->mems;
	return out->text && *out->text;
}

/* ---- memory ---- */
static int fill_use_hierarchy(const struct conv *c, struct cell *out, struct err *e)
{
	(void)e;
	if (!c->memory->use_hierarchy)
		return 0;
	out->may_be_missing = true; /* the only way since Linux 5.11 */
	return put_u64(c, out, 1);
}

static int fill_memory(const struct conv *c, struct cell *out, struct err *e)
{
	out->next_first = !c->v2;
	out->check_usage = c->v2 && c->memory->check_before_update;
	return put_bytes(c, out, c->memory->limit, e);
}

/* What swap says about the swap space alone: v2 limits that, v1 the sum of memory and swap, as the OCI value does. */
static int put_swap(const struct conv *c, struct cell *out, struct opt_i64 limit, struct opt_i64 swap, struct err *e)
{
	if (!limit.set || limit.value <= 0)
		return err_set(e, EINVAL, "a limit of memory and swap needs memory.limit");
	if (swap.value < limit.value)
		return err_set(e, EINVAL, "%" PRId64 " is memory plus swap, less than memory.limit %" PRId64, swap.value,
			       limit.value);
	out->may_be_missing = swap.value == limit.value; /* without swap accounting there is none to use up */
	return put_u64(c, out, (uint64_t)(c->v2 ? swap.value - limit.value : swap.value));
}

static int fill_swap(const struct conv *c, struct cell *out, struct err *e)
{
	struct opt_i64 limit = c->memory->limit, swap = c->memory->swap;

	if ((!swap.set || !swap.value) && limit.set && limit.value == -1)
		swap = limit; /* unlimited memory, unlimited swap */
	if (!swap.set || !swap.value || swap.value < 0) {
		out->may_be_missing = true;
		return put_bytes(c, out, swap, e);
	}
	return put_swap(c, out, limit, swap, e);
}

static int fill_reservation(const struct conv *c, struct cell *out, struct err *e)
{
	return put_bytes(c, out, c->memory->reservation, e);
}

/* Deprecated: the specification lets it go, newer kernels ignore or refuse it. */
static int fill_kernel(const struct conv *c, struct cell *out, struct err *e)
{
	out->may_be_missing = true;
	return put_bytes(c, out, c->memory->kernel, e);
}

static int fill_kernel_tcp(const struct conv *c, struct cell *out, struct err *e)
{
	return put_bytes(c, out, c->memory->kernel_tcp, e);
}

static int fill_swappiness(const struct conv *c, struct cell *out, struct err *e)
{
	(void)e;
	return c->memory->swappiness.set ? put_u64(c, out, c->memory->swappiness.value) : 0;
}

static int fill_oom(const struct conv *c, struct cell *out, struct err *e)
{
	(void)e;
	return c->memory->disable_oom_killer ? put_u64(c, out, 1) : 0;
}

/* ---- pids ---- */
static int fill_pids(const struct conv *c, struct cell *out, struct err *e)
{
	struct opt_i64 limit = c->pids->limit;

	(void)e;
	if (!limit.set)
		return 0;
	if (limit.value >= 0)
		return put_u64(c, out, (uint64_t)limit.value);
	out->unlimited = true;
	out->text = "max";
	return 1;
}

/* ---- blockIO ---- */
static int check_weight(struct opt_u64 w, struct err *e)
{
	if (!w.set || !w.value)
		return 0;
	if (w.value < 10 || w.value > 1000)
		return err_set(e, EINVAL, "%" PRIu64 " is not in 10..1000", w.value);
	return 1;
}

/* The BFQ scheduler keeps the old scale, in a file of its own; without it the file of the scale of the version is meant. */
static int put_weight(const struct conv *c, struct cell *out, const char *prefix, uint64_t w)
{
	out->text = arena_printf(c->arena, "%s%" PRIu64, prefix, w);
	out->alt_text = arena_printf(c->arena, "%s%" PRIu64, prefix, c->v2 ? cg_weight_of_blkio(w) : w);
	return 1;
}

static int fill_weight(const struct conv *c, struct cell *out, struct err *e)
{
	int r = check_weight(c->io->weight, e);

	if (r <= 0)
		return r;
	out->alt_file = c->v2 ? "io.weight" : "blkio.weight";
	return put_weight(c, out, "", c->io->weight.value);
}

static int fill_leaf_weight(const struct conv *c, struct cell *out, struct err *e)
{
	int r = check_weight(c->io->leaf_weight, e);

	return r <= 0 ? r : put_u64(c, out, c->io->leaf_weight.value);
}

static size_t count_weights(const struct conv *c)
{
	return c->io->weight_device.n;
}

/* "8:16", or NULL with *e set. */
static const char *device_text(const struct conv *c, int64_t major, int64_t minor, struct err *e)
{
	if (major >= 0 && major <= UINT32_MAX && minor >= 0 && minor <= UINT32_MAX)
		return arena_printf(c->arena, "%" PRId64 ":%" PRId64, major, minor);
	(void)err_set(e, EINVAL, "%" PRId64 ":%" PRId64 " is no device number", major, minor);
	return NULL;
}

static int fill_weight_device(const struct conv *c, struct cell *out, struct err *e)
{
	const struct oci_blk_weight *w = &c->io->weight_device.v[c->i];
	int r = check_weight(w->weight, e);

	if (r <= 0)
		return r;
	const char *device = device_text(c, w->major, w->minor, e);

	if (!device)
		return -e->code;
	out->alt_file = c->v2 ? "io.weight" : "blkio.weight_device";
	return put_weight(c, out, arena_printf(c->arena, "%s ", device), w->weight.value);
}

static int fill_leaf_weight_device(const struct conv *c, struct cell *out, struct err *e)
{
	const struct oci_blk_weight *w = &c->io->weight_device.v[c->i];
	int r = check_weight(w->leaf_weight, e);

	if (r <= 0)
		return r;
	const char *device = device_text(c, w->major, w->minor, e);

	if (!device)
		return -e->code;
	out->text = arena_printf(c->arena, "%s %" PRIu64, device, w->leaf_weight.value);
	return 1;
}

/* Rate 0 lifts the limit. v2 has one file for all four and takes a line at a time. */
static int put_throttle(const struct conv *c, struct cell *out, const struct oci_throttle_list *l, const char *key, struct err *e)
{
	const struct oci_throttle *t = &l->v[c->i];
	const char *device = device_text(c, t->major, t->minor, e);

	if (!device)
		return -e->code;
	out->unlimited = t->rate == 0;
	if (!c->v2)
		out->text = arena_printf(c->arena, "%s %" PRIu64, device, t->rate);
	else if (t->rate)
		out->text = arena_printf(c->arena, "%s %s=%" PRIu64, device, key, t->rate);
	else
		out->text = arena_printf(c->arena, "%s %s=max", device, key);
	return 1;
}

/* clang-format off */
#define THROTTLE(list, key)                                                                         \
	static size_t count_##list(const struct conv *c)                                            \
	{                                                                                           \
		return c->io->list.n;                                                               \
	}                                                                                           \
	static int fill_##list(const struct conv *c, struct cell *out, struct err *e)               \
	{                                                                                           \
		return put_throttle(c, out, &c->io->list, key, e);                                  \
	}
THROTTLE(read_bps, "rbps")
THROTTLE(write_bps, "wbps")
THROTTLE(read_iops, "riops")
THROTTLE(write_iops, "wiops")
/* clang-format on */

/* ---- hugepages, rdma, network ---- */
static size_t count_hugepages(const struct conv *c)
{
	return c->res->hugepage_limits.n;
}

static int put_hugepage(const struct conv *c, struct cell *out, const char *rsvd)
{
	const struct oci_hugepage *h = &c->res->hugepage_limits.v[c->i];

	out->file = arena_printf(c->arena, "hugetlb.%s.%s%s", h->page_size, rsvd, c->v2 ? "max" : "limit_in_bytes");
	return put_u64(c, out, h->limit);
}

static int fill_hugepage(const struct conv *c, struct cell *out, struct err *e)
{
	(void)e;
	return put_hugepage(c, out, "");
}

/* Reservations can exceed the use, and fail a process late: where the kernel can limit them, too, it does. */
static int fill_hugepage_rsvd(const struct conv *c, struct cell *out, struct err *e)
{
	(void)e;
	out->may_be_missing = true;
	return put_hugepage(c, out, "rsvd.");
}

static size_t count_rdma(const struct conv *c)
{
	return c->res->rdma.n;
}

static int fill_rdma(const struct conv *c, struct cell *out, struct err *e)
{
	const struct oci_rdma *r = &c->res->rdma.v[c->i];
	struct strbuf text = STRBUF(c->arena);

	if (strpbrk(r->device, " \t\n") || !*r->device)
		return err_set(e, EINVAL, "\"%.60s\" is no device name", r->device);
	if (!r->hca_handles.set && !r->hca_objects.set)
		return 0;
	strbuf_puts(&text, r->device);
	if (r->hca_handles.set)
		strbuf_printf(&text, " hca_handle=%" PRIu64, r->hca_handles.value);
	if (r->hca_objects.set)
		strbuf_printf(&text, " hca_object=%" PRIu64, r->hca_objects.value);
	out->text = strbuf_str(&text);
	return 1;
}

static int fill_class_id(const struct conv *c, struct cell *out, struct err *e)
{
	struct opt_u64 id = c->network->class_id;

	if (!id.set)
		return 0;
	if (id.value > UINT32_MAX)
		return err_set(e, EINVAL, "%" PRIu64 " does not fit 32 bits", id.value);
	out->unlimited = id.value == 0;
	return put_u64(c, out, id.value);
}

static size_t count_priorities(const struct conv *c)
{
	return c->network->priorities.n;
}

static int fill_priority(const struct conv *c, struct cell *out, struct err *e)
{
	const struct oci_if_prio *p = &c->network->priorities.v[c->i];

	if (strpbrk(p->name, " \t\n") || !*p->name)
		return err_set(e, EINVAL, "\"%.60s\" is no interface name", p->name);
	out->text = arena_printf(c->arena, "%s %u", p->name, p->priority);
	return 1;
}

/* In the order of writing. */
/* clang-format off */
static const struct setting settings[] = {
	{ "cpu.idle", { "cpu", "cpu.idle" }, { "cpu", "cpu.idle" }, NULL, fill_idle_off, false },
	{ "cpu.shares", { "cpu", "cpu.shares" }, { "cpu", "cpu.weight" }, NULL, fill_shares, false },
	{ "cpu.idle", { "cpu", "cpu.idle" }, { "cpu", "cpu.idle" }, NULL, fill_idle_on, false },
	{ "cpu.period", { "cpu", "cpu.cfs_period_us" }, { "cpu", "cpu.max" }, NULL, fill_period, false },
	{ "cpu.quota", { "cpu", "cpu.cfs_quota_us" }, { "cpu", "cpu.max" }, NULL, fill_quota, false },
	{ "cpu.burst", { "cpu", "cpu.cfs_burst_us" }, { "cpu", "cpu.max.burst" }, NULL, fill_burst, false },
	{ "cpu.realtimePeriod", { "cpu", "cpu.rt_period_us" }, { "cpu", NULL }, NULL, fill_rt_period, false },
	{ "cpu.realtimeRuntime", { "cpu", "cpu.rt_runtime_us" }, { "cpu", NULL }, NULL, fill_rt_runtime, false },
	{ "cpu.cpus", { "cpuset", "cpuset.cpus" }, { "cpuset", "cpuset.cpus" }, NULL, fill_cpus, false },
	{ "cpu.mems", { "cpuset", "cpuset.mems" }, { "cpuset", "cpuset.mems" }, NULL, fill_mems, false },
	{ "memory.useHierarchy", { "memory", "memory.use_hierarchy" }, { "memory", NULL }, NULL, fill_use_hierarchy, true },
	{ "memory.limit", { "memory", "memory.limit_in_bytes" }, { "memory", "memory.max" }, NULL, fill_memory, false },
	{ "memory.swap", { "memory", "memory.memsw.limit_in_bytes" }, { "memory", "memory.swap.max" }, NULL, fill_swap, false },
	{ "memory.reservation", { "memory", "memory.soft_limit_in_bytes" }, { "memory", "memory.low" }, NULL, fill_reservation, false },
	{ "memory.kernel", { "memory", "memory.kmem.limit_in_bytes" }, { "memory", NULL }, NULL, fill_kernel, true },
	{ "memory.kernelTCP", { "memory", "memory.kmem.tcp.limit_in_bytes" }, { "memory", NULL }, NULL, fill_kernel_tcp, false },
	{ "memory.swappiness", { "memory", "memory.swappiness" }, { "memory", NULL }, NULL, fill_swappiness, false },
	{ "memory.disableOOMKiller", { "memory", "memory.oom_control" }, { "memory", NULL }, NULL, fill_oom, true },
	{ "pids.limit", { "pids", "pids.max" }, { "pids", "pids.max" }, NULL, fill_pids, false },
	{ "blockIO.weight", { "blkio", "blkio.bfq.weight" }, { "io", "io.bfq.weight" }, NULL, fill_weight, false },
	{ "blockIO.leafWeight", { "blkio", "blkio.leaf_weight" }, { "io", NULL }, NULL, fill_leaf_weight, false },
	{ "blockIO.weightDevice", { "blkio", "blkio.bfq.weight_device" }, { "io", "io.bfq.weight" }, count_weights, fill_weight_device,
	  false },
	{ "blockIO.weightDevice", { "blkio", "blkio.leaf_weight_device" }, { "io", NULL }, count_weights, fill_leaf_weight_device,
	  false },
	{ "blockIO.throttleReadBpsDevice", { "blkio", "blkio.throttle.read_bps_device" }, { "io", "io.max" }, count_read_bps,
	  fill_read_bps, false },
	{ "blockIO.throttleWriteBpsDevice", { "blkio", "blkio.throttle.write_bps_device" }, { "io", "io.max" }, count_write_bps,
	  fill_write_bps, false },
	{ "blockIO.throttleReadIOPSDevice", { "blkio", "blkio.throttle.read_iops_device" }, { "io", "io.max" }, count_read_iops,
	  fill_read_iops, false },
	{ "blockIO.throttleWriteIOPSDevice", { "blkio", "blkio.throttle.write_iops_device" }, { "io", "io.max" }, count_write_iops,
	  fill_write_iops, false },
	{ "hugepageLimits", { "hugetlb", "" }, { "hugetlb", "" }, count_hugepages, fill_hugepage, false },
	{ "hugepageLimits", { "hugetlb", "" }, { "hugetlb", "" }, count_hugepages, fill_hugepage_rsvd, false },
	{ "rdma", { "rdma", "rdma.max" }, { "rdma", "rdma.max" }, count_rdma, fill_rdma, false },
	{ "network.classID", { "net_cls", "net_cls.classid" }, { "", NULL }, NULL, fill_class_id, true },
	{ "network.priorities", { "net_prio", "net_prio.ifpriomap" }, { "", NULL }, count_priorities, fill_priority, true },
};
/* clang-format on */

static const char *where_of(const struct setting *s, const struct conv *c)
{
	if (s->count)
		return arena_printf(c->arena, "linux.resources.%s[%zu]", s->where, c->i);
	return arena_printf(c->arena, "linux.resources.%s", s->where);
}

/* Where the setting belongs, NULL when its controller is nowhere. *v2 tells in whose terms it is to be said. */
static const struct cgroup_dir *place_of(const struct cg_builder *b, const struct setting *s, bool *v2)
{
	const struct cgroup_dir *dir = cg_find_v1(b, s->v1.controller);

	*v2 = false;
	if (dir)
		return dir;
	*v2 = b->host->cgroup_mode == CGROUP_MODE_V2 || cg_list_has(b->host->v2_controllers, s->v2.controller);
	return *v2 && cg_list_has(b->host->v2_controllers, s->v2.controller) ? cg_find_v2(b) : NULL;
}

static int add_cell(struct cg_builder *b, const struct setting *s, const struct conv *c, const struct cgroup_dir *dir,
		    const struct cell *cell, struct err *e)
{
	const char *where = where_of(s, c);

	if (c->v2 && !s->v2.file && (s->ignored_on_v2 || cell->unlimited))
		return 0;
	if (c->v2 && !s->v2.file)
		return err_set(e, ENOTSUP, "%s: cgroup v2 has no such setting", where);
	if (!dir && (cell->unlimited || cell->may_be_missing))
		return 0;
	if (!dir)
		return err_set(e, ENOTSUP, "%s: the cgroup controller \"%s\" is not available", where,
			       c->v2 ? s->v2.controller : s->v1.controller);
	cg_add_write(b, &(struct cgroup_write){ .dir = dir,
						.file = cell->file,
						.text = cell->text,
						.where = where,
						.alt_file = cell->alt_file,
						.alt_text = cell->alt_text,
						.may_be_missing = cell->may_be_missing,
						.next_first = cell->next_first,
						.check_usage = cell->check_usage });
	return 0;
}

static int add_setting(struct cg_builder *b, const struct setting *s, struct conv *c, struct err *e)
{
	size_t n = s->count ? s->count(c) : 1;
	const struct cgroup_dir *dir = n ? place_of(b, s, &c->v2) : NULL;

	for (c->i = 0; c->i < n; c->i++) {
		struct cell cell = { .file = c->v2 ? s->v2.file : s->v1.file };
		int r = s->fill(c, &cell, e);

		if (r < 0)
			return err_in(e, "%s", where_of(s, c));
		if (r > 0 && add_cell(b, s, c, dir, &cell, e) < 0)
			return -e->code;
	}
	return 0;
}

int cg_plan_resources(struct cg_builder *b, struct err *e)
{
	static const struct oci_memory no_memory;
	static const struct oci_cpu no_cpu;
	static const struct oci_pids no_pids;
	static const struct oci_block_io no_io;
	static const struct oci_network no_network;
	const struct oci_resources *r = b->res;
	struct conv c = {
		.memory = r->memory ? r->memory : &no_memory,
		.cpu = r->cpu ? r->cpu : &no_cpu,
		.pids = r->pids ? r->pids : &no_pids,
		.io = r->block_io ? r->block_io : &no_io,
		.network = r->network ? r->network : &no_network,
		.res = r,
		.arena = b->arena,
	};

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (add_setting(b, &settings[i], &c, e) < 0)
			return -e->code;
	return 0;
}
