"""What both engines share: the run directory, the guest process, its channels, its end.

A lane's guest speaks on three one-way channels: the command's standard output, its standard error, and the status channel with one
word per line: "hello" when the guest is about to start the command, "exit N" when the command has ended and all it wrote has been
sent. The kernel's console is none of these; it goes to a log that is shown only when the guest failed.

Everything of one run is in a directory of its own below $TMPDIR and in one session of processes. A watchdog, forked before the guest
starts, ends them and removes the directory if this process goes away without having done so.
"""
import ctypes
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
TIMED_OUT = 124  # as timeout(1)
NOISE = ("[<", "mmapper_init", "initialize ubd device 0", "epollctl add err")  # call traces, and what UML always says
LANE_FAILED = 125  # as env(1), chroot(1): not the command's own status


# Which cgroups systemd is to mount, in words on the kernel's command line.
CGROUP_ARGS = {"v2": [], "hybrid": ["systemd.unified_cgroup_hierarchy=0"],
               "v1": ["systemd.unified_cgroup_hierarchy=0", "systemd.legacy_systemd_cgroup_controller=1"]}


class LaneError(Exception):
    """The lane itself failed; the message is for the user."""


def say(text):
    sys.stderr.write(f"tools/lane: {text}\n")
    sys.stderr.flush()


def cache_dir():
    path = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "drupe", "lane")
    os.makedirs(path, exist_ok=True)
    return path


# ---- packages

def packages(purpose):
    names = []
    with open(os.path.join(HERE, "packages"), encoding="utf-8") as lines:
        for line in lines:
            words = line.split()
            if words and words[0] == purpose:
                names += words[1:]
    return names


def package_missing(name):
    reply = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", name], capture_output=True, text=True, check=False)
    return reply.stdout != "installed"


def install(purposes):
    """Installs what is missing for these purposes: needs root only if something is."""
    if not shutil.which("dpkg-query"):
        return
    missing = sorted({name for purpose in purposes for name in packages(purpose) if package_missing(name)})
    if not missing:
        return
    if os.geteuid() != 0:
        raise LaneError(f"these packages are missing, and installing them needs root (sudo tools/lane setup): {' '.join(missing)}")
    say(f"installing {' '.join(missing)}")
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    get = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300"]
    for args in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
        done = subprocess.run(get + args, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
    if done.returncode:
        sys.stderr.write("\n".join(done.stdout.splitlines()[-20:]) + "\n")
        raise LaneError("apt-get install failed")


def need_program(name):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")
    if not path:
        raise LaneError(f"{name} is not installed: see {os.path.join(HERE, 'packages')}")
    return os.path.realpath(path)


# ---- the run directory and its files

class Run:
    """The directory and the processes of one lane run."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="drupe-lane-")
        os.chmod(self.dir, 0o700)
        self.pgid = 0
        self.watch_fd = -1
        self._watch()
        adopt_orphans()

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text, mode=0o644):
        with open(self.path(name), "w", encoding="utf-8", errors="surrogateescape") as f:
            f.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def _watch(self):
        """Forks the watchdog. It is told the process group of the guest, then waits for the end of the pipe."""
        read_fd, self.watch_fd = os.pipe()
        pid = os.fork()
        if pid:
            os.close(read_fd)
            os.waitpid(pid, 0)
            return
        os.close(self.watch_fd)
        os.setsid()
        if os.fork():
            os._exit(0)
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):  # a reader of our output must not wait for the watchdog
            os.dup2(null, fd)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        told = b""
        while True:
            got = os.read(read_fd, 100)
            if not got:
                break
            told += got
        words = told.split()
        if words[-1:] != [b"done"]:
            if words:
                kill_group(int(words[-1]))
            shutil.rmtree(self.dir, ignore_errors=True)
        os._exit(0)

    def started(self, pgid):
        self.pgid = pgid
        os.write(self.watch_fd, b"%d\n" % pgid)

    def end(self):
        if self.pgid:
            kill_group(self.pgid)
            self.pgid = 0

    def close(self):
        self.end()
        shutil.rmtree(self.dir, ignore_errors=True)
        os.write(self.watch_fd, b"done\n")
        os.close(self.watch_fd)


def adopt_orphans():
    """Makes what the guest's processes leave behind our children, to be reaped here (PR_SET_CHILD_SUBREAPER)."""
    ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0)


def kill_group(pgid):
    """Ends every process of a group: User Mode Linux has one for each address space of its guest."""
    for _ in range(50):
        try:
            os.killpg(pgid, signal.SIGKILL)
        except ProcessLookupError:
            return
        try:
            while os.waitpid(-pgid, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        time.sleep(0.01)


def free_space(path, size):
    """Whether a file of this size may be mapped executable and filled here."""
    try:
        vfs = os.statvfs(path)
    except OSError:
        return False
    return os.access(path, os.W_OK) and not vfs.f_flag & os.ST_NOEXEC and vfs.f_bavail * vfs.f_frsize > size


def scratch_disk(run, name, size_mb, source=None):
    """A sparse ext4 image; with a directory as source, a copy of that."""
    path = run.path(name)
    with open(path, "wb") as f:
        f.truncate(size_mb << 20)
    args = [need_program("mke2fs"), "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-b", "4096", "-m", "0", "-E", "lazy_itable_init=1,nodiscard"]
    args += ["-d", source] if source else []
    done = subprocess.run(args + [path], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LaneError(f"mke2fs of {path}: {done.stderr.strip()}")
    return path


# ---- what the guest is told

PASSED = ("RUNTIME", "LANG", "LC_ALL", "TERM", "TZ", "NO_COLOR")
PASSED_PREFIXES = ("DRUPE_", "BATS_", "LANE_")
KEPT_BACK = ("TMPDIR", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "NOTIFY_SOCKET", "_", "SHLVL", "PWD", "OLDPWD", "DISPLAY", "SSH_AUTH_SOCK")


def command_script(opts, own_root):
    """The shell script that becomes the command. own_root: the guest has an image of its own for /, not this machine's files."""
    env = {}
    for name, value in os.environ.items():
        if not name.isidentifier() or name in KEPT_BACK:
            continue
        if own_root and name not in PASSED and not name.startswith(PASSED_PREFIXES):
            continue
        env[name] = value
    env.setdefault("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    if own_root:
        env["HOME"] = "/root"
        env["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    env["PATH"] += ":/run/lane/bin"  # a modprobe for machines without one
    env["DRUPE_LANE"] = opts.engine
    env["DRUPE_LANE_DISK"] = "/var/tmp"
    lines = ["#!/bin/sh"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in sorted(env.items())]
    cwd = shlex.quote(opts.cwd)
    lines += [f"cd {cwd} || echo 'tools/lane: no '{cwd}' in this guest: in / instead' >&2", 'exec "$@"']
    return "\n".join(lines) + "\n"


def guest_vars(opts, **more):
    """Settings of the guest script, as shell assignments."""
    merge = 0
    try:
        merge = int(os.path.sameopenfile(1, 2))
    except OSError:
        pass
    settings = {"engine": opts.engine, "systemd": int(opts.systemd), "apparmor": int(opts.apparmor), "cgroup": opts.cgroup, "tree": TREE, "merge": merge, **more}
    lines = [f"lane_{name}={shlex.quote(str(value))}" for name, value in settings.items()]
    lines.append("set -- " + " ".join(shlex.quote(word) for word in opts.command))
    return "\n".join(lines) + "\n"


# ---- the guest

class Guest:
    """A started guest: pumps its channels until it ends or the time is up."""

    def __init__(self, run, args, fds, channels, env=None):
        """fds: descriptors the program inherits; channels: our ends, in the order stdout, stderr, status."""
        self.run = run
        self.out, self.err, self.status_fd = channels
        self.log = run.path("console.log")
        self.hello = None
        self.exit = None
        self.status_text = b""
        self.begun = time.monotonic()
        with open(self.log, "wb") as log:
            # pylint: disable-next=consider-using-with
            self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=fds,
                                            start_new_session=True, env=env)
        run.started(self.process.pid)
        for fd in fds:
            os.close(fd)

    def pump(self, hello_limit, limit):
        """Copies the command's output. Returns when the guest said how the command ended, ended itself, or exceeded its time."""
        targets = {self.out: 1, self.err: 2, self.status_fd: None}
        while targets and self.exit is None:
            deadline = limit if self.hello is not None else min(hello_limit, limit)
            left = self.begun + deadline - time.monotonic()
            if left <= 0:
                return
            ready = select.select(list(targets), [], [], left)[0]
            for fd in sorted(ready, key=lambda fd: fd == self.status_fd):
                try:
                    data = os.read(fd, 65536)
                except ConnectionResetError:
                    data = b""
                if not data:
                    del targets[fd]
                elif fd == self.status_fd:
                    self._status(data)
                else:
                    write_all(targets[fd], data)
        self._rest(targets)

    def _rest(self, targets):
        """What was sent before the status is in the channels already."""
        for fd in list(targets):
            while fd != self.status_fd and select.select([fd], [], [], 0)[0]:
                try:
                    data = os.read(fd, 65536)
                except ConnectionResetError:
                    break
                if not data:
                    break
                write_all(targets[fd], data)

    def _status(self, data):
        self.status_text += data
        *lines, self.status_text = self.status_text.split(b"\n")
        for line in lines:
            words = line.split()
            if words == [b"hello"]:
                self.hello = time.monotonic() - self.begun
            elif len(words) == 2 and words[0] == b"exit":
                self.exit = int(words[1])

    def finish(self):
        for fd in (self.out, self.err, self.status_fd):
            os.close(fd)
        self.run.end()
        self.process.wait()

    def console(self):
        with open(self.log, "rb") as f:
            return f.read().decode(errors="replace")


def write_all(fd, data):
    while data:
        data = data[os.write(fd, data):]


def result(opts, guest):
    """The exit status of the lane for a guest that has ended; complains when it is not the command's own."""
    if opts.console:
        with open(opts.console, "w", encoding="utf-8") as f:
            f.write(guest.console())
    if opts.verbose and guest.hello is not None:
        say(f"{guest.hello:.2f} s to the command, {time.monotonic() - guest.begun:.2f} s in all")
    if guest.exit is not None:
        return guest.exit
    took = time.monotonic() - guest.begun
    if guest.hello is not None and took >= opts.timeout:
        say(f"not finished after {opts.timeout:g} s: killed")
        return TIMED_OUT
    told = [line for line in guest.console().splitlines() if not any(noise in line for noise in NOISE)]
    for line in told[-20:]:
        sys.stderr.write(f"console: {line}\n")
    if guest.hello is None:
        say(f"the guest did not reach the command in {took:.0f} s")
        return LANE_FAILED
    say("the guest ended before the command did")
    return LANE_FAILED
