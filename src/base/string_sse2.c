/* string_sse2.c - strlen(), strcmp(), strchr(), strchrnul(), memrchr(), strrchr(), memcpy() and memmove() of the static program
 *
 * Theory of operation: musl's strcmp() takes six instructions for each byte, and so made, with strlen(), an eighth of all that a
 * start executes. These take the place of libc's, as the linker finds them first. Sixteen bytes are looked at together. They may
 * lie behind the end of a string, but never on a page that has none of it: strlen() and strchr() read where 16 divides the address,
 * strcmp() goes by the byte near the end of a page. memcpy() is for the many that are short; it copies nothing by the byte.
 */
#include <emmintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PAGE  4096u /* the smallest */
#define BLOCK ((size_t)16)

static unsigned zeros(__m128i block)
{
	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_setzero_si128()));
}

static unsigned equals(__m128i block, __m128i c)
{
	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(block, c));
}

size_t strlen(const char *s)
{
	uintptr_t before = (uintptr_t)s % BLOCK;
	const __m128i *at = (const void *)(s - before);
	unsigned found = zeros(_mm_load_si128(at)) >> before;

	if (found)
		return (size_t)__builtin_ctz(found);
	do
		found = zeros(_mm_load_si128(++at));
	while (!found);
	return (size_t)((const char *)at - s) + (size_t)__builtin_ctz(found);
}

/* By this name musl's strcspn(), strsep() and others call it. */
char *__strchrnul(const char *s, int c);
char *strchrnul(const char *s, int c) __attribute__((alias("__strchrnul")));

char *__strchrnul(const char *s, int c)
{
	uintptr_t before = (uintptr_t)s % BLOCK;
	const __m128i *at = (const void *)(s - before), wanted = _mm_set1_epi8((char)c);
	unsigned found = (zeros(*at) | equals(*at, wanted)) >> before << before;

	while (!found) {
		at++;
		found = zeros(*at) | equals(*at, wanted);
	}
	return (char *)at + __builtin_ctz(found);
}

char *strchr(const char *s, int c)
{
	char *at = __strchrnul(s, c);

	return *at == (char)c ? at : NULL;
}

void *memrchr(const void *s, int c, size_t n)
{
	const char *from = s;

	for (; n >= BLOCK; n -= BLOCK) {
		unsigned found = equals(_mm_loadu_si128((const void *)(from + n - BLOCK)), _mm_set1_epi8((char)c));

		if (found)
			return (char *)from + n - BLOCK + 31 - __builtin_clz(found);
	}
	while (n--)
		if (from[n] == (char)c)
			return (char *)from + n;
	return NULL;
}

char *strrchr(const char *s, int c)
{
	return memrchr(s, c, strlen(s) + 1);
}

static void copy_block(char *to, const char *from)
{
	_mm_storeu_si128((void *)to, _mm_loadu_si128((const void *)from));
}

/* Copies N bytes, a power of two, twice: the first and the last of n, which may overlap. */
#define COPY_ENDS(T, to, from, n)                                                                                                  \
	do {                                                                                                                       \
		T first_, last_;                                                                                                   \
                                                                                                                                   \
		__builtin_memcpy(&first_, from, sizeof(T));                                                                        \
		__builtin_memcpy(&last_, (from) + (n) - sizeof(T), sizeof(T));                                                     \
		__builtin_memcpy(to, &first_, sizeof(T));                                                                          \
		__builtin_memcpy((to) + (n) - sizeof(T), &last_, sizeof(T));                                                       \
	} while (0)

static inline void copy_few(char *to, const char *from, size_t n)
{
	if (n >= 8)
		COPY_ENDS(uint64_t, to, from, n);
	else if (n >= 4)
		COPY_ENDS(uint32_t, to, from, n);
	else if (n >= 2)
		COPY_ENDS(uint16_t, to, from, n);
	else if (n)
		*to = *from;
}

/* The compiler may not see a memcpy() or memmove() in a loop with this. */
#define NO_IDIOM() __asm__ volatile("" ::: "memory")

/* Ascending: `to` may be in what is copied if it is below `from`. At least a block. */
static inline void copy_up(char *to, const char *from, size_t n)
{
	const __m128i last = _mm_loadu_si128((const void *)(from + n - BLOCK));
	char *end = to + n - BLOCK;

	for (; end - to >= 4 * (ptrdiff_t)BLOCK; to += 4 * BLOCK, from += 4 * BLOCK) {
		copy_block(to, from);
		copy_block(to + BLOCK, from + BLOCK);
		copy_block(to + 2 * BLOCK, from + 2 * BLOCK);
		copy_block(to + 3 * BLOCK, from + 3 * BLOCK);
		NO_IDIOM();
	}
	for (; to < end; to += BLOCK, from += BLOCK) {
		copy_block(to, from);
		NO_IDIOM();
	}
	_mm_storeu_si128((void *)end, last);
}

static void copy_down(char *to, const char *from, size_t n)
{
	for (; n >= BLOCK; n -= BLOCK) {
		copy_block(to + n - BLOCK, from + n - BLOCK);
		NO_IDIOM();
	}
	copy_few(to, from, n);
}

void *memmove(void *to, const void *from, size_t n)
{
	if (n < BLOCK)
		copy_few(to, from, n);
	else if ((uintptr_t)to - (uintptr_t)from >= n)
		copy_up(to, from, n);
	else
		copy_down(to, from, n);
	return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t n) __attribute__((alias("memmove")));

static int page_ends(const char *s)
{
	return (uintptr_t)s % PAGE > PAGE - BLOCK;
}

int strcmp(const char *a, const char *b)
{
	for (;;) {
		if (page_ends(a) || page_ends(b)) {
			if (*a != *b || !*a)
				return (unsigned char)*a - (unsigned char)*b;
			a++;
			b++;
			continue;
		}
		__m128i x = _mm_loadu_si128((const void *)a), y = _mm_loadu_si128((const void *)b);
		unsigned ends = zeros(_mm_min_epu8(_mm_cmpeq_epi8(x, y), x)); /* zero where they differ or both end */

		if (ends) {
			unsigned i = (unsigned)__builtin_ctz(ends);

			return (unsigned char)a[i] - (unsigned char)b[i];
		}
		a += BLOCK;
		b += BLOCK;
	}
}
