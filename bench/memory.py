# SPDX-License-Identifier: MIT
"""Octets for a cached answer: how much each server grows while it learns so many names, one after
the other on loopback. Afterwards its upstream is gone and some of the names are asked again: what
it still answers it has kept, and only that counts."""

import os
import re
import shutil
import tempfile

import peers
from cables import Trouble, results_write
from misses import ask_all, nsd_start, questions_write

LEFT_OUT = (peers.DnsdistVector,  # its cache is dnsdist's
            peers.Dnsmasq)        # has taken all of its memory at the start
FIRST = 2000  # names asked before the first look, so that what a start takes does not count
SAMPLE = 20000


def resident(pid):
    """Octets of memory that it holds."""
    with open(f'/proc/{pid}/status', encoding='ascii') as file:
        return int(re.search(r'^VmRSS:\s+(\d+) kB', file.read(), re.M)[1]) * 1024


def answered(text):
    """How many were answered well, of what dnsperf says."""
    good = re.search(r'NOERROR (\d+)', text)
    return int(good[1]) if good else 0


def sample_write(path, count):
    """Evenly chosen ones of the names that questions_write has for round 1."""
    whole = path + '.whole'
    questions_write(whole, 1, count)
    with open(whole, encoding='ascii') as every, open(path, 'w', encoding='ascii') as some:
        some.writelines(line for number, line in enumerate(every)
                        if number % max(count // SAMPLE, 1) == 0)
    with open(path, encoding='ascii') as some:
        return whole, sum(1 for _ in some)


def weigh(kind, directory, options):
    nsd, address, port = nsd_start(directory)
    peer = kind(directory)
    few, some = (os.path.join(directory, name) for name in ('few', 'some'))
    try:
        peer.start([(address, port)])
        questions_write(few, 0, FIRST)
        ask_all(peer, few, 20)
        before = resident(peer.child.pid)
        whole, sample = sample_write(some, options.names)
        learned = answered(ask_all(peer, whole, 50))
        grown = resident(peer.child.pid) - before
        nsd.terminate()
        nsd.wait(5)
        kept = answered(ask_all(peer, some, 500, timeout_s=1)) / sample
    finally:
        peer.stop()
        if nsd.poll() is None:
            nsd.kill()
            nsd.wait(5)
    if learned < options.names * 0.99 or kept == 0:
        raise Trouble(f'{kind.name} has answered {learned} of {options.names} and kept {kept:.1%}')
    return {'name': kind.name, 'kept': kept, 'octets': grown / (options.names * kept)}


def measure(options):
    rows = []
    print('| server | kept | octets an answer |\n|-|-|-|', flush=True)
    for kind in peers.chosen(options.peers, peers.CACHES):
        if kind in LEFT_OUT:
            continue
        directory = tempfile.mkdtemp(prefix='ouzel-bench-')
        try:
            row = weigh(kind, directory, options)
        except (Trouble, RuntimeError) as fault:
            print(f'| {kind.name} | {str(fault).splitlines()[0]} | |', flush=True)
            continue
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        rows.append(row)
        print(f'| {row["name"]} | {row["kept"]:.1%} | {row["octets"]:,.0f} |', flush=True)
    results_write('memory', {'names': options.names, 'rows': rows})
