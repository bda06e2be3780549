#include "base/cleanup.h"
#include "base/proc.h"
#include "base/sys.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void identity_is_pid_and_start_time(void)
{
	uint64_t ticks = 0;
	bool zombie = true;
	struct err e;

	/* A name that looks like the fields behind it. */
	expect(prctl(PR_SET_NAME, "a) S 1 2 (") == 0);
	expect(proc_start_time(NULL, getpid(), &ticks, &zombie, &e) == 0);
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
	expect(proc_start_time(NULL, pid, &ticks, &zombie, &e) == 0 && zombie);
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
		int signal = 0;
		pid_t pid = proc_fork(0, &pidfd, -1, &e);

		if (pid == 0) {
			if (execute)
				execv(argv[0], argv);
			_exit(0);
		}
		expect(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0); /* not reaped yet */
		expect(proc_has_executed(pid, &signal, &e) == execute && signal == 0);
		expect(proc_wait(pid, &e) == 0);
		close(pidfd);
		expect(proc_has_executed(pid, &signal, &e) == -ESRCH);
	}
}

static void what_killed_the_dead_shows(void)
{
	struct err e;
	int pidfd, signal = -1;
	siginfo_t info;
	pid_t pid = proc_fork(0, &pidfd, -1, &e);

	if (pid == 0)
		for (;;)
			pause();
	expect(proc_has_executed(pid, &signal, &e) == 0 && signal == 0);
	expect(kill(pid, SIGKILL) == 0);
	expect(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
	expect(proc_has_executed(pid, &signal, &e) == 0 && signal == SIGKILL);
	expect(proc_wait(pid, &e) == 137);
	close(pidfd);
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

struct lent {
	int value, fd;
	pid_t pid;
};

static int use_what_is_lent(void *arg)
{
	struct lent *l = arg;
	volatile char much[65536];

	for (size_t i = 0; i < sizeof(much); i++)
		much[i] = (char)i;
	l->value = 7 + much[256];
	l->pid = getpid();
	close(l->fd);
	return 5;
}

static void a_lent_memory_keeps_what_is_written_and_descriptors_are_not_lent(void)
{
	struct lent l = { .fd = open("/dev/null", O_RDWR | O_CLOEXEC) };
	struct err e;

	for (int round = 0; round < 3; round++) {
		pid_t pid = proc_vfork(SYS_CLONE_VM, -1, use_what_is_lent, &l, &e);

		expect(pid > 0 && l.pid == pid && l.value == 7);
		expect(proc_wait(pid, &e) == 5);
		expect(fcntl(l.fd, F_GETFD) >= 0);
	}
	close(l.fd);
}

static void without_a_loan_nothing_is_written(void)
{
	struct lent l = { .fd = -1 };
	struct err e;
	pid_t pid = proc_vfork(0, -1, use_what_is_lent, &l, &e);

	expect(proc_wait(pid, &e) == 5);
	expect(l.value == 0 && l.pid == 0);
}

static int die(void *arg)
{
	(void)arg;
	kill(getpid(), SIGKILL);
	return 0;
}

static void the_lender_outlives_the_borrower(void)
{
	struct err e;

	expect(proc_wait(proc_vfork(SYS_CLONE_VM, -1, die, NULL, &e), &e) == 137);
	auto_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC); /* no cgroup */
	expect(proc_vfork(SYS_CLONE_VM, null, die, NULL, &e) == -EBADF);
	expect(strncmp(e.text, "clone3", 6) == 0);
}

TAP_MAIN(CASE(identity_is_pid_and_start_time), CASE(zombie_counts_as_ended), CASE(the_number_of_a_session_is_no_process),
	 CASE(status_is_what_a_shell_shows), CASE(execution_shows_even_of_the_dead), CASE(what_killed_the_dead_shows),
	 CASE(waiting_has_an_end), CASE(inherited_signal_settings_are_undone),
	 CASE(a_lent_memory_keeps_what_is_written_and_descriptors_are_not_lent), CASE(without_a_loan_nothing_is_written),
	 CASE(the_lender_outlives_the_borrower))
