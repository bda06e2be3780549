#include "base/block.h"

#include <stdlib.h>

void *block_get(size_t size)
{
	void *block = calloc(1, size);

	if (!block)
		abort();
	return block;
}

void block_put(void *block, size_t size, size_t used)
{
	(void)size;
	(void)used;
	free(block);
}

void block_trim(void)
{
}
