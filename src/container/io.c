/* Side channels to the caller: pid file, console and pidfd sockets, passed descriptors. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/retry.h"
#include "base/str.h"
#include "container/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PEER_SECONDS 10 /* how long a peer of ours may take to accept a connection */

/* A path that does not fit is reached through a descriptor of its directory. */
static int socket_address(const char *path, struct sockaddr_un *addr, int *dir_fd, struct err *e)
{
	const char *slash = strrchr(path, '/');

	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) < sizeof(addr->sun_path)) {
		memcpy(addr->sun_path, path, strlen(path) + 1);
		return 0;
	}
	if (!slash || strlen(slash) + 24 > sizeof(addr->sun_path))
		return err_set(e, ENAMETOOLONG, "name of the socket is too long");
	auto_arena struct arena a = { 0 };
	*dir_fd = open(arena_strndup(&a, path, (size_t)(slash - path) + 1), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*dir_fd < 0)
		return err_errno(e, "directory of the socket");
	snprintf(addr->sun_path, sizeof(addr->sun_path), "/proc/self/fd/%d/%s", *dir_fd, slash + 1);
	return 0;
}

static int connect_to(const char *path, struct err *e)
{
	struct sockaddr_un addr;
	struct timeval limit = { .tv_sec = PEER_SECONDS };
	auto_fd int dir = -1;
	int r = socket_address(path, &addr, &dir, e);

	if (r < 0)
		return r;
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* The send timeout bounds connect(2) too, when the listener's queue is full. */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return err_errno(e, "socket");
	if (RETRY(connect(fd, (struct sockaddr *)&addr, sizeof(addr))) < 0)
		return err_errno(e, "connect");
	return take_fd(&fd);
}

int send_fd_to_socket(const char *path, const char *what, const char *payload, int fd, struct err *e)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} ctl = { 0 };
	struct iovec iov = { (void *)(uintptr_t)payload, strlen(payload) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.buf, .msg_controllen = sizeof(ctl.buf) };
	auto_fd int sock = connect_to(path, e);

	if (sock < 0)
		return err_in(e, "%s %s", what, path);
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	ssize_t n = RETRY(sendmsg(sock, &m, MSG_NOSIGNAL));

	if (n < 0)
		return err_errno(e, "%s %s", what, path);
	/* A long payload (the seccomp state) may need more than one write; the descriptor went with the first byte. */
	if ((size_t)n < iov.iov_len && fd_write_all(sock, payload + n, iov.iov_len - (size_t)n, e) < 0)
		return err_in(e, "%s %s", what, path);
	return 0;
}

int write_pid_file(const char *path, pid_t pid, struct err *e)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", (int)pid);
	int r = file_write_atomic(AT_FDCWD, path, 0644, text, (size_t)n, e);

	return r < 0 ? err_in(e, "--pid-file") : 0;
}

int check_preserved(unsigned n, struct err *e)
{
	for (unsigned i = 0; i < n; i++) {
		int flags = fcntl((int)(3 + i), F_GETFD);

		/* What we were given came through an execve; close-on-exec means that we opened it ourselves, in a gap. */
		if (flags < 0 || (flags & FD_CLOEXEC))
			return err_set(e, EBADF, "--preserve-fds %u: descriptor %u is not open", n, 3 + i);
	}
	return 0;
}

unsigned count_listen_fds(void)
{
	const char *n = getenv("LISTEN_FDS"), *pid;
	struct err ignored;
	uint32_t count, owner;

	if (!n || parse_u32(n, &count, &ignored) < 0 || count > 1024)
		return 0;
	pid = getenv("LISTEN_PID");
	if (pid && *pid && (parse_u32(pid, &owner, &ignored) < 0 || owner != (uint32_t)getpid()))
		return 0;
	return count;
}
