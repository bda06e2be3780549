#include "base/log.h"
#include "base/str.h"
#include "security/internal.h"
#include "tap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#define BIT(n) (1ull << (n))
enum { CHOWN = 0, KILL = 5, SETPCAP = 8, NET_RAW = 13, SYS_ADMIN = 21, CHECKPOINT_RESTORE = 40 };

static const struct host full_host = {
	.initial_userns = true, .caps_bounding = BIT(41) - 1, .caps_permitted = BIT(41) - 1, .cap_last = 40
};
static const struct oci_user root_user;
static const struct oci_linux no_linux;
static const struct sec_options plain = { .container_id = "c1" };

/* ---- what was warned of ---- */
static char warnings[4096];

static void note(void *ctx, enum log_level level, const char *text)
{
	(void)ctx;
	if (level == LOG_LEVEL_WARNING && strlen(warnings) + strlen(text) + 2 < sizeof(warnings)) {
		strcat(warnings, text);
		strcat(warnings, "\n");
	}
}

static void listen_to_warnings(void)
{
	warnings[0] = '\0';
	log_set_sink((struct log_sink){ note, NULL, LOG_LEVEL_WARNING });
}

#define STRS(...)                                                                                                                  \
	{                                                                                                                          \
		(const char *[]){ __VA_ARGS__ }, sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(const char *)                    \
	}

static struct arena arena;
static struct sec_plan plan;
static struct err err;

static int build_with(const struct oci_process *p, const struct oci_linux *l, const struct sec_options *o, const struct host *h)
{
	struct oci_process copy = *p;

	listen_to_warnings();
	if (!copy.user)
		copy.user = &root_user;
	memset(&plan, 0, sizeof(plan));
	err.text[0] = '\0';
	return sec_plan_build(&copy, l, o, h, &arena, &plan, &err);
}

static int build(const struct oci_process *p)
{
	return build_with(p, &no_linux, &plain, &full_host);
}

/* ---- tables ---- */
static void a_capability_is_found_by_either_name(void)
{
	expect(cap_from_name("CAP_CHOWN") == CHOWN);
	expect(cap_from_name("net_raw") == NET_RAW);
	expect(cap_from_name("cap_checkpoint_restore") == CHECKPOINT_RESTORE);
	expect(cap_from_name("CAP_") == -1);
	expect(cap_from_name("") == -1);
	expect(cap_from_name("CAP_CHOWNS") == -1);
	expect_str(cap_name(21), "CAP_SYS_ADMIN");
	expect_str(cap_name(40), "CAP_CHECKPOINT_RESTORE");
	expect(cap_name(41) == NULL);
}

static void a_cpu_list_becomes_bits(void)
{
	unsigned long mask[2] = { ~0ul, ~0ul };

	expect(cpu_list_parse("0-3,7", mask, 128, &err) == 0);
	expect(mask[0] == 0x8f && mask[1] == 0);
	expect(cpu_list_parse(" 63-64 , ,127,", mask, 128, &err) == 0);
	expect(mask[0] == 1ul << 63 && mask[1] == (1ul | 1ul << 63));
}

static void a_bad_cpu_list_is_refused_and_writes_nothing(void)
{
	static const char *const bad[] = { "a", "1-", "-1", "3-1", "1 2", "1-2-3", "0x1", "+1", "1;2", "1- 2" };
	unsigned long mask[1] = { 42 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect(cpu_list_parse(bad[i], mask, 64, &err) == -EINVAL);
	expect(cpu_list_parse("", mask, 64, &err) == -EINVAL);
	expect_str(err.text, "list \"\" is empty");
	expect(cpu_list_parse(" , ", mask, 64, &err) == -EINVAL);
	expect(cpu_list_parse("64", mask, 64, &err) == -ERANGE);
	expect_str(err.text, "list \"64\" has a number above 63");
	expect(cpu_list_parse("0-99999999999999999999999999", mask, 64, &err) == -ERANGE);
	expect(mask[0] == 42);
}

/* ---- capabilities ---- */
static void absent_capabilities_are_none(void)
{
	expect(build(&(struct oci_process){ 0 }) == 0);
	expect(plan.caps.bounding == 0 && plan.caps.permitted == 0 && plan.caps.effective == 0);
	expect(plan.caps.inheritable == 0 && plan.caps.ambient == 0);
	expect_str(warnings, "");
}

static void an_unknown_capability_is_warned_of_and_dropped(void)
{
	struct oci_caps c = { .bounding = STRS("CAP_CHOWN", "CAP_FUTURE"), .permitted = STRS("CAP_CHOWN", "CAP_FUTURE") };

	expect(build(&(struct oci_process){ .capabilities = &c }) == 0);
	expect(plan.caps.bounding == BIT(CHOWN) && plan.caps.permitted == BIT(CHOWN));
	expect_str(warnings, "process.capabilities.bounding: unknown capability \"CAP_FUTURE\" ignored\n");
}

static void a_capability_we_lack_is_warned_of_and_dropped(void)
{
	struct oci_caps c = { .bounding = STRS("CAP_CHOWN", "CAP_SYS_ADMIN"),
			      .permitted = STRS("CAP_SYS_ADMIN"),
			      .effective = STRS("CAP_SYS_ADMIN") };
	struct host h = full_host;

	h.caps_bounding &= ~BIT(SYS_ADMIN);
	h.caps_permitted &= ~BIT(SYS_ADMIN);
	expect(build_with(&(struct oci_process){ .capabilities = &c }, &no_linux, &plain, &h) == 0);
	expect(plan.caps.bounding == BIT(CHOWN) && plan.caps.permitted == 0 && plan.caps.effective == 0);
	expect_str(warnings, "process.capabilities: CAP_SYS_ADMIN cannot be granted here, ignored\n");
}

static void a_new_user_namespace_has_every_capability_the_kernel_knows(void)
{
	struct oci_caps c = { .bounding = STRS("CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE"), .permitted = STRS("CAP_SYS_ADMIN") };
	struct host h = { .euid = 1000, .cap_last = 39 };
	struct sec_options o = { .container_id = "c1", .user_ns = true };

	expect(build_with(&(struct oci_process){ .capabilities = &c }, &no_linux, &o, &h) == 0);
	expect(plan.caps.bounding == BIT(SYS_ADMIN) && plan.caps.permitted == BIT(SYS_ADMIN));
	expect_str(warnings, "process.capabilities: CAP_CHECKPOINT_RESTORE cannot be granted here, ignored\n");
	h.cap_last = 40;
	expect(build_with(&(struct oci_process){ .capabilities = &c }, &no_linux, &o, &h) == 0);
	expect(plan.caps.bounding == (BIT(SYS_ADMIN) | BIT(CHECKPOINT_RESTORE)));
}

static void the_sets_are_clipped_to_what_the_kernel_takes(void)
{
	struct oci_caps c = {
		.bounding = STRS("CAP_CHOWN", "CAP_KILL"),
		.permitted = STRS("CAP_CHOWN", "CAP_KILL"),
		.effective = STRS("CAP_CHOWN", "CAP_NET_RAW"),
		.inheritable = STRS("CAP_CHOWN", "CAP_SYS_ADMIN"),
		.ambient = STRS("CAP_CHOWN", "CAP_KILL"),
	};

	expect(build(&(struct oci_process){ .capabilities = &c }) == 0);
	expect(plan.caps.permitted == (BIT(CHOWN) | BIT(KILL)));
	expect(plan.caps.effective == BIT(CHOWN) && plan.caps.inheritable == BIT(CHOWN) && plan.caps.ambient == BIT(CHOWN));
	expect_str(warnings, "process.capabilities.effective: CAP_NET_RAW is not permitted, ignored\n"
			     "process.capabilities.inheritable: CAP_SYS_ADMIN is not in the bounding set, ignored\n");
}

/* ---- identity ---- */
static void minus_one_is_no_id(void)
{
	struct oci_user uid = { .uid = UINT32_MAX }, gid = { .gid = UINT32_MAX };
	struct oci_user extra = { .additional_gids = { (uint32_t[]){ 5, UINT32_MAX }, 2 } };

	expect(build(&(struct oci_process){ .user = &uid }) == -EINVAL);
	expect_str(err.text, "process.user.uid: 4294967295 is not a user id");
	expect(build(&(struct oci_process){ .user = &gid }) == -EINVAL);
	expect_str(err.text, "process.user.gid: 4294967295 is not a group id");
	expect(build(&(struct oci_process){ .user = &extra }) == -EINVAL);
	expect_str(err.text, "process.user.additionalGids[1]: 4294967295 is not a group id");
}

static void the_umask_is_0022_unless_given(void)
{
	struct oci_user zero = { .umask = { 0, true } }, big = { .umask = { 01000, true } };

	expect(build(&(struct oci_process){ 0 }) == 0 && plan.umask == 0022);
	expect(build(&(struct oci_process){ .user = &zero }) == 0 && plan.umask == 0);
	expect(build(&(struct oci_process){ .user = &big }) == -EINVAL);
	expect_str(err.text, "process.user.umask: 512 is above 511 (0777)");
}

static void groups_are_optional_only_for_the_rootless(void)
{
	struct oci_user with = { .additional_gids = { (uint32_t[]){ 5 }, 1 } };
	struct sec_options o = { .container_id = "c1", .user_ns = true };
	struct host h = full_host;

	expect(build_with(&(struct oci_process){ 0 }, &no_linux, &o, &h) == 0 && plan.set_groups);
	h.euid = 1000;
	expect(build_with(&(struct oci_process){ 0 }, &no_linux, &o, &h) == 0 && !plan.set_groups);
	expect(build_with(&(struct oci_process){ .user = &with }, &no_linux, &o, &h) == 0 && plan.set_groups);
	expect(plan.n_groups == 1 && plan.groups[0] == 5);
}

/* ---- limits ---- */
static void limits_keep_their_numbers(void)
{
	struct oci_rlimit v[] = { { "RLIMIT_NOFILE", UINT64_MAX, 1024 }, { "RLIMIT_CORE", 0, 0 } };

	expect(build(&(struct oci_process){ .rlimits = { v, 2 } }) == 0);
	expect(plan.n_rlimits == 2 && plan.rlimits[0].resource == RLIMIT_NOFILE);
	expect(plan.rlimits[0].soft == 1024 && plan.rlimits[0].hard == UINT64_MAX);
	expect_str(plan.rlimits[1].name, "RLIMIT_CORE");
}

static void unknown_and_repeated_limits_are_refused(void)
{
	struct oci_rlimit unknown[] = { { "RLIMIT_CORE", 1, 1 }, { "RLIMIT_FOO", 1, 1 } };
	struct oci_rlimit twice[] = { { "RLIMIT_CORE", 1, 1 }, { "RLIMIT_CPU", 1, 1 }, { "RLIMIT_CORE", 1, 1 } };

	expect(build(&(struct oci_process){ .rlimits = { unknown, 2 } }) == -EINVAL);
	expect_str(err.text, "process.rlimits[1]: unknown limit \"RLIMIT_FOO\"");
	expect(build(&(struct oci_process){ .rlimits = { twice, 3 } }) == -EINVAL);
	expect_str(err.text, "process.rlimits[2]: RLIMIT_CORE is given twice");
}

static void an_oom_score_of_zero_is_a_value(void)
{
	expect(build(&(struct oci_process){ 0 }) == 0 && !plan.oom_score_set);
	expect(build(&(struct oci_process){ .oom_score_adj = { 0, true } }) == 0 && plan.oom_score_set);
	expect(build(&(struct oci_process){ .oom_score_adj = { -1001, true } }) == -EINVAL);
	expect_str(err.text, "process.oomScoreAdj: -1001 is not in -1000..1000");
	expect(build(&(struct oci_process){ .oom_score_adj = { 1001, true } }) == -EINVAL);
}

/* ---- scheduler ---- */
static const char *sched_error(const struct oci_scheduler *s)
{
	return build(&(struct oci_process){ .scheduler = s }) < 0 ? err.text : "";
}

static void a_scheduler_setting_must_fit_its_policy(void)
{
	expect_str(sched_error(&(struct oci_scheduler){ .policy = OCI_SCHED_BATCH, .nice = 19 }), "");
	expect(plan.sched && plan.sched->policy == 3 && plan.sched->nice == 19);
	expect_str(sched_error(&(struct oci_scheduler){ .nice = -21 }), "process.scheduler.nice: -21 is not in -20..19");
	expect_str(sched_error(&(struct oci_scheduler){ .nice = 20 }), "process.scheduler.nice: 20 is not in -20..19");
	expect_str(sched_error(&(struct oci_scheduler){ .priority = 1 }),
		   "process.scheduler.priority: only SCHED_FIFO and SCHED_RR have one");
	expect_str(sched_error(&(struct oci_scheduler){ .policy = OCI_SCHED_RR }), "process.scheduler.priority: 0 is not in 1..99");
	expect_str(sched_error(&(struct oci_scheduler){ .policy = OCI_SCHED_FIFO, .priority = 1, .runtime = 1 }),
		   "process.scheduler: only SCHED_DEADLINE has runtime, deadline and period");
	expect_str(sched_error(&(struct oci_scheduler){ .policy = OCI_SCHED_DEADLINE, .runtime = 1, .deadline = 2, .period = 3 }),
		   "");
	expect(plan.sched->runtime_ns == 1 && plan.sched->deadline_ns == 2 && plan.sched->period_ns == 3);
}

static void scheduler_flags_are_known_by_name(void)
{
	struct oci_scheduler s = { .flags = STRS("SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_UTIL_CLAMP_MAX") };

	expect_str(sched_error(&s), "");
	expect(plan.sched->flags == 0x41);
	s = (struct oci_scheduler){ .flags = STRS("SCHED_FLAG_NONE") };
	expect_str(sched_error(&s), "process.scheduler.flags[0]: unknown flag \"SCHED_FLAG_NONE\"");
}

static void io_priority_is_class_and_level(void)
{
	struct oci_io_priority io = { OCI_IOPRIO_BE, 4 }, bad = { OCI_IOPRIO_RT, 8 };

	expect(build(&(struct oci_process){ .io_priority = &io }) == 0);
	expect(plan.ioprio_set && plan.ioprio == (2 << 13 | 4));
	expect(build(&(struct oci_process){ .io_priority = &bad }) == -EINVAL);
	expect_str(err.text, "process.ioPriority.priority: 8 is not in 0..7");
}

static void affinity_is_for_exec_only(void)
{
	struct oci_cpu_affinity c = { "0-1", "" }, bad = { NULL, "1-x" };
	struct sec_options o = { .container_id = "c1", .exec = true };

	expect(build(&(struct oci_process){ .exec_cpu_affinity = &c }) == 0 && !plan.affinity_initial);
	expect(build_with(&(struct oci_process){ .exec_cpu_affinity = &c }, &no_linux, &o, &full_host) == 0);
	expect(plan.affinity_initial && strcmp(plan.affinity_initial, "0-1") == 0 && !plan.affinity_final);
	expect(build_with(&(struct oci_process){ .exec_cpu_affinity = &bad }, &no_linux, &o, &full_host) == -EINVAL);
	expect_str(err.text, "process.execCPUAffinity.final: \"1-x\" is not a list like 0-3,7");
}

/* ---- labels, personality, memory ---- */
static void a_label_needs_its_lsm(void)
{
	struct host h = full_host;

	expect(build(&(struct oci_process){ .apparmor_profile = "docker-default" }) == -EINVAL);
	expect_str(err.text, "process.apparmorProfile: \"docker-default\" is asked for, but AppArmor is not active on this host");
	expect(build(&(struct oci_process){ .selinux_label = "u:r:t:s0" }) == -EINVAL);
	expect_str(err.text, "process.selinuxLabel: \"u:r:t:s0\" is asked for, but SELinux is not active on this host");
	expect(build(&(struct oci_process){ .apparmor_profile = "", .selinux_label = "" }) == 0 && !plan.apparmor && !plan.selinux);
	h.apparmor = true;
	expect(build_with(&(struct oci_process){ .apparmor_profile = "p" }, &no_linux, &plain, &h) == 0);
	expect_str(plan.apparmor ? plan.apparmor : "", "p");
}

static void personality_zero_is_a_value(void)
{
	struct oci_personality p = { 0 }, p32 = { .domain = 1 };

	expect(build(&(struct oci_process){ 0 }) == 0 && !plan.personality_set);
	expect(build_with(&(struct oci_process){ 0 }, &(struct oci_linux){ .personality = &p }, &plain, &full_host) == 0);
	expect(plan.personality_set && plan.personality == 0);
	expect(build_with(&(struct oci_process){ 0 }, &(struct oci_linux){ .personality = &p32 }, &plain, &full_host) == 0);
	expect(plan.personality_set && plan.personality == 8);
}

static const char *mem_error(const struct oci_mem_policy *m)
{
	struct oci_linux l = { .memory_policy = m };

	return build_with(&(struct oci_process){ 0 }, &l, &plain, &full_host) < 0 ? err.text : "";
}

static void a_memory_policy_has_the_nodes_its_mode_wants(void)
{
	expect_str(mem_error(&(struct oci_mem_policy){ .mode = OCI_MPOL_BIND, .nodes = "0,65" }), "");
	expect(plan.mempolicy_set && plan.mempolicy_mode == 2 && plan.nodes[0] == 1 && plan.nodes[1] == 2);
	expect_str(mem_error(&(struct oci_mem_policy){ .mode = OCI_MPOL_BIND, .nodes = "" }),
		   "linux.memoryPolicy.nodes: this mode needs at least one node");
	expect_str(mem_error(&(struct oci_mem_policy){ .mode = OCI_MPOL_LOCAL, .nodes = "0" }),
		   "linux.memoryPolicy.nodes: MPOL_LOCAL takes no nodes");
	expect_str(mem_error(&(struct oci_mem_policy){ .mode = OCI_MPOL_DEFAULT, .nodes = "" }), "");
	expect_str(mem_error(&(struct oci_mem_policy){ .mode = OCI_MPOL_PREFERRED }), "");
	expect_str(mem_error(&(struct oci_mem_policy){ .mode = OCI_MPOL_INTERLEAVE, .nodes = "1024" }),
		   "linux.memoryPolicy.nodes: list \"1024\" has a number above 1023");
}

static void memory_policy_flags_are_bits_of_the_mode(void)
{
	struct oci_mem_policy ok = { .mode = OCI_MPOL_BIND,
				     .nodes = "0",
				     .flags = STRS("MPOL_F_STATIC_NODES", "MPOL_F_NUMA_BALANCING") };
	struct oci_mem_policy both = { .mode = OCI_MPOL_BIND,
				       .nodes = "0",
				       .flags = STRS("MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES") };
	struct oci_mem_policy odd = { .mode = OCI_MPOL_BIND, .nodes = "0", .flags = STRS("MPOL_F_X") };

	expect_str(mem_error(&ok), "");
	expect(plan.mempolicy_mode == (2 | 1 << 15 | 1 << 13));
	expect_str(mem_error(&both), "linux.memoryPolicy.flags: MPOL_F_RELATIVE_NODES and MPOL_F_STATIC_NODES exclude each other");
	expect_str(mem_error(&odd), "linux.memoryPolicy.flags[0]: unknown flag \"MPOL_F_X\"");
}

/* ---- order and print ---- */
static const char *order(bool no_new_privs)
{
	static char text[256];
	const char *names[SEC_STEPS_MAX + 1];
	struct sec_plan p = { .no_new_privs = no_new_privs };

	text[0] = '\0';
	sec_final_order(&p, names);
	for (size_t i = 0; names[i]; i++) {
		strcat(text, i ? " " : "");
		strcat(text, names[i]);
	}
	return text;
}

static void the_filter_comes_last_or_while_still_privileged(void)
{
	expect_str(order(true), "umask bounding keep_caps ids caps ambient drop_keep_caps no_new_privs label filter");
	expect_str(order(false), "umask label filter bounding keep_caps ids caps ambient drop_keep_caps");
}

static void the_plan_prints_one_line_per_decision(void)
{
	struct oci_user u = { .uid = 7, .gid = 8, .additional_gids = { (uint32_t[]){ 9, 10 }, 2 } };
	struct oci_caps c = { .bounding = STRS("CAP_CHOWN", "CAP_KILL"), .permitted = STRS("CAP_KILL") };
	struct oci_rlimit v[] = { { "RLIMIT_NOFILE", UINT64_MAX, 1024 } };
	struct oci_scheduler s = { .policy = OCI_SCHED_BATCH, .nice = 3 };
	struct oci_mem_policy m = { .mode = OCI_MPOL_BIND, .nodes = "0-2,5" };
	struct sec_options o = { .container_id = "c1", .new_keyring = true };
	struct oci_process p = { .user = &u, .capabilities = &c, .rlimits = { v, 1 }, .scheduler = &s, .no_new_privileges = true };
	struct strbuf text = STRBUF(&arena);

	expect(build_with(&p, &(struct oci_linux){ .memory_policy = &m }, &o, &full_host) == 0);
	sec_plan_print(&plan, &text);
	expect_str(strbuf_str(&text),
		   "user 7 group 8\ngroups 9 10\numask 0022\ncapabilities bounding CAP_CHOWN CAP_KILL\ncapabilities permitted "
		   "CAP_KILL\n"
		   "capabilities effective none\ncapabilities inheritable none\ncapabilities ambient none\nno_new_privs true\n"
		   "limit RLIMIT_NOFILE soft 1024 hard unlimited\n"
		   "scheduler batch nice 3 priority 0 flags 0x0 runtime 0 deadline 0 period 0\n"
		   "memory_policy bind flags 0x0 nodes 0-2,5\nsession_keyring _ses.c1\nseccomp none\n"
		   "order umask bounding keep_caps ids caps ambient drop_keep_caps no_new_privs label filter\n");
}

static void nothing_is_written_on_failure(void)
{
	struct oci_user bad = { .uid = UINT32_MAX };
	struct oci_process p = { .user = &bad };
	struct sec_plan out = { .uid = 77 };

	expect(sec_plan_build(&p, &no_linux, &plain, &full_host, &arena, &out, &err) == -EINVAL);
	expect(out.uid == 77);
	arena_release(&arena); /* the last case */
}

TAP_MAIN(CASE(a_capability_is_found_by_either_name), CASE(a_cpu_list_becomes_bits),
	 CASE(a_bad_cpu_list_is_refused_and_writes_nothing), CASE(absent_capabilities_are_none),
	 CASE(an_unknown_capability_is_warned_of_and_dropped), CASE(a_capability_we_lack_is_warned_of_and_dropped),
	 CASE(a_new_user_namespace_has_every_capability_the_kernel_knows), CASE(the_sets_are_clipped_to_what_the_kernel_takes),
	 CASE(minus_one_is_no_id), CASE(the_umask_is_0022_unless_given), CASE(groups_are_optional_only_for_the_rootless),
	 CASE(limits_keep_their_numbers), CASE(unknown_and_repeated_limits_are_refused), CASE(an_oom_score_of_zero_is_a_value),
	 CASE(a_scheduler_setting_must_fit_its_policy), CASE(scheduler_flags_are_known_by_name),
	 CASE(io_priority_is_class_and_level), CASE(affinity_is_for_exec_only), CASE(a_label_needs_its_lsm),
	 CASE(personality_zero_is_a_value), CASE(a_memory_policy_has_the_nodes_its_mode_wants),
	 CASE(memory_policy_flags_are_bits_of_the_mode), CASE(the_filter_comes_last_or_while_still_privileged),
	 CASE(the_plan_prints_one_line_per_decision), CASE(nothing_is_written_on_failure))
