"""Loads exports with fio and says what it costs:

load.py window MILLISECONDS DOMAIN /dev/DEVICE[:...] FIO-OPTION...
load.py slope COUNT[,COUNT...] DOMAIN /dev/DEVICE[:...] FIO-OPTION...

Prints one line of JSON. CPU time is what Xen has charged to the vCPUs of dom0 and of DOMAIN, in
nanoseconds. `window` runs fio for a time after a second of ramp and takes the CPU time of a window within
it, without fio's start and end; the I/Os are those of the window, by the devices' own counts. `slope` runs
fio for each count of I/Os in turn, and takes what the last run did and cost more than the one before it.
Speed and latency are fio's, of the last run.
"""
import json
import os
import subprocess
import sys
import time

from xen import Xen

SECTOR = 512
# Seconds after fio's start that its figures and ours leave out.
RAMP = 1


class Load:
    def __init__(self, domain, names, options):
        self.xen = Xen()
        self.domain = domain
        self.devices = [os.path.basename(name) for name in names.split(":")]
        self.words = ["fio", "--name=load", "--filename=" + names, "--output-format=json"] + options

    def transferred(self):
        """The bytes that went to and from the devices so far."""
        total = 0
        for device in self.devices:
            with open("/sys/class/block/%s/stat" % device) as stat:
                words = stat.read().split()
            total += (int(words[2]) + int(words[6])) * SECTOR
        return total

    def now(self):
        vcpus = self.xen.cpu_times(self.domain)
        return (self.xen.cpu_time(0), sum(vcpus), self.transferred(), time.monotonic_ns(), *vcpus)

    def start(self, *options):
        return subprocess.Popen([*self.words, *options], stdout=subprocess.PIPE)

    def window(self, milliseconds):
        at_start = self.transferred()
        fio = self.start("--ramp_time=%ds" % RAMP, "--runtime=%dms" % milliseconds)
        while self.transferred() == at_start and fio.poll() is None:
            time.sleep(0.005)
        time.sleep(RAMP + 0.1)
        before = self.now()
        time.sleep(milliseconds / 1000 - 0.3)
        after = self.now()
        return [b - a for a, b in zip(before, after)], finish(fio)

    def slope(self, counts):
        costs = []
        for count in counts:
            before = self.now()
            parts = finish(self.start("--number_ios=%d" % count))
            costs.append([b - a for a, b in zip(before, self.now())])
            # The devices' counts include what fio and the kernel look at first.
            costs[-1][2] = sum(part["io_kbytes"] for part in parts.values()) * 1024
        return [b - a for a, b in zip(costs[-2], costs[-1])], parts


def finish(fio):
    """fio's figures for reading and writing, as far as it did."""
    output = fio.communicate()[0]
    if fio.returncode != 0:
        sys.exit("fio failed")
    job = json.loads(output)["jobs"][0]
    if job["error"] != 0:
        sys.exit("fio saw an I/O error: %d" % job["error"])
    return {name: job[name] for name in ("read", "write") if job[name]["total_ios"] > 0}


def latency(part):
    """Completion latency in microseconds."""
    percentiles = part["clat_ns"]["percentile"]
    return {name: percentiles[key] / 1000 for name, key in
            (("p50", "50.000000"), ("p99", "99.000000"), ("p999", "99.900000"))}


def main():
    mode, length, domain, names, options = *sys.argv[1:5], sys.argv[5:]
    load = Load(int(domain), names, options)
    if mode == "window":
        (dom0, driver, moved, passed, *vcpus), parts = load.window(int(length))
    else:
        (dom0, driver, moved, _, *vcpus), parts = load.slope([int(count) for count in length.split(",")])
        # Most of the time of a run by count is fio's start, and it is not the same twice.
        passed = None
    size = next(option for option in options if option.startswith("--bs=")).removeprefix("--bs=")
    block = int(size[:-1]) * {"k": 1024, "m": 1024 ** 2}[size[-1]]
    print(json.dumps({
        "ios": moved / block, "dom0_ns": dom0, "domain_ns": driver, "vcpus_ns": vcpus,
        "passed_ns": passed,
        "iops": sum(part["iops"] for part in parts.values()),
        "bytes_per_second": sum(part["bw_bytes"] for part in parts.values()),
        "latency": {name: latency(part) for name, part in parts.items()},
    }))


main()
