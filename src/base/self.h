/* self.h - our own executable, out of the container's reach
 *
 * A process that enters a container runs from a sealed memfd copy of the program: whoever opens /proc/PID/exe inside gets a file
 * that nothing can write (CVE-2019-5736 is the class; a read-only bind mount would still share the host's page cache).
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

/* Returns 0 when the program runs from a sealed copy already; else makes one and executes it with the same arguments and
 * environment, and returns only on failure. */
must_check int self_seal(char *const argv[], struct err *e);

/* Waits until fd can be read, or a signal comes, in as little memory as can be: gives back the pages of the program's code and
 * constants, of the stack and of arenas that are not in use; what is used again comes back by itself. */
void self_wait_small(int fd);

/* The path of the executable file that was started, also after sealing; NULL when it is unknown. For finding helper programs. */
const char *self_path(struct arena *a);
