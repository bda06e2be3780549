/* net_apply.c - the loopback up, devices moved by a helper
 *
 * The helper gets its job on its standard input and answers with its exit status and one line on standard error.
 */
#include "base/cleanup.h"
#include "base/run.h"
#include "base/str.h"
#include "net/net.h"

#include <errno.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define HELPER_DEADLINE_MS 10000
#define HELPER_SAYS_MAX    400 /* bytes of its stderr that fit into an error */

/* Interface ioctls work on a socket of any family; a seccomp filter around the runtime may forbid some of them. */
static int any_socket(void)
{
	static const int families[] = { AF_INET, AF_UNIX, AF_NETLINK };
	int fd = -1;

	for (size_t i = 0; fd < 0 && i < sizeof(families) / sizeof(families[0]); i++)
		fd = socket(families[i], SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd;
}

int net_loopback_up(struct err *e)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	auto_fd int fd = any_socket();

	if (fd < 0)
		return err_errno(e, "lo: socket");
	if (ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		return err_errno(e, "lo: set up");
	return 0;
}

/* The lines that the helper reads: "pid N", then "move NAME NEWNAME" for each device. */
static const char *job_text(const struct net_plan *p, pid_t pid, struct arena *a)
{
	struct strbuf text = STRBUF(a);

	strbuf_printf(&text, "pid %d\n", (int)pid);
	for (size_t i = 0; i < p->n_devices; i++)
		strbuf_printf(&text, "move %s %s\n", p->devices[i].key, p->devices[i].name);
	return strbuf_str(&text);
}

static int run_helper(const struct net_plan *p, pid_t pid, struct err *e)
{
	static char *const argv[] = { (char *)"drupe-net", NULL }, *const env[] = { (char *)"LC_ALL=C", NULL };
	auto_arena struct arena a = { 0 };
	char says[HELPER_SAYS_MAX];
	int r = run_program(&(struct run){ .path = p->helper,
					   .argv = argv,
					   .envp = env,
					   .input = job_text(p, pid, &a),
					   .timeout_ms = HELPER_DEADLINE_MS,
					   .says = says,
					   .says_room = sizeof(says) },
			    e);

	if (r > 0)
		return run_failed(r, says, argv[0], EIO, e);
	return r < 0 ? err_in(e, "%s", p->helper) : 0;
}

int net_move_devices(const struct net_plan *p, pid_t pid, struct err *e)
{
	if (p->n_devices == 0)
		return 0;
	return run_helper(p, pid, e) < 0 ? err_in(e, "linux.netDevices") : 0;
}
