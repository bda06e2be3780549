/* devreplay.c - a device of VM mode without a virtual machine, driven by lines on stdin
 *
 *   devreplay [--rng | --console | --balloon | --vsock DIR | --share DIR [--ro]] <LINES
 *
 * The same device and transport code as in the VMM; the lines are what a guest would do. One reply line each, "ok ..." or "err
 * ...". Numbers are hexadecimal, but for counts. For tests with hostile rings and requests, and to look at a device by hand. The
 * console writes to stderr. A port of the host that a guest connects to is the unix socket DIR/PORT.
 *
 *   M BYTES                        memory of the guest; first, once
 *   W GPA HEX                      write bytes               R GPA LEN   read them
 *   X REG WIDTH VALUE              write a register          G REG WIDTH read one
 *   Q IDX NUM DESC AVAIL USED      set up a queue, by its registers
 *   K IDX                          notify
 *   I COUNT                        wait until there were as many interrupts
 *   S                              running, needs_reset or stopped; and the number of interrupts
 */
#include "base/cleanup.h"
#include "hwvirt-sandbox/virtio/balloon.h"
#include "hwvirt-sandbox/virtio/console.h"
#include "hwvirt-sandbox/virtio/fs.h"
#include "hwvirt-sandbox/virtio/mmio.h"
#include "hwvirt-sandbox/virtio/rng.h"
#include "hwvirt-sandbox/virtio/vsock.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { BYTES_MAX = 65536, WAIT_MS = 10000, TURNS_MAX = 1000, GUEST_CID = 3 };

struct replay {
	struct guest_mem mem;
	struct virtio_device *device;
	struct virtio_rng rng;
	struct virtio_console console;
	struct virtio_balloon balloon;
	struct virtio_vsock vsock;
	struct virtio_fs fs;
	struct virtio_mmio mmio;
	unsigned long irqs;

	/* What the command line asks for. */
	int (*make)(struct replay *r, struct err *e); /* NULL: the entropy device */
	const char *dir;
	bool read_only;
	pid_t server; /* of fs */
};

static void irq(void *arg)
{
	((struct replay *)arg)->irqs++;
}

static int reply_err(const char *why)
{
	return printf("err %s\n", why);
}

/* The next hexadecimal number of the line; false at its end, or if it is none. */
static bool number(char **at, uint64_t *out)
{
	char *end;

	while (isspace((unsigned char)**at))
		(*at)++;
	if (!isxdigit((unsigned char)**at))
		return false;
	*out = strtoull(*at, &end, 16);
	*at = end;
	return *end == '\0' || isspace((unsigned char)*end);
}

static bool numbers(char *at, uint64_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!number(&at, &out[i]))
			return false;
	}
	return true;
}

/* ---- devices ---- */

static int make_rng(struct replay *r, struct err *e)
{
	(void)e;
	virtio_rng_init(&r->rng, &r->mem);
	r->device = &r->rng.device;
	return 0;
}

static int make_balloon(struct replay *r, struct err *e)
{
	(void)e;
	virtio_balloon_init(&r->balloon, &r->mem);
	r->device = &r->balloon.device;
	return 0;
}

static int make_console(struct replay *r, struct err *e)
{
	r->device = &r->console.device;
	fcntl(STDERR_FILENO, F_SETFL, fcntl(STDERR_FILENO, F_GETFL) | O_NONBLOCK);
	return virtio_console_init(&r->console, &r->mem, STDERR_FILENO, e);
}

static int connect_port(void *arg, uint32_t port)
{
	const struct replay *r = arg;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (snprintf(a.sun_path, sizeof(a.sun_path), "%s/%" PRIu32, r->dir, port) >= (int)sizeof(a.sun_path) ||
	    connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		close_fd(&fd);
	return fd < 0 ? -ECONNREFUSED : fd;
}

static int make_vsock(struct replay *r, struct err *e)
{
	r->device = &r->vsock.device;
	return virtio_vsock_init(&r->vsock, &r->mem, GUEST_CID, connect_port, r, e);
}

/* The process that serves the share; it ends when we do. */
static void serve(struct replay *r, const struct virtio_fs_peer *peer, int share_fd)
{
	const struct fuse_options o = {
		.read_only = r->read_only, .cache = FUSE_CACHE_AUTO, .inodes_max = 10000, .fds_max = 500, .files_max = 300
	};
	struct err e;

	close_fd(&r->fs.channel_fd);
	if (fs_serve(peer, &r->mem, share_fd, &o, &e) < 0)
		fprintf(stderr, "%s\n", e.text);
}

static int make_fs(struct replay *r, struct err *e)
{
	auto_fd int share_fd = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct virtio_fs_peer peer;
	int n = share_fd < 0 ? err_errno(e, "%s", r->dir) : virtio_fs_init(&r->fs, &r->mem, "share", 1, &peer, e);

	if (n < 0)
		return n;
	r->device = &r->fs.device;
	r->server = fork();
	if (r->server == 0) {
		serve(r, &peer, share_fd);
		_exit(0);
	}
	close_fd(&peer.channel_fd);
	return r->server < 0 ? err_errno(e, "fork") : 0;
}

static void unmake(struct replay *r)
{
	if (r->device == &r->console.device)
		virtio_console_release(&r->console);
	if (r->device == &r->vsock.device)
		virtio_vsock_release(&r->vsock);
	if (r->device == &r->fs.device) {
		virtio_fs_release(&r->fs);
		waitpid(r->server, NULL, 0);
	}
	guest_mem_release(&r->mem);
}

/* What a poll loop would do: waits up to timeout_ms for something to happen outside of the guest. False: nothing did. */
static bool outside(struct replay *r, int timeout_ms)
{
	struct virtio_device *d = r->device;
	struct pollfd p[2] = { { .fd = d->ops->ready ? d->poll_fd : -1, .events = POLLIN },
			       { .fd = d->remote ? d->remote->call_fd : -1, .events = POLLIN } };
	uint64_t n;

	if (poll(p, 2, timeout_ms) <= 0)
		return false;
	if (p[0].revents && d->ops->ready)
		d->ops->ready(d);
	if (p[1].revents && d->remote && read(d->remote->call_fd, &n, sizeof(n)) == sizeof(n))
		r->irqs += (unsigned long)n;
	return true;
}

/* ---- lines ---- */

static int do_memory(struct replay *r, char *args)
{
	uint64_t size = strtoull(args, NULL, 10);
	struct err e;

	if (r->mem.base)
		return reply_err("there is memory already");
	if (guest_mem_create(size, &r->mem, &e) < 0)
		return reply_err(e.text);
	if ((r->make ? r->make : make_rng)(r, &e) < 0) {
		guest_mem_release(&r->mem);
		r->device = NULL;
		return reply_err(e.text);
	}
	virtio_mmio_init(&r->mmio, r->device, irq, r);
	return printf("ok\n");
}

/* c is a hexadecimal digit. */
static unsigned nibble(char c)
{
	return isdigit((unsigned char)c) ? (unsigned)(c - '0') : ((unsigned)c | 32) - 'a' + 10;
}

static int do_write(struct replay *r, char *args)
{
	static uint8_t bytes[BYTES_MAX];
	uint64_t gpa;
	size_t n = 0;

	if (!number(&args, &gpa))
		return reply_err("W GPA HEX");
	while (isspace((unsigned char)*args))
		args++;
	for (; isxdigit((unsigned char)args[0]) && isxdigit((unsigned char)args[1]) && n < sizeof(bytes); args += 2)
		bytes[n++] = (uint8_t)(nibble(args[0]) << 4 | nibble(args[1]));
	return guest_write(&r->mem, gpa, bytes, n) ? printf("ok %zu\n", n) : reply_err("not in memory");
}

static int do_read(struct replay *r, char *args)
{
	static uint8_t bytes[BYTES_MAX];
	uint64_t v[2];

	if (!numbers(args, v, 2) || v[1] > sizeof(bytes))
		return reply_err("R GPA LEN");
	if (!guest_read(&r->mem, v[0], bytes, v[1]))
		return reply_err("not in memory");
	printf("ok ");
	for (size_t i = 0; i < v[1]; i++)
		printf("%02x", bytes[i]);
	return printf("\n");
}

static int do_set(struct replay *r, char *args)
{
	uint64_t v[3];

	if (!numbers(args, v, 3) || v[0] >= VIRTIO_MMIO_SIZE || v[1] == 0 || v[1] > 8)
		return reply_err("X REG WIDTH VALUE");
	virtio_mmio_write(&r->mmio, v[0], (unsigned)v[1], v[2]);
	return printf("ok\n");
}

static int do_get(struct replay *r, char *args)
{
	uint64_t v[2];

	if (!numbers(args, v, 2) || v[0] >= VIRTIO_MMIO_SIZE || v[1] == 0 || v[1] > 8)
		return reply_err("G REG WIDTH");
	return printf("ok %" PRIx64 "\n", virtio_mmio_read(&r->mmio, v[0], (unsigned)v[1]));
}

static int do_queue(struct replay *r, char *args)
{
	uint64_t v[5];

	if (!numbers(args, v, 5))
		return reply_err("Q IDX NUM DESC AVAIL USED");
	virtio_mmio_write(&r->mmio, VIRTIO_MMIO_QUEUE_SEL, 4, v[0]);
	virtio_mmio_write(&r->mmio, VIRTIO_MMIO_QUEUE_NUM, 4, v[1]);
	for (unsigned part = 0; part < 3; part++) {
		virtio_mmio_write(&r->mmio, VIRTIO_MMIO_QUEUE_DESC + 16 * part, 4, v[2 + part] & 0xffffffff);
		virtio_mmio_write(&r->mmio, VIRTIO_MMIO_QUEUE_DESC + 16 * part + 4, 4, v[2 + part] >> 32);
	}
	virtio_mmio_write(&r->mmio, VIRTIO_MMIO_QUEUE_READY, 4, 1);
	return printf("ok\n");
}

static int do_kick(struct replay *r, char *args)
{
	uint64_t i;

	if (!number(&args, &i))
		return reply_err("K IDX");
	virtio_mmio_write(&r->mmio, VIRTIO_MMIO_QUEUE_NOTIFY, 4, i);
	return printf("ok\n");
}

static int do_wait(struct replay *r, char *args)
{
	unsigned long count = strtoul(args, NULL, 10);

	while (r->irqs < count) {
		if (!outside(r, WAIT_MS))
			return reply_err("no interrupt");
	}
	return printf("ok %lu\n", r->irqs);
}

static int do_state(struct replay *r, char *args)
{
	const struct virtio_device *d = r->mmio.device;

	(void)args;
	return printf("ok %s %lu\n", d->needs_reset ? "needs_reset" : d->active ? "running" : "stopped", r->irqs);
}

static void line(struct replay *r, char *s)
{
	static const struct {
		char letter;
		int (*act)(struct replay *r, char *args);
	} table[] = { { 'W', do_write }, { 'R', do_read }, { 'X', do_set },  { 'G', do_get },
		      { 'Q', do_queue }, { 'K', do_kick }, { 'I', do_wait }, { 'S', do_state } };

	if (s[0] == 'M') {
		do_memory(r, s + 1);
		return;
	}
	if (!r->device) {
		reply_err("no memory yet: M BYTES");
		return;
	}
	for (unsigned turn = 0; turn < TURNS_MAX && outside(r, 0); turn++)
		;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].letter == s[0]) {
			table[i].act(r, s + 1);
			return;
		}
	}
	reply_err("unknown command");
}

static bool parse(struct replay *r, int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*make)(struct replay *r, struct err *e);
		bool dir;
	} devices[] = { { "--rng", make_rng, false },
			{ "--console", make_console, false },
			{ "--balloon", make_balloon, false },
			{ "--vsock", make_vsock, true },
			{ "--share", make_fs, true } };

	if (argc < 2)
		return true;
	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		if (strcmp(argv[1], devices[i].name) != 0)
			continue;
		r->make = devices[i].make;
		r->dir = devices[i].dir ? argv[2] : "";
		r->read_only = r->make == make_fs && argc == 4 && strcmp(argv[3], "--ro") == 0;
		return r->dir && argc == 2 + devices[i].dir + r->read_only;
	}
	return false;
}

int main(int argc, char **argv)
{
	static struct replay r = { .mem = { .fd = -1 } };
	static char text[2 * BYTES_MAX + 64];

	if (!parse(&r, argc, argv)) {
		fprintf(stderr, "usage: %s [--rng | --console | --balloon | --vsock DIR | --share DIR [--ro]] <LINES\n", argv[0]);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(text, sizeof(text), stdin)) {
		text[strcspn(text, "\n")] = '\0';
		line(&r, text);
	}
	unmake(&r);
	return 0;
}
