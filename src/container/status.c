/* What a container is now: the stored state, compared with the living process. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "container/backend.h"
#include "container/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

const char *container_status_name(enum container_status s)
{
	static const char *const names[] = { "creating", "created", "running", "paused", "stopped" };

	return names[s];
}

const char *read_boot_id(struct arena *a)
{
	struct err ignored;
	char *text;
	ssize_t n = file_read_value(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, a, &text, &ignored);

	if (n <= 0)
		return "";
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static const char *const manager_names[] = { "cgroupfs", "systemd", "disabled" };
static const char *const mode_names[] = { "none", "v1", "hybrid", "v2" };

static int name_index(const char *const *names, int n, const char *s)
{
	for (int i = 0; i < n; i++)
		if (str_eq(names[i], s))
			return i;
	return 0;
}

void state_from_cgroup(const struct cgroup_ref *r, struct arena *a, struct oci_state *s)
{
	s->cgroup_manager = manager_names[r->manager];
	s->cgroup_mode = mode_names[r->mode];
	s->cgroup_path = r->path ? r->path : "";
	s->cgroup_scope = r->scope;
	s->cgroup_dirs.n = r->n_dirs;
	s->cgroup_dirs.v = arena_alloc(a, (r->n_dirs + 1) * sizeof(*s->cgroup_dirs.v));
	for (size_t i = 0; i < r->n_dirs; i++)
		s->cgroup_dirs.v[i] = (struct oci_state_cgroup){
			r->dirs[i].controllers, r->dirs[i].mount, r->dirs[i].path, r->dirs[i].v2, r->dirs[i].ino,
		};
}

void cgroup_from_state(const struct oci_state *s, struct arena *a, struct cgroup_ref *r)
{
	struct cgroup_dir *dirs = arena_alloc(a, (s->cgroup_dirs.n + 1) * sizeof(*dirs));

	for (size_t i = 0; i < s->cgroup_dirs.n; i++) {
		const struct oci_state_cgroup *d = &s->cgroup_dirs.v[i];

		dirs[i] = (struct cgroup_dir){ d->controllers, d->mount, d->path, d->v2, d->ino };
	}
	*r = (struct cgroup_ref){
		.manager = (enum cgroup_manager)name_index(manager_names, 3, s->cgroup_manager),
		.mode = (enum cgroup_mode)name_index(mode_names, 4, s->cgroup_mode),
		.path = s->cgroup_path ? s->cgroup_path : "",
		.scope = s->cgroup_scope,
		.dirs = dirs,
		.n_dirs = s->cgroup_dirs.n,
		.identified = true,
	};
}

void state_from_resctrl(const struct resctrl_ref *r, struct arena *a, struct oci_state *s)
{
	struct oci_state_resctrl *to = arena_new(a, struct oci_state_resctrl);

	*to = (struct oci_state_resctrl){ r->mount, r->group, r->mon_group, r->owns_group, r->owns_mon_group };
	s->resctrl = r->mount ? to : NULL;
}

void resctrl_from_state(const struct oci_state *s, struct resctrl_ref *r)
{
	const struct oci_state_resctrl *from = s->resctrl;

	*r = (struct resctrl_ref){ 0 };
	if (from)
		*r = (struct resctrl_ref){ from->mount, from->group, from->mon_group, from->owns_group,
					   from->owns_mon_group && from->mon_group };
}

/* In doubt yes: the start time tells as well, but for one case in many. */
static bool same_boot(const struct oci_state *s, struct arena *a)
{
	if (!s->boot_id || !*s->boot_id)
		return true;
	const char *now = read_boot_id(a);

	return !*now || str_eq(s->boot_id, now);
}

int open_init(const struct oci_state *s, struct err *e)
{
	auto_arena struct arena a = { 0 };

	int fd = -ESRCH;

	if (s->pid > 0 && same_boot(s, &a))
		fd = proc_open_exact(s->pid, s->start_time, e);
	/* Callers know these words. */
	return fd == -ESRCH ? err_set(e, ESRCH, "container \"%s\": container not running", s->id) : fd;
}

/* init: becomes a pidfd of it or what stands in the way; NULL: nobody wants one. */
static bool init_alive(const struct container *c, int *init)
{
	const struct oci_state *s = c->state;
	auto_arena struct arena a = { 0 };
	struct err ignored;
	uint64_t ticks;
	bool zombie;

	/* Only the kernel's word that there is no such process makes it dead, not our lack of descriptors. */
	if (init) {
		*init = open_init(s, &ignored);
		return *init != -ESRCH;
	}
	if (s->pid <= 0 || !same_boot(s, &a))
		return false;
	int r = proc_start_time(c->later, s->pid, &ticks, &zombie, &ignored);

	return r < 0 ? r != -ESRCH : ticks == s->start_time && !zombie;
}

enum container_status container_status_and_init(const struct container *c, int *init)
{
	const struct oci_state *s = c->state;
	auto_arena struct arena a = { 0 };
	struct cgroup_ref ref;
	struct err ignored;
	bool frozen = false;

	if (!s)
		return store_is_locked(c) ? CONTAINER_CREATING : CONTAINER_STOPPED;
	if (str_eq(s->status, "creating"))
		/* A creator that died left this behind; while it lives it holds the lock. */
		return c->creating ? CONTAINER_CREATING : CONTAINER_STOPPED;
	if (!init_alive(c, init))
		return CONTAINER_STOPPED;
	if (backend_of(s) == &backend_vm && store_marked_paused(c))
		return CONTAINER_PAUSED;
	cgroup_from_state(s, &a, &ref);
	if (cgroup_frozen(&ref, &frozen, &ignored) == 0 && frozen)
		return CONTAINER_PAUSED;
	return str_eq(s->status, "created") ? CONTAINER_CREATED : CONTAINER_RUNNING;
}

enum container_status container_status(const struct container *c)
{
	return container_status_and_init(c, NULL);
}

/* The name of a uid in the host's passwd file; "#UID" when it has none. No NSS: it would drag in the whole C library. */
static const char *owner_name(uid_t uid, struct arena *a)
{
	struct err ignored;
	char *text;

	if (uid == 0)
		return "root";
	if (file_read(AT_FDCWD, "/etc/passwd", 1u << 20, false, a, &text, &ignored) > 0) {
		for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
			char *colon = strchr(line, ':'), *id = colon ? strchr(colon + 1, ':') : NULL;

			if (!id || strtoul(id + 1, NULL, 10) != uid)
				continue;
			return arena_strndup(a, line, (size_t)(colon - line));
		}
	}
	return arena_printf(a, "#%u", uid);
}

static void fill_info(const struct container *c, struct arena *a, struct container_info *out)
{
	out->state = c->state;
	out->status = container_status(c);
	out->pid = out->status == CONTAINER_STOPPED ? 0 : c->state->pid;
	out->owner = owner_name(proc_euid(), a); /* whom the root belongs to, else it would not have been opened */
}

int container_info(const struct runtime *rt, const char *id, struct arena *a, struct container_info *out, struct err *e)
{
	struct fd_pile later = FD_PILE_FEW;
	auto_container struct container c = CONTAINER_CLOSED(&later);
	int r = store_open(rt, id, false, true, a, &c, e);

	if (r == 0)
		fill_info(&c, a, out);
	return r;
}

int container_list(const struct runtime *rt, struct arena *a, struct container_info **out, size_t *n, struct err *e)
{
	const char **ids;
	size_t found, have = 0;
	int r = store_list(rt, a, &ids, &found, e);

	if (r < 0)
		return r;
	struct container_info *v = arena_alloc(a, (found + 1) * sizeof(*v));

	for (size_t i = 0; i < found; i++) {
		struct err why;

		if (container_info(rt, ids[i], a, &v[have], &why) == 0)
			have++;
		else if (why.code != ENOENT) /* deleted meanwhile */
			log_warn("%s", why.text);
	}
	*out = v;
	*n = have;
	return 0;
}

/* Below the heading each line begins with a pid. */
static int ps_of_guest(const struct container *c, struct arena *a, pid_t **out, size_t *n, const char **table, struct err *e)
{
	struct control_packet *q = arena_new(a, struct control_packet);
	size_t lines = 0;

	q->type = CONTROL_PS;
	int r = vm_ask(c, q, e);

	if (r < 0)
		return r;
	*table = arena_strndup(a, (const char *)q->data, q->len);
	for (const char *p = *table; *p; p++)
		lines += *p == '\n';
	*out = arena_alloc(a, (lines + 1) * sizeof(**out));
	*n = 0;
	for (const char *p = strchr(*table, '\n'); p && p[1]; p = strchr(p + 1, '\n'))
		(*out)[(*n)++] = (pid_t)strtol(p + 1, NULL, 10);
	return 0;
}

int container_ps(const struct runtime *rt, const char *id, struct arena *a, pid_t **out, size_t *n, const char **table,
		 struct err *e)
{
	auto_container struct container c = CONTAINER_EMPTY;
	struct cgroup_ref ref;
	int r = store_open(rt, id, false, true, a, &c, e);

	*table = NULL;
	if (r < 0)
		return r;
	if (container_status(&c) == CONTAINER_STOPPED)
		return err_set(e, ESRCH, "container \"%s\": container not running", id);
	if (backend_of(c.state) == &backend_vm)
		return ps_of_guest(&c, a, out, n, table, e);
	cgroup_from_state(c.state, a, &ref);
	if (!ref.n_dirs) {
		*out = arena_new(a, pid_t);
		(*out)[0] = c.state->pid;
		*n = 1;
		return 0;
	}
	return cgroup_procs(&ref, a, out, n, e);
}
