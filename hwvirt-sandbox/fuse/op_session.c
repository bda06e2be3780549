/* op_session.c - beginning, end, and forgetting */
#include "hwvirt-sandbox/fuse/internal.h"

#include <stdatomic.h>
#include <string.h>

#define MINOR_MIN            31
#define DIRECT_IO_ALLOW_MMAP (1ull << 36) /* Linux 6.6: shared mappings of what is not cached */

/* What is offered whatever the cache is. */
#define FLAGS                                                                                                                      \
	((uint64_t)(FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_ATOMIC_O_TRUNC | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO |        \
		    FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_HANDLE_KILLPRIV_V2 | FUSE_POSIX_ACL | FUSE_DONT_MASK |            \
		    FUSE_SETXATTR_EXT | FUSE_ASYNC_DIO))

static uint64_t offered(enum fuse_cache cache)
{
	if (cache == FUSE_CACHE_ALWAYS)
		return FLAGS | FUSE_WRITEBACK_CACHE | FUSE_CACHE_SYMLINKS;
	return FLAGS | (cache == FUSE_CACHE_AUTO ? FUSE_AUTO_INVAL_DATA : DIRECT_IO_ALLOW_MMAP);
}

int op_init(struct call *c)
{
	struct fuse_init_in in = { 0 };
	struct fuse_init_out *out = call_answer(c, sizeof(*out));
	uint64_t asked;

	memcpy(&in, c->body, c->body_len < sizeof(in) ? c->body_len : sizeof(in));
	if (in.major < 7 || (in.major == 7 && in.minor < MINOR_MIN))
		return -EPROTO;
	out->major = 7;
	out->minor = FUSE_KERNEL_MINOR_VERSION < in.minor ? FUSE_KERNEL_MINOR_VERSION : in.minor;
	if (in.major > 7) /* it asks again, as 7 */
		return 0;
	/* A session begins anew: a guest that booted again, or a hostile one. */
	files_clear(c->s->files);
	inodes_clear(c->s->inodes);
	asked = in.flags | (in.flags & FUSE_INIT_EXT ? (uint64_t)in.flags2 << 32 : 0);
	c->s->flags = asked & offered(c->s->o.cache);
	out->flags = (uint32_t)c->s->flags | (in.flags & FUSE_INIT_EXT);
	out->flags2 = (uint32_t)(c->s->flags >> 32);
	out->max_readahead = in.max_readahead;
	out->max_write = 1 << 20;
	out->max_pages = 256;
	out->max_background = 64;
	out->congestion_threshold = 48;
	out->time_gran = 1;
	c->s->initialised = true;
	return 0;
}

int op_destroy(struct call *c)
{
	c->s->initialised = false;
	files_clear(c->s->files);
	inodes_clear(c->s->inodes);
	return 0;
}

int op_forget(struct call *c)
{
	inodes_forget(c->s->inodes, c->h.nodeid, ARG(c, fuse_forget_in)->nlookup);
	return 0;
}

int op_batch_forget(struct call *c)
{
	const struct fuse_batch_forget_in *in = ARG(c, fuse_batch_forget_in);
	const struct fuse_forget_one *one = (const struct fuse_forget_one *)(in + 1);
	size_t have = (c->body_len - sizeof(*in)) / sizeof(*one);

	for (size_t i = 0; i < in->count && i < have; i++)
		inodes_forget(c->s->inodes, one[i].nodeid, one[i].nlookup);
	return 0;
}
