"""buildkit: containers in the foreground, by go-runc, whose exit status is the runtime's."""
import json
import os
import pathlib
import pty
import signal
import subprocess
import sys

from base import BAD_PROGRAMS, PR_SET_PDEATHSIG, Stream, check, same, step, wait_for
from gorunc import GoRunc


class Buildkit(GoRunc):
    name = "buildkit"
    exit_status = None  # its own, below

    def run(self, c, *extra, stdio=None):
        """Starts `run`; returns the process, in a group of its own, that dies with its parent."""
        args = [*self.globals(c), "run", "--bundle", c.bundle, *extra, "--keep", c.id]
        if stdio is not None:
            c.out = Stream(stdio[0])
            p = self.spawn(args, c.bundle, stdio[1], stdio[1], stdio[1], process_group=True)
            os.close(stdio[1])
            return p
        c.out = Stream()
        p = self.spawn(args, c.bundle, subprocess.DEVNULL, c.out.write_end, c.out.write_end, process_group=True)
        c.out.close_write_end()
        return p

    def wait_running(self, c):
        """Polls `state`, whose failures before the container is there do not count."""
        def running():
            r = self.command(c, "state", c.id, wants_output=True)
            return not r.failed and json.loads(r.out)["status"] == "running"
        wait_for("state is running", running)

    def delete(self, c):
        self.command(c, "delete", c.id).ok("delete")
        self.check_nothing_left(c)

    def exec(self, c, *args, stdio=None, **process):
        """exec in the foreground; the pid is read as soon as the pid file is there. Returns process and pid."""
        spec, pid_file = c.path("process.json"), c.path("exec.pid")
        pid_file.unlink(missing_ok=True)
        spec.write_text(json.dumps(dict(c.config["process"], args=list(args), terminal=bool(stdio), **process)))
        out = Stream(stdio[0]) if stdio else Stream()
        end = stdio[1] if stdio else out.write_end
        p = self.spawn([*self.globals(c), "exec", "--process", spec, "--pid-file", pid_file, c.id], c.bundle,
                       stdio[1] if stdio else subprocess.DEVNULL, end, end, process_group=True)
        if stdio:
            os.close(end)
        else:
            out.close_write_end()
        wait_for("the pid file or the end of exec", lambda: pid_file.exists() or p.poll() is not None)
        return p, self.pid_from(pid_file) if pid_file.exists() else None, out

    @step("life cycle")
    def life_cycle(self):
        c = self.container(*self.VIEW_AND_WAIT)
        p = self.run(c, "--pid-file", c.pid_file)
        wait_for("the pid file", c.pid_file.exists)
        pid = self.pid_from(c.pid_file)
        self.wait_running(c)
        same("pid of state", self.state(c)["pid"], pid)
        c.out.until("ready\n")
        self.judge_view(c.out)
        e, _, out = self.exec(c, *self.VIEW)
        same("exit status of exec", self.wait(e, "exec"), 0)
        self.judge_view(out)
        out.close()
        self.command(c, "kill", c.id, 10).ok("kill")
        c.out.until("signal 10\n")
        self.command(c, "kill", c.id, 15).ok("kill")
        same("exit status of run", self.wait(p, "run"), 0)
        same("state after the end", self.state(c)["status"], "stopped")
        self.delete(c)

    @step("exit status is the container's")
    def exit_codes(self):
        for code in (0, 1, 42, 255):
            c = self.container("/probe", "exit", str(code), name="x%d" % code)
            same("exit status of run", self.wait(self.run(c), "run"), code)
            self.delete(c)
        c = self.container("/probe", "trap", name="killed")
        p = self.run(c)
        c.out.until("ready\n")
        self.command(c, "kill", c.id, 9).ok("kill")
        same("exit status of a killed run", self.wait(p, "run"), 137)
        self.delete(c)

    @step("no pivot")
    def no_pivot(self):
        c = self.container("/probe", "exit", "3")
        same("exit status", self.wait(self.run(c, "--no-pivot"), "run"), 3)
        self.delete(c)

    @step("exec in the foreground")
    def exec_foreground(self):
        c = self.container("/probe", "trap")
        p = self.run(c)
        self.wait_running(c)
        e, pid, out = self.exec(c, "/bin/sh", "-c", "echo $$; exit 7", cwd="/tmp")
        check(pid and pid > 0, "exec: no pid file: %s" % out.now())
        same("exit status of exec", self.wait(e, "exec"), 7)
        check(out.now().strip().isdigit(), "output of exec: %r" % out.text)
        e, pid, out = self.exec(c, "/probe", "trap")
        out.until("ready\n")
        os.kill(pid, signal.SIGKILL)
        same("exit status of a killed exec", self.wait(e, "exec"), 137)
        self.command(c, "kill", c.id, 9).ok("kill")
        self.wait(p, "run")
        self.delete(c)

    @step("terminal, resized by SIGWINCH to the runtime")
    def terminal(self):
        c = self.container("/probe", "tty", ",", "winch", edit=lambda d: d["process"].update(terminal=True))
        master, slave = pty.openpty()
        p = self.run(c, stdio=(master, slave))
        c.out.until("ready\n")
        same("controlling terminal", c.out.lines()["controlling"], "1")
        c.out.resize(31, 97)
        os.kill(p.pid, signal.SIGWINCH)
        c.out.until("size 31 97\n")
        same("exit status of run", self.wait(p, "run"), 0)
        self.delete(c)

    @step("exec with a terminal, resized by SIGWINCH to the runtime")
    def exec_terminal(self):
        c = self.container("/probe", "trap")
        p = self.run(c)
        self.wait_running(c)
        e, _, out = self.exec(c, "/probe", "winch", stdio=pty.openpty())
        out.until("ready\n")
        out.resize(12, 34)
        os.kill(e.pid, signal.SIGWINCH)
        out.until("size 12 34\n")
        same("exit status of exec", self.wait(e, "exec"), 0)
        out.close()
        self.command(c, "kill", c.id, 9).ok("kill")
        self.wait(p, "run")
        self.delete(c)

    @step("the caller dies")
    def caller_dies(self):
        """The runtime goes with its parent; what is left is found by the next one, which kills and deletes it."""
        c = self.container("/probe", "trap")
        c.out = Stream()
        args = [*self.globals(c), "run", "--bundle", c.bundle, "--pid-file", c.pid_file, "--keep", c.id]
        # A parent of its own for the runtime.
        code = ("import ctypes, os, subprocess, sys\n"
                "p = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL,"
                " preexec_fn=lambda: ctypes.CDLL(None).prctl(%d, 9, 0, 0, 0))\np.wait()\n" % PR_SET_PDEATHSIG)
        parent = subprocess.Popen([sys.executable, "-c", code, self.ground.runtime, *map(str, args)], cwd=c.bundle,
                                  stdin=subprocess.DEVNULL, stdout=c.out.write_end, stderr=c.out.write_end)
        c.out.close_write_end()
        c.out.until("ready\n")
        self.wait_running(c)
        runtime = int(pathlib.Path("/proc/%d/task/%d/children" % (parent.pid, parent.pid)).read_text().split()[0])
        parent.kill()
        parent.wait()
        same("end of the runtime", self.reap(runtime, "the runtime"), 137)
        pid = self.pid_from(c.pid_file)
        same("status", self.state(c)["status"], "running")
        self.command(c, "kill", c.id, 9).ok("kill")
        same("exit status", self.reap(pid), 137)
        wait_for("stopped", lambda: self.state(c)["status"] == "stopped")
        self.delete(c)

    @step("errors: programs that can't be executed")
    def bad_programs(self):
        c = self.container("/probe", "trap")
        p = self.run(c)
        self.wait_running(c)
        for n, (what, (args, _, _)) in enumerate(BAD_PROGRAMS.items()):
            bad = self.container(*args, name="bad%d" % n)
            status = self.wait(self.run(bad, "--pid-file", bad.pid_file), "run")
            check(status not in (0, 125), "run with %s: exit status %d" % (what, status))
            self.last_error(bad)
            check(bad.out.now().strip(), "run with %s: nothing on stderr" % what)
            self.command(bad, "delete", "--force", bad.id).ok("delete --force")
            e, pid, out = self.exec(c, *args)
            status = self.wait(e, "exec")
            check(status != 0 and pid is None, "exec with %s: exit status %d, pid %s" % (what, status, pid))
            check(out.now().strip(), "exec with %s: nothing on stderr" % what)
            out.close()
        self.command(c, "kill", c.id, 9).ok("kill")
        self.wait(p, "run")
        self.delete(c)

    @step("errors: a container that is not there")
    def unknown(self):
        c = self.container("/bin/true")
        for args in (("state", c.id), ("kill", c.id, 9), ("delete", c.id)):
            self.refused(c, *args, text="does not exist", wants_output=True)
