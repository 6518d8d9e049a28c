# SPDX-License-Identifier: MIT
"""What stands between the workers and the kernel: io_uring, or epoll where that is forbidden, as
the default profiles of most container engines do."""

import errno
import os
import subprocess

import dns.query

import harness
from case import Case
from harness import ask

IO_URING = (harness.IO_URING_SETUP, harness.IO_URING_SETUP + 1, harness.IO_URING_SETUP + 2)
ENTER = harness.IO_URING_SETUP + 1
REGISTER = harness.IO_URING_SETUP + 2


def forbid(error, *calls):
    return {'preexec_fn': harness.forbid_calls(error, *(calls or IO_URING))}


class Engine(Case):
    def settings(self, engine):
        return {'server': {'engine': engine, 'sandbox': True}}

    def assert_serves(self, ouzel, engine):
        self.assertEqual(ouzel.total('ouzel_engine_info', engine=engine), 1)
        self.assertEqual(ouzel.stats_json()['ouzel_engine_info'], {engine: 1})
        self.assertRegex(ouzel.output(), rf'msg=ready .*engine={engine}\b')
        for number in range(20):
            self.assert_status(ask(ouzel.server, f'n{number}.example'), 'NOERROR')
            self.assert_status(ask(ouzel.server, f'n{number}.example'), 'NOERROR')
        reply = dns.query.tcp(harness.query('over-tcp.example'), ouzel.server[0], timeout=5,
                              port=ouzel.server[1])
        self.assert_status(reply, 'NOERROR')
        self.assert_balance(ouzel)

    def test_auto_where_io_uring_is_forbidden(self):
        for value, calls in ((errno.EPERM, IO_URING), (errno.ENOSYS, IO_URING),
                             (errno.EINVAL, IO_URING), (errno.EACCES, IO_URING),
                             (errno.EPERM, (REGISTER,)), (errno.EPERM, (ENTER,))):
            with self.subTest(errno=errno.errorcode[value], calls=calls):
                ouzel = self.ouzel(self.upstream(), workers=2, settings=self.settings('auto'),
                                   **forbid(value, *calls))
                self.assert_serves(ouzel, 'epoll')
                said = [line for line in ouzel.output().splitlines() if 'place of io_uring' in line]
                self.assertEqual(len(said), 1, ouzel.output())

    def test_either_by_its_name(self):
        for engine in 'io_uring', 'epoll':
            with self.subTest(engine=engine):
                ouzel = self.ouzel(self.upstream(), workers=2, settings=self.settings(engine))
                self.assert_serves(ouzel, engine)
                self.assertNotIn('place of io_uring', ouzel.output())

    def assert_refuses(self, words, **options):
        process = self.ouzel(self.upstream(), wait=False, **options)
        self.assertEqual(process.wait(5), 1, process.output())
        for word in words:
            self.assertIn(word, process.output())

    def test_io_uring_where_it_is_forbidden(self):
        for value in (errno.EPERM, errno.ENOSYS):
            with self.subTest(errno=errno.errorcode[value]):
                self.assert_refuses(['cannot use io_uring', 'io_uring_setup'],
                                    settings=self.settings('io_uring'), **forbid(value))

    def test_calls_that_fail_later_end_the_process_with_a_reason(self):
        self.assert_refuses(['a worker failed', 'the kernel refuses io_uring'],
                            settings=self.settings('io_uring'), **forbid(errno.EPERM, ENTER))

    def test_what_may_go_away_changes_no_choice(self):
        for value in (errno.ENOMEM, errno.EMFILE):
            with self.subTest(errno=errno.errorcode[value]):
                self.assert_refuses(['cannot use io_uring'], settings=self.settings('auto'),
                                    **forbid(value))

    def test_check_says_it(self):
        for engine, words in (('auto', 'server.engine is auto, which is epoll here'),
                              ('io_uring', 'cannot use io_uring here'), ('epoll', None)):
            with self.subTest(engine=engine):
                path = os.path.join(self.directory, f'{engine}.yaml')
                with open(path, 'w', encoding='ascii') as file:
                    file.write(f'server:\n  engine: {engine}\n'
                               'forward:\n  - zone: .\n    to: [192.0.2.1]\n')
                result = subprocess.run([harness.BINARY, 'check', '--config', path],
                                        capture_output=True, text=True, check=False, timeout=20,
                                        **forbid(errno.EPERM))
                self.assertEqual(result.returncode, 0, result.stderr)
                if words:
                    self.assertIn(words, result.stderr)
                else:
                    self.assertEqual(result.stderr, '')
