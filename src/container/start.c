/* start: the waiting init becomes the container's program. */
#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"
#include "container/internal.h"
#include "init/hooks.h"
#include "init/init.h"
#include "oci/json_write.h"

#include <errno.h>
#include <string.h>

/* The container process state of runtime-spec "Linux seccomp": what an agent gets with the listener. */
static const char *notify_state(const struct start_request *q, struct arena *a)
{
	static const char *const fds[] = { "seccompFd", NULL };
	struct strbuf out = STRBUF(a), state = STRBUF(a);
	struct json_writer w;

	oci_state_for_hook(q->spec->oci_version, q->id, q->status, q->pid, q->bundle, &q->spec->annotations, &state);
	json_begin(&w, &out, 0);
	json_open(&w, NULL, '{');
	json_str(&w, "ociVersion", q->spec->oci_version);
	json_strs(&w, "fds", fds);
	json_i64(&w, "pid", q->pid);
	if (q->spec->linux_->seccomp->listener_metadata)
		json_str(&w, "metadata", q->spec->linux_->seccomp->listener_metadata);
	json_raw(&w, "state", strbuf_str(&state));
	json_close(&w, '}');
	return strbuf_str(&out);
}

static int pass_listener(const struct start_request *q, int number, struct err *e)
{
	auto_arena struct arena a = { 0 };
	const struct oci_seccomp *s = q->spec ? q->spec->linux_->seccomp : NULL;

	if (!s || !s->listener_path)
		return err_set(e, EPROTO, "a seccomp listener that the config does not ask for");
	auto_fd int fd = sys_pidfd_getfd(q->init, number);
	if (fd < 0)
		return err_errno(e, "linux.seccomp: fetch the listener from the container");
	int r = send_fd_to_socket(s->listener_path, "linux.seccomp.listenerPath", notify_state(q, &a), fd, e);

	return r < 0 ? r : chan_send(q->chan, MSG_ACK, NULL, 0, -1, e);
}

int request_start(const struct start_request *q, struct err *e)
{
	int32_t number;
	size_t len;
	int r = chan_send(q->chan, MSG_START, NULL, 0, -1, e);

	if (r == 0)
		r = chan_expect(q->chan, MSG_EXEC, NULL, 0, NULL, e);
	if (r == 0 && q->executes)
		*q->executes = true;
	while (r == 0) {
		int more = chan_expect_or_eof(q->chan, MSG_NOTIFY_FD, &number, sizeof(number), &len, NULL, e);

		if (more <= 0)
			return more < 0 ? more : executed_or_why(q->pid, e);
		r = pass_listener(q, number, e);
	}
	return r;
}

int after_start(struct container *c, const struct oci_spec *spec, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct hook_plan hooks;
	struct oci_state s = *c->state;
	struct strbuf text = STRBUF(&a);
	struct hook_context ctx = { .cwd = s.bundle };
	bool known = str_eq(s.status, "running");

	s.status = "running";
	int r = known ? 0 : store_save(c, &s, e);

	if (r < 0 || !spec || !spec->hooks->poststart.n)
		return r;
	plan_hooks(spec, &a, &hooks);
	oci_state_for_hook(s.oci_version, s.id, s.status, s.pid, s.bundle, &s.annotations, &text);
	ctx.state = strbuf_str(&text);
	return hooks_run(&hooks.poststart, &ctx, e);
}

static int check_startable(const struct container *c, const struct oci_spec *spec, int *init, struct err *e)
{
	switch (container_status_and_init(c, init)) {
	case CONTAINER_CREATED:
		break;
	case CONTAINER_STOPPED:
		return err_set(e, EINVAL, "cannot start a container that has stopped");
	case CONTAINER_CREATING:
		return err_set(e, EINVAL, "cannot start a container that is being created");
	case CONTAINER_PAUSED: /* it could not answer */
		return err_set(e, EINVAL, "cannot start a paused container");
	default:
		return err_set(e, EINVAL, "cannot start an already running container");
	}
	if (spec && !spec->process)
		return err_set(e, EINVAL, "cannot start container \"%s\": its config has no process", c->id);
	if (*init < 0)
		*init = open_init(c->state, e);
	return *init < 0 ? *init : 0;
}

/* runtime-spec "Lifecycle", steps 7 and 9: what a failed hook leaves is destroyed. */
static void undo(const struct runtime *rt, struct container *c, const struct oci_spec *spec)
{
	struct err why;

	if (destroy(rt, c, c->state, spec, &why) < 0)
		log_warn("clean up: %s", why.text);
}

/* Init stops listening when somebody told it to start, even if that somebody was killed before it could note it. */
static int nobody_listens(const struct container *c, struct err *e)
{
	if (e->code != ECONNREFUSED && e->code != ENOENT)
		return -e->code;
	if (container_status(c) == CONTAINER_STOPPED)
		return err_set(e, EINVAL, "cannot start a container that has stopped");
	return err_set(e, EINVAL, "cannot start an already running container (an earlier start did not end well)");
}

static int start_locked(const struct runtime *rt, struct container *c, struct arena *a, struct notify *notify, struct err *e)
{
	const struct oci_spec *spec = NULL;
	bool executes = false;
	auto_fd int init = -1;
	int r = c->state->plain ? 0 : store_load_config(c, a, &spec, e);

	if (r == 0)
		r = check_startable(c, spec, &init, e);
	if (r == 0)
		r = notify_open(c, notify, e);
	if (r < 0)
		return r;
	auto_chan struct chan chan = { .fd = store_connect(c, e) };
	if (chan.fd < 0)
		return nobody_listens(c, e);
	struct start_request q = {
		.chan = &chan,
		.init = init,
		.pid = c->state->pid,
		.spec = spec,
		.id = c->id,
		.bundle = c->state->bundle,
		.status = "created",
		.executes = &executes,
	};
	r = request_start(&q, e);
	if (r == -EPIPE)
		r = err_set(e, ESRCH, "cannot start container \"%s\": its process died meanwhile", c->id);
	if (r < 0) {
		/* A program that cannot be executed leaves a stopped container, for the caller to delete. */
		if (!executes && spec && spec->hooks->start_container.n)
			undo(rt, c, spec);
		return r;
	}
	r = after_start(c, spec, e);
	store_remove_socket(c);
	if (r < 0)
		undo(rt, c, spec);
	return r;
}

int container_start(const struct runtime *rt, const char *id, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct fd_pile later = FD_PILE_FEW;
	auto_container struct container c = CONTAINER_CLOSED(&later);
	auto_notify struct notify notify = NOTIFY_NONE;
	int r = store_open(rt, id, true, true, &a, &c, e);

	if (r == 0)
		r = start_locked(rt, &c, &a, &notify, e);
	if (r < 0 || notify.from < 0)
		return r;
	store_unlock(&c);
	auto_fd int init = open_init(c.state, e);

	return init < 0 ? 0 : notify_await_ready(&notify, c.state->pid, init, e);
}
