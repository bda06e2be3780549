/* guest_mem.c - a sealed memfd, mapped between two guard pages */
#include "hwvirt-sandbox/guest_mem.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { HUGE = 2 << 20, WORTH = HUGE / 8 };
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int size_check(uint64_t size, struct err *e)
{
	if (size == 0 || size % GUEST_MEM_PAGE || size > GUEST_MEM_MAX)
		return err_set(e, EINVAL, "guest memory: %" PRIu64 " bytes is not a multiple of %llu between one page and %llu GiB",
			       size, GUEST_MEM_PAGE, GUEST_MEM_MAX >> 30);
	return 0;
}

/* Addresses for size bytes at a multiple of HUGE, so that large pages fit, and a page before and after them. */
static uint8_t *reserve(size_t size, struct err *e)
{
	size_t total = size + 2 * GUEST_MEM_PAGE, room = total + HUGE;
	uint8_t *range = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before;

	if (range == MAP_FAILED) {
		err_errno(e, "guest memory: reserving %zu bytes of addresses", room);
		return NULL;
	}
	before = HUGE - ((uintptr_t)range + GUEST_MEM_PAGE) % HUGE;
	munmap(range, before);
	munmap(range + before + total, HUGE - before);
	return range + before;
}

/* The whole range is reserved without access; the memory is mapped into its middle. Large pages, where the host gives a memfd any
 * when asked, save the guest thousands of faults; where it does not, asking costs nothing. */
static int map(int fd, uint64_t size, uint8_t **base, struct err *e)
{
	uint8_t *range = reserve(size, e);

	if (!range)
		return -e->code;
	if (mmap(range + GUEST_MEM_PAGE, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
		err_errno(e, "guest memory: mapping %" PRIu64 " bytes", size);
		munmap(range, size + 2 * GUEST_MEM_PAGE);
		return -e->code;
	}
	*base = range + GUEST_MEM_PAGE;
	madvise(*base, size, MADV_HUGEPAGE);
	return 0;
}

static int adopt(int *fd, uint64_t size, struct guest_mem *out, struct err *e)
{
	uint8_t *base;
	int r = map(*fd, size, &base, e);

	if (r < 0)
		return r;
	*out = (struct guest_mem){
		.base = base,
		.low_size = size < GUEST_HOLE ? size : GUEST_HOLE,
		.high_size = size < GUEST_HOLE ? 0 : size - GUEST_HOLE,
		.fd = take_fd(fd),
	};
	return 0;
}

int guest_mem_create(uint64_t size, struct guest_mem *out, struct err *e)
{
	auto_fd int fd = -EBADF;
	int r = size_check(size, e);

	if (r < 0)
		return r;
	fd = sys_memfd_create("guest", SYS_MFD_CLOEXEC | SYS_MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_errno(e, "guest memory: memfd_create");
	if (ftruncate(fd, (off_t)size) < 0)
		return err_errno(e, "guest memory: %" PRIu64 " bytes", size);
	if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return err_errno(e, "guest memory: sealing it");
	return adopt(&fd, size, out, e);
}

int guest_mem_attach(int fd, struct guest_mem *out, struct err *e)
{
	auto_fd int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	struct stat st;
	int seals, r;

	if (own < 0 || fstat(own, &st) < 0)
		return err_errno(e, "guest memory: descriptor %d", fd);
	r = size_check(st.st_size < 0 ? 0 : (uint64_t)st.st_size, e);
	if (r < 0)
		return r;
	seals = fcntl(own, F_GET_SEALS);
	if (seals < 0 || (seals & SEALS) != SEALS)
		return err_set(e, EINVAL, "guest memory: descriptor %d is not sealed: whoever holds it could shrink it", fd);
	return adopt(&own, (uint64_t)st.st_size, out, e);
}

void guest_mem_release(struct guest_mem *m)
{
	if (m->base)
		munmap(m->base - GUEST_MEM_PAGE, m->low_size + m->high_size + 2 * GUEST_MEM_PAGE);
	close_fd(&m->fd);
	*m = GUEST_MEM_NONE;
}

uint8_t *guest_range(const struct guest_mem *m, uint64_t gpa, uint64_t len)
{
	if (len == 0)
		return NULL;
	if (gpa < m->low_size)
		return len <= m->low_size - gpa ? m->base + gpa : NULL;
	if (gpa < GUEST_HIGH)
		return NULL;
	gpa -= GUEST_HIGH;
	if (gpa >= m->high_size || len > m->high_size - gpa)
		return NULL;
	return m->base + m->low_size + gpa;
}

bool guest_read(const struct guest_mem *m, uint64_t gpa, void *to, size_t len)
{
	const uint8_t *from = guest_range(m, gpa, len);

	if (from)
		memcpy(to, from, len);
	return from || len == 0;
}

bool guest_write(const struct guest_mem *m, uint64_t gpa, const void *from, size_t len)
{
	uint8_t *to = guest_range(m, gpa, len);

	if (to)
		memcpy(to, from, len);
	return to || len == 0;
}

/* Unlike MADV_HUGEPAGE this does not ask whether the host gives a memfd large pages (shmem_enabled, by default never). One costs
 * what some sixty faults of the guest do: what is less used than that stays in small ones. What nobody has touched yet is not made
 * large. */
void guest_populate(const struct guest_mem *m, uint64_t gpa, uint64_t len)
{
	uint64_t from = (gpa + WORTH) & ~(HUGE - 1ull), to = (gpa + len + HUGE - WORTH) & ~(HUGE - 1ull);
	uint64_t end = gpa < m->low_size ? m->low_size : GUEST_HIGH + m->high_size;
	uint8_t *at;

	if (to > end) /* the last one is not a whole one */
		to -= HUGE;
	at = from < to ? guest_range(m, from, to - from) : NULL;
	if (!at)
		return;
	for (uint64_t i = 0; i < to - from; i += HUGE)
		(void)*(volatile const uint8_t *)(at + i);
	(void)madvise(at, to - from, SYS_MADV_COLLAPSE);
}

/* A failure leaves the memory as it is, which is no worse than not having asked. */
void guest_discard(const struct guest_mem *m, const uint8_t *at, uint64_t len)
{
	uint64_t from, to;

	if (!at)
		return;
	from = ((uint64_t)(at - m->base) + GUEST_MEM_PAGE - 1) & ~(GUEST_MEM_PAGE - 1);
	to = ((uint64_t)(at - m->base) + len) & ~(GUEST_MEM_PAGE - 1);
	if (from < to)
		(void)fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from));
}
