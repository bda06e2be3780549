#include "base/str.h"
#include "cgroups/cgroup_internal.h"
#include "tap.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>

#define RULE(allow_, type_, maj, min, acc)                                                                                         \
	{                                                                                                                          \
		.allow = (allow_), .type = (type_), .access = (acc), .major = { (maj), true }, .minor = {(min), true }             \
	}
#define LIST(array) (&(struct oci_device_rule_list){ (array), sizeof(array) / sizeof((array)[0]) })

/* ---- three judges of one access: the reference, the eBPF program, the v1 controller ---- */

/* The last matching rule decides for each kind of access by itself. */
static bool by_reference(const struct cg_dev_rules *rules, char type, int64_t major, int64_t minor, unsigned access)
{
	unsigned granted = rules->n == 0 ? CG_DEV_ALL : 0;

	for (size_t i = 0; i < rules->n; i++) {
		const struct cg_dev_rule *r = &rules->v[i];

		if ((r->type != 'a' && r->type != type) || (r->major != -1 && r->major != major) ||
		    (r->minor != -1 && r->minor != minor))
			continue;
		granted = r->allow ? granted | r->access : granted & ~(unsigned)r->access;
	}
	return (granted & access) == access;
}

/* Runs the few instructions that the assembler uses. */
static int run_program(const struct bpf_insn *v, size_t n, const struct bpf_cgroup_dev_ctx *ctx)
{
	uint64_t r[11] = { 0 };

	for (size_t pc = 0; pc < n; pc++) {
		const struct bpf_insn *i = &v[pc];
		uint64_t imm = (uint64_t)(int64_t)i->imm;

		switch (i->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			r[i->dst_reg] = *(const uint32_t *)(const void *)((const char *)ctx + i->off);
			break;
		case BPF_ALU64 | BPF_MOV | BPF_X:
			r[i->dst_reg] = r[i->src_reg];
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			r[i->dst_reg] = imm;
			break;
		case BPF_ALU64 | BPF_RSH | BPF_K:
			r[i->dst_reg] >>= imm;
			break;
		case BPF_ALU64 | BPF_RSH | BPF_X:
			r[i->dst_reg] >>= r[i->src_reg] & 63;
			break;
		case BPF_ALU64 | BPF_AND | BPF_K:
			r[i->dst_reg] &= imm;
			break;
		case BPF_ALU64 | BPF_LSH | BPF_K:
			r[i->dst_reg] <<= imm;
			break;
		case BPF_ALU64 | BPF_OR | BPF_X:
			r[i->dst_reg] |= r[i->src_reg];
			break;
		case BPF_LD | BPF_IMM | BPF_DW: /* of two */
			pc++;
			r[i->dst_reg] = (uint32_t)i->imm | (uint64_t)(uint32_t)v[pc].imm << 32;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += r[i->dst_reg] == imm ? (size_t)i->off : 0;
			break;
		case BPF_JMP | BPF_JEQ | BPF_X:
			pc += r[i->dst_reg] == r[i->src_reg] ? (size_t)i->off : 0;
			break;
		case BPF_JMP | BPF_JNE | BPF_K:
			pc += r[i->dst_reg] != imm ? (size_t)i->off : 0;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			pc += r[i->dst_reg] > imm ? (size_t)i->off : 0;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			pc += (r[i->dst_reg] & imm) ? (size_t)i->off : 0;
			break;
		case BPF_JMP | BPF_JA:
			pc += (size_t)i->off;
			break;
		case BPF_JMP | BPF_EXIT:
			return (int)r[0];
		default:
			return -1;
		}
	}
	return -2;
}

static bool by_program(const struct bpf_insn *v, size_t n, char type, int64_t major, int64_t minor, unsigned access)
{
	struct bpf_cgroup_dev_ctx ctx = { .access_type = access << 16 | (type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR),
					  .major = (uint32_t)major,
					  .minor = (uint32_t)minor };
	int verdict = run_program(v, n, &ctx);

	expect(verdict == 0 || verdict == 1);
	return verdict == 1;
}

/* As the kernel matches exceptions (security/device_cgroup.c), for one kind of access. */
static bool by_v1(const struct cg_builder *b, char type, int64_t major, int64_t minor, char access)
{
	bool by_default = str_eq(b->writes[0].file, "devices.allow");

	for (size_t i = 1; i < b->n; i++) {
		char t, maj[16], min[16], acc[8];

		expect(sscanf(b->writes[i].text, "%c %15[^:]:%15s %7s", &t, maj, min, acc) == 4);
		expect(str_eq(b->writes[i].file, by_default ? "devices.deny" : "devices.allow"));
		if (t == type && (*maj == '*' || atoll(maj) == major) && (*min == '*' || atoll(min) == minor) &&
		    strchr(acc, access))
			return !by_default;
	}
	return by_default;
}

/* ---- cases ---- */

static const char *refusal(const struct oci_device_rule *rule, struct arena *a)
{
	struct oci_device_rule v[2] = { { .allow = false }, *rule };
	struct cg_dev_rules rules;
	struct err e;

	if (cg_device_rules(LIST(v), a, &rules, &e) == 0)
		return "accepted";
	expect(e.code == EINVAL);
	return arena_strdup(a, e.text);
}

static void malformed_rules_are_refused(void)
{
	auto_arena struct arena a = { 0 };

	expect_str(refusal(&(struct oci_device_rule)RULE(true, "c", 1, 3, "rwx"), &a),
		   "linux.resources.devices[1]: access \"rwx\" is not a set of r, w, m");
	expect_str(refusal(&(struct oci_device_rule)RULE(true, "c", 1, 3, "rr"), &a),
		   "linux.resources.devices[1]: access \"rr\" is not a set of r, w, m");
	expect_str(refusal(&(struct oci_device_rule)RULE(false, "c", 1, 3, ""), &a), "linux.resources.devices[1]: access is empty");
	expect_str(refusal(&(struct oci_device_rule)RULE(true, "c", 1, 3, NULL), &a),
		   "linux.resources.devices[1]: access is missing");
	expect_str(refusal(&(struct oci_device_rule)RULE(false, "c", 1, 3, NULL), &a), "accepted");
	expect_str(refusal(&(struct oci_device_rule)RULE(true, "u", 1, 3, "r"), &a),
		   "linux.resources.devices[1]: type \"u\" is not a, b or c");
	expect_str(refusal(&(struct oci_device_rule)RULE(true, "", 1, 3, "r"), &a),
		   "linux.resources.devices[1]: type \"\" is not a, b or c");
	expect_str(refusal(&(struct oci_device_rule)RULE(true, "c", -2, 3, "r"), &a),
		   "linux.resources.devices[1]: major -2 is neither a device number nor -1");
	expect_str(refusal(&(struct oci_device_rule)RULE(true, "c", 1, 4294967295, "r"), &a),
		   "linux.resources.devices[1]: minor 4294967295 is neither a device number nor -1");
}

static void rules_of(struct oci_device_rule *v, size_t n, struct arena *a, struct cg_dev_rules *out)
{
	struct err e;

	expect(cg_device_rules(&(struct oci_device_rule_list){ v, n }, a, out, &e) == 0);
}

static void no_rules_means_the_defaults_only(void)
{
	auto_arena struct arena a = { 0 };
	struct cg_dev_rules rules;

	rules_of(NULL, 0, &a, &rules);
	expect(by_reference(&rules, 'c', 1, 3, CG_DEV_ALL));
	expect(by_reference(&rules, 'c', 10, 200, CG_DEV_ALL));
	expect(by_reference(&rules, 'c', 136, 77, CG_DEV_ALL));
	expect(by_reference(&rules, 'b', 8, 0, CG_DEV_MKNOD));
	expect(!by_reference(&rules, 'b', 8, 0, CG_DEV_READ));
	expect(!by_reference(&rules, 'c', 1, 1, CG_DEV_READ));
}

static void a_list_without_deny_all_opens_nothing_else(void)
{
	struct oci_device_rule v[] = { RULE(true, "c", 10, 229, "rw") };
	auto_arena struct arena a = { 0 };
	struct cg_dev_rules rules;

	rules_of(v, 1, &a, &rules);
	expect(by_reference(&rules, 'c', 10, 229, CG_DEV_READ | CG_DEV_WRITE));
	expect(!by_reference(&rules, 'b', 8, 0, CG_DEV_READ));
}

static void defaults_survive_deny_all_but_not_an_explicit_denial(void)
{
	struct oci_device_rule v[] = { RULE(true, "b", 8, 0, "r"),
				       { .allow = false, .access = "mwr" },
				       RULE(false, "c", 1, 5, "rwm") };
	auto_arena struct arena a = { 0 };
	struct cg_dev_rules rules;

	rules_of(v, 3, &a, &rules);
	expect(by_reference(&rules, 'c', 1, 3, CG_DEV_ALL));
	expect(!by_reference(&rules, 'c', 1, 5, CG_DEV_READ));
	expect(!by_reference(&rules, 'b', 8, 0, CG_DEV_READ));
}

static void allow_all_at_the_end_needs_no_filter(void)
{
	struct oci_device_rule v[] = { RULE(false, "c", 1, 5, "rwm"), { .allow = true, .access = "rwm" } };
	auto_arena struct arena a = { 0 };
	struct cg_dev_rules rules;

	rules_of(v, 2, &a, &rules);
	expect(rules.n == 0);
}

static void type_a_with_a_number_is_not_everything(void)
{
	struct oci_device_rule v[] = { RULE(true, "a", 8, -1, "r"), RULE(true, "a", -1, -1, "m") };
	auto_arena struct arena a = { 0 };
	struct cg_dev_rules rules;

	rules_of(v, 2, &a, &rules);
	expect(by_reference(&rules, 'b', 8, 3, CG_DEV_READ) && by_reference(&rules, 'c', 8, 3, CG_DEV_READ));
	expect(!by_reference(&rules, 'b', 9, 3, CG_DEV_READ) && !by_reference(&rules, 'b', 8, 3, CG_DEV_WRITE));
}

static int plan_v1(const struct cg_dev_rules *rules, struct arena *a, struct cg_builder *b, struct err *e)
{
	static const struct cgroup_dir dir = { "devices", "/m", "/m/x", false };

	*b = (struct cg_builder){ .arena = a };
	return cg_plan_devices_v1(b, &dir, rules, false, e);
}

static void v1_writes_deny_all_first_and_then_exceptions(void)
{
	struct oci_device_rule v[] = { { .allow = false },
				       RULE(true, "c", 10, 229, "rwm"),
				       RULE(true, "b", 8, -1, "r"),
				       RULE(false, "c", 1, 5, "rwm"),
				       RULE(false, "c", 10, 229, "m") };
	auto_arena struct arena a = { 0 };
	struct strbuf out = STRBUF(&a);
	struct cg_dev_rules rules;
	struct cg_builder b;
	struct err e;

	rules_of(v, 5, &a, &rules);
	expect(plan_v1(&rules, &a, &b, &e) == 0);
	for (size_t i = 0; i < b.n; i++)
		strbuf_printf(&out, "%s %s%s\n", b.writes[i].file, b.writes[i].text, b.writes[i].may_be_refused ? " ?" : "");
	expect_str(strbuf_str(&out),
		   "devices.deny a\n"
		   "devices.allow c *:* m ?\ndevices.allow b *:* m ?\ndevices.allow c 1:3 rwm ?\ndevices.allow c 1:7 rwm ?\n"
		   "devices.allow c 1:8 rwm ?\ndevices.allow c 1:9 rwm ?\ndevices.allow c 5:0 rwm ?\ndevices.allow c 5:2 rwm ?\n"
		   "devices.allow c 136:* rwm ?\ndevices.allow c 10:200 rwm ?\ndevices.allow c 10:229 rw\ndevices.allow b 8:* r\n");
}

static void v1_refuses_a_hole_in_a_wider_rule(void)
{
	struct oci_device_rule v[] = { { .allow = false }, RULE(true, "c", 10, -1, "rw"), RULE(false, "c", 10, 5, "w") };
	struct oci_device_rule w[] = { { .allow = true, .access = "rwm" },
				       RULE(false, "c", -1, -1, "w"),
				       RULE(true, "c", 1, 3, "w") };
	auto_arena struct arena a = { 0 };
	struct cg_dev_rules rules;
	struct cg_builder b;
	struct err e;

	rules_of(v, 3, &a, &rules);
	expect(plan_v1(&rules, &a, &b, &e) == -ENOTSUP);
	expect_str(e.text, "linux.resources.devices[2]: the cgroup v1 devices controller cannot take a part out of a wider rule");
	rules_of(w, 3, &a, &rules);
	expect(plan_v1(&rules, &a, &b, &e) == -ENOTSUP);
}

static uint64_t seed = 1;

static unsigned pick(unsigned n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(seed >> 33) % n;
}

static struct oci_device_rule random_rule(void)
{
	static const char *const types[] = { "a", "b", "c", "c" }, *const accesses[] = { "r", "w", "m", "rw", "rm", "wm", "rwm" };
	struct oci_device_rule r = RULE(pick(2), types[pick(4)], (int64_t)pick(4) - 1, (int64_t)pick(4) - 1, accesses[pick(7)]);

	return r;
}

/* One set of rules, every access to each of a few devices. */
static unsigned compare(const struct cg_dev_rules *rules, struct arena *a)
{
	size_t n;
	const struct bpf_insn *prog = cg_device_program(rules, a, &n);
	struct cg_builder b;
	struct err e;
	bool v1 = plan_v1(rules, a, &b, &e) == 0;

	for (unsigned d = 0; d < 2 * 4 * 6; d++) {
		char type = "bc"[d & 1];
		int64_t major = d / 2 % 4, minor = d / 8;

		for (unsigned access = 1; access <= CG_DEV_ALL; access++)
			expect(by_reference(rules, type, major, minor, access) == by_program(prog, n, type, major, minor, access));
		for (unsigned bit = 1; v1 && bit < 3; bit++) /* mknod: see the relief in cgroup_exceptions.c */
			expect(by_reference(rules, type, major, minor, bit == 1 ? CG_DEV_READ : CG_DEV_WRITE) ==
			       by_v1(&b, type, major, minor, bit == 1 ? 'r' : 'w'));
	}
	return v1;
}

static void program_and_v1_list_decide_as_the_rules_say(void)
{
	unsigned on_v1 = 0;

	for (int i = 0; i < 3000 && !tap_failed; i++) {
		auto_arena struct arena a = { 0 };
		struct oci_device_rule v[8];
		struct cg_dev_rules rules;
		size_t n = pick(9);

		for (size_t j = 0; j < n; j++)
			v[j] = random_rule();
		rules_of(v, n, &a, &rules);
		on_v1 += compare(&rules, &a);
	}
	expect(on_v1 > 300); /* the other judge was asked often enough */
}

/* Lists in which minor numbers of one major are bits of a word. */
static void programs_with_words_of_bits_decide_as_the_rules_say(void)
{
	static const int minors[] = { -1, 0, 1, 2, 3, 31, 32, 62, 63, 64, 65, 127 };

	for (int i = 0; i < 1000 && !tap_failed; i++) {
		auto_arena struct arena a = { 0 };
		struct oci_device_rule v[16];
		struct cg_dev_rules rules;
		size_t n = pick(17), len;

		for (size_t j = 0; j < n; j++)
			v[j] = (struct oci_device_rule)RULE(pick(8) > 0, pick(8) ? "c" : "b", (int64_t)pick(3), minors[pick(12)],
							    pick(16) ? "rwm" : "m");
		rules_of(v, n, &a, &rules);
		const struct bpf_insn *prog = cg_device_program(&rules, &a, &len);

		for (unsigned d = 0; d < 3 * 140; d++)
			expect(by_reference(&rules, 'c', d % 3, d / 3, CG_DEV_READ) ==
			       by_program(prog, len, 'c', d % 3, d / 3, CG_DEV_READ));
	}
}

/* What Docker sends: the kernel looks at every instruction when a container begins. */
static void usual_rules_are_a_short_program(void)
{
	struct oci_device_rule v[] = {
		RULE(false, "a", -1, -1, "rwm"), RULE(true, "c", -1, -1, "m"), RULE(true, "b", -1, -1, "m"),
		RULE(true, "c", 1, 5, "rwm"),    RULE(true, "c", 1, 3, "rwm"), RULE(true, "c", 1, 9, "rwm"),
		RULE(true, "c", 1, 8, "rwm"),    RULE(true, "c", 5, 0, "rwm"), RULE(true, "c", 5, 1, "rwm"),
		RULE(true, "c", 136, -1, "rwm"), RULE(true, "c", 5, 2, "rwm"), RULE(true, "c", 1, 7, "rwm"),
	};
	auto_arena struct arena a = { 0 };
	struct cg_dev_rules rules;
	size_t n;

	rules_of(v, sizeof(v) / sizeof(v[0]), &a, &rules);
	const struct bpf_insn *prog = cg_device_program(&rules, &a, &n);

	expect(n <= 38);
	expect(by_program(prog, n, 'c', 1, 7, CG_DEV_ALL) && by_program(prog, n, 'c', 10, 200, CG_DEV_READ));
	expect(by_program(prog, n, 'b', 8, 0, CG_DEV_MKNOD) && !by_program(prog, n, 'b', 8, 0, CG_DEV_READ));
	expect(!by_program(prog, n, 'c', 1, 1, CG_DEV_READ) && !by_program(prog, n, 'c', 1, 67, CG_DEV_READ));
}

static void numbers_beyond_any_device_never_match(void)
{
	struct oci_device_rule v[] = { RULE(true, "b", 4294967290, -1, "rwm") };
	auto_arena struct arena a = { 0 };
	struct cg_dev_rules rules;
	size_t n;

	rules_of(v, 1, &a, &rules);
	const struct bpf_insn *prog = cg_device_program(&rules, &a, &n);

	expect(!by_program(prog, n, 'b', 8, 0, CG_DEV_READ));
}

/* A jump passes over 32,767 instructions at most. */
static void long_lists_are_split(void)
{
	const unsigned n = 20000;
	auto_arena struct arena a = { 0 };
	struct oci_device_rule *v = arena_alloc(&a, n * sizeof(*v));
	struct cg_dev_rules rules;
	size_t len;

	for (unsigned i = 0; i < n; i++)
		v[i] = (struct oci_device_rule)RULE(true, "b", 8, i, "rwm");
	rules_of(v, n, &a, &rules);
	const struct bpf_insn *prog = cg_device_program(&rules, &a, &len);

	expect(by_program(prog, len, 'b', 8, 0, CG_DEV_READ) && by_program(prog, len, 'b', 8, n - 1, CG_DEV_READ));
	expect(!by_program(prog, len, 'b', 8, n, CG_DEV_READ) && !by_program(prog, len, 'b', 9, 0, CG_DEV_READ));
	expect(by_program(prog, len, 'c', 1, 3, CG_DEV_READ) && !by_program(prog, len, 'c', 8, 0, CG_DEV_READ));
}

/* Whoever compares each rule with each other is not done before the test's time is up. */
static void hundreds_of_thousands_of_rules_are_reduced(void)
{
	const unsigned n = 300000;
	auto_arena struct arena a = { 0 };
	struct oci_device_rule *v = arena_alloc(&a, (n + 1) * sizeof(*v));
	struct cg_dev_rules rules, x, left;
	bool by_default;
	struct err e;

	/* A third is allowed, denied again, or allowed less of, one after the other; "any" on either side, never met by the others.
	 */
	for (unsigned i = 0; i < n; i++) {
		unsigned device = i / 3;
		struct oci_device_rule kinds[] = { RULE(true, "c", 300 + device / 256, device % 256, "rw"),
						   RULE(true, "b", 300 + device, -1, "r"), RULE(false, "b", -1, device, "w") };

		v[i] = kinds[i % 3];
		if (device % 2 && i % 3 == 1)
			v[i] = (struct oci_device_rule)RULE(false, "c", 300 + device / 256, device % 256, "w");
	}
	rules_of(v, n, &a, &rules);
	expect(cg_device_exceptions(&rules, &a, &by_default, &x, &e) == 0);
	expect(!by_default && x.n == rules.n - 1 - n / 3 - n / 6); /* without "deny all" and the denials */
	cg_devices_left(&rules, &a, &left);
	expect(left.n == x.n);
	v[n] = (struct oci_device_rule)RULE(false, "b", 300, 5, "r");
	rules_of(v, n + 1, &a, &rules);
	expect(cg_device_exceptions(&rules, &a, &by_default, &x, &e) == -ENOTSUP);
	cg_devices_left(&rules, &a, &left);
	expect(left.n == rules.n - 2 - n / 3 - n / 6);
}

TAP_MAIN(CASE(malformed_rules_are_refused), CASE(no_rules_means_the_defaults_only),
	 CASE(a_list_without_deny_all_opens_nothing_else), CASE(defaults_survive_deny_all_but_not_an_explicit_denial),
	 CASE(allow_all_at_the_end_needs_no_filter), CASE(type_a_with_a_number_is_not_everything),
	 CASE(v1_writes_deny_all_first_and_then_exceptions), CASE(v1_refuses_a_hole_in_a_wider_rule),
	 CASE(program_and_v1_list_decide_as_the_rules_say), CASE(programs_with_words_of_bits_decide_as_the_rules_say),
	 CASE(usual_rules_are_a_short_program), CASE(numbers_beyond_any_device_never_match), CASE(long_lists_are_split),
	 CASE(hundreds_of_thousands_of_rules_are_reduced))
