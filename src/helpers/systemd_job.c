/* Reading a job from text. Strict: whoever wrote it is part of the same build, so what is not understood is a mistake. */
#include "helpers/systemd_job.h"
#include "base/str.h"

#include <errno.h>
#include <string.h>

/* Older versions refuse the whole unit for a property they do not know. The limit itself is written to its file by drupe. */
static const struct {
	const char *name;
	unsigned since;
} versions[] = {
	{ "CPUQuotaPeriodUSec", 242 }, { "AllowedCPUs", 244 }, { "AllowedMemoryNodes", 244 },
	{ "MemoryZSwapMax", 253 },     { "OOMPolicy", 253 }, /* of a scope */
};

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* In place. */
static int unescape(char *word, struct err *e)
{
	char *to = word;

	for (const char *c = word; *c; c++) {
		if (*c != '\\') {
			*to++ = *c;
			continue;
		}
		if (c[1] == 'e') {
			c++;
			continue;
		}
		int high = c[1] == 'x' ? hex_digit(c[2]) : -1, low = high < 0 ? -1 : hex_digit(c[3]);

		if (low < 0 || high + low == 0)
			return err_set(e, EINVAL, "job: unknown escape in \"%.60s\"", c);
		*to++ = (char)(16 * high + low);
		c += 3;
	}
	*to = '\0';
	return 0;
}

static char *cut_word(char **rest)
{
	char *word = *rest, *blank = strchr(word, ' ');

	*rest = blank ? blank + 1 : word + strlen(word);
	if (blank)
		*blank = '\0';
	return word;
}

static unsigned known_since(const struct job_property *p)
{
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		if (str_eq(p->name, versions[i].name))
			return versions[i].since;
	/* "idle" */
	return str_eq(p->name, "CPUWeight") && p->n == 1 && str_eq(p->words[0], "0") ? 252 : 0;
}

static int parse_property(char *text, struct arena *a, struct job *out, struct err *e)
{
	struct job_property *p = &out->properties[out->n++];
	char *rest = text;
	size_t room = 1;

	for (const char *c = text; *c; c++)
		room += *c == ' ';
	p->name = cut_word(&rest);
	p->type = cut_word(&rest);
	if (!*p->name || !*p->type)
		return err_set(e, EINVAL, "job: a property needs a name and a type");
	p->words = arena_alloc(a, room * sizeof(*p->words));
	while (*rest) {
		char *word = cut_word(&rest);

		if (!*word)
			return err_set(e, EINVAL, "job: property %s: two blanks in a row", p->name);
		if (unescape(word, e) < 0)
			return -e->code;
		p->words[p->n++] = word;
	}
	p->since = known_since(p);
	return 0;
}

static int parse_verb(const char *word, const char *unit, struct job *out, struct err *e)
{
	static const char *const verbs[] = { "start", "stop", "set", "attach" };

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (!str_eq(word, verbs[i]))
			continue;
		out->verb = (enum job_verb)i;
		out->unit = unit;
		return *unit ? 0 : err_set(e, EINVAL, "job: %s: no unit", word);
	}
	return err_set(e, EINVAL, "job: \"%.40s\" is nothing that can be done", word);
}

static int parse_line(char *line, struct arena *a, struct job *out, struct err *e)
{
	char *rest = line, *word = cut_word(&rest);

	if (!out->unit)
		return parse_verb(word, rest, out, e);
	if (str_eq(word, "property"))
		return parse_property(rest, a, out, e);
	if (str_eq(word, "pid"))
		return parse_u32(rest, &out->pid, e) < 0 ? err_in(e, "job: pid") : 0;
	if (str_eq(word, "invocation")) {
		out->invocation = rest;
		return strlen(rest) == 32 && strspn(rest, "0123456789abcdef") == 32
			       ? 0
			       : err_set(e, EINVAL, "job: invocation: \"%.40s\" is none", rest);
	}
	if (str_eq(word, "expect") || str_eq(word, "below")) {
		*(*word == 'e' ? &out->expect : &out->below) = rest;
		return unescape(rest, e);
	}
	if (!str_eq(word, "manager") || (!str_eq(rest, "user") && !str_eq(rest, "system")))
		return err_set(e, EINVAL, "job: unknown line \"%.60s\"", word);
	out->user = str_eq(rest, "user");
	return 0;
}

int job_parse(char *text, struct arena *a, struct job *out, struct err *e)
{
	size_t lines = 1;

	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	*out = (struct job){ .properties = arena_alloc(a, lines * sizeof(*out->properties)) };
	while (*text) {
		char *end = strchr(text, '\n');

		if (!end)
			return err_set(e, EINVAL, "job: the last line has no end");
		*end = '\0';
		if (parse_line(text, a, out, e) < 0)
			return -e->code;
		text = end + 1;
	}
	if (!out->unit)
		return err_set(e, EINVAL, "job: is empty");
	if (out->verb == JOB_ATTACH && !out->pid)
		return err_set(e, EINVAL, "job: attach: no pid");
	return 0;
}
