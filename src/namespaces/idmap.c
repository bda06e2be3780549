/* idmap.c - writes the id maps of a user namespace
 *
 * Maps are written once, from the parent namespace, while the new namespace's first process waits. The files are reached through a
 * descriptor of /proc/PID that is checked to be procfs, without links and mounts on the way. The process is our child and not
 * waited for, so its pid cannot have become another's. Where we lack the capability, newuidmap(1) and newgidmap(1) decide by
 * /etc/subuid and /etc/subgid what we may map; they are searched in fixed directories, whatever PATH says.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/retry.h"
#include "base/run.h"
#include "base/str.h"
#include "namespaces/ns_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#define HELPER_DEADLINE_MS 10000
#define HELPER_SAYS_MAX    300 /* bytes of its stderr that fit into an error */

static int open_proc_pid(pid_t pid, struct err *e)
{
	char path[32];
	struct statfs fs;

	text_format(path, sizeof(path), "/proc/%d", (int)pid);
	auto_fd int dir = RETRY(openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));

	if (dir < 0)
		return err_errno(e, "%s", path);
	if (fstatfs(dir, &fs) < 0)
		return err_errno(e, "%s: statfs", path);
	if ((unsigned long)fs.f_type != SYS_PROC_SUPER_MAGIC)
		return err_set(e, EXDEV, "%s: is not procfs", path);
	return take_fd(&dir);
}

static int write_proc(int dir, const char *name, const char *text, struct err *e)
{
	struct sys_open_how how = {
		.flags = O_WRONLY | O_CLOEXEC | O_NONBLOCK,
		.resolve = SYS_RESOLVE_BENEATH | SYS_RESOLVE_NO_XDEV | SYS_RESOLVE_NO_SYMLINKS | SYS_RESOLVE_NO_MAGICLINKS,
	};
	auto_fd int fd = RETRY(sys_openat2(dir, name, &how));

	if (fd < 0)
		return err_errno(e, "%s", name);
	if (RETRY(write(fd, text, strlen(text))) < 0)
		return err_errno(e, "%s", name);
	return 0;
}

/* The kernel takes a map only whole, in one write of less than a page. */
static int write_map(int dir, const char *name, const struct oci_id_map_list *map, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct strbuf text = STRBUF(&a);
	long page = sysconf(_SC_PAGESIZE);

	for (size_t i = 0; i < map->n; i++)
		strbuf_printf(&text, "%" PRIu32 " %" PRIu32 " %" PRIu32 "\n", map->v[i].container_id, map->v[i].host_id,
			      map->v[i].size);
	if (text.len >= (size_t)page)
		return err_set(e, EINVAL, "%s: %zu entries make a text of %zu bytes, the kernel takes less than %ld", name, map->n,
			       text.len, page);
	return write_proc(dir, name, strbuf_str(&text), e);
}

static int write_maps(pid_t pid, const struct oci_id_map_list *uid, const struct oci_id_map_list *gid, bool deny_setgroups,
		      struct err *e)
{
	auto_fd int dir = open_proc_pid(pid, e);
	int r;

	if (dir < 0)
		return dir;
	if ((r = write_map(dir, "uid_map", uid, e)) < 0)
		return r;
	/* Before gid_map: without privilege the kernel insists, as groups may also deny access. */
	if (deny_setgroups && (r = write_proc(dir, "setgroups", "deny", e)) < 0)
		return r;
	return write_map(dir, "gid_map", gid, e);
}

/* Fixed directories: PATH is the caller's. Where there is none, the last one is what execve() will complain about. */
static const char *find_helper(const char *name, struct arena *a)
{
	static const char *const dirs[] = { "/usr/bin", "/bin", "/usr/sbin", "/sbin" };
	const char *path = NULL;

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		path = arena_printf(a, "%s/%s", dirs[i], name);
		if (access(path, F_OK) == 0)
			break;
	}
	return path;
}

static int run_helper(const char *name, char *const argv[], struct arena *a, struct err *e)
{
	static char *const env[] = { (char *)"PATH=/usr/bin:/bin:/usr/sbin:/sbin", (char *)"LC_ALL=C", NULL };
	char says[HELPER_SAYS_MAX];
	int r = run_program(&(struct run){ .path = find_helper(name, a),
					   .argv = argv,
					   .envp = env,
					   .timeout_ms = HELPER_DEADLINE_MS,
					   .says = says,
					   .says_room = sizeof(says) },
			    e);

	if (r == 0)
		return 0;
	if (r > 0)
		(void)run_failed(r, says, name, EPERM, e);
	else if (r != -ETIMEDOUT)
		e->code = EPERM;
	return err_in(e, "%s", name);
}

/* newuidmap PID CONTAINER HOST SIZE ... */
static int map_by_helper(const char *name, pid_t pid, const struct oci_id_map_list *map, struct err *e)
{
	auto_arena struct arena a = { 0 };
	char **argv = arena_alloc(&a, (3 * map->n + 3) * sizeof(*argv));
	size_t n = 0;

	argv[n++] = arena_strdup(&a, name);
	argv[n++] = arena_printf(&a, "%d", (int)pid);
	for (size_t i = 0; i < map->n; i++) {
		argv[n++] = arena_printf(&a, "%" PRIu32, map->v[i].container_id);
		argv[n++] = arena_printf(&a, "%" PRIu32, map->v[i].host_id);
		argv[n++] = arena_printf(&a, "%" PRIu32, map->v[i].size);
	}
	return run_helper(name, argv, &a, e);
}

int ns_write_maps(const struct ns_plan *p, pid_t pid, struct err *e)
{
	int r;

	if (p->uid_map.n == 0)
		return 0;
	if (!p->map_by_helper)
		r = write_maps(pid, &p->uid_map, &p->gid_map, p->deny_setgroups, e);
	else if ((r = map_by_helper("newuidmap", pid, &p->uid_map, e)) == 0)
		r = map_by_helper("newgidmap", pid, &p->gid_map, e);
	return r < 0 ? err_in(e, "user namespace") : 0;
}

/* The namespace lives as long as its one process or a descriptor; the process only has to exist until we hold the latter. */
static int userns_of(pid_t pid, const struct oci_id_map_list *uid, const struct oci_id_map_list *gid, struct err *e)
{
	char path[48];
	int r = write_maps(pid, uid, gid, false, e);

	if (r < 0)
		return r;
	text_format(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	int fd = RETRY(openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC));

	return fd < 0 ? err_errno(e, "%s", path) : fd;
}

int ns_make_userns(const struct oci_id_map_list *uid, const struct oci_id_map_list *gid, struct err *e)
{
	auto_fd int pidfd = -1;
	pid_t parent = getpid();
	pid_t pid = proc_fork(SYS_CLONE_NEWUSER, &pidfd, -1, e);

	if (pid < 0)
		return err_in(e, "user namespace for an id-mapped mount");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		for (;;)
			pause();
	}
	int fd = userns_of(pid, uid, gid, e);

	sys_pidfd_send_signal(pidfd, SIGKILL);
	RETRY(waitpid(pid, NULL, 0));
	return fd < 0 ? err_in(e, "user namespace for an id-mapped mount") : fd;
}
