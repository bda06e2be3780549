/* A process that enters a running container, for an errand there: exec's joiner, the mounter.
 *
 * It enters all namespaces at once by the container's pidfd (the kernel takes the user namespace first, with our present privilege
 * for the others). A pid namespace is that of children only, so the errand is run by a child, which is the runtime's own. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/sys.h"
#include "init/init.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

/* A change of ids may have made us dumpable. */
static int hide(struct err *e)
{
	return prctl(PR_SET_DUMPABLE, 0) < 0 ? err_errno(e, "prctl") : 0;
}

/* Nothing of the host's goes in with us, the state directory least of all: with CAP_SYS_PTRACE the container could reach it. */
static int close_rest(const struct entry *in, const struct errand *what, struct err *e)
{
	auto_arena struct arena a = { 0 };
	int *keep = arena_alloc(&a, (what->n_keep + 3) * sizeof(*keep));

	keep[0] = in->chan.fd;
	keep[1] = in->pidfd;
	keep[2] = in->root_fd;
	for (size_t i = 0; i < what->n_keep; i++)
		keep[3 + i] = what->keep[i];
	return fd_close_others(what->first, keep, what->n_keep + 3, e);
}

static int enter(struct entry *in, const struct errand *what, struct err *e)
{
	int r = chan_expect(&in->chan, MSG_GO, NULL, 0, NULL, e);

	if (r == 0)
		r = hide(e);
	if (r == 0)
		r = close_rest(in, what, e);
	if (r < 0)
		return r;
	if (in->ns_flags && sys_setns(in->pidfd, (int)in->ns_flags) < 0)
		return err_errno(e, "enter the container's namespaces");
	if (in->root_fd >= 0 && (fchdir(in->root_fd) < 0 || chroot(".") < 0))
		return err_errno(e, "enter the container's root");
	close_fd(&in->root_fd);
	close_fd(&in->pidfd);
	return 0;
}

static int run_errand(struct entry *in, const struct errand *what, struct err *e)
{
	int r = chan_expect(&in->chan, MSG_GO, NULL, 0, NULL, e);

	if (r == 0 && (in->ns_flags & SYS_CLONE_NEWUSER))
		r = become_namespace_root(e);
	if (r == 0)
		r = hide(e);
	return r < 0 ? r : what->run(what->arg, e);
}

static int enter_and_fork(struct entry *in, const struct errand *what, struct err *e)
{
	int pidfd = -1, r = enter(in, what, e);

	if (r < 0)
		return r;
	pid_t pid = proc_fork(SYS_CLONE_PARENT, &pidfd, -1, e);

	if (pid < 0)
		return pid;
	if (pid == 0) {
		struct err why;

		if (what->dies_with_runtime)
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)prctl(PR_SET_NAME, what->name);
		if (run_errand(in, what, &why) < 0)
			chan_send_error(&in->chan, &why);
		leave();
	}
	int32_t number = pid;

	return chan_send(&in->chan, MSG_STAGE, &number, sizeof(number), pidfd, e);
}

void enter_run(struct entry *in, const struct errand *what)
{
	struct err e;

	if (what->dies_with_runtime)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	chan_log_to(&in->chan);
	if (enter_and_fork(in, what, &e) < 0) {
		chan_send_error(&in->chan, &e);
		_exit(1);
	}
	_exit(0);
}
