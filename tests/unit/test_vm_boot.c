/* test_vm_boot.c - what a guest finds at its start: images right, wrong and hostile, tables, CPUID, command line */
#include "base/cleanup.h"
#include "base/sys.h"
#include "hwvirt-sandbox/x86/boot.h"
#include "hwvirt-sandbox/x86/cmdline.h"
#include "hwvirt-sandbox/x86/cpuid.h"
#include "hwvirt-sandbox/x86/layout.h"
#include "hwvirt-sandbox/x86/mptable.h"
#include "tap.h"

#include <asm/bootparam.h>
#include <elf.h>
#include <linux/kvm.h>
#include <stdlib.h>

enum { MEM = 8 << 20, AT = 0x200000, FILE_MAX = 0x3000 };

/* An image file, and a guest to load it into. */
struct rig {
	struct guest_mem mem;
	uint8_t file[FILE_MAX];
	size_t size;
	struct boot_source s;
	struct boot_entry entry;
	struct err e;
};

static void rig_open(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	r->s = (struct boot_source){ .kernel_fd = -EBADF, .initrd_fd = -EBADF, .cmdline = "one two", .n_cpus = 1 };
	expect(guest_mem_create(MEM, &r->mem, &r->e) == 0);
}

static void rig_close(struct rig *r)
{
	close_fd(&r->s.initrd_fd);
	guest_mem_release(&r->mem);
}

static int file_of(const void *bytes, size_t n)
{
	int fd = sys_memfd_create("image", SYS_MFD_CLOEXEC);

	expect(write(fd, bytes, n) == (ssize_t)n);
	return fd;
}

static int load(struct rig *r)
{
	int got;

	r->s.kernel_fd = file_of(r->file, r->size);
	got = boot_load(&r->mem, &r->s, &r->entry, &r->e);
	close_fd(&r->s.kernel_fd);
	return got;
}

static Elf64_Ehdr *header(struct rig *r)
{
	return (Elf64_Ehdr *)r->file;
}

static Elf64_Phdr *segment(struct rig *r, unsigned i)
{
	return (Elf64_Phdr *)(r->file + sizeof(Elf64_Ehdr)) + i;
}

/* Two segments: 16 bytes and as many zeros at AT, and a note that names AT + 4 as the entry. */
static void make_elf(struct rig *r)
{
	static const uint32_t note[] = { 4, 4, 18, 0x006e6558, AT + 4 };
	Elf64_Ehdr h = {
		.e_machine = EM_X86_64, .e_entry = AT, .e_phoff = sizeof(h), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2
	};

	rig_open(r);
	memcpy(h.e_ident, "\177ELF\2\1\1", 7);
	memcpy(r->file, &h, sizeof(h));
	*segment(r, 0) = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = 0x1000, .p_paddr = AT, .p_filesz = 16, .p_memsz = 32 };
	*segment(r, 1) = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = 0x1100, .p_filesz = sizeof(note) };
	memcpy(r->file + 0x1000, "sixteen bytes !!", 16);
	memcpy(r->file + 0x1100, note, sizeof(note));
	r->size = 0x1200;
}

static uint32_t get32(struct rig *r, uint64_t gpa)
{
	uint32_t v = 0;

	expect(guest_read(&r->mem, gpa, &v, sizeof(v)));
	return v;
}

static uint64_t get64(struct rig *r, uint64_t gpa)
{
	return get32(r, gpa) | (uint64_t)get32(r, gpa + 4) << 32;
}

static void elf_with_a_note_begins_by_pvh(void)
{
	struct rig r;
	char text[16];

	make_elf(&r);
	r.s.initrd_fd = file_of("an initrd", 9);
	expect(load(&r) == 0);
	expect(r.entry.kind == IMAGE_PVH && r.entry.ip == AT + 4 && r.entry.info == X86_START_INFO);
	expect(guest_read(&r.mem, AT, text, 16) && !memcmp(text, "sixteen bytes !!", 16));
	expect(get32(&r, X86_START_INFO) == 0x336ec578);
	expect(get64(&r, X86_START_INFO + 24) == X86_CMDLINE);
	expect(guest_read(&r.mem, X86_CMDLINE, text, 8) && !memcmp(text, "one two", 8));
	expect(get32(&r, X86_START_INFO + 12) == 1);
	expect(get64(&r, get64(&r, X86_START_INFO + 16)) == MEM - 4096); /* the initrd, in the last page */
	expect(get64(&r, get64(&r, X86_START_INFO + 16) + 8) == 9);
	expect(guest_read(&r.mem, MEM - 4096, text, 9) && !memcmp(text, "an initrd", 9));
	expect(get32(&r, X86_START_INFO + 48) == 2);
	expect(get64(&r, get64(&r, X86_START_INFO + 40) + 24) == 0x100000);
	rig_close(&r);
}

static void elf_without_a_note_begins_in_64_bit_mode(void)
{
	struct rig r;

	make_elf(&r);
	header(&r)->e_phnum = 1;
	expect(load(&r) == 0);
	expect(r.entry.kind == IMAGE_LINUX64 && r.entry.ip == AT && r.entry.info == X86_ZERO_PAGE);
	expect(get64(&r, X86_PAGE_TABLES) == X86_PAGE_TABLES + 0x1003);
	expect(get64(&r, X86_PAGE_TABLES + 0x1000 + 3 * 8) == X86_PAGE_TABLES + 0x5003);
	expect(get64(&r, X86_PAGE_TABLES + 0x5000 + 511 * 8) == (0xffe00000ull | 0x83));
	expect(get32(&r, X86_ZERO_PAGE + 0x228) == X86_CMDLINE);
	rig_close(&r);
}

/* Loads after a change to a good file; an error, and never more. */
static void expect_refused(struct rig *r, int code)
{
	int got = load(r);

	if (got != -code)
		printf("# %d %s\n", got, got < 0 ? r->e.text : "");
	expect(got == -code);
	rig_close(r);
}

static void hostile_headers_are_refused(void)
{
	struct rig r;

	make_elf(&r);
	header(&r)->e_machine = EM_AARCH64;
	expect_refused(&r, ENOEXEC);
	make_elf(&r);
	header(&r)->e_phnum = 65535;
	expect_refused(&r, ENOEXEC);
	make_elf(&r);
	header(&r)->e_phoff = UINT64_MAX - 8;
	expect_refused(&r, ENOEXEC);
	make_elf(&r);
	header(&r)->e_phentsize = 1;
	expect_refused(&r, ENOEXEC);
	make_elf(&r);
	header(&r)->e_phnum = 1;
	header(&r)->e_entry = AT + 32;
	expect_refused(&r, ENOEXEC);
	make_elf(&r);
	r.size = 3;
	expect_refused(&r, ENOEXEC);
	make_elf(&r);
	r.size = 0x1008; /* ends within a segment */
	expect_refused(&r, ENOEXEC);
}

static void hostile_segments_are_refused(void)
{
	static const Elf64_Phdr bad[] = {
		{ .p_offset = 0x1000, .p_paddr = AT, .p_filesz = 33, .p_memsz = 32 },
		{ .p_offset = UINT64_MAX - 4, .p_paddr = AT, .p_filesz = 16, .p_memsz = 32 },
		{ .p_offset = 0x1000, .p_paddr = 0x1000, .p_filesz = 16, .p_memsz = 16 },
		{ .p_offset = 0x1000, .p_paddr = MEM - 8, .p_filesz = 16, .p_memsz = 16 },
		{ .p_offset = 0x1000, .p_paddr = AT, .p_filesz = 16, .p_memsz = UINT64_MAX },
		{ .p_offset = 0x1000, .p_paddr = UINT64_MAX - 7, .p_filesz = 16, .p_memsz = 16 },
		{ .p_offset = 0x1000, .p_paddr = GUEST_HOLE, .p_filesz = 16, .p_memsz = 16 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct rig r;
		int got;

		make_elf(&r);
		*segment(&r, 0) = bad[i];
		segment(&r, 0)->p_type = PT_LOAD;
		got = load(&r);
		if (got >= 0)
			printf("# segment %zu\n", i);
		expect(got == -ENOEXEC || got == -E2BIG);
		rig_close(&r);
	}
}

static void hostile_notes_name_no_entry(void)
{
	static const uint32_t bad[][5] = {
		{ 0xffffffff, 4, 18, 0x006e6558, AT + 4 }, { 4, 0xffffffff, 18, 0x006e6558, AT + 4 },
		{ 4, 3, 18, 0x006e6558, AT + 4 },          { 5, 4, 18, 0x006e6558, AT + 4 },
		{ 4, 4, 17, 0x006e6558, AT + 4 },          { 4, 4, 18, 0x006e6559, AT + 4 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct rig r;

		make_elf(&r);
		memcpy(r.file + 0x1100, bad[i], sizeof(bad[i]));
		expect(load(&r) == 0 && r.entry.kind == IMAGE_LINUX64);
		rig_close(&r);
	}
}

static void entry_of_a_note_must_be_loaded(void)
{
	struct rig r;

	make_elf(&r);
	memcpy(r.file + 0x1110, &(uint32_t){ 0xfffffff0 }, 4);
	expect_refused(&r, ENOEXEC);
	make_elf(&r);
	segment(&r, 1)->p_filesz = 1 << 20;
	expect_refused(&r, ENOEXEC);
}

static void linux_with_both_entries_begins_in_64_bit_mode(void)
{
	static const uint32_t more[] = { 6, 1, 0x101, 0x756e694c, 0x78, 0 };
	struct rig r;

	make_elf(&r);
	memcpy(r.file + 0x1114, more, sizeof(more));
	segment(&r, 1)->p_filesz += sizeof(more);
	expect(load(&r) == 0 && r.entry.kind == IMAGE_LINUX64 && r.entry.ip == AT);
	rig_close(&r);
}

static struct setup_header *setup(struct rig *r)
{
	return (struct setup_header *)(r->file + SETUP_HEADER_AT);
}

/* One sector of real-mode code after the first, then a kernel of 0x800 bytes. */
static void make_bzimage(struct rig *r)
{
	rig_open(r);
	*setup(r) = (struct setup_header){
		.setup_sects = 1,
		.boot_flag = 0xaa55,
		.jump = 0xeb | 0x6a << 8,
		.header = 0x53726448,
		.version = 0x20c,
		.loadflags = LOADED_HIGH,
		.xloadflags = XLF_KERNEL_64,
		.initrd_addr_max = 0x7fffffff,
		.cmdline_size = 2047,
		.pref_address = AT,
		.init_size = 0x10000,
		.hardware_subarch_data = 7,
	};
	r->size = 0x400 + 0x800;
	memcpy(r->file + 0x400, "the kernel", 10);
}

static void bzimage_begins_at_its_64_bit_entry(void)
{
	struct rig r;
	char text[10];

	make_bzimage(&r);
	r.s.initrd_fd = file_of("an initrd", 9);
	expect(load(&r) == 0);
	expect(r.entry.kind == IMAGE_LINUX64 && r.entry.ip == AT + 0x200);
	expect(guest_read(&r.mem, AT, text, 10) && !memcmp(text, "the kernel", 10));
	expect(get32(&r, X86_ZERO_PAGE + 0x202) == 0x53726448);
	expect(get64(&r, X86_ZERO_PAGE + 0x240) == 7); /* its own header came back */
	expect(get32(&r, X86_ZERO_PAGE + 0x218) == MEM - 4096 && get32(&r, X86_ZERO_PAGE + 0x21c) == 9);
	rig_close(&r);
}

static void hostile_bzimages_are_refused(void)
{
	struct rig r;

	make_bzimage(&r);
	setup(&r)->version = 0x20b;
	expect_refused(&r, ENOEXEC);
	make_bzimage(&r);
	setup(&r)->xloadflags = 0;
	expect_refused(&r, ENOEXEC);
	make_bzimage(&r);
	setup(&r)->setup_sects = 255;
	expect_refused(&r, ENOEXEC);
	make_bzimage(&r);
	setup(&r)->init_size = 0x700; /* less than it is */
	expect_refused(&r, E2BIG);
	make_bzimage(&r);
	setup(&r)->init_size = 0xffffffff;
	expect_refused(&r, E2BIG);
	make_bzimage(&r);
	setup(&r)->pref_address = UINT64_MAX - 0x1000;
	expect_refused(&r, E2BIG);
	make_bzimage(&r);
	setup(&r)->pref_address = 0x8000;
	expect_refused(&r, E2BIG);
	make_bzimage(&r);
	setup(&r)->cmdline_size = 6;
	expect_refused(&r, E2BIG);
	make_bzimage(&r);
	r.size = 0x220;
	expect_refused(&r, ENOEXEC);
	make_bzimage(&r);
	setup(&r)->header = 0;
	expect_refused(&r, ENOEXEC);
}

static void initrd_finds_room_or_none(void)
{
	struct guest_mem mem = { .low_size = MEM };
	struct image k = { .end = 0x300000, .initrd_max = UINT32_MAX };

	expect(boot_initrd_place(&mem, &k, 4096) == MEM - 4096);
	expect(boot_initrd_place(&mem, &k, 1) == MEM - 4096);
	expect(boot_initrd_place(&mem, &k, MEM - 0x300000) == 0x300000);
	expect(boot_initrd_place(&mem, &k, MEM - 0x300000 + 1) == 0);
	expect(boot_initrd_place(&mem, &k, UINT64_MAX) == 0);
	k.initrd_max = 0x3fffff;
	expect(boot_initrd_place(&mem, &k, 4096) == 0x3ff000);
	k.initrd_max = 0xfff;
	expect(boot_initrd_place(&mem, &k, 16) == 0);
}

static void memory_has_its_hole(void)
{
	struct guest_mem mem = { .low_size = GUEST_HOLE, .high_size = 1 << 20 };
	struct boot_range m[3];

	expect(boot_memory_map(&mem, m) == 3);
	expect(m[0].base == 0 && m[0].len == X86_LOW_END);
	expect(m[1].base == 0x100000 && m[1].base + m[1].len == GUEST_HOLE);
	expect(m[2].base == GUEST_HIGH && m[2].len == 1 << 20);
}

static void guest_without_memory_for_a_start_is_refused(void)
{
	struct guest_mem mem;
	struct err e;

	expect(guest_mem_create(0x9000, &mem, &e) == 0);
	expect(mptable_write(&mem, 1, &e) == -E2BIG);
	guest_mem_release(&mem);
}

static uint8_t sum(struct rig *r, uint64_t at, size_t n)
{
	uint8_t bytes[4096], total = 0;

	expect(n <= sizeof(bytes) && guest_read(&r->mem, at, bytes, n));
	for (size_t i = 0; i < n; i++)
		total = (uint8_t)(total + bytes[i]);
	return total;
}

static void processors_are_in_the_table(void)
{
	struct rig r;
	uint32_t table;

	rig_open(&r);
	expect(mptable_write(&r.mem, 64, &r.e) == 0);
	expect(get32(&r, X86_MP_POINTER) == 0x5f504d5f);
	expect(sum(&r, X86_MP_POINTER, 16) == 0);
	table = get32(&r, X86_MP_POINTER + 4);
	expect(get32(&r, table) == 0x504d4350);
	expect(sum(&r, table, get32(&r, table + 4) & 0xffff) == 0);
	expect((get32(&r, table + 34) & 0xffff) == 64 + 1 + 1 + 24 + 2);
	expect(get32(&r, table + 44) == 0x03140000);           /* the first: to boot from */
	expect(get32(&r, table + 44 + 63 * 20) == 0x01143f00); /* the last */
	rig_close(&r);
}

/* ---- CPUID ---- */
static struct kvm_cpuid_entry2 *find(struct kvm_cpuid2 *l, uint32_t function, uint32_t index)
{
	for (uint32_t i = 0; i < l->nent; i++) {
		if (l->entries[i].function == function && l->entries[i].index == index)
			return &l->entries[i];
	}
	return NULL;
}

static struct kvm_cpuid2 *new_leaves(void)
{
	return calloc(1, sizeof(struct kvm_cpuid2) + CPUID_ENTRIES_MAX * sizeof(struct kvm_cpuid_entry2));
}

static struct kvm_cpuid2 *filtered(const struct cpuid_topology *t)
{
	static const struct kvm_cpuid_entry2 given[] = {
		{ .function = 0, .eax = 0xd },
		{ .function = 1, .ebx = 0x12345678, .ecx = UINT32_MAX & ~(1u << 31 | 1u << 24), .edx = UINT32_MAX },
		{ .function = 4, .index = 0, .eax = 0xfffffc21 },
		{ .function = 4, .index = 3, .eax = 0xfffffc63 },
		{ .function = 4, .index = 4 },
		{ .function = 0xa, .eax = UINT32_MAX, .ebx = 1, .ecx = 2, .edx = 3 },
		{ .function = 0xb, .eax = 5, .ebx = 77, .edx = 9 },
		{ .function = 0xd, .eax = 7 },
		{ .function = 0x40000001, .eax = 0x1234 },
		{ .function = 0x80000001, .ecx = UINT32_MAX },
		{ .function = 0x80000008, .eax = 0x3030, .ecx = 0x71ff },
		{ .function = 0x8000000a, .eax = 1 },
		{ .function = 0x8000001e, .eax = 99, .ebx = 98, .ecx = 97 },
	};
	struct kvm_cpuid2 *l = new_leaves();

	l->nent = sizeof(given) / sizeof(given[0]);
	memcpy(l->entries, given, sizeof(given));
	cpuid_filter(l, t);
	return l;
}

static void cpuid_has_no_virtualisation_and_no_counters(void)
{
	auto_free struct kvm_cpuid2 *l = filtered(&(struct cpuid_topology){ .n_cpus = 1 });

	expect(!(find(l, 1, 0)->ecx & (1u << 5)));
	expect(find(l, 1, 0)->ecx >> 31);
	expect(!(find(l, 1, 0)->ecx & (1u << 24)));
	expect(!(find(l, 0x80000001, 0)->ecx & (1u << 2)));
	expect(find(l, 0xa, 0)->eax == 0 && find(l, 0xa, 0)->edx == 0);
	expect(find(l, 0x8000000a, 0)->eax == 0);
	expect(find(l, 0x40000001, 0)->eax == 0x1234);
	expect(find(l, 0xd, 0)->eax == 7);
}

static void cpuid_tells_the_processors_apart(void)
{
	auto_free struct kvm_cpuid2 *l = filtered(&(struct cpuid_topology){ .apic_id = 2, .n_cpus = 3, .tsc_deadline = true });

	expect(find(l, 1, 0)->ebx == 0x02035678);
	expect(find(l, 1, 0)->ecx & (1u << 24));
	expect(find(l, 1, 0)->edx & (1u << 28));
	expect(find(l, 4, 0)->eax == (0x0c000000 | 0x3c21));
	expect(find(l, 4, 3)->eax == (0x0c00c000 | 0x3c63));
	expect(find(l, 4, 4)->eax == 0);
	expect(find(l, 0xb, 0)->ebx == 1 && find(l, 0xb, 0)->ecx == 0x100 && find(l, 0xb, 0)->edx == 2);
	expect(find(l, 0xb, 1)->eax == 2 && find(l, 0xb, 1)->ebx == 3 && find(l, 0xb, 1)->ecx == 0x201);
	expect(find(l, 0xb, 2)->ebx == 0);
	expect(!find(l, 0x1f, 0));
	expect(find(l, 0x80000008, 0)->ecx == 0x2102 || find(l, 0x80000008, 0)->ecx == 0x2002);
	expect(find(l, 0x8000001e, 0)->eax == 2 && find(l, 0x8000001e, 0)->ecx == 0);
}

static void cpuid_of_one_has_no_siblings(void)
{
	auto_free struct kvm_cpuid2 *l = filtered(&(struct cpuid_topology){ .n_cpus = 1 });

	expect(!(find(l, 1, 0)->edx & (1u << 28)));
	expect(find(l, 0xb, 1)->eax == 0 && find(l, 0xb, 1)->ebx == 1);
}

static void full_cpuid_is_not_overrun(void)
{
	auto_free struct kvm_cpuid2 *l = new_leaves();

	l->nent = CPUID_ENTRIES_MAX;
	for (uint32_t i = 0; i < CPUID_ENTRIES_MAX; i++)
		l->entries[i].function = i == 3 ? 0xb : 0x40000000;
	cpuid_filter(l, &(struct cpuid_topology){ .n_cpus = 2 });
	expect(l->nent == CPUID_ENTRIES_MAX);
}

static void cmdline_names_the_devices(void)
{
	char out[4096];
	struct err e;
	struct cmdline_plan p = { .more = "-- last", .n_devices = 2, .serial = true };

	expect(cmdline_write(&p, out, sizeof(out), &e) == 0);
	expect(strstr(out, " virtio_mmio.device=4K@0xd0000000:5 virtio_mmio.device=4K@0xd0001000:6 -- last") != NULL);
	expect(strstr(out, "console=ttyS0") != NULL && strstr(out, "quiet") == NULL);
	expect(cmdline_write(&p, out, 64, &e) == -E2BIG);
	p.more = "two\nlines";
	expect(cmdline_write(&p, out, sizeof(out), &e) == -EINVAL);
	p = (struct cmdline_plan){ .n_devices = 0 };
	expect(cmdline_write(&p, out, sizeof(out), &e) == 0);
	expect(strstr(out, "quiet 8250.nr_uarts=0") != NULL && strstr(out, "virtio_mmio") == NULL);
}

TAP_MAIN(CASE(elf_with_a_note_begins_by_pvh), CASE(elf_without_a_note_begins_in_64_bit_mode),
	 CASE(linux_with_both_entries_begins_in_64_bit_mode), CASE(hostile_headers_are_refused), CASE(hostile_segments_are_refused),
	 CASE(hostile_notes_name_no_entry), CASE(entry_of_a_note_must_be_loaded), CASE(bzimage_begins_at_its_64_bit_entry),
	 CASE(hostile_bzimages_are_refused), CASE(initrd_finds_room_or_none), CASE(memory_has_its_hole),
	 CASE(guest_without_memory_for_a_start_is_refused), CASE(processors_are_in_the_table),
	 CASE(cpuid_has_no_virtualisation_and_no_counters), CASE(cpuid_tells_the_processors_apart),
	 CASE(cpuid_of_one_has_no_siblings), CASE(full_cpuid_is_not_overrun), CASE(cmdline_names_the_devices))
