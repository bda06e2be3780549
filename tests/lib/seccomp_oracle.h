/* seccomp_oracle.h - a profile compiled by libseccomp, to compare with */
#pragma once
#include "oci/spec.h"

#include <linux/filter.h>

#define ORACLE_MAX 16384 /* instructions: libseccomp knows no limit */

struct oracle {
	struct sock_filter insns[ORACLE_MAX];
	size_t n;
};

/* As engines use libseccomp, on x86_64: rules in the profile's order, unknown names skipped, an argument that appears twice in a rule
 * split into alternatives, rules that equal the default left out; and in front a program that answers ENOSYS for numbers above all
 * that the profile names. Returns 0, or -errno of what libseccomp refused. */
int oracle_compile(const struct oci_seccomp *s, struct oracle *out);

/* Whether libseccomp knows the call. */
bool oracle_knows(const char *name);
