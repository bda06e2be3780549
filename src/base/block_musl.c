#include "base/block.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#define RESERVE 8 /* blocks; a run needs five at the same time */

static struct {
	alignas(max_align_t) unsigned char block[RESERVE][BLOCK_SIZE];
	bool taken[RESERVE];
	size_t dirty[RESERVE]; /* bytes that its last user may have left other than zero */
} reserve;

void *block_get(size_t size)
{
	for (size_t i = 0; size <= BLOCK_SIZE && i < RESERVE; i++) {
		if (reserve.taken[i])
			continue;
		reserve.taken[i] = true;
		if (reserve.dirty[i])
			memset(reserve.block[i], 0, reserve.dirty[i]);
		reserve.dirty[i] = 0;
		return reserve.block[i];
	}
	void *block = calloc(1, size);

	if (!block)
		abort();
	return block;
}

void block_put(void *block, size_t size, size_t used)
{
	uintptr_t at = (uintptr_t)block - (uintptr_t)reserve.block;

	(void)size;
	if (at >= sizeof(reserve.block)) {
		free(block);
		return;
	}
	/* Most are never taken again before the program ends. */
	reserve.dirty[at / BLOCK_SIZE] = used;
	reserve.taken[at / BLOCK_SIZE] = false;
}

void block_trim(void)
{
	const uintptr_t page = (uintptr_t)getauxval(AT_PAGESZ) - 1;

	for (size_t i = 0; i < RESERVE; i++) {
		uintptr_t from = ((uintptr_t)reserve.block[i] + page) & ~page, to = (uintptr_t)reserve.block[i] + BLOCK_SIZE;

		if (!reserve.taken[i] && reserve.dirty[i])
			(void)madvise((void *)from, (to & ~page) - from, MADV_DONTNEED);
	}
}
