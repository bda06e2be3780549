/* cgroup_stats.h - what a cgroup has used so far, in one form for v1, hybrid and v2
 *
 * Times are nanoseconds, memory is bytes. What the machine does not tell is 0 or an empty list; "no limit" of memory is UINT64_MAX on
 * v2 (v1 says a number near 2^63 itself), of pids 0. swap is memory and swap together, as v1 counts it.
 */
#pragma once
#include "base/codec.h"
#include "cgroups/cgroup.h"

struct cgroup_psi_line { const char *avg10, *avg60, *avg300; uint64_t total; }; /* averages as the kernel writes them, "0.00" */
struct cgroup_psi { bool set; struct cgroup_psi_line some, full; };

struct cgroup_numbers { uint64_t *v; size_t n; };
struct cgroup_cpu_stats {
	uint64_t total, user, kernel;
	struct cgroup_numbers percpu, percpu_kernel, percpu_user;
	uint64_t periods, throttled_periods, throttled_time;
	struct cgroup_psi psi;
};

struct cgroup_cpuset_stats {
	struct cgroup_numbers cpus, mems;
	uint64_t cpu_exclusive, mem_hardwall, mem_exclusive, memory_migrate, memory_spread_page, memory_spread_slab, memory_pressure,
		sched_load_balance;
	int64_t sched_relax_domain_level;
};

struct cgroup_named { const char *name; uint64_t value; };
struct cgroup_counter { uint64_t limit, usage, max, failcnt; };
struct cgroup_memory_stats {
	uint64_t cache;
	struct cgroup_counter usage, swap, kernel, kernel_tcp;
	struct cgroup_named *raw; /* memory.stat */
	size_t n_raw;
	struct cgroup_psi psi;
};

struct cgroup_blk_entry { uint64_t major, minor; const char *op; uint64_t value; };
struct cgroup_blk_list { struct cgroup_blk_entry *v; size_t n; };
struct cgroup_blkio_stats {
	struct cgroup_blk_list service_bytes, serviced, queued, service_time, wait_time, merged, time, sectors;
	struct cgroup_psi psi;
};

struct cgroup_hugetlb_stats { const char *size; uint64_t usage, max, failcnt; }; /* size: "2MB" */

struct cgroup_stats {
	struct cgroup_cpu_stats cpu;
	struct cgroup_cpuset_stats cpuset;
	struct cgroup_memory_stats memory;
	uint64_t pids_current, pids_limit;
	struct cgroup_blkio_stats blkio;
	struct cgroup_hugetlb_stats *hugetlb;
	size_t n_hugetlb;
};

/* Reads what there is. Files that are missing are no error, a container without any cgroup is (ENOTSUP). Strings live in *a. */
must_check int cgroup_stats_read(const struct cgroup_ref *r, struct arena *a, struct cgroup_stats *out, struct err *e);

/* Both directions (base/codec.h): what was decoded can be printed as what was read. */
void codec_stats(struct codec *c, struct cgroup_stats *s);

/* Tells of the kernel's out-of-memory killer at work in a cgroup. */
struct cgroup_oom {
	int fd;      /* readable when there may be news; -1: the machine does not tell */
	int counter; /* the file that is counted in                                    */
	bool v2;
	const char *path; /* of the directory; borrowed from the ref */
	long seen;
};
must_check int cgroup_oom_open(const struct cgroup_ref *r, struct cgroup_oom *out, struct err *e);
/* true when something ran out of memory since the last call. Never blocks. */
bool cgroup_oom_check(struct cgroup_oom *o);
void cgroup_oom_close(struct cgroup_oom *o);
