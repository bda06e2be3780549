/* count - how many system calls, or instructions in user mode, a command takes, with all its children
 *
 *   count [-i] COMMAND [ARGUMENT]...
 *
 * It ends with the command; what the command leaves behind goes on, uncounted. Prints "total N" and, for system calls, "NUMBER
 * TIMES" for each kind; -i counts instructions by stepping through them, some 100,000 a second, for machines whose counters do not
 * work. The command's own output goes to standard error. Exits like the command. x86_64 only.
 */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS_MAX 512
#define PIDS_MAX  4194304 /* the kernel's PID_MAX_LIMIT */

struct counter {
	bool instructions;
	pid_t first;
	int status; /* of the first */
	unsigned long total, calls[CALLS_MAX];
	unsigned char *entered; /* by pid: in a system call */
	unsigned char *traced;  /* by pid */
};

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(125);
}

static _Noreturn void run_command(char **argv)
{
	dup2(STDERR_FILENO, STDOUT_FILENO);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		die("ptrace");
	raise(SIGSTOP);
	execvp(argv[0], argv);
	die(argv[0]);
}

static void go_on(const struct counter *c, pid_t pid, int sig)
{
	/* Gone meanwhile: killed. */
	(void)ptrace(c->instructions ? PTRACE_SINGLESTEP : PTRACE_SYSCALL, pid, NULL, (void *)(long)sig);
}

/* Entry and exit alternate; the exit of what a process was born from counts for nobody. */
static void on_call(struct counter *c, pid_t pid)
{
	struct user_regs_struct regs;

	c->entered[pid] = !c->entered[pid];
	if (!c->entered[pid] || ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
		return;
	c->total++;
	if (regs.orig_rax < CALLS_MAX)
		c->calls[regs.orig_rax]++;
}

static void on_stop(struct counter *c, pid_t pid, int status)
{
	int sig = WSTOPSIG(status), event = status >> 16;

	c->traced[pid] = 1;
	if (sig == (SIGTRAP | 0x80)) {
		on_call(c, pid);
		sig = 0;
	} else if (sig == SIGTRAP) {
		c->total += c->instructions && !event;
		sig = 0;
	} else if (sig == SIGSTOP) {
		sig = 0; /* a new process begins so */
	}
	go_on(c, pid, sig);
}

static void watch(struct counter *c)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		if (pid > 0 && WIFSTOPPED(status))
			on_stop(c, pid, status);
		else if (pid > 0)
			c->entered[pid] = c->traced[pid] = 0;
		if (pid != c->first || WIFSTOPPED(status))
			continue;
		c->status = status;
		return;
	}
}

/* The end of a tracer would leave them in the middle of a step. */
static void let_go(const struct counter *c)
{
	int status;

	for (pid_t pid = 1; pid <= PIDS_MAX; pid++) {
		if (!c->traced[pid] || syscall(SYS_tkill, pid, SIGSTOP) < 0) /* each thread by itself */
			continue;
		while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
			if (WSTOPSIG(status) == SIGSTOP) {
				(void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
				break;
			}
			go_on(c, pid, 0);
		}
	}
}

static void start(struct counter *c, char **argv)
{
	const long options =
		PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC;
	int status;

	c->first = fork();
	if (c->first < 0)
		die("fork");
	if (c->first == 0)
		run_command(argv);
	if (waitpid(c->first, &status, 0) < 0 || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, c->first, NULL, (void *)options) < 0)
		die("ptrace");
	go_on(c, c->first, 0);
}

/* With the counted on another CPU each step waits for that to wake from idling: four times longer on an idle virtual machine. */
static void stay_on_this_cpu(void)
{
	int cpu = sched_getcpu();
	cpu_set_t here;

	CPU_ZERO(&here);
	if (cpu >= 0 && cpu < CPU_SETSIZE) {
		CPU_SET(cpu, &here);
		(void)sched_setaffinity(0, sizeof(here), &here);
	}
}

int main(int argc, char **argv)
{
	struct counter c = { .entered = calloc(PIDS_MAX + 1, 1), .traced = calloc(PIDS_MAX + 1, 1) };

	c.instructions = argc > 1 && strcmp(argv[1], "-i") == 0;
	if (argc < 2 + c.instructions || !c.entered || !c.traced)
		return 2;
	stay_on_this_cpu();
	start(&c, argv + 1 + c.instructions);
	watch(&c);
	let_go(&c);
	printf("total %lu\n", c.total);
	for (int i = 0; i < CALLS_MAX; i++)
		if (c.calls[i])
			printf("%d %lu\n", i, c.calls[i]);
	return WIFEXITED(c.status) ? WEXITSTATUS(c.status) : 128 + WTERMSIG(c.status);
}
