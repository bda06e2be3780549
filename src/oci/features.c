/* A list that is absent means "unknown" and an empty one "none", hence every list is written. */
#include "oci/features.h"
#include "oci/json_write.h"
#include "oci/spec.h"

static const char *const nothing[] = { NULL };

static void add_switch(struct json_writer *w, const char *name, bool on)
{
	json_open(w, name, '{');
	json_bool(w, "enabled", on);
	json_close(w, '}');
}

static void add_cgroup(struct json_writer *w, const struct oci_features *f)
{
	json_open(w, "cgroup", '{');
	json_bool(w, "v1", f->cgroup_v1);
	json_bool(w, "v2", f->cgroup_v2);
	json_bool(w, "systemd", f->cgroup_systemd);
	json_bool(w, "systemdUser", f->cgroup_systemd_user);
	json_bool(w, "rdma", f->cgroup_rdma);
	json_close(w, '}');
}

static void add_seccomp(struct json_writer *w, const struct oci_features *f)
{
	json_open(w, "seccomp", '{');
	json_bool(w, "enabled", f->seccomp);
	json_strs(w, "actions", oci_action_names);
	json_strs(w, "operators", oci_cmp_names);
	json_strs(w, "archs", oci_arch_names);
	json_strs(w, "knownFlags", oci_seccomp_flag_names);
	json_strs(w, "supportedFlags", oci_seccomp_flag_names);
	json_close(w, '}');
}

static void add_linux(struct json_writer *w, const struct oci_features *f)
{
	json_open(w, "linux", '{');
	json_strs(w, "namespaces", oci_ns_names);
	json_strs(w, "capabilities", f->capabilities);
	add_cgroup(w, f);
	add_seccomp(w, f);
	add_switch(w, "apparmor", f->apparmor);
	add_switch(w, "selinux", f->selinux);
	json_open(w, "intelRdt", '{');
	json_bool(w, "enabled", f->intel_rdt);
	json_bool(w, "schemata", f->intel_rdt);
	json_bool(w, "monitoring", f->intel_rdt);
	json_close(w, '}');
	json_open(w, "memoryPolicy", '{');
	json_strs(w, "modes", f->memory_policy ? oci_mpol_names : nothing);
	json_strs(w, "flags", f->memory_policy ? oci_mpol_flag_names : nothing);
	json_close(w, '}');
	json_open(w, "mountExtensions", '{');
	add_switch(w, "idmap", f->idmap);
	json_close(w, '}');
	add_switch(w, "netDevices", f->net_devices);
	json_close(w, '}');
}

void oci_features_write(const struct oci_features *f, struct strbuf *out)
{
	struct json_writer w;

	json_begin(&w, out, 2);
	json_open(&w, NULL, '{');
	json_str(&w, "ociVersionMin", OCI_VERSION_MIN);
	json_str(&w, "ociVersionMax", OCI_VERSION_MAX);
	json_strs(&w, "hooks", oci_hook_names);
	json_strs(&w, "mountOptions", f->mount_options);
	add_linux(&w, f);
	json_open(&w, "annotations", '{');
	json_str(&w, "org.drupe.version", f->version);
	json_str(&w, "org.drupe.commit", f->commit);
	json_close(&w, '}');
	json_strs(&w, "potentiallyUnsafeConfigAnnotations", f->unsafe_annotations ? f->unsafe_annotations : nothing);
	json_close(&w, '}');
	strbuf_puts(out, "\n");
}
