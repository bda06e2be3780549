/* net.c - libexec/drupe/net: moves network devices into a container
 *
 * Reads its job from standard input and says what failed on standard error, in one line:
 *     pid 1234              the process whose network namespace is the target
 *     move eth1 eth0        for each device: its name here, and there ("eth%d": the first free number)
 *
 * A device loses its addresses when it changes its namespace, so the permanent global ones are read before and added after. The
 * move and the new name travel in one message: the kernel checks both first, takes the device down itself, and so a refused device
 * stays here as it was. What was moved is never moved back: a device in use elsewhere is better than one that flaps, and the kernel
 * returns physical devices when the namespace goes. Two sockets, one in each namespace, spare going back and forth.
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/retry.h"
#include "base/str.h"
#include "base/sys.h"
#include "helpers/helper.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define MESSAGE_MAX  32768 /* bytes of an answer of the kernel */
#define REQUEST_MAX  512
#define TEMPLATE_MAX 4096 /* numbers tried */
#define DUMP_TRIES   10

/* What of an address is the administrator's choice; the rest is the kernel's to say. */
#define KEPT_ADDR_FLAGS (IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN)

struct move {
	const char *from, *to;
};

struct job {
	uint32_t pid;
	struct move *moves;
	size_t n;
};

struct route {
	struct mnl_socket *nl;
	unsigned seq;
};

struct device {
	int index;
	unsigned flags; /* IFF_* */
};

/* Addresses as ready requests, to be sent once the device has its new index. */
struct addresses {
	struct arena *arena;
	int of; /* index of the device */
	struct nlmsghdr *v[256];
	size_t n;
	bool too_many;
};

static void close_route(struct route *r)
{
	if (r->nl)
		mnl_socket_close(r->nl);
}

#define auto_route __attribute__((cleanup(close_route)))

static int open_route(struct route *out, struct err *e)
{
	out->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!out->nl || mnl_socket_bind(out->nl, 0, MNL_SOCKET_AUTOPID) < 0)
		return err_errno(e, "rtnetlink socket");
	return 0;
}

/* Throws away the rest of an answer that was given up; what the kernel still has to say is there already. */
static void drain(struct route *r)
{
	char rest[MESSAGE_MAX];

	while (recv(mnl_socket_get_fd(r->nl), rest, sizeof(rest), MSG_DONTWAIT) > 0)
		;
}

/* Sends a request and hands every message of the answer to cb. Returns 0 or -errno, and sets no error text. */
static int talk(struct route *r, struct nlmsghdr *request, mnl_cb_t cb, void *data)
{
	char answer[MESSAGE_MAX];
	int more = MNL_CB_OK;

	request->nlmsg_seq = ++r->seq;
	if (mnl_socket_sendto(r->nl, request, request->nlmsg_len) < 0)
		return -errno;
	while (more == MNL_CB_OK) {
		ssize_t n = RETRY(mnl_socket_recvfrom(r->nl, answer, sizeof(answer)));

		more = n < 0 ? MNL_CB_ERROR : mnl_cb_run(answer, (size_t)n, r->seq, mnl_socket_get_portid(r->nl), cb, data);
	}
	if (more >= 0)
		return 0;
	int code = errno;

	drain(r);
	return -code;
}

static struct nlmsghdr *start_link_request(void *buffer, uint16_t type, int index, struct ifinfomsg **info)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);

	request->nlmsg_type = type;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	*info = mnl_nlmsg_put_extra_header(request, sizeof(**info));
	(*info)->ifi_family = AF_UNSPEC;
	(*info)->ifi_index = index;
	return request;
}

static int on_link(const struct nlmsghdr *message, void *data)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
	struct device *d = data;

	if (message->nlmsg_type == RTM_NEWLINK)
		*d = (struct device){ .index = info->ifi_index, .flags = info->ifi_flags };
	return MNL_CB_OK;
}

/* Returns 1 when the device exists (*d is set), 0 when not. */
static int find_device(struct route *r, const char *name, struct device *d, struct err *e)
{
	_Alignas(struct nlmsghdr) char buffer[REQUEST_MAX];
	struct ifinfomsg *info;
	struct nlmsghdr *request = start_link_request(buffer, RTM_GETLINK, 0, &info);

	mnl_attr_put_strz(request, IFLA_IFNAME, name);
	int n = talk(r, request, on_link, d);

	if (n == -ENODEV)
		return 0;
	return n < 0 ? err_set(e, -n, "%s: look up: %s", name, strerror(-n)) : 1;
}

static void keep_address(struct addresses *list, const struct nlmsghdr *message, uint32_t flags)
{
	const struct ifaddrmsg *old = mnl_nlmsg_get_payload(message);
	struct nlmsghdr *request = mnl_nlmsg_put_header(arena_alloc(list->arena, REQUEST_MAX));
	struct ifaddrmsg *info = mnl_nlmsg_put_extra_header(request, sizeof(*info));
	const struct nlattr *attr;

	request->nlmsg_type = RTM_NEWADDR;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
	*info = (struct ifaddrmsg){ .ifa_family = old->ifa_family,
				    .ifa_prefixlen = old->ifa_prefixlen,
				    .ifa_scope = old->ifa_scope };
	mnl_attr_for_each(attr, message, sizeof(*old))
	{
		uint16_t type = mnl_attr_get_type(attr), len = mnl_attr_get_payload_len(attr);

		/* No IFA_LABEL: it begins with the old name. No IFA_CACHEINFO: a permanent address has no lifetime. */
		if ((type == IFA_LOCAL || type == IFA_ADDRESS || type == IFA_BROADCAST || type == IFA_RT_PRIORITY) && len <= 16)
			mnl_attr_put(request, type, len, mnl_attr_get_payload(attr));
	}
	mnl_attr_put_u32(request, IFA_FLAGS, flags & KEPT_ADDR_FLAGS);
	list->v[list->n++] = request;
}

static int on_address(const struct nlmsghdr *message, void *data)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(message);
	struct addresses *list = data;
	const struct nlattr *attr;

	if (message->nlmsg_type != RTM_NEWADDR)
		return MNL_CB_OK;
	uint32_t flags = info->ifa_flags;

	mnl_attr_for_each(attr, message, sizeof(*info))
	{
		if (mnl_attr_get_type(attr) == IFA_FLAGS)
			flags = mnl_attr_get_u32(attr);
	}
	if ((int)info->ifa_index != list->of || info->ifa_scope != RT_SCOPE_UNIVERSE || !(flags & IFA_F_PERMANENT))
		return MNL_CB_OK;
	if (list->n == sizeof(list->v) / sizeof(list->v[0]))
		list->too_many = true;
	else
		keep_address(list, message, flags);
	return MNL_CB_OK;
}

static int read_addresses(struct route *r, struct addresses *list, struct err *e)
{
	_Alignas(struct nlmsghdr) char buffer[REQUEST_MAX];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct ifaddrmsg *info = mnl_nlmsg_put_extra_header(request, sizeof(*info));
	int n = -EINTR;

	request->nlmsg_type = RTM_GETADDR;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	info->ifa_family = AF_UNSPEC;
	/* EINTR: somebody changed an address of the host while we read, so the list may have gaps. */
	for (int i = 0; n == -EINTR && i < DUMP_TRIES; i++) {
		list->n = 0;
		n = talk(r, request, on_address, list);
	}
	if (n < 0)
		return err_set(e, -n, "read addresses: %s", strerror(-n));
	return list->too_many ? err_set(e, E2BIG, "has more than %zu addresses", list->n) : 0;
}

static int add_addresses(struct route *r, const struct addresses *list, int index, struct err *e)
{
	for (size_t i = 0; i < list->n; i++) {
		struct ifaddrmsg *info = mnl_nlmsg_get_payload(list->v[i]);

		info->ifa_index = (uint32_t)index;
		int n = talk(r, list->v[i], NULL, NULL);

		if (n < 0)
			return err_set(e, -n, "add address %zu of %zu: %s", i + 1, list->n, strerror(-n));
	}
	return 0;
}

static int send_away(struct route *r, int index, int netns, const char *name, struct err *e)
{
	_Alignas(struct nlmsghdr) char buffer[REQUEST_MAX];
	struct ifinfomsg *info;
	struct nlmsghdr *request = start_link_request(buffer, RTM_NEWLINK, index, &info);

	mnl_attr_put_u32(request, IFLA_NET_NS_FD, (uint32_t)netns);
	mnl_attr_put_strz(request, IFLA_IFNAME, name);
	int n = talk(r, request, NULL, NULL);

	return n < 0 ? err_set(e, -n, "move: %s", strerror(-n)) : 0;
}

static int set_up(struct route *r, int index, struct err *e)
{
	_Alignas(struct nlmsghdr) char buffer[REQUEST_MAX];
	struct ifinfomsg *info;
	struct nlmsghdr *request = start_link_request(buffer, RTM_NEWLINK, index, &info);

	info->ifi_flags = info->ifi_change = IFF_UP;
	int n = talk(r, request, NULL, NULL);

	return n < 0 ? err_set(e, -n, "set up: %s", strerror(-n)) : 0;
}

/* The name to give: `wanted` itself, or what is free of a template. The kernel would number as well, but not tell us. */
static int choose_name(struct route *inside, const char *wanted, char name[IFNAMSIZ], struct err *e)
{
	const char *percent = strchr(wanted, '%');
	struct device taken;

	for (int i = 0; i < TEMPLATE_MAX; i++) {
		int n = percent ? snprintf(name, IFNAMSIZ, "%.*s%d%s", (int)(percent - wanted), wanted, i, percent + 2)
				: snprintf(name, IFNAMSIZ, "%s", wanted);

		if (n >= IFNAMSIZ)
			return err_set(e, ENAMETOOLONG, "%s: no number is free that fits", wanted);
		int found = find_device(inside, name, &taken, e);

		if (found <= 0)
			return found;
		if (!percent)
			return err_set(e, EEXIST, "%s: a device of that name is already in the container", wanted);
	}
	return err_set(e, EEXIST, "%s: no number is free", wanted);
}

static int move_device(struct route *host, struct route *inside, int netns, const struct move *m, struct err *e)
{
	auto_arena struct arena arena = { 0 };
	struct addresses addresses = { .arena = &arena };
	struct device d = { 0 };
	char name[IFNAMSIZ];
	int r = find_device(host, m->from, &d, e);

	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ENODEV, "no such device on the host");
	if (d.flags & IFF_LOOPBACK)
		return err_set(e, EINVAL, "a loopback device cannot be moved");
	addresses.of = d.index;
	if ((r = choose_name(inside, m->to, name, e)) < 0 || (r = read_addresses(host, &addresses, e)) < 0 ||
	    (r = send_away(host, d.index, netns, name, e)) < 0 || (r = find_device(inside, name, &d, e)) < 0)
		return r;
	if (r == 0)
		return err_set(e, ENODEV, "was moved, but is not there as %s", name);
	if ((r = add_addresses(inside, &addresses, d.index, e)) < 0)
		return r;
	return set_up(inside, d.index, e);
}

/* A descriptor of the network namespace of pid, which must not be our own. */
static int open_netns(uint32_t pid, struct err *e)
{
	char path[32];
	struct stat own, other;

	snprintf(path, sizeof(path), "/proc/%u/ns/net", pid);
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &other) < 0)
		return err_errno(e, "%s", path);
	if (stat("/proc/self/ns/net", &own) < 0)
		return err_errno(e, "/proc/self/ns/net");
	if (own.st_dev == other.st_dev && own.st_ino == other.st_ino)
		return err_set(e, EINVAL, "the container's network namespace is the host's own");
	return take_fd(&fd);
}

static int run(const struct job *job, struct err *e)
{
	auto_route struct route host = { 0 }, inside = { 0 };
	auto_fd int netns = open_netns(job->pid, e);
	int r;

	if (netns < 0)
		return netns;
	if ((r = open_route(&host, e)) < 0)
		return r;
	if (sys_setns(netns, (int)SYS_CLONE_NEWNET) < 0)
		return err_errno(e, "join the container's network namespace");
	if ((r = open_route(&inside, e)) < 0)
		return r;
	for (size_t i = 0; i < job->n; i++)
		if (move_device(&host, &inside, netns, &job->moves[i], e) < 0)
			return err_in(e, "%s", job->moves[i].from);
	return 0;
}

static bool is_name(const char *name)
{
	size_t len = strlen(name);
	const char *percent = strchr(name, '%');

	return len > 0 && len < IFNAMSIZ && !strpbrk(name, "/:\t\r\n ") && !str_eq(name, ".") && !str_eq(name, "..") &&
	       (!percent || (percent[1] == 'd' && !strchr(percent + 1, '%')));
}

/* "move FROM TO" */
static int parse_move(char *line, struct move *out, struct err *e)
{
	char *rest = line + strlen("move ");
	char *space = strchr(rest, ' ');

	if (!space)
		return err_set(e, EINVAL, "job: move: two names are needed");
	*space = '\0';
	if (!is_name(rest) || strchr(rest, '%') || !is_name(space + 1))
		return err_set(e, EINVAL, "job: move: \"%s\" \"%s\": not names of devices", rest, space + 1);
	*out = (struct move){ .from = rest, .to = space + 1 };
	return 0;
}

static int parse_line(char *line, struct job *job, struct err *e)
{
	if (str_starts(line, "pid "))
		return parse_u32(line + strlen("pid "), &job->pid, e) < 0 ? err_in(e, "job: pid") : 0;
	if (str_starts(line, "move "))
		return parse_move(line, &job->moves[job->n++], e);
	return err_set(e, EINVAL, "job: unknown line");
}

/* Cuts `text` into lines; the names point into it. */
static int parse_job(char *text, struct arena *a, struct job *out, struct err *e)
{
	size_t lines = 0;

	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	*out = (struct job){ .moves = arena_alloc(a, (lines + 1) * sizeof(*out->moves)) };
	for (char *line = text; *line;) {
		char *end = strchr(line, '\n');

		if (!end)
			return err_set(e, EINVAL, "job: the last line has no end");
		*end = '\0';
		int r = parse_line(line, out, e);

		if (r < 0)
			return r;
		line = end + 1;
	}
	return out->pid ? 0 : err_set(e, EINVAL, "job: no pid");
}

static int run_text(char *text, struct arena *a, struct err *e)
{
	struct job job;

	return parse_job(text, a, &job, e) < 0 ? -e->code : run(&job, e);
}

int main(void)
{
	return helper_main(run_text);
}
