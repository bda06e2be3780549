/* events: what containers use, now and then, and when they run out of memory.
 *
 * A container is watched by its init's pidfd, which says when it is over, and by what the cgroup module offers for the kernel's
 * out-of-memory killer. Nothing is locked: a watcher may stay for days. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "container/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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

	if (!colon || strchr(line, '|'))
		return false;
	*colon = '\0';
	line += strspn(line, " ");
	out->name = arena_strdup(a, line);
	return sscanf(colon + 1,
		      "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %*u %*u %*u %*u %" SCNu64 " %" SCNu64 " %" SCNu64
		      " %" SCNu64,
		      &out->rx_bytes, &out->rx_packets, &out->rx_errors, &out->rx_dropped, &out->tx_bytes, &out->tx_packets,
		      &out->tx_errors, &out->tx_dropped) == 8;
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

static int read_stats(const struct oci_state *s, struct arena *a, struct container_stats *out, struct err *e)
{
	struct cgroup_ref ref;
	struct resctrl_ref groups;
	struct container_stats stats = { .net = NULL };

	cgroup_from_state(s, a, &ref);
	resctrl_from_state(s, &groups);
	resctrl_stats_read(&groups, a, &stats.groups);
	if (cgroup_stats_read(&ref, a, &stats.cgroup, e) < 0)
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
	return backend_check_os(c, "events", e);
}

int container_stats(const struct runtime *rt, const char *id, struct arena *a, struct container_stats *out, struct err *e)
{
	auto_container struct container c = CONTAINER_EMPTY;
	int r = open_living(rt, id, a, &c, e);

	return r < 0 ? r : read_stats(c.state, a, out, e);
}

/* ---- a stream ---- */

struct watch {
	struct container c;
	struct cgroup_ref ref;
	struct cgroup_oom oom;
	int init; /* pidfd; -1 once it is over */
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
		close_fd(&s->v[i].init);
	}
}

static int open_watch(const struct runtime *rt, const char *id, struct arena *a, struct watch *w, struct err *e)
{
	int r = open_living(rt, id, a, &w->c, e);

	if (r < 0)
		return r;
	w->init = open_init(w->c.state, e);
	if (w->init < 0)
		return err_in(e, "container \"%s\"", id);
	cgroup_from_state(w->c.state, a, &w->ref);
	return cgroup_oom_open(&w->ref, &w->oom, e);
}

static int tell(const struct stream *s, const struct watch *w, enum container_event_kind kind, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct container_stats stats;
	struct container_event event = { .kind = kind, .id = w->c.id, .stats = &stats };

	if (kind == CONTAINER_EVENT_STATS && read_stats(w->c.state, &a, &stats, e) < 0)
		return -e->code;
	return s->listener->on_event(s->listener->ctx, &event, e);
}

/* Waits until something happens or the time has come. */
static int wait_until(struct stream *s, int64_t when, struct err *e)
{
	int64_t left = when - clock_ms();

	for (size_t i = 0; i < s->n; i++) {
		s->polled[2 * i] = (struct pollfd){ .fd = s->v[i].init, .events = POLLIN };
		s->polled[2 * i + 1] = (struct pollfd){ .fd = s->v[i].init < 0 ? -1 : s->v[i].oom.fd, .events = POLLIN };
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
		if ((s->polled[2 * i].revents || s->polled[2 * i + 1].revents) && cgroup_oom_check(&w->oom) &&
		    tell(s, w, CONTAINER_EVENT_OOM, e) < 0)
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
		s.v[s.n] = (struct watch){ .c = CONTAINER_EMPTY, .oom = { .fd = -1, .counter = -1 }, .init = -1 };
		r = open_watch(rt, ids[s.n], &a, &s.v[s.n], e);
	}
	if (r == 0)
		r = run_stream(&s, interval_ms, e);
	close_stream(&s);
	return r;
}
