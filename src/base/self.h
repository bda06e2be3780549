/* self.h - our own executable, out of the container's reach
 *
 * Whoever opens /proc/PID/exe of a process that enters a container gets a sealed memfd, which nothing can write (CVE-2019-5736 is the
 * class; a read-only bind mount would still let it read the pages that the host's file has). Either it is empty, and the program's
 * pages are mapped by a read-only mount that is attached nowhere; or it is a copy of the program, and the program runs from that.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>

/* Makes self_leave() possible, before a command does anything. Where the kernel does not let us, it makes a copy and executes that
 * with the same arguments and environment; called again from there it returns 0, and there is nothing to leave. argv: what main() got,
 * borrowed for ever. lowest: no descriptor with a number below it is kept open. */
must_check int self_prepare(char *const argv[], int lowest, struct err *e);

/* Makes it so for this process, and for those that it forks: before anything in a container can look at it. Again: nothing. named: so
 * that self_path() still works. */
must_check int self_leave(bool named, struct err *e);

/* Closes what that needed, in a process that will not leave, or whose children have. The kernel takes its time for it. */
void self_tidy(void);

/* Waits until fd can be read, or a signal comes, in as little memory as can be: gives back the pages of the program's code and
 * constants, of the stack and of arenas that are not in use; what is used again comes back by itself. */
void self_wait_small(int fd);

/* The path of the executable file that was started, also after sealing; NULL when it is unknown. For finding helper programs. */
const char *self_path(struct arena *a);
