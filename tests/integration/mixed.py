# SPDX-License-Identifier: MIT
"""The mixed run: every kind of query at once from many clients, each reply held octet by octet
against what the same question gets alone, and each datagram that an upstream receives accounted
for. Clients and upstream are tests/mixed; here ouzel is started for them and looked at in the end.
Used by test_mixed.py and scripts/mixed."""

import json
import os
import queue
import signal
import subprocess
import threading

import harness

# So much may a busy machine lose, or fail for what it has lost upstream or has no connection for.
LOST_SHARE = {'udp': 0.1, 'tcp': 0.01}
FAILED_SHARE = 0.05
CLIENTS = 64  # addresses that clients have, allowed and refused ones each
ORDER_SECONDS = 0.2  # between two orders of the operator

LIMITS = {'client-qps': 1000, 'burst': '100ms', 'same-answers': 200}


def generator_path():
    """tests/mixed, of the build that the program is of, or of ours."""
    for directory in (os.path.dirname(harness.BINARY), os.path.join(harness.ROOT, 'build')):
        path = os.path.join(directory, 'tests', 'mixed', 'mixed')
        if os.access(path, os.X_OK):
            return path
    raise RuntimeError('there is no tests/mixed/mixed: scripts/build --all makes it')


def address_block():
    """So many addresses in a row, which no test of this run has had, as texts."""
    while True:
        block = [harness.fresh_address() for _ in range(CLIENTS)]
        first, last = (tuple(map(int, address.split('.'))) for address in (block[0], block[-1]))
        if first[:3] == last[:3] and last[3] - first[3] == CLIENTS - 1:
            return block


class Generator:
    """The clients and the upstream, in a process of their own."""

    def __init__(self, seed):
        self.allowed, self.refused = address_block(), address_block()
        self.child = subprocess.Popen(
            [generator_path(), str(seed), harness.fresh_address(), self.allowed[0],
             self.refused[0]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, bufsize=1)
        self.said = []
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.upstream = self._line(10).strip()

    def _read(self):
        for line in self.child.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def _line(self, seconds):
        try:
            line = self.lines.get(timeout=seconds * harness.PATIENCE)
        except queue.Empty:
            raise RuntimeError('the generator of the mixed run says nothing') from None
        if line is None:
            raise RuntimeError(f'the generator of the mixed run has ended; it said {self.said}')
        return line

    def order(self, seconds, *words):
        """Gives an order that takes up to so many seconds, and returns what has come of it; what
        is wrong stands in `said` then."""
        self.child.stdin.write(' '.join(map(str, words)) + '\n')
        self.said = []
        while True:
            line = self._line(seconds)
            if line.startswith('{'):
                return json.loads(line)
            self.said.append(line.rstrip())

    def stop(self):
        """It must end well, under its own sanitizer where it has one."""
        self.child.stdin.close()
        status = self.child.wait(20 * harness.PATIENCE)
        self.reader.join(10)
        self.child.stdout.close()
        if status != 0:
            raise RuntimeError(f'the generator of the mixed run ended with {status}: {self.said}')


class Mixed:
    """A generator that knows the right replies, and servers under its load."""

    def __init__(self, directory, seed):
        self.directory = directory
        self.block, self.hosts = (os.path.join(directory, name) for name in ('blocked', 'hosts'))
        with open(self.block, 'w', encoding='ascii') as file:
            file.write('blocked.mixed.example\n')
        with open(self.hosts, 'w', encoding='ascii') as file:
            file.write('192.0.2.7 here.mixed.example\n')
        self.generator = Generator(seed)

    def settings(self, **more):
        settings = {
            'cache': {'rotate': False}, 'local': {'block': [self.block], 'hosts': [self.hosts]},
            'access': {'refuse': self.generator.refused}}
        for section, content in more.items():
            settings[section] = {**settings.get(section, {}), **content}
        return settings

    def ouzel(self, listen=None, workers=1, **more):
        return harness.Ouzel(self.directory, [self.generator.upstream], workers=workers,
                             settings=self.settings(**more), listen=listen)

    def learn(self):
        """Asks a quiet server alone. Returns what was wrong with that."""
        ouzel = self.ouzel()
        try:
            counts = self.generator.order(60, 'learn', harness.join(*ouzel.server))
        finally:
            status = ouzel.terminate()
        faults = list(self.generator.said)
        if counts['wrong'] and not faults:
            faults.append(f'{counts["wrong"]} wrong replies')
        return faults + ([] if status == 0 else [f'ouzel ended with {status}: {ouzel.output()}'])

    def run(self, seconds, workers, wildcard=False, limits=False, orders=False, settings=None):
        """Puts a server under the load. Returns counts, and sentences about what was wrong."""
        more = {**(settings or {}), **({'limits': LIMITS} if limits else {})}
        if orders:
            more['control'] = {'socket': os.path.join(self.directory, 'control')}
        listen, servers = self.listeners(wildcard)
        ouzel = self.ouzel(listen, workers, **more)
        try:
            return self.watch(ouzel, seconds, limits, orders, servers)
        finally:
            ouzel.kill()

    @staticmethod
    def listeners(wildcard):
        """(what to listen on, the addresses that are asked)"""
        address = '0.0.0.0' if wildcard else harness.fresh_address()
        listen = [(address, harness.free_port(address))]
        asked = [harness.fresh_address() for _ in range(3)] if wildcard else [address]
        servers = [harness.join(one, listen[0][1]) for one in asked]
        if harness.has_ipv6():
            listen.append(('::1', harness.free_port('::1')))
            servers.append(harness.join(*listen[1]))
        return listen, servers

    def watch(self, ouzel, seconds, limits, orders, servers):
        at_start = own_descriptors(ouzel)
        operator = Operator(ouzel, os.path.join(self.directory, 'control')) if orders else None
        counts = self.generator.order(seconds + 30, 'run', seconds, int(limits), *servers)
        faults = list(self.generator.said) + (operator.stop() if operator else [])
        if counts['wrong'] and not faults:
            faults.append(f'{counts["wrong"]} were wrong')
        if not ouzel.running():
            return counts, faults + [f'ouzel has ended: {ouzel.output()[-6000:]}']
        faults += shares(counts, limits)
        if not harness.eventually(lambda: ouzel.total('ouzel_tcp_connections_open') == 0):
            faults.append('connections of clients stay open')
        if not ouzel.quiet():
            faults.append('questions stay pending')
        rows = ouzel.metrics()
        counts['drops'] = {dict(labels)['reason']: int(value) for (name, labels), value in
                           rows.items() if name == 'ouzel_drops_total' and value}
        if harness.imbalance(rows):
            faults.append(f'the counters do not balance: {harness.imbalance(rows)}')
        if not harness.eventually(lambda: own_descriptors(ouzel) <= at_start):
            faults.append(f'descriptors stay open: {own_descriptors(ouzel)} of {at_start}')
        status = ouzel.terminate()
        if status != 0 or 'Sanitizer' in ouzel.output():
            faults.append(f'ouzel ended with {status}: {ouzel.output()[-6000:]}')
        return counts, faults

    def stop(self):
        self.generator.stop()


def own_descriptors(ouzel):
    """Those open that are neither source ports nor connections to upstreams, which are kept."""
    rows = ouzel.metrics()
    return ouzel.descriptors() - sum(
        int(harness.metric_sum(rows, name))
        for name in ('ouzel_source_ports_open', 'ouzel_upstream_connections_open'))


def shares(counts, limits):
    """Sentences about what is lacking."""
    faults = []
    for transport in ('udp', 'tcp'):
        row = counts[transport]
        if row['right'] < 100:
            faults.append(f'hardly any right answer over {transport}: {row}')
        if row['lost'] > row['due'] * LOST_SHARE[transport] and not limits:
            faults.append(f'too many lost over {transport}: {row}')
        if row['failed'] > row['due'] * FAILED_SHARE:
            faults.append(f'too many failed over {transport}: {row} {counts["lacking"]}')
    return faults


class Operator:
    """Reloads, flushes and looks at a server all the time."""

    def __init__(self, ouzel, control):
        self.ouzel, self.control, self.faults = ouzel, control, []
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        number = 0
        while not self.done.wait(ORDER_SECONDS) and self.ouzel.running():
            number += 1
            if number % 3 == 0:
                self.ouzel.child.send_signal(signal.SIGHUP)
            elif number % 3 == 1:
                self._look()
            else:
                self._order('flush', *(['--all'] if number % 2 else ['mixed.example', '--subtree']))

    def _look(self):
        if self.ouzel.http('/metrics')[0] != 200 and self.ouzel.running():
            self.faults.append('the metrics cannot be had')

    def _order(self, *words):
        done = subprocess.run([harness.BINARY, 'ctl', '--control', self.control, *words],
                              capture_output=True, text=True, check=False,
                              timeout=20 * harness.PATIENCE)
        if done.returncode != 0 and self.ouzel.running():
            self.faults.append(f'ctl {words}: {done.stdout}{done.stderr}')

    def stop(self):
        self.done.set()
        self.thread.join(30 * harness.PATIENCE)
        return self.faults
