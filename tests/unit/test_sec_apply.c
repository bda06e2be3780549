/* Effects: each case forks, applies a plan in the child and looks at the child with the kernel's eyes. */
#include "base/cleanup.h"
#include "base/proc_fs.h"
#include "security/internal.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define BIT(n) (1ull << (n))
enum { CHOWN = 0, KILL = 5, SETUID = 7, NET_BIND = 10, SYS_ADMIN = 21 };
#define N(v) (sizeof(v) / sizeof((v)[0]))
#define STRS(...)                                                                                                                  \
	{                                                                                                                          \
		(const char *[]){ __VA_ARGS__ }, N(((const char *[]){ __VA_ARGS__ }))                                              \
	}
#define RULES(...)                                                                                                                 \
	{                                                                                                                          \
		(struct oci_syscall[]){ __VA_ARGS__ }, N(((struct oci_syscall[]){ __VA_ARGS__ }))                                  \
	}

/* What a child tells about itself. */
struct report {
	int r; /* of the body */
	struct err e;
	char status[4096]; /* /proc/self/status */
};

static bool not_root(void)
{
	if (geteuid() != 0)
		printf("# skipped: needs root\n");
	return geteuid() != 0;
}

static void read_status(char *out, size_t size)
{
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, out, size - 1);

	out[n < 0 ? 0 : n] = '\0';
	close(fd);
}

/* Runs body in a child; false when it did not live to report. */
static bool child(int (*body)(const struct sec_plan *p, struct err *e), const struct sec_plan *p, struct report *out)
{
	int fds[2], status;

	memset(out, 0, sizeof(*out));
	if (pipe2(fds, O_CLOEXEC) < 0)
		return false;
	pid_t pid = fork();

	if (pid == 0) {
		out->r = body(p, &out->e);
		read_status(out->status, sizeof(out->status));
		_exit(write(fds[1], out, sizeof(*out)) == (ssize_t)sizeof(*out) ? 0 : 1);
	}
	close(fds[1]);
	ssize_t n = read(fds[0], out, sizeof(*out));

	close(fds[0]);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 && n == (ssize_t)sizeof(*out);
}

/* The value behind "Name:" in a status text. */
static const char *field(const char *status, const char *name)
{
	static char value[256];
	const char *at = strstr(status, name);

	value[0] = '\0';
	if (at)
		sscanf(at + strlen(name), ":%*[ \t]%255[^\n]", value);
	return value;
}

static uint64_t hex(const char *status, const char *name)
{
	return strtoull(field(status, name), NULL, 16);
}

static int final(const struct sec_plan *p, struct err *e)
{
	return sec_apply_final(p, -1, NULL, NULL, e);
}

static struct arena arena;

static const struct sec_filter *filter(const struct oci_seccomp *s)
{
	const struct sec_filter *f = NULL;
	struct err e = { 0 };

	if (seccomp_compile(s, &arena, &f, &e) < 0)
		printf("# %s\n", e.text);
	return f;
}

/* ---- identity and capabilities ---- */
static void ids_groups_and_umask_are_set(void)
{
	static const uint32_t groups[] = { 7, 8 };
	struct sec_plan p = {
		.uid = 1234, .gid = 2345, .groups = groups, .n_groups = 2, .set_groups = true, .umask = 0027, .no_new_privs = true
	};
	struct report r;

	if (not_root())
		return;
	expect(child(final, &p, &r) && r.r == 0);
	expect_str(field(r.status, "\nUid"), "1234\t1234\t1234\t1234");
	expect_str(field(r.status, "\nGid"), "2345\t2345\t2345\t2345");
	expect_str(field(r.status, "\nGroups"), "7 8 ");
	expect_str(field(r.status, "\nUmask"), "0027");
	expect_str(field(r.status, "\nNoNewPrivs"), "1");
	expect_str(field(r.status, "\nSeccomp"), "0");
}

static void sets_equal_the_plan_for_any_user_with_and_without_no_new_privs(void)
{
	struct sec_caps caps = { BIT(CHOWN) | BIT(KILL) | BIT(NET_BIND), BIT(CHOWN) | BIT(KILL), BIT(CHOWN),
				 BIT(CHOWN) | BIT(NET_BIND), BIT(CHOWN) };
	struct report r;

	if (not_root())
		return;
	for (int i = 0; i < 4; i++) {
		struct sec_plan p = { .uid = i & 1 ? 1000 : 0, .set_groups = true, .caps = caps, .no_new_privs = i & 2 };

		expect(child(final, &p, &r) && r.r == 0);
		expect(hex(r.status, "\nCapBnd") == caps.bounding && hex(r.status, "\nCapPrm") == caps.permitted);
		expect(hex(r.status, "\nCapEff") == caps.effective && hex(r.status, "\nCapInh") == caps.inheritable);
		expect(hex(r.status, "\nCapAmb") == caps.ambient);
		expect(hex(r.status, "\nNoNewPrivs") == (i & 2 ? 1 : 0));
	}
}

static void no_capabilities_means_all_sets_are_empty_even_for_root(void)
{
	struct sec_plan p = { .set_groups = true };
	struct report r;

	if (not_root())
		return;
	expect(child(final, &p, &r) && r.r == 0);
	expect(hex(r.status, "\nCapBnd") == 0 && hex(r.status, "\nCapPrm") == 0 && hex(r.status, "\nCapEff") == 0);
	expect(hex(r.status, "\nCapInh") == 0 && hex(r.status, "\nCapAmb") == 0);
	expect_str(field(r.status, "\nGroups"), "");
}

static void keep_caps_does_not_stay(void)
{
	struct sec_plan p = { .uid = 1000, .set_groups = true };
	int status;

	if (not_root())
		return;
	pid_t pid = fork();

	if (pid == 0) {
		struct err e;

		_exit(final(&p, &e) == 0 && prctl(PR_GET_KEEPCAPS, 0ul, 0ul, 0ul, 0ul) == 0 ? 0 : 1);
	}
	expect(waitpid(pid, &status, 0) == pid && status == 0);
}

static int exec_cat(const struct sec_plan *p, struct err *e)
{
	int r = final(p, e);

	if (r < 0)
		return r;
	execl("/bin/cat", "cat", "/proc/self/status", (char *)NULL);
	return -errno;
}

/* Runs /bin/cat after the plan was applied; its output is its own status. */
static bool status_after_exec(const struct sec_plan *p, char *out, size_t size)
{
	int fds[2], status;
	size_t n = 0;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return false;
	pid_t pid = fork();

	if (pid == 0) {
		struct err e;

		dup2(fds[1], 1);
		exec_cat(p, &e);
		_exit(1);
	}
	close(fds[1]);
	for (ssize_t r; n < size - 1 && (r = read(fds[0], out + n, size - 1 - n)) > 0;)
		n += (size_t)r;
	out[n] = '\0';
	close(fds[0]);
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static void ambient_capabilities_reach_a_non_root_program(void)
{
	struct sec_plan p = { .uid = 1000,
			      .set_groups = true,
			      .no_new_privs = true,
			      .caps = { BIT(CHOWN) | BIT(KILL), BIT(CHOWN) | BIT(KILL), 0, BIT(CHOWN), BIT(CHOWN) } };
	char status[4096];

	if (not_root())
		return;
	expect(status_after_exec(&p, status, sizeof(status)));
	expect(hex(status, "\nCapPrm") == BIT(CHOWN) && hex(status, "\nCapEff") == BIT(CHOWN) &&
	       hex(status, "\nCapAmb") == BIT(CHOWN));
	expect(hex(status, "\nCapBnd") == (BIT(CHOWN) | BIT(KILL)));
}

static void a_failed_step_names_what_it_did(void)
{
	static const uint32_t groups[] = { 1 };
	struct sec_plan p = { .uid = 1000, .groups = groups, .n_groups = 1, .set_groups = true };
	struct report r;
	int status;

	if (not_root())
		return;
	pid_t pid = fork();

	if (pid == 0) { /* an unprivileged caller whose bounding set is empty already */
		struct err e;
		struct sec_plan nobody = { .uid = 65534, .gid = 65534, .set_groups = true };

		expect(final(&nobody, &e) == 0);
		expect(child(final, &p, &r) && r.r == -EPERM);
		expect_str(r.e.text, "process.user.additionalGids: setting 1 groups: Operation not permitted");
		p.n_groups = 0;
		p.set_groups = false; /* tolerated; then the next step is refused */
		expect(child(final, &p, &r) && r.r == -EPERM);
		expect_str(r.e.text, "process.user.gid: becoming group 0: Operation not permitted");
		_exit(tap_failed);
	}
	expect(waitpid(pid, &status, 0) == pid && status == 0);
}

/* ---- filters ---- */
static void without_no_new_privs_the_filter_is_loaded_while_privileged(void)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ALLOW,
				 .syscalls = RULES({ .names = STRS("mkdir"), .action = OCI_ACT_ERRNO }) };
	struct oci_seccomp no_capset = {
		.default_action = OCI_ACT_ALLOW,
		.syscalls = RULES({ .names = STRS("capset"), .action = OCI_ACT_ERRNO, .errno_ret = { EACCES, true } })
	};
	struct sec_plan p = { .uid = 1000, .set_groups = true, .filter = filter(&s) };
	struct report r;

	if (not_root())
		return;
	expect(child(final, &p, &r) && r.r == 0);
	expect_str(field(r.status, "\nSeccomp"), "2");
	expect_str(field(r.status, "\nNoNewPrivs"), "0");
	expect(hex(r.status, "\nCapPrm") == 0);
	/* What follows the filter is subject to it... */
	p.filter = filter(&no_capset);
	expect(child(final, &p, &r) && r.r == -EACCES);
	expect_str(r.e.text, "setting the process capabilities: Permission denied");
	/* ...but nothing follows it when it is last. */
	p.no_new_privs = true;
	expect(child(final, &p, &r) && r.r == 0);
	expect_str(field(r.status, "\nSeccomp"), "2");
}

static int final_as_nobody(const struct sec_plan *p, struct err *e)
{
	struct sec_plan nobody = { .uid = 65534, .gid = 65534, .set_groups = true };
	int r = final(&nobody, e);

	return r < 0 ? r : final(p, e);
}

static void a_filter_needs_a_privilege_or_no_new_privs(void)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ALLOW,
				 .syscalls = RULES({ .names = STRS("mkdir"), .action = OCI_ACT_ERRNO }) };
	struct sec_plan p = { .uid = 65534, .gid = 65534, .filter = filter(&s) };
	struct report r;

	if (not_root())
		return;
	expect(child(final_as_nobody, &p, &r) && r.r == -EACCES);
	expect_str(r.e.text, "linux.seccomp: loading a filter takes process.noNewPrivileges or CAP_SYS_ADMIN: Permission denied");
	p.no_new_privs = true;
	expect(child(final_as_nobody, &p, &r) && r.r == 0);
}

static int hook_then_mkdir(const struct sec_plan *p, struct err *e)
{
	int r = sec_apply_hook(p, -1, e);

	return r < 0 ? r : syscall(SYS_mkdir, "/", 0755) < 0 ? -errno : 0;
}

static void a_hook_is_confined_and_what_would_be_notified_of_fails(void)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ALLOW,
				 .listener_path = "/listener",
				 .flags = STRS("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"),
				 .syscalls = RULES({ .names = STRS("mkdir"), .action = OCI_ACT_NOTIFY }) };
	struct sec_plan p = { .uid = 1000, .gid = 1001, .set_groups = true };
	struct report r;

	if (not_root())
		return;
	expect(child(hook_then_mkdir, &p, &r) && r.r == -EEXIST);
	expect_str(field(r.status, "\nUid"), "1000\t1000\t1000\t1000");
	expect(hex(r.status, "\nCapPrm") == 0 && hex(r.status, "\nCapBnd") == 0);
	if (!filter_flag_supported(1u << 5))
		s.flags.n = 0;
	p.filter = filter(&s);
	for (int i = 0; i < 2; i++) {
		p.no_new_privs = i == 0;
		expect(child(hook_then_mkdir, &p, &r) && r.r == -ENOSYS);
		expect_str(field(r.status, "\nSeccomp"), "2");
	}
}

static int got_listener(void *ctx, int fd, struct err *e)
{
	int *seen = ctx;

	(void)e;
	*seen = fcntl(fd, F_GETFD) == FD_CLOEXEC ? fd : -1;
	return 0;
}

static int refuse_listener(void *ctx, int fd, struct err *e)
{
	(void)ctx;
	(void)fd;
	return err_set(e, EPIPE, "nobody takes it");
}

static int final_with_listener(const struct sec_plan *p, struct err *e)
{
	int fd = -1, r = sec_apply_final(p, -1, got_listener, &fd, e);

	return r < 0 ? r : fd;
}

static int final_with_refusal(const struct sec_plan *p, struct err *e)
{
	return sec_apply_final(p, -1, refuse_listener, NULL, e);
}

static void a_listener_is_handed_over_at_once(void)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ALLOW,
				 .listener_path = "/x",
				 .syscalls = RULES({ .names = STRS("mkdir"), .action = OCI_ACT_NOTIFY }) };
	struct sec_plan p = { .uid = 1000, .set_groups = true, .no_new_privs = true, .filter = filter(&s) };
	struct report r;

	if (not_root())
		return;
	expect(child(final_with_listener, &p, &r) && r.r > 2);
	expect(child(final_with_refusal, &p, &r) && r.r == -EPIPE);
	expect_str(r.e.text, "nobody takes it");
	expect(child(final, &p, &r) && r.r == -EINVAL);
	expect_str(r.e.text, "linux.seccomp: SCMP_ACT_NOTIFY, but nobody to listen");
}

/* ---- outside ---- */
static pid_t sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void limits_are_set_from_outside(void)
{
	struct sec_rlimit v[] = { { RLIMIT_NOFILE, "RLIMIT_NOFILE", 100, 200 }, { RLIMIT_CORE, "RLIMIT_CORE", 0, 0 } };
	struct sec_plan p = { .rlimits = v, .n_rlimits = 2 };
	struct err e = { 0 };
	uint64_t got[2];
	pid_t pid = sleeper();

	expect(sec_apply_limits(&p, pid, &e) == 0);
	expect(syscall(SYS_prlimit64, pid, RLIMIT_NOFILE, NULL, got) == 0 && got[0] == 100 && got[1] == 200);
	expect(syscall(SYS_prlimit64, pid, RLIMIT_CORE, NULL, got) == 0 && got[0] == 0 && got[1] == 0);
	v[1] = (struct sec_rlimit){ RLIMIT_NOFILE, "RLIMIT_NOFILE", 5, 1ull << 40 };
	expect(sec_apply_limits(&p, pid, &e) == -EPERM);
	expect_str(e.text, "process.rlimits[1] (RLIMIT_NOFILE): setting 5, at most 1099511627776: Operation not permitted");
	end(pid);
	expect(sec_apply_limits(&p, pid, &e) == -ESRCH);
}

static void the_oom_score_is_set_from_outside(void)
{
	struct sec_plan p = { .oom_score_set = true, .oom_score_adj = 543 };
	struct err e = { 0 };
	char name[64], text[16] = "";
	pid_t pid = sleeper();

	if (not_root()) {
		end(pid);
		return;
	}
	if (sec_apply_rank(&p, pid, &e) < 0)
		printf("# %s\n", e.text);
	snprintf(name, sizeof(name), "/proc/%d/oom_score_adj", (int)pid);
	auto_fd int fd = open(name, O_RDONLY | O_CLOEXEC);

	expect(read(fd, text, sizeof(text) - 1) > 0);
	expect_str(text, "543\n");
	end(pid);
	expect(sec_apply_rank(&p, pid, &e) == -ENOENT);
	expect(strncmp(e.text, "process.oomScoreAdj 543: /proc/", 31) == 0);
}

/* ---- inside, early ---- */
static int early(const struct sec_plan *p, struct err *e)
{
	setsid();
	return sec_apply_process(p, e);
}

static int early_scheduler(const struct sec_plan *p, struct err *e)
{
	int r = early(p, e);

	return r < 0 ? r : (int)syscall(SYS_sched_getscheduler, 0) << 16 | (getpriority(PRIO_PROCESS, 0) & 0xff);
}

static void scheduler_and_nice_are_set(void)
{
	struct sec_sched s = { .policy = 3, .nice = 5 };
	struct report r;

	expect(child(early_scheduler, &(struct sec_plan){ .sched = &s }, &r));
	expect(r.r == (3 << 16 | 5));
	s = (struct sec_sched){ .policy = 4 }; /* SCHED_ISO: no kernel has it */
	expect(child(early, &(struct sec_plan){ .sched = &s }, &r) && r.r == -EINVAL);
	expect_str(r.e.text, "process.scheduler: Invalid argument");
}

static int early_ioprio(const struct sec_plan *p, struct err *e)
{
	int r = early(p, e);

	return r < 0 ? r : (int)syscall(SYS_ioprio_get, 1, 0);
}

static void io_priority_is_set(void)
{
	struct report r;

	expect(child(early_ioprio, &(struct sec_plan){ .ioprio_set = true, .ioprio = 2 << 13 | 7 }, &r) && r.r == (2 << 13 | 7));
}

static int early_machine(const struct sec_plan *p, struct err *e)
{
	struct utsname u;
	int r = early(p, e);

	return r < 0 ? r : uname(&u) == 0 && strcmp(u.machine, "i686") == 0;
}

static void personality_is_set(void)
{
	struct report r;

	expect(child(early_machine, &(struct sec_plan){ .personality_set = true, .personality = 8 }, &r) && r.r == 1);
	expect(child(early_machine, &(struct sec_plan){ 0 }, &r) && r.r == 0);
}

static int early_mempolicy(const struct sec_plan *p, struct err *e)
{
	int mode = -1, r = early(p, e);

	return r < 0 ? r : syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0) == 0 ? mode : -errno;
}

static void a_memory_policy_is_set(void)
{
	struct sec_plan p = { .mempolicy_set = true, .mempolicy_mode = 2 | 1 << 15, .nodes = { 1 } };
	struct report r;

	expect(child(early_mempolicy, &p, &r));
	if (r.r == -ENOSYS) {
		printf("# skipped: kernel without NUMA\n");
		return;
	}
	expect(r.r == (2 | 1 << 15));
	p.nodes[0] = 0;
	expect(child(early_mempolicy, &p, &r) && r.r == -EINVAL);
	expect_str(r.e.text, "linux.memoryPolicy: Invalid argument");
}

static int early_keyring(const struct sec_plan *p, struct err *e)
{
	enum { DESCRIBE = 6, GET_ID = 0, SESSION = -3 };
	char text[256] = "";
	int r = early(p, e);

	if (r < 0)
		return r;
	long n = syscall(SYS_keyctl, DESCRIBE, SESSION, text, sizeof(text));

	if (n < 0)
		return errno == ENOSYS ? -ENOSYS : 1;
	if (!strstr(text, p->keyring_name))
		return 1;
	/* A second process that knows the name does not get at it. */
	long mine = syscall(SYS_keyctl, GET_ID, SESSION, 0);
	int status = 1;

	if (fork() == 0) {
		int again = sec_apply_process(p, e);

		_exit(again == 0 && syscall(SYS_keyctl, GET_ID, SESSION, 0) != mine ? 0 : 1);
	}
	wait(&status);
	return status;
}

static void a_session_keyring_is_new_named_and_private(void)
{
	char name[64];
	struct report r;

	snprintf(name, sizeof(name), "_ses.test-%d", (int)getpid());
	struct sec_plan p = { .new_keyring = true, .keyring_name = name };

	expect(child(early_keyring, &p, &r));
	if (r.r == -ENOSYS)
		printf("# skipped: kernel without keys\n");
	expect(r.r == 0 || r.r == -ENOSYS);
}

static int keyring_under_filter(const struct sec_plan *p, struct err *e)
{
	struct sec_plan name_only = { .new_keyring = true, .keyring_name = "_ses.x" };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1ul, 0ul, 0ul, 0ul) < 0 || filter_load(p->filter, e) < 0)
		return 99;
	return sec_apply_process(&name_only, e);
}

static void a_missing_keyring_is_tolerated_but_not_a_used_up_quota(void)
{
	static const struct {
		uint64_t errno_ret;
		int r;
		const char *text;
	} table[] = {
		{ ENOSYS, 0, "" },
		{ EPERM, 0, "" },
		{ EDQUOT, -EDQUOT,
		  "session keyring _ses.x: the quota of keys is used up (kernel.keys.maxkeys, --no-new-keyring): " },
		{ EACCES, -EACCES, "session keyring _ses.x: Permission denied" },
	};

	for (size_t i = 0; i < N(table); i++) {
		struct oci_syscall deny = { .names = STRS("keyctl"),
					    .action = OCI_ACT_ERRNO,
					    .errno_ret = { table[i].errno_ret, true } };
		struct oci_seccomp s = { .default_action = OCI_ACT_ALLOW, .syscalls = { &deny, 1 } };
		struct report r;

		expect(child(keyring_under_filter, &(struct sec_plan){ .filter = filter(&s) }, &r) && r.r == table[i].r);
		expect(strncmp(r.e.text, table[i].text, strlen(table[i].text)) == 0);
	}
}

static int affinity(const struct sec_plan *p, struct err *e)
{
	unsigned long one[128] = { 0 }, all[128] = { 0 };
	int r = sec_set_affinity("0", e);

	(void)p;
	if (r < 0 || syscall(SYS_sched_getaffinity, 0, sizeof(one), one) < 0)
		return -1;
	r = sec_reset_affinity(e);
	if (r < 0 || syscall(SYS_sched_getaffinity, 0, sizeof(all), all) < 0)
		return -2;
	if (one[0] != 1 || (all[0] & 1) == 0)
		return -3;
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1 && all[0] == 1)
		return -4;
	return sec_set_affinity("8191", e) == -EINVAL && sec_set_affinity("8192", e) == -ERANGE ? 0 : -5;
}

static void affinity_is_set_and_reset(void)
{
	struct report r;

	expect(child(affinity, &(struct sec_plan){ 0 }, &r) && r.r == 0);
	expect_str(r.e.text, "cpu affinity: list \"8192\" has a number above 8191");
}

/* ---- labels: no LSM here, so a directory stands in for procfs ---- */
static int label(const struct sec_plan *p, struct err *e)
{
	char dir[] = "/tmp/sec-label-XXXXXX", pid[16];

	if (!mkdtemp(dir))
		return -99;
	auto_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	mkdirat(fd, pid, 0700);
	expect(symlinkat(pid, fd, "self") == 0);
	mkdirat(fd, "self/attr", 0700);
	close(openat(fd, "self/attr/exec", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	int r = lsm_label_exec(p, fd, e);

	unlinkat(fd, "self/attr/exec", 0);
	unlinkat(fd, "self/attr", AT_REMOVEDIR);
	unlinkat(fd, "self", 0);
	unlinkat(fd, pid, AT_REMOVEDIR);
	rmdir(dir);
	return r;
}

static void a_label_is_read_back(void)
{
	struct report r;

	expect(child(label, &(struct sec_plan){ 0 }, &r) && r.r == 0);
	expect(child(label, &(struct sec_plan){ .selinux = "u:r:t:s0:c2,c1" }, &r) && r.r == 0);
	/* The stand-in gives back "exec NAME" where AppArmor would say "NAME (enforce)": it is not what was asked for. */
	expect(child(label, &(struct sec_plan){ .apparmor = "docker-default" }, &r) && r.r == -EPERM);
	expect(strstr(r.e.text, "self/attr/exec: label \"docker-default\" was written but \"exec docker-default\" is set"));
}

static void a_label_without_its_file_is_an_error(void)
{
	struct sec_plan p = { .selinux = "u:r:t:s0", .set_groups = true };
	struct report r;

	if (not_root())
		return;
	expect(child(final, &p, &r) && r.r < 0); /* proc_fd is -1 */
	expect(strncmp(r.e.text, "process.selinuxLabel \"u:r:t:s0\": ", 33) == 0);
	arena_release(&arena); /* the last case */
}

TAP_MAIN(CASE(ids_groups_and_umask_are_set), CASE(sets_equal_the_plan_for_any_user_with_and_without_no_new_privs),
	 CASE(no_capabilities_means_all_sets_are_empty_even_for_root), CASE(keep_caps_does_not_stay),
	 CASE(ambient_capabilities_reach_a_non_root_program), CASE(a_failed_step_names_what_it_did),
	 CASE(without_no_new_privs_the_filter_is_loaded_while_privileged), CASE(a_filter_needs_a_privilege_or_no_new_privs),
	 CASE(a_listener_is_handed_over_at_once), CASE(a_hook_is_confined_and_what_would_be_notified_of_fails),
	 CASE(limits_are_set_from_outside), CASE(the_oom_score_is_set_from_outside), CASE(scheduler_and_nice_are_set),
	 CASE(io_priority_is_set), CASE(personality_is_set), CASE(a_memory_policy_is_set),
	 CASE(a_session_keyring_is_new_named_and_private), CASE(a_missing_keyring_is_tolerated_but_not_a_used_up_quota),
	 CASE(affinity_is_set_and_reset), CASE(a_label_is_read_back), CASE(a_label_without_its_file_is_an_error))
