"""Runs the transcripts of this folder: what a person types, what fetta prints, how it exits.

A transcript begins with the emulated machine, `machine: NAME [OPTION...]`. Then `$ COMMAND`, the lines it
prints (both streams), and `[STATUS]` where it is not 0. `<...>` stands for any text within a line, a line
`...` for any lines. All commands of a transcript share one shell on one machine. A line `needs: WHAT...` names
programs of other people (tools/fetch-peers.sh) or `user`, another user to become as `$AS_USER COMMAND`; without
them the transcript is skipped. With --record a transcript is printed as it runs now, to be read and placed."""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import sanitized  # noqa: E402 the path above

PARSER = argparse.ArgumentParser()
PARSER.add_argument("--build", default="build")
PARSER.add_argument("--record", action="store_true")
PARSER.add_argument("files", nargs="+")
OPTIONS = PARSER.parse_args()
BUILD = os.path.abspath(OPTIONS.build)
PEERS = os.environ.get("FETTA_PEERS", BUILD + "/peers/root")
AS_USER = "setpriv --reuid=65534 --regid=65534 --clear-groups"
MARK = "\x1e"


def read(path):
    """(machine words, [(command, expected lines, status)], what it needs)."""
    machine, steps, needs = ["dgx-a100"], [], []
    with open(path, encoding="utf-8") as f:
        for line in f.read().splitlines():
            if line.startswith("machine: "):
                machine = line.split()[1:]
            elif line.startswith("needs: "):
                needs = line.split()[1:]
            elif line.startswith("$ "):
                steps.append((line[2:], [], [0]))
            elif steps and re.fullmatch(r"\[\d+\]", line):
                steps[-1][2][0] = int(line[1:-1])
            elif steps and line != "":
                steps[-1][1].append(line)
    return machine, steps, needs


def lacks(needs):
    """Why the transcript cannot run here; None if it can."""
    for need in needs:
        if need == "user":
            if os.getuid() != 0 or not shutil.which("setpriv"):
                return "becoming another user needs root and setpriv"
            if subprocess.run([*AS_USER.split(), "test", "-x", BUILD + "/src/cli/fetta"], check=False).returncode != 0:
                return f"another user cannot reach {BUILD}"
            continue
        try:
            with open(PEERS + "/.fetch/status", encoding="utf-8") as f:
                state = {line.split("\t")[0]: line.strip().split("\t")[1:] for line in f}.get(need, ["missing", "not fetched"])
        except OSError:
            state = ["missing", "tools/fetch-peers.sh has not run"]
        if state[0] != "ok":
            return f"no {need}: {state[-1]}"
    return None


def run(machine, steps, needs):
    """[(lines, status)] of each step."""
    with tempfile.TemporaryDirectory(prefix="fetta-cli.") as folder:
        script = folder + "/script"
        with open(script, "w", encoding="utf-8") as f:
            for command, _, _ in steps:
                f.write(f"printf '{MARK}\\n'\n{command}\nprintf '{MARK}%d\\n' $?\n")
        os.chmod(folder, 0o755)
        env = {k: v for k, v in os.environ.items() if not k.startswith("FETTA_") and k not in ("LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")}
        env.update(PATH=f"{BUILD}/src/cli:{BUILD}/src/emud:{PEERS}/usr/lib/nvidia/current:{env['PATH']}", PEERS=PEERS, AS_USER=AS_USER,
                   LC_ALL="C.UTF-8", TZ="UTC", NO_COLOR="1", COLUMNS="100", WORK=folder,
                   UNIQUE=str(os.getpid()))
        if needs:
            env.update(sanitized.environment(BUILD + "/src/shim/nvml/libnvidia-ml.so.1"))
        done = subprocess.run(["fetta", "emulate", *machine, "--", "bash", script], env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    found = []
    for part in re.findall(f"{MARK}\n(.*?){MARK}(\\d+)\n", done.stdout, re.S):
        found.append(([line for line in part[0].replace(folder, "$WORK").splitlines() if line.strip()], int(part[1])))
    return found, done.returncode, done.stdout


def line_matches(want, got):
    return re.fullmatch(".*".join(map(re.escape, want.split("<...>"))), got) is not None


def lines_match(want, got):
    if not want:
        return not got
    if want[0] == "...":
        return any(lines_match(want[1:], got[i:]) for i in range(len(got) + 1))
    return bool(got) and line_matches(want[0].rstrip(), got[0].rstrip()) and lines_match(want[1:], got[1:])


def record(path):
    machine, steps, needs = read(path)
    found, _, _ = run(machine, steps, needs)
    print("machine:", *machine)
    if needs:
        print("needs:", *needs)
    for (command, _, _), (lines, status) in zip(steps, found):
        print(f"\n$ {command}")
        print("".join(line.rstrip() + "\n" for line in lines), end="")
        if status:
            print(f"[{status}]")


def main():
    if OPTIONS.record:
        for path in OPTIONS.files:
            record(path)
        return 0
    plan = [(path, *read(path)) for path in OPTIONS.files]
    without = {path: lacks(needs) for path, _, _, needs in plan}
    print(f"1..{sum(1 if without[path] else len(steps) for path, _, steps, _ in plan)}", flush=True)
    number = failed = 0
    for path, machine, steps, needs in plan:
        if without[path]:
            number += 1
            print(f"ok {number} - {os.path.basename(path)} # SKIP {without[path]}", flush=True)
            continue
        found, status, said = run(machine, steps, needs)
        for at, (command, want, wanted) in enumerate(steps):
            number += 1
            lines, exit_ = found[at] if at < len(found) else (["(never came to this)", *said.splitlines()[-5:], f"(exit status {status})"], -1)
            good = exit_ == wanted[0] and lines_match(want, lines)
            failed += not good
            if not good:
                print(f"# want: {want} [{wanted[0]}]\n# got:  {lines} [{exit_}]")
            print(f"{'ok' if good else 'not ok'} {number} - {os.path.basename(path)}: {command.replace('#', '')[:90]}", flush=True)
    return 1 if failed else 0


sys.exit(main())
