# SPDX-License-Identifier: MIT
"""What more workers bring: ouzel and those forwarders that can have several in one process, with 1
and more of them, answers from memory under dnsperf on loopback, in turns. Server and generator
share the processors, so that the time of the server's process is what compares."""

import os
import shutil
import statistics
import tempfile

from bench.lab import closed, peers
from bench.lab.cables import (Trouble, leave_out, left_out_text, results_write, round_tell, stamp,
                              tools_check, write_files)
from bench.lab.nsd import nsd_start
from bench.report import svg

TITLE = 'Workers'
RUN_S = 0.7  # that a run takes beyond its seconds


def counts(options):
    """Of workers: 1, 2, 4 and on, and the most."""
    most = options.workers or os.cpu_count()
    return sorted({most, *(1 << power for power in range(16) if 1 << power < most)})


def kinds(options):
    return [kind for kind in peers.chosen(options.peers, peers.CACHES) if kind.scales]


def start_all(directory, upstream, questions, options):
    """Starts each with each count of workers and asks all names twice; returns those that answered,
    by name and count, and why the others did not."""
    started, left_out = {}, {}
    for kind in kinds(options):
        for workers in counts(options):
            own = os.path.join(directory, str(workers))
            peer = started[kind.name, workers] = kind(own, workers=workers)
            try:
                peer.start([upstream])
                got = [closed.ask_all(peer, questions, 20) for _ in range(2)][1]
                if got['good'] < options.names:
                    raise Trouble(f'it answers {got["good"]} of {options.names} names')
            except (Trouble, RuntimeError) as fault:
                leave_out(left_out, f'{kind.name} with {workers}', fault)
                started.pop((kind.name, workers)).stop()
    return started, left_out


def rounds_run(started, questions, options):
    runs = {key: [] for key in started}
    words = ('-q', '100', '-c', '20', '-t', '2', '-T', str(min(os.cpu_count(), 4)))
    for number in range(options.rounds):
        round_tell(options, number, len(started) * (options.seconds + RUN_S))
        for key, peer in started.items():
            runs[key].append(closed.measured(peer, (peer.address, peer.port), questions, words,
                                             seconds=options.seconds))
            print(f'  {key[0]:<15} {key[1]:>3} {runs[key][-1]["rate"]:>9,.0f} a second '
                  f'{runs[key][-1]["cpu_us"]:>7.2f} us', flush=True)
    return runs


def rows_make(runs):
    for (name, workers), own in runs.items():
        rates = [run['rate'] for run in own]
        one = [run['rate'] for run in runs.get((name, 1), [])]
        gains = [rate / first for rate, first in zip(rates, one)]
        yield {'name': name, 'workers': workers, 'rate': statistics.median(rates),
               'lowest': min(rates), 'highest': max(rates),
               'gain': statistics.median(gains) if gains else None,
               **{key: statistics.median(run[key] for run in own) for key in ('cpu_us', 'lost')}}


def table(data):
    lines = ['| workers | server | answers a second | lowest to highest | of one worker | '
             'CPU us an answer | no good answer |', '|-|-|-|-|-|-|-|']
    for row in data['rows']:
        gain = f'{row["gain"]:.2f}' if row['gain'] else ''
        lines.append(f'| {row["workers"]} | {row["name"]} {data["versions"][row["name"]]} | '
                     f'{row["rate"]:,.0f} | {row["lowest"]:,.0f} to {row["highest"]:,.0f} | {gain} '
                     f'| {row["cpu_us"]:.2f} | {row["lost"]:.2%} |')
    return '\n'.join(lines) + '\n'


def section(tables):
    """The page's part."""
    data = tables['scale']
    return (f'@scale, {data["names"]:,} names.\n\nAnswers from memory in a closed loop of dnsperf '
            f'on loopback, on a machine with {data["cpus"]} processors, which server and generator '
            'share: an additional worker brings less than it would with the generator on another '
            "machine; compare the time of the server's process. "
            f'Medians.\n\n{table(data)}\n![Answers a second over workers](benchmarks/scale.svg)\n' +
            left_out_text(data))


def plots(tables):
    """Name and SVG: answers a second over workers."""
    data = tables['scale']
    names = sorted({row['name'] for row in data['rows']})
    curves = [(name, colour, dashes, [(row['workers'], row['rate']) for row in data['rows']
                                      if row['name'] == name])
              for name, colour, dashes in svg.coloured(names)]
    xs = svg.Steps([row['workers'] for row in data['rows']], svg.LEFT + 20, svg.WIDTH - svg.RIGHT)
    ys = svg.Scale([row['rate'] for row in data['rows']], svg.HEIGHT - svg.BOTTOM, svg.TOP,
                   (1, 2, 3, 5, 7))
    yield 'scale', svg.chart('Answers a second', 'workers', curves, xs, ys, ' a second')


def estimate_s(options):
    count = len(kinds(options)) * len(counts(options))
    return 3 + count * (2 + options.rounds * (options.seconds + RUN_S))


def measure(options):
    tools_check('dnsperf', 'nsd')
    directory = tempfile.mkdtemp(prefix='ouzel-bench-')
    started, nsd = {}, None
    try:
        _, questions = write_files(directory, options.names)
        nsd, *upstream = nsd_start(directory)
        started, left_out = start_all(directory, tuple(upstream), questions, options)
        runs = rounds_run(started, questions, options)
    finally:
        for peer in started.values():
            peer.stop()
        if nsd:
            nsd.terminate()
            nsd.wait(5)
        shutil.rmtree(directory, ignore_errors=True)
    data = {**stamp(options), 'names': options.names, 'cpus': os.cpu_count(), 'left_out': left_out,
            'versions': {kind.name: kind.version() for kind in kinds(options)},
            'rows': sorted(rows_make(runs), key=lambda row: (row['workers'], -row['rate']))}
    print(table(data))
    results_write('scale', {**stamp(options), 'tables': {'scale': data},
                            'runs': {f'{name} {workers}': own
                                     for (name, workers), own in runs.items()}})
