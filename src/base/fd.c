#include "base/fd.h"
#include "base/cleanup.h"
#include "base/retry.h"
#include "base/str.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

int fd_write_all(int fd, const void *data, size_t len, struct err *e)
{
	const char *p = data;

	while (len) {
		ssize_t n = RETRY(write(fd, p, len));

		if (n < 0)
			return err_errno(e, "write");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Reads until end of file or until more than max bytes came; room for max + 1 is at buf. A read that could have brought more than
 * the size of the file and did not has seen its end; size SIZE_MAX: unknown. */
static ssize_t read_up_to(int fd, char *buf, size_t max, size_t size)
{
	size_t have = 0;

	while (have <= max && have != size) {
		ssize_t n = RETRY(read(fd, buf + have, max + 1 - have));

		if (n < 0)
			return -1;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

ssize_t file_read_later(struct fd_pile *later, int dirfd, const char *name, size_t max, bool nofollow, struct arena *a, char **out,
			struct err *e)
{
	struct stat st;
	auto_fd int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (nofollow ? O_NOFOLLOW : 0));

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "%s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "%s: not a regular file", name);
	if ((uint64_t)st.st_size > max)
		return err_set(e, EFBIG, "%s: larger than %zu bytes", name, max);
	size_t want = (size_t)st.st_size;
	char *text = arena_alloc(a, want + 2);
	ssize_t n = read_up_to(fd, text, want, want);

	if (n < 0)
		return err_errno(e, "%s", name);
	if ((size_t)n > want)
		return err_set(e, EBUSY, "%s: grows while it is read", name);
	text[n] = '\0';
	*out = text;
	fd_pile_put(later, &fd);
	return n;
}

ssize_t file_read(int dirfd, const char *name, size_t max, bool nofollow, struct arena *a, char **out, struct err *e)
{
	return file_read_later(NULL, dirfd, name, max, nofollow, a, out, e);
}

/* What the kernel makes up: read on to the end, or whole at once. */
static ssize_t read_pseudo(int dirfd, const char *name, size_t max, bool at_once, struct arena *a, char **out, struct err *e)
{
	auto_fd int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return err_errno(e, "%s", name);
	char *text = arena_alloc(a, max + 2);
	ssize_t n = at_once ? RETRY(read(fd, text, max + 1)) : read_up_to(fd, text, max, SIZE_MAX);

	if (n < 0)
		return err_errno(e, "%s", name);
	if ((size_t)n > max)
		return err_set(e, EFBIG, "%s: larger than %zu bytes", name, max);
	text[n] = '\0';
	*out = text;
	return n;
}

ssize_t file_read_pseudo(int dirfd, const char *name, size_t max, struct arena *a, char **out, struct err *e)
{
	return read_pseudo(dirfd, name, max, false, a, out, e);
}

ssize_t file_read_value(int dirfd, const char *name, size_t max, struct arena *a, char **out, struct err *e)
{
	return read_pseudo(dirfd, name, max, true, a, out, e);
}

int file_write_pseudo(int dirfd, const char *name, const char *text, struct err *e)
{
	auto_fd int fd = openat(dirfd, name, O_WRONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 || RETRY(write(fd, text, strlen(text))) < 0)
		return err_errno(e, "%s", name);
	return 0;
}

/* Refuses to replace anything but a regular file or a link: a FIFO or device by that name is somebody's mistake. */
static int check_replaceable(int dirfd, const char *name, struct err *e)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "%s", name);
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
		return err_set(e, EINVAL, "%s: exists and is not a regular file", name);
	return 0;
}

/* ".NAME.NUMBER" beside name; name may contain a directory part. */
static int temp_name(const char *name, unsigned try, char *out, size_t size)
{
	const char *base = strrchr(name, '/');
	size_t dir = base ? (size_t)(base - name) + 1 : 0;
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	unsigned salt = (unsigned)t.tv_nsec ^ (unsigned)t.tv_sec << 20 ^ try;

	if (dir >= size)
		return -ENAMETOOLONG;
	memcpy(out, name, dir);
	int n = text_format(out + dir, size - dir, ".%s.%u", name + dir, salt);

	return n > 0 && (size_t)n < size - dir ? 0 : -ENAMETOOLONG;
}

static int open_temp(int dirfd, const char *name, mode_t mode, char *tmp, size_t size, struct err *e)
{
	for (unsigned try = 0; try < 100; try++) {
		if (temp_name(name, try, tmp, size) < 0)
			return err_set(e, ENAMETOOLONG, "%.100s...: name is too long", name);
		int fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);

		if (fd >= 0)
			return fd;
		if (errno != EEXIST)
			break;
	}
	return err_errno(e, "%s", name);
}

int file_write_atomic(int dirfd, const char *name, mode_t mode, const void *data, size_t len, struct err *e)
{
	int r = check_replaceable(dirfd, name, e);

	return r < 0 ? r : file_replace(dirfd, name, mode, data, len, e);
}

int file_replace(int dirfd, const char *name, mode_t mode, const void *data, size_t len, struct err *e)
{
	char tmp[4096];
	auto_fd int fd = open_temp(dirfd, name, mode, tmp, sizeof(tmp), e);
	int r = 0;

	if (fd < 0)
		return fd;
	if (fd_write_all(fd, data, len, e) < 0)
		r = err_in(e, "%s", name);
	if (r == 0 && renameat(dirfd, tmp, dirfd, name) < 0)
		r = err_errno(e, "%s", name);
	if (r < 0)
		(void)unlinkat(dirfd, tmp, 0);
	return r;
}

int fd_ensure_stdio(struct err *e)
{
	struct pollfd all[3] = { { .fd = 0 }, { .fd = 1 }, { .fd = 2 } };
	int closed = 0;

	/* One call for the usual case, in which all are open. */
	if (RETRY(poll(all, 3, 0)) == 0)
		return 0;
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
			continue;
		closed |= 1 << fd;
		int null = openat(AT_FDCWD, "/dev/null", O_RDWR | O_NOCTTY);

		if (null < 0)
			return err_errno(e, "/dev/null");
		if (null != fd) /* cannot be: the lowest free number is fd */
			return err_set(e, EBADF, "standard descriptor %d cannot be opened", fd);
	}
	return closed;
}

int fd_cloexec_from(unsigned first, struct err *e)
{
	if (sys_close_range(first, ~0u, SYS_CLOSE_RANGE_CLOEXEC) < 0)
		return err_errno(e, "close_range (needs Linux 5.11 or later)");
	return 0;
}

int fd_close_others(unsigned first, const int *keep, size_t n, struct err *e)
{
	for (;;) {
		unsigned next = ~0u; /* the lowest kept descriptor from `first` on */

		for (size_t i = 0; i < n; i++)
			if (keep[i] >= 0 && (unsigned)keep[i] >= first && (unsigned)keep[i] < next)
				next = (unsigned)keep[i];
		if (next > first && sys_close_range(first, next == ~0u ? next : next - 1, 0) < 0)
			return err_errno(e, "close_range (needs Linux 5.11 or later)");
		if (next == ~0u)
			return 0;
		first = next + 1;
	}
}

#define FD_RESERVE 64 /* below RLIMIT_NOFILE, for what is opened while others wait */

void fd_pile_init(struct fd_pile *p)
{
	struct rlimit limit;

	p->n = 0;
	p->limit = getrlimit(RLIMIT_NOFILE, &limit) < 0 ? 0 : limit.rlim_cur > INT_MAX ? INT_MAX : (int)limit.rlim_cur;
}

void fd_pile_put(struct fd_pile *p, int *fd)
{
	if (*fd < 0)
		return;
	if (!p || p->n == FD_PILE_MAX || p->limit < FD_RESERVE || *fd > p->limit - FD_RESERVE) {
		close_fd(fd);
		if (p)
			fd_pile_close(p);
		return;
	}
	unsigned i = p->n++;

	for (; i && p->v[i - 1] > *fd; i--)
		p->v[i] = p->v[i - 1];
	p->v[i] = take_fd(fd);
}

void fd_pile_close(struct fd_pile *p)
{
	int saved = errno;

	for (unsigned i = 0, next; i < p->n; i = next) {
		for (next = i + 1; next < p->n && p->v[next] == p->v[next - 1] + 1;)
			next++;
		(void)sys_close_range((unsigned)p->v[i], (unsigned)p->v[next - 1], 0);
	}
	p->n = 0;
	errno = saved;
}

bool fd_is_null_device(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}
