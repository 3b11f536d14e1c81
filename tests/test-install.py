"""An installed tree works as it stands, below any root: the programs find each other and the emulated library
there and nowhere else, and what a system needs of fetta is in its place."""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

PARSER = argparse.ArgumentParser()
PARSER.add_argument("--build", default="build")
BUILD = os.path.abspath(PARSER.parse_args().build)

# What runs on the machine: which programs serve it, and what a job on it is given.
LOOK = r"""
daemon=$(fetta status --json | sed -n 's/.*"daemon_pid": *\([0-9]*\).*/\1/p')
fetta run -s 1g.10gb -- sh -c 'echo job $CUDA_VISIBLE_DEVICES $FETTA_LEASE'
echo fettad $(readlink /proc/$daemon/exe)
for child in $(cat /proc/$daemon/task/*/children); do echo worker $(readlink /proc/$child/exe); done
for emud in $(cat /proc/$PPID/task/*/children); do echo beside $(readlink /proc/$emud/exe); done
echo library $(echo $LD_LIBRARY_PATH | cut -d: -f1)
echo more $(readlink /proc/$PPID/exe)
echo plans $(fetta plan --example | grep -c ^services:)
"""


def options():
    told = subprocess.run(["meson", "introspect", "--buildoptions", BUILD], stdout=subprocess.PIPE, check=True).stdout
    return {o["name"]: o["value"] for o in json.loads(told)}


def install(root):
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", root],
                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)


def look(root, bindir):
    """What is told from within an emulated machine of the installed fetta: [words of a line]."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("FETTA_") and k != "LD_LIBRARY_PATH"}
    env["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    done = subprocess.run([root + bindir + "/fetta", "emulate", "1xa100-80", "--", "sh", "-c", LOOK], env=env, timeout=60,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        print("# " + done.stdout.replace("\n", "\n# "))
    return done.returncode, [line.split() for line in done.stdout.splitlines()]


def main():
    if not os.path.exists(BUILD + "/meson-info"):
        print("1..0 # SKIP no build folder of meson's")
        return 0
    o = options()
    prefix = o["prefix"]
    path = {name: os.path.join(prefix, o[name]) for name in ("bindir", "sbindir", "libdir", "libexecdir", "datadir", "mandir", "includedir")}
    checks = []
    with tempfile.TemporaryDirectory(prefix="fetta-root.") as root:
        install(root)
        status, lines = look(root, path["bindir"])
        said = {}
        for words in lines:
            said.setdefault(words[0], []).extend(words[1:])
        checks.append(("a job runs on a slice", status == 0 and said.get("job", [""])[0].startswith("MIG-")))
        wanted = {"fettad": path["sbindir"] + "/fettad", "worker": path["libexecdir"] + "/fetta/fetta-worker",
                  "more": path["libexecdir"] + "/fetta/fetta-more",
                  "library": path["libdir"] + "/fetta/emulated"}
        for name, at in wanted.items():
            checks.append((f"its {name} is the installed one", set(said.get(name, [])) == {root + at}))
        checks.append(("a verb of fetta-more is found from within", said.get("plans") == ["1"]))
        # Each library costs every start; a sanitizer has its own.
        if o["b_sanitize"] == "none":
            told = subprocess.run(["readelf", "-d", root + path["bindir"] + "/fetta"], stdout=subprocess.PIPE, text=True, check=True).stdout
            loads = sorted(re.findall(r"NEEDED.*\[(.*?)\.so", told))
            checks.append((f"fetta loads a JSON parser and the C library, no more: {' '.join(loads)}", set(loads) <= {"libjansson", "libc"}))
        checks.append(("its driver is the installed one", root + path["bindir"] + "/fetta-emud" in said.get("beside", [])))
        for at in (path["includedir"] + "/fetta/fetta.h", path["libexecdir"] + "/fetta/fetta-vote", path["mandir"] + "/man1/fetta.1", path["mandir"] + "/man5/fetta.yaml.5",
                   path["mandir"] + "/man8/fettad.8", path["libdir"] + "/pkgconfig/fetta.pc", path["libdir"] + "/libfetta.so",
                   path["datadir"] + "/bash-completion/completions/fetta"):
            checks.append((f"{at} is there", os.path.exists(root + at)))
        os.remove(root + wanted["more"])
        alone = subprocess.run([root + path["bindir"] + "/fetta", "plan", "--example"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        checks.append(("a fetta without fetta-more says so", alone.returncode == 1 and "fetta: plan: cannot find fetta-more" in alone.stderr))
        with open(root + prefix + "/lib/systemd/system/fettad.service", encoding="utf-8") as f:
            starts = re.search(r"^ExecStart=(\S+)", f.read(), re.M)
        checks.append(("the unit starts the installed fettad", starts and starts.group(1) == path["sbindir"] + "/fettad"))
    if not all(good for _, good in checks):
        print("# told:", lines)
    for n, (name, good) in enumerate(checks, 1):
        print("ok" if good else "not ok", n, "-", name)
    print(f"1..{len(checks)}")
    return 0 if all(good for _, good in checks) else 1


sys.exit(main())
