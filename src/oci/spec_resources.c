/* The `linux.resources` object, of config.json and of update --resources. What a controller makes of a number is for cgroups/. */
#include "oci/shapes.h"
#include "oci/spec.h"

#include <errno.h>
#include <string.h>

/* A number of a device rule: absent or -1 for all. */
static int check_rule_number(struct checker *c, const char *member, const struct opt_i64 *n)
{
	if (!n->set || (n->value >= -1 && n->value <= UINT32_MAX))
		return 0;
	return check_fail(c, member, -1, "%lld is out of range, -1 to %u", (long long)n->value, UINT32_MAX);
}

/* Letters of "rwm", each at most once. */
static bool is_access(const char *s)
{
	unsigned seen = 0;

	for (; *s; s++) {
		unsigned bit = *s == 'r' ? 1 : *s == 'w' ? 2 : *s == 'm' ? 4 : 8;

		if (bit == 8 || (seen & bit))
			return false;
		seen |= bit;
	}
	return true;
}

/* A rule that is misread opens a device, so what is not understood in full is refused. */
static int check_device_rule(void *object, struct checker *c)
{
	const struct oci_device_rule *d = object;
	int r = check_rule_number(c, "major", &d->major) | check_rule_number(c, "minor", &d->minor);

	if (d->type && (!strchr("abc", d->type[0]) || d->type[1]))
		r |= check_fail(c, "type", -1, "\"%.40s\" is none of a, b, c", d->type);
	if (d->access && !is_access(d->access))
		r |= check_fail(c, "access", -1, "\"%.40s\" is not a set of r, w, m", d->access);
	return r;
}

static int check_bytes(struct checker *c, const char *member, const struct opt_i64 *n)
{
	if (!n->set || n->value >= -1)
		return 0;
	return check_fail(c, member, -1, "%lld is neither a number of bytes nor -1 (unlimited)", (long long)n->value);
}

static int check_memory(void *object, struct checker *c)
{
	const struct oci_memory *m = object;

	return check_bytes(c, "limit", &m->limit) | check_bytes(c, "reservation", &m->reservation) |
	       check_bytes(c, "swap", &m->swap);
}

static int check_block_device(struct checker *c, int64_t major, int64_t minor)
{
	int r = 0;

	if (major < 0 || major > UINT32_MAX)
		r |= check_fail(c, "major", -1, "%lld is no device number", (long long)major);
	if (minor < 0 || minor > UINT32_MAX)
		r |= check_fail(c, "minor", -1, "%lld is no device number", (long long)minor);
	return r;
}

static int check_throttle(void *object, struct checker *c)
{
	const struct oci_throttle *t = object;

	return check_block_device(c, t->major, t->minor);
}

static int check_blk_weight(void *object, struct checker *c)
{
	const struct oci_blk_weight *w = object;

	return check_block_device(c, w->major, w->minor);
}

/* [1-9][0-9]*[KMG]B: it becomes part of a file name */
static int check_hugepage(void *object, struct checker *c)
{
	const struct oci_hugepage *h = object;
	const char *s = h->page_size;
	size_t n = strspn(s, "0123456789");

	if (n && s[0] != '0' && (s[n] == 'K' || s[n] == 'M' || s[n] == 'G') && !strcmp(s + n + 1, "B"))
		return 0;
	return check_fail(c, "pageSize", -1, "\"%.40s\" is not a size like 2MB", s);
}

/* ---- tables ---- */
/* clang-format off */

SHAPE(oci_device_rule, check_device_rule,
	F_BOOL(struct oci_device_rule, allow, "allow", REQUIRED),
	F_STR(struct oci_device_rule, type, "type", EMPTY_NONE),
	F_STR(struct oci_device_rule, access, "access", EMPTY_NONE),
	F_OI64(struct oci_device_rule, major, "major"),
	F_OI64(struct oci_device_rule, minor, "minor"));

/* limit is a pointer in the specification's own types: absent and 0 differ. */
SHAPE(oci_pids, NULL, F_OI64(struct oci_pids, limit, "limit"));

SHAPE(oci_memory, check_memory,
	F_OI64(struct oci_memory, limit, "limit"),
	F_OI64(struct oci_memory, reservation, "reservation"),
	F_OI64(struct oci_memory, swap, "swap"),
	F_OI64(struct oci_memory, kernel, "kernel"),
	F_OI64(struct oci_memory, kernel_tcp, "kernelTCP"),
	F_OU64(struct oci_memory, swappiness, "swappiness"),
	F_BOOL(struct oci_memory, disable_oom_killer, "disableOOMKiller", 0),
	F_BOOL(struct oci_memory, use_hierarchy, "useHierarchy", 0),
	F_BOOL(struct oci_memory, check_before_update, "checkBeforeUpdate", 0));

SHAPE(oci_cpu, NULL,
	F_STR(struct oci_cpu, cpus, "cpus", EMPTY_NONE),
	F_STR(struct oci_cpu, mems, "mems", EMPTY_NONE),
	F_OU64(struct oci_cpu, shares, "shares"),
	F_OU64(struct oci_cpu, period, "period"),
	F_OU64(struct oci_cpu, realtime_period, "realtimePeriod"),
	F_OU64(struct oci_cpu, burst, "burst"),
	F_OI64(struct oci_cpu, quota, "quota"),
	F_OI64(struct oci_cpu, realtime_runtime, "realtimeRuntime"),
	F_OI64(struct oci_cpu, idle, "idle"));

SHAPE(oci_throttle, check_throttle,
	F_I64(struct oci_throttle, major, "major", REQUIRED),
	F_I64(struct oci_throttle, minor, "minor", REQUIRED),
	F_U64(struct oci_throttle, rate, "rate", 0));

SHAPE(oci_blk_weight, check_blk_weight,
	F_I64(struct oci_blk_weight, major, "major", REQUIRED),
	F_I64(struct oci_blk_weight, minor, "minor", REQUIRED),
	F_OU16(struct oci_blk_weight, weight, "weight"),
	F_OU16(struct oci_blk_weight, leaf_weight, "leafWeight"));

SHAPE(oci_block_io, NULL,
	F_OU16(struct oci_block_io, weight, "weight"),
	F_OU16(struct oci_block_io, leaf_weight, "leafWeight"),
	F_OBJS(struct oci_block_io, weight_device, "weightDevice", 0, oci_blk_weight),
	F_OBJS(struct oci_block_io, read_bps, "throttleReadBpsDevice", 0, oci_throttle),
	F_OBJS(struct oci_block_io, write_bps, "throttleWriteBpsDevice", 0, oci_throttle),
	F_OBJS(struct oci_block_io, read_iops, "throttleReadIOPSDevice", 0, oci_throttle),
	F_OBJS(struct oci_block_io, write_iops, "throttleWriteIOPSDevice", 0, oci_throttle));

SHAPE(oci_hugepage, check_hugepage,
	F_STR(struct oci_hugepage, page_size, "pageSize", REQUIRED),
	F_U64(struct oci_hugepage, limit, "limit", REQUIRED));

SHAPE(oci_if_prio, NULL,
	F_STR(struct oci_if_prio, name, "name", REQUIRED | NONEMPTY),
	F_U32(struct oci_if_prio, priority, "priority", REQUIRED));

SHAPE(oci_network, NULL,
	F_OU32(struct oci_network, class_id, "classID"),
	F_OBJS(struct oci_network, priorities, "priorities", 0, oci_if_prio));

SHAPE(oci_rdma, NULL,
	F_OU32(struct oci_rdma, hca_handles, "hcaHandles"),
	F_OU32(struct oci_rdma, hca_objects, "hcaObjects"));

SHARED_SHAPE(oci_resources, NULL,
	F_OBJS(struct oci_resources, devices, "devices", 0, oci_device_rule),
	F_OBJ(struct oci_resources, memory, "memory", 0, oci_memory),
	F_OBJ(struct oci_resources, cpu, "cpu", 0, oci_cpu),
	F_OBJ(struct oci_resources, pids, "pids", 0, oci_pids),
	F_OBJ(struct oci_resources, block_io, "blockIO", 0, oci_block_io),
	F_OBJ(struct oci_resources, network, "network", 0, oci_network),
	F_OBJS(struct oci_resources, hugepage_limits, "hugepageLimits", 0, oci_hugepage),
	F_OBJMAP(struct oci_resources, rdma, "rdma", oci_rdma),
	F_MAP(struct oci_resources, unified, "unified", NONEMPTY));

/* clang-format on */
