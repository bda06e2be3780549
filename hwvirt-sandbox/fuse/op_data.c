/* op_data.c - operations on open files
 *
 * READ and WRITE move bytes between the guest's segments and the file, without a copy of ours.
 */
#include "hwvirt-sandbox/fuse/internal.h"

#include "hwvirt-sandbox/iov.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SEGMENTS = IOV_MAX };

int op_read(struct call *c)
{
	const struct fuse_read_in *in = ARG(c, fuse_read_in);
	struct file *f = files_get(c->s->files, in->fh, false);
	struct iovec v[SEGMENTS];
	size_t n = iov_window(c->in, c->n_in, sizeof(struct fuse_out_header), in->size < c->room ? in->size : c->room, v, SEGMENTS);
	ssize_t got;

	if (!f)
		return -EBADF;
	got = n ? preadv(f->fd, v, (int)n, (off_t)in->offset) : 0;
	files_put(c->s->files, f);
	if (got < 0)
		return -errno;
	c->direct = true;
	c->answer_len = (size_t)got;
	return 0;
}

int op_write(struct call *c)
{
	const struct fuse_write_in in = *ARG(c, fuse_write_in);
	size_t have = c->h.len - sizeof(c->h) - sizeof(in);
	struct creds auto_creds creds = { 0 };
	struct iovec v[SEGMENTS];
	struct file *f;
	ssize_t done;
	int r = in.size > have ? -EINVAL : 0;

	if (r == 0 && (in.write_flags & FUSE_WRITE_KILL_SUIDGID))
		r = creds_without_fsetid(&creds);
	if (r < 0)
		return r;
	f = files_get(c->s->files, in.fh, false);
	if (!f)
		return -EBADF;
	done = pwritev(f->fd, v, (int)iov_window(c->out, c->n_out, sizeof(c->h) + sizeof(in), in.size, v, SEGMENTS),
		       (off_t)in.offset);
	r = done < 0 ? -errno : 0;
	files_put(c->s->files, f);
	if (r == 0)
		((struct fuse_write_out *)call_answer(c, sizeof(struct fuse_write_out)))->size = (uint32_t)done;
	return r;
}

int op_flush(struct call *c)
{
	struct file *f = files_get(c->s->files, ARG(c, fuse_flush_in)->fh, false);
	int copy, r = 0;

	if (!f)
		return -EBADF;
	/* close(2) is where some file systems tell of errors */
	copy = fcntl(f->fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0 || close(copy) < 0)
		r = -errno;
	files_put(c->s->files, f);
	return r;
}

static int sync_file(struct call *c, bool dir)
{
	const struct fuse_fsync_in *in = ARG(c, fuse_fsync_in);
	struct file *f = files_get(c->s->files, in->fh, dir);
	int r;

	if (!f)
		return -EBADF;
	r = (in->fsync_flags & FUSE_FSYNC_FDATASYNC) ? fdatasync(f->fd) : fsync(f->fd);
	r = r < 0 ? -errno : 0;
	files_put(c->s->files, f);
	return r;
}

int op_fsync(struct call *c)
{
	return sync_file(c, false);
}

int op_fsyncdir(struct call *c)
{
	return sync_file(c, true);
}

int op_syncfs(struct call *c)
{
	int fd = call_reopen(c, c->node, O_RDONLY), r;

	if (fd < 0)
		return fd;
	r = syncfs(fd) < 0 ? -errno : 0;
	close(fd);
	return r;
}

int op_fallocate(struct call *c)
{
	const struct fuse_fallocate_in *in = ARG(c, fuse_fallocate_in);
	struct file *f = files_get(c->s->files, in->fh, false);
	int r;

	if (!f)
		return -EBADF;
	r = fallocate(f->fd, (int)in->mode, (off_t)in->offset, (off_t)in->length) < 0 ? -errno : 0;
	files_put(c->s->files, f);
	return r;
}

int op_lseek(struct call *c)
{
	const struct fuse_lseek_in in = *ARG(c, fuse_lseek_in);
	struct file *f = files_get(c->s->files, in.fh, false);
	off_t at;

	if (!f)
		return -EBADF;
	at = in.whence == SEEK_DATA || in.whence == SEEK_HOLE ? lseek(f->fd, (off_t)in.offset, (int)in.whence)
							      : (errno = EINVAL, -1);
	files_put(c->s->files, f);
	if (at < 0)
		return -errno;
	((struct fuse_lseek_out *)call_answer(c, sizeof(struct fuse_lseek_out)))->offset = (uint64_t)at;
	return 0;
}

int op_copy_file_range(struct call *c)
{
	const struct fuse_copy_file_range_in in = *ARG(c, fuse_copy_file_range_in);
	struct file *from = files_get(c->s->files, in.fh_in, false), *to = files_get(c->s->files, in.fh_out, false);
	off_t at_in = (off_t)in.off_in, at_out = (off_t)in.off_out;
	ssize_t n = -1;
	int r = -EBADF;

	if (from && to) {
		n = copy_file_range(from->fd, &at_in, to->fd, &at_out, in.len < INT_MAX ? in.len : INT_MAX, 0);
		r = n < 0 ? -errno : 0;
	}
	files_put(c->s->files, from);
	files_put(c->s->files, to);
	if (r == 0)
		((struct fuse_write_out *)call_answer(c, sizeof(struct fuse_write_out)))->size = (uint32_t)n;
	return r;
}
