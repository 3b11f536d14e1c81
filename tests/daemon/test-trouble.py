"""Trouble with the driver and the disk: refusals, slowness, corruption, no room, two daemons."""
import os
import signal
import subprocess
import time

from rig import ROOT, House, Job, Skip, check, has, main, same, test, until

ASK = {"bind": "none", "for": "1h"}


@test
def exactly_one_daemon_serves():
    with House() as h:
        lease = h.new(profile="1g.10gb")["id"]
        pid = h.status()["daemon_pid"]
        for _ in range(3):
            status, said = h.try_start()
            same(status, 1)
            has(said, "another fettad serves")
        same((h.status()["daemon_pid"], h.show(lease)["state"]), (pid, "active"))
        # Another state folder, the same socket.
        other = h.daemon_argv()
        other[other.index(h.state)] = h.state + "2"
        done = subprocess.run(other, env=h.env, capture_output=True, text=True, timeout=60)
        same(done.returncode, 1)
        has(done.stderr, "another fettad serves")
        same(h.status()["daemon_pid"], pid)


@test
def many_daemons_started_at_once():
    with House(fettad=False) as h:
        argv = h.daemon_argv()
        all_ = [subprocess.Popen(argv, env=h.env, stdout=h.log, stderr=h.log) for _ in range(6)]
        until(lambda: sum(p.poll() is None for p in all_) == 1, "exactly one to live")
        h.fettad = next(p for p in all_ if p.poll() is None)
        until(lambda: os.path.exists(h.socket), "socket")
        same(h.status()["daemon_pid"], h.fettad.pid)
        same(sorted(p.returncode for p in all_ if p is not h.fettad), [1] * 5)


@test
def a_corrupt_state_is_refused_and_kept():
    with House() as h:
        h.new(profile="1g.10gb")
        h.crash()
        path = h.state + "/state.db"
        for where in (0, 100, "all"):
            with open(path, "rb") as f:
                good = f.read()
            for name in os.listdir(h.state):
                if name.startswith("state.db-"):
                    os.remove(f"{h.state}/{name}")
            bad = b"not a database at all " * 500 if where == "all" else good[:where] + os.urandom(400) + good[where + 400:]
            with open(path, "wb") as f:
                f.write(bad)
            status, said = h.try_start()
            same(status, 1, said)
            has(said, path)
            check("move" in said or "mv " in said or "recover" in said or "remove" in said, "it does not say how to recover:", said)
            with open(path, "rb") as f:
                check(f.read() == bad, "the corrupt file was not kept as it was")
            with open(path, "wb") as f:
                f.write(good)
        os.rename(path, path + ".kept")
        h.start()
        until(lambda: [s["state"] for g in h.status()["gpus"] for s in g["slices"]] == ["foreign"], "the instance nobody remembers")
        gpu, gi = next(iter(h.instances()))
        h.smi("destroy", gpu, gi)


@test
def a_state_of_a_newer_version_is_refused():
    with House() as h:
        h.stop()
        path = h.state + "/state.db"
        import sqlite3
        db = sqlite3.connect(path)
        db.execute("PRAGMA user_version = 999")
        db.commit()
        db.close()
        status, said = h.try_start()
        same(status, 1)
        has(said, "newer")
        db = sqlite3.connect(path)
        db.execute("PRAGMA user_version = 1")
        db.commit()
        db.close()
        h.start()


@test
def gi_made_but_ci_refused_is_rolled_back():
    with House("1xa100-80") as h:
        h.ctl("fail", "nvmlGpuInstanceCreateComputeInstance", "INSUFFICIENT_RESOURCES", 0)
        h.ctl("fail", "nvmlGpuInstanceCreateComputeInstanceWithPlacement", "INSUFFICIENT_RESOURCES", 0)
        status, reply = h.api("POST", "/v1/leases", {**ASK, "profile": "2g.20gb", "wait": "2s"})
        check(status >= 400, reply)
        until(lambda: h.instances() == {}, "the roll back")
        same(h.status()["leases"], [])
        h.ctl("clear")
        h.new(profile="2g.20gb")


@test
def a_refused_place_is_tried_elsewhere():
    with House("2xa100-80") as h:
        h.ctl("fail", "nvmlDeviceCreateGpuInstanceWithPlacement", "UNKNOWN", 1)
        lease = h.new(profile="2g.20gb", wait="20s")
        same(lease["state"], "active")


@test
def a_destroy_that_is_refused_is_quarantined_and_retried():
    with House("1xa100-80") as h:
        lease = h.new(profile="1g.10gb")
        gi = lease["slices"][0]["gi"]
        monitor = h.hold("subscribe", 0, gi)
        h.end(lease["id"])
        # Warm it may stay; another size needs it gone.
        job = Job(h, {"profile": "7g.80gb"})
        until(lambda: [s["state"] for s in h.gpu(0)["slices"] if s["gi"] == gi] == ["quarantined"], "quarantine")
        check(not job.answered(), "granted over an instance that is still there")
        same(len(h.instances()), 1)
        h.restart(signal.SIGKILL)
        job.wait() if False else None
        monitor.kill()
        monitor.wait()
        until(lambda: not [s for s in h.gpu(0)["slices"] if s["gi"] == gi and s["state"] == "quarantined"], "its destruction")
        h.new(profile="7g.80gb", wait="20s") if not job.granted() else None


@test
def an_escaped_process_on_the_slice_keeps_it():
    """A slice is not given to the next before the driver says that it is empty."""
    with House("1xa100-80") as h:
        job = Job(h, {"profile": "1g.10gb", "grace": "1s"})
        lease = job.lease()
        worker = h.hold("hold", lease["slices"][0]["uuid"], 100)
        job.kill()
        job.wait()
        # The driver sees the escaped process, so it is ended, and then the lease is over.
        h.ended(lease["id"])
        until(lambda: worker.poll() is not None, "end of the process on the slice")


@test
def one_stuck_gpu_holds_up_nothing_else():
    with House("3xa100-80") as h:
        h.new(profile="1g.10gb", gpu="1")
        h.ctl("delay", "nvmlDeviceCreateGpuInstanceWithPlacement", 4000, 1, "gpu=0")
        stuck = Job(h, {"profile": "1g.10gb", "gpu": "0"})
        until(lambda: len(h.status()["leases"]) == 2, "the stuck request")
        began = time.monotonic()
        h.new(profile="1g.10gb", gpu="2")
        h.new(profile="1g.10gb", gpu="1")
        for _ in range(20):
            h.status()
        took = time.monotonic() - began
        check(not stuck.answered(), "the delay had no effect")
        check(took < 3, "others waited for the stuck GPU:", took)
        until(lambda: h.gpu(0)["health"] == "not-answering", "health of the stuck GPU")
        same([h.gpu(i)["health"] for i in (1, 2)], ["ok", "ok"])
        stuck.lease()
        until(lambda: h.gpu(0)["health"] == "ok", "health afterwards")


@test
def a_daemon_that_dies_in_a_driver_call():
    """The deed is done, the answer was never heard: the instance is adopted or destroyed, not leaked."""
    with House("1xa100-80") as h:
        h.ctl("delay", "nvmlDeviceCreateGpuInstanceWithPlacement", 1500, 1, "after")
        job = Job(h, {"profile": "3g.40gb"})
        until(lambda: h.instances(), "the instance")
        h.crash()
        h.start()
        h.sound()
        job.kill()
        until(lambda: not h.status()["leases"], "end of the lease")
        h.new(profile="7g.80gb", wait="20s")


def small_disk(h):
    if not ROOT:
        raise Skip("needs root, for a small file system")
    os.mkdir(h.state)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", h.state], capture_output=True, text=True)
    if done.returncode:
        raise Skip("cannot mount a small tmpfs here: " + done.stderr.strip())


@test
def a_full_disk():
    h = House(fettad=False)
    mounted = False
    try:
        small_disk(h)
        mounted = True
        h.start()
        job = Job(h, {"profile": "1g.10gb"})
        lease = job.lease()["id"]
        with open(h.state + "/filler", "wb", 0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass
        refused = None
        for _ in range(200):  # what the files have room for is used up first
            status, reply = h.api("POST", "/v1/leases", {**ASK, "profile": "1g.10gb", "wait": 0})
            if status == 507:
                refused = reply["error"]
                break
            if status == 200:
                h.api("DELETE", f"/v1/leases/{reply['lease']['id']}")
        check(refused, "leases are given although nothing can be written")
        same(refused["code"], "store")
        same((h.status()["store"], h.show(lease)["state"], job.alive()), ("failed", "active", True))
        os.remove(h.state + "/filler")
        until(lambda: h.api("POST", "/v1/leases", {**ASK, "profile": "1g.10gb", "wait": 0})[0] == 200, "service again")
        same((h.status()["store"], h.show(lease)["state"], job.alive()), ("ok", "active", True))
        h.sound()
        h.finish()
        h.stop()
    except BaseException:
        h.show_log()
        raise
    finally:
        if mounted:
            if h.fettad:
                h.crash()
            subprocess.run(["umount", "-l", h.state], check=True)
        h.close(sound=False)


@test
def no_driver_at_all():
    with House(fettad=False) as h:
        h.kill_emud()
        h.start()
        code, text = h.refused("POST", "/v1/leases", {**ASK, "profile": "1g.10gb"})
        has(text, "fetta emulate")
        same(h.status()["gpus"], [])
        h.start_emud()
        until(lambda: len(h.status()["gpus"]) == 8, "the GPUs")
        h.new(profile="1g.10gb")


@test
def no_library():
    with House(fettad=False) as h:
        h.config("")
        with open(h.config_path, "w", encoding="utf-8") as f:
            f.write("nvml: /nonexistent/libnvidia-ml.so.1\n")
        h.start()
        has(h.refused("POST", "/v1/leases", {**ASK, "profile": "1g.10gb"})[1], "no GPU", "fetta emulate")
        same(h.status()["gpus"], [])


main()
