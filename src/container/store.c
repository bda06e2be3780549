#include "container/store.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/retry.h"
#include "base/str.h"
#include "base/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#define STATE_MAX    (4u << 20) /* bytes of state.json */
#define CONFIG_MAX   JSON_TEXT_MAX
#define LOCK_SECONDS 10

void container_close(struct container *c)
{
	fd_pile_put(c->later, &c->dir_fd);
	fd_pile_put(c->later, &c->root_fd);
	if (c->later)
		fd_pile_close(c->later);
}

static bool may_be_in_id(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '+' || c == '.' ||
	       c == '-';
}

int container_check_id(const char *id, struct err *e)
{
	size_t len = strlen(id), good = 0;

	while (may_be_in_id(id[good]))
		good++;

	if (len > 255)
		return err_set(e, ENAMETOOLONG, "invalid container ID format: longer than 255 bytes");
	if (!len || id[0] == '.' || good != len)
		return err_set(
			e, EINVAL,
			"invalid container ID format: \"%.80s\": only letters, digits and _+.- are allowed, and no dot first", id);
	return 0;
}

/* mkdir -p, 0700 for what is made. */
static int make_root(const char *root, struct err *e)
{
	char path[4096];
	size_t len = strlen(root);

	if (len >= sizeof(path))
		return err_set(e, ENAMETOOLONG, "--root: path is too long");
	memcpy(path, root, len + 1);
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return err_errno(e, "--root: mkdir %s", path);
		*p = '/';
	}
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_errno(e, "--root: mkdir %s", path);
	return 0;
}

/* new: a container is to be made in it. */
static int open_root(const char *root, bool new, struct err *e)
{
	struct stat st;
	auto_fd int fd = openat(AT_FDCWD, root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "--root: %s", root);
	if (st.st_uid != proc_euid())
		return err_set(e, EPERM, "--root: %s belongs to user %u", root, st.st_uid);
	if ((st.st_mode & S_ISVTX) && (st.st_mode & S_IWOTH))
		return err_set(e, EPERM, "--root: %s is a directory for everybody (mode %04o): give containers one of their own",
			       root, st.st_mode & 07777);
	/* Other users' eyes have no business here; an older or foreign directory is put right (CVE-2024-25621 is the class). */
	if (new && (st.st_mode & 077) && fchmod(fd, (st.st_mode & S_ISVTX) | 0700) < 0)
		return err_errno(e, "--root: chmod %s", root);
	return take_fd(&fd);
}

static void on_alarm(int sig)
{
	(void)sig; /* only interrupts flock() */
}

static int lock(int fd, const char *id, struct err *e)
{
	struct sigaction act = { .sa_handler = on_alarm }, before;

	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return err_errno(e, "lock of container \"%s\"", id);
	sigset_t alone, mask;

	(void)sigaction(SIGALRM, &act, &before);
	/* The foreground has all signals blocked. */
	sigemptyset(&alone);
	sigaddset(&alone, SIGALRM);
	(void)sigprocmask(SIG_UNBLOCK, &alone, &mask);
	alarm(LOCK_SECONDS);
	int r = flock(fd, LOCK_EX);

	alarm(0);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	(void)sigaction(SIGALRM, &before, NULL);
	if (r == 0)
		return 0;
	return err_set(e, EBUSY, "container \"%s\" is in use by another command", id);
}

static int does_not_exist(const char *id, struct err *e)
{
	return err_set(e, ENOENT, "container \"%s\" does not exist", id);
}

/* We may have waited for a command that deleted it. */
static int check_linked(int fd, const char *id, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, "container \"%s\"", id);
	return st.st_nlink ? 0 : does_not_exist(id, e);
}

static int open_dir(int root_fd, const char *id)
{
	return openat(root_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* ENOENT: a delete --force was quicker than the lock, and the name may be another's by now. */
static int take_new(int dir, const char *id, struct err *e)
{
	if (flock(dir, LOCK_EX | LOCK_NB) < 0)
		return err_errno(e, "state directory of container \"%s\"", id);
	return check_linked(dir, id, e);
}

int store_create(const struct runtime *rt, const char *id, struct container *out, struct err *e)
{
	int r = container_check_id(id, e);

	if (r < 0)
		return r;
	auto_fd int root = open_root(rt->root, true, e);
	if (root == -ENOENT && make_root(rt->root, e) == 0)
		root = open_root(rt->root, true, e);
	if (root < 0)
		return -e->code;
	if (mkdirat(root, id, 0700) < 0)
		return errno == EEXIST ? err_set(e, EEXIST, "container \"%s\": container with given ID already exists", id)
				       : err_errno(e, "state directory of container \"%s\"", id);
	auto_fd int dir = open_dir(root, id);
	r = dir < 0 ? err_errno(e, "container \"%s\"", id) : take_new(dir, id, e);
	if (r < 0 && r != -ENOENT)
		(void)unlinkat(root, id, AT_REMOVEDIR);
	if (r < 0)
		return r;
	*out = (struct container){ .id = id, .root_fd = take_fd(&root), .dir_fd = take_fd(&dir) };
	return 0;
}

static int load_state(struct container *c, struct arena *a, struct err *e)
{
	char *text;
	ssize_t n = file_read_later(c->later, c->dir_fd, "state.json", STATE_MAX, true, a, &text, e);

	c->state = NULL;
	c->damaged = false;
	if (n == -ENOENT)
		return does_not_exist(c->id, e);
	if (n >= 0 && oci_state_parse(a, text, (size_t)n, &c->state, e) == 0)
		return 0;
	c->damaged = true;
	return err_in(e, "state of container \"%s\"", c->id);
}

/* Without the lock, state and lock are two looks: "creating" and unlocked may be a creator that has just finished. Now that nobody
 * holds the lock, what is stored is the last word. There is no third look: a creator that was there may be gone by then. */
static int settle_creating(struct container *c, bool locked, struct arena *a, struct err *e)
{
	if (!c->state || !str_eq(c->state->status, "creating"))
		return 0;
	c->creating = locked || store_is_locked(c);
	return c->creating ? 0 : load_state(c, a, e);
}

int store_open(const struct runtime *rt, const char *id, bool want_lock, bool need_state, struct arena *a, struct container *out,
	       struct err *e)
{
	auto_container struct container c = CONTAINER_EMPTY;
	int r = container_check_id(id, e);

	c.later = out->later;
	if (r < 0)
		return r;
	c.id = id;
	c.root_fd = open_root(rt->root, false, e);
	if (c.root_fd < 0)
		return e->code == ENOENT ? does_not_exist(id, e) : -e->code;
	c.dir_fd = open_dir(c.root_fd, id);
	if (c.dir_fd < 0)
		return errno == ENOENT ? does_not_exist(id, e) : err_errno(e, "state directory of container \"%s\"", id);
	if (want_lock && (lock(c.dir_fd, id, e) < 0 || check_linked(c.dir_fd, id, e) < 0))
		return -e->code;
	r = load_state(&c, a, e);
	if (r == 0)
		r = settle_creating(&c, want_lock, a, e);
	if (r < 0 && need_state)
		return r;
	if (r < 0)
		log_debug("%s", e->text);
	*out = c;
	c = CONTAINER_EMPTY;
	return 0;
}

void store_unlock(struct container *c)
{
	(void)flock(c->dir_fd, LOCK_UN);
}

int store_relock(struct container *c, struct err *e)
{
	int r = lock(c->dir_fd, c->id, e);

	return r < 0 ? r : check_linked(c->dir_fd, c->id, e);
}

bool store_outlives_boot(const struct container *c)
{
	struct statfs fs;

	return RETRY(fstatfs(c->dir_fd, &fs)) < 0 || fs.f_type != SYS_TMPFS_MAGIC;
}

bool store_is_locked(const struct container *c)
{
	/* An own open file description: flock belongs to it, not to the process. */
	auto_fd int probe = openat(c->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return probe >= 0 && flock(probe, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static int save_text(struct container *c, const char *name, const char *text, size_t len, struct err *e)
{
	int r = file_replace(c->dir_fd, name, 0600, text, len, e);

	return r < 0 ? err_in(e, "state of container \"%s\"", c->id) : 0;
}

int store_save(struct container *c, const struct oci_state *s, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct oci_state_text once = { .text = STRBUF(&a) }, *t = c->text ? c->text : &once;

	oci_state_encode(s, t);
	return save_text(c, "state.json", t->text.text, t->text.len, e);
}

int store_save_config(struct container *c, const char *text, struct err *e)
{
	return save_text(c, "config.json", text, strlen(text), e);
}

int store_load_config(const struct container *c, struct arena *a, const struct oci_spec **out, struct err *e)
{
	char *text;
	ssize_t n = file_read(c->dir_fd, "config.json", CONFIG_MAX, true, a, &text, e);

	if (n >= 0 && oci_spec_parse(a, text, (size_t)n, out, e) == 0)
		return 0;
	return err_in(e, "stored config of container \"%s\"", c->id);
}

int store_save_resources(struct container *c, const struct oci_resources *res, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct strbuf text = STRBUF(&a);

	oci_resources_encode(res, &text);
	return save_text(c, "resources.json", text.text, text.len, e);
}

int store_load_resources(const struct container *c, struct arena *a, const struct oci_resources **out, struct err *e)
{
	const struct oci_spec *spec;
	char *text;
	ssize_t n = file_read(c->dir_fd, "resources.json", CONFIG_MAX, true, a, &text, e);

	if (n >= 0 && oci_resources_parse(a, text, (size_t)n, out, e) == 0)
		return 0;
	if (n != -ENOENT)
		return err_in(e, "stored limits of container \"%s\"", c->id);
	if (store_load_config(c, a, &spec, e) < 0)
		return -e->code;
	*out = spec->linux_->resources;
	return 0;
}

int store_save_mounts(struct container *c, const struct oci_live_mount_list *l, struct err *e)
{
	auto_arena struct arena a = { 0 };
	struct strbuf text = STRBUF(&a);

	oci_live_mounts_encode(l, &text);
	return save_text(c, "mounts.json", text.text, text.len, e);
}

int store_load_mounts(const struct container *c, struct arena *a, struct oci_live_mount_list *out, struct err *e)
{
	char *text;
	ssize_t n = file_read(c->dir_fd, "mounts.json", CONFIG_MAX, true, a, &text, e);

	*out = (struct oci_live_mount_list){ 0 };
	if (n == -ENOENT)
		return 0;
	if (n >= 0 && oci_live_mounts_parse(a, text, (size_t)n, out, e) == 0)
		return 0;
	return err_in(e, "stored mounts of container \"%s\"", c->id);
}

int store_save_exit(struct container *c, int status, struct err *e)
{
	char text[16];
	int n = text_format(text, sizeof(text), "%d\n", status);

	return save_text(c, "exit", text, (size_t)n, e);
}

int store_load_exit(const struct container *c, struct err *e)
{
	auto_arena struct arena a = { 0 };
	uint32_t status;
	char *text;
	ssize_t n = file_read(c->dir_fd, "exit", 15, true, &a, &text, e);

	if (n < 0)
		return (int)n;
	text[strcspn(text, "\n")] = '\0';
	if (parse_u32(text, &status, e) < 0)
		return err_in(e, "exit");
	return (int)(status & 0xff);
}

int store_pin(const struct container *c, int pidfd, struct err *e)
{
	auto_fd int place = openat(c->dir_fd, "init", O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0600);
	auto_fd int tree = place < 0 ? -1 : sys_open_tree(pidfd, "", SYS_OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH);

	if (place < 0)
		return err_errno(e, "state directory of container \"%s\"", c->id);
	if (tree < 0 || sys_move_mount(tree, "", place, "", SYS_MOVE_MOUNT_F_EMPTY | SYS_MOVE_MOUNT_T_EMPTY) < 0)
		return err_errno(e, "--record-exit: the kernel does not keep a pidfd (Linux 6.15 does)");
	return 0;
}

int store_open_pinned(const struct container *c)
{
	return openat(c->dir_fd, "init", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

/* The address goes through our descriptor, so the length of the state directory's path never matters. */
static struct sockaddr_un socket_address(const struct container *c)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	text_format(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/start.sock", c->dir_fd);
	return addr;
}

int store_listen(const struct container *c, struct err *e)
{
	struct sockaddr_un addr = socket_address(c);
	auto_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 8) < 0)
		return err_errno(e, "start.sock of container \"%s\"", c->id);
	return take_fd(&fd);
}

int store_connect(const struct container *c, struct err *e)
{
	struct sockaddr_un addr = socket_address(c);
	auto_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0 || RETRY(connect(fd, (struct sockaddr *)&addr, sizeof(addr))) < 0)
		return err_errno(e, "start.sock of container \"%s\"", c->id);
	return take_fd(&fd);
}

void store_remove_socket(const struct container *c)
{
	(void)unlinkat(c->dir_fd, "start.sock", 0);
}

static void remove_file(int dir, const char *name)
{
	char path[64];

	if (unlinkat(dir, name, 0) == 0 || errno != EBUSY)
		return;
	text_format(path, sizeof(path), "/proc/self/fd/%d/init", dir); /* the one that may be a mount point */
	(void)umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
	(void)unlinkat(dir, name, 0);
}

/* The files are our own, temporaries of a killed command included. A directory is not, and stops us. */
static int remove_files(const struct container *c, struct err *e)
{
	int copy = openat(c->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *d;

	if (!dir) {
		close_fd(&copy);
		return err_errno(e, "state directory of container \"%s\"", c->id);
	}
	if (unlinkat(c->dir_fd, "notify", AT_REMOVEDIR) < 0 && errno == ENOTEMPTY) {
		(void)unlinkat(c->dir_fd, "notify/notify.sock", 0);
		(void)unlinkat(c->dir_fd, "notify", AT_REMOVEDIR);
	}
	while ((d = readdir(dir)))
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			remove_file(c->dir_fd, d->d_name);
	(void)closedir(dir);
	return 0;
}

int store_mark_paused(const struct container *c, bool paused, struct err *e)
{
	if (!paused)
		return unlinkat(c->dir_fd, "paused", 0) < 0 && errno != ENOENT ? err_errno(e, "state: paused") : 0;
	auto_fd int fd = openat(c->dir_fd, "paused", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 ? err_errno(e, "state: paused") : 0;
}

bool store_marked_paused(const struct container *c)
{
	return faccessat(c->dir_fd, "paused", F_OK, 0) == 0;
}

int store_remove(struct container *c, struct err *e)
{
	/* config.json last: without state.json it still says where the cgroup is. */
	(void)unlinkat(c->dir_fd, "state.json", 0);
	(void)unlinkat(c->dir_fd, "config.json", 0);
	if (unlinkat(c->root_fd, c->id, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (remove_files(c, e) < 0)
		return -e->code;
	if (unlinkat(c->root_fd, c->id, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_errno(e, "state directory of container \"%s\"", c->id);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int store_list(const struct runtime *rt, struct arena *a, const char ***out, size_t *n, struct err *e)
{
	size_t room = 16, have = 0;
	const char **v = arena_alloc(a, room * sizeof(*v));
	DIR *dir = opendir(rt->root);
	const struct dirent *d;

	*n = 0;
	if (!dir && errno != ENOENT)
		return err_errno(e, "--root: %s", rt->root);
	while (dir && (d = readdir(dir))) {
		struct err ignored;

		if (container_check_id(d->d_name, &ignored) < 0)
			continue;
		if (have == room) {
			const char **more = arena_alloc(a, 2 * room * sizeof(*v));

			memcpy(more, v, room * sizeof(*v));
			v = more;
			room *= 2;
		}
		v[have++] = arena_strdup(a, d->d_name);
	}
	if (dir)
		(void)closedir(dir);
	qsort(v, have, sizeof(*v), by_name);
	*out = v;
	*n = have;
	return 0;
}
