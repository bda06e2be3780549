/* libc_x86_64.c - syscall() and getenv() of the static program
 *
 * They take the place of libc's, as the linker finds them first. musl's syscall() collects what it is given as variable arguments,
 * and takes three times as many instructions as the kernel's convention needs; its getenv() calls strncmp() for each variable.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ERRNO_MAX 4095ul

extern char **environ;

/* Variable arguments are passed like others; those that a caller leaves out are not looked at by the kernel either. */
long syscall(long number, long a, long b, long c, long d, long e, long f);
long syscall(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	if ((unsigned long)r < -ERRNO_MAX)
		return r;
	errno = (int)-r;
	return -1;
}

char *getenv(const char *name)
{
	size_t len = strlen(name);

	for (char **v = environ; v && *v; v++)
		if (**v == *name && strncmp(*v, name, len) == 0 && (*v)[len] == '=')
			return *v + len + 1;
	return NULL;
}
