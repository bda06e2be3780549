"""containerd-shim-runc-v2."""
import json
import os
import pathlib
import signal
import subprocess

from base import BAD_PROGRAMS, LIMIT, ConsoleSocket, Failed, Stream, Unable, check, moby_exit_code, same, step
from gorunc import GoRunc


def kill_error(text):
    """The shim's checkKillError(): the class of an error of kill."""
    if "os: process already finished" in text or "container not running" in text or "no such process" in text.lower():
        return "NotFound"
    return "NotFound" if "does not exist" in text else "Unknown"


class Shim(GoRunc):
    name = "containerd-shim"

    def create_args(self, c, *extra):
        return [*self.globals(c), "create", "--bundle", c.bundle, "--pid-file", c.pid_file, *extra, c.id]

    def create(self, c, console=None, extra=()):
        extra = ["--console-socket", console.path, *extra] if console else list(extra)
        status = self.run_create(c, self.create_args(c, *extra))
        check(status == 0, "create: exit status %d: %s" % (status, c.out.now()))
        # Only now does the shim receive the terminal: the runtime cannot have waited for that.
        if console:
            c.out.close()
            c.out = console.receive()
        c.pid = self.pid_from(c.pid_file)

    def start(self, c):
        self.command(c, "start", c.id).ok("start")

    def kill(self, c, number):
        self.command(c, "kill", c.id, int(number)).ok("kill")

    def kill_all(self, c):
        self.command(c, "kill", "--all", c.id, 9).ok("kill --all")

    def delete(self, c):
        self.command(c, "delete", c.id).ok("delete")

    def write_process(self, c, name, **changes):
        process = dict(c.config["process"], **changes)
        path = c.path(name + "-process.json")
        path.write_text(json.dumps(process))
        return path

    def start_exec(self, c, name, console=None, **process):
        """exec --detach; returns its output, pid file and exit status."""
        spec, pid_file = self.write_process(c, name, terminal=bool(console), **process), c.path(name + ".pid")
        args = [*self.globals(c), "exec", "--process", spec]
        if console:
            args += ["--console-socket", console.path]
        out = Stream()
        p = self.spawn([*args, "--detach", "--pid-file", pid_file, c.id], c.bundle, stdout=out.write_end, stderr=out.write_end)
        out.close_write_end()
        return out, pid_file, self.wait(p, "exec")

    def exec(self, c, name, console=None, **process):
        out, pid_file, status = self.start_exec(c, name, console, **process)
        check(status == 0, "exec: exit status %d: %s" % (status, out.now()))
        if console:
            out.close()
            out = console.receive()
        return out, self.pid_from(pid_file)

    def exec_view(self, c):
        out, pid = self.exec(c, "view", args=list(self.VIEW))
        same("exit status of exec", self.reap(pid, "exec"), 0)
        self.judge_view(out)
        out.close()

    @step("exec")
    def exec_detached(self):
        c = self.up()
        out, pid = self.exec(c, "e", args=["/probe", "mask", ",", "ids", ",", "fds", ",", "exit", "9"])
        same("exit status of exec", self.reap(pid, "exec"), 9)
        out.now()
        seen = out.lines()
        same("blocked and ignored signals of exec", (seen["blocked"], seen["ignored"]), ("", ""))
        same("descriptors of exec", sorted(k for k in seen if k.isdigit()), ["0", "1", "2"])
        out, pid = self.exec(c, "k", args=["/probe", "trap"], user={"uid": 1000, "gid": 1000})
        out.until("ready\n")
        check(pid in self.ps(c), "ps does not list the exec'd process")
        # The shim kills an exec'd process by its pid.
        subprocess.run(["kill", "-KILL", str(pid)], check=True)
        same("exit status of a killed exec", self.reap(pid, "exec"), 137)
        self.down(c)

    @step("terminal")
    def terminal(self):
        console = ConsoleSocket(self.ground.work / "pty.sock")
        c = self.up("/probe", "tty", ",", "winch", console=console,
                    edit=lambda d: d["process"].update(terminal=True, consoleSize={"height": 24, "width": 80}))
        seen = c.out.lines()
        same("size of the terminal", seen["size"], "24 80")
        same("controlling terminal", seen["controlling"], "1")
        c.out.resize(40, 100)
        c.out.until("size 40 100\n")
        same("exit status", self.reap(c.pid), 0)
        self.delete(c)

    @step("exec with a terminal")
    def exec_terminal(self):
        c = self.up()
        console = ConsoleSocket(self.ground.work / "pty.sock")
        out, pid = self.exec(c, "t", console, args=["/bin/sh", "-c", "tty; read line; echo got $line; exit 3"],
                             cwd="/tmp", env=["PATH=/bin", "TERM=xterm"])
        out.until("/dev/pts/")
        out.send("hello\n")
        out.until("got hello\n")
        same("exit status of exec", self.reap(pid, "exec"), 3)
        self.down(c)

    @step("a container that was never started")
    def never_started(self):
        c = self.container("/probe", "trap")
        self.create(c)
        self.kill(c, signal.SIGKILL)
        same("exit status", self.reap(c.pid), 137)
        self.delete(c)
        self.check_nothing_left(c)

    @step("no pivot, no new keyring")
    def no_pivot(self):
        c = self.up(extra=["--no-pivot", "--no-new-keyring"])
        self.down(c)

    @step("pause and resume")
    def pause(self):
        c = self.up()
        self.command(c, "pause", c.id).ok("pause")
        same("status", self.state(c)["status"], "paused")
        self.refused(c, "exec", "--process", self.write_process(c, "p", args=["/bin/true"]), "--detach", "--pid-file", c.path("p.pid"),
                     c.id, text="paused")
        check(not c.path("p.pid").exists(), "exec in a paused container left a pid file")
        self.command(c, "resume", c.id).ok("resume")
        same("status", self.state(c)["status"], "running")
        self.refused(c, "resume", c.id, text="not paused")
        self.down(c)

    @step("ps")
    def processes(self):
        c = self.up("/probe", "spawn", "2")
        pids = self.ps(c)
        same("number of processes", len(pids), 3)
        check(c.pid in pids, "ps does not list init")
        self.check_table(c, pids, "-eopid,args")
        self.down(c)

    @step("ps, with several options in one string")
    def processes_by_string(self):
        c = self.up()
        self.check_table(c, [c.pid], "-e -o pid,args")
        self.down(c)

    def check_table(self, c, pids, options):
        table = self.output(c, "ps", "--format", "table", c.id, options).splitlines()
        same("heading of the table", table[0].split(), ["PID", "COMMAND"])
        same("pids of the table", sorted(int(line.split()[0]) for line in table[1:]), sorted(pids))

    @step("stdin, stdout and stderr by pipes, of a user who may open them")
    def stdio(self):
        c = self.container("/bin/sh", "-c", "read line; echo got $line; echo again >/dev/stdout; echo wrong >/dev/stderr; cat; exit 8",
                           edit=lambda d: d["process"].update(user={"uid": 1000, "gid": 1000}))
        reader, writer = os.pipe()
        c.out, err = Stream(), Stream()
        p = self.spawn(self.create_args(c), c.bundle, reader, c.out.write_end, err.write_end)
        os.close(reader)
        for stream in (c.out, err):
            stream.close_write_end()
        same("exit status of create", self.wait(p, "create"), 0)
        self.start(c)
        os.write(writer, b"this\nthe rest\n")
        os.close(writer)
        same("exit status", self.reap(self.pid_from(c.pid_file)), 8)
        same("stdout", c.out.now(), "got this\nagain\nthe rest\n")
        same("stderr", err.now(), "wrong\n")
        err.close()
        self.delete(c)

    @step("several containers at once")
    def several(self):
        """Each command for all of them at the same time, as the shims of one daemon do."""
        def at_once(*words):
            running = [(c, self.spawn([*self.globals(c), *words, c.id], c.bundle, stderr=subprocess.PIPE)) for c in all_of_them]
            for c, p in running:
                err = p.communicate(timeout=LIMIT)[1].decode()
                same("%s of %s: %s" % (words[0], c.id, err.strip()), p.returncode, 0)

        all_of_them = [self.container("/probe", "trap", name="m%d" % i) for i in range(8)]
        running = []
        for c in all_of_them:
            c.out = Stream()
            running.append(self.spawn(self.create_args(c), c.bundle, stdout=c.out.write_end, stderr=c.out.write_end))
            c.out.close_write_end()
        for c, p in zip(all_of_them, running):
            same("create of %s: %s" % (c.id, c.out.now()), self.wait(p, "create"), 0)
            c.pid = self.pid_from(c.pid_file)
        at_once("start")
        for c in all_of_them:
            c.out.until("ready\n")
        for c in all_of_them:
            self.kill(c, 15)
            same("exit status", self.reap(c.pid), 0)
        at_once("delete")
        for c in all_of_them:
            self.check_nothing_left(c)

    @step("--debug: the last error of the log is still the error")
    def debug(self):
        c = self.container("/no/such/program")
        args = self.create_args(c)
        check(self.run_create(c, [*args[:2], "--debug", *args[2:]]) != 0, "create must fail")
        check("no such file or directory" in self.last_error(c), "the last error is: %s" % self.last_error(c))
        self.check_nothing_left(c)

    @step("kill --all")
    def kill_everything(self):
        def edit(d):
            d["linux"]["namespaces"] = [n for n in d["linux"]["namespaces"] if n["type"] != "pid"]
        c = self.up("/probe", "daemon", "2", ",", "trap", edit=edit)
        pids = self.ps(c)
        same("number of processes", len(pids), 3)
        self.kill_all(c)
        same("exit status", self.reap(c.pid), 137)
        for pid in pids:
            if pid != c.pid:
                same("exit status of a daemon in it", self.reap(pid, "daemon"), 137)
        self.delete(c)

    @step("update")
    def update(self):
        if not pathlib.Path("/sys/fs/cgroup/memory").is_dir() and "memory" not in cgroup2_controllers():
            raise Unable("needs the memory controller")
        c = self.up(edit=lambda d: d["linux"]["resources"].update(memory={"limit": 64 << 20}))
        same("memory limit", memory_limit(c.pid), 64 << 20)
        r = self.command(c, "update", "--resources=-", c.id, text=json.dumps({"memory": {"limit": 96 << 20}}))
        r.ok("update")
        same("memory limit after update", memory_limit(c.pid), 96 << 20)
        check(self.command(c, "update", "--resources=-", c.id, text="{").failed, "update with broken JSON must fail")
        same("memory limit after a bad update", memory_limit(c.pid), 96 << 20)
        self.down(c)

    @step("errors: programs that can't be executed")
    def bad_programs(self):
        c = self.up()
        for n, (what, (args, wanted, _)) in enumerate(BAD_PROGRAMS.items()):
            bad = self.container(*args, name="bad%d" % n)
            status = self.run_create(bad, self.create_args(bad))
            check(status != 0, "create with %s: must fail" % what)
            text = "failed to create task: OCI runtime create failed: " + self.last_error(bad)
            check("\n" not in text, "only the first line of the error is shown: %r" % text)
            same("exit code of moby for %s (%s)" % (what, text), moby_exit_code(text, args[0]), wanted)
            check(not bad.pid_file.exists(), "a failed create left a pid file")
            self.check_nothing_left(bad)
            c.path("log.json").write_text("")
            out, pid_file, status = self.start_exec(c, "bad%d" % n, args=args)
            check(status != 0, "exec with %s: must fail" % what)
            text = "OCI runtime exec failed: " + self.last_error(c)
            same("exit code of moby for exec of %s (%s)" % (what, text), moby_exit_code(text, args[0]), wanted)
            check(not pid_file.exists(), "a failed exec left a pid file")
            out.close()
        self.down(c)

    @step("errors: a container that is not there")
    def unknown(self):
        c = self.container("/bin/true")
        same("class of kill", kill_error(self.refused(c, "kill", c.id, 9)), "NotFound")
        for args in (("state", c.id), ("delete", c.id), ("start", c.id), ("pause", c.id), ("ps", "--format", "json", c.id)):
            self.refused(c, *args, text="does not exist", wants_output=True)
        self.command(c, "delete", "--force", c.id).ok("delete --force")

    @step("errors: a container that has ended")
    def ended(self):
        c = self.up()
        self.kill(c, 9)
        self.reap(c.pid)
        self.status_is(c, "stopped")
        r = self.command(c, "kill", c.id, 9)
        check(r.failed, "kill of a dead container must fail")
        same("class of kill", kill_error(r.out), "NotFound")
        same("class of kill, by the log", kill_error(self.last_error(c)), "NotFound")
        self.refused(c, "start", c.id)
        self.delete(c)

    @step("errors: states that don't fit")
    def conflicts(self):
        c = self.up()
        self.refused(c, "start", c.id)
        self.refused(c, "delete", c.id, text="cannot delete container %s that is not stopped: running" % c.id)
        twin = self.container("/bin/true", name="twin")
        twin.id = c.id
        check(self.run_create(twin, self.create_args(twin)) != 0, "create with a used id must fail")
        check("container with given ID already exists" in self.last_error(twin), "create with a used id: %s" % self.last_error(twin))
        same("status", self.state(c)["status"], "running")
        self.down(c)

    @step("errors: a configuration that is not valid")
    def bad_config(self):
        c = self.container("/bin/true")
        c.path("config.json").write_text("{")
        check(self.run_create(c, self.create_args(c)) != 0, "create with a broken config.json must fail")
        self.last_error(c)
        self.check_nothing_left(c)
        missing = self.container("/bin/true", name="missing")
        missing.path("config.json").unlink()
        check(self.run_create(missing, self.create_args(missing)) != 0, "create without a config.json must fail")
        self.last_error(missing)

    @step("cleanup: delete --force")
    def force(self):
        c = self.up()
        self.command(c, "delete", "--force", c.id).ok("delete --force")
        same("exit status", self.reap(c.pid), 137)
        self.check_nothing_left(c)

    @step("features")
    def features(self):
        r = self.call("features", wants_output=True).ok("features")
        same("features: stderr", r.err, "")
        d = json.loads(r.out)
        check("user" in d["linux"]["namespaces"], "features: no user namespaces")
        check(d["linux"].get("mountExtensions", {}).get("idmap", {}).get("enabled"), "features: user namespaces need idmapped mounts")
        check("rro" in d["mountOptions"], "features: recursive read-only mounts need rro")

    @step("version")
    def version_text(self):
        r = self.call("--version", wants_output=True).ok("--version")
        commits = [line for line in r.out.splitlines() if line.startswith("commit: ")]
        specs = [line for line in r.out.splitlines() if line.startswith("spec: ")]
        same("lines with commit and spec", (len(commits), len(specs)), (1, 1))


def cgroup2_controllers():
    path = pathlib.Path("/sys/fs/cgroup/cgroup.controllers")
    return path.read_text().split() if path.exists() else []


def memory_limit(pid):
    """Read where containerd looks for it: in the cgroup that /proc/PID/cgroup names."""
    for line in pathlib.Path("/proc/%d/cgroup" % pid).read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return int(pathlib.Path("/sys/fs/cgroup/memory" + path, "memory.limit_in_bytes").read_text())
        if not controllers and "memory" in cgroup2_controllers():
            return int(pathlib.Path("/sys/fs/cgroup" + path, "memory.max").read_text())
    raise Failed("process %d is in no memory cgroup" % pid)
