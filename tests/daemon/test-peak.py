"""How much memory a lease had in use at most: seen through the driver, kept through stops, told by history."""
import csv
import io
import subprocess
import time

from rig import FETTA, House, check, has, main, same, test, until

GIB = 1 << 30
SAMPLED = "manage: all\nsample: 100ms\n"


def hold(h, lease, mib, slice_=0):
    return h.hold("hold", lease["slices"][slice_]["uuid"], mib)


def drop(h, holder):
    holder.kill()
    holder.wait()
    h.holds.remove(holder)


def past(h, lease, query=""):
    return next(x for x in h.ok("GET", "/v1/history?limit=1000" + query)["leases"] if x["id"] == lease["id"])


def seen(lease):
    return lease["peak_bytes"], lease["would_fit"] and lease["would_fit"]["profile"]


@test
def looked_at_now_and_then():
    with House("1xa100-80", config=SAMPLED) as h:
        one = h.new(profile="3g.40gb")
        same((one["peak_bytes"], one["peak_looks"], one["would_fit"]), (None, 0, None), "nobody looked yet")
        first = hold(h, one, 6 * 1024)
        until(lambda: h.show(one["id"])["peak_bytes"] == 6 * GIB, "the first process is seen")
        second = hold(h, one, 5 * 1024)
        until(lambda: h.show(one["id"])["peak_bytes"] == 11 * GIB, "both are seen")
        same(h.show(one["id"])["would_fit"]["profile"], "1g.20gb", "a tenth more than 11 GiB")
        drop(h, first)
        drop(h, second)
        looks = h.show(one["id"])["peak_looks"]
        until(lambda: h.show(one["id"])["peak_looks"] > looks, "a look at the empty slice")
        same(h.show(one["id"])["peak_bytes"], 11 * GIB, "a peak stays")
        h.end(one["id"])
        was = past(h, one)
        same(seen(was), (11 * GIB, "1g.20gb"))
        same(was["would_fit"], {"profile": "1g.20gb", "compute": 1, "memory_bytes": 19968 << 20})
        check(was["peak_looks"] > looks, was)
        same((was["slices"][0]["compute"], was["slices"][0]["compute_of"]), (3, 7))


def fetta(h, *words):
    done = subprocess.run([FETTA, *words], env={**h.env, "FETTA_SOCKET": h.socket}, capture_output=True, text=True)
    same((done.returncode, done.stderr), (0, ""), words)
    return done.stdout


@test
def what_people_see():
    with House("1xa100-80", config=SAMPLED) as h:
        one, two = h.new(profile="2g.20gb"), h.new(profile="1g.10gb")
        hold(h, one, 2560)
        until(lambda: h.show(one["id"])["peak_bytes"], "it is seen")
        has(fetta(h, "lease", "show", str(one["id"])), "peak seen", "2.5 GiB in ", "would fit in 1g.10gb")
        h.end(one["id"])
        h.end(two["id"])
        has(fetta(h, "history"), "PEAK SEEN", "WOULD FIT", "2.5 GiB", "1g.10gb")
        rows = list(csv.DictReader(io.StringIO(fetta(h, "history", "--csv"), newline="")))
        same((rows[0]["peak_bytes"], rows[0]["would_fit"]), (str(2560 << 20), "1g.10gb"))
        check(int(rows[0]["peak_looks"]) > 0 and rows[1]["peak_bytes"] in ("", "0"), rows)
        same(rows[1]["would_fit"], "")


@test
def the_fullest_of_several_slices():
    with House("1xa100-80", config=SAMPLED) as h:
        one = h.new(profile="2g.20gb", count=2)
        other = h.new(profile="1g.10gb")
        hold(h, one, 1024, 0)
        hold(h, one, 3 * 1024, 1)
        until(lambda: h.show(one["id"])["peak_bytes"] == 3 * GIB, "the second slice is the fuller one")
        hold(h, one, 4 * 1024, 0)
        until(lambda: h.show(one["id"])["peak_bytes"] == 5 * GIB, "now the first is")
        until(lambda: h.show(other["id"])["peak_looks"] > 0, "a look at the empty one")
        same(seen(h.show(other["id"])), (0, None), "nothing is in use on the neighbour's")


@test
def a_whole_gpu():
    with House("1xa100-80", config=SAMPLED) as h:
        one = h.new(gpus=1)
        hold(h, one, 30 * 1024)
        until(lambda: h.show(one["id"])["peak_bytes"] == 30 * GIB, "it is seen")
        same(h.show(one["id"])["would_fit"]["profile"], "3g.40gb")
    with House("dgx-spark", config=SAMPLED) as h:
        one = h.new(gpus=1)
        hold(h, one, 30 * 1024)
        until(lambda: h.show(one["id"])["peak_bytes"] == 30 * GIB, "it is seen where memory is the host's")
        same(h.show(one["id"])["would_fit"], None, "there are no slices")


@test
def nobody_looks_without_a_cause():
    with House("1xa100-80") as h:
        one, two = h.new(profile="1g.10gb"), h.new(profile="1g.10gb")
        hold(h, one, 2 * 1024)
        time.sleep(0.5)
        same(h.show(one["id"])["peak_looks"], 0, "no sample was asked for")
        h.end(two["id"])
        same(seen(h.show(one["id"])), (2 * GIB, None), "the end of a neighbour is a look")
        same(past(h, two)["peak_bytes"], None, "nobody looked while it lived")


@test
def ended_by_the_time():
    with House("1xa100-80") as h:
        one = h.new(profile="2g.20gb", **{"for": "1s"})
        hold(h, one, 7 * 1024)
        same(h.ended(one["id"])["why"], "time")
        same(seen(past(h, one)), (7 * GIB, "1g.10gb"), "it was looked at before its processes ended")


@test
def kept_when_the_daemon_stops():
    with House("1xa100-80", config=SAMPLED) as h:
        one = h.new(profile="2g.20gb")
        holder = hold(h, one, 9 * 1024)
        until(lambda: h.show(one["id"])["peak_bytes"] == 9 * GIB, "it is seen")
        drop(h, holder)
        h.config("manage: all\n")
        h.restart()
        same(h.ok("GET", "/v1/history?live=1")["leases"][0]["peak_bytes"], 9 * GIB, "of a live lease, from the store")
        hold(h, one, 1024)
        h.end(h.new(profile="1g.10gb")["id"])
        until(lambda: h.show(one["id"])["peak_looks"] > 0, "a look of the new daemon")
        same(h.show(one["id"])["peak_bytes"], 9 * GIB, "what the old one saw counts on")
        h.end(one["id"])
        same(past(h, one)["peak_bytes"], 9 * GIB)


@test
def the_period_is_read_again():
    with House("1xa100-80") as h:
        one = h.new(profile="1g.10gb")
        hold(h, one, 1024)
        h.config(SAMPLED)
        h.ok("POST", "/v1/reload")
        until(lambda: h.show(one["id"])["peak_bytes"] == GIB, "a look since the reload")
        h.config("sample: 50ms\n")
        code, text = h.refused("POST", "/v1/reload")
        same(code, "invalid")
        has(text, "sample", "100ms")


@test
def looks_at_the_machine_go_before():
    """Where asking all GPUs takes longer than the period, fettad still sees what somebody else does."""
    with House("dgx-a100", config=SAMPLED) as h:
        leases = [h.new(gpu=str(gpu), profile="1g.10gb") for gpu in range(8)]
        h.ctl("delay", "nvmlDeviceGetComputeRunningProcesses_v3", 40, 0)
        hold(h, leases[7], 1024)
        until(lambda: h.show(leases[7]["id"])["peak_bytes"] == GIB, "the last GPU is looked at")
        h.smi("create", 0, 19)
        until(lambda: any(s["state"] == "foreign" for s in h.gpu(0)["slices"]), "the foreign instance is seen")


@test
def live_leases_beside_past_ones():
    with House("1xa100-80") as h:
        one, two = h.new(profile="1g.10gb"), h.new(profile="1g.10gb")
        h.end(one["id"])
        same([x["id"] for x in h.ok("GET", "/v1/history")["leases"]], [one["id"]])
        both = h.ok("GET", "/v1/history?live=1")["leases"]
        same([(x["id"], x["state"], x["ended"] is None) for x in both],
             [(one["id"], "ended", False), (two["id"], "active", True)])
        same(h.ok("GET", f"/v1/history?live=1&since={int(time.time()) + 3600}")["leases"][0]["id"], two["id"])


main()
