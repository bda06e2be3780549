/* The `process` object, of config.json and of exec --process. */
#include "oci/shapes.h"
#include "oci/spec.h"

#include <errno.h>
#include <string.h>

/* 2^32-1 is -1 to the system calls, "leave it as it is": it must never get there as somebody's id. */
static int check_user(void *object, struct checker *c)
{
	const struct oci_user *u = object;
	int r = 0;

	if (u->uid == UINT32_MAX)
		r |= check_fail(c, "uid", -1, "%u is not an id", u->uid);
	if (u->gid == UINT32_MAX)
		r |= check_fail(c, "gid", -1, "%u is not an id", u->gid);
	for (size_t i = 0; i < u->additional_gids.n; i++)
		if (u->additional_gids.v[i] == UINT32_MAX)
			r |= check_fail(c, "additionalGids", (long)i, "%u is not an id", UINT32_MAX);
	return r;
}

/* ---- resource limits ---- */

/* Index of the limit in the list of those Linux has, -1 unknown. */
static int rlimit_index(const char *type)
{
	static const char *const known[] = {
		"RLIMIT_AS",      "RLIMIT_CORE",     "RLIMIT_CPU",        "RLIMIT_DATA",   "RLIMIT_FSIZE", "RLIMIT_LOCKS",
		"RLIMIT_MEMLOCK", "RLIMIT_MSGQUEUE", "RLIMIT_NICE",       "RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_RSS",
		"RLIMIT_RTPRIO",  "RLIMIT_RTTIME",   "RLIMIT_SIGPENDING", "RLIMIT_STACK",
	};

	for (int i = 0; i < (int)(sizeof(known) / sizeof(known[0])); i++)
		if (!strcmp(known[i], type))
			return i;
	return -1;
}

static int check_rlimit(void *object, struct checker *c)
{
	const struct oci_rlimit *l = object;
	int r = 0;

	if (rlimit_index(l->type) < 0)
		r |= check_fail(c, "type", -1, "unknown value \"%.80s\"", l->type);
	if (l->soft > l->hard)
		r |= check_fail(c, "soft", -1, "the soft limit of %.80s is above the hard limit", l->type);
	return r;
}

static int check_rlimits(void *list, struct checker *c)
{
	const struct any_list *l = list;
	const struct oci_rlimit *v = l->v;
	unsigned seen = 0;
	int r = 0;

	for (size_t i = 0; i < l->n; i++) {
		unsigned bit = 1u << rlimit_index(v[i].type);

		if (seen & bit)
			r |= check_fail(c, NULL, (long)i, "%s is listed twice", v[i].type);
		seen |= bit;
	}
	return r;
}

/* ---- scheduling ---- */

static int check_deadline(const struct oci_scheduler *s, struct checker *c)
{
	uint64_t period = s->period ? s->period : s->deadline;

	if (s->policy != OCI_SCHED_DEADLINE) {
		if (s->runtime || s->deadline || s->period)
			return check_fail(c, NULL, -1, "runtime, deadline and period are for SCHED_DEADLINE only");
		return 0;
	}
	if (!s->runtime || s->runtime > s->deadline || s->deadline > period)
		return check_fail(c, NULL, -1, "SCHED_DEADLINE needs 0 < runtime <= deadline <= period");
	return 0;
}

static int check_scheduler(void *object, struct checker *c)
{
	const struct oci_scheduler *s = object;
	bool realtime = s->policy == OCI_SCHED_FIFO || s->policy == OCI_SCHED_RR;
	int r = check_deadline(s, c);

	if (s->nice < -20 || s->nice > 19)
		r |= check_fail(c, "nice", -1, "%d is out of range, -20 to 19", s->nice);
	else if (s->nice && (realtime || s->policy == OCI_SCHED_DEADLINE))
		r |= check_fail(c, "nice", -1, "%s has no nice value", oci_sched_names[s->policy]);
	if (realtime && (s->priority < 1 || s->priority > 99))
		r |= check_fail(c, "priority", -1, "%d is out of range, 1 to 99", s->priority);
	else if (!realtime && s->priority)
		r |= check_fail(c, "priority", -1, "%s has no priority", oci_sched_names[s->policy]);
	return r;
}

static int check_io_priority(void *object, struct checker *c)
{
	const struct oci_io_priority *p = object;

	if (p->class_ == OCI_IOPRIO_NONE) /* has a name for messages, but the specification does not offer it */
		return check_fail(c, "class", -1, "unknown value \"%s\"", oci_ioprio_names[p->class_]);
	if (p->priority < 0 || p->priority > 7)
		return check_fail(c, "priority", -1, "%d is out of range, 0 to 7", p->priority);
	return 0;
}

static int check_cpu_list(struct checker *c, const char *member, const char *list)
{
	if (!list || !list[strspn(list, "0123456789, -")])
		return 0;
	return check_fail(c, member, -1, "\"%.80s\" is not a list of CPUs like 0-3,7", list);
}

static int check_cpu_affinity(void *object, struct checker *c)
{
	const struct oci_cpu_affinity *a = object;

	return check_cpu_list(c, "initial", a->initial) | check_cpu_list(c, "final", a->final);
}

/* ---- the process ---- */

static int check_env(const struct strs *env, struct checker *c)
{
	int r = 0;

	for (size_t i = 0; i < env->n; i++) {
		const char *equals = strchr(env->v[i], '=');

		if (!equals || equals == env->v[i])
			r |= check_fail(c, "env", (long)i, "\"%.80s\" is not NAME=VALUE", env->v[i]);
	}
	return r;
}

static const struct oci_user root_user;

static int check_process(void *object, struct checker *c)
{
	struct oci_process *p = object;
	int r = check_env(&p->env, c);

	if (!p->user)
		p->user = &root_user;
	if (p->oom_score_adj.set && (p->oom_score_adj.value < -1000 || p->oom_score_adj.value > 1000))
		r |= check_fail(c, "oomScoreAdj", -1, "%lld is out of range, -1000 to 1000", (long long)p->oom_score_adj.value);
	return r;
}

/* ---- tables ---- */
/* clang-format off */

NAMES(sched_names, "SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE");
NAMES(sched_flag_names, "SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_KEEP_POLICY",
      "SCHED_FLAG_KEEP_PARAMS", "SCHED_FLAG_UTIL_CLAMP_MIN", "SCHED_FLAG_UTIL_CLAMP_MAX");
NAMES(ioprio_names, [OCI_IOPRIO_NONE] = "IOPRIO_CLASS_NONE", [OCI_IOPRIO_RT] = "IOPRIO_CLASS_RT",
      [OCI_IOPRIO_BE] = "IOPRIO_CLASS_BE", [OCI_IOPRIO_IDLE] = "IOPRIO_CLASS_IDLE");

SHAPE(oci_size, NULL,
	F_U64(struct oci_size, height, "height", REQUIRED),
	F_U64(struct oci_size, width, "width", REQUIRED));

SHAPE(oci_user, check_user,
	F_U32(struct oci_user, uid, "uid", 0),
	F_U32(struct oci_user, gid, "gid", 0),
	F_OU32(struct oci_user, umask, "umask"),
	F_U32S(struct oci_user, additional_gids, "additionalGids"),
	F_STR(struct oci_user, username, "username", EMPTY_NONE));

/* Names are looked up by security/, which drops unknown ones with a warning. */
SHAPE(oci_caps, NULL,
	F_STRS(struct oci_caps, bounding, "bounding", 0),
	F_STRS(struct oci_caps, permitted, "permitted", 0),
	F_STRS(struct oci_caps, effective, "effective", 0),
	F_STRS(struct oci_caps, inheritable, "inheritable", 0),
	F_STRS(struct oci_caps, ambient, "ambient", 0));

SHAPE_LIST(oci_rlimit, check_rlimit, check_rlimits,
	F_STR(struct oci_rlimit, type, "type", REQUIRED),
	F_U64(struct oci_rlimit, hard, "hard", REQUIRED),
	F_U64(struct oci_rlimit, soft, "soft", REQUIRED));

SHAPE(oci_scheduler, check_scheduler,
	F_ENUM(struct oci_scheduler, policy, "policy", REQUIRED, &sched_names),
	F_I32(struct oci_scheduler, nice, "nice", 0),
	F_I32(struct oci_scheduler, priority, "priority", 0),
	F_WORDS(struct oci_scheduler, flags, "flags", 0, &sched_flag_names),
	F_U64(struct oci_scheduler, runtime, "runtime", 0),
	F_U64(struct oci_scheduler, deadline, "deadline", 0),
	F_U64(struct oci_scheduler, period, "period", 0));

SHAPE(oci_io_priority, check_io_priority,
	F_ENUM(struct oci_io_priority, class_, "class", REQUIRED, &ioprio_names),
	F_I32(struct oci_io_priority, priority, "priority", 0));

SHAPE(oci_cpu_affinity, check_cpu_affinity,
	F_STR(struct oci_cpu_affinity, initial, "initial", EMPTY_NONE),
	F_STR(struct oci_cpu_affinity, final, "final", EMPTY_NONE));

SHARED_SHAPE(oci_process, check_process,
	F_BOOL(struct oci_process, terminal, "terminal", 0),
	F_BOOL(struct oci_process, no_new_privileges, "noNewPrivileges", 0),
	F_STR(struct oci_process, cwd, "cwd", REQUIRED | ABSOLUTE),
	F_STR(struct oci_process, apparmor_profile, "apparmorProfile", EMPTY_NONE),
	F_STR(struct oci_process, selinux_label, "selinuxLabel", EMPTY_NONE),
	F_STRS(struct oci_process, args, "args", REQUIRED | NONEMPTY),
	F_STRS(struct oci_process, env, "env", 0),
	F_OI64(struct oci_process, oom_score_adj, "oomScoreAdj"),
	F_OBJ(struct oci_process, console_size, "consoleSize", 0, oci_size),
	F_OBJ(struct oci_process, user, "user", 0, oci_user),
	F_OBJ(struct oci_process, capabilities, "capabilities", 0, oci_caps),
	F_OBJ(struct oci_process, scheduler, "scheduler", 0, oci_scheduler),
	F_OBJ(struct oci_process, io_priority, "ioPriority", 0, oci_io_priority),
	F_OBJ(struct oci_process, exec_cpu_affinity, "execCPUAffinity", 0, oci_cpu_affinity),
	F_OBJS(struct oci_process, rlimits, "rlimits", 0, oci_rlimit));

/* clang-format on */
