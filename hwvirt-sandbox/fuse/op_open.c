/* op_open.c - opening, making and opening, closing
 *
 * Only regular files and directories are opened, and only through the O_PATH descriptor of what was looked up: a device, socket or
 * pipe in the share is the guest's kernel's business, and a name that changes meanwhile changes nothing.
 */
#include "hwvirt-sandbox/fuse/internal.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Of the flags of open(2), those a guest may give. */
#define OPEN_FLAGS (O_ACCMODE | O_APPEND | O_TRUNC | O_DSYNC | O_SYNC | O_NOATIME)

/* With the write cache the guest's kernel reads what it writes parts of, and knows the end of the file itself. */
static int open_flags(const struct call *c, uint32_t flags)
{
	int f = (int)flags & OPEN_FLAGS;

	if (c->s->flags & FUSE_WRITEBACK_CACHE) {
		f &= ~O_APPEND;
		if ((f & O_ACCMODE) == O_WRONLY)
			f = (f & ~O_ACCMODE) | O_RDWR;
	}
	return f;
}

static int add_file(struct call *c, int fd, bool dir, struct fuse_open_out *out)
{
	enum fuse_cache cache = c->s->o.cache;

	out->open_flags = cache == FUSE_CACHE_ALWAYS ? FOPEN_KEEP_CACHE : cache == FUSE_CACHE_NONE && !dir ? FOPEN_DIRECT_IO : 0;
	if (dir && cache == FUSE_CACHE_ALWAYS)
		out->open_flags |= FOPEN_CACHE_DIR;
	return files_add(c->s->files, fd, dir, &out->fh);
}

/* A file that may only be read through the write cache's O_RDWR is opened as it was asked for. */
static int reopen(const struct call *c, const struct inode *n, uint32_t flags)
{
	int fd = call_reopen(c, n, open_flags(c, flags));

	if (fd == -EPERM && (flags & O_NOATIME))
		fd = call_reopen(c, n, open_flags(c, flags & ~(uint32_t)O_NOATIME));
	if ((fd == -EACCES || fd == -EPERM) && (flags & O_ACCMODE) == O_WRONLY)
		fd = call_reopen(c, n, ((int)flags & OPEN_FLAGS & ~(O_APPEND | O_NOATIME)));
	return fd;
}

static bool would_change(uint32_t flags)
{
	return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
}

int op_open(struct call *c)
{
	const struct fuse_open_in *in = ARG(c, fuse_open_in);
	struct creds auto_creds creds = { 0 };
	int fd, r = 0;

	if (c->s->o.read_only && would_change(in->flags))
		return -EROFS;
	if (!inode_is_regular(c->node))
		return inode_is_dir(c->node) ? -EISDIR : -ENXIO;
	if (in->open_flags & FUSE_OPEN_KILL_SUIDGID)
		r = creds_without_fsetid(&creds);
	if (r < 0)
		return r;
	fd = reopen(c, c->node, in->flags);
	return fd < 0 ? fd : add_file(c, fd, false, call_answer(c, sizeof(struct fuse_open_out)));
}

int op_opendir(struct call *c)
{
	int fd;

	if (!inode_is_dir(c->node))
		return -ENOTDIR;
	fd = call_reopen(c, c->node, O_RDONLY | O_DIRECTORY);
	return fd < 0 ? fd : add_file(c, fd, true, call_answer(c, sizeof(struct fuse_open_out)));
}

int op_release(struct call *c)
{
	return files_close(c->s->files, ARG(c, fuse_release_in)->fh, false) ? 0 : -EBADF;
}

int op_releasedir(struct call *c)
{
	return files_close(c->s->files, ARG(c, fuse_release_in)->fh, true) ? 0 : -EBADF;
}

/* What CREATE and TMPFILE answer. */
struct created {
	struct fuse_entry_out entry;
	struct fuse_open_out open;
};

static int reply_created(struct call *c, int fd)
{
	struct created *out = call_answer(c, sizeof(*out));
	struct sys_statx st;
	uint64_t id;
	int r = inodes_adopt(c->s->inodes, fd, &id, &st);

	if (r < 0) {
		close_fd(&fd);
		return r;
	}
	answer_entry(c, id, &st, &out->entry);
	r = add_file(c, fd, false, &out->open);
	if (r < 0)
		inodes_forget(c->s->inodes, id, 1);
	return r;
}

/* Makes the file as the user of the request. name NULL: one without a name. */
static int make_file(struct call *c, int dir_fd, const char *name, const struct fuse_create_in *in)
{
	int flags = open_flags(c, in->flags) | O_CLOEXEC | O_NOFOLLOW | (name ? O_CREAT | O_EXCL : O_TMPFILE);
	struct creds auto_creds creds = { 0 };
	int fd = creds_become(&creds, c->h.uid, c->h.gid);

	if (fd < 0)
		return fd;
	umask(in->umask & 0777);
	fd = openat(dir_fd, name ? name : ".", flags, in->mode & 07777);
	return fd < 0 ? -errno : fd;
}

/* The name is there already, which the guest did not know of: opened as OPEN would. */
static int open_existing(struct call *c, int dir_fd, const char *name, uint32_t flags)
{
	struct inode *n;
	struct sys_statx st;
	uint64_t id;
	int fd = inodes_lookup(c->s->inodes, dir_fd, name, &id, &st);

	if (fd < 0)
		return fd;
	n = inodes_get(c->s->inodes, id);
	fd = !n ? -ESTALE : inode_is_regular(n) ? reopen(c, n, flags) : -EEXIST;
	inodes_put(c->s->inodes, n);
	inodes_forget(c->s->inodes, id, 1);
	return fd;
}

int op_create(struct call *c)
{
	const struct fuse_create_in *in = ARG(c, fuse_create_in);
	struct inode_path auto_path dir = INODE_PATH_NONE;
	const char *name = call_name(c, sizeof(*in), NULL);
	int fd;

	if (!inode_is_dir(c->node) || !name)
		return name ? -ENOTDIR : c->wrong;
	fd = call_path(c, &dir);
	if (fd < 0)
		return fd;
	fd = make_file(c, dir.fd, name, in);
	if (fd == -EEXIST && !(in->flags & O_EXCL))
		fd = open_existing(c, dir.fd, name, in->flags);
	return fd < 0 ? fd : reply_created(c, fd);
}

int op_tmpfile(struct call *c)
{
	const struct fuse_create_in *in = ARG(c, fuse_create_in);
	struct inode_path auto_path dir = INODE_PATH_NONE;
	int fd;

	if (!inode_is_dir(c->node))
		return -ENOTDIR;
	fd = call_path(c, &dir);
	if (fd == 0)
		fd = make_file(c, dir.fd, NULL, in);
	return fd < 0 ? fd : reply_created(c, fd);
}
