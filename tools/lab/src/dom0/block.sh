#!/bin/sh
# A hotplug script for block devices that tells the backend what the disk is, and no more. Xen's own takes seconds
# here for each, most of them to keep others from the same disk.
set -e
case $1 in
add)
    disk=$(xenstore-read "$XENBUS_PATH/params")
    if [ -f "$disk" ]; then
        disk=$(losetup --find --show "$disk")
        xenstore-write "$XENBUS_PATH/node" "$disk"
    fi
    device=$(stat -L -c %t:%T "$disk")
    xenstore-write "$XENBUS_PATH/physical-device" "$device" "$XENBUS_PATH/hotplug-status" connected
    ;;
remove)
    disk=$(xenstore-read "$XENBUS_PATH/node" 2>/dev/null) && losetup --detach "$disk" || true
    ;;
esac
