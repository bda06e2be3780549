/* proc_check.c - what may be mounted where /proc and /sys are concerned
 *
 * A runtime and the programs it starts trust /proc: labels, maps and sysctls are written there. Nothing but a procfs may therefore
 * become /proc, and of what is in it only a few files, those that lxcfs replaces, may be covered (CVE-2019-16884, CVE-2019-19921,
 * CVE-2023-27561, CVE-2023-28642). The names in the config are checked when the plan is made; what a name really leads to, through
 * the links of an image, when it is mounted.
 */
#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "rootfs/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static const char *const allowed[] = {
	"/proc/cpuinfo",
	"/proc/diskstats",
	"/proc/meminfo",
	"/proc/stat",
	"/proc/swaps",
	"/proc/uptime",
	"/proc/loadavg",
	"/proc/slabinfo",
	"/proc/sys/kernel/ns_last_pid",
	"/proc/sys/crypto/fips_enabled",
};
#define N_ALLOWED (sizeof(allowed) / sizeof(allowed[0]))

int proc_check_plan(const struct mount_op *op, struct err *e)
{
	if (str_eq(op->dest, "/proc")) {
		if (op->remount || op->kind == MOUNT_BIND || (op->kind == MOUNT_FS && str_eq(op->fstype, "proc")))
			return 0; /* that a bind's source is a procfs is seen when it is opened */
		return err_set(e, EINVAL, "only a procfs may be mounted on /proc");
	}
	if (!str_starts(op->dest, "/proc/") || op->remount)
		return 0;
	for (size_t i = 0; i < N_ALLOWED; i++)
		if (str_eq(op->dest, allowed[i]))
			return 0;
	return err_set(e, EINVAL, "nothing may be mounted there below /proc");
}

/* Does fd stand at the root of a procfs? */
static bool is_procfs_root(int fd)
{
	struct stat st;

	return fd >= 0 && tree_magic(fd) == SYS_PROC_SUPER_MAGIC && fstat(fd, &st) == 0 && st.st_ino == 1;
}

static bool is_same_file(int root, const char *path, const struct stat *st)
{
	struct err ignored;
	struct stat other;
	auto_fd int fd = path_open_in(root, path, O_PATH | O_NOFOLLOW, &ignored);

	return fd >= 0 && fstat(fd, &other) == 0 && other.st_dev == st->st_dev && other.st_ino == st->st_ino;
}

static bool is_allowed_file(int root, const struct stat *st)
{
	for (size_t i = 0; i < N_ALLOWED; i++)
		if (is_same_file(root, allowed[i], st))
			return true;
	return false;
}

int proc_check_target(int root, int target_fd, int mount_fd, struct err *e)
{
	struct stat st, proc;

	if (fstat(target_fd, &st) < 0)
		return err_errno(e, "target");
	if (tree_magic(target_fd) != SYS_PROC_SUPER_MAGIC) {
		bool is_proc = fstatat(root, "proc", &proc, AT_SYMLINK_NOFOLLOW) == 0 && proc.st_dev == st.st_dev &&
			       proc.st_ino == st.st_ino;

		if (is_proc && !is_procfs_root(mount_fd))
			return err_set(e, EINVAL, "the target is /proc, where only a procfs may be mounted");
		return 1;
	}
	if (st.st_ino == 1 ? is_procfs_root(mount_fd) : is_allowed_file(root, &st))
		return 0;
	return err_set(e, EINVAL, "the target lies in a procfs, where nothing may be mounted");
}

bool proc_needs_plain_dir(const struct mount_op *op)
{
	if (str_eq(op->dest, "/proc") || str_eq(op->dest, "/sys"))
		return true;
	return op->kind == MOUNT_FS && (str_eq(op->fstype, "proc") || str_eq(op->fstype, "sysfs"));
}

/* Like path_open_in(), but not through any link. */
static int open_linkless(int root, const char *path)
{
	struct sys_open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = SYS_RESOLVE_IN_ROOT | SYS_RESOLVE_NO_SYMLINKS,
	};
	int fd = -1;

	for (int i = 0; i < 128; i++) {
		fd = sys_openat2(root, path, &how);
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd;
}

/* Not a directory: is it the last component? Keeps errno. */
static bool is_no_dir(int root, const char *dest, int code)
{
	struct err ignored;
	auto_fd int fd = code == ENOTDIR ? path_open_in(root, dest, O_PATH | O_NOFOLLOW, &ignored) : -1;

	errno = code;
	return fd >= 0;
}

int proc_open_plain_dir(int root, const char *dest, struct err *e)
{
	auto_fd int fd = open_linkless(root, dest);

	if (fd < 0 && errno == ENOENT) {
		auto_fd int made = path_mkdir_in(root, dest, 0755, e);

		if (made < 0)
			return made;
		fd = open_linkless(root, dest);
	}
	if (fd < 0 && errno != ELOOP && !is_no_dir(root, dest, errno))
		return err_errno(e, "%s", dest);
	if (fd < 0)
		return err_set(e, EINVAL, "the mount point must be a directory, with no symbolic link on the way");
	return take_fd(&fd);
}
