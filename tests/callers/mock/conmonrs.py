"""conmon-rs: create with a pid file, exec of plain words."""
import os

from base import ConsoleSocket, Creating, Stream, check, parse_pid, same, step


class ConmonRs(Creating):
    name = "conmon-rs"

    def globals(self, c):
        """CRI-O's own --root, and that of conmon-rs."""
        return ["--root=%s" % self.ground.root, "--root=%s" % self.ground.root]

    def create(self, c, console=None):
        args = [*self.globals(c), "create", "--bundle", c.bundle, "--pid-file", c.pid_file]
        if console:
            args.append("--console-socket=%s" % console.path)
        status = self.run_create(c, [*args, c.id], console=console)
        check(status == 0, "create: exit status %d: %s" % (status, c.out.now()))
        c.pid = parse_pid(c.pid_file.read_text())

    def start(self, c):
        self.call(*self.globals(c), "start", c.id).ok("start")

    def kill(self, c, number):
        self.call(*self.globals(c), "kill", c.id, int(number)).ok("kill")

    def delete(self, c):
        self.call(*self.globals(c), "delete", "--force", c.id).ok("delete")

    def exec(self, c, *words, console=None):
        """Returns output, pid (None: no pid file) and exit status."""
        pid_file = c.path("exec.pid")
        pid_file.unlink(missing_ok=True)
        args = [*self.globals(c), "exec", "-d"]
        if console:
            args += ["--tty", "--console-socket=%s" % console.path]
        out = Stream()
        p = self.spawn([*args, "--pid-file=%s" % pid_file, c.id, *words], c.bundle, stdout=out.write_end, stderr=out.write_end)
        out.close_write_end()
        if console:
            out.close()
            out = console.receive(p)
        status = self.wait(p, "exec")
        return out, parse_pid(pid_file.read_text()) if pid_file.exists() else None, status

    def exec_view(self, c):
        out, pid, status = self.exec(c, *self.VIEW)
        same("exit status of the runtime (%s)" % out.now(), status, 0)
        same("exit status of exec", self.reap(pid, "exec"), 0)
        self.judge_view(out)
        out.close()

    @step("exec of plain words")
    def exec_words(self):
        c = self.up()
        out, pid, status = self.exec(c, "/bin/sh", "-c", 'echo "$@"; exit 4', "-d", "--tty", "--pid-file=x")
        same("exit status of the runtime (%s)" % out.now(), status, 0)
        same("exit status of exec", self.reap(pid, "exec"), 4)
        same("output", out.now(), "--tty --pid-file=x\n")
        out.close()
        self.down(c)

    @step("terminal")
    def terminal(self):
        c = self.container("/probe", "tty", ",", "trap", edit=lambda d: d["process"].update(terminal=True))
        self.create(c, console=ConsoleSocket(self.ground.work / "rs.sock"))
        self.start(c)
        c.out.until("ready\n")
        same("controlling terminal", c.out.lines()["controlling"], "1")
        self.down(c)

    @step("exec with a terminal")
    def exec_terminal(self):
        c = self.up()
        out, pid, status = self.exec(c, "/bin/sh", "-c", "tty; read line; echo got $line",
                                     console=ConsoleSocket(self.ground.work / "rs.sock"))
        same("exit status of the runtime", status, 0)
        out.until("/dev/pts/")
        out.send("it\n")
        out.until("got it\n")
        same("exit status of exec", self.reap(pid, "exec"), 0)
        out.close()
        self.down(c)

    @step("errors: exec of a program that is not there")
    def exec_error(self):
        c = self.up()
        out, pid, status = self.exec(c, "/no/such/program")
        check(status != 0 and pid is None, "exit status %d, pid %s" % (status, pid))
        check(out.now().strip(), "nothing on stderr")
        out.close()
        self.down(c)
        same("state directory", os.listdir(self.ground.root), [])
