"""placement: auto. What was asked for is played again by a process of its own, and the rule that wins holds from
then on, also after a crash; a process that dies before it has answered changes nothing."""
import os
import signal

from rig import Failed, House, check, has, main, same, test, until

VOTES = "manage: all\nidle_keep: 1ms\nplacement: auto\nvote: {every: 10ms, requests: 16}\n"


def ask_for(h, rounds):
    """Small slices, then a whole GPU's worth, now or never: lost where the small ones were spread out."""
    got = 0
    for _ in range(rounds):
        small = [h.new(profile="1g.10gb")["id"] for _ in range(3)]
        status, reply = h.api("POST", "/v1/leases", {"profile": "7g.80gb", "wait": "0s", "bind": "none", "for": "1h"})
        got += status == 200
        for lease in small + ([reply["lease"]["id"]] if status == 200 else []):
            h.end(lease, now=True)
    return got


def voter(h):
    """The process that votes, 0 if there is none."""
    pid = h.fettad.pid
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        for child in f.read().split():
            try:
                with open(f"/proc/{child}/comm", encoding="ascii") as comm:
                    if comm.read().strip() == "fetta-vote":
                        return int(child)
            except FileNotFoundError:
                pass
    return 0


def stepped_back(pid):
    try:
        return os.sched_getscheduler(pid) == os.SCHED_IDLE
    except ProcessLookupError:
        return False


def catch(h):
    """A voter that has stepped back, while it votes, which takes it a tenth of a second."""
    for _ in range(10):
        before = h.status()["chosen"]["vote"]
        while h.status()["chosen"]["vote"] == before:
            h.end(h.new(profile="1g.10gb")["id"], now=True)
            pid = voter(h)
            while pid and voter(h) == pid:
                if stepped_back(pid):
                    return pid
        h.restart(9)  # it was done too soon; a new daemon has not voted yet
    raise Failed("no voter was ever seen")


def voted(h):
    return until(lambda: h.status()["chosen"]["vote"], "end of a vote", 60)


@test
def the_rule_that_wins_holds_and_is_remembered():
    with House("2xa100-80", config="manage: all\nidle_keep: 1ms\nplacement: worst-fit\n") as h:
        same(ask_for(h, 1), 0, "whole GPUs had under worst-fit")
        named = h.status()["chosen"]
        same((named["auto"], named["requests"], named["by"]), (False, 0, None))
        check("vote" not in named, named)
        # The rule stays what it was until one wins.
        h.config(VOTES)
        h.ok("POST", "/v1/reload")
        same((h.status()["placement"], h.status()["chosen"]["auto"]), ("worst-fit", True))
        ask_for(h, 4)
        last = voted(h)
        same((last["trouble"], last["adopted"]), ("", True), "the vote")
        check(last["work_gain"] > last["work_noise"] > 0, last)
        before = h.status()
        check(before["placement"] != "worst-fit", "worst-fit stayed:", last)
        same(before["placement"], last["best"])
        same((before["chosen"]["by"], before["chosen"]["requests"]), ("work", last["requests"]))
        has(h.log_text(), "placement is " + before["placement"], "by a vote on")
        h.end(h.new(profile="1g.10gb")["id"])  # answered once all before it is durable
        h.crash()
        h.start()
        after = h.status()
        same(after["placement"], before["placement"])
        same(after["chosen"], {**before["chosen"], "vote": None})
        same(ask_for(h, 2), 2, "whole GPUs had under the rule that won")
        # A rule that is named holds at once.
        h.config("manage: all\nidle_keep: 1ms\nplacement: worst-fit\n")
        h.ok("POST", "/v1/reload")
        same((h.status()["placement"], h.status()["chosen"]["by"]), ("worst-fit", None))


@test
def a_voter_that_dies_changes_nothing():
    with House("2xa100-80", config=VOTES.replace("10ms", "200ms")) as h:
        first = h.status()
        same(first["placement"], "fgd-fill")
        pid = catch(h)
        same(os.getpriority(os.PRIO_PROCESS, pid), 19, "its nice value")
        with open(f"/proc/{pid}/limits", encoding="ascii") as f:
            has(f.read(), "Max cpu time              120 ")
        os.kill(pid, signal.SIGKILL)
        has(voted(h)["trouble"], "Killed")
        has(h.log_text(), "came to nothing: Killed")
        same((h.status()["placement"], h.status()["chosen"]["since"]), ("fgd-fill", first["chosen"]["since"]))
        # The next one is held all the same, and does not outlive the daemon.
        pid = catch(h)
        h.crash()
        until(lambda: not os.path.exists(f"/proc/{pid}"), "end of the voter")
        h.start()
        same(h.status()["placement"], "fgd-fill")
        ask_for(h, 1)


@test
def a_vote_follows_a_change_of_what_is_asked_for():
    with House("2xa100-80", config=VOTES) as h:
        for _ in range(20):
            h.end(h.new(profile="1g.10gb")["id"], now=True)
        first = voted(h)
        same(first["trouble"], "")
        check(16 <= first["requests"] <= 20, first)
        # More of the same is no reason to vote again.
        for _ in range(20):
            h.end(h.new(profile="1g.10gb")["id"], now=True)
        same((h.status()["chosen"]["vote"], voter(h)), (first, 0))
        for _ in range(10):
            h.end(h.new(profile="2g.20gb")["id"], now=True)
        second = until(lambda: h.status()["chosen"]["vote"] != first and h.status()["chosen"]["vote"], "a second vote", 60)
        check(second["requests"] > 40, second)


@test
def nobody_votes_on_little_or_unasked():
    with House("2xa100-80", config=VOTES) as h:
        ask_for(h, 3)  # fewer than 16
        same((h.status()["chosen"]["vote"], voter(h)), (None, 0))
    with House("2xa100-80", config="manage: all\nvote: {every: 10ms, requests: 16}\n") as h:
        ask_for(h, 6)
        same((voter(h), "vote" in h.status()["chosen"]), (0, False))


main()
