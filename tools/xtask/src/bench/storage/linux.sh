#!/bin/bash
# Makes a kernel and an initrd of what dom0 has, for Linux as a storage driver domain: linux.sh DIRECTORY MODULE...
# The directory has `init`. busybox, xenstore's programs with their libraries, three modules, and those that are named,
# are all it needs.
set -eu
cd "$1"
shift
cp /boot/vmlinuz-* kernel
mkdir -p root/bin root/dev root/proc root/sys root/modules root/lib64 root/lib
mv init root/init
chmod 755 root/init
mknod root/dev/console c 5 1
cp /bin/busybox root/bin/
ln -s busybox root/bin/sh
for program in read write rm ls watch; do
    cp "/usr/bin/xenstore-$program" root/bin/
done
cp -L /lib64/ld-linux-x86-64.so.2 root/lib64/
/lib64/ld-linux-x86-64.so.2 --list /usr/bin/xenstore-read |
    sed -n 's/.* => \(.*\) (.*/\1/p' |
    while read -r library; do
        cp -L "$library" root/lib/
    done
number=10
modprobe --show-depends --all brd xen-blkfront xen-blkback "$@" | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
    while read -r module; do
        cp "$module" "root/modules/$number-${module##*/}"
        number=$((number + 1))
    done
(cd root && find . | busybox cpio -o -H newc 2>/dev/null | gzip) >initrd
