/* file.c - slots with generations, one mutex */
#include "hwvirt-sandbox/fuse/file.h"

#include "base/cleanup.h"

struct slot {
	struct file *file;
	uint32_t generation;
};

struct files {
	pthread_mutex_t lock;
	struct slot *slots;
	uint32_t *vacant;
	uint32_t n_slots, n_vacant, max;
};

struct files *files_new(uint32_t max)
{
	struct files *t = calloc(1, sizeof(*t));

	if (!t)
		abort();
	*t = (struct files){ .lock = PTHREAD_MUTEX_INITIALIZER, .max = max };
	return t;
}

static void grow(struct files *t)
{
	uint32_t before = t->n_slots, n = before ? 2 * before : 64;

	n = n < t->max ? n : t->max;
	t->slots = reallocarray(t->slots, n, sizeof(*t->slots));
	t->vacant = reallocarray(t->vacant, n, sizeof(*t->vacant));
	if (!t->slots || !t->vacant)
		abort();
	for (uint32_t i = n; i-- > before;) {
		t->slots[i] = (struct slot){ .generation = 1 };
		t->vacant[t->n_vacant++] = i;
	}
	t->n_slots = n;
}

int files_add(struct files *t, int fd, bool dir, uint64_t *id)
{
	struct file *f = NULL;

	pthread_mutex_lock(&t->lock);
	if (t->n_vacant == 0 && t->n_slots < t->max)
		grow(t);
	if (t->n_vacant) {
		uint32_t slot = t->vacant[--t->n_vacant];

		f = calloc(1, sizeof(*f));
		if (!f)
			abort();
		*f = (struct file){ .fd = fd,
				    .dir = dir,
				    .position = { .lock = PTHREAD_MUTEX_INITIALIZER },
				    .refs = 1,
				    .id = slot | (uint64_t)t->slots[slot].generation << 32 };
		t->slots[slot].file = f;
		*id = f->id;
	}
	pthread_mutex_unlock(&t->lock);
	if (f)
		return 0;
	close_fd(&fd);
	return -ENFILE;
}

/* The lock is held. */
static struct file *by_id(const struct files *t, uint64_t id, bool dir)
{
	uint32_t slot = (uint32_t)id;
	struct file *f = slot < t->n_slots ? t->slots[slot].file : NULL;

	return f && f->id == id && f->dir == dir ? f : NULL;
}

struct file *files_get(struct files *t, uint64_t id, bool dir)
{
	struct file *f;

	pthread_mutex_lock(&t->lock);
	f = by_id(t, id, dir);
	if (f)
		f->refs++;
	pthread_mutex_unlock(&t->lock);
	return f;
}

/* close(2) may take long, so it is done without the lock. */
void files_put(struct files *t, struct file *f)
{
	bool last;

	if (!f)
		return;
	pthread_mutex_lock(&t->lock);
	last = --f->refs == 0;
	pthread_mutex_unlock(&t->lock);
	if (!last)
		return;
	close_fd(&f->fd);
	pthread_mutex_destroy(&f->position.lock);
	free(f->position.records);
	free(f);
}

bool files_close(struct files *t, uint64_t id, bool dir)
{
	struct file *f;

	pthread_mutex_lock(&t->lock);
	f = by_id(t, id, dir);
	if (f) {
		uint32_t slot = (uint32_t)id;

		t->slots[slot].file = NULL;
		t->slots[slot].generation++;
		t->vacant[t->n_vacant++] = slot;
	}
	pthread_mutex_unlock(&t->lock);
	files_put(t, f);
	return f;
}

void files_clear(struct files *t)
{
	for (uint32_t i = 0; i < t->n_slots; i++) {
		struct file *f;

		pthread_mutex_lock(&t->lock);
		f = t->slots[i].file;
		pthread_mutex_unlock(&t->lock);
		if (f)
			files_close(t, f->id, f->dir);
	}
}

void files_free(struct files *t)
{
	if (!t)
		return;
	files_clear(t);
	free(t->slots);
	free(t->vacant);
	pthread_mutex_destroy(&t->lock);
	free(t);
}
