/* The process with the virtual machine, and the one it forks before the guest runs, which has the files.
 *
 * To the supervisor it has one channel: a packet with a descriptor is a connection of the guest's to AGENT_PORT; one without says
 * how the machine ended; the end of the channel is the end of the process. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/retry.h"
#include "hwvirt-sandbox/kvm/probe.h"
#include "hwvirt-sandbox/supervisor/supervisor.h"
#include "hwvirt-sandbox/virtio/balloon.h"
#include "hwvirt-sandbox/virtio/console.h"
#include "hwvirt-sandbox/virtio/fs.h"
#include "hwvirt-sandbox/virtio/rng.h"
#include "hwvirt-sandbox/virtio/vsock.h"
#include "hwvirt-sandbox/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { GUEST_CID = 3, WHY_MAX = 400 };

struct devices {
	struct virtio_rng rng;
	struct virtio_balloon balloon;
	struct virtio_console console;
	struct virtio_vsock vsock;
	struct virtio_fs fs;
	int channel, console_fd, share_fd;
};

/* ---- the file server ---- */

/* It keeps what it serves with, and neither the machine nor its channel. */
static int serve(const struct devices *s, const struct virtio_fs_peer *peer, const struct guest_mem *mem, struct err *e)
{
	static const struct fuse_options o = {
		.cache = FUSE_CACHE_AUTO, .inodes_max = 1 << 20, .fds_max = 4096, .files_max = 65536
	};
	int keep[VIRTIO_QUEUES_MAX + 3] = { peer->channel_fd, peer->remote.call_fd, s->share_fd };

	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++)
		keep[3 + i] = i < peer->n_queues ? peer->remote.kick_fd[i] : -EBADF;
	int r = fd_close_others(3, keep, sizeof(keep) / sizeof(keep[0]), e);

	return r < 0 ? r : fs_serve(peer, mem, s->share_fd, &o, e);
}

static int add_share(struct vmm *v, struct devices *d, struct err *e)
{
	struct virtio_fs_peer peer;
	int r = virtio_fs_init(&d->fs, vmm_memory(v), "share", 1, &peer, e);

	if (r < 0)
		return r;
	pid_t pid = fork();

	if (pid < 0)
		return err_errno(e, "fork");
	if (pid == 0) {
		(void)prctl(PR_SET_NAME, "drupe-files");
		_exit(prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || serve(d, &peer, vmm_memory(v), e) < 0);
	}
	close_fd(&peer.channel_fd);
	close_fd(&d->share_fd);
	return vmm_add(v, &d->fs.device, e);
}

/* ---- the machine ---- */

static int send_packet(int channel, const char *text, size_t len, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec v = { (void *)text, len };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	if (fd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control.room);
		control.head =
			(struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	}
	return sendmsg(channel, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* The guest connects: the other end goes to the supervisor. */
static int connect_to(void *arg, uint32_t port)
{
	const struct devices *d = arg;
	int ends[2], r;

	if (port != AGENT_PORT)
		return -ECONNREFUSED;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return -errno;
	auto_fd int ours = ends[0], theirs = ends[1];

	r = send_packet(d->channel, "c", 1, theirs);
	return r < 0 ? r : take_fd(&ours);
}

static int add_devices(struct vmm *v, struct devices *d, struct err *e)
{
	const struct guest_mem *mem = vmm_memory(v);

	virtio_rng_init(&d->rng, mem);
	virtio_balloon_init(&d->balloon, mem);
	int r = vmm_add(v, &d->rng.device, e);

	if (r >= 0)
		r = vmm_add(v, &d->balloon.device, e);
	if (r >= 0)
		r = add_share(v, d, e);
	if (r >= 0)
		r = virtio_console_init(&d->console, mem, d->console_fd, e);
	if (r >= 0)
		r = vmm_add(v, &d->console.device, e);
	if (r >= 0)
		r = virtio_vsock_init(&d->vsock, mem, GUEST_CID, connect_to, d, e);
	return r < 0 ? r : vmm_add(v, &d->vsock.device, e);
}

static int run(const struct machine_config *m, struct devices *d, struct vm_end *end, struct err *e)
{
	auto_fd int kvm_fd = kvm_open(e);
	struct vmm_config c = {
		.kvm_fd = kvm_fd,
		.mem_size = m->plan->memory,
		.n_cpus = m->plan->cpus,
		.kernel_fd = m->kernel_fd,
		.initrd_fd = m->initrd_fd,
		.cmdline = m->cmdline,
		.serial_fd = -EBADF,
	};
	struct kvm_probe probe;
	struct vmm *v;

	if (kvm_fd < 0)
		return kvm_fd;
	kvm_probe_run(kvm_fd, &probe);
	if (probe.verdict != KVM_USABLE)
		return err_set(e, ENOTSUP, "%s", probe.why);
	int r = vmm_new(&c, &v, e);

	if (r >= 0)
		r = add_devices(v, d, e);
	if (r >= 0)
		r = vmm_start(v, e);
	if (r >= 0)
		vmm_wait(v, end);
	return r;
}

/* All of it ends with the process: nothing is taken down. */
static _Noreturn void become_machine(const struct machine_config *m, struct devices *d, pid_t supervisor)
{
	const int keep[] = { d->channel, d->console_fd, m->kernel_fd, m->initrd_fd, m->share_fd };
	struct vm_end end = { 0 };
	char text[WHY_MAX];
	struct err e;

	proc_reset_signals(0);
	(void)signal(SIGPIPE, SIG_IGN);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != supervisor)
		_exit(1);
	(void)prctl(PR_SET_NAME, "drupe-machine");
	int r = fd_close_others(3, keep, sizeof(keep) / sizeof(keep[0]), &e);

	if (r >= 0)
		r = run(m, d, &end, &e);
	(void)snprintf(text, sizeof(text), "%.*s", WHY_MAX - 1, r < 0 ? e.text : end.why);
	(void)send_packet(d->channel, text, strlen(text), -1);
	_exit(r < 0);
}

/* The process, with its ends of channel and console. */
static int start(const struct machine_config *c, int channel, int console, pid_t *pid, struct err *e)
{
	struct devices *d = calloc(1, sizeof(*d));
	pid_t us = getpid();

	if (!d)
		return err_set(e, ENOMEM, "virtual machine: out of memory");
	d->channel = channel;
	d->console_fd = console;
	d->share_fd = c->share_fd;
	*pid = fork();
	if (*pid == 0)
		become_machine(c, d, us);
	free(d);
	return *pid < 0 ? err_errno(e, "fork") : 0;
}

int machine_start(const struct machine_config *c, struct machine *out, struct err *e)
{
	int ends[2];
	pid_t pid = -1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_errno(e, "socketpair");
	auto_fd int channel = ends[0], its_channel = ends[1];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_errno(e, "pipe");
	auto_fd int console = ends[0], its_console = ends[1];
	int r = start(c, its_channel, its_console, &pid, e);

	if (r < 0)
		return r;
	*out = (struct machine){ .pid = pid, .channel = take_fd(&channel), .console = take_fd(&console) };
	return 0;
}

/* ---- the supervisor's side ---- */

static int passed_fd(struct msghdr *m)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(m);
	int fd = -1;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static bool printable(const char *s)
{
	for (; *s; s++)
		if (*s < ' ' || *s > '~')
			return false;
	return true;
}

int machine_hear(struct machine *m, int *conn, struct err *e)
{
	char text[WHY_MAX] = "", control[CMSG_SPACE(sizeof(int))];
	struct iovec v = { text, sizeof(text) - 1 };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	ssize_t n = RETRY(recvmsg(m->channel, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return err_set(e, EPIPE, "the virtual machine has ended: its process died");
	auto_fd int fd = passed_fd(&h);

	if (fd >= 0) {
		*conn = take_fd(&fd);
		return 1;
	}
	return err_set(e, EPIPE, "the virtual machine has ended: %s", printable(text) ? text : "for no reason it could tell");
}

void machine_end(struct machine *m)
{
	close_fd(&m->channel);
	close_fd(&m->console);
	if (m->pid <= 0)
		return;
	(void)kill(m->pid, SIGKILL);
	(void)waitpid(m->pid, NULL, 0);
	m->pid = 0;
}
