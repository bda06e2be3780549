/* guest_mem.h - the memory of a guest, and the only way to its bytes
 *
 * A guest's memory is one memfd, sealed against shrinking, so that each process that serves the guest can map it and none can be
 * made to fault by another. Guest physical addresses 0 .. low_size lie at its start; what does not fit below the hole that
 * devices live in (GUEST_HOLE) continues at 4 GiB. The mapping has an unmapped page on either side.
 *
 * The guest writes to all of it at any time, also while we read. So: whatever is decided on is copied out first (guest_read), and
 * an address and a length are always checked together, in guest_range().
 */
#pragma once
#include "base/err.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

#define GUEST_HOLE      0xd0000000ull /* memory ends here at the latest, and goes on at GUEST_HIGH */
#define GUEST_HIGH      0x100000000ull
#define GUEST_MEM_MAX   (1ull << 40)
#define GUEST_MEM_PAGE  4096ull

struct guest_mem {
	uint8_t *base; /* low_size + high_size bytes */
	uint64_t low_size, high_size;
	int fd; /* owned */
};

#define GUEST_MEM_NONE ((struct guest_mem){ .fd = -EBADF })

/* Makes and maps `size` bytes of memory (a multiple of the page size, at most GUEST_MEM_MAX). Not touched, so it costs nothing yet. */
must_check int guest_mem_create(uint64_t size, struct guest_mem *out, struct err *e);

/* Maps the memory that another process made; fd is borrowed and duplicated. EINVAL when it is not sealed against shrinking, or its size
 * is none that guest_mem_create() makes. */
must_check int guest_mem_attach(int fd, struct guest_mem *out, struct err *e);

/* Unmaps and closes; accepts GUEST_MEM_NONE. */
void guest_mem_release(struct guest_mem *m);

/* Where the len bytes at gpa are in this process; NULL unless all of them are memory, next to each other. len 0 is NULL. */
uint8_t *guest_range(const struct guest_mem *m, uint64_t gpa, uint64_t len);

/* Copies len bytes at gpa; false, and nothing was copied, unless all of them are memory. */
must_check bool guest_read(const struct guest_mem *m, uint64_t gpa, void *to, size_t len);
must_check bool guest_write(const struct guest_mem *m, uint64_t gpa, const void *from, size_t len);

/* Large pages, zeroed, for the len bytes at gpa, which are about to be used, where the host can (Linux 6.1); else nothing happens. */
void guest_populate(const struct guest_mem *m, uint64_t gpa, uint64_t len);

/* Gives the whole pages within what guest_range() returned back to the host; they then read as zeros. at NULL: nothing to do. */
void guest_discard(const struct guest_mem *m, const uint8_t *at, uint64_t len);
