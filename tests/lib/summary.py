#!/usr/bin/env python3
"""Counts the cases of a log of tests and prints the failed ones.

    summary.py LABEL LOG

The log is meson-logs/testlog.json. Prints details of failures, then the last line: "LABEL PASSED FAILED SKIPPED". A TAP test counts by
its cases, another as one.
"""
import json
import re
import sys

CASE = re.compile(r"(not )?ok\b\s*\d*\s*-?\s*([^#]*)(#\s*(skip|todo)\b.*)?", re.I)


def cases(test):
    """Yields (name, result, lines of explanation) of one meson test."""
    whole = {"OK": "ok", "EXPECTEDFAIL": "ok", "SKIP": "skip"}.get(test["result"], "failed")
    output = (test.get("stdout") or "").splitlines()
    found, failed = [], False
    for line in output:
        match = CASE.match(line)
        if match:
            result = "skip" if match[3] else "failed" if match[1] else "ok"
            failed |= result == "failed"
            reason = (match[3] or "").lstrip("# ")
            found.append((f"{match[2].strip()} {reason}".strip(), result, []))
        elif found:
            found[-1][2].append(line)
    if not found or (whole == "failed" and not failed):
        # No TAP in it, or TAP that is incomplete or ended by a crash: the cases that were reported count too.
        tail = (output + (test.get("stderr") or "").splitlines())[-40:]
        found = [f for f in found if f[1] != "failed"] + [(f"({test['result'].lower()})" if found else "", whole, tail)]
    return found


def meson_tests(lines):
    return [json.loads(line) for line in lines if line.strip()]


def main():
    label, path = sys.argv[1:]
    counts = {"ok": 0, "failed": 0, "skip": 0}
    with open(path, encoding="utf-8", errors="replace") as log:
        lines = list(log)
    for test in meson_tests(lines):
        for name, result, lines in cases(test):
            counts[result] += 1
            if result == "failed":
                print(f"FAILED {label}: {test['name'].split(' / ')[-1]}: {name}".rstrip(": "))
                for line in lines[-40:]:
                    print("    " + line)
            elif result == "skip":
                print(f"skipped {label}: {test['name'].split(' / ')[-1]}: {name}".rstrip(": "))
    print(label, counts["ok"], counts["failed"], counts["skip"])


main()
