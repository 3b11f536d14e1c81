#!/bin/sh
# What others see of libfetta: only fetta_* with a version, its soname, and a header that a C and a
# C++ compiler take with every warning on. Arguments: the library, the include folder, the version script.
set -u
lib=$(realpath "$1") include=$2 map=$3 n=0 failed=0

said() { # said STATUS NAME
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; failed=1; fi
}

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

nm -D --defined-only "$lib" | sed 's/@.*//' | awk '$2 != "A" {print $3}' | sort > "$work/shown"
grep -o 'fetta_[a-z_]*' "$include/fetta/fetta.h" | sort -u > "$work/words"
grep -o 'fetta_[a-z_]*;' "$map" | tr -d ';' | sort > "$work/listed"
! grep -qv '^fetta_' "$work/shown" && [ -s "$work/shown" ]
said $? "nothing but fetta_ is exported"
cmp -s "$work/shown" "$work/listed"
said $? "what the version script lists is what is there"
[ -z "$(comm -23 "$work/listed" "$work/words")" ]
said $? "every exported function is in the header"
readelf -d "$lib" | grep -q 'soname: \[libfetta.so.0\]'
said $? "the soname is libfetta.so.0"
! readelf -d "$lib" | grep NEEDED | grep -Eq 'microhttpd|curl|sqlite|systemd|pthread'
said $? "it brings no server, database or threads along"

if nm -D "$lib" | grep -q __asan_init; then
    for language in C99 C++11; do
        n=$((n + 1))
        echo "ok $n - a $language program builds and runs # SKIP the library is built with a sanitizer"
    done
    echo "1..$n"
    exit $failed
fi

printf '#include <fetta/fetta.h>\nint main(int argc, char **argv)\n{\n    struct fetta_error err;\n    struct fetta *f;\n    (void)argc;\n    return fetta_open(argv[1], &f, &err) < 0 && err.text[0] ? 0 : 1;\n}\n' > "$work/use.c"
cp "$work/use.c" "$work/use.cc"
ln -s "$lib" "$work/libfetta.so.0"
${CC:-cc} -std=c99 -Wall -Wextra -Wpedantic -Werror -Wstrict-prototypes -I"$include" -o "$work/use" "$work/use.c" "$work/libfetta.so.0" &&
    LD_LIBRARY_PATH=$work "$work/use" "$work/none"
said $? "a C99 program builds and runs"
if command -v c++ > /dev/null; then
    c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -I"$include" -o "$work/use++" "$work/use.cc" "$work/libfetta.so.0" &&
        LD_LIBRARY_PATH=$work "$work/use++" "$work/none"
    said $? "a C++11 program builds and runs"
else
    n=$((n + 1))
    echo "ok $n - a C++11 program builds and runs # SKIP no C++ compiler"
fi
echo "1..$n"
exit $failed
