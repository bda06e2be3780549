/* net.h - the container's network devices
 *
 * A new network namespace gets its loopback up by one ioctl, in init. linux.netDevices are moved by the helper program
 * libexec/drupe/net (libmnl), which runs only when a config asks for it.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "host/host.h"
#include "oci/spec.h"

struct net_plan {
	bool loopback;                        /* bring "lo" up: the namespace is new */
	const struct oci_net_device *devices; /* key: name on the host; name: name inside, or a template "eth%d"; never NULL */
	size_t n_devices;
	const char *helper; /* the program that moves devices, absolute; where it is installed, unless the caller knows better */
};

/* EINVAL: devices without an own network namespace, bad or repeated names. EPERM: devices, but we are not root of the host. */
must_check int net_plan_build(const struct oci_spec *spec, const struct host *h, struct arena *a, struct net_plan *out,
			      struct err *e);

/* Init side, in the new network namespace. */
must_check int net_loopback_up(struct err *e);

/* Runtime side: moves the devices into the network namespace of pid (a child not yet waited for), with their global addresses,
 * renamed and set up. Devices moved before a failure stay where they are. ETIMEDOUT: the helper took longer than 10 s. */
must_check int net_move_devices(const struct net_plan *p, pid_t pid, struct err *e);

struct strbuf;
void net_plan_print(const struct net_plan *p, struct strbuf *out);
