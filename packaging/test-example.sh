#!/bin/sh
# The example configuration is right as it stands, and with every example in it switched on.
#
#     test-example.sh FETTAD FETTA.YAML
set -eu
echo 1..3
all=$(mktemp) told=$(mktemp)
trap 'rm -f "$all" "$told"' EXIT
point() {
    if "$@" >"$told" 2>&1; then echo "ok $n - $name"; else echo "not ok $n - $name"; fi
    sed 's/^/# /' "$told"
}
n=1 name="the example as it is"
point "$1" --check-config --config "$2"
# Keys follow '#' directly or after two blanks, prose after one.
sed -E 's/^#( {2,}|[a-z])/\1/; /^ +fettad /d' "$2" >"$all"
n=2 name="with every example switched on"
point "$1" --check-config --config "$all"
n=3 name="which are all keys of fetta.yaml(5)"
keys=$(sed -nE 's/^([a-z_]+):.*/\1/p' "$all" | sort | tr '\n' ' ')
documented=$(sed -nE 's/^\*([a-z_]+)\*:.*/\1/p' "$(dirname "$2")/../docs/fetta.yaml.5.scd" | sort | tr '\n' ' ')
[ "$keys" = "$documented" ] || echo "# example: $keys; manual: $documented"
point [ "$keys" = "$documented" ]
