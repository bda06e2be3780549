/* run.h - another program, run to its end: hooks and helpers
 *
 * Its standard input is a text that is there as a whole, so it may be read, ignored or closed and nobody blocks or dies of SIGPIPE.
 * It leads a process group of its own, gets the environment it is given and nothing else, default signal dispositions, and no
 * descriptor of ours but the standard streams.
 */
#pragma once
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct run {
	const char *path;   /* of the program; no search */
	char *const *argv;  /* NULL-terminated */
	char *const *envp;  /* NULL-terminated; NULL: an empty environment */
	const char *cwd;    /* NULL: as it is */
	const char *input;  /* its standard input; NULL: none */
	int64_t timeout_ms; /* negative: as long as it takes */
	char *says;         /* receives what it wrote to standard output and error; NULL: they are ours */
	size_t says_room;   /* bytes, the end of the text included; what does not fit is dropped */
	/* NULL, or called in the child when nothing but execve(2) is left to do. */
	int (*confine)(const void *how, struct err *e);
	const void *how;
};

/* Waits for the program; returns its exit status as a shell shows it: 0-255, or 128 + signal. ETIMEDOUT: it took longer and was
 * killed, with its process group. Any other error: it did not run, and why ("execute: No such file or directory"). */
must_check int run_program(const struct run *r, struct err *e);

/* The error that a program's failure (status, not 0) is: with `code`, and for text what it said, put on one line and without its
 * own `name` in front, or else its status. */
int run_failed(int status, const char *says, const char *name, int code, struct err *e) __attribute__((cold));
