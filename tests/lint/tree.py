"""What every check reads: the files of a source tree, cut into tokens, functions and declarations.

The checks never need a whole C parser. They need to know what is a comment, what is a string, where
a function begins and ends and how deep its statements nest. That much C fits in this file.
"""
import os
import re
from collections import namedtuple

Finding = namedtuple("Finding", "rule path line symbol text")
Token = namedtuple("Token", "text line")
Function = namedtuple("Function", "name first last body")  # body: the tokens between its braces

FOLDERS = ("src", "include", "tests", "bench", "docs", "packaging", "tools", ".ci")
SKIPPED = {"__pycache__", "shared", "selftest.py"}  # selftest.py is made of bad samples


class Skip(Exception):
    """The check cannot run here; the text says what is missing."""


class Tree:
    def __init__(self, root, build=None):
        self.root = os.path.abspath(root)
        self.build = build and os.path.abspath(build)
        self.cache = {}

    def path(self, name):
        return os.path.join(self.root, name)

    def files(self, *endings, under=""):
        """Names relative to the root, sorted; all files of the project if no ending is given."""
        found = [f for f in os.listdir(self.root) if os.path.isfile(self.path(f)) and not f.startswith(".git")]
        for folder in FOLDERS:
            for at, folders, files in os.walk(self.path(folder)):
                folders[:] = [d for d in folders if d not in SKIPPED]
                found += [os.path.relpath(os.path.join(at, f), self.root) for f in files if f not in SKIPPED]
        return sorted(f for f in found if f.startswith(under) and (not endings or f.endswith(endings))
                      and not f.endswith((".swp", "~", ".pyc")))

    def c_files(self, *endings):
        """Our C under src/, include/, tests/ and bench/; .c and .h unless told otherwise."""
        return [f for f in self.files(*(endings or (".c", ".h"))) if f.split("/")[0] in ("src", "include", "tests", "bench")]

    def text(self, name):
        if name not in self.cache:
            with open(self.path(name), encoding="utf-8", errors="surrogateescape", newline="") as f:
                self.cache[name] = f.read()
        return self.cache[name]

    def lines(self, name):
        return self.text(name).split("\n")


COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def without_comments(text, keep_strings=False):
    """The same text with comments blanked out and strings emptied; line numbers stay true."""
    def blank(match):
        part = match.group(0)
        if part[0] in "\"'":
            return part if keep_strings else part[0] * 2
        return re.sub(r"[^\n]", " ", part)
    return COMMENT_OR_STRING.sub(blank, text)


def tokens(text):
    """Words and punctuation of C, without comments and preprocessor lines."""
    text = without_comments(text)
    text = re.sub(r"(?m)^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: "\n" * m.group(0).count("\n"), text)
    found, line = [], 1
    for match in re.finditer(r"\n|[A-Za-z_]\w*|\d[\w.]*|\"\"|''|->|\.\.\.|&&|\|\||[^\s\w]", text):
        if match.group(0) == "\n":
            line += 1
        else:
            found.append(Token(match.group(0), line))
    return found


OPEN, CLOSE = {"(": ")", "[": "]", "{": "}"}, set(")]}")


def after_bracket(toks, at):
    """The index after the bracket that closes the one at `at`."""
    depth = 0
    while at < len(toks):
        if toks[at].text in OPEN:
            depth += 1
        elif toks[at].text in CLOSE:
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return at


def function_name(head):
    """The name in a function's head: the word before its parameter list; for TEST(x), TEST."""
    at, name = 0, None
    while at < len(head):
        if head[at].text == "(":
            if at and re.match(r"[A-Za-z_]\w*$", head[at - 1].text) and head[at - 1].text != "__attribute__":
                name = head[at - 1].text
            at = after_bracket(head, at)
        else:
            at += 1
    return name


def functions(text):
    """Every function defined in a file. A brace after a `)` at top level opens one."""
    toks, at, start, found = tokens(text), 0, 0, []
    while at < len(toks):
        word = toks[at].text
        if word == ";":
            start = at = at + 1
        elif word in "([":
            at = after_bracket(toks, at)
        elif word == "{":
            end, head = after_bracket(toks, at), toks[start:at]
            if head and head[-1].text == ")" and not any(t.text == "=" for t in head):
                found.append(Function(function_name(head), head[0].line, toks[end - 1].line, toks[at + 1:end - 1]))
                start = end
            at = end
        else:
            at += 1
    return found


class Nesting:
    """Walks the statements of a function body and keeps those deeper than the limit.

    Each if, for, while, do and loop macro adds a level to what it governs, with or without braces. `else if`
    stays on the level of its `if`; a switch adds none, for its cases read as one table."""

    def __init__(self, toks, limit):
        self.toks, self.at, self.limit, self.deep = toks, 0, limit, []

    def word(self, ahead=0):
        at = self.at + ahead
        return self.toks[at].text if at < len(self.toks) else ""

    def skip(self):
        self.at = after_bracket(self.toks, self.at)

    def block(self, depth):
        self.at += 1
        while self.at < len(self.toks) and self.word() != "}":
            self.statement(depth)
        self.at += 1

    def branch(self, depth):
        self.at += 1
        self.skip()
        self.statement(depth + 1)
        while self.word() == "else":
            self.at += 1
            if self.word() == "if":
                self.at += 1
                self.skip()
            self.statement(depth + 1)

    def simple(self):
        """An expression or a declaration, up to its semicolon."""
        while self.at < len(self.toks) and self.word() not in (";", "}"):
            if self.word() in OPEN:
                self.skip()
            else:
                self.at += 1
        if self.word() == ";":
            self.at += 1

    def loop_macro(self):
        """`for_each(...) statement`: a call that no operator or semicolon follows."""
        if not re.match(r"[A-Za-z_]\w*$", self.word()) or self.word(1) != "(":
            return 0
        end = after_bracket(self.toks, self.at + 1)
        follows = self.toks[end].text if end < len(self.toks) else ";"
        return end if follows == "{" or re.match(r"[A-Za-z_]", follows) else 0

    def statement(self, depth):
        word = self.word()
        if depth > self.limit and word not in ("{", ";"):
            self.deep.append(self.toks[self.at].line)
        if word == "{":
            self.block(depth)
        elif word == "if":
            self.branch(depth)
        elif word in ("for", "while", "switch"):
            self.at += 1
            self.skip()
            self.statement(depth + (word != "switch"))
        elif word == "do":
            self.at += 1
            self.statement(depth + 1)
            self.simple()
        elif word in ("case", "default"):
            while self.at < len(self.toks) and self.word() != ":":
                self.at += 1
            self.at += 1
        elif word not in ("return", "sizeof", "typeof", "__typeof__") and self.loop_macro():
            self.at = self.loop_macro()
            self.statement(depth + 1)
        else:
            self.simple()

    def lines(self):
        while self.at < len(self.toks):
            self.statement(0)
        return sorted(set(self.deep))


def too_deep(function, limit):
    """The lines of a function's statements that lie more than `limit` levels deep."""
    return Nesting(function.body, limit).lines()
