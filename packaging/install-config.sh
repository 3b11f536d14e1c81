#!/bin/sh
# Installs fetta.yaml, unless there is one: a configuration belongs to the administrator.
#
#     install-config.sh SOURCE SYSCONFDIR
set -eu
folder=${DESTDIR-}$2/fetta
mkdir -p "$folder"
if [ -e "$folder/fetta.yaml" ]; then
    echo "$folder/fetta.yaml stays as it is"
else
    install -m 644 "$1" "$folder/fetta.yaml"
fi
