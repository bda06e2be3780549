/* features.h - the document of `features`: what a runtime can do
 *
 * Lists that the specification's decoder knows come from its own tables; what lower layers decide is handed in.
 */
#pragma once
#include "base/str.h"

#include <stdbool.h>

#define OCI_VERSION_MIN "1.0.0"
#define OCI_VERSION_MAX "1.3.0"

struct oci_features {
	const char *version, *commit;                               /* of the program                               */
	const char *const *mount_options, *const *capabilities;     /* NULL-terminated                              */
	const char *const *unsafe_annotations;                      /* NULL-terminated; NULL: no annotation has effects */
	bool cgroup_v1, cgroup_v2, cgroup_systemd, cgroup_systemd_user, cgroup_rdma;
	bool seccomp, apparmor, selinux, intel_rdt, memory_policy, idmap, net_devices;
};

/* Adds the document, indented by two, with a newline. */
void oci_features_write(const struct oci_features *f, struct strbuf *out);
