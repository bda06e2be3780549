/* guest.c - a guest of a few functions, for a KVM that only emulates: no kernel, no library, no SSE
 *
 * Which of the cases runs is the word after "case=" in its command line. It says on the serial port what went wrong, and ends by
 * the exit port: 0 is good.
 */
#include <stddef.h>
#include <stdint.h>

enum { SERIAL = 0x3f8, EXIT = 0xf4, I8042 = 0x64, CMD_LINE_PTR = 0x228 };
enum { VECTOR = 0x40, IOAPIC_LINE = 5, AP_CODE = 0x8000, COUNTER = 0x300000, PAGE = 0x400000 };
enum { RNG, CONSOLE, BALLOON, VSOCK, FS, UNUSED = 18 }; /* slots; FS only for its case */
#define DEVICE 0xd0000000ul
#define SLOT   0x1000ul
#define IOAPIC 0xfec00000ul
#define LAPIC  0xfee00000ul

extern volatile uint32_t interrupts;
extern uint8_t ap_code[], ap_code_end[];
void on_interrupt(void);
void guest_main(const uint8_t *zero_page);
void ap_main(void);

static void out8(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static void write32(uint64_t at, uint32_t v)
{
	*(volatile uint32_t *)at = v;
}

static uint32_t read32(uint64_t at)
{
	return *(volatile uint32_t *)at;
}

static void say(const char *s)
{
	for (; *s; s++)
		out8(SERIAL, (uint8_t)*s);
}

static void finish(uint8_t status)
{
	out8(EXIT, status);
	for (;;)
		__asm__ volatile("hlt");
}

static void check(int good, const char *what)
{
	if (good)
		return;
	say(what);
	say("\n");
	finish(1);
}

/* ---- interrupts ---- */
struct gate {
	uint16_t low, selector, flags, middle;
	uint32_t high, zero;
};

static struct gate idt[VECTOR + 1];

static void interrupts_on(void)
{
	uint64_t at = (uint64_t)on_interrupt;
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, (uint64_t)idt };

	idt[VECTOR] = (struct gate){ (uint16_t)at, 0x10, 0x8e00, (uint16_t)(at >> 16), (uint32_t)(at >> 32), 0 };
	__asm__ volatile("lidt %0" : : "m"(idtr));
	out8(0x21, 0xff); /* the old controllers are silent */
	out8(0xa1, 0xff);
	write32(LAPIC + 0xf0, 0x1ff);
	write32(IOAPIC, 0x10 + 2 * IOAPIC_LINE + 1);
	write32(IOAPIC + 0x10, 0);
	write32(IOAPIC, 0x10 + 2 * IOAPIC_LINE);
	write32(IOAPIC + 0x10, VECTOR);
}

/* Sleeps until there were n. */
static void wait_interrupts(uint32_t n)
{
	for (;;) {
		__asm__ volatile("cli");
		if (interrupts >= n)
			return;
		__asm__ volatile("sti; hlt");
	}
}

/* ---- a virtio driver ---- */
enum { DRIVER = 0x20, DRIVER_SEL = 0x24, SEL = 0x30, NUM_MAX = 0x34, NUM = 0x38, READY = 0x44, NOTIFY = 0x50, ACK = 0x64 };
enum { STATUS = 0x70, DESC = 0x80, AVAIL = 0x90, USED = 0xa0, ENTRIES = 8, WRITE = 2, NEXT = 1 };

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

static struct ring {
	_Alignas(16) struct desc desc[ENTRIES];
	_Alignas(2) volatile uint16_t avail[2 + ENTRIES + 1];
	_Alignas(4) volatile uint32_t used[1 + 2 * ENTRIES + 1];
	volatile uint8_t data[64];
} q, rx;

/* What the driver drives. */
static uint64_t device = DEVICE;
static uint32_t queue;

static void set(unsigned reg, uint32_t v)
{
	write32(device + reg, v);
}

static uint32_t get(unsigned reg)
{
	return read32(device + reg);
}

static void set64(unsigned reg, uint64_t v)
{
	set(reg, (uint32_t)v);
	set(reg + 4, (uint32_t)(v >> 32));
}

static void ring_on(uint32_t index, const struct ring *r, uint64_t desc, uint32_t entries)
{
	set(SEL, index);
	set(NUM, entries);
	set64(DESC, desc);
	set64(AVAIL, (uint64_t)r->avail);
	set64(USED, (uint64_t)r->used);
	set(READY, 1);
}

static void driver_on(uint64_t desc, uint32_t entries)
{
	set(STATUS, 0);
	set(STATUS, 3);
	set(DRIVER_SEL, 1);
	set(DRIVER, 1); /* VIRTIO_F_VERSION_1 */
	set(STATUS, 11);
	if (queue) /* what comes in has a ring, too */
		ring_on(0, &rx, (uint64_t)rx.desc, ENTRIES);
	ring_on(queue, &q, desc, entries);
	set(STATUS, 15);
}

static uint16_t used_index(void)
{
	return (uint16_t)(q.used[0] >> 16);
}

static void offer(uint16_t head)
{
	uint16_t index = q.avail[1];

	q.avail[2 + index % ENTRIES] = head;
	q.avail[1] = (uint16_t)(index + 1);
	set(NOTIFY, queue);
}

static void rings_empty(void)
{
	q.avail[1] = 0;
	q.used[0] = 0;
}

/* Bytes from the entropy device: the write to NOTIFY is an ioeventfd, the answer an irqfd. */
static void rng(void)
{
	unsigned sum = 0;

	rings_empty();
	driver_on((uint64_t)q.desc, ENTRIES);
	check(get(STATUS) == 15, "the device does not work");
	for (uint16_t n = 1; n <= 3; n++) {
		q.desc[n] = (struct desc){ (uint64_t)q.data, sizeof(q.data), WRITE, 0 };
		offer(n);
		while (used_index() != n)
			wait_interrupts(interrupts + 1);
		check(get(0x60) & 1, "no reason for the interrupt");
		set(ACK, 1);
		check(q.used[1 + 2 * (n - 1)] == n && q.used[2 + 2 * (n - 1)] == sizeof(q.data), "not the right request");
	}
	for (size_t i = 0; i < sizeof(q.data); i++)
		sum |= q.data[i];
	check(sum != 0, "64 bytes of nothing are not random");
}

/* ---- the cases ---- */
static void case_hello(void)
{
	say("hello\n");
	finish(7);
}

static void case_mmio(void)
{
	check(get(0) == 0x74726976, "no device in the first slot");
	check(get(8) == 4, "not the entropy device");
	check(read32(DEVICE + UNUSED * SLOT) == 0xffffffff, "something where no device is");
	write32(DEVICE + UNUSED * SLOT, 1);
	check(get(NUM_MAX) == 64, "not its queue");
}

static void case_rng(void)
{
	interrupts_on();
	rng();
}

/* The device thread needs a moment, and a device's own process more. */
enum { PATIENCE = 2000000 };

static void expect_broken(const char *what)
{
	for (unsigned i = 0; i < PATIENCE; i++) {
		if (get(STATUS) & 64)
			return;
	}
	check(0, what);
}

/* A request that runs in a circle, to queue n of the device in a slot. */
static void circle(unsigned slot, uint32_t n)
{
	device = DEVICE + slot * SLOT;
	queue = n;
	for (unsigned i = 0; i < ENTRIES; i++)
		q.desc[i] = (struct desc){ (uint64_t)q.data, 8, NEXT | WRITE, (uint16_t)((i + 1) % ENTRIES) };
	rings_empty();
	driver_on((uint64_t)q.desc, ENTRIES);
	offer(0);
	expect_broken("a circle was worked on");
}

/* A ring that runs in a circle, one outside memory, a descriptor outside memory: each stops the device until it is reset. */
static void case_hostile(void)
{
	interrupts_on();
	circle(RNG, 0);

	driver_on(~0xffful, ENTRIES);
	check(get(STATUS) & 64, "a ring at the end of the world was taken");
	driver_on((uint64_t)q.desc, 3);
	check(get(STATUS) & 64, "a ring of 3 was taken");

	rings_empty();
	q.desc[0] = (struct desc){ DEVICE, 4096, WRITE, 0 };
	driver_on((uint64_t)q.desc, ENTRIES);
	offer(0);
	expect_broken("a device's registers were written to");

	set(STATUS, 0); /* reset, while requests wait */
	check(get(STATUS) == 0, "no reset");
	rng();
}

/* Has one request worked on, by queue n of the device in a slot, and what was offered for incoming filled. */
static void ask(unsigned slot, uint32_t n, const void *what, uint32_t len)
{
	device = DEVICE + slot * SLOT;
	queue = n;
	rings_empty();
	q.desc[0] = (struct desc){ (uint64_t)what, len, 0, 0 };
	driver_on((uint64_t)q.desc, ENTRIES);
	check(get(STATUS) == 15, "the device does not work");
	offer(0);
	for (unsigned i = 0; i < PATIENCE && (used_index() != 1 || rx.used[0] >> 16 != rx.avail[1]); i++)
		check(get(STATUS) == 15, "the device broke");
	check(used_index() == 1, "not used");
	set(STATUS, 0);
}

static void case_console(void)
{
	ask(CONSOLE, 1, "by the console\n", 15);
}

/* A page put into the balloon is empty when it is used again. */
static void case_balloon(void)
{
	uint32_t page = PAGE / 4096;

	write32(PAGE, 1);
	write32(PAGE + 4096, 1);
	ask(BALLOON, 0, &page, sizeof(page));
	check(read32(PAGE) == 0, "the page was kept");
	check(read32(PAGE + 4096) == 1, "so was not the next one");
}

/* A connection to port 77 of the host. */
static void case_vsock(void)
{
	static const struct {
		uint64_t from, to;
		uint32_t from_port, to_port, len;
		uint16_t type, op;
		uint32_t flags, room, taken;
	} __attribute__((packed)) request = { 3, 2, 1000, 77, 0, 1, 1, 0, 4096, 0 };

	rx.desc[0] = (struct desc){ (uint64_t)rx.data, sizeof(rx.data), WRITE, 0 };
	rx.avail[1] = 1;
	ask(VSOCK, 1, &request, sizeof(request));
	check(rx.used[0] >> 16 == 1 && rx.data[30] == 3, "it was not refused");
}

/* Each device stops until it is reset, and works then. */
static void case_circles(void)
{
	circle(CONSOLE, 1);
	case_console();
	circle(BALLOON, 0);
	case_balloon();
	circle(VSOCK, 1);
	case_vsock();
}

static struct {
	uint32_t len, opcode;
	uint64_t unique, node;
	uint32_t ids[4];
	union {
		uint32_t init[16]; /* major, minor... */
		char name[64];
	} body;
} request;
static struct {
	uint32_t len;
	int32_t error;
	uint64_t unique;
	uint32_t major, rest[63];
} answer;

static void fuse_begin(uint32_t opcode, uint32_t body_len)
{
	device = DEVICE + FS * SLOT;
	queue = 1;
	rings_empty();
	request.len = 40 + body_len;
	request.opcode = opcode;
	request.unique++;
	request.node = 1;
	answer.error = 1;
	q.desc[0] = (struct desc){ (uint64_t)&request, request.len, NEXT, 1 };
	q.desc[1] = (struct desc){ (uint64_t)&answer, sizeof(answer), WRITE, 0 };
	driver_on((uint64_t)q.desc, ENTRIES);
	check(get(STATUS) == 15, "the device does not work");
	offer(0);
}

static int fuse_ask(uint32_t opcode, uint32_t body_len)
{
	fuse_begin(opcode, body_len);
	for (unsigned i = 0; i < PATIENCE && used_index() != 1; i++)
		check(get(STATUS) == 15, "the device broke");
	check(used_index() == 1, "no answer");
	check(answer.unique == request.unique, "the answer to something else");
	return ((volatile const int32_t *)&answer.error)[0];
}

static void fuse_hello(void)
{
	request.body.init[0] = 7;
	request.body.init[1] = 36;
	check(fuse_ask(26, 64) == 0 && answer.major == 7, "no session");
}

/* A session; a name that leads out of the share; resets as requests are worked on; a circle. */
static void case_fs(void)
{
	fuse_hello();
	request.body.name[0] = request.body.name[1] = '.';
	request.body.name[2] = 0;
	check(fuse_ask(1, 3) == -22, "the share's parent was looked up");
	for (unsigned i = 0; i < 20; i++) {
		fuse_begin(1, 3);
		set(STATUS, 0);
	}
	request.body.init[3] = 0;
	fuse_hello();
	circle(FS, 1);
	fuse_hello();
	set(STATUS, 0);
}

/* Requests are withdrawn by a reset as they are worked on. */
static void case_resets(void)
{
	interrupts_on();
	q.desc[0] = (struct desc){ (uint64_t)q.data, sizeof(q.data), WRITE, 0 };
	for (int i = 0; i < 50; i++) {
		rings_empty();
		driver_on((uint64_t)q.desc, ENTRIES);
		offer(0);
		set(STATUS, 0);
	}
	rng();
}

/* Requests without end, and without waiting for answers. */
static void case_storm(void)
{
	for (unsigned i = 0; i < ENTRIES; i++)
		q.desc[i] = (struct desc){ (uint64_t)q.data, sizeof(q.data), WRITE, 0 };
	for (;;) {
		rings_empty();
		driver_on((uint64_t)q.desc, ENTRIES);
		for (uint16_t i = 0; !(get(STATUS) & 64); i++) {
			offer(i % ENTRIES);
			write32(COUNTER, read32(COUNTER) + 1);
		}
	}
}

static volatile uint32_t ap_there;

void ap_main(void)
{
	ap_there = 1 + (read32(LAPIC + 0x20) >> 24);
}

static void case_smp(void)
{
	for (size_t i = 0; i < (size_t)(ap_code_end - ap_code); i++)
		((volatile uint8_t *)AP_CODE)[i] = ap_code[i];
	write32(LAPIC + 0xf0, 0x1ff);
	write32(LAPIC + 0x310, 1u << 24);
	write32(LAPIC + 0x300, 0x4500); /* INIT */
	write32(LAPIC + 0x310, 1u << 24);
	write32(LAPIC + 0x300, 0x4600 | AP_CODE >> 12); /* start */
	while (!ap_there)
		;
	check(ap_there == 2, "not the second processor");
}

static void case_spin(void)
{
	for (;;)
		write32(COUNTER, read32(COUNTER) + 1);
}

static void case_sleep(void)
{
	__asm__ volatile("cli; hlt");
}

static void case_reset(void)
{
	out8(I8042, 0xfe);
	case_sleep();
}

static void case_triple(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0, 0 };

	__asm__ volatile("lidt %0; ud2" : : "m"(none));
}

/* Instructions where a device is: KVM can't. */
static void case_broken(void)
{
	((void (*)(void))(DEVICE + 0x1000000))();
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{ "hello", case_hello },     { "mmio", case_mmio },     { "rng", case_rng },       { "hostile", case_hostile },
	{ "smp", case_smp },         { "spin", case_spin },     { "sleep", case_sleep },   { "reset", case_reset },
	{ "triple", case_triple },   { "broken", case_broken }, { "resets", case_resets }, { "console", case_console },
	{ "balloon", case_balloon }, { "vsock", case_vsock },   { "storm", case_storm },   { "circles", case_circles },
	{ "fs", case_fs },
};

/* NULL, or what follows word in s. */
static const char *after(const char *s, const char *word)
{
	for (; *s; s++) {
		size_t i = 0;

		while (word[i] && s[i] == word[i])
			i++;
		if (!word[i])
			return s + i;
	}
	return NULL;
}

static int same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

void guest_main(const uint8_t *zero_page)
{
	const char *name = after((const char *)(uint64_t) * (const uint32_t *)(zero_page + CMD_LINE_PTR), "case=");

	for (size_t i = 0; name && i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (same(name, cases[i].name)) {
			cases[i].run();
			finish(0);
		}
	}
	say("no such case\n");
	finish(2);
}
