/* balloon.h - the memory balloon (virtio 1.2, 5.5), with free page reporting
 *
 * What the guest puts into the balloon, or reports as free, goes back to the host: holes are punched into its memory. The guest may
 * take it back at any time; it then finds zeros. Only whole pages that are its memory are given back.
 */
#pragma once
#include "hwvirt-sandbox/virtio/device.h"

struct virtio_balloon {
	struct virtio_device device;
	uint32_t target, actual; /* pages of 4096 bytes: that we want, that the guest says it has put in */
	struct virtq_chain chain;
};

/* Fills *b, which must stay where it is. */
void virtio_balloon_init(struct virtio_balloon *b, const struct guest_mem *mem);

/* Asks the guest to put that many pages into the balloon. To be called as the functions of a device are: one at a time. */
void virtio_balloon_set(struct virtio_balloon *b, uint32_t pages);
