/* guest_init.c - /init of a virtual machine in tests: says what it finds, a line each, and resets the machine
 *
 *   init PID
 *   cpus N
 *   hwrng N             bytes from the entropy device
 *   share TEXT          of /from-host in the share; what it says is written to /from-guest
 *   done
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

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

int main(void)
{
	cpu_set_t cpus;

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
	printf("done\n");
	return reboot(RB_AUTOBOOT);
}
