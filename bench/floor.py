# SPDX-License-Identifier: MIT
"""Answers from memory, next to a UDP echo that had the same load in the same run."""

import os
import re
import shutil
import statistics
import tempfile
import time

import instructions
import peers
from cables import (BUILD, SERVER, UPSTREAM, Cleaner, Namespaces, Server, Trouble, cable_check,
                    results_write, run, shoot, stamp, write_files)
from closed import warm

TITLE = 'ouzel next to an echo'
ECHO = os.path.join(BUILD, 'bench', 'echo_mmsg')


def floor_servers(cleaner, spaces, directory, arguments):
    """Starts echo and ouzel, each on its own port, both resting until they are asked."""
    config, questions = write_files(directory, arguments.names)
    Server(cleaner, directory, spaces.command(spaces.server, 'taskset', '-c',
                                              str(arguments.generator_cpu), 'nsd', '-d', '-c',
                                              config))
    pinned = ('taskset', '-c', str(arguments.server_cpu))
    echo = Server(cleaner, directory, spaces.command(
        spaces.server, *pinned, ECHO, '-a', SERVER, '-p', '54', '-b', str(arguments.batch)))
    ouzel = Server(cleaner, directory, spaces.command(
        spaces.server, *pinned, arguments.ouzel, 'serve', '--workers', '1', '--listen',
        f'{SERVER}:53', '--upstream', ':'.join(map(str, UPSTREAM)), '--stats', '127.0.0.1:9053'))
    time.sleep(1)
    warm(ouzel, (SERVER, 53), questions, arguments.names, spaces.command(spaces.generator))
    return questions, (('echo', echo, 54), ('ouzel', ouzel, 53))


def upstream_queries(spaces):
    text = run(*spaces.command(spaces.server, 'curl', '-s', '-m', '5',
                               'http://127.0.0.1:9053/metrics'))
    match = re.search(r'^ouzel_upstream_queries_total\S* (\d+)', text, re.M)
    return int(match.group(1)) if match else None


def measure(arguments):
    cable_check('floor', 'curl')
    cleaner = Cleaner()
    directory = tempfile.mkdtemp(prefix='ouzel-bench-')
    cleaner.add(shutil.rmtree, directory, True)
    spaces = Namespaces(cleaner)
    questions, servers = floor_servers(cleaner, spaces, directory, arguments)
    asked = upstream_queries(spaces)
    runs = {name: [] for name, _, _ in servers}
    print(f'{"round":>5}  {"echo/s":>9} {"us/reply":>8}  {"ouzel/s":>9} {"us/reply":>8}  '
          f'{"ouzel/echo":>10}')
    for number in range(arguments.rounds):
        for name, server, port in servers:
            runs[name].append(shoot(spaces, server, port, questions, arguments))
        echo, ouzel = runs['echo'][-1], runs['ouzel'][-1]
        print(f'{number + 1:>5}  {echo["rate"]:>9,.0f} {echo["cpu_us"]:>8.2f}  '
              f'{ouzel["rate"]:>9,.0f} {ouzel["cpu_us"]:>8.2f}  '
              f'{ouzel["rate"] / echo["rate"]:>10.3f}', flush=True)
    if upstream_queries(spaces) != asked:
        raise Trouble('not all was answered from memory: upstream was asked during the runs')
    report = floor_report(arguments, runs)
    cleaner.clean()
    print_floor(report)
    if arguments.instructions:
        report['instructions'] = instructions.count_all(arguments)
    results_write('floor', report)


def floor_report(arguments, runs):
    def median(name, key):
        return statistics.median(run_[key] for run_ in runs[name])
    ratios = [ouzel['rate'] / echo['rate'] for echo, ouzel in zip(runs['echo'], runs['ouzel'])]
    medians = {name: {key: median(name, key) for key in ('rate', 'cpu_us')} for name in runs}
    table = {**stamp(arguments), 'versions': {'ouzel': peers.Ouzel.version()},
             'offered_rate': arguments.rate, 'names': arguments.names,
             'echo_batch': arguments.batch, 'median': medians,
             'ratio': [statistics.median(ratios), min(ratios), max(ratios)]}
    return {**table, 'ratios': ratios, 'ratio_median': statistics.median(ratios), 'runs': runs,
            'tables': {'floor': table}}


def print_floor(report):
    echo, ouzel = report['median']['echo'], report['median']['ouzel']
    print(f'{"median":>5} {echo["rate"]:>9,.0f} {echo["cpu_us"]:>8.2f}  {ouzel["rate"]:>9,.0f} '
          f'{ouzel["cpu_us"]:>8.2f}  {report["ratio_median"]:>10.3f}')
    print(f'ouzel answers at {report["ratio_median"]:.2f} of the echo\'s rate '
          f'(lowest {min(report["ratios"]):.2f}, highest {max(report["ratios"]):.2f}) and takes '
          f'{ouzel["cpu_us"] / echo["cpu_us"]:.2f} times its CPU per reply')


def section(tables):
    """The page's part."""
    data = tables['floor']
    median, low, high = data['ratio']
    lines = ''.join(f'| {name} | {row["rate"]:,.0f} | {row["cpu_us"]:.2f} |\n'
                    for name, row in data['median'].items())
    return (f'@floor, {data["offered_rate"]:,} queries a second offered, {data["names"]:,} '
            f'names.\n\nAnswers from memory, and the simplest UDP echo that the socket interface '
            f'allows (recvmmsg and sendmmsg, {data["echo_batch"]} datagrams a call), which know '
            'nothing of each other and take turns. Medians.\n\n'
            f'| | answers a second | CPU us an answer |\n|-|-|-|\n{lines}\n'
            f'ouzel answers at {median:.2f} of the rate of the echo ({low:.2f} to {high:.2f} in '
            'the rounds).\n')


def estimate_s(options):
    return 6 + options.rounds * 2 * (options.seconds + 2.5) + 90 * options.instructions
