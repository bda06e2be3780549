/* harness.c - what every test of tests/integration does, in one quick program; helpers.bash calls it
 *
 *	harness begin DIR                    makes DIR/root and notes in DIR/.before what the machine holds
 *	harness end DIR                      waits until it holds the same again; else prints the differences, status 1
 *	harness bundle TEMPLATE CONFIG DIR   makes DIR with a copy of CONFIG as config.json and of TEMPLATE as rootfs
 *	harness links DIR TARGET NAME...     makes each name in DIR a symbolic link to TARGET; one that is there stays
 *	harness remove DIR PREFIX            removes what is in DIR by a name that begins with PREFIX; not what is mounted below
 *	harness args FILE WORD...            sets process.args in a config.json
 *	harness limit SECONDS COMMAND...     runs it, signals are passed on; SIGTERM after that time and SIGKILL 5 s later, status
 *124
 *
 * Static, and all in one process: where starting a process takes tens of milliseconds, as in the uml lane, the same as a shell
 * script takes longer than most tests.
 *
 * What the machine holds is one thing a line, by kind. Kinds that are the test's alone (by the adopting process, the mount
 *namespace of the run, the state directory or $TOKEN in a name) are compared as they are; cgroups and shared memory belong to the
 *whole machine: with $SHARED_MACHINE only names with the token count. $LEAK_WAIT_MS is how long `end` waits: namespaces, cgroups
 *and above all keyrings end a little after their last process (two RCU callbacks, of the process and then of its credentials, that
 *the kernel may put off for 10 s each, and a collector that waits for a third).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static _Noreturn void fail(const char *what, const char *which)
{
	fprintf(stderr, "harness: %s %s: %s\n", what, which, strerror(errno));
	exit(2);
}

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

static char *format(const char *text, ...) __attribute__((format(printf, 1, 2)));

/* Nothing is freed: the process lives for one call. */
static char *format(const char *text, ...)
{
	va_list args;
	char *made = NULL;

	va_start(args, text);
	int n = vasprintf(&made, text, args);
	va_end(args);
	if (n < 0)
		fail("memory for", text);
	return made;
}

/* The whole file with a zero behind it, also of /proc; NULL when it can't be read. */
static char *content(const char *path, size_t *length)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0, room = 0;
	char *text = NULL;
	ssize_t got = -1;

	if (fd < 0)
		return NULL;
	do {
		room = n + 65536;
		text = realloc(text, room + 1);
		if (!text)
			fail("memory for", path);
		got = read(fd, text + n, room - n);
		n += got > 0 ? (size_t)got : 0;
	} while (got > 0);
	close(fd);
	text[n] = '\0';
	if (length)
		*length = n;
	return got < 0 ? NULL : text;
}

static void write_file(const char *path, const char *text, size_t length)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		fail("create", path);
	while (length > 0) {
		ssize_t n = write(fd, text, length);
		if (n < 0)
			fail("write", path);
		text += n;
		length -= (size_t)n;
	}
	close(fd);
}

/* ------------------------------------------------------------------------------------------------ what the machine holds */

struct lines {
	char **at;
	size_t count;
};

static void add(struct lines *lines, char *line)
{
	if (lines->count % 256 == 0)
		lines->at = realloc(lines->at, (lines->count + 256) * sizeof *lines->at);
	if (!lines->at)
		fail("memory for", line);
	lines->at[lines->count++] = line;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A test without a token would own everything. */
static const char *token(void)
{
	const char *t = getenv("TOKEN");

	if (!t || !*t) {
		fprintf(stderr, "harness: no TOKEN\n");
		exit(2);
	}
	return t;
}

static bool counts(const char *name)
{
	const char *shared = getenv("SHARED_MACHINE");

	return !shared || !*shared || strstr(name, token());
}

/* The directories of cgroups that are a container's: below "drupe", or with the token. What the machine's own services make and
 * remove meanwhile is none of ours. The directory that the runtime keeps for all its containers may stay. */
static bool is_cgroup(const char *path)
{
	return (strstr(path, "/drupe-") || strstr(path, token())) && counts(path);
}

static bool is_shared_memory(const char *path)
{
	return counts(path);
}

static bool is_any(const char *path)
{
	(void)path;
	return true;
}

/* Adds "KIND PATH" for everything below a directory, to a depth. */
static void add_tree(struct lines *lines, const char *kind, const char *dir, int depth, bool dirs_only,
		     bool (*wanted)(const char *))
{
	DIR *d = opendir(dir);

	if (!d)
		return;
	for (const struct dirent *e; (e = readdir(d));) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || (dirs_only && e->d_type != DT_DIR))
			continue;
		char *path = format("%s/%s", dir, e->d_name);
		if (wanted(path))
			add(lines, format("%s %s", kind, path));
		if (depth > 1 && e->d_type == DT_DIR)
			add_tree(lines, kind, path, depth - 1, dirs_only, wanted);
	}
	closedir(d);
}

static void add_mounts(struct lines *lines)
{
	char *text = content("/proc/self/mountinfo", NULL);

	if (!text)
		fail("read", "/proc/self/mountinfo");
	for (char *rest = text, *line; (line = strsep(&rest, "\n")) && *line;) {
		char *end = line;
		for (int field = 0; field < 5 && *end; field++)
			end += strcspn(end, " ") + (field < 4);
		*end = '\0';
		add(lines, format("mount %s", line));
	}
}

static void add_process(struct lines *lines, const char *pid)
{
	char *stat = content(format("/proc/%s/stat", pid), NULL), exe[4096];
	const char *state = stat ? strrchr(stat, ')') : NULL;
	size_t length = 0;

	/* Not the dead about to be collected. */
	if (!state || !strncmp(state, ") Z", 3))
		return;
	char *command = content(format("/proc/%s/cmdline", pid), &length);
	for (size_t i = 0; command && i < length; i++)
		command[i] = command[i] == '\0' || command[i] == '\n' ? ' ' : command[i];
	ssize_t n = readlink(format("/proc/%s/exe", pid), exe, sizeof exe - 1);
	exe[n < 0 ? 0 : n] = '\0';
	add(lines, format("process %s %.100s (%s)", pid, command ? command : "", exe));
}

/* Orphans that descendants of the test run left behind, and jobs of the test's own shell. */
static void add_processes(struct lines *lines, const char *dir)
{
	const char *reaper = getenv("REAPER_PID");
	const char *lists[] = { reaper ? format("/proc/%s/task/%s/children", reaper, reaper) : NULL, format("%s/.jobs", dir) };

	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		char *pids = lists[i] ? content(lists[i], NULL) : NULL;
		for (char *pid; pids && (pid = strsep(&pids, " \n"));)
			if (*pid)
				add_process(lines, pid);
	}
}

static void add_sysv_ipc(struct lines *lines)
{
	static const char *const files[] = { "/proc/sysvipc/msg", "/proc/sysvipc/sem", "/proc/sysvipc/shm" };
	char key[64], id[64];

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		char *text = content(files[i], NULL);
		for (char *line = strsep(&text, "\n"); line && (line = strsep(&text, "\n"));)
			if (sscanf(line, "%63s %63s", key, id) == 2 && counts(line))
				add(lines, format("sysv ipc %s %s", key, id));
	}
}

static void add_keys(struct lines *lines)
{
	char *text = content("/proc/keys", NULL);

	for (char *line; text && (line = strsep(&text, "\n"));) {
		char *name = strstr(line, " _ses");
		if (!name || !strstr(name, token()))
			continue;
		name[1 + strcspn(name + 1, " :")] = '\0';
		add(lines, format("key %s", name + 1));
	}
}

static struct lines machine(const char *dir)
{
	struct lines lines = { 0 };

	add_mounts(&lines);
	add_tree(&lines, "cgroup", "/sys/fs/cgroup", 64, true, is_cgroup);
	add_processes(&lines, dir);
	/* Held by a process that is not ours any more, or by a mount: either shows above as well, but not by its name. */
	add_tree(&lines, "network namespace", "/run/netns", 1, false, is_any);
	add_tree(&lines, "shared memory", "/dev/shm", 64, false, is_shared_memory);
	add_tree(&lines, "shared memory", "/dev/mqueue", 64, false, is_shared_memory);
	add_sysv_ipc(&lines);
	add_keys(&lines);
	add_tree(&lines, "state", format("%s/root", dir), 2, false, is_any);
	qsort(lines.at, lines.count, sizeof *lines.at, compare);
	return lines;
}

static void save(const struct lines *lines, const char *path)
{
	size_t length = 0, n = 0;

	for (size_t i = 0; i < lines->count; i++)
		length += strlen(lines->at[i]) + 1;
	char *text = malloc(length + 1);
	if (!text)
		fail("memory for", path);
	for (size_t i = 0; i < lines->count; i++)
		n += (size_t)sprintf(text + n, "%s\n", lines->at[i]);
	write_file(path, text, n);
}

static struct lines saved(const char *path)
{
	char *text = content(path, NULL);
	struct lines lines = { 0 };

	if (!text)
		fail("read", path);
	for (char *line; (line = strsep(&text, "\n"));)
		if (*line)
			add(&lines, line);
	return lines;
}

/* Counts, and prints when asked to, what is in one of the two only. */
static size_t differences(const struct lines *before, const struct lines *after, bool print)
{
	size_t b = 0, a = 0, found = 0;

	while (b < before->count || a < after->count) {
		int order = b == before->count ? 1 : a == after->count ? -1 : strcmp(before->at[b], after->at[a]);
		if (order != 0)
			found++;
		if (order != 0 && print)
			printf(order < 0 ? "  gone: %s\n" : "  %s\n", order < 0 ? before->at[b] : after->at[a]);
		b += order <= 0;
		a += order >= 0;
	}
	return found;
}

static int begin(char **argv)
{
	const char *root = format("%s/root", argv[0]);

	if (mkdir(root, 0700) < 0)
		fail("make", root);
	struct lines lines = machine(argv[0]);
	save(&lines, format("%s/.before", argv[0]));
	return 0;
}

static int end(char **argv)
{
	struct lines before = saved(format("%s/.before", argv[0])), after;
	const char *wait = getenv("LEAK_WAIT_MS");
	long long until = now_ms() + (wait && *wait ? atol(wait) : 60000);

	for (;;) {
		after = machine(argv[0]);
		if (!differences(&before, &after, false))
			return 0;
		if (now_ms() >= until)
			break;
		sleep_ms(20);
	}
	save(&after, format("%s/.after", argv[0]));
	differences(&before, &after, true);
	return 1;
}

/* ------------------------------------------------------------------------------------------------ bundles */

static void copy_file(const char *from, const char *to, mode_t mode)
{
	size_t length = 0;
	char *text = content(from, &length);

	if (!text)
		fail("read", from);
	write_file(to, text, length);
	if (chmod(to, mode) < 0)
		fail("chmod", to);
	free(text);
}

static void copy_tree(const char *from, const char *to);

static void copy_entry(const char *from, const char *to, unsigned char type)
{
	char target[4096];
	struct stat st;

	if (type == DT_LNK) {
		ssize_t n = readlink(from, target, sizeof target - 1);
		if (n < 0)
			fail("read", from);
		target[n] = '\0';
		if (symlink(target, to) < 0)
			fail("make", to);
		return;
	}
	if (stat(from, &st) < 0)
		fail("stat", from);
	if (S_ISREG(st.st_mode)) {
		copy_file(from, to, st.st_mode & 07777);
	} else if (S_ISDIR(st.st_mode)) {
		copy_tree(from, to);
	} else {
		errno = EINVAL;
		fail("copy", from);
	}
}

static void copy_tree(const char *from, const char *to)
{
	struct stat st;
	DIR *d = opendir(from);

	if (!d || fstat(dirfd(d), &st) < 0)
		fail("open", from);
	if (mkdir(to, 0700) < 0)
		fail("make", to);
	for (const struct dirent *e; (e = readdir(d));)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			copy_entry(format("%s/%s", from, e->d_name), format("%s/%s", to, e->d_name), e->d_type);
	closedir(d);
	if (chmod(to, st.st_mode & 07777) < 0)
		fail("chmod", to);
}

static int bundle(char **argv)
{
	if (mkdir(argv[2], 0755) < 0)
		fail("make", argv[2]);
	copy_file(argv[1], format("%s/config.json", argv[2]), 0644);
	copy_tree(argv[0], format("%s/rootfs", argv[2]));
	return 0;
}

static int links(char **argv)
{
	for (char **name = argv + 2; *name; name++)
		if (symlink(argv[1], format("%s/%s", argv[0], *name)) < 0 && errno != EEXIST)
			fail("link", *name);
	return 0;
}

/* Through descriptors: the tests make names as long as they can be. */
static void remove_entry(int dir, const char *name, dev_t device)
{
	struct stat st;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return;
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		fail("remove", name);
	DIR *d = st.st_dev == device ? fdopendir(fd) : NULL;
	if (!d) {
		close(fd);
		return;
	}
	for (const struct dirent *e; (e = readdir(d));)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			remove_entry(dirfd(d), e->d_name, device);
	closedir(d);
	if (unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		fail("remove", name);
}

static int remove_all(char **argv)
{
	DIR *d = opendir(argv[0]);
	struct stat st;

	if (!d || fstat(dirfd(d), &st) < 0)
		fail("open", argv[0]);
	for (const struct dirent *e; (e = readdir(d));)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && !strncmp(e->d_name, argv[1], strlen(argv[1])))
			remove_entry(dirfd(d), e->d_name, st.st_dev);
	closedir(d);
	return 0;
}

/* ------------------------------------------------------------------------------------------------ config.json */

static _Noreturn void not_json(const char *at)
{
	fprintf(stderr, "harness: the config is not what it should be at: %.40s\n", at);
	exit(2);
}

static char *skip_space(char *p)
{
	return p + strspn(p, " \t\r\n,:");
}

static char *skip_string(char *p)
{
	for (p++; *p != '"'; p++) {
		if (*p == '\\' && p[1])
			p++;
		if (!*p)
			not_json(p);
	}
	return p + 1;
}

/* Behind the value at p. */
static char *skip_value(char *p)
{
	int depth = 0;

	do {
		p = skip_space(p);
		if (*p == '\0')
			not_json(p);
		depth += (*p == '{' || *p == '[') - (*p == '}' || *p == ']');
		if (*p == '"')
			p = skip_string(p);
		else
			p += strchr("{}[]", *p) ? 1 : strcspn(p, " \t\r\n,:{}[]\"");
	} while (depth > 0);
	return p;
}

/* The value of a member of the object at p; NULL when there is none. */
static char *find_member(char *p, const char *name)
{
	if (*p != '{')
		not_json(p);
	for (p = skip_space(p + 1); *p == '"'; p = skip_space(skip_value(p))) {
		char *key = p + 1;
		p = skip_space(skip_string(p));
		if (!strncmp(key, name, strlen(name)) && key[strlen(name)] == '"')
			return p;
	}
	return NULL;
}

static char *array_of(char **words)
{
	FILE *f;
	char *text = NULL;
	size_t length = 0;

	f = open_memstream(&text, &length);
	if (!f)
		fail("memory for", "words");
	for (int i = 0; words[i]; i++) {
		fputs(i ? ", \"" : "[\"", f);
		for (const unsigned char *c = (const unsigned char *)words[i]; *c; c++)
			fprintf(f, *c < 0x20 ? "\\u%04x" : *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
		fputc('"', f);
	}
	fputs(words[0] ? "]" : "[]", f);
	fclose(f);
	return text;
}

/* As far as it is there, process.args is written over; what is missing of it comes first in its object. */
static int set_args(char **argv)
{
	char *text = content(argv[0], NULL), *array = array_of(argv + 1), *from, *to, *comma;

	if (!text)
		fail("read", argv[0]);
	char *root = skip_space(text), *process = find_member(root, "process"),
	     *args = process ? find_member(process, "args") : NULL;
	from = args ? args : (process ? process : root) + 1;
	to = args ? skip_value(args) : from;
	comma = args || *skip_space(from) == '}' ? "" : ",";
	if (!process)
		array = format("\"process\": {\"args\": %s}", array);
	else if (!args)
		array = format("\"args\": %s", array);
	char *made = format("%.*s%s%s%s", (int)(from - text), text, array, comma, to), *path = format("%s.new", argv[0]);
	write_file(path, made, strlen(made));
	if (rename(path, argv[0]) < 0)
		fail("rename", path);
	return 0;
}

/* ------------------------------------------------------------------------------------------------ a time limit */

static const int passed_on[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM };

/* Ends as the child did. */
static int status_of(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return 128 + WTERMSIG(status);
}

/* Waits until the child ends or the time is up. */
static bool ended(pid_t child, const sigset_t *set, long long until, int *status)
{
	for (;;) {
		if (waitpid(child, status, WNOHANG) == child)
			return true;
		long long left = until - now_ms();
		if (left <= 0)
			return false;
		int number = sigtimedwait(set, NULL, &(struct timespec){ .tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000 });
		if (number > 0 && number != SIGCHLD)
			kill(child, number);
	}
}

static int limit(char **argv)
{
	posix_spawnattr_t attr;
	sigset_t set, old;
	pid_t child;
	int status;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < sizeof passed_on / sizeof passed_on[0]; i++)
		sigaddset(&set, passed_on[i]);
	/* An ignored SIGCHLD would never come, and take the status with it. */
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_BLOCK, &set, &old);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attr, &old);
	errno = posix_spawnp(&child, argv[1], NULL, &attr, argv + 1, environ);
	if (errno) {
		fprintf(stderr, "harness: %s: %s\n", argv[1], strerror(errno));
		return errno == ENOENT ? 127 : 126;
	}
	if (ended(child, &set, now_ms() + atol(argv[0]) * 1000, &status))
		return status_of(status);
	kill(child, SIGTERM);
	if (!ended(child, &set, now_ms() + 5000, &status)) {
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
	}
	return 124;
}

static const struct command {
	const char *name;
	int (*run)(char **argv);
	int least;
} commands[] = {
	{ "begin", begin, 1 },   { "end", end, 1 },     { "bundle", bundle, 3 }, { "remove", remove_all, 2 },
	{ "args", set_args, 1 }, { "limit", limit, 2 }, { "links", links, 2 },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof commands[0]; i++)
		if (!strcmp(argv[1], commands[i].name) && argc - 2 >= commands[i].least)
			return commands[i].run(argv + 2);
	fprintf(stderr, "usage: harness begin|end|bundle|remove|args|limit|links ...\n");
	return 2;
}
