/* console.h - the console device (virtio 1.2, 5.3): one port, output only
 *
 * What the guest writes goes to a descriptor of the host. It is never waited for: a kernel that writes to its console may not be held up.
 * What the descriptor does not take is kept, CONSOLE_BUFFER bytes at most; what is beyond that is dropped, and a line in its place says
 * how much it was. The guest gets no input.
 */
#pragma once
#include "hwvirt-sandbox/virtio/device.h"

enum { CONSOLE_BUFFER = 64 << 10 };

struct virtio_console {
	struct virtio_device device;
	int out_fd;       /* borrowed; -EBADF when it is broken */
	bool armed;       /* poll_fd waits for out_fd */
	uint64_t dropped; /* bytes, not yet told */
	uint32_t start, len;
	uint8_t *buffer; /* a ring */
	struct virtq_chain chain;
};

/* Fills *c, which must stay where it is. out_fd: non-blocking, or a regular file (EINVAL otherwise). A pipe whose reader goes away
 * raises SIGPIPE, unless it is ignored. */
must_check int virtio_console_init(struct virtio_console *c, const struct guest_mem *mem, int out_fd, struct err *e);
void virtio_console_release(struct virtio_console *c);
