#include "base/str.h"
#include "cgroups/cgroup_internal.h"
#include "tap.h"

#include <errno.h>

static const struct oci_resources *parse(struct arena *a, const char *text)
{
	const struct oci_resources *r;
	struct err e;

	if (oci_resources_parse(a, text, strlen(text), &r, &e) < 0) {
		printf("# %s: %s\n", text, e.text);
		tap_failed = true;
		r = arena_new(a, struct oci_resources);
	}
	return r;
}

/* The cgroup of a container on that kind of host. */
static struct cgroup_ref ref_on(const struct host *h, struct arena *a)
{
	struct cgroup_dir *dirs = arena_alloc(a, (h->n_hier + 1) * sizeof(*dirs));

	for (size_t i = 0; i < h->n_hier; i++)
		dirs[i] = (struct cgroup_dir){ h->hier[i].controllers, h->hier[i].mount,
					       arena_printf(a, "%s/drupe/c1", h->hier[i].mount), h->hier[i].v2 };
	return (struct cgroup_ref){ .mode = h->cgroup_mode, .path = "/drupe/c1", .dirs = dirs, .n_dirs = h->n_hier };
}

/* "FILE=TEXT" of every write, a line each; or the error's text. */
static const char *writes(enum cgroup_mode mode, const char *old, const char *update, struct arena *a)
{
	struct strbuf out = STRBUF(a);
	struct cgroup_plan p;
	struct host h;
	struct err e;

	host_fake(&h, mode);
	struct cgroup_ref ref = ref_on(&h, a);

	if (cgroup_update_plan(&ref, parse(a, old), parse(a, update), &h, a, &p, &e) < 0)
		return arena_strdup(a, e.text);
	if (p.device_prog)
		strbuf_puts(&out, "device filter\n");
	for (size_t i = 0; i < p.n_writes; i++)
		strbuf_printf(&out, "%s=%s\n", p.writes[i].file, p.writes[i].text);
	return strbuf_str(&out);
}

#define expect_writes(mode, old, update, want)                                                                                     \
	do {                                                                                                                       \
		auto_arena struct arena a_ = { 0 };                                                                                \
		expect_str(writes(CGROUP_MODE_##mode, old, update, &a_), want);                                                    \
	} while (0)

/* The merged resources as JSON. */
#define expect_merged(old, update, want)                                                                                           \
	do {                                                                                                                       \
		auto_arena struct arena a_ = { 0 };                                                                                \
		struct strbuf got_ = STRBUF(&a_), want_ = STRBUF(&a_);                                                             \
		oci_resources_encode(cgroup_resources_merge(parse(&a_, old), parse(&a_, update), &a_), &got_);                     \
		oci_resources_encode(parse(&a_, want), &want_);                                                                    \
		expect_str(strbuf_str(&got_), strbuf_str(&want_));                                                                 \
	} while (0)

#define FULL                                                                                                                       \
	"{\"cpu\": {\"shares\": 512, \"quota\": 20000, \"period\": 100000}, \"memory\": {\"limit\": 1000000, \"swap\": 3000000},"  \
	" \"pids\": {\"limit\": 7}}"

static void only_what_is_named_is_written(void)
{
	expect_writes(V2, FULL, "{}", "");
	expect_writes(V1, FULL, "{\"pids\": {\"limit\": 9}}", "pids.max=9\n");
	expect_writes(V2, FULL, "{\"cpu\": {\"shares\": 1024}}", "cpu.weight=100\n");
	expect_writes(V1, FULL, "{\"cpu\": {\"cpus\": \"1\"}}", "cpuset.cpus=1\n");
}

static void quota_and_period_keep_each_other(void)
{
	expect_writes(V2, FULL, "{\"cpu\": {\"quota\": 50000}}", "cpu.max=50000 100000\n");
	expect_writes(V2, FULL, "{\"cpu\": {\"period\": 50000}}", "cpu.max=20000 50000\n");
	expect_writes(V2, FULL, "{\"cpu\": {\"quota\": -1}}", "cpu.max=max 100000\n");
	expect_writes(V1, FULL, "{\"cpu\": {\"period\": 50000}}", "cpu.cfs_period_us=50000\ncpu.cfs_quota_us=20000\n");
	expect_writes(V2, "{}", "{\"cpu\": {\"quota\": 50000}}", "cpu.max=50000\n");
	expect_writes(V2, "{}", "{\"cpu\": {\"period\": 50000}}", "cpu.max=max 50000\n");
}

static void a_period_of_zero_is_not_one(void)
{
	expect_writes(V2, FULL, "{\"cpu\": {\"period\": 0, \"shares\": 0}}", "");
	expect_merged(FULL, "{\"cpu\": {\"period\": 0, \"shares\": 0}}", FULL);
}

static void burst_is_checked_against_the_quota_that_comes_with_it(void)
{
	expect_writes(V2, FULL, "{\"cpu\": {\"burst\": 1000}}", "cpu.max.burst=1000\n");
	expect_writes(V2, FULL, "{\"cpu\": {\"burst\": 9000, \"quota\": 5000}}",
		      "linux.resources.cpu.burst: 9000 is more than the quota of 5000");
}

static void unlimited_memory_is_unlimited_swap(void)
{
	expect_writes(V1, FULL, "{\"memory\": {\"limit\": -1}}", "memory.limit_in_bytes=-1\nmemory.memsw.limit_in_bytes=-1\n");
	expect_writes(V2, FULL, "{\"memory\": {\"limit\": -1}}", "memory.max=max\nmemory.swap.max=max\n");
	expect_merged("{\"memory\": {\"limit\": 1, \"swap\": 2}}", "{\"memory\": {\"limit\": -1}}",
		      "{\"memory\": {\"limit\": -1, \"swap\": -1}}");
}

static void swap_stays_the_sum_when_memory_changes(void)
{
	expect_writes(V2, FULL, "{\"memory\": {\"limit\": 2000000}}", "memory.max=2000000\nmemory.swap.max=1000000\n");
	expect_writes(V1, FULL, "{\"memory\": {\"limit\": 2000000}}",
		      "memory.limit_in_bytes=2000000\nmemory.memsw.limit_in_bytes=3000000\n");
	expect_writes(V2, FULL, "{\"memory\": {\"swap\": 1500000}}", "memory.max=1000000\nmemory.swap.max=500000\n");
	expect_writes(V2, "{\"memory\": {\"limit\": 5}}", "{\"memory\": {\"limit\": 9}}", "memory.max=9\n");
	expect_writes(V2, FULL, "{\"memory\": {\"limit\": 4000000}}",
		      "linux.resources.memory.swap: 3000000 is memory plus swap, less than memory.limit 4000000");
	expect_writes(V2, "{}", "{\"memory\": {\"swap\": 4000000}}",
		      "linux.resources.memory.swap: a limit of memory and swap needs memory.limit");
}

static void check_before_update_counts_for_this_update_alone(void)
{
	auto_arena struct arena a = { 0 };
	struct cgroup_plan p;
	struct host h;
	struct err e;

	host_fake(&h, CGROUP_MODE_V2);
	struct cgroup_ref ref = ref_on(&h, &a);
	const struct oci_resources *old = parse(&a, "{\"memory\": {\"limit\": 9000, \"checkBeforeUpdate\": true}}");

	expect(cgroup_update_plan(&ref, old, parse(&a, "{\"memory\": {\"limit\": 8000}}"), &h, &a, &p, &e) == 0);
	expect(p.n_writes == 1 && !p.writes[0].check_usage);
	expect(cgroup_update_plan(&ref, old, parse(&a, "{\"memory\": {\"limit\": 8000, \"checkBeforeUpdate\": true}}"), &h, &a, &p,
				  &e) == 0);
	expect(p.n_writes == 1 && p.writes[0].check_usage);
}

static void lists_are_merged_by_device(void)
{
	expect_merged("{\"blockIO\": {\"throttleReadBpsDevice\": [{\"major\": 8, \"minor\": 0, \"rate\": 1},"
		      " {\"major\": 8, \"minor\": 16, \"rate\": 2}]}}",
		      "{\"blockIO\": {\"throttleReadBpsDevice\": [{\"major\": 8, \"minor\": 16, \"rate\": 3},"
		      " {\"major\": 9, \"minor\": 0, \"rate\": 4}]}}",
		      "{\"blockIO\": {\"throttleReadBpsDevice\": [{\"major\": 8, \"minor\": 0, \"rate\": 1},"
		      " {\"major\": 8, \"minor\": 16, \"rate\": 3}, {\"major\": 9, \"minor\": 0, \"rate\": 4}]}}");
	expect_merged(
		"{\"hugepageLimits\": [{\"pageSize\": \"2MB\", \"limit\": 1}], \"unified\": {\"a.b\": \"1\", \"a.c\": \"2\"}}",
		"{\"hugepageLimits\": [{\"pageSize\": \"2MB\", \"limit\": 5}], \"unified\": {\"a.c\": \"3\", \"a.d\": \"4\"}}",
		"{\"hugepageLimits\": [{\"pageSize\": \"2MB\", \"limit\": 5}],"
		" \"unified\": {\"a.b\": \"1\", \"a.c\": \"3\", \"a.d\": \"4\"}}");
}

#define DENY_ALL      "{\"allow\": false, \"access\": \"rwm\"}"
#define ALLOW_ALL     "{\"allow\": true, \"access\": \"rwm\"}"
#define FUSE          "{\"allow\": true, \"type\": \"c\", \"major\": 10, \"minor\": 229, \"access\": \"rwm\"}"
#define FUSE_R        "{\"allow\": true, \"type\": \"c\", \"major\": 10, \"minor\": 229, \"access\": \"r\"}"
#define KVM           "{\"allow\": true, \"type\": \"c\", \"major\": 10, \"minor\": 232, \"access\": \"rw\"}"
#define DEVICES(list) "{\"devices\": [" list "]}"

static void device_rules_are_replaced(void)
{
	expect_merged(DEVICES(DENY_ALL "," FUSE), DEVICES(DENY_ALL "," KVM), DEVICES(DENY_ALL "," KVM));
	expect_merged(DEVICES(DENY_ALL "," FUSE), "{\"devices\": []}", DEVICES(DENY_ALL "," FUSE));
}

static void v1_gets_the_difference_of_the_rules_and_additions_first(void)
{
	expect_writes(V1, DEVICES(DENY_ALL "," FUSE), DEVICES(DENY_ALL "," KVM),
		      "devices.allow=c 10:232 rw\ndevices.deny=c 10:229 rwm\n");
	expect_writes(V1, DEVICES(DENY_ALL "," FUSE), DEVICES(DENY_ALL "," FUSE_R), "devices.deny=c 10:229 wm\n");
	expect_writes(V1, DEVICES(DENY_ALL "," FUSE_R), DEVICES(DENY_ALL "," FUSE), "devices.allow=c 10:229 wm\n");
	expect_writes(V1, DEVICES(DENY_ALL "," FUSE), DEVICES(DENY_ALL "," FUSE), "");
	expect_writes(V1, "{}", DEVICES(DENY_ALL "," KVM), "devices.allow=c 10:232 rw\n");
	expect_writes(HYBRID, "{}", DEVICES(DENY_ALL "," KVM), "devices.allow=c 10:232 rw\n");
}

static void v1_gets_all_rules_when_the_default_changes(void)
{
	expect_writes(V1, DEVICES(DENY_ALL "," FUSE), DEVICES(ALLOW_ALL), "devices.allow=a\n");
	expect_writes(V1, DEVICES(ALLOW_ALL), DEVICES(ALLOW_ALL), "");
}

static void v2_gets_another_filter(void)
{
	expect_writes(V2, DEVICES(DENY_ALL "," FUSE), DEVICES(DENY_ALL "," KVM), "device filter\n");
	expect_writes(V2, DEVICES(DENY_ALL), DEVICES(ALLOW_ALL), "device filter\n");
	expect_writes(V2, DEVICES(ALLOW_ALL), DEVICES(ALLOW_ALL), "");
	expect_writes(V2, DEVICES(DENY_ALL), "{\"pids\": {\"limit\": 1}}", "pids.max=1\n");
}

static void without_a_cgroup_limits_are_an_error(void)
{
	auto_arena struct arena a = { 0 };
	struct cgroup_ref none = { .manager = CGROUP_MANAGER_DISABLED, .path = "" };
	struct cgroup_plan p;
	struct host h;
	struct err e;

	host_fake(&h, CGROUP_MODE_V2);
	expect(cgroup_update_plan(&none, parse(&a, "{}"), parse(&a, "{\"pids\": {\"limit\": 1}}"), &h, &a, &p, &e) == -ENOTSUP);
	expect(strstr(e.text, "linux.resources.pids.limit: the cgroup controller \"pids\" is not available"));
	expect(cgroup_update_plan(&none, parse(&a, "{}"), parse(&a, DEVICES(DENY_ALL)), &h, &a, &p, &e) == -ENOTSUP);
}

static void the_controllers_of_the_files_are_enabled(void)
{
	auto_arena struct arena a = { 0 };
	struct cgroup_plan p;
	struct host h;
	struct err e;

	host_fake(&h, CGROUP_MODE_V2);
	struct cgroup_ref ref = ref_on(&h, &a);

	expect(cgroup_update_plan(&ref, parse(&a, "{}"), parse(&a, "{\"cpu\": {\"cpus\": \"0\", \"shares\": 9}}"), &h, &a, &p,
				  &e) == 0);
	expect_str(p.controllers, "cpu cpuset");
}

TAP_MAIN(CASE(only_what_is_named_is_written), CASE(quota_and_period_keep_each_other), CASE(a_period_of_zero_is_not_one),
	 CASE(burst_is_checked_against_the_quota_that_comes_with_it), CASE(unlimited_memory_is_unlimited_swap),
	 CASE(swap_stays_the_sum_when_memory_changes), CASE(check_before_update_counts_for_this_update_alone),
	 CASE(lists_are_merged_by_device), CASE(device_rules_are_replaced),
	 CASE(v1_gets_the_difference_of_the_rules_and_additions_first), CASE(v1_gets_all_rules_when_the_default_changes),
	 CASE(v2_gets_another_filter), CASE(without_a_cgroup_limits_are_an_error), CASE(the_controllers_of_the_files_are_enabled))
