#!/bin/bash
# Builds the core (base, model, plan, engine, emul) for aarch64 and runs its tests under qemu-user, so that
# nothing in it comes to rest on x86. Called by ./check; `cross-check.sh FOLDER` names the build folder.
set -eu
root=$(dirname "$(dirname "$(readlink -f "$0")")")
build=${1:-$root/build-aarch64}
[ -f "$build/build.ninja" ] || meson setup "$build" "$root" --cross-file "$root/tools/aarch64.ini" -Dcore_only=true
ninja -C "$build"
exec meson test -C "$build" --no-rebuild --print-errorlogs --timeout-multiplier "${FETTA_TIMEOUTS:-4}"
