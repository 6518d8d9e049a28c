# SPDX-License-Identifier: MIT
"""Octets for a cached answer: how much each server grows while it learns so many names, one after
the other on loopback. Afterwards its upstream is gone and some of the names are asked again: what
it still answers it has cached, and only that counts."""

import os
import shutil
import tempfile

from bench.lab import peers
from bench.lab.cables import Trouble, left_out_text, results_write, stamp
from bench.lab.closed import ask_all
from bench.lab.nsd import nsd_start
from bench.lab.process import resident
from bench.load.zipf import fresh_write

TITLE = 'Octets for a cached answer'
LEFT_OUT = (peers.DnsdistVector,  # its cache is dnsdist's
            peers.Dnsmasq)        # has taken all of its memory at the start
FIRST = 2000  # names asked before the first look, so that what a start takes does not count
SAMPLE = 20000


def sample_write(path, count):
    """Evenly chosen ones of the names that fresh_write has for round 1."""
    whole = path + '.whole'
    fresh_write(whole, 1, count)
    with open(whole, encoding='ascii') as every, open(path, 'w', encoding='ascii') as some:
        some.writelines(line for number, line in enumerate(every)
                        if number % max(count // SAMPLE, 1) == 0)
    with open(path, encoding='ascii') as some:
        return whole, sum(1 for _ in some)


def weigh(kind, directory, options):
    nsd, address, port = nsd_start(directory)
    peer = kind(directory, names=options.names)
    few, some = (os.path.join(directory, name) for name in ('few', 'some'))
    try:
        peer.start([(address, port)])
        fresh_write(few, 0, FIRST)
        ask_all(peer, few, 20)
        before = resident(peer.child.pid)
        whole, sample = sample_write(some, options.names)
        learned = ask_all(peer, whole, 50)['good']
        grown = resident(peer.child.pid) - before
        nsd.terminate()
        nsd.wait(5)
        kept = ask_all(peer, some, 500, timeout_s=1)['good'] / sample
    finally:
        peer.stop()
        if nsd.poll() is None:
            nsd.kill()
            nsd.wait(5)
    if learned < options.names * 0.99 or kept == 0:
        raise Trouble(f'{kind.name} answered {learned} of {options.names} and cached {kept:.1%}')
    return {'name': kind.name, 'kept': kept, 'octets': grown / (options.names * kept)}


def measure(options):
    rows, left_out = [], {}
    print('| server | cached | octets per answer |\n|-|-|-|', flush=True)
    for kind in weighed(options):
        directory = tempfile.mkdtemp(prefix='ouzel-bench-')
        try:
            row = weigh(kind, directory, options)
        except (Trouble, RuntimeError) as fault:
            left_out[kind.name] = str(fault).splitlines()[0]
            print(f'| {kind.name} | {left_out[kind.name]} | |', flush=True)
            continue
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        rows.append(row)
        print(f'| {row["name"]} | {row["kept"]:.1%} | {row["octets"]:,.0f} |', flush=True)
    versions = {kind.name: kind.version() for kind in weighed(options)}
    data = {**stamp(options), 'names': options.names, 'versions': versions, 'left_out': left_out,
            'rows': sorted(rows, key=lambda row: row['octets'])}
    results_write('memory', {**stamp(options), 'tables': {'memory': data}})


def weighed(options):
    return [kind for kind in peers.chosen(options.peers, peers.CACHES) if kind not in LEFT_OUT]


def section(tables):
    data = tables['memory']
    lines = ''.join(f'| {row["name"]} {data["versions"][row["name"]]} | {row["kept"]:.1%} | '
                    f'{row["octets"]:,.0f} |\n' for row in data['rows'])
    lines += left_out_text(data)
    return (f'@memory, {data["names"]:,} names.\n\nThe growth of each process while it '
            'learns them, divided by the number that it has cached.\n\n'
            f'| server | cached | octets per answer |\n|-|-|-|\n{lines}')


def estimate_s(options):
    return len(weighed(options)) * (12 + options.names * 40 / 1e6)
