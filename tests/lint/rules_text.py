"""What the words of the source may be: banned calls, unfinished marks, essays and comments, plain text."""
import re
import shutil
import subprocess

from tree import Finding, Skip, after_bracket, tokens, without_comments

BANNED = "strcpy strcat stpcpy sprintf vsprintf strtok gmtime localtime asctime ctime system popen atoi atol atoll atof gets alloca tmpnam mktemp"
BANNED_CALL = re.compile(r"\b(" + BANNED.replace(" ", "|") + r")\s*\(")
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b")
# Places of one machine and one build have no business in a public source.
PRIVATE = re.compile(r"(?<![\w.}])/(?:wo" r"rk|fa" r"rm|ro" r"ot)/|deb\.debian\." r"org|registry\.npm" r"js\.org")


def search(tree, rule, names, pattern, say, clean=lambda text: text):
    found = []
    for name in names:
        text = clean(tree.text(name))
        for match in pattern.finditer(text):
            found.append(Finding(rule, name, text.count("\n", 0, match.start()) + 1, match.group(0).strip(" ("), say(match)))
    return found


def banned(tree):
    return search(tree, "banned", tree.c_files(".c", ".h", ".def"), BANNED_CALL,
                  lambda m: f"{m.group(1)} is banned", without_comments)


def unfinished(tree):
    names = [n for n in tree.files() if not n.endswith((".md", ".scd"))]
    return search(tree, "unfinished", names, UNFINISHED, lambda m: f"{m.group(0)}: do it or leave it out")


def private(tree):
    return search(tree, "private", tree.files(), PRIVATE, lambda m: f"{m.group(0)} belongs to one machine only")


def essay(tree):
    """Every file begins by saying what it is and why so; a script may have its #! line first."""
    found = []
    scripts = [n for n in tree.files(".py", ".sh", "check", "demo", "run")]
    for name in tree.c_files(".c", ".h", ".def") + scripts:
        text = re.sub(r"\A#!.*\n", "", tree.text(name)).lstrip()
        c = re.match(r"/\*(.*?)\*/|//(.*)", text, re.S) if name.endswith((".c", ".h", ".def")) else None
        script = re.match(r'"""(.*?)"""|#(.*)', text, re.S) if not name.endswith((".c", ".h", ".def")) else None
        said = next((g for g in (c or script).groups() if g), "") if c or script else ""
        if len(said.split()) < 4:
            found.append(Finding("essay", name, 1, "", "the file does not begin with a comment that says what it is"))
    return found


def plain(tree):
    """No tabs in C, no trailing blanks, no carriage returns, one newline at the end."""
    found = []
    for name in tree.files():
        text = tree.text(name)
        if "\0" in text:
            continue
        if text and not text.endswith("\n"):
            found.append(Finding("plain", name, len(tree.lines(name)), "", "no newline at the end"))
        for n, line in enumerate(tree.lines(name), 1):
            if "\r" in line:
                found.append(Finding("plain", name, n, "", "carriage return"))
            elif "\t" in line and name.endswith((".c", ".h", ".def")):
                found.append(Finding("plain", name, n, "", "tab"))
            elif line != line.rstrip() and name.endswith((".c", ".h", ".def", ".py", ".sh", ".build")):
                found.append(Finding("plain", name, n, "", "blanks at the end of the line"))
    return found


def prototypes(text):
    """(name, first line, last line) of the functions a header declares, static and inline ones excepted."""
    toks, at, start, found = tokens(text), 0, 0, []
    while at < len(toks):
        if toks[at].text == ";":
            head = toks[start:at]
            words = [t.text for t in head]
            named = [i for i, w in enumerate(words[:-1]) if words[i + 1] == "(" and re.match(r"[a-z]\w*$", w)
                     and not w.startswith("__")]
            if named and not {"typedef", "static", "_Static_assert", "static_assert", "="} & set(words) and "{" not in words:
                found.append((words[named[0]], head[0].line, toks[at].line))
            start = at = at + 1
        elif toks[at].text == "{":
            at = after_bracket(toks, at)
            if toks[at - 1].line and at < len(toks) and toks[at].text != ";":
                start = at  # a function body, not a struct: nothing follows it
        else:
            at = after_bracket(toks, at) if toks[at].text in "([" else at + 1
    return found


def has_comment(lines, first, last):
    """Whether the lines of a declaration, or those above it up to the next blank line, hold a comment."""
    while first > 1 and lines[first - 2].strip():
        first -= 1
    return any(re.search(r"/\*|\*/|//", line) for line in lines[first - 1:last])


def documented(tree):
    """A comment speaks for the declarations that stand under it without a blank line between."""
    return [Finding("documented", name, first, symbol, f"{symbol} has no comment above it")
            for name in tree.files(".h") if name.startswith(("src/", "include/"))
            for symbol, first, last in prototypes(tree.text(name))
            if not has_comment(tree.lines(name), first, last)]


def shell(tree):
    if not shutil.which("shellcheck"):
        raise Skip("shellcheck is not installed")
    names = [n for n in tree.files() if re.match(r"#!.*\b(ba|da)?sh\b", tree.lines(n)[0])]
    if not names:
        return []
    done = subprocess.run(["shellcheck", "--format=gcc", "--external-sources", *names], cwd=tree.root, capture_output=True, text=True)
    found = []
    for line in done.stdout.splitlines():
        match = re.match(r"(.+?):(\d+):\d+: (.*)$", line)
        if match:
            found.append(Finding("shell", match.group(1), int(match.group(2)), "", match.group(3)))
    return found


VERB = re.compile(r'^\s*(?:VERB|MORE)\(\s*(?:"([\w-]+)"|([\w-]+))', re.M)


def verbs(tree):
    """Each verb of src/cli/verbs.def has its man page, or a section of the main one."""
    path, page = "src/cli/verbs.def", "docs/fetta.1.scd"
    if path not in tree.files(".def"):
        raise Skip("there is no src/cli/verbs.def")
    text, found = without_comments(tree.text(path), keep_strings=True), []
    pages = tree.files(".scd")
    main = tree.text(page) if page in pages else ""
    rows = list(VERB.finditer(text))
    if not rows:
        found.append(Finding("verbs", path, 1, "", "no row of the form VERB(name, ...)"))
    for match in rows:
        verb = (match.group(1) or match.group(2)).replace("_", "-")
        if f"docs/fetta-{verb}.1.scd" not in pages and not re.search(rf"(?m)^(#+ .*\b|\*fetta )\*?{verb.replace('-', '[- ]')}\b", main):
            line = text.count("\n", 0, match.start(match.lastindex)) + 1
            found.append(Finding("verbs", path, line, verb, f"{verb} has neither docs/fetta-{verb}.1.scd nor a section in {page}"))
    return found
