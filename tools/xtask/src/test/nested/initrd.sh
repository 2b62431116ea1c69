#!/bin/bash
# Makes a kernel and an initrd of what dom0 has, for a Linux guest with these modules:
# initrd.sh DIRECTORY MODULE..., in a directory that has `init`.
set -eu
cd "$1"
shift
cp /boot/vmlinuz-* kernel
mkdir -p root/bin root/dev root/proc root/mnt root/modules
mv init root/init
chmod 755 root/init
mknod root/dev/console c 5 1
cp /bin/busybox root/bin/
number=10
modprobe --show-depends --all "$@" | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
    while read -r module; do
        cp "$module" "root/modules/$number-${module##*/}"
        number=$((number + 1))
    done
(cd root && find . | busybox cpio -o -H newc 2>/dev/null | gzip) >initrd
