# SPDX-License-Identifier: MIT
"""What was known before a restart is known after it, and never longer than it may be."""

import os
import signal
import subprocess
import time
import unittest

import dns.message
import dns.rrset

import harness
from case import Case
from harness import ask, rdata_texts

STOP_SECONDS = 5


def refuse(asked):
    raise AssertionError(f'{asked.name} is asked although it should be known')


class Snapshot(Case):
    WEIGHT = 2

    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.directory, 'cache.snapshot')

    def start(self, upstream, workers=1, **cache):
        settings = {'cache': {'snapshot': self.path, **cache}}
        return self.ouzel(upstream, settings=settings, workers=workers)

    def stop(self, ouzel):
        ouzel.child.send_signal(signal.SIGTERM)
        self.assertEqual(ouzel.wait(STOP_SECONDS), 0, ouzel.output())

    def read(self):
        with open(self.path, 'rb') as file:
            return file.read()

    def fill(self, data):
        with open(self.path, 'wb') as file:
            file.write(data)

    def warnings(self, ouzel):
        return [line for line in ouzel.output().splitlines()
                if 'level=warning' in line or 'level=error' in line]

    def warned(self, ouzel):
        """Once there are any: the log has a thread of its own, and may come behind an answer."""
        self.assertTrue(harness.eventually(lambda: self.warnings(ouzel)), ouzel.output())
        return self.warnings(ouzel)

    def assert_no_leftovers(self):
        self.assertEqual([name for name in os.listdir(self.directory)
                          if name.startswith('cache.snapshot')], ['cache.snapshot'])

    def test_restart_answers_from_memory(self):
        def script(asked):
            reply = dns.message.make_response(asked.message(), recursion_available=True)
            if asked.name.startswith('none'):
                reply.set_rcode(3)
                reply.authority.append(dns.rrset.from_text(
                    'example.', 100, 'IN', 'SOA', 'ns.example. h.example. 1 2 3 4 100'))
            else:
                reply.answer.append(dns.rrset.from_text(
                    asked.name + '.', 100, 'IN', 'A', '192.0.2.1', '192.0.2.2'))
            asked.send(reply.to_wire())
        upstream = self.upstream(script)
        first = self.start(upstream)
        begin = time.monotonic()
        for name in ('a.example', 'none.example'):
            self.assertIsNotNone(ask(first.server, name))
        self.assertIsNotNone(ask(first.server, 'a.example', want_dnssec=True))
        self.assertFalse(os.path.exists(self.path))
        harness.lapse(1.1)
        self.stop(first)
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o640)
        self.assert_no_leftovers()

        upstream.script = refuse
        second = self.start(upstream)
        reply = ask(second.server, 'A.Example')
        age = time.monotonic() - begin
        self.assertEqual(rdata_texts(reply), ['192.0.2.1', '192.0.2.2'])
        self.assertLessEqual(reply.answer[0].ttl, 99)
        self.assertGreaterEqual(reply.answer[0].ttl, 100 - age - 2)
        self.assertIsNotNone(ask(second.server, 'a.example', want_dnssec=True))
        reply = ask(second.server, 'none.example')
        self.assert_status(reply, 'NXDOMAIN')
        self.assertLessEqual(reply.authority[0].ttl, 99)
        self.assert_status(ask(second.server, 'none.example', 'AAAA'), 'NXDOMAIN')
        self.assertEqual(second.total('ouzel_answers_total', source='cache'), 4)
        self.assertEqual(self.warnings(second), [])
        self.assert_balance(second)

    def test_answers_age_while_no_process_runs(self):
        def script(asked):
            asked.send(asked.reply(ttl=2 if asked.name == 'short.example' else 100))
        upstream = self.upstream(script)
        first = self.start(upstream)
        for name in ('short.example', 'long.example'):
            ask(first.server, name)
        self.stop(first)
        harness.lapse(3.1)
        before = upstream.names()
        second = self.start(upstream)
        self.assertLessEqual(ask(second.server, 'long.example').answer[0].ttl, 97)
        self.assertEqual(ask(second.server, 'short.example').answer[0].ttl, 2)
        self.assertEqual(upstream.names(), before + ['short.example'])

    def test_other_upstreams(self):
        """What those of before have said is not given; what those of now have said is."""
        first = self.upstream(lambda asked: asked.send(asked.reply(['192.0.2.1'])))
        second = self.upstream(lambda asked: asked.send(asked.reply(['192.0.2.2'])))
        for upstream, address in ((first, '192.0.2.1'), (second, '192.0.2.2'),
                                  (second, '192.0.2.2')):
            ouzel = self.start(upstream)
            self.assertEqual(rdata_texts(ask(ouzel.server, 'a.example')), [address])
            self.assertEqual(self.warnings(ouzel), [])
            self.stop(ouzel)
        self.assertEqual(second.names(), ['a.example'])

    def test_other_workers_and_size(self):
        names = [f'n{number}.example' for number in range(2000)]
        upstream = self.upstream()
        first = self.start(upstream, workers=1)
        queries = [harness.plain_query(name) for name in names]
        self.assertNotIn(None, harness.ask_many(first.server, queries))
        self.stop(first)
        for workers, size in ((2, '32M'), (3, '8M'), (1, '64M')):
            with self.subTest(workers=workers, size=size):
                ouzel = self.start(upstream, workers=workers, size=size)
                self.assertNotIn(None, harness.ask_many(ouzel.server, queries))
                # One in many may find no slot in an index of another shape.
                self.assertGreaterEqual(
                    ouzel.total('ouzel_answers_total', source='cache'), len(names) - 5)
                self.assert_balance(ouzel)
                self.stop(ouzel)

    def test_damaged_one_is_refused(self):
        """With a sentence; the start is empty; the next snapshot is good again."""
        upstream = self.upstream()
        answer = upstream.script
        first = self.start(upstream)
        ask(first.server, 'a.example')
        self.stop(first)
        good = self.read()
        middle = len(good) // 2
        for what, data, word in (
                ('bit', good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1:], 'damaged'),
                ('cut', good[:-1], 'is cut'),
                ('empty', b'', 'is empty'),
                ('newer', good[:8] + b'\xff' + good[9:], 'newer version')):
            with self.subTest(what):
                self.fill(data)
                before = upstream.names()
                upstream.script = answer
                ouzel = self.start(upstream)
                said = self.warned(ouzel)
                self.assertEqual(len(said), 1, ouzel.output())
                self.assertIn(word, said[0])
                self.assertIn(self.path, said[0])
                self.assertIsNotNone(ask(ouzel.server, 'a.example'))
                self.assertEqual(upstream.names(), before + ['a.example'])
                self.stop(ouzel)
                upstream.script = refuse
                again = self.start(upstream)
                self.assertIsNotNone(ask(again.server, 'a.example'))
                self.stop(again)

    def test_kill_leaves_a_good_one(self):
        """What was written last is there, whatever happens to the process after it."""
        upstream = self.upstream()
        first = self.start(upstream, **{'snapshot-interval': '10s'})
        ask(first.server, 'early.example')
        self.assertTrue(harness.eventually(lambda: os.path.exists(self.path), 20))
        ask(first.server, 'late.example')
        first.kill()
        good = self.read()
        # A process that died while it wrote leaves this behind.
        with open(self.path + '.new', 'wb') as file:
            file.write(good[:len(good) // 2])
        before = upstream.names()
        second = self.start(upstream)
        self.assertEqual(self.warnings(second), [])
        for name in ('early.example', 'late.example'):
            self.assertIsNotNone(ask(second.server, name))
        self.assertEqual(upstream.names(), before + ['late.example'])
        self.stop(second)
        self.assert_no_leftovers()

    def test_foreign_files_are_not_overwritten(self):
        """It is refused by check and stays; with it a start and a reload are as without."""
        self.fill(b'#!/bin/sh\nexit 0\n')
        settings = os.path.join(self.directory, 'check.yaml')
        with open(settings, 'w', encoding='ascii') as file:
            file.write(f'cache:\n  snapshot: {self.path}\n')
        told = f'{settings}:2: cache.snapshot: {self.path} is no snapshot of ouzel'
        done = subprocess.run([harness.BINARY, 'check', '--config', settings, '--upstream',
                               '127.0.0.1'], capture_output=True, text=True, check=False,
                              timeout=10 * harness.PATIENCE)
        self.assertEqual(done.returncode, 2)
        self.assertIn(told, done.stderr)
        os.unlink(self.path)
        victim = os.path.join(self.directory, 'victim')
        self.assert_start_without(victim)
        for put, why in ((lambda: os.symlink(victim, self.path), 'is a link'),
                         (lambda: os.mkfifo(self.path), 'is no regular file'),
                         (lambda: self.fill(b'important'), 'is no snapshot of ouzel')):
            ouzel = self.start(self.upstream())
            ask(ouzel.server, 'a.example')
            put()
            before = os.lstat(self.path)
            self.stop(ouzel)
            self.assertIn(why, ouzel.output())
            after = os.lstat(self.path)
            for field in 'st_ino', 'st_mode', 'st_size', 'st_mtime':
                self.assertEqual(getattr(after, field), getattr(before, field))
            os.unlink(self.path)
        self.assertFalse(os.path.exists(victim))

    def assert_start_without(self, victim):
        """Whatever stands there, or where a snapshot is begun."""
        for at in self.path, self.path + '.new':
            for put, why in ((lambda at=at: os.symlink(victim, at), 'is a link'),
                             (lambda at=at: os.mkfifo(at), 'is no regular file'),
                             (lambda at=at: os.mkdir(at), 'is a directory')):
                put()
                ouzel = self.start(self.upstream())
                said = self.warned(ouzel)
                self.assertEqual(len(said), 1, ouzel.output())
                self.assertIn('level=error', said[0])
                self.assertIn(f'{at} {why}', said[0])
                self.assert_status(ask(ouzel.server, 'a.example'), 'NOERROR')
                settings = {'cache': {'snapshot': self.path, 'ttl-max': '7h'}}
                self.reload(ouzel, settings)
                self.stop(ouzel)
                self.assertIn('no snapshot was written', ouzel.output())
                if os.path.isdir(at):
                    os.rmdir(at)
                else:
                    os.unlink(at)

    @unittest.skipUnless(os.geteuid() == 0, 'only root can give files away')
    def test_one_of_another_user_is_not_loaded(self):
        """Nor is it written over, where that user may have put it."""
        first = self.start(self.upstream())
        ask(first.server, 'a.example')
        self.stop(first)
        self.assertEqual(self.warnings(first), [])
        os.chown(self.path, harness.NOBODY, harness.NOBODY)
        before = self.read()
        upstream = self.upstream()
        second = self.start(upstream)
        self.assertIn('belongs to another user', self.warned(second)[0])
        self.assertIsNotNone(ask(second.server, 'a.example'))
        self.assertEqual(upstream.names(), ['a.example'])
        self.stop(second)
        self.assertEqual(self.read(), before)

    def test_where_nothing_can_be_written(self):
        """Answering goes on, and the log says why there is no snapshot."""
        self.path = os.path.join(self.directory, 'nowhere', 'cache.snapshot')
        ouzel = self.start(self.upstream())
        self.assertIsNotNone(ask(ouzel.server, 'a.example'))
        ouzel.child.send_signal(signal.SIGTERM)
        self.assertIsNotNone(ouzel.wait(STOP_SECONDS))
        self.assertIn(self.path, ouzel.output())
        self.assertIn('cannot be written', ouzel.output())

    @unittest.skipUnless(os.geteuid() == 0, 'only root can change the user')
    def test_of_another_user(self):
        """Under systemd root has no right to read what others keep to themselves."""
        os.chmod(self.directory, 0o755)
        home = os.path.join(self.directory, 'state')
        os.mkdir(home, 0o700)
        os.chown(home, harness.NOBODY, harness.NOBODY)
        self.path = os.path.join(home, 'cache')
        wrapper = os.path.join(self.directory, 'ouzel')
        with open(wrapper, 'w', encoding='ascii') as file:
            file.write('#!/bin/sh\nexec setpriv --bounding-set -all,+setuid,+setgid '
                       f'{harness.BINARY} "$@"\n')
        os.chmod(wrapper, 0o755)
        settings = {'cache': {'snapshot': self.path}, 'server': {'user': 'nobody'}}
        upstream = self.upstream()
        for script in upstream.script, refuse:
            upstream.script = script
            ouzel = self.ouzel(upstream, settings=settings, binary=wrapper)
            self.assert_status(ask(ouzel.server, 'a.example'), 'NOERROR')
            self.stop(ouzel)
        self.assertIn('msg="snapshot read"', ouzel.output())

    def test_none_without_the_option(self):
        before = set(os.listdir(self.directory))
        ouzel = self.ouzel(self.upstream())
        ask(ouzel.server, 'a.example')
        self.stop(ouzel)
        new = set(os.listdir(self.directory)) - before
        self.assertEqual({name for name in new if not name.endswith(('.log', '.yaml'))}, set())
