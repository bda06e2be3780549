/* bus.c - a table of ranges, searched in order: there are few */
#include "hwvirt-sandbox/bus.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>

int bus_add(struct bus *b, const struct bus_range *r, struct err *e)
{
	if (r->len == 0 || r->base + (r->len - 1) < r->base)
		return err_set(e, EINVAL, "bus: no range: %" PRIu64 " bytes at 0x%" PRIx64, r->len, r->base);
	for (unsigned i = 0; i < b->n; i++) {
		const struct bus_range *o = &b->ranges[i];

		if (r->base <= o->base + (o->len - 1) && o->base <= r->base + (r->len - 1))
			return err_set(e, EINVAL, "bus: 0x%" PRIx64 " is taken", r->base);
	}
	if (b->n == BUS_RANGES_MAX)
		return err_set(e, ENOSPC, "bus: more than %d ranges", BUS_RANGES_MAX);
	b->ranges[b->n++] = *r;
	return 0;
}

static const struct bus_range *find(const struct bus *b, uint64_t addr, unsigned width)
{
	for (unsigned i = 0; i < b->n; i++) {
		const struct bus_range *r = &b->ranges[i];

		if (addr >= r->base && addr - r->base < r->len && width <= r->len - (addr - r->base))
			return r;
	}
	return NULL;
}

uint64_t bus_read(const struct bus *b, uint64_t addr, unsigned width)
{
	const struct bus_range *r = find(b, addr, width);

	return r && r->read ? r->read(r->arg, addr - r->base, width) : UINT64_MAX;
}

void bus_write(const struct bus *b, uint64_t addr, unsigned width, uint64_t value)
{
	const struct bus_range *r = find(b, addr, width);

	if (r && r->write)
		r->write(r->arg, addr - r->base, width, value);
}
