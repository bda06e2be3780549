/* test_virtio_fs.c - the file system device and its server in two processes, without a machine */
#include "hwvirt-sandbox/virtio/fs.h"

#include "driver.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { REQUESTS = 1, QUEUES = 2 };

static struct rig {
	struct driver d;
	struct virtio_fs fs;
	char dir[32];
	int share_fd;
	pid_t server;
	bool nobody; /* serves without privileges */
} r;

static void serve(const struct virtio_fs_peer *peer)
{
	static const struct fuse_options o = { .inodes_max = 1000, .fds_max = 100, .files_max = 100 };
	struct err e;

	close(r.fs.channel_fd);
	if (r.nobody && geteuid() == 0 &&
	    (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0 ||
	     prctl(PR_SET_DUMPABLE, 1) < 0)) /* so that /proc/self is its own */
		_exit(1);
	_exit(fs_serve(peer, &r.d.mem, r.share_fd, &o, &e) < 0);
}

static void rig_open_as(bool nobody)
{
	struct virtio_fs_peer peer;
	struct err e;
	int fd;

	memset(&r, 0, sizeof(r));
	r.nobody = nobody;
	strcpy(r.dir, "/tmp/virtio-fs-XXXXXX");
	expect(mkdtemp(r.dir) != NULL && chmod(r.dir, 0755) == 0);
	r.share_fd = open(r.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(r.share_fd, "f", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	expect(fd >= 0 && write(fd, "text", 4) == 4);
	close(fd);
	expect(guest_mem_create(DRIVER_MEM, &r.d.mem, &e) == 0);
	expect(virtio_fs_init(&r.fs, &r.d.mem, "share", REQUESTS, &peer, &e) == 0);
	virtio_mmio_init(&r.d.m, &r.fs.device, driver_irq, &r.d);
	r.server = fork();
	if (r.server == 0)
		serve(&peer);
	close(peer.channel_fd);
}

static void rig_open(void)
{
	rig_open_as(false);
}

static void rig_close(void)
{
	int status = -1;

	virtio_fs_release(&r.fs);
	expect(waitpid(r.server, &status, 0) == r.server && status == 0);
	guest_mem_release(&r.d.mem);
	unlinkat(r.share_fd, "f", 0);
	close(r.share_fd);
	expect(rmdir(r.dir) == 0);
}

/* Sends a request and waits for its answer: 1 KiB for it in two parts. Returns its error, 1 if nothing was written. */
static int ask(unsigned q, uint32_t opcode, uint64_t node, const void *body, size_t len, void *reply, size_t room)
{
	struct fuse_in_header h = { .len = (uint32_t)(sizeof(h) + len), .opcode = opcode, .nodeid = node, .unique = 7 };
	uint64_t out = driver_buf(q, 0), in = driver_buf(q, 1);
	struct pollfd p = { .fd = r.fs.remote.call_fd, .events = POLLIN };
	struct fuse_out_header o;
	uint32_t head = 0, written = 0;
	uint64_t count;

	driver_put(&r.d, out, &h, sizeof(h));
	driver_put(&r.d, out + sizeof(h), body, len);
	driver_describe(&r.d, q, 0, (struct virtq_desc){ out, sizeof(h), D_NEXT, 1 });
	driver_describe(&r.d, q, 1, (struct virtq_desc){ out + sizeof(h), (uint32_t)len, D_NEXT, 2 });
	driver_describe(&r.d, q, 2, (struct virtq_desc){ in, sizeof(o), D_WRITE | D_NEXT, 3 });
	driver_describe(&r.d, q, 3, (struct virtq_desc){ in + sizeof(o), 1024, D_WRITE, 0 });
	driver_offer(&r.d, q, 0);
	driver_notify(&r.d, q);
	expect(poll(&p, 1, 60000) == 1 && read(p.fd, &count, sizeof(count)) == sizeof(count));
	expect(driver_done(&r.d, q, &head, &written) && head == 0);
	if (written < sizeof(o))
		return 1;
	driver_get(&r.d, in, &o, sizeof(o));
	expect(o.len == written && o.unique == 7);
	if (room)
		driver_get(&r.d, in + sizeof(o), reply, room);
	return o.error;
}

static int hello(void)
{
	struct fuse_init_in in = { .major = 7, .minor = 36 };
	struct fuse_init_out out;

	return ask(1, FUSE_INIT, 0, &in, sizeof(in), &out, sizeof(out)) == 0 && out.major == 7 ? 0 : -1;
}

static void read_a_file(bool nobody)
{
	struct fuse_entry_out entry;
	struct fuse_open_out open;
	struct fuse_open_in how = { .flags = O_RDONLY };
	struct fuse_read_in what = { .size = 100 };
	char text[5] = "";

	rig_open_as(nobody);
	driver_start(&r.d, &r.fs.device, 0);
	expect(driver_status(&r.d) == 15);
	expect(virtio_mmio_read(&r.d.m, VIRTIO_MMIO_INTERRUPT_STATUS, 4) == VIRTIO_IRQ_QUEUE);
	expect(virtio_mmio_read(&r.d.m, VIRTIO_MMIO_CONFIG, 4) == 0x72616873); /* "shar" */
	expect(virtio_mmio_read(&r.d.m, VIRTIO_MMIO_CONFIG + 36, 4) == REQUESTS);
	expect(hello() == 0);
	expect(ask(1, FUSE_LOOKUP, 1, "f", 2, &entry, sizeof(entry)) == 0 && entry.attr.size == 4);
	expect(ask(1, FUSE_OPEN, entry.nodeid, &how, sizeof(how), &open, sizeof(open)) == 0);
	what.fh = open.fh;
	expect(ask(1, FUSE_READ, entry.nodeid, &what, sizeof(what), text, 4) == 0);
	expect_str(text, "text");
	expect(ask(1, FUSE_LOOKUP, 1, "..", 3, NULL, 0) == -EINVAL);
	rig_close();
}

static void a_file_is_read_through_the_queues(void)
{
	read_a_file(false);
}

/* Who may not open file handles keeps descriptors. */
static void a_server_without_privileges_serves_too(void)
{
	read_a_file(true);
}

static void a_forgotten_inode_has_no_answer(void)
{
	struct fuse_entry_out entry;
	struct fuse_forget_in one = { .nlookup = 1 };

	rig_open();
	driver_start(&r.d, &r.fs.device, 0);
	expect(hello() == 0);
	expect(ask(1, FUSE_LOOKUP, 1, "f", 2, &entry, sizeof(entry)) == 0);
	expect(ask(0, FUSE_FORGET, entry.nodeid, &one, sizeof(one), NULL, 0) == 1);
	expect(ask(1, FUSE_GETATTR, entry.nodeid, &(struct fuse_getattr_in){ 0 }, sizeof(struct fuse_getattr_in), NULL, 0) ==
	       -ESTALE);
	rig_close();
}

/* Waits until the server has only the thread it began with. */
static bool threads_end(void)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)r.server);
	for (unsigned i = 0; i < 10000; i++) {
		if (stat(path, &st) == 0 && st.st_nlink == 3) /* of a directory: two and its directories */
			return true;
		usleep(1000);
	}
	return false;
}

static void after_a_reset_the_queues_are_let_alone_until_the_next_start(void)
{
	uint16_t idx = 0;
	uint32_t head = 0, written = 0;

	rig_open();
	driver_start(&r.d, &r.fs.device, 0);
	expect(hello() == 0);
	driver_wr(&r.d, VIRTIO_MMIO_STATUS, 0);
	expect(threads_end());
	driver_offer(&r.d, 1, 0);
	expect(write(r.fs.remote.kick_fd[1], &(uint64_t){ 1 }, 8) == 8);
	driver_get(&r.d, driver_used(1) + 2, &idx, 2);
	expect(idx == 1);
	driver_start(&r.d, &r.fs.device, 0);
	expect(!driver_done(&r.d, 1, &head, &written));
	expect(hello() == 0);
	rig_close();
}

static void a_broken_queue_asks_for_a_reset(void)
{
	struct pollfd p = { .events = POLLIN };

	rig_open();
	driver_start(&r.d, &r.fs.device, 0);
	p.fd = r.fs.device.poll_fd;
	driver_offer(&r.d, 1, DRIVER_N);
	driver_notify(&r.d, 1);
	expect(poll(&p, 1, 60000) == 1);
	driver_settle(&r.fs.device);
	expect(driver_status(&r.d) == (15 | VIRTIO_NEEDS_RESET) && r.d.irqs == 1);
	driver_start(&r.d, &r.fs.device, 0);
	expect(driver_status(&r.d) == 15);
	expect(hello() == 0);
	rig_close();
}

static void a_device_whose_server_has_ended_does_not_start_again(void)
{
	struct pollfd p = { .events = POLLIN };

	rig_open();
	driver_start(&r.d, &r.fs.device, 0);
	p.fd = r.fs.device.poll_fd;
	expect(kill(r.server, SIGKILL) == 0 && waitpid(r.server, NULL, 0) == r.server);
	expect(poll(&p, 1, 60000) == 1);
	driver_settle(&r.fs.device);
	expect(driver_status(&r.d) == (15 | VIRTIO_NEEDS_RESET));
	driver_start(&r.d, &r.fs.device, 0);
	expect(driver_status(&r.d) == (15 | VIRTIO_NEEDS_RESET));
	r.server = fork();
	if (r.server == 0)
		_exit(0);
	rig_close();
}

static void a_tag_and_a_number_of_queues_have_limits(void)
{
	struct virtio_fs_peer peer;
	struct virtio_fs fs;
	struct err e;

	expect(virtio_fs_init(&fs, NULL, "", 1, &peer, &e) == -EINVAL);
	expect(virtio_fs_init(&fs, NULL, "0123456789012345678901234567890123456", 1, &peer, &e) == -EINVAL);
	expect(virtio_fs_init(&fs, NULL, "x", 0, &peer, &e) == -EINVAL);
	expect(virtio_fs_init(&fs, NULL, "x", VIRTIO_QUEUES_MAX, &peer, &e) == -EINVAL);
}

TAP_MAIN(CASE(a_file_is_read_through_the_queues), CASE(a_server_without_privileges_serves_too),
	 CASE(a_forgotten_inode_has_no_answer), CASE(after_a_reset_the_queues_are_let_alone_until_the_next_start),
	 CASE(a_broken_queue_asks_for_a_reset), CASE(a_device_whose_server_has_ended_does_not_start_again),
	 CASE(a_tag_and_a_number_of_queues_have_limits))
