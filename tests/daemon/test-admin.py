"""What operators do: drain, manage, layouts, configuration; and who may do and see what."""
import os
import signal
import time

from rig import NOBODY, ROOT, House, Job, Skip, check, has, main, same, test, until

SEVEN = {"devices": [0], "mig-enabled": True, "mig-devices": {"1g.10gb": 7}}


def profiles(h, index):
    return sorted(s["profile"] for s in h.gpu(index)["slices"])


def idle(h, index, want):
    until(lambda: profiles(h, index) == want and all(s["state"] == "idle" for s in h.gpu(index)["slices"]), f"{want} on GPU {index}")


@test
def drain_and_resume():
    with House("2xa100-80") as h:
        lease = h.new(profile="1g.10gb", gpu="0")["id"]
        reply = h.ok("POST", "/v1/drain", {"gpus": "0", "reason": "new fan"})
        same(reply["gpus"], [{"gpu": 0, "leases": [lease]}])
        same((h.gpu(0)["drained"], h.gpu(0)["drain_reason"], h.gpu(0)["free"]["1g.10gb"]), (True, "new fan", 0))
        same(h.show(lease)["state"], "active", "running leases stay")
        same(h.new(profile="1g.10gb")["slices"][0]["gpu"], 1)
        same(h.refused("POST", "/v1/leases", {"profile": "1g.10gb", "gpu": "0", "wait": 0, "bind": "none", "for": "1h"})[0], "no-fit")
        waiting = Job(h, {"profile": "1g.10gb", "gpu": "0"})
        until(lambda: h.status()["queue"], "queue")
        h.crash()
        h.start()
        same((h.gpu(0)["drained"], h.gpu(0)["drain_reason"]), (True, "new fan"), "after a crash")
        waiting.alive()
        h.ok("POST", "/v1/drain", {"gpus": "0", "on": False})
        same(h.gpu(0)["drained"], False)
        h.new(profile="1g.10gb", gpu="0")
        same(h.refused("POST", "/v1/drain", {"gpus": "7"})[0], "not-found")
        same(h.refused("POST", "/v1/drain", {"gpus": "x"})[0], "invalid")


@test
def resume_serves_who_waits():
    with House("1xa100-80") as h:
        h.ok("POST", "/v1/drain", {"gpus": "all"})
        job = Job(h, {"profile": "1g.10gb"})
        until(lambda: h.status()["queue"], "queue")
        h.ok("POST", "/v1/drain", {"gpus": "all", "on": False})
        job.lease()


@test
def nothing_is_managed_unasked():
    with House("2xa100-80", config="") as h:
        same([g["managed"] for g in h.status()["gpus"]], [False, False])
        code, text = h.refused("POST", "/v1/leases", {"profile": "1g.10gb", "bind": "none", "for": "1h"})
        same(code, "never-fits")
        has(text, "fetta manage", "on them now: no instance")
        for profile in (19, 19, 9):
            h.smi("create", 0, profile)
        until(lambda: h.gpu(0)["slices"], "the foreign instances")
        until(lambda: "on them now: 1g.10gb x 2, 3g.40gb on GPU 0; none on 1"
              in h.refused("POST", "/v1/leases", {"profile": "1g.10gb", "bind": "none", "for": "1h"})[1], "their names in the refusal")
        h.ok("POST", "/v1/manage", {"gpus": "1"})
        same([g["managed"] for g in h.status()["gpus"]], [False, True])
        same(h.new(profile="1g.10gb")["slices"][0]["gpu"], 1)
        h.restart()
        same([g["managed"] for g in h.status()["gpus"]], [False, True], "after a restart")
        until(lambda: len(h.gpu(0)["slices"]) == 3, "the foreign instances")


@test
def somebody_was_quicker():
    with House("1xa30") as h:
        # Both take the same place; fettad hears of the other's instance only when it has been refused.
        os.kill(h.fettad.pid, signal.SIGSTOP)
        foreign = int(h.smi("create", 0, 14).split()[0])
        job = Job(h, {"profile": "1g.6gb", "wait": 0})
        time.sleep(0.05)
        os.kill(h.fettad.pid, signal.SIGCONT)
        lease = job.lease()
        same(lease["state"], "active")
        check(lease["slices"][0]["gi"] != foreign, lease)
        same(sorted((s["gi"], s["state"]) for s in h.gpu(0)["slices"]), sorted([(foreign, "foreign"), (lease["slices"][0]["gi"], "leased")]))
        job.kill()


@test
def manage_none():
    with House("2xa100-80") as h:
        lease = h.new(profile="1g.10gb")["id"]
        before = h.instances()
        code, text = h.refused("POST", "/v1/manage", {"gpus": "none"})
        same(code, "in-use")
        has(text, f"lease {lease}")
        same([g["managed"] for g in h.status()["gpus"]], [True, True], "refused means that nothing was changed")
        same((h.show(lease)["state"], h.instances()), ("active", before))
        h.end(lease)
        h.ok("POST", "/v1/manage", {"gpus": "none"})
        has(h.refused("POST", "/v1/leases", {"profile": "1g.10gb", "bind": "none", "for": "1h"})[1], "fetta manage all")
        h.ok("POST", "/v1/manage", {"gpus": "all"})
        h.new(profile="1g.10gb")


@test
def foreign_instances_are_left_alone():
    with House("1xa100-80") as h:
        gi = int(h.smi("create", 0, 9, 0))
        until(lambda: [s["state"] for s in h.gpu(0)["slices"]] == ["foreign"], "the foreign instance")
        foreign = h.instances()
        same(h.refused("POST", "/v1/leases", {"profile": "7g.80gb", "wait": 0, "bind": "none", "for": "1h"})[0], "no-fit")
        verdict = h.ok("POST", "/v1/explain", {"profile": "7g.80gb"})
        same(verdict["gpus"][0]["reason"], "foreign")
        leases = [h.new(profile="1g.10gb")["id"] for _ in range(3)]
        for lease in leases:
            h.end(lease)
        h.restart(9)
        check(set(foreign.items()) <= set(h.instances().items()), "it was touched")
        h.smi("destroy", 0, gi)
        until(lambda: all(s["state"] != "foreign" for s in h.gpu(0)["slices"]), "its end")
        h.new(profile="7g.80gb")


@test
def an_instance_destroyed_behind_our_back_ends_its_lease():
    with House("1xa100-80") as h:
        lease = h.new(profile="1g.10gb")
        h.smi("destroy", 0, lease["slices"][0]["gi"])
        same(h.ended(lease["id"])["why"], "vanished")


@test
def layout_applied_exported_asserted():
    with House("2xa100-80") as h:
        same(h.refused("POST", "/v1/layout", {"specs": [SEVEN], "assert": True})[0], "wrong-state")
        plan = h.ok("POST", "/v1/layout", {"specs": [SEVEN], "dry_run": True})
        same((plan["changed"], h.instances()), (True, {}))
        h.ok("POST", "/v1/layout", {"specs": [SEVEN]})
        idle(h, 0, ["1g.10gb"] * 7)
        same(len(h.instances()), 7)
        same(h.ok("POST", "/v1/layout", {"specs": [SEVEN], "assert": True})["changed"], False)
        same(h.ok("POST", "/v1/layout", {"specs": [SEVEN]})["changed"], False, "again")
        out = h.ok("GET", "/v1/layout")
        same(out["fixed"], [0])
        has([(s["devices"], s["mig-enabled"], s["mig-devices"]) for s in out["specs"]], ([0], True, {"1g.10gb": 7}))
        # A fixed layout is leased, and never cut anew for another wish.
        same(h.refused("POST", "/v1/leases", {"profile": "2g.20gb", "gpu": "0", "wait": 0, "bind": "none", "for": "1h"})[0] in ("no-fit", "never-fits"), True)
        lease = h.new(profile="1g.10gb", gpu="0")
        h.end(lease["id"])
        idle(h, 0, ["1g.10gb"] * 7)
        h.ok("POST", "/v1/dynamic", {"gpus": "0"})
        same(h.new(profile="2g.20gb", gpu="0", wait="20s")["state"], "active")


@test
def a_fixed_layout_is_restored():
    with House("1xa100-80") as h:
        h.ok("POST", "/v1/layout", {"specs": [SEVEN]})
        idle(h, 0, ["1g.10gb"] * 7)
        h.stop()
        h.kill_emud()
        h.start_emud()
        same(h.instances(), {}, "instances do not survive a driver")
        h.start()
        idle(h, 0, ["1g.10gb"] * 7)


@test
def layout_over_leased_slices():
    with House("2xa100-80") as h:
        lease = Job(h, {"profile": "3g.40gb", "gpu": "1"}).lease()["id"]
        before = h.instances()
        specs = [{"devices": "all", "mig-enabled": True, "mig-devices": {"1g.10gb": 7}}]
        code, text = h.refused("POST", "/v1/layout", {"specs": specs})
        same(code, "in-use")
        has(text, str(lease))
        same(h.instances(), before, "refused means that nothing was changed")
        same([g["fixed"] for g in h.status()["gpus"]], [False, False])
        h.ok("POST", "/v1/layout", {"specs": specs, "force": True})
        same(h.ended(lease)["why"], "forced")
        idle(h, 1, ["1g.10gb"] * 7)


@test
def leased_slices_that_fit_the_layout_stay():
    with House("1xa100-80") as h:
        lease = h.new(profile="3g.40gb")
        h.ok("POST", "/v1/layout", {"specs": [{"devices": [0], "mig-enabled": True, "mig-devices": {"3g.40gb": 2}}]})
        until(lambda: profiles(h, 0) == ["3g.40gb"] * 2, "both")
        same(h.show(lease["id"])["state"], "active")
        h.end(lease["id"])


@test
def impossible_layouts():
    with House("1xa100-80,1xa30") as h:
        for spec, part in (({"devices": [0], "mig-enabled": True, "mig-devices": {"3g.40gb": 2, "1g.10gb": 1}}, "GPU 0"),
                           ({"devices": [0], "mig-enabled": True, "mig-devices": {"1g.6gb": 1}}, "GPU 0 (a100-80) has no profile '1g.6gb'"),
                           ({"devices": [0], "mig-enabled": True, "mig-devices": {"1g.10gb": 8}}, "0 to 7"),
                           ({"devices": [0], "mig-enabled": True, "mig-devices": {"1g.10gb": -1}}, "0 to 7"),
                           ({"devices": [5], "mig-enabled": True, "mig-devices": {}}, "no GPU 5"),
                           ({"devices": "some", "mig-enabled": True, "mig-devices": {}}, "devices"),
                           ({"devices": [0], "mig-enabled": False, "mig-devices": {"1g.10gb": 1}}, "mig-enabled is false"),
                           ({"devices": [0], "mig-enabled": True}, "mig-devices is required"),
                           ({"devices": [0], "mig-enabled": True, "mig-devices": {}, "mig-color": 1}, "mig-color")):
            code, text = h.refused("POST", "/v1/layout", {"specs": [spec]})
            same(code, "invalid", spec)
            has(text, part)
        same(h.instances(), {})
        only = {"device-filter": "0x20B710DE", "devices": "all", "mig-enabled": True, "mig-devices": {"1g.6gb": 4}}
        h.ok("POST", "/v1/layout", {"specs": [only]})
        idle(h, 1, ["1g.6gb"] * 4)
        same(h.gpu(0)["slices"], [])


@test
def operators_and_others():
    if not ROOT:
        raise Skip("needs root, to be somebody else")
    with House() as h:
        for path, body in (("/v1/drain", {"gpus": "0"}), ("/v1/manage", {"gpus": "none"}), ("/v1/pool", {"gpus": "0", "pool": "whole"}),
                           ("/v1/layout", {"specs": [SEVEN]}), ("/v1/dynamic", {"gpus": "0"}), ("/v1/reload", {})):
            code, text = h.refused("POST", path, body, uid=NOBODY)
            same(code, "no-permission", path)
            has(text, "operators")
        for ask in ({"priority": 1}, {"owner": "kube:ns"}):
            same(h.refused("POST", "/v1/leases", {"profile": "1g.10gb", **ask}, uid=NOBODY)[0], "no-permission")
        import grp
        h.config(f"manage: all\noperators: [{grp.getgrgid(NOBODY).gr_name}]\n")
        h.ok("POST", "/v1/reload")
        h.ok("POST", "/v1/drain", {"gpus": "0"}, uid=NOBODY)
        same(h.refused("POST", "/v1/leases", {"profile": "1g.10gb", "owner": "kube:ns"}, uid=NOBODY)[0], "no-permission", "an operator is not root")
        same(h.refused("POST", "/v1/drain", {"gpus": "0"}, uid=1234)[0], "no-permission")


@test
def named_owners():
    with House() as h:
        lease = h.new(profile="1g.10gb", owner="kube:team-a", key="pod-7")
        same(lease["owner"], "kube:team-a")
        h.restart(9)
        same(h.show(lease["id"])["owner"], "kube:team-a")
        same(h.refused("POST", "/v1/leases", {"profile": "1g.10gb", "owner": "nonsense", "bind": "none", "for": "1h"})[0], "invalid")
        h.ok("DELETE", "/v1/leases?key=pod-7&owner=kube:team-a")
        h.ended(lease["id"])


@test
def placement_follows_the_configuration():
    with House("2xa100-80") as h:
        same(h.status()["placement"], "fgd-fill")
        # The GPU that is in use already is filled up, by default; worst-fit takes the other one.
        first = h.new(profile="1g.10gb")["slices"][0]["gpu"]
        same(h.new(profile="1g.10gb")["slices"][0]["gpu"], first)
        h.config("manage: all\nplacement: worst-fit\n")
        h.ok("POST", "/v1/reload")
        same(h.status()["placement"], "worst-fit")
        same(h.new(profile="1g.10gb")["slices"][0]["gpu"], 1 - first)
        h.config("manage: all\nplacement: tightest\n")
        same(h.refused("POST", "/v1/reload")[0], "invalid")
        h.config("manage: all\nplacement: worst-fit\n")
        h.restart(9)
        same(h.status()["placement"], "worst-fit")


@test
def privacy():
    if not ROOT:
        raise Skip("needs root, to be two users")
    with House(config="manage: all\nprivacy: true\n") as h:
        lease = Job(h, {"profile": "1g.10gb", "command": "secret.py"}, uid=NOBODY).lease()["id"]
        def seen(uid):
            listed = h.ok("GET", "/v1/leases", uid=uid)["leases"][0]
            status = h.ok("GET", "/v1/status", uid=uid)["leases"][0]
            return listed["owner"], listed["command"], status["owner"], status.get("user")
        same(seen(1234), (None, None, None, None))
        same(seen(NOBODY)[:2], (f"uid:{NOBODY}", "secret.py"))
        same(seen(0)[:3], (f"uid:{NOBODY}", "secret.py", f"uid:{NOBODY}"))
        same(h.refused("GET", "/v1/leases?all=x&limit=0", uid=1234)[0], "invalid")
        h.end(lease)
        same(h.ok("GET", "/v1/leases?all=1", uid=1234)["leases"], [])
        same(h.refused("GET", f"/v1/leases/{lease}", uid=1234)[0], "no-permission")
        same(len(h.ok("GET", "/v1/leases?all=1", uid=NOBODY)["leases"]), 1)


def within(part, whole):
    """Whether `part` says nothing that `whole` does not say."""
    if isinstance(part, list):
        return len(part) == len(whole) and all(map(within, part, whole))
    if isinstance(part, dict):
        return all(k in whole and within(v, whole[k]) for k, v in part.items())
    return part == whole


@test
def a_brief_status_says_the_same_in_less():
    with House() as h:
        leases = [h.new(profile=p) for p in ("3g.40gb", "1g.10gb", "1g.10gb")] + [h.new(gpus=1)]
        h.end(leases[1]["id"])
        h.ended(leases[1]["id"])
        whole, brief = h.status(), h.ok("GET", "/v1/status?brief=1")
        same(h.ok("GET", "/v1/status?brief=0").keys(), whole.keys())
        for status in (whole, brief):
            status.pop("now")
        check(within(brief, whole), brief, "is not in", whole)
        check(len(str(brief)) < 0.7 * len(str(whole)), "is hardly shorter", len(str(brief)), len(str(whole)))
        for gpu, full in zip(brief["gpus"], whole["gpus"]):
            empty = {k for k, v in full.items() if v is None or v is False or v == ""}
            same(set(full) - set(gpu), empty | {"uuid", "board", "compute_slices", "memory_bytes"})
        same([(l["id"], l["state"], l["slices"][0].get("start")) for l in brief["leases"]],
             [(l["id"], l["state"], l["slices"][0]["start"]) for l in whole["leases"]])
        # A change shows at once in both.
        h.end(leases[0]["id"])
        h.ended(leases[0]["id"])
        same(len(h.ok("GET", "/v1/status?brief=1")["leases"]), 2)


@test
def commands_are_the_owners():
    if not ROOT:
        raise Skip("needs root, to be two users")
    with House() as h:
        lease = Job(h, {"profile": "1g.10gb", "command": "secret.py"}, uid=NOBODY).lease()["id"]
        other = h.ok("GET", f"/v1/leases/{lease}", uid=1234)["lease"]
        same((other["owner"], other["command"], other["mine"]), (f"uid:{NOBODY}", None, False))


@test
def quotas():
    if not ROOT:
        raise Skip("needs root, to be two users")
    with House(config="manage: all\nquotas: {default: {slices: 2, max_for: 1h}}\n") as h:
        jobs = [Job(h, {"profile": "1g.10gb"}, uid=NOBODY) for _ in range(2)]
        for job in jobs:
            lease = job.lease()
            check(lease["ends"] is None or lease["ends"] - lease["started"] <= 3600.5, "longer than its quota", lease)
        third = Job(h, {"profile": "1g.10gb"}, uid=NOBODY)
        until(lambda: h.status()["queue"], "the third to wait")
        Job(h, {"profile": "1g.10gb"}, uid=1234).lease()
        same(h.refused("POST", "/v1/leases", {"profile": "1g.10gb", "count": 3}, uid=NOBODY)[0], "quota")
        same(h.refused("POST", "/v1/leases", {"profile": "1g.10gb", "for": "2h"}, uid=NOBODY)[0], "invalid")
        jobs[0].kill()
        third.lease()


@test
def explaining_agrees_with_asking():
    with House("2xa100-80") as h:
        h.new(profile="3g.40gb", gpu="0")
        h.new(profile="7g.80gb", gpu="1")
        for profile in ("1g.10gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"):
            verdict = h.ok("POST", "/v1/explain", {"profile": profile})
            status, _ = h.api("POST", "/v1/leases", {"profile": profile, "wait": 0, "bind": "none", "for": "1h"})
            same(verdict["verdict"], "fits" if status == 200 else "wait", f"{profile}: {verdict}")
            for lease in [x["id"] for x in h.status()["leases"]][2:]:
                h.end(lease)
        check(h.ok("POST", "/v1/explain", {"profile": "7g.80gb"})["gpus"][1]["blockers"], "who is in the way")
        same(h.refused("POST", "/v1/explain", {"profile": "nonsense"})[0], "invalid")


@test
def explaining_says_what_would_have_to_move():
    with House("2xa100-80") as h:
        fixed = h.new(profile="1g.10gb", gpu="0")
        movable = h.new(profile="1g.10gb", gpu="1", movable=True)
        start = movable["slices"][0]["start"]
        same(h.ok("POST", "/v1/explain", {"profile": "1g.10gb"})["rescue"], None)
        rescue = h.ok("POST", "/v1/explain", {"profile": "7g.80gb"})["rescue"]
        same((rescue["answer"], rescue["compute"], len(rescue["moves"])), ("moves", 1, 1))
        move = rescue["moves"][0]
        same((move["lease"], move["from"], move["to"]["gpu"]), (movable["id"], {"gpu": 1, "start": start}, 0))
        has(rescue["text"], f"1 move would do, cost 0.25 GPC-s: lease {movable['id']} from GPU 1 slice {start} to GPU 0 slice ")
        same(rescue["slices"], [{"gpu": 1, "start": 0}])
        # Two of them have no room whatever moves; what is not movable stays.
        two = h.ok("POST", "/v1/explain", {"profile": "7g.80gb", "count": 2})["rescue"]
        same((two["answer"], two["moves"]), ("none", []))
        has(two["text"], "no repacking exists, not even if every running lease could be moved")
        h.end(movable["id"])
        h.new(profile="1g.10gb", gpu="1")
        stuck = h.ok("POST", "/v1/explain", {"profile": "7g.80gb"})["rescue"]
        same((stuck["answer"], stuck["if_movable"]["answer"]), ("none", "moves"))
        has(stuck["text"], "no repacking exists; if running leases could be moved (--movable): 1 move would do", f"lease {fixed['id']} from")
        same(h.ok("POST", "/v1/explain", {"gpus": 1})["rescue"]["if_movable"]["answer"], "moves")


main()
