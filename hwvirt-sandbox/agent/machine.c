/* What a kernel that has just started does not have: mounts, a root that pivot_root(2) accepts, time, entropy.
 *
 * The first root is the initramfs, which nothing can be pivoted away from. So a tmpfs is moved over it, and is the root from then
 * on. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "hwvirt-sandbox/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <linux/magic.h>

#define ROOT "/root.new"

static int mount_one(const char *type, const char *source, const char *at, unsigned long flags, const char *data, struct err *e)
{
	if (mkdir(at, 0755) < 0 && errno != EEXIST)
		return err_errno(e, "mkdir %s", at);
	if (mount(source, at, type, flags, data) < 0)
		return err_errno(e, "mount %s on %s", type, at);
	return 0;
}

/* Nothing else is to lose its root by mistake. */
static int check_initramfs(struct err *e)
{
	struct statfs fs;

	if (statfs("/", &fs) < 0)
		return err_errno(e, "/");
	if (getpid() != 1 || (fs.f_type != RAMFS_MAGIC && fs.f_type != TMPFS_MAGIC))
		return err_set(e, EINVAL, "this is not process 1 of a guest");
	return 0;
}

static int leave_initramfs(struct err *e)
{
	int r = check_initramfs(e);

	if (r == 0)
		r = mount_one("tmpfs", "tmpfs", ROOT, MS_NOSUID, "mode=755", e);

	if (r < 0)
		return r;
	if (chdir(ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return err_errno(e, "move the root");
	return 0;
}

/* The controllers that our cgroups may have, all of them. */
static int enable_controllers(struct err *e)
{
	auto_arena struct arena a = { 0 };
	char *list;
	int r = (int)file_read_pseudo(AT_FDCWD, "/sys/fs/cgroup/cgroup.controllers", 4095, &a, &list, e);

	for (char *p = list; r >= 0 && *p;) {
		size_t len = 0;

		while (p[len] && p[len] != ' ' && p[len] != '\n')
			len++;
		r = file_write_pseudo(AT_FDCWD, "/sys/fs/cgroup/cgroup.subtree_control", arena_printf(&a, "+%.*s", (int)len, p), e);
		p += len + (p[len] != '\0');
	}
	return r < 0 ? r : 0;
}

int machine_set_up(const char *share_tag, struct err *e)
{
	const unsigned long safe = MS_NOSUID | MS_NOEXEC | MS_NODEV;
	int r = leave_initramfs(e);

	if (r == 0)
		r = mount_one("proc", "proc", "/proc", safe, NULL, e);
	if (r == 0)
		r = mount_one("sysfs", "sysfs", "/sys", safe, NULL, e);
	if (r == 0)
		r = mount_one("devtmpfs", "devtmpfs", "/dev", MS_NOSUID, "mode=755", e);
	if (r == 0)
		r = mount_one("cgroup2", "cgroup2", "/sys/fs/cgroup", safe, NULL, e);
	if (r == 0)
		r = enable_controllers(e);
	if (r == 0)
		r = mount_one("tmpfs", "tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=755", e);
	if (r == 0 && share_tag)
		r = mount_one("virtiofs", share_tag, "/run/share", MS_NODEV, NULL, e);
	return r < 0 ? r : net_loopback_up(e);
}

void machine_set_time(uint64_t now_ns)
{
	const struct timespec now = { .tv_sec = (time_t)(now_ns / 1000000000), .tv_nsec = (long)(now_ns % 1000000000) };

	if (now_ns && clock_settime(CLOCK_REALTIME, &now) < 0)
		log_warn("the guest's clock cannot be set");
}

void machine_add_entropy(const void *data, size_t len)
{
	auto_fd int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
	struct err ignored;

	if (fd >= 0)
		(void)!fd_write_all(fd, data, len, &ignored);
}
