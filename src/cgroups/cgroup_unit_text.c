/* Properties of a systemd unit from annotations: "org.systemd.property.NAME": TEXT.
 *
 * TEXT is in the format of GVariant, as with other runtimes: true, 5 (an int32, as there), uint64 5, 1.5, 'text', ['a', 'b'],
 * @as []. Only the types that the properties of a scope have are read; any other is refused, not guessed at.
 */
#include "base/str.h"
#include "cgroups/cgroup_systemd.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct scan {
	const char *p;    /* what is to be read */
	const char *type; /* asked for by a keyword or "@", NULL: by the value */
	struct strbuf words;
	double number; /* of a numeric value, for XxxSec */
	bool is_number;
};

/* Numbers of D-Bus: type, keyword, range. */
static const struct {
	const char *type, *keyword;
	int64_t min;
	uint64_t max;
} numbers[] = {
	{ "y", "byte", 0, UINT8_MAX },          { "n", "int16", INT16_MIN, INT16_MAX }, { "q", "uint16", 0, UINT16_MAX },
	{ "i", "int32", INT32_MIN, INT32_MAX }, { "u", "uint32", 0, UINT32_MAX },       { "x", "int64", INT64_MIN, INT64_MAX },
	{ "t", "uint64", 0, UINT64_MAX },
};
#define N_NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

static const struct {
	const char *keyword, *type;
} others[] = { { "boolean", "b" }, { "double", "d" }, { "string", "s" } };

static void skip_blanks(struct scan *s)
{
	s->p += strspn(s->p, " \t\r\n");
}

static bool take_word(struct scan *s, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(s->p, word, len) != 0 || (s->p[len] && strchr("_abcdefghijklmnopqrstuvwxyz0123456789", s->p[len])))
		return false;
	s->p += len;
	return true;
}

static bool is_type(const char *t)
{
	for (size_t i = 0; i < N_NUMBERS; i++)
		if (str_eq(t, numbers[i].type))
			return true;
	return str_eq(t, "b") || str_eq(t, "d") || str_eq(t, "s") || str_eq(t, "as");
}

/* "uint64 ...", "@t ...", or nothing. */
static int take_type(struct scan *s, struct arena *a, struct err *e)
{
	skip_blanks(s);
	if (*s->p == '@') {
		size_t len = strcspn(s->p + 1, " \t");

		s->type = arena_strndup(a, s->p + 1, len);
		s->p += 1 + len;
		return is_type(s->type) ? 0 : err_set(e, ENOTSUP, "values of type \"%.20s\" are not supported", s->type);
	}
	for (size_t i = 0; i < N_NUMBERS && !s->type; i++)
		if (take_word(s, numbers[i].keyword))
			s->type = numbers[i].type;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]) && !s->type; i++)
		if (take_word(s, others[i].keyword))
			s->type = others[i].type;
	return 0;
}

static bool is_wanted(struct scan *s, const char *type)
{
	if (!s->type)
		s->type = type;
	return str_eq(s->type, type);
}

static int take_bool(struct scan *s, bool value, struct err *e)
{
	if (!is_wanted(s, "b"))
		return err_set(e, EINVAL, "a boolean is not a value of type \"%s\"", s->type);
	cg_add_word(&s->words, value ? "true" : "false");
	return 0;
}

/* ---- strings ---- */

static int take_escape(struct scan *s, struct strbuf *out, struct err *e)
{
	static const char from[] = "'\"\\abfnrtv", to[] = "'\"\\\a\b\f\n\r\t\v";
	const char *known = *s->p ? strchr(from, *s->p) : NULL;

	if (!known)
		return err_set(e, EINVAL, "unknown escape \"\\%.1s\" in a string", s->p);
	strbuf_add(out, &to[known - from], 1);
	s->p++;
	return 0;
}

static int take_string(struct scan *s, struct strbuf *words, struct err *e)
{
	struct strbuf out = STRBUF(words->arena);
	char quote = *s->p;

	if (quote != '\'' && quote != '"')
		return err_set(e, EINVAL, "a string in quotes is expected at \"%.40s\"", s->p);
	s->p++;
	while (*s->p && *s->p != quote) {
		if (*s->p != '\\') {
			strbuf_add(&out, s->p++, 1);
			continue;
		}
		s->p++;
		if (take_escape(s, &out, e) < 0)
			return -e->code;
	}
	if (!*s->p)
		return err_set(e, EINVAL, "a string has no end");
	s->p++;
	cg_add_word(words, strbuf_str(&out));
	return 0;
}

static int take_array(struct scan *s, struct err *e)
{
	bool first = true;

	if (s->type && !str_eq(s->type, "as"))
		return err_set(e, EINVAL, "an array is not a value of type \"%s\"", s->type);
	for (s->p++; skip_blanks(s), *s->p != ']'; first = false) {
		if (!first && *s->p != ',')
			return err_set(e, EINVAL, "a comma is expected between strings of an array");
		s->p += !first;
		skip_blanks(s);
		if (take_string(s, &s->words, e) < 0)
			return -e->code;
	}
	s->p++;
	if (first && !s->type)
		return err_set(e, EINVAL, "an empty array needs its type: @as []");
	s->type = "as";
	return 0;
}

/* ---- numbers ---- */

static int put_integer(struct scan *s, bool minus, uint64_t value, struct err *e)
{
	for (size_t i = 0; i < N_NUMBERS; i++) {
		if (!str_eq(numbers[i].type, s->type))
			continue;
		uint64_t least = numbers[i].min < 0 ? (uint64_t) - (numbers[i].min + 1) + 1 : 0;

		if (minus ? value > least : value > numbers[i].max)
			return err_set(e, ERANGE, "%s%" PRIu64 " is out of range for a value of type %s", minus ? "-" : "", value,
				       numbers[i].keyword);
		strbuf_printf(&s->words, "%s%s%" PRIu64, s->words.len ? " " : "", minus && value ? "-" : "", value);
		return 0;
	}
	return err_set(e, EINVAL, "a number is not a value of type \"%s\"", s->type);
}

static int take_double(struct scan *s, const char *text, struct err *e)
{
	char *end;
	double d = strtod(text, &end);

	if (*end || !isfinite(d) || (!str_eq(s->type, "d") && !strpbrk(text, ".eE")))
		return err_set(e, EINVAL, "\"%.40s\" is not a number", text);
	if (!is_wanted(s, "d"))
		return err_set(e, EINVAL, "%s is not a value of type \"%s\"", text, s->type);
	s->number = d;
	strbuf_printf(&s->words, "%.17g", d);
	return 0;
}

static int take_number(struct scan *s, struct err *e)
{
	size_t len = strcspn(s->p, " \t\r\n,]");
	const char *text = arena_strndup(s->words.arena, s->p, len);
	const char *digits = text + (*text == '-' || *text == '+');
	char *end;

	if (*digits < '0' || *digits > '9')
		return err_set(e, EINVAL, "\"%.40s\" is neither boolean, number, string in quotes nor array", text);
	s->p += len;
	s->is_number = true;
	errno = 0;
	uint64_t value = strtoull(digits, &end, 0);

	if (*end || str_eq(s->type, "d"))
		return take_double(s, text, e);
	if (errno)
		return err_set(e, ERANGE, "%s is too large", text);
	if (!s->type)
		s->type = "i";
	s->number = *text == '-' ? -(double)value : (double)value;
	return put_integer(s, *text == '-', value, e);
}

static int take_value(struct scan *s, struct err *e)
{
	int r;

	skip_blanks(s);
	if (take_word(s, "true"))
		r = take_bool(s, true, e);
	else if (take_word(s, "false"))
		r = take_bool(s, false, e);
	else if (*s->p == '[')
		r = take_array(s, e);
	else if (*s->p == '\'' || *s->p == '"')
		r = is_wanted(s, "s") ? take_string(s, &s->words, e)
				      : err_set(e, EINVAL, "a string is not a value of type \"%s\"", s->type);
	else
		r = take_number(s, e);
	skip_blanks(s);
	if (r == 0 && *s->p)
		return err_set(e, EINVAL, "\"%.40s\" follows the value", s->p);
	return r;
}

/* ---- the property ---- */

static bool is_property_name(const char *name)
{
	size_t n = 0;

	for (; (name[n] >= 'a' && name[n] <= 'z') || (name[n] >= 'A' && name[n] <= 'Z'); n++)
		;
	return n >= 3 && !name[n];
}

/* Times of unit files are in seconds, those of the bus in microseconds. */
static bool in_seconds(const char *name)
{
	size_t len = strlen(name);

	return len > 3 && str_ends(name, "Sec") && name[len - 4] >= 'a' && name[len - 4] <= 'z';
}

static int put_seconds(struct cg_props *p, const char *name, const struct scan *s, struct err *e)
{
	double usec = s->number * 1e6;

	if (!s->is_number || usec < 0 || usec >= 18446744073709551615.0)
		return err_set(e, EINVAL, "is not a number of seconds");
	cg_prop_set(p, true, arena_printf(p->arena, "%.*sUSec", (int)strlen(name) - 3, name), "t",
		    arena_printf(p->arena, "%" PRIu64, (uint64_t)(usec + 0.5)));
	return 0;
}

int cg_prop_parse(struct cg_props *p, const char *name, const char *text, struct err *e)
{
	struct scan s = { .p = text, .words = STRBUF(p->arena) };

	if (!is_property_name(name))
		return err_set(e, EINVAL, "is not the name of a systemd property: three letters or more, and nothing else");
	if (take_type(&s, p->arena, e) < 0 || take_value(&s, e) < 0)
		return -e->code;
	if (in_seconds(name))
		return put_seconds(p, name, &s, e);
	cg_prop_set(p, true, name, s.type, strbuf_str(&s.words));
	return 0;
}
