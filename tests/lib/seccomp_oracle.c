#include "seccomp_oracle.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define X32_BIT   0x40000000u
#define TO_FILTER 0xff /* jump offset, replaced when the length is known; no block reaches so far */

enum { X86_64, X32, X86, ARCHES };

static const struct {
	const char *name;
	uint32_t token;
} arches[ARCHES] = { { "SCMP_ARCH_X86_64", SCMP_ARCH_X86_64 },
		     { "SCMP_ARCH_X32", SCMP_ARCH_X32 },
		     { "SCMP_ARCH_X86", SCMP_ARCH_X86 } };

struct build {
	const struct oci_seccomp *profile;
	scmp_filter_ctx ctx;
	uint32_t default_action;
	bool in_filter[ARCHES];
	int last[ARCHES]; /* highest number that the profile names, -1: none */
};

bool oracle_knows(const char *name)
{
	return seccomp_syscall_resolve_name(name) != __NR_SCMP_ERROR;
}

static uint32_t action_of(int action, const struct opt_u64 *given)
{
	uint16_t value = given->set ? (uint16_t)given->value : EPERM;

	switch (action) {
	case OCI_ACT_KILL_PROCESS:
		return SCMP_ACT_KILL_PROCESS;
	case OCI_ACT_TRAP:
		return SCMP_ACT_TRAP;
	case OCI_ACT_ERRNO:
		return SCMP_ACT_ERRNO(value);
	case OCI_ACT_TRACE:
		return SCMP_ACT_TRACE(value);
	case OCI_ACT_ALLOW:
		return SCMP_ACT_ALLOW;
	case OCI_ACT_LOG:
		return SCMP_ACT_LOG;
	case OCI_ACT_NOTIFY:
		return SCMP_ACT_NOTIFY;
	default:
		return SCMP_ACT_KILL_THREAD;
	}
}

/* ---- rules ---- */

static struct scmp_arg_cmp arg_of(const struct oci_syscall_arg *a)
{
	static const enum scmp_compare ops[] = { [OCI_CMP_NE] = SCMP_CMP_NE,
						 [OCI_CMP_LT] = SCMP_CMP_LT,
						 [OCI_CMP_LE] = SCMP_CMP_LE,
						 [OCI_CMP_EQ] = SCMP_CMP_EQ,
						 [OCI_CMP_GE] = SCMP_CMP_GE,
						 [OCI_CMP_GT] = SCMP_CMP_GT,
						 [OCI_CMP_MASKED_EQ] = SCMP_CMP_MASKED_EQ };

	return (struct scmp_arg_cmp){ .arg = a->index, .op = ops[a->op], .datum_a = a->value, .datum_b = a->value_two };
}

static bool is_alternatives(const struct oci_syscall_arg_list *args)
{
	unsigned seen = 0, all = 0;

	for (size_t i = 0; i < args->n; all |= 1u << args->v[i++].index)
		seen |= all & 1u << args->v[i].index;
	return seen;
}

static int add_rules(struct build *b, const struct oci_syscall *s, uint32_t action, int number)
{
	bool alternatives = is_alternatives(&s->args);
	struct scmp_arg_cmp args[64];
	int r = 0;

	for (size_t i = 0; i < s->args.n; i++)
		args[i] = arg_of(&s->args.v[i]);
	if (!alternatives)
		r = seccomp_rule_add_array(b->ctx, action, number, (unsigned)s->args.n, args);
	for (size_t i = 0; alternatives && i < s->args.n && (r == 0 || r == -EDOM); i++)
		r = seccomp_rule_add_array(b->ctx, action, number, 1, &args[i]);
	return r == -EDOM ? 0 : r; /* none of the architectures has it */
}

static int add_syscalls(struct build *b)
{
	int r = 0;

	for (size_t i = 0; i < b->profile->syscalls.n && r == 0; i++) {
		const struct oci_syscall *s = &b->profile->syscalls.v[i];
		uint32_t action = action_of(s->action, &s->errno_ret);

		for (size_t k = 0; k < s->names.n && r == 0 && action != b->default_action; k++) {
			int number = seccomp_syscall_resolve_name(s->names.v[k]);

			r = number == __NR_SCMP_ERROR ? 0 : add_rules(b, s, action, number);
		}
	}
	return r;
}

static int add_arches(struct build *b)
{
	int r = 0;

	b->in_filter[X86_64] = true;
	for (size_t i = 0; i < b->profile->architectures.n; i++)
		for (int a = 0; a < ARCHES; a++)
			b->in_filter[a] |= !strcmp(arches[a].name, b->profile->architectures.v[i]);
	for (int a = X86_64 + 1; a < ARCHES && r == 0; a++)
		r = b->in_filter[a] ? seccomp_arch_add(b->ctx, arches[a].token) : 0;
	return r;
}

/* ---- ENOSYS ---- */

/* On x86 libseccomp gives what once went through socketcall(2) and ipc(2) made-up numbers, -101.. and -201.. */
static int number_of(uint32_t token, const char *name)
{
	int n = seccomp_syscall_resolve_name_arch(token, name);

	if (token == SCMP_ARCH_X86 && n <= -101 && n >= -120)
		return 373;
	if (token == SCMP_ARCH_X86 && n <= -201 && n >= -224)
		return 402;
	return n;
}

static int last_of(const struct oci_seccomp *p, uint32_t token)
{
	int last = -1;

	for (size_t i = 0; i < p->syscalls.n; i++)
		for (size_t k = 0; k < p->syscalls.v[i].names.n; k++) {
			int n = number_of(token, p->syscalls.v[i].names.v[k]);

			last = n > last ? n : last;
		}
	return last;
}

static bool wants_enosys(const struct build *b)
{
	return b->default_action != SCMP_ACT_ALLOW && b->default_action != SCMP_ACT_LOG &&
	       b->default_action != SCMP_ACT_ERRNO(ENOSYS) && b->profile->default_action != OCI_ACT_TRACE;
}

static void put(struct oracle *o, unsigned code, unsigned char jt, unsigned char jf, uint32_t k)
{
	o->insns[o->n++] = (struct sock_filter){ (unsigned short)code, jt, jf, k };
}

/* if A != audit goto next; A = nr; go to the filter with what the profile knows; return ERRNO(ENOSYS); next: */
static void put_arch(struct oracle *o, uint32_t audit, int last, int last_x32)
{
	size_t at = o->n;

	if (last < 0 && last_x32 < 0)
		return;
	put(o, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, audit);
	put(o, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
	if (audit == AUDIT_ARCH_X86_64 && last_x32 >= 0) {
		put(o, BPF_JMP | BPF_JGE | BPF_K, 0, last >= 0 ? 1 : TO_FILTER, X32_BIT);
		put(o, BPF_JMP | BPF_JGT | BPF_K, last >= 0 ? 1 : 0, TO_FILTER, (uint32_t)last_x32);
	} else if (audit == AUDIT_ARCH_X86_64) {
		put(o, BPF_JMP | BPF_JGE | BPF_K, TO_FILTER, 0, X32_BIT);
	}
	if (last >= 0)
		put(o, BPF_JMP | BPF_JGT | BPF_K, 0, TO_FILTER, (uint32_t)last);
	put(o, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS);
	o->insns[at].jf = (unsigned char)(o->n - at - 1);
}

static void put_enosys(const struct build *b, struct oracle *o)
{
	int last[ARCHES];

	for (int a = 0; a < ARCHES; a++)
		last[a] = b->in_filter[a] ? last_of(b->profile, arches[a].token) : -1;
	put(o, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, arch));
	put_arch(o, AUDIT_ARCH_X86_64, last[X86_64], last[X32]);
	put_arch(o, AUDIT_ARCH_I386, last[X86], -1);
	for (size_t i = 0; i < o->n; i++) {
		unsigned char rest = (unsigned char)(o->n - i - 1);

		o->insns[i].jt = o->insns[i].jt == TO_FILTER ? rest : o->insns[i].jt;
		o->insns[i].jf = o->insns[i].jf == TO_FILTER ? rest : o->insns[i].jf;
	}
}

/* ---- */

static int export_program(const struct build *b, struct oracle *o)
{
	int fd = memfd_create("oracle", MFD_CLOEXEC), r = seccomp_export_bpf(b->ctx, fd);
	ssize_t n = r < 0 ? r : pread(fd, o->insns + o->n, sizeof(o->insns) - o->n * sizeof(o->insns[0]), 0);

	close(fd);
	if (n > 0)
		o->n += (size_t)n / sizeof(o->insns[0]);
	return n > 0 ? 0 : r < 0 ? r : -EIO;
}

int oracle_compile(const struct oci_seccomp *s, struct oracle *out)
{
	struct build b = { .profile = s, .default_action = action_of(s->default_action, &s->default_errno_ret) };
	int r;

	out->n = 0;
	b.ctx = seccomp_init(b.default_action);
	if (!b.ctx)
		return -EINVAL;
	r = add_arches(&b);
	r = r < 0 ? r : add_syscalls(&b);
	if (r == 0 && wants_enosys(&b))
		put_enosys(&b, out);
	r = r < 0 ? r : export_program(&b, out);
	seccomp_release(b.ctx);
	return r;
}
