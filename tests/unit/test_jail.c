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

/* sigaltstack: what the sanitizers do at the end of a program. */
static const char *const calls[] = { "read",      "write", "open",   "openat",     "getdents64",  "fstat", "newfstatat",
				     "getrandom", "fcntl", "close",  "getuid",     "brk",         "mmap",  "munmap",
				     "lseek",     "poll",  "setuid", "exit_group", "sigaltstack", NULL };
static const struct jail_call rules[] = { JAIL_THREADS, JAIL_IOCTLS('T'), JAIL_PRCTL(PR_SET_PDEATHSIG), { 0 } };

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

TAP_MAIN(CASE(a_process_has_nothing_but_what_its_list_says))
