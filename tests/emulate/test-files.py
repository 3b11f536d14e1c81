"""The files of an emulated machine: what programs find in /dev, /proc and /sys, that it follows the
machine, and that nobody outside sees any of it."""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [TESTS, TESTS + "/daemon"]
import sanitized  # noqa: E402
from rig import BUILD, FETTA, NOBODY, NVML, ROOT, Skip, check, has, main, same, test

PEERS = os.environ.get("FETTA_PEERS", BUILD + "/peers/root")
SLURM = """ClusterName=t
SlurmctldHost=localhost
PluginDir={plugins}
AuthType=auth/munge
GresTypes=gpu
SlurmdSpoolDir={folder}
StateSaveLocation={folder}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmUser=root
NodeName=localhost CPUs={cpus} Gres={gres}
PartitionName=p Nodes=localhost
"""
SHOW = r"""
import os, stat
for folder in ("/dev", "/dev/nvidia-caps", "/dev/char"):
    for name in sorted(os.listdir(folder)):
        path = folder + "/" + name
        st = os.lstat(path)
        if stat.S_ISLNK(st.st_mode):
            print(path, "->", os.readlink(path))
        elif stat.S_ISCHR(st.st_mode):
            print(path, oct(st.st_mode & 0o7777), os.major(st.st_rdev), os.minor(st.st_rdev))
"""


def emulate(machine, script, *options, **more):
    if not ROOT:
        raise Skip("mounts and device nodes take root")
    done = subprocess.run([FETTA, "emulate", machine, "--files", *options, "--", "sh", "-c", script], capture_output=True,
                          text=True, timeout=90, **more)
    if done.returncode == 125 and "takes root" in done.stderr:
        raise Skip("this root may not make mounts and device nodes")
    return done


def inside(machine, script, *options):
    done = emulate(machine, script, *options)
    same(done.returncode, 0, done.stderr)
    return done.stdout


def nodes(text):
    return {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.startswith("/dev/") and "->" not in line}


def host():
    """What an emulated machine must not change: every name with mode and numbers, and what is mounted."""
    seen = {}
    for top in ("/dev", "/proc/driver", "/sys/module", "/sys/bus/pci"):
        for folder, folders, names in os.walk(top):
            if folder in ("/dev/pts", "/dev/shm", "/dev/fd"):
                folders[:] = []
                continue
            for name in folders + names:
                st = os.lstat(os.path.join(folder, name))
                seen[os.path.join(folder, name)] = (st.st_mode, st.st_uid, st.st_rdev)
    with open("/proc/self/mountinfo") as mounts, open("/proc/devices") as devices:
        return seen, mounts.read(), devices.read()


@test
def nodes_of_a_machine():
    text = inside("2xa100-80", f"python3 -c '{SHOW}'; cat /proc/devices")
    got, devices = nodes(text), dict(line.split()[::-1] for line in text.splitlines() if " nvidia" in line and line[0] != "/")
    same(got["/dev/nvidia0"], ["0o666", "195", "0"])
    same(got["/dev/nvidia1"], ["0o666", "195", "1"])
    same(got["/dev/nvidiactl"], ["0o666", "195", "255"])
    same(got["/dev/nvidia-uvm"], ["0o666", devices["nvidia-uvm"], "0"])
    same(got["/dev/nvidia-caps/nvidia-cap1"], ["0o400", devices["nvidia-caps"], "1"])
    same(got["/dev/nvidia-caps/nvidia-cap2"], ["0o444", devices["nvidia-caps"], "2"])
    check("/dev/nvidia2" not in got)
    has(text, "/dev/char/195:0 -> ../nvidia0", "/dev/char/195:255 -> ../nvidiactl", f"/dev/char/{devices['nvidia-caps']}:1 -> ../nvidia-caps/nvidia-cap1")
    check(devices["nvidia-caps"] != devices["nvidia-uvm"])
    with open("/proc/devices") as before:
        taken = {line.split()[0] for line in before.read().split("\n\n")[0].splitlines()[1:]}
    check(not taken & {devices["nvidia-caps"], devices["nvidia-uvm"], "195"}, taken, devices)


@test
def no_driver_stands_behind_them():
    text = inside("a30", "cat /dev/nvidia0 /dev/nvidiactl /dev/nvidia-uvm /dev/nvidia-caps/nvidia-cap1 2>&1; true")
    same(text.count("No such device or address"), 4, text)


@test
def the_rest_of_dev_is_there():
    same(inside("a30", "echo lost > /dev/null; head -c 3 /dev/zero | wc -c; test -c /dev/ptmx && test -d /dev/shm && test -d /dev/pts; echo $?; ls -l /dev/fd/0 | wc -l").split(), ["3", "0", "1"])


@test
def proc_and_sys():
    text = inside("1xh100-sxm,1xa30", """
        cat /proc/driver/nvidia/version /proc/driver/nvidia/params /proc/driver/nvidia/gpus/*/information
        cat /sys/module/nvidia/initstate /sys/module/nvidia/version
        for gpu in /sys/bus/pci/devices/0000:07:00.0 /sys/bus/pci/drivers/nvidia/0000:0a:00.0; do
            cat $gpu/vendor $gpu/device $gpu/class $gpu/numa_node $gpu/local_cpulist; readlink -f $gpu/driver
            od -An -tx1 -N4 $gpu/config
        done
        ls /sys/bus/pci/devices /sys/module""")
    has(text, "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  ", "ModifyDeviceFiles: 1", "DeviceFileMode: 438")
    has(text, "Bus Location: \t 0000:07:00.0\nDevice Minor: \t 0\n", "Model: \t\t NVIDIA A30\n", "Device Minor: \t 1\n", "live\n550.54.15\n")
    has(text, "0x10de\n0x2330\n0x030200\n-1\n", "0x10de\n0x20b7\n", " de 10 30 23\n", " de 10 b7 20\n", "/sys/bus/pci/drivers/nvidia\n")
    for name in os.listdir("/sys/bus/pci/devices") + os.listdir("/sys/module"):
        check(name in text.split(), "the host's", name, "is not there any more")


@test
def follows_the_machine():
    text = inside("2xa100-80", f"""
        show() {{ python3 -c '{SHOW}' | grep caps/; find /proc/driver/nvidia/capabilities -name access; echo; }}
        show
        fetta run -s 3g.40gb -- true; show
        fetta apply -f - <<-'END'
	version: v1
	mig-configs:
	  new:
	    - {{devices: all, mig-enabled: true, mig-devices: {{7g.80gb: 1}}}}
	END
        show""")
    empty, one, other = [part.splitlines() for part in text.split("\n\n")[:3]]
    same([line for line in empty if "access" in line], [])
    same(sorted(line for line in one if "access" in line), ["/proc/driver/nvidia/capabilities/gpu0/mig/gi2/access", "/proc/driver/nvidia/capabilities/gpu0/mig/gi2/ci0/access"])
    check(nodes("\n".join(one))["/dev/nvidia-caps/nvidia-cap21"][2] == "21" and "/dev/nvidia-caps/nvidia-cap22" in nodes("\n".join(one)))
    caps = {name.rsplit("cap", 1)[1] for name in nodes("\n".join(other))}
    same(caps, {"1", "2", "3", "4", "138", "139"})
    same(len([line for line in other if "access" in line]), 4)


@test
def a_new_driver_begins_anew():
    text = inside("a100-80", """
        fetta run -s 1g.10gb -- true; ls /dev/nvidia-caps | wc -l
        kill -9 $(sed -n 's/^Pid:\\t//p' $(grep -l '^Name:.fetta-emud$' $(grep -ls "$FETTA_EMU_SOCKET" /proc/[0-9]*/cmdline | sed s/cmdline/status/)))
        for i in $(seq 100); do sleep 0.1; fetta status --json >/dev/null 2>&1 && [ $(ls /dev/nvidia-caps | wc -l) = 2 ] && break; done
        ls /dev/nvidia-caps; ls /proc/driver/nvidia/capabilities/gpu0/mig
        for i in $(seq 100); do fetta run -s 1g.10gb -- true 2>/dev/null && break; sleep 0.1; done; ls /dev/nvidia-caps | wc -l""")
    same(text.split(), ["4", "nvidia-cap1", "nvidia-cap2", "4"])


@test
def the_host_keeps_what_it_has():
    if not ROOT:
        raise Skip("mounts and device nodes take root")
    before = host()
    said = inside("dgx-a100", "echo $FETTA_EMU_SOCKET; fetta run -s 1g.10gb -- true; chmod 0600 /dev/null /dev/nvidia0; rm -f /dev/zero; mknod /dev/mine c 1 3; touch /dev/also")
    after = host()
    for a, b in zip(before, after):
        same(b, a)
    place = os.path.dirname(said.split()[0])
    check(place.startswith("/tmp/fetta.") and not os.path.exists(place), "left behind:", place)


@test
def nothing_stays_when_fetta_is_killed():
    if not ROOT:
        raise Skip("mounts and device nodes take root")
    before = host()
    with subprocess.Popen([FETTA, "emulate", "a30", "--files", "--", "sh", "-c", "echo $FETTA_EMU_SOCKET; sleep 100"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as p:
        ready = p.stdout.readline()
        p.send_signal(signal.SIGKILL)
    place = os.path.dirname(ready.strip())
    if not place:
        raise Skip("this root may not make mounts and device nodes")
    for _ in range(200):
        if not os.path.exists(place):
            break
        time.sleep(0.1)
    check(not os.path.exists(place), "left behind:", place)
    for a, b in zip(before, host()):
        same(b, a)


@test
def ordinary_users_are_told():
    if ROOT:
        def become():
            os.setgid(NOBODY)
            os.setuid(NOBODY)
    done = subprocess.run([FETTA, "emulate", "a30", "--files", "--", "true"], capture_output=True, text=True, cwd="/", preexec_fn=become if ROOT else None)
    same(done.returncode, 125)
    has(done.stderr, "--files takes root", "all NVML programs work")


@test
def modprobe_makes_the_nodes():
    modprobe = PEERS + "/usr/bin/nvidia-modprobe"
    if not os.access(modprobe, os.X_OK):
        raise Skip(f"no nvidia-modprobe in {PEERS}: tools/fetch-peers.sh fetches it")
    text = inside("2xh100-sxm", f"""
        fetta run -s 3g.40gb -- true; fetta run -s 1g.10gb -- true
        python3 -c '{SHOW}'; echo BETWEEN
        rm -r /dev/nvidia0 /dev/nvidia1 /dev/nvidia-caps/* /dev/char/*
        {modprobe} -c 0 -c 1 || exit 1
        for file in $(find /proc/driver/nvidia/capabilities -type f); do {modprobe} -f $file || exit 2; done
        python3 -c '{SHOW}'""")
    before, after = [nodes(part) for part in text.split("BETWEEN\n")]
    same(sum("nvidia-cap" in name for name in before), 6)
    same(after, before)


@test
def slurm_finds_slices():
    slurmd, plugins = PEERS + "/usr/sbin/slurmd-wlm", PEERS + "/usr/lib/x86_64-linux-gnu/slurm-wlm"
    if not (os.access(slurmd, os.X_OK) and os.access(plugins + "/gpu_nvml.so", os.R_OK)):
        raise Skip(f"no slurmd with its NVML plugin in {PEERS}: tools/fetch-peers.sh fetches it")
    if not os.path.isdir("/sys/fs/cgroup/freezer"):
        raise Skip("Slurm 22.05 prints GRES only with cgroup v1 hierarchies")
    gres = "gpu:nvidia_h100_80gb_hbm3_3g.40gb:1,gpu:nvidia_h100_80gb_hbm3_1g.10gb:1"
    with tempfile.TemporaryDirectory(prefix="fetta-slurm.") as folder:
        for name, text in (("slurm.conf", SLURM.format(plugins=plugins, folder=folder, cpus=os.cpu_count(), gres=gres)),
                           ("gres.conf", "AutoDetect=nvml\n"), ("cgroup.conf", "CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\n")):
            with open(f"{folder}/{name}", "w") as f:
                f.write(text)
        os.symlink(slurmd, folder + "/slurmd")
        first = " ".join(f"{name}={value}" for name, value in sanitized.environment(NVML).items())
        done = emulate("1xh100-sxm", f"""
            fetta run -s 3g.40gb -- true; fetta run -s 1g.10gb -- true
            export LD_LIBRARY_PATH="$LD_LIBRARY_PATH:{PEERS}/usr/lib/x86_64-linux-gnu:{plugins}"
            cd {folder}; {first} ./slurmd -G -N localhost -f {folder}/slurm.conf 2>&1""")
    same(done.returncode, 0, done.stdout)
    for words in ("3g.40gb Count=1 Index=22 .*File=/dev/nvidia0,/dev/nvidia-caps/nvidia-cap21,/dev/nvidia-caps/nvidia-cap22 ",
                  "1g.10gb Count=1 Index=67 .*File=/dev/nvidia0,/dev/nvidia-caps/nvidia-cap66,/dev/nvidia-caps/nvidia-cap67 "):
        check(re.search("Gres Name=gpu Type=nvidia_h100_80gb_hbm3_" + words, done.stdout), done.stdout)


main()
