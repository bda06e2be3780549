/* layout.h - where things lie in a guest's memory when it starts
 *
 * Memory begins at 0 and has the hole for devices from GUEST_HOLE to GUEST_HIGH (guest_mem.h). What a kernel is given lies below
 * 640 KiB, in memory that it may use when it has read it; the kernel itself begins at 1 MiB at the earliest.
 */
#pragma once
#include <stdint.h>

#define X86_GDT         0x500ull
#define X86_START_INFO  0x6000ull /* PVH: the structure, its one module at +0x40, its memory map at +0x80 */
#define X86_ZERO_PAGE   0x7000ull /* 64-bit protocol */
#define X86_STACK       0x8ff0ull
#define X86_PAGE_TABLES 0x9000ull /* 6 pages: the first 4 GiB as they are */
#define X86_CMDLINE     0x20000ull
#define X86_CMDLINE_MAX 4096u     /* with its NUL */
#define X86_MP_TABLE    0x9f000ull
#define X86_LOW_END     0x9f000ull /* memory below 1 MiB ends here, for the kernel */
#define X86_MP_POINTER  0x9fc00ull /* the last KiB below 640 KiB: where it is looked for */
#define X86_KERNEL_MIN  0x100000ull
#define X86_IOAPIC      0xfec00000ull
#define X86_LAPIC       0xfee00000ull

/* Devices: one page and one interrupt line each. */
#define X86_MMIO_BASE 0xd0000000ull
#define X86_MMIO_SIZE 0x1000ull
#define X86_MMIO_IRQ  5u
enum { X86_MMIO_SLOTS = 19, X86_IOAPIC_LINES = 24 };

/* Selectors that the 64-bit protocol fixes. */
enum { X86_CODE = 0x10, X86_DATA = 0x18 };
