#include "hwvirt-sandbox/initramfs.h"

#include <elf.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { AGENT_MAX = 32 << 20, HEAD = 110, ALIGN = 4 };

struct entry {
	const char *name;
	unsigned mode, major, minor;
	const void *data;
	size_t len;
};

static size_t padded(size_t n)
{
	return (n + ALIGN - 1) / ALIGN * ALIGN;
}

static size_t entry_size(const struct entry *f)
{
	return padded(HEAD + strlen(f->name) + 1) + padded(f->len);
}

/* Magic, then 13 numbers of 8 hex digits: inode, mode, uid, gid, links, mtime, size, device of the file, device number, length of
 * the name with its NUL, checksum (unused). The archive is zero where nothing is written. */
static unsigned char *put_entry(unsigned char *at, unsigned ino, const struct entry *f)
{
	char head[HEAD + 1];
	size_t name = strlen(f->name) + 1;

	(void)snprintf(head, sizeof(head), "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", ino, f->mode, 0u, 0u, 1u,
		       0u, (unsigned)f->len, 0u, 0u, f->major, f->minor, (unsigned)name, 0u);
	memcpy(at, head, HEAD);
	memcpy(at + HEAD, f->name, name);
	if (f->len)
		memcpy(at + padded(HEAD + name), f->data, f->len);
	return at + entry_size(f);
}

static int check_agent(const void *agent, size_t len, struct err *e)
{
	Elf64_Ehdr h;

	if (len < sizeof(h) || len > AGENT_MAX)
		return err_set(e, EINVAL, "the agent has %zu bytes", len);
	memcpy(&h, agent, sizeof(h));
	if (memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 || h.e_ident[EI_CLASS] != ELFCLASS64)
		return err_set(e, EINVAL, "the agent is no ELF program");
	for (size_t i = 0; i < h.e_phnum; i++) {
		Elf64_Phdr p;

		if (h.e_phentsize != sizeof(p) || h.e_phoff > len || (len - h.e_phoff) / sizeof(p) <= i)
			return err_set(e, EINVAL, "the agent's program headers are outside the file");
		memcpy(&p, (const char *)agent + h.e_phoff + i * sizeof(p), sizeof(p));
		if (p.p_type == PT_INTERP)
			return err_set(e, EINVAL, "the agent is not linked statically");
	}
	return 0;
}

int initramfs_build(const void *agent, size_t len, void **out, size_t *out_len, struct err *e)
{
	const struct entry entries[] = {
		{ .name = "dev", .mode = S_IFDIR | 0755 },
		{ .name = "dev/console", .mode = S_IFCHR | 0600, .major = 5, .minor = 1 },
		{ .name = "init", .mode = S_IFREG | 0755, .data = agent, .len = len },
		{ .name = "TRAILER!!!" },
	};
	size_t n = sizeof(entries) / sizeof(*entries), size = 0;
	int r = check_agent(agent, len, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		size += entry_size(&entries[i]);
	unsigned char *archive = calloc(1, size), *at = archive;

	if (!archive)
		abort();
	for (size_t i = 0; i < n; i++)
		at = put_entry(at, (unsigned)i + 1, &entries[i]);
	*out = archive;
	*out_len = size;
	return 0;
}
