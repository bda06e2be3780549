/* seccomp_stub.c - ENOSYS for system calls the profile's author cannot have known
 *
 * Theory of operation: a deny-by-default profile answers EPERM to whatever it does not list. For a system call that is younger than
 * the profile that is the wrong answer: C libraries probe for new calls and fall back on ENOSYS only. System call numbers grow with
 * time, so whatever is above the highest number the profile names (for that architecture) is taken to be unknown to it. The test is
 * a short program in front of the real filter:
 *
 *	A = arch
 *	if A != ARCH1 goto next         one block per architecture
 *	A = nr
 *	if A >= X32_BIT goto ...        x86_64 only: x32 shares its arch value; unless the profile lists x32 the filter kills it
 *	if A <= last goto filter
 *	return ERRNO(ENOSYS)
 * next: ...
 * filter:                              which loads arch anew
 */
#include "security/internal.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>

#define X32_BIT   0x40000000u
#define TO_FILTER 0xff /* jump offset, replaced when the length is known; no block reaches so far */

struct program {
	struct sock_filter *v;
	size_t n;
};

static void put(struct program *p, unsigned code, unsigned char jt, unsigned char jf, uint32_t k)
{
	p->v[p->n++] = (struct sock_filter){ (unsigned short)code, jt, jf, k };
}

/* The tests on the number, in A, and the refusal; at most 4 instructions. */
static void put_number_tests(struct program *p, const struct stub_arch *a)
{
	bool has_x32 = a->audit_arch == AUDIT_ARCH_X86_64;

	if (has_x32 && a->last_x32 >= 0) {
		/* An x32 call below its last goes to the filter; others to the test of plain numbers, or on to the refusal. */
		put(p, BPF_JMP | BPF_JGE | BPF_K, 0, a->last >= 0 ? 1 : TO_FILTER, X32_BIT);
		put(p, BPF_JMP | BPF_JGT | BPF_K, a->last >= 0 ? 1 : 0, TO_FILTER, (uint32_t)a->last_x32);
	} else if (has_x32) {
		put(p, BPF_JMP | BPF_JGE | BPF_K, TO_FILTER, 0, X32_BIT);
	}
	if (a->last >= 0)
		put(p, BPF_JMP | BPF_JGT | BPF_K, 0, TO_FILTER, (uint32_t)a->last);
	put(p, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS);
}

size_t stub_make(const struct stub_arch *arch, size_t n, struct sock_filter *out)
{
	struct program p = { out, 0 };

	for (size_t i = 0; i < n; i++) {
		if (arch[i].last < 0 && arch[i].last_x32 < 0)
			continue; /* the profile names nothing here: no way to tell how old it is */
		if (p.n == 0)
			put(&p, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, arch));
		size_t at = p.n;

		put(&p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, arch[i].audit_arch);
		put(&p, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
		put_number_tests(&p, &arch[i]);
		p.v[at].jf = (unsigned char)(p.n - at - 1);
	}
	for (size_t i = 0; i < p.n; i++) {
		unsigned char rest = (unsigned char)(p.n - i - 1);

		p.v[i].jt = p.v[i].jt == TO_FILTER ? rest : p.v[i].jt;
		p.v[i].jf = p.v[i].jf == TO_FILTER ? rest : p.v[i].jf;
	}
	return p.n;
}
