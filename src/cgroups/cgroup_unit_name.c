/* Which systemd unit a container's cgroup is, and where that will be.
 *
 * linux.cgroupsPath is "SLICE:PREFIX:NAME", from the right as short as "NAME". The unit is PREFIX-NAME.scope, or NAME itself when
 * that ends in ".slice". A slice's name tells its place: "a-b.slice" is /a.slice/a-b.slice. Without a path the unit is
 * drupe-ID.scope. Only root of the first user namespace has the system's manager; everyone else has their own, whose units are
 * below user@UID.service. systemd is asked afterwards whether the unit is where it was planned.
 */
#include "base/str.h"
#include "cgroups/cgroup_systemd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WHERE         "linux.cgroupsPath"
#define UNIT_NAME_MAX 255
#define ROOT_SLICE    "-.slice"

static bool is_unit_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr(":_.\\-@", c));
}

static bool is_unit_name(const char *name)
{
	size_t len = strlen(name);

	for (const char *c = name; *c; c++)
		if (!is_unit_char(*c))
			return false;
	return len && len <= UNIT_NAME_MAX && *name != '.';
}

/* An id may have a '+', a unit's name not. */
static const char *escape(struct arena *a, const char *id)
{
	struct strbuf out = STRBUF(a);

	for (const char *c = id; *c; c++)
		strbuf_printf(&out, is_unit_char(*c) ? "%c" : "\\x%02x", (unsigned char)*c);
	return strbuf_str(&out);
}

static bool is_slice(const char *name)
{
	size_t len = strlen(name), end = len - strlen(".slice");

	if (str_eq(name, ROOT_SLICE))
		return true;
	return is_unit_name(name) && len > strlen(".slice") && str_ends(name, ".slice") && name[0] != '-' && name[end - 1] != '-' &&
	       !strstr(name, "--");
}

const char *cg_slice_path(struct arena *a, const char *slice)
{
	struct strbuf path = STRBUF(a);

	if (!slice || str_eq(slice, ROOT_SLICE))
		return "";
	size_t len = strlen(slice) - strlen(".slice");

	for (size_t i = 1; i <= len; i++)
		if (i == len || slice[i] == '-')
			strbuf_printf(&path, "/%.*s.slice", (int)i, slice);
	return strbuf_str(&path);
}

/* Cuts "SLICE:PREFIX:NAME"; missing parts become "". */
static int cut_path(const char *asked, struct arena *a, const char *part[3], struct err *e)
{
	char *text = arena_strdup(a, asked), *cut[3] = { text, NULL, NULL };
	size_t n = 1;

	for (char *c = text; *c; c++) {
		if (*c != ':')
			continue;
		if (n == 3)
			return err_set(e, EINVAL, WHERE ": \"%.200s\" is not of the form slice:prefix:name", asked);
		*c = '\0';
		cut[n++] = c + 1;
	}
	part[0] = n > 1 ? cut[0] : "";
	part[1] = n > 2 ? cut[1] : "";
	part[2] = cut[n - 1];
	if (strchr(asked, '/') || !*part[2])
		return err_set(e, EINVAL,
			       WHERE ": \"%.200s\" is not of the form slice:prefix:name, as the systemd cgroup driver needs it",
			       asked);
	return 0;
}

static int check_names(const char *asked, const struct cgroup_unit *u, struct err *e)
{
	if (!is_slice(u->slice))
		return err_set(e, EINVAL, WHERE ": \"%.200s\": \"%.100s\" is not the name of a systemd slice", asked, u->slice);
	if (str_ends(u->name, ".slice") ? !is_slice(u->name) : !is_unit_name(u->name))
		return err_set(e, EINVAL, WHERE ": \"%.200s\": \"%.100s\" is not a name that a systemd unit may have", asked,
			       u->name);
	return 0;
}

static int choose_unit(const char *asked, const char *id, struct arena *a, struct cgroup_unit *out, struct err *e)
{
	const char *part[3] = { "", "drupe", id };

	if (asked && *asked && cut_path(asked, a, part, e) < 0)
		return -e->code;
	if (!asked || !*asked)
		part[2] = escape(a, id);
	out->slice = str_eq(part[0], "-") ? ROOT_SLICE : *part[0] ? part[0] : out->user ? "user.slice" : "system.slice";
	out->is_slice = str_ends(part[2], ".slice");
	if (out->is_slice)
		out->name = part[2];
	else
		out->name = arena_printf(a, "%s%s%s.scope", part[1], *part[1] ? "-" : "", part[2]);
	return check_names(asked ? asked : "", out, e);
}

/* The cgroup of the user's manager. The caller is in it, or at least in the user's slice, which tells the uid also in a user
 * namespace. */
static const char *manager_path(const struct host *h, struct arena *a)
{
	const char *own = h->n_hier ? h->hier[0].own : "/";
	const char *service = strstr(own, "/user@"), *slice = strstr(own, "/user.slice/user-");

	if (service) {
		size_t len = 1 + strcspn(service + 1, "/");

		if (len > strlen(".service") && strncmp(service + len - strlen(".service"), ".service", strlen(".service")) == 0)
			return arena_strndup(a, own, (size_t)(service - own) + len);
	}
	unsigned long uid = slice ? strtoul(slice + strlen("/user.slice/user-"), NULL, 10) : h->euid;

	return arena_printf(a, "/user.slice/user-%lu.slice/user@%lu.service", uid, uid);
}

int cg_plan_unit(const struct oci_spec *spec, const char *id, const struct host *h, struct arena *a, struct cgroup_unit *out,
		 const char **path, struct err *e)
{
	struct cgroup_unit u = { .user = h->euid != 0 || !h->initial_userns };

	if (u.user && h->cgroup_mode != CGROUP_MODE_V2)
		return err_set(e, ENOTSUP,
			       "the systemd cgroup driver needs root or cgroup v2: systemd delegates no cgroup v1 to users");
	if (choose_unit(spec->linux_->cgroups_path, id, a, &u, e) < 0)
		return -e->code;
	const char *above = u.user ? manager_path(h, a) : "";

	if (u.is_slice)
		*path = arena_printf(a, "%s%s", above, cg_slice_path(a, u.name));
	else
		*path = arena_printf(a, "%s%s/%s", above, cg_slice_path(a, u.slice), u.name);
	if (!**path)
		return err_set(e, EINVAL, WHERE ": \"%.200s\" is the root of all cgroups", spec->linux_->cgroups_path);
	*out = u;
	return 0;
}
