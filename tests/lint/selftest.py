#!/usr/bin/env python3
"""Checks the checks: every rule must reject a bad sample, at the right line, and accept a good one.

A rule without samples fails here, so no rule can be one that never says no."""
import json
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import lint  # noqa: E402
from tree import Skip, Tree  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
LAYERS = "<pure>: stdint.h stdio.h\n<db>: sqlite3.h\nbase: <pure>\nmodel: base <pure>\nstore: model/board.h base <pure> <db>\n"


def nested(depth, inner="x();"):
    """A function with `depth` braceless and braced levels in turn."""
    text, end = "", ""
    for level in range(depth):
        pad = "    " * (level + 1)
        text += f"{pad}if (a) {{\n" if level % 2 else f"{pad}for (;;)\n"
        end = (f"{pad}}}\n" if level % 2 else "") + end
    return "void f(int a)\n{\n" + text + "    " * (depth + 1) + inner + "\n" + end + "}\n"


def body(lines, name="f"):
    return f"void {name}(void)\n{{\n" + "    x();\n" * (lines - 3) + "}\n"


# rule: [(what, {path: text}, line of the finding or None for a good sample)]
SAMPLES = {
    "layers": [
        ("upwards", {"src/base/a.c": '/* a */\n#include "model/b.h"\n'}, 2),
        ("a foreign library", {"src/model/a.c": "#include <sqlite3.h>\n"}, 1),
        ("an unknown module", {"src/stray/a.c": "int a;\n"}, 1),
        ("an unknown header", {"src/base/a.c": '#include "stray/a.h"\n'}, 1),
        ("no folder", {"src/base/a.c": '\n\n#include "a.h"\n'}, 3),
        ("another header of a module", {"src/store/a.c": '#include "model/layout.h"\n'}, 1),
        ("tests in the program", {"src/base/a.c": '#include "tests/tap.h"\n'}, 1),
        ("a test above itself", {"src/base/test-a.c": '#include "model/b.h"\n'}, 1),
        ("a ring", {"tests/lint/layers.txt": "base: model\nmodel: base\n"}, 1),
        ("a table with a typing error", {"tests/lint/layers.txt": "base: bsae\n"}, 1),
        ("downwards", {"src/model/a.c": '#include <stdint.h>\n#include "base/a.h"\n#include "model/b.h"\n'}, None),
        ("one header of a module", {"src/store/a.c": '#include "model/board.h"\n#include <sqlite3.h>\n'}, None),
        ("a test below itself", {"src/store/test-a.c": '#include "tests/tap.h"\n#include "model/layout.h"\n'}, None),
        ("a commented include", {"src/base/a.c": '/*\n#include "model/b.h"\n*/\n'}, None)],
    "function-length": [("71 lines", {"src/a.c": "\n" + body(71)}, 2), ("70 lines", {"src/a.c": body(70)}, None),
                        ("a long table", {"src/a.c": "int t[] = {\n" + "    1,\n" * 90 + "};\n"}, None)],
    "function-p95": [("2 of 20 long", {"src/a.c": body(5) * 18 + body(46) * 2}, 91),
                     ("1 of 20 long", {"src/a.c": body(5) * 19 + body(46)}, None)],
    "complexity": [("16 ways", {"src/a.c": "void f(int a)\n{\n" + "    if (a)\n        x();\n" * 15 + "}\n"}, 1),
                   ("15 ways", {"src/a.c": "void f(int a)\n{\n" + "    if (a)\n        x();\n" * 14 + "}\n"}, None)],
    "file-length": [("601 lines", {"src/a.c": "int a;\n" * 601}, 601), ("600 lines", {"src/a.c": "int a;\n" * 600}, None),
                    ("a table", {"src/model/tables/a.def": "A(1)\n" * 900}, None)],
    "line-length": [("101 columns", {"src/a.c": "\n" + "a" * 101 + "\n"}, 2), ("100 columns", {"src/a.c": "a" * 100 + "\n"}, None)],
    "nesting": [
        ("4 levels", {"src/a.c": nested(4)}, 7), ("3 levels", {"src/a.c": nested(3)}, None),
        ("a loop macro", {"src/a.c": nested(3, "for_each(a, b)\n    x();")}, 7),
        ("3 levels and a switch", {"src/a.c": nested(3, "switch (a) {\ncase 1:\n    x();\n}")}, None),
        ("else if", {"src/a.c": "void f(int a)\n{\n    if (a)\n        x();\n" + "    else if (a)\n        x();\n" * 5 + "}\n"}, None)],
    "exported": [
        ("another file's name", {"src/base/a.c": "void stray_f(void);\nvoid stray_f(void) {}\n"}, 1),
        ("a part of the name", {"src/base/rng.c": "int rngx(void);\nint rngx(void) { return 1; }\n"}, 1),
        ("a family without its header", {"src/base/foo-bar.c": "int foo_f = 1;\n"}, 1),
        ("a header that only mentions it", {"src/base/b.c": "\nint foo_f = 1;\n", "src/base/foo.h": "/* foo_f */\n"}, 2),
        ("a header of another folder", {"src/base/b.c": "int foo_f = 1;\n", "src/text/foo.h": "extern int foo_f;\n"}, 1),
        ("a header with another name", {"src/base/b.c": "int fool_f = 1;\n", "src/base/foo.h": "extern int fool_f;\n"}, 1),
        ("a header that declares it", {"src/base/b.c": "int foo_f = 1;\nint row_f = 1;\n", "src/base/foo.h": "extern int foo_f;\n",
                                       "src/base/rows.h": "extern int row_f;\n"}, None),
        ("the file's name", {"src/base/foo-bar.c": "int foo_bar_f = 1;\nstatic int g = 1;\nint *foo_bar_g = &g;\n"}, None),
        ("the module's name", {"src/base/a.c": "int base_f = 1;\nint as_f = 1;\nint main(void) { return 0; }\n"}, None),
        ("a family with its header", {"src/base/foo-bar.c": "int foo_f = 1;\n", "src/base/foo.h": "\n"}, None)],
    "pure": [
        ("model allocates", {"src/model/a.c": "#include <stdlib.h>\nvoid *a_f(void);\nvoid *a_f(void) { return malloc(9); }\n"}, 3),
        ("engine reads a clock", {"src/engine/a.c": "long time(long *);\nlong a_f(void);\nlong a_f(void) { return time(0); }\n"}, 1),
        ("base allocates", {"src/base/a.c": "#include <stdlib.h>\nvoid *a_f(void);\nvoid *a_f(void) { return malloc(9); }\n"}, None)],
    "abi": [("a helper", {"lib:libfetta.so": "int helper = 1;\n"}, 1),
            ("the fake driver's own", {"lib:libnvidia-ml.so.1": "int emud_x = 1;\n"}, 1),
            ("the ABI", {"lib:libfetta.so": "int fetta_open = 1;\n", "lib:libnvidia-ml.so.1": "int nvmlInit_v2 = 1;\n"}, None)],
    "banned": [("sprintf", {"src/a.c": 'void f(char *a)\n{\n    sprintf(a, "x");\n}\n'}, 3),
               ("snprintf, and words", {"src/a.c": '/* system() */\nvoid f(char *a) { snprintf(a, 9, "popen("); localtime_r(0, 0); }\n'}, None)],
    "unfinished": [("a mark", {"src/a.c": "\n// TO" "DO later\n"}, 2), ("a template", {"src/a.c": '"/tmp/a-XXXXXX"\n'}, None)],
    "private": [("a path", {"docs/a.md": "see /wo" "rk/a\n"}, 1), ("a host", {"check": "\ndeb.debian.o" "rg\n"}, 2),
                ("a path below", {"docs/a.md": "src/wo" "rk/a and tests/ro" "ot/b\n"}, None)],
    "essay": [("code first", {"src/a.c": "int a;\n/* an essay that comes too late */\n"}, 1),
              ("a word only", {"src/a.h": "/* a.h */\n"}, 1), ("a script", {"tools/a.sh": "#!/bin/sh\necho\n"}, 1),
              ("an essay", {"src/a.c": "/* What it is and why so. */\n", "tools/a.sh": "#!/bin/sh\n# What it is for.\n"}, None)],
    "plain": [("a tab", {"src/a.c": "int a;\n\tint b;\n"}, 2), ("no newline", {"docs/a.md": "a\nb"}, 2),
              ("a blank at the end", {"src/a.c": "int a; \n"}, 1), ("a carriage return", {"docs/a.md": "a\r\n"}, 1),
              ("plain text", {"src/a.c": "int a;\n", "docs/a.md": "a  \n"}, None)],
    "documented": [
        ("bare", {"src/a.h": "/* essay */\n\nint a_f(int b);\n"}, 3),
        ("after a group", {"src/a.h": "/* group */\nint a_f(int b);\n\nint a_g(void);\n"}, 4),
        ("with an attribute", {"include/a.h": "\n__attribute__((format(printf, 1, 2)))\nvoid a_f(const char *b, ...);\n"}, 2),
        ("a group", {"src/a.h": "/* group */\nint a_f(int b);\nint a_g(int b,\n        int c);\nint a_h(void);\n"}, None),
        ("at the end", {"src/a.h": "\nint a_f(int b); /* what b is */\n"}, None),
        ("no functions", {"src/a.h": "struct a {\n    int (*f)(int);\n};\nstatic inline int b(int c)\n{\n    return d(c);\n}\n"}, None)],
    "shell": [("an unquoted name", {"tools/a.sh": "#!/bin/sh\n\nrm -r $1\n"}, 3), ("a quoted one", {"tools/a.sh": '#!/bin/sh\nrm -r "$1"\n'}, None)],
    "verbs": [
        ("no page", {"src/cli/verbs.def": '/* x */\nVERB(run, "x")\nMORE(top, "x")\n', "docs/fetta-run.1.scd": "x\n"}, 3),
        ("no rows", {"src/cli/verbs.def": "/* x */\n"}, 1),
        ("pages", {"src/cli/verbs.def": 'VERB(run, "x")\nVERB(top, "x")\n', "docs/fetta-run.1.scd": "x\n",
                   "docs/fetta.1.scd": "# COMMANDS\n\n*fetta top*\n"}, None)],
}


def compile_sample(root, path, text):
    """Builds one sample as meson would have, and says so in compile_commands.json."""
    build = os.path.join(root, "build")
    os.makedirs(build, exist_ok=True)
    cc = os.environ.get("CC", "cc").split()
    if path.startswith("lib:"):
        out = os.path.join(build, path[4:])
        subprocess.run([*cc, "-shared", "-fPIC", "-x", "c", "-", "-o", out], input=text, text=True, check=True)
        return None
    out = os.path.join(build, path.replace("/", "_") + ".o")
    subprocess.run([*cc, "-c", "-fno-builtin", os.path.join(root, path), "-o", out], check=True)
    return {"directory": build, "file": f"../{path}", "output": os.path.basename(out)}


def sample_tree(root, rule, files):
    """Writes a sample down as a tree, built if the rule reads objects."""
    commands = []
    for path, text in {"tests/lint/layers.txt": LAYERS, **files}.items():
        if not path.startswith("lib:"):
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8", newline="") as f:
                f.write(text)
        if rule in lint.GROUPS["names"] and path.endswith((".c", ".so", ".so.1")):
            commands.append(compile_sample(root, path, text))
    if commands:
        with open(os.path.join(root, "build", "compile_commands.json"), "w", encoding="utf-8") as f:
            json.dump([c for c in commands if c], f)
    return Tree(root, os.path.join(root, "build"))


def try_sample(rule, files, line):
    """What is wrong with the rule's verdict on this sample, or None."""
    with tempfile.TemporaryDirectory() as root:
        found = lint.judge(sample_tree(root, rule, files), rule)
        if line is None:
            return f"complains at {found[0].path}:{found[0].line}: {found[0].text}" if found else None
        if not found:
            return "says nothing"
        return None if any(f.line == line for f in found) else f"names line {found[0].line} instead of {line}"


def try_exceptions():
    """An exception silences its finding, a stale one and one without a reason are findings."""
    with tempfile.TemporaryDirectory() as root:
        long_line = {"src/a.c": "a" * 101 + "\n"}
        why = "line-length src/a.c it is a sample\n"
        if lint.judge(sample_tree(root, "", {**long_line, lint.EXCEPTIONS: why}), "line-length"):
            return "an exception does not silence its finding"
        stale = lint.judge(sample_tree(root, "", {"src/a.c": "a\n", lint.EXCEPTIONS: "\n" + why}), "line-length")
        if [(f.path, f.line) for f in stale] != [(lint.EXCEPTIONS, 2)]:
            return "a stale exception is not found"
        if not lint.exceptions(sample_tree(root, "", {lint.EXCEPTIONS: "line-length src/a.c\n"}))[1]:
            return "an exception without a reason passes"
    return None


def try_program():
    """The program itself: its exit status, the place it names, and every rule run by default."""
    with tempfile.TemporaryDirectory() as root:
        sample_tree(root, "", {"src/base/a.c": "\tint a;\n"})
        run = [sys.executable, "-B", os.path.join(HERE, "lint.py"), "--root", root]
        bad = subprocess.run([*run, "text"], capture_output=True, text=True)
        if bad.returncode != 1 or "# src/base/a.c:1: plain: tab" not in bad.stdout:
            return f"a bad tree gives status {bad.returncode} and {bad.stdout!r}"
        every = subprocess.run(run, capture_output=True, text=True)
        if not every.stdout.startswith(f"1..{len(lint.RULES) + 1}\n"):
            return f"not every rule runs by default: {every.stdout!r}"
    return None


def main():
    points = []
    for rule in lint.RULES:
        samples = SAMPLES.get(rule, [])
        lines = [line for _, _, line in samples]
        points.append((f"{rule} has bad and good samples", lambda ls=lines: None if None in ls and len(set(ls)) > 1 else "no"))
        for what, files, line in samples:
            verb = "accepts" if line is None else "rejects"
            points.append((f"{rule} {verb} {what}", lambda r=rule, f=files, n=line: try_sample(r, f, n)))
    points += [("exceptions", try_exceptions), ("the program", try_program)]
    print(f"1..{len(points)}")
    failed = 0
    for number, (name, run) in enumerate(points, 1):
        try:
            why = run()
        except Skip as missing:
            print(f"ok {number} - {name} # SKIP {missing}")
            continue
        if why:
            print(f"# {name}: {why}")
        print(f"{'not ok' if why else 'ok'} {number} - {name}", flush=True)
        failed += bool(why)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
