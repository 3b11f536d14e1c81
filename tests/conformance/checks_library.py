"""Before, during and after nvmlInit, and what belongs to no device."""
import ctypes as c
import os
import re

import nvml as n

# Names of one function over the years: a client built long ago calls the old ones.
HISTORY = """nvmlInit nvmlInit_v2 nvmlInitWithFlags nvmlDeviceGetCount nvmlDeviceGetCount_v2 nvmlDeviceGetHandleByIndex
nvmlDeviceGetHandleByIndex_v2 nvmlDeviceGetHandleByPciBusId nvmlDeviceGetHandleByPciBusId_v2 nvmlDeviceGetPciInfo
nvmlDeviceGetPciInfo_v2 nvmlDeviceGetPciInfo_v3 nvmlDeviceGetMemoryInfo nvmlDeviceGetMemoryInfo_v2
nvmlDeviceGetComputeRunningProcesses nvmlDeviceGetComputeRunningProcesses_v2 nvmlDeviceGetComputeRunningProcesses_v3
nvmlDeviceGetGraphicsRunningProcesses nvmlDeviceGetGraphicsRunningProcesses_v2 nvmlDeviceGetGraphicsRunningProcesses_v3
nvmlDeviceGetAttributes nvmlDeviceGetAttributes_v2 nvmlDeviceGetGpuInstancePossiblePlacements
nvmlDeviceGetGpuInstancePossiblePlacements_v2 nvmlDeviceGetGpuInstanceProfileInfo nvmlDeviceGetGpuInstanceProfileInfoV
nvmlGpuInstanceGetComputeInstanceProfileInfo nvmlGpuInstanceGetComputeInstanceProfileInfoV nvmlComputeInstanceGetInfo
nvmlComputeInstanceGetInfo_v2 nvmlEventSetWait nvmlEventSetWait_v2""".split()
TEXTS = {0: "Success", 1: "Uninitialized", 2: "Invalid Argument", 3: "Not Supported", 4: "Insufficient Permissions",
         6: "Not Found", 7: "Insufficient Size", 9: "Driver Not Loaded", 10: "Timeout", 13: "Function Not Found",
         19: "In use by another client", 23: "Insufficient Resources", 999: "Unknown Error"}


def before(lib, r):
    r.at("before init")
    r.code("nvmlShutdown", lib.call("nvmlShutdown"), n.UNINITIALIZED)
    r.code("nvmlDeviceGetCount_v2", lib.number("nvmlDeviceGetCount_v2")[0], n.UNINITIALIZED)
    r.code("nvmlSystemGetDriverVersion", lib.text("nvmlSystemGetDriverVersion")[0], n.UNINITIALIZED)
    r.code("nvmlDeviceGetHandleByIndex_v2", lib.handle("nvmlDeviceGetHandleByIndex_v2", n.U(0))[0], n.UNINITIALIZED)
    r.code("nvmlEventSetCreate", lib.handle("nvmlEventSetCreate")[0], n.UNINITIALIZED)
    for code, text in TEXTS.items():
        r.same(f"nvmlErrorString({code})", lib.error_text(code), text, "published")
    for name in HISTORY:
        r.same(f"{name} is exported", lib.has(name), True, "published")


def counted(lib, r):
    r.at("init")
    for name, arguments in (("nvmlInit_v2", ()), ("nvmlInit", ()), ("nvmlInitWithFlags", (n.U(0),))):
        if not r.code(name, lib.call(name, *arguments), n.SUCCESS):
            return False
    for left in (2, 1):
        r.code(f"nvmlShutdown leaves {left} users", lib.call("nvmlShutdown"), n.SUCCESS)
        r.code(f"alive with {left} users", lib.number("nvmlDeviceGetCount_v2")[0], n.SUCCESS)
    r.code("the last nvmlShutdown", lib.call("nvmlShutdown"), n.SUCCESS)
    r.code("dead after it", lib.number("nvmlDeviceGetCount_v2")[0], n.UNINITIALIZED)
    return r.code("nvmlInit_v2 again", lib.call("nvmlInit_v2"), n.SUCCESS)


def texts(lib, r):
    """Calls that end in a buffer: whole, short, of no length, null."""
    for name, form in (("nvmlSystemGetDriverVersion", r"\d{3}\.\d+(\.\d+)?"), ("nvmlSystemGetNVMLVersion", r"\d+\.\d{3}\.\d+(\.\d+)?")):
        code, text = lib.text(name)
        r.code(name, code, n.SUCCESS)
        r.true(f"{name}: form", re.fullmatch(form, text), form, text, "published")
        r.code(f"{name} into 2 bytes", lib.text(name, size=2)[0], n.INSUFFICIENT_SIZE)
        r.code(f"{name} into null", lib.call(name, None, n.U(80)), n.INVALID_ARGUMENT)
        buffer = c.create_string_buffer(len(text) + 1)
        r.code(f"{name} into exactly enough", lib.call(name, buffer, n.U(len(text) + 1)), n.SUCCESS)
        r.code(f"{name} into one byte less", lib.call(name, buffer, n.U(len(text))), n.INSUFFICIENT_SIZE)


def run(lib, r):
    """False when the library cannot even be initialised."""
    before(lib, r)
    if not counted(lib, r):
        return False
    r.at("system")
    texts(lib, r)
    code, cuda = lib.number("nvmlSystemGetCudaDriverVersion_v2", kind=c.c_int)
    r.code("nvmlSystemGetCudaDriverVersion_v2", code, n.SUCCESS)
    r.true("CUDA version is 1000 major + 10 minor", 10000 <= cuda < 20000 and cuda % 10 == 0, "10000..19990", cuda)
    r.same("nvmlSystemGetCudaDriverVersion says the same", lib.number("nvmlSystemGetCudaDriverVersion", kind=c.c_int), (0, cuda))
    r.code("nvmlSystemGetCudaDriverVersion_v2(null)", lib.call("nvmlSystemGetCudaDriverVersion_v2", None), n.INVALID_ARGUMENT)
    r.code("nvmlDeviceGetCount_v2(null)", lib.call("nvmlDeviceGetCount_v2", None), n.INVALID_ARGUMENT)
    r.same("nvmlDeviceGetCount says the same", lib.number("nvmlDeviceGetCount"), lib.number("nvmlDeviceGetCount_v2"))
    name = "nvmlSystemGetProcessName"
    code, text = lib.text(name, n.U(os.getpid()), size=4096)
    r.code(name, code, n.SUCCESS)
    r.true(f"{name}: not empty", len(text) > 0, "some text", repr(text))
    r.code(f"{name} into null", lib.call(name, n.U(os.getpid()), None, n.U(64)), n.INVALID_ARGUMENT)
    r.code(f"{name} into nothing", lib.text(name, n.U(os.getpid()), size=0)[0], n.INVALID_ARGUMENT)
    r.code(f"{name} of nobody", lib.text(name, n.U(0x7FFFFFF0))[0], n.NOT_FOUND)
    events(lib, r)
    return True


def events(lib, r):
    r.at("events")
    code, events_ = lib.handle("nvmlEventSetCreate")
    r.code("nvmlEventSetCreate", code, n.SUCCESS)
    r.code("nvmlEventSetCreate(null)", lib.call("nvmlEventSetCreate", None), n.INVALID_ARGUMENT)
    count = lib.number("nvmlDeviceGetCount_v2")[1]
    device = lib.handle("nvmlDeviceGetHandleByIndex_v2", n.U(0))[1] if count else None
    if device:
        code, types = lib.number("nvmlDeviceGetSupportedEventTypes", device, kind=n.U64)
        r.code("nvmlDeviceGetSupportedEventTypes", code, n.SUCCESS)
        r.code("of null", lib.number("nvmlDeviceGetSupportedEventTypes", None, kind=n.U64)[0], n.INVALID_ARGUMENT)
        r.code("register what is supported", lib.call("nvmlDeviceRegisterEvents", device, n.U64(types), events_), n.SUCCESS)
        r.code("register on a null set", lib.call("nvmlDeviceRegisterEvents", device, n.U64(types), None), n.INVALID_ARGUMENT)
        r.code("register an unknown type", lib.call("nvmlDeviceRegisterEvents", device, n.U64(1 << 62), events_),
               (n.INVALID_ARGUMENT, n.NOT_SUPPORTED))
    event = n.Event()
    r.code("nothing happens: nvmlEventSetWait_v2", lib.call("nvmlEventSetWait_v2", events_, c.byref(event), n.U(30)), n.TIMEOUT)
    r.code("nvmlEventSetWait_v2 into null", lib.call("nvmlEventSetWait_v2", events_, None, n.U(0)), n.INVALID_ARGUMENT)
    r.code("nvmlEventSetFree", lib.call("nvmlEventSetFree", events_), n.SUCCESS)
