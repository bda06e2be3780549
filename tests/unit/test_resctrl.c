/* Classes of resctrl on a fake tree: mkdir() and rmdir() are this file's own and do to a temporary directory what the kernel does
 * to its own: a new group has its files at once, and goes with them. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/sys.h"
#include "cgroups/resctrl.h"
#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define ALL "    MB:0=100;1=100\n    L3:0=fffff;1=fffff\n"

static char tree[64];            /* the mount */
static const char *new_schemata; /* NULL: a new class has a schemata file that refuses what is written */
static int refuse_mkdir;         /* errno for a new group, 0 none */
static bool refuse_mon;          /* a processor without monitors */

static void put(const char *dir, const char *name, const char *text)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	expect(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static bool is_mon_group(const char *path)
{
	return strstr(path, "/mon_groups/") != NULL;
}

int mkdir(const char *path, mode_t mode)
{
	char name[512];
	bool group = *tree && str_starts(path, tree) && strcmp(path, tree) != 0 && access(path, F_OK) < 0;

	if (group && refuse_mkdir) {
		errno = refuse_mkdir;
		return -1;
	}
	if (syscall(SYS_mkdirat, AT_FDCWD, path, mode) < 0)
		return -1;
	if (!group)
		return 0;
	put(path, "tasks", "");
	if (is_mon_group(path))
		return 0;
	snprintf(name, sizeof(name), "%s/mon_groups", path);
	if (!refuse_mon)
		syscall(SYS_mkdirat, AT_FDCWD, name, 0755);
	snprintf(name, sizeof(name), "%s/schemata", path);
	if (new_schemata)
		put(path, "schemata", new_schemata);
	else
		expect(symlink("/dev/full", name) == 0);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st;
	(void)walk;
	return (int)syscall(SYS_unlinkat, AT_FDCWD, path, type == FTW_DP ? AT_REMOVEDIR : 0);
}

int rmdir(const char *path)
{
	if (access(path, F_OK) < 0)
		return -1;
	return nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void set_up(void)
{
	char dir[] = "/tmp/resctrl.XXXXXX", name[128];

	*tree = '\0';
	expect(mkdtemp(dir) != NULL);
	new_schemata = ALL;
	refuse_mkdir = 0;
	refuse_mon = false;
	snprintf(name, sizeof(name), "%s/info", dir);
	mkdir(name, 0755);
	put(name, "last_cmd_status", "ok\n");
	snprintf(name, sizeof(name), "%s/info/MB", dir);
	mkdir(name, 0755);
	put(name, "bandwidth_gran", "10\n");
	snprintf(name, sizeof(name), "%s/mon_groups", dir);
	mkdir(name, 0755);
	put(dir, "schemata", ALL);
	put(dir, "tasks", "1\n");
	snprintf(tree, sizeof(tree), "%s", dir);
}

static void clean_up(void)
{
	expect(rmdir(tree) == 0);
	*tree = '\0';
}

static const char *path_of(struct arena *a, const char *name)
{
	return arena_printf(a, "%s/%s", tree, name);
}

static bool there(struct arena *a, const char *name)
{
	return access(path_of(a, name), F_OK) == 0;
}

static const char *content(struct arena *a, const char *name)
{
	struct err e;
	char *text;

	return file_read_pseudo(AT_FDCWD, path_of(a, name), 4096, a, &text, &e) < 0 ? "(none)" : text;
}

/* What the error says, without where the tree happens to be. */
static const char *shown(struct arena *a, const struct err *e)
{
	struct strbuf out = STRBUF(a);
	const char *at = e->text, *next;

	for (; *tree && (next = strstr(at, tree)); at = next + strlen(tree)) {
		strbuf_add(&out, at, (size_t)(next - at));
		strbuf_puts(&out, "RDT");
	}
	strbuf_puts(&out, at);
	return strbuf_str(&out);
}

static int plan(struct arena *a, const struct oci_intel_rdt *t, struct resctrl_plan *p, struct err *e)
{
	struct oci_linux linux_ = { .intel_rdt = t };
	const struct oci_spec spec = { .linux_ = &linux_ };
	struct host h;

	host_fake(&h, CGROUP_MODE_V2);
	h.resctrl = *tree ? tree : NULL;
	return resctrl_plan_build(&spec, "web", &h, a, p, e);
}

/* Plan, claim, create, as the runtime does. */
static int create(struct arena *a, const struct oci_intel_rdt *t, struct resctrl_ref *claimed, struct resctrl_ref *made,
		  struct err *e)
{
	struct resctrl_plan p;
	int r = plan(a, t, &p, e);

	if (r == 0)
		r = resctrl_claim(&p, claimed, e);
	return r < 0 ? r : resctrl_create(&p, made, e);
}

static void expect_refusal(const struct oci_intel_rdt *t, int code, const char *text)
{
	auto_arena struct arena a = { 0 };
	struct resctrl_ref claimed, made;
	struct err e = { 0 };

	expect(create(&a, t, &claimed, &made, &e) == -code);
	expect_str(shown(&a, &e), text);
}

static void without_intel_rdt_nothing_is_touched(void)
{
	auto_arena struct arena a = { 0 };
	struct resctrl_ref claimed, made;
	struct err e;

	set_up();
	expect(create(&a, NULL, &claimed, &made, &e) == 0);
	expect(!made.mount && !claimed.mount && !made.owns_group && !made.owns_mon_group);
	expect(resctrl_join(&made, 77, &e) == 0 && resctrl_remove(&made, &e) == 0);
	expect_str(content(&a, "tasks"), "1\n");
	clean_up();
}

static void without_resctrl_any_intel_rdt_is_refused(void)
{
	*tree = '\0';
	expect_refusal(&(struct oci_intel_rdt){ 0 }, ENOTSUP, "linux.intelRdt: no resctrl file system is mounted");
}

static void the_class_of_the_id_is_made_joined_and_removed(void)
{
	auto_arena struct arena a = { 0 };
	const char *more[] = { "L2:0=f", "L3:1=0f" };
	const struct oci_intel_rdt t = { .l3_cache_schema = "L3:0=ff", .mem_bw_schema = "MB:0=20", .schemata = { more, 2 } };
	struct resctrl_ref claimed, made;
	struct err e;

	set_up();
	new_schemata = "";
	expect(create(&a, &t, &claimed, &made, &e) == 0);
	expect(claimed.owns_group && made.owns_group && !made.mon_group && !made.owns_mon_group);
	expect_str(content(&a, "web/schemata"), "L3:0=ff\nMB:0=20\nL2:0=f\nL3:1=0f\n");
	expect(!resctrl_in_use(&made));
	expect(resctrl_join(&made, 4711, &e) == 0);
	expect_str(content(&a, "web/tasks"), "4711");
	expect(resctrl_in_use(&made));
	expect(resctrl_remove(&claimed, &e) == 0);
	expect(!there(&a, "web"));
	expect(resctrl_remove(&claimed, &e) == 0);
	clean_up();
}

static void a_class_of_its_own_can_be_changed_and_put_back(void)
{
	auto_arena struct arena a = { 0 };
	const struct oci_intel_rdt own = { .l3_cache_schema = "L3:0=ff" },
				   named = { .clos_id = "gold", .l3_cache_schema = "L3:0=ff" };
	struct resctrl_ref claimed, made;
	const char *before = NULL, *ignored;
	struct err e;

	set_up();
	new_schemata = "";
	expect(create(&a, &own, &claimed, &made, &e) == 0);
	put(path_of(&a, "web"), "schemata", "L3:0=ff\n");
	expect(resctrl_update(&made, "L3:0=0f\nMB:0=10\n", &a, &before, &e) == 0);
	expect_str(before, "L3:0=ff\n");
	expect(str_starts(content(&a, "web/schemata"), "L3:0=0f\nMB:0=10\n")); /* a fake file keeps what is not overwritten */
	expect(create(&a, &named, &claimed, &made, &e) == 0);
	expect(resctrl_update(&claimed, "L3:0=1\n", &a, &ignored, &e) == -EPERM);
	clean_up();
}

static void a_named_class_is_made_once_and_stays(void)
{
	auto_arena struct arena a = { 0 };
	const struct oci_intel_rdt t = { .clos_id = "gold", .l3_cache_schema = "L3:0=ff" };
	struct resctrl_ref claimed, made;
	struct err e;

	set_up();
	new_schemata = "L3:0=12345;1=fffff\n";
	expect(create(&a, &t, &claimed, &made, &e) == 0);
	expect(!claimed.owns_group && made.owns_group);
	expect(resctrl_remove(&claimed, &e) == 0);
	expect(there(&a, "gold"));
	put(path_of(&a, "gold"), "schemata", "L3:0=000ff;1=fffff\n");
	expect(create(&a, &t, &claimed, &made, &e) == 0);
	expect(!made.owns_group);
	expect_str(content(&a, "gold/schemata"), "L3:0=000ff;1=fffff\n");
	clean_up();
}

static void a_class_that_allows_something_else_is_neither_joined_nor_changed(void)
{
	auto_arena struct arena a = { 0 };
	const char *more[] = { "L3:1=fffff", "L3:1=1" };

	set_up();
	mkdir(path_of(&a, "gold"), 0755);
	mkdir(path_of(&a, "web"), 0755);
	expect_refusal(&(struct oci_intel_rdt){ .clos_id = "gold", .mem_bw_schema = "MB:1=50" }, EINVAL,
		       "linux.intelRdt.memBwSchema: \"MB:1=50\" is not what the existing class RDT/gold has: "
		       "\"MB:0=100;1=100     L3:0=fffff;1=fffff\"");
	expect_refusal(&(struct oci_intel_rdt){ .clos_id = "gold", .schemata = { more, 2 } }, EINVAL,
		       "linux.intelRdt.schemata[1]: \"L3:1=1\" is not what the existing class RDT/gold has: "
		       "\"MB:0=100;1=100     L3:0=fffff;1=fffff\"");
	expect_refusal(&(struct oci_intel_rdt){ .l3_cache_schema = "L3:0=1" }, EINVAL,
		       "linux.intelRdt.l3CacheSchema: \"L3:0=1\" is not what the existing class RDT/web has: "
		       "\"MB:0=100;1=100     L3:0=fffff;1=fffff\"");
	expect_refusal(&(struct oci_intel_rdt){ .clos_id = "/", .l3_cache_schema = "L3:0=1" }, EINVAL,
		       "linux.intelRdt.l3CacheSchema: \"L3:0=1\" is not what the existing class RDT has: "
		       "\"MB:0=100;1=100     L3:0=fffff;1=fffff\"");
	expect_str(content(&a, "gold/schemata"), ALL);
	expect_str(content(&a, "schemata"), ALL);
	expect(there(&a, "web"));
	clean_up();
}

static void a_class_of_the_id_that_was_there_before_stays(void)
{
	auto_arena struct arena a = { 0 };
	const struct oci_intel_rdt t = { .l3_cache_schema = "L3:0=fffff" };
	struct resctrl_ref claimed, made;
	struct err e;

	set_up();
	mkdir(path_of(&a, "web"), 0755);
	expect(create(&a, &t, &claimed, &made, &e) == 0);
	expect(!claimed.owns_group && !made.owns_group);
	expect(resctrl_remove(&claimed, &e) == 0 && there(&a, "web"));
	clean_up();
}

static void a_class_by_name_alone_must_exist(void)
{
	auto_arena struct arena a = { 0 };
	const struct oci_intel_rdt t = { .clos_id = "gold" };
	struct resctrl_ref claimed, made;
	struct resctrl_plan p;
	struct err e;

	set_up();
	expect_refusal(&t, ENOENT, "linux.intelRdt.closID: there is no class RDT/gold, and nothing tells what it is to allow");
	/* also when it went between the two steps */
	expect(plan(&a, &t, &p, &e) == 0 && resctrl_create(&p, &made, &e) == -ENOENT);
	expect(!there(&a, "gold"));
	mkdir(path_of(&a, "gold"), 0755);
	expect(create(&a, &t, &claimed, &made, &e) == 0);
	expect(!claimed.owns_group && !made.owns_group);
	clean_up();
}

static void the_root_class_is_joined_and_never_removed(void)
{
	auto_arena struct arena a = { 0 };
	const struct oci_intel_rdt t = { .clos_id = "/", .mem_bw_schema = "MB:0=100", .enable_monitoring = true };
	struct resctrl_ref claimed, made;
	struct err e;

	set_up();
	expect(create(&a, &t, &claimed, &made, &e) == 0);
	expect_str(made.group, tree);
	expect(!claimed.owns_group && !made.owns_group && claimed.owns_mon_group && made.owns_mon_group);
	expect(resctrl_join(&made, 8, &e) == 0);
	expect_str(content(&a, "tasks"), "8\n");
	expect_str(content(&a, "mon_groups/web/tasks"), "8");
	expect(resctrl_remove(&claimed, &e) == 0);
	expect(there(&a, "mon_groups") && !there(&a, "mon_groups/web"));
	clean_up();
}

static void a_monitoring_group_in_a_named_class_goes_and_the_class_stays(void)
{
	auto_arena struct arena a = { 0 };
	const struct oci_intel_rdt t = { .clos_id = "gold", .l3_cache_schema = "L3:0=fffff", .enable_monitoring = true };
	struct resctrl_ref claimed, made;
	struct err e;

	set_up();
	expect(create(&a, &t, &claimed, &made, &e) == 0);
	expect(there(&a, "gold/mon_groups/web"));
	expect(resctrl_remove(&claimed, &e) == 0);
	expect(there(&a, "gold/mon_groups") && !there(&a, "gold/mon_groups/web"));
	mkdir(path_of(&a, "gold/mon_groups/web"), 0755);
	put(path_of(&a, "gold"), "schemata", ALL);
	expect_refusal(&t, EEXIST, "linux.intelRdt.enableMonitoring: there is a monitoring group RDT/gold/mon_groups/web already");
	expect(there(&a, "gold/mon_groups/web"));
	clean_up();
}

static void the_kernels_own_reason_is_told_and_nothing_is_left(void)
{
	auto_arena struct arena a = { 0 };

	set_up();
	new_schemata = NULL;
	put(path_of(&a, "info"), "last_cmd_status", "Unknown or unsupported resource name 'L5'\nmore\n");
	expect_refusal(&(struct oci_intel_rdt){ .l3_cache_schema = "L5:0=f" }, ENOSPC,
		       "linux.intelRdt.l3CacheSchema: writing \"L5:0=f\" to RDT/web/schemata: No space left on device "
		       "(Unknown or unsupported resource name 'L5' more)");
	expect(!there(&a, "web"));
	put(path_of(&a, "info"), "last_cmd_status", "ok\n");
	expect_refusal(&(struct oci_intel_rdt){ .clos_id = "gold", .l3_cache_schema = "L3:0=f", .mem_bw_schema = "MB:0=1" }, ENOSPC,
		       "linux.intelRdt: writing \"L3:0=f MB:0=1\" to RDT/gold/schemata: No space left on device");
	expect(!there(&a, "gold"));
	clean_up();
}

static void no_more_classes_and_no_monitors_are_errors(void)
{
	auto_arena struct arena a = { 0 };

	set_up();
	refuse_mkdir = ENOSPC;
	put(path_of(&a, "info"), "last_cmd_status", "Out of CLOSIDs\n");
	expect_refusal(&(struct oci_intel_rdt){ 0 }, ENOSPC,
		       "linux.intelRdt: mkdir RDT/web (the processor has no more classes or monitors): No space left on device "
		       "(Out of CLOSIDs)");
	refuse_mkdir = 0;
	refuse_mon = true;
	expect_refusal(&(struct oci_intel_rdt){ .clos_id = "gold", .l3_cache_schema = "L3:0=f", .enable_monitoring = true }, ENOENT,
		       "linux.intelRdt.enableMonitoring: mkdir RDT/gold/mon_groups/web: No such file or directory");
	expect(!there(&a, "gold"));
	clean_up();
}

static void names_of_resctrls_own_are_no_classes(void)
{
	set_up();
	expect_refusal(&(struct oci_intel_rdt){ .clos_id = "info" }, EINVAL,
		       "linux.intelRdt.closID: \"info\" is a directory of resctrl's own, not a class");
	expect_refusal(&(struct oci_intel_rdt){ .clos_id = "mon_groups" }, EINVAL,
		       "linux.intelRdt.closID: \"mon_groups\" is a directory of resctrl's own, not a class");
	expect_refusal(&(struct oci_intel_rdt){ .clos_id = "tasks" }, ENOTDIR,
		       "linux.intelRdt.closID: RDT/tasks is not a class of resctrl");
	clean_up();
}

static void bandwidth_in_the_caches_place_gives_way(void)
{
	auto_arena struct arena a = { 0 };
	struct strbuf out = STRBUF(&a);
	struct resctrl_plan p;
	struct err e;

	set_up();
	expect(plan(&a, &(struct oci_intel_rdt){ .l3_cache_schema = "MB:0=70", .mem_bw_schema = "MB:0=20" }, &p, &e) == 0);
	expect(p.n_lines == 1);
	expect_str(p.lines[0].text, "MB:0=20");
	expect(plan(&a, &(struct oci_intel_rdt){ .l3_cache_schema = "MB:0=70", .enable_monitoring = true }, &p, &e) == 0);
	resctrl_plan_print(&p, &out);
	snprintf(e.text, sizeof(e.text), "%s", strbuf_str(&out));
	expect_str(shown(&a, &e), "class: RDT/web, removed with the container\n"
				  "schemata: MB:0=70 (linux.intelRdt.l3CacheSchema)\n"
				  "monitoring group: RDT/web/mon_groups/web\n");
	clean_up();
}

static void lines_are_compared_by_their_meaning(void)
{
	static const struct {
		const char *file, *want;
		unsigned gran;
		bool same;
	} cases[] = {
		{ ALL, "L3:0=fffff;1=fffff", 0, true },
		{ ALL, "L3:1=fffff", 0, true },
		{ ALL, " L3 : 1 = FFFFF ; 0=0xfffff", 0, true },
		{ ALL, "L3:0=ffff", 0, false },
		{ ALL, "L3:0=fffff;1=ffff", 0, false },
		{ ALL, "L3:2=fffff", 0, false },
		{ ALL, "L2:0=fffff", 0, false },
		{ ALL, "L:0=fffff", 0, false },
		{ ALL, "L3CODE:0=fffff", 0, false },
		{ "L3CODE:0=f\nL3DATA:0=7\n", "L3:0=f", 0, false },
		{ "L3CODE:0=f\nL3DATA:0=7\n", "L3DATA:0=7", 0, true },
		{ "L3:0=000f;1=0010\n", "L3:0=f;1=10", 0, true },
		{ "MB:0=020\n", "MB:0=20", 0, true },
		{ "MB:0=20\n", "MB:0=15", 10, true },
		{ "MB:0=20\n", "MB:0=15", 0, false },
		{ "MB:0=20\n", "MB:0=10", 10, false },
		{ "MB:0=20\n", "MB:0=21", 10, false },
		{ "MB:0=4000\n", "MB:0=3995", 10, false },
		{ "L3:0=1e\n", "L3:0=15", 10, false },
		{ "L3:uninitialized\n", "L3:0=1", 0, false },
		{ ALL, "", 0, false },
		{ ALL, "L3", 0, false },
		{ ALL, "L3:", 0, false },
		{ ALL, "L3:0", 0, false },
		{ ALL, "L3:0=", 0, false },
		{ ALL, "L3:=fffff", 0, false },
		{ ALL, "L3:0=-1", 0, false },
		{ ALL, ":", 0, false },
		{ "", "L3:0=f", 0, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (resctrl_schemata_have(cases[i].file, cases[i].want, cases[i].gran) == cases[i].same)
			continue;
		printf("# case %zu: \"%s\"\n", i, cases[i].want);
		tap_failed = true;
	}
}

static void the_kernels_rounding_of_bandwidth_is_no_difference(void)
{
	auto_arena struct arena a = { 0 };
	struct resctrl_ref claimed, made;
	struct err e;

	set_up();
	new_schemata = "MB:0=20\n";
	mkdir(path_of(&a, "gold"), 0755);
	expect(create(&a, &(struct oci_intel_rdt){ .clos_id = "gold", .mem_bw_schema = "MB:0=15" }, &claimed, &made, &e) == 0);
	clean_up();
}

static void put_counters(struct arena *a, const char *group, const char *cache, const char *occupancy, const char *total)
{
	const char *data = arena_printf(a, "%s/mon_data", group), *dir = arena_printf(a, "%s/%s", data, cache);

	syscall(SYS_mkdirat, AT_FDCWD, data, 0755);
	syscall(SYS_mkdirat, AT_FDCWD, dir, 0755);
	put(dir, "llc_occupancy", occupancy);
	put(dir, "mbm_total_bytes", total);
}

static void statistics_are_those_of_the_class_and_of_the_monitoring_group(void)
{
	auto_arena struct arena a = { 0 };
	struct resctrl_ref ref = { .mount = tree };
	struct resctrl_stats s;

	set_up();
	ref.group = path_of(&a, "web");
	mkdir(path_of(&a, "info/L3"), 0755);
	put(path_of(&a, "info/L3"), "cbm_mask", "fffff\n");
	put(path_of(&a, "info/L3"), "num_closids", "16\n");
	new_schemata = "    MB:0=50;1=100\n    L3:0=f;1=fffff\n";
	mkdir(ref.group, 0755);
	put_counters(&a, ref.group, "mon_L3_01", "22\n", "Unavailable\n");
	put_counters(&a, ref.group, "mon_L3_00", "11\n", "18446744073709551615\n");
	resctrl_stats_read(&ref, &a, &s);
	expect_str(s.l3_mask, "fffff");
	expect(s.l3_classes == 16 && s.l3_min_bits == 0 && s.mb_gran == 10);
	expect_str(s.l3_root, "L3:0=fffff;1=fffff");
	expect_str(s.l3, "L3:0=f;1=fffff");
	expect_str(s.mb, "MB:0=50;1=100");
	expect(s.n_occupancy == 2 && s.occupancy[0] == 11 && s.occupancy[1] == 22);
	expect(s.n_traffic == 1 && s.traffic[0].total == UINT64_MAX && s.traffic[0].local == 0);
	/* A group that counts this container alone is preferred; one without counters has none. */
	ref.mon_group = path_of(&a, "web/mon_groups/web");
	mkdir(ref.mon_group, 0755);
	resctrl_stats_read(&ref, &a, &s);
	expect(s.n_occupancy == 0 && s.n_traffic == 0);
	clean_up();
	resctrl_stats_read(&ref, &a, &s); /* and where there is nothing, there is nothing */
	expect(!s.l3 && !s.l3_mask && !s.n_traffic);
	resctrl_stats_read(&(struct resctrl_ref){ 0 }, &a, &s);
	expect(!s.l3_root);
}

/* Two threads at first; the second look finds one more, the third nothing new. */
static int list_growing(void *ctx, struct arena *a, pid_t **out, size_t *n, struct err *e)
{
	int *looks = ctx;

	(void)e;
	*n = *looks < 0 ? 1 : 2 + (size_t)(*looks > 0);
	*out = arena_alloc(a, *n * sizeof(**out));
	for (size_t i = 0; i < *n; i++)
		(*out)[i] = *looks < 0 ? 1000 - *looks : (pid_t)(101 + i);
	*looks += *looks < 0 ? -1 : 1;
	return 0;
}

static void all_threads_of_a_container_that_lives_get_into_its_class(void)
{
	auto_arena struct arena a = { 0 };
	struct resctrl_ref claimed, made;
	int looks = 0;
	struct err e;

	set_up();
	expect(create(&a, &(struct oci_intel_rdt){ 0 }, &claimed, &made, &e) == 0);
	expect(resctrl_join_all(&made, &(struct resctrl_threads){ list_growing, &looks }, &e) == 0);
	expect_str(content(&a, "web/tasks"), "103"); /* the kernel's file takes each, this one keeps the last */
	expect(looks == 3);
	looks = -1; /* always another one */
	expect(resctrl_join_all(&made, &(struct resctrl_threads){ list_growing, &looks }, &e) == -EBUSY);
	expect_str(shown(&a, &e), "linux.intelRdt: threads are made faster than they can be put into RDT/web");
	expect(resctrl_remove(&made, &e) == 0 && !there(&a, "web"));
	clean_up();
}

/* Another runtime holds the lock while it makes the same class: neither may see it half made. */
static void the_class_is_made_under_the_lock_of_the_mount(void)
{
	auto_arena struct arena a = { 0 };
	int ready[2], status = -1;
	char c;

	set_up();
	expect(pipe(ready) == 0);
	pid_t pid = fork();

	if (pid == 0) {
		int fd = open(tree, O_RDONLY | O_DIRECTORY);

		if (flock(fd, LOCK_EX) < 0 || syscall(SYS_mkdirat, AT_FDCWD, path_of(&a, "gold"), 0755) < 0 ||
		    write(ready[1], "", 1) != 1)
			_exit(1);
		usleep(50000);
		put(path_of(&a, "gold"), "schemata", "L3:0=f\n");
		_exit(tap_failed);
	}
	struct resctrl_ref claimed, made;
	struct err e = { 0 };

	expect(read(ready[0], &c, 1) == 1);
	expect(create(&a, &(struct oci_intel_rdt){ .clos_id = "gold", .l3_cache_schema = "L3:0=f" }, &claimed, &made, &e) == 0);
	expect_str(e.text, "");
	expect(waitpid(pid, &status, 0) == pid && status == 0);
	close(ready[0]);
	close(ready[1]);
	clean_up();
}

TAP_MAIN(CASE(without_intel_rdt_nothing_is_touched), CASE(without_resctrl_any_intel_rdt_is_refused),
	 CASE(the_class_of_the_id_is_made_joined_and_removed), CASE(a_class_of_its_own_can_be_changed_and_put_back),
	 CASE(a_named_class_is_made_once_and_stays), CASE(a_class_that_allows_something_else_is_neither_joined_nor_changed),
	 CASE(a_class_of_the_id_that_was_there_before_stays), CASE(a_class_by_name_alone_must_exist),
	 CASE(the_root_class_is_joined_and_never_removed), CASE(a_monitoring_group_in_a_named_class_goes_and_the_class_stays),
	 CASE(the_kernels_own_reason_is_told_and_nothing_is_left), CASE(no_more_classes_and_no_monitors_are_errors),
	 CASE(names_of_resctrls_own_are_no_classes), CASE(bandwidth_in_the_caches_place_gives_way),
	 CASE(lines_are_compared_by_their_meaning), CASE(the_kernels_rounding_of_bandwidth_is_no_difference),
	 CASE(the_class_is_made_under_the_lock_of_the_mount), CASE(all_threads_of_a_container_that_lives_get_into_its_class),
	 CASE(statistics_are_those_of_the_class_and_of_the_monitoring_group))
