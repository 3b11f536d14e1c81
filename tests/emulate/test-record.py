"""Board files: what `fetta emulate record` says of a machine, and that playing it gives the same machine."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "daemon"))
from rig import FETTA, NVML, ROOT, check, has, main, same, test

TABLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "src", "model", "tables")
KEYS = ("id", "nvml", "compute_slices", "suffix", "memory_mib", "sms", "most", "copy_engines", "decoders", "encoders", "jpeg", "ofa",
        "l2", "l2_of", "memory_slices", "starts")


def run(machine, *command, **more):
    return subprocess.run([FETTA, "emulate", machine, "--", *command], capture_output=True, text=True, timeout=60, **more)


def record(machine):
    done = run(machine, "fetta", "emulate", "record")
    same(done.returncode, 0, done.stderr)
    return done.stdout


def kept(text):
    folder = tempfile.TemporaryDirectory(prefix="fetta-boards.")
    os.chmod(folder.name, 0o755)
    path = folder.name + "/board.yaml"
    with open(path, "w") as f:
        f.write(text)
    return folder, path


def recorded(text):
    """The profiles of a recorded file with one board: name and values as text."""
    part = text[text.index("    profiles:\n"):text.index("    pci_id:")]
    items = [dict(re.findall(r"(\w+): (.*)", item)) for item in part.split("      - ")[1:]]
    return [(item["name"], [item[key].strip('"') for key in KEYS]) for item in items]


def table(board):
    """The same of the built-in table."""
    with open(f"{TABLES}/{board}.def") as f:
        rows = re.findall(r'^PROFILE\("([^"]*)",(.*), AT\(([\d,]*)\)\)', f.read(), re.M)
    result = []
    for name, numbers, starts in rows:
        values = [value.strip().strip('"') for value in numbers.split(",")]
        result.append((name + values[3], [*values, f"[{starts.replace(',', ', ')}]"]))
    return result


@test
def says_what_the_tables_say():
    for board in ("a100-80", "h100-sxm", "a30", "rtx-pro-6000"):
        text = record(board)
        want = table(board)
        check(len(want) >= 5, "cannot read the table of", board)
        same(recorded(text), want, board)
        has(text, f"  - name: {board}\n", "complete: true")


@test
def plays_what_it_recorded():
    text = record("2xa30,1xh100-sxm")
    folder, path = kept(text)
    with folder:
        same(record(path), text)
        done = run(path, "sh", "-c", "fetta run -s 2g.12gb -- true && fetta run -s 3g.40gb -- true && fetta status")
        same(done.returncode, 0, done.stderr)
        has(done.stdout, "board.yaml (emulated), 3 GPUs", "2g.12gb", "3g.40gb")


@test
def leases_a_board_without_a_table():
    text = record("a30").replace("name: a30", "name: x9").replace("NVIDIA A30", "NVIDIA X9").replace("board: a30", "board: x9")
    text = re.sub(r"pci_id: \d+", "pci_id: 4318", text).replace("cc_major: 8", "cc_major: 77")
    folder, path = kept(text)
    with folder:
        done = run(path, "sh", "-c", "fetta run -s 2g.12gb -- true && fetta status")
        same(done.returncode, 0, done.stderr)
        has(done.stdout, "NVIDIA X9")


@test
def mistakes_are_told_with_their_place():
    good = record("a30")
    cases = (
        (good.replace("        id: 14\n", "        id: fourteen\n"), r"line \d+, column \d+: .*id"),
        (good.replace("        id: 14\n", "        id: 14\n        ix: 1\n"), r"line \d+, column \d+: .*ix"),
        (good.replace("        id: 14\n", ""), r"line \d+, column \d+: .*id"),
        (good.replace("name: 1g.6gb\n", "name: 1g.7gb\n"), r"line \d+, column \d+: .*1g\.6gb was expected"),
        (good.replace("starts: [0, 2]", "starts: [0, 3]"), r"line \d+, column \d+: .*memory slices from 3"),
        (good.replace("family: ampere", "family: amp"), r"line \d+, column \d+: .*ampere, hopper"),
        (good.replace("board: a30", "board: a31"), r"line \d+, column \d+: .*no board of this file is called a31"),
        (good.replace("uuid: GPU-", "uuid: MIG-"), r"line \d+, column \d+: .*GPU-"),
        (good[:good.index("gpus:")], r"line \d+, column \d+: .*gpus"),
        ("driver: [\n", r"line \d+, column \d+"),
        ("- 1\n", r"line \d+, column \d+: .*driver, boards and gpus were expected"),
        ("", r"driver, boards and gpus were expected"),
    )
    for text, want in cases:
        check(text != good, "the case changes nothing:", want)
        folder, path = kept(text)
        with folder:
            done = run(path, "true")
            same(done.returncode, 125, text[-200:])
            check(re.search(want, done.stderr), "want", want, "got", done.stderr)
    done = run("/nowhere/board.yaml", "true")
    same(done.returncode, 125)
    has(done.stderr, "/nowhere/board.yaml")


@test
def without_a_driver():
    done = subprocess.run([FETTA, "emulate", "record", "--nvml", "/nowhere/libnvidia-ml.so.1"], capture_output=True, text=True)
    check(done.returncode not in (0, 125), done.returncode)
    has(done.stderr, "/nowhere/libnvidia-ml.so.1", "is one loaded")
    same(done.stdout, "")
    env = dict(os.environ, FETTA_EMU_SOCKET="/nowhere/socket")
    done = subprocess.run([FETTA, "emulate", "record", "--nvml", NVML], capture_output=True, text=True, env=env)
    check(done.returncode != 0 and not done.stdout)


@test
def changes_nothing():
    script = "fetta run -s 1g.6gb -- true; fetta export > $TMP/1; fetta emulate record >/dev/null; fetta export > $TMP/2; cmp $TMP/1 $TMP/2"
    with tempfile.TemporaryDirectory() as folder:
        done = run("a30", "sh", "-c", script, env=dict(os.environ, TMP=folder))
    same(done.returncode, 0, done.stderr)


@test
def ordinary_users_are_told_of_placements():
    script = "setpriv --reuid=65534 --regid=65534 --clear-groups fetta emulate record" if ROOT else "fetta emulate record"
    done = run("a30", "sh", "-c", script)
    same(done.returncode, 0, done.stderr)
    has(done.stderr, "placements are told to root only")
    same(recorded(done.stdout), table("a30"))


main()
