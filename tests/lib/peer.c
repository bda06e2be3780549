/* peer.c - the other end of the runtime's sockets
 *
 *	peer console SOCKET          receives a terminal; then copies what comes out of it to stdout, until its end
 *	peer pidfd SOCKET            receives a pidfd
 *	peer seccomp SOCKET [ERRNO]  receives a seccomp listener and answers what it reports: mkdir fails with ERRNO (default EDOM),
 *any other call goes on, until nobody is left to report peer silent SOCKET           never accepts
 *
 * Prints "listening" when the socket is there, then what was received: "payload LENGTH TEXT", "descriptors N" and facts about them.
 * Ends after 20 s, times DRUPE_SLOW, in any case, with status 3.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define LIFE_SECONDS 100
#define PAYLOAD_MAX  65536

static void give_up(int sig)
{
	(void)sig;
	_exit(3);
}

static void die(const char *what)
{
	fprintf(stderr, "peer: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* A path of any length: the last component is bound in its directory. */
static int listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char dir[4096];
	const char *slash = strrchr(path, '/');
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (slash) {
		snprintf(dir, sizeof dir, "%.*s", (int)(slash - path) + 1, path);
		if (chdir(dir) < 0)
			die(dir);
	}
	snprintf(addr.sun_path, sizeof addr.sun_path, "%s", slash ? slash + 1 : path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 || listen(fd, 1) < 0)
		die(path);
	printf("listening\n");
	fflush(stdout);
	return fd;
}

/* Receives until the sender closes; returns how many descriptors came, the first in *fd. */
static int receive(int conn, char *payload, size_t *len, int *fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(8 * sizeof(int))];
	} ctl;
	int count = 0;

	*len = 0;
	*fd = -1;
	for (;;) {
		struct iovec iov = { payload + *len, PAYLOAD_MAX - *len };
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.buf, .msg_controllen = sizeof ctl.buf };
		ssize_t n = recvmsg(conn, &m, MSG_CMSG_CLOEXEC);

		if (n < 0)
			die("recvmsg");
		for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
			count += (int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			if (*fd < 0)
				memcpy(fd, CMSG_DATA(h), sizeof *fd);
		}
		if (n == 0 || (*len += (size_t)n) == PAYLOAD_MAX)
			return count;
	}
}

static int copy_terminal(int master)
{
	unsigned number;
	char buf[4096];
	ssize_t n;

	if (ioctl(master, TIOCGPTN, &number) < 0)
		printf("terminal error %d\n", errno);
	else
		printf("terminal %u\n", number);
	fflush(stdout);
	/* The kernel may tell the end before the last bytes of it have come over, but no second time. */
	for (int ends = 0; ends < 2; ends += n <= 0) {
		n = read(master, buf, sizeof buf);
		if (n > 0 && write(STDOUT_FILENO, buf, (size_t)n) < 0)
			return 1;
	}
	return 0;
}

static int print_pidfd(int fd)
{
	char path[64], line[256];

	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, "Pid:", 4) == 0)
			printf("pidfd %d\n", atoi(line + 4));
	if (f)
		fclose(f);
	return 0;
}

static int answer_calls(int listener, int error)
{
	struct seccomp_notif_sizes sizes;

	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
		die("SECCOMP_GET_NOTIF_SIZES");
	struct seccomp_notif *req = calloc(1, sizes.seccomp_notif);
	struct seccomp_notif_resp *resp = calloc(1, sizes.seccomp_notif_resp);

	for (;;) {
		struct pollfd p = { .fd = listener, .events = POLLIN };

		if (poll(&p, 1, -1) < 0 || !(p.revents & POLLIN))
			return 0;
		memset(req, 0, sizes.seccomp_notif);
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, req) < 0) {
			if (errno == ENOENT) /* whoever called died meanwhile */
				continue;
			die("SECCOMP_IOCTL_NOTIF_RECV");
		}
		printf("call %d\n", req->data.nr);
		fflush(stdout);
		*resp = (struct seccomp_notif_resp){ .id = req->id };
		if (req->data.nr == SYS_mkdir)
			resp->error = -error;
		else
			resp->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, resp);
	}
}

int main(int argc, char **argv)
{
	static char payload[PAYLOAD_MAX + 1];
	size_t len;
	int fd;

	if (argc < 3) {
		fprintf(stderr, "usage: peer console|pidfd|seccomp|silent SOCKET [ERRNO]\n");
		return 2;
	}
	signal(SIGALRM, give_up);
	const char *slow = getenv("DRUPE_SLOW");

	alarm(LIFE_SECONDS * (slow && atoi(slow) > 0 ? (unsigned)atoi(slow) : 1));
	int sock = listen_at(argv[2]);
	if (strcmp(argv[1], "silent") == 0)
		for (;;)
			pause();
	int conn = accept4(sock, NULL, NULL, SOCK_CLOEXEC);
	if (conn < 0)
		die("accept");
	int count = receive(conn, payload, &len, &fd);
	printf("payload %zu %s\ndescriptors %d\n", len, payload, count);
	fflush(stdout);
	close(conn);
	if (fd < 0)
		return 1;
	if (strcmp(argv[1], "console") == 0)
		return copy_terminal(fd);
	if (strcmp(argv[1], "pidfd") == 0)
		return print_pidfd(fd);
	return answer_calls(fd, argc > 3 ? atoi(argv[3]) : EDOM);
}
