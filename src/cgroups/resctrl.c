/* Theory of operation: a class of resctrl is a directory below its mount, which the kernel fills with files at mkdir. Classes are
 * few (often 16) and shared, so one that a config names stays when the container goes, and one that exists is never changed: it
 * must allow what the config says. Only the class by the container's own id, made for it, goes with it.
 *
 * Making a class and giving it its schemata are two steps; as the kernel's document asks, both are done under a lock of the mount,
 * lest another runtime, which wants the same class, sees the first without the second. What the kernel has against a request is
 * told by info/last_cmd_status better than by the error number.
 */
#include "cgroups/resctrl.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/retry.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define LOCK_TIMEOUT_MS 10000 /* others hold it for moments */
#define JOIN_ROUNDS     100
#define FILE_MAX        65536 /* bytes of a schemata file */

/* ---- plan ---- */

static size_t add_line(struct resctrl_line *lines, size_t n, const char *text, const char *where)
{
	lines[n] = (struct resctrl_line){ text, where };
	return n + 1;
}

static void plan_lines(const struct oci_intel_rdt *t, struct arena *a, struct resctrl_plan *out)
{
	struct resctrl_line *lines = arena_alloc(a, (t->schemata.n + 2) * sizeof(*lines));
	size_t n = 0;

	/* A bandwidth in the place of the cache's schema gives way to that in its own (config-linux.md). */
	if (t->l3_cache_schema && !(t->mem_bw_schema && str_starts(t->l3_cache_schema, "MB:")))
		n = add_line(lines, n, t->l3_cache_schema, "linux.intelRdt.l3CacheSchema");
	if (t->mem_bw_schema)
		n = add_line(lines, n, t->mem_bw_schema, "linux.intelRdt.memBwSchema");
	for (size_t i = 0; i < t->schemata.n; i++)
		n = add_line(lines, n, t->schemata.v[i], arena_printf(a, "linux.intelRdt.schemata[%zu]", i));
	out->lines = lines;
	out->n_lines = n;
}

/* Directories that the kernel itself has at the root, which are no classes. */
static bool is_reserved(const char *name)
{
	return str_eq(name, "info") || str_eq(name, "mon_groups") || str_eq(name, "mon_data");
}

int resctrl_plan_build(const struct oci_spec *spec, const char *id, const struct host *h, struct arena *a, struct resctrl_plan *out,
		       struct err *e)
{
	const struct oci_intel_rdt *t = spec->linux_->intel_rdt;

	*out = (struct resctrl_plan){ 0 };
	if (!t)
		return 0;
	if (!h->resctrl)
		return err_set(e, ENOTSUP, "linux.intelRdt: no resctrl file system is mounted");
	const char *name = t->clos_id ? t->clos_id : id;

	out->where = t->clos_id ? "linux.intelRdt.closID" : "linux.intelRdt";
	if (is_reserved(name))
		return err_set(e, EINVAL, "%s: \"%s\" is a directory of resctrl's own, not a class", out->where, name);
	plan_lines(t, a, out);
	out->ref.mount = h->resctrl;
	out->ref.group = str_eq(name, "/") ? h->resctrl : arena_printf(a, "%s/%s", h->resctrl, name);
	if (t->enable_monitoring)
		out->ref.mon_group = arena_printf(a, "%s/mon_groups/%s", out->ref.group, id);
	out->own_class = !t->clos_id;
	out->must_exist = out->ref.group == h->resctrl || (t->clos_id && !out->n_lines);
	return 0;
}

void resctrl_plan_print(const struct resctrl_plan *p, struct strbuf *out)
{
	if (!p->ref.mount)
		return;
	strbuf_printf(out, "class: %s, %s\n", p->ref.group,
		      p->must_exist  ? "which must exist"
		      : p->own_class ? "removed with the container"
				     : "made if it does not exist");
	for (size_t i = 0; i < p->n_lines; i++)
		strbuf_printf(out, "schemata: %s (%s)\n", p->lines[i].text, p->lines[i].where);
	if (p->ref.mon_group)
		strbuf_printf(out, "monitoring group: %s\n", p->ref.mon_group);
}

/* ---- acting ---- */

/* A text of several lines as one of a message. */
static char *one_line(char *text)
{
	size_t len = strlen(text);

	while (len && text[len - 1] == '\n')
		text[--len] = '\0';
	for (char *p = text; *p; p++)
		if (*p == '\n')
			*p = ' ';
	return text + strspn(text, " ");
}

/* Adds what the kernel has to say about the request it just refused. */
static int add_kernel_reason(const char *mount, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct err ignored;
	size_t len = strlen(e->text);
	char *text;
	ssize_t n = file_read_pseudo(AT_FDCWD, arena_printf(&a, "%s/info/last_cmd_status", mount), 4096, &a, &text, &ignored);

	const char *reason = n > 0 ? one_line(text) : "";

	if (*reason && !str_eq(reason, "ok"))
		snprintf(e->text + len, sizeof(e->text) - len, " (%s)", reason);
	return -e->code;
}

/* Descriptor of the locked mount. */
static int lock_tree(const char *mount, struct err *e)
{
	const struct timespec pause = { .tv_nsec = 10 * 1000000L };
	auto_fd int fd = openat(AT_FDCWD, mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, "linux.intelRdt: %s", mount);
	for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += 10) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_errno(e, "linux.intelRdt: lock %s", mount);
		if (waited >= LOCK_TIMEOUT_MS)
			return err_set(e, ETIMEDOUT, "linux.intelRdt: another process does not give up its lock of %s", mount);
		nanosleep(&pause, NULL);
	}
	return take_fd(&fd);
}

/* 1: there is a directory, 0: there is nothing. */
static int is_there(const char *path, const char *where, struct err *e)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "%s: %s", where, path);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "%s: %s is not a class of resctrl", where, path);
	return 1;
}

static int missing_class(const struct resctrl_plan *p, struct err *e)
{
	return err_set(e, ENOENT, "%s: there is no class %s, and nothing tells what it is to allow", p->where, p->ref.group);
}

static int monitored_already(const struct resctrl_plan *p, struct err *e)
{
	return err_set(e, EEXIST, "linux.intelRdt.enableMonitoring: there is a monitoring group %s already", p->ref.mon_group);
}

int resctrl_claim(const struct resctrl_plan *p, struct resctrl_ref *out, struct err *e)
{
	struct resctrl_ref ref = p->ref;
	int group, monitor = 0;

	if (!ref.mount) {
		*out = ref;
		return 0;
	}
	group = is_there(ref.group, p->where, e);
	if (group == 0 && p->must_exist)
		return missing_class(p, e);
	if (group == 1 && ref.mon_group)
		monitor = is_there(ref.mon_group, "linux.intelRdt.enableMonitoring", e);
	if (group < 0 || monitor < 0)
		return -e->code;
	if (monitor)
		return monitored_already(p, e);
	ref.owns_group = p->own_class && !group;
	ref.owns_mon_group = ref.mon_group != NULL;
	*out = ref;
	return 0;
}

/* All in one write, so that all of it or nothing is in effect. */
static int write_lines(const struct resctrl_ref *r, const char *where, const char *lines, struct err *e)
{
	auto_arena struct arena a = { 0 };
	const char *path = arena_printf(&a, "%s/schemata", r->group);
	auto_fd int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return err_errno(e, "%s: %s", where, path);
	size_t len = strlen(lines);
	ssize_t n = RETRY(write(fd, lines, len));

	if (n < 0) {
		err_errno(e, "%s: writing \"%.150s\" to %.150s", where, one_line(arena_strdup(&a, lines)), path);
		return add_kernel_reason(r->mount, e);
	}
	return (size_t)n == len ? 0 : err_set(e, EFBIG, "%s: %s takes no more than %zd bytes", where, path, n);
}

static int write_schemata(const struct resctrl_plan *p, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct strbuf text = STRBUF(&a);

	for (size_t i = 0; i < p->n_lines; i++)
		strbuf_printf(&text, "%s\n", p->lines[i].text);
	return write_lines(&p->ref, p->n_lines == 1 ? p->lines[0].where : "linux.intelRdt", strbuf_str(&text), e);
}

int resctrl_update(const struct resctrl_ref *r, const char *lines, struct arena *a, const char **before, struct err *e)
{
	char *old;

	/* Others may be in one that was there before, or that the config names. */
	if (!r->owns_group)
		return err_set(e, EPERM, "linux.intelRdt: class %s is not the container's alone", r->group);
	auto_fd int lock = lock_tree(r->mount, e);
	if (lock < 0)
		return lock;
	if (file_read_pseudo(AT_FDCWD, arena_printf(a, "%s/schemata", r->group), FILE_MAX, a, &old, e) < 0)
		return err_in(e, "linux.intelRdt");
	int w = write_lines(r, "linux.intelRdt", lines, e);

	if (w == 0)
		*before = old;
	return w;
}

/* The kernel's step of bandwidth values, 0 when it has none. */
static unsigned granularity(const char *mount, const char *line, struct arena *a)
{
	const char *name = arena_strndup(a, line, strcspn(line, ":"));
	const char *path = arena_printf(a, "%s/info/%s/bandwidth_gran", mount, name);
	struct err ignored;
	uint32_t n = 0;
	char *text;

	if (strchr(name, '/') || file_read_pseudo(AT_FDCWD, path, 31, a, &text, &ignored) < 0)
		return 0;
	text[strcspn(text, "\n")] = '\0';
	return parse_u32(text, &n, &ignored) < 0 ? 0 : n;
}

/* A class that others may be in is not ours to change. */
static int compare_schemata(const struct resctrl_plan *p, struct err *e)
{
	auto_arena struct arena a = { 0 };
	char *have;

	if (!p->n_lines)
		return 0;
	if (file_read_pseudo(AT_FDCWD, arena_printf(&a, "%s/schemata", p->ref.group), FILE_MAX, &a, &have, e) < 0)
		return err_in(e, "%s", p->where);
	for (size_t i = 0; i < p->n_lines; i++) {
		const struct resctrl_line *l = &p->lines[i];

		if (resctrl_schemata_have(have, l->text, granularity(p->ref.mount, l->text, &a)))
			continue;
		return err_set(e, EINVAL, "%s: \"%.100s\" is not what the existing class %.120s has: \"%.150s\"", l->where, l->text,
			       p->ref.group, one_line(have));
	}
	return 0;
}

static int refused(const struct resctrl_plan *p, const char *where, const char *path, struct err *e)
{
	const char *hint = errno == ENOSPC ? " (the processor has no more classes or monitors)" : "";
	bool asked = errno != ENOENT && errno != ENAMETOOLONG;

	err_errno(e, "%s: mkdir %.200s%s", where, path, hint);
	return asked ? add_kernel_reason(p->ref.mount, e) : -e->code;
}

static int make_group(const struct resctrl_plan *p, struct resctrl_ref *made, struct err *e)
{
	if (p->must_exist) {
		int there = is_there(p->ref.group, p->where, e);

		return there < 0 ? there : there ? compare_schemata(p, e) : missing_class(p, e);
	}
	if (mkdir(p->ref.group, 0755) == 0) {
		made->owns_group = true;
		return p->n_lines ? write_schemata(p, e) : 0;
	}
	if (errno != EEXIST)
		return refused(p, p->where, p->ref.group, e);
	return is_there(p->ref.group, p->where, e) < 0 ? -e->code : compare_schemata(p, e);
}

static int make_mon_group(const struct resctrl_plan *p, struct resctrl_ref *made, struct err *e)
{
	if (!p->ref.mon_group)
		return 0;
	if (mkdir(p->ref.mon_group, 0755) < 0)
		return errno == EEXIST ? monitored_already(p, e)
				       : refused(p, "linux.intelRdt.enableMonitoring", p->ref.mon_group, e);
	made->owns_mon_group = true;
	return 0;
}

int resctrl_create(const struct resctrl_plan *p, struct resctrl_ref *out, struct err *e)
{
	struct resctrl_ref made = p->ref;
	struct err ignored;

	if (!made.mount) {
		*out = made;
		return 0;
	}
	auto_fd int lock = lock_tree(made.mount, e);
	if (lock < 0)
		return lock;
	int r = make_group(p, &made, e);

	if (r == 0)
		r = make_mon_group(p, &made, e);
	if (r < 0)
		(void)!resctrl_remove(&made, &ignored);
	else
		*out = made;
	return r;
}

static int join_group(const char *mount, const char *group, pid_t pid, struct err *e)
{
	auto_arena struct arena a = { 0 };
	const char *path = arena_printf(&a, "%s/tasks", group), *text = arena_printf(&a, "%d", (int)pid);
	auto_fd int fd = openat(AT_FDCWD, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return err_errno(e, "linux.intelRdt: joining %s", path);
	if (RETRY(write(fd, text, strlen(text))) >= 0)
		return 0;
	err_errno(e, "linux.intelRdt: joining %.200s", path);
	return add_kernel_reason(mount, e);
}

/* The class first: a monitoring group takes only processes of its class. */
int resctrl_join(const struct resctrl_ref *r, pid_t pid, struct err *e)
{
	int n = r->mount ? join_group(r->mount, r->group, pid, e) : 0;

	return n == 0 && r->mount && r->mon_group ? join_group(r->mount, r->mon_group, pid, e) : n;
}

static bool is_listed(const pid_t *v, size_t n, pid_t thread)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == thread)
			return true;
	return false;
}

/* What the joined ones make is born in the class, so the news become fewer. */
int resctrl_join_all(const struct resctrl_ref *r, const struct resctrl_threads *threads, struct err *e)
{
	auto_arena struct arena a = { 0 };
	pid_t *before = NULL, *v;
	size_t n_before = 0, n, news = 1;

	for (int round = 0; news; round++) {
		if (round == JOIN_ROUNDS)
			return err_set(e, EBUSY, "linux.intelRdt: threads are made faster than they can be put into %s", r->group);
		if (threads->list(threads->ctx, &a, &v, &n, e) < 0)
			return -e->code;
		news = 0;
		for (size_t i = 0; i < n; i++) {
			if (is_listed(before, n_before, v[i]))
				continue;
			if (resctrl_join(r, v[i], e) < 0 && e->code != ESRCH) /* it has ended */
				return -e->code;
			news++;
		}
		before = v;
		n_before = n;
	}
	return 0;
}

bool resctrl_in_use(const struct resctrl_ref *r)
{
	auto_arena struct arena a = { 0 };
	char first;
	auto_fd int fd = r->mount ? openat(AT_FDCWD, arena_printf(&a, "%s/tasks", r->group), O_RDONLY | O_CLOEXEC) : -1;

	return fd >= 0 && RETRY(read(fd, &first, 1)) > 0;
}

static int remove_group(const char *mount, const char *group, struct err *e)
{
	if (rmdir(group) == 0 || errno == ENOENT)
		return 0;
	err_errno(e, "linux.intelRdt: rmdir %.200s", group);
	return add_kernel_reason(mount, e);
}

int resctrl_remove(const struct resctrl_ref *r, struct err *e)
{
	int n = r->owns_mon_group ? remove_group(r->mount, r->mon_group, e) : 0;

	return n == 0 && r->owns_group ? remove_group(r->mount, r->group, e) : n;
}
