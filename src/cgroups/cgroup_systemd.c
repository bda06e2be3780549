/* The systemd driver: talks to systemd through the helper program libexec/drupe/systemd, which gets a job as text and ends in time.
 *
 * systemd makes a scope only around a process, and lets it go with its last one. The container's own process cannot be the first:
 * it is forked when its cgroup is there, has its limits, and is open for its mounts. So a process that does nothing, the holder, is
 * the scope's first, and is ended as soon as the container's has joined. The holder dies with us; so does then the scope.
 */
#include "cgroups/cgroup_systemd.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/run.h"
#include "base/self.h"
#include "base/str.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define HELPER_DEADLINE_MS 30000 /* its own is shorter, and its words are better */
#define HELPER_SAYS_MAX    400
#define INVOCATION_LEN     32 /* hexadecimal digits */
#define BELOW_PROGRAM      "../libexec/drupe/systemd"
#define INSTALLED          DRUPE_LIBEXECDIR "/drupe/systemd"

struct call {
	const char *verb; /* "start", "stop", "set", "attach" */
	const struct cgroup_ref *ref;
	const struct cgroup_unit *unit; /* for its properties; NULL: none */
	const char *sub, *invocation;
	pid_t pid;
	bool running; /* leave out what can be said at the start only */
};

/* Beside the program as in an installation, else where the build was told it would be. */
static const char *find_helper(const struct cgroup_ref *r, struct arena *a)
{
	if (r->helper)
		return r->helper;
	const char *self = self_path(a), *slash = self ? strrchr(self, '/') : NULL;
	const char *path = slash ? arena_printf(a, "%.*s/" BELOW_PROGRAM, (int)(slash - self), self) : NULL;
	struct stat st;

	return path && stat(path, &st) == 0 ? path : INSTALLED;
}

static const char *job_text(const struct call *c, struct arena *a)
{
	struct strbuf text = STRBUF(a), sub = STRBUF(a);

	strbuf_printf(&text, "%s %s\nmanager %s\n", c->verb, c->ref->scope, cg_unit_is_users(c->ref) ? "user" : "system");
	if (c->pid)
		strbuf_printf(&text, "pid %d\n", (int)c->pid);
	if (c->invocation)
		strbuf_printf(&text, "invocation %s\n", c->invocation);
	if (c->sub) {
		cg_add_word(&sub, path_clean(a, c->sub));
		strbuf_printf(&text, "below %s\n", strbuf_str(&sub));
	}
	if (str_eq(c->verb, "start")) {
		struct strbuf path = STRBUF(a);

		cg_add_word(&path, c->ref->path);
		strbuf_printf(&text, "expect %s\n", strbuf_str(&path));
	}
	for (size_t i = 0; c->unit && i < c->unit->n; i++) {
		const struct cgroup_property *p = &c->unit->properties[i];

		if (!c->running || !p->at_start)
			strbuf_printf(&text, "property %s %s%s%s\n", p->name, p->type, *p->words ? " " : "", p->words);
	}
	return strbuf_str(&text);
}

/* What it needs to find the bus. */
static char **helper_env(struct arena *a)
{
	static const char *const names[] = { "DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS", "XDG_RUNTIME_DIR" };
	char **env = arena_alloc(a, (2 + sizeof(names) / sizeof(names[0])) * sizeof(*env));
	size_t n = 0;

	env[n++] = arena_strdup(a, "LC_ALL=C");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (getenv(names[i]))
			env[n++] = arena_printf(a, "%s=%s", names[i], getenv(names[i]));
	return env;
}

static int run_helper(const struct call *c, struct err *e)
{
	static char *const argv[] = { (char *)"drupe-systemd", NULL };
	auto_arena struct arena a = { 0 };
	const char *helper = find_helper(c->ref, &a);
	char says[HELPER_SAYS_MAX];
	struct stat st;

	if (stat(helper, &st) < 0)
		return err_errno(e, "systemd cgroup driver: its helper program %s", helper);
	int r = run_program(&(struct run){ .path = helper,
					   .argv = argv,
					   .envp = helper_env(&a),
					   .input = job_text(c, &a),
					   .timeout_ms = HELPER_DEADLINE_MS,
					   .says = says,
					   .says_room = sizeof(says) },
			    e);

	if (r > 0)
		(void)run_failed(r, says, argv[0], EIO, e);
	return r == 0 ? 0 : err_in(e, "systemd cgroup driver");
}

bool cg_unit_is_users(const struct cgroup_ref *r)
{
	const char *service = strstr(r->path, "/user@");

	return service && strstr(service, ".service/");
}

int cg_unit_attach(const struct cgroup_ref *r, const char *sub, pid_t pid, struct err *e)
{
	struct call c = { .verb = "attach", .ref = r, .sub = sub, .pid = pid ? pid : getpid() };

	return run_helper(&c, e);
}

const char *cg_unit_invocation(const struct cgroup_ref *r, struct arena *a)
{
	static const char *const names[] = { "trusted.invocation_id", "user.invocation_id" };
	char id[INVOCATION_LEN + 1] = "";

	for (size_t i = 0; i < 2 * r->n_dirs; i++) {
		ssize_t n = getxattr(r->dirs[i / 2].path, names[i % 2], id, sizeof(id));

		if (n == INVOCATION_LEN && strspn(id, "0123456789abcdef") >= INVOCATION_LEN)
			return arena_strndup(a, id, INVOCATION_LEN);
	}
	return NULL;
}

int cg_unit_stop(const struct cgroup_ref *r, const char *invocation, struct err *e)
{
	struct call c = { .verb = "stop", .ref = r, .invocation = invocation };

	return run_helper(&c, e);
}

int cg_unit_update(const struct cgroup_plan *p, struct err *e)
{
	struct call c = { .verb = "set", .ref = &p->ref, .unit = p->unit, .running = true };

	return p->unit ? run_helper(&c, e) : 0;
}

/* ---- the holder ---- */

_Noreturn static void hold(pid_t parent)
{
	sigset_t all_but_term;
	struct err ignored;

	/* systemd may end it politely; a terminal's signals are not meant for it. */
	sigfillset(&all_but_term);
	sigdelset(&all_but_term, SIGTERM);
	proc_reset_signals(PROC_SIGNALS_ALL);
	sigprocmask(SIG_SETMASK, &all_but_term, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd_close_others(0, NULL, 0, &ignored) < 0 || getppid() != parent)
		_exit(1);
	for (;;)
		pause();
}

int cgroup_hold(const struct cgroup_plan *p, pid_t *holder, struct err *e)
{
	struct call c = { .verb = "start", .ref = &p->ref, .unit = p->unit };
	pid_t pid = 0;

	*holder = 0;
	if (!p->unit)
		return 0;
	pid_t parent = getpid();

	if (!p->unit->is_slice) {
		pid = proc_fork(0, NULL, -1, e);
		if (pid == 0)
			hold(parent);
		if (pid < 0)
			return pid;
	}
	c.pid = pid;
	int r = run_helper(&c, e);

	if (r < 0)
		cgroup_let_go(&pid);
	else
		*holder = pid;
	return r;
}

void cgroup_let_go(pid_t *holder)
{
	struct err ignored;

	if (*holder <= 0)
		return;
	kill(*holder, SIGKILL);
	(void)!proc_wait(*holder, &ignored);
	*holder = 0;
}
