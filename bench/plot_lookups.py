#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Draws what bench/lookups wrote with -j: nanoseconds per lookup over entries, as SVG.

  bench/plot_lookups.py lookups.json docs/benchmarks/lookups.svg
"""

import json
import math
import sys

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 170, 50, 60
CURVES = [  # field, name, colour, dashes
    ('hit_single', 'hit, single', '#1b5e9e', ''),
    ('hit_batch', 'hit, batch of {batch}', '#1b5e9e', '6 4'),
    ('miss_single', 'miss, single', '#c2571a', ''),
    ('miss_batch', 'miss, batch of {batch}', '#c2571a', '6 4')]


class Scale:
    """Maps values to places, by their logarithms."""

    def __init__(self, values, start, end, steps):
        self.ticks = [10 ** power * step
                      for power in range(0, 12) for step in steps]
        low = max([tick for tick in self.ticks if tick <= min(values)], default=self.ticks[0])
        high = min(tick for tick in self.ticks if tick >= max(values))
        self.ticks = [tick for tick in self.ticks if low <= tick <= high]
        self.low, self.high, self.start, self.end = math.log(low), math.log(high), start, end

    def place(self, value):
        share = (math.log(value) - self.low) / ((self.high - self.low) or 1)
        return round(self.start + share * (self.end - self.start), 1)


def text(x, y, words, anchor='middle', more=''):
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{more}>{words}</text>'


def line(x1, y1, x2, y2, colour):
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}"/>'


def apart(places, gap):
    """Where names of curves go: at their ends, but never over each other."""
    put = {}
    last = -math.inf
    for place, field in sorted((place, field) for field, place in places.items()):
        last = max(place, last + gap)
        put[field] = last
    return put


def draw(data):
    rows = sorted(data['rows'], key=lambda row: row['entries'])
    fields = [field for field, _, _, _ in CURVES]
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    xs = Scale([row['entries'] for row in rows], LEFT, right, (1,))
    ys = Scale([row[field] for row in rows for field in fields], bottom, TOP, (1, 2, 5))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="13" fill="#222">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        text(LEFT, 28, 'Nanoseconds per lookup, keys in random order', 'start',
             ' font-size="16"'),
        text((LEFT + right) / 2, HEIGHT - 16, 'entries in the cache')]
    for tick in ys.ticks:
        y = ys.place(tick)
        parts += [line(LEFT, y, right, y, '#ddd'), text(LEFT - 8, y + 4, f'{tick:,}', 'end')]
    for tick in xs.ticks:
        x = xs.place(tick)
        parts += [line(x, bottom, x, bottom + 5, '#222'), text(x, bottom + 20, f'{tick:,}')]
    parts.append(line(LEFT, bottom, right, bottom, '#222'))
    names = apart({field: ys.place(rows[-1][field]) for field in fields}, 16)
    for field, name, colour, dashes in CURVES:
        points = ' '.join(f'{xs.place(row["entries"])},{ys.place(row[field])}' for row in rows)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"'
                     f' stroke-dasharray="{dashes}"/>')
        parts += [f'<circle cx="{xs.place(row["entries"])}" cy="{ys.place(row[field])}" r="3"'
                  f' fill="{colour}"><title>{row[field]:.0f} ns</title></circle>' for row in rows]
        parts.append(text(right + 10, names[field] + 4, name.format(batch=data['batch']), 'start',
                          f' fill="{colour}"'))
    return '\n'.join(parts + ['</svg>', ''])


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
