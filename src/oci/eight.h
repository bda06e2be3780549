/* eight.h - texts, eight bytes at once (oci/ only) */
#pragma once
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
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

/* The lowest top bit that is set is in the first byte that is no plain character of a string: quote, backslash, control character or
 * beyond ASCII. Of two ASCII characters that differ, the difference plus 0x7f has the top bit. */
static inline uint64_t find_special(uint64_t w)
{
	uint64_t plain = ((w ^ ONES * '"') + ~TOPS) & ((w ^ ONES * '\\') + ~TOPS) & (w + ONES * 0x60);

	return (~plain | w) & TOPS;
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

/* Copies n bytes; true when all of them are plain. */
static inline bool copy_plain(char *to, const char *from, size_t n)
{
	uint64_t special = 0, w;
	uint32_t first, last;

	if (n >= 8) {
		for (size_t i = 0; i < n; i += 8) {
			size_t at = i + 8 <= n ? i : n - 8; /* the last eight may overlap with those before */

			memcpy(&w, from + at, 8);
			memcpy(to + at, &w, 8);
			special |= find_special(w);
		}
	} else if (n >= 4) {
		memcpy(&first, from, 4);
		memcpy(&last, from + n - 4, 4);
		memcpy(to, &first, 4);
		memcpy(to + n - 4, &last, 4);
		special = find_special(first | (uint64_t)last << 32);
	} else {
		for (size_t i = 0; i < n; i++) {
			to[i] = from[i];
			special |= find_special(ONES * (unsigned char)from[i]);
		}
	}
	return !special;
}
