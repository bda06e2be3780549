/* proc.h - processes: creation, identity, signals, waiting */
#pragma once
#include "base/err.h"
#include "base/fd.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* clone3(2) like fork(2): returns 0 in the child, the pid in the parent, -errno with *e set on failure. flags: SYS_CLONE_*.
 * *pidfd (may be NULL) receives a close-on-exec pidfd in the parent. cgroup_fd >= 0 (borrowed) adds CLONE_INTO_CGROUP. */
must_check pid_t proc_fork(uint64_t flags, int *pidfd, int cgroup_fd, struct err *e);

/* clone3(2) like vfork(2): the child calls run(arg) and ends with what that returns; until it has ended, or executed a program, the
 * caller stands still. Returns its pid, which is still to be waited for; -errno with *e set on failure. With SYS_CLONE_VM among the flags
 * it works in the caller's memory: what it writes stays, and what it takes there it must give back. Its descriptors are always its own, but
 * the variables that hold them are not: auto_fd only for copies of them. */
must_check pid_t proc_vfork(uint64_t flags, int cgroup_fd, int (*run)(void *arg), void *arg, struct err *e);

/* Field 22 of /proc/PID/stat: clock ticks after boot at which the process started; with the pid it is an identity.
 * *zombie (may be NULL) tells whether it has ended and only waits to be reaped. ESRCH no such process. later as for fd_pile_put(). */
must_check int proc_start_time(struct fd_pile *later, pid_t pid, uint64_t *ticks, bool *zombie, struct err *e);

/* 1 when the process has executed a program since it was forked, also when that has ended but is not reaped; else 0. ESRCH.
 * Then *signal is what ended it, 0 when nothing did (or we may not trace it, and are not told). */
must_check int proc_has_executed(pid_t pid, int *signal, struct err *e);

/* Opens a pidfd and checks that it is the process that started at `ticks`. ESRCH: that process is gone (or is a zombie). */
must_check int proc_open_exact(pid_t pid, uint64_t ticks, struct err *e);

/* Waits for a child; returns its exit status as a shell shows it: 0-255, or 128 + signal. */
must_check int proc_wait(pid_t pid, struct err *e);

/* The exit status, as proc_wait() gives it, of a process that need not be a child. ENODATA: the kernel does not tell, or not yet: of
 * one that its parent has not reaped it is /proc that tells (pid, known to be the one that started at `ticks`), to whom may trace it; of
 * one that was, the pidfd (Linux 6.15). */
must_check int proc_exit_status(int pidfd, struct err *e);
must_check int proc_zombie_status(pid_t pid, uint64_t ticks, struct err *e);

/* Waits until the process behind pidfd has ended, at most timeout_ms (-1: for ever). Returns 1 ended, 0 timed out. */
must_check int proc_wait_fd(int pidfd, int timeout_ms, struct err *e);

/* Gives the signals of a set (bit 0 is signal 1) their default action, and unblocks all. A program expects that of all signals,
 * whatever our caller did; but only those that were ignored need it, since execve(2) itself undoes handlers. */
void proc_reset_signals(uint64_t which);
#define PROC_SIGNAL(sig)   (1ull << ((sig) - 1))
#define PROC_SIGNALS_ALL   (~0ull)

/* The effective user id that the program began with, without asking the kernel. */
uid_t proc_euid(void);

/* Has the program been executed by a descriptor of it, as its sealed copy is? The kernel's word, but a caller can do it, too. */
bool proc_by_descriptor(void);

/* In the first user namespace, or in a kernel that has no others. Looked at once. */
bool proc_in_initial_userns(void);

/* Monotonic milliseconds. */
int64_t clock_ms(void);
