/* floor - the least that the kernel must be asked for the containers that tools/bench measures
 *
 *   floor [-k minimal|default|docker] [-r ROOTFS] [-e ETC] [-f FILTER] [-c CONTROLLERS] ACTION ID
 *
 * ACTION is run, create, start, exec, state, kill or delete. The configuration is compiled in, so there is no JSON; state is a pid
 * in a file; nothing is checked that an attacker could have prepared. What it isolates is the same as what the bundles of
 * bundles.sh ask for: namespaces, mounts, masked and read-only paths, cgroup, capabilities, limits and seccomp filter. The child
 * borrows the parent's memory (CLONE_VM), which spares the copying of page tables; a runtime with hooks and a channel cannot do
 * that.
 *
 * -c names the v1 hierarchies below /sys/fs/cgroup, and cgroup2 as "unified"; without it there is one cgroup2 there. FILTER is a
 * BPF program (bench/filter).
 */
#include "base/sys.h"

#include <errno.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#define STATE_DIR     "/run/floor"
#define CGROUP_DIR    "/sys/fs/cgroup"
#define V1_MAX        16
#define SAFE          (SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV | SYS_MOUNT_ATTR_NOEXEC)
#define COUNT(table)  (sizeof(table) / sizeof((table)[0]))
#define PIDS_MAX_TEXT "2048"

enum kind { MINIMAL, DEFAULT, DOCKER };

static struct floor {
	enum kind kind;
	const char *rootfs, *etc, *filter, *id;
	char *v1[V1_MAX]; /* hierarchies; none: cgroup2 */
	size_t n_v1;
	struct sock_fprog program;
	bool waits; /* create: the child waits for start */
	int fifo;   /* what it waits on */
	int ready;  /* futex: the child is set up */
} f = { .kind = DOCKER, .rootfs = "rootfs", .fifo = -1 };

static int must(long r, const char *what)
{
	if (r >= 0)
		return (int)r;
	dprintf(2, "floor: %s: %s\n", what, strerror(errno));
	_exit(125);
}

#define MUST(call) must((call), #call)

__attribute__((format(printf, 2, 3))) static const char *path(char out[256], const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(out, 256, format, ap);
	va_end(ap);
	return out;
}

static bool is_v2(const char *hierarchy)
{
	return strcmp(hierarchy, "unified") == 0;
}

static int write_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CLOEXEC);
	int r = fd < 0 ? -1 : (int)write(fd, text, strlen(text));

	close(fd);
	return r;
}

/* ---- mounts ---- */

static int open_in(int root, const char *name)
{
	const struct sys_open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = SYS_RESOLVE_IN_ROOT };

	return sys_openat2(root, name, &how);
}

/* A new instance; options are pairs of key and value, a flag has none. */
static int new_fs(const char *type, unsigned attrs, const char *const *options)
{
	int fs = MUST(sys_fsopen(type, SYS_FSOPEN_CLOEXEC));

	for (; options && *options; options += 2)
		MUST(sys_fsconfig(fs, options[1] ? SYS_FSCONFIG_STRING : SYS_FSCONFIG_FLAG, options[0], options[1], 0));
	MUST(sys_fsconfig(fs, SYS_FSCONFIG_CREATE, NULL, NULL, 0));
	int mount = MUST(sys_fsmount(fs, SYS_FSMOUNT_CLOEXEC, attrs));

	close(fs);
	return mount;
}

static void put(int mount, int target)
{
	MUST(sys_move_mount(mount, "", target, "", SYS_MOVE_MOUNT_F_EMPTY | SYS_MOVE_MOUNT_T_EMPTY));
}

static void put_at(int mount, int root, const char *name)
{
	int target = MUST(open_in(root, name));

	put(mount, target);
	close(target);
}

static void set_readonly(int mount)
{
	const struct sys_mount_attr attr = { .attr_set = SYS_MOUNT_ATTR_RDONLY };

	MUST(sys_mount_setattr(mount, "", AT_EMPTY_PATH, &attr));
}

static void fill_dev(int dev)
{
	static const struct {
		const char *name;
		unsigned major, minor;
	} nodes[] = {
		{ "null", 1, 3 }, { "zero", 1, 5 }, { "full", 1, 7 }, { "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 }
	};
	static const char *const links[][2] = { { "/proc/self/fd", "fd" },
						{ "/proc/self/fd/0", "stdin" },
						{ "/proc/self/fd/1", "stdout" },
						{ "/proc/self/fd/2", "stderr" },
						{ "pts/ptmx", "ptmx" } };
	static const char *const dirs[] = { "pts", "shm", "mqueue" };

	for (size_t i = 0; i < COUNT(nodes); i++)
		MUST(mknodat(dev, nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)));
	for (size_t i = 0; i < COUNT(links); i++)
		MUST(symlinkat(links[i][0], dev, links[i][1]));
	for (size_t i = 0; i < COUNT(dirs); i++)
		MUST(mkdirat(dev, dirs[i], 0755));
}

/* Returns the mount of /dev, whose null device covers masked files. */
static int mount_dev(int root)
{
	static const struct {
		const char *type, *name;
		unsigned attrs;
		const char *options[9];
	} below[] = {
		{ "devpts",
		  "pts",
		  SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NOEXEC,
		  { "newinstance", NULL, "ptmxmode", "0666", "mode", "0620", "gid", "5" } },
		{ "tmpfs", "shm", SAFE, { "mode", "1777", "size", "65536k" } },
		{ "mqueue", "mqueue", SAFE, { 0 } },
	};
	int dev = new_fs("tmpfs", SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_STRICTATIME,
			 (const char *const[]){ "mode", "755", "size", "65536k", NULL });

	fill_dev(dev);
	put_at(dev, root, "dev");
	for (size_t i = 0; i < COUNT(below); i++) {
		int mount = new_fs(below[i].type, below[i].attrs, below[i].options);

		put_at(mount, dev, below[i].name);
		close(mount);
	}
	return dev;
}

/* The container's own cgroups, bound. */
static void mount_v1(int sys)
{
	char name[256];
	int dir = new_fs("tmpfs", SAFE, (const char *const[]){ "mode", "755", NULL });

	put_at(dir, sys, "fs/cgroup");
	for (size_t i = 0; i < f.n_v1; i++) {
		const char *own = path(name, CGROUP_DIR "/%s/%s", f.v1[i], f.id);
		int mount = MUST(sys_open_tree(AT_FDCWD, own, SYS_OPEN_TREE_CLONE | O_CLOEXEC));
		const struct sys_mount_attr attr = { .attr_set = SAFE | SYS_MOUNT_ATTR_RDONLY };

		MUST(sys_mount_setattr(mount, "", AT_EMPTY_PATH, &attr));
		MUST(mkdirat(dir, f.v1[i], 0755));
		put_at(mount, dir, f.v1[i]);
		close(mount);
	}
	set_readonly(dir);
	close(dir);
}

static void mount_sys(int root)
{
	int sys = new_fs("sysfs", SAFE | SYS_MOUNT_ATTR_RDONLY, NULL);

	put_at(sys, root, "sys");
	if (f.n_v1) {
		mount_v1(sys);
	} else {
		int cgroup = new_fs("cgroup2", SAFE | SYS_MOUNT_ATTR_RDONLY, NULL);

		put_at(cgroup, sys, "fs/cgroup");
		close(cgroup);
	}
	close(sys);
}

static void bind_files(int root)
{
	static const char *const names[] = { "resolv.conf", "hostname", "hosts" };
	char name[256];

	for (size_t i = 0; i < COUNT(names); i++) {
		int mount = MUST(sys_open_tree(AT_FDCWD, path(name, "%s/%s", f.etc, names[i]), SYS_OPEN_TREE_CLONE | O_CLOEXEC));

		put_at(mount, root, path(name, "etc/%s", names[i]));
		close(mount);
	}
}

static void cover(int root, int dev, const char *const *paths, size_t n)
{
	int empty = -1;
	struct stat st;

	for (size_t i = 0; i < n; i++) {
		int target = open_in(root, paths[i]), mount;

		if (target < 0)
			continue;
		MUST(fstat(target, &st));
		if (!S_ISDIR(st.st_mode))
			mount = MUST(sys_open_tree(dev, "null", SYS_OPEN_TREE_CLONE | O_CLOEXEC));
		else if (empty >= 0)
			mount = MUST(sys_open_tree(empty, "", SYS_OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH));
		else
			mount = empty =
				new_fs("tmpfs", SAFE | SYS_MOUNT_ATTR_RDONLY, (const char *const[]){ "nr_inodes", "1", NULL });
		put(mount, target);
		close(target);
		if (mount != empty)
			close(mount);
	}
	if (empty >= 0)
		close(empty);
}

static void protect_paths(int root, int dev)
{
	static const char *const masked[] = { "proc/asound",     "proc/acpi",        "proc/interrupts",
					      "proc/kcore",      "proc/keys",        "proc/latency_stats",
					      "proc/timer_list", "proc/timer_stats", "proc/sched_debug",
					      "proc/scsi",       "sys/firmware",     "sys/devices/virtual/powercap" };
	static const char *const readonly[] = { "proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger" };

	cover(root, dev, masked, COUNT(masked));
	for (size_t i = 0; i < COUNT(readonly); i++) {
		int target = open_in(root, readonly[i]);

		if (target < 0)
			continue;
		int mount = MUST(sys_open_tree(target, "", SYS_OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH | SYS_AT_RECURSIVE));

		set_readonly(mount);
		put(mount, target);
		close(mount);
		close(target);
	}
}

static void set_up_root(void)
{
	MUST(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	int root = MUST(sys_open_tree(AT_FDCWD, f.rootfs, SYS_OPEN_TREE_CLONE | O_CLOEXEC | SYS_AT_RECURSIVE));

	MUST(sys_move_mount(root, "", AT_FDCWD, f.rootfs, SYS_MOVE_MOUNT_F_EMPTY));
	int proc = new_fs("proc", SAFE, NULL);

	put_at(proc, root, "proc");
	close(proc);
	if (f.kind != MINIMAL) {
		int dev = mount_dev(root);

		mount_sys(root);
		if (f.kind == DOCKER)
			bind_files(root);
		protect_paths(root, dev);
		close(dev);
	}
	MUST(fchdir(root));
	MUST(sys_pivot_root(".", "."));
	MUST(umount2(".", MNT_DETACH));
	MUST(chdir("/"));
	close(root);
}

/* ---- the process ---- */

static void loopback_up(void)
{
	int fd = MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

	MUST(ioctl(fd, SIOCSIFFLAGS, &r));
	close(fd);
}

static void load_filter(void)
{
	if (f.program.len)
		MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &f.program));
}

static void confine(void)
{
	static const int docker[] = { 0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31 }, usual[] = { 5, 10, 29 };
	const int *keep = f.kind == DOCKER ? docker : usual;
	size_t n = f.kind == DOCKER ? COUNT(docker) : COUNT(usual);
	uint64_t set = 0;

	for (size_t i = 0; i < n; i++)
		set |= 1ull << keep[i];
	for (int i = 0; i <= CAP_LAST_CAP; i++)
		if (!(set >> i & 1))
			(void)prctl(PR_CAPBSET_DROP, i);
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	const struct __user_cap_data_struct data[2] = { { (uint32_t)set, (uint32_t)set, 0 },
							{ (uint32_t)(set >> 32), (uint32_t)(set >> 32), 0 } };

	/* The order of capabilities and filter is that of no_new_privs. */
	if (f.kind == DOCKER)
		load_filter();
	MUST(syscall(SYS_setgroups, 0, NULL));
	MUST(syscall(SYS_setresgid, 0, 0, 0));
	MUST(syscall(SYS_setresuid, 0, 0, 0));
	MUST(syscall(SYS_capset, &head, data));
	if (f.kind != DOCKER)
		MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static _Noreturn void become_program(void)
{
	static char program[] = "/bin/true", search[] = "PATH=/bin";
	char *const argv[] = { program, NULL }, *const env[] = { search, NULL };

	confine();
	execve(program, argv, env);
	must(-1, program);
	_exit(125);
}

/* "0" stands for the writer; tasks, not cgroup.procs, as we are one thread. */
static void join_v1(void)
{
	char dir[256], name[272];

	for (size_t i = 0; i < f.n_v1; i++) {
		if (is_v2(f.v1[i]))
			continue;
		snprintf(name, sizeof(name), "%s/tasks", path(dir, CGROUP_DIR "/%s/%s", f.v1[i], f.id));
		MUST(write_file(name, "0"));
	}
}

static _Noreturn void run_init(void)
{
	MUST(setsid());
	join_v1();
	if (f.kind != MINIMAL) {
		MUST(sys_unshare(SYS_CLONE_NEWCGROUP));
		loopback_up();
		MUST(sethostname("floor", 5));
	}
	set_up_root();
	if (f.waits) {
		char c;

		f.ready = 1;
		syscall(SYS_futex, &f.ready, FUTEX_WAKE, 1);
		MUST(read(f.fifo, &c, 1));
		close(f.fifo);
	}
	become_program();
}

/* clone3(2) that continues in fn on a stack of its own. */
static pid_t spawn(uint64_t flags, int cgroup, void (*fn)(void))
{
	static char stack[65536] __attribute__((aligned(64)));
	struct sys_clone_args args = {
		.flags = flags | SYS_CLONE_VM | (cgroup >= 0 ? SYS_CLONE_INTO_CGROUP : 0),
		.exit_signal = SIGCHLD,
		.stack = (uint64_t)(uintptr_t)stack,
		.stack_size = sizeof(stack),
		.cgroup = cgroup >= 0 ? (uint64_t)cgroup : 0,
	};
	register void (*entry)(void) __asm__("r12") = fn; /* survives the call */
	long r;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "call *%%r12\n\t"
			 "hlt\n"
			 "1:"
			 : "=a"(r)
			 : "0"(435L), "D"(&args), "S"(sizeof(args)), "r"(entry)
			 : "rcx", "r11", "memory");
	errno = (int)-r;
	return must(r < 0 ? -1 : r, "clone3");
}

/* ---- cgroups and state ---- */

static void limit_v1(void)
{
	static const char *const allowed[] = { "c 1:5 rwm", "c 1:3 rwm", "c 1:9 rwm",   "c 1:8 rwm", "c 5:0 rwm", "c 5:1 rwm",
					       "c *:* m",   "b *:* m",   "c 136:* rwm", "c 5:2 rwm", "c 1:7 rwm" };
	char name[256];

	(void)write_file(path(name, CGROUP_DIR "/pids/%s/%s", f.id, "pids.max"), PIDS_MAX_TEXT);
	(void)write_file(path(name, CGROUP_DIR "/devices/%s/%s", f.id, "devices.deny"), "a");
	(void)path(name, CGROUP_DIR "/devices/%s/%s", f.id, "devices.allow");
	for (size_t i = 0; i < COUNT(allowed); i++)
		(void)write_file(name, allowed[i]);
}

#define ALU(op, kind, dst, src, value)                                                                                             \
	{                                                                                                                          \
		.code = BPF_ALU64 | (op) | (kind), .dst_reg = (dst), .src_reg = (src), .imm = (value)                              \
	}
#define JUMP(op, dst, value, to)                                                                                                   \
	{                                                                                                                          \
		.code = BPF_JMP | (op) | BPF_K, .dst_reg = (dst), .off = (to), .imm = (value)                                      \
	}
#define LOAD(dst, member)                                                                                                          \
	{                                                                                                                          \
		.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = (dst), .src_reg = 1,                                                 \
		.off = offsetof(struct bpf_cgroup_dev_ctx, member)                                                                 \
	}

/* The same rules for cgroup2, in few instructions. */
static void limit_v2(int cgroup)
{
	/* clang-format off */
	static const struct bpf_insn program[] = {
		LOAD(2, access_type), LOAD(4, major), LOAD(5, minor),
		ALU(BPF_MOV, BPF_K, 0, 0, 1),
		ALU(BPF_MOV, BPF_X, 3, 2, 0), ALU(BPF_RSH, BPF_K, 3, 0, 16), JUMP(BPF_JEQ, 3, BPF_DEVCG_ACC_MKNOD, 11),
		ALU(BPF_AND, BPF_K, 2, 0, 0xffff), JUMP(BPF_JNE, 2, BPF_DEVCG_DEV_CHAR, 10),
		JUMP(BPF_JEQ, 4, 136, 8),
		JUMP(BPF_JGT, 5, 9, 8),
		ALU(BPF_MOV, BPF_K, 6, 0, 1 << 3 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9), JUMP(BPF_JEQ, 4, 1, 2),
		JUMP(BPF_JNE, 4, 5, 5),
		ALU(BPF_MOV, BPF_K, 6, 0, 1 << 0 | 1 << 1 | 1 << 2),
		ALU(BPF_RSH, BPF_X, 6, 5, 0), ALU(BPF_AND, BPF_K, 6, 0, 1), ALU(BPF_MOV, BPF_X, 0, 6, 0),
		{ .code = BPF_JMP | BPF_EXIT },
		ALU(BPF_MOV, BPF_K, 0, 0, 0),
		{ .code = BPF_JMP | BPF_EXIT },
	};
	/* clang-format on */
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE, .insn_cnt = COUNT(program) };

	attr.insns = (uintptr_t)program;
	attr.license = (uintptr_t) "Apache-2.0";
	int fd = MUST(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)));

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)cgroup;
	attr.attach_bpf_fd = (uint32_t)fd;
	attr.attach_type = BPF_CGROUP_DEVICE;
	MUST(syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)));
	close(fd);
}

/* Returns the directory for CLONE_INTO_CGROUP, -1 without cgroup2. */
static int make_cgroup(void)
{
	char name[256], file[280];
	int unified = -1;

	if (!f.n_v1) {
		MUST(mkdir(path(name, CGROUP_DIR "/%s", f.id), 0755));
		unified = MUST(open(name, O_PATH | O_DIRECTORY | O_CLOEXEC));
		if (f.kind == DOCKER)
			limit_v2(unified);
		return unified;
	}
	for (size_t i = 0; i < f.n_v1; i++) {
		MUST(mkdir(path(name, CGROUP_DIR "/%s/%s", f.v1[i], f.id), 0755));
		if (is_v2(f.v1[i]))
			unified = MUST(open(name, O_PATH | O_DIRECTORY | O_CLOEXEC));
		if (strcmp(f.v1[i], "cpuset") != 0)
			continue;
		snprintf(file, sizeof(file), "%s/cpuset.mems", name);
		MUST(write_file(file, "0"));
		snprintf(file, sizeof(file), "%s/cpuset.cpus", name);
		MUST(write_file(file, "0"));
	}
	if (f.kind == DOCKER)
		limit_v1();
	return unified;
}

static void remove_cgroup(void)
{
	char name[256];

	if (!f.n_v1)
		MUST(rmdir(path(name, CGROUP_DIR "/%s", f.id)));
	for (size_t i = 0; i < f.n_v1; i++)
		MUST(rmdir(path(name, CGROUP_DIR "/%s/%s", f.v1[i], f.id)));
}

static void store_pid(pid_t pid)
{
	char text[16], name[256], hidden[256];
	int fd = MUST(open(path(hidden, STATE_DIR "/%s/%s", f.id, ".state"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));

	MUST(write(fd, text, (size_t)snprintf(text, sizeof(text), "%d", (int)pid)));
	close(fd);
	MUST(rename(hidden, path(name, STATE_DIR "/%s/%s", f.id, "state")));
}

static pid_t load_pid(void)
{
	char text[16] = "", name[256];
	int fd = MUST(open(path(name, STATE_DIR "/%s/%s", f.id, "state"), O_RDONLY | O_CLOEXEC));

	MUST(read(fd, text, sizeof(text) - 1));
	close(fd);
	return atoi(text);
}

static void remove_state(bool fifo)
{
	char name[256];

	MUST(unlink(path(name, STATE_DIR "/%s/%s", f.id, "state")));
	if (fifo)
		MUST(unlink(path(name, STATE_DIR "/%s/%s", f.id, "fifo")));
	MUST(rmdir(path(name, STATE_DIR "/%s", f.id)));
}

/* ---- actions ---- */

static void load_program(void)
{
	struct stat st;

	if (f.kind != DOCKER || !f.filter)
		return;
	int fd = MUST(open(f.filter, O_RDONLY | O_CLOEXEC));

	MUST(fstat(fd, &st));
	f.program.filter = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	f.program.len = (unsigned short)((size_t)st.st_size / sizeof(struct sock_filter));
	close(fd);
}

static int wait_for(pid_t pid)
{
	int status;

	MUST(waitpid(pid, &status, __WALL));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static pid_t make_container(void)
{
	const uint64_t usual = SYS_CLONE_NEWPID | SYS_CLONE_NEWNS;
	const uint64_t more = SYS_CLONE_NEWUTS | SYS_CLONE_NEWIPC | SYS_CLONE_NEWNET;
	char name[256];

	umask(0);
	(void)mkdir(STATE_DIR, 0700);
	MUST(mkdir(path(name, STATE_DIR "/%s", f.id), 0700));
	load_program();
	int cgroup = make_cgroup();

	if (f.waits) {
		MUST(mkfifo(path(name, STATE_DIR "/%s/%s", f.id, "fifo"), 0600));
		f.fifo = MUST(open(name, O_RDWR | O_CLOEXEC));
	}
	return spawn((f.waits ? 0 : SYS_CLONE_VFORK) | usual | (f.kind == MINIMAL ? 0 : more), cgroup, run_init);
}

static int act_run(void)
{
	pid_t pid = make_container();

	store_pid(pid);
	int status = wait_for(pid);

	remove_cgroup();
	remove_state(false);
	return status;
}

static int act_create(void)
{
	f.waits = true;
	pid_t pid = make_container();

	while (!*(volatile int *)&f.ready)
		syscall(SYS_futex, &f.ready, FUTEX_WAIT, 0, NULL);
	store_pid(pid);
	_exit(0);
}

static int act_start(void)
{
	char name[256];
	int fd = MUST(open(path(name, STATE_DIR "/%s/%s", f.id, "fifo"), O_WRONLY | O_CLOEXEC));

	MUST(write(fd, "", 1));
	return 0;
}

static int act_exec(void)
{
	const int namespaces = SYS_CLONE_NEWNS | SYS_CLONE_NEWPID;
	const int more = SYS_CLONE_NEWNET | SYS_CLONE_NEWUTS | SYS_CLONE_NEWIPC | (int)SYS_CLONE_NEWCGROUP;
	int pidfd = MUST(sys_pidfd_open(load_pid())), cgroup = -1;
	char name[256];

	load_program();
	join_v1();
	if (!f.n_v1)
		cgroup = MUST(open(path(name, CGROUP_DIR "/%s", f.id), O_PATH | O_DIRECTORY | O_CLOEXEC));
	MUST(sys_setns(pidfd, namespaces | (f.kind == MINIMAL ? 0 : more)));
	return wait_for(spawn(SYS_CLONE_VFORK, cgroup, become_program));
}

/* The process, and a look that it is the one. */
static int open_process(void)
{
	char name[32], text[512];
	pid_t pid = load_pid();
	int pidfd = MUST(sys_pidfd_open(pid));

	snprintf(name, sizeof(name), "/proc/%d/stat", (int)pid);
	int fd = MUST(open(name, O_RDONLY | O_CLOEXEC));

	MUST(read(fd, text, sizeof(text)));
	close(fd);
	return pidfd;
}

static int act_state(void)
{
	(void)open_process();
	MUST(write(1, "{}\n", 3));
	return 0;
}

static int act_kill(void)
{
	MUST(sys_pidfd_send_signal(open_process(), SIGURG));
	return 0;
}

static int act_delete(void)
{
	(void)load_pid();
	remove_cgroup();
	remove_state(true);
	return 0;
}

/* ---- command line ---- */

static const struct {
	const char *name;
	int (*act)(void);
} actions[] = { { "run", act_run },     { "create", act_create }, { "start", act_start },  { "exec", act_exec },
		{ "state", act_state }, { "kill", act_kill },     { "delete", act_delete } };

static void split_controllers(char *list)
{
	char *save;

	for (char *c = strtok_r(list, ",", &save); c && f.n_v1 < V1_MAX; c = strtok_r(NULL, ",", &save))
		f.v1[f.n_v1++] = c;
}

static void parse_option(int c, char *value)
{
	switch (c) {
	case 'k':
		f.kind = *value == 'm' ? MINIMAL : value[1] == 'e' ? DEFAULT : DOCKER;
		break;
	case 'r':
		f.rootfs = value;
		break;
	case 'e':
		f.etc = value;
		break;
	case 'f':
		f.filter = value;
		break;
	case 'c':
		split_controllers(value);
		break;
	default:
		_exit(2);
	}
}

int main(int argc, char **argv)
{
	for (int c; (c = getopt(argc, argv, "k:r:e:f:c:")) != -1;)
		parse_option(c, optarg);
	if (optind + 2 != argc)
		return 2;
	f.id = argv[optind + 1];
	for (size_t i = 0; i < COUNT(actions); i++)
		if (strcmp(actions[i].name, argv[optind]) == 0)
			return actions[i].act();
	return 2;
}
