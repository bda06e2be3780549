/* op_attr.c - attributes of files, extended ones too
 *
 * Extended attributes that pass: user.*, security.capability and the ACLs. trusted.* of the guest, which overlayfs in it uses, is
 * kept as user.drupe.trusted.* on the host, where it means nothing; that name itself is hidden. Everything else is not supported.
 */
#include "hwvirt-sandbox/fuse/internal.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define STASH "user.drupe."

/* ---- attributes ---- */

static int reply_attr(struct call *c, int fd)
{
	struct fuse_attr_out *out = call_answer(c, sizeof(*out));
	struct sys_statx st;

	if (sys_statx(fd, "", AT_EMPTY_PATH, SYS_STATX_BASIC, &st) < 0)
		return -errno;
	out->attr_valid = call_valid(c);
	answer_attr(&st, &out->attr);
	return 0;
}

/* The file by its node, or, which finds an unlinked one too, by what the guest has open. */
static int reply_attr_of(struct call *c, bool by_file, uint64_t fh)
{
	struct inode_path auto_path p = INODE_PATH_NONE;
	struct file *f = by_file ? files_get(c->s->files, fh, false) : NULL;
	int r;

	if (by_file && !f)
		return -EBADF;
	if (f) {
		r = reply_attr(c, f->fd);
		files_put(c->s->files, f);
		return r;
	}
	r = call_path(c, &p);
	return r < 0 ? r : reply_attr(c, p.fd);
}

int op_getattr(struct call *c)
{
	const struct fuse_getattr_in *in = ARG(c, fuse_getattr_in);

	return reply_attr_of(c, (in->getattr_flags & FUSE_GETATTR_FH) && inode_is_regular(c->node), in->fh);
}

static int set_mode(const struct call *c, int fd, uint32_t mode)
{
	char name[PROC_NAME_MAX];

	return fchmodat(c->s->proc_fd, call_proc_name(fd, name), mode & 07777, 0) < 0 ? -errno : 0;
}

static int set_owner(int fd, const struct fuse_setattr_in *in)
{
	uid_t uid = in->valid & FATTR_UID ? in->uid : (uid_t)-1;
	gid_t gid = in->valid & FATTR_GID ? in->gid : (gid_t)-1;

	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int set_size(struct call *c, const struct fuse_setattr_in *in)
{
	struct file *f = in->valid & FATTR_FH ? files_get(c->s->files, in->fh, false) : NULL;
	struct creds auto_creds creds = { 0 };
	int fd, r = in->valid & FATTR_KILL_SUIDGID ? creds_without_fsetid(&creds) : 0;

	if (r == 0 && f)
		r = ftruncate(f->fd, (off_t)in->size) < 0 ? -errno : 0;
	files_put(c->s->files, f);
	if (r < 0 || f)
		return r;
	fd = call_reopen(c, c->node, O_WRONLY);
	if (fd < 0)
		return fd;
	r = ftruncate(fd, (off_t)in->size) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static struct timespec when(uint32_t valid, uint32_t set, uint32_t now, uint64_t sec, uint32_t nsec)
{
	if (valid & now)
		return (struct timespec){ .tv_nsec = UTIME_NOW };
	return valid & set ? (struct timespec){ .tv_sec = (time_t)sec, .tv_nsec = nsec }
			   : (struct timespec){ .tv_nsec = UTIME_OMIT };
}

static int set_times(int fd, const struct fuse_setattr_in *in)
{
	struct timespec t[2] = { when(in->valid, FATTR_ATIME, FATTR_ATIME_NOW, in->atime, in->atimensec),
				 when(in->valid, FATTR_MTIME, FATTR_MTIME_NOW, in->mtime, in->mtimensec) };

	return utimensat(fd, "", t, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int op_setattr(struct call *c)
{
	const struct fuse_setattr_in in = *ARG(c, fuse_setattr_in);
	struct inode_path auto_path p = INODE_PATH_NONE;
	int r = call_path(c, &p);

	if (r < 0)
		return r;
	if (in.valid & FATTR_MODE)
		r = set_mode(c, p.fd, in.mode);
	if (r == 0 && (in.valid & (FATTR_UID | FATTR_GID)))
		r = set_owner(p.fd, &in);
	if (r == 0 && (in.valid & FATTR_SIZE))
		r = set_size(c, &in);
	if (r == 0 && (in.valid & (FATTR_ATIME | FATTR_MTIME | FATTR_ATIME_NOW | FATTR_MTIME_NOW)))
		r = set_times(p.fd, &in);
	return r < 0 ? r : reply_attr_of(c, (in.valid & FATTR_FH) && inode_is_regular(c->node), in.fh);
}

int op_readlink(struct call *c)
{
	struct inode_path auto_path p = INODE_PATH_NONE;
	int r = call_path(c, &p);
	ssize_t n;

	if (r < 0)
		return r;
	n = readlinkat(p.fd, "", (char *)c->w->answer, PATH_MAX);
	c->answer_len = n < 0 ? 0 : (size_t)n;
	return n < 0 ? -errno : 0;
}

int op_statfs(struct call *c)
{
	struct inode_path auto_path p = INODE_PATH_NONE;
	struct fuse_statfs_out *out = call_answer(c, sizeof(*out));
	int r = call_path(c, &p);
	struct statfs s;

	if (r < 0)
		return r;
	if (fstatfs(p.fd, &s) < 0)
		return -errno;
	out->st = (struct fuse_kstatfs){ .blocks = s.f_blocks,
					 .bfree = s.f_bfree,
					 .bavail = s.f_bavail,
					 .files = s.f_files,
					 .ffree = s.f_ffree,
					 .bsize = (uint32_t)s.f_bsize,
					 .namelen = (uint32_t)s.f_namelen,
					 .frsize = (uint32_t)s.f_frsize };
	return 0;
}

/* Not asked by a kernel that decides itself (default_permissions); what is left is whether it is there. */
int op_access(struct call *c)
{
	struct inode_path auto_path p = INODE_PATH_NONE;

	return call_path(c, &p);
}

/* ---- extended attributes ---- */

/* The host's name for a guest's; NULL if it may not pass. */
static const char *host_name(const char *name, char buf[XATTR_NAME_MAX + 1])
{
	static const char *const as_is[] = { "security.capability", "system.posix_acl_access", "system.posix_acl_default" };

	if (strncmp(name, "trusted.", 8) == 0) {
		int n = snprintf(buf, XATTR_NAME_MAX + 1, STASH "%s", name);

		return n > 0 && n <= XATTR_NAME_MAX ? buf : NULL;
	}
	if (strncmp(name, "user.", 5) == 0)
		return strncmp(name, STASH, strlen(STASH)) == 0 ? NULL : name;
	for (size_t i = 0; i < sizeof(as_is) / sizeof(as_is[0]); i++) {
		if (strcmp(name, as_is[i]) == 0)
			return name;
	}
	return NULL;
}

static const char *xattr_name(const struct call *c, size_t offset, size_t *next)
{
	size_t len = offset < c->body_len ? strnlen((const char *)c->body + offset, c->body_len - offset) : 0;

	if (len == 0 || len > XATTR_NAME_MAX || offset + len == c->body_len)
		return NULL;
	*next = offset + len + 1;
	return (const char *)c->body + offset;
}

/* The path and the host's name of a request's attribute; the worker's directory is /proc/self/fd. */
struct xattr {
	struct inode_path path;
	char file[PROC_NAME_MAX], buf[XATTR_NAME_MAX + 1];
	const char *name;
	size_t next; /* what follows the name in the body */
};

static int xattr_of(const struct call *c, size_t offset, struct xattr *x)
{
	const char *name = xattr_name(c, offset, &x->next);
	int r;

	if (!name)
		return -EINVAL;
	x->name = host_name(name, x->buf);
	if (!x->name)
		return -EOPNOTSUPP;
	r = call_path(c, &x->path);
	if (r == 0)
		call_proc_name(x->path.fd, x->file);
	return r;
}

int op_setxattr(struct call *c)
{
	bool extended = c->s->flags & FUSE_SETXATTR_EXT;
	size_t fixed = extended ? sizeof(struct fuse_setxattr_in) : FUSE_COMPAT_SETXATTR_IN_SIZE;
	struct fuse_setxattr_in in = { 0 };
	struct creds auto_creds creds = { 0 };
	struct xattr x = { .path = INODE_PATH_NONE };
	int r;

	if (c->body_len < fixed)
		return -EINVAL;
	memcpy(&in, c->body, fixed);
	r = xattr_of(c, fixed, &x);
	if (r == 0 && in.size > c->body_len - x.next)
		r = -EINVAL;
	if (r == 0 && extended && (in.setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID))
		r = creds_without_fsetid(&creds);
	if (r == 0 && setxattr(x.file, x.name, c->body + x.next, in.size, (int)in.flags & (XATTR_CREATE | XATTR_REPLACE)) < 0)
		r = -errno;
	inode_path_close(&x.path);
	return r;
}

int op_removexattr(struct call *c)
{
	struct xattr x = { .path = INODE_PATH_NONE };
	int r = xattr_of(c, 0, &x);

	if (r == 0 && removexattr(x.file, x.name) < 0)
		r = -errno;
	inode_path_close(&x.path);
	return r;
}

/* A value of `have` bytes in the worker's answer, or only its size when the guest asked for that. */
static int reply_value(struct call *c, size_t have, uint32_t wanted)
{
	if (wanted == 0) {
		((struct fuse_getxattr_out *)call_answer(c, sizeof(struct fuse_getxattr_out)))->size = (uint32_t)have;
		return 0;
	}
	if (have > wanted)
		return -ERANGE;
	c->answer_len = have;
	return 0;
}

int op_getxattr(struct call *c)
{
	const struct fuse_getxattr_in in = *ARG(c, fuse_getxattr_in);
	struct xattr x = { .path = INODE_PATH_NONE };
	int r = xattr_of(c, sizeof(in), &x);
	ssize_t n = 0;

	if (r == 0) {
		n = getxattr(x.file, x.name, c->w->answer, XATTR_SIZE_MAX);
		r = n < 0 ? -errno : 0;
	}
	inode_path_close(&x.path);
	return r < 0 ? r : reply_value(c, (size_t)n, in.size);
}

/* Keeps, in place, the names that pass, as the guest knows them. Returns the length. */
static size_t keep_names(char *list, size_t len)
{
	size_t kept = 0;

	for (size_t i = 0; i < len;) {
		const char *name = list + i;
		size_t n = strlen(name) + 1;
		char buf[XATTR_NAME_MAX + 1];

		i += n;
		if (strncmp(name, STASH "trusted.", strlen(STASH "trusted.")) == 0) {
			name += strlen(STASH);
			n -= strlen(STASH);
		} else if (strncmp(name, "trusted.", 8) == 0 || !host_name(name, buf)) {
			continue;
		}
		memmove(list + kept, name, n);
		kept += n;
	}
	return kept;
}

int op_listxattr(struct call *c)
{
	const struct fuse_getxattr_in in = *ARG(c, fuse_getxattr_in);
	struct inode_path auto_path p = INODE_PATH_NONE;
	char name[PROC_NAME_MAX];
	int r = call_path(c, &p);
	ssize_t n;

	if (r < 0)
		return r;
	n = listxattr(call_proc_name(p.fd, name), (char *)c->w->answer, XATTR_LIST_MAX);
	if (n < 0)
		return -errno;
	return reply_value(c, keep_names((char *)c->w->answer, (size_t)n), in.size);
}
