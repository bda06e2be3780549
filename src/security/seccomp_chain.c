/* seccomp_chain.c - several rules with conditions for one system call
 *
 * Theory of operation: rules that overlap and disagree are tried in libseccomp's order, which is what profiles are written against:
 * the more special first. Sorted, rules that begin with the same conditions stand together, and those are tested once for all of
 * them. A rule whose conditions are the beginning of another's covers it. Arguments have 64 bits, BPF has 32: equality takes two
 * tests, order up to three. On 32-bit architectures (x32 among them) only the low half of argument and value count.
 */
#include "security/seccomp_bpf.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_MAX 6

enum test_op { TEST_EQ, TEST_MASKED, TEST_GE, TEST_GT };

struct test {
	uint64_t datum, mask;
	uint8_t arg;
	uint8_t op;   /* enum test_op */
	bool negated; /* != < <= are what == >= > are not */
};

struct conjunction {
	struct test test[ARGS_MAX];
	uint8_t n;
	uint32_t syscall;
	uint32_t action;
	size_t order; /* in the profile */
};

/* ---- from the profile ---- */

/* false: it always holds. */
static bool make_test(const struct oci_syscall_arg *a, bool wide, struct test *out)
{
	static const struct {
		uint8_t op;
		bool negated;
	} ops[] = {
		[OCI_CMP_NE] = { TEST_EQ, true },
		[OCI_CMP_LT] = { TEST_GE, true },
		[OCI_CMP_LE] = { TEST_GT, true },
		[OCI_CMP_EQ] = { TEST_EQ, false },
		[OCI_CMP_GE] = { TEST_GE, false },
		[OCI_CMP_GT] = { TEST_GT, false },
		[OCI_CMP_MASKED_EQ] = { TEST_MASKED, false },
	};
	bool masked = a->op == OCI_CMP_MASKED_EQ;
	uint64_t all = wide ? UINT64_MAX : UINT32_MAX, mask = masked ? a->value & all : all;

	*out = (struct test){ .datum = (masked ? a->value_two : a->value) & mask,
			      .mask = mask,
			      .arg = (uint8_t)a->index,
			      .op = ops[a->op].op,
			      .negated = ops[a->op].negated };
	return mask != 0;
}

static void add_test(struct conjunction *c, const struct test *t)
{
	unsigned i = c->n++;

	for (; i > 0 && c->test[i - 1].arg > t->arg; i--)
		c->test[i] = c->test[i - 1];
	c->test[i] = *t;
}

static struct conjunction *new_conjunction(struct chain *c, struct arena *a)
{
	if (c->n == c->room) {
		size_t room = c->room ? 2 * c->room : 4;
		struct conjunction *v = arena_alloc(a, room * sizeof(*v));

		if (c->n)
			memcpy(v, c->v, c->n * sizeof(*v));
		c->v = v;
		c->room = room;
	}
	return &c->v[c->n++];
}

void chain_init(struct chain *c, struct arena *a, size_t room, bool wide, uint32_t otherwise)
{
	*c = (struct chain){ .v = arena_alloc(a, room * sizeof(*c->v)), .room = room, .wide = wide, .otherwise = otherwise };
}

void chain_add(struct chain *c, struct arena *a, const struct rule *rule, size_t order, unsigned sub)
{
	struct conjunction *v = new_conjunction(c, a);
	struct test t;

	v->action = rule->action;
	v->syscall = rule->syscall;
	v->order = order;
	if (sub)
		add_test(v, &(struct test){ .datum = sub, .mask = UINT32_MAX, .op = TEST_EQ });
	for (size_t i = 0; i < rule->n; i++)
		if (!(sub && rule->args[i].index == 0) && make_test(&rule->args[i], c->wide, &t))
			add_test(v, &t);
}

/* ---- order ---- */

static int compare(uint64_t x, uint64_t y)
{
	return x < y ? -1 : x > y;
}

/* Special tests come before general ones: == before < before >. */
static int generality(const struct test *t)
{
	return t->op == TEST_EQ || t->op == TEST_MASKED ? 0 : t->negated ? 1 : 2;
}

static int compare_tests(const struct test *x, const struct test *y)
{
	int general = generality(x), r;

	if (x->arg != y->arg)
		return y->arg - x->arg;
	if (general != generality(y))
		return general - generality(y);
	r = general == 1 ? compare(x->datum, y->datum) : compare(y->datum, x->datum);
	r = r ? r : compare(y->mask, x->mask);
	r = r ? r : x->op - y->op;
	return r ? r : x->negated - y->negated;
}

static int compare_conjunctions(const void *a, const void *b)
{
	const struct conjunction *x = a, *y = b;
	int r = 0;

	for (unsigned i = 0; i < x->n && i < y->n && !r; i++)
		r = compare_tests(&x->test[i], &y->test[i]);
	r = r ? r : x->n - y->n;
	return r ? r : compare(x->order, y->order);
}

static bool begins_with(const struct conjunction *c, const struct conjunction *beginning)
{
	bool same = c->n >= beginning->n;

	for (unsigned i = 0; same && i < beginning->n; i++)
		same = compare_tests(&c->test[i], &beginning->test[i]) == 0;
	return same;
}

/* From the first rule that always holds, none counts. */
static void cut_at_always(struct chain *c)
{
	const struct conjunction *always = NULL;
	size_t kept = 0;

	for (size_t i = 0; i < c->n; i++)
		if (!c->v[i].n && (!always || c->v[i].order < always->order))
			always = &c->v[i];
	if (!always)
		return;
	c->always_set = true;
	c->always = always->action;
	size_t order = always->order;

	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].order < order)
			c->v[kept++] = c->v[i];
	c->n = kept;
}

int chain_sort(struct chain *c, uint32_t *at, struct err *e)
{
	size_t kept = 0;

	cut_at_always(c);
	if (c->n > 1)
		qsort(c->v, c->n, sizeof(*c->v), compare_conjunctions);
	for (size_t i = 0; i < c->n; i++) {
		const struct conjunction *v = &c->v[i], *before = kept ? &c->v[kept - 1] : NULL;

		if (!before || !begins_with(v, before)) {
			if (kept++ < i)
				c->v[kept - 1] = *v;
			continue;
		}
		/* Covered. When the shorter of them came first, it has said all; when it came last, it must not say otherwise. */
		if (v->action != before->action && (v->n == before->n || v->order < before->order)) {
			*at = v->order > before->order ? v->syscall : before->syscall;
			return err_set(e, EINVAL, "contradicts an earlier rule with the same conditions");
		}
	}
	c->n = kept;
	return 0;
}

/* ---- tests ---- */

static int word_low(unsigned arg)
{
	return (int)(offsetof(struct seccomp_data, args) + 8ul * arg + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0));
}

static int word_high(unsigned arg)
{
	return word_low(arg) ^ 4;
}

static uint32_t low(uint64_t v)
{
	return (uint32_t)v;
}

static uint32_t high(uint64_t v)
{
	return (uint32_t)(v >> 32);
}

static struct target write_masked(struct program *p, const struct test *t, struct target yes, struct target no)
{
	if (low(t->mask))
		yes = program_masked_jump(p, word_low(t->arg), low(t->mask), low(t->datum), yes, no);
	if (high(t->mask))
		yes = program_masked_jump(p, word_high(t->arg), high(t->mask), high(t->datum), yes, no);
	return yes;
}

/* >= and >. */
static struct target write_order(struct program *p, const struct test *t, bool wide, struct target yes, struct target no)
{
	struct target lower = program_jump(p, word_low(t->arg), t->op == TEST_GE ? BPF_JGE : BPF_JGT, low(t->datum), yes, no);
	int word = word_high(t->arg);

	if (!wide)
		return lower;
	if (high(t->datum) == 0)
		return program_jump(p, word, BPF_JEQ, 0, lower, yes);
	struct target equal = program_jump(p, word, BPF_JEQ, high(t->datum), lower, no);

	return high(t->datum) == UINT32_MAX ? equal : program_jump(p, word, BPF_JGT, high(t->datum), yes, equal);
}

static struct target write_test(struct program *p, const struct test *t, bool wide, struct target yes, struct target no)
{
	struct target then = t->negated ? no : yes, otherwise = t->negated ? yes : no;

	if (t->op == TEST_GE || t->op == TEST_GT)
		return write_order(p, t, wide, then, otherwise);
	return write_masked(p, t, then, otherwise);
}

/* ---- rules ---- */

static struct target write_list(const struct chain *c, struct program *p, size_t from, size_t end, unsigned depth,
				struct target next);

/* What follows when the test of that depth, which these share, holds. */
static struct target write_rest(const struct chain *c, struct program *p, size_t from, size_t end, unsigned depth,
				struct target next)
{
	if (c->v[from].n == depth + 1)
		return program_return(p, c->v[from].action);
	return write_list(c, p, from, end, depth + 1, next);
}

static bool plain_equality(const struct test *t)
{
	return t->op == TEST_EQ && !t->negated;
}

/* May stand behind one test of the argument's high half? */
static bool same_high(const struct test *x, const struct test *y)
{
	return plain_equality(x) && plain_equality(y) && x->arg == y->arg && high(x->datum) == high(y->datum);
}

/* Where the run of rules begins that ends before end and whose tests of that depth are the same. */
static size_t run_start(const struct chain *c, size_t from, size_t end, unsigned depth, bool high_only)
{
	const struct test *t = &c->v[end - 1].test[depth];
	size_t i = end - 1;

	while (i > from && (high_only ? same_high(&c->v[i - 1].test[depth], t) : !compare_tests(&c->v[i - 1].test[depth], t)))
		i--;
	return i;
}

/* Rules with == on one argument, whose values have the same high half. */
static struct target write_equalities(const struct chain *c, struct program *p, size_t from, size_t end, unsigned depth,
				      struct target next)
{
	struct target here = next;
	const struct test *t = NULL;

	for (size_t k = end, i; k > from; k = i) {
		i = run_start(c, from, k, depth, false);
		t = &c->v[i].test[depth];
		here = program_jump(p, word_low(t->arg), BPF_JEQ, low(t->datum), write_rest(c, p, i, k, depth, next), here);
	}
	return c->wide ? program_jump(p, word_high(t->arg), BPF_JEQ, high(t->datum), here, next) : here;
}

/* Each level looks at one more argument, so that there are at most six. */
static struct target write_list(const struct chain *c, struct program *p, size_t from, size_t end, unsigned depth,
				struct target next)
{
	for (size_t k = end, i; k > from; k = i) {
		const struct test *t = &c->v[k - 1].test[depth];

		i = run_start(c, from, k, depth, plain_equality(t));
		if (plain_equality(t))
			next = write_equalities(c, p, i, k, depth, next);
		else
			next = write_test(p, t, c->wide, write_rest(c, p, i, k, depth, next), next);
	}
	return next;
}

struct target chain_write(const struct chain *c, struct program *p)
{
	return write_list(c, p, 0, c->n, 0, program_return(p, c->otherwise));
}
