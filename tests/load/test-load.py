"""Modelled work from outside: what a load prints agrees with the published tables, neighbours cost what was measured,
and every NVML client sees the process, its memory and its work, until it dies.

Service times are slept, not computed, and long against what waking up costs; where this machine wakes sleepers
too late for that, the comparison is skipped and says so."""
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.dont_write_bytecode = True
import sanitized  # noqa: E402 the path above

WORDS = sys.argv[1:]
BUILD = os.path.abspath(WORDS[WORDS.index("--build") + 1] if "--build" in WORDS else "build")
NAMES = [w for i, w in enumerate(WORDS) if not w.startswith("--") and (i == 0 or WORDS[i - 1] != "--build")]
EMUD, LOAD, NVML = BUILD + "/src/emud/fetta-emud", BUILD + "/src/load/fetta-load", BUILD + "/src/shim/nvml/libnvidia-ml.so.1"
FETTA = BUILD + "/src/cli/fetta"
LATE_MS = 40
NOT_SUPPORTED = 3
for name in [n for n in os.environ if n.startswith("FETTA_") or n == "CUDA_VISIBLE_DEVICES"]:
    del os.environ[name]


# NVML is loaded into this very program, which then has to begin with the sanitizers' libraries.
EXTRA = sanitized.environment(NVML)
if EXTRA and "LD_PRELOAD" not in os.environ:
    os.execve(sys.executable, [sys.executable, "-B", __file__, *WORDS], {**os.environ, **EXTRA})
CLEAN = {k: v.replace(":detect_leaks=0", "") for k, v in os.environ.items() if k != "LD_PRELOAD"}


class Skip(Exception):
    pass


def check(good, *what):
    if not good:
        raise AssertionError(" ".join(map(str, what)))


def until(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, "never came:", what)
        time.sleep(0.02)


class Process(ctypes.Structure):
    _fields_ = [("pid", ctypes.c_uint), ("bytes", ctypes.c_ulonglong), ("gi", ctypes.c_uint), ("ci", ctypes.c_uint)]


class Share(ctypes.Structure):
    _fields_ = [("pid", ctypes.c_uint), ("when", ctypes.c_ulonglong), ("sm", ctypes.c_uint), ("memory", ctypes.c_uint), ("enc", ctypes.c_uint),
                ("dec", ctypes.c_uint)]


class Rates(ctypes.Structure):
    _fields_ = [("gpu", ctypes.c_uint), ("memory", ctypes.c_uint)]


class Machine:
    """An emulated driver, and NVML over it."""

    def __init__(self, spec):
        self.dir = tempfile.mkdtemp(prefix="fetta-load.")
        self.socket = self.dir + "/socket"
        ready, write = os.pipe()
        self.emud = subprocess.Popen([EMUD, spec, "--socket", self.socket, "--mig", "off", "--root-uid", str(os.getuid()), "--ready-fd", str(write)],
                                     pass_fds=[write], stdin=subprocess.DEVNULL, env=CLEAN)
        os.close(write)
        check(os.read(ready, 64).startswith(b"READY"), "the emulated driver did not start")
        os.close(ready)
        self.env = {**CLEAN, "FETTA_EMU_SOCKET": self.socket}
        self.loads = []

    def __enter__(self):
        os.environ["FETTA_EMU_SOCKET"] = self.socket
        self.nvml = ctypes.CDLL(NVML)
        check(self.nvml.nvmlInit_v2() == 0, "nvmlInit")
        return self

    def __exit__(self, *_):
        self.nvml.nvmlShutdown()
        for load in self.loads:
            load.kill()
            load.wait()
            load.stdout.close()
            load.stderr.close()
        self.emud.terminate()
        self.emud.wait()
        for name in os.listdir(self.dir):
            os.unlink(self.dir + "/" + name)
        os.rmdir(self.dir)

    def gpu(self, index):
        handle = ctypes.c_void_p()
        check(self.nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle)) == 0, "handle")
        return handle

    def cut(self, index, profiles):
        """Turns MIG mode on: UUIDs of new MIG devices, by GI profile id."""
        device, made, activation = self.gpu(index), [], ctypes.c_int()
        check(self.nvml.nvmlDeviceSetMigMode(device, 1, ctypes.byref(activation)) == 0 and not activation.value, "MIG mode", activation.value)
        for profile in profiles:
            gi, ci = ctypes.c_void_p(), ctypes.c_void_p()
            check(self.nvml.nvmlDeviceCreateGpuInstance(device, profile, ctypes.byref(gi)) == 0, "GI")
            check(self.nvml.nvmlGpuInstanceCreateComputeInstance(gi, {19: 0, 14: 1, 9: 2, 0: 4}[profile], ctypes.byref(ci)) == 0, "CI")
        for i in range(len(profiles)):
            mig, text = ctypes.c_void_p(), ctypes.create_string_buffer(96)
            check(self.nvml.nvmlDeviceGetMigDeviceHandleByIndex(device, i, ctypes.byref(mig)) == 0, "MIG handle")
            check(self.nvml.nvmlDeviceGetUUID(mig, text, 96) == 0, "UUID")
            made.append(text.value.decode())
        return made

    def processes(self, index):
        n, rows = ctypes.c_uint(64), (Process * 64)()
        check(self.nvml.nvmlDeviceGetComputeRunningProcesses_v3(self.gpu(index), ctypes.byref(n), rows) == 0, "processes")
        return {rows[i].pid: rows[i] for i in range(n.value)}

    def rates(self, index):
        rates = Rates()
        status = self.nvml.nvmlDeviceGetUtilizationRates(self.gpu(index), ctypes.byref(rates))
        return status, rates.gpu

    def shares(self, index):
        """Per cent of the GPU by pid."""
        n, rows = ctypes.c_uint(64), (Share * 64)()
        check(self.nvml.nvmlDeviceGetProcessUtilization(self.gpu(index), rows, ctypes.byref(n), ctypes.c_ulonglong(0)) == 0, "process utilisation")
        return {rows[i].pid: rows[i].sm for i in range(n.value)}

    def start(self, *words, device=None, seconds=4, json_=True):
        argv = [LOAD, *map(str, words), "--for", f"{seconds}s"] + (["--device", str(device)] if device is not None else []) + (["--json"] if json_ else [])
        self.loads.append(subprocess.Popen(argv, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return self.loads[-1]

    def run(self, *words, **more):
        return end(self.start(*words, **more))


def end(load, status=0):
    out, err = load.communicate(timeout=60)
    check(load.returncode == status, "ended with", load.returncode, out[-300:], err)
    return json.loads(out) if out.startswith("{") else out + err


def in_time(*reports):
    late = max(r["late_ms"] for r in reports)
    if late > LATE_MS:
        raise Skip(f"this machine woke a sleeper {late:.0f} ms late")


def near(got, want, part=0.03):
    return abs(got - want) <= want * part


def a_load_alone_takes_what_was_measured():
    with Machine("4xa100-80") as m:
        one, = m.cut(3, [19])
        loads = [m.start("--model", "yolos-small", device=0), m.start("--model", "yolos-small", device=one),
                 m.start("--model", "bert", "--batch", 32, device=1), m.start("--model", "qwen3-8b-decode", device=2)]
        whole, slice_, bert, decode = map(end, loads)
    in_time(whole, slice_, bert, decode)
    for report, ms, per_second in ((whole, 88.2, 1 / 0.0882), (slice_, 342, 1 / 0.342)):
        check(report["modelled"] is True and "nos" in report["sources"], report)
        check(near(report["latency_ms"]["p50"], ms) and near(report["throughput"], per_second), ms, report)
        check(report["service"]["basis"] == "measured" and report["neighbours"]["factor"] == 1, report)
    check(slice_["device"]["profile"] == "1g.10gb" and slice_["device"]["uuid"] == one, slice_)
    # The whole GPU was not measured, 7g was: between the two lies 2 % of SMs and nothing of memory.
    check(bert["service"]["basis"] == "predicted" and near(bert["latency_ms"]["p50"], 123.3, 0.06), bert)
    check(decode["service"]["basis"] == "predicted" and decode["latency_ms"]["p50"] < 20, decode)


def seven_slices_lose_less_than_seven_taking_turns():
    with Machine("3xa100-80") as m:
        slices = m.cut(2, [19] * 7)
        parted = [m.start("--model", "yolos-small", device=uuid, seconds=7) for uuid in slices]
        turns = [m.start("--model", "yolos-small", device=0, seconds=7) for _ in range(7)]
        mps = [m.start("--model", "yolos-small", "--sharing", "mps", device=1, seconds=7) for _ in range(7)]
        parted, turns, mps = ([end(load) for load in loads] for loads in (parted, turns, mps))
    in_time(*parted, *turns, *mps)
    for reports, ms in ((parted, 344), (turns, 685), (mps, 320)):
        for r in reports:
            check(r["neighbours"]["most"] == 6, r["neighbours"])
            # The first and the last batch see fewer neighbours than seven.
            check(near(r["latency_ms"]["p50"], ms, 0.05), ms, r["latency_ms"])
    lost = [max(r["neighbours"]["factor"] for r in reports) for reports in (parted, turns, mps)]
    check(lost[0] < 1.02 < 2 < lost[2] < lost[1], lost)
    total = [sum(r["throughput"] for r in reports) for reports in (parted, turns, mps)]
    check(near(total[0], 7 / 0.344, 0.05) and near(total[1], 7 / 0.685, 0.1) and total[2] > total[0], total)


def a_neighbour_that_waits_or_dies_costs_nothing():
    with Machine("1xa100-80") as m:
        idle = m.start("--model", "yolos-small", "--rate", "0.01/s", "--seed", 1, device=0, seconds=20)
        until(lambda: idle.pid in m.processes(0), "the idle neighbour")
        calm = m.run("--model", "yolos-small", device=0, seconds=2)
        in_time(calm)
        check(calm["neighbours"]["most"] == 1 and calm["neighbours"]["factor"] == 1, calm["neighbours"])
        busy = m.start("--model", "yolos-small", device=0, seconds=20)
        until(lambda: busy.pid in m.processes(0), "the busy neighbour")
        load = m.start("--model", "yolos-small", device=0, seconds=4)
        time.sleep(1.5)
        busy.kill()
        report = end(load)
        in_time(report)
        check(1.05 < report["neighbours"]["factor"] < 2, report["neighbours"])
        check(report["latency_ms"]["max"] > 150 and near(report["latency_ms"]["p50"], 88.2), report["latency_ms"])


def every_client_sees_it_until_it_dies():
    with Machine("3xa100-80") as m:
        _, two = m.cut(2, [19, 14])
        load = m.start("--model", "bert", "--memory", "4G", device=two, seconds=30)
        whole = m.start("--model", "yolos-small", "--memory", "2G", device=0, seconds=30)
        until(lambda: load.pid in m.processes(2) and whole.pid in m.processes(0), "both in the lists")
        mine = m.processes(2)[load.pid]
        check(mine.bytes == 4 << 30 and mine.gi != 0xffffffff and mine.ci == 0, mine.gi, mine.ci, mine.bytes)
        check(m.processes(0)[whole.pid].gi == 0xffffffff, "a whole GPU has no GI")
        check(m.rates(2)[0] == NOT_SUPPORTED, "a GPU in MIG mode has no utilisation")
        until(lambda: m.rates(0)[1] >= 98, "a busy GPU")
        check(m.rates(1) == (0, 0), "the other GPU is idle", m.rates(1))
        check(m.shares(0).get(whole.pid, 0) >= 98, "the share of the process", m.shares(0))
        for killed, signal_ in ((load, signal.SIGKILL), (whole, signal.SIGSEGV)):
            killed.send_signal(signal_)
            killed.wait()
        until(lambda: not m.processes(2) and not m.processes(0), "both gone")
        until(lambda: m.rates(0)[1] == 0, "an idle GPU")


def memory_beyond_the_slice_is_refused_to_that_process_alone():
    with Machine("1xa100-80") as m:
        one, = m.cut(0, [19])
        neighbour = m.start("--model", "yolos-small", "--memory", "6G", device=one, seconds=3)
        until(lambda: neighbour.pid in m.processes(0), "the neighbour")
        much = end(m.start("--model", "bert", "--memory", "12G", device=one, json_=False), 1)
        check("9.5 GiB of memory, not 12.0" in much, much)
        taken = end(m.start("--model", "bert", "--memory", "4G", device=one, json_=False), 75)
        check("3.5 GiB of memory free, not 4.0" in taken, taken)
        check(end(neighbour)["served"] > 0, "the neighbour was harmed")


def arrivals_follow_the_seed_and_the_queue_has_an_end():
    with Machine("3xa100-80") as m:
        seeded = [m.start("--model", "mlperf-bert", "--rate", "100/s", "--seed", 7, device=i) for i in (0, 1)]
        full = m.start("--model", "yolos-small", "--rate", "100/s", "--queue", 5, "--seed", 7, device=2)
        first, second, full = map(end, [*seeded, full])
    check(first["offered"] == second["offered"] == full["offered"], first["offered"], second["offered"], full["offered"])
    # 400 of a Poisson process: five deviations are 100.
    check(300 < first["offered"] < 500, first["offered"])
    check(first["refused"] == 0 and first["served"] + first["unfinished"] == first["offered"], first)
    check(full["refused"] > 200 and full["queue_max"] == 5, full)
    check(full["served"] + full["unfinished"] + full["refused"] == full["offered"], full)
    check(full["wait_ms"]["p50"] > 3 * 88, full["wait_ms"])


def batches_form_from_what_waits():
    with Machine("1xa100-80") as m:
        one, = m.cut(0, [19])
        alone = m.start("--model", "bert", "--batch", 8, "--rate", "60/s", "--seed", 3, device=one, seconds=5)
        report = end(alone)
    in_time(report)
    # 60 texts/s are more than one by one can do (74/s at 13 ms would do; batches of 8 do 102/s).
    check(report["refused"] == 0 and near(report["throughput"], 60, 0.25), report["throughput"])
    check(report["latency_ms"]["p99"] < 400, report["latency_ms"])


def wrong_words_are_answered():
    with Machine("1xa100-80") as m:
        m.cut(0, [19])
        for words, status, text in ((["--model", "bret"], 1, "is 'bert' meant"), ([], 2, "which --model?"),
                                    (["--model", "bert", "--rate", "fast"], 2, "such as 60/s"), (["--model", "bert", "--batch", "0"], 2, "above 0"),
                                    (["--service-ms", "5"], 2, "belong together"), (["--service-ms", "5", "--slice", "9g"], 2, "has no '9g'"),
                                    (["--model", "bert", "--device", "7"], 1, "no device '7'"), (["--model", "bert"], 1, "is in MIG mode")):
            check(text in end(m.start(*words, json_=False, seconds=1), status), words, text)
        for words in (["--list"], ["--help"]):
            check("parvagpu" in end(m.start(*words, json_=False)) or words == ["--help"], words)
        del m.env["FETTA_EMU_SOCKET"]
        check("no emulated machine here" in end(m.start("--model", "bert", json_=False), 1), "no machine")


def a_measurement_of_ones_own_is_used_and_carried_over():
    with Machine("2xa100-80") as m:
        one, = m.cut(1, [19])
        loads = [m.start("--service-ms", 50, "--slice", "whole", device=0), m.start("--service-ms", 50, "--slice", "whole", device=one)]
        whole, slice_ = map(end, loads)
    in_time(whole, slice_)
    check(whole["service"]["basis"] == "own" and near(whole["latency_ms"]["p50"], 50), whole)
    # 14 of 108 SMs and an eighth of the bandwidth: the geometric mean is 0.1273.
    check(slice_["service"]["basis"] == "predicted" and near(slice_["latency_ms"]["p50"], 50 / 0.1273), slice_)


def an_exclusive_gpu_is_shared_under_mps_alone():
    exclusive, prohibited = 3, 2
    with Machine("1xa100-80") as m:
        check(m.nvml.nvmlDeviceSetComputeMode(m.gpu(0), exclusive) == 0, "compute mode")
        first = m.start("--model", "yolos-small", device=0, seconds=20)
        until(lambda: first.pid in m.processes(0), "the first")
        time.sleep(0.3)
        turn = end(m.start("--model", "yolos-small", "--sharing", "timeslice", device=0, json_=False), 1)
        check("is exclusive and somebody is there" in turn, turn)
        beside = m.run("--model", "yolos-small", device=0, seconds=2)
        check(beside["sharing"] == "mps" and 1.3 < beside["neighbours"]["factor"] < 1.6, beside)
        check(m.nvml.nvmlDeviceSetComputeMode(m.gpu(0), prohibited) == 0, "compute mode")
        check("prohibits all work" in end(m.start("--model", "bert", device=0, json_=False), 1), "prohibited")


def it_ends_when_told_and_when_the_driver_goes():
    with Machine("1xa100-80") as m:
        told = m.start("--model", "yolos-small", device=0, seconds=60)
        until(lambda: told.pid in m.processes(0), "the load")
        time.sleep(0.5)
        told.terminate()
        report = end(told, 128 + signal.SIGTERM)
        check(report["served"] > 0, "the report comes all the same")
        left = m.start("--model", "yolos-small", device=0, seconds=60)
        until(lambda: left.pid in m.processes(0), "the load")
        m.emud.kill()
        out, err = left.communicate(timeout=20)
        check(left.returncode == 1 and "driver went away" in err, out, err)


def in_a_lease_it_takes_the_slice_of_the_lease():
    done = subprocess.run([FETTA, "emulate", "1xa100-80", "--", FETTA, "run", "-s", "2g.20gb", "--", FETTA, "emulate", "load", "--model", "yolos-small",
                           "--for", "1s", "--json"], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False, env=CLEAN)
    check(done.returncode == 0, done.stdout, done.stderr)
    report = json.loads(done.stdout)
    check(report["device"]["profile"] == "2g.20gb" and report["service"]["basis"] == "predicted", report)


def every_line_says_modelled_and_whose_figures():
    with Machine("1xa100-80") as m:
        lines = end(m.start("--model", "yolos-small", device=0, seconds=1, json_=False)).splitlines()
    check(len(lines) > 4 and all(line.startswith("modelled [nos]") for line in lines), lines)


TESTS = [f for f in list(globals().values()) if callable(f) and getattr(f, "__module__", "") == "__main__" and "_" in f.__name__ and f.__name__ not in ("in_time",)]


def main():
    chosen = [t for t in TESTS if not NAMES or t.__name__ in NAMES]
    print(f"1..{len(chosen)}", flush=True)
    failed = 0
    for number, test in enumerate(chosen, 1):
        try:
            test()
            print(f"ok {number} - {test.__name__}", flush=True)
        except Skip as e:
            print(f"ok {number} - {test.__name__} # SKIP {e}", flush=True)
        except (AssertionError, subprocess.TimeoutExpired, ValueError, OSError) as e:
            failed += 1
            print(f"not ok {number} - {test.__name__}\n# {str(e)[:1500]}".replace("\n", "\n# ").replace("# #", "#"), flush=True)
    return failed > 0


sys.exit(main())
