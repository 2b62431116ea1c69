#!/bin/sh
# mmdebstrap's hook after unpacking: finish.sh ROOT STAGE. Packages are only unpacked, not configured; this
# does the little that dom0 needs of their configuration, and leaves in STAGE
#   xen          the hypervisor, uncompressed
#   linux        dom0's kernel, uncompressed
#   busybox      for the initrd
#   modules/     the initrd's modules, named in the order of loading
#   dom0.ext4    dom0's root file system
set -eu
root=$1
stage=$2

# What the packages' own scripts would have done.
cat >"$root/etc/passwd" <<'END'
root:x:0:0:root:/root:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
END
cat >"$root/etc/group" <<'END'
root:x:0:
tty:x:5:
disk:x:6:
nogroup:x:65534:
END
echo dom0 >"$root/etc/hostname"
echo '127.0.0.1 localhost dom0' >"$root/etc/hosts"
rm -rf "$root/var/run" "$root/var/lock" "$root/var/lib/apt" "$root/var/cache" "$root/etc/fstab"
ln -s /run "$root/var/run"
ln -s /run/lock "$root/var/lock"
ln -sf mawk "$root/usr/bin/awk"
mkdir -p "$root/run" "$root/tmp" "$root/root" \
    "$root/var/lib/xen" "$root/var/log/xen/console" "$root/var/lib/xenstored" "$root/var/tmp"

# Drivers of hardware that the nest does not have are most of the size.
version=$(ls "$root/usr/lib/modules")
modules=$root/usr/lib/modules/$version
for unused in drivers/gpu drivers/media drivers/infiniband drivers/staging drivers/iio \
    drivers/isdn drivers/hid drivers/input drivers/usb drivers/bluetooth drivers/video \
    drivers/platform drivers/hwmon drivers/thunderbolt drivers/nfc drivers/mtd drivers/ata \
    drivers/comedi drivers/crypto drivers/net/wireless drivers/net/ethernet drivers/net/can \
    drivers/net/usb drivers/net/wwan drivers/scsi drivers/leds drivers/firewire drivers/edac \
    sound net/bluetooth net/mac80211 net/wireless net/can net/nfc \
    fs/ocfs2 fs/xfs fs/btrfs fs/nfs fs/nfsd fs/smb fs/ceph fs/gfs2 fs/f2fs fs/jfs fs/bcachefs; do
    rm -rf "$modules/kernel/$unused"
done
rm -rf "$root/usr/share/doc" "$root/usr/share/man" "$root/usr/share/locale" \
    "$root/usr/share/perl" "$root/usr/share/mime" "$root/usr/lib/x86_64-linux-gnu/gconv" \
    "$root"/usr/lib/grub/i386* "$root"/usr/lib/debug

# The nest's CPU is emulated: what each boot would unpack there is unpacked here, once.
chroot "$root" find "/usr/lib/modules/$version" -name '*.ko.xz' -exec xz -d {} +
chroot "$root" /sbin/depmod "$version"
gunzip -c "$root"/boot/xen-*-amd64.gz >"$stage/xen"
number() { # OFFSET SIZE: a number in the kernel's setup header
    od -An -t "u$2" -j "$1" -N "$2" "$root"/boot/vmlinuz-* | tr -d ' '
}
# setup_sects, payload_offset, payload_length (Linux: Documentation/arch/x86/boot.rst). The last
# four bytes of the payload are its unpacked size.
start=$((($(number 0x1f1 1) + 1) * 512 + $(number 0x248 4)))
length=$(($(number 0x24c 4) - 4))
payload() {
    tail -c "+$((start + 1))" "$root"/boot/vmlinuz-* | head -c "$length"
}
case $(payload | od -An -t x1 -N 4 | tr -d ' ') in
28b52ffd) payload | chroot "$root" zstd -dc >"$stage/linux" ;;
fd377a58) payload | chroot "$root" xz -dc >"$stage/linux" ;;
*) cp "$root"/boot/vmlinuz-* "$stage/linux" ;; # as it is: Xen unpacks it itself
esac
# The guest kernel for comparisons stays; the rest would only make dom0 larger.
find "$root/boot" -type f ! -name "vmlinuz-*" -delete
cp "$root/bin/busybox" "$stage/busybox"

mkdir "$stage/modules"
number=10
chroot "$root" /sbin/modprobe --set-version "$version" --show-depends --all \
    virtio_pci virtio_blk virtio_console ext4 |
    awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
    while read -r module; do
        name=$(basename "$module")
        cp "$root/$module" "$stage/modules/$number-$name"
        number=$((number + 1))
    done

# Room for what tests leave in dom0; a sparse file, so it costs nothing here.
mkdir "$stage/root"
mount --bind "$root" "$stage/root" # without the /proc, /sys and /dev mounted for this hook
used=$(du -sm "$stage/root" | cut -f1)
size=$((used * 5 / 4 + 512))M
mke2fs -q -t ext4 -O ^has_journal -m 0 -N 65536 -d "$stage/root" "$stage/dom0.ext4" "$size"
umount "$stage/root"
rmdir "$stage/root"
# Without root's rights, these files are another user's here.
chmod -R a+rwX "$stage"
