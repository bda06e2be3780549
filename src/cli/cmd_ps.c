/* ps: the container's processes, as ps(1) shows them
 *
 * Everything behind the container belongs to ps(1), except that --format table and --format json are ours there as well.
 */
#include "base/cleanup.h"
#include "base/proc.h"
#include "base/retry.h"
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <unistd.h>

#define PS_OUTPUT_MAX (64u << 20) /* bytes */

extern char **environ;

static const char *const formats[] = { "table", "json", NULL };

struct ps_flags {
	const char *format;
};

OPT_TABLE(ps_table, struct ps_flags, OPT_CHOICE(struct ps_flags, format, "format", "f", "FMT", "table or json (table)", formats));

/* The n-th word of a line (from 0) of len bytes; NULL when there are fewer. */
static const char *word(const char *line, size_t len, size_t n, size_t *word_len)
{
	const char *p = line, *end = line + len;

	for (;; n--) {
		while (p < end && (*p == ' ' || *p == '\t'))
			p++;
		const char *start = p;

		while (p < end && *p != ' ' && *p != '\t')
			p++;
		if (p == start)
			return NULL;
		if (n == 0) {
			*word_len = (size_t)(p - start);
			return start;
		}
	}
}

static bool pid_column(const char *line, size_t len, size_t *column)
{
	size_t n;

	for (size_t i = 0;; i++) {
		const char *w = word(line, len, i, &n);

		if (!w)
			return false;
		if (n == 3 && !memcmp(w, "PID", 3)) {
			*column = i;
			return true;
		}
	}
}

/* Whether the line's PID, word number `column`, is one of pids. */
static bool is_listed(const char *line, size_t line_len, size_t column, const pid_t *pids, size_t n)
{
	size_t len;
	const char *w = word(line, line_len, column, &len);
	char digits[16];
	struct err ignored;
	uint32_t pid;

	if (!w || len >= sizeof(digits))
		return false;
	memcpy(digits, w, len);
	digits[len] = '\0';
	if (parse_u32(digits, &pid, &ignored) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((uint32_t)pids[i] == pid)
			return true;
	return false;
}

int ps_filter(const char *text, const pid_t *pids, size_t n, unsigned columns, struct strbuf *out, struct err *e)
{
	size_t column = 0, len;

	for (const char *line = text; *line; line += len + (line[len] == '\n')) {
		len = strcspn(line, "\n");
		if (line == text && !pid_column(line, len, &column))
			return err_set(e, EINVAL, "ps: the output has no column PID");
		if (line != text && !is_listed(line, len, column, pids, n))
			continue;
		size_t shown = columns && len > columns ? columns : len;

		while (shown < len && shown && (line[shown] & 0xC0) == 0x80) /* not within a character */
			shown--;
		strbuf_add(out, line, shown);
		strbuf_puts(out, "\n");
	}
	return 0;
}

/* ps(1) starts with the default actions for the signals that we ignore. */
static int spawn_ps(char **argv, int out_fd, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t defaults;

	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_adddup2(&files, out_fd, STDOUT_FILENO);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
	int r = posix_spawnp(pid, "ps", &files, &attr, argv, environ);

	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return -r;
}

static int read_all(int fd, struct strbuf *out, struct err *e)
{
	char buf[16384];

	for (;;) {
		ssize_t n = RETRY(read(fd, buf, sizeof(buf)));

		if (n < 0)
			return err_errno(e, "ps: read");
		if (n == 0)
			return 0;
		if (out->len + (size_t)n > PS_OUTPUT_MAX)
			return err_set(e, EFBIG, "ps: more than %u bytes of output", PS_OUTPUT_MAX);
		strbuf_add(out, buf, (size_t)n);
	}
}

static int capture_ps(char **argv, struct strbuf *out, struct err *e)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_errno(e, "pipe");
	auto_fd int in = ends[0], out_end = ends[1];
	int r = spawn_ps(argv, out_end, &pid);

	if (r < 0)
		return err_set(e, -r, "ps: %s", strerror(-r));
	close_fd(&out_end);
	r = read_all(in, out, e);
	close_fd(&in);
	if (r < 0)
		kill(pid, SIGKILL);
	struct err wait_error;
	int status = proc_wait(pid, r < 0 ? &wait_error : e);

	if (r < 0 || status < 0)
		return r < 0 ? r : status;
	return status ? err_set(e, EIO, "ps: exit status %d", status) : 0;
}

/* One argument with blanks in it is several: `ps CONTAINER "-o pid,comm"`. */
static void split_words(char *s, char **argv, size_t *n)
{
	char *rest = NULL;

	for (char *w = strtok_r(s, " \t", &rest); w; w = strtok_r(NULL, " \t", &rest))
		argv[(*n)++] = w;
}

/* argv for ps(1) from the operands behind the container. */
static char **ps_argv(struct arena *a, const struct opt_rest *rest, struct ps_flags *f)
{
	static char name[] = "ps", all[] = "-ef";
	size_t n = 0, room = 3;

	for (size_t i = 1; i < rest->n; i++)
		room += strlen(rest->args[i]);
	char **argv = arena_alloc(a, room * sizeof(*argv));

	argv[n++] = name;
	for (size_t i = 1; i < rest->n; i++) {
		const char *s = rest->args[i], *next = rest->args[i + 1];
		bool joined = str_starts(s, "--format=");
		const char *value = joined ? s + strlen("--format=") : str_eq(s, "--format") ? next : NULL;

		if (value && (str_eq(value, "json") || str_eq(value, "table"))) {
			f->format = value;
			i += !joined;
		} else {
			split_words(arena_strdup(a, s), argv, &n);
		}
	}
	if (n == 1)
		argv[n++] = all;
	return argv;
}

static void ps_json(const pid_t *pids, size_t n, struct strbuf *out)
{
	struct json_writer w;

	json_begin(&w, out, 0);
	json_open(&w, NULL, '[');
	for (size_t i = 0; i < n; i++)
		json_i64(&w, NULL, pids[i]);
	json_close(&w, ']');
	strbuf_puts(out, "\n");
}

static int run_ps(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e)
{
	struct strbuf text = STRBUF(c->arena), out = STRBUF(c->arena);
	struct ps_flags *f = opts;
	char **argv = ps_argv(c->arena, rest, f);
	pid_t *pids = NULL;
	size_t n = 0;
	const char *table = NULL;
	int r = container_ps(&c->rt, rest->args[0], c->arena, &pids, &n, &table, e);

	if (r < 0)
		return r;
	if (str_eq(f->format, "json")) {
		ps_json(pids, n, &out);
		return cli_print(c, &out, e);
	}
	if (table && !str_eq(argv[1], "-ef"))
		return err_set(e, ENOTSUP, "ps: arguments are for ps(1), which does not see the processes of a virtual machine");
	if (table) {
		strbuf_puts(&out, table);
		return cli_print(c, &out, e);
	}
	if ((r = capture_ps(argv, &text, e)) < 0 || (r = ps_filter(strbuf_str(&text), pids, n, cli_screen().columns, &out, e)) < 0)
		return r;
	return cli_print(c, &out, e);
}

const struct command cmd_ps = {
	.name = "ps",
	.operands = "CONTAINER [PS-ARGUMENT...]",
	.brief = "print its processes",
	.help = "Prints the processes of a container, as ps(1) shows them (ps -ef), or their\npids as JSON.",
	.example = "ps web -o pid,user,args -e",
	.opts = &ps_table,
	.min = 1,
	.max = OPERANDS_ANY,
	.in_order = true,
	.run = run_ps,
};
