/* tree.c - thin layers over the mount system calls
 *
 * Mounts are made detached (open_tree, fsopen + fsmount), get all their attributes while nobody can see them, and are attached by
 * descriptor to a target descriptor: no path is resolved twice and a process that dies leaves nothing behind. There is no fallback
 * to mount(2): Linux 5.14 is required, and said so once, in tree_errno().
 */
#include "base/cleanup.h"
#include "base/log.h"
#include "base/retry.h"
#include "base/str.h"
#include "rootfs/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define PARAM_MAX 255 /* bytes of one value that fsconfig(2) takes */

int tree_errno(struct err *e, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX - 64];
	int code = errno;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (code == ENOSYS)
		return err_set(e, code, "%s: the kernel lacks the mount system calls, drupe needs Linux 5.14 or later", text);
	errno = code;
	return err_errno(e, "%s", text);
}

static int setattr(int fd, uint64_t set, uint64_t clr, bool recursive)
{
	struct sys_mount_attr attr = { .attr_set = set, .attr_clr = clr };

	return sys_mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? SYS_AT_RECURSIVE : 0), &attr);
}

int tree_set_attr(int fd, uint64_t set, uint64_t clr, bool recursive, struct err *e)
{
	if (!set && !clr)
		return 0;
	if (setattr(fd, set, clr, recursive) < 0)
		return tree_errno(e, "cannot set mount attributes");
	return 0;
}

/* A mount that came from a more privileged mount namespace has locked flags; they can be set but not cleared, and its access time
 * mode cannot change at all. Losing an access time mode is no loss of safety; a flag that is to be cleared was asked for by name.
 */
static int set_unlocked(int fd, uint64_t set, uint64_t clr, bool recursive, struct err *e)
{
	if ((!set && !clr) || setattr(fd, set, clr, recursive) == 0)
		return 0;
	if (errno != EPERM)
		return tree_errno(e, "cannot set mount attributes");
	set &= ~(uint64_t)SYS_MOUNT_ATTR_ATIME;
	clr &= ~(uint64_t)SYS_MOUNT_ATTR_ATIME;
	if ((!set && !clr) || setattr(fd, set, clr, recursive) == 0) {
		log_warn("the access time mode of a mount is locked by the namespace it comes from and was left alone");
		return 0;
	}
	return err_set(e, EPERM, "%s locked by the user namespace the mount comes from",
		       clr ? "flags to be cleared are" : "flags are");
}

int tree_apply_attrs(int fd, const struct mount_op *op, struct err *e)
{
	if (set_unlocked(fd, op->attr_set, op->attr_clr, false, e) < 0)
		return -e->code;
	return set_unlocked(fd, op->rec_attr_set, op->rec_attr_clr, true, e);
}

int tree_set_propagation(int fd, unsigned long flags, struct err *e)
{
	struct sys_mount_attr attr = { .propagation = flags & ~(unsigned long)MS_REC };

	if (sys_mount_setattr(fd, "", AT_EMPTY_PATH | (flags & MS_REC ? SYS_AT_RECURSIVE : 0), &attr) < 0)
		return tree_errno(e, "cannot change the propagation of the mount");
	return 0;
}

int tree_seclude(int fd, uint64_t attrs, struct err *e)
{
	struct sys_mount_attr attr = { .attr_set = attrs, .propagation = MS_PRIVATE };

	if (sys_mount_setattr(fd, "", AT_EMPTY_PATH, &attr) < 0)
		return tree_errno(e, "cannot set mount attributes");
	return 0;
}

int tree_set_idmap(int fd, int userns_fd, bool recursive, struct err *e)
{
	struct sys_mount_attr attr = { .attr_set = SYS_MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)(unsigned)userns_fd };

	if (sys_mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? SYS_AT_RECURSIVE : 0), &attr) < 0)
		return tree_errno(e, "cannot map the ids of the mount (does its file system support it?)");
	return 0;
}

int tree_clone_fd(int fd, bool recursive, struct err *e)
{
	int tree = sys_open_tree(fd, "", SYS_OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH | (recursive ? SYS_AT_RECURSIVE : 0));

	return tree < 0 ? tree_errno(e, "cannot clone the mount") : tree;
}

int tree_attach(int mount_fd, int target_fd, struct err *e)
{
	if (sys_move_mount(mount_fd, "", target_fd, "", SYS_MOVE_MOUNT_F_EMPTY | SYS_MOVE_MOUNT_T_EMPTY) < 0)
		return tree_errno(e, "cannot attach the mount");
	return 0;
}

/* What the kernel has to say about a file system context: lines "e TEXT", the last one is the reason. Keeps errno. */
static int context_errno(int fs, struct err *e, const char *what)
{
	char line[256], said[256] = "";
	int code = errno;
	ssize_t n;

	while ((n = RETRY(read(fs, line, sizeof(line) - 1))) > 0) {
		line[n] = '\0';
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == 'e' && line[1] == ' ')
			memcpy(said, line + 2, (size_t)n - 1);
	}
	errno = code;
	return said[0] ? tree_errno(e, "%s: %s", what, said) : tree_errno(e, "%s", what);
}

/* Many layers do not fit into one value: Linux 6.7 takes them one by one, unescaped. */
static int add_layers(int fs, const char *value, struct err *e)
{
	char layer[PARAM_MAX + 1];
	size_t n = 0;

	for (;; value++) {
		if (*value && *value != ':') {
			value += value[0] == '\\' && value[1];
			if (n == PARAM_MAX)
				return err_set(e, ENAMETOOLONG, "lowerdir: the name of a layer is longer than %d bytes", PARAM_MAX);
			layer[n++] = *value;
			continue;
		}
		layer[n] = '\0';
		n = 0;
		if (sys_fsconfig(fs, SYS_FSCONFIG_STRING, "lowerdir+", layer, 0) < 0)
			return context_errno(fs, e, "lowerdir");
		if (!*value)
			return 0;
	}
}

static bool too_long(const struct fs_param *p)
{
	return p->value && strlen(p->value) > PARAM_MAX;
}

static bool are_layers(const char *fstype, const struct fs_param *p)
{
	return str_eq(fstype, "overlay") && str_eq(p->key, "lowerdir");
}

static int set_param(int fs, const char *fstype, const struct fs_param *p, struct err *e)
{
	int r;

	if (too_long(p)) {
		if (are_layers(fstype, p))
			return add_layers(fs, p->value, e);
		return err_set(e, EINVAL, "option \"%s\": more than %d bytes", p->key, PARAM_MAX);
	}
	r = sys_fsconfig(fs, p->value ? SYS_FSCONFIG_STRING : SYS_FSCONFIG_FLAG, p->key, p->value, 0);
	return r < 0 ? context_errno(fs, e, p->key) : 0;
}

/* An older kernel takes each "lowerdir+" for an option of the file system's, and refuses the whole only when it is made. */
static int create_failed(int fs, const char *fstype, const struct fs_param *params, size_t n, struct err *e)
{
	const char *hint = "cannot make the file system";

	for (size_t i = 0; i < n; i++)
		if (errno == EINVAL && are_layers(fstype, &params[i]) && too_long(&params[i]))
			hint = "cannot make the file system (before Linux 6.7, lowerdir may have 255 bytes)";
	return context_errno(fs, e, hint);
}

int tree_new(const char *fstype, const char *source, const struct fs_param *params, size_t n, unsigned attrs, struct fd_pile *done,
	     struct err *e)
{
	auto_fd int fs = sys_fsopen(fstype, SYS_FSOPEN_CLOEXEC);

	if (fs < 0 && errno == ENODEV)
		return err_set(e, ENODEV, "the kernel knows no file system \"%s\"", fstype);
	if (fs < 0)
		return tree_errno(e, "cannot make a %s", fstype);
	if (source && set_param(fs, fstype, &(struct fs_param){ "source", source }, e) < 0)
		return -e->code;
	for (size_t i = 0; i < n; i++)
		if (set_param(fs, fstype, &params[i], e) < 0)
			return -e->code;
	if (sys_fsconfig(fs, SYS_FSCONFIG_CREATE, NULL, NULL, 0) < 0)
		return create_failed(fs, fstype, params, n, e);
	int fd = sys_fsmount(fs, SYS_FSMOUNT_CLOEXEC, attrs);

	if (fd < 0)
		return context_errno(fs, e, "cannot mount the file system");
	fd_pile_put(done, &fs);
	return fd;
}

long tree_magic(int fd)
{
	struct statfs st;

	return RETRY(fstatfs(fd, &st)) < 0 ? 0 : (long)st.f_type;
}
