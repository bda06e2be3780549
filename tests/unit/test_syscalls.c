/* The table of system calls against libseccomp's. */
#include "security/syscalls.h"
#include "tap.h"

#include <seccomp.h>
#include <stdlib.h>

#define CALLS_KNOWN 400 /* there are more */

static const uint32_t tokens[ABIS] = { [ABI_X86_64] = SCMP_ARCH_X86_64, [ABI_X32] = SCMP_ARCH_X32, [ABI_I386] = SCMP_ARCH_X86 };

static int bit_of(enum abi abi)
{
	return abi == ABI_X32 ? (int)X32_BIT : 0;
}

static void every_number_of_libseccomp_is_ours(void)
{
	for (int abi = 0; abi < ABIS; abi++) {
		size_t n, known = 0;
		const uint16_t *calls = syscall_table((enum abi)abi, &n);

		for (int nr = 0; nr < NR_MAX; nr++) {
			char *name = seccomp_syscall_resolve_num_arch(tokens[abi], nr | bit_of((enum abi)abi));

			if (!name)
				continue;
			known++;
			expect((size_t)nr < n && calls[nr] != CALL_NONE);
			if ((size_t)nr < n && calls[nr] != CALL_NONE)
				expect_str(syscall_name(calls[nr]), name);
			free(name);
		}
		expect(known > 300);
	}
}

/* Where libseccomp is older than the table, it knows nothing of the call. */
static void no_number_of_ours_is_another_call_there(void)
{
	for (int abi = 0; abi < ABIS; abi++) {
		size_t n;
		const uint16_t *calls = syscall_table((enum abi)abi, &n);

		expect(n < NR_MAX);
		for (size_t nr = 0; nr < n; nr++) {
			if (calls[nr] == CALL_NONE)
				continue;
			const char *name = syscall_name(calls[nr]);
			char *theirs = seccomp_syscall_resolve_num_arch(tokens[abi], (int)nr | bit_of((enum abi)abi));

			expect(theirs || seccomp_syscall_resolve_name(name) == __NR_SCMP_ERROR);
			free(theirs);
		}
	}
}

static void names_are_found(void)
{
	for (int abi = 0; abi < ABIS; abi++) {
		size_t n;
		const uint16_t *calls = syscall_table((enum abi)abi, &n);

		for (size_t nr = 0; nr < n; nr++)
			expect(calls[nr] == CALL_NONE || syscall_find(syscall_name(calls[nr]), -1) == calls[nr]);
	}
	expect(syscall_find("", -1) == -1);
	expect(syscall_find("rea", -1) == -1 && syscall_find("readd", -1) == -1);
	expect(syscall_find("a name that is longer than any of a system call and is none", -1) == -1);
}

/* Whatever the call before it was. */
static void names_are_found_behind_any_call(void)
{
	for (int call = 0; call < CALLS_KNOWN; call++)
		for (int before = -1; before <= CALLS_KNOWN; before++)
			expect(syscall_find(syscall_name((unsigned)call), before) == call);
	for (int before = -1; before <= CALLS_MAX; before++)
		expect(syscall_find("none", before) == -1);
}

/* libseccomp numbers the parts of socketcall(2) from -101 down, those of ipc(2) from -201. */
static void the_multiplexed_are_the_same(void)
{
	size_t n, found = 0;
	const uint16_t *calls = syscall_multiplexed(&n);

	for (int pseudo = -300; pseudo < -100; pseudo++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86, pseudo);
		unsigned sub = 0;
		int call = name ? syscall_find(name, -1) : -1;

		if (!name)
			continue;
		found++;
		expect(call >= 0 && syscall_via((unsigned)call, &sub) == (pseudo > -200 ? VIA_SOCKETCALL : VIA_IPC));
		expect((int)sub == -pseudo % 100);
		free(name);
	}
	expect(found == n && n == 32);
	for (size_t i = 1; i < n; i++)
		expect(calls[i - 1] < calls[i]);
	expect(syscall_table(ABI_I386, &n)[NR_SOCKETCALL] == syscall_find("socketcall", -1));
	expect(syscall_table(ABI_I386, &n)[NR_IPC] == syscall_find("ipc", -1));
}

TAP_MAIN(CASE(every_number_of_libseccomp_is_ours), CASE(no_number_of_ours_is_another_call_there), CASE(names_are_found),
	 CASE(names_are_found_behind_any_call), CASE(the_multiplexed_are_the_same))
