/* sysctl_plan.c - which sysctls a container may have
 *
 * An allow list: a name is accepted only when it is known to live in a namespace, and the container has that namespace to itself.
 * Names come as "net.ipv4.ip_forward" or "net/ipv4/ip_forward". As with sysctl(8), the separator that comes first is the one that
 * separates; the other one stands for a dot within a component: "net.ipv4.conf.eth0/100.forwarding", or
 * "net/ipv4/conf/eth0.100/forwarding". They are kept with slashes, which is what is written, and so what is compared.
 */
#include "base/str.h"
#include "namespaces/ns_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_LIMIT 255 /* bytes */

/* The kernel.* names of an ipc namespace, exactly: others of the same beginning need not be. */
static const char *const ipc_names[] = {
	"kernel/auto_msgmni", "kernel/msg_next_id", "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni",          "kernel/sem",
	"kernel/sem_next_id", "kernel/shm_next_id", "kernel/shmall", "kernel/shmmax", "kernel/shm_rmid_forced", "kernel/shmmni",
};

static const char *with_slashes(struct arena *a, const char *name)
{
	char *out = arena_strdup(a, name);

	if (name[strcspn(name, "./")] != '.')
		return out;
	for (char *c = out; *c; c++) {
		if (*c == '.')
			*c = '/';
		else if (*c == '/')
			*c = '.';
	}
	return out;
}

/* No component may be empty or lead anywhere but down. */
static bool is_plain(const char *name)
{
	if (strlen(name) > NAME_LIMIT)
		return false;
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			return false;
	for (const char *c = name;; c++) {
		size_t len = strcspn(c, "/");

		if (len == 0 || (len == 1 && c[0] == '.') || (len == 2 && c[0] == '.' && c[1] == '.'))
			return false;
		c += len;
		if (!*c)
			return true;
	}
}

/* The type of namespace a sysctl lives in; -1: none that we know. */
static int namespace_of(const char *name)
{
	for (size_t i = 0; i < sizeof(ipc_names) / sizeof(ipc_names[0]); i++)
		if (str_eq(name, ipc_names[i]))
			return OCI_NS_IPC;
	if (str_starts(name, "fs/mqueue/"))
		return OCI_NS_IPC;
	if (str_starts(name, "net/"))
		return OCI_NS_NETWORK;
	if (str_eq(name, "kernel/domainname"))
		return OCI_NS_UTS;
	if (str_starts(name, "user/"))
		return OCI_NS_USER;
	return -1;
}

static int check_name(const char *given, const char *name, struct ns_plan *p, struct err *e)
{
	int type = namespace_of(name);

	if (!is_plain(name))
		return err_set(e, EINVAL, "linux.sysctl: \"%s\" is not a valid name", given);
	if (str_eq(name, "kernel/hostname"))
		return err_set(e, EINVAL, "linux.sysctl.%s: use hostname instead", given);
	if (type < 0)
		return err_set(e, EINVAL, "linux.sysctl.%s: belongs to no namespace; it would change the host", given);
	if (!(ns_plan_own(p) & ns_flag(type)))
		return err_set(e, EINVAL, "linux.sysctl.%s: needs %s %s namespace; without one it would change the host", given,
			       type == OCI_NS_IPC ? "an" : "a", ns_name(type));
	p->set |= ns_flag(type);
	return 0;
}

static bool is_mapped(const struct oci_id_map_list *map, uint64_t id)
{
	for (size_t i = 0; i < map->n; i++)
		if (id >= map->v[i].container_id && id - map->v[i].container_id < map->v[i].size)
			return true;
	return false;
}

/* The kernel answers a group that has no mapping with a bare EINVAL, and "0 2147483647" is what engines like to send. */
static int check_ping_group_range(const char *name, const char *value, const struct ns_plan *p, struct err *e)
{
	if (!str_eq(name, "net/ipv4/ping_group_range") || !p->container_gid_map.n)
		return 0;
	for (char *end; *(value += strspn(value, " \t\n")); value = end) {
		errno = 0;
		uint64_t gid = strtoull(value, &end, 10);

		if (end == value || errno)
			return 0; /* no number: the kernel has a fitting answer */
		if (!is_mapped(&p->container_gid_map, gid))
			return err_set(e, EINVAL, "linux.sysctl.net.ipv4.ping_group_range: group %.*s is not in linux.gidMappings",
				       (int)(end - value), value);
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* Two spellings of one name: which would win? Sorts a copy, for a config may list very many. */
static int check_repeated(const struct pairs *list, struct arena *a, struct err *e)
{
	if (list->n < 2)
		return 0;
	struct pair *sorted = arena_alloc(a, list->n * sizeof(*sorted));

	memcpy(sorted, list->v, list->n * sizeof(*sorted));
	qsort(sorted, list->n, sizeof(*sorted), compare);
	for (size_t i = 1; i < list->n; i++)
		if (str_eq(sorted[i].name, sorted[i - 1].name))
			return err_set(e, EINVAL, "linux.sysctl: %s is given twice", sorted[i].name);
	return 0;
}

int ns_plan_sysctl(const struct oci_spec *spec, struct arena *a, struct ns_plan *p, struct err *e)
{
	const struct pairs *in = &spec->linux_->sysctl;
	struct pairs out = { .v = in->n ? arena_alloc(a, in->n * sizeof(*in->v)) : NULL };

	for (size_t i = 0; i < in->n; i++) {
		const char *given = in->v[i].name, *name = with_slashes(a, given);
		int r;

		if ((r = check_name(given, name, p, e)) < 0 || (r = check_ping_group_range(name, in->v[i].value, p, e)) < 0)
			return r;
		out.v[out.n++] = (struct pair){ .name = name, .value = in->v[i].value };
	}
	p->sysctl = out;
	return check_repeated(&out, a, e);
}
