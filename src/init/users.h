/* users.h - names and homes from a container's own passwd and group files
 *
 * The files belong to the image: they are opened inside the root, must be regular and of sane size, and are parsed strictly.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#include <stdint.h>

/* Home directory of uid by /etc/passwd below root (borrowed descriptor), or "/" when there is none. Lives in *a. */
const char *user_home(int root, uint32_t uid, struct arena *a);

/* Parses "UID", "UID:GID", "NAME", "NAME:GROUP" (numbers win over names; 0..4294967294). gid is the user's own by passwd when
 * none is given, and stays as it was when there is no such entry. EINVAL: malformed or unknown, never a silent 0. */
must_check int user_resolve(int root, const char *user, uint32_t *uid, uint32_t *gid, struct err *e);
