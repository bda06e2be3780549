/* sixteen.h - texts, sixteen bytes at once: what is found is a bit for each of the bytes at s, the lowest for the first (oci/ only) */
#pragma once
#include "oci/eight.h"

#ifdef __SSE2__
#include <emmintrin.h>

typedef __m128i sixteen_t;

static inline sixteen_t sixteen_at(const char *s)
{
	return _mm_loadu_si128((const void *)s);
}

/* One or the other. */
static inline unsigned sixteen_either(sixteen_t v, char c, char d)
{
	return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8(c)), _mm_cmpeq_epi8(v, _mm_set1_epi8(d))));
}

/* As find_special(): what is beyond ASCII is negative. Only the lowest bit means something. */
static inline unsigned sixteen_special(sixteen_t v)
{
	__m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"')), backslash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), _mm_cmplt_epi8(v, _mm_set1_epi8(' '))));
}

#else

typedef struct { uint64_t low, high; } sixteen_t;

static inline sixteen_t sixteen_at(const char *s)
{
	return (sixteen_t){ load8(s), load8(s + 8) };
}

/* The top bits of eight bytes, side by side. */
static inline unsigned sixteen_tops(uint64_t low, uint64_t high)
{
	const uint64_t gather = 0x0102040810204080;

	return (unsigned)(((low & TOPS) >> 7) * gather >> 56 | ((high & TOPS) >> 7) * gather >> 56 << 8);
}

/* Top bits of the bytes that are c. */
static inline uint64_t eight_equal(uint64_t w, char c)
{
	w ^= ONES * (unsigned char)c;
	return ~(((w & ~TOPS) + ~TOPS) | w);
}

static inline unsigned sixteen_either(sixteen_t v, char c, char d)
{
	return sixteen_tops(eight_equal(v.low, c) | eight_equal(v.low, d), eight_equal(v.high, c) | eight_equal(v.high, d));
}

static inline unsigned sixteen_special(sixteen_t v)
{
	return sixteen_tops(find_special(v.low), find_special(v.high));
}

#endif
