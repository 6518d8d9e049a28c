# SPDX-License-Identifier: MIT
"""What is left of each server's most when far more is asked: answers a second near what it can
answer, and when three times that is offered, one right after the other, in turns."""

import copy
import statistics

import hits
import peers
from cables import (Cleaner, Trouble, cable_check, leave_out, left_out_text, results_write,
                    round_tell, shoot, stage, stamp)

TITLE = 'Under three times the load'
TIMES = 3
SEARCHES = 5  # runs at most that look for how much a server can answer
NEAR = 1.2  # what is offered near the most of a server, of what it was seen to answer
LOSSLESS = 0.97  # who answers more of what was sent has not been at its most
RUN_S = 2.3  # that a run takes beyond its seconds


def shoot_at(spaces, who, questions, options, rate):
    """One run at this rate; returns answers and queries a second."""
    own = copy.copy(options)
    own.rate = int(rate)
    measured = shoot(spaces, *who, questions, own)
    return measured['rate'], measured['sent'] / own.seconds


def near_find(spaces, who, questions, options):
    """A rate a little above what the server can answer: more is offered until some is lost."""
    got, _ = shoot_at(spaces, who, questions, options, options.rate)
    rate = got * NEAR
    for _ in range(SEARCHES - 1):
        got, sent = shoot_at(spaces, who, questions, options, rate)
        if got < LOSSLESS * sent:
            break
        rate *= NEAR
    return rate


class Pressed:
    """One server: its rate near its most, found at the first run, and its runs: (answered near its
    most, answered and sent under pressure)."""

    def __init__(self, spaces, who, questions, options):
        self.how = (spaces, who, questions, options)
        self.near, self.runs = None, []

    def run(self):
        """One round."""
        self.near = self.near or near_find(*self.how)
        peak, sent = shoot_at(*self.how, self.near)
        if peak > LOSSLESS * sent:
            self.near *= NEAR  # it can do better than it seemed
        most = statistics.median([run[0] for run in self.runs] + [peak])
        self.runs.append((peak, *shoot_at(*self.how, TIMES * most)))
        return self.runs[-1]


def rounds_run(pressed, options, left_out):
    """All take turns; a server that fails is told and left out from there on."""
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
    lines = ['| server | answers a second near its most | really offered | times its most | '
             'answers then | of its most | lowest to highest |', '|-|-|-|-|-|-|-|']
    for row in data['rows']:
        lines.append(f'| {row["name"]} | {row["peak"]:,.0f} | {row["sent"]:,.0f} | '
                     f'{row["sent"] / row["peak"]:.2f} | {row["goodput"]:,.0f} | '
                     f'{row["ratio"]:.3f} | {row["lowest"]:.3f} to {row["highest"]:.3f} |')
    return '\n'.join(lines) + '\n'


def section(tables):
    """The page's part."""
    data = tables['goodput']
    return ('@goodput.\n\nEach server near the most that it can answer (the median of the rounds), '
            f'and right after that with {TIMES} times as much offered. One thread of the generator '
            'does not send as much as that for the fastest: what was really offered stands in the '
            'table. The kernel takes the packets in on the processor of the generator, so that '
            'being pressed costs a server less here than it would on a machine with one processor '
            f'for all.\n\n{table(data)}' +
            left_out_text(data))


def estimate_s(options):
    count = len(peers.chosen(options.peers, peers.CACHES)) + 2
    return 8 + count * (0.7 + (2.5 + 2 * options.rounds) * (options.seconds + RUN_S))


def measure(options):
    cable_check('goodput')
    cleaner = Cleaner()
    directory, spaces = stage(cleaner)
    questions, servers, left_out = hits.start_all(cleaner, spaces, directory, options,
                                                  options.names)
    runs = rounds_run({name: Pressed(spaces, who, questions, options)
                       for name, *who in servers}, options, left_out)
    cleaner.clean()
    if not runs:
        raise Trouble('nothing was measured')
    data = {**stamp(options), 'names': options.names, 'left_out': left_out,
            'versions': peers.versions(runs),
            'rows': sorted(rows_make(runs), key=lambda row: -row['ratio'])}
    print(table(data))
    results_write('goodput', {**stamp(options), 'tables': {'goodput': data}, 'runs': runs})
