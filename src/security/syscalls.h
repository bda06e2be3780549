/* syscalls.h - names and numbers of system calls, for the seccomp compiler
 *
 * A call is an index, the same for all architectures; what it means there is in the tables that syscalls.py makes of syscalls.tbl.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* What an x86_64 kernel runs: the columns of syscalls.tbl. */
enum abi { ABI_X86_64, ABI_X32, ABI_I386, ABIS };

#define CALLS_MAX 512             /* above every call */
#define CALL_NONE (CALLS_MAX - 1) /* in tables: the number is no call */
#define NR_MAX    1024            /* above every number, x32's without X32_BIT */
#define X32_BIT   0x40000000u

/* i386: what once stood for others. */
enum { NR_SOCKETCALL = 102, NR_IPC = 117 };

/* An i386 program may reach it through socketcall(2) or ipc(2), too. */
enum call_via { VIA_NONE, VIA_SOCKETCALL, VIA_IPC };

/* The call of that name, -1: there is none on any of the architectures. Soonest found
 * is the one that follows the call `before` (-1: the first) in the alphabet. */
int syscall_find(const char *name, int before);

const char *syscall_name(unsigned call);

/* The calls by number: *n of them, CALL_NONE where there is none. */
const uint16_t *syscall_table(enum abi abi, size_t *n);

/* *sub: the first argument that stands for it, from 1. */
enum call_via syscall_via(unsigned call, unsigned *sub);

/* Where the calls are that can be reached through another, in ascending order; *n of them. */
const uint16_t *syscall_multiplexed(size_t *n);
