"""What lets programs that know nothing of sanitizers load a library that was built with them."""
import os
import re
import subprocess


def environment(library):
    """Variables to add for programs that load `library`; none where it was built without ASan.

    The runtime must come first in such a program. Leaks are not looked for: most would be the program's own."""
    with open(library, "rb") as f:
        if b"__asan_init" not in f.read():
            return {}
    said = subprocess.run(["ldd", library], capture_output=True, text=True, check=True).stdout
    runtimes = re.findall(r"=> (\S+/lib(?:asan|ubsan)\.so\S*)", said)
    return {"LD_PRELOAD": ":".join(runtimes), "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
