/* slots.c - slot 0 is used by nobody */
#include "hwvirt-sandbox/fuse/slots.h"

#include <stdlib.h>

enum { FIRST = 64 };

static void grow(struct slots *t)
{
	uint32_t before = t->n, n = before ? 2 * before : FIRST;

	t->v = reallocarray(t->v, n, sizeof(*t->v));
	t->vacant = reallocarray(t->vacant, n, sizeof(*t->vacant));
	if (!t->v || !t->vacant)
		abort();
	for (uint32_t i = n; i-- > before;) {
		t->v[i] = (struct slot){ 0 };
		if (i)
			t->vacant[t->n_vacant++] = i;
	}
	t->n = n;
}

uint64_t slots_add(struct slots *t, void *thing)
{
	uint32_t i;

	if (t->n_vacant == 0)
		grow(t);
	i = t->vacant[--t->n_vacant];
	t->v[i].thing = thing;
	t->used++;
	return i | (uint64_t)t->v[i].generation << 32;
}

void *slots_find(const struct slots *t, uint64_t id)
{
	uint32_t i = (uint32_t)id;

	return i < t->n && t->v[i].generation == id >> 32 ? t->v[i].thing : NULL;
}

void slots_remove(struct slots *t, uint64_t id)
{
	uint32_t i = (uint32_t)id;

	t->v[i].thing = NULL;
	t->v[i].generation++;
	t->vacant[t->n_vacant++] = i;
	t->used--;
}

void slots_release(struct slots *t)
{
	free(t->v);
	free(t->vacant);
	*t = (struct slots){ 0 };
}
