# SPDX-License-Identifier: MIT
"""How long answers from memory take below saturation: each server at shares of what it can answer
at most, in an open loop whose times count from when a query was to leave, in turns."""

import copy
import os
import shutil
import statistics
import tempfile

import hits
from cables import (BUILD, SERVER, Cleaner, Namespaces, Trouble, cable_check, results_write, run,
                    shoot)

SHARES = (0.3, 0.6, 0.8)
PACE = os.path.join(BUILD, 'bench', 'pace')
FIELDS = ('p50', 'p99', 'p999', 'longest')


def pace(spaces, server, port, rate, options):
    """One run; times in microseconds."""
    server.check()
    words = run(*spaces.command(spaces.generator, 'taskset', '-c', str(options.generator_cpu), PACE,
                                f'{SERVER}:{port}', str(rate), str(options.seconds),
                                str(options.names)), timeout=options.seconds + 30).split()
    sent, answered, *times = map(int, words)
    return {'rate': rate, 'lost': (sent - answered) / sent, **dict(zip(FIELDS, times))}


def saturation(spaces, server, port, questions, options):
    brief = copy.copy(options)
    brief.seconds = 2
    return statistics.median(shoot(spaces, server, port, questions, brief)['rate']
                             for _ in range(3))


def rows_make(runs):
    for (name, share), own in runs.items():
        row = {field: statistics.median(run_[field] for run_ in own)
               for field in ('rate', 'lost', *FIELDS)}
        yield {'name': name, 'share': share, **row}


def table(rows):
    lines = ['| server | of its most | queries a second | p50 us | p99 us | p99.9 us | lost |',
             '|-|-|-|-|-|-|-|']
    for row in sorted(rows, key=lambda row: (row['share'], row['p99'])):
        lines.append(f'| {row["name"]} | {row["share"]:.0%} | {row["rate"]:,.0f} | '
                     f'{row["p50"]:,.0f} | {row["p99"]:,.0f} | {row["p999"]:,.0f} | '
                     f'{row["lost"]:.2%} |')
    return '\n'.join(lines) + '\n'


def measure(options):
    cable_check('latency')
    cleaner = Cleaner()
    directory = tempfile.mkdtemp(prefix='ouzel-bench-')
    cleaner.add(shutil.rmtree, directory, True)
    spaces = Namespaces(cleaner)
    questions, servers = hits.start_all(cleaner, spaces, directory, options)
    most = {name: saturation(spaces, server, port, questions, options)
            for name, server, port in servers}
    runs = {}
    for number in range(options.rounds):
        left_min = (options.rounds - number) * len(servers) * len(SHARES) * options.seconds / 60
        print(f'round {number + 1} of {options.rounds}, {left_min:.0f} minutes left', flush=True)
        for share in SHARES:
            for name, server, port in servers:
                measured = pace(spaces, server, port, int(most[name] * share), options)
                runs.setdefault((name, share), []).append(measured)
    cleaner.clean()
    rows = [*rows_make(runs)]
    if not rows:
        raise Trouble('nothing was measured')
    print(table(rows))
    results_write('latency', {'kernel': os.uname().release, 'most': most, 'rows': rows})
