#include "base/str.h"
#include "net/net.h"
#include "tap.h"

#include <errno.h>

#define LEN(array) (sizeof(array) / sizeof((array)[0]))
#define LIST(T, ...)                                                                                                               \
	{                                                                                                                          \
		.v = (T[]){ __VA_ARGS__ }, .n = LEN(((T[]){ __VA_ARGS__ }))                                                        \
	}
#define NAMESPACES(...) ((struct oci_namespace_list)LIST(struct oci_namespace, __VA_ARGS__))
#define DEVICES(...)    ((struct oci_net_device_list)LIST(struct oci_net_device, __VA_ARGS__))

struct fixture {
	struct arena a;
	struct host h;
	struct oci_linux l;
	struct oci_spec s;
	struct net_plan p;
	struct err e;
};

static int build(struct fixture *f)
{
	f->s.linux_ = &f->l;
	return net_plan_build(&f->s, &f->h, &f->a, &f->p, &f->e);
}

static void refused(struct fixture *f, int code, const char *text)
{
	expect(build(f) == -code);
	expect_str(f->e.text, text);
	arena_release(&f->a);
}

static void loopback_belongs_to_a_new_namespace_only(void)
{
	struct fixture f = { 0 };

	expect(build(&f) == 0 && !f.p.loopback);
	f.l.namespaces = NAMESPACES({ OCI_NS_PID, NULL }, { OCI_NS_NETWORK, "/run/netns/x" });
	expect(build(&f) == 0 && !f.p.loopback);
	f.l.namespaces = NAMESPACES({ OCI_NS_PID, NULL }, { OCI_NS_NETWORK, NULL });
	expect(build(&f) == 0 && f.p.loopback && f.p.n_devices == 0);
	f.l.namespaces = NAMESPACES({ OCI_NS_NETWORK, "" });
	expect(build(&f) == 0 && f.p.loopback);
}

static void devices_are_renamed_or_keep_their_name(void)
{
	struct fixture f = { .h.initial_userns = true };
	struct strbuf out = STRBUF(&f.a);

	f.l.namespaces = NAMESPACES({ OCI_NS_NETWORK, NULL });
	f.l.net_devices = DEVICES({ "eth1", NULL }, { "ens4", "data" }, { "ens5", "" }, { "ens6", "net%d" }, { "ens7", "net%d" });
	expect(build(&f) == 0);
	expect(f.p.helper && f.p.helper[0] == '/' && str_ends(f.p.helper, "/drupe/net"));
	net_plan_print(&f.p, &out);
	expect_str(strbuf_str(&out),
		   "loopback: up\nmove device: eth1 as eth1\nmove device: ens4 as data\nmove device: ens5 as ens5\n"
		   "move device: ens6 as net%d\nmove device: ens7 as net%d\n");
	arena_release(&f.a);
}

static void devices_need_a_namespace_and_root(void)
{
	struct fixture f = { .h.initial_userns = true };

	f.l.net_devices = DEVICES({ "eth1", NULL });
	refused(&f, EINVAL, "linux.netDevices: needs a network namespace");
	f.l.namespaces = NAMESPACES({ OCI_NS_NETWORK, "/x" });
	expect(build(&f) == 0);
	f.h.euid = 1000;
	refused(&f, EPERM, "linux.netDevices: only root of the host can move network devices");
	f.h = (struct host){ .initial_userns = false };
	refused(&f, EPERM, "linux.netDevices: only root of the host can move network devices");
}

static void two_devices_of_one_name_are_refused(void)
{
	struct fixture f = { .h.initial_userns = true };

	f.l.namespaces = NAMESPACES({ OCI_NS_NETWORK, NULL });
	f.l.net_devices = DEVICES({ "eth1", "a" }, { "eth2", "b" }, { "eth3", "a" });
	refused(&f, EINVAL, "linux.netDevices: two devices are to be named a");
	f.l.net_devices = DEVICES({ "eth1", NULL }, { "eth2", "eth1" });
	refused(&f, EINVAL, "linux.netDevices: two devices are to be named eth1");
	f.l.net_devices = DEVICES({ "eth1", "eth2" }, { "eth2", "eth1" });
	expect(build(&f) == 0);
	arena_release(&f.a);
}

static void names_the_kernel_would_refuse_are_refused(void)
{
	static const char *const bad[] = { "a/b", "a b", "a\nb", ".", "..", "0123456789abcdef", "a%s", "a%d%d", "a%", "a:1", "lo" };
	struct fixture f = { .h.initial_userns = true };

	f.l.namespaces = NAMESPACES({ OCI_NS_NETWORK, NULL });
	for (size_t i = 0; i < LEN(bad); i++) {
		f.l.net_devices = DEVICES({ bad[i], "eth0" });
		expect(build(&f) == -EINVAL);
		f.l.net_devices = DEVICES({ "eth0", bad[i] });
		expect(build(&f) == -EINVAL);
	}
	f.l.net_devices = DEVICES({ "", "eth0" });
	refused(&f, EINVAL, "linux.netDevices: \"\" is not a name of a network device");
	f.l.net_devices = DEVICES({ "eth%d", "eth0" });
	refused(&f, EINVAL, "linux.netDevices: \"eth%d\" is not a name of a network device");
	f.l.net_devices = DEVICES({ "eth0", "a b" });
	refused(&f, EINVAL, "linux.netDevices.eth0.name: \"a b\" is not a name for a network device");
	f.l.net_devices = DEVICES({ "lo", NULL });
	refused(&f, EINVAL, "linux.netDevices.lo: every network namespace has its own lo");
	f.l.net_devices = DEVICES({ "0123456789abcde", NULL });
	expect(build(&f) == 0);
	arena_release(&f.a);
}

TAP_MAIN(CASE(loopback_belongs_to_a_new_namespace_only), CASE(devices_are_renamed_or_keep_their_name),
	 CASE(devices_need_a_namespace_and_root), CASE(two_devices_of_one_name_are_refused),
	 CASE(names_the_kernel_would_refuse_are_refused))
