/* cli.h - the command line: what the commands share
 *
 * A command is a const `struct command` in its own cmd_*.c: names, flags, and the function that does it. cli.c parses the global
 * flags, finds the command, parses its flags by its table and calls it. A command returns the exit status or a negative error;
 * only cli_main() reports errors, exactly once.
 */
#pragma once
#include "cli/opt.h"
#include "container/container.h"
#include "oci/json_write.h"

/* The global flags. */
struct globals {
	const char *root, *log, *log_format, *log_level, *cgroup_manager, *rootless, *ignored;
	struct opt_flag systemd_cgroup;
	bool debug, version;
};

struct cli {
	struct arena *arena; /* released when the program ends */
	struct globals g;
	struct runtime rt;
	bool vm;             /* called as drupe-vm: new containers are in virtual machines */
	bool stdout_closed;  /* the caller gave us no standard output */
};

struct command {
	const char *name;
	const char *operands; /* "CONTAINER [SIGNAL]"                        */
	const char *brief;    /* for the list of commands, <= 26 characters */
	const char *help;     /* one to three lines                         */
	const char *man;      /* more, for the manual only; NULL            */
	const char *example;  /* without the program name                   */
	const struct opt_table *opts;
	size_t min, max;      /* operands                                   */
	bool unlisted;        /* --help has a flag for it                   */
	bool in_order;        /* the first operand ends the flags           */
	bool no_root;         /* works without a state directory            */
	bool creates;         /* makes the state directory when it is missing */
	bool only_looks;      /* or sends a signal: makes no file and no process */
	bool enters;          /* touches a container's inside: none of it may lead to the program's file */
	int fail_status;      /* exit status of an own failure; 0 means 1   */
	unsigned (*keep_fds)(const void *opts); /* how many descriptors from 3 on go to the container; NULL: none */
	int (*run)(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e);
};

/* The exit status of a call that has none of its own. */
static inline int cli_done(int r)
{
	return r < 0 ? r : 0;
}

#define OPERANDS_ANY ((size_t)-1)

extern const struct command cmd_create, cmd_start, cmd_run, cmd_state, cmd_kill, cmd_delete, cmd_exec, cmd_list, cmd_ps, cmd_pause,
	cmd_resume, cmd_update, cmd_events, cmd_spec, cmd_features, cmd_version, cmd_check, cmd_plan, cmd_wait, cmd_mounts, cmd_checkpoint, cmd_restore, cmd_help;

/* Every command, in the order of the help text, NULL-terminated. */
extern const struct command *const cli_commands[];
extern const struct opt_table cli_globals;
const struct command *cli_find(const char *name); /* NULL: no such command */

/* The whole program but its start-up (main.c). Returns the exit status. stdout_closed: descriptor 1 was not open at the start. */
int cli_main(int argc, char **argv, bool stdout_closed);

/* The only way to standard output. Fails when not everything could be written. */
must_check int cli_print(const struct cli *c, const struct strbuf *text, struct err *e);

/* What standard output is: a terminal of so many columns (0: it does not say), or none, which gets neither colours nor cut lines. Colours
 * are off also when NO_COLOR is set and not empty, or TERM is "dumb". */
struct cli_screen {
	bool color;
	unsigned columns;
};
struct cli_screen cli_screen(void);

/* Prints the help of one command, or of the program (NULL). */
must_check int cli_print_help(struct cli *c, const struct command *cmd, struct err *e);
must_check int cli_print_version(struct cli *c, struct err *e);

/* Calls act for `target`, or with regex for every container whose id the extended regular expression `target` matches. One
 * failure does not keep the others from being tried; the first is returned. */
must_check int cli_each(struct cli *c, bool regex, const char *target, int (*act)(struct cli *c, const char *id, void *ctx, struct err *e),
			void *ctx, struct err *e);

/* Writes the state document of one container, as `state` and `list --format json` show it. */
void container_json(struct json_writer *w, const struct container_info *i);

/* "9", "KILL", "sigkill", "RTMIN+3" to a signal number. EINVAL: `invalid signal "X"`. */
must_check int signal_parse(const char *s, int *out, struct err *e);

/* check and plan: what this host would make of the spec; *guest has an id when the container is for a virtual machine, which makes that. */
struct plan_options;
struct plan;
must_check int cli_plan(struct cli *c, const struct oci_spec *spec, const struct plan_options *o, struct plan *out,
			struct plan *guest, struct err *e);

/* cmd_ps.c, apart for tests: keeps the header and the lines of ps(1) whose PID is one of pids, cut to `columns` (0: as they are). EINVAL: no column PID. */
must_check int ps_filter(const char *text, const pid_t *pids, size_t n, unsigned columns, struct strbuf *out, struct err *e);

/* cmd_update.c, apart for tests: "512m", "1g", "1GiB", "-1" to bytes. EINVAL: not a size; ERANGE: more than the number holds. */
must_check int size_parse(const char *s, int64_t *out, struct err *e);

/* cmd_events.c, apart for tests: the line of an event. */
void event_json(const struct container_event *event, struct strbuf *out);

/* cmd_spec.c, apart for tests: the template. */
void spec_template(bool rootless, bool cgroup_ns, struct strbuf *out);
