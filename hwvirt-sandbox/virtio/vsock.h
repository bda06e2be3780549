/* vsock.h - the socket device (virtio 1.2, 5.10): stream connections between the guest and sockets of the host
 *
 * A connection has on the host's side a stream socket: the one that the listener gives for a port the guest connects to, or the one that
 * virtio_vsock_connect() was given. What the guest sends and the socket does not take yet is kept, VSOCK_BUFFER bytes for a connection at
 * most: the guest may send no more than that (credit), a guest that does loses the connection. What the host sends is read only when
 * the guest has room. So what a guest can make us keep is VSOCK_CONNS_MAX times that.
 */
#pragma once
#include "hwvirt-sandbox/virtio/device.h"

#define VSOCK_HOST_CID 2ull

enum { VSOCK_CONNS_MAX = 256, VSOCK_BUFFER = 64 << 10, VSOCK_REFUSALS_MAX = 64 };

/* The guest connects to a port: returns a connected stream socket, which the device takes over, or -errno to refuse. Does not block. */
typedef int vsock_listener(void *arg, uint32_t port);

struct vsock_conn;
struct vsock_refusal {
	uint64_t cid;
	uint32_t host_port, guest_port;
	uint16_t type;
};

struct virtio_vsock {
	struct virtio_device device;
	uint64_t guest_cid;
	vsock_listener *listener;
	void *listener_arg;
	uint32_t next_port;        /* of ours, for connections to the guest */
	struct vsock_conn *conns;  /* VSOCK_CONNS_MAX of them */
	unsigned turn;             /* whose turn it is to send */
	int again_fd;              /* an eventfd in poll_fd: there is more to do */
	bool reset_event, have_rx; /* to be sent; rx is taken and not yet used */
	struct vsock_refusal refusals[VSOCK_REFUSALS_MAX]; /* to be sent, for packets that belong to no connection */
	unsigned n_refusals;
	struct virtq_chain rx, tx;
};

/* Fills *v, which must stay where it is. guest_cid: 3 or more, 32 bits. listener NULL: the guest can't connect. */
must_check int virtio_vsock_init(struct virtio_vsock *v, const struct guest_mem *mem, uint64_t guest_cid, vsock_listener *listener,
				 void *arg, struct err *e);
void virtio_vsock_release(struct virtio_vsock *v);

/* Connects fd, a stream socket that is taken over (on failure closed), to a port of the guest. When the guest refuses, fd is closed.
 * ENOTCONN: the guest has no driver. ENOSPC: too many connections. To be called as the functions of a device are: one at a time. */
must_check int virtio_vsock_connect(struct virtio_vsock *v, uint32_t port, int fd, struct err *e);

/* The guest goes on elsewhere, or again: all connections end, and its driver is told (virtio 1.2, 5.10.6.7). */
void virtio_vsock_transport_reset(struct virtio_vsock *v);

/* Connections there are, for tests and statistics. */
unsigned virtio_vsock_count(const struct virtio_vsock *v);
