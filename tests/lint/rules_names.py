"""Names and purity, read from the object files with nm: what a file exports and what it calls.

Exported names begin with the file's name, so that a reader knows where to look. In src/store/sqlite.c that
is sqlite_ or, since the header speaks for the whole module, store_; in layout-text.c it is layout_text_, or
layout_ where src/model/layout.h exists. Many of a thing may say so: binds_ in bind.c. A header that several
files carry out speaks for what it declares: call_* stand in call.h, whichever api-*.c answers them. The public
library exports fetta_, a shim its foreign ABI alone."""
import json
import os
import re
import subprocess

from tree import Finding, Skip, without_comments

# What the pure part of the program may not call: it decides from values and touches nothing.
ALLOCATES = "malloc calloc realloc reallocarray free strdup strndup asprintf vasprintf aligned_alloc posix_memalign"
TOUCHES = """open openat fopen fdopen read write pread pwrite close fclose fread fwrite fgets fputs puts printf fprintf
    vprintf vfprintf putchar socket connect bind ioctl mmap fork execve posix_spawn kill getenv secure_getenv getpid getuid geteuid
    time clock clock_gettime gettimeofday nanosleep usleep sleep rand random getrandom sd_event_new dlopen exit _exit"""
PURE = {"model": (ALLOCATES + " " + TOUCHES).split(), "plan": TOUCHES.split(), "engine": TOUCHES.split()}


def objects(tree):
    """(source, object) of everything under src/ that is built, tests excepted."""
    path = tree.build and os.path.join(tree.build, "compile_commands.json")
    if not path or not os.path.exists(path):
        raise Skip("no build folder given; nm has nothing to read")
    found = []
    with open(path, encoding="utf-8") as f:
        for entry in json.load(f):
            source = os.path.relpath(os.path.join(entry["directory"], entry["file"]), tree.root)
            output = os.path.join(entry["directory"], entry["output"])
            if source.startswith("src/") and not os.path.basename(source).startswith("test-") and os.path.exists(output):
                found.append((source, output))
    return sorted(set(found))


def symbols(path, *options):
    """(type, name) of each symbol. What compilers and sanitizers add begins with two underscores."""
    done = subprocess.run(["nm", *options, path], capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    return [(row[-2], row[-1].split("@")[0]) for row in rows if len(row) > 1 and not row[-1].startswith("__")]


def prefixes(tree, source):
    """What an exported name of this file may begin with."""
    parts = source[len("src/"):-len(".c")].replace("-", "_").split("/")
    stem, module = parts[-1], parts[-2] if len(parts) > 1 else ""
    allowed = [stem, module]
    words = re.split("[-_]", os.path.basename(source)[:-len(".c")])
    for n in range(1, len(words)):
        header = os.path.join(os.path.dirname(source), os.path.basename(source)[:len("-".join(words[:n]))] + ".h")
        if os.path.exists(tree.path(header)):
            allowed.append("_".join(words[:n]))
    if source.startswith("src/lib/"):
        allowed.append("fetta")
    if source.startswith("src/shim/nvml/"):
        allowed.append("nvml")
    return allowed + [stem + "s"]


def well_named(name, allowed):
    return name == "main" or any(name == p or name.startswith(p + "_") or (p == "nvml" and name.startswith(p)) for p in allowed)


def spoken_for(tree, source, name):
    """Whether a header h.h beside the file declares this name and the name begins with h_, or with what h is many of."""
    folder = os.path.dirname(source)
    for header in tree.files(".h", under=folder + "/"):
        stem = os.path.basename(header)[:-len(".h")].replace("-", "_")
        if os.path.dirname(header) == folder and name.startswith((stem + "_", re.sub("s$", "", stem) + "_")):
            if re.search(rf"\b{re.escape(name)}\b", without_comments(tree.text(header))):
                return True
    return False


def exported(tree):
    found = []
    for source, output in objects(tree):
        allowed = prefixes(tree, source)
        for _, name in symbols(output, "--defined-only", "--extern-only"):
            if not well_named(name, allowed) and not spoken_for(tree, source, name):
                line = next((n for n, text in enumerate(tree.lines(source), 1) if re.search(rf"\b{re.escape(name)}\b", text)), 1)
                want = " or ".join(p + "_" for p in allowed[:-1] if p)
                found.append(Finding("exported", source, line, name, f"{name} is exported and does not begin with {want}"))
    return found


def pure(tree):
    found = []
    for source, output in objects(tree):
        banned = PURE.get(source.split("/")[1], ())
        for _, name in symbols(output, "--undefined-only"):
            if name in banned:
                module = source.split("/")[1]
                line = next((n for n, text in enumerate(tree.lines(source), 1) if re.search(rf"\b{name}\b", text)), 1)
                found.append(Finding("pure", source, line, name, f"calls {name}; {module} decides and touches nothing"))
    return found


LIBRARIES = {"libnvidia-ml.so": r"nvml[A-Z]\w*|libnvidia_ml\w*", "libfetta.so": r"fetta_\w*|FETTA_\w*"}


def abi(tree):
    """Shared libraries export their ABI and nothing else."""
    if not tree.build:
        raise Skip("no build folder given; nm has nothing to read")
    found = []
    for at, _, files in os.walk(tree.build):
        for base, pattern in LIBRARIES.items():
            for name in (f for f in files if f.startswith(base) and os.path.isfile(os.path.join(at, f))):
                where = os.path.relpath(os.path.join(at, name), tree.build)
                if re.search(r"\.p$|\.symbols$", name) or os.path.islink(os.path.join(at, name)):
                    continue
                for kind, symbol in symbols(os.path.join(at, name), "-D", "--defined-only"):
                    if kind not in "wv" and not re.fullmatch(pattern, symbol):
                        found.append(Finding("abi", where, 1, symbol, f"exports {symbol}, which is not of its ABI"))
    return found
