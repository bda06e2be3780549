/* fs_channel.h - what the file system device and its server say to each other: one message a packet
 *
 * START and STOP are the device's, each answered by a packet of the same kind. BROKEN is the server's, at any time.
 */
#pragma once
#include "hwvirt-sandbox/virtio/device.h"

enum fs_message_kind { FS_START = 1, FS_STOP, FS_BROKEN };

struct fs_message {
	uint32_t kind;
	int32_t result;                                /* of an answer: 0 or -errno */
	uint64_t features;                             /* of START: agreed upon */
	struct virtq_layout layout[VIRTIO_QUEUES_MAX]; /* of START; size 0: not in use */
	char text[128];                                /* of BROKEN, and of an answer that is a failure: why */
};
