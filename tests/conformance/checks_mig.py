"""MIG as far as it can be asked: mode, profiles and placements per board, MIG devices. Changes nothing."""
import ctypes as c
import os
import re

import nvml as n
from checks_device import UUID, devices

NEVER = 0xFF  # no profile has this number in any version


def read_boards():
    """{PCI id: (board, {profile number: row})} of boards.txt."""
    found, board, rows = {}, None, None
    with open(os.path.join(os.path.dirname(os.path.realpath(__file__)), "boards.txt"), encoding="utf-8") as f:
        for line in f:
            words = line.split("#")[0].split()
            if words[:1] == ["board"]:
                board, rows = words[1], {}
                found.update({int(w, 16): (board, rows) for w in words[2:]})
            elif words:
                numbers = list(map(int, words[1:-1]))
                keys = "number id slices most sm ce dec enc jpeg ofa mib size".split()
                rows[numbers[0]] = dict(zip(keys, numbers), name=words[0], starts=list(map(int, words[-1].split(","))))
    return found


def mig_mode(lib, device):
    """(code, current, pending)."""
    current, pending = n.U(9), n.U(9)
    code = lib.call("nvmlDeviceGetMigMode", device, c.byref(current), c.byref(pending))
    return code, current.value, pending.value


def placements(lib, device, profile_id):
    """(code, [(start, size)]), asked as nvidia-smi does: first for the count alone."""
    count = n.U(0)
    name = "nvmlDeviceGetGpuInstancePossiblePlacements_v2"
    code = lib.call(name, device, n.U(profile_id), None, c.byref(count))
    if code != n.SUCCESS:
        return code, []
    there = (n.Placement * max(1, count.value))()
    code = lib.call(name, device, n.U(profile_id), there, c.byref(count))
    return code, [(there[i].start, there[i].size) for i in range(count.value)]


def mode(lib, r, device):
    code, current, pending = mig_mode(lib, device)
    r.code("nvmlDeviceGetMigMode", code, (n.SUCCESS, n.NOT_SUPPORTED))
    r.code("of null", lib.call("nvmlDeviceGetMigMode", None, c.byref(n.U()), c.byref(n.U())), n.INVALID_ARGUMENT)
    if code == n.SUCCESS:
        r.true("modes are 0 or 1", {current, pending} <= {0, 1}, "0 or 1", (current, pending))
        r.code("into null", lib.call("nvmlDeviceGetMigMode", device, None, None), n.INVALID_ARGUMENT)
    enabled = code == n.SUCCESS and current == 1
    code, most = lib.number("nvmlDeviceGetMaxMigDeviceCount", device)
    r.code("nvmlDeviceGetMaxMigDeviceCount", code, n.SUCCESS)
    r.true("0 without MIG, else some", (most > 0) == enabled, "above 0" if enabled else "0", most)
    return enabled, most


def plain_handle(lib, r, device):
    """What a GPU's own handle answers where a MIG device's is wanted."""
    r.same("nvmlDeviceIsMigDeviceHandle", lib.number("nvmlDeviceIsMigDeviceHandle", device), (0, 0))
    r.code("nvmlDeviceGetGpuInstanceId", lib.number("nvmlDeviceGetGpuInstanceId", device)[0], (n.NOT_SUPPORTED, n.INVALID_ARGUMENT))
    r.code("nvmlDeviceGetComputeInstanceId", lib.number("nvmlDeviceGetComputeInstanceId", device)[0],
           (n.NOT_SUPPORTED, n.INVALID_ARGUMENT))
    r.code("nvmlDeviceGetDeviceHandleFromMigDeviceHandle",
           lib.handle("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", device)[0], (n.INVALID_ARGUMENT, n.NOT_SUPPORTED))
    r.code("nvmlDeviceGetAttributes_v2", lib.filled(n.Attributes, "nvmlDeviceGetAttributes_v2", device)[0],
           (n.NOT_SUPPORTED, n.INVALID_ARGUMENT))


def profile_words(lib, r, device, number):
    """One profile in every layout."""
    one, old = lib.filled(n.GiProfile, "nvmlDeviceGetGpuInstanceProfileInfo", device, n.U(number))
    name = "nvmlDeviceGetGpuInstanceProfileInfoV"
    two, new = lib.filled(n.GiProfile2, name, device, n.U(number), word=n.version(n.GiProfile2, 2))
    r.same(f"profile {number}: one code in both layouts", n.code_name(two), n.code_name(one))
    if one == two == n.SUCCESS:
        same = [f for f, _ in n.GiProfile._fields_ if getattr(old, f) != getattr(new, f)]
        r.same(f"profile {number}: v1 and v2 agree", same, [])
        r.true(f"profile {number}: name", re.fullmatch(r"MIG \d+g\.\d+gb([+-][\w.]+)?", new.name.decode()), "MIG Gg.NNgb", new.name.decode(),
               "published")
        r.code(f"profile {number}: version word 0", lib.filled(n.GiProfile2, name, device, n.U(number), word=0)[0],
               (n.VERSION_MISMATCH, n.INVALID_ARGUMENT))
        r.code(f"profile {number}: into null", lib.call("nvmlDeviceGetGpuInstanceProfileInfo", device, n.U(number), None), n.INVALID_ARGUMENT)
        return old, new.name.decode()
    return None, None


def compare(r, number, info, name, row):
    """A profile against what real boards of this kind list."""
    got = dict(name=name.replace("MIG ", ""), id=info.id, slices=info.sliceCount, most=info.instanceCount, sm=info.multiprocessorCount,
               ce=info.copyEngineCount, dec=info.decoderCount, enc=info.encoderCount, jpeg=info.jpegCount, ofa=info.ofaCount,
               mib=info.memorySizeMB)
    for key, value in got.items():
        r.same(f"profile {number}: {key}", value, row[key], "published")


def profiles(lib, r, device, enabled, board, rows):
    r.code(f"profile {NEVER}", lib.filled(n.GiProfile, "nvmlDeviceGetGpuInstanceProfileInfo", device, n.U(NEVER))[0],
           n.INVALID_ARGUMENT if enabled else (n.INVALID_ARGUMENT, n.NOT_SUPPORTED))
    known = set(rows or ())
    for number in range(10):
        info, name = profile_words(lib, r, device, number)
        if info is None:
            r.true(f"profile {number} is not there", not (enabled and number in known), "there" if number in known else "NOT_SUPPORTED", "absent",
                   "published")
            continue
        if rows is None:
            continue
        if not r.true(f"profile {number} is there", number in known, "NOT_SUPPORTED" if number not in known else "there", name, "published"):
            continue
        compare(r, number, info, name, rows[number])
        code, there = placements(lib, device, info.id)
        row = rows[number]
        if code == n.NO_PERMISSION and os.getuid() != 0:
            r.skip(f"profile {number}: placements", "needs root")
        elif enabled or code == n.SUCCESS:
            r.same(f"profile {number}: placements", sorted(there), [(s, row["size"]) for s in row["starts"]], "published")
    if rows is None:
        r.skip("profiles against published listings", f"{board}: no row in boards.txt")


def mig_devices(lib, r, device, most):
    """MIG devices that are there: handles, UUIDs, order."""
    by = "nvmlDeviceGetMigDeviceHandleByIndex"
    r.code("MIG device past the last", lib.handle(by, device, n.U(most))[0], (n.NOT_FOUND, n.INVALID_ARGUMENT, n.NOT_SUPPORTED))
    r.code("MIG device into null", lib.call(by, device, n.U(0), None), n.INVALID_ARGUMENT)
    places = []
    for index in range(most):
        code, mig = lib.handle(by, device, n.U(index))
        if code != n.SUCCESS:
            r.code(f"MIG device {index}", code, n.NOT_FOUND)
            continue
        one_device(lib, r, device, index, mig)
        places.append((lib.number("nvmlDeviceGetGpuInstanceId", mig)[1], lib.number("nvmlDeviceGetComputeInstanceId", mig)[1]))
    r.same("MIG devices are in the order of their ids", places, sorted(places), "published")


def one_device(lib, r, device, index, mig):
    r.same(f"MIG device {index}: is one", lib.number("nvmlDeviceIsMigDeviceHandle", mig), (0, 1))
    r.same(f"MIG device {index}: index", lib.number("nvmlDeviceGetIndex", mig), (0, index))
    code, parent = lib.handle("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", mig)
    r.true(f"MIG device {index}: parent", code == 0 and parent.value == device.value, "the GPU's handle", n.code_name(code))
    code, uuid = lib.text("nvmlDeviceGetUUID", mig)
    r.true(f"MIG device {index}: UUID", code == 0 and re.fullmatch("MIG-" + UUID, uuid), "MIG-8-4-4-4-12", uuid)
    code, found = lib.handle("nvmlDeviceGetHandleByUUID", uuid.encode())
    r.true(f"MIG device {index}: found by its UUID", code == 0 and found.value == mig.value, "the same handle", n.code_name(code))
    code, name = lib.text("nvmlDeviceGetName", mig)
    whole = lib.text("nvmlDeviceGetName", device)[1]
    r.true(f"MIG device {index}: name", re.fullmatch(re.escape(whole) + r" MIG (\d+c\.)?\d+g\.\d+gb([+-][\w.]+)?", name), f"{whole} MIG ...", name,
           "published")
    code, attributes = lib.filled(n.Attributes, "nvmlDeviceGetAttributes_v2", mig)
    r.code(f"MIG device {index}: attributes", code, n.SUCCESS)
    r.true(f"MIG device {index}: its slices", 1 <= attributes.computeInstanceSliceCount <= attributes.gpuInstanceSliceCount,
           "compute within GPU slices", (attributes.computeInstanceSliceCount, attributes.gpuInstanceSliceCount))
    r.code(f"MIG device {index}: utilization", lib.filled(n.Utilization, "nvmlDeviceGetUtilizationRates", mig)[0], n.NOT_SUPPORTED, "published")


def run(lib, r):
    boards = read_boards()
    for index, device in devices(lib):
        r.at(f"GPU {index} MIG")
        pci = lib.filled(n.Pci, "nvmlDeviceGetPciInfo_v3", device)[1].pciDeviceId
        board, rows = boards.get(pci, (f"{pci:08X}", None))
        enabled, most = mode(lib, r, device)
        plain_handle(lib, r, device)
        if mig_mode(lib, device)[0] != n.SUCCESS:
            r.skip("profiles and MIG devices", "this GPU has no MIG")
            continue
        profiles(lib, r, device, enabled, board, rows)
        mig_devices(lib, r, device, most)
        if enabled:
            r.code("utilization of a GPU in MIG mode", lib.filled(n.Utilization, "nvmlDeviceGetUtilizationRates", device)[0], n.NOT_SUPPORTED)
