/* slots.h - numbers for what a guest is told of: a slot and its generation, so that none is used twice. The lock is the caller's */
#pragma once
#include <stdint.h>

struct slots {
	struct slot {
		void *thing;
		uint32_t generation;
	} *v;
	uint32_t *vacant; /* a stack */
	uint32_t n, n_vacant, used;
};

/* The number of the first thing is 1. Aborts when out of memory. */
uint64_t slots_add(struct slots *t, void *thing);
void *slots_find(const struct slots *t, uint64_t id); /* NULL: there is none of that number */
void slots_remove(struct slots *t, uint64_t id);      /* which there is */
void slots_release(struct slots *t);
