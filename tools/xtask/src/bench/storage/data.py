"""Seeded random data on a block device: data.py (fill SEED | sum) DEVICE MIB

Fills the first MIB MiB of it, or reads them; prints the sum of what was written, or read. Nothing passes
through dom0's cache.
"""
import hashlib
import mmap
import os
import random
import sys

PIECE = 1024 ** 2


def main():
    fill = sys.argv[1] == "fill"
    source = random.Random(int(sys.argv[2])) if fill else None
    device, count = sys.argv[-2], int(sys.argv[-1])
    piece = mmap.mmap(-1, PIECE)  # O_DIRECT wants whole pages
    total = hashlib.blake2b(digest_size=16)
    file = os.open(device, os.O_DIRECT | (os.O_WRONLY if fill else os.O_RDONLY))
    for _ in range(count):
        if fill:
            piece[:] = source.randbytes(PIECE)
            moved = os.write(file, piece)
        else:
            moved = os.readv(file, [piece])
        if moved != PIECE:
            sys.exit("%s: %d bytes instead of %d" % (device, moved, PIECE))
        total.update(piece)
    print(total.hexdigest())


main()
