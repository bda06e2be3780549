/* Theory of operation: the tables of the configuration are spread over spec*.c by section; each names the members of one structure
 * and the function with the rules of the specification that a type cannot express. This file has the top level, what is not
 * specific to Linux, and the ways in. Nothing here looks at the host. Where Go programs write an unset string as "", the table says
 * EMPTY_NONE.
 */
#include "oci/spec.h"

#include "base/str.h"
#include "oci/encode.h"
#include "oci/shapes.h"

#include <errno.h>
#include <string.h>

/* The kernel's condition on a line of uid_map: not empty, and the end of either range is an id too. */
static int check_id_map(void *object, struct checker *c)
{
	const struct oci_id_map *m = object;

	if (!m->size)
		return check_fail(c, "size", -1, "must not be 0");
	if (m->size > UINT32_MAX - m->container_id)
		return check_fail(c, "size", -1, "the range of %u ids from containerID %u ends beyond the last id", m->size,
				  m->container_id);
	if (m->size > UINT32_MAX - m->host_id)
		return check_fail(c, "size", -1, "the range of %u ids from hostID %u ends beyond the last id", m->size, m->host_id);
	return 0;
}

static int check_hook(void *object, struct checker *c)
{
	struct oci_hook *h = object;

	h->env_set = h->env.v != NULL;
	if (h->timeout.set && h->timeout.value < 1)
		return check_fail(c, "timeout", -1, "must be at least 1 second");
	return 0;
}

static int check_mount(void *object, struct checker *c)
{
	const struct oci_mount *m = object;

	if (!m->uid_mappings.n != !m->gid_mappings.n)
		return check_fail(c, NULL, -1, "uidMappings and gidMappings must be given both or not at all");
	return 0;
}

/* ---- ociVersion ---- */

/* A decimal number without leading zeros; returns what follows, NULL when there is none. */
static const char *semver_number(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n && (n == 1 || s[0] != '0') ? s + n : NULL;
}

/* Identifiers joined by dots, to the end or up to `stop`; returns what follows, NULL when one is malformed. A prerelease's
 * identifiers of digits only have no leading zeros. */
static const char *semver_identifiers(const char *s, char stop, bool prerelease)
{
	for (;; s++) {
		size_t n = strspn(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-");

		if (!n || (prerelease && strspn(s, "0123456789") == n && !semver_number(s)))
			return NULL;
		s += n;
		if (!*s || *s == stop)
			return s;
		if (*s != '.')
			return NULL;
	}
}

/* Whether s is a version as in semver.org 2.0.0: X.Y.Z[-PRERELEASE][+BUILD]. */
static bool is_semver(const char *s)
{
	for (int i = 0; i < 3; i++) {
		if (i && *s++ != '.')
			return false;
		s = semver_number(s);
		if (!s)
			return false;
	}
	if (*s == '-')
		s = semver_identifiers(s + 1, '+', true);
	if (s && *s == '+')
		s = semver_identifiers(s + 1, '\0', false);
	return s && !*s;
}

static const struct oci_resources no_resources;
static const struct oci_linux no_linux = { .resources = &no_resources };
static const struct oci_hooks no_hooks;

static int check_spec(void *object, struct checker *c)
{
	struct oci_spec *s = object;

	if (!s->hooks)
		s->hooks = &no_hooks;
	if (!s->linux_)
		s->linux_ = &no_linux;
	if (!is_semver(s->oci_version))
		return check_fail(c, "ociVersion", -1, "\"%.40s\" is not a version like 1.3.0", s->oci_version);
	/* Drafts of version 1 called themselves 0.x and mean the same; another major version may mean anything. */
	if (strncmp(s->oci_version, "1.", 2) != 0 && strncmp(s->oci_version, "0.", 2) != 0)
		return check_fail(c, "ociVersion", -1, "version %.40s is not supported, only 1.x is", s->oci_version);
	return 0;
}

/* ---- tables ---- */
/* clang-format off */

const char *const oci_hook_names[] = {
	"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop", NULL,
};

SHARED_SHAPE(oci_id_map, check_id_map,
	F_U32(struct oci_id_map, container_id, "containerID", REQUIRED),
	F_U32(struct oci_id_map, host_id, "hostID", REQUIRED),
	F_U32(struct oci_id_map, size, "size", REQUIRED));

SHAPE(oci_hook, check_hook,
	F_STR(struct oci_hook, path, "path", REQUIRED | ABSOLUTE),
	F_STRS(struct oci_hook, args, "args", 0),
	F_STRS(struct oci_hook, env, "env", 0),
	F_OI64(struct oci_hook, timeout, "timeout"));

SHAPE(oci_hooks, NULL,
	F_OBJS(struct oci_hooks, prestart, "prestart", 0, oci_hook),
	F_OBJS(struct oci_hooks, create_runtime, "createRuntime", 0, oci_hook),
	F_OBJS(struct oci_hooks, create_container, "createContainer", 0, oci_hook),
	F_OBJS(struct oci_hooks, start_container, "startContainer", 0, oci_hook),
	F_OBJS(struct oci_hooks, poststart, "poststart", 0, oci_hook),
	F_OBJS(struct oci_hooks, poststop, "poststop", 0, oci_hook));

/* A relative destination is taken as below the root, which is for rootfs/ to do and to warn about. */
SHAPE(oci_mount, check_mount,
	F_STR(struct oci_mount, destination, "destination", REQUIRED | NONEMPTY),
	F_STR(struct oci_mount, source, "source", EMPTY_NONE),
	F_STR(struct oci_mount, type, "type", EMPTY_NONE),
	F_STRS(struct oci_mount, options, "options", 0),
	F_OBJS(struct oci_mount, uid_mappings, "uidMappings", 0, oci_id_map),
	F_OBJS(struct oci_mount, gid_mappings, "gidMappings", 0, oci_id_map));

SHAPE(oci_root, NULL,
	F_STR(struct oci_root, path, "path", REQUIRED | NONEMPTY),
	F_BOOL(struct oci_root, readonly, "readonly", 0));

SHARED_SHAPE(oci_spec, check_spec,
	F_STR(struct oci_spec, oci_version, "ociVersion", REQUIRED | NONEMPTY),
	F_STR(struct oci_spec, hostname, "hostname", EMPTY_NONE),
	F_STR(struct oci_spec, domainname, "domainname", EMPTY_NONE),
	F_OBJ(struct oci_spec, root, "root", 0, oci_root),
	F_OBJ(struct oci_spec, process, "process", 0, oci_process),
	F_OBJ(struct oci_spec, hooks, "hooks", 0, oci_hooks),
	F_OBJ(struct oci_spec, linux_, "linux", 0, oci_linux),
	F_OBJ(struct oci_spec, vm, "vm", 0, oci_vm),
	F_OBJS(struct oci_spec, mounts, "mounts", 0, oci_mount),
	F_MAP(struct oci_spec, annotations, "annotations", NONEMPTY));

struct mounts { struct oci_mount_list mounts; };
SHAPE(mounts, NULL, F_OBJS(struct mounts, mounts, "mounts", REQUIRED, oci_mount));

/* clang-format on */

/* ---- ways in ---- */

/* NULL and *e set, or the object. */
static const void *parse(struct arena *a, const struct shape *s, const char *text, size_t len, struct err *e)
{
	auto_arena struct arena nodes = { 0 };
	const struct json *tree;

	if (json_parse_apart(&nodes, a, text, len, &tree, e) < 0)
		return NULL;
	void *object = arena_alloc(a, s->size);

	return decode(a, s, tree, object, e) < 0 ? NULL : object;
}

int oci_spec_parse(struct arena *a, const char *text, size_t len, const struct oci_spec **out, struct err *e)
{
	const struct oci_spec *spec = parse(a, &shape_oci_spec, text, len, e);

	if (!spec)
		return -e->code;
	*out = spec;
	return 0;
}

int oci_process_parse(struct arena *a, const char *text, size_t len, const struct oci_process **out, struct err *e)
{
	const struct oci_process *process = parse(a, &shape_oci_process, text, len, e);

	if (!process)
		return -e->code;
	*out = process;
	return 0;
}

/* An array at the top, which no table describes: the same as a document that has it as its member. */
int oci_mounts_parse(struct arena *a, const char *text, size_t len, const struct oci_mount_list **out, struct err *e)
{
	const struct json *tree;
	struct mounts *all = arena_new(a, struct mounts);
	int r = json_parse(a, text, len, &tree, e);

	if (r < 0)
		return r;
	struct json *list = arena_new(a, struct json);

	*list = *tree;
	list->key = "mounts";
	struct json document = { .type = JSON_OBJECT, .child = list, .len = 1, .line = tree->line };

	r = decode(a, &shape_mounts, &document, all, e);
	if (r == 0)
		*out = &all->mounts;
	return r;
}

int oci_resources_parse(struct arena *a, const char *text, size_t len, const struct oci_resources **out, struct err *e)
{
	const struct oci_resources *resources = parse(a, &shape_oci_resources, text, len, e);

	if (!resources)
		return -e->code;
	*out = resources;
	return 0;
}

void oci_resources_encode(const struct oci_resources *r, struct strbuf *out)
{
	struct json_writer w;

	json_begin(&w, out, 0);
	encode(&w, NULL, &shape_oci_resources, r);
}

int oci_spec_check(struct arena *a, const char *text, size_t len, const struct oci_spec **out, struct oci_problems *p,
		   struct err *e)
{
	const struct json *tree;
	struct problems all;
	int r = json_parse(a, text, len, &tree, e);

	if (r < 0) {
		const char **one = arena_alloc(a, sizeof(*one));

		*one = arena_strdup(a, e->text);
		*p = (struct oci_problems){ .v = one, .n = 1 };
		return r;
	}
	struct oci_spec *spec = arena_new(a, struct oci_spec);

	if (decode_all(a, &shape_oci_spec, tree, spec, &all, e) == 0)
		*out = spec;
	*p = (struct oci_problems){ all.v, all.n, all.hints, all.n_hints };
	return 0;
}
