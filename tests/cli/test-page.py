"""Pages with charts, as a strict parser sees them: whatever names and numbers went in, they are well-formed XML, name nothing
that is outside of them, have no number that is none, and every picture says what it is to those who cannot see it."""
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

SVG_NUMBERS = ("x", "y", "x1", "x2", "y1", "y2", "width", "height")


def wrong(page):
    """What is wrong with a page, a list of words."""
    try:
        root = ElementTree.fromstring(page)
    except ElementTree.ParseError as e:
        return [f"no XML: {e}"]
    found = []
    style = root.find("head/style").text
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    if len(ids) != len(set(ids)):
        found.append("an id is there twice")
    for e in root.iter():
        if e.tag == "script" or any(a in e.attrib for a in ("href", "src", "onload", "style")):
            found.append(f"<{e.tag}> refers to something or runs something")
        for word in e.get("class", "").split():
            if not re.search(rf"\.{re.escape(word)}\b", style):
                found.append(f"no style for class {word}")
        for name in SVG_NUMBERS:
            if name in e.attrib and not re.fullmatch(r"-?\d{1,5}(\.\d)?", e.get(name)):
                found.append(f"{name}={e.get(name)!r} of <{e.tag}> is no number")
        if e.tag == "path" and not re.fullmatch(r"([MLhv]-?\d{1,5}(\.\d)?( -?\d{1,5}(\.\d)?)?|z)*", e.get("d")):
            found.append(f"path {e.get('d')[:80]!r}")
        if e.tag == "svg":
            named = e.get("aria-labelledby", "").split()
            if len(named) != 2 or [c.get("id") for c in e.findall("title") + e.findall("desc")] != named:
                found.append("a picture without its title and description")
    if re.search(r"https?:|url\(|@import", page):
        found.append("something would be fetched")
    return found


def main():
    program, failed = sys.argv[1], 0
    seeds = range(1, 41)
    for seed in seeds:
        page = subprocess.run([program, "--page", str(seed)], check=True, stdout=subprocess.PIPE).stdout.decode("utf-8")
        for what in wrong(page):
            print(f"# seed {seed}: {what}")
            failed = 1
    print(f"{'not ok' if failed else 'ok'} 1 - pages of seeds 1 to {len(seeds)} are sound")
    # The test itself must be able to fail.
    bad = ["<html><head><style/></head><body>", page.replace("<body>", '<body><p class="unheard"/>'),
           page.replace(' x="', ' x="nan', 1), page.replace("<desc", "<disc", 1).replace("</desc", "</disc", 1),
           page.replace("<body>", '<body><script/>'), page.replace("<body>", "<body><p>http://x</p>")]
    missed = [i for i, p in enumerate(bad) if not wrong(p)]
    print(f"{'not ok' if missed else 'ok'} 2 - what is broken on purpose is found {missed or ''}")
    print("1..2")
    return failed or bool(missed)


sys.exit(main())
