/* Stopping all processes of a cgroup for a while.
 *
 * cgroup2 tells by cgroup.events, which can be polled, when all are frozen. The v1 freezer tells nobody: it has to be asked again
 * and again, and now and then to be let go, because a process that waits for a frozen one (vfork, ptrace) may hold it up; only
 * there we nap in between. Whoever fails to freeze thaws. On hybrid machines the v1 freezer is used, as other tools expect.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/retry.h"
#include "base/str.h"
#include "cgroups/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void cg_nap(int ms)
{
	(void)poll(NULL, 0, ms);
}

const struct cgroup_dir *cg_freezer(const struct cgroup_ref *r)
{
	const struct cgroup_dir *found = NULL;

	for (size_t i = 0; i < r->n_dirs; i++) {
		if (cg_list_has(r->dirs[i].controllers, "freezer"))
			return &r->dirs[i];
		if (r->dirs[i].v2)
			found = &r->dirs[i];
	}
	return found;
}

/* The number after "KEY " at the start of a line; -1 without one. */
static long find_key(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n')
		if (strncmp(line, key, len) == 0 && line[len] == ' ')
			return strtol(line + len, NULL, 10);
	return -1;
}

long cg_flat_key(int dir_fd, const char *file, const char *key)
{
	auto_arena struct arena a = { 0 };
	struct err ignored;
	char *text;

	if (file_read_pseudo(dir_fd, file, 4095, &a, &text, &ignored) < 0)
		return -1;
	return find_key(text, key);
}

int cg_wait_event(const char *path, const char *key, long value, int64_t deadline_ms, struct err *e)
{
	auto_arena struct arena a = { 0 };
	auto_fd int fd = openat(AT_FDCWD, cg_file(&a, path, "cgroup.events"), O_RDONLY | O_CLOEXEC);
	char text[256];

	if (fd < 0)
		return err_errno(e, "cgroup %s: cgroup.events", path);
	for (;;) {
		ssize_t n = RETRY(pread(fd, text, sizeof(text) - 1, 0));

		if (n < 0)
			return err_errno(e, "cgroup %s: cgroup.events", path);
		text[n] = '\0';
		if (find_key(text, key) == value)
			return 1;
		int64_t left = deadline_ms - clock_ms();

		if (left <= 0)
			return 0;
		(void)poll(&(struct pollfd){ .fd = fd, .events = POLLPRI }, 1, left > 60000 ? 60000 : (int)left);
	}
}

/* ---- v1 ---- */

static int write_state(const struct cgroup_dir *d, const char *state, struct err *e)
{
	auto_arena struct arena a = { 0 };

	return file_write_pseudo(AT_FDCWD, cg_file(&a, d->path, "freezer.state"), state, e);
}

enum state { THAWED, FREEZING, FROZEN };

static int read_state(const struct cgroup_dir *d, enum state *out, struct err *e)
{
	auto_arena struct arena a = { 0 };
	char *text;

	if (file_read_value(AT_FDCWD, cg_file(&a, d->path, "freezer.state"), 63, &a, &text, e) < 0)
		return -e->code;
	*out = FREEZING;
	if (str_starts(text, "THAWED"))
		*out = THAWED;
	else if (str_starts(text, "FROZEN"))
		*out = FROZEN;
	return 0;
}

#define ASKS_PER_TRY 50 /* naps before it is let go for a moment */

static int freeze_v1(const struct cgroup_dir *d, int64_t deadline, struct err *e)
{
	struct err ignored;
	enum state state = THAWED;

	for (unsigned asked = 0;; asked++) {
		if (write_state(d, "FROZEN", e) < 0 || read_state(d, &state, e) < 0)
			break;
		if (state == FROZEN)
			return 0;
		if (clock_ms() >= deadline) {
			(void)err_set(e, ETIMEDOUT, "cgroup %s cannot be frozen in time", d->path);
			break;
		}
		if (asked % ASKS_PER_TRY == ASKS_PER_TRY - 1)
			(void)write_state(d, "THAWED", &ignored);
		cg_nap(1);
	}
	(void)write_state(d, "THAWED", &ignored);
	return -e->code;
}

static int thaw_v1(const struct cgroup_dir *d, struct err *e)
{
	enum state state = THAWED;

	if (write_state(d, "THAWED", e) < 0 || read_state(d, &state, e) < 0)
		return -e->code;
	if (state != THAWED)
		return err_set(e, EBUSY, "cgroup %s stays frozen: one above it is frozen", d->path);
	return 0;
}

static int enter_thaw(void *ctx, int dir_fd, struct err *e)
{
	(void)ctx;
	if (file_write_pseudo(dir_fd, "freezer.state", "THAWED", e) < 0 && e->code != ENOENT && e->code != ENODEV)
		return -e->code;
	return 0;
}

int cg_thaw_below(const char *top, struct err *e)
{
	return cg_walk(top, &(struct cg_visitor){ .enter = enter_thaw }, e);
}

/* ---- v2 ---- */

static int set_v2(const struct cgroup_dir *d, bool frozen, int64_t deadline, struct err *e)
{
	auto_arena struct arena a = { 0 };
	const char *file = cg_file(&a, d->path, "cgroup.freeze");
	struct err ignored;

	if (file_write_pseudo(AT_FDCWD, file, frozen ? "1" : "0", e) < 0)
		return e->code == ENOENT ? err_set(e, ENOTSUP, "%s does not exist (needs Linux 5.2)", file) : -e->code;
	int r = cg_wait_event(d->path, "frozen", frozen, deadline, e);

	if (r > 0)
		return 0;
	if (frozen && file_write_pseudo(AT_FDCWD, file, "0", &ignored) < 0)
		log_debug("thawing: %s", ignored.text);
	if (r == 0 && frozen)
		return err_set(e, ETIMEDOUT, "cgroup %s cannot be frozen in time", d->path);
	return r < 0 ? r : err_set(e, EBUSY, "cgroup %s stays frozen: one above it is frozen", d->path);
}

static bool frozen_v2(const struct cgroup_dir *d)
{
	auto_arena struct arena a = { 0 };
	struct err ignored;
	char *text;

	/* Not cgroup.freeze, which only says that it shall be. */
	if (file_read_value(AT_FDCWD, cg_file(&a, d->path, "cgroup.events"), 255, &a, &text, &ignored) < 0)
		return false;
	return strstr(text, "frozen 1") != NULL;
}

int cgroup_frozen(const struct cgroup_ref *r, bool *out, struct err *e)
{
	bool frozen = false;

	for (size_t i = 0; i < r->n_dirs; i++) {
		const struct cgroup_dir *d = &r->dirs[i];
		enum state state = THAWED;

		if (d->v2)
			frozen |= frozen_v2(d);
		else if (cg_list_has(d->controllers, "freezer") && read_state(d, &state, e) < 0 && e->code != ENOENT &&
			 e->code != ENODEV)
			return err_in(e, "cgroup %s", d->path);
		frozen |= state != THAWED;
	}
	*out = frozen;
	return 0;
}

int cgroup_freeze(const struct cgroup_ref *r, bool frozen, int timeout_ms, struct err *e)
{
	const struct cgroup_dir *d = cg_freezer(r);
	int64_t deadline = clock_ms() + timeout_ms;

	if (!d)
		return err_set(e, ENOTSUP, "the container has no cgroup that can be frozen");
	int done = d->v2 ? set_v2(d, frozen, deadline, e) : frozen ? freeze_v1(d, deadline, e) : thaw_v1(d, e);

	/* The killed leave a frozen cgroup2, too, and with the last of them systemd removes the cgroup of a scope. */
	return done < 0 && !frozen && access(d->path, F_OK) < 0 && errno == ENOENT ? 0 : done;
}
