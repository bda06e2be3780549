/* log_file.h - where diagnostics go: standard error and what --log names
 *
 * Standard error gets human text: errors and warnings always, the rest when there is no log. The log gets every record: a file as text
 * or as one JSON object a line, the journal as fields, syslog as text. --log-format json without a log puts the objects on
 * standard error instead of the text.
 */
#pragma once
#include "base/err.h"
#include "base/log.h"

#include <stdbool.h>

enum log_kind { LOG_KIND_FILE, LOG_KIND_JOURNAL, LOG_KIND_SYSLOG };

struct log_file {
	int fd; /* owned; -1: none */
	bool json;
	enum log_kind kind;
	const char *name; /* what records are marked with in the journal and syslog; borrowed */
};

#define LOG_FILE_NONE ((struct log_file){ .fd = -1 })

/* Opens `target`: a path, "file:PATH", "journald:NAME", "syslog:NAME", or NULL or "" for none. Of files only a regular one, the null
 * device and /dev/stderr (same as none) will do: a FIFO could block us. EINVAL another file; the error of connect(2) when nobody
 * listens there. */
must_check int log_file_open(const char *target, bool json, struct log_file *out, struct err *e);
void log_file_close(struct log_file *l);

/* A sink that writes to *l, which the caller keeps. */
struct log_sink log_file_sink(struct log_file *l, enum log_level max);
