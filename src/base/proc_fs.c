#include "base/proc_fs.h"
#include "base/cleanup.h"
#include "base/retry.h"
#include "base/str.h"
#include "base/sys.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define NAME_MAX_LEN 512 /* bytes of a name below /proc */

/* Is fd the root directory of a procfs? Nothing else has that magic together with inode 1. */
static int verify(int fd, struct err *e)
{
	struct statfs fs;
	struct stat st;

	if (RETRY(fstatfs(fd, &fs)) < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "/proc");
	if (fs.f_type != SYS_PROC_SUPER_MAGIC || st.st_ino != 1)
		return err_set(e, EINVAL, "/proc is not the root of a procfs");
	return 0;
}

static int write_text(int fd, const char *path, const char *text, struct err *e)
{
	size_t len = strlen(text);
	ssize_t n = RETRY(write(fd, text, len));

	if (n < 0)
		return err_errno(e, "%s", path);
	if ((size_t)n != len)
		return err_set(e, EIO, "%s: short write", path);
	return 0;
}

static int make_instance(bool full)
{
	auto_fd int fs = sys_fsopen("proc", SYS_FSOPEN_CLOEXEC);

	if (fs < 0)
		return -1;
	/* Should the descriptor ever leak, it shows neither other processes nor anything but processes. */
	if (!full && (sys_fsconfig(fs, SYS_FSCONFIG_STRING, "hidepid", "ptraceable", 0) < 0 ||
		      sys_fsconfig(fs, SYS_FSCONFIG_STRING, "subset", "pid", 0) < 0))
		return -1;
	if (full && sys_fsconfig(fs, SYS_FSCONFIG_STRING, "source", PROC_FS_SOURCE, 0) < 0)
		return -1;
	if (sys_fsconfig(fs, SYS_FSCONFIG_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return sys_fsmount(fs, SYS_FSMOUNT_CLOEXEC, PROC_FS_ATTRS);
}

static int open_mounted(struct err *e)
{
	auto_fd int fd = openat(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, "/proc");
	if (verify(fd, e) < 0)
		return -e->code;
	return take_fd(&fd);
}

int proc_fs_open(bool full, bool *fresh, struct err *e)
{
	auto_fd int fd = make_instance(full);

	if (fresh)
		*fresh = fd >= 0;
	if (fd >= 0)
		return take_fd(&fd);
	if (errno == ENOSYS)
		return err_set(e, ENOSYS, "the kernel lacks the mount system calls, drupe needs Linux 5.14 or later");
	return open_mounted(e);
}

int proc_fs_write_host(const char *path, const char *text, struct err *e)
{
	struct sys_open_how how = {
		.flags = O_WRONLY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = SYS_RESOLVE_NO_SYMLINKS | SYS_RESOLVE_NO_MAGICLINKS,
	};
	auto_fd int fd = RETRY(sys_openat2(AT_FDCWD, path, &how));
	struct statfs fs;

	if (fd < 0 || RETRY(fstatfs(fd, &fs)) < 0)
		return err_errno(e, "%s", path);
	if (fs.f_type != SYS_PROC_SUPER_MAGIC)
		return err_set(e, EINVAL, "%s is not of a procfs", path);
	return write_text(fd, path, text, e);
}

/* "self" and "thread-self" are links, and links are not followed: puts what they stand for in front of the rest. */
static int spell_out(int proc_fd, const char *name, char out[NAME_MAX_LEN], struct err *e)
{
	size_t len = strcspn(name, "/");
	bool self = len == 4 && memcmp(name, "self", 4) == 0, thread = len == 11 && memcmp(name, "thread-self", 11) == 0;
	char link[64] = "";
	int n;

	if (!self && !thread) {
		n = text_format(out, NAME_MAX_LEN, "%s", name);
	} else {
		ssize_t got = readlinkat(proc_fd, self ? "self" : "thread-self", link, sizeof(link) - 1);

		if (got < 0)
			return err_errno(e, "/proc/%s", name);
		link[got] = '\0';
		if (link[0] == '\0' || strspn(link, "0123456789/task") != (size_t)got || link[0] == '/')
			return err_set(e, EINVAL, "/proc/%s leads to \"%s\"", self ? "self" : "thread-self", link);
		n = text_format(out, NAME_MAX_LEN, "%s%s", link, name + len);
	}
	return n < NAME_MAX_LEN ? 0 : err_set(e, ENAMETOOLONG, "/proc/%s", name);
}

int proc_fs_file(int proc_fd, const char *name, int flags, struct err *e)
{
	char real[NAME_MAX_LEN];
	struct sys_open_how how = {
		.flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
		.resolve = SYS_RESOLVE_BENEATH | SYS_RESOLVE_NO_XDEV | SYS_RESOLVE_NO_SYMLINKS | SYS_RESOLVE_NO_MAGICLINKS,
	};

	if (spell_out(proc_fd, name, real, e) < 0)
		return -e->code;
	int fd = RETRY(sys_openat2(proc_fd, real, &how));

	return fd < 0 ? err_errno(e, "/proc/%s", name) : fd;
}

int proc_fs_write(int proc_fd, const char *name, const char *text, struct err *e)
{
	char path[NAME_MAX_LEN];
	auto_fd int fd = proc_fs_file(proc_fd, name, O_WRONLY | O_NOFOLLOW, e);

	if (fd < 0)
		return fd;
	text_format(path, sizeof(path), "/proc/%s", name);
	return write_text(fd, path, text, e);
}
