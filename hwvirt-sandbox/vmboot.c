/* vmboot.c - boots a kernel in a virtual machine, for development and tests
 *
 *   vmboot --kernel FILE [OPTION]...
 *
 *   --initrd FILE, --cmdline TEXT, --mem MIB (256), --cpus N (1)
 *   --serial      the guest's serial port is its console and goes to stdout
 *   --console     the console device goes to stdout; with --cmdline console=hvc0 it is the guest's console
 *   --share DIR   a file system device "share" (mount -t virtiofs share ...), served by a process of its own that has the directory
 * and no machine
 *   --vsock DIR   the guest, which has CID 3, reaches the socket DIR/PORT as port PORT of the host
 *   --pit         the old timer, too
 *   --probe       only says whether this machine can run guests: status 0, or 1 and why not
 *
 * The guest has an entropy device and a balloon, too. Ends with the status that the guest writes to its exit port (VMM_EXIT_PORT),
 * with 0 when it resets, and with 125 and the reason on stderr when something went wrong on our side.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "hwvirt-sandbox/kvm/probe.h"
#include "hwvirt-sandbox/virtio/balloon.h"
#include "hwvirt-sandbox/virtio/console.h"
#include "hwvirt-sandbox/virtio/fs.h"
#include "hwvirt-sandbox/virtio/rng.h"
#include "hwvirt-sandbox/virtio/vsock.h"
#include "hwvirt-sandbox/vmm.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { STATUS_USAGE = 2, STATUS_FAILED = 125, GUEST_CID = 3 };

struct options {
	const char *kernel, *initrd, *cmdline, *share, *vsock;
	unsigned long mem_mib, cpus;
	bool serial, console, pit, probe;
};

static const struct option known[] = {
	{ "kernel", required_argument, NULL, 'k' },  { "initrd", required_argument, NULL, 'i' },
	{ "cmdline", required_argument, NULL, 'c' }, { "mem", required_argument, NULL, 'm' },
	{ "cpus", required_argument, NULL, 'n' },    { "share", required_argument, NULL, 'd' },
	{ "vsock", required_argument, NULL, 'v' },   { "console", no_argument, NULL, 'o' },
	{ "serial", no_argument, NULL, 's' },        { "pit", no_argument, NULL, 't' },
	{ "probe", no_argument, NULL, 'p' },         { 0 },
};

static bool take(struct options *o, int option)
{
	switch (option) {
	case 'k':
		o->kernel = optarg;
		return true;
	case 'i':
		o->initrd = optarg;
		return true;
	case 'c':
		o->cmdline = optarg;
		return true;
	case 'm':
		o->mem_mib = strtoul(optarg, NULL, 10);
		return true;
	case 'n':
		o->cpus = strtoul(optarg, NULL, 10);
		return true;
	case 'd':
		o->share = optarg;
		return true;
	case 'v':
		o->vsock = optarg;
		return true;
	case 'o':
		return o->console = true;
	case 's':
		return o->serial = true;
	case 't':
		return o->pit = true;
	case 'p':
		return o->probe = true;
	default:
		return false;
	}
}

static bool parse(int argc, char **argv, struct options *o)
{
	for (;;) {
		int option = getopt_long(argc, argv, "", known, NULL);

		if (option < 0)
			break;
		if (!take(o, option))
			return false;
	}
	return optind == argc && (o->probe || o->kernel);
}

static int probe(void)
{
	struct kvm_probe p;

	kvm_probe(&p);
	printf("%s\n", p.verdict == KVM_USABLE ? "usable" : p.why);
	return p.verdict != KVM_USABLE;
}

static int open_file(const char *name, int *out, struct err *e)
{
	*out = name ? open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -EBADF;
	return name && *out < 0 ? err_errno(e, "%s", name) : 0;
}

struct devices {
	struct virtio_rng rng;
	struct virtio_balloon balloon;
	struct virtio_console console;
	struct virtio_vsock vsock;
	struct virtio_fs fs;
	int out_fd;   /* of the console */
	int dir_fd;   /* the share */
	pid_t server; /* of it */
};

/* The server keeps what it serves with, and neither the machine nor its files. */
static int serve(const struct devices *s, const struct virtio_fs_peer *peer, const struct guest_mem *mem, struct err *e)
{
	static const struct fuse_options o = {
		.cache = FUSE_CACHE_AUTO, .inodes_max = 1 << 20, .fds_max = 256, .files_max = 65536
	};
	int r = virtio_fs_keep_alone(peer, s->dir_fd, e);
	return r < 0 ? r : fs_serve(peer, mem, s->dir_fd, &o, e);
}

static int fork_server(struct devices *s, struct virtio_fs_peer *peer, const struct guest_mem *mem, struct err *e)
{
	s->server = fork();
	if (s->server < 0)
		return err_errno(e, "fork");
	if (s->server == 0) {
		int r = serve(s, peer, mem, e);

		if (r < 0)
			fprintf(stderr, "vmboot: share: %s\n", e->text);
		_exit(r < 0);
	}
	close_fd(&peer->channel_fd);
	return 0;
}

static int add_share(struct vmm *v, const char *dir, struct devices *s, struct err *e)
{
	struct virtio_fs_peer peer;
	int r;

	s->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0)
		return err_errno(e, "%s", dir);
	r = virtio_fs_init(&s->fs, vmm_memory(v), "share", 1, &peer, e);
	if (r < 0)
		return r;
	r = fork_server(s, &peer, vmm_memory(v), e);
	return r < 0 ? r : vmm_add(v, &s->fs.device, e);
}

/* Stdout without what others set of it: the console must not wait for its reader. */
static int add_console(struct vmm *v, struct devices *d, struct err *e)
{
	int r;

	d->out_fd = open("/proc/self/fd/1", O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC);
	if (d->out_fd < 0)
		return err_errno(e, "stdout");
	r = virtio_console_init(&d->console, vmm_memory(v), d->out_fd, e);
	return r < 0 ? r : vmm_add(v, &d->console.device, e);
}

/* The guest connects to a port. */
static int connect_to(void *arg, uint32_t port)
{
	const char *dir = arg;
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (snprintf(to.sun_path, sizeof(to.sun_path), "%s/%u", dir, port) >= (int)sizeof(to.sun_path))
		return -ENAMETOOLONG;
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return take_fd(&fd);
}

static int add_vsock(struct vmm *v, const char *dir, struct devices *d, struct err *e)
{
	int r = virtio_vsock_init(&d->vsock, vmm_memory(v), GUEST_CID, connect_to, (void *)dir, e);

	return r < 0 ? r : vmm_add(v, &d->vsock.device, e);
}

/* The share's server ends when the device does. */
static void drop(struct devices *d)
{
	if (d->fs.device.ops)
		virtio_fs_release(&d->fs);
	if (d->server > 0)
		waitpid(d->server, NULL, 0);
	close_fd(&d->dir_fd);
	if (d->vsock.device.ops)
		virtio_vsock_release(&d->vsock);
	if (d->console.device.ops)
		virtio_console_release(&d->console);
	close_fd(&d->out_fd);
}

static int add_devices(struct vmm *v, const struct options *o, struct devices *d, struct err *e)
{
	int r;

	virtio_rng_init(&d->rng, vmm_memory(v));
	virtio_balloon_init(&d->balloon, vmm_memory(v));
	r = vmm_add(v, &d->rng.device, e);
	if (r >= 0)
		r = vmm_add(v, &d->balloon.device, e);
	if (r >= 0 && o->share)
		r = add_share(v, o->share, d, e);
	if (r >= 0 && o->console)
		r = add_console(v, d, e);
	if (r >= 0 && o->vsock)
		r = add_vsock(v, o->vsock, d, e);
	return r;
}

static int run_with(struct vmm *v, const struct options *o, struct devices *d, struct vm_end *end, struct err *e)
{
	int r = add_devices(v, o, d, e);

	if (r >= 0)
		r = vmm_start(v, e);
	if (r >= 0)
		vmm_wait(v, end);
	return r;
}

static int run(struct vmm_config *c, const struct options *o, struct vm_end *end, struct err *e)
{
	struct devices d = { .dir_fd = -EBADF, .out_fd = -EBADF };
	struct vmm *v;
	int r = vmm_new(c, &v, e);

	if (r < 0)
		return r;
	r = run_with(v, o, &d, end, e);
	vmm_free(v);
	drop(&d);
	return r;
}

static int boot(const struct options *o, struct vm_end *end, struct err *e)
{
	auto_fd int kvm_fd = kvm_open(e), kernel_fd = -EBADF, initrd_fd = -EBADF;
	struct vmm_config c = {
		.kvm_fd = kvm_fd,
		.mem_size = (uint64_t)o->mem_mib << 20,
		.n_cpus = (unsigned)o->cpus,
		.cmdline = o->cmdline,
		.serial_fd = o->serial ? STDOUT_FILENO : -EBADF,
		.exit_port = true,
		.pit = o->pit,
	};
	int r = kvm_fd < 0 ? kvm_fd : open_file(o->kernel, &kernel_fd, e);

	if (r >= 0)
		r = open_file(o->initrd, &initrd_fd, e);
	if (r < 0)
		return r;
	c.kernel_fd = kernel_fd;
	c.initrd_fd = initrd_fd;
	return run(&c, o, end, e);
}

int main(int argc, char **argv)
{
	struct options o = { .mem_mib = 256, .cpus = 1 };
	struct vm_end end;
	struct err e;

	if (!parse(argc, argv, &o)) {
		fprintf(stderr, "usage: vmboot --kernel FILE [--initrd FILE] [--cmdline TEXT] [--mem MIB] [--cpus N] [--serial] "
				"[--console]\n"
				"              [--share DIR] [--vsock DIR] [--pit]\n"
				"       vmboot --probe\n");
		return STATUS_USAGE;
	}
	if (o.probe)
		return probe();
	signal(SIGPIPE, SIG_IGN);
	if (boot(&o, &end, &e) < 0) {
		fprintf(stderr, "vmboot: %s\n", e.text);
		return STATUS_FAILED;
	}
	if (end.cause == VM_STATUS)
		return end.status;
	fprintf(stderr, "vmboot: %s\n", end.why);
	return end.cause == VM_BROKEN ? STATUS_FAILED : 0;
}
