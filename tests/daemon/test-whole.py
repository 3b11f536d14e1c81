"""Whole GPUs, pools, MIG mode, and machines without MIG."""
from rig import DEEP, House, Job, check, has, main, same, test, until

ASK = {"bind": "none", "for": "1h"}


@test
def whole_gpus_have_mig_off():
    with House("2xa100-80") as h:
        lease = h.new(gpus=1)
        slice_ = lease["slices"][0]
        same((lease["kind"], slice_["profile"], slice_["gi"], slice_["uuid"]), ("whole", None, None, h.gpu(slice_["gpu"])["uuid"]))
        same(h.gpu(slice_["gpu"])["mig"], "off")
        has(h.smi("list"), f"gpu {slice_['gpu']} mig 0", f"gpu {1 - slice_['gpu']} mig 1")
        same(h.gpu(slice_["gpu"])["lease"], lease["id"])
        h.end(lease["id"])
        # The GPU that was whole is cut again when slices are asked for.
        for _ in range(2):
            h.new(profile="7g.80gb", wait="20s")
        same(sorted(g["mig"] for g in h.status()["gpus"]), ["on", "on"])


@test
def several_whole_gpus_all_or_none():
    with House("4xa100-80") as h:
        h.new(profile="1g.10gb")
        lease = h.new(gpus=3)
        same(len({s["gpu"] for s in lease["slices"]}), 3)
        same(h.refused("POST", "/v1/leases", {**ASK, "gpus": 1, "wait": 0})[0], "no-fit")
        h.end(lease["id"])
        same(h.refused("POST", "/v1/leases", {**ASK, "gpus": 5})[0], "never-fits")


@test
def a_whole_gpu_waits_for_an_empty_one():
    with House("1xa100-80") as h:
        slice_ = h.new(profile="1g.10gb")["id"]
        job = Job(h, {"gpus": 1})
        until(lambda: h.status()["queue"], "queue")
        h.end(slice_)
        same(job.lease()["kind"], "whole")
        same(h.gpu(0)["mig"], "off")


@test
def a_daemon_that_dies_in_a_mode_change():
    with House("2xa100-80", emud=["--latency", "nvmlDeviceSetMigMode=700"]) as h:
        job = Job(h, {"gpus": 1})
        until(lambda: h.status()["leases"], "the lease")
        h.crash()
        h.start()
        until(lambda: all(x["state"] == "active" for x in h.status()["leases"]) and not h.status()["queue"], "granted or given up")
        job.kill()
        until(lambda: not h.status()["leases"], "its end")


@test
def pools():
    with House("2xa100-80", config="manage: all\npools: {0: sliced, 1: whole}\n") as h:
        same([g["pool"] for g in h.status()["gpus"]], ["sliced", "whole"])
        same(h.new(profile="7g.80gb")["slices"][0]["gpu"], 0)
        same(h.refused("POST", "/v1/leases", {**ASK, "profile": "1g.10gb", "wait": 0})[0], "no-fit")
        same(h.new(gpus=1)["slices"][0]["gpu"], 1)
        same(h.refused("POST", "/v1/leases", {**ASK, "gpus": 1, "wait": 0})[0], "no-fit")
        same(h.refused("POST", "/v1/pool", {"gpus": "0", "pool": "round"})[0], "invalid")
    with House("2xa100-80") as h:
        h.ok("POST", "/v1/pool", {"gpus": "all", "pool": "sliced"})
        same(h.refused("POST", "/v1/leases", {**ASK, "gpus": 1, "wait": 0})[0] in ("no-fit", "never-fits"), True)
        h.restart()
        same(h.gpu(1)["pool"], "sliced")


@test
def a_monitor_holds_a_mode_change_up():
    with House("1xa100-80") as h:
        monitor = h.hold("subscribe", 0)
        job = Job(h, {"gpus": 1})
        until(lambda: h.status()["leases"], "the lease")
        check(not job.answered(), "granted although the driver refuses the mode")
        monitor.kill()
        monitor.wait()
        if not DEEP:
            return  # a refused mode change is asked again after 30 s
        until(job.answered, "the grant", 60)
        lease = job.lease()
        same((lease["kind"], h.gpu(0)["mig"]), ("whole", "off"))


@test
def delivered_with_mig_off():
    with House("1xh100-sxm", emud=["--mig", "off"]) as h:
        same(h.gpu(0)["mig"], "off")
        h.new(profile="1g.10gb", wait="20s")
        same(h.gpu(0)["mig"], "on")


@test
def a_machine_without_mig():
    with House("dgx-spark") as h:
        same(h.gpu(0)["mig"], "none")
        first = Job(h, {"gpus": 1})
        same(first.lease()["kind"], "whole")
        second = Job(h, {"gpus": 1})
        until(lambda: h.status()["queue"], "queue")
        first.kill()
        second.lease()
        code, text = h.refused("POST", "/v1/leases", {**ASK, "profile": "1g.10gb"})
        same(code, "never-fits")
        has(text, "--gpus 1")
        code, text = h.refused("POST", "/v1/leases", {**ASK, "memory": "10GiB"})
        same(code, "never-fits")
        has(text, "--gpus 1")


@test
def a_passthrough_vm_needs_a_reset():
    """p4d.24xlarge cannot change MIG mode of its own: a whole GPU is not pretended."""
    with House("p4d.24xlarge") as h:
        h.new(profile="1g.5gb")
        status, reply = h.api("POST", "/v1/leases", {**ASK, "gpus": 1, "wait": "1s"})
        check(status != 200 or h.gpu(reply["lease"]["slices"][0]["gpu"])["mig"] == "off", reply)


main()
