/* guest_init.c - /init of a virtual machine in tests: says what it finds, a line each, and resets the machine
 *
 *   init PID
 *   cpus N
 *   hwrng N             bytes from the entropy device
 *   share TEXT          of /from-host in the share; what it says is written to /from-guest
 *   vsock TEXT          what port 1024 of the host answers; it is told "from the guest"
 *   done
 *
 * guest_init serve SOCKET: the other end of that, on the host: prints what it is told.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
/* after sys/socket.h */
#include <linux/vm_sockets.h>

enum { PORT = 1024 };

static void read_file(const char *what, const char *name)
{
	char text[64] = { 0 };
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		printf("%s failed: %s\n", what, strerror(errno));
	else if (!strcmp(what, "hwrng"))
		printf("%s %zd\n", what, n);
	else
		printf("%s %s\n", what, text);
	close(fd);
}

static void share(void)
{
	int fd;

	mkdir("/share", 0755);
	if (mount("share", "/share", "virtiofs", 0, NULL) < 0) {
		printf("share failed: %s\n", strerror(errno));
		return;
	}
	read_file("share", "/share/from-host");
	fd = open("/share/from-guest", O_CREAT | O_WRONLY | O_CLOEXEC, 0640);
	if (fd < 0 || write(fd, "guest\n", 6) != 6)
		printf("share failed: %s\n", strerror(errno));
	close(fd);
}

static void say(int fd, const char *ours)
{
	if (write(fd, ours, strlen(ours)) < 0)
		printf("write failed: %s\n", strerror(errno));
	shutdown(fd, SHUT_WR);
}

/* Reads until the other side says no more. */
static void hear(int fd, const char *label)
{
	char text[64] = { 0 };
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 && len < sizeof(text) - 1) {
		n = read(fd, text + len, sizeof(text) - 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (n < 0)
		printf("%s failed: %s\n", label, strerror(errno));
	else
		printf("%s %s\n", label, text);
}

static void vsock(void)
{
	struct sockaddr_vm host = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = PORT };
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&host, sizeof(host)) < 0)
		printf("vsock failed: %s\n", strerror(errno));
	else {
		say(fd, "from the guest");
		hear(fd, "vsock");
	}
	close(fd);
}

/* Answers when it has heard everything: what a machine says and has not yet sent is lost when it resets, so the guest waits for the
 * answer. */
static int serve(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), conn;

	strncpy(at.sun_path, path, sizeof(at.sun_path) - 1);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 1) < 0) {
		perror(path);
		return 1;
	}
	conn = accept(fd, NULL, NULL);
	hear(conn, "told");
	say(conn, "from the host");
	return conn < 0;
}

int main(int argc, char **argv)
{
	cpu_set_t cpus;

	if (argc == 3 && !strcmp(argv[1], "serve"))
		return serve(argv[2]);

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("init %d\n", getpid());
	CPU_ZERO(&cpus);
	sched_getaffinity(0, sizeof(cpus), &cpus);
	printf("cpus %d\n", CPU_COUNT(&cpus));
	mkdir("/dev", 0755);
	if (mount("dev", "/dev", "devtmpfs", 0, NULL) < 0)
		printf("dev failed: %s\n", strerror(errno));
	read_file("hwrng", "/dev/hwrng");
	share();
	vsock();
	printf("done\n");
	return reboot(RB_AUTOBOOT);
}
