/* fd.h - descriptors and whole files
 *
 * Everything opened here is close-on-exec. No function blocks on a FIFO, a device or an endless file: a name that must be a
 * regular file is opened with O_NONBLOCK and checked before it is read.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct fd_pile; /* below */

/* Writes all of data, resuming after signals and short writes. */
must_check int fd_write_all(int fd, const void *data, size_t len, struct err *e);

/* Reads the whole regular file `name` below dirfd (AT_FDCWD allowed) into the arena, NUL-terminated. nofollow refuses a symbolic
 * link as last component. Returns its length. EINVAL not a regular file, EFBIG above max bytes, or the error of open/read;
 * the text begins with the name. */
must_check ssize_t file_read(int dirfd, const char *name, size_t max, bool nofollow, struct arena *a, char **out, struct err *e);

/* The same, and the end of the descriptor may wait; later as for fd_pile_put(). */
must_check ssize_t file_read_later(struct fd_pile *later, int dirfd, const char *name, size_t max, bool nofollow, struct arena *a, char **out,
				   struct err *e);

/* Reads a /proc or /sys or cgroup file (no size known) of up to max bytes. Returns its length, trailing newlines kept. */
must_check ssize_t file_read_pseudo(int dirfd, const char *name, size_t max, struct arena *a, char **out, struct err *e);

/* The same for a file that the kernel gives whole in one read(2): one value, or /proc/PID/status and its like, but no list that may be
 * longer than a page. */
must_check ssize_t file_read_value(int dirfd, const char *name, size_t max, struct arena *a, char **out, struct err *e);

/* Writes text to an existing pseudo file in one write(2). The text of *e is "NAME: REASON". */
must_check int file_write_pseudo(int dirfd, const char *name, const char *text, struct err *e);

/* Puts a file in place atomically: a temporary ".NAME.XXXX" in the same directory (O_EXCL, mode less umask), then rename. An existing
 * `name` that is not a regular file is refused (EINVAL), a link is replaced, never followed. Leaves nothing behind on failure. */
must_check int file_write_atomic(int dirfd, const char *name, mode_t mode, const void *data, size_t len, struct err *e);

/* The same in a directory of our own, where nothing else can have that name. */
must_check int file_replace(int dirfd, const char *name, mode_t mode, const void *data, size_t len, struct err *e);

/* Makes 0, 1 and 2 open (/dev/null where closed). Returns which were closed, as bits 1 << number. */
must_check int fd_ensure_stdio(struct err *e);

/* Marks every descriptor >= first close-on-exec, by close_range(2). */
must_check int fd_cloexec_from(unsigned first, struct err *e);

/* Descriptors of which no more is wanted, but whose end can wait: those with consecutive numbers are closed by one call. */
#define FD_PILE_MAX 32
struct fd_pile {
	unsigned n;
	int limit; /* RLIMIT_NOFILE; 0: nothing waits */
	int v[FD_PILE_MAX];
};

/* For so few that it does not matter how many there may be. */
#define FD_PILE_FEW ((struct fd_pile){ .limit = INT_MAX })

/* An empty pile; it asks how many descriptors there may be. */
void fd_pile_init(struct fd_pile *p);

/* Takes *fd. Closes all when there are many, or when few descriptors are left. p NULL: closes it at once. Keeps errno. */
void fd_pile_put(struct fd_pile *p, int *fd);
void fd_pile_close(struct fd_pile *p);

/* true when fd is the null device: a character device with number 1:3. */
bool fd_is_null_device(int fd);

/* Closes every descriptor >= first except the n in keep (negative entries are ignored). */
must_check int fd_close_others(unsigned first, const int *keep, size_t n, struct err *e);
