/* sec_plan.c - what one process may do, decided
 *
 * Theory of operation: everything the spec says about a process becomes numbers, masks and finished programs here, checked, so that
 * the steps in sec_apply.c hold no policy. Nothing is done but for asking the kernel which seccomp flags it has.
 */
#include "base/log.h"
#include "base/str.h"
#include "security/internal.h"

#include <errno.h>
#include <string.h>

#define CPUS_MAX 8192

static int identity_plan(const struct oci_process *p, const struct sec_options *o, const struct host *h, struct sec_plan *s,
			 struct err *e)
{
	const struct oci_user *u = p->user;

	/* (uid_t)-1 means "leave as it is" to the kernel: the process would stay root. */
	if (u->uid == UINT32_MAX)
		return err_set(e, EINVAL, "process.user.uid: %u is not a user id", u->uid);
	if (u->gid == UINT32_MAX)
		return err_set(e, EINVAL, "process.user.gid: %u is not a group id", u->gid);
	for (size_t i = 0; i < u->additional_gids.n; i++)
		if (u->additional_gids.v[i] == UINT32_MAX)
			return err_set(e, EINVAL, "process.user.additionalGids[%zu]: %u is not a group id", i,
				       u->additional_gids.v[i]);
	if (u->umask.set && u->umask.value > 0777)
		return err_set(e, EINVAL, "process.user.umask: %llu is above 511 (0777)", (unsigned long long)u->umask.value);
	s->uid = u->uid;
	s->gid = u->gid;
	s->groups = u->additional_gids.v;
	s->n_groups = u->additional_gids.n;
	s->set_groups = s->n_groups > 0 || !o->user_ns || h->euid == 0;
	s->umask = u->umask.set ? (mode_t)u->umask.value : 0022;
	s->no_new_privs = p->no_new_privileges;
	return 0;
}

static int oom_plan(const struct oci_process *p, struct sec_plan *s, struct err *e)
{
	if (!p->oom_score_adj.set)
		return 0;
	if (p->oom_score_adj.value < -1000 || p->oom_score_adj.value > 1000)
		return err_set(e, EINVAL, "process.oomScoreAdj: %lld is not in -1000..1000", (long long)p->oom_score_adj.value);
	s->oom_score_set = true;
	s->oom_score_adj = (int)p->oom_score_adj.value;
	return 0;
}

/* NULL for an absent or empty list. */
static int check_cpus(const char *list, const char *which, const char **out, struct err *e)
{
	unsigned long mask[CPUS_MAX / (8 * sizeof(unsigned long))];

	*out = list && list[0] ? list : NULL;
	if (*out && cpu_list_parse(*out, mask, CPUS_MAX, e) < 0)
		return err_in(e, "process.execCPUAffinity.%s", which);
	return 0;
}

static int affinity_plan(const struct oci_process *p, const struct sec_options *o, struct sec_plan *s, struct err *e)
{
	const struct oci_cpu_affinity *c = o->exec ? p->exec_cpu_affinity : NULL;

	if (!c)
		return 0;
	int r = check_cpus(c->initial, "initial", &s->affinity_initial, e);

	return r < 0 ? r : check_cpus(c->final, "final", &s->affinity_final, e);
}

static void personality_plan(const struct oci_linux *l, struct sec_plan *s)
{
	enum { PERSONALITY_LINUX, PERSONALITY_LINUX32 = 8 }; /* PER_* of linux/personality.h */

	s->personality_set = l->personality != NULL;
	s->personality = l->personality && l->personality->domain ? PERSONALITY_LINUX32 : PERSONALITY_LINUX;
	if (l->personality && l->personality->flags.n) /* the specification names none */
		log_warn("linux.personality.flags: \"%.40s\" ignored", l->personality->flags.v[0]);
}

static int linux_plan(const struct oci_linux *l, struct arena *a, struct sec_plan *s, struct err *e)
{
	int r = l->memory_policy ? mempolicy_plan(l->memory_policy, s, e) : 0;

	if (r < 0)
		return r;
	personality_plan(l, s);
	return l->seccomp ? seccomp_compile(l->seccomp, a, &s->filter, e) : 0;
}

int sec_plan_build(const struct oci_process *p, const struct oci_linux *l, const struct sec_options *o, const struct host *h,
		   struct arena *a, struct sec_plan *out, struct err *e)
{
	struct sec_plan s = { 0 };
	int r;

	if ((r = identity_plan(p, o, h, &s, e)) < 0 || (r = rlimits_plan(p, a, &s, e)) < 0 || (r = oom_plan(p, &s, e)) < 0 ||
	    (r = sched_plan(p, a, &s, e)) < 0 || (r = affinity_plan(p, o, &s, e)) < 0 || (r = lsm_plan(p, h, &s, e)) < 0 ||
	    (r = linux_plan(l, a, &s, e)) < 0)
		return r;
	caps_plan(p->capabilities, o, h, &s.caps);
	s.new_keyring = o->new_keyring;
	s.keyring_name = arena_printf(a, "_ses.%s", o->container_id);
	*out = s;
	return 0;
}

static void *copy_bytes(const void *from, size_t n, struct arena *a)
{
	return n ? memcpy(arena_alloc(a, n), from, n) : NULL;
}

static const struct sec_filter *copy_filter(const struct sec_filter *f, struct arena *a)
{
	struct sec_filter *out = copy_bytes(f, sizeof(*f), a);

	out->insns = copy_bytes(f->insns, f->n * sizeof(struct sock_filter), a);
	out->listener_path = out->listener_metadata = NULL;
	return out;
}

struct sec_plan sec_plan_final(const struct sec_plan *p, struct arena *a)
{
	return (struct sec_plan){
		.uid = p->uid,
		.gid = p->gid,
		.groups = copy_bytes(p->groups, p->n_groups * sizeof(*p->groups), a),
		.n_groups = p->n_groups,
		.set_groups = p->set_groups,
		.umask = p->umask,
		.caps = p->caps,
		.no_new_privs = p->no_new_privs,
		.apparmor = p->apparmor ? arena_strdup(a, p->apparmor) : NULL,
		.selinux = p->selinux ? arena_strdup(a, p->selinux) : NULL,
		.filter = p->filter ? copy_filter(p->filter, a) : NULL,
	};
}
