/* seccomp_program.c - writing BPF from the end
 *
 * Theory of operation: instructions are appended in reverse order. A conditional jump reaches 255 instructions; what is farther
 * gets an unconditional jump in between, or, for a return, which is as long, the return once more. A load is written only where
 * the accumulator does not hold the word already, and just before what needs it.
 */
#include "security/seccomp_bpf.h"

#define REACH 250 /* less than 255, as a jump may be preceded by another one and its loads */

static uint32_t put(struct program *p, unsigned code, uint32_t jt, uint32_t jf, uint32_t k)
{
	if (p->n == INSNS_MAX) {
		p->full = true;
		return p->n - 1;
	}
	p->v[p->n] = (struct sock_filter){ (unsigned short)code, (unsigned char)jt, (unsigned char)jf, k };
	return p->n++;
}

/* A place within reach that leads to at. */
static uint32_t within_reach(struct program *p, uint32_t at)
{
	return p->n - at <= REACH ? at : put(p, BPF_JMP | BPF_JA, 0, 0, p->n - at - 1);
}

/* Makes that the next instruction is followed by the one at that place. */
static void lead_to(struct program *p, uint32_t at)
{
	if (at != p->n - 1)
		put(p, BPF_JMP | BPF_JA, 0, 0, p->n - at - 1);
}

static uint32_t enter(struct program *p, struct target t, int accumulator)
{
	if (t.word == WORD_ANY || t.word == accumulator)
		return t.at;
	lead_to(p, t.at);
	return put(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)t.word);
}

struct target program_load(struct program *p, struct target t)
{
	return (struct target){ enter(p, t, WORD_OTHER), WORD_ANY };
}

struct target program_return(struct program *p, uint32_t value)
{
	uint32_t i = 0;

	while (i < p->n_returns && p->returns[i].value != value)
		i++;
	if (i < p->n_returns && p->n - p->returns[i].at <= REACH)
		return (struct target){ p->returns[i].at, WORD_ANY };
	if (i == p->n_returns && p->n_returns < RETURNS_KEPT)
		p->n_returns++;
	i = i < RETURNS_KEPT ? i : value % RETURNS_KEPT;
	p->returns[i].value = value;
	p->returns[i].at = put(p, BPF_RET | BPF_K, 0, 0, value);
	return (struct target){ p->returns[i].at, WORD_ANY };
}

/* Whether a jump may lead there as it is, as most can. */
static bool is_at_hand(const struct program *p, struct target t, int accumulator)
{
	return (t.word == WORD_ANY || t.word == accumulator) && p->n - t.at <= REACH;
}

/* Apart, so that the other jumps save no registers for it. */
__attribute__((noinline)) static uint32_t put_far_jump(struct program *p, int accumulator, unsigned code, uint32_t k,
						       struct target yes, struct target no)
{
	uint32_t jt = enter(p, yes, accumulator), jf = enter(p, no, accumulator);

	jt = within_reach(p, jt);
	jf = within_reach(p, jf);
	return put(p, code, p->n - jt - 1, p->n - jf - 1, k);
}

/* The jump alone, with accumulator as it stands. */
static uint32_t put_jump(struct program *p, int accumulator, unsigned code, uint32_t k, struct target yes, struct target no)
{
	code |= BPF_JMP | BPF_K;
	if (!is_at_hand(p, yes, accumulator) || !is_at_hand(p, no, accumulator))
		return put_far_jump(p, accumulator, code, k, yes, no);
	return put(p, code, p->n - yes.at - 1, p->n - no.at - 1, k);
}

struct target program_jump(struct program *p, int word, unsigned code, uint32_t k, struct target yes, struct target no)
{
	return (struct target){ put_jump(p, word, code, k, yes, no), word };
}

struct target program_masked_jump(struct program *p, int word, uint32_t mask, uint32_t k, struct target yes, struct target no)
{
	if (mask == UINT32_MAX)
		return program_jump(p, word, BPF_JEQ, k, yes, no);
	put_jump(p, WORD_OTHER, BPF_JEQ, k, yes, no);
	return (struct target){ put(p, BPF_ALU | BPF_AND | BPF_K, 0, 0, mask), word };
}

struct target program_mask(struct program *p, struct target t, int word, uint32_t mask)
{
	lead_to(p, t.at);
	return (struct target){ put(p, BPF_ALU | BPF_AND | BPF_K, 0, 0, mask), word };
}

struct sock_filter *program_finish(const struct program *p, struct arena *a)
{
	struct sock_filter *v = arena_alloc(a, p->n * sizeof(*v));

	for (size_t i = 0; i < p->n; i++)
		v[i] = p->v[p->n - 1 - i];
	return v;
}
