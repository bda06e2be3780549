#include "base/cleanup.h"
#include "base/retry.h"
#include "hwvirt-sandbox/agent/agent.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <linux/vm_sockets.h>

#define CONNECT_S 60 /* as long as the other side waits for an answer */

static int dial(int family, const struct sockaddr *address, socklen_t len, struct err *e)
{
	auto_fd int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_errno(e, "socket to the host");
	/* The kernel's two seconds are too few for fifty connections at once on a busy machine. */
	if (family == AF_VSOCK)
		(void)setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &(struct timeval){ .tv_sec = CONNECT_S },
				 sizeof(struct timeval));
	if (RETRY(connect(fd, address, len)) < 0)
		return err_errno(e, "connect to the host");
	return take_fd(&fd);
}

int transport_dial(const struct transport *t, struct err *e)
{
	struct sockaddr_vm vm = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = t->port };
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (!t->path)
		return dial(AF_VSOCK, (const struct sockaddr *)&vm, sizeof(vm), e);
	if (strlen(t->path) >= sizeof(un.sun_path))
		return err_set(e, ENAMETOOLONG, "%s", t->path);
	memcpy(un.sun_path, t->path, strlen(t->path));
	return dial(AF_UNIX, (const struct sockaddr *)&un, sizeof(un), e);
}
