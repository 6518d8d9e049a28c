# SPDX-License-Identifier: MIT
"""Processes that a benchmark has started."""

import os
import re
import subprocess

TICK_US = 1e6 / os.sysconf('SC_CLK_TCK')


def stop(child):
    """Ends it, with force where it does not end by itself."""
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait(5)


def cpu_us(pid):
    """User and system time of all its threads so far."""
    with open(f'/proc/{pid}/stat', encoding='ascii') as file:
        fields = file.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_US


def metered(server, meters, deed):
    """Does something with a server. Returns what that gave, and by how much the server's CPU time
    and each of the meters (a name and a function) have risen meanwhile."""
    meters = {'cpu_us': server.cpu_us, **(meters or {})}
    server.check()
    before = {name: meter() for name, meter in meters.items()}
    got = deed()
    used = {name: meter() - before[name] for name, meter in meters.items()}
    server.check()
    return got, used


def threads_cpu_us(pid, name=None):
    """CPU time of those of its threads that run now, all or the ones of that name, by the
    scheduler's clock of nanoseconds."""
    used_ns = 0
    for thread in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{thread}/comm', encoding='ascii') as file:
            if name and file.read().strip() != name:
                continue
        with open(f'/proc/{pid}/task/{thread}/schedstat', encoding='ascii') as file:
            used_ns += int(file.read().split()[0])
    return used_ns / 1e3


def processor_us(number):
    """What a processor of the machine has worked so far, for whom and in interrupts; neither its
    rest nor what others were given instead of this machine."""
    with open('/proc/stat', encoding='ascii') as file:
        ticks = re.search(rf'^cpu{number} (.*)', file.read(), re.M)[1].split()
    user, nice, system, _, _, interrupts, softirq = map(int, ticks[:7])
    return (user + nice + system + interrupts + softirq) * TICK_US


def datagrams_out(pid):
    """UDP datagrams that were sent so far in the network namespace of a process."""
    with open(f'/proc/{pid}/net/snmp', encoding='ascii') as file:
        heads, values = (line.split() for line in file if line.startswith('Udp:'))
    return int(values[heads.index('OutDatagrams')])


def resident(pid):
    """Octets of memory that it holds."""
    with open(f'/proc/{pid}/status', encoding='ascii') as file:
        return int(re.search(r'^VmRSS:\s+(\d+) kB', file.read(), re.M)[1]) * 1024


def memory_available():
    """Octets that the machine could still give."""
    with open('/proc/meminfo', encoding='ascii') as file:
        return int(re.search(r'^MemAvailable:\s+(\d+) kB', file.read(), re.M)[1]) * 1024
