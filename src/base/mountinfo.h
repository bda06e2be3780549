/* mountinfo.h - a line of /proc/PID/mountinfo */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct mount_line {
	uint32_t id, parent;
	const char *root, *point;   /* the part of the file system that is mounted, and where; as they are, without escapes */
	const char *type, *options; /* of the file system */
};

/* Reads "ID PARENT MAJ:MIN ROOT POINT FLAGS [TAG...] - TYPE SOURCE OPTIONS", without newline. It is changed, and what *out points
 * to is in it. False: it is no such line. */
bool mountinfo_parse(char *line, struct mount_line *out);
