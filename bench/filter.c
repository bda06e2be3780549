/* filter CONFIG - writes the BPF program that the seccomp profile of a config.json compiles to, for the floor to load */
#include "base/cleanup.h"
#include "base/fd.h"
#include "oci/spec.h"
#include "security/security.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <stdio.h>
#include <unistd.h>

static int write_filter(const char *name, struct err *e)
{
	auto_arena struct arena a = { 0 };
	const struct sec_filter *filter = NULL;
	const struct oci_spec *spec;
	char *text;
	ssize_t n = file_read(AT_FDCWD, name, 1u << 20, false, &a, &text, e);
	int r = n < 0 ? (int)n : oci_spec_parse(&a, text, (size_t)n, &spec, e);

	if (r == 0 && spec->linux_->seccomp)
		r = seccomp_compile(spec->linux_->seccomp, &a, &filter, e);
	if (r < 0 || !filter)
		return r;
	return fd_write_all(STDOUT_FILENO, filter->insns, filter->n * sizeof(struct sock_filter), e);
}

int main(int argc, char **argv)
{
	struct err e;

	if (argc != 2)
		return 2;
	if (write_filter(argv[1], &e) == 0)
		return 0;
	fprintf(stderr, "filter: %s\n", e.text);
	return 1;
}
