"""dockerd: asks a runtime what it is when it is registered; all else goes through containerd."""
import json

from base import Caller, check, same, step


class Moby(Caller):
    name = "moby"

    @step("version")
    def version_text(self):
        """Every line that has the word "version" in it counts as the first."""
        out = self.call("--version", wants_output=True).ok("--version").out
        name = version = commit = ""
        for line in out.strip().split("\n"):
            if "version" in line:
                parts = line.split("version")
                name, version = parts[0].strip(), parts[-1].strip()
            elif line.startswith("commit:"):
                commit = line[len("commit:"):].strip()
        check(name and version, "no version in %r" % out)
        same("lines with the word version", sum("version" in line for line in out.splitlines()), 1)
        check(version[0].isdigit(), "version %r" % version)
        check(commit, "no commit in %r" % out)

    @step("features")
    def features(self):
        d = json.loads(self.call("features", wants_output=True).ok("features").out)
        check("rro" in d["mountOptions"], "recursive read-only mounts: no rro in mountOptions")
        check(isinstance(d["linux"]["namespaces"], list), "features: namespaces")
