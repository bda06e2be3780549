/* ns_view.c - the host's mounts, as a user namespace may have them
 *
 * Flags of a mount (ro, nosuid, nodev...) bind root in a user namespace only when they are locked: else it may remount what it was
 * given without them, and unmount what covers something. The kernel locks them when it copies a mount namespace for another user
 * namespace, and a clone made there keeps the locks. So a process makes such a copy, and for the time of opening what a container
 * gets from the host, we move into it, with our own rights; nothing else is different there.
 */
#include "base/cleanup.h"
#include "base/proc.h"
#include "base/retry.h"
#include "base/str.h"
#include "base/sys.h"
#include "namespaces/ns.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static int open_of(const char *pid, const char *name, int flags, struct err *e)
{
	char path[48];

	text_format(path, sizeof(path), "/proc/%s/%s", pid, name);
	int fd = RETRY(openat(AT_FDCWD, path, flags | O_CLOEXEC));

	return fd < 0 ? err_errno(e, "%s", path) : fd;
}

/* Moves to a mount namespace, and to a root and a working directory in it. */
static int move_to(int ns, int root, int cwd, struct err *e)
{
	if (sys_setns(ns, SYS_CLONE_NEWNS) < 0)
		return err_errno(e, "cannot change the mount namespace");
	if (fchdir(root) < 0 || chroot(".") < 0 || fchdir(cwd) < 0)
		return err_errno(e, "cannot change the root");
	return 0;
}

static int enter_view_of(pid_t pid, struct err *e)
{
	char number[16];

	text_format(number, sizeof(number), "%d", (int)pid);
	auto_fd int ns = open_of(number, "ns/mnt", O_RDONLY, e);
	auto_fd int root = ns < 0 ? -1 : open_of(number, "root", O_PATH | O_DIRECTORY, e);

	return root < 0 ? -e->code : move_to(ns, root, root, e);
}

static int make_view(struct err *e)
{
	auto_fd int pidfd = -1;
	pid_t parent = getpid();
	pid_t pid = proc_fork(SYS_CLONE_NEWUSER | SYS_CLONE_NEWNS, &pidfd, -1, e);

	if (pid < 0)
		return pid;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		for (;;)
			pause();
	}
	int r = enter_view_of(pid, e);

	sys_pidfd_send_signal(pidfd, SIGKILL);
	RETRY(waitpid(pid, NULL, 0));
	return r;
}

int ns_view_enter(struct ns_view *v, struct err *e)
{
	*v = NS_VIEW_NONE;
	v->ns = open_of("self", "ns/mnt", O_RDONLY, e);
	v->root = v->ns < 0 ? -1 : open_of("self", "root", O_PATH | O_DIRECTORY, e);
	v->cwd = v->root < 0 ? -1 : open_of("self", "cwd", O_PATH | O_DIRECTORY, e);
	if (v->cwd >= 0 && make_view(e) >= 0)
		return 0;
	struct err ignored;

	(void)!ns_view_leave(v, &ignored);
	return err_in(e, "mounts for a user namespace");
}

int ns_view_leave(struct ns_view *v, struct err *e)
{
	int r = v->cwd < 0 ? 0 : move_to(v->ns, v->root, v->cwd, e);

	close_fd(&v->ns);
	close_fd(&v->root);
	close_fd(&v->cwd);
	return r;
}
