/* run: create and start in one command, and for the foreground: wait and delete. */
#include "base/cleanup.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/sys.h"
#include "container/internal.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>

static int start_created(struct created *k, struct err *e)
{
	struct start_request q = {
		.chan = &k->chan,
		.init = k->pidfd,
		.pid = k->pid,
		.spec = k->spec,
		.id = k->c.id,
		.bundle = k->plan->bundle,
		.status = "created",
	};
	int r = request_start(&q, e);

	if (r < 0)
		return r;
	k->c.state = k->state;
	return after_start(&k->c, k->spec, e);
}

/* Init is our child: it is reaped here, whatever happened. */
static void end_child(struct created *k)
{
	struct err ignored;

	(void)sys_pidfd_send_signal(k->pidfd, SIGKILL);
	(void)!proc_wait(k->pid, &ignored);
}

static int finish(const struct runtime *rt, struct created *k, bool keep, struct err *e)
{
	int r = keep ? 0 : store_relock(&k->c, e);

	/* Somebody else deleted it while we waited: as good. */
	if (keep || r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	k->state->pid = 0; /* reaped: the number may be another's */
	return destroy(rt, &k->c, k->state, k->spec, e);
}

static int run_foreground(const struct runtime *rt, struct created *k, const struct run_options *o, const struct notify *notify,
			  int *status, struct err *e)
{
	store_unlock(&k->c);
	int code = wait_foreground(k->pid, k->pidfd, k->console, !o->no_subreaper, notify, e);

	if (code < 0) {
		struct err why;

		end_child(k);
		if (finish(rt, k, o->keep, &why) < 0)
			log_warn("clean up: %s", why.text);
		return code;
	}
	*status = code;
	if (o->keep)
		record_exit(&k->c, code);
	return finish(rt, k, o->keep, e);
}

int container_run(const struct runtime *rt, const char *id, const struct run_options *o, int *status, struct err *e)
{
	auto_arena struct arena a = { 0 };
	auto_created struct created k = CREATED_EMPTY;

	if (!o->detach && !o->no_subreaper && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return err_errno(e, "prctl");
	int r = create_container(rt, id, &o->create, true, !o->detach, &a, &k, e);

	if (r < 0)
		return r;
	r = o->detach ? 0 : hold_signals(e);
	if (r == 0 && !k.plan->has_process)
		r = err_set(e, EINVAL, "cannot run container \"%s\": its config has no process", id);
	auto_notify struct notify notify = NOTIFY_NONE;
	if (r == 0)
		r = notify_open(&k.c, &notify, e);
	if (r == 0)
		r = start_created(&k, e);
	if (r < 0) {
		created_abandon(rt, &k);
		return r;
	}
	*status = 0;
	if (!o->detach)
		return run_foreground(rt, &k, o, &notify, status, e);
	store_unlock(&k.c);
	return notify_await_ready(&notify, k.pid, k.pidfd, e);
}
