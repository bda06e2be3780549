/* News of the out-of-memory killer.
 *
 * v1: an eventfd is registered for memory.oom_control; the kernel writes to it at each occasion, and once more when the cgroup is
 * removed. v2: inotify tells of changes of memory.events, which counts the killed; a count that grew is the news. The kernel tells
 * of changes 10 ms apart at most, and systemd removes the cgroup of a scope with its last process: that this one was killed for
 * memory may then be known to nobody.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "cgroups/cgroup_internal.h"
#include "cgroups/cgroup_stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

static int watch_v1(struct cgroup_oom *o, struct err *e)
{
	auto_arena struct arena a = { 0 };

	o->counter = openat(AT_FDCWD, cg_file(&a, o->path, "memory.oom_control"), O_RDONLY | O_CLOEXEC);
	o->fd = o->counter < 0 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (o->fd < 0)
		return err_errno(e, "%s/memory.oom_control", o->path);
	return file_write_pseudo(AT_FDCWD, cg_file(&a, o->path, "cgroup.event_control"),
				 arena_printf(&a, "%d %d", o->fd, o->counter), e);
}

static int watch_v2(struct cgroup_oom *o, struct err *e)
{
	auto_arena struct arena a = { 0 };
	const char *file = cg_file(&a, o->path, "memory.events");

	o->counter = openat(AT_FDCWD, file, O_RDONLY | O_CLOEXEC);
	o->fd = o->counter < 0 ? -1 : inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (o->fd < 0 || inotify_add_watch(o->fd, file, IN_MODIFY) < 0)
		return err_errno(e, "%s", file);
	return 0;
}

/* How many were killed; 0 when the cgroup is gone. */
static long kills(const struct cgroup_oom *o)
{
	char text[512];
	ssize_t n = pread(o->counter, text, sizeof(text) - 1, 0);

	text[n < 0 ? 0 : n] = '\0';
	const char *at = strstr(text, "oom_kill ");

	return at ? strtol(at + strlen("oom_kill "), NULL, 10) : 0;
}

int cgroup_oom_open(const struct cgroup_ref *r, struct cgroup_oom *out, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct cgroup_oom o = { .fd = -1, .counter = -1 };

	for (size_t i = 0; i < r->n_dirs && (!o.path || o.v2); i++) {
		const struct cgroup_dir *d = &r->dirs[i];

		if (d->v2 ? access(cg_file(&a, d->path, "memory.events"), F_OK) == 0 : cg_list_has(d->controllers, "memory")) {
			o.path = d->path;
			o.v2 = d->v2;
		}
	}
	if (o.path && (o.v2 ? watch_v2(&o, e) : watch_v1(&o, e)) < 0) {
		cgroup_oom_close(&o);
		return -e->code;
	}
	if (o.path && o.v2)
		o.seen = kills(&o);
	*out = o;
	return 0;
}

/* The event comes before the count. One event is the removal's. */
static bool check_v1(const struct cgroup_oom *o)
{
	auto_arena struct arena a = { 0 };
	uint64_t events = 0;

	if (read(o->fd, &events, sizeof(events)) < 0)
		return false;
	return events > 1 || access(cg_file(&a, o->path, "memory.oom_control"), F_OK) == 0;
}

static bool check_v2(struct cgroup_oom *o)
{
	char buf[4096] __attribute__((aligned(8)));

	while (read(o->fd, buf, sizeof(buf)) > 0)
		;
	long before = o->seen, now = kills(o);

	o->seen = now > before ? now : before;
	return now > before;
}

bool cgroup_oom_check(struct cgroup_oom *o)
{
	return o->fd >= 0 && (o->v2 ? check_v2(o) : check_v1(o));
}

void cgroup_oom_close(struct cgroup_oom *o)
{
	close_fd(&o->fd);
	close_fd(&o->counter);
}
