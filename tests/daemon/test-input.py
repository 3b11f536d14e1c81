"""Bad input: what cannot be, what is misspelt, what is malformed. Nothing of it may change anything."""
import os
import subprocess

from rig import FETTAD, House, Unix, call, check, has, main, same, test

ASK = {"bind": "none", "for": "1h"}


def ask_refused(h, code, ask, *parts):
    got, text = h.refused("POST", "/v1/leases", {**ASK, **ask})
    same(got, code, f"{ask}: {text}")
    has(text, *parts)
    same(h.status()["leases"], [], f"a lease after {ask}")
    check("\n" not in text and not text.endswith("."), "not the style of an error:", text)


@test
def profiles():
    with House() as h:
        ask_refused(h, "invalid", {"profile": "1g.1gb"}, "no profile '1g.1gb'", "1g.10gb", "7g.80gb")
        got, text = h.refused("POST", "/v1/leases", {**ASK, "profile": "2g.20bg"})
        check(text.index("2g.20gb") < text.index("7g.80gb"), "the nearest comes first:", text)
        ask_refused(h, "never-fits", {"profile": "1g.6gb"}, "a30", "not in this machine")
        ask_refused(h, "never-fits", {"memory": "1000GiB"}, "the largest has")
        ask_refused(h, "invalid", {"profile": ""})
        ask_refused(h, "invalid", {})
        ask_refused(h, "invalid", {"profile": "1g.10gb", "gpus": 1}, "one way")
        ask_refused(h, "invalid", {"profile": "1g.10gb", "memory": "1GiB"}, "one way")
        same(h.instances(), {})


@test
def numbers():
    with House() as h:
        for ask in ({"count": 0}, {"count": -1}, {"count": 65}, {"count": 10 ** 18}, {"count": "2"}, {"count": 1.5},
                    {"for": 0}, {"for": -5}, {"for": "-5s"}, {"for": "never"}, {"for": "1 parsec"}, {"for": 1e300}, {"for": ""},
                    {"wait": -1}, {"grace": -1}, {"grace": "9999999999999h"}, {"start": -2, "gpu": "0"}, {"start": 16, "gpu": "0"},
                    {"priority": 100000}, {"gpu": "-1"}, {"gpu": "1,,2"}, {"gpu": "2-1"}, {"gpu": "1,2", "start": 0}, {"gpu": ""}, {"gpu": "0-70"}, {"movable": 1}, {"profile": 7},
                    {"signal": "USR1"}, {"signal": "FOO@1m"}, {"bind": "moon"}, {"bind": "pid:0"}, {"bind": "pid:x"}, {"bind": "pid:-1"}, {"key": ""},
                    {"key": "k" * 80}):
            ask_refused(h, "invalid", {"profile": "1g.10gb", **ask})
        for ask in ({"memory": "0GiB"}, {"memory": "-1GiB"}, {"memory": "18"}, {"memory": "18XB"}, {"memory": "99999999999999999999GiB"},
                    {"compute": "0"}, {"compute": "8/7"}, {"compute": "2/0"}, {"compute": "-1/7"}, {"compute": "x"}, {"gpus": 0}, {"gpus": -1},
                    {"gpus": 10 ** 12}, {"gpus": 2, "count": 2}):
            ask_refused(h, "invalid", ask)
        ask_refused(h, "never-fits", {"gpus": 9})
        ask_refused(h, "never-fits", {"profile": "7g.80gb", "count": 9})
        same(h.refused("GET", "/v1/leases?all=1&limit=0")[0], "invalid")
        same(h.refused("GET", "/v1/leases?all=1&limit=x")[0], "invalid")
        lease = h.new(profile="1g.10gb")["id"]
        same(h.refused("GET", f"/v1/leases/{lease}?wait=granted&timeout=x")[0], "invalid")
        same(h.refused("GET", f"/v1/leases/{lease}?wait=tomorrow")[0], "invalid")


@test
def a_bind_of_none_needs_an_end():
    with House() as h:
        code, text = h.refused("POST", "/v1/leases", {"profile": "1g.10gb", "bind": "none"})
        same(code, "invalid")
        has(text, "--for")


@test
def malformed_json():
    with House() as h:
        for text, place in ((b"{", "line 1"), (b'{"profile": "1g.10gb",\n  "for": }', "line 2, column"), (b"[1]", "an object was expected"),
                            (b"\xff\xfe", "line 1"), (b"[" * 5000, "column"), (b'{"profile": "a", "profile": "b"}', "line 1"),
                            (b'{"profile": "1g.10gb"} x', "line 1"), (b'{"profile": "\\u0000"}', "line 1"), (b'"text"', "an object was expected")):
            status, reply = h.api("POST", "/v1/leases", text)
            same((status, reply["error"]["code"]), (400, "invalid"), repr(text[:40]))
            has(reply["error"]["text"], place)
        same(h.status()["leases"], [])


@test
def unknown_keys():
    with House() as h:
        ask_refused(h, "invalid", {"profile": "1g.10gb", "walltime": 5}, "walltime")
        code, text = h.refused("POST", "/v1/drain", {"gpu": "0"})
        same(code, "invalid")
        has(text, "gpu")
        for path in ("/v1/drain", "/v1/manage", "/v1/pool", "/v1/layout", "/v1/explain"):
            same(h.refused("POST", path, {"nonsense": 1})[0], "invalid", path)


@test
def paths_and_methods():
    with House() as h:
        same(h.refused("GET", "/v1/nothing")[0], "not-found")
        same(h.refused("GET", "/v1/leases/0")[0], "not-found")
        same(h.refused("GET", "/v1/leases/abc")[0], "not-found")
        same(h.refused("GET", "/v1/leases/99999999999999999999")[0], "not-found")
        same(h.refused("PUT", "/v1/status")[0], "invalid")
        code, text = h.refused("GET", "/v2/status")
        same(code, "version")
        has(text, "/v1", "upgrade")
        c = Unix(h.socket, 20)
        c.request("GET", "/v1/status")
        check(c.getresponse().getheader("Fetta-Version"), "no Fetta-Version")
        c.close()


@test
def noise_on_the_socket():
    """Bytes that are no HTTP, half requests, huge ones: the daemon goes on for everybody else."""
    import random
    import socket as sockets
    from rig import OPTIONS
    rng = random.Random(OPTIONS.seed)
    with House() as h:
        kept = []
        for n in range(60):
            s = sockets.socket(sockets.AF_UNIX)
            s.settimeout(5)
            s.connect(h.socket)
            try:
                if n % 4 == 0:
                    s.sendall(rng.randbytes(rng.randrange(1, 4000)))
                elif n % 4 == 1:
                    s.sendall(b"POST /v1/leases HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
                elif n % 4 == 2:
                    s.sendall(b"POST /v1/leases HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
                else:
                    s.sendall(b"GET /v1/status?" + b"x" * rng.randrange(100000) + b" HTTP/1.1\r\n\r\n")
            except OSError:
                pass
            (kept.append if n % 3 else sockets.socket.close)(s)
            if n % 10 == 0:
                h.status()
        h.status()
        for s in kept:
            s.close()
        try:
            status, reply = call(h.socket, "POST", "/v1/leases", b" " * (3 << 20))
            check(status in (400, 413), status, reply)
        except BrokenPipeError:
            pass  # refused before all of it was sent
        h.status()


def says(text, *parts):
    with House(fettad=False) as h:
        h.config(text)
        status, said = h.try_start()
        same(status, 1, f"{text!r}: {said}")
        has(said, *parts)
        check("another line" not in said)


@test
def configuration_errors_have_a_place():
    path = "fetta.yaml"
    says("manage: [1\n", path, "line")
    says("manage: all\nfor_ever: yes\n", path, "line 3", "for_ever")
    says("manage: all\nmax_for: tomorrow\n", path, "line 3", "max_for")
    says("manage: all\ngrace: -1s\n", path, "line 3", "grace")
    says("manage: 0-x\n", path, "line 2", "manage")
    says("operators: [no-such-group-here]\n", path, "line 2", "no-such-group-here")
    says("warm_reuse: sometimes\n", path, "line 2", "sometimes")
    says("pools: {0: round}\n", path, "line 2", "sliced, whole or elastic")
    says("quotas: {users: {nobody-of-this-name: {slices: 1}}}\n", path, "line 2", "nobody-of-this-name")
    says("quotas: {default: {slices: 0}}\n", path, "line 2", "slices")
    says("default_for: 3h\nmax_for: 1h\n", path, "default_for")
    says("manage: all\nmanage: none\n", path, "line 3")
    says("manage: all\n\tgrace: 1s\n", path, "line")


@test
def configuration_naming_absent_gpus():
    for text in ("manage: 0-9\n", "pools: {9: whole}\n"):
        says(text, "names GPU", "this machine has 8")


@test
def check_config():
    with House() as h:
        def run(text):
            h.config(text)
            return subprocess.run([FETTAD, "--check-config", "--config", h.config_path], capture_output=True, text=True)
        good = run("manage: all\n")
        same((good.returncode, good.stderr), (0, ""))
        bad = run("manage: all\nprivacy: perhaps\n")
        same(bad.returncode, 1)
        has(bad.stderr, "line 3", "privacy")
        missing = subprocess.run([FETTAD, "--check-config", "--config", h.dir + "/nothing.yaml"], capture_output=True, text=True)
        same(missing.returncode, 1)
        has(missing.stderr, "nothing.yaml")


@test
def reload_is_all_or_nothing():
    with House() as h:
        h.config("manage: all\nprivacy: true\ngrace: sometimes\n")
        code, text = h.refused("POST", "/v1/reload")
        same(code, "invalid")
        has(text, "line 4", "grace")
        same(h.status()["privacy"], False)
        h.config("manage: 0-20\nprivacy: true\n")
        has(h.refused("POST", "/v1/reload")[1], "names GPU")
        same(h.status()["privacy"], False)
        h.config("manage: all\nprivacy: true\n")
        h.ok("POST", "/v1/reload")
        same(h.status()["privacy"], True)
        os.remove(h.config_path)
        h.ok("POST", "/v1/reload")


@test
def options_of_the_daemon():
    for words, part in ((["--nonsense"], "nonsense"), (["extra"], "extra"), (["--ready-fd", "x"], "--ready-fd"), (["--ready-fd", "-1"], "--ready-fd")):
        done = subprocess.run([FETTAD, *words], capture_output=True, text=True)
        same(done.returncode, 2, words)
        has(done.stderr, part)
    same(subprocess.run([FETTAD, "--help"], capture_output=True).returncode, 0)
    same(subprocess.run([FETTAD, "--version"], capture_output=True).returncode, 0)


main()
