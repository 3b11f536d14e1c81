#!/usr/bin/env python3
"""Adds up the test runs of ./check: `count-tests.py [--broken STAGE]... STAGE=TESTLOG...`.

Reads meson's testlog.json files and counts the points inside each program's TAP. A program that crashed,
timed out or broke its plan is one failure more than it confessed; so is a stage that did not build. Prints what
was skipped and why, what failed, and as its last line `N passed, N failed[, N skipped]`."""
import argparse
import json
import re
import sys

POINT = re.compile(r"^(ok|not ok)\b\s*\d*\s*(?:-\s*)?(.*)$")
SKIP = re.compile(r"#\s*skip\S*\s*(.*)$", re.I)
NOTES = 40  # lines shown of what a failed test said


def count(entry):
    """(passed, [(failed, what it said)], [(skipped, why)]) of one test program."""
    name, text, result = entry["name"], entry.get("stdout") or "", entry["result"]
    plan = re.search(r"(?m)^1\.\.(\d+)(.*)$", text)
    good = result in ("OK", "SKIP", "EXPECTEDFAIL")
    passed, failed, skipped = 0, [], []
    if not plan and good:
        if result == "SKIP":
            skipped.append((name, "exit status 77"))
        else:
            passed = 1
    elif plan and plan.group(1) == "0":
        why = SKIP.search(plan.group(2))
        skipped.append((name, why.group(1) if why else "no reason given"))
    notes = []
    for line in text.splitlines() if plan or not good else []:
        match = POINT.match(line)
        if not match:
            notes += [line] if line.startswith("#") else []
            continue
        skip = SKIP.search(match.group(2))
        label = f"{name}: {match.group(2)}"
        if match.group(1) == "not ok":
            failed.append((label, notes[-NOTES:]))
        elif skip:
            skipped.append((f"{name}: {match.group(2)[:skip.start()].strip()}", skip.group(1) or "no reason given"))
        else:
            passed += 1
        notes = []
    if not good and not failed:
        said = notes + (entry.get("stderr") or "").splitlines()
        failed.append((f"{name}: {result.lower()}, exit status {entry.get('returncode')}", said[-NOTES:]))
    return passed, failed, skipped


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--broken", action="append", default=[], metavar="STAGE", help="a stage that did not build")
    parser.add_argument("logs", nargs="*", metavar="STAGE=TESTLOG")
    given = parser.parse_args()
    passed, failed, skipped = 0, [(f"{stage}: did not build", []) for stage in given.broken], {}
    for stage, path in (log.split("=", 1) for log in given.logs):
        try:
            with open(path, encoding="utf-8") as f:
                entries = [json.loads(line) for line in f if line.strip()]
        except OSError as err:
            failed.append((f"{stage}: no test results: {err.strerror}", []))
            continue
        for entry in entries:
            good, bad, left = count(entry)
            passed += good
            failed += [(f"{stage}: {label}", said) for label, said in bad]
            for label, why in left:
                skipped.setdefault((label, why), []).append(stage)
    for (label, why), stages in sorted(skipped.items()):
        print(f"skipped ({', '.join(stages)}): {label}: {why}")
    if not passed and not failed:
        failed.append(("nothing ran", []))
    for label, said in failed:
        print("\n    ".join([f"FAILED {label}", *said]))
    left = sum(len(stages) for stages in skipped.values())
    print(f"{passed} passed, {len(failed)} failed" + (f", {left} skipped" if left else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
