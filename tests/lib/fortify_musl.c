/* fortify_musl.c - the checked functions that Debian's static archives call and musl lacks
 *
 * Debian compiles its archives for glibc with _FORTIFY_SOURCE, so libyajl_s.a and libseccomp.a call these instead of memcpy()
 * and friends. Linked into tests with musl only; the checks are kept.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__memcpy_chk(void *dst, const void *src, size_t n, size_t room);
int __sprintf_chk(char *dst, int flag, size_t room, const char *fmt, ...);
int __snprintf_chk(char *dst, size_t n, int flag, size_t room, const char *fmt, ...);
int __fprintf_chk(FILE *f, int flag, const char *fmt, ...);

void *__memcpy_chk(void *dst, const void *src, size_t n, size_t room)
{
	if (n > room)
		abort();
	return memcpy(dst, src, n);
}

__attribute__((format(printf, 4, 5))) int __sprintf_chk(char *dst, int flag, size_t room, const char *fmt, ...)
{
	va_list ap;

	(void)flag;
	va_start(ap, fmt);
	int n = vsnprintf(dst, room, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n >= room)
		abort();
	return n;
}

__attribute__((format(printf, 5, 6))) int __snprintf_chk(char *dst, size_t n, int flag, size_t room, const char *fmt, ...)
{
	va_list ap;

	(void)flag;
	if (n > room)
		abort();
	va_start(ap, fmt);
	int written = vsnprintf(dst, n, fmt, ap);
	va_end(ap);
	return written;
}

/* Nothing to check without %n. */
__attribute__((format(printf, 3, 4))) int __fprintf_chk(FILE *f, int flag, const char *fmt, ...)
{
	va_list ap;

	(void)flag;
	va_start(ap, fmt);
	int n = vfprintf(f, fmt, ap);
	va_end(ap);
	return n;
}
