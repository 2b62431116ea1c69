#!/bin/busybox sh
# First and only program of a Linux guest whose disk a driver domain serves that is started anew ROUNDS times
# (from the kernel's command line). Each time it finds what it wrote and flushed before:
#   0 to 2 MiB    written whole by fio, flushed, and read again by fio after the restart
#   4 MiB         blocks that are written and flushed one by one while the driver domain ends: each that was
#                 acknowledged is there; the last may be
#   8 to 16 MiB   fio's load, which verifies what it wrote while it goes on
#   16 to 17 MiB  generations: all of it written anew by sixteen requests at a time, then flushed, over and over while the
#                 driver domain ends: each byte is that of the last generation that was flushed, or of the one begun after it
# It says CLIENT-LOADED and the round when the driver domain may be ended.
b=/bin/busybox
$b mkdir -p /sys /tmp /acked
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev
for module in /modules/*.ko; do
    $b insmod "$module"
done
disk=/dev/xvda
slots=64

fail() {
    $b tail -n 5 /load /journal /generations /fio
    $b dmesg | $b tail -n 20
    echo "CLIENT-FAILED in round $round: $*"
    exec $b poweroff -f
}
is_there() { read -r size </sys/block/xvda/size && [ "$size" -gt 0 ] && [ -b $disk ]; } 2>/dev/null

# fio_on NAME WORD...: fio on the disk, with what all of its jobs have in common
fio_on() {
    name=$1
    shift
    /bin/fio --name="$name" --filename=$disk --direct=1 --thread --disk_util=0 --verify_fatal=1 "$@"
}
# whole ROUND WORD...: a job about the first 2 MiB, as they are in that round
whole() {
    pattern=$($b printf '0xa5%06x' "$1")
    shift
    fio_on whole --ioengine=libaio --iodepth=8 --size=2M --bs=64k --verify=pattern --verify_pattern="$pattern" \
        "$@" >/fio 2>&1
}
# Sixteen threads that wait for each request: where many are on their way, fio verifies also what it read as no byte, from
# a disk that has none any more.
load() {
    fio_on load --ioengine=psync --numjobs=16 --offset=8M --size=512k --offset_increment=512k --rw=randwrite --bs=4k \
        --verify=crc32c --verify_backlog=16 --fsync=32 --time_based --runtime=3600
}
journal() {
    number=0
    while slot=$((number % slots)) && line="$slot $round $number"; do
        # To write to a node that is gone would make a file of that name.
        [ -b $disk ] || return
        echo "$line" >/pending
        echo "$line" | $b dd of=$disk bs=4096 seek=$((1024 + slot)) conv=sync,notrunc,fsync || return
        echo "$line" >"/acked/$slot"
        number=$((number + 1))
    done
}
# Every block that was acknowledged is there; in the last one's place may be what was not.
journal_is_there() {
    $b dd if=$disk bs=4096 skip=1024 count=$slots 2>/dev/null | $b tr -d '\000' >/found || return
    $b cat /acked/* >/wanted || return
    $b awk 'FILENAME == "/pending" { pending[$1] = $0; next }
        FILENAME == "/found" { found[$1] = $0; next }
        found[$1] != $0 && found[$1] != pending[$1] { print "lost:", $0, "found:", found[$1]; lost = 1 }
        found[$1] == "" { lost = 1 }
        END { exit lost }' /pending /found /wanted >/journal
}

# A generation's byte, as printf and tr have it.
byte_of() { $b printf '%03o' $(($1 % 250 + 1)); }
generations() {
    while [ -b $disk ]; do
        generation=$((generation + 1))
        echo $generation >/generation-begun
        # fio does not fail when its last flush does; dd does.
        fio_on generation --ioengine=libaio --iodepth=16 --offset=16M --size=1M --rw=randwrite --bs=4k \
            --buffer_pattern=$((generation % 250 + 1)) || return
        [ -b $disk ] || return
        $b dd if=/dev/zero of=$disk bs=4096 seek=4352 count=1 conv=notrunc,fsync || return
        echo $generation >/generation-flushed
    done
}
generations_are_there() {
    read -r begun </generation-begun && read -r flushed </generation-flushed || return
    $b dd if=$disk bs=4096 skip=4096 count=256 2>/dev/null >/found || return
    others=$($b tr -d "\\$(byte_of "$begun")\\$(byte_of "$flushed")" </found | $b wc -c)
    echo "of $($b wc -c </found) bytes $others are neither of generation $flushed nor of $begun" >/generations
    [ "$others" = 0 ] && [ "$($b wc -c </found)" = 1048576 ]
}

round=0
generation=0
while :; do
    until is_there; do
        $b sleep 0.1
    done
    if [ "$round" -gt 0 ]; then
        whole $((round - 1)) --rw=read || fail "what fio wrote and flushed is not there"
        journal_is_there || fail "a block that was acknowledged is not there"
        generations_are_there || fail "a generation that was flushed is not there"
        echo "CLIENT-VERIFIED $round"
    fi
    [ "$round" -lt "$ROUNDS" ] || break
    whole "$round" --rw=write --do_verify=0 --end_fsync=1 || fail "fio cannot write"
    $b rm -f /acked/* /load-ended /journal-ended /generation-flushed /generations-ended
    (load >/load 2>&1; echo >/load-ended) &
    (journal >/journal 2>&1; echo >/journal-ended) &
    (generations >/generations 2>&1; echo >/generations-ended) &
    until [ -f /acked/5 ] && [ -f /generation-flushed ]; do
        $b sleep 0.1
    done
    echo "CLIENT-LOADED $round"
    while is_there; do
        $b sleep 0.05
    done
    # Errors are in order; to wait for ever is not. By itself fio goes on, on a disk without a byte.
    tries=0
    until [ -f /load-ended ] && [ -f /journal-ended ] && [ -f /generations-ended ]; do
        $b killall -9 fio 2>/dev/null
        $b sleep 0.2
        tries=$((tries + 1))
        [ $tries -lt 300 ] || fail "a request has no answer"
    done
    ! $b grep -q 'verify: bad' /load || fail "fio read what it had not written"
    round=$((round + 1))
    read -r generation </generation-begun
done
echo CLIENT-DONE
exec $b poweroff -f
