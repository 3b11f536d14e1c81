"""An emulated machine with a fettad of its own, for tests that look at the whole from outside.

A test sees what people see: HTTP on a Unix socket, processes, and the driver (through `smi`, which goes
around fettad). Whoever asks for a lease is put into the lease's cgroup and ended with it, so a test never
asks itself: a Job, a forked child, does. Every house is checked when it closes: what the driver has is
what fettad knows, and no process is left.
"""
import argparse
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

PARSER = argparse.ArgumentParser()
PARSER.add_argument("--build", default="build", help="the build folder")
PARSER.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
PARSER.add_argument("only", nargs="*", help="names of the tests to run; all without")
OPTIONS = PARSER.parse_args()
BUILD = os.path.abspath(OPTIONS.build)
FETTAD, EMUD = BUILD + "/src/daemon/fettad", BUILD + "/src/emud/fetta-emud"
NVML, SMI, FETTA = BUILD + "/src/shim/nvml/libnvidia-ml.so.1", BUILD + "/tests/daemon/smi", BUILD + "/src/cli/fetta"
ROOT = os.getuid() == 0
PATIENCE = 20 * float(os.environ.get("FETTA_TIMEOUTS", "1"))
DEEP = os.environ.get("FETTA_DEEP") == "1"
NOBODY = 65534
TESTS = []


class Failed(Exception):
    """What a test found wrong."""


class Skip(Exception):
    """The test cannot be done here; the text says why."""


def check(condition, *text):
    if not condition:
        raise Failed(" ".join(str(t) for t in text) or "check failed")


def places(lease):
    """Where a lease's slices are, in the words that lists and single leases share."""
    return [(s["gpu"], s["profile"], s["uuid"], s["gi"], s["start"]) for s in lease["slices"]]


def same(got, want, what=""):
    check(got == want, f"{what}: got {got!r}, want {want!r}")


def has(text, *parts):
    for part in parts:
        check(part in text, f"{part!r} is not in {text!r}")


def until(condition, what, seconds=PATIENCE):
    """Polls until `condition` is true; returns what it returned."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        check(time.monotonic() < end, "never came true:", what)
        time.sleep(0.01)


class Unix(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("fetta", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def call(path, method, target, body=None, timeout=None):
    """One request; (status, decoded body). `body` may be bytes, to send what is no JSON."""
    c = Unix(path, timeout or 3 * PATIENCE)
    try:
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        c.request(method, target, body)
        r = c.getresponse()
        text = r.read()
        return r.status, json.loads(text) if text else None
    finally:
        c.close()


def group_of(pid):
    with open(f"/proc/{pid}/cgroup", encoding="ascii") as f:
        return f.read().strip()


def become(uid):
    if uid is not None:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)


def signals(deaf):
    for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(s, signal.SIG_IGN if deaf else signal.SIG_DFL)


def in_child(work, uid=None):
    """Runs work() in a child (as another user) and returns its JSON-able result."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        result = {"trouble": "died"}
        try:
            become(uid)
            result = {"result": work()}
        except BaseException as e:  # whatever it was, the parent tells it
            result = {"trouble": f"{type(e).__name__}: {e}"}
        os.write(w, json.dumps(result).encode())
        os._exit(0)
    os.close(w)
    with os.fdopen(r) as f:
        answer = json.loads(f.read() or '{"trouble": "no answer"}')
    os.waitpid(pid, 0)
    check("result" in answer, answer.get("trouble"))
    return answer["result"]


class Job:
    """A process that asks for a lease and then stays, as a command would."""

    def __init__(self, house, ask, uid=None, deaf=False, children=0, exit_after=None):
        r, w = os.pipe()
        self.pid = os.fork()
        self.house = house
        if self.pid == 0:
            try:
                os.close(r)
                os.setpgid(0, 0)
                signals(deaf)
                become(uid)
                self.live(house, ask, w, children, exit_after)
            finally:
                os._exit(111)
        os.close(w)
        self.pipe, self.text, self.status = r, b"", None
        house.jobs.append(self)

    @staticmethod
    def ask(house, ask):
        return call(house.socket, "POST", "/v1/leases", ask, timeout=3600)

    def live(self, house, ask, w, children, exit_after):
        reply = self.ask(house, ask)
        left = []
        lease = (reply[1] or {}).get("lease") or {}
        os.environ["FETTA_LEASE"], os.environ["FETTA_SOCKET"] = str(lease.get("id")), house.socket
        for _ in range(children):
            # exec gives the child an environment that /proc shows
            left.append(subprocess.Popen(["sleep", "3600"], start_new_session=True).pid)
        os.write(w, json.dumps([reply[0], reply[1], left]).encode() + b"\n")
        if exit_after is not None:
            time.sleep(exit_after)
            os._exit(0)
        while True:
            signal.pause()

    def reply(self, seconds=PATIENCE):
        """(status, body) once the daemon has answered."""
        end = time.monotonic() + seconds
        os.set_blocking(self.pipe, False)
        while not self.text.endswith(b"\n"):
            try:
                part = os.read(self.pipe, 1 << 16)
                check(part, "the job died before it was answered")
                self.text += part
            except BlockingIOError:
                check(time.monotonic() < end, "the job was never answered")
                time.sleep(0.005)
        status, body, self.left = json.loads(self.text)
        return status, body

    def answered(self):
        try:
            return bool(self.reply(0))
        except (Failed, OSError):
            return False

    def lease(self):
        status, body = self.reply()
        same(status, 200, f"asking: {body}")
        return body["lease"]

    def granted(self):
        return self.answered() and self.reply()[0] == 200

    def refused(self):
        status, body = self.reply()
        check(status >= 400, "was not refused:", body)
        return body["error"]["code"], body["error"]["text"]

    def kill(self, how=signal.SIGKILL):
        if self.status is None:
            os.kill(self.pid, how)

    def alive(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is None

    def wait(self):
        until(lambda: not self.alive(), f"end of job {self.pid}")
        return self.status


class House:
    """fetta-emud and fettad in a folder of their own."""

    def __init__(self, machine="dgx-a100", config="manage: all\n", emud=(), fettad=True, quiet=False):
        self.dir = tempfile.mkdtemp(prefix="fetta-test.")
        os.chmod(self.dir, 0o755)
        self.machine, self.emud_options, self.quiet = machine, list(emud), quiet
        self.socket, self.emu = self.dir + "/fetta.sock", self.dir + "/emu.sock"
        self.state, self.config_path = self.dir + "/state", self.dir + "/fetta.yaml"
        self.jobs, self.holds, self.emud, self.fettad = [], [], None, None
        self.log = open(self.dir + "/log", "w+b", 0)
        self.env = {k: v for k, v in os.environ.items() if k.startswith(("ASAN", "UBSAN", "LSAN", "PATH", "LC_"))}
        self.env["FETTA_EMU_SOCKET"] = self.emu
        self.config(config)
        try:
            self.start_emud()
            if fettad:
                self.start()
        except BaseException:
            self.close(sound=False)
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        failed = kind is not None and kind is not Skip
        if failed and not self.quiet:
            self.show_log()
        try:
            self.close(sound=not failed)
        except Failed:
            if not failed:
                raise

    def show_log(self):
        with open(self.dir + "/log", errors="replace") as f:
            for line in f.read().splitlines()[-60:]:
                print("#   log:", line)

    def log_text(self):
        with open(self.dir + "/log", errors="replace") as f:
            return f.read()

    def config(self, text):
        with open(self.config_path, "w", encoding="utf-8") as f:
            f.write(f"nvml: {NVML}\n{text}")

    # ---- processes ----

    def ready(self, argv):
        """Starts a program that says on a descriptor when it serves."""
        r, w = os.pipe()
        child = subprocess.Popen(argv + ["--ready-fd", str(w)], pass_fds=[w], stdin=subprocess.DEVNULL,
                                 stdout=self.log, stderr=self.log, env=self.env, cwd="/")
        os.close(w)
        with os.fdopen(r, "rb") as f:
            if not f.read(1):
                child.wait()
                raise Failed(f"{argv[0]} did not start: exit status {child.returncode}\n{self.log_text()[-2000:]}")
        return child

    def start_emud(self):
        self.emud = self.ready([EMUD, self.machine, "--socket", self.emu, "--root-uid", str(os.getuid())] + self.emud_options)

    def start(self):
        self.fettad = self.ready(self.daemon_argv())

    def daemon_argv(self):
        return [FETTAD, "--config", self.config_path, "--state", self.state, "--socket", self.socket,
                "--emulated", self.machine, "--root-uid", str(os.getuid())]

    def try_start(self):
        """Starts a daemon that is expected to refuse; (exit status, what it said)."""
        done = subprocess.run(self.daemon_argv(), env=self.env, cwd="/", stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=3 * PATIENCE)
        return done.returncode, done.stderr

    def stop(self, how=signal.SIGTERM):
        if self.fettad:
            self.fettad.send_signal(how)
            status = self.fettad.wait(3 * PATIENCE)
            self.fettad = None
            if how == signal.SIGTERM:
                same(status, 0, "fettad's exit status after SIGTERM")

    def crash(self):
        self.stop(signal.SIGKILL)

    def restart(self, how=signal.SIGTERM):
        self.stop(how)
        self.start()

    def kill_emud(self):
        self.emud.kill()
        self.emud.wait()
        self.emud = None

    def finish(self):
        """Everything given back, and nothing left of it in the driver's or the kernel's books."""
        for p in self.holds:
            p.kill()
        self.ctl("clear")
        self.sound()
        for lease in self.status()["leases"]:
            # It may end by itself meanwhile.
            self.api("DELETE", f"/v1/leases/{lease['id']}?now=1")
        until(lambda: not self.status()["leases"], "end of all leases")
        self.sound()
        until(lambda: not self.groups(), f"end of cgroups {self.groups()}")
        left = [(j.reply()[1]["lease"]["id"], group_of(j.pid)) for j in self.jobs if j.alive() and j.granted()]
        check(not left, "jobs outlived their leases: (lease, its cgroup)", left)

    def close(self, sound=True):
        trouble = None
        try:
            if sound and self.fettad and self.emud:
                self.finish()
            self.stop()
        except Exception as e:  # told below, after everything was ended
            trouble = e
        for p in [self.fettad, self.emud] + self.holds:
            if p and p.poll() is None:
                p.kill()
            if p:
                p.wait()
        for job in self.jobs:
            job.kill()
            job.wait()
            os.close(job.pipe)
            for pid in getattr(job, "left", []):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        try:
            until(lambda: not self.ours(), f"end of processes {self.ours()}")
        except Failed as e:
            trouble = trouble or e
        for group in self.groups():
            try:
                os.rmdir(group)
            except OSError:
                pass
        said = self.log_text()
        self.log.close()
        if "Sanitizer" in said or "runtime error" in said:
            trouble = Failed("a sanitizer complained:\n" + said[-6000:])
        shutil.rmtree(self.dir, ignore_errors=True)
        if trouble:
            if not self.quiet:
                print("#   log:", said[-1500:].replace("\n", "\n#   log: "))
            raise trouble

    def ours(self):
        """Processes that carry this house's folder in their environment."""
        found, mark = [], self.emu.encode()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as f:
                    if mark in f.read():
                        found.append(int(pid))
            except OSError:
                pass
        return found

    def groups(self):
        """The cgroups of this house's leases."""
        h = 0xCBF29CE484222325  # FNV-1a of the state folder, as fettad names them
        for byte in self.state.encode():
            h = (h ^ byte) * 0x100000001B3 % (1 << 64)
        name, found = f"emu-{h:016x}.", []
        for at, folders, _ in os.walk("/sys/fs/cgroup"):
            if os.path.basename(at) == "fetta":
                found += [os.path.join(at, f) for f in folders if f.startswith(name)]
                folders[:] = []
        return found

    # ---- asking ----

    def api(self, method, target, body=None, uid=None, timeout=None):
        if uid is None:
            return call(self.socket, method, target, body, timeout)
        return tuple(in_child(lambda: call(self.socket, method, target, body, timeout), uid))

    def ok(self, method, target, body=None, uid=None, timeout=None):
        status, reply = self.api(method, target, body, uid, timeout)
        check(200 <= status < 300, f"{method} {target} {body}: {status} {reply}")
        return reply

    def refused(self, method, target, body=None, uid=None):
        status, reply = self.api(method, target, body, uid)
        check(status >= 400, f"{method} {target} {body} was not refused: {reply}")
        return reply["error"]["code"], reply["error"]["text"]

    def status(self):
        return self.ok("GET", "/v1/status")

    def gpu(self, index):
        return next(g for g in self.status()["gpus"] if g["index"] == index)

    def show(self, lease):
        return self.ok("GET", f"/v1/leases/{lease}")["lease"]

    def ended(self, lease):
        """The lease once it has ended."""
        reply = self.ok("GET", f"/v1/leases/{lease}?wait=ended&timeout={int(2 * PATIENCE)}")["lease"]
        same(reply["state"], "ended", f"lease {lease}")
        return reply

    def new(self, **ask):
        """A lease bound to nothing, asked for in the test's own name."""
        ask = {"bind": "none", "for": "1h", **ask}
        return self.ok("POST", "/v1/leases", ask)["lease"]

    def end(self, lease, now=False):
        self.ok("DELETE", f"/v1/leases/{lease}" + ("?now=1" if now else ""))
        return self.ended(lease)

    def ctl(self, *words):
        done = subprocess.run([EMUD, "ctl", "--socket", self.emu, *map(str, words)], capture_output=True, text=True)
        same(done.returncode, 0, f"ctl {words}: {done.stderr}")

    def hold(self, *words):
        """A ctl verb that stays: hold or subscribe."""
        p = subprocess.Popen([EMUD, "ctl", "--socket", self.emu, *map(str, words)], stdout=subprocess.PIPE)
        check(p.stdout.readline().startswith(b"holding"), f"ctl {words} did not hold")
        self.holds.append(p)
        return p

    def smi(self, *words):
        done = subprocess.run([SMI, NVML, *map(str, words)], capture_output=True, text=True, env=self.env)
        same(done.returncode, 0, f"smi {words}: {done.stderr}")
        return done.stdout

    def instances(self):
        """What the driver has: {(gpu, gi): (profile id, start, size, compute instances, uuid)}."""
        found = {}
        for line in self.smi("list").splitlines():
            w = line.split()
            if w[0] == "gi":
                found[int(w[1]), int(w[2])] = (int(w[3]), int(w[4]), int(w[5]), int(w[6]), w[7])
        return found

    def differences(self):
        """What fettad says it has and what the driver has; empty when they agree."""
        status = self.status()
        if any(s["state"] in ("creating", "destroying") for g in status["gpus"] for s in g["slices"]):
            return ["changes are under way"]
        known = {(g["index"], s["gi"]): (s["start"], s["size"]) for g in status["gpus"] for s in g["slices"]}
        there = {k: (v[1], v[2]) for k, v in self.instances().items()}
        wrong = [f"GPU {k[0]} GI {k[1]}: fettad {known.get(k)}, driver {there.get(k)}"
                 for k in sorted(set(known) | set(there)) if known.get(k) != there.get(k)]
        holders = {}
        for g in status["gpus"]:
            for s in g["slices"]:
                if s["lease"]:
                    holders.setdefault(s["lease"], []).append((g["index"], s["gi"]))
        for lease in status["leases"]:
            places = sorted((s["gpu"], s["gi"]) for s in lease["slices"] if s["gi"] is not None)
            if lease["state"] in ("active", "ending", "killing") and places != sorted(holders.get(lease["id"], [])):
                wrong.append(f"lease {lease['id']} has {places}, slices say {holders.get(lease['id'])}")
        gone = set(holders) - {lease["id"] for lease in status["leases"]}
        return wrong + [f"slices name leases {gone} that do not live"] * bool(gone)

    def sound(self):
        """Nothing leaked, nothing pretended: waits until fettad and driver agree."""
        end = time.monotonic() + PATIENCE
        while True:
            wrong = self.differences()
            if not wrong:
                return
            check(time.monotonic() < end, "fettad and driver do not agree:", wrong)
            time.sleep(0.02)


def test(function):
    TESTS.append(function)
    return function


def main():
    print(f"# seed {OPTIONS.seed}; again with --seed {OPTIONS.seed}")
    chosen = [t for t in TESTS if not OPTIONS.only or t.__name__ in OPTIONS.only]
    print(f"1..{len(chosen)}", flush=True)
    failed = 0
    for number, t in enumerate(chosen, 1):
        began = time.monotonic()
        try:
            t()
            print(f"ok {number} - {t.__name__}", end="")
        except Skip as e:
            print(f"ok {number} - {t.__name__} # SKIP {e}", end="")
        except Exception as e:
            failed += 1
            for line in traceback.format_exc().splitlines():
                print("#", line)
            print(f"not ok {number} - {t.__name__}", end="")
            del e
        print(f"\n#   {time.monotonic() - began:.2f} s", flush=True)
    sys.exit(1 if failed else 0)
