#!/usr/bin/env python3
"""Checks that what people read is what the program takes: every option of `fetta VERB --help` is in the verb's man page and
in the shell completion, and neither of these has an option that the program does not know."""
import os
import re
import subprocess
import sys

fetta, docs, completion = sys.argv[1:4]
EVERYWHERE = {"--help", "--no-color"}
PAGES = {"attach": "shell", "assert": "apply", "export": "apply", "dynamic": "apply", "resume": "drain", "manage": "drain",
         "pool": "drain", "help": "", "version": ""}
failed = number = 0


def check(good, name, why=""):
    global failed, number
    number += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {number} - {name}")
    if not good and why:
        print(f"# {why}")


def options(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


def helped(verb):
    done = subprocess.run([fetta, *verb.split(), "--help"], capture_output=True, text=True, timeout=20, check=False)
    lines = [line for line in done.stdout.splitlines() if re.match(r" +(-\w, )?--", line)]
    return {re.search(r"--[a-z-]+", line).group(0) for line in lines} - EVERYWHERE if done.returncode == 0 else None


def page_of(verb):
    first = verb.split()[0]
    stem = PAGES.get(first, first)
    with open(os.path.join(docs, f"fetta-{stem}.1.scd" if stem else "fetta.1.scd"), encoding="utf-8") as f:
        return stem, f.read()


def completed(verb):
    """The options that the completion offers after `fetta VERB --`."""
    words = ["fetta", *verb.split(), "--"]
    script = f"source {completion!r}; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _fetta; " \
             "printf '%s\\n' \"${COMPREPLY[@]}\""
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, timeout=20, check=False)
    return set(done.stdout.split()) - EVERYWHERE


overview = subprocess.run([fetta, "help"], capture_output=True, text=True, timeout=20, check=True).stdout
verbs = [m.group(1) for m in re.finditer(r"(?m)^  (?!fetta )([a-z]+(?: [a-z]+)?)  +\S", overview)]
check(len(verbs) > 15, "help lists the verbs", overview)
known = {}
for verb in verbs:
    mine = helped(verb)
    check(mine is not None, f"fetta {verb} --help exits with 0")
    mine = mine or set()
    stem, page = page_of(verb)
    known.setdefault(stem, [page, set()])[1].update(mine)
    check(mine <= options(page), f"{verb}: options are in the man page", f"missing: {sorted(mine - options(page))}")
    offered = completed(verb)
    check(offered == mine, f"{verb}: completion offers its options", f"only one side has {sorted(offered ^ mine)}")
for stem, (page, mine) in sorted(known.items()):
    body = options(page.split("# EXAMPLES")[0]) - EVERYWHERE
    foreign = {"--gpu", "--json"} if stem else options(page)
    extra = body - mine - foreign
    # A page may speak of another page's option.
    everyone = set().union(*(k[1] for k in known.values()))
    check(extra <= everyone, f"fetta{'-' + stem if stem else ''}(1) names no unknown option", str(sorted(extra - everyone)))
print(f"1..{number}")
sys.exit(failed > 0)
