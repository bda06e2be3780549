/* Isolation by a virtual machine: its supervisor, libexec/drupe/vmm, takes the place of init. To us it is a process that holds the
 * same conversation (init/init.h), and ends with the container's status. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/sys.h"
#include "container/backend.h"
#include "container/control.h"
#include "oci/encode.h"
#include "oci/shapes.h"

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

/* In the child: the helper program holds the conversation from here. */
static _Noreturn void become(const char *const argv[], struct chan *chan)
{
	struct err e;

	proc_reset_signals(0);
	execve(argv[0], (char *const *)argv, environ);
	(void)err_errno(&e, "%s", argv[0]);
	chan_send_error(chan, &e);
	_exit(1);
}

/* The program, and a channel to what will be its process. */
static int prepare(struct arena *a, const char **program, struct chan *ours, struct chan *theirs, struct err *e)
{
	*program = find_helper("vmm", a);
	*ours = *theirs = (struct chan){ -1 };
	if (!*program)
		return err_set(e, ENOENT, "VM mode: the helper program libexec/drupe/vmm is not installed");
	return chan_pair(ours, theirs, e);
}

/* Opened anew: with ours a child would share the lock, and keep it. */
static const char *inherit_dir(const struct container *c, struct arena *a)
{
	return inherit(openat(c->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), a);
}

static int launch(struct created *k, struct init *in, int place, struct arena *a, struct err *e)
{
	const char *program;
	struct chan theirs;
	int r = prepare(a, &program, &k->chan, &theirs, e);

	if (r < 0)
		return r;
	int cgroup = cgroup_birth(&k->plan->cgroup, place);
	pid_t pid = proc_fork(0, &k->pidfd, cgroup, e);

	if (pid == 0) {
		chan_close(&k->chan);
		const char *const argv[] = { program,
					     "supervise",
					     k->c.id,
					     k->plan->bundle,
					     inherit(theirs.fd, a),
					     inherit_dir(&k->c, a),
					     inherit(in->listen_fd, a),
					     NULL };

		become(argv, &theirs);
	}
	chan_close(&theirs);
	in->cgroup_fd = cgroup >= 0 ? 0 : -1;
	if (pid > 0)
		k->pid = pid;
	return pid < 0 ? pid : 0;
}

/* A file that the child has as well. */
static int write_process(const struct oci_process *p, struct arena *a, struct err *e)
{
	struct strbuf text = STRBUF(a);
	struct json_writer w;
	auto_fd int fd = sys_memfd_create("process", SYS_MFD_CLOEXEC);

	if (fd < 0)
		return err_errno(e, "memfd_create");
	json_begin(&w, &text, 0);
	encode(&w, NULL, &shape_oci_process, p);
	int r = fd_write_all(fd, text.text, text.len, e);

	return r < 0 ? r : take_fd(&fd);
}

int vm_exec_fork(const struct container *c, const struct oci_process *p, const struct cgroup_ref *cgroup, struct arena *a,
		 struct chan *chan, pid_t *pid, int *pidfd, struct err *e)
{
	auto_fd int process = write_process(p, a, e);
	const char *program = NULL;
	struct chan theirs = { -1 };
	int r = process < 0 ? process : prepare(a, &program, chan, &theirs, e);

	if (r < 0)
		return r;
	pid_t child = proc_fork(0, pidfd, -1, e);

	if (child == 0) {
		chan_close(chan);
		const char *const argv[] = { program,
					     "exec",
					     c->id,
					     c->state->bundle,
					     inherit(theirs.fd, a),
					     inherit_dir(c, a),
					     inherit(process, a),
					     c->state->no_new_keyring ? "1" : "0",
					     NULL };

		become(argv, &theirs);
	}
	chan_close(&theirs);
	if (child < 0)
		return child;
	*pid = child;
	r = cgroup_join(cgroup, NULL, child, false, e);
	return r < 0 ? r : chan_send(chan, MSG_GO, NULL, 0, -1, e);
}

int vm_ask(const struct container *c, struct control_packet *q, struct err *e)
{
	auto_fd int fd = control_connect(c->dir_fd, e);

	return fd < 0 ? fd : control_ask(fd, q, NULL, 0, e);
}

const struct backend backend_vm = { .name = "vm", .plan = plan, .launch = launch };
