#!/bin/bash
# Process 1 of dom0: what a distribution's services would do for Xen, then the lab's agent.
PATH=/usr/sbin:/usr/bin
# Two directories match: programs of this Xen, and those common to all (xen-init-dom0 needs both).
for directory in /usr/lib/xen-common/bin /usr/lib/xen-4*/bin; do
    PATH=$directory:$PATH
done
export PATH HOME=/root TERM=linux
# No udev: libdevmapper is to make its nodes itself.
export DM_DISABLE_UDEV=1

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mkdir -p /dev/pts /dev/shm /run/lock /run/xen
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
# Without these, Xen's block scripts spin in their locking.
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
ln -sf /proc/self/fd/1 /dev/stdout
ln -sf /proc/self/fd/2 /dev/stderr
echo 1 >/proc/sys/kernel/sysrq
hostname dom0

modprobe -qa xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xen-blkback xen-netback \
    xen-blkfront xen-netfront bridge loop dm-mod
mount -t xenfs xenfs /proc/xen
ip link set lo up

xenstored --pid-file /run/xen/xenstored.pid
until xenstore-exists / 2>/dev/null || xenstore-ls / >/dev/null 2>&1; do
    sleep 0.05
done
xen-init-dom0
xenconsoled --log=all --log-dir=/var/log/xen/console --pid-file=/run/xen/xenconsoled.pid

while :; do
    for port in /dev/vport*; do
        /run/lab/agent "$port"
    done
    sleep 0.2
done
