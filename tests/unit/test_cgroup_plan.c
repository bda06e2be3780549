#include "base/str.h"
#include "cgroups/cgroup_internal.h"
#include "tap.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define I(v)                                                                                                                       \
	{                                                                                                                          \
		(v), true                                                                                                          \
	}

/* Plans the resources on a host of that mode. */
static int plan_on(const struct host *h, const struct oci_resources *res, const char *path, struct arena *a, struct cgroup_plan *p,
		   struct err *e)
{
	static const struct cgroup_options fs = { .manager = CGROUP_MANAGER_FS };
	struct oci_linux linux_ = { .resources = res, .cgroups_path = path };
	struct oci_spec spec = { .linux_ = &linux_ };

	return cgroup_plan_build(&spec, "c1", &fs, h, a, p, e);
}

/* "DIRECTORY FILE=TEXT" of every write but the devices', each on a line; or the error's text. */
static const char *writes(enum cgroup_mode mode, const struct oci_resources *res, struct arena *a)
{
	struct strbuf out = STRBUF(a);
	struct cgroup_plan p;
	struct host h;
	struct err e;

	host_fake(&h, mode);
	if (plan_on(&h, res, NULL, a, &p, &e) < 0)
		return arena_strdup(a, e.text);
	for (size_t i = 0; i < p.n_writes; i++) {
		const struct cgroup_write *w = &p.writes[i];

		if (str_starts(w->file, "devices."))
			continue;
		strbuf_printf(&out, "%s=%s%s", w->file, w->text, w->may_be_missing ? "?" : "");
		if (w->alt_file)
			strbuf_printf(&out, "|%s=%s", w->alt_file, w->alt_text);
		strbuf_puts(&out, "\n");
	}
	return strbuf_str(&out);
}

#define expect_writes(mode, res, want)                                                                                             \
	do {                                                                                                                       \
		auto_arena struct arena a_ = { 0 };                                                                                \
		expect_str(writes(mode, res, &a_), want);                                                                          \
	} while (0)

static void shares_become_weights_by_the_new_formula(void)
{
	static const uint64_t table[][2] = { { 0, 0 },      { 1, 1 },       { 2, 1 },          { 10, 4 },        { 100, 17 },
					     { 128, 21 },   { 256, 35 },    { 512, 59 },       { 1024, 100 },    { 2048, 174 },
					     { 4096, 303 }, { 10240, 639 }, { 262144, 10000 }, { 999999, 10000 } };

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		expect(cg_weight_of_shares(table[i][0]) == table[i][1]);
	for (uint64_t s = 3; s < 262144; s++) {
		double l = log2((double)s);

		expect(cg_weight_of_shares(s) == (uint64_t)ceil(pow(10, (l * l + 125 * l - 126) / 612)));
	}
}

static void blkio_weights_span_the_range_of_io_weight(void)
{
	expect(cg_weight_of_blkio(10) == 1);
	expect(cg_weight_of_blkio(500) == 4950);
	expect(cg_weight_of_blkio(1000) == 10000);
	expect(cg_weight_of_blkio(0) == 0);
}

static void nothing_asked_for_needs_nothing(void)
{
	struct oci_resources none = { 0 };
	auto_arena struct arena a = { 0 };
	struct cgroup_plan p;
	struct host h;
	struct err e;

	for (enum cgroup_mode m = CGROUP_MODE_NONE; m <= CGROUP_MODE_V2; m++)
		expect_writes(m, &none, "");
	host_fake(&h, CGROUP_MODE_NONE);
	expect(plan_on(&h, &none, NULL, &a, &p, &e) == 0);
	expect(p.ref.n_dirs == 0);
	expect_str(p.ref.path, "");
}

static void cpu_is_written_in_an_order_the_kernel_takes(void)
{
	struct oci_cpu cpu = { .shares = I(1024),
			       .quota = I(50000),
			       .period = I(200000),
			       .burst = I(1000),
			       .idle = I(1),
			       .cpus = "0-1",
			       .mems = "0" };
	struct oci_resources res = { .cpu = &cpu };

	expect_writes(CGROUP_MODE_V1, &res,
		      "cpu.shares=1024\ncpu.idle=1\ncpu.cfs_period_us=200000\ncpu.cfs_quota_us=50000\ncpu.cfs_burst_us=1000\n"
		      "cpuset.cpus=0-1\ncpuset.mems=0\n");
	expect_writes(CGROUP_MODE_V2, &res,
		      "cpu.weight=100\ncpu.idle=1\ncpu.max=50000 200000\ncpu.max.burst=1000\ncpuset.cpus=0-1\ncpuset.mems=0\n");
	cpu.idle = (struct opt_i64)I(0);
	cpu.burst.set = cpu.period.set = false;
	cpu.quota = (struct opt_i64)I(-1);
	cpu.cpus = cpu.mems = "";
	expect_writes(CGROUP_MODE_V2, &res, "cpu.idle=0?\ncpu.weight=100\ncpu.max=max\n");
	expect_writes(CGROUP_MODE_V1, &res, "cpu.idle=0?\ncpu.shares=1024\ncpu.cfs_quota_us=-1\n");
	cpu = (struct oci_cpu){ .period = I(50000) };
	expect_writes(CGROUP_MODE_V2, &res, "cpu.max=max 50000\n");
	cpu = (struct oci_cpu){ .quota = I(1000), .burst = I(1001) };
	expect_writes(CGROUP_MODE_V2, &res, "linux.resources.cpu.burst: 1001 is more than the quota of 1000");
	cpu = (struct oci_cpu){ .idle = I(2) };
	expect_writes(CGROUP_MODE_V1, &res, "linux.resources.cpu.idle: 2 is neither 0 nor 1");
	cpu = (struct oci_cpu){ .realtime_runtime = I(5000), .realtime_period = I(10000) };
	expect_writes(CGROUP_MODE_V1, &res, "cpu.rt_period_us=10000\ncpu.rt_runtime_us=5000\n");
	expect_writes(CGROUP_MODE_V2, &res, "linux.resources.cpu.realtimePeriod: cgroup v2 has no such setting");
}

static void swap_is_the_sum_in_v1_and_the_difference_in_v2(void)
{
	struct oci_memory m = { .limit = I(1000), .swap = I(3000) };
	struct oci_resources res = { .memory = &m };

	expect_writes(CGROUP_MODE_V1, &res, "memory.limit_in_bytes=1000\nmemory.memsw.limit_in_bytes=3000\n");
	expect_writes(CGROUP_MODE_V2, &res, "memory.max=1000\nmemory.swap.max=2000\n");
	m.swap = (struct opt_i64)I(1000);
	expect_writes(CGROUP_MODE_V2, &res, "memory.max=1000\nmemory.swap.max=0?\n");
	m.swap = (struct opt_i64)I(-1);
	expect_writes(CGROUP_MODE_V2, &res, "memory.max=1000\nmemory.swap.max=max?\n");
	expect_writes(CGROUP_MODE_V1, &res, "memory.limit_in_bytes=1000\nmemory.memsw.limit_in_bytes=-1?\n");
	m = (struct oci_memory){ .limit = I(-1) };
	expect_writes(CGROUP_MODE_V2, &res, "memory.max=max\nmemory.swap.max=max?\n");
	m = (struct oci_memory){ .swap = I(3000) };
	expect_writes(CGROUP_MODE_V2, &res, "linux.resources.memory.swap: a limit of memory and swap needs memory.limit");
	m = (struct oci_memory){ .limit = I(1000), .swap = I(999) };
	expect_writes(CGROUP_MODE_V1, &res, "linux.resources.memory.swap: 999 is memory plus swap, less than memory.limit 1000");
	m = (struct oci_memory){ .limit = I(-2) };
	expect_writes(CGROUP_MODE_V1, &res, "linux.resources.memory.limit: -2 is neither a size nor -1");
}

static void memory_settings_without_counterpart_in_v2_are_refused_or_void(void)
{
	struct oci_memory m = { .reservation = I(500),
				.kernel = I(7),
				.swappiness = I(0),
				.disable_oom_killer = true,
				.use_hierarchy = true,
				.kernel_tcp = I(9) };
	struct oci_resources res = { .memory = &m };

	expect_writes(CGROUP_MODE_V1, &res,
		      "memory.use_hierarchy=1?\nmemory.soft_limit_in_bytes=500\nmemory.kmem.limit_in_bytes=7?\n"
		      "memory.kmem.tcp.limit_in_bytes=9\nmemory.swappiness=0\nmemory.oom_control=1\n");
	expect_writes(CGROUP_MODE_V2, &res, "linux.resources.memory.kernelTCP: cgroup v2 has no such setting");
	m.kernel_tcp.set = false;
	expect_writes(CGROUP_MODE_V2, &res, "linux.resources.memory.swappiness: cgroup v2 has no such setting");
	m.swappiness.set = false;
	expect_writes(CGROUP_MODE_V2, &res, "memory.low=500\n");
}

static void check_before_update_is_done_by_us_in_v2_only(void)
{
	struct oci_memory m = { .limit = I(1000), .check_before_update = true };
	struct oci_resources res = { .memory = &m };
	auto_arena struct arena a = { 0 };
	struct cgroup_plan p;
	struct host h;
	struct err e;

	host_fake(&h, CGROUP_MODE_V2);
	expect(plan_on(&h, &res, NULL, &a, &p, &e) == 0 && p.writes[0].check_usage);
	host_fake(&h, CGROUP_MODE_V1);
	expect(plan_on(&h, &res, NULL, &a, &p, &e) == 0 && !p.writes[p.n_writes - 1].check_usage);
}

static void where_no_process_may_be_the_first_one_joins(void)
{
	auto_arena struct arena a = { 0 };
	struct oci_pids pids = { .limit = I(0) };
	struct oci_resources res = { .pids = &pids };
	struct cgroup_plan p;
	struct host h;
	struct err e;

	host_fake(&h, CGROUP_MODE_V2);
	expect(plan_on(&h, &res, NULL, &a, &p, &e) == 0 && p.no_birth);
	pids.limit.value = 1;
	expect(plan_on(&h, &res, NULL, &a, &p, &e) == 0 && !p.no_birth);
}

static void pids_limit_zero_is_a_limit(void)
{
	struct oci_pids pids = { .limit = I(0) };
	struct oci_resources res = { .pids = &pids };

	expect_writes(CGROUP_MODE_V2, &res, "pids.max=0\n");
	pids.limit.value = -1;
	expect_writes(CGROUP_MODE_V1, &res, "pids.max=max\n");
	expect_writes(CGROUP_MODE_NONE, &res, "");
	pids.limit.value = 5;
	expect_writes(CGROUP_MODE_NONE, &res, "linux.resources.pids.limit: the cgroup controller \"pids\" is not available");
}

static void block_io_goes_to_one_file_in_v2(void)
{
	struct oci_throttle t = { 8, 16, 100 }, lift = { 8, 0, 0 };
	struct oci_blk_weight w = { 8, 0, .weight = I(500) };
	struct oci_block_io io = { .weight = I(10), .weight_device = { &w, 1 }, .read_bps = { &t, 1 }, .write_iops = { &lift, 1 } };
	struct oci_resources res = { .block_io = &io };

	expect_writes(CGROUP_MODE_V1, &res,
		      "blkio.bfq.weight=10|blkio.weight=10\nblkio.bfq.weight_device=8:0 500|blkio.weight_device=8:0 500\n"
		      "blkio.throttle.read_bps_device=8:16 100\nblkio.throttle.write_iops_device=8:0 0\n");
	expect_writes(CGROUP_MODE_V2, &res,
		      "io.bfq.weight=10|io.weight=1\nio.bfq.weight=8:0 500|io.weight=8:0 4950\n"
		      "io.max=8:16 rbps=100\nio.max=8:0 wiops=max\n");
	io = (struct oci_block_io){ .weight = I(9) };
	expect_writes(CGROUP_MODE_V2, &res, "linux.resources.blockIO.weight: 9 is not in 10..1000");
	t.major = -1;
	io = (struct oci_block_io){ .write_bps = { &t, 1 } };
	expect_writes(CGROUP_MODE_V2, &res, "linux.resources.blockIO.throttleWriteBpsDevice[0]: -1:16 is no device number");
	io = (struct oci_block_io){ .leaf_weight = I(100) };
	expect_writes(CGROUP_MODE_V2, &res, "linux.resources.blockIO.leafWeight: cgroup v2 has no such setting");
}

static void hybrid_takes_each_controller_where_it_is(void)
{
	struct oci_hugepage huge = { "2MB", 4096 };
	struct oci_memory m = { .limit = I(1000) };
	struct oci_resources res = { .hugepage_limits = { &huge, 1 }, .memory = &m };
	auto_arena struct arena a = { 0 };
	struct cgroup_plan p;
	struct host h;
	struct err e;

	expect_writes(CGROUP_MODE_HYBRID, &res, "memory.limit_in_bytes=1000\nhugetlb.2MB.max=4096\nhugetlb.2MB.rsvd.max=4096?\n");
	expect_writes(CGROUP_MODE_V1, &res,
		      "linux.resources.hugepageLimits[0]: the cgroup controller \"hugetlb\" is not available");
	host_fake(&h, CGROUP_MODE_HYBRID);
	expect(plan_on(&h, &res, NULL, &a, &p, &e) == 0);
	expect_str(p.controllers, "hugetlb");
	expect_str(p.writes[p.n_writes - 1].dir->path, "/sys/fs/cgroup/unified/drupe-c1");
	expect(p.device_prog == NULL); /* the v1 controller does it */
}

static void rdma_and_network_values_are_checked(void)
{
	struct oci_rdma rdma = { "mlx5_0", I(2), I(3) };
	struct oci_if_prio prio = { "eth0", 5 };
	struct oci_network net = { .class_id = I(1), .priorities = { &prio, 1 } };
	struct oci_resources res = { .rdma = { &rdma, 1 } };

	expect_writes(CGROUP_MODE_V2, &res, "rdma.max=mlx5_0 hca_handle=2 hca_object=3\n");
	rdma.device = "mlx5 0";
	expect_writes(CGROUP_MODE_V2, &res, "linux.resources.rdma[0]: \"mlx5 0\" is no device name");
	res = (struct oci_resources){ .network = &net };
	expect_writes(CGROUP_MODE_V2, &res, "");
	expect_writes(CGROUP_MODE_V1, &res, "linux.resources.network.classID: the cgroup controller \"net_cls\" is not available");
}

static void unified_is_last_and_only_for_files_of_controllers(void)
{
	struct pair p = { "memory.high", "5000" };
	struct oci_memory m = { .limit = I(1000) };
	struct oci_resources res = { .unified = { &p, 1 }, .memory = &m };

	expect_writes(CGROUP_MODE_V2, &res, "memory.max=1000\nmemory.high=5000\n");
	p = (struct pair){ "io.max", "8:0 rbps=1\n8:16 rbps=2\n" };
	expect_writes(CGROUP_MODE_V2, &res, "memory.max=1000\nio.max=8:0 rbps=1\nio.max=8:16 rbps=2\n");
	expect_writes(CGROUP_MODE_V1, &res, "linux.resources.unified[\"io.max\"]: there is no cgroup v2 here");
	expect_writes(CGROUP_MODE_HYBRID, &res,
		      "linux.resources.unified[\"io.max\"]: the cgroup controller \"io\" is not available on cgroup v2");
	p.name = "../memory.max";
	expect_writes(CGROUP_MODE_V2, &res, "linux.resources.unified[\"../memory.max\"]: is not the name of a cgroup file");
	p.name = "memory";
	expect_writes(CGROUP_MODE_V2, &res, "linux.resources.unified[\"memory\"]: is not the name of a cgroup file");
	p.name = "cgroup.procs";
	expect_writes(CGROUP_MODE_V2, &res, "linux.resources.unified[\"cgroup.procs\"]: belongs to the runtime");
	p.name = "nosuch.max";
	expect_writes(CGROUP_MODE_V2, &res,
		      "linux.resources.unified[\"nosuch.max\"]: the cgroup controller \"nosuch\" is not available on cgroup v2");
}

static const char *place(const char *path, struct arena *a)
{
	struct oci_resources none = { 0 };
	struct cgroup_plan p;
	struct host h;
	struct err e;

	host_fake(&h, CGROUP_MODE_V2);
	if (plan_on(&h, &none, path, a, &p, &e) < 0)
		return arena_strdup(a, e.text);
	return p.ref.path;
}

static void the_path_stays_below_the_root(void)
{
	auto_arena struct arena a = { 0 };

	expect_str(place(NULL, &a), "/drupe-c1");
	expect_str(place("", &a), "/drupe-c1");
	expect_str(place("/a//b/./c/", &a), "/a/b/c");
	expect_str(place("a/b", &a), "/a/b");
	expect_str(place("/a/../b", &a), "/b");
	expect_str(place("/a/../../b", &a), "linux.cgroupsPath: \"/a/../../b\" climbs above the root");
	expect_str(place("..", &a), "linux.cgroupsPath: \"..\" climbs above the root");
	expect_str(place("/", &a), "linux.cgroupsPath: \"/\" is the root of all cgroups");
	expect_str(place("/a/..", &a), "linux.cgroupsPath: \"/a/..\" is the root of all cgroups");
}

static void an_unprivileged_caller_works_beside_its_own_cgroup(void)
{
	struct host_hierarchy v2 = { "/sys/fs/cgroup", "", "/user.slice/user-7.slice/app.scope", true };
	struct oci_pids pids = { .limit = I(5) };
	struct oci_resources res = { 0 };
	auto_arena struct arena a = { 0 };
	struct cgroup_plan p;
	struct host h;
	struct err e;

	host_fake(&h, CGROUP_MODE_V2);
	h.hier = &v2;
	h.euid = 7;
	expect(plan_on(&h, &res, NULL, &a, &p, &e) == 0);
	expect_str(p.ref.path, "/user.slice/user-7.slice/drupe-c1");
	expect(p.ref.optional && p.devices_may_be_refused);
	res.pids = &pids;
	expect(plan_on(&h, &res, NULL, &a, &p, &e) == 0 && !p.ref.optional);
}

static void managers_other_than_cgroupfs(void)
{
	struct cgroup_options o = { .manager = CGROUP_MANAGER_SYSTEMD };
	struct oci_pids pids = { .limit = I(5) };
	struct oci_device_rule deny = { .allow = false };
	struct oci_resources res = { .devices = { &deny, 1 } };
	struct oci_linux linux_ = { .resources = &res };
	struct oci_spec spec = { .linux_ = &linux_ };
	auto_arena struct arena a = { 0 };
	struct cgroup_plan p;
	struct host h;
	struct err e;

	host_fake(&h, CGROUP_MODE_V2);
	expect(cgroup_plan_build(&spec, "c1", &o, &h, &a, &p, &e) == 0 && p.unit);
	o.manager = CGROUP_MANAGER_DISABLED;
	expect(cgroup_plan_build(&spec, "c1", &o, &h, &a, &p, &e) == 0);
	expect(p.ref.n_dirs == 0 && p.n_writes == 0 && !p.device_prog && p.ref.mode == CGROUP_MODE_NONE && !p.unit);
	res.pids = &pids;
	expect(cgroup_plan_build(&spec, "c1", &o, &h, &a, &p, &e) == -ENOTSUP);
}

static void the_printed_plan_names_directories_writes_and_origins(void)
{
	struct oci_memory m = { .limit = I(1000), .swap = I(-1) };
	struct oci_resources res = { .memory = &m };
	auto_arena struct arena a = { 0 };
	struct strbuf out = STRBUF(&a);
	struct cgroup_plan p;
	struct host h;
	struct err e;

	host_fake(&h, CGROUP_MODE_V2);
	expect(plan_on(&h, &res, NULL, &a, &p, &e) == 0);
	p.device_prog = NULL;
	cgroup_plan_print(&p, &out);
	expect_str(strbuf_str(&out),
		   "v2, /drupe-c1\n"
		   "directory /sys/fs/cgroup/drupe-c1 (cgroup2)\n"
		   "enable cpu io memory pids\n"
		   "write \"1000\" to /sys/fs/cgroup/drupe-c1/memory.max (linux.resources.memory.limit)\n"
		   "write \"max\" to /sys/fs/cgroup/drupe-c1/memory.swap.max (linux.resources.memory.swap), if there\n");
}

TAP_MAIN(CASE(shares_become_weights_by_the_new_formula), CASE(blkio_weights_span_the_range_of_io_weight),
	 CASE(nothing_asked_for_needs_nothing), CASE(cpu_is_written_in_an_order_the_kernel_takes),
	 CASE(swap_is_the_sum_in_v1_and_the_difference_in_v2), CASE(memory_settings_without_counterpart_in_v2_are_refused_or_void),
	 CASE(check_before_update_is_done_by_us_in_v2_only), CASE(pids_limit_zero_is_a_limit),
	 CASE(where_no_process_may_be_the_first_one_joins), CASE(block_io_goes_to_one_file_in_v2),
	 CASE(hybrid_takes_each_controller_where_it_is), CASE(rdma_and_network_values_are_checked),
	 CASE(unified_is_last_and_only_for_files_of_controllers), CASE(the_path_stays_below_the_root),
	 CASE(an_unprivileged_caller_works_beside_its_own_cgroup), CASE(managers_other_than_cgroupfs),
	 CASE(the_printed_plan_names_directories_writes_and_origins))
