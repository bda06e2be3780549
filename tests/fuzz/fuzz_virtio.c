/* fuzz_virtio.c - a driver made of arbitrary bytes: guest memory writes and register accesses, nine bytes each */
#include "hwvirt-sandbox/virtio/mmio.h"
#include "hwvirt-sandbox/virtio/rng.h"

#include <string.h>

enum { MEM = 0x10000, STEP = 9 };

struct step {
	uint8_t what; /* 0..127 write memory, 128..255 write a register; bit 0: 4 or 8 bytes */
	uint16_t where;
	uint32_t value;
	uint16_t more;
} __attribute__((packed));

static void run_step(struct guest_mem *mem, struct virtio_mmio *m, const struct step *s)
{
	if (s->what & 128)
		virtio_mmio_write(m, s->where % VIRTIO_MMIO_SIZE, s->what & 1 ? 4 : 8, s->value);
	else if (!guest_write(mem, s->where, &s->value, sizeof(s->value)))
		(void)virtio_mmio_read(m, s->more % VIRTIO_MMIO_SIZE, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtio_rng rng;
	struct virtio_mmio m;
	struct guest_mem mem;
	struct err e;

	if (guest_mem_create(MEM, &mem, &e) < 0)
		return 0;
	virtio_rng_init(&rng, &mem);
	virtio_mmio_init(&m, &rng.device, NULL, NULL);
	for (; size >= STEP; data += STEP, size -= STEP) {
		struct step s;

		memcpy(&s, data, sizeof(s));
		run_step(&mem, &m, &s);
	}
	virtio_mmio_write(&m, VIRTIO_MMIO_STATUS, 4, 0);
	guest_mem_release(&mem);
	return 0;
}
