/* fuse_mount.c - serves a directory through the file server of VM mode, to this machine's own kernel
 *
 *   fuse_mount [--ro] [--cache none|auto|always] [--threads N] SHARE MOUNTPOINT COMMAND...
 *
 * The kernel's FUSE client is the guest: what passes here is the server's own doing, without a virtual machine. Runs COMMAND while
 * the share is mounted (in a mount namespace of its own), ends with its status, and says on stderr how many inodes the server knew
 * at the end.
 */
#include "hwvirt-sandbox/fuse/server.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

struct link {
	struct fuse_server *server;
	int fd;
};

static void die(const char *what)
{
	perror(what);
	exit(125);
}

static void *work(void *arg)
{
	struct link *l = arg;
	uint8_t *request = malloc(FUSE_REQUEST_MAX), *reply = malloc(FUSE_REQUEST_MAX);
	struct fuse_worker *w;
	struct err e;

	if (!request || !reply || fuse_worker_new(l->server, &w, &e) < 0)
		die("worker");
	for (;;) {
		ssize_t n = read(l->fd, request, FUSE_REQUEST_MAX);
		struct iovec out = { request, (size_t)(n < 0 ? 0 : n) }, in = { reply, FUSE_REQUEST_MAX };
		size_t len;

		if (n < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
			continue;
		if (n <= 0)
			break;
		len = fuse_serve(w, &out, 1, &in, 1);
		if (len && write(l->fd, reply, len) < 0 && errno != ENOENT)
			perror("answer");
	}
	fuse_worker_free(w);
	free(request);
	free(reply);
	return NULL;
}

static int mount_it(const char *at, bool ro)
{
	char options[128];
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("/dev/fuse");
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions", fd);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die("mount namespace");
	if (mount("drupe", at, "fuse", ro ? MS_RDONLY : 0, options) < 0)
		die("mount");
	return fd;
}

static int run(char **argv)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		die("command");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	struct fuse_options o = { .cache = FUSE_CACHE_AUTO, .inodes_max = 1 << 20, .fds_max = 4000, .files_max = 4000 };
	static const char *const caches[] = { "none", "auto", "always" };
	struct link l;
	pthread_t thread;
	int threads = 2, status, share;
	struct err e;

	for (; argc > 1 && argv[1][0] == '-'; argc--, argv++) {
		if (strcmp(argv[1], "--ro") == 0) {
			o.read_only = true;
			continue;
		}
		for (int i = 0; i < 3 && argc > 2; i++)
			o.cache = strcmp(argv[2], caches[i]) == 0 ? (enum fuse_cache)i : o.cache;
		if (strcmp(argv[1], "--threads") == 0 && argc > 2)
			threads = atoi(argv[2]);
		argc--;
		argv++;
	}
	if (argc < 4) {
		fputs("usage: fuse_mount [--ro] [--cache none|auto|always] [--threads N] SHARE MOUNTPOINT COMMAND...\n", stderr);
		return 2;
	}
	share = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (share < 0 || fuse_server_new(share, &o, &l.server, &e) < 0)
		die(argv[1]);
	l.fd = mount_it(argv[2], o.read_only);
	for (int i = 0; i < threads; i++) {
		if (pthread_create(&thread, NULL, work, &l) != 0)
			die("thread");
	}
	status = run(argv + 3);
	fprintf(stderr, "inodes: %u\n", fuse_server_inodes(l.server));
	/* The mount goes with the namespace; the threads end with the process. */
	return status;
}
