#!/bin/bash
# The demo itself, run by `fetta emulate dgx-a100` with the machine and its daemon around it: eight scenes, then the
# table of the claims made for MIG. Exits 0 only if every claim that the table calls shown was checked here.
#
# Needs from ./demo: DEMO_FETTA, DEMO_TOOLS, DEMO_NVML, DEMO_BY_HAND, DEMO_TMP (a folder that ./demo removes).
set -u
export DEMO_FETTA DEMO_OUT=$DEMO_TMP/out DEMO_GO=$DEMO_TMP/go DEMO_NEVER=$DEMO_TMP/never
fetta=$DEMO_FETTA
job=$DEMO_TOOLS/job.sh
began=$EPOCHREALTIME
mkdir -m 1777 "$DEMO_OUT"
# Jobs wait by reading pipes that we hold open: a line lets one job go, and nothing polls.
mkfifo -m 666 "$DEMO_GO" "$DEMO_NEVER"
exec 8<>"$DEMO_GO" 9<>"$DEMO_NEVER"

# ---- what the audience sees ----

live=false
[ -t 1 ] && [ "${TERM:-dumb}" != dumb ] && live=true
drawn=0
bold=$($live && printf '\033[1m')
plain=$($live && printf '\033[0m')

wipe() {
    [ "$drawn" -gt 0 ] && printf '\033[%dA\033[J' "$drawn"
    drawn=0
}

say() {
    wipe
    printf '%s\n' "$*"
}

scene() {
    say ""
    say "$bold$*$plain"
}

# The machine as it is now, in the place of the picture before; as much of it as the terminal has room for.
draw() {
    $live || return 0
    local picture size line
    size=$(stty size <&1 2>/dev/null) || size="24 80"
    mapfile -t picture < <("$fetta" status 2>&1 | head -n $((${size% *} - 2)))
    wipe
    for line in "${picture[@]}"; do
        printf '%s\n' "${line:0:${size#* }}"
    done
    drawn=${#picture[@]}
}

# Time to look at it, where somebody looks.
hold() { $live && until_true 3 false; }

# A picture that stays: GPUs only, as leases are many.
snapshot() {
    wipe
    "$fetta" status | sed -n '3,/^$/p' | sed '/^$/d; s/^/    /'
}

# until_true SECONDS COMMAND...: draws the machine until the command succeeds.
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        draw
        read -r -t 0.1 _ <&9
    done
}

# ---- what is checked ----

# check NAME TEXT COMMAND...: one point; the claims at the end name the points that they rest on.
declare -A checked=()
check() {
    local name=$1 text=$2
    shift 2
    if "$@"; then
        checked[$name]=yes
        say "    ok      $text"
    else
        checked[$name]=no
        say "    FAILED  $text"
    fi
}

millis() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%d", (b - a) * 1000 }'; }
have() { [ "$(find "$DEMO_OUT" -name "$1" ! -name '.*' | wc -l)" -ge "$2" ]; }
# all_own PREFIX, field N PREFIX: of what the jobs of that name wrote, the first word and one column.
all_own() { ! cat "$DEMO_OUT/$1"* | grep -qv '^own '; }
field() { awk -v n="$1" '{ print $n }' "$DEMO_OUT/$2"*; }
release() { for ((i = 0; i < $1; i++)); do echo >&8; done; }
gone() { ! kill -0 "$1" 2>/dev/null; }
daemon_pid() { "$fetta" status --json 2>/dev/null | sed -nE 's/^ *"daemon_pid": ([0-9]+).*/\1/p'; }
# Reads the status: "leased-slices leased-compute whole-GPUs foreign".
machine() {
    "$fetta" status --json | awk '
        /"gpus": \[/ { in_gpus = 1 }
        /"leases": \[/ { in_gpus = 0 }
        !in_gpus { next }
        /"compute": / { compute = $2 + 0 }
        /"state": "leased"/ { slices++; sum += compute }
        /"state": "foreign"/ { foreign++ }
        /"mig": "off"/ { off++ }
        END { print slices + 0, sum + 0, off + 0, foreign + 0 }'
}
nothing_held() { [ "$("$fetta" status --json | grep -cE '^ *"state": "(queued|starting|active|ending|killing)"')" -eq 0 ]; }

pids=()
finish() {
    # Whatever is left of us is given back; the machine ends with us anyway.
    [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null
    $live && printf '\033[?25h'
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
$live && printf '\033[?25l'

# wait_all: how many of the started commands failed; says how the first few did.
wait_all() {
    local failed=0 pid status
    for pid in "${pids[@]}"; do
        wait "$pid"
        status=$?
        [ $status -eq 0 ] && continue
        failed=$((failed + 1))
        [ $failed -gt 3 ] || say "    process $pid ended with status $status"
    done
    pids=()
    return "$failed"
}

# ---- 1 ----

users=56
as_users=false
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null &&
    setpriv --reuid 9001 --regid 9001 --clear-groups "$fetta" status >/dev/null 2>&1 &&
    setpriv --reuid 9001 --regid 9001 --clear-groups test -x "$job"; then
    as_users=true
    scene "1. Fifty-six users at once, each with a 1g.10gb slice of his own (56 uids)"
else
    scene "1. Fifty-six jobs at once, each on a 1g.10gb slice of its own"
    say "    (all of them by uid $(id -u): only root can start jobs as 56 users, from a folder that they may read)"
fi
start=$EPOCHREALTIME
for ((i = 1; i <= users; i++)); do
    who=()
    $as_users && who=(setpriv --reuid $((9000 + i)) --regid $((9000 + i)) --clear-groups)
    "${who[@]}" "$fetta" run -s 1g.10gb --for 5m -- "$job" "user-$i" wait 2>"$DEMO_OUT/.error-$i" &
    pids+=($!)
done
until_true 40 have 'user-*' $users
took=$(millis "$start" "$EPOCHREALTIME")
first=$(daemon_pid)
hold
read -r slices compute _ _ <<<"$(machine)"
each=$("$fetta" lease list --json | awk '
    /"memory_bytes": / { bytes = $2 + 0 }
    /"sms": / { printf "%.3g GiB and %d SMs", bytes / 2 ^ 30, $2; exit }')
snapshot
distinct=$(field 4 user- | sort -u | wc -l)
uids=$(field 2 user- | sort -u | wc -l)
check users "$users jobs held a slice at once, $took ms after the first asked; $uids uid$([ "$uids" -eq 1 ] || echo s)" \
    [ "$slices" -eq $users ]
check own "each saw exactly its own device, $distinct different ones" \
    eval "[ $distinct -eq $users ] && all_own user-"
check full "$compute of 56 compute slices leased, each slice with $each" \
    eval "[ $compute -eq 56 ] && [ -n '$each' ]"
release $users
until_true 30 nothing_held
check users_end "all of them ended well and gave back" wait_all
peak_compute=$compute peak_slices=$slices peak_distinct=$distinct peak_uids=$uids

# ---- 2 ----

scene "2. Forty-six requests of four sizes for twice the machine, in a queue"
want=()
for ((i = 0; i < 2; i++)); do
    want+=(7g.80gb 3g.40gb 3g.40gb 3g.40gb 3g.40gb 3g.40gb 2g.20gb 2g.20gb 2g.20gb 2g.20gb 2g.20gb 2g.20gb 7g.80gb
        1g.10gb 1g.10gb 1g.10gb 1g.10gb 1g.10gb 1g.10gb 1g.10gb 1g.10gb 1g.10gb 1g.10gb)
done
start=$EPOCHREALTIME
for ((i = 0; i < ${#want[@]}; i++)); do
    "$fetta" run -s "${want[i]}" --for 1m -- "$job" "mix-$i" for 1.5 2>"$DEMO_OUT/.error-mix-$i" &
    pids+=($!)
done
queued=0 most=0
served() {
    local n
    n=$("$fetta" status --json | grep -cE '^ *"position": [0-9]')
    [ "$n" -gt "$queued" ] && queued=$n
    read -r _ n _ _ <<<"$(machine)"
    [ "$n" -gt "$most" ] && most=$n
    have 'mix-*' ${#want[@]}
}
until_true 40 served
wait_all
failed=$?
say "    in order of start (seconds after the first request):"
for ((i = 0; i < ${#want[@]}; i++)); do
    read -r _ _ _ _ at _ <"$DEMO_OUT/mix-$i" && echo "$at ${want[i]}"
done | sort -n | awk -v start="$start" '
    { line = line sprintf("  %s@%.1f", $2, $1 - start) }
    NR % 8 == 0 { print "     " line; line = "" }
    END { if (line) print "     " line }'
check mix "${#want[@]} of ${#want[@]} served, up to $queued waited, at most $most of 56 compute slices leased" \
    eval "[ $failed -eq 0 ] && [ $most -le 56 ] && have 'mix-*' ${#want[@]}"
check mix_queue "some had to wait" [ "$queued" -gt 0 ]
check mix_own "each on a device of its own" all_own mix-

# ---- 3 ----

scene "3. A training job on four whole GPUs: MIG off there, slices elsewhere"
"$fetta" run -s 3g.40gb --for 5m -- "$job" beside wait 2>"$DEMO_OUT/.error-beside" &
pids+=($!)
until_true 20 have beside 1
"$fetta" run --gpus 4 --for 5m -- "$job" training wait 2>"$DEMO_OUT/.error-training" &
pids+=($!)
until_true 20 have training 1
hold
read -r _ _ off _ <<<"$(machine)"
snapshot
gpus=$(field 4 training | tr ',' '\n' | grep -c '^GPU-')
check whole "CUDA_VISIBLE_DEVICES names $gpus GPUs, MIG is off on $off, and a 3g.40gb job runs beside" \
    eval "[ $gpus -eq 4 ] && [ $off -eq 4 ] && all_own training && all_own beside"
release 2
until_true 20 nothing_held
wait_all
check whole_end "both ended well" [ $? -eq 0 ]

# ---- 4 ----

scene "4. A forgotten lease: 2 seconds long, and its process ignores SIGTERM"
start=$EPOCHREALTIME
# In braces: the shell's own word about a killed child goes where the rest goes.
{ "$fetta" run -s 1g.10gb --for 2s --grace 1s -- "$job" forgotten deaf; } 2>"$DEMO_OUT/.error-forgotten" &
pids+=($!)
until_true 20 have forgotten 1
forgotten=$(field 6 forgotten)
lease=$(field 3 forgotten)
until_true 20 gone "$forgotten"
took=$(millis "$(field 5 forgotten)" "$EPOCHREALTIME")
until_true 10 nothing_held
wait_all >/dev/null
why=$("$fetta" lease show "$lease" --json | sed -nE 's/^ *"why": "([a-z-]+)".*/\1/p')
check expired "asked to end after 2 s, killed after 1 s of grace, gone after $((took / 1000)).$((took % 1000 / 100)) s; why: $why" \
    eval "gone $forgotten && [ '$why' = time ] && [ $took -ge 2000 ]"

# ---- 5 ----

scene "5. fettad is killed with SIGKILL under a running job"
"$fetta" run -s 2g.20gb --for 5m -- "$job" steady beat 2>"$DEMO_OUT/.error-steady" &
steady=$!
pids+=("$steady")
until_true 20 have steady 1
hold
lease=$(field 3 steady)
before=$(daemon_pid)
check one_daemon "up to here one fettad served everybody (pid $first)" [ "$before" = "$first" ]
kill -KILL "$before"
start=$EPOCHREALTIME
back() {
    local now
    now=$(daemon_pid)
    [ -n "$now" ] && [ "$now" != "$before" ]
}
until_true 20 back
took=$(millis "$start" "$EPOCHREALTIME")
after=$(daemon_pid)
state=$("$fetta" lease show "$lease" --json | sed -nE '0,/"state"/s/^ *"state": "([a-z]+)".*/\1/p')
read -r -t 0.5 _ <&9
release 1
until_true 20 nothing_held
wait "$steady"
status=$?
pids=()
pause=$(awk 'NR > 1 && ($1 - last) * 1000 > most { most = ($1 - last) * 1000 } { last = $1 } END { printf "%d", most }' "$DEMO_OUT/.steady.beats")
check daemon "fettad $before is fettad ${after:-(none)} after $took ms; lease $lease is $state" \
    eval "[ -n '$after' ] && [ '$after' != '$before' ] && [ '$state' = active ]"
check undisturbed "the job missed nothing (longest pause between heartbeats of 100 ms: $pause ms) and ended with $status" \
    eval "[ $status -eq 0 ] && [ $pause -lt 1000 ]"

# ---- 6 ----

scene "6. An administrator cuts a GPU by hand, behind fettad's back"
# The last GPU that has MIG on; idle instances are cleared away first, so that there is room for his hands.
gpu=$("$fetta" status --json | awk '
    /"leases": \[/ { exit }
    /"index": / { number = $2 + 0 }
    /"mig": "on"/ { best = number }
    END { print best + 0 }')
printf 'version: v1\nmig-configs:\n  empty:\n    - devices: [%s]\n      mig-enabled: true\n      mig-devices: {}\n' "$gpu" >"$DEMO_TMP/empty.yaml"
"$fetta" apply -f "$DEMO_TMP/empty.yaml" -c empty >/dev/null && "$fetta" dynamic "$gpu" >/dev/null
by_hand() { id=$("$DEMO_BY_HAND" "$DEMO_NVML" create "$gpu" 2>/dev/null); }
until_true 5 by_hand
shown() { read -r _ _ _ foreign <<<"$(machine)"; [ "$foreign" -ge 1 ]; }
until_true 10 shown
hold
snapshot
check foreign "GPU instance ${id:-(none)} on GPU $gpu, a 3g.40gb made by hand, is shown as foreign" \
    eval "[ -n '$id' ] && shown"
"$fetta" run -s 7g.80gb --on "$gpu" --wait 0 -- true 2>"$DEMO_OUT/.refused"
status=$?
check refused "a request for the whole of that GPU is refused (status $status): $(sed -n '1s/^fetta[^:]*: //p' "$DEMO_OUT/.refused" | cut -c 1-100)" \
    [ $status -eq 75 ]
"$fetta" run -s 3g.40gb --on "$gpu" --wait 5s -- "$job" neighbour for 0.1 2>"$DEMO_OUT/.error-neighbour"
check beside "a request that fits beside it is served" [ $? -eq 0 ]
check kept "and it is still there: fetta never destroys what is not its own" \
    eval "\"$DEMO_BY_HAND\" \"$DEMO_NVML\" list $gpu | grep -qx '${id:-none}'"
"$DEMO_BY_HAND" "$DEMO_NVML" destroy "$gpu" "${id:-99}"
until_true 10 eval '! shown'

# ---- 7 ----

scene "7. Modelled work: seven clients on slices of one GPU, and the same seven taking turns on a whole one"
say "    (nothing is computed: each request takes as long as was measured and published for it, and says so)"
# load NAME WORD...: modelled work, its report in DEMO_TMP/NAME.json.
load() {
    local name=$1
    shift
    "$fetta" emulate load --model yolos-small --json "$@" >"$DEMO_TMP/$name.json" 2>"$DEMO_OUT/.error-$name"
}
# p50 NAME, rate NAME: of a report; the worst and the sum of several.
p50() { awk '/^ *"p50": / { printf "%.4g\n", $2; exit }' "$DEMO_TMP/$1.json"; }
worst() { for ((i = 1; i <= 7; i++)); do p50 "$1-$i"; done | sort -g | tail -n 1; }
best() { for ((i = 1; i <= 7; i++)); do p50 "$1-$i"; done | sort -g | head -n 1; }
rates() { cat "$DEMO_TMP/$1"*.json | awk '/^ *"throughput": / { sum += $2 } END { printf "%.1f", sum }'; }
holds() { awk "BEGIN { exit !($1) }"; }
export -f load
export fetta DEMO_TMP
for ((i = 1; i <= 7; i++)); do
    "$fetta" run -s 1g.10gb --on 0 --for 1m -- bash -c "load slice-$i --for 7s" 2>"$DEMO_OUT/.error-slice-$i" &
    pids+=($!)
done
# shellcheck disable=SC2016 # for the shell inside
"$fetta" run -s 1g.10gb --on 1 --for 1m -- bash -c 'load alone --memory 6G --for 4s & sleep 1
    load greedy --memory 12G; echo $? >"$DEMO_TMP/greedy"; wait -n' 2>"$DEMO_OUT/.error-alone" &
pids+=($!)
"$fetta" run -s 1g.10gb --on 1 --for 1m -- bash -c 'load bert-slice --model mlperf-bert --for 3s' 2>"$DEMO_OUT/.error-bert" &
pids+=($!)
"$fetta" run --gpus 1 --for 1m -- bash -c 'load whole --for 3s; load bert-whole --model mlperf-bert --for 3s' 2>"$DEMO_OUT/.error-whole" &
pids+=($!)
# shellcheck disable=SC2016 # for the shell inside
"$fetta" run --gpus 1 --for 1m -- bash -c 'for i in 1 2 3 4 5 6 7; do load turn-$i --for 7s & done; wait' 2>"$DEMO_OUT/.error-turns" &
pids+=($!)
until_true 40 nothing_held
wait_all
check work "all of them ended well; every report says modelled, and by whose figures" \
    eval "[ $? -eq 0 ] && [ $(cat "$DEMO_TMP"/*.json | grep -c '^  "modelled": true') -eq 18 ]"
alone=$(p50 alone) whole=$(p50 whole) slices_p50=$(worst slice) turns_p50=$(best turn)
slices_rate=$(rates slice-) turns_rate=$(rates turn-) whole_rate=$(rates whole)
bert_slice=$(p50 bert-slice) bert_whole=$(p50 bert-whole)
check work_slices "on slices: p50 $alone ms alone, at worst $slices_p50 ms with six neighbours at work" \
    holds "$alone > 0 && $slices_p50 < $alone * 1.1"
check work_turns "on one whole GPU: p50 $whole ms alone, at best $turns_p50 ms with six others taking turns" \
    holds "$whole > 0 && $turns_p50 > $whole * 5"
check work_rate "seven slices serve $slices_rate requests/s, seven taking turns $turns_rate, one client alone $whole_rate" \
    holds "$slices_rate > $turns_rate * 1.5 && $slices_rate > $whole_rate * 1.5"
check work_small "one stream of BERT: p50 $bert_whole ms on the whole GPU, $bert_slice ms on a slice" \
    holds "$bert_whole > 0 && $bert_slice > $bert_whole * 3 && $bert_slice < $bert_whole * 4"
check work_refused "12 GiB on a slice of 9.5 are refused (status $(cat "$DEMO_TMP/greedy")), and its neighbour of 6 GiB served on" \
    eval "[ $(cat "$DEMO_TMP/greedy") -eq 1 ] && [ -n '$alone' ]"

# ---- 8 ----

scene "8. The same work on whole GPUs and on slices, computed: three services, and a queue of 1000 jobs"
# way NAME KEY [SERVICE KEY]: of a way of sharing in the comparison. policy NAME KEY: of the simulation.
way() {
    awk -v way="$1" -v key="\"$2\":" -v service="${3-}" '
        $1 == "\"way\":" { here = index($0, "\"" way "\"") }
        $1 == "\"name\":" { at = $2 }
        here && $1 == key && (service == "" || at == "\"" service "\",") { print $2 + 0; exit }' "$DEMO_TMP/compare.json"
}
policy() {
    awk -v name="\"$1\"," -v key="\"$2\":" '
        $1 == "\"policy\":" { here = $2 == name }
        here && $1 == key { print $2 + 0; exit }' "$DEMO_TMP/simulate.json"
}
cut_for=$DEMO_TOOLS/../../docs/claims/many-small.yaml
fixed=static:3g+2g+1g+1g
"$fetta" compare -f "$cut_for" --systems dgx-a100 --json >"$DEMO_TMP/compare.json" 2>"$DEMO_OUT/.error-compare"
"$fetta" trace make --mix migbench --times lognormal --machine dgx-a100 --jobs 1000 --seed 1 >"$DEMO_TMP/jobs.csv" 2>"$DEMO_OUT/.error-trace" &&
    "$fetta" simulate --trace "$DEMO_TMP/jobs.csv" --machine dgx-a100 --policy "fetta,$fixed,whole-gpu" --json \
        >"$DEMO_TMP/simulate.json" 2>"$DEMO_OUT/.error-simulate"
cut=$(way "fetta on MIG" gpus) uncut=$(way "whole GPUs" gpus) mps=$(way MPS gpus)
cut_busy=$(way "fetta on MIG" utilisation) uncut_busy=$(way "whole GPUs" utilisation)
search=$(way "fetta on MIG" p99_ms search) search_whole=$(way "whole GPUs" p99_ms search) search_mps=$(way MPS p99_ms search)
in_time=$(awk '/"way":/ { here = /fetta on MIG/ } here && /"in_time": true/ { n++ } END { print n + 0 }' "$DEMO_TMP/compare.json")
queue=$(policy fetta utilisation_percent) queue_whole=$(policy whole-gpu utilisation_percent)
granted=$(policy fetta accepted_gpc_percent) granted_fixed=$(policy "$fixed" accepted_gpc_percent)
wait=$(policy fetta wait_mean_s) wait_fixed=$(policy "$fixed" wait_mean_s)
percent() { awk -v part="$1" 'BEGIN { printf "%.0f", part }'; }
minutes() { awk -v s="$1" 'BEGIN { printf "%.0f", s / 60 }'; }
ms() { awk -v ms="$1" 'BEGIN { printf "%.3g", ms }'; }
cut_busy=$(percent "${cut_busy:-0}e2") uncut_busy=$(percent "${uncut_busy:-0}e2")
check planned "bert, resnet50 and mobilenetv2 on $cut GPU cut into slices, $cut_busy % busy, instead of $uncut that are $uncut_busy % busy" \
    holds "${cut:-0} > 0 && ${cut:-0} < ${uncut:-0}"
check planned_time "$in_time of 3 services within their targets there; p99 of search $(ms "$search") of 400 ms" \
    holds "$in_time == 3 && ${search:-0} > 0"
check queue "1000 jobs keep $(percent "$queue") % of the compute slices at work, $(percent "$queue_whole") % with a whole GPU for each" \
    holds "${queue:-0} > 1.5 * ${queue_whole:-0} && ${queue_whole:-0} > 0"
check queue_fixed "all of their work is granted; a fixed layout of 3g+2g+1g+1g grants $(percent "$granted_fixed") % of it" \
    holds "${granted:-0} > 99.9 && ${granted_fixed:-0} > 0 && ${granted_fixed:-0} < ${granted:-0}"

# Nothing that ran on a lease is left.
left=0
for pid in $(field 6 user-) $(field 6 mix-) $(field 6 training) "$forgotten"; do
    gone "$pid" || left=$((left + 1))
done
check nothing_left "of all processes that held a lease, $left are left" [ $left -eq 0 ]

# ---- the claims ----

# tell LABEL TEXT: a folded paragraph beside its label.
tell() { fold -s -w 84 <<<"$2" | awk -v label="$1" '{ printf "    %-10s%s\n", label, $0; label = "" }'; }

bad=0
# row CLAIM STATUS POINTS RUN FIGURE LIMIT: STATUS is shown only if each of the points was checked.
row() {
    local status=$2 point
    for point in $3; do
        [ "${checked[$point]-no}" = yes ] || status=FAILED
    done
    [ "$status" = FAILED ] && bad=$((bad + 1))
    printf '\n  %s%s%s: %s\n' "$bold" "$1" "$plain" "$status"
    tell run "$4"
    tell figure "$5"
    tell "not when" "$6"
}
say ""
say "${bold}What is claimed for MIG, and what this run says to it$plain"
row "1 utilisation" shown "full mix mix_queue" "scenes 1 and 2" \
    "$peak_compute of 56 compute slices leased at once, and $most with four sizes mixed; 8 of 8 GPUs would have served 8 users" \
    "leased is not busy. Seven slices full of work do 0.80 to 0.97 of what the whole A100 does (MLPerf Inference v1.1, closed, Offline, A100-SXM-80GB): the gain is that of jobs which cannot fill a GPU"
row "1a utilisation, of work" modelled "work work_rate" "scene 7: 7 x fetta emulate load --model yolos-small on 1g.10gb, on one whole GPU, and one alone" \
    "seven slices $slices_rate requests/s, seven taking turns on a whole A100 $turns_rate, one client alone $whole_rate (nebuly-ai/nos, YOLOS-small, A100-80GB)" \
    "under MPS the same seven do 22 on the whole GPU (same source); against a whole GPU that is kept full, seven slices do 0.80 to 0.97 (MLPerf Inference v1.1, closed, Offline)"
row "1b utilisation, planned and simulated" modelled "planned queue" "scene 8: fetta compare -f docs/claims/many-small.yaml --systems dgx-a100; fetta simulate of 1000 jobs" \
    "three services on $cut GPU, $cut_busy % busy, instead of $uncut that are $uncut_busy % busy; a queue keeps $(percent "$queue") % of the compute slices at work, $(percent "$queue_whole") % with a whole GPU for each job" \
    "MPS needs $mps GPU$([ "$mps" = 1 ] || echo s) for these services, without the isolation. A job is taken to run no faster on a whole GPU than on its slice: where that is not so, whole GPUs lose less"
row "2 guaranteed service" modelled "work work_slices work_turns" "scene 7" \
    "p50 $alone ms alone on a slice, $slices_p50 ms with six neighbours at work; taking turns on a whole GPU $whole and $turns_p50 ms (nebuly-ai/nos). With all neighbours busy a 1g.10gb slice loses at most 2.4 % in five networks (MLPerf Inference v1.1, closed, Offline, A100-SXM-80GB), 7 % with DLRM (v2.0)" \
    "power and clock are shared (A30: 6 to 9 % lost, v1.1), and so are PCIe, the host and the last-level TLB; fetta lease show lists it per lease"
row "3 isolation" shown "own mix_own nothing_left expired kept" "scenes 1, 2, 4 and 6" \
    "$peak_distinct of $users jobs saw exactly one device and no two the same; $left processes outlived their lease; what others made was not touched" \
    "memory and faults stay inside an instance by the hardware, which no emulation shows. Timing channels between instances are published. A job that sets CUDA_VISIBLE_DEVICES itself is not held back by fetta yet"
row "4 flexible deployment" shown "mix whole whole_end foreign refused beside" "scenes 2, 3 and 6" \
    "four sizes and whole GPUs on one machine without a fixed layout; MIG off on $off GPUs while the others stayed sliced" \
    "a GPU is cut anew only where it is empty, and on real hardware a mode change may need a reset. Containers and Kubernetes: not yet"
row "4a flexible deployment, simulated" modelled "queue_fixed" "scene 8: the same fetta simulate" \
    "slices made as they are asked for grant $(percent "$granted") % of the work; a fixed layout of 3g+2g+1g+1g grants $(percent "$granted_fixed") % of it, as it has no room for 7g.80gb" \
    "who fits the fixed layout waits less there: $(minutes "$wait_fixed") minutes on average instead of $(minutes "$wait"), since the large are refused"
row "5 fifty-six users" shown "users own full users_end one_daemon" "scene 1" \
    "$peak_slices leases of 1g.10gb at once ($peak_uids uid$([ "$peak_uids" -eq 1 ] || echo s)), each with $each" \
    "98 of 108 SMs of an A100 are in slices: seven users of one GPU leave 9.3 % of it idle"
row "6 inference with small models" modelled "work work_small" "scene 7: fetta emulate load --model mlperf-bert on a slice and on a whole GPU" \
    "one stream of BERT: $bert_slice ms on a slice, $bert_whole ms on the whole GPU (90th percentiles of MLPerf Inference v1.1, closed, SingleStream, A100-SXM-80GB); at 380 queries/s on one slice p99 is 95.8 ms alone, 105.9 ms with busy neighbours (v2.0, Server)" \
    "stable, but slower than the whole GPU: 1.4 to 7.7 times the p90 of a single stream (v1.1)"
row "6a inference with small models, planned" modelled "planned planned_time" "scene 8: the same fetta compare" \
    "all three services keep their targets on slices of $cut GPU; search has a p99 of $(ms "$search") ms of the 400 that it has" \
    "slower than whole GPUs ($(ms "$search_whole") ms for that service) and MPS ($(ms "$search_mps") ms)"
for point in "${!checked[@]}"; do
    [ "${checked[$point]}" = yes ] || bad=$((bad + 1))
done
printf '\n%d points checked in %d s, %d failed\n' ${#checked[@]} $(($(millis "$began" "$EPOCHREALTIME") / 1000)) "$(printf '%s\n' "${checked[@]}" | grep -c no)"
[ "$bad" -eq 0 ]
