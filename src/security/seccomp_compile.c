/* seccomp_compile.c - from the OCI seccomp profile to BPF, by libseccomp
 *
 * Theory of operation: the runtime compiles, the container's init only loads. The profile is checked for what the kernel cannot
 * honour, its rules are handed to libseccomp, the program is exported to a memory file and read back, and the ENOSYS stub
 * (seccomp_stub.c) is put in front. The native architecture is always part of the filter, as the program's execve(2) would die
 * without; calls of an architecture that is not part of it are killed by libseccomp's default. This is the only file that knows
 * libseccomp; seccomp_compile() is the seam where another generator fits.
 */
#include "base/cleanup.h"
#include "base/log.h"
#include "base/retry.h"
#include "base/str.h"
#include "base/sys.h"
#include "security/internal.h"

#include <ctype.h>
#include <errno.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <string.h>
#include <sys/stat.h>

#define INSNS_MAX  4096u /* BPF_MAXINSNS */
#define ERRNO_MAX  4095u /* above, the kernel returns this one */
#define ARCHES_MAX 24
#define ARGS_MAX   6
#define RULES_MAX  (2ul * INSNS_MAX)
#define CALLS_MAX  1024 /* numbers of system calls, in the tables here */

/* linux/seccomp.h, whose version may be older than the kernel */
enum { FLAG_TSYNC = 1 << 0, FLAG_LOG = 1 << 1, FLAG_SPEC_ALLOW = 1 << 2, FLAG_WAIT_KILLABLE_RECV = 1 << 5 };

static void release_ctx(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}
#define auto_ctx __attribute__((cleanup(release_ctx)))

/* What is being compiled. */
struct build {
	const struct oci_seccomp *profile;
	scmp_filter_ctx ctx; /* borrowed */
	uint32_t default_action;
	uint32_t arch[ARCHES_MAX]; /* SCMP_ARCH_* in the filter */
	size_t n_arch;
	size_t n_rules, n_conditional; /* given to libseccomp */
	struct {
		bool set;
		uint32_t action;
	} always[CALLS_MAX]; /* the last rule without conditions, by number */
	bool notify;
};

/* ---- actions ---- */

static int errno_value(int action, const struct opt_u64 *given, uint32_t *out, struct err *e)
{
	bool takes_one = action == OCI_ACT_ERRNO || action == OCI_ACT_TRACE;
	uint64_t max = action == OCI_ACT_TRACE ? UINT16_MAX : ERRNO_MAX;

	*out = given->set ? (uint32_t)given->value : EPERM;
	if (given->set && !takes_one)
		return err_set(e, EINVAL, "only SCMP_ACT_ERRNO and SCMP_ACT_TRACE take a value");
	if (given->set && given->value > max)
		return err_set(e, EINVAL, "%llu is above %llu", (unsigned long long)given->value, (unsigned long long)max);
	return 0;
}

static int action_value(int action, const struct opt_u64 *given, uint32_t *out, struct err *e)
{
	uint32_t value;
	int r = errno_value(action, given, &value, e);

	if (r < 0)
		return r;
	switch ((enum oci_action)action) {
	case OCI_ACT_KILL:
	case OCI_ACT_KILL_THREAD:
		*out = SCMP_ACT_KILL_THREAD;
		return 0;
	case OCI_ACT_KILL_PROCESS:
		*out = SCMP_ACT_KILL_PROCESS;
		return 0;
	case OCI_ACT_TRAP:
		*out = SCMP_ACT_TRAP;
		return 0;
	case OCI_ACT_ERRNO:
		*out = SCMP_ACT_ERRNO(value);
		return 0;
	case OCI_ACT_TRACE:
		*out = SCMP_ACT_TRACE(value);
		return 0;
	case OCI_ACT_ALLOW:
		*out = SCMP_ACT_ALLOW;
		return 0;
	case OCI_ACT_LOG:
		*out = SCMP_ACT_LOG;
		return 0;
	case OCI_ACT_NOTIFY:
		*out = SCMP_ACT_NOTIFY;
		return 0;
	}
	return err_set(e, EINVAL, "unknown action %d", action);
}

/* ---- rules of the profile as a whole ---- */

static bool names_call(const struct oci_syscall *s, const char *name)
{
	for (size_t i = 0; i < s->names.n; i++)
		if (strcmp(s->names.v[i], name) == 0)
			return true;
	return false;
}

static int check_notify(struct build *b, struct err *e)
{
	const struct oci_seccomp *p = b->profile;

	if (p->default_action == OCI_ACT_NOTIFY)
		return err_set(e, EINVAL, "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be the default");
	for (size_t i = 0; i < p->syscalls.n; i++) {
		if (p->syscalls.v[i].action != OCI_ACT_NOTIFY)
			continue;
		/* The listener is handed over by write(2), which would wait for the listener. */
		if (names_call(&p->syscalls.v[i], "write"))
			return err_set(e, EINVAL, "linux.seccomp.syscalls[%zu]: SCMP_ACT_NOTIFY cannot be used for write", i);
		b->notify = true;
	}
	if (b->notify && (!p->listener_path || !p->listener_path[0]))
		return err_set(e, EINVAL, "linux.seccomp.listenerPath: needed by SCMP_ACT_NOTIFY");
	if (p->listener_metadata && p->listener_metadata[0] && (!p->listener_path || !p->listener_path[0]))
		return err_set(e, EINVAL, "linux.seccomp.listenerMetadata: given without listenerPath");
	return 0;
}

static int flag_bit(const char *name)
{
	static const struct {
		const char *name;
		int bit;
	} table[] = {
		{ "SECCOMP_FILTER_FLAG_TSYNC", FLAG_TSYNC },
		{ "SECCOMP_FILTER_FLAG_LOG", FLAG_LOG },
		{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", FLAG_SPEC_ALLOW },
		{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", FLAG_WAIT_KILLABLE_RECV },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(table[i].name, name) == 0)
			return table[i].bit;
	return 0;
}

static int filter_flags(const struct build *b, unsigned *out, struct err *e)
{
	const struct oci_seccomp *p = b->profile;
	unsigned flags = 0;

	/* Absent, the mitigation of speculation stays off, as without a filter; an empty list asks for it. */
	if (!p->flags_set && p->flags.n == 0)
		flags = filter_flag_supported(FLAG_SPEC_ALLOW) ? FLAG_SPEC_ALLOW : 0;
	for (size_t i = 0; i < p->flags.n; i++) {
		unsigned bit = (unsigned)flag_bit(p->flags.v[i]);

		if (!bit)
			return err_set(e, EINVAL, "linux.seccomp.flags[%zu]: unknown flag \"%.60s\"", i, p->flags.v[i]);
		if (!filter_flag_supported(bit))
			return err_set(e, EINVAL, "linux.seccomp.flags[%zu]: %s is not supported by this kernel", i, p->flags.v[i]);
		flags |= bit;
	}
	flags &= ~(unsigned)FLAG_TSYNC; /* one thread: nothing to synchronise, and it excludes a listener */
	if (!b->notify)
		flags &= ~(unsigned)FLAG_WAIT_KILLABLE_RECV; /* says how to wait for a listener */
	*out = flags;
	return 0;
}

/* ---- architectures ---- */

static bool in_filter(const struct build *b, uint32_t arch)
{
	for (size_t i = 0; i < b->n_arch; i++)
		if (b->arch[i] == arch)
			return true;
	return false;
}

/* SCMP_ARCH_* by OCI name; 0: libseccomp does not know it. */
static uint32_t arch_token(const char *name)
{
	char lower[32];
	size_t n = 0;

	for (const char *s = name + strlen("SCMP_ARCH_"); *s && n < sizeof(lower) - 1; s++)
		lower[n++] = (char)tolower((unsigned char)*s);
	lower[n] = '\0';
	return seccomp_arch_resolve_name(lower);
}

static int add_arch(struct build *b, const char *name, struct err *e)
{
	if (!str_starts(name, "SCMP_ARCH_"))
		return err_set(e, EINVAL, "unknown architecture \"%.40s\"", name);
	uint32_t arch = arch_token(name);

	if (arch && in_filter(b, arch))
		return 0;
	/* The other byte order, or newer than libseccomp: no program of it runs on this machine, and the filter kills its calls. */
	int r = arch ? seccomp_arch_add(b->ctx, arch) : -EDOM;

	if (r == -EDOM || r == -EINVAL) {
		log_warn("linux.seccomp.architectures: %s is not supported here, ignored", name);
		return 0;
	}
	if (r < 0)
		return err_set(e, -r, "%s: %s", name, strerror(-r));
	if (b->n_arch == ARCHES_MAX)
		return err_set(e, E2BIG, "more than %d architectures", ARCHES_MAX);
	b->arch[b->n_arch++] = arch;
	return 0;
}

static int add_arches(struct build *b, struct err *e)
{
	const struct strs *names = &b->profile->architectures;

	b->arch[b->n_arch++] = seccomp_arch_native(); /* seccomp_init() has put it in */
	for (size_t i = 0; i < names->n; i++)
		if (add_arch(b, names->v[i], e) < 0)
			return err_in(e, "linux.seccomp.architectures[%zu]", i);
	return 0;
}

/* ---- rules ---- */

static int arg_value(const struct oci_syscall_arg *a, struct scmp_arg_cmp *out, struct err *e)
{
	static const enum scmp_compare ops[] = {
		[OCI_CMP_NE] = SCMP_CMP_NE,
		[OCI_CMP_LT] = SCMP_CMP_LT,
		[OCI_CMP_LE] = SCMP_CMP_LE,
		[OCI_CMP_EQ] = SCMP_CMP_EQ,
		[OCI_CMP_GE] = SCMP_CMP_GE,
		[OCI_CMP_GT] = SCMP_CMP_GT,
		[OCI_CMP_MASKED_EQ] = SCMP_CMP_MASKED_EQ,
	};

	if (a->index >= ARGS_MAX)
		return err_set(e, EINVAL, "index %u is not in 0..5", a->index);
	if (a->op < 0 || (size_t)a->op >= sizeof(ops) / sizeof(ops[0]))
		return err_set(e, EINVAL, "unknown operator %d", a->op);
	/* For MASKED_EQ value is the mask and valueTwo what must remain: libseccomp's order too. */
	*out = (struct scmp_arg_cmp){ .arg = a->index, .op = ops[a->op], .datum_a = a->value, .datum_b = a->value_two };
	return 0;
}

/* libseccomp compares each rule with all before it, so what adds nothing is left out, and what no filter has room for is refused:
 * a condition takes an instruction at least, on each architecture. */
static bool is_repeated(struct build *b, int number, uint32_t action)
{
	if (number < 0 || number >= CALLS_MAX)
		return false;
	bool repeated = b->always[number].set && b->always[number].action == action;

	b->always[number].set = true;
	b->always[number].action = action;
	return repeated;
}

static int count_rule(struct build *b, bool conditional, struct err *e)
{
	if (++b->n_rules > RULES_MAX)
		return err_set(e, E2BIG, "more than %lu rules", RULES_MAX);
	if (conditional && ++b->n_conditional * b->n_arch > INSNS_MAX)
		return err_set(e, E2BIG, "more conditions than a filter has instructions, %u", INSNS_MAX);
	return 0;
}

/* One system call with one set of conditions, all of which must hold. */
static int add_rule(struct build *b, uint32_t action, const char *name, const struct scmp_arg_cmp *args, unsigned n, struct err *e)
{
	int number = seccomp_syscall_resolve_name(name);

	if (number == __NR_SCMP_ERROR) {
		log_debug("linux.seccomp: system call %s is not known here, skipped", name);
		return 0;
	}
	if (!n && is_repeated(b, number, action))
		return 0;
	if (count_rule(b, n > 0, e) < 0)
		return -e->code;
	int r = seccomp_rule_add_array(b->ctx, action, number, n, args);

	/* The first unconditional rule for a call wins over later ones; EEXIST is for two with the same conditions but another
	 * action. */
	if (r == -EEXIST)
		return err_set(e, EINVAL, "system call %s: contradicts an earlier rule with the same conditions", name);
	if (r < 0 && r != -EDOM) /* none of the architectures has this call */
		return err_set(e, -r, "system call %s: %s", name, strerror(-r));
	return 0;
}

/* The conditions of a rule are to hold together; but where an argument appears twice, which libseccomp cannot express, engines
 * mean alternatives, and each condition becomes a rule of its own. */
static bool is_alternatives(const struct oci_syscall_arg_list *args)
{
	unsigned seen = 0;

	for (size_t i = 0; i < args->n; i++) {
		unsigned bit = 1u << (args->v[i].index & 31);

		if (seen & bit)
			return true;
		seen |= bit;
	}
	return false;
}

static int add_alternatives(struct build *b, const struct oci_syscall *s, uint32_t action, const char *name, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < s->args.n && r == 0; i++) {
		struct scmp_arg_cmp one;

		r = arg_value(&s->args.v[i], &one, e);
		if (r < 0)
			return err_in(e, "args[%zu]", i);
		r = add_rule(b, action, name, &one, 1, e);
	}
	return r;
}

static int add_conjunction(struct build *b, const struct oci_syscall *s, uint32_t action, const char *name, struct err *e)
{
	struct scmp_arg_cmp args[ARGS_MAX] = { 0 };

	for (size_t i = 0; i < s->args.n; i++) {
		/* No index twice and each below 6: there cannot be more than 6. */
		if (i == ARGS_MAX)
			return err_set(e, EINVAL, "args: more than 6");
		if (arg_value(&s->args.v[i], &args[i], e) < 0)
			return err_in(e, "args[%zu]", i);
	}
	return add_rule(b, action, name, args, (unsigned)s->args.n, e);
}

static int add_syscall(struct build *b, const struct oci_syscall *s, struct err *e)
{
	bool alternatives = is_alternatives(&s->args);
	uint32_t action = 0;
	int r = action_value(s->action, &s->errno_ret, &action, e);

	if (r < 0)
		return err_in(e, "errnoRet");
	/* What the default does anyway needs no rule, and libseccomp refuses one. */
	for (size_t i = 0; i < s->names.n && r == 0 && action != b->default_action; i++)
		r = alternatives ? add_alternatives(b, s, action, s->names.v[i], e)
				 : add_conjunction(b, s, action, s->names.v[i], e);
	return r;
}

static int add_syscalls(struct build *b, struct err *e)
{
	for (size_t i = 0; i < b->profile->syscalls.n; i++)
		if (add_syscall(b, &b->profile->syscalls.v[i], e) < 0)
			return err_in(e, "linux.seccomp.syscalls[%zu]", i);
	return 0;
}

/* ---- the ENOSYS stub ---- */

/* A permissive default lets new calls through, a tracer wants to see them, and ENOSYS is what the stub would answer. */
static bool wants_stub(const struct build *b)
{
	return b->default_action != SCMP_ACT_ALLOW && b->default_action != SCMP_ACT_LOG &&
	       b->default_action != SCMP_ACT_ERRNO(ENOSYS) && b->profile->default_action != OCI_ACT_TRACE;
}

/* Number of a call on an architecture, negative: none. Where sockets and System V IPC were once reached through socketcall(2) and
 * ipc(2), libseccomp gives the parts made-up numbers, -101.. and -201.., though they have real ones since: no two architectures the
 * same, but none above these. */
static int call_number(uint32_t arch, const char *name)
{
	int n = seccomp_syscall_resolve_name_arch(arch, name);

	if (n <= -101 && n >= -120 && seccomp_syscall_resolve_name_arch(arch, "socketcall") >= 0)
		return 373;
	if (n <= -201 && n >= -224 && seccomp_syscall_resolve_name_arch(arch, "ipc") >= 0)
		return 402;
	return n;
}

static int last_call(const struct oci_seccomp *p, uint32_t arch)
{
	int last = -1;

	for (size_t i = 0; i < p->syscalls.n; i++)
		for (size_t k = 0; k < p->syscalls.v[i].names.n; k++) {
			int n = call_number(arch, p->syscalls.v[i].names.v[k]);

			last = n > last ? n : last;
		}
	return last;
}

static size_t make_stub(const struct build *b, struct sock_filter *out)
{
	struct stub_arch v[ARCHES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < b->n_arch; i++) {
		bool x32 = b->arch[i] == SCMP_ARCH_X32;
		uint32_t audit = x32 ? AUDIT_ARCH_X86_64 : b->arch[i]; /* SCMP_ARCH_* are AUDIT_ARCH_* but for x32 */
		size_t at = 0;

		while (at < n && v[at].audit_arch != audit)
			at++;
		if (at == n)
			v[n++] = (struct stub_arch){ audit, -1, -1 };
		*(x32 ? &v[at].last_x32 : &v[at].last) = last_call(b->profile, b->arch[i]);
	}
	return stub_make(v, n, out);
}

/* ---- the program ---- */

/* Reads the whole memory file behind the stub. */
static int read_program(int fd, const struct sock_filter *stub, size_t n_stub, struct arena *a, struct sec_filter *out,
			struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, "linux.seccomp: memory file");
	size_t bytes = (size_t)st.st_size, n = bytes / sizeof(*stub);

	if (n == 0 || n + n_stub > INSNS_MAX)
		return err_set(e, E2BIG, "linux.seccomp: the filter has %zu instructions, the kernel takes 1 to %u", n + n_stub,
			       INSNS_MAX);
	struct sock_filter *insns = arena_alloc(a, (n_stub + n) * sizeof(*insns));

	if (n_stub)
		memcpy(insns, stub, n_stub * sizeof(*insns));
	ssize_t got = RETRY(pread(fd, insns + n_stub, bytes, 0));

	if (got != (ssize_t)bytes)
		return got < 0 ? err_errno(e, "linux.seccomp: reading the program")
			       : err_set(e, EIO, "linux.seccomp: program cut short");
	out->insns = insns;
	out->n = (unsigned short)(n_stub + n);
	return 0;
}

static int export_program(const struct build *b, struct arena *a, struct sec_filter *out, struct err *e)
{
	struct sock_filter stub[STUB_MAX(ARCHES_MAX)];
	size_t n_stub = wants_stub(b) ? make_stub(b, stub) : 0;
	auto_fd int fd = sys_memfd_create("seccomp", SYS_MFD_CLOEXEC);

	if (fd < 0)
		return err_errno(e, "linux.seccomp: memory file");
	int r = seccomp_export_bpf(b->ctx, fd);

	if (r < 0)
		return err_set(e, -r, "linux.seccomp: generating the program: %s", strerror(-r));
	return read_program(fd, stub, n_stub, a, out, e);
}

int seccomp_compile(const struct oci_seccomp *s, struct arena *a, const struct sec_filter **out, struct err *e)
{
	struct build b = { .profile = s };
	struct sec_filter f = { 0 };
	int r;

	if (s->disabled) {
		*out = NULL;
		return 0;
	}
	if (action_value(s->default_action, &s->default_errno_ret, &b.default_action, e) < 0)
		return err_in(e, "linux.seccomp.defaultErrnoRet");
	if ((r = check_notify(&b, e)) < 0 || (r = filter_flags(&b, &f.flags, e)) < 0)
		return r;
	auto_ctx scmp_filter_ctx ctx = seccomp_init(b.default_action);

	if (!ctx)
		return err_set(e, EINVAL, "linux.seccomp.defaultAction: not supported by this kernel or libseccomp");
	b.ctx = ctx;
	if ((r = add_arches(&b, e)) < 0 || (r = add_syscalls(&b, e)) < 0 || (r = export_program(&b, a, &f, e)) < 0)
		return r;
	f.notify = b.notify;
	f.listener_path = b.notify ? s->listener_path : NULL;
	f.listener_metadata = b.notify ? s->listener_metadata : NULL;
	struct sec_filter *result = arena_new(a, struct sec_filter);

	*result = f;
	*out = result;
	return 0;
}
