/* By effect: on a made-up tree of files, and as root on real cgroups - those of the machine, below a directory of our own, and
 * cgroup2 at /sys/fs/cgroup in a private mount namespace. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/sys.h"
#include "cgroups/cgroup_internal.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#define PATIENCE_MS 60000 /* for what takes no time, on any machine */

#define I(v)                                                                                                                       \
	{                                                                                                                          \
		(v), true                                                                                                          \
	}

static int plan_for(const struct host *h, const struct oci_resources *res, const char *path, struct arena *a, struct cgroup_plan *p,
		    struct err *e)
{
	static const struct cgroup_options fs = { .manager = CGROUP_MANAGER_FS };
	struct oci_linux linux_ = { .resources = res, .cgroups_path = path };
	struct oci_spec spec = { .linux_ = &linux_ };

	return cgroup_plan_build(&spec, "c1", &fs, h, a, p, e);
}

#define expect_ok(call)                                                                                                            \
	do {                                                                                                                       \
		struct err err = { 0 };                                                                                            \
		if ((call) < 0) {                                                                                                  \
			printf("# %s:%d: %s\n", __FILE__, __LINE__, err.text);                                                     \
			tap_failed = true;                                                                                         \
		}                                                                                                                  \
	} while (0)

/* Made, and free to be taken by another. */
static int make_cgroup(const struct cgroup_plan *p, struct err *e)
{
	auto_fd int claim = -1;

	int r = cgroup_create(p, &claim, e);

	return r < 0 ? r : cgroup_guard(p, e);
}

/* ---- a made-up tree ---- */

static void put_file(const char *dir, const char *name, const char *text)
{
	char path[1024];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	expect(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static const char *get_file(struct arena *a, const char *dir, const char *name)
{
	struct err e;
	char *text;

	return file_read_pseudo(AT_FDCWD, arena_printf(a, "%s/%s", dir, name), 4095, a, &text, &e) < 0 ? e.text[0] ? "(none)" : ""
												       : text;
}

/* DIR/sub/.../leaf with these files, all empty. */
static const char *make_tree(struct arena *a, const char *root, const char *sub, const char *const *files)
{
	char *path = arena_printf(a, "%s%s", root, sub);

	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(path, 0755);
		*slash = '/';
	}
	expect(mkdir(path, 0755) == 0 || errno == EEXIST);
	for (; *files; files++)
		put_file(path, *files, "");
	return path;
}

static void remove_tree(const char *root)
{
	char command[1024];

	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	expect(system(command) == 0);
}

static void v2_files_get_their_texts_and_controllers_are_enabled(void)
{
	static const char *const root_files[] = { "cgroup.subtree_control", NULL };
	static const char *const files[] = { "cgroup.procs", "memory.max", "memory.low",      "pids.max",
					     "io.weight",    "cpu.max",    "hugetlb.2MB.max", NULL };
	struct oci_memory m = { .limit = I(4096), .swap = I(-1), .reservation = I(100) };
	struct oci_pids pids = { .limit = I(7) };
	struct oci_cpu cpu = { .quota = I(1000), .period = I(2000) };
	struct oci_block_io io = { .weight = I(1000) };
	struct oci_hugepage huge = { "2MB", 1 };
	struct oci_device_rule all = { .allow = true, .access = "rwm" };
	struct oci_resources res = {
		.memory = &m, .pids = &pids, .cpu = &cpu, .block_io = &io, .hugepage_limits = { &huge, 1 }, .devices = { &all, 1 }
	};
	char root[] = "/tmp/drupe-cgroup-XXXXXX";
	auto_arena struct arena a = { 0 };
	struct cgroup_plan p;
	struct host h;

	expect(mkdtemp(root) != NULL);
	struct host_hierarchy hier = { root, "", "/", true };

	host_fake(&h, CGROUP_MODE_V2);
	h.hier = &hier;
	put_file(make_tree(&a, root, "", root_files), "cgroup.subtree_control", "cpu memory\n");
	(void)make_tree(&a, root, "/up", root_files);
	const char *leaf = make_tree(&a, root, "/up/leaf", files);

	expect_ok(plan_for(&h, &res, "/up/leaf", &a, &p, &err));
	expect_ok(make_cgroup(&p, &err));
	expect_str(get_file(&a, root, "cgroup.subtree_control"), "+io +pids +hugetlb"); /* cpu and memory were there */
	expect_str(get_file(&a, arena_printf(&a, "%s/up", root), "cgroup.subtree_control"), "+cpu +io +memory +pids +hugetlb");
	expect_str(get_file(&a, leaf, "memory.max"), "4096");
	expect_str(get_file(&a, leaf, "memory.low"), "100");
	expect_str(get_file(&a, leaf, "pids.max"), "7");
	expect_str(get_file(&a, leaf, "cpu.max"), "1000 2000");
	expect_str(get_file(&a, leaf, "io.weight"), "10000"); /* there is no io.bfq.weight */
	expect_str(get_file(&a, leaf, "hugetlb.2MB.max"), "1");
	remove_tree(root);
}

static void v1_cpusets_are_inherited_and_devices_listed(void)
{
	static const char *const cpuset_files[] = { "cgroup.procs", "cpus", "mems", NULL }; /* mounted without prefix */
	static const char *const device_files[] = { "cgroup.procs", "devices.allow", "devices.deny", NULL };
	struct oci_cpu cpu = { .cpus = "1" };
	struct oci_resources res = { .cpu = &cpu };
	char root[] = "/tmp/drupe-cgroup-XXXXXX";
	auto_arena struct arena a = { 0 };
	struct cgroup_plan p;
	struct host h;

	expect(mkdtemp(root) != NULL);
	struct host_hierarchy hier[] = { { arena_printf(&a, "%s/cs", root), "cpuset", "/", false },
					 { arena_printf(&a, "%s/dev", root), "devices", "/", false } };

	host_fake(&h, CGROUP_MODE_V1);
	h.hier = hier;
	h.n_hier = 2;
	const char *top = make_tree(&a, root, "/cs", cpuset_files);

	put_file(top, "cpus", "0-3\n");
	put_file(top, "mems", "0\n");
	const char *up = make_tree(&a, root, "/cs/up", cpuset_files), *leaf = make_tree(&a, root, "/cs/up/leaf", cpuset_files);
	const char *dev = make_tree(&a, root, "/dev/up/leaf", device_files);

	expect_ok(plan_for(&h, &res, "/up/leaf", &a, &p, &err));
	expect_ok(make_cgroup(&p, &err));
	expect_str(get_file(&a, up, "cpus"), "0-3");
	expect_str(get_file(&a, up, "mems"), "0");
	expect_str(get_file(&a, leaf, "mems"), "0");
	expect_str(get_file(&a, leaf, "cpus"), "1-3"); /* "1" over the inherited "0-3": a real file starts anew */
	expect_str(get_file(&a, dev, "devices.deny"), "a");
	expect(str_starts(get_file(&a, dev, "devices.allow"), "c *:* mb *:* mc 1:3 rwm"));
	remove_tree(root);
}

static void a_missing_file_is_an_error_that_names_the_member(void)
{
	static const char *const files[] = { "cgroup.procs", "pids.max", NULL };
	struct oci_pids pids = { .limit = I(7) };
	struct oci_hugepage huge = { "3MB", 1 };
	struct oci_resources res = { .pids = &pids, .hugepage_limits = { &huge, 1 } };
	char root[] = "/tmp/drupe-cgroup-XXXXXX";
	auto_arena struct arena a = { 0 };
	struct cgroup_plan p;
	struct host h;
	struct err e;

	expect(mkdtemp(root) != NULL);
	struct host_hierarchy hier = { root, "pids,hugetlb", "/", false };

	host_fake(&h, CGROUP_MODE_V1);
	h.hier = &hier;
	h.n_hier = 1;
	(void)make_tree(&a, root, "/leaf", files);
	h.euid = 0;
	expect(plan_for(&h, &res, "/leaf", &a, &p, &e) == 0);
	expect(make_cgroup(&p, &e) == -ENOENT);
	expect_str(e.text, arena_printf(&a,
					"linux.resources.hugepageLimits[0]: writing \"1\" to %s/leaf/hugetlb.3MB.limit_in_bytes"
					" (the kernel has no pages of this size): No such file or directory",
					root));
	remove_tree(root);
}

/* ---- real cgroups ---- */

/* A child that does not outlive us, whatever happens. */
static pid_t fork_child(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		abort();
	if (pid == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent))
		_exit(255);
	return pid;
}

struct view {
	struct arena *arena;
	struct host host;
	char path[64]; /* of the container: "/drupe-test-PID/c1" */
};

static bool skipped(void)
{
	if (geteuid() == 0)
		return false;
	printf("# skipped: needs root\n");
	return true;
}

static bool enter_v2_view(void)
{
	if (sys_unshare(SYS_CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    umount2("/sys/fs/cgroup", MNT_DETACH) < 0 || mount("none", "/sys/fs/cgroup", "cgroup2", 0, NULL) < 0) {
		printf("# skipped: no cgroup2 view: %s\n", strerror(errno));
		return false;
	}
	return true;
}

/* Nothing of ours is left in any hierarchy, and nothing was taken away. */
static void expect_no_traces(const struct view *v)
{
	for (size_t i = 0; i < v->host.n_hier; i++) {
		char top[32];

		snprintf(top, sizeof(top), "/drupe-test-%d", (int)getpid());
		const char *dir = arena_printf(v->arena, "%s%s", v->host.hier[i].mount, top);

		if (access(dir, F_OK) == 0) {
			printf("# left behind: %s\n", dir);
			tap_failed = true;
		}
	}
}

/* Runs the case in a process of its own, on the machine's cgroups or on cgroup2 alone. */
static void in_view(bool v2, void (*run)(struct view *v))
{
	if (skipped())
		return;
	fflush(stdout);
	pid_t pid = fork_child();

	if (pid == 0) {
		struct arena a = { 0 };
		struct view v = { .arena = &a };

		tap_failed = false;
		expect(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
		if (v2 && !enter_v2_view())
			_exit(0);
		expect_ok(host_probe(&a, HOST_ALL, &v.host, &err));
		expect(!v2 || v.host.cgroup_mode == CGROUP_MODE_V2);
		snprintf(v.path, sizeof(v.path), "/drupe-test-%d/c1", (int)getpid());
		if (v.host.cgroup_mode == CGROUP_MODE_NONE)
			printf("# skipped: no cgroups here\n");
		else
			run(&v);
		expect_no_traces(&v);
		arena_release(&a);
		fflush(stdout);
		_exit(tap_failed);
	}
	int status = 1;

	expect(waitpid(pid, &status, 0) == pid && status == 0);
}

static void make(struct view *v, const struct oci_resources *res, struct cgroup_plan *p)
{
	static const struct oci_resources none;

	expect_ok(plan_for(&v->host, res ? res : &none, v->path, v->arena, p, &err));
	expect_ok(make_cgroup(p, &err));
}

static void sleep_on(void)
{
	for (;;)
		pause();
}

static int join_sub(const struct cgroup_ref *r, const char *sub, struct err *e)
{
	return cgroup_join(r, (const char *const[]){ sub, NULL }, 0, false, e);
}

/* A child that joins by itself (sub: a cgroup below, or NULL), tells so, and goes on as told. */
static pid_t joined_child(const struct cgroup_ref *r, const char *sub, void (*go_on)(void))
{
	int ready[2];
	char c = 0;

	expect(pipe(ready) == 0);
	pid_t pid = fork_child();

	if (pid == 0) {
		struct err e;

		if (join_sub(r, sub, &e) < 0)
			printf("# %s\n", e.text);
		else
			expect(write(ready[1], "y", 1) == 1);
		close(ready[1]);
		go_on();
	}
	close(ready[1]);
	expect(read(ready[0], &c, 1) == 1);
	close(ready[0]);
	return pid;
}

static pid_t sleeper(const struct cgroup_ref *r, const char *sub)
{
	return joined_child(r, sub, sleep_on);
}

static bool is_in(const struct view *v, pid_t pid)
{
	const char *text = get_file(v->arena, arena_printf(v->arena, "/proc/%d", (int)pid), "cgroup");
	size_t found = 0;

	for (const char *at = strstr(text, v->path); at; at = strstr(at + 1, v->path))
		found++;
	return found >= v->host.n_hier;
}

static void life(struct view *v)
{
	struct cgroup_plan p;
	bool frozen;
	pid_t *pids;
	size_t n = 0;

	make(v, NULL, &p);
	pid_t self = sleeper(&p.ref, NULL), other = fork_child();

	if (other == 0)
		for (;;)
			pause();
	expect_ok(cgroup_join(&p.ref, NULL, other, false, &err));
	expect(is_in(v, self) && is_in(v, other));
	expect_ok(cgroup_procs(&p.ref, v->arena, &pids, &n, &err));
	expect(n == 2 && pids[0] + pids[1] == self + other && pids[0] < pids[1]);

	expect_ok(cgroup_frozen(&p.ref, &frozen, &err));
	expect(!frozen);
	expect_ok(cgroup_freeze(&p.ref, true, PATIENCE_MS, &err));
	expect_ok(cgroup_frozen(&p.ref, &frozen, &err));
	expect(frozen);
	expect_ok(cgroup_freeze(&p.ref, false, PATIENCE_MS, &err));
	expect_ok(cgroup_frozen(&p.ref, &frozen, &err));
	expect(!frozen);

	int status = 0;

	expect_ok(cgroup_signal(&p.ref, SIGTERM, &err));
	expect(waitpid(self, &status, 0) == self && WTERMSIG(status) == SIGTERM);
	expect(waitpid(other, &status, 0) == other && WTERMSIG(status) == SIGTERM);
	expect_ok(cgroup_remove(&p.ref, PATIENCE_MS, &err));
	expect_ok(cgroup_remove(&p.ref, PATIENCE_MS, &err));
	expect_ok(cgroup_procs(&p.ref, v->arena, &pids, &n, &err));
	expect(n == 0);
	/* As when systemd has removed it with its last process. */
	expect_ok(cgroup_freeze(&p.ref, false, PATIENCE_MS, &err));
	expect(cgroup_freeze(&p.ref, true, 1000, &(struct err){ 0 }) < 0);
}

static void refusals(struct view *v)
{
	struct cgroup_plan p, again;
	struct err e;

	make(v, NULL, &p);
	pid_t pid = sleeper(&p.ref, NULL);

	expect_ok(plan_for(&v->host, &(struct oci_resources){ 0 }, v->path, v->arena, &again, &err));
	expect(make_cgroup(&again, &e) == -EBUSY);
	expect(str_ends(e.text, "exists and has processes"));
	expect_ok(cgroup_signal(&p.ref, SIGKILL, &err));
	expect(waitpid(pid, NULL, 0) == pid);
	expect_ok(cgroup_freeze(&p.ref, true, PATIENCE_MS, &err));
	expect(make_cgroup(&again, &e) == -EBUSY);
	expect(str_ends(e.text, "exists and is frozen"));
	expect_ok(cgroup_freeze(&p.ref, false, PATIENCE_MS, &err));
	expect_ok(make_cgroup(&again, &err)); /* empty and thawed: taken over */
	expect(join_sub(&p.ref, "no/such", &e) == -ENOENT);
	expect_str(e.text, "the container has no cgroup \"no/such\"");
	expect(join_sub(&p.ref, "a/../../x", &e) == -EINVAL);
	expect(join_sub(&p.ref, "..", &e) == -EINVAL && join_sub(&p.ref, "cpu:../x", &e) == -EINVAL);
	expect(join_sub(&p.ref, "nonsense:/", &e) == -EINVAL);
	expect_str(e.text, "the container has no cgroup v1 hierarchy of controller \"nonsense\"");
	expect(join_sub(&p.ref, "cpu,:/", &e) == -EINVAL && join_sub(&p.ref, ":/", &e) == -EINVAL);
	expect(!is_in(v, getpid())); /* the failed joins did not move us */
	expect_ok(cgroup_remove(&p.ref, PATIENCE_MS, &err));
}

static bool is_there(const struct cgroup_ref *r)
{
	return access(r->dirs[0].path, F_OK) == 0;
}

/* As long as its maker holds it, an empty cgroup is neither taken nor removed by another one. */
static void what_is_being_made_is_refused(struct view *v)
{
	struct cgroup_plan p, again;
	struct cgroup_ref unnoted;
	struct stat first = { 0 }, then = { 0 };
	int claim = -1, none = -1;
	struct err e;

	expect_ok(plan_for(&v->host, &(struct oci_resources){ 0 }, v->path, v->arena, &p, &err));
	again = p;
	unnoted = p.ref;
	unnoted.identified = true;
	expect_ok(cgroup_create(&p, &claim, &err));
	expect(claim >= 0 && stat(p.ref.dirs[0].path, &first) == 0 && (first.st_mode & 07777) == 0755);
	expect(cgroup_create(&again, &none, &e) == -EBUSY && none == -1);
	expect_str(e.text,
		   arena_printf(v->arena, "cgroup %s is just being made, or removed, by another process", p.ref.dirs[0].path));
	expect_ok(cgroup_remove(&unnoted, PATIENCE_MS, &err));
	expect(stat(p.ref.dirs[0].path, &then) == 0 && then.st_ino == first.st_ino);
	close_fd(&claim);
	expect_ok(cgroup_create(&again, &claim, &err)); /* anew */
	expect(stat(p.ref.dirs[0].path, &then) == 0 && then.st_ino != first.st_ino);
	close_fd(&claim);
	expect_ok(cgroup_remove(&unnoted, PATIENCE_MS, &err));
	expect(!is_there(&p.ref));
}

/* The path is another container's by now; or it was when ours was to be made. */
static void what_is_anothers_stays(struct view *v)
{
	struct cgroup_plan p, again;
	struct cgroup_ref old, unnoted;
	size_t n = 1;
	pid_t *pids;

	make(v, NULL, &p);
	old = unnoted = p.ref;
	unnoted.identified = true;
	expect_ok(cgroup_remove(&unnoted, PATIENCE_MS, &err)); /* empty */
	expect(!is_there(&p.ref));
	make(v, NULL, &again);
	expect_ok(cgroup_identify(&old, v->arena, &err));
	expect_ok(cgroup_remove(&old, PATIENCE_MS, &err));
	expect_ok(make_cgroup(&again, &err));
	pid_t pid = sleeper(&again.ref, NULL);

	expect_ok(cgroup_procs(&old, v->arena, &pids, &n, &err));
	expect(n == 0);
	expect_ok(cgroup_signal(&old, SIGTERM, &err));
	expect_ok(cgroup_signal(&old, SIGKILL, &err));
	expect_ok(cgroup_remove(&old, PATIENCE_MS, &err));
	expect_ok(cgroup_remove(&unnoted, PATIENCE_MS, &err));
	expect(waitpid(pid, NULL, WNOHANG) == 0);
	expect_ok(cgroup_procs(&again.ref, v->arena, &pids, &n, &err));
	expect(n == 1 && pids[0] == pid);
	expect_ok(cgroup_identify(&again.ref, v->arena, &err));
	expect_ok(cgroup_remove(&again.ref, PATIENCE_MS, &err));
	expect(waitpid(pid, NULL, 0) == pid);
	expect(access(again.ref.dirs[0].path, F_OK) < 0);
	/* Not removed before the next one is made: that one is another one, too. */
	make(v, NULL, &p);
	old = p.ref;
	expect_ok(cgroup_identify(&old, v->arena, &err));
	make(v, NULL, &again);
	pid = sleeper(&again.ref, NULL);
	expect_ok(cgroup_remove(&old, PATIENCE_MS, &err));
	expect(waitpid(pid, NULL, WNOHANG) == 0);
	expect_ok(cgroup_remove(&again.ref, PATIENCE_MS, &err));
	expect(waitpid(pid, NULL, 0) == pid);
}

/* Always a new process; the old one ends. Their orphans are ours (in_view()), and there is an end to it in any case. */
static void keep_forking(void)
{
	for (int i = 0; i < 50000; i++) {
		if (fork() > 0)
			_exit(0);
		(void)poll(NULL, 0, 1);
	}
	_exit(0);
}

/* All children have been killed: waits for each, or dies of the alarm. */
static void reap_all(void)
{
	alarm(60);
	while (waitpid(-1, NULL, 0) > 0)
		;
	expect(errno == ECHILD);
	alarm(0);
}

/* Processes in nested cgroups, some of them frozen there, others that fork all the time. */
static void hard_end(struct view *v)
{
	struct cgroup_plan p;
	bool frozen;

	make(v, NULL, &p);
	for (size_t i = 0; i < p.ref.n_dirs; i++) {
		expect(mkdir(cg_file(v->arena, p.ref.dirs[i].path, "in"), 0755) == 0);
		expect(mkdir(cg_file(v->arena, p.ref.dirs[i].path, "in/deeper"), 0755) == 0);
		if (!cg_list_has(p.ref.dirs[i].controllers, "cpuset"))
			continue;
		for (int j = 0; j < 4; j++) {
			const char *dir = cg_file(v->arena, p.ref.dirs[i].path, j < 2 ? "in" : "in/deeper");
			const char *up = j < 2 ? p.ref.dirs[i].path : cg_file(v->arena, p.ref.dirs[i].path, "in");
			const char *file = j % 2 ? "cpuset.mems" : "cpuset.cpus";

			put_file(dir, file, get_file(v->arena, up, file));
		}
	}
	(void)sleeper(&p.ref, "in/deeper");
	(void)sleeper(&p.ref, NULL);
	(void)joined_child(&p.ref, "in", keep_forking);
	if (fork_child() == 0) { /* comes in when it likes, perhaps in the middle of the end */
		struct err e;

		if (join_sub(&p.ref, "in", &e) < 0)
			_exit(255);
		keep_forking();
	}
	const struct cgroup_dir *d = cg_freezer(&p.ref);
	struct cgroup_dir inner = *d;
	struct cgroup_ref part = { .mode = p.ref.mode, .dirs = &inner, .n_dirs = 1 };

	inner.path = cg_file(v->arena, d->path, "in/deeper");
	expect_ok(cgroup_freeze(&part, true, PATIENCE_MS, &err));
	expect_ok(cgroup_frozen(&part, &frozen, &err));
	expect(frozen);
	int64_t before = clock_ms();

	expect_ok(cgroup_remove(&p.ref, PATIENCE_MS, &err));
	expect(clock_ms() - before < 40000);
	reap_all();
}

/* Like hard_end(), without a cgroup that could be killed at once: every process by its pidfd. */
static void kill_one_by_one(struct view *v)
{
	struct cgroup_plan p;
	pid_t pids[40];
	int status;

	make(v, NULL, &p);
	for (int i = 0; i < 40; i++)
		pids[i] = sleeper(&p.ref, NULL);
	struct cgroup_ref v1_only = p.ref;

	while (v1_only.n_dirs && v1_only.dirs[v1_only.n_dirs - 1].v2)
		v1_only.n_dirs--;
	if (v1_only.n_dirs) {
		expect_ok(cgroup_freeze(&v1_only, true, PATIENCE_MS, &err));
		expect_ok(cgroup_signal(&v1_only, SIGKILL, &err));
		alarm(60); /* they have left the cgroup; their parent may see it a moment later */
		for (int i = 0; i < 40; i++)
			expect(waitpid(pids[i], &status, 0) == pids[i] && WTERMSIG(status) == SIGKILL);
		alarm(0);
	}
	expect_ok(cgroup_remove(&p.ref, PATIENCE_MS, &err));
}

/* The result of trying to open a device, in a process inside: 0, or errno. */
static int try_device(const struct cgroup_ref *r, const char *path, int flags)
{
	pid_t pid = fork_child();

	if (pid == 0) {
		struct err e;

		if (cgroup_join(r, NULL, 0, false, &e) < 0)
			_exit(255);
		int fd = open(path, flags | O_CLOEXEC);

		_exit(fd < 0 ? errno : 0);
	}
	int status = 0;

	expect(waitpid(pid, &status, 0) == pid);
	return WEXITSTATUS(status);
}

#define RULE(allow_, maj, min, acc)                                                                                                \
	{                                                                                                                          \
		.allow = (allow_), .type = "c", .access = (acc), .major = { (maj), true }, .minor = {(min), true }                 \
	}

static void devices(struct view *v)
{
	struct oci_device_rule rules[] = { { .allow = false, .access = "rwm" }, RULE(false, 1, 5, "rwm"), RULE(true, 1, 11, "r") };
	struct oci_resources res = { .devices = { rules, 3 } };
	struct cgroup_plan p;
	char kmsg[64], other[64];

	snprintf(kmsg, sizeof(kmsg), "/tmp/drupe-kmsg-%d", (int)getpid());
	snprintf(other, sizeof(other), "/tmp/drupe-mem-%d", (int)getpid());
	expect(mknod(kmsg, S_IFCHR | 0600, makedev(1, 11)) == 0);
	expect(mknod(other, S_IFCHR | 0600, makedev(1, 1)) == 0);
	make(v, &res, &p);
	expect(try_device(&p.ref, "/dev/null", O_RDWR) == 0);
	expect(try_device(&p.ref, "/dev/full", O_RDWR) == 0);
	expect(try_device(&p.ref, "/dev/zero", O_RDONLY) == EPERM);
	expect(try_device(&p.ref, kmsg, O_RDONLY) == 0);
	expect(try_device(&p.ref, kmsg, O_WRONLY) == EPERM);
	expect(try_device(&p.ref, other, O_RDONLY) == EPERM);
	/* The same cgroup again, with other rules: they replace the former ones. */
	rules[1].allow = true;
	rules[2].access = "w";
	expect_ok(plan_for(&v->host, &res, v->path, v->arena, &p, &err));
	expect_ok(make_cgroup(&p, &err));
	expect(try_device(&p.ref, "/dev/zero", O_RDONLY) == 0);
	expect(try_device(&p.ref, kmsg, O_RDONLY) == EPERM);
	expect(try_device(&p.ref, kmsg, O_WRONLY) == 0);
	expect_ok(cgroup_remove(&p.ref, PATIENCE_MS, &err));
	unlink(kmsg);
	unlink(other);
}

static void pids_limit(struct view *v)
{
	struct oci_pids limit = { .limit = I(3) };
	struct oci_resources res = { .pids = &limit };
	struct cgroup_plan p;
	struct err e;

	if (plan_for(&v->host, &res, v->path, v->arena, &p, &e) < 0) {
		printf("# skipped: %s\n", e.text);
		return;
	}
	make(v, &res, &p);
	pid_t pid = fork_child();

	if (pid == 0) {
		int made = 0;

		if (cgroup_join(&p.ref, NULL, 0, false, &e) < 0)
			_exit(255);
		for (int i = 0; i < 5; i++) {
			pid_t child = fork();

			if (child == 0)
				for (;;)
					pause();
			made += child > 0;
		}
		_exit(made);
	}
	int status = 0;

	expect(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 2);
	expect_ok(cgroup_remove(&p.ref, PATIENCE_MS, &err));
}

static void failure_undoes(struct view *v)
{
	struct oci_cpu cpu = { .cpus = "4000" };
	struct oci_resources res = { .cpu = &cpu };
	struct cgroup_plan p;
	struct err e;

	if (plan_for(&v->host, &res, v->path, v->arena, &p, &e) < 0) {
		printf("# skipped: %s\n", e.text);
		return;
	}
	expect(make_cgroup(&p, &e) < 0);
	expect(str_starts(e.text, "linux.resources.cpu.cpus: writing \"4000\" to "));
}

static void limits(struct view *v)
{
	struct oci_memory m = { .limit = I(64 << 20) };
	struct oci_cpu cpu = { .quota = I(20000), .period = I(10000), .shares = I(512), .idle = I(1) };
	struct oci_resources res = { .memory = &m, .cpu = &cpu };
	struct cgroup_plan p;
	struct err e;

	if (v->host.cgroup_mode != CGROUP_MODE_HYBRID && v->host.cgroup_mode != CGROUP_MODE_V1)
		return;
	make(v, &res, &p);
	const char *c = cg_find_v1(&(struct cg_builder){ .dirs = p.ref.dirs, .n_dirs = p.ref.n_dirs }, "cpu")->path;

	expect_str(get_file(v->arena, c, "cpu.cfs_quota_us"), "20000\n");
	/* An existing cgroup, and values that want another order: the quota below the burst it has. */
	cpu = (struct oci_cpu){ .quota = I(30000), .burst = I(25000) };
	expect_ok(plan_for(&v->host, &res, v->path, v->arena, &p, &err));
	expect_ok(make_cgroup(&p, &err));
	cpu = (struct oci_cpu){ .quota = I(10000), .burst = I(5000), .idle = I(0), .shares = I(256) };
	expect_ok(plan_for(&v->host, &res, v->path, v->arena, &p, &err));
	expect_ok(make_cgroup(&p, &err));
	expect_str(get_file(v->arena, c, "cpu.cfs_quota_us"), "10000\n");
	expect_str(get_file(v->arena, c, "cpu.cfs_burst_us"), "5000\n");
	expect_str(get_file(v->arena, c, "cpu.shares"), "256\n");
	m = (struct oci_memory){ .limit = I(32 << 20), .swap = I(32 << 20) };
	expect_ok(plan_for(&v->host, &res, v->path, v->arena, &p, &err));
	expect_ok(make_cgroup(&p, &err));
	m = (struct oci_memory){ .limit = I(128 << 20), .swap = I(128 << 20) };
	expect_ok(plan_for(&v->host, &res, v->path, v->arena, &p, &err));
	expect_ok(make_cgroup(&p, &err)); /* growing: memory+swap has to be first */
	expect_ok(cgroup_remove(&p.ref, PATIENCE_MS, &err));
	(void)e;
}

/* Containers come and go side by side; their common parent with them. */
static void side_by_side(struct view *v)
{
	pid_t pids[4];

	for (int i = 0; i < 4; i++) {
		pids[i] = fork_child();
		for (int j = 0; pids[i] == 0 && j < 25; j++) {
			struct cgroup_plan p;

			sprintf(strrchr(v->path, '/'), "/c%d", i);
			make(v, NULL, &p);
			expect_ok(cgroup_remove(&p.ref, PATIENCE_MS, &err));
		}
		if (pids[i] == 0)
			_exit(tap_failed);
	}
	for (int i = 0; i < 4; i++) {
		int status = 1;

		expect(waitpid(pids[i], &status, 0) == pids[i] && status == 0);
	}
}

/* Deeper than a path can be long. */
static void deep(struct view *v)
{
	struct cgroup_plan p;
	char name[251];

	make(v, NULL, &p);
	memset(name, 'x', 250);
	name[250] = '\0';
	int fd = open(p.ref.dirs[p.ref.n_dirs - 1].path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < 20; i++) {
		expect(mkdirat(fd, name, 0755) == 0);
		int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		close(fd);
		fd = below;
	}
	close(fd);
	expect_ok(cgroup_remove(&p.ref, PATIENCE_MS, &err));
}

static void born_inside(struct view *v)
{
	struct cgroup_plan p;
	struct err e;

	make(v, NULL, &p);
	auto_fd int fd = cgroup_open(&p.ref, &e);

	bool bears = p.ref.dirs[0].v2; /* v2, and hybrid: into the other hierarchies it puts itself */

	expect(bears ? fd >= 0 : fd == -ENOENT);
	expect(bears == (v->host.cgroup_mode != CGROUP_MODE_V1) && cgroup_birth(&p, fd) == (bears ? fd : -1));
	pid_t pid = proc_fork(0, NULL, fd, &e);

	if (pid == 0)
		_exit(cgroup_join(&p.ref, NULL, 0, bears, &e) == 0 && is_in(v, getpid()) ? 0 : 1);
	int status = 1;

	expect(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
	expect_ok(cgroup_remove(&p.ref, PATIENCE_MS, &err));
}

#define VIEWS(name)                                                                                                                \
	static void name##_on_v1(void)                                                                                             \
	{                                                                                                                          \
		in_view(false, name);                                                                                              \
	}                                                                                                                          \
	static void name##_on_v2(void)                                                                                             \
	{                                                                                                                          \
		in_view(true, name);                                                                                               \
	}
VIEWS(life)
VIEWS(refusals)
VIEWS(what_is_being_made_is_refused)
VIEWS(what_is_anothers_stays)
VIEWS(hard_end)
VIEWS(kill_one_by_one)
VIEWS(devices)
VIEWS(pids_limit)
VIEWS(failure_undoes)
VIEWS(limits)
VIEWS(side_by_side)
VIEWS(deep)
VIEWS(born_inside)
#define BOTH(name) CASE(name##_on_v1), CASE(name##_on_v2)

TAP_MAIN(CASE(v2_files_get_their_texts_and_controllers_are_enabled), CASE(v1_cpusets_are_inherited_and_devices_listed),
	 CASE(a_missing_file_is_an_error_that_names_the_member), BOTH(life), BOTH(refusals), BOTH(what_is_being_made_is_refused),
	 BOTH(what_is_anothers_stays), BOTH(hard_end), BOTH(kill_one_by_one), BOTH(devices), BOTH(pids_limit), BOTH(failure_undoes),
	 BOTH(limits), BOTH(side_by_side), BOTH(deep), BOTH(born_inside))
