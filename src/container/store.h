/* store.h - the state directories: ROOT/ID with state.json, config.json, resources.json, start.sock; exit and init with `wait`
 *
 * mkdir of ROOT/ID is the claim of the id; flock on it serialises commands that change the container. Every access goes by the
 * descriptor, never again by a path. Internal to container/.
 */
#pragma once
#include "container/container.h"

struct container {
	const char *id;
	int root_fd, dir_fd;
	const struct oci_state *state; /* NULL when state.json is missing or damaged */
	bool damaged;                  /* it is there, but cannot be read: something may have been made */
	struct fd_pile *later;         /* what its owner wants closed only with it; NULL: nothing is left open */
	bool ended;                    /* its init was seen to be gone */
	struct oci_state_text *text;   /* of the state that was saved last, for who saves it again; may be NULL */
	bool creating;                 /* the state says so, and somebody had the lock when it was read: its creator, or we */
};

#define CONTAINER_CLOSED(pile) ((struct container){ .root_fd = -1, .dir_fd = -1, .later = (pile) })
#define CONTAINER_EMPTY CONTAINER_CLOSED(NULL)
void container_close(struct container *c);
#define auto_container __attribute__((cleanup(container_close)))

/* Claims the id: makes the directory (and the root, 0700) and locks it. EEXIST: "container with given ID already exists". */
must_check int store_create(const struct runtime *rt, const char *id, struct container *out, struct err *e);

/* Opens an existing container and reads its state, into *out, which is empty but for `later`. lock: waits for other commands, at most 10 s (EBUSY). need_state: a damaged
 * state is an error; otherwise it is logged and out->state is NULL. ENOENT: `container "ID" does not exist`; with need_state also
 * for a directory without state.json: it is about to be filled or just emptied, or nothing was made before its creator died. */
must_check int store_open(const struct runtime *rt, const char *id, bool lock, bool need_state, struct arena *a, struct container *out,
			  struct err *e);

/* Releases the lock, keeps the rest; and takes it again (ENOENT: somebody deleted it meanwhile). Nobody changes the state of a container
 * whose init has started, so it is not read anew. */
void store_unlock(struct container *c);
must_check int store_relock(struct container *c, struct err *e);

/* Can what is stored be found after a boot? */
bool store_outlives_boot(const struct container *c);

/* true while another process holds the lock. */
bool store_is_locked(const struct container *c);

must_check int store_save(struct container *c, const struct oci_state *s, struct err *e);

/* Saves what the container is created from; reads it back. */
must_check int store_save_config(struct container *c, const char *text, struct err *e);
must_check int store_load_config(const struct container *c, struct arena *a, const struct oci_spec **out, struct err *e);

/* The limits in force since the last update; what is loaded without one are those of the config. */
must_check int store_save_resources(struct container *c, const struct oci_resources *r, struct err *e);
must_check int store_load_resources(const struct container *c, struct arena *a, const struct oci_resources **out, struct err *e);

/* The mounts that were added since it was made, in order; none without a file. */
must_check int store_save_mounts(struct container *c, const struct oci_live_mount_list *l, struct err *e);
must_check int store_load_mounts(const struct container *c, struct arena *a, struct oci_live_mount_list *out, struct err *e);

/* How it ended; ENOENT: nobody has said. */
must_check int store_save_exit(struct container *c, int status, struct err *e);
must_check int store_load_exit(const struct container *c, struct err *e);

/* Has the directory hold a pidfd, by a mount on the file "init"; opens that pidfd again (-1: there is none). EINVAL: the kernel cannot
 * mount it (Linux 6.14). */
must_check int store_pin(const struct container *c, int pidfd, struct err *e);
int store_open_pinned(const struct container *c);

/* Makes start.sock, listening; a connection to it. */
must_check int store_listen(const struct container *c, struct err *e);
must_check int store_connect(const struct container *c, struct err *e);
void store_remove_socket(const struct container *c);

/* That a guest's processes are frozen, which nothing of the host shows. */
must_check int store_mark_paused(const struct container *c, bool paused, struct err *e);
bool store_marked_paused(const struct container *c);

/* Removes the directory with the files in it; never recursive, never through a link. */
must_check int store_remove(struct container *c, struct err *e);

/* Names in the root, sorted. No root: none. */
must_check int store_list(const struct runtime *rt, struct arena *a, const char ***out, size_t *n, struct err *e);
