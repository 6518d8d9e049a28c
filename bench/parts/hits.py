# SPDX-License-Identifier: MIT
"""Answers from memory: ouzel, other forwarders and two UDP echoes, each with one worker on the same
processor, at the same load over the same cable, in turns. In the rows in which all is answered from
memory over UDP the load is more than any of them can answer, so that what counts is how many
answers come and what each costs. Where names are new, or over TCP, such a load would measure what
is lost: there dnsperf asks in a closed loop."""

import collections
import contextlib
import os
import statistics
import sys

from bench.lab import closed, echo_xdp, flood, frames, peers, plane, process
from bench.lab.cables import (Cleaner, Trouble, cable_check, duration, leave_out,
                              left_out_text, results_write, round_tell, shoot, stage, stamp)
from bench.lab.servers import fitting, start_all
from bench.load import zipf
from bench.report import svg

TITLE = 'Answers from memory'
Row = collections.namedtuple('Row', 'names hit_percent transport octets ipv6',
                             defaults=(None, False))
ROWS = {'1k': Row(1000, 100, 'udp'),
        '100k': Row(100000, 100, 'udp'),
        '1m': Row(1000000, 100, 'udp'),
        '10m': Row(10000000, 100, 'udp'),
        'hit95': Row(100000, 95, 'udp'),
        'hit80': Row(100000, 80, 'udp'),
        'hit0': Row(100000, 0, 'udp'),
        'tcp': Row(1000, 100, 'tcp'),
        **{f'a{octets}': Row(10000, 100, 'udp', octets) for octets in zipf.SIZES},
        'ipv6': Row(1000, 100, 'udp', None, True)}
GUNS = {'kxdpgun': shoot, 'frames': frames.shoot, 'flood': flood.shoot}  # of open loops
LINES_MAX = 2000000  # of questions; kxdpgun holds them in memory
CLOSED_A_SECOND = 500000  # more than dnsperf asks
NEW_A_SECOND = 80000  # new names, more than are answered: caches have room for them
LOST_MAX = 0.2  # of the questions of a closed loop; a server that loses more is not measured
# Seconds, as measured here, to estimate how long all will take.
OPEN_S, CLOSED_S, START_S, LEARN_US = 2.3, 0.6, 6, 30
CLOSED_WORDS = {'udp': ('-q', '100', '-c', '10', '-t', '2'),
                'tcp': ('-m', 'tcp', '-q', '100', '-c', '100', '-t', '2')}


def is_open(row):
    """Is it asked in an open loop?"""
    return row.hit_percent == 100 and row.transport == 'udp'


def has_echoes(row):
    """They know IPv4 alone."""
    return is_open(row) and not row.ipv6


def is_on_page(row):
    """Sizes and IPv6 are for those who ask for them."""
    return not row.octets and not row.ipv6


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
        self.gun = GUNS[options.generator]
        self.zipf, self.form = zipf.Zipf(row.names, 1), zipf.Form(row.octets)
        if is_open(row):
            self.lines = min(LINES_MAX, options.rate * options.seconds)
        else:
            self.lines = CLOSED_A_SECOND * options.seconds
        if not is_mixed(row):
            self.lines = min(self.lines, LINES_MAX)
            zipf.known_write(self.path, self.zipf, self.lines, self.form)

    def ready(self, number):
        if is_mixed(self.row):
            zipf.mixed_write(self.path, self.zipf, self.lines, self.row.hit_percent, number)

    def run(self, spaces, server, port):
        """One run; what `shoot` returns, in a closed loop `lost` and the share of `hits`, and with
        a plane the share that it answered, `driver`."""
        before = server.in_driver() if isinstance(server, peers.Xdp) else None
        meters = {'machine_us': lambda: process.processor_us(self.options.server_cpu)}
        if is_open(self.row):
            asked = self.row.names if self.options.generator == 'flood' else self.path
            run = self.gun(spaces, server, port, asked, self.options, meters=meters)
        else:
            meters['out'] = lambda: process.datagrams_out(server.child.pid)
            run = self.run_closed(spaces, server, port, meters)
        if before is not None:
            driver, asked = (then - was for then, was in zip(server.in_driver(), before))
            run['driver'] = driver / max(asked, 1)
        return run if is_open(self.row) else self.judged(run)

    def run_closed(self, spaces, server, port, meters):
        return closed.measured(
            server, (server.address, port), self.path, CLOSED_WORDS[self.row.transport],
            spaces.command(spaces.generator, 'taskset', '-c', str(self.options.generator_cpu)),
            meters, self.options.seconds)

    def judged(self, run):
        """A run in a closed loop, with the share of what was known."""
        if is_mixed(self.row) and run['sent'] > self.lines:
            raise Trouble('dnsperf came to the end of the questions, so new ones were not new')
        if run['lost'] > LOST_MAX:
            raise Trouble(f'it has given {run["lost"]:.0%} of the questions no good answer')
        # What leaves sockets of the namespace is the answer (not over TCP, nor in the driver) and
        # for each that was not known the question to NSD and its reply.
        own = (1 - run.get('driver', 0)) * (self.row.transport == 'udp')
        asked = (run.pop('out') - own) / 2
        return {**run, 'hits': max(1 - asked, 0)}


def run_one(stand, load, server, port):
    """A run; `stand` is where: what `plane.receiving` wants before the server."""
    by_sockets = not is_open(load.row) or load.options.generator == 'flood'
    around = plane.receiving(*stand, server) if by_sockets else contextlib.nullcontext()
    with around:
        return load.run(stand[1], server, port)


def rounds_run(stand, servers, load, options, left_out):
    """All take turns. A server that fails is reported and left out from there on."""
    runs = {name: [] for name, _, _ in servers}
    for number in range(options.rounds):
        round_tell(options, number, len(servers) * run_s(load.row, options))
        load.ready(number)
        for name, server, port in servers:
            if name in left_out:
                continue
            try:
                last = run_one(stand, load, server, port)
            except (Trouble, RuntimeError) as fault:
                if name in ('ouzel', 'ouzel-xdp'):
                    raise
                leave_out(left_out, name, fault)
                continue
            runs[name].append(last)
            words = f'{last["lost"]:>8.2%} lost {last["hits"]:>6.1%} hits' if 'lost' in last else ''
            print(f'  {name:<15} {last["rate"]:>9,.0f} a second {last["cpu_us"]:>7.2f} us {words}',
                  flush=True)
    return {name: own for name, own in runs.items() if name not in left_out}


def rows_make(runs):
    """For each server the medians, and its ratio to ouzel round by round (in the driver, where no
    other one is asked). The fastest comes first;
    in a closed loop, whose generator may be the limit, the one that takes least."""
    rows = []
    for name, own in runs.items():
        rates = [run['rate'] for run in own]
        base = runs.get('ouzel') or runs['ouzel-xdp']
        against = [run['rate'] / ouzel['rate'] for run, ouzel in zip(own, base)]
        rows.append({'name': name, 'rate': statistics.median(rates), 'lowest': min(rates),
                     'highest': max(rates), 'ratio': statistics.median(against),
                     **{key: statistics.median(run[key] for run in own)
                        for key in ('cpu_us', 'machine_us', 'lost', 'hits', 'driver', 'octets')
                        if own[0].get(key) is not None}})
    return sorted(rows, key=lambda row: row['cpu_us'] if 'lost' in row else -row['rate'])


def table(data):
    """As Markdown."""
    more = [(head, key, form) for head, key, form in (
        ('CPU us an answer', 'cpu_us', '.2f'), ('CPU us of the machine', 'machine_us', '.2f'),
        ('no good answer', 'lost', '.2%'), ('from memory', 'hits', '.1%'),
        ('in the driver', 'driver', '.1%'), ('octets of an answer', 'octets', '.0f'))
            if any(key in row for row in data['rows'])]
    heads = ['server', 'answers a second', 'lowest to highest', 'of ouzel',
             *(head for head, _, _ in more)]
    lines = [f'| {" | ".join(heads)} |', '|-' * len(heads) + '|']
    for row in data['rows']:
        version = f' {data["versions"][row["name"]]}' if row['name'] in data['versions'] else ''
        lines.append(f'| {row["name"]}{version} | {row["rate"]:,.0f} | {row["lowest"]:,.0f} to '
                     f'{row["highest"]:,.0f} | {row["ratio"]:.2f} | ' +
                     ' | '.join(f'{row[key]:{form}}' if key in row else ''
                                for _, key, form in more) + ' |')
    return '\n'.join(lines) + '\n'


def titled(data):
    """What a row is about, in words."""
    if data['transport'] == 'tcp':
        return f'{data["names"]:,} names over TCP'
    if data['hit_percent'] == 100:
        size = f', answers of {data["octets"]} octets' if data.get('octets') else ''
        return f'{data["names"]:,} names{size}' + (' over IPv6' if data.get('ipv6') else '')
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
    seconds += options.rounds * (len(kinds) + 2 * has_echoes(row)) * run_s(row, options)
    return seconds + options.rounds * is_mixed(row) * 2 * options.seconds / 5


def estimate_s(options):
    return sum(row_s(ROWS[name], options) for name in wanted(options))


def wanted(options):
    names = options.rows or [name for name, row in ROWS.items() if is_on_page(row)]
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
                                         room(row, options),
                                         has_echoes(row) and options.generator != 'frames',
                                         load.form, row.ipv6)
        if has_echoes(row):
            servers += echo_xdp.start(cleaner, spaces, directory, options.server_cpu)
        base = 'ouzel-xdp' if options.generator == 'frames' else 'ouzel'
        if base not in [name for name, _, _ in servers]:
            raise Trouble(f'{base} has to be among the servers')
        if options.generator == 'frames':
            frames.prepare(spaces, servers, options)
        if options.generator == 'flood':
            flood.prepare(spaces, servers, options)
        runs = rounds_run((cleaner, spaces, directory), servers, load, options, left_out)
    finally:
        cleaner.clean()
    return {**stamp(options), **row._asdict(), 'versions': peers.versions(runs),
            'left_out': left_out,
            'generator': options.generator,
            'offered_rate': options.rate if is_open(row) else None, 'rows': rows_make(runs)}, runs


def measure(options):
    cable_check('hits')
    if options.generator == 'frames' and options.peers != ['ouzel-xdp']:
        raise Trouble('frames asks in the driver alone: --peers ouzel-xdp')
    if options.generator == 'flood' and any(
            ROWS[name].octets or ROWS[name].ipv6 for name in wanted(options)):
        raise Trouble('flood asks for names of its own, over IPv4: not in rows of sizes or ipv6')
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
