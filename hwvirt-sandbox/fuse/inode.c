/* inode.c - numbered inodes, a hash over what identifies a file, and reference counts
 *
 * A file is known by its mount, its inode number and its handle. The handle has the file system's generation number, so a new file
 * with the number of a deleted one is another file. Without handles the descriptor keeps the number from being used again.
 *
 * One mutex guards the tables; system calls are made outside of it. open_by_handle_at(2) wants a descriptor of the mount that is
 * not O_PATH: one is kept for each mount the guest has come to, the share's root first.
 */
#include "hwvirt-sandbox/fuse/inode.h"

#include "base/cleanup.h"
#include "hwvirt-sandbox/fuse/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HANDLE_MAX = 40, MOUNTS_MAX = 64, BUCKETS_FIRST = 256 };

struct handle {
	uint32_t bytes; /* 0: none */
	int type;
	unsigned char data[HANDLE_MAX];
};

struct inode {
	uint64_t id;      /* in slots; the root is the first: FUSE_ROOT */
	uint64_t nlookup; /* of the guest */
	uint32_t refs;    /* ours, and one while nlookup > 0 */
	uint32_t mode;    /* the type only */
	int fd;           /* O_PATH, or -1 if there is a handle */
	uint64_t mount_id, ino, dev;
	struct handle handle;
	struct inode *next; /* of the hash chain, or of nothing when no longer in it */
};

struct mount {
	uint64_t id;
	int fd;
};

struct inodes {
	pthread_mutex_t lock;
	struct slots slots;
	uint32_t max, fds, fd_max, n_buckets;
	struct inode **buckets; /* at least as many as inodes */
	struct mount mounts[MOUNTS_MAX];
	unsigned n_mounts;
	int proc_fd; /* /proc/self/fd */
};

/* What a lookup found, before it is known whether the guest knew it. */
struct found {
	int fd; /* owned; O_PATH */
	struct sys_statx st;
	struct handle handle;
};

uint64_t inode_id(const struct inode *n)
{
	return n->id;
}

bool inode_is_dir(const struct inode *n)
{
	return S_ISDIR(n->mode);
}

bool inode_is_regular(const struct inode *n)
{
	return S_ISREG(n->mode);
}

void inode_path_close(struct inode_path *p)
{
	if (p->owned)
		close_fd(&p->fd);
	*p = INODE_PATH_NONE;
}

/* ---- hash; the lock is held ---- */

static uint32_t hash(uint64_t mount_id, uint64_t ino)
{
	uint64_t h = (ino ^ mount_id << 48) * 0x9e3779b97f4a7c15ull;

	return (uint32_t)(h >> 32);
}

static struct inode **bucket(struct inodes *t, uint64_t mount_id, uint64_t ino)
{
	return &t->buckets[hash(mount_id, ino) & (t->n_buckets - 1)];
}

static uint64_t device(const struct sys_statx *st)
{
	return (uint64_t)st->dev_major << 32 | st->dev_minor;
}

static bool same_handle(const struct handle *a, const struct handle *b)
{
	return a->bytes == b->bytes && a->type == b->type && memcmp(a->data, b->data, a->bytes) == 0;
}

static struct inode *find(struct inodes *t, const struct found *f)
{
	for (struct inode *n = *bucket(t, f->st.mnt_id, f->st.ino); n; n = n->next) {
		if (n->ino == f->st.ino && n->mount_id == f->st.mnt_id && n->dev == device(&f->st) &&
		    same_handle(&n->handle, &f->handle))
			return n;
	}
	return NULL;
}

static void chain(struct inodes *t, struct inode *n)
{
	struct inode **b = bucket(t, n->mount_id, n->ino);

	n->next = *b;
	*b = n;
}

static void unchain(struct inodes *t, struct inode *n)
{
	struct inode **at = bucket(t, n->mount_id, n->ino);

	while (*at && *at != n)
		at = &(*at)->next;
	if (*at)
		*at = n->next;
	n->next = NULL;
}

/* Doubles the buckets and spreads the chains anew. */
static void grow(struct inodes *t)
{
	t->n_buckets = t->n_buckets ? 2 * t->n_buckets : BUCKETS_FIRST;
	free(t->buckets);
	t->buckets = calloc(t->n_buckets, sizeof(*t->buckets));
	if (!t->buckets)
		abort();
	for (uint32_t i = 0; i < t->slots.n; i++) {
		if (t->slots.v[i].thing)
			chain(t, t->slots.v[i].thing);
	}
}

/* ---- mounts; the lock is held ---- */

static int mount_fd(const struct inodes *t, uint64_t id)
{
	for (unsigned i = 0; i < t->n_mounts; i++) {
		if (t->mounts[i].id == id)
			return t->mounts[i].fd;
	}
	return -1;
}

static int open_handle(int mount_fd, const struct handle *handle)
{
	struct {
		struct file_handle h;
		unsigned char data[HANDLE_MAX];
	} buf = { .h = { .handle_bytes = handle->bytes, .handle_type = handle->type } };

	memcpy(buf.h.f_handle, handle->data, handle->bytes);
	return open_by_handle_at(mount_fd, &buf.h, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

/* Without CAP_DAC_READ_SEARCH handles can be had, but not opened. */
static bool handle_works(int mount_fd, const struct handle *handle)
{
	auto_fd int fd = open_handle(mount_fd, handle);

	return fd >= 0;
}

/* A descriptor of the mount for handles on it: made by opening what was found, if that may be opened. */
static bool mount_learn(struct inodes *t, const struct found *f)
{
	char name[16];
	int fd;

	if (mount_fd(t, f->st.mnt_id) >= 0)
		return true;
	if (t->n_mounts == MOUNTS_MAX || !(S_ISDIR(f->st.mode) || S_ISREG(f->st.mode)))
		return false;
	snprintf(name, sizeof(name), "%d", f->fd);
	fd = openat(t->proc_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	if (!handle_works(fd, &f->handle)) {
		close(fd);
		return false;
	}
	t->mounts[t->n_mounts++] = (struct mount){ .id = f->st.mnt_id, .fd = fd };
	return true;
}

/* ---- life of an inode; the lock is held ---- */

static void release(struct inodes *t, struct inode *n)
{
	if (--n->refs > 0)
		return;
	unchain(t, n);
	if (n->fd >= 0)
		t->fds--;
	close_fd(&n->fd);
	slots_remove(&t->slots, n->id);
	free(n);
}

/* Whether what was found can be kept, by handle or by descriptor. Without a handle that works, f->handle is emptied. */
static int admit(struct inodes *t, struct found *f)
{
	if (t->slots.used >= t->max)
		return -ENFILE;
	if (f->handle.bytes && !mount_learn(t, f))
		f->handle.bytes = 0;
	return f->handle.bytes || t->fds < t->fd_max ? 0 : -ENFILE;
}

static struct inode *insert(struct inodes *t, struct found *f)
{
	struct inode *n = calloc(1, sizeof(*n));

	if (!n)
		abort();
	if (t->slots.used == t->n_buckets)
		grow(t);
	*n = (struct inode){
		.mode = f->st.mode & S_IFMT,
		.fd = f->handle.bytes ? -1 : take_fd(&f->fd),
		.mount_id = f->st.mnt_id,
		.ino = f->st.ino,
		.dev = device(&f->st),
		.handle = f->handle,
	};
	t->fds += n->fd >= 0;
	n->id = slots_add(&t->slots, n);
	chain(t, n);
	return n;
}

static int count_lookup(struct inodes *t, struct found *f, uint64_t *id)
{
	struct inode *n = find(t, f);

	if (!n) {
		int r = admit(t, f);

		if (r < 0)
			return r;
		/* Without its handle it may be one that is known. */
		n = f->handle.bytes ? NULL : find(t, f);
		if (!n)
			n = insert(t, f);
	}
	if (n->nlookup++ == 0)
		n->refs++;
	*id = n->id;
	return 0;
}

static struct inode *by_id(const struct inodes *t, uint64_t id)
{
	return slots_find(&t->slots, id);
}

/* ---- public ---- */

static void read_handle(int fd, struct handle *out)
{
	struct {
		struct file_handle h;
		unsigned char data[HANDLE_MAX];
	} buf = { .h = { .handle_bytes = HANDLE_MAX } };
	int mount_id;

	out->bytes = 0;
	if (name_to_handle_at(fd, "", &buf.h, &mount_id, AT_EMPTY_PATH) < 0 || buf.h.handle_bytes > HANDLE_MAX)
		return;
	out->bytes = buf.h.handle_bytes;
	out->type = buf.h.handle_type;
	memcpy(out->data, buf.h.f_handle, out->bytes);
}

static int examine(struct found *f)
{
	if (sys_statx(f->fd, "", AT_EMPTY_PATH, SYS_STATX_BASIC | SYS_STATX_MNT_ID, &f->st) < 0)
		return -errno;
	read_handle(f->fd, &f->handle);
	return 0;
}

static int admit_found(struct inodes *t, struct found *f, uint64_t *id, struct sys_statx *st)
{
	int r = examine(f);

	if (r == 0) {
		pthread_mutex_lock(&t->lock);
		r = count_lookup(t, f, id);
		pthread_mutex_unlock(&t->lock);
	}
	if (r == 0)
		*st = f->st;
	close_fd(&f->fd);
	return r;
}

int inodes_lookup(struct inodes *t, int dir_fd, const char *name, uint64_t *id, struct sys_statx *st)
{
	struct found f = { .fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC) };

	return f.fd < 0 ? -errno : admit_found(t, &f, id, st);
}

int inodes_adopt(struct inodes *t, int fd, uint64_t *id, struct sys_statx *st)
{
	char name[16];
	struct found f;

	snprintf(name, sizeof(name), "%d", fd);
	f.fd = openat(t->proc_fd, name, O_PATH | O_CLOEXEC);
	return f.fd < 0 ? -errno : admit_found(t, &f, id, st);
}

struct inode *inodes_get(struct inodes *t, uint64_t id)
{
	struct inode *n;

	pthread_mutex_lock(&t->lock);
	n = by_id(t, id);
	if (n)
		n->refs++;
	pthread_mutex_unlock(&t->lock);
	return n;
}

void inodes_put(struct inodes *t, struct inode *n)
{
	if (!n)
		return;
	pthread_mutex_lock(&t->lock);
	release(t, n);
	pthread_mutex_unlock(&t->lock);
}

int inode_path(struct inodes *t, const struct inode *n, struct inode_path *out)
{
	int mount;

	if (n->fd >= 0) {
		*out = (struct inode_path){ .fd = n->fd };
		return 0;
	}
	pthread_mutex_lock(&t->lock);
	mount = mount_fd(t, n->mount_id);
	pthread_mutex_unlock(&t->lock);
	*out = (struct inode_path){ .fd = open_handle(mount, &n->handle), .owned = true };
	return out->fd < 0 ? -errno : 0;
}

void inodes_forget(struct inodes *t, uint64_t id, uint64_t n)
{
	struct inode *inode;

	pthread_mutex_lock(&t->lock);
	inode = id == FUSE_ROOT ? NULL : by_id(t, id);
	if (inode && inode->nlookup) {
		inode->nlookup -= n < inode->nlookup ? n : inode->nlookup;
		if (inode->nlookup == 0)
			release(t, inode);
	}
	pthread_mutex_unlock(&t->lock);
}

void inodes_clear(struct inodes *t)
{
	for (uint32_t i = 0; i < t->slots.n; i++) {
		const struct inode *n;
		uint64_t id;

		pthread_mutex_lock(&t->lock);
		n = t->slots.v[i].thing;
		id = n ? n->id : 0;
		pthread_mutex_unlock(&t->lock);
		if (id)
			inodes_forget(t, id, UINT64_MAX);
	}
}

uint32_t inodes_count(struct inodes *t)
{
	uint32_t n;

	pthread_mutex_lock(&t->lock);
	n = t->slots.used;
	pthread_mutex_unlock(&t->lock);
	return n;
}

/* The root is the first, which makes its id FUSE_ROOT. */
static int add_root(struct inodes *t, int share_fd, struct err *e)
{
	struct found f = { .fd = openat(share_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC) };
	uint64_t id;
	int r;

	if (f.fd < 0)
		return err_errno(e, "share: its root");
	r = examine(&f);
	if (r == 0) {
		grow(t);
		f.handle.bytes = 0;
		r = count_lookup(t, &f, &id);
	}
	close_fd(&f.fd);
	return r < 0 ? err_set(e, -r, "share: its root: %s", strerror(-r)) : 0;
}

int inodes_new(int share_fd, uint32_t max, uint32_t fd_max, struct inodes **out, struct err *e)
{
	struct inodes *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		abort();
	*t = (struct inodes){ .lock = PTHREAD_MUTEX_INITIALIZER, .max = max, .fd_max = fd_max };
	t->proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (t->proc_fd < 0) {
		free(t);
		return err_errno(e, "/proc/self/fd");
	}
	r = add_root(t, share_fd, e);
	if (r < 0) {
		inodes_free(t);
		return r;
	}
	*out = t;
	return 0;
}

void inodes_free(struct inodes *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->slots.n; i++) {
		struct inode *n = t->slots.v[i].thing;

		if (n)
			close_fd(&n->fd);
		free(n);
	}
	for (unsigned i = 0; i < t->n_mounts; i++)
		close_fd(&t->mounts[i].fd);
	close_fd(&t->proc_fd);
	slots_release(&t->slots);
	free(t->buckets);
	pthread_mutex_destroy(&t->lock);
	free(t);
}
