# SPDX-License-Identifier: MIT
"""User-space instructions for an answer from memory, counted by callgrind: they repeat on a noisy
machine, where times do not."""

import os
import re
import statistics
import subprocess
import tempfile

from cables import BUILD, ZONE, Trouble, run, tools_check
from peers import harness

HIT_PROGRAM = os.path.join(BUILD, 'bench', 'hit_instructions')
STEP_PROGRAM = os.path.join(BUILD, 'bench', 'hit_steps')
STEPS = {'parse': 'reading the query', 'key': 'its key and hash', 'lookup': 'finding the answer',
         'patch': "making the answer's copy the client's"}


class Callgrind:
    """A command under callgrind. Valgrind takes the wait in io_uring_enter for work and lets no
    other thread run meanwhile, so a server with its signals in another thread cannot be ended by
    one: what was counted is fetched while it runs, and it is killed."""

    def __init__(self, directory, command):
        self.out = os.path.join(directory, 'callgrind')
        self.log = os.path.join(directory, 'log')
        self.dumps = 0
        with open(self.log, 'wb') as file:
            self.child = subprocess.Popen(
                ['valgrind', '--tool=callgrind', f'--callgrind-out-file={self.out}', *command],
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

    def count(self, work, *arguments):
        """What all of its threads take while `work` is done."""
        pid = str(self.child.pid)
        run('callgrind_control', '-z', pid)
        work(*arguments)
        run('callgrind_control', '-d', pid)
        self.dumps += 1
        return self.total(f'{self.out}.{self.dumps}')


def instructions_of_server(ouzel, count, names=1000):
    """The whole program on loopback, asked `count` times and then twice as often: the difference,
    so that what the measuring itself costs falls out."""
    queries = [harness.plain_query(f'n{i}.{ZONE}') for i in range(names)]
    server, stats = (('127.0.0.1', harness.free_port()) for _ in range(2))
    upstream = harness.FakeUpstream()

    def load(total):
        replies = harness.ask_many(server, queries * (total // names), window=32, timeout=20)
        if None in replies:
            raise Trouble('ouzel lost queries under callgrind')
    try:
        with tempfile.TemporaryDirectory(prefix='ouzel-bench-') as directory, Callgrind(
                directory, [ouzel, 'serve', '--workers', '1', '--listen', harness.join(*server),
                            '--stats', harness.join(*stats), '--upstream', str(upstream)]) as ran:
            if not harness.eventually(lambda: ran.child.poll() is not None or
                                      harness.ask_raw(server, b'\0' * 12, 0.3), 60):
                raise Trouble(f'ouzel does not get ready under callgrind:\n{ran.words()}')
            load(2 * names)
            return statistics.median(
                (ran.count(load, 2 * count) - ran.count(load, count)) / count for _ in range(5))
    finally:
        upstream.stop()


def instructions_of_hits(count, *who):
    """The same for core and cache alone: a program that answers from memory in-process, a thousand
    times a round; or does one of the steps as often."""
    program = STEP_PROGRAM if who and who[0] in STEPS else HIT_PROGRAM
    rounds = max(count // 1000, 1)
    totals = []
    for times in (rounds, 2 * rounds):
        with tempfile.TemporaryDirectory(prefix='ouzel-bench-') as directory, Callgrind(
                directory, [program, str(times), *who]) as ran:
            totals.append(ran.finish())
    return (totals[1] - totals[0]) / (rounds * 1000)


def measure(arguments):
    report = {}
    tools_check('valgrind')
    if os.path.exists(HIT_PROGRAM):
        report['core'] = instructions_of_hits(arguments.count)
        print(f'instructions for an answer from memory, core alone: {report["core"]:,.0f}')
        for who, what in (('clients', 'from a thousand clients'),
                          ('limits', 'the same with 10,000 prefixes and quotas'),
                          ('answers', 'the same with a limit to equal answers')):
            report[who] = instructions_of_hits(arguments.count, who)
            print(f'  {what}: {report[who]:,.0f} ({report["clients"] / report[who]:.3f})')
        for who, what in STEPS.items():
            report[who] = instructions_of_hits(arguments.count, who)
            print(f'  {who}, {what}: {report[who]:,.0f}')
    try:
        report['program'] = instructions_of_server(arguments.ouzel, arguments.count)
        print('instructions for an answer from memory, whole program in user space: '
              f'{report["program"]:,.0f}')
    except Trouble as fault:
        print(f'bench: the whole program could not be counted: {fault}')
    return report
