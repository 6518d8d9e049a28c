# SPDX-License-Identifier: MIT
"""Other settings for a daemon that goes on: SIGHUP."""

import os
import resource
import signal
import socket
import subprocess
import threading
import time

import dns.query

import harness
from case import Case
from harness import ask, eventually, rdata_texts

PLANE_ANSWERS = 40


class Reload(Case):
    WEIGHT = 3
    PLANE = {'test_upstreams_change': 5, 'test_access_local_names_and_log': 5,
             'test_question_that_waits_is_answered': 1, 'test_what_is_wrong_changes_nothing': 5}

    def start(self, settings, workers=2):
        return self.ouzel(workers=workers, settings=settings)

    def test_upstreams_change(self):
        """What those of before have said of a name is not given any more."""
        first = self.upstream(lambda asked: asked.send(asked.reply(['192.0.2.1'])))
        second = self.upstream(lambda asked: asked.send(asked.reply(['192.0.2.2'])))
        settings = {'forward': [{'zone': '.', 'to': [str(first)]}]}
        ouzel = self.start(settings)
        self.assertEqual(rdata_texts(ask(ouzel.server, 'kept.example')), ['192.0.2.1'])
        settings['forward'] = [{'zone': '.', 'to': [str(second)]},
                               {'zone': 'corp.example', 'to': [str(first)]}]
        said = self.reload(ouzel, settings)
        self.assertIn(f'setting="forward . to" from={first} to={second}', said)
        self.assertIn(f'setting="forward corp.example. to" from=none to={first}', said)
        for number in range(8):  # at home with either worker
            self.assertEqual(rdata_texts(ask(ouzel.server, f'n{number}.example')), ['192.0.2.2'])
            self.assertEqual(rdata_texts(ask(ouzel.server, f'n{number}.corp.example')),
                             ['192.0.2.1'])
        self.assertEqual(rdata_texts(ask(ouzel.server, 'kept.example')), ['192.0.2.2'])
        # What has not changed is known.
        asked = len(first.asked) + len(second.asked)
        settings['forward'].append({'zone': 'elsewhere.example', 'to': [str(first)]})
        self.reload(ouzel, settings)
        for name in 'kept.example', 'n1.example', 'n1.corp.example':
            self.assertIsNotNone(ask(ouzel.server, name))
        self.assertEqual(len(first.asked) + len(second.asked), asked)
        self.assert_balance(ouzel)

    def test_without_descriptors(self):
        """It cannot read a file then, nor open /dev/null, and says so."""
        ouzel = self.start({'forward': [{'zone': '.', 'to': [str(self.upstream())]}]})
        limits = resource.prlimit(ouzel.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(ouzel.pid, resource.RLIMIT_NOFILE, (8, limits[1]))
        ouzel.child.send_signal(signal.SIGHUP)
        self.assertTrue(eventually(lambda: 'not reloaded' in ouzel.output()))
        self.assertIn('Too many open files', ouzel.output())
        resource.prlimit(ouzel.pid, resource.RLIMIT_NOFILE, limits)
        ouzel.child.send_signal(signal.SIGHUP)
        self.assertTrue(eventually(lambda: 'msg=reloaded' in ouzel.output()))

    def test_question_that_waits_is_answered(self):
        first = self.upstream(lambda asked: asked.send(asked.reply(), delay=1.0))
        second = self.upstream()
        settings = {'forward': [{'zone': '.', 'to': [str(first)]}]}
        ouzel = self.start(settings)
        replies = []
        thread = threading.Thread(target=lambda: replies.append(
            ask(ouzel.server, 'slow.example', timeout=5)))
        thread.start()
        self.assertTrue(eventually(lambda: first.asked))
        for _ in range(3):
            self.reload(ouzel, {'forward': [{'zone': '.', 'to': [str(second)]}]})
        thread.join()
        self.assert_status(replies[0], 'NOERROR')
        self.assert_balance(ouzel)

    def test_access_local_names_and_log(self):
        fake = self.upstream()
        hosts = os.path.join(self.directory, 'hosts')
        with open(hosts, 'w', encoding='ascii') as file:
            file.write('192.0.2.7 printer.lan\n')
        base = {'forward': [{'zone': '.', 'to': [str(fake)]}]}
        ouzel = self.start({**base, 'local': {'hosts': [hosts]}})
        self.assertEqual(rdata_texts(ask(ouzel.server, 'printer.lan')), ['192.0.2.7'])
        with open(hosts, 'w', encoding='ascii') as file:
            file.write('192.0.2.8 printer.lan\n')
        self.reload(ouzel, {**base, 'local': {'hosts': [hosts]}, 'log': {'format': 'json'}})
        self.assertEqual(rdata_texts(ask(ouzel.server, 'printer.lan')), ['192.0.2.8'])
        said = self.reload(ouzel, {**base, 'access': {'allow': ['192.0.2.0/24']}})
        self.assertIn('"setting":"access.allow"', said)
        self.assert_status(ask(ouzel.server, 'printer.lan'), 'REFUSED')
        self.reload(ouzel, base)
        self.assert_status(ask(ouzel.server, 'a.example'), 'NOERROR')

    def test_what_is_wrong_changes_nothing(self):
        fake = self.upstream()
        good = {'forward': [{'zone': '.', 'to': [str(fake)]}]}
        ouzel = self.start(good)
        for text, why in (
                ('forward:\n  - zone: .\n    too: [192.0.2.1]\n', r'\.yaml:3: .*did you mean'),
                ('cache:\n  ttl-max: 9d\n', r'\.yaml:2: .*too large'),
                ('local:\n  hosts: [/nowhere/at/all]\n', r'/nowhere/at/all'),
                ('access:\n  allow: [192.0.2.0/24\n', r'\.yaml:\d')):
            with self.subTest(text=text):
                self.assertRegex(self.reload(ouzel, text, good=False), why)
                self.assert_status(ask(ouzel.server, 'a.example'), 'NOERROR')
        os.unlink(ouzel.settings_path)
        start = len(ouzel.output())
        ouzel.child.send_signal(signal.SIGHUP)
        self.assertTrue(eventually(lambda: 'not reloaded' in ouzel.output()[start:]))
        self.assertIn('setting=cache.ttl-max from=1d to=1h', self.reload(
            ouzel, {**good, 'cache': {'ttl-max': '1h'}}))

    def test_what_needs_a_restart_is_named(self):
        fake = self.upstream()
        good = {'forward': [{'zone': '.', 'to': [str(fake)]}]}
        ouzel = self.start(good)
        said = self.reload(ouzel, {**good, 'cache': {'size': '8M', 'ttl-max': '2h'}})
        self.assertIn('with a restart only" setting=cache.size is=256M file=8M', said)
        self.assertIn('setting=cache.ttl-max', said)
        self.assertIn('msg=reloaded changed=1', said)
        self.assertNotIn('cache.size', self.reload(ouzel, good))

    def test_limits(self):
        fake = self.upstream()
        base = {'forward': [{'zone': '.', 'to': [str(fake)]}]}
        ouzel = self.start(base, workers=1)
        self.reload(ouzel, {**base, 'limits': {'client-qps': 10, 'burst': '1s',
                                               'flood-factor': 2, 'slip': 0}})
        replies = harness.ask_many(ouzel.server, [harness.plain_query('a.example')] * 200,
                                   window=200, timeout=0.5)
        self.assertIn(None, replies)
        self.reload(ouzel, base)
        replies = harness.ask_many(ouzel.server, [harness.plain_query('a.example')] * 200)
        self.assertNotIn(None, replies)

    def test_a_hundred_times_under_load(self):
        """Not one query is lost, and cached answers stay."""
        first, second = self.upstream(), self.upstream()
        both = [str(first), str(second)]
        ouzel, descriptors = self.hundred_times(
            [{'forward': [{'zone': '.', 'to': to}], 'cache': {'stale-ttl': ttl},
              'limits': {'client-qps': qps}}
             for to, ttl, qps in ((both, '20s', 0), (both[::-1], '30s', 1000000))])
        self.assertLessEqual(len(first.asked) + len(second.asked), 700)  # resends at most
        self.assertTrue(eventually(lambda: ouzel.descriptors() <= descriptors))

    def test_a_hundred_times_to_others_under_load(self):
        """Not one query is lost, though everything is asked again."""
        first, second = self.upstream(), self.upstream()
        self.hundred_times([{'forward': [{'zone': '.', 'to': [str(one)]}]}
                            for one in (first, second)])

    def hundred_times(self, turns):
        for settings in turns:
            settings['access'] = {'allow': ['127.0.0.0/8']}
        ouzel = self.start(turns[0])
        with self.load(ouzel.server) as load:
            self.assert_loaded(ouzel)
            descriptors = ouzel.descriptors()
            for number in range(100):
                self.reload(ouzel, turns[(number + 1) % 2])
            load.send_signal(signal.SIGINT)
            self.assert_nothing_lost(load.communicate(timeout=30)[0])
        self.assert_balance(ouzel)
        return ouzel, descriptors

    def test_a_thousand_settings_take_no_more_memory_than_a_few(self):
        """Those that others have taken the place of are given up, also where reloads never rest."""
        fake = self.upstream()
        control = os.path.join(self.directory, 'control')
        ouzel = self.start({'forward': [{'zone': '.', 'to': [str(fake)]}],
                            'control': {'socket': control}}, workers=1)

        def reloads(seconds):
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                subprocess.run([harness.BINARY, 'ctl', '--control', control, 'reload'], check=True,
                               stdout=subprocess.DEVNULL, timeout=20)
                harness.lapse(0.05)
            return ouzel.metrics()['process_resident_memory_bytes', ()]
        early = reloads(11)
        late = reloads(4)
        self.assertLess(late, early * 1.1)
        self.assert_status(ask(ouzel.server, 'a.example'), 'NOERROR')


class Listeners(Case):
    WEIGHT = 5
    ENGINES = {'test_listeners_change'}

    def places(self, count):
        """Free addresses and ports, and settings that listen on the first `n` or any of them."""
        fake = self.upstream(lambda asked: asked.send(
            asked.reply(), delay=1.0 if asked.name.startswith('slow') else 0))
        found = []
        for _ in range(count):
            found.append(harness.free_place())
        return found, lambda *which: {
            'server': {'listen': [harness.join(*place) for place in which]},
            'forward': [{'zone': '.', 'to': [str(fake)]}]}

    def assert_heard(self, place, tag):
        """Over UDP, by whichever worker the kernel chooses, and over TCP."""
        for number in range(8):
            self.assert_status(ask(place, f'{tag}{number}.example'), 'NOERROR')
        self.assert_status(dns.query.tcp(harness.query(f'{tag}.example'), place[0], 3,
                                         port=place[1]), 'NOERROR')

    def assert_not_heard(self, place):
        with self.assertRaises(OSError):
            socket.create_connection(place, timeout=1).close()
        self.assertIsNone(ask(place, 'n.example', timeout=0.3))

    def test_listeners_change(self):
        (first, second), settings = self.places(2)
        ouzel = self.ouzel(listen=[first], workers=2, settings=settings(first))
        self.assert_heard(first, 'a')
        descriptors = ouzel.descriptors()
        said = self.reload(ouzel, settings(first, second))
        self.assertIn('setting=server.listen', said)
        self.assert_heard(first, 'b')
        self.assert_heard(second, 'c')
        replies = []
        thread = threading.Thread(target=lambda: replies.append(
            ask(first, 'slow.example', timeout=5)))
        thread.start()
        self.assertTrue(eventually(lambda: ouzel.total('ouzel_pending_questions') == 1))
        self.reload(ouzel, settings(second))
        self.assert_heard(second, 'd')
        self.assert_not_heard(first)
        thread.join()
        self.assert_status(replies[0], 'NOERROR')  # it was asked in time
        self.reload(ouzel, settings(second, first))
        self.assert_heard(first, 'e')
        self.reload(ouzel, settings(first))
        self.assert_heard(first, 'f')
        self.assertTrue(eventually(lambda: ouzel.descriptors() <= descriptors, 15))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(second)  # given back
        self.assert_heard(first, 'g')
        self.assert_balance(ouzel)

    def test_listener_that_cannot_be_had(self):
        (first, second, third), settings = self.places(3)
        ouzel = self.ouzel(listen=[first], workers=2, settings=settings(first))
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(socket.AF_INET, kind) as other:
                other.bind(third)
                if kind == socket.SOCK_STREAM:
                    other.listen()
                said = self.reload(ouzel, settings(second, third), good=False)
            self.assertIn(f'cannot listen on {harness.join(*third)}: another program has', said)
            self.assert_not_heard(second)
            self.assert_heard(first, 'a')
        self.reload(ouzel, settings(second, third))
        self.assert_heard(third, 'b')

    def test_listeners_come_and_go_under_load(self):
        """What is asked at an address that stays is never lost."""
        (first, second, third), settings = self.places(3)
        ouzel = self.ouzel(listen=[first], workers=2, settings=settings(first))
        with self.load(first) as load:
            self.assert_loaded(ouzel)
            for number in range(30):
                self.reload(ouzel, settings(first, (second, third)[number % 2]))
            load.send_signal(signal.SIGINT)
            self.assert_nothing_lost(load.communicate(timeout=30)[0])
        self.assert_heard(third, 'a')
        self.assert_balance(ouzel)
