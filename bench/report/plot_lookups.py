#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Draws what bench/micro/lookups wrote with -j: nanoseconds per lookup over entries, as SVG.

  bench/report/plot_lookups.py lookups.json docs/benchmarks/lookups.svg
"""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.dont_write_bytecode = True

from bench.report import svg  # noqa: E402  pylint: disable=wrong-import-position

CURVES = [  # field, name, colour, dashes
    ('hit_single', 'hit, single', '#1b5e9e', ''),
    ('hit_batch', 'hit, batch of {batch}', '#1b5e9e', '6 4'),
    ('miss_single', 'miss, single', '#c2571a', ''),
    ('miss_batch', 'miss, batch of {batch}', '#c2571a', '6 4')]


def draw(data):
    rows = sorted(data['rows'], key=lambda row: row['entries'])
    curves = [(name.format(batch=data['batch']), colour, dashes,
               [(row['entries'], row[field]) for row in rows])
              for field, name, colour, dashes in CURVES]
    xs = svg.Scale([row['entries'] for row in rows], svg.LEFT, svg.WIDTH - svg.RIGHT, (1,))
    ys = svg.Scale([row[field] for row in rows for field, _, _, _ in CURVES],
                   svg.HEIGHT - svg.BOTTOM, svg.TOP, (1, 2, 5))
    return svg.chart('Nanoseconds per lookup, keys in random order', 'entries in the cache', curves,
                     xs, ys, ' ns')


def main(arguments):
    if len(arguments) != 2:
        print(__doc__.strip())
        return 2
    with open(arguments[0], encoding='utf-8') as file:
        data = json.load(file)
    with open(arguments[1], 'w', encoding='utf-8') as file:
        file.write(draw(data))
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
