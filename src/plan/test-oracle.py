#!/usr/bin/env python3
"""Exact packing against lp_solve: the fewest GPUs for random demands must be what an integer program over all layouts of one
GPU needs, and these layouts are counted here from the board's placements. 300 demands a board; 10,000 with FETTA_DEEP.

    test-oracle.py PROGRAM      PROGRAM is test-instances; lp_solve is that of PATH, or of $FETTA_PEERS"""
import itertools
import math
import os
import shutil
import subprocess
import sys

SEED = 2026
PEERS = os.environ.get("FETTA_PEERS", os.path.join(os.environ.get("MESON_BUILD_ROOT", "build"), "peers/root"))
BOARDS = {"a100-80": 0.6, "h100-pcie": 0.1, "a30": 0.2, "rtx-pro-6000": 0.1}


def solver():
    fetched = PEERS + "/usr/bin/lp_solve"
    if os.access(fetched, os.X_OK):
        libraries = f"{PEERS}/usr/lib/{os.uname().machine}-linux-gnu:{PEERS}/usr/lib/lp_solve"
        return fetched, dict(os.environ, LD_LIBRARY_PATH=libraries)
    return shutil.which("lp_solve"), dict(os.environ)


def layouts(slices, profiles):
    """The mixes that one GPU holds and no other mix contains."""
    held = {(0,) * len(profiles)}

    def fill(busy, mix, first):
        held.add(tuple(mix))
        for at in range(first, len(places)):
            which, span = places[at]
            if not busy & span:
                mix[which] += 1
                fill(busy | span, mix, at + 1)
                mix[which] -= 1

    places = [(i, ((1 << size) - 1) << start) for i, (size, starts) in enumerate(profiles)
              for start in range(slices) if starts >> start & 1]
    fill(0, [0] * len(profiles), 0)
    return [m for m in held if not any(m != o and all(x <= y for x, y in zip(m, o)) for o in held)]


def program(mixes, demand, least):
    names = [f"x{j}" for j in range(len(mixes))]
    lines = ["min: " + " + ".join(names) + ";", "c: " + " + ".join(names) + f" >= {least};"]
    for k, n in enumerate(demand):
        terms = " + ".join(f"{m[k]} x{j}" for j, m in enumerate(mixes) if m[k])
        lines.append(f"c{k}: {terms} >= {n};")
    return "\n".join(lines) + "\n", "int " + ",".join(names) + ";\n"


def solve(lp, env, text):
    """The least cost; None if it is not found in a second."""
    done = subprocess.run([lp, "-S3", "-e", "1e-7", "-timeout", "1"], input=text, capture_output=True, text=True,
                          env=env, check=False)
    return next((float(line.split(":")[1]) for line in done.stdout.splitlines()
                 if line.startswith("Value of objective function") and done.returncode == 0), None)


def fewest(lp, env, mixes, demand):
    """A few demands take the solver hours; most of these it decides at once when told as a row that GPUs are whole."""
    best = solve(lp, env, "".join(program(mixes, demand, 0)))
    if best is not None:
        return best
    least = solve(lp, env, program(mixes, demand, 0)[0])
    return None if least is None else solve(lp, env, "".join(program(mixes, demand, math.ceil(least - 1e-6))))


def compare(instances, board, count, lp, env):
    """The demands on which the two differ, how many the solver could not decide, and the mixes of the board."""
    out = subprocess.run([instances, board, str(count), str(SEED)], check=True, capture_output=True, text=True).stdout
    slices, profiles, wrong, mixes, undecided = 0, [], [], [], 0
    for line in out.splitlines():
        kind, *numbers = line.split()
        numbers = list(map(int, numbers))
        if kind == "slices":
            slices = numbers[0]
        elif kind == "profile":
            profiles.append(tuple(numbers[1:]))
        else:
            mixes = mixes or layouts(slices, profiles)
            best = fewest(lp, env, mixes, numbers[1:])
            undecided += best is None
            if best is not None and round(best) != numbers[0]:
                wrong.append((numbers, best))
    return wrong, undecided, len(mixes)


def main():
    lp, env = solver()
    if not lp:
        print("1..0 # SKIP lp_solve is not here; tools/fetch-peers.sh fetches it")
        return 0
    total, failed = 10000 if os.environ.get("FETTA_DEEP") else 300, False
    for number, (board, part) in zip(itertools.count(1), BOARDS.items()):
        wrong, undecided, mixes = compare(sys.argv[1], board, round(total * part), lp, env)
        bad = bool(wrong) or undecided > max(3, total * part / 100)
        failed = failed or bad
        print(f"{'not ok' if bad else 'ok'} {number} - {board}: {round(total * part)} demands over {mixes} mixes, seed {SEED}; "
              f"{undecided} not decided by lp_solve", flush=True)
        for numbers, best in wrong[:5]:
            print(f"# {numbers[1:]}: {numbers[0]} GPUs here, {best:g} there")
    print(f"1..{len(BOARDS)}")
    return failed


sys.exit(main())
