/* fs.h - the file system device (virtio 1.2, 5.11), and the process that serves its queues
 *
 * The device is its registers only. Its queues are served by a process that has the share but no machine: fs_serve(), which the device's
 * process forks after virtio_fs_init(). Both share the guest's memory, an eventfd for each queue and one for interrupts, and a channel
 * by which the device says when the queues begin and end, and hears when one is broken. When either process ends the other knows by the
 * channel: the server returns, the device asks for a reset and can't be started again.
 */
#pragma once
#include "hwvirt-sandbox/fuse/server.h"
#include "hwvirt-sandbox/virtio/device.h"

enum { VIRTIO_FS_TAG_MAX = 36, VIRTIO_FS_QUEUES_MAX = VIRTIO_QUEUES_MAX - 1 };

/* The server's side of a device, with it to be inherited. The eventfds are the device's; channel_fd is the server's to close. */
struct virtio_fs_peer {
	struct virtio_remote remote;
	unsigned n_queues; /* with the one of high priority */
	int channel_fd;
};

struct virtio_fs {
	struct virtio_device device;
	struct virtio_ops ops;
	struct virtio_remote remote; /* owned */
	char tag[VIRTIO_FS_TAG_MAX];
	int channel_fd; /* owned; -EBADF when the server is gone */
};

/* Fills *f, which must stay where it is, and *peer for the process to fork. tag: the name to mount it by, at most VIRTIO_FS_TAG_MAX bytes.
 * n_requests: queues for requests, 1 to VIRTIO_FS_QUEUES_MAX, a thread for each. */
must_check int virtio_fs_init(struct virtio_fs *f, const struct guest_mem *mem, const char *tag, unsigned n_requests,
			      struct virtio_fs_peer *peer, struct err *e);
void virtio_fs_release(struct virtio_fs *f);

/* In the process to fork: closes all but the standard streams, what peer has, and more_fd. */
must_check int virtio_fs_keep_alone(const struct virtio_fs_peer *peer, int more_fd, struct err *e);

/* Serves until the device's process ends. Takes peer->channel_fd over; share_fd: the root of the share, borrowed. 0, or what could not
 * be set up. */
must_check int fs_serve(const struct virtio_fs_peer *peer, const struct guest_mem *mem, int share_fd, const struct fuse_options *o,
			struct err *e);
