"""Clients that mean harm or are in trouble, and many of them: the emulated driver keeps serving the others."""
import ctypes
import os
import random
import resource
import signal
import socket
import struct
import time

from machine import Machine, Nvml
from rig import OPTIONS, check, main, same, test, until

RESPONSIVE = 10  # seconds in which somebody else must have been answered; a hang would be for ever


def connect(m):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(RESPONSIVE)
    s.connect(m.emu)
    return s


def serves(m):
    """Somebody new is answered."""
    began = time.monotonic()
    same(m.nvml(lambda n: [n.init(), n.count()]), [0, 0])
    check(time.monotonic() - began < RESPONSIVE, "nobody else was served meanwhile")


def memory(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * 4


@test
def fuzzed_frames():
    rng = random.Random(OPTIONS.seed)
    with Machine() as m:
        for i in range(3000):
            s = connect(m)
            frame = bytearray(rng.randbytes(rng.choice((0, 1, 7, 8, 9, 60, 168, 192, 600, 5000))))
            if len(frame) >= 8 and rng.random() < 0.8:  # past the first check
                frame[:8] = struct.pack("<IHH", 0x61746566, rng.choice((1, 1, 1, 2)), rng.choice((0x8000, rng.randrange(0x800c), 0x8008)))
            try:
                for _ in range(rng.choice((1, 1, 3))):
                    s.send(bytes(frame))
            except OSError:
                pass
            s.close()
        serves(m)
        check(m.emud.poll() is None, "the driver died")


@test
def ten_thousand_connects():
    with Machine() as m:
        used = []
        for _ in range(5):  # the first ones may meet a full backlog, which is the most there ever is at once
            for _ in range(2000):
                s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                s.connect(m.emu)
                s.close()
            serves(m)
            until(lambda: len(os.listdir(f"/proc/{m.emud.pid}/fd")) < 12, "their descriptors to be closed")
            used.append(memory(m.emud.pid))
        check(os.environ.get("ASAN_OPTIONS") or max(used) < 16 << 10, f"memory in kB: {used}")


@test
def half_open_and_silent():
    with Machine() as m:
        silent = [connect(m) for _ in range(200)]
        serves(m)
        for s in silent:
            s.close()


@test
def a_client_stopped_in_the_middle_of_a_call():
    def stall(n):
        same(n.init(), 0)
        d = n.gpu(0)
        return n.number("nvmlDeviceGetMinorNumber", d)[0]
    plan = "rules: [{match: {call: nvmlDeviceGetMinorNumber}, when: {times: 1}, effect: {delay: 1s}}]"
    with Machine(plan=plan) as m:
        pid = os.fork()
        if pid == 0:
            os.environ.update(m.env)
            os._exit(stall(Nvml()))
        until(lambda: m.rules()[0][1] == "1", "the call")
        os.kill(pid, signal.SIGSTOP)
        for _ in range(20):
            serves(m)
        time.sleep(1.2)  # the answer is sent to a client that does not read
        serves(m)
        os.kill(pid, signal.SIGCONT)
        same(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)


@test
def more_clients_than_descriptors():
    with Machine() as m:
        resource.prlimit(m.emud.pid, resource.RLIMIT_NOFILE, (64, 64))
        first = connect(m)
        many = []
        for _ in range(100):
            s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            s.setblocking(False)
            s.connect(m.emu)
            many.append(s)
        # Who was there before is served all the same: an old frame is answered with the version.
        first.send(struct.pack("<IHH", 0x61746566, 77, 0x8000) + bytes(160))
        check(len(first.recv(100)) >= 8, "who was connected was not answered")
        for s in many:
            s.close()
        serves(m)


@test
def a_thousand_clients_on_sixteen_gpus_of_seven_slices():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def fill(n):
        same(n.init(), 0)
        for i in range(16):
            for _ in range(7):
                n.slice(n.gpu(i))
        return 0

    def work(n, who):
        """20 clients in one process, as 20 copies of the library would be."""
        copies = []
        for _ in range(20):
            same(n.init(), 0)
            h = ctypes.c_void_p()
            same(n.call("nvmlDeviceGetHandleByIndex_v2", who % 16, ctypes.byref(h)), 0)
            copies.append(connect(m))
        found = 0
        for i in range(7):
            found += n.call("nvmlDeviceGetMigDeviceHandleByIndex", h, i, ctypes.byref(ctypes.c_void_p())) == 0
        until(lambda: os.path.exists(m.dir + "/gate"), "the gate")
        same(n.count(), 0)
        return 0 if found == 7 else 1

    with Machine("16xa100-80") as m:
        m.nvml(fill)
        same(len(m.instances()), 112)
        pids = []
        for who in range(50):
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    os.environ.update(m.env)
                    status = work(Nvml(), who)
                finally:
                    os._exit(status)
            pids.append(pid)
        until(lambda: len(os.listdir(f"/proc/{m.emud.pid}/fd")) > 1000, "a thousand connections")
        serves(m)
        check(memory(m.emud.pid) < 32 << 10, f"{memory(m.emud.pid)} kB")
        with open(m.dir + "/gate", "w", encoding="ascii"):
            pass
        same([os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]) for p in pids], [0] * 50)


main()
