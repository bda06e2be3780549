/* syscalls.c - names and numbers of system calls
 *
 * Theory of operation: constant tables without pointers, so that they stay in the program's file: no relocation, no page of our
 * own. A name is found by its hash in a table twice as large as needed, usually at the first or second place; a profile has some
 * four hundred of them.
 */
#include "security/syscalls.h"

#include <stdbool.h>
#include <string.h>

struct call_entry {
	uint16_t name; /* offset in call_names */
	uint8_t len;
	uint8_t via; /* enum call_via */
	uint8_t sub;
};

#include "syscall_table.h"

/* Names are compared by their first and last bytes at once, as short ones are the rule: eight, or four, or one; and their length.
 */
struct name {
	uint64_t head, tail;
	size_t len;
};

static uint64_t load8(const char *s)
{
	uint64_t v;

	memcpy(&v, s, sizeof(v));
	return v;
}

static uint32_t load4(const char *s)
{
	uint32_t v;

	memcpy(&v, s, sizeof(v));
	return v;
}

static struct name name_of(const char *s, size_t len)
{
	if (len >= 8)
		return (struct name){ load8(s), load8(s + len - 8), len };
	if (len >= 4)
		return (struct name){ load4(s), load4(s + len - 4), len };
	return (struct name){ (unsigned char)s[0], len ? (unsigned char)s[len - 1] : 0, len };
}

static bool same_name(const struct name *x, const char *s, const struct call_entry *c)
{
	const char *name = call_names + c->name;

	if (c->len != x->len)
		return false;
	struct name y = name_of(name, c->len);

	if (x->head != y.head || x->tail != y.tail)
		return false;
	return x->len == 3 || x->len > 16 ? !memcmp(s, name, x->len) : true; /* those have more than a head and a tail */
}

static size_t name_hash(const struct name *n)
{
	const uint64_t factor = 0x9E3779B97F4A7C15;

	return (n->head * factor + (n->tail ^ n->len)) * factor >> 54;
}

int syscall_find(const char *name)
{
	size_t len = 0;

	while (name[len])
		len++;
	struct name n = name_of(name, len);

	for (size_t h = name_hash(&n);; h++) {
		unsigned slot = call_slots[h % CALL_SLOTS];

		if (!slot)
			return -1;
		if (same_name(&n, name, &call_entries[slot - 1]))
			return (int)slot - 1;
	}
}

const char *syscall_name(unsigned call)
{
	return call_names + call_entries[call].name;
}

const uint16_t *syscall_table(enum abi abi, size_t *n)
{
	static const uint16_t sizes[ABIS] = { sizeof(calls_of_0) / 2, sizeof(calls_of_1) / 2, sizeof(calls_of_2) / 2 };

	*n = sizes[abi];
	return abi == ABI_X86_64 ? calls_of_0 : abi == ABI_X32 ? calls_of_1 : calls_of_2;
}

enum call_via syscall_via(unsigned call, unsigned *sub)
{
	*sub = call_entries[call].sub;
	return (enum call_via)call_entries[call].via;
}

const uint16_t *syscall_multiplexed(size_t *n)
{
	*n = sizeof(calls_multiplexed) / sizeof(calls_multiplexed[0]);
	return calls_multiplexed;
}
