/* reaper.c - runs a command and adopts every process that its descendants leave behind
 *
 *	reaper COMMAND [ARGS]...
 *
 * The command finds the adopting process in $REAPER_PID: an orphan that is a child of it was left behind. What is still alive when
 * the command ends is reported on stderr and killed, and the status is then 1; else it is the command's.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int wait_for(pid_t child)
{
	int status = 0;

	for (;;) {
		pid_t pid = wait(&status);
		if (pid == child)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		if (pid < 0 && errno != EINTR)
			return 1;
	}
}

/* Kills the children that are left, until there are none. Returns how many there were. */
static int end_orphans(void)
{
	char path[64], line[256];
	int killed = 0;

	snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
	for (int rounds = 0; rounds < 1000; rounds++) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		FILE *f = fopen(path, "re");
		if (!f)
			return killed;
		char *got = fgets(line, sizeof line, f);
		fclose(f);
		if (!got)
			return killed;
		pid_t pid = (pid_t)strtol(line, NULL, 10);
		fprintf(stderr, "reaper: process %d was left behind\n", pid);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		killed++;
	}
	return killed;
}

int main(int argc, char **argv)
{
	char own[16];

	if (argc < 2) {
		fprintf(stderr, "usage: reaper COMMAND [ARGS]...\n");
		return 2;
	}
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) {
		fprintf(stderr, "reaper: subreaper: %s\n", strerror(errno));
		return 2;
	}
	snprintf(own, sizeof own, "%d", getpid());
	setenv("REAPER_PID", own, 1);
	pid_t child = fork();
	if (child == 0) {
		execvp(argv[1], argv + 1);
		fprintf(stderr, "reaper: %s: %s\n", argv[1], strerror(errno));
		_exit(127);
	}
	int status = child < 0 ? 2 : wait_for(child);
	int left = end_orphans();
	return left > 0 && status == 0 ? 1 : status;
}
