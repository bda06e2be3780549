/* Where a container's cgroup is, and what will be written to it.
 *
 * A pure function of spec and host facts. The same path is taken in every hierarchy that is mounted: the v1 ones (the kernel wants
 * a process to be somewhere in each, and callers look it up in any), and cgroup2. Controllers are looked for in v1 first, then on
 * cgroup2, so "hybrid" is the general case and v1 and v2 are hybrids with one side empty.
 */
#include "base/path.h"
#include "base/str.h"
#include "cgroups/cgroup_systemd.h"

#include <errno.h>
#include <string.h>

/* Worth having without a limit, too: events and stats read their files. */
#define WISHED_CONTROLLERS "cpu io memory pids"

#define DEVICES "linux.resources.devices"

void cg_add_write(struct cg_builder *b, const struct cgroup_write *w)
{
	if (b->n == b->room) {
		size_t room = b->room ? 2 * b->room : 32;
		struct cgroup_write *v = arena_alloc(b->arena, room * sizeof(*v));

		if (b->n)
			memcpy(v, b->writes, b->n * sizeof(*v));
		b->writes = v;
		b->room = room;
	}
	b->writes[b->n++] = *w;
}

bool cg_list_has(const char *list, const char *word)
{
	while (list && *list && *word) {
		size_t n = 0;

		while (list[n] == word[n] && word[n])
			n++;
		if (!word[n] && (!list[n] || list[n] == ',' || list[n] == ' '))
			return true;
		while (list[n] && list[n] != ',' && list[n] != ' ')
			n++;
		list += n;
		while (*list == ',' || *list == ' ')
			list++;
	}
	return false;
}

const struct cgroup_dir *cg_find_v1(const struct cg_builder *b, const char *controller)
{
	for (size_t i = 0; i < b->n_dirs; i++)
		if (!b->dirs[i].v2 && cg_list_has(b->dirs[i].controllers, controller))
			return &b->dirs[i];
	return NULL;
}

const struct cgroup_dir *cg_find_v2(const struct cg_builder *b)
{
	for (size_t i = 0; i < b->n_dirs; i++)
		if (b->dirs[i].v2)
			return &b->dirs[i];
	return NULL;
}

/* ---- place ---- */

static bool climbs_out(const char *path)
{
	int depth = 0;

	while (*path) {
		size_t len = strcspn(path, "/");

		if (len == 2 && strncmp(path, "..", 2) == 0)
			depth--;
		else if (len && !(len == 1 && *path == '.'))
			depth++;
		if (depth < 0)
			return true;
		path += len + (path[len] == '/');
	}
	return false;
}

/* Who is not root may make cgroups beside its own at best, which is in the part delegated to it. */
static const char *default_path(const char *id, const struct host *h, struct arena *a)
{
	const char *own = h->cgroup_mode == CGROUP_MODE_V2 && h->n_hier ? h->hier[0].own : "/";
	const char *slash = strrchr(own, '/');

	if (h->euid == 0 || !slash || climbs_out(own))
		return arena_printf(a, "/drupe-%s", id);
	return arena_printf(a, "%.*s/drupe-%s", (int)(slash - own), own, id);
}

static int choose_path(const struct oci_spec *spec, const char *id, const struct host *h, struct arena *a, const char **out,
		       struct err *e)
{
	const char *asked = spec->linux_->cgroups_path;

	if (!asked || !*asked) {
		*out = default_path(id, h, a);
		return 0;
	}
	if (climbs_out(asked))
		return err_set(e, EINVAL, "linux.cgroupsPath: \"%.200s\" climbs above the root", asked);
	const char *clean = path_clean(a, asked);

	if (str_eq(clean, "/"))
		return err_set(e, EINVAL, "linux.cgroupsPath: \"%.200s\" is the root of all cgroups", asked);
	*out = clean;
	return 0;
}

static void make_dirs(struct cg_builder *b, const char *path)
{
	const struct host *h = b->host;
	struct cgroup_dir *dirs = arena_alloc(b->arena, (h->n_hier + 1) * sizeof(*dirs));

	b->dirs = dirs;
	/* That of cgroup2 first: what is claimed is what the first process is born by. */
	for (int v2 = 1; v2 >= 0; v2--)
		for (const struct host_hierarchy *hier = h->hier; hier < h->hier + h->n_hier; hier++)
			if (hier->v2 == (v2 == 1))
				dirs[b->n_dirs++] =
					(struct cgroup_dir){ hier->controllers, hier->mount,
							     arena_printf(b->arena, "%s%s", hier->mount, path), hier->v2 };
}

/* ---- what is needed of it ---- */

/* Adds those of the writes from number `first` on, known by the files' names. */
static void add_needed(const struct cg_builder *b, size_t first, struct strbuf *list)
{
	for (size_t i = first; i < b->n; i++) {
		const struct cgroup_write *w = &b->writes[i];
		const char *name = arena_strndup(b->arena, w->file, strcspn(w->file, "."));

		if (w->dir->v2 && !cg_list_has(strbuf_str(list), name))
			strbuf_printf(list, "%s%s", list->len ? " " : "", name);
	}
}

const char *cg_needed_controllers(const struct cg_builder *b, size_t first)
{
	struct strbuf list = STRBUF(b->arena);

	add_needed(b, first, &list);
	return strbuf_str(&list);
}

/* The limits' controllers, and those that are worth having. */
static const char *choose_controllers(const struct cg_builder *b, size_t first)
{
	struct strbuf list = STRBUF(b->arena);
	const char *rest = WISHED_CONTROLLERS;

	while (*rest) {
		size_t len = strcspn(rest, " ");
		const char *name = arena_strndup(b->arena, rest, len);

		if (cg_list_has(b->host->v2_controllers, name))
			strbuf_printf(&list, "%s%s", list.len ? " " : "", name);
		rest += len + (rest[len] == ' ');
	}
	add_needed(b, first, &list);
	return strbuf_str(&list);
}

/* The defaults allow it for all, what comes after them may not. */
static bool forbids_making(const struct cg_dev_rules *rules)
{
	bool some = false;

	for (size_t i = 1; i < rules->n; i++)
		some |= !rules->v[i].allow && (rules->v[i].access & CG_DEV_MKNOD);
	return some;
}

/* Device rules of v1 come first of all writes, and before any process gets in; those of v2: cgroup_guard(). */
static int plan_devices(struct cg_builder *b, struct cgroup_plan *p, struct err *e)
{
	const struct oci_device_rule_list *list = &b->res->devices;
	const struct cgroup_dir *dir = cg_find_v1(b, "devices");
	bool privileged = b->host->euid == 0 && b->host->initial_userns;
	struct cg_dev_rules rules;

	if (cg_device_rules(list, b->arena, &rules, e) < 0)
		return -e->code;
	p->devices_may_be_refused = !privileged;
	p->guard_first = forbids_making(&rules);
	if (dir)
		return cg_plan_devices_v1(b, dir, &rules, !privileged, e);
	if (rules.n && cg_find_v2(b))
		p->device_prog = cg_device_program(&rules, b->arena, &p->device_prog_len);
	else if (rules.n && list->n && privileged)
		return err_set(e, ENOTSUP, DEVICES ": neither the cgroup v1 controller \"devices\" nor cgroup v2 is available");
	return 0;
}

static int plan_with_cgroup(struct cg_builder *b, const char *path, struct cgroup_plan *p, struct err *e)
{
	make_dirs(b, path);
	if (plan_devices(b, p, e) < 0)
		return -e->code;
	size_t first_limit = b->n;

	if (cg_plan_resources(b, e) < 0 || cg_plan_unified(b, e) < 0)
		return -e->code;
	p->controllers = choose_controllers(b, first_limit);
	p->ref.path = b->n_dirs ? path : "";
	p->ref.dirs = b->dirs;
	p->ref.n_dirs = b->n_dirs;
	p->ref.optional = b->n == first_limit;
	p->writes = b->writes;
	p->n_writes = b->n;
	return 0;
}

/* The kernel counts a process against pids.max when it is born there, not when it is moved there. */
static bool allows_no_birth(const struct cgroup_plan *p)
{
	for (size_t i = 0; i < p->n_writes; i++)
		if (p->writes[i].dir->v2 && str_eq(p->writes[i].file, "pids.max") && str_eq(p->writes[i].text, "0"))
			return true;
	return false;
}

int cgroup_plan_build(const struct oci_spec *spec, const char *id, const struct cgroup_options *o, const struct host *h,
		      struct arena *a, struct cgroup_plan *out, struct err *e)
{
	struct cgroup_plan p = { .controllers = "", .ref = { .manager = o->manager, .mode = h->cgroup_mode, .path = "" } };
	struct cg_builder b = { .res = spec->linux_->resources, .host = h, .arena = a };
	struct host no_cgroups = { .v2_controllers = "" };
	const char *path = "";

	struct cgroup_unit *unit = o->manager == CGROUP_MANAGER_SYSTEMD ? arena_new(a, struct cgroup_unit) : NULL;

	if ((unit ? cg_plan_unit(spec, id, h, a, unit, &path, e) : choose_path(spec, id, h, a, &path, e)) < 0)
		return -e->code;
	if (o->manager == CGROUP_MANAGER_DISABLED) {
		b.host = &no_cgroups;
		p.ref.mode = CGROUP_MODE_NONE;
	}
	if (plan_with_cgroup(&b, path, &p, e) < 0 || (unit && cg_plan_properties(spec, id, h, a, unit, e) < 0))
		return -e->code;
	p.unit = unit;
	p.ref.scope = unit ? unit->name : NULL;
	p.ref.optional &= !unit;
	p.no_birth = allows_no_birth(&p);
	p.delegated = p.ref.n_dirs && cg_plan_owner(spec, h, a, &p.owner);
	p.ref.optional &= o->ignore_permission || h->euid != 0 || !h->initial_userns;
	*out = p;
	return 0;
}

/* ---- print ---- */

static const char *mode_name(enum cgroup_mode m)
{
	static const char *const names[] = {
		[CGROUP_MODE_NONE] = "none", [CGROUP_MODE_V1] = "v1", [CGROUP_MODE_HYBRID] = "hybrid", [CGROUP_MODE_V2] = "v2"
	};

	return names[m];
}

static void print_write(const struct cgroup_write *w, struct strbuf *out)
{
	strbuf_printf(out, "write \"%s\" to %s/%s", w->text, w->dir->path, w->file);
	if (w->alt_file)
		strbuf_printf(out, " or \"%s\" to %s", w->alt_text, w->alt_file);
	strbuf_printf(out, " (%s)%s%s\n", w->where, w->may_be_missing ? ", if there" : "", w->may_be_refused ? ", if allowed" : "");
}

static void print_unit(const struct cgroup_unit *u, struct strbuf *out)
{
	strbuf_printf(out, "systemd unit %s of the %s manager\n", u->name, u->user ? "user's" : "system");
	for (size_t i = 0; i < u->n; i++)
		strbuf_printf(out, "property %s: %s %s\n", u->properties[i].name, u->properties[i].type, u->properties[i].words);
}

void cgroup_plan_print(const struct cgroup_plan *p, struct strbuf *out)
{
	if (!p->ref.n_dirs) {
		strbuf_puts(out, "none\n");
		return;
	}
	strbuf_printf(out, "%s, %s%s\n", mode_name(p->ref.mode), p->ref.path, p->ref.optional ? ", if allowed" : "");
	if (p->unit)
		print_unit(p->unit, out);
	for (size_t i = 0; i < p->ref.n_dirs; i++) {
		const struct cgroup_dir *d = &p->ref.dirs[i];

		strbuf_printf(out, "directory %s (%s)\n", d->path, d->v2 ? "cgroup2" : d->controllers);
	}
	if (p->delegated)
		strbuf_printf(out, "owner %u\n", p->owner);
	if (*p->controllers)
		strbuf_printf(out, "enable %s\n", p->controllers);
	if (p->device_prog)
		strbuf_printf(out, "device filter of %zu eBPF instructions%s\n", p->device_prog_len,
			      p->devices_may_be_refused ? ", if allowed" : "");
	for (size_t i = 0; i < p->n_writes; i++)
		print_write(&p->writes[i], out);
}
