#!/bin/sh
# Builds the core for 64-bit Arm and runs its tests under qemu: half of the machines with these GPUs
# are Arm, and the core must decide the same there. Needs aarch64-linux-gnu-gcc and qemu-aarch64.
#
# Usage: tools/cross-check.sh [BUILD-DIRECTORY]     (default: build-aarch64)
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build-aarch64}

for tool in aarch64-linux-gnu-gcc qemu-aarch64 meson ninja; do
    if ! command -v "$tool" >/dev/null; then
        echo "cross-check: $tool is missing; on Debian: apt install gcc-aarch64-linux-gnu" \
            "libc6-dev-arm64-cross qemu-user meson ninja-build" >&2
        exit 1
    fi
done

if [ ! -f "$build/build.ninja" ]; then
    meson setup --cross-file "$root/tools/aarch64.cross" -Dcore_only=true "$build" "$root"
fi
ninja -C "$build"
# The emulation is some ten times slower than the machine under it.
exec meson test -C "$build" --no-rebuild --print-errorlogs --timeout-multiplier 10
