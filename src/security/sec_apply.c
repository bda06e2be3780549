/* sec_apply.c - carrying the plan out
 *
 * Theory of operation: three groups of steps. From outside, what only the runtime has the privilege for; inside and early, what
 * needs privilege but takes nothing away; inside and last, what takes privilege away. The last group is a list of steps, and there
 * are two lists, as loading a filter is privileged unless no_new_privs is set. Why each step is where it is: order.md.
 */
#include "base/cleanup.h"
#include "base/proc_fs.h"
#include "base/str.h"
#include "security/internal.h"

#include <errno.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- outside ---- */

static int set_oom_score(pid_t pid, int value, struct err *e)
{
	char name[64], text[16];
	text_format(name, sizeof(name), "/proc/%d/oom_score_adj", (int)pid);
	text_format(text, sizeof(text), "%d", value);
	if (proc_fs_write_host(name, text, e) < 0)
		return err_in(e, "process.oomScoreAdj %d", value);
	return 0;
}

int sec_apply_rank(const struct sec_plan *p, pid_t pid, struct err *e)
{
	return p->oom_score_set ? set_oom_score(pid, p->oom_score_adj, e) : 0;
}

int sec_apply_limits(const struct sec_plan *p, pid_t pid, struct err *e)
{
	return rlimits_set(p, pid, e);
}

/* ---- inside, early ---- */

static int set_personality(unsigned long value, struct err *e)
{
	if (personality(value) < 0)
		return err_errno(e, "linux.personality");
	return 0;
}

int sec_apply_process(const struct sec_plan *p, struct err *e)
{
	int r = 0;

	if ((p->sched && (r = sched_set(p->sched, e)) < 0) || (p->ioprio_set && (r = ioprio_set_group(p->ioprio, e)) < 0) ||
	    (p->mempolicy_set && (r = mempolicy_set(p, e)) < 0) ||
	    (p->personality_set && (r = set_personality(p->personality, e)) < 0) ||
	    (p->new_keyring && (r = keyring_join(p, e)) < 0))
		return r;
	return 0;
}

/* ---- inside, last ---- */

/* What the steps need. */
struct final {
	const struct sec_plan *plan;
	int proc_fd;
	int (*on_listener)(void *ctx, int fd, struct err *e);
	void *ctx;
};

static int step_umask(const struct final *f, struct err *e)
{
	(void)e;
	umask(f->plan->umask);
	return 0;
}

static int step_bounding(const struct final *f, struct err *e)
{
	return caps_drop_bounding(&f->plan->caps, e);
}

static int step_keep_caps(const struct final *f, struct err *e)
{
	return f->plan->uid ? caps_keep(true, e) : 0;
}

static int step_drop_keep_caps(const struct final *f, struct err *e)
{
	return f->plan->uid ? caps_keep(false, e) : 0;
}

/* The system calls themselves: libc's functions of these names would first stop the threads we do not have, by signals. */
static int step_ids(const struct final *f, struct err *e)
{
	const struct sec_plan *p = f->plan;

	if (syscall(SYS_setgroups, p->n_groups, p->groups) < 0 && (p->set_groups || errno != EPERM))
		return err_errno(e, "process.user.additionalGids: setting %zu groups", p->n_groups);
	if (syscall(SYS_setresgid, p->gid, p->gid, p->gid) < 0)
		return err_errno(e, "process.user.gid: becoming group %u", p->gid);
	if (syscall(SYS_setresuid, p->uid, p->uid, p->uid) < 0)
		return err_errno(e, "process.user.uid: becoming user %u", p->uid);
	return 0;
}

static int step_caps(const struct final *f, struct err *e)
{
	return caps_set(&f->plan->caps, e);
}

static int step_ambient(const struct final *f, struct err *e)
{
	return caps_set_ambient(&f->plan->caps, e);
}

static int step_no_new_privs(const struct final *f, struct err *e)
{
	if (f->plan->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1ul, 0ul, 0ul, 0ul) < 0)
		return err_errno(e, "setting no_new_privs");
	return 0;
}

static int step_label(const struct final *f, struct err *e)
{
	return lsm_label_exec(f->plan, f->proc_fd, e);
}

static int step_filter(const struct final *f, struct err *e)
{
	const struct sec_filter *filter = f->plan->filter;

	if (!filter)
		return 0;
	if (filter->notify && !f->on_listener)
		return err_set(e, EINVAL, "linux.seccomp: SCMP_ACT_NOTIFY, but nobody to listen");
	int fd = filter_load(filter, e);

	if (fd < 0)
		return fd;
	return filter->notify ? f->on_listener(f->ctx, fd, e) : 0;
}

struct step {
	const char *name;
	int (*run)(const struct final *f, struct err *e);
};

/* With no_new_privs anyone may load a filter: it comes last and covers nothing but execve(2). */
static const struct step unprivileged_filter[] = {
	{ "umask", step_umask },
	{ "bounding", step_bounding },
	{ "keep_caps", step_keep_caps },
	{ "ids", step_ids },
	{ "caps", step_caps },
	{ "ambient", step_ambient },
	{ "drop_keep_caps", step_drop_keep_caps },
	{ "no_new_privs", step_no_new_privs },
	{ "label", step_label },
	{ "filter", step_filter },
};

/* Without, it takes CAP_SYS_ADMIN: before anything that gives capabilities up, whose system calls the profile must then allow. */
static const struct step privileged_filter[] = {
	{ "umask", step_umask },       { "label", step_label },         { "filter", step_filter },
	{ "bounding", step_bounding }, { "keep_caps", step_keep_caps }, { "ids", step_ids },
	{ "caps", step_caps },         { "ambient", step_ambient },     { "drop_keep_caps", step_drop_keep_caps },
};

static const struct step *steps_of(const struct sec_plan *p, size_t *n)
{
	*n = p->no_new_privs ? sizeof(unprivileged_filter) / sizeof(unprivileged_filter[0])
			     : sizeof(privileged_filter) / sizeof(privileged_filter[0]);
	return p->no_new_privs ? unprivileged_filter : privileged_filter;
}

void sec_final_order(const struct sec_plan *p, const char *names[SEC_STEPS_MAX + 1])
{
	size_t n;
	const struct step *steps = steps_of(p, &n);

	for (size_t i = 0; i < n; i++)
		names[i] = steps[i].name;
	names[n] = NULL;
}

int sec_apply_final(const struct sec_plan *p, int proc_fd, int (*on_listener)(void *ctx, int fd, struct err *e), void *ctx,
		    struct err *e)
{
	struct final f = { p, proc_fd, on_listener, ctx };
	size_t n;
	const struct step *steps = steps_of(p, &n);

	for (size_t i = 0; i < n; i++) {
		int r = steps[i].run(&f, e);

		if (r < 0)
			return r;
	}
	return 0;
}

int sec_apply_hook(const struct sec_plan *p, int proc_fd, struct err *e)
{
	const unsigned with_listener = 1u << 5; /* SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, refused without */
	struct sec_filter alone = p->filter ? *p->filter : (struct sec_filter){ 0 };
	struct sec_plan hook = *p;

	alone.notify = false;
	alone.flags &= ~with_listener;
	hook.filter = p->filter ? &alone : NULL;
	return sec_apply_final(&hook, proc_fd, NULL, NULL, e);
}
