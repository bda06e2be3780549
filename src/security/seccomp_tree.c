/* seccomp_tree.c - from what a profile says of each call to a program that decides by number
 *
 * Theory of operation: on each architecture that this kernel runs, the numbers are divided into ranges with the same answer, and
 * the ranges become a binary tree of comparisons. x86_64 and x32 have the same numbers, but for bit 30, and share one tree. A
 * program that decides by number alone for most calls lets the kernel keep those decisions in its bitmap.
 *
 * A deny-by-default profile answers EPERM to whatever it does not list. For a system call that is younger than the profile that is
 * the wrong answer: C libraries probe for new calls and fall back on ENOSYS only. Numbers grow with time, so whatever is above the
 * highest number the profile names, for that architecture, is taken to be unknown to it and answered with ENOSYS.
 */
#include "security/seccomp_bpf.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <string.h>

/* From this number to the next range, on an architecture and on its twin, x86_64's x32. */
struct range {
	answer_t answer, twin;
	uint32_t from;
};

/* What is being written. */
struct writer {
	const struct seccomp_build *build;
	struct program *program;
	int last[ABIS]; /* the highest number that the profile names; -1: what is above is not answered with ENOSYS */
	struct chain *chains;
	uint32_t n_chains, chains_room;
	size_t n_ranges, n_groups;
	struct range ranges[NR_MAX];
	uint16_t group[NR_MAX + 1]; /* the first range of each */
};

/* ---- what is newer than the profile ---- */

/* A permissive default lets new calls through, a tracer wants to see them, and ENOSYS is what would be answered. */
static bool wants_enosys(const struct seccomp_build *b)
{
	return b->default_action != SECCOMP_RET_ALLOW && b->default_action != SECCOMP_RET_LOG &&
	       b->default_action != (SECCOMP_RET_ERRNO | ENOSYS) && b->profile->default_action != OCI_ACT_TRACE;
}

static int last_named(const struct seccomp_build *b, enum abi abi)
{
	size_t n;
	const uint16_t *calls = syscall_table(abi, &n);

	while (n > 0 && (calls[n - 1] == CALL_NONE || !b->call[calls[n - 1]].named))
		n--;
	return (int)n - 1;
}

/* The parts of sockets and System V IPC, once reached through socketcall(2) and ipc(2) only, have numbers of their own on i386, up
 * to these. Who names one of a family knows the family. */
static int last_of_families(const struct seccomp_build *b, int last)
{
	static const int highest[] = { [VIA_SOCKETCALL] = 373, [VIA_IPC] = 402 };
	size_t n;
	const uint16_t *calls = syscall_multiplexed(&n);

	for (size_t i = 0; i < n; i++) {
		unsigned sub;
		int high = highest[syscall_via(calls[i], &sub)];

		last = b->call[calls[i]].named && high > last ? high : last;
	}
	return last;
}

static void find_last(struct writer *w)
{
	bool wanted = wants_enosys(w->build);

	for (int abi = 0; abi < ABIS; abi++)
		w->last[abi] = wanted && w->build->in_filter[abi] ? last_named(w->build, (enum abi)abi) : -1;
	if (wanted)
		w->last[ABI_I386] = last_of_families(w->build, w->last[ABI_I386]);
}

/* ---- one number ---- */

/* What goes through socketcall(2) or ipc(2). */
static void add_parts(const struct seccomp_build *b, struct chain *c, enum call_via via)
{
	size_t n;
	const uint16_t *calls = syscall_multiplexed(&n);

	for (size_t i = 0; i < n; i++) {
		const struct call_rules *part = &b->call[calls[i]];
		struct rule always = { .action = part->action, .syscall = part->always - 1 };
		unsigned sub;

		if (syscall_via(calls[i], &sub) != via)
			continue;
		for (unsigned k = part->rules; k; k = b->rules[k - 1].next)
			chain_add(c, b->arena, &b->rules[k - 1], k, sub);
		if (part->always)
			chain_add(c, b->arena, &always, SIZE_MAX, sub);
	}
}

static uint32_t keep_chain(struct writer *w, const struct chain *c)
{
	if (w->n_chains == w->chains_room) {
		uint32_t room = w->chains_room ? 2 * w->chains_room : 16;
		struct chain *v = arena_alloc(w->build->arena, room * sizeof(*v));

		if (w->n_chains)
			memcpy(v, w->chains, w->n_chains * sizeof(*v));
		w->chains = v;
		w->chains_room = room;
	}
	w->chains[w->n_chains] = *c;
	return w->n_chains++;
}

/* An architecture's answers by number, of which one run after the other is looked at. */
struct column {
	enum abi abi;
	const uint16_t *calls;
	size_t n; /* of calls */
	answer_t beyond, answer;
	size_t end; /* of the run with that answer */
};

static void open_column(const struct writer *w, enum abi abi, struct column *c)
{
	c->abi = abi;
	c->calls = syscall_table(abi, &c->n);
	c->beyond = w->build->default_action;
	c->end = 0;
	if (w->last[abi] >= 0) {
		c->beyond = SECCOMP_RET_ERRNO | ENOSYS;
		c->n = (size_t)w->last[abi] + 1 < c->n ? (size_t)w->last[abi] + 1 : c->n;
	}
}

/* For what has conditions, or parts. Not inlined, as it is rare: what calls it would save registers for it. */
__attribute__((noinline)) static int make_conditional(struct writer *w, struct column *column, size_t nr, struct err *e)
{
	const struct seccomp_build *b = w->build;
	unsigned call = column->calls[nr];
	const struct call_rules *rules = &b->call[call];
	enum call_via through = column->abi != ABI_I386 ? VIA_NONE
				: nr == NR_SOCKETCALL   ? VIA_SOCKETCALL
				: nr == NR_IPC          ? VIA_IPC
							: VIA_NONE;
	struct chain c;
	size_t n = 0;
	uint32_t at;

	for (unsigned k = rules->rules; k; k = b->rules[k - 1].next)
		n++;
	chain_init(&c, b->arena, n, column->abi == ABI_X86_64, b->default_action);
	for (unsigned k = rules->rules; k; k = b->rules[k - 1].next)
		chain_add(&c, b->arena, &b->rules[k - 1], k, 0);
	if (through != VIA_NONE && !rules->always)
		add_parts(b, &c, through);
	if (chain_sort(&c, &at, e) < 0)
		return err_in(e, "linux.seccomp.syscalls[%u]: system call %s", at, syscall_name(call));
	if (c.always_set || rules->always || !c.n)
		column->answer = c.always_set ? c.always : rules->always ? rules->action : b->default_action;
	else
		column->answer = CHAIN | keep_chain(w, &c);
	return 0;
}

/* ---- ranges ---- */

static bool same_answer(const struct range *x, const struct range *y)
{
	return x->answer == y->answer && x->twin == y->twin;
}

static void add_range(struct writer *w, uint32_t from, answer_t answer, answer_t twin)
{
	struct range r = { answer, twin, from };

	if (w->n_ranges == 0 || !same_answer(&w->ranges[w->n_ranges - 1], &r))
		w->ranges[w->n_ranges++] = r;
}

/* The run that begins at nr. What has conditions is one by itself. */
static void find_run(const answer_t *answers, struct column *c, size_t nr)
{
	const uint16_t *call = c->calls + nr, *end = c->calls + c->n;

	if (nr >= c->n) {
		c->answer = c->beyond;
		c->end = SIZE_MAX;
		return;
	}
	answer_t answer = answers[*call++];

	if (answer != CONDITIONAL)
		while (call < end && answers[*call] == answer)
			call++;
	c->answer = answer;
	c->end = (size_t)(call - c->calls);
}

/* Goes on to the run that begins at nr, when there is one. */
static int next_run(struct writer *w, struct column *c, size_t nr, struct err *e)
{
	if (c->end > nr)
		return 0;
	find_run(w->build->answer, c, nr);
	return c->answer == CONDITIONAL ? make_conditional(w, c, nr, e) : 0;
}

/* Of an architecture and its twin, which may be itself. */
static int make_ranges(struct writer *w, struct column *c, struct column *twin, struct err *e)
{
	w->n_ranges = 0;
	for (size_t nr = 0; nr < SIZE_MAX; nr = c->end < twin->end ? c->end : twin->end) {
		if (next_run(w, c, nr, e) < 0 || next_run(w, twin, nr, e) < 0)
			return -e->code;
		add_range(w, (uint32_t)nr, c->answer, twin->answer);
	}
	return 0;
}

/* Single exceptions to a range, which are one comparison for equality each, go with it: these many, as they are tried in turn. */
#define EXCEPTIONS_MAX 3

static void make_groups(struct writer *w)
{
	const struct range *r = w->ranges;
	size_t n = w->n_ranges, i = 0, end;

	w->n_groups = 0;
	for (; i < n; i = end) {
		end = i + 1;
		while (end + 1 < n && end - i < (size_t)2 * EXCEPTIONS_MAX && r[end].from + 1 == r[end + 1].from &&
		       same_answer(&r[i], &r[end + 1]))
			end += 2;
		w->group[w->n_groups++] = (uint16_t)i;
	}
	w->group[w->n_groups] = (uint16_t)n;
}

/* ---- the tree ---- */

/* A part of the program that decides by number. */
struct tree {
	struct writer *w;
	int word; /* what the accumulator has: WORD_NR, or WORD_OTHER for the number without X32_BIT */
	struct {
		struct range of;
		struct target at;
	} split[4]; /* written already */
	size_t n_split;
};

static struct target write_answer(struct writer *w, answer_t answer)
{
	return (answer & SECCOMP_RET_ACTION_FULL) == CHAIN ? chain_write(&w->chains[answer & SECCOMP_RET_DATA], w->program)
							   : program_return(w->program, answer);
}

static struct target write_range(struct tree *t, const struct range *r)
{
	size_t i = 0;

	if (r->answer == r->twin)
		return write_answer(t->w, r->answer);
	while (i < t->n_split && !same_answer(&t->split[i].of, r))
		i++;
	if (i < t->n_split)
		return t->split[i].at;
	struct target yes = write_answer(t->w, r->twin), no = write_answer(t->w, r->answer);
	struct target at = program_load(t->w->program, program_jump(t->w->program, WORD_NR, BPF_JGE, X32_BIT, yes, no));

	if (i < sizeof(t->split) / sizeof(t->split[0])) {
		t->split[i].of = *r;
		t->split[i].at = at;
		t->n_split++;
	}
	return at;
}

static struct target write_group(struct tree *t, size_t from, size_t end)
{
	const struct range *r = t->w->ranges;
	struct target next = write_range(t, &r[from]);

	for (size_t i = end - 1; i > from; i -= 2)
		next = program_jump(t->w->program, t->word, BPF_JEQ, r[i - 1].from, write_range(t, &r[i - 1]), next);
	return next;
}

/* As deep as the number of groups has bits. */
static struct target write_groups(struct tree *t, size_t from, size_t end)
{
	const uint16_t *group = t->w->group;
	size_t middle = (from + end) / 2;

	if (middle == from)
		return write_group(t, group[from], group[end]);
	struct target above = write_groups(t, middle, end), below = write_groups(t, from, middle);

	return program_jump(t->w->program, t->word, BPF_JGE, t->w->ranges[group[middle]].from, above, below);
}

static struct target write_tree(struct writer *w, int word)
{
	struct tree t = { .w = w, .word = word };

	make_groups(w);
	return write_groups(&t, 0, w->n_groups);
}

/* ---- the program ---- */

static int write_i386(struct writer *w, struct target *out, struct err *e)
{
	struct column column;

	open_column(w, ABI_I386, &column);
	int r = make_ranges(w, &column, &column, e);

	if (r == 0)
		*out = program_load(w->program, write_tree(w, WORD_NR));
	return r;
}

static int write_x86_64(struct writer *w, struct target *out, struct err *e)
{
	bool x32 = w->build->in_filter[ABI_X32];
	struct column column, twin;
	answer_t kill = SECCOMP_RET_KILL_THREAD, other = w->build->default_action;
	struct target tree;

	open_column(w, ABI_X86_64, &column);
	open_column(w, ABI_X32, &twin);
	int r = make_ranges(w, &column, x32 ? &twin : &column, e);

	if (r < 0)
		return r;
	if (x32) {
		/* with bit 31 too: no x32 call either */
		add_range(w, 2 * X32_BIT, twin.beyond, twin.beyond);
		tree = write_tree(w, WORD_OTHER);
		if (tree.word == WORD_OTHER)
			tree = program_mask(w->program, tree, WORD_NR, ~X32_BIT);
	} else {
		add_range(w, X32_BIT, kill, kill);
		add_range(w, UINT32_MAX, other, other); /* a tracer's way to skip a call */
		tree = write_tree(w, WORD_NR);
	}
	*out = program_load(w->program, tree);
	return 0;
}

static int write_program(struct writer *w, struct err *e)
{
	struct program *p = w->program;
	struct target next, i386 = { 0 }, native = { 0 };

	if (w->build->in_filter[ABI_I386] && write_i386(w, &i386, e) < 0)
		return -e->code;
	if (write_x86_64(w, &native, e) < 0)
		return -e->code;
	next = program_return(p, SECCOMP_RET_KILL_THREAD);
	if (w->build->in_filter[ABI_I386])
		next = program_jump(p, WORD_ARCH, BPF_JEQ, AUDIT_ARCH_I386, i386, next);
	program_load(p, program_jump(p, WORD_ARCH, BPF_JEQ, AUDIT_ARCH_X86_64, native, next));
	if (p->full)
		return err_set(e, E2BIG, "linux.seccomp: the filter has more instructions than the kernel takes, %u", INSNS_MAX);
	return 0;
}

int seccomp_write(struct seccomp_build *b, struct sec_filter *out, struct err *e)
{
	struct program p;
	struct writer w;
	size_t n;
	const uint16_t *i386 = syscall_table(ABI_I386, &n);

	p.n = p.n_returns = 0;
	p.full = false;
	w.build = b;
	w.program = &p;
	w.n_chains = w.chains_room = 0;
	find_last(&w);
	b->answer[i386[NR_SOCKETCALL]] = b->answer[i386[NR_IPC]] = CONDITIONAL;
	int r = write_program(&w, e);

	if (r < 0)
		return r;
	out->insns = program_finish(&p, b->arena);
	out->n = (unsigned short)p.n;
	return 0;
}
