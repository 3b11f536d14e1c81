"""Fault plans, clocks and latencies, end to end: a plan in YAML, and programs that feel it."""
import ctypes
import os
import time

from machine import Event, Machine
from rig import Job, check, has, main, same, test, until

IN_USE, NOT_LOADED, LOST, NO_ROOM, UNKNOWN, NOT_FOUND = 19, 9, 15, 23, 999, 6
CREATE, GI_DESTROY = "nvmlDeviceCreateGpuInstance", "nvmlGpuInstanceDestroy"


def one(match, when, effect, head=""):
    return f"{head}rules:\n  - match: {{{match}}}\n    when: {{{when}}}\n    effect: {{{effect}}}\n"


def ready(n):
    same(n.init(), 0, "nvmlInit")
    return n


def minors(n, times=8):
    d = ready(n).gpu(0)
    return [n.number("nvmlDeviceGetMinorNumber", d)[0] for _ in range(times)]


@test
def codes_when_and_whom():
    with Machine(plan=one("call: nvmlDeviceGetMinorNumber, gpu: 0", "nth: 3, every: 2, times: 2", "fail: IN_USE")) as m:
        same(m.nvml(minors), [0, 0, IN_USE, 0, IN_USE, 0, 0, 0])
        same(m.rules(), [("5", "2", "spent")])
        m.fault(one(f"call: nvmlDeviceGetMinor*, uid: {os.getuid() + 1}", "", "fail: IN_USE"))
        same(m.nvml(minors, 1 + 1), [0, 0])
        m.fault(one("call: nvmlDeviceGetMinor*, process: 'python*'", "", "fail: NVML_ERROR_UNKNOWN"))
        same(m.nvml(minors, 2), [UNKNOWN, UNKNOWN])
        m.fault(one("call: nvmlDeviceGetMinor*, gpu: 1", "", "fail: UNKNOWN"))
        same(m.nvml(minors, 2), [0, 0])
        m.fault(one("call: nvmlInit_v2", "times: 1", "fail: UNKNOWN"))
        same(m.nvml(lambda n: [n.init(), n.init()]), [UNKNOWN, 0])


@test
def the_same_seed_the_same_run():
    plan = one("call: nvmlDeviceGetMinorNumber", "probability: 0.5", "fail: IN_USE", "seed: SEED\n")
    runs = []
    for seed in (5, 5, 6):
        with Machine(plan=plan.replace("SEED", str(seed))) as m:
            runs.append(m.nvml(minors, 64))
    same(runs[0], runs[1])
    check(runs[0] != runs[2], "another seed made the same run")
    check(0 < runs[0].count(IN_USE) < 64, runs[0])


@test
def half_done():
    def create(n):
        status, _ = n.handle(CREATE, ready(n).gpu(0), 19)
        return status
    with Machine(plan=one(f"call: {CREATE}", "times: 1", "answer: UNKNOWN")) as m:
        same(m.nvml(create), UNKNOWN)
        same(len(m.instances()), 1, "the deed was not done")

    def ci(n):
        _, gi = n.handle(CREATE, ready(n).gpu(0), 19)
        return n.handle("nvmlGpuInstanceCreateComputeInstance", gi, 0)[0]
    with Machine(plan=one("call: nvmlGpuInstanceCreateComputeInstance*", "times: 1", "fail: INSUFFICIENT_RESOURCES")) as m:
        same(m.nvml(ci), NO_ROOM)
        same(len(m.instances()), 1)


@test
def a_virtual_clock_makes_a_stall_free_and_a_real_one_does_not():
    plan = one("call: nvmlDeviceGetMinorNumber", "times: 1", "delay: DELAY")
    for clock, delay, least, most in (("virtual", "45s", 0, 20), ("x60", "12s", 0.2, 20), ("real", "200ms", 0.2, 20)):
        with Machine(plan=plan.replace("DELAY", delay), emud=["--clock", clock]) as m:
            began = time.monotonic()
            same(m.nvml(minors, 1), [0])
            spent = time.monotonic() - began
            check(least <= spent < most, f"{clock}: {spent:.3f} s")
            now = float(m.fetta("clock")[1].split()[0])
            status, said = m.fetta("clock", "advance", "1h")
            check(status == 0 and float(said.split()[0]) - now >= 3600, said)
            same(said.split()[-1], clock)


@test
def events_and_the_kernel_log_tell_xids():
    def wait(n):
        event_set = n.handle("nvmlEventSetCreate")[1] if ready(n) else None
        same(n.call("nvmlDeviceRegisterEvents", n.gpu(1), ctypes.c_ulonglong(8), event_set), 0)
        e = Event()
        with open(go, "w", encoding="ascii"):
            pass
        return [n.call("nvmlEventSetWait_v2", event_set, ctypes.byref(e), 20000), e.type, e.data, e.gi, e.ci]
    with Machine() as m:
        go = m.dir + "/go"
        pid = os.fork()
        if pid == 0:
            os._exit(0 if m.nvml(wait) == [0, 8, 94, 7, 0] else 1)
        until(lambda: os.path.exists(go), "the waiter")
        time.sleep(0.05)
        m.fault("rules: [{match: {gpu: 1, gi: 7, ci: 0}, effect: {xid: 94}}]")
        same(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0, "the event")
        has(m.kernel_log(), "NVRM: Xid (PCI:0000:0a:00 GPU-I:07 GPU-CI:00): 94, ")


@test
def a_lost_gpu_comes_back():
    def states(n):
        found = [n.number("nvmlDeviceGetMinorNumber", d)[0] for d in (ready(n).gpu(0),)]
        h = ctypes.c_void_p()
        return found + [n.call("nvmlDeviceGetHandleByIndex_v2", 1, ctypes.byref(h))]
    with Machine(plan=one("gpu: 1", "after: 10m", "lose: true, for: 5m")) as m:
        same(m.nvml(states), [0, 0])
        m.fetta("clock", "advance", "11m")
        same(m.nvml(states), [0, LOST])
        has(m.kernel_log(), "): 79, GPU has fallen off the bus")
        m.fetta("clock", "advance", "6m")
        same(m.nvml(states), [0, 0])


@test
def a_leaked_handle_keeps_a_gi_in_use_until_it_is_cleared():
    def destroy(n):
        return n.call(GI_DESTROY, n.handle("nvmlDeviceGetGpuInstanceById", ready(n).gpu(0), gi)[1])
    with Machine() as m:
        m.nvml(lambda n: n.handle(CREATE, ready(n).gpu(0), 19)[0])
        gi = next(iter(m.instances()))[1]
        m.fault(f"rules: [{{match: {{gpu: 0, gi: {gi}}}, effect: {{leak: true}}}}]")
        same([m.nvml(destroy), m.nvml(destroy)], [IN_USE, IN_USE])
        same(m.fetta("fault", "clear"), (0, ""))
        same(m.nvml(destroy), 0)


@test
def memory_errors_end_the_work_they_hit():
    with Machine() as m:
        m.nvml(lambda n: [n.slice(ready(n).gpu(0)) and 0 for _ in range(2)])
        rows = {gi: row for (gpu, gi), row in m.instances().items()}
        first, second = sorted(rows)

        def uuids(n):
            found, d = [], ready(n).gpu(0)
            for i in range(7):
                h, text, gi = ctypes.c_void_p(), ctypes.create_string_buffer(96), ctypes.c_uint()
                if n.call("nvmlDeviceGetMigDeviceHandleByIndex", d, i, ctypes.byref(h)) == 0:
                    n.call("nvmlDeviceGetUUID", h, text, 96)
                    n.call("nvmlDeviceGetGpuInstanceId", h, ctypes.byref(gi))
                    found.append([gi.value, text.value.decode()])
            return dict(found)
        names = {int(k): v for k, v in m.nvml(uuids).items()}
        hit, spared = m.hold("hold", names[first]), m.hold("hold", names[second])
        m.fault(f"rules: [{{match: {{gpu: 0, gi: {first}}}, effect: {{ecc: contained}}}}]")
        until(lambda: hit.poll() is not None, "the end of the program that was hit")
        check(spared.poll() is None, "its neighbour ended too")
        has(m.kernel_log(), f"GPU-I:{first:02d}", "): 94, Contained")
        m.fault("rules: [{match: {gpu: 0}, effect: {ecc: uncontained}}]")
        until(lambda: spared.poll() is not None, "the end of all programs")
        has(m.kernel_log(), "): 95, Uncontained")


@test
def a_hang_lasts_until_it_is_cleared_or_its_process_dies():
    with Machine(plan=one("call: nvmlDeviceGetMinorNumber", "", "hang: true")) as m:
        pids = []
        for _ in range(2):
            pid = os.fork()
            if pid == 0:
                os._exit(0 if m.nvml(minors, 1) == [0] else 1)
            pids.append(pid)
        until(lambda: m.rules()[0][1] == "2", "both to hang")
        same(m.nvml(lambda n: ready(n).count()), 0, "the driver does not answer others")
        same(m.fetta("fault", "clear")[0], 0)
        for pid in pids:
            same(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)


@test
def a_reload_cuts_everybody_off_and_serves_again():
    def through(n):
        d = ready(n).gpu(0)
        with open(go, "w", encoding="ascii"):
            pass
        end = time.monotonic() + 20
        while (status := n.number("nvmlDeviceGetMinorNumber", d)[0]) == 0 and time.monotonic() < end:
            pass
        n.call("nvmlShutdown")
        away = n.init()
        while n.init() != 0 and time.monotonic() < end:
            time.sleep(0.02)
        return [status, away, n.count()]
    with Machine() as m:
        go = m.dir + "/go"
        m.nvml(lambda n: n.slice(ready(n).gpu(0)) and 0)
        pid = os.fork()
        if pid == 0:
            os._exit(0 if m.nvml(through) == [NOT_LOADED, NOT_LOADED, 0] else 1)
        until(lambda: os.path.exists(go), "the client")
        m.fault("rules: [{effect: {reload: 500ms}}]")
        same(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
        same(m.instances(), {}, "instances outlived the driver")


@test
def minors_move():
    with Machine(plan=one("", "after: 1m", "renumber: true")) as m:
        both = lambda n: [n.number("nvmlDeviceGetMinorNumber", n.gpu(i))[1] for i in range(2)] if ready(n) else 0
        before = m.nvml(both)
        m.fetta("clock", "advance", "2m")
        same(m.nvml(both), before[::-1])


@test
def mig_indices_with_holes():
    def devices(n):
        found = []
        for i in range(7):
            status, handle = n.handle("nvmlDeviceGetMigDeviceHandleByIndex", ready(n).gpu(0), i)
            same(status in (0, NOT_FOUND), True, status)
            found.append(None if status else [n.number("nvmlDeviceGetGpuInstanceId", handle)[1], n.number("nvmlDeviceGetIndex", handle)[1]])
        return found

    with Machine(plan=one("gpu: 0", "", "holes: true"), fettad=True) as m:
        leases = [m.new(profile="1g.10gb", gpu="0") for _ in range(3)]
        gis = [lease["slices"][0]["gi"] for lease in leases]
        same(m.nvml(devices), [[gi, i] for i, gi in enumerate(gis)] + [None] * 4)
        m.end(leases[0]["id"])
        m.smi("destroy", 0, gis[0])
        same(m.nvml(devices), [None, [gis[1], 1], [gis[2], 2]] + [None] * 4, "a hole")
        again = m.new(profile="2g.20gb", gpu="0")["slices"][0]
        same(m.nvml(devices)[:3], [[again["gi"], 0], [gis[1], 1], [gis[2], 2]], "the lowest free index")
        same({m.show(lease["id"])["state"] for lease in leases[1:]}, {"active"})
        m.fetta("fault", "clear")
        same(m.nvml(devices), [[gi, i] for i, gi in enumerate(sorted([again["gi"], *gis[1:]]))] + [None] * 4, "cleared")


@test
def latencies_are_those_of_the_board_and_of_the_seed():
    def spent(m):
        first = float(m.fetta("clock")[1].split()[0])
        m.nvml(lambda n: n.slice(ready(n).gpu(0)) and 0)
        return float(m.fetta("clock")[1].split()[0]) - first
    with Machine(emud=["--clock", "virtual", "--latency", "board"]) as m:
        check(0.3 < spent(m) < 60, "a slice takes seconds")
    with Machine(emud=["--clock", "virtual"]) as m:
        m.nvml(lambda n: n.slice(ready(n).gpu(0)) and 0)
    with Machine(plan="latency: board\n", emud=["--clock", "virtual"]) as m:
        check(spent(m) > 0.3)
        status, said = m.fetta("fault", "--latency")
        check(status == 0 and said.count("assumed") >= 8, said)


@test
def plans_with_mistakes():
    wrong = {
        "rules: 5": ("line 1, column 8", "rules"),
        "rulse: []": ("line 1, column 1", "rulse", "rules"),
        "rules: [{effect: {fail: IN_USED}, match: {call: nvmlInit_v2}}]": ("line 1, column 25", "IN_USE"),
        "rules: [{effect: {fail: IN_USE}, match: {call: nvmlDeviceGetCunt_v2}}]": ("line 1, column 48", "nvmlDeviceGetCount_v2"),
        "rules: [{effect: {fail: IN_USE}}]": ("line 1", "call: NAME"),
        "rules: [{effect: {}}]": ("exactly one of",),
        "rules: [{effect: {lose: true}}]": ("match: {gpu: N}",),
        "rules: [{match: {gpu: 0}, effect: {leak: true}}]": ("gi: N",),
        "rules: [{match: {gpu: 64}, effect: {lose: true}}]": ("gpu",),
        "rules: [{when: {probability: 1.5}, effect: {renumber: true}}]": ("from 0 to 1",),
        "rules: [{when: {nth: 0}, effect: {renumber: true}}]": ("nth",),
        "rules: [{effect: {reload: soon}}]": ("line 1, column 27",),
        "rules: [{effect: {delay: {median: 2s, p99: 1s}}, match: {call: nvmlI*}}]": ("shorter",),
        "rules: [{effect: {delay: {uniform: [1s]}}, match: {call: nvmlI*}}]": ("[1ms, 5ms]",),
        "rules: [{match: {gpu: 0}, effect: {ecc: bad}}]": ("uncontained",),
        "rules: [{match: {call: nvmlI*}, when: {each: 1s}, effect: {hang: true}}]": ("write every",),
        "latency: fast": ("board or off",),
        "seed: [": ("line",),
        "": ("empty",),
    }
    with Machine() as m:
        m.fault("rules: [{name: kept, effect: {renumber: true}, when: {after: 1h}}]")
        for text, parts in wrong.items():
            path = m.dir + "/wrong.yaml"
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            status, said = m.fetta("fault", path)
            same(status, 2, text)
            has(said, "wrong.yaml", *parts)
        same(len(m.rules()), 1, "a refused plan changed something")
        status, said = m.fetta("fault", "--example")
        m.fault(said)
        check(len(m.rules()) >= 12)


@test
def a_killed_driver_is_not_a_hang():
    def through(n):
        d = ready(n).gpu(0)
        with open(go, "w", encoding="ascii"):
            pass
        return n.number("nvmlDeviceGetMinorNumber", d)[0]
    with Machine(plan=one("call: nvmlDeviceGetMinorNumber", "", "hang: true")) as m:
        go = m.dir + "/go"
        pid = os.fork()
        if pid == 0:
            os._exit(0 if m.nvml(through) == NOT_LOADED else 1)
        until(lambda: m.rules()[0][1] == "1", "the hang")
        m.kill_emud()
        same(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
        m.start_emud()


ASK = {"bind": "none", "for": "1h"}


@test
def fettad_rolls_back_a_gi_whose_ci_is_refused():
    with Machine("1xa100-80", fettad=True, plan=one("call: nvmlGpuInstanceCreateComputeInstance*", "", "fail: UNKNOWN")) as m:
        status, reply = m.api("POST", "/v1/leases", {**ASK, "profile": "2g.20gb", "wait": "2s"})
        check(status >= 400, reply)
        until(lambda: m.instances() == {}, "the roll back")
        m.fetta("fault", "clear")
        m.new(profile="2g.20gb")


@test
def fettad_quarantines_what_a_leaked_handle_keeps():
    with Machine("1xa100-80", fettad=True) as m:
        lease = m.new(profile="1g.10gb")
        gi = lease["slices"][0]["gi"]
        m.fault(f"rules: [{{match: {{gpu: 0, gi: {gi}}}, effect: {{leak: true}}}}]")
        m.end(lease["id"])
        job = Job(m, {"profile": "7g.80gb"})
        until(lambda: [s["state"] for s in m.gpu(0)["slices"] if s["gi"] == gi] == ["quarantined"], "quarantine")
        check(not job.answered(), "granted over an instance that is still there")
        same(m.fetta("fault", "clear")[0], 0)
        until(job.granted, "the lease that waited for it")
        job.kill()
        job.wait()


@test
def fettad_is_in_service_again_after_a_reload():
    with Machine("2xa100-80", fettad=True) as m:
        lease = m.new(profile="1g.10gb")
        m.fault("rules: [{effect: {reload: 300ms}}]")
        until(lambda: m.show(lease["id"])["state"] == "ended", "the lease to end with the driver")
        until(lambda: m.api("POST", "/v1/leases", {**ASK, "profile": "1g.10gb", "wait": "1s"})[0] == 200, "service")


main()
