/* spec.h - the OCI runtime configuration (runtime-spec 1.3.0, linux and vm), decoded and checked
 *
 * Built once by oci_spec_parse(), const ever after, released with its arena. Units follow the OCI text: memory in bytes, CPU times
 * in microseconds. A NULL pointer or an unset opt_* means the member was absent. `linux_` and `hooks` of a spec, `user` of a
 * process and `resources` of linux are never NULL, which spares every consumer a test.
 */
#pragma once
#include "oci/decode.h"

struct oci_id_map { uint32_t container_id, host_id, size; };
struct oci_id_map_list { struct oci_id_map *v; size_t n; };

struct oci_hook { const char *path; struct strs args, env; bool env_set; struct opt_i64 timeout; /* seconds, > 0 */ };
struct oci_hook_list { struct oci_hook *v; size_t n; };
struct oci_hooks {
	struct oci_hook_list prestart, create_runtime, create_container, start_container, poststart, poststop;
};

struct oci_mount {
	const char *destination, *source, *type;
	struct strs options;
	struct oci_id_map_list uid_mappings, gid_mappings; /* both or neither */
};
struct oci_mount_list { struct oci_mount *v; size_t n; };

struct oci_root { const char *path; bool readonly; };
struct oci_size { uint64_t height, width; };
struct oci_user { uint32_t uid, gid; struct opt_u64 umask; struct u32s additional_gids; const char *username; };
struct oci_caps { struct strs bounding, permitted, effective, inheritable, ambient; };
struct oci_rlimit { const char *type; uint64_t hard, soft; };
struct oci_rlimit_list { struct oci_rlimit *v; size_t n; };

enum oci_sched { OCI_SCHED_OTHER, OCI_SCHED_FIFO, OCI_SCHED_RR, OCI_SCHED_BATCH, OCI_SCHED_ISO, OCI_SCHED_IDLE, OCI_SCHED_DEADLINE };
struct oci_scheduler {
	int policy; /* enum oci_sched */
	int32_t nice, priority;
	struct strs flags; /* each one of oci_sched_flag_names */
	uint64_t runtime, deadline, period; /* ns */
};
enum oci_ioprio { OCI_IOPRIO_NONE, OCI_IOPRIO_RT, OCI_IOPRIO_BE, OCI_IOPRIO_IDLE }; /* the kernel's class numbers */
struct oci_io_priority { int class_; int32_t priority; };
struct oci_cpu_affinity { const char *initial, *final; };

struct oci_process {
	bool terminal, no_new_privileges;
	const char *cwd, *apparmor_profile, *selinux_label;
	struct strs args, env;
	struct opt_i64 oom_score_adj;
	const struct oci_size *console_size;
	const struct oci_user *user; /* never NULL */
	const struct oci_caps *capabilities; /* NULL: absent, every capability is dropped, as an empty object */
	const struct oci_scheduler *scheduler;
	const struct oci_io_priority *io_priority;
	const struct oci_cpu_affinity *exec_cpu_affinity;
	struct oci_rlimit_list rlimits;
};

enum oci_ns { OCI_NS_MOUNT, OCI_NS_PID, OCI_NS_NETWORK, OCI_NS_UTS, OCI_NS_IPC, OCI_NS_USER, OCI_NS_CGROUP, OCI_NS_TIME, OCI_NS_COUNT };
struct oci_namespace { int type; const char *path; /* NULL: create one */ };
struct oci_namespace_list { struct oci_namespace *v; size_t n; };

struct oci_device { const char *type, *path; struct opt_i64 major, minor; struct opt_u64 file_mode, uid, gid; };
struct oci_device_list { struct oci_device *v; size_t n; };
struct oci_net_device { const char *key, *name; };
struct oci_net_device_list { struct oci_net_device *v; size_t n; };
struct oci_time_offset { const char *clock; int64_t secs; uint32_t nanosecs; };
struct oci_time_offset_list { struct oci_time_offset *v; size_t n; };

struct oci_device_rule { bool allow; const char *type, *access; struct opt_i64 major, minor; };
struct oci_device_rule_list { struct oci_device_rule *v; size_t n; };
struct oci_pids { struct opt_i64 limit; };
struct oci_memory {
	struct opt_i64 limit, reservation, swap, kernel, kernel_tcp;
	struct opt_u64 swappiness;
	bool disable_oom_killer, use_hierarchy, check_before_update;
};
struct oci_cpu {
	const char *cpus, *mems;
	struct opt_u64 shares, period, realtime_period, burst;
	struct opt_i64 quota, realtime_runtime, idle;
};
struct oci_throttle { int64_t major, minor; uint64_t rate; };
struct oci_throttle_list { struct oci_throttle *v; size_t n; };
struct oci_blk_weight { int64_t major, minor; struct opt_u64 weight, leaf_weight; };
struct oci_blk_weight_list { struct oci_blk_weight *v; size_t n; };
struct oci_block_io {
	struct opt_u64 weight, leaf_weight;
	struct oci_blk_weight_list weight_device;
	struct oci_throttle_list read_bps, write_bps, read_iops, write_iops;
};
struct oci_hugepage { const char *page_size; uint64_t limit; };
struct oci_hugepage_list { struct oci_hugepage *v; size_t n; };
struct oci_if_prio { const char *name; uint32_t priority; };
struct oci_if_prio_list { struct oci_if_prio *v; size_t n; };
struct oci_network { struct opt_u64 class_id; struct oci_if_prio_list priorities; };
struct oci_rdma { const char *device; struct opt_u64 hca_handles, hca_objects; };
struct oci_rdma_list { struct oci_rdma *v; size_t n; };

struct oci_resources {
	struct oci_device_rule_list devices;
	const struct oci_memory *memory;
	const struct oci_cpu *cpu;
	const struct oci_pids *pids;
	const struct oci_block_io *block_io;
	const struct oci_network *network;
	struct oci_hugepage_list hugepage_limits;
	struct oci_rdma_list rdma;
	struct pairs unified;
};

enum oci_action {
	OCI_ACT_KILL, OCI_ACT_KILL_PROCESS, OCI_ACT_KILL_THREAD, OCI_ACT_TRAP, OCI_ACT_ERRNO, OCI_ACT_TRACE, OCI_ACT_ALLOW,
	OCI_ACT_LOG, OCI_ACT_NOTIFY
};
enum oci_cmp { OCI_CMP_NE, OCI_CMP_LT, OCI_CMP_LE, OCI_CMP_EQ, OCI_CMP_GE, OCI_CMP_GT, OCI_CMP_MASKED_EQ };
struct oci_syscall_arg { uint32_t index; uint64_t value, value_two; int op; };
struct oci_syscall_arg_list { struct oci_syscall_arg *v; size_t n; };
struct oci_syscall { struct strs names; int action; struct opt_u64 errno_ret; struct oci_syscall_arg_list args; };
struct oci_syscall_list { struct oci_syscall *v; size_t n; };
struct oci_seccomp {
	int default_action; /* enum oci_action */
	bool disabled;      /* "seccomp": {}: neither default action nor rules, no filter is loaded */
	struct opt_u64 default_errno_ret;
	struct strs architectures; /* each one of oci_arch_names, "SCMP_ARCH_X86_64" */
	struct strs flags;         /* each one of oci_seccomp_flag_names */
	bool flags_set;            /* "flags": [] differs from no flags */
	const char *listener_path, *listener_metadata;
	struct oci_syscall_list syscalls;
};

struct oci_intel_rdt { const char *clos_id, *l3_cache_schema, *mem_bw_schema; struct strs schemata; bool enable_monitoring; };
struct oci_personality { int domain; /* 0 LINUX, 1 LINUX32 */ struct strs flags; };
enum oci_mpol { OCI_MPOL_DEFAULT, OCI_MPOL_PREFERRED, OCI_MPOL_BIND, OCI_MPOL_INTERLEAVE, OCI_MPOL_LOCAL, OCI_MPOL_PREFERRED_MANY,
	OCI_MPOL_WEIGHTED_INTERLEAVE }; /* the kernel's numbers, linux/mempolicy.h */
struct oci_mem_policy { int mode; const char *nodes; struct strs flags; };

enum oci_propagation { OCI_PROP_UNSET, OCI_PROP_PRIVATE, OCI_PROP_SHARED, OCI_PROP_SLAVE, OCI_PROP_UNBINDABLE, OCI_PROP_RPRIVATE,
	OCI_PROP_RSHARED, OCI_PROP_RSLAVE, OCI_PROP_RUNBINDABLE };

struct oci_linux {
	struct oci_namespace_list namespaces;
	struct oci_id_map_list uid_mappings, gid_mappings;
	struct oci_device_list devices;
	struct oci_net_device_list net_devices;
	struct oci_time_offset_list time_offsets; /* clock: "monotonic" or "boottime" */
	struct pairs sysctl;
	struct strs masked_paths, readonly_paths;
	const char *cgroups_path, *mount_label;
	int rootfs_propagation; /* enum oci_propagation */
	const struct oci_resources *resources; /* never NULL */
	const struct oci_seccomp *seccomp;
	const struct oci_intel_rdt *intel_rdt;
	const struct oci_personality *personality;
	const struct oci_mem_policy *memory_policy;
};

struct oci_vm_hypervisor { const char *path; struct strs parameters; };
struct oci_vm_kernel { const char *path, *initrd; struct strs parameters; };
struct oci_vm_image { const char *path; int format; };
struct oci_vm_iomem { struct opt_u64 first_gfn; uint64_t first_mfn, nr_mfns; };
struct oci_vm_iomem_list { struct oci_vm_iomem *v; size_t n; };
struct oci_vm_hw {
	const char *device_tree;
	struct opt_u64 vcpus, memory; /* memory in bytes */
	struct strs dtdevs;
	struct oci_vm_iomem_list iomems;
	struct u32s irqs;
};
struct oci_vm {
	const struct oci_vm_hypervisor *hypervisor;
	const struct oci_vm_kernel *kernel;
	const struct oci_vm_image *image;
	const struct oci_vm_hw *hw_config;
};

struct oci_spec {
	const char *oci_version, *hostname, *domainname;
	const struct oci_root *root;
	const struct oci_process *process;
	const struct oci_hooks *hooks;  /* never NULL */
	const struct oci_linux *linux_; /* never NULL */
	const struct oci_vm *vm;
	struct oci_mount_list mounts;
	struct pairs annotations;
};

/* Every problem of a document, in the order found. */
struct oci_problems {
	const char **v;
	size_t n;
	const char **hints; /* no problems: members that are ignored, but may be known ones misspelt */
	size_t n_hints;
};

/* Decodes the config.json text and checks the rules across members that need no look at the host. Everything reachable from *out
 * lives in *a, as may parts of text. EINVAL: the text is "line N: JSON.PATH: reason". */
must_check int oci_spec_parse(struct arena *a, const char *text, size_t len, const struct oci_spec **out, struct err *e);

/* Like oci_spec_parse(), but goes on after a problem and lists all of them in *p (n == 0: none; the texts live in *a).
 * *out is set only when there is none. Negative only when the text is no JSON at all (that one problem is listed too). */
must_check int oci_spec_check(struct arena *a, const char *text, size_t len, const struct oci_spec **out, struct oci_problems *p,
			      struct err *e);

/* Decodes a `process` object alone (exec --process), with the same rules. */
must_check int oci_process_parse(struct arena *a, const char *text, size_t len, const struct oci_process **out, struct err *e);

/* A JSON array of mounts, as in "mounts" of a config. */
must_check int oci_mounts_parse(struct arena *a, const char *text, size_t len, const struct oci_mount_list **out, struct err *e);

/* Decodes a `linux.resources` object alone (update --resources). */
must_check int oci_resources_parse(struct arena *a, const char *text, size_t len, const struct oci_resources **out, struct err *e);

struct strbuf;
/* Encodes it, on one line, so that oci_resources_parse() reads the same. */
void oci_resources_encode(const struct oci_resources *r, struct strbuf *out);

/* The names behind the enums, for messages and `features`: NULL-terminated arrays, indexed by the enumerator where there is one. */
extern const char *const oci_ns_names[], *const oci_action_names[], *const oci_cmp_names[], *const oci_sched_names[],
	*const oci_sched_flag_names[], *const oci_ioprio_names[], *const oci_arch_names[], *const oci_seccomp_flag_names[],
	*const oci_mpol_names[], *const oci_mpol_flag_names[], *const oci_propagation_names[], *const oci_hook_names[];
