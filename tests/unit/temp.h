/* temp.h - a directory of its own for each test program, removed at its end */
#pragma once
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char temp_path[64];

static inline void temp_remove(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf -- '%s'", temp_path);
	if (system(cmd) != 0)
		fprintf(stderr, "cannot remove %s\n", temp_path);
}

/* Returns an open descriptor of a fresh directory, the same one for the whole program. */
static inline int temp_dir(void)
{
	static int fd = -1;

	if (fd >= 0)
		return fd;
	snprintf(temp_path, sizeof(temp_path), "/tmp/drupe-unit-XXXXXX");
	if (!mkdtemp(temp_path))
		abort();
	atexit(temp_remove);
	fd = open(temp_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		abort();
	return fd;
}
