#include "base/path.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define LINKS_MAX 40  /* dangling links followed, as the kernel's own limit */
#define RACES_MAX 128 /* EAGAIN of openat2(2): a rename or mount raced with the lookup */

static int open_how(int dir, const char *path, int flags, uint64_t resolve)
{
	struct sys_open_how how = { .flags = (uint64_t)(unsigned)flags | O_CLOEXEC, .resolve = resolve };
	int fd = -1;

	for (int i = 0; i < RACES_MAX; i++) {
		fd = sys_openat2(dir, *path ? path : ".", &how);
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return fd;
}

int path_find_in(int root, const char *path, int flags)
{
	int fd = open_how(root, path, flags, SYS_RESOLVE_IN_ROOT | SYS_RESOLVE_NO_MAGICLINKS);

	return fd < 0 ? -errno : fd;
}

int path_open_in(int root, const char *path, int flags, struct err *e)
{
	int fd = path_find_in(root, path, flags);

	return fd < 0 ? err_errno(e, "%s", path) : fd;
}

/* One component of a real directory, never a link. */
static int open_child(int dir, const char *name, int flags)
{
	return open_how(dir, name, flags | O_NOFOLLOW, SYS_RESOLVE_BENEATH | SYS_RESOLVE_NO_SYMLINKS | SYS_RESOLVE_NO_MAGICLINKS);
}

int path_make_child(int dir, const char *name, mode_t mode, struct err *e)
{
	const uint64_t within = SYS_RESOLVE_BENEATH | SYS_RESOLVE_NO_XDEV | SYS_RESOLVE_NO_SYMLINKS | SYS_RESOLVE_NO_MAGICLINKS;
	int fd = mkdirat(dir, name, mode) < 0 ? -1 : open_how(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, within);

	return fd < 0 ? err_errno(e, "%s", name) : fd;
}

/* What is left of a walk through a root: the directory reached so far, its name for messages, and what is still to come. */
struct walk {
	int root; /* borrowed */
	struct arena *arena;
	const char *reached; /* clean path of what exists */
	const char *rest;    /* relative, may be "" */
	int links;
};

/* Opens the longest prefix of the path that exists; moves the rest into w->rest. Returns the directory. */
static int open_longest(struct walk *w, const char *path, struct err *e)
{
	char *prefix = arena_strdup(w->arena, path_clean(w->arena, path));
	size_t len = strlen(prefix), full = len;

	for (;;) {
		prefix[len] = '\0';
		int fd = open_how(w->root, len ? prefix : "/", O_PATH | O_DIRECTORY,
				  SYS_RESOLVE_IN_ROOT | SYS_RESOLVE_NO_MAGICLINKS);

		if (fd >= 0) {
			w->reached = prefix;
			w->rest = len < full ? prefix + len + 1 : "";
			return fd;
		}
		if (errno != ENOENT || len == 0)
			return err_errno(e, "%s", prefix);
		if (len < full)
			prefix[len] = '/';
		while (len && prefix[len - 1] != '/')
			len--;
		len -= len > 0;
	}
}

/* The name that could not be opened as a directory is a link: splices its target into the path that is to be walked. */
static const char *splice_link(struct walk *w, int dir, const char *name, const char *after, struct err *e)
{
	char target[4096];
	ssize_t n = readlinkat(dir, name, target, sizeof(target) - 1);

	if (n < 0) {
		errno = errno == EINVAL ? ENOTDIR : errno; /* no link after all, but a file where a directory must be */
		(void)err_errno(e, "%s/%s", w->reached, name);
		return NULL;
	}
	if (++w->links > LINKS_MAX) {
		(void)err_set(e, ELOOP, "%s/%s: too many symbolic links", w->reached, name);
		return NULL;
	}
	target[n] = '\0';
	return arena_printf(w->arena, "%s/%s%s%s", target[0] == '/' ? "" : w->reached, target, *after ? "/" : "", after);
}

/* Makes w->rest below dir, component by component. Returns the last directory; or 0 with *again set to a path to walk anew. */
static int make_rest(struct walk *w, int dir_fd, mode_t mode, const char **again, struct err *e)
{
	auto_fd int dir = dir_fd;
	char *rest = arena_strdup(w->arena, w->rest);

	*again = NULL;
	while (*rest) {
		char *name = rest, *slash = strchr(rest, '/');

		rest = slash ? slash + 1 : rest + strlen(rest);
		if (slash)
			*slash = '\0';
		bool made = mkdirat(dir, name, mode) == 0;
		int saved = errno;
		int next = open_child(dir, name, O_PATH | O_DIRECTORY);

		if (next < 0 && (errno == ELOOP || errno == ENOTDIR)) {
			*again = splice_link(w, dir, name, rest, e);
			return *again ? 0 : -e->code;
		}
		if (next < 0) {
			errno = made || saved == EEXIST ? errno : saved;
			return err_errno(e, "%s/%s", w->reached, name);
		}
		w->reached = arena_printf(w->arena, "%s/%s", w->reached, name);
		close_fd(&dir);
		dir = next;
	}
	return take_fd(&dir);
}

static int mkdir_in(struct arena *a, int root, const char *path, mode_t mode, struct err *e)
{
	struct walk w = { .root = root, .arena = a };
	const char *again = path;

	for (;;) {
		int fd = open_longest(&w, again, e);

		if (fd < 0 || !*w.rest)
			return fd;
		fd = make_rest(&w, fd, mode, &again, e);
		if (fd < 0 || !again)
			return fd;
	}
}

int path_mkdir_in(int root, const char *path, mode_t mode, struct err *e)
{
	auto_arena struct arena a = { 0 };

	return mkdir_in(&a, root, path, mode, e);
}

int path_parent_in(int root, const char *path, mode_t mode, struct arena *a, const char **name, struct err *e)
{
	char *dir = arena_strdup(a, path_clean(a, path));
	char *slash = strrchr(dir, '/');

	if (!slash || !slash[1])
		return err_set(e, EINVAL, "\"%s\" has no last component", path);
	*slash = '\0';
	*name = slash + 1;
	return mkdir_in(a, root, *dir ? dir : "/", mode, e);
}

/* Creates the last component of path as an empty file, or tells by *again where a dangling link leads. */
static int touch_last(struct walk *w, const char *path, const char **again, struct err *e)
{
	const char *name;
	auto_fd int dir = path_parent_in(w->root, path, 0755, w->arena, &name, e);

	*again = NULL;
	if (dir < 0)
		return dir;
	auto_fd int made = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (made < 0 && errno != EEXIST)
		return err_errno(e, "%s", path);
	if (made >= 0)
		(void)fchmod(made, 0644);
	auto_fd int fd = open_child(dir, name, O_PATH);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "%s", path);
	if (!S_ISLNK(st.st_mode)) /* O_PATH | O_NOFOLLOW opens a link itself */
		return take_fd(&fd);
	w->reached = arena_strndup(w->arena, path, strlen(path) - strlen(name));
	*again = splice_link(w, dir, name, "", e);
	return *again ? 0 : -e->code;
}

int path_touch_in(int root, const char *path, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct walk w = { .root = root, .arena = &a };
	const char *again = path_clean(&a, path);

	for (;;) {
		int fd = open_how(root, again, O_PATH, SYS_RESOLVE_IN_ROOT | SYS_RESOLVE_NO_MAGICLINKS);

		if (fd >= 0)
			return fd;
		if (errno != ENOENT)
			return err_errno(e, "%s", again);
		fd = touch_last(&w, again, &again, e);
		if (fd < 0 || !again)
			return fd;
		again = path_clean(&a, again);
	}
}

/* "/a/b": no component is empty or begins with a dot (which some clean ones do, too). */
static bool is_surely_clean(const char *path)
{
	bool clean = *path == '/';

	for (const char *slash = path; clean && slash; slash = strchr(slash + 1, '/'))
		clean = slash[1] != '\0' && slash[1] != '/' && slash[1] != '.';
	return clean;
}

const char *path_clean(struct arena *a, const char *path)
{
	if (is_surely_clean(path))
		return path;
	char *out = arena_alloc(a, strlen(path) + 2);
	size_t n = 0;

	while (*path) {
		size_t len = 0;

		out[n] = '/';
		for (; path[len] && path[len] != '/'; len++)
			out[n + 1 + len] = path[len];
		if (len == 2 && path[0] == '.' && path[1] == '.') {
			while (n && out[n - 1] != '/')
				n--;
			n -= n > 0;
		} else if (len && !(len == 1 && path[0] == '.')) {
			n += 1 + len;
		}
		path += len;
		path += *path == '/';
	}
	if (!n)
		out[n++] = '/';
	out[n] = '\0';
	return out;
}

const char *path_join(struct arena *a, const char *dir, const char *name)
{
	if (name[0] == '/')
		return arena_strdup(a, name);
	return arena_printf(a, "%s%s%s", dir, str_ends(dir, "/") ? "" : "/", name);
}

int path_of_fd(int fd, struct arena *a, const char **out, struct err *e)
{
	char link[40], target[4097];

	text_format(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, target, sizeof(target) - 1);

	if (n < 0)
		return err_errno(e, "%s", link);
	*out = arena_strndup(a, target, (size_t)n);
	return 0;
}
