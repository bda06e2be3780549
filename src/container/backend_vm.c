/* Isolation by a virtual machine: its supervisor, libexec/drupe/vmm, takes the place of init. To us it is a process that holds the
 * same conversation (init/init.h), and ends with the container's status. */
#include "base/cleanup.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/sys.h"
#include "container/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

extern char **environ;

static int plan(const struct oci_spec *spec, const struct plan_options *o, const struct host *h, struct arena *a, struct plan *out,
		struct err *e)
{
	struct plan guest;
	struct vm_plan vm;

	if (o->preserve_fds + o->listen_fds)
		return err_set(e, ENOTSUP, "descriptors cannot be passed into a virtual machine");
	int r = vm_plan_build(spec, o->bundle, (unsigned)sysconf(_SC_NPROCESSORS_ONLN), a, &vm, e);

	/* The guest's is the supervisor's to carry out; but a mistake in it is told before there is anything. */
	if (r == 0)
		r = vm_plan_guest(&vm, o->id, a, &guest, e);
	return r < 0 ? r : plan_build(vm.host, o, h, a, out, e);
}

/* A number that the supervisor has as well. */
static const char *inherit(int fd, struct arena *a)
{
	if (fd >= 0)
		(void)fcntl(fd, F_SETFD, 0);
	return arena_printf(a, "%d", fd);
}

static _Noreturn void become_supervisor(const char *program, const struct created *k, const struct init *in, struct chan *chan,
					struct arena *a)
{
	/* Opened anew: with ours it would share the lock, and keep it. */
	int dir = openat(k->c.dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *const argv[] = {
		program, "supervise", k->c.id, k->plan->bundle, inherit(chan->fd, a), inherit(dir, a), inherit(in->listen_fd, a),
		NULL
	};
	struct err e;

	proc_reset_signals(0);
	execve(program, (char *const *)argv, environ);
	(void)err_errno(&e, "%s", program);
	chan_send_error(chan, &e);
	_exit(1);
}

static int launch(struct created *k, struct init *in, bool born_in_cgroup, struct arena *a, struct err *e)
{
	const char *program = find_helper("vmm", a);
	struct chan theirs;
	struct err ignored;

	if (!program)
		return err_set(e, ENOENT, "VM mode: the helper program libexec/drupe/vmm is not installed");
	int r = chan_pair(&k->chan, &theirs, e);

	if (r < 0)
		return r;
	auto_fd int cgroup = !born_in_cgroup || k->plan->cgroup.no_birth ? -1 : cgroup_open(&k->plan->cgroup.ref, &ignored);
	pid_t pid = proc_fork(0, &k->pidfd, cgroup, e);

	if (pid == 0) {
		chan_close(&k->chan);
		become_supervisor(program, k, in, &theirs, a);
	}
	chan_close(&theirs);
	in->cgroup_fd = cgroup >= 0 ? 0 : -1;
	if (pid > 0)
		k->pid = pid;
	return pid < 0 ? pid : 0;
}

const struct backend backend_vm = { .name = "vm", .plan = plan, .launch = launch };
