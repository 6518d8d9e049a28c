# SPDX-License-Identifier: MIT
"""ouzel alone on loopback, with all that it is asked in memory."""

import os

from bench.lab import process
from bench.lab.cables import Trouble
from bench.lab.closed import ask
from bench.lab.peers import harness
from bench.load.zipf import ZONE

FEW = 200  # names, all of them in memory


class Alone:
    """ouzel with one worker on loopback before an upstream that knows everything, its few names in
    memory already."""

    def __init__(self, directory, settings=None):
        self.directory = directory
        self.upstream = harness.FakeUpstream()
        self.ouzel = harness.Ouzel(directory, [self.upstream], settings=settings)
        self.server = self.ouzel.server
        self.questions = os.path.join(directory, 'few')
        with open(self.questions, 'w', encoding='ascii') as file:
            file.writelines(f'n{i}.{ZONE} A\n' for i in range(FEW))
        queries = [harness.plain_query(f'n{i}.{ZONE}') for i in range(FEW)]
        if None in harness.ask_many(self.server, queries):
            raise Trouble('ouzel does not get its answers')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ouzel.terminate()
        self.upstream.stop()

    def cpu_us(self):
        return process.cpu_us(self.ouzel.pid)

    def resident_kib(self):
        return process.resident(self.ouzel.pid) // 1024

    def dnsperf(self, *words, seconds):
        before = self.cpu_us()
        got = ask(self.server, self.questions, '-l', str(seconds), *words, timeout_s=seconds + 60)
        used = self.cpu_us() - before
        return {**got, 'cpu_us': used / max(got['completed'], 1)}
