/* initramfs.h - the guest's first file system: the agent, and what it needs before it has mounted anything
 *
 * A cpio archive in the "newc" form of the kernel (Documentation/driver-api/early-userspace/buffer-format.rst), made in memory, uncompressed, the
 * same bytes for the same agent. It may be followed by another archive, compressed or not.
 */
#pragma once
#include "base/err.h"

#include <stddef.h>

/* Archive of /init, with the bytes of `agent`, /dev and /dev/console. *out is the caller's to free. EINVAL: the agent is no static ELF
 * program, or too large. */
must_check int initramfs_build(const void *agent, size_t len, void **out, size_t *out_len, struct err *e);
