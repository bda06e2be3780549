/* fs_serve.c - the queues of a file system device, and the file server behind them
 *
 * A thread for each queue, from START to STOP. It takes a request, has it served between the guest's memory and the files, gives it
 * back, and waits for its eventfd when there is none. A request is never interrupted: STOP is answered when those begun are done.
 *
 * The device's process is believed no more than the guest: where the queues are is checked against the memory here, too.
 *
 * Its system calls, for whoever confines it: of this file poll, read and write of eventfds, recvfrom, sendto, clone (or clone3),
 * fchdir, unshare of CLONE_FS, mmap, mprotect, munmap, madvise, brk, futex, rt_sigaction, rt_sigprocmask, set_robust_list, rseq,
 * close, exit, exit_group; of fuse/ openat, name_to_handle_at, open_by_handle_at, statx, fstatfs, fcntl, getdents64, lseek, preadv,
 * pwritev, copy_file_range, fallocate, ftruncate, fsync, fdatasync, syncfs, mkdirat, mknodat, symlinkat, linkat, readlinkat,
 * renameat2, unlinkat, umask, fchmodat, fchownat, utimensat, getxattr, setxattr, listxattr, removexattr, setfsuid, setfsgid,
 * geteuid, getegid, capget, capset.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "hwvirt-sandbox/virtio/fs.h"
#include "hwvirt-sandbox/virtio/fs_channel.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

struct service;

struct worker {
	struct service *s;
	pthread_t thread;
	struct virtq q;
	int kick_fd;
	bool started;
};

struct service {
	const struct virtio_fs_peer *peer;
	const struct guest_mem *mem;
	struct fuse_server *fuse;
	int channel_fd, stop_fd;
	_Atomic bool stopping;
	struct worker workers[VIRTIO_QUEUES_MAX];
};

static void signal_event(int fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));

	(void)n; /* a counter that is full wakes too */
}

static void drain_event(int fd)
{
	uint64_t count;
	ssize_t n = read(fd, &count, sizeof(count));

	(void)n;
}

/* ---- a thread ---- */

static void report_broken(const struct service *s, const struct err *e)
{
	struct fs_message m = { .kind = FS_BROKEN };
	ssize_t n;

	memccpy(m.text, e->text, 0, sizeof(m.text) - 1);
	n = send(s->channel_fd, &m, sizeof(m), MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)n; /* the device's process is gone, or has been told often enough */
}

/* Serves what waits. False: the queue is broken. */
static bool serve_waiting(struct worker *w, struct fuse_worker *fuse, struct virtq_chain *c)
{
	struct err e;
	int r = 0;

	while (!atomic_load(&w->s->stopping) && (r = virtq_pop(&w->q, FUSE_REQUEST_MAX, c, &e)) > 0) {
		size_t written = fuse_serve(fuse, c->segments, c->n_out, c->segments + c->n_out, c->n_in);

		virtq_push(&w->q, c, written);
		if (virtq_must_signal(&w->q))
			signal_event(w->s->peer->remote.call_fd);
	}
	if (r < 0)
		report_broken(w->s, &e);
	return r >= 0;
}

static void serve_queue(struct worker *w, struct fuse_worker *fuse, struct virtq_chain *c)
{
	struct pollfd p[2] = { { .fd = w->kick_fd, .events = POLLIN }, { .fd = w->s->stop_fd, .events = POLLIN } };

	while (serve_waiting(w, fuse, c)) {
		if (poll(p, 2, -1) > 0 && p[1].revents)
			return;
		drain_event(w->kick_fd);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct virtq_chain *c = malloc(sizeof(*c));
	struct fuse_worker *fuse;
	struct err e;

	if (!c)
		abort();
	if (fuse_worker_new(w->s->fuse, &fuse, &e) < 0) {
		report_broken(w->s, &e);
	} else {
		serve_queue(w, fuse, c);
		fuse_worker_free(fuse);
	}
	free(c);
	return NULL;
}

/* ---- the channel ---- */

static void stop(struct service *s)
{
	atomic_store(&s->stopping, true);
	signal_event(s->stop_fd);
	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++) {
		if (s->workers[i].started)
			pthread_join(s->workers[i].thread, NULL);
		s->workers[i].started = false;
	}
	drain_event(s->stop_fd);
	atomic_store(&s->stopping, false);
}

static int start_worker(struct service *s, unsigned i, const struct fs_message *m, struct err *e)
{
	struct worker *w = &s->workers[i];
	int r;

	*w = (struct worker){ .s = s, .kick_fd = s->peer->remote.kick_fd[i] };
	r = virtq_start(&w->q, s->mem, &m->layout[i], m->features & VIRTIO_F_EVENT_IDX, m->features & VIRTIO_F_INDIRECT_DESC, e);
	if (r < 0)
		return err_in(e, "queue %u", i);
	r = pthread_create(&w->thread, NULL, work, w);
	if (r)
		return err_set(e, r, "queue %u: its thread: %s", i, strerror(r));
	w->started = true;
	return 0;
}

static int start(struct service *s, const struct fs_message *m, struct err *e)
{
	int r = 0;

	stop(s); /* what a device that has forgotten to has left */
	for (unsigned i = 0; r >= 0 && i < s->peer->n_queues; i++) {
		if (m->layout[i].size)
			r = start_worker(s, i, m, e);
	}
	if (r < 0)
		stop(s);
	return r;
}

static bool answer(struct service *s, struct fs_message *m)
{
	struct err e = { 0 };

	m->result = -EINVAL;
	if (m->kind == FS_STOP) {
		stop(s);
		m->result = 0;
	} else if (m->kind == FS_START) {
		m->result = start(s, m, &e);
	}
	memset(m->text, 0, sizeof(m->text));
	memccpy(m->text, e.text, 0, sizeof(m->text) - 1);
	return send(s->channel_fd, m, sizeof(*m), MSG_NOSIGNAL) == sizeof(*m);
}

/* Until the device's process closes its end, or says something that is no message. */
static void converse(struct service *s)
{
	struct fs_message m;
	ssize_t n;

	do
		n = recv(s->channel_fd, &m, sizeof(m), 0);
	while ((n < 0 && errno == EINTR) || (n == sizeof(m) && answer(s, &m)));
	stop(s);
}

int virtio_fs_keep_alone(const struct virtio_fs_peer *peer, int more_fd, struct err *e)
{
	int keep[VIRTIO_QUEUES_MAX + 3] = { peer->channel_fd, peer->remote.call_fd, more_fd };

	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++)
		keep[3 + i] = i < peer->n_queues ? peer->remote.kick_fd[i] : -EBADF;
	return fd_close_others(3, keep, sizeof(keep) / sizeof(keep[0]), e);
}

int fs_serve(const struct virtio_fs_peer *peer, const struct guest_mem *mem, int share_fd, const struct fuse_options *o,
	     struct err *e)
{
	auto_fd int channel_fd = peer->channel_fd, stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct service s = { .peer = peer, .mem = mem, .channel_fd = channel_fd, .stop_fd = stop_fd };
	int r;

	if (stop_fd < 0)
		return err_errno(e, "file server: eventfd");
	signal(SIGXFSZ, SIG_IGN); /* a file that would be too large is an error of its request */
	r = fuse_server_new(share_fd, o, &s.fuse, e);
	if (r < 0)
		return r;
	converse(&s);
	fuse_server_free(s.fuse);
	return 0;
}
