/* inode.h - what a guest has looked up: numbers it knows, and the files of the share behind them
 *
 * A node id is a slot with a generation, never used twice; what a guest makes up finds nothing. Behind it is, where the file system
 * of the share can give one, a file handle (name_to_handle_at(2)), so that a guest that looks up a hundred thousand files costs memory
 * but no descriptors; else an O_PATH descriptor. Thread-safe; an inode stays valid between get and put whatever is forgotten meanwhile.
 */
#pragma once
#include "base/err.h"
#include "base/sys.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define FUSE_ROOT 1ull /* the node id of the share's root */

struct inodes;
struct inode;

/* share_fd: the root directory of the share, opened O_RDONLY, borrowed until inodes_free(). At most max inodes are known at a time, of
 * which at most fd_max have a descriptor. */
must_check int inodes_new(int share_fd, uint32_t max, uint32_t fd_max, struct inodes **out, struct err *e);
void inodes_free(struct inodes *t); /* accepts NULL */

/* The inode of a node id with a reference to put, or NULL. */
struct inode *inodes_get(struct inodes *t, uint64_t id);
void inodes_put(struct inodes *t, struct inode *n); /* accepts NULL */

uint64_t inode_id(const struct inode *n);
bool inode_is_dir(const struct inode *n);
bool inode_is_regular(const struct inode *n);

/* A descriptor opened O_PATH for an inode: the inode's own, or one to close. */
struct inode_path {
	int fd;
	bool owned;
};
#define INODE_PATH_NONE ((struct inode_path){ .fd = -1 })
void inode_path_close(struct inode_path *p);
#define auto_path __attribute__((cleanup(inode_path_close)))

/* 0 or -errno (ESTALE: the file is gone). */
must_check int inode_path(struct inodes *t, const struct inode *n, struct inode_path *out);

/* Looks up name, which has no slash and is not "..", in the directory dir_fd (O_PATH will do): no symbolic link is followed, nothing is
 * opened. Counts one lookup for the guest. 0: *id and *st are set; -errno (ENFILE: the limit). */
must_check int inodes_lookup(struct inodes *t, int dir_fd, const char *name, uint64_t *id, struct sys_statx *st);

/* The same for a file that is open. */
must_check int inodes_adopt(struct inodes *t, int fd, uint64_t *id, struct sys_statx *st);

/* The guest forgets n lookups. More than it made counts as all. The root is never forgotten. */
void inodes_forget(struct inodes *t, uint64_t id, uint64_t n);

/* Forgets everything but the root. */
void inodes_clear(struct inodes *t);

/* How many are known, for tests and statistics. */
uint32_t inodes_count(struct inodes *t);
