/* file.h - the files and directories a guest has open
 *
 * A number a guest knows is a slot with a generation; each use checks that it is what it is used for. Thread-safe.
 */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct files;

/* Of a directory: what was read of it and not yet told, so that reading on needs no seek. Some file systems (tmpfs before Linux 6.6)
 * count positions in names, and a seek after a removal skips some. */
struct file_position {
	pthread_mutex_t lock;
	uint8_t *records; /* FILE_RECORDS bytes, once something was read */
	uint32_t len, at;
	uint64_t offset; /* of records + at */
};
enum { FILE_RECORDS = 4096 };

struct file {
	int fd;
	bool dir;
	struct file_position position;
	uint64_t id;
	uint32_t refs;
};

/* At most max may be open. Aborts when out of memory. */
struct files *files_new(uint32_t max);
void files_free(struct files *t); /* accepts NULL; closes all */

/* Takes fd over (also on failure, when it is closed). 0, *id set; -ENFILE. */
int files_add(struct files *t, int fd, bool dir, uint64_t *id);

/* The file, with a reference to put; NULL if there is none of this number and kind. */
struct file *files_get(struct files *t, uint64_t id, bool dir);
void files_put(struct files *t, struct file *f); /* accepts NULL */

/* The guest closes it; false if it had no such file. */
bool files_close(struct files *t, uint64_t id, bool dir);

/* Closes everything. */
void files_clear(struct files *t);
