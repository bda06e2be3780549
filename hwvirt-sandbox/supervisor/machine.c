/* The process with the virtual machine, and the one it forks before the guest runs, which has the files.
 *
 * To the supervisor it has one channel: a packet with a descriptor is a connection of the guest's to AGENT_PORT; one without says
 * how the machine ended; the end of the channel is the end of the process. */
#include "base/chan.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/proc_fs.h"
#include "base/retry.h"
#include "base/sys.h"
#include "hwvirt-sandbox/kvm/probe.h"
#include "hwvirt-sandbox/supervisor/jail.h"
#include "hwvirt-sandbox/supervisor/supervisor.h"
#include "hwvirt-sandbox/virtio/balloon.h"
#include "hwvirt-sandbox/virtio/console.h"
#include "hwvirt-sandbox/virtio/fs.h"
#include "hwvirt-sandbox/virtio/rng.h"
#include "hwvirt-sandbox/virtio/vsock.h"
#include "hwvirt-sandbox/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/kvm.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { GUEST_CID = 3, WHY_MAX = 400, PASSED_MAX = 2 };

struct devices {
	struct virtio_rng rng;
	struct virtio_balloon balloon;
	struct virtio_console console;
	struct virtio_vsock vsock;
	struct virtio_fs fs;
	int channel, console_fd;
};

/* ---- the file server ---- */

/* What fuse/ and virtio/fs_serve.c call, and musl for threads. Nothing that makes a socket, a process or a mount. */
/* clang-format off */
static const char *const file_calls[] = {
	"openat", "openat2", "open", "open_by_handle_at", "name_to_handle_at", "close", "lseek", "dup",
	"read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev", "pwritev2", "copy_file_range",
	"fstat", "newfstatat", "statx", "fstatfs", "getdents64", "readlinkat", "faccessat", "faccessat2",
	"mkdirat", "mknodat", "symlinkat", "linkat", "unlinkat", "renameat", "renameat2", "umask", "fchdir",
	"fchmodat", "fchmodat2", "fchmod", "fchownat", "fchown", "utimensat", "ftruncate", "fallocate", "fsync", "fdatasync", "syncfs",
	"getxattr", "lgetxattr", "fgetxattr", "setxattr", "lsetxattr", "fsetxattr", "listxattr", "llistxattr", "flistxattr",
	"removexattr", "lremovexattr", "fremovexattr",
	"capget", "capset", "setfsuid", "setfsgid", "geteuid", "getegid",
	"eventfd2", "poll", "ppoll", "sendto", "recvfrom",
	"munmap", "mremap", "madvise", "brk", "futex", "set_robust_list", "set_tid_address", "gettid", "sched_yield",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "restart_syscall", "clock_gettime", "exit", "exit_group", NULL
};
static const struct jail_call file_rules[] = {
	JAIL_THREADS, { "unshare", 0, UINT32_MAX, CLONE_FS }, JAIL_PRCTL(PR_SET_NAME), JAIL_FCNTL, JAIL_MEMORY, { 0 }
};
/* clang-format on */
const struct jail file_jail = {
	.calls = file_calls,
	.rules = file_rules,
	.caps = 1ull << CAP_CHOWN | 1ull << CAP_DAC_OVERRIDE | 1ull << CAP_DAC_READ_SEARCH | 1ull << CAP_FOWNER |
		1ull << CAP_FSETID | 1ull << CAP_SETUID | 1ull << CAP_SETGID | 1ull << CAP_MKNOD | 1ull << CAP_SETFCAP,
};

/* Its root has the shares, and a procfs of its own descriptors. Returns the share. */
static int enter_share(const struct vm_plan *p, struct err *e)
{
	auto_fd int root = jail_new_root(e);
	auto_fd int proc = root < 0 ? root : proc_fs_open(false, NULL, e);

	if (proc < 0)
		return proc;
	if (mkdirat(root, "proc", 0555) < 0 || sys_move_mount(proc, "", root, "proc", SYS_MOVE_MOUNT_F_EMPTY) < 0)
		return err_errno(e, "jail: proc");
	auto_fd int share = share_open(p, root, e);
	int r = share < 0 ? share : jail_change_root(root, e);

	return r < 0 ? r : take_fd(&share);
}

/* It keeps what it serves with, and neither the machine nor its channel. */
static int serve(const struct vm_plan *p, const struct virtio_fs_peer *peer, const struct guest_mem *mem, struct chan *parent,
		 struct err *e)
{
	static const struct fuse_options o = {
		.cache = FUSE_CACHE_AUTO, .inodes_max = 1 << 20, .fds_max = 4096, .files_max = 65536
	};
	int r = virtio_fs_keep_alone(peer, parent->fd, e);
	auto_fd int share = r < 0 ? r : enter_share(p, e);

	if (share < 0)
		return share;
	r = jail_enter(&file_jail, e);
	if (r == 0)
		r = chan_send(parent, MSG_READY, NULL, 0, -1, e);
	chan_close(parent);
	return r < 0 ? r : fs_serve(peer, mem, share, &o, e);
}

static _Noreturn void become_server(const struct vm_plan *p, const struct virtio_fs_peer *peer, const struct guest_mem *mem,
				    struct chan *parent)
{
	struct err e;

	(void)prctl(PR_SET_NAME, "drupe-files");
	int r = prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? err_errno(&e, "prctl") : serve(p, peer, mem, parent, &e);

	if (r < 0 && parent->fd >= 0)
		chan_send_error(parent, &e);
	_exit(r < 0);
}

static int add_share(struct vmm *v, const struct vm_plan *p, struct devices *d, struct err *e)
{
	struct virtio_fs_peer peer;
	auto_chan struct chan ours = { -1 };
	struct chan theirs;
	int r = virtio_fs_init(&d->fs, vmm_memory(v), "share", 1, &peer, e);

	if (r >= 0)
		r = chan_pair(&ours, &theirs, e);
	if (r < 0)
		return r;
	pid_t pid = fork();

	if (pid == 0)
		become_server(p, &peer, vmm_memory(v), &theirs);
	chan_close(&theirs);
	close_fd(&peer.channel_fd);
	if (pid < 0)
		return err_errno(e, "fork");
	r = chan_expect(&ours, MSG_READY, NULL, 0, NULL, e);
	return r < 0 ? r : vmm_add(v, &d->fs.device, e);
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

static int add_devices(struct vmm *v, const struct vm_plan *p, struct devices *d, struct err *e)
{
	const struct guest_mem *mem = vmm_memory(v);

	virtio_rng_init(&d->rng, mem);
	virtio_balloon_init(&d->balloon, mem);
	int r = vmm_add(v, &d->rng.device, e);

	if (r >= 0)
		r = vmm_add(v, &d->balloon.device, e);
	if (r >= 0)
		r = add_share(v, p, d, e);
	if (r >= 0)
		r = virtio_console_init(&d->console, mem, d->console_fd, e);
	if (r >= 0)
		r = vmm_add(v, &d->console.device, e);
	if (r >= 0)
		r = virtio_vsock_init(&d->vsock, mem, GUEST_CID, connect_to, d, e);
	return r < 0 ? r : vmm_add(v, &d->vsock.device, e);
}

/* What vmm.c and the devices call, and musl for threads: see vmm.c. The signal is for the threads of processors; all whom it could
 * reach are in the pid namespace of the machine. */
/* clang-format off */
static const char *const machine_calls[] = {
	"read", "readv", "pread64", "preadv", "write", "writev", "close", "fstat", "lseek", "fallocate", "getrandom",
	"epoll_ctl", "epoll_wait", "epoll_pwait", "poll", "ppoll", "eventfd2",
	"socketpair", "sendmsg", "recvmsg", "sendto", "recvfrom", "shutdown",
	"munmap", "mremap", "madvise", "brk", "futex", "set_robust_list", "set_tid_address", "gettid", "getpid", "sched_yield",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "restart_syscall", "clock_gettime", "exit", "exit_group", NULL
};
static const struct jail_call machine_rules[] = {
	JAIL_THREADS, JAIL_IOCTLS(KVMIO), JAIL_PRCTL(PR_SET_NAME), JAIL_PRCTL(PR_SET_PDEATHSIG), JAIL_FCNTL, JAIL_MEMORY,
	{ "tkill", 1, UINT32_MAX, SIGUSR1 }, { "tgkill", 2, UINT32_MAX, SIGUSR1 }, { 0 }
};
/* clang-format on */
const struct jail machine_jail = { .calls = machine_calls, .rules = machine_rules };

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
	struct kvm_probe_machine probed;
	struct kvm_probe probe;
	struct vmm *v;

	if (kvm_fd < 0)
		return kvm_fd;
	kvm_probe_run(kvm_fd, &probe, &probed);
	if (probe.verdict != KVM_USABLE)
		return err_set(e, ENOTSUP, "%s", probe.why);
	int r = vmm_new(&c, &v, e);

	if (r >= 0)
		r = add_devices(v, m->plan, d, e);
	if (r >= 0)
		r = jail_process(&machine_jail, d->channel, e);
	if (r >= 0)
		r = vmm_start(v, e);
	kvm_probe_release(&probed);
	if (r >= 0)
		vmm_wait(v, end);
	return r;
}

/* All of it ends with the process: nothing is taken down. */
static _Noreturn void become_machine(const struct machine_config *m, struct devices *d)
{
	const int keep[] = { d->channel, d->console_fd, m->kernel_fd, m->initrd_fd };
	struct vm_end end = { 0 };
	char text[WHY_MAX];
	struct err e;

	proc_reset_signals(0);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)prctl(PR_SET_NAME, "drupe-machine");
	/* The log's descriptor goes with the others, and its number will be something else's. */
	(void)log_set_sink((struct log_sink){ 0 });
	int r = fd_close_others(3, keep, sizeof(keep) / sizeof(keep[0]), &e);

	if (r >= 0)
		r = jail_die_with(d->channel, &e);

	if (r >= 0)
		r = run(m, d, &end, &e);
	(void)snprintf(text, sizeof(text), "%.*s", WHY_MAX - 1, r < 0 ? e.text : end.why);
	(void)send_packet(d->channel, text, strlen(text), -1);
	_exit(r < 0);
}

/* The process, with its ends of channel and console. */
static int start(const struct machine_config *c, int channel, int console, struct machine *out, struct err *e)
{
	struct devices *d = calloc(1, sizeof(*d));

	if (!d)
		return err_set(e, ENOMEM, "virtual machine: out of memory");
	d->channel = channel;
	d->console_fd = console;
	out->pid = sys_unshare(SYS_CLONE_NEWPID) < 0 ? -1 : fork();
	if (out->pid == 0)
		become_machine(c, d);
	free(d);
	out->pidfd = out->pid < 0 ? -1 : sys_pidfd_open(out->pid);
	/* Without it the other end of the channel, which goes with us, is its end. */
	return out->pidfd < 0 ? err_errno(e, "the virtual machine's process") : 0;
}

int machine_start(const struct machine_config *c, struct machine *out, struct err *e)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_errno(e, "socketpair");
	auto_fd int channel = ends[0], its_channel = ends[1];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_errno(e, "pipe");
	auto_fd int console = ends[0], its_console = ends[1];
	int r = start(c, its_channel, its_console, out, e);

	out->channel = take_fd(&channel);
	out->console = take_fd(&console);
	return r;
}

/* ---- the supervisor's side ---- */

/* One descriptor is a connection; who sends more than that sends nothing. */
static int passed_fd(struct msghdr *m)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(m);
	size_t n = c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
	int fds[PASSED_MAX] = { -1, -1 };

	if (n)
		memcpy(fds, CMSG_DATA(c), (n < PASSED_MAX ? n : PASSED_MAX) * sizeof(int));
	for (size_t i = 0; n > 1 && i < PASSED_MAX; i++)
		close_fd(&fds[i]);
	return fds[0];
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
	char text[WHY_MAX] = "";
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(PASSED_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec v = { text, sizeof(text) - 1 };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control.room) };
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
	/* We have no descriptor left for it: the guest sees its connection end, and may try again. */
	if (h.msg_flags & MSG_CTRUNC || h.msg_controllen)
		return 0;
	return err_set(e, EPIPE, "the virtual machine has ended: %s", printable(text) ? text : "for no reason it could tell");
}

void machine_end(struct machine *m)
{
	close_fd(&m->channel);
	close_fd(&m->console);
	if (m->pid <= 0)
		return;
	if (sys_pidfd_send_signal(m->pidfd, SIGKILL) == 0)
		(void)waitpid(m->pid, NULL, 0);
	close_fd(&m->pidfd);
	m->pid = 0;
}
