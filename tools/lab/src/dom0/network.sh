#!/bin/bash
# dom0's network, made when the first test asks for it: no nest boots slower for it.
#   xenbr0  where guests' interfaces are plugged in: 10.0.0.1/24 and fd00:10::1/64; dnsmasq gives addresses by
#           DHCP (10.0.0.50 to 199), announces fd00:10::/64 to IPv6, and answers for dom0.lab
#   eth0    QEMU's side, from where the host's port comes in: 10.0.2.15; it leads nowhere else
set -e
[ ! -e /run/lab/dnsmasq.pid ] || exit 0
modprobe -qa virtio_net bridge
# No second of waiting whether an address is used twice, and no address of dom0's own announcing.
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
echo 0 >/proc/sys/net/ipv6/conf/default/accept_ra
ip -batch - <<'END'
link add xenbr0 address 02:00:0a:00:00:01 type bridge forward_delay 0 stp_state 0
addr add 10.0.0.1/24 dev xenbr0
addr add fd00:10::1/64 dev xenbr0
link set xenbr0 up
addr add 10.0.2.15/24 dev eth0
link set eth0 up
END
# no-ping: else it looks for three seconds whether somebody has an address that it is about to give.
dnsmasq --conf-file=/dev/null --user=root --pid-file=/run/lab/dnsmasq.pid --log-facility=/run/lab/dnsmasq.log \
    --interface=xenbr0 --except-interface=lo --bind-interfaces --no-resolv --no-hosts --address=/dom0.lab/10.0.0.1 \
    --dhcp-range=10.0.0.50,10.0.0.199,255.255.255.0,1h --dhcp-authoritative --no-ping --log-dhcp \
    --dhcp-leasefile=/run/lab/leases --dhcp-range=fd00:10::,ra-only --enable-ra
