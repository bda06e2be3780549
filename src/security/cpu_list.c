/* cpu_list.c - lists of CPUs and memory nodes, and the affinity of the calling process
 *
 * Theory of operation: a list is a bit mask in kernel order. libc's cpu_set_t ends at CPU 1023, so sched_setaffinity(2) is called
 * with a mask of our own, as long as the largest machine the kernel can be built for (8192 CPUs).
 */
#include "security/security.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WORD_BITS (8 * sizeof(unsigned long))
#define CPUS_MAX  8192

/* Reads one number below `bits` at *s and moves *s behind it. */
static int number(const char **s, size_t bits, size_t *out)
{
	size_t n = 0, digits = strspn(*s, "0123456789");

	if (!digits)
		return -EINVAL;
	for (size_t i = 0; i < digits; i++) {
		n = n * 10 + (size_t)((*s)[i] - '0');
		if (n >= bits)
			return -ERANGE;
	}
	*s += digits;
	*out = n;
	return 0;
}

/* Reads "N" or "N-M" at *s. */
static int range(const char **s, size_t bits, size_t *first, size_t *last)
{
	int r = number(s, bits, first);

	if (r < 0)
		return r;
	*last = *first;
	if (**s != '-')
		return 0;
	(*s)++;
	r = number(s, bits, last);
	return r < 0 ? r : *last < *first ? -EINVAL : 0;
}

/* Walks the list; sets the bits unless mask is NULL. Returns the number of elements. */
static int walk(const char *list, unsigned long *mask, size_t bits)
{
	int n = 0;

	for (const char *s = list;;) {
		size_t first, last;

		s += strspn(s, " ");
		if (*s != ',' && *s != '\0') {
			int r = range(&s, bits, &first, &last);

			if (r < 0)
				return r;
			for (size_t i = first; mask && i <= last; i++)
				mask[i / WORD_BITS] |= 1ul << (i % WORD_BITS);
			n++;
			s += strspn(s, " ");
		}
		if (*s == '\0')
			return n;
		if (*s++ != ',')
			return -EINVAL;
	}
}

int cpu_list_parse(const char *list, unsigned long *mask, size_t bits, struct err *e)
{
	int n = walk(list, NULL, bits);

	if (n == -ERANGE)
		return err_set(e, ERANGE, "list \"%.80s\" has a number above %zu", list, bits - 1);
	if (n < 0)
		return err_set(e, EINVAL, "\"%.80s\" is not a list like 0-3,7", list);
	if (n == 0)
		return err_set(e, EINVAL, "list \"%.80s\" is empty", list);
	memset(mask, 0, (bits + WORD_BITS - 1) / WORD_BITS * sizeof(*mask));
	walk(list, mask, bits);
	return 0;
}

int sec_set_affinity(const char *list, struct err *e)
{
	unsigned long mask[CPUS_MAX / WORD_BITS];
	int r = cpu_list_parse(list, mask, CPUS_MAX, e);

	if (r < 0)
		return err_in(e, "cpu affinity");
	if (syscall(SYS_sched_setaffinity, 0, sizeof(mask), mask) < 0)
		return err_errno(e, "cpu affinity \"%.80s\"", list);
	return 0;
}

int sec_reset_affinity(struct err *e)
{
	unsigned long mask[CPUS_MAX / WORD_BITS];

	memset(mask, 0xff, sizeof(mask));
	if (syscall(SYS_sched_setaffinity, 0, sizeof(mask), mask) < 0)
		return err_errno(e, "resetting the cpu affinity");
	return 0;
}
