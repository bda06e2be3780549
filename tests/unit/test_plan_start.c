/* test_plan_start.c - the part of a plan that a waiting init keeps */
#include "base/cleanup.h"
#include "base/str.h"
#include "plan/plan.h"
#include "tap.h"

#include <string.h>

#define CONFIG(process, more)                                                                                                      \
	"{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"rootfs\"},\"annotations\":{\"a\":\"b\"}," process                          \
	"\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"acct\"],"                        \
	"\"action\":\"SCMP_ACT_ERRNO\"}]},\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"}]}" more "}"
#define PROCESS                                                                                                                    \
	"\"process\":{\"cwd\":\"/\",\"args\":[\"/bin/echo\",\"x\"],\"env\":[\"A=1\"],\"noNewPrivileges\":true,"                    \
	"\"user\":{\"uid\":5,\"gid\":6,\"umask\":23,\"additionalGids\":[7,8]},"                                                    \
	"\"capabilities\":{\"bounding\":[\"CAP_CHOWN\"]}},"
#define HOOKS                                                                                                                      \
	",\"hooks\":{\"startContainer\":[{\"path\":\"/hook\",\"args\":[\"hook\",\"y\"],\"env\":[\"B=2\"],"                         \
	"\"timeout\":3},{\"path\":\"/plain\"}]}"

/* What start needs of the plan of a config, after everything else has gone and its memory was used again. filter: a copy for
 * comparison. */
static const struct plan *start_of(const char *config, struct arena *kept, struct sec_filter *filter)
{
	const struct plan_options o = { .id = "box", .bundle = "/bundle", .preserve_fds = 2 };
	struct arena a = { 0 };
	const struct oci_spec *spec;
	struct host h;
	struct plan p;
	struct err e;

	host_fake(&h, CGROUP_MODE_V2);
	expect(oci_spec_parse(&a, arena_strdup(&a, config), strlen(config), &spec, &e) == 0);
	expect(plan_build(spec, &o, &h, &a, &p, &e) == 0);
	p.sec.selinux = arena_strdup(&a, "label");
	const struct plan *out = plan_of_start(&p, kept);

	if (p.sec.filter) {
		*filter = *p.sec.filter;
		filter->insns = memcpy(arena_alloc(kept, (size_t)filter->n * 8), filter->insns, (size_t)filter->n * 8);
	}
	arena_release(&a);
	for (int i = 0; i < 4; i++)
		memset(arena_alloc(&a, 30000), 'x', 30000);
	arena_release(&a);
	return out;
}

static bool is_guarded_first(const char *config, enum cgroup_mode mode)
{
	auto_arena struct arena a = { 0 };
	const struct plan_options o = { .id = "box", .bundle = "/bundle" };
	const struct oci_spec *spec;
	struct host h;
	struct plan p;
	struct err e;

	host_fake(&h, mode);
	expect(oci_spec_parse(&a, arena_strdup(&a, config), strlen(config), &spec, &e) == 0);
	expect(plan_build(spec, &o, &h, &a, &p, &e) == 0);
	return p.cgroup.guard_first;
}

/* Before init may be as late as the end of what it does itself, if that has nothing to do with a device that may be denied. */
static void devices_are_guarded_before_they_are_used(void)
{
#define MOUNTS(type) ",\"mounts\":[{\"destination\":\"/m\",\"type\":\"" type "\",\"source\":\"/dev/loop0\"}]"
	const char *hook = CONFIG(PROCESS, ",\"hooks\":{\"createContainer\":[{\"path\":\"/hook\"}]}");

	expect(!is_guarded_first(CONFIG(PROCESS, ""), CGROUP_MODE_V2));
	expect(!is_guarded_first(CONFIG(PROCESS, HOOKS), CGROUP_MODE_V2));
	expect(!is_guarded_first(CONFIG(PROCESS, MOUNTS("tmpfs")), CGROUP_MODE_V2));
	expect(is_guarded_first(CONFIG(PROCESS, MOUNTS("ext4")), CGROUP_MODE_V2));
	expect(is_guarded_first(hook, CGROUP_MODE_V2));
}

static void the_last_confinement_and_the_program_are_kept(void)
{
	auto_arena struct arena kept = { 0 };
	struct sec_filter filter = { 0 };
	const struct plan *p = start_of(CONFIG(PROCESS, ""), &kept, &filter);

	expect(p->has_process);
	expect_str(p->proc.argv[0], "/bin/echo");
	expect_str(p->proc.argv[1], "x");
	expect(p->proc.argv[2] == NULL);
	expect(p->proc.keep_fds == 2);
	expect(p->sec.uid == 5 && p->sec.gid == 6 && p->sec.umask == 23 && p->sec.no_new_privs && p->sec.set_groups);
	expect(p->sec.n_groups == 2 && p->sec.groups[0] == 7 && p->sec.groups[1] == 8);
	expect(p->sec.caps.bounding == 1 && p->sec.caps.last == 40);
	expect_str(p->sec.selinux, "label");
	expect(p->sec.apparmor == NULL);
	expect(filter.n > 0 && p->sec.filter->n == filter.n && p->sec.filter->flags == filter.flags);
	expect(memcmp(p->sec.filter->insns, filter.insns, (size_t)filter.n * 8) == 0);
	expect(p->hooks.start_container.n == 0);
}

static void hooks_are_kept_with_what_they_are_told(void)
{
	auto_arena struct arena kept = { 0 };
	struct sec_filter filter;
	const struct plan *p = start_of(CONFIG(PROCESS, HOOKS), &kept, &filter);
	const struct hook_op *v = p->hooks.start_container.v;

	expect(p->hooks.start_container.n == 2);
	expect_str(v[0].path, "/hook");
	expect_str(v[0].where, "hooks.startContainer[0] (/hook)");
	expect_str(v[0].argv[1], "y");
	expect_str(v[0].envp[0], "B=2");
	expect(v[0].argv[2] == NULL && v[0].envp[1] == NULL && v[0].timeout_ms == 3000);
	expect_str(v[1].argv[0], "/plain");
	expect(v[1].envp == NULL && v[1].timeout_ms == -1);
	expect_str(plan_hook_state(p, "created", 1, &kept),
		   "{\"ociVersion\":\"1.2.0\",\"id\":\"box\",\"status\":\"created\",\"pid\":1,\"bundle\":\"/bundle\","
		   "\"annotations\":{\"a\":\"b\"}}");
}

static void without_a_process_nothing_is_kept(void)
{
	auto_arena struct arena kept = { 0 };
	struct sec_filter filter;

	expect(!start_of(CONFIG("", HOOKS), &kept, &filter)->has_process);
}

TAP_MAIN(CASE(devices_are_guarded_before_they_are_used), CASE(the_last_confinement_and_the_program_are_kept),
	 CASE(hooks_are_kept_with_what_they_are_told), CASE(without_a_process_nothing_is_kept))
