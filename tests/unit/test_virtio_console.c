/* test_virtio_console.c - a console that is written to faster than it is read */
#include "hwvirt-sandbox/virtio/console.h"

#include "driver.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

enum { RX, TX };
enum { EMERGENCY = VIRTIO_MMIO_CONFIG + 8 };

static struct rig {
	struct driver d;
	struct virtio_console c;
	int pipe[2];
} r;

static void start(int out_fd)
{
	struct err e;

	expect(guest_mem_create(DRIVER_MEM, &r.d.mem, &e) == 0);
	expect(virtio_console_init(&r.c, &r.d.mem, out_fd, &e) == 0);
	virtio_mmio_init(&r.d.m, &r.c.device, driver_irq, &r.d);
	driver_start(&r.d, &r.c.device, 4);
}

static void rig_open(void)
{
	memset(&r, 0, sizeof(r));
	expect(pipe2(r.pipe, O_CLOEXEC | O_NONBLOCK) == 0);
	start(r.pipe[1]);
}

static void rig_close(void)
{
	driver_wr(&r.d, VIRTIO_MMIO_STATUS, 0);
	virtio_console_release(&r.c);
	guest_mem_release(&r.d.mem);
	close(r.pipe[0]);
	close(r.pipe[1]);
}

static void print(const void *text, size_t len)
{
	uint32_t head = 9, written = 9;

	driver_put(&r.d, driver_buf(TX, 0), text, len);
	driver_describe(&r.d, TX, 0, (struct virtq_desc){ driver_buf(TX, 0), (uint32_t)(len - 1), D_NEXT, 1 });
	driver_describe(&r.d, TX, 1, (struct virtq_desc){ driver_buf(TX, 0) + len - 1, 1, 0, 0 });
	driver_offer(&r.d, TX, 0);
	driver_notify(&r.d, TX);
	expect(driver_done(&r.d, TX, &head, &written) && head == 0 && written == 0); /* never held up */
}

static void what_the_guest_prints_is_written(void)
{
	char text[16] = "";

	rig_open();
	print("hello", 5);
	virtio_mmio_write(&r.d.m, EMERGENCY, 4, '!');
	expect(read(r.pipe[0], text, sizeof(text)) == 6);
	expect_str(text, "hello!");
	virtio_mmio_write(&r.d.m, EMERGENCY - 4, 4, '!');
	driver_notify(&r.d, RX);
	expect(read(r.pipe[0], text, sizeof(text)) < 0);
	expect(driver_status(&r.d) == 15);
	rig_close();
}

/* What is in the pipe and what follows when it is read, after a flood of `bytes`; in place of what was dropped its line. */
static size_t drain(uint8_t *to, size_t max)
{
	size_t got = 0;

	for (;;) {
		ssize_t n = read(r.pipe[0], to + got, max - got);

		driver_settle(&r.c.device);
		if (n > 0)
			got += (size_t)n;
		else if (poll(&(struct pollfd){ .fd = r.pipe[0], .events = POLLIN }, 1, 0) == 0)
			return got;
	}
}

static void a_flood_is_kept_up_to_a_limit_and_the_rest_counted(void)
{
	enum { LINE = 1000, LINES = 1000 };
	static uint8_t line[LINE], got[LINE * LINES + 100];
	struct pollfd p = { .events = POLLIN };
	unsigned long dropped = 0;
	const char *said;
	size_t n;

	rig_open();
	for (unsigned i = 0; i < LINES; i++) {
		memset(line, 'a' + (int)(i % 26), LINE);
		print(line, LINE);
	}
	p.fd = r.c.device.poll_fd;
	expect(r.c.len == CONSOLE_BUFFER && r.c.dropped > 0 && poll(&p, 1, 0) == 0);
	n = drain(got, sizeof(got) - 1);
	for (size_t i = 0; i < CONSOLE_BUFFER; i++)
		expect(got[i] == 'a' + i / LINE % 26);
	said = strstr((char *)got, "[console: ");
	expect(said != NULL);
	if (said)
		dropped = strtoul(said + 10, NULL, 10);
	expect(dropped > 0 && n - strlen("\r\n[console:  bytes dropped]\r\n") - 6 + dropped == (size_t)LINE * LINES);
	expect(r.c.len == 0 && r.c.dropped == 0 && poll(&p, 1, 0) == 0);
	print("again", 5);
	expect(drain(got, sizeof(got)) == 5 && memcmp(got, "again", 5) == 0);
	rig_close();
}

static void without_a_reader_output_goes_nowhere(void)
{
	static uint8_t line[8000];

	rig_open();
	signal(SIGPIPE, SIG_IGN);
	for (unsigned i = 0; i < 20; i++)
		print(line, sizeof(line));
	close(r.pipe[0]);
	driver_settle(&r.c.device);
	for (unsigned i = 0; i < 20; i++)
		print(line, sizeof(line));
	expect(r.c.len == 0 && driver_status(&r.d) == 15);
	driver_settle(&r.c.device);
	r.pipe[0] = -1;
	rig_close();
}

static void a_file_will_do_and_a_descriptor_that_blocks_will_not(void)
{
	char name[] = "/tmp/console-XXXXXX", text[8] = "";
	struct virtio_console c;
	struct err e;
	int pair[2];

	memset(&r, 0, sizeof(r));
	r.pipe[0] = r.pipe[1] = mkstemp(name);
	expect(r.pipe[0] >= 0 && unlink(name) == 0);
	start(r.pipe[1]);
	print("line", 4);
	expect(pread(r.pipe[0], text, 8, 0) == 4);
	expect_str(text, "line");
	r.pipe[0] = -1;
	rig_close();
	expect(pipe2(pair, O_CLOEXEC) == 0);
	expect(virtio_console_init(&c, NULL, pair[1], &e) == -EINVAL);
	close(pair[0]);
	close(pair[1]);
	expect(virtio_console_init(&c, NULL, pair[1], &e) == -EBADF);
}

static void too_much_at_once_breaks_the_queue(void)
{
	rig_open();
	driver_describe(&r.d, TX, 0, (struct virtq_desc){ 0, 65537, 0, 0 });
	driver_offer(&r.d, TX, 0);
	driver_notify(&r.d, TX);
	expect(driver_status(&r.d) == (15 | VIRTIO_NEEDS_RESET));
	rig_close();
}

TAP_MAIN(CASE(what_the_guest_prints_is_written), CASE(a_flood_is_kept_up_to_a_limit_and_the_rest_counted),
	 CASE(without_a_reader_output_goes_nowhere), CASE(a_file_will_do_and_a_descriptor_that_blocks_will_not),
	 CASE(too_much_at_once_breaks_the_queue))
