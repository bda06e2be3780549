/* device.h - what a virtio device is to its transport, and the transport to it
 *
 * A device is a table of functions and its own state behind it. The transport (mmio.h) keeps the registers and the status machine of
 * virtio 1.2, 2.1; a device hears of its queues only when the driver has finished setting them up, and until it is reset they stay as
 * they are: no later write to a register reaches them. No two functions of one device are called at the same time.
 */
#pragma once
#include "hwvirt-sandbox/virtio/virtq.h"

enum { VIRTIO_QUEUES_MAX = 8 };

/* Device numbers, virtio 1.2, 5. */
enum { VIRTIO_ID_CONSOLE = 3, VIRTIO_ID_RNG = 4, VIRTIO_ID_BALLOON = 5, VIRTIO_ID_VSOCK = 19, VIRTIO_ID_FS = 26 };

/* Feature bits that belong to no device, virtio 1.2, 6. */
#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX     (1ull << 29)
#define VIRTIO_F_VERSION_1     (1ull << 32)
#define VIRTIO_F_COMMON        (VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_VERSION_1)

enum virtio_irq { VIRTIO_IRQ_QUEUE = 1, VIRTIO_IRQ_CONFIG = 2 }; /* the bits of InterruptStatus */

struct virtio_device;

struct virtio_ops {
	const char *name;
	uint32_t id;
	uint64_t features; /* the device's own; VIRTIO_F_COMMON is added */
	unsigned n_queues;
	uint16_t queue_max[VIRTIO_QUEUES_MAX]; /* entries */

	/* The configuration space: config_len bytes, read as a whole and written by the driver in parts; NULL where it has none or none
	 * can be written. An access that is not within it never gets here. */
	size_t config_len;
	void (*config_read)(struct virtio_device *d, uint8_t *out);
	void (*config_write)(struct virtio_device *d, size_t offset, const uint8_t *data, size_t len);

	/* The driver is ready: queues with .ready set may be used until reset(). NULL: nothing to do. A failure asks for a reset. */
	int (*activate)(struct virtio_device *d, struct err *e);

	/* The driver says that queue i, which is ready, has requests. Works on a bounded number; true: there may be more, call again when
	 * others had their turn. */
	bool (*kick)(struct virtio_device *d, unsigned i);

	/* Stops using the queues: when it returns nothing of the device touches them or raises an interrupt. NULL: nothing to do. */
	void (*reset)(struct virtio_device *d);

	/* poll_fd is readable: something happened outside of the guest. Works on a bounded number; poll_fd stays readable while there is more
	 * to do. May be called at any time. NULL: the device has no poll_fd. */
	void (*ready)(struct virtio_device *d);
};

/* What a device has whose queues another process serves (fs.h). A transport that can lets the guest's notifications and that process's
 * interrupts go by these eventfds directly. */
struct virtio_remote {
	int kick_fd[VIRTIO_QUEUES_MAX]; /* written to for a notification; kick() does no more than that */
	int call_fd;                    /* readable: raise the interrupt for a queue */
};

/* To be the first member of a device's own structure. */
struct virtio_device {
	const struct virtio_ops *ops;
	const struct guest_mem *mem; /* borrowed */
	int poll_fd;                        /* of the device; if ops->ready */
	const struct virtio_remote *remote; /* of the device; NULL: it serves its queues here */
	uint64_t features;                  /* agreed upon; valid while active */
	struct virtq queues[VIRTIO_QUEUES_MAX];
	bool active;              /* between activate and reset */
	_Atomic bool needs_reset; /* a queue broke, or activation failed */

	/* Set by the transport. Raises the interrupt for one of the reasons; any thread may. */
	void (*interrupt)(void *transport, enum virtio_irq why);
	void *transport;
};

/* Raises the interrupt for a queue if the driver wants one. */
void virtio_signal(struct virtio_device *d, struct virtq *q);

/* Something is beyond repair: the driver is told to reset the device (virtio 1.2, 2.1.2), *e is logged once. */
void virtio_fail(struct virtio_device *d, const struct err *e);
