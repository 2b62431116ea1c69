#!/bin/bash
# Makes a kernel and an initrd of what dom0 has, for Linux as a server of streams: linux.sh DIRECTORY PROGRAM,
# in a directory that has `init`.
set -eu
cd "$1"
cp /boot/vmlinuz-* kernel
mkdir -p root/bin root/dev root/proc root/modules
mv init root/init
cp "$2" root/bin/streams
chmod 755 root/init root/bin/streams
mknod root/dev/console c 5 1
cp /bin/busybox root/bin/
number=10
modprobe --show-depends --all xen-netfront | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
    while read -r module; do
        cp "$module" "root/modules/$number-${module##*/}"
        number=$((number + 1))
    done
(cd root && find . | busybox cpio -o -H newc 2>/dev/null | gzip) >initrd
