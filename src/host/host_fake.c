/* Hosts that nobody looks at: a guest's begins as the whole one, and the fake ones for tests have the chosen kind of cgroups, too.
 * Their facts live in constants, so a test copies what it wants to change (h->hier and h->n_hier may point to the test's own
 * array). */
#include "base/sys.h"
#include "host/host.h"

#define FAKE_ROOT "/sys/fs/cgroup"
#define N_V1      9

static const struct host_hierarchy fake_hybrid[] = {
	{ FAKE_ROOT "/cpu", "cpu", "/", false },
	{ FAKE_ROOT "/cpuacct", "cpuacct", "/", false },
	{ FAKE_ROOT "/cpuset", "cpuset", "/", false },
	{ FAKE_ROOT "/memory", "memory", "/", false },
	{ FAKE_ROOT "/devices", "devices", "/", false },
	{ FAKE_ROOT "/freezer", "freezer", "/", false },
	{ FAKE_ROOT "/blkio", "blkio", "/", false },
	{ FAKE_ROOT "/pids", "pids", "/", false },
	{ FAKE_ROOT "/systemd", "name=systemd", "/", false },
	{ FAKE_ROOT "/unified", "", "/", true },
};

static const struct host_hierarchy fake_v2[] = { { FAKE_ROOT, "", "/", true } };

static void fake_cgroups(struct host *h)
{
	switch (h->cgroup_mode) {
	case CGROUP_MODE_NONE:
		return;
	case CGROUP_MODE_V1:
		h->hier = fake_hybrid;
		h->n_hier = N_V1;
		return;
	case CGROUP_MODE_HYBRID:
		h->hier = fake_hybrid;
		h->n_hier = N_V1 + 1;
		h->v2_controllers = "hugetlb";
		return;
	case CGROUP_MODE_V2:
		h->hier = fake_v2;
		h->n_hier = 1;
		h->v2_controllers = "cpuset cpu io memory hugetlb pids rdma misc";
	}
}

void host_whole(struct host *out)
{
	*out = (struct host){
		.initial_userns = true,
		.caps_bounding = (1ull << 41) - 1,
		.caps_permitted = (1ull << 41) - 1,
		.cap_last = 40,
		.ns_supported = SYS_CLONE_NEWNS | SYS_CLONE_NEWCGROUP | SYS_CLONE_NEWUTS | SYS_CLONE_NEWIPC | SYS_CLONE_NEWUSER |
				SYS_CLONE_NEWPID | SYS_CLONE_NEWNET | SYS_CLONE_NEWTIME,
		.v2_controllers = "",
	};
}

void host_fake(struct host *out, enum cgroup_mode mode)
{
	host_whole(out);
	out->cgroup_mode = mode;
	fake_cgroups(out);
}
