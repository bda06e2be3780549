/* ns_apply.c - opens what is joined, sets what was planned
 *
 * A namespace path comes from the config and may name anything: a FIFO, a terminal, a file on a dead device. It is therefore looked
 * at through an O_PATH descriptor, which opens nothing, and only a file of nsfs is opened, by that descriptor. Every namespace is
 * opened before the first one is joined, as after that the paths mean something else.
 */
#include "base/cleanup.h"
#include "base/proc_fs.h"
#include "base/retry.h"
#include "base/str.h"
#include "namespaces/ns_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* The kind behind a CLONE_NEW* flag, for messages. */
static const char *name_of_flag(int flag)
{
	for (int type = 0; type < OCI_NS_COUNT; type++)
		if (ns_flag(type) == (uint32_t)flag)
			return ns_name(type);
	return "unknown";
}

/* "an ipc", "a network" */
static const char *article(const char *name)
{
	return str_eq(name, "ipc") || str_eq(name, "unknown") ? "an" : "a";
}

static int open_nsfs(const struct ns_join *j, struct err *e)
{
	auto_fd int seen = RETRY(openat(AT_FDCWD, j->path, O_PATH | O_CLOEXEC));
	struct statfs fs;
	char again[40];

	if (seen < 0)
		return err_errno(e, "%s: %s", j->where, j->path);
	if (fstatfs(seen, &fs) < 0)
		return err_errno(e, "%s: %s: statfs", j->where, j->path);
	if ((unsigned long)fs.f_type != SYS_NSFS_MAGIC)
		return err_set(e, EINVAL, "%s: %s: is not a namespace", j->where, j->path);
	text_format(again, sizeof(again), "/proc/self/fd/%d", seen);
	int fd = RETRY(openat(AT_FDCWD, again, O_RDONLY | O_CLOEXEC | O_NONBLOCK));

	return fd < 0 ? err_errno(e, "%s: %s", j->where, j->path) : fd;
}

static int check_type(const struct ns_join *j, int fd, struct err *e)
{
	int flag = ioctl(fd, SYS_NS_GET_NSTYPE);

	if (flag < 0)
		return err_errno(e, "%s: %s: type of namespace", j->where, j->path);
	if ((uint32_t)flag == j->flag)
		return 0;
	const char *is = name_of_flag(flag), *wanted = ns_name(j->type);

	return err_set(e, EINVAL, "%s: %s: is %s %s namespace, not %s %s namespace", j->where, j->path, article(is), is,
		       article(wanted), wanted);
}

/* Returns 1 when fd is the namespace that the runtime itself is in. */
static int is_own(const struct ns_join *j, int fd, struct err *e)
{
	char path[40];
	struct stat own, other;

	text_format(path, sizeof(path), "/proc/self/ns/%s", ns_proc_name(j->type));
	if (stat(path, &own) < 0)
		return err_errno(e, "%s", path);
	if (fstat(fd, &other) < 0)
		return err_errno(e, "%s: %s", j->where, j->path);
	return own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

/* Looks only where the answer matters. */
static int check_not_own(const struct ns_plan *p, const struct ns_join *j, int fd, struct err *e)
{
	if (!((p->set | SYS_CLONE_NEWUSER) & j->flag))
		return 0;
	int own = is_own(j, fd, e);

	if (own <= 0)
		return own;
	if (j->type == OCI_NS_USER)
		return err_set(e, EINVAL, "%s: %s: is the runtime's own user namespace, which cannot be joined", j->where, j->path);
	return err_set(e, EINVAL, "%s: %s: is the runtime's own %s namespace, but %s asked for would be set in it", j->where,
		       j->path, ns_name(j->type), j->type == OCI_NS_UTS ? "a name" : "a sysctl");
}

static int open_join(const struct ns_plan *p, const struct ns_join *j, struct err *e)
{
	auto_fd int fd = open_nsfs(j, e);
	int r;

	if (fd < 0)
		return fd;
	if ((r = check_type(j, fd, e)) < 0 || (r = check_not_own(p, j, fd, e)) < 0)
		return r;
	return take_fd(&fd);
}

int ns_open(const struct ns_plan *p, int fds[OCI_NS_COUNT], struct err *e)
{
	int opened[OCI_NS_COUNT];

	for (size_t i = 0; i < OCI_NS_COUNT; i++)
		opened[i] = -1;
	for (size_t i = 0; i < p->n_join; i++) {
		opened[i] = open_join(p, &p->join[i], e);
		if (opened[i] >= 0)
			continue;
		for (size_t k = 0; k < i; k++)
			close(opened[k]);
		return -e->code;
	}
	memcpy(fds, opened, sizeof(opened));
	return 0;
}

int ns_set_names(const struct ns_plan *p, struct err *e)
{
	if (p->hostname && sethostname(p->hostname, strlen(p->hostname)) < 0)
		return err_errno(e, "hostname: %s", p->hostname);
	if (p->domainname && setdomainname(p->domainname, strlen(p->domainname)) < 0)
		return err_errno(e, "domainname: %s", p->domainname);
	return 0;
}

int ns_set_sysctl(const struct ns_plan *p, int *procfs, struct err *e)
{
	bool fresh;

	if (p->sysctl.n == 0)
		return 0;
	auto_fd int proc = proc_fs_open(true, &fresh, e);

	if (proc < 0)
		return err_in(e, "linux.sysctl");
	for (size_t i = 0; i < p->sysctl.n; i++) {
		char name[4 + 256]; /* the plan keeps names below 256 bytes */

		text_format(name, sizeof(name), "sys/%s", p->sysctl.v[i].name);
		if (proc_fs_write(proc, name, p->sysctl.v[i].value, e) < 0)
			return err_in(e, "linux.sysctl");
	}
	if (fresh)
		*procfs = take_fd(&proc);
	return 0;
}
