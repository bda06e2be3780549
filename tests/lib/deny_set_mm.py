#!/usr/bin/python3
"""deny_set_mm.py PROGRAM ARGUMENT...: runs it where prctl(PR_SET_MM) is an invalid argument, as a kernel without CONFIG_CHECKPOINT_RESTORE
has it. x86_64, as root."""

import ctypes
import errno
import os
import struct
import sys

PR_SET_SECCOMP, SECCOMP_MODE_FILTER, PR_SET_MM, SYS_PRCTL = 22, 2, 35, 157
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000

INSTRUCTIONS = [
    (LOAD, 0, 0, 0),  # the number of the call
    (EQUAL, 0, 3, SYS_PRCTL),
    (LOAD, 0, 0, 16),  # its first argument
    (EQUAL, 0, 1, PR_SET_MM),
    (RETURN, 0, 0, ERRNO | errno.EINVAL),
    (RETURN, 0, 0, ALLOW),
]

program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *i) for i in INSTRUCTIONS))
filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(INSTRUCTIONS), ctypes.addressof(program)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_, 0, 0) < 0:
    sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
os.execv(sys.argv[1], sys.argv[1:])
