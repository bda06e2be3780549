"""CRI-O: conmon for create, and the runtime called directly."""
import json
import pathlib
import signal

from base import Unable, check, same, step
from conmon import ByConmon
from shim import cgroup2_controllers, memory_limit


class Crio(ByConmon):
    name = "cri-o"

    def refused(self, c, *args, words):
        """A failure whose stderr has one of the words by which CRI-O knows that the process is gone."""
        r = self.call(*self.globals(c), *args, wants_output=True)
        check(r.failed, "%s: must fail" % args[0])
        check(any(w in r.err for w in words), "%s: none of %s in %r" % (args[0], words, r.err))

    @step("signals by name and number, --all by -a")
    def signals(self):
        c = self.up()
        for word, number in (("USR1", 10), ("SIGUSR2", 12), ("1", 1), ("hup", 1), ("sigint", 2)):
            c.out.text = ""
            self.call(*self.globals(c), "kill", c.id, word).ok("kill %s" % word)
            c.out.until("signal %d\n" % number)
        check(self.call(*self.globals(c), "kill", c.id, "NOSUCH").failed, "kill with an unknown signal must fail")
        self.call(*self.globals(c), "kill", "-a", c.id, "9").ok("kill -a")
        same("exit status", self.reap(c.pid), 137)
        self.delete(c)

    @step("kill -a of a container that has ended")
    def kill_all_ended(self):
        c = self.up()
        self.kill(c, signal.SIGKILL)
        self.reap(c.pid)
        self.status_is(c, "stopped")
        self.call(*self.globals(c), "kill", "-a", c.id, "9").ok("kill -a")
        self.delete(c)

    @step("exec in the foreground")
    def exec_foreground(self):
        c = self.up()
        path = c.path("process.json")
        for args, wanted in ((["/bin/sh", "-c", "echo out; echo err >&2"], 0), (["/probe", "exit", "5"], 5),
                             (["/bin/sh", "-c", "exec /probe signal 15"], 143)):
            path.write_text(json.dumps(dict(c.config["process"], args=args)))
            r = self.call(*self.globals(c), "exec", "--process", path, c.id, wants_output=True)
            same("exit status of exec", r.status, wanted)
            if wanted == 0:
                same("output of exec", (r.out, r.err), ("out\n", "err\n"))
        path.write_text(json.dumps(dict(c.config["process"], args=["/no/such/program"])))
        r = self.call(*self.globals(c), "exec", "--process", path, c.id)
        check(r.failed and r.err, "exec of a program that is not there must fail, with a reason")
        self.down(c)

    @step("pause and resume")
    def pause(self):
        c = self.up()
        self.call(*self.globals(c), "pause", c.id).ok("pause")
        same("status", self.state(c)["status"], "paused")
        self.call(*self.globals(c), "resume", c.id).ok("resume")
        same("status", self.state(c)["status"], "running")
        self.down(c)

    @step("update")
    def update(self):
        if not pathlib.Path("/sys/fs/cgroup/memory").is_dir() and "memory" not in cgroup2_controllers():
            raise Unable("needs the memory controller")
        c = self.up()
        self.call(*self.globals(c), "update", "--resources", "-", c.id, text=json.dumps({"memory": {"limit": 72 << 20}})).ok("update")
        same("memory limit", memory_limit(c.pid), 72 << 20)
        self.down(c)

    @step("features")
    def features(self):
        """Both outputs are read as one: not a word besides the object."""
        d = json.loads(self.call("features", combined=True, wants_output=True).ok("features").out)
        check(d.get("ociVersionMax"), "features: no ociVersionMax, CRI-O refuses the runtime")

    @step("errors: a container that is not there")
    def unknown(self):
        c = self.container("/bin/true")
        self.refused(c, "state", c.id, words=["does not exist"])
        self.refused(c, "kill", c.id, "KILL", words=["does not exist"])
        self.call(*self.globals(c), "delete", "--force", c.id).ok("delete --force")

    @step("errors: a container that has ended")
    def ended(self):
        c = self.up()
        self.kill(c, signal.SIGKILL)
        self.reap(c.pid)
        self.status_is(c, "stopped")
        self.refused(c, "kill", c.id, "TERM", words=["container not running", "process already finished", "no such process",
                                                      "invalid process", "does not exist"])
        self.delete(c)
