/* test_virtio_vsock.c - the socket device against a driver that is right, wrong and hostile */
#include "hwvirt-sandbox/virtio/vsock.h"

#include "driver.h"
#include "hwvirt-sandbox/virtio/vsock_conn.h"

#include <stdlib.h>
#include <sys/socket.h>

enum { RX, TX, EVENT };
enum { CID = 3, PORT = 1024, GUEST_PORT = 5000, ROOM = 1 << 20, HEADER = sizeof(struct vsock_header) };

static struct rig {
	struct driver d;
	struct virtio_vsock v;
	int host_fd;    /* the other end of what the listener gave last */
	uint32_t asked; /* the port it was asked for */
	unsigned rx_head;
} r;

static int listener(void *arg, uint32_t port)
{
	int pair[2];

	expect(arg == &r);
	r.asked = port;
	if (port != PORT)
		return -ECONNREFUSED;
	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	r.host_fd = pair[0];
	return pair[1];
}

static void give_buffer(unsigned i)
{
	driver_describe(&r.d, RX, i, (struct virtq_desc){ driver_buf(RX, i), DRIVER_BUF, D_WRITE, 0 });
	driver_offer(&r.d, RX, (uint16_t)i);
}

static void start(unsigned n_buffers)
{
	driver_start(&r.d, &r.v.device, 0);
	for (unsigned i = 0; i < n_buffers; i++)
		give_buffer(i);
	driver_notify(&r.d, RX);
}

static void rig_open(unsigned n_buffers)
{
	struct err e;

	memset(&r, 0, sizeof(r));
	r.host_fd = -1;
	expect(guest_mem_create(DRIVER_MEM, &r.d.mem, &e) == 0);
	expect(virtio_vsock_init(&r.v, &r.d.mem, CID, listener, &r, &e) == 0);
	virtio_mmio_init(&r.d.m, &r.v.device, driver_irq, &r.d);
	start(n_buffers);
}

static void rig_close(void)
{
	driver_wr(&r.d, VIRTIO_MMIO_STATUS, 0);
	expect(virtio_vsock_count(&r.v) == 0);
	if (r.host_fd >= 0)
		close(r.host_fd);
	virtio_vsock_release(&r.v);
	guest_mem_release(&r.d.mem);
}

/* The guest sends a packet as it is; `data` are the bytes behind its header. */
static void send_raw(const struct vsock_header *h, const void *data, size_t len)
{
	uint32_t head = 0, written = 0;

	driver_put(&r.d, driver_buf(TX, 0), h, sizeof(*h));
	if (len)
		driver_put(&r.d, driver_buf(TX, 0) + HEADER, data, len);
	driver_describe(&r.d, TX, 0, (struct virtq_desc){ driver_buf(TX, 0), HEADER, D_NEXT, 1 });
	driver_describe(&r.d, TX, 1, (struct virtq_desc){ driver_buf(TX, 0) + HEADER, (uint32_t)len, 0, 0 });
	driver_offer(&r.d, TX, 0);
	driver_notify(&r.d, TX);
	driver_settle(&r.v.device);
	(void)driver_done(&r.d, TX, &head, &written);
}

static struct vsock_header header(uint32_t port, uint16_t op, size_t len)
{
	return (struct vsock_header){ .src_cid = CID,
				      .dst_cid = VSOCK_HOST_CID,
				      .src_port = GUEST_PORT,
				      .dst_port = port,
				      .len = (uint32_t)len,
				      .type = VSOCK_STREAM,
				      .op = op,
				      .buf_alloc = ROOM };
}

static void send_op(uint32_t port, uint16_t op, const void *data, size_t len)
{
	struct vsock_header h = header(port, op, len);

	send_raw(&h, data, len);
}

static void send_shutdown(uint32_t port, uint32_t flags)
{
	struct vsock_header h = header(port, VSOCK_SHUTDOWN, 0);

	h.flags = flags;
	send_raw(&h, NULL, 0);
}

/* The next packet for the guest, whose buffer is given back; op 0 if there is none. data has room for a whole buffer. */
static struct vsock_header receive(void *data)
{
	struct vsock_header h = { 0 };
	uint32_t head = 0, written = 0;

	driver_settle(&r.v.device);
	if (!driver_done(&r.d, RX, &head, &written))
		return h;
	driver_get(&r.d, driver_buf(RX, head), &h, sizeof(h));
	expect(written == HEADER + h.len && h.dst_cid == CID);
	if (data && h.len)
		driver_get(&r.d, driver_buf(RX, head) + HEADER, data, h.len);
	give_buffer(head);
	driver_notify(&r.d, RX);
	return h;
}

static void expect_op(uint16_t op)
{
	struct vsock_header h = receive(NULL);

	expect(h.op == op);
	if (h.op != op)
		printf("# got op %u, want %u\n", h.op, op);
}

static void connect_guest(void)
{
	struct vsock_header h;

	send_op(PORT, VSOCK_REQUEST, NULL, 0);
	h = receive(NULL);
	expect(h.op == VSOCK_RESPONSE && h.src_cid == VSOCK_HOST_CID && h.src_port == PORT && h.dst_port == GUEST_PORT);
	expect(h.buf_alloc == VSOCK_BUFFER && r.asked == PORT && virtio_vsock_count(&r.v) == 1);
}

static void the_guest_connects_and_both_sides_talk(void)
{
	char text[DRIVER_BUF] = "";
	struct vsock_header h;

	rig_open(8);
	connect_guest();
	send_op(PORT, VSOCK_RW, "hello", 5);
	expect(recv(r.host_fd, text, sizeof(text), MSG_DONTWAIT) == 5 && memcmp(text, "hello", 5) == 0);
	expect(send(r.host_fd, "world!", 6, 0) == 6);
	h = receive(text);
	expect(h.op == VSOCK_RW && h.len == 6 && h.fwd_cnt == 5 && memcmp(text, "world!", 6) == 0);
	expect(receive(NULL).op == 0);
	rig_close();
}

static void a_port_that_nobody_serves_is_refused(void)
{
	struct vsock_header h;

	rig_open(8);
	send_op(PORT + 1, VSOCK_REQUEST, NULL, 0);
	h = receive(NULL);
	expect(h.op == VSOCK_RST && h.src_port == PORT + 1 && r.asked == PORT + 1);
	expect(virtio_vsock_count(&r.v) == 0);
	rig_close();
}

static void the_host_connects_and_the_guest_answers(void)
{
	char text[DRIVER_BUF] = "";
	struct vsock_header h;
	struct err e;
	int pair[2];

	rig_open(8);
	expect(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	expect(virtio_vsock_connect(&r.v, GUEST_PORT, pair[1], &e) == 0);
	expect(send(pair[0], "early", 5, 0) == 5);
	h = receive(NULL);
	expect(h.op == VSOCK_REQUEST && h.dst_port == GUEST_PORT);
	expect(receive(NULL).op == 0);
	send_op(h.src_port, VSOCK_RESPONSE, NULL, 0);
	h = receive(text);
	expect(h.op == VSOCK_RW && h.len == 5 && memcmp(text, "early", 5) == 0);
	send_op(h.src_port, VSOCK_RST, NULL, 0);
	expect(recv(pair[0], text, 1, MSG_DONTWAIT) == 0);
	close(pair[0]);
	/* refused */
	expect(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	expect(virtio_vsock_connect(&r.v, GUEST_PORT, pair[1], &e) == 0);
	h = receive(NULL);
	send_op(h.src_port, VSOCK_RST, NULL, 0);
	expect(recv(pair[0], text, 1, MSG_DONTWAIT) == 0);
	close(pair[0]);
	rig_close();
}

static void without_a_driver_the_host_cannot_connect(void)
{
	struct err e;
	int pair[2];

	rig_open(8);
	driver_wr(&r.d, VIRTIO_MMIO_STATUS, 0);
	expect(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	expect(virtio_vsock_connect(&r.v, GUEST_PORT, pair[1], &e) == -ENOTCONN);
	expect(recv(pair[0], &e, 1, MSG_DONTWAIT) == 0);
	close(pair[0]);
	rig_close();
}

static void each_direction_is_shut_by_itself(void)
{
	char text[DRIVER_BUF];
	struct vsock_header h;

	rig_open(8);
	connect_guest();
	send_op(PORT, VSOCK_RW, "last", 4);
	send_shutdown(PORT, VSOCK_SHUT_SEND);
	expect(recv(r.host_fd, text, sizeof(text), MSG_DONTWAIT) == 4 && recv(r.host_fd, text, 1, MSG_DONTWAIT) == 0);
	expect(send(r.host_fd, "answer", 6, 0) == 6);
	expect(receive(text).op == VSOCK_RW);
	expect(shutdown(r.host_fd, SHUT_WR) == 0);
	h = receive(NULL);
	expect(h.op == VSOCK_SHUTDOWN && (h.flags & VSOCK_SHUT_SEND));
	send_shutdown(PORT, VSOCK_SHUT_BOTH);
	expect_op(VSOCK_RST);
	expect(virtio_vsock_count(&r.v) == 0);
	rig_close();
}

static void the_end_of_the_hosts_socket_is_told_with_what_it_wrote_before(void)
{
	char text[DRIVER_BUF];
	struct vsock_header h;

	rig_open(8);
	connect_guest();
	expect(send(r.host_fd, "bye", 3, 0) == 3);
	close(r.host_fd);
	r.host_fd = -1;
	h = receive(text);
	expect(h.op == VSOCK_RW && h.len == 3);
	h = receive(NULL);
	expect(h.op == VSOCK_SHUTDOWN && h.flags == VSOCK_SHUT_BOTH);
	expect(receive(NULL).op == 0);
	send_op(PORT, VSOCK_RST, NULL, 0);
	expect(virtio_vsock_count(&r.v) == 0);
	rig_close();
}

static void what_the_host_does_not_read_waits_and_the_guest_hears_of_room(void)
{
	static uint8_t bytes[8192], got[8192];
	uint32_t sent = 0, read = 0, told = 0;
	struct vsock_header h;

	rig_open(8);
	connect_guest();
	while (sent - told + sizeof(bytes) <=
	       VSOCK_BUFFER) { /* until there is no credit: first the socket fills, then our buffer */
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)((sent + i) * 7 >> 3);
		send_op(PORT, VSOCK_RW, bytes, sizeof(bytes));
		sent += sizeof(bytes);
		for (h = receive(NULL); h.op; h = receive(NULL))
			told = h.fwd_cnt;
	}
	expect(r.v.conns[0].buffer && r.v.conns[0].received - r.v.conns[0].forwarded > VSOCK_BUFFER / 2);
	while (read < sent) {
		ssize_t n = recv(r.host_fd, got, sizeof(got), MSG_DONTWAIT);

		for (ssize_t i = 0; i < n; i++)
			expect(got[i] == (uint8_t)((read + (uint32_t)i) * 7 >> 3));
		read += n > 0 ? (uint32_t)n : 0;
		for (h = receive(NULL); h.op; h = receive(NULL)) {
			expect(h.op == VSOCK_CREDIT_UPDATE);
			told = h.fwd_cnt;
		}
		if (n <= 0 && receive(NULL).op == 0 && recv(r.host_fd, got, 1, MSG_DONTWAIT | MSG_PEEK) <= 0)
			break;
	}
	expect(read == sent && sent - told <= VSOCK_BUFFER / 2 && !r.v.conns[0].buffer);
	rig_close();
}

static void who_sends_more_than_there_is_room_for_loses_the_connection(void)
{
	static uint8_t bytes[DRIVER_BUF];

	rig_open(8);
	connect_guest();
	for (unsigned i = 0; i < 64 && virtio_vsock_count(&r.v) && r.v.conns[0].state == VSOCK_OPEN; i++)
		send_op(PORT, VSOCK_RW, bytes, sizeof(bytes) - HEADER);
	expect(r.v.conns[0].state != VSOCK_OPEN && !r.v.conns[0].buffer);
	rig_close();
}

static void the_host_is_read_only_as_far_as_the_guest_has_room(void)
{
	char text[DRIVER_BUF];
	struct vsock_header h = header(PORT, VSOCK_REQUEST, 0);

	rig_open(8);
	h.buf_alloc = 4;
	send_raw(&h, NULL, 0);
	expect_op(VSOCK_RESPONSE);
	expect(send(r.host_fd, "sixchr", 6, 0) == 6);
	h = receive(text);
	expect(h.op == VSOCK_RW && h.len == 4);
	expect(receive(NULL).op == 0);
	h = header(PORT, VSOCK_CREDIT_UPDATE, 0);
	h.buf_alloc = 4;
	h.fwd_cnt = 1000; /* more than was ever sent: no room at all */
	send_raw(&h, NULL, 0);
	expect(receive(NULL).op == 0);
	h.fwd_cnt = 3;
	send_raw(&h, NULL, 0);
	h = receive(text);
	expect(h.op == VSOCK_RW && h.len == 2 && memcmp(text, "hr", 2) == 0);
	rig_close();
}

static void without_buffers_nothing_spins_and_nothing_is_lost(void)
{
	struct pollfd p = { .events = POLLIN };
	char text[DRIVER_BUF];

	rig_open(1);
	connect_guest();
	expect(send(r.host_fd, "one", 3, 0) == 3);
	driver_settle(&r.v.device);
	expect(send(r.host_fd, "two", 3, 0) == 3);
	driver_settle(&r.v.device);
	p.fd = r.v.device.poll_fd;
	expect(poll(&p, 1, 0) == 0);
	expect(receive(text).len == 3 && memcmp(text, "one", 3) == 0);
	expect(receive(text).len == 3 && memcmp(text, "two", 3) == 0);
	rig_close();
}

static void refusals_are_bounded_by_not_taking_more_packets(void)
{
	uint32_t head, written;
	unsigned taken = 0, refused = 0;

	rig_open(0);
	for (unsigned i = 0; i < VSOCK_REFUSALS_MAX + DRIVER_N; i++) {
		struct vsock_header h = header(PORT + 1 + i, VSOCK_RW, 0);

		driver_put(&r.d, driver_buf(TX, 0), &h, sizeof(h));
		driver_describe(&r.d, TX, i % DRIVER_N, (struct virtq_desc){ driver_buf(TX, 0), HEADER, 0, 0 });
		driver_offer(&r.d, TX, (uint16_t)(i % DRIVER_N));
		driver_notify(&r.d, TX);
		driver_settle(&r.v.device);
		taken += driver_done(&r.d, TX, &head, &written);
	}
	expect(taken == VSOCK_REFUSALS_MAX && r.v.n_refusals == VSOCK_REFUSALS_MAX);
	for (unsigned i = 0; i < 4; i++)
		give_buffer(i);
	driver_notify(&r.d, RX);
	while (receive(NULL).op == VSOCK_RST)
		refused++;
	expect(refused == VSOCK_REFUSALS_MAX + DRIVER_N && r.v.n_refusals == 0);
	rig_close();
}

static void the_table_of_connections_has_an_end(void)
{
	static int ends[VSOCK_CONNS_MAX + 1];
	unsigned open = 0, refused = 0;

	rig_open(8);
	for (uint32_t i = 0; i <= VSOCK_CONNS_MAX; i++) {
		struct vsock_header h = header(PORT, VSOCK_REQUEST, 0), got;

		h.src_port += i;
		send_raw(&h, NULL, 0);
		got = receive(NULL);
		open += got.op == VSOCK_RESPONSE;
		refused += got.op == VSOCK_RST;
		ends[i] = r.host_fd;
		r.host_fd = -1;
	}
	expect(open == VSOCK_CONNS_MAX && refused == 1);
	for (unsigned i = 0; i <= VSOCK_CONNS_MAX; i++)
		close(ends[i]);
	rig_close();
}

static void a_packet_that_makes_no_sense_ends_its_connection_at_most(void)
{
	static const uint16_t ops[] = { 0, VSOCK_REQUEST, VSOCK_RESPONSE, 8, 0xffff };
	struct vsock_header h;

	rig_open(8);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		connect_guest();
		send_op(PORT, ops[i], NULL, 0);
		expect_op(VSOCK_RST);
		expect(virtio_vsock_count(&r.v) == 0);
		close(r.host_fd);
		r.host_fd = -1;
	}
	connect_guest();
	h = header(PORT, VSOCK_RW, 6); /* says 6, has 5 */
	send_raw(&h, "hello", 5);
	expect_op(VSOCK_RST);
	h = header(PORT, VSOCK_RW, UINT32_MAX);
	send_raw(&h, "hello", 5);
	expect_op(VSOCK_RST);
	h = header(PORT, VSOCK_REQUEST, 0);
	h.type = 2; /* SEQPACKET, which was not agreed upon */
	send_raw(&h, NULL, 0);
	h = receive(NULL);
	expect(h.op == VSOCK_RST && h.type == 2);
	h = header(PORT, VSOCK_REQUEST, 0);
	h.src_cid = 4; /* somebody else */
	send_raw(&h, NULL, 0);
	expect(receive(NULL).op == 0);
	h = header(PORT, VSOCK_RST, 0);
	send_raw(&h, NULL, 0);
	expect(receive(NULL).op == 0);
	driver_describe(&r.d, TX, 0, (struct virtq_desc){ driver_buf(TX, 0), HEADER - 1, 0, 0 });
	driver_offer(&r.d, TX, 0);
	driver_notify(&r.d, TX);
	expect(driver_status(&r.d) == 15);
	rig_close();
}

static void a_buffer_without_room_for_a_header_breaks_the_queue(void)
{
	char c;

	rig_open(1);
	connect_guest();
	driver_describe(&r.d, RX, 1, (struct virtq_desc){ driver_buf(RX, 1), HEADER - 1, D_WRITE, 0 });
	driver_offer(&r.d, RX, 1);
	expect(send(r.host_fd, "xy", 2, 0) == 2);
	driver_settle(&r.v.device);
	driver_notify(&r.d, RX);
	driver_settle(&r.v.device);
	expect(driver_status(&r.d) == (15 | VIRTIO_NEEDS_RESET) && virtio_vsock_count(&r.v) == 0);
	expect(recv(r.host_fd, &c, 1, MSG_DONTWAIT) <= 0);
	close(r.host_fd);
	r.host_fd = -1;
	start(4);
	connect_guest();
	rig_close();
}

static void a_transport_reset_is_told_as_soon_as_there_is_a_buffer(void)
{
	uint32_t head = 0, written = 0, event = 7;
	char c;

	rig_open(8);
	connect_guest();
	virtio_vsock_transport_reset(&r.v);
	expect(virtio_vsock_count(&r.v) == 0 && recv(r.host_fd, &c, 1, MSG_DONTWAIT) == 0);
	expect(!driver_done(&r.d, EVENT, &head, &written));
	driver_describe(&r.d, EVENT, 2, (struct virtq_desc){ driver_buf(EVENT, 2), 8, D_WRITE, 0 });
	driver_offer(&r.d, EVENT, 2);
	driver_notify(&r.d, EVENT);
	expect(driver_done(&r.d, EVENT, &head, &written) && head == 2 && written == 4);
	driver_get(&r.d, driver_buf(EVENT, 2), &event, 4);
	expect(event == 0);
	expect(!driver_done(&r.d, EVENT, &head, &written));
	rig_close();
}

TAP_MAIN(CASE(the_guest_connects_and_both_sides_talk), CASE(a_port_that_nobody_serves_is_refused),
	 CASE(the_host_connects_and_the_guest_answers), CASE(without_a_driver_the_host_cannot_connect),
	 CASE(each_direction_is_shut_by_itself), CASE(the_end_of_the_hosts_socket_is_told_with_what_it_wrote_before),
	 CASE(what_the_host_does_not_read_waits_and_the_guest_hears_of_room),
	 CASE(who_sends_more_than_there_is_room_for_loses_the_connection), CASE(the_host_is_read_only_as_far_as_the_guest_has_room),
	 CASE(without_buffers_nothing_spins_and_nothing_is_lost), CASE(refusals_are_bounded_by_not_taking_more_packets),
	 CASE(the_table_of_connections_has_an_end), CASE(a_packet_that_makes_no_sense_ends_its_connection_at_most),
	 CASE(a_buffer_without_room_for_a_header_breaks_the_queue), CASE(a_transport_reset_is_told_as_soon_as_there_is_a_buffer))
