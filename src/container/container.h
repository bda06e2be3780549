/* container.h - the life of a container: what the commands of cli/ call
 *
 * A container is a directory ROOT/ID (0700) with state.json (versioned, replaced atomically), config.json (what it was created from),
 * resources.json (the limits in force since an update) and, until it is started, start.sock. Identity of its init is pid + start time. flock on the directory serialises what
 * changes it; state and list never wait.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "cgroups/cgroup.h"
#include "cgroups/cgroup_stats.h"
#include "cgroups/resctrl.h"
#include "oci/spec.h"
#include "oci/state.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Settings of the whole program. */
struct runtime {
	const char *root; /* state directory: /run/drupe */
	struct cgroup_options cgroup;
	bool debug;
};

enum container_status { CONTAINER_CREATING, CONTAINER_CREATED, CONTAINER_RUNNING, CONTAINER_PAUSED, CONTAINER_STOPPED };
const char *container_status_name(enum container_status s); /* "creating" ... */

struct container_info {
	const struct oci_state *state; /* as stored */
	enum container_status status;  /* as it is now */
	pid_t pid;                     /* 0 when stopped */
	const char *owner;             /* user name of the directory's owner, "#UID" when nameless */
};

struct create_options {
	const char *bundle;         /* as given; NULL: current directory */
	const char *config;         /* --config: a file instead of BUNDLE/config.json; NULL */
	const char *pid_file, *console_socket, *pidfd_socket; /* NULL: none */
	bool no_pivot, no_new_keyring;
	bool vm;                    /* in a virtual machine, whatever the config says */
	bool record_exit;           /* keep the exit status for container_wait() */
	unsigned preserve_fds;
};

struct run_options {
	struct create_options create;
	bool detach, keep, no_subreaper;
};

struct exec_options {
	const char *process_file;   /* --process; NULL */
	char *const *args;          /* command line, NULL-terminated, when there is no process file */
	const char *cwd, *user;     /* NULL: as created. user: UID[:GID] or a name of the container's passwd file */
	char *const *env;           /* --env, NULL-terminated or NULL */
	const char *const *caps;    /* --cap, NULL-terminated or NULL */
	const char *additional_gids; /* "10,20" or NULL */
	const char *apparmor, *process_label;
	const char *const *cgroups; /* --cgroup "[ctrl,..:]PATH", NULL-terminated or NULL */
	bool tty, tty_set, detach, no_new_privs, ignore_paused;
	const char *pid_file, *console_socket, *pidfd_socket;
	unsigned preserve_fds;
};

/* ENAMETOOLONG/EINVAL unless [A-Za-z0-9_+-][A-Za-z0-9_+.-]{0,254}. */
must_check int container_check_id(const char *id, struct err *e);

must_check int container_create(const struct runtime *rt, const char *id, const struct create_options *o, struct err *e);
must_check int container_start(const struct runtime *rt, const char *id, struct err *e);
/* Foreground: returns the program's exit status (128 + signal) in *status. Detached: 0. */
must_check int container_run(const struct runtime *rt, const char *id, const struct run_options *o, int *status, struct err *e);
must_check int container_exec(const struct runtime *rt, const char *id, const struct exec_options *o, int *status, struct err *e);
/* all: every process of the container, when it has no pid namespace of its own. */
must_check int container_kill(const struct runtime *rt, const char *id, int sig, bool all, struct err *e);
must_check int container_delete(const struct runtime *rt, const char *id, bool force, struct err *e);
/* Waits for the end, or looks back at it: *status is 0-255, or 128 + signal. ENODATA: it has ended, and nobody kept how (see wait.c). */
must_check int container_wait(const struct runtime *rt, const char *id, int *status, struct err *e);
must_check int container_pause(const struct runtime *rt, const char *id, bool pause, struct err *e);

/* ENOENT: the text is `container "ID" does not exist`. Strings live in *a. */
must_check int container_info(const struct runtime *rt, const char *id, struct arena *a, struct container_info *out, struct err *e);
/* Every container, sorted by id; a broken one is warned of and left out. */
must_check int container_list(const struct runtime *rt, struct arena *a, struct container_info **out, size_t *n, struct err *e);
/* Host pids of the container's processes. In a virtual machine they are the guest's, and *table is a table of them (else NULL). */
must_check int container_ps(const struct runtime *rt, const char *id, struct arena *a, pid_t **out, size_t *n, const char **table,
			    struct err *e);

/* Adds mounts to a container that lives, all or none, by the same rules as those it was made with; removes mounts that were added so,
 * by their destinations. EINVAL: not of a kind that can be added, or was not added. EBUSY: in use, or the container is paused. */
must_check int container_mounts_add(const struct runtime *rt, const char *id, const struct oci_mount_list *list, struct err *e);
must_check int container_mounts_remove(const struct runtime *rt, const char *id, const struct oci_mount_list *list, struct err *e);

/* Changes the limits that `update` names, also of a created or a paused container, which stays that. ESRCH: it is stopped. The limits
 * in force are stored, so that the next update starts from them; on failure the old ones stay (see cgroup_update()). schemata: lines for
 * the container's class of resctrl, or NULL (see resctrl_update()). */
must_check int container_update(const struct runtime *rt, const char *id, const struct oci_resources *update, const char *schemata,
				struct err *e);

/* Interfaces of a network namespace of its own, but the loopback. */
struct net_interface {
	const char *name;
	uint64_t rx_bytes, rx_packets, rx_errors, rx_dropped, tx_bytes, tx_packets, tx_errors, tx_dropped;
};
struct container_stats {
	struct cgroup_stats cgroup;
	const struct cgroup_stats *machine; /* what its virtual machine costs the host; NULL: it is in none, or has no cgroup */
	struct resctrl_stats groups;
	struct net_interface *net;
	size_t n_net;
};
/* What it has used so far. ESRCH: it is stopped; ENOTSUP: it has no cgroup. Strings live in *a. */
must_check int container_stats(const struct runtime *rt, const char *id, struct arena *a, struct container_stats *out, struct err *e);

enum container_event_kind { CONTAINER_EVENT_STATS, CONTAINER_EVENT_OOM };
struct container_event {
	enum container_event_kind kind;
	const char *id;
	const struct container_stats *stats; /* of CONTAINER_EVENT_STATS */
};
struct event_listener {
	int (*on_event)(void *ctx, const struct container_event *event, struct err *e); /* negative: ends the stream */
	void *ctx;
};
/* Calls the listener every interval_ms for each container, and when one runs out of memory. Returns when all have ended. */
must_check int container_events(const struct runtime *rt, const char *const *ids, size_t n, int64_t interval_ms,
				const struct event_listener *l, struct err *e);

/* Reads and checks BUNDLE/config.json (or `config`) as create does. text (may be NULL) receives the text. */
must_check int bundle_load(const char *bundle, const char *config, struct arena *a, const struct oci_spec **spec, const char **text,
			   const char **abs_bundle, struct err *e);
