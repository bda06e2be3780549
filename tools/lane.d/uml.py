"""The uml engine: User Mode Linux, a kernel that is an ordinary process here.

Its root is this machine's own / through hostfs, below an overlay in the guest's memory: everything installed is there, everything can
be written, nothing is kept. With systemd it is the guest image instead, with this tree laid over it in the same way.
The command's channels are the guest's serial lines, in raw mode and connected to pipes.
"""
import fcntl
import os
import platform
import shutil
import subprocess

from common import (CGROUP_ARGS, Guest, LaneError, Run, TREE, cache_dir, command_script, free_space, guest_vars, install, need_program, packages,
                    package_missing, result, say, scratch_disk, HERE)
import image

BOOT_LIMIT = 150
SYSTEMD_BOOT_LIMIT = 300


def fetched():
    """Without root: the two packages that need no others, unpacked into the cache."""
    root = os.path.join(cache_dir(), "uml")
    if os.path.exists(os.path.join(root, "ok")):
        return root
    say(f"fetching user-mode-linux and busybox-static into {root}")
    os.makedirs(root, exist_ok=True)
    for args in (["apt-get", "-q", "download", "user-mode-linux", "busybox-static"],
                 ["sh", "-c", 'for deb in *.deb; do dpkg-deb -x "$deb" . && rm -f "$deb"; done && touch ok']):
        done = subprocess.run(args, cwd=root, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LaneError(f"{' '.join(args[:3])}: {done.stderr.strip()}")
    return root


def programs():
    """(linux.uml, its module directory, busybox)"""
    root = ""
    if not shutil.which("linux.uml") or not shutil.which("busybox"):
        if shutil.which("dpkg-query") and os.geteuid() != 0 and any(package_missing(name) for name in packages("uml")[:2]):
            root = fetched()
        else:
            install(["uml"])
    if root:
        linux, busybox = root + "/usr/bin/linux.uml", root + "/bin/busybox"
        if not os.path.exists(busybox):
            busybox = root + "/usr/bin/busybox"
    else:
        linux, busybox = need_program("linux.uml"), need_program("busybox")
    return linux, root + "/usr/lib/uml/modules", busybox


def memory_dir(run, megabytes):
    """Where the guest's memory file goes (it is unlinked at once): in memory if there is room."""
    size = megabytes << 20
    for path in ("/dev/shm", "/tmp"):
        if free_space(path, size):
            return path
    if not free_space(run.dir, 0):
        raise LaneError(f"{run.dir} is mounted noexec or full: set TMPDIR")
    return run.dir


def arguments(opts, run, linux, busybox, fds):
    out, err, status, console = fds
    args = [linux, f"mem={opts.mem}M", "rootfstype=hostfs", "rootflags=/", "ro", f"init={run.path('init')}", f"lane={run.dir}",
            "con=null", "ssl=null", f"con0=null,fd:{console}", f"ssl0=null,fd:{out}", f"ssl1=null,fd:{err}", f"ssl2=null,fd:{status}",
            f"umid={os.path.basename(run.dir)}", f"uml_dir={run.dir}/", "noreboot", "panic=1"]
    args += ["quiet"] if not opts.console else []
    args += ["apparmor=1", "lsm=yama,apparmor"] if opts.apparmor else ["lsm=yama"]
    args += CGROUP_ARGS[opts.cgroup]
    args += [f"ubdb={scratch_disk(run, 'disk.ext4', opts.disk)}"]
    if opts.systemd:
        args += [f"ubda={run.path('root.cow')},{image.build(opts)['root']}"]
    run.write("init", f"#!{busybox} sh\nbusybox={busybox} boot_stage=1\n" + open(os.path.join(HERE, "guest"), encoding="utf-8").read(), 0o755)
    return args


def own_cpu(allowed):
    """A CPU that no other lane of this user has, if there is one; it is held by a lock that lasts as long as this process."""
    for cpu in sorted(allowed):
        fd = os.open(os.path.join(cache_dir(), f"cpu{cpu}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return cpu
        except BlockingIOError:
            os.close(fd)
    return sorted(allowed)[os.getpid() % len(allowed)]


def on_one_cpu(start):
    """The guest's one CPU is several processes that only ever wait for each other: on one of ours, each switch is 2-3 times as fast."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {own_cpu(allowed)})
    try:
        return start()
    finally:
        os.sched_setaffinity(0, allowed)


def lane(opts):
    if platform.machine() != "x86_64":
        raise LaneError(f"the uml lane is for x86-64, this is {platform.machine()}")
    linux, modules, busybox = programs()
    run = Run()
    try:
        pipes = [os.pipe() for _ in range(3)]
        log = os.open(run.path("console.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        run.write("command", command_script(opts, opts.systemd), 0o755)
        run.write("vars", guest_vars(opts, modules=modules, out="/dev/ttyS0", err="/dev/ttyS1", status="/dev/ttyS2", disk="/dev/ubdb"))
        fds = [pipe[1] for pipe in pipes] + [log]
        args = arguments(opts, run, linux, busybox, fds)
        env = dict(os.environ, TMPDIR=memory_dir(run, opts.mem))
        guest = on_one_cpu(lambda: Guest(run, args, fds, [pipe[0] for pipe in pipes], env))
        guest.pump(SYSTEMD_BOOT_LIMIT if opts.systemd else BOOT_LIMIT, opts.timeout)
        guest.finish()
        return result(opts, guest)
    finally:
        run.close()
