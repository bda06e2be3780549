#include "base/cleanup.h"
#include "init/users.h"
#include "tap.h"
#include "temp.h"

#include <errno.h>
#include <sys/stat.h>

static void put(const char *name, const char *text)
{
	auto_fd int fd = openat(temp_dir(), name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	expect(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void make_files(void)
{
	(void)mkdirat(temp_dir(), "etc", 0755);
	put("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nbroken\nbob:x:1000:1001:Bob:/home/bob:/bin/sh\n1000:x:0:0::/evil:\n"
			  "big:x:4294967296:0::/big:\nneg:x:-1:0::/neg:\nlast:x:7:8::relative:/bin/sh");
	put("etc/group", "root:x:0:\nusers:x:100:bob\n100:x:0:\n");
}

static int resolve(const char *user, uint32_t *uid, uint32_t *gid)
{
	struct err e;

	*uid = *gid = 77;
	return user_resolve(temp_dir(), user, uid, gid, &e);
}

static void numbers_win_over_names(void)
{
	uint32_t uid, gid;

	make_files();
	expect(resolve("1000", &uid, &gid) == 0 && uid == 1000 && gid == 1001);
	expect(resolve("5:6", &uid, &gid) == 0 && uid == 5 && gid == 6);
	expect(resolve("5", &uid, &gid) == 0 && uid == 5 && gid == 77);
	expect(resolve("5:100", &uid, &gid) == 0 && gid == 100);
}

static void names_come_from_the_image(void)
{
	uint32_t uid, gid;

	make_files();
	expect(resolve("bob", &uid, &gid) == 0 && uid == 1000 && gid == 1001);
	expect(resolve("bob:users", &uid, &gid) == 0 && uid == 1000 && gid == 100);
	expect(resolve("last", &uid, &gid) == 0 && uid == 7 && gid == 8);
}

static void malformed_is_never_root(void)
{
	static const char *const bad[] = { "",       ":",          "bob:",        ":0",
					   "nobody", "4294967295", "4294967296",  "99999999999999999999",
					   "-1",     "+0",         " 0",          "0 ",
					   "0x0",    "0:",         "0:nogroup",   "0:4294967295",
					   "big",    "neg",        "bob:users:0", "0.0" };
	uint32_t uid, gid;

	make_files();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (resolve(bad[i], &uid, &gid) == 0)
			printf("# accepted: \"%s\"\n", bad[i]);
		expect(resolve(bad[i], &uid, &gid) == -EINVAL);
	}
}

static void home_is_the_users_own_and_absolute(void)
{
	auto_arena struct arena a = { 0 };

	make_files();
	expect_str(user_home(temp_dir(), 0, &a), "/root");
	expect_str(user_home(temp_dir(), 1000, &a), "/home/bob");
	expect_str(user_home(temp_dir(), 7, &a), "/");
	expect_str(user_home(temp_dir(), 4242, &a), "/");
}

static void hostile_files_neither_block_nor_escape(void)
{
	auto_arena struct arena a = { 0 };
	uint32_t uid, gid;

	make_files();
	expect(unlinkat(temp_dir(), "etc/passwd", 0) == 0 && mkfifoat(temp_dir(), "etc/passwd", 0644) == 0);
	expect(resolve("bob", &uid, &gid) == -EINVAL);
	expect(resolve("1000", &uid, &gid) == 0 && gid == 77);
	expect_str(user_home(temp_dir(), 0, &a), "/");
	expect(unlinkat(temp_dir(), "etc/passwd", 0) == 0 && symlinkat("/etc/passwd", temp_dir(), "etc/passwd") == 0);
	expect(resolve("root", &uid, &gid) == -EINVAL); /* the link leads to itself inside the root */
	expect(unlinkat(temp_dir(), "etc/passwd", 0) == 0);
	auto_fd int sparse = openat(temp_dir(), "etc/passwd", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	expect(sparse >= 0 && ftruncate(sparse, 1 << 30) == 0);
	expect(resolve("root", &uid, &gid) == -EINVAL);
	expect(unlinkat(temp_dir(), "etc/passwd", 0) == 0);
}

TAP_MAIN(CASE(numbers_win_over_names), CASE(names_come_from_the_image), CASE(malformed_is_never_root),
	 CASE(home_is_the_users_own_and_absolute), CASE(hostile_files_neither_block_nor_escape))
