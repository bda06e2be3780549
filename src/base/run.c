/* run.c - running a program to its end
 *
 * Input and captured output are memory files: neither side can block on the other, and the only wait is for the end, on a pidfd.
 * The child tells by a close-on-exec pipe why it could not become the program; end of file there means that it did.
 */
#include "base/run.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/retry.h"
#include "base/str.h"
#include "base/sys.h"

#include <errno.h>
#include <string.h>

static int input_file(const char *text, struct err *e)
{
	auto_fd int fd = sys_memfd_create("input", SYS_MFD_CLOEXEC);

	if (fd < 0)
		return err_errno(e, "memfd_create");
	if (text && fd_write_all(fd, text, strlen(text), e) < 0)
		return -e->code;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(e, "lseek");
	return take_fd(&fd);
}

/* In the child; returns only when the program could not be executed. */
static int become(const struct run *r, int input, int output, struct err *e)
{
	static char *const no_env[] = { NULL };

	if (setpgid(0, 0) < 0 || dup2(input, STDIN_FILENO) < 0)
		return err_errno(e, "prepare");
	if (output >= 0 && (dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0))
		return err_errno(e, "prepare");
	if (r->cwd && chdir(r->cwd) < 0)
		return err_errno(e, "chdir %s", r->cwd);
	proc_reset_signals(PROC_SIGNALS_ALL);
	if (fd_cloexec_from(3, e) < 0)
		return -e->code;
	if (r->confine && r->confine(r->how, e) < 0)
		return -e->code;
	execve(r->path, r->argv, r->envp ? r->envp : no_env);
	return err_errno(e, "execute");
}

/* Where the confinement forbids to say why, the status is left; where it forbids to exit, a signal. */
_Noreturn static void give_up(int report, const struct err *why)
{
	(void)!write(report, why, sizeof(*why));
	(void)syscall(SYS_exit_group, 127);
	__builtin_trap();
}

/* Returns 0 when the child became the program. */
static int exec_failure(int fd, struct err *e)
{
	struct err got;

	if (RETRY(read(fd, &got, sizeof(got))) != (ssize_t)sizeof(got))
		return 0;
	*e = got;
	return -e->code;
}

static int await_end(const struct run *r, pid_t pid, int pidfd, struct err *e)
{
	int timeout = r->timeout_ms < 0 ? -1 : r->timeout_ms > INT32_MAX ? INT32_MAX : (int)r->timeout_ms;
	int ended = proc_wait_fd(pidfd, timeout, e);

	if (ended <= 0) {
		(void)kill(-pid, SIGKILL);
		(void)sys_pidfd_send_signal(pidfd, SIGKILL);
	}
	struct err ignored;
	int status = proc_wait(pid, ended < 0 ? &ignored : e);

	if (ended < 0)
		return ended;
	if (ended == 0)
		return err_set(e, ETIMEDOUT, "killed after its timeout of %lld ms", (long long)r->timeout_ms);
	return status;
}

static int fork_program(const struct run *r, int input, int output, struct err *e)
{
	int report[2], pidfd = -1;

	if (pipe2(report, O_CLOEXEC) < 0)
		return err_errno(e, "pipe");
	auto_fd int from = report[0], to = report[1];
	pid_t pid = proc_fork(0, &pidfd, -1, e);

	if (pid < 0)
		return pid;
	if (pid == 0) {
		struct err why;

		(void)become(r, input, output, &why);
		give_up(to, &why);
	}
	auto_fd int held = pidfd;
	close_fd(&to);
	/* Not under the timeout: between fork and execve nothing of the program's runs. */
	int failed = exec_failure(from, e);

	if (failed < 0) {
		struct err ignored;

		(void)!proc_wait(pid, &ignored);
		return failed;
	}
	return await_end(r, pid, held, e);
}

int run_program(const struct run *r, struct err *e)
{
	auto_fd int input = input_file(r->input, e), output = -1;

	if (input < 0)
		return input;
	if (r->says && (output = sys_memfd_create("output", SYS_MFD_CLOEXEC)) < 0)
		return err_errno(e, "memfd_create");
	int status = fork_program(r, input, output, e);

	if (r->says) {
		ssize_t n = RETRY(pread(output, r->says, r->says_room - 1, 0));

		r->says[n < 0 ? 0 : n] = '\0';
	}
	return status;
}

/* Runs of white space and control characters become one blank; none at the ends. */
static void on_one_line(const char *text, char *out, size_t room)
{
	size_t n = 0;

	for (; *text && n + 2 < room; text++) {
		bool blank = (unsigned char)*text <= ' ' || *text == 0x7f;

		if (!blank)
			out[n++] = *text;
		else if (n && out[n - 1] != ' ')
			out[n++] = ' ';
	}
	out[n && out[n - 1] == ' ' ? n - 1 : n] = '\0';
}

int run_failed(int status, const char *says, const char *name, int code, struct err *e)
{
	char line[ERR_TEXT_MAX];
	size_t prefix = strlen(name);

	on_one_line(says ? says : "", line, sizeof(line));
	if (!line[0] && status > 128)
		return err_set(e, code, "ended by signal %d", status - 128);
	if (!line[0])
		return err_set(e, code, "exit status %d", status);
	const char *reason = str_starts(line, name) && line[prefix] == ':' ? line + prefix + 1 : line;

	return err_set(e, code, "%s", reason + strspn(reason, " "));
}
