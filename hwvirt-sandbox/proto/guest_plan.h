/* guest_plan.h - the host's plans, as bytes for a guest
 *
 * The guest spec is the plan itself (plan/plan.h): what src/init needs to make a container, which the agent carries out in the guest as the
 * runtime does on a host. Whoever builds the plan does so for the facts of the guest (struct host) and with the guest's paths.
 * Left out is what has no meaning there: joined namespaces, network devices, resctrl, hooks of the host, the seccomp listener,
 * systemd. Encoding a plan that has one is ENOTSUP.
 */
#pragma once
#include "base/codec.h"
#include "plan/plan.h"

/* May this plan go to a guest? */
must_check int guest_plan_check(const struct plan *p, struct err *e);
must_check int guest_exec_check(const struct exec_plan *p, struct err *e);

void codec_plan(struct codec *c, struct plan *p);
void codec_exec_plan(struct codec *c, struct exec_plan *p);

/* Of an update: what is written. The directories are those of the container. */
void codec_cgroup_plan(struct codec *c, struct cgroup_plan *p);
