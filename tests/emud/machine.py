"""A fetta-emud of one's own and NVML through ctypes, in children of the test: what a program sees."""
import ctypes
import os
import subprocess
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [TESTS, TESTS + "/daemon"]
import sanitized  # noqa: E402
from rig import FETTA, NVML, House, in_child, same  # noqa: E402

# The library is loaded into this very program, so what it was built with must have come first.
if (more := sanitized.environment(NVML)) and "LD_PRELOAD" not in os.environ:
    os.execve(sys.executable, [sys.executable, "-B", *sys.argv], {**os.environ, **more})


class Machine(House):
    """An emulated driver without a fettad; `plan` is YAML."""

    def __init__(self, machine="2xa100-80", plan=None, emud=(), fettad=False, **more):
        self.plan, self.first = plan, True
        super().__init__(machine, emud=list(emud), fettad=fettad, **more)
        if plan:
            self.fault(plan)

    def start_emud(self):
        self.kmsg = self.dir + "/kmsg"
        self.env["FETTA_EMU_KMSG"] = self.kmsg
        if self.first:
            self.emud_options += ["--kmsg", self.kmsg]
        self.first = False
        super().start_emud()

    def fetta(self, *words):
        done = subprocess.run([FETTA, "emulate", *words], env=self.env, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    def fault(self, plan):
        path = self.dir + "/plan.yaml"
        with open(path, "w", encoding="utf-8") as f:
            f.write(plan)
        status, said = self.fetta("fault", path)
        same((status, said), (0, ""))

    def rules(self):
        """(matched, hit, state) of each rule."""
        status, said = self.fetta("fault", "list")
        same(status, 0, said)
        return [tuple(line.split()[-3:]) for line in said.splitlines()[1:]]

    def kernel_log(self):
        with open(self.kmsg, encoding="utf-8") as f:
            return f.read()

    def nvml(self, work, *args, **kw):
        """work(n, *args) in a child with NVML loaded (not yet initialised)."""
        def body():
            os.environ.update(self.env)
            return work(Nvml(), *args)
        return in_child(body, **kw)


class Event(ctypes.Structure):
    _fields_ = [("device", ctypes.c_void_p), ("type", ctypes.c_ulonglong), ("data", ctypes.c_ulonglong),
                ("gi", ctypes.c_uint), ("ci", ctypes.c_uint)]


class Nvml:
    def __init__(self):
        self.so = ctypes.CDLL(NVML)

    def call(self, name, *args):
        return getattr(self.so, name)(*args)

    def init(self):
        return self.call("nvmlInit_v2")

    def gpu(self, index):
        h = ctypes.c_void_p()
        same(self.call("nvmlDeviceGetHandleByIndex_v2", index, ctypes.byref(h)), 0, f"handle of GPU {index}")
        return h

    def number(self, name, *args):
        """(status, value) of a call whose last parameter is a number that is written."""
        value = ctypes.c_uint(4242)
        return self.call(name, *args, ctypes.byref(value)), value.value

    def handle(self, name, *args):
        h = ctypes.c_void_p()
        return self.call(name, *args, ctypes.byref(h)), h

    def count(self):
        return self.number("nvmlDeviceGetCount_v2")[0]

    def slice(self, gpu, profile=19):
        status, gi = self.handle("nvmlDeviceCreateGpuInstance", gpu, profile)
        same(status, 0, "GI")
        status, ci = self.handle("nvmlGpuInstanceCreateComputeInstance", gi, 0)
        same(status, 0, "CI")
        return gi, ci
