"""What `fetta plan` plans is what happens: the units that it writes, run on an emulated machine with the layout that it
wrote, serve the planned rate, and 99 of 100 requests within the time that it printed as a bound."""
import argparse
import glob
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

PARSER = argparse.ArgumentParser()
PARSER.add_argument("--build", default="build")
PARSER.add_argument("--inside", action="store_true")
OPTIONS = PARSER.parse_args()
FETTA = os.path.abspath(OPTIONS.build) + "/src/cli/fetta"
SECONDS = 6
WORK = """
services:
- {name: bert, model: mlperf-bert, rate: 1000, latency: 60}
- {name: photos, model: resnet50, rate: 1200, latency: 80}
"""
failed = number = 0


def check(good, name):
    global failed, number
    number += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {number} - {name}", flush=True)


def planned(plan):
    """{(name, profile): the bound on p99 in ms}"""
    return {(n["name"], s["profile"]): s["p99_ms_most"] for n in plan["needs"] for s in n["slices"]}


def command(unit):
    with open(unit, encoding="utf-8") as f:
        line = re.search(r"(?m)^ExecStart=fetta (.*)$", f.read()).group(1)
    words = shlex.split(line)
    words[words.index("--for") + 1] = f"{SECONDS}s"
    return [*words, "--seed", "7", "--json"]


def run_all():
    """Inside the machine: applies the layout and runs all units at once; prints what each measured."""
    subprocess.run([FETTA, "apply", "-f", "layout.yaml"], check=True, stdout=subprocess.DEVNULL)
    running = {unit: subprocess.Popen([FETTA, *command(unit)], stdout=subprocess.PIPE, text=True)
               for unit in sorted(glob.glob("units/*.service"))}
    print(json.dumps({unit: json.loads(p.communicate()[0]) for unit, p in running.items()}))


def main():
    with tempfile.TemporaryDirectory() as folder:
        OPTIONS.build = os.path.abspath(OPTIONS.build)
        os.chdir(folder)
        with open("work.yaml", "w", encoding="utf-8") as f:
            f.write(WORK)
        out = subprocess.run([FETTA, "plan", "-f", "work.yaml", "--machine", "2xa100-80", "-o", "layout.yaml", "--emit", "systemd",
                              "units", "--json"], check=True, capture_output=True, text=True).stdout
        plan = json.loads(out)
        check(plan["fits"] and plan["proved"], f"{plan['gpus_needed']} GPUs are planned, and proved")
        bounds = planned(plan)
        done = subprocess.run([FETTA, "emulate", "2xa100-80", "--", sys.executable, "-B", os.path.abspath(__file__), "--inside",
                               "--build", os.path.abspath(OPTIONS.build)], check=True, capture_output=True, text=True)
        reports = json.loads(done.stdout.splitlines()[-1])
        check(len(reports) == sum(s["count"] for n in plan["needs"] for s in n["slices"]), "every replica ran")
        for unit, report in reports.items():
            with open(unit, encoding="utf-8") as f:
                profile = re.search(r"-s (\S+)", f.read()).group(1)
            name = re.search(r"fetta-(\w+)-", unit).group(1)
            measured, bound = report["latency_ms"]["p99"], bounds[(name, profile)]
            print(f"# {name} on {profile}: p99 {measured:.1f} ms measured, at most {bound:.1f} planned")
            # The host wakes the server late at times, which is no part of what was planned.
            late = report.get("late_ms", 0)
            check(measured <= bound + late, f"{os.path.basename(unit)} is as early as planned")
            check(report["refused"] == 0, f"{os.path.basename(unit)} refused nothing")
    print(f"1..{number}")
    return failed > 0


if OPTIONS.inside:
    run_all()
else:
    sys.exit(main())
