"""conmon, which makes containers and exec'd processes for podman and CRI-O."""
import json
import os
import pathlib
import re
import signal
import subprocess

from base import BAD_PROGRAMS, ConsoleSocket, Creating, Failed, Stream, check, same, step


def atoi(path):
    """C's atoi(), which conmon uses; a pid file of 0 is as none."""
    match = re.match(r"\s*([+-]?[0-9]+)", pathlib.Path(path).read_text())
    pid = int(match[1]) if match else 0
    check(pid > 0, "pid file %s: no pid" % path)
    return pid


class ByConmon(Creating):
    """What conmon does, for those who use it."""

    def runtime_args(self, c):
        return ["--root", self.ground.root]

    def globals(self, c):
        return ["--root", self.ground.root]

    def create_args(self, c, *extra):
        return [*self.runtime_args(c), "create", "--bundle", c.bundle, "--pid-file", c.pid_file, *extra, c.id]

    def try_create(self, c, console=None, extra=(), **kw):
        """conmon receives the terminal while the runtime runs. Returns the exit status."""
        extra = [*extra, "--console-socket", console.path] if console else list(extra)
        return self.run_create(c, self.create_args(c, *extra), console=console, **kw)

    def create(self, c, **kw):
        status = self.try_create(c, **kw)
        check(status == 0, "Failed to create container: exit status %d: %s" % (status, c.out.now()))
        c.pid = atoi(c.pid_file)

    def start(self, c):
        self.call(*self.globals(c), "start", c.id).ok("start")

    def kill(self, c, number):
        self.call(*self.globals(c), "kill", c.id, int(number)).ok("kill")

    def delete(self, c):
        self.call(*self.globals(c), "delete", "--force", c.id).ok("delete")

    def exec(self, c, name, console=None, extra=(), pass_fds=(), **process):
        """Returns the output and the pid; None is what conmon calls a failure: no pid file, or a status that isn't 0."""
        spec, pid_file = c.path(name + "-process.json"), c.path(name + ".pid")
        spec.write_text(json.dumps(dict(c.config["process"], terminal=bool(console), **process)))
        args = [*self.runtime_args(c), "exec", "--pid-file", pid_file, "--process", spec, "--detach", *extra]
        if console:
            args += ["--console-socket", console.path]
        out = Stream()
        p = self.spawn([*args, c.id], c.bundle, stdout=out.write_end, stderr=out.write_end, pass_fds=pass_fds)
        out.close_write_end()
        if console:
            out.close()
            out = console.receive(p)
        status = self.wait(p, "exec")
        check(pid_file.exists() == (status == 0), "exec: exit status %d, but pid file %s" %
              (status, "exists" if pid_file.exists() else "missing"))
        return out, atoi(pid_file) if pid_file.exists() else None

    def exec_view(self, c):
        out, pid = self.exec(c, "view", args=list(self.VIEW))
        check(pid, "exec failed: %s" % out.now())
        same("exit status of exec", self.reap(pid, "exec"), 0)
        self.judge_view(out)
        out.close()


class Conmon(ByConmon):
    name = "conmon"

    @step("exec")
    def exec_detached(self):
        c = self.up()
        out, pid = self.exec(c, "e", args=["/probe", "mask", ",", "fds", ",", "exit", "3"])
        check(pid, "exec failed: %s" % out.now())
        same("exit status of exec", self.reap(pid, "exec"), 3)
        out.now()
        same("descriptors of exec", sorted(k for k in out.lines() if k.isdigit()), ["0", "1", "2"])
        out.close()
        self.down(c)

    @step("terminal")
    def terminal(self):
        c = self.container("/probe", "tty", ",", "winch", edit=lambda d: d["process"].update(terminal=True))
        self.create(c, console=ConsoleSocket(self.ground.work / "conmon-term.sock"))
        self.start(c)
        c.out.until("ready\n")
        same("controlling terminal", c.out.lines()["controlling"], "1")
        c.out.resize(50, 132)
        c.out.until("size 50 132\n")
        same("exit status", self.reap(c.pid), 0)
        self.delete(c)

    @step("exec with a terminal")
    def exec_terminal(self):
        c = self.up()
        out, pid = self.exec(c, "t", ConsoleSocket(self.ground.work / "conmon-term.sock"),
                             args=["/bin/sh", "-c", "tty; read line; echo got $line"])
        out.until("/dev/pts/")
        out.send("it\n")
        out.until("got it\n")
        same("exit status of exec", self.reap(pid, "exec"), 0)
        out.close()
        self.down(c)

    @step("a console socket with a long path")
    def long_console(self):
        directory = self.ground.work / ("d" * 120)
        directory.mkdir()
        here = os.open(directory, os.O_PATH | os.O_DIRECTORY)
        try:
            console = ConsoleSocket("/proc/self/fd/%d/s" % here)
            c = self.container("/probe", "trap", edit=lambda d: d["process"].update(terminal=True))
            console.path, own = str(directory / "s"), console.path
            self.create(c, console=console)
            self.start(c)
            c.out.until("ready\n")
            self.down(c)
            check(own.endswith("/s"), "the socket moved")
        finally:
            os.close(here)

    @step("no pivot, no new keyring")
    def no_pivot(self):
        self.down(self.up(extra=["--no-pivot", "--no-new-keyring"]))

    @step("preserved descriptors")
    def preserved(self):
        reader, writer = os.pipe()
        try:
            c = self.container("/bin/sh", "-c", "echo from create >&3; exec /probe fds , trap")
            self.create(c, extra=["--preserve-fds", "1"], pass_fds=(writer,))
            self.start(c)
            c.out.until("ready\n")
            same("descriptors of the container", sorted(k for k in c.out.lines() if k.isdigit()), ["0", "1", "2", "3"])
            out, pid = self.exec(c, "e", extra=["--preserve-fds", "1"], pass_fds=(writer,),
                                 args=["/bin/sh", "-c", "echo from exec >&3"])
            check(pid, "exec failed: %s" % out.now())
            self.reap(pid, "exec")
            out.close()
            same("what came by it", os.read(reader, 100), b"from create\nfrom exec\n")
            self.down(c)
        finally:
            os.close(reader)
            os.close(writer)

    @step("socket activation")
    def listen_fds(self):
        """LISTEN_PID is the runtime's own, as conmon sets it after fork."""
        reader, writer = os.pipe()
        try:
            c = self.container("/bin/sh", "-c", "echo pid $LISTEN_PID n $LISTEN_FDS >&3; exec /probe trap")
            self.wrapper = ("/bin/sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "sh")
            self.create(c, pass_fds=(writer,))
            self.wrapper = ()
            self.start(c)
            c.out.until("ready\n")
            same("environment of the container", os.read(reader, 100), b"pid 1 n 1\n")
            self.down(c)
        finally:
            os.close(reader)
            os.close(writer)

    @step("errors: create")
    def create_errors(self):
        for n, (what, (args, _, _)) in enumerate(BAD_PROGRAMS.items()):
            c = self.container(*args, name="bad%d" % n)
            status = self.try_create(c)
            check(status != 0, "create with %s: must fail" % what)
            check(c.out.now().strip(), "create with %s: nothing on stderr to report" % what)
            check(not c.pid_file.exists(), "create with %s: left a pid file" % what)
            self.check_nothing_left(c)
        c = self.up()
        twin = self.container("/bin/true", name="twin")
        twin.id = c.id
        check(self.try_create(twin) != 0, "create with a used id must fail")
        check(c.id in os.listdir(self.ground.root) and self.state(c)["status"] == "running", "the first of that id was harmed")
        self.down(c)

    @step("errors: a terminal without its socket, and a socket without a terminal")
    def console_errors(self):
        c = self.container("/bin/true", edit=lambda d: d["process"].update(terminal=True))
        check(self.try_create(c) != 0, "create with a terminal and no socket must fail")
        self.check_nothing_left(c)
        c = self.container("/bin/true", name="plain")
        listener = ConsoleSocket(self.ground.work / "conmon-term.sock")
        check(self.try_create(c, extra=["--console-socket", listener.path]) != 0, "create with a socket and no terminal must fail")
        listener.close()
        self.check_nothing_left(c)

    @step("errors: exec")
    def exec_errors(self):
        c = self.up()
        for n, (what, (args, _, _)) in enumerate(BAD_PROGRAMS.items()):
            out, pid = self.exec(c, "bad%d" % n, args=args)
            check(pid is None, "exec with %s: left a pid file" % what)
            check(out.now().strip(), "exec with %s: nothing on stderr to report" % what)
            out.close()
        same("status", self.state(c)["status"], "running")
        self.kill(c, signal.SIGKILL)
        self.reap(c.pid)
        self.status_is(c, "stopped")
        out, pid = self.exec(c, "late", args=["/bin/true"])
        check(pid is None, "exec in a stopped container: left a pid file")
        out.close()
        self.delete(c)
