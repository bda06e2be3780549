/* server.h - the file server of a microVM: FUSE requests (linux/fuse.h, protocol 7.31 and later) on one directory
 *
 * Knows nothing of virtio: a request is a list of segments to read and a list to write. Whatever the request says, the server stays in
 * its share: names are single components, symbolic links are never followed, and only regular files and directories are ever opened.
 * Nothing a guest sends ends the process or lets it allocate beyond the limits of struct fuse_options.
 */
#pragma once
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define FUSE_REQUEST_MAX ((1u << 20) + 4096) /* bytes of a request, and of an answer */

/* How much the guest's kernel may remember. */
enum fuse_cache {
	FUSE_CACHE_NONE,   /* nothing: reads and writes go to the host each time */
	FUSE_CACHE_AUTO,   /* for a second; data until it is opened again: the host changes files too */
	FUSE_CACHE_ALWAYS, /* without end, writes too: nobody but the guest changes anything */
};

struct fuse_options {
	bool read_only;
	enum fuse_cache cache;
	uint32_t inodes_max; /* known at a time */
	uint32_t fds_max;    /* for inodes that have no handle */
	uint32_t files_max;  /* open at a time */
};

struct fuse_server;
struct fuse_worker; /* one thread's buffers */

/* share_fd: the root of the share, opened O_RDONLY|O_DIRECTORY; borrowed. */
must_check int fuse_server_new(int share_fd, const struct fuse_options *o, struct fuse_server **out, struct err *e);
void fuse_server_free(struct fuse_server *s); /* accepts NULL; no worker is serving */

/* To be called by the thread that will serve: its umask and working directory become its own. */
must_check int fuse_worker_new(struct fuse_server *s, struct fuse_worker **out, struct err *e);
void fuse_worker_free(struct fuse_worker *w); /* accepts NULL */

/* Serves one request. Returns how many bytes of the answer were written, 0 where there is none (FORGET, or a request without a whole
 * header). Always returns; what is wrong with a request is the answer's error. */
size_t fuse_serve(struct fuse_worker *w, const struct iovec *out, size_t n_out, const struct iovec *in, size_t n_in);

/* Inodes known, for tests. */
uint32_t fuse_server_inodes(struct fuse_server *s);
