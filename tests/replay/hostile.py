#!/usr/bin/env python3
"""Hostile drivers against each device, by devreplay: rings that break the rules, and FUSE requests that do. TAP.

    hostile.py DEVREPLAY

After each the process lives, a page that no request names is as it was, and the device works again after a reset.
"""
import errno
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time

MEM, DATA, TABLE, GUARD = 1 << 20, 0x80000, 0x90000, 0xF0000
N = 16
NEXT, WRITE, INDIRECT = 1, 2, 4
PATTERN = bytes(range(256)) * 16

# (what, descriptors of the queue, descriptors at TABLE, head)
RINGS = [
    ("a successor past the table", [(DATA, 64, NEXT, N)], [], 0),
    ("a successor far past the table", [(DATA, 64, NEXT, 0xFFFF)], [], 0),
    ("a head past the table", [], [], N),
    ("a head far past the table", [], [], 0xFFFF),
    ("a circle of one", [(DATA, 1, NEXT, 0)], [], 0),
    ("a circle of two", [(DATA, 1, NEXT, 1), (DATA, 1, NEXT, 0)], [], 0),
    ("a circle without bytes", [(DATA, 0, NEXT, 0)], [], 0),
    ("to be read after to be written", [(DATA, 64, WRITE | NEXT, 1), (DATA, 64, 0, 0)], [], 0),
    ("a buffer at the end of memory", [(MEM, 64, 0, 0)], [], 0),
    ("a buffer across the end of memory", [(MEM - 63, 64, 0, 0)], [], 0),
    ("a buffer to write across the end", [(MEM - 63, 64, WRITE, 0)], [], 0),
    ("an address that wraps", [(2**64 - 1, 64, WRITE, 0)], [], 0),
    ("an address and a length that wrap to 0", [(2**64 - 64, 64, 0, 0)], [], 0),
    ("an address in the hole for devices", [(0xD0000000, 64, 0, 0)], [], 0),
    ("an address above the hole", [(0x100000000, 64, 0, 0)], [], 0),
    ("a length of 4 GiB", [(DATA, 2**32 - 1, WRITE, 0)], [], 0),
    ("an indirect table of no bytes", [(TABLE, 0, INDIRECT, 0)], [], 0),
    ("an indirect table of 17 bytes", [(TABLE, 17, INDIRECT, 0)], [], 0),
    ("an indirect table that is too long", [(TABLE, 16 * 1025, INDIRECT, 0)], [], 0),
    ("an indirect table past the end", [(MEM - 8, 16, INDIRECT, 0)], [], 0),
    ("an indirect table with a successor", [(TABLE, 16, INDIRECT | NEXT, 1), (DATA, 64, 0, 0)], [(DATA, 64, 0, 0)], 0),
    ("an indirect table in an indirect table", [(TABLE, 16, INDIRECT, 0)], [(TABLE, 16, INDIRECT, 0)], 0),
    ("a successor past an indirect table", [(TABLE, 16, INDIRECT, 0)], [(DATA, 64, NEXT, 1)], 0),
    ("a circle in an indirect table", [(TABLE, 16, INDIRECT, 0)], [(DATA, 1, NEXT, 0)], 0),
    ("a circle of all entries", [(DATA, 1, NEXT, (i + 1) % N) for i in range(N)], [], 0),
    ("an indirect table at an address that wraps", [(2**64 - 16, 32, INDIRECT, 0)], [], 0),
    ("an indirect table in the hole for devices", [(0xD0000000, 16, INDIRECT, 0)], [], 0),
    ("an indirect table of 4 GiB", [(TABLE, 2**32 - 16, INDIRECT, 0)], [], 0),
    ("an indirect table at the end of a chain, in a circle", [(DATA, 1, NEXT, 1), (TABLE, 32, INDIRECT, 0)],
     [(DATA, 1, NEXT, 1), (DATA, 1, NEXT, 0)], 0),
    ("a second buffer past memory", [(DATA, 64, NEXT, 1), (MEM, 1, 0, 0)], [], 0),
    ("lengths whose sum is too long", [(0, MEM, WRITE | NEXT, 1), (0, MEM, WRITE | NEXT, 2), (0, MEM, WRITE, 0)], [], 0),
]
# How far the index of the available ring may be ahead: as many entries as there are.
JUMPS = [N + 1, 0x7FFF, 0x8000, 0xFFFF]

COUNT = failures = 0


def test(name, ok, detail=""):
    global COUNT, failures
    COUNT += 1
    failures += not ok
    print(f"{'ok' if ok else 'not ok'} {COUNT} - {name}" + ("" if ok else f"\n# {detail}"), flush=True)


class Device:
    """A devreplay with its guest's side."""

    def __init__(self, program, options, queues):
        self.process = subprocess.Popen([program, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.queues = queues
        self.ask(f"M {MEM}")
        self.write(GUARD, PATTERN)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        reply = self.process.stdout.readline().split()
        if not reply or reply[0] != "ok":
            raise RuntimeError(f"{line[:60]}: {' '.join(reply) or 'no reply'}")
        return reply[1:]

    def write(self, at, data):
        self.ask(f"W {at:x} {data.hex()}")

    def read(self, at, size):
        return bytes.fromhex(self.ask(f"R {at:x} {size:x}")[0])

    def drive(self):
        """Resets the device and starts it anew."""
        for value in (0, 3):
            self.ask(f"X 70 4 {value:x}")
        for half, features in enumerate((1 << 28, 1)):
            self.ask(f"X 24 4 {half:x}")
            self.ask(f"X 20 4 {features:x}")
        self.ask("X 70 4 b")
        self.offered = [0] * self.queues
        for q in range(self.queues):
            base = q * 0x4000
            self.write(base, bytes(0x3000))
            self.ask(f"Q {q:x} {N:x} {base:x} {base + 0x1000:x} {base + 0x2000:x}")
        self.ask("X 70 4 f")

    def describe(self, at, descriptors):
        for i, d in enumerate(descriptors):
            self.write(at + 16 * i, struct.pack("<QIHH", *d))

    def offer(self, q, head, index=None):
        base, n = q * 0x4000, self.offered[q]
        self.write(base + 0x1004 + 2 * (n % N), struct.pack("<H", head))
        self.offered[q] = n + 1
        self.write(base + 0x1002, struct.pack("<H", (n + 1 if index is None else index) & 0xFFFF))
        self.ask(f"K {q:x}")

    def used(self, q):
        """Waits for the next request to be given back: how many bytes were written."""
        base, want = q * 0x4000, self.offered[q] & 0xFFFF
        self.until(lambda: struct.unpack("<H", self.read(base + 0x2002, 2))[0] == want)
        return struct.unpack("<I", self.read(base + 0x2008 + 8 * ((want - 1) % N), 4))[0]

    def state(self):
        return self.ask("S")[0]

    def until(self, condition):
        for _ in range(2000):
            if condition():
                return True
            time.sleep(0.005)
        return False

    def close(self):
        self.process.stdin.close()
        return self.process.wait()


def rings(name, device, queue, features_needed=()):
    """Each ring breaks the queue; the device says so, and is as new after a reset."""
    for what, descriptors, table, head in RINGS:
        device.drive()
        device.describe(queue * 0x4000, descriptors)
        device.describe(TABLE, table)
        device.offer(queue, head)
        broken = device.until(lambda: device.state() == "needs_reset")
        guard = device.read(GUARD, len(PATTERN)) == PATTERN
        device.drive()
        test(f"{name}: {what}", broken and guard and device.state() == "running", f"broken {broken} guard {guard}")
    for jump in JUMPS:
        device.drive()
        device.offer(queue, 0, index=jump)
        test(f"{name}: an index {jump} ahead", device.until(lambda: device.state() == "needs_reset"))
    device.drive()


def resets(name, device, queue):
    """A driver that takes its queues away as the device works on them, or moves them."""
    good = True
    for i in range(30):
        device.drive()
        device.describe(queue * 0x4000, [(DATA, 64, NEXT if i % 2 else 0, 1), (TABLE, 64, WRITE, 0)])
        for head in range(i % 3 + 1):
            device.offer(queue, 0 if head == 0 else 2)
        device.ask("X 70 4 0")
        good = good and device.state() == "stopped"
    test(f"{name}: resets while requests wait", good)
    device.drive()
    device.ask(f"X 30 4 {queue:x}")
    for reg, value in ((0x38, 2**16), (0x80, MEM), (0x84, 2**32 - 1), (0x90, MEM - 2), (0xA0, MEM - 4), (0x44, 0), (0x20, 2**32 - 1)):
        device.ask(f"X {reg:x} 4 {value:x}")
    device.ask(f"K {queue:x}")
    moved = device.state()
    for i in range(2**8, 2**8 + 5):
        device.ask(f"X 30 4 {i:x}")
        device.ask("X 44 4 1")
        device.ask(f"K {i:x}")
    test(f"{name}: a queue that is moved while it is used stays where it is", moved == device.state() == "running")
    test(f"{name}: nothing else is touched", device.read(GUARD, len(PATTERN)) == PATTERN)


def registers(name, device):
    """Queues that cannot be, and a driver that does things in the wrong order."""
    for what, line in [("a queue of no entries", "Q 0 0 0 1000 2000"), ("of three", "Q 0 3 0 1000 2000"),
                       ("of 65536", "Q 0 10000 0 1000 2000"), ("that is not aligned", "Q 0 10 8 1001 2002"),
                       ("past memory", f"Q 0 10 {MEM:x} 1000 2000"), ("that wraps", "Q 0 10 fffffffffffffff0 1000 2000")]:
        for reg in ("X 70 4 0", "X 70 4 3", "X 24 4 1", "X 20 4 1", "X 70 4 b", line, "X 70 4 f"):
            device.ask(reg)
        test(f"{name}: a queue {what}", device.state() == "needs_reset", device.state())
    device.ask("X 70 4 0")
    device.ask("X 70 4 4")
    device.ask("K 0")
    test(f"{name}: ready without features", device.state() == "stopped")


def fuse_bytes(opcode, node, body=b"", length=None):
    return struct.pack("<IIQQIIII", 40 + len(body) if length is None else length, opcode, 7, node, 0, 0, 1, 0) + body


def fuse_ask(device, request, room=4096):
    """The error of the answer; None: there was none."""
    device.write(DATA, request)
    parts = [(DATA, len(request), NEXT if room else 0, 1), (TABLE, room, WRITE, 0)]
    device.describe(0x4000, parts if room else parts[:1])
    device.offer(1, 0)
    written = device.used(1)
    return struct.unpack("<IiQ", device.read(TABLE, 16))[1] if written >= 16 else None


LOOKUP, FORGET, GETATTR, OPEN, READ, WRITE_OP, INIT, CREATE = 1, 2, 3, 14, 15, 16, 26, 35
FUSE = [
    ("no whole header", fuse_bytes(INIT, 0)[:39], None),
    ("a length beyond the request", fuse_bytes(LOOKUP, 1, b"f\0", 100), -errno.EINVAL),
    ("a length of 4 GiB", fuse_bytes(LOOKUP, 1, b"f\0", 2**32 - 1), -errno.EINVAL),
    ("a length below the header's", fuse_bytes(LOOKUP, 1, b"f\0", 39), -errno.EINVAL),
    ("an operation that is none", fuse_bytes(63, 1), -errno.ENOSYS),
    ("a far operation", fuse_bytes(2**32 - 1, 1), -errno.ENOSYS),
    ("a name that leads up", fuse_bytes(LOOKUP, 1, b"..\0"), -errno.EINVAL),
    ("a name with slashes", fuse_bytes(LOOKUP, 1, b"../../etc/passwd\0"), -errno.EINVAL),
    ("a name without an end", fuse_bytes(LOOKUP, 1, b"ffff"), -errno.EINVAL),
    ("a name that is too long", fuse_bytes(LOOKUP, 1, b"f" * 300 + b"\0"), -errno.ENAMETOOLONG),
    ("a node that is none", fuse_bytes(GETATTR, 2**40 + 7, bytes(16)), -errno.ESTALE),
    ("a file that is not open", fuse_bytes(READ, 1, struct.pack("<QQIIQII", 99, 0, 64, 0, 0, 0, 0)), -errno.EBADF),
    ("a body that is too short", fuse_bytes(READ, 1, b"1234"), -errno.EINVAL),
    ("more data than was sent", fuse_bytes(WRITE_OP, 1, struct.pack("<QQIIQII", 0, 0, 2**30, 0, 0, 0, 0)), -errno.EINVAL),
    ("a directory as a file", fuse_bytes(OPEN, 1, struct.pack("<II", 2, 0)), -errno.EISDIR),
    ("a new file above", fuse_bytes(CREATE, 1, struct.pack("<IIII", 0o102, 0o644, 0, 0) + b"../x\0"), -errno.EINVAL),
    ("forgetting what was never known", fuse_bytes(FORGET, 77, struct.pack("<Q", 2**64 - 1)), None),
    ("forgetting the root", fuse_bytes(FORGET, 1, struct.pack("<Q", 2**64 - 1)), None),
]


# Operations on a node or a file: number, least body, where in it a file's number is (None: it has none), whether what follows is a name.
OPERATIONS = {
    "lookup": (1, 2, None, 0), "getattr": (3, 16, None, None), "setattr": (4, 88, None, None), "symlink": (6, 4, None, 0),
    "mknod": (8, 16, None, 16), "mkdir": (9, 8, None, 8), "unlink": (10, 2, None, 0), "rmdir": (11, 2, None, 0),
    "rename": (12, 8, None, 8), "link": (13, 8, None, 8), "open": (14, 8, None, None), "read": (15, 40, 0, None),
    "write": (16, 40, 0, None), "release": (18, 24, 0, None), "fsync": (20, 16, 0, None), "setxattr": (21, 8, None, None),
    "getxattr": (22, 8, None, None), "listxattr": (23, 8, None, None), "removexattr": (24, 2, None, None), "flush": (25, 24, 0, None),
    "opendir": (27, 8, None, None), "readdir": (28, 40, 0, None), "releasedir": (29, 24, 0, None), "fsyncdir": (30, 16, 0, None),
    "access": (34, 8, None, None), "create": (35, 16, None, 16), "fallocate": (43, 32, 0, None), "readdirplus": (44, 40, 0, None),
    "rename2": (45, 16, None, 16), "lseek": (46, 24, 0, None), "copy_file_range": (47, 56, 0, None), "syncfs": (50, 8, None, None),
    "tmpfile": (51, 16, None, None),
}
NO_NODE = {"read", "write", "release", "fsync", "flush", "releasedir", "fsyncdir", "fallocate", "lseek", "copy_file_range"}
BAD_NAMES = [b"\0", b".\0", b"..\0", b"../x\0", b"/\0", b"/etc/passwd\0", b"a/b\0", b"d/\0", b"no end", b"x" * 256 + b"\0"]


def fuse_requests():
    """Each operation: short by a byte, without a body, on nodes that are none, on files that are none, with names that are none."""
    for what, (opcode, least, file, name) in OPERATIONS.items():
        yield f"{what}, short", fuse_bytes(opcode, 1, bytes(least - 1))
        yield f"{what}, without a body", fuse_bytes(opcode, 1)
        for node in () if what in NO_NODE else (0, 2**32, 2**32 + 1, 2**64 - 1):
            yield f"{what} of node {node:x}", fuse_bytes(opcode, node, bytes(least) + b"x\0")
        for number in () if file is None else (0, 1, 2**32 - 1, 2**32 + 1, 2**64 - 1):
            yield f"{what} of file {number:x}", fuse_bytes(opcode, 1, struct.pack("<Q", number) + bytes(least - 8))
        for bad in () if name is None else BAD_NAMES:
            yield f"{what} of {bad[:16]}", fuse_bytes(opcode, 1, struct.pack("<Q", 1)[:name] + bytes(max(name - 8, 0)) + bad + b"y")
    for opcode, least in ((12, 8), (45, 16)):
        for bad in BAD_NAMES:
            yield f"a rename to {bad[:16]}", fuse_bytes(opcode, 1, struct.pack("<Q", 1) + bytes(least - 8) + b"f\0" + bad)
        yield "a rename into a node that is none", fuse_bytes(opcode, 1, struct.pack("<Q", 99) + bytes(least - 8) + b"f\0g\0")
        yield "a rename into a file", fuse_bytes(opcode, 1, struct.pack("<Q", 2) + bytes(least - 8) + b"f\0g\0")
    for flags in (4, 8, 2**31):
        yield "a rename with flags", fuse_bytes(45, 1, struct.pack("<QII", 1, flags, 0) + b"f\0g\0")
    yield "a link to a node that is none", fuse_bytes(13, 1, struct.pack("<Q", 99) + b"g\0")
    yield "a symlink without a target", fuse_bytes(6, 1, b"new\0")
    yield "a symlink whose target has no end", fuse_bytes(6, 1, b"new\0target")
    for attribute in (b"security.selinux\0", b"trusted\0", b"user.drupe.trusted.x\0", b"\0", b"x" * 300 + b"\0", b"user.x"):
        yield f"an attribute {attribute[:20]}", fuse_bytes(22, 1, struct.pack("<II", 64, 0) + attribute)
        yield f"an attribute {attribute[:20]} to be removed", fuse_bytes(24, 1, attribute)
        yield f"an attribute {attribute[:20]} to be set", fuse_bytes(21, 1, struct.pack("<IIII", 1, 0, 0, 0) + attribute + b"v")
    yield "an attribute longer than the request", fuse_bytes(21, 1, struct.pack("<IIII", 2**32 - 1, 0, 0, 0) + b"user.x\0v")


def fuse_table(device):
    """All of them are refused, by an error or, where the queue has no answer for it, by none; and nothing else happens."""
    good = n = 0
    for what, request in fuse_requests():
        n += 1
        got = fuse_ask(device, request)
        if got is not None and -200 < got < 0:
            good += 1
        else:
            print(f"# {what}: {got}")
    test(f"fuse: {n} requests that break a rule each", good == n and n >= 150, f"{n - good} were not refused")


def fuse_floods(device):
    """Forgetting, and reading a directory, of more than there is."""
    for count, sent in ((0, 0), (1, 0), (2**32 - 1, 2), (2, 1)):
        got = fuse_ask(device, fuse_bytes(42, 0, struct.pack("<II", count, 0) + struct.pack("<QQ", 2, 2**64 - 1) * sent))
        test(f"fuse: {count} to be forgotten, of which {sent} are named", got is None, f"got {got}")
    fuse_ask(device, fuse_bytes(27, 1, bytes(8)))
    handle = struct.unpack("<Q", device.read(TABLE + 16, 8))[0]
    for size, offset in ((2**32 - 1, 0), (0, 0), (1, 0), (4096, 2**63 - 1), (4096, 2**64 - 1)):
        got = fuse_ask(device, fuse_bytes(44, 1, struct.pack("<QQIIQII", handle, offset, size, 0, 0, 0, 0)))
        test(f"fuse: a directory of {size} bytes from {offset}", got is not None and -200 < got <= 0, f"got {got}")
    got = fuse_ask(device, fuse_bytes(15, 1, struct.pack("<QQIIQII", handle, 0, 64, 0, 0, 0, 0)))
    test("fuse: a directory read as a file", got == -errno.EBADF, f"got {got}")
    fuse_ask(device, fuse_bytes(29, 1, struct.pack("<QIIQ", handle, 0, 0, 0)))
    got = fuse_ask(device, fuse_bytes(28, 1, struct.pack("<QQIIQII", handle, 0, 64, 0, 0, 0, 0)))
    test("fuse: a directory that was closed", got == -errno.EBADF, f"got {got}")


def fuse(program, share):
    device = Device(program, ["--share", share], 2)
    init = fuse_bytes(INIT, 0, struct.pack("<IIII", 7, 36, 0, 0) + bytes(48))
    device.drive()
    test("fuse: before INIT", fuse_ask(device, fuse_bytes(LOOKUP, 1, b"f\0")) == -errno.EIO)
    test("fuse: INIT", fuse_ask(device, init) == 0)
    for what, request, want in FUSE:
        got = fuse_ask(device, request)
        test(f"fuse: {what}", got == want, f"got {got}, want {want}")
    fuse_table(device)
    fuse_floods(device)
    for room in (0, 8, 15):
        test(f"fuse: {room} bytes for an answer", fuse_ask(device, fuse_bytes(LOOKUP, 1, b"f\0"), room) is None)
    test("fuse: no room for the entry", fuse_ask(device, fuse_bytes(LOOKUP, 1, b"f\0"), 16) == -errno.ERANGE)
    test("fuse: the file is found after all that", fuse_ask(device, fuse_bytes(LOOKUP, 1, b"f\0")) == 0)
    test("fuse: nothing else is touched", device.read(GUARD, len(PATTERN)) == PATTERN and device.state() == "running")
    device.close()
    device = Device(program, ["--share", share, "--ro"], 2)
    device.drive()
    fuse_ask(device, init)
    test("fuse: a share to read only", fuse_ask(
        device, fuse_bytes(CREATE, 1, struct.pack("<IIII", 0o102, 0o644, 0, 0) + b"x\0")) == -errno.EROFS)
    device.close()
    test("fuse: the share is as it was", os.listdir(share) == ["f"])


def vsock_connects(program, share):
    """A guest gets through to a socket of the host, and to no other name."""
    host = socket.socket(socket.AF_UNIX)
    host.bind(os.path.join(share, "1024"))
    host.listen()
    device = Device(program, ["--vsock", share], 3)
    device.drive()
    for i in range(4):
        device.describe(16 * i, [(TABLE + 4096 * i, 4096, WRITE, 0)])
        device.offer(0, i)
    for i, (port, op) in enumerate([(1025, 3), (1024, 2)]):
        device.write(DATA, struct.pack("<QQIIIHHIII", 3, 2, 5000, port, 0, 1, 1, 0, 65536, 0))
        device.describe(0x4000, [(DATA, 44, 0, 0)])
        device.offer(1, 0)
        device.state()
        answer = device.read(TABLE + 4096 * i, 44)
        test(f"vsock: port {port} is {'refused' if op == 3 else 'answered'}", struct.unpack_from("<H", answer, 30)[0] == op)
    device.close()
    host.close()
    os.unlink(os.path.join(share, "1024"))


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as share:
        with open(os.path.join(share, "f"), "w", encoding="ascii") as f:
            f.write("text")
        for name, options, queues, queue in [("rng", ["--rng"], 1, 0), ("console", ["--console"], 2, 1),
                                             ("balloon", ["--balloon"], 5, 0), ("balloon deflate", ["--balloon"], 5, 1),
                                             ("balloon reporting", ["--balloon"], 5, 2), ("vsock rx", ["--vsock", share], 3, 0),
                                             ("vsock tx", ["--vsock", share], 3, 1), ("fs", ["--share", share], 2, 1),
                                             ("fs forget", ["--share", share], 2, 0)]:
            device = Device(program, options, queues)
            rings(name, device, queue)
            resets(name, device, queue)
            registers(name, device)
            test(f"{name}: ends as it should", device.close() == 0)
        fuse(program, share)
        vsock_connects(program, share)
    print(f"1..{COUNT}")
    sys.exit(failures != 0)


main()
