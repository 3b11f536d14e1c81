"""Past leases in pages: whose they are, which are on a page, and that a long history stays cheap."""
import csv
import io
import json
import os
import sqlite3
import subprocess
import time

from rig import FETTA, NOBODY, ROOT, House, Skip, check, has, main, same, test


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


def fetta(h, *words):
    return subprocess.run([FETTA, "history", *words], env={**h.env, "FETTA_SOCKET": h.socket}, capture_output=True)


@test
def the_verb():
    odd = 'say "a, b"; echo x,y'
    with House("1xa100-80") as h:
        has(fetta(h).stdout.decode(), "no lease ended")
        same(len(list(csv.reader(io.StringIO(fetta(h, "--csv").stdout.decode())))), 1, "a head alone")
        same(fetta(h, "--json").stdout, b"")
        ids = [h.new(profile="1g.10gb", command=odd)["id"] for _ in range(3)]
        for one in ids:
            h.end(one)
        got = fetta(h, "--csv")
        same((got.returncode, got.stderr), (0, b""))
        rows = list(csv.DictReader(io.StringIO(got.stdout.decode(), newline="")))
        same([int(r["id"]) for r in rows], ids)
        for r in rows:
            same((r["command"], r["asked_for"], r["ended"], r["exit_status"]), (odd, "1g.10gb", "released", ""))
            check(float(r["waited_s"]) >= 0 and float(r["ran_s"]) >= 0, r)
        lines = fetta(h, "--json", "--user", str(os.getuid())).stdout.decode().splitlines()
        same([json.loads(x)["id"] for x in lines], ids)
        has(fetta(h, "--since", "1d").stdout.decode(), "1g.10gb", odd)
        same(fetta(h, "--csv", "--until", "1d").stdout.count(b"\n"), 1, "nothing ended before yesterday")
        for bad in (["--since", "soon"], ["--csv", "--json"], ["--user", "no such user"], ["--since", "2026-13-01"]):
            check(fetta(h, *bad).returncode != 0, bad)


@test
def a_day_begins_at_local_midnight():
    with House("1xa100-80") as h:
        one = h.new(profile="1g.10gb")["id"]
        ended = h.end(one)["ended"]
        for zone in ("UTC", "EAST-14", "WEST+11"):
            os.environ["TZ"] = zone
            time.tzset()
            h.env["TZ"] = zone
            today, before, after = (time.strftime("%Y-%m-%d", time.localtime(ended + d * 86400)) for d in (0, -1, 1))
            same(fetta(h, "--csv", "--since", today, "--until", after).stdout.count(b"\n"), 2, zone)
            same(fetta(h, "--csv", "--since", before, "--until", today).stdout.count(b"\n"), 1, zone)


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
        # All rows at once would be some ten MiB; what stays is the allocator's slack. A sanitizer keeps what is freed.
        with open(f"/proc/{h.fettad.pid}/exe", "rb") as f:
            sanitized = b"__asan_init" in f.read()
        check(sanitized or after < before + 2048, f"private dirty memory went from {before} to {after} KiB")


main()
