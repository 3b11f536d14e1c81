"""Programs of other people for tests written in Python: where they are, why they are not, how to run one on a House.

tools/fetch-peers.sh fetches them and writes down per program whether it could be had; need() skips with its reason."""
import os
import subprocess
import sys

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path[:0] = [TESTS, TESTS + "/daemon"]
import sanitized  # noqa: E402 the path above
from rig import BUILD, NVML, PATIENCE, Skip, become  # noqa: E402 the path above

ROOT = os.environ.get("FETTA_PEERS", BUILD + "/peers/root")
LIBRARIES = ROOT + "/usr/lib/x86_64-linux-gnu"
SMI = {535: ROOT + "/usr/lib/nvidia/current/nvidia-smi", 550: ROOT + "/trixie/usr/lib/nvidia/current/nvidia-smi"}
REAL = {535: LIBRARIES + "/nvidia/current/libnvidia-ml.so.1", 550: ROOT + "/trixie/usr/lib/x86_64-linux-gnu/nvidia/current/libnvidia-ml.so.1"}
PYTHON = {535: ROOT + "/usr/lib/python3/dist-packages", 550: ROOT + "/trixie/usr/lib/python3/dist-packages"}


def need(*names):
    """Skips the test unless all of these programs were fetched."""
    try:
        with open(ROOT + "/.fetch/status", encoding="utf-8") as f:
            states = {line.split("\t")[0]: line.strip().split("\t")[1:] for line in f}
    except OSError:
        raise Skip(f"tools/fetch-peers.sh has not run for {ROOT}") from None
    for name in names:
        state = states.get(name, ["missing", "not fetched"])
        if state[0] != "ok":
            raise Skip(f"no {name}: {state[-1]}")


def env(house, **more):
    """The environment of a program on a house's emulated driver."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LC_ALL", "LANG") or k.startswith(("ASAN", "UBSAN", "LSAN"))}
    return {**kept, "LC_ALL": "C.UTF-8", "FETTA_EMU_SOCKET": house.emu, "LD_LIBRARY_PATH": os.path.dirname(NVML), "PYTHONDONTWRITEBYTECODE": "1",
            **sanitized.environment(NVML), **more}


def run(house, *argv, uid=None, **more):
    """(exit status, what it printed) of a program on a house."""
    done = subprocess.run([str(a) for a in argv], env=env(house, **more), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", timeout=3 * PATIENCE, preexec_fn=(lambda: become(uid)) if uid is not None else None, check=False)
    return done.returncode, done.stdout


def smi(house, *argv, version=535, uid=None):
    return run(house, SMI[version], *argv, uid=uid)


def python(house, code, *argv, version=535):
    """Runs Python code with that age of pynvml; nothing of the system's own packages gets in its way."""
    path = PYTHON[version] if version == 535 else PYTHON[550] + ":" + PYTHON[535]
    return run(house, sys.executable, "-c", code, *argv, PYTHONPATH=path)
