/* rootfs_scenario.h - carries rootfs plans out for real, for test_rootfs_apply
 *
 * Each case forks a "runtime" into a mount namespace of its own with an image on a tmpfs, and that forks an "init" into new
 * namespaces. Nothing is left on the machine. Needs root.
 */
#pragma once
#include "base/cleanup.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/proc_fs.h"
#include "base/str.h"
#include "rootfs/rootfs.h"
#include "tap.h"

#include <dirent.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <termios.h>

#define BASE "/tmp/drupe-rootfs-test" /* made and covered in the test's own mount namespace */

static struct arena arena;

/* One case. All functions but prepare run in init; `e` of failed is the error of whatever step failed. */
struct scenario {
	const char *members; /* JSON with single quotes */
	bool user_ns, no_pivot, terminal;
	bool late_sources;                   /* init opens the sources, as it must without privileges on the host */
	void (*prepare)(void);               /* runtime: makes the image, below BASE */
	void (*tune)(struct rootfs_plan *p); /* runtime: changes the plan            */
	void (*inside)(void);                /* init: after rootfs_enter()           */
	void (*after)(void);                 /* runtime: when init has ended         */
	const char *error;                   /* expected instead of success          */
	const char *error_too;               /* must be in the error as well         */
};

/* ---- helpers for the cases ---- */

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	expect(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static const char *get(const char *path)
{
	static char text[65536];
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return n < 0 ? "(unreadable)" : text;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 ? 0 : st.st_mode;
}

static dev_t rdev_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 ? 0 : st.st_rdev;
}

static unsigned long flags_of(const char *path)
{
	struct statvfs st;

	return statvfs(path, &st) < 0 ? ~0ul : st.f_flag;
}

static long magic_of(const char *path)
{
	struct statfs st;

	return statfs(path, &st) < 0 ? -1 : (long)st.f_type;
}

static bool exists(const char *path)
{
	return mode_of(path) != 0;
}

static int count_entries(const char *path)
{
	DIR *d = opendir(path);
	int n = -2;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static bool links_to(const char *path, const char *target)
{
	char now[256];
	ssize_t n = readlink(path, now, sizeof(now) - 1);

	return n >= 0 && (size_t)n == strlen(target) && memcmp(now, target, (size_t)n) == 0;
}

static int make_userns(const struct oci_id_map_list *uid, const struct oci_id_map_list *gid, struct err *e)
{
	int ready[2], done[2];
	char byte = 0;

	if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(done, O_CLOEXEC) < 0)
		return err_errno(e, "pipe");
	pid_t pid = fork();

	if (pid == 0) {
		bool ok = unshare(CLONE_NEWUSER) == 0 && write(ready[1], "x", 1) == 1 && read(done[0], &byte, 1) >= 0;

		_exit(!ok);
	}
	expect(read(ready[0], &byte, 1) == 1);
	for (int i = 0; i < 2; i++) {
		const struct oci_id_map *m = i ? &gid->v[0] : &uid->v[0];

		put(arena_printf(&arena, "/proc/%d/%s", pid, i ? "gid_map" : "uid_map"),
		    arena_printf(&arena, "%u %u %u", m->container_id, m->host_id, m->size));
	}
	int fd = open(arena_printf(&arena, "/proc/%d/ns/user", pid), O_RDONLY | O_CLOEXEC);

	expect(fd >= 0 && write(done[1], "x", 1) == 1);
	waitpid(pid, NULL, 0);
	close(ready[0]), close(ready[1]), close(done[0]), close(done[1]);
	return fd < 0 ? err_errno(e, "userns") : fd;
}

/* ---- the machinery ---- */

static int open_fds(void)
{
	int n = 0;

	for (int fd = 3; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void try_terminal(int root)
{
	int master = -1, slave = -1;
	char name[32] = "", text[16] = "";
	struct err e = { 0 };
	struct winsize size = { 0 };

	expect(console_open(root, 7, 24, 80, true, &master, &slave, name, &e) == 0);
	if (master < 0) {
		printf("# %s\n", e.text);
		return;
	}
	struct stat st;

	expect(fstat(slave, &st) == 0 && st.st_uid == 7 && major(st.st_rdev) == 136);
	expect(ioctl(slave, TIOCGWINSZ, &size) == 0 && size.ws_row == 24 && size.ws_col == 80);
	expect(str_starts(name, "/dev/pts/"));
	expect(write(slave, "a\n", 2) == 2 && read(master, text, sizeof(text)) == 2);
	expect_str(text, "a\n");
	close(master);
	close(slave);
}

static const struct rootfs_userns userns_maker = { .fd = -1, .make = make_userns };

/* init: returns 0, or the error of the step that failed in *e. */
static int be_init(const struct scenario *t, const struct rootfs_plan *p, struct rootfs_sources *s, struct err *e)
{
	if (t->user_ns && (setgid(0) < 0 || setuid(0) < 0))
		return err_errno(e, "setuid");
	if (t->late_sources && rootfs_open_sources(p, &userns_maker, &arena, s, e) < 0)
		return -e->code;
	int root = rootfs_mount(p, s, e);

	if (root < 0)
		return root;
	if (t->terminal)
		try_terminal(root);
	int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = rootfs_enter(p, s, root, e);

	if (t->no_pivot) /* without pivot_root the host's tree is still there, but for its procfs and sysfs */
		expect(faccessat(old, "proc/uptime", F_OK, 0) < 0 && faccessat(old, "sys/kernel", F_OK, 0) < 0);
	close(old);

	close(root);
	return r;
}

static void check_result(const struct scenario *t, int r, const struct err *e)
{
	if (!t->error) {
		if (r < 0)
			printf("# %s\n", e->text);
		expect(r >= 0);
		return;
	}
	expect(r < 0);
	if (r >= 0)
		return;
	if (!strstr(e->text, t->error) || (t->error_too && !strstr(e->text, t->error_too))) {
		expect_str(e->text, t->error);
		tap_failed = true;
	}
}

static uint64_t namespaces_of(const struct scenario *t, const struct rootfs_plan *p)
{
	uint64_t flags = SYS_CLONE_NEWPID | SYS_CLONE_NEWIPC | SYS_CLONE_NEWUTS;

	flags |= (t->user_ns ? SYS_CLONE_NEWUSER : 0u) | (p->new_mount_ns ? SYS_CLONE_NEWNS : 0u) |
		 (p->net_ns ? SYS_CLONE_NEWNET : 0u);
	return flags | (p->cgroup_ns ? SYS_CLONE_NEWCGROUP : 0u);
}

static void run_init(const struct scenario *t, const struct rootfs_plan *p, struct rootfs_sources *s, int fds)
{
	int go[2];
	char byte;
	struct err e;

	expect(pipe2(go, O_CLOEXEC) == 0);
	pid_t pid = proc_fork(namespaces_of(t, p), NULL, -1, &e);

	if (pid == 0) {
		tap_failed = false;
		expect(read(go[0], &byte, 1) == 1);
		close(go[0]);
		close(go[1]);
		int r = be_init(t, p, s, &e);

		check_result(t, r, &e);
		if (r >= 0) {
			expect(open_fds() == fds);
			if (t->inside)
				t->inside();
		}
		fflush(stdout);
		_exit(tap_failed);
	}
	expect(pid > 0);
	if (t->user_ns) {
		put(arena_printf(&arena, "/proc/%d/uid_map", pid), "0 100000 65536");
		put(arena_printf(&arena, "/proc/%d/gid_map", pid), "0 100000 65536");
	}
	expect(write(go[1], "x", 1) == 1);
	expect(proc_wait(pid, &e) == 0);
	close(go[0]);
	close(go[1]);
}

static void be_runtime(const struct scenario *t)
{
	struct host host = { .initial_userns = true, .cgroup_mode = CGROUP_MODE_HYBRID };
	struct rootfs_options o = { .no_pivot = t->no_pivot };
	const struct oci_spec *spec;
	struct rootfs_plan plan;
	struct rootfs_sources sources;
	struct err e;
	char *text = arena_printf(&arena, "{'ociVersion':'1.2.0','root':{'path':'rootfs'%s", t->members);

	for (char *c = text; *c; c++)
		if (*c == '\'')
			*c = '"';
	if (oci_spec_parse(&arena, text, strlen(text), &spec, &e) < 0 ||
	    rootfs_plan_build(spec, BASE, &o, &host, &arena, &plan, &e) < 0) {
		expect_str(e.text, "");
		return;
	}
	if (t->tune)
		t->tune(&plan);
	int fds = open_fds();
	int r = t->late_sources ? 0 : rootfs_open_sources(&plan, &userns_maker, &arena, &sources, &e);

	if (r < 0) {
		check_result(t, r, &e);
		expect(open_fds() == fds);
		return;
	}
	run_init(t, &plan, &sources, fds);
	if (!t->late_sources) {
		rootfs_close_sources(&plan, &sources);
		rootfs_close_sources(&plan, &sources);
	}
	expect(open_fds() == fds);
	if (t->after)
		t->after();
}

static void run(const struct scenario *t)
{
	pid_t pid;
	int status = -1;

	fflush(stdout);
	mkdir(BASE, 0755);
	pid = fork();
	if (pid == 0) {
		umask(022);
		expect(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) == 0);
		expect(mount("tmpfs", BASE, "tmpfs", 0, "mode=755") == 0);
		expect(mkdir(BASE "/rootfs", 0755) == 0 && mkdir(BASE "/outside", 0755) == 0);
		put(BASE "/outside/file", "host");
		if (t->user_ns)
			expect(chown(BASE "/rootfs", 100000, 100000) == 0);
		if (t->prepare)
			t->prepare();
		be_runtime(t);
		arena_release(&arena);
		fflush(stdout);
		_exit(tap_failed);
	}
	expect(waitpid(pid, &status, 0) == pid && status == 0);
	rmdir(BASE);
}
