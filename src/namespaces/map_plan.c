/* map_plan.c - the id maps of the container's user namespace
 *
 * Three ways lead to a map: the config gives it; root on the host gets the full identity map by default; a namespace joined by
 * path has one already, and what the config gives then only describes it (containerd and CRI-O send both). Who writes it follows
 * from our capabilities: with CAP_SETUID and CAP_SETGID any map, without them our own single id, and else the set-uid helpers.
 */
#include "namespaces/ns_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define MAP_MAX    340         /* entries: UID_GID_MAP_MAX_EXTENTS of the kernel        */
#define ID_END     4294967295u /* the first number that is no id: (uid_t)-1             */
#define CAP_SETGID 6
#define CAP_SETUID 7

static bool overlap(uint32_t a, uint32_t a_size, uint32_t b, uint32_t b_size)
{
	return (uint64_t)a < (uint64_t)b + b_size && (uint64_t)b < (uint64_t)a + a_size;
}

static int check_entry(const char *field, const struct oci_id_map_list *map, size_t i, struct err *e)
{
	const struct oci_id_map *m = &map->v[i];

	if (m->size == 0)
		return err_set(e, EINVAL, "%s[%zu].size: must not be 0", field, i);
	if (m->size > ID_END - m->container_id)
		return err_set(e, EINVAL, "%s[%zu]: container ids end above 4294967294", field, i);
	if (m->size > ID_END - m->host_id)
		return err_set(e, EINVAL, "%s[%zu]: host ids end above 4294967294", field, i);
	for (size_t k = 0; k < i; k++) {
		if (overlap(m->container_id, m->size, map->v[k].container_id, map->v[k].size))
			return err_set(e, EINVAL, "%s[%zu]: container ids overlap those of %s[%zu]", field, i, field, k);
		if (overlap(m->host_id, m->size, map->v[k].host_id, map->v[k].size))
			return err_set(e, EINVAL, "%s[%zu]: host ids overlap those of %s[%zu]", field, i, field, k);
	}
	return 0;
}

static int check_map(const char *field, const struct oci_id_map_list *map, struct err *e)
{
	if (map->n > MAP_MAX)
		return err_set(e, EINVAL, "%s: has %zu entries, the kernel takes %d", field, map->n, MAP_MAX);
	for (size_t i = 0; i < map->n; i++) {
		int r = check_entry(field, map, i, e);

		if (r < 0)
			return r;
	}
	return 0;
}

static int check_maps(const struct oci_id_map_list *uid, const struct oci_id_map_list *gid, const struct ns_plan *p, struct err *e)
{
	int r;

	if (!p->user_ns && (uid->n || gid->n))
		return err_set(e, EINVAL, "linux.%s: needs a user namespace", uid->n ? "uidMappings" : "gidMappings");
	if (!uid->n != !gid->n)
		return err_set(e, EINVAL, "linux.%s: missing, while there are linux.%s", uid->n ? "gidMappings" : "uidMappings",
			       uid->n ? "uidMappings" : "gidMappings");
	if ((r = check_map("linux.uidMappings", uid, e)) < 0 || (r = check_map("linux.gidMappings", gid, e)) < 0)
		return r;
	return 0;
}

static bool may_map_freely(const struct host *h)
{
	const uint64_t need = 1ull << CAP_SETUID | 1ull << CAP_SETGID;

	return (h->caps_permitted & need) == need;
}

/* All ids, each to itself: no weaker than having no user namespace, and only root may ask for it. */
static int identity_maps(const struct host *h, struct arena *a, struct ns_plan *p, struct err *e)
{
	if (h->euid != 0 || !h->initial_userns || !may_map_freely(h))
		return err_set(e, EINVAL,
			       "linux.uidMappings: missing; only root of the host gets a user namespace without mappings");
	struct oci_id_map *all = arena_new(a, struct oci_id_map);

	*all = (struct oci_id_map){ .size = ID_END };
	p->container_uid_map = p->container_gid_map = (struct oci_id_map_list){ .v = all, .n = 1 };
	return 0;
}

int ns_plan_maps(const struct oci_spec *spec, const struct host *h, struct arena *a, struct ns_plan *p, struct err *e)
{
	const struct oci_id_map_list *uid = &spec->linux_->uid_mappings, *gid = &spec->linux_->gid_mappings;
	int r = check_maps(uid, gid, p, e);

	if (r < 0)
		return r;
	p->container_uid_map = *uid;
	p->container_gid_map = *gid;
	if (!(p->create & SYS_CLONE_NEWUSER))
		return 0;
	if (!uid->n && (r = identity_maps(h, a, p, e)) < 0)
		return r;
	p->uid_map = p->container_uid_map;
	p->gid_map = p->container_gid_map;
	if (may_map_freely(h))
		return 0;
	/* The kernel lets anyone map the own id, once setgroups(2) is given up for good. */
	bool own_id_only = uid->n == 1 && uid->v[0].size == 1 && uid->v[0].host_id == h->euid && gid->n == 1 && gid->v[0].size == 1;

	p->deny_setgroups = own_id_only;
	p->map_by_helper = !own_id_only;
	return 0;
}
