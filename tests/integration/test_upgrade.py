# SPDX-License-Identifier: MIT
"""Another process of the program takes the place of a running one: `ouzel ctl upgrade`."""

import ctypes
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import unittest

import dns.edns
import dns.query

import harness
from case import Case
from harness import ask, eventually, rdata_texts

PR_SET_CHILD_SUBREAPER = 36


class Adopted:
    """A process that another one of ours has started and left to us, as a subprocess.Popen."""

    def __init__(self, pid):
        self.pid = pid
        self.returncode = None

    def poll(self):
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                self.returncode = os.waitstatus_to_exitcode(status) if pid else None
            except ChildProcessError:
                self.returncode = 0  # the one that started it has waited for its end
        return self.returncode

    def is_there(self):
        return os.path.exists(f'/proc/{self.pid}')

    def wait(self, seconds):
        if not eventually(lambda: self.poll() is not None, seconds):
            raise subprocess.TimeoutExpired('ouzel', seconds)
        return self.returncode

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


class Upgrade(Case):
    WEIGHT = 2
    ENGINES = {'test_under_load', 'test_questions_that_wait_are_answered', 'test_other_addresses',
               'test_one_upgrade_after_the_other', 'test_connections_of_clients'}

    @classmethod
    def setUpClass(cls):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)

    @classmethod
    def tearDownClass(cls):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0)

    def start(self, *upstreams, settings=None, **options):
        self.control = os.path.join(self.directory, 'control.sock')
        self.settings = {**(settings or {}), 'control': {'socket': self.control}}
        return self.ouzel(*upstreams, settings=self.settings, workers=2, **options)

    def order(self, status=0):
        result = subprocess.run([harness.BINARY, 'ctl', '--control', self.control, 'upgrade'],
                                capture_output=True, text=True, check=False,
                                timeout=20 * harness.PATIENCE)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return result.stdout + result.stderr

    def upgrade(self, ouzel, seconds=12):
        """Has another process take over; returns when the one before has ended."""
        said = self.order()
        old = ouzel.child
        ouzel.child = Adopted(int(re.search(r'process (\d+) has taken over', said).group(1)))
        self.assertEqual(old.wait(seconds * harness.PATIENCE), 0, ouzel.output())
        ouzel.pid = ouzel.child.pid
        self.assertTrue(ouzel.running(), ouzel.output())

    def assert_refused(self, ouzel, why):
        """And the one that runs goes on as if nothing had been."""
        pid = ouzel.pid
        self.assertRegex(self.order(status=1), why)
        self.assertTrue(ouzel.running())
        children = subprocess.run(['ps', '--no-headers', '--ppid', str(pid)], capture_output=True,
                                  text=True, check=False).stdout
        self.assertEqual(children, '')
        self.assertTrue(os.path.exists(self.control), 'its control socket is gone')
        for number in range(8):
            self.assert_status(ask(ouzel.server, f'after{number}.example'), 'NOERROR')
        self.assert_balance(ouzel)

    def test_under_load(self):
        """Nothing that is asked is lost, what is known stays known, and no total goes back."""
        fake = self.upstream()
        ouzel = self.start(fake)
        with self.load(ouzel.server) as load:
            self.assert_loaded(ouzel)
            descriptors = ouzel.descriptors()
            before = ouzel.total('ouzel_queries_total')
            for _ in range(15):
                self.upgrade(ouzel)
                now = ouzel.total('ouzel_queries_total')
                self.assertGreater(now, before)
                before = now
            load.send_signal(signal.SIGINT)
            said = load.communicate(timeout=30)[0]
        self.assert_nothing_lost(said)
        self.assertLessEqual(len(fake.asked), 600)  # resends at most
        self.assertTrue(eventually(lambda: ouzel.descriptors() <= descriptors))
        self.assert_balance(ouzel)
        completed = int(re.search(r'Queries completed:\s+(\d+)', said).group(1))
        self.assertGreaterEqual(ouzel.total('ouzel_queries_total'), completed)
        seconds = ouzel.total('ouzel_answer_seconds_count')
        self.assertEqual(seconds, ouzel.total('ouzel_answers_total'))

    def test_questions_that_wait_are_answered(self):
        fake = self.upstream(lambda asked: asked.send(
            asked.reply(), delay=1.5 if asked.name.startswith('slow') else 0))
        ouzel = self.start(fake)
        replies = []

        def wait(name, over_tcp):
            message = harness.query(name)
            how = dns.query.tcp if over_tcp else dns.query.udp
            replies.append(how(message, ouzel.server[0], 5, port=ouzel.server[1]))
        threads = [threading.Thread(target=wait, args=(f'slow{i}.example', i % 2))
                   for i in range(8)]
        for thread in threads:
            thread.start()
        self.assertTrue(eventually(lambda: len({asked.name for asked in fake.asked}) == 8))
        self.upgrade(ouzel)
        for thread in threads:
            thread.join()
        self.assertEqual([reply.rcode() for reply in replies], [0] * 8)
        self.assertEqual(ouzel.total('ouzel_answers_total', source='upstream'), 8)
        self.assert_balance(ouzel)

    def test_end_asked_of_the_old_one(self):
        """While that still answers what it was asked: it is asked of the new one as well."""
        fake = self.upstream(lambda asked: None)
        ouzel = self.start(fake)
        with harness.client_socket(ouzel.server) as sock:
            sock.send(harness.plain_query('slow.example'))
            self.assertTrue(eventually(lambda: fake.asked))
            said = self.order()
        old = ouzel.child
        ouzel.child = Adopted(int(re.search(r'process (\d+) has taken over', said).group(1)))
        ouzel.pid = ouzel.child.pid
        self.assertIsNone(old.poll())
        old.send_signal(signal.SIGTERM)
        self.assertEqual(old.wait(2 * harness.PATIENCE), 0, ouzel.output())
        # The test starts the next one after this one has ended: everything is free again then.
        self.assertFalse(ouzel.child.is_there(), ouzel.output())
        self.assertFalse(os.path.exists(self.control))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(ouzel.server)

    def test_one_upgrade_after_the_other(self):
        """What the first process still answers is counted by the last."""
        fake = self.upstream(lambda asked: asked.send(asked.reply(), delay=1.5))
        ouzel = self.start(fake)
        replies = []
        thread = threading.Thread(target=lambda: replies.append(
            ask(ouzel.server, 'slow.example', timeout=5)))
        thread.start()
        self.assertTrue(eventually(lambda: fake.asked))
        processes = [ouzel.child]
        for _ in range(2):
            said = self.order()
            processes.append(Adopted(int(re.search(r'process (\d+) has', said).group(1))))
        ouzel.child = processes.pop()
        ouzel.pid = ouzel.child.pid
        thread.join()
        self.assert_status(replies[0], 'NOERROR')
        for process in processes:
            self.assertEqual(process.wait(12 * harness.PATIENCE), 0)
        self.assertTrue(eventually(
            lambda: ouzel.total('ouzel_answers_total', source='upstream') == 1))
        self.assert_balance(ouzel)

    def test_connections_of_clients(self):
        """One that is idle is closed; one that was made before and not yet accepted is heard."""
        ouzel = self.start(self.upstream())
        with socket.create_connection(ouzel.server, 5) as idle:
            idle.settimeout(5 * harness.PATIENCE)
            message = harness.plain_query('a.example')
            idle.sendall(struct.pack('>H', len(message)) + message)
            self.assertTrue(idle.recv(2))
            self.upgrade(ouzel)
            while idle.recv(512):
                pass
        for number in range(8):
            reply = dns.query.tcp(harness.query(f'b{number}.example'), ouzel.server[0], 5,
                                  port=ouzel.server[1])
            self.assert_status(reply, 'NOERROR')
        self.assert_balance(ouzel)

    def test_settings_as_they_are_now(self):
        """The new process reads the file; a cache of another size is filled from the old one."""
        fake = self.upstream()
        ouzel = self.start(fake)
        for number in range(300):
            ask(ouzel.server, f'n{number}.example')
        asked = len(fake.asked)
        for size in ('8M', '64M'):
            self.write(ouzel, {**self.settings, 'cache': {'size': size},
                               'local': {'records': [f'size.test. 60 TXT "{size}"']}})
            self.upgrade(ouzel)
            self.assertEqual(rdata_texts(ask(ouzel.server, 'size.test', 'TXT')), [f'"{size}"'])
            for number in range(300):
                self.assert_status(ask(ouzel.server, f'n{number}.example'), 'NOERROR')
        self.assertLessEqual(len(fake.asked), asked + 20)  # refreshes
        self.assertGreaterEqual(ouzel.total('ouzel_answers_total', source='cache'), 590)
        self.assert_balance(ouzel)

    def test_other_addresses(self):
        first, second = harness.free_place(), harness.free_place()
        settings = {'server': {'listen': [harness.join(*first)]}}
        ouzel = self.start(self.upstream(), settings=settings, listen=[first])
        self.assert_status(ask(first, 'a.example'), 'NOERROR')
        self.write(ouzel, {**self.settings, 'server': {'listen': [harness.join(*second)]}})
        self.upgrade(ouzel)
        self.assert_status(ask(second, 'a.example'), 'NOERROR')
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(first)  # given back

    def test_another_control_socket(self):
        ouzel = self.start(self.upstream())
        before, self.control = self.control, self.control + '.new'
        self.write(ouzel, {'control': {'socket': self.control}})
        after, self.control = self.control, before
        self.upgrade(ouzel)
        self.control = after
        self.assertFalse(os.path.exists(before))
        self.upgrade(ouzel)
        self.assert_status(ask(ouzel.server, 'a.example'), 'NOERROR')
        self.assertEqual(ouzel.terminate(), 0)
        self.assertFalse(os.path.exists(after))

    def wrapped(self, script):
        """Has a script in the program's place do something and then be the program."""
        self.replace(self.program, f'#!/bin/sh\n{script}\nexec {harness.BINARY} "$@"\n')

    def start_replaceable(self, **options):
        self.program = os.path.join(self.directory, 'ouzel')
        shutil.copy(harness.BINARY, self.program)
        return self.start(self.upstream(), binary=self.program, **options)

    def test_what_others_put_at_the_path_stays(self):
        """In the place of the socket that was handed over, and in that of one given up."""
        other = ('import socket; s = socket.socket(socket.AF_UNIX); '
                 "s.bind('%s')")
        ouzel = self.start_replaceable()
        before = self.control
        self.wrapped(f'mv {before} {before}.old\n'
                     f'/usr/bin/python3 -c "{other % before}"')
        self.upgrade(ouzel)
        inode = os.stat(before).st_ino
        self.assertEqual(ouzel.terminate(), 0)
        self.assertEqual(os.stat(before).st_ino, inode)
        os.unlink(before)

        ouzel = self.start_replaceable()
        self.write(ouzel, {'control': {'socket': before + '.new'}})
        self.wrapped(f'mv {before} {before}.old\n'
                     f'/usr/bin/python3 -c "{other % before}"')
        self.upgrade(ouzel)
        self.assertTrue(os.path.exists(before))
        self.assertEqual(ouzel.terminate(), 0)
        self.assertTrue(os.path.exists(before))
        self.assertFalse(os.path.exists(before + '.new'))

    def test_refused_one_leaves_no_socket(self):
        """That it had made at another path before it found that it cannot start."""
        self.control = os.path.join(self.directory, 'control.sock')
        place = harness.free_place()
        settings = {'server': {'listen': [harness.join(*place)], 'workers': 2},
                    'forward': [{'zone': '.', 'to': [str(self.upstream())]}],
                    'control': {'socket': self.control}}
        self.program = os.path.join(self.directory, 'ouzel')
        shutil.copy(harness.BINARY, self.program)
        ouzel = self.ouzel(settings=settings, listen=[place], workers=None, binary=self.program)
        self.write(ouzel, {**settings, 'server': {'listen': [harness.join(*place)], 'workers': 1},
                           'control': {'socket': self.control + '.new'}})
        library = os.path.join(self.directory, 'slow_files.so')
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'slow_files.c')
        subprocess.run(['cc', '-shared', '-fPIC', '-O1', '-D_GNU_SOURCE', '-o', library, source,
                        '-ldl'], check=True)
        self.wrapped(f'export LD_PRELOAD={library} OUZEL_SLOW_UNLINK=1\n'
                     'export ASAN_OPTIONS="$ASAN_OPTIONS:verify_asan_link_order=0"')
        self.assert_refused(ouzel, '1 workers cannot take the place of 2')
        self.assertFalse(os.path.exists(self.control + '.new'))

    def test_one_that_drains_is_not_upgraded(self):
        ouzel = self.start(self.upstream())
        subprocess.run([harness.BINARY, 'ctl', '--control', self.control, 'drain'], check=True,
                       capture_output=True, timeout=20 * harness.PATIENCE)
        self.assertIn('is draining', self.order(status=1))
        self.assertEqual(ouzel.wait(10), 0)

    def test_signal_while_it_is_under_way(self):
        """What it asks for is done after it, by whichever process is there then."""
        for good in False, True:
            ouzel = self.start_replaceable(settings={'cache': {'ttl-max': '8h'}})
            go = os.path.join(self.directory, 'go')
            waits = f'while [ ! -e {go} ]; do sleep 0.05; done'
            if good:
                self.wrapped(f'cp {ouzel.settings_path} {ouzel.settings_path}.copy\n{waits}')
            else:
                self.replace(self.program, f'#!/bin/sh\n{waits}\nexit 1\n')
            said = []
            thread = threading.Thread(target=lambda good=good, said=said: said.append(
                self.order(status=0 if good else 1)))
            thread.start()
            self.assertTrue(eventually(lambda: subprocess.run(
                ['ps', '--no-headers', '--ppid', str(ouzel.pid)], capture_output=True,
                check=False).stdout))
            self.write(ouzel, {**self.settings, 'cache': {'ttl-max': '7h'}})
            ouzel.child.send_signal(signal.SIGHUP)
            self.assertTrue(eventually(lambda: 'after the upgrade' in ouzel.output()),
                            ouzel.output())
            with open(go, 'w', encoding='ascii'):
                pass
            thread.join()
            self.assertTrue(eventually(lambda: 'msg=reloaded' in ouzel.output()), ouzel.output())
            os.unlink(go)
            if good:
                self.assertTrue(ouzel.said('the reload is passed on'), ouzel.output())
                old = ouzel.child
                ouzel.child = Adopted(int(re.search(r'process (\d+) has', said[0]).group(1)))
                ouzel.pid = ouzel.child.pid
                self.assertEqual(old.wait(12 * harness.PATIENCE), 0)
            else:
                self.assertIn('setting=cache.ttl-max', ouzel.output())
            self.assertEqual(ouzel.terminate(), 0)

    def test_flushed_answers_do_not_come_back(self):
        """From a snapshot that is older, where the new process has a cache of another size."""
        fake = self.upstream()
        settings = {'cache': {'snapshot': os.path.join(self.directory, 'snapshot')}}
        ouzel = self.start(fake, settings=settings)
        ask(ouzel.server, 'a.example')
        for words in (['snapshot'], ['flush', '--all']):
            subprocess.run([harness.BINARY, 'ctl', '--control', self.control, *words], check=True,
                           capture_output=True, timeout=20 * harness.PATIENCE)
        self.write(ouzel, {**self.settings, 'cache': {**settings['cache'], 'size': '32M'}})
        self.upgrade(ouzel)
        asked = len(fake.asked)
        ask(ouzel.server, 'a.example')
        self.assertGreater(len(fake.asked), asked)

    def test_cookies_stay_valid(self):
        ouzel = self.start(self.upstream())

        def asked(cookie):
            reply = ask(ouzel.server, 'a.example', use_edns=0,
                        options=[dns.edns.GenericOption(10, cookie)])
            return harness.option_of(reply, 10)
        cookie = asked(b'12345678')
        self.upgrade(ouzel)
        self.assertEqual(asked(cookie), cookie)
        self.assertEqual(ouzel.total('ouzel_cookies_total', verdict='valid'), 1)

    def test_one_filter_of_system_calls(self):
        """However often a new process takes over."""
        ouzel = self.start(self.upstream())

        def filters():
            with open(f'/proc/{ouzel.pid}/status', encoding='ascii') as file:
                return re.search(r'^Seccomp_filters:\s+(\d+)', file.read(), re.M)[1]
        before = filters()
        for _ in range(3):
            self.upgrade(ouzel)
        self.assertEqual(filters(), before)

    def engine_set(self, ouzel, engine):
        self.settings['server']['engine'] = engine
        with open(ouzel.settings_path, 'w', encoding='utf-8') as file:
            file.write(harness.yaml_settings(self.settings))

    def test_another_engine(self):
        """Where there is no filter one engine takes the place of the other, with its sockets."""
        server = {'sandbox': False, 'engine': 'io_uring'}
        ouzel = self.start(self.upstream(), settings={'server': server})
        for engine in 'epoll', 'io_uring', 'epoll':
            self.engine_set(ouzel, engine)
            self.upgrade(ouzel)
            self.assertEqual(ouzel.total('ouzel_engine_info', engine=engine), 1)
            for number in range(8):
                name = f'{engine}{number}.example'
                self.assert_status(ask(ouzel.server, name), 'NOERROR')
                self.assertIsNotNone(dns.query.tcp(harness.query(name), ouzel.server[0],
                                                   timeout=5, port=ouzel.server[1]))
            self.assert_balance(ouzel)

    def test_engine_that_the_filter_forbids(self):
        for engine, other in ('io_uring', 'epoll'), ('epoll', 'io_uring'):
            with self.subTest(engine=engine):
                ouzel = self.start(self.upstream(), settings={'server': {'engine': engine}})
                self.engine_set(ouzel, other)
                self.assert_refused(ouzel, f'cannot use {other}.*filter')
                self.engine_set(ouzel, 'auto')
                self.upgrade(ouzel)
                self.assertEqual(ouzel.total('ouzel_engine_info', engine=engine), 1)
                ouzel.terminate()

    def test_wrong_settings_are_refused(self):
        fake = self.upstream()
        ouzel = self.start(fake)
        for text, why in (('cache:\n  ttl-max: 9d\n', r'\.yaml:2: .*too large'),
                          ('local:\n  hosts: [/nowhere/at/all]\n', r'/nowhere/at/all'),
                          ('server:\n  user: nobody-of-that-name\n', r'no user nobody-of-that')):
            with self.subTest(text=text):
                self.write(ouzel, text)
                self.assert_refused(ouzel, f'(?s)not upgraded: the new program cannot.*{why}')
        self.write(ouzel, self.settings)
        self.upgrade(ouzel)

    def test_another_number_of_workers_is_refused(self):
        fake = self.upstream()
        control = os.path.join(self.directory, 'control.sock')
        self.control = control
        place = harness.free_place()
        settings = {'server': {'listen': [harness.join(*place)], 'workers': 2},
                    'forward': [{'zone': '.', 'to': [str(fake)]}],
                    'control': {'socket': control}}
        ouzel = self.ouzel(settings=settings, listen=[place], workers=None)
        self.write(ouzel, {**settings, 'server': {'listen': [harness.join(*place)], 'workers': 1}})
        self.assert_refused(ouzel, '1 workers cannot take the place of 2: that needs a restart')

    def upstreams(self):
        said = subprocess.run([harness.BINARY, 'ctl', '--control', self.control, 'upstreams',
                               '--json'], capture_output=True, text=True, check=True,
                              timeout=10 * harness.PATIENCE).stdout
        return {row['address']: row for row in json.loads(said)}

    def test_what_was_learned_of_upstreams(self):
        """Each worker goes on with what the one before it knew."""
        good, dead = self.upstream(), self.upstream(lambda asked: None)
        ouzel = self.start(good, dead)
        for number in range(100):
            ask(ouzel.server, f'n{number}.example')
        self.assertTrue(eventually(lambda: self.upstreams()[str(dead)]['health'] == 'dead'))
        before = self.upstreams()
        asked = len(good.asked), len(dead.asked)
        self.upgrade(ouzel)
        after = self.upstreams()
        self.assertEqual((len(good.asked), len(dead.asked)), asked)
        for address in str(good), str(dead):
            for key in 'health', 'fast_us', 'slow_us', 'loss':
                self.assertEqual(after[address].get(key), before[address].get(key), key)
        self.assertIsNotNone(after[str(good)]['last_reply_us_ago'])
        self.assertIsNone(after[str(dead)]['last_reply_us_ago'])
        self.assertEqual(after[str(good)]['health'], 'alive')
        self.assertGreater(after[str(good)]['fast_us'], 0)

    @unittest.skipUnless(os.geteuid() == 0, 'a namespace of processes needs root')
    def test_process_1_of_a_container(self):
        """Its end would be that of the container, and of the process in its place."""
        wrapper = os.path.join(self.directory, 'container')
        with open(wrapper, 'w', encoding='ascii') as file:
            file.write('#!/bin/sh\nexec unshare --pid --fork --kill-child '
                       f'{harness.BINARY} "$@"\n')
        os.chmod(wrapper, 0o755)
        ouzel = self.start(self.upstream(), binary=wrapper)
        self.assertIn('this is process 1 of its container', self.order(status=1))
        self.assert_status(ask(ouzel.server, 'a.example'), 'NOERROR')
        children = subprocess.run(['ps', '--no-headers', '-o', 'pid', '--ppid', str(ouzel.pid)],
                                  capture_output=True, text=True, check=False).stdout.split()
        os.kill(int(children[0]), signal.SIGTERM)
        self.assertEqual(ouzel.wait(5), 0)

    def test_program_that_fails(self):
        """Whatever stands in the program's place, or however it ends."""
        program = os.path.join(self.directory, 'ouzel')
        shutil.copy(harness.BINARY, program)
        ouzel = self.start(self.upstream(), binary=program)
        ends = r'not upgraded: the new program ended before it got ready'
        for content, why in (
                ('#!/bin/sh\nexit 0\n', ends), ('#!/bin/sh\nkill -9 $$\n', ends),
                ('#!/bin/sh\nprintf nonsense >&3\nsleep 5\n', 'an unknown message'),
                ('no program at all', 'cannot start .*: Exec format error'),
                (None, 'cannot start .*: No such file')):
            with self.subTest(content=content):
                self.replace(program, content)
                self.assert_refused(ouzel, why)
        shutil.copy(harness.BINARY, program)
        self.upgrade(ouzel)
        self.assert_status(ask(ouzel.server, 'a.example'), 'NOERROR')

    @staticmethod
    def replace(path, content):
        os.unlink(path)
        if content is None:
            return
        with open(path, 'w', encoding='ascii') as file:
            file.write(content)
        os.chmod(path, 0o755)
