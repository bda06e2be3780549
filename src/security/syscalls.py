#!/usr/bin/env python3
"""Makes syscall_table.h of syscalls.tbl: constant tables, to be looked up without a comparison of many names.

    syscalls.py syscalls.tbl syscall_table.h
"""
import sys

ABIS = 3  # columns of numbers, in the order of enum abi (syscalls.h)
SLOTS = 1 << 10  # as many bits as a hash has
FACTOR = 0x9E3779B97F4A7C15


def read(path):
    """Yields [name, number or None per ABI, via, sub-call]."""
    for line in open(path, encoding="ascii"):
        if line.startswith("#"):
            continue
        name, *numbers, through = line.split()
        via, _, sub = through.partition(":")
        yield [name, [None if n == "-" else int(n) for n in numbers], via, int(sub or 0)]


def hash_of(name):
    """As name_hash() in syscalls.c, on a little-endian machine."""
    b = name.encode()
    n = 8 if len(b) >= 8 else 4 if len(b) >= 4 else 1
    head, tail = (int.from_bytes(part, "little") for part in (b[:n], b[-n:]))
    return ((head * FACTOR + (tail ^ len(b))) * FACTOR & (1 << 64) - 1) >> 54


def rows(values, per_line=16):
    for i in range(0, len(values), per_line):
        yield "\t" + ", ".join(str(v) for v in values[i : i + per_line]) + ","


def main():
    calls = sorted(read(sys.argv[1]))
    index = {c[0]: i for i, c in enumerate(calls)}
    assert len(index) == len(calls), "a name stands twice"
    assert all(len(c[1]) == ABIS for c in calls)

    slots = [0] * SLOTS  # index + 1
    for i, call in enumerate(calls):
        at = hash_of(call[0])
        while slots[at]:
            at = (at + 1) % SLOTS
        slots[at] = i + 1

    out, pool = [], 0
    out.append("/* made by syscalls.py of syscalls.tbl */")
    out.append(f"#define CALL_SLOTS {SLOTS}")
    out.append("static const char call_names[] =")
    names = []
    for name, *_ in calls:
        out.append(f'\t"{name}\\0"')
        names.append(pool)
        pool += len(name) + 1
    out[-1] += ";"
    out.append("static const struct call_entry call_entries[] = {")
    for (name, numbers, via, sub), at in zip(calls, names):
        through = {"-": "VIA_NONE", "socketcall": "VIA_SOCKETCALL", "ipc": "VIA_IPC"}[via]
        out.append(f"\t{{ {at}, {len(name)}, {through}, {sub} }},")
    out.append("};")
    out.append("static const uint16_t call_slots[CALL_SLOTS] = {")
    out.extend(rows(slots))
    out.append("};")
    for abi in range(ABIS):
        numbered = {c[1][abi]: index[c[0]] for c in calls if c[1][abi] is not None}
        assert len(numbered) == sum(c[1][abi] is not None for c in calls), "a number stands twice"
        out.append(f"static const uint16_t calls_of_{abi}[] = {{")
        out.extend(rows([numbered.get(n, "CALL_NONE") for n in range(max(numbered) + 1)]))
        out.append("};")
    out.append("static const uint16_t calls_multiplexed[] = {")
    out.extend(rows([i for i, c in enumerate(calls) if c[3]]))
    out.append("};")
    out.append(f"_Static_assert({len(calls)} < CALLS_MAX, \"CALLS_MAX in syscalls.h\");")
    with open(sys.argv[2], "w", encoding="ascii") as f:
        f.write("\n".join(out) + "\n")


main()
