/* mptable.c - built in one piece, with its two checksums */
#include "hwvirt-sandbox/x86/mptable.h"

#include "hwvirt-sandbox/x86/layout.h"

#include <string.h>

enum { CPU = 0, BUS = 1, IOAPIC = 2, LINE = 3, LOCAL_LINE = 4 }; /* kinds of entries */
enum { INT = 0, NMI = 1, EXTINT = 3 };                           /* kinds of interrupts */
enum { ENABLED = 1, BOOT = 2, APIC_VERSION = 0x14, ALL_APICS = 0xff };
enum { TABLE_MAX = X86_MP_POINTER - X86_MP_TABLE };

struct pointer {
	char signature[4];
	uint32_t table;
	uint8_t length, revision, checksum, features[5];
};

struct header {
	char signature[4];
	uint16_t length;
	uint8_t revision, checksum;
	char oem[8], product[12];
	uint32_t oem_table;
	uint16_t oem_size, n_entries;
	uint32_t lapic, reserved;
};

struct cpu {
	uint8_t kind, id, version, flags;
	uint32_t signature, features, reserved[2];
};

struct bus {
	uint8_t kind, id;
	char name[6];
};

struct ioapic {
	uint8_t kind, id, version, flags;
	uint32_t address;
};

struct line {
	uint8_t kind, type;
	uint16_t flags;
	uint8_t from_bus, from_line, to_apic, to_pin;
};

struct table {
	uint8_t bytes[TABLE_MAX];
	size_t len;
	uint16_t n_entries;
};

static void add(struct table *t, const void *entry, size_t len)
{
	if (len > sizeof(t->bytes) - t->len)
		return; /* the processors are few enough: see VCPUS_MAX */
	memcpy(t->bytes + t->len, entry, len);
	t->len += len;
	t->n_entries++;
}

static uint8_t checksum(const void *p, size_t len)
{
	const uint8_t *at = p;
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *at++);
	return (uint8_t)-sum;
}

static void add_lines(struct table *t, uint8_t ioapic)
{
	for (unsigned i = 0; i < X86_IOAPIC_LINES; i++) {
		struct line l = { .kind = LINE, .type = INT, .from_line = (uint8_t)i, .to_apic = ioapic, .to_pin = (uint8_t)i };

		add(t, &l, sizeof(l));
	}
	add(t, &(struct line){ .kind = LOCAL_LINE, .type = EXTINT, .to_apic = 0, .to_pin = 0 }, sizeof(struct line));
	add(t, &(struct line){ .kind = LOCAL_LINE, .type = NMI, .to_apic = ALL_APICS, .to_pin = 1 }, sizeof(struct line));
}

static void add_all(struct table *t, unsigned n_cpus)
{
	struct ioapic io = { .kind = IOAPIC, .id = (uint8_t)n_cpus, .version = 0x11, .flags = 1, .address = X86_IOAPIC };

	for (unsigned i = 0; i < n_cpus; i++) {
		struct cpu c = {
			.kind = CPU,
			.id = (uint8_t)i,
			.version = APIC_VERSION,
			.flags = i ? ENABLED : ENABLED | BOOT,
			.signature = 0x600,
			.features = 0x201, /* FPU, APIC */
		};

		add(t, &c, sizeof(c));
	}
	add(t, &(struct bus){ .kind = BUS, .name = { 'I', 'S', 'A', ' ', ' ', ' ' } }, sizeof(struct bus));
	add(t, &io, sizeof(io));
	add_lines(t, io.id);
}

static void finish(struct table *t)
{
	struct header h = {
		.signature = { 'P', 'C', 'M', 'P' },
		.length = (uint16_t)t->len,
		.revision = 4,
		.oem = { 'D', 'R', 'U', 'P', 'E', ' ', ' ', ' ' },
		.product = { 'M', 'I', 'C', 'R', 'O', 'V', 'M', ' ', ' ', ' ', ' ', ' ' },
		.n_entries = t->n_entries,
		.lapic = X86_LAPIC,
	};

	memcpy(t->bytes, &h, sizeof(h));
	h.checksum = checksum(t->bytes, t->len);
	memcpy(t->bytes, &h, sizeof(h));
}

int mptable_write(const struct guest_mem *mem, unsigned n_cpus, struct err *e)
{
	struct pointer p = { .signature = { '_', 'M', 'P', '_' }, .table = X86_MP_TABLE, .length = 1, .revision = 4 };
	struct table t = { .len = sizeof(struct header) };

	add_all(&t, n_cpus);
	finish(&t);
	p.checksum = checksum(&p, sizeof(p));
	if (!guest_write(mem, X86_MP_TABLE, t.bytes, t.len) || !guest_write(mem, X86_MP_POINTER, &p, sizeof(p)))
		return err_set(e, E2BIG, "the guest has too little memory for a table of its processors");
	return 0;
}
