/* keyring.c - a session keyring for the container
 *
 * Theory of operation: without it the container would share the session keyring of whoever called us, keys included. Every process
 * we put into a container, the first and each exec, gets a session keyring named "_ses.ID". The name serves people reading
 * /proc/keys; the keyring is a new one each time, since the kernel hands out an existing one by name only to those who may search
 * it, and by default the owner may not. We leave that so on purpose: with search permission for the owner, exec would share the
 * first process' keyring, but so could any other container that runs as the same user of the same user namespace. Kernels without
 * key support, and sandboxes that forbid keyctl(2), have no keys to protect: not an error.
 */
#include "base/log.h"
#include "security/internal.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

int keyring_join(const struct sec_plan *p, struct err *e)
{
	enum { JOIN_SESSION_KEYRING = 1 };             /* KEYCTL_JOIN_SESSION_KEYRING */
	int r = p->selinux ? lsm_label_keys(p, e) : 0; /* before the key is created, which takes this label */

	if (r < 0)
		return r;
	if (syscall(SYS_keyctl, JOIN_SESSION_KEYRING, p->keyring_name) >= 0)
		return 0;
	if (errno == ENOSYS || errno == EPERM) {
		log_debug("no session keyring %s: %s", p->keyring_name, errno == ENOSYS ? "no key support" : "not permitted");
		return 0;
	}
	if (errno == EDQUOT)
		return err_errno(e, "session keyring %s: the quota of keys is used up (kernel.keys.maxkeys, --no-new-keyring)",
				 p->keyring_name);
	return err_errno(e, "session keyring %s", p->keyring_name);
}
