# SPDX-License-Identifier: MIT
"""The base of all integration tests: a directory of their own, and servers that end with them."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

import dns.rcode

import harness
from plane import PLANE


SANITIZER = re.compile(r'ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:')


def finish(process):
    """Ends a process; ouzel must end well, and no sanitizer may have found anything."""
    was_running = process.running()
    if isinstance(process, harness.Ouzel):
        PLANE.ends(process)
    status = process.terminate()
    if not isinstance(process, harness.Ouzel):
        return
    if was_running and status != 0:
        raise AssertionError(f'ouzel ended with {status} and said:\n{process.output()}')
    if SANITIZER.search(process.output()):
        raise AssertionError(f'a sanitizer found something:\n{process.output()}')


def plane_times(test):
    """How often each query is asked with answers in the driver (plane.py); 0: the test is not for
    that."""
    said = getattr(test, 'PLANE', 0)
    return said.get(test.id().rsplit('.', 1)[1], 0) if isinstance(said, dict) else said


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix='ouzel-test-')
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.processes = []
        self.addCleanup(self.show_logs)
        PLANE.times = plane_times(self) if PLANE.on else 1

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

    def reachable(self, path):
        """A copy of this program that any user may run."""
        os.chmod(self.directory, 0o755)
        copy = os.path.join(self.directory, os.path.basename(path))
        shutil.copyfile(path, copy)
        os.chmod(copy, 0o755)
        return copy

    def write(self, ouzel, settings):
        """Puts the file in place as an editor does."""
        text = settings if isinstance(settings, str) else harness.yaml_settings(settings)
        with open(ouzel.settings_path + '.new', 'w', encoding='utf-8') as file:
            file.write(text)
        os.rename(ouzel.settings_path + '.new', ouzel.settings_path)

    def reload(self, ouzel, settings, good=True):
        """Returns what the log says of it."""
        start = len(ouzel.output())
        self.write(ouzel, settings)
        ouzel.child.send_signal(signal.SIGHUP)
        word = r'msg"?[=:]"?reloaded' if good else 'not reloaded'
        self.assertTrue(harness.eventually(lambda: re.search(word, ouzel.output()[start:])),
                        ouzel.output()[start:])
        return ouzel.output()[start:]

    def load(self, server):
        """dnsperf asking for names that soon are all known, until a SIGINT."""
        questions = os.path.join(self.directory, 'questions')
        with open(questions, 'w', encoding='ascii') as file:
            file.writelines(f'n{i}.example A\n' for i in range(500))
        return subprocess.Popen(
            ['dnsperf', '-s', server[0], '-p', str(server[1]), '-d', questions, '-l', '60', '-q',
             '50', '-c', '8', '-T', '1'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True)

    def assert_loaded(self, ouzel):
        """Waits until the load has come, and all of its names are known."""
        self.assertTrue(harness.eventually(
            lambda: ouzel.total('ouzel_queries_total') > 5000, 20))

    def assert_nothing_lost(self, said):
        self.assertEqual(int(re.search(r'Queries lost:\s+(\d+)', said).group(1)), 0, said)
        self.assertRegex(said, r'NOERROR \d+ \(100\.00%\)')

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
