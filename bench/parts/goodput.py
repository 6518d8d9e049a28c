# SPDX-License-Identifier: MIT
"""What remains of each server's maximum rate under overload: answers a second near its maximum, and
with three times that offered, one right after the other, in turns."""

import statistics

from bench.lab import flood, peers
from bench.lab.cables import (Cleaner, Trouble, cable_check, leave_out, left_out_text,
                              results_write, round_tell, stage, stamp)
from bench.lab.servers import start_all

TITLE = 'Under three times the load'
TIMES = 3
SEARCHES = 5  # at most, in search of the rate that a server can answer
NEAR = 1.2  # offered near the maximum rate of a server, relative to what it answered
LOSSLESS = 0.97  # a server that answers more than this share was below its maximum
RUN_S = 0.2  # that a run takes beyond its seconds


def offer(spaces, who, options, rate):
    """One run at this rate; returns answers and queries a second."""
    _, server, port = who
    server.check()
    sent, answers = flood.offer(spaces, server, port, rate, options.names, options)
    return answers / options.seconds, sent / options.seconds


def near_find(spaces, who, options):
    """A rate a little above what the server can answer: more is offered until some is lost."""
    got, _ = offer(spaces, who, options, options.rate)
    rate = got * NEAR
    for _ in range(SEARCHES - 1):
        got, sent = offer(spaces, who, options, rate)
        if got < LOSSLESS * sent:
            break
        rate *= NEAR
    return rate


class Pressed:
    """One server: its rate near its maximum, found at the first run, and its runs: (answered near
    its maximum, answered and sent under overload)."""

    def __init__(self, spaces, who, options):
        self.how = (spaces, who, options)
        self.near, self.runs = None, []

    def run(self):
        """One round."""
        self.near = self.near or near_find(*self.how)
        peak, sent = offer(*self.how, self.near)
        if peak > LOSSLESS * sent:
            self.near *= NEAR  # it can do better than it seemed
        most = statistics.median([run[0] for run in self.runs] + [peak])
        self.runs.append((peak, *offer(*self.how, TIMES * most)))
        return self.runs[-1]


def rounds_run(pressed, options, left_out):
    """All take turns; a server that fails is reported and left out from there on."""
    for number in range(options.rounds):
        round_tell(options, number, len(pressed) * 2 * (options.seconds + RUN_S))
        for name in [name for name in pressed if name not in left_out]:
            try:
                peak, got, sent = pressed[name].run()
            except (Trouble, RuntimeError) as fault:
                leave_out(left_out, name, fault)
                continue
            print(f'  {name:<15} {peak:>9,.0f} a second, {got:>9,.0f} of {sent:>9,.0f} offered',
                  flush=True)
    return {name: own.runs for name, own in pressed.items() if name not in left_out}


def rows_make(runs):
    for name, own in runs.items():
        ratios = [got / peak for peak, got, _ in own]
        peak, got, sent = (statistics.median(column) for column in zip(*own))
        yield {'name': name, 'peak': peak, 'goodput': got, 'sent': sent,
               'ratio': statistics.median(ratios), 'lowest': min(ratios), 'highest': max(ratios)}


def table(data):
    lines = ['| server | answers a second near its maximum | really offered | times its maximum | '
             'answers then | of its maximum | lowest to highest |', '|-|-|-|-|-|-|-|']
    for row in data['rows']:
        lines.append(f'| {row["name"]} | {row["peak"]:,.0f} | {row["sent"]:,.0f} | '
                     f'{row["sent"] / row["peak"]:.2f} | {row["goodput"]:,.0f} | '
                     f'{row["ratio"]:.3f} | {row["lowest"]:.3f} to {row["highest"]:.3f} |')
    return '\n'.join(lines) + '\n'


def section(tables):
    """The page's part."""
    data = tables['goodput']
    return ('@goodput.\n\nEach server near its maximum rate (the median of the rounds), and right '
            f'after that with {TIMES} times as much offered. The generator is `bench/load/flood`, '
            'which has the kernel make the packets of long trains of queries and counts the '
            'replies at the interface; it reads an occasional answer, which has to be a good one. '
            'Only the cable is in between, so rates are higher than those above. The kernel '
            'receives packets on the processor of the generator, so overload costs a server less '
            'here than on a machine with one processor for everything.'
            f'\n\n{table(data)}' +
            left_out_text(data))


def estimate_s(options):
    count = len(peers.chosen(options.peers, peers.CACHES)) + 2
    return 8 + count * (0.7 + (2.5 + 2 * options.rounds) * (options.seconds + RUN_S))


def measure(options):
    cable_check('goodput')
    cleaner = Cleaner()
    directory, spaces = stage(cleaner)
    _, servers, left_out = start_all(cleaner, spaces, directory, options, options.names)
    runs = rounds_run({who[0]: Pressed(spaces, who, options) for who in servers}, options,
                      left_out)
    cleaner.clean()
    if not runs:
        raise Trouble('nothing was measured')
    data = {**stamp(options), 'names': options.names, 'left_out': left_out,
            'versions': peers.versions(runs),
            'rows': sorted(rows_make(runs), key=lambda row: -row['ratio'])}
    print(table(data))
    results_write('goodput', {**stamp(options), 'tables': {'goodput': data}, 'runs': runs})
