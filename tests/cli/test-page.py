"""Pages with charts, as a strict parser sees them: whatever names and numbers went in, they are well-formed XML, name nothing
that is outside of them, have no number that is none, and every picture says what it is to those who cannot see it. Then the
reports that fetta writes: the same, and their tables are what it prints as JSON."""
import json
import os
import re
import subprocess
import sys
import tempfile
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


def fetta(program, *words):
    return subprocess.run([program, *words], check=True, stdout=subprocess.PIPE).stdout.decode()


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def pictures(root):
    """Titles of pictures, and of those that draw nothing by path or box."""
    svgs = root.findall(".//svg")
    return ([s.find("title").text for s in svgs],
            [s.find("title").text for s in svgs if not any(p.get("d", "x") for p in s.findall("path") + s.findall("rect"))])


def texts(root, cells):
    return ["".join(c.itertext()) for c in root.findall(cells)]


def simulated(program):
    """What is wrong with a report of fetta simulate."""
    trace, found = "jobs <&> 'more'.csv", []
    words = ["simulate", "--trace", trace, "--machine", "1xdgx-a100", "--policy", "fetta,first-fit,static:7x1g,whole-gpu"]
    with open(trace, "w", encoding="utf-8") as f:
        f.write(fetta(program, "trace", "make", "--mix", "uniform", "--load", "1.1", "--machine", "1xdgx-a100", "--jobs", "400", "--seed", "4"))
    document = json.loads(fetta(program, *words, "--json", "--report", "a.html"))
    fetta(program, *words, "--report", "a.html")
    page = read("a.html")
    found += wrong(page)
    root = ElementTree.fromstring(page)
    titles, empty = pictures(root)
    table, by_slice = root.findall(".//table")
    names = [t.split()[0] for t in texts(table, "tr/td[1]")]
    busy = texts(table, "tr/td[4]")
    if names != [p["policy"] for p in document["policies"]]:
        found.append(f"policies {names}")
    if busy != [f"{p['utilisation_percent']:.2f}" for p in document["policies"]]:
        found.append(f"utilisation {busy}")
    rows = {(s["slice"], p["policy"]): f"{s['wait_mean_s']:.1f}" for p in document["policies"] for s in p["slices"]}
    told = dict(zip(zip(texts(by_slice, "tr/td[1]"), [t.split()[0] for t in texts(by_slice, "tr/td[2]")]), texts(by_slice, "tr/td[6]")))
    if told != rows or len(told) < 8:
        found.append(f"waits by slice {told}, not {rows}")
    for title in ("Utilisation", "Jobs that wait", "Waits", "Completion", "GPUs over time: whole-gpu"):
        if title not in titles or title in empty:
            found.append(f"no picture of {title}, or an empty one")
    # The command on the page, run by a shell, makes the page again to the bit.
    command = root.find(".//pre").text
    subprocess.run(["bash", "-c", f'fetta() {{ "{program}" "$@"; }}; {command}'], check=True, stdout=subprocess.DEVNULL)
    if read("a.html") != page:
        found.append(f"not the same again by: {command}")
    return found


def compared(program):
    with open("work.yaml", "w", encoding="utf-8") as f:
        f.write(fetta(program, "compare", "--example"))
    document = json.loads(fetta(program, "compare", "-f", "work.yaml", "--systems", "dgx-a100", "--json", "--report", "c.html"))
    page = read("c.html")
    root = ElementTree.fromstring(page)
    titles, empty = pictures(root)
    want = ["GPUs needed by way of sharing", "How GPUs are cut: fetta on MIG", "How GPUs are cut: static MIG",
            "search: latencies at 600 requests per second", "photos: latencies at 1500 requests per second",
            "Jobs: the part of the GPUs they have that is at work"]
    gpus = texts(root, ".//table/tr/td[2]")[:5]
    told = [f"{w['gpus']} of 8" for w in document["systems"][0]["ways"]]
    return wrong(page) + [t for t in want if t not in titles or t in empty] + ([] if gpus == told else [f"GPUs {gpus}, not {told}"])


def main():
    draw, failed = sys.argv[1], 0
    seeds = range(1, 41)
    for seed in seeds:
        page = subprocess.run([draw, "--page", str(seed)], check=True, stdout=subprocess.PIPE).stdout.decode("utf-8")
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
    program = os.path.abspath(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        bad = 0
        for number, (name, report) in enumerate((("compare", compared), ("simulate", simulated)), 3):
            found = report(program)
            bad += bool(found)
            for what in found:
                print(f"# {what}")
            print(f"{'not ok' if found else 'ok'} {number} - the report of fetta {name} is sound")
        os.chdir("/")
    print("1..4")
    return failed or bool(missed) or bool(bad)


sys.exit(main())
