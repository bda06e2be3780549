/* What kernel and machine are we on?
 *
 * Every start of a container pays for this, so each file is read once and nothing is looked at that the caller does not want to
 * know. The kind of cgroups is told by the file system at /sys/fs/cgroup; only where that is not cgroup2 (which is a complete
 * answer) is the mount table read, and joined with /proc/self/cgroup by the names of the controllers.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/mountinfo.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/sys.h"
#include "host/host_internal.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define CGROUP_ROOT     "/sys/fs/cgroup"
#define RESCTRL_USUAL   "/sys/fs/resctrl"
#define MOUNTINFO_MAX   (16u << 20) /* bytes */
#define HIERARCHIES_MAX 32          /* there are 14 controllers; the rest is for named ones   */

/* What follows the beginning of a line; NULL when no line begins so. */
static char *value_of_line(char *text, const char *beginning)
{
	for (; text; text = strchr(text, '\n')) {
		text += *text == '\n';
		if (str_starts(text, beginning))
			return text + strlen(beginning);
	}
	return NULL;
}

static int probe_status(struct host *h, struct arena *tmp, struct err *e)
{
	static const struct {
		const char *key;
		size_t offset;
	} lines[] = {
		{ "SigIgn:\t", offsetof(struct host, ignored_signals) },
		{ "CapPrm:\t", offsetof(struct host, caps_permitted) },
		{ "CapBnd:\t", offsetof(struct host, caps_bounding) },
	};
	char *text;

	if (file_read_value(AT_FDCWD, "/proc/self/status", 8192, tmp, &text, e) < 0)
		return -e->code;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char *at = value_of_line(text, lines[i].key);

		if (!at)
			return err_set(e, EPROTO, "/proc/self/status: has no line \"%.6s\"", lines[i].key);
		*(uint64_t *)(void *)((char *)h + lines[i].offset) = strtoull(at, NULL, 16);
		text = at; /* they come in this order */
	}
	return 0;
}

/* What is not known cannot be read. What is in the bounding set is known: from there on this takes one call on most hosts. */
static void probe_cap_last(struct host *h)
{
	unsigned last = h->caps_bounding ? 63 - (unsigned)__builtin_clzll(h->caps_bounding) : 0;

	while (prctl(PR_CAPBSET_READ, (unsigned long)last + 1, 0ul, 0ul, 0ul) >= 0)
		last++;
	h->cap_last = last;
}

/* The record of getdents64(2). */
struct dir_entry {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

static uint64_t namespace_flag(const char *name)
{
	static const struct {
		const char *name;
		uint64_t flag;
	} kinds[] = {
		{ "mnt", SYS_CLONE_NEWNS },    { "cgroup", SYS_CLONE_NEWCGROUP }, { "uts", SYS_CLONE_NEWUTS },
		{ "ipc", SYS_CLONE_NEWIPC },   { "pid", SYS_CLONE_NEWPID },       { "net", SYS_CLONE_NEWNET },
		{ "time", SYS_CLONE_NEWTIME }, { "user", SYS_CLONE_NEWUSER },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].name[0] == name[0] && !strcmp(kinds[i].name, name))
			return kinds[i].flag;
	return 0;
}

static int probe_namespaces(struct host *h, struct err *e)
{
	alignas(struct dir_entry) char list[2048]; /* there are ten names */
	auto_fd int dir = openat(AT_FDCWD, "/proc/self/ns", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long n = dir < 0 ? -1 : syscall(SYS_getdents64, dir, list, sizeof(list));

	if (n < 0)
		return err_errno(e, "/proc/self/ns");
	for (const char *at = list; at < list + n; at += ((const struct dir_entry *)(const void *)at)->len)
		h->ns_supported |= namespace_flag(((const struct dir_entry *)(const void *)at)->name);
	return 0;
}

static void probe_lsm(struct host *h, struct arena *tmp)
{
	struct err ignored;
	char *text;

	h->apparmor = file_read_value(AT_FDCWD, "/sys/module/apparmor/parameters/enabled", 31, tmp, &text, &ignored) > 0 &&
		      text[0] == 'Y';
	h->selinux = faccessat(AT_FDCWD, "/sys/fs/selinux/enforce", F_OK, 0) == 0;
}

/* The next line that has the text in it, as a string of its own; NULL when there is none. */
static char *next_line_with(const char *text, char **rest)
{
	char *found = strstr(*rest, text), *line = found;

	if (!found)
		return NULL;
	while (line > *rest && line[-1] != '\n')
		line--;
	found += strcspn(found, "\n");
	*rest = found + (*found == '\n');
	*found = '\0';
	return line;
}

/* true when the comma-separated list has all of the words. */
static bool list_has_all(const char *list, const char *words)
{
	while (*words) {
		size_t len = strcspn(words, ",");
		const char *at = list;

		while (*at && !(strncmp(at, words, len) == 0 && (at[len] == ',' || at[len] == '\0'))) {
			at += strcspn(at, ",");
			at += *at == ',';
		}
		if (!*at)
			return false;
		words += len + (words[len] == ',');
	}
	return true;
}

/* One line of /proc/self/cgroup, "4:memory:/path", and where that hierarchy is mounted. */
struct cg_line {
	char *controllers, *own;
	const char *point, *root; /* NULL: not mounted */
};

static size_t parse_own(char *text, struct cg_line *out)
{
	size_t n = 0;
	char *save;

	for (char *line = strtok_r(text, "\n", &save); line && n < HIERARCHIES_MAX; line = strtok_r(NULL, "\n", &save)) {
		char *first = strchr(line, ':'), *second = first ? strchr(first + 1, ':') : NULL;

		if (!second)
			continue;
		*second = '\0';
		out[n++] = (struct cg_line){ .controllers = first + 1, .own = second + 1 };
	}
	return n;
}

static bool below_root(const char *point)
{
	return str_starts(point, CGROUP_ROOT) && (point[sizeof(CGROUP_ROOT) - 1] == '/' || !point[sizeof(CGROUP_ROOT) - 1]);
}

static void place_mount(const struct mount_line *m, struct cg_line *lines, size_t n)
{
	bool v2 = str_eq(m->type, "cgroup2");

	if (!v2 && !str_eq(m->type, "cgroup"))
		return;
	for (size_t i = 0; i < n; i++) {
		struct cg_line *l = &lines[i];

		if (v2 != (*l->controllers == '\0') || !list_has_all(m->options, l->controllers))
			continue;
		if (!l->point || (!below_root(l->point) && below_root(m->point))) {
			l->point = m->point;
			l->root = m->root;
		}
		return;
	}
}

/* Our own cgroup as seen from the mount, which may show a part of the hierarchy only. */
static const char *own_below(const char *root, const char *own)
{
	size_t len = strlen(root);

	if (len > 1 && str_starts(own, root) && (own[len] == '/' || !own[len]))
		return own[len] ? own + len : "/";
	return own;
}

static struct host_hierarchy place_of(const struct cg_line *l, struct arena *a)
{
	return (struct host_hierarchy){ arena_strdup(a, l->point), arena_strdup(a, l->controllers),
					arena_strdup(a, own_below(l->root, l->own)), !*l->controllers };
}

void host_parse_cgroups(char *mountinfo, char *own, struct arena *a, struct host *h)
{
	struct cg_line lines[HIERARCHIES_MAX];
	size_t n = parse_own(own, lines), used = 0;
	struct mount_line m;

	for (char *line; (line = next_line_with(" - cgroup", &mountinfo)) != NULL;)
		if (mountinfo_parse(line, &m))
			place_mount(&m, lines, n);
	struct host_hierarchy *hier = arena_alloc(a, (n + 1) * sizeof(*hier));

	/* /proc/self/cgroup counts downwards: cgroup2 is its last line, and is to be our last too */
	for (size_t i = n; i-- > 0;)
		if (*lines[i].controllers && lines[i].point)
			hier[used++] = place_of(&lines[i], a);
	size_t n_v1 = used;

	for (size_t i = 0; i < n; i++)
		if (!*lines[i].controllers && lines[i].point)
			hier[used++] = place_of(&lines[i], a);
	h->hier = hier;
	h->n_hier = used;
	h->cgroup_mode = used > n_v1 ? (n_v1 ? CGROUP_MODE_HYBRID : CGROUP_MODE_V2) : (n_v1 ? CGROUP_MODE_V1 : CGROUP_MODE_NONE);
}

/* cgroup2 at the usual place: the mount table has nothing to add. */
static void parse_own_v2(char *own, struct arena *a, struct host *h)
{
	struct host_hierarchy *hier = arena_new(a, struct host_hierarchy);
	struct cg_line lines[HIERARCHIES_MAX];
	size_t n = parse_own(own, lines);

	*hier = (struct host_hierarchy){ CGROUP_ROOT, "", "/", true };
	for (size_t i = 0; i < n; i++)
		if (!*lines[i].controllers)
			hier->own = arena_strdup(a, lines[i].own);
	h->hier = hier;
	h->n_hier = 1;
	h->cgroup_mode = CGROUP_MODE_V2;
}

static int probe_hierarchies(struct arena *a, struct arena *tmp, bool own_wanted, struct host *h, struct err *e)
{
	struct statfs fs;
	char nowhere[] = "", *own = nowhere, *mounts;
	bool v2 = statfs(CGROUP_ROOT, &fs) == 0 && (unsigned long)fs.f_type == SYS_CGROUP2_SUPER_MAGIC;

	if ((!v2 || own_wanted) && file_read_value(AT_FDCWD, "/proc/self/cgroup", 16384, tmp, &own, e) < 0)
		return e->code == ENOENT ? 0 : -e->code; /* a kernel without cgroups */
	if (v2) {
		parse_own_v2(own, a, h);
		return 0;
	}
	if (file_read_pseudo(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, tmp, &mounts, e) < 0)
		return -e->code;
	host_parse_cgroups(mounts, own, a, h);
	return 0;
}

static int probe_cgroups(struct arena *a, struct arena *tmp, bool own_wanted, struct host *h, struct err *e)
{
	struct err ignored;
	char *text;

	if (probe_hierarchies(a, tmp, own_wanted, h, e) < 0)
		return -e->code;
	for (size_t i = 0; i < h->n_hier; i++) {
		if (!h->hier[i].v2)
			continue;
		const char *name = arena_printf(a, "%s/cgroup.controllers", h->hier[i].mount);

		if (file_read_value(AT_FDCWD, name, 1023, a, &text, &ignored) < 0)
			continue; /* the root of a mount that we may not look at has nothing for us */
		text[strcspn(text, "\n")] = '\0';
		h->v2_controllers = text;
	}
	return 0;
}

const char *host_parse_resctrl(char *mountinfo, struct arena *a)
{
	const char *found = NULL;
	struct mount_line m;

	for (char *line; (line = next_line_with(" - resctrl ", &mountinfo)) != NULL;)
		if (mountinfo_parse(line, &m) && str_eq(m.type, "resctrl") && str_eq(m.root, "/"))
			found = arena_strdup(a, m.point);
	return found;
}

static bool is_resctrl(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == SYS_RDTGROUP_SUPER_MAGIC;
}

/* A kernel that has resctrl for this processor has the directory for it; without that no table is read. */
static int probe_resctrl(struct arena *a, struct arena *tmp, struct host *h, struct err *e)
{
	char *mounts;

	if (faccessat(AT_FDCWD, RESCTRL_USUAL, F_OK, 0) < 0)
		return 0;
	if (is_resctrl(RESCTRL_USUAL)) {
		h->resctrl = RESCTRL_USUAL;
		return 0;
	}
	if (file_read_pseudo(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, tmp, &mounts, e) < 0)
		return -e->code;
	const char *point = host_parse_resctrl(mounts, a);

	h->resctrl = point && is_resctrl(point) ? point : NULL;
	return 0;
}

int host_probe(struct arena *a, unsigned what, struct host *out, struct err *e)
{
	auto_arena struct arena tmp = { 0 }; /* the texts */
	struct host h = {
		.euid = proc_euid(),
		.initial_userns = proc_in_initial_userns(),
		.ns_supported = what & HOST_NAMESPACES ? 0 : UINT64_MAX,
		.v2_controllers = "",
	};
	bool own = (what & HOST_OWN_CGROUP) || h.euid != 0;

	if (probe_status(&h, &tmp, e) < 0 || ((what & HOST_CGROUPS) && probe_cgroups(a, &tmp, own, &h, e) < 0) ||
	    ((what & HOST_RESCTRL) && probe_resctrl(a, &tmp, &h, e) < 0) ||
	    ((what & HOST_NAMESPACES) && probe_namespaces(&h, e) < 0))
		return err_in(e, "host");
	probe_cap_last(&h);
	if (what & HOST_LSM)
		probe_lsm(&h, &tmp);
	*out = h;
	return 0;
}
