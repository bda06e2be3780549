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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define JOURNAL_SOCKET  "/run/systemd/journal/socket"
#define SYSLOG_SOCKET   "/dev/log"
#define FACILITY_DAEMON (3 << 3)

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning", [LOG_LEVEL_INFO] = "info", [LOG_LEVEL_DEBUG] = "debug"
};

static void add_json(struct strbuf *b, enum log_level level, const char *text)
{
	struct json_writer w;
	char now[TIME_TEXT_SIZE];

	text_time(now, NULL);
	json_begin(&w, b, 0);
	json_open(&w, NULL, '{');
	json_str(&w, "level", level_names[level]);
	json_str(&w, "msg", text);
	json_str(&w, "time", now);
	json_close(&w, '}');
	strbuf_puts(b, "\n");
}

static void add_visible(struct strbuf *b, const char *text)
{
	for (const char *c = text; *c; c++)
		strbuf_add(b, (unsigned char)*c < ' ' || *c == 127 ? "?" : c, 1);
}

static void add_printable(struct strbuf *b, const char *text)
{
	add_visible(b, text);
	strbuf_puts(b, "\n");
}

static void add_text(struct strbuf *b, enum log_level level, const char *text)
{
	char now[TIME_TEXT_SIZE];

	text_time(now, NULL);
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

/* As syslog(3) numbers them. */
static int severity(enum log_level level)
{
	static const int numbers[] = {
		[LOG_LEVEL_ERROR] = 3, [LOG_LEVEL_WARNING] = 4, [LOG_LEVEL_INFO] = 6, [LOG_LEVEL_DEBUG] = 7
	};

	return numbers[level];
}

/* Fields, one a line (systemd's Native Journal Protocol): no control character comes through to end one. */
static void add_fields(struct strbuf *b, const struct log_file *l, enum log_level level, const char *text)
{
	strbuf_printf(b, "PRIORITY=%d\nSYSLOG_IDENTIFIER=drupe\nSYSLOG_PID=%d\n", severity(level), (int)getpid());
	strbuf_puts(b, "ID=");
	add_printable(b, l->name);
	strbuf_puts(b, "MESSAGE=");
	add_printable(b, text);
}

/* RFC 3164, without time and host, which the daemon adds. */
static void add_syslog(struct strbuf *b, const struct log_file *l, enum log_level level, const char *text)
{
	strbuf_printf(b, "<%d>drupe[%d]: ", FACILITY_DAEMON | severity(level), (int)getpid());
	add_visible(b, l->name);
	strbuf_puts(b, *l->name ? ": " : "");
	add_visible(b, text); /* one record a datagram: no newline */
}

/* A daemon that is stuck must not stop us. */
static void send_record(int fd, const struct strbuf *b)
{
	(void)send(fd, b->text, b->len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void put_log(const struct log_file *l, enum log_level level, const char *text, struct strbuf *record)
{
	if (l->fd >= 0 && l->kind != LOG_KIND_FILE) {
		(l->kind == LOG_KIND_JOURNAL ? add_fields : add_syslog)(record, l, level, text);
		send_record(l->fd, record);
		return;
	}
	(l->json ? add_json : add_text)(record, level, text);
	emit(l->fd >= 0 ? l->fd : STDERR_FILENO, record);
}

static void put(void *ctx, enum log_level level, const char *text)
{
	const struct log_file *l = ctx;
	auto_arena struct arena a = { 0 };
	struct strbuf record = STRBUF(&a), human = STRBUF(&a);

	if (l->fd >= 0 || l->json) {
		put_log(l, level, text, &record);
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
	auto_fd int fd =
		openat(AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);
	struct stat st;

	if (fd < 0 && errno == ENXIO)
		return err_set(e, EINVAL, "--log %s: not a regular file", path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "--log %s", path);
	if (!S_ISREG(st.st_mode) && !fd_is_null_device(fd))
		return err_set(e, EINVAL, "--log %s: not a regular file", path);
	return take_fd(&fd);
}

static int connect_daemon(const char *target, const char *path, struct err *e)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	auto_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_errno(e, "--log %s: %s", target, path);
	return take_fd(&fd);
}

static int open_target(const char *target, struct log_file *l, struct err *e)
{
	if (str_starts(target, "journald:")) {
		l->kind = LOG_KIND_JOURNAL;
		l->name = target + strlen("journald:");
		return connect_daemon(target, JOURNAL_SOCKET, e);
	}
	if (str_starts(target, "syslog:")) {
		l->kind = LOG_KIND_SYSLOG;
		l->name = target + strlen("syslog:");
		return connect_daemon(target, SYSLOG_SOCKET, e);
	}
	return open_file(str_starts(target, "file:") ? target + strlen("file:") : target, e);
}

int log_file_open(const char *target, bool json, struct log_file *out, struct err *e)
{
	struct log_file l = { .fd = -1, .json = json };

	if (target && *target && strcmp(target, "/dev/stderr") != 0 && strcmp(target, "file:/dev/stderr") != 0 &&
	    strcmp(target, "file:") != 0) {
		l.fd = open_target(target, &l, e);
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
