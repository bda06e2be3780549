/* probe.c - what a process inside a container sees of itself, one fact per line, for tests
 *
 *	probe COMMAND [ARGS] [, COMMAND [ARGS]]...
 *
 * Static, needs nothing but the kernel: no shell, no /proc for most commands. A command prints "name value..." lines on stdout and
 * the exit status is 0; what it can't find out is printed as "name error ERRNO-NAME". Status 2 means wrong usage.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

extern char **environ;

static const char *errno_name(int err)
{
	static char number[16];

#define CASE(E)                                                                                                                    \
	case E:                                                                                                                    \
		return #E
	switch (err) {
		CASE(EPERM);
		CASE(ENOENT);
		CASE(ESRCH);
		CASE(EIO);
		CASE(ENXIO);
		CASE(EBADF);
		CASE(ECHILD);
		CASE(EAGAIN);
		CASE(ENOMEM);
		CASE(EACCES);
		CASE(EFAULT);
		CASE(EBUSY);
		CASE(EEXIST);
		CASE(EXDEV);
		CASE(ENODEV);
		CASE(ENOTDIR);
		CASE(EISDIR);
		CASE(EINVAL);
		CASE(ENOTTY);
		CASE(ENOSPC);
		CASE(EROFS);
		CASE(ENOSYS);
		CASE(ELOOP);
		CASE(ENOTSUP);
		CASE(ECONNREFUSED);
		CASE(ENETUNREACH);
		CASE(ENOKEY);
		CASE(EDOM);
		CASE(ERANGE);
		CASE(ENOTUNIQ);
		CASE(ETXTBSY);
	}
#undef CASE
	snprintf(number, sizeof number, "%d", err);
	return number;
}

/* Prints "name value" or, for a negative value, the error of the system call just made. */
static int print_result(const char *name, long value)
{
	if (value < 0)
		printf("%s error %s\n", name, errno_name(errno));
	else
		printf("%s %ld\n", name, value);
	return 0;
}

static int print_error(const char *name)
{
	return print_result(name, -1);
}

static long number(const char *text)
{
	char *end = NULL;
	long n = (long)strtoull(text, &end, 0);

	if (end == text || *end != '\0') {
		fprintf(stderr, "probe: %s: not a number\n", text);
		exit(2);
	}
	return n;
}

static int copy_file(const char *path)
{
	char buf[4096];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return print_error(path);
	while ((n = read(fd, buf, sizeof buf)) > 0)
		fwrite(buf, 1, (size_t)n, stdout);
	if (n < 0)
		print_error(path);
	close(fd);
	return 0;
}

/* Prints "NAME -> TARGET" for each link of a directory such as /proc/self/fd. */
static int print_links(const char *path, int (*skip)(const char *name, int own_fd))
{
	DIR *d = opendir(path);
	char target[4096];

	if (!d)
		return print_error(path);
	for (const struct dirent *e; (e = readdir(d));) {
		if (e->d_name[0] == '.' || (skip && skip(e->d_name, dirfd(d))))
			continue;
		ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof target - 1);
		target[n < 0 ? 0 : n] = '\0';
		printf("%s %s\n", e->d_name, target);
	}
	closedir(d);
	return 0;
}

static int is_own_fd(const char *name, int own_fd)
{
	return atoi(name) == own_fd;
}

static int cmd_fds(char **argv)
{
	(void)argv;
	return print_links("/proc/self/fd", is_own_fd);
}

static int cmd_ns(char **argv)
{
	(void)argv;
	return print_links("/proc/self/ns", NULL);
}

static int cmd_caps(char **argv)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	uint64_t bounding = 0, ambient = 0;

	(void)argv;
	if (syscall(SYS_capget, &head, data) < 0)
		return print_error("caps");
	for (int cap = 0; cap < 64; cap++) {
		bounding |= prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 ? 1ULL << cap : 0;
		ambient |= prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1 ? 1ULL << cap : 0;
	}
	printf("inheritable %08x%08x\npermitted %08x%08x\neffective %08x%08x\nbounding %016llx\nambient %016llx\n",
	       data[1].inheritable, data[0].inheritable, data[1].permitted, data[0].permitted, data[1].effective, data[0].effective,
	       (unsigned long long)bounding, (unsigned long long)ambient);
	return 0;
}

static int cmd_ids(char **argv)
{
	static gid_t groups[65536];
	uid_t r, e, s;
	mode_t mask = umask(0);
	int n = getgroups(COUNT(groups), groups);

	(void)argv;
	umask(mask);
	getresuid(&r, &e, &s);
	printf("uid %u %u %u\n", r, e, s);
	getresgid(&r, &e, &s);
	printf("gid %u %u %u\ngroups", r, e, s);
	for (int i = 0; i < n; i++)
		printf(" %u", groups[i]);
	printf("\numask %04o\npid %d\nppid %d\nsid %d\npgid %d\n", mask, getpid(), getppid(), getsid(0), getpgrp());
	return 0;
}

static int cmd_rlimits(char **argv)
{
	static const char *const names[] = { "CPU",     "FSIZE", "DATA",  "STACK",      "CORE",     "RSS",  "NPROC",  "NOFILE",
					     "MEMLOCK", "AS",    "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME" };
	struct rlimit l;

	(void)argv;
	for (size_t i = 0; i < COUNT(names); i++) {
		if (getrlimit((int)i, &l) < 0) {
			print_error(names[i]);
			continue;
		}
		const rlim_t v[2] = { l.rlim_cur, l.rlim_max };
		printf("%s", names[i]);
		for (int k = 0; k < 2; k++)
			if (v[k] == RLIM_INFINITY)
				printf(" unlimited");
			else
				printf(" %llu", (unsigned long long)v[k]);
		printf("\n");
	}
	return 0;
}

static int cmd_nnp(char **argv)
{
	(void)argv;
	return print_result("nnp", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

/* Prints the lines of /proc/self/status that begin with the given word. */
static int print_status(const char *word)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];

	if (!f)
		return print_error("status");
	while (fgets(line, sizeof line, f))
		if (strncmp(line, word, strlen(word)) == 0)
			fputs(line, stdout);
	fclose(f);
	return 0;
}

static int cmd_seccomp(char **argv)
{
	(void)argv;
	print_result("mode", prctl(PR_GET_SECCOMP, 0, 0, 0, 0));
	return print_status("Seccomp_filters");
}

static int cmd_mask(char **argv)
{
	sigset_t set;
	struct sigaction sa;

	(void)argv;
	sigprocmask(SIG_BLOCK, NULL, &set);
	printf("blocked");
	for (int s = 1; s <= 64; s++)
		if (sigismember(&set, s) == 1)
			printf(" %d", s);
	printf("\nignored");
	for (int s = 1; s <= 64; s++)
		if (sigaction(s, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN)
			printf(" %d", s);
	printf("\n");
	return 0;
}

/* syscall NR [ARG]...: an argument @TEXT passes a pointer to TEXT. */
static int cmd_syscall(char **argv)
{
	long a[6] = { 0 };

	for (int i = 0; i < 6 && argv[1 + i]; i++)
		a[i] = argv[1 + i][0] == '@' ? (long)(argv[1 + i] + 1) : number(argv[1 + i]);
	return print_result("result", syscall(number(argv[0]), a[0], a[1], a[2], a[3], a[4], a[5]));
}

/* syscall32 NR [ARG]...: by the door of 32-bit programs. */
static int cmd_syscall32(char **argv)
{
#ifdef __x86_64__
	long a[3] = { 0 }, r = number(argv[0]);

	for (int i = 0; i < 3 && argv[1 + i]; i++)
		a[i] = number(argv[1 + i]);
	__asm__ volatile("int $0x80" : "+a"(r) : "b"(a[0]), "c"(a[1]), "d"(a[2]) : "memory", "r8", "r9", "r10", "r11");
	errno = (int)-r;
	return print_result("result", r < 0 ? -1 : r);
#else
	(void)argv;
	errno = ENOSYS;
	return print_error("result");
#endif
}

/* The seals of a memory file, and whether the file can be opened for writing. */
static int cmd_seals(char **argv)
{
	int fd = open(argv[0], O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return print_error("seals");
	print_result("seals", fcntl(fd, F_GET_SEALS));
	close(fd);
	fd = open(argv[0], O_WRONLY | O_CLOEXEC);
	print_result("writable", fd);
	if (fd >= 0) {
		print_result("write", write(fd, "x", 1));
		close(fd);
	}
	return 0;
}

static int cmd_mounts(char **argv)
{
	(void)argv;
	return copy_file("/proc/self/mountinfo");
}

static int cmd_read(char **argv)
{
	return copy_file(argv[0]);
}

static int cmd_cwd(char **argv)
{
	char buf[8192];

	(void)argv;
	/* The raw call: the C libraries hide a directory outside the root, "(unreachable)/...". */
	if (syscall(SYS_getcwd, buf, sizeof buf) < 0)
		return print_error("cwd");
	printf("cwd %s\n", buf);
	return 0;
}

static int cmd_env(char **argv)
{
	(void)argv;
	for (char **e = environ; *e; e++)
		printf("%s\n", *e);
	return 0;
}

static int cmd_host(char **argv)
{
	struct utsname u;

	(void)argv;
	if (uname(&u) < 0)
		return print_error("uname");
	printf("hostname %s\ndomainname %s\nmachine %s\n", u.nodename, u.domainname, u.machine);
	return 0;
}

static int cmd_sched(char **argv)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
		uint32_t util_min, util_max;
	} a = { .size = sizeof a };
	uint64_t cpus[16] = { 0 };

	(void)argv;
	if (syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) < 0)
		return print_error("policy");
	printf("policy %u\nflags %llu\nnice %d\npriority %u\nruntime %llu\ndeadline %llu\nperiod %llu\n", a.policy,
	       (unsigned long long)a.flags, a.nice, a.priority, (unsigned long long)a.runtime, (unsigned long long)a.deadline,
	       (unsigned long long)a.period);
	if (syscall(SYS_sched_getaffinity, 0, sizeof cpus, cpus) < 0)
		return print_error("cpus");
	printf("cpus");
	for (unsigned i = 0; i < sizeof cpus * 8; i++)
		if (cpus[i / 64] >> (i % 64) & 1)
			printf(" %u", i);
	printf("\n");
	return 0;
}

static int cmd_ioprio(char **argv)
{
	long p = syscall(SYS_ioprio_get, 1, 0);

	(void)argv;
	if (p < 0)
		return print_error("ioprio");
	printf("ioprio class %ld level %ld\n", p >> 13, p & 0x1fff);
	return 0;
}

static int cmd_mempolicy(char **argv)
{
	unsigned long nodes[16] = { 0 };
	int mode = 0;

	(void)argv;
	if (syscall(SYS_get_mempolicy, &mode, nodes, sizeof nodes * 8, NULL, 0) < 0)
		return print_error("mempolicy");
	printf("mempolicy mode %#x nodes %#lx\n", (unsigned)mode, nodes[0]);
	return 0;
}

static int cmd_oom(char **argv)
{
	(void)argv;
	printf("oom_score_adj ");
	return copy_file("/proc/self/oom_score_adj");
}

static int cmd_personality(char **argv)
{
	(void)argv;
	printf("personality %#x\n", (unsigned)personality(0xffffffff));
	return 0;
}

static int cmd_keyring(char **argv)
{
	char text[1024] = "";

	(void)argv;
	if (syscall(SYS_keyctl, KEYCTL_DESCRIBE, KEY_SPEC_SESSION_KEYRING, text, sizeof text - 1) < 0)
		return print_error("session");
	printf("session %ld %s\n", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0), text);
	return 0;
}

static int cmd_tty(char **argv)
{
	struct winsize ws = { 0 };
	struct termios t;
	char name[256];

	(void)argv;
	for (int fd = 0; fd < 3; fd++)
		printf("isatty %d %s\n", fd,
		       isatty(fd) && ttyname_r(fd, name, sizeof name) == 0 ? name
		       : isatty(fd)                                        ? "yes"
									   : "no");
	if (ioctl(0, TIOCGWINSZ, &ws) < 0 || tcgetattr(0, &t) < 0)
		return print_error("terminal");
	printf("size %u %u\nonlcr %d\n", ws.ws_row, ws.ws_col, (t.c_oflag & ONLCR) != 0);
	/* Opening /dev/tty works only with a controlling terminal. */
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	print_result("controlling", fd < 0 ? -1 : 1);
	print_result("foreground", tcgetpgrp(0));
	if (fd >= 0)
		close(fd);
	return 0;
}

static int cmd_clocks(char **argv)
{
	struct timespec mono, boot;

	(void)argv;
	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	printf("monotonic %lld\nboottime %lld\n", (long long)mono.tv_sec, (long long)boot.tv_sec);
	return 0;
}

static int cmd_stat(char **argv)
{
	static const char types[16] = "?pc?d?b?-?l?s???";
	struct stat st;

	if (lstat(argv[0], &st) < 0)
		return print_error(argv[0]);
	printf("%s type %c mode %04o uid %u gid %u size %lld rdev %u:%u nlink %lu\n", argv[0], types[st.st_mode >> 12 & 15],
	       st.st_mode & 07777, st.st_uid, st.st_gid, (long long)st.st_size, major(st.st_rdev), minor(st.st_rdev),
	       (unsigned long)st.st_nlink);
	return 0;
}

static int cmd_statfs(char **argv)
{
	struct statfs sf;

	if (statfs(argv[0], &sf) < 0)
		return print_error(argv[0]);
	printf("%s magic %#lx flags %#lx bytes %llu\n", argv[0], (unsigned long)sf.f_type, (unsigned long)sf.f_flags,
	       (unsigned long long)sf.f_blocks * (unsigned long long)sf.f_bsize);
	return 0;
}

static int cmd_write(char **argv)
{
	int fd = open(argv[0], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		return print_error("open");
	print_result("write", write(fd, argv[1], strlen(argv[1])));
	close(fd);
	return 0;
}

/* open PATH r|w: the plainest question about a device or a file. */
static int cmd_open(char **argv)
{
	int fd = open(argv[0], (argv[1][0] == 'w' ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	print_result("open", fd < 0 ? -1 : 0);
	if (fd >= 0)
		close(fd);
	return 0;
}

static int cmd_mknod(char **argv)
{
	return print_result("mknod", mknod(argv[0], (argv[1][0] == 'b' ? S_IFBLK : S_IFCHR) | 0666,
					   makedev((unsigned)number(argv[2]), (unsigned)number(argv[3]))));
}

static int cmd_connect(char **argv)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_in in = { .sin_family = AF_INET };
	bool tcp = argv[1] != NULL;
	int fd = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return print_error("socket");
	if (tcp) {
		in.sin_port = htons((uint16_t)number(argv[1]));
		inet_pton(AF_INET, argv[0], &in.sin_addr);
	} else {
		snprintf(un.sun_path, sizeof un.sun_path, "%s", argv[0]);
	}
	print_result("connect", connect(fd, tcp ? (struct sockaddr *)&in : (struct sockaddr *)&un, tcp ? sizeof in : sizeof un));
	close(fd);
	return 0;
}

/* notify TEXT: a datagram to $NOTIFY_SOCKET; ';' in it is a newline. */
static int cmd_notify(char **argv)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const char *name = getenv("NOTIFY_SOCKET");

	if (fd < 0)
		return print_error("socket");
	for (char *p = argv[0]; *p; p++)
		*p = *p == ';' ? '\n' : *p;
	snprintf(un.sun_path, sizeof un.sun_path, "%s", name ? name : "/none");
	print_result("notify", (int)sendto(fd, argv[0], strlen(argv[0]), 0, (struct sockaddr *)&un, sizeof un) < 0 ? -1 : 0);
	close(fd);
	return 0;
}

/* memory MIB: takes and touches memory, one MiB at a time. */
static int cmd_memory(char **argv)
{
	const size_t mib = 1 << 20;

	for (long i = 0, n = number(argv[0]); i < n; i++) {
		char *p = mmap(NULL, mib, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			return print_error("memory");
		memset(p, 1, mib);
	}
	printf("memory ok\n");
	return 0;
}

static int cmd_sleep(char **argv)
{
	struct timespec ts = { .tv_sec = number(argv[0]) };

	nanosleep(&ts, NULL);
	return 0;
}

static volatile sig_atomic_t told_to_stop;

static void on_term(int sig)
{
	(void)sig;
	told_to_stop = 1;
}

/* exchange DIR NAME OTHER: exchanges the two names as fast as it can until SIGTERM, against those who use one of them meanwhile. */
static int cmd_exchange(char **argv)
{
	const unsigned exchange = 2; /* RENAME_EXCHANGE; not in every libc */
	int dir = open(argv[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long n = 0;

	if (dir < 0)
		return print_error(argv[0]);
	signal(SIGTERM, on_term);
	puts("ready");
	fflush(stdout);
	while (!told_to_stop)
		n += syscall(SYS_renameat2, dir, argv[1], dir, argv[2], exchange) == 0;
	close(dir);
	return print_result("exchanged", n);
}

static int cmd_exit(char **argv)
{
	fflush(stdout);
	_exit((int)number(argv[0]));
}

static int cmd_signal(char **argv)
{
	fflush(stdout);
	raise((int)number(argv[0]));
	return 0;
}

/* Waits for signals, prints each, ends at SIGTERM. They are blocked, so that pid 1 of a pid namespace gets them too. */
static int cmd_trap(char **argv)
{
	sigset_t all;

	(void)argv;
	memset(&all, 0xff, sizeof all); /* sigfillset() leaves out what the C library keeps for itself */
	sigprocmask(SIG_SETMASK, &all, NULL);
	printf("ready\n");
	for (int s = 0; s != SIGTERM;) {
		fflush(stdout);
		if (sigwait(&all, &s) == 0)
			printf("signal %d\n", s);
	}
	return 0;
}

static void start_children(long n, bool daemons)
{
	for (long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0) {
			print_error("fork");
			return;
		}
		if (pid == 0 && (!daemons || (setsid() >= 0 && fork() == 0)))
			for (;;)
				pause();
		if (pid == 0)
			_exit(0);
		if (daemons)
			waitpid(pid, NULL, 0);
	}
}

/* spawn N: N children that sleep; the parent waits for SIGTERM. */
static int cmd_spawn(char **argv)
{
	fflush(stdout);
	start_children(number(argv[0]), false);
	return cmd_trap(NULL);
}

/* daemon N: N grandchildren in sessions of their own that sleep; the parent goes on. */
static int cmd_daemon(char **argv)
{
	fflush(stdout);
	start_children(number(argv[0]), true);
	return 0;
}

/* forks: every process forks as often as it can and never ends; a limit has to stop them. */
static int cmd_forks(char **argv)
{
	while (argv)
		if (fork() < 0)
			usleep(1000);
	return 0;
}

/* Is this a process of the runtime's, not yet the program it is to be? */
static bool is_runtime(int proc)
{
	char name[32] = "";
	int fd = openat(proc, "comm", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	ssize_t n = read(fd, name, sizeof name - 1);
	close(fd);
	return n > 0 && strncmp(name, "drupe", 5) == 0;
}

static void try_process(const char *pid)
{
	static const struct {
		const char *name;
		int flags;
	} doors[] = { { "exe", O_RDONLY },
		      { "mem", O_RDWR },
		      { "root", O_PATH | O_DIRECTORY },
		      { "cwd", O_PATH | O_DIRECTORY },
		      { "fd/0", O_PATH },
		      { "fd/3", O_PATH },
		      { "fd/4", O_PATH },
		      { "fd/5", O_PATH },
		      { "fd/6", O_PATH },
		      { "fd/7", O_PATH },
		      { "fd/8", O_PATH } };
	char path[300];

	snprintf(path, sizeof path, "/proc/%s", pid);
	int proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool seen = proc >= 0 && is_runtime(proc);

	for (size_t i = 0; seen && i < COUNT(doors); i++) {
		int fd = openat(proc, doors[i].name, doors[i].flags | O_CLOEXEC);
		/* Asked again: it may have become the program in between. */
		if (fd >= 0 && is_runtime(proc))
			printf("reached %s of %s\n", doors[i].name, pid);
		if (fd >= 0)
			close(fd);
	}
	if (seen)
		printf("seen\n");
	if (proc >= 0)
		close(proc);
}

/* scan: tries to reach through /proc into processes of the runtime as they come in, until SIGTERM. */
static int cmd_scan(char **argv)
{
	struct timespec none = { 0 };
	sigset_t term;

	(void)argv;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	printf("ready\n");
	for (fflush(stdout); sigtimedwait(&term, NULL, &none) != SIGTERM; fflush(stdout)) {
		DIR *d = opendir("/proc");
		for (const struct dirent *e; d && (e = readdir(d));)
			if (e->d_name[0] > '0' && e->d_name[0] <= '9' && atoi(e->d_name) != getpid())
				try_process(e->d_name);
		if (d)
			closedir(d);
	}
	return 0;
}

/* Waits until the size of the terminal changes, and prints it. */
static int cmd_winch(char **argv)
{
	struct winsize ws = { 0 };
	sigset_t set;
	int s;

	(void)argv;
	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	printf("ready\n");
	fflush(stdout);
	sigwait(&set, &s);
	ioctl(0, TIOCGWINSZ, &ws);
	printf("size %u %u\n", ws.ws_row, ws.ws_col);
	return 0;
}

/* reopen: closes the terminal everywhere, and comes back to it by its name after a while. */
static int cmd_reopen(char **argv)
{
	struct timespec ts = { .tv_nsec = 200000000 };

	(void)argv;
	fflush(stdout);
	close(0);
	close(1);
	close(2);
	nanosleep(&ts, NULL);
	if (open("/dev/tty", O_RDWR) != 0 || dup(0) != 1 || dup(0) != 2)
		return 3;
	return 0;
}

/* flood N: N bytes of output, before anything is read; then as many are read. */
static int cmd_flood(char **argv)
{
	char line[64];
	struct termios t;
	long n = number(argv[0]), got = 0;

	memset(line, 'x', sizeof line - 1);
	line[sizeof line - 1] = '\n';
	if (tcgetattr(0, &t) == 0) {
		cfmakeraw(&t);
		tcsetattr(0, TCSANOW, &t);
	}
	printf("ready\n");
	for (long i = 0; i < n; i += (long)sizeof line)
		fwrite(line, 1, sizeof line, stdout);
	fflush(stdout);
	while (got < n) {
		ssize_t r = read(0, line, n - got < (long)sizeof line ? (size_t)(n - got) : sizeof line);
		if (r <= 0)
			break;
		got += r;
	}
	printf("read %ld\n", got);
	return 0;
}

static int cmd_echo(char **argv)
{
	for (; *argv; argv++)
		printf("%s%s", *argv, argv[1] ? " " : "");
	printf("\n");
	return 0;
}

static int cmd_echo_stdin(char **argv)
{
	char buf[4096];
	ssize_t n;

	(void)argv;
	while ((n = read(0, buf, sizeof buf)) > 0) {
		fwrite(buf, 1, (size_t)n, stdout);
		fflush(stdout);
	}
	return 0;
}

static const struct command {
	const char *name;
	int min_args;
	int (*run)(char **argv);
	const char *args;
} commands[] = {
	{ "caps", 0, cmd_caps, "" },
	{ "clocks", 0, cmd_clocks, "" },
	{ "connect", 1, cmd_connect, "UNIX-PATH | IPV4-ADDRESS PORT" },
	{ "cwd", 0, cmd_cwd, "" },
	{ "daemon", 1, cmd_daemon, "N" },
	{ "echo", 0, cmd_echo, "[WORD]..." },
	{ "echo-stdin", 0, cmd_echo_stdin, "" },
	{ "env", 0, cmd_env, "" },
	{ "exchange", 3, cmd_exchange, "DIR NAME OTHER" },
	{ "exit", 1, cmd_exit, "STATUS" },
	{ "fds", 0, cmd_fds, "" },
	{ "flood", 1, cmd_flood, "BYTES" },
	{ "forks", 0, cmd_forks, "" },
	{ "host", 0, cmd_host, "" },
	{ "ids", 0, cmd_ids, "" },
	{ "ioprio", 0, cmd_ioprio, "" },
	{ "keyring", 0, cmd_keyring, "" },
	{ "mask", 0, cmd_mask, "" },
	{ "memory", 1, cmd_memory, "MIB" },
	{ "mempolicy", 0, cmd_mempolicy, "" },
	{ "mknod", 4, cmd_mknod, "PATH c|b MAJOR MINOR" },
	{ "mounts", 0, cmd_mounts, "" },
	{ "nnp", 0, cmd_nnp, "" },
	{ "notify", 1, cmd_notify, "TEXT" },
	{ "ns", 0, cmd_ns, "" },
	{ "oom", 0, cmd_oom, "" },
	{ "open", 2, cmd_open, "PATH r|w" },
	{ "personality", 0, cmd_personality, "" },
	{ "read", 1, cmd_read, "FILE" },
	{ "reopen", 0, cmd_reopen, "" },
	{ "rlimits", 0, cmd_rlimits, "" },
	{ "scan", 0, cmd_scan, "" },
	{ "sched", 0, cmd_sched, "" },
	{ "seals", 1, cmd_seals, "FILE" },
	{ "seccomp", 0, cmd_seccomp, "" },
	{ "signal", 1, cmd_signal, "NUMBER" },
	{ "sleep", 1, cmd_sleep, "SECONDS" },
	{ "spawn", 1, cmd_spawn, "N" },
	{ "stat", 1, cmd_stat, "PATH" },
	{ "statfs", 1, cmd_statfs, "PATH" },
	{ "syscall", 1, cmd_syscall, "NUMBER [ARG | @TEXT]..." },
	{ "syscall32", 1, cmd_syscall32, "NUMBER [ARG]..." },
	{ "trap", 0, cmd_trap, "" },
	{ "tty", 0, cmd_tty, "" },
	{ "winch", 0, cmd_winch, "" },
	{ "write", 2, cmd_write, "FILE TEXT" },
};

static int usage(void)
{
	fprintf(stderr, "usage: probe COMMAND [ARGS] [, COMMAND [ARGS]]...\n");
	for (size_t i = 0; i < COUNT(commands); i++)
		fprintf(stderr, "  %s %s\n", commands[i].name, commands[i].args);
	return 2;
}

static int run_command(char **argv, int argc)
{
	for (size_t i = 0; i < COUNT(commands); i++)
		if (argc > 0 && strcmp(argv[0], commands[i].name) == 0 && argc > commands[i].min_args)
			return commands[i].run(argv + 1);
	return usage();
}

int main(int argc, char **argv)
{
	int first = 1;

	if (argc < 2)
		return usage();
	for (int i = 1; i <= argc; i++) {
		if (i < argc && strcmp(argv[i], ",") != 0)
			continue;
		argv[i] = NULL;
		int status = run_command(argv + first, i - first);
		if (status != 0)
			return status;
		first = i + 1;
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
