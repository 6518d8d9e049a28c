# SPDX-License-Identifier: MIT
"""Processes that a benchmark has started."""

import os
import subprocess


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
    return (int(fields[11]) + int(fields[12])) * 1e6 / os.sysconf('SC_CLK_TCK')


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
