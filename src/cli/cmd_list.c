/* list */
#include "cli/cli.h"

#include <string.h>

#define COLUMNS     6
#define STATUS      2
#define BUNDLE      3
#define WIDTH_MIN   12
#define WIDTH_SPACE 3 /* between columns */

static const char *const formats[] = { "table", "json", NULL };

struct list_flags {
	const char *format;
	bool quiet;
};

OPT_TABLE(list_table, struct list_flags,
	  OPT_CHOICE(struct list_flags, format, "format", "f", "FMT", "table or json (table)", formats),
	  OPT_BOOL(struct list_flags, quiet, "quiet", "q", "ids only"));

struct row {
	const char *cell[COLUMNS];
};

static struct row row_of(const struct container_info *i, struct arena *a)
{
	return (struct row){ { i->state->id, arena_printf(a, "%d", (int)i->pid), container_status_name(i->status), i->state->bundle,
			       i->state->created, i->owner } };
}

/* How a line begins on a terminal; it ends with RESET. */
static const char *color_of(const struct row *row, bool header)
{
	static const char *const colors[][2] = { { "running", "\033[32m" }, { "paused", "\033[33m" }, { "stopped", "\033[2m" } };

	if (header)
		return "\033[1m";
	for (size_t i = 0; i < sizeof(colors) / sizeof(colors[0]); i++)
		if (str_eq(row->cell[STATUS], colors[i][0]))
			return colors[i][1];
	return "";
}

static void measure(const struct row *rows, size_t n, size_t *widths)
{
	for (size_t k = 0; k < COLUMNS; k++) {
		widths[k] = k + 1 < COLUMNS ? WIDTH_MIN : 0;
		for (size_t j = 0; j < n; j++) {
			size_t len = strlen(rows[j].cell[k]) + (k + 1 < COLUMNS ? WIDTH_SPACE : 0);

			widths[k] = len > widths[k] ? len : widths[k];
		}
	}
}

/* The names of bundles are long, and their ends tell them apart: what is too much for the screen is taken from their beginnings. */
static void fit(struct row *rows, size_t n, size_t *widths, unsigned columns, struct arena *a)
{
	size_t total = 0;

	for (size_t k = 0; k < COLUMNS; k++)
		total += widths[k];
	if (!columns || total <= columns || widths[BUNDLE] <= WIDTH_MIN)
		return;
	size_t over = total - columns, room = widths[BUNDLE] - WIDTH_MIN > over ? widths[BUNDLE] - over : WIDTH_MIN;

	for (size_t i = 1; i < n; i++) {
		size_t len = strlen(rows[i].cell[BUNDLE]), most = room - WIDTH_SPACE;

		if (len > most)
			rows[i].cell[BUNDLE] = arena_printf(a, "...%s", rows[i].cell[BUNDLE] + len - (most - 3));
	}
	widths[BUNDLE] = room;
}

static void add_table(struct row *rows, size_t n, const struct cli_screen *screen, struct arena *a, struct strbuf *out)
{
	size_t widths[COLUMNS];

	measure(rows, n, widths);
	fit(rows, n, widths, screen->columns, a);
	for (size_t i = 0; i < n; i++) {
		strbuf_puts(out, screen->color ? color_of(&rows[i], i == 0) : "");
		for (size_t k = 0; k + 1 < COLUMNS; k++)
			strbuf_printf(out, "%-*s", (int)widths[k], rows[i].cell[k]);
		strbuf_printf(out, "%s%s\n", rows[i].cell[COLUMNS - 1], screen->color ? "\033[0m" : "");
	}
}

static void list_table_text(struct cli *c, const struct container_info *v, size_t n, struct strbuf *out)
{
	struct row *rows = arena_alloc(c->arena, (n + 1) * sizeof(*rows));
	const struct cli_screen screen = cli_screen();

	rows[0] = (struct row){ { "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER" } };
	for (size_t i = 0; i < n; i++)
		rows[i + 1] = row_of(&v[i], c->arena);
	add_table(rows, n + 1, &screen, c->arena, out);
}

static void list_json(const struct container_info *v, size_t n, struct strbuf *out)
{
	struct json_writer w;

	json_begin(&w, out, 0);
	json_open(&w, NULL, '[');
	for (size_t i = 0; i < n; i++)
		container_json(&w, &v[i]);
	json_close(&w, ']');
	strbuf_puts(out, "\n");
}

static int run_list(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e)
{
	const struct list_flags *f = opts;
	struct strbuf out = STRBUF(c->arena);
	struct container_info *v = NULL;
	size_t n = 0;
	int r = container_list(&c->rt, c->arena, &v, &n, e);

	(void)rest;
	if (r < 0)
		return r;
	if (f->quiet)
		for (size_t i = 0; i < n; i++)
			strbuf_printf(&out, "%s\n", v[i].state->id);
	else if (str_eq(f->format, "json"))
		list_json(v, n, &out);
	else
		list_table_text(c, v, n, &out);
	return cli_print(c, &out, e);
}

const struct command cmd_list = {
	.name = "list",
	.operands = "",
	.brief = "print all containers",
	.help = "Prints the containers of the state directory.",
	.example = "list --format json",
	.opts = &list_table,
	.run = run_list,
};
