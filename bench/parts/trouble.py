# SPDX-License-Identifier: MIT
"""What a client sees of a forwarder whose upstreams lose packets, die, return and lie: experiments
with real sockets on loopback, the same for ouzel and others. Times are seconds on the wall clock as
the client sees them; the upstream is a small one in Python that takes about a third of a
millisecond itself."""

import collections
import random
import shutil
import statistics
import tempfile
import threading
import time

from bench.lab import peers
from bench.lab.cables import results_write
from bench.lab.peers import harness

PATIENCE = 7.0  # seconds that a client waits


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def milliseconds(value):
    return 'never' if value is None else f'{value * 1000:,.1f}'


def clock(peer, name):
    """Asks and returns (seconds, rcode); seconds are None where no answer came in time."""
    start = time.monotonic()
    data = harness.ask_raw((peer.address, peer.port), harness.plain_query(name, ident=7), PATIENCE)
    return (None, None) if data is None else (time.monotonic() - start, data[3] & 15)


def warm(peer, count=60):
    for number in range(count):
        clock(peer, f'warm{number}.example')


class Experiment:
    """One of them: `upstreams` makes what the forwarder is put before, `run` returns a row."""

    name = title = None
    columns = ()

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.servers = []

    def server(self, script=None, **options):
        server = harness.FakeUpstream(script, tcp=True, **options)
        self.servers.append(server)
        return server

    def stop(self):
        for server in self.servers:
            server.stop()

    def upstreams(self):
        raise NotImplementedError

    def run(self, peer):
        raise NotImplementedError


class Lost(Experiment):
    name, title = 'lost', 'the first packet of a question is lost, on a warm path'
    columns = ('median ms', 'slowest ms')

    def upstreams(self):
        seen = set()

        def script(asked):
            if asked.name.startswith('lost') and asked.name not in seen and not asked.tcp:
                seen.add(asked.name)
            else:
                asked.send(asked.reply())
        return [self.server(script)]

    def run(self, peer):
        warm(peer)
        times = []
        for number in range(40):
            times.append(clock(peer, f'lost{number}.example')[0])
            if times.count(None) == 2:  # it never resends; no need to wait for all
                return [None, None]
            time.sleep(0.05)
        worst = None if None in times else max(times)
        return [statistics.median(t if t is not None else PATIENCE for t in times), worst]


class Loss(Experiment):
    name, title = 'loss', '19 % of exchanges are lost, 300 questions one after the other'
    columns = ('answered', 'p99 ms', 'slowest ms', 'extra sends %')

    def upstreams(self):
        def script(asked):
            if asked.tcp or self.random.random() >= 0.19:
                asked.send(asked.reply())
        return [self.server(script)]

    def run(self, peer):
        times = []
        for number in range(300):
            seconds, rcode = clock(peer, f'n{number}.example')
            times.append(seconds if rcode == 0 else None)
            if times.count(None) == 5:
                break
        good = [t for t in times if t is not None]
        # Some ask names of their own, to see whether the upstream lives.
        sends = sum(asked.name.endswith('.example') for asked in self.servers[0].asked)
        extra = 100 * (sends / len(times) - 1)
        return [f'{len(good)} of {len(times)}', None if len(good) < len(times) * 0.99 else
                quantile([t if t is not None else PATIENCE for t in times], 0.99),
                None if None in times else max(good), f'{extra:.0f}']


class DeadFirst(Experiment):
    name, title = 'dead', 'two upstreams, the first dead from the start, 300 questions'
    columns = ('median ms', 'p99 ms', 'slowest ms')

    def upstreams(self):
        return [self.server(lambda asked: None), self.server()]

    def run(self, peer):
        times = [clock(peer, f'n{number}.example')[0] for number in range(300)]
        times = [t if t is not None else PATIENCE for t in times]
        return [statistics.median(times), quantile(times, 0.99), max(times)]


class Closed(DeadFirst):
    name, title = 'closed', 'two upstreams, the port of the first closed, 300 questions'

    def upstreams(self):
        address = harness.fresh_address()
        server = self.server()
        closed = collections.namedtuple('Closed', 'address port')(address, 5399)
        return [closed, server]


class AllDead(Experiment):
    name, title = 'all-dead', 'the only upstream dead, 200 questions at once'
    columns = ('slowest ms', 'SERVFAIL', 'most sends of one')

    def upstreams(self):
        return [self.server(lambda asked: None)]

    def run(self, peer):
        results = [None] * 200

        def ask(number):
            results[number] = clock(peer, f'n{number}.example')
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sends = collections.Counter(asked.name for asked in self.servers[0].asked
                                    if asked.name.endswith('.example') and not asked.tcp)
        times = [seconds for seconds, _ in results]
        return [None if None in times else max(times),
                str(sum(rcode == 2 for _, rcode in results)), str(max(sends.values(), default=0))]


class Outage(Experiment):
    name, title = 'outage', 'an outage of 5 s under a question every 20 ms'
    columns = ('first answer after its end ms', 'sends in the outage for each question')

    def upstreams(self):
        self.down = False
        self.sends = 0

        def script(asked):
            if self.down:
                self.sends += 1
            else:
                asked.send(asked.reply())
        return [self.server(script)]

    def run(self, peer):
        warm(peer)
        answered = []

        def ask(number):
            _, rcode = clock(peer, f'n{number}.example')
            if rcode == 0:
                answered.append(time.monotonic())
        threads, number = [], 0
        start = time.monotonic()
        self.down = True
        asked_while_down = 0
        while time.monotonic() - start < 8:
            if self.down and time.monotonic() - start >= 5:
                self.down = False
                end = time.monotonic()
                asked_while_down = number
            threads.append(threading.Thread(target=ask, args=(number,)))
            threads[-1].start()
            number += 1
            time.sleep(0.02)
        for thread in threads:
            thread.join()
        after = [moment - end for moment in answered if moment >= end]
        return [min(after) if after else None, f'{self.sends / asked_while_down:.2f}']


class Late(Experiment):
    name, title = 'late', 'an upstream that was fast takes 600 ms'
    columns = ('median ms', 'sends of one')

    def upstreams(self):
        return [self.server(lambda asked: asked.send(
            asked.reply(), delay=0.6 if asked.name.startswith('late') else 0))]

    def run(self, peer):
        warm(peer, 100)
        times = [clock(peer, f'late{number}.example')[0] for number in range(5)]
        sends = sum(asked.name.startswith('late') for asked in self.servers[0].asked) / 5
        return [statistics.median(t if t is not None else PATIENCE for t in times),
                f'{sends:.1f}']


class Equal(Experiment):
    name, title = 'equal', '200 equal questions at once from 200 ports, the upstream takes 50 ms'
    columns = ('upstream queries', 'answered')

    def upstreams(self):
        return [self.server(lambda asked: asked.send(asked.reply(), delay=0.05))]

    def run(self, peer):
        warm(peer)
        sockets = [harness.client_socket((peer.address, peer.port)) for _ in range(200)]
        for sock in sockets:
            sock.send(harness.plain_query('same.example'))
        answered = 0
        for sock in sockets:
            sock.settimeout(PATIENCE)
            try:
                answered += len(sock.recv(512)) > 12
            except OSError:
                pass
            sock.close()
        sends = sum(asked.name.startswith('same') for asked in self.servers[0].asked)
        return [str(sends), str(answered)]


EXPERIMENTS = (Lost, Loss, DeadFirst, Closed, AllDead, Outage, Late, Equal)


def one(kind, peer_class, seed):
    directory = tempfile.mkdtemp(prefix='ouzel-bench-')
    experiment = kind(seed)
    peer = peer_class(directory)
    try:
        peer.start([(server.address, server.port) for server in experiment.upstreams()])
        return experiment.run(peer)
    finally:
        peer.stop()
        experiment.stop()
        shutil.rmtree(directory, ignore_errors=True)


def cell(value):
    return value if isinstance(value, str) else milliseconds(value)


def measure(options):
    """Runs all experiments, the peers taking turns, and prints a table for each."""
    kinds = [kind for kind in EXPERIMENTS if not options.only or kind.name in options.only]
    report = {}
    for kind in kinds:
        print(f'\n{kind.title}')
        print('  '.join([f'{"":10}', *(f'{column:>22}' for column in kind.columns)]))
        rows = report[kind.name] = {}
        for number in range(options.rounds):
            for peer in peers.chosen(options.peers):
                row = one(kind, peer, options.seed + number)
                rows.setdefault(peer.name, []).append(row)
                print('  '.join([f'{peer.name:10}', *(f'{cell(value):>22}' for value in row)]),
                      flush=True)
    results_write('trouble', report)
