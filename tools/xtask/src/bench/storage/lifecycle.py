"""Times what an administrator waits for, in milliseconds:

lifecycle.py ready CONFIG NAME TARGET     from the start of `xl create` until a `backend` entry, written
                                          when it returns, reaches InitWait; and until it returns
lifecycle.py attach NAME TARGET VDEV ACCESS    from the start of `xl block-attach` until it returns, and
                                          until the first read has completed
lifecycle.py detach NAME VDEV             from the start of `xl block-detach` until it returns

Prints the CPU time that Xen charged to the domain NAME meanwhile last.
"""
import ctypes
import glob
import mmap
import os
import subprocess
import sys
import time

from xen import Xen

LIMIT = 120
PAUSE = 0.001
INIT_WAIT = b"2"
NONE, READ = 0, 1


def xl(*words):
    subprocess.run(["xl", *words], check=True, stdout=subprocess.DEVNULL)


def wait(what, condition):
    """The time at which the condition holds."""
    end = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > end:
            sys.exit("no %s within %d s" % (what, LIMIT))
        time.sleep(PAUSE)
    return time.monotonic()


def say(start, used, *times):
    print(*("%.2f" % (1000 * (moment - start)) for moment in times), "%.2f" % (used / 1e6))


class Permission(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint), ("perms", ctypes.c_int)]


class Store:
    """xenstore, by its library: a program for each node would cost more than what is timed."""

    def __init__(self):
        self.library = ctypes.CDLL(glob.glob("/usr/lib/x86_64-linux-gnu/libxenstore.so.*")[0])
        self.library.xs_transaction_start.restype = ctypes.c_uint32
        for function in ("xs_open", "xs_read", "xs_directory"):
            getattr(self.library, function).restype = ctypes.c_void_p
        self.handle = ctypes.c_void_p(self.library.xs_open(0))

    def read(self, path):
        length = ctypes.c_uint()
        found = self.library.xs_read(self.handle, 0, path.encode(), ctypes.byref(length))
        return ctypes.string_at(found, length.value) if found else None

    def domain(self, name):
        """The number of the domain of that name."""
        count = ctypes.c_uint()
        found = self.library.xs_directory(self.handle, 0, b"/local/domain", ctypes.byref(count))
        numbers = ctypes.cast(found, ctypes.POINTER(ctypes.c_char_p))[:count.value]
        return next(int(number) for number in numbers
                    if self.read("/local/domain/%d/name" % int(number)) == name.encode())

    def directory(self, transaction, path, owner, reader):
        self.library.xs_mkdir(self.handle, transaction, path.encode())
        permissions = (Permission * 2)(Permission(owner, NONE), Permission(reader, READ))
        self.library.xs_set_permissions(self.handle, transaction, path.encode(), permissions, 2)

    def write(self, transaction, path, value):
        value = str(value).encode()
        if not self.library.xs_write(self.handle, transaction, path.encode(), value, len(value)):
            sys.exit("xenstore refuses %s" % path)

    def remove(self, path):
        self.library.xs_rm(self.handle, 0, path.encode())

    def transaction(self, body):
        done = False
        while not done:
            transaction = self.library.xs_transaction_start(self.handle)
            body(transaction)
            done = self.library.xs_transaction_end(self.handle, transaction, False)


def write_entry(store, domain, device, target):
    """What libxl writes for a disk of dom0's, in its order. Returns backend's and frontend's folders."""
    home = "/local/domain/%d/backend" % domain
    back = "%s/vbd/0/%d" % (home, device)
    front = "/local/domain/0/device/vbd/%d" % device
    fronts = {"backend": back, "backend-id": domain, "state": 1, "virtual-device": device,
              "device-type": "disk"}
    backs = {"frontend": front, "params": target, "script": "/etc/xen/scripts/block", "frontend-id": 0,
             "online": 1, "removable": 1, "bootable": 1, "state": 1, "dev": "xvdf", "type": "phy",
             "mode": "w", "device-type": "disk", "discard-enable": 1, "specification": "xen"}

    def body(transaction):
        for folder in (home, home + "/vbd", home + "/vbd/0"):
            store.directory(transaction, folder, 0, domain)
        store.directory(transaction, front, 0, domain)
        store.directory(transaction, back, domain, 0)
        for folder, nodes in ((front, fronts), (back, backs)):
            for name, value in nodes.items():
                store.write(transaction, "%s/%s" % (folder, name), value)

    store.transaction(body)
    return back, front


def ready(config, name, target):
    # Without dom0's frontend the entry goes no further than InitWait, and goes with its domain.
    subprocess.run(["modprobe", "-r", "xen-blkfront"], check=True)
    store, xen = Store(), Xen()
    start = time.monotonic()
    xl("create", "-q", config)
    created = time.monotonic()
    domain = store.domain(name)
    back, front = write_entry(store, domain, 51792, target)
    serves = wait("InitWait", lambda: store.read(back + "/state") == INIT_WAIT)
    used = xen.cpu_time(domain)
    xl("destroy", name)
    store.remove(front)
    subprocess.run(["modprobe", "xen-blkfront"], check=True)
    say(start, used, serves, created)


def read_first(path, piece):
    try:
        file = os.open(path, os.O_RDONLY | os.O_DIRECT)
    except OSError:
        return False
    try:
        return os.readv(file, [piece]) == len(piece)
    except OSError:
        return False
    finally:
        os.close(file)


def attach(name, target, vdev, access):
    piece = mmap.mmap(-1, 4096)
    xen, domain = Xen(), Store().domain(name)
    before, start = xen.cpu_time(domain), time.monotonic()
    xl("block-attach", "0",
       "format=raw,backend=%s,vdev=%s,access=%s,target=%s" % (name, vdev, access, target))
    returned = time.monotonic()
    has_read = wait("first read", lambda: read_first("/dev/" + vdev, piece))
    say(start, xen.cpu_time(domain) - before, returned, has_read)


def detach(name, vdev):
    xen, domain = Xen(), Store().domain(name)
    before, start = xen.cpu_time(domain), time.monotonic()
    xl("block-detach", "0", vdev)
    detached = time.monotonic()
    say(start, xen.cpu_time(domain) - before, detached)


{"ready": ready, "attach": attach, "detach": detach}[sys.argv[1]](*sys.argv[2:])
