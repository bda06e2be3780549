/* Makes a container's cgroup, or takes one that is unused.
 *
 * The leaf is made first, and its parents only if that fails: in the usual case it is one call per hierarchy. Parents that we
 * make are marked with an extended attribute, so that cgroup_remove() can tell them from those of the machine; another container
 * may remove one just before our leaf is in it, hence the bounded retries. A leaf that exists and is unused is taken as it is, with
 * what an administrator may have set there; but one that had a container, which bears a mark for that, is made anew: its limits
 * were that container's, and who deletes that one shall find that the directory is not the same (cgroup_own.c). Once the leaf
 * exists its parents stay, and controllers are enabled on the way down to it - read first, and only what is missing written,
 * because each such write stops the world.
 *
 * Until its first process is in it, a cgroup looks unused, and two creates with one path would both take it. So the first of its
 * directories is claimed by a lock, which stands for all of them; who comes second fails, and has touched nothing. Until then a
 * new one has a mode of its own: only root can open it, since whoever can open it can lock it, and whoever gets the lock sees that
 * nobody else had it before, no matter who made the directory.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "cgroups/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define UNDO_MS   5000
#define RETRIES   100   /* removals of a parent that may get in between */
#define UNCLAIMED 01700 /* mode of a directory until it is claimed */

/* The first where we may, the second where we are not root. */
static const char *const parent_marks[] = { "trusted.drupe.parent", "user.drupe.parent" };
static const char *const leaf_marks[] = { "trusted.drupe.leaf", "user.drupe.leaf" };

/* What cgroup_create() has done so far. */
struct maker {
	const struct cgroup_plan *plan;
	struct arena *arena;
	const char **made; /* in order; undone backwards */
	size_t n_made, room;
	bool *skip;                       /* per directory of the plan */
	const struct cgroup_dir *claimed; /* by which directory, NULL: none yet; and the lock on it */
	int claim;
};

static void note_made(struct maker *m, const char *path)
{
	if (m->n_made == m->room) {
		size_t room = m->room ? 2 * m->room : 32;
		const char **v = arena_alloc(m->arena, room * sizeof(*v));

		if (m->n_made)
			memcpy(v, m->made, m->n_made * sizeof(*v));
		m->made = v;
		m->room = room;
	}
	m->made[m->n_made++] = path;
}

static void mark(const char *path, const char *const marks[2])
{
	for (size_t i = 0; i < 2; i++)
		if (setxattr(path, marks[i], "1", 1, 0) == 0)
			return;
}

static bool is_marked(const char *path, const char *const marks[2])
{
	char value[2];

	for (size_t i = 0; i < 2; i++)
		if (getxattr(path, marks[i], value, sizeof(value)) > 0)
			return true;
	return false;
}

void cg_remove_parents(const char *mount, const char *path)
{
	auto_arena struct arena a = { 0 };
	char *dir = arena_strdup(&a, path);
	size_t top = strlen(mount);

	for (;;) {
		char *slash = strrchr(dir, '/');

		if (!slash || (size_t)(slash - dir) <= top)
			return;
		*slash = '\0';
		if (!is_marked(dir, parent_marks) || rmdir(dir) < 0)
			return;
	}
}

/* ---- directories ---- */

/* Makes the parents of path below the mount. EEXIST is what we want; ENOENT means that one went away again: the caller retries. */
static int make_parents(struct maker *m, const struct cgroup_dir *d)
{
	char *path = arena_strdup(m->arena, d->path);

	for (char *slash = strchr(path + strlen(d->mount) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) == 0) {
			mark(path, parent_marks);
			note_made(m, arena_strdup(m->arena, path));
		} else if (errno != EEXIST) {
			return -1;
		}
		*slash = '/';
	}
	return 0;
}

static int check_unused(const struct cgroup_dir *d, struct err *e)
{
	struct cgroup_ref one = { .dirs = d, .n_dirs = 1 };
	bool populated, frozen;

	if (cg_is_populated(d, &populated, e) < 0)
		return -e->code;
	if (populated)
		return err_set(e, EBUSY, "cgroup %s exists and has processes", d->path);

	if (cgroup_frozen(&one, &frozen, e) < 0)
		return -e->code;
	return frozen ? err_set(e, EBUSY, "cgroup %s exists and is frozen", d->path) : 0;
}

static bool is_forbidden(int code)
{
	return code == EACCES || code == EPERM || code == EROFS;
}

/* What systemd has just made has no mark, and only the holder is in it. 1: it is gone, the caller makes it anew. */
static int take_existing(struct maker *m, const struct cgroup_dir *d, struct err *e)
{
	bool marked = is_marked(d->path, leaf_marks);
	int left = 0;

	if ((marked || !m->plan->unit) && check_unused(d, e) < 0)
		return -e->code;
	if (marked)
		left = cg_remove_dir(d->path, e);
	if (left < 0)
		return left;
	if (left)
		return err_set(e, EBUSY, "cgroup %s exists and cannot be made anew: something came into it", d->path);
	if (marked)
		return 1;
	if (!m->plan->unit)
		mark(d->path, leaf_marks);
	return 0;
}

static bool to_be_claimed(const struct maker *m, const struct cgroup_dir *d)
{
	return !m->claimed || m->claimed == d;
}

/* 1: it was another's and is gone, the caller tries again. */
static int take_dir(struct maker *m, const struct cgroup_dir *d, bool made, struct err *e)
{
	if (to_be_claimed(m, d)) {
		mode_t mode = 0;
		int r = cg_claim(d->path, &m->claim, &mode, e);

		/* Busy: another's claim. Otherwise we were refused by what we have just made. */
		if (made && r < 0 && r != -EBUSY)
			(void)rmdir(d->path);
		if (r != 0)
			return r;
		m->claimed = d;
		made = (mode & 07777) == UNCLAIMED;
	}
	if (!made)
		return take_existing(m, d, e);
	note_made(m, d->path);
	mark(d->path, leaf_marks);
	return m->claimed == d && fchmod(m->claim, 0755) < 0 ? err_errno(e, "cgroup %s", d->path) : 0;
}

static int make_dir(struct maker *m, size_t i, struct err *e)
{
	const struct cgroup_dir *d = &m->plan->ref.dirs[i];

	for (int try = 0; try < RETRIES; try++) {
		bool made = mkdir(d->path, to_be_claimed(m, d) ? UNCLAIMED : 0755) == 0;

		if (made || errno == EEXIST) {
			int r = take_dir(m, d, made, e);

			if (r <= 0)
				return r;
		} else if (errno != ENOENT || (make_parents(m, d) < 0 && errno != ENOENT)) {
			break;
		}
	}
	if (m->plan->ref.optional && is_forbidden(errno)) {
		m->skip[i] = true;
		log_debug("cgroup %s: %s, going on without", d->path, strerror(errno));
		return 0;
	}
	return err_errno(e, "cgroup %s", d->path);
}

/* Leaves that existed before, and their limits, stay as they are. */
static void undo(struct maker *m)
{
	while (m->n_made)
		(void)rmdir(m->made[--m->n_made]);
}

/* ---- cpuset: empty at birth in v1, and nobody can join before it is filled ---- */

/* Opens a cpuset file, also of a hierarchy mounted without prefix. */
static int open_cpuset(struct arena *a, const char *dir, const char *file, int flags)
{
	int fd = openat(AT_FDCWD, arena_printf(a, "%s/cpuset.%s", dir, file), flags | O_CLOEXEC);

	return fd < 0 && errno == ENOENT ? openat(AT_FDCWD, cg_file(a, dir, file), flags | O_CLOEXEC) : fd;
}

/* The text of a cpuset file without newline; NULL with errno. */
static char *read_cpuset(struct arena *a, const char *dir, const char *file)
{
	auto_fd int fd = open_cpuset(a, dir, file, O_RDONLY);
	char *text = arena_alloc(a, 4097);

	if (fd < 0 || read(fd, text, 4096) < 0)
		return NULL;
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static int write_cpuset(struct arena *a, const char *dir, const char *file, const char *text)
{
	auto_fd int fd = open_cpuset(a, dir, file, O_WRONLY);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -1 : 0;
}

/* Finds the nearest ancestor that has a value and hands it down. */
static int fill_cpuset(struct arena *a, const struct cgroup_dir *d, const char *file, struct err *e)
{
	char *path = arena_strdup(a, d->path), *value;
	size_t top = strlen(d->mount), full = strlen(path);

	for (;;) {
		value = read_cpuset(a, path, file);
		if (!value)
			return err_errno(e, "%s/cpuset.%s", path, file);
		char *slash = strrchr(path, '/');

		if (*value || (size_t)(slash - path) < top)
			break;
		*slash = '\0';
	}
	while (strlen(path) < full) {
		path[strlen(path)] = '/';
		if (write_cpuset(a, path, file, value) < 0)
			return err_errno(e, "%s/cpuset.%s", path, file);
	}
	return 0;
}

/* ---- controllers of cgroup2 ---- */

static const char *needed_by(const struct cgroup_plan *p, const char *controller)
{
	size_t len = strlen(controller);

	for (size_t i = 0; i < p->n_writes; i++) {
		const struct cgroup_write *w = &p->writes[i];

		if (w->dir->v2 && strncmp(w->file, controller, len) == 0 && w->file[len] == '.')
			return w->where;
	}
	return NULL;
}

static int explain_controller(const char *dir, const char *controller, const char *where, int code, struct err *e)
{
	const char *why = strerror(code);

	if (code == EBUSY)
		why = "it has processes itself, and in cgroup v2 only leaves may have them";
	else if (code == ENOENT)
		why = "it is not available there";
	else if (code == EOPNOTSUPP)
		why = "it is a threaded cgroup";
	return err_set(e, code, "%s: cannot enable the controller \"%s\" in cgroup %s: %s", where, controller, dir, why);
}

/* One by one: a wish may fail, a need may not. */
static int enable_singly(const struct cgroup_plan *p, const char *dir, const char *missing, struct arena *a, struct err *e)
{
	const char *file = cg_file(a, dir, "cgroup.subtree_control");
	char *list = arena_strdup(a, missing), *save;
	struct err why;

	for (char *word = strtok_r(list, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (file_write_pseudo(AT_FDCWD, file, word, &why) == 0)
			continue;
		const char *where = needed_by(p, word + 1);

		if (where)
			return explain_controller(dir, word + 1, where, why.code, e);
	}
	return 0;
}

static int enable_in(const struct cgroup_plan *p, const char *dir, struct arena *a, struct err *e)
{
	const char *file = cg_file(a, dir, "cgroup.subtree_control");
	struct strbuf missing = STRBUF(a);
	char *enabled, *wanted = arena_strdup(a, p->controllers), *save;
	struct err why;

	if (file_read_value(AT_FDCWD, file, 1023, a, &enabled, e) < 0)
		return -e->code;
	enabled[strcspn(enabled, "\n")] = '\0';
	for (char *word = strtok_r(wanted, " ", &save); word; word = strtok_r(NULL, " ", &save))
		if (!cg_list_has(enabled, word))
			strbuf_printf(&missing, "%s+%s", missing.len ? " " : "", word);
	if (!missing.len || file_write_pseudo(AT_FDCWD, file, missing.text, &why) == 0)
		return 0;
	return enable_singly(p, dir, missing.text, a, e);
}

int cg_enable_controllers(const struct cgroup_plan *p, const struct cgroup_dir *d, struct arena *a, struct err *e)
{
	char *path = arena_strdup(a, d->path);
	char *end = path + strlen(d->mount);

	if (!*p->controllers)
		return 0;
	while (end) {
		*end = '\0';
		if (enable_in(p, path, a, e) < 0)
			return -e->code;
		*end = '/';
		end = strchr(end + 1, '/');
	}
	return 0;
}

/* A leaf below a threaded cgroup cannot have processes of its own. */
static int check_type(const struct cgroup_dir *d, struct arena *a, struct err *e)
{
	struct err ignored;
	char *type;

	if (file_read_value(AT_FDCWD, cg_file(a, d->path, "cgroup.type"), 63, a, &type, &ignored) < 0)
		return 0; /* before Linux 4.14 there was but one */
	if (str_starts(type, "domain invalid") || str_starts(type, "threaded"))
		return err_set(e, ENOTSUP, "cgroup %s is \"%.*s\": its parent is threaded, no container can be in it", d->path,
			       (int)strcspn(type, "\n"), type);
	return 0;
}

/* ---- all together ---- */

static int prepare_dir(struct maker *m, size_t i, struct err *e)
{
	const struct cgroup_dir *d = &m->plan->ref.dirs[i];

	if (make_dir(m, i, e) < 0)
		return -e->code;
	if (m->skip[i])
		return 0;
	if (!d->v2 && cg_list_has(d->controllers, "cpuset"))
		return fill_cpuset(m->arena, d, "cpus", e) < 0 ? -e->code : fill_cpuset(m->arena, d, "mems", e);
	if (!d->v2)
		return 0;
	if (cg_enable_controllers(m->plan, d, m->arena, e) < 0)
		return -e->code;
	return check_type(d, m->arena, e);
}

/* Whoever is not root may own it already, and cannot give it to another. */
static int give_away(const struct cgroup_plan *p, const bool *skip, struct err *e)
{
	for (size_t i = 0; p->delegated && i < p->ref.n_dirs; i++) {
		if (!p->ref.dirs[i].v2 || skip[i] || cg_give_away(&p->ref.dirs[i], p->owner, e) == 0)
			continue;
		if (!p->devices_may_be_refused || !is_forbidden(e->code))
			return -e->code;
		log_debug("%s", e->text);
	}
	return 0;
}

int cgroup_create(const struct cgroup_plan *p, int *claim, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct maker m = { .plan = p, .arena = &a, .skip = arena_alloc(&a, p->ref.n_dirs + 1), .claim = -1 };
	struct err why;
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->ref.n_dirs; i++)
		r = prepare_dir(&m, i, e);
	if (r == 0)
		r = cg_write_all(p, m.skip, e);
	if (r == 0)
		r = give_away(p, m.skip, e);
	if (r < 0)
		undo(&m);
	if (r < 0)
		close_fd(&m.claim);
	else
		*claim = m.claim;
	if (r < 0 && p->unit && cgroup_remove(&p->ref, UNDO_MS, &why) < 0)
		log_warn("clean up: %s", why.text);
	return r;
}
