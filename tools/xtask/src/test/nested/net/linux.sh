#!/bin/busybox sh
# First and only program of a Linux guest with an interface: gets an address by DHCP, shows a page.
b=/bin/busybox
$b mount -t proc proc /proc
for module in /modules/*.ko; do
    $b insmod "$module"
done
until [ -e /proc/sys/net/ipv4/conf/eth0 ]; do
    $b sleep 0.1
done
$b ip link set eth0 up
$b cat >/address.sh <<'END'
#!/bin/busybox sh
[ "$1" != bound ] || /bin/busybox ip addr add "$ip/24" dev eth0
END
$b chmod 755 /address.sh
$b mkdir /page
echo 'a page of busybox' >/page/index.html
$b udhcpc -i eth0 -s /address.sh -q -n && echo NET-UP
exec $b httpd -f -p 80 -h /page
