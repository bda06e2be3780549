/* The device filter of cgroup v2: an eBPF program that the kernel runs for each open and mknod of a device node.
 *
 * It is assembled from the rules, last one first, and keeps the set of accesses that are not decided yet: a matching rule that
 * allows takes its accesses out and says yes once none is left; one that denies says no when it has any of those left. That is
 * "the last matching rule wins" for each kind of access by itself. What no rule decides is left to the default.
 *
 *   r2 type   r3 undecided accesses   r4 major   r5 minor   r6 both: major above minor
 *
 * Rules that follow each other and say the same of one type's devices, for all accesses, are a list of numbers: one comparison
 * each, and one return for all; small minor numbers of one major number are the bits of one word. The kernel follows every branch
 * before it takes a program, which is most of what a filter costs.
 *
 * Attached with BPF_F_ALLOW_MULTI, so the filters of cgroups above (systemd's, an outer container's) go on to count. A new program
 * takes the place of the old one in one step, BPF_F_REPLACE; kernels that cannot do that get the new one before they lose the old.
 */
#include "base/cleanup.h"
#include "cgroups/cgroup_internal.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>

#define PROGRAMS_MAX 64 /* the kernel's limit of programs per cgroup and type */

struct asm_ {
	struct bpf_insn *v;
	size_t n;
};

static void put(struct asm_ *p, unsigned code, unsigned dst, unsigned src, int off, int32_t imm)
{
	p->v[p->n++] = (struct bpf_insn){
		.code = (uint8_t)code, .dst_reg = dst & 0xf, .src_reg = src & 0xf, .off = (int16_t)off, .imm = imm
	};
}

static void put_return(struct asm_ *p, bool allow)
{
	put(p, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, allow);
	put(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void put_prologue(struct asm_ *p)
{
	put(p, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
	put(p, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_4, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, major), 0);
	put(p, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_5, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
	put(p, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_2, 0, 0);
	put(p, BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_3, 0, 0, 16);
	put(p, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xffff);
	put(p, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, BPF_REG_4, 0, 0);
	put(p, BPF_ALU64 | BPF_LSH | BPF_K, BPF_REG_6, 0, 0, 32);
	put(p, BPF_ALU64 | BPF_OR | BPF_X, BPF_REG_6, BPF_REG_5, 0, 0);
}

static int32_t type_of(const struct cg_dev_rule *r)
{
	return r->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR;
}

#define RULE_INSNS     8    /* at most: three comparisons, three to look at the accesses, two to return */
#define LIST_INSNS     4    /* what a list has besides its rules, each of which is shorter than by itself */
#define LIST_MAX       4000 /* rules of one, which its jumps can pass over */
#define PROLOGUE_INSNS 9

#define BITS_WORTH      3  /* numbers that take more instructions than a word of bits, or as many */
#define BITS_LOOKED_FOR 64 /* rules of a list in which numbers are looked for that belong together */

/* Every comparison that fails skips the rest of the rule. */
static void put_rule(struct asm_ *p, const struct cg_dev_rule *r)
{
	size_t first = p->n;

	if (r->type != 'a')
		put(p, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_2, 0, 0, type_of(r));
	if (r->major != -1)
		put(p, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_4, 0, 0, (int32_t)r->major);
	if (r->minor != -1)
		put(p, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_5, 0, 0, (int32_t)r->minor);
	size_t compared = p->n;

	if (r->allow && r->access != CG_DEV_ALL) {
		put(p, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_3, 0, 0, CG_DEV_ALL & ~r->access);
		put(p, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_3, 0, 2, 0);
	} else if (r->access != CG_DEV_ALL) {
		put(p, BPF_JMP | BPF_JSET | BPF_K, BPF_REG_3, 0, 1, r->access);
		put(p, BPF_JMP | BPF_JA, 0, 0, 2, 0);
	}
	put_return(p, r->allow);
	for (size_t i = first; i < compared; i++)
		p->v[i].off = (int16_t)(p->n - i - 1);
}

/* Device numbers have 12 and 20 bits; immediate values are signed, so larger ones could match what they must not. */
static bool can_match(const struct cg_dev_rule *r)
{
	return r->major <= INT32_MAX && r->minor <= INT32_MAX;
}

static bool may_be_listed(const struct cg_dev_rule *r, const struct cg_dev_rule *with)
{
	return can_match(r) && r->access == CG_DEV_ALL && (r->major != -1 || r->minor != -1) && r->type == with->type &&
	       r->allow == with->allow;
}

static void put_number(struct asm_ *p, const struct cg_dev_rule *r)
{
	if (r->minor == -1) {
		put(p, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_4, 0, 0, (int32_t)r->major);
	} else if (r->major == -1) {
		put(p, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_5, 0, 0, (int32_t)r->minor);
	} else {
		put(p, BPF_LD | BPF_IMM | BPF_DW, BPF_REG_0, 0, 0, (int32_t)r->minor);
		put(p, 0, 0, 0, 0, (int32_t)r->major);
		put(p, BPF_JMP | BPF_JEQ | BPF_X, BPF_REG_6, BPF_REG_0, 0, 0);
	}
}

/* Of the word that `with` may be in. */
static bool is_bit(const struct cg_dev_rule *r, const struct cg_dev_rule *with)
{
	return r->major == with->major && r->major != -1 && r->minor >= 0 && r->minor < 64;
}

/* The word that v[i] is in, of all rules of the list; 0 when it is in none, or that is not worth it. */
static uint64_t bits_of(const struct cg_dev_rule *v, size_t i, size_t end, size_t last)
{
	uint64_t bits = 0;

	if (last - end >= BITS_LOOKED_FOR || !is_bit(&v[i], &v[i]))
		return 0;
	for (size_t k = end; k <= last; k++)
		if (is_bit(&v[k], &v[i]))
			bits |= 1ull << v[k].minor;
	return __builtin_popcountll(bits) >= BITS_WORTH ? bits : 0;
}

/* The jump at its end is what the comparison of a number is. */
static void put_bits(struct asm_ *p, int64_t major, uint64_t bits)
{
	put(p, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_4, 0, 5, (int32_t)major);
	put(p, BPF_JMP | BPF_JGT | BPF_K, BPF_REG_5, 0, 4, 63);
	put(p, BPF_LD | BPF_IMM | BPF_DW, BPF_REG_0, 0, 0, (int32_t)(uint32_t)bits);
	put(p, 0, 0, 0, 0, (int32_t)(uint32_t)(bits >> 32));
	put(p, BPF_ALU64 | BPF_RSH | BPF_X, BPF_REG_0, BPF_REG_5, 0, 0);
	put(p, BPF_JMP | BPF_JSET | BPF_K, BPF_REG_0, 0, 0, 1);
}

/* The word of v[i] was put for a rule of the list before it. */
static bool is_put(const struct cg_dev_rule *v, size_t i, size_t last)
{
	for (size_t k = last; k > i; k--)
		if (is_bit(&v[k], &v[i]))
			return true;
	return false;
}

static void put_numbers(struct asm_ *p, const struct cg_dev_rule *v, size_t last, size_t end)
{
	for (size_t i = last + 1; i-- > end;) {
		uint64_t bits = bits_of(v, i, end, last);

		if (!bits)
			put_number(p, &v[i]);
		else if (!is_put(v, i, last))
			put_bits(p, v[i].major, bits);
	}
}

static bool matches_number(const struct bpf_insn *i)
{
	return (i->code & ~BPF_X) == (BPF_JMP | BPF_JEQ) || i->code == (BPF_JMP | BPF_JSET | BPF_K);
}

/* Rules down to v[end], v[last] the first of them. */
static void put_list(struct asm_ *p, const struct cg_dev_rule *v, size_t last, size_t end)
{
	size_t first = p->n;

	put(p, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_2, 0, 0, type_of(&v[last]));
	put_numbers(p, v, last, end);
	put(p, BPF_JMP | BPF_JA, 0, 0, 2, 0);
	for (size_t i = first + 1; i < p->n; i++)
		if (matches_number(&p->v[i]))
			p->v[i].off = (int16_t)(p->n - i - 1);
	put_return(p, v[last].allow);
	p->v[first].off = (int16_t)(p->n - first - 1);
}

/* Where the list ends whose first is v[i], i + 1 where that is in none. */
static size_t end_of_list(const struct cg_dev_rule *v, size_t i)
{
	size_t end = i + 1;

	while (end > 1 && i + 1 - end < LIST_MAX && may_be_listed(&v[end - 1], &v[i]))
		end--;
	return end;
}

/* Later rules win: a default that the config has as well decides nothing. */
static bool is_repeated(const struct cg_dev_rules *rules, size_t i)
{
	const struct cg_dev_rule *r = &rules->v[i];

	for (size_t k = i + 1; r->ours && k < rules->n; k++) {
		const struct cg_dev_rule *o = &rules->v[k];

		if (o->type == r->type && o->access == r->access && o->major == r->major && o->minor == r->minor)
			return true;
	}
	return false;
}

/* Both types of devices one after the other, and not in lists. What is left to do must not become nothing: the kernel refuses a
 * program with an end that is never reached. */
static bool is_both_types(const struct cg_dev_rule *r, const struct cg_dev_rule *with)
{
	return r->allow == with->allow && r->access == with->access && r->access != CG_DEV_ALL && r->major == with->major &&
	       r->minor == with->minor && r->type != 'a' && with->type != 'a' && r->type != with->type;
}

/* The same in fewer rules, the first one as it is. */
static struct cg_dev_rules simplify(const struct cg_dev_rules *rules, struct arena *a)
{
	struct cg_dev_rules out = { .v = arena_alloc(a, (rules->n + 1) * sizeof(*out.v)) };

	for (size_t i = 0; i < rules->n; i++) {
		const struct cg_dev_rule *r = &rules->v[i];

		if (i && is_repeated(rules, i))
			continue;
		if (out.n > 1 && is_both_types(&out.v[out.n - 1], r))
			out.v[out.n - 1].type = 'a';
		else
			out.v[out.n++] = *r;
	}
	return out;
}

const void *cg_device_program(const struct cg_dev_rules *given, struct arena *a, size_t *n)
{
	const struct cg_dev_rules simple = simplify(given, a), *rules = &simple;
	size_t room = PROLOGUE_INSNS + rules->n * (RULE_INSNS + LIST_INSNS) + 2;
	struct asm_ p = { .v = arena_alloc(a, room * sizeof(*p.v)) };

	put_prologue(&p);
	for (size_t i = rules->n; i-- > 1;) {
		const struct cg_dev_rule *r = &rules->v[i];
		size_t end = end_of_list(rules->v, i);

		if (end < i) {
			put_list(&p, rules->v, i, end);
			i = end;
		} else if (can_match(r)) {
			put_rule(&p, r);
		}
	}
	put_return(&p, rules->n == 0 || rules->v[0].allow);
	*n = p.n;
	return p.v;
}

static int sys_bpf(int cmd, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static int load_program(const void *prog, size_t n, struct err *e)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uintptr_t)prog;
	attr.insn_cnt = (uint32_t)n;
	attr.license = (uintptr_t) "Apache-2.0";
	memcpy(attr.prog_name, "drupe_devices", sizeof("drupe_devices"));
	int fd = sys_bpf(BPF_PROG_LOAD, &attr); /* close-on-exec by itself */

	return fd < 0 ? err_errno(e, "loading the device filter") : fd;
}

static int attach_program(int dir_fd, int prog_fd, int replaced_fd, struct err *e)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)dir_fd;
	attr.attach_bpf_fd = (uint32_t)prog_fd;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (replaced_fd >= 0) {
		attr.attach_flags |= BPF_F_REPLACE;
		attr.replace_bpf_fd = (uint32_t)replaced_fd;
	}
	return sys_bpf(BPF_PROG_ATTACH, &attr) < 0 ? err_errno(e, "attaching the device filter") : 0;
}

static int detach_program(int dir_fd, int prog_fd, struct err *e)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)dir_fd;
	attr.attach_bpf_fd = (uint32_t)prog_fd;
	attr.attach_type = BPF_CGROUP_DEVICE;
	if (sys_bpf(BPF_PROG_DETACH, &attr) < 0 && errno != ENOENT)
		return err_errno(e, "detaching the former device filter");
	return 0;
}

static int query_programs(int dir_fd, uint32_t *ids, size_t *n, struct err *e)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (uint32_t)dir_fd;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uintptr_t)ids;
	attr.query.prog_cnt = PROGRAMS_MAX;
	if (sys_bpf(BPF_PROG_QUERY, &attr) < 0)
		return err_errno(e, "listing the device filters");
	*n = attr.query.prog_cnt;
	return 0;
}

static int open_program(uint32_t id)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_id = id;
	return sys_bpf(BPF_PROG_GET_FD_BY_ID, &attr);
}

/* The new program is in force before any of the old ones goes. */
static int attach_beside(int dir_fd, int prog_fd, const uint32_t *ids, size_t n, struct err *e)
{
	if (attach_program(dir_fd, prog_fd, -1, e) < 0)
		return -e->code;
	for (size_t i = 0; i < n; i++) {
		auto_fd int old = open_program(ids[i]);

		if (old >= 0 && detach_program(dir_fd, old, e) < 0)
			return -e->code;
		if (old < 0 && errno != ENOENT)
			return err_errno(e, "opening the former device filter");
	}
	return 0;
}

int cg_device_attach(int dir_fd, const void *prog, size_t n, struct err *e)
{
	auto_fd int prog_fd = load_program(prog, n, e);
	uint32_t ids[PROGRAMS_MAX];
	size_t n_ids = 0;

	if (prog_fd < 0)
		return prog_fd;
	if (query_programs(dir_fd, ids, &n_ids, e) < 0)
		return -e->code;
	if (n_ids == 1) {
		auto_fd int old = open_program(ids[0]);

		if (old >= 0 && attach_program(dir_fd, prog_fd, old, e) == 0)
			return 0;
	}
	return attach_beside(dir_fd, prog_fd, ids, n_ids, e);
}
