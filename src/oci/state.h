/* state.h - the documents about a container: our state.json, and the state that hooks and callers see */
#pragma once
#include "base/arena.h"
#include "base/str.h"
#include "oci/json_write.h"
#include "oci/spec.h"

#define OCI_STATE_VERSION 1 /* of our own document; a newer one is refused with a clear text */

/* One cgroup directory, as in cgroups/cgroup.h (siblings may not share a header). */
struct oci_state_cgroup { const char *controllers, *mount, *path; bool v2; uint64_t ino; };
struct oci_state_cgroup_list { struct oci_state_cgroup *v; size_t n; };

/* The groups of resctrl, as in cgroups/resctrl.h. */
struct oci_state_resctrl { const char *mount, *group, *mon_group; bool owns_group, owns_mon_group; };

/* A mount that was added to a living container: what mounts.json holds. */
struct oci_live_mount {
	const char *destination; /* as asked for, cleaned       */
	const char *path;        /* where it came to be, without links */
	uint64_t id;             /* the kernel's, of the mount  */
};
struct oci_live_mount_list { struct oci_live_mount *v; size_t n; };
must_check int oci_live_mounts_parse(struct arena *a, const char *text, size_t len, struct oci_live_mount_list *out, struct err *e);
void oci_live_mounts_encode(const struct oci_live_mount_list *l, struct strbuf *out);

/* What state.json holds. */
struct oci_state {
	uint32_t version;
	const char *oci_version, *id, *bundle, *rootfs, *backend; /* backend: "os", "vm" */
	const char *created;  /* RFC 3339, UTC, nanoseconds */
	const char *boot_id;  /* NULL: this document does not outlive the boot */
	const char *cgroup_manager; /* "cgroupfs", "systemd", "disabled" */
	const char *cgroup_mode;    /* "none", "v1", "hybrid", "v2" */
	const char *cgroup_path, *cgroup_scope;
	bool own_pid_ns, terminal, no_pivot, no_new_keyring;
	bool plain; /* its config says nothing to start and delete: it has a process, no hook for them and no seccomp agent */
	struct pairs annotations;
	/* From here on: what changes while a container is created. */
	const char *status;   /* "creating", "created", "running": the last step that was completed */
	int32_t pid;          /* 0 while there is none */
	uint64_t start_time;  /* of pid, clock ticks after boot */
	struct oci_state_cgroup_list cgroup_dirs;
	const struct oci_state_resctrl *resctrl; /* NULL: none */
};

/* state.json as it was encoded last. Begins as { .text = STRBUF(arena) }. */
struct oci_state_text {
	struct strbuf text;
	size_t head;              /* bytes of what does not change; 0: nothing was encoded */
	struct json_writer after; /* that wrote them */
	struct oci_state of;
};

/* Decodes state.json strictly. EINVAL as for the config; ENOTSUP: a newer version. */
must_check int oci_state_parse(struct arena *a, const char *text, size_t len, const struct oci_state **out, struct err *e);

/* Encodes state.json into t->text, by the same tables. What is the same as the last time, texts by their addresses, is not encoded again. */
void oci_state_encode(const struct oci_state *s, struct oci_state_text *t);

/* The state document of runtime-spec "State", one line, slashes not escaped: for hooks. pid 0 is left out when the status is stopped. */
void oci_state_for_hook(const char *oci_version, const char *id, const char *status, int pid, const char *bundle,
			const struct pairs *annotations, struct strbuf *out);
