/* features: what this build can do, whatever the host; made from the tables that do it */
#include "cli/cli.h"
#include "commit.h"
#include "oci/features.h"
#include "rootfs/rootfs.h"
#include "security/security.h"

/* Annotations that change what a container may do; a trailing dot means all that begin so. */
static const char *const unsafe_annotations[] = { "org.systemd.property.", "run.oci.", NULL };

static const char *const *capabilities(struct arena *a)
{
	unsigned n = 0;

	while (cap_name(n))
		n++;
	const char **v = arena_alloc(a, (n + 1) * sizeof(*v));

	for (unsigned i = 0; i < n; i++)
		v[i] = cap_name(i);
	return v;
}

static int run_features(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e)
{
	struct strbuf out = STRBUF(c->arena);
	struct oci_features f = {
		.version = DRUPE_VERSION,
		.commit = DRUPE_COMMIT,
		.mount_options = rootfs_option_words(),
		.capabilities = capabilities(c->arena),
		.unsafe_annotations = unsafe_annotations,
		.cgroup_v1 = true,
		.cgroup_v2 = true,
		.cgroup_systemd = true,
		.cgroup_systemd_user = true,
		.cgroup_rdma = true,
		.seccomp = true,
		.apparmor = true,
		.selinux = true,
		.intel_rdt = true,
		.memory_policy = true,
		.idmap = true,
		.net_devices = true,
	};

	(void)opts;
	(void)rest;
	oci_features_write(&f, &out);
	return cli_print(c, &out, e);
}

const struct command cmd_features = {
	.name = "features",
	.operands = "",
	.brief = "print what drupe can do",
	.help = "Prints the OCI features of this build as JSON.",
	.example = "features",
	.no_root = true,
	.run = run_features,
};
