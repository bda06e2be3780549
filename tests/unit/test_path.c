#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "tap.h"
#include "temp.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* A "host" with a root below it: temp/root is the container's root, temp/outside must never be touched. */
static int make_root(const char *name)
{
	char outside[64];

	snprintf(outside, sizeof(outside), "%s-outside", name);
	expect(mkdirat(temp_dir(), name, 0755) == 0);
	expect(mkdirat(temp_dir(), outside, 0755) == 0);
	return openat(temp_dir(), name, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static bool exists(int dir, const char *path)
{
	struct stat st;

	return fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void clean_collapses_and_never_climbs(void)
{
	static const char *const cases[][2] = {
		{ "", "/" },
		{ "/", "/" },
		{ ".", "/" },
		{ "a", "/a" },
		{ "/a//b/", "/a/b" },
		{ "/a/./b", "/a/b" },
		{ "/a/../b", "/b" },
		{ "../../etc", "/etc" },
		{ "/..", "/" },
		{ "a/b/../../..", "/" },
		{ "/a/...", "/a/..." },
		{ "/.a/..b", "/.a/..b" },
		{ "/a/b", "/a/b" },
		{ "/a/b/", "/a/b" },
		{ "/a/b//", "/a/b" },
		{ "/a/b/.", "/a/b" },
		{ "/a/b/..", "/a" },
		{ "//a", "/a" },
		{ "a/b", "/a/b" },
	};
	auto_arena struct arena a = { 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *clean = path_clean(&a, cases[i][0]);

		expect_str(clean, cases[i][1]);
		expect(path_clean(&a, clean) == clean || strchr(clean, '.') || str_eq(clean, "/"));
	}
}

static void directories_are_made_with_the_mode_asked_for(void)
{
	auto_fd int root = make_root("modes");
	struct err e;
	struct stat st;
	mode_t before = umask(022);
	auto_fd int fd = path_mkdir_in(root, "/a/b/c", 0755, &e);

	expect(umask(before) == 022);
	expect(fd >= 0);
	expect(fstatat(root, "a/b/c", &st, 0) == 0 && (st.st_mode & 07777) == 0755);
	expect(fstatat(root, "a", &st, 0) == 0 && (st.st_mode & 07777) == 0755);
}

/* Exchanges the name with a link to the outside, until it is killed. */
static void exchange_for_link(int root)
{
	for (;;)
		(void)!syscall(SYS_renameat2, root, "victim", root, "link", 2 /* RENAME_EXCHANGE */);
}

static void remove_either(int root, const char *name)
{
	if (unlinkat(root, name, 0) < 0)
		unlinkat(root, name, AT_REMOVEDIR);
}

static void mode_is_never_set_through_a_link(void)
{
	auto_fd int root = make_root("race");
	char outside[128];
	struct err e;
	struct stat st;

	snprintf(outside, sizeof(outside), "%s/race-outside", temp_path);
	expect(chmod(outside, 0700) == 0);
	pid_t pid = fork();

	if (pid == 0)
		exchange_for_link(root);
	for (int i = 0; i < 1000; i++) {
		remove_either(root, "victim");
		remove_either(root, "link");
		(void)!symlinkat(outside, root, "link");
		int fd = path_mkdir_in(root, "/victim", 0755, &e);

		if (fd >= 0)
			close(fd);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	expect(stat(outside, &st) == 0 && (st.st_mode & 07777) == 0700);
}

static void absolute_link_stays_in_the_root(void)
{
	auto_fd int root = make_root("abs");
	char target[128];
	struct err e;

	snprintf(target, sizeof(target), "%s/abs-outside", temp_path);
	expect(symlinkat(target, root, "link") == 0);
	auto_fd int fd = path_mkdir_in(root, "/link/made", 0755, &e);
	expect(fd >= 0);
	expect(!exists(temp_dir(), "abs-outside/made"));
	expect(exists(root, target + 1));
}

static void dotdot_link_stays_in_the_root(void)
{
	auto_fd int root = make_root("dots");
	struct err e;

	expect(symlinkat("../../../../dots-outside", root, "link") == 0);
	auto_fd int fd = path_mkdir_in(root, "link/made", 0755, &e);
	expect(fd >= 0);
	expect(!exists(temp_dir(), "dots-outside/made"));
	expect(exists(root, "dots-outside/made"));
}

static void dangling_link_is_followed_and_its_target_made(void)
{
	auto_fd int root = make_root("dangling");
	struct err e;

	expect(symlinkat("/run/real", root, "var") == 0);
	auto_fd int fd = path_mkdir_in(root, "/var/lib/x", 0755, &e);
	expect(fd >= 0);
	expect(exists(root, "run/real/lib/x"));
	expect(symlinkat("new/file", root, "filelink") == 0);
	auto_fd int file = path_touch_in(root, "/filelink", &e);
	expect(file >= 0);
	expect(exists(root, "new/file"));
}

static void link_loop_is_an_error(void)
{
	auto_fd int root = make_root("loop");
	struct err e;

	expect(symlinkat("b", root, "a") == 0 && symlinkat("a", root, "b") == 0);
	expect(path_mkdir_in(root, "/a/x", 0755, &e) == -ELOOP);
	expect(path_touch_in(root, "/a", &e) == -ELOOP);
}

static void growing_link_chain_is_bounded(void)
{
	auto_fd int root = make_root("grow");
	struct err e;

	/* Each step makes one directory and meets the same dangling link again, one level deeper. */
	expect(symlinkat("missing/../self", root, "self") == 0);
	int fd = path_mkdir_in(root, "/self/x", 0755, &e);

	expect(fd < 0);
	expect(e.code == ELOOP || e.code == ENOENT);
}

static void file_in_the_way_is_an_error(void)
{
	auto_fd int root = make_root("file");
	struct err e;
	auto_fd int f = path_touch_in(root, "/dir/file", &e);

	expect(f >= 0);
	expect(path_mkdir_in(root, "/dir/file/sub", 0755, &e) == -ENOTDIR);
}

static void touch_keeps_what_is_there(void)
{
	auto_fd int root = make_root("touch");
	struct err e;
	struct stat st;
	auto_fd int w = openat(root, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	expect(w >= 0 && write(w, "text", 4) == 4);
	auto_fd int fd = path_touch_in(root, "f", &e);
	expect(fd >= 0);
	expect(fstat(fd, &st) == 0 && st.st_size == 4 && (st.st_mode & 07777) == 0600);
}

static void parent_gives_the_last_component(void)
{
	auto_arena struct arena a = { 0 };
	auto_fd int root = make_root("parent");
	const char *name;
	struct err e;
	auto_fd int dir = path_parent_in(root, "/dev/net/tun", 0755, &a, &name, &e);

	expect(dir >= 0);
	expect_str(name, "tun");
	expect(exists(root, "dev/net"));
	expect(path_parent_in(root, "/..", 0755, &a, &name, &e) == -EINVAL);
}

static void magic_links_are_refused(void)
{
	struct err e;
	auto_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	expect(path_open_in(root, "/proc/self/root/etc", O_PATH, &e) == -ELOOP);
}

static void join_puts_one_slash(void)
{
	auto_arena struct arena a = { 0 };

	expect_str(path_join(&a, "/a", "b"), "/a/b");
	expect_str(path_join(&a, "/a/", "b"), "/a/b");
	expect_str(path_join(&a, "/a", "/b"), "/b");
}

TAP_MAIN(CASE(clean_collapses_and_never_climbs), CASE(directories_are_made_with_the_mode_asked_for),
	 CASE(mode_is_never_set_through_a_link), CASE(absolute_link_stays_in_the_root), CASE(dotdot_link_stays_in_the_root),
	 CASE(dangling_link_is_followed_and_its_target_made), CASE(link_loop_is_an_error), CASE(growing_link_chain_is_bounded),
	 CASE(file_in_the_way_is_an_error), CASE(touch_keeps_what_is_there), CASE(parent_gives_the_last_component),
	 CASE(magic_links_are_refused), CASE(join_puts_one_slash))
