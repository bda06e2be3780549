/* What a cgroup has used.
 *
 * Each controller's numbers come from the directory that has it: a v1 hierarchy, else cgroup2. Pressure is told by cgroup2 alone,
 * but for every cgroup, also where its controllers are on v1. A file that cannot be read or parsed leaves zeros: a statistic is no
 * reason to fail, and every kernel lacks some of them.
 */
#include "cgroups/cgroup_stats.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "cgroups/cgroup_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX      (256u << 10)
#define NSEC_PER_USEC 1000u

/* One directory to read from. */
struct source {
	const struct cgroup_dir *dir;
	struct arena *arena;
};

/* The text of a file; "" when there is none. */
static char *text_of(const struct source *s, const char *file)
{
	struct err ignored;
	char *text;

	if (!s->dir || file_read_pseudo(AT_FDCWD, cg_file(s->arena, s->dir->path, file), FILE_MAX, s->arena, &text, &ignored) < 0)
		return arena_strdup(s->arena, "");
	return text;
}

/* "max" is no limit. */
static uint64_t number_of(const char *text)
{
	return str_starts(text, "max") ? UINT64_MAX : strtoull(text, NULL, 10);
}

static uint64_t number(const struct source *s, const char *file)
{
	return number_of(text_of(s, file));
}

/* The value of a "KEY NUMBER" line; 0 without one. */
static uint64_t keyed(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (; *text; text += strcspn(text, "\n"), text += *text == '\n')
		if (strncmp(text, key, len) == 0 && text[len] == ' ')
			return strtoull(text + len, NULL, 10);
	return 0;
}

/* The directory that has the controller. The name differs in one case: blkio, io. */
static struct source find(const struct cgroup_ref *r, const char *v1, const char *file_v2, struct arena *a)
{
	struct source s = { .arena = a };

	for (size_t i = 0; i < r->n_dirs; i++) {
		if (!r->dirs[i].v2 && v1 && cg_list_has(r->dirs[i].controllers, v1)) {
			s.dir = &r->dirs[i];
			return s;
		}
		if (r->dirs[i].v2 && access(cg_file(a, r->dirs[i].path, file_v2), F_OK) == 0)
			s.dir = &r->dirs[i];
	}
	return s;
}

static void add_number(struct cgroup_numbers *l, uint64_t value, struct arena *a)
{
	if ((l->n & (l->n + 1)) == 0) { /* the room is the power of two above n */
		uint64_t *v = arena_alloc(a, 2 * (l->n + 1) * sizeof(*v));

		if (l->n)
			memcpy(v, l->v, l->n * sizeof(*v));
		l->v = v;
	}
	l->v[l->n++] = value;
}

/* ---- pressure ---- */

static const char *word_after(const char *line, const char *key, struct arena *a)
{
	const char *at = strstr(line, key);

	return at ? arena_strndup(a, at + strlen(key), strcspn(at + strlen(key), " \n")) : "0.00";
}

static bool read_psi_line(const char *text, const char *which, struct cgroup_psi_line *out, struct arena *a)
{
	const char *at = strstr(text, which);

	*out = (struct cgroup_psi_line){ "0.00", "0.00", "0.00", 0 };
	if (!at)
		return false;
	const char *line = arena_strndup(a, at, strcspn(at, "\n"));
	const char *total = strstr(line, "total=");

	out->avg10 = word_after(line, "avg10=", a);
	out->avg60 = word_after(line, "avg60=", a);
	out->avg300 = word_after(line, "avg300=", a);
	out->total = total ? strtoull(total + strlen("total="), NULL, 10) : 0;
	return true;
}

static struct cgroup_psi read_psi(const struct cgroup_ref *r, const char *file, struct arena *a)
{
	struct source s = find(r, NULL, file, a);
	const char *text = text_of(&s, file);
	struct cgroup_psi p;

	p.set = read_psi_line(text, "some ", &p.some, a);
	(void)read_psi_line(text, "full ", &p.full, a);
	return p;
}

/* ---- cpu ---- */

static void read_percpu(const struct source *s, struct cgroup_cpu_stats *out)
{
	char *next = text_of(s, "cpuacct.usage_percpu");

	for (char *at = next;; at = next) {
		uint64_t value = strtoull(at, &next, 10);

		if (next == at)
			break;
		add_number(&out->percpu, value, s->arena);
	}
	/* "cpu user system", then a line each */
	char *line = text_of(s, "cpuacct.usage_all");

	while (*(line += strcspn(line, "\n"))) {
		uint64_t v[3];

		if (scan_numbers(++line, "", v, 3, NULL) != 3)
			continue;
		add_number(&out->percpu_user, v[1], s->arena);
		add_number(&out->percpu_kernel, v[2], s->arena);
	}
}

static void read_cpu(const struct cgroup_ref *r, struct arena *a, struct cgroup_cpu_stats *out)
{
	struct source cpu = find(r, "cpu", "cpu.stat", a), acct = find(r, "cpuacct", "cpu.stat", a);
	const char *stat = text_of(&cpu, "cpu.stat");
	bool v2 = cpu.dir && cpu.dir->v2;

	out->periods = keyed(stat, "nr_periods");
	out->throttled_periods = keyed(stat, "nr_throttled");
	out->throttled_time = v2 ? keyed(stat, "throttled_usec") * NSEC_PER_USEC : keyed(stat, "throttled_time");
	if (acct.dir && acct.dir->v2) {
		stat = text_of(&acct, "cpu.stat");
		out->total = keyed(stat, "usage_usec") * NSEC_PER_USEC;
		out->user = keyed(stat, "user_usec") * NSEC_PER_USEC;
		out->kernel = keyed(stat, "system_usec") * NSEC_PER_USEC;
	} else {
		out->total = number(&acct, "cpuacct.usage");
		out->user = number(&acct, "cpuacct.usage_user");
		out->kernel = number(&acct, "cpuacct.usage_sys");
		read_percpu(&acct, out);
	}
	out->psi = read_psi(r, "cpu.pressure", a);
}

/* "0-2,7" */
static struct cgroup_numbers read_list(const char *text, struct arena *a)
{
	struct cgroup_numbers l = { 0 };
	char *end;

	while (*text >= '0' && *text <= '9') {
		uint64_t from = strtoull(text, &end, 10), to = from;

		if (*end == '-')
			to = strtoull(end + 1, &end, 10);
		for (; from <= to && l.n < 65536; from++)
			add_number(&l, from, a);
		text = end + (*end == ',');
	}
	return l;
}

static void read_cpuset(const struct cgroup_ref *r, struct arena *a, struct cgroup_cpuset_stats *out)
{
	struct source s = find(r, "cpuset", "cpuset.cpus.effective", a);

	if (s.dir && s.dir->v2) {
		out->cpus = read_list(text_of(&s, "cpuset.cpus.effective"), a);
		out->mems = read_list(text_of(&s, "cpuset.mems.effective"), a);
		return;
	}
	out->cpus = read_list(text_of(&s, "cpuset.cpus"), a);
	out->mems = read_list(text_of(&s, "cpuset.mems"), a);
	out->cpu_exclusive = number(&s, "cpuset.cpu_exclusive");
	out->mem_hardwall = number(&s, "cpuset.mem_hardwall");
	out->mem_exclusive = number(&s, "cpuset.mem_exclusive");
	out->memory_migrate = number(&s, "cpuset.memory_migrate");
	out->memory_spread_page = number(&s, "cpuset.memory_spread_page");
	out->memory_spread_slab = number(&s, "cpuset.memory_spread_slab");
	out->memory_pressure = number(&s, "cpuset.memory_pressure");
	out->sched_load_balance = number(&s, "cpuset.sched_load_balance");
	out->sched_relax_domain_level = strtoll(text_of(&s, "cpuset.sched_relax_domain_level"), NULL, 10);
}

/* ---- memory, pids ---- */

static struct cgroup_counter read_counter_v1(const struct source *s, const char *prefix)
{
	struct arena *a = s->arena;

	return (struct cgroup_counter){
		.limit = number(s, arena_printf(a, "%s.limit_in_bytes", prefix)),
		.usage = number(s, arena_printf(a, "%s.usage_in_bytes", prefix)),
		.max = number(s, arena_printf(a, "%s.max_usage_in_bytes", prefix)),
		.failcnt = number(s, arena_printf(a, "%s.failcnt", prefix)),
	};
}

static void read_raw(const char *text, struct arena *a, struct cgroup_memory_stats *out)
{
	size_t lines = 0;

	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	out->raw = arena_alloc(a, (lines + 1) * sizeof(*out->raw));
	for (const char *line = text; *line && out->n_raw <= lines; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t len = strcspn(line, " \n");

		if (line[len] == ' ')
			out->raw[out->n_raw++] =
				(struct cgroup_named){ arena_strndup(a, line, len), strtoull(line + len, NULL, 10) };
	}
}

/* v1 counts swap together with memory, and so do we. */
static void read_memory_v2(const struct source *s, const char *stat, struct cgroup_memory_stats *out)
{
	uint64_t swap_limit = number(s, "memory.swap.max");

	out->cache = keyed(stat, "file");
	out->usage = (struct cgroup_counter){ number(s, "memory.max"), number(s, "memory.current"), number(s, "memory.peak"),
					      keyed(text_of(s, "memory.events"), "max") };
	out->swap.usage = out->usage.usage + number(s, "memory.swap.current");
	out->swap.limit = out->usage.limit == UINT64_MAX || swap_limit == UINT64_MAX ? UINT64_MAX : out->usage.limit + swap_limit;
	out->kernel.usage = keyed(stat, "kernel");
	out->kernel_tcp.usage = keyed(stat, "sock");
}

static void read_memory(const struct cgroup_ref *r, struct arena *a, struct cgroup_memory_stats *out)
{
	struct source s = find(r, "memory", "memory.current", a);
	const char *stat = text_of(&s, "memory.stat");

	read_raw(stat, a, out);
	if (s.dir && s.dir->v2) {
		read_memory_v2(&s, stat, out);
	} else {
		out->cache = keyed(stat, "cache");
		out->usage = read_counter_v1(&s, "memory");
		out->swap = read_counter_v1(&s, "memory.memsw");
		out->kernel = read_counter_v1(&s, "memory.kmem");
		out->kernel_tcp = read_counter_v1(&s, "memory.kmem.tcp");
	}
	out->psi = read_psi(r, "memory.pressure", a);
}

static void read_pids(const struct cgroup_ref *r, struct arena *a, struct cgroup_stats *out)
{
	struct source s = find(r, "pids", "pids.current", a);
	uint64_t limit = number(&s, "pids.max");

	out->pids_current = number(&s, "pids.current");
	out->pids_limit = limit == UINT64_MAX ? 0 : limit;
}

/* ---- block devices ---- */

static void add_entry(struct cgroup_blk_list *l, struct cgroup_blk_entry entry, struct arena *a)
{
	if ((l->n & (l->n + 1)) == 0) {
		struct cgroup_blk_entry *v = arena_alloc(a, 2 * (l->n + 1) * sizeof(*v));

		if (l->n)
			memcpy(v, l->v, l->n * sizeof(*v));
		l->v = v;
	}
	l->v[l->n++] = entry;
}

/* "8:0 Read 4096", or without a word "8:0 17"; "Total 4096" is the sum of all and left out. */
static void read_blkio_file(const struct source *s, const char *name, struct cgroup_blk_list *out)
{
	static const char *const forms[] = { "blkio.bfq.%s_recursive", "blkio.%s_recursive", "blkio.throttle.%s_recursive" };
	char file[64], *text = NULL;

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]) && !(text && *text); i++) {
		char *percent = strchr(forms[i], '%');

		snprintf(file, sizeof(file), "%.*s%s%s", (int)(percent - forms[i]), forms[i], name, percent + 2);
		text = text_of(s, file);
	}
	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		struct cgroup_blk_entry entry = { .op = "" };
		uint64_t dev[2];
		const char *at;

		if (scan_numbers(line, ":", dev, 2, &at) != 2)
			continue;
		at += strspn(at, " ");
		size_t len = strcspn(at, " 0123456789\n");

		entry.major = dev[0];
		entry.minor = dev[1];
		if (len)
			entry.op = arena_strndup(s->arena, at, len);
		if (scan_numbers(at + len, "", &entry.value, 1, NULL) == 1)
			add_entry(out, entry, s->arena);
	}
}

/* "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6" */
static void read_io_stat(const struct source *s, struct cgroup_blkio_stats *out)
{
	static const struct {
		const char *key, *op;
		bool bytes;
	} keys[] = { { " rbytes=", "Read", true }, { " wbytes=", "Write", true }, { " dbytes=", "Discard", true },
		     { " rios=", "Read", false },  { " wios=", "Write", false },  { " dios=", "Discard", false } };

	for (const char *text = text_of(s, "io.stat"); *text; text += strcspn(text, "\n"), text += *text == '\n') {
		const char *line = arena_strndup(s->arena, text, strcspn(text, "\n"));
		uint64_t dev[2];

		if (scan_numbers(line, ":", dev, 2, NULL) != 2)
			continue;
		struct cgroup_blk_entry entry = { .major = dev[0], .minor = dev[1] };

		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
			const char *at = strstr(line, keys[i].key);

			if (!at)
				continue;
			entry.op = keys[i].op;
			entry.value = strtoull(at + strlen(keys[i].key), NULL, 10);
			add_entry(keys[i].bytes ? &out->service_bytes : &out->serviced, entry, s->arena);
		}
	}
}

static void read_blkio(const struct cgroup_ref *r, struct arena *a, struct cgroup_blkio_stats *out)
{
	struct source s = find(r, "blkio", "io.stat", a);

	if (s.dir && s.dir->v2) {
		read_io_stat(&s, out);
	} else if (s.dir) {
		read_blkio_file(&s, "io_service_bytes", &out->service_bytes);
		read_blkio_file(&s, "io_serviced", &out->serviced);
		read_blkio_file(&s, "io_queued", &out->queued);
		read_blkio_file(&s, "io_service_time", &out->service_time);
		read_blkio_file(&s, "io_wait_time", &out->wait_time);
		read_blkio_file(&s, "io_merged", &out->merged);
		read_blkio_file(&s, "time", &out->time);
		read_blkio_file(&s, "sectors", &out->sectors);
	}
	out->psi = read_psi(r, "io.pressure", a);
}

/* ---- hugepages: the sizes are known by the files' names ---- */

#define SIZES_MAX 16

static void add_hugetlb(const struct source *s, const char *size, struct cgroup_stats *out)
{
	struct cgroup_hugetlb_stats *h = &out->hugetlb[out->n_hugetlb++];
	struct arena *a = s->arena;

	h->size = size;
	if (s->dir->v2) {
		h->usage = number(s, arena_printf(a, "hugetlb.%s.current", size));
		h->failcnt = keyed(text_of(s, arena_printf(a, "hugetlb.%s.events", size)), "max");
		return;
	}
	h->usage = number(s, arena_printf(a, "hugetlb.%s.usage_in_bytes", size));
	h->max = number(s, arena_printf(a, "hugetlb.%s.max_usage_in_bytes", size));
	h->failcnt = number(s, arena_printf(a, "hugetlb.%s.failcnt", size));
}

static int by_size(const void *a, const void *b)
{
	return strcmp(((const struct cgroup_hugetlb_stats *)a)->size, ((const struct cgroup_hugetlb_stats *)b)->size);
}

static void read_hugetlb(const struct cgroup_ref *r, struct arena *a, struct cgroup_stats *out)
{
	out->hugetlb = arena_alloc(a, SIZES_MAX * sizeof(*out->hugetlb));
	for (size_t i = 0; i < r->n_dirs; i++) {
		struct source s = { .dir = &r->dirs[i], .arena = a };
		DIR *d = s.dir->v2 || cg_list_has(s.dir->controllers, "hugetlb") ? opendir(s.dir->path) : NULL;
		const char *end = s.dir->v2 ? ".current" : ".usage_in_bytes";

		for (const struct dirent *entry; d && (entry = readdir(d)) && out->n_hugetlb < SIZES_MAX;) {
			const char *name = entry->d_name;

			if (str_starts(name, "hugetlb.") && str_ends(name, end) && !strstr(name, ".rsvd."))
				add_hugetlb(&s,
					    arena_strndup(a, name + strlen("hugetlb."), strcspn(name + strlen("hugetlb."), ".")),
					    out);
		}
		if (d)
			(void)closedir(d);
	}
	qsort(out->hugetlb, out->n_hugetlb, sizeof(*out->hugetlb), by_size);
}

int cgroup_stats_read(const struct cgroup_ref *r, struct arena *a, struct cgroup_stats *out, struct err *e)
{
	if (!r->n_dirs)
		return err_set(e, ENOTSUP, "the container has no cgroup, so nothing is counted");
	*out = (struct cgroup_stats){ 0 };
	read_cpu(r, a, &out->cpu);
	read_cpuset(r, a, &out->cpuset);
	read_memory(r, a, &out->memory);
	read_pids(r, a, out);
	read_blkio(r, a, &out->blkio);
	read_hugetlb(r, a, out);
	return 0;
}
