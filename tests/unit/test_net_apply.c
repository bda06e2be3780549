/* Effects of net/ and of the helper program on the running kernel. Needs root; every device lives in a namespace of the test. */
#include "base/cleanup.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/sys.h"
#include "net/net.h"
#include "tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static char helper[4096];

/* Runs body in a child with a network of its own, the "host"; what it expects counts here. */
static void on_a_host(void (*body)(void))
{
	struct err e;
	pid_t pid = proc_fork(SYS_CLONE_NEWNET, NULL, -1, &e);

	if (pid == 0) {
		tap_failed = false;
		body();
		fflush(stdout);
		_exit(tap_failed);
	}
	expect(pid > 0 && proc_wait(pid, &e) == 0);
}

/* A process with a network of its own, the "container". */
static pid_t start_container(void)
{
	struct err e;
	pid_t pid = proc_fork(SYS_CLONE_NEWNET, NULL, -1, &e);

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return pid;
}

static void end_container(pid_t pid)
{
	struct err e;

	kill(pid, SIGKILL);
	expect(proc_wait(pid, &e) == 128 + SIGKILL);
}

static void ip(const char *args)
{
	char command[256];

	snprintf(command, sizeof(command), "ip %s", args);
	if (system(command) != 0)
		expect_str(command, "to work");
}

/* What a command of ip(8) prints, on the host (pid 0) or in a container. */
static const char *look(pid_t pid, const char *args)
{
	static char out[8192];
	char command[256];
	size_t n = 0;

	if (pid)
		snprintf(command, sizeof(command), "nsenter -t %d -n ip %s 2>&1", pid, args);
	else
		snprintf(command, sizeof(command), "ip %s 2>&1", args);
	FILE *f = popen(command, "r");

	if (f) {
		n = fread(out, 1, sizeof(out) - 1, f);
		pclose(f);
	}
	out[n] = '\0';
	return out;
}

static bool shows(pid_t pid, const char *args, const char *text)
{
	return strstr(look(pid, args), text) != NULL;
}

static bool lo_is_up(void)
{
	auto_fd int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq lo = { .ifr_name = "lo" };

	return ioctl(fd, SIOCGIFFLAGS, &lo) == 0 && (lo.ifr_flags & IFF_UP);
}

static void bring_lo_up(void)
{
	struct sockaddr_in local = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(9) };
	auto_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct err e;

	expect(!lo_is_up());
	expect(connect(fd, (struct sockaddr *)&local, sizeof(local)) < 0);
	expect(net_loopback_up(&e) == 0 && lo_is_up());
	expect(connect(fd, (struct sockaddr *)&local, sizeof(local)) == 0);
}

/* From now on socket(2) fails with EPERM for families below `first`. */
static void forbid_sockets_below(unsigned first)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, first, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	expect(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void bring_lo_up_without_inet(void)
{
	struct err e;

	forbid_sockets_below(AF_INET + 1);
	expect(socket(AF_INET, SOCK_DGRAM, 0) < 0);
	expect(net_loopback_up(&e) == 0 && lo_is_up());
}

static void bring_lo_up_without_any(void)
{
	struct err e;

	forbid_sockets_below(AF_MAX);
	expect(net_loopback_up(&e) == -EPERM);
	expect_str(e.text, "lo: socket: Operation not permitted");
}

static void loopback_comes_up(void)
{
	on_a_host(bring_lo_up);
}

static void loopback_comes_up_where_inet_sockets_are_forbidden(void)
{
	on_a_host(bring_lo_up_without_inet);
	on_a_host(bring_lo_up_without_any);
}

static int move(pid_t pid, const struct oci_net_device *devices, size_t n, struct err *e)
{
	struct net_plan p = { .devices = devices, .n_devices = n, .helper = helper };

	return net_move_devices(&p, pid, e);
}

static void move_refused(pid_t pid, const char *from, const char *to, const char *text)
{
	struct oci_net_device d = { from, to };
	struct err e = { 0 };

	expect(move(pid, &d, 1, &e) < 0);
	expect_str(e.text, text);
}

static void move_with_addresses(void)
{
	pid_t pid = start_container();
	struct oci_net_device d = { "v0", "eth0" };
	struct err e = { 0 };
	char other[64];

	ip("link add v0 type veth peer name v1");
	ip("addr add 192.0.2.5/24 brd + dev v0 label v0:x");
	ip("addr add 192.0.2.6/24 dev v0");
	ip("addr add 192.0.2.77/24 dev v0 valid_lft 1000 preferred_lft 1000");
	ip("addr add 198.18.0.88/24 dev v0 scope link");
	ip("addr add 198.51.100.1 peer 198.51.100.2/32 dev v0");
	ip("addr add 2001:db8::5/64 dev v0 nodad");
	ip("addr add 203.0.113.1/24 dev v1");
	ip("link set v0 up");
	/* takes the indices of v0 and v1 over there */
	snprintf(other, sizeof(other), "link add x0 netns %d type veth peer name x1 netns %d", pid, pid);
	ip(other);
	expect(move(pid, &d, 1, &e) == 0);
	expect_str(e.text, "");
	expect(shows(0, "link show v0", "does not exist") && shows(0, "addr show v1", "203.0.113.1/24"));
	expect(shows(pid, "link show eth0", ",UP"));
	expect(shows(pid, "addr show eth0", "inet 192.0.2.5/24 brd 192.0.2.255 scope global eth0\n"));
	expect(shows(pid, "addr show eth0", "inet 192.0.2.6/24 scope global secondary eth0\n"));
	expect(shows(pid, "addr show eth0", "inet 198.51.100.1 peer 198.51.100.2/32 scope global eth0\n"));
	expect(shows(pid, "addr show eth0", "inet6 2001:db8::5/64 scope global nodad"));
	expect(!shows(pid, "addr show eth0", "192.0.2.77") && !shows(pid, "addr show eth0", "198.18.0.88"));
	expect(shows(pid, "link show x0", "state DOWN"));
	end_container(pid);
}

static void devices_move_with_their_permanent_global_addresses(void)
{
	on_a_host(move_with_addresses);
}

static void move_refused_devices(void)
{
	pid_t pid = start_container();
	char other[64];

	ip("link add v0 type veth peer name v1");
	ip("addr add 192.0.2.5/24 dev v0");
	ip("link set v0 up");
	snprintf(other, sizeof(other), "link add eth0 netns %d type veth peer name x1 netns %d", pid, pid);
	ip(other);
	move_refused(pid, "v0", "eth0", "linux.netDevices: v0: eth0: a device of that name is already in the container");
	move_refused(pid, "none", "eth1", "linux.netDevices: none: no such device on the host");
	move_refused(pid, "lo", "eth1", "linux.netDevices: lo: a loopback device cannot be moved");
	move_refused(pid, "v0", "a/b", "linux.netDevices: job: move: \"v0\" \"a/b\": not names of devices");
	move_refused(getpid(), "v0", "eth1", "linux.netDevices: the container's network namespace is the host's own");
	expect(shows(0, "link show v0", ",UP") && shows(0, "addr show v0", "192.0.2.5/24"));
	end_container(pid);
}

static void a_refused_device_stays_as_it_was(void)
{
	on_a_host(move_refused_devices);
}

static void move_by_template(void)
{
	pid_t pid = start_container();
	struct oci_net_device d[] = { { "v0", "eth%d" }, { "v1", "eth%d" }, { "v2", "n%dx" } };
	struct err e = { 0 };

	ip("link add v0 type veth peer name v1");
	ip("link add v2 type veth peer name eth0");
	expect(move(pid, d, 3, &e) == 0);
	expect_str(e.text, "");
	expect(shows(pid, "link show", ": eth0@") && shows(pid, "link show", ": eth1@") && shows(pid, "link show", ": n0x@"));
	expect(shows(0, "link show", ": eth0@") && !shows(0, "link show", ": v"));
	end_container(pid);
}

static void a_template_takes_the_first_free_number(void)
{
	on_a_host(move_by_template);
}

static void move_two_of_three(void)
{
	pid_t pid = start_container();
	struct oci_net_device d[] = { { "v0", "a" }, { "none", "b" }, { "v1", "c" } };
	struct err e = { 0 };

	ip("link add v0 type veth peer name v1");
	expect(move(pid, d, 3, &e) == -EIO);
	expect_str(e.text, "linux.netDevices: none: no such device on the host");
	expect(shows(pid, "link show a", ": a@") && shows(0, "link show v1", ": v1@"));
	end_container(pid);
}

static void what_was_moved_before_a_failure_stays(void)
{
	on_a_host(move_two_of_three);
}

static void a_missing_helper_is_named(void)
{
	struct oci_net_device d = { "v0", "v0" };
	struct net_plan p = { .devices = &d, .n_devices = 1, .helper = "/nowhere/net" };
	struct err e;

	expect(net_move_devices(&p, 1, &e) == -ENOENT);
	expect_str(e.text, "linux.netDevices: /nowhere/net: execute: No such file or directory");
	p.n_devices = 0;
	expect(net_move_devices(&p, 1, &e) == 0);
}

/* The helper of this build: ../../src/helpers/net seen from the test program. */
static bool find_helper(void)
{
	ssize_t n = readlink("/proc/self/exe", helper, sizeof(helper) - 64);

	for (int i = 0; i < 3 && n > 0; i++)
		while (n > 0 && helper[--n] != '/')
			;
	strcpy(helper + (n > 0 ? n : 0), "/src/helpers/net");
	return access(helper, X_OK) == 0;
}

int main(void)
{
	static const struct tap_case cases[] = {
		CASE(loopback_comes_up),
		CASE(loopback_comes_up_where_inet_sockets_are_forbidden),
		CASE(a_missing_helper_is_named),
		CASE(devices_move_with_their_permanent_global_addresses),
		CASE(a_refused_device_stays_as_it_was),
		CASE(a_template_takes_the_first_free_number),
		CASE(what_was_moved_before_a_failure_stays),
	};
	const int without_helper = 3, all = sizeof(cases) / sizeof(cases[0]);

	if (geteuid() != 0) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	bool complete = find_helper() && system("ip -V >/dev/null 2>&1") == 0;

	if (!complete)
		printf("# moving devices not tried: no helper program in this build, or no ip(8)\n");
	return tap_run(cases, complete ? all : without_helper);
}
