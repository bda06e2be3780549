#include "base/cleanup.h"
#include "base/fd.h"
#include "tap.h"
#include "temp.h"

#include <errno.h>
#include <sys/stat.h>

static void put(const char *name, const char *text)
{
	auto_fd int fd = openat(temp_dir(), name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	expect(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static ssize_t get(const char *name, size_t max, bool nofollow, struct err *e)
{
	auto_arena struct arena a = { 0 };
	char *text;

	return file_read(temp_dir(), name, max, nofollow, &a, &text, e);
}

static void only_regular_files_are_read(void)
{
	struct err e;

	expect(mkfifoat(temp_dir(), "fifo", 0600) == 0);
	expect(get("fifo", 100, false, &e) == -EINVAL);
	expect_str(e.text, "fifo: not a regular file");
	expect(get("/dev/zero", 100, false, &e) == -EINVAL);
	expect(get(".", 100, false, &e) == -EINVAL);
	expect(get("missing", 100, false, &e) == -ENOENT);
}

static void links_are_followed_only_when_asked(void)
{
	struct err e;

	put("real", "text");
	expect(symlinkat("real", temp_dir(), "link") == 0);
	expect(get("link", 100, false, &e) == 4);
	expect(get("link", 100, true, &e) == -ELOOP);
}

static void size_is_bounded(void)
{
	struct err e;

	put("ten", "0123456789");
	expect(get("ten", 10, true, &e) == 10);
	expect(get("ten", 9, true, &e) == -EFBIG);
}

static void atomic_write_replaces_links_and_leaves_no_temporary(void)
{
	struct err e;
	struct stat st;

	put("target", "old");
	expect(symlinkat("target", temp_dir(), "pidfile") == 0);
	expect(file_write_atomic(temp_dir(), "pidfile", 0644, "42", 2, &e) == 0);
	expect(fstatat(temp_dir(), "pidfile", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_size == 2);
	expect((st.st_mode & 07777) == 0644);
	expect(fstatat(temp_dir(), "target", &st, 0) == 0 && st.st_size == 3);
	expect(mkfifoat(temp_dir(), "pipe", 0600) == 0);
	expect(file_write_atomic(temp_dir(), "pipe", 0644, "x", 1, &e) == -EINVAL);
	expect(file_write_atomic(temp_dir(), "no/such/dir", 0644, "x", 1, &e) == -ENOENT);
}

static void close_others_keeps_what_is_named(void)
{
	struct err e;
	int keep[3] = { dup(1), -1, dup(1) }, drop = dup(1), last = dup(1);

	keep[1] = last;
	expect(fd_close_others((unsigned)keep[0], keep, 3, &e) == 0);
	expect(fcntl(keep[0], F_GETFD) >= 0 && fcntl(keep[2], F_GETFD) >= 0 && fcntl(last, F_GETFD) >= 0);
	expect(fcntl(drop, F_GETFD) < 0);
	close(keep[0]);
	close(keep[2]);
	close(last);
}

static void null_device_is_known_by_type_and_number(void)
{
	auto_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC), zero = open("/dev/zero", O_RDWR | O_CLOEXEC);

	expect(fd_is_null_device(null));
	expect(!fd_is_null_device(zero));
	expect(!fd_is_null_device(temp_dir()));
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void piled_descriptors_close_together_and_no_others(void)
{
	struct fd_pile pile;
	int fds[5], gone[5], none = -1;

	fd_pile_init(&pile);
	for (int i = 0; i < 5; i++)
		gone[i] = fds[i] = dup(1);
	for (int i = 4; i >= 0; i--)
		if (i != 2)
			fd_pile_put(&pile, &fds[i]);
	fd_pile_put(&pile, &none);
	expect(fds[0] < 0 && pile.n == 4);
	for (int i = 0; i < 5; i++)
		expect(is_open(gone[i]));
	fd_pile_close(&pile);
	for (int i = 0; i < 5; i++)
		expect(is_open(gone[i]) == (i == 2));
	close(fds[2]);
}

static void a_pile_waits_only_while_there_are_descriptors_left(void)
{
	struct fd_pile few = { .limit = 1000 };
	int first = dup(1), second = dup(1), gone = first, last = second, alone = dup(1), single = alone;

	fd_pile_put(NULL, &alone);
	expect(alone < 0 && !is_open(single));
	fd_pile_put(&few, &first);
	expect(is_open(gone));
	few.limit = second + 10;
	fd_pile_put(&few, &second);
	expect(!is_open(gone) && !is_open(last) && few.n == 0);
	for (int i = 0; i < FD_PILE_MAX + 1; i++) {
		int fd = dup(1);

		few.limit = 1000;
		fd_pile_put(&few, &fd);
	}
	expect(few.n == 0);
}

/* Last: it closes descriptors below the temporary directory's. */
TAP_MAIN(CASE(only_regular_files_are_read), CASE(links_are_followed_only_when_asked), CASE(size_is_bounded),
	 CASE(atomic_write_replaces_links_and_leaves_no_temporary), CASE(null_device_is_known_by_type_and_number),
	 CASE(piled_descriptors_close_together_and_no_others), CASE(a_pile_waits_only_while_there_are_descriptors_left),
	 CASE(close_others_keeps_what_is_named))
