"""`fetta report`: a recorded past with known times, added up by fetta and, in another way, here."""
import calendar
import csv
import io
import json
import os
import random
import sqlite3
import subprocess
import time

from rig import FETTA, NOBODY, OPTIONS, ROOT, House, Skip, check, has, main, same, test

HOUR, S = 3600 * 10**9, 10**9


def fetta(h, *words, zone="UTC", fails=False, **more):
    done = subprocess.run([FETTA, "report", *words], env={**h.env, "FETTA_SOCKET": h.socket, "TZ": zone}, capture_output=True,
                          text=True, **more)
    same(done.returncode != 0, fails, (words, done.stderr))
    return done.stderr if fails else done.stdout


def report(h, *words, **more):
    return json.loads(fetta(h, *words, "--json", **more))


def wall(text):
    """UTC "2025-03-01 12:00" in ns."""
    return calendar.timegm(time.strptime(text, "%Y-%m-%d %H:%M")) * S


def record(h, pasts):
    """Makes past leases, all of one 3g.40gb: dictionaries of columns."""
    one = h.new(profile="3g.40gb")["id"]
    h.end(one)
    h.stop()
    db = sqlite3.connect(h.state + "/state.db")
    columns = [c[1] for c in db.execute("PRAGMA table_info(leases)") if c[1] != "lease"]
    slices = "n, gpu, profile, start, gi, ci, made"
    for i, past in enumerate(pasts, 1):
        db.execute(f"INSERT INTO leases (lease, {', '.join(columns)}) SELECT {one + i}, {', '.join(columns)} FROM leases "
                   f"WHERE lease = {one}")
        db.execute(f"INSERT INTO lease_slices (lease, {slices}) SELECT {one + i}, {slices} FROM lease_slices WHERE lease = {one}")
        db.execute(f"UPDATE leases SET {', '.join(k + ' = ?' for k in past)} WHERE lease = {one + i}", list(past.values()))
    db.execute(f"DELETE FROM leases WHERE lease = {one}")
    db.execute("UPDATE meta SET next_id = next_id + ?", (len(pasts),))
    db.commit()
    db.close()
    h.start()


def past(asked, started, ended, **more):
    return {"asked_wall": wall(asked), "started_wall": wall(started) if started else 0, "ended_wall": wall(ended), **more}


@test
def a_month_of_local_time():
    with House("1xa100-80", config="manage: all\nhistory: never\n") as h:
        record(h, [past("2025-02-28 12:00", "2025-02-28 14:00", "2025-03-01 02:00", why="time"),
                   past("2025-03-10 00:00", "2025-03-10 01:00", "2025-03-10 11:00", peak_bytes=7 << 30, peak_looks=9),
                   past("2025-03-31 20:00", None, "2025-03-31 23:30", why="gave-up", started_at=0)])
        got = report(h, "--month", "2025-03")
        same((got["from"], got["to"], got["gpus"], got["gpu_hours_available"]),
             (wall("2025-03-01 00:00") / S, wall("2025-04-01 00:00") / S, 1, 744.0))
        everybody = got["all"]
        same([everybody[k] for k in ("asked", "granted", "not_granted", "held", "peak_seen", "would_fit")], [2, 1, 1, 2, 1, 1])
        same([round(everybody[k], 6) for k in ("slice_hours", "gpc_hours", "gpu_hours", "waited_mean", "waited_p95")],
             [12, 36, round(36 / 7, 6), 3600, 3600])
        same(everybody["ended"], {"time": 1, "released": 1, "gave-up": 1})
        same([(f["profile"], f["leases"], round(f["spare_gpc_hours"], 6)) for f in got["would_fit"]], [("1g.10gb", 1, 20)])
        same(round(everybody["peak_part"], 4), round((7 << 30) / (40192 << 20), 4))
        same(round(report(h, "--month", "2025-02")["all"]["slice_hours"], 6), 10, "the other part of the first")
        # Fourteen hours further east March begins and ends fourteen hours earlier.
        east = report(h, "--month", "2025-03", zone="EAST-14")
        same((east["from"], round(east["all"]["slice_hours"], 6), east["all"]["asked"]),
             (wall("2025-02-28 10:00") / S, 22, 2))
        same(report(h, "--month", "2025-01")["rows"], [])
        has(fetta(h, "--month", "2025-03"), "2025-03-01 00:00:00 to 2025-04-01 00:00:00", "744.0 GPU-hours", "NOT GRANTED",
            "1 of 1 leases", "20.0 GPC-hours", "no memory was seen in use by 1 of 2 leases")
        rows = list(csv.DictReader(io.StringIO(fetta(h, "--month", "2025-03", "--csv"), newline="")))
        same([(r["asked"], float(r["slice_h"]), r["ended"]) for r in rows], [("2", 12.0, "gave-up:1 released:1 time:1")])


@test
def random_pasts():
    rng = random.Random(OPTIONS.seed)
    first, last = wall("2025-01-01 00:00"), wall("2025-07-01 00:00")
    pasts, uids = [], (os.getuid(), NOBODY)
    for _ in range(400):
        asked = rng.randrange(first, last) // S * S
        started = asked + rng.randrange(100 * HOUR // S) * S
        ended = started + rng.randrange(900 * HOUR // S) * S
        never = rng.random() < 0.1
        uid = rng.choice(uids)
        pasts.append({"asked_wall": asked, "started_wall": 0 if never else started, "ended_wall": ended, "asker_uid": uid,
                      "gid": 0 if uid == NOBODY else NOBODY, "why": rng.choice(("done", "time", "released")),
                      "owner": f"uid:{uid}"})
    with House("1xa100-80", config="manage: all\nhistory: never\n") as h:
        record(h, pasts)
        for month in range(1, 8):
            begins, ends = wall(f"2025-{month:02}-01 00:00"), wall(f"2025-{month + 1:02}-01 00:00")
            got = {by: report(h, "--month", f"2025-{month:02}", "--by", by) for by in ("user", "group")}
            for uid in uids:
                mine = [p for p in pasts if p["asker_uid"] == uid]
                asked = [p for p in mine if begins <= p["asked_wall"] < ends]
                waits = sorted(p["started_wall"] - p["asked_wall"] for p in asked if p["started_wall"])
                hours = sum(max(0, min(p["ended_wall"], ends) - max(p["started_wall"], begins)) for p in mine if p["started_wall"])
                name = names(uid)
                for by in got:
                    row = next((r for r in got[by]["rows"] if r["who"] == name[by]), None)
                    if not row:
                        same((asked, hours), ([], 0), f"{name} is missing in {month}")
                        continue
                    same((row["asked"], row["granted"]), (len(asked), len(waits)), (month, name))
                    check(abs(row["slice_hours"] - hours / HOUR) < 1e-6, month, name, row, hours / HOUR)
                    check(abs(row["waited_mean"] - (sum(waits) / len(waits) / S if waits else 0)) < 1e-3, month, name)
                    check(abs(row["waited_p95"] - (waits[-(-len(waits) * 95 // 100) - 1] / S if waits else 0)) < 1e-3, month, name)
                    same(sum(row["ended"].values()), sum(begins <= p["ended_wall"] < ends for p in mine), (month, name))


def names(uid):
    """What fetta calls a user of random_pasts, and his group."""
    import grp
    import pwd
    gid = 0 if uid == NOBODY else NOBODY
    return {"user": pwd.getpwuid(uid).pw_name, "group": grp.getgrgid(gid).gr_name}


@test
def a_report_is_private():
    if not ROOT:
        raise Skip("needs root to ask as another user")
    with House("1xa100-80") as h:
        h.end(h.new(profile="1g.10gb")["id"])
        mine = report(h)
        same((mine["own"], mine["all"]["asked"]), (False, 1))
        os.chmod(h.dir, 0o755)
        theirs = report(h, user=NOBODY, group=NOBODY, extra_groups=[])
        same((theirs["own"], theirs["all"]["asked"], theirs["rows"]), (True, 0, []))
        has(fetta(h, user=NOBODY, group=NOBODY, extra_groups=[]), "your own leases", "no lease in that time")


@test
def what_still_runs_counts():
    with House("1xa100-80") as h:
        one = h.new(profile="2g.20gb")
        got = report(h)["all"]
        same((got["asked"], got["granted"], got["held"], got["ended"]), (1, 1, 1, {}))
        check(got["slice_hours"] > 0, got)
        h.end(one["id"])
        same(report(h)["all"]["ended"], {"released": 1})


@test
def bad_words():
    with House("1xa100-80") as h:
        for words, part in (("--month 2026-13", "2026-13"), ("--month 26-1", "2026-11"), ("--month 2999-01", "has not begun"),
                            ("--month 2025-01x", "2025-01x"), ("--by x", "user or group"), ("--since soon", "soon"),
                            ("--since 2999-01-01", "lies ahead"), ("--month 2025-01 --since 3d", "one of them"),
                            ("--csv --json", "one of them"), ("word", "word")):
            has(fetta(h, *words.split(), fails=True), part)


main()
