"""Sizes: how long a function, a file and a line may be, how many ways lead through a function and how
deep it may nest. Complexity is pmccabe's modified McCabe number, where a switch counts once."""
import re
import shutil
import subprocess

from tree import Finding, Skip, functions, too_deep

FUNCTION_MAX, FUNCTION_P95, COMPLEXITY_MAX, FILE_MAX, LINE_MAX, NESTING_MAX = 70, 45, 15, 600, 100, 3


def is_table(name):
    return name.endswith(".def") or name.startswith("src/model/tables/")


def all_functions(tree):
    return [(name, f) for name in tree.c_files() if not is_table(name) for f in functions(tree.text(name))]


def function_length(tree):
    """At most 70 lines each, signature and braces counted."""
    return [Finding("function-length", name, f.first, f.name, f"{f.name} has {f.last - f.first + 1} lines, limit {FUNCTION_MAX}")
            for name, f in all_functions(tree) if f.last - f.first + 1 > FUNCTION_MAX]


def function_p95(tree):
    """95 of 100 functions have at most 45 lines."""
    lengths = sorted(f.last - f.first + 1 for name, f in all_functions(tree))
    at = (len(lengths) * 95 + 99) // 100 - 1
    if not lengths or lengths[at] <= FUNCTION_P95:
        return []
    name, longest = max(all_functions(tree), key=lambda nf: nf[1].last - nf[1].first)
    text = f"95 % of {len(lengths)} functions reach {lengths[at]} lines, limit {FUNCTION_P95}; the longest is {longest.name}"
    return [Finding("function-p95", name, longest.first, longest.name, text)]


def complexity(tree):
    if not shutil.which("pmccabe"):
        raise Skip("pmccabe is not installed")
    files = [f for f in tree.c_files(".c") if not is_table(f)]
    if not files:
        return []
    done = subprocess.run(["pmccabe", *files], cwd=tree.root, capture_output=True, text=True)
    found = []
    for line in done.stdout.splitlines():
        match = re.match(r"(\d+)\t\d+\t\d+\t\d+\t\d+\t(.+)\((\d+)\): (\S+)", line)
        if match and int(match.group(1)) > COMPLEXITY_MAX:
            text = f"{match.group(4)} has complexity {match.group(1)}, limit {COMPLEXITY_MAX}"
            found.append(Finding("complexity", match.group(2), int(match.group(3)), match.group(4), text))
    if "\t" not in done.stdout and any(functions(tree.text(f)) for f in files):
        found.append(Finding("complexity", files[0], 1, "", f"pmccabe measured nothing: {done.stderr.strip()[:200]}"))
    return found


def file_length(tree):
    return [Finding("file-length", name, FILE_MAX + 1, "", f"{len(tree.lines(name)) - 1} lines, limit {FILE_MAX}")
            for name in tree.c_files() + tree.files(".py", ".sh")
            if not is_table(name) and len(tree.lines(name)) - 1 > FILE_MAX]


def line_length(tree):
    """Columns in C; tables and this suite's own python are let off."""
    return [Finding("line-length", name, n, "", f"{len(line)} columns, limit {LINE_MAX}")
            for name in tree.c_files() if not is_table(name)
            for n, line in enumerate(tree.lines(name), 1) if len(line) > LINE_MAX]


def nesting(tree):
    return [Finding("nesting", name, line, f.name, f"{f.name} nests more than {NESTING_MAX} levels here")
            for name, f in all_functions(tree) for line in too_deep(f, NESTING_MAX)[:1]]
