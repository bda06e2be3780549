/* creds.c - setfsuid(2), setfsgid(2) and capset(2), by the raw calls, which are per thread
 *
 * setfsuid(2) to a user other than root takes the capabilities about files away; those that make up for decisions of the guest's
 * kernel are raised again, since they stay permitted. CAP_FSETID is not among them.
 */
#include "hwvirt-sandbox/fuse/creds.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(cap) (1u << (cap)) /* all that matter here are in the first word */
#define FS_CAPS                                                                                                                    \
	(BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) | BIT(CAP_MKNOD))

static int edit(uint32_t set, uint32_t clear)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d) < 0)
		return -errno;
	d[0].effective = (d[0].effective | (set & d[0].permitted)) & ~clear;
	return syscall(SYS_capset, &h, d) < 0 ? -errno : 0;
}

/* The call tells the id before; a second one, with an id that never is, tells whether the first took effect. */
static bool set_fsid(long nr, uint32_t id)
{
	syscall(nr, id);
	return (uint32_t)syscall(nr, -1) == id;
}

int creds_become(struct creds *c, uint32_t uid, uint32_t gid)
{
	int r;

	*c = (struct creds){ 0 };
	if (uid == 0 && gid == 0)
		return 0;
	c->changed = true;
	if (!set_fsid(SYS_setfsgid, gid) || !set_fsid(SYS_setfsuid, uid)) {
		creds_restore(c);
		return -EPERM;
	}
	r = edit(FS_CAPS & ~BIT(CAP_FSETID), BIT(CAP_FSETID));
	if (r < 0)
		creds_restore(c);
	return r;
}

int creds_without_fsetid(struct creds *c)
{
	int r = edit(0, BIT(CAP_FSETID));

	c->changed = r == 0;
	return r;
}

void creds_restore(struct creds *c)
{
	if (!c->changed)
		return;
	c->changed = false;
	if (!set_fsid(SYS_setfsuid, (uint32_t)geteuid()) || !set_fsid(SYS_setfsgid, (uint32_t)getegid()) || edit(FS_CAPS, 0) < 0)
		abort();
}
