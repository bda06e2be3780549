/* cli_fake.h - for tests of the command line: a container layer that only records what it was asked, and run() */
#pragma once
#include "base/fd.h"
#include "base/self.h"
#include "cli/cli.h"
#include "cli/log_file.h"
#include "plan/plan.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the recording container layer ---- */

static char called[1024];          /* "create web bundle=/b\n" */
static struct runtime seen;
static int status_of_program;
static bool fail_next;
static struct container_info *listed;
static size_t n_listed;
static unsigned sealed;

static const struct oci_state state_web = {
	.version = 1, .oci_version = "1.0.2", .id = "web", .bundle = "/b/web", .rootfs = "/b/web/rootfs", .status = "running",
	.created = "2026-01-02T03:04:05.123456789Z", .pid = 77,
	.annotations = { .v = (struct pair[]){ { "a/b", "c\"d" } }, .n = 1 },
};
static const struct oci_state state_old = {
	.version = 1, .oci_version = "1.0.2", .id = "a-name-of-20-letters", .bundle = "/b/old", .rootfs = "/r", .status = "running",
	.created = "2026-01-02T03:04:05Z", .pid = 78,
};
static struct container_info two[] = {
	{ .state = &state_old, .status = CONTAINER_STOPPED, .pid = 0, .owner = "#12345" },
	{ .state = &state_web, .status = CONTAINER_PAUSED, .pid = 77, .owner = "root" },
};

__attribute__((format(printf, 1, 2)))
static void record(const char *fmt, ...)
{
	size_t n = strlen(called);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(called + n, sizeof(called) - n, fmt, ap);
	va_end(ap);
}

static void record_str(const char *name, const char *value)
{
	if (value)
		record(" %s=%s", name, value);
}

static void record_bool(const char *name, bool on)
{
	if (on)
		record(" %s", name);
}

static int result(const struct runtime *rt, const char *id, struct err *e)
{
	seen = *rt;
	if (fail_next || (id && !strcmp(id, "gone")))
		return err_set(e, ENOENT, "container \"%s\" does not exist", id);
	return 0;
}

int self_prepare(char *const argv[], int lowest, struct err *e)
{
	(void)argv;
	(void)lowest;
	(void)e;
	sealed++;
	return 0;
}

const char *container_status_name(enum container_status s)
{
	static const char *const names[] = { "creating", "created", "running", "paused", "stopped" };

	return names[s];
}

int container_check_id(const char *id, struct err *e)
{
	return *id == '.' ? err_set(e, EINVAL, "invalid container ID format: \"%s\"", id) : 0;
}

static void record_create(const struct create_options *o)
{
	record_str("bundle", o->bundle);
	record_str("config", o->config);
	record_str("pid-file", o->pid_file);
	record_str("console", o->console_socket);
	record_str("pidfd", o->pidfd_socket);
	record_bool("no-pivot", o->no_pivot);
	record_bool("no-new-keyring", o->no_new_keyring);
	record_bool("record-exit", o->record_exit);
	if (o->preserve_fds)
		record(" fds=%u", o->preserve_fds);
}

int container_create(const struct runtime *rt, const char *id, const struct create_options *o, struct err *e)
{
	record("create %s", id);
	record_create(o);
	return result(rt, id, e);
}

int container_start(const struct runtime *rt, const char *id, struct err *e)
{
	record("start %s", id);
	return result(rt, id, e);
}

int container_run(const struct runtime *rt, const char *id, const struct run_options *o, int *status, struct err *e)
{
	record("run %s", id);
	record_create(&o->create);
	record_bool("detach", o->detach);
	record_bool("keep", o->keep);
	record_bool("no-subreaper", o->no_subreaper);
	*status = status_of_program;
	return result(rt, id, e);
}

int container_exec(const struct runtime *rt, const char *id, const struct exec_options *o, int *status, struct err *e)
{
	record("exec %s", id);
	record_str("process", o->process_file);
	for (size_t i = 0; o->args && o->args[i]; i++)
		record(" [%s]", o->args[i]);
	record_str("cwd", o->cwd);
	record_str("user", o->user);
	for (size_t i = 0; o->env && o->env[i]; i++)
		record(" env=%s", o->env[i]);
	for (size_t i = 0; o->caps && o->caps[i]; i++)
		record(" cap=%s", o->caps[i]);
	record_str("gids", o->additional_gids);
	record_bool(o->tty ? "tty" : "no-tty", o->tty_set);
	record_bool("detach", o->detach);
	record_bool("no-new-privs", o->no_new_privs);
	record_bool("ignore-paused", o->ignore_paused);
	record_str("apparmor", o->apparmor);
	record_str("label", o->process_label);
	for (size_t i = 0; o->cgroups && o->cgroups[i]; i++)
		record_str("cgroup", o->cgroups[i]);
	record_create(&(struct create_options){ .pid_file = o->pid_file, .console_socket = o->console_socket,
						.pidfd_socket = o->pidfd_socket, .preserve_fds = o->preserve_fds });
	*status = status_of_program;
	return result(rt, id, e);
}

int container_kill(const struct runtime *rt, const char *id, int sig, bool all, struct err *e)
{
	record("kill %s %d%s\n", id, sig, all ? " all" : "");
	return result(rt, id, e);
}

int container_delete(const struct runtime *rt, const char *id, bool force, struct err *e)
{
	record("delete %s%s\n", id, force ? " force" : "");
	return result(rt, id, e);
}

int container_pause(const struct runtime *rt, const char *id, bool pause, struct err *e)
{
	record("%s %s", pause ? "pause" : "resume", id);
	return result(rt, id, e);
}

int container_wait(const struct runtime *rt, const char *id, int *status, struct err *e)
{
	record("wait %s\n", id);
	*status = status_of_program;
	return result(rt, id, e);
}

static int record_mounts(const char *verb, const struct runtime *rt, const char *id, const struct oci_mount_list *list, struct err *e)
{
	record("mounts %s %s", verb, id);
	for (size_t i = 0; i < list->n; i++)
		record_str("at", list->v[i].destination);
	return result(rt, id, e);
}

int container_mounts_add(const struct runtime *rt, const char *id, const struct oci_mount_list *list, struct err *e)
{
	return record_mounts("add", rt, id, list, e);
}

int container_mounts_remove(const struct runtime *rt, const char *id, const struct oci_mount_list *list, struct err *e)
{
	return record_mounts("remove", rt, id, list, e);
}

int container_info(const struct runtime *rt, const char *id, struct arena *a, struct container_info *out, struct err *e)
{
	(void)a;
	*out = listed[0];
	return result(rt, id, e);
}

int container_list(const struct runtime *rt, struct arena *a, struct container_info **out, size_t *n, struct err *e)
{
	(void)a;
	*out = listed;
	*n = n_listed;
	return result(rt, NULL, e);
}

int container_ps(const struct runtime *rt, const char *id, struct arena *a, pid_t **out, size_t *n, const char **table, struct err *e)
{
	*table = NULL;
	*out = arena_alloc(a, 2 * sizeof(pid_t));
	(*out)[0] = getpid();
	(*out)[1] = 1;
	*n = 2;
	return result(rt, id, e);
}

int container_update(const struct runtime *rt, const char *id, const struct oci_resources *update, const char *schemata,
		     struct err *e)
{
	struct arena a = { 0 };
	struct strbuf text = STRBUF(&a);

	oci_resources_encode(update, &text);
	record("update %s %s\n%s", id, strbuf_str(&text), schemata ? schemata : "");
	arena_release(&a);
	return result(rt, id, e);
}

static struct container_stats stats_of_web;

int container_stats(const struct runtime *rt, const char *id, struct arena *a, struct container_stats *out, struct err *e)
{
	(void)a;
	record("stats %s\n", id);
	*out = stats_of_web;
	return result(rt, id, e);
}

int container_events(const struct runtime *rt, const char *const *ids, size_t n, int64_t interval_ms, const struct event_listener *l,
		     struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		record("events %s %lld\n", ids[i], (long long)interval_ms);
		if (l->on_event(l->ctx, &(struct container_event){ .kind = CONTAINER_EVENT_OOM, .id = ids[i] }, e) < 0)
			return -e->code;
	}
	return result(rt, NULL, e);
}

int bundle_load(const char *bundle, const char *config, struct arena *a, const struct oci_spec **spec, const char **text,
		const char **abs_bundle, struct err *e)
{
	(void)text;
	(void)e;
	record("load %s", bundle ? bundle : "-");
	record_str("config", config);
	*spec = arena_new(a, struct oci_spec);
	*abs_bundle = bundle;
	return 0;
}

int plan_build(const struct oci_spec *spec, const struct plan_options *o, const struct host *h, struct arena *a, struct plan *out,
	       struct err *e)
{
	(void)h;
	(void)a;
	memset(out, 0, sizeof(*out));
	out->id = o->id;
	if (spec->hostname && !strcmp(spec->hostname, "refused"))
		return err_set(e, EINVAL, "hostname: refused by this host");
	return 0;
}

void plan_print(const struct plan *p, struct strbuf *out)
{
	strbuf_printf(out, "plan of %s\n", p->id);
}

/* ---- running a command line ---- */

static char output[32768], errors[8192], dir[] = "/tmp/drupe-test-cli-XXXXXX";
static int stdout_fd = -1; /* where a command's output goes instead of a file */
static bool no_stdout;      /* it was not open at the start */

static void slurp(int fd, char *buf, size_t size)
{
	ssize_t n = pread(fd, buf, size - 1, 0);

	buf[n > 0 ? n : 0] = '\0';
	close(fd);
}

static int scratch(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

/* A file with this text; its path in `path`. */
__attribute__((unused)) static void put_scratch(const char *name, const char *text, char *path, size_t size)
{
	int fd = scratch(name);

	expect(fd_write_all(fd, text, strlen(text), &(struct err){ 0 }) == 0);
	close(fd);
	snprintf(path, size, "%s/%s", dir, name);
}

/* Runs "drupe LINE" (split at blanks; %D is the scratch directory) and returns its exit status. */
static int run(const char *line)
{
	static char copy[2048];
	char *argv[64], *save = NULL;
	int argc = 0, keep_out = dup(1), keep_err = dup(2), out = scratch("stdout"), err = scratch("stderr");
	size_t n = 0;

	for (const char *c = line; *c && n + sizeof(dir) < sizeof(copy); c++)
		if (c[0] == '%' && c[1] == 'D')
			n += (size_t)snprintf(copy + n, sizeof(copy) - n, "%s", dir), c++;
		else
			copy[n++] = *c;
	copy[n] = '\0';
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	argv[argc] = NULL;
	called[0] = '\0';
	sealed = 0;
	fflush(stdout);
	dup2(stdout_fd >= 0 ? stdout_fd : out, 1);
	dup2(err, 2);
	int status = cli_main(argc, argv, no_stdout);

	dup2(keep_out, 1);
	dup2(keep_err, 2);
	close(keep_out);
	close(keep_err);
	slurp(out, output, sizeof(output));
	slurp(err, errors, sizeof(errors));
	return status;
}

static void expect_call(const char *line, const char *want)
{
	int status = run(line);

	if (status != 0 || *errors)
		printf("# %s: status %d, %s", line, status, errors), tap_failed = true;
	expect_str(called, want);
}

static bool has(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

static void remove_scratch(void)
{
	static const char *const names[] = { "stdout", "stderr", "log", "log.json", "l", "oci-log", "config.json", "other.json", "rootfs" };
	char path[160];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		remove(path);
	}
	rmdir(dir);
}

/* Runs the cases in a scratch directory. */
static int cli_tap_run(const struct tap_case *cases, int n)
{
	if (!mkdtemp(dir))
		return 1;
	listed = two;
	n_listed = 2;
	unsetenv("LISTEN_FDS");
	int status = tap_run(cases, n);

	remove_scratch();
	return status;
}

#define CLI_TAP_MAIN(...)                                                      \
	int main(void)                                                         \
	{                                                                      \
		static const struct tap_case cases[] = { __VA_ARGS__ };        \
		return cli_tap_run(cases, sizeof(cases) / sizeof(cases[0]));   \
	}
