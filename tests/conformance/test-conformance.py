"""The conformance suite on the emulated library: one point per group of expectations, all of which must hold.

Runs it twice on machines of every board that has published listings: as on a real GPU, where nothing may change, and
with all that makes and destroys. Also that it cannot be talked into changing a machine through a foreign library."""
import argparse
import ctypes.util
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import sanitized  # noqa: E402 the path above

PARSER = argparse.ArgumentParser()
PARSER.add_argument("--build", default="build")
BUILD = os.path.abspath(PARSER.parse_args().build)
RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run")
EMUD, LIBRARY = BUILD + "/src/emud/fetta-emud", BUILD + "/src/shim/nvml/libnvidia-ml.so.1"
MACHINES = ["1xh100-sxm,1xa100-40,1xa30,1xrtx-pro-6000", "1xa100-80,1xh100-pcie,1xh100-nvl,1xh200"]
POINTS = []


def point(name, trouble):
    POINTS.append(name)
    for line in trouble:
        print("#", line)
    print(f"{'not ok' if trouble else 'ok'} {len(POINTS)} - {name}", flush=True)


def groups(title, path):
    """One point per place in the results of a run."""
    with open(path, encoding="utf-8") as f:
        rows = json.load(f)["checks"]
    for where in dict.fromkeys(r["where"] for r in rows):
        here = [r for r in rows if r["where"] == where]
        bad = [f"{r['name']}: expected {r['expected']}, got {r['got']} ({r['source']})" for r in here if r["result"] in ("differs", "absent")]
        point(f"{title}: {where}: {len(here)} checks", bad)
    if not rows:
        point(title, ["no checks"])


def layout(env):
    """Mode and instances of all GPUs, as a plain client sees them."""
    code = ("import ctypes as c; l = c.CDLL(%r); l.nvmlInit_v2(); n = c.c_uint(); l.nvmlDeviceGetCount_v2(c.byref(n)); out = []\n"
            "for i in range(n.value):\n"
            "    d = c.c_void_p(); l.nvmlDeviceGetHandleByIndex_v2(i, c.byref(d)); a, b, m = c.c_uint(), c.c_uint(), c.c_void_p()\n"
            "    out.append((l.nvmlDeviceGetMigMode(d, c.byref(a), c.byref(b)), a.value, b.value,\n"
            "                [l.nvmlDeviceGetMigDeviceHandleByIndex(d, k, c.byref(m)) for k in range(7)]))\n"
            "print(out)" % LIBRARY)
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout


def on(machine, folder):
    env = {**os.environ, "FETTA_EMU_SOCKET": folder + "/emu.sock", **sanitized.environment(LIBRARY)}
    r, w = os.pipe()
    with subprocess.Popen([EMUD, machine, "--socket", folder + "/emu.sock", "--root-uid", str(os.getuid()), "--ready-fd", str(w)],
                          pass_fds=[w]) as emud:
        try:
            os.close(w)
            with os.fdopen(r, "rb") as ready:
                ready.read(1)
            before = layout(env)
            for title, more in (("looking", []), ("changing", ["--emulated", "--ctl", EMUD])):
                results = folder + "/results.json"
                done = subprocess.run([sys.executable, "-B", RUN, "--library", LIBRARY, "--json", results, *more], env=env,
                                      capture_output=True, text=True, check=False)
                if done.returncode not in (0, 1):
                    point(f"{title} on {machine}", [f"exit status {done.returncode}", *(done.stdout + done.stderr).splitlines()[-20:]])
                    continue
                groups(f"{title} on {machine}", results)
                if not more:
                    point(f"looking changes nothing of {machine}", [] if layout(env) == before else [before, layout(env)])
        finally:
            emud.terminate()


def main():
    with tempfile.TemporaryDirectory(prefix="fetta-conformance.") as folder:
        os.chmod(folder, 0o711)
        for number, machine in enumerate(MACHINES):
            os.mkdir(f"{folder}/{number}", 0o711)
            on(machine, f"{folder}/{number}")
    foreign = ctypes.util.find_library("m")
    done = subprocess.run([sys.executable, "-B", RUN, "--library", f"/lib/{os.uname().machine}-linux-gnu/{foreign}", "--emulated"],
                          capture_output=True, text=True, check=False)
    good = done.returncode == 2 and "is not fetta's emulated library" in done.stderr
    point("a foreign library is never changed through", [] if good else [f"{done.returncode} {done.stderr}"])
    print(f"1..{len(POINTS)}")


main()
