/* The expression is read and matched at the same time: each part of it takes the set of the places in the text where a match may
 * have got to, and leaves the set of those where it may be afterwards. So nothing is compiled or tried one after the other, and
 * however the expression is, a repetition comes to its end after as many rounds as the text has places: then the set is empty, or
 * stays as it is. Repetitions of repetitions multiply, so there is a limit to all of it. */
#include "cli/ere.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#define DEPTH_MAX 32     /* of parentheses */
#define TIMES_MAX 255    /* in {} */
#define WORK_MAX  300000 /* atoms that are matched, each with all places */

struct places {
	bool at[ERE_TEXT_MAX + 1];
};

struct matcher {
	const char *p; /* what of the expression comes next */
	const char *text;
	size_t len;
	unsigned depth;
	const char *wrong; /* with the expression */
	unsigned *work;
};

struct set {
	bool has[UCHAR_MAX + 1];
};

static const struct class
{
	const char *name;
	int (*has)(int c);
} classes[] = {
	{ "alnum", isalnum }, { "alpha", isalpha }, { "blank", isblank }, { "cntrl", iscntrl },
	{ "digit", isdigit }, { "graph", isgraph }, { "lower", islower }, { "print", isprint },
	{ "punct", ispunct }, { "space", isspace }, { "upper", isupper }, { "xdigit", isxdigit },
};

static void refuse(struct matcher *m, const char *why)
{
	if (!m->wrong)
		m->wrong = why;
}

static void step(const struct matcher *m, const struct set *set, struct places *s)
{
	for (size_t i = m->len; i > 0; i--)
		s->at[i] = s->at[i - 1] && set->has[(unsigned char)m->text[i - 1]];
	s->at[0] = false;
}

static void keep_at(const struct matcher *m, size_t place, struct places *s)
{
	for (size_t i = 0; i <= m->len; i++)
		s->at[i] &= i == place;
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* kind: of \b, \B, \< and \> */
static void keep_words(const struct matcher *m, char kind, struct places *s)
{
	for (size_t i = 0; i <= m->len; i++) {
		bool before = i > 0 && is_word(m->text[i - 1]), after = is_word(m->text[i]);

		s->at[i] &= kind == '<' ? !before && after : kind == '>' ? before && !after : (before != after) == (kind == 'b');
	}
}

static bool add_class(struct set *set, const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (strlen(classes[i].name) != len || memcmp(classes[i].name, name, len) != 0)
			continue;
		for (int c = 0; c <= CHAR_MAX; c++)
			set->has[c] |= classes[i].has(c) != 0;
		return true;
	}
	return false;
}

static void invert(struct set *set)
{
	for (size_t c = 0; c <= UCHAR_MAX; c++)
		set->has[c] = !set->has[c];
}

/* m->p is at a "[" inside brackets. */
static void bracket_class(struct matcher *m, struct set *set)
{
	const char *name = m->p + 2, *end = strstr(name, ":]");

	if (m->p[1] != ':') {
		refuse(m, "Unknown collating element");
		return;
	}
	if (!end || !add_class(set, name, (size_t)(end - name))) {
		refuse(m, "Unknown character class name");
		return;
	}
	m->p = end + 2;
}

/* A character, or a range of them. */
static void bracket_range(struct matcher *m, bool first, struct set *set)
{
	unsigned char from = (unsigned char)*m->p++, to = from;

	/* "[a-z-9]" is nothing, "[a-z--9]" two ranges. */
	if (from == '-' && !first && *m->p != ']' && (*m->p != '-' || m->p[1] == ']'))
		refuse(m, "Invalid character range");
	if (m->p[0] == '-' && m->p[1] && m->p[1] != ']') {
		to = (unsigned char)m->p[1];
		m->p += 2;
		if (to == '[' && (*m->p == '.' || *m->p == '=' || *m->p == ':'))
			refuse(m, "Unknown collating element");
	}
	if (to < from)
		refuse(m, "Invalid character range");
	for (unsigned c = from; c <= to; c++)
		set->has[c] = true;
}

static void bracket(struct matcher *m, struct places *s)
{
	struct set set = { 0 };
	bool inverse = *m->p == '^';
	const char *first = m->p += inverse;

	while (!m->wrong && (*m->p != ']' || m->p == first)) {
		if (!*m->p)
			refuse(m, "Missing ']'");
		else if (*m->p == '[' && m->p[1] && strchr(":.=", m->p[1]))
			bracket_class(m, &set);
		else
			bracket_range(m, m->p == first, &set);
	}
	if (m->wrong)
		return;
	m->p++;
	if (inverse)
		invert(&set);
	step(m, &set, s);
}

static void one_char(const struct matcher *m, char c, struct places *s)
{
	struct set set = { 0 };

	set.has[(unsigned char)c] = true;
	step(m, &set, s);
}

static void class_escape(const struct matcher *m, char c, struct places *s)
{
	static const char *const names[] = { ['w'] = "alnum", ['s'] = "space", ['d'] = "digit" };
	const char *name = names[tolower((unsigned char)c)];
	struct set set = { 0 };

	add_class(&set, name, strlen(name));
	set.has['_'] = c == 'w' || c == 'W';
	if (isupper((unsigned char)c))
		invert(&set);
	step(m, &set, s);
}

static void escape(struct matcher *m, struct places *s)
{
	char c = *m->p;

	m->p += c != '\0';
	if (!c)
		refuse(m, "Trailing backslash");
	else if (strchr("wWsSdD", c))
		class_escape(m, c, s);
	else if (strchr("bB<>", c))
		keep_words(m, c, s);
	else if (isalnum((unsigned char)c))
		refuse(m, isdigit((unsigned char)c) ? "Invalid back reference" : "Invalid regexp");
	else
		one_char(m, c, s);
}

static void branches(struct matcher *m, struct places *s);

static void group(struct matcher *m, struct places *s)
{
	if (m->depth == DEPTH_MAX) {
		refuse(m, "Too many parentheses in each other");
		return;
	}
	m->depth++;
	branches(m, s);
	m->depth--;
	if (*m->p != ')')
		refuse(m, "Missing ')'");
	else
		m->p++;
}

static void atom(struct matcher *m, struct places *s)
{
	char c = *m->p++;
	struct set none = { 0 };

	if (++*m->work > WORK_MAX)
		return refuse(m, "");
	switch (c) {
	case '(':
		return group(m, s);
	case '[':
		return bracket(m, s);
	case '\\':
		return escape(m, s);
	case '^':
		return keep_at(m, 0, s);
	case '$':
		return keep_at(m, m->len, s);
	case '.':
		invert(&none);
		return step(m, &none, s);
	case '*':
	case '+':
	case '?':
	case '{':
		return refuse(m, "Repetition not preceded by valid expression");
	default:
		return one_char(m, c, s);
	}
}

static unsigned count(struct matcher *m, unsigned none)
{
	unsigned n = 0;

	if (!isdigit((unsigned char)*m->p))
		return none;
	while (isdigit((unsigned char)*m->p) && n <= TIMES_MAX)
		n = 10 * n + (unsigned)(*m->p++ - '0');
	return n;
}

/* UINT_MAX: without end. */
static void times(struct matcher *m, unsigned *min, unsigned *max)
{
	char c = *m->p++;

	*min = c == '+';
	*max = c == '?' ? 1 : UINT_MAX;
	if (c != '{')
		return;
	*min = *max = count(m, UINT_MAX);
	if (*m->p == ',') {
		m->p++;
		*max = count(m, UINT_MAX);
	}
	if (!*m->p)
		refuse(m, "Missing '}'");
	else if (*m->p++ != '}' || *min > TIMES_MAX || *max < *min || (*max > TIMES_MAX && *max != UINT_MAX))
		refuse(m, "Invalid contents of {}");
}

static void add(const struct matcher *m, const struct places *more, struct places *s)
{
	for (size_t i = 0; i <= m->len; i++)
		s->at[i] |= more->at[i];
}

static bool same(const struct matcher *m, const struct places *a, const struct places *b)
{
	return memcmp(a->at, b->at, m->len + 1) == 0;
}

static void piece(struct matcher *m, const char *end, struct places *s);

/* From the places of *s on, what lies from start to end of the expression, min to max times. Without places in it a set stays as it
 * is, too. */
static void repeat(const struct matcher *m, const char *start, const char *end, unsigned min, unsigned max, struct places *s)
{
	struct matcher again = *m;
	struct places now = *s, before;

	memset(s, 0, sizeof(*s));
	for (unsigned n = 0;; n++) {
		if (n >= min)
			add(m, &now, s);
		if (n == max)
			return;
		before = now;
		again.p = start;
		piece(&again, end, &now);
		if (same(m, &before, &now))
			break;
	}
	add(m, &now, s);
}

/* An atom and what repeats it, up to end, or all of that when it is NULL. */
static void piece(struct matcher *m, const char *end, struct places *s)
{
	const char *start = m->p;
	const struct places from = *s;

	atom(m, s);
	while (!m->wrong && m->p != end && *m->p && strchr("*+?{", *m->p)) {
		const char *here = m->p;
		unsigned min, max;

		times(m, &min, &max);
		if (m->wrong)
			return;
		*s = from;
		repeat(m, start, here, min, max, s);
	}
}

static void branches(struct matcher *m, struct places *s)
{
	const struct places from = *s;
	bool more = true;

	memset(s, 0, sizeof(*s));
	while (more && !m->wrong) {
		struct places one = from;

		while (!m->wrong && *m->p && *m->p != '|' && !(*m->p == ')' && m->depth))
			piece(m, NULL, &one);
		add(m, &one, s);
		more = *m->p == '|';
		m->p += more;
	}
}

int ere_match(const char *pattern, const char *text, struct err *e)
{
	unsigned work = 0;
	struct matcher m = { .p = pattern, .text = text, .len = strlen(text), .work = &work };
	struct places s;

	if (m.len > ERE_TEXT_MAX)
		return err_set(e, ENAMETOOLONG, "\"%.100s...\" is too long for a regular expression", text);
	memset(&s, true, sizeof(s));
	branches(&m, &s);
	if (work > WORK_MAX) /* whatever else was found when it was given up */
		m.wrong = "too many repetitions of repetitions";
	if (m.wrong)
		return err_set(e, EINVAL, "regular expression \"%.100s\": %s", pattern, m.wrong);
	return memchr(s.at, true, m.len + 1) != NULL;
}
