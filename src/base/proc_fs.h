/* proc_fs.h - our own procfs, out of the container's reach
 *
 * What we write to /proc (labels, sysctls, maps) must not go where the container redirected it. A private procfs instance
 * is made with fsopen(2), verified (superblock magic, root inode 1), and every file in it is opened with
 * RESOLVE_BENEATH | NO_XDEV | NO_SYMLINKS | NO_MAGICLINKS. (CVE-2025-52881 is the class.)
 */
#pragma once
#include "base/err.h"
#include "base/sys.h"

#include <stdbool.h>

/* Of a full instance. */
#define PROC_FS_ATTRS  (SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV | SYS_MOUNT_ATTR_NOEXEC)
#define PROC_FS_SOURCE "proc"

/* A private procfs of the caller's pid namespace. full: with /proc/sys (for sysctl), else subset=pid. Returns a descriptor.
 * Where the kernel refuses a new instance (a user namespace in which /proc is masked), the mounted /proc is used after the same
 * checks, with NO_XDEV as the guard. *fresh (may be NULL): it is an instance of our own, attached nowhere. */
must_check int proc_fs_open(bool full, bool *fresh, struct err *e);

/* Opens a file of the instance: "self/attr/exec", "sys/net/ipv4/ip_forward". */
must_check int proc_fs_file(int proc_fd, const char *name, int flags, struct err *e);

/* Writes text to a file of the instance in one write(2). *e: "/proc/NAME: REASON". */
must_check int proc_fs_write(int proc_fd, const char *name, const char *text, struct err *e);

/* The same for "/proc/PID/..." as it is mounted: for the runtime, which sees the host's, on behalf of a child of its own. No link is
 * followed, and the file must be of a procfs. */
must_check int proc_fs_write_host(const char *path, const char *text, struct err *e);
