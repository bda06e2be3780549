/* mounts: adding to, and removing from, a container that lives.
 *
 * The config that is planned is the stored one with the new mounts in place of its own; sources are opened here, as for create, and
 * carried out by a process that enters the container (init/mounter.c). mounts.json says what was added, and is written before that
 * process is told to leave: what it does not say cannot be removed again. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"
#include "container/backend.h"
#include "init/init.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

struct change {
	struct container *c;
	struct arena *arena;
	struct oci_live_mount_list known;
	const struct oci_spec *spec;
	struct mounter m;
	struct chan chan; /* to the process inside */
	int init, ns_dir; /* pidfd and /proc/PID of the container's init */
	pid_t pid;        /* the process inside, once it is there */
};

static int check_state(const struct container *c, struct err *e)
{
	enum container_status status = container_status(c);

	if (status == CONTAINER_PAUSED)
		return err_set(e, EBUSY, "container \"%s\" is paused: nobody can enter it", c->id);
	if (status == CONTAINER_RUNNING || status == CONTAINER_CREATED)
		return backend_check_os(c, "mounts", e);
	return err_set(e, ESRCH, "container \"%s\": container not running (it is %s)", c->id, container_status_name(status));
}

static bool has_user_ns(const struct oci_spec *spec)
{
	for (size_t i = 0; i < spec->linux_->namespaces.n; i++)
		if (spec->linux_->namespaces.v[i].type == OCI_NS_USER)
			return true;
	return false;
}

static int plan_mounts(const struct change *x, const struct oci_mount_list *list, struct rootfs_plan *out, struct err *e)
{
	struct rootfs_options o = { .no_pivot = x->c->state->no_pivot };
	struct oci_spec spec = *x->spec;
	struct host h;
	int r = host_probe(x->arena, HOST_ALL, &h, e);

	if (r < 0)
		return r;
	spec.mounts = *list;
	r = rootfs_plan_build(&spec, x->c->state->bundle, &o, &h, x->arena, out, e);
	if (r < 0)
		return r;
	return rootfs_check_live(out, e);
}

static int open_sources(const struct change *x, const struct rootfs_plan *p, struct rootfs_sources *out, struct err *e)
{
	bool user_ns = has_user_ns(x->spec);
	auto_fd int ns = user_ns ? openat(x->ns_dir, "ns/user", O_RDONLY | O_CLOEXEC) : -1;
	struct rootfs_userns u = { .fd = ns, .make = ns_make_userns };
	struct ns_view view = NS_VIEW_NONE;
	struct err left;

	if (user_ns && ns < 0)
		return err_errno(e, "user namespace of the container");
	if (user_ns && ns_view_enter(&view, e) < 0)
		return -e->code;
	int r = rootfs_open_live(p, &u, x->arena, out, e);

	if (ns_view_leave(&view, &left) >= 0)
		return r;
	*e = left;
	return -left.code;
}

/* Charged to the container, as everything of its mounts is. */
static int send_in(struct change *x, struct err *e)
{
	struct cgroup_ref *cgroup = arena_new(x->arena, struct cgroup_ref);
	auto_fd int pidfd = -1;

	cgroup_from_state(x->c->state, x->arena, cgroup);
	x->m.entry.cgroup = cgroup;
	return mounter_fork(&x->m, &x->chan, &x->pid, &pidfd, e);
}

/* Ends the conversation, and with it the process. */
static void let_go(struct change *x)
{
	struct err ignored;

	chan_close(&x->chan);
	if (x->pid > 0)
		(void)!proc_wait(x->pid, &ignored);
}

static int receive(struct change *x, struct oci_live_mount *out, struct err *e)
{
	struct mount_report report;
	int n = chan_expect(&x->chan, MSG_ROOTFS, &report, sizeof(report), NULL, e);

	if (n < 0)
		return n;
	if ((size_t)n <= sizeof(report.id))
		return err_set(e, EPROTO, "a mount without a place");
	out->id = report.id;
	out->path = arena_strndup(x->arena, report.path, (size_t)n - sizeof(report.id));
	return 0;
}

static int add_inside(struct change *x, const struct rootfs_plan *p, struct err *e)
{
	struct oci_live_mount_list all = { .n = x->known.n };

	all.v = arena_alloc(x->arena, (x->known.n + p->n_mounts + 1) * sizeof(*all.v));
	if (all.n)
		memcpy(all.v, x->known.v, all.n * sizeof(*all.v));
	int r = send_in(x, e);

	for (size_t i = 0; i < p->n_mounts && r == 0; i++) {
		all.v[all.n].destination = p->mounts[i].dest;
		r = receive(x, &all.v[all.n++], e);
	}
	if (r == 0)
		r = store_save_mounts(x->c, &all, e);
	return r < 0 ? r : chan_send(&x->chan, MSG_ACK, NULL, 0, -1, e);
}

static int add(struct change *x, const struct oci_mount_list *list, struct err *e)
{
	struct rootfs_sources sources = { .root = -1 };
	struct rootfs_plan plan;
	int r = plan_mounts(x, list, &plan, e);

	if (r < 0)
		return r;
	r = open_sources(x, &plan, &sources, e);
	if (r < 0)
		return r;
	x->m.plan = &plan;
	x->m.sources = &sources;
	r = add_inside(x, &plan, e);
	let_go(x);
	rootfs_close_sources(&plan, &sources);
	return r;
}

/* The last that was put there is the one on top. */
static int find(const struct change *x, const char *destination, const bool *chosen, size_t *out, struct err *e)
{
	const char *dest = path_clean(x->arena, destination);

	for (size_t i = x->known.n; i-- > 0;)
		if (!chosen[i] && str_eq(x->known.v[i].destination, dest)) {
			*out = i;
			return 0;
		}
	return err_set(e, EINVAL, "container \"%s\" has no mount at %.200s that `mounts add` put there", x->c->id, dest);
}

static int remove_inside(struct change *x, const size_t *order, size_t n, struct err *e)
{
	bool *gone = arena_alloc(x->arena, x->known.n + 1);
	struct oci_live_mount_list left = { .v = arena_alloc(x->arena, (x->known.n + 1) * sizeof(*left.v)) };
	struct err why;
	int r = send_in(x, e), saved;

	for (size_t i = 0; i < n && r == 0; i++) {
		r = chan_expect(&x->chan, MSG_ROOTFS, NULL, 0, NULL, e);
		gone[order[i]] = r == 0;
	}
	for (size_t i = 0; i < x->known.n; i++)
		if (!gone[i])
			left.v[left.n++] = x->known.v[i];
	saved = store_save_mounts(x->c, &left, &why);
	if (r < 0 || saved == 0)
		return r;
	*e = why;
	return saved;
}

/* In reverse: what was added later may be mounted on what was added before. */
static int take_away(struct change *x, const struct oci_mount_list *list, struct err *e)
{
	struct live_mount *mounts = arena_alloc(x->arena, (list->n + 1) * sizeof(*mounts));
	size_t *order = arena_alloc(x->arena, (list->n + 1) * sizeof(*order));
	bool *chosen = arena_alloc(x->arena, x->known.n + 1);

	for (size_t i = list->n; i-- > 0;) {
		size_t k = list->n - 1 - i;

		if (find(x, list->v[i].destination, chosen, &order[k], e) < 0)
			return err_in(e, "mounts[%zu]", i);
		chosen[order[k]] = true;
		mounts[k] = (struct live_mount){ x->known.v[order[k]].path, x->known.v[order[k]].id };
	}
	x->m.remove = mounts;
	x->m.n_remove = list->n;
	int r = remove_inside(x, order, list->n, e);

	let_go(x);
	return r;
}

static int open_all(struct change *x, struct err *e)
{
	int r = check_state(x->c, e);

	if (r == 0)
		r = store_load_config(x->c, x->arena, &x->spec, e);
	if (r == 0)
		r = store_load_mounts(x->c, x->arena, &x->known, e);
	if (r < 0)
		return r;
	x->init = open_init(x->c->state, e);
	x->ns_dir = x->init < 0 ? -1 : open_proc_dir(x->c->state, e);
	if (x->ns_dir < 0)
		return x->init < 0 ? x->init : x->ns_dir;
	x->m.entry.pidfd = x->init;
	x->m.entry.proc_dir = x->ns_dir;
	x->m.proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (x->m.proc < 0)
		return err_errno(e, "/proc");
	if (x->c->state->no_pivot && (x->m.entry.root_fd = openat(x->ns_dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		return err_errno(e, "root of container \"%s\"", x->c->id);
	return joiner_namespaces(x->ns_dir, ns_created(x->spec), &x->m.entry.ns_flags, e);
}

static int change(const struct runtime *rt, const char *id, const struct oci_mount_list *list,
		  int (*act)(struct change *x, const struct oci_mount_list *list, struct err *e), struct err *e)
{
	auto_arena struct arena a = { 0 };
	auto_container struct container c = CONTAINER_EMPTY;
	struct change x = { .c = &c,
			    .arena = &a,
			    .init = -1,
			    .ns_dir = -1,
			    .m = { .entry = { .pidfd = -1, .root_fd = -1 }, .proc = -1 },
			    .chan = { -1 } };
	int r = store_open(rt, id, true, true, &a, &c, e);

	if (r == 0)
		r = open_all(&x, e);
	if (r == 0)
		r = act(&x, list, e);
	close_fd(&x.init);
	close_fd(&x.ns_dir);
	close_fd(&x.m.proc);
	close_fd(&x.m.entry.root_fd);
	return r;
}

int container_mounts_add(const struct runtime *rt, const char *id, const struct oci_mount_list *list, struct err *e)
{
	return change(rt, id, list, add, e);
}

int container_mounts_remove(const struct runtime *rt, const char *id, const struct oci_mount_list *list, struct err *e)
{
	return change(rt, id, list, take_away, e);
}
