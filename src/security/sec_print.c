/* sec_print.c - the plan as text
 *
 * Theory of operation: one line per decision, in the order of struct sec_plan; what was not asked for has no line, unless its
 * absence is itself the decision (no capabilities, no seccomp filter).
 */
#include "base/str.h"
#include "security/internal.h"

#include <limits.h>

static void print_identity(const struct sec_plan *p, struct strbuf *out)
{
	strbuf_printf(out, "user %u group %u\n", p->uid, p->gid);
	strbuf_puts(out, "groups");
	for (size_t i = 0; i < p->n_groups; i++)
		strbuf_printf(out, " %u", p->groups[i]);
	strbuf_puts(out, p->n_groups ? "\n" : p->set_groups ? " none\n" : " none, where permitted\n");
	strbuf_printf(out, "umask %04o\n", (unsigned)p->umask);
}

static void print_caps(const char *which, uint64_t mask, struct strbuf *out)
{
	strbuf_printf(out, "capabilities %s", which);
	if (!mask)
		strbuf_puts(out, " none");
	for (unsigned i = 0; i < 64; i++) {
		if (!(mask >> i & 1))
			continue;
		if (cap_name(i))
			strbuf_printf(out, " %s", cap_name(i));
		else
			strbuf_printf(out, " %u", i);
	}
	strbuf_puts(out, "\n");
}

static void print_limit(uint64_t value, struct strbuf *out)
{
	if (value == UINT64_MAX)
		strbuf_puts(out, " unlimited");
	else
		strbuf_printf(out, " %llu", (unsigned long long)value);
}

static void print_limits(const struct sec_plan *p, struct strbuf *out)
{
	for (size_t i = 0; i < p->n_rlimits; i++) {
		strbuf_printf(out, "limit %s soft", p->rlimits[i].name);
		print_limit(p->rlimits[i].soft, out);
		strbuf_puts(out, " hard");
		print_limit(p->rlimits[i].hard, out);
		strbuf_puts(out, "\n");
	}
	if (p->oom_score_set)
		strbuf_printf(out, "oom_score_adj %d\n", p->oom_score_adj);
}

static void print_sched(const struct sec_plan *p, struct strbuf *out)
{
	static const char *const policies[] = { "other", "fifo", "rr", "batch", "iso", "idle", "deadline" };
	static const char *const classes[] = { "none", "realtime", "best-effort", "idle" };
	const struct sec_sched *s = p->sched;

	if (s)
		strbuf_printf(out, "scheduler %s nice %d priority %u flags 0x%llx runtime %llu deadline %llu period %llu\n",
			      s->policy < 7 ? policies[s->policy] : "unknown", s->nice, s->priority, (unsigned long long)s->flags,
			      (unsigned long long)s->runtime_ns, (unsigned long long)s->deadline_ns,
			      (unsigned long long)s->period_ns);
	if (p->ioprio_set)
		strbuf_printf(out, "io_priority %s %d\n", classes[p->ioprio >> 13 & 3], p->ioprio & 0x1fff);
}

static bool has_node(const struct sec_plan *p, size_t n)
{
	const size_t bits = 8 * sizeof(p->nodes[0]);

	return n < 8 * sizeof(p->nodes) && p->nodes[n / bits] >> (n % bits) & 1;
}

static void print_nodes(const struct sec_plan *p, struct strbuf *out)
{
	const char *sep = " nodes ";

	for (size_t i = 0; i < 8 * sizeof(p->nodes); i++) {
		if (!has_node(p, i))
			continue;
		strbuf_printf(out, "%s%zu", sep, i);
		size_t last = i;

		while (has_node(p, last + 1))
			last++;
		if (last > i)
			strbuf_printf(out, "-%zu", last);
		i = last;
		sep = ",";
	}
}

static void print_mempolicy(const struct sec_plan *p, struct strbuf *out)
{
	static const char *const modes[] = { "default",        "preferred",          "bind", "interleave", "local",
					     "preferred-many", "weighted-interleave" };
	int mode = p->mempolicy_mode & 0xff;

	strbuf_printf(out, "memory_policy %s flags 0x%x", mode < 7 ? modes[mode] : "unknown", (unsigned)p->mempolicy_mode & ~0xffu);
	print_nodes(p, out);
	strbuf_puts(out, "\n");
}

static void print_filter(const struct sec_filter *f, struct strbuf *out)
{
	if (!f) {
		strbuf_puts(out, "seccomp none\n");
		return;
	}
	strbuf_printf(out, "seccomp %u instructions flags 0x%x\n", f->n, f->flags);
	if (f->notify)
		strbuf_printf(out, "seccomp listener %s\n", f->listener_path ? f->listener_path : "");
}

static void print_rest(const struct sec_plan *p, struct strbuf *out)
{
	if (p->personality_set)
		strbuf_printf(out, "personality %s\n", p->personality ? "linux32" : "linux");
	if (p->apparmor)
		strbuf_printf(out, "apparmor %s\n", p->apparmor);
	if (p->selinux)
		strbuf_printf(out, "selinux %s\n", p->selinux);
	if (p->new_keyring)
		strbuf_printf(out, "session_keyring %s\n", p->keyring_name);
	print_filter(p->filter, out);
	if (p->affinity_initial)
		strbuf_printf(out, "affinity initial %s\n", p->affinity_initial);
	if (p->affinity_final)
		strbuf_printf(out, "affinity final %s\n", p->affinity_final);
}

static void print_order(const struct sec_plan *p, struct strbuf *out)
{
	const char *names[SEC_STEPS_MAX + 1];

	sec_final_order(p, names);
	strbuf_puts(out, "order");
	for (size_t i = 0; names[i]; i++)
		strbuf_printf(out, " %s", names[i]);
	strbuf_puts(out, "\n");
}

void sec_plan_print(const struct sec_plan *p, struct strbuf *out)
{
	print_identity(p, out);
	print_caps("bounding", p->caps.bounding, out);
	print_caps("permitted", p->caps.permitted, out);
	print_caps("effective", p->caps.effective, out);
	print_caps("inheritable", p->caps.inheritable, out);
	print_caps("ambient", p->caps.ambient, out);
	strbuf_printf(out, "no_new_privs %s\n", p->no_new_privs ? "true" : "false");
	print_limits(p, out);
	print_sched(p, out);
	if (p->mempolicy_set)
		print_mempolicy(p, out);
	print_rest(p, out);
	print_order(p, out);
}
