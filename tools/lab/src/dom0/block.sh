#!/bin/busybox sh
# A hotplug script for block devices that tells the backend what the disk is, and no more. Xen's own takes seconds
# here for each, most of them to keep others from the same disk. To start a program with shared libraries takes a
# twentieth of a second: hence busybox, which has none, and one xenstore-write.
set -e
case $1 in
add)
    disk=$(xenstore-read "$XENBUS_PATH/params")
    node=
    if [ -f "$disk" ]; then
        disk=$(/sbin/losetup --find --show "$disk")
        node="$XENBUS_PATH/node $disk"
    fi
    device=$(busybox stat -L -c %t:%T "$disk")
    # Without quotes: none or two words.
    xenstore-write $node "$XENBUS_PATH/physical-device" "$device" "$XENBUS_PATH/hotplug-status" connected
    ;;
remove)
    disk=$(xenstore-read "$XENBUS_PATH/node" 2>/dev/null) && /sbin/losetup --detach "$disk" || true
    ;;
esac
