# SPDX-License-Identifier: MIT
"""What hangs - a file system, a disk, a reader of the log, a new process - holds up nothing else:
no answer, no other order, not the watchdog's sign, and not the end."""

import os
import signal
import socket
import subprocess
import time
import unittest

import harness
from case import Case
from harness import ask, eventually

STOP_SECONDS = 2


class Slow(Case):
    WEIGHT = 2

    def setUp(self):
        super().setUp()
        self.control = os.path.join(self.directory, 'control.sock')
        self.slow = os.path.join(self.directory, 'slow')
        self.dead = os.path.join(self.directory, 'dead-mount')

    def start(self, settings=None, **options):
        library = os.path.join(self.directory, 'slow_files.so')
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'slow_files.c')
        subprocess.run(['cc', '-shared', '-fPIC', '-O1', '-D_GNU_SOURCE', '-o', library, source,
                        '-ldl'], check=True)
        settings = {**(settings or {}), 'control': {'socket': self.control}}
        # A sanitizer would be loaded before all others.
        options_asan = os.environ.get('ASAN_OPTIONS', '') + ':verify_asan_link_order=0'
        environment = {**os.environ, 'LD_PRELOAD': library, 'OUZEL_SLOW': self.slow,
                       'ASAN_OPTIONS': options_asan.lstrip(':'),
                       **options.pop('env', {})}
        return self.ouzel(self.upstream(), settings=settings, env=environment, workers=2,
                          **options)

    def hang(self):
        with open(self.slow, 'w', encoding='ascii'):
            pass

    def ctl(self, *words, wait=True):
        process = subprocess.Popen(
            [harness.BINARY, 'ctl', '--control', self.control, *words], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process.communicate(timeout=10 * harness.PATIENCE)[0] if wait else process

    def under_way(self, order, noun):
        """Gives the order twice, which hangs: the second learns that it is under way, and both are
        where it was under way before. Returns those that may still wait."""
        waiting = [self.ctl(order, wait=False), self.ctl(order, wait=False)]
        self.assertTrue(eventually(lambda: any(p.poll() is not None for p in waiting)))
        ended = [p for p in waiting if p.poll() is not None]
        for process in ended:
            self.assertIn(f'{noun} is already under way', process.communicate()[0])
        return [p for p in waiting if p not in ended]

    def assert_stops(self, ouzel):
        start = time.monotonic()
        ouzel.child.send_signal(signal.SIGTERM)
        status = ouzel.wait(STOP_SECONDS)
        self.assertEqual(status, 0, f'{status} after {time.monotonic() - start:.2f} s\n'
                         f'{ouzel.output()}')

    def assert_lives(self, ouzel):
        self.assert_status(ask(ouzel.server, 'a.example'), 'NOERROR')
        self.assertIn('ouzel_queries_total', self.ctl('stats'))
        self.assertIn('flushed', self.ctl('flush', '--all'))
        self.assertIn('log level', self.ctl('log', 'info'))
        self.assertIn('zone', self.ctl('explain', 'a.example'))

    def test_files_on_a_mount_that_does_not_answer(self):
        """A reload from a signal or an order waits alone; later ones are refused with a reason."""
        with open(self.dead, 'w', encoding='ascii') as file:
            file.write('192.0.2.7 printer.lan\n')
        ouzel = self.start({'local': {'hosts': [self.dead]}})
        for by_signal in True, False:
            self.hang()
            before = ouzel.output().count('msg=reloaded')
            if by_signal:
                ouzel.child.send_signal(signal.SIGHUP)
            waiting = self.under_way('reload', 'a reload')
            self.assert_lives(ouzel)
            os.unlink(self.slow)
            for process in waiting:
                said = process.communicate(timeout=10 * harness.PATIENCE)[0]
                self.assertRegex(said, 'under way' if by_signal and 'reloaded' not in said
                                 else 'reloaded')
            self.assertTrue(eventually(
                lambda: ouzel.output().count('msg=reloaded') > before))
        self.hang()
        waiting = self.under_way('reload', 'a reload')
        self.assert_stops(ouzel)
        for process in waiting:
            process.communicate(timeout=10 * harness.PATIENCE)

    def test_slow_disk(self):
        """Nothing waits for a snapshot: neither the watchdog nor other orders nor the end."""
        path = os.path.join(self.directory, 'notify')
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(sock.close)
        sock.bind(path)
        sock.settimeout(3 * harness.PATIENCE)
        snapshot = os.path.join(self.directory, 'snapshot')
        ouzel = self.start({'cache': {'snapshot': snapshot}},
                           env={'NOTIFY_SOCKET': path, 'WATCHDOG_USEC': '200000'})
        ask(ouzel.server, 'a.example')
        self.assertIn('1 answers written', self.ctl('snapshot'))
        with open(snapshot, 'rb') as file:
            before = file.read()
        self.hang()
        waiting = self.under_way('snapshot', 'a snapshot')
        self.assert_lives(ouzel)
        sock.setblocking(False)
        while True:
            try:
                sock.recv(4096)
            except BlockingIOError:
                break
        sock.settimeout(3 * harness.PATIENCE)
        for _ in range(5):
            while not sock.recv(4096).startswith(b'WATCHDOG=1'):
                pass
        self.assert_stops(ouzel)
        self.assertIn('the previous one stays', ouzel.output())
        for process in waiting:
            process.communicate(timeout=10 * harness.PATIENCE)
        with open(snapshot, 'rb') as file:
            self.assertEqual(file.read(), before)

    def test_reader_of_the_log_that_stops(self):
        """Lines are lost and counted; answers, reloads and the end go on."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        ouzel = self.blocked(writer)
        os.close(writer)
        queries = [harness.plain_query(f'n{i % 50}.example') for i in range(20000)]
        self.assertNotIn(None, harness.ask_many(ouzel.server, queries))
        self.assert_lives(ouzel)
        self.assertIn('reloaded', self.ctl('reload'))
        self.assertGreater(ouzel.total('ouzel_answer_log_total', verdict='full'), 0)
        self.assert_stops(ouzel)

    def blocked(self, writer):
        """One whose log is not read."""
        settings = {'queries': {'log': True}, 'control': {'socket': self.control}}
        path = os.path.join(self.directory, 'blocked.yaml')
        with open(path, 'w', encoding='ascii') as file:
            file.write(harness.yaml_settings(settings))
        ouzel = harness.Ouzel.__new__(harness.Ouzel)
        ouzel.listen = [harness.free_place()]
        ouzel.server, ouzel.stats = ouzel.listen[0], harness.free_place()
        ouzel.log_path = os.devnull
        ouzel.settings_path = path
        ouzel.child = subprocess.Popen(
            [harness.BINARY, 'serve', '--config', path, '--listen', harness.join(*ouzel.server),
             '--stats', harness.join(*ouzel.stats), '--upstream', str(self.upstream())],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=writer)
        ouzel.pid = ouzel.child.pid
        self.keep(ouzel)
        self.assertTrue(eventually(lambda: ouzel.http('/healthz')[0] == 200, 10))
        return ouzel

    def test_new_process_that_does_not_get_ready(self):
        """An upgrade waits alone; the end asked meanwhile comes, and nothing is left."""
        program = os.path.join(self.directory, 'ouzel')
        with open(harness.BINARY, 'rb') as source, open(program, 'wb') as copy:
            copy.write(source.read())
        os.chmod(program, 0o755)
        ouzel = self.start(binary=program)
        os.unlink(program)
        with open(program, 'w', encoding='ascii') as file:
            file.write('#!/bin/sh\nexec sleep 1000\n')
        os.chmod(program, 0o755)
        waiting = self.under_way('upgrade', 'an upgrade')
        self.assert_status(ask(ouzel.server, 'a.example'), 'NOERROR')
        self.assertIn('ouzel_queries_total', self.ctl('stats'))
        self.assertTrue(eventually(
            lambda: 'an upgrade is under way' in self.ctl('flush', '--all')))
        self.assertIn('an upgrade is under way', self.ctl('reload'))
        children = subprocess.run(['ps', '--no-headers', '-o', 'pid', '--ppid', str(ouzel.pid)],
                                  capture_output=True, text=True, check=False).stdout.split()
        self.assertTrue(children)
        self.assert_stops(ouzel)
        for process in waiting:
            process.communicate(timeout=10 * harness.PATIENCE)
        self.assertFalse(os.path.exists(self.control))
        self.assertTrue(eventually(
            lambda: not any(os.path.exists(f'/proc/{pid}') for pid in children)))

    def test_order_in_the_last_moment(self):
        """Between the end's beginning and that of the server of orders it is refused, and the end
        comes as ever, with the last snapshot."""
        snapshot = os.path.join(self.directory, 'snapshot')
        for order in 'snapshot', 'reload', 'upgrade':
            ouzel = self.start({'cache': {'snapshot': snapshot}}, env={'OUZEL_SLOW_STOP': '1'})
            ask(ouzel.server, 'a.example')
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.settimeout(5 * harness.PATIENCE)
                sock.connect(self.control)
                sock.sendall(b'GET /nothing HTTP/1.1\r\nHost: ouzel\r\n\r\n')
                self.assertIn(b'404', sock.recv(4096))
                self.hang()
                ouzel.child.send_signal(signal.SIGTERM)
                self.assertTrue(eventually(lambda: not os.path.exists(self.control), step=0.001))
                sock.sendall(f'POST /{order} HTTP/1.1\r\nHost: ouzel\r\nContent-Length: 0\r\n\r\n'
                             .encode())
                said = sock.recv(4096)
            os.unlink(self.slow)
            self.assertEqual(ouzel.wait(STOP_SECONDS * harness.PATIENCE), 0, ouzel.output())
            self.assertIn(b'this process is ending', said)
            self.assertIn('snapshot written', ouzel.output())

    def test_no_thread(self):
        """If something cannot be started, the answer and the log say what."""
        without = os.path.join(self.directory, 'without')
        ouzel = self.start({'cache': {'snapshot': os.path.join(self.directory, 'snapshot')}},
                           env={'OUZEL_NO_THREADS': without})
        with open(without, 'w', encoding='ascii'):
            pass
        for order in 'reload', 'snapshot', 'upgrade':
            self.assertIn(f'{order} cannot be started: there is no thread', self.ctl(order))

        def not_started():
            return ouzel.output().count('a task cannot be started')
        self.assertTrue(eventually(lambda: not_started() == 3), ouzel.output())
        ouzel.child.send_signal(signal.SIGHUP)
        self.assertTrue(eventually(lambda: not_started() == 4), ouzel.output())
        self.assert_stops(ouzel)
        self.assertEqual(not_started(), 5)

    def begin(self, settings):
        """One that does not get to answer while something hangs."""
        self.hang()
        return self.start(settings, wait=False)

    def test_end_in_the_middle_of_the_start(self):
        """While its snapshot does not come; nothing is left behind."""
        with open(self.dead, 'wb') as file:
            file.write(b'ouzelsnp')
        ouzel = self.begin({'cache': {'snapshot': self.dead}})
        self.assertTrue(eventually(lambda: os.path.exists(self.control)))
        self.assertTrue(eventually(lambda: 'msg=sandbox' in ouzel.output()))
        self.assert_stops(ouzel)
        self.assertIn('ending before everything has started', ouzel.output())
        self.assertFalse(os.path.exists(self.control))

    def test_snapshot_on_a_mount_that_does_not_answer(self):
        """The start waits some seconds for it and then goes without, as all after it."""
        with open(self.dead, 'wb') as file:
            file.write(b'ouzelsnp')
        ouzel = self.begin({'cache': {'snapshot': self.dead}})
        self.assertTrue(eventually(lambda: 'msg=ready' in ouzel.output(), 15), ouzel.output())
        self.assertIn('starting without the snapshot', ouzel.output())
        self.assert_lives(ouzel)
        self.assertIn('reloaded', self.ctl('reload'))
        os.unlink(self.slow)  # it comes now, and is not used any more
        self.assert_lives(ouzel)
        self.assert_stops(ouzel)

    def test_main_thread_opens_no_named_file(self):
        """Or no signal would be heard at the start while one of them hangs."""
        for section, key, content in (('server', 'cookie-secrets', '0123456789abcdef' * 2 + '\n'),
                                      ('local', 'hosts', '192.0.2.7 printer.lan\n'),
                                      ('cache', 'snapshot', None)):
            if content:
                with open(self.dead, 'w', encoding='ascii') as file:
                    file.write(content)
            self.hang()
            value = [self.dead] if key == 'hosts' else self.dead
            ouzel = self.start({section: {key: value}}, env={'OUZEL_SLOW_MAIN': '1'}, wait=False)
            self.assertTrue(eventually(lambda: 'msg=ready' in ouzel.output(), 10), key)
            self.assert_lives(ouzel)
            self.assert_stops(ouzel)
            os.unlink(self.slow)

    def test_flush_while_a_snapshot_is_written(self):
        """What was flushed is in none that is read afterwards."""
        snapshot = os.path.join(self.directory, 'snapshot')
        settings = {'cache': {'snapshot': snapshot}}
        for ends in True, False:
            ouzel = self.start(settings)
            ask(ouzel.server, 'a.example')
            self.hang()
            waiting = self.ctl('snapshot', wait=False)
            self.assertTrue(eventually(lambda: os.path.exists(snapshot + '.new')
                                       and os.path.getsize(snapshot + '.new') > 64))
            self.assertIn('flushed: 1', self.ctl('flush', '--all'))
            if ends:
                ouzel.child.send_signal(signal.SIGTERM)
                self.assertTrue(eventually(lambda: not os.path.exists(self.control)))
            os.unlink(self.slow)
            waiting.communicate(timeout=10 * harness.PATIENCE)
            if ends:
                self.assertEqual(ouzel.wait(STOP_SECONDS), 0)
            else:
                self.assertTrue(eventually(
                    lambda: ouzel.output().count('msg="snapshot written"') == 2))
                ouzel.kill()
            ouzel = self.start(settings)
            self.assertIn('entries=0', [line for line in ouzel.output().splitlines()
                                        if 'snapshot read' in line][0])
            self.assertEqual(ouzel.terminate(), 0)
            os.unlink(snapshot)

    def test_end_while_all_hangs(self):
        """An upgrade, a snapshot and the reader of dnstap together take no longer than one."""
        tap = os.path.join(self.directory, 'tap')
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as reader:
            reader.bind(tap)
            reader.listen(5)
            ouzel = self.start({'cache': {'snapshot': os.path.join(self.directory, 'snapshot')},
                                'queries': {'dnstap': tap}}, env={'OUZEL_SLOW_SPAWN': '1'})
            ask(ouzel.server, 'a.example')
            self.hang()
            for order in 'upgrade', 'snapshot':
                self.under_way(order, f'an {order}' if order == 'upgrade' else f'a {order}')
            start = time.monotonic()
            self.assert_stops(ouzel)
            self.assertLess(time.monotonic() - start, 1.75 * harness.PATIENCE)

    def test_worker_that_cannot_be_told_anything(self):
        """It neither ends on its own, as if it had been told to, nor works on without being able to
        end: the process ends and says why."""
        ouzel = self.start({'server': {'engine': 'epoll'}}, env={'OUZEL_NO_WATCH': '1'}, wait=False)
        self.assertEqual(ouzel.wait(5), 1)
        self.assertRegex(ouzel.output(), 'a worker failed.*fs.epoll.max_user_watches')

    @unittest.skipUnless(os.geteuid() == 0, 'a namespace of processes needs root')
    def test_end_of_process_1_before_it_has_started(self):
        """Block lists may take long to read, or for ever. The kernel gives process 1 of a container
        no signal that it does not handle."""
        wrapper = os.path.join(self.directory, 'container')
        with open(wrapper, 'w', encoding='ascii') as file:
            file.write('#!/bin/sh\nexec unshare --pid --fork --kill-child '
                       f'{harness.BINARY} "$@"\n')
        os.chmod(wrapper, 0o755)
        self.hang()
        for number in signal.SIGTERM, signal.SIGINT:
            with self.subTest(signal=number):
                ouzel = self.start({'local': {'block': [self.dead]}}, binary=wrapper, wait=False)
                inside = []

                def is_reading():
                    path = f'/proc/{ouzel.pid}/task/{ouzel.pid}/children'
                    with open(path, encoding='ascii') as file:
                        inside[:] = file.read().split()
                    with open(f'/proc/{inside[0]}/cmdline' if inside else path, 'rb') as file:
                        return b'serve' in file.read() and len(
                            os.listdir(f'/proc/{inside[0]}/task')) > 1
                self.assertTrue(eventually(is_reading))
                os.kill(int(inside[0]), number)
                self.assertEqual(ouzel.wait(STOP_SECONDS), 128 + number)

    def test_upgrade_without_a_reader_of_the_log(self):
        """Nor does the new process wait for a reader of its start messages that has stopped."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        ouzel = self.blocked(writer)
        os.set_blocking(writer, False)
        with self.assertRaises(BlockingIOError):
            while True:
                os.write(writer, b'x')
        os.set_blocking(writer, True)
        os.close(writer)
        said = self.ctl('upgrade')
        self.assertIn('has taken over', said)
        pid = int(said.split()[1])
        self.assert_lives(ouzel)
        self.assertEqual(ouzel.wait(12), 0)
        os.kill(pid, signal.SIGTERM)
        self.assertTrue(eventually(lambda: not os.path.exists(self.control), STOP_SECONDS))
