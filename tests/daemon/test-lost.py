"""Hardware and driver that go away and come back, workers that die, a daemon that is killed in between."""
import os
import signal
import time

from rig import House, Job, check, main, places, same, test, until

ASK = {"bind": "none", "for": "1h"}


@test
def a_driver_unload_ends_its_leases_within_a_second():
    with House() as h:
        jobs = [Job(h, {"profile": "1g.10gb"}) for _ in range(3)]
        leases = [j.lease()["id"] for j in jobs]
        whole = h.new(gpus=1)["id"]
        began = time.monotonic()
        h.kill_emud()
        for lease in leases + [whole]:
            same(h.ended(lease)["why"], "lost")
        check(time.monotonic() - began < 2, "it took", time.monotonic() - began)
        for job in jobs:
            job.wait()
        check(h.api("POST", "/v1/leases", {**ASK, "profile": "1g.10gb", "wait": 0})[0] >= 400, "a lease without a driver")
        h.start_emud()
        until(lambda: all(g["health"] == "ok" for g in h.status()["gpus"]), "the driver")
        h.new(profile="1g.10gb", wait="20s")


@test
def a_waiting_request_is_served_by_the_returning_driver():
    with House("1xa100-80") as h:
        h.new(profile="7g.80gb")
        job = Job(h, {"profile": "7g.80gb"})
        until(lambda: h.status()["queue"], "queue")
        h.kill_emud()
        h.start_emud()
        job.lease()


@test
def the_driver_goes_while_the_daemon_is_down():
    with House() as h:
        job = Job(h, {"profile": "1g.10gb"})
        lease = job.lease()["id"]
        h.crash()
        h.kill_emud()
        h.start_emud()
        h.start()
        check(h.ended(lease)["why"] in ("lost", "vanished"))
        job.wait()


@test
def the_driver_is_gone_when_the_daemon_starts():
    with House() as h:
        job = Job(h, {"profile": "1g.10gb"})
        lease = job.lease()["id"]
        h.crash()
        h.kill_emud()
        h.start()
        check(h.ended(lease)["why"] in ("lost", "vanished"))
        h.start_emud()
        until(lambda: h.status()["gpus"] and all(g["health"] == "ok" for g in h.status()["gpus"]), "the driver")
        h.new(profile="1g.10gb", wait="20s")


@test
def a_gpu_that_falls_off_the_bus():
    with House("2xa100-80") as h:
        on = {i: h.new(profile="1g.10gb", gpu=str(i))["id"] for i in (0, 1)}
        h.ctl("lose", 0)
        same(h.ended(on[0])["why"], "lost")
        same(h.show(on[1])["state"], "active", "the other GPU's lease stays")
        until(lambda: h.gpu(0)["health"] == "lost", "health")
        same(h.refused("POST", "/v1/leases", {**ASK, "profile": "1g.10gb", "gpu": "0", "wait": 0})[0] in ("no-fit", "never-fits"), True)
        h.ctl("reset", 0)
        until(lambda: h.gpu(0)["health"] == "ok", "health after a reset")
        h.new(profile="1g.10gb", gpu="0", wait="20s")


@test
def workers_that_die_are_replaced():
    with House("2xa100-80") as h:
        lease = h.new(profile="1g.10gb")["id"]
        for _ in range(3):
            for pid in children(h.fettad.pid):
                os.kill(pid, signal.SIGKILL)
            until(lambda: all(g["health"] == "ok" for g in h.status()["gpus"]), "health")
        same(h.show(lease)["state"], "active", "a dead worker is no lost driver")
        h.new(profile="1g.10gb", wait="20s")
        h.new(profile="2g.20gb", wait="20s")


def children(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as f:
            found += map(int, f.read().split())
    return found


@test
def no_workers_survive_the_daemon():
    with House() as h:
        for _ in range(3):
            h.new(profile="1g.10gb")
        workers = children(h.fettad.pid)
        check(workers)
        h.crash()
        until(lambda: not any(os.path.exists(f"/proc/{p}/exe") and "fettad" in exe(p) for p in workers), "end of the workers")
        h.start()


def exe(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


@test
def a_stop_and_a_start_disturb_nobody():
    with House() as h:
        jobs = [Job(h, {"profile": "1g.10gb"}) for _ in range(5)]
        before = [j.lease() for j in jobs]
        for how in (signal.SIGTERM, signal.SIGKILL):
            h.restart(how)
            after = {x["id"]: x for x in h.status()["leases"]}
            for lease, job in zip(before, jobs):
                check(job.alive(), "a job was disturbed")
                now = after[lease["id"]]
                same((now["state"], places(now), now["asked_for"]), ("active", places(lease), "1g.10gb"))
                check(abs(now["started"] - lease["started"]) < 0.01)
        h.restart(signal.SIGKILL)
        jobs[0].kill()
        same(h.ended(before[0]["id"])["why"], "done", "still watched after three daemons")


@test
def who_waits_is_told_of_a_crash():
    """The connection of a waiting client dies with the daemon, and so does its place."""
    with House("1xa100-80") as h:
        h.new(profile="7g.80gb")
        job = Job(h, {"profile": "7g.80gb"})
        until(lambda: h.status()["queue"], "queue")
        h.crash()
        job.wait()
        h.start()
        until(lambda: not h.status()["queue"], "an empty queue")


main()
