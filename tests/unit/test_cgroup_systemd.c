/* The plan of the systemd driver: names, places, properties; and the call of the helper program, with a script in its place. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "cgroups/cgroup_systemd.h"
#include "tap.h"
#include "temp.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define I(x)                                                                                                                       \
	{                                                                                                                          \
		.set = true, .value = (x)                                                                                          \
	}

static struct oci_resources no_resources;

static int plan_for(const struct host *h, const char *path, const struct oci_resources *r, const struct pairs *annotations,
		    struct arena *a, struct cgroup_plan *out, struct err *e)
{
	struct oci_linux linux_ = { .cgroups_path = path, .resources = r };
	struct oci_spec spec = { .linux_ = &linux_ };
	struct cgroup_options o = { .manager = CGROUP_MANAGER_SYSTEMD };

	if (annotations)
		spec.annotations = *annotations;
	return cgroup_plan_build(&spec, "c1", &o, h, a, out, e);
}

/* "NAME TYPE WORDS" of the property, "" when there is none. */
static const char *property(const struct cgroup_plan *p, const char *name, struct arena *a)
{
	for (size_t i = 0; i < p->unit->n; i++) {
		const struct cgroup_property *x = &p->unit->properties[i];

		if (str_eq(x->name, name))
			return arena_printf(a, "%s %s", x->type, x->words);
	}
	return "";
}

static void expect_place(const char *asked, const char *path, const char *unit, const char *slice)
{
	auto_arena struct arena a = { 0 };
	struct cgroup_plan p;
	struct host h;
	struct err e;

	host_fake(&h, CGROUP_MODE_V2);
	int r = plan_for(&h, asked, &no_resources, NULL, &a, &p, &e);

	expect(r == 0);
	if (r < 0) {
		printf("# %s: %s\n", asked, e.text);
		return;
	}
	expect_str(p.ref.path, path);
	expect_str(p.ref.scope, unit);
	expect_str(p.unit->slice, slice);
}

static void the_path_names_slice_prefix_and_unit(void)
{
	expect_place(NULL, "/system.slice/drupe-c1.scope", "drupe-c1.scope", "system.slice");
	expect_place("", "/system.slice/drupe-c1.scope", "drupe-c1.scope", "system.slice");
	expect_place("a-b.slice:x:n", "/a.slice/a-b.slice/x-n.scope", "x-n.scope", "a-b.slice");
	expect_place("::n", "/system.slice/n.scope", "n.scope", "system.slice");
	expect_place("n", "/system.slice/n.scope", "n.scope", "system.slice");
	expect_place("a.slice:n", "/a.slice/n.scope", "n.scope", "a.slice");
	expect_place("-:x:n", "/x-n.scope", "x-n.scope", "-.slice");
	expect_place("-.slice:x:n", "/x-n.scope", "x-n.scope", "-.slice");
	expect_place("a.slice:x:b-c.slice", "/b.slice/b-c.slice", "b-c.slice", "a.slice");
}

static void names_that_systemd_would_refuse_are_refused(void)
{
	static const char *const bad[] = { "/a/b",           "a:b:c:d",       "a:b:",         "a:b:c",
					   "a--b.slice:x:n", "-a.slice:x:n",  "a-.slice:x:n", ".slice:x:n",
					   "a.slice:x/y:n",  "a.slice:x:n o", "a.slice:x:..", "a.slice:x:-.slice" };
	auto_arena struct arena a = { 0 };
	struct cgroup_plan p;
	struct host h;
	struct err e;

	host_fake(&h, CGROUP_MODE_V2);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int r = plan_for(&h, bad[i], &no_resources, NULL, &a, &p, &e);

		if (r == 0 && !str_eq(bad[i], "a.slice:x:..")) /* x-...scope is a name */
			printf("# %s was taken\n", bad[i]);
		expect(r == -EINVAL || str_eq(bad[i], "a.slice:x:.."));
		expect(r == 0 || str_starts(e.text, "linux.cgroupsPath: "));
	}
}

static void an_id_with_a_plus_is_escaped(void)
{
	auto_arena struct arena a = { 0 };
	struct cgroup_options o = { .manager = CGROUP_MANAGER_SYSTEMD };
	struct oci_linux linux_ = { .resources = &no_resources };
	struct oci_spec spec = { .linux_ = &linux_ };
	struct cgroup_plan p;
	struct host h;
	struct err e;

	host_fake(&h, CGROUP_MODE_V2);
	expect(cgroup_plan_build(&spec, "a+b", &o, &h, &a, &p, &e) == 0);
	expect_str(p.ref.scope, "drupe-a\\x2bb.scope");
}

static void a_user_has_a_manager_of_his_own(void)
{
	static const struct {
		const char *own, *path;
	} cases[] = {
		{ "/user.slice/user-7.slice/session-2.scope", "/user.slice/user-7.slice/user@7.service/user.slice/drupe-c1.scope" },
		{ "/user.slice/user-8.slice/user@8.service/app.slice/x.scope",
		  "/user.slice/user-8.slice/user@8.service/user.slice/drupe-c1.scope" },
		{ "/elsewhere", "/user.slice/user-7.slice/user@7.service/user.slice/drupe-c1.scope" },
	};
	struct host_hierarchy v2 = { "/sys/fs/cgroup", "", NULL, true };
	auto_arena struct arena a = { 0 };
	struct cgroup_plan p;
	struct host h;
	struct err e;

	host_fake(&h, CGROUP_MODE_V2);
	h.hier = &v2;
	h.euid = 7;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		v2.own = cases[i].own;
		expect(plan_for(&h, NULL, &no_resources, NULL, &a, &p, &e) == 0);
		expect_str(p.ref.path, cases[i].path);
		expect(p.unit->user && cg_unit_is_users(&p.ref) && !p.ref.optional);
		expect_str(property(&p, "DevicePolicy", &a), "");
	}
	host_fake(&h, CGROUP_MODE_HYBRID);
	h.euid = 7;
	expect(plan_for(&h, NULL, &no_resources, NULL, &a, &p, &e) == -ENOTSUP);
}

static void limits_are_properties_of_version_2(void)
{
	struct oci_memory m = { .limit = I(1000), .swap = I(3000), .reservation = I(-1) };
	struct oci_cpu c = { .shares = I(1024), .quota = I(15500), .period = I(100000), .cpus = "0-2,9", .mems = "0" };
	struct oci_pids pids = { .limit = I(0) };
	struct oci_blk_weight wd = { .major = 8, .minor = 16, .weight = I(10) };
	struct oci_throttle t = { .major = 8, .minor = 0, .rate = 77 };
	struct oci_block_io io = { .weight = I(1000), .weight_device = { &wd, 1 }, .read_bps = { &t, 1 } };
	struct oci_resources r = { .memory = &m, .cpu = &c, .pids = &pids, .block_io = &io };
	auto_arena struct arena a = { 0 };
	struct cgroup_plan p;
	struct host h;
	struct err e;

	host_fake(&h, CGROUP_MODE_V2);
	expect(plan_for(&h, NULL, &r, NULL, &a, &p, &e) == 0);
	expect_str(property(&p, "Delegate", &a), "b true");
	expect_str(property(&p, "Slice", &a), "s system.slice");
	expect_str(property(&p, "Description", &a), "s drupe\\x20container\\x20c1");
	expect_str(property(&p, "MemoryMax", &a), "t 1000");
	expect_str(property(&p, "MemorySwapMax", &a), "t 2000");
	expect_str(property(&p, "MemoryLow", &a), "t 18446744073709551615");
	expect_str(property(&p, "CPUWeight", &a), "t 100");
	expect_str(property(&p, "CPUQuotaPerSecUSec", &a), "t 160000");
	expect_str(property(&p, "CPUQuotaPeriodUSec", &a), "t 100000");
	expect_str(property(&p, "AllowedCPUs", &a), "ay 0702");
	expect_str(property(&p, "AllowedMemoryNodes", &a), "ay 01");
	expect_str(property(&p, "TasksMax", &a), "t 1");
	expect_str(property(&p, "IOWeight", &a), "t 10000");
	expect_str(property(&p, "IODeviceWeight", &a), "a(st) /dev/block/8:16 1");
	expect_str(property(&p, "IOReadBandwidthMax", &a), "a(st) /dev/block/8:0 77");
	expect_str(property(&p, "MemoryLimit", &a), "");
}

static void limits_have_older_names_in_version_1(void)
{
	struct oci_memory m = { .limit = I(1000) };
	struct oci_cpu c = { .shares = I(1), .quota = I(-1) };
	struct oci_resources r = { .memory = &m, .cpu = &c };
	auto_arena struct arena a = { 0 };
	struct cgroup_plan p;
	struct host h;
	struct err e;

	host_fake(&h, CGROUP_MODE_V1);
	expect(plan_for(&h, NULL, &r, NULL, &a, &p, &e) == 0);
	expect_str(property(&p, "MemoryLimit", &a), "t 1000");
	expect_str(property(&p, "CPUShares", &a), "t 2");
	expect_str(property(&p, "CPUQuotaPerSecUSec", &a), "t 18446744073709551615");
	expect_str(property(&p, "MemoryMax", &a), "");
}

static void unified_settings_are_properties_too_and_win(void)
{
	struct pair u[] = { { "memory.max", "1M" },  { "pids.max", "max" },  { "cpu.max", "50000 100000" },
			    { "cpu.weight", "300" }, { "memory.high", "x" }, { "memory.oom.group", "1" } };
	struct oci_memory m = { .limit = I(1000) };
	struct oci_resources r = { .memory = &m, .unified = { u, 6 } };
	auto_arena struct arena a = { 0 };
	struct cgroup_plan p;
	struct host h;
	struct err e;

	host_fake(&h, CGROUP_MODE_V2);
	expect(plan_for(&h, NULL, &r, NULL, &a, &p, &e) == 0);
	expect_str(property(&p, "MemoryMax", &a), "t 1048576");
	expect_str(property(&p, "TasksMax", &a), "t 18446744073709551615");
	expect_str(property(&p, "CPUQuotaPerSecUSec", &a), "t 500000");
	expect_str(property(&p, "CPUWeight", &a), "t 300");
	expect_str(property(&p, "MemoryHigh", &a), "");
	expect_str(property(&p, "OOMPolicy", &a), "s kill");
}

static void idle_is_weight_zero(void)
{
	struct oci_cpu c = { .shares = I(1024), .idle = I(1) };
	struct oci_resources r = { .cpu = &c };
	auto_arena struct arena a = { 0 };
	struct cgroup_plan p;
	struct host h;
	struct err e;

	host_fake(&h, CGROUP_MODE_V2);
	expect(plan_for(&h, NULL, &r, NULL, &a, &p, &e) == 0);
	expect_str(property(&p, "CPUWeight", &a), "t 0");
}

#define DEFAULTS                                                                                                                   \
	"char-* m block-* m /dev/char/1:3 rwm /dev/char/1:5 rwm /dev/char/1:7 rwm /dev/char/1:8 rwm /dev/char/1:9 rwm "            \
	"/dev/char/5:0 rwm /dev/char/5:2 rwm char-136 rwm /dev/char/10:200 rwm"

static void systemd_is_told_of_every_device_that_may_be_used(void)
{
	struct oci_device_rule rules[] = {
		{ .allow = false, .access = "rwm" },
		{ .allow = true, .type = "c", .major = I(1), .minor = I(11), .access = "r" },
		{ .allow = true, .type = "b", .major = I(8), .access = "rw" },
		{ .allow = false,
		  .type = "b",
		  .major = I(8),
		  .minor = I(1),
		  .access = "rwm" }, /* a part: stays allowed for systemd */
		{ .allow = false, .type = "c", .major = I(10), .minor = I(200), .access = "rwm" }, /* the whole */
		{ .allow = true, .type = "c", .minor = I(4), .access = "w" },                      /* any major */
	};
	struct oci_resources r = { .devices = { rules, 6 } };
	auto_arena struct arena a = { 0 };
	struct cgroup_plan p;
	struct host h;
	struct err e;

	host_fake(&h, CGROUP_MODE_V2);
	expect(plan_for(&h, NULL, &no_resources, NULL, &a, &p, &e) == 0);
	expect_str(property(&p, "DevicePolicy", &a), "s strict");
	expect_str(property(&p, "DeviceAllow", &a), "a(ss) " DEFAULTS);
	expect(plan_for(&h, NULL, &r, NULL, &a, &p, &e) == 0);
	expect_str(property(&p, "DeviceAllow", &a),
		   "a(ss) char-* m block-* m /dev/char/1:3 rwm /dev/char/1:5 rwm /dev/char/1:7 rwm /dev/char/1:8 rwm "
		   "/dev/char/1:9 rwm /dev/char/5:0 rwm /dev/char/5:2 rwm char-136 rwm /dev/char/1:11 r block-8 rw char-* w");
	rules[0].allow = true;
	expect(plan_for(&h, NULL, &r, NULL, &a, &p, &e) == 0);
	expect_str(property(&p, "DevicePolicy", &a), "s auto");
	expect_str(property(&p, "DeviceAllow", &a), "a(ss) ");
}

/* "NAME TYPE WORDS", or the error. */
static const char *parsed(const char *name, const char *text, struct arena *a)
{
	struct cg_props p = { .arena = a };
	struct err e;

	if (cg_prop_parse(&p, name, text, &e) < 0)
		return arena_strdup(a, e.text);
	return arena_printf(a, "%s %s %s", p.v[0].name, p.v[0].type, p.v[0].words);
}

static void annotations_are_read_as_values_of_gvariant(void)
{
	static const struct {
		const char *name, *text, *want;
	} cases[] = {
		{ "SendSIGHUP", "true", "SendSIGHUP b true" },
		{ "SendSIGHUP", " false ", "SendSIGHUP b false" },
		{ "KillSignal", "15", "KillSignal i 15" },
		{ "KillSignal", "-15", "KillSignal i -15" },
		{ "Nice", "int16 -5", "Nice n -5" },
		{ "TimeoutStopUSec", "uint64 123456789", "TimeoutStopUSec t 123456789" },
		{ "TimeoutStopUSec", "@t 0x10", "TimeoutStopUSec t 16" },
		{ "Some", "1.5", "Some d 1.5" },
		{ "Some", "double 2", "Some d 2" },
		{ "Slice", "'a.slice'", "Slice s a.slice" },
		{ "Description", "\"it's \\\"x\\\"\\n\"", "Description s it's\\x20\"x\"\\x0a" },
		{ "Description", "''", "Description s \\e" },
		{ "After", "['a', \"b c\"]", "After as a b\\x20c" },
		{ "After", "@as []", "After as " },
		{ "TimeoutStopSec", "5", "TimeoutStopUSec t 5000000" },
		{ "TimeoutStopSec", "1.5", "TimeoutStopUSec t 1500000" },
		{ "TimeoutStopSec", "uint64 2", "TimeoutStopUSec t 2000000" },
		{ "TimeoutStopSec", "'5'", "is not a number of seconds" },
		{ "TimeoutStopSec", "-5", "is not a number of seconds" },
		{ "KillSignal", "", "\"\" is neither boolean, number, string in quotes nor array" },
		{ "KillSignal", "abc", "\"abc\" is neither boolean, number, string in quotes nor array" },
		{ "KillSignal", "5 6", "\"6\" follows the value" },
		{ "KillSignal", "3000000000", "3000000000 is out of range for a value of type int32" },
		{ "KillSignal", "uint32 -1", "-1 is out of range for a value of type uint32" },
		{ "KillSignal", "99999999999999999999", "99999999999999999999 is too large" },
		{ "KillSignal", "08", "\"08\" is not a number" },
		{ "KillSignal", "uint64 'x'", "a string is not a value of type \"t\"" },
		{ "KillSignal", "boolean 1", "a number is not a value of type \"b\"" },
		{ "After", "[]", "an empty array needs its type: @as []" },
		{ "After", "['a' 'b']", "a comma is expected between strings of an array" },
		{ "After", "['a', 5]", "a string in quotes is expected at \"5]\"" },
		{ "After", "['a'", "a comma is expected between strings of an array" },
		{ "After", "'a", "a string has no end" },
		{ "After", "'a\\", "unknown escape \"\\\" in a string" },
		{ "After", "@a{sv} {}", "values of type \"a{sv}\" are not supported" },
		{ "ab", "5", "is not the name of a systemd property: three letters or more, and nothing else" },
		{ "Kill-Signal", "5", "is not the name of a systemd property: three letters or more, and nothing else" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_arena struct arena a = { 0 };

		expect_str(parsed(cases[i].name, cases[i].text, &a), cases[i].want);
	}
}

static void annotations_come_last_and_bad_ones_are_named(void)
{
	struct pair list[] = { { "other", "x" }, { "org.systemd.property.TasksMax", "uint64 5" } };
	struct pairs annotations = { list, 2 };
	auto_arena struct arena a = { 0 };
	struct cgroup_plan p;
	struct host h;
	struct err e;

	host_fake(&h, CGROUP_MODE_V2);
	expect(plan_for(&h, NULL, &no_resources, &annotations, &a, &p, &e) == 0);
	expect_str(property(&p, "TasksMax", &a), "t 5");
	list[1].value = "x";
	expect(plan_for(&h, NULL, &no_resources, &annotations, &a, &p, &e) == -EINVAL);
	expect_str(e.text,
		   "annotations[\"org.systemd.property.TasksMax\"]: \"x\" is neither boolean, number, string in quotes nor array");
}

/* ---- the call ---- */

/* A script in place of the helper: keeps its job in the file "job" beside it. */
static const char *fake_helper(const char *dir, const char *more, struct arena *a)
{
	const char *path = arena_printf(a, "%s/helper", dir);
	const char *text = arena_printf(a, "#!/bin/sh\n/bin/cat >%s/job\n%s\n", dir, more);
	auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	struct err e;

	expect(fd >= 0 && fd_write_all(fd, text, strlen(text), &e) == 0);
	return path;
}

static void the_helper_gets_the_whole_job_and_the_holder_lives_until_it_is_let_go(void)
{
	struct cgroup_property v[] = { { "Delegate", "b", "true", true }, { "DeviceAllow", "a(ss)", "", false } };
	struct cgroup_unit unit = { .name = "u.scope", .properties = v, .n = 2 };
	auto_arena struct arena a = { 0 };
	const char *dir = (temp_dir(), temp_path);
	struct cgroup_plan p = { .ref = { .scope = "u.scope", .path = "/x y", .helper = fake_helper(dir, "", &a) }, .unit = &unit };
	pid_t holder;
	struct err e;
	char *job;

	expect(cgroup_hold(&p, &holder, &e) == 0 && holder > 0 && kill(holder, 0) == 0);
	pid_t was = holder;

	expect(file_read(AT_FDCWD, arena_printf(&a, "%s/job", dir), 4096, false, &a, &job, &e) > 0);
	expect_str(job, arena_printf(&a,
				     "start u.scope\nmanager system\npid %d\nexpect /x\\x20y\nproperty Delegate b true\n"
				     "property DeviceAllow a(ss)\n",
				     (int)was));
	cgroup_let_go(&holder);
	expect(holder == 0 && kill(was, 0) < 0);
	/* later, only what can be changed */
	expect(cg_unit_update(&p, &e) == 0);
	expect(file_read(AT_FDCWD, arena_printf(&a, "%s/job", dir), 4096, false, &a, &job, &e) > 0);
	expect_str(job, "set u.scope\nmanager system\nproperty DeviceAllow a(ss)\n");
}

static void what_the_helper_says_is_the_error(void)
{
	struct cgroup_unit unit = { .name = "u.scope" };
	auto_arena struct arena a = { 0 };
	const char *dir = (temp_dir(), temp_path);
	struct cgroup_plan p = { .ref = { .scope = "u.scope", .path = "/x" }, .unit = &unit };
	pid_t holder = 7;
	struct err e;

	p.ref.helper = fake_helper(dir, "echo no such thing >&2; exit 1", &a);
	expect(cgroup_hold(&p, &holder, &e) == -EIO && holder == 0);
	expect_str(e.text, "systemd cgroup driver: no such thing");
	p.ref.helper = "/nonexistent/helper";
	expect(cgroup_hold(&p, &holder, &e) == -ENOENT && holder == 0);
	expect_str(e.text, "systemd cgroup driver: its helper program /nonexistent/helper: No such file or directory");
}

static void without_a_unit_nothing_is_held(void)
{
	struct cgroup_plan p = { .ref = { .path = "/x", .helper = "/nonexistent/helper" } };
	pid_t holder = 7;
	struct err e;

	expect(cgroup_hold(&p, &holder, &e) == 0 && holder == 0);
	cgroup_let_go(&holder);
}

TAP_MAIN(CASE(the_path_names_slice_prefix_and_unit), CASE(names_that_systemd_would_refuse_are_refused),
	 CASE(an_id_with_a_plus_is_escaped), CASE(a_user_has_a_manager_of_his_own), CASE(limits_are_properties_of_version_2),
	 CASE(limits_have_older_names_in_version_1), CASE(unified_settings_are_properties_too_and_win), CASE(idle_is_weight_zero),
	 CASE(systemd_is_told_of_every_device_that_may_be_used), CASE(annotations_are_read_as_values_of_gvariant),
	 CASE(annotations_come_last_and_bad_ones_are_named),
	 CASE(the_helper_gets_the_whole_job_and_the_holder_lives_until_it_is_let_go), CASE(what_the_helper_says_is_the_error),
	 CASE(without_a_unit_nothing_is_held))
