# SPDX-License-Identifier: MIT
"""Answers from memory, next to echoes, which know nothing and had the same load in the same run."""

import re
import statistics
import time

from bench.lab import echo_xdp, peers
from bench.lab.cables import (SERVER, UPSTREAM, Cleaner, Server, Trouble, cable_check,
                              results_write, run, shoot, stage, stamp, write_files)
from bench.lab.closed import warm
from bench.lab.servers import echoes_start, pinned
from bench.parts import instructions

TITLE = 'ouzel next to the echo servers'


def floor_servers(cleaner, spaces, directory, arguments):
    """Starts the echoes and ouzel, each on its own port, all resting until they are asked; ouzel is
    the last."""
    config, questions = write_files(directory, arguments.names)
    Server(cleaner, directory, spaces.command(spaces.server, 'taskset', '-c',
                                              str(arguments.generator_cpu), 'nsd', '-d', '-c',
                                              config))
    ouzel = Server(cleaner, directory, [
        *pinned(spaces, arguments), arguments.ouzel, 'serve', '--workers', '1', '--listen',
        f'{SERVER}:53', '--upstream', ':'.join(map(str, UPSTREAM)), '--stats', '127.0.0.1:9053'])
    echoes = [*echoes_start(cleaner, spaces, directory, arguments, arguments.batch),
              *echo_xdp.start(cleaner, spaces, directory, arguments.server_cpu)]
    time.sleep(1)
    warm(ouzel, (SERVER, 53), questions, arguments.names, spaces.command(spaces.generator))
    return questions, [*echoes, ('ouzel', ouzel, 53)]


def upstream_queries(spaces):
    text = run(*spaces.command(spaces.server, 'curl', '-s', '-m', '5',
                               'http://127.0.0.1:9053/metrics'))
    match = re.search(r'^ouzel_upstream_queries_total\S* (\d+)', text, re.M)
    return int(match.group(1)) if match else None


def measure(arguments):
    cable_check('floor', 'curl')
    cleaner = Cleaner()
    directory, spaces = stage(cleaner)
    questions, servers = floor_servers(cleaner, spaces, directory, arguments)
    asked = upstream_queries(spaces)
    runs = {name: [] for name, _, _ in servers}
    print('round' + ''.join(f'  {name + "/s":>11} {"us":>5}' for name in runs))
    for number in range(arguments.rounds):
        for name, server, port in servers:
            runs[name].append(shoot(spaces, server, port, questions, arguments))
        line_print(number + 1, {name: own[-1] for name, own in runs.items()})
    if upstream_queries(spaces) != asked:
        raise Trouble('not all was answered from memory: upstream was asked during the runs')
    report = floor_report(arguments, runs)
    cleaner.clean()
    print_floor(report)
    if arguments.instructions:
        report['instructions'] = instructions.count_all(arguments)
    results_write('floor', report)


def line_print(head, row):
    print(f'{head:>5}' + ''.join(f'  {run_["rate"]:>11,.0f} {run_["cpu_us"]:>5.2f}'
                                 for run_ in row.values()), flush=True)


def floor_report(arguments, runs):
    """Medians of all, and what ouzel is of each echo, round by round: median, lowest, highest."""
    medians = {name: {key: statistics.median(run_[key] for run_ in own)
                      for key in ('rate', 'cpu_us')} for name, own in runs.items()}
    ratios = {name: [ouzel['rate'] / echo['rate'] for echo, ouzel in zip(own, runs['ouzel'])]
              for name, own in runs.items() if name != 'ouzel'}
    table = {**stamp(arguments), 'versions': {'ouzel': peers.Ouzel.version()},
             'offered_rate': arguments.rate, 'names': arguments.names,
             'echo_batch': arguments.batch, 'median': medians,
             'ratio': {name: [statistics.median(own), min(own), max(own)]
                       for name, own in ratios.items()}}
    return {**table, 'ratios': ratios, 'runs': runs, 'tables': {'floor': table}}


def print_floor(report):
    line_print('mid', report['median'])
    ouzel = report['median']['ouzel']
    for name, (median, lowest, highest) in report['ratio'].items():
        cpu_us = report['median'][name]['cpu_us']
        cpu = f' and takes {ouzel["cpu_us"] / cpu_us:.2f} times its CPU per reply' if cpu_us else ''
        print(f'ouzel answers at {median:.2f} of the rate of {name} (lowest {lowest:.2f}, highest '
              f'{highest:.2f}){cpu}')
    if echo_xdp.NAME in report['median']:
        share = report['median'][echo_xdp.NAME]['rate'] / report['offered_rate']
        print(f'{echo_xdp.NAME} answers in the driver, which no server with a socket can match: '
              f'{share:.0%} of what was offered')


def section(tables):
    """The page's part."""
    data = tables['floor']
    lines = ''
    for name, row in data['median'].items():
        of = data['ratio'].get(name)
        words = f'{of[0]:.2f} ({of[1]:.2f} to {of[2]:.2f})' if of else ''
        lines += f'| {name} | {row["rate"]:,.0f} | {row["cpu_us"]:.2f} | {words} |\n'
    return (f'@floor, {data["offered_rate"]:,} queries a second offered, {data["names"]:,} names, '
            'each as often as any other.\n\nAnswers from memory, and echo servers '
            'with the same load in turns: with recvmmsg and sendmmsg, '
            f'{data["echo_batch"]} datagrams a call; with io_uring as ouzel uses it; and in the '
            'driver (XDP), over a separate cable, which no server with a socket can match. '
            'Medians.\n\n'
            '| | answers a second | CPU us an answer | ouzel\'s rate of it |\n|-|-|-|-|\n'
            f'{lines}')


def estimate_s(options):
    return 8 + options.rounds * 4 * (options.seconds + 2.5) + 90 * options.instructions
