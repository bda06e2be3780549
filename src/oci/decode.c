/* Theory of operation: read_object() walks the members of a JSON object, finds each in the shape's table and lets read_field()
 * store it by kind. The path of the place we are at is a chain through the C stack (struct at), looked at only when an error text
 * is made. Recursion is bounded by JSON_DEPTH_MAX. Every read_*() returns negative after a problem; whether the loops over members
 * and elements then stop or go on is decided in one place, gives_up().
 */
#include "oci/decode.h"

#include "base/str.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct at {
	const struct at *up;
	const char *name; /* NULL: an array element */
	size_t index;
};

struct decoder {
	struct arena *arena;
	struct err *e;        /* the first problem */
	struct problems *all; /* NULL: stop at the first */
	size_t problems;
};

struct checker {
	struct decoder *d;
	const struct at *at;
	const struct json *v;
	/* The element that nth() found last: a check complains of elements in their order, of thousands in linear time. */
	const struct json *list, *element;
	size_t index;
};

/* ---- problems ---- */

static void print_path(const struct at *at, char *out, size_t size)
{
	if (!at) {
		out[0] = '\0';
		return;
	}
	print_path(at->up, out, size);
	size_t n = strlen(out);

	if (at->name)
		snprintf(out + n, size - n, "%s%.100s", n ? "." : "", at->name);
	else
		snprintf(out + n, size - n, "[%zu]", at->index);
}

static void keep(struct decoder *d, const char ***list, size_t *n, const char *text)
{
	if (!*list)
		*list = arena_alloc(d->arena, (PROBLEMS_MAX + 1) * sizeof(**list));
	(*list)[(*n)++] = arena_strdup(d->arena, text);
}

/* The error that says why of the value at that place. */
static void describe(const struct at *at, const struct json *v, const char *why, struct err *e)
{
	char path[256];

	print_path(at, path, sizeof(path));
	err_set(e, EINVAL, "line %u: %s: %s", v->line, path[0] ? path : "document", why);
	for (char *p = e->text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?'; /* names and values are quoted as found, a message is one line */
}

__attribute__((format(printf, 4, 0), cold)) static int bad_va(struct decoder *d, const struct at *at, const struct json *v,
							      const char *fmt, va_list ap)
{
	struct problems *all = d->all;
	char why[200];
	struct err e;

	d->problems++;
	if (d->problems > (all ? PROBLEMS_MAX + 1 : 1))
		return -EINVAL;
	vsnprintf(why, sizeof(why), fmt, ap);
	describe(at, v, why, &e);
	if (d->problems == 1)
		*d->e = e;
	if (all)
		keep(d, &all->v, &all->n, d->problems > PROBLEMS_MAX ? "further problems are not listed" : e.text);
	return -EINVAL;
}

__attribute__((format(printf, 4, 5), cold)) static int bad(struct decoder *d, const struct at *at, const struct json *v,
							   const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int r = bad_va(d, at, v, fmt, ap);
	va_end(ap);
	return r;
}

/* Whether a loop over members or elements ends after result r. */
static bool gives_up(const struct decoder *d, int r)
{
	return r < 0 && !d->all;
}

static const struct json *nth(struct checker *c, const struct json *list, size_t index)
{
	if (c->list != list || !c->element || index < c->index) {
		c->list = list;
		c->element = list->child;
		c->index = 0;
	}
	for (; c->element && c->index < index; c->index++)
		c->element = c->element->next;
	return c->element;
}

int check_fail(struct checker *c, const char *member, long index, const char *fmt, ...)
{
	const struct json *m = member ? json_member(c->v, member) : NULL, *where = m ? m : c->v;
	const struct json *element = index >= 0 && (m || !member) ? nth(c, where, (size_t)index) : NULL;
	struct at first = { c->at, member, 0 };
	const struct at *at = member ? &first : c->at;
	struct at second = { at, element ? element->key : NULL, (size_t)index };
	va_list ap;

	va_start(ap, fmt);
	int r = bad_va(c->d, element ? &second : at, element ? element : where, fmt, ap);
	va_end(ap);
	return r;
}

bool check_has(const struct checker *c, const char *member)
{
	const struct json *m = json_member(c->v, member);

	return m && m->type != JSON_NULL && !(m->type == JSON_STRING && !m->len);
}

/* ---- scalars ---- */

static int want(struct decoder *d, const struct at *at, const struct json *v, enum json_type t)
{
	if (v->type == t)
		return 0;
	return bad(d, at, v, "expected %s, got %s", json_type_name(t), json_type_name(v->type));
}

/* The magnitude of the decimal number s; false when there is a character that is no digit, or no digit. */
static bool digits(const char *s, uint64_t *out, bool *overflow)
{
	uint64_t n = 0;

	*overflow = false;
	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		*overflow |= __builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n);
	}
	*out = n;
	return true;
}

/* Reads an integer in [min, max], min <= 0. */
static int read_int(struct decoder *d, const struct at *at, const struct json *v, int64_t min, uint64_t max, uint64_t *out)
{
	int r = want(d, at, v, JSON_NUMBER);
	uint64_t n;
	bool overflow;

	if (r < 0)
		return r;
	bool negative = v->text[0] == '-';

	if (!digits(v->text + negative, &n, &overflow))
		return bad(d, at, v, "%.40s is not an integer", v->text);
	if (overflow || n > (negative ? -(uint64_t)min : max))
		return bad(d, at, v, "%.40s is out of range, %" PRId64 " to %" PRIu64, v->text, min, max);
	*out = negative ? -n : n;
	return 0;
}

static int read_number(struct decoder *d, const struct at *at, enum kind kind, const struct json *v, void *dst)
{
	static const struct {
		int64_t min;
		uint64_t max;
	} range[] = {
		[K_I64] = { INT64_MIN, INT64_MAX }, [K_OPT_I64] = { INT64_MIN, INT64_MAX }, [K_U64] = { 0, UINT64_MAX },
		[K_OPT_U64] = { 0, UINT64_MAX },    [K_I32] = { INT32_MIN, INT32_MAX },     [K_U32] = { 0, UINT32_MAX },
		[K_OPT_U32] = { 0, UINT32_MAX },    [K_OPT_U16] = { 0, UINT16_MAX },
	};
	uint64_t n = 0;
	int r = read_int(d, at, v, range[kind].min, range[kind].max, &n);

	if (r < 0)
		return r;
	if (kind == K_OPT_I64)
		*(struct opt_i64 *)dst = (struct opt_i64){ (int64_t)n, true };
	else if (kind == K_OPT_U64 || kind == K_OPT_U32 || kind == K_OPT_U16)
		*(struct opt_u64 *)dst = (struct opt_u64){ n, true };
	else if (kind == K_I32 || kind == K_U32)
		*(uint32_t *)dst = (uint32_t)n;
	else
		*(uint64_t *)dst = n;
	return 0;
}

static int read_str(struct decoder *d, const struct at *at, const struct json *v, unsigned flags, const char **out)
{
	int r = want(d, at, v, JSON_STRING);

	if (r < 0)
		return r;
	if (!v->len && (flags & EMPTY_NONE))
		return 0;
	if (!v->len && (flags & NONEMPTY))
		return bad(d, at, v, "must not be empty");
	if ((flags & ABSOLUTE) && v->text[0] != '/')
		return bad(d, at, v, "\"%.80s\" is not an absolute path", v->text);
	*out = v->text;
	return 0;
}

static int lookup(const struct names *names, const char *s)
{
	for (int i = 0; i < names->n; i++)
		if (!strcmp(names->v[i], s))
			return i;
	return -1;
}

static int read_enum(struct decoder *d, const struct at *at, const struct json *v, const struct field *f, int *out)
{
	int r = want(d, at, v, JSON_STRING);

	if (r < 0)
		return r;
	if (!v->len && !(f->flags & REQUIRED))
		return 0;
	int i = v->len ? lookup(f->arg, v->text) : -1;

	if (i < 0)
		return bad(d, at, v, "unknown value \"%.80s\"", v->text);
	*out = i;
	return 0;
}

/* ---- lists of scalars ---- */

/* The i-th of a list, which is more than any string. */
static int read_word(struct decoder *d, const struct at *at, const struct json *v, const struct field *f, size_t i,
		     const char **out)
{
	struct at here = { at, NULL, i };
	int r = read_str(d, &here, v, f->flags & ABSOLUTE, out);

	if (r == 0 && f->arg && lookup(f->arg, v->text) < 0)
		r = bad(d, &here, v, "unknown value \"%.80s\"", v->text);
	return r;
}

static int read_strs(struct decoder *d, const struct at *at, const struct json *v, const struct field *f, struct strs *out)
{
	const struct json *c = v->child;
	size_t i = 0;
	int failed = 0, r = want(d, at, v, JSON_ARRAY);

	if (r < 0)
		return r;
	if ((f->flags & NONEMPTY) && !v->len)
		return bad(d, at, v, "must not be empty");
	/* one more, NULL: usable as argv and envp */
	const char **words = out->v = arena_alloc(d->arena, (v->len + 1) * sizeof(*out->v));

	out->n = v->len;
	if (!(f->flags & ABSOLUTE) && !f->arg) /* as most are */
		for (; c && c->type == JSON_STRING; c = c->next)
			words[i++] = c->text;
	for (; c; c = c->next, i++) {
		r = read_word(d, at, c, f, i, &words[i]);
		if (gives_up(d, r))
			return r;
		failed |= r;
	}
	return failed;
}

static int read_u32s(struct decoder *d, const struct at *at, const struct json *v, struct u32s *out)
{
	size_t i = 0;
	int failed = 0, r = want(d, at, v, JSON_ARRAY);

	if (r < 0)
		return r;
	out->v = arena_alloc(d->arena, v->len * sizeof(*out->v));
	out->n = v->len;
	for (const struct json *c = v->child; c; c = c->next, i++) {
		struct at here = { at, NULL, i };

		r = read_number(d, &here, K_U32, c, &out->v[i]);
		if (gives_up(d, r))
			return r;
		failed |= r;
	}
	return failed;
}

static int read_map(struct decoder *d, const struct at *at, const struct json *v, unsigned flags, struct pairs *out)
{
	int failed = 0, r = want(d, at, v, JSON_OBJECT);

	if (r < 0)
		return r;
	out->v = arena_alloc(d->arena, v->len * sizeof(*out->v));
	for (const struct json *c = v->child; c; c = c->next) {
		struct at here = { at, c->key, 0 };
		struct pair *p = &out->v[out->n];

		if (c->type == JSON_NULL)
			continue;
		p->name = c->key;
		r = read_str(d, &here, c, 0, &p->value);
		if (r == 0 && (flags & NONEMPTY) && !c->key[0])
			r = bad(d, at, c, "a name must not be empty");
		if (gives_up(d, r))
			return r;
		failed |= r;
		out->n++;
	}
	return failed;
}

/* ---- objects ---- */

static int read_object(struct decoder *, const struct at *, const struct shape *, const struct json *, void *);

static int read_one(struct decoder *d, const struct at *at, const struct shape *s, const struct json *v, void *dst)
{
	void *object = arena_alloc(d->arena, s->size);

	memcpy(dst, &object, sizeof(object));
	return read_object(d, at, s, v, object);
}

static int run_list_check(struct decoder *d, const struct at *at, const struct shape *s, const struct json *v,
			  struct any_list *list)
{
	struct checker c = { .d = d, .at = at, .v = v };

	return s->check_list ? s->check_list(list, &c) : 0;
}

/* Reads every child of v with shape s into a new array. With keyed, v is an object and each element's first member receives the
 * member name. */
static int read_list(struct decoder *d, const struct at *at, const struct shape *s, const struct json *v, bool keyed, void *dst)
{
	struct any_list list = { NULL, 0 };
	int failed = 0, r = want(d, at, v, keyed ? JSON_OBJECT : JSON_ARRAY);

	if (r < 0)
		return r;
	list.v = arena_alloc(d->arena, v->len * s->size);
	for (const struct json *c = v->child; c; c = c->next) {
		struct at here = { at, c->key, list.n };
		char *item = (char *)list.v + list.n * s->size;

		if (keyed && c->type == JSON_NULL)
			continue;
		if (keyed)
			memcpy(item, &c->key, sizeof(c->key));
		r = read_object(d, &here, s, c, item);
		if (gives_up(d, r))
			return r;
		failed |= r;
		list.n++;
	}
	memcpy(dst, &list, sizeof(list));
	return failed ? failed : run_list_check(d, at, s, v, &list);
}

static int read_field(struct decoder *d, const struct at *at, const struct field *f, const struct json *v, void *dst)
{
	switch ((enum kind)f->kind) {
	case K_STR:
		return read_str(d, at, v, f->flags, dst);
	case K_BOOL:
		*(bool *)dst = v->truth;
		return want(d, at, v, JSON_BOOL);
	case K_I64:
	case K_U64:
	case K_U32:
	case K_I32:
	case K_OPT_I64:
	case K_OPT_U64:
	case K_OPT_U32:
	case K_OPT_U16:
		return read_number(d, at, f->kind, v, dst);
	case K_ENUM:
		return read_enum(d, at, v, f, dst);
	case K_STRS:
		return read_strs(d, at, v, f, dst);
	case K_U32S:
		return read_u32s(d, at, v, dst);
	case K_MAP:
		return read_map(d, at, v, f->flags, dst);
	case K_OBJ:
		return read_one(d, at, f->arg, v, dst);
	case K_OBJS:
		return read_list(d, at, f->arg, v, false, dst);
	case K_OBJMAP:
		return read_list(d, at, f->arg, v, true, dst);
	}
	return 0;
}

static size_t find_between(const struct shape *s, const char *name, size_t i, size_t end)
{
	while (i < end && (s->fields[i].name[0] != name[0] || strcmp(s->fields[i].name, name) != 0))
		i++;
	return i;
}

/* Index of the member's field, s->n when the shape does not name it. Looked for from `likely` on first: members mostly come in the
 * order of the table. */
static size_t find(const struct shape *s, const char *name, size_t likely)
{
	size_t i = find_between(s, name, likely, s->n);

	if (i < s->n)
		return i;
	i = find_between(s, name, 0, likely);
	return i < likely ? i : s->n;
}

/* A member that the shape does not name, when that may be a mistake in writing. */
static void hint(struct decoder *d, const struct at *at, const struct shape *s, const struct json *m)
{
	struct problems *all = d->all;
	char why[200];
	struct err e;

	for (size_t i = 0; all && m->type != JSON_NULL && i < s->n && all->n_hints < PROBLEMS_MAX; i++) {
		if (!str_resembles(m->key, s->fields[i].name))
			continue;
		snprintf(why, sizeof(why), "an unknown member is ignored; is \"%s\" meant?", s->fields[i].name);
		describe(at, m, why, &e);
		keep(d, &all->hints, &all->n_hints, e.text);
		return;
	}
}

static int require(struct decoder *d, const struct at *at, const struct shape *s, const struct json *v, uint64_t seen)
{
	int failed = 0;

	for (size_t i = 0; i < s->n; i++)
		if ((s->fields[i].flags & REQUIRED) && !(seen & UINT64_C(1) << i))
			failed = bad(d, at, v, "member \"%s\" is required", s->fields[i].name);
	return failed;
}

static int read_object(struct decoder *d, const struct at *at, const struct shape *s, const struct json *v, void *object)
{
	struct checker c = { .d = d, .at = at, .v = v };
	uint64_t seen = 0;
	size_t next = 0;
	int failed = 0, r = want(d, at, v, JSON_OBJECT);

	if (r < 0)
		return r;
	for (const struct json *m = v->child; m; m = m->next) {
		struct at here = { at, m->key, 0 };
		size_t i = m->type == JSON_NULL ? s->n : find(s, m->key, next);

		if (i == s->n) {
			hint(d, &here, s, m);
			continue;
		}
		r = read_field(d, &here, &s->fields[i], m, (char *)object + s->fields[i].offset);
		if (gives_up(d, r))
			return r;
		failed |= r;
		seen |= UINT64_C(1) << i;
		next = i + 1;
	}
	r = require(d, at, s, v, seen);
	if (r < 0 || failed)
		return r < 0 ? r : failed;
	return s->check ? s->check(object, &c) : 0;
}

int decode(struct arena *a, const struct shape *s, const struct json *v, void *object, struct err *e)
{
	struct decoder d = { .arena = a, .e = e };

	return read_object(&d, NULL, s, v, object);
}

int decode_all(struct arena *a, const struct shape *s, const struct json *v, void *object, struct problems *p, struct err *e)
{
	struct decoder d = { .arena = a, .e = e, .all = p };

	*p = (struct problems){ 0 };
	return read_object(&d, NULL, s, v, object);
}
