/* path.h - the only place that resolves names below a container's root
 *
 * A rootfs is hostile: any component may be a symbolic link, and may change while we look. Names are therefore resolved by
 * openat2(2) with RESOLVE_IN_ROOT from a descriptor of the root, once, to an O_PATH descriptor; what follows acts on the descriptor.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#include <sys/types.h>

/* Opens `path` as seen by a process whose root is `root` (borrowed). flags as for open(2); O_CLOEXEC is added. Absolute and
 * relative paths mean the same. Retries EAGAIN (a rename raced) a bounded number of times. Returns a descriptor, or -errno;
 * ENOENT is the caller's to act on, so *e is set to the plain reason with the path. */
must_check int path_open_in(int root, const char *path, int flags, struct err *e);
/* The same for what need not be there: without a message, but errno is set. */
must_check int path_find_in(int root, const char *path, int flags);

/* Like path_open_in(root, path, O_PATH | O_DIRECTORY), creating missing directories with `mode` (as umask leaves it: 022, from main()).
 * A dangling symbolic link on the way is followed inside the root and its target is created. */
must_check int path_mkdir_in(int root, const char *path, mode_t mode, struct err *e);

/* Makes a directory that must be missing, and opens it, O_PATH. Nothing is mounted on it: it is in the file system of dir. */
must_check int path_make_child(int dir, const char *name, mode_t mode, struct err *e);

/* Returns an O_PATH descriptor of `path`, created as an empty regular file (0644, parents 0755) when missing. */
must_check int path_touch_in(int root, const char *path, struct err *e);

/* Opens the parent directory of `path` in the root (created like path_mkdir_in() when missing) and points *name, in the arena, to
 * the last component. EINVAL when the path has none ("/"). */
must_check int path_parent_in(int root, const char *path, mode_t mode, struct arena *a, const char **name, struct err *e);

/* Lexically cleans a path: collapses "//" and ".", resolves "..", never climbs above the start. The result always begins with '/'. It is
 * `path` itself where that is clean. Pure. */
const char *path_clean(struct arena *a, const char *path);

/* "dir/name", with one slash. An absolute name is returned as it is. */
const char *path_join(struct arena *a, const char *dir, const char *name);

/* The absolute path behind an open directory or file descriptor, by /proc/self/fd; for messages and state, never for access. */
must_check int path_of_fd(int fd, struct arena *a, const char **out, struct err *e);
