/* list */
#include "cli/cli.h"

#include <string.h>

#define COLUMNS     6
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

static void add_table(const struct row *rows, size_t n, struct strbuf *out)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k + 1 < COLUMNS; k++) {
			size_t width = WIDTH_MIN;

			for (size_t j = 0; j < n; j++)
				if (strlen(rows[j].cell[k]) + WIDTH_SPACE > width)
					width = strlen(rows[j].cell[k]) + WIDTH_SPACE;
			strbuf_printf(out, "%-*s", (int)width, rows[i].cell[k]);
		}
		strbuf_printf(out, "%s\n", rows[i].cell[COLUMNS - 1]);
	}
}

static void list_table_text(struct cli *c, const struct container_info *v, size_t n, struct strbuf *out)
{
	struct row *rows = arena_alloc(c->arena, (n + 1) * sizeof(*rows));

	rows[0] = (struct row){ { "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER" } };
	for (size_t i = 0; i < n; i++)
		rows[i + 1] = row_of(&v[i], c->arena);
	add_table(rows, n + 1, out);
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
