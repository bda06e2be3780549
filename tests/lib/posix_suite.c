/* posix_suite.c - what programs rely on in a file system, as TAP
 *
 *   posix_suite DIRECTORY [NAME]
 *   posix_suite --stress N DIRECTORY      makes, lists, reads and removes N files, all of them there at once
 *
 * Run on a plain directory it is the baseline; on the same directory through the file server, each case must pass as well. Needs
 * root: a case that is about ids runs its part in a child with other ones. Leaves the directory empty.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static bool failed;

#define ok(cond)                                                                                                                   \
	do {                                                                                                                       \
		if (!(cond)) {                                                                                                     \
			printf("# line %d: %s (%s)\n", __LINE__, #cond, strerror(errno));                                          \
			failed = true;                                                                                             \
		}                                                                                                                  \
	} while (0)
#define fails(call, why) ok((call) < 0 && errno == (why))

static void put(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	ok(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	ok(close(fd) == 0);
}

static bool holds(const char *name, const char *text)
{
	char buf[256] = "";
	int fd = open(name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	close(fd);
	return n == (ssize_t)strlen(text) && memcmp(buf, text, (size_t)n) == 0;
}

static struct stat st_of(const char *name)
{
	struct stat st = { 0 };

	ok(lstat(name, &st) == 0);
	return st;
}

/* Runs f as uid:gid with one supplementary group, in a child. */
static void as(uid_t uid, gid_t gid, gid_t more, void (*f)(void))
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		ok(setgroups(more ? 1 : 0, &more) == 0 && setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0);
		f();
		fflush(stdout);
		_exit(failed);
	}
	ok(waitpid(pid, &status, 0) == pid && status == 0);
}

/* ---- names ---- */

static void files_are_made_written_and_read(void)
{
	put("a", "hello");
	ok(holds("a", "hello"));
	ok(st_of("a").st_size == 5 && S_ISREG(st_of("a").st_mode) && st_of("a").st_nlink == 1);
	fails(open("a", O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST);
	fails(open("b", O_RDONLY), ENOENT);
	fails(open("a/b", O_RDONLY), ENOTDIR);
}

static void the_umask_is_heeded(void)
{
	umask(027);
	put("a", "");
	ok(mkdir("d", 0777) == 0);
	ok(mknod("p", S_IFIFO | 0666, 0) == 0);
	umask(022);
	ok((st_of("a").st_mode & 07777) == 0640 && (st_of("d").st_mode & 07777) == 0750 && (st_of("p").st_mode & 07777) == 0640);
}

static void directories_nest_and_count_links(void)
{
	ok(mkdir("d", 0755) == 0 && mkdir("d/e", 0755) == 0);
	ok(st_of("d").st_nlink == 3 || st_of("d").st_nlink == 1);
	fails(mkdir("d", 0755), EEXIST);
	fails(rmdir("d"), ENOTEMPTY);
	fails(unlink("d"), EISDIR);
	put("f", "");
	fails(rmdir("f"), ENOTDIR);
	ok(rmdir("d/e") == 0 && rmdir("d") == 0);
}

static void names_may_be_255_bytes_and_any(void)
{
	char name[300];

	memset(name, 'n', sizeof(name));
	name[255] = 0;
	put(name, "x");
	ok(holds(name, "x") && unlink(name) == 0);
	name[255] = 'n';
	name[256] = 0;
	fails(open(name, O_CREAT | O_WRONLY, 0644), ENAMETOOLONG);
	put("\xff\xfe new\nline", "odd");
	ok(holds("\xff\xfe new\nline", "odd"));
	put("..x", "dots");
	ok(holds("..x", "dots"));
}

static void hard_links_share_one_inode(void)
{
	put("a", "one");
	ok(link("a", "b") == 0);
	ok(st_of("a").st_ino == st_of("b").st_ino && st_of("a").st_nlink == 2);
	put("b", "two");
	ok(holds("a", "two"));
	ok(unlink("a") == 0 && st_of("b").st_nlink == 1);
	fails(link("b", "b"), EEXIST);
	ok(mkdir("d", 0755) == 0);
	fails(link("d", "e"), EPERM);
}

static void symbolic_links_hold_any_text(void)
{
	char text[4096], back[5000];

	memset(text, 't', sizeof(text));
	text[4000] = 0;
	ok(symlink(text, "l") == 0 && readlink("l", back, sizeof(back)) == 4000);
	ok(symlink("/etc/passwd", "abs") == 0 && readlink("abs", back, sizeof(back)) == 11);
	ok(S_ISLNK(st_of("abs").st_mode) && st_of("abs").st_size == 11);
	ok(symlink("loop", "loop") == 0);
	fails(open("loop", O_RDONLY), ELOOP);
	put("a", "x");
	fails(readlink("a", back, sizeof(back)), EINVAL);
	ok(lchown("abs", 5, 6) == 0 && st_of("abs").st_uid == 5);
}

static void a_link_to_a_symbolic_link_is_a_link_to_it(void)
{
	ok(symlink("nowhere", "l") == 0 && linkat(AT_FDCWD, "l", AT_FDCWD, "m", 0) == 0);
	ok(S_ISLNK(st_of("m").st_mode) && st_of("m").st_nlink == 2);
}

static void rename_replaces_and_moves(void)
{
	put("a", "a");
	put("b", "b");
	ok(rename("a", "b") == 0 && holds("b", "a"));
	fails(access("a", F_OK), ENOENT);
	ok(mkdir("d", 0755) == 0 && rename("b", "d/c") == 0 && holds("d/c", "a"));
	ok(mkdir("e", 0755) == 0);
	ok(rename("d", "e") == 0 && holds("e/c", "a"));
	ok(mkdir("f", 0755) == 0);
	fails(rename("f", "e"), ENOTEMPTY);
	fails(rename("e", "e/c/x"), ENOTDIR);
	fails(rename("e", "e/x"), EINVAL);
	put("g", "");
	fails(rename("g", "f"), EISDIR);
	fails(rename("f", "g"), ENOTDIR);
}

static void rename_can_exchange_and_refuse_to_replace(void)
{
	put("a", "a");
	put("b", "b");
	ok(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 2) == 0);
	ok(holds("a", "b") && holds("b", "a"));
	fails(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 1), EEXIST);
	ok(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "c", 1) == 0 && holds("c", "b"));
}

static void special_files_are_made_and_are_the_users_kernels(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "sock" };
	int s = socket(AF_UNIX, SOCK_STREAM, 0), r, w;

	ok(bind(s, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(s, 1) == 0 && S_ISSOCK(st_of("sock").st_mode));
	r = socket(AF_UNIX, SOCK_STREAM, 0);
	ok(connect(r, (struct sockaddr *)&a, sizeof(a)) == 0);
	close(r);
	close(s);
	ok(mkfifo("p", 0600) == 0);
	r = open("p", O_RDONLY | O_NONBLOCK);
	w = open("p", O_WRONLY | O_NONBLOCK);
	ok(r >= 0 && w >= 0 && write(w, "x", 1) == 1);
	close(r);
	close(w);
	ok(mknod("null", S_IFCHR | 0666, makedev(1, 3)) == 0 && st_of("null").st_rdev == makedev(1, 3));
	ok(mknod("big", S_IFBLK | 0600, makedev(259, 70000)) == 0 && st_of("big").st_rdev == makedev(259, 70000));
}

/* ---- open files ---- */

static void an_unlinked_file_lives_while_it_is_open(void)
{
	char buf[8] = "";
	struct stat st;
	int fd = open("a", O_RDWR | O_CREAT, 0644);

	ok(write(fd, "alive", 5) == 5 && unlink("a") == 0);
	fails(access("a", F_OK), ENOENT);
	ok(pwrite(fd, "A", 1, 0) == 1 && pread(fd, buf, 5, 0) == 5 && strcmp(buf, "Alive") == 0);
	ok(fstat(fd, &st) == 0 && st.st_nlink == 0 && st.st_size == 5);
	ok(ftruncate(fd, 2) == 0 && fstat(fd, &st) == 0 && st.st_size == 2);
	ok(fchmod(fd, 0600) == 0 && fstat(fd, &st) == 0 && (st.st_mode & 0777) == 0600);
	close(fd);
}

static void a_replaced_file_lives_while_it_is_open(void)
{
	char buf[8] = "";
	int fd;

	put("a", "old");
	put("b", "new");
	fd = open("a", O_RDONLY);
	ok(rename("b", "a") == 0 && read(fd, buf, 8) == 3 && strcmp(buf, "old") == 0 && holds("a", "new"));
	close(fd);
}

static void a_file_without_a_name_can_get_one(void)
{
	char proc[64];
	int fd = open(".", O_TMPFILE | O_RDWR, 0640);

	if (fd < 0 && errno == EOPNOTSUPP) {
		puts("# O_TMPFILE: not supported here");
		return;
	}
	ok(fd >= 0 && write(fd, "tmp", 3) == 3);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	ok(linkat(AT_FDCWD, proc, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0 && holds("named", "tmp"));
	close(fd);
}

static void appending_goes_to_the_end(void)
{
	int a = open("a", O_WRONLY | O_CREAT | O_APPEND, 0644), b = open("a", O_WRONLY | O_APPEND);

	for (int i = 0; i < 20; i++)
		ok(write(i % 2 ? a : b, "xy", 2) == 2);
	ok(st_of("a").st_size == 40);
	close(a);
	close(b);
}

static void truncation_and_extension_read_as_zeros(void)
{
	char buf[16];
	int fd;

	put("a", "0123456789");
	ok(truncate("a", 4) == 0 && holds("a", "0123"));
	ok(truncate("a", 8) == 0);
	fd = open("a", O_RDWR);
	ok(read(fd, buf, 16) == 8 && memcmp(buf, "0123\0\0\0\0", 8) == 0);
	ok(pwrite(fd, "z", 1, 1 << 20) == 1 && pread(fd, buf, 1, 5000) == 1 && buf[0] == 0);
	close(fd);
	close(open("a", O_WRONLY | O_TRUNC));
	ok(st_of("a").st_size == 0);
	fails(truncate("a", -1), EINVAL);
}

static void holes_are_found_and_punched(void)
{
	int fd = open("a", O_RDWR | O_CREAT, 0644);
	char c = 1;

	ok(ftruncate(fd, 4 << 20) == 0 && pwrite(fd, "x", 1, 2 << 20) == 1 && fsync(fd) == 0);
	ok(lseek(fd, 0, SEEK_DATA) == 2 << 20 && lseek(fd, 0, SEEK_HOLE) == 0);
	ok(lseek(fd, 2 << 20, SEEK_HOLE) > 2 << 20);
	fails(lseek(fd, 5 << 20, SEEK_DATA), ENXIO);
	ok(fallocate(fd, 3, 2 << 20, 1 << 20) == 0 && pread(fd, &c, 1, 2 << 20) == 1 && c == 0);
	ok(fallocate(fd, 0, 0, 5 << 20) == 0 && st_of("a").st_size == 5 << 20);
	close(fd);
}

static void data_is_copied_within_the_file_system(void)
{
	int from, to;

	put("a", "copy me");
	from = open("a", O_RDONLY);
	to = open("b", O_WRONLY | O_CREAT, 0644);
	ok(copy_file_range(from, NULL, to, NULL, 100, 0) == 7);
	close(from);
	close(to);
	ok(holds("b", "copy me"));
}

static void a_mapping_shows_and_stores_what_is_in_the_file(void)
{
	int fd = open("a", O_RDWR | O_CREAT, 0644);
	char *m;

	ok(ftruncate(fd, 8192) == 0);
	m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (m == MAP_FAILED && errno == ENODEV) { /* uncached, before Linux 6.6 */
		puts("# shared mappings: not supported here");
		close(fd);
		return;
	}
	ok(m != MAP_FAILED);
	if (m == MAP_FAILED)
		return;
	strcpy(m + 4000, "over the edge of a page, well nearly");
	ok(msync(m, 8192, MS_SYNC) == 0 && munmap(m, 8192) == 0);
	m = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, fd, 0);
	ok(m != MAP_FAILED && strncmp(m + 4000, "over the edge", 13) == 0);
	munmap(m, 8192);
	close(fd);
}

static void large_reads_and_writes_come_through_whole(void)
{
	enum { SIZE = 5 << 20 };
	uint32_t *w = malloc(SIZE), *r = malloc(SIZE);
	int fd = open("a", O_RDWR | O_CREAT, 0644);

	for (unsigned i = 0; i < SIZE / 4; i++)
		w[i] = i * 2654435761u;
	ok(write(fd, w, SIZE) == SIZE && fsync(fd) == 0);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	ok(pread(fd, r, SIZE, 0) == SIZE && memcmp(w, r, SIZE) == 0);
	ok(pread(fd, r, SIZE, 123) == SIZE - 123 && memcmp((char *)w + 123, r, SIZE - 123) == 0);
	ok(pread(fd, r, 10, SIZE) == 0);
	close(fd);
	free(w);
	free(r);
}

static void what_was_opened_for_reading_cannot_be_written(void)
{
	char c;
	int fd;

	put("a", "x");
	fd = open("a", O_RDONLY);
	fails(write(fd, "y", 1), EBADF);
	close(fd);
	fd = open("a", O_WRONLY);
	fails(read(fd, &c, 1), EBADF);
	close(fd);
	fails(open(".", O_WRONLY), EISDIR);
}

static void a_running_program_can_be_read_but_not_written(void)
{
	fails(open("/proc/self/exe", O_WRONLY), ETXTBSY);
}

static void locks_exclude_each_other(void)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5 };
	int a = open("a", O_RDWR | O_CREAT, 0644), b = open("a", O_RDWR);

	ok(flock(a, LOCK_EX | LOCK_NB) == 0);
	fails(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	ok(flock(a, LOCK_UN) == 0 && flock(b, LOCK_EX | LOCK_NB) == 0);
	ok(fcntl(a, F_OFD_SETLK, &l) == 0);
	fails(fcntl(b, F_OFD_SETLK, &l), EAGAIN);
	l.l_start = 20;
	ok(fcntl(b, F_OFD_SETLK, &l) == 0);
	close(a);
	close(b);
}

/* ---- directories ---- */

static unsigned entries(const char *name)
{
	DIR *d = opendir(name);
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static void a_large_directory_lists_each_name_once(void)
{
	enum { N = 1000 }; /* several times what one answer holds */
	static char seen[N];
	struct dirent *e;
	char name[32];
	DIR *d;

	memset(seen, 0, sizeof(seen));
	ok(mkdir("d", 0755) == 0);
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "d/file-%d", i);
		ok(close(open(name, O_CREAT | O_WRONLY, 0644)) == 0);
	}
	d = opendir("d");
	while ((e = readdir(d))) {
		if (e->d_name[0] != '.') {
			ok(e->d_type == DT_REG || e->d_type == DT_UNKNOWN);
			seen[atoi(e->d_name + 5)]++;
		}
	}
	closedir(d);
	for (int i = 0; i < N; i++)
		ok(seen[i] == 1);
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "d/file-%d", i);
		ok(unlink(name) == 0);
	}
	ok(entries("d") == 2);
}

static void a_directory_stream_can_be_rewound_and_sought(void)
{
	char first[256];
	struct dirent *e;
	long at;
	DIR *d;

	put("a", "");
	put("b", "");
	put("c", "");
	d = opendir(".");
	readdir(d);
	at = telldir(d);
	e = readdir(d);
	ok(e != NULL);
	snprintf(first, sizeof(first), "%s", e ? e->d_name : "");
	readdir(d);
	seekdir(d, at);
	e = readdir(d);
	ok(e && strcmp(e->d_name, first) == 0);
	put("new", "");
	rewinddir(d);
	for (at = 0; readdir(d); at++)
		;
	ok(at == 6);
	closedir(d);
}

static void a_file_can_be_removed_while_its_directory_is_read(void)
{
	struct dirent *e;
	char name[32];
	DIR *d;

	ok(mkdir("d", 0755) == 0);
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "d/%d", i);
		put(name, "");
	}
	d = opendir("d");
	while ((e = readdir(d))) {
		if (e->d_name[0] != '.')
			ok(unlinkat(dirfd(d), e->d_name, 0) == 0);
	}
	closedir(d);
	ok(rmdir("d") == 0);
}

static void the_inode_number_is_the_same_however_it_is_asked(void)
{
	struct dirent *e;
	struct stat st;
	DIR *d;
	int fd;

	put("a", "");
	fd = open("a", O_RDONLY);
	ok(fstat(fd, &st) == 0 && st.st_ino == st_of("a").st_ino);
	close(fd);
	d = opendir(".");
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, "a") == 0)
			ok(e->d_ino == st.st_ino);
	}
	closedir(d);
}

/* ---- owners, modes, times ---- */

static void make_mine(void)
{
	put("mine", "x");
	ok(mkdir("dir", 0755) == 0 && symlink("x", "link") == 0 && mkfifo("fifo", 0644) == 0);
}

static void what_a_user_makes_belongs_to_it(void)
{
	ok(chmod(".", 0777) == 0);
	as(1000, 2000, 0, make_mine);
	ok(st_of("mine").st_uid == 1000 && st_of("mine").st_gid == 2000 && st_of("dir").st_uid == 1000);
	ok(st_of("link").st_uid == 1000 && st_of("fifo").st_gid == 2000);
}

static void be_denied(void)
{
	fails(open("secret", O_RDONLY), EACCES);
	fails(open("closed/x", O_RDONLY), EACCES);
	fails(unlink("closed/x"), EACCES);
	fails(open("new", O_CREAT | O_WRONLY, 0644), EACCES);
	fails(chmod("secret", 0666), EPERM);
	fails(chown("secret", 1000, 1000), EPERM);
	fails(unlink("sticky/roots"), EPERM);
	fails(truncate("secret", 0), EACCES);
	fails(mkdir("d2", 0755), EACCES);
	fails(access("secret", R_OK), EACCES);
}

static void modes_keep_others_out(void)
{
	put("secret", "x");
	ok(chmod("secret", 0600) == 0 && mkdir("closed", 0700) == 0);
	put("closed/x", "x");
	ok(mkdir("sticky", 0755) == 0 && chmod("sticky", 01777) == 0);
	put("sticky/roots", "x");
	as(1000, 1000, 0, be_denied);
}

static void read_by_group(void)
{
	ok(holds("shared", "x"));
}

static void supplementary_groups_count(void)
{
	put("shared", "x");
	ok(chown("shared", 0, 3000) == 0 && chmod("shared", 0640) == 0);
	as(1000, 1000, 3000, read_by_group);
}

static void make_in_set_gid(void)
{
	put("d/f", "");
	ok(mkdir("d/sub", 0755) == 0);
}

static void a_set_gid_directory_hands_its_group_on(void)
{
	ok(mkdir("d", 0755) == 0 && chown("d", 0, 4000) == 0 && chmod("d", 02777) == 0);
	as(1000, 1000, 0, make_in_set_gid);
	ok(st_of("d/f").st_gid == 4000 && st_of("d/sub").st_gid == 4000 && (st_of("d/sub").st_mode & S_ISGID));
}

static void make_set_gid_file(void)
{
	ok(close(open("d/f", O_CREAT | O_WRONLY, 02755)) == 0);
}

/* CVE-2022-0358 */
static void a_stranger_makes_no_set_gid_file_of_the_directorys_group(void)
{
	ok(mkdir("d", 0755) == 0 && chown("d", 0, 4000) == 0 && chmod("d", 02777) == 0);
	as(1000, 1000, 0, make_set_gid_file);
	ok(st_of("d/f").st_gid == 4000 && !(st_of("d/f").st_mode & S_ISGID));
}

static void write_to_setuid(void)
{
	int fd = open("s", O_WRONLY | O_APPEND);

	ok(fd >= 0 && write(fd, "y", 1) == 1);
	close(fd);
}

static void writing_takes_set_id_bits_away(void)
{
	put("s", "x");
	ok(chmod("s", 06777) == 0);
	as(1000, 1000, 0, write_to_setuid);
	ok((st_of("s").st_mode & 06000) == 0);
	ok(chmod("s", 06777) == 0 && chown("s", 1, 1) == 0 && (st_of("s").st_mode & 06000) == 0);
}

static void capabilities_of_a_file_end_with_a_write(void)
{
	static const unsigned char cap[20] = { 1, 0, 0, 2, 0, 4 }; /* revision 2, effective, net_bind_service */
	char back[32];

	put("p", "x");
	ok(setxattr("p", "security.capability", cap, sizeof(cap), 0) == 0);
	ok(getxattr("p", "security.capability", back, sizeof(back)) == 20 && memcmp(back, cap, 20) == 0);
	put("p", "changed");
	fails(getxattr("p", "security.capability", back, sizeof(back)), ENODATA);
}

static void times_are_set_and_kept(void)
{
	struct timespec t[2] = { { 1000000000, 123456789 }, { 1234567890, 987654321 } },
			now[2] = { { 0, UTIME_OMIT }, { 0, UTIME_NOW } };
	struct stat st;

	put("a", "x");
	ok(utimensat(AT_FDCWD, "a", t, 0) == 0);
	st = st_of("a");
	ok(st.st_atim.tv_sec == t[0].tv_sec && st.st_atim.tv_nsec == t[0].tv_nsec);
	ok(st.st_mtim.tv_sec == t[1].tv_sec && st.st_mtim.tv_nsec == t[1].tv_nsec);
	ok(utimensat(AT_FDCWD, "a", now, 0) == 0);
	st = st_of("a");
	ok(st.st_atim.tv_sec == t[0].tv_sec && st.st_mtim.tv_sec > t[1].tv_sec);
	ok(symlink("x", "l") == 0 && utimensat(AT_FDCWD, "l", t, AT_SYMLINK_NOFOLLOW) == 0);
	ok(st_of("l").st_mtim.tv_sec == t[1].tv_sec);
	t[1] = (struct timespec){ -10, 0 };
	ok(utimensat(AT_FDCWD, "a", t, 0) == 0 && st_of("a").st_mtim.tv_sec == -10);
}

static void a_write_changes_the_time(void)
{
	struct timespec t[2] = { { 1000, 0 }, { 1000, 0 } };
	int fd;

	put("a", "x");
	ok(utimensat(AT_FDCWD, "a", t, 0) == 0);
	fd = open("a", O_WRONLY);
	ok(write(fd, "y", 1) == 1);
	close(fd);
	ok(st_of("a").st_mtim.tv_sec > 1000);
}

/* ---- extended attributes, ACLs ---- */

static void extended_attributes_are_kept(void)
{
	char big[4000], back[5000], list[256];

	memset(big, 'v', sizeof(big));
	put("a", "");
	if (setxattr("a", "user.one", "1", 1, 0) < 0 && errno == EOPNOTSUPP) {
		puts("# user.*: not supported here");
		return;
	}
	ok(setxattr("a", "user.big", big, 3000, 0) == 0);
	ok(getxattr("a", "user.one", back, sizeof(back)) == 1 && getxattr("a", "user.big", NULL, 0) == 3000);
	ok(getxattr("a", "user.big", back, sizeof(back)) == 3000 && memcmp(big, back, 3000) == 0);
	fails(getxattr("a", "user.big", back, 10), ERANGE);
	fails(getxattr("a", "user.none", back, 10), ENODATA);
	fails(setxattr("a", "user.one", "2", 1, XATTR_CREATE), EEXIST);
	fails(setxattr("a", "user.two", "2", 1, XATTR_REPLACE), ENODATA);
	ok(listxattr("a", list, sizeof(list)) == 18 && listxattr("a", NULL, 0) == 18);
	ok(removexattr("a", "user.one") == 0 && listxattr("a", list, sizeof(list)) == 9);
}

static void trusted_attributes_are_roots(void)
{
	char back[8] = "", list[64];

	ok(mkdir("d", 0755) == 0);
	if (setxattr("d", "trusted.overlay.opaque", "y", 1, 0) < 0 && errno == EOPNOTSUPP)
		return;
	ok(getxattr("d", "trusted.overlay.opaque", back, 8) == 1 && back[0] == 'y');
	ok(listxattr("d", list, sizeof(list)) == 23 && strcmp(list, "trusted.overlay.opaque") == 0);
	ok(removexattr("d", "trusted.overlay.opaque") == 0);
}

/* version 2, and entries of {u16 tag, u16 perm, u32 id} */
static void acl(const char *name, const char *which, unsigned perm)
{
	const unsigned e[][3] = { { 1, 7, -1u }, { 2, perm, 1000 }, { 4, 0, -1u }, { 0x10, 7, -1u }, { 0x20, 0, -1u } };
	unsigned char b[4 + 5 * 8] = { 2 };

	for (int i = 0; i < 5; i++) {
		uint16_t t = (uint16_t)e[i][0], p = (uint16_t)e[i][1];

		memcpy(b + 4 + 8 * i, &t, 2);
		memcpy(b + 6 + 8 * i, &p, 2);
		memcpy(b + 8 + 8 * i, &e[i][2], 4);
	}
	ok(setxattr(name, which, b, sizeof(b), 0) == 0);
}

static void read_secret(void)
{
	ok(holds("secret", "x"));
}

static void an_acl_lets_a_named_user_in(void)
{
	put("secret", "x");
	ok(chmod("secret", 0600) == 0);
	acl("secret", "system.posix_acl_access", 4);
	as(1000, 1000, 0, read_secret);
}

static void a_default_acl_is_inherited_instead_of_the_umask(void)
{
	char back[64];

	ok(mkdir("d", 0755) == 0);
	acl("d", "system.posix_acl_default", 6);
	umask(077);
	put("d/f", "");
	ok(mkdir("d/sub", 0777) == 0);
	umask(022);
	ok(getxattr("d/f", "system.posix_acl_access", back, sizeof(back)) > 0);
	ok(getxattr("d/sub", "system.posix_acl_default", back, sizeof(back)) > 0);
	ok((st_of("d/f").st_mode & 0070) == 0060 || (st_of("d/f").st_mode & 0070) == 0040);
}

static void the_file_system_tells_its_size(void)
{
	struct statvfs s;

	ok(statvfs(".", &s) == 0 && s.f_blocks > 0 && s.f_namemax == 255);
}

static void trees_are_removed_as_deep_as_they_are_made(void)
{
	int fd = open(".", O_RDONLY | O_DIRECTORY), up;

	for (int i = 0; i < 300; i++) {
		ok(mkdirat(fd, "deeper", 0755) == 0);
		up = openat(fd, "deeper", O_RDONLY | O_DIRECTORY);
		close(fd);
		fd = up;
	}
	ok(fd >= 0);
	for (int i = 0; i < 300; i++) {
		up = openat(fd, "..", O_RDONLY | O_DIRECTORY);
		close(fd);
		ok(unlinkat(up, "deeper", AT_REMOVEDIR) == 0);
		fd = up;
	}
	close(fd);
}

#define CASE(f)                                                                                                                    \
	{                                                                                                                          \
#f, f                                                                                                              \
	}
static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	CASE(files_are_made_written_and_read),
	CASE(the_umask_is_heeded),
	CASE(directories_nest_and_count_links),
	CASE(names_may_be_255_bytes_and_any),
	CASE(hard_links_share_one_inode),
	CASE(symbolic_links_hold_any_text),
	CASE(a_link_to_a_symbolic_link_is_a_link_to_it),
	CASE(rename_replaces_and_moves),
	CASE(rename_can_exchange_and_refuse_to_replace),
	CASE(special_files_are_made_and_are_the_users_kernels),
	CASE(an_unlinked_file_lives_while_it_is_open),
	CASE(a_replaced_file_lives_while_it_is_open),
	CASE(a_file_without_a_name_can_get_one),
	CASE(appending_goes_to_the_end),
	CASE(truncation_and_extension_read_as_zeros),
	CASE(holes_are_found_and_punched),
	CASE(data_is_copied_within_the_file_system),
	CASE(a_mapping_shows_and_stores_what_is_in_the_file),
	CASE(large_reads_and_writes_come_through_whole),
	CASE(what_was_opened_for_reading_cannot_be_written),
	CASE(a_running_program_can_be_read_but_not_written),
	CASE(locks_exclude_each_other),
	CASE(a_large_directory_lists_each_name_once),
	CASE(a_directory_stream_can_be_rewound_and_sought),
	CASE(a_file_can_be_removed_while_its_directory_is_read),
	CASE(the_inode_number_is_the_same_however_it_is_asked),
	CASE(what_a_user_makes_belongs_to_it),
	CASE(modes_keep_others_out),
	CASE(supplementary_groups_count),
	CASE(a_set_gid_directory_hands_its_group_on),
	CASE(a_stranger_makes_no_set_gid_file_of_the_directorys_group),
	CASE(writing_takes_set_id_bits_away),
	CASE(capabilities_of_a_file_end_with_a_write),
	CASE(times_are_set_and_kept),
	CASE(a_write_changes_the_time),
	CASE(extended_attributes_are_kept),
	CASE(trusted_attributes_are_roots),
	CASE(an_acl_lets_a_named_user_in),
	CASE(a_default_acl_is_inherited_instead_of_the_umask),
	CASE(the_file_system_tells_its_size),
	CASE(trees_are_removed_as_deep_as_they_are_made),
};

/* ---- many files ---- */

static unsigned each_file(unsigned n, bool (*f)(const char *name, const char *text))
{
	char name[32], text[16];
	unsigned done = 0;

	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%u/%u", i % 100, i);
		snprintf(text, sizeof(text), "%u", i);
		done += f(name, text);
	}
	return done;
}

static bool make_one(const char *name, const char *text)
{
	put(name, text);
	return true;
}

static bool remove_one(const char *name, const char *text)
{
	(void)text;
	return unlink(name) == 0;
}

static int stress(unsigned n, const char *dir)
{
	unsigned listed = 0;
	char name[32];

	ok(chdir(dir) == 0);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%u", i);
		ok(mkdir(name, 0755) == 0);
	}
	ok(each_file(n, make_one) == n);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%u", i);
		listed += entries(name) - 2;
	}
	ok(listed == n);
	ok(each_file(n, holds) == n);
	ok(each_file(n, remove_one) == n);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%u", i);
		ok(rmdir(name) == 0);
	}
	return failed;
}

int main(int argc, char **argv)
{
	unsigned n = sizeof(cases) / sizeof(cases[0]);
	int failures = 0;

	if (argc == 4 && strcmp(argv[1], "--stress") == 0)
		return stress((unsigned)atoi(argv[2]), argv[3]);
	if (argc < 2 || chdir(argv[1]) < 0 || geteuid() != 0) {
		puts("Bail out! posix_suite DIRECTORY [NAME], as root");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	umask(022);
	printf("1..%u\n", n);
	for (unsigned i = 0; i < n; i++) {
		const char *dir = cases[i].name;

		if (argc > 2 && strcmp(argv[2], dir) != 0)
			continue;
		failed = false;
		ok(mkdir(dir, 0755) == 0 && chdir(dir) == 0);
		cases[i].run();
		ok(chdir("..") == 0);
		printf("%sok %u - %s\n", failed ? "not " : "", i + 1, dir);
		failures += failed;
	}
	return failures != 0;
}
