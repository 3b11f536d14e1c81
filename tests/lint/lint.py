#!/usr/bin/env python3
"""The rules of the house, checked. Prints TAP: one point per rule, one comment line per finding.

    lint.py [--build FOLDER] [GROUP or RULE...]

An exception is a line `RULE PATH[:SYMBOL] REASON` in tests/lint/exceptions.txt; one that excuses nothing any
more is itself a finding, so the list can only be as long as it must."""
import argparse
import os
import sys

sys.dont_write_bytecode = True
import rules_layers  # noqa: E402
import rules_names  # noqa: E402
import rules_sizes  # noqa: E402
import rules_text  # noqa: E402
from tree import Finding, Skip, Tree  # noqa: E402

EXCEPTIONS = "tests/lint/exceptions.txt"
GROUPS = {
    "layers": {"layers": rules_layers.layers},
    "sizes": {"function-length": rules_sizes.function_length, "function-p95": rules_sizes.function_p95,
              "complexity": rules_sizes.complexity, "file-length": rules_sizes.file_length,
              "line-length": rules_sizes.line_length, "nesting": rules_sizes.nesting},
    "names": {"exported": rules_names.exported, "pure": rules_names.pure, "abi": rules_names.abi},
    "text": {"banned": rules_text.banned, "unfinished": rules_text.unfinished, "private": rules_text.private,
             "essay": rules_text.essay, "plain": rules_text.plain, "documented": rules_text.documented,
             "shell": rules_text.shell},
    "docs": {"verbs": rules_text.verbs},
}
RULES = {name: rule for group in GROUPS.values() for name, rule in group.items()}
EVERY = [*RULES, "exceptions"]


def exceptions(tree):
    """{(rule, path, symbol): line}, and the findings about lines that say nothing."""
    listed, found = {}, []
    if EXCEPTIONS not in tree.files(".txt"):
        return listed, found
    for number, line in enumerate(tree.lines(EXCEPTIONS), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 5 or words[0] not in RULES:
            found.append(Finding("exceptions", EXCEPTIONS, number, "", "not of the form RULE PATH[:SYMBOL] REASON, with a reason in words"))
            continue
        path, _, symbol = words[1].partition(":")
        listed[(words[0], path, symbol)] = number
    return listed, found


def judge(tree, name):
    """The findings of one rule after its exceptions, stale exceptions among them."""
    listed, found = exceptions(tree)
    if name == "exceptions":
        return found
    found = []
    mine = {key: line for key, line in listed.items() if key[0] == name}
    used = set()
    for finding in RULES[name](tree):
        keys = {(name, finding.path, finding.symbol), (name, finding.path, "")} & set(mine)
        used |= keys
        if not keys:
            found.append(finding)
    found += [Finding(name, EXCEPTIONS, line, "", f"{path} needs this exception no more; delete the line")
              for (_, path, _), line in mine.items() if (name, path, _) not in used]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", default=os.path.join(os.path.dirname(__file__), "..", ".."))
    parser.add_argument("--build", help="build folder, for the rules that read object files")
    parser.add_argument("rules", nargs="*", metavar="GROUP|RULE", help=f"all, or of: {' '.join([*GROUPS, *EVERY])}")
    given = parser.parse_args()
    names = [rule for word in given.rules or EVERY for rule in GROUPS.get(word, [word])]
    unknown = [n for n in names if n not in EVERY]
    if unknown:
        parser.error(f"no rule or group is called {unknown[0]}")
    tree, bad = Tree(given.root, given.build), 0
    print(f"1..{len(names)}")
    for number, name in enumerate(names, 1):
        try:
            found = judge(tree, name)
        except Skip as why:
            print(f"ok {number} - {name} # SKIP {why}")
            continue
        for f in found:
            print(f"# {f.path}:{f.line}: {f.rule}: {f.text}")
        print(f"{'not ok' if found else 'ok'} {number} - {name}", flush=True)
        bad += bool(found)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
