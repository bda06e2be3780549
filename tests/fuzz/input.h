/* input.h - arbitrary bytes, for fuzzers that make steps of them */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* What is left of the input; ends in zeros. */
struct input {
	const uint8_t *at;
	size_t len;
};

static uint8_t byte(struct input *in)
{
	if (in->len == 0)
		return 0;
	in->len--;
	return *in->at++;
}
