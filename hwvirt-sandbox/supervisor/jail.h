/* jail.h - what the processes of a virtual machine may still do, once they have what they need
 *
 * The steps are those of a container's process (security/security.h). Each process has its list of system calls beside its code; all
 * others kill it.
 */
#pragma once
#include "base/err.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>

enum { JAIL_USER = 65534 }; /* nobody's */

/* One that is allowed when an argument, masked, has this value. */
struct jail_call { const char *name; uint32_t argument; uint64_t mask, value; };

struct jail {
	const char *const *calls;      /* NULL-terminated */
	const struct jail_call *rules; /* further ones; the last has no name */
	uint64_t caps;                 /* bits; 0: none, and it becomes JAIL_USER */
};

/* Of the supervisor (loop.c), the machine and the file server (machine.c), and of what stands for a process of exec's (exec.c). */
extern const struct jail supervisor_jail, machine_jail, file_jail, exec_jail;

/* Threads, and nothing else, of clone(2); clone3(2), whose flags a filter cannot see, is refused, so that libc takes the other. */
#define JAIL_THREADS    { "clone", 0, 0x7e0300ff, 0x10000 } /* CLONE_THREAD, no CLONE_NEW* */
#define JAIL_IOCTLS(of) { "ioctl", 1, 0xff00, (uint64_t)(of) << 8 } /* of a type */
#define JAIL_PRCTL(of)  { "prctl", 0, UINT32_MAX, (of) }
/* Commands 0 to 7: flags, and record locks; and a copy. Not the one that names who is to get a signal, and which. */
#define JAIL_FCNTL      { "fcntl", 1, UINT32_MAX - 7, 0 }, { "fcntl", 1, UINT32_MAX, F_DUPFD_CLOEXEC }
/* Memory, but none that holds code. */
#define JAIL_MEMORY     { "mmap", 2, PROT_EXEC, 0 }, { "mprotect", 2, PROT_EXEC, 0 }

/* Own mount, network, ipc, uts and cgroup namespaces; the root is a new file system, of which it returns a descriptor: writable, and
 * attached at `cover`, until jail_change_root(). */
must_check int jail_new_root(struct err *e);
/* Makes it read-only and the only one. */
must_check int jail_change_root(int root_fd, struct err *e);

/* The last step, in a process with one thread. */
must_check int jail_enter(const struct jail *j, struct err *e);

/* All of it, with a root in which nothing is; and as jail_die_with(), which another user would have undone. */
must_check int jail_process(const struct jail *j, int channel_fd, struct err *e);

/* The process dies with its parent, of which channel_fd leads to a socket: when that has ended, EPIPE. */
must_check int jail_die_with(int channel_fd, struct err *e);
