/* mempolicy.c - NUMA memory policy
 *
 * Theory of operation: the policy is set by set_mempolicy(2) in the process itself; fork(2) and execve(2) hand it down. enum
 * oci_mpol has the kernel's mode numbers. Rules between mode and nodes that the kernel would answer with a bare EINVAL are checked
 * first.
 */
#include "base/str.h"
#include "security/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/mempolicy.h */
enum { F_NUMA_BALANCING = 1 << 13, F_RELATIVE_NODES = 1 << 14, F_STATIC_NODES = 1 << 15 };

static int flag_bit(const char *name)
{
	if (str_eq(name, "MPOL_F_NUMA_BALANCING"))
		return F_NUMA_BALANCING;
	if (str_eq(name, "MPOL_F_RELATIVE_NODES"))
		return F_RELATIVE_NODES;
	return str_eq(name, "MPOL_F_STATIC_NODES") ? F_STATIC_NODES : 0;
}

static int parse_flags(const struct strs *names, int *out, struct err *e)
{
	*out = 0;
	for (size_t i = 0; i < names->n; i++) {
		int bit = flag_bit(names->v[i]);

		if (!bit)
			return err_set(e, EINVAL, "linux.memoryPolicy.flags[%zu]: unknown flag \"%.40s\"", i, names->v[i]);
		*out |= bit;
	}
	if (*out & F_RELATIVE_NODES && *out & F_STATIC_NODES)
		return err_set(e, EINVAL,
			       "linux.memoryPolicy.flags: MPOL_F_RELATIVE_NODES and MPOL_F_STATIC_NODES exclude each other");
	return 0;
}

static int check_nodes(int mode, bool any, struct err *e)
{
	bool none_wanted = mode == OCI_MPOL_DEFAULT || mode == OCI_MPOL_LOCAL;

	if (none_wanted && any)
		return err_set(e, EINVAL, "linux.memoryPolicy.nodes: %s takes no nodes",
			       mode == OCI_MPOL_LOCAL ? "MPOL_LOCAL" : "MPOL_DEFAULT");
	/* MPOL_PREFERRED without nodes means the local node. */
	if (!none_wanted && mode != OCI_MPOL_PREFERRED && !any)
		return err_set(e, EINVAL, "linux.memoryPolicy.nodes: this mode needs at least one node");
	return 0;
}

int mempolicy_plan(const struct oci_mem_policy *m, struct sec_plan *out, struct err *e)
{
	bool any = m->nodes && m->nodes[0];
	int flags, r;

	if ((r = parse_flags(&m->flags, &flags, e)) < 0 || (r = check_nodes(m->mode, any, e)) < 0)
		return r;
	if (any && cpu_list_parse(m->nodes, out->nodes, 8 * sizeof(out->nodes), e) < 0)
		return err_in(e, "linux.memoryPolicy.nodes");
	out->mempolicy_set = true;
	out->mempolicy_mode = m->mode | flags;
	return 0;
}

int mempolicy_set(const struct sec_plan *p, struct err *e)
{
	/* The kernel takes one bit less than it is told; bits above its own maximum only have to be zero. */
	if (syscall(SYS_set_mempolicy, p->mempolicy_mode, p->nodes, 8 * sizeof(p->nodes) + 1) < 0)
		return err_errno(e, "linux.memoryPolicy");
	return 0;
}
