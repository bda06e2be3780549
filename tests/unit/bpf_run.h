/* bpf_run.h - an interpreter of the BPF that seccomp accepts */
#pragma once
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t bpf_load(const struct seccomp_data *d, uint32_t offset)
{
	uint32_t v;

	if (offset > sizeof(*d) - sizeof(v) || offset % 4)
		return 0xdeadbeef;
	memcpy(&v, (const char *)d + offset, sizeof(v));
	return v;
}

static inline bool bpf_jumps(const struct sock_filter *i, uint32_t a)
{
	switch (BPF_OP(i->code)) {
	case BPF_JEQ:
		return a == i->k;
	case BPF_JGT:
		return a > i->k;
	case BPF_JGE:
		return a >= i->k;
	default:
		return a & i->k; /* BPF_JSET */
	}
}

/* The filter's answer; UINT32_MAX when it runs off its end or uses something it should not. */
static inline uint32_t bpf_run(const struct sock_filter *v, size_t n, const struct seccomp_data *d)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < n; pc++) {
		const struct sock_filter *i = &v[pc];

		if (i->code == (BPF_LD | BPF_W | BPF_ABS))
			a = bpf_load(d, i->k);
		else if (i->code == (BPF_RET | BPF_K))
			return i->k;
		else if (i->code == (BPF_JMP | BPF_JA))
			pc += i->k;
		else if (i->code == (BPF_ALU | BPF_AND | BPF_K))
			a &= i->k;
		else if (BPF_CLASS(i->code) == BPF_JMP)
			pc += bpf_jumps(i, a) ? i->jt : i->jf;
		else
			return UINT32_MAX;
	}
	return UINT32_MAX;
}
