#!/bin/bash
# Installs what is missing of tools/packages.txt, and does nothing at all when nothing is.
#
#     install-packages.sh build|check
#
# `build` is what ./demo needs, `check` is that and what ./check needs. As root, or with sudo, it installs;
# otherwise it names the missing packages and exits 1. It asks for a password only at a terminal.
set -u
tools=$(dirname "$(readlink -f "$0")")
purpose=${1-}
if [ "$purpose" != build ] && [ "$purpose" != check ]; then
    echo "usage: install-packages.sh build|check" >&2
    exit 2
fi
mapfile -t wanted < <(awk -v purpose="$purpose" '!/^#/ && ($2 == "build" || $2 == purpose) { print $1 }' "$tools/packages.txt")

missing=()
find_missing() {
    missing=()
    local package
    for package in "${wanted[@]}"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
}

give_up() {
    echo "missing packages: ${missing[*]}" >&2
    echo "$1; as root: apt-get install ${missing[*]}" >&2
    exit 1
}

if ! command -v dpkg-query >/dev/null; then
    echo "this is no Debian: tools/packages.txt says what is needed; going on with what is here" >&2
    exit 0
fi
find_missing
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -eq 0 ]; then
    root=()
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    root=(sudo)
else
    give_up "neither root nor sudo to install them"
fi
echo "installing: ${missing[*]}"
apt_get=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y)
"${apt_get[@]}" update >/dev/null || echo "apt-get update failed; trying with the lists that are here" >&2
"${apt_get[@]}" install --no-install-recommends "${missing[@]}" >/dev/null </dev/null
find_missing
[ ${#missing[@]} -eq 0 ] || give_up "apt-get could not install them"
