/* Our seccomp compiler against libseccomp: both programs of a profile are run for every number there may be, with arguments near
 * every constant of the profile, and the answers are also held against what the profile says by definition. Where the two may
 * differ is named in may_differ() and may_refuse(), with the reason.
 *
 * DRUPE_ORACLE_ROUNDS, DRUPE_ORACLE_SEED: more or other random profiles.
 */
#include "bpf_run.h"
#include "oci/json.h"
#include "seccomp_oracle.h"
#include "security/security.h"
#include "security/syscalls.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <stdlib.h>
#include <unistd.h>

#define N(v)    (sizeof(v) / sizeof((v)[0]))
#define ACTIONS 64
#define SAMPLES 60 /* of arguments, for a number with conditions */

/* libseccomp loses memory when it refuses a rule in the middle. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libseccomp\n";
}

static struct oracle oracle;
static const char *all_arches[] = { "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32" };

/* ---- what a profile says of one call, by definition ---- */

struct sight {
	bool always;               /* a rule without conditions decides: actions[0] */
	uint32_t actions[ACTIONS]; /* different ones, of rules whose conditions hold */
	size_t n;
	unsigned conditions;   /* rules with conditions */
	bool several, unequal; /* of those: more than one; one has another operator than == */
};

static uint32_t action_value(int action, const struct opt_u64 *given)
{
	static const uint32_t values[] = {
		[OCI_ACT_KILL] = SECCOMP_RET_KILL_THREAD,
		[OCI_ACT_KILL_PROCESS] = SECCOMP_RET_KILL_PROCESS,
		[OCI_ACT_KILL_THREAD] = SECCOMP_RET_KILL_THREAD,
		[OCI_ACT_TRAP] = SECCOMP_RET_TRAP,
		[OCI_ACT_ERRNO] = SECCOMP_RET_ERRNO,
		[OCI_ACT_TRACE] = SECCOMP_RET_TRACE,
		[OCI_ACT_ALLOW] = SECCOMP_RET_ALLOW,
		[OCI_ACT_LOG] = SECCOMP_RET_LOG,
		[OCI_ACT_NOTIFY] = SECCOMP_RET_USER_NOTIF,
	};

	return values[action] | (action != OCI_ACT_ERRNO && action != OCI_ACT_TRACE ? 0
				 : given->set                                       ? (uint32_t)given->value
										    : EPERM);
}

static bool holds(const struct oci_syscall_arg *a, uint64_t v, bool wide)
{
	uint64_t all = wide ? UINT64_MAX : UINT32_MAX, k = a->value & all;

	v &= all;
	switch (a->op) {
	case OCI_CMP_NE:
		return v != k;
	case OCI_CMP_LT:
		return v < k;
	case OCI_CMP_LE:
		return v <= k;
	case OCI_CMP_EQ:
		return v == k;
	case OCI_CMP_GE:
		return v >= k;
	case OCI_CMP_GT:
		return v > k;
	default:
		return (v & k) == (a->value_two & k);
	}
}

static bool is_tautology(const struct oci_syscall_arg *a, bool wide)
{
	return a->op == OCI_CMP_MASKED_EQ && (wide ? a->value : (uint32_t)a->value) == 0;
}

static bool is_alternatives(const struct oci_syscall *s)
{
	for (size_t i = 0; i < s->args.n; i++)
		for (size_t k = 0; k < i; k++)
			if (s->args.v[i].index == s->args.v[k].index)
				return true;
	return false;
}

static void see(struct sight *t, uint32_t action)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->actions[i] == action)
			return;
	t->actions[t->n++] = action;
}

/* The rule with some of its conditions, args; sub: the first argument stands for the call and has been compared. */
static void see_rule(struct sight *t, const struct oci_syscall_arg *args, size_t n, uint32_t action, const struct seccomp_data *d,
		     bool wide, bool sub)
{
	bool conditions = false, all = true;

	for (size_t i = 0; i < n; i++) {
		if ((sub && args[i].index == 0) || is_tautology(&args[i], wide))
			continue;
		conditions = true;
		all &= holds(&args[i], d->args[args[i].index], wide);
	}
	t->conditions++;
	if (!conditions && !sub) {
		t->always = true;
		t->actions[0] = action;
		t->n = 1;
	} else if (all) {
		see(t, action);
	}
}

static void see_syscall(struct sight *t, const struct oci_syscall *s, uint32_t action, const struct seccomp_data *d, bool wide,
			bool sub)
{
	if (!is_alternatives(s)) {
		see_rule(t, s->args.v, s->args.n, action, d, wide, sub);
		return;
	}
	for (size_t i = 0; i < s->args.n && !t->always; i++)
		see_rule(t, &s->args.v[i], 1, action, d, wide, sub);
}

/* Is name what this number, with these arguments, may stand for? */
static bool stands_for(const char *name, enum abi abi, unsigned nr, const struct seccomp_data *d, bool *sub)
{
	int call = syscall_find(name, -1);
	size_t n;
	const uint16_t *calls = syscall_table(abi, &n);
	unsigned part;
	enum call_via via = call < 0 ? VIA_NONE : syscall_via((unsigned)call, &part);

	*sub = abi == ABI_I386 && ((via == VIA_SOCKETCALL && nr == NR_SOCKETCALL) || (via == VIA_IPC && nr == NR_IPC));
	return call >= 0 && (*sub ? (uint32_t)d->args[0] == part : nr < n && calls[nr] == call);
}

static enum abi abi_of(const struct seccomp_data *d)
{
	if (d->arch == AUDIT_ARCH_I386)
		return ABI_I386;
	return d->arch != AUDIT_ARCH_X86_64 ? ABIS : (unsigned)d->nr >= X32_BIT ? ABI_X32 : ABI_X86_64;
}

static bool in_filter(const struct oci_seccomp *p, enum abi abi)
{
	static const char *const names[] = { "SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_X86" };
	bool listed = abi == ABI_X86_64;

	for (size_t i = 0; abi < ABIS && i < p->architectures.n; i++)
		listed |= !strcmp(p->architectures.v[i], names[abi]);
	return listed;
}

/* The highest number that the profile names there; -1: none, or the default is not one that calls newer than that are spared. */
static int last_known(const struct oci_seccomp *p, enum abi abi)
{
	uint32_t otherwise = action_value(p->default_action, &p->default_errno_ret);
	int last = -1;
	size_t n;
	const uint16_t *calls = syscall_table(abi, &n);

	if (otherwise == SECCOMP_RET_ALLOW || otherwise == SECCOMP_RET_LOG || otherwise == (SECCOMP_RET_ERRNO | ENOSYS) ||
	    p->default_action == OCI_ACT_TRACE)
		return -1;
	for (size_t i = 0; i < p->syscalls.n; i++)
		for (size_t k = 0; k < p->syscalls.v[i].names.n; k++) {
			int call = syscall_find(p->syscalls.v[i].names.v[k], -1), nr = (int)n - 1;
			unsigned part;

			if (call < 0)
				continue;
			while (nr >= 0 && calls[nr] != call)
				nr--;
			if (abi == ABI_I386 && syscall_via((unsigned)call, &part) != VIA_NONE) /* the whole family */
				nr = syscall_via((unsigned)call, &part) == VIA_SOCKETCALL ? 373 : 402;
			last = nr > last ? nr : last;
		}
	return last;
}

struct known {
	int last[ABIS];
};

static struct sight look(const struct oci_seccomp *p, const struct known *known, const struct seccomp_data *d)
{
	uint32_t otherwise = action_value(p->default_action, &p->default_errno_ret);
	enum abi abi = abi_of(d);
	unsigned nr = abi == ABI_X32 ? (unsigned)d->nr & ~X32_BIT : (unsigned)d->nr;
	struct sight t = { 0 };
	bool sub;

	if (!in_filter(p, abi)) {
		see(&t, d->arch == AUDIT_ARCH_X86_64 && d->nr == -1 ? otherwise : SECCOMP_RET_KILL_THREAD);
		return t;
	}
	for (size_t i = 0; i < p->syscalls.n; i++) {
		const struct oci_syscall *s = &p->syscalls.v[i];
		uint32_t action = action_value(s->action, &s->errno_ret);

		for (size_t k = 0; k < s->names.n && !t.always && action != otherwise; k++)
			if (stands_for(s->names.v[k], abi, nr, d, &sub))
				see_syscall(&t, s, action, d, abi == ABI_X86_64, sub);
	}
	if (!t.n)
		see(&t, known->last[abi] >= 0 && nr > (unsigned)known->last[abi] ? SECCOMP_RET_ERRNO | ENOSYS : otherwise);
	return t;
}

/* ---- random profiles ---- */

static uint64_t seed = 1;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static unsigned below(unsigned n)
{
	return (unsigned)((rnd() >> 11) % n);
}

static const uint64_t pool[] = { 0,
				 1,
				 2,
				 3,
				 5,
				 8,
				 9,
				 16,
				 40,
				 0xf0,
				 0x7fffffff,
				 0x80000000,
				 0xfffffffe,
				 0xffffffff,
				 0x100000000,
				 0x100000001,
				 0x100000005,
				 0x200000001,
				 0x8000000000000000,
				 UINT64_MAX - 1,
				 UINT64_MAX,
				 0xffffffff00000000,
				 0x5400000000,
				 0x7e020000 };

static const char *const usual[] = { "read",   "write",   "ioctl",        "clone",  "personality", "socket",
				     "accept", "accept4", "send",         "semop",  "shmget",      "socketcall",
				     "ipc",    "waitpid", "openat2",      "execve", "readv",       "io_setup",
				     "mmap",   "mmap2",   "rt_sigaction", "getpid", "futex_wait",  "no_such_call" };

static const char *random_name(void)
{
	const char *name = syscall_name(below(470));

	return below(8) || !oracle_knows(name) ? usual[below(N(usual))] : name;
}

static struct oci_syscall_arg random_arg(unsigned index)
{
	int op = (int)below(7);

	return (struct oci_syscall_arg){ .index = index,
					 .op = op,
					 .value = op == OCI_CMP_MASKED_EQ && below(2) ? rnd() : pool[below(N(pool))],
					 .value_two = pool[below(N(pool))] };
}

static void random_args(struct arena *a, struct oci_syscall_arg_list *out, bool several)
{
	size_t n = below(3) ? below(several ? 4 : 2) : 0;

	out->v = arena_alloc(a, (n + 1) * sizeof(*out->v));
	for (unsigned index = 0; index < 6 && out->n < n; index++)
		if (below(2))
			out->v[out->n++] = random_arg(index);
	if (out->n && !below(10)) { /* one argument twice: alternatives */
		out->v = memcpy(arena_alloc(a, (out->n + 1) * sizeof(*out->v)), out->v, out->n * sizeof(*out->v));
		out->v[out->n] = random_arg(out->v[0].index);
		out->n++;
	}
}

static const int deny[] = { OCI_ACT_ERRNO, OCI_ACT_KILL_PROCESS, OCI_ACT_KILL, OCI_ACT_TRAP };
static const int any[] = { OCI_ACT_ALLOW, OCI_ACT_ALLOW,        OCI_ACT_ALLOW, OCI_ACT_LOG,   OCI_ACT_ERRNO,
			   OCI_ACT_TRACE, OCI_ACT_KILL_PROCESS, OCI_ACT_TRAP,  OCI_ACT_NOTIFY };

static void random_rule(struct arena *a, struct oci_syscall *s, int default_action)
{
	size_t n = 1 + below(4);
	const char **names = arena_alloc(a, n * sizeof(*names));

	for (size_t i = 0; i < n; i++)
		names[i] = random_name();
	s->names = (struct strs){ names, n };
	/* mostly a list of what is allowed, or of what is not */
	s->action = !below(4) ? any[below(N(any))] : default_action == OCI_ACT_ALLOW ? OCI_ACT_ERRNO : OCI_ACT_ALLOW;
	for (size_t i = 0; i < n; i++)
		if (s->action == OCI_ACT_NOTIFY && !strcmp(names[i], "write"))
			s->action = OCI_ACT_ERRNO;
	if ((s->action == OCI_ACT_ERRNO || s->action == OCI_ACT_TRACE) && below(2))
		s->errno_ret = (struct opt_u64){ below(3) * 19 + 1, true };
	random_args(a, &s->args, below(2));
}

static struct oci_seccomp random_profile(struct arena *a)
{
	struct oci_seccomp s = { .listener_path = "/listener", .flags_set = true };

	s.default_action = below(3) ? deny[below(N(deny))] : any[below(N(any) - 1)];
	if (s.default_action == OCI_ACT_ERRNO && below(2))
		s.default_errno_ret = (struct opt_u64){ below(2) ? ENOSYS : 1, true };
	s.architectures.v = all_arches;
	s.architectures.n = below(4);
	s.syscalls.n = below(10) ? 1 + below(12) : 60;
	s.syscalls.v = arena_alloc(a, s.syscalls.n * sizeof(*s.syscalls.v));
	for (size_t i = 0; i < s.syscalls.n; i++)
		random_rule(a, &s.syscalls.v[i], s.default_action);
	return s;
}

/* ---- comparison ---- */

static unsigned long compared, differed, refused;

static void show(const struct oci_seccomp *s)
{
	static const char *const ops[] = { "!=", "<", "<=", "==", ">=", ">", "&==" };

	printf("# default action %d/%llu, %zu architectures\n", s->default_action, (unsigned long long)s->default_errno_ret.value,
	       s->architectures.n);
	for (size_t i = 0; i < s->syscalls.n && i < 20; i++) {
		const struct oci_syscall *r = &s->syscalls.v[i];

		printf("# %zu: action %d/%llu", i, r->action, (unsigned long long)r->errno_ret.value);
		for (size_t k = 0; k < r->names.n && k < 10; k++)
			printf(" %s", r->names.v[k]);
		for (size_t k = 0; k < r->args.n; k++)
			printf(" [%u %s %llx %llx]", r->args.v[k].index, ops[r->args.v[k].op],
			       (unsigned long long)r->args.v[k].value, (unsigned long long)r->args.v[k].value_two);
		printf("\n");
	}
}

static void complain(const struct oci_seccomp *s, const struct seccomp_data *d, uint32_t ours, uint32_t theirs, const char *what)
{
	static int n;

	tap_failed = true;
	if (n++ > 4)
		return;
	printf("# %s: arch %x number %x ours %x libseccomp %x arguments", what, d->arch, (unsigned)d->nr, ours, theirs);
	for (int i = 0; i < 6; i++)
		printf(" %llx", (unsigned long long)d->args[i]);
	printf("\n");
	show(s);
}

static bool has(const struct sight *t, uint32_t action)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->actions[i] == action)
			return true;
	return false;
}

static bool has_inequality(const struct oci_seccomp *s)
{
	for (size_t i = 0; i < s->syscalls.n; i++)
		for (size_t k = 0; k < s->syscalls.v[i].args.n; k++)
			if (s->syscalls.v[i].args.v[k].op != OCI_CMP_EQ && s->syscalls.v[i].args.v[k].op != OCI_CMP_MASKED_EQ)
				return true;
	return false;
}

/* libseccomp makes a tree of 32-bit comparisons of the conditions, and shares parts of its program between calls. Two kinds of
 * profile come out differently there:
 *  - rules for a call whose conditions overlap and whose actions differ: which of them wins depends on how the halves of their
 * values sort. We have the same order, but by whole values;
 *  - libseccomp 2.5 is sometimes plainly wrong, and answers what the profile has for no such call: where a condition is <, <=, >,
 * >= or != (of `a0 < 240` and `a0 <= 0x200000001` none lets 241 pass), and with several architectures, when the program for one of
 * them begins without loading the number, as for the single rule "send". */
static bool may_differ(const struct oci_seccomp *s, const struct sight *t, uint32_t theirs)
{
	return t->n > 1 || (!has(t, theirs) && (has_inequality(s) || s->architectures.n > 1));
}

static void compare(const struct oci_seccomp *s, const struct known *known, const struct sec_filter *f,
		    const struct seccomp_data *d)
{
	uint32_t ours = bpf_run(f->insns, f->n, d), theirs = bpf_run(oracle.insns, oracle.n, d);
	struct sight t = look(s, known, d);

	compared++;
	if (!has(&t, ours))
		complain(s, d, ours, theirs, "not what the profile says");
	if (ours == theirs)
		return;
	differed++;
	if (!may_differ(s, &t, theirs))
		complain(s, d, ours, theirs, "differs");
}

/* Values at and around the profile's constants, their halves exchanged and combined. */
static uint64_t near_constant(const uint64_t *constants, size_t n)
{
	uint64_t v = constants[below((unsigned)n)], other = constants[below((unsigned)n)];

	switch (below(8)) {
	case 0:
		return v + 1;
	case 1:
		return v - 1;
	case 2:
		return (v & UINT32_MAX) | (other & ~(uint64_t)UINT32_MAX);
	case 3:
		return v ^ UINT64_C(1) << below(64);
	case 4:
		return v & UINT32_MAX;
	case 5:
		return rnd();
	default:
		return v;
	}
}

struct constants {
	uint64_t v[256];
	size_t n;
};

static struct constants constants_of(const struct oci_seccomp *s)
{
	struct constants c = { { 0, 1, UINT64_MAX }, 3 };

	for (size_t i = 0; i < s->syscalls.n; i++)
		for (size_t k = 0; k < s->syscalls.v[i].args.n && c.n + 2 < N(c.v); k++) {
			c.v[c.n++] = s->syscalls.v[i].args.v[k].value;
			c.v[c.n++] = s->syscalls.v[i].args.v[k].value_two;
		}
	return c;
}

static void compare_number(const struct oci_seccomp *s, const struct known *known, const struct sec_filter *f, uint32_t arch,
			   uint32_t nr, const struct constants *c)
{
	struct seccomp_data d = { .nr = (int)nr, .arch = arch };
	bool through = arch == AUDIT_ARCH_I386 && (nr == NR_SOCKETCALL || nr == NR_IPC);
	struct sight t = look(s, known, &d);
	int samples = through ? 4 * SAMPLES : t.conditions ? SAMPLES : 1;

	compare(s, known, f, &d);
	for (int i = 0; i < samples; i++) {
		for (int k = 0; k < 6; k++) {
			d.args[k] = near_constant(c->v, c->n);
			if (arch == AUDIT_ARCH_I386) /* as the kernel hands them over */
				d.args[k] &= UINT32_MAX;
		}
		if (through && i % 4)
			d.args[0] = below(26);
		compare(s, known, f, &d);
	}
}

/* Two rules for a call contradict each other when they have the same conditions, or one's are the beginning of the other's, and
 * different actions; then a profile is refused. libseccomp and we disagree about some profiles with different actions for one call:
 *  - the call is of a family that i386 multiplexes. Of two rules without conditions libseccomp takes the first, as we do, but not
 * for the multiplexed call, which has one condition; and it refuses or not by rules for the multiplexer itself, in their order;
 *  - there is an inequality: libseccomp finds the halves of different values to be the same condition. */
static bool may_refuse(const struct oci_seccomp *s)
{
	uint32_t first[CALLS_MAX], default_action = action_value(s->default_action, &s->default_errno_ret);
	bool seen[CALLS_MAX] = { false }, different = false, multiplexed = false;
	unsigned sub;

	for (size_t i = 0; i < s->syscalls.n; i++) {
		const struct oci_syscall *r = &s->syscalls.v[i];
		uint32_t action = action_value(r->action, &r->errno_ret);

		for (size_t k = 0; k < r->names.n && action != default_action; k++) {
			int call = syscall_find(r->names.v[k], -1);

			if (call < 0)
				continue;
			bool other = seen[call] && first[call] != action;

			different |= other;
			multiplexed |= other && syscall_via((unsigned)call, &sub) != VIA_NONE && in_filter(s, ABI_I386);
			first[call] = seen[call] ? first[call] : action;
			seen[call] = true;
		}
	}
	return multiplexed || (different && has_inequality(s));
}

static void compare_profile(const struct oci_seccomp *s)
{
	static const uint32_t arches[] = { AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, 0 };
	static const uint32_t odd[] = { X32_BIT - 1, 0x7fffffff, 0x80000000, 0x80000001,
					0xbfffffff,  0xc0000000, 0xfffffffe, 0xffffffff };
	auto_arena struct arena a = { 0 };
	struct constants c = constants_of(s);
	struct known known;
	const struct sec_filter *f;
	struct err e;
	int ours = seccomp_compile(s, &a, &f, &e), theirs = oracle_compile(s, &oracle);

	if (ours < 0 || theirs < 0) {
		refused++;
		if ((ours < 0) != (theirs < 0) && !may_refuse(s)) {
			printf("# refused by one: ours %d (%s), libseccomp %d\n", ours, ours < 0 ? e.text : "", theirs);
			show(s);
			tap_failed = true;
		}
		return;
	}
	for (int abi = 0; abi < ABIS; abi++)
		known.last[abi] = last_known(s, (enum abi)abi);
	for (size_t arch = 0; arch < N(arches); arch++) {
		for (uint32_t nr = 0; nr < (arch < 2 ? 600 : 5); nr++) {
			compare_number(s, &known, f, arches[arch], nr, &c);
			compare_number(s, &known, f, arches[arch], X32_BIT | nr, &c);
		}
		for (size_t i = 0; i < N(odd); i++)
			compare_number(s, &known, f, arches[arch], odd[i], &c);
	}
}

/* ---- the profile that engines use ---- */

static bool lists(const struct json *o, const char *member, const char *word)
{
	const struct json *list = json_member(o, member);

	for (const struct json *w = list ? list->child : NULL; w; w = w->next)
		if (!strcmp(w->text, word))
			return true;
	return false;
}

/* The conditions of a rule: architectures, and capabilities, of which the process has none or all. */
static bool applies(const struct json *rule, bool caps)
{
	const struct json *in = json_member(rule, "includes"), *out = json_member(rule, "excludes"), *m;

	if (in && (m = json_member(in, "arches")) && m->len && !lists(in, "arches", "amd64"))
		return false;
	if (in && (m = json_member(in, "caps")) && m->len && !caps)
		return false;
	if (out && lists(out, "arches", "amd64"))
		return false;
	return !(out && (m = json_member(out, "caps")) && m->len && caps);
}

static int word_of(const struct json *o, const char *member, const char *const *words)
{
	const struct json *m = json_member(o, member);
	int i = 0;

	while (words[i] && strcmp(words[i], m->text) != 0)
		i++;
	return i;
}

static struct opt_u64 number_of(const struct json *o, const char *member)
{
	const struct json *m = json_member(o, member);

	return m && m->type == JSON_NUMBER ? (struct opt_u64){ strtoull(m->text, NULL, 10), true } : (struct opt_u64){ 0 };
}

static void read_args(struct arena *a, const struct json *args, struct oci_syscall_arg_list *out)
{
	out->v = arena_alloc(a, args->len * sizeof(*out->v));
	for (const struct json *m = args->child; m; m = m->next)
		out->v[out->n++] = (struct oci_syscall_arg){ .index = (uint32_t)number_of(m, "index").value,
							     .op = word_of(m, "op", oci_cmp_names),
							     .value = number_of(m, "value").value,
							     .value_two = number_of(m, "valueTwo").value };
}

static void read_rule(struct arena *a, const struct json *rule, struct oci_syscall *out)
{
	const struct json *names = json_member(rule, "names"), *args = json_member(rule, "args");

	out->names.v = arena_alloc(a, names->len * sizeof(*out->names.v));
	for (const struct json *m = names->child; m; m = m->next)
		if (oracle_knows(m->text)) /* or its number would be the highest, and what is below it not unknown */
			out->names.v[out->names.n++] = m->text;
	out->action = word_of(rule, "action", oci_action_names);
	out->errno_ret = number_of(rule, "errnoRet");
	if (args && args->type == JSON_ARRAY)
		read_args(a, args, &out->args);
}

#define PROFILE "/usr/share/containers/seccomp.json"

/* false: there is none. */
static bool read_profile(struct arena *a, bool caps, struct oci_seccomp *out)
{
	static char text[1 << 18];
	int fd = open(PROFILE, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	const struct json *doc, *rules;
	struct err e;

	if (fd >= 0)
		close(fd);
	if (n <= 0 || json_parse(a, text, (size_t)n, &doc, &e) < 0)
		return false;
	rules = json_member(doc, "syscalls");
	out->default_action = word_of(doc, "defaultAction", oci_action_names);
	out->default_errno_ret = number_of(doc, "defaultErrnoRet");
	out->syscalls.v = arena_alloc(a, rules->len * sizeof(*out->syscalls.v));
	for (const struct json *m = rules->child; m; m = m->next)
		if (applies(m, caps))
			read_rule(a, m, &out->syscalls.v[out->syscalls.n++]);
	return out->syscalls.n > 10;
}

/* ---- cases ---- */

static void the_engines_profile_means_the_same(void)
{
	if (access(PROFILE, R_OK) < 0) {
		printf("# skipped: no " PROFILE "\n");
		return;
	}
	for (int i = 0; i < 8; i++) {
		auto_arena struct arena a = { 0 };
		struct oci_seccomp s = { .architectures = { all_arches, (size_t)i / 2 } };

		expect(read_profile(&a, i % 2, &s));
		compared = differed = refused = 0;
		compare_profile(&s);
		expect(compared > 10000 && !differed && !refused);
	}
}

static void random_profiles_mean_the_same(void)
{
	const char *rounds = getenv("DRUPE_ORACLE_ROUNDS"), *given = getenv("DRUPE_ORACLE_SEED");
	unsigned long n = rounds ? strtoul(rounds, NULL, 10) : 200;

	seed = given ? strtoull(given, NULL, 10) : 1;
	compared = differed = refused = 0;
	for (unsigned long i = 0; i < n; i++) {
		auto_arena struct arena a = { 0 };
		struct oci_seccomp s = random_profile(&a);

		compare_profile(&s);
	}
	printf("# %lu profiles, %lu refused; %lu answers compared, %lu differ\n", n, refused, compared, differed);
	expect(refused < n / 5 && compared > 1000 * n && differed < compared / 1000);
}

TAP_MAIN(CASE(the_engines_profile_means_the_same), CASE(random_profiles_mean_the_same))
