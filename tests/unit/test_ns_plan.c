#include "base/str.h"
#include "namespaces/ns.h"
#include "tap.h"

#include <errno.h>

#define LEN(array) (sizeof(array) / sizeof((array)[0]))
#define LIST(T, ...)                                                                                                               \
	{                                                                                                                          \
		.v = (T[]){ __VA_ARGS__ }, .n = LEN(((T[]){ __VA_ARGS__ }))                                                        \
	}
#define NEW(t)                                                                                                                     \
	{                                                                                                                          \
		OCI_NS_##t, NULL                                                                                                   \
	}
#define AT(t, path)                                                                                                                \
	{                                                                                                                          \
		OCI_NS_##t, path                                                                                                   \
	}
#define NAMESPACES(...) ((struct oci_namespace_list)LIST(struct oci_namespace, __VA_ARGS__))
#define MAP(...)        ((struct oci_id_map_list)LIST(struct oci_id_map, __VA_ARGS__))
#define SYSCTL(...)     ((struct pairs)LIST(struct pair, __VA_ARGS__))
#define OFFSETS(...)    ((struct oci_time_offset_list)LIST(struct oci_time_offset, __VA_ARGS__))

struct fixture {
	struct arena a;
	struct host h;
	struct oci_linux l;
	struct oci_spec s;
	struct ns_plan p;
	struct err e;
};

/* Root of the host, every namespace. */
#define FIXTURE                                                                                                                    \
	{                                                                                                                          \
		.h = {.initial_userns = true, .caps_permitted = ~0ull, .ns_supported = ~0ull }                                     \
	}

static int build(struct fixture *f)
{
	f->s.linux_ = &f->l;
	return ns_plan_build(&f->s, &f->h, &f->a, &f->p, &f->e);
}

static void refused(struct fixture *f, const char *text)
{
	expect(build(f) == -EINVAL);
	expect_str(f->e.text, text);
	arena_release(&f->a);
}

static const char *printed(struct fixture *f)
{
	struct strbuf out = STRBUF(&f->a);

	ns_plan_print(&f->p, &out);
	return strbuf_str(&out);
}

static void nothing_asked_for_plans_nothing(void)
{
	struct fixture f = FIXTURE;

	expect(build(&f) == 0);
	expect(f.p.create == 0 && f.p.n_join == 0 && f.p.set == 0 && !f.p.user_ns && f.p.uid_map.n == 0);
	expect_str(printed(&f), "");
	arena_release(&f.a);
}

static void namespaces_are_created_and_joined(void)
{
	struct fixture f = FIXTURE;

	f.l.namespaces = NAMESPACES(NEW(PID), AT(NETWORK, "/run/netns/x"), AT(MOUNT, ""), AT(IPC, "/proc/7/ns/ipc"));
	f.s.hostname = "box";
	expect(build(&f) == -EINVAL);
	f.s.hostname = "";
	expect(build(&f) == 0);
	expect(f.p.create == (SYS_CLONE_NEWPID | SYS_CLONE_NEWNS));
	expect(ns_created(&f.s) == f.p.create);
	expect(f.p.n_join == 2);
	expect_str(f.p.join[1].where, "linux.namespaces[3]");
	expect(f.p.join[1].flag == SYS_CLONE_NEWIPC && f.p.join[1].type == OCI_NS_IPC);
	expect_str(printed(&f), "create: mount\ncreate: pid\njoin: network /run/netns/x\njoin: ipc /proc/7/ns/ipc\n");
	arena_release(&f.a);
}

static void bad_namespaces_are_refused(void)
{
	struct fixture f = FIXTURE;

	f.l.namespaces = NAMESPACES(NEW(PID), AT(PID, "/x"));
	refused(&f, "linux.namespaces[1]: namespace pid is listed twice");
	f.l.namespaces = NAMESPACES(AT(PID, "ns/pid"));
	refused(&f, "linux.namespaces[0].path: ns/pid: must be absolute");
	f.h.ns_supported &= ~(uint64_t)SYS_CLONE_NEWTIME;
	f.l.namespaces = NAMESPACES(NEW(PID), NEW(TIME));
	refused(&f, "linux.namespaces[1]: this kernel has no time namespaces");
}

static void names_need_a_uts_namespace(void)
{
	struct fixture f = FIXTURE;

	f.s.hostname = "box";
	refused(&f, "hostname: needs a uts namespace; without one it would rename the host");
	f.s.hostname = NULL;
	f.s.domainname = "example";
	refused(&f, "domainname: needs a uts namespace; without one it would rename the host");
	f.l.namespaces = NAMESPACES(AT(UTS, "/proc/1/ns/uts"));
	expect(build(&f) == 0 && f.p.set == SYS_CLONE_NEWUTS);
	f.l.namespaces = NAMESPACES(NEW(UTS));
	expect(build(&f) == 0);
	expect_str(printed(&f), "create: uts\ndomainname: example\n");
	arena_release(&f.a);
}

static void a_long_name_is_refused(void)
{
	char name[66];
	struct fixture f = FIXTURE;

	f.l.namespaces = NAMESPACES(NEW(UTS));
	f.s.hostname = name;
	memset(name, 'a', sizeof(name));
	name[64] = '\0';
	expect(build(&f) == 0);
	name[64] = 'a';
	name[65] = '\0';
	refused(&f, "hostname: is 65 bytes long, at most 64 are possible");
}

static void clocks_are_set_in_a_created_namespace_only(void)
{
	struct fixture f = FIXTURE;

	f.l.time_offsets = OFFSETS({ "monotonic", -5, 0 }, { "boottime", 1000, 999999999 });
	refused(&f, "linux.timeOffsets: needs a time namespace");
	f.l.namespaces = NAMESPACES(AT(TIME, "/x"));
	refused(&f, "linux.timeOffsets: the clocks of a time namespace joined by path are fixed already");
	f.l.namespaces = NAMESPACES(NEW(TIME));
	expect(build(&f) == 0);
	expect_str(f.p.time_offsets, "monotonic -5 0\nboottime 1000 999999999\n");
	expect_str(printed(&f), "create: time\ntime offset: monotonic -5 0\ntime offset: boottime 1000 999999999\n");
	f.l.time_offsets = OFFSETS({ "realtime", 1, 0 });
	refused(&f, "linux.timeOffsets.realtime: the clocks are monotonic and boottime");
	f.l.time_offsets = OFFSETS({ "boottime", 1, 1000000000 });
	refused(&f, "linux.timeOffsets.boottime.nanosecs: 1000000000 is not below 1000000000");
}

static void given_maps_are_written(void)
{
	struct fixture f = FIXTURE;

	f.l.namespaces = NAMESPACES(NEW(USER));
	f.l.uid_mappings = MAP({ 0, 100000, 1000 }, { 1000, 5000, 1 });
	f.l.gid_mappings = MAP({ 0, 200000, 65536 });
	expect(build(&f) == 0);
	expect(f.p.user_ns && !f.p.deny_setgroups && !f.p.map_by_helper);
	expect(f.p.uid_map.n == 2 && f.p.uid_map.v[1].host_id == 5000 && f.p.gid_map.v[0].size == 65536);
	expect_str(printed(&f), "create: user\nuid map: 0 100000 1000\nuid map: 1000 5000 1\ngid map: 0 200000 65536\n");
	arena_release(&f.a);
}

static void maps_of_a_joined_namespace_only_describe_it(void)
{
	struct fixture f = FIXTURE;

	f.l.namespaces = NAMESPACES(AT(USER, "/proc/9/ns/user"));
	expect(build(&f) == 0);
	expect(f.p.user_ns && f.p.uid_map.n == 0 && f.p.container_uid_map.n == 0);
	f.l.uid_mappings = f.l.gid_mappings = MAP({ 0, 100000, 1000 });
	expect(build(&f) == 0);
	expect(f.p.uid_map.n == 0 && f.p.gid_map.n == 0 && f.p.create == 0);
	expect(f.p.container_uid_map.n == 1 && f.p.container_gid_map.v[0].host_id == 100000);
	expect_str(printed(&f), "join: user /proc/9/ns/user\nuid map of the joined namespace: 0 100000 1000\n"
				"gid map of the joined namespace: 0 100000 1000\n");
	arena_release(&f.a);
}

static void root_gets_the_identity_map_by_default(void)
{
	struct fixture f = FIXTURE;

	f.l.namespaces = NAMESPACES(NEW(USER));
	expect(build(&f) == 0);
	expect_str(printed(&f), "create: user\nuid map: 0 0 4294967295\ngid map: 0 0 4294967295\n");
	f.h.euid = 1000;
	refused(&f, "linux.uidMappings: missing; only root of the host gets a user namespace without mappings");
	f.h.euid = 0;
	f.h.initial_userns = false;
	refused(&f, "linux.uidMappings: missing; only root of the host gets a user namespace without mappings");
}

static void contradictory_maps_are_refused(void)
{
	struct fixture f = FIXTURE;

	f.l.gid_mappings = MAP({ 0, 0, 1 });
	refused(&f, "linux.gidMappings: needs a user namespace");
	f.l.namespaces = NAMESPACES(NEW(USER));
	refused(&f, "linux.uidMappings: missing, while there are linux.gidMappings");
	f.l.uid_mappings = MAP({ 0, 5, 0 });
	refused(&f, "linux.uidMappings[0].size: must not be 0");
	f.l.uid_mappings = MAP({ 0, 1000, 10 }, { 9, 2000, 10 });
	refused(&f, "linux.uidMappings[1]: container ids overlap those of linux.uidMappings[0]");
	f.l.uid_mappings = MAP({ 0, 1000, 10 }, { 20, 500, 501 });
	refused(&f, "linux.uidMappings[1]: host ids overlap those of linux.uidMappings[0]");
	f.l.uid_mappings = MAP({ 0, 1000, 10 }, { 10, 1010, 10 });
	f.l.gid_mappings = MAP({ 1, 0, 4294967295 });
	refused(&f, "linux.gidMappings[0]: container ids end above 4294967294");
	f.l.gid_mappings = MAP({ 0, 4294967295, 1 });
	refused(&f, "linux.gidMappings[0]: host ids end above 4294967294");
	f.l.gid_mappings = MAP({ 4294967294, 4294967294, 1 });
	expect(build(&f) == 0);
	arena_release(&f.a);
}

static void the_kernel_takes_340_entries(void)
{
	struct oci_id_map many[341];
	struct fixture f = FIXTURE;

	for (uint32_t i = 0; i < LEN(many); i++)
		many[i] = (struct oci_id_map){ i, i, 1 };
	f.l.namespaces = NAMESPACES(NEW(USER));
	f.l.uid_mappings = f.l.gid_mappings = (struct oci_id_map_list){ many, 340 };
	expect(build(&f) == 0);
	f.l.gid_mappings.n = 341;
	refused(&f, "linux.gidMappings: has 341 entries, the kernel takes 340");
}

static void without_capability_the_own_id_or_the_helpers(void)
{
	struct fixture f = FIXTURE;

	f.h.euid = 1000;
	f.h.caps_permitted = 1 << 6; /* CAP_SETGID alone is not enough */
	f.l.namespaces = NAMESPACES(NEW(USER));
	f.l.uid_mappings = MAP({ 0, 1000, 1 });
	f.l.gid_mappings = MAP({ 0, 1001, 1 });
	expect(build(&f) == 0 && f.p.deny_setgroups && !f.p.map_by_helper);
	f.l.uid_mappings = MAP({ 0, 1001, 1 });
	expect(build(&f) == 0 && !f.p.deny_setgroups && f.p.map_by_helper);
	f.l.uid_mappings = MAP({ 0, 1000, 1 }, { 1, 100000, 1000 });
	expect(build(&f) == 0 && !f.p.deny_setgroups && f.p.map_by_helper);
	f.l.namespaces = NAMESPACES(AT(USER, "/x"));
	expect(build(&f) == 0 && !f.p.deny_setgroups && !f.p.map_by_helper);
	arena_release(&f.a);
}

static void namespaced_sysctls_are_accepted_in_both_spellings(void)
{
	struct fixture f = FIXTURE;

	f.l.namespaces = NAMESPACES(NEW(IPC), NEW(UTS), AT(NETWORK, "/x"), NEW(USER));
	f.l.sysctl = SYSCTL({ "kernel.shm_rmid_forced", "1" }, { "fs.mqueue.msg_max", "5" },
			    { "net/ipv4/conf/eth0.100/forwarding", "1" }, { "net.ipv4.conf.eth1/100.forwarding", "1" },
			    { "kernel.domainname", "x" }, { "user.max_user_namespaces", "3" });
	expect(build(&f) == 0);
	expect(f.p.sysctl.n == 6);
	expect_str(f.p.sysctl.v[0].name, "kernel/shm_rmid_forced");
	expect_str(f.p.sysctl.v[2].name, "net/ipv4/conf/eth0.100/forwarding");
	expect_str(f.p.sysctl.v[3].name, "net/ipv4/conf/eth1.100/forwarding");
	expect(f.p.set == (SYS_CLONE_NEWIPC | SYS_CLONE_NEWNET | SYS_CLONE_NEWUTS | SYS_CLONE_NEWUSER));
	arena_release(&f.a);
}

static void sysctls_of_the_host_are_refused(void)
{
	struct fixture f = FIXTURE;

	f.l.namespaces = NAMESPACES(NEW(IPC), NEW(UTS), NEW(NETWORK), NEW(USER));
	f.l.sysctl = SYSCTL({ "kernel.core_pattern", "|/x" });
	refused(&f, "linux.sysctl.kernel.core_pattern: belongs to no namespace; it would change the host");
	f.l.sysctl = SYSCTL({ "kernel.msgmax2", "1" });
	refused(&f, "linux.sysctl.kernel.msgmax2: belongs to no namespace; it would change the host");
	f.l.sysctl = SYSCTL({ "vm/swappiness", "1" });
	refused(&f, "linux.sysctl.vm/swappiness: belongs to no namespace; it would change the host");
	f.l.sysctl = SYSCTL({ "kernel.hostname", "box" });
	refused(&f, "linux.sysctl.kernel.hostname: use hostname instead");
	f.l.sysctl = SYSCTL({ "network", "1" });
	refused(&f, "linux.sysctl.network: belongs to no namespace; it would change the host");
}

static void sysctls_without_their_namespace_are_refused(void)
{
	struct fixture f = FIXTURE;

	f.l.namespaces = NAMESPACES(NEW(PID));
	f.l.sysctl = SYSCTL({ "net.ipv4.ip_forward", "1" });
	refused(&f, "linux.sysctl.net.ipv4.ip_forward: needs a network namespace; without one it would change the host");
	f.l.sysctl = SYSCTL({ "kernel.msgmax", "1" });
	refused(&f, "linux.sysctl.kernel.msgmax: needs an ipc namespace; without one it would change the host");
	f.l.sysctl = SYSCTL({ "fs.mqueue.msg_max", "1" });
	refused(&f, "linux.sysctl.fs.mqueue.msg_max: needs an ipc namespace; without one it would change the host");
	f.l.sysctl = SYSCTL({ "kernel.domainname", "1" });
	refused(&f, "linux.sysctl.kernel.domainname: needs a uts namespace; without one it would change the host");
	f.l.sysctl = SYSCTL({ "user.max_net_namespaces", "1" });
	refused(&f, "linux.sysctl.user.max_net_namespaces: needs a user namespace; without one it would change the host");
}

static void sysctl_names_that_lead_elsewhere_are_refused(void)
{
	static const char *const names[] = { "net/../kernel/core_pattern",
					     "net/./x",
					     "net//x",
					     "/net/x",
					     "net/x/",
					     "net..x",
					     ".net.x",
					     "",
					     "net/a b",
					     "net/a\nb",
					     "net.//.kernel.core_pattern" };
	struct fixture f = FIXTURE;

	f.l.namespaces = NAMESPACES(NEW(NETWORK));
	for (size_t i = 0; i < LEN(names); i++) {
		f.l.sysctl = SYSCTL({ names[i], "1" });
		expect(build(&f) == -EINVAL);
		if (!str_ends(f.e.text, " is not a valid name"))
			expect_str(f.e.text, names[i]);
	}
	arena_release(&f.a);
}

static void one_sysctl_in_two_spellings_is_refused(void)
{
	struct fixture f = FIXTURE;

	f.l.namespaces = NAMESPACES(NEW(NETWORK));
	f.l.sysctl = SYSCTL({ "net.ipv4.ip_forward", "1" }, { "net.core.somaxconn", "1" }, { "net/ipv4/ip_forward", "0" });
	refused(&f, "linux.sysctl: net/ipv4/ip_forward is given twice");
}

static void the_ping_group_range_must_be_mapped(void)
{
	struct fixture f = FIXTURE;

	f.l.namespaces = NAMESPACES(NEW(NETWORK), NEW(USER));
	f.l.uid_mappings = f.l.gid_mappings = MAP({ 0, 100000, 65536 });
	f.l.sysctl = SYSCTL({ "net.ipv4.ping_group_range", "0 2147483647" });
	refused(&f, "linux.sysctl.net.ipv4.ping_group_range: group 2147483647 is not in linux.gidMappings");
	f.l.sysctl = SYSCTL({ "net.ipv4.ping_group_range", "0\t65535" });
	expect(build(&f) == 0);
	f.l.sysctl = SYSCTL({ "net.ipv4.ping_group_range", "all" });
	expect(build(&f) == 0);
	arena_release(&f.a);
}

TAP_MAIN(CASE(nothing_asked_for_plans_nothing), CASE(namespaces_are_created_and_joined), CASE(bad_namespaces_are_refused),
	 CASE(names_need_a_uts_namespace), CASE(a_long_name_is_refused), CASE(clocks_are_set_in_a_created_namespace_only),
	 CASE(given_maps_are_written), CASE(maps_of_a_joined_namespace_only_describe_it),
	 CASE(root_gets_the_identity_map_by_default), CASE(contradictory_maps_are_refused), CASE(the_kernel_takes_340_entries),
	 CASE(without_capability_the_own_id_or_the_helpers), CASE(namespaced_sysctls_are_accepted_in_both_spellings),
	 CASE(sysctls_of_the_host_are_refused), CASE(sysctls_without_their_namespace_are_refused),
	 CASE(sysctl_names_that_lead_elsewhere_are_refused), CASE(one_sysctl_in_two_spellings_is_refused),
	 CASE(the_ping_group_range_must_be_mapped))
