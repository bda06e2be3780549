/* file.c - numbered files, one mutex */
#include "hwvirt-sandbox/fuse/file.h"

#include "base/cleanup.h"
#include "hwvirt-sandbox/fuse/slots.h"

struct files {
	pthread_mutex_t lock;
	struct slots slots;
	uint32_t max;
};

struct files *files_new(uint32_t max)
{
	struct files *t = calloc(1, sizeof(*t));

	if (!t)
		abort();
	*t = (struct files){ .lock = PTHREAD_MUTEX_INITIALIZER, .max = max };
	return t;
}

int files_add(struct files *t, int fd, bool dir, uint64_t *id)
{
	struct file *f = NULL;

	pthread_mutex_lock(&t->lock);
	if (t->slots.used < t->max) {
		f = calloc(1, sizeof(*f));
		if (!f)
			abort();
		*f = (struct file){ .fd = fd, .dir = dir, .position = { .lock = PTHREAD_MUTEX_INITIALIZER }, .refs = 1 };
		*id = f->id = slots_add(&t->slots, f);
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
	struct file *f = slots_find(&t->slots, id);

	return f && f->dir == dir ? f : NULL;
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
	if (f)
		slots_remove(&t->slots, id);
	pthread_mutex_unlock(&t->lock);
	files_put(t, f);
	return f;
}

/* Whoever closes a file meanwhile frees it: what is known of it is taken while the lock is held. */
void files_clear(struct files *t)
{
	for (uint32_t i = 0; i < t->slots.n; i++) {
		const struct file *f;
		uint64_t id;
		bool dir;

		pthread_mutex_lock(&t->lock);
		f = t->slots.v[i].thing;
		id = f ? f->id : 0;
		dir = f && f->dir;
		pthread_mutex_unlock(&t->lock);
		if (id)
			files_close(t, id, dir);
	}
}

void files_free(struct files *t)
{
	if (!t)
		return;
	files_clear(t);
	slots_release(&t->slots);
	pthread_mutex_destroy(&t->lock);
	free(t);
}
