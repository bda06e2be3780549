#!/usr/bin/env python3
"""Compares the tables of src/oci with the specification's JSON schema, so that nothing is forgotten.

    schema.py SCHEMA_DUMP [SPEC_DIR]

SPEC_DIR (else $DRUPE_SPEC_DIR) holds config-schema.json and the files it refers to. Without it: exit 77, skipped. A member of the
schema that the tables lack, one of another type, range or requirement, or a word of an enum they do not know is an error; so is a
member or word the schema does not have, unless EXTRA says why we know it.
"""
import json
import os
import pathlib
import subprocess
import sys

# Sections of other platforms, and what is of theirs in common sections.
OTHER_PLATFORMS = {"solaris", "windows", "zos", "freebsd", "process.commandLine"}

# Where the tables differ from the schema on purpose: path -> (what the schema has, what the tables have).
DIFFERENT = {
    # Any integer to the schema; the tables check what a hook's timeout and a score can be by functions.
    "process.oomScoreAdj": ("integer", "int64"),
    # Callers send the whole st_mode; the type bits are dropped.
    "linux.devices[].fileMode": ("integer 0..511", "uint32"),
    # Two fixed names to the schema, which a check of the elements sees to.
    "linux.timeOffsets": ("object", "objectmap"),
}
DIFFERENT |= {f"hooks.{h}[].timeout": ("integer 1..", "int64")
              for h in ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")}

# (path, required by the schema, required by the tables)
REQUIREMENT = {
    # A process without arguments can be created and not be started, says the schema; the specification's text wants them.
    "process.args": (False, True),
    # "seccomp": {} is no filter, as callers write it.
    "linux.seccomp.defaultAction": (True, False),
    # A pointer in the specification's own types, hence absent when unset.
    "linux.resources.pids.limit": (True, False),
    # The specification's text requires both; without them there would be nothing to do.
    "linux.memoryPolicy.mode": (False, True),
    "linux.personality.domain": (False, True),
    # raw is the default of the specification's text.
    "vm.image.format": (True, False),
}

EXTRA = {
    # Words the schema's enum lacks; the specification's text has the recursive ones, and Go programs write an unset string as "".
    "linux.rootfsPropagation": {"", "rprivate", "rshared", "rslave", "runbindable"},
    # Has a name for messages, a check refuses it.
    "process.ioPriority.class": {"IOPRIO_CLASS_NONE"},
}

RANGES = {
    (0, 2**16 - 1): "uint16", (0, 2**32 - 1): "uint32", (0, 2**64 - 1): "uint64",
    (-2**31, 2**31 - 1): "int32", (-2**63, 2**63 - 1): "int64",
}


class Schema:
    def __init__(self, directory):
        self.directory, self.files = directory, {}

    def load(self, name):
        if name not in self.files:
            self.files[name] = json.loads((self.directory / name).read_text())
        return self.files[name]

    def resolve(self, node, file):
        """Follows $ref; returns the node and the file it is in."""
        while "$ref" in node:
            name, _, pointer = node["$ref"].partition("#")
            file = name or file
            node = self.load(file)
            for step in pointer.strip("/").split("/"):
                node = node[step]
        return node, file

    def properties(self, node, file):
        """Yields (name, node, file, required) of an object, through allOf."""
        for part in node.get("allOf", []):
            yield from self.properties(*self.resolve(part, file))
        for name, child in node.get("properties", {}).items():
            yield name, child, file, name in node.get("required", [])

    def integer(self, node):
        low, high = node.get("minimum"), node.get("maximum")
        if low is None and high is None:
            return "integer"
        if high is None:
            return f"integer {low}.."
        return RANGES.get((low, high), f"integer {low}..{high}")

    def walk(self, node, file, path, required, out):
        """Adds path -> (type, required, words) of node and all below it to out."""
        node, file = self.resolve(node, file)
        if "anyOf" in node:
            return self.walk(node["anyOf"][0], file, path, required, out)
        kind, words, below = node.get("type", "object"), set(node.get("enum", ())), None
        if kind == "integer":
            kind = self.integer(node)
        elif kind == "array":
            kind, words, below = self.array(node, file, path)
        elif kind == "object" and "patternProperties" in node:
            kind = "map"
        elif kind == "object" and "additionalProperties" in node:
            kind, below = "objectmap", (*self.resolve(node["additionalProperties"], file), path + "{}")
        elif kind == "object":
            below = node, file, path
        if path:
            out[path] = kind, required, words
        if below:
            inner, inner_file, prefix = below
            for name, child, child_file, needed in self.properties(inner, inner_file):
                full = f"{prefix}.{name}" if prefix else name
                if full not in OTHER_PLATFORMS:
                    self.walk(child, child_file, full, needed, out)
        return None

    def array(self, node, file, path):
        item, item_file = self.resolve(node["items"], file)
        if "anyOf" in item:
            item, item_file = self.resolve(item["anyOf"][0], item_file)
        kind = item.get("type", "object")
        if kind == "string":
            return "strings", set(item.get("enum", ())), None
        if kind == "integer":
            return self.integer(item) + "s", set(), None
        return "objects", set(), (item, item_file, path + "[]")


def read_tables(dump):
    out = {}
    for line in subprocess.run([dump], stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines():
        path, kind, flags, words = line.split("\t")
        out[path] = kind, flags == "required", set(words.split(",")) if words else set()
    # the two clocks, as the schema has them
    for path in [p for p in out if p.startswith("linux.timeOffsets{}")]:
        entry = out.pop(path)
        for clock in "boottime", "monotonic":
            out[path.replace("{}", "." + clock)] = entry
            out["linux.timeOffsets." + clock] = "object", False, set()
    return out


def compare(schema, tables):
    for path in sorted(schema.keys() | tables.keys()):
        if path not in tables:
            yield f"{path}: in the schema, but in no table"
            continue
        if path not in schema:
            yield f"{path}: in a table, but not in the schema"
            continue
        (kind, required, words), (our_kind, our_required, our_words) = schema[path], tables[path]
        if kind != our_kind and DIFFERENT.get(path) != (kind, our_kind):
            yield f"{path}: {kind} in the schema, {our_kind} in the table"
        if required != our_required and REQUIREMENT.get(path) != (required, our_required):
            yield f"{path}: {'' if required else 'not '}required in the schema, {'' if our_required else 'not '}in the table"
        for word in sorted(words - our_words):
            yield f"{path}: the table does not know \"{word}\""
        for word in sorted(our_words - words - EXTRA.get(path, set())):
            if words or path in EXTRA:
                yield f"{path}: the schema does not know \"{word}\""
    for path in sorted((DIFFERENT.keys() | REQUIREMENT.keys() | EXTRA.keys()) - schema.keys()):
        yield f"{path}: an exception for a member that the schema does not have"


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    directory = pathlib.Path(os.environ.get("DRUPE_SPEC_DIR") or (sys.argv[2] if len(sys.argv) > 2 else "."))
    if not (directory / "config-schema.json").is_file():
        print(f"skipped: no {directory}/config-schema.json; DRUPE_SPEC_DIR names the directory of the specification's schema")
        sys.exit(77)
    schema, out = Schema(directory), {}
    # sections of other platforms are in files that need not be there
    top = schema.load("config-schema.json")
    top["properties"] = {name: node for name, node in top["properties"].items() if name not in OTHER_PLATFORMS}
    schema.walk(top, "config-schema.json", "", False, out)
    problems = list(compare(out, read_tables(sys.argv[1])))
    for problem in problems:
        print(problem)
    print(f"{len(out)} members of the schema compared")
    sys.exit(bool(problems) or len(out) < 200)


if __name__ == "__main__":
    main()
