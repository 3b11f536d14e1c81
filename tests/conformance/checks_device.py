"""Every GPU: handles, identities, texts, and layouts of several ages that must tell the same."""
import ctypes as c
import re

import nvml as n

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# Functions of a device and one answer, to be refused without either.
ANSWERS = [("nvmlDeviceGetIndex", n.U), ("nvmlDeviceGetMinorNumber", n.U), ("nvmlDeviceGetPciInfo_v3", n.Pci),
           ("nvmlDeviceGetMemoryInfo", n.Memory), ("nvmlDeviceGetUtilizationRates", n.Utilization),
           ("nvmlDeviceGetPersistenceMode", n.U), ("nvmlDeviceGetPowerUsage", n.U), ("nvmlDeviceGetMaxMigDeviceCount", n.U),
           ("nvmlDeviceIsMigDeviceHandle", n.U), ("nvmlDeviceGetArchitecture", n.U), ("nvmlDeviceGetBAR1MemoryInfo", n.Memory)]


def devices(lib):
    """[(index, handle)] of all GPUs."""
    count = lib.number("nvmlDeviceGetCount_v2")[1]
    return [(i, lib.handle("nvmlDeviceGetHandleByIndex_v2", n.U(i))[1]) for i in range(count)]


def lookups(lib, r, count):
    r.at("look up")
    r.code("index past the last", lib.handle("nvmlDeviceGetHandleByIndex_v2", n.U(count))[0], n.INVALID_ARGUMENT)
    r.code("index into null", lib.call("nvmlDeviceGetHandleByIndex_v2", n.U(0), None), n.INVALID_ARGUMENT)
    by = "nvmlDeviceGetHandleByUUID"
    r.code("UUID of nobody", lib.handle(by, b"GPU-00000000-0000-0000-0000-000000000001")[0], n.NOT_FOUND)
    r.code("UUID that is none", lib.handle(by, b"nonsense")[0], (n.INVALID_ARGUMENT, n.NOT_FOUND))
    r.code("UUID null", lib.handle(by, None)[0], n.INVALID_ARGUMENT)
    by = "nvmlDeviceGetHandleByPciBusId_v2"
    r.code("bus id of nobody", lib.handle(by, b"0000FFFF:FE:1F.0")[0], n.NOT_FOUND)
    r.code("bus id that is none", lib.handle(by, b"nonsense")[0], (n.INVALID_ARGUMENT, n.NOT_FOUND))
    r.code("bus id null", lib.handle(by, None)[0], n.INVALID_ARGUMENT)
    for name, kind in ANSWERS:
        r.code(f"{name} of null", lib.call(name, None, c.byref(kind())), n.INVALID_ARGUMENT)


def identity(lib, r, index, device):
    r.same("nvmlDeviceGetIndex", lib.number("nvmlDeviceGetIndex", device), (0, index))
    again = lib.handle("nvmlDeviceGetHandleByIndex_v2", n.U(index))[1]
    r.true("the same handle again", again.value == device.value, "equal handles", "", "published")
    code, uuid = lib.text("nvmlDeviceGetUUID", device)
    r.code("nvmlDeviceGetUUID", code, n.SUCCESS)
    r.true("UUID: form", re.fullmatch("GPU-" + UUID, uuid), "GPU-8-4-4-4-12", uuid)
    code, found = lib.handle("nvmlDeviceGetHandleByUUID", uuid.encode())
    r.true("found by its UUID", code == 0 and found.value == device.value, "SUCCESS, the same handle", n.code_name(code))
    for name in ("nvmlDeviceGetUUID", "nvmlDeviceGetName"):
        code, text = lib.text(name, device)
        r.code(name, code, n.SUCCESS)
        r.code(f"{name} into 1 byte", lib.text(name, device, size=1)[0], n.INSUFFICIENT_SIZE)
        r.code(f"{name} into exactly enough", lib.text(name, device, size=len(text) + 1)[0], n.SUCCESS)
        r.code(f"{name} into one byte less", lib.text(name, device, size=len(text))[0], n.INSUFFICIENT_SIZE)
        r.code(f"{name} into null", lib.call(name, device, None, n.U(96)), n.INVALID_ARGUMENT)
    for name, _ in ANSWERS:
        r.code(f"{name} into null", lib.call(name, device, None), (n.INVALID_ARGUMENT, n.NOT_SUPPORTED))


def pci(lib, r, device):
    code, info = lib.filled(n.Pci, "nvmlDeviceGetPciInfo_v3", device)
    r.code("nvmlDeviceGetPciInfo_v3", code, n.SUCCESS)
    bus = f"{info.domain:08X}:{info.bus:02X}:{info.device:02X}.0"
    r.same("busId is written from its numbers", info.busId.decode(), bus, "published")
    r.same("busIdLegacy has a short domain", info.busIdLegacy.decode(), bus[4:], "published")
    for text in (info.busId, info.busIdLegacy):
        code, found = lib.handle("nvmlDeviceGetHandleByPciBusId_v2", text)
        r.true(f"found by bus id {text.decode()}", code == 0 and found.value == device.value, "SUCCESS, the same handle", n.code_name(code))
    r.same("the vendor is NVIDIA", info.pciDeviceId & 0xFFFF, 0x10DE)
    code, old = lib.filled(n.Pci, "nvmlDeviceGetPciInfo_v2", device)
    r.true("nvmlDeviceGetPciInfo_v2 says the same", code == 0 and old.busIdLegacy == info.busIdLegacy and old.bus == info.bus
           and old.pciDeviceId == info.pciDeviceId, "equal", n.code_name(code))
    return info.pciDeviceId


def memory(lib, r, device):
    code, old = lib.filled(n.Memory, "nvmlDeviceGetMemoryInfo", device)
    r.code("nvmlDeviceGetMemoryInfo", code, n.SUCCESS)
    word = n.version(n.Memory2, 2)
    code, new = lib.filled(n.Memory2, "nvmlDeviceGetMemoryInfo_v2", device, word=word)
    r.code("nvmlDeviceGetMemoryInfo_v2", code, n.SUCCESS)
    r.same("both have the same total", new.total, old.total)
    r.same("v1: used + free is all", old.used + old.free, old.total)
    r.same("v2: reserved + used + free is all", new.reserved + new.used + new.free, new.total)
    for wrong in (0, n.version(n.Memory2, 9), c.sizeof(n.Memory2)):
        r.code(f"version word {wrong:#x}", lib.filled(n.Memory2, "nvmlDeviceGetMemoryInfo_v2", device, word=wrong)[0],
               (n.VERSION_MISMATCH, n.INVALID_ARGUMENT))


def processes(lib, r, device):
    for suffix, kind in (("", n.Process1), ("_v2", n.Process), ("_v3", n.Process)):
        for which in ("Compute", "Graphics"):
            name = f"nvmlDeviceGet{which}RunningProcesses{suffix}"
            entries, count = (kind * 512)(), n.U(512)
            if not r.code(name, lib.call(name, device, c.byref(count), entries), n.SUCCESS):
                continue
            there = count.value
            r.true(f"{name}: pids", all(entries[i].pid > 0 for i in range(there)), "above 0", there)
            count = n.U(0)
            r.code(f"{name} with no room", lib.call(name, device, c.byref(count), None),
                   n.INSUFFICIENT_SIZE if there else n.SUCCESS)
            r.true(f"{name} tells the number", count.value >= there, f"at least {there}", count.value)
            r.code(f"{name} without a count", lib.call(name, device, None, entries), n.INVALID_ARGUMENT)


def run(lib, r):
    every = devices(lib)
    lookups(lib, r, len(every))
    for index, device in every:
        r.at(f"GPU {index}")
        identity(lib, r, index, device)
        pci(lib, r, device)
        memory(lib, r, device)
        processes(lib, r, device)
    r.at("all GPUs")
    for name in ("nvmlDeviceGetUUID", "nvmlDeviceGetName"):
        texts = [lib.text(name, device)[1] for _, device in every]
        if name.endswith("UUID"):
            r.same("every UUID is another", len(set(texts)), len(texts))
    minors = [lib.number("nvmlDeviceGetMinorNumber", device)[1] for _, device in every]
    r.same("every minor number is another", len(set(minors)), len(minors))
