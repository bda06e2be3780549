/* server.c - from segments to a call, and from its result to an answer
 *
 * A request is copied once, header and body, before anything of it is looked at; only the data of WRITE and READ go between the
 * guest's memory and files directly. The table says for each operation how long its fixed part is and whether it changes anything,
 * so that a handler starts with a checked body, on a known node, in a share that may be written.
 */
#include "hwvirt-sandbox/fuse/internal.h"

#include "base/cleanup.h"
#include "hwvirt-sandbox/iov.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { CHANGES = 1, NO_NODE = 2, NO_ANSWER = 4, KEEPS_DATA = 8, BEFORE_INIT = 16 };

static const struct op {
	fuse_op *run;
	uint16_t fixed; /* bytes of the body */
	uint16_t flags;
} table[] = {
	/* clang-format off */
	[FUSE_LOOKUP]          = { op_lookup, 2, 0 },
	[FUSE_FORGET]          = { op_forget, sizeof(struct fuse_forget_in), NO_NODE | NO_ANSWER },
	[FUSE_GETATTR]         = { op_getattr, sizeof(struct fuse_getattr_in), 0 },
	[FUSE_SETATTR]         = { op_setattr, sizeof(struct fuse_setattr_in), CHANGES },
	[FUSE_READLINK]        = { op_readlink, 0, 0 },
	[FUSE_SYMLINK]         = { op_symlink, 4, CHANGES },
	[FUSE_MKNOD]           = { op_mknod, sizeof(struct fuse_mknod_in), CHANGES },
	[FUSE_MKDIR]           = { op_mkdir, sizeof(struct fuse_mkdir_in), CHANGES },
	[FUSE_UNLINK]          = { op_unlink, 2, CHANGES },
	[FUSE_RMDIR]           = { op_rmdir, 2, CHANGES },
	[FUSE_RENAME]          = { op_rename, sizeof(struct fuse_rename_in), CHANGES },
	[FUSE_LINK]            = { op_link, sizeof(struct fuse_link_in), CHANGES },
	[FUSE_OPEN]            = { op_open, sizeof(struct fuse_open_in), 0 },
	[FUSE_READ]            = { op_read, sizeof(struct fuse_read_in), NO_NODE },
	[FUSE_WRITE]           = { op_write, sizeof(struct fuse_write_in), CHANGES | NO_NODE | KEEPS_DATA },
	[FUSE_STATFS]          = { op_statfs, 0, 0 },
	[FUSE_RELEASE]         = { op_release, sizeof(struct fuse_release_in), NO_NODE },
	[FUSE_FSYNC]           = { op_fsync, sizeof(struct fuse_fsync_in), NO_NODE },
	[FUSE_SETXATTR]        = { op_setxattr, FUSE_COMPAT_SETXATTR_IN_SIZE, CHANGES },
	[FUSE_GETXATTR]        = { op_getxattr, sizeof(struct fuse_getxattr_in), 0 },
	[FUSE_LISTXATTR]       = { op_listxattr, sizeof(struct fuse_getxattr_in), 0 },
	[FUSE_REMOVEXATTR]     = { op_removexattr, 2, CHANGES },
	[FUSE_FLUSH]           = { op_flush, sizeof(struct fuse_flush_in), NO_NODE },
	[FUSE_INIT]            = { op_init, 16, NO_NODE | BEFORE_INIT },
	[FUSE_OPENDIR]         = { op_opendir, sizeof(struct fuse_open_in), 0 },
	[FUSE_READDIR]         = { op_readdir, sizeof(struct fuse_read_in), 0 },
	[FUSE_RELEASEDIR]      = { op_releasedir, sizeof(struct fuse_release_in), NO_NODE },
	[FUSE_FSYNCDIR]        = { op_fsyncdir, sizeof(struct fuse_fsync_in), NO_NODE },
	[FUSE_ACCESS]          = { op_access, sizeof(struct fuse_access_in), 0 },
	[FUSE_CREATE]          = { op_create, sizeof(struct fuse_create_in), CHANGES },
	[FUSE_DESTROY]         = { op_destroy, 0, NO_NODE },
	[FUSE_BATCH_FORGET]    = { op_batch_forget, sizeof(struct fuse_batch_forget_in), NO_NODE | NO_ANSWER },
	[FUSE_FALLOCATE]       = { op_fallocate, sizeof(struct fuse_fallocate_in), CHANGES | NO_NODE },
	[FUSE_READDIRPLUS]     = { op_readdirplus, sizeof(struct fuse_read_in), 0 },
	[FUSE_RENAME2]         = { op_rename2, sizeof(struct fuse_rename2_in), CHANGES },
	[FUSE_LSEEK]           = { op_lseek, sizeof(struct fuse_lseek_in), NO_NODE },
	[FUSE_COPY_FILE_RANGE] = { op_copy_file_range, sizeof(struct fuse_copy_file_range_in), CHANGES | NO_NODE },
	[FUSE_SYNCFS]          = { op_syncfs, sizeof(struct fuse_syncfs_in), 0 },
	[FUSE_TMPFILE]         = { op_tmpfile, sizeof(struct fuse_create_in), CHANGES },
	/* clang-format on */
};

/* ---- help for the operations ---- */

const char *call_name(struct call *c, size_t offset, size_t *next)
{
	const char *name = (const char *)c->body + offset;
	size_t room = offset < c->body_len ? c->body_len - offset : 0, len = room ? strnlen(name, room) : 0;

	c->wrong = -EINVAL;
	if (len == 0 || len == room || memchr(name, '/', len) || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return NULL;
	c->wrong = -ENAMETOOLONG;
	if (len > NAME_MAX)
		return NULL;
	if (next)
		*next = offset + len + 1;
	return name;
}

void *call_answer(struct call *c, size_t len)
{
	memset(c->w->answer, 0, len);
	c->answer_len = len;
	return c->w->answer;
}

int call_path(const struct call *c, struct inode_path *out)
{
	return inode_path(c->s->inodes, c->node, out);
}

const char *call_proc_name(int fd, char buf[PROC_NAME_MAX])
{
	snprintf(buf, PROC_NAME_MAX, "%d", fd);
	return buf;
}

int call_reopen(const struct call *c, const struct inode *n, int flags)
{
	struct inode_path auto_path p = INODE_PATH_NONE;
	char name[PROC_NAME_MAX];
	int fd, r;

	if (!inode_is_regular(n) && !inode_is_dir(n))
		return -ENXIO;
	r = inode_path(c->s->inodes, n, &p);
	if (r < 0)
		return r;
	fd = openat(c->s->proc_fd, call_proc_name(p.fd, name), flags | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

uint64_t call_valid(const struct call *c)
{
	return c->s->o.cache == FUSE_CACHE_ALWAYS ? 86400 : c->s->o.cache == FUSE_CACHE_AUTO ? 1 : 0;
}

static uint32_t old_dev(uint32_t major, uint32_t minor)
{
	return (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

void answer_attr(const struct sys_statx *st, struct fuse_attr *out)
{
	*out = (struct fuse_attr){
		.ino = st->ino,
		.size = st->size,
		.blocks = st->blocks,
		.atime = (uint64_t)st->atime.sec,
		.mtime = (uint64_t)st->mtime.sec,
		.ctime = (uint64_t)st->ctime.sec,
		.atimensec = st->atime.nsec,
		.mtimensec = st->mtime.nsec,
		.ctimensec = st->ctime.nsec,
		.mode = st->mode,
		.nlink = st->nlink,
		.uid = st->uid,
		.gid = st->gid,
		.rdev = old_dev(st->rdev_major, st->rdev_minor),
		.blksize = st->blksize,
	};
}

void answer_entry(const struct call *c, uint64_t id, const struct sys_statx *st, struct fuse_entry_out *out)
{
	*out = (struct fuse_entry_out){ .nodeid = id, .entry_valid = call_valid(c), .attr_valid = call_valid(c) };
	answer_attr(st, &out->attr);
}

/* ---- a request ---- */

static size_t answer(const struct call *c, int result)
{
	struct fuse_out_header h = { .unique = c->h.unique, .error = result < 0 ? result : 0 };
	size_t len = result < 0 ? 0 : c->answer_len;

	h.len = (uint32_t)(sizeof(h) + len);
	iov_write(c->in, c->n_in, 0, &h, sizeof(h));
	if (!c->direct)
		iov_write(c->in, c->n_in, sizeof(h), c->w->answer, len);
	return h.len;
}

/* Takes header and body out of the segments: what of the body is to be copied. 0 or -errno. */
static int take_body(struct call *c, const struct op *op)
{
	size_t sent = iov_total(c->out, c->n_out), len;

	if (c->h.len < sizeof(c->h) || c->h.len > sent)
		return -EINVAL;
	len = c->h.len - sizeof(c->h);
	if (len < op->fixed)
		return -EINVAL;
	if (op->flags & KEEPS_DATA)
		len = op->fixed;
	if (len > BODY_MAX)
		return -E2BIG;
	c->body_len = iov_read(c->out, c->n_out, sizeof(c->h), c->w->body, len);
	c->w->body[c->body_len] = 0;
	c->body = c->w->body;
	return 0;
}

static const struct op *op_of(const struct call *c)
{
	const struct op *op = c->h.opcode < sizeof(table) / sizeof(table[0]) ? &table[c->h.opcode] : NULL;

	return op && op->run ? op : NULL;
}

static int run(struct call *c, const struct op *op)
{
	int r = take_body(c, op);

	if (r < 0)
		return r;
	if (!c->s->initialised && !(op->flags & BEFORE_INIT))
		return -EIO;
	if ((op->flags & CHANGES) && c->s->o.read_only)
		return -EROFS;
	if (!(op->flags & NO_NODE)) {
		c->node = inodes_get(c->s->inodes, c->h.nodeid);
		if (!c->node)
			return -ESTALE;
	}
	r = op->run(c);
	inodes_put(c->s->inodes, c->node);
	return r == 0 && c->answer_len > c->room ? -ERANGE : r;
}

size_t fuse_serve(struct fuse_worker *w, const struct iovec *out, size_t n_out, const struct iovec *in, size_t n_in)
{
	struct call c = { .s = w->s, .w = w, .out = out, .n_out = n_out, .in = in, .n_in = n_in };
	size_t writable = iov_total(in, n_in);
	const struct op *op;
	int r;

	if (iov_read(out, n_out, 0, &c.h, sizeof(c.h)) < sizeof(c.h))
		return 0;
	op = op_of(&c);
	if (op && (op->flags & NO_ANSWER)) {
		(void)run(&c, op);
		return 0;
	}
	if (writable < sizeof(struct fuse_out_header))
		return 0;
	c.room = writable - sizeof(struct fuse_out_header);
	r = op ? run(&c, op) : -ENOSYS;
	return answer(&c, r);
}

/* ---- life ---- */

int fuse_server_new(int share_fd, const struct fuse_options *o, struct fuse_server **out, struct err *e)
{
	struct fuse_server *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		abort();
	*s = (struct fuse_server){ .o = *o, .proc_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
	if (s->proc_fd < 0) {
		err_errno(e, "/proc/self/fd");
		free(s);
		return -e->code;
	}
	r = inodes_new(share_fd, o->inodes_max, o->fds_max, &s->inodes, e);
	if (r < 0) {
		fuse_server_free(s);
		return r;
	}
	s->files = files_new(o->files_max);
	*out = s;
	return 0;
}

void fuse_server_free(struct fuse_server *s)
{
	if (!s)
		return;
	files_free(s->files);
	inodes_free(s->inodes);
	close_fd(&s->proc_fd);
	free(s);
}

uint32_t fuse_server_inodes(struct fuse_server *s)
{
	return inodes_count(s->inodes);
}

int fuse_worker_new(struct fuse_server *s, struct fuse_worker **out, struct err *e)
{
	struct fuse_worker *w;

	if (unshare(CLONE_FS) < 0)
		return err_errno(e, "file server: own working directory and umask");
	if (fchdir(s->proc_fd) < 0)
		return err_errno(e, "file server: /proc/self/fd");
	w = calloc(1, sizeof(*w));
	if (!w)
		abort();
	w->s = s;
	*out = w;
	return 0;
}

void fuse_worker_free(struct fuse_worker *w)
{
	free(w);
}
