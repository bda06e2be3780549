/* update and events: from flags to limits, from numbers to JSON. */
#include "cli_fake.h"

#include <inttypes.h>

static void sizes_are_read_in_powers_of_1024(void)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} good[] = { { "0", 0 },
		     { "-1", -1 },
		     { "512", 512 },
		     { "512b", 512 },
		     { "1k", 1024 },
		     { "100m", 104857600 },
		     { "1G", 1073741824 },
		     { "2GiB", 2147483648 },
		     { "3KB", 3072 },
		     { "1t", 1099511627776 },
		     { "1P", 1125899906842624 } };
	static const char *const bad[] = { "", "m", "-2", "1.5g", "1x", "1mm", "1 m", "k1", "+1", "-1m", "1ib" };
	struct err e;
	int64_t v;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (size_parse(good[i].text, &v, &e) < 0 || v != good[i].bytes)
			printf("# %s\n", good[i].text), tap_failed = true;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (size_parse(bad[i], &v, &e) != -EINVAL)
			printf("# %s\n", bad[i]), tap_failed = true;
	expect(size_parse("99999999999999999999", &v, &e) == -ERANGE);
	expect(size_parse("8388608t", &v, &e) == -ERANGE);
	expect_str(e.text, "\"8388608t\" is too much");
}

static void each_flag_of_update_sets_its_limit(void)
{
	expect_call(
		"drupe update --memory 1k --memory-swap=-1 web --memory-reservation 512",
		"update web {\"memory\":{\"limit\":1024,\"reservation\":512,\"swap\":-1},\"cpu\":{},\"pids\":{},\"blockIO\":{}}\n");
	expect_call("drupe update --cpu-share 1 --cpu-quota -1 --cpu-period 3 --cpu-burst 4 --cpu-idle 1 web",
		    "update web "
		    "{\"memory\":{},\"cpu\":{\"shares\":1,\"period\":3,\"burst\":4,\"quota\":-1,\"idle\":1},\"pids\":{},"
		    "\"blockIO\":{}}\n");
	expect_call("drupe update --cpu-rt-runtime 5 --cpu-rt-period 6 --cpuset-cpus 0-1 --cpuset-mems 0 web",
		    "update web {\"memory\":{},\"cpu\":{\"cpus\":\"0-1\",\"mems\":\"0\",\"realtimePeriod\":6,"
		    "\"realtimeRuntime\":5},\"pids\":{},\"blockIO\":{}}\n");
	expect_call("drupe update --pids-limit 0 --blkio-weight 10 --kernel-memory 5m --kernel-memory-tcp 1 web",
		    "update web {\"memory\":{},\"cpu\":{},\"pids\":{\"limit\":0},\"blockIO\":{\"weight\":10}}\n");
}

static void update_of_a_class_is_lines_of_schemata(void)
{
	expect_call("drupe update --mem-bw-schema MB:0=50 --l3-cache-schema L3:0=f;1=ff web",
		    "update web {\"memory\":{},\"cpu\":{},\"pids\":{},\"blockIO\":{}}\nL3:0=f;1=ff\nMB:0=50\n");
	expect(run("drupe update --l3-cache-schema L3:0=f\nMB:0=1 web") == 1 && !*called);
	expect(has(errors, "drupe: --l3-cache-schema: must be one line"));
}

static void update_refuses_what_is_no_limit(void)
{
	expect(run("drupe update --memory 1q web") == 1 && !*called);
	expect_str(errors, "drupe: --memory: \"1q\" is not a size like 512m, 1g or -1\n");
	expect(run("drupe update --cpu-share -1 web") == 1 && !*called);
	expect(has(errors, "drupe: --cpu-share: "));
	expect(run("drupe update --kernel-memory x web") == 1 && !*called);
	expect(run("drupe update --resources /nowhere --memory 5 web") == 1 && !*called);
	expect_str(errors, "drupe: --resources excludes the flags for single limits\n");
	expect(run("drupe update --resources /nowhere web") == 1 && !*called);
	expect(has(errors, "drupe: --resources: /nowhere: No such file"));
	expect(run("drupe update --memory 5") == 1 && !*called);
	expect(run("drupe update --memory 5 gone") == 1);
	expect_str(errors, "drupe: container \"gone\" does not exist\n");
}

static void events_prints_what_happens(void)
{
	expect(run("drupe events --interval 1m30s web db") == 0);
	expect_str(called, "events web 90000\nevents db 90000\n");
	expect_str(output, "{\"type\":\"oom\",\"id\":\"web\"}\n{\"type\":\"oom\",\"id\":\"db\"}\n");
	expect(run("drupe events web") == 0);
	expect_str(called, "events web 5000\n");
	expect(run("drupe events --interval 0s web") == 1 && !*called);
	expect(has(errors, "--interval: must be greater than 0"));
	expect(run("drupe events --interval 5 web") == 1 && !*called);
}

static void statistics_have_the_known_names(void)
{
	static struct cgroup_named raw[] = { { "anon", 9 } };
	static struct cgroup_blk_entry bytes[] = { { 8, 0, "Read", 4096 } }, time[] = { { 8, 0, "", 17 } };
	static struct cgroup_hugetlb_stats huge[] = { { "2MB", 1, 2, 3 } };
	static struct net_interface net[] = { { "eth0", 1, 2, 3, 4, 5, 6, 7, 8 } };
	static uint64_t ones[] = { 0, 1 };

	stats_of_web = (struct container_stats){
		.cgroup = { .cpu = { .total = 30,
				     .user = 10,
				     .kernel = 20,
				     .percpu = { ones, 2 },
				     .periods = 1,
				     .throttled_periods = 2,
				     .throttled_time = 3,
				     .psi = { true, { "0.10", "0.20", "0.30", 5 }, { "0.00", "0.00", "0.00", 0 } } },
			    .cpuset = { .cpus = { ones, 2 }, .sched_relax_domain_level = -1 },
			    .memory = { .cache = 1, .usage = { UINT64_MAX, 2, 3, 4 }, .raw = raw, .n_raw = 1 },
			    .pids_current = 5,
			    .pids_limit = 6,
			    .blkio = { .service_bytes = { bytes, 1 }, .time = { time, 1 } },
			    .hugetlb = huge,
			    .n_hugetlb = 1 },
		.groups = { .l3_mask = "fff",
			    .l3_min_bits = 1,
			    .l3_classes = 16,
			    .l3_root = "L3:0=fff",
			    .l3 = "L3:0=f",
			    .mb_gran = 10,
			    .mb_linear = 1,
			    .mb_min = 20,
			    .mb_classes = 8,
			    .mb_root = "MB:0=100",
			    .mb = "MB:0=50",
			    .traffic = &(struct resctrl_traffic){ 5, 4 },
			    .n_traffic = 1,
			    .occupancy = (uint64_t[]){ 7 },
			    .n_occupancy = 1 },
		.net = net,
		.n_net = 1,
	};
	expect(run("drupe events --stats web") == 0);
	expect(!has(output, "\"vm\""));
	expect_str(called, "stats web\n");
	expect_str(output,
		   "{\"type\":\"stats\",\"id\":\"web\",\"data\":{"
		   "\"cpu\":{\"usage\":{\"total\":30,\"percpu\":[0,1],\"kernel\":20,\"user\":10},"
		   "\"throttling\":{\"periods\":1,\"throttledPeriods\":2,\"throttledTime\":3},"
		   "\"psi\":{\"some\":{\"avg10\":0.10,\"avg60\":0.20,\"avg300\":0.30,\"total\":5},"
		   "\"full\":{\"avg10\":0.00,\"avg60\":0.00,\"avg300\":0.00,\"total\":0}}},"
		   "\"cpuset\":{\"cpus\":[0,1],\"cpu_exclusive\":0,\"mem_hardwall\":0,\"mem_exclusive\":0,\"memory_migrate\":0,"
		   "\"memory_spread_page\":0,\"memory_spread_slab\":0,\"memory_pressure\":0,\"sched_load_balance\":0,"
		   "\"sched_relax_domain_level\":-1},"
		   "\"memory\":{\"cache\":1,\"usage\":{\"limit\":18446744073709551615,\"usage\":2,\"max\":3,\"failcnt\":4},"
		   "\"swap\":{\"limit\":0,\"usage\":0,\"max\":0,\"failcnt\":0},\"kernel\":{\"limit\":0,\"usage\":0,\"max\":0,"
		   "\"failcnt\":0},"
		   "\"kernelTCP\":{\"limit\":0,\"usage\":0,\"max\":0,\"failcnt\":0},\"raw\":{\"anon\":9}},"
		   "\"pids\":{\"current\":5,\"limit\":6},"
		   "\"blkio\":{\"ioServiceBytesRecursive\":[{\"major\":8,\"minor\":0,\"op\":\"Read\",\"value\":4096}],"
		   "\"ioTimeRecursive\":[{\"major\":8,\"minor\":0,\"value\":17}]},"
		   "\"hugetlb\":{\"2MB\":{\"usage\":1,\"max\":2,\"failcnt\":3}},\"intel_rdt\":{"
		   "\"l3_cache_info\":{\"cbm_mask\":\"fff\",\"min_cbm_bits\":1,\"num_closids\":16},"
		   "\"l3_cache_schema_root\":\"L3:0=fff\",\"l3_cache_schema\":\"L3:0=f\","
		   "\"mem_bw_info\":{\"bandwidth_gran\":10,\"delay_linear\":1,\"min_bandwidth\":20,\"num_closids\":8},"
		   "\"mem_bw_schema_root\":\"MB:0=100\",\"mem_bw_schema\":\"MB:0=50\","
		   "\"mbm_stats\":[{\"mbm_total_bytes\":5,\"mbm_local_bytes\":4}],\"cmt_stats\":[{\"llc_occupancy\":7}]},"
		   "\"network_interfaces\":[{\"Name\":\"eth0\",\"RxBytes\":1,\"RxPackets\":2,\"RxErrors\":3,\"RxDropped\":4,"
		   "\"TxBytes\":5,\"TxPackets\":6,\"TxErrors\":7,\"TxDropped\":8}]}}\n");
}

static void the_cost_of_a_virtual_machine_is_a_member_of_its_own(void)
{
	const struct cgroup_stats machine = { .cpu = { .total = 31 }, .memory = { .cache = 2, .raw = NULL } };

	stats_of_web = (struct container_stats){ .cgroup = { .pids_current = 5 }, .machine = &machine };
	expect(run("drupe events --stats web") == 0);
	expect(has(output, "\"network_interfaces\":[],\"vm\":{\"cpu\":{\"usage\":{\"total\":31,"));
	expect(has(output, "\"memory\":{\"cache\":2,"));
}

CLI_TAP_MAIN(CASE(sizes_are_read_in_powers_of_1024), CASE(each_flag_of_update_sets_its_limit),
	     CASE(update_of_a_class_is_lines_of_schemata), CASE(update_refuses_what_is_no_limit), CASE(events_prints_what_happens),
	     CASE(statistics_have_the_known_names), CASE(the_cost_of_a_virtual_machine_is_a_member_of_its_own))
