#include "base/self.h"
#include "base/block.h"
#include "base/cleanup.h"
#include "base/retry.h"
#include "base/str.h"
#include "base/sys.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#define OLD_STACK    (256u << 10) /* bytes below the present frame that may have been used */
#define CALLED_STACK 1024         /* bytes of stack that madvise() and its callers here take at most */
#define NAME_ROOM    249          /* the longest name memfd_create(2) takes, without the NUL */

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

/* The pages of the stack that returned functions have used; those of the functions called from here stay. */
static void drop_old_stack(void)
{
	const uintptr_t page = (uintptr_t)getauxval(AT_PAGESZ) - 1;
	uintptr_t here = (uintptr_t)__builtin_frame_address(0), to = (here - CALLED_STACK) & ~page;

	/* It may reach beyond the stack: what is not mapped is passed over. */
	(void)madvise((void *)(to - OLD_STACK), OLD_STACK, MADV_DONTNEED);
}

/* Without libc, whose code is somewhere else. x86_64. */
static inline long call_here(long number, uintptr_t a, uintptr_t b, uintptr_t c)
{
	register uintptr_t fourth __asm__("r10") = 0, fifth __asm__("r8") = 0;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth)
			 : "rcx", "r11", "memory");
	return result;
}

/* The program's code and constants, the headers last since they are read here. */
static inline void drop_file_pages(void)
{
	const ElfW(Phdr) *headers = (const void *)getauxval(AT_PHDR);
	const uintptr_t page = (uintptr_t)getauxval(AT_PAGESZ) - 1;
	unsigned long n = getauxval(AT_PHNUM);
	uintptr_t moved = 0;

	for (unsigned long i = 0; i < n; i++)
		if (headers[i].p_type == PT_PHDR)
			moved = (uintptr_t)headers - headers[i].p_vaddr;
	for (unsigned long i = n; i-- > 0;) {
		uintptr_t from = (moved + headers[i].p_vaddr) & ~page, to = moved + headers[i].p_vaddr + headers[i].p_memsz;
		bool constant = headers[i].p_type == PT_LOAD && !(headers[i].p_flags & PF_W);

		/* Where nothing was relocated, this part is as it is in the file, too. */
		if (constant || (headers[i].p_type == PT_GNU_RELRO && !moved))
			(void)call_here(SYS_madvise, from, (constant ? (to + page) & ~page : to & ~page) - from, MADV_DONTNEED);
	}
}

/* Pages come back in blocks of 64 KiB around the one that is used: from the first that is given back on, all is in one place, which
 * the alignment keeps from lying across two blocks. */
__attribute__((aligned(512))) void self_wait_small(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	block_trim();
	drop_old_stack();
	drop_file_pages();
	(void)call_here(SYS_ppoll, (uintptr_t)&p, 1, 0);
}
