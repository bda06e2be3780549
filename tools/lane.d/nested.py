"""The nested engine: QEMU without KVM, whose emulated CPU has AMD's virtualisation, so that the guest has a /dev/kvm.

The guest boots the image (see image.py) from a disk whose changes are thrown away; a second disk holds a copy of this tree with its
build, a third is empty. The command's channels are virtio-serial ports on socket pairs.
"""
import os
import shutil
import socket
import subprocess

from common import CGROUP_ARGS, Guest, LaneError, Run, TREE, command_script, guest_vars, install, need_program, result, say, scratch_disk, HERE
import image

BOOT_LIMIT = 300
# Without string instructions that are emulated byte by byte. (What the kernel takes them for by the CPU's age is `rep_good`, below.)
CPU = "max,la57=off,-erms,-fsrm"
# Translated code is found again by its address, so a program that is elsewhere each time is translated each time; pages need not be cleared
# twice.
CHEAPER = "mitigations=off init_on_alloc=0 clearcpuid=rep_good nokaslr norandmaps"
# Among it the root file system of 150 MB of tools/debian: the image is one itself.
NOT_COPIED = ("./.git", "meson-private", "meson-logs", "meson-info", "__pycache__", "*.p", "*.o", "*.a", "*.d", ".ninja_deps", ".ninja_log",
              "./build/cache/debian-*")


def cpio_entry(name, mode, data=b"", device=(0, 0)):
    """One member of a cpio archive in the `newc` format, which the kernel unpacks."""
    path = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, device[0], device[1], len(path), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + path
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def initramfs(run, files):
    def read(path):
        with open(path, "rb") as f:
            return f.read()

    parts = [cpio_entry(name, 0o040755) for name in ("dev", "proc", "sys", "lane", "modules", "bin")]
    parts.append(cpio_entry("dev/console", 0o020600, device=(5, 1)))
    parts.append(cpio_entry("bin/busybox", 0o100755, read(files["busybox"])))
    guest = b"#!/bin/busybox sh\nbusybox=/bin/busybox boot_stage=1\n" + read(os.path.join(HERE, "guest"))
    parts.append(cpio_entry("init", 0o100755, guest))
    for name in ("vars", "command"):
        parts.append(cpio_entry(f"lane/{name}", 0o100755, read(run.path(name))))
    for name in sorted(os.listdir(files["modules"])):
        parts.append(cpio_entry(f"modules/{name}", 0o100644, read(os.path.join(files["modules"], name))))
    parts.append(cpio_entry("TRAILER!!!", 0))
    with open(run.path("initrd"), "wb") as f:
        f.write(b"".join(parts))
    return run.path("initrd")


def tree_disk(run):
    """A copy of the tree as it is now, with what was built but not the objects it was built from."""
    os.mkdir(run.path("tree"))
    excluded = [f"--exclude={pattern}" for pattern in NOT_COPIED]
    with subprocess.Popen(["tar", "-c", "-S", "-C", TREE, *excluded, "."], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as pack:
        unpack = subprocess.run(["tar", "-x", "-S", "-C", run.path("tree")], stdin=pack.stdout, check=False)
    # 1: a file changed or went away meanwhile; someone builds or edits at this moment.
    if unpack.returncode or pack.returncode > 1:
        raise LaneError(f"copying {TREE} failed: tar's status is {pack.returncode}, {unpack.returncode}")
    used = 0
    for directory, _, names in os.walk(run.path("tree")):
        used += sum(os.lstat(os.path.join(directory, name)).st_size + 4096 for name in names) + 4096
    path = scratch_disk(run, "tree.ext4", (used >> 20) * 5 // 4 + 256, run.path("tree"))
    shutil.rmtree(run.path("tree"))
    return path


def arguments(opts, run, files, disks, fds):
    accel = "tcg,thread=single" if opts.icount else "tcg,thread=multi"
    args = [need_program("qemu-system-x86_64"), "-M", "q35", "-accel", accel, "-cpu", CPU, "-m", str(opts.mem),
            "-smp", str(1 if opts.icount else opts.cpus), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-serial", "stdio", "-kernel", files["vmlinuz"], "-initrd", run.path("initrd"),
            "-append", f"console=ttyS0 panic=-1 {CHEAPER} secretmem.enable=1 " + ("" if opts.console else "quiet ")
            + " ".join(["apparmor=1 lsm=landlock,yama,apparmor,bpf" if opts.apparmor else "lsm=landlock,yama,bpf", *CGROUP_ARGS[opts.cgroup]]),
            "-device", "virtio-serial-pci"]
    if opts.icount:
        args += ["-icount", "shift=0,sleep=off"]
    for name, fd in zip(("out", "err", "status"), fds):
        args += ["-chardev", f"socket,id={name},fd={fd}", "-device", f"virtserialport,chardev={name},name={name}"]
    # No disk is written to, and a uml lane's lock of the image would be taken for somebody who does.
    for number, disk in enumerate(disks):
        args += ["-drive", f"if=none,id=d{number},format=raw,cache=unsafe,discard=unmap,file.filename={disk.replace(',', ',,')},"
                 "file.locking=off,snapshot=on",
                 "-device", f"virtio-blk-pci,drive=d{number}"]
    return args


def boot(opts, run, files, disks):
    pairs = [socket.socketpair() for _ in range(3)]
    ours = [pair[0].detach() for pair in pairs]
    fds = [pair[1].detach() for pair in pairs]
    guest = Guest(run, arguments(opts, run, files, disks, fds), fds, ours, dict(os.environ, TMPDIR=run.dir))
    guest.pump(BOOT_LIMIT, opts.timeout)
    guest.finish()
    return guest


def lane(opts):
    install(["nested"])
    files = image.build(opts)
    run = Run()
    try:
        modules = " ".join(sorted(os.listdir(files["modules"])))
        run.write("command", command_script(opts, True), 0o755)
        run.write("vars", guest_vars(opts, boot_modules=modules, disk="/dev/vdc"))
        initramfs(run, files)
        disks = [files["root"], tree_disk(run), scratch_disk(run, "disk.ext4", opts.disk)]
        guest = boot(opts, run, files, disks)
        if guest.hello is None and opts.timeout > BOOT_LIMIT:
            say(f"the guest did not reach the command within {BOOT_LIMIT} s, or ended: once more")
            guest = boot(opts, run, files, disks)
        return result(opts, guest)
    except OSError as e:
        raise LaneError(e) from e
    finally:
        run.close()
