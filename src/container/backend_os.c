/* Isolation by the kernel: init in its namespaces (init/init.h). */
#include "base/self.h"
#include "base/str.h"
#include "container/backend.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

const struct backend *backend_for(const struct oci_spec *spec, bool vm_asked)
{
	return vm_isolation_of(spec, vm_asked) == VM_ISOLATION_VM ? &backend_vm : &backend_os;
}

const struct backend *backend_of(const struct oci_state *s)
{
	return str_eq(s->backend, backend_vm.name) ? &backend_vm : &backend_os;
}

int backend_check_os(const struct container *c, const char *command, struct err *e)
{
	if (backend_of(c->state) == &backend_os)
		return 0;
	return err_set(e, ENOTSUP, "%s: container \"%s\" is in a virtual machine, for which this is not there", command, c->id);
}

const char *find_helper(const char *name, struct arena *a)
{
	const char *self = self_path(a), *slash = self ? strrchr(self, '/') : NULL;
	struct stat st;

	if (!slash)
		return NULL;
	const char *path = arena_printf(a, "%.*s/../libexec/drupe/%s", (int)(slash - self), self, name);

	return stat(path, &st) == 0 ? path : NULL;
}

/* What must be open before the fork. */
static int open_inputs(const struct plan *p, struct arena *a, struct init *in, struct err *e)
{
	struct rootfs_userns userns = { .fd = -1, .make = ns_make_userns };
	int r = ns_open(&p->ns, in->ns_fds, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < p->ns.n_join; i++)
		if (p->ns.join[i].flag == SYS_CLONE_NEWUSER)
			userns.fd = in->ns_fds[i];
	return init_open_sources(p, &userns, a, &in->sources, e);
}

static int launch(struct created *k, struct init *in, int place, struct arena *a, struct err *e)
{
	int r = open_inputs(k->plan, a, in, e);

	if (r == 0)
		r = init_fork(in, place, &k->chan, &k->pid, &k->pidfd, e);
	/* Init has its own copies. */
	rootfs_close_sources(&k->plan->rootfs, &in->sources);
	return r;
}

const struct backend backend_os = { .name = "os", .plan = plan_build, .launch = launch };
