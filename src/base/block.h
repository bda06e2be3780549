/* block.h - where arenas get their memory
 *
 * Two implementations, chosen by the C library. With glibc blocks come from malloc, so that sanitizers and valgrind see the life of
 * each. The static program has a few blocks of its own, zero pages until they are used: a command that ends within a millisecond
 * then asks the kernel for no memory at all.
 */
#pragma once
#include <stddef.h>

#define BLOCK_SIZE 32768 /* bytes of an ordinary block */

/* A zeroed block of at least BLOCK_SIZE bytes, aligned for any object; aborts when memory is out. */
void *block_get(size_t size) __attribute__((malloc, returns_nonnull));

/* Gives the pages of blocks that nobody has back to the kernel. */
void block_trim(void);

/* Gives a block back, of whose bytes the first `used` may be other than zero. size as it was given to block_get(). */
void block_put(void *block, size_t size, size_t used);
