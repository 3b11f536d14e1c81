"""Calls every function that pynvml knows, on each GPU and each MIG device, as `walk.py` in a process of its own.

Arguments are made from the names of the parameters. Prints per function what came of it, and fails where a call ended in
anything but an answer or a return code that NVML documents. What switches modes or destroys comes last."""
import inspect
import json
import sys

import pynvml as p

KNOWN = {v for k, v in vars(p).items() if k.startswith("NVML_ERROR_") and isinstance(v, int)}
LATE = ("Set", "Reset", "Clear", "Destroy", "Remove", "Modify", "Discover", "Freeze", "Register")
# Not NVML: pynvml's own helpers, and what ends or blocks the walk.
OURS = {"nvmlInit", "nvmlInitWithFlags", "nvmlShutdown", "nvmlEventSetWait", "nvmlEventSetWait_v2", "nvmlEventSetCreate", "nvmlEventSetFree",
        "nvmlErrorString", "nvmlStructToFriendlyObject", "nvmlFriendlyObjectToStruct", "nvmlExceptionClass"}


def handles():
    """{what it is: handle} of everything there is."""
    found = {}
    for i in range(p.nvmlDeviceGetCount()):
        gpu = found[f"gpu{i}"] = p.nvmlDeviceGetHandleByIndex(i)
        for k in range(p.nvmlDeviceGetMaxMigDeviceCount(gpu)):
            try:
                found[f"gpu{i}mig{k}"] = p.nvmlDeviceGetMigDeviceHandleByIndex(gpu, k)
            except p.NVMLError as e:
                if e.value != p.NVML_ERROR_NOT_FOUND:
                    raise
    return found


def argument(name, device, gi, ci):
    low = name.lower()
    if "computeinstance" in low and "id" not in low and "profile" not in low:
        return ci
    if "gpuinstance" in low and "id" not in low and "profile" not in low:
        return gi
    if low in ("handle", "device", "device1", "device2", "migdevice", "migdevicehandle"):
        return device
    if "uuid" in low:
        return p.nvmlDeviceGetUUID(device)
    if "busid" in low:
        return p.nvmlDeviceGetPciInfo(device).busId
    if "serial" in low:
        return b"0"
    return 0


def instances():
    """A GPU instance and a compute instance for functions that want one; None each where there is none."""
    try:
        gpu = p.nvmlDeviceGetHandleByIndex(0)
        mig = p.nvmlDeviceGetMigDeviceHandleByIndex(gpu, 0)
        gi = p.nvmlDeviceGetGpuInstanceById(gpu, p.nvmlDeviceGetGpuInstanceId(mig))
        return gi, p.nvmlGpuInstanceGetComputeInstanceById(gi, p.nvmlDeviceGetComputeInstanceId(mig))
    except p.NVMLError:
        return None, None


def main():
    p.nvmlInit()
    gi, ci = instances()
    names = [n for n, f in vars(p).items() if n.startswith("nvml") and inspect.isfunction(f) and n not in OURS]
    names.sort(key=lambda n: (any(w in n for w in LATE), "MigMode" in n, n))
    codes, python, wrong, absent = {}, [], [], set()
    for name in names:
        function = getattr(p, name)
        wanted = [q.name for q in inspect.signature(function).parameters.values() if q.default is q.empty and q.kind == q.POSITIONAL_OR_KEYWORD]
        for what, device in handles().items():
            try:
                function(*[argument(w, device, gi, ci) for w in wanted])
                code = 0
            except p.NVMLError as e:
                code = e.value
            except Exception as e:  # pynvml wanted another argument than the name of its parameter says
                python.append(f"{name}: {type(e).__name__}")
                break
            codes[code] = codes.get(code, 0) + 1
            if code == p.NVML_ERROR_FUNCTION_NOT_FOUND:
                absent.add(name)
            elif code and (code not in KNOWN or code in (p.NVML_ERROR_UNINITIALIZED, p.NVML_ERROR_UNKNOWN)):
                wrong.append(f"{name} on {what}: {code}")
            if not wanted:
                break
    p.nvmlShutdown()
    print(json.dumps({"functions": len(names), "codes": codes, "python": sorted(set(python)), "wrong": wrong, "absent": sorted(absent)}))
    return 1 if wrong else 0


sys.exit(main())
