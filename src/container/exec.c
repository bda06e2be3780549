/* exec: one more process in a running container.
 *
 * Its settings start from what the container was created with (config.json in the state directory), never from the bundle, and pass
 * through the same plan and the same confinement as the first process. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/sys.h"
#include "container/backend.h"
#include "init/init.h"
#include "init/users.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define PROCESS_MAX (4u << 20) /* bytes of --process */

struct exec {
	struct container *c;
	const struct exec_options *o;
	const struct oci_spec *spec;
	const struct oci_process *process;
	struct exec_plan plan; /* vm: nothing but whether there is a terminal */
	bool vm;
	struct cgroup_ref cgroup;
	struct resctrl_ref resctrl;
	struct arena *arena;
	int init;   /* pidfd of the container's init */
	int ns_dir; /* /proc/PID */
	struct chan chan;
	pid_t pid;
	int pidfd, console;
};

static const char **append(struct arena *a, const struct strs *old, const char *const *more, size_t *n)
{
	size_t extra = 0;

	while (more && more[extra])
		extra++;
	const char **v = arena_alloc(a, (old->n + extra + 1) * sizeof(*v));

	for (size_t i = 0; i < old->n; i++)
		v[i] = old->v[i];
	for (size_t i = 0; i < extra; i++)
		v[old->n + i] = more[i];
	*n = old->n + extra;
	return v;
}

static struct strs plus(struct arena *a, const struct strs *old, const char *const *more)
{
	struct strs out;

	out.v = append(a, old, more, &out.n);
	return out;
}

static bool has_cap(const struct strs *caps, const char *name)
{
	for (size_t i = 0; i < caps->n; i++)
		if (cap_from_name(caps->v[i]) == cap_from_name(name))
			return true;
	return false;
}

/* --cap adds to bounding, effective and permitted; to ambient only what is inheritable. */
static const struct oci_caps *add_caps(const struct exec *x, const struct oci_caps *old)
{
	static const struct oci_caps none;
	struct oci_caps *caps = arena_new(x->arena, struct oci_caps);
	const char *const *more = x->o->caps;

	*caps = old ? *old : none;
	caps->bounding = plus(x->arena, &caps->bounding, more);
	caps->effective = plus(x->arena, &caps->effective, more);
	caps->permitted = plus(x->arena, &caps->permitted, more);
	for (; *more; more++)
		if (has_cap(&caps->inheritable, *more))
			caps->ambient = plus(x->arena, &caps->ambient, (const char *const[]){ *more, NULL });
	return caps;
}

static int add_gids(const struct exec *x, struct oci_user *u, struct err *e)
{
	size_t commas = 1;

	for (const char *p = x->o->additional_gids; *p; p++)
		commas += *p == ',';
	uint32_t *v = arena_alloc(x->arena, (u->additional_gids.n + commas) * sizeof(*v));
	size_t n = u->additional_gids.n;

	if (n)
		memcpy(v, u->additional_gids.v, n * sizeof(*v));
	for (const char *p = x->o->additional_gids;;) {
		size_t len = strcspn(p, ",");

		if (parse_u32(arena_strndup(x->arena, p, len), &v[n], e) < 0 || v[n] == UINT32_MAX)
			return err_set(e, EINVAL, "--additional-gids: \"%.80s\" is not a list of group ids", x->o->additional_gids);
		n++;
		if (!p[len])
			break;
		p += len + 1;
	}
	u->additional_gids.v = v;
	u->additional_gids.n = n;
	return 0;
}

static int open_root(const struct exec *x)
{
	return openat(x->ns_dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int set_user(const struct exec *x, struct oci_process *p, struct err *e)
{
	struct oci_user *u = arena_new(x->arena, struct oci_user);

	*u = *p->user;
	p->user = u;
	if (x->o->user && !x->vm) {
		/* Names are the container's, read below its root. */
		auto_fd int root = open_root(x);

		if (root < 0)
			return err_errno(e, "root of container \"%s\"", x->c->id);
		int r = user_resolve(root, x->o->user, &u->uid, &u->gid, e);

		if (r < 0)
			return err_in(e, "--user %s", x->o->user);
	}
	return x->o->additional_gids ? add_gids(x, u, e) : 0;
}

/* The container's own process, changed by the command line. */
static int process_from_flags(const struct exec *x, struct oci_process *p, struct err *e)
{
	const struct exec_options *o = x->o;

	*p = *x->spec->process;
	p->terminal = o->tty;
	p->console_size = NULL;
	p->scheduler = NULL;
	p->io_priority = NULL; /* not inherited by exec (oci.md: ioPriority) */
	p->args.n = 0;
	p->args.v = append(x->arena, &(struct strs){ NULL, 0 }, (const char *const *)o->args, &p->args.n);
	if (o->cwd)
		p->cwd = o->cwd;
	if (o->env)
		p->env = plus(x->arena, &p->env, (const char *const *)o->env);
	if (o->caps)
		p->capabilities = add_caps(x, p->capabilities);
	if (o->no_new_privs)
		p->no_new_privileges = true;
	if (o->apparmor)
		p->apparmor_profile = o->apparmor;
	if (o->process_label)
		p->selinux_label = o->process_label;
	return set_user(x, p, e);
}

static int check_flags(const struct exec_options *o, struct err *e)
{
	if (o->cwd && o->cwd[0] != '/')
		return err_set(e, EINVAL, "--cwd %s: must be an absolute path", o->cwd);
	for (char *const *env = o->env; env && *env; env++)
		if (!strchr(*env, '=') || (*env)[0] == '=')
			return err_set(e, EINVAL, "--env %.80s: must be NAME=VALUE", *env);
	for (const char *const *cap = o->caps; cap && *cap; cap++)
		if (cap_from_name(*cap) < 0)
			return err_set(e, EINVAL, "--cap %.80s: unknown capability", *cap);
	if (!o->process_file && (!o->args || !o->args[0]))
		return err_set(e, EINVAL, "exec: no command and no --process file given");
	return 0;
}

static const char *label_or(const char *given, const char *container)
{
	return given && *given ? given : container;
}

static int read_process(const struct exec *x, const struct oci_process **out, struct err *e)
{
	const struct exec_options *o = x->o;
	struct oci_process *p = arena_new(x->arena, struct oci_process);
	const struct oci_process *given;
	char *text;
	int r = check_flags(o, e);

	if (r < 0)
		return r;
	if (!o->process_file && !x->spec->process)
		return err_set(e, EINVAL, "container \"%s\" was created without a process: exec needs --process", x->c->id);
	if (o->process_file) {
		ssize_t n = file_read(AT_FDCWD, o->process_file, PROCESS_MAX, false, x->arena, &text, e);

		if (n < 0)
			return err_in(e, "--process");
		if (oci_process_parse(x->arena, text, (size_t)n, &given, e) < 0)
			return err_in(e, "--process %s", o->process_file);
		*p = *given;
		/* No label is no way out of the container's. */
		p->apparmor_profile =
			label_or(given->apparmor_profile, x->spec->process ? x->spec->process->apparmor_profile : NULL);
		p->selinux_label = label_or(given->selinux_label, x->spec->process ? x->spec->process->selinux_label : NULL);
		if (o->tty_set)
			p->terminal = o->tty;
	} else {
		r = process_from_flags(x, p, e);
	}
	*out = p;
	return r;
}

static int check_console(const struct exec *x, const struct oci_process *p, struct err *e)
{
	if (p->terminal && x->o->detach && !x->o->console_socket)
		return err_set(e, EINVAL, "a terminal of a detached process needs a --console-socket");
	if (!p->terminal && x->o->console_socket)
		return err_set(e, EINVAL, "--console-socket is given but the process has no terminal");
	return 0;
}

/* The rest is decided by who knows the guest. */
static int plan_for_guest(struct exec *x, unsigned passed, struct err *e)
{
	if (passed)
		return err_set(e, ENOTSUP, "descriptors cannot be passed into a virtual machine");
	x->plan.proc.terminal = x->process->terminal;
	return 0;
}

static int make_plan(struct exec *x, const struct runtime *rt, struct err *e)
{
	struct plan_options po = {
		.id = x->c->id,
		.bundle = x->c->state->bundle,
		.cgroup = rt->cgroup,
		.preserve_fds = x->o->preserve_fds,
		.listen_fds = count_listen_fds(),
		.no_new_keyring = x->c->state->no_new_keyring,
	};
	struct host h;
	int r = check_preserved(po.preserve_fds + po.listen_fds, e);

	if (r == 0)
		r = read_process(x, &x->process, e);
	if (r == 0)
		r = check_console(x, x->process, e);
	if (r == 0 && x->vm)
		return plan_for_guest(x, po.preserve_fds + po.listen_fds, e);
	if (r == 0)
		r = host_probe(x->arena, wants_lsm(x->process) ? HOST_LSM : 0, &h, e);
	return r < 0 ? r : plan_exec(x->spec, x->process, &po, &h, x->arena, &x->plan, e);
}

int open_proc_dir(const struct oci_state *s, struct err *e)
{
	char path[32];

	text_format(path, sizeof(path), "/proc/%d", s->pid);
	int fd = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_errno(e, "%s", path) : fd;
}

static int pass_console(struct exec *x, struct err *e)
{
	char name[33] = "";
	int n = chan_expect(&x->chan, MSG_CONSOLE, name, sizeof(name) - 1, &x->console, e);

	if (n < 0)
		return n;
	if (!x->o->console_socket) {
		copy_window_size(x->console);
		return 0;
	}
	int r = send_fd_to_socket(x->o->console_socket, "--console-socket", n ? name : " ", x->console, e);

	close_fd(&x->console);
	return r;
}

/* Limits only when it is ready: those of the container must not hinder the entering. */
static int await_ready(struct exec *x, struct err *e)
{
	int r = x->vm ? 0 : sec_apply_rank(&x->plan.sec, x->pid, e);

	if (r == 0 && x->plan.proc.terminal)
		r = pass_console(x, e);
	if (r == 0)
		r = chan_expect(&x->chan, MSG_READY, NULL, 0, NULL, e);
	return r < 0 || x->vm ? r : sec_apply_limits(&x->plan.sec, x->pid, e);
}

/* From when the process is forked. */
static int bring_up(struct exec *x, struct err *e)
{
	struct start_request q = {
		.chan = &x->chan,
		.spec = x->spec,
		.id = x->c->id,
		.bundle = x->c->state->bundle,
		.status = "running",
	};
	int r = await_ready(x, e);

	q.init = x->pidfd;
	q.pid = x->pid;
	if (r == 0 && !x->o->detach)
		r = hold_signals(e);
	if (r == 0)
		r = request_start(&q, e);
	if (r == 0 && x->o->pidfd_socket)
		r = send_fd_to_socket(x->o->pidfd_socket, "--pidfd-socket", "setns", x->pidfd, e);
	if (r == 0 && x->o->pid_file)
		r = write_pid_file(x->o->pid_file, x->pid, e);
	return r;
}

static void end_process(struct exec *x)
{
	struct err ignored;

	chan_close(&x->chan);
	(void)sys_pidfd_send_signal(x->pidfd, SIGKILL);
	(void)!proc_wait(x->pid, &ignored);
}

static int fork_joiner(struct exec *x, struct err *e)
{
	struct joiner j = { .plan = &x->plan,
			    .entry = { .pidfd = x->init,
				       .proc_dir = x->ns_dir,
				       .root_fd = -1,
				       .cgroup = &x->cgroup,
				       .subs = x->o->cgroups,
				       .resctrl = &x->resctrl } };
	int r = joiner_namespaces(x->ns_dir, ns_created(x->spec), &j.entry.ns_flags, e);

	if (r < 0)
		return r;
	auto_fd int root = -1;
	if (x->c->state->no_pivot || !(j.entry.ns_flags & SYS_CLONE_NEWNS)) {
		root = open_root(x);
		if (root < 0)
			return err_errno(e, "root of container \"%s\"", x->c->id);
	}
	j.entry.root_fd = root;
	return joiner_fork(&j, &x->chan, &x->pid, &x->pidfd, e);
}

static int enter(struct exec *x, struct err *e)
{
	int r = x->vm ? vm_exec_fork(x->c, x->process, x->o, x->arena, &x->chan, &x->pid, &x->pidfd, e) : fork_joiner(x, e);

	if (r == 0)
		r = bring_up(x, e);
	if (r < 0 && x->pid > 0)
		end_process(x);
	return r;
}

static int check_state(const struct container *c, const struct exec_options *o, int *init, struct err *e)
{
	enum container_status status = container_status_and_init(c, init);

	if (status == CONTAINER_PAUSED && !o->ignore_paused)
		return err_set(e, EBUSY, "cannot exec in a paused container (use --ignore-paused to override)");
	if (status == CONTAINER_STOPPED)
		return err_set(e, ESRCH, "cannot exec in a stopped container: container \"%s\": container not running", c->id);
	if (status == CONTAINER_CREATING)
		return err_set(e, EBUSY, "container \"%s\" is being created", c->id);
	if (*init < 0)
		*init = open_init(c->state, e);
	return *init < 0 ? *init : 0;
}

/* What the process runs without; this may take days. */
static void forget_the_way(struct exec *x)
{
	struct fd_pile *later = x->c->later;

	fd_pile_put(later, &x->init);
	fd_pile_put(later, &x->ns_dir);
	fd_pile_put(later, &x->chan.fd);
	fd_pile_close(later);
}

static int run_exec(struct exec *x, const struct runtime *rt, int *status, struct err *e)
{
	int r = check_state(x->c, x->o, &x->init, e);

	if (r == 0)
		r = store_load_config(x->c, x->arena, &x->spec, e);
	if (r < 0)
		return r;
	/* Opened while the pidfd says that it is the right process; it stays that process. */
	x->ns_dir = open_proc_dir(x->c->state, e);
	if (x->ns_dir < 0)
		return x->ns_dir;
	cgroup_from_state(x->c->state, x->arena, &x->cgroup);
	resctrl_from_state(x->c->state, &x->resctrl);
	r = make_plan(x, rt, e);
	if (r == 0)
		r = enter(x, e);
	*status = 0;
	if (r < 0 || x->o->detach)
		return r;
	forget_the_way(x);
	int code = wait_foreground(x->pid, x->pidfd, x->console, false, &NOTIFY_NONE, e);

	if (code < 0) {
		end_process(x);
		return code;
	}
	*status = code;
	return 0;
}

int container_exec(const struct runtime *rt, const char *id, const struct exec_options *o, int *status, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct fd_pile later = FD_PILE_FEW;
	auto_container struct container c = CONTAINER_CLOSED(&later);
	int r = store_open(rt, id, false, true, &a, &c, e);

	if (r < 0)
		return r;
	struct exec x = { .c = &c,
			  .o = o,
			  .arena = &a,
			  .vm = backend_of(c.state) == &backend_vm,
			  .init = -1,
			  .ns_dir = -1,
			  .chan = { -1 },
			  .pidfd = -1,
			  .console = -1 };

	r = run_exec(&x, rt, status, e);
	forget_the_way(&x);
	fd_pile_put(&later, &x.pidfd);
	fd_pile_put(&later, &x.console);
	return r;
}
