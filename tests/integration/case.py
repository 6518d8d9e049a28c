# SPDX-License-Identifier: MIT
"""The base of all integration tests: a directory of their own, and servers that end with them."""

import re
import shutil
import tempfile
import unittest

import dns.rcode

import harness


SANITIZER = re.compile(r'ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:')


def finish(process):
    """Ends a process; ouzel must end well, and no sanitizer may have found anything."""
    was_running = process.running()
    status = process.terminate()
    if not isinstance(process, harness.Ouzel):
        return
    if was_running and status != 0:
        raise AssertionError(f'ouzel ended with {status} and said:\n{process.output()}')
    if SANITIZER.search(process.output()):
        raise AssertionError(f'a sanitizer found something:\n{process.output()}')


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix='ouzel-test-')
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.processes = []
        self.addCleanup(self.show_logs)

    def show_logs(self):
        """What the servers said, where the test has failed."""
        outcome = self._outcome
        failed = outcome and not getattr(outcome, 'success', True)
        for process in self.processes if failed else ():
            text = process.output().strip()
            if text:
                print(f'# {type(process).__name__} said:')
                for line in text.splitlines()[-20:]:
                    print(f'#   {line}')

    def keep(self, process):
        self.processes.append(process)
        self.addCleanup(finish, process)
        return process

    def upstream(self, script=None, **options):
        upstream = harness.FakeUpstream(script, **options)
        self.addCleanup(upstream.stop)
        return upstream

    def nsd(self, zones=None):
        return self.keep(harness.Nsd(self.directory,
                                     zones or {'ouzel.example': harness.SAMPLE_ZONE}))

    def ouzel(self, *upstreams, **options):
        process = harness.Ouzel(self.directory, upstreams, **options)
        return self.keep(process)

    def assert_status(self, reply, status):
        self.assertIsNotNone(reply, 'no reply')
        self.assertEqual(dns.rcode.to_text(reply.rcode()), status)

    def assert_balance(self, ouzel):
        self.assertTrue(ouzel.quiet(), 'questions stay pending')
        rows = ouzel.metrics()
        self.assertEqual(harness.imbalance(rows), 0, f'the counters do not balance: {rows}')


class SharedCase(Case):
    """Tests of one class that share their servers; `start_shared` starts them."""

    server_process = None  # the one that the tests ask, where `start_shared` sets it

    def setUp(self):
        super().setUp()
        if self.server_process:
            self.processes = [self.server_process]
            self.server = self.server_process.server

    @classmethod
    def setUpClass(cls):
        cls.shared_directory = tempfile.mkdtemp(prefix='ouzel-test-')
        cls.addClassCleanup(shutil.rmtree, cls.shared_directory, ignore_errors=True)
        cls.start_shared()

    @classmethod
    def start_shared(cls):
        raise NotImplementedError

    @classmethod
    def keep_shared(cls, process):
        cls.addClassCleanup(finish, process)
        return process
