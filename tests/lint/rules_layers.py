"""Layers: every #include under src/ and include/ against one table, tests/lint/layers.txt."""
import os
import re

from tree import Finding, without_comments

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


class Table:
    """layers.txt: `NAME: WORD...` where a word is a module, one header of a module, <set> or @set."""

    def __init__(self, text):
        self.sets, self.modules, self.bad = {}, {}, []
        for number, line in enumerate(text.split("\n"), 1):
            line = line.split("#")[0].strip()
            match = re.match(r"(<?)([\w/-]+)(>?):\s*(.*)$", line)
            if line and not match:
                self.bad.append((number, "not a line of the form `name: words`"))
            elif match and match.group(1):
                self.sets[match.group(2)] = match.group(4).split()
            elif match:
                self.modules[match.group(2)] = match.group(4).split()
        for module, words in self.modules.items():
            for word in words:
                if self.unknown(word):
                    self.bad.append((0, f"{module} may use {word}, which nothing defines"))

    def unknown(self, word):
        if word.startswith("<"):
            return word[1:-1] not in self.sets
        return word not in self.modules and not word.endswith((".h", ".def")) and word != "*"

    def module_of(self, path):
        """The module of a path below src/: the longest name that its folder begins with."""
        parts = path.split("/")[:-1]
        for n in range(len(parts), 0, -1):
            if "/".join(parts[:n]) in self.modules:
                return "/".join(parts[:n])
        return None

    def below(self, module, seen=None):
        """Everything a module may reach, itself included: what its unit tests may include."""
        seen = set() if seen is None else seen
        if module not in seen and module in self.modules:
            seen.add(module)
            for word in self.modules[module]:
                self.below(self.module_of(word) if "." in word else word, seen)
        return seen

    def cycle(self):
        for module, words in self.modules.items():
            for word in words:
                if word in self.modules and word != module and module in self.below(word):
                    return f"{module} and {word} may use each other"
        return None

    def header_allowed(self, module, header):
        words = [w for w in self.modules[module] if w.startswith("<")]
        for name in (h for w in words for h in self.sets.get(w[1:-1], [])):
            if header == name or (name.endswith("*") and header.startswith(name[:-1])):
                return True
        return False


def judge(table, module, test, kind, header):
    """Why this include is not allowed, or None."""
    words = table.modules[module]
    if "*" in words:
        return None
    if kind == "<":
        modules = table.below(module) if test else {module}
        ok = any(table.header_allowed(m, header) for m in modules) or (test and table.header_allowed("base", header))
        return None if ok else f"{module} may not use <{header}>"
    if test and header == "tests/tap.h":
        return None
    if "/" not in header:
        return f'write "{header}" with its folder, as "{module}/{header}"'
    target = table.module_of(header)
    if target is None:
        return f'"{header}" belongs to no module of layers.txt'
    if target == module or target in words or header in words or (test and target in table.below(module)):
        return None
    return f'{module} may not use {target} ("{header}")'


def layers(tree):
    path = "tests/lint/layers.txt"
    table = Table(tree.text(path))
    found = [Finding("layers", path, line or 1, "", text) for line, text in table.bad]
    if table.cycle():
        found.append(Finding("layers", path, 1, "", table.cycle()))
    for name in tree.files(".c", ".h", ".def", under="src/") + tree.files(".h", under="include/"):
        module = table.module_of(name.split("/", 1)[1])
        if module is None:
            found.append(Finding("layers", name, 1, "", "this folder is no module of layers.txt"))
            continue
        text = without_comments(tree.text(name), keep_strings=True)
        test = os.path.basename(name).startswith("test-")
        for match in INCLUDE.finditer(text):
            why = judge(table, module, test, match.group(1), match.group(2))
            if why:
                line = text.count("\n", 0, match.start(1)) + 1
                found.append(Finding("layers", name, line, match.group(2), why))
    return found
