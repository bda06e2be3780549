/* The last steps before the container's program: what run and exec have in common. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/proc_fs.h"
#include "base/str.h"
#include "base/sys.h"
#include "init/init.h"
#include "init/users.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

int take_terminal(int slave_fd, struct err *e)
{
	auto_fd int slave = slave_fd;

	if (ioctl(slave, TIOCSCTTY, 0) < 0)
		return err_errno(e, "terminal: TIOCSCTTY");
	for (int fd = 0; fd <= 2; fd++)
		if (dup2(slave, fd) < 0)
			return err_errno(e, "terminal: dup2");
	if (slave <= 2)
		(void)take_fd(&slave);
	return 0;
}

static int chdir_as(const char *cwd, uint32_t uid, uint32_t gid)
{
	int r;

	(void)setfsgid(gid);
	(void)setfsuid(uid);
	r = chdir(cwd);
	int saved = errno;

	(void)setfsuid(0);
	(void)setfsgid(0);
	errno = saved;
	return r;
}

int enter_cwd(const char *cwd, const struct sec_plan *sec, struct err *e)
{
	char where[PATH_MAX];
	int r = chdir(cwd);

	if (r < 0 && (errno == EACCES || errno == EPERM))
		r = chdir_as(cwd, sec->uid, sec->gid);
	if (r < 0)
		return err_errno(e, "process.cwd: chdir to %s", cwd);
	/* The raw call: libc turns "(unreachable)/..." into an error of its own or a wrong path. */
	long n = syscall(SYS_getcwd, where, sizeof(where));

	if (n < 0)
		return err_errno(e, "process.cwd: %s", cwd);
	if (where[0] != '/')
		return err_set(e, EPERM, "process.cwd: %s lies outside the container's root", cwd);
	return 0;
}

int settle_on_cpus(const struct sec_plan *sec, struct err *e)
{
	struct err why;

	if (sec->affinity_final && sec_set_affinity(sec->affinity_final, e) < 0)
		return err_in(e, "process.execCPUAffinity.final");
	if (sec->affinity_final)
		return 0;
	if (!sec->affinity_initial && sec_reset_affinity(&why) < 0)
		log_debug("%s", why.text);
	return 0;
}

/* A filter may refuse even the exit. Nobody can refuse an illegal instruction. */
void leave(void)
{
	(void)syscall(SYS_exit_group, 1);
	__builtin_trap();
}

int own_stdio(uint32_t uid, struct err *e)
{
	struct stat st;

	for (int fd = 0; fd <= 2; fd++) {
		if (fstat(fd, &st) < 0)
			return err_errno(e, "standard stream %d", fd);
		if (st.st_uid == uid || fd_is_null_device(fd) || isatty(fd))
			continue;
		/* A file that cannot change hands (read-only, unmapped owner) stays as it is: the caller chose it. */
		if (fchown(fd, uid, (gid_t)-1) < 0 && errno != EPERM && errno != EROFS && errno != EINVAL && errno != EACCES)
			return err_errno(e, "standard stream %d: chown", fd);
	}
	return 0;
}

/* "exec: "x": no such file or directory": callers match these words in lower case. Not all of them know "is a directory", for which
 * the kernel, too, says EACCES: Docker before version 23 takes it for a failure of its own, 125, without the last two words. */
static int exec_error(int code, const char *name, const char *stat_path, struct err *e)
{
	char why[128];

	(void)strncpy(why, strerror(code), sizeof(why) - 1);
	why[sizeof(why) - 1] = '\0';
	why[0] = (char)tolower((unsigned char)why[0]);
	if (stat_path)
		return err_set(e, code, "exec: \"%s\": stat %s: %s", name, stat_path, why);
	return err_set(e, code, "exec: \"%s\": %s%s", name, why, code == EISDIR ? ": permission denied" : "");
}

/* 0 when path can be executed, else a positive errno. */
static int why_not_executable(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	return S_ISREG(st.st_mode) && (st.st_mode & 0111) ? 0 : EACCES;
}

static const char *env_path(char *const *envp)
{
	for (; *envp; envp++)
		if (str_starts(*envp, "PATH="))
			return *envp + 5;
	return DEFAULT_PATH;
}

int find_program(const struct proc_plan *p, struct arena *a, const char **out, struct err *e)
{
	const char *name = p->argv[0];
	bool denied = false;

	if (strchr(name, '/') || !*name) {
		int code = *name ? why_not_executable(name) : ENOENT;

		*out = name;
		return code ? exec_error(code, name, code == ENOENT || code == ENOTDIR ? name : NULL, e) : 0;
	}
	for (const char *dir = env_path(p->envp); *dir;) {
		size_t len = strcspn(dir, ":");
		const char *path = arena_printf(a, "%.*s/%s", len ? (int)len : 1, len ? dir : ".", name);
		int code = why_not_executable(path);

		if (!code) {
			*out = path;
			return 0;
		}
		denied |= code == EACCES;
		dir += len + (dir[len] == ':');
	}
	if (denied)
		return exec_error(EACCES, name, NULL, e);
	return err_set(e, ENOENT, "exec: \"%s\": executable file not found in $PATH", name);
}

char *const *complete_env(const struct proc_plan *p, uint32_t uid, struct arena *a)
{
	size_t n = 0, kept = 0;

	if (!p->set_home)
		return p->envp;
	while (p->envp[n])
		n++;
	char **env = arena_alloc(a, (n + 2) * sizeof(*env));

	for (size_t i = 0; i < n; i++)
		if (!str_starts(p->envp[i], "HOME="))
			env[kept++] = p->envp[i];
	auto_fd int root = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	env[kept] = arena_printf(a, "HOME=%s", user_home(root, uid, a));
	return env;
}

/* The filter is in force: only write(2) and read(2), see security.h. The answer's content does not matter; it comes when the
 * runtime has fetched the descriptor. */
static int hand_over_listener(void *ctx, int fd, struct err *e)
{
	struct chan *c = ctx;
	int32_t number = fd;
	char answer[64];
	int r = chan_send(c, MSG_NOTIFY_FD, &number, sizeof(number), -1, e);

	if (r < 0)
		return r;
	/* Without a listener the program must not run: the runtime gave up, or the filter lets us not even read. */
	ssize_t n = read(c->fd, answer, sizeof(answer));

	if (n <= 0)
		return err_set(e, n < 0 ? errno : EPIPE, "linux.seccomp: handing over the listener");
	return 0;
}

int exec_program(struct chan *c, const struct sec_plan *sec, const struct proc_plan *proc, const char *path, char *const *envp,
		 int proc_fd, struct err *e)
{
	proc_reset_signals(proc->ignored_signals);
	if (prctl(PR_SET_PDEATHSIG, 0) < 0)
		return err_errno(e, "prctl");
	int r = fd_cloexec_from(3 + proc->keep_fds, e);

	if (r < 0)
		return r;
	/* Announced now, because the filter may not let us later. A failure from here on still follows as MSG_ERROR. */
	r = chan_send(c, MSG_EXEC, NULL, 0, -1, e);
	if (r < 0)
		return r;
	r = sec_apply_final(sec, proc_fd, hand_over_listener, c, e);
	if (r < 0)
		return r;
	execve(path, proc->argv, envp);
	/* It was there a moment ago: the kernel means what the file names in its first line, or the loader that it was linked for.
	 */
	if (errno == ENOENT)
		return err_set(e, ENOENT,
			       "exec: \"%s\": its interpreter (of its #! line or ELF header) is missing: no such file or directory",
			       proc->argv[0]);
	return exec_error(errno, proc->argv[0], NULL, e);
}

int executed_or_why(pid_t pid, struct err *e)
{
	struct err gone;
	int signal = 0;

	/* Gone and reaped by its new parent, it was at least not ours to execute. */
	if (proc_has_executed(pid, &signal, &gone) != 0)
		return 0;
	/* The profile's doing: the filter's own signal, or leave(), for whom the compiler chooses between two. */
	bool profile = !signal || signal == SIGSYS || signal == SIGILL || signal == SIGTRAP;

	if (!profile)
		return err_set(e, EPIPE, "the process was killed before its program was executed (signal %d)", signal);
	return err_set(e, ECANCELED,
		       "the program was not executed, and its seccomp profile hides why: does it allow execve, "
		       "and write for the reason?");
}
