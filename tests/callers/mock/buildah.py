"""buildah run: waits for the pid itself, and asks for the state ten times a second."""
import json
import os
import pathlib
import signal

from base import ConsoleSocket, Creating, check, same, step


class Buildah(Creating):
    name = "buildah"

    def create(self, c, console=None):
        args = [*self.globals(c), "create", "--bundle", c.bundle, "--pid-file", c.pid_file]
        if console:
            args += ["--console-socket", console.path]
        status = self.run_create(c, [*args, c.id], console=console)
        check(status == 0, "create: exit status %d: %s" % (status, c.out.now()))
        c.pid = int(pathlib.Path(c.pid_file).read_text().strip())

    def start(self, c):
        self.call(*self.globals(c), "start", c.id).ok("start")

    def kill(self, c, number):
        """The default signal, and SIGKILL by name, are all that buildah sends."""
        words = {signal.SIGTERM: [], signal.SIGKILL: ["SIGKILL"]}.get(number, [str(int(number))])
        self.call(*self.globals(c), "kill", c.id, *words).ok("kill")

    def delete(self, c):
        self.call(*self.globals(c), "delete", c.id).ok("delete")

    def watch(self, c):
        """buildah's loop: any word besides these two ends the build. Returns the exit status by wait4."""
        while True:
            state = self.state(c)
            check(state["status"] in ("running", "stopped"), "unexpected status %r" % state["status"])
            if state["status"] == "stopped":
                return self.reap(c.pid)
            try:
                pid, status = os.waitpid(c.pid, os.WNOHANG)
            except ChildProcessError:
                check(False, "pid %d is not a child" % c.pid)
            if pid:
                # From now on nothing may call it running: nobody is left to reap.
                self.status_is(c, "stopped")
                return os.waitstatus_to_exitcode(status)

    @step("run to the end")
    def to_the_end(self):
        for code in (0, 6):
            c = self.container("/bin/sh", "-c", "echo working; exit %d" % code, name="r%d" % code)
            self.create(c)
            self.start(c)
            same("exit status", self.watch(c), code)
            same("output", c.out.now(), "working\n")
            self.delete(c)
            self.check_nothing_left(c)

    @step("terminal")
    def terminal(self):
        c = self.container("/bin/sh", "-c", "tty; echo ready; read line; exit 2",
                           edit=lambda d: d["process"].update(terminal=True))
        self.create(c, console=ConsoleSocket(self.ground.work / "buildah.sock"))
        self.start(c)
        c.out.until("ready\n")
        c.out.send("\n")
        same("exit status", self.watch(c), 2)
        self.delete(c)

    @step("interrupted")
    def interrupted(self):
        c = self.up()
        self.kill(c, signal.SIGTERM)
        same("exit status", self.watch(c), 0)
        self.delete(c)

    @step("errors: create")
    def create_error(self):
        c = self.container("/no/such/program")
        status = self.run_create(c, [*self.globals(c), "create", "--bundle", c.bundle, "--pid-file", c.pid_file, c.id])
        check(status != 0 and c.out.now().strip(), "create of a program that is not there must fail, with a reason")
        self.check_nothing_left(c)
