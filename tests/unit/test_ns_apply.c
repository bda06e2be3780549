/* Effects of namespaces/ on the running kernel. Needs root; works in namespaces of its own and leaves nothing. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/retry.h"
#include "base/str.h"
#include "namespaces/ns.h"
#include "tap.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>

/* Runs body in a child in new namespaces; what it expects counts here. */
static void inside(uint64_t flags, void (*body)(void))
{
	struct err e;
	pid_t pid = proc_fork(flags, NULL, -1, &e);

	if (pid == 0) {
		tap_failed = false;
		body();
		fflush(stdout);
		_exit(tap_failed);
	}
	expect(pid > 0 && proc_wait(pid, &e) == 0);
}

static pid_t sleeper(uint64_t flags)
{
	struct err e;
	pid_t pid = proc_fork(flags, NULL, -1, &e);

	if (pid == 0)
		for (;;)
			pause();
	return pid;
}

static void end(pid_t pid)
{
	struct err e;

	kill(pid, SIGKILL);
	expect(proc_wait(pid, &e) == 128 + SIGKILL);
}

static int open_one(int type, const char *path, uint32_t set, struct err *e)
{
	struct ns_plan p = { .n_join = 1, .set = set, .join[0] = { type, ns_flag(type), path, "linux.namespaces[0]" } };
	int fds[OCI_NS_COUNT], r = ns_open(&p, fds, e);

	if (r < 0)
		return r;
	expect(fds[1] == -1 && fds[OCI_NS_COUNT - 1] == -1);
	return fds[0];
}

static void refused(int type, const char *path, uint32_t set, const char *text)
{
	struct err e = { 0 };
	int lowest = dup(0), after;

	close(lowest);
	expect(open_one(type, path, set, &e) < 0);
	expect_str(e.text, text);
	after = dup(0);
	close(after);
	expect(after == lowest); /* nothing stayed open */
}

static void every_type_of_namespace_is_opened(void)
{
	for (int type = 0; type < OCI_NS_COUNT; type++) {
		pid_t pid = sleeper(type == OCI_NS_USER ? SYS_CLONE_NEWUSER : 0);
		struct err e;
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, ns_proc_name(type));
		auto_fd int fd = open_one(type, path, 0, &e);

		expect(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
		end(pid);
	}
}

static void a_namespace_of_another_type_is_refused(void)
{
	refused(OCI_NS_PID, "/proc/self/ns/net", 0,
		"linux.namespaces[0]: /proc/self/ns/net: is a network namespace, not a pid namespace");
	refused(OCI_NS_USER, "/proc/self/ns/ipc", 0,
		"linux.namespaces[0]: /proc/self/ns/ipc: is an ipc namespace, not a user namespace");
}

static void what_is_no_namespace_is_refused_without_opening_it(void)
{
	char dir[] = "/tmp/drupe-test-XXXXXX", fifo[64], text[128];

	expect(mkdtemp(dir) != NULL);
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	expect(mkfifo(fifo, 0600) == 0);
	snprintf(text, sizeof(text), "linux.namespaces[0]: %s: is not a namespace", fifo);
	alarm(60);
	refused(OCI_NS_NETWORK, fifo, 0, text);
	alarm(0);
	unlink(fifo);
	rmdir(dir);
	refused(OCI_NS_NETWORK, "/dev/null", 0, "linux.namespaces[0]: /dev/null: is not a namespace");
	refused(OCI_NS_NETWORK, "/proc/self/status", 0, "linux.namespaces[0]: /proc/self/status: is not a namespace");
	refused(OCI_NS_NETWORK, "/", 0, "linux.namespaces[0]: /: is not a namespace");
}

static void a_dead_process_has_no_namespace(void)
{
	pid_t pid = sleeper(0);
	char path[64], text[128];

	end(pid);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	snprintf(text, sizeof(text), "linux.namespaces[0]: %s: No such file or directory", path);
	refused(OCI_NS_NETWORK, path, 0, text);
}

static void our_own_namespace_is_refused_where_it_matters(void)
{
	struct err e;
	auto_fd int fd = open_one(OCI_NS_NETWORK, "/proc/self/ns/net", SYS_CLONE_NEWUTS, &e);

	expect(fd >= 0);
	refused(OCI_NS_NETWORK, "/proc/self/ns/net", SYS_CLONE_NEWNET,
		"linux.namespaces[0]: /proc/self/ns/net: is the runtime's own network namespace, but a sysctl asked for would be "
		"set in it");
	refused(OCI_NS_UTS, "/proc/self/ns/uts", SYS_CLONE_NEWUTS,
		"linux.namespaces[0]: /proc/self/ns/uts: is the runtime's own uts namespace, but a name asked for would be set in "
		"it");
	refused(OCI_NS_USER, "/proc/self/ns/user", 0,
		"linux.namespaces[0]: /proc/self/ns/user: is the runtime's own user namespace, which cannot be joined");
}

static void one_bad_namespace_closes_the_others(void)
{
	struct ns_plan p = { .n_join = 2,
			     .join = { { OCI_NS_IPC, SYS_CLONE_NEWIPC, "/proc/self/ns/ipc", "a" },
				       { OCI_NS_PID, SYS_CLONE_NEWPID, "/nowhere", "b" } } };
	int fds[OCI_NS_COUNT], lowest = dup(0), after;
	struct err e;

	close(lowest);
	expect(ns_open(&p, fds, &e) == -ENOENT);
	expect_str(e.text, "b: /nowhere: No such file or directory");
	after = dup(0);
	close(after);
	expect(after == lowest);
}

static void proc_text(pid_t pid, const char *name, const char *want)
{
	auto_arena struct arena a = { 0 };
	struct err e;
	char path[64], *text;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	if (file_read_pseudo(AT_FDCWD, path, 4096, &a, &text, &e) < 0)
		text = e.text;
	expect_str(text, want);
}

static struct oci_id_map two[] = { { 0, 100000, 10 }, { 10, 200000, 5 } }, one[] = { { 0, 300000, 7 } };
static const struct oci_id_map_list two_ids = { two, 2 }, one_id = { one, 1 };

static void maps_are_written(void)
{
	struct ns_plan p = { .uid_map = two_ids, .gid_map = one_id, .deny_setgroups = true };
	pid_t pid = sleeper(SYS_CLONE_NEWUSER);
	struct err e;

	expect(ns_write_maps(&p, pid, &e) == 0);
	proc_text(pid, "uid_map", "         0     100000         10\n        10     200000          5\n");
	proc_text(pid, "gid_map", "         0     300000          7\n");
	proc_text(pid, "setgroups", "deny\n");
	expect(ns_write_maps(&p, pid, &e) == -EPERM);
	expect_str(e.text, "user namespace: uid_map: Operation not permitted");
	end(pid);
	expect(ns_write_maps(&p, pid, &e) == -ENOENT);
}

static void without_maps_nothing_is_written(void)
{
	struct ns_plan p = { .map_by_helper = true };
	struct err e;

	expect(ns_write_maps(&p, 1, &e) == 0);
}

static void a_map_above_a_page_is_explained(void)
{
	struct oci_id_map many[340];
	struct ns_plan p = { .uid_map = { many, 340 }, .gid_map = one_id };
	pid_t pid = sleeper(SYS_CLONE_NEWUSER);
	struct err e;

	for (uint32_t i = 0; i < 340; i++)
		many[i] = (struct oci_id_map){ 1000000000 + i, 1000000000 + i, 1 };
	expect(ns_write_maps(&p, pid, &e) == -EINVAL);
	expect(str_starts(e.text, "user namespace: uid_map: 340 entries make a text of 8160 bytes, the kernel takes less than "));
	end(pid);
}

/* Puts a script in place of the helper, in this mount namespace only. */
static void fake_helper(const char *name, const char *script)
{
	char path[64];

	snprintf(path, sizeof(path), "/usr/sbin/%s", name);
	auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	struct err e;

	expect(fd >= 0 && fd_write_all(fd, script, strlen(script), &e) == 0);
}

static void with_fake_helpers(void)
{
	struct ns_plan p = { .uid_map = two_ids, .gid_map = one_id, .map_by_helper = true };
	struct err e;

	expect(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	expect(mount("test", "/usr/sbin", "tmpfs", 0, NULL) == 0);
	expect(ns_write_maps(&p, 77, &e) == -EPERM);
	expect_str(e.text, "user namespace: newuidmap: execute: No such file or directory");
	fake_helper("newuidmap", "#!/bin/sh\necho $* $PATH >/usr/sbin/args\n");
	fake_helper("newgidmap", "#!/bin/sh\nread x\necho newgidmap: gid range not allowed >&2\necho >&2; exit 1\n");
	expect(ns_write_maps(&p, 77, &e) == -EPERM);
	expect_str(e.text, "user namespace: newgidmap: gid range not allowed");
	auto_arena struct arena a = { 0 };
	char *args = NULL;

	expect(file_read(AT_FDCWD, "/usr/sbin/args", 4096, false, &a, &args, &e) > 0);
	expect_str(args ? args : "", "77 0 100000 10 10 200000 5 /usr/bin:/bin:/usr/sbin:/sbin\n");
	fake_helper("newgidmap", "#!/bin/sh\necho newgidmapper: a >&2; echo b; exit 1\n");
	expect(ns_write_maps(&p, 77, &e) == -EPERM);
	expect_str(e.text, "user namespace: newgidmap: newgidmapper: a b");
	fake_helper("newgidmap", "#!/bin/sh\nexit 0\n");
	expect(ns_write_maps(&p, 77, &e) == 0);
	fake_helper("newgidmap", "#!/bin/sh\nexit 3\n");
	expect(ns_write_maps(&p, 77, &e) == -EPERM);
	expect_str(e.text, "user namespace: newgidmap: exit status 3");
}

static void helpers_map_what_we_may_not(void)
{
	if (access("/usr/bin/newuidmap", F_OK) == 0)
		printf("# not tried: newuidmap is installed where the fake one would stand\n");
	else
		inside(SYS_CLONE_NEWNS, with_fake_helpers);
}

static void join_and_look(void)
{
	struct err e;
	int fd = ns_make_userns(&two_ids, &one_id, &e);

	expect(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	expect(RETRY(waitpid(-1, NULL, 0)) == -1 && errno == ECHILD);
	expect(sys_setns(fd, SYS_CLONE_NEWUSER) == 0);
	proc_text(getpid(), "uid_map", "         0     100000         10\n        10     200000          5\n");
	proc_text(getpid(), "gid_map", "         0     300000          7\n");
}

static void refuse_bad_userns(void)
{
	struct oci_id_map twice[] = { { 0, 1, 5 }, { 0, 9, 5 } };
	struct oci_id_map_list bad = { twice, 2 };
	struct err e;

	expect(ns_make_userns(&one_id, &bad, &e) == -EINVAL);
	expect_str(e.text, "user namespace for an id-mapped mount: gid_map: Invalid argument");
	expect(RETRY(waitpid(-1, NULL, 0)) == -1 && errno == ECHILD);
}

static void a_user_namespace_is_made_without_a_process(void)
{
	inside(0, join_and_look);
	inside(0, refuse_bad_userns);
}

static void rename_us(void)
{
	struct ns_plan p = { .hostname = "box", .domainname = "example" };
	struct utsname u;
	struct err e;

	expect(ns_set_names(&p, &e) == 0 && uname(&u) == 0);
	expect_str(u.nodename, "box");
	expect_str(u.domainname, "example");
}

static void names_are_set_inside_only(void)
{
	struct utsname before, after;

	expect(uname(&before) == 0);
	inside(SYS_CLONE_NEWUTS, rename_us);
	expect(uname(&after) == 0);
	expect_str(after.nodename, before.nodename);
}

static void set_sysctls(void)
{
	struct pair v[] = { { "net/ipv4/ip_default_ttl", "77" }, { "kernel/msgmax", "4242" }, { "net/ipv4/nothing", "1" } };
	struct ns_plan p = { .sysctl = { v, 2 } };
	int procfs = -1;
	struct err e;

	if (ns_set_sysctl(&p, &procfs, &e) < 0)
		expect_str(e.text, "");
	expect(procfs >= 0 && close(procfs) == 0);
	procfs = -1;
	proc_text(getpid(), "../sys/net/ipv4/ip_default_ttl", "77\n");
	proc_text(getpid(), "../sys/kernel/msgmax", "4242\n");
	p.sysctl.n = 3;
	expect(ns_set_sysctl(&p, &procfs, &e) == -ENOENT && procfs == -1);
	expect_str(e.text, "linux.sysctl: /proc/sys/net/ipv4/nothing: No such file or directory");
}

static void sysctls_are_set_inside_only(void)
{
	auto_arena struct arena a = { 0 };
	struct err e;
	char *before = NULL;

	expect(file_read_pseudo(AT_FDCWD, "/proc/sys/net/ipv4/ip_default_ttl", 64, &a, &before, &e) > 0);
	inside(SYS_CLONE_NEWNET | SYS_CLONE_NEWIPC, set_sysctls);
	if (before)
		proc_text(getpid(), "../sys/net/ipv4/ip_default_ttl", before);
}

int main(void)
{
	static const struct tap_case cases[] = {
		CASE(every_type_of_namespace_is_opened),
		CASE(a_namespace_of_another_type_is_refused),
		CASE(what_is_no_namespace_is_refused_without_opening_it),
		CASE(a_dead_process_has_no_namespace),
		CASE(our_own_namespace_is_refused_where_it_matters),
		CASE(one_bad_namespace_closes_the_others),
		CASE(maps_are_written),
		CASE(without_maps_nothing_is_written),
		CASE(a_map_above_a_page_is_explained),
		CASE(helpers_map_what_we_may_not),
		CASE(a_user_namespace_is_made_without_a_process),
		CASE(names_are_set_inside_only),
		CASE(sysctls_are_set_inside_only),
	};

	if (geteuid() != 0) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	return tap_run(cases, sizeof(cases) / sizeof(cases[0]));
}
