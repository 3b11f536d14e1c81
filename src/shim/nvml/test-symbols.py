#!/usr/bin/env python3
"""What the emulated libraries export: exactly the names of NVIDIA's own, one library for each driver branch.

Names are compared with names.txt, and with the real libraries where tools/fetch-peers.sh has fetched them.
usage: test-symbols.py NAMES FETCH-PEERS BRANCH=LIBRARY..."""

import os
import re
import shutil
import subprocess
import sys

PEERS = {"535": "usr/lib/x86_64-linux-gnu/nvidia/current/libnvidia-ml.so.1",
         "550": "trixie/usr/lib/x86_64-linux-gnu/nvidia/current/libnvidia-ml.so.1"}
test = 0


def say(good, name, why=""):
    global test
    test += 1
    print(f"{'ok' if good else 'not ok'} {test} - {name}")
    for line in why.splitlines() if not good else []:
        print("# " + line)


def skip(name, why):
    global test
    test += 1
    print(f"ok {test} - {name} # SKIP {why}")


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def exports(library):
    """The names that a library defines for others; anything but a function of NVML shows as it is."""
    names = set()
    for line in run("nm", "-D", "--defined-only", library).splitlines():
        _, kind, name = line.split()
        names.add(name if kind == "T" else f"{name} of kind {kind}")
    return names


def difference(ours, theirs):
    return "\n".join([f"only ours: {n}" for n in sorted(ours - theirs)] + [f"missing: {n}" for n in sorted(theirs - ours)])


def main():
    names = {}
    for line in open(sys.argv[1]):
        if not line.startswith("#"):
            name, since = line.split()
            names[name] = since
    if not shutil.which("nm") or not shutil.which("readelf"):
        print("1..0 # SKIP binutils is not installed")
        return
    peers = os.environ.get("FETTA_PEERS") or os.path.join(os.path.dirname(sys.argv[2]), "../build/peers/root")
    for branch, library in (argument.split("=") for argument in sys.argv[3:]):
        ours = exports(library)
        listed = {n for n, since in names.items() if since <= branch}
        say(ours == listed, f"{branch}: {len(listed)} names, none more", difference(ours, listed))
        dynamic = run("readelf", "-d", library)
        needed = re.findall(r"NEEDED.*\[(.*)\]", dynamic)
        say("SONAME" in dynamic and "[libnvidia-ml.so.1]" in dynamic and "VERDEF" not in dynamic,
            f"{branch}: the name of the real one, and no symbol versions", dynamic)
        needed = [n for n in needed if not re.match(r"lib(asan|ubsan)\.so", n)]
        say(needed == ["libc.so.6"], f"{branch}: needs the C library alone", str(needed))
        wanted = [n for n in ("libnvidia-ml.so", "libnvidia-ml.so.1")
                  if not os.path.exists(os.path.join(os.path.dirname(library), n))]
        say(not wanted, f"{branch}: has both names", str(wanted))
        real = os.path.join(peers, PEERS[branch])
        if os.path.exists(real):
            theirs = exports(real)
            say(ours == theirs, f"{branch}: the same as NVIDIA's", difference(ours, theirs))
        else:
            skip(f"{branch}: the same as NVIDIA's", "NVIDIA's library is not there; tools/fetch-peers.sh fetches it")
    print(f"1..{test}")


main()
