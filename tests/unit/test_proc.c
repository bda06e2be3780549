#include "base/cleanup.h"
#include "base/proc.h"
#include "base/sys.h"
#include "tap.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void identity_is_pid_and_start_time(void)
{
	uint64_t ticks = 0;
	bool zombie = true;
	struct err e;

	/* A name that looks like the fields behind it. */
	expect(prctl(PR_SET_NAME, "a) S 1 2 (") == 0);
	expect(proc_start_time(getpid(), &ticks, &zombie, &e) == 0);
	expect(ticks > 0 && !zombie);
	auto_fd int fd = proc_open_exact(getpid(), ticks, &e);
	expect(fd >= 0);
	expect(proc_open_exact(getpid(), ticks + 1, &e) == -ESRCH);
}

static void zombie_counts_as_ended(void)
{
	uint64_t ticks;
	bool zombie = false;
	int pidfd;
	struct err e;
	pid_t pid = proc_fork(0, &pidfd, -1, &e);

	if (pid == 0)
		_exit(3);
	expect(proc_wait_fd(pidfd, 5000, &e) == 1);
	expect(proc_start_time(pid, &ticks, &zombie, &e) == 0 && zombie);
	expect(proc_open_exact(pid, ticks, &e) == -ESRCH);
	expect(proc_wait(pid, &e) == 3);
	close(pidfd);
}

static void the_number_of_a_session_is_no_process(void)
{
	int pidfd, ends[2];
	char byte;
	struct err e;

	expect(pipe(ends) == 0);
	pid_t pid = proc_fork(0, &pidfd, -1, &e);

	if (pid == 0) {
		setsid();
		/* Lives in the session until the pipe ends. */
		if (fork() == 0) {
			close(ends[1]);
			(void)!read(ends[0], &byte, 1);
		}
		_exit(0);
	}
	expect(proc_wait(pid, &e) == 0);
	expect(proc_open_exact(pid, 1, &e) == -ESRCH);
	expect(sys_pidfd_open(pid) < 0 && errno == ESRCH);
	close(ends[0]);
	close(ends[1]);
	close(pidfd);
}

static void status_is_what_a_shell_shows(void)
{
	struct err e;
	pid_t pid = proc_fork(0, NULL, -1, &e);

	if (pid == 0) {
		kill(getpid(), SIGKILL); /* raise() may go by a thread number that is the parent's */
		_exit(0);
	}
	expect(proc_wait(pid, &e) == 137);
}

static void execution_shows_even_of_the_dead(void)
{
	struct err e;
	static char name[] = "/bin/true";
	char *const argv[] = { name, NULL };
	int pidfd;
	siginfo_t info;

	for (int execute = 0; execute <= 1; execute++) {
		pid_t pid = proc_fork(0, &pidfd, -1, &e);

		if (pid == 0) {
			if (execute)
				execv(argv[0], argv);
			_exit(0);
		}
		expect(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0); /* not reaped yet */
		expect(proc_has_executed(pid, &e) == execute);
		expect(proc_wait(pid, &e) == 0);
		close(pidfd);
		expect(proc_has_executed(pid, &e) == -ESRCH);
	}
}

static void waiting_has_an_end(void)
{
	int pidfd;
	struct err e;
	pid_t pid = proc_fork(0, &pidfd, -1, &e);

	if (pid == 0)
		for (;;)
			pause();
	int64_t before = clock_ms();

	expect(proc_wait_fd(pidfd, 50, &e) == 0);
	expect(clock_ms() - before >= 49);
	(void)sys_pidfd_send_signal(pidfd, SIGTERM);
	expect(proc_wait(pid, &e) == 143);
	close(pidfd);
}

static void inherited_signal_settings_are_undone(void)
{
	struct err e;
	sigset_t all, now;

	sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	proc_reset_signals(PROC_SIGNALS_ALL);
	expect(sigprocmask(SIG_BLOCK, NULL, &now) == 0 && !sigismember(&now, SIGTERM));
	struct sigaction act;

	expect(sigaction(SIGPIPE, NULL, &act) == 0 && act.sa_handler == SIG_DFL);
	(void)e;
}

TAP_MAIN(CASE(identity_is_pid_and_start_time), CASE(zombie_counts_as_ended), CASE(the_number_of_a_session_is_no_process),
	 CASE(status_is_what_a_shell_shows), CASE(execution_shows_even_of_the_dead), CASE(waiting_has_an_end),
	 CASE(inherited_signal_settings_are_undone))
