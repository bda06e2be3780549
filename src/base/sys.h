/* sys.h - kernel interfaces that one of the two C libraries lacks
 *
 * Thin wrappers with the kernel's own argument order; each returns -1 and sets errno like any libc call. Structures carry our
 * own names, so that <linux/mount.h>, <sys/mount.h> and <linux/sched.h>, which contradict each other, need not meet.
 */
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- openat2(2) ---- */
struct sys_open_how {
	uint64_t flags, mode, resolve;
};
#define SYS_RESOLVE_NO_XDEV       0x01
#define SYS_RESOLVE_NO_MAGICLINKS 0x02
#define SYS_RESOLVE_NO_SYMLINKS   0x04
#define SYS_RESOLVE_BENEATH       0x08
#define SYS_RESOLVE_IN_ROOT       0x10

static inline int sys_openat2(int dirfd, const char *path, const struct sys_open_how *how)
{
	return (int)syscall(437, dirfd, path, how, sizeof(*how));
}

/* ---- mount API: open_tree(2), move_mount(2), fsopen(2), fsconfig(2), fsmount(2), fspick(2), mount_setattr(2) ---- */
#define SYS_OPEN_TREE_CLONE    1
#define SYS_AT_RECURSIVE       0x8000
#define SYS_MOVE_MOUNT_F_EMPTY 0x04 /* from-path is empty: from_fd is the mount */
#define SYS_MOVE_MOUNT_T_EMPTY 0x40 /* to-path is empty: to_fd is the target   */
#define SYS_FSOPEN_CLOEXEC     1
#define SYS_FSMOUNT_CLOEXEC    1
#define SYS_FSPICK_CLOEXEC     1
#define SYS_FSPICK_EMPTY_PATH  8
enum sys_fsconfig { SYS_FSCONFIG_FLAG = 0, SYS_FSCONFIG_STRING = 1, SYS_FSCONFIG_CREATE = 6, SYS_FSCONFIG_RECONFIGURE = 7 };

#define SYS_MOUNT_ATTR_RDONLY      0x00000001u
#define SYS_MOUNT_ATTR_NOSUID      0x00000002u
#define SYS_MOUNT_ATTR_NODEV       0x00000004u
#define SYS_MOUNT_ATTR_NOEXEC      0x00000008u
#define SYS_MOUNT_ATTR_ATIME       0x00000070u /* the whole three-way field: */
#define SYS_MOUNT_ATTR_RELATIME    0x00000000u
#define SYS_MOUNT_ATTR_NOATIME     0x00000010u
#define SYS_MOUNT_ATTR_STRICTATIME 0x00000020u
#define SYS_MOUNT_ATTR_NODIRATIME  0x00000080u
#define SYS_MOUNT_ATTR_IDMAP       0x00100000u
#define SYS_MOUNT_ATTR_NOSYMFOLLOW 0x00200000u

struct sys_mount_attr {
	uint64_t attr_set, attr_clr, propagation, userns_fd;
};

static inline int sys_open_tree(int dirfd, const char *path, unsigned flags)
{
	return (int)syscall(428, dirfd, path, flags);
}

static inline int sys_move_mount(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	return (int)syscall(429, from_fd, from, to_fd, to, flags);
}

static inline int sys_fsopen(const char *type, unsigned flags)
{
	return (int)syscall(430, type, flags);
}

static inline int sys_fsconfig(int fd, unsigned cmd, const char *key, const void *value, int aux)
{
	return (int)syscall(431, fd, cmd, key, value, aux);
}

static inline int sys_fsmount(int fs_fd, unsigned flags, unsigned attr)
{
	return (int)syscall(432, fs_fd, flags, attr);
}

static inline int sys_fspick(int dirfd, const char *path, unsigned flags)
{
	return (int)syscall(433, dirfd, path, flags);
}

static inline int sys_mount_setattr(int dirfd, const char *path, unsigned flags, const struct sys_mount_attr *a)
{
	return (int)syscall(442, dirfd, path, flags, a, sizeof(*a));
}

static inline int sys_pivot_root(const char *new_root, const char *put_old)
{
	return (int)syscall(SYS_pivot_root, new_root, put_old);
}

/* ---- processes ---- */
struct sys_clone_args {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};
#define SYS_CLONE_PIDFD       0x00001000ull
#define SYS_CLONE_VM          0x00000100ull
#define SYS_CLONE_VFORK       0x00004000ull
#define SYS_CLONE_PARENT      0x00008000ull
#define SYS_CLONE_INTO_CGROUP 0x200000000ull
/* Namespace flags, as clone3(2), unshare(2), setns(2) and NS_GET_NSTYPE know them. */
#define SYS_CLONE_NEWTIME     0x00000080u
#define SYS_CLONE_NEWNS       0x00020000u
#define SYS_CLONE_NEWCGROUP   0x02000000u
#define SYS_CLONE_NEWUTS      0x04000000u
#define SYS_CLONE_NEWIPC      0x08000000u
#define SYS_CLONE_NEWUSER     0x10000000u
#define SYS_CLONE_NEWPID      0x20000000u
#define SYS_CLONE_NEWNET      0x40000000u

/* ESRCH: no such process. Linux 6.1 says EINVAL where the number is still that of a session or process group. */
static inline int sys_pidfd_open(pid_t pid)
{
	int fd = (int)syscall(434, pid, 0);

	if (fd < 0 && errno == EINVAL)
		errno = ESRCH;
	return fd;
}

static inline int sys_pidfd_send_signal(int pidfd, int sig)
{
	return (int)syscall(424, pidfd, sig, NULL, 0);
}

/* PIDFD_GET_INFO (Linux 6.13), as much of it as its first version had. */
struct sys_pidfd_info {
	uint64_t mask, cgroup;
	uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code; /* as waitpid(2) gives it */
};
#define SYS_PIDFD_GET_INFO  0xC040FF0Bu /* _IOWR(0xFF, 11, struct sys_pidfd_info) */
#define SYS_PIDFD_INFO_EXIT 8ull        /* Linux 6.15; once the process was reaped */

static inline int sys_pidfd_getfd(int pidfd, int fd)
{
	return (int)syscall(438, pidfd, fd, 0);
}

static inline int sys_close_range(unsigned first, unsigned last, unsigned flags)
{
	return (int)syscall(436, first, last, flags);
}
#define SYS_CLOSE_RANGE_CLOEXEC 4

static inline int sys_execveat(int dirfd, const char *path, char *const argv[], char *const envp[], int flags)
{
	return (int)syscall(SYS_execveat, dirfd, path, argv, envp, flags);
}

static inline int sys_setns(int fd, int nstype)
{
	return (int)syscall(SYS_setns, fd, nstype);
}

static inline int sys_unshare(unsigned long flags)
{
	return (int)syscall(SYS_unshare, flags);
}

/* ---- files ---- */
#define SYS_MFD_CLOEXEC       1u
#define SYS_MFD_ALLOW_SEALING 2u
#define SYS_MFD_EXEC          0x10u /* Linux 6.3; EINVAL before */
#define SYS_MADV_COLLAPSE     25    /* Linux 6.1; EINVAL before */
#define SYS_F_ADD_SEALS       1033
#define SYS_F_GET_SEALS       1034
#define SYS_F_SEAL_ALL        0xF /* SEAL, SHRINK, GROW, WRITE */

static inline int sys_memfd_create(const char *name, unsigned flags)
{
	return (int)syscall(SYS_memfd_create, name, flags);
}

/* ---- statx(2); musl has it since 1.2.4 only ---- */
#define SYS_STATX_BASIC           0x07ffu
#define SYS_STATX_INO             0x0100u
#define SYS_STATX_MNT_ID          0x1000u
#define SYS_STATX_MNT_ID_EVER     0x5000u /* with STATX_MNT_ID_UNIQUE (Linux 6.8), which wins */
#define SYS_STATX_ATTR_MOUNT_ROOT 0x2000u

struct sys_statx_time {
	int64_t sec;
	uint32_t nsec;
	int32_t reserved;
};

struct sys_statx {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, reserved;
	uint64_t ino, size, blocks, attributes_mask;
	struct sys_statx_time atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t mnt_id;
	uint64_t spare[13];
};

static inline int sys_statx(int dirfd, const char *path, int flags, unsigned mask, struct sys_statx *out)
{
	return (int)syscall(332, dirfd, path, flags, mask, out);
}

/* Magic numbers of statfs(2), from linux/magic.h. */
#define SYS_PROC_SUPER_MAGIC    0x9fa0
#define SYS_NSFS_MAGIC          0x6e736673
#define SYS_DEVPTS_SUPER_MAGIC  0x1cd1
#define SYS_CGROUP_SUPER_MAGIC  0x27e0eb
#define SYS_CGROUP2_SUPER_MAGIC 0x63677270
#define SYS_RDTGROUP_SUPER_MAGIC 0x7655821
#define SYS_TMPFS_MAGIC         0x01021994
#define SYS_NS_GET_NSTYPE       0xb703 /* ioctl on a namespace file: its CLONE_NEW* flag */
