/* wait: how a container ended, though its init is nobody's child of ours.
 *
 * The kernel keeps the exit status for the parent, which reaps it; what is left for others differs:
 *  - a process that has ended and is not reaped yet shows it in /proc, to those who may trace it;
 *  - one that is reaped, in a pidfd that was open before (Linux 6.15). `create --record-exit` has the state directory hold one: it
 * is mounted there. No process of ours has to stay for that;
 *  - `run --keep` is the parent; it, and a wait that found it out, write what they know to the file "exit".
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "container/internal.h"

#include <errno.h>
#include <poll.h>

#define REAP_LOOK_MS 50 /* how often a process that has ended is looked at until it is reaped */

void record_exit(struct container *c, int status)
{
	struct err why;
	int r = store_relock(c, &why);

	if (r == 0)
		r = store_save_exit(c, status, &why);
	store_unlock(c);
	if (r < 0 && r != -ENOENT) /* deleted meanwhile */
		log_warn("exit status of container \"%s\": %s", c->id, why.text);
}

static int tells_nothing(const struct oci_state *s, struct err *e)
{
	return err_set(e, ENODATA,
		       "container \"%s\" has ended, and its exit status went to the process that reaped it: "
		       "create it with --record-exit (Linux 6.15), or wait before it ends",
		       s->id);
}

/* Its parent may take its time to reap it. */
static int await_reaping(const struct oci_state *s, int init, struct err *e)
{
	for (;;) {
		struct err ignored;
		uint64_t ticks;
		int status = proc_zombie_status(s->pid, s->start_time, &ignored);

		if (status < 0)
			status = proc_exit_status(init, &ignored);
		if (status >= 0)
			return status;
		if (proc_start_time(NULL, s->pid, &ticks, NULL, &ignored) < 0 || ticks != s->start_time) {
			status = proc_exit_status(init, &ignored); /* reaped between the two looks */
			return status >= 0 ? status : tells_nothing(s, e);
		}
		(void)poll(NULL, 0, REAP_LOOK_MS);
	}
}

static int await_end(struct container *c, int init, struct err *e)
{
	int r = proc_wait_fd(init, -1, e), status = r < 0 ? r : await_reaping(c->state, init, e);

	if (status >= 0)
		record_exit(c, status);
	return status;
}

static int look_back(struct container *c, struct err *e)
{
	struct err ignored;
	int status = store_load_exit(c, &ignored);

	if (status < 0) {
		auto_fd int pinned = store_open_pinned(c);

		status = pinned < 0 ? -ENODATA : proc_exit_status(pinned, &ignored);
	}
	if (status >= 0)
		return status;
	if (c->state->pid > 0)
		status = proc_zombie_status(c->state->pid, c->state->start_time, &ignored);
	if (status < 0)
		return tells_nothing(c->state, e);
	record_exit(c, status); /* its parent will reap it */
	return status;
}

int container_wait(const struct runtime *rt, const char *id, int *status, struct err *e)
{
	auto_arena struct arena a = { 0 };
	auto_container struct container c = CONTAINER_EMPTY;
	int r = store_open(rt, id, false, true, &a, &c, e);

	if (r < 0)
		return r;
	if (container_status(&c) == CONTAINER_CREATING)
		return err_set(e, EBUSY, "container \"%s\" is being created", id);
	auto_fd int init = open_init(c.state, e);
	if (init < 0 && init != -ESRCH)
		return init;
	r = init >= 0 ? await_end(&c, init, e) : look_back(&c, e);
	if (r < 0)
		return r;
	*status = r;
	return 0;
}
