#!/bin/bash
# Adds fio and its libraries to what `initrd.sh` left in the folder, and packs the initrd again: not
# compressed, which would take longer than it saves. restart-fio.sh DIRECTORY
set -eu
cd "$1"
mkdir -p root/lib root/lib64
cp /usr/bin/fio root/bin/
cp -L /lib64/ld-linux-x86-64.so.2 root/lib64/
/lib64/ld-linux-x86-64.so.2 --list /usr/bin/fio | sed -n 's/.* => \(.*\) (.*/\1/p' |
    while read -r library; do
        cp -L "$library" root/lib/
    done
(cd root && find . | busybox cpio -o -H newc 2>/dev/null) >initrd
rm -r root
