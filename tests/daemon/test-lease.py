"""Asking for leases, waiting for them, and what they live with."""
import os
import signal
import time

from rig import NOBODY, ROOT, House, Job, Skip, call, check, has, main, same, test, until


@test
def grant_and_end():
    with House() as h:
        job = Job(h, {"profile": "1g.10gb", "command": "train.py"})
        lease = job.lease()
        same(lease["state"], "active")
        same((lease["mine"], lease["command"], lease["count"], lease["kind"]), (True, "train.py", 1, "gi"))
        same(len(h.groups()), int(lease["confined"]), "cgroups of the lease")
        slice_ = lease["slices"][0]
        same((slice_["profile"], slice_["compute"], slice_["sms"]), ("1g.10gb", 1, 14))
        there = h.instances()
        same(list(there), [(slice_["gpu"], slice_["gi"])], "the driver's instances")
        profile, start, size, cis, uuid = there[slice_["gpu"], slice_["gi"]]
        same((profile, start, size, cis, uuid), (19, slice_["start"], 1, 1, slice_["uuid"]))
        same([x["id"] for x in h.status()["leases"]], [lease["id"]])
        h.ok("DELETE", f"/v1/leases/{lease['id']}")
        over = h.ended(lease["id"])
        same(over["why"], "released")
        same(job.wait(), -signal.SIGTERM, "the job's end")
        same(h.status()["leases"], [])


@test
def ids_are_never_reused():
    with House() as h:
        first = h.new(profile="1g.10gb")["id"]
        h.end(first)
        h.restart()
        second = h.new(profile="1g.10gb")["id"]
        check(second > first, first, second)
        h.crash()
        h.start()
        h.end(second)
        check(h.new(profile="1g.10gb")["id"] > second)


@test
def a_full_machine_queues_in_order():
    with House("1xa100-80") as h:
        held = [h.new(profile="3g.40gb")["id"] for _ in range(2)]
        waiting = [Job(h, {"profile": "3g.40gb"}) for _ in range(1)]
        until(lambda: len(h.status()["queue"]) == 1, "first in the queue")
        waiting.append(Job(h, {"profile": "3g.40gb"}))
        until(lambda: len(h.status()["queue"]) == 2, "second in the queue")
        queue = h.status()["queue"]
        shown = h.show(queue[1])
        same((shown["state"], shown["position"]), ("queued", 2))
        first = h.show(queue[0])["latest_start"]
        check(first is not None, "known ends give a latest start")
        check(shown["latest_start"] >= first, "and the second is told one, too")
        told = {l["id"]: l.get("latest_start") for l in h.status()["leases"]}
        same([told[id] for id in queue], [first, shown["latest_start"]], "the status says the same")
        h.end(held[0])
        same(waiting[0].lease()["id"], queue[0], "the first to ask is the first to get")
        check(not waiting[1].answered(), "there was room for one")
        h.end(held[1])
        same(waiting[1].lease()["id"], queue[1])


@test
def priority_goes_first():
    with House("1xa100-80") as h:
        held = h.new(profile="7g.80gb")["id"]
        low = Job(h, {"profile": "7g.80gb"})
        until(lambda: len(h.status()["queue"]) == 1, "queue")
        high = Job(h, {"profile": "7g.80gb", "priority": 5})
        until(lambda: len(h.status()["queue"]) == 2, "queue")
        h.end(held)
        high.lease()
        check(not low.answered())


@test
def a_dead_client_leaves_the_queue_at_once():
    with House("1xa100-80") as h:
        h.new(profile="7g.80gb")
        jobs = [Job(h, {"profile": "7g.80gb"}) for _ in range(3)]
        until(lambda: len(h.status()["queue"]) == 3, "three in the queue")
        jobs[1].kill()
        began = time.monotonic()
        until(lambda: len(h.status()["queue"]) == 2, "two in the queue")
        check(time.monotonic() - began < 1, "it took", time.monotonic() - began)
        jobs[0].kill(signal.SIGTERM)
        jobs[2].kill(signal.SIGKILL)
        until(lambda: h.status()["queue"] == [], "an empty queue")
        # Of the three the driver never heard.
        same(len(h.instances()), 1)


@test
def a_closed_connection_leaves_the_queue():
    with House("1xa100-80") as h:
        from rig import Unix
        import json
        h.new(profile="7g.80gb")
        c = Unix(h.socket, 60)
        c.request("POST", "/v1/leases", json.dumps({"profile": "7g.80gb", "bind": "none", "for": "1h"}))
        until(lambda: len(h.status()["queue"]) == 1, "one in the queue")
        c.close()
        until(lambda: h.status()["queue"] == [], "an empty queue")


@test
def now_or_never_and_a_limited_wait():
    with House("1xa100-80") as h:
        h.new(profile="7g.80gb")
        began = time.monotonic()
        same(Job(h, {"profile": "1g.10gb", "wait": 0}).refused()[0], "no-fit")
        status, body = h.api("POST", "/v1/leases", {"profile": "1g.10gb", "wait": "1s", "bind": "none", "for": "1m"})
        same((status, body["error"]["code"]), (409, "no-fit"))
        check(time.monotonic() - began >= 0.9, "it did not wait")
        same(h.status()["queue"], [])


@test
def async_answers_at_once():
    with House("1xa100-80") as h:
        first = h.new(profile="7g.80gb")["id"]
        status, body = h.api("POST", "/v1/leases", {"profile": "7g.80gb", "async": True, "bind": "none", "for": "1h"})
        same((status, body["lease"]["state"]), (202, "queued"))
        second = body["lease"]["id"]
        h.end(first)
        got = h.ok("GET", f"/v1/leases/{second}?wait=granted&timeout=30")["lease"]
        same(got["state"], "active")


@test
def a_lease_ends_with_its_process():
    with House() as h:
        job = Job(h, {"profile": "1g.10gb"})
        lease = job.lease()["id"]
        job.kill()
        same(h.ended(lease)["why"], "done")
        one = Job(h, {"profile": "1g.10gb"}, exit_after=0.1)
        same(h.ended(one.lease()["id"])["why"], "done")
        same(one.wait(), 0)


@test
def what_is_left_behind_is_ended():
    """Children of the command, even in sessions of their own, end with it."""
    with House() as h:
        job = Job(h, {"profile": "1g.10gb", "grace": "1s"}, children=3)
        lease = job.lease()
        job.kill()
        job.wait()
        h.ended(lease["id"])
        until(lambda: not any(os.path.exists(f"/proc/{p}") and state(p) != "Z" for p in job.left), "end of the children")


def state(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(") ", 1)[1][0]
    except OSError:
        return "Z"


@test
def a_process_of_somebody_else_is_not_touched():
    """Without a cgroup or with one: a process that merely belongs to the same user stays."""
    with House() as h:
        stranger = Job(h, {"profile": "1g.10gb"})
        stranger.lease()
        job = Job(h, {"profile": "1g.10gb"})
        lease = job.lease()["id"]
        h.end(lease)
        job.wait()
        check(stranger.alive(), "the other lease's job was ended too")


@test
def bound_to_another_process():
    with House() as h:
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
        try:
            lease = h.ok("POST", "/v1/leases", {"profile": "1g.10gb", "bind": f"pid:{child}"})["lease"]
            same(lease["bind"], f"pid:{child}")
            same(lease["state"], "active")
            h.restart(signal.SIGKILL)
            same(h.show(lease["id"])["state"], "active")
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        same(h.ended(lease["id"])["why"], "done")


@test
def a_recycled_pid_is_not_the_process():
    """Bound to a process that ends while fettad is down: the lease is over when it returns."""
    with House() as h:
        job = Job(h, {"profile": "1g.10gb"})
        lease = job.lease()["id"]
        h.crash()
        job.kill()
        job.wait()
        h.start()
        same(h.ended(lease)["why"], "done")


@test
def a_key_is_asked_for_once():
    with House() as h:
        ask = {"profile": "2g.20gb", "bind": "key:pod-1", "key": "pod-1", "for": "1h"}
        first = h.ok("POST", "/v1/leases", ask)["lease"]["id"]
        same(h.ok("POST", "/v1/leases", ask)["lease"]["id"], first)
        h.restart(signal.SIGKILL)
        same(h.ok("POST", "/v1/leases", ask)["lease"]["id"], first, "after a crash")
        same(h.refused("POST", "/v1/leases", {**ask, "profile": "1g.10gb"})[0], "conflict")
        h.ok("DELETE", "/v1/leases?key=pod-1")
        h.ended(first)
        h.ok("DELETE", "/v1/leases?key=pod-1")
        h.ok("DELETE", "/v1/leases?key=never-heard-of")
        check(h.ok("POST", "/v1/leases", ask)["lease"]["id"] > first, "an ended key is new")


@test
def several_slices_all_or_none():
    with House("1xa100-80") as h:
        lease = h.new(profile="1g.10gb", count=5)
        same(len({(s["gpu"], s["gi"]) for s in lease["slices"]}), 5)
        same(len(h.instances()), 5)
        same(h.refused("POST", "/v1/leases", {"profile": "1g.10gb", "count": 3, "wait": 0, "bind": "none", "for": "1h"})[0], "no-fit")
        same(len(h.instances()), 5, "nothing was made for what was refused")
        same(h.refused("POST", "/v1/leases", {"profile": "1g.10gb", "count": 8, "bind": "none", "for": "1h"})[0], "never-fits")
        h.end(lease["id"])


@test
def by_need():
    with House() as h:
        lease = h.new(memory="18GiB", compute="2/7")
        same(lease["slices"][0]["profile"], "2g.20gb")
        reply = h.ok("POST", "/v1/leases", {"memory": "20GiB", "bind": "none", "for": "1h"})
        same(reply["lease"]["slices"][0]["profile"], "3g.40gb")
        has(reply["hint"], "20 GiB needs 3g.40gb", "2g.20gb has 19.5 GiB")
        code, text = h.refused("POST", "/v1/leases", {"memory": "90GiB", "bind": "none", "for": "1h"})
        same(code, "never-fits")
        has(text, "90 GiB")


@test
def on_a_named_gpu():
    with House("4xa30") as h:
        uuid = h.gpu(2)["uuid"]
        same(h.new(profile="1g.6gb", gpu="3")["slices"][0]["gpu"], 3)
        same(h.new(profile="1g.6gb", gpu=uuid)["slices"][0]["gpu"], 2)
        same(h.new(profile="2g.12gb", gpu="1", start=2)["slices"][0]["start"], 2)
        same(h.refused("POST", "/v1/leases", {"profile": "1g.6gb", "gpu": "9"})[0], "not-found")
        # One of several: all of them are tried, and no other.
        first = h.new(profile="4g.24gb", gpu="0,2-3")
        same(first["slices"][0]["gpu"], 0)
        h.ok("POST", "/v1/leases", {"profile": "2g.12gb", "gpu": "2,3", "count": 2, "bind": "none", "for": "1h"})
        ask = {"profile": "4g.24gb", "gpu": "0,2-3", "wait": "0s", "bind": "none", "for": "1h"}
        same(h.refused("POST", "/v1/leases", ask)[0], "no-fit")
        why = {g["gpu"]: g["reason"] for g in h.ok("POST", "/v1/explain", ask)["gpus"]}
        same((why[0], why[1], why[2]), ("busy", "other-gpu", "busy"))
        same(h.refused("POST", "/v1/leases", {"profile": "1g.6gb", "gpu": "0-1", "start": 1})[0], "invalid")
        same(h.refused("POST", "/v1/leases", {"profile": "1g.6gb", "gpu": "none"})[0], "invalid")
        # What waits for them still does after a restart.
        waiting = h.ok("POST", "/v1/leases", {**ask, "wait": "1h", "async": True})["lease"]["id"]
        h.restart(9)
        same(h.show(waiting)["state"], "queued")
        h.end(first["id"], now=True)
        until(lambda: h.show(waiting)["state"] == "active", "its turn")
        same(h.show(waiting)["slices"][0]["gpu"], 0)
        same(h.refused("POST", "/v1/leases", {"profile": "1g.6gb", "start": 1})[0], "invalid")


@test
def a_warm_slice_is_for_the_owner_who_left_it():
    if not ROOT:
        raise Skip("needs root, to be two users")
    with House("1xa100-80") as h:
        job = Job(h, {"profile": "1g.10gb"}, uid=NOBODY)
        first = job.lease()
        job.kill()
        h.ended(first["id"])
        until(lambda: [s["state"] for s in h.gpu(0)["slices"]] == ["idle"], "a warm slice")
        uuid = h.gpu(0)["slices"][0]["uuid"]
        again = Job(h, {"profile": "1g.10gb"}, uid=NOBODY)
        same(again.lease()["slices"][0]["uuid"], uuid, "the same user gets it as it is")
        again.kill()
        h.ended(again.lease()["id"])
        before = h.instances()
        other = Job(h, {"profile": "1g.10gb"}, uid=1234)
        lease = other.lease()["slices"][0]
        check(lease["uuid"] != uuid, "another user got what the first had left")
        check((lease["gpu"], lease["gi"]) not in before or before[lease["gpu"], lease["gi"]][4] != lease["uuid"])


@test
def idle_slices_make_room():
    with House("1xa100-80") as h:
        for lease in [h.new(profile="1g.10gb")["id"] for _ in range(7)]:
            h.end(lease)
        same(len(h.instances()), 7, "warm slices")
        lease = h.new(profile="7g.80gb", wait=0)
        same(len(h.instances()), 1)
        h.end(lease["id"])


@test
def a_mixed_fleet():
    with House("1xh100-sxm,1xa30") as h:
        same(h.new(profile="1g.6gb")["slices"][0]["gpu"], 1)
        same(h.new(profile="1g.10gb")["slices"][0]["gpu"], 0)
        by_need = [h.new(memory="5GiB", wait=0)["slices"][0]["profile"] for _ in range(4)]
        same(by_need, 3 * ["1g.6gb"] + ["1g.10gb"], "the smallest of all boards while there is one")


@test
def waiting_for_change():
    with House() as h:
        lease = h.new(profile="1g.10gb")
        waited = call(h.socket, "GET", f"/v1/leases/{lease['id']}?wait=change&revision={lease['revision']}&timeout=0.2")
        same(waited[1]["lease"]["revision"], lease["revision"], "nothing changed")
        h.ok("POST", f"/v1/leases/{lease['id']}/extend", {"by": "1h"})
        now = h.ok("GET", f"/v1/leases/{lease['id']}?wait=change&revision={lease['revision']}")["lease"]
        check(now["revision"] > lease["revision"])


@test
def events_are_told():
    from rig import Unix
    import json
    with House() as h:
        c = Unix(h.socket, 20)
        c.request("GET", "/v1/events")
        stream = c.getresponse()
        same(json.loads(stream.readline())["event"], "hello")
        lease = h.new(profile="1g.10gb")["id"]
        states = []
        while "active" not in states:
            event = json.loads(stream.readline())
            if event["event"] == "lease" and event["lease"]["id"] == lease:
                states.append(event["lease"]["state"])
        h.ok("DELETE", f"/v1/leases/{lease}")
        while "ended" not in states:
            event = json.loads(stream.readline())
            if event["event"] == "lease" and event["lease"]["id"] == lease:
                states.append(event["lease"]["state"])
        c.close()


main()
