/* mmio.h - the registers of a virtio device in memory (virtio 1.2, 4.2.2)
 *
 * Knows no KVM: whoever sees the guest's accesses hands them on. Each access is answered, whatever it is: what the specification does
 * not allow reads as 0 and writes nothing. A queue's registers can be written between FEATURES_OK and DRIVER_OK only.
 */
#pragma once
#include "hwvirt-sandbox/virtio/device.h"

enum { VIRTIO_MMIO_SIZE = 0x1000, VIRTIO_MMIO_CONFIG = 0x100 };

/* Register offsets. */
enum virtio_mmio_reg {
	VIRTIO_MMIO_MAGIC = 0x00,
	VIRTIO_MMIO_VERSION = 0x04,
	VIRTIO_MMIO_DEVICE_ID = 0x08,
	VIRTIO_MMIO_VENDOR_ID = 0x0c,
	VIRTIO_MMIO_DEVICE_FEATURES = 0x10,
	VIRTIO_MMIO_DEVICE_FEATURES_SEL = 0x14,
	VIRTIO_MMIO_DRIVER_FEATURES = 0x20,
	VIRTIO_MMIO_DRIVER_FEATURES_SEL = 0x24,
	VIRTIO_MMIO_QUEUE_SEL = 0x30,
	VIRTIO_MMIO_QUEUE_NUM_MAX = 0x34,
	VIRTIO_MMIO_QUEUE_NUM = 0x38,
	VIRTIO_MMIO_QUEUE_READY = 0x44,
	VIRTIO_MMIO_QUEUE_NOTIFY = 0x50,
	VIRTIO_MMIO_INTERRUPT_STATUS = 0x60,
	VIRTIO_MMIO_INTERRUPT_ACK = 0x64,
	VIRTIO_MMIO_STATUS = 0x70,
	VIRTIO_MMIO_QUEUE_DESC = 0x80, /* two halves each, low first */
	VIRTIO_MMIO_QUEUE_DRIVER = 0x90,
	VIRTIO_MMIO_QUEUE_DEVICE = 0xa0,
	VIRTIO_MMIO_SHM_LEN = 0xb0,
	VIRTIO_MMIO_SHM_BASE = 0xb8,
	VIRTIO_MMIO_CONFIG_GENERATION = 0xfc,
};

/* Bits of the status register. */
enum virtio_status {
	VIRTIO_ACKNOWLEDGE = 1,
	VIRTIO_DRIVER = 2,
	VIRTIO_DRIVER_OK = 4,
	VIRTIO_FEATURES_OK = 8,
	VIRTIO_NEEDS_RESET = 64,
	VIRTIO_FAILED = 128,
};

struct virtio_mmio {
	struct virtio_device *device; /* borrowed */
	uint32_t status, device_sel, driver_sel, queue_sel;
	uint64_t driver_features;
	struct virtq_layout layout[VIRTIO_QUEUES_MAX];
	bool queue_ready[VIRTIO_QUEUES_MAX];
	_Atomic uint32_t interrupt_status;
	void (*irq)(void *arg); /* raises the line, an edge; any thread */
	void *irq_arg;
};

/* Puts a device behind registers. irq may be NULL. m must stay where it is. */
void virtio_mmio_init(struct virtio_mmio *m, struct virtio_device *d, void (*irq)(void *arg), void *irq_arg);

/* The guest's accesses: offset < VIRTIO_MMIO_SIZE, width 1, 2, 4 or 8 bytes. */
uint64_t virtio_mmio_read(struct virtio_mmio *m, uint64_t offset, unsigned width);
void virtio_mmio_write(struct virtio_mmio *m, uint64_t offset, unsigned width, uint64_t value);

/* A turn of the device for requests of a queue, for a transport to which a notification comes another way than by the register. True:
 * there may be more, call again when others had their turn. */
must_check bool virtio_mmio_kick(struct virtio_mmio *m, uint32_t queue);
