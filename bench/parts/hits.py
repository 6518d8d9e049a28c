# SPDX-License-Identifier: MIT
"""Answers from memory: ouzel, other forwarders and two UDP echoes, each with one worker on the same
processor, at the same load over the same cable, in turns. In the rows in which all is answered from
memory over UDP the load is more than any of them can answer, so that what counts is how many
answers come and what each costs. Where names are new, or over TCP, such a load would measure what
is lost: there dnsperf asks in a closed loop."""

import collections
import os
import statistics
import sys

from bench.lab import closed, echo_xdp, peers, process
from bench.lab.cables import (SERVER, Cleaner, Trouble, cable_check, duration, leave_out,
                              left_out_text, results_write, round_tell, shoot, stage, stamp)
from bench.lab.servers import fitting, start_all
from bench.load import zipf
from bench.report import svg

TITLE = 'Answers from memory'
Row = collections.namedtuple('Row', 'names hit_percent transport')
ROWS = {'1k': Row(1000, 100, 'udp'),
        '100k': Row(100000, 100, 'udp'),
        '1m': Row(1000000, 100, 'udp'),
        '10m': Row(10000000, 100, 'udp'),
        'hit95': Row(100000, 95, 'udp'),
        'hit80': Row(100000, 80, 'udp'),
        'hit0': Row(100000, 0, 'udp'),
        'tcp': Row(1000, 100, 'tcp')}
LINES_MAX = 2000000  # of questions; kxdpgun holds them in memory
CLOSED_A_SECOND = 250000  # more than dnsperf asks
NEW_A_SECOND = 80000  # new names, more than are answered: caches have room for them
LOST_MAX = 0.2  # of the questions of a closed loop; a server that loses more is not measured
# Seconds, as measured here, to estimate how long all will take.
OPEN_S, CLOSED_S, START_S, LEARN_US = 2.3, 0.6, 6, 30
CLOSED_WORDS = {'udp': ('-q', '100', '-c', '10', '-t', '2'),
                'tcp': ('-m', 'tcp', '-q', '100', '-c', '100', '-t', '2')}


def is_open(row):
    """Is it asked in an open loop?"""
    return row.hit_percent == 100 and row.transport == 'udp'


def is_mixed(row):
    return row.hit_percent < 100


def room(row, options):
    """How many names a cache has to hold during a row: new ones are remembered, too."""
    asked = min(CLOSED_A_SECOND * (100 - row.hit_percent) // 100, NEW_A_SECOND)
    return row.names + options.rounds * options.seconds * asked


class Load:
    """What a row asks: one file of questions for all rounds, or a file a round where new names are
    in it."""

    def __init__(self, row, directory, options):
        self.row, self.options = row, options
        self.path = os.path.join(directory, 'traffic')
        self.zipf = zipf.Zipf(row.names, 1)
        if is_open(row):
            self.lines = min(LINES_MAX, options.rate * options.seconds)
        else:
            self.lines = CLOSED_A_SECOND * options.seconds
        if not is_mixed(row):
            self.lines = min(self.lines, LINES_MAX)
            zipf.questions_write(self.path, self.zipf, self.lines)

    def ready(self, number):
        if is_mixed(self.row):
            zipf.questions_write(self.path, self.zipf, self.lines, self.row.hit_percent, number)

    def run(self, spaces, server, port):
        """One run; what `shoot` returns, and in a closed loop `lost` and the share of `hits`."""
        options = self.options
        meters = {'machine_us': lambda: process.processor_us(options.server_cpu)}
        if is_open(self.row):
            return shoot(spaces, server, port, self.path, options, meters=meters)
        meters['out'] = lambda: process.datagrams_out(server.child.pid)
        run = closed.measured(
            server, (SERVER, port), self.path, CLOSED_WORDS[self.row.transport], spaces.command(
                spaces.generator, 'taskset', '-c', str(options.generator_cpu)), meters,
            options.seconds)
        if is_mixed(self.row) and run['sent'] > self.lines:
            raise Trouble('dnsperf came to the end of the questions, so new ones were not new')
        if run['lost'] > LOST_MAX:
            raise Trouble(f'it has given {run["lost"]:.0%} of the questions no good answer')
        # What leaves the namespace is the answer (not over TCP) and for each that was not known
        # the question to NSD and its reply.
        asked = (run.pop('out') - (self.row.transport == 'udp')) / 2
        return {**run, 'hits': max(1 - asked, 0)}


def rounds_run(spaces, servers, load, options, left_out):
    """All take turns. A server that fails is reported and left out from there on."""
    runs = {name: [] for name, _, _ in servers}
    for number in range(options.rounds):
        round_tell(options, number, len(servers) * run_s(load.row, options))
        load.ready(number)
        for name, server, port in servers:
            if name in left_out:
                continue
            try:
                last = load.run(spaces, server, port)
            except (Trouble, RuntimeError) as fault:
                if name == 'ouzel':
                    raise
                leave_out(left_out, name, fault)
                continue
            runs[name].append(last)
            words = f'{last["lost"]:>8.2%} lost {last["hits"]:>6.1%} hits' if 'lost' in last else ''
            print(f'  {name:<15} {last["rate"]:>9,.0f} a second {last["cpu_us"]:>7.2f} us {words}',
                  flush=True)
    return {name: own for name, own in runs.items() if name not in left_out}


def rows_make(runs):
    """For each server the medians, and its ratio to ouzel round by round. The fastest comes first;
    in a closed loop, whose generator may be the limit, the one that takes least."""
    rows = []
    for name, own in runs.items():
        rates = [run['rate'] for run in own]
        against = [run['rate'] / ouzel['rate'] for run, ouzel in zip(own, runs['ouzel'])]
        rows.append({'name': name, 'rate': statistics.median(rates), 'lowest': min(rates),
                     'highest': max(rates), 'ratio': statistics.median(against),
                     **{key: statistics.median(run[key] for run in own)
                        for key in ('cpu_us', 'machine_us', 'lost', 'hits') if key in own[0]}})
    return sorted(rows, key=lambda row: row['cpu_us'] if 'lost' in row else -row['rate'])


def table(data):
    """As Markdown."""
    more = [(head, key, form) for head, key, form in (
        ('CPU us an answer', 'cpu_us', '.2f'), ('CPU us of the machine', 'machine_us', '.2f'),
        ('no good answer', 'lost', '.2%'), ('from memory', 'hits', '.1%'))
            if any(key in row for row in data['rows'])]
    heads = ['server', 'answers a second', 'lowest to highest', 'of ouzel',
             *(head for head, _, _ in more)]
    lines = [f'| {" | ".join(heads)} |', '|-' * len(heads) + '|']
    for row in data['rows']:
        version = f' {data["versions"][row["name"]]}' if row['name'] in data['versions'] else ''
        lines.append(f'| {row["name"]}{version} | {row["rate"]:,.0f} | {row["lowest"]:,.0f} to '
                     f'{row["highest"]:,.0f} | {row["ratio"]:.2f} | ' +
                     ' | '.join(f'{row[key]:{form}}' for _, key, form in more) + ' |')
    return '\n'.join(lines) + '\n'


def titled(data):
    """What a row is about, in words."""
    if data['transport'] == 'tcp':
        return f'{data["names"]:,} names over TCP'
    if data['hit_percent'] == 100:
        return f'{data["names"]:,} names'
    return (f'{data["names"]:,} names and new ones, {data["hit_percent"]} % of the questions '
            'known')


def how(data):
    if data['offered_rate']:
        return f'{data["offered_rate"]:,} queries a second offered'
    connections = ' over 100 connections' if data['transport'] == 'tcp' else ''
    return f'a closed loop of dnsperf with 100 questions in flight{connections}'


INTRO = '''All servers have one worker on the same processor and the same load over a cable between
two network namespaces; they take turns in each round. Names follow Zipf's law with exponent 1, each
was learned before, and caches have room for all. If all names are known, the generator is kxdpgun
and offers more than any server answers; new names and TCP are measured in a closed loop, in which
the generator, or NSD next to it, may be the limit. `echo-mmsg` and `echo-ring` send each datagram
back and do nothing else: they show the floor. `echo-xdp` does so in the driver, over a separate
cable, which no server with a socket can match. *CPU us an answer* is the time of the server's
process, *CPU us of the machine* everything that the server's processor did meanwhile, interrupts
included. The generator has a separate processor, on which the kernel does a part of the work for
incoming packets.
'''


def section(tables):
    """The page's part about all rows."""
    text = INTRO
    for name in sorted(tables, key=[*ROWS].index):
        data = tables[name]
        text += (f'\n### {titled(data)} (`{name}`)\n\n@{name}, {how(data)}.\n\n{table(data)}\n'
                 f'![{titled(data)}](benchmarks/hits-{name}.svg)\n')
        text += left_out_text(data)
    return text


def plots(tables):
    """Names and SVG of the bars of each row."""
    for name, data in tables.items():
        panels = [('answers a second', 'rate', ',.0f'), ('CPU us an answer', 'cpu_us', '.2f')]
        yield f'hits-{name}', svg.bars(titled(data), data['rows'], panels)


def run_s(row, options):
    """Seconds that a run takes, with what it takes to start it."""
    return options.seconds + (OPEN_S if is_open(row) else CLOSED_S)


def row_s(row, options):
    kinds, _ = fitting(peers.chosen(options.peers, peers.CACHES), room(row, options))
    seconds = START_S + len(kinds) * (0.7 + row.names * LEARN_US / 1e6)
    seconds += options.rounds * (len(kinds) + 2 * is_open(row)) * run_s(row, options)
    return seconds + options.rounds * is_mixed(row) * 2 * options.seconds / 5


def estimate_s(options):
    return sum(row_s(ROWS[name], options) for name in wanted(options))


def wanted(options):
    names = options.rows or [*ROWS]
    for name in names:
        if name not in ROWS:
            raise Trouble(f"there is no row '{name}'; there are: {', '.join(ROWS)}")
    return names


def row_measure(row, options):
    """One row with servers of its own; returns its table and all runs."""
    cleaner = Cleaner()
    try:
        directory, spaces = stage(cleaner)
        load = Load(row, directory, options)
        _, servers, left_out = start_all(cleaner, spaces, directory, options, row.names,
                                         room(row, options), is_open(row))
        if is_open(row):
            servers += echo_xdp.start(cleaner, spaces, directory, options.server_cpu)
        if 'ouzel' in left_out or 'ouzel' not in [name for name, _, _ in servers]:
            raise Trouble('ouzel has to be among the servers')
        runs = rounds_run(spaces, servers, load, options, left_out)
    finally:
        cleaner.clean()
    return {**stamp(options), **row._asdict(), 'versions': peers.versions(runs),
            'left_out': left_out,
            'offered_rate': options.rate if is_open(row) else None, 'rows': rows_make(runs)}, runs


def measure(options):
    cable_check('hits')
    tables, runs, failed = {}, {}, []
    names = wanted(options)
    for number, name in enumerate(names):
        left_s = sum(row_s(ROWS[other], options) for other in names[number:])
        print(f'row {name} ({number + 1} of {len(names)}), {duration(left_s)} left for all',
              flush=True)
        try:
            tables[name], runs[name] = row_measure(ROWS[name], options)
        except (Trouble, RuntimeError) as fault:
            failed.append(name)
            print(f'bench: row {name}: {fault}', file=sys.stderr)
            continue
        print(table(tables[name]))
        # After each row, so that what comes later can spoil nothing.
        results_write('hits', {**stamp(options), 'tables': tables, 'runs': runs})
    if failed:
        raise Trouble(f'rows that failed: {", ".join(failed)}')
