#!/bin/busybox sh
# First program of dom0, in the initrd: finds the root disk and goes there.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in /modules/*.ko; do
    insmod "$module" || echo "lab: $module did not load"
done
tries=0
until [ -b /dev/vda ]; do
    tries=$((tries + 1))
    [ $tries -lt 200 ] || { echo "lab: no root disk"; poweroff -f; }
    usleep 50000
done
mount -t ext4 -o rw,noatime /dev/vda /root || { echo "lab: no root file system"; poweroff -f; }
mount -t tmpfs -o mode=755 tmpfs /root/run
cp -r /lab /root/run/lab
umount /proc /sys
mount --move /dev /root/dev
exec switch_root /root /run/lab/init
