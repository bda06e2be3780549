/* rlimit_sched.c - resource limits, scheduler and I/O priority
 *
 * Theory of operation: limits are set from outside by prlimit(2), because a process in a user namespace of its own lacks the
 * capability over the host that raising a hard limit takes, and the runtime may have it. Scheduler and I/O priority are set by the
 * process itself while it is still privileged. The kernel's structures are declared here, for neither C library has them all.
 */
#include "base/log.h"
#include "base/str.h"
#include "security/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
	const char *name;
	int resource;
} rlimit_table[] = {
	{ "RLIMIT_AS", RLIMIT_AS },
	{ "RLIMIT_CORE", RLIMIT_CORE },
	{ "RLIMIT_CPU", RLIMIT_CPU },
	{ "RLIMIT_DATA", RLIMIT_DATA },
	{ "RLIMIT_FSIZE", RLIMIT_FSIZE },
	{ "RLIMIT_LOCKS", 10 },
	{ "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },
	{ "RLIMIT_MSGQUEUE", 12 },
	{ "RLIMIT_NICE", 13 },
	{ "RLIMIT_NOFILE", RLIMIT_NOFILE },
	{ "RLIMIT_NPROC", RLIMIT_NPROC },
	{ "RLIMIT_RSS", RLIMIT_RSS },
	{ "RLIMIT_RTPRIO", 14 },
	{ "RLIMIT_RTTIME", 15 },
	{ "RLIMIT_SIGPENDING", 11 },
	{ "RLIMIT_STACK", RLIMIT_STACK },
};

/* Index in rlimit_table, -1 unknown. */
static int find_rlimit(const char *type)
{
	for (size_t i = 0; i < sizeof(rlimit_table) / sizeof(rlimit_table[0]); i++)
		if (strcmp(rlimit_table[i].name, type) == 0)
			return (int)i;
	return -1;
}

int rlimits_plan(const struct oci_process *p, struct arena *a, struct sec_plan *out, struct err *e)
{
	struct sec_rlimit *v = arena_alloc(a, (p->rlimits.n + 1) * sizeof(*v));
	unsigned seen = 0;

	for (size_t i = 0; i < p->rlimits.n; i++) {
		const struct oci_rlimit *r = &p->rlimits.v[i];
		int at = find_rlimit(r->type);

		if (at < 0)
			return err_set(e, EINVAL, "process.rlimits[%zu]: unknown limit \"%.40s\"", i, r->type);
		if (seen >> at & 1)
			return err_set(e, EINVAL, "process.rlimits[%zu]: %s is given twice", i, r->type);
		if (r->soft > r->hard)
			return err_set(e, EINVAL, "process.rlimits[%zu]: soft limit of %s is above the hard limit", i, r->type);
		seen |= 1u << at;
		v[i] = (struct sec_rlimit){ rlimit_table[at].resource, rlimit_table[at].name, r->soft, r->hard };
	}
	out->rlimits = v;
	out->n_rlimits = p->rlimits.n;
	return 0;
}

int rlimits_set(const struct sec_plan *p, pid_t pid, struct err *e)
{
	for (size_t i = 0; i < p->n_rlimits; i++) {
		const struct sec_rlimit *r = &p->rlimits[i];
		uint64_t limit[2] = { r->soft, r->hard }; /* struct rlimit64 */

		if (syscall(SYS_prlimit64, pid, r->resource, limit, NULL) < 0)
			return err_errno(e, "process.rlimits[%zu] (%s): setting %llu, at most %llu", i, r->name,
					 (unsigned long long)r->soft, (unsigned long long)r->hard);
	}
	return 0;
}

/* linux/sched.h; the numbers of enum oci_sched are the kernel's policies. */
static const struct {
	const char *name;
	uint64_t bit;
} sched_flags[] = {
	{ "SCHED_FLAG_RESET_ON_FORK", 0x01 },  { "SCHED_FLAG_RECLAIM", 0x02 },     { "SCHED_FLAG_DL_OVERRUN", 0x04 },
	{ "SCHED_FLAG_KEEP_POLICY", 0x08 },    { "SCHED_FLAG_KEEP_PARAMS", 0x10 }, { "SCHED_FLAG_UTIL_CLAMP_MIN", 0x20 },
	{ "SCHED_FLAG_UTIL_CLAMP_MAX", 0x40 },
};

static int parse_sched_flags(const struct strs *names, uint64_t *out, struct err *e)
{
	*out = 0;
	for (size_t i = 0; i < names->n; i++) {
		size_t at = 0, n = sizeof(sched_flags) / sizeof(sched_flags[0]);

		while (at < n && strcmp(sched_flags[at].name, names->v[i]) != 0)
			at++;
		if (at == n)
			return err_set(e, EINVAL, "process.scheduler.flags[%zu]: unknown flag \"%.40s\"", i, names->v[i]);
		*out |= sched_flags[at].bit;
	}
	return 0;
}

static int check_scheduler(const struct oci_scheduler *s, struct err *e)
{
	bool realtime = s->policy == OCI_SCHED_FIFO || s->policy == OCI_SCHED_RR;

	if (s->nice < -20 || s->nice > 19)
		return err_set(e, EINVAL, "process.scheduler.nice: %d is not in -20..19", s->nice);
	if (realtime && (s->priority < 1 || s->priority > 99))
		return err_set(e, EINVAL, "process.scheduler.priority: %d is not in 1..99", s->priority);
	if (!realtime && s->priority != 0)
		return err_set(e, EINVAL, "process.scheduler.priority: only SCHED_FIFO and SCHED_RR have one");
	if (s->policy != OCI_SCHED_DEADLINE && (s->runtime || s->deadline || s->period))
		return err_set(e, EINVAL, "process.scheduler: only SCHED_DEADLINE has runtime, deadline and period");
	if (s->nice != 0 && s->policy != OCI_SCHED_OTHER && s->policy != OCI_SCHED_BATCH)
		log_warn("process.scheduler.nice: has an effect on SCHED_OTHER and SCHED_BATCH only");
	return 0;
}

static int plan_scheduler(const struct oci_scheduler *s, struct arena *a, struct sec_plan *out, struct err *e)
{
	uint64_t flags = 0;
	int r;

	if ((r = check_scheduler(s, e)) < 0 || (r = parse_sched_flags(&s->flags, &flags, e)) < 0)
		return r;
	struct sec_sched *v = arena_new(a, struct sec_sched);

	*v = (struct sec_sched){
		.policy = (uint32_t)s->policy,
		.flags = flags,
		.nice = s->nice,
		.priority = (uint32_t)s->priority,
		.runtime_ns = s->runtime,
		.deadline_ns = s->deadline,
		.period_ns = s->period,
	};
	out->sched = v;
	return 0;
}

int sched_plan(const struct oci_process *p, struct arena *a, struct sec_plan *out, struct err *e)
{
	const struct oci_io_priority *io = p->io_priority;

	if (io && (io->priority < 0 || io->priority > 7))
		return err_set(e, EINVAL, "process.ioPriority.priority: %d is not in 0..7", io->priority);
	if (io) {
		out->ioprio_set = true;
		out->ioprio = io->class_ << 13 | io->priority;
	}
	return p->scheduler ? plan_scheduler(p->scheduler, a, out, e) : 0;
}

int sched_set(const struct sec_sched *s, struct err *e)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
		uint32_t util_min, util_max;
	} attr = { sizeof(attr), s->policy, s->flags, s->nice, s->priority, s->runtime_ns, s->deadline_ns, s->period_ns, 0, 0 };

	if (syscall(SYS_sched_setattr, 0, &attr, 0) == 0)
		return 0;
	if (errno == EPERM && s->policy == OCI_SCHED_DEADLINE)
		return err_errno(e,
				 "process.scheduler: SCHED_DEADLINE needs CAP_SYS_NICE, and a cpuset as large as its root domain");
	return err_errno(e, "process.scheduler");
}

int ioprio_set_group(int ioprio, struct err *e)
{
	enum { WHO_PGRP = 2 }; /* IOPRIO_WHO_PGRP; 0: our own group */

	if (syscall(SYS_ioprio_set, WHO_PGRP, 0, ioprio) < 0)
		return err_errno(e, "process.ioPriority");
	return 0;
}
