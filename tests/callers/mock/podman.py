"""podman: conmon for create and exec, and the runtime called directly for the rest."""
import json
import os
import pathlib
import signal

from base import BAD_PROGRAMS, Unable, check, podman_exit_code, same, step
from conmon import ByConmon
from shim import cgroup2_controllers, memory_limit


class Podman(ByConmon):
    name = "podman"
    more_args = []

    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        # All that podman leaves of its environment.
        self.env = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": "/run"}

    def runtime_args(self, c):
        """For those that runtime_supports_json names."""
        return ["--root", self.ground.root, "--log-format=json", "--log", c.path("oci-log"), *self.more_args]

    def log_exit_code(self, c):
        """json.Unmarshal of the whole file, then the first expression that matches."""
        text = c.path("oci-log").read_text()
        try:
            message = json.loads(text)["msg"]
        except ValueError:
            check(False, "oci-log is not exactly one JSON object: %r" % text)
        c.path("oci-log").unlink()
        return podman_exit_code(message), message

    def refused(self, c, *args):
        r = self.call(*self.globals(c), *args, wants_output=True)
        check(r.failed, "%s: must fail" % args[0])
        check(r.err.strip(), "%s: nothing on stderr" % args[0])
        return r.err

    @step("kill --all")
    def kill_everything(self):
        def edit(d):
            d["linux"]["namespaces"] = [n for n in d["linux"]["namespaces"] if n["type"] != "pid"]
        c = self.up("/probe", "spawn", "2", edit=edit)
        self.call(*self.globals(c), "kill", "--all", c.id, 9).ok("kill --all")
        same("exit status", self.reap(c.pid), 137)
        while True:  # its children, which came to us
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                break
        self.delete(c)

    @step("pause and resume")
    def pause(self):
        c = self.up()
        self.call(*self.globals(c), "pause", c.id).ok("pause")
        same("status", self.state(c)["status"], "paused")
        self.call(*self.globals(c), "resume", c.id).ok("resume")
        same("status", self.state(c)["status"], "running")
        self.call(*self.globals(c), "pause", c.id).ok("pause")
        # podman rm --force of a paused container
        self.delete(c)
        same("exit status", self.reap(c.pid), 137)

    @step("update")
    def update(self):
        if not pathlib.Path("/sys/fs/cgroup/memory").is_dir() and "memory" not in cgroup2_controllers():
            raise Unable("needs the memory controller")
        c = self.up()
        c.path("resources.json").write_text(json.dumps({"memory": {"limit": 80 << 20}}))
        self.call(*self.globals(c), "update", "--resources=%s" % c.path("resources.json"), c.id).ok("update")
        same("memory limit", memory_limit(c.pid), 80 << 20)
        self.down(c)

    @step("cgroups=disabled")
    def no_cgroups(self):
        """What podman asks of a runtime that runtime_supports_nocgroups names."""
        own = pathlib.Path("/proc/self/cgroup").read_text()
        c = self.container("/probe", "trap", edit=lambda d: d["linux"].pop("resources"))
        self.more_args = ["--cgroup-manager", "disabled"]
        self.create(c)
        self.start(c)
        c.out.until("ready\n")
        same("cgroups of the container", pathlib.Path("/proc/%d/cgroup" % c.pid).read_text(), own)
        self.down(c)

    @step("log: nothing in it when nothing is wrong")
    def quiet(self):
        c = self.up()
        out, pid = self.exec(c, "e", args=["/bin/true"])
        check(pid, "exec failed: %s" % out.now())
        self.reap(pid, "exec")
        out.close()
        log = c.path("oci-log")
        same("oci-log", log.read_text() if log.exists() else "", "")
        self.down(c)

    @step("errors: programs that can't be executed")
    def bad_programs(self):
        c = self.up()
        for n, (what, (args, _, wanted)) in enumerate(BAD_PROGRAMS.items()):
            bad = self.container(*args, name="bad%d" % n)
            check(self.try_create(bad) != 0, "create with %s: must fail" % what)
            code, message = self.log_exit_code(bad)
            accepted = (wanted, 126) if wanted is None else (wanted,)
            check(code in accepted, "exit code of podman for %s (%s): got %r, not %r" % (what, message, code, wanted))
            c.path("oci-log").unlink(missing_ok=True)
            out, pid = self.exec(c, "bad%d" % n, args=args)
            check(pid is None, "exec with %s: must fail" % what)
            code, message = self.log_exit_code(c)
            check(code in accepted, "exit code of podman for exec of %s (%s): got %r, not %r" % (what, message, code, wanted))
            out.close()
        self.down(c)

    @step("errors: a profile that AppArmor does not know")
    def security_attribute(self):
        if not pathlib.Path("/sys/kernel/security/apparmor/profiles").exists():
            raise Unable("needs AppArmor")
        c = self.container("/bin/true", edit=lambda d: d["process"].update(apparmorProfile="there-is-none"))
        status = self.try_create(c)
        if status == 0:
            status = self.call(*self.runtime_args(c), "start", c.id).status
            self.delete(c)
        check(status != 0, "create with an unknown profile must fail")
        code, message = self.log_exit_code(c)
        same("class of the error (%s)" % message, code in ("security attribute", 127), True)

    @step("errors: a container that is not there")
    def unknown(self):
        c = self.container("/bin/true")
        for args in (("state", c.id), ("kill", c.id, 9), ("start", c.id)):
            text = self.refused(c, *args)
            check("does not exist" in text or "No such file" in text, "%s: podman would not see that it is gone: %s" % (args[0], text))
        self.delete(c)

    @step("errors: a container that has ended")
    def ended(self):
        c = self.up()
        self.kill(c, signal.SIGKILL)
        self.reap(c.pid)
        self.status_is(c, "stopped")
        # After a failed kill podman asks for the state, and is content when that says stopped.
        self.refused(c, "kill", c.id, 15)
        same("status", self.state(c)["status"], "stopped")
        self.refused(c, "pause", c.id)
        self.refused(c, "start", c.id)
        self.delete(c)

    @step("version")
    def version_text(self):
        r = self.call("--version", wants_output=True).ok("--version")
        check(r.out.strip() and not r.err, "--version: %r" % r)
