#!/bin/busybox sh
# First and only program of Linux as a storage driver domain: its own RAM disk and its disk from dom0,
# served by xen-blkback. libxl writes what is wanted into `backend/vbd/FRONTEND/DEVICE`; all that
# xen-blkback leaves to a program is to say which device that is, and to remove what was closed. This
# waits for changes instead of looking every now and then: while nothing changes it costs nothing.
# From the kernel's command line come RAM_KIB; BLKBACK, a parameter of xen-blkback; and WAIT, a device to wait for.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev
for module in /modules/*.ko; do
    case $module in
    */*-brd.ko) $b insmod "$module" rd_nr=1 rd_size="$RAM_KIB" max_part=0 ;;
    */*-xen-blkback.ko) $b insmod "$module" $BLKBACK ;;
    *) $b insmod "$module" ;;
    esac
done

# name_device EXPORT: the device that its `params` names, as MAJOR:MINOR in hexadecimal
name_device() {
    params=$(xenstore-read "$1/params") || return
    IFS=: read -r major minor <"/sys/class/block/${params#/dev/}/dev" || return
    xenstore-write "$1/physical-device" "$(printf %x:%x "$major" "$minor")"
}

# remove_closed EXPORT: if it is closed (6) for good
remove_closed() {
    [ "$(xenstore-read "$1/state")" = 6 ] && [ "$(xenstore-read "$1/online")" = 0 ] &&
        xenstore-rm "$1"
}

while [ -n "$WAIT" ] && [ ! -b "$WAIT" ]; do $b sleep 0.1; done
echo LINUX-SERVES
xenstore-watch backend | while read -r path; do
    case $path in
    backend) # the first event: what is there already
        for export in $(xenstore-ls -f backend | $b sed -n 's,/params = .*,,p'); do
            name_device "$export"
        done
        ;;
    */params) name_device "${path%/params}" ;;
    */state) remove_closed "${path%/state}" ;;
    esac
done 2>/dev/null
exec $b sleep 86400
