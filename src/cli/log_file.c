/* Writes each record with one write(2), so that the records of concurrent commands on one file do not mix. What comes from a config
 * is not trusted to be printable: control characters never reach a terminal. */
#include "cli/log_file.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "oci/json_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning", [LOG_LEVEL_INFO] = "info", [LOG_LEVEL_DEBUG] = "debug"
};

/* RFC 3339, UTC, nanoseconds. */
static void now_text(char *out, size_t size)
{
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	size_t n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);

	snprintf(out + n, size - n, ".%09ldZ", now.tv_nsec);
}

static void add_json(struct strbuf *b, enum log_level level, const char *text)
{
	struct json_writer w;
	char now[40];

	now_text(now, sizeof(now));
	json_begin(&w, b, 0);
	json_open(&w, NULL, '{');
	json_str(&w, "level", level_names[level]);
	json_str(&w, "msg", text);
	json_str(&w, "time", now);
	json_close(&w, '}');
	strbuf_puts(b, "\n");
}

static void add_printable(struct strbuf *b, const char *text)
{
	for (const char *c = text; *c; c++)
		strbuf_add(b, (unsigned char)*c < ' ' || *c == 127 ? "?" : c, 1);
	strbuf_puts(b, "\n");
}

static void add_text(struct strbuf *b, enum log_level level, const char *text)
{
	char now[40];

	now_text(now, sizeof(now));
	strbuf_printf(b, "%s %s: ", now, level_names[level]);
	add_printable(b, text);
}

static void add_human(struct strbuf *b, enum log_level level, const char *text)
{
	strbuf_puts(b, "drupe: ");
	if (level != LOG_LEVEL_ERROR)
		strbuf_printf(b, "%s: ", level_names[level]);
	add_printable(b, text);
}

/* There is nobody to tell when this fails. */
static void emit(int fd, const struct strbuf *b)
{
	struct err ignored;

	if (fd_write_all(fd, b->text, b->len, &ignored) < 0)
		return;
}

static void put(void *ctx, enum log_level level, const char *text)
{
	const struct log_file *l = ctx;
	auto_arena struct arena a = { 0 };
	struct strbuf record = STRBUF(&a), human = STRBUF(&a);

	if (l->fd >= 0 || l->json) {
		if (l->json)
			add_json(&record, level, text);
		else
			add_text(&record, level, text);
		emit(l->fd >= 0 ? l->fd : STDERR_FILENO, &record);
		if (l->fd < 0 || level > LOG_LEVEL_WARNING)
			return;
	}
	add_human(&human, level, text);
	emit(STDERR_FILENO, &human);
}

struct log_sink log_file_sink(struct log_file *l, enum log_level max)
{
	return (struct log_sink){ .put = put, .ctx = l, .max = max };
}

static int open_file(const char *path, struct err *e)
{
	auto_fd int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);
	struct stat st;

	if (fd < 0 && errno == ENXIO)
		return err_set(e, EINVAL, "--log %s: not a regular file", path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "--log %s", path);
	if (!S_ISREG(st.st_mode) && !fd_is_null_device(fd))
		return err_set(e, EINVAL, "--log %s: not a regular file", path);
	return take_fd(&fd);
}

int log_file_open(const char *target, bool json, struct log_file *out, struct err *e)
{
	struct log_file l = { .fd = -1, .json = json };

	if (target && str_starts(target, "file:"))
		target += strlen("file:");
	if (target && (str_starts(target, "journald:") || str_starts(target, "syslog:")))
		return err_set(e, ENOTSUP, "--log %s: only files are supported by this build", target);
	if (target && *target && strcmp(target, "/dev/stderr") != 0) {
		l.fd = open_file(target, e);
		if (l.fd < 0)
			return l.fd;
	}
	*out = l;
	return 0;
}

void log_file_close(struct log_file *l)
{
	close_fd(&l->fd);
}
