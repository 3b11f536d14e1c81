"""What `fetta plan --from-running` says would change is what changes: on an emulated machine in states made by chance, applying the
layout that it wrote makes and destroys exactly the instances that it printed, no lease is touched, and planning once more changes
nothing. And `--from-history` finds the layout that the leases of one machine ask for."""
import argparse
import collections
import json
import os
import random
import re
import subprocess
import sys
import tempfile

PARSER = argparse.ArgumentParser()
PARSER.add_argument("--build", default="build")
PARSER.add_argument("--inside", choices=["running", "history"])
OPTIONS = PARSER.parse_args()
FETTA = os.path.abspath(OPTIONS.build) + "/src/cli/fetta"
SEED = 4
ROUNDS = 25 if os.environ.get("FETTA_DEEP") else 4
PROFILES = ["1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb"]
failed = number = 0


def check(good, name):
    global failed, number
    number += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {number} - {name}", flush=True)


def fetta(*words, good=True):
    done = subprocess.run([FETTA, *words], capture_output=True, text=True)
    if good and done.returncode:
        print(f"# fetta {' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout if done.returncode == 0 else None


def any_state(rng):
    """Leases of all sizes, about half of which end again and leave idle instances."""
    for lease in json.loads(fetta("lease", "list", "--json"))["leases"]:
        fetta("lease", "end", str(lease["id"]), "--now")
    fetta("dynamic", "all")
    for _ in range(rng.randrange(5, 12)):
        fetta("lease", "new", "-s", rng.choice(PROFILES), "--for", "1h", "--wait", "0", *(["--movable"] if rng.random() < 0.3 else []), good=False)
    for lease in json.loads(fetta("lease", "list", "--json"))["leases"]:
        if rng.random() < 0.5:
            fetta("lease", "end", str(lease["id"]), "--now")


def work(rng):
    jobs = [f"- {{name: j{i}, profile: {p}, count: {rng.randrange(1, 4)}}}\n" for i, p in enumerate(rng.sample(PROFILES, 2))]
    with open("work.yaml", "w", encoding="utf-8") as f:
        f.write("jobs:\n" + "".join(jobs))


def leases():
    return [(x["id"], x["slices"][0]["gpu"], x["slices"][0]["start"]) for x in json.loads(fetta("lease", "list", "--json"))["leases"]]


def names(slices):
    return collections.Counter(s.split("@")[0] for s in slices)


def one_round(rng):
    any_state(rng)
    work(rng)
    plan = json.loads(fetta("plan", "-f", "work.yaml", "--from-running", "--json"))
    check(plan["proved"] and (not plan["part"] or plan["changes_proved"]), f"{plan['changes']} changes, proved to be the fewest")
    if not plan["part"]:
        return
    fetta("plan", "-f", "work.yaml", "--from-running", "-o", "layout.yaml")
    before = leases()
    print(f"# {len(before)} leases, {sum(len(g['kept']) for g in plan['gpus'])} instances kept, part {plan['part']}")
    done = {g["gpu"]: g for g in json.loads(fetta("apply", "-f", "layout.yaml", "--json"))["gpus"]}
    same = set(done) == {g["gpu"] for g in plan["gpus"]}
    for g in plan["gpus"]:
        same = same and names(g["created"]) == collections.Counter(done[g["gpu"]]["create"]) \
            and names(g["destroyed"]) == collections.Counter(done[g["gpu"]]["destroy"])
    check(same, "applying it changes what was printed and nothing else")
    check(plan["changes"] == sum(len(g["created"]) + len(g["destroyed"]) for g in plan["gpus"]), "which is so many changes")
    fetta("apply", "-f", "layout.yaml")
    check(leases() == before, "every lease is where it was")
    check(fetta("assert", "-f", "layout.yaml") is not None, "the layout is there")
    if plan["fits"]:
        again = json.loads(fetta("plan", "-f", "work.yaml", "--from-running", "--json"))
        check(again["changes"] == 0, "planned once more, nothing changes")


def running():
    rng = random.Random(SEED)
    print(f"# seed {SEED}, {ROUNDS} rounds")
    for _ in range(ROUNDS):
        one_round(rng)


def history():
    """Four leases of 3g at once on one GPU: two at a time is the most that any layout has room for."""
    jobs = [subprocess.Popen([FETTA, "run", "-s", "3g.40gb", "--", "sleep", "0.2"], stderr=subprocess.DEVNULL) for _ in range(4)]
    check(all(job.wait() == 0 for job in jobs), "four leases ran")
    plan = json.loads(fetta("plan", "--from-history", "1d", "--json"))
    check(plan["leases"] == 4 and plan["few"], "they are history, and few")
    check([p["mig_devices"] for p in plan["layout"]] == [{"3g.40gb": 2}], "two such slices are what would have served them best")
    check(plan["fixed"]["gpc_time_percent"] == 100 and plan["local_optimum"], "all of them")


def main():
    with tempfile.TemporaryDirectory() as folder:
        build, here, count, bad = os.path.abspath(OPTIONS.build), os.path.abspath(__file__), 0, 0
        os.chdir(folder)
        for inside, machine in (("running", "3xa100-80"), ("history", "1xa100-80")):
            done = subprocess.run([FETTA, "emulate", machine, "--", sys.executable, "-B", here, "--inside", inside, "--build", build],
                                  check=False, stdout=subprocess.PIPE, text=True)
            print(f"# {inside}")
            for line in done.stdout.splitlines():
                count += line.startswith(("ok", "not ok"))
                print(re.sub(r"ok \d+", f"ok {count}", line))
            count += 1
            bad += done.returncode != 0
            print(f"{'not ok' if done.returncode else 'ok'} {count} - {inside} came to its end")
        print(f"1..{count}")
        return bad > 0


if OPTIONS.inside:
    {"running": running, "history": history}[OPTIONS.inside]()
    sys.exit(failed > 0)
sys.exit(main())
