/* plan: what would be done, without doing it */
#include "cli/cli.h"
#include "plan/vm_plan.h"

#include <unistd.h>

struct plan_flags {
	const char *config, *id;
	bool no_pivot, no_new_keyring;
};

OPT_TABLE(plan_table, struct plan_flags,
	  OPT_STR(struct plan_flags, config, "config", "f", "FILE", "configuration instead of the bundle's"),
	  OPT_STR(struct plan_flags, id, "id", NULL, "CONTAINER", "name of the container (example)"),
	  OPT_BOOL(struct plan_flags, no_pivot, "no-pivot", NULL, "as with create --no-pivot"),
	  OPT_BOOL(struct plan_flags, no_new_keyring, "no-new-keyring", NULL, "as with create --no-new-keyring"));

int cli_plan(struct cli *c, const struct oci_spec *spec, const struct plan_options *o, struct plan *out, struct plan *guest,
	     struct err *e)
{
	const struct oci_spec *ours = spec;
	struct vm_plan vm;
	struct host host;
	int r = host_probe(c->arena, HOST_ALL, &host, e);

	*guest = (struct plan){ 0 };
	if (r == 0 && vm_isolation_of(spec, c->vm) == VM_ISOLATION_VM) {
		r = vm_plan_build(spec, o->bundle, (unsigned)sysconf(_SC_NPROCESSORS_ONLN), c->arena, &vm, e);
		if (r == 0)
			r = vm_plan_guest(&vm, o->id, c->arena, guest, e);
		ours = vm.host;
	}
	return r < 0 ? r : plan_build(ours, o, &host, c->arena, out, e);
}

static int run_plan(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e)
{
	const struct plan_flags *f = opts;
	struct plan_options o = {
		.id = f->id ? f->id : "example",
		.no_pivot = f->no_pivot,
		.no_new_keyring = f->no_new_keyring,
		.cgroup = c->rt.cgroup,
	};
	struct strbuf out = STRBUF(c->arena);
	const struct oci_spec *spec;
	struct plan plan, guest;
	int r;

	if ((r = container_check_id(o.id, e)) < 0 ||
	    (r = bundle_load(rest->args[0], f->config, c->arena, &spec, NULL, &o.bundle, e)) < 0 ||
	    (r = cli_plan(c, spec, &o, &plan, &guest, e)) < 0)
		return r;
	plan_print(&plan, &out);
	if (guest.id) {
		strbuf_puts(&out, "\nin the virtual machine\n\n");
		plan_print(&guest, &out);
	}
	return cli_print(c, &out, e);
}

const struct command cmd_plan = {
	.name = "plan",
	.operands = "[BUNDLE]",
	.brief = "print what create would do",
	.help = "Prints everything that `create` would do with a bundle on this host.",
	.example = "plan /srv/web",
	.opts = &plan_table,
	.max = 1,
	.no_root = true,
	.run = run_plan,
};
