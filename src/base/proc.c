#include "base/proc.h"
#include "base/cleanup.h"
#include "base/retry.h"
#include "base/str.h"
#include "base/sys.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static struct sys_clone_args clone_args(uint64_t flags, int cgroup_fd)
{
	/* Where our caller ignores it, nobody's end could be waited for. */
	if (!(flags & SYS_CLONE_PARENT))
		(void)signal(SIGCHLD, SIG_DFL);
	return (struct sys_clone_args){
		.flags = flags | (cgroup_fd >= 0 ? SYS_CLONE_INTO_CGROUP : 0),
		/* CLONE_PARENT takes the exit signal of the caller; the kernel refuses another */
		.exit_signal = flags & SYS_CLONE_PARENT ? 0 : SIGCHLD,
		.cgroup = cgroup_fd >= 0 ? (uint64_t)cgroup_fd : 0,
	};
}

pid_t proc_fork(uint64_t flags, int *pidfd, int cgroup_fd, struct err *e)
{
	int fd = -1;
	struct sys_clone_args args = clone_args(flags | (pidfd ? SYS_CLONE_PIDFD : 0), cgroup_fd);

	args.pidfd = (uint64_t)(uintptr_t)&fd;
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0)
		return err_errno(e, "clone3");
	if (pid > 0 && pidfd)
		*pidfd = fd;
	return pid;
}

/* The child may share our stack, and so must not return from here. It begins below what the compiler may keep under the stack
 * pointer (128 bytes) and touches nothing of ours. */
static long clone_and_call(struct sys_clone_args *args, int (*run)(void *arg), void *arg)
{
	register int (*fn)(void *) __asm__("r12") = run; /* kept across the system call */
	register void *its __asm__("r13") = arg;
	long r;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "sub $128, %%rsp\n\t"
			 "and $-16, %%rsp\n\t"
			 "mov %%r13, %%rdi\n\t"
			 "call *%%r12\n\t"
			 "mov %%eax, %%edi\n\t"
			 "mov %[exit], %%eax\n\t"
			 "syscall\n\t"
			 "hlt\n"
			 "1:"
			 : "=a"(r)
			 : "0"((long)SYS_clone3), "D"(args), "S"(sizeof(*args)), "r"(fn), "r"(its), [exit] "i"(SYS_exit_group)
			 : "rcx", "r11", "memory", "cc");
	return r;
}

pid_t proc_vfork(uint64_t flags, int cgroup_fd, int (*run)(void *arg), void *arg, struct err *e)
{
	struct sys_clone_args args = clone_args(flags | SYS_CLONE_VFORK, cgroup_fd);
	long pid = clone_and_call(&args, run, arg);

	if (pid > 0)
		return (pid_t)pid;
	errno = (int)-pid;
	return err_errno(e, "clone3");
}

#define INITIAL_USERNS 0xEFFFFFFDu /* inode of the first user namespace, PROC_USER_INIT_INO */
#define COMMAND_END    96          /* of /proc/PID/stat: there the command has ended, which has 64 bytes at most */

/* Reads /proc/PID/stat; returns where the blank before field 3 is, NULL with *e set. */
static char *read_stat(struct fd_pile *later, pid_t pid, char text[1024], struct err *e)
{
	char path[32];

	text_format(path, sizeof(path), "/proc/%d/stat", (int)pid);
	auto_fd int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : RETRY(read(fd, text, 1023));

	if (n < 0) {
		/* Only these are news of the process; others, of ourselves. */
		if (errno == ENOENT || errno == ESRCH)
			(void)err_set(e, ESRCH, "no process %d", (int)pid);
		else
			(void)err_errno(e, "%s", path);
		return NULL;
	}
	fd_pile_put(later, &fd);
	text[n] = '\0';
	/* Field 2 is the command in parentheses and may hold anything: start after the last one. Nothing behind it has any. */
	char *p = memrchr(text, ')', n < COMMAND_END ? (size_t)n : COMMAND_END);

	if (!p || p[1] != ' ') {
		(void)err_set(e, EPROTO, "%s: unexpected text", path);
		return NULL;
	}
	return p + 1;
}

/* The given field, counted from 1, or NULL. */
static const char *stat_field(const char *p, int field)
{
	for (int at = 3; p && at < field; at++)
		p = strchr(p + 1, ' ');
	return p ? p + 1 : NULL;
}

int proc_start_time(struct fd_pile *later, pid_t pid, uint64_t *ticks, bool *zombie, struct err *e)
{
	char text[1024];
	const char *p = read_stat(later, pid, text, e), *start = p ? stat_field(p, 22) : NULL;

	if (!p)
		return -e->code;
	if (!start)
		return err_set(e, EPROTO, "/proc/%d/stat: unexpected text", (int)pid);
	*ticks = strtoull(start, NULL, 10);
	if (zombie)
		*zombie = p[1] == 'Z' || p[1] == 'X';
	return 0;
}

int proc_has_executed(pid_t pid, int *signal, struct err *e)
{
	enum { PF_FORKNOEXEC = 0x40 }; /* of the kernel's linux/sched.h; cleared before close-on-exec descriptors are closed */
	char text[1024];
	const char *p = read_stat(NULL, pid, text, e), *flags = p ? stat_field(p, 9) : NULL;

	if (!p)
		return -e->code;
	if (!flags)
		return err_set(e, EPROTO, "/proc/%d/stat: unexpected text", (int)pid);
	if (!(strtoul(flags, NULL, 10) & PF_FORKNOEXEC))
		return 1;
	/* Set before descriptors are closed, too; 0 while it lives. */
	const char *code = stat_field(p, 52);

	*signal = code ? (int)(strtoul(code, NULL, 10) & 0x7f) : 0;
	return 0;
}

int proc_open_exact(pid_t pid, uint64_t ticks, struct err *e)
{
	uint64_t now = 0;
	bool zombie = false;
	auto_fd int fd = sys_pidfd_open(pid);

	if (fd < 0)
		return errno == ESRCH ? err_set(e, ESRCH, "no process %d", (int)pid) : err_errno(e, "pidfd_open %d", (int)pid);
	/* Looked at after the pidfd is held: the number cannot be reused between the two. */
	int r = proc_start_time(NULL, pid, &now, &zombie, e);

	if (r < 0)
		return r;
	if (now != ticks || zombie)
		return err_set(e, ESRCH, "process %d has ended", (int)pid);
	return take_fd(&fd);
}

static int shell_status(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int proc_wait(pid_t pid, struct err *e)
{
	int status;

	if (RETRY(waitpid(pid, &status, __WALL)) < 0)
		return err_errno(e, "waitpid %d", (int)pid);
	return shell_status(status);
}

int proc_exit_status(int pidfd, struct err *e)
{
	struct sys_pidfd_info info = { .mask = SYS_PIDFD_INFO_EXIT };

	if (syscall(SYS_ioctl, pidfd, SYS_PIDFD_GET_INFO, &info) < 0 || !(info.mask & SYS_PIDFD_INFO_EXIT))
		return err_set(e, ENODATA, "the kernel does not tell its exit status");
	return shell_status(info.exit_code);
}

/* The kernel writes 0 for those who may not know; a link that the same people may read tells who they are. */
static bool may_trace(pid_t pid)
{
	char path[48], target[64];

	text_format(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	return readlink(path, target, sizeof(target)) >= 0 || errno == ENOENT;
}

int proc_zombie_status(pid_t pid, uint64_t ticks, struct err *e)
{
	char text[1024];
	bool may = may_trace(pid);
	const char *p = read_stat(NULL, pid, text, e), *start = p ? stat_field(p, 22) : NULL, *code = p ? stat_field(p, 52) : NULL;

	if (!code || !may || p[1] != 'Z' || strtoull(start, NULL, 10) != ticks)
		return err_set(e, ENODATA, "process %d does not tell its exit status", (int)pid);
	return shell_status((int)strtol(code, NULL, 10));
}

int proc_wait_fd(int pidfd, int timeout_ms, struct err *e)
{
	int64_t deadline = timeout_ms < 0 ? 0 : clock_ms() + timeout_ms;

	for (;;) {
		struct pollfd p = { .fd = pidfd, .events = POLLIN };
		int64_t left = timeout_ms < 0 ? -1 : deadline - clock_ms();
		int n = poll(&p, 1, timeout_ms < 0 ? -1 : left > 0 ? (int)left : 0);

		if (n >= 0)
			return n > 0;
		if (errno != EINTR)
			return err_errno(e, "poll");
	}
}

void proc_reset_signals(uint64_t which)
{
	/* The kernel's struct sigaction with SIG_DFL; the C library would refuse signals that it keeps for itself, but our caller
	 * may ignore those as well. Fails for KILL and STOP. */
	const unsigned long by_default[8] = { 0 };
	sigset_t none;

	for (int sig = 1; sig <= 64; sig++)
		if (which & PROC_SIGNAL(sig))
			(void)syscall(SYS_rt_sigaction, sig, by_default, NULL, 8);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

uid_t proc_euid(void)
{
	return (uid_t)getauxval(AT_EUID);
}

bool proc_in_initial_userns(void)
{
	enum { UNKNOWN, NO, YES };
	static int known;
	struct stat st;

	if (known == UNKNOWN)
		known = stat("/proc/self/ns/user", &st) < 0 || st.st_ino == INITIAL_USERNS ? YES : NO;
	return known == YES;
}

bool proc_by_descriptor(void)
{
	const char *name = (const char *)getauxval(AT_EXECFN);

	return name && !strncmp(name, "/dev/fd/", 8);
}

int64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
