# SPDX-License-Identifier: MIT
"""Drawings of what was measured, as plain SVG: curves over an axis, and bars."""

import math

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 170, 50, 60
BAR, NAME_WIDTH, NUMBER_WIDTH = 26, 130, 70
OURS, FLOOR, THEIRS = '#1b5e9e', '#9a9a9a', '#d9a066'
COLOURS = ('#c2571a', '#2e7d32', '#8e44ad', '#b8860b', '#00838f', '#ad1457', '#5d4037', '#546e7a',
           '#7cb342', '#e57373')


class Scale:
    """Maps values to places, by their logarithms."""

    def __init__(self, values, start, end, steps):
        self.ticks = [10 ** power * step
                      for power in range(0, 12) for step in steps]
        low = max((tick for tick in self.ticks if tick <= min(values)), default=self.ticks[0])
        high = min(tick for tick in self.ticks if tick >= max(values))
        self.ticks = [tick for tick in self.ticks if low <= tick <= high]
        self.low, self.high, self.start, self.end = math.log(low), math.log(high), start, end

    def place(self, value):
        share = (math.log(max(value, 1)) - self.low) / ((self.high - self.low) or 1)
        return round(self.start + share * (self.end - self.start), 1)


class Steps:
    """Maps a few values to places that are as far apart as they are."""

    def __init__(self, values, start, end):
        self.ticks = sorted(set(values))
        self.start, self.end = start, end

    def place(self, value):
        width = (self.ticks[-1] - self.ticks[0]) or 1
        return round(self.start + (value - self.ticks[0]) / width * (self.end - self.start), 1)


def text(x, y, words, anchor='middle', more=''):
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{more}>{words}</text>'


def line(x1, y1, x2, y2, colour):
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}"/>'


def apart(places, gap, end=math.inf):
    """Where names of curves go: at their ends, but never over each other, and not beyond `end`
    where there is room above."""
    put = {}
    last = -math.inf
    for place, field in sorted((place, field) for field, place in places.items()):
        last = max(place, last + gap)
        put[field] = last
    for field in reversed(put):
        put[field] = end = min(put[field], end)
        end -= gap
    return put


def opened(title, height=HEIGHT):
    return [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
            ' font-family="sans-serif" font-size="13" fill="#222">',
            f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
            text(LEFT, 28, title, 'start', ' font-size="16"')]


def axes(xs, ys, form=''):
    """Lines and figures for both scales."""
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    for tick in ys.ticks:
        y = ys.place(tick)
        yield from (line(LEFT, y, right, y, '#ddd'), text(LEFT - 8, y + 4, f'{tick:,}', 'end'))
    for tick in xs.ticks:
        x = xs.place(tick)
        yield from (line(x, bottom, x, bottom + 5, '#222'),
                    text(x, bottom + 20, f'{tick:{form or ","}}'))
    yield line(LEFT, bottom, right, bottom, '#222')


def curve(places, colour, dashes, unit):
    """A line through places of the drawing with a dot at each, which shows its value."""
    joined = ' '.join(f'{x},{y}' for x, y, _ in places)
    yield (f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="2"'
           f' stroke-dasharray="{dashes}"/>')
    for x, y, value in places:
        yield (f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"><title>{value:,.0f}{unit}'
               '</title></circle>')


def chart(title, under, curves, xs, ys, unit='', form=''):
    """Curves with their names at their right ends: each is (name, colour, dashes, pairs of x and
    y). `form` is how the figures below are written."""
    right = WIDTH - RIGHT
    parts = opened(title) + [text((LEFT + right) / 2, HEIGHT - 16, under), *axes(xs, ys, form)]
    names = apart({name: ys.place(points[-1][1]) for name, _, _, points in curves}, 16,
                  HEIGHT - BOTTOM)
    for name, colour, dashes, points in curves:
        parts += curve([(xs.place(x), ys.place(y), y) for x, y in points], colour, dashes, unit)
        parts.append(text(right + 10, names[name] + 4, name, 'start', f' fill="{colour}"'))
    return '\n'.join(parts + ['</svg>', ''])


def coloured(names):
    """A colour and dashes for each server: ours stands out and floors are grey."""
    others = [name for name in names if name != 'ouzel' and not name.startswith('echo')]
    for name in names:
        if name == 'ouzel':
            yield name, OURS, ''
        elif name.startswith('echo'):
            yield name, FLOOR, '6 4'
        else:
            yield name, COLOURS[others.index(name) % len(COLOURS)], ''


def bar_colour(name):
    return OURS if name == 'ouzel' else FLOOR if name.startswith('echo') else THEIRS


def column(rows, field, form, left, width):
    most = max(row[field] for row in rows) or 1
    for place, row in enumerate(rows):
        y, long = TOP + 24 + place * BAR, round(row[field] / most * width, 1)
        yield (f'<rect x="{left}" y="{y}" width="{long}" height="{BAR - 8}"'
               f' fill="{bar_colour(row["name"])}"/>')
        yield text(left + long + 6, y + 14, f'{row[field]:{form}}', 'start')


def bars(title, rows, panels):
    """A line of bars for each row, a column for each panel (what it says, the field, how numbers
    are written), the longest bar as wide as its column."""
    height = TOP + 30 + BAR * len(rows) + 10
    width = (WIDTH - NAME_WIDTH - 20) / len(panels)
    parts = opened(title, height)
    for number, (head, field, form) in enumerate(panels):
        left = NAME_WIDTH + number * width
        parts.append(text(left, TOP + 12, head, 'start', ' fill="#555"'))
        parts += column(rows, field, form, left, width - NUMBER_WIDTH)
    for place, row in enumerate(rows):
        parts.append(text(NAME_WIDTH - 8, TOP + 24 + place * BAR + 14, row['name'], 'end'))
    return '\n'.join(parts + ['</svg>', ''])
