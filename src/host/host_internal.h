/* host_internal.h - the pure part of the probe, for its unit test */
#pragma once
#include "host/host.h"

/* Which hierarchies there are, by the texts of /proc/self/mountinfo and /proc/self/cgroup (both are modified). Sets hier, n_hier
 * and cgroup_mode of *h; the strings live in *a. A hierarchy that is mounted more than once counts where it is below
 * /sys/fs/cgroup, else where it is first. */
void host_parse_cgroups(char *mountinfo, char *own, struct arena *a, struct host *h);

/* Where, by the text of /proc/self/mountinfo (which is modified), the whole of resctrl is mounted, as it is seen last: a mount may
 * hide an earlier one. NULL: nowhere. */
const char *host_parse_resctrl(char *mountinfo, struct arena *a);
