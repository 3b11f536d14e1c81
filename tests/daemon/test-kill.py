"""kill -9 of fettad at hundreds of random moments of a long script, and what must hold all the same.

A supervisor child starts fettad and kills it, again and again, while the script asks for leases, ends,
extends and drains. Every call is repeated until it is answered, which keys make harmless. What was
answered is what must be so: no lease lost, none invented, no instance leaked, no job disturbed.
"""
import http.client
import mmap
import os
import random
import signal
import struct
import subprocess
import time

from rig import DEEP, OPTIONS, PATIENCE, House, Job, call, check, main, places, same, test, until

OPERATIONS, KILLS = (1000, 4000) if DEEP else (200, 500)
PROFILES = ["1g.10gb"] * 4 + ["2g.20gb"] * 2 + ["3g.40gb", "1g.20gb", "7g.80gb", None]
LOST = (OSError, http.client.HTTPException)


def insist(path, method, target, body=None):
    """Asks until somebody answers; (status, reply)."""
    end = time.monotonic() + 6 * PATIENCE
    while True:
        try:
            return call(path, method, target, body, timeout=PATIENCE)
        except LOST as e:
            check(time.monotonic() < end, f"{method} {target} was never answered: {e!r}")
            time.sleep(0.002)


class Stubborn(Job):
    """A job that asks again when the daemon died before it answered."""

    @staticmethod
    def ask(house, ask):
        return insist(house.socket, "POST", "/v1/leases", ask)


class Killer:
    """Starts fettad and kills it, as often as it was told, in a process of its own."""

    def __init__(self, house, kills, rng):
        self.shared = mmap.mmap(-1, 4096)
        began = time.monotonic()
        house.start()
        self.span = 3 * (time.monotonic() - began) + 0.06
        house.crash()
        print(f"# killed within {self.span * 1000:.0f} ms of each start")
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.work(house, kills, rng)
            finally:
                os._exit(1)

    def work(self, house, kills, rng):
        for n in range(kills):
            p = subprocess.Popen(house.daemon_argv(), env=house.env, cwd="/", stdin=subprocess.DEVNULL, stdout=house.log, stderr=house.log)
            time.sleep(rng.random() * self.span)
            p.kill()
            status = p.wait()
            if status != -signal.SIGKILL:
                struct.pack_into("ii", self.shared, 4, 1, status)
                os._exit(1)
            struct.pack_into("i", self.shared, 0, n + 1)
        os._exit(0)

    def count(self):
        n, bad, status = struct.unpack_from("iii", self.shared, 0)
        check(not bad, f"fettad ended by itself with status {status} after {n} kills")
        return n

    def finish(self, kills):
        until(lambda: self.count() == kills, "all kills", 20 * PATIENCE)
        os.waitpid(self.pid, 0)
        self.pid = None


class Script:
    """The operations, and what they were promised."""

    def __init__(self, house, rng):
        self.house, self.rng, self.n = house, rng, 0
        self.live = {}      # key: (lease, job or None)
        self.over = set()   # ids that were ended
        self.ends = {}      # id: not before
        self.drained = {}
        self.most = 0
        self.done = {}

    def ask(self):
        self.n += 1
        key, profile = f"k{self.n}", self.rng.choice(PROFILES)
        body = {"key": key, "for": "2h", "grace": "1s", "wait": 0}
        body.update({"profile": profile, "count": self.rng.choice([1, 1, 1, 2])} if profile else {"gpus": 1})
        if self.rng.random() < 0.5:
            job = Stubborn(self.house, {**body, "bind": "pid"})
            status, reply = job.reply(6 * PATIENCE)
        else:
            job = None
            status, reply = insist(self.house.socket, "POST", "/v1/leases", {**body, "bind": f"key:{key}"})
        if status == 200:
            lease = reply["lease"]
            check(lease["id"] not in self.over and lease["id"] > self.most, f"id {lease['id']} after {self.most}")
            self.most = lease["id"]
            self.live[key] = lease, job
            self.ends[lease["id"]] = lease["ends"]
        else:
            check(reply["error"]["code"] in ("no-fit", "store", "driver-lost", "hardware"), reply)
            if job:
                job.kill()
                job.wait()
        return "granted" if status == 200 else "refused"

    def some(self):
        return self.rng.choice(sorted(self.live)) if self.live else None

    def end(self):
        key = self.some()
        if not key:
            return "nothing"
        lease, job = self.live.pop(key)
        how = self.rng.randrange(3)
        if how == 0 and job:
            job.kill()
        elif how == 1:
            status, reply = insist(self.house.socket, "DELETE", f"/v1/leases/{lease['id']}")
            check(status in (200, 404), reply)
        else:
            status, reply = insist(self.house.socket, "DELETE", f"/v1/leases?key={key}")
            same(status, 200, reply)
        self.over.add(lease["id"])
        return "ended"

    def extend(self):
        key = self.some()
        if not key:
            return "nothing"
        lease = self.live[key][0]["id"]
        status, reply = insist(self.house.socket, "POST", f"/v1/leases/{lease}/extend", {"by": "10m"})
        same(status, 200, f"extend {lease}: {reply}")
        check(reply["lease"]["ends"] > self.ends[lease] + 599, "extended by less", reply)
        self.ends[lease] = reply["lease"]["ends"]
        return "extended"

    def drain(self):
        gpu, on = self.rng.randrange(4), self.rng.random() < 0.4
        status, reply = insist(self.house.socket, "POST", "/v1/drain", {"gpus": str(gpu), "on": on})
        same(status, 200, reply)
        self.drained[gpu] = on
        return "drained" if on else "resumed"

    def look(self):
        _, status = insist(self.house.socket, "GET", "/v1/status")
        self.compare(status)
        return "looked"

    def step(self):
        full = len(self.live) > 14
        work = self.rng.choices([self.ask, self.end, self.extend, self.drain, self.look], [3 if full else 8, 6 if full else 4, 3, 1, 3])[0]
        what = work()
        self.done[what] = self.done.get(what, 0) + 1

    def compare(self, status):
        """What the daemon shows against what it has promised."""
        shown = {x["id"]: x for x in status["leases"]}
        for key, (lease, job) in self.live.items():
            now = shown.get(lease["id"])
            check(now and now["state"] == "active", f"lease {lease['id']} ({key}) is lost: {now}")
            same(places(now), places(lease), f"slices of lease {lease['id']}")
            check(now["ends"] > self.ends[lease["id"]] - 0.01, f"lease {lease['id']} ends early")
            check(not job or job.alive(), f"the job of lease {lease['id']} was disturbed")
        for x in shown.values():
            mine = x["id"] in {lease["id"] for lease, _ in self.live.values()}
            check(mine or x["id"] in self.over and x["state"] != "queued" or x["id"] > self.most, f"lease {x['id']} was invented: {x}")
        for g in status["gpus"]:
            same(g["drained"], self.drained.get(g["index"], False), f"drained of GPU {g['index']}")


@test
def killed_at_random_moments():
    rng = random.Random(OPTIONS.seed)
    with House("4xa100-80", fettad=False) as h:
        killer = Killer(h, KILLS, random.Random(OPTIONS.seed + 1))
        try:
            script = Script(h, rng)
            for n in range(OPERATIONS):
                until(lambda n=n: killer.count() * OPERATIONS >= n * KILLS * 0.98, "kills", 6 * PATIENCE)
                script.step()
            killer.finish(KILLS)
        finally:
            if killer.pid:
                os.kill(killer.pid, signal.SIGKILL)
                os.waitpid(killer.pid, 0)
                kill_daemons(h)
        print("#", script.done)
        h.start()
        until(lambda: {x["id"] for x in h.status()["leases"]} == {lease["id"] for lease, _ in script.live.values()}, "exactly the promised leases")
        script.compare(h.status())
        h.sound()
        for _, job in script.live.values():
            check(not job or job.alive(), "a job was disturbed")
        for key, (lease, job) in sorted(script.live.items()):
            h.ok("DELETE", f"/v1/leases?key={key}")
            h.ended(lease["id"])
            check(not job or job.wait() == -signal.SIGTERM, "the job did not end by SIGTERM")
        h.sound()


def kill_daemons(h):
    """What a killed supervisor left running."""
    for pid in h.ours():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if h.state.encode() in f.read():
                    os.kill(pid, signal.SIGKILL)
        except OSError:
            pass


def commits(h):
    """Transactions in the write-ahead log: each is one wait for the disk (synchronous=FULL)."""
    with open(h.state + "/state.db-wal", "rb") as f:
        text = f.read()
    magic, _, page, _, salt1, salt2 = struct.unpack_from(">IIIIII", text, 0)
    check(magic in (0x377F0682, 0x377F0683), "not a write-ahead log")
    found = 0
    for at in range(32, len(text) - 24 - page + 1, 24 + page):
        _, size, s1, s2 = struct.unpack_from(">IIII", text, at)
        if (s1, s2) != (salt1, salt2):
            break
        found += size != 0
    return found


@test
def a_warm_grant_is_one_commit_a_new_slice_two():
    with House("1xa100-80") as h:
        def cost(work):
            h.sound()
            time.sleep(0.3)
            before = commits(h)
            result = work()
            time.sleep(0.3)
            return commits(h) - before, result
        n, lease = cost(lambda: h.new(profile="1g.10gb"))
        same(n, 2, "commits of a new slice")
        h.end(lease["id"])
        n, lease = cost(lambda: h.new(profile="1g.10gb"))
        same(n, 1, "commits of a warm slice")
        same(cost(h.status)[0], 0, "commits of looking")


@test
def fetta_emud_killed_at_random_moments():
    """The driver goes and comes while leases are asked for: nothing is pretended."""
    rng = random.Random(OPTIONS.seed)
    with House("2xa100-80") as h:
        for n in range(40 if DEEP else 8):
            jobs = [Job(h, {"profile": "1g.10gb", "wait": "20s"}) for _ in range(3)]
            time.sleep(rng.random() * 0.05)
            h.kill_emud()
            time.sleep(rng.random() * 0.3)
            check(h.fettad.poll() is None, f"fettad ended with status {h.fettad.poll()}")
            h.start_emud()
            h.sound()
            there = {uuid for _, _, _, _, uuid in h.instances().values()}
            for x in h.status()["leases"]:
                check(x["state"] != "active" or all(s["uuid"] in there for s in x["slices"]), f"lease {x['id']} is pretended", x)
            for job in jobs:
                job.kill()
                job.wait()
            until(lambda: not h.status()["leases"], f"round {n}: end of all leases")


main()
