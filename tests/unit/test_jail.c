/* test_jail.c - what a process may do that has entered a jail; as root, for which others skip */
#include "base/chan.h"
#include "base/sys.h"
#include "hwvirt-sandbox/supervisor/jail.h"
#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PARENT = -77 };

/* sigaltstack: what the sanitizers do at the end of a program. */
static const char *const calls[] = { "read",      "write", "open",   "openat",     "getdents64",  "fstat", "newfstatat",
				     "getrandom", "close", "getuid", "getpid",     "getppid",     "brk",   "munmap",
				     "lseek",     "poll",  "setuid", "exit_group", "sigaltstack", NULL };
static const struct jail_call rules[] = { JAIL_THREADS, JAIL_IOCTLS('T'), JAIL_PRCTL(PR_SET_PDEATHSIG),
					  JAIL_FCNTL,   JAIL_MEMORY,      { 0 } };

/* Enters a jail and does something there: its exit status, or 1000 + the signal. 999: it could not enter. */
static int in_jail(uint64_t caps, int (*act)(void))
{
	const struct jail j = { .calls = calls, .rules = rules, .caps = caps };
	struct chan a, b;
	struct err e;
	int status;

	if (chan_pair(&a, &b, &e) < 0)
		abort();
	pid_t pid = fork();

	if (pid == 0) {
		int r = jail_process(&j, b.fd, &e);

		if (r < 0)
			_exit(r == -EPERM ? 77 : 99);
		_exit(act());
	}
	chan_close(&b);
	if (waitpid(pid, &status, 0) != pid)
		abort();
	chan_close(&a);
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int look(void)
{
	DIR *d = opendir("/");
	int n = 0;

	while (d && readdir(d))
		n++;
	return d && n == 2 && open("/etc/passwd", O_RDONLY) < 0 && open("/new", O_CREAT | O_WRONLY, 0600) < 0 &&
			       open("..", O_RDONLY | O_DIRECTORY) >= 0 && open("../etc", O_RDONLY) < 0
		       ? 7
		       : 1;
}

static int is_nobody(void)
{
	return getuid() == JAIL_USER && syscall(SYS_setuid, 0) < 0 ? 7 : 1;
}

static int is_root(void)
{
	return getuid() == 0 ? 7 : 1;
}

static int make_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
}

static int make_process(void)
{
	return fork() >= 0;
}

static int other_ioctl(void)
{
	return ioctl(0, 0xae00, NULL) >= 0; /* KVM_GET_API_VERSION */
}

static int terminal_ioctl(void)
{
	struct winsize w;

	(void)ioctl(0, TIOCGWINSZ, &w);
	return 7;
}

static int signal_another(void)
{
	return kill(getppid(), 0) == 0;
}

/* The kernel would send it when there is something to read. */
static int have_another_signalled(void)
{
	return fcntl(0, F_SETOWN, getppid()) == 0;
}

static int choose_the_signal(void)
{
	return fcntl(0, F_SETSIG, SIGTERM) == 0;
}

static int change_flags(void)
{
	int copy = fcntl(0, F_DUPFD_CLOEXEC, 3);

	return copy >= 3 && fcntl(copy, F_GETFL) >= 0 && fcntl(copy, F_SETFD, FD_CLOEXEC) == 0 ? 7 : 1;
}

static int make_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static int turn_into_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED && mprotect(p, 4096, PROT_READ) == 0 && mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0;
}

static int gain(void)
{
	return prctl(PR_SET_DUMPABLE, 1) == 0;
}

static void a_process_has_nothing_but_what_its_list_says(void)
{
	int r = in_jail(0, look);

	if (r == 77) {
		printf("# skipped: needs root\n");
		return;
	}
	expect(r == 7);
	expect(in_jail(0, is_nobody) == 7);
	expect(in_jail(1ull << CAP_CHOWN, is_root) == 7);
	expect(in_jail(0, terminal_ioctl) == 7);
	expect(in_jail(0, make_socket) == 1000 + SIGSYS);
	expect(in_jail(0, make_process) == 1000 + SIGSYS);
	expect(in_jail(0, other_ioctl) == 1000 + SIGSYS);
	expect(in_jail(0, gain) == 1000 + SIGSYS);
}

/* Processes of other virtual machines are the same user's. */
static void a_process_signals_nobody_and_makes_no_code(void)
{
	if (in_jail(0, change_flags) == 77) {
		printf("# skipped: needs root\n");
		return;
	}
	expect(in_jail(0, change_flags) == 7);
	expect(in_jail(0, signal_another) == 1000 + SIGSYS);
	expect(in_jail(0, have_another_signalled) == 1000 + SIGSYS);
	expect(in_jail(0, choose_the_signal) == 1000 + SIGSYS);
	expect(in_jail(0, make_code) == 1000 + SIGSYS);
	expect(in_jail(0, turn_into_code) == 1000 + SIGSYS);
}

/* ---- the lists of our processes ---- */

static const struct {
	const char *name;
	long number, args[4]; /* in place of PARENT: the test's pid */
} forbidden[] = {
	{ "kill", SYS_kill, { PARENT, 0 } },
	{ "tkill", SYS_tkill, { PARENT, 0 } },
	{ "tgkill", SYS_tgkill, { PARENT, PARENT, 0 } },
	{ "rt_sigqueueinfo", SYS_rt_sigqueueinfo, { PARENT, 0 } },
	{ "pidfd_open", 434, { PARENT } },
	{ "ptrace", SYS_ptrace, { 0x4206, PARENT } }, /* SEIZE */
	{ "process_vm_readv", SYS_process_vm_readv, { PARENT } },
	{ "fcntl of the owner", SYS_fcntl, { 0, F_SETOWN, PARENT } },
	{ "fcntl of the signal", SYS_fcntl, { 0, F_SETSIG, SIGTERM } },
	{ "mmap of code", SYS_mmap, { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS } },
	{ "mprotect to code", SYS_mprotect, { 0, 4096, PROT_EXEC } },
	{ "execve", SYS_execve, { 0 } },
	{ "clone", SYS_clone, { SIGCHLD } },
	{ "socket", SYS_socket, { AF_UNIX, SOCK_STREAM } },
	{ "connect", SYS_connect, { 0 } },
	{ "mount", SYS_mount, { 0 } },
	{ "unshare", SYS_unshare, { 0x20000 } }, /* CLONE_NEWNS */
	{ "setns", SYS_setns, { 0 } },
	{ "bpf", SYS_bpf, { 0 } },
	{ "keyctl", SYS_keyctl, { 0 } },
	{ "ioctl of terminals", SYS_ioctl, { 0, TIOCSTI } },
	{ "prctl", SYS_prctl, { PR_SET_DUMPABLE, 1 } },
};

/* Of what is forbidden `which`; nothing when there is none so far. */
static int list_allows(const struct jail *j, size_t which)
{
	const long parent = getpid();
	struct err why;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (jail_enter(j, &why) < 0)
			_exit(99);
		if (which >= sizeof(forbidden) / sizeof(*forbidden))
			(void)syscall(SYS_exit_group, 7); /* not _exit: the sanitizers have calls of their own to make there */
		const long *a = forbidden[which].args;

		(void)syscall(forbidden[which].number, a[0] == PARENT ? parent : a[0], a[1] == PARENT ? parent : a[1],
			      a[2] == PARENT ? parent : a[2], a[3], -1L, 0L);
		_exit(1);
	}
	if (waitpid(pid, &status, 0) != pid)
		abort();
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void none_of_our_processes_reaches_another(void)
{
	const struct jail *const lists[] = { &supervisor_jail, &machine_jail, &file_jail, &exec_jail };
	const size_t n = sizeof(forbidden) / sizeof(*forbidden);

	if (geteuid() != 0) {
		printf("# skipped: needs root\n");
		return;
	}
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		expect(list_allows(lists[i], n) == 7);
		for (size_t k = 0; k < n; k++) {
			int r = list_allows(lists[i], k);

			if (r != 1000 + SIGSYS)
				printf("# list %zu: %s: %d\n", i, forbidden[k].name, r);
			expect(r == 1000 + SIGSYS);
		}
	}
}

TAP_MAIN(CASE(a_process_has_nothing_but_what_its_list_says), CASE(a_process_signals_nobody_and_makes_no_code),
	 CASE(none_of_our_processes_reaches_another))
