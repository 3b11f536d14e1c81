#!/bin/bash
# Fetches the programs of other people that tests run on the emulated driver: nvidia-smi, Slurm, hwloc and so on.
#
#     fetch-peers.sh [--again] [FOLDER]      FOLDER: $FETTA_PEERS, or build/peers/root
#
# Debian's packages are downloaded with an apt state of their own and unpacked into FOLDER. Nothing is installed, and
# the system's apt is not touched. Some of the programs are not free: they are fetched where they are used, and must
# never be shipped or committed. What cannot be had is no error here: FOLDER/.fetch/status says per program `ok` or
# `missing` and why, and whatever test needs it skips with that reason. Without --again only what is missing is
# tried, once a day. FETTA_APT_DIR stands in for /etc/apt in tests.
set -u
export LC_ALL=C.UTF-8
umask 022
again=false
if [ "${1-}" = --again ]; then
    again=true
    shift
fi
root=${1:-${FETTA_PEERS:-$(dirname "$(readlink -f "$0")")/../build/peers/root}}
if [ $# -gt 1 ] || [ "${root#-}" != "$root" ]; then
    echo "usage: fetch-peers.sh [--again] [FOLDER]" >&2
    exit 2
fi
mkdir -p "$root/.fetch" || exit 1
root=$(readlink -f "$root")
own=$root/.fetch status=$root/.fetch/status

# program | suite | what must be there afterwards | packages with the libraries that a small system lacks
slurm_libraries='libmunge2 libhwloc15 libnuma1 libpam0g liblz4-1 libreadline8 libdbus-1-3'
programs="
nvidia-smi|bookworm|usr/lib/nvidia/current/nvidia-smi|nvidia-smi
nvml|bookworm|usr/lib/x86_64-linux-gnu/nvidia/current/libnvidia-ml.so.1|libnvidia-ml1
nvidia-modprobe|bookworm|usr/bin/nvidia-modprobe|nvidia-modprobe
pynvml|bookworm|usr/lib/python3/dist-packages/pynvml.py|python3-pynvml
gpustat|bookworm|usr/lib/python3/dist-packages/gpustat/core.py|gpustat python3-psutil python3-blessed python3-six python3-wcwidth python3-pkg-resources
nvtop|bookworm|usr/bin/nvtop|nvtop libncursesw6 libtinfo6
lstopo|bookworm|usr/bin/lstopo-no-graphics usr/lib/x86_64-linux-gnu/hwloc/hwloc_nvml.so|hwloc-nox libhwloc15 libhwloc-plugins libhwloc-contrib-plugins libltdl7 libpciaccess0 libxml2 libicu72
slurm|bookworm|usr/sbin/slurmd-wlm usr/lib/x86_64-linux-gnu/slurm-wlm/gpu_nvml.so usr/sbin/munged|slurmd slurmctld slurm-client slurm-wlm-basic-plugins slurm-wlm-nvml-plugin munge $slurm_libraries
lp_solve|bookworm|usr/bin/lp_solve|lp-solve libcolamd2 libsuitesparseconfig5
nvidia-smi-550|trixie|trixie/usr/lib/nvidia/current/nvidia-smi|nvidia-smi
nvml-550|trixie|trixie/usr/lib/x86_64-linux-gnu/nvidia/current/libnvidia-ml.so.1|libnvidia-ml1
pynvml-550|trixie|trixie/usr/lib/python3/dist-packages/pynvml.py|python3-pynvml
nvitop|trixie|trixie/usr/lib/python3/dist-packages/nvitop/__init__.py|nvitop
"

mapfile -t apt_files < <(ls "${FETTA_APT_DIR:-/etc/apt}"/sources.list.d/*.{sources,list} "${FETTA_APT_DIR:-/etc/apt}"/sources.list 2>/dev/null)

# sources SUITE: the machine's own Debian sources, with contrib and non-free; another suite has only these two.
sources() {
    local components='main contrib non-free' only='bookworm[a-z-]*'
    [ "$1" = bookworm ] || components='contrib non-free' only=bookworm
    awk -v suite="$1" -v components="$components" -v only="^$only\$" '
        function given() {
            if (deb && kept && !off)
                print text "Suites: " kept "\nComponents: " components "\n"
            text = kept = ""; deb = off = 0
        }
        FNR == 1 || /^[ \t]*$/ { given() }
        FILENAME ~ /\.list$/ && $1 == "deb" {
            signed = ""
            for (i = 2; $i ~ /^\[|=/ || $i == "]"; i++)
                if (match($i, /signed-by=[^] ]*/)) signed = substr($i, RSTART + 10, RLENGTH - 10)
            if ($(i + 1) ~ only)
                print "Types: deb\nURIs: " $i "\nSuites: " (suite == "bookworm" ? $(i + 1) : suite) \
                    "\nComponents: " components (signed ? "\nSigned-By: " signed : "") "\n"
        }
        FILENAME ~ /\.list$/ || /^#/ || /^[ \t]*$/ { next }
        $1 == "Types:" { deb = / deb( |$)/ ; text = text "Types: deb\n"; next }
        $1 == "Suites:" {
            for (i = 2; i <= NF; i++) if ($i ~ only) kept = kept (kept ? " " : "") $i
            if (kept && suite != "bookworm") kept = suite
            next
        }
        $1 == "Components:" { next }
        $1 == "Enabled:" { off = tolower($2) == "no"; next }
        { text = text $0 "\n" }
        END { given() }' "${apt_files[@]}"
}

# apt SUITE COMMAND...: apt-get or apt-cache with lists and cache of our own.
apt() {
    local suite=$1 command=$2
    shift 2
    "$command" -q -o Dir::Etc::sourcelist="$own/$suite.sources" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::Lists="$own/$suite.lists" -o Dir::Cache="$own/$suite.cache" -o Acquire::Languages=none \
        -o Acquire::Retries=1 -o Acquire::http::Timeout=15 -o Acquire::https::Timeout=15 -o APT::Sandbox::User=root \
        -o APT::Update::Pre-Invoke::= -o APT::Update::Post-Invoke::= -o APT::Update::Post-Invoke-Success::= "$@"
}

# lists SUITE: fetches what the suite has to offer; sets `trouble` if it cannot be had.
lists() {
    trouble=$unreachable
    [ -z "$unreachable" ] || return 1
    [ -e "$own/$1.done" ] && return 0
    mkdir -p "$own/$1.lists/partial" "$own/$1.cache/archives/partial"
    [ ${#apt_files[@]} -eq 0 ] || sources "$1" >"$own/$1.sources"
    if [ ! -s "$own/$1.sources" ]; then
        trouble="no sources of Debian 12 in this machine's apt configuration"
    elif ! apt "$1" timeout_apt_get update >"$own/$1.log" 2>&1 || ! ls "$own/$1.lists"/*Packages* >/dev/null 2>&1; then
        trouble="apt-get update: $(grep -m1 -hE '^(E|W|Err)' "$own/$1.log" || echo 'no package lists came')"
    else
        touch "$own/$1.done"
    fi
    unreachable=$trouble # the other suites come from the same place: it is tried once
    [ -z "$trouble" ]
}
unreachable=
timeout_apt_get() { timeout 180 apt-get "$@"; }

# here PATHS: whether all of them are in FOLDER.
here() {
    local path
    for path in $1; do
        [ -e "$root/$path" ] || return 1
    done
}

# fetch SUITE PACKAGES PATHS: downloads and unpacks; sets `trouble` if PATHS are not there afterwards.
fetch() {
    local to=$root debs=$own/debs.$1 deb
    [ "$1" = bookworm ] || to=$root/$1
    lists "$1" || return
    mkdir -p "$debs" "$to"
    # shellcheck disable=SC2086 # a list of packages
    if ! (cd "$debs" && apt "$1" timeout_apt_get download $2) >"$own/download.log" 2>&1; then
        trouble="apt-get download: $(grep -m1 -hE '^E' "$own/download.log" || tail -n1 "$own/download.log")"
    fi
    for deb in "$debs"/*.deb; do
        [ -e "$deb" ] || continue
        dpkg-deb --fsys-tarfile "$deb" | tar -C "$to" -x --keep-directory-symlink --no-same-owner -f - || trouble="cannot unpack $deb"
        rm -f "$deb"
    done
    here "$3" && trouble=
    [ -n "$trouble" ] || here "$3" || trouble="$2 of $1 has no $3"
}

# What dpkg would have done: Slurm's programs under their own names. Nothing here is to be anybody's privilege.
finish() {
    local name
    for name in slurmd slurmctld slurmstepd; do
        [ ! -e "$root/usr/sbin/$name-wlm" ] || ln -sfn "$name-wlm" "$root/usr/sbin/$name"
    done
    find "$root" -xdev -type f -perm /6000 -exec chmod a-s {} +
}

main() {
    local name suite paths packages found=0 wanted=0 missing=() new=$own/status.new
    $again && rm -f "$own"/*.done
    : >"$new"
    while IFS='|' read -r name suite paths packages; do
        [ -n "$name" ] || continue
        wanted=$((wanted + 1)) trouble=
        if $again || ! here "$paths"; then
            if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
                trouble="this is no Debian: there is no apt-get"
            elif [ "$(dpkg --print-architecture)" != amd64 ]; then
                trouble="only amd64 has all of these programs"
            else
                fetch "$suite" "$packages" "$paths"
            fi
        fi
        if [ -z "$trouble" ]; then
            found=$((found + 1))
            printf '%s\tok\n' "$name" >>"$new"
        else
            missing+=("$name ($trouble)")
            printf '%s\tmissing\t%s\n' "$name" "$trouble" >>"$new"
        fi
    done <<<"$programs"
    finish
    mv "$new" "$status"
    echo "peers: $found of $wanted programs of other people in $root"
    [ ${#missing[@]} -eq 0 ] || printf 'peers: no %s\n' "${missing[@]}"
}

# One at a time. All there, or tried less than a day ago with the archive in reach: nothing is asked of the network.
exec 9>"$own/lock"
flock 9
if ! $again && [ -e "$status" ] && { ! grep -q missing "$status" || {
    [ -e "$own/bookworm.done" ] && [ -n "$(find "$status" -mmin -1440)" ]; }; }; then
    printf 'peers: %d programs of other people in %s\n' "$(grep -c 'ok$' "$status")" "$root"
    sed -n 's/^\(.*\)\tmissing\t\(.*\)/peers: no \1 (\2)/p' "$status"
    exit 0
fi
rm -f "$own"/*.done
main
