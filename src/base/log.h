/* log.h - diagnostics
 *
 * Library code returns errors; it logs only what is no error of its caller's (warnings, debug steps). Nothing but a sink prints:
 * cli/ installs the sink that writes to stderr or the --log file, init/ one that sends the record to the runtime over its channel,
 * so that one file holds all records in order. The sink is the only global of the program.
 */
#pragma once

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Takes one record: text is one line without newline. Must not fail. */
struct log_sink {
	void (*put)(void *ctx, enum log_level level, const char *text);
	void *ctx;
	enum log_level max; /* records above this level are dropped unformatted */
};

/* Replaces the sink; the caller keeps *ctx alive. Returns the one before. */
struct log_sink log_set_sink(struct log_sink s);

void log_put(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_put(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_put(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)  log_put(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_put(LOG_LEVEL_DEBUG, __VA_ARGS__)
