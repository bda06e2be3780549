/* lsm.c - AppArmor and SELinux labels
 *
 * Theory of operation: a label is written to an attribute file of our own process and takes effect at the next execve(2). A
 * container that could redirect that write, by a mount over /proc, would run unlabelled; so the file is reached through a private
 * procfs, in which proc_fs.c follows no link, and read back afterwards. The kernel may print a label in another form than it was
 * given, so only the parts that must be equal are compared.
 */
#include "base/cleanup.h"
#include "base/proc_fs.h"
#include "base/retry.h"
#include "security/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int lsm_plan(const struct oci_process *p, const struct host *h, struct sec_plan *out, struct err *e)
{
	bool apparmor = p->apparmor_profile && p->apparmor_profile[0];
	bool selinux = p->selinux_label && p->selinux_label[0];

	if (apparmor && !h->apparmor)
		return err_set(e, EINVAL,
			       "process.apparmorProfile: \"%.80s\" is asked for, but AppArmor is not active on this host",
			       p->apparmor_profile);
	if (selinux && !h->selinux)
		return err_set(e, EINVAL, "process.selinuxLabel: \"%.80s\" is asked for, but SELinux is not active on this host",
			       p->selinux_label);
	out->apparmor = apparmor ? p->apparmor_profile : NULL;
	out->selinux = selinux ? p->selinux_label : NULL;
	return 0;
}

/* Checks that the attribute now begins with the first `same` bytes of the label. */
static int read_back(int proc_fd, const char *name, const char *label, size_t same, struct err *e)
{
	char got[4096];
	auto_fd int fd = proc_fs_file(proc_fd, name, O_RDONLY, e);

	if (fd < 0)
		return fd;
	ssize_t n = RETRY(read(fd, got, sizeof(got) - 1));

	if (n < 0)
		return err_errno(e, "/proc/%s: reading the label back", name);
	got[n] = '\0';
	if (n == 0 || strncmp(got, label, same) != 0)
		return err_set(e, EPERM, "/proc/%s: label \"%.80s\" was written but \"%.80s\" is set", name, label, got);
	return 0;
}

static int label_apparmor(const char *profile, int proc_fd, struct err *e)
{
	char text[4096];
	const char *name = "self/attr/apparmor/exec";

	if ((size_t)snprintf(text, sizeof(text), "exec %s", profile) >= sizeof(text))
		return err_set(e, ENAMETOOLONG, "process.apparmorProfile: longer than %zu bytes", sizeof(text) - 6);
	int r = proc_fs_write(proc_fd, name, text, e);

	if (r == -ENOENT) { /* before Linux 4.20 the file was shared by all LSMs */
		name = "self/attr/exec";
		r = proc_fs_write(proc_fd, name, text, e);
	}
	if (r < 0)
		return err_in(e, "process.apparmorProfile \"%.80s\"", profile);
	/* A plain profile name comes back with its mode appended; names of other namespaces and stacks are rewritten. */
	size_t same = strpbrk(profile, ":&") ? 0 : strlen(profile);

	return read_back(proc_fd, name, profile, same, e);
}

/* Length of "user:role:type": the level behind it comes back in canonical form. */
static size_t selinux_type_len(const char *label)
{
	const char *s = label;

	for (int colons = 0; *s; s++)
		if (*s == ':' && ++colons == 3)
			break;
	return (size_t)(s - label);
}

static int label_selinux(const char *label, int proc_fd, struct err *e)
{
	const char *name = "self/attr/exec";

	if (proc_fs_write(proc_fd, name, label, e) < 0)
		return err_in(e, "process.selinuxLabel \"%.80s\"", label);
	return read_back(proc_fd, name, label, selinux_type_len(label), e);
}

int lsm_label_exec(const struct sec_plan *p, int proc_fd, struct err *e)
{
	int r = p->apparmor ? label_apparmor(p->apparmor, proc_fd, e) : 0;

	if (r == 0 && p->selinux)
		r = label_selinux(p->selinux, proc_fd, e);
	return r;
}

int lsm_label_keys(const struct sec_plan *p, struct err *e)
{
	auto_fd int proc_fd = proc_fs_open(false, NULL, e);

	if (proc_fd < 0)
		return proc_fd;
	int r = proc_fs_write(proc_fd, "self/attr/keycreate", p->selinux, e);

	return r < 0 && r != -ENOENT ? err_in(e, "label of new keys") : 0; /* ENOENT: a kernel without it */
}
