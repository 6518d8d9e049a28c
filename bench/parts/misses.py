# SPDX-License-Identifier: MIT
"""What a forwarded question costs: names never asked before, through ouzel, others and a relay that
only passes them on, in turn, to NSD, all on loopback under dnsperf."""

import os
import shutil
import statistics
import tempfile

from bench.lab import peers
from bench.lab.cables import Trouble, results_write, stamp
from bench.lab.closed import ask_all
from bench.lab.nsd import nsd_start
from bench.load import zipf

TITLE = 'Forwarded questions'


def load(peer, questions, options):
    """One pass over the questions; returns what it took."""
    before = peer.cpu_us()
    got = ask_all(peer, questions, options.flight)
    used = peer.cpu_us() - before
    if got['completed'] == 0:
        raise Trouble(f'{peer.name} answers nothing')
    return {'rate': got['rate'], 'cpu_us': used / got['completed'], 'lost': got['lost']}


def rounds_run(directory, started, options):
    """All take turns; returns their runs."""
    questions = os.path.join(directory, 'questions')
    runs = {peer.name: [] for peer in started}
    print(f'{"round":>6}' + ''.join(f'  {peer.name:>10}/s {"us":>6} {"lost":>6}'
                                    for peer in started))
    for number in range(options.rounds):
        line = f'{number + 1:>6}'
        zipf.fresh_write(questions, number, options.names)
        for peer in started:
            row = load(peer, questions, options)
            runs[peer.name].append(row)
            line += f'  {row["rate"]:>12,.0f} {row["cpu_us"]:>6.2f} {row["lost"]:>6}'
        print(line, flush=True)
    return runs


def rows_make(runs):
    """Medians, and the spread of the processor's time."""
    for name, own in runs.items():
        times = [run['cpu_us'] for run in own]
        yield {'name': name, 'rate': statistics.median(run['rate'] for run in own),
               'cpu_us': statistics.median(times), 'lowest': min(times), 'highest': max(times),
               'lost': sum(run['lost'] for run in own)}


def measure(options):
    directory = tempfile.mkdtemp(prefix='ouzel-bench-')
    started, nsd = [], None
    try:
        nsd, address, port = nsd_start(directory)
        for kind in peers.chosen(options.peers, peers.FORWARDERS):
            started.append(kind(directory))
            started[-1].start([(address, port)])
        runs = rounds_run(directory, started, options)
    finally:
        for peer in started:
            peer.stop()
        if nsd:
            nsd.terminate()
            nsd.wait(5)
        shutil.rmtree(directory, ignore_errors=True)
    data = {**stamp(options), 'names': options.names, 'flight': options.flight,
            'versions': {peer.name: peer.version() for peer in started},
            'rows': sorted(rows_make(runs), key=lambda row: row['cpu_us'])}
    print(table(data))
    results_write('misses', {**stamp(options), 'tables': {'misses': data}, 'runs': runs})


def table(data):
    ours = {row['name']: row['cpu_us'] for row in data['rows']}.get('ouzel')
    lines = ['| server | CPU us a question | lowest to highest | ouzel takes of that | questions a '
             'second | lost |', '|-|-|-|-|-|-|']
    for row in data['rows']:
        share = f'{ours / row["cpu_us"]:.2f}' if ours else ''
        version = data['versions'][row['name']]
        name = f'{row["name"]} {version}' if version else row['name']
        lines.append(f'| {name} | {row["cpu_us"]:.2f} | '
                     f'{row["lowest"]:.2f} to {row["highest"]:.2f} | {share} | '
                     f'{row["rate"]:,.0f} | {row["lost"]} |')
    return '\n'.join(lines) + '\n'


def section(tables):
    data = tables['misses']
    return (f'@misses, {data["names"]:,} new names a round, {data["flight"]} in flight.\n\n'
            'Names never asked before, to NSD, all on loopback under dnsperf. CPU is '
            f'user and system time of the whole process. Medians.\n\n{table(data)}')


def estimate_s(options):
    """dnsmasq takes a sixth of a millisecond for a question, the others far less."""
    kinds = peers.chosen(options.peers, peers.FORWARDERS)
    each_us = 60 * len(kinds) + 120 * (peers.Dnsmasq in kinds)
    return 5 + options.rounds * options.names * each_us / 1e6
