"""Runs a command and says what it cost: cost.py DOMAIN COMMAND...

Prints one line of JSON: what it printed, and the CPU time that Xen has charged meanwhile to the vCPUs of dom0
and of DOMAIN, and the time that passed, in nanoseconds.
"""
import json
import subprocess
import sys
import time

from xen import Xen


def main():
    xen, domain = Xen(), int(sys.argv[1])

    def now():
        return xen.cpu_time(domain), xen.cpu_time(0), time.monotonic_ns()

    before = now()
    done = subprocess.run(sys.argv[2:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    used = [b - a for a, b in zip(before, now())]
    print(json.dumps({"domain": used[0], "dom0": used[1], "passed": used[2],
                      "status": done.returncode, "said": done.stdout.decode()}))


main()
