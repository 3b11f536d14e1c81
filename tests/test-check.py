#!/usr/bin/env python3
"""What ./check promises: its last line counts truly, and without root it names what is missing.

Feeds tools/count-tests.py results of every kind, and runs tools/install-packages.sh among stand-ins for
dpkg-query, id, sudo and apt-get, so that nothing is ever installed."""
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def counted(entries, *options):
    """(exit status, output lines) of count-tests.py for one stage with these results."""
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "testlog.json")
        with open(log, "w", encoding="utf-8") as f:
            for name, result, status, stdout in entries:
                f.write(json.dumps({"name": name, "result": result, "returncode": status, "stdout": stdout}) + "\n")
        done = subprocess.run([sys.executable, "-B", os.path.join(ROOT, "tools", "count-tests.py"), *options, f"gcc={log}"],
                              capture_output=True, text=True)
        return done.returncode, done.stdout.splitlines()


COUNTS = [
    ("points are counted, not programs", [("a", "OK", 0, "ok 1 - x\nok 2 - y\n1..2\n"), ("b", "OK", 0, None)], 0, "3 passed, 0 failed"),
    ("a failed point", [("a", "FAIL", 1, "ok 1 - x\nnot ok 2 - y\n1..2\n")], 1, "1 passed, 1 failed"),
    ("a crash without a failed point", [("a", "ERROR", -11, "1..3\nok 1 - x\n")], 1, "1 passed, 1 failed"),
    ("a crash after a failed point", [("a", "ERROR", -11, "ok 1 - x\nnot ok 2 - y\n")], 1, "1 passed, 1 failed"),
    ("a crash before any output", [("a", "FAIL", -6, "")], 1, "0 passed, 1 failed"),
    ("a timeout", [("a", "TIMEOUT", -15, "ok 1 - x\n1..2\n")], 1, "1 passed, 1 failed"),
    ("a skipped point", [("a", "OK", 0, "ok 1 - x # SKIP no cgroups\nok 2 - y\n1..2\n")], 0, "1 passed, 0 failed, 1 skipped"),
    ("a skipped program", [("a", "SKIP", 0, "1..0 # SKIP no qemu\n"), ("b", "OK", 0, None)], 0, "1 passed, 0 failed, 1 skipped"),
    ("nothing at all", [], 1, "0 passed, 1 failed"),
]


def counts(entries, status, last):
    got = counted(entries)
    return None if got[0] == status and got[1][-1] == last else f"got {got}"


def says_why():
    status, lines = counted([("a", "FAIL", 1, "ok 1 - x # SKIP no cgroups\n# a.c:7: not true: b\nnot ok 2 - y\n1..2\n")])
    want = ["skipped (gcc): a: x: no cgroups", "FAILED gcc: a: y", "    # a.c:7: not true: b", "0 passed, 1 failed, 1 skipped"]
    return None if lines == want and status == 1 else f"got {lines}"


def broken_stage():
    got = counted([("a", "OK", 0, None)], "--broken", "clang")
    return None if got[0] == 1 and got[1][-1] == "1 passed, 1 failed" and "FAILED clang: did not build" in got[1] else f"got {got}"


def install(purpose, installed, uid, sudo):
    """install-packages.sh where only `installed` (a shell pattern) is there and apt-get does nothing."""
    with tempfile.TemporaryDirectory() as folder:
        tools = {"dpkg-query": f'for p; do :; done; case $p in {installed}) printf installed ;; esac',
                 "id": f"echo {uid}", "apt-get": 'echo "apt-get $*" >&2', "sudo": f'[ "$1" = -n ] && exit {0 if sudo else 1}; exec "$@"'}
        for name, text in tools.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                f.write(f"#!/bin/sh\n{text}\n")
            os.chmod(os.path.join(folder, name), 0o755)
        done = subprocess.run([os.path.join(ROOT, "tools", "install-packages.sh"), purpose], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, env={**os.environ, "PATH": folder + ":" + os.environ["PATH"]})
        return done.returncode, done.stderr


def nothing_missing():
    got = install("check", "*", 0, True)
    return None if got == (0, "") else f"got {got}"


def named_without_root():
    status, said = install("check", "[!mj]*", 1000, False)
    good = status == 1 and "missing packages: meson jq" in said and "apt-get -q" not in said
    return None if good else f"got {status} {said!r}"


def build_needs_less():
    status, said = install("build", "[!j]*", 1000, False)
    return None if (status, said) == (0, "") else f"got {status} {said!r}"


def installs_with_sudo():
    status, said = install("check", "[!j]*", 1000, True)
    good = "apt-get -q -y install --no-install-recommends jq" in said and status == 1 and "missing packages: jq" in said
    return None if good else f"got {status} {said!r}"


def main():
    points = [(f"counts {what}", lambda e=entries, s=status, n=last: counts(e, s, n)) for what, entries, status, last in COUNTS]
    points += [("says why a point was skipped or failed", says_why), ("counts a stage that did not build", broken_stage),
               ("installs nothing when nothing is missing", nothing_missing),
               ("names what is missing without root", named_without_root), ("build needs less than check", build_needs_less),
               ("installs with sudo, and says when that failed", installs_with_sudo)]
    print(f"1..{len(points)}")
    failed = 0
    for number, (name, run) in enumerate(points, 1):
        why = run()
        if why:
            print(f"# {why}")
        print(f"{'not ok' if why else 'ok'} {number} - {name}")
        failed += bool(why)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
