/* bus.h - which device answers at an address, for ports and for memory
 *
 * Filled before the guest runs and not changed afterwards, so all its processors may use it at once; what a handler touches is the
 * handler's to lock. An access that no range holds as a whole reads as all ones and writes nothing, as on a bus without a device.
 */
#pragma once
#include "base/err.h"

#include <stdint.h>

enum { BUS_RANGES_MAX = 32 };

struct bus_range {
	uint64_t base, len;
	/* width is 1, 2, 4 or 8 bytes; offset counts from base. Either may be NULL. */
	uint64_t (*read)(void *arg, uint64_t offset, unsigned width);
	void (*write)(void *arg, uint64_t offset, unsigned width, uint64_t value);
	void *arg;
};

struct bus {
	unsigned n;
	struct bus_range ranges[BUS_RANGES_MAX];
};

/* EINVAL: empty, past the end of addresses, or over a range that is there already. ENOSPC: no room for more. */
must_check int bus_add(struct bus *b, const struct bus_range *r, struct err *e);

uint64_t bus_read(const struct bus *b, uint64_t addr, unsigned width);
void bus_write(const struct bus *b, uint64_t addr, unsigned width, uint64_t value);
