/* seccomp_bpf.h - what the parts of the seccomp compiler share
 *
 * A program is written from its last instruction to its first: BPF jumps forward only, so whatever a jump may lead to is there when
 * the jump is written. Places in a program count from the end, too.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "oci/spec.h"
#include "security/security.h"
#include "security/syscalls.h"

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INSNS_MAX 4096u /* BPF_MAXINSNS */

/* ---- seccomp_program.c ---- */

/* Words of struct seccomp_data by their offset, which is what a load names; and what else can be said of the accumulator. */
enum { WORD_NR = 0, WORD_ARCH = 4, WORD_ANY = -1, WORD_OTHER = -2 };

/* Somewhere to go: the instruction at that place, which expects that word in the accumulator. WORD_ANY: it expects nothing. */
struct target {
	uint32_t at;
	int32_t word; /* both in one register */
};

#define RETURNS_KEPT 8

struct program {
	uint32_t n; /* of v */
	bool full;  /* it did not fit; what is written now is lost */
	struct {
		uint32_t value, at;
	} returns[RETURNS_KEPT]; /* latest of their value */
	uint32_t n_returns;
	struct sock_filter v[INSNS_MAX]; /* backwards; what is not used costs nothing, as the stack's pages come when touched */
};

/* The places of these are valid as long as no instruction but by the same call is written before a jump to them. */
struct target program_return(struct program *p, uint32_t value);
/* if (A code k) yes else no, with word in A; code is BPF_JEQ, BPF_JGE or BPF_JGT. */
struct target program_jump(struct program *p, int word, unsigned code, uint32_t k, struct target yes, struct target no);
/* Likewise with A & mask. */
struct target program_masked_jump(struct program *p, int word, uint32_t mask, uint32_t k, struct target yes, struct target no);
/* Loads the word that t expects, when it is not what A holds. */
struct target program_load(struct program *p, struct target t);
/* A &= mask before t, which then expects the word unmasked. */
struct target program_mask(struct program *p, struct target t, int word, uint32_t mask);
/* The instructions in their order. */
struct sock_filter *program_finish(const struct program *p, struct arena *a);

/* ---- seccomp_chain.c ---- */

/* One set of conditions for one call, all of which must hold. */
struct rule {
	const struct oci_syscall_arg *args;
	uint8_t n;        /* of args, at most 6, no index twice */
	uint16_t next;    /* an earlier one for the same call, index + 1 in the array of all; 0: none */
	uint32_t syscall; /* where in the profile, for messages */
	uint32_t action;  /* SECCOMP_RET_* */
};

/* All rules for one number on one architecture, brought into the order in which they are tried. */
struct chain {
	struct conjunction *v;
	size_t n, room;
	bool wide;       /* arguments have 64 bits */
	bool always_set; /* there is one that always holds: always */
	uint32_t always, otherwise;
};

/* With room for that many rules; there may be more. */
void chain_init(struct chain *c, struct arena *a, size_t room, bool wide, uint32_t otherwise);
/* Adds a rule, the order-th of the profile (SIZE_MAX: the last). sub != 0: on condition that the first argument is sub, in place of
 * what the rule says of that argument. */
void chain_add(struct chain *c, struct arena *a, const struct rule *rule, size_t order, unsigned sub);
/* EINVAL: two rules contradict each other; *at is the index in the profile of the later one. */
must_check int chain_sort(struct chain *c, uint32_t *at, struct err *e);
struct target chain_write(const struct chain *c, struct program *p);

/* ---- seccomp_tree.c ---- */

/* What the profile says of one call. */
struct call_rules {
	uint32_t always; /* the first rule without conditions, index in the profile + 1; 0: there is none */
	uint32_t action; /* of that */
	uint16_t rules;  /* the latest rule with conditions before it, index + 1 */
	bool named;
};

/* What a number means on one architecture: an action, whatever the arguments; or CHAIN and the number of one, or what stands for
 * something else. No action has those bits. */
typedef uint32_t answer_t;

#define CHAIN       UINT32_C(0x40000000)
#define CONDITIONAL UINT32_MAX /* there are rules with conditions, or parts */

/* What is being compiled. */
struct seccomp_build {
	const struct oci_seccomp *profile;
	struct arena *arena;
	uint32_t default_action;
	bool notify;
	bool in_filter[ABIS];
	struct rule *rules;
	size_t n_rules, rules_room;
	answer_t answer[CALLS_MAX]; /* the action of the first rule without conditions, or the default; or CONDITIONAL */
	struct call_rules call[CALLS_MAX];
};

/* Makes the program, out->insns and out->n, in the build's arena. EINVAL: rules contradict each other; E2BIG. */
must_check int seccomp_write(struct seccomp_build *b, struct sec_filter *out, struct err *e);
