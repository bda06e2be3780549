#include "base/self.h"
#include "base/cleanup.h"
#include "base/retry.h"
#include "base/str.h"
#include "base/sys.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#define NAME_ROOM 249 /* the longest name memfd_create(2) takes, without the NUL */

extern char **environ;

/* The copy is named after the file it was made from, so that self_path() needs no argument and no environment variable. */
static int open_copy(struct err *e)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	const char *name = "drupe";

	if (n > 0 && n <= NAME_ROOM) {
		path[n] = '\0';
		name = path;
	}
	int fd = sys_memfd_create(name, SYS_MFD_CLOEXEC | SYS_MFD_ALLOW_SEALING | SYS_MFD_EXEC);

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 every memfd may be executed */
		fd = sys_memfd_create(name, SYS_MFD_CLOEXEC | SYS_MFD_ALLOW_SEALING);
	return fd < 0 ? err_errno(e, "memfd_create for a sealed copy of the program") : fd;
}

static int copy_all(int from, int to, struct err *e)
{
	struct stat st;

	if (fstat(from, &st) < 0)
		return err_errno(e, "/proc/self/exe");
	for (off_t at = 0; at < st.st_size;) {
		ssize_t n = RETRY(sendfile(to, from, &at, (size_t)(st.st_size - at)));

		if (n <= 0)
			return n < 0 ? err_errno(e, "copy of /proc/self/exe") : err_set(e, EIO, "/proc/self/exe is too short");
	}
	return 0;
}

int self_seal(char *const argv[], struct err *e)
{
	auto_fd int exe = openat(AT_FDCWD, "/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (exe < 0)
		return err_errno(e, "/proc/self/exe");
	/* Only a memfd can have all four; tmpfs answers with F_SEAL_SEAL alone, others with EINVAL. */
	if (fcntl(exe, SYS_F_GET_SEALS) == SYS_F_SEAL_ALL) {
		(void)prctl(PR_SET_NAME, "drupe");
		return 0;
	}
	auto_fd int copy = open_copy(e);
	if (copy < 0)
		return copy;
	int r = copy_all(exe, copy, e);

	if (r < 0)
		return r;
	if (fcntl(copy, SYS_F_ADD_SEALS, SYS_F_SEAL_ALL) < 0)
		return err_errno(e, "seal the copy of the program");
	sys_execveat(copy, "", argv, environ, AT_EMPTY_PATH);
	return err_errno(e, "execute the sealed copy of the program");
}

const char *self_path(struct arena *a)
{
	static const char prefix[] = "/memfd:", suffix[] = " (deleted)";
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n <= 0)
		return NULL;
	path[n] = '\0';
	char *start = path;

	if (str_starts(path, prefix)) {
		start += strlen(prefix);
		if (str_ends(start, suffix))
			start[strlen(start) - strlen(suffix)] = '\0';
	}
	return start[0] == '/' ? arena_strdup(a, start) : NULL;
}

void self_drop_pages(void)
{
	const ElfW(Phdr) *headers = (const void *)getauxval(AT_PHDR);
	const uintptr_t page = (uintptr_t)getauxval(AT_PAGESZ) - 1;
	unsigned long n = getauxval(AT_PHNUM);
	uintptr_t moved = 0;

	for (unsigned long i = 0; i < n; i++)
		if (headers[i].p_type == PT_PHDR)
			moved = (uintptr_t)headers - headers[i].p_vaddr;
	for (unsigned long i = 0; i < n; i++) {
		uintptr_t from = moved + headers[i].p_vaddr, to = from + headers[i].p_memsz;

		if (headers[i].p_type == PT_LOAD && !(headers[i].p_flags & PF_W))
			(void)madvise((void *)(from & ~page), ((to + page) & ~page) - (from & ~page), MADV_DONTNEED);
	}
}
