/* eight.h - texts, eight bytes at once (oci/ only) */
#pragma once
#include <endian.h>
#include <stdint.h>
#include <string.h>

#define ONES UINT64_C(0x0101010101010101)
#define TOPS (ONES << 7)

/* The first of the eight in the lowest byte. */
static inline uint64_t load8(const char *s)
{
	uint64_t w;

	memcpy(&w, s, sizeof(w));
	return le64toh(w);
}

/* The lowest top bit that is set is in the first byte that is c. */
static inline uint64_t find_byte(uint64_t w, unsigned char c)
{
	uint64_t x = w ^ ONES * c;

	return (x - ONES) & ~x & TOPS;
}

/* The same for the first byte that is no plain character of a string: quote, backslash, control character or beyond ASCII. */
static inline uint64_t find_special(uint64_t w)
{
	return find_byte(w, '"') | find_byte(w, '\\') | ((w - ONES * 0x20) & ~w & TOPS) | (w & TOPS);
}

/* The first character that is not plain, or end. */
static inline const char *skip_plain(const char *s, const char *end)
{
	for (; end - s >= 8; s += 8) {
		uint64_t special = find_special(load8(s));

		if (special)
			return s + __builtin_ctzll(special) / 8;
	}
	while (s < end && (unsigned char)*s >= 0x20 && (unsigned char)*s < 0x80 && *s != '"' && *s != '\\')
		s++;
	return s;
}
