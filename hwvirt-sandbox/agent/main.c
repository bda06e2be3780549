/* /init of a guest. The kernel's command line ends with "-- --vsock PORT [--share TAG]"; --unix PATH is for tests without a virtual
 * machine. As process 1 it never returns: the guest ends with it. */
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "hwvirt-sandbox/agent/agent.h"

#include <errno.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

struct args {
	struct transport transport;
	const char *share;
};

static int parse(char **argv, struct args *out, struct err *e)
{
	for (; argv[0]; argv += 2) {
		const char *value = argv[1];

		if (!value)
			return err_set(e, EINVAL, "%s: needs a value", argv[0]);
		if (str_eq(argv[0], "--vsock")) {
			if (parse_u32(value, &out->transport.port, e) < 0)
				return err_in(e, "--vsock");
		} else if (str_eq(argv[0], "--unix")) {
			out->transport.path = value;
		} else if (str_eq(argv[0], "--share")) {
			out->share = value;
		} else {
			return err_set(e, EINVAL, "%s: is not known", argv[0]);
		}
	}
	return 0;
}

static void complain(const struct err *why)
{
	struct err ignored;

	if (fd_write_all(2, "agent: ", 7, &ignored) == 0 && fd_write_all(2, why->text, strlen(why->text), &ignored) == 0)
		(void)!fd_write_all(2, "\n", 1, &ignored);
}

int main(int argc, char **argv)
{
	struct args args = { 0 };
	struct err e;
	int r = fd_ensure_stdio(&e);

	proc_reset_signals(PROC_SIGNALS_ALL);
	if (r >= 0)
		r = parse(argc ? argv + 1 : argv, &args, &e);
	bool machine = !args.transport.path;

	if (r >= 0 && machine)
		r = machine_set_up(args.share, &e);
	if (r >= 0)
		r = agent_run(&args.transport, machine, &e);
	if (r < 0)
		complain(&e);
	sync();
	/* In a pid namespace of its own this ends that; as any other process it must not end the machine. */
	if (getpid() == 1)
		(void)reboot(RB_AUTOBOOT);
	return r < 0;
}
