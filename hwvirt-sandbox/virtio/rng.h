/* rng.h - the entropy device (virtio 1.2, 5.4) */
#pragma once
#include "hwvirt-sandbox/virtio/device.h"

struct virtio_rng {
	struct virtio_device device;
	struct virtq_chain chain;
};

/* Fills *r, which must stay where it is. */
void virtio_rng_init(struct virtio_rng *r, const struct guest_mem *mem);
