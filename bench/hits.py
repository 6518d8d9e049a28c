# SPDX-License-Identifier: MIT
"""Answers from memory: ouzel, other forwarders and two UDP echoes, each with one worker on the same
processor, at the same load over the same cable, in turns. The load is more than any of them can
answer, so that what counts is how many answers come and what each costs."""

import datetime
import os
import shutil
import statistics
import sys
import tempfile
import time

import echo_xdp
import peers
from cables import (BUILD, ROOT, SERVER, Cleaner, Namespaces, Server, Trouble, cable_check,
                    results_write, shoot, warm, write_files)

UPSTREAM = ('127.0.0.1', 5301)
FIRST_PORT = 5400
PAGE = os.path.join(ROOT, 'docs', 'benchmarks', 'hits.md')


def echoes_start(cleaner, spaces, directory, pinned, batch=64):
    """The two floors: (name, server, port)."""
    programs = (('echo-mmsg', ['echo_mmsg', '-a', SERVER, '-p', '5398', '-b', str(batch)], 5398),
                ('echo-ring', ['echo_ring', f'{SERVER}:5399'], 5399))
    for name, (program, *words), port in programs:
        command = spaces.command(spaces.server, *pinned, os.path.join(BUILD, 'bench', program),
                                 *words)
        yield name, Server(cleaner, directory, command), port


def peers_start(cleaner, spaces, directory, pinned, names):
    for number, kind in enumerate(peers.chosen(names, peers.CACHES)):
        port = FIRST_PORT + number
        peer = kind(directory, (SERVER, port), spaces.command(spaces.server, *pinned))
        peer.launch([UPSTREAM])
        cleaner.add(peer.stop)
        yield kind.name, peer, port


def start_all(cleaner, spaces, directory, options):
    """Starts all and has each learn all names; returns the questions and (name, server, port)."""
    config, questions = write_files(directory, options.names)
    pinned = ('taskset', '-c', str(options.server_cpu))
    Server(cleaner, directory, spaces.command(
        spaces.server, 'taskset', '-c', str(options.generator_cpu), 'nsd', '-d', '-c', config))
    servers = [*peers_start(cleaner, spaces, directory, pinned, options.peers)]
    time.sleep(2)
    kept = []
    for name, server, port in servers:
        try:
            warm(spaces, server, port, questions, options.names)
            kept.append((name, server, port))
        except (Trouble, RuntimeError) as fault:
            # Such as a cache that is too small for so many names.
            print(f'{name} is left out: {str(fault).splitlines()[0]}', file=sys.stderr)
    return questions, [*echoes_start(cleaner, spaces, directory, pinned), *kept]


def rounds_run(spaces, servers, questions, options):
    runs = {name: [] for name, _, _ in servers}
    each_s = options.seconds + 1.5
    for number in range(options.rounds):
        left_min = (options.rounds - number) * len(servers) * each_s / 60
        print(f'round {number + 1} of {options.rounds}, {left_min:.0f} minutes left', flush=True)
        for name, server, port in servers:
            runs[name].append(shoot(spaces, server, port, questions, options))
            last = runs[name][-1]
            print(f'  {name:<15} {last["rate"]:>9,.0f} a second {last["cpu_us"]:>7.2f} us',
                  flush=True)
    return runs


def rows_make(runs):
    """For each server the medians, and its ratio to ouzel round by round."""
    rows = []
    for name, own in runs.items():
        rates = [run['rate'] for run in own]
        against = [run['rate'] / ouzel['rate'] for run, ouzel in zip(own, runs['ouzel'])]
        rows.append({'name': name, 'rate': statistics.median(rates), 'lowest': min(rates),
                     'highest': max(rates), 'ratio': statistics.median(against),
                     'cpu_us': statistics.median(run['cpu_us'] for run in own)})
    return rows


def table(rows, versions):
    lines = ['| server | answers a second | lowest to highest | of ouzel | CPU us an answer |',
             '|-|-|-|-|-|']
    for row in sorted(rows, key=lambda row: -row['rate']):
        version = f' {versions[row["name"]]}' if row['name'] in versions else ''
        lines.append(f'| {row["name"]}{version} | {row["rate"]:,.0f} | {row["lowest"]:,.0f} to '
                     f'{row["highest"]:,.0f} | {row["ratio"]:.2f} | {row["cpu_us"]:.2f} |')
    return '\n'.join(lines) + '\n'


def publish(options, text):
    """Writes the page, or the part of it for so many names."""
    today = datetime.date.today().isoformat()
    head = ('# Answers from memory, side by side\n\n'
            'Made by `scripts/bench hits --publish`. All servers have one worker on the same\n'
            'processor and the same load over a cable between two network namespaces (kxdpgun),\n'
            'more than any of them can answer; they take turns in each round. `echo-mmsg` and\n'
            '`echo-ring` send each datagram back and do nothing else: the floors. `echo-xdp` does\n'
            'so in the driver, where no server with a socket comes. How each is set\n'
            'up stands in `bench/peers.py`. Medians; the machine is shared, so a row says most\n'
            'beside the others of its table.\n')
    part = (f'\n## {options.names:,} names\n\n{today}, Linux {os.uname().release}, '
            f'{options.rounds} rounds of {options.seconds} s, {options.rate:,} queries a second '
            f'offered.\n\n{text}')
    parts = {}
    if os.path.exists(PAGE):
        with open(PAGE, encoding='utf-8') as file:
            for old in file.read().split('\n## ')[1:]:
                parts[int(old.split()[0].replace(',', ''))] = '\n## ' + old.rstrip('\n') + '\n'
    parts[options.names] = part
    with open(PAGE, 'w', encoding='utf-8') as file:
        file.write(head + ''.join(parts[count] for count in sorted(parts)))
    print(f'written: {os.path.relpath(PAGE, ROOT)}')


def measure(options):
    cable_check('hits')
    cleaner = Cleaner()
    directory = tempfile.mkdtemp(prefix='ouzel-bench-')
    cleaner.add(shutil.rmtree, directory, True)
    spaces = Namespaces(cleaner)
    questions, servers = start_all(cleaner, spaces, directory, options)
    servers += echo_xdp.start(cleaner, spaces, directory, options.server_cpu)
    runs = rounds_run(spaces, servers, questions, options)
    cleaner.clean()
    versions = {kind.name: kind.version() for kind in peers.CACHES if kind.name in runs}
    rows = rows_make(runs)
    text = table(rows, versions)
    print(text)
    results_write(f'hits-{options.names}', {
        'kernel': os.uname().release, 'offered_rate': options.rate, 'seconds': options.seconds,
        'names': options.names, 'versions': versions, 'rows': rows, 'runs': runs})
    if options.publish:
        publish(options, text)
