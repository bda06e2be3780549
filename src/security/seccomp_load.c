/* seccomp_load.c - installing a compiled filter
 *
 * Theory of operation: what runs inside the container gets finished BPF and needs one system call, no library. All flags were
 * checked when the profile was compiled.
 */
#include "security/internal.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

bool filter_flag_supported(unsigned flag)
{
	/* Flags are looked at before the program: with a program at address zero, a known flag gives EFAULT. This one flag is only
	 * known together with a listener. */
	unsigned with = flag == 1u << 5 ? (unsigned)SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flag | with, NULL) < 0 && errno != EINVAL;
}

int filter_load(const struct sec_filter *f, struct err *e)
{
	unsigned flags = f->flags | (f->notify ? (unsigned)SECCOMP_FILTER_FLAG_NEW_LISTENER : 0);
	struct sock_fprog prog = { .len = f->n, .filter = (struct sock_filter *)(uintptr_t)f->insns };
	long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);

	if (r >= 0)
		return (int)r;
	if (errno == EACCES)
		return err_errno(e, "linux.seccomp: loading a filter takes process.noNewPrivileges or CAP_SYS_ADMIN");
	if (errno == EBUSY && f->notify)
		return err_errno(e, "linux.seccomp: the process already has a filter with a listener");
	return err_errno(e, "linux.seccomp: loading the filter");
}
