/* seccomp_compile.c - from the OCI seccomp profile to BPF
 *
 * Theory of operation: the runtime compiles, the container's init only loads. The profile is checked for what the kernel cannot
 * honour, its rules are noted call by call, and seccomp_tree.c makes the program of that.
 *
 * What a profile means is what libseccomp makes of it (tests/unit/test_seccomp_oracle.c compares the two): the first rule without
 * conditions stands, whatever rules with conditions there are; those are seccomp_chain.c's. The native architecture is always
 * part of the filter, as the program's execve(2) would die without; calls of an architecture that is not part of it are killed.
 * Architectures of other processors are none that this kernel could be called by.
 */
#include "base/log.h"
#include "base/str.h"
#include "security/internal.h"
#include "security/seccomp_bpf.h"
#include "security/syscalls.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>

#define ERRNO_MAX 4095u /* above, the kernel returns this one */
#define ARGS_MAX  6

/* linux/seccomp.h, whose version may be older than the kernel */
enum { FLAG_TSYNC = 1 << 0, FLAG_LOG = 1 << 1, FLAG_SPEC_ALLOW = 1 << 2, FLAG_WAIT_KILLABLE_RECV = 1 << 5 };

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
		*out = SECCOMP_RET_KILL_THREAD;
		return 0;
	case OCI_ACT_KILL_PROCESS:
		*out = SECCOMP_RET_KILL_PROCESS;
		return 0;
	case OCI_ACT_TRAP:
		*out = SECCOMP_RET_TRAP;
		return 0;
	case OCI_ACT_ERRNO:
		*out = SECCOMP_RET_ERRNO | value;
		return 0;
	case OCI_ACT_TRACE:
		*out = SECCOMP_RET_TRACE | value;
		return 0;
	case OCI_ACT_ALLOW:
		*out = SECCOMP_RET_ALLOW;
		return 0;
	case OCI_ACT_LOG:
		*out = SECCOMP_RET_LOG;
		return 0;
	case OCI_ACT_NOTIFY:
		*out = SECCOMP_RET_USER_NOTIF;
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

static int check_notify(struct seccomp_build *b, struct err *e)
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

static int filter_flags(const struct seccomp_build *b, unsigned *out, struct err *e)
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

static void add_arches(struct seccomp_build *b)
{
	static const char *const names[ABIS] = { "SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_X86" };
	const struct strs *given = &b->profile->architectures;

	b->in_filter[ABI_X86_64] = true;
	for (size_t i = 0; i < given->n; i++)
		for (int abi = 0; abi < ABIS; abi++)
			b->in_filter[abi] |= !strcmp(given->v[i], names[abi]);
}

static int check_arches(const struct seccomp_build *b, struct err *e)
{
	const struct strs *given = &b->profile->architectures;

	for (size_t i = 0; i < given->n; i++)
		if (!str_starts(given->v[i], "SCMP_ARCH_"))
			return err_set(e, EINVAL, "linux.seccomp.architectures[%zu]: unknown architecture \"%.40s\"", i,
				       given->v[i]);
	return 0;
}

/* ---- rules ---- */

static int check_arg(const struct oci_syscall_arg *a, struct err *e)
{
	if (a->index >= ARGS_MAX)
		return err_set(e, EINVAL, "index %u is not in 0..5", a->index);
	if (a->op < OCI_CMP_NE || a->op > OCI_CMP_MASKED_EQ)
		return err_set(e, EINVAL, "unknown operator %d", a->op);
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

static void grow_rules(struct seccomp_build *b)
{
	size_t room = b->rules_room ? 2 * b->rules_room : 16;
	struct rule *v = arena_alloc(b->arena, room * sizeof(*v));

	if (b->n_rules)
		memcpy(v, b->rules, b->n_rules * sizeof(*v));
	b->rules = v;
	b->rules_room = room;
}

static int add_rule(struct seccomp_build *b, struct call_rules *c, struct rule rule, struct err *e)
{
	/* A condition takes an instruction at least. */
	if (b->n_rules == INSNS_MAX)
		return err_set(e, E2BIG, "more conditions than a filter has instructions, %u", INSNS_MAX);
	if (b->n_rules == b->rules_room)
		grow_rules(b);
	rule.next = c->rules;
	b->rules[b->n_rules++] = rule;
	c->rules = (uint16_t)b->n_rules;
	return 0;
}

static int add_conditions(struct seccomp_build *b, struct call_rules *c, const struct oci_syscall *s, struct rule rule,
			  struct err *e)
{
	bool alternatives = is_alternatives(&s->args);
	int r = 0;

	rule.n = alternatives ? 1 : (uint8_t)s->args.n; /* no index twice: at most six */
	for (size_t i = 0; i < (alternatives ? s->args.n : 1) && r == 0; i++) {
		rule.args = &s->args.v[i];
		r = add_rule(b, c, rule, e);
	}
	return r;
}

static int add_call(struct seccomp_build *b, const struct oci_syscall *s, int call, struct rule *rule, struct err *e)
{
	struct call_rules *c = &b->call[call];

	c->named = true;
	/* What the default does anyway needs no rule. */
	if (c->always || rule->action == b->default_action)
		return 0;
	if (s->args.n) {
		b->answer[call] = CONDITIONAL;
		return add_conditions(b, c, s, *rule, e);
	}
	c->always = rule->syscall + 1;
	c->action = rule->action;
	if (!c->rules)
		b->answer[call] = rule->action;
	return 0;
}

static int add_syscall(struct seccomp_build *b, size_t index, struct err *e)
{
	const struct oci_syscall *s = &b->profile->syscalls.v[index];
	struct rule rule = { .syscall = (uint32_t)index };
	int before = -1;

	if (action_value(s->action, &s->errno_ret, &rule.action, e) < 0)
		return err_in(e, "errnoRet");
	for (size_t i = 0; i < s->args.n; i++)
		if (check_arg(&s->args.v[i], e) < 0)
			return err_in(e, "args[%zu]", i);
	for (size_t i = 0; i < s->names.n; i++) {
		int call = syscall_find(s->names.v[i], before);

		if (call < 0) {
			log_debug("linux.seccomp: system call %s is not known here, skipped", s->names.v[i]);
			continue;
		}
		if (add_call(b, s, call, &rule, e) < 0)
			return -e->code;
		before = call;
	}
	return 0;
}

static int add_syscalls(struct seccomp_build *b, struct err *e)
{
	for (size_t i = 0; i < b->profile->syscalls.n; i++)
		if (add_syscall(b, i, e) < 0)
			return err_in(e, "linux.seccomp.syscalls[%zu]", i);
	return 0;
}

int seccomp_compile(const struct oci_seccomp *s, struct arena *a, const struct sec_filter **out, struct err *e)
{
	struct seccomp_build b = { .profile = s, .arena = a };
	struct sec_filter f = { 0 };
	int r;

	if (s->disabled) {
		*out = NULL;
		return 0;
	}
	if (action_value(s->default_action, &s->default_errno_ret, &b.default_action, e) < 0)
		return err_in(e, "linux.seccomp.defaultErrnoRet");
	if ((r = check_notify(&b, e)) < 0 || (r = filter_flags(&b, &f.flags, e)) < 0 || (r = check_arches(&b, e)) < 0)
		return r;
	add_arches(&b);
	for (size_t i = 0; i < CALLS_MAX; i++)
		b.answer[i] = b.default_action;
	if ((r = add_syscalls(&b, e)) < 0 || (r = seccomp_write(&b, &f, e)) < 0)
		return r;
	f.notify = b.notify;
	f.listener_path = b.notify ? s->listener_path : NULL;
	f.listener_metadata = b.notify ? s->listener_metadata : NULL;
	struct sec_filter *result = arena_new(a, struct sec_filter);

	*result = f;
	*out = result;
	return 0;
}
