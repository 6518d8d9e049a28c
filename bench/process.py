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
