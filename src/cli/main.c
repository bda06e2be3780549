/* Start-up: whatever our caller left us with, the rest of the program finds descriptors 0 to 2 open, default signal actions with
 * nothing blocked, and a known umask. SIGPIPE and SIGXFSZ are ignored: a reader that went away, or a limit on
 * file sizes, is an error of the write, with a message. */
#include "base/fd.h"
#include "base/proc.h"
#include "cli/cli.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	bool stdout_closed = fcntl(STDOUT_FILENO, F_GETFD) < 0;
	struct err e;

	if (fd_ensure_stdio(&e) < 0)
		return 1; /* and no descriptor to say so */
	proc_reset_signals();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	umask(022);
	return cli_main(argc, argv, stdout_closed);
}
