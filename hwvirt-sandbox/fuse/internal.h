/* internal.h - one request while it is served */
#pragma once
#include "hwvirt-sandbox/fuse/creds.h"
#include "hwvirt-sandbox/fuse/file.h"
#include "hwvirt-sandbox/fuse/inode.h"
#include "hwvirt-sandbox/fuse/server.h"

#include <errno.h>
#include <linux/fuse.h>

enum { BODY_MAX = 132 << 10, ANSWER_MAX = 132 << 10 };

struct fuse_server {
	struct fuse_options o;
	struct inodes *inodes;
	struct files *files;
	int proc_fd; /* /proc/self/fd */
	uint64_t flags; /* agreed upon by INIT */
	_Atomic bool initialised;
};

struct fuse_worker {
	struct fuse_server *s;
	uint8_t body[BODY_MAX + 1]; /* of the request, without its header and, for WRITE, without the data; NUL follows */
	uint8_t answer[ANSWER_MAX] __attribute__((aligned(8)));
};

/* A request. `body` holds body_len bytes, and a NUL after them. */
struct call {
	struct fuse_server *s;
	struct fuse_worker *w;
	struct fuse_in_header h;
	struct inode *node; /* of h.nodeid; NULL only for operations on none */
	const uint8_t *body;
	size_t body_len;
	const struct iovec *out, *in; /* the guest's segments */
	size_t n_out, n_in;
	size_t room;       /* for the answer without its header */
	size_t answer_len; /* in w->answer, or already in the guest's segments when direct */
	bool direct;
	int wrong; /* by call_name() */
};

/* The fixed part of a request: the body is at least this long (checked by the dispatcher). */
#define ARG(c, type) ((const struct type *)(c)->body)

/* The name at `offset` of the body: NUL-terminated within it, one component, not "." or "..". NULL if it is not, and c->wrong says why,
 * as -errno; *next (may be NULL) is where what follows begins. */
const char *call_name(struct call *c, size_t offset, size_t *next);

/* Room for an answer of a fixed size, zeroed. */
void *call_answer(struct call *c, size_t len);

/* The node's file, opened O_PATH. 0 or -errno. */
must_check int call_path(const struct call *c, struct inode_path *out);

/* Opens the file behind an O_PATH descriptor; ENXIO unless it is a regular file or a directory. */
must_check int call_reopen(const struct call *c, const struct inode *n, int flags);

/* A name for what fd is, for calls that know no descriptors: in /proc/self/fd, a worker's working directory. */
enum { PROC_NAME_MAX = 16 };
const char *call_proc_name(int fd, char buf[PROC_NAME_MAX]);

/* Fills what the guest is told of a file. */
void answer_attr(const struct sys_statx *st, struct fuse_attr *out);
void answer_entry(const struct call *c, uint64_t id, const struct sys_statx *st, struct fuse_entry_out *out);

/* How long names and attributes may be remembered, in seconds. */
uint64_t call_valid(const struct call *c);

/* Operations: 0 or -errno. */
typedef int fuse_op(struct call *c);
fuse_op op_lookup, op_forget, op_batch_forget, op_getattr, op_setattr, op_readlink, op_symlink, op_mknod, op_mkdir, op_unlink, op_rmdir,
	op_rename, op_rename2, op_link, op_open, op_read, op_write, op_statfs, op_release, op_fsync, op_setxattr, op_getxattr, op_listxattr,
	op_removexattr, op_flush, op_init, op_destroy, op_opendir, op_readdir, op_readdirplus, op_releasedir, op_fsyncdir, op_access,
	op_create, op_tmpfile, op_fallocate, op_lseek, op_copy_file_range, op_syncfs;
