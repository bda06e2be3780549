/* copyup.c - tmpcopyup: a tmpfs that starts with the files of the directory it covers
 *
 * Copies between two directory descriptors before the tmpfs is attached. Names are opened without following links and without
 * blocking, and are checked to be what they were listed as; other file systems below the directory are not entered.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/retry.h"
#include "base/str.h"
#include "rootfs/internal.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define DEPTH_MAX 128 /* directories below each other; two descriptors are open for each */

static void close_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}

static int copy_data(int from, int to, const char *name, struct err *e)
{
	char buf[65536];
	ssize_t n;

	while ((n = RETRY(read(from, buf, sizeof(buf)))) > 0)
		if (fd_write_all(to, buf, (size_t)n, e) < 0)
			return err_in(e, "%s", name);
	return n < 0 ? err_errno(e, "%s", name) : 0;
}

/* Extended attributes that a tmpfs does not take are left behind. */
static void copy_xattrs(int from, int to)
{
	char names[4096], value[4096];
	ssize_t len = flistxattr(from, names, sizeof(names));

	for (ssize_t i = 0; i < len; i += (ssize_t)strlen(names + i) + 1) {
		ssize_t n = fgetxattr(from, names + i, value, sizeof(value));

		if (n >= 0)
			(void)fsetxattr(to, names + i, value, (size_t)n, 0);
	}
}

/* Owner, mode and times of an open file; the order matters, a change of owner clears the set-id bits. */
static int copy_attrs(int from, int to, const struct stat *st, const char *name, struct err *e)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	copy_xattrs(from, to);
	if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0 || futimens(to, times) < 0)
		return err_errno(e, "%s", name);
	return 0;
}

static int copy_file(int from_dir, int to_dir, const char *name, const struct stat *st, struct err *e)
{
	struct stat now;
	auto_fd int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (from < 0 || fstat(from, &now) < 0)
		return err_errno(e, "%s", name);
	if (!S_ISREG(now.st_mode))
		return err_set(e, EINVAL, "%s: changed while it was copied", name);
	auto_fd int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (to < 0)
		return err_errno(e, "%s", name);
	if (copy_data(from, to, name, e) < 0)
		return -e->code;
	return copy_attrs(from, to, st, name, e);
}

static int copy_link(int from_dir, int to_dir, const char *name, const struct stat *st, struct err *e)
{
	char target[4097];
	ssize_t n = readlinkat(from_dir, name, target, sizeof(target) - 1);

	if (n < 0)
		return err_errno(e, "%s", name);
	target[n] = '\0';
	if (symlinkat(target, to_dir, name) < 0 || fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, "%s", name);
	return 0;
}

/* The target directory is a tmpfs nobody else sees, so that nothing can be exchanged between the calls. */
static int copy_special(int to_dir, const char *name, const struct stat *st, struct err *e)
{
	if (mknodat(to_dir, name, st->st_mode & (S_IFMT | 07777), st->st_rdev) < 0 ||
	    fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(to_dir, name, st->st_mode & 07777, 0) < 0)
		return err_errno(e, "%s", name);
	return 0;
}

static int copy_tree(int from, int to, int depth, struct err *e);

static int copy_dir(int from_dir, int to_dir, const char *name, const struct stat *st, int depth, struct err *e)
{
	struct stat parent;
	auto_fd int from = openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (from < 0 || mkdirat(to_dir, name, 0700) < 0)
		return err_errno(e, "%s", name);
	auto_fd int to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (to < 0 || fstat(from_dir, &parent) < 0)
		return err_errno(e, "%s", name);
	if (parent.st_dev == st->st_dev && copy_tree(from, to, depth + 1, e) < 0)
		return err_in(e, "%s", name);
	return copy_attrs(from, to, st, name, e);
}

static int copy_entry(int from, int to, const char *name, int depth, struct err *e)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, "%s", name);
	if (S_ISDIR(st.st_mode))
		return copy_dir(from, to, name, &st, depth, e);
	if (S_ISREG(st.st_mode))
		return copy_file(from, to, name, &st, e);
	if (S_ISLNK(st.st_mode))
		return copy_link(from, to, name, &st, e);
	return copy_special(to, name, &st, e);
}

static int copy_tree(int from, int to, int depth, struct err *e)
{
	auto_fd int list = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir __attribute__((cleanup(close_dir))) = list < 0 ? NULL : fdopendir(list);
	struct dirent *d;

	if (!dir)
		return err_errno(e, "cannot list a directory");
	(void)take_fd(&list); /* now dir's */
	if (depth > DEPTH_MAX)
		return err_set(e, ELOOP, "more than %d directories below each other", DEPTH_MAX);
	while (errno = 0, (d = readdir(dir))) {
		if (str_eq(d->d_name, ".") || str_eq(d->d_name, ".."))
			continue;
		if (copy_entry(from, to, d->d_name, depth, e) < 0)
			return -e->code;
	}
	return errno ? err_errno(e, "cannot list a directory") : 0;
}

int copyup(int from_dir_fd, int to_dir_fd, struct err *e)
{
	return copy_tree(from_dir_fd, to_dir_fd, 0, e);
}
