/* op_name.c - operations on names in a directory
 *
 * A name is always looked up in the descriptor of its directory and never followed. What makes a file does so as the user of the
 * request, with the umask of the request, so that the host's kernel gives it the right owner, group, mode and ACL.
 */
#include "hwvirt-sandbox/fuse/internal.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int need_dir(const struct call *c)
{
	return inode_is_dir(c->node) ? 0 : -ENOTDIR;
}

/* Looks name up in dir_fd and answers with its entry. */
static int reply_entry(struct call *c, int dir_fd, const char *name)
{
	struct sys_statx st;
	uint64_t id;
	int r = inodes_lookup(c->s->inodes, dir_fd, name, &id, &st);

	if (r < 0)
		return r;
	answer_entry(c, id, &st, call_answer(c, sizeof(struct fuse_entry_out)));
	return 0;
}

/* The directory of a request that is about one name in it, and the name. */
static int dir_and_name(struct call *c, struct inode_path *dir, const char **name)
{
	int r = need_dir(c);

	*name = call_name(c, 0, NULL);
	if (r < 0 || !*name)
		return r < 0 ? r : c->wrong;
	return call_path(c, dir);
}

int op_lookup(struct call *c)
{
	struct inode_path auto_path dir = INODE_PATH_NONE;
	const char *name;
	int r = dir_and_name(c, &dir, &name);

	return r < 0 ? r : reply_entry(c, dir.fd, name);
}

/* What a request to make something says, and what makes it. */
struct making {
	const char *name, *target;
	mode_t mode, umask;
	dev_t dev;
	int (*make)(const struct making *m, int dir_fd);
};

/* Makes it as the user of the request; dir is left open for what follows. */
static int make(struct call *c, const struct making *m, struct inode_path *dir)
{
	struct creds auto_creds creds = { 0 };
	int r = need_dir(c);

	if (r == 0)
		r = call_path(c, dir);
	if (r == 0)
		r = creds_become(&creds, c->h.uid, c->h.gid);
	if (r < 0)
		return r;
	umask(m->umask & 0777);
	r = m->make(m, dir->fd);
	return r < 0 ? -errno : r;
}

static int make_entry(struct call *c, const struct making *m)
{
	struct inode_path auto_path dir = INODE_PATH_NONE;
	int r;

	if (!m->name)
		return c->wrong;
	r = make(c, m, &dir);
	return r < 0 ? r : reply_entry(c, dir.fd, m->name);
}

static int by_symlinkat(const struct making *m, int dir_fd)
{
	return symlinkat(m->target, dir_fd, m->name);
}

static int by_mknodat(const struct making *m, int dir_fd)
{
	return mknodat(dir_fd, m->name, m->mode, m->dev);
}

static int by_mkdirat(const struct making *m, int dir_fd)
{
	return mkdirat(dir_fd, m->name, m->mode);
}

int op_symlink(struct call *c)
{
	size_t next = 0;
	struct making m = { .name = call_name(c, 0, &next), .make = by_symlinkat };

	if (!m.name)
		return c->wrong;
	if (next >= c->body_len || !memchr(c->body + next, 0, c->body_len - next))
		return -EINVAL;
	m.target = (const char *)c->body + next;
	return make_entry(c, &m);
}

/* linux/kdev_t.h, new_encode_dev() */
static dev_t host_dev(uint32_t dev)
{
	uint64_t major = (dev & 0xfff00) >> 8, minor = (dev & 0xff) | (dev >> 12 & 0xfff00);

	return (dev_t)((major & 0xfff) << 8 | (minor & 0xff) | (minor & ~0xffull) << 12);
}

int op_mknod(struct call *c)
{
	const struct fuse_mknod_in *in = ARG(c, fuse_mknod_in);
	struct making m = { .name = call_name(c, sizeof(*in), NULL),
			    .mode = in->mode & (S_IFMT | 07777),
			    .umask = in->umask,
			    .dev = host_dev(in->rdev),
			    .make = by_mknodat };

	return make_entry(c, &m);
}

int op_mkdir(struct call *c)
{
	const struct fuse_mkdir_in *in = ARG(c, fuse_mkdir_in);
	struct making m = {
		.name = call_name(c, sizeof(*in), NULL), .mode = in->mode & 07777, .umask = in->umask, .make = by_mkdirat
	};

	return make_entry(c, &m);
}

static int remove_name(struct call *c, int flags)
{
	struct inode_path auto_path dir = INODE_PATH_NONE;
	const char *name;
	int r = dir_and_name(c, &dir, &name);

	if (r < 0)
		return r;
	return unlinkat(dir.fd, name, flags) < 0 ? -errno : 0;
}

int op_unlink(struct call *c)
{
	return remove_name(c, 0);
}

int op_rmdir(struct call *c)
{
	return remove_name(c, AT_REMOVEDIR);
}

/* A directory by its node id, for the second one of a request. */
static int other_dir(struct call *c, uint64_t id, struct inode_path *out)
{
	struct inode *n = inodes_get(c->s->inodes, id);
	int r = !n ? -ESTALE : !inode_is_dir(n) ? -ENOTDIR : inode_path(c->s->inodes, n, out);

	/* The path may be the inode's own descriptor: it must not go with it. */
	if (r == 0 && !out->owned) {
		out->fd = fcntl(out->fd, F_DUPFD_CLOEXEC, 0);
		out->owned = true;
		r = out->fd < 0 ? -errno : 0;
	}
	inodes_put(c->s->inodes, n);
	return r;
}

static int rename_to(struct call *c, uint64_t new_dir, size_t names, uint32_t flags)
{
	struct inode_path auto_path from = INODE_PATH_NONE, to = INODE_PATH_NONE;
	size_t next = 0;
	const char *name = call_name(c, names, &next), *new_name = name ? call_name(c, next, NULL) : NULL;
	int r = need_dir(c);

	if (r < 0 || !new_name)
		return r < 0 ? r : c->wrong;
	r = call_path(c, &from);
	if (r == 0)
		r = other_dir(c, new_dir, &to);
	if (r < 0)
		return r;
	return syscall(SYS_renameat2, from.fd, name, to.fd, new_name, flags) < 0 ? -errno : 0;
}

int op_rename(struct call *c)
{
	return rename_to(c, ARG(c, fuse_rename_in)->newdir, sizeof(struct fuse_rename_in), 0);
}

int op_rename2(struct call *c)
{
	const struct fuse_rename2_in *in = ARG(c, fuse_rename2_in);

	/* RENAME_NOREPLACE and RENAME_EXCHANGE; a whiteout of the host's is nothing a guest needs */
	return in->flags & ~3u ? -EINVAL : rename_to(c, in->newdir, sizeof(*in), in->flags);
}

int op_link(struct call *c)
{
	const struct fuse_link_in *in = ARG(c, fuse_link_in);
	struct inode_path auto_path dir = INODE_PATH_NONE, old = INODE_PATH_NONE;
	const char *name = call_name(c, sizeof(*in), NULL);
	struct inode *n;
	char from[PROC_NAME_MAX];
	int r = need_dir(c);

	if (r < 0 || !name)
		return r < 0 ? r : c->wrong;
	n = inodes_get(c->s->inodes, in->oldnodeid);
	if (!n)
		return -ESTALE;
	r = inode_path(c->s->inodes, n, &old);
	if (r == 0)
		r = call_path(c, &dir);
	if (r == 0 && linkat(c->s->proc_fd, call_proc_name(old.fd, from), dir.fd, name, AT_SYMLINK_FOLLOW) < 0)
		r = -errno;
	if (r == 0)
		r = reply_entry(c, dir.fd, name);
	inode_path_close(&old);
	inodes_put(c->s->inodes, n);
	return r;
}
