/* host_internal.h - the pure part of the probe, for its unit test */
#pragma once
#include "host/host.h"

/* Which hierarchies there are, by the texts of /proc/self/mountinfo and /proc/self/cgroup (both are modified). Sets hier, n_hier
 * and cgroup_mode of *h; the strings live in *a. A hierarchy that is mounted more than once counts where it is below
 * /sys/fs/cgroup, else where it is first. */
void host_parse_cgroups(char *mountinfo, char *own, struct arena *a, struct host *h);
