/* test_vm_plan.c - one config becomes two, or is refused */
#include "base/str.h"
#include "plan/vm_plan.h"
#include "tap.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static struct err e;

/* A config with further members, and what the namespaces are. */
#define CONFIG(namespaces, members, more)                                                                                          \
	"{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"rootfs\",\"readonly\":true},\"process\":{\"cwd\":\"/\",\"args\":[\"sh\"]}" \
	",\"linux\":{\"namespaces\":[" namespaces "]" members "}" more "}"
#define USUAL "{\"type\":\"mount\"},{\"type\":\"pid\"},{\"type\":\"network\"}"

static int build(struct arena *a, const char *config, struct vm_plan *out)
{
	const struct oci_spec *spec;
	int r = oci_spec_parse(a, arena_strdup(a, config), strlen(config), &spec, &e);

	return r < 0 ? r : vm_plan_build(spec, "/bundle", 4, a, out, &e);
}

static struct vm_plan planned(struct arena *a, const char *config)
{
	struct vm_plan p = { 0 };

	if (build(a, config, &p) < 0) {
		expect_str(e.text, "");
		exit(1);
	}
	return p;
}

static void refused(const char *config, const char *text)
{
	struct arena a = { 0 };
	struct vm_plan p;

	expect(build(&a, config, &p) < 0);
	expect_str(e.text, text);
	arena_release(&a);
}

static void a_container_is_for_a_virtual_machine_by_each_of_three_signs(void)
{
	struct oci_spec s = { 0 };
	struct oci_vm vm = { 0 };
	struct pair isolation = { "org.drupe.isolation", "vm" };

	expect(vm_isolation_of(&s, false) == VM_ISOLATION_OS);
	expect(vm_isolation_of(&s, true) == VM_ISOLATION_VM);
	s.vm = &vm;
	expect(vm_isolation_of(&s, false) == VM_ISOLATION_VM);
	s = (struct oci_spec){ .annotations = { &isolation, 1 } };
	expect(vm_isolation_of(&s, false) == VM_ISOLATION_VM);
	isolation.value = "os";
	expect(vm_isolation_of(&s, false) == VM_ISOLATION_OS);
}

static void sizes_come_from_the_first_that_says(void)
{
	static const struct {
		const char *limits, *more;
		unsigned cpus, mib;
	} cases[] = {
		{ "", "", 1, 256 },
		{ ",\"resources\":{\"memory\":{\"limit\":104857600}}", "", 1, 148 },
		{ ",\"resources\":{\"memory\":{\"limit\":4096}}", "", 1, 64 },
		{ ",\"resources\":{\"cpu\":{\"quota\":150000,\"period\":100000}}", "", 2, 256 },
		{ ",\"resources\":{\"cpu\":{\"quota\":900000,\"period\":100000}}", "", 4, 256 },
		{ "", ",\"annotations\":{\"krun.cpus\":\"3\",\"krun.ram_mib\":\"300\"}", 3, 300 },
		{ "", ",\"annotations\":{\"krun.cpus\":\"3\",\"org.drupe.vm.vcpus\":\"7\"}", 7, 256 },
		{ "", ",\"annotations\":{\"io.katacontainers.config.hypervisor.default_memory\":\"512\"}", 1, 512 },
		{ "",
		  ",\"annotations\":{\"krun.cpus\":\"3\"},"
		  "\"vm\":{\"kernel\":{\"path\":\"/k\"},\"hwConfig\":{\"vcpus\":2,\"memory\":134217729}}",
		  2, 129 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct arena a = { 0 };
		struct strbuf config = STRBUF(&a);

		strbuf_printf(&config, CONFIG(USUAL, "%s", "%s"), cases[i].limits, cases[i].more);
		struct vm_plan p = planned(&a, strbuf_str(&config));

		expect(p.cpus == cases[i].cpus);
		expect(p.memory == (uint64_t)cases[i].mib << 20);
		arena_release(&a);
	}
}

static void sizes_that_make_no_sense_are_refused(void)
{
	refused(CONFIG(USUAL, "", ",\"annotations\":{\"krun.cpus\":\"0\"}"), "annotation krun.cpus: \"0\" is not a number above 0");
	refused(CONFIG(USUAL, "", ",\"annotations\":{\"krun.cpus\":\"65\"}"),
		"65 processors are more than a virtual machine can have (64)");
	refused(CONFIG(USUAL, "", ",\"annotations\":{\"krun.ram_mib\":\"8\"}"),
		"8 MiB of memory are too little for a virtual machine (64)");
	refused(CONFIG(USUAL, "", ",\"annotations\":{\"krun.ram_mib\":\"18446744073709551615\"}"),
		"1048577 MiB of memory are too much for a virtual machine");
}

#define MOUNT(options) ",\"mounts\":[{\"destination\":\"/a\",\"source\":\"/data\",\"options\":[\"bind\"," options "]}]"

static void what_cannot_be_honoured_is_refused(void)
{
	refused(CONFIG("{\"type\":\"mount\"}", "", ""),
		"linux.namespaces: a virtual machine has no network: the container needs a network namespace of its own");
	refused(CONFIG("{\"type\":\"mount\"},{\"type\":\"network\",\"path\":\"/n\"}", "", ""),
		"linux.namespaces[1]: a virtual machine cannot join the network namespace /n");
	refused(CONFIG("{\"type\":\"network\"}", "", ""),
		"linux.namespaces: in a virtual machine the container needs a mount namespace of its own");
	refused(CONFIG(USUAL, ",\"netDevices\":{\"eth0\":{}}", ""),
		"linux.netDevices: devices of the host cannot be moved into a virtual machine");
	refused(CONFIG(USUAL, ",\"devices\":[{\"type\":\"b\",\"path\":\"/dev/sda\",\"major\":8,\"minor\":0}]", ""),
		"linux.devices[0] (/dev/sda): a block device of the host cannot be passed to a virtual machine");
	refused(CONFIG(USUAL, "", MOUNT("\"src-nofollow\"")),
		"mounts[0] (/a): a link cannot be passed to a virtual machine as such");
	refused(CONFIG(USUAL, "", MOUNT("\"ro\",\"copy-symlink\"")),
		"mounts[0] (/a): a link cannot be passed to a virtual machine as such");
	refused(CONFIG(USUAL, "", MOUNT("\"idmap\"")), "mounts[0] (/a): ids cannot be mapped in a virtual machine");
	refused(CONFIG(USUAL, "", MOUNT("\"ridmap=uids=0-5-1;gids=0-5-1\"")),
		"mounts[0] (/a): ids cannot be mapped in a virtual machine");
	refused(CONFIG(USUAL, "", ",\"vm\":{\"kernel\":{\"path\":\"/k\"},\"hypervisor\":{\"path\":\"/usr/bin/qemu\"}}"),
		"vm.hypervisor: drupe has its own");
}

static void the_host_has_room_for_both_and_none_of_the_container(void)
{
	struct arena a = { 0 };
	struct vm_plan p =
		planned(&a, CONFIG(USUAL, ",\"resources\":{\"memory\":{\"limit\":104857600},\"pids\":{\"limit\":5}}", ""));
	const struct oci_resources *r = p.host->linux_->resources;

	expect(r->memory->limit.value == (148 + 16) * 1048576ll);
	expect(!r->pids);
	expect(r->devices.n == 2 && !r->devices.v[0].allow && r->devices.v[1].minor.value == 232);
	expect(p.host->linux_->namespaces.n == 0 && p.host->mounts.n == 0);
	expect(p.guest->linux_->resources->memory->limit.value == 104857600);
	expect(p.guest->linux_->resources->pids->limit.value == 5);
	arena_release(&a);
}

static void bind_mounts_come_from_the_share(void)
{
	struct arena a = { 0 };
	struct vm_plan p = planned(&a, CONFIG(USUAL, "",
					      ",\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
					      "{\"destination\":\"/a\",\"source\":\"/data\",\"options\":[\"rbind\",\"ro\"]},"
					      "{\"destination\":\"/b\",\"source\":\"rel\",\"options\":[\"bind\"]}]"));

	expect(p.n_shares == 3);
	expect_str(p.shares[0].name, "rootfs");
	expect_str(p.shares[0].source, "/bundle/rootfs");
	expect_str(p.shares[0].where, "root.path");
	expect_str(p.shares[1].source, "/data");
	expect_str(p.shares[1].where, "mounts[1] (/a)");
	expect(p.shares[1].readonly && p.shares[1].recursive);
	expect_str(p.shares[2].source, "/bundle/rel");
	expect(!p.shares[2].readonly && !p.shares[2].recursive);
	expect_str(p.guest->mounts.v[0].source, "proc");
	expect_str(p.guest->mounts.v[1].source, "/run/share/m/1");
	expect_str(p.guest->mounts.v[2].source, "/run/share/m/2");
	expect_str(p.guest->root->path, "/run/share/rootfs");
	expect(p.guest->root->readonly);
	arena_release(&a);
}

static void a_bind_mount_without_a_source_is_no_share(void)
{
	struct arena a = { 0 };
	struct vm_plan p =
		planned(&a, CONFIG(USUAL, "", ",\"mounts\":[{\"destination\":\"/a\",\"source\":\"\",\"options\":[\"bind\"]}]"));
	struct plan guest;

	expect(p.n_shares == 1);
	expect(vm_plan_guest(&p, "c", &a, &guest, &e) < 0);
	expect(strstr(e.text, "mounts[0] (/a)"));
	arena_release(&a);
}

static void the_guest_has_a_plan_of_its_own(void)
{
	struct arena a = { 0 };
	struct vm_plan p = planned(&a, CONFIG(USUAL, ",\"resources\":{\"memory\":{\"limit\":104857600,\"swap\":104857600}}", ""));
	struct plan guest;

	expect(vm_plan_guest(&p, "c", &a, &guest, &e) == 0);
	expect_str(guest.rootfs.root, "/run/share/rootfs");
	expect_str(guest.cgroup.ref.dirs[0].path, "/sys/fs/cgroup/container");
	/* The agent ignores SIGPIPE, its container does not. */
	expect(guest.proc.ignored_signals == 1ull << (SIGPIPE - 1));
	for (size_t i = 0; i < guest.cgroup.n_writes; i++)
		expect(!strstr(guest.cgroup.writes[i].file, "swap"));
	arena_release(&a);
}

static int update(struct arena *a, const char *limits, const char *change, struct vm_update *out)
{
	struct vm_plan p = planned(a, CONFIG(USUAL, "", ",\"annotations\":{\"krun.ram_mib\":\"128\",\"krun.cpus\":\"2\"}"));
	const struct oci_resources *old, *wanted;

	if (oci_resources_parse(a, arena_strdup(a, limits), strlen(limits), &old, &e) < 0 ||
	    oci_resources_parse(a, arena_strdup(a, change), strlen(change), &wanted, &e) < 0)
		return -e.code;
	return vm_update_build(&p, old, wanted, cgroup_resources_merge(old, wanted, a), a, out, &e);
}

static void an_update_is_divided_as_the_limits_were(void)
{
	struct arena a = { 0 };
	struct vm_update u = { 0 };

	expect(update(&a, "{\"cpu\":{\"period\":50000},\"pids\":{\"limit\":9}}",
		      "{\"memory\":{\"limit\":83886080,\"swap\":90000000},\"cpu\":{\"quota\":100000},\"pids\":{\"limit\":5}}",
		      &u) == 0);
	expect(u.host->cpu->quota.value == 100000 && !u.host->memory && !u.host->pids && !u.host->devices.n);
	expect(u.guest->memory->limit.value == 83886080 && !u.guest->memory->swap.set && u.guest->pids->limit.value == 5);
	expect(!u.guest->cpu && u.guest_old->pids->limit.value == 9 && !u.guest_old->cpu);
	arena_release(&a);
}

static void an_update_to_more_than_the_machine_has_is_refused(void)
{
	static const struct {
		const char *old, *update, *text;
	} cases[] = {
		{ "{}", "{\"memory\":{\"limit\":83886081}}",
		  "linux.resources.memory.limit: 83886081 bytes are more than the virtual machine has for its container (83886080, "
		  "of "
		  "134217728)" },
		{ "{\"memory\":{\"limit\":99999999}}", "{\"memory\":{\"limit\":99999999}}", NULL },
		{ "{}", "{\"memory\":{\"limit\":-1}}", NULL },
		{ "{}", "{\"cpu\":{\"quota\":200001}}",
		  "linux.resources.cpu: the time of 3 processors is more than the virtual machine has (2)" },
		{ "{\"cpu\":{\"quota\":200000}}", "{\"cpu\":{\"period\":50000}}",
		  "linux.resources.cpu: the time of 4 processors is more than the virtual machine has (2)" },
		{ "{\"cpu\":{\"quota\":900000}}", "{\"cpu\":{\"shares\":5}}", NULL },
		{ "{\"cpu\":{\"quota\":900000}}", "{\"cpu\":{\"quota\":-1}}", NULL },
		{ "{}", "{\"network\":{\"classID\":1}}", "linux.resources.network: not in a virtual machine" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena a = { 0 };
		struct vm_update u;

		e.text[0] = '\0';
		expect((update(&a, cases[i].old, cases[i].update, &u) < 0) == (cases[i].text != NULL));
		expect_str(e.text, cases[i].text ? cases[i].text : "");
		arena_release(&a);
	}
}

TAP_MAIN(CASE(a_container_is_for_a_virtual_machine_by_each_of_three_signs), CASE(sizes_come_from_the_first_that_says),
	 CASE(sizes_that_make_no_sense_are_refused), CASE(what_cannot_be_honoured_is_refused),
	 CASE(the_host_has_room_for_both_and_none_of_the_container), CASE(bind_mounts_come_from_the_share),
	 CASE(a_bind_mount_without_a_source_is_no_share), CASE(the_guest_has_a_plan_of_its_own),
	 CASE(an_update_is_divided_as_the_limits_were), CASE(an_update_to_more_than_the_machine_has_is_refused))
