"""The parent's side of a container runtime's command line: what all callers have in common.

A caller is a class with steps. Each step sends the command lines of that caller and judges the answers as the caller judges them;
it raises Failed when the caller would see an error or the container would not be what was asked for. The driver is a subreaper, as
all callers are that outlive a `create`: containers become its children, and it learns their exit status by waitpid.
"""
import array
import contextlib
import ctypes
import dataclasses
import fcntl
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import termios
import time

LIMIT = 100  # seconds until whatever is waited for counts as hanging
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """The caller would see an error, or a wrong answer."""


class Unable(Exception):
    """This machine lacks what the step needs."""


def check(condition, text):
    if not condition:
        raise Failed(text)


def same(what, got, wanted):
    check(got == wanted, "%s: got %r, not %r" % (what, got, wanted))


def wait_for(what, ready):
    """Returns the first true result of ready()."""
    until = time.monotonic() + LIMIT
    while True:
        result = ready()
        if result:
            return result
        check(time.monotonic() < until, "%s: not within %d s" % (what, LIMIT))
        time.sleep(0.01)


# -------------------------------------------------------------------------------------------------------------------- surroundings


@dataclasses.dataclass
class Surroundings:
    """What a runtime inherits from whoever called it; none of it may matter, and the container must not see it."""
    env: dict = None  # None: the caller's usual one
    stdin_closed: bool = False
    ignored: tuple = ()
    blocked: tuple = ()
    umask: int = 0o022
    cwd: str = None  # None: the bundle; "gone": a directory that was removed
    oom: int = None  # oom_score_adj, the one thing that the container keeps
    deaf: bool = False  # nobody reads what start, kill and delete print
    open_fds: int = 0  # descriptors from 3 that the caller forgot to close


ORDINARY = Surroundings()
ODD = {
    "no environment": Surroundings(env={}),
    "stdin closed": Surroundings(stdin_closed=True),
    "SIGPIPE and SIGCHLD ignored": Surroundings(ignored=(signal.SIGPIPE, signal.SIGCHLD)),
    "all signals blocked": Surroundings(blocked=tuple(signal.valid_signals())),
    "umask 0": Surroundings(umask=0),
    "umask 0777": Surroundings(umask=0o777),
    "cwd /": Surroundings(cwd="/"),
    "cwd removed": Surroundings(cwd="gone"),
    "oom_score_adj 500": Surroundings(oom=500),
    "nobody reads stdout and stderr": Surroundings(deaf=True),
    "descriptors left open": Surroundings(open_fds=5),
    "all of it": Surroundings(env={}, stdin_closed=True, ignored=(signal.SIGPIPE, signal.SIGCHLD), umask=0o777, cwd="gone", oom=700,
                              blocked=tuple(signal.valid_signals()), deaf=True, open_fds=5),
}


# ----------------------------------------------------------------------------------------------------------------- pipes, terminals


class Stream:
    """What a container writes, on a pipe or on the master of a terminal."""

    def __init__(self, master=None):
        self.write_end = None
        if master is None:
            master, self.write_end = os.pipe()
        self.fd, self.text = master, ""

    def close_write_end(self):
        if self.write_end is not None:
            os.close(self.write_end)
            self.write_end = None

    def read_some(self, seconds):
        """False at the end of the file, or when nothing came."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # a terminal whose last slave was closed
            data = b""
        self.text += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)

    def now(self):
        """What there is, without waiting for the end: conmon's way to get the reason of a failure."""
        while self.read_some(0):
            pass
        return self.text

    def until(self, text):
        deadline = time.monotonic() + LIMIT
        while text not in self.text:
            check(time.monotonic() < deadline, "the container did not print %r, but %r" % (text, self.text))
            if not self.read_some(0.5) and select.select([self.fd], [], [], 0)[0]:
                check(text in self.text, "the container closed its output without %r: %r" % (text, self.text))
        return self.text

    def lines(self):
        """name -> rest of the line, of what the probe printed."""
        return dict(line.partition(" ")[::2] for line in self.text.splitlines())

    def send(self, text):
        os.write(self.fd, text.encode())

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, array.array("H", [rows, columns, 0, 0]))

    def close(self):
        self.close_write_end()
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


class ConsoleSocket:
    """A unix socket that receives the master of one terminal, exactly as conmon and go-runc demand it."""

    def __init__(self, path):
        self.path = str(path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(1)

    def receive(self, process=None):
        """The terminal; the runtime that is to send it may be running."""
        def connected():
            ended = process is None or process.poll() is not None
            if select.select([self.listener], [], [], 0)[0]:
                return True
            check(not ended, "nobody connected to the console socket")
            return False
        wait_for("a connection to the console socket", connected)
        peer = self.listener.accept()[0]
        peer.settimeout(LIMIT)
        data, control, flags, _ = peer.recvmsg(4096, socket.CMSG_SPACE(4 * 8))
        check(1 <= len(data) < 4096, "console socket: a payload of %d bytes" % len(data))
        check(not flags & socket.MSG_CTRUNC, "console socket: control data cut")
        same("console socket: control messages", len(control), 1)
        level, kind, fds = control[0]
        same("console socket: kind of control message", (level, kind), (socket.SOL_SOCKET, socket.SCM_RIGHTS))
        same("console socket: length of control data", len(fds), 4)
        with contextlib.suppress(ConnectionResetError):
            same("console socket: a second message", peer.recv(1), b"")
        peer.close()
        self.close()
        master = array.array("i", fds)[0]
        os.set_inheritable(master, False)
        check(os.isatty(master), "console socket: the descriptor is no terminal")
        return Stream(master)

    def close(self):
        self.listener.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


def reserve_numbers(n):
    """Occupies the descriptors below n, so that in a child they can be made something else."""
    while True:
        fd = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        if fd >= n:
            os.close(fd)
            return


# -------------------------------------------------------------------------------------------------------------------------- records


def parse_pid(text):
    """As Go's strconv.Atoi: no blank, no newline."""
    check(re.fullmatch(r"[+-]?[0-9]+", text, re.A), "pid file: Atoi fails on %r" % text)
    return int(text)


def json_values(text):
    """The values of a stream of JSON, as Go's json.Decoder reads them."""
    decoder, at, values = json.JSONDecoder(), 0, []
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        value, at = decoder.raw_decode(text, at)
        values.append(value)
    return values


@dataclasses.dataclass
class Result:
    status: int
    out: str
    err: str

    @property
    def failed(self):
        return self.status != 0

    def ok(self, what):
        check(not self.failed, "%s: exit status %d: %s" % (what, self.status, (self.err or self.out).strip()))
        return self


class Container:
    """One container of a caller: a copy of the bundle's configuration with the program to run."""

    def __init__(self, ground, name, args, edit):
        self.id = ground.token + "-" + name
        self.bundle = ground.bundle_for(name)
        config = json.loads((self.bundle / "config.json").read_text())
        config["process"]["args"] = list(args)
        if edit:
            edit(config)
        (self.bundle / "config.json").write_text(json.dumps(config))
        self.config, self.out, self.pid = config, None, None
        self.pid_file = self.bundle / "init.pid"

    def path(self, name):
        return self.bundle / name

    def close(self):
        if self.out:
            self.out.close()


class Ground:
    """What the test gives: the runtime, its state directory, a bundle to copy, a name that is the test's own."""

    def __init__(self):
        self.runtime, self.root, self.token = (os.environ[k] for k in ("RUNTIME", "ROOT", "TOKEN"))
        self.template = pathlib.Path(os.environ["BUNDLE"])
        self.work = pathlib.Path(os.environ["BATS_TEST_TMPDIR"])

    def bundle_for(self, name):
        """Another config.json for the same root file system."""
        bundle = self.work / ("bundle-" + name)
        bundle.mkdir()
        config = json.loads((self.template / "config.json").read_text())
        config["root"]["path"] = str(self.template / "rootfs")
        (bundle / "config.json").write_text(json.dumps(config))
        return bundle


# --------------------------------------------------------------------------------------------------------------------------- caller


def step(feature):
    """Marks a method as a step; the feature is its name in the table of results."""
    def mark(method):
        method.feature = feature
        return method
    return mark


class Caller:
    name = None
    env = None  # None: as the driver's
    dies_with_parent = False  # the runtime does, by PR_SET_PDEATHSIG
    wrapper = ()  # what executes the runtime in the end

    def __init__(self, ground, surroundings=ORDINARY, prefix=""):
        self.ground, self.around, self.prefix = ground, surroundings, prefix
        self.containers = []
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    @classmethod
    def steps(cls):
        """feature -> name of the method, those of the base classes first."""
        found = {}
        for base in reversed(cls.__mro__):
            found.update((m.feature, name) for name, m in vars(base).items() if hasattr(m, "feature"))
        return {feature: name for feature, name in found.items() if getattr(cls, name) is not None}

    def close(self):
        """After a step that failed its containers may be there still, as children of ours."""
        for c in self.containers:
            c.close()
            if pathlib.Path(self.ground.root, c.id).exists():
                subprocess.run([self.ground.runtime, "--root", self.ground.root, "delete", "--force", c.id], timeout=LIMIT,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    # ------------------------------------------------------------------------------------------------------- processes

    def before_exec(self, process_group, pass_fds):
        """In the child, just before the runtime is executed."""
        a = self.around
        if process_group:
            os.setpgid(0, 0)
        if self.dies_with_parent:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if a.oom is not None:
            pathlib.Path("/proc/self/oom_score_adj").write_text(str(a.oom))
        for number in a.ignored:
            signal.signal(number, signal.SIG_IGN)
        if a.blocked:
            signal.pthread_sigmask(signal.SIG_BLOCK, a.blocked)
        os.umask(a.umask)
        if a.cwd == "gone":
            gone = str(self.ground.work / ("gone-%d" % os.getpid()))
            os.mkdir(gone, 0o700)
            os.chdir(gone)
            os.rmdir(gone)
        if a.stdin_closed:
            os.close(0)
        for number, fd in enumerate(pass_fds, 3):
            os.dup2(fd, number)

    def spawn(self, args, cwd, stdin=subprocess.DEVNULL, stdout=None, stderr=None, process_group=False, pass_fds=()):
        """pass_fds become the descriptors from 3; those numbers are reserved in the driver (reserve_numbers)."""
        env = self.around.env if self.around.env is not None else self.env
        if self.around.cwd not in (None, "gone"):
            cwd = self.around.cwd
        # The reserved numbers are /dev/null.
        count = max(len(pass_fds), self.around.open_fds)
        return subprocess.Popen([*self.wrapper, self.ground.runtime, *map(str, args)], stdin=stdin, stdout=stdout, stderr=stderr,
                                cwd=str(cwd), env=env, close_fds=True, pass_fds=range(3, 3 + count), restore_signals=True,
                                preexec_fn=lambda: self.before_exec(process_group, pass_fds))

    def wait(self, process, what):
        try:
            return process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Failed("%s: the runtime hangs" % what)

    def call(self, *args, text=None, combined=False, wants_output=False, cwd=None):
        """A command that gives nothing of its descriptors to a container. Combined: stdout and stderr on one pipe."""
        cwd = cwd or self.ground.work
        if self.around.deaf and not wants_output:
            return self.call_deaf(args, cwd)
        stdin = subprocess.PIPE if text is not None else subprocess.DEVNULL
        p = self.spawn(args, cwd, stdin, subprocess.PIPE, subprocess.STDOUT if combined else subprocess.PIPE)
        try:
            out, err = p.communicate(None if text is None else text.encode(), LIMIT)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()  # not communicate(): what it started may hold the pipes
            raise Failed("%s: the runtime hangs" % " ".join(map(str, args)))
        return Result(p.returncode, out.decode(), (err or b"").decode())

    def call_deaf(self, args, cwd):
        reader, writer = os.pipe()
        os.close(reader)
        p = self.spawn(args, cwd, stdout=writer, stderr=writer)
        os.close(writer)
        return Result(self.wait(p, " ".join(map(str, args))), "", "(nobody read it)")

    def reap(self, pid, what="the container"):
        """The status of a process that became our child; a signal counts as 128 and its number."""
        def ended():
            try:
                return os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                raise Failed("%s: process %d is not a child of the subreaper" % (what, pid))
        status = wait_for("%s ends" % what, lambda: (lambda r: r if r[0] else None)(ended()))[1]
        return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)

    # ------------------------------------------------------------------------------------------------------ containers

    def container(self, *args, name="c", edit=None):
        c = Container(self.ground, self.prefix + name, args, edit)
        self.containers.append(c)
        return c

    def check_nothing_left(self, c):
        check(not pathlib.Path(self.ground.root, c.id).exists(), "the state of %s was left" % c.id)
        temporary = [p.name for p in c.bundle.iterdir() if p.name.startswith(".")]
        same("temporary files in the bundle", temporary, [])

    def judge_view(self, out):
        """What a program in the container found about itself: nothing of the caller's surroundings."""
        out.now()
        seen = out.lines()
        same("blocked signals in the container", seen.get("blocked"), "")
        same("ignored signals in the container", seen.get("ignored"), "")
        same("umask in the container", seen.get("umask"), "0022")
        same("working directory in the container", seen.get("cwd"), "/")
        own = pathlib.Path("/proc/self/oom_score_adj").read_text().strip()
        same("oom_score_adj in the container", seen.get("oom_score_adj"), str(self.around.oom) if self.around.oom is not None else own)
        same("descriptors in the container", sorted(k for k in seen if k.isdigit()), ["0", "1", "2"])

    # tells what it sees; the program of a life cycle then waits for signals
    VIEW = ("/probe", "mask", ",", "ids", ",", "cwd", ",", "oom", ",", "fds")
    VIEW_AND_WAIT = (*VIEW, ",", "trap")


class Creating(Caller):
    """Callers whose containers are made by `create` and started by `start`: their common life."""

    def create(self, c, **how):
        raise NotImplementedError

    def start(self, c):
        raise NotImplementedError

    def kill(self, c, number):
        raise NotImplementedError

    def delete(self, c):
        raise NotImplementedError

    def exec_view(self, c):
        """Judges the view of an exec'd process, for callers that exec."""

    def run_create(self, c, args, stdin=subprocess.DEVNULL, pass_fds=(), console=None):
        """The create command with the container's output as its own; returns its exit status."""
        c.out = Stream()
        p = self.spawn(args, c.bundle, stdin, c.out.write_end, c.out.write_end, pass_fds=pass_fds)
        c.out.close_write_end()
        if console is None:
            return self.wait(p, "create")
        master = console.receive(p)
        status = self.wait(p, "create")
        c.stderr = c.out
        c.out = master
        return status

    def state(self, c):
        """What `state` prints, alone on its stdout."""
        r = self.call(*self.globals(c), "state", c.id, wants_output=True).ok("state")
        same("state: stderr", r.err, "")
        return json.loads(r.out)

    def globals(self, c):
        return ["--root", self.ground.root]

    def status_is(self, c, wanted):
        wait_for("status %s" % wanted, lambda: self.state(c)["status"] == wanted)

    def up(self, *args, name="c", edit=None, **how):
        """A running container; its program prints "ready"."""
        c = self.container(*(args or ("/probe", "trap")), name=name, edit=edit)
        self.create(c, **how)
        self.start(c)
        c.out.until("ready\n")
        return c

    def down(self, c):
        self.kill(c, signal.SIGKILL)
        status = self.reap(c.pid)
        self.delete(c)
        return status

    @step("life cycle")
    def life_cycle(self):
        c = self.container(*self.VIEW_AND_WAIT)
        self.create(c)
        state = self.state(c)
        same("state after create", (state["status"], state["pid"], state["id"]), ("created", c.pid, c.id))
        same("output before start", c.out.now(), "")
        self.start(c)
        c.out.until("ready\n")
        self.judge_view(c.out)
        same("state after start", self.state(c)["status"], "running")
        self.exec_view(c)
        self.kill(c, signal.SIGUSR1)
        c.out.until("signal 10\n")
        self.kill(c, signal.SIGTERM)
        same("exit status", self.reap(c.pid), 0)
        self.status_is(c, "stopped")
        same("pid when stopped", self.state(c)["pid"], 0)
        self.delete(c)
        self.check_nothing_left(c)

    @step("exit status")
    def exit_status(self):
        for args, wanted in ((("/probe", "exit", "7"), 7), (("/bin/sh", "-c", "kill -9 $$; exit 5"), None)):
            c = self.container(*args, name="e%s" % wanted)
            self.create(c)
            self.start(c)
            status = self.reap(c.pid)
            # The first process of a pid namespace does not die by its own SIGKILL.
            same("exit status", status, 5 if wanted is None else wanted)
            self.delete(c)
        c = self.up(name="killed")
        same("exit status after SIGKILL", self.down(c), 137)


# What goes wrong when a program can't be executed: args, what moby makes of it, what podman makes of it. A directory has no
# exit status of its own in podman.
BAD_PROGRAMS = {
    "a path that is not there": (["/no/such/Program"], 127, 127),
    "a name that is not in PATH": (["noSuchProgram"], 127, 127),
    "a file that is not executable": (["/etc/passwd"], 126, 126),
    "a directory": (["/etc"], 126, None),
    "a path through a file": (["/etc/passwd/program"], 127, None),
}


def moby_exit_code(text, program):
    """moby's daemon/errors.go, on the message as it comes through containerd; case counts."""
    code = 125
    if program in text and any(s in text for s in ("executable file not found", "no such file or directory")):
        code = 127
    if "permission denied" in text or "is a directory" in text:
        code = 126
    if "not a directory" in text:
        code = 127
    return code


PODMAN_ERRORS = (
    # podman tries them in this order
    (126, re.compile(r"(?i).*permission denied.*|.*operation not permitted.*")),
    (127, re.compile(r"(?i).*executable file not found in.*|.*no such file or directory.*|.*open executable.*")),
    ("security attribute", re.compile(r"`/proc/[a-z0-9-].+/attr.*`")),
)


def podman_exit_code(text):
    """podman's libpod/oci_util.go: None is the error without a meaning."""
    for code, pattern in PODMAN_ERRORS:
        if pattern.search(text):
            return code
    return None
