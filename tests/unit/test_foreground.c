/* test_foreground.c - what stands between a process and its caller, where everything happens at the same moment */
#include "container/internal.h"
#include "tap.h"

#include "base/fd.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* The master of a terminal that changes nothing of what is written to it. */
static int open_terminal(int *slave)
{
	struct termios raw;
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
		_exit(2);
	*slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*slave < 0 || tcgetattr(*slave, &raw) < 0)
		_exit(2);
	cfmakeraw(&raw);
	if (tcsetattr(*slave, TCSANOW, &raw) < 0)
		_exit(2);
	return master;
}

/* A process that has written to the terminal and is dead, but not reaped. */
static pid_t dead_writer(int slave)
{
	siginfo_t info;
	pid_t pid = fork();

	if (pid == 0)
		_exit(write(slave, "words", 5) == 5 ? 7 : 2);
	if (pid < 0 || waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0)
		_exit(2);
	return pid;
}

/* Standard output becomes a pipe that takes nothing more, and that nobody reads. */
static void block_output(void)
{
	char byte = 0;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0 || fcntl(ends[1], F_SETFL, O_NONBLOCK) < 0)
		_exit(2);
	while (write(ends[1], &byte, 1) == 1)
		;
	if (errno != EAGAIN || fcntl(ends[1], F_SETFL, 0) < 0 || dup2(ends[1], STDOUT_FILENO) < 0)
		_exit(2);
}

/* In a process of its own, since its signals stay blocked. Ends with the status of the one that is waited for. */
static _Noreturn void wait_for_a_dead_one_whom_a_signal_is_for(void)
{
	const struct notify nobody = NOTIFY_NONE;
	struct err e;
	int slave, master = open_terminal(&slave), input = open("/dev/null", O_RDONLY);
	pid_t pid = dead_writer(slave);
	int pidfd = sys_pidfd_open(pid);

	block_output();
	if (pidfd < 0 || dup2(input, STDIN_FILENO) < 0 || hold_signals(&e) < 0 || kill(getpid(), SIGTERM) < 0)
		_exit(2);
	_exit(wait_foreground(pid, pidfd, master, false, &nobody, &e));
}

/* The process is dead, its output is there, nobody reads ours, and the signal that is to end us has come: all is seen at once. */
static void a_signal_that_comes_with_the_end_ends_the_wait_for_the_reader(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		wait_for_a_dead_one_whom_a_signal_is_for();
	alarm(60);
	expect(pid > 0 && waitpid(pid, &status, 0) == pid);
	alarm(0);
	expect(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

TAP_MAIN(CASE(a_signal_that_comes_with_the_end_ends_the_wait_for_the_reader))
