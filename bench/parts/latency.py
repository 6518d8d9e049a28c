# SPDX-License-Identifier: MIT
"""How long answers from memory take below saturation, in an open loop whose times count from when a
query was to leave, in turns: each server at shares of its maximum rate, and all at the same rates,
as shares of a slower server's maximum flatter it."""

import copy
import statistics

from bench.lab import peers
from bench.lab.cables import (Cleaner, Trouble, cable_check, generate, leave_out, left_out_text,
                              results_write, round_tell, shoot, stage, stamp)
from bench.lab.servers import start_all
from bench.report import svg

TITLE = 'Times below saturation'
SHARES = (0.3, 0.6, 0.8)
FIELDS = ('sent', 'answered', 'p50', 'p99', 'p999', 'longest')
NEVER_US = 1000000  # what is not answered within a second
RUN_S = 0.5  # that a run takes beyond its seconds: more where answers are missing


def pace(spaces, server, port, rate, options):
    """One run: what each tenth of a second was like; times in microseconds."""
    server.check()
    lines = generate(spaces, 'pace', (server.address, port), rate, options.names,
                     options).splitlines()
    return [dict(zip(FIELDS, map(int, line.split()))) for line in lines]


def saturation(spaces, server, port, questions, options):
    brief = copy.copy(options)
    brief.seconds = 2
    return statistics.median(shoot(spaces, server, port, questions, brief)['rate']
                             for _ in range(3))


def plan(most, at):
    """What is measured: (table, server, step, rate); the step is a share or a rate."""
    slowest = min(most.values())
    rates = at or [int(slowest * share) for share in SHARES]
    for share in SHARES:
        yield from (('shares', name, share, int(most[name] * share)) for name in most)
    for rate in rates:
        yield from (('equal', name, rate, rate) for name in most)


def rounds_run(spaces, servers, steps, options, left_out):
    """All take turns; a server that fails is reported and left out from there on."""
    runs = {}
    ports = {name: (server, port) for name, server, port in servers}
    for number in range(options.rounds):
        round_tell(options, number, len(steps) * (options.seconds + RUN_S))
        for which, name, step, rate in steps:
            if name in left_out:
                continue
            try:
                measured = pace(spaces, *ports[name], rate, options)
            except (Trouble, RuntimeError) as fault:
                leave_out(left_out, name, fault)
                continue
            runs.setdefault((which, name, step, rate), []).extend(measured)
    return {key: own for key, own in runs.items() if key[1] not in left_out}


def rows_make(runs, which):
    """Medians over the tenths of a second of all rounds, and the quarter of them that was worst."""
    for (table_name, name, step, rate), tenths in runs.items():
        if table_name != which:
            continue
        sent, answered = (sum(tenth[field] for tenth in tenths) for field in FIELDS[:2])
        yield {'name': name, 'step': step, 'rate': rate, 'lost': (sent - answered) / sent,
               **{field: statistics.median(tenth[field] for tenth in tenths)
                  for field in FIELDS[2:]},
               'p99_quarter': statistics.quantiles([tenth['p99'] for tenth in tenths])[2]}


def table(data):
    head = 'of its maximum' if data['steps'] == 'shares' else 'rate'
    form = '.0%' if data['steps'] == 'shares' else ',.0f'
    lines = [f'| {head} | server | queries a second | p50 us | p99 us | p99 us, worst quarter | '
             'p99.9 us | lost |', '|-|-|-|-|-|-|-|-|']
    for row in sorted(data['rows'], key=lambda row: (row['step'], row['p99'])):
        lines.append(f'| {row["step"]:{form}} | {row["name"]} | {row["rate"]:,.0f} | ' +
                     ' | '.join(time_text(row[field])
                                for field in ('p50', 'p99', 'p99_quarter', 'p999')) +
                     f' | {row["lost"]:.2%} |')
    return '\n'.join(lines) + '\n'


def time_text(microseconds):
    return f'{microseconds:,.0f}' if microseconds < NEVER_US else 'never'


TITLES = {'shares': 'Each at shares of its maximum rate', 'equal': 'All at the same rates'}
INTRO = '''Queries leave at a steady rate whether or not answers have come (`bench/load/pace`); the
time of an answer counts from the moment at which its query was to leave, and a query without an
answer counts as slower than all others. Servers, generator and cable are as above; the echo servers
show the floor. Figures are medians over the tenths of a second of all rounds: now and then the
machine itself stands still for some milliseconds, for servers and echo servers alike, which would
otherwise determine the p99 of a whole second. *Worst quarter* is the p99 that a quarter of those
tenths reaches or exceeds. A share of a slower server's maximum is a lower rate than the same share
of a faster one's, so the second table has all servers at the same rates.
'''


def section(tables):
    """The page's part."""
    text = INTRO
    for which in (name for name in TITLES if name in tables):
        data = tables[which]
        text += (f'\n### {TITLES[which]}\n\n@{which}.\n\n{table(data)}\n'
                 f'![{TITLES[which]}](benchmarks/latency-{which}.svg)\n')
        text += left_out_text(data)
    return text


def plots(tables):
    """Names and SVG: p99 over shares, and over rates."""
    for which, data in tables.items():
        rows = sorted(data['rows'], key=lambda row: row['step'])
        names = sorted({row['name'] for row in rows})
        curves = [(name, colour, dashes, [(row['step'], row['p99']) for row in rows
                                          if row['name'] == name])
                  for name, colour, dashes in svg.coloured(names)]
        xs = svg.Steps([row['step'] for row in rows], svg.LEFT + 20, svg.WIDTH - svg.RIGHT)
        ys = svg.Scale([max(row['p99'], 1) for row in rows], svg.HEIGHT - svg.BOTTOM, svg.TOP,
                       (1, 2, 5))
        under = 'of its maximum' if which == 'shares' else 'queries a second'
        yield f'latency-{which}', svg.chart(
            f'p99 in microseconds. {TITLES[which]}', under, curves, xs, ys, ' us',
            '.0%' if which == 'shares' else '')


def estimate_s(options):
    """Two tables of three steps each, when it is known what each can answer at most."""
    count = len(peers.chosen(options.peers, peers.CACHES)) + 2
    return (8 + count * (0.7 + 3 * (2 + 2.3)) + options.rounds * count *
            (len(SHARES) + len(options.at or SHARES)) * (options.seconds + RUN_S))


def measure(options):
    cable_check('latency')
    cleaner = Cleaner()
    directory, spaces = stage(cleaner)
    questions, servers, left_out = start_all(cleaner, spaces, directory, options,
                                                  options.names)
    most = {name: saturation(spaces, server, port, questions, options)
            for name, server, port in servers}
    runs = rounds_run(spaces, servers, [*plan(most, options.at)], options, left_out)
    cleaner.clean()
    versions = peers.versions(most)
    tables = {which: {**stamp(options), 'steps': which, 'most': most, 'versions': versions,
                      'left_out': left_out, 'rows': [*rows_make(runs, which)]}
              for which in TITLES}
    if not any(data['rows'] for data in tables.values()):
        raise Trouble('nothing was measured')
    for which, data in tables.items():
        print(f'{TITLES[which]}\n\n{table(data)}')
    results_write('latency', {**stamp(options), 'tables': tables})
