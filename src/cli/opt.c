/* Parses a command line against a table.
 *
 * An argument that begins with a dash is looked up in this order: `--` and `-`; the name up to `=` as a long name, with one dash
 * or two; a bundle of letters. A flag takes the next argument as its value whatever that looks like (`--memory -1`), as Go does.
 */
#include "cli/opt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct parser {
	const struct opt_table *table;
	struct arena *arena;
	char *into; /* the options struct */
	char **next, **end;
	struct err *e;
};

static bool takes_value(const struct opt *o)
{
	return o->kind != OPT_KIND_BOOL && o->kind != OPT_KIND_FLAG;
}

static const struct opt *by_name(const struct opt_table *t, const char *name, size_t len)
{
	for (size_t i = 0; i < t->n; i++)
		if (strlen(t->v[i].name) == len && !memcmp(t->v[i].name, name, len))
			return &t->v[i];
	return NULL;
}

static const struct opt *by_letter(const struct opt_table *t, char c)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].letters && c && strchr(t->v[i].letters, c))
			return &t->v[i];
	return NULL;
}

/* The words of Go's strconv.ParseBool(). */
static int parse_bool(const char *s, bool *out, struct err *e)
{
	static const char *const yes[] = { "true", "1", "t", "T", "TRUE", "True" };
	static const char *const no[] = { "false", "0", "f", "F", "FALSE", "False" };

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (!strcmp(s, yes[i]) || !strcmp(s, no[i])) {
			*out = !strcmp(s, yes[i]);
			return 0;
		}
	}
	return err_set(e, EINVAL, "expected true or false, got \"%.60s\"", s);
}

static int check_choice(const struct opt *o, const char *value, struct err *e)
{
	char known[128] = "";
	size_t len = 0;

	for (size_t i = 0; o->choices[i]; i++) {
		if (!strcmp(o->choices[i], value))
			return 0;
		len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", i ? ", " : "", o->choices[i]);
		if (len >= sizeof(known))
			break;
	}
	return err_set(e, EINVAL, "expected one of %s, got \"%.60s\"", known, value);
}

/* The room is the power of two above n, so that there is always a NULL behind the last. */
static void append(struct parser *p, struct opt_list *l, char *value)
{
	if ((l->n & (l->n + 1)) == 0) {
		char **v = arena_alloc(p->arena, 2 * (l->n + 1) * sizeof(*v));

		if (l->n)
			memcpy(v, l->v, l->n * sizeof(*v));
		l->v = v;
	}
	l->v[l->n++] = value;
}

/* Stores one value; NULL: a boolean without one. */
static int store(struct parser *p, const struct opt *o, char *value)
{
	char *at = p->into + o->offset;
	bool on = true;
	int r = 0;

	switch ((enum opt_kind)o->kind) {
	case OPT_KIND_BOOL:
	case OPT_KIND_FLAG:
		r = value ? parse_bool(value, &on, p->e) : 0;
		if (r == 0 && o->kind == OPT_KIND_BOOL)
			*(bool *)at = on;
		else if (r == 0)
			*(struct opt_flag *)at = (struct opt_flag){ .value = on, .set = true };
		break;
	case OPT_KIND_CHOICE:
		r = check_choice(o, value, p->e);
		if (r < 0)
			break;
		*(const char **)at = value;
		break;
	case OPT_KIND_STR:
		*(const char **)at = value;
		break;
	case OPT_KIND_U32:
		r = parse_u32(value, (uint32_t *)at, p->e);
		break;
	case OPT_KIND_LIST:
		append(p, (struct opt_list *)at, value);
		break;
	case OPT_KIND_DURATION:
		r = opt_duration(value, (int64_t *)at, p->e);
		break;
	}
	return r < 0 ? err_in(p->e, "--%s", o->name) : 0;
}

/* Stores the value behind '=', or the next argument. */
static int take(struct parser *p, const struct opt *o, char *value)
{
	if (value || !takes_value(o))
		return store(p, o, value);
	if (p->next == p->end)
		return err_set(p->e, EINVAL, "flag needs an argument: --%s", o->name);
	return store(p, o, *p->next++);
}

/* -dt, -u1000: every letter must be a flag; the first that takes a value takes the rest. */
static int parse_bundle(struct parser *p, char *arg)
{
	for (char *c = arg + 1; *c; c++) {
		const struct opt *o = by_letter(p->table, *c);

		if (!o)
			return err_set(p->e, EINVAL, "unknown flag: %.100s", arg);
		if (takes_value(o))
			return take(p, o, c[1] ? c + 1 : NULL);
		int r = take(p, o, NULL);

		if (r < 0)
			return r;
	}
	return 0;
}

static int parse_flag(struct parser *p, char *arg)
{
	char *name = arg + (arg[1] == '-' ? 2 : 1);
	char *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct opt *o = by_name(p->table, name, len);

	if (!o && len == 1)
		o = by_letter(p->table, *name);
	if (o)
		return take(p, o, equals ? equals + 1 : NULL);
	if (arg[1] == '-')
		return err_set(p->e, EINVAL, "unknown flag: %.100s", arg);
	return parse_bundle(p, arg);
}

static bool is_help(const char *arg)
{
	return !strcmp(arg, "--help") || !strcmp(arg, "-help") || !strcmp(arg, "-h") || !strcmp(arg, "--h");
}

int opt_parse(const struct opt_table *t, int argc, char **argv, bool in_order, struct arena *a, void *into, struct opt_rest *rest,
	      struct err *e)
{
	struct parser p = { .table = t, .arena = a, .into = into, .next = argv, .end = argv + argc, .e = e };
	struct opt_rest found = { .args = arena_alloc(a, ((size_t)argc + 1) * sizeof(char *)) };
	bool flags = true;

	while (p.next < p.end && !found.help) {
		char *arg = *p.next++;

		if (!flags || arg[0] != '-' || !arg[1]) {
			found.args[found.n++] = arg;
			flags = flags && !in_order;
		} else if (!strcmp(arg, "--")) {
			flags = false;
		} else if (is_help(arg)) {
			found.help = true;
		} else {
			int r = parse_flag(&p, arg);

			if (r < 0)
				return r;
		}
	}
	*rest = found;
	return 0;
}

/* The width of "--name ARG". */
static size_t shown_width(const struct opt *o)
{
	return 2 + strlen(o->name) + (o->arg ? 1 + strlen(o->arg) : 0);
}

void opt_help(const struct opt_table *t, struct strbuf *out)
{
	size_t width = 0;

	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].help && shown_width(&t->v[i]) > width)
			width = shown_width(&t->v[i]);
	for (size_t i = 0; i < t->n; i++) {
		const struct opt *o = &t->v[i];

		if (!o->help)
			continue;
		strbuf_printf(out, "  %c%c%c --%s%s%s", o->letters ? '-' : ' ', o->letters ? o->letters[0] : ' ',
			      o->letters ? ',' : ' ', o->name, o->arg ? " " : "", o->arg ? o->arg : "");
		strbuf_printf(out, "%*s%s\n", (int)(width - shown_width(o) + 2), "", o->help);
	}
}

/* Milliseconds of the unit that s begins with, its length in *len; 0: none. */
static int64_t unit_ms(const char *s, size_t *len)
{
	static const struct {
		const char *name;
		int64_t ms;
	} units[] = { { "ms", 1 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 } };

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (str_starts(s, units[i].name)) {
			*len = strlen(units[i].name);
			return units[i].ms;
		}
	return 0;
}

int opt_duration(const char *s, int64_t *ms, struct err *e)
{
	const char *at = s;
	int64_t sum = 0;

	if (!strcmp(s, "0")) {
		*ms = 0;
		return 0;
	}
	do {
		size_t digits = strspn(at, "0123456789"), len = 0;
		int64_t unit = digits ? unit_ms(at + digits, &len) : 0, part = 0;

		if (!unit)
			return err_set(e, EINVAL, "\"%.60s\" is not a duration like 5s or 1m30s", s);
		for (size_t i = 0; i < digits; i++)
			if (__builtin_mul_overflow(part, 10, &part) || __builtin_add_overflow(part, at[i] - '0', &part))
				return err_set(e, ERANGE, "duration \"%.60s\" is too long", s);
		if (__builtin_mul_overflow(part, unit, &part) || __builtin_add_overflow(sum, part, &sum))
			return err_set(e, ERANGE, "duration \"%.60s\" is too long", s);
		at += digits + len;
	} while (*at);
	*ms = sum;
	return 0;
}
