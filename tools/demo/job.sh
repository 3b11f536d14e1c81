#!/bin/bash
# What people run on their slices in ./demo. Every job first makes sure that what it was told to use is its
# own: CUDA_VISIBLE_DEVICES must be exactly the UUIDs of its lease. Then it says so in DEMO_OUT/NAME and works.
#
#     job.sh NAME wait            until the demo lets it go
#     job.sh NAME for SECONDS
#     job.sh NAME beat            one heartbeat a tenth of a second, until the demo lets it go
#     job.sh NAME deaf            for ever, and SIGTERM does not help
set -u
name=$1 what=$2

# The line says what this job saw: user, lease, GPUs, and when it began (seconds since the demo's start).
began=$EPOCHREALTIME
mine=$("$DEMO_FETTA" lease show "$FETTA_LEASE" --json |
    sed -n '/"lease": {/,$p' | grep -E '^ *"uuid": "' | grep -oE '(MIG|GPU)-[^"]+' | tr '\n' ,)
verdict=wrong
[ -n "$mine" ] && [ "${CUDA_VISIBLE_DEVICES-}," = "$mine" ] && verdict=own
# Written whole or not at all: the demo counts files.
[ "$verdict" = own ] || echo "job.sh: told to use ${CUDA_VISIBLE_DEVICES-nothing}, has $mine" >&2
echo "$verdict $(id -u) $FETTA_LEASE ${CUDA_VISIBLE_DEVICES-} $began $$" >"$DEMO_OUT/.$name"
mv "$DEMO_OUT/.$name" "$DEMO_OUT/$name"

case $what in
wait) read -r -t 60 _ <"$DEMO_GO" ;;
for) read -r -t "$3" _ <"$DEMO_NEVER" ;;
beat)
    until read -r -t 0.1 _ <"$DEMO_GO"; do
        echo "$EPOCHREALTIME" >>"$DEMO_OUT/.$name.beats"
    done
    ;;
deaf)
    trap '' TERM HUP INT
    while :; do read -r -t 60 _ <"$DEMO_NEVER"; done
    ;;
esac
[ "$verdict" = own ]
