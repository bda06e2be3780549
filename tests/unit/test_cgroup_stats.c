/* The files are as kernels write them. */
#include "base/str.h"
#include "cgroups/cgroup_stats.h"
#include "tap.h"
#include "temp.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

static struct arena arena;

/* A directory for each case, so that no file of another is in it. */
static const char *fresh_dir(const char *name)
{
	char *path;

	(void)temp_dir();
	path = arena_printf(&arena, "%s/%s", temp_path, name);
	if (mkdir(path, 0755) < 0)
		abort();
	return path;
}

static void file(const char *dir, const char *name, const char *text)
{
	FILE *f = fopen(arena_printf(&arena, "%s/%s", dir, name), "w");

	if (!f || fputs(text, f) < 0 || fclose(f) != 0)
		abort();
}

static struct cgroup_stats stats_of(const struct cgroup_dir *dirs, size_t n)
{
	struct cgroup_ref ref = { .dirs = dirs, .n_dirs = n, .path = "/x" };
	struct cgroup_stats s = { 0 };
	struct err e;

	expect(cgroup_stats_read(&ref, &arena, &s, &e) == 0);
	return s;
}

static const char *numbers(const struct cgroup_numbers *l)
{
	struct strbuf out = STRBUF(&arena);

	for (size_t i = 0; i < l->n; i++)
		strbuf_printf(&out, "%s%" PRIu64, i ? " " : "", l->v[i]);
	return strbuf_str(&out);
}

static const char *entries(const struct cgroup_blk_list *l)
{
	struct strbuf out = STRBUF(&arena);

	for (size_t i = 0; i < l->n; i++)
		strbuf_printf(&out, "%" PRIu64 ":%" PRIu64 " %s %" PRIu64 "\n", l->v[i].major, l->v[i].minor, l->v[i].op,
			      l->v[i].value);
	return strbuf_str(&out);
}

static void fill_v2(const char *d)
{
	file(d, "cpu.stat",
	     "usage_usec 1234567\nuser_usec 1000000\nsystem_usec 234567\nnr_periods 10\nnr_throttled 3\n"
	     "throttled_usec 4500\nnr_bursts 0\nburst_usec 0\n");
	file(d, "cpu.pressure",
	     "some avg10=1.50 avg60=0.25 avg300=0.01 total=123456\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n");
	file(d, "memory.current", "8192000\n");
	file(d, "memory.max", "16384000\n");
	file(d, "memory.peak", "9000000\n");
	file(d, "memory.swap.current", "4096\n");
	file(d, "memory.swap.max", "1000000\n");
	file(d, "memory.events", "low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 0\n");
	file(d, "memory.stat", "anon 100\nfile 200\nkernel 300\nsock 400\nfile_mapped 5\n");
	file(d, "pids.current", "3\n");
	file(d, "pids.max", "max\n");
	file(d, "io.stat", "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=16 dios=3\n7:0 \n");
	file(d, "io.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=2.00 total=0\n");
	file(d, "cpuset.cpus.effective", "0-2,7\n");
	file(d, "cpuset.mems.effective", "0\n");
	file(d, "hugetlb.2MB.current", "4194304\n");
	file(d, "hugetlb.2MB.rsvd.current", "1\n");
	file(d, "hugetlb.2MB.events", "max 5\n");
	file(d, "hugetlb.1GB.current", "0\n");
}

static void v2_is_read(void)
{
	const char *d = fresh_dir("v2");

	fill_v2(d);
	struct cgroup_stats s = stats_of(&(struct cgroup_dir){ "", temp_path, d, true }, 1);

	expect(s.cpu.total == 1234567000 && s.cpu.user == 1000000000 && s.cpu.kernel == 234567000);
	expect(s.cpu.periods == 10 && s.cpu.throttled_periods == 3 && s.cpu.throttled_time == 4500000);
	expect(s.cpu.psi.set && s.cpu.psi.some.total == 123456 && s.cpu.psi.full.total == 7);
	expect_str(s.cpu.psi.some.avg10, "1.50");
	expect_str(s.cpu.psi.some.avg300, "0.01");
	expect(s.memory.usage.usage == 8192000 && s.memory.usage.limit == 16384000 && s.memory.usage.max == 9000000);
	expect(s.memory.usage.failcnt == 12 && s.memory.cache == 200);
	expect(s.memory.kernel.usage == 300 && s.memory.kernel_tcp.usage == 400);
	expect(s.memory.n_raw == 5 && s.memory.raw[4].value == 5);
	expect_str(s.memory.raw[4].name, "file_mapped");
	expect(!s.memory.psi.set);
	expect(s.pids_current == 3 && s.pids_limit == 0);
	expect_str(entries(&s.blkio.service_bytes), "8:0 Read 4096\n8:0 Write 8192\n8:0 Discard 16\n");
	expect_str(entries(&s.blkio.serviced), "8:0 Read 1\n8:0 Write 2\n8:0 Discard 3\n");
	expect_str(s.blkio.psi.full.avg300, "2.00");
	expect_str(numbers(&s.cpuset.cpus), "0 1 2 7");
	expect(s.n_hugetlb == 2);
	expect_str(s.hugetlb[0].size, "1GB");
	expect(s.hugetlb[1].usage == 4194304 && s.hugetlb[1].failcnt == 5);
}

static void v2_swap_is_told_together_with_memory(void)
{
	const char *d = fresh_dir("v2swap");

	fill_v2(d);
	struct cgroup_stats s = stats_of(&(struct cgroup_dir){ "", temp_path, d, true }, 1);

	expect(s.memory.swap.usage == 8192000 + 4096);
	expect(s.memory.swap.limit == 16384000 + 1000000);
	file(d, "memory.swap.max", "max\n");
	s = stats_of(&(struct cgroup_dir){ "", temp_path, d, true }, 1);
	expect(s.memory.swap.limit == UINT64_MAX && s.memory.usage.limit == 16384000);
	file(d, "memory.max", "max\n");
	file(d, "memory.swap.max", "5\n");
	s = stats_of(&(struct cgroup_dir){ "", temp_path, d, true }, 1);
	expect(s.memory.swap.limit == UINT64_MAX && s.memory.usage.limit == UINT64_MAX);
}

static void fill_v1(const char *d)
{
	file(d, "cpu.stat", "nr_periods 10\nnr_throttled 3\nthrottled_time 4500000\n");
	file(d, "cpuacct.usage", "1234567\n");
	file(d, "cpuacct.usage_user", "1000000\n");
	file(d, "cpuacct.usage_sys", "234567\n");
	file(d, "cpuacct.usage_percpu", "1000000 234567 \n");
	file(d, "cpuacct.usage_all", "cpu user system\n0 900000 100000\n1 100000 134567\n");
	file(d, "memory.usage_in_bytes", "8192000\n");
	file(d, "memory.limit_in_bytes", "9223372036854771712\n");
	file(d, "memory.max_usage_in_bytes", "9000000\n");
	file(d, "memory.failcnt", "12\n");
	file(d, "memory.memsw.usage_in_bytes", "8196096\n");
	file(d, "memory.kmem.usage_in_bytes", "300\n");
	file(d, "memory.kmem.tcp.failcnt", "4\n");
	file(d, "memory.stat", "cache 200\nrss 100\ntotal_cache 250\n");
	file(d, "pids.current", "3\n");
	file(d, "pids.max", "64\n");
	file(d, "cpuset.cpus", "0-1\n");
	file(d, "cpuset.mems", "0\n");
	file(d, "cpuset.sched_load_balance", "1\n");
	file(d, "cpuset.sched_relax_domain_level", "-1\n");
	file(d, "blkio.throttle.io_service_bytes_recursive", "8:0 Read 4096\n8:0 Write 0\n8:0 Total 4096\nTotal 4096\n");
	file(d, "blkio.throttle.io_serviced_recursive", "Total 0\n");
	file(d, "blkio.bfq.time_recursive", "8:0 17\n");
	file(d, "hugetlb.2MB.usage_in_bytes", "2097152\n");
	file(d, "hugetlb.2MB.max_usage_in_bytes", "4194304\n");
	file(d, "hugetlb.2MB.failcnt", "1\n");
}

static void v1_is_read(void)
{
	const char *d = fresh_dir("v1");

	fill_v1(d);
	struct cgroup_stats s =
		stats_of(&(struct cgroup_dir){ "cpu,cpuacct,memory,pids,cpuset,blkio,hugetlb", temp_path, d, false }, 1);

	expect(s.cpu.total == 1234567 && s.cpu.user == 1000000 && s.cpu.kernel == 234567);
	expect(s.cpu.periods == 10 && s.cpu.throttled_periods == 3 && s.cpu.throttled_time == 4500000);
	expect_str(numbers(&s.cpu.percpu), "1000000 234567");
	expect_str(numbers(&s.cpu.percpu_user), "900000 100000");
	expect_str(numbers(&s.cpu.percpu_kernel), "100000 134567");
	expect(!s.cpu.psi.set);
	expect(s.memory.usage.limit == 9223372036854771712u && s.memory.usage.failcnt == 12 && s.memory.cache == 200);
	expect(s.memory.swap.usage == 8196096 && s.memory.kernel.usage == 300 && s.memory.kernel_tcp.failcnt == 4);
	expect(s.pids_current == 3 && s.pids_limit == 64);
	expect_str(numbers(&s.cpuset.cpus), "0 1");
	expect(s.cpuset.sched_load_balance == 1 && s.cpuset.sched_relax_domain_level == -1);
	expect_str(entries(&s.blkio.service_bytes), "8:0 Read 4096\n8:0 Write 0\n8:0 Total 4096\n");
	expect_str(entries(&s.blkio.serviced), "");
	expect_str(entries(&s.blkio.time), "8:0  17\n");
	expect(s.n_hugetlb == 1 && s.hugetlb[0].usage == 2097152 && s.hugetlb[0].max == 4194304 && s.hugetlb[0].failcnt == 1);
}

static void hybrid_takes_each_controller_from_where_it_is_and_pressure_from_cgroup2(void)
{
	const char *v1 = fresh_dir("h1"), *v2 = fresh_dir("h2");

	fill_v1(v1);
	file(v2, "cpu.stat", "usage_usec 99\nuser_usec 98\nsystem_usec 97\n");
	file(v2, "memory.pressure",
	     "some avg10=3.00 avg60=0.00 avg300=0.00 total=8\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
	file(v2, "hugetlb.2MB.current", "77\n");
	const struct cgroup_dir dirs[] = { { "cpu,cpuacct", temp_path, v1, false },
					   { "memory", temp_path, v1, false },
					   { "", temp_path, v2, true } };
	struct cgroup_stats s = stats_of(dirs, 3);

	expect(s.cpu.total == 1234567 && s.cpu.throttled_time == 4500000);
	expect(s.memory.psi.set && s.memory.psi.some.total == 8);
	expect(s.n_hugetlb == 1 && s.hugetlb[0].usage == 77);
	expect(s.pids_current == 0);
}

static void what_is_missing_is_zero(void)
{
	const char *d = fresh_dir("empty");
	struct cgroup_stats s = stats_of(&(struct cgroup_dir){ "", temp_path, d, true }, 1);

	expect(s.cpu.total == 0 && s.memory.usage.usage == 0 && s.memory.n_raw == 0 && s.n_hugetlb == 0 && !s.cpu.psi.set);
}

static void damaged_files_do_no_harm(void)
{
	const char *d = fresh_dir("damaged");

	file(d, "cpu.stat", "usage_usec\nuser_usec x\n");
	file(d, "cpu.pressure", "some");
	file(d, "io.stat", "x\n8:\n8:0 rbytes=\n");
	file(d, "memory.stat", "\n\nanon\n 5\nfile 3");
	file(d, "memory.current", "-\n");
	file(d, "cpuset.cpus.effective", "3-1,0-99999999\n");
	struct cgroup_stats s = stats_of(&(struct cgroup_dir){ "", temp_path, d, true }, 1);

	expect(s.cpu.total == 0 && s.memory.usage.usage == 0 && s.memory.cache == 3);
	expect(s.cpuset.cpus.n == 65536);
}

static void without_a_cgroup_nothing_is_counted(void)
{
	struct cgroup_ref none = { .path = "" };
	struct cgroup_stats s;
	struct err e;

	expect(cgroup_stats_read(&none, &arena, &s, &e) == -ENOTSUP);
	expect_str(e.text, "the container has no cgroup, so nothing is counted");
}

TAP_MAIN(CASE(v2_is_read), CASE(v2_swap_is_told_together_with_memory), CASE(v1_is_read),
	 CASE(hybrid_takes_each_controller_from_where_it_is_and_pressure_from_cgroup2), CASE(what_is_missing_is_zero),
	 CASE(damaged_files_do_no_harm), CASE(without_a_cgroup_nothing_is_counted))
