/* creds.h - acting as the guest's user, for what the host's kernel derives from who acts
 *
 * Who may do what is decided in the guest (default_permissions). But a new file belongs to whoever makes it, and the kernel drops set-id
 * bits for who has no CAP_FSETID. So a worker takes the file system ids of the request for the time of one operation, with the
 * capabilities that make up for the guest's decision, and without CAP_FSETID. All of it is the calling thread's alone.
 */
#pragma once
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct creds {
	bool changed;
};

/* Becomes uid:gid (as fsuid, fsgid) until creds_restore(). 0 or -errno; nothing is changed on failure. Ids that are 0 keep all. */
must_check int creds_become(struct creds *c, uint32_t uid, uint32_t gid);

/* Keeps the ids, gives up CAP_FSETID: a write or truncation by this thread clears set-id bits. */
must_check int creds_without_fsetid(struct creds *c);

/* Back to what the thread was. Aborts if that fails: nothing else would be safe. */
void creds_restore(struct creds *c);
#define auto_creds __attribute__((cleanup(creds_restore)))
