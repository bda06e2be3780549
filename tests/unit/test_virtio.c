/* test_virtio.c - guest memory, rings and registers, against drivers that are right, wrong and hostile */
#include "hwvirt-sandbox/iov.h"
#include "hwvirt-sandbox/virtio/mmio.h"
#include "hwvirt-sandbox/virtio/rng.h"
#include "tap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MEM = 1 << 20, N = 8, DESC = 0x1000, AVAIL = 0x2000, USED = 0x3000, TABLE = 0x4000, DATA = 0x10000 };
enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };

/* A driver's side of one queue. */
struct rig {
	struct guest_mem mem;
	struct virtq q;
	struct virtq_chain c;
	struct err e;
};

static void rig_open(struct rig *r, bool event_idx, bool indirect)
{
	struct virtq_layout l = { .size = N, .desc = DESC, .avail = AVAIL, .used = USED };

	memset(r, 0, sizeof(*r));
	expect(guest_mem_create(MEM, &r->mem, &r->e) == 0);
	expect(virtq_start(&r->q, &r->mem, &l, event_idx, indirect, &r->e) == 0);
}

static void put(struct rig *r, uint64_t at, const void *p, size_t n)
{
	expect(guest_write(&r->mem, at, p, n));
}

static uint16_t get16(struct rig *r, uint64_t at)
{
	uint16_t v = 0;

	expect(guest_read(&r->mem, at, &v, sizeof(v)));
	return v;
}

static void put16(struct rig *r, uint64_t at, uint16_t v)
{
	put(r, at, &v, sizeof(v));
}

static void desc_at(struct rig *r, uint64_t table, unsigned i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	struct virtq_desc d = { .addr = addr, .len = len, .flags = flags, .next = next };

	put(r, table + i * sizeof(d), &d, sizeof(d));
}

static void desc(struct rig *r, unsigned i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	desc_at(r, DESC, i, addr, len, flags, next);
}

static void offer(struct rig *r, uint16_t head)
{
	uint16_t idx = get16(r, AVAIL + 2);

	put16(r, AVAIL + 4 + 2 * (idx % N), head);
	put16(r, AVAIL + 2, (uint16_t)(idx + 1));
}

static int pop(struct rig *r)
{
	return virtq_pop(&r->q, 65536, &r->c, &r->e);
}

static void expect_broken(struct rig *r, const char *why)
{
	expect(pop(r) == -EPROTO);
	expect_str(r->e.text, why);
	expect(r->q.broken);
	expect(pop(r) == -EPROTO); /* for good */
	guest_mem_release(&r->mem);
}

/* ---- memory ---- */

static void a_range_lies_in_memory_as_a_whole_or_not_at_all(void)
{
	struct guest_mem m = { .base = (uint8_t *)0x100000, .low_size = 0x3000, .high_size = 0x2000, .fd = -1 };

	expect(guest_range(&m, 0, 0x3000) == m.base);
	expect(guest_range(&m, 0x2fff, 1) == m.base + 0x2fff);
	expect(!guest_range(&m, 0x2fff, 2));
	expect(!guest_range(&m, 0x3000, 1));
	expect(!guest_range(&m, 0, 0));
	expect(!guest_range(&m, GUEST_HIGH - 1, 2));
	expect(guest_range(&m, GUEST_HIGH, 0x2000) == m.base + 0x3000);
	expect(!guest_range(&m, GUEST_HIGH + 1, 0x2000));
	expect(!guest_range(&m, UINT64_MAX, 1));
	expect(!guest_range(&m, 1, UINT64_MAX));
	expect(!guest_range(&m, GUEST_HIGH + 0x1000, UINT64_MAX - 0xfff));
}

static void memory_is_shared_by_descriptor_and_cannot_shrink(void)
{
	struct guest_mem a, b;
	uint32_t v = 0;
	struct err e;

	expect(guest_mem_create(MEM, &a, &e) == 0);
	expect(guest_mem_attach(a.fd, &b, &e) == 0);
	expect(guest_write(&a, 4096, "abcd", 4) && guest_read(&b, 4096, &v, 4) && memcmp(&v, "abcd", 4) == 0);
	expect(ftruncate(a.fd, 4096) < 0 && errno == EPERM);
	guest_mem_release(&a);
	expect(guest_read(&b, 4096, &v, 4));
	guest_mem_release(&b);
	guest_mem_release(&b);
}

/* So that the host can use large pages for it. */
static void memory_begins_at_a_multiple_of_2_mib(void)
{
	struct guest_mem m[3];
	struct err e;

	for (size_t i = 0; i < 3; i++) {
		expect(guest_mem_create((i + 1) * GUEST_MEM_PAGE, &m[i], &e) == 0);
		expect((uintptr_t)m[i].base % (2 << 20) == 0);
		memset(m[i].base, 1, (i + 1) * GUEST_MEM_PAGE);
	}
	for (size_t i = 0; i < 3; i++)
		guest_mem_release(&m[i]);
}

static uint64_t bytes_in_use(const struct guest_mem *m)
{
	struct stat st;

	expect(fstat(m->fd, &st) == 0);
	return (uint64_t)st.st_blocks * 512;
}

/* Where the host gives a memfd none (before Linux 6.1, or shmem_enabled is deny) nothing may happen at all. */
static void large_pages_are_made_where_most_of_them_will_be_used(void)
{
	const uint64_t mib = 1 << 20, edge = 1 << 16;
	struct guest_mem m;
	struct err e;
	char c = 0;

	expect(guest_mem_create(5 * mib, &m, &e) == 0);
	expect(guest_write(&m, 2 * mib, "x", 1));
	uint64_t before = bytes_in_use(&m);

	guest_populate(&m, 0, edge);
	guest_populate(&m, 6 * mib, 2 * mib);
	guest_populate(&m, UINT64_MAX - mib, mib);
	expect(bytes_in_use(&m) == before);
	guest_populate(&m, 2 * mib - edge, 3 * mib + edge);
	uint64_t after = bytes_in_use(&m);

	expect(after == 2 * mib || after == before);
	expect(guest_read(&m, 2 * mib, &c, 1) && c == 'x');
	expect(!guest_read(&m, 5 * mib, &c, 1));
	guest_mem_release(&m);
}

static void memory_that_its_holder_could_shrink_is_refused(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct guest_mem m;
	struct err e;

	expect(ftruncate(fd, MEM) == 0);
	expect(guest_mem_attach(fd, &m, &e) == -EINVAL);
	expect(strstr(e.text, "is not sealed"));
	close(fd);
	expect(guest_mem_create(4097, &m, &e) == -EINVAL);
	expect(guest_mem_create(0, &m, &e) == -EINVAL);
}

/* ---- segments ---- */

static void segments_are_one_run_of_bytes(void)
{
	char a[] = "abc", b[] = "defg", to[8] = "";
	struct iovec v[] = { { NULL, 0 }, { a, 3 }, { NULL, 0 }, { b, 4 } }, w[4];

	expect(iov_total(v, 4) == 7);
	expect(iov_read(v, 4, 2, to, 3) == 3);
	expect_str(to, "cde");
	expect(iov_read(v, 4, 3, to, 8) == 4 && memcmp(to, "defg", 4) == 0);
	expect(iov_read(v, 4, 7, to, 1) == 0 && iov_read(v, 4, 70, to, 1) == 0 && iov_read(v, 4, 0, to, 0) == 0);
	expect(iov_write(v, 4, 1, "XYZ", 3) == 3 && iov_write(v, 4, 6, "VW", 2) == 1);
	expect_str(a, "aXY");
	expect_str(b, "ZefV");
	expect(iov_window(v, 4, 1, 3, w, 4) == 2 && w[0].iov_base == a + 1 && w[0].iov_len == 2 && w[1].iov_base == b &&
	       w[1].iov_len == 1);
	expect(iov_window(v, 4, 0, 7, w, 1) == 1 && w[0].iov_len == 3);
}

/* ---- queues ---- */

static void a_request_is_read_answered_and_given_back(void)
{
	struct rig r;
	char text[6] = "";

	rig_open(&r, false, false);
	put(&r, DATA, "hello", 5);
	desc(&r, 3, DATA, 2, NEXT, 1);
	desc(&r, 1, DATA + 2, 3, NEXT, 2);
	desc(&r, 2, DATA + 64, 4, WRITE, 0);
	offer(&r, 3);
	expect(pop(&r) == 1);
	expect(r.c.n_out == 2 && r.c.out_len == 5 && r.c.n_in == 1 && r.c.in_len == 4);
	expect(virtq_chain_read(&r.c, 0, text, 5));
	expect_str(text, "hello");
	expect(virtq_chain_read(&r.c, 1, text, 3) && memcmp(text, "ell", 3) == 0);
	expect(!virtq_chain_read(&r.c, 1, text, 5) && !virtq_chain_read(&r.c, 6, text, 0));
	expect(virtq_chain_write(&r.c, 1, "xyz", 3) && !virtq_chain_write(&r.c, 2, "xyz", 3));
	virtq_push(&r.q, &r.c, 4);
	expect(get16(&r, USED + 2) == 1 && get16(&r, USED + 4) == 3 && get16(&r, USED + 8) == 4);
	expect(pop(&r) == 0);
	guest_mem_release(&r.mem);
}

static void a_queue_goes_round(void)
{
	struct rig r;

	rig_open(&r, true, false);
	desc(&r, 0, DATA, 4, WRITE, 0);
	for (unsigned i = 0; i < 70000; i++) {
		offer(&r, 0);
		if (pop(&r) != 1)
			break;
		virtq_push(&r.q, &r.c, 4);
	}
	expect(get16(&r, USED + 2) == (uint16_t)70000);
	guest_mem_release(&r.mem);
}

static void the_driver_is_interrupted_only_when_it_asked(void)
{
	struct rig r;

	rig_open(&r, false, false);
	desc(&r, 0, DATA, 4, WRITE, 0);
	expect(!virtq_must_signal(&r.q));
	offer(&r, 0);
	expect(pop(&r) == 1);
	virtq_push(&r.q, &r.c, 4);
	expect(virtq_must_signal(&r.q));
	expect(!virtq_must_signal(&r.q));
	put16(&r, AVAIL, 1); /* no interrupt */
	offer(&r, 0);
	expect(pop(&r) == 1);
	virtq_push(&r.q, &r.c, 4);
	expect(!virtq_must_signal(&r.q));
	guest_mem_release(&r.mem);
}

static void with_event_index_the_driver_names_the_request_it_waits_for(void)
{
	struct rig r;
	bool signals[3];

	rig_open(&r, true, false);
	desc(&r, 0, DATA, 4, WRITE, 0);
	put16(&r, AVAIL + 4 + 2 * N, 1); /* used_event: tell when the second one is done */
	for (unsigned i = 0; i < 3; i++) {
		offer(&r, 0);
		expect(pop(&r) == 1);
		virtq_push(&r.q, &r.c, 4);
		signals[i] = virtq_must_signal(&r.q);
	}
	expect(!signals[0] && signals[1] && !signals[2]);
	expect(pop(&r) == 0);
	expect(get16(&r, USED + 4 + 8 * N) == 3); /* avail_event: we want to hear of the next */
	guest_mem_release(&r.mem);
}

static void an_indirect_table_is_followed(void)
{
	struct rig r;

	rig_open(&r, false, true);
	desc(&r, 0, DATA, 1, NEXT, 1); /* the specification lets ordinary ones stand before it */
	desc(&r, 1, TABLE, 3 * 16, INDIRECT, 0);
	desc_at(&r, TABLE, 0, DATA, 8, NEXT, 2);
	desc_at(&r, TABLE, 2, DATA, 16, WRITE, 0);
	offer(&r, 0);
	expect(pop(&r) == 1);
	expect(r.c.out_len == 9 && r.c.in_len == 16);
	guest_mem_release(&r.mem);
}

static void an_empty_buffer_is_no_part(void)
{
	struct rig r;

	rig_open(&r, false, false);
	desc(&r, 0, UINT64_MAX, 0, NEXT, 1);
	desc(&r, 1, DATA, 8, WRITE, 0);
	offer(&r, 0);
	expect(pop(&r) == 1);
	expect(r.c.n_out == 0 && r.c.n_in == 1);
	guest_mem_release(&r.mem);
}

/* Each breaks one rule. */
static const struct broken {
	const char *why;
	bool indirect;
	struct virtq_desc d[3]; /* of the queue */
	struct virtq_desc t[2]; /* of the table at TABLE */
} broken[] = {
	{ "queue: a descriptor number past the table's end", false, { { DATA, 4, NEXT, N } }, { { 0 } } },
	{ "queue: a descriptor number past the table's end", false, { { DATA, 4, NEXT, 0xffff } }, { { 0 } } },
	{ "queue: descriptors in a circle", false, { { DATA, 4, NEXT, 0 } }, { { 0 } } },
	{ "queue: descriptors in a circle", false, { { DATA, 4, NEXT, 1 }, { DATA, 4, NEXT, 0 } }, { { 0 } } },
	{ "queue: a readable descriptor after a writable one",
	  false,
	  { { DATA, 4, WRITE | NEXT, 1 }, { DATA, 4, 0, 0 } },
	  { { 0 } } },
	{ "queue: a buffer that is not in memory", false, { { MEM, 4, 0, 0 } }, { { 0 } } },
	{ "queue: a buffer that is not in memory", false, { { MEM - 3, 4, 0, 0 } }, { { 0 } } },
	{ "queue: a buffer that is not in memory", false, { { UINT64_MAX - 1, 4, WRITE, 0 } }, { { 0 } } },
	{ "queue: a buffer that is not in memory", false, { { DATA, UINT32_MAX, WRITE, 0 } }, { { 0 } } },
	{ "queue: a request that is too long", false, { { DATA, 65537, 0, 0 } }, { { 0 } } },
	{ "queue: a request that is too long", false, { { DATA, 65536, NEXT, 1 }, { DATA, 1, 0, 0 } }, { { 0 } } },
	{ "queue: an indirect descriptor where none may be", false, { { TABLE, 16, INDIRECT, 0 } }, { { DATA, 4, 0, 0 } } },
	{ "queue: an indirect descriptor where none may be", true, { { TABLE, 32, INDIRECT, 0 } }, { { TABLE, 16, INDIRECT, 0 } } },
	{ "queue: an indirect descriptor with a successor", true, { { TABLE, 16, INDIRECT | NEXT, 1 } }, { { DATA, 4, 0, 0 } } },
	{ "queue: an indirect table of a bad size", true, { { TABLE, 0, INDIRECT, 0 } }, { { 0 } } },
	{ "queue: an indirect table of a bad size", true, { { TABLE, 17, INDIRECT, 0 } }, { { 0 } } },
	{ "queue: an indirect table of a bad size", true, { { TABLE, 16 * 1025, INDIRECT, 0 } }, { { 0 } } },
	{ "queue: an indirect table that is not in memory", true, { { MEM - 8, 16, INDIRECT, 0 } }, { { 0 } } },
	{ "queue: a descriptor number past the table's end", true, { { TABLE, 32, INDIRECT, 0 } }, { { DATA, 4, NEXT, 2 } } },
	{ "queue: descriptors in a circle", true, { { TABLE, 32, INDIRECT, 0 } }, { { DATA, 4, NEXT, 1 }, { DATA, 4, NEXT, 0 } } },
};

static void a_broken_chain_breaks_the_queue(void)
{
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct rig r;

		rig_open(&r, false, broken[i].indirect);
		put(&r, DESC, broken[i].d, sizeof(broken[i].d));
		put(&r, TABLE, broken[i].t, sizeof(broken[i].t));
		offer(&r, 0);
		expect_broken(&r, broken[i].why);
	}
}

static void a_broken_ring_breaks_the_queue(void)
{
	struct rig r;

	rig_open(&r, false, false);
	put16(&r, AVAIL + 2, N + 1);
	expect_broken(&r, "queue: more requests than it has entries");
	rig_open(&r, false, false);
	offer(&r, N);
	expect_broken(&r, "queue: a descriptor number past the table's end");
	rig_open(&r, false, false);
	desc(&r, 0, DATA, 4, WRITE, 0);
	offer(&r, 0);
	offer(&r, 0);
	expect(pop(&r) == 1);
	expect_broken(&r, "queue: a request that is already being worked on");
}

static void a_request_given_back_twice_counts_once(void)
{
	struct rig r;

	rig_open(&r, false, false);
	desc(&r, 0, DATA, 4, WRITE, 0);
	offer(&r, 0);
	expect(pop(&r) == 1);
	virtq_push(&r.q, &r.c, 4);
	virtq_push(&r.q, &r.c, 4);
	expect(get16(&r, USED + 2) == 1);
	guest_mem_release(&r.mem);
}

static void a_layout_that_cannot_work_is_refused(void)
{
	static const struct virtq_layout bad[] = {
		{ 0, DESC, AVAIL, USED },     { 3, DESC, AVAIL, USED },     { 2048, DESC, AVAIL, USED },
		{ N, DESC + 8, AVAIL, USED }, { N, DESC, AVAIL + 1, USED }, { N, DESC, AVAIL, USED + 2 },
		{ N, MEM, AVAIL, USED },      { N, DESC, MEM - 2, USED },   { N, DESC, AVAIL, UINT64_MAX - 3 },
	};
	struct rig r;

	rig_open(&r, false, false);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect(virtq_start(&r.q, &r.mem, &bad[i], false, false, &r.e) == -EINVAL);
	guest_mem_release(&r.mem);
}

/* ---- registers, with the entropy device behind them ---- */

struct machine {
	struct guest_mem mem;
	struct virtio_rng rng;
	struct virtio_mmio m;
	unsigned irqs;
};

static void count_irq(void *arg)
{
	((struct machine *)arg)->irqs++;
}

static void machine_open(struct machine *v)
{
	struct err e;

	memset(v, 0, sizeof(*v));
	expect(guest_mem_create(MEM, &v->mem, &e) == 0);
	virtio_rng_init(&v->rng, &v->mem);
	virtio_mmio_init(&v->m, &v->rng.device, count_irq, v);
}

static uint32_t rd(struct machine *v, uint64_t reg)
{
	return (uint32_t)virtio_mmio_read(&v->m, reg, 4);
}

static void wr(struct machine *v, uint64_t reg, uint32_t value)
{
	virtio_mmio_write(&v->m, reg, 4, value);
}

static void negotiate(struct machine *v)
{
	wr(v, VIRTIO_MMIO_STATUS, VIRTIO_ACKNOWLEDGE);
	wr(v, VIRTIO_MMIO_STATUS, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
	wr(v, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	wr(v, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	wr(v, VIRTIO_MMIO_STATUS, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
}

static void set_queue(struct machine *v, uint64_t desc)
{
	wr(v, VIRTIO_MMIO_QUEUE_SEL, 0);
	wr(v, VIRTIO_MMIO_QUEUE_NUM, N);
	wr(v, VIRTIO_MMIO_QUEUE_DESC, (uint32_t)desc);
	wr(v, VIRTIO_MMIO_QUEUE_DESC + 4, (uint32_t)(desc >> 32));
	wr(v, VIRTIO_MMIO_QUEUE_DRIVER, AVAIL);
	wr(v, VIRTIO_MMIO_QUEUE_DEVICE, USED);
	wr(v, VIRTIO_MMIO_QUEUE_READY, 1);
}

static void drive(struct machine *v)
{
	negotiate(v);
	set_queue(v, DESC);
	wr(v, VIRTIO_MMIO_STATUS, 15);
}

static void the_entropy_device_answers(void)
{
	struct machine v;
	struct virtq_desc d = { DATA, 32, WRITE, 0 };
	uint16_t one = 1, used = 0;
	uint8_t bytes[32] = { 0 }, zero[32] = { 0 };

	machine_open(&v);
	expect(rd(&v, VIRTIO_MMIO_MAGIC) == 0x74726976 && rd(&v, VIRTIO_MMIO_VERSION) == 2 && rd(&v, VIRTIO_MMIO_DEVICE_ID) == 4);
	drive(&v);
	expect(rd(&v, VIRTIO_MMIO_STATUS) == 15);
	expect(guest_write(&v.mem, DESC, &d, sizeof(d)) && guest_write(&v.mem, AVAIL + 2, &one, 2));
	wr(&v, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	expect(guest_read(&v.mem, USED + 2, &used, 2) && used == 1);
	expect(guest_read(&v.mem, DATA, bytes, 32) && memcmp(bytes, zero, 32) != 0);
	expect(v.irqs == 1 && rd(&v, VIRTIO_MMIO_INTERRUPT_STATUS) == VIRTIO_IRQ_QUEUE);
	wr(&v, VIRTIO_MMIO_INTERRUPT_ACK, 1);
	expect(rd(&v, VIRTIO_MMIO_INTERRUPT_STATUS) == 0);
	wr(&v, VIRTIO_MMIO_STATUS, 0);
	expect(rd(&v, VIRTIO_MMIO_STATUS) == 0 && !v.rng.device.active);
	guest_mem_release(&v.mem);
}

static void features_not_offered_or_too_old_are_not_agreed_upon(void)
{
	struct machine v;

	machine_open(&v);
	wr(&v, VIRTIO_MMIO_STATUS, 3);
	wr(&v, VIRTIO_MMIO_STATUS, 11);
	expect(rd(&v, VIRTIO_MMIO_STATUS) == 3); /* no VERSION_1 */
	wr(&v, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	wr(&v, VIRTIO_MMIO_DRIVER_FEATURES, 3);
	wr(&v, VIRTIO_MMIO_STATUS, 11);
	expect(rd(&v, VIRTIO_MMIO_STATUS) == 3); /* bit 33 is not offered */
	wr(&v, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	wr(&v, VIRTIO_MMIO_STATUS, 11);
	expect(rd(&v, VIRTIO_MMIO_STATUS) == 11);
	wr(&v, VIRTIO_MMIO_DRIVER_FEATURES, 3); /* too late */
	expect(v.m.driver_features == VIRTIO_F_VERSION_1);
	guest_mem_release(&v.mem);
}

static void a_queue_does_not_change_once_the_driver_is_ready(void)
{
	struct machine v;
	uint16_t one = 1, used = 0;
	struct virtq_desc d = { DATA, 32, WRITE, 0 };

	machine_open(&v);
	drive(&v);
	set_queue(&v, MEM);
	wr(&v, VIRTIO_MMIO_QUEUE_NUM, 3);
	wr(&v, VIRTIO_MMIO_QUEUE_READY, 0);
	expect(rd(&v, VIRTIO_MMIO_QUEUE_READY) == 1 && v.m.layout[0].desc == DESC && v.m.layout[0].size == N);
	expect(guest_write(&v.mem, DESC, &d, sizeof(d)) && guest_write(&v.mem, AVAIL + 2, &one, 2));
	wr(&v, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	expect(guest_read(&v.mem, USED + 2, &used, 2) && used == 1);
	guest_mem_release(&v.mem);
}

static void steps_cannot_be_skipped_nor_taken_back(void)
{
	struct machine v;

	machine_open(&v);
	wr(&v, VIRTIO_MMIO_STATUS, VIRTIO_DRIVER_OK);
	expect(rd(&v, VIRTIO_MMIO_STATUS) == 0 && !v.rng.device.active);
	wr(&v, VIRTIO_MMIO_STATUS, VIRTIO_FEATURES_OK);
	expect(rd(&v, VIRTIO_MMIO_STATUS) == 0);
	set_queue(&v, DESC);
	expect(rd(&v, VIRTIO_MMIO_QUEUE_READY) == 0);
	wr(&v, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	drive(&v);
	wr(&v, VIRTIO_MMIO_STATUS, VIRTIO_ACKNOWLEDGE);
	expect(rd(&v, VIRTIO_MMIO_STATUS) == 15);
	guest_mem_release(&v.mem);
}

static void a_bad_queue_asks_for_a_reset_and_gets_over_it(void)
{
	struct machine v;
	uint16_t many = 100;

	machine_open(&v);
	negotiate(&v);
	set_queue(&v, MEM);
	wr(&v, VIRTIO_MMIO_STATUS, 15);
	expect(rd(&v, VIRTIO_MMIO_STATUS) == (15 | VIRTIO_NEEDS_RESET) &&
	       rd(&v, VIRTIO_MMIO_INTERRUPT_STATUS) == VIRTIO_IRQ_CONFIG);
	wr(&v, VIRTIO_MMIO_STATUS, 0);
	drive(&v);
	expect(rd(&v, VIRTIO_MMIO_STATUS) == 15);
	expect(guest_write(&v.mem, AVAIL + 2, &many, 2));
	wr(&v, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	expect(rd(&v, VIRTIO_MMIO_STATUS) == (15 | VIRTIO_NEEDS_RESET));
	wr(&v, VIRTIO_MMIO_STATUS, 0);
	expect(rd(&v, VIRTIO_MMIO_STATUS) == 0);
	guest_mem_release(&v.mem);
}

static void odd_accesses_are_answered_with_nothing(void)
{
	struct machine v;

	machine_open(&v);
	expect(virtio_mmio_read(&v.m, VIRTIO_MMIO_MAGIC, 1) == 0 && virtio_mmio_read(&v.m, VIRTIO_MMIO_MAGIC, 8) == 0);
	expect(virtio_mmio_read(&v.m, 2, 4) == 0 && virtio_mmio_read(&v.m, VIRTIO_MMIO_CONFIG, 4) == 0);
	wr(&v, VIRTIO_MMIO_QUEUE_SEL, 1);
	expect(rd(&v, VIRTIO_MMIO_QUEUE_NUM_MAX) == 0);
	wr(&v, VIRTIO_MMIO_QUEUE_SEL, UINT32_MAX);
	wr(&v, VIRTIO_MMIO_QUEUE_NUM, 8);
	expect(rd(&v, VIRTIO_MMIO_QUEUE_NUM_MAX) == 0 && rd(&v, VIRTIO_MMIO_QUEUE_READY) == 0);
	wr(&v, VIRTIO_MMIO_DEVICE_FEATURES_SEL, UINT32_MAX);
	expect(rd(&v, VIRTIO_MMIO_DEVICE_FEATURES) == 0);
	guest_mem_release(&v.mem);
}

/* Seeded, so that a failure comes again. */
static uint32_t dice(uint64_t *s)
{
	*s = *s * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*s >> 33);
}

static void a_million_random_accesses_leave_the_device_usable(void)
{
	static const uint32_t regs[] = { 0x14, 0x20, 0x24, 0x30, 0x38, 0x44, 0x50, 0x64,
					 0x70, 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4, 0x100 };
	uint64_t seed = 7;
	struct machine v;

	machine_open(&v);
	for (unsigned i = 0; i < 1000000; i++) {
		uint32_t x = dice(&seed);

		if (x % 64 == 0)
			drive(&v);
		else if (x % 8 == 0)
			virtio_mmio_read(&v.m, dice(&seed) % VIRTIO_MMIO_SIZE, 1u << x / 8 % 4);
		else if (x % 8 == 1)
			expect(guest_write(&v.mem, DESC + dice(&seed) % 0x3000, &x, 4));
		else
			virtio_mmio_write(&v.m, x % 3 ? regs[x / 8 % 16] : dice(&seed) % VIRTIO_MMIO_SIZE, 4,
					  x % 5 ? dice(&seed) % 16 : dice(&seed) << 1);
	}
	wr(&v, VIRTIO_MMIO_STATUS, 0);
	guest_mem_release(&v.mem);
	machine_open(&v);
	drive(&v);
	expect(rd(&v, VIRTIO_MMIO_STATUS) == 15);
	guest_mem_release(&v.mem);
}

TAP_MAIN(CASE(segments_are_one_run_of_bytes), CASE(a_range_lies_in_memory_as_a_whole_or_not_at_all),
	 CASE(memory_is_shared_by_descriptor_and_cannot_shrink), CASE(memory_that_its_holder_could_shrink_is_refused),
	 CASE(memory_begins_at_a_multiple_of_2_mib), CASE(large_pages_are_made_where_most_of_them_will_be_used),
	 CASE(a_request_is_read_answered_and_given_back), CASE(a_queue_goes_round),
	 CASE(the_driver_is_interrupted_only_when_it_asked), CASE(with_event_index_the_driver_names_the_request_it_waits_for),
	 CASE(an_indirect_table_is_followed), CASE(an_empty_buffer_is_no_part), CASE(a_broken_chain_breaks_the_queue),
	 CASE(a_broken_ring_breaks_the_queue), CASE(a_request_given_back_twice_counts_once),
	 CASE(a_layout_that_cannot_work_is_refused), CASE(the_entropy_device_answers),
	 CASE(features_not_offered_or_too_old_are_not_agreed_upon), CASE(a_queue_does_not_change_once_the_driver_is_ready),
	 CASE(steps_cannot_be_skipped_nor_taken_back), CASE(a_bad_queue_asks_for_a_reset_and_gets_over_it),
	 CASE(odd_accesses_are_answered_with_nothing), CASE(a_million_random_accesses_leave_the_device_usable))
