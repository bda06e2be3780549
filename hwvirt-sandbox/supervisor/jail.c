/* The parts are the runtime's own: its procfs, its confinement, its compiler of seccomp profiles. */
#include "hwvirt-sandbox/supervisor/jail.h"
#include "base/cleanup.h"
#include "base/proc_fs.h"
#include "base/sys.h"
#include "security/security.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { RULES_MAX = 12 };
#define NAMESPACES (SYS_CLONE_NEWNS | SYS_CLONE_NEWNET | SYS_CLONE_NEWIPC | SYS_CLONE_NEWUTS | SYS_CLONE_NEWCGROUP)

static int new_tmpfs(struct err *e)
{
	auto_fd int fs = sys_fsopen("tmpfs", SYS_FSOPEN_CLOEXEC);

	if (fs < 0 || sys_fsconfig(fs, SYS_FSCONFIG_STRING, "mode", "755", 0) < 0 ||
	    sys_fsconfig(fs, SYS_FSCONFIG_STRING, "size", "64k", 0) < 0 || sys_fsconfig(fs, SYS_FSCONFIG_CREATE, NULL, NULL, 0) < 0)
		return err_errno(e, "jail: tmpfs");
	int root = sys_fsmount(fs, SYS_FSMOUNT_CLOEXEC, SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV | SYS_MOUNT_ATTR_NOEXEC);

	return root < 0 ? err_errno(e, "jail: tmpfs") : root;
}

int jail_new_root(struct err *e)
{
	if (sys_unshare(NAMESPACES) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_errno(e, "jail: namespaces");
	auto_fd int root = new_tmpfs(e);

	if (root < 0)
		return root;
	/* A directory that is there on every host, until there is nothing else. */
	if (sys_move_mount(root, "", AT_FDCWD, "/proc", SYS_MOVE_MOUNT_F_EMPTY) < 0)
		return err_errno(e, "jail: root");
	return take_fd(&root);
}

int jail_change_root(int root_fd, struct err *e)
{
	const struct sys_mount_attr readonly = { .attr_set = SYS_MOUNT_ATTR_RDONLY };

	if (sys_mount_setattr(root_fd, "", AT_EMPTY_PATH, &readonly) < 0 || fchdir(root_fd) < 0 || sys_pivot_root(".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_errno(e, "jail: root");
	return 0;
}

static int compile(const struct jail *j, struct arena *a, const struct sec_filter **out, struct err *e)
{
	static const char *const clone3[] = { "clone3", NULL };
	struct oci_syscall rules[2 + RULES_MAX] = {
		{ .action = OCI_ACT_ALLOW, .names = { (const char **)j->calls, 0 } },
		{ .action = OCI_ACT_ERRNO, .errno_ret = { ENOSYS, true }, .names = { (const char **)clone3, 1 } },
	};
	struct oci_syscall_arg args[RULES_MAX];
	const char *names[RULES_MAX][2] = { 0 };
	struct oci_seccomp s = { .default_action = OCI_ACT_KILL_PROCESS, .syscalls = { rules, 2 } };

	while (j->calls[rules[0].names.n])
		rules[0].names.n++;
	for (size_t i = 0; i < RULES_MAX && j->rules[i].name; i++) {
		const struct jail_call *r = &j->rules[i];

		args[i] = (struct oci_syscall_arg){
			.index = r->argument, .op = OCI_CMP_MASKED_EQ, .value = r->mask, .value_two = r->value
		};
		names[i][0] = r->name;
		rules[s.syscalls.n++] =
			(struct oci_syscall){ .action = OCI_ACT_ALLOW, .names = { names[i], 1 }, .args = { &args[i], 1 } };
	}
	return seccomp_compile(&s, a, out, e);
}

int jail_enter(const struct jail *j, struct err *e)
{
	const struct rlimit no_core = { 0, 0 };
	auto_arena struct arena a = { 0 };
	struct sec_plan p = {
		.uid = j->caps ? 0 : JAIL_USER,
		.gid = j->caps ? 0 : JAIL_USER,
		.set_groups = true,
		.caps = { .bounding = j->caps, .permitted = j->caps, .effective = j->caps },
		.no_new_privs = true,
	};
	int r = compile(j, &a, &p.filter, e);

	if (r == 0 && setrlimit(RLIMIT_CORE, &no_core) < 0)
		r = err_errno(e, "jail: limits");
	return r < 0 ? r : sec_apply_final(&p, -1, NULL, NULL, e);
}

int jail_die_with(int channel_fd, struct err *e)
{
	struct pollfd p = { .fd = channel_fd };

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_errno(e, "prctl");
	/* It may have died before. */
	return poll(&p, 1, 0) > 0 && p.revents & POLLHUP ? err_set(e, EPIPE, "the parent is gone") : 0;
}

int jail_process(const struct jail *j, int channel_fd, struct err *e)
{
	auto_fd int root = jail_new_root(e);
	int r = root < 0 ? root : jail_change_root(root, e);

	if (r == 0)
		r = jail_enter(j, e);
	return r < 0 ? r : jail_die_with(channel_fd, e);
}
