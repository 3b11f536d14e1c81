"""Any libnvidia-ml, through ctypes and its public ABI alone: codes, layouts, calls.

Layouts are written down here once more, from NVIDIA's public documentation, so that the suite does not agree with the
emulator by sharing its declarations. Without `writes` nothing that could change a GPU can be called: a name that does not
plainly ask is refused here, before the library hears of it."""
import ctypes as c
import re

SUCCESS, UNINITIALIZED, INVALID_ARGUMENT, NOT_SUPPORTED, NO_PERMISSION = 0, 1, 2, 3, 4
NOT_FOUND, INSUFFICIENT_SIZE, TIMEOUT, FUNCTION_NOT_FOUND, RESET_REQUIRED = 6, 7, 10, 13, 16
IN_USE, INSUFFICIENT_RESOURCES, VERSION_MISMATCH, UNKNOWN = 19, 23, 25, 999
NAMES = {0: "SUCCESS", 1: "UNINITIALIZED", 2: "INVALID_ARGUMENT", 3: "NOT_SUPPORTED", 4: "NO_PERMISSION", 6: "NOT_FOUND",
         7: "INSUFFICIENT_SIZE", 9: "DRIVER_NOT_LOADED", 10: "TIMEOUT", 13: "FUNCTION_NOT_FOUND", 15: "GPU_IS_LOST",
         16: "RESET_REQUIRED", 19: "IN_USE", 20: "MEMORY", 23: "INSUFFICIENT_RESOURCES", 25: "ARGUMENT_VERSION_MISMATCH",
         29: "INVALID_STATE", 999: "UNKNOWN"}
ASKS = re.compile(r"nvml(Init|Shutdown|ErrorString|SystemGet|DeviceGet|DeviceIs|GpuInstanceGet|ComputeInstanceGet|"
                  r"EventSet(Create|Free|Wait)|DeviceRegisterEvents)")


def struct(name, *fields):
    return type(name, (c.Structure,), {"_fields_": [(f, t) for t, names in fields for f in names.split()]})


U, U64, PTR = c.c_uint, c.c_ulonglong, c.c_void_p
Pci = struct("Pci", (c.c_char * 16, "busIdLegacy"), (U, "domain bus device pciDeviceId pciSubSystemId"), (c.c_char * 32, "busId"))
Memory = struct("Memory", (U64, "total free used"))
Memory2 = struct("Memory2", (U, "version"), (U64, "total reserved free used"))
Utilization = struct("Utilization", (U, "gpu memory"))
Placement = struct("Placement", (U, "start size"))
ENGINES = "multiprocessorCount copyEngineCount decoderCount encoderCount jpegCount ofaCount"
SHARED = "sharedCopyEngineCount sharedDecoderCount sharedEncoderCount sharedJpegCount sharedOfaCount"
GiProfile = struct("GiProfile", (U, "id isP2pSupported sliceCount instanceCount " + ENGINES), (U64, "memorySizeMB"))
GiProfile2 = struct("GiProfile2", (U, "version id isP2pSupported sliceCount instanceCount " + ENGINES), (U64, "memorySizeMB"),
                    (c.c_char * 96, "name"))
GiProfile3 = struct("GiProfile3", (U, "version id sliceCount instanceCount " + ENGINES), (U64, "memorySizeMB"),
                    (c.c_char * 96, "name"), (U, "capabilities"))
GiInfo = struct("GiInfo", (PTR, "device"), (U, "id profileId"), (Placement, "placement"))
CiProfile = struct("CiProfile", (U, "id sliceCount instanceCount multiprocessorCount " + SHARED))
CiProfile2 = struct("CiProfile2", (U, "version id sliceCount instanceCount multiprocessorCount " + SHARED), (c.c_char * 96, "name"))
CiInfo = struct("CiInfo", (PTR, "device gpuInstance"), (U, "id profileId"), (Placement, "placement"))
Attributes = struct("Attributes", (U, "multiprocessorCount " + SHARED + " gpuInstanceSliceCount computeInstanceSliceCount"),
                    (U64, "memorySizeMB"))
Process1 = struct("Process1", (U, "pid"), (U64, "usedGpuMemory"))
Process = struct("Process", (U, "pid"), (U64, "usedGpuMemory"), (U, "gpuInstanceId computeInstanceId"))
Event = struct("Event", (PTR, "device"), (U64, "eventType eventData"), (U, "gpuInstanceId computeInstanceId"))


def version(kind, number):
    """The word in front of a layout that says which one it is."""
    return c.sizeof(kind) | number << 24


class Refused(Exception):
    """The suite tried to change what it may only look at."""


class Library:
    """One loaded library; `call` returns the code, FUNCTION_NOT_FOUND where the name is absent."""

    def __init__(self, path, writes):
        self.path, self.writes = path, writes
        self.lib = c.CDLL(path)

    def has(self, name):
        return hasattr(self.lib, name)

    def call(self, name, *arguments):
        if not self.writes and not ASKS.match(name):
            raise Refused(name)
        if not self.has(name):
            return FUNCTION_NOT_FOUND
        function = getattr(self.lib, name)
        function.restype = c.c_int
        return function(*[c.c_void_p(a) if a is None else a for a in arguments])

    def text(self, name, *arguments, size=96):
        """(code, text) of a call that ends in a buffer and its size."""
        buffer = c.create_string_buffer(size)
        code = self.call(name, *arguments, buffer, U(size))
        return code, buffer.value.decode(errors="replace")

    def number(self, name, *arguments, kind=U):
        """(code, value) of a call that ends in a number."""
        value = kind()
        code = self.call(name, *arguments, c.byref(value))
        return code, value.value

    def filled(self, kind, name, *arguments, word=None):
        """(code, struct) of a call that ends in a struct; `word` is its version."""
        value = kind()
        if word is not None:
            value.version = word
        return self.call(name, *arguments, c.byref(value)), value

    def handle(self, name, *arguments):
        """(code, handle) of a call that ends in a handle."""
        value = PTR()
        code = self.call(name, *arguments, c.byref(value))
        return code, value

    def error_text(self, code):
        function = self.lib.nvmlErrorString
        function.restype = c.c_char_p
        return function(c.c_int(code)).decode()


def code_name(code):
    return NAMES.get(code, str(code))
