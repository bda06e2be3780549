/* net_plan.c - which devices the container's network namespace gets
 *
 * Names are checked here as the kernel would check them, and so that they can be passed on as words of a line.
 */
#include "base/str.h"
#include "base/sys.h"
#include "net/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_LIMIT 15 /* bytes: IFNAMSIZ without the NUL */

static bool has_network(const struct oci_spec *spec, bool *created)
{
	const struct oci_namespace_list *list = &spec->linux_->namespaces;

	for (size_t i = 0; i < list->n; i++) {
		if (list->v[i].type != OCI_NS_NETWORK)
			continue;
		*created = !list->v[i].path || !*list->v[i].path;
		return true;
	}
	return false;
}

static bool is_device_name(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > NAME_LIMIT || str_eq(name, ".") || str_eq(name, ".."))
		return false;
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f || *c == '/' || *c == ':')
			return false;
	return true;
}

/* One "%d" makes a template; a '%' means nothing else. */
static bool is_target_name(const char *name)
{
	const char *percent = strchr(name, '%');

	return is_device_name(name) && (!percent || (percent[1] == 'd' && !strchr(percent + 1, '%')));
}

static int plan_device(const struct oci_net_device *d, struct oci_net_device *out, struct err *e)
{
	const char *inside = d->name && *d->name ? d->name : d->key;

	if (!is_device_name(d->key) || strchr(d->key, '%'))
		return err_set(e, EINVAL, "linux.netDevices: \"%s\" is not a name of a network device", d->key);
	if (!is_target_name(inside))
		return err_set(e, EINVAL, "linux.netDevices.%s.name: \"%s\" is not a name for a network device", d->key, inside);
	if (str_eq(d->key, "lo") || str_eq(inside, "lo"))
		return err_set(e, EINVAL, "linux.netDevices.%s: every network namespace has its own lo", d->key);
	*out = (struct oci_net_device){ .key = d->key, .name = inside };
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct oci_net_device *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* Several devices may share a template, but not a name. */
static int check_repeated(const struct oci_net_device *devices, size_t n, struct arena *a, struct err *e)
{
	struct oci_net_device *sorted = arena_alloc(a, n * sizeof(*sorted));

	memcpy(sorted, devices, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare);
	for (size_t i = 1; i < n; i++)
		if (str_eq(sorted[i].name, sorted[i - 1].name) && !strchr(sorted[i].name, '%'))
			return err_set(e, EINVAL, "linux.netDevices: two devices are to be named %s", sorted[i].name);
	return 0;
}

int net_plan_build(const struct oci_spec *spec, const struct host *h, struct arena *a, struct net_plan *out, struct err *e)
{
	const struct oci_net_device_list *list = &spec->linux_->net_devices;
	struct net_plan p = { .helper = DRUPE_LIBEXECDIR "/drupe/net", .n_devices = list->n };
	bool own = has_network(spec, &p.loopback);
	int r;

	if (list->n == 0) {
		*out = p;
		return 0;
	}
	if (!own)
		return err_set(e, EINVAL, "linux.netDevices: needs a network namespace");
	if (h->euid != 0 || !h->initial_userns)
		return err_set(e, EPERM, "linux.netDevices: only root of the host can move network devices");
	struct oci_net_device *devices = arena_alloc(a, list->n * sizeof(*devices));

	for (size_t i = 0; i < list->n; i++)
		if ((r = plan_device(&list->v[i], &devices[i], e)) < 0)
			return r;
	if ((r = check_repeated(devices, list->n, a, e)) < 0)
		return r;
	p.devices = devices;
	*out = p;
	return 0;
}

void net_plan_print(const struct net_plan *p, struct strbuf *out)
{
	if (p->loopback)
		strbuf_puts(out, "loopback: up\n");
	for (size_t i = 0; i < p->n_devices; i++)
		strbuf_printf(out, "move device: %s as %s\n", p->devices[i].key, p->devices[i].name);
}
