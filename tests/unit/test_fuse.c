/* test_fuse.c - the file server against requests that are wrong, hostile or random. What a right client sees is posix_suite's. */
#include "hwvirt-sandbox/fuse/server.h"
#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROOM = 1 << 16 };

/* A share with one of everything in it, beside it what must stay as it is. */
struct rig {
	char dir[64];
	int share_fd;
	struct fuse_server *s;
	struct fuse_worker *w;
	uint64_t unique;
	uint8_t request[FUSE_REQUEST_MAX], reply[ROOM];
	size_t reply_len;
};

static struct rig r;

static void file(const char *dir, const char *name, const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
	expect(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static int share_path(const char *name, char path[128])
{
	return snprintf(path, 128, "%s/share/%s", r.dir, name);
}

/* Sends a request as it is. Returns the error of the answer, 1 if there is none. */
static int send(uint32_t opcode, uint64_t node, const void *body, size_t len, uint32_t claimed)
{
	struct fuse_in_header h = { .len = claimed, .opcode = opcode, .unique = ++r.unique, .nodeid = node, .pid = 1 };
	struct iovec out[2] = { { r.request, sizeof(h) }, { r.request + sizeof(h), len } }, in = { r.reply, ROOM };
	struct fuse_out_header o;

	memcpy(r.request, &h, sizeof(h));
	if (len)
		memcpy(r.request + sizeof(h), body, len);
	r.reply_len = fuse_serve(r.w, out, 2, &in, 1);
	if (r.reply_len == 0)
		return 1;
	memcpy(&o, r.reply, sizeof(o));
	expect(o.unique == r.unique && o.len == r.reply_len && o.error <= 0 && o.error > -1000);
	return o.error;
}

static int ask(uint32_t opcode, uint64_t node, const void *body, size_t len)
{
	return send(opcode, node, body, len, (uint32_t)(sizeof(struct fuse_in_header) + len));
}

static const void *answered(void)
{
	return r.reply + sizeof(struct fuse_out_header);
}

static int hello(void)
{
	struct fuse_init_in in = { .major = 7, .minor = 36, .flags = ~0u };

	return ask(FUSE_INIT, 0, &in, sizeof(in));
}

static int lookup(uint64_t dir, const char *name, uint64_t *id)
{
	int e = ask(FUSE_LOOKUP, dir, name, strlen(name) + 1);

	if (e == 0 && id)
		*id = ((const struct fuse_entry_out *)answered())->nodeid;
	return e;
}

static void rig_open(struct fuse_options o)
{
	char path[128];
	struct err e;

	memset(&r, 0, sizeof(r));
	strcpy(r.dir, "/tmp/fuse-test-XXXXXX");
	expect(mkdtemp(r.dir) != NULL);
	share_path("", path);
	expect(mkdir(path, 0755) == 0);
	r.share_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	file(r.dir, "canary", "alive");
	file(path, "file", "text");
	share_path("dir", path);
	expect(mkdir(path, 0755) == 0);
	share_path("up", path);
	expect(symlink("../canary", path) == 0);
	share_path("fifo", path);
	expect(mkfifo(path, 0644) == 0);
	expect(fuse_server_new(r.share_fd, &o, &r.s, &e) == 0 && fuse_worker_new(r.s, &r.w, &e) == 0);
}

static void rig_start(bool read_only)
{
	rig_open((struct fuse_options){ .read_only = read_only, .inodes_max = 1000, .fds_max = 100, .files_max = 50 });
	expect(hello() == 0);
}

static void clear_dir(const char *path)
{
	char name[512];
	struct dirent *d;
	DIR *dir = opendir(path);

	while (dir && (d = readdir(dir))) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, d->d_name);
		if (unlink(name) < 0) {
			chmod(name, 0700);
			clear_dir(name);
			rmdir(name);
		}
	}
	if (dir)
		closedir(dir);
}

static void rig_close(void)
{
	char path[128], text[8] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/canary", r.dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	expect(fd >= 0 && read(fd, text, 7) == 5 && strcmp(text, "alive") == 0);
	close(fd);
	fuse_worker_free(r.w);
	fuse_server_free(r.s);
	close(r.share_fd);
	expect(chdir("/") == 0);
	clear_dir(r.dir);
	expect(rmdir(r.dir) == 0);
}

/* ---- names ---- */

struct bad_name {
	const char *name;
	size_t len; /* sent; 0: as a string */
	int error;
};

static char long_name[300];
static const struct bad_name bad_names[] = {
	{ "..", 0, -EINVAL },          { ".", 0, -EINVAL },         { "", 0, -EINVAL },
	{ "/", 0, -EINVAL },           { "../canary", 0, -EINVAL }, { "dir/../file", 0, -EINVAL },
	{ "/etc/passwd", 0, -EINVAL }, { "a/b", 0, -EINVAL },       { "dir/", 0, -EINVAL },
	{ "nonul", 5, -EINVAL },       { "x\0/", 1, -EINVAL },      { long_name, 0, -ENAMETOOLONG },
};
#define N_BAD (sizeof(bad_names) / sizeof(bad_names[0]))

/* Sends the fixed part, and the name behind it, twice if asked (the first one good). */
static int ask_name(uint32_t opcode, size_t fixed, const char *first, const struct bad_name *n)
{
	static uint8_t body[1024];
	size_t len = fixed, name_len = n->len ? n->len : strlen(n->name) + 1;

	memset(body, 0, sizeof(body));
	if (opcode == FUSE_LINK) {
		uint64_t id = 0;

		expect(lookup(1, "file", &id) == 0);
		memcpy(body, &id, sizeof(id));
	}
	if (opcode == FUSE_RENAME || opcode == FUSE_RENAME2)
		body[0] = 1; /* newdir: the root */
	if (first) {
		strcpy((char *)body + len, first);
		len += strlen(first) + 1;
	}
	memcpy(body + len, n->name, name_len);
	return ask(opcode, 1, body, len + name_len);
}

static void a_name_is_one_component_or_refused(void)
{
	static const struct {
		uint32_t opcode;
		size_t fixed;
		const char *first;
	} ops[] = {
		{ FUSE_LOOKUP, 0, NULL },
		{ FUSE_UNLINK, 0, NULL },
		{ FUSE_RMDIR, 0, NULL },
		{ FUSE_SYMLINK, 0, NULL },
		{ FUSE_MKNOD, sizeof(struct fuse_mknod_in), NULL },
		{ FUSE_MKDIR, sizeof(struct fuse_mkdir_in), NULL },
		{ FUSE_CREATE, sizeof(struct fuse_create_in), NULL },
		{ FUSE_LINK, sizeof(struct fuse_link_in), NULL },
		{ FUSE_RENAME, sizeof(struct fuse_rename_in), NULL },
		{ FUSE_RENAME, sizeof(struct fuse_rename_in), "file" },
		{ FUSE_RENAME2, sizeof(struct fuse_rename2_in), NULL },
		{ FUSE_RENAME2, sizeof(struct fuse_rename2_in), "file" },
	};

	memset(long_name, 'n', 256);
	rig_start(false);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		for (size_t n = 0; n < N_BAD; n++) {
			int e = ask_name(ops[i].opcode, ops[i].fixed, ops[i].first, &bad_names[n]);

			/* An empty second part, or one that is cut off, may also read as a missing name. */
			if (e != bad_names[n].error) {
				printf("# opcode %u, name %zu: %d\n", ops[i].opcode, n, e);
				tap_failed = true;
			}
		}
	}
	rig_close();
}

static void a_symbolic_link_is_never_followed(void)
{
	uint64_t id = 0;
	struct fuse_open_in in = { .flags = O_RDWR | O_TRUNC };
	struct fuse_setattr_in size = { .valid = FATTR_SIZE };

	rig_start(false);
	expect(lookup(1, "up", &id) == 0);
	expect(ask(FUSE_OPEN, id, &in, sizeof(in)) == -ENXIO);
	expect(ask(FUSE_SETATTR, id, &size, sizeof(size)) == -ENXIO);
	expect(ask(FUSE_OPENDIR, id, &in, sizeof(in)) == -ENOTDIR);
	expect(lookup(id, "passwd", NULL) == -ENOTDIR);
	rig_close();
}

static void a_create_does_not_follow_or_open_what_is_there(void)
{
	uint8_t body[64] = { 0 };
	struct fuse_create_in *in = (struct fuse_create_in *)body;

	rig_start(false);
	in->flags = O_RDWR | O_TRUNC;
	strcpy((char *)body + sizeof(*in), "up");
	expect(ask(FUSE_CREATE, 1, body, sizeof(*in) + 3) == -EEXIST);
	strcpy((char *)body + sizeof(*in), "fifo");
	expect(ask(FUSE_CREATE, 1, body, sizeof(*in) + 5) == -EEXIST);
	rig_close();
}

static void pipes_and_devices_are_not_opened(void)
{
	struct fuse_open_in in = { .flags = O_RDWR };
	uint64_t id = 0;
	char path[128];

	rig_start(false);
	expect(lookup(1, "fifo", &id) == 0);
	expect(ask(FUSE_OPEN, id, &in, sizeof(in)) == -ENXIO);
	share_path("null", path);
	if (mknod(path, S_IFCHR | 0666, 0x103) == 0) {
		expect(lookup(1, "null", &id) == 0);
		expect(ask(FUSE_OPEN, id, &in, sizeof(in)) == -ENXIO);
	}
	rig_close();
}

/* ---- numbers ---- */

static void what_the_guest_makes_up_is_nobodys(void)
{
	static const uint64_t ids[] = { 0, 2, 3, 1000, UINT32_MAX, 1ull << 32, UINT64_MAX, 0x100000001ull, 0x7fffffffffffffffull };
	uint8_t body[256] = { 'x' };

	rig_start(false);
	for (uint32_t op = 0; op < 60; op++) {
		if (op == FUSE_INIT || op == FUSE_DESTROY)
			continue;
		for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
			int e = ask(op, ids[i], body, sizeof(body));

			if (e == 0) {
				printf("# opcode %u with node %llx\n", op, (unsigned long long)ids[i]);
				tap_failed = true;
			}
		}
	}
	rig_close();
}

static void a_forgotten_number_comes_back_as_another(void)
{
	struct fuse_forget_in forget = { .nlookup = 1 };
	struct fuse_getattr_in get = { 0 };
	uint64_t before = 0, after = 0;

	rig_start(false);
	expect(lookup(1, "file", &before) == 0);
	expect(ask(FUSE_FORGET, before, &forget, sizeof(forget)) == 1);
	expect(ask(FUSE_GETATTR, before, &get, sizeof(get)) == -ESTALE);
	expect(lookup(1, "file", &after) == 0 && after != before);
	expect(ask(FUSE_GETATTR, before, &get, sizeof(get)) == -ESTALE && ask(FUSE_GETATTR, after, &get, sizeof(get)) == 0);
	rig_close();
}

static void forgetting_more_than_was_looked_up_is_forgetting(void)
{
	struct fuse_forget_in forget = { .nlookup = UINT64_MAX };
	uint64_t id = 0;

	rig_start(false);
	expect(lookup(1, "file", &id) == 0);
	for (int i = 0; i < 3; i++) {
		expect(ask(FUSE_FORGET, id, &forget, sizeof(forget)) == 1);
		expect(ask(FUSE_FORGET, 1, &forget, sizeof(forget)) == 1);
	}
	expect(fuse_server_inodes(r.s) == 1 && lookup(1, "file", &id) == 0);
	rig_close();
}

static void a_batch_is_as_long_as_it_is_whatever_it_says(void)
{
	struct {
		struct fuse_batch_forget_in head;
		struct fuse_forget_one one;
	} b = { .head = { .count = UINT32_MAX } };

	rig_start(false);
	expect(lookup(1, "file", &b.one.nodeid) == 0);
	b.one.nlookup = 1;
	expect(ask(FUSE_BATCH_FORGET, 0, &b, sizeof(b)) == 1);
	expect(fuse_server_inodes(r.s) == 1);
	rig_close();
}

static void a_file_is_used_only_as_what_it_was_opened_as(void)
{
	struct fuse_open_in open_in = { .flags = O_RDONLY };
	struct fuse_read_in read = { .size = 100 };
	struct fuse_release_in release = { 0 };
	uint64_t id = 0, fh;

	rig_start(false);
	expect(lookup(1, "file", &id) == 0 && ask(FUSE_OPEN, id, &open_in, sizeof(open_in)) == 0);
	fh = ((const struct fuse_open_out *)answered())->fh;
	read.fh = release.fh = fh;
	expect(ask(FUSE_READ, id, &read, sizeof(read)) == 0 && memcmp(answered(), "text", 4) == 0);
	expect(ask(FUSE_READDIR, 1, &read, sizeof(read)) == -EBADF);
	expect(ask(FUSE_RELEASEDIR, 1, &release, sizeof(release)) == -EBADF);
	expect(ask(FUSE_RELEASE, id, &release, sizeof(release)) == 0);
	expect(ask(FUSE_RELEASE, id, &release, sizeof(release)) == -EBADF);
	expect(ask(FUSE_READ, id, &read, sizeof(read)) == -EBADF);
	rig_close();
}

/* ---- sizes ---- */

static void a_request_is_not_longer_than_what_was_sent(void)
{
	rig_start(false);
	for (uint32_t claimed = 0; claimed < 60; claimed++) {
		int e = send(FUSE_LOOKUP, 1, "file", 5, claimed);

		expect(claimed == 45 ? e == 0 : e == -EINVAL);
	}
	expect(send(FUSE_LOOKUP, 1, "file", 5, UINT32_MAX) == -EINVAL);
	rig_close();
}

static void a_request_without_its_fixed_part_is_refused(void)
{
	uint8_t body[8] = { 0 };

	rig_start(true);
	for (uint32_t op = 1; op < 60; op++) {
		if (op != FUSE_DESTROY && op != FUSE_FORGET && op != FUSE_BATCH_FORGET && op != FUSE_READLINK && op != FUSE_STATFS)
			expect(ask(op, 1, body, 1) < 0);
	}
	rig_close();
}

static void a_write_takes_no_more_than_came_with_it(void)
{
	struct fuse_open_in open_in = { .flags = O_RDWR };
	uint8_t body[sizeof(struct fuse_write_in) + 4] = { 0 };
	struct fuse_write_in *in = (struct fuse_write_in *)body;
	uint64_t id = 0;

	rig_start(false);
	expect(lookup(1, "file", &id) == 0 && ask(FUSE_OPEN, id, &open_in, sizeof(open_in)) == 0);
	in->fh = ((const struct fuse_open_out *)answered())->fh;
	memcpy(body + sizeof(*in), "TEXT", 4);
	in->size = 5;
	expect(ask(FUSE_WRITE, id, body, sizeof(body)) == -EINVAL);
	in->size = UINT32_MAX;
	expect(ask(FUSE_WRITE, id, body, sizeof(body)) == -EINVAL);
	in->size = 4;
	in->offset = UINT64_MAX;
	expect(ask(FUSE_WRITE, id, body, sizeof(body)) == -EINVAL);
	in->offset = 0;
	expect(ask(FUSE_WRITE, id, body, sizeof(body)) == 0);
	rig_close();
}

static void an_answer_that_does_not_fit_is_an_error(void)
{
	struct fuse_in_header h = { .len = sizeof(h) + 5, .opcode = FUSE_LOOKUP, .nodeid = 1 };
	char name[5] = "file";
	struct iovec out[2] = { { &h, sizeof(h) }, { name, sizeof(name) } }, in = { r.reply, 100 };
	struct fuse_out_header o;

	rig_start(false);
	expect(fuse_serve(r.w, out, 2, &in, 1) == sizeof(o));
	memcpy(&o, r.reply, sizeof(o));
	expect(o.error == -ERANGE);
	in.iov_len = sizeof(o) - 1;
	expect(fuse_serve(r.w, out, 2, &in, 1) == 0);
	expect(fuse_serve(r.w, out, 2, NULL, 0) == 0);
	out[0].iov_len = 39;
	expect(fuse_serve(r.w, out, 1, &in, 1) == 0);
	rig_close();
}

static void reading_a_directory_into_little_room_ends(void)
{
	struct fuse_open_in open_in = { 0 };
	struct fuse_read_in in = { 0 };

	rig_start(false);
	expect(ask(FUSE_OPENDIR, 1, &open_in, sizeof(open_in)) == 0);
	in.fh = ((const struct fuse_open_out *)answered())->fh;
	for (in.size = 0; in.size < 400; in.size++) {
		expect(ask(FUSE_READDIRPLUS, 1, &in, sizeof(in)) == 0);
		expect(r.reply_len <= sizeof(struct fuse_out_header) + in.size);
	}
	in.size = UINT32_MAX;
	in.offset = UINT64_MAX;
	expect(ask(FUSE_READDIR, 1, &in, sizeof(in)) <= 0);
	rig_close();
}

/* ---- attributes ---- */

static void attributes_of_the_host_stay_the_hosts(void)
{
	static const char *const names[] = {
		"security.selinux", "security.ima", "system.nfs4_acl", "user.drupe.trusted.x", "btrfs.x", "x", "user"
	};
	uint8_t body[128];

	rig_start(false);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct fuse_getxattr_in get = { .size = 10 };
		struct fuse_setxattr_in set = { .size = 1 };

		memcpy(body, &get, sizeof(get));
		strcpy((char *)body + sizeof(get), names[i]);
		expect(ask(FUSE_GETXATTR, 1, body, sizeof(get) + strlen(names[i]) + 1) == -EOPNOTSUPP);
		memcpy(body, &set, sizeof(set));
		strcpy((char *)body + sizeof(set), names[i]);
		expect(ask(FUSE_SETXATTR, 1, body, sizeof(set) + strlen(names[i]) + 2) == -EOPNOTSUPP);
		expect(ask(FUSE_REMOVEXATTR, 1, names[i], strlen(names[i]) + 1) == -EOPNOTSUPP);
	}
	rig_close();
}

static void an_attributes_value_is_not_longer_than_the_request(void)
{
	uint8_t body[64] = { 0 };
	struct fuse_setxattr_in set = { .size = 1000 };

	rig_start(false);
	memcpy(body, &set, sizeof(set));
	strcpy((char *)body + sizeof(set), "user.x");
	expect(ask(FUSE_SETXATTR, 1, body, sizeof(set) + 9) == -EINVAL);
	expect(ask(FUSE_SETXATTR, 1, body, sizeof(set)) == -EINVAL);
	rig_close();
}

/* ---- limits, state ---- */

static void nothing_is_served_before_init_and_an_old_one_is_refused(void)
{
	struct fuse_init_in in = { .major = 7, .minor = 30 };

	rig_open((struct fuse_options){ .inodes_max = 10, .fds_max = 10, .files_max = 10 });
	expect(lookup(1, "file", NULL) == -EIO);
	expect(ask(FUSE_INIT, 0, &in, sizeof(in)) == -EPROTO);
	expect(lookup(1, "file", NULL) == -EIO);
	expect(hello() == 0 && lookup(1, "file", NULL) == 0);
	expect(ask(FUSE_DESTROY, 0, NULL, 0) == 0);
	expect(lookup(1, "file", NULL) == -EIO);
	rig_close();
}

static void the_limits_hold(void)
{
	struct fuse_open_in open_in = { 0 };
	struct fuse_forget_in forget = { .nlookup = 1 };
	char name[16];
	uint64_t id = 0, last = 0;
	int e = 0;

	rig_open((struct fuse_options){ .inodes_max = 20, .fds_max = 20, .files_max = 5 });
	expect(hello() == 0);
	for (int i = 0; i < 30; i++) {
		char path[128];

		snprintf(name, sizeof(name), "n%d", i);
		share_path(name, path);
		expect(mkdir(path, 0755) == 0);
		e = lookup(1, name, &id);
		last = e == 0 ? id : last;
	}
	expect(e == -ENFILE && fuse_server_inodes(r.s) == 20);
	expect(ask(FUSE_FORGET, last, &forget, sizeof(forget)) == 1 && lookup(1, name, &id) == 0);
	for (int i = 0; i < 10; i++)
		e = ask(FUSE_OPENDIR, 1, &open_in, sizeof(open_in));
	expect(e == -ENFILE);
	rig_close();
}

static void a_read_only_share_is_not_changed(void)
{
	static const uint32_t ops[] = { FUSE_SETATTR, FUSE_SYMLINK,     FUSE_MKNOD,     FUSE_MKDIR,
					FUSE_UNLINK,  FUSE_RMDIR,       FUSE_RENAME,    FUSE_LINK,
					FUSE_WRITE,   FUSE_CREATE,      FUSE_RENAME2,   FUSE_SETXATTR,
					FUSE_TMPFILE, FUSE_REMOVEXATTR, FUSE_FALLOCATE, FUSE_COPY_FILE_RANGE };
	uint8_t body[256] = { 'x' };
	struct fuse_open_in in = { .flags = O_RDONLY | O_TRUNC };
	uint64_t id = 0;

	rig_start(true);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		expect(ask(ops[i], 1, body, sizeof(body)) == -EROFS);
	expect(lookup(1, "file", &id) == 0);
	expect(ask(FUSE_OPEN, id, &in, sizeof(in)) == -EROFS);
	in.flags = O_WRONLY;
	expect(ask(FUSE_OPEN, id, &in, sizeof(in)) == -EROFS);
	in.flags = O_RDONLY;
	expect(ask(FUSE_OPEN, id, &in, sizeof(in)) == 0);
	rig_close();
}

/* Seeded, so that a failure comes again. */
static uint32_t dice(uint64_t *s)
{
	*s = *s * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*s >> 33);
}

static void random_requests_leave_a_server_that_serves(void)
{
	static const char *const words[] = { "file", "dir", "up", "fifo", "new", "..", "a/b", "user.x" };
	uint64_t seed = 11;
	uint8_t body[160];

	rig_start(false);
	for (unsigned i = 0; i < 300000; i++) {
		uint32_t x = dice(&seed), op = x % 64;
		size_t len = x / 64 % sizeof(body);

		for (size_t k = 0; k < sizeof(body); k += 4) {
			uint32_t v = x & 1 ? dice(&seed) % 4 : dice(&seed);

			memcpy(body + k, &v, 4);
		}
		strcpy((char *)body + dice(&seed) % 64, words[dice(&seed) % 8]);
		if (op == FUSE_DESTROY || op == FUSE_FALLOCATE || op == FUSE_SYNCFS || op == FUSE_FSYNC || op == FUSE_FSYNCDIR)
			continue; /* they only cost time, or disk */
		(void)ask(op, dice(&seed) % 8 ? dice(&seed) % 12 | (uint64_t)(dice(&seed) % 3) << 32 : 1, body, len);
	}
	expect(hello() == 0 && ask(FUSE_GETATTR, 1, body, sizeof(struct fuse_getattr_in)) <= 0);
	rig_close();
}

/* ---- two queues ---- */

static _Atomic bool stop;

static int serve(struct fuse_worker *worker, uint32_t opcode, const void *body, size_t len, void *reply, size_t room)
{
	struct fuse_in_header h = { .len = (uint32_t)(sizeof(h) + len), .opcode = opcode, .nodeid = 1 };
	struct fuse_out_header o = { 0 };
	struct iovec out[2] = { { &h, sizeof(h) }, { (void *)body, len } }, in[2] = { { &o, sizeof(o) }, { reply, room } };

	return fuse_serve(worker, out, 2, in, 2) ? o.error : 1;
}

/* Opens and closes, by another queue than the rest. */
static void *open_and_close(void *arg)
{
	const struct fuse_open_in how = { 0 };
	struct fuse_open_out opened[20] = { 0 };
	struct fuse_worker *worker;
	struct err e;

	if (fuse_worker_new(r.s, &worker, &e) < 0)
		return NULL;
	while (!atomic_load(&stop)) {
		for (int i = 0; i < 20; i++)
			(void)serve(worker, FUSE_OPENDIR, &how, sizeof(how), &opened[i], sizeof(opened[i]));
		for (int i = 0; i < 20; i++) {
			const struct fuse_release_in release = { .fh = opened[i].fh };

			(void)serve(worker, FUSE_RELEASEDIR, &release, sizeof(release), NULL, 0);
		}
	}
	fuse_worker_free(worker);
	return arg;
}

/* What is freed under whose feet only a sanitizer tells. */
static void a_session_that_begins_anew_closes_what_others_close_too(void)
{
	pthread_t threads[2];
	void *done;

	rig_start(false);
	atomic_store(&stop, false);
	for (int i = 0; i < 2; i++)
		expect(pthread_create(&threads[i], NULL, open_and_close, &r) == 0);
	for (int i = 0; i < 5000; i++)
		expect(hello() == 0);
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		expect(pthread_join(threads[i], &done) == 0 && done == &r);
	expect(lookup(1, "file", NULL) == 0);
	rig_close();
}

TAP_MAIN(CASE(a_name_is_one_component_or_refused), CASE(a_symbolic_link_is_never_followed),
	 CASE(a_create_does_not_follow_or_open_what_is_there), CASE(pipes_and_devices_are_not_opened),
	 CASE(what_the_guest_makes_up_is_nobodys), CASE(a_forgotten_number_comes_back_as_another),
	 CASE(forgetting_more_than_was_looked_up_is_forgetting), CASE(a_batch_is_as_long_as_it_is_whatever_it_says),
	 CASE(a_file_is_used_only_as_what_it_was_opened_as), CASE(a_request_is_not_longer_than_what_was_sent),
	 CASE(a_request_without_its_fixed_part_is_refused), CASE(a_write_takes_no_more_than_came_with_it),
	 CASE(an_answer_that_does_not_fit_is_an_error), CASE(reading_a_directory_into_little_room_ends),
	 CASE(attributes_of_the_host_stay_the_hosts), CASE(an_attributes_value_is_not_longer_than_the_request),
	 CASE(nothing_is_served_before_init_and_an_old_one_is_refused), CASE(the_limits_hold),
	 CASE(a_read_only_share_is_not_changed), CASE(random_requests_leave_a_server_that_serves),
	 CASE(a_session_that_begins_anew_closes_what_others_close_too))
