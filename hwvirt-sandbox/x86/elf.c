/* elf.c - an ELF file for x86-64: its segments to their physical addresses, and its entry for PVH if a note names one and it is no
 * Linux */
#include "hwvirt-sandbox/x86/image.h"
#include "hwvirt-sandbox/x86/layout.h"

#include <elf.h>
#include <inttypes.h>
#include <string.h>

enum { SEGMENTS_MAX = 64, NOTES_MAX = 65536, NOTE_PHYS32_ENTRY = 18 };

struct file {
	int fd;
	uint64_t size;
};

static int check_header(const Elf64_Ehdr *h, struct err *e)
{
	if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_machine != EM_X86_64)
		return err_set(e, ENOEXEC, "an ELF file, but not for x86-64");
	if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == 0 || h->e_phnum > SEGMENTS_MAX)
		return err_set(e, ENOEXEC, "an ELF file with %u segments of %u bytes", h->e_phnum, h->e_phentsize);
	return 0;
}

static int load_segment(const struct guest_mem *mem, const struct file *f, const Elf64_Phdr *p, struct image *out, struct err *e)
{
	int r;

	if (p->p_memsz == 0)
		return 0;
	if (p->p_filesz > p->p_memsz)
		return err_set(e, ENOEXEC, "a segment larger in the file than in memory");
	if (p->p_paddr < X86_KERNEL_MIN || !guest_range(mem, p->p_paddr, p->p_memsz))
		return err_set(e, E2BIG, "a segment of %" PRIu64 " bytes for 0x%" PRIx64 ": the guest has no memory there",
			       p->p_memsz, p->p_paddr);
	guest_populate(mem, p->p_paddr, p->p_memsz);
	r = image_read_guest(mem, f->fd, f->size, p->p_offset, p->p_paddr, p->p_filesz, e);
	if (r < 0)
		return r;
	if (p->p_paddr + p->p_memsz > out->end)
		out->end = p->p_paddr + p->p_memsz;
	return 0;
}

static uint64_t aligned(uint64_t n)
{
	return (n + 3) & ~3ull;
}

struct notes {
	uint32_t pvh_entry; /* 0: none */
	bool is_linux;
};

static bool is_note(const Elf64_Nhdr *n, const uint8_t *has, const char *name)
{
	return n->n_namesz == strlen(name) + 1 && memcmp(has, name, n->n_namesz) == 0;
}

/* A note that does not fit ends the search. */
static void search_notes(const uint8_t *notes, uint64_t len, struct notes *out)
{
	Elf64_Nhdr n;

	for (uint64_t at = 0; at <= len && len - at >= sizeof(n);) {
		uint64_t name = at + sizeof(n), desc;

		memcpy(&n, notes + at, sizeof(n));
		desc = name + aligned(n.n_namesz);
		if (desc > len || n.n_descsz > len - desc)
			return;
		if (n.n_type == NOTE_PHYS32_ENTRY && is_note(&n, notes + name, "Xen") && n.n_descsz >= sizeof(out->pvh_entry))
			memcpy(&out->pvh_entry, notes + desc, sizeof(out->pvh_entry));
		out->is_linux |= is_note(&n, notes + name, "Linux");
		at = desc + aligned(n.n_descsz);
	}
}

static int read_notes(const struct file *f, const Elf64_Phdr *p, struct image *out, struct err *e)
{
	struct notes found = { 0 };
	uint8_t notes[NOTES_MAX];
	int r;

	if (p->p_filesz > sizeof(notes))
		return err_set(e, ENOEXEC, "%" PRIu64 " bytes of notes", p->p_filesz);
	r = image_read(f->fd, f->size, p->p_offset, notes, p->p_filesz, e);
	if (r < 0)
		return r;
	search_notes(notes, p->p_filesz, &found);
	/* Linux that begins by PVH looks for Xen in 256 leaves of CPUID, each an exit: its other entry is as good. */
	if (found.pvh_entry && !found.is_linux) {
		out->entry = found.pvh_entry;
		out->kind = IMAGE_PVH;
	}
	return 0;
}

static int do_segment(const struct guest_mem *mem, const struct file *f, uint64_t at, struct image *out, struct err *e)
{
	Elf64_Phdr p;
	int r = image_read(f->fd, f->size, at, &p, sizeof(p), e);

	if (r < 0)
		return r;
	if (p.p_type == PT_LOAD)
		return load_segment(mem, f, &p, out, e);
	return p.p_type == PT_NOTE ? read_notes(f, &p, out, e) : 0;
}

int image_load_elf(const struct guest_mem *mem, int fd, uint64_t size, struct image *out, struct err *e)
{
	struct image image = { .kind = IMAGE_LINUX64, .initrd_max = UINT32_MAX, .cmdline_max = X86_CMDLINE_MAX - 1 };
	struct file f = { .fd = fd, .size = size };
	Elf64_Ehdr h;
	int r = image_read(fd, size, 0, &h, sizeof(h), e);

	if (r >= 0)
		r = check_header(&h, e);
	if (r < 0)
		return r;
	image.entry = h.e_entry;
	for (unsigned i = 0; i < h.e_phnum; i++) {
		/* Cannot wrap: a table that begins past the file is refused at its first entry. */
		r = do_segment(mem, &f, h.e_phoff + i * sizeof(Elf64_Phdr), &image, e);
		if (r < 0)
			return err_in(e, "segment %u", i);
	}
	if (image.entry < X86_KERNEL_MIN || image.entry >= image.end)
		return err_set(e, ENOEXEC, "it would begin at 0x%" PRIx64 ", where it has nothing", image.entry);
	*out = image;
	return 0;
}
