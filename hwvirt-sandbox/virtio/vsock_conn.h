/* vsock_conn.h - one connection: a socket of the host, credit in both directions, what waits to be sent */
#pragma once
#include "hwvirt-sandbox/virtio/vsock.h"

enum vsock_op {
	VSOCK_REQUEST = 1,
	VSOCK_RESPONSE,
	VSOCK_RST,
	VSOCK_SHUTDOWN,
	VSOCK_RW,
	VSOCK_CREDIT_UPDATE,
	VSOCK_CREDIT_REQUEST,
};
enum { VSOCK_STREAM = 1 };
enum { VSOCK_SHUT_RCV = 1, VSOCK_SHUT_SEND = 2, VSOCK_SHUT_BOTH = 3 };

struct vsock_header {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port, len;
	uint16_t type, op;
	uint32_t flags, buf_alloc, fwd_cnt;
} __attribute__((packed));

enum vsock_state {
	VSOCK_FREE,
	VSOCK_CONNECTING, /* the guest was asked */
	VSOCK_OPEN,
	VSOCK_CLOSING, /* nothing is left but to say RST */
};

struct vsock_conn {
	enum vsock_state state;
	uint32_t host_port, guest_port;
	int fd;           /* owned; in epoll_fd, which is the device's */
	int epoll_fd;
	uint32_t pending; /* packets to send: bits 1 << enum vsock_op */

	/* Counts of bytes, which wrap. */
	uint32_t sent, guest_fwd, guest_buf; /* to the guest: it has room while sent - guest_fwd < guest_buf */
	uint32_t received, forwarded, told;  /* from the guest; to the socket; as the guest knows it */
	uint8_t *buffer;                     /* received - forwarded bytes, from forwarded on, in a ring of VSOCK_BUFFER; may be NULL */

	uint8_t guest_shut; /* VSOCK_SHUT_*, by the guest */
	bool can_read, eof; /* the socket may have something; has had its end */
	bool hup;           /* the socket is shut in both directions */
	uint32_t armed;     /* events asked for, until one comes */
};

/* Puts c to use for fd, a socket that is taken over and put into epoll_fd. -errno: fd was closed. */
must_check int vsock_conn_open(struct vsock_conn *c, int epoll_fd, int fd, uint32_t host_port, uint32_t guest_port);

/* Closes the socket and frees the slot. */
void vsock_conn_close(struct vsock_conn *c);

/* Closes the socket; the guest is to hear of it. */
void vsock_conn_reset(struct vsock_conn *c);

/* The guest sent len bytes, which lie in the chain from offset on. */
void vsock_conn_receive(struct vsock_conn *c, const struct virtq_chain *chain, size_t offset, uint32_t len);

/* The guest said SHUTDOWN. */
void vsock_conn_shutdown(struct vsock_conn *c, uint32_t flags);

/* Events of the socket, as epoll told them. */
void vsock_conn_event(struct vsock_conn *c, uint32_t events);

/* Asks for the events that matter now. */
void vsock_conn_arm(struct vsock_conn *c);

/* Reads what the socket has into the chain from offset on, as much as the guest has room for. 0: nothing now. */
uint32_t vsock_conn_send(struct vsock_conn *c, const struct virtq_chain *chain, size_t offset);

/* The flags of a SHUTDOWN of ours. */
uint32_t vsock_conn_shut_flags(const struct vsock_conn *c);
