# SPDX-License-Identifier: MIT
"""What the XDP plane does to all else: what a query costs that goes up to the sockets, and how
misses and TCP fare beside a flood of hits. All work of the server's side is done on one processor,
that of the cable's end too."""

import contextlib
import itertools
import os
import re
import statistics
import subprocess
import types

from bench.lab import frames, peers, plane
from bench.lab.cables import (UPSTREAM, Cleaner, Server, Trouble, cable_check, results_write,
                              round_tell, stage, stamp, write_files)
from bench.lab.closed import warm
from bench.lab.servers import FIRST_PORT, pinned
from bench.load import zipf

TITLE = 'Beside answers in the driver'
NAMES = 1000
BELOW = 50000  # queries a second that sockets answer without loss
ASKED = 5000  # queries a second of a client, beside the flood
HOSTS = 'local:\n  hosts: [{path}]\n'
# A limit that nobody reaches, for which the plane stands aside.
LIMITS = 'limits:\n  client-qps: 1000000\n'


class Limits(peers.OwnCable):
    """Without a plane, and with limits."""
    name, limits = 'plain, limits', LIMITS


class Aside(peers.Xdp):
    """Its plane stands aside."""
    name, limits = 'plane, limits', LIMITS


class Local(peers.OwnCable):
    """Without a plane; local records."""
    name = 'plain, local records'


class LocalXdp(peers.Xdp):
    """With a plane, which looks for the answer in the cache in vain."""
    name = 'plane, local records'


PASSED = ((Limits, Aside), (Local, LocalXdp))


def started(cleaner, spaces, directory, options, kinds):
    """Servers of these kinds with all names learned: [(peer, port)]."""
    config, questions = write_files(directory, NAMES)
    Server(cleaner, directory, spaces.command(
        spaces.server, 'taskset', '-c', str(options.generator_cpu), 'nsd', '-d', '-c', config))
    hosts = os.path.join(directory, 'hosts')
    with open(hosts, 'w', encoding='ascii') as file:
        file.writelines(f'192.0.2.1 n{i}.{zipf.ZONE}\n' for i in range(NAMES))
    servers = []
    for number, kind in enumerate(kinds):
        peer = kind(directory, None, pinned(spaces, options), NAMES)
        peer.port = FIRST_PORT + number
        if 'local' in kind.name:
            peer.limits = HOSTS.format(path=hosts)
        cleaner.add(peer.stop)
        plane.cable_lay(spaces, peer, number)
        peer.launch([UPSTREAM])
        plane.launched(spaces, peer, options.server_cpu)
        with plane.receiving(cleaner, spaces, directory, peer):
            warm(peer, (peer.address, peer.port), questions, NAMES,
                 spaces.command(spaces.generator))
        servers.append((peer.name, peer, peer.port))
    frames.prepare(spaces, servers, options, first=False)
    return questions, servers


def passed_rounds(spaces, questions, servers, options):
    """What a query costs the server's processor, below what sockets can answer."""
    order = types.SimpleNamespace(**{**vars(options), 'rate': BELOW})
    runs = {name: [] for name, _, _ in servers}
    for number in range(options.rounds):
        round_tell(options, number, len(servers) * (options.seconds + 1))
        for name, peer, port in servers[::1 if number % 2 else -1]:
            got = frames.shoot(spaces, peer, port, questions, order)
            runs[name].append(got)
            print(f'  {name:<22} {got["rate"]:>9,.0f} of {got["sent"] / options.seconds:>9,.0f} '
                  f'a second {got["cpu_us"]:>6.2f} us', flush=True)
    return runs


def passed(cleaner, spaces, directory, options):
    """What goes up: CPU for an answer, the interface's work and the server's, with and without the
    plane."""
    kinds = [kind for pair in PASSED for kind in pair]
    runs = passed_rounds(spaces, *started(cleaner, spaces, directory, options, kinds), options)
    for plain, with_plane in PASSED:
        ratios = [a['cpu_us'] / b['cpu_us']
                  for a, b in zip(runs[plain.name], runs[with_plane.name])]
        costs = [statistics.median(own['cpu_us'] for own in runs[kind.name])
                 for kind in (plain, with_plane)]
        print(f'{with_plane.name}: {costs[1]:.2f} us, {plain.name}: {costs[0]:.2f} us; its rate is '
              f'{statistics.median(ratios):.3f} of that, round by round')
    return runs


def dnsperf(spaces, peer, port, questions, options, *words):
    """Starts a client that asks at a fixed rate."""
    return subprocess.Popen(
        spaces.command(spaces.generator, 'taskset', '-c', str(options.generator_cpu), 'dnsperf',
                       '-s', peer.address, '-p', str(port), '-d', questions, '-Q', str(ASKED),
                       '-l', str(options.seconds), '-q', '200', '-t', '2', *words),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def read(client):
    """What that client saw: the share that was answered, and the mean time of an answer."""
    text, _ = client.communicate(timeout=120)
    sent, completed, mean = (re.search(pattern, text) for pattern in (
        r'Queries sent:\s+(\d+)', r'Queries completed:\s+(\d+)',
        r'Average Latency \(s\):\s+([\d.]+)'))
    if not sent or not completed:
        raise Trouble(f'dnsperf said:\n{text}')
    return {'sent': int(sent[1]), 'answered': int(completed[1]) / int(sent[1]),
            'mean_ms': float(mean[1]) * 1e3 if mean else None}


FRESH = itertools.count()  # of the files of new names
WAYS = {'misses': [], 'TCP': ['-m', 'tcp', '-c', '10']}


def beside_one(stand, peer, port, questions, way, options, flood):
    """One run of a client, with or without the flood."""
    _, spaces, directory = stand
    asked = questions
    if way == 'misses':
        asked = os.path.join(directory, 'fresh')
        zipf.fresh_write(asked, next(FRESH), ASKED * options.seconds)
    with contextlib.nullcontext() if flood else plane.receiving(*stand, peer):
        hits = flood and subprocess.Popen(frames.command(spaces, peer, port, questions, options),
                                          stdout=subprocess.PIPE, text=True)
        got = read(dnsperf(spaces, peer, port, asked, options, *WAYS[way]))
        if hits:
            got['flood'] = frames.result(hits.communicate(timeout=60)[0])['rate']
    return got


def beside(cleaner, spaces, directory, options):
    """A client that asks what is not cached, or over TCP, beside a flood of hits."""
    questions, servers = started(cleaner, spaces, directory, options, (peers.Plain, peers.Xdp))
    runs = {}
    for number in range(options.rounds):
        round_tell(options, number, 4 * len(servers) * (options.seconds + 2))
        for way in WAYS:
            for name, peer, port in servers:
                for flood in (False, True):
                    got = beside_one((cleaner, spaces, directory), peer, port, questions, way,
                                     options, flood)
                    what = f'{name}, {way}' + (', flood' if flood else '')
                    runs.setdefault(what, []).append(got)
                    print(f'  {what:<32} {got["answered"]:>7.2%} answered, mean '
                          f'{got["mean_ms"] or 0:>8.2f} ms' +
                          (f', {got["flood"]:>9,.0f} hits a second' if flood else ''), flush=True)
    for what, own in runs.items():
        hits = statistics.median(run.get('flood', 0) for run in own)
        print(f'{what:<32} {statistics.median(run["answered"] for run in own):>7.2%} answered, '
              f'mean {statistics.median(run["mean_ms"] or 0 for run in own):>8.2f} ms, '
              f'{hits:>9,.0f} hits a second')
    return runs


EXPERIMENTS = {experiment.__name__: experiment for experiment in (passed, beside)}


def measure(options):
    cable_check('driver', 'ethtool')
    report = {}
    for name in options.only or list(EXPERIMENTS):
        if name not in EXPERIMENTS:
            raise Trouble(f"there is no experiment '{name}'; there are: {', '.join(EXPERIMENTS)}")
        print(f'{name}: {" ".join(EXPERIMENTS[name].__doc__.split())}')
        cleaner = Cleaner()
        try:
            report[name] = EXPERIMENTS[name](cleaner, *reversed(stage(cleaner)), options)
        finally:
            cleaner.clean()
    results_write('driver', {**stamp(options), **report})


def estimate_s(options):
    return 20 + options.rounds * (options.seconds + 1) * (4 + 8)
