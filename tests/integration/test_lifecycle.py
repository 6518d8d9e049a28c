# SPDX-License-Identifier: MIT
"""How ouzel starts, refuses to start, and ends."""

import errno
import os
import signal
import socket
import threading
import time

import harness
from case import Case
from harness import ask

STOP_SECONDS = 2


class Stop(Case):
    def assert_stops(self, ouzel, which=signal.SIGTERM):
        start = time.monotonic()
        ouzel.child.send_signal(which)
        status = ouzel.wait(STOP_SECONDS)
        self.assertEqual(status, 0, f'status {status} after {time.monotonic() - start:.2f} s')

    def test_at_rest(self):
        for which in (signal.SIGTERM, signal.SIGINT):
            ouzel = self.ouzel(self.upstream(), workers=2)
            self.assert_stops(ouzel, which)

    def test_with_questions_pending(self):
        ouzel = self.ouzel(self.upstream(lambda asked: None), workers=2)
        with harness.client_socket(ouzel.server) as sock:
            for number in range(200):
                sock.send(harness.plain_query(f'n{number}.example'))
            self.assertTrue(harness.eventually(
                lambda: ouzel.total('ouzel_pending_questions') == 200, 3))
            self.assert_stops(ouzel)

    def test_under_load(self):
        ouzel = self.ouzel(self.upstream(), workers=2)
        stop = threading.Event()
        queries = [harness.plain_query(f'n{number}.example') for number in range(100)]

        def load():
            with harness.client_socket(ouzel.server) as sock:
                while not stop.is_set():
                    for data in queries:
                        try:
                            sock.send(data)
                        except OSError:
                            pass
        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            self.assertTrue(harness.eventually(
                lambda: ouzel.total('ouzel_queries_total') > len(queries)))
            self.assert_stops(ouzel)
        finally:
            stop.set()
            for thread in threads:
                thread.join(5)

    def test_twice(self):
        """A second signal while the first is at work does no harm."""
        ouzel = self.ouzel(self.upstream(), workers=2)
        ouzel.child.send_signal(signal.SIGTERM)
        ouzel.child.send_signal(signal.SIGTERM)
        self.assertIn(ouzel.wait(STOP_SECONDS), (0, -signal.SIGTERM))

    def test_next_one_starts_at_once(self):
        """A restart finds the addresses free: nothing of the old process lives on in the kernel."""
        upstream = self.upstream()
        first = self.ouzel(upstream, workers=2)
        self.assertIsNotNone(ask(first.server, 'a.example'))
        self.assert_stops(first)
        second = self.ouzel(upstream, workers=2, stats=first.stats,
                            arguments=['--listen', harness.join(*first.server)])
        self.assertIsNotNone(ask(first.server, 'b.example'))
        self.assert_stops(second)

    def test_stats_reader_that_does_not_leave(self):
        """An HTTP connection left open does not hold the end up."""
        ouzel = self.ouzel(self.upstream())
        with socket.create_connection(ouzel.stats, 5) as sock:
            sock.send(b'GET /metrics HTTP/1.1\r\n')
            self.assert_stops(ouzel)


class Steering(Case):
    def test_each_worker_on_its_processor(self):
        """In the sandbox, too; and answers come from all of them."""
        cpus = os.sched_getaffinity(0)
        ouzel = self.ouzel(self.upstream(), settings={'server': {'steering': 'cpu'}},
                           workers=len(cpus))
        self.assertNotIn(None, harness.ask_many(
            ouzel.server, [harness.plain_query(f'n{i}.example') for i in range(200)]))
        held = []
        for thread in os.listdir(f'/proc/{ouzel.pid}/task'):
            with open(f'/proc/{ouzel.pid}/task/{thread}/comm', encoding='ascii') as file:
                if file.read().startswith('worker-'):
                    held.append(os.sched_getaffinity(int(thread)))
        self.assertEqual(sorted(map(sorted, held)), [[cpu] for cpu in sorted(cpus)])

    def test_at_random(self):
        """One port asks, and all are answered."""
        ouzel = self.ouzel(self.upstream(), settings={'server': {'steering': 'random'}}, workers=2)
        self.assertNotIn(None, harness.ask_many(
            ouzel.server, [harness.plain_query(f'n{i % 50}.example') for i in range(500)]))
        self.assert_balance(ouzel)


class Refusal(Case):
    """What must stop ouzel from starting does so with one clear sentence and the right status."""

    def start(self, upstream='127.0.0.1:9', **options):
        process = harness.Ouzel(self.directory, [upstream] if upstream else [], wait=False,
                                **options)
        self.keep(process)
        return process

    def assert_refuses(self, process, status, *words):
        got = process.wait(5)
        output = process.output()
        self.assertEqual(got, status, output)
        for word in words:
            self.assertIn(word, output)
        lines = [line for line in output.splitlines() if line.strip()]
        self.assertTrue(lines, 'no word about it')
        self.assertLessEqual(len(lines), 4, f'too many words about it:\n{output}')
        self.assertNotIn('Assertion', output)

    def test_port_in_use(self):
        process_address = harness.fresh_address()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((process_address, 0))
            taken = sock.getsockname()
            process = self.start(arguments=['--listen', harness.join(*taken)])
            self.assert_refuses(process, 1, harness.join(*taken))

    def test_port_in_use_by_another_ouzel(self):
        """SO_REUSEPORT must not let two of them share a port by accident."""
        first = self.ouzel(self.upstream(), workers=2)
        second = self.start(arguments=['--listen', harness.join(*first.server)])
        self.assert_refuses(second, 1, harness.join(*first.server))
        self.assertIsNotNone(ask(first.server, 'a.example'))

    def test_no_other_process_gets_the_port(self):
        """The sockets share the port only with each other, and only while they are bound."""
        ouzel = self.ouzel(self.upstream(), workers=2)
        for kind in socket.SOCK_DGRAM, socket.SOCK_STREAM:
            with socket.socket(socket.AF_INET, kind) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with self.assertRaises(OSError) as raised:
                    sock.bind(ouzel.server)
                self.assertEqual(raised.exception.errno, errno.EADDRINUSE)
        self.assertIsNotNone(ask(ouzel.server, 'a.example'))

    def test_more_workers_than_processors(self):
        """Where each hears what comes in at its processor, some would receive nothing."""
        process = self.start(settings={'server': {'steering': 'cpu'}}, workers=256)
        self.assert_refuses(process, 1, 'server.steering', '256 workers')

    def test_nothing_half_started(self):
        """The first address is free, the second is not: the first gives no answers."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((harness.fresh_address(), 0))
            taken = sock.getsockname()
            process = self.start(arguments=['--listen', harness.join(*taken)])
            replies = []
            while process.running():
                replies.append(harness.ask_raw(process.server, b'\0' * 12, timeout=0.02))
            self.assert_refuses(process, 1, harness.join(*taken))
        self.assertEqual(set(replies) - {None}, set())
        self.assertEqual(process.http('/healthz', timeout=0.5)[0], 0)

    def test_stats_port_in_use(self):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.bind((harness.fresh_address(), 0))
            sock.listen(1)
            taken = sock.getsockname()
            process = self.start(stats=taken)
            self.assert_refuses(process, 1, harness.join(*taken))

    def test_address_that_no_machine_can_have(self):
        process = self.start(arguments=['--listen', '[fe80::1%9999]:5353'])
        self.assert_refuses(process, 1, '[fe80::1%9999]:5353')

    def test_privileged_port(self):
        with open('/proc/sys/net/ipv4/ip_unprivileged_port_start', encoding='ascii') as file:
            if int(file.read()) <= 53:
                self.skipTest('any user may bind port 53 here')
        address = harness.fresh_address()
        process = self.start(arguments=['--listen', f'{address}:53'],
                             binary=self.reachable(harness.BINARY),
                             preexec_fn=harness.become_nobody)
        self.assert_refuses(process, 1, f'{address}:53')

    def test_bad_settings(self):
        """Each names the file, the line and what is wrong."""
        for line, words, text in (
                (2, ('listne',), 'server:\n  listne: [127.0.0.1:5399]\n'),
                (1, ('sever',), 'sever:\n  workers: 1\n'),
                (2, ('workers', '0'), 'server:\n  workers: 0\n'),
                (2, ('workers', 'many'), 'server:\n  workers: many\n'),
                (3, ('workers',), 'server:\n  workers: 1\n  workers: 2\n'),
                (2, ('size', '1K'), 'cache:\n  size: 1K\n'),
                (2, ('size', '12X'), 'cache:\n  size: 12X\n'),
                (2, ('ttl-max', '-1s'), 'cache:\n  ttl-max: -1s\n'),
                (2, ('allow', '10.0.0.1/8'), 'access:\n  allow: [10.0.0.1/8]\n'),
                (3, ('to', 'nonsense'), 'forward:\n  - zone: .\n    to: [nonsense]\n'),
                (2, ('control.socket', '107'), f'control:\n  socket: /{"x" * 107}\n'),
                (2, ('queries.dnstap', '107'), f'queries:\n  dnstap: /{"x" * 107}\n'),
                (2, (), 'server:\n  workers: [1\n'),
                (2, (), 'server:\n\tworkers: 1\n')):
            with self.subTest(text):
                process = self.start(settings=text)
                self.assertEqual(process.wait(5), 2, process.output())
                self.assertRegex(process.output(),
                                 f'{process.settings_path}:({line}|{line + 1}):')
                for word in words:
                    self.assertIn(word, process.output())

    def test_missing_settings_file(self):
        process = self.start(arguments=['--config', '/nonexistent/ouzel.yaml'])
        self.assertIn(process.wait(5), (1, 2))
        self.assertIn('/nonexistent/ouzel.yaml', process.output())

    def test_bad_usage(self):
        for arguments in (['--nonsense'], ['--listen'], ['--listen', 'nonsense'],
                          ['--upstream', '1.2.3.4.5'], ['--workers', '-1'], ['extra']):
            with self.subTest(arguments):
                process = self.start(arguments=arguments)
                self.assert_refuses(process, 2)

    def test_help_and_version(self):
        for arguments, status in ((['help'], 0), (['help', 'serve'], 0), (['version'], 0),
                                  (['nonsense'], 2)):
            with self.subTest(arguments):
                process = self.keep(harness.Process(
                    [harness.BINARY] + arguments, os.path.join(self.directory, 'log')))
                self.assertEqual(process.wait(5), status)
                self.assertTrue(process.output().strip())

    def test_check(self):
        """`ouzel check` judges a file without starting anything."""
        path = os.path.join(self.directory, 'check.yaml')
        for text, status in (('server:\n  workers: 1\n', 0), ('server:\n  workers: x\n', 2)):
            with open(path, 'w', encoding='utf-8') as file:
                file.write(text)
            process = self.keep(harness.Process([harness.BINARY, 'check', '--config', path],
                                                os.path.join(self.directory, 'log')))
            self.assertEqual(process.wait(5), status, process.output())
            if status:
                self.assertIn(f'{path}:2', process.output())
