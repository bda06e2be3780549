/* test_virtio_balloon.c - memory that goes back to the host */
#include "hwvirt-sandbox/virtio/balloon.h"

#include "driver.h"

#include <sys/stat.h>

enum { INFLATE, DEFLATE, REPORTING, BY_SPECIFICATION = 4 };
enum { PAGE = 4096, FREE = 0x300000, N_FREE = 32, PAGE_REPORTING = 1 << 5 };

static struct rig {
	struct driver d;
	struct virtio_balloon b;
} r;

static void rig_open(uint32_t features)
{
	static uint8_t full[N_FREE * PAGE];
	struct err e;

	memset(&r, 0, sizeof(r));
	memset(full, 0xaa, sizeof(full));
	expect(guest_mem_create(DRIVER_MEM, &r.d.mem, &e) == 0);
	virtio_balloon_init(&r.b, &r.d.mem);
	virtio_mmio_init(&r.d.m, &r.b.device, driver_irq, &r.d);
	driver_start(&r.d, &r.b.device, features);
	driver_put(&r.d, FREE, full, sizeof(full));
}

static void rig_close(void)
{
	driver_wr(&r.d, VIRTIO_MMIO_STATUS, 0);
	guest_mem_release(&r.d.mem);
}

/* Pages of the host that the guest's memory takes. */
static long blocks(void)
{
	struct stat st;

	expect(fstat(r.d.mem.fd, &st) == 0);
	return st.st_blocks * 512 / PAGE;
}

static bool full(unsigned page)
{
	uint8_t v = 0;

	driver_get(&r.d, FREE + (uint64_t)page * PAGE, &v, 1);
	return v == 0xaa;
}

static void offer(unsigned q, struct virtq_desc desc)
{
	uint32_t head = 9, written = 9;

	driver_describe(&r.d, q, 0, desc);
	driver_offer(&r.d, q, 0);
	driver_notify(&r.d, q);
	expect(driver_done(&r.d, q, &head, &written) && head == 0 && written == 0);
}

static void put_in(unsigned q, const uint32_t *pages, size_t n)
{
	driver_put(&r.d, driver_buf(q, 0), pages, n * sizeof(*pages));
	offer(q, (struct virtq_desc){ driver_buf(q, 0), (uint32_t)(n * sizeof(*pages)), 0, 0 });
}

static void pages_in_the_balloon_are_the_hosts_again(void)
{
	const uint32_t pages[] = { FREE / PAGE + 1, FREE / PAGE + 2, FREE / PAGE + 3, FREE / PAGE + 9, FREE / PAGE + 8 };
	long before;

	rig_open(0);
	before = blocks();
	put_in(INFLATE, pages, 5);
	expect(before - blocks() >= 4); /* the list itself may have taken one */
	expect(full(0) && !full(1) && !full(2) && !full(3) && full(4) && full(7) && !full(8) && !full(9) && full(10));
	put_in(DEFLATE, pages, 5);
	driver_put(&r.d, FREE + PAGE, "x", 1);
	expect(driver_status(&r.d) == 15);
	rig_close();
}

static void pages_that_are_no_memory_are_passed_over(void)
{
	const uint32_t pages[] = { DRIVER_MEM / PAGE, UINT32_MAX, FREE / PAGE + 1, DRIVER_MEM / PAGE - 1,
				   DRIVER_MEM / PAGE, 0xd0000,    0x100000 };

	rig_open(0);
	put_in(INFLATE, pages, 7);
	expect(full(0) && !full(1) && full(2) && driver_status(&r.d) == 15);
	driver_put(&r.d, driver_buf(INFLATE, 0), pages, 3);
	offer(INFLATE, (struct virtq_desc){ driver_buf(INFLATE, 0), 3, 0, 0 }); /* less than a number */
	expect(driver_status(&r.d) == 15);
	rig_close();
}

static void a_list_that_is_too_long_breaks_the_queue(void)
{
	rig_open(0);
	driver_describe(&r.d, INFLATE, 0, (struct virtq_desc){ driver_buf(INFLATE, 0), PAGE + 4, 0, 0 });
	driver_offer(&r.d, INFLATE, 0);
	driver_notify(&r.d, INFLATE);
	expect(driver_status(&r.d) == (15 | VIRTIO_NEEDS_RESET) && full(0));
	rig_close();
}

static void free_ranges_go_back_as_whole_pages(void)
{
	for (unsigned q = REPORTING; q <= BY_SPECIFICATION; q += 2) {
		rig_open(PAGE_REPORTING);
		offer(q, (struct virtq_desc){ FREE + PAGE, 4 * PAGE, D_WRITE, 0 });
		expect(full(0) && !full(1) && !full(4) && full(5));
		offer(q, (struct virtq_desc){ FREE + 8 * PAGE + 1, 2 * PAGE, D_WRITE, 0 });
		expect(full(8) && !full(9) && full(10));
		offer(q, (struct virtq_desc){ FREE + 12 * PAGE + 1, PAGE - 2, D_WRITE, 0 });
		expect(full(12));
		offer(q, (struct virtq_desc){ FREE + 12 * PAGE, PAGE, 0, 0 }); /* to be read: not free */
		expect(full(12));
		rig_close();
	}
}

static void without_the_feature_nothing_is_reported(void)
{
	rig_open(0);
	offer(REPORTING, (struct virtq_desc){ FREE, 4 * PAGE, D_WRITE, 0 });
	expect(full(0) && full(3));
	rig_close();
}

static void the_guest_is_told_how_much_is_wanted_and_tells_what_it_gave(void)
{
	rig_open(0);
	virtio_balloon_set(&r.b, 77);
	expect(r.d.irqs == 1 && virtio_mmio_read(&r.d.m, VIRTIO_MMIO_CONFIG, 4) == 77);
	virtio_mmio_write(&r.d.m, VIRTIO_MMIO_CONFIG, 4, 5); /* not the guest's to write */
	virtio_mmio_write(&r.d.m, VIRTIO_MMIO_CONFIG + 4, 4, 70);
	virtio_mmio_write(&r.d.m, VIRTIO_MMIO_CONFIG + 6, 8, 70);
	expect(r.b.target == 77 && r.b.actual == 70);
	expect(virtio_mmio_read(&r.d.m, VIRTIO_MMIO_CONFIG, 8) == (70ull << 32 | 77));
	rig_close();
}

TAP_MAIN(CASE(pages_in_the_balloon_are_the_hosts_again), CASE(pages_that_are_no_memory_are_passed_over),
	 CASE(a_list_that_is_too_long_breaks_the_queue), CASE(free_ranges_go_back_as_whole_pages),
	 CASE(without_the_feature_nothing_is_reported), CASE(the_guest_is_told_how_much_is_wanted_and_tells_what_it_gave))
