"""Times the boots of guests from dom0: boot.py ROUNDS NAME:CONFIG:MARKER...

Prints, for each boot, `NAME MARKER_MS CREATE_MS AFTER_UNPAUSE_MS`: from the start of `xl create` to the
marker on the console, to the return of xl, and, in a boot of its own, from `xl unpause` to the marker
(a guest that `xl create -p` has built, with libxl's hotplug scripts done, has executed nothing yet).
"""
import os
import subprocess
import sys
import time

LIMIT = 120
PAUSE = 0.002


def log_of(name):
    return "/var/log/xen/console/guest-%s.log" % name


def wait_for(name, marker):
    """The time at which the marker is on the guest's console."""
    end = time.monotonic() + LIMIT
    wanted = marker.encode()
    while time.monotonic() < end:
        try:
            with open(log_of(name), "rb") as log:
                if wanted in log.read():
                    return time.monotonic()
        except FileNotFoundError:
            pass
        time.sleep(PAUSE)
    sys.exit("%s: no %r within %d s" % (name, marker, LIMIT))


def fresh(name):
    if os.path.exists(log_of(name)):
        os.remove(log_of(name))


def end(name):
    subprocess.run(["xl", "destroy", name], check=True)
    while subprocess.run(["xl", "domid", name], stderr=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL).returncode == 0:
        time.sleep(0.05)
    time.sleep(0.3)


def boot(name, config, marker):
    fresh(name)
    start = time.monotonic()
    xl = subprocess.Popen(["xl", "create", "-q", config])
    marked = wait_for(name, marker)
    if xl.wait() != 0:
        sys.exit("xl create %s failed" % config)
    returned = time.monotonic()
    end(name)
    fresh(name)
    subprocess.run(["xl", "create", "-q", "-p", config], check=True)
    time.sleep(0.3)
    unpaused = time.monotonic()
    subprocess.run(["xl", "unpause", name], check=True)
    alone = wait_for(name, marker)
    end(name)
    times = (marked - start, returned - start, alone - unpaused)
    print(name, *("%.1f" % (1000 * t) for t in times), flush=True)


def main():
    rounds = int(sys.argv[1])
    guests = [argument.split(":", 2) for argument in sys.argv[2:]]
    for _ in range(rounds):
        for guest in guests:
            boot(*guest)


main()
