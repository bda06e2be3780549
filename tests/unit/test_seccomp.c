/* Compiled profiles, run by an interpreter of the BPF that seccomp accepts, so that other architectures, kill actions and system
 * calls the machine does not have can be tried; then a few loaded for real, in children. */
#include "bpf_run.h"
#include "security/internal.h"
#include "tap.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define X32         0x40000000u
#define ERRNO(n)    (SECCOMP_RET_ERRNO | (n))
#define KILL_THREAD 0u
/* x86_64 numbers, whatever this test is compiled for */
enum { NR_READ = 0, NR_WRITE = 1, NR_CLONE = 56, NR_GETPID = 39, NR_PERSONALITY = 135, NR_OPENAT2 = 437, NR_FACCESSAT2 = 439 };

static struct arena arena;
static struct err err;

static uint32_t run(const struct sec_filter *f, const struct seccomp_data *d)
{
	return bpf_run(f->insns, f->n, d);
}

static uint32_t call_arch(const struct sec_filter *f, uint32_t arch, uint32_t nr)
{
	return run(f, &(struct seccomp_data){ .nr = (int)nr, .arch = arch });
}

static uint32_t call(const struct sec_filter *f, uint32_t nr)
{
	return call_arch(f, AUDIT_ARCH_X86_64, nr);
}

static uint32_t call2(const struct sec_filter *f, uint32_t nr, uint64_t a0, uint64_t a1)
{
	return run(f, &(struct seccomp_data){ .nr = (int)nr, .arch = AUDIT_ARCH_X86_64, .args = { a0, a1 } });
}

/* ---- building profiles ---- */
#define N(v) (sizeof(v) / sizeof((v)[0]))
#define STRS(...)                                                                                                                  \
	{                                                                                                                          \
		(const char *[]){ __VA_ARGS__ }, N(((const char *[]){ __VA_ARGS__ }))                                              \
	}
#define RULES(...)                                                                                                                 \
	{                                                                                                                          \
		(struct oci_syscall[]){ __VA_ARGS__ }, N(((struct oci_syscall[]){ __VA_ARGS__ }))                                  \
	}
#define ARGS(...)                                                                                                                  \
	{                                                                                                                          \
		(struct oci_syscall_arg[]){ __VA_ARGS__ }, N(((struct oci_syscall_arg[]){ __VA_ARGS__ }))                          \
	}
#define ALLOW(...)                                                                                                                 \
	{                                                                                                                          \
		.names = STRS(__VA_ARGS__), .action = OCI_ACT_ALLOW                                                                \
	}

static const struct sec_filter *compile(const struct oci_seccomp *s)
{
	static const struct sec_filter nothing;
	const struct sec_filter *f = &nothing;

	err.text[0] = '\0';
	if (seccomp_compile(s, &arena, &f, &err) < 0)
		printf("# %s\n", err.text);
	return f;
}

static const char *refusal(const struct oci_seccomp *s)
{
	const struct sec_filter *f = NULL;

	err.text[0] = '\0';
	expect(seccomp_compile(s, &arena, &f, &err) == -EINVAL);
	expect(f == NULL);
	return err.text;
}

/* ---- cases ---- */
static void a_disabled_profile_is_no_filter(void)
{
	const struct sec_filter *f = compile(&(struct oci_seccomp){ .disabled = true });

	expect(f == NULL);
}

static void what_is_not_listed_gets_the_default(void)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO, .syscalls = RULES(ALLOW("read", "openat2")) };
	const struct sec_filter *f = compile(&s);

	expect(call(f, NR_READ) == SECCOMP_RET_ALLOW);
	expect(call(f, NR_OPENAT2) == SECCOMP_RET_ALLOW);
	expect(call(f, NR_WRITE) == ERRNO(EPERM));
	s.default_errno_ret = (struct opt_u64){ EACCES, true };
	expect(call(compile(&s), NR_WRITE) == ERRNO(EACCES));
}

static void each_action_has_its_return_value(void)
{
	static const struct {
		int action;
		uint32_t ret;
	} table[] = {
		{ OCI_ACT_KILL, KILL_THREAD },         { OCI_ACT_KILL_THREAD, KILL_THREAD },
		{ OCI_ACT_KILL_PROCESS, 0x80000000u }, { OCI_ACT_TRAP, SECCOMP_RET_TRAP },
		{ OCI_ACT_ERRNO, ERRNO(EPERM) },       { OCI_ACT_TRACE, SECCOMP_RET_TRACE | EPERM },
		{ OCI_ACT_LOG, SECCOMP_RET_LOG },
	};

	for (size_t i = 0; i < N(table); i++) {
		struct oci_seccomp s = { .default_action = OCI_ACT_ALLOW,
					 .syscalls = RULES({ .names = STRS("getpid"), .action = table[i].action }) };
		const struct sec_filter *f = compile(&s);

		expect(call(f, NR_GETPID) == table[i].ret);
		expect(call(f, NR_READ) == SECCOMP_RET_ALLOW);
	}
}

static void several_conditions_hold_together(void)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO,
				 .syscalls =
					 RULES({ .names = STRS("personality"),
						 .action = OCI_ACT_ALLOW,
						 .args = ARGS({ 0, 0x100000000ull, 0, OCI_CMP_GT }, { 1, 7, 0, OCI_CMP_NE }) }) };
	const struct sec_filter *f = compile(&s);

	expect(call2(f, NR_PERSONALITY, 0x100000001ull, 0) == SECCOMP_RET_ALLOW);
	expect(call2(f, NR_PERSONALITY, 0x200000000ull, 8) == SECCOMP_RET_ALLOW);
	expect(call2(f, NR_PERSONALITY, 0x100000000ull, 0) == ERRNO(EPERM));
	expect(call2(f, NR_PERSONALITY, 0xffffffffull, 0) == ERRNO(EPERM));
	expect(call2(f, NR_PERSONALITY, 0x100000001ull, 7) == ERRNO(EPERM));
	expect(call2(f, NR_PERSONALITY, 0x100000001ull, 0x700000007ull) == SECCOMP_RET_ALLOW);
}

static void the_same_argument_twice_means_either(void)
{
	struct oci_seccomp s = {
		.default_action = OCI_ACT_ERRNO,
		.syscalls = RULES({ .names = STRS("personality"),
				    .action = OCI_ACT_ALLOW,
				    .args = ARGS({ 0, 0, 0, OCI_CMP_EQ }, { 0, 8, 0, OCI_CMP_EQ }, { 1, 5, 0, OCI_CMP_EQ }) })
	};
	const struct sec_filter *f = compile(&s);

	expect(call2(f, NR_PERSONALITY, 0, 0) == SECCOMP_RET_ALLOW);
	expect(call2(f, NR_PERSONALITY, 8, 0) == SECCOMP_RET_ALLOW);
	expect(call2(f, NR_PERSONALITY, 4, 5) == SECCOMP_RET_ALLOW);
	expect(call2(f, NR_PERSONALITY, 4, 0) == ERRNO(EPERM));
}

static void every_operator_compares_64_bits(void)
{
	static const uint64_t samples[] = { 0,           1,           4,           5,           6,           0xffffffff,
					    0x100000000, 0x100000004, 0x100000005, 0x100000006, 0x500000001, UINT64_MAX };

	for (int op = OCI_CMP_NE; op <= OCI_CMP_GT; op++) {
		struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO,
					 .syscalls = RULES({ .names = STRS("personality"),
							     .action = OCI_ACT_ALLOW,
							     .args = ARGS({ 0, 0x100000005ull, 0, op }) }) };
		const struct sec_filter *f = compile(&s);

		for (size_t i = 0; i < N(samples); i++) {
			uint64_t v = samples[i], k = 0x100000005ull;
			bool want[] = {
				[OCI_CMP_NE] = v != k,
				[OCI_CMP_LT] =
					v<k, [OCI_CMP_LE] = v <= k, [OCI_CMP_EQ] = v == k, [OCI_CMP_GE] = v >= k, [OCI_CMP_GT] = v>
						k
			};

			expect((call2(f, NR_PERSONALITY, v, 0) == SECCOMP_RET_ALLOW) == want[op]);
		}
	}
}

static void a_masked_comparison_has_mask_then_value(void)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO,
				 .syscalls = RULES({ .names = STRS("clone"),
						     .action = OCI_ACT_ALLOW,
						     .args = ARGS({ 0, 0x7e020000, 0x20000, OCI_CMP_MASKED_EQ }) }) };
	const struct sec_filter *f = compile(&s);

	expect(call2(f, NR_CLONE, 0x20000 | 0x11, 0) == SECCOMP_RET_ALLOW);
	expect(call2(f, NR_CLONE, 0x11, 0) == ERRNO(EPERM));
	expect(call2(f, NR_CLONE, 0x20000 | 0x10000000, 0) == ERRNO(EPERM));
}

static void unknown_calls_are_skipped_and_no_hindrance(void)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO,
				 .syscalls = RULES(ALLOW("no_such_call", "read", "openat2", "socketcall")) };
	const struct sec_filter *f = compile(&s);

	expect(f->n > 0 && call(f, NR_READ) == SECCOMP_RET_ALLOW);
}

static void a_rule_that_equals_the_default_is_no_error(void)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO,
				 .syscalls = RULES(
					 ALLOW("read", "openat2"), { .names = STRS("write"), .action = OCI_ACT_ERRNO },
					 { .names = STRS("getpid"), .action = OCI_ACT_ERRNO, .errno_ret = { ENOSYS, true } }) };
	const struct sec_filter *f = compile(&s);

	expect(call(f, NR_WRITE) == ERRNO(EPERM));
	expect(call(f, NR_GETPID) == ERRNO(ENOSYS));
}

static void a_repeated_rule_is_no_error_but_a_contradiction_is(void)
{
	struct oci_syscall_arg one[] = { { 0, 1, 0, OCI_CMP_EQ } };
	struct oci_syscall clone1 = { .names = STRS("clone"), .action = OCI_ACT_ALLOW, .args = { one, 1 } };
	struct oci_syscall rules[] = { ALLOW("read", "read", "openat2"), ALLOW("read"), clone1, clone1, ALLOW("clone") };
	struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO, .syscalls = { rules, 4 } };
	const struct sec_filter *f = compile(&s);

	expect(call(f, NR_READ) == SECCOMP_RET_ALLOW);
	expect(call2(f, NR_CLONE, 1, 0) == SECCOMP_RET_ALLOW && call2(f, NR_CLONE, 2, 0) == ERRNO(EPERM));
	s.syscalls.n = 5;
	expect(call2(compile(&s), NR_CLONE, 2, 0) == SECCOMP_RET_ALLOW);
	rules[3].action = OCI_ACT_KILL;
	expect_str(refusal(&s),
		   "linux.seccomp.syscalls[3]: system call clone: contradicts an earlier rule with the same conditions");
}

/* As libseccomp has it: == before < before >, smaller bounds of < first, higher arguments first; whatever the order in the profile.
 */
static void the_more_special_of_rules_that_overlap_wins(void)
{
	struct oci_syscall rules[] = {
		{ STRS("personality"), OCI_ACT_LOG, { 0 }, ARGS({ 0, 1, 0, OCI_CMP_GT }) },
		{ STRS("personality"), OCI_ACT_TRAP, { 0 }, ARGS({ 0, 50, 0, OCI_CMP_LT }) },
		{ STRS("personality"), OCI_ACT_ALLOW, { 0 }, ARGS({ 0, 9, 0, OCI_CMP_EQ }) },
		{ STRS("personality"), OCI_ACT_KILL_PROCESS, { 0 }, ARGS({ 0, 20, 0, OCI_CMP_LE }) },
		{ STRS("personality"), OCI_ACT_TRACE, { 0 }, ARGS({ 1, 3, 0, OCI_CMP_EQ }) },
	};
	struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO, .syscalls = { rules, N(rules) } };

	for (int turned = 0; turned < 2; turned++) {
		const struct sec_filter *f = compile(&s);

		expect(call2(f, NR_PERSONALITY, 9, 0) == SECCOMP_RET_ALLOW);
		expect(call2(f, NR_PERSONALITY, 9, 3) == (SECCOMP_RET_TRACE | EPERM));
		expect(call2(f, NR_PERSONALITY, 10, 0) == SECCOMP_RET_KILL_PROCESS);
		expect(call2(f, NR_PERSONALITY, 21, 0) == SECCOMP_RET_TRAP);
		expect(call2(f, NR_PERSONALITY, 50, 0) == SECCOMP_RET_LOG);
		for (size_t i = 0; i < N(rules) / 2; i++) {
			struct oci_syscall r = rules[i];

			rules[i] = rules[N(rules) - 1 - i];
			rules[N(rules) - 1 - i] = r;
		}
	}
}

/* ---- what is newer than the profile ---- */
static void calls_newer_than_the_profile_do_not_exist(void)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO, .syscalls = RULES(ALLOW("read", "openat2")) };
	const struct sec_filter *f = compile(&s);

	expect(call(f, NR_OPENAT2 - 1) == ERRNO(EPERM));
	expect(call(f, NR_OPENAT2 + 1) == ERRNO(ENOSYS));
	expect(call(f, 999) == ERRNO(ENOSYS));
	expect(call(f, X32 - 1) == ERRNO(ENOSYS));
	for (uint32_t nr = 0; nr < 600; nr++)
		expect(call(f, nr) ==
		       (nr == NR_READ || nr == NR_OPENAT2 ? SECCOMP_RET_ALLOW : ERRNO(nr > NR_OPENAT2 ? ENOSYS : EPERM)));
}

static void denied_calls_count_as_known(void)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO,
				 .syscalls = RULES(ALLOW("read"), { .names = STRS("faccessat2"), .action = OCI_ACT_ERRNO }) };
	const struct sec_filter *f = compile(&s);

	expect(call(f, NR_OPENAT2) == ERRNO(EPERM));
	expect(call(f, NR_FACCESSAT2) == ERRNO(EPERM));
	expect(call(f, NR_FACCESSAT2 + 1) == ERRNO(ENOSYS));
}

static void a_killing_default_has_the_stub_too(void)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_KILL_PROCESS, .syscalls = RULES(ALLOW("read", "openat2")) };
	const struct sec_filter *f = compile(&s);

	expect(call(f, NR_WRITE) == 0x80000000u);
	expect(call(f, NR_OPENAT2 + 1) == ERRNO(ENOSYS));
}

static void a_permissive_default_has_no_stub(void)
{
	static const struct {
		int action;
		uint32_t ret;
	} table[] = { { OCI_ACT_ALLOW, SECCOMP_RET_ALLOW },
		      { OCI_ACT_LOG, SECCOMP_RET_LOG },
		      { OCI_ACT_TRACE, SECCOMP_RET_TRACE | EPERM } };

	for (size_t i = 0; i < N(table); i++) {
		struct oci_seccomp s = { .default_action = table[i].action,
					 .syscalls = RULES({ .names = STRS("getpid"), .action = OCI_ACT_KILL }) };

		expect(call(compile(&s), 999) == table[i].ret);
	}
}

static void a_profile_without_rules_keeps_its_default(void)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO };
	const struct sec_filter *f = compile(&s);

	expect(call(f, NR_READ) == ERRNO(EPERM));
	expect(call(f, 999) == ERRNO(EPERM));
}

/* ---- architectures ---- */
static void foreign_architectures_are_killed(void)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO,
				 .architectures = STRS("SCMP_ARCH_X86_64"),
				 .syscalls = RULES(ALLOW("read", "openat2")) };
	const struct sec_filter *f = compile(&s);

	expect(call_arch(f, AUDIT_ARCH_I386, 3) == KILL_THREAD);
	expect(call_arch(f, AUDIT_ARCH_I386, 999) == KILL_THREAD);
	expect(call_arch(f, AUDIT_ARCH_AARCH64, 63) == KILL_THREAD);
}

static void x32_is_killed_unless_listed(void)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO,
				 .architectures = STRS("SCMP_ARCH_X86_64"),
				 .syscalls = RULES(ALLOW("read", "openat2")) };
	const struct sec_filter *f = compile(&s);

	expect(call(f, X32 | NR_READ) == KILL_THREAD);
	expect(call(f, X32 | 999) == KILL_THREAD);
	expect(call(f, 0x7fffffff) == KILL_THREAD);

	struct oci_seccomp with = s;

	with.architectures = (struct strs)STRS("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32");
	f = compile(&with);
	expect(call(f, X32 | NR_READ) == SECCOMP_RET_ALLOW);
	expect(call(f, X32 | NR_WRITE) == ERRNO(EPERM));
	expect(call(f, X32 | NR_OPENAT2) == SECCOMP_RET_ALLOW);
	expect(call(f, X32 | (NR_OPENAT2 + 1)) == ERRNO(ENOSYS) || call(f, X32 | 999) == ERRNO(ENOSYS));
	expect(call(f, NR_READ) == SECCOMP_RET_ALLOW);
	expect(call(f, NR_WRITE) == ERRNO(EPERM));
	expect(call(f, NR_OPENAT2 + 1) == ERRNO(ENOSYS));
}

static void listed_architectures_have_their_own_numbers(void)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO,
				 .architectures = STRS("SCMP_ARCH_X86", "SCMP_ARCH_AARCH64", "SCMP_ARCH_AARCH64"),
				 .syscalls = RULES(ALLOW("read", "renameat2", "socket")) };
	const struct sec_filter *f = compile(&s);

	expect(call(f, NR_READ) == SECCOMP_RET_ALLOW); /* native, though not listed */
	expect(call(f, 316) == SECCOMP_RET_ALLOW && call(f, 317) == ERRNO(ENOSYS));
	expect(call_arch(f, AUDIT_ARCH_I386, 3) == SECCOMP_RET_ALLOW);
	expect(call_arch(f, AUDIT_ARCH_I386, 4) == ERRNO(EPERM));
	expect(call_arch(f, AUDIT_ARCH_I386, 353) == SECCOMP_RET_ALLOW); /* renameat2 */
	expect(call_arch(f, AUDIT_ARCH_I386, 359) == SECCOMP_RET_ALLOW); /* socket */
	expect(call_arch(f, AUDIT_ARCH_I386, 500) == ERRNO(ENOSYS));
}

/* No call of theirs reaches this kernel. */
static void architectures_of_other_processors_are_left_out(void)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO,
				 .architectures = STRS("SCMP_ARCH_AARCH64", "SCMP_ARCH_S390X", "SCMP_ARCH_FUTURE"),
				 .syscalls = RULES(ALLOW("read", "openat2")) };
	const struct sec_filter *f = compile(&s);

	expect(call(f, NR_READ) == SECCOMP_RET_ALLOW);
	expect(call_arch(f, AUDIT_ARCH_AARCH64, 63) == KILL_THREAD);
	expect(call_arch(f, AUDIT_ARCH_S390X, 3) == KILL_THREAD);
	s.architectures = (struct strs)STRS("X86");
	expect_str(refusal(&s), "linux.seccomp.architectures[0]: unknown architecture \"X86\"");
}

/* ---- flags, NOTIFY, refusals ---- */
static void absent_flags_are_not_an_empty_list(void)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ALLOW };

	expect(compile(&s)->flags == SECCOMP_FILTER_FLAG_SPEC_ALLOW);
	s.flags_set = true;
	expect(compile(&s)->flags == 0);
	s.flags = (struct strs)STRS("SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC");
	expect(compile(&s)->flags == SECCOMP_FILTER_FLAG_LOG);
	s.flags = (struct strs)STRS("SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_FUTURE");
	expect_str(refusal(&s), "linux.seccomp.flags[1]: unknown flag \"SECCOMP_FILTER_FLAG_FUTURE\"");
	expect(!filter_flag_supported(1u << 20));
}

static void notify_needs_a_listener_and_never_stops_write(void)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ALLOW,
				 .flags_set = true,
				 .flags = STRS("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"),
				 .syscalls = RULES({ .names = STRS("getpid"), .action = OCI_ACT_NOTIFY }) };

	expect_str(refusal(&s), "linux.seccomp.listenerPath: needed by SCMP_ACT_NOTIFY");
	s.listener_path = "/run/listener";
	const struct sec_filter *f = compile(&s);

	expect(f->notify && f->flags == 1u << 5 && f->listener_path && call(f, NR_GETPID) == SECCOMP_RET_USER_NOTIF);
	s.syscalls.v[0].names = (struct strs)STRS("getpid", "write");
	expect_str(refusal(&s), "linux.seccomp.syscalls[0]: SCMP_ACT_NOTIFY cannot be used for write");
	s.syscalls.v[0].action = OCI_ACT_ERRNO;
	f = compile(&s);
	expect(!f->notify && f->flags == 0 && !f->listener_path);
	s.listener_path = NULL;
	s.listener_metadata = "x";
	expect_str(refusal(&s), "linux.seccomp.listenerMetadata: given without listenerPath");
	s = (struct oci_seccomp){ .default_action = OCI_ACT_NOTIFY, .listener_path = "/x" };
	expect_str(refusal(&s), "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be the default");
}

static void what_cannot_be_honoured_is_refused(void)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ALLOW, .default_errno_ret = { 1, true } };

	expect_str(refusal(&s), "linux.seccomp.defaultErrnoRet: only SCMP_ACT_ERRNO and SCMP_ACT_TRACE take a value");
	s = (struct oci_seccomp){ .default_action = OCI_ACT_ERRNO, .default_errno_ret = { 4096, true } };
	expect_str(refusal(&s), "linux.seccomp.defaultErrnoRet: 4096 is above 4095");
	s = (struct oci_seccomp){ .default_action = OCI_ACT_ERRNO,
				  .syscalls = RULES(ALLOW("write"),
						    { .names = STRS("read"), .action = OCI_ACT_KILL, .errno_ret = { 1, true } }) };
	expect_str(refusal(&s), "linux.seccomp.syscalls[1]: errnoRet: only SCMP_ACT_ERRNO and SCMP_ACT_TRACE take a value");
	s = (struct oci_seccomp){
		.default_action = OCI_ACT_ERRNO,
		.syscalls = RULES({ .names = STRS("read"), .action = OCI_ACT_ALLOW, .args = ARGS({ 6, 0, 0, OCI_CMP_EQ }) })
	};
	expect_str(refusal(&s), "linux.seccomp.syscalls[0]: args[0]: index 6 is not in 0..5");
	s = (struct oci_seccomp){ .default_action = OCI_ACT_ERRNO,
				  .syscalls =
					  RULES({ .names = STRS("read"), .action = OCI_ACT_ALLOW, .args = ARGS({ 1, 0, 0, 7 }) }) };
	expect_str(refusal(&s), "linux.seccomp.syscalls[0]: args[0]: unknown operator 7");
}

/* ---- real loads ---- */
static bool in_child(const struct sec_filter *f, int (*body)(void), int *status)
{
	struct err e;
	pid_t pid = fork();

	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1ul, 0ul, 0ul, 0ul) < 0 || filter_load(f, &e) < 0)
			_exit(99);
		_exit(body());
	}
	return pid > 0 && waitpid(pid, status, 0) == pid;
}

static int errno_of_probes(void)
{
	bool eperm = syscall(SYS_getppid) < 0 && errno == EPERM;
	bool enosys = syscall(900) < 0 && errno == ENOSYS;
	bool arg = syscall(SYS_dup, 77L) < 0 && errno == EXDEV && syscall(SYS_dup, 0x10000004dL) < 0 && errno == EPERM;
	bool masked = syscall(SYS_umask, 0xf2L) < 0 && errno == EOWNERDEAD && syscall(SYS_umask, 0xf3L) < 0 && errno == EPERM;

	return eperm | enosys << 1 | arg << 2 | masked << 3;
}

static void a_loaded_filter_answers_as_asked(void)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO,
				 .syscalls = RULES(ALLOW("exit_group", "exit", "write", "rt_sigprocmask", "mmap", "munmap",
							 "sigaltstack", "openat2"),
						   { .names = STRS("dup"),
						     .action = OCI_ACT_ERRNO,
						     .errno_ret = { EXDEV, true },
						     .args = ARGS({ 0, 77, 0, OCI_CMP_EQ }) },
						   { .names = STRS("umask"),
						     .action = OCI_ACT_ERRNO,
						     .errno_ret = { EOWNERDEAD, true },
						     .args = ARGS({ 0, 0xf, 2, OCI_CMP_MASKED_EQ }) }) };
	int status = 0;

	expect(in_child(compile(&s), errno_of_probes, &status));
	expect(WIFEXITED(status) && WEXITSTATUS(status) == 15);
}

static int do_getppid(void)
{
	return syscall(SYS_getppid) > 0 ? 3 : 4;
}

static void a_killed_process_ends_by_sigsys(void)
{
	static const int actions[] = { OCI_ACT_KILL, OCI_ACT_KILL_PROCESS, OCI_ACT_TRAP };

	for (size_t i = 0; i < N(actions); i++) {
		struct oci_seccomp s = { .default_action = OCI_ACT_ALLOW,
					 .syscalls = RULES({ .names = STRS("getppid"), .action = actions[i] }) };
		int status = 0;

		expect(in_child(compile(&s), do_getppid, &status));
		expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS && SIGSYS == 31);
	}
}

static int do_x32(void)
{
	return syscall((long)(X32 | NR_GETPID)) < 0 && errno == ENOSYS ? 5 : 6;
}

static void an_x32_call_kills_for_real(void)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO, .syscalls = RULES(ALLOW("exit_group", "getpid", "openat2")) };
	int status = 0;

	expect(in_child(compile(&s), do_x32, &status));
	expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

/* Time and size are in proportion to the profile. */
static void repetitions_cost_nothing_and_what_cannot_fit_is_refused_early(void)
{
	static const char *names[50001];
	static struct oci_syscall_arg arg[4097];
	static struct oci_syscall many[N(arg)];
	struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO };
	const struct strs once = STRS("read"),
			  thrice = STRS("read", "read", "read"); /* literals of a loop's body would end with it */
	const struct sec_filter *f;

	for (size_t i = 0; i < N(names) - 1; i++)
		names[i] = i % 2 ? "read" : "getpid";
	many[0] = (struct oci_syscall){ .names = { names, N(names) - 1 }, .action = OCI_ACT_ALLOW };
	s.syscalls = (struct oci_syscall_list){ many, 1 };
	expect(call(compile(&s), NR_GETPID) == SECCOMP_RET_ALLOW);
	for (size_t i = 0; i < N(arg); i++) {
		arg[i] = (struct oci_syscall_arg){ 0, i, 0, OCI_CMP_EQ };
		many[i] = (struct oci_syscall){ .names = once, .action = OCI_ACT_ALLOW, .args = { &arg[i], 1 } };
	}
	s.syscalls = (struct oci_syscall_list){ many, N(many) };
	expect(seccomp_compile(&s, &arena, &f, &err) == -E2BIG);
	expect_str(err.text, "linux.seccomp.syscalls[4096]: more conditions than a filter has instructions, 4096");
	for (size_t i = 0; i < N(many); i++)
		many[i] = (struct oci_syscall){ .names = thrice, .action = i % 2 ? OCI_ACT_ALLOW : OCI_ACT_LOG };
	expect(seccomp_compile(&s, &arena, &f, &err) == 0);
}

static void the_program_fits_and_ends(void)
{
	struct oci_seccomp s = { .default_action = OCI_ACT_ERRNO, .syscalls = RULES(ALLOW("read")) };
	static struct oci_syscall_arg args[3000];
	static struct oci_syscall many;

	/* 3000 alternatives of 4 instructions are too many. */
	for (size_t i = 0; i < N(args); i++)
		args[i] = (struct oci_syscall_arg){ 0, i * 0x100000001ull, 0, OCI_CMP_EQ };
	many = (struct oci_syscall){ .names = STRS("personality"), .action = OCI_ACT_ALLOW, .args = { args, 500 } };
	s.syscalls = (struct oci_syscall_list){ &many, 1 };
	const struct sec_filter *f = compile(&s);

	expect(call2(f, NR_PERSONALITY, 499 * 0x100000001ull, 0) == SECCOMP_RET_ALLOW);
	expect(call2(f, NR_PERSONALITY, 500 * 0x100000001ull, 0) == ERRNO(EPERM));
	many.args.n = N(args);
	expect(seccomp_compile(&s, &arena, &f, &err) == -E2BIG);
	arena_release(&arena); /* the last case */
}

TAP_MAIN(CASE(a_disabled_profile_is_no_filter), CASE(what_is_not_listed_gets_the_default), CASE(each_action_has_its_return_value),
	 CASE(several_conditions_hold_together), CASE(the_same_argument_twice_means_either), CASE(every_operator_compares_64_bits),
	 CASE(a_masked_comparison_has_mask_then_value), CASE(unknown_calls_are_skipped_and_no_hindrance),
	 CASE(a_rule_that_equals_the_default_is_no_error), CASE(a_repeated_rule_is_no_error_but_a_contradiction_is),
	 CASE(the_more_special_of_rules_that_overlap_wins), CASE(calls_newer_than_the_profile_do_not_exist),
	 CASE(denied_calls_count_as_known), CASE(a_killing_default_has_the_stub_too), CASE(a_permissive_default_has_no_stub),
	 CASE(a_profile_without_rules_keeps_its_default), CASE(foreign_architectures_are_killed), CASE(x32_is_killed_unless_listed),
	 CASE(listed_architectures_have_their_own_numbers), CASE(architectures_of_other_processors_are_left_out),
	 CASE(absent_flags_are_not_an_empty_list), CASE(notify_needs_a_listener_and_never_stops_write),
	 CASE(what_cannot_be_honoured_is_refused), CASE(a_loaded_filter_answers_as_asked), CASE(a_killed_process_ends_by_sigsys),
	 CASE(an_x32_call_kills_for_real), CASE(repetitions_cost_nothing_and_what_cannot_fit_is_refused_early),
	 CASE(the_program_fits_and_ends))
