"""What only the emulated library may be asked: make and destroy instances, switch modes, be somebody else.

The emulated machine must have MIG on and nothing on it. Ids by place are those that real GPUs give (their first of two
layouts; the other mirrors the halves)."""
import ctypes as c
import json
import os
import subprocess
import time

import nvml as n
from checks_device import devices
from checks_mig import mig_mode, placements, read_boards

# (memory slices, size): {start: id}
IDS = {(8, 8): {0: 0}, (8, 4): {0: 1, 4: 2}, (8, 2): {0: 3, 2: 4, 4: 5, 6: 6}, (8, 1): {s: 7 + s for s in range(7)},
       (4, 4): {0: 0}, (4, 2): {0: 1, 2: 2}, (4, 1): {s: 3 + s for s in range(4)},
       (12, 12): {0: 0}, (12, 6): {0: 1, 6: 2}, (12, 3): {s: 3 + s // 3 for s in (0, 3, 6, 9)}}
FULL, NOBODY = 32, 65534
CI_NUMBER = {1: 0, 2: 1, 3: 2, 4: 3, 7: 4}  # compute profile that fills a GPU instance of so many slices
FORGED = n.PTR(0xDEADBEEF000)


class Gpu:
    """One emulated GPU and what is done to it."""

    def __init__(self, lib, index, device):
        self.lib, self.index, self.device = lib, index, device

    def create(self, profile, start=None, size=0):
        """(code, GPU instance)."""
        if start is None:
            return self.lib.handle("nvmlDeviceCreateGpuInstance", self.device, n.U(profile))
        at = n.Placement(start, size)
        return self.lib.handle("nvmlDeviceCreateGpuInstanceWithPlacement", self.device, n.U(profile), c.byref(at))

    def destroy(self, gi):
        return self.lib.call("nvmlGpuInstanceDestroy", gi)

    def info(self, gi):
        code, info = self.lib.filled(n.GiInfo, "nvmlGpuInstanceGetInfo", gi)
        return code, info.id, info.profileId, info.placement.start, info.placement.size

    def instances(self, profile, garbage=32765):
        """(code, [handle]); the count goes in as nvidia-smi sends it: whatever was on its stack."""
        found, count = (n.PTR * FULL)(), n.U(garbage)
        code = self.lib.call("nvmlDeviceGetGpuInstances", self.device, n.U(profile), found, c.byref(count))
        return code, [n.PTR(found[i]) for i in range(count.value)] if code == 0 and count.value <= FULL else []

    def capacity(self, profile):
        return self.lib.number("nvmlDeviceGetGpuInstanceRemainingCapacity", self.device, n.U(profile))

    def mig_devices(self):
        most = self.lib.number("nvmlDeviceGetMaxMigDeviceCount", self.device)[1]
        found = [self.lib.handle("nvmlDeviceGetMigDeviceHandleByIndex", self.device, n.U(i)) for i in range(most)]
        return [handle for code, handle in found if code == n.SUCCESS]

    def set_mode(self, mode):
        """(code, activation status)."""
        status = c.c_int(-1)
        return self.lib.call("nvmlDeviceSetMigMode", self.device, n.U(mode), c.byref(status)), status.value

    def computes(self, gi, profile):
        found, count = (n.PTR * FULL)(), n.U(77)
        code = self.lib.call("nvmlGpuInstanceGetComputeInstances", gi, n.U(profile), found, c.byref(count))
        return code, [n.PTR(found[i]) for i in range(count.value)] if code == 0 and count.value <= FULL else []


def every_place(gpu, r, rows, slices):
    """Each profile at each of its places, alone: id, info, capacity, what then overlaps, and that all of it goes away."""
    for row in rows.values():
        ids = IDS[slices, row["size"]]
        for start in row["starts"]:
            what = f"{row['name']} at {start}"
            code, gi = gpu.create(row["id"], start, row["size"])
            if not r.code(f"{what}: create", code, n.SUCCESS):
                continue
            r.same(f"{what}: id, profile, place", gpu.info(gi), (0, ids[start], row["id"], start, row["size"]), "published")
            r.code(f"{what}: the same place again", gpu.create(row["id"], start, row["size"])[0], n.INSUFFICIENT_RESOURCES, "published")
            code, there = gpu.instances(row["id"])
            r.true(f"{what}: listed, the count being output only", code == 0 and [t.value for t in there] == [gi.value], "itself", len(there),
                   "published")
            code, again = gpu.lib.handle("nvmlDeviceGetGpuInstanceById", gpu.device, n.U(ids[start]))
            r.true(f"{what}: found by id", code == 0 and again.value == gi.value, "SUCCESS, the same handle", n.code_name(code))
            for other in rows.values():
                free = [s for s in other["starts"] if s + other["size"] <= start or s >= start + row["size"]]
                engines = (other["name"] == row["name"] and row["most"] == 1) or (
                    other["name"].endswith("+me") and row["name"].endswith("+me"))
                most = 0 if engines else min(len(free), other["most"])
                code, left = gpu.capacity(other["id"])
                r.true(f"{what}: room for {other['name']}", code == 0 and left <= most and (left == most or other["most"] < 7), f"at most {most}",
                       left, "published")
            r.code(f"{what}: destroy", gpu.destroy(gi), n.SUCCESS)
            r.code(f"{what}: gone", gpu.lib.handle("nvmlDeviceGetGpuInstanceById", gpu.device, n.U(ids[start]))[0], n.NOT_FOUND)


def fill(gpu, r, rows):
    """Every profile until no more fits: as many as its count says, never two on one place."""
    for row in rows.values():
        made = []
        while len(made) < FULL:
            code, gi = gpu.create(row["id"])
            if code != n.SUCCESS:
                break
            made.append(gi)
        r.code(f"{row['name']}: one too many", code, n.INSUFFICIENT_RESOURCES)
        r.same(f"{row['name']}: as many as it says", len(made), row["most"], "published")
        r.same(f"{row['name']}: no room left", gpu.capacity(row["id"]), (0, 0))
        starts = sorted(gpu.info(gi)[3] for gi in made)
        r.same(f"{row['name']}: every start once", len(set(starts)), len(made))
        for gi in made:
            r.code(f"{row['name']}: destroy", gpu.destroy(gi), n.SUCCESS)


def wrong_asks(gpu, r, rows):
    row = rows[0]
    lib, device = gpu.lib, gpu.device
    r.code("create an unknown profile", gpu.create(99)[0], (n.INVALID_ARGUMENT, n.NOT_SUPPORTED))
    r.code("create into null", lib.call("nvmlDeviceCreateGpuInstance", device, n.U(row["id"]), None), n.INVALID_ARGUMENT)
    r.code("create where the profile has no place", gpu.create(row["id"], 63, row["size"])[0], (n.INVALID_ARGUMENT, n.INSUFFICIENT_RESOURCES))
    r.code("create with another size", gpu.create(row["id"], 0, row["size"] + 1)[0], (n.INVALID_ARGUMENT, n.INSUFFICIENT_RESOURCES))
    r.code("create at a null place", lib.call("nvmlDeviceCreateGpuInstanceWithPlacement", device, n.U(row["id"]), None, c.byref(n.PTR())),
           n.INVALID_ARGUMENT)
    r.code("destroy null", gpu.destroy(None), n.INVALID_ARGUMENT)
    r.code("info of null", lib.filled(n.GiInfo, "nvmlGpuInstanceGetInfo", None)[0], n.INVALID_ARGUMENT)
    r.code("a forged GPU", lib.number("nvmlDeviceGetIndex", FORGED)[0], n.INVALID_ARGUMENT)
    r.code("a forged GPU instance", gpu.destroy(FORGED), n.INVALID_ARGUMENT)
    r.code("a forged compute instance", lib.call("nvmlComputeInstanceDestroy", FORGED), n.INVALID_ARGUMENT)
    r.code("mode 2", gpu.set_mode(2)[0], n.INVALID_ARGUMENT)
    r.code("mode into null", lib.call("nvmlDeviceSetMigMode", device, n.U(1), None), n.INVALID_ARGUMENT)
    code, where = placements(lib, device, 99)
    r.code("placements of an unknown profile", code, (n.INVALID_ARGUMENT, n.NOT_SUPPORTED))
    r.same("and no count of them", where, [])
    absent = [number for number in range(10) if number not in rows]
    for number in absent:
        r.code(f"profile {number}, which the board lacks", lib.filled(n.GiProfile2, "nvmlDeviceGetGpuInstanceProfileInfoV", device, n.U(number),
                                                                      word=n.version(n.GiProfile2, 2))[0], n.NOT_SUPPORTED, "published")


def compute(gpu, r, row, ctl):
    """A GPU instance of this profile with its full compute instance: the MIG device comes and goes with it."""
    lib, full = gpu.lib, CI_NUMBER[row["slices"]]
    code, gi = gpu.create(row["id"])
    r.code("create", code, n.SUCCESS)
    r.same("without compute instance no MIG device", len(gpu.mig_devices()), 0)
    code, info = lib.filled(n.CiProfile, "nvmlGpuInstanceGetComputeInstanceProfileInfo", gi, n.U(full), n.U(0))
    r.code("its full compute profile", code, n.SUCCESS)
    r.same("slices of it", info.sliceCount, row["slices"], "published")
    r.same("SM of it", info.multiprocessorCount, row["sm"], "published")
    r.same("engines of it", (info.sharedCopyEngineCount, info.sharedDecoderCount, info.sharedJpegCount, info.sharedOfaCount),
           (row["ce"], row["dec"], row["jpeg"], row["ofa"]), "published")
    name = "nvmlGpuInstanceGetComputeInstanceProfileInfo"
    r.code("compute profile past the last", lib.filled(n.CiProfile, name, gi, n.U(99), n.U(0))[0], n.INVALID_ARGUMENT)
    r.code("engine profile past the last", lib.filled(n.CiProfile, name, gi, n.U(full), n.U(9))[0], n.INVALID_ARGUMENT)
    r.code("compute profile into null", lib.call(name, gi, n.U(full), n.U(0), None), n.INVALID_ARGUMENT)
    code, ci = lib.handle("nvmlGpuInstanceCreateComputeInstance", gi, n.U(info.id))
    r.code("create its compute instance", code, n.SUCCESS)
    r.code("another", lib.handle("nvmlGpuInstanceCreateComputeInstance", gi, n.U(info.id))[0], n.INSUFFICIENT_RESOURCES)
    code, there = gpu.computes(gi, info.id)
    r.true("listed, the count being output only", code == 0 and [t.value for t in there] == [ci.value], "itself", len(there), "published")
    code, seen = lib.filled(n.CiInfo, "nvmlComputeInstanceGetInfo_v2", ci)
    r.true("its info", code == 0 and (seen.id, seen.profileId, seen.gpuInstance) == (0, info.id, gi.value), "id 0", (code, seen.id, seen.profileId))
    r.code("destroy the GPU instance under it", gpu.destroy(gi), n.IN_USE)
    uuid = mig_device(gpu, r, row, gi, seen)
    if ctl:
        at_work(gpu, r, ctl, uuid, ci, gpu.info(gi)[1])
    mig = gpu.mig_devices()[0]
    r.code("destroy the compute instance", lib.call("nvmlComputeInstanceDestroy", ci), n.SUCCESS)
    r.same("its MIG device is gone", len(gpu.mig_devices()), 0)
    r.code("its UUID is unknown", lib.handle("nvmlDeviceGetHandleByUUID", uuid.encode())[0], n.NOT_FOUND)
    r.true("its handle is stale", lib.filled(n.Attributes, "nvmlDeviceGetAttributes_v2", mig)[0] != n.SUCCESS, "no SUCCESS")
    r.code("destroy it again", lib.call("nvmlComputeInstanceDestroy", ci), (n.INVALID_ARGUMENT, n.NOT_FOUND))
    code, ci = lib.handle("nvmlGpuInstanceCreateComputeInstance", gi, n.U(info.id))
    r.same("the same place has the same UUID", lib.text("nvmlDeviceGetUUID", gpu.mig_devices()[0])[1] if code == 0 else code, uuid, "published")
    r.code("destroy the compute instance again", lib.call("nvmlComputeInstanceDestroy", ci), n.SUCCESS)
    r.code("destroy the GPU instance", gpu.destroy(gi), n.SUCCESS)
    r.code("destroy it again", gpu.destroy(gi), (n.INVALID_ARGUMENT, n.NOT_FOUND))


def mig_device(gpu, r, row, gi, seen):
    """The MIG device of a new compute instance; its UUID."""
    lib, found = gpu.lib, gpu.mig_devices()
    if not r.same("one MIG device", len(found), 1):
        return ""
    mig = found[0]
    # nvml.h says the parent and nvidia-smi prints its index as the GPU's; NVIDIA's guide shows the MIG device.
    r.true("the compute instance names it or its GPU", seen.device in (mig.value, gpu.device.value), "one of the two", seen.device, "assumed")
    r.same("its GPU instance", lib.number("nvmlDeviceGetGpuInstanceId", mig), (0, gpu.info(gi)[1]))
    r.same("its compute instance", lib.number("nvmlDeviceGetComputeInstanceId", mig), (0, 0))
    code, a = lib.filled(n.Attributes, "nvmlDeviceGetAttributes_v2", mig)
    r.same("its attributes", (code, a.multiprocessorCount, a.sharedCopyEngineCount, a.gpuInstanceSliceCount, a.computeInstanceSliceCount,
                              a.memorySizeMB), (0, row["sm"], row["ce"], row["slices"], row["slices"], row["mib"]), "published")
    r.same("its memory", lib.filled(n.Memory, "nvmlDeviceGetMemoryInfo", mig)[1].total >> 20, row["mib"], "published")
    r.same("its name", lib.text("nvmlDeviceGetName", mig)[1], f"{lib.text('nvmlDeviceGetName', gpu.device)[1]} MIG {row['name']}", "published")
    uuid = lib.text("nvmlDeviceGetUUID", mig)[1]
    code, again = lib.handle("nvmlDeviceGetHandleByUUID", uuid.encode())
    r.true("found by its UUID", code == 0 and again.value == mig.value, "the same handle", n.code_name(code))
    r.code("a MIG device has no MIG devices", lib.handle("nvmlDeviceGetMigDeviceHandleByIndex", mig, n.U(0))[0],
           (n.INVALID_ARGUMENT, n.NOT_SUPPORTED, n.NOT_FOUND))
    return uuid


def running(lib, device):
    entries, count = (n.Process * 64)(), n.U(64)
    code = lib.call("nvmlDeviceGetComputeRunningProcesses_v3", device, c.byref(count), entries)
    return code, [(e.pid, e.usedGpuMemory >> 20, e.gpuInstanceId, e.computeInstanceId) for e in entries[:count.value if code == 0 else 0]]


def at_work(gpu, r, ctl, uuid, ci, gi_id):
    """A process on the MIG device keeps it; it is listed with its place, and both end with it."""
    with subprocess.Popen([ctl, "ctl", "hold", uuid, "100"], stdout=subprocess.PIPE) as work:
        try:
            work.stdout.readline()
            want = (0, [(work.pid, 100, gi_id, 0)])
            r.same("its process, seen on the MIG device", running(gpu.lib, gpu.mig_devices()[0]), want)
            r.same("its process, seen on the GPU", running(gpu.lib, gpu.device), want)
            r.code("destroy it under a process", gpu.lib.call("nvmlComputeInstanceDestroy", ci), n.IN_USE)
        finally:
            work.kill()
    end = time.monotonic() + 20
    while running(gpu.lib, gpu.device)[1] and time.monotonic() < end:
        time.sleep(0.005)
    r.same("a killed process is gone", running(gpu.lib, gpu.device), (0, []))


def as_nobody(gpu, r, rows):
    """The same library in the hands of an ordinary user, in a process of its own."""
    if os.getuid() != 0:
        r.skip("an ordinary user", "becoming one needs root")
        return
    code, gi = gpu.create(rows[0]["id"])
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        codes = {}
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            lib = n.Library(gpu.lib.path, True)
            codes["init"] = lib.call("nvmlInit_v2")
            mine = Gpu(lib, gpu.index, lib.handle("nvmlDeviceGetHandleByIndex_v2", n.U(gpu.index))[1])
            codes["count"] = lib.number("nvmlDeviceGetCount_v2")[0]
            codes["mode"] = mig_mode(lib, mine.device)[0]
            codes["set mode"] = mine.set_mode(0)[0]
            codes["create"] = mine.create(rows[0]["id"])[0]
            codes["list"] = mine.instances(rows[0]["id"])[0]
            codes["by id"] = lib.handle("nvmlDeviceGetGpuInstanceById", mine.device, n.U(gpu.info(gi)[1]))[0]
            codes["placements"] = placements(lib, mine.device, rows[0]["id"])[0]
            codes["room"] = mine.capacity(rows[0]["id"])[0]
        finally:
            os.write(write, json.dumps(codes).encode())
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as f:
        codes = json.loads(f.read())
    os.waitpid(child, 0)
    want = {"init": n.SUCCESS, "count": n.SUCCESS, "mode": n.SUCCESS}
    for what in ("init", "count", "mode", "set mode", "create", "list", "by id", "placements", "room"):
        r.code(f"an ordinary user: {what}", codes.get(what, n.UNKNOWN), want.get(what, n.NO_PERMISSION))
    r.code("destroy what it could not", gpu.destroy(gi), n.SUCCESS)


def modes(gpu, r, rows):
    """Off and on again; instances forbid it."""
    lib = gpu.lib
    code, gi = gpu.create(rows[0]["id"])
    r.code("off under an instance", gpu.set_mode(0)[0], n.IN_USE, "assumed")
    r.code("destroy it", gpu.destroy(gi), n.SUCCESS)
    code, status = gpu.set_mode(0)
    r.code("off", code, n.SUCCESS)
    if status != n.SUCCESS:
        r.code("pending only for a known reason", status, (n.IN_USE, n.RESET_REQUIRED))
        r.same("pending, not current", mig_mode(lib, gpu.device), (0, 1, 0))
        r.code("on again", gpu.set_mode(1)[0], n.SUCCESS)
        return
    r.same("off at once", mig_mode(lib, gpu.device), (0, 0, 0))
    r.same("no MIG devices when off", lib.number("nvmlDeviceGetMaxMigDeviceCount", gpu.device), (0, 0))
    r.code("no MIG device 0", lib.handle("nvmlDeviceGetMigDeviceHandleByIndex", gpu.device, n.U(0))[0], (n.NOT_FOUND, n.NOT_SUPPORTED))
    r.code("create when off", gpu.create(rows[0]["id"])[0], n.NOT_SUPPORTED)
    r.code("room when off", gpu.capacity(rows[0]["id"])[0], n.NOT_SUPPORTED)
    code, status = gpu.set_mode(1)
    r.same("on again", (code, status), (n.SUCCESS, n.SUCCESS))
    r.same("on at once", mig_mode(lib, gpu.device), (0, 1, 1))


def run(lib, r, ctl):
    boards = read_boards()
    for index, device in devices(lib):
        r.at(f"GPU {index} change")
        board, rows = boards.get(lib.filled(n.Pci, "nvmlDeviceGetPciInfo_v3", device)[1].pciDeviceId, ("", None))
        if rows is None or mig_mode(lib, device) != (0, 1, 1):
            r.skip("making and destroying", "no row in boards.txt" if rows is None else "MIG is not on")
            continue
        gpu = Gpu(lib, index, device)
        slices = max(row["starts"][-1] + row["size"] for row in rows.values())
        every_place(gpu, r, rows, slices)
        fill(gpu, r, rows)
        wrong_asks(gpu, r, rows)
        for row in rows.values():
            # Where 1g has more SM than a seventh, its full compute instance is a profile of its own.
            if row["number"] != 9:
                r.at(f"GPU {index} {board} {row['name']}")
                compute(gpu, r, row, ctl)
        r.at(f"GPU {index} change")
        as_nobody(gpu, r, rows)
        modes(gpu, r, rows)
