/* op_dir.c - reading directories
 *
 * The host's records are read with getdents64(2) from the position the guest names and packed into its answer until that is full.
 * With READDIRPLUS each name is looked up too; the lookup counts only if its record fits.
 */
#include "hwvirt-sandbox/fuse/internal.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A record of getdents64(2). */
struct record {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

struct listing {
	struct call *c;
	bool plus;
	int dir_fd; /* O_PATH or not */
	size_t room;
};

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static void put_dirent(struct fuse_dirent *d, const struct record *r, size_t name_len)
{
	d->ino = r->ino;
	d->off = (uint64_t)r->off;
	d->namelen = (uint32_t)name_len;
	d->type = r->type;
	memcpy(d->name, r->name, name_len);
}

/* false: it does not fit. */
static bool pack(struct listing *l, const struct record *r)
{
	size_t name_len = strlen(r->name), fixed = l->plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
	size_t size = FUSE_DIRENT_ALIGN(fixed + name_len);
	uint8_t *at = l->c->w->answer + l->c->answer_len;
	struct fuse_direntplus *plus = (struct fuse_direntplus *)at;
	struct sys_statx st;
	uint64_t id;

	if (size > l->room - l->c->answer_len)
		return false;
	memset(at, 0, size);
	put_dirent(l->plus ? &plus->dirent : (struct fuse_dirent *)at, r, name_len);
	/* A name that is gone meanwhile, or one too many, is told without its inode: node id 0. */
	if (l->plus && !is_dot(r->name) && inodes_lookup(l->c->s->inodes, l->dir_fd, r->name, &id, &st) == 0)
		answer_entry(l->c, id, &st, &plus->entry_out);
	l->c->answer_len += size;
	return true;
}

/* Has the next record ready. 1, 0 at the end, -errno. */
static int refill(int fd, struct file_position *p)
{
	long n;

	if (p->at < p->len)
		return 1;
	if (!p->records)
		p->records = malloc(FILE_RECORDS);
	if (!p->records)
		abort();
	n = syscall(SYS_getdents64, fd, p->records, FILE_RECORDS);
	p->at = 0;
	p->len = n < 0 ? 0 : (uint32_t)n;
	return n < 0 ? -errno : n > 0;
}

static int seek(int fd, struct file_position *p, uint64_t offset)
{
	if (offset && offset == p->offset)
		return 0;
	if (lseek(fd, (off_t)offset, SEEK_SET) < 0)
		return -errno;
	p->at = p->len = 0;
	p->offset = offset;
	return 0;
}

static int list(struct listing *l, struct file_position *p)
{
	int r;

	while ((r = refill(l->dir_fd, p)) > 0) {
		const struct record *record = (const struct record *)(p->records + p->at);

		if (!pack(l, record))
			return 0;
		p->at += record->len;
		p->offset = (uint64_t)record->off;
	}
	return l->c->answer_len ? 0 : r;
}

static int read_dir(struct call *c, bool plus)
{
	const struct fuse_read_in in = *ARG(c, fuse_read_in);
	struct file *f = files_get(c->s->files, in.fh, true);
	struct listing l = { .c = c, .plus = plus, .room = in.size };
	int r;

	if (!f)
		return -EBADF;
	l.room = l.room < c->room ? l.room : c->room;
	l.room = l.room < ANSWER_MAX ? l.room : ANSWER_MAX;
	l.dir_fd = f->fd;
	pthread_mutex_lock(&f->position.lock);
	r = seek(f->fd, &f->position, in.offset);
	if (r == 0)
		r = list(&l, &f->position);
	pthread_mutex_unlock(&f->position.lock);
	files_put(c->s->files, f);
	return r;
}

int op_readdir(struct call *c)
{
	return read_dir(c, false);
}

int op_readdirplus(struct call *c)
{
	return read_dir(c, true);
}
