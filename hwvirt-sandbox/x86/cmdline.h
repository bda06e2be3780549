/* cmdline.h - a guest kernel's command line */
#pragma once
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct cmdline_plan {
	const char *more;   /* the caller's, at the end; NULL: none */
	unsigned n_devices; /* in the slots from X86_MMIO_BASE on */
	bool serial;        /* the console is the serial port */
};

/* Writes it with its NUL to out. E2BIG: it is longer than size; EINVAL: more has a byte that is not printable. */
must_check int cmdline_write(const struct cmdline_plan *p, char *out, size_t size, struct err *e);
