/* What a class of resctrl allows and has used: info/ says what the processor can, schemata what is allowed, mon_data what was
 * counted, for each cache in a directory of its own. A file that is not there, or says "Unavailable", is a thing that the processor
 * has not. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "cgroups/resctrl.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX 65536 /* bytes */

static char *read_text(struct arena *a, const char *dir, const char *file)
{
	struct err ignored;
	char *text;

	return file_read_pseudo(AT_FDCWD, arena_printf(a, "%s/%s", dir, file), FILE_MAX, a, &text, &ignored) < 0 ? NULL : text;
}

static char *read_word(struct arena *a, const char *dir, const char *file)
{
	char *text = read_text(a, dir, file);

	if (text)
		text[strcspn(text, "\n")] = '\0';
	return text;
}

static bool read_number(struct arena *a, const char *dir, const char *file, uint64_t *out)
{
	const char *text = read_word(a, dir, file);
	struct err ignored;
	uint64_t n;

	if (!text || parse_u64(text, &n, &ignored) < 0)
		return false;
	*out = n;
	return true;
}

/* The first line of the class's schemata that is for the resource; "L3" stands for "L3CODE", too. */
static const char *find_line(struct arena *a, const char *group, const char *resource)
{
	char *text = read_text(a, group, "schemata"), *save;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		line += strspn(line, " ");
		if (str_starts(line, resource))
			return line;
	}
	return NULL;
}

static void read_abilities(const struct resctrl_ref *r, struct arena *a, struct resctrl_stats *out)
{
	const char *l3 = arena_printf(a, "%s/info/L3", r->mount), *mb = arena_printf(a, "%s/info/MB", r->mount);

	out->l3_mask = read_word(a, l3, "cbm_mask");
	(void)read_number(a, l3, "min_cbm_bits", &out->l3_min_bits);
	(void)read_number(a, l3, "num_closids", &out->l3_classes);
	(void)read_number(a, mb, "bandwidth_gran", &out->mb_gran);
	(void)read_number(a, mb, "delay_linear", &out->mb_linear);
	(void)read_number(a, mb, "min_bandwidth", &out->mb_min);
	(void)read_number(a, mb, "num_closids", &out->mb_classes);
}

static int by_name(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

/* "mon_L3_00" and so on, sorted. */
static size_t list_caches(const char *mon_data, struct arena *a, char ***out)
{
	DIR *dir = opendir(mon_data);
	size_t n = 0, room = 16;
	char **v = arena_alloc(a, room * sizeof(*v));

	for (struct dirent *d; dir && (d = readdir(dir));) {
		if (!str_starts(d->d_name, "mon_L3_"))
			continue;
		if (n == room) {
			char **more = arena_alloc(a, 2 * room * sizeof(*v));

			memcpy(more, v, n * sizeof(*v));
			v = more;
			room *= 2;
		}
		v[n++] = arena_strdup(a, d->d_name);
	}
	if (dir)
		closedir(dir);
	qsort(v, n, sizeof(*v), by_name);
	*out = v;
	return n;
}

static void read_counters(const char *group, struct arena *a, struct resctrl_stats *out)
{
	const char *mon_data = arena_printf(a, "%s/mon_data", group);
	char **caches;
	size_t n = list_caches(mon_data, a, &caches);

	out->traffic = arena_alloc(a, (n + 1) * sizeof(*out->traffic));
	out->occupancy = arena_alloc(a, (n + 1) * sizeof(*out->occupancy));
	for (size_t i = 0; i < n; i++) {
		const char *dir = arena_printf(a, "%s/%s", mon_data, caches[i]);
		struct resctrl_traffic t = { 0 };
		bool any = read_number(a, dir, "mbm_total_bytes", &t.total);

		any |= read_number(a, dir, "mbm_local_bytes", &t.local);
		if (any)
			out->traffic[out->n_traffic++] = t;
		if (read_number(a, dir, "llc_occupancy", &out->occupancy[out->n_occupancy]))
			out->n_occupancy++;
	}
}

void resctrl_stats_read(const struct resctrl_ref *r, struct arena *a, struct resctrl_stats *out)
{
	*out = (struct resctrl_stats){ 0 };
	if (!r->mount)
		return;
	read_abilities(r, a, out);
	out->l3_root = find_line(a, r->mount, "L3");
	out->l3 = find_line(a, r->group, "L3");
	out->mb_root = find_line(a, r->mount, "MB:");
	out->mb = find_line(a, r->group, "MB:");
	read_counters(r->mon_group ? r->mon_group : r->group, a, out);
}
