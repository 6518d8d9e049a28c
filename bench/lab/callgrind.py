# SPDX-License-Identifier: MIT
"""Programs under callgrind, and ouzel among them."""

import contextlib
import itertools
import os
import re
import statistics
import subprocess
import tempfile

from bench.lab import closed
from bench.lab.cables import Trouble, run
from bench.lab.peers import harness
from bench.load.zipf import ZONE

NAMES = 1000  # that the program has learned
FLIGHT = 100  # known questions in flight, so that many are in a batch, as in that of a busy server


class Callgrind:
    """A command under callgrind. Valgrind takes the wait in io_uring_enter for work and lets no
    other thread run meanwhile, so a server with its signals in another thread cannot be ended by
    one: what was counted is fetched while it runs, and it is killed."""

    def __init__(self, directory, command, options=()):
        self.out = os.path.join(directory, 'callgrind')
        self.log = os.path.join(directory, 'log')
        self.dumps = 0
        with open(self.log, 'wb') as file:
            self.child = subprocess.Popen(
                ['valgrind', '--tool=callgrind', f'--callgrind-out-file={self.out}', *options,
                 *command],
                stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait(10)

    def words(self):
        with open(self.log, encoding='utf-8', errors='replace') as file:
            return file.read()[-2000:]

    def total(self, path):
        with open(path, encoding='utf-8', errors='replace') as file:
            totals = re.findall(r'^(?:totals|summary): (\d+)', file.read(), re.M)
        if not totals:
            raise Trouble(f'callgrind counted nothing:\n{self.words()}')
        return int(totals[-1])

    def finish(self):
        """Waits for the command's own end; returns all it took."""
        if self.child.wait(300) != 0:
            raise Trouble(f'it fails under callgrind:\n{self.words()}')
        return self.total(self.out)

    def dump(self, work, *arguments):
        """Does `work`; returns the path of what callgrind has written of all threads meanwhile."""
        pid = str(self.child.pid)
        run('callgrind_control', '-z', pid)
        work(*arguments)
        run('callgrind_control', '-d', pid)
        self.dumps += 1
        return f'{self.out}.{self.dumps}'

    def count(self, work, *arguments):
        """What all of its threads take while `work` is done."""
        return self.total(self.dump(work, *arguments))


class Program:
    """The whole program under callgrind on loopback, before an upstream that knows all names."""

    def __init__(self, ran, server, directory):
        self.ran, self.server = ran, server
        self.known = os.path.join(directory, 'questions')
        with open(self.known, 'w', encoding='ascii') as file:  # of 30 octets on the wire
            file.writelines(f'n{i:03}.thirtieth.{ZONE} A\n' for i in range(NAMES))
        self.fresh = (harness.plain_query(f'f{i}.{ZONE}') for i in itertools.count())

    def ask_known(self, total):
        got = closed.ask(self.server, self.known, '-n', str(total // NAMES), '-q', str(FLIGHT),
                         '-c', '1', '-t', '20')
        if got['good'] < got['sent']:
            raise Trouble('ouzel lost queries under callgrind')

    def ask_fresh(self, total):
        """Names never asked before."""
        queries = [*itertools.islice(self.fresh, total)]
        if None in harness.ask_many(self.server, queries, window=32, timeout=20):
            raise Trouble('ouzel lost queries under callgrind')

    def difference(self, ask, count):
        """Asks `count` times and then twice as often: the difference, so that what the measuring
        itself costs falls out."""
        return statistics.median((self.ran.count(ask, 2 * count) - self.ran.count(ask, count)) /
                                 count for _ in range(5))


@contextlib.contextmanager
def program_start(ouzel, *options):
    """A Program that has learned all names, for as long as it is wanted."""
    server, stats = (('127.0.0.1', harness.free_port()) for _ in range(2))
    upstream = harness.FakeUpstream()
    try:
        with tempfile.TemporaryDirectory(prefix='ouzel-bench-') as directory, Callgrind(
                directory, [ouzel, 'serve', '--workers', '1', '--listen', harness.join(*server),
                            '--stats', harness.join(*stats), '--upstream', str(upstream)],
                options) as ran:
            if not harness.eventually(lambda: ran.child.poll() is not None or
                                      harness.ask_raw(server, b'\0' * 12, 0.3), 60):
                raise Trouble(f'ouzel does not get ready under callgrind:\n{ran.words()}')
            program = Program(ran, server, directory)
            program.ask_known(2 * NAMES)
            program.ask_fresh(NAMES)
            yield program
    finally:
        upstream.stop()
