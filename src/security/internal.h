/* internal.h - what the files of security/ share
 *
 * *_plan() functions look at spec and host and fill members of a plan; their error texts begin with the JSON path. The others act
 * on the calling process.
 */
#pragma once
#include "security/security.h"

#include <linux/filter.h>

/* ---- caps.c ---- */
void caps_plan(const struct oci_caps *c, const struct sec_options *o, const struct host *h, struct sec_caps *out);
must_check int caps_drop_bounding(const struct sec_caps *c, struct err *e);
must_check int caps_keep(bool keep, struct err *e);               /* over a change of the user id */
must_check int caps_set(const struct sec_caps *c, struct err *e); /* permitted, effective, inheritable */
must_check int caps_set_ambient(const struct sec_caps *c, struct err *e);

/* ---- rlimit_sched.c ---- */
must_check int rlimits_plan(const struct oci_process *p, struct arena *a, struct sec_plan *out, struct err *e);
must_check int sched_plan(const struct oci_process *p, struct arena *a, struct sec_plan *out, struct err *e);
must_check int rlimits_set(const struct sec_plan *p, pid_t pid, struct err *e);
must_check int sched_set(const struct sec_sched *s, struct err *e);
must_check int ioprio_set_group(int ioprio, struct err *e);

/* ---- mempolicy.c ---- */
must_check int mempolicy_plan(const struct oci_mem_policy *m, struct sec_plan *out, struct err *e);
must_check int mempolicy_set(const struct sec_plan *p, struct err *e);

/* ---- keyring.c ---- */
must_check int keyring_join(const struct sec_plan *p, struct err *e);

/* ---- lsm.c ---- */
must_check int lsm_plan(const struct oci_process *p, const struct host *h, struct sec_plan *out, struct err *e);
must_check int lsm_label_exec(const struct sec_plan *p, int proc_fd, struct err *e);
must_check int lsm_label_keys(const struct sec_plan *p, struct err *e);

/* ---- seccomp_load.c ---- */
/* true when the kernel takes this SECCOMP_FILTER_FLAG_* (also when it will not tell). */
bool filter_flag_supported(unsigned flag);
/* Installs the filter; returns the listener descriptor when it has a NOTIFY action, else 0. */
must_check int filter_load(const struct sec_filter *f, struct err *e);

/* ---- sec_apply.c ---- */
/* The names of the steps of sec_apply_final() for this plan, in order, NULL-terminated: what the test of order.md looks at. */
#define SEC_STEPS_MAX 10
void sec_final_order(const struct sec_plan *p, const char *names[SEC_STEPS_MAX + 1]);
