/* syscalls.c - names and numbers of system calls
 *
 * Theory of operation: constant tables without pointers, so that they stay in the program's file: no relocation, no page of our
 * own. A profile has some four hundred names, mostly in alphabetical order, as the table has them: a name is compared with the call
 * that follows the one before it. Others are found by their hash in a table twice as large as needed, usually at the first or
 * second place.
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

#define CALLS (sizeof(call_entries) / sizeof(call_entries[0]))

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

/* Of the first and last bytes, as short names are the rule: eight, or four, or one; and the length. */
static size_t name_hash(const char *s, size_t len)
{
	const uint64_t factor = 0x9E3779B97F4A7C15;
	uint64_t head = (unsigned char)s[0], tail = len ? (unsigned char)s[len - 1] : 0;

	if (len >= 8) {
		head = load8(s);
		tail = load8(s + len - 8);
	} else if (len >= 4) {
		head = load4(s);
		tail = load4(s + len - 4);
	}
	return (head * factor + (tail ^ len)) * factor >> 54;
}

/* Apart, so that what is mostly done saves no registers for it. */
__attribute__((noinline)) static int find_by_hash(const char *name)
{
	size_t len = strlen(name);

	for (size_t h = name_hash(name, len);; h++) {
		unsigned slot = call_slots[h % CALL_SLOTS];

		if (!slot)
			return -1;
		if (call_entries[slot - 1].len == len && !strcmp(name, call_names + call_entries[slot - 1].name))
			return (int)slot - 1;
	}
}

int syscall_find(const char *name, int before)
{
	unsigned next = (unsigned)before + 1;

	return next < CALLS && !strcmp(name, call_names + call_entries[next].name) ? (int)next : find_by_hash(name);
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
