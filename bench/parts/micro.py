# SPDX-License-Identifier: MIT
"""Nanoseconds of the steps of an answer from memory, without a socket (bench/micro/micro.c)."""

import json
import os
import statistics

from bench.lab.cables import BUILD, Trouble, results_write, run, stamp

TITLE = 'Steps of an answer from memory'
PROGRAM = os.path.join(BUILD, 'bench', 'micro', 'micro')
REPEAT_S = 0.5
WORDS = {'parse': 'parsing the query', 'key': 'its key', 'lookup': 'finding the answer',
         'hit/batch:1': 'all of an answer, one at a time',
         'hit/batch:50': 'all of an answer, 50 at a time'}


def rows_make(measured):
    """Medians of what Google Benchmark says of each repetition."""
    runs = {}
    for own in measured['benchmarks']:
        if own['run_type'] == 'iteration':
            runs.setdefault(own['name'], []).append(1e9 / own['items_per_second'])
    for name, times in runs.items():
        yield {'name': name, 'ns': statistics.median(times), 'lowest': min(times),
               'highest': max(times)}


def table(data):
    return '| | ns | lowest to highest |\n|-|-|-|\n' + ''.join(
        f'| {WORDS.get(row["name"], row["name"])} | {row["ns"]:.1f} | {row["lowest"]:.1f} to '
        f'{row["highest"]:.1f} |\n' for row in data['rows'])


def section(tables):
    """The page's part."""
    return ('@micro.\n\nA thousand names in memory, without a socket and without the kernel. '
            f'Medians.\n\n{table(tables["micro"])}')


def estimate_s(options):
    return 2 + len(WORDS) * options.rounds * REPEAT_S * 2


def measure(options):
    if not os.path.exists(PROGRAM):
        raise Trouble('build/bench/micro/micro is not there (scripts/build --all makes it)')
    text = run('taskset', '-c', str(options.server_cpu), PROGRAM, '--benchmark_format=json',
               f'--benchmark_repetitions={options.rounds}', f'--benchmark_min_time={REPEAT_S}',
               timeout=60 + 4 * estimate_s(options))
    data = {**stamp(options), 'rows': [*rows_make(json.loads(text))]}
    print(table(data))
    results_write('micro', {**stamp(options), 'tables': {'micro': data}})
