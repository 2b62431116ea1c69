#!/bin/busybox sh
# First and only program of a Linux guest whose disk a driver domain serves: writes files to the ext4 on it,
# and their sums. From the kernel's command line comes FILES, how many.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t devtmpfs devtmpfs /dev
for module in /modules/*.ko; do
    $b insmod "$module"
done
until [ -b /dev/xvda ]; do
    $b sleep 0.1
done

# write: the files and their sums, by the same seed each time
write() {
    $b mount -t ext4 /dev/xvda /mnt && cd /mnt || return
    for directory in $($b seq 0 $((FILES / 100))); do
        $b mkdir "$directory" || return
    done
    $b awk -v files="$FILES" 'BEGIN {
        srand(77)
        for (file = 0; file < files; file++) {
            name = int(file / 100) "/" file
            for (lines = int(rand() * 200); lines >= 0; lines--)
                print rand() > name
            close(name)
        }
    }' || return
    $b find . -type f | $b xargs $b sha256sum >/sums && $b cp /sums /mnt/sums || return
    cd / && $b umount /mnt
}

if write; then
    echo CLIENT-DONE
else
    echo CLIENT-FAILED
fi
exec $b poweroff -f
