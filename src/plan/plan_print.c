/* The plan as text: one section per subsystem, one decision a line, in the order in which it will be carried out. */
#include "base/str.h"
#include "plan/plan.h"

#include <string.h>

static void print_hooks(const struct hook_ops *ops, struct strbuf *out)
{
	for (size_t i = 0; i < ops->n; i++) {
		strbuf_printf(out, "%s:", ops->v[i].where);
		for (char *const *arg = ops->v[i].argv; *arg; arg++)
			strbuf_printf(out, " %s", *arg);
		if (ops->v[i].timeout_ms >= 0)
			strbuf_printf(out, " (at most %lld ms)", (long long)ops->v[i].timeout_ms);
		strbuf_puts(out, "\n");
	}
}

static void print_process(const struct proc_plan *p, struct strbuf *out)
{
	strbuf_puts(out, "execute:");
	for (char *const *arg = p->argv; *arg; arg++)
		strbuf_printf(out, " %s", *arg);
	strbuf_printf(out, "\nworking directory: %s\n", p->cwd);
	for (char *const *env = p->envp; *env; env++)
		strbuf_printf(out, "environment: %s\n", *env);
	if (p->set_home)
		strbuf_puts(out, "environment: HOME from the container's /etc/passwd\n");
	if (p->terminal)
		strbuf_puts(out, "terminal: a new one\n");
	if (p->keep_fds)
		strbuf_printf(out, "descriptors kept: 3 to %u\n", 2 + p->keep_fds);
}

/* Adds a section: its name, then its lines, indented. */
static void add_section(struct strbuf *out, const char *name, const struct strbuf *lines)
{
	strbuf_printf(out, "%s\n", name);
	for (const char *p = strbuf_str(lines); *p;) {
		size_t len = strcspn(p, "\n");

		strbuf_printf(out, "  %.*s\n", (int)len, p);
		p += len + (p[len] == '\n');
	}
}

void plan_print(const struct plan *p, struct strbuf *out)
{
	const struct hook_plan *h = &p->hooks;
	const struct hook_ops *hooks[] = { &h->prestart,        &h->create_runtime, &h->create_container,
					   &h->start_container, &h->poststart,      &h->poststop };
	struct strbuf ns = STRBUF(out->arena), cgroup = ns, resctrl = ns, net = ns, rootfs = ns, proc = ns, sec = ns,
		      hook_lines = ns;

	strbuf_printf(out, "container %s\n", p->id);
	ns_plan_print(&p->ns, &ns);
	add_section(out, "namespaces", &ns);
	cgroup_plan_print(&p->cgroup, &cgroup);
	add_section(out, "cgroup", &cgroup);
	resctrl_plan_print(&p->resctrl, &resctrl);
	if (resctrl.len)
		add_section(out, "resctrl", &resctrl);
	net_plan_print(&p->net, &net);
	add_section(out, "network", &net);
	rootfs_plan_print(&p->rootfs, &rootfs);
	add_section(out, "file system", &rootfs);
	if (p->has_process) {
		print_process(&p->proc, &proc);
		add_section(out, "process", &proc);
		sec_plan_print(&p->sec, &sec);
		add_section(out, "confinement", &sec);
	}
	for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++)
		print_hooks(hooks[i], &hook_lines);
	add_section(out, "hooks", &hook_lines);
}
