/* device.c - what every virtio device does alike */
#include "hwvirt-sandbox/virtio/device.h"

#include "base/log.h"

#include <stdatomic.h>

void virtio_signal(struct virtio_device *d, struct virtq *q)
{
	if (virtq_must_signal(q) && d->interrupt)
		d->interrupt(d->transport, VIRTIO_IRQ_QUEUE);
}

void virtio_fail(struct virtio_device *d, const struct err *e)
{
	if (atomic_exchange(&d->needs_reset, true))
		return;
	log_warn("virtio %s: %s", d->ops->name, e->text);
	if (d->interrupt)
		d->interrupt(d->transport, VIRTIO_IRQ_CONFIG);
}
