/* events: what containers use, now and then, and when they run out of memory.
 *
 * Of one in a virtual machine the guest tells both (container/control.h); what the host's cgroup says is the machine's cost.
 *
 * A container is watched by its init's pidfd, which says when it is over, and by what the cgroup module offers for the kernel's
 * out-of-memory killer. Nothing is locked: a watcher may stay for days. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "container/backend.h"
#include "container/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NET_DEV_MAX (1u << 20)

/* ---- the network ---- */

/* "  eth0: BYTES PACKETS ERRORS DROPPED 4 more, and the same for what was sent"; false for the two lines of headings. */
static bool read_interface(char *line, struct arena *a, struct net_interface *out)
{
	char *colon = strchr(line, ':');
	uint64_t v[12] = { 0 };

	if (!colon || strchr(line, '|'))
		return false;
	*colon = '\0';
	line += strspn(line, " ");
	out->name = arena_strdup(a, line);
	bool whole = scan_numbers(colon + 1, "", v, 12, NULL) == 12;

	out->rx_bytes = v[0];
	out->rx_packets = v[1];
	out->rx_errors = v[2];
	out->rx_dropped = v[3];
	out->tx_bytes = v[8];
	out->tx_packets = v[9];
	out->tx_errors = v[10];
	out->tx_dropped = v[11];
	return whole;
}

static bool has_own_network(pid_t pid, struct arena *a)
{
	struct stat mine, theirs;

	return stat("/proc/self/ns/net", &mine) == 0 && stat(arena_printf(a, "/proc/%d/ns/net", (int)pid), &theirs) == 0 &&
	       (mine.st_ino != theirs.st_ino || mine.st_dev != theirs.st_dev);
}

/* The interfaces of a container that does not share ours; the loopback is nobody's traffic. */
static void read_network(pid_t pid, struct arena *a, struct container_stats *out)
{
	struct err ignored;
	char *text, *save;
	size_t lines = 0;

	if (!has_own_network(pid, a) ||
	    file_read_pseudo(AT_FDCWD, arena_printf(a, "/proc/%d/net/dev", (int)pid), NET_DEV_MAX, a, &text, &ignored) < 0)
		return;
	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	out->net = arena_alloc(a, (lines + 1) * sizeof(*out->net));
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (out->n_net <= lines && read_interface(line, a, &out->net[out->n_net]) &&
		    !str_eq(out->net[out->n_net].name, "lo"))
			out->n_net++;
}

/* ---- one look ---- */

static int ask_guest(const struct container *c, struct arena *a, struct cgroup_stats *out, struct err *e)
{
	struct control_packet *q = arena_new(a, struct control_packet);

	q->type = CONTROL_STATS;
	int r = vm_ask(c, q, e);
	struct codec in = codec_decoder(q->data, r < 0 ? 0 : q->len, a);

	if (r < 0)
		return r;
	codec_stats(&in, out);
	return codec_end(&in, "stats", e);
}

static int read_cgroups(const struct container *c, const struct cgroup_ref *ref, struct arena *a, struct container_stats *out,
			struct err *e)
{
	struct cgroup_stats *machine = arena_new(a, struct cgroup_stats);

	if (backend_of(c->state) == &backend_os)
		return cgroup_stats_read(ref, a, &out->cgroup, e);
	if (cgroup_stats_read(ref, a, machine, e) == 0)
		out->machine = machine;
	return ask_guest(c, a, &out->cgroup, e);
}

static int read_stats(const struct container *c, struct arena *a, struct container_stats *out, struct err *e)
{
	const struct oci_state *s = c->state;
	struct cgroup_ref ref;
	struct resctrl_ref groups;
	struct container_stats stats = { .net = NULL };

	cgroup_from_state(s, a, &ref);
	resctrl_from_state(s, &groups);
	resctrl_stats_read(&groups, a, &stats.groups);
	if (read_cgroups(c, &ref, a, &stats, e) < 0)
		return err_in(e, "container \"%s\"", s->id);
	read_network(s->pid, a, &stats);
	*out = stats;
	return 0;
}

static int open_living(const struct runtime *rt, const char *id, struct arena *a, struct container *c, struct err *e)
{
	int r = store_open(rt, id, false, true, a, c, e);

	if (r < 0)
		return r;
	enum container_status status = container_status(c);

	if (status == CONTAINER_STOPPED || status == CONTAINER_CREATING)
		return err_set(e, ESRCH, "container \"%s\": container not running (it is %s)", id, container_status_name(status));
	return 0;
}

int container_stats(const struct runtime *rt, const char *id, struct arena *a, struct container_stats *out, struct err *e)
{
	auto_container struct container c = CONTAINER_EMPTY;
	int r = open_living(rt, id, a, &c, e);

	return r < 0 ? r : read_stats(&c, a, out, e);
}

/* ---- a stream ---- */

struct watch {
	struct container c;
	struct cgroup_ref ref;
	struct cgroup_oom oom;
	int guest; /* a connection that tells of the guest's; -1: it has none, or has ended */
	int init;  /* pidfd; -1 once it is over */
};

struct stream {
	struct watch *v;
	size_t n;
	struct pollfd *polled; /* two for each: init, oom */
	const struct event_listener *listener;
};

static void close_stream(struct stream *s)
{
	for (size_t i = 0; i < s->n; i++) {
		container_close(&s->v[i].c);
		cgroup_oom_close(&s->v[i].oom);
		close_fd(&s->v[i].guest);
		close_fd(&s->v[i].init);
	}
}

static int listen_to_guest(struct watch *w, struct arena *a, struct err *e)
{
	struct control_packet *q = arena_new(a, struct control_packet);

	q->type = CONTROL_EVENTS;
	w->guest = control_connect(w->c.dir_fd, e);
	return w->guest < 0 ? w->guest : control_ask(w->guest, q, NULL, 0, e);
}

/* Takes all that it has said. */
static bool guest_ran_out(struct watch *w)
{
	auto_arena struct arena a = { 0 };
	struct control_packet *q = arena_new(&a, struct control_packet);
	int fds[CONTROL_FDS_MAX];
	struct err ignored;
	bool oom = false;

	while (w->guest >= 0 && poll(&(struct pollfd){ .fd = w->guest, .events = POLLIN }, 1, 0) > 0) {
		if (control_receive(w->guest, q, fds, &ignored) <= 0)
			close_fd(&w->guest);
		else
			oom |= q->type == CONTROL_OOM;
	}
	return oom;
}

static int open_watch(const struct runtime *rt, const char *id, struct arena *a, struct watch *w, struct err *e)
{
	int r = open_living(rt, id, a, &w->c, e);

	if (r < 0)
		return r;
	w->init = open_init(w->c.state, e);
	if (w->init < 0)
		return err_in(e, "container \"%s\"", id);
	if (backend_of(w->c.state) == &backend_vm)
		return listen_to_guest(w, a, e);
	cgroup_from_state(w->c.state, a, &w->ref);
	return cgroup_oom_open(&w->ref, &w->oom, e);
}

static int tell(const struct stream *s, const struct watch *w, enum container_event_kind kind, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct container_stats stats;
	struct container_event event = { .kind = kind, .id = w->c.id, .stats = &stats };

	int r = kind == CONTAINER_EVENT_STATS ? read_stats(&w->c, &a, &stats, e) : 0;

	/* Whose machine has just ended is told of by its pidfd. */
	if (r < 0)
		return r == -ENOLINK ? 0 : r;
	return s->listener->on_event(s->listener->ctx, &event, e);
}

/* Waits until something happens or the time has come. */
static int wait_until(struct stream *s, int64_t when, struct err *e)
{
	int64_t left = when - clock_ms();

	for (size_t i = 0; i < s->n; i++) {
		s->polled[2 * i] = (struct pollfd){ .fd = s->v[i].init, .events = POLLIN };
		int oom = s->v[i].guest >= 0 ? s->v[i].guest : s->v[i].oom.fd;

		s->polled[2 * i + 1] = (struct pollfd){ .fd = s->v[i].init < 0 ? -1 : oom, .events = POLLIN };
	}
	left = left < 0 ? 0 : left > 60000 ? 60000 : left;
	if (poll(s->polled, (nfds_t)(2 * s->n), (int)left) < 0 && errno != EINTR)
		return err_errno(e, "waiting for events");
	return 0;
}

/* Returns how many containers still live. */
static int handle_news(struct stream *s, struct err *e)
{
	int living = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct watch *w = &s->v[i];

		if (w->init < 0)
			continue;
		/* The end may be what the killer did, so that is looked at in any case. */
		bool news = s->polled[2 * i].revents || s->polled[2 * i + 1].revents;

		if (news && (cgroup_oom_check(&w->oom) || guest_ran_out(w)) && tell(s, w, CONTAINER_EVENT_OOM, e) < 0)
			return -e->code;
		if (s->polled[2 * i].revents)
			close_fd(&w->init);
		else
			living++;
	}
	return living;
}

static int tell_stats(struct stream *s, struct err *e)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].init >= 0 && tell(s, &s->v[i], CONTAINER_EVENT_STATS, e) < 0)
			return -e->code;
	return 0;
}

static int run_stream(struct stream *s, int64_t interval_ms, struct err *e)
{
	int64_t next = clock_ms() + interval_ms;

	for (;;) {
		int r = wait_until(s, next, e);

		if (r == 0)
			r = handle_news(s, e);
		if (r <= 0)
			return r;
		if (clock_ms() < next)
			continue;
		r = tell_stats(s, e);
		if (r < 0)
			return r;
		next = clock_ms() + interval_ms;
	}
}

int container_events(const struct runtime *rt, const char *const *ids, size_t n, int64_t interval_ms,
		     const struct event_listener *l, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct stream s = { .v = arena_alloc(&a, (n + 1) * sizeof(*s.v)),
			    .polled = arena_alloc(&a, (2 * n + 1) * sizeof(*s.polled)),
			    .listener = l };
	int r = 0;

	for (; r == 0 && s.n < n; s.n++) {
		s.v[s.n] = (struct watch){ .c = CONTAINER_EMPTY, .oom = { .fd = -1, .counter = -1 }, .guest = -1, .init = -1 };
		r = open_watch(rt, ids[s.n], &a, &s.v[s.n], e);
	}
	if (r == 0)
		r = run_stream(&s, interval_ms, e);
	close_stream(&s);
	return r;
}
