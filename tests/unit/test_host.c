#include "base/sys.h"
#include "host/host_internal.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void parse(const char *mounts, const char *own, struct arena *a, struct host *h)
{
	char *m = strdup(mounts), *o = strdup(own);

	*h = (struct host){ 0 };
	host_parse_cgroups(m, o, a, h);
	free(m);
	free(o);
}

static void print_hier(const struct host *h, char *out, size_t size)
{
	*out = '\0';
	for (size_t i = 0; i < h->n_hier; i++)
		snprintf(out + strlen(out), size - strlen(out), "[%s %s %s%s]", h->hier[i].mount, h->hier[i].controllers,
			 h->hier[i].own, h->hier[i].v2 ? " v2" : "");
}

#define expect_hier(h, want)                                                                                                       \
	do {                                                                                                                       \
		char text_[2048];                                                                                                  \
		print_hier(h, text_, sizeof(text_));                                                                               \
		expect_str(text_, want);                                                                                           \
	} while (0)

static void hybrid_is_v1_and_cgroup2_together(void)
{
	auto_arena struct arena a = { 0 };
	struct host h;

	parse("31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
	      "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:1 master:2 - cgroup cgroup rw,cpu,cpuacct\n"
	      "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
	      "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
	      "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n",
	      "9:name=systemd:/init\n4:memory:/x/y\n2:cpu,cpuacct:/\n3:cpuset:/\n0::/u\n", &a, &h);
	expect(h.cgroup_mode == CGROUP_MODE_HYBRID);
	expect_hier(&h, "[/sys/fs/cgroup/cpu,cpuacct cpu,cpuacct /][/sys/fs/cgroup/memory memory /x/y]"
			"[/sys/fs/cgroup/systemd name=systemd /init][/sys/fs/cgroup/unified  /u v2]");
}

static void v1_alone_and_v2_alone_and_none(void)
{
	auto_arena struct arena a = { 0 };
	struct host h;

	parse("35 31 0:32 / /cg rw - cgroup none rw,memory\n", "4:memory:/\n0::/\n", &a, &h);
	expect(h.cgroup_mode == CGROUP_MODE_V1);
	parse("35 31 0:32 / /cg2 rw - cgroup2 none rw\n", "4:memory:/\n0::/\n", &a, &h);
	expect(h.cgroup_mode == CGROUP_MODE_V2);
	expect_hier(&h, "[/cg2  / v2]");
	parse("35 31 0:32 / /proc rw - proc proc rw\n", "0::/\n", &a, &h);
	expect(h.cgroup_mode == CGROUP_MODE_NONE && h.n_hier == 0);
}

static void a_name_that_contains_a_controller_is_not_it(void)
{
	auto_arena struct arena a = { 0 };
	struct host h;

	parse("1 0 0:1 / /a rw - cgroup c rw,cpuacct\n2 0 0:2 / /b rw - cgroup c rw,cpu\n", "1:cpu:/\n2:cpuacct:/\n", &a, &h);
	expect_hier(&h, "[/a cpuacct /][/b cpu /]");
}

static void a_mount_that_shows_a_part_is_seen_from_its_own_root(void)
{
	auto_arena struct arena a = { 0 };
	struct host h;

	parse("1 0 0:1 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n", "4:memory:/docker/abc/inner\n", &a, &h);
	expect_hier(&h, "[/sys/fs/cgroup/memory memory /inner]");
	parse("1 0 0:1 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n", "4:memory:/docker/abc\n", &a, &h);
	expect_hier(&h, "[/sys/fs/cgroup/memory memory /]");
}

static void the_usual_place_wins_over_another_mount(void)
{
	auto_arena struct arena a = { 0 };
	struct host h;

	parse("1 0 0:1 / /mnt/with\\040space rw - cgroup c rw,pids\n2 0 0:1 / /sys/fs/cgroup/pids rw - cgroup c rw,pids\n"
	      "3 0 0:1 / /later rw - cgroup c rw,pids\n",
	      "4:pids:/\n", &a, &h);
	expect_hier(&h, "[/sys/fs/cgroup/pids pids /]");
	parse("1 0 0:1 / /mnt/with\\040space rw - cgroup c rw,pids\n", "4:pids:/\n", &a, &h);
	expect_hier(&h, "[/mnt/with space pids /]");
}

static void malformed_lines_are_passed_over(void)
{
	auto_arena struct arena a = { 0 };
	struct host h;

	parse("junk\n1 0 - cgroup\n1 0 0:1 / /x rw - cgroup\n1 0 0:1 / /x rw - cgroupfoo c pids\n - cgroup c pids\n",
	      "nonsense\n4\n4:pids\n4:pids:/\n", &a, &h);
	expect(h.n_hier == 0);
}

static const char *resctrl_of(const char *mounts, struct arena *a)
{
	char *text = strdup(mounts);
	const char *found = host_parse_resctrl(text, a);

	free(text);
	return found ? found : "(none)";
}

static void resctrl_counts_where_all_of_it_is_mounted(void)
{
	auto_arena struct arena a = { 0 };

	expect_str(resctrl_of("35 31 0:32 / /proc rw - proc proc rw\n", &a), "(none)");
	expect_str(resctrl_of("", &a), "(none)");
	expect_str(resctrl_of("35 31 0:32 / /mnt/a\\040b rw shared:3 - resctrl resctrl rw,cdp\n", &a), "/mnt/a b");
	expect_str(resctrl_of("35 31 0:32 /gold /gold rw - resctrl none rw\n", &a), "(none)");
	expect_str(resctrl_of("35 31 0:32 / /one rw - resctrl none rw\n36 31 0:32 / /two rw - resctrl none rw\n"
			      "37 31 0:32 /web /web rw - resctrl none rw\n",
			      &a),
		   "/two");
	expect_str(resctrl_of("35 31 0:32 - resctrl none rw\n35 - resctrl \n", &a), "(none)");
	expect_str(resctrl_of("35 31 0:32 / /one rw - tmpfs resctrl rw\n", &a), "(none)");
}

static void the_running_system_is_probed(void)
{
	auto_arena struct arena a = { 0 };
	struct host h;
	struct err e;

	expect(host_probe(&a, HOST_ALL, &h, &e) == 0);
	expect(h.euid == geteuid());
	expect(h.cap_last >= 37 && h.cap_last < 64);
	expect((h.ns_supported & SYS_CLONE_NEWNS) && (h.ns_supported & SYS_CLONE_NEWPID) && (h.ns_supported & SYS_CLONE_NEWUSER));
	expect(h.v2_controllers != NULL);
	expect((h.cgroup_mode == CGROUP_MODE_NONE) == (h.n_hier == 0));
	for (size_t i = 0; i < h.n_hier; i++)
		expect(h.hier[i].mount[0] == '/' && access(h.hier[i].mount, X_OK) == 0);
}

static void fakes_have_what_the_header_promises(void)
{
	struct host h;

	host_fake(&h, CGROUP_MODE_V1);
	expect(h.n_hier == 9 && !h.hier[8].v2);
	expect_str(h.hier[8].controllers, "name=systemd");
	host_fake(&h, CGROUP_MODE_HYBRID);
	expect(h.n_hier == 10 && h.hier[9].v2);
	host_fake(&h, CGROUP_MODE_V2);
	expect(h.n_hier == 1 && h.hier[0].v2 && h.initial_userns && h.euid == 0);
	expect(h.caps_bounding == (1ull << 41) - 1);
	host_fake(&h, CGROUP_MODE_NONE);
	expect(h.n_hier == 0);
}

TAP_MAIN(CASE(hybrid_is_v1_and_cgroup2_together), CASE(v1_alone_and_v2_alone_and_none),
	 CASE(a_name_that_contains_a_controller_is_not_it), CASE(a_mount_that_shows_a_part_is_seen_from_its_own_root),
	 CASE(the_usual_place_wins_over_another_mount), CASE(malformed_lines_are_passed_over),
	 CASE(resctrl_counts_where_all_of_it_is_mounted), CASE(the_running_system_is_probed),
	 CASE(fakes_have_what_the_header_promises))
