"""kill -9 of `fetta emulate`: nothing that was started on its machine is left, whether it holds a lease or not,
whatever session it moved to and whoever became its parent; and its directory goes, too."""
import argparse
import os
import signal
import subprocess
import sys
import time

PARSER = argparse.ArgumentParser()
PARSER.add_argument("--build", default="build")
FETTA = os.path.abspath(PARSER.parse_args().build) + "/src/cli/fetta"

# A daemon as shells make them, one that ignores what it is told, and one on a slice.
COMMAND = """
(setsid sh -c 'echo $$; exec sleep 1000' &)
(setsid sh -c 'trap "" TERM HUP; echo $$; while :; do sleep 1; done' &)
(setsid fetta run -s 1g.10gb -- sh -c 'echo $$; exec sleep 1000' &)
echo $$
exec sleep 1000
"""


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def gone(what, seconds):
    end = time.monotonic() + seconds
    while what() and time.monotonic() < end:
        time.sleep(0.05)
    return not what()


def main():
    env = {k: v for k, v in os.environ.items() if not k.startswith("FETTA_") or k == "FETTA_TIMEOUTS"}
    env["PATH"] = os.path.dirname(FETTA) + ":" + env["PATH"]
    script = 'echo "$FETTA_SOCKET"' + COMMAND
    job = subprocess.Popen([FETTA, "emulate", "1xa100-80", "--", "sh", "-c", script], env=env, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, text=True)
    folder = os.path.dirname(job.stdout.readline().strip())
    pids = [int(job.stdout.readline()) for _ in range(4)]
    checks = [("four processes run on the machine", len(set(pids)) == 4 and all(map(alive, pids)) and os.path.isdir(folder))]
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    checks.append(("all of them end with it", gone(lambda: any(map(alive, pids)), 20)))
    checks.append(("and its directory goes", gone(lambda: os.path.exists(folder), 10)))
    for n, (name, good) in enumerate(checks, 1):
        print("ok" if good else "not ok", n, "-", name)
    print(f"1..{len(checks)}")
    for pid in filter(alive, pids):
        os.kill(pid, signal.SIGKILL)
    return 0 if all(good for _, good in checks) else 1


sys.exit(main())
