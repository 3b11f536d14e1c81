#!/usr/bin/env python3
"""What ./check promises: its last line counts truly, without root it names what is missing, and without a network it says
which programs of other people it could not fetch.

Feeds tools/count-tests.py results of every kind, and runs tools/install-packages.sh and tools/fetch-peers.sh among stand-ins
for dpkg-query, id, sudo and apt-get, so that nothing is ever installed or fetched."""
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


ONE_LINE = """# a comment
deb http://one.invalid/debian bookworm main
deb-src http://one.invalid/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/a.gpg] http://two.invalid/debian bookworm-security main contrib
deb http://three.invalid/other stable main
"""
DEB822 = """Types: deb
# a comment
URIs: http://four.invalid/debian
Suites: bookworm sid bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/b.gpg

Types: deb-src
URIs: http://five.invalid/debian
Suites: bookworm

Enabled: no
Types: deb
URIs: http://six.invalid/debian
Suites: bookworm
"""
BOOKWORM = """Types: deb
URIs: http://one.invalid/debian
Suites: bookworm
Components: main contrib non-free

Types: deb
URIs: http://two.invalid/debian
Suites: bookworm-security
Components: main contrib non-free
Signed-By: /usr/share/keyrings/a.gpg

Types: deb
URIs: http://four.invalid/debian
Signed-By: /usr/share/keyrings/b.gpg
Suites: bookworm bookworm-updates
Components: main contrib non-free

"""


def fetch(one_line, deb822):
    """(exit status, what it printed, sources it made, reasons) of fetch-peers.sh where no network is."""
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(folder + "/apt/sources.list.d")
        os.mkdir(folder + "/bin")
        for path, text in (("apt/sources.list", one_line), ("apt/sources.list.d/debian.sources", deb822),
                           ("bin/apt-get", "#!/bin/sh\necho 'E: no network' >&2\nexit 100\n"), ("bin/dpkg", "#!/bin/sh\necho amd64\n")):
            if text is not None:
                with open(f"{folder}/{path}", "w", encoding="utf-8") as f:
                    f.write(text)
                os.chmod(f"{folder}/{path}", 0o755)
        done = subprocess.run([os.path.join(ROOT, "tools", "fetch-peers.sh"), folder + "/peers"], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env={**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}", "FETTA_APT_DIR": folder + "/apt"})
        sources, state = folder + "/peers/.fetch/bookworm.sources", folder + "/peers/.fetch/status"
        made = open(sources, encoding="utf-8").read() if os.path.exists(sources) else None
        with open(state, encoding="utf-8") as f:
            reasons = {line.split("\t", 1)[1].strip() for line in f}
        return done.returncode, done.stdout, made, reasons


def nothing_fetched():
    status, said, made, reasons = fetch(ONE_LINE, DEB822)
    good = status == 0 and made == BOOKWORM and reasons == {"missing\tapt-get update: E: no network"} and "peers: 0 of 13" in said
    return None if good and "peers: no nvidia-smi (apt-get update: E: no network)" in said else f"got {status} {said!r} {made!r} {reasons}"


def nowhere_to_fetch_from():
    status, said, made, reasons = fetch(None, None)
    good = status == 0 and not made and reasons == {"missing\tno sources of Debian 12 in this machine's apt configuration"}
    return None if good else f"got {status} {said!r} {made!r} {reasons}"


def main():
    points = [(f"counts {what}", lambda e=entries, s=status, n=last: counts(e, s, n)) for what, entries, status, last in COUNTS]
    points += [("says why a point was skipped or failed", says_why), ("counts a stage that did not build", broken_stage),
               ("installs nothing when nothing is missing", nothing_missing),
               ("names what is missing without root", named_without_root), ("build needs less than check", build_needs_less),
               ("installs with sudo, and says when that failed", installs_with_sudo),
               ("fetches from this machine's own sources, and says when that failed", nothing_fetched),
               ("says that there is nowhere to fetch from", nowhere_to_fetch_from)]
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
