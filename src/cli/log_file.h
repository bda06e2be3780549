/* log_file.h - where diagnostics go: standard error and the --log file
 *
 * Standard error gets human text: errors and warnings always, the rest when there is no file. The file gets every record, as text
 * or as one JSON object a line; --log-format json without a file puts the objects on standard error instead of the text.
 */
#pragma once
#include "base/err.h"
#include "base/log.h"

#include <stdbool.h>

struct log_file {
	int fd; /* owned; -1: none */
	bool json;
};

#define LOG_FILE_NONE ((struct log_file){ .fd = -1 })

/* Opens `target`: a path, "file:PATH", or NULL or "" for none. Only a regular file, the null device and /dev/stderr (same as none)
 * will do: a FIFO could block us. EINVAL another file; ENOTSUP journald: and syslog:. */
must_check int log_file_open(const char *target, bool json, struct log_file *out, struct err *e);
void log_file_close(struct log_file *l);

/* A sink that writes to *l, which the caller keeps. */
struct log_sink log_file_sink(struct log_file *l, enum log_level max);
