/* systemd.c - libexec/drupe/systemd: has systemd make, change and end the unit of a container
 *
 * Reads its job from standard input (systemd_job.h) and says what failed on standard error, in one line.
 *
 * systemd answers a request to start or stop with a job, and tells by a signal when that job is done; we wait for it, all within
 * one deadline. What was started and then turned out to be wrong is stopped again. A unit of that name which failed earlier is in
 * the way of a new one until systemd is told to forget it.
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/proc.h"
#include "base/str.h"
#include "helpers/helper.h"
#include "helpers/systemd_job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#define DEADLINE_MS 25000
#define UNDO_MS     3000 /* more, to stop what was started */

#define SYSTEMD    "org.freedesktop.systemd1"
#define PATH       "/org/freedesktop/systemd1"
#define MANAGER    SYSTEMD ".Manager"
#define NO_UNIT    SYSTEMD ".NoSuchUnit"
#define NO_RUN     SYSTEMD ".NoUnitForInvocationID"
#define UNIT_THERE SYSTEMD ".UnitExists"

/* A connection and how long it may take. */
struct link {
	sd_bus *bus;
	int64_t deadline; /* clock_ms() */
	unsigned version; /* of systemd; 0: unknown */
	/* the job that is waited for */
	const char *job;
	char result[32]; /* "" until it is done */
};

static void close_link(struct link *l)
{
	sd_bus_flush_close_unref(l->bus);
}
static void free_message(sd_bus_message **m)
{
	sd_bus_message_unref(*m);
}
static void free_text(char **p)
{
	free(*p);
}

#define auto_link    __attribute__((cleanup(close_link)))
#define auto_message __attribute__((cleanup(free_message)))
#define auto_error   __attribute__((cleanup(sd_bus_error_free)))
#define auto_text    __attribute__((cleanup(free_text)))

/* ---- connection ---- */

/* The socket that systemd has for root, where no bus runs. */
static int open_private(sd_bus **out)
{
	sd_bus *bus = NULL;
	int r = sd_bus_new(&bus);

	if (r >= 0)
		r = sd_bus_set_address(bus, "unix:path=/run/systemd/private");
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r < 0)
		bus = sd_bus_unref(bus);
	*out = bus;
	return r;
}

static int open_bus(bool user, sd_bus **out)
{
	if (user)
		return sd_bus_open_user(out);
	int r = sd_bus_open_system(out);

	return r < 0 && geteuid() == 0 && open_private(out) >= 0 ? 0 : r;
}

static int explain_no_bus(bool user, int code, struct err *e)
{
	if (user && !getenv("DBUS_SESSION_BUS_ADDRESS") && !getenv("XDG_RUNTIME_DIR"))
		return err_set(e, code, "no user bus: neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set");
	return err_set(e, code, "connecting to the %s bus: %s", user ? "user" : "system", strerror(code));
}

static int connect_bus(struct link *l, bool user, struct err *e)
{
	int r;

	if (sd_booted() <= 0)
		return err_set(e, ENOTSUP, "systemd does not run here (there is no /run/systemd/system)");
	/* EAGAIN: too many are connecting at this moment. */
	while ((r = open_bus(user, &l->bus)) == -EAGAIN && clock_ms() < l->deadline)
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	return r < 0 ? explain_no_bus(user, -r, e) : 0;
}

/* ---- calls ---- */

static uint64_t usec_left(const struct link *l)
{
	int64_t left = l->deadline - clock_ms();

	return left < 1 ? 1 : (uint64_t)left * 1000;
}

static int explain(const char *what, int code, const sd_bus_error *why, struct err *e)
{
	if (code == ETIMEDOUT)
		return err_set(e, code, "%s: systemd did not answer in time", what);
	if (sd_bus_error_is_set(why) && why->message)
		return err_set(e, code, "%s: %s", what, why->message);
	return err_set(e, code, "%s: %s", what, strerror(code));
}

static int new_call(struct link *l, const char *method, sd_bus_message **m, struct err *e)
{
	int r = sd_bus_message_new_method_call(l->bus, m, SYSTEMD, PATH, MANAGER, method);

	return r < 0 ? err_set(e, -r, "%s: %s", method, strerror(-r)) : 0;
}

/* Sends the request and waits for the answer. Returns 0 or -errno; *why is the bus's word for it. */
static int send_call(struct link *l, sd_bus_message *m, sd_bus_error *why, sd_bus_message **answer)
{
	int r = sd_bus_call(l->bus, m, usec_left(l), why, answer);

	return r < 0 ? r : 0;
}

/* A call with strings alone for arguments. */
static int call_simple(struct link *l, const char *method, const char *first, const char *second, sd_bus_error *why,
		       sd_bus_message **answer, struct err *e)
{
	auto_message sd_bus_message *m = NULL;
	int r = new_call(l, method, &m, e);

	if (r < 0)
		return r;
	r = sd_bus_message_append(m, "s", first);
	if (r >= 0 && second)
		r = sd_bus_message_append(m, "s", second);
	if (r >= 0)
		r = send_call(l, m, why, answer);
	return r < 0 ? explain(first, -r, why, e) : 0;
}

/* ---- waiting for a job ---- */

static int on_job_removed(sd_bus_message *m, void *data, sd_bus_error *ignored)
{
	struct link *l = data;
	const char *path, *unit, *result;
	uint32_t id;

	(void)ignored;
	if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) >= 0 && str_eq(path, l->job))
		snprintf(l->result, sizeof(l->result), "%s", result);
	return 0;
}

/* To be called before the request: the signal may come right after its answer. */
static int watch_jobs(struct link *l, struct err *e)
{
	auto_error sd_bus_error why = SD_BUS_ERROR_NULL;
	auto_message sd_bus_message *m = NULL;
	const char *sender = sd_bus_is_bus_client(l->bus) > 0 ? SYSTEMD : NULL;
	int r = sd_bus_match_signal(l->bus, NULL, sender, PATH, MANAGER, "JobRemoved", on_job_removed, l);

	if (r < 0)
		return err_set(e, -r, "waiting for jobs of systemd: %s", strerror(-r));
	if (new_call(l, "Subscribe", &m, e) < 0)
		return -e->code;
	r = send_call(l, m, &why, NULL);
	return r < 0 && !sd_bus_error_has_name(&why, SYSTEMD ".AlreadySubscribed") ? explain("Subscribe", -r, &why, e) : 0;
}

/* Waits for the job in the answer. "done" is success; "skipped" and the like are what systemd calls them. */
static int await_job(struct link *l, const char *unit, sd_bus_message *answer, struct err *e)
{
	const char *path;
	int r = sd_bus_message_read(answer, "o", &path);

	if (r < 0)
		return err_set(e, -r, "%s: answer of systemd: %s", unit, strerror(-r));
	l->job = path;
	l->result[0] = '\0';
	while (!l->result[0]) {
		r = sd_bus_process(l->bus, NULL);
		if (r == 0 && clock_ms() >= l->deadline)
			return err_set(e, ETIMEDOUT, "%s: systemd did not finish its job in time", unit);
		if (r == 0)
			r = sd_bus_wait(l->bus, usec_left(l));
		if (r < 0 && r != -EINTR)
			return err_set(e, -r, "%s: waiting for systemd: %s", unit, strerror(-r));
	}
	return str_eq(l->result, "done") ? 0 : err_set(e, EIO, "%s: systemd's job ended as \"%s\"", unit, l->result);
}

/* ---- properties ---- */

static int append_number(sd_bus_message *m, const char *type, const char *word)
{
	struct err bad;
	uint64_t u = 0;
	int64_t i = 0;

	if (*type == 'd')
		return sd_bus_message_append(m, "d", strtod(word, NULL));
	int r = *word == '-' ? parse_i64(word, &i, &bad) : parse_u64(word, &u, &bad);

	if (r < 0)
		return r;
	if (*word != '-')
		i = (int64_t)u;
	switch (*type) {
	case 'y':
	case 'n':
	case 'q':
	case 'i':
	case 'u':
		return sd_bus_message_append(m, type, (int)i);
	case 'x':
	case 't':
		return sd_bus_message_append(m, type, i);
	}
	return -EINVAL;
}

static int append_word(sd_bus_message *m, const char *type, const char *word)
{
	if (*type == 's')
		return sd_bus_message_append(m, "s", word);
	if (*type == 'b')
		return sd_bus_message_append(m, "b", (int)str_eq(word, "true"));
	return append_number(m, type, word);
}

/* A word of hexadecimal digits. */
static int append_bytes(sd_bus_message *m, const char *hex)
{
	size_t n = strlen(hex) / 2;
	uint8_t *bytes;
	int r = sd_bus_message_append_array_space(m, 'y', n, (void **)&bytes);

	for (size_t i = 0; r >= 0 && i < n; i++) {
		char pair[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

		bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return r;
}

/* "as", "a(ss)", "a(st)": members lists the types of an element's words. */
static int append_array(sd_bus_message *m, const char *element, const char *members, const struct job_property *p)
{
	size_t width = strlen(members);
	int r = p->n % width ? -EINVAL : sd_bus_message_open_container(m, 'a', element);

	for (size_t i = 0; r >= 0 && i < p->n; i++) {
		char type[2] = { members[i % width], '\0' };

		if (width > 1 && i % width == 0)
			r = sd_bus_message_open_container(m, 'r', members);
		if (r >= 0)
			r = append_word(m, type, p->words[i]);
		if (r >= 0 && width > 1 && i % width == width - 1)
			r = sd_bus_message_close_container(m);
	}
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_value(sd_bus_message *m, const struct job_property *p)
{
	if (str_eq(p->type, "as"))
		return append_array(m, "s", "s", p);
	if (str_eq(p->type, "a(ss)"))
		return append_array(m, "(ss)", "ss", p);
	if (str_eq(p->type, "a(st)"))
		return append_array(m, "(st)", "st", p);
	if (p->n != 1)
		return -EINVAL;
	if (str_eq(p->type, "ay"))
		return append_bytes(m, p->words[0]);
	return strlen(p->type) == 1 && strchr("bynqiuxtds", *p->type) ? append_word(m, p->type, p->words[0]) : -EINVAL;
}

static int append_property(sd_bus_message *m, const struct job_property *p)
{
	int r = sd_bus_message_open_container(m, 'r', "sv");

	if (r >= 0)
		r = sd_bus_message_append(m, "s", p->name);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', p->type);
	if (r >= 0)
		r = append_value(m, p);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_properties(struct link *l, sd_bus_message *m, const struct job *j, struct err *e)
{
	int r = sd_bus_message_open_container(m, 'a', "(sv)");

	if (r >= 0 && j->verb == JOB_START && j->pid)
		r = sd_bus_message_append(m, "(sv)", "PIDs", "au", 1, j->pid);
	for (size_t i = 0; r >= 0 && i < j->n; i++) {
		const struct job_property *p = &j->properties[i];
		struct job_property none = { .name = p->name, .type = p->type };

		if (p->since > l->version && l->version)
			continue;
		/* Lists of devices are added to what is there. */
		if (str_starts(p->type, "a(") && p->n)
			r = append_property(m, &none);
		if (r >= 0)
			r = append_property(m, p);
		if (r < 0)
			return err_set(e, -r, "property %s: not a value of type \"%s\"", p->name, p->type);
	}
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? err_set(e, -r, "%s: %s", j->unit, strerror(-r)) : 0;
}

/* "252.38-1~deb12u1" and "v257" have their number in front. */
static void read_version(struct link *l)
{
	auto_error sd_bus_error why = SD_BUS_ERROR_NULL;
	auto_text char *text = NULL;

	if (sd_bus_get_property_string(l->bus, SYSTEMD, PATH, MANAGER, "Version", &why, &text) >= 0)
		l->version = (unsigned)strtoul(text + strcspn(text, "0123456789"), NULL, 10);
}

/* ---- the verbs ---- */

static void reset_failed(struct link *l, const char *unit)
{
	auto_error sd_bus_error why = SD_BUS_ERROR_NULL;
	struct err ignored;

	(void)!call_simple(l, "ResetFailedUnit", unit, NULL, &why, NULL, &ignored);
}

/* systemd has each unit by the number of its run, too. */
static int stop_run(struct link *l, const struct job *j, sd_bus_error *why, sd_bus_message **answer, struct err *e)
{
	auto_message sd_bus_message *m = NULL;
	auto_text char *path = NULL;
	int r = sd_bus_path_encode(PATH "/unit", j->invocation, &path);

	if (r >= 0)
		r = sd_bus_message_new_method_call(l->bus, &m, SYSTEMD, path, SYSTEMD ".Unit", "Stop");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", "replace");
	if (r >= 0)
		r = send_call(l, m, why, answer);
	return r < 0 ? explain(j->unit, -r, why, e) : 0;
}

static int stop(struct link *l, const struct job *j, struct err *e)
{
	auto_error sd_bus_error why = SD_BUS_ERROR_NULL;
	auto_message sd_bus_message *answer = NULL;
	int r = j->invocation ? stop_run(l, j, &why, &answer, e) : call_simple(l, "StopUnit", j->unit, "replace", &why, &answer, e);

	if (r < 0 && (sd_bus_error_has_name(&why, NO_UNIT) || sd_bus_error_has_name(&why, NO_RUN)))
		return 0;
	if (r == 0)
		r = await_job(l, j->unit, answer, e);
	reset_failed(l, j->unit);
	return r;
}

static int request_start(struct link *l, const struct job *j, sd_bus_error *why, sd_bus_message **answer, struct err *e)
{
	auto_message sd_bus_message *m = NULL;
	int r = new_call(l, "StartTransientUnit", &m, e);

	if (r < 0)
		return r;
	r = sd_bus_message_append(m, "ss", j->unit, "fail");
	if (r < 0)
		return err_set(e, -r, "%s: %s", j->unit, strerror(-r));
	if (append_properties(l, m, j, e) < 0)
		return -e->code;
	/* No auxiliary units. */
	r = sd_bus_message_append(m, "a(sa(sv))", 0);
	if (r >= 0)
		r = send_call(l, m, why, answer);
	return r < 0 ? explain(j->unit, -r, why, e) : 0;
}

static int check_place(struct link *l, const struct job *j, struct err *e)
{
	auto_error sd_bus_error why = SD_BUS_ERROR_NULL;
	auto_text char *path = NULL, *place = NULL;
	const char *interface = str_ends(j->unit, ".slice") ? SYSTEMD ".Slice" : SYSTEMD ".Scope";
	int r = sd_bus_path_encode(PATH "/unit", j->unit, &path);

	if (r >= 0)
		r = sd_bus_get_property_string(l->bus, SYSTEMD, path, interface, "ControlGroup", &why, &place);
	if (r < 0)
		return explain(j->unit, -r, &why, e);
	if (j->expect && !str_eq(place, j->expect))
		return err_set(e, EIO, "%s: systemd put it into cgroup \"%s\", not into \"%s\"", j->unit, place, j->expect);
	return 0;
}

static int start(struct link *l, const struct job *j, struct err *e)
{
	auto_error sd_bus_error why = SD_BUS_ERROR_NULL, again = SD_BUS_ERROR_NULL;
	auto_message sd_bus_message *answer = NULL;
	int r = request_start(l, j, &why, &answer, e);

	if (r < 0 && sd_bus_error_has_name(&why, UNIT_THERE)) {
		reset_failed(l, j->unit);
		r = request_start(l, j, &again, &answer, e);
	}
	if (r < 0)
		return r;
	r = await_job(l, j->unit, answer, e);
	if (r == 0)
		r = check_place(l, j, e);
	if (r < 0) {
		struct err ignored;

		l->deadline = clock_ms() + UNDO_MS;
		(void)!stop(l, j, &ignored);
	}
	return r;
}

static int set(struct link *l, const struct job *j, struct err *e)
{
	auto_error sd_bus_error why = SD_BUS_ERROR_NULL;
	auto_message sd_bus_message *m = NULL;
	int r = new_call(l, "SetUnitProperties", &m, e);

	if (r < 0)
		return r;
	r = sd_bus_message_append(m, "sb", j->unit, 1); /* until the unit ends */
	if (r < 0)
		return err_set(e, -r, "%s: %s", j->unit, strerror(-r));
	if (append_properties(l, m, j, e) < 0)
		return -e->code;
	r = send_call(l, m, &why, NULL);
	if (r < 0)
		return explain(j->unit, -r, &why, e);
	/* It writes to the files after its answer, but before the next one. */
	read_version(l);
	return 0;
}

static int attach(struct link *l, const struct job *j, struct err *e)
{
	auto_error sd_bus_error why = SD_BUS_ERROR_NULL;
	auto_message sd_bus_message *m = NULL;
	int r = new_call(l, "AttachProcessesToUnit", &m, e);

	if (r < 0)
		return r;
	r = sd_bus_message_append(m, "ssau", j->unit, j->below ? j->below : "", 1, j->pid);
	if (r >= 0)
		r = send_call(l, m, &why, NULL);
	return r < 0 ? explain(j->unit, -r, &why, e) : 0;
}

static int run(const struct job *j, struct err *e)
{
	auto_link struct link l = { .deadline = clock_ms() + DEADLINE_MS };
	int r = connect_bus(&l, j->user, e);

	if (r < 0)
		return r;
	sd_bus_set_method_call_timeout(l.bus, (uint64_t)DEADLINE_MS * 1000);
	if (j->n)
		read_version(&l);
	if (j->verb == JOB_SET)
		return set(&l, j, e);
	if (j->verb == JOB_ATTACH)
		return attach(&l, j, e);
	r = watch_jobs(&l, e);
	if (r < 0)
		return r;
	return j->verb == JOB_START ? start(&l, j, e) : stop(&l, j, e);
}

static int run_text(char *text, struct arena *a, struct err *e)
{
	struct job job;

	return job_parse(text, a, &job, e) < 0 ? -e->code : run(&job, e);
}

int main(void)
{
	return helper_main(run_text);
}
