/* devreplay.c - a device of VM mode without a virtual machine, driven by lines on stdin
 *
 * The same device and transport code as in the VMM; the lines are what a guest would do. One reply line each, "ok ..." or "err
 * ...". Numbers are hexadecimal, but for counts. For tests with hostile rings and requests, and to look at a device by hand.
 *
 *   M BYTES                        memory of the guest; first, once
 *   W GPA HEX                      write bytes               R GPA LEN   read them
 *   X REG WIDTH VALUE              write a register          G REG WIDTH read one
 *   Q IDX NUM DESC AVAIL USED      set up a queue, by its registers
 *   K IDX                          notify
 *   S                              running, needs_reset or stopped; and the number of interrupts
 */
#include "hwvirt-sandbox/virtio/mmio.h"
#include "hwvirt-sandbox/virtio/rng.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_MAX = 65536 };

struct replay {
	struct guest_mem mem;
	struct virtio_rng rng;
	struct virtio_mmio mmio;
	unsigned long irqs;
};

static void irq(void *arg)
{
	((struct replay *)arg)->irqs++;
}

static int reply_err(const char *why)
{
	return printf("err %s\n", why);
}

/* The next hexadecimal number of the line; false at its end, or if it is none. */
static bool number(char **at, uint64_t *out)
{
	char *end;

	while (isspace((unsigned char)**at))
		(*at)++;
	if (!isxdigit((unsigned char)**at))
		return false;
	*out = strtoull(*at, &end, 16);
	*at = end;
	return *end == '\0' || isspace((unsigned char)*end);
}

static bool numbers(char *at, uint64_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!number(&at, &out[i]))
			return false;
	}
	return true;
}

static int do_memory(struct replay *r, char *args)
{
	uint64_t size = strtoull(args, NULL, 10);
	struct err e;

	if (r->mem.base)
		return reply_err("there is memory already");
	if (guest_mem_create(size, &r->mem, &e) < 0)
		return reply_err(e.text);
	virtio_rng_init(&r->rng, &r->mem);
	virtio_mmio_init(&r->mmio, &r->rng.device, irq, r);
	return printf("ok\n");
}

/* c is a hexadecimal digit. */
static unsigned nibble(char c)
{
	return isdigit((unsigned char)c) ? (unsigned)(c - '0') : ((unsigned)c | 32) - 'a' + 10;
}

static int do_write(struct replay *r, char *args)
{
	static uint8_t bytes[BYTES_MAX];
	uint64_t gpa;
	size_t n = 0;

	if (!number(&args, &gpa))
		return reply_err("W GPA HEX");
	while (isspace((unsigned char)*args))
		args++;
	for (; isxdigit((unsigned char)args[0]) && isxdigit((unsigned char)args[1]) && n < sizeof(bytes); args += 2)
		bytes[n++] = (uint8_t)(nibble(args[0]) << 4 | nibble(args[1]));
	return guest_write(&r->mem, gpa, bytes, n) ? printf("ok %zu\n", n) : reply_err("not in memory");
}

static int do_read(struct replay *r, char *args)
{
	static uint8_t bytes[BYTES_MAX];
	uint64_t v[2];

	if (!numbers(args, v, 2) || v[1] > sizeof(bytes))
		return reply_err("R GPA LEN");
	if (!guest_read(&r->mem, v[0], bytes, v[1]))
		return reply_err("not in memory");
	printf("ok ");
	for (size_t i = 0; i < v[1]; i++)
		printf("%02x", bytes[i]);
	return printf("\n");
}

static int do_set(struct replay *r, char *args)
{
	uint64_t v[3];

	if (!numbers(args, v, 3) || v[0] >= VIRTIO_MMIO_SIZE || v[1] == 0 || v[1] > 8)
		return reply_err("X REG WIDTH VALUE");
	virtio_mmio_write(&r->mmio, v[0], (unsigned)v[1], v[2]);
	return printf("ok\n");
}

static int do_get(struct replay *r, char *args)
{
	uint64_t v[2];

	if (!numbers(args, v, 2) || v[0] >= VIRTIO_MMIO_SIZE || v[1] == 0 || v[1] > 8)
		return reply_err("G REG WIDTH");
	return printf("ok %" PRIx64 "\n", virtio_mmio_read(&r->mmio, v[0], (unsigned)v[1]));
}

static int do_queue(struct replay *r, char *args)
{
	uint64_t v[5];

	if (!numbers(args, v, 5))
		return reply_err("Q IDX NUM DESC AVAIL USED");
	virtio_mmio_write(&r->mmio, VIRTIO_MMIO_QUEUE_SEL, 4, v[0]);
	virtio_mmio_write(&r->mmio, VIRTIO_MMIO_QUEUE_NUM, 4, v[1]);
	for (unsigned part = 0; part < 3; part++) {
		virtio_mmio_write(&r->mmio, VIRTIO_MMIO_QUEUE_DESC + 16 * part, 4, v[2 + part] & 0xffffffff);
		virtio_mmio_write(&r->mmio, VIRTIO_MMIO_QUEUE_DESC + 16 * part + 4, 4, v[2 + part] >> 32);
	}
	virtio_mmio_write(&r->mmio, VIRTIO_MMIO_QUEUE_READY, 4, 1);
	return printf("ok\n");
}

static int do_kick(struct replay *r, char *args)
{
	uint64_t i;

	if (!number(&args, &i))
		return reply_err("K IDX");
	virtio_mmio_write(&r->mmio, VIRTIO_MMIO_QUEUE_NOTIFY, 4, i);
	return printf("ok\n");
}

static int do_state(struct replay *r, char *args)
{
	const struct virtio_device *d = r->mmio.device;

	(void)args;
	return printf("ok %s %lu\n", d->needs_reset ? "needs_reset" : d->active ? "running" : "stopped", r->irqs);
}

static void line(struct replay *r, char *s)
{
	static const struct {
		char letter;
		int (*act)(struct replay *r, char *args);
	} table[] = { { 'W', do_write }, { 'R', do_read }, { 'X', do_set },  { 'G', do_get },
		      { 'Q', do_queue }, { 'K', do_kick }, { 'S', do_state } };

	if (s[0] == 'M') {
		do_memory(r, s + 1);
		return;
	}
	if (!r->mem.base) {
		reply_err("no memory yet: M BYTES");
		return;
	}
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].letter == s[0]) {
			table[i].act(r, s + 1);
			return;
		}
	}
	reply_err("unknown command");
}

int main(int argc, char **argv)
{
	static struct replay r = { .mem = { .fd = -1 } };
	static char text[2 * BYTES_MAX + 64];

	if (argc > 1) {
		fprintf(stderr, "usage: %s <COMMANDS (see the head of its source)\n", argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(text, sizeof(text), stdin)) {
		text[strcspn(text, "\n")] = '\0';
		line(&r, text);
	}
	guest_mem_release(&r.mem);
	return 0;
}
