#include "base/str.h"
#include "oci/shapes.h"
#include "oci/spec.h"
#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

/* Decodes {"ociVersion": "1.3.0", MEMBERS}; the error text, "" when there is none. */
static const char *spec_fault(struct arena *a, const char *members, const struct oci_spec **out)
{
	const char *text = arena_printf(a, "{\"ociVersion\": \"1.3.0\"%s%s}", members[0] ? ", " : "", members);
	const struct oci_spec *spec = NULL;
	struct err e = { 0 };
	int r = oci_spec_parse(a, text, strlen(text), &spec, &e);

	expect((r == 0) == (spec != NULL));
	if (out)
		*out = spec;
	return r < 0 ? arena_strdup(a, e.text) : "";
}

struct member_case {
	const char *members, *error; /* error: after "line 1: "; NULL: none */
};

/* Each case, its members put between before and after. */
static void run_cases(const char *before, const char *after, const struct member_case *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		auto_arena struct arena a = { 0 };
		const char *got = spec_fault(&a, arena_printf(&a, "%s%s%s", before, c[i].members, after), NULL);
		const char *want = c[i].error ? arena_printf(&a, "line 1: %s", c[i].error) : "";

		if (strcmp(got, want) != 0)
			printf("# %s\n", c[i].members);
		expect_str(got, want);
	}
}

#define RUN(before, after, ...)                                                                                                    \
	do {                                                                                                                       \
		static const struct member_case cases[] = { __VA_ARGS__ };                                                         \
		run_cases(before, after, cases, sizeof(cases) / sizeof(cases[0]));                                                 \
	} while (0)

/* clang-format off */

static void version_is_semver_with_major_1(void)
{
	static const char *const good[] = { "1.0.0", "1.0.2-dev", "1.2.1", "1.3.0", "1.99.0", "1.1.0+dev", "1.0.0-rc.1+b-1.007", "1.0.0-0.a-b" };
	static const char *const malformed[] = { "", "1", "1.0", "1.0.0.0", "v1.0.0", "01.0.0", "1.00.0", "1.0.0-", "1.0.0-01", "1.0.0-a..b", "1.0.0+",
		"1.0.0-a_b", " 1.0.0", "1.0.0 ", "1.0.0+a+b", "1.-1.0", "latest" };
	auto_arena struct arena a = { 0 };
	const struct oci_spec *spec;
	struct err e;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const char *text = arena_printf(&a, "{\"ociVersion\": \"%s\"}", good[i]);

		expect(oci_spec_parse(&a, text, strlen(text), &spec, &e) == 0);
	}
	for (size_t i = 1; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		const char *text = arena_printf(&a, "{\"ociVersion\": \"%s\"}", malformed[i]);

		expect(oci_spec_parse(&a, text, strlen(text), &spec, &e) == -EINVAL);
		expect_str(e.text, arena_printf(&a, "line 1: ociVersion: \"%s\" is not a version like 1.3.0", malformed[i]));
	}
	expect(oci_spec_parse(&a, "{\"ociVersion\":\"0.5.0-dev\"}", 26, &spec, &e) == 0);
	expect(oci_spec_parse(&a, "{\"ociVersion\":\"2.0.0\"}", 22, &spec, &e) == -EINVAL);
	expect_str(e.text, "line 1: ociVersion: version 2.0.0 is not supported, only 1.x is");
	expect(oci_spec_parse(&a, "{\"ociVersion\":\"10.0.0\"}", 23, &spec, &e) == -EINVAL);
	expect_str(e.text, "line 1: ociVersion: version 10.0.0 is not supported, only 1.x is");
	expect(oci_spec_parse(&a, "{}", 2, &spec, &e) == -EINVAL);
	expect_str(e.text, "line 1: document: member \"ociVersion\" is required");
}

static void what_is_absent_is_filled_in(void)
{
	auto_arena struct arena a = { 0 };
	const struct oci_spec *spec;

	expect_str(spec_fault(&a, "", &spec), "");
	expect(spec->hooks && spec->linux_ && spec->linux_->resources && !spec->process && !spec->root && !spec->vm);
	expect(spec->linux_->rootfs_propagation == OCI_PROP_UNSET && spec->mounts.n == 0);
	expect_str(spec_fault(&a, "\"linux\": {}, \"process\": {\"cwd\": \"/\", \"args\": [\"x\"]}, \"hooks\": null", &spec), "");
	expect(spec->hooks && spec->linux_->resources && !spec->linux_->seccomp && spec->process->user && spec->process->user->uid == 0);
	expect(!spec->process->capabilities && !spec->process->oom_score_adj.set);
}

static void null_members_are_absent(void)
{
	RUN("", "", { "\"process\": null, \"root\": null, \"linux\": null, \"vm\": null, \"mounts\": null, \"annotations\": null", NULL },
	    { "\"hooks\": {\"prestart\": null, \"poststop\": null}", NULL },
	    { "\"linux\": {\"seccomp\": null, \"resources\": {\"devices\": null, \"memory\": null, \"pids\": {\"limit\": null}}}", NULL },
	    { "\"linux\": {\"namespaces\": null, \"uidMappings\": null, \"maskedPaths\": null, \"sysctl\": null}", NULL },
	    { "\"ociVersion\": null", "ociVersion: member name is repeated" },
	    { "\"process\": {\"cwd\": null, \"args\": [\"x\"]}", "process: member \"cwd\" is required" });
}

static void unknown_members_are_ignored(void)
{
	RUN("", "", { "\"windows\": {\"x\": [1, {}]}, \"solaris\": 3, \"zos\": {}, \"freebsd\": {\"jail\": {\"vnet\": \"disable\"}}", NULL },
	    { "\"process\": {\"cwd\": \"/\", \"args\": [\"x\"], \"commandLine\": 7, \"CWD\": {}}", NULL });
}

static void rules_of_root_mounts_and_annotations(void)
{
	RUN("", "", { "\"root\": {\"path\": \"rootfs\", \"readonly\": true}", NULL }, { "\"root\": {}", "root: member \"path\" is required" },
	    { "\"root\": {\"path\": \"\"}", "root.path: must not be empty" },
	    { "\"hostname\": \"\", \"domainname\": \"\"", NULL },
	    { "\"mounts\": [{\"destination\": \"/a\"}, {\"destination\": \"b\"}]", NULL },
	    { "\"mounts\": [{\"source\": \"x\"}]", "mounts[0]: member \"destination\" is required" },
	    { "\"mounts\": [{\"destination\": \"\"}]", "mounts[0].destination: must not be empty" },
	    { "\"mounts\": [{\"destination\": \"/a\", \"uidMappings\": [{\"containerID\": 0, \"hostID\": 1, \"size\": 1}]}]",
	      "mounts[0]: uidMappings and gidMappings must be given both or not at all" },
	    { "\"mounts\": [{\"destination\": \"/a\", \"uidMappings\": [], \"gidMappings\": null}]", NULL },
	    { "\"annotations\": {\"a\": \"b\", \"c\": \"\"}", NULL }, { "\"annotations\": {\"\": \"b\"}", "annotations: a name must not be empty" },
	    { "\"annotations\": {\"a\": 1}", "annotations.a: expected string, got number" });
}

static void rules_of_hooks(void)
{
	auto_arena struct arena a = { 0 };
	const struct oci_spec *spec;

	RUN("\"hooks\": {\"createRuntime\": [", "]}", { "{\"path\": \"/x\", \"timeout\": 1, \"args\": [], \"env\": []}", NULL },
	    { "{\"path\": \"x\"}", "hooks.createRuntime[0].path: \"x\" is not an absolute path" },
	    { "{\"args\": [\"x\"]}", "hooks.createRuntime[0]: member \"path\" is required" },
	    { "{\"path\": \"/x\", \"timeout\": 0}", "hooks.createRuntime[0].timeout: must be at least 1 second" },
	    { "{\"path\": \"/x\", \"timeout\": -5}", "hooks.createRuntime[0].timeout: must be at least 1 second" });
	expect_str(spec_fault(&a, "\"hooks\": {\"poststop\": [{\"path\": \"/a\"}, {\"path\": \"/b\", \"env\": []}]}", &spec), "");
	expect(!spec->hooks->poststop.v[0].env_set && spec->hooks->poststop.v[1].env_set && !spec->hooks->poststop.v[0].timeout.set);
}

static void rules_of_process(void)
{
	RUN("\"process\": {", "}", { "\"cwd\": \"/\", \"args\": [\"sh\", \"\"]", NULL }, { "\"cwd\": \"/\"", "process: member \"args\" is required" },
	    { "\"cwd\": \"/\", \"args\": []", "process.args: must not be empty" }, { "\"args\": [\"sh\"]", "process: member \"cwd\" is required" },
	    { "\"cwd\": \"a\", \"args\": [\"sh\"]", "process.cwd: \"a\" is not an absolute path" },
	    { "\"cwd\": \"\", \"args\": [\"sh\"]", "process.cwd: \"\" is not an absolute path" });
	RUN("\"process\": {\"cwd\": \"/\", \"args\": [\"sh\"], ", "}", { "\"env\": [\"A=1\", \"B=\", \"A=2\", \"C==\"]", NULL },
	    { "\"env\": [\"A=1\", \"B\"]", "process.env[1]: \"B\" is not NAME=VALUE" },
	    { "\"env\": [\"=x\"]", "process.env[0]: \"=x\" is not NAME=VALUE" }, { "\"env\": [\"\"]", "process.env[0]: \"\" is not NAME=VALUE" },
	    { "\"oomScoreAdj\": -1000", NULL }, { "\"oomScoreAdj\": 1001", "process.oomScoreAdj: 1001 is out of range, -1000 to 1000" },
	    { "\"user\": {\"uid\": 4294967294, \"umask\": 18}", NULL }, { "\"user\": {\"uid\": 4294967295}", "process.user.uid: 4294967295 is not an id" },
	    { "\"user\": {\"uid\": 4294967296}", "process.user.uid: 4294967296 is out of range, 0 to 4294967295" },
	    { "\"user\": {\"gid\": -1}", "process.user.gid: -1 is out of range, 0 to 4294967295" },
	    { "\"user\": {\"uid\": 1.0}", "process.user.uid: 1.0 is not an integer" },
	    { "\"user\": {\"uid\": 1e3}", "process.user.uid: 1e3 is not an integer" },
	    { "\"user\": {\"additionalGids\": [1, 4294967295]}", "process.user.additionalGids[1]: 4294967295 is not an id" },
	    { "\"consoleSize\": {\"height\": 0, \"width\": 0}", NULL },
	    { "\"consoleSize\": {\"height\": 1}", "process.consoleSize: member \"width\" is required" },
	    { "\"capabilities\": {\"bounding\": [\"CAP_NO_SUCH\"]}", NULL }, { "\"apparmorProfile\": \"\", \"selinuxLabel\": \"\"", NULL },
	    { "\"ioPriority\": {\"class\": \"IOPRIO_CLASS_BE\", \"priority\": 7}", NULL },
	    { "\"ioPriority\": {\"class\": \"IOPRIO_CLASS_RT\", \"priority\": 8}", "process.ioPriority.priority: 8 is out of range, 0 to 7" },
	    { "\"ioPriority\": {\"class\": \"IOPRIO_CLASS_IDLE\", \"priority\": -1}", "process.ioPriority.priority: -1 is out of range, 0 to 7" },
	    { "\"ioPriority\": {\"class\": \"IOPRIO_CLASS_NONE\"}", "process.ioPriority.class: unknown value \"IOPRIO_CLASS_NONE\"" },
	    { "\"ioPriority\": {\"class\": \"\"}", "process.ioPriority.class: unknown value \"\"" },
	    { "\"ioPriority\": {}", "process.ioPriority: member \"class\" is required" },
	    { "\"execCPUAffinity\": {\"initial\": \"0-3, 7\", \"final\": \"\"}", NULL },
	    { "\"execCPUAffinity\": {\"initial\": \"0\", \"final\": \"a\"}", "process.execCPUAffinity.final: \"a\" is not a list of CPUs like 0-3,7" });
}

static void rules_of_rlimits(void)
{
	RUN("\"process\": {\"cwd\": \"/\", \"args\": [\"sh\"], \"rlimits\": [", "]}",
	    { "{\"type\": \"RLIMIT_NOFILE\", \"soft\": 1, \"hard\": 18446744073709551615}, {\"type\": \"RLIMIT_CORE\", \"soft\": 0, \"hard\": 0}", NULL },
	    { "{\"type\": \"RLIMIT_NOFILE\", \"soft\": 2, \"hard\": 1}", "process.rlimits[0].soft: the soft limit of RLIMIT_NOFILE is above the hard limit" },
	    { "{\"type\": \"RLIMIT_NOFILES\", \"soft\": 1, \"hard\": 1}", "process.rlimits[0].type: unknown value \"RLIMIT_NOFILES\"" },
	    { "{\"type\": \"NOFILE\", \"soft\": 1, \"hard\": 1}", "process.rlimits[0].type: unknown value \"NOFILE\"" },
	    { "{\"type\": \"RLIMIT_CPU\", \"hard\": 1}", "process.rlimits[0]: member \"soft\" is required" },
	    { "{\"type\": \"RLIMIT_CPU\", \"soft\": -1, \"hard\": 1}", "process.rlimits[0].soft: -1 is out of range, 0 to 18446744073709551615" },
	    { "{\"type\": \"RLIMIT_AS\", \"soft\": 1, \"hard\": 1}, {\"type\": \"RLIMIT_CPU\", \"soft\": 1, \"hard\": 1}, {\"type\": \"RLIMIT_AS\", \"soft\": 1, \"hard\": 1}",
	      "process.rlimits[2]: RLIMIT_AS is listed twice" });
}

static void the_sixteen_limits_are_known(void)
{
	static const char *const types[] = { "AS", "CORE", "CPU", "DATA", "FSIZE", "LOCKS", "MEMLOCK", "MSGQUEUE", "NICE", "NOFILE", "NPROC", "RSS",
		"RTPRIO", "RTTIME", "SIGPENDING", "STACK" };
	auto_arena struct arena a = { 0 };
	struct strbuf b = STRBUF(&a);

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		strbuf_printf(&b, "%s{\"type\": \"RLIMIT_%s\", \"soft\": 1, \"hard\": 1}", i ? ", " : "", types[i]);
	expect_str(spec_fault(&a, arena_printf(&a, "\"process\": {\"cwd\": \"/\", \"args\": [\"x\"], \"rlimits\": [%s]}", strbuf_str(&b)), NULL), "");
}

static void rules_of_the_scheduler(void)
{
	RUN("\"process\": {\"cwd\": \"/\", \"args\": [\"sh\"], \"scheduler\": {", "}}", { "\"policy\": \"SCHED_OTHER\", \"nice\": -20", NULL },
	    { "\"policy\": \"SCHED_BATCH\", \"nice\": 20", "process.scheduler.nice: 20 is out of range, -20 to 19" },
	    { "\"policy\": \"SCHED_FIFO\", \"priority\": 99, \"flags\": [\"SCHED_FLAG_RESET_ON_FORK\"]", NULL },
	    { "\"policy\": \"SCHED_RR\"", "process.scheduler.priority: 0 is out of range, 1 to 99" },
	    { "\"policy\": \"SCHED_FIFO\", \"priority\": 100", "process.scheduler.priority: 100 is out of range, 1 to 99" },
	    { "\"policy\": \"SCHED_RR\", \"priority\": 1, \"nice\": 1", "process.scheduler.nice: SCHED_RR has no nice value" },
	    { "\"policy\": \"SCHED_OTHER\", \"priority\": 1", "process.scheduler.priority: SCHED_OTHER has no priority" },
	    { "\"policy\": \"SCHED_OTHER\", \"runtime\": 1", "process.scheduler: runtime, deadline and period are for SCHED_DEADLINE only" },
	    { "\"policy\": \"SCHED_DEADLINE\", \"runtime\": 10, \"deadline\": 20, \"period\": 30", NULL },
	    { "\"policy\": \"SCHED_DEADLINE\", \"runtime\": 10, \"deadline\": 20", NULL },
	    { "\"policy\": \"SCHED_DEADLINE\", \"runtime\": 30, \"deadline\": 20, \"period\": 30", "process.scheduler: SCHED_DEADLINE needs 0 < runtime <= deadline <= period" },
	    { "\"policy\": \"SCHED_DEADLINE\"", "process.scheduler: SCHED_DEADLINE needs 0 < runtime <= deadline <= period" },
	    { "\"policy\": \"SCHED_FOO\"", "process.scheduler.policy: unknown value \"SCHED_FOO\"" },
	    { "\"nice\": 1", "process.scheduler: member \"policy\" is required" },
	    { "\"policy\": \"SCHED_OTHER\", \"flags\": [\"SCHED_FLAG_FOO\"]", "process.scheduler.flags[0]: unknown value \"SCHED_FLAG_FOO\"" });
}

static void rules_of_namespaces_and_maps(void)
{
	auto_arena struct arena a = { 0 };
	const struct oci_spec *spec;

	RUN("\"linux\": {", "}", { "\"namespaces\": [{\"type\": \"mount\"}, {\"type\": \"time\", \"path\": \"/x\"}]", NULL },
	    { "\"namespaces\": [{\"type\": \"pid\"}, {\"type\": \"mount\"}, {\"type\": \"pid\", \"path\": \"/x\"}]", "linux.namespaces[2]: namespace \"pid\" is listed twice" },
	    { "\"namespaces\": [{\"type\": \"net\"}]", "linux.namespaces[0].type: unknown value \"net\"" },
	    { "\"namespaces\": [{\"path\": \"/x\"}]", "linux.namespaces[0]: member \"type\" is required" },
	    { "\"namespaces\": [{\"type\": \"pid\", \"path\": \"proc/1/ns/pid\"}]", "linux.namespaces[0].path: \"proc/1/ns/pid\" is not an absolute path" },
	    { "\"uidMappings\": [{\"containerID\": 0, \"hostID\": 0, \"size\": 4294967295}]", NULL },
	    { "\"uidMappings\": [{\"containerID\": 0, \"hostID\": 0, \"size\": 0}]", "linux.uidMappings[0].size: must not be 0" },
	    { "\"gidMappings\": [{\"containerID\": 2, \"hostID\": 0, \"size\": 4294967294}]",
	      "linux.gidMappings[0].size: the range of 4294967294 ids from containerID 2 ends beyond the last id" },
	    { "\"gidMappings\": [{\"containerID\": 0, \"hostID\": 4294967295, \"size\": 1}]",
	      "linux.gidMappings[0].size: the range of 1 ids from hostID 4294967295 ends beyond the last id" },
	    { "\"gidMappings\": [{\"containerID\": 0, \"size\": 1}]", "linux.gidMappings[0]: member \"hostID\" is required" },
	    { "\"timeOffsets\": {\"monotonic\": {\"secs\": -5, \"nanosecs\": 999999999}, \"boottime\": {}}", NULL },
	    { "\"timeOffsets\": {\"monotonic\": {\"nanosecs\": 1000000000}}", "linux.timeOffsets.monotonic.nanosecs: 1000000000 is out of range, 0 to 999999999" },
	    { "\"timeOffsets\": {\"realtime\": {}}", "linux.timeOffsets.realtime: unknown clock, monotonic and boottime have offsets" });
	expect_str(spec_fault(&a, "\"linux\": {\"namespaces\": [{\"type\": \"user\", \"path\": \"\"}], \"cgroupsPath\": \"\", \"timeOffsets\": {\"boottime\": {\"secs\": 3}}}", &spec), "");
	expect(spec->linux_->namespaces.v[0].type == OCI_NS_USER && !spec->linux_->namespaces.v[0].path && !spec->linux_->cgroups_path);
	expect_str(spec->linux_->time_offsets.v[0].clock, "boottime");
	expect(spec->linux_->time_offsets.v[0].secs == 3);
}

static void rules_of_devices(void)
{
	auto_arena struct arena a = { 0 };
	const struct oci_spec *spec;

	RUN("\"linux\": {\"devices\": [", "]}", { "{\"type\": \"c\", \"path\": \"/dev/x\", \"major\": 4095, \"minor\": 1048575}", NULL },
	    { "{\"type\": \"p\", \"path\": \"pipe\"}", NULL }, { "{\"type\": \"c\", \"path\": \"/x\", \"major\": 1}", "linux.devices[0]: member \"minor\" is required for types c, b and u" },
	    { "{\"type\": \"b\", \"path\": \"/x\", \"minor\": 1}", "linux.devices[0]: member \"major\" is required for types c, b and u" },
	    { "{\"type\": \"d\", \"path\": \"/x\"}", "linux.devices[0].type: \"d\" is none of c, b, u, p" },
	    { "{\"type\": \"cc\", \"path\": \"/x\"}", "linux.devices[0].type: \"cc\" is none of c, b, u, p" },
	    { "{\"type\": \"\", \"path\": \"/x\"}", "linux.devices[0].type: \"\" is none of c, b, u, p" },
	    { "{\"type\": \"c\", \"path\": \"\"}", "linux.devices[0].path: must not be empty" },
	    { "{\"type\": \"u\", \"path\": \"/x\", \"major\": 4096, \"minor\": 0}", "linux.devices[0].major: 4096 is out of range, 0 to 4095" },
	    { "{\"type\": \"u\", \"path\": \"/x\", \"major\": 1, \"minor\": -1}", "linux.devices[0].minor: -1 is out of range, 0 to 1048575" },
	    { "{\"type\": \"p\", \"path\": \"/x\", \"uid\": 4294967295}", "linux.devices[0].uid: 4294967295 is not an id" });
	expect_str(spec_fault(&a, "\"linux\": {\"devices\": [{\"type\": \"p\", \"path\": \"/x\", \"fileMode\": 8630}, {\"type\": \"p\", \"path\": \"/y\"}]}", &spec), "");
	expect(spec->linux_->devices.v[0].file_mode.value == 0666 && spec->linux_->devices.v[0].file_mode.set);
	expect(!spec->linux_->devices.v[1].file_mode.set);
}

static void rules_of_device_rules(void)
{
	auto_arena struct arena a = { 0 };
	const struct oci_spec *spec;

	RUN("\"linux\": {\"resources\": {\"devices\": [", "]}}", { "{\"allow\": false, \"access\": \"rwm\"}", NULL },
	    { "{\"allow\": true, \"type\": \"c\", \"major\": 1, \"minor\": -1, \"access\": \"mr\"}", NULL }, { "{\"allow\": true, \"type\": \"a\"}", NULL },
	    { "{\"type\": \"a\"}", "linux.resources.devices[0]: member \"allow\" is required" },
	    { "{\"allow\": \"false\"}", "linux.resources.devices[0].allow: expected boolean, got string" },
	    { "{\"allow\": true, \"type\": \"p\"}", "linux.resources.devices[0].type: \"p\" is none of a, b, c" },
	    { "{\"allow\": true, \"type\": \"cb\"}", "linux.resources.devices[0].type: \"cb\" is none of a, b, c" },
	    { "{\"allow\": true, \"access\": \"rwx\"}", "linux.resources.devices[0].access: \"rwx\" is not a set of r, w, m" },
	    { "{\"allow\": true, \"access\": \"rr\"}", "linux.resources.devices[0].access: \"rr\" is not a set of r, w, m" },
	    { "{\"allow\": true, \"access\": \"r w\"}", "linux.resources.devices[0].access: \"r w\" is not a set of r, w, m" },
	    { "{\"allow\": true, \"major\": -2}", "linux.resources.devices[0].major: -2 is out of range, -1 to 4294967295" },
	    { "{\"allow\": true, \"minor\": 4294967296}", "linux.resources.devices[0].minor: 4294967296 is out of range, -1 to 4294967295" });
	expect_str(spec_fault(&a, "\"linux\": {\"resources\": {\"devices\": [{\"allow\": false, \"type\": \"\", \"access\": \"\"}]}}", &spec), "");
	expect(!spec->linux_->resources->devices.v[0].type && !spec->linux_->resources->devices.v[0].access);
}

static void rules_of_resources(void)
{
	RUN("\"linux\": {\"resources\": {", "}}", { "\"memory\": {\"limit\": -1, \"swap\": 0, \"kernel\": -7, \"swappiness\": 18446744073709551615}", NULL },
	    { "\"memory\": {\"limit\": -2}", "linux.resources.memory.limit: -2 is neither a number of bytes nor -1 (unlimited)" },
	    { "\"memory\": {\"limit\": \"1G\"}", "linux.resources.memory.limit: expected number, got string" },
	    { "\"pids\": {\"limit\": 0}", NULL }, { "\"pids\": {}", NULL }, { "\"blockIO\": {\"weight\": 0, \"leafWeight\": 65535}", NULL },
	    { "\"blockIO\": {\"weight\": 65536}", "linux.resources.blockIO.weight: 65536 is out of range, 0 to 65535" },
	    { "\"blockIO\": {\"weightDevice\": [{\"major\": 8, \"minor\": 0, \"weight\": 70000}]}", "linux.resources.blockIO.weightDevice[0].weight: 70000 is out of range, 0 to 65535" },
	    { "\"blockIO\": {\"throttleReadBpsDevice\": [{\"major\": 8, \"rate\": 1}]}", "linux.resources.blockIO.throttleReadBpsDevice[0]: member \"minor\" is required" },
	    { "\"blockIO\": {\"throttleWriteIOPSDevice\": [{\"major\": -1, \"minor\": 0}]}", "linux.resources.blockIO.throttleWriteIOPSDevice[0].major: -1 is no device number" },
	    { "\"hugepageLimits\": [{\"pageSize\": \"2MB\", \"limit\": 1}, {\"pageSize\": \"1GB\", \"limit\": 0}, {\"pageSize\": \"64KB\", \"limit\": 0}]", NULL },
	    { "\"hugepageLimits\": [{\"pageSize\": \"64kB\", \"limit\": 1}]", "linux.resources.hugepageLimits[0].pageSize: \"64kB\" is not a size like 2MB" },
	    { "\"hugepageLimits\": [{\"pageSize\": \"02MB\", \"limit\": 1}]", "linux.resources.hugepageLimits[0].pageSize: \"02MB\" is not a size like 2MB" },
	    { "\"hugepageLimits\": [{\"pageSize\": \"2MB/..\", \"limit\": 1}]", "linux.resources.hugepageLimits[0].pageSize: \"2MB/..\" is not a size like 2MB" },
	    { "\"hugepageLimits\": [{\"pageSize\": \"\", \"limit\": 1}]", "linux.resources.hugepageLimits[0].pageSize: \"\" is not a size like 2MB" },
	    { "\"hugepageLimits\": [{\"pageSize\": \"2\", \"limit\": 1}]", "linux.resources.hugepageLimits[0].pageSize: \"2\" is not a size like 2MB" },
	    { "\"network\": {\"classID\": 4294967295, \"priorities\": [{\"name\": \"eth0\", \"priority\": 1}]}", NULL },
	    { "\"network\": {\"priorities\": [{\"name\": \"\", \"priority\": 1}]}", "linux.resources.network.priorities[0].name: must not be empty" },
	    { "\"rdma\": {\"mlx5_1\": {\"hcaHandles\": 1}, \"mlx4_0\": {}}", NULL },
	    { "\"rdma\": {\"mlx5_1\": {\"hcaHandles\": \"x\"}}", "linux.resources.rdma.mlx5_1.hcaHandles: expected number, got string" },
	    { "\"unified\": {\"memory.high\": \"max\"}", NULL }, { "\"unified\": {\"\": \"1\"}", "linux.resources.unified: a name must not be empty" },
	    { "\"cpu\": {\"cpus\": \"\", \"shares\": 0, \"quota\": -1, \"idle\": 1}", NULL });
}

static void rules_of_seccomp(void)
{
	RUN("\"linux\": {\"seccomp\": {", "}}", { "\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 38", NULL },
	    { "\"defaultAction\": \"SCMP_ACT_ALLOW\", \"defaultErrnoRet\": 1", "linux.seccomp.defaultErrnoRet: SCMP_ACT_ALLOW returns no errno" },
	    { "\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 4096", "linux.seccomp.defaultErrnoRet: 4096 is too large" },
	    { "\"defaultAction\": \"SCMP_ACT_TRACE\", \"defaultErrnoRet\": 65535", NULL },
	    { "\"defaultAction\": \"SCMP_ACT_NOTIFY\", \"listenerPath\": \"/x\"", "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be the default" },
	    { "\"defaultAction\": \"SCMP_ACT_FOO\"", "linux.seccomp.defaultAction: unknown value \"SCMP_ACT_FOO\"" },
	    { "\"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": [\"SCMP_ARCH_X86_64\", \"amd64\"]", "linux.seccomp.architectures[1]: unknown value \"amd64\"" },
	    { "\"defaultAction\": \"SCMP_ACT_ALLOW\", \"flags\": [\"SECCOMP_FILTER_FLAG_NEW_LISTENER\"]",
	      "linux.seccomp.flags[0]: unknown value \"SECCOMP_FILTER_FLAG_NEW_LISTENER\"" },
	    { "\"syscalls\": [{\"names\": [\"x\"], \"action\": \"SCMP_ACT_ALLOW\"}]", "linux.seccomp: member \"defaultAction\" is required" },
	    { "\"defaultAction\": \"\", \"syscalls\": [{\"names\": [\"x\"], \"action\": \"SCMP_ACT_ALLOW\"}]", "linux.seccomp: member \"defaultAction\" is required" },
	    { "\"defaultAction\": \"SCMP_ACT_ALLOW\", \"listenerPath\": \"/run/x\", \"listenerMetadata\": \"m\"", NULL },
	    { "\"defaultAction\": \"SCMP_ACT_ALLOW\", \"listenerMetadata\": \"m\"", "linux.seccomp.listenerMetadata: needs a listenerPath" });
	RUN("\"linux\": {\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"read\"], \"action\": \"SCMP_ACT_LOG\"}, {", "}]}}",
	    { "\"names\": [\"x\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 1, \"args\": [{\"index\": 5, \"value\": 18446744073709551615, \"op\": \"SCMP_CMP_MASKED_EQ\"}]", NULL },
	    { "\"names\": [], \"action\": \"SCMP_ACT_ERRNO\"", "linux.seccomp.syscalls[1].names: must not be empty" },
	    { "\"names\": [\"x\"]", "linux.seccomp.syscalls[1]: member \"action\" is required" },
	    { "\"names\": [\"x\"], \"action\": \"\"", "linux.seccomp.syscalls[1].action: unknown value \"\"" },
	    { "\"names\": [\"x\"], \"action\": \"SCMP_ACT_ALLOW\", \"errnoRet\": 0", "linux.seccomp.syscalls[1].errnoRet: SCMP_ACT_ALLOW returns no errno" },
	    { "\"names\": [\"x\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{\"index\": 6, \"value\": 1, \"op\": \"SCMP_CMP_EQ\"}]",
	      "linux.seccomp.syscalls[1].args[0].index: 6 is out of range, 0 to 5" },
	    { "\"names\": [\"x\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{\"index\": 0, \"value\": 1, \"op\": \"EQ\"}]", "linux.seccomp.syscalls[1].args[0].op: unknown value \"EQ\"" },
	    { "\"names\": [\"x\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{\"index\": 0, \"op\": \"SCMP_CMP_EQ\"}]", "linux.seccomp.syscalls[1].args[0]: member \"value\" is required" },
	    { "\"names\": [\"x\"], \"action\": \"SCMP_ACT_NOTIFY\"", "linux.seccomp.syscalls[1]: SCMP_ACT_NOTIFY needs a listenerPath" },
	    { "\"names\": [\"x\", \"write\"], \"action\": \"SCMP_ACT_NOTIFY\"",
	      "linux.seccomp.syscalls[1].names[1]: SCMP_ACT_NOTIFY for write would block the container's start for ever" });
}

static void an_empty_seccomp_object_means_no_filter(void)
{
	auto_arena struct arena a = { 0 };
	const struct oci_spec *spec;

	expect_str(spec_fault(&a, "\"linux\": {\"seccomp\": {}}", &spec), "");
	expect(spec->linux_->seccomp->disabled);
	expect_str(spec_fault(&a, "\"linux\": {\"seccomp\": {\"defaultAction\": \"\", \"syscalls\": []}}", &spec), "");
	expect(spec->linux_->seccomp->disabled);
	expect_str(spec_fault(&a, "\"linux\": {\"seccomp\": {\"defaultAction\": \"SCMP_ACT_KILL\", \"flags\": []}}", &spec), "");
	expect(!spec->linux_->seccomp->disabled && spec->linux_->seccomp->flags_set && spec->linux_->seccomp->default_action == OCI_ACT_KILL);
	expect_str(spec_fault(&a, "\"linux\": {\"seccomp\": {\"defaultAction\": \"SCMP_ACT_NOTIFY\", \"flags\": null}}", &spec),
		   "line 1: linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be the default");
	expect_str(spec_fault(&a, "\"linux\": {\"seccomp\": {\"defaultAction\": \"SCMP_ACT_LOG\", \"flags\": null}}", &spec), "");
	expect(!spec->linux_->seccomp->flags_set);
}

static void rules_of_the_rest_of_linux(void)
{
	RUN("\"linux\": {", "}", { "\"rootfsPropagation\": \"rslave\"", NULL }, { "\"rootfsPropagation\": \"\"", NULL },
	    { "\"rootfsPropagation\": \"slaves\"", "linux.rootfsPropagation: unknown value \"slaves\"" },
	    { "\"maskedPaths\": [\"/a\", \"b\"]", "linux.maskedPaths[1]: \"b\" is not an absolute path" },
	    { "\"readonlyPaths\": [\"\"]", "linux.readonlyPaths[0]: \"\" is not an absolute path" },
	    { "\"sysctl\": {\"net.core.somaxconn\": \"1\"}", NULL }, { "\"sysctl\": {\"net.core.somaxconn\": 1}", "linux.sysctl.net.core.somaxconn: expected string, got number" },
	    { "\"netDevices\": {\"eth0\": {\"name\": \"x\"}, \"eth1\": {}}", NULL }, { "\"netDevices\": {\"eth0\": {\"name\": 23}}", "linux.netDevices.eth0.name: expected string, got number" },
	    { "\"intelRdt\": {\"closID\": \"/\", \"memBwSchema\": \"MB:0=20\", \"schemata\": [\"L3:0=f\"], \"enableMonitoring\": true}", NULL },
	    { "\"intelRdt\": {\"closID\": \"\"}", NULL }, { "\"intelRdt\": {\"closID\": \"a/b\"}", "linux.intelRdt.closID: \"a/b\" is neither one file name nor \"/\"" },
	    { "\"intelRdt\": {\"closID\": \"..\"}", "linux.intelRdt.closID: \"..\" is neither one file name nor \"/\"" },
	    { "\"intelRdt\": {\"l3CacheSchema\": \"L3:0=f\\nL3:1=f\"}", "linux.intelRdt.l3CacheSchema: must be one line" },
	    { "\"intelRdt\": {\"memBwSchema\": \"L3:0=f\"}", "linux.intelRdt.memBwSchema: must be one line that begins with MB:" },
	    { "\"intelRdt\": {\"memBwSchema\": \"MB:0=1\\nL3:0=f\"}", "linux.intelRdt.memBwSchema: must be one line that begins with MB:" },
	    { "\"intelRdt\": {\"schemata\": [\"a\", \"b\\nc\"]}", "linux.intelRdt.schemata[1]: must be one line" },
	    { "\"personality\": {\"domain\": \"LINUX32\", \"flags\": [\"X\"]}", NULL }, { "\"personality\": {}", "linux.personality: member \"domain\" is required" },
	    { "\"personality\": {\"domain\": \"BSD\"}", "linux.personality.domain: unknown value \"BSD\"" },
	    { "\"memoryPolicy\": {\"mode\": \"MPOL_BIND\", \"nodes\": \"0-1,3\", \"flags\": [\"MPOL_F_STATIC_NODES\", \"MPOL_F_NUMA_BALANCING\"]}", NULL },
	    { "\"memoryPolicy\": {\"mode\": \"MPOL_DEFAULT\", \"nodes\": \"\"}", NULL }, { "\"memoryPolicy\": {\"mode\": \"MPOL_PREFERRED\"}", NULL },
	    { "\"memoryPolicy\": {\"nodes\": \"0\"}", "linux.memoryPolicy: member \"mode\" is required" },
	    { "\"memoryPolicy\": {\"mode\": \"MPOL_LOCAL\", \"nodes\": \"0\"}", "linux.memoryPolicy.nodes: MPOL_LOCAL takes no nodes" },
	    { "\"memoryPolicy\": {\"mode\": \"MPOL_INTERLEAVE\"}", "linux.memoryPolicy: MPOL_INTERLEAVE needs nodes" },
	    { "\"memoryPolicy\": {\"mode\": \"MPOL_BIND\", \"nodes\": \"all\"}", "linux.memoryPolicy.nodes: \"all\" is not a list of nodes like 0-3,7" },
	    { "\"memoryPolicy\": {\"mode\": \"MPOL_BIND\", \"nodes\": \"0\", \"flags\": [\"MPOL_F_STATIC_NODES\", \"MPOL_F_RELATIVE_NODES\"]}",
	      "linux.memoryPolicy.flags: MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other" },
	    { "\"memoryPolicy\": {\"mode\": \"MPOL_INTERLEAVE\", \"nodes\": \"0\", \"flags\": [\"MPOL_F_NUMA_BALANCING\"]}",
	      "linux.memoryPolicy.flags: MPOL_F_NUMA_BALANCING is for MPOL_BIND and MPOL_PREFERRED_MANY only" },
	    { "\"memoryPolicy\": {\"mode\": \"MPOL_DEFAULT\", \"flags\": [\"MPOL_F_FOO\"]}", "linux.memoryPolicy.flags[0]: unknown value \"MPOL_F_FOO\"" });
}

static void rules_of_vm(void)
{
	auto_arena struct arena a = { 0 };
	const struct oci_spec *spec;

	RUN("\"vm\": {", "}", { "", "vm: member \"kernel\" is required" }, { "\"kernel\": {\"path\": \"k\"}", "vm.kernel.path: \"k\" is not an absolute path" });
	RUN("\"vm\": {\"kernel\": {\"path\": \"/k\"}, ", "}", { "\"hypervisor\": {\"path\": \"/h\", \"parameters\": [\"a\"]}", NULL },
	    { "\"hypervisor\": {}", "vm.hypervisor: member \"path\" is required" }, { "\"hypervisor\": {\"path\": \"h\"}", "vm.hypervisor.path: \"h\" is not an absolute path" },
	    { "\"hypervisor\": {\"path\": \"\", \"parameters\": [\"a\"]}", "vm.hypervisor.path: must not be empty" },
	    { "\"image\": {\"path\": \"/i\", \"format\": \"qcow3\"}", "vm.image.format: unknown value \"qcow3\"" },
	    { "\"image\": {\"path\": \"\", \"format\": \"raw\"}", "vm.image.path: must not be empty" },
	    { "\"hwConfig\": {\"vcpus\": 4294967296}", "vm.hwConfig.vcpus: 4294967296 is out of range, 0 to 4294967295" },
	    { "\"hwConfig\": {\"iomems\": [{\"firstGFN\": 1, \"firstMFN\": 2}]}", "vm.hwConfig.iomems[0]: member \"nrMFNs\" is required" },
	    { "\"hwConfig\": {\"deviceTree\": \"/d\", \"vcpus\": 1, \"memory\": 1073741824, \"dtdevs\": [\"x\"], \"iomems\": [{\"firstMFN\": 2, \"nrMFNs\": 1}], \"irqs\": [11]}", NULL });
	expect_str(spec_fault(&a, "\"vm\": {\"hypervisor\": {\"path\": \"\"}, \"kernel\": {\"path\": \"/k\", \"initrd\": \"\"}, \"image\": {\"path\": \"\", \"format\": \"\"}}", &spec), "");
	expect(!spec->vm->hypervisor && !spec->vm->image && !spec->vm->kernel->initrd && !spec->vm->hw_config);
	expect_str(spec_fault(&a, "\"vm\": {\"kernel\": {\"path\": \"/k\"}, \"image\": {\"path\": \"/i\"}}", &spec), "");
	expect(spec->vm->image->format == 0);
}

static void process_and_resources_parse_alone_by_the_same_rules(void)
{
	auto_arena struct arena a = { 0 };
	const struct oci_process *p = NULL;
	const struct oci_resources *r = NULL;
	struct err e;
	static const char good[] = "{\"cwd\":\"/\",\"args\":[\"a\"],\"noNewPrivileges\":true}", bad[] = "{\"cwd\":\"/\",\"args\":[\"a\"],\"env\":[\"X\"]}";
	static const char limits[] = "{\"pids\":{\"limit\":0}}", wrong[] = "{\"pids\":{\"limit\":\"0\"}}";

	expect(oci_process_parse(&a, bad, sizeof(bad) - 1, &p, &e) == -EINVAL && !p);
	expect_str(e.text, "line 1: env[0]: \"X\" is not NAME=VALUE");
	expect(oci_process_parse(&a, good, sizeof(good) - 1, &p, &e) == 0);
	expect(p->user && p->no_new_privileges);
	expect(oci_resources_parse(&a, wrong, sizeof(wrong) - 1, &r, &e) == -EINVAL && !r);
	expect_str(e.text, "line 1: pids.limit: expected number, got string");
	expect(oci_resources_parse(&a, limits, sizeof(limits) - 1, &r, &e) == 0);
	expect(r->pids->limit.set && r->pids->limit.value == 0);
}

/* clang-format on */

/* Of what is false, only what must be there is written. */
static void limits_survive_a_round_trip(void)
{
	static const char text[] = "{\"memory\":{\"limit\":5},\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]}";
	auto_arena struct arena a = { 0 };
	struct strbuf b = STRBUF(&a);
	const struct oci_resources *r = NULL;
	struct err e;

	expect(oci_resources_parse(&a, text, strlen(text), &r, &e) == 0);
	if (!r)
		return;
	oci_resources_encode(r, &b);
	expect(strstr(strbuf_str(&b), "\"allow\":false") && strstr(strbuf_str(&b), "\"limit\":5"));
	expect(oci_resources_parse(&a, b.text, b.len, &r, &e) == 0);
	expect(r->devices.n == 1 && !r->devices.v[0].allow);
}

static void check_lists_every_problem_where_parse_stops_at_the_first(void)
{
	auto_arena struct arena a = { 0 };
	const struct oci_spec *spec = NULL;
	struct oci_problems p;
	struct err e;
	static const char text[] = "{\"ociVersion\": \"2.0.0\",\n\"process\": {\"cwd\": \"x\", \"env\": [\"A\"]},\n"
				   "\"linux\": {\"seccomp\": [],\n\"namespaces\": [{\"type\": \"pid\"}, {\"type\": \"pid\"}],\n"
				   "\"resources\": {\"pids\": {\"limit\": \"1\"}}}}";

	expect(oci_spec_check(&a, text, sizeof(text) - 1, &spec, &p, &e) == 0 && !spec);
	expect(p.n == 5);
	if (p.n == 5) {
		expect_str(p.v[0], "line 2: process.cwd: \"x\" is not an absolute path");
		expect_str(p.v[1], "line 2: process: member \"args\" is required");
		expect_str(p.v[2], "line 3: linux.seccomp: expected object, got array");
		expect_str(p.v[3], "line 4: linux.namespaces[1]: namespace \"pid\" is listed twice");
		expect_str(p.v[4], "line 5: linux.resources.pids.limit: expected number, got string");
	}
	expect(oci_spec_parse(&a, text, sizeof(text) - 1, &spec, &e) == -EINVAL);
	expect_str(e.text, "line 2: process.cwd: \"x\" is not an absolute path");
	expect(oci_spec_check(&a, "{\"ociVersion\":\"1.0.0\"}", 22, &spec, &p, &e) == 0 && spec && p.n == 0);
	expect(oci_spec_check(&a, "{\n", 2, &spec, &p, &e) == -EINVAL && p.n == 1);
	expect_str(p.v[0], "line 2: malformed JSON: the text ends too early");
}

/* ---- every field of the tables, with every wrong type ---- */

struct walk {
	struct arena *arena;
	int depth;
	size_t fields, refused;
};

static const char *const samples[] = { "true", "1",           "\"x\"",           "[]", "{}", "[[]]", "1.5", "\"1\"",
				       "1e3",  "{\"x\": []}", "[3, {\"x\": {}}]" };

/* Which of samples[] a member of this kind may be (or is, until its own members are looked at). */
static bool could_be(enum kind kind, size_t sample)
{
	switch (kind) {
	case K_STR:
	case K_ENUM:
		return sample == 2 || sample == 7;
	case K_BOOL:
		return sample == 0;
	case K_STRS:
	case K_U32S:
	case K_OBJS:
		return sample == 3;
	case K_OBJ:
		return sample == 4 || sample == 9;
	case K_MAP:
	case K_OBJMAP:
		return sample == 4;
	default:
		return sample == 1;
	}
}

static void refuse_wrong_types(struct walk *w, const struct field *f, const char *before, const char *after, const char *path)
{
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		auto_arena struct arena a = { 0 };
		const struct oci_spec *spec = NULL;
		struct err e = { 0 };

		if (could_be(f->kind, i))
			continue;
		const char *text = arena_printf(&a, "{%s\"%s\": %s%s}", before, f->name, samples[i], after);
		int r = oci_spec_parse(&a, text, strlen(text), &spec, &e);
		bool named = strstr(e.text, path) && (strstr(e.text, ": expected ") || strstr(e.text, " is not an integer"));

		if (r != -EINVAL || spec || !named)
			printf("# %s -> %d %s\n", text, r, e.text);
		expect(r == -EINVAL && !spec && named);
		w->refused++;
	}
}

/* before and after: JSON that leads into the object of shape s; path: the same as messages print it. */
static void walk_shape(struct walk *w, const struct shape *s, const char *before, const char *after, const char *path)
{
	expect(w->depth < 16);
	for (size_t i = 0; i < s->n && w->depth < 16; i++) {
		const struct field *f = &s->fields[i];
		const char *here = arena_printf(w->arena, "%s%s%s", path, path[0] ? "." : "", f->name);

		w->fields++;
		refuse_wrong_types(w, f, before, after, here);
		for (size_t k = 0; k < i; k++)
			expect(strcmp(s->fields[k].name, f->name) != 0);
		w->depth++;
		if (f->kind == K_OBJ)
			walk_shape(w, f->arg, arena_printf(w->arena, "%s\"%s\": {", before, f->name),
				   arena_printf(w->arena, "}%s", after), here);
		else if (f->kind == K_OBJS)
			walk_shape(w, f->arg, arena_printf(w->arena, "%s\"%s\": [{", before, f->name),
				   arena_printf(w->arena, "}]%s", after), arena_printf(w->arena, "%s[0]", here));
		else if (f->kind == K_OBJMAP)
			walk_shape(w, f->arg, arena_printf(w->arena, "%s\"%s\": {\"k\": {", before, f->name),
				   arena_printf(w->arena, "}}%s", after), arena_printf(w->arena, "%s.k", here));
		w->depth--;
	}
}

static void every_field_refuses_every_wrong_type(void)
{
	auto_arena struct arena a = { 0 };
	struct walk w = { .arena = &a };

	walk_shape(&w, &shape_oci_spec, "", "", "");
	printf("# %zu fields, %zu documents refused\n", w.fields, w.refused);
	expect(w.fields > 200 && w.refused > 6 * w.fields);
}

/* ---- samples of the specification ---- */

static char *read_file(const char *path, size_t *len)
{
	FILE *f = fopen(path, "re");
	char *text = calloc(1, 1 << 20);

	*len = f ? fread(text, 1, (1 << 20) - 1, f) : 0;
	if (f)
		fclose(f);
	return text;
}

static void run_samples(const char *dir, bool good)
{
	DIR *d = opendir(dir);
	size_t ran = 0;

	if (!d) {
		printf("# skipped: no %s; DRUPE_SPEC_DIR names the directory of the specification's schema\n", dir);
		return;
	}
	for (const struct dirent *entry = readdir(d); entry; entry = readdir(d)) {
		auto_arena struct arena a = { 0 };
		const struct oci_spec *spec = NULL;
		struct err e = { 0 };
		size_t len;

		if (!strstr(entry->d_name, ".json"))
			continue;
		char *text = read_file(arena_printf(&a, "%s/%s", dir, entry->d_name), &len);
		int r = oci_spec_parse(&a, text, len, &spec, &e);

		/* What is wrong with this one is in a section for another platform, which is ignored. */
		bool wanted = good || strcmp(entry->d_name, "freebsd-vnet-disable.json") == 0;

		if ((r == 0) != wanted)
			printf("# %s: %d %s\n", entry->d_name, r, e.text);
		expect((r == 0) == wanted);
		ran++;
		free(text);
	}
	closedir(d);
	expect(ran > 0);
}

static void samples_of_the_specification_get_their_verdict(void)
{
	auto_arena struct arena a = { 0 };
	const char *dir = getenv("DRUPE_SPEC_DIR");

	if (!dir)
		dir = SOURCE_ROOT "/../shared/spec";
	run_samples(arena_printf(&a, "%s/test/config/good", dir), true);
	run_samples(arena_printf(&a, "%s/test/config/bad", dir), false);
}

TAP_MAIN(CASE(version_is_semver_with_major_1), CASE(what_is_absent_is_filled_in), CASE(null_members_are_absent),
	 CASE(unknown_members_are_ignored), CASE(rules_of_root_mounts_and_annotations), CASE(rules_of_hooks),
	 CASE(rules_of_process), CASE(rules_of_rlimits), CASE(the_sixteen_limits_are_known), CASE(rules_of_the_scheduler),
	 CASE(rules_of_namespaces_and_maps), CASE(rules_of_devices), CASE(rules_of_device_rules), CASE(rules_of_resources),
	 CASE(rules_of_seccomp), CASE(an_empty_seccomp_object_means_no_filter), CASE(rules_of_the_rest_of_linux), CASE(rules_of_vm),
	 CASE(process_and_resources_parse_alone_by_the_same_rules), CASE(limits_survive_a_round_trip),
	 CASE(check_lists_every_problem_where_parse_stops_at_the_first), CASE(every_field_refuses_every_wrong_type),
	 CASE(samples_of_the_specification_get_their_verdict))
