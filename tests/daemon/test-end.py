"""How leases end: by time, by request, by an operator; warnings, grace, kill, and who may do it."""
import os
import signal
import time

from rig import NOBODY, ROOT, House, Job, Skip, check, main, same, test, until


@test
def time_is_up():
    with House() as h:
        job = Job(h, {"profile": "1g.10gb", "for": "1s"})
        lease = job.lease()
        check(0 < lease["ends"] - lease["started"] < 1.2, lease)
        over = h.ended(lease["id"])
        same(over["why"], "time")
        same(job.wait(), -signal.SIGTERM)
        check(over["ended"] - lease["ends"] < 2, "ended late", over["ended"] - lease["ends"])


@test
def deaf_processes_are_killed_after_the_grace():
    with House() as h:
        job = Job(h, {"profile": "1g.10gb", "for": "500ms", "grace": "1s"}, deaf=True, children=1)
        lease = job.lease()
        until(lambda: h.show(lease["id"])["state"] == "ending", "its end")
        check(job.alive(), "killed without grace")
        over = h.ended(lease["id"])
        same((over["why"], job.wait()), ("time", -signal.SIGKILL))
        passed = over["ended"] - lease["ends"]
        check(0.9 < passed < 5, "grace took", passed)


@test
def grace_is_not_waited_for_without_need():
    with House() as h:
        lease = Job(h, {"profile": "1g.10gb", "grace": "10m"}).lease()["id"]
        began = time.monotonic()
        h.end(lease)
        check(time.monotonic() - began < 5)


@test
def an_operator_may_skip_the_grace():
    with House() as h:
        job = Job(h, {"profile": "1g.10gb", "grace": "10m"}, deaf=True)
        lease = job.lease()["id"]
        h.ok("DELETE", f"/v1/leases/{lease}")
        until(lambda: h.show(lease)["state"] == "ending", "ending")
        h.ok("DELETE", f"/v1/leases/{lease}?now=1")
        same(h.ended(lease)["state"], "ended")
        same(job.wait(), -signal.SIGKILL)


@test
def a_signal_ahead_of_the_end():
    with House() as h:
        # A job that does not know the signal dies of it, well before its time is up.
        job = Job(h, {"profile": "1g.10gb", "for": "60s", "signal": "USR1@59s"})
        lease = job.lease()
        same(lease["signal"], "USR1@59s")
        same(job.wait(), -signal.SIGUSR1)
        same(h.ended(lease["id"])["why"], "done")


@test
def extending():
    with House(config="manage: all\nmax_for: 2h\ndefault_for: 1h\n") as h:
        lease = h.ok("POST", "/v1/leases", {"profile": "1g.10gb", "bind": "none", "for": "30m"})["lease"]
        after = h.ok("POST", f"/v1/leases/{lease['id']}/extend", {"by": "30m"})["lease"]
        check(abs(after["ends"] - lease["ends"] - 1800) < 1, after["ends"] - lease["ends"])
        default = Job(h, {"profile": "1g.10gb"}).lease()
        check(abs(default["ends"] - default["started"] - 3600) < 1, "without 'for' it is default_for")
        same(h.refused("POST", "/v1/leases", {"profile": "1g.10gb", "for": "3h"})[0], "invalid")
        same(h.refused("POST", "/v1/leases/999/extend", {"by": "1h"})[0], "not-found")
        same(h.refused("POST", f"/v1/leases/{lease['id']}/extend", {"by": 0})[0], "invalid")
        same(h.refused("POST", f"/v1/leases/{lease['id']}/extend", {})[0], "invalid")


@test
def extended_before_the_end_it_lives_on():
    with House() as h:
        job = Job(h, {"profile": "1g.10gb", "for": "1s"})
        lease = job.lease()["id"]
        h.ok("POST", f"/v1/leases/{lease}/extend", {"by": "1h"})
        time.sleep(1.5)
        same(h.show(lease)["state"], "active")
        check(job.alive())


@test
def max_for_binds_users_not_operators():
    if not ROOT:
        raise Skip("needs root, to be an ordinary user")
    with House(config="manage: all\nmax_for: 2h\n") as h:
        lease = Job(h, {"profile": "1g.10gb", "for": "90m"}, uid=NOBODY).lease()["id"]
        check(h.refused("POST", f"/v1/leases/{lease}/extend", {"by": "1h"}, uid=NOBODY)[1])
        h.ok("POST", f"/v1/leases/{lease}/extend", {"by": "30m"}, uid=NOBODY)
        h.ok("POST", f"/v1/leases/{lease}/extend", {"by": "5h"})


@test
def time_goes_on_while_the_daemon_is_down():
    with House() as h:
        job = Job(h, {"profile": "1g.10gb", "for": "1s"})
        lease = job.lease()["id"]
        h.crash()
        time.sleep(1.2)
        check(job.alive(), "without a daemon nobody ends it")
        h.start()
        same(h.ended(lease)["why"], "time")
        same(job.wait(), -signal.SIGTERM)


@test
def an_end_under_way_goes_on_after_a_crash():
    with House() as h:
        job = Job(h, {"profile": "1g.10gb", "grace": "2s"}, deaf=True)
        lease = job.lease()["id"]
        h.ok("DELETE", f"/v1/leases/{lease}")
        h.crash()
        h.start()
        over = h.ended(lease)
        same((over["why"], job.wait()), ("released", -signal.SIGKILL))


@test
def others_may_not_end_or_extend():
    if not ROOT:
        raise Skip("needs root, to be two users")
    with House() as h:
        lease = Job(h, {"profile": "1g.10gb", "for": "1h"}, uid=NOBODY).lease()["id"]
        for method, path, body in (("DELETE", f"/v1/leases/{lease}", None),
                                   ("POST", f"/v1/leases/{lease}/extend", {"by": "1h"}),
                                   ("POST", f"/v1/leases/{lease}/attach", {})):
            same(h.refused(method, path, body, uid=1234)[0], "no-permission", f"{method} {path}")
        same(h.refused("DELETE", f"/v1/leases/{lease}?now=1", uid=NOBODY)[0], "no-permission")
        h.ok("DELETE", f"/v1/leases/{lease}?now=1")
        same(h.ended(lease)["why"], "operator")


@test
def history_and_exit_status():
    with House() as h:
        job = Job(h, {"profile": "1g.10gb", "command": "make world"})
        lease = job.lease()["id"]
        h.ok("POST", f"/v1/leases/{lease}/exit", {"status": 3})
        job.kill()
        h.ended(lease)
        past = h.ok("GET", "/v1/leases?all=1")["leases"]
        same([(x["id"], x["state"], x["exit_status"], x["command"]) for x in past], [(lease, "ended", 3, "make world")])
        h.restart()
        same(h.show(lease)["exit_status"], 3)
        same(h.refused("POST", f"/v1/leases/{lease}/exit", {"status": 256})[0], "invalid")
        same(h.refused("GET", "/v1/leases/4000")[0], "not-found")


@test
def attach_joins_a_lease():
    """A process that was attached is ended with the lease."""
    with House() as h:
        lease = Job(h, {"profile": "1g.10gb"}).lease()
        r, w = os.pipe()
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.environ["FETTA_LEASE"], os.environ["FETTA_SOCKET"] = str(lease["id"]), h.socket
            os.read(r, 1)
            os.execvp("sleep", ["sleep", "3600"])
        try:
            shown = h.ok("POST", f"/v1/leases/{lease['id']}/attach", {"pid": child})["lease"]
            os.write(w, b"x")
            if shown["confined"]:
                with open(f"/proc/{child}/cgroup", encoding="ascii") as f:
                    check(f".{lease['id']}\n" in f.read(), "it is not in the lease's cgroup")
            until(lambda: os.readlink(f"/proc/{child}/exe").endswith("sleep"), "exec")
            h.end(lease["id"])
            until(lambda: os.waitpid(child, os.WNOHANG)[0] == child, "end of what was attached")
        finally:
            os.close(r)
            os.close(w)


main()
