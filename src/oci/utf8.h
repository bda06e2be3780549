/* utf8.h - the one place that knows what well-formed UTF-8 is (oci/ only) */
#pragma once
#include <stddef.h>

/* Bytes of the character at s, of which left (> 0) are readable: 1..4, or 0 when it is not well-formed (overlong, surrogate, beyond
 * U+10FFFF, cut off: Unicode table 3-7). */
static inline size_t utf8_char(const unsigned char *s, size_t left)
{
	unsigned char low = 0x80, high = 0xBF; /* range of the second byte */
	size_t n = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xC2 || s[0] > 0xF4 || left < n)
		return 0;
	if (s[0] == 0xE0)
		low = 0xA0;
	else if (s[0] == 0xED)
		high = 0x9F;
	else if (s[0] == 0xF0)
		low = 0x90;
	else if (s[0] == 0xF4)
		high = 0x8F;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((s[i] & 0xC0) != 0x80)
			return 0;
	return n;
}
