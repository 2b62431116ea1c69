#!/bin/busybox sh
# First program of Linux as a server of streams: gives its interface the address that the kernel's command
# line says, and serves.
b=/bin/busybox
$b mount -t proc proc /proc
for module in /modules/*.ko; do
    $b insmod "$module"
done
until [ -e /proc/sys/net/ipv4/conf/eth0 ]; do
    $b sleep 0.1
done
$b ip link set lo up
$b ip addr add "$ADDRESS/24" dev eth0
$b ip link set eth0 up
exec /bin/streams serve
