"""Past leases in pages: whose they are, which are on a page, and that a long history stays cheap."""
import os
import sqlite3
import time

from rig import NOBODY, ROOT, House, Skip, check, has, main, same, test


def pages(h, query="", limit=1000, uid=None):
    """Every page of a history, as a reader follows them."""
    found, after = [], 0
    while after is not None:
        reply = h.ok("GET", f"/v1/history?after={after}&limit={limit}{query}", uid=uid)
        check(len(reply["leases"]) <= limit, "a page is longer than its limit")
        found += reply["leases"]
        after = reply["next"]
    return found


@test
def nothing_yet():
    with House("1xa100-80") as h:
        same(h.ok("GET", "/v1/history"), {"leases": [], "next": None})


@test
def ended_leases_oldest_first():
    with House("1xa100-80") as h:
        ids = [h.new(profile="1g.10gb")["id"] for _ in range(5)]
        same(pages(h), [], "live leases are no history")
        for one in reversed(ids):
            h.end(one)
            h.ended(one)
        for limit in (1, 2, 5, 1000):
            past = pages(h, limit=limit)
            same([x["id"] for x in past], ids, f"in order with {limit} on a page")
        for x in past:
            same((x["state"], x["why"], x["asked_for"]), ("ended", "released", "1g.10gb"))
            same(x["slices"][0]["profile"], "1g.10gb")
            check(x["asked"] <= x["started"] <= x["ended"], x)
        now = int(time.time())
        same(pages(h, f"&until={now - 3600}"), [], "nothing ended an hour ago")
        same(pages(h, f"&since={now + 3600}"), [], "nor ends in the future")
        same(len(pages(h, f"&since={now - 3600}&until={now + 3600}")), 5)


@test
def bad_questions():
    with House("1xa100-80") as h:
        for query in ("limit=0", "limit=1001", "after=-1", "since=x", "until=1.5", "uid=", "uid=99999999999", "after=1x",
                      "since=99999999999999999999", "limit=+5"):
            code, text = h.refused("GET", "/v1/history?" + query)
            same(code, "invalid", query)
            has(text, query.split("=")[0])


@test
def history_is_private():
    if not ROOT:
        raise Skip("needs root to ask as another user")
    with House("1xa100-80") as h:
        one = h.new(profile="1g.10gb")["id"]
        h.end(one)
        h.ended(one)
        same(pages(h, uid=NOBODY), [], "another user sees nothing of it")
        same(pages(h, f"&uid={NOBODY}", uid=NOBODY), [], "and may name himself")
        code, text = h.refused("GET", f"/v1/history?uid={os.getuid()}", uid=NOBODY)
        same(code, "no-permission")
        has(text, "operators")
        same([x["id"] for x in pages(h, f"&uid={os.getuid()}")], [one])
        same(pages(h, f"&uid={NOBODY}"), [])


def resident(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Private_Dirty"))


@test
def a_long_history():
    """Ten thousand rows are read page by page; the daemon does not grow with them."""
    many = 10000
    with House("1xa100-80") as h:
        one = h.new(profile="1g.10gb")["id"]
        h.end(one)
        h.ended(one)
        h.stop()
        name = next(os.path.join(at, f) for at, _, fs in os.walk(h.state) for f in fs if f.endswith((".db", ".sqlite")))
        db = sqlite3.connect(name)
        columns = [c[1] for c in db.execute("PRAGMA table_info(leases)") if c[1] != "lease"]
        for table, of in (("leases", columns), ("lease_slices", ["n", "gpu", "profile", "start", "gi", "ci", "made"])):
            db.execute(f"INSERT INTO {table} (lease, {', '.join(of)}) SELECT {one} + value, {', '.join(of)} FROM {table}, "
                       f"(WITH RECURSIVE c(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM c WHERE value < {many}) "
                       f"SELECT value FROM c) WHERE lease = {one}")
        db.execute("UPDATE meta SET next_id = next_id + ?", (many,))
        db.commit()
        db.close()
        h.start()
        h.ok("GET", "/v1/history?limit=200")
        before = resident(h.fettad.pid)
        past = pages(h, limit=200)
        same([x["id"] for x in past], list(range(one, one + many + 1)))
        after = resident(h.fettad.pid)
        # All rows at once would be some ten MiB; what stays is the allocator's slack.
        check(after < before + 2048, f"private dirty memory went from {before} to {after} KiB")


main()
