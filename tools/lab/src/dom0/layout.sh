#!/bin/sh
# First hook of mmdebstrap: the merged /usr that no package's files bring along.
set -eu
for directory in bin sbin lib lib64; do
    mkdir -p "$1/usr/$directory"
    ln -s "usr/$directory" "$1/$directory"
done
