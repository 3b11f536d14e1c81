"""Monitors and libraries of other people on the emulated driver, and that it exports what the real library does."""
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

import peers
from peers import need, smi
from rig import NVML, PATIENCE, House, Skip, check, has, main, same, test, until

WALK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "walk.py")
NAME = "NVIDIA H100 80GB HBM3"


def cut(house, profiles="9,19", gpu=0):
    status, said = smi(house, "mig", "-i", gpu, "-cgi", profiles, "-C")
    same(status, 0, said)


def uuids(house, kind="MIG"):
    return re.findall(rf"UUID: ({kind}-[0-9a-f-]+)\)", smi(house, "-L")[1])


def exported(path):
    done = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True, check=True)
    return {line.split()[-1] for line in done.stdout.splitlines() if line.split()[-1].startswith("nvml")}


@test
def exports_every_name_of_driver_535_and_no_other():
    need("nvml")
    real = exported(peers.REAL[535])
    same(len(real), 332)
    same(sorted(real ^ exported(os.path.dirname(NVML) + "/535/libnvidia-ml.so.1")), [], "names that only one of them has")


@test
def exports_every_name_of_driver_550_and_no_other():
    need("nvml-550")
    real = exported(peers.REAL[550])
    same(len(real), 350)
    same(sorted(real ^ exported(NVML)), [], "names that only one of them has")


@test
def both_file_names():
    for name in ("libnvidia-ml.so", "libnvidia-ml.so.1"):
        check(os.path.exists(os.path.join(os.path.dirname(NVML), name)), name)


def table(version):
    with House("2xh100-sxm", fettad=False) as h:
        cut(h)
        status, said = smi(h, version=version)
        same(status, 0, said)
        has(said, f"NVIDIA-SMI {version}.", f"|   1  {NAME}", "00000000:07:00.0", "Enabled |", "| MIG devices: ")
        rows = re.findall(r"(?m)^\|\s+0\s+(\d+)\s+(\d+)\s+(\d+)\s+\|\s+(\d+)MiB /\s*(\d+)MiB\s+\|\s*(\d+)\s+\S+\s*\|((?:\s+\d+)+)\s*\|$", said)
        same([tuple(map(int, r[:6])) + (r[6].split(),) for r in rows],
             [(2, 0, 0, 0, 40448, 60, ["3", "0", "3", "0", "3"]), (7, 0, 1, 0, 9984, 16, ["1", "0", "1", "0", "1"])],
             f"GI, CI, device, used, total, SM, (CE ENC DEC OFA JPG) in\n{said}")
        has(said, "No running processes found")


def processes(version):
    with House("2xh100-sxm", fettad=False) as h:
        cut(h)
        work = h.hold("hold", uuids(h)[1], 500)
        said = smi(h, version=version)[1]
        rows = re.findall(r"(?m)^\|\s+(\d+)\s+(\S+)\s+(\S+)\s+(\d+)\s+(\w+)\s+(\S.*?)\s+(\d+)MiB \|$", said)
        same([(r[0], r[1], r[2], int(r[3]), r[4], r[6]) for r in rows], [("0", "7", "0", work.pid, "C", "500")], f"processes in\n{said}")
        has(rows[0][5], "fetta-emud")
        status, said = smi(h, "--query-compute-apps=pid,used_memory,gpu_uuid", "--format=csv,noheader", version=version)
        same((status, said.strip()), (0, f"{work.pid}, 500 MiB, {uuids(h, 'GPU')[0]}"))
        work.kill()
        work.wait()
        until(lambda: "No running processes found" in smi(h, version=version)[1], "its end")


@test
def nvidia_smi_535_table_and_processes():
    need("nvidia-smi")
    table(535)
    processes(535)


@test
def nvidia_smi_550_table_and_processes():
    need("nvidia-smi", "nvidia-smi-550")
    table(550)
    processes(550)


def no_driver_says_so(said):
    """Rows of what nobody models read N/A. nvidia-smi reads an empty slot of the private table so, but one beyond its end as Uninitialized."""
    broken = [line for line in said.splitlines() if re.search("Uninitialized|Function Not Found|Unknown Error|ERR!", line)]
    same(broken, [], "what no real driver says")


@test
def nvidia_smi_xml():
    need("nvidia-smi")
    with House("2xh100-sxm", fettad=False) as h:
        cut(h)
        status, said = smi(h, "-q", "-x")
        same(status, 0, said)
        log = xml.fromstring(said.split("?>", 1)[1])
        gpus = log.findall("gpu")
        same((log.findtext("attached_gpus"), len(gpus)), ("2", 2))
        g = gpus[0]
        same([g.get("id")] + [g.findtext(k) for k in ("product_name", "minor_number", "uuid", "mig_mode/current_mig", "mig_mode/pending_mig")],
             ["00000000:07:00.0", NAME, "0", uuids(h, "GPU")[0], "Enabled", "Enabled"])
        same(g.findtext("fb_memory_usage/total"), "81559 MiB")
        shared = "device_attributes/shared/"
        got = [[m.findtext(k) for k in ("index", "gpu_instance_id", "compute_instance_id", shared + "multiprocessor_count",
                                        shared + "copy_engine_count", "fb_memory_usage/total")] for m in g.findall("mig_devices/mig_device")]
        same(got, [["0", "2", "0", "60", "3", "40448 MiB"], ["1", "7", "0", "16", "1", "9984 MiB"]])
        no_driver_says_so(said)
        no_driver_says_so(smi(h, "-q")[1])


@test
def nvidia_smi_550_details():
    need("nvidia-smi", "nvidia-smi-550")
    with House("1xh100-sxm", fettad=False) as h:
        for view in (["-q"], ["-q", "-x"]):
            status, said = smi(h, *view, version=550)
            same(status, 0, said)
            has(said, uuids(h, "GPU")[0])
            no_driver_says_so(said)


@test
def nvidia_smi_queries():
    need("nvidia-smi")
    with House("1xh100-sxm,1xa30", fettad=False) as h:
        fields = "index,name,uuid,pci.bus_id,memory.total,memory.used,mig.mode.current,mig.mode.pending,compute_cap,count"
        status, said = smi(h, f"--query-gpu={fields}", "--format=csv,noheader,nounits")
        same(status, 0, said)
        rows = [line.split(", ") for line in said.splitlines()]
        ids = uuids(h, "GPU")
        same(rows, [["0", NAME, ids[0], "00000000:07:00.0", "81559", "0", "Enabled", "Enabled", "9.0", "2"],
                    ["1", "NVIDIA A30", ids[1], "00000000:0A:00.0", "24576", "0", "Enabled", "Enabled", "8.0", "2"]])
        same(smi(h, "--query-gpu=no.such.field", "--format=csv")[0], 2)


def walk(version):
    with House("1xh100-sxm,1xa30", fettad=False) as h:
        cut(h)
        with open(WALK, encoding="utf-8") as f:
            status, said = peers.python(h, f.read(), version=version)
        check(said.strip().startswith("{"), f"exit status {status}:", said[-2000:])
        found = json.loads(said)
        print("#", {k: found[k] for k in ("functions", "codes")}, "not callable by name:", len(found["python"]))
        same((found["wrong"], status), ([], 0))
        check(found["functions"] > 150 and found["codes"].get("0", 0) > 60, "too little was answered:", found)
        return h, found


@test
def pynvml_11_walks_everything():
    need("pynvml")
    _, found = walk(535)
    same([n for n in found["absent"] if not n.startswith("nvmlDeviceCcu")], [], "functions that pynvml knows and the library lacks")


@test
def pynvml_12_walks_everything():
    need("pynvml-550")
    _, found = walk(550)
    same(found["absent"], [], "functions that pynvml knows and the library lacks")


def psutil(house):
    status, said = peers.python(house, "import psutil")
    if status != 0:
        raise Skip(f"python3-psutil is not for this Python: {said.splitlines()[-1]}")


@test
def gpustat_lists_gpus_and_processes():
    need("pynvml", "gpustat")
    with House("2xh100-sxm", fettad=False) as h:
        cut(h)
        work = h.hold("hold", uuids(h)[0], 300)
        psutil(h)
        status, said = peers.run(h, sys.executable, peers.ROOT + "/usr/bin/gpustat", "--json", PYTHONPATH=peers.PYTHON[535])
        same(status, 0, said)
        gpus = json.loads(said)["gpus"]
        same([(g["index"], g["name"], g["memory.total"]) for g in gpus], [(0, NAME, 81559), (1, NAME, 81559)])
        same([(p["pid"], p["gpu_memory_usage"]) for p in gpus[0]["processes"]], [(work.pid, 300)])


@test
def nvitop_shows_mig_devices():
    need("nvitop", "pynvml-550", "gpustat")
    with House("1xh100-sxm", fettad=False) as h:
        cut(h)
        psutil(h)
        path = peers.PYTHON[550] + ":" + peers.PYTHON[535]
        status, said = peers.run(h, sys.executable, "-m", "nvitop", "-1", PYTHONPATH=path, COLUMNS="100")
        same(status, 0, said[-3000:])
        has(said, "Driver Version", "0:0", "0:1")
        check("Traceback" not in said, said[-3000:])


@test
def lstopo_lists_nvml_devices():
    need("lstopo")
    with House("2xh100-sxm", fettad=False) as h:
        libraries = peers.LIBRARIES + ":" + os.path.dirname(NVML)
        status, said = peers.run(h, peers.ROOT + "/usr/bin/lstopo-no-graphics", "--of", "console", "-v", LD_LIBRARY_PATH=libraries,
                                 HWLOC_PLUGINS_PATH=peers.LIBRARIES + "/hwloc", HWLOC_COMPONENTS="nvml,-opencl,-cuda,-gl")
        same(status, 0, said)
        for number, uuid in enumerate(uuids(h, "GPU")):
            has(said, f'"nvml{number}"', uuid)
        has(said, NAME)


def screen(house, argv, seconds, until_text, **more):
    """What a full-screen program has written to a terminal of 40 x 140 by then."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.clear()
        os.environ.update(peers.env(house, TERM="xterm", LINES="40", COLUMNS="140", HOME=house.dir, **more))
        os.execv(argv[0], argv)
    said, end = "", time.monotonic() + seconds
    try:
        while time.monotonic() < end and until_text not in said:
            if select.select([fd], [], [], 0.1)[0]:
                said += os.read(fd, 1 << 16).decode(errors="replace")
        os.write(fd, b"q")
        time.sleep(0.05)
    except OSError:
        pass  # it ended
    finally:
        os.close(fd)
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            pass
        os.waitpid(pid, 0)
    return re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|\(B|[=>])", "", said)


@test
def nvtop_shows_the_gpus():
    need("nvtop")
    with House("2xh100-sxm", fettad=False) as h:
        said = screen(h, [peers.ROOT + "/usr/bin/nvtop"], PATIENCE, "Device 1", XDG_CONFIG_HOME=h.dir)
        has(said, "Device 0", "Device 1", NAME)


main()
