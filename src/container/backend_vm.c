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

enum { EXEC_ARGS = 10 };

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

/* A file for another process of ours. */
static int write_text(const struct strbuf *text, struct err *e)
{
	auto_fd int fd = sys_memfd_create("text", SYS_MFD_CLOEXEC);

	if (fd < 0)
		return err_errno(e, "memfd_create");
	int r = fd_write_all(fd, text->text, text->len, e);

	return r < 0 ? r : take_fd(&fd);
}

static int write_process(const struct oci_process *p, struct arena *a, struct err *e)
{
	struct strbuf text = STRBUF(a);
	struct json_writer w;

	json_begin(&w, &text, 0);
	encode(&w, NULL, &shape_oci_process, p);
	return write_text(&text, e);
}

static int write_resources(const struct oci_resources *r, struct arena *a, struct err *e)
{
	struct strbuf text = STRBUF(a);

	oci_resources_encode(r, &text);
	return write_text(&text, e);
}

static const char *const *exec_argv(const char *program, const struct container *c, const struct exec_options *o, int channel,
				    int process, struct arena *a)
{
	size_t n = 0, more = 0;

	while (o->cgroups && o->cgroups[more])
		more++;
	const char **v = arena_alloc(a, (EXEC_ARGS + more) * sizeof(*v));

	v[n++] = program;
	v[n++] = "exec";
	v[n++] = c->id;
	v[n++] = c->state->bundle;
	v[n++] = inherit(channel, a);
	v[n++] = inherit_dir(c, a);
	v[n++] = inherit(process, a);
	v[n++] = c->state->no_new_keyring ? "1" : "0";
	v[n++] = o->user && !o->process_file ? arena_printf(a, "=%s", o->user) : "";
	for (size_t i = 0; i < more; i++)
		v[n++] = o->cgroups[i];
	v[n] = NULL;
	return v;
}

int vm_exec_fork(const struct container *c, const struct oci_process *p, const struct exec_options *o, struct arena *a,
		 struct chan *chan, pid_t *pid, int *pidfd, struct err *e)
{
	auto_fd int process = write_process(p, a, e);
	const char *program = NULL;
	struct chan theirs = { -1 };
	struct cgroup_ref cgroup;
	int r = process < 0 ? process : prepare(a, &program, chan, &theirs, e);

	if (r < 0)
		return r;
	pid_t child = proc_fork(0, pidfd, -1, e);

	if (child == 0) {
		chan_close(chan);
		become(exec_argv(program, c, o, theirs.fd, process, a), &theirs);
	}
	chan_close(&theirs);
	if (child < 0)
		return child;
	*pid = child;
	cgroup_from_state(c->state, a, &cgroup);
	r = cgroup_join(&cgroup, NULL, child, false, e);
	return r < 0 ? r : chan_send(chan, MSG_GO, NULL, 0, -1, e);
}

int vm_ask(const struct container *c, struct control_packet *q, struct err *e)
{
	auto_fd int fd = control_connect(c->dir_fd, e);

	return fd < 0 ? fd : control_ask(fd, q, NULL, 0, e);
}

int vm_update_guest(const struct container *c, const struct vm_update *u, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct control_packet *q = arena_new(&a, struct control_packet);
	auto_fd int update = write_resources(u->guest, &a, e), old = update < 0 ? update : write_resources(u->guest_old, &a, e);
	auto_fd int fd = old < 0 ? old : control_connect(c->dir_fd, e);

	q->type = CONTROL_UPDATE;
	return fd < 0 ? fd : control_ask(fd, q, (const int[]){ update, old }, 2, e);
}

const struct backend backend_vm = { .name = "vm", .plan = plan, .launch = launch };
