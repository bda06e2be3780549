/* A container that may divide its own cgroup.
 *
 * A configuration that makes a cgroup namespace and mounts /sys/fs/cgroup writable wants the container to manage cgroups below its
 * own, as systemd does. On cgroup v2 that is safe to give to whom the container's first process is: the directory, and the files
 * the kernel lists in /sys/kernel/cgroup/delegate. The limits in it stay ours. v1 has no such concept.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "cgroups/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static bool makes_namespace(const struct oci_linux *l, int type)
{
	for (size_t i = 0; i < l->namespaces.n; i++)
		if (l->namespaces.v[i].type == type && !l->namespaces.v[i].path)
			return true;
	return false;
}

static bool has_namespace(const struct oci_linux *l, int type)
{
	for (size_t i = 0; i < l->namespaces.n; i++)
		if (l->namespaces.v[i].type == type)
			return true;
	return false;
}

static bool is_writable(const struct oci_mount *m)
{
	bool writable = true;

	for (size_t i = 0; i < m->options.n; i++)
		if (str_eq(m->options.v[i], "ro") || str_eq(m->options.v[i], "rw"))
			writable = m->options.v[i][1] == 'w';
	return writable;
}

/* The last mount on a place is the one that is seen. */
static bool mounts_writable(const struct oci_spec *spec, struct arena *a)
{
	bool writable = false;

	for (size_t i = 0; i < spec->mounts.n; i++) {
		const struct oci_mount *m = &spec->mounts.v[i];

		if (str_eq(path_clean(a, m->destination), "/sys/fs/cgroup"))
			writable = (str_eq(m->type, "cgroup") || str_eq(m->type, "cgroup2")) && is_writable(m);
	}
	return writable;
}

static bool host_uid(const struct oci_linux *l, uint32_t uid, uid_t *out)
{
	for (size_t i = 0; i < l->uid_mappings.n; i++) {
		const struct oci_id_map *m = &l->uid_mappings.v[i];

		if (uid >= m->container_id && uid - m->container_id < m->size) {
			*out = m->host_id + (uid - m->container_id);
			return true;
		}
	}
	/* Another's user namespace without mappings says nothing; one made without them is the same as none. */
	*out = uid;
	return !l->uid_mappings.n && (!has_namespace(l, OCI_NS_USER) || makes_namespace(l, OCI_NS_USER));
}

bool cg_plan_owner(const struct oci_spec *spec, const struct host *h, struct arena *a, uid_t *out)
{
	uint32_t uid = spec->process && spec->process->user ? spec->process->user->uid : 0;

	return h->cgroup_mode == CGROUP_MODE_V2 && makes_namespace(spec->linux_, OCI_NS_CGROUP) && mounts_writable(spec, a) &&
	       host_uid(spec->linux_, uid, out);
}

/* What the kernel says may be given away; one that does not say so has these. */
static char *delegated_files(struct arena *a)
{
	struct err ignored;
	char *text;

	if (file_read_pseudo(AT_FDCWD, "/sys/kernel/cgroup/delegate", 4095, a, &text, &ignored) > 0)
		return text;
	return arena_strdup(a, "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n");
}

int cg_give_away(const struct cgroup_dir *d, uid_t owner, struct err *e)
{
	auto_arena struct arena a = { 0 };
	auto_fd int fd = openat(AT_FDCWD, d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *list = delegated_files(&a), *save;

	if (fd < 0 || fchown(fd, owner, (gid_t)-1) < 0)
		return err_errno(e, "giving cgroup %s to user %u", d->path, owner);
	for (char *file = strtok_r(list, "\n", &save); file; file = strtok_r(NULL, "\n", &save))
		if (!strchr(file, '/') && fchownat(fd, file, owner, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
			return err_errno(e, "giving %s/%s to user %u", d->path, file, owner);
	return 0;
}
