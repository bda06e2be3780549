#include "base/self.h"
#include "base/block.h"
#include "base/cleanup.h"
#include "base/proc.h"
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

/* The program's file by another mount, and that mount; what main() got. */
static struct {
	int file, tree;
	char *const *argv;
	bool left;
} aside = { .file = -1, .tree = -1 };

/* The copy is named after the file it was made from, so that self_path() needs no argument and no environment variable. */
static int open_copy(bool named, struct err *e)
{
	char path[4096];
	ssize_t n = named ? readlink("/proc/self/exe", path, sizeof(path) - 1) : 0;
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

/* Without libc, whose code and data are just being replaced. x86_64. */
static inline long call_here(long number, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t fd, uintptr_t offset)
{
	register uintptr_t fourth __asm__("r10") = d, fifth __asm__("r8") = fd, sixth __asm__("r9") = offset;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
			 : "rcx", "r11", "memory");
	return result;
}

/* The program where it is: code and headers, constants, and the segment of data. What of that the linker had to relocate (RELRO) is
 * constant here, where nothing was: from `fixed`, which is at fixed_at in the file, to `data`. */
struct image {
	uintptr_t start, constants, constants_end, fixed, fixed_at, data, end;
};

static bool add_segment(struct image *im, const ElfW(Phdr) * p, uintptr_t page)
{
	uintptr_t from = p->p_vaddr & ~page, at = p->p_offset & ~page, to = (p->p_vaddr + p->p_filesz + page) & ~page;
	bool first = !im->end && !at, code = p->p_flags & PF_X, data = p->p_flags & PF_W;

	if (first)
		*im = (struct image){ .start = from, .end = from };
	if (from < im->end || im->data || ((p->p_vaddr ^ p->p_offset) & page) ||
	    (code && (data || im->constants || from != im->end)))
		return false;
	if (data) {
		im->fixed = im->data = from;
		im->fixed_at = at;
	} else if (at != from - im->start) {
		return false;
	} else if (!code && !first) {
		im->constants = im->constants ? im->constants : from;
		im->constants_end = to;
	}
	im->end = to;
	return true;
}

static bool add_header(struct image *im, const ElfW(Phdr) * p, uintptr_t page)
{
	switch (p->p_type) {
	case PT_LOAD:
		return add_segment(im, p, page);
	case PT_GNU_RELRO: /* behind those that are loaded */
		im->data = (p->p_vaddr + p->p_memsz) & ~page;
		return im->data < im->end;
	default:
		return p->p_type != PT_INTERP && p->p_type != PT_DYNAMIC;
	}
}

/* false: linked in another way, or not static. */
static bool find_image(struct image *im)
{
	const ElfW(Phdr) *headers = (const void *)getauxval(AT_PHDR);
	const uintptr_t page = (uintptr_t)getauxval(AT_PAGESZ) - 1;
	unsigned long n = getauxval(AT_PHNUM);
	bool whole = headers != NULL;

	*im = (struct image){ 0 };
	for (unsigned long i = 0; whole && i < n; i++)
		whole = add_header(im, &headers[i], page);
	return whole && im->constants && im->constants < im->data && (uintptr_t)headers > im->start &&
	       (uintptr_t)headers < im->constants;
}

static bool map_over(uintptr_t start, uintptr_t end, int prot, uintptr_t offset)
{
	return call_here(SYS_mmap, start, end - start, (uintptr_t)prot, MAP_PRIVATE | MAP_FIXED, (uintptr_t)aside.file, offset) >=
	       0;
}

/* Code and constants from the same file by the other mount, data in memory of its own. Nothing writes to data between its being
 * copied and its being replaced. */
static int map_again(const struct image *im, struct err *e)
{
	size_t size = im->end - im->data;
	char *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (data == MAP_FAILED)
		return err_errno(e, "the program's data");
	bool mapped = map_over(im->start, im->constants, PROT_READ | PROT_EXEC, 0) &&
		      map_over(im->constants, im->constants_end, PROT_READ, im->constants - im->start) &&
		      (im->fixed == im->data || map_over(im->fixed, im->data, PROT_READ, im->fixed_at));

	if (mapped) {
		memcpy(data, (const void *)im->data, size);
		mapped = call_here(SYS_mremap, (uintptr_t)data, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, im->data, 0) >= 0;
	}
	return mapped ? 0 : err_set(e, ENOMEM, "the program cannot be mapped again");
}

/* Where the last string ends of those that the kernel put one behind the other. */
static uintptr_t end_of(char *const *list, uintptr_t none)
{
	if (!*list)
		return none;
	while (list[1])
		list++;
	return (uintptr_t)*list + strlen(*list) + 1;
}

/* Where /proc/PID/exe leads from now on; the kernel wants to know what else it shows of a process. */
static int show_as(int fd, const struct image *im, struct err *e)
{
	char *const *argv = aside.argv;
	uintptr_t brk = (uintptr_t)syscall(SYS_brk, 0);
	struct prctl_mm_map map = { .start_code = im->start,
				    .end_code = im->constants,
				    .start_data = im->data,
				    .end_data = im->end,
				    .start_brk = brk,
				    .brk = brk,
				    .start_stack = (uintptr_t)argv,
				    .arg_start = (uintptr_t)argv[0],
				    .exe_fd = (uint32_t)fd };

	map.env_start = map.arg_end = end_of(argv, map.arg_start);
	map.env_end = end_of(environ, map.env_start);
	if (map.env_end < map.env_start)
		map.env_end = map.env_start;
	return prctl(PR_SET_MM, PR_SET_MM_MAP, (unsigned long)&map, sizeof(map), 0ul) < 0 ? err_errno(e, "PR_SET_MM_MAP") : 0;
}

/* Numbers below are others'. */
static int from(int *fd, int lowest)
{
	return *fd < 0 || *fd >= lowest ? take_fd(fd) : fcntl(*fd, F_DUPFD_CLOEXEC, lowest);
}

/* The file on a mount of its own, which is attached nowhere and read-only. */
static bool open_aside(int lowest)
{
	const struct sys_mount_attr attr = { .attr_set = SYS_MOUNT_ATTR_RDONLY };
	auto_fd int tree = sys_open_tree(AT_FDCWD, "/proc/self/exe", SYS_OPEN_TREE_CLONE | O_CLOEXEC);
	char name[32];

	if (tree < 0 || sys_mount_setattr(tree, "", AT_EMPTY_PATH, &attr) < 0)
		return false;
	text_format(name, sizeof(name), "/proc/self/fd/%d", tree);
	auto_fd int file = openat(AT_FDCWD, name, O_RDONLY | O_CLOEXEC);
	aside.file = from(&file, lowest);
	aside.tree = from(&tree, lowest);
	return aside.file >= 0 && aside.tree >= 0;
}

/* Starts the program a second time, from a sealed copy. */
static int start_copy(int exe, struct err *e)
{
	auto_fd int copy = open_copy(true, e);
	if (copy < 0)
		return copy;
	int r = copy_all(exe, copy, e);

	if (r < 0)
		return r;
	if (fcntl(copy, SYS_F_ADD_SEALS, SYS_F_SEAL_ALL) < 0)
		return err_errno(e, "seal the copy of the program");
	sys_execveat(copy, "", aside.argv, environ, AT_EMPTY_PATH);
	return err_errno(e, "execute the sealed copy of the program");
}

/* A kernel without CONFIG_CHECKPOINT_RESTORE cannot, and some sandboxes forbid it. */
static bool can_show(void)
{
	unsigned size;

	return prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, (unsigned long)&size, 0ul, 0ul) == 0;
}

int self_prepare(char *const argv[], int lowest, struct err *e)
{
	struct image im;

	aside.argv = argv;
	if (!proc_by_descriptor() && proc_euid() == 0 && can_show() && find_image(&im) && open_aside(lowest))
		return 0;
	self_tidy();
	auto_fd int exe = openat(AT_FDCWD, "/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (exe < 0)
		return err_errno(e, "/proc/self/exe");
	/* Only a memfd can have all four; tmpfs answers with F_SEAL_SEAL alone, others with EINVAL. */
	if (fcntl(exe, SYS_F_GET_SEALS) != SYS_F_SEAL_ALL)
		return start_copy(exe, e);
	(void)prctl(PR_SET_NAME, "drupe");
	return 0;
}

int self_leave(bool named, struct err *e)
{
	struct image im;

	if (aside.file < 0 || aside.left)
		return 0;
	auto_fd int empty = find_image(&im) ? open_copy(named, e) : err_set(e, ENOEXEC, "not as it was");

	if (empty < 0)
		return empty;
	if (fcntl(empty, SYS_F_ADD_SEALS, SYS_F_SEAL_ALL) < 0)
		return err_errno(e, "seal an empty file");
	int r = map_again(&im, e);

	if (r == 0)
		r = show_as(empty, &im, e);
	aside.left = r == 0;
	return r;
}

void self_tidy(void)
{
	close_fd(&aside.file);
	close_fd(&aside.tree);
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
			(void)call_here(SYS_madvise, from, (constant ? (to + page) & ~page : to & ~page) - from, MADV_DONTNEED, 0,
					0, 0);
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
	(void)call_here(SYS_ppoll, (uintptr_t)&p, 1, 0, 0, 0, 0);
}
