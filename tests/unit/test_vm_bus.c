/* test_vm_bus.c - who answers at an address, and the serial port */
#include "base/cleanup.h"
#include "base/sys.h"
#include "hwvirt-sandbox/bus.h"
#include "hwvirt-sandbox/serial.h"
#include "tap.h"

#include <stdint.h>

static uint64_t last;

static uint64_t read_offset(void *arg, uint64_t offset, unsigned width)
{
	(void)arg;
	return offset * 16 + width;
}

static void write_last(void *arg, uint64_t offset, unsigned width, uint64_t value)
{
	(void)arg;
	last = offset << 32 | width << 16 | value;
}

static const struct bus_range range = { .base = 0x1000, .len = 0x100, .read = read_offset, .write = write_last };

static void range_answers_what_lies_in_it(void)
{
	struct bus b = { .n = 0 };
	struct err e;

	expect(bus_add(&b, &range, &e) == 0);
	expect(bus_read(&b, 0x1000, 1) == 1);
	expect(bus_read(&b, 0x10fc, 4) == 0xfc4);
	expect(bus_read(&b, 0x10fd, 4) == UINT64_MAX);
	expect(bus_read(&b, 0x0fff, 2) == UINT64_MAX);
	expect(bus_read(&b, 0x1100, 1) == UINT64_MAX);
	expect(bus_read(&b, UINT64_MAX, 8) == UINT64_MAX);
	bus_write(&b, 0x1008, 2, 5);
	expect(last == (8ull << 32 | 2 << 16 | 5));
	bus_write(&b, 0x10ff, 2, 7);
	expect(last == (8ull << 32 | 2 << 16 | 5));
}

static void range_without_handlers_is_silent(void)
{
	struct bus b = { .n = 0 };
	struct err e;

	expect(bus_add(&b, &(struct bus_range){ .base = 4, .len = 4 }, &e) == 0);
	expect(bus_read(&b, 4, 4) == UINT64_MAX);
	bus_write(&b, 4, 4, 0);
}

static void ranges_do_not_overlap(void)
{
	struct bus b = { .n = 0 };
	struct err e;

	expect(bus_add(&b, &range, &e) == 0);
	expect(bus_add(&b, &(struct bus_range){ .base = 0x10ff, .len = 1 }, &e) == -EINVAL);
	expect(bus_add(&b, &(struct bus_range){ .base = 0, .len = UINT64_MAX }, &e) == -EINVAL);
	expect(bus_add(&b, &(struct bus_range){ .base = 0x800, .len = 0x801 }, &e) == -EINVAL);
	expect(bus_add(&b, &(struct bus_range){ .base = 0x800, .len = 0x800 }, &e) == 0);
	expect(bus_add(&b, &(struct bus_range){ .base = 0x1100, .len = 0 }, &e) == -EINVAL);
	expect(bus_add(&b, &(struct bus_range){ .base = UINT64_MAX, .len = 2 }, &e) == -EINVAL);
	expect(bus_add(&b, &(struct bus_range){ .base = UINT64_MAX, .len = 1 }, &e) == 0);
}

static void bus_has_an_end(void)
{
	struct bus b = { .n = 0 };
	struct err e;

	for (uint64_t i = 0; i < BUS_RANGES_MAX; i++)
		expect(bus_add(&b, &(struct bus_range){ .base = i, .len = 1 }, &e) == 0);
	expect(bus_add(&b, &(struct bus_range){ .base = 100, .len = 1 }, &e) == -ENOSPC);
}

/* ---- the serial port ---- */
enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCRATCH };

static unsigned irqs;

static void count(void *arg)
{
	(void)arg;
	irqs++;
}

static const char *output(int fd)
{
	static char text[1024];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static void set(struct serial *s, unsigned reg, uint8_t v)
{
	serial_write(s, reg, 1, v);
}

static uint8_t get(struct serial *s, unsigned reg)
{
	return (uint8_t)serial_read(s, reg, 1);
}

static void serial_sends_lines(void)
{
	auto_fd int fd = sys_memfd_create("out", SYS_MFD_CLOEXEC);
	struct serial s;

	serial_init(&s, fd, NULL, NULL);
	expect(get(&s, LSR) == 0x60);
	for (const char *c = "one\ntwo"; *c; c++)
		set(&s, DATA, (uint8_t)*c);
	expect_str(output(fd), "one\n");
	serial_flush(&s);
	expect_str(output(fd), "one\ntwo");
	for (int i = 0; i < SERIAL_LINE_MAX + 1; i++)
		set(&s, DATA, 'x');
	expect(strlen(output(fd)) == 7 + SERIAL_LINE_MAX);
}

/* What a driver does to find out what chip it has. */
static void serial_is_a_16550(void)
{
	struct serial s;

	serial_init(&s, -EBADF, NULL, NULL);
	set(&s, IER, 0x0f);
	expect(get(&s, IER) == 0x0f);
	set(&s, IER, 0);
	set(&s, MCR, 0x1a);
	expect((get(&s, MSR) & 0xf0) == 0x90);
	set(&s, MCR, 0);
	set(&s, IIR, 1);
	expect((get(&s, IIR) & 0xc0) == 0xc0);
	set(&s, LCR, 0x80);
	set(&s, DATA, 0x0c);
	set(&s, IER, 0x01);
	expect(get(&s, DATA) == 0x0c && get(&s, IER) == 0x01);
	set(&s, LCR, 3);
	expect(get(&s, DATA) == 0 && get(&s, IER) == 0 && get(&s, LCR) == 3);
	set(&s, SCRATCH, 0x5a);
	expect(get(&s, SCRATCH) == 0x5a);
	expect(serial_read(&s, LSR, 4) == UINT64_MAX);
}

static void serial_tells_when_it_has_sent(void)
{
	auto_fd int fd = sys_memfd_create("out", SYS_MFD_CLOEXEC);
	struct serial s;

	irqs = 0;
	serial_init(&s, fd, count, NULL);
	set(&s, DATA, 'a');
	expect(irqs == 0 && (get(&s, IIR) & 0xf) == 1);
	set(&s, IER, 2);
	expect(irqs == 1);
	expect((get(&s, IIR) & 0xf) == 2);
	expect((get(&s, IIR) & 0xf) == 1);
	set(&s, DATA, 'b');
	expect(irqs == 2 && (get(&s, IIR) & 0xf) == 2);
	set(&s, MCR, 0x10); /* looped back: nothing leaves */
	set(&s, DATA, 'c');
	serial_flush(&s);
	expect_str(output(fd), "ab");
}

TAP_MAIN(CASE(range_answers_what_lies_in_it), CASE(range_without_handlers_is_silent), CASE(ranges_do_not_overlap),
	 CASE(bus_has_an_end), CASE(serial_sends_lines), CASE(serial_is_a_16550), CASE(serial_tells_when_it_has_sent))
