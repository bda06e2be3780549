#include "helpers/helper.h"
#include "base/cleanup.h"
#include "base/retry.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define JOB_MAX (1 << 20) /* bytes */

/* Reads all of standard input into `text`, which holds JOB_MAX + 1 bytes. */
static int read_job(char *text, struct err *e)
{
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 && len < JOB_MAX) {
		n = RETRY(read(STDIN_FILENO, text + len, JOB_MAX - len));
		if (n < 0)
			return err_errno(e, "job: read");
		len += (size_t)n;
	}
	if (len == JOB_MAX)
		return err_set(e, EFBIG, "job: is larger than %d bytes", JOB_MAX);
	text[len] = '\0';
	return 0;
}

int helper_main(int (*run)(char *job, struct arena *a, struct err *e))
{
	auto_arena struct arena a = { 0 };
	char *text = arena_alloc(&a, JOB_MAX + 1);
	struct err e;

	if (read_job(text, &e) < 0 || run(text, &a, &e) < 0) {
		dprintf(STDERR_FILENO, "%s\n", e.text);
		return 1;
	}
	return 0;
}
