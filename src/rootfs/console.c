/* console.c - the container's terminal
 *
 * The terminal comes from the container's own devpts. /dev/pts is accepted only when it really is a devpts, ptmx is opened in it
 * without leaving that file system, and the other end is asked from the kernel (TIOCGPTPEER), never looked up by a name that the
 * image could have put there. A container without devpts gets a terminal from an instance of its own that is mounted nowhere.
 */
#include "base/cleanup.h"
#include "base/log.h"
#include "base/path.h"
#include "rootfs/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441 /* <asm-generic/ioctls.h>; not in every libc */
#endif

/* Opens ptmx of the devpts that dir is the root of. */
static int open_ptmx(int dir, struct err *e)
{
	struct sys_open_how how = {
		.flags = O_RDWR | O_NOCTTY | O_CLOEXEC,
		.resolve = SYS_RESOLVE_BENEATH | SYS_RESOLVE_NO_XDEV | SYS_RESOLVE_NO_SYMLINKS,
	};
	auto_fd int fd = sys_openat2(dir, "ptmx", &how);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "cannot open a terminal");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2) || tree_magic(fd) != SYS_DEVPTS_SUPER_MAGIC)
		return err_set(e, EINVAL, "ptmx is no terminal multiplexer");
	return take_fd(&fd);
}

/* The container's devpts, or one of our own. *own tells which. */
static int open_devpts(int root, bool *own, struct err *e)
{
	static const struct fs_param params[] = { { "mode", "620" }, { "ptmxmode", "666" } };
	auto_fd int dir = path_open_in(root, "/dev/pts", O_PATH | O_DIRECTORY, e);

	*own = dir < 0 || tree_magic(dir) != SYS_DEVPTS_SUPER_MAGIC;
	if (!*own)
		return take_fd(&dir);
	return tree_new("devpts", "devpts", params, 2, SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NOEXEC, NULL, e);
}

/* Unlocks the pair and opens the slave. */
static int open_slave(int master, char name[32], struct err *e)
{
	int zero = 0;
	unsigned number;

	if (ioctl(master, TIOCSPTLCK, &zero) < 0 || ioctl(master, TIOCGPTN, &number) < 0)
		return err_errno(e, "cannot unlock the terminal");
	int fd = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, "cannot open the terminal's other end");
	snprintf(name, 32, "/dev/pts/%u", number);
	return fd;
}

static int set_up(int master, int slave, uint32_t uid, uint16_t rows, uint16_t cols, struct err *e)
{
	struct winsize size = { .ws_row = rows, .ws_col = cols };
	struct termios t;

	if (tcgetattr(slave, &t) < 0)
		return err_errno(e, "terminal");
	t.c_oflag &= ~(tcflag_t)ONLCR; /* lines end as the program wrote them; the caller's terminal adds what it needs */
	if (tcsetattr(slave, TCSANOW, &t) < 0)
		return err_errno(e, "terminal");
	if ((rows || cols) && ioctl(master, TIOCSWINSZ, &size) < 0)
		return err_errno(e, "cannot set the size of the terminal");
	if (fchown(slave, uid, (gid_t)-1) < 0)
		return err_errno(e, "cannot change the owner of the terminal");
	return 0;
}

/* A place for the console: what is there, if it is a file, else a new file. -ENOENT: there is none and none can be made. */
static int open_console_target(int root, struct err *e)
{
	auto_fd int dev = path_open_in(root, "/dev", O_PATH | O_DIRECTORY, e);
	struct stat st;

	if (dev < 0)
		return dev;
	auto_fd int made = openat(dev, "console", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0600);

	if (made < 0 && errno != EEXIST)
		return err_set(e, ENOENT, "/dev/console cannot be made: %s", strerror(errno));
	auto_fd int fd = openat(dev, "console", O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "/dev/console");
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
		return err_set(e, ENOENT, "/dev/console is a link or a directory");
	return take_fd(&fd);
}

/* Programs that write to /dev/console reach the terminal. An image that leaves no place for it does without. */
static int bind_slave(int root, int slave, struct err *e)
{
	auto_fd int target = open_console_target(root, e);

	if (target == -ENOENT) {
		log_debug("no console is mounted: %s", e->text);
		return 0;
	}
	if (target < 0 || proc_check_target(root, target, slave, e) < 0)
		return -e->code;
	auto_fd int clone = tree_clone_fd(slave, false, e);

	if (clone < 0 || tree_attach(clone, target, e) < 0)
		return err_in(e, "/dev/console");
	return 0;
}

int console_open(int root, uint32_t uid, uint16_t rows, uint16_t cols, bool bind_console, int *master, int *slave,
		 char pty_name[32], struct err *e)
{
	bool own;
	char name[32];
	auto_fd int devpts = open_devpts(root, &own, e);

	if (devpts < 0)
		return err_in(e, "the container has no devpts, and a private one");
	auto_fd int m = open_ptmx(devpts, e);
	auto_fd int s = m < 0 ? -1 : open_slave(m, name, e);

	if (s < 0 || set_up(m, s, uid, rows, cols, e) < 0)
		return -e->code;
	/* What is in no mount namespace cannot be cloned. */
	if (bind_console && !own && bind_slave(root, s, e) < 0)
		return -e->code;
	memcpy(pty_name, name, sizeof(name));
	*master = take_fd(&m);
	*slave = take_fd(&s);
	return 0;
}
