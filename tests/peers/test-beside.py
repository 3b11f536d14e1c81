"""fettad and other people's programs on one driver: an administrator with the real nvidia-smi, an agent that always watches."""
import json
import os
import signal
import subprocess
import sys

import peers
from peers import need, smi
from rig import House, Job, check, has, main, places, same, test, until

ASK = {"bind": "none", "for": "1h"}
# What a monitoring agent of a DGX does: handles of everything, all the time, an event set on every GPU.
AGENT = """
import json, sys, pynvml as p
p.nvmlInit()
gpus = [p.nvmlDeviceGetHandleByIndex(i) for i in range(p.nvmlDeviceGetCount())]
events = p.nvmlEventSetCreate()
for g in gpus:
    p.nvmlDeviceRegisterEvents(g, p.nvmlDeviceGetSupportedEventTypes(g), events)
print("watching", flush=True)
seen, rounds, codes, held = set(), 0, {}, {}
ASKS = (p.nvmlDeviceGetUUID, p.nvmlDeviceGetName, p.nvmlDeviceGetMemoryInfo, p.nvmlDeviceGetComputeRunningProcesses, p.nvmlDeviceGetAttributes,
        p.nvmlDeviceGetGpuInstanceId, p.nvmlDeviceGetComputeInstanceId, p.nvmlDeviceGetUtilizationRates, p.nvmlDeviceGetTemperature)
def ask(f, *a):
    try:
        return f(*a)
    except p.NVMLError as e:
        codes[e.value] = codes.get(e.value, 0) + 1
while True:
    for g in gpus:
        for k in range(ask(p.nvmlDeviceGetMaxMigDeviceCount, g) or 0):
            m = ask(p.nvmlDeviceGetMigDeviceHandleByIndex, g, k)
            if m is not None:
                held[m.value if hasattr(m, "value") else id(m)] = m
    for m in list(held.values()) + gpus:
        for f in ASKS:
            a = ask(f, m, 0) if f is p.nvmlDeviceGetTemperature else ask(f, m)
            if f is p.nvmlDeviceGetUUID and a: seen.add(a)
    while len(held) > 64: held.pop(next(iter(held)))
    rounds += 1
    try:
        p.nvmlEventSetWait_v2(events, 10) if hasattr(p, "nvmlEventSetWait_v2") else p.nvmlEventSetWait(events, 10)
    except p.NVMLError as e:
        codes[e.value] = codes.get(e.value, 0) + 1
    with open(sys.argv[1] + ".new", "w") as f:
        json.dump({"rounds": rounds, "codes": codes, "seen": sorted(seen)}, f)
    __import__("os").rename(sys.argv[1] + ".new", sys.argv[1])
"""


def by_hand(house, *words):
    status, said = smi(house, "mig", *words)
    same(status, 0, f"nvidia-smi mig {words}: {said}")
    return said


@test
def the_table_shows_what_is_leased():
    need("nvidia-smi")
    with House("1xh100-sxm") as h:
        job = Job(h, {"profile": "2g.20gb"})
        slice_ = job.lease()["slices"][0]
        has(smi(h, "-L")[1], "MIG 2g.20gb", slice_["uuid"])
        has(by_hand(h, "-lgi"), "MIG 2g.20gb", f"{slice_['gi']} ")


@test
def what_an_administrator_makes_is_left_to_him():
    need("nvidia-smi")
    with House("1xh100-sxm") as h:
        lease = h.new(profile="1g.10gb")
        by_hand(h, "-i", "0", "-cgi", "3g.40gb", "-C")
        until(lambda: [s["profile"] for s in h.gpu(0)["slices"] if s["state"] == "foreign"] == ["3g.40gb"], "the foreign instance")
        same(h.refused("POST", "/v1/leases", {**ASK, "profile": "4g.40gb", "wait": 0})[0], "no-fit")
        foreign = [k for k, v in h.instances().items() if v[0] == 9]
        h.end(lease["id"])
        h.restart(signal.SIGKILL)
        until(lambda: [k for k, v in h.instances().items() if v[0] == 9] == foreign, "it stays")
        by_hand(h, "-i", "0", "-gi", foreign[0][1], "-dci")
        by_hand(h, "-i", "0", "-gi", foreign[0][1], "-dgi")
        h.new(profile="7g.80gb", wait="20s")


@test
def what_an_administrator_destroys_ends_that_lease_alone():
    need("nvidia-smi")
    with House("2xh100-sxm") as h:
        jobs = [Job(h, {"profile": "1g.10gb", "gpu": "0"}) for _ in range(3)]
        stays = [j.lease() for j in jobs]
        other = h.new(profile="3g.40gb", gpu="1")
        victim = h.new(profile="1g.10gb", gpu="0")
        gi = victim["slices"][0]["gi"]
        by_hand(h, "-i", "0", "-gi", gi, "-dci")
        by_hand(h, "-i", "0", "-gi", gi, "-dgi")
        ended = h.ended(victim["id"])
        same(ended["why"], "vanished")
        for lease in stays + [other]:
            now = h.show(lease["id"])
            same((now["state"], places(now)), ("active", places(lease)), "a neighbour")
        check(all(j.alive() for j in jobs), "a neighbour's process was ended")
        h.sound()
        h.new(profile="1g.10gb", gpu="0", wait="20s")


@test
def an_administrator_is_refused_what_is_at_work():
    need("nvidia-smi")
    with House("1xh100-sxm") as h:
        lease = h.new(profile="2g.20gb")
        work = h.hold("hold", lease["slices"][0]["uuid"], 100)
        same(smi(h, "mig", "-dci")[0], 19)
        same(smi(h, "mig", "-dgi")[0], 19)
        same(smi(h, "-mig", "0")[0], 19)
        same(h.show(lease["id"])["state"], "active")
        same(places(h.show(lease["id"])), places(lease))
        work.kill()


@test
def a_layout_remade_by_hand_is_adopted():
    need("nvidia-smi")
    with House("1xh100-sxm") as h:
        lease = h.new(profile="1g.10gb")
        by_hand(h, "-dci")
        by_hand(h, "-dgi")
        by_hand(h, "-cgi", "9,14,19", "-C")
        same(h.ended(lease["id"])["why"], "vanished")
        until(lambda: sorted(s["profile"] for s in h.gpu(0)["slices"] if s["state"] == "foreign") == ["1g.10gb", "2g.20gb", "3g.40gb"], "adoption")
        h.sound()
        by_hand(h, "-dci")
        by_hand(h, "-dgi")
        until(lambda: not h.gpu(0)["slices"], "their end")


@test
def an_agent_that_always_watches_loses_nothing_and_leaks_nothing():
    need("pynvml")
    with House("2xh100-sxm") as h:
        notes = h.dir + "/agent.json"
        with subprocess.Popen([sys.executable, "-c", AGENT, notes], env=peers.env(h, PYTHONPATH=peers.PYTHON[535]), stdout=subprocess.PIPE,
                              stderr=h.log, text=True) as agent:
            try:
                same(agent.stdout.readline(), "watching\n")
                given = set()
                for round_ in range(8):
                    leases = [h.new(profile=p, wait="20s") for p in ("3g.40gb", "2g.20gb", "1g.10gb", "7g.80gb" if round_ % 2 else "1g.20gb")]
                    given |= {s["uuid"] for lease in leases for s in lease["slices"]}
                    rounds = told(notes)["rounds"]
                    until(lambda: told(notes)["rounds"] > rounds + 1, "a look of the agent")
                    for lease in leases:
                        h.end(lease["id"])
                same(agent.poll(), None, "the agent's exit status")
                said = told(notes)
                same(sorted(given - set(said["seen"])), [], "slices that it never saw")
                same(sorted(set(map(int, said["codes"])) - {2, 3, 6, 10}), [], "return codes that are no monitor's business")
                quarantine(h)
                h.new(profile="7g.80gb", gpu="0", wait="20s")
                h.new(profile="7g.80gb", gpu="1", wait="20s")
            finally:
                agent.kill()


def told(path):
    if not os.path.exists(path):
        return {"rounds": 0}
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def quarantine(h):
    """A slice that the agent holds on to is set aside and destroyed once it lets go."""
    lease = h.new(profile="1g.10gb", gpu="0", wait="20s")
    gi = lease["slices"][0]["gi"]
    held = h.hold("subscribe", 0, gi)
    h.end(lease["id"])
    job = Job(h, {"profile": "7g.80gb", "gpu": "0"})
    until(lambda: [s["state"] for s in h.gpu(0)["slices"] if s["gi"] == gi] == ["quarantined"], "quarantine")
    held.kill()
    held.wait()
    job.lease()
    job.kill()
    h.ended(job.reply()[1]["lease"]["id"])


main()
