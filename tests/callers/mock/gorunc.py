"""go-runc, the library by which containerd's shim and buildkit call a runtime."""
import json
import os
import pathlib

from base import Creating, Failed, check, json_values, parse_pid, same


class GoRunc(Creating):
    dies_with_parent = True

    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        # go-runc takes NOTIFY_SOCKET away and passes the rest on.
        self.env = {k: v for k, v in os.environ.items() if k != "NOTIFY_SOCKET"}

    def globals(self, c):
        return ["--root", self.ground.root, "--log", c.path("log.json"), "--log-format", "json"]

    def command(self, c, *args, **kw):
        """A command whose error is "exit status N: " and all that it printed."""
        return self.call(*self.globals(c), *args, combined=True, **kw)

    def output(self, c, *args):
        """The printed result where go-runc reads stdout and stderr as one."""
        return self.command(c, *args, wants_output=True).ok(args[0]).out

    def state(self, c):
        return json.loads(self.output(c, "state", c.id))

    def ps(self, c):
        pids = json.loads(self.output(c, "ps", "--format", "json", c.id))
        check(isinstance(pids, list) and all(isinstance(p, int) for p in pids), "ps: []int wanted: %r" % pids)
        return pids

    def pid_from(self, path):
        return parse_pid(pathlib.Path(path).read_text())

    def last_error(self, c):
        """The shim's getLastRuntimeError: the last record of level "error"."""
        try:
            records = json_values(c.path("log.json").read_text())
        except ValueError as e:
            raise Failed("log.json: %s" % e)
        for r in records:
            check({"level", "msg", "time"} <= set(r), "log.json: members of a record: %s" % sorted(r))
            check(r["level"] in ("error", "warning", "info", "debug"), "log.json: level %r" % r["level"])
        errors = [r["msg"].strip() for r in records if r["level"] == "error"]
        check(errors, "log.json has no record of an error")
        return errors[-1]

    def refused(self, c, *args, text=None, **kw):
        """A command that must fail; returns what the shim shows of it."""
        with open(c.path("log.json"), "w"):
            pass
        r = self.command(c, *args, **kw)
        check(r.failed, "%s: must fail" % args[0])
        message = self.last_error(c)
        check(not text or text in message, "%s: %r is not in %r" % (args[0], text, message))
        return message
