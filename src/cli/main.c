/* Start-up: whatever our caller left us with, the rest of the program finds descriptors 0 to 2 open. What our caller ignores we
 * ignore, but not the container (proc_plan), and children can be waited for (proc_fork). SIGPIPE is ignored: a reader that went
 * away is an error of the write, with a message. cli.c does the rest for the commands that make files and processes. */
#include "base/fd.h"
#include "base/proc.h"
#include "cli/cli.h"

#include <signal.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct err e;
	int closed = fd_ensure_stdio(&e);

	if (closed < 0)
		return 1;          /* and no descriptor to say so */
	if (!proc_by_descriptor()) /* else it has been done before, and lasts */
		signal(SIGPIPE, SIG_IGN);
	return cli_main(argc, argv, closed & 1 << STDOUT_FILENO);
}
