/* Theory of operation: state.json goes through the same tables in both directions, so that what is written can be read. The version
 * is looked at before anything else: a newer document may have members of other types. What hooks and callers see is the document
 * of the specification, written by hand.
 */
#include "oci/state.h"

#include "oci/encode.h"
#include "oci/shapes.h"

#include <errno.h>
#include <string.h>

static int check_state(void *object, struct checker *c)
{
	const struct oci_state *s = object;

	if (strcmp(s->status, "creating") != 0 && strcmp(s->status, "created") != 0 && strcmp(s->status, "running") != 0)
		return check_fail(c, "status", -1, "unknown value \"%.80s\"", s->status);
	if (s->pid < 0)
		return check_fail(c, "pid", -1, "%d is no process id", s->pid);
	return 0;
}

/* ---- tables ---- */
/* clang-format off */

SHAPE(oci_state_cgroup, NULL,
	F_STR(struct oci_state_cgroup, controllers, "controllers", 0),
	F_STR(struct oci_state_cgroup, mount, "mount", 0),
	F_STR(struct oci_state_cgroup, path, "path", REQUIRED),
	F_BOOL(struct oci_state_cgroup, v2, "v2", 0),
	F_U64(struct oci_state_cgroup, ino, "ino", 0));

SHAPE(oci_state_resctrl, NULL,
	F_STR(struct oci_state_resctrl, mount, "mount", REQUIRED | ABSOLUTE),
	F_STR(struct oci_state_resctrl, group, "group", REQUIRED | ABSOLUTE),
	F_STR(struct oci_state_resctrl, mon_group, "monGroup", EMPTY_NONE),
	F_BOOL(struct oci_state_resctrl, owns_group, "ownsGroup", 0),
	F_BOOL(struct oci_state_resctrl, owns_mon_group, "ownsMonGroup", 0));

SHARED_SHAPE(oci_state, check_state,
	F_U32(struct oci_state, version, "version", REQUIRED),
	F_STR(struct oci_state, oci_version, "ociVersion", 0),
	F_STR(struct oci_state, id, "id", REQUIRED | NONEMPTY),
	F_STR(struct oci_state, bundle, "bundle", REQUIRED | ABSOLUTE),
	F_STR(struct oci_state, rootfs, "rootfs", 0),
	F_STR(struct oci_state, backend, "backend", 0),
	F_STR(struct oci_state, created, "created", 0),
	F_STR(struct oci_state, boot_id, "bootId", 0),
	F_STR(struct oci_state, cgroup_manager, "cgroupManager", 0),
	F_STR(struct oci_state, cgroup_mode, "cgroupMode", 0),
	F_STR(struct oci_state, cgroup_path, "cgroupPath", 0),
	F_STR(struct oci_state, cgroup_scope, "cgroupScope", 0),
	F_BOOL(struct oci_state, own_pid_ns, "ownPidNamespace", 0),
	F_BOOL(struct oci_state, no_pivot, "noPivot", 0),
	F_BOOL(struct oci_state, no_new_keyring, "noNewKeyring", 0),
	F_BOOL(struct oci_state, terminal, "terminal", 0),
	F_BOOL(struct oci_state, plain, "plain", 0),
	F_MAP(struct oci_state, annotations, "annotations", 0),
	F_STR(struct oci_state, status, "status", REQUIRED),
	F_I32(struct oci_state, pid, "pid", 0),
	F_U64(struct oci_state, start_time, "startTime", 0),
	F_OBJS(struct oci_state, cgroup_dirs, "cgroupDirs", 0, oci_state_cgroup),
	F_OBJ(struct oci_state, resctrl, "resctrl", 0, oci_state_resctrl));

SHAPE(oci_live_mount, NULL,
	F_STR(struct oci_live_mount, destination, "destination", REQUIRED | ABSOLUTE),
	F_STR(struct oci_live_mount, path, "path", REQUIRED | ABSOLUTE),
	F_U64(struct oci_live_mount, id, "id", REQUIRED));

struct live_mounts { struct oci_live_mount_list mounts; };
SHAPE(live_mounts, NULL, F_OBJS(struct live_mounts, mounts, "mounts", REQUIRED, oci_live_mount));

struct version { uint32_t version; };
SHAPE(version, NULL, F_U32(struct version, version, "version", REQUIRED));

/* clang-format on */

static int check_version(struct arena *a, const struct json *tree, struct err *e)
{
	struct version v = { 0 };
	int r = decode(a, &shape_version, tree, &v, e);

	if (r < 0)
		return r;
	if (v.version > OCI_STATE_VERSION)
		return err_set(e, ENOTSUP, "version %u of the state document is newer than this program knows (%u)", v.version,
			       OCI_STATE_VERSION);
	return 0;
}

int oci_state_parse(struct arena *a, const char *text, size_t len, const struct oci_state **out, struct err *e)
{
	const struct json *tree;
	int r = json_parse(a, text, len, &tree, e);

	if (r < 0)
		return r;
	struct oci_state *s = arena_new(a, struct oci_state);

	r = check_version(a, tree, e);
	if (r == 0)
		r = decode(a, &shape_oci_state, tree, s, e);
	if (r == 0)
		*out = s;
	return r;
}

#define HEAD offsetof(struct oci_state, status) /* the members before do not change */
_Static_assert(HEAD % sizeof(uint64_t) == 0, "same_head() compares words");

/* Padding that differs only has it encoded again. */
static bool same_head(const struct oci_state *s, const struct oci_state *of)
{
	uint64_t a, b;
	size_t at = 0;

	do {
		memcpy(&a, (const char *)s + at, sizeof(a));
		memcpy(&b, (const char *)of + at, sizeof(b));
		at += sizeof(a);
	} while (a == b && at < HEAD);
	return a == b;
}

static size_t head_members(void)
{
	size_t n = 0;

	while (shape_oci_state.fields[n].offset < HEAD)
		n++;
	return n;
}

void oci_state_encode(const struct oci_state *s, struct oci_state_text *t)
{
	const size_t n = head_members();

	if (t->head && same_head(s, &t->of)) {
		t->text.len = t->head;
	} else {
		t->text.len = 0;
		json_begin(&t->after, &t->text, 0);
		json_open(&t->after, NULL, '{');
		encode_members(&t->after, &shape_oci_state, s, 0, n);
		t->head = t->text.len;
		t->of = *s;
	}
	struct json_writer w = t->after;

	encode_members(&w, &shape_oci_state, s, n, shape_oci_state.n);
	json_close(&w, '}');
}

int oci_live_mounts_parse(struct arena *a, const char *text, size_t len, struct oci_live_mount_list *out, struct err *e)
{
	struct live_mounts all = { 0 };
	const struct json *tree;
	int r = json_parse(a, text, len, &tree, e);

	if (r == 0)
		r = decode(a, &shape_live_mounts, tree, &all, e);
	if (r == 0)
		*out = all.mounts;
	return r;
}

void oci_live_mounts_encode(const struct oci_live_mount_list *l, struct strbuf *out)
{
	static struct oci_live_mount none;
	struct live_mounts all = { { l->n ? l->v : &none, l->n } };
	struct json_writer w;

	json_begin(&w, out, 0);
	encode(&w, NULL, &shape_live_mounts, &all);
}

void oci_state_for_hook(const char *oci_version, const char *id, const char *status, int pid, const char *bundle,
			const struct pairs *annotations, struct strbuf *out)
{
	struct json_writer w;

	json_begin(&w, out, 0);
	json_open(&w, NULL, '{');
	json_str(&w, "ociVersion", oci_version);
	json_str(&w, "id", id);
	json_str(&w, "status", status);
	if (pid || strcmp(status, "stopped") != 0)
		json_i64(&w, "pid", pid);
	json_str(&w, "bundle", bundle);
	if (annotations && annotations->n) {
		json_open(&w, "annotations", '{');
		for (size_t i = 0; i < annotations->n; i++)
			json_str(&w, annotations->v[i].name, annotations->v[i].value);
		json_close(&w, '}');
	}
	json_close(&w, '}');
}
